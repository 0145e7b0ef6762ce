//! `allotrope graph`: what was captured, what the passes made of it, and the code; why, how fast, and whether both modes
//! agree.
//!
//! It prints what the library says of a traced step or of a saved function and adds headings only.

use super::args::{GraphArgs, LookedAt};
use super::error::CliError;
use super::output::print;
use super::programs::{self, GraphText, Trainer};
use super::run::Mode;
use super::sequence::{self, HalfTurns, Program};
use std::path::Path;

/// Prints what is asked for.
///
/// # Errors
/// When the library cannot trace the program or load the file, and when the modes differ.
pub fn run(args: &GraphArgs) -> Result<(), CliError> {
    match &args.program {
        LookedAt::Program(program) => traced(args, *program),
        LookedAt::Saved(path) => saved(args, path),
    }
}

/// The first step of a program, traced.
fn traced(args: &GraphArgs, program: Program) -> Result<(), CliError> {
    let half_turns = HalfTurns { least: 1, most: 3 };
    let span = sequence::spans(program, 1, half_turns, 1)[0];
    let mut trainer = Trainer::new(Mode::Traced, 32, 1, 1)?;
    let data = trainer.data(&sequence::window(program, span, 1))?;
    trainer.step(&data)?;
    let mut text = shown(args, &trainer.graph()?);
    if let Some(trace) = &args.profile {
        text += &section("times of the kernels", &trainer.profile(&data, trace)?);
    }
    if !args.verify {
        return print(&text);
    }
    let (report, equal) = trainer.verify(&data)?;
    print(&(text + &section("both modes", &report)))?;
    match equal {
        true => Ok(()),
        false => Err(CliError::ModesDiffer { program: program.name(), what: "the first step".to_string() }),
    }
}

/// A saved function: what its file says, or what is made of it.
fn saved(args: &GraphArgs, path: &Path) -> Result<(), CliError> {
    if args.verify || args.profile.is_some() {
        return Err(CliError::Options {
            given: path.display().to_string(),
            problem: "a saved function is not run here: it has no arguments, and no closure to compare with"
                .to_string(),
            fits: "load it in a program with trace::Program".to_string(),
        });
    }
    if !(args.text || args.dot || args.clif || args.explain) {
        return print(&programs::saved_text(path)?);
    }
    let graphs = programs::saved_graphs(path)?;
    print(&graphs.iter().map(|graph| shown(args, graph)).collect::<String>())
}

fn shown(args: &GraphArgs, graph: &GraphText) -> String {
    if args.dot {
        return graph.dot.clone();
    }
    let all = !(args.text || args.clif || args.explain || args.verify || args.profile.is_some());
    let mut text = String::new();
    if args.explain {
        text += &section("what is known of it", &graph.explanation);
    }
    if args.text || all {
        text += &section("as captured", &graph.captured);
        text += &section("after the passes", &graph.optimized);
    }
    if args.clif || all {
        text += &section("the code made of it", &graph.clif);
    }
    text
}

fn section(title: &str, body: &str) -> String {
    format!("; {title}\n{}\n\n", body.trim_end())
}
