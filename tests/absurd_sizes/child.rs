//! The process that runs the cases of one row. It judges what a call says; that it says anything is for its parent to see.

use crate::row::{Call, Form, Given, Row, Tensors};
use allotrope::Tensor;
use allotrope::prelude::*;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The row to run, as its number.
pub const ROW: &str = "ALLOTROPE_ABSURD_ROW";
/// The first case to run.
pub const FROM: &str = "ALLOTROPE_ABSURD_FROM";

/// Words of Rust's own panics and of broken invariants: no caller's mistake may end in them.
const RAW: [&str; 9] = [
    "bug in",
    "attempt to",
    "capacity overflow",
    "index out of bounds",
    "out of range for slice",
    "`Option::unwrap()`",
    "`Result::unwrap()`",
    "memory allocation of",
    "entered unreachable",
];

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    // A line of its own, whatever was written before.
    let _ = writeln!(out, "\n@ {}", what.replace('\n', " / "));
    let _ = out.flush();
}

#[test]
fn runs_the_cases_of_one_row() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<usize>().ok());
    let (Some(row), Some(from)) = (number(ROW), number(FROM)) else { return };
    let rows = crate::rows();
    let row = &rows[row];
    std::panic::set_hook(Box::new(|_| {}));
    for case in from..row.cases() {
        say(&format!("begins {case}"));
        if let Err(wrong) = judged(row, case, run(row, case)) {
            say(&format!("fails {wrong}"));
        }
    }
    say("ends");
}

/// How a call ended.
enum Ended {
    /// With tensors of these shapes.
    Gave(String),
    Refused(String),
    /// With a panic, where an error should have been returned.
    Panicked(String),
}

fn shapes(tensors: &[Tensor]) -> String {
    format!("{:?}", tensors.iter().take(4).map(|t| t.shape().to_vec()).collect::<Vec<_>>())
}

fn make(call: Call, tensors: &Tensors<'_>, n: i128) -> Given {
    match call {
        Call::Unsigned(f) => f(tensors, n as usize),
        Call::Signed(f) => f(tensors, n as isize),
    }
}

fn text(payload: Box<dyn std::any::Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().map_or("a panic without words".into(), |s| s.to_string()),
    }
}

fn run(row: &Row, case: usize) -> Ended {
    let (n, form) = (row.size(case), row.form(case));
    let all = Tensors::all();
    let call = row.call;
    let body = move |all: &[Tensor]| match make(call, &Tensors::of(all), n) {
        Given::Tried(Ok(tensors)) | Given::Plain(tensors) => tensors,
        // As a program would do that expects none.
        Given::Tried(Err(e)) => panic!("{e}"),
    };
    let traced = || match form {
        Form::Eager => None,
        Form::Traced => Some(trace(body).call(&all)),
        Form::Dynamic => Some(trace_dynamic(body).call(&all)),
    };
    match catch_unwind(AssertUnwindSafe(|| match traced() {
        Some(result) => result.map_err(Ok),
        None => match make(call, &Tensors::of(&all), n) {
            Given::Tried(result) => result.map_err(Ok),
            // Its panic is its way to refuse.
            Given::Plain(tensors) => Ok(tensors),
        },
    })) {
        Ok(Ok(tensors)) => Ended::Gave(shapes(&tensors)),
        Ok(Err(e)) => Ended::Refused(e.map_or_else(|e: String| e, |e| e.to_string())),
        Err(payload) => {
            let text = text(payload);
            match form == Form::Eager && plain(row) {
                true => Ended::Refused(text),
                false => Ended::Panicked(text),
            }
        }
    }
}

/// Whether a row calls functions that panic.
fn plain(row: &Row) -> bool {
    row.text.starts_with("Plain(")
}

fn judged(row: &Row, case: usize, ended: Ended) -> Result<(), String> {
    let n = row.size(case);
    // Sizes that are not absurd may be right or wrong; they must only not be a mistake of the library.
    let small = n == 0 || n == -1;
    match ended {
        Ended::Panicked(text) => Err(format!("panicked: {text}")),
        Ended::Gave(_) if small || (row.right)(n) => Ok(()),
        Ended::Gave(shapes) => Err(format!("succeeded with shapes {shapes}")),
        Ended::Refused(text) => {
            if let Some(raw) = RAW.iter().find(|raw| text.contains(*raw)) {
                return Err(format!("says {raw:?}: {text}"));
            }
            // What no trace can record is refused before anybody looks at sizes.
            let traced = row.form(case) != Form::Eager && text.contains("trace: ");
            match small || !row.named || traced || names(&text, n) {
                true => Ok(()),
                false => Err(format!("does not name the size: {text}")),
            }
        }
    }
}

/// Whether a text has the number in it, or another one that can only come of it.
fn names(text: &str, n: i128) -> bool {
    let absurd = |word: &str| word.parse::<u128>().is_ok_and(|w| w == n.unsigned_abs() || w >= 1 << 38);
    text.split(|c: char| !c.is_ascii_digit()).any(absurd)
}
