//! Which charts the report has: loss by step, time by step or by length, the prediction over its target.
//!
//! It chooses data, labels and order; drawing is the chart's business, folders and pages are not known here.

use crate::compare::comparison::Comparison;
use crate::compare::run::{Column, Fit, Mode, Run, STEPS_IN_VIEW};
use crate::error::Result;
use crate::plot::theme::{DEVICE, EAGER, TARGET, TRACED};
use crate::plot::{Chart, Color, Mark, Series};
use std::collections::BTreeSet;

/// The colour of a run, wherever it is drawn.
pub(super) fn color_of(column: &Column) -> Color {
    match (&column.on, column.mode) {
        (Some(_), _) => DEVICE,
        (None, Mode::Eager) => EAGER,
        (None, Mode::Traced) => TRACED,
    }
}

/// Batches of more lengths than this show their times over the length.
const FEW_LENGTHS: usize = 8;
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
pub fn figures(pair: &Comparison) -> Result<Vec<Figure>> {
    let name = &file_name(&pair.name);
    let mut charts = vec![(format!("loss_{name}.svg"), LOSS_CAPTION, loss(pair))];
    let lengths: BTreeSet<usize> = pair.reference().lengths.iter().copied().collect();
    charts.push(match lengths.len() > FEW_LENGTHS {
        true => (format!("time_{name}.svg"), LENGTH_CAPTION, time_by_length(pair)),
        false => (format!("time_{name}.svg"), TIME_CAPTION, time_by_step(pair)),
    });
    if let Some(chart) = last_fit(pair) {
        charts.push((format!("fit_{name}.svg"), FIT_CAPTION, chart));
    }
    let device = pair.runs.iter().find_map(|run| run.column.on.as_ref());
    let device = device.map_or(String::new(), |on| format!(" The dark colour is the traced program on {}.", on.device));
    let figure = |(file, caption, chart): (String, &str, Chart)| {
        Ok(Figure { svg: chart.svg()?, file, caption: format!("{caption}{device}") })
    };
    charts.into_iter().map(figure).collect()
}

const LOSS_CAPTION: &str = "The loss of each training step. The blue line lies on the amber one \
    where the modes agree; any gap between them is a difference in bits.";
const TIME_CAPTION: &str = "Wall time of each whole training step: forward, loss, backward, update. \
    The first traced step includes the compilation.";
const LENGTH_CAPTION: &str = "Wall time of each training step over the length of its sequence, a length of \
    its own for every step. A traced dot far above the others is a step that compiled.";
const FIT_CAPTION: &str = "Prediction over target at the end of training; the shaded stretch is the last step's \
    window. Each step is drawn as it was predicted then, before its own update.";

fn loss(pair: &Comparison) -> Chart {
    let values = |run: &Run| {
        let losses = run.losses.iter().enumerate();
        losses.map(|(i, loss)| ((i + 1) as f64, *loss)).collect::<Vec<_>>()
    };
    let runs = pair.runs.len();
    let widths = if pair.reference().steps() > 200 { thin_widths(runs) } else { widths(runs) };
    let title = format!("Loss, {}", pair.name);
    let chart = over_steps(pair, title).y("loss (log scale)").log_y();
    pair.runs.iter().enumerate().fold(chart, |chart, (i, run)| {
        let width = widths[i.min(widths.len() - 1)];
        chart.with(series_of(run, Mark::Line(width), thinned(&values(run))))
    })
}

fn time_by_step(pair: &Comparison) -> Chart {
    let points = |run: &Run| {
        let steps = run.step_seconds.iter().enumerate();
        steps.map(|(i, seconds)| ((i + 1) as f64, *seconds)).collect::<Vec<_>>()
    };
    let chart = in_time(over_steps(pair, format!("Time per step, {}", pair.name)));
    pair.runs.iter().fold(chart, |chart, run| chart.with(series_of(run, Mark::Line(4), thinned(&points(run)))))
}

