//! Which charts the report has: loss by step, time by step or by length, the prediction over its target.
//!
//! It chooses data, labels and order; drawing is the chart's business, folders and pages are not known here.

use super::axis::{Axis, Unit};
use super::chart::{Chart, Mark, Series};
use super::theme::{FONT, PAPER, SCALE, TARGET, color_of, register_fonts};
use crate::cli::comparison::Comparison;
use crate::cli::error::CliError;
use crate::cli::run::{Fit, Run, STEPS_IN_VIEW};
use crate::cli::sequence::Program;
use plotters::backend::SVGBackend;
use plotters::drawing::IntoDrawingArea;
use plotters::style::RGBColor;

/// Logical pixels of a plot.
const WIDTH: u32 = 560;
const HEIGHT: u32 = 320;
/// More points than this tell nothing more at that width.
const MOST_POINTS: usize = 1200;

/// Half pixels of the line of each run: the first is wide and lies below, the last thin and on top, so that equal lines
/// show as blue with an amber rim and different ones as two colours.
fn widths(runs: usize) -> &'static [u32] {
    if runs <= 2 { &[9, 3] } else { &[13, 7, 2] }
}

/// The same where the lines go up and down so often that wide ones would hide it.
fn thin_widths(runs: usize) -> &'static [u32] {
    if runs <= 2 { &[6, 2] } else { &[10, 5, 1] }
}

/// A plot that is a file of its own and part of the page.
pub struct Figure {
    /// File name in the report.
    pub file: String,
    /// What it shows, in one sentence, for readers and for screen readers.
    pub caption: String,
    pub svg: String,
}

/// Every figure of one program, in reading order.
pub fn figures(pair: &Comparison) -> Result<Vec<Figure>, CliError> {
    let program = pair.program();
    let name = program.name();
    let mut charts = vec![(format!("loss_{name}.svg"), LOSS_CAPTION, loss(pair))];
    charts.push(match program {
        Program::Variable => (format!("time_{name}.svg"), LENGTH_CAPTION, time_by_length(pair)),
        _ => (format!("time_{name}.svg"), TIME_CAPTION, time_by_step(pair)),
    });
    if let Some(chart) = last_fit(pair) {
        charts.push((format!("fit_{name}.svg"), FIT_CAPTION, chart));
    }
    let device = pair.runs.iter().find_map(|run| run.column.on.as_ref());
    let device = device.map_or(String::new(), |on| format!(" The dark colour is the traced program on {}.", on.device));
    let figure = |(file, caption, chart): (String, &str, Chart)| {
        Ok(Figure { svg: svg(&chart, &file)?, file, caption: format!("{caption}{device}") })
    };
    charts.into_iter().map(figure).collect()
}

const LOSS_CAPTION: &str = "Mean squared error of each training step. The blue line lies on the amber one \
    where the modes agree; any gap between them is a difference in bits.";
const TIME_CAPTION: &str = "Wall time of each whole training step: forward, loss, backward, Adam. \
    The first traced step includes the compilation.";
const LENGTH_CAPTION: &str = "Wall time of each training step over the length of its sequence, a length drawn \
    anew for every step. The one traced dot far above the others is the step that compiled; no other length \
    compiles again.";
const FIT_CAPTION: &str = "Prediction over target at the end of training; the shaded stretch is the last step's \
    window. Each step is drawn as it was predicted then, before its own update.";

fn loss(pair: &Comparison) -> Chart {
    let values = |run: &Run| {
        let losses = run.losses.iter().enumerate();
        losses.map(|(i, loss)| ((i + 1) as f64, f64::from(*loss))).collect::<Vec<_>>()
    };
    let all: Vec<Vec<(f64, f64)>> = pair.runs.iter().map(values).collect();
    let y = Axis::logarithmic("loss (MSE, log scale)", all.iter().flatten().map(|p| p.1), Unit::Plain);
    let all: Vec<_> = all.iter().map(|points| thinned(points)).collect();
    let runs = all.len();
    let widths = if all[0].len() > 200 { thin_widths(runs) } else { widths(runs) };
    let lines = pair.runs.iter().zip(widths).zip(all);
    Chart {
        title: format!("Loss, {}", pair.program().name()),
        x: steps_axis(pair),
        y,
        band: None,
        series: lines.map(|((run, width), points)| series_of(run, Mark::Line(*width), points)).collect(),
    }
}

