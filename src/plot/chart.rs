//! What a chart shows: axes, lines or dots, cells behind them, a legend. How it is drawn is the next file's business.

use super::axis::{Axis, Unit};
use super::cells::Cells;
use super::theme::{COLORS, rgb};
use super::values::Values;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mark {
    /// A line of so many half pixels.
    Line(u32),
    Dots,
    /// Bars from zero, this wide in units of the x axis.
    Bars(f64),
    /// The label of the series as text at each point.
    Text,
}

/// Points of one look.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// In the legend; series that share a label have one entry, and an empty label none.
    pub(crate) label: String,
    pub(crate) color: Color,
    pub(crate) mark: Mark,
    pub(crate) points: Vec<(f64, f64)>,
}

/// From one number to another along an axis.
type Range = (f64, f64);

/// What is asked of an axis.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    pub(crate) label: String,
    /// None: that of what is drawn.
    pub(crate) range: Option<(f64, f64)>,
    pub(crate) logarithmic: bool,
    pub(crate) unit: Unit,
    /// Ticks of a linear axis, about.
    pub(crate) ticks: usize,
}

impl Scale {
    fn new(ticks: usize) -> Scale {
        Scale { label: String::new(), range: None, logarithmic: false, unit: Unit::Plain, ticks }
    }

    fn axis(&self, values: impl Iterator<Item = f64> + Clone) -> Axis {
        if self.logarithmic {
            return match self.range {
                Some((low, high)) => Axis::logarithmic(&self.label, [low, high].into_iter(), self.unit),
                None => Axis::logarithmic(&self.label, values, self.unit),
            };
        }
        let (low, high) = self.range.unwrap_or_else(|| {
            let finite = values.filter(|x| x.is_finite());
            let (low, high) = (finite.clone().fold(f64::INFINITY, f64::min), finite.fold(f64::NEG_INFINITY, f64::max));
            if low > high { (0.0, 1.0) } else { (low, high) }
        });
        Axis::linear(&self.label, low, high, self.ticks)
    }
}

/// One chart, put together call by call. What does not fit is said by [`Chart::save`].
///
/// ```
/// use allotrope::{plot::Chart, prelude::*};
/// let x = Tensor::linspace(0.0, 1.0, 50);
/// let svg = Chart::new("A line").x("x").y("y").line("3x", &x, &(&x * 3.0)).scatter("data", &x, &(&x * 3.0 + 0.1)).svg()?;
/// assert!(svg.starts_with("<svg"));
/// # Ok::<(), allotrope::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Chart {
    pub(super) title: String,
    pub(super) x: Scale,
    pub(super) y: Scale,
    /// A shaded stretch of the x axis.
    pub(super) band: Option<(f64, f64)>,
    /// Behind everything.
    pub(super) cells: Option<Cells>,
    /// Drawn in this order, the last on top.
    pub(super) series: Vec<Series>,
    /// Logical pixels.
    pub(super) size: (u32, u32),
    problem: Option<Error>,
}

impl Chart {
    pub fn new(title: impl Into<String>) -> Chart {
        Chart {
            title: title.into(),
            x: Scale::new(6),
            y: Scale::new(6),
            band: None,
            cells: None,
            series: Vec::new(),
            size: (560, 320),
            problem: None,
        }
    }

    /// Names the horizontal axis.
    #[must_use]
    pub fn x(mut self, label: impl Into<String>) -> Chart {
        self.x.label = label.into();
        self
    }

    /// Names the vertical axis.
    #[must_use]
    pub fn y(mut self, label: impl Into<String>) -> Chart {
        self.y.label = label.into();
        self
    }

    /// The horizontal axis from one number to another; without it, that of what is drawn.
    #[must_use]
    pub fn x_range(mut self, low: f64, high: f64) -> Chart {
        self.x.range = Some((low, high));
        self
    }

    /// As [`Chart::x_range`], vertically.
    #[must_use]
    pub fn y_range(mut self, low: f64, high: f64) -> Chart {
        self.y.range = Some((low, high));
        self
    }

    /// A logarithmic horizontal axis; numbers that are not positive have no place there.
    #[must_use]
    pub fn log_x(mut self) -> Chart {
        self.x.logarithmic = true;
        self
    }

    /// As [`Chart::log_x`], vertically.
    #[must_use]
    pub fn log_y(mut self) -> Chart {
        self.y.logarithmic = true;
        self
    }