fn time_by_length(pair: &Comparison) -> Chart {
    let points = |run: &Run| {
        let steps = run.lengths.iter().zip(&run.step_seconds);
        steps.map(|(length, seconds)| (*length as f64, *seconds)).take(MOST_POINTS).collect::<Vec<_>>()
    };
    let longest = pair.reference().lengths.iter().max().copied().unwrap_or(1);
    let chart = Chart::new(format!("Time per step by length, {}", pair.name)).x("length of the batch");
    let chart = in_time(chart.x_range(0.0, longest as f64).ticks(5, 6));
    pair.runs.iter().fold(chart, |chart, run| chart.with(series_of(run, Mark::Dots, points(run))))
}

fn in_time(chart: Chart) -> Chart {
    chart.y("time (log scale)").log_y().y_in_seconds()
}

fn over_steps(pair: &Comparison, title: String) -> Chart {
    Chart::new(title).x("training step").x_range(0.0, pair.reference().steps().max(1) as f64)
}

/// The window that the animation ends with; `None` where no fit was kept.
fn last_fit(pair: &Comparison) -> Option<Chart> {
    let step = pair.reference().fits.last()?.step;
    Some(fit(pair, step))
}

/// Prediction over target as it stood at `step`: that step's window shaded, those before it to its left.
pub(super) fn fit(pair: &Comparison, step: usize) -> Chart {
    let first = (step + 1).saturating_sub(STEPS_IN_VIEW);
    let fits = &pair.reference().fits;
    let ends = |fit: &Fit| {
        let [start, end] = [fit.time.first(), fit.time.last()].map(|t| t.map_or(0.0, |t| f64::from(*t)));
        (start, end)
    };
    // A fixed width of time, so that the animation slides and does not breathe.
    let longest = fits.iter().map(ends).map(|(start, end)| end - start).fold(0.0, f64::max);
    let width = (4.0 * longest).max(f64::MIN_POSITIVE);
    let (start, end) = fits.iter().find(|fit| fit.step == step).map_or((0.0, 1.0), ends);
    let begin = fits.first().map_or(0.0, |fit| ends(fit).0);
    let right = end.max(begin + width);
    let values = fits.iter().flat_map(|fit| &fit.target).map(|y| f64::from(*y)).filter(|y| y.is_finite());
    let (low, high) = (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max));
    let (low, high) = if low < high { (low, high) } else { (-1.0, 1.0) };
    let margin = (high - low) / 4.0;
    let loss = pair.reference().losses.get(step).copied().unwrap_or(f64::NAN);
    let steps = pair.reference().steps();
    let mut chart = Chart::new(format!("{}: step {} of {steps}, loss {loss:.4}", pair.name, step + 1))
        .x("time")
        .x_range(right - width, right)
        .y("target and prediction")
        .y_range(low - margin, high + margin)
        .ticks(8, 6)
        .band(start, end);
    let mut add = |label: &str, color, width, run: &Run, values: fn(&Fit) -> &[f32]| {
        for fit in run.fits.iter().filter(|fit| (first..=step).contains(&fit.step)) {
            let points = fit.time.iter().zip(values(fit));
            let points = points.map(|(t, v)| (f64::from(*t), f64::from(*v))).collect();
            chart = chart.clone().with(series(label, color, Mark::Line(width), points));
        }
    };
    add("target", TARGET, 3, pair.reference(), |fit| &fit.target);
    let widths = widths(pair.runs.len());
    for (i, run) in pair.runs.iter().enumerate() {
        add(&run.column.label(), color_of(&run.column), widths[i.min(widths.len() - 1)], run, |fit| &fit.prediction);
    }
    chart
}

/// A name that every file system takes.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

fn series_of(run: &Run, mark: Mark, points: Vec<(f64, f64)>) -> Series {
    series(&run.column.label(), color_of(&run.column), mark, points)
}

fn series(label: &str, color: Color, mark: Mark, points: Vec<(f64, f64)>) -> Series {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::run::Contract;
    use crate::compare::synthetic::{self, Program};
    use crate::plot::theme::hex;

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
        pair.runs.iter_mut().for_each(|run| run.losses.fill(f64::NAN));
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