fn time_by_step(pair: &Comparison) -> Chart {
    let points = |run: &Run| {
        let steps = run.step_seconds.iter().enumerate();
        steps.map(|(i, seconds)| ((i + 1) as f64, *seconds)).collect::<Vec<_>>()
    };
    time(pair, "Time per step", steps_axis(pair), Mark::Line(4), points)
}

fn time_by_length(pair: &Comparison) -> Chart {
    let points = |run: &Run| {
        let steps = run.spans.iter().zip(&run.step_seconds);
        steps.map(|(span, seconds)| (span.points as f64, *seconds)).collect::<Vec<_>>()
    };
    let longest = pair.reference().spans.iter().map(|span| span.points).max().unwrap_or(1);
    let x = Axis::linear("length of the sequence (points)", 0.0, longest as f64, 5);
    time(pair, "Time per step by length", x, Mark::Dots, points)
}

fn time(pair: &Comparison, what: &str, x: Axis, mark: Mark, points: impl Fn(&Run) -> Vec<(f64, f64)>) -> Chart {
    let seconds = pair.runs.iter().flat_map(|run| run.step_seconds.iter().copied());
    let y = Axis::logarithmic("time (log scale)", seconds, Unit::Seconds);
    let series = pair.runs.iter().map(|run| {
        let points = points(run);
        let shown = match mark {
            Mark::Dots => points.into_iter().take(MOST_POINTS).collect(),
            Mark::Line(_) => thinned(&points),
        };
        series_of(run, mark, shown)
    });
    Chart { title: format!("{what}, {}", pair.program().name()), x, y, band: None, series: series.collect() }
}

/// The window that the animation ends with; `None` where no fit was kept.
fn last_fit(pair: &Comparison) -> Option<Chart> {
    let step = pair.reference().fits.last()?.step;
    Some(fit(pair, step))
}

/// Prediction over target as it stood at `step`: that step's window shaded, those before it to its left.
pub fn fit(pair: &Comparison, step: usize) -> Chart {
    let first = (step + 1).saturating_sub(STEPS_IN_VIEW);
    let spans = &pair.reference().spans;
    // A fixed width of time, so that the animation slides and does not breathe.
    let longest = spans.iter().map(|span| span.extent).max().unwrap_or(1);
    let width = (4 * longest).max(8) as f64;
    let span = spans.get(step).copied();
    let (start, end) = span.map_or((0.0, 1.0), |s| (s.start as f64, (s.start + s.extent) as f64));
    let right = end.max(width);
    let mut lines = Vec::new();
    let mut add = |label: &str, color, width, run: &Run, values: fn(&Fit) -> &[f32]| {
        for fit in run.fits.iter().filter(|fit| (first..=step).contains(&fit.step)) {
            let points = fit.time.iter().zip(values(fit));
            let points = points.map(|(t, v)| (f64::from(*t), f64::from(*v))).collect();
            lines.push(series(label, color, Mark::Line(width), points));
        }
    };
    add("target", TARGET, 3, pair.reference(), |fit| &fit.target);
    for (run, width) in pair.runs.iter().zip(widths(pair.runs.len())) {
        add(&run.column.label(), color_of(&run.column), *width, run, |fit| &fit.prediction);
    }
    let loss = pair.reference().losses.get(step).copied().unwrap_or(f32::NAN);
    let steps = pair.reference().steps();
    Chart {
        title: format!("{}: step {} of {steps}, loss {loss:.4}", pair.program().name(), step + 1),
        x: Axis::linear("time (half-turns)", right - width, right, 8),
        y: Axis::linear("cos(t) and its prediction", -1.5, 1.5, 6),
        band: Some((start, end)),
        series: lines,
    }
}

fn steps_axis(pair: &Comparison) -> Axis {
    Axis::linear("training step", 0.0, pair.reference().steps().max(1) as f64, 6)
}

fn series_of(run: &Run, mark: Mark, points: Vec<(f64, f64)>) -> Series {
    series(&run.column.label(), color_of(&run.column), mark, points)
}

