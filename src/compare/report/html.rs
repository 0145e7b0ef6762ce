//! `index.html`: the report as one page that opens from disk.
//!
//! Style and plots are in the page itself, the animation lies beside it; nothing is ever loaded from a network.

use super::data::Machine;
use super::figures::Figure;
use super::model::{Report, promises_bits};
use crate::compare::comparison::{Agreement, Comparison};
use crate::compare::format;
use crate::compare::run::{Accelerator, Contract, Run};
use crate::plot::theme::{self, BAND, DEVICE, EAGER, GRID, INK, MUTED, PAPER, TARGET, TRACED};
use plotters::style::RGBColor;
use std::collections::BTreeSet;

/// What the page is made of.
pub(super) struct Page<'a> {
    pub(super) report: &'a Report,
    pub(super) machine: &'a Machine,
    /// The figures of each comparison, in the same order.
    pub(super) figures: &'a [Vec<Figure>],
    pub(super) has_animation: bool,
    /// The names of all other files of the report.
    pub(super) files: &'a [String],
}

impl Page<'_> {
    pub(super) fn html(&self) -> String {
        let sections: String = (0..self.pairs().len()).map(|i| self.program(i)).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{css}{plot_colors}</style>\n</head>\n\
             <body>\n<main>\n{head}{tiles}{table}{guide}{sections}{animation}{kernels}{foot}</main>\n\
             </body>\n</html>\n",
            title = escape(&self.report.title),
            css = include_str!("../../../assets/report.css"),
            plot_colors = plot_colors(),
            head = self.head(),
            tiles = self.tiles(),
            table = self.table(),
            guide = GUIDE,
            animation = self.animation(),
            kernels = self.kernels(),
            foot = self.foot(),
        )
    }

    fn pairs(&self) -> &[Comparison] {
        &self.report.comparisons
    }

    fn head(&self) -> String {
        let devices: String = self.report.devices().into_iter().map(once_more).collect();
        format!(
            "<h1>{title}</h1>\n<p class=\"muted\">{intro} Each program ran twice: <b>eager</b>, where every step builds its graph \
             anew, and <b>traced</b>, where the whole step was captured once and compiled to one native \
             function.{devices}</p>\n",
            title = escape(&self.report.title),
            intro = escape(&self.report.intro),
        )
    }

    fn tiles(&self) -> String {
        let differing = self.pairs().iter().filter(|pair| pair.broken().is_some()).count();
        let modes_differ = self.pairs().iter().any(|pair| pair.difference(&pair.others()[0]).is_some());
        let values: usize = self.pairs().iter().map(|pair| pair.reference().losses.len()).sum();
        let parameters = self.pairs().iter().flat_map(|pair| &pair.reference().parameters);
        let parameters: usize = parameters.map(|p| p.bits.len()).sum();
        let verdict = if differing > 0 {
            let what = format!("{differing} of {} programs; see the table", self.pairs().len());
            tile("differs", if modes_differ { "The modes differ" } else { "The device differs" }, &what)
        } else {
            let what = format!("{values} losses and {parameters} trained parameters, compared as bits");
            match self.report.devices().first().map(|on| &on.contract) {
                Some(Contract::Within(stated)) if !self.pairs().iter().all(Comparison::agrees) => {
                    tile("equal", "Equal on the CPU", &format!("{what}; the device promises less: {stated}"))
                }
                _ => tile("equal", "Equal to the bit", &what),
            }
        };
        let runs = self.pairs().iter().flat_map(|pair| pair.others().iter().map(move |run| (pair, run)));
        let speeds = runs.map(|(pair, run)| {
            let what = format!(
                "faster step, {} {}: {} after {}",
                run.column.label(),
                pair.name,
                format::seconds(run.median_step_seconds()),
                format::seconds(pair.reference().median_step_seconds()),
            );
            tile("", &format::times(pair.step_speedup(run)), &what)
        });
        format!("<div class=\"tiles\">\n{verdict}{}</div>\n", speeds.collect::<String>())
    }

    fn table(&self) -> String {
        let rows: String = self.pairs().iter().flat_map(|pair| pair.runs.iter().map(|run| row(pair, run))).collect();
        let header: String = COLUMNS
            .map(|(name, text)| format!("<th{}>{name}</th>", if text { " class=\"text\"" } else { "" }))
            .concat();
        format!(
            "<div class=\"panel\"><table class=\"runs\">\n<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
             </table></div>\n<p class=\"muted\">Total time is the sum of all steps; for the traced mode it \
             includes the compilation, which happens in the first one.</p>\n"
        )
    }

    fn program(&self, index: usize) -> String {
        let pair = &self.pairs()[index];
        let figures: String = self.figures[index].iter().map(figure).collect();
        format!(
            "<h2><code>{}</code></h2>\n<p>{}</p>\n<div class=\"plots\">\n{figures}</div>\n",
            pair.name,
            description(pair),
        )
    }

    fn animation(&self) -> String {
        if !self.has_animation {
            return String::new();
        }
        let lines = match self.report.devices().first() {
            None => "Blue on amber: the two modes predict",
            Some(_) => "Dark on blue on amber: the device and the two modes predict",
        };
        format!(
            "<h2>The fit while it trains</h2>\n<figure class=\"animation\">\n<img src=\"fit.gif\" \
             alt=\"Animation of the prediction approaching its target, step by step\">\n<figcaption>The shaded \
             stretch is the window of the step just made. {lines} the same values at every step, not only at the \
             end.</figcaption>\n</figure>\n"
        )
    }

    /// The kernels of each traced graph; programs with the same list share one table.
    fn kernels(&self) -> String {
        let mut groups: Vec<(Vec<&str>, &Run)> = Vec::new();
        for run in self.pairs().iter().map(|pair| &pair.others()[0]).filter(|run| !run.kernels.is_empty()) {
            match groups.iter_mut().find(|(_, other)| other.kernels == run.kernels) {
                Some((names, _)) => names.push(&run.program),
                None => groups.push((vec![&run.program], run)),
            }
        }
        if groups.is_empty() {
            return String::new();
        }
        let tables: String = groups.iter().map(|(names, run)| kernel_table(names, run)).collect();
        format!(
            "<h2>Fused kernels of the compiled step</h2>\n<p>Forward, backward and optimizer are one graph. \
             Operations in one row share a loop and pass their values on in registers; nothing between them is \
             written to memory.</p>\n{tables}"
        )
    }

    fn foot(&self) -> String {
        let files = self.files.iter().map(|file| format!("<a href=\"{0}\">{0}</a>", escape(file)));
        let command = self.report.command.as_ref().map_or(String::new(), |c| format!(" <code>{}</code>", escape(c)));
        format!(
            "<footer>\n<p>allotrope {version} on {processor}, {cores}, {system}.{command}</p>\n<p>In this folder: \
             {files}.</p>\n</footer>\n",
            version = env!("CARGO_PKG_VERSION"),
            processor = escape(&self.machine.processor),
            cores = counted(self.machine.cores, "core"),
            system = escape(&self.machine.system),
            files = files.collect::<Vec<_>>().join(", "),
        )
    }
}