    /// Width and height in pixels; 560 by 320 without it.
    #[must_use]
    pub fn size(mut self, width: u32, height: u32) -> Chart {
        if !(1..=4096).contains(&width) || !(1..=4096).contains(&height) {
            return self.wrong(format!("a plot may have 1 to 4096 pixels each way, got {width} by {height}"));
        }
        self.size = (width, height);
        self
    }

    /// Points joined by a line; a number that is not finite is a gap.
    #[must_use]
    pub fn line(self, label: impl Into<String>, x: impl Values, y: impl Values) -> Chart {
        let color = self.next_color();
        self.points(label, Mark::Line(4), color, x.values(), y.values())
    }

    /// As [`Chart::line`], in a colour of one's own.
    #[must_use]
    pub fn line_in(self, color: Color, label: impl Into<String>, x: impl Values, y: impl Values) -> Chart {
        self.points(label, Mark::Line(4), color, x.values(), y.values())
    }

    /// A dot at each point.
    #[must_use]
    pub fn scatter(self, label: impl Into<String>, x: impl Values, y: impl Values) -> Chart {
        let color = self.next_color();
        self.points(label, Mark::Dots, color, x.values(), y.values())
    }

    /// As [`Chart::scatter`], in a colour of one's own.
    #[must_use]
    pub fn scatter_in(self, color: Color, label: impl Into<String>, x: impl Values, y: impl Values) -> Chart {
        self.points(label, Mark::Dots, color, x.values(), y.values())
    }

    /// The label itself at each point: classes in an embedding of two dimensions.
    #[must_use]
    pub fn text(self, label: impl Into<String>, x: impl Values, y: impl Values) -> Chart {
        let color = self.next_color();
        self.points(label, Mark::Text, color, x.values(), y.values())
    }

    /// How many of the numbers lie in each of `bins` equal intervals from the least to the largest; those that are not finite
    /// are left out.
    #[must_use]
    pub fn histogram(mut self, label: impl Into<String>, values: impl Values, bins: usize) -> Chart {
        let values = match values.values() {
            Ok(values) => values.into_iter().filter(|x| x.is_finite()).collect::<Vec<_>>(),
            Err(error) => return self.failed(error),
        };
        if bins == 0 || bins > 10_000 {
            return self.wrong(format!("a histogram may have 1 to 10000 bins, got {bins}"));
        }
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low < high { (low, high) } else { (low.min(0.0), low.min(0.0) + 1.0) };
        let width = (high - low) / bins as f64;
        let mut counts = vec![0usize; bins];
        for x in &values {
            // The largest belongs to the last interval.
            counts[(((x - low) / width) as usize).min(bins - 1)] += 1;
        }
        let most = counts.iter().max().copied().unwrap_or(0);
        self.y.range.get_or_insert((0.0, most.max(1) as f64 * 1.05));
        let color = self.next_color();
        let x = (0..bins).map(|i| low + (i as f64 + 0.5) * width).collect();
        self.x.range.get_or_insert((low, high));
        let counts = counts.into_iter().map(|n| n as f64).collect();
        self.points(label, Mark::Bars(width), color, Ok(x), Ok(counts))
    }

    /// A matrix `[rows, columns]` as colours from dark to light, over these ranges; row 0 is at the bottom.
    #[must_use]
    pub fn heat_map(self, values: &Tensor, x: (f64, f64), y: (f64, f64)) -> Chart {
        self.behind(values, x, y, Cells::of_numbers)
    }

    /// A matrix `[rows, columns]` of classes (whole numbers) as one soft colour each, the colours of the series in order: the
    /// decision regions of a classifier.
    #[must_use]
    pub fn regions(self, classes: &Tensor, x: (f64, f64), y: (f64, f64)) -> Chart {
        self.behind(classes, x, y, Cells::of_classes)
    }

    fn behind(
        mut self,
        values: &Tensor,
        x: (f64, f64),
        y: (f64, f64),
        cells: fn(usize, &[f64], Range, Range) -> Cells,
    ) -> Chart {
        let &[rows, columns] = values.shape() else {
            return self.wrong(format!("cells are a matrix, got shape {:?}", values.shape()));
        };
        if rows == 0 || columns == 0 || rows * columns > 1 << 20 {
            return self.wrong(format!("cells may be 1 to 2^20, got {rows} by {columns}"));
        }
        match values.values() {
            Ok(values) => {
                self.x.range.get_or_insert(x);
                self.y.range.get_or_insert(y);
                self.cells = Some(cells(columns, &values, x, y));
                self
            }
            Err(error) => self.failed(error),
        }
    }

