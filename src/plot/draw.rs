//! Draws a chart on any of plotters' back ends: the same code makes SVG, PNG and the frames of an animation. It never decides what is
//! shown, only how.

use super::axis::Axis;
use super::chart::{Chart, Mark, Series};
use super::theme::{BAND, FONT, GRID, INK, MUTED, SCALE, rgb};
use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontStyle, IntoFont, RGBColor, TextStyle};

pub(super) type Area<DB> = DrawingArea<DB, Shift>;
pub(super) type Drawn<DB> = Result<(), plotters::drawing::DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// Margin around the plotting field, in logical pixels.
const LEFT: i32 = 62;
const RIGHT: i32 = 18;
const TOP: i32 = 58;
const BOTTOM: i32 = 46;

/// A chart with its axes.
struct Plot<'a> {
    chart: &'a Chart,
    x: Axis,
    y: Axis,
    corners: Corners,
}

/// What becomes of the corner where a line turns sharply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Corners {
    /// Whoever shows the picture cuts it off, as the SVG standard says.
    Limited,
    /// The longer the sharper, without an end, as plotters draws it in pixels.
    Unlimited,
}

/// Draws into the whole of `area`, whose pixels are `SCALE` to a logical one.
pub(super) fn draw<DB: DrawingBackend>(chart: &Chart, area: &Area<DB>, corners: Corners) -> Drawn<DB> {
    let (x, y) = chart.axes();
    Plot { chart, x, y, corners }.draw(area)
}

