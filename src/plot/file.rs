//! Charts as files: SVG as text, PNG through pixels. The name's extension says which.

use super::chart::Chart;
use super::draw::{Area, Corners, draw};
use super::theme::{FONT, PAPER, SCALE, register_fonts};
use crate::error::{Error, Result};
use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::drawing::IntoDrawingArea;
use std::fs;
use std::path::Path;

impl Chart {
    /// Writes the chart to `NAME.svg` or `NAME.png`.
    ///
    /// # Errors
    /// When something in it does not fit, the name ends otherwise, or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        match extension(path) {
            Some("svg") => written(path, self.svg()?.as_bytes()),
            Some("png") => {
                let (pixels, size) = pixels(&[self])?;
                written(path, &png(path, &pixels, size)?)
            }
            _ => Err(failed(path, "a plot is written as .svg or .png")),
        }
    }

    /// The chart as a stand-alone SVG document.
    ///
    /// # Errors
    /// When something in it does not fit.
    pub fn svg(&self) -> Result<String> {
        self.checked()?;
        register_fonts();
        let (width, height) = self.size;
        let (wide, high) = (width * SCALE as u32, height * SCALE as u32);
        let mut text = String::new();
        {
            let area = SVGBackend::with_string(&mut text, (wide, high)).into_drawing_area();
            let drawn =
                area.fill(&PAPER).and_then(|()| draw(self, &area, Corners::Limited)).and_then(|()| area.present());
            drawn.map_err(|error| Error::argument(format!("plot {:?}: {error}", self.title)))?;
        }
        // The coordinates are `SCALE` times larger than the picture, and every text has the one family.
        let drawn = format!("<svg width=\"{wide}\" height=\"{high}\"");
        let shown = format!("<svg width=\"{width}\" height=\"{height}\" font-family=\"{FONT}\"");
        let family = format!(" font-family=\"{FONT}\"");
        Ok(text.replace(&family, "").replacen(&drawn, &shown, 1))
    }
}

/// RGB pixels of charts one above the other, drawn `SCALE` times larger and averaged; with width and height.
pub(super) fn pixels(charts: &[&Chart]) -> Result<(Vec<u8>, (u32, u32))> {
    charts.iter().try_for_each(|chart| chart.checked())?;
    register_fonts();
    let scale = SCALE as u32;
    let width = charts.iter().map(|chart| chart.size.0).max().unwrap_or(1);
    let height = charts.iter().map(|chart| chart.size.1).sum::<u32>().max(1);
    let (wide, high) = (width * scale, height * scale);
    let mut rgb = vec![0u8; wide as usize * high as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut rgb, (wide, high)).into_drawing_area();
        stacked(charts, &area).map_err(|message| Error::argument(format!("plot: {message}")))?;
    }
    Ok((averaged(&rgb, wide as usize, SCALE as usize), (width, height)))
}

fn stacked(charts: &[&Chart], area: &Area<BitMapBackend>) -> std::result::Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    area.fill(&PAPER).map_err(|error| text(&error))?;
    let mut rest = area.clone();
    for chart in charts {
        let (part, below) = rest.split_vertically(chart.size.1 as i32 * SCALE);
        draw(chart, &part, Corners::Unlimited).map_err(|error| text(&error))?;
        rest = below;
    }
    area.present().map_err(|error| text(&error))
}

/// Each square of `scale` by `scale` pixels as one, its mean.
fn averaged(rgb: &[u8], wide: usize, scale: usize) -> Vec<u8> {
    let (width, height) = (wide / scale, rgb.len() / 3 / wide / scale);
    let pixels = scale * scale;
    let mut out = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            let mut sums = [0usize; 3];
            for row in y * scale..(y + 1) * scale {
                let first = (row * wide + x * scale) * 3;
                for (i, value) in rgb[first..first + 3 * scale].iter().enumerate() {
                    sums[i % 3] += usize::from(*value);
                }
            }
            out.extend(sums.map(|sum| ((sum + pixels / 2) / pixels) as u8));
        }
    }
    out
}

/// RGB pixels as a PNG file.
pub(super) fn png(path: &Path, pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let write = |encoder: png::Encoder<'_, &mut Vec<u8>>| encoder.write_header()?.write_image_data(pixels);
    write(encoder).map_err(|error: png::EncodingError| failed(path, error))?;
    Ok(bytes)
}

pub(super) fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

pub(super) fn written(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|error| failed(path, error))
}

pub(super) fn failed(path: &Path, message: impl std::fmt::Display) -> Error {
    Error::File { path: path.display().to_string(), message: message.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_has_the_size_and_the_colours() {
        let chart = Chart::new("t").size(120, 90).line("a", [0.0, 1.0], [0.0, 1.0]);
        let (pixels, size) = pixels(&[&chart, &chart]).expect("drawn");
        assert_eq!((size, pixels.len()), ((120, 180), 120 * 180 * 3));
        assert_eq!(&pixels[..3], [255, 255, 255]);
        let bytes = png(Path::new("t.png"), &pixels, size).expect("encoded");
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
        let mut read = vec![0; reader.output_buffer_size().expect("small")];
        reader.next_frame(&mut read).expect("its picture");
        assert_eq!(read, pixels);
    }

    #[test]
    fn a_line_that_turns_back_stays_within_the_field() {
        let turning = Chart::new("").size(200, 160).x_range(0.0, 1.0).y_range(0.0, 1.0).line(
            "",
            [0.5, 0.9, 0.4, 0.9, 0.5],
            [0.5, 0.6, 0.51, 0.62, 0.5],
        );
        let empty = Chart::new("").size(200, 160).x_range(0.0, 1.0).y_range(0.0, 1.0);
        let [(line, (width, _)), (without, _)] = [&turning, &empty].map(|chart| pixels(&[chart]).expect("drawn"));
        let differs = |i: &usize| line[3 * i..][..3] != without[3 * i..][..3];
        let columns: Vec<usize> = (0..line.len() / 3).filter(differs).map(|i| i % width as usize).collect();
        let (first, last) = (columns.iter().min(), columns.iter().max());
        // The field is 120 pixels wide from 62 on; a line is two pixels wide.
        assert!(first >= Some(&108) && last <= Some(&172), "columns {first:?} to {last:?}");
    }

    #[test]
    fn other_names_are_refused() {
        let error = Chart::new("t").save("t.jpeg").expect_err("no JPEG").to_string();
        assert!(error.contains(".svg or .png"), "{error}");
        assert!(Chart::new("t").save("no/such/folder/t.svg").is_err());
    }
}