    /// A shaded stretch of the x axis.
    #[must_use]
    pub fn band(mut self, from: f64, to: f64) -> Chart {
        self.band = Some((from, to));
        self
    }

    /// Numbers of the vertical axis are seconds.
    pub(crate) fn y_in_seconds(mut self) -> Chart {
        self.y.unit = Unit::Seconds;
        self
    }

    /// About so many ticks each way.
    pub(crate) fn ticks(mut self, x: usize, y: usize) -> Chart {
        (self.x.ticks, self.y.ticks) = (x, y);
        self
    }

    pub(crate) fn with(mut self, series: Series) -> Chart {
        self.series.push(series);
        self
    }

    fn points(
        mut self,
        label: impl Into<String>,
        mark: Mark,
        color: Color,
        x: Result<Vec<f64>>,
        y: Result<Vec<f64>>,
    ) -> Chart {
        let label = label.into();
        match (x, y) {
            (Ok(x), Ok(y)) if x.len() == y.len() => {
                let points = x.into_iter().zip(y).collect();
                self.series.push(Series { label, color, mark, points });
                self
            }
            (Ok(x), Ok(y)) => self.wrong(format!("{label}: {} numbers along x and {} along y", x.len(), y.len())),
            (Err(error), _) | (_, Err(error)) => self.failed(error),
        }
    }

    /// The colour after those of the series so far.
    fn next_color(&self) -> Color {
        COLORS[self.series.len() % COLORS.len()]
    }

    fn wrong(self, message: String) -> Chart {
        let message = format!("plot {:?}: {message}", self.title);
        self.failed(Error::argument(message))
    }

    fn failed(mut self, error: Error) -> Chart {
        self.problem.get_or_insert(error);
        self
    }

    /// What does not fit, where something does not.
    pub(super) fn checked(&self) -> Result<()> {
        self.problem.clone().map_or(Ok(()), Err)
    }

    /// Both axes as they are to be drawn.
    pub(super) fn axes(&self) -> (Axis, Axis) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        (self.x.axis(points().map(|p| p.0)), self.y.axis(points().map(|p| p.1)))
    }
}

impl From<Color> for plotters::style::RGBColor {
    fn from(color: Color) -> Self {
        rgb(color)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_said_when_it_is_drawn() {
        let error = Chart::new("t").line("a", [1.0, 2.0], [1.0]).svg().expect_err("2 and 1").to_string();
        assert!(error.contains("2 numbers along x and 1 along y"), "{error}");
        let cube = Tensor::zeros(&[2, 2, 2], allotrope_ir::DType::F32);
        let error = Chart::new("t").heat_map(&cube, (0.0, 1.0), (0.0, 1.0)).svg().expect_err("no matrix").to_string();
        assert!(error.contains("[2, 2, 2]"), "{error}");
        assert!(Chart::new("t").histogram("h", [1.0], 0).svg().is_err());
        assert!(Chart::new("t").size(0, 5).svg().is_err());
    }

    #[test]
    fn a_histogram_counts_every_finite_number_once() {
        let values = [0.0, 0.1, 0.9, 1.0, f64::NAN, f64::INFINITY];
        let chart = Chart::new("t").histogram("h", values, 4);
        let counts: Vec<f64> = chart.series[0].points.iter().map(|p| p.1).collect();
        assert_eq!(counts, [2.0, 0.0, 0.0, 2.0]);
        assert!(Chart::new("t").histogram("h", [3.0, 3.0], 4).svg().is_ok(), "equal numbers are a histogram too");
        assert!(Chart::new("t").histogram("h", Vec::<f64>::new(), 4).svg().is_ok(), "and so are none");
    }

    #[test]
    fn nothing_to_draw_and_odd_numbers_are_drawn() {
        assert!(Chart::new("empty").svg().is_ok());
        let odd = [f64::NAN, f64::INFINITY, -1e300, 1e300];
        assert!(Chart::new("odd").log_y().line("a", 0..4, odd).scatter("b", 0..4, odd).svg().is_ok());
        assert!(Chart::new("odd").line("a", 0..4, odd).svg().is_ok());
    }
}
