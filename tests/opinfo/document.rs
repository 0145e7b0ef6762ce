//! `docs/operators.md`: what every operator of the corpus can do, written from what the sample in the repository shows.
//! The test fails where the page says something else.

use crate::corpus::{Operator, sample};
use crate::dtypes::{self, Support};
use crate::report::{self, Report, in_parallel, shown};
use crate::run::{Adapter, Count, Run, Tally};
use crate::{adapters, second};
use std::fmt::Write;
use std::path::Path;

/// Cases of each operator that are differentiated twice.
const TWICE: usize = 3;

#[test]
fn the_page_of_operators_is_what_they_do() {
    let adapters = adapters();
    let report = report::run(&sample(), &adapters, None);
    let names: Vec<String> = report.0.iter().map(|(name, _)| name.clone()).collect();
    let more = in_parallel(&names, |name| match adapters.iter().find(|(n, _)| *n == name) {
        Some((_, adapter)) => More::of(&Operator::read(&sample(), name), *adapter),
        None => More::default(),
    });
    let broken: Vec<&String> = more.iter().flat_map(|(_, m)| &m.broken).collect();
    broken.iter().take(shown(20)).for_each(|what| println!("{what}"));

    let page = page(&report, &more);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operators.md");
    if std::env::var_os("ALLOTROPE_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("write docs/operators.md");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = there.lines().zip(page.lines()).find(|(a, b)| a != b);
    if let Some((there, now)) = differs {
        println!("the page says   {there}\nbut it should   {now}");
    }
    assert!(
        there == page,
        "docs/operators.md is not what the operators do now; ALLOTROPE_UPDATE_DOCS=1 cargo test --release --test opinfo page writes it"
    );
    assert!(broken.is_empty(), "{} things above must not be", broken.len());
}

/// What the cases alone do not show of an operator.
#[derive(Default)]
struct More {
    second: Count,
    dtypes: String,
    /// What must not be: second derivatives that are wrong, a dtype whose two modes differ.
    broken: Vec<String>,
}

impl More {
    fn of(op: &Operator, adapter: Adapter) -> More {
        let mut more = More::default();
        let runs = op.samples.iter().map(|sample| Run { op, sample, adapter });
        let mut fit: Vec<Run<'_>> = runs.filter(|run| second::is_fit(op, *run)).collect();
        fit.sort_by_key(|run| run.sample.id.contains("/r"));
        for run in fit.into_iter().take(TWICE) {
            match second::check(run) {
                Ok(()) => more.second.passed += 1,
                Err(what) => {
                    more.second.failed += 1;
                    more.broken.push(format!("{}, second derivative: {what}", run.sample.id));
                }
            }
        }
        let mut names = Vec::new();
        for (dtype, support) in dtypes::of(op, adapter) {
            match support {
                Support::Yes => names.push(dtype.name()),
                Support::No => {}
                Support::Broken(what) => more.broken.push(what),
            }
        }
        more.dtypes = names.join(" ");
        more
    }
}

fn page(report: &Report, more: &[(String, More)]) -> String {
    let mut page = String::from(HEAD);
    for ((name, t), (_, more)) in report.0.iter().zip(more) {
        let grad = Count {
            passed: t.eager_grad.passed.min(t.traced_grad.passed),
            failed: t.eager_grad.failed.max(t.traced_grad.failed),
        };
        let cells = [of(t.eager), of(t.traced), of(grad), of(more.second), more.dtypes.clone()];
        writeln!(page, "| `{name}` | {} |", cells.join(" | ")).expect("a text takes all");
    }
    let all = |part: fn(&Tally) -> Count| report.0.iter().filter(|(_, t)| part(t).failed == 0).count();
    let grads = report.0.iter().filter(|(_, t)| t.eager_grad.passed + t.eager_grad.failed > 0).count();
    let graded = |(_, t): &&(String, Tally)| t.eager_grad.passed > 0 && t.eager_grad.failed + t.traced_grad.failed == 0;
    let twice = more.iter().filter(|(_, m)| m.second.passed > 0 && m.second.failed == 0).count();
    let n = report.0.len();
    writeln!(
        page,
        "\nOf {n} operators {} pass all cases eagerly and {} in a trace; of {grads} with gradients {} pass them all, and {twice} are differentiated twice.",
        all(|t| t.eager),
        all(|t| t.traced),
        report.0.iter().filter(graded).count(),
    )
    .expect("a text takes all");
    page + include_str!("differences.md")
}

/// How many of how many; nothing where there is none.
fn of(c: Count) -> String {
    match (c.passed, c.passed + c.failed) {
        (_, 0) => "–".to_string(),
        (passed, all) if passed == all => format!("{all}"),
        (passed, all) => format!("{passed} of {all}"),
    }
}

const HEAD: &str = "# Operators

What every operator does on cases of PyTorch's own test database (`tests/data/opinfo`; names are PyTorch's, a last part
such as `.with_dim` names the variant). A number says how many cases there are, all of which pass; \"3 of 5\" that some do not;
a dash that there are none. This page is written by the test that checks it:
`ALLOTROPE_UPDATE_DOCS=1 cargo test --release --test opinfo page`.

- **eager**, **traced**: values, dtypes, shapes and refusals are PyTorch's, also of inputs that are not contiguous. Both
  modes give equal bits.
- **gradient**: gradients of all inputs that have one are PyTorch's, in both modes with equal bits.
- **second**: the gradients were differentiated once more, in f32 and f64, in both modes with equal bits, and compared with
  differences of the gradients in f64.
- **dtypes**: the operator's first operand can be of these; other operands, such as indices and masks, are what PyTorch
  wants them to be.

| operator | eager | traced | gradient | second | dtypes |
|---|---|---|---|---|---|
";