fn series(label: &str, color: RGBColor, mark: Mark, points: Vec<(f64, f64)>) -> Series {
    Series { label: label.to_string(), color, mark, points }
}

/// At most `MOST_POINTS`: the lowest and the highest of each bucket, in their order, so that no spike is lost.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let bucket = points.len().div_ceil(MOST_POINTS / 2);
    let ends = points.chunks(bucket).flat_map(|chunk| {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let low = chunk.iter().min_by(by_value).copied();
        let high = chunk.iter().max_by(by_value).copied();
        let mut pair: Vec<_> = [low, high].into_iter().flatten().collect();
        pair.sort_by(|a, b| a.0.total_cmp(&b.0));
        pair
    });
    ends.collect()
}

/// A chart as a stand-alone SVG document.
fn svg(chart: &Chart, file: &str) -> Result<String, CliError> {
    register_fonts();
    let mut text = String::new();
    {
        let size = (WIDTH * SCALE as u32, HEIGHT * SCALE as u32);
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let drawn = area.fill(&PAPER).and_then(|()| chart.draw(&area)).and_then(|()| area.present());
        drawn.map_err(|error| CliError::Draw { what: file.to_string(), message: error.to_string() })?;
    }
    // The coordinates are `SCALE` times larger than the picture, and every text has the one family.
    let (wide, high) = (WIDTH * SCALE as u32, HEIGHT * SCALE as u32);
    let drawn = format!("<svg width=\"{wide}\" height=\"{high}\"");
    let shown = format!("<svg width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"{FONT}\"");
    let family = format!(" font-family=\"{FONT}\"");
    Ok(text.replace(&family, "").replacen(&drawn, &shown, 1))
}

#[cfg(test)]
mod tests {
    use super::super::theme::{DEVICE, EAGER, hex};
    use super::*;
    use crate::cli::run::Contract;
    use crate::cli::synthetic;

    #[test]
    fn each_program_has_its_figures() {
        let files = |program| {
            let figures = figures(&synthetic::comparison(program)).expect("figures");
            figures.into_iter().map(|figure| figure.file).collect::<Vec<_>>()
        };
        let fixed = ["loss_rnn_fixed.svg", "time_rnn_fixed.svg", "fit_rnn_fixed.svg"];
        assert_eq!(files(Program::Fixed), fixed);
        assert_eq!(files(Program::Variable), ["loss_rnn_var_200.svg", "time_rnn_var_200.svg"]);
    }

    #[test]
    fn a_figure_is_one_svg_with_labelled_axes() {
        let figures = figures(&synthetic::comparison(Program::Dynamic)).expect("figures");
        for figure in figures {
            assert!(figure.svg.starts_with("<svg width=\"560\""), "{}", figure.file);
            assert!(figure.svg.trim_end().ends_with("</svg>"), "{}", figure.file);
            for word in ["eager", "traced"] {
                assert!(figure.svg.contains(word), "{} lacks {word}", figure.file);
            }
        }
    }

    #[test]
    fn a_device_is_a_series_of_its_own() {
        for program in Program::ALL {
            let all = synthetic::on_a_device(program, Contract::EqualBits);
            for figure in figures(&all).expect("figures") {
                assert!(figure.svg.contains("traced@cpu") && figure.svg.contains(&hex(DEVICE)), "{}", figure.file);
                assert!(figure.svg.contains(&hex(EAGER)), "{}", figure.file);
            }
        }
    }

    #[test]
    fn a_run_of_nan_losses_is_still_drawn() {
        let mut pair = synthetic::comparison(Program::Fixed);
        pair.runs.iter_mut().for_each(|run| run.losses.fill(f32::NAN));
        assert!(figures(&pair).is_ok());
    }

    #[test]
    fn thinning_keeps_the_spike() {
        let mut points: Vec<_> = (0..50_000).map(|i| (f64::from(i), 1.0)).collect();
        points[31_234].1 = 9.0;
        let thin = thinned(&points);
        assert!(thin.len() <= MOST_POINTS + 2);
        assert!(thin.contains(&(31_234.0, 9.0)));
    }
}
