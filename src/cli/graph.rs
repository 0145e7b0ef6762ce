//! `allotrope graph`: what was captured, what the passes made of it, and the code.
//!
//! It prints what the library says of a traced step and adds headings only.

use super::args::GraphArgs;
use super::error::CliError;
use super::print;
use super::programs::Trainer;
use super::run::Mode;
use super::sequence::{self, HalfTurns};

/// Traces the first step of the program and prints it.
///
/// # Errors
/// When the library cannot trace it.
pub fn run(args: &GraphArgs) -> Result<(), CliError> {
    let half_turns = HalfTurns { least: 1, most: 3 };
    let span = sequence::spans(args.program, 1, half_turns, 1)[0];
    let mut trainer = Trainer::new(Mode::Traced, 32, 1, 1)?;
    let data = trainer.data(&sequence::window(args.program, span, 1))?;
    trainer.step(&data)?;
    let graph = trainer.graph()?;
    if args.dot {
        return print(&graph.dot);
    }
    let all = !args.text && !args.clif;
    let mut text = String::new();
    if args.text || all {
        text += &section("as captured", &graph.captured);
        text += &section("after the passes", &graph.optimized);
    }
    if args.clif || all {
        text += &section("the code made of it", &graph.clif);
    }
    print(&text)
}

fn section(title: &str, body: &str) -> String {
    format!("; {title}\n{}\n\n", body.trim_end())
}