/// The columns of the main table, and whether each is text.
const COLUMNS: [(&str, bool); 12] = [
    ("Program", true),
    ("Mode", true),
    ("Steps", false),
    ("Compiled", false),
    ("Compile time", false),
    ("Median step", false),
    ("Total time", false),
    ("Speed-up, step", false),
    ("Speed-up, total", false),
    ("Final loss", false),
    ("Losses", true),
    ("Parameters", true),
];

const GUIDE: &str = "<h2>How to read this</h2>\n<p>Tracing is allowed to change one thing: the time. Both modes \
    start from the same parameters and see the same batches, so each pair of curves must coincide, and \
    \u{201c}equal\u{201d} means equal bits, not close numbers. Both modes call the same kernels wherever a result \
    has more than one correct rounding, and the order of every sum is part of its definition. \
    \u{201c}Compiled\u{201d} counts compilations: whether a new length took another one.</p>\n";

/// What the head of the page says of a device.
fn once_more(on: &Accelerator) -> String {
    let promise = match &on.contract {
        Contract::EqualBits => "which has the bits of this processor".to_string(),
        Contract::Within(stated) => format!("which need not have the bits of this processor: {stated}"),
    };
    let [device, name, promise] = [&on.device.to_string(), &on.name, &promise].map(|text| escape(text));
    format!(" The traced programs ran once more on <b>{device}</b>: {name}, {promise}.")
}

fn description(pair: &Comparison) -> String {
    let steps = counted(pair.reference().steps(), "step");
    let lengths: BTreeSet<usize> = pair.reference().lengths.iter().copied().collect();
    let said = if pair.description.is_empty() { String::new() } else { format!("{} ", escape(&pair.description)) };
    match (lengths.first(), lengths.last()) {
        (Some(least), Some(most)) if least < most => format!(
            "{said}{steps}, of {least} to {most} long batches: {} different lengths in this run, for each of which a compiler that \
             specialises on shapes would compile once.",
            lengths.len()
        ),
        (Some(one), _) => format!("{said}{steps}, each of length {one}."),
        (None, _) => said,
    }
}

