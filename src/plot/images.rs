//! Pictures in a grid, as MNIST's first ten: grey or coloured, enlarged, saved as PNG.

use super::file::{extension, failed, png, written};
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use allotrope_ir::DType;
use std::path::Path;

/// Pixels between two pictures.
const GAP: usize = 2;
/// The most pixels that are written.
const MOST: usize = 1 << 26;

/// Pictures `[n, height, width]` (grey) or `[n, 3, height, width]` (red, green, blue), to be saved as one PNG.
///
/// ```no_run
/// use allotrope::{plot::Images, prelude::*};
/// Images::new(&rand(&[10, 28, 28])).columns(5).enlarged(4).save("noise.png")?;
/// # Ok::<(), allotrope::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Images {
    /// Numbers from 0 (black) to 1 (white); `u8` from 0 to 255.
    pictures: Tensor,
    columns: usize,
    scale: usize,
}

impl Images {
    /// Floats from 0 (black) to 1 (white), or `u8` from 0 to 255. Ten pictures a row, four pixels for one.
    pub fn new(pictures: &Tensor) -> Images {
        Images { pictures: pictures.detach(), columns: 10, scale: 4 }
    }

    /// Pictures in a row.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Images {
        self.columns = columns;
        self
    }

    /// Pixels each way for one of the picture.
    #[must_use]
    pub fn enlarged(mut self, scale: usize) -> Images {
        self.scale = scale;
        self
    }

    /// Writes `NAME.png`.
    ///
    /// # Errors
    /// When the shape is another, nothing is to be drawn or too much, the name ends otherwise, or the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if extension(path) != Some("png") {
            return Err(failed(path, "pictures are written as .png"));
        }
        let (pixels, size) = self.pixels()?;
        written(path, &png(path, &pixels, size)?)
    }

    fn pixels(&self) -> Result<(Vec<u8>, (u32, u32))> {
        let (n, channels, height, width) = match *self.pictures.shape() {
            [n, height, width] => (n, 1, height, width),
            [n, 1, height, width] => (n, 1, height, width),
            [n, 3, height, width] => (n, 3, height, width),
            _ => {
                let shape = self.pictures.shape();
                return Err(Error::argument(format!(
                    "images: pictures are [n, height, width] or [n, 1 or 3, height, width], got {shape:?}"
                )));
            }
        };
        if n * height * width == 0 || self.columns == 0 || self.scale == 0 {
            return Err(Error::argument("images: there is nothing to draw"));
        }
        let columns = self.columns.min(n);
        let place = |i: usize, extent: usize| i * (extent * self.scale + GAP);
        let (wide, high) = (place(columns, width) - GAP, place(n.div_ceil(columns), height) - GAP);
        if wide.saturating_mul(high) > MOST {
            return Err(Error::argument(format!("images: {wide} by {high} pixels are too many, {MOST} would fit")));
        }
        let full = if self.pictures.dtype() == DType::U8 { 1.0 } else { 255.0 };
        let values = self.pictures.try_to(DType::F32)?.try_to_vec::<f32>()?;
        let mut out = vec![255u8; wide * high * 3];
        for (i, picture) in values.chunks(channels * height * width).enumerate() {
            let (left, top) = (place(i % columns, width), place(i / columns, height));
            for y in 0..height * self.scale {
                for x in 0..width * self.scale {
                    let at = (y / self.scale) * width + x / self.scale;
                    let to = ((top + y) * wide + left + x) * 3;
                    for (channel, byte) in out[to..to + 3].iter_mut().enumerate() {
                        let value = picture[channel.min(channels - 1) * height * width + at] * full;
                        *byte = value.round().clamp(0.0, 255.0) as u8;
                    }
                }
            }
        }
        Ok((out, (wide as u32, high as u32)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_stand_in_rows_with_gaps() {
        let pictures = Tensor::from_vec(vec![0.0f32, 1.0, 0.5, 2.0, 0.0, 0.0], &[3, 1, 2]);
        let (pixels, size) = Images::new(&pictures).columns(2).enlarged(1).pixels().expect("drawn");
        assert_eq!(size, (2 + 2 + 2, 1 + 2 + 1));
        let at = |x: usize, y: usize| pixels[(y * 6 + x) * 3];
        assert_eq!(
            [at(0, 0), at(1, 0), at(2, 0), at(4, 0), at(5, 0), at(0, 3), at(4, 3)],
            [0, 255, 255, 128, 255, 0, 255]
        );
    }

    #[test]
    fn other_shapes_and_sizes_are_refused() {
        for shape in [vec![4], vec![1, 2, 5, 5], vec![0, 5, 5], vec![1, 0, 5]] {
            assert!(Images::new(&Tensor::zeros(&shape, DType::F32)).pixels().is_err(), "{shape:?}");
        }
        let one = Tensor::zeros(&[1, 5, 5], DType::F32);
        assert!(Images::new(&one).columns(0).pixels().is_err());
        let error = Images::new(&one).enlarged(100_000).pixels().expect_err("too large").to_string();
        assert!(error.contains("too many"), "{error}");
    }
}
