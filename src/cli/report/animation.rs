//! `fit.gif`: the prediction finding its target while both programs train.
//!
//! It rasterises the same charts as the page shows; one frame at a time is in memory.

use super::chart::Area;
use super::figures;
use super::gif::{GifWriter, MOST_COLORS};
use super::theme::{BAND, DEVICE, EAGER, GRID, INK, MUTED, PAPER, SCALE, TARGET, TRACED, register_fonts};
use crate::cli::comparison::Comparison;
use crate::cli::error::CliError;
use crate::cli::run::frame_steps;
use plotters::backend::BitMapBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::style::RGBColor;
use rustc_hash::FxHashMap;
use std::io::Write;

/// Pixels of the animation.
const WIDTH: usize = 560;
const HEIGHT_OF_ONE: usize = 230;
/// Hundredths of a second that a frame is shown, and the last one.
const FRAME: u16 = 10;
const LAST_FRAME: u16 = 250;

/// Writes the animation of all programs that kept a fit, one above the other; `false` and nothing written when
/// there is none.
pub fn write(pairs: &[Comparison], out: impl Write) -> Result<bool, CliError> {
    let shown: Vec<&Comparison> = pairs.iter().filter(|p| !p.reference().fits.is_empty()).collect();
    let Some(most) = shown.iter().map(|pair| pair.reference().steps()).max() else {
        return Ok(false);
    };
    register_fonts();
    let failed = |message: String| CliError::Draw { what: "fit.gif".to_string(), message };
    let height = HEIGHT_OF_ONE * shown.len();
    let mut palette = Palette::new(shown.iter().any(|pair| pair.runs.len() > 2));
    let mut gif =
        GifWriter::new(out, WIDTH as u16, height as u16, &palette.colors).map_err(|error| failed(error.to_string()))?;
    let (wide, high) = (WIDTH * SCALE as usize, height * SCALE as usize);
    let mut rgb = vec![0u8; wide * high * 3];
    for step in frame_steps(most) {
        {
            let size = (wide as u32, high as u32);
            let area = BitMapBackend::with_buffer(&mut rgb, size).into_drawing_area();
            draw(&shown, step, &area).map_err(failed)?;
        }
        let delay = if step + 1 == most { LAST_FRAME } else { FRAME };
        let frame = palette.averaged(&rgb, wide);
        gif.frame(frame, delay).map_err(|error| failed(error.to_string()))?;
    }
    gif.finish().map_err(|error| failed(error.to_string()))?;
    Ok(true)
}

fn draw(shown: &[&Comparison], step: usize, area: &Area<BitMapBackend>) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    area.fill(&PAPER).map_err(|error| text(&error))?;
    let parts = area.split_evenly((shown.len(), 1));
    for (pair, part) in shown.iter().zip(&parts) {
        let step = step.min(pair.reference().steps().saturating_sub(1));
        figures::fit(pair, step).draw(part).map_err(|error| text(&error))?;
    }
    area.present().map_err(|error| text(&error))
}

/// The colours that can occur: each ink, and its soft edge towards what it may lie on.
struct Palette {
    colors: Vec<[u8; 3]>,
    /// The nearest entry of every colour met so far; anti-aliasing makes a few thousand.
    nearest: FxHashMap<[u8; 3], u8>,
}

impl Palette {
    /// A third run has an ink more, which lies on that of the second; the shades of all are fewer then.
    fn new(three: bool) -> Self {
        let (mut inks, mut grounds) = (vec![INK, MUTED, TARGET, EAGER, TRACED, GRID], vec![PAPER, BAND, EAGER]);
        if three {
            inks.push(DEVICE);
            grounds.push(TRACED);
        }
        let mut colors: Vec<[u8; 3]> = grounds.iter().map(|ground| channels(*ground)).collect();
        for ground in grounds {
            for ink in inks.iter().filter(|ink| ground != TRACED || **ink == DEVICE) {
                let shades = match (ground == PAPER, three) {
                    (true, false) => 16,
                    (false, false) => 11,
                    (true, true) => 14,
                    (false, true) => 9,
                };
                colors.extend((1..=shades).map(|i| blend(channels(ground), channels(*ink), i, shades)));
            }
        }
        colors.sort_unstable();
        colors.dedup();
        assert!(colors.len() <= MOST_COLORS, "bug in allotrope: {} colours", colors.len());
        Self { colors, nearest: FxHashMap::default() }
    }

    /// A frame of indices from an RGB picture `SCALE` times larger each way.
    fn averaged(&mut self, rgb: &[u8], wide: usize) -> Vec<u8> {
        let scale = SCALE as usize;
        let (width, height) = (wide / scale, rgb.len() / 3 / wide / scale);
        let mut frame = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let mut sums = [0usize; 3];
                for row in y * scale..(y + 1) * scale {
                    let first = (row * wide + x * scale) * 3;
                    for (i, value) in rgb[first..first + 3 * scale].iter().enumerate() {
                        sums[i % 3] += usize::from(*value);
                    }
                }
                let pixels = scale * scale;
                let color = sums.map(|sum| ((sum + pixels / 2) / pixels) as u8);
                frame.push(self.index(color));
            }
        }
        frame
    }

    fn index(&mut self, color: [u8; 3]) -> u8 {
        let colors = &self.colors;
        *self.nearest.entry(color).or_insert_with(|| {
            let distance = |other: &[u8; 3]| -> u32 {
                let parts = other.iter().zip(color);
                parts.map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
            };
            let nearest = colors.iter().enumerate().min_by_key(|(_, other)| distance(other));
            nearest.map_or(0, |(index, _)| index as u8)
        })
    }
}

fn channels(RGBColor(r, g, b): RGBColor) -> [u8; 3] {
    [r, g, b]
}

fn blend(from: [u8; 3], to: [u8; 3], part: u32, of: u32) -> [u8; 3] {
    let mix = |i: usize| {
        let (a, b) = (u32::from(from[i]), u32::from(to[i]));
        ((a * (of - part) + b * part + of / 2) / of) as u8
    };
    [mix(0), mix(1), mix(2)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::run::Contract;
    use crate::cli::sequence::Program;
    use crate::cli::synthetic;

    #[test]
    fn the_animation_is_a_small_gif() {
        let mut bytes = Vec::new();
        assert!(write(&synthetic::comparisons(), &mut bytes).expect("drawn"));
        assert_eq!(&bytes[..6], b"GIF89a");
        assert_eq!(u16::from_le_bytes([bytes[6], bytes[7]]), WIDTH as u16);
        assert_eq!(bytes.last(), Some(&0x3b));
        assert!(bytes.len() < 1_000_000, "{} bytes", bytes.len());
    }

    #[test]
    fn a_device_has_its_ink() {
        let [with, without] = [true, false].map(|three| Palette::new(three).colors);
        assert!(with.contains(&channels(DEVICE)) && !without.contains(&channels(DEVICE)));
        let mut bytes = Vec::new();
        assert!(write(&[synthetic::on_a_device(Program::Fixed, Contract::EqualBits)], &mut bytes).expect("drawn"));
    }

    #[test]
    fn without_a_fit_nothing_is_written() {
        let mut pairs = synthetic::comparisons();
        pairs.retain(|pair| pair.reference().fits.is_empty());
        let mut bytes = Vec::new();
        assert!(!write(&pairs, &mut bytes).expect("nothing to draw"));
        assert!(bytes.is_empty());
    }
}