fn row(pair: &Comparison, run: &Run) -> String {
    let other = pair.is_other(run);
    let only = |holds: bool, text: String| if holds { text } else { "\u{2013}".to_string() };
    let agreement = |agreement: Agreement| match agreement {
        _ if !other => (" text", String::new()),
        Agreement::Equal => (" text equal", "equal".to_string()),
        Agreement::Differ(what) if promises_bits(&run.column) => {
            (" text wrap differs", format!("differ: {}", escape(&what)))
        }
        Agreement::Differ(what) => (" text wrap", format!("differ: {}", escape(&what))),
    };
    let key = run.column.key();
    let program = if other { String::new() } else { format!("<code>{}</code>", escape(&run.program)) };
    let cells = [
        (" text wrap", program),
        (" text", format!("<span class=\"key {key}\"></span>{}", escape(&run.column.label()))),
        ("", run.steps().to_string()),
        ("", only(run.traced(), run.compilations.to_string())),
        ("", only(run.traced(), format::seconds(run.compile_seconds))),
        ("", format::seconds(run.median_step_seconds())),
        ("", format::seconds(run.total_seconds())),
        ("", only(other, format::times(pair.step_speedup(run)))),
        ("", only(other, format::times(pair.total_speedup(run)))),
        ("", format!("{:.6}", run.final_loss())),
        agreement(pair.losses(run)),
        agreement(pair.parameters(run)),
    ];
    // On a narrow screen each cell says its column's name itself.
    let cells = COLUMNS.iter().zip(cells).map(|((name, _), (class, text))| {
        let empty = if text.is_empty() { " empty" } else { "" };
        format!("<td class=\"cell{class}{empty}\" data-label=\"{name}\"><span>{text}</span></td>")
    });
    let last = pair.runs.last().is_some_and(|last| last.column == run.column);
    let class = if other && !last { format!("{key} inner") } else { key.to_string() };
    format!("<tr class=\"{class}\">{}</tr>\n", cells.collect::<String>())
}

fn kernel_table(names: &[&str], run: &Run) -> String {
    let rows: String = run
        .kernels
        .iter()
        .enumerate()
        .map(|(i, kernel)| {
            format!(
                "<tr><td>{}</td><td class=\"text\">{}</td><td class=\"text wrap\"><code>{}</code></td>\
                 <td class=\"text wrap\">{}</td></tr>\n",
                i + 1,
                escape(&kernel.name),
                escape(&kernel.operations.join(" \u{2192} ")),
                escape(&kernel.place),
            )
        })
        .collect();
    let names = names.iter().map(|name| format!("<code>{name}</code>")).collect::<Vec<_>>();
    format!(
        "<p class=\"muted\">{}: {}</p>\n<div class=\"panel\"><table class=\"kernels\">\n<thead><tr><th>#</th>\
         <th class=\"text\">Kernel</th><th class=\"text\">Operations, in order</th>\
         <th class=\"text\">Where</th></tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
        names.join(", "),
        counted(run.kernels.len(), "kernel"),
    )
}

fn figure(figure: &Figure) -> String {
    // In a page an SVG element needs no namespace, and takes its width from the column.
    let svg = figure.svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1);
    let label = format!("<svg role=\"img\" aria-label=\"{}\"", escape(&figure.caption));
    let svg = svg.replacen("<svg", &label, 1);
    format!("<figure>\n{svg}<figcaption>{}</figcaption>\n</figure>\n", escape(&figure.caption))
}

/// The plots' colours by their names in the style sheet, so that they follow light and dark like the page.
fn plot_colors() -> String {
    let names: [(RGBColor, &str); 9] = [
        (PAPER, "panel"),
        (INK, "ink"),
        (MUTED, "muted"),
        (GRID, "line"),
        (BAND, "band"),
        (TARGET.into(), "target"),
        (EAGER.into(), "eager"),
        (TRACED.into(), "traced"),
        (DEVICE.into(), "device"),
    ];
    names
        .map(|(color, name)| {
            let hex = theme::hex(color);
            format!(
                "svg [fill=\"{hex}\"] {{ fill: var(--{name}); }}\n\
                 svg [stroke=\"{hex}\"] {{ stroke: var(--{name}); }}\n"
            )
        })
        .concat()
}

fn tile(class: &str, figure: &str, what: &str) -> String {
    format!("<div class=\"tile {class}\"><b>{figure}</b><span>{}</span></div>\n", escape(what))
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