impl Plot<'_> {
    fn draw<DB: DrawingBackend>(&self, area: &Area<DB>) -> Drawn<DB> {
        let (width, height) = area.dim_in_pixel();
        let field = Field {
            left: LEFT * SCALE,
            right: width as i32 - RIGHT * SCALE,
            top: TOP * SCALE,
            bottom: height as i32 - BOTTOM * SCALE,
        };
        if field.left >= field.right || field.top >= field.bottom {
            return Ok(()); // Too small for a plot: leave the area empty rather than draw over its edges.
        }
        self.draw_band(area, &field)?;
        self.draw_cells(area, &field)?;
        self.draw_axes(area, &field)?;
        for series in &self.chart.series {
            self.draw_series(area, &field, series)?;
        }
        let title = text(13.5, INK, FontStyle::Bold, HPos::Left, VPos::Top);
        area.draw(&Text::new(self.chart.title.clone(), (14 * SCALE, 9 * SCALE), title))?;
        self.draw_legend(area, &field)
    }

    fn draw_band<DB: DrawingBackend>(&self, area: &Area<DB>, field: &Field) -> Drawn<DB> {
        let Some((from, to)) = self.chart.band else {
            return Ok(());
        };
        let (Some(from), Some(to)) = (self.x.place(from), self.x.place(to)) else {
            return Ok(());
        };
        let corners = [(field.x(from.clamp(0.0, 1.0)), field.top), (field.x(to.clamp(0.0, 1.0)), field.bottom)];
        area.draw(&Rectangle::new(corners, BAND.filled()))
    }

    fn draw_cells<DB: DrawingBackend>(&self, area: &Area<DB>, field: &Field) -> Drawn<DB> {
        let Some(cells) = &self.chart.cells else {
            return Ok(());
        };
        let rows = cells.colors.len() / cells.columns;
        let edge = |(low, high): (f64, f64), i: usize, of: usize| low + (high - low) * i as f64 / of as f64;
        let x = |i| self.x.place(edge(cells.x, i, cells.columns)).map(|x| field.x(x.clamp(0.0, 1.0)));
        let y = |i| self.y.place(edge(cells.y, i, rows)).map(|y| field.y(y.clamp(0.0, 1.0)));
        for (row, colors) in cells.colors.chunks(cells.columns).enumerate() {
            let mut first = 0;
            // Neighbours of one colour are one rectangle: regions are mostly such, and SVG stays small.
            for block in colors.chunk_by(|a, b| a == b) {
                let last = first + block.len();
                if let (Some(left), Some(right), Some(bottom), Some(top)) = (x(first), x(last), y(row), y(row + 1)) {
                    area.draw(&Rectangle::new([(left, top), (right, bottom)], rgb(block[0]).filled()))?;
                }
                first = last;
            }
        }
        Ok(())
    }

    fn draw_axes<DB: DrawingBackend>(&self, area: &Area<DB>, field: &Field) -> Drawn<DB> {
        let line = |points: Vec<(i32, i32)>, color: RGBColor| {
            area.draw(&PathElement::new(points, color.stroke_width(SCALE as u32)))
        };
        for (value, label) in &self.y.ticks {
            let Some(place) = self.y.place(*value) else { continue };
            let y = field.y(place);
            line(vec![(field.left, y), (field.right, y)], GRID)?;
            let style = text(11.0, MUTED, FontStyle::Normal, HPos::Right, VPos::Center);
            area.draw(&Text::new(label.clone(), (field.left - 7 * SCALE, y), style))?;
        }
        for (value, label) in &self.x.ticks {
            let Some(place) = self.x.place(*value) else { continue };
            let x = field.x(place);
            line(vec![(x, field.bottom), (x, field.bottom + 4 * SCALE)], MUTED)?;
            let style = text(11.0, MUTED, FontStyle::Normal, HPos::Center, VPos::Top);
            area.draw(&Text::new(label.clone(), (x, field.bottom + 7 * SCALE), style))?;
        }
        line(vec![(field.left, field.bottom), (field.right, field.bottom)], MUTED)?;
        let style = text(11.5, INK, FontStyle::Normal, HPos::Center, VPos::Top);
        let middle = (field.left + field.right) / 2;
        area.draw(&Text::new(self.x.label.clone(), (middle, field.bottom + 25 * SCALE), style))?;
        // The vertical axis says what it is above its top end, where it reads without turning the head.
        let style = text(11.5, INK, FontStyle::Normal, HPos::Left, VPos::Center);
        area.draw(&Text::new(self.y.label.clone(), (14 * SCALE, field.top - 17 * SCALE), style))
    }

    fn draw_series<DB: DrawingBackend>(&self, area: &Area<DB>, field: &Field, series: &Series) -> Drawn<DB> {
        let pixel = |&(x, y): &(f64, f64)| {
            let (x, y) = (self.x.place(x)?, self.y.place(y)?);
            let inside = (-0.001..=1.001).contains(&x);
            inside.then(|| (field.x(x), field.y(y.clamp(-0.02, 1.02))))
        };
        match series.mark {
            Mark::Dots => {
                for at in series.points.iter().filter_map(pixel) {
                    area.draw(&Circle::new(at, 2 * SCALE, rgb(series.color).filled()))?;
                }
            }
            Mark::Text => {
                let style = text(11.0, rgb(series.color), FontStyle::Bold, HPos::Center, VPos::Center);
                for at in series.points.iter().filter_map(pixel) {
                    area.draw(&Text::new(series.label.clone(), at, style.clone()))?;
                }
            }
            Mark::Bars(width) => {
                let zero = self.y.place(0.0).map_or(field.bottom, |y| field.y(y.clamp(0.0, 1.0)));
                for &(x, y) in &series.points {
                    let ends = (pixel(&(x - 0.48 * width, y)), pixel(&(x + 0.48 * width, y)));
                    if let (Some((left, top)), Some((right, _))) = ends {
                        area.draw(&Rectangle::new([(left, top), (right, zero)], rgb(series.color).filled()))?;
                    }
                }
            }
            Mark::Line(width) => {
                let style = rgb(series.color).stroke_width(width);
                // A value without a place (NaN, or zero on a logarithmic axis) is a gap in the line.
                for part in series.points.split(|point| pixel(point).is_none()) {
                    let mut path: Vec<_> = part.iter().filter_map(pixel).collect();
                    path.dedup();
                    match path[..] {
                        [] => {}
                        [at] => area.draw(&Circle::new(at, width.max(3), style.filled()))?,
                        _ if self.corners == Corners::Limited => area.draw(&PathElement::new(path, style))?,
                        _ => {
                            for smooth in between_sharp_turns(&path) {
                                area.draw(&PathElement::new(smooth, style))?;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Entries from the right end leftwards, on the line of the vertical axis's name.
    fn draw_legend<DB: DrawingBackend>(&self, area: &Area<DB>, field: &Field) -> Drawn<DB> {
        let y = field.top - 17 * SCALE;
        let mut x = field.right;
        let style = text(11.5, INK, FontStyle::Normal, HPos::Left, VPos::Center);
        let mut shown: Vec<&str> = Vec::new();
        for series in self.chart.series.iter().rev() {
            if series.label.is_empty() || series.mark == Mark::Text || shown.contains(&series.label.as_str()) {
                continue;
            }
            shown.push(&series.label);
            let (width, _) = area.estimate_text_size(&series.label, &style)?;
            x -= width as i32;
            area.draw(&Text::new(series.label.clone(), (x, y), style.clone()))?;
            x -= 6 * SCALE;
            match series.mark {
                // The text stands at the points; its colour is explained by itself.
                Mark::Text => {}
                Mark::Dots | Mark::Bars(_) => {
                    let at = (x - 3 * SCALE, y);
                    area.draw(&Circle::new(at, 3 * SCALE, rgb(series.color).filled()))?;
                    x -= 6 * SCALE;
                }
                Mark::Line(width) => {
                    let sample = vec![(x - 20 * SCALE, y), (x, y)];
                    let style = rgb(series.color).stroke_width(width.max(4));
                    area.draw(&PathElement::new(sample, style))?;
                    x -= 20 * SCALE;
                }
            }
            x -= 16 * SCALE;
        }
        Ok(())
    }
}

/// The parts of a path, no two of whose neighbours are equal, between its sharp turns: where a corner would be longer
/// than four times the width of the line, the limit of SVG.
fn between_sharp_turns(path: &[(i32, i32)]) -> Vec<Vec<(i32, i32)>> {
    let is_sharp = |at: usize| {
        let way = |from: (i32, i32), to: (i32, i32)| (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
        let (a, b) = (way(path[at], path[at - 1]), way(path[at], path[at + 1]));
        // The corner is as many widths long as 1 / sin(angle / 2).
        a.0 * b.0 + a.1 * b.1 > 0.875 * a.0.hypot(a.1) * b.0.hypot(b.1)
    };
    let last = path.len() - 1;
    let turns = (1..last).filter(|&at| is_sharp(at));
    let ends: Vec<usize> = std::iter::once(0).chain(turns).chain([last]).collect();
    ends.windows(2).map(|ends| path[ends[0]..=ends[1]].to_vec()).collect()
}

/// The plotting field in pixels.
struct Field {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl Field {
    fn x(&self, part: f64) -> i32 {
        self.left + (part * f64::from(self.right - self.left)).round() as i32
    }

    fn y(&self, part: f64) -> i32 {
        self.bottom - (part * f64::from(self.bottom - self.top)).round() as i32
    }
}

/// Text of `size` logical pixels; plotters' sizes are line heights, about 1.24 of that.
pub(super) fn text(size: f64, color: RGBColor, style: FontStyle, h: HPos, v: VPos) -> TextStyle<'static> {
    let font = (FONT, size * 1.24 * f64::from(SCALE)).into_font().style(style);
    TextStyle { font, color: color.to_backend_color(), pos: Pos::new(h, v) }
}
