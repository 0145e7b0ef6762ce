//! A matrix as coloured cells: heat maps and decision regions.

use super::chart::Color;
use super::theme::COLORS;

/// Cells of equal size over a rectangle of the axes; row 0 is at the bottom.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    pub(super) columns: usize,
    pub(super) colors: Vec<Color>,
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
}

/// Five colours of the map "viridis" (Smith and van der Walt), between which it is interpolated.
const MAP: [Color; 5] =
    [Color(68, 1, 84), Color(59, 82, 139), Color(33, 145, 140), Color(94, 201, 98), Color(253, 231, 37)];
const NOT_FINITE: Color = Color(255, 255, 255);

impl Cells {
    pub(super) fn of_numbers(columns: usize, values: &[f64], x: (f64, f64), y: (f64, f64)) -> Cells {
        let finite = || values.iter().copied().filter(|v| v.is_finite());
        let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
        let color = |value: &f64| match value.is_finite() {
            true => mapped(if low < high { (value - low) / (high - low) } else { 0.5 }),
            false => NOT_FINITE,
        };
        Cells { columns, colors: values.iter().map(color).collect(), x, y }
    }

    pub(super) fn of_classes(columns: usize, values: &[f64], x: (f64, f64), y: (f64, f64)) -> Cells {
        let color = |value: &f64| match value.is_finite() {
            true => soft(COLORS[value.max(0.0) as usize % COLORS.len()]),
            false => NOT_FINITE,
        };
        Cells { columns, colors: values.iter().map(color).collect(), x, y }
    }
}

/// The colour at a place from 0 to 1.
fn mapped(part: f64) -> Color {
    let at = part.clamp(0.0, 1.0) * (MAP.len() - 1) as f64;
    let first = (at as usize).min(MAP.len() - 2);
    blended(MAP[first], MAP[first + 1], at - first as f64)
}

/// Mostly white.
fn soft(color: Color) -> Color {
    blended(color, Color(255, 255, 255), 0.72)
}

fn blended(Color(r, g, b): Color, to: Color, part: f64) -> Color {
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * part).round() as u8;
    Color(mix(r, to.0), mix(g, to.1), mix(b, to.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_map_are_its_colours() {
        let cells = Cells::of_numbers(3, &[-1.0, 3.0, f64::NAN], (0.0, 1.0), (0.0, 1.0));
        assert_eq!(cells.colors, [MAP[0], MAP[4], NOT_FINITE]);
        assert_eq!(Cells::of_numbers(1, &[5.0], (0.0, 1.0), (0.0, 1.0)).colors, [MAP[2]]);
    }
}
