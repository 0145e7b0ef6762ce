//! `allotrope graph`: the captured and the optimised graph and the code of a step, or its explanation, profile and
//! verification.
//!
//! It prints what the library says of a traced step or of a saved function and adds headings only.

use super::args::{GraphArgs, LookedAt};
use super::error::CliError;
use super::output::print;
use super::programs::{self, GraphText, OpenClText, library};
use super::sequence::{self, HalfTurns, Program};
use allotrope::Device;
use allotrope::compare::Mode;
use allotrope::device::with_device;
use std::path::Path;

/// Prints what the options name.
///
/// # Errors
/// When the device cannot be used, the library cannot trace the program or load the file, and when the modes differ.
pub fn run(args: &GraphArgs) -> Result<(), CliError> {
    if args.clif && args.device != Device::Cpu {
        return Err(CliError::Options {
            given: format!("--clif --device {}", args.device),
            problem: "Cranelift's code is that for the CPU".to_string(),
            fits: "give --opencl".to_string(),
        });
    }
    programs::open(args.device)?;
    match &args.program {
        LookedAt::Program(program) => with_device(args.device, || traced(args, *program)),
        LookedAt::Saved(path) => saved(args, path),
    }
}

/// The first step of a program, traced.
fn traced(args: &GraphArgs, program: Program) -> Result<(), CliError> {
    let half_turns = HalfTurns { least: 1, most: 3 };
    let span = sequence::spans(program, 1, half_turns, 1)[0];
    let mut trainer = programs::trainer(Mode::Traced, 32, 1, 1);
    let data = programs::window(program, span, 1).map_err(library("the window"))?;
    trainer.step(&data).map_err(library("the training step"))?;
    let mut text = shown(args, &programs::graph(&trainer, opencl(args))?);
    if let Some(trace) = &args.profile {
        let profile = trainer.profile(&data).map_err(library("profile"))?;
        profile.write_chrome_trace(trace).map_err(library("profile"))?;
        text += &section("times of the kernels", &profile.to_string());
    }
    if !args.verify {
        return print(&text);
    }
    let found = trainer.verify(&data).map_err(library("verify"))?;
    print(&(text + &section("both modes", &found.to_string())))?;
    match found.is_equal() {
        true => Ok(()),
        false => Err(CliError::Library {
            what: program.name().to_string(),
            message: "the modes differ in the first step".to_string(),
        }),
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
    if !(args.text || args.dot || args.clif || args.opencl.is_some() || args.explain) {
        return print(&programs::saved_text(path)?);
    }
    let graphs = programs::saved_graphs(path, args.device, opencl(args))?;
    print(&graphs.iter().map(|graph| shown(args, graph)).collect::<String>())
}

/// Which OpenCL C is asked for.
fn opencl(args: &GraphArgs) -> Option<OpenClText> {
    args.opencl.map(|kind| kind.map_or(OpenClText::OfDevice, OpenClText::Kind))
}

fn shown(args: &GraphArgs, graph: &GraphText) -> String {
    if args.dot {
        return graph.dot.clone();
    }
    let code = args.clif || args.opencl.is_some();
    let all = !(args.text || code || args.explain || args.verify || args.profile.is_some());
    let mut text = String::new();
    if args.explain {
        text += &section("what is known of it", &graph.explanation);
    }
    if args.text || all {
        text += &section("as captured", &graph.captured);
        text += &section("after the passes", &graph.optimized);
    }
    if args.clif || all {
        text += &section("the code made of it", &graph.code);
    }
    if let Some(opencl) = &graph.opencl {
        text += &section("the OpenCL C made of it", opencl);
    }
    text
}

fn section(title: &str, body: &str) -> String {
    format!("; {title}\n{}\n\n", body.trim_end())
}
