//! `allotrope devices --sweep`: functions of one f32 on an OpenCL device, against the CPU's on the same operands, up to all 2^32.
//!
//! It compares bits and counts; what a function is, on either side, the library says.

use super::args::DevicesArgs;
use super::error::CliError;
use super::output::print;
use allotrope::Device;
use allotrope::backend::opencl::source::math::{Arithmetic, sweep};
use allotrope::backend::opencl::{self, Arg, Opened, What};
use allotrope::compare::format::{seconds, table};
use allotrope::ir::UnaryOp;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Operands of one launch.
const AT_ONCE: usize = 1 << 22;
/// How many operands there are.
const PATTERNS: u64 = 1 << 32;

/// What became of one function.
struct Swept {
    compared: u64,
    differ: u64,
    first: Option<First>,
    took: Duration,
}

/// The first operand whose results differ.
struct First {
    operand: f32,
    there: f32,
    here: f32,
}

/// Sweeps the functions that are named, or all.
///
/// # Errors
/// When a function or the device is not there, the device fails, and where bits differ.
pub fn run(args: &DevicesArgs, names: &[String]) -> Result<(), CliError> {
    let device = args.device.unwrap_or(Device::OpenCl(0));
    let Device::OpenCl(number) = device else {
        return Err(CliError::Options {
            given: format!("--sweep --device {device}"),
            problem: "only OpenCL devices are held against the CPU".to_string(),
            fits: "give opencl:0, opencl:1, ...".to_string(),
        });
    };
    let functions = functions(names)?;
    let opened = opencl::of(number).opened().map_err(|error| super::programs::unusable(device, error))?;
    let bar = ProgressBar::new(operands(args.every) * functions.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg:24} {bar:32} {percent:>3} %, {eta} left") {
        bar.set_style(style);
    }
    let begin = Instant::now();
    let (mut rows, mut differing) = (Vec::new(), Vec::new());
    for op in functions {
        bar.set_message(op.name());
        let failed =
            |error: allotrope::Error| CliError::Library { what: op.name().to_string(), message: error.to_string() };
        let swept = one(opened, op, args.every, &bar).map_err(failed)?;
        rows.push(row(op, &swept));
        if swept.differ > 0 {
            differing.push(op.name());
        }
    }
    bar.finish_and_clear();
    let header = ["function", "first that differs", "floats", "differ", "time"];
    let took = seconds(begin.elapsed().as_secs_f64());
    let of_all = if args.every == 1 { "all".to_string() } else { format!("one in {} of the", args.every) };
    let table = table(&header, &rows, 2);
    print(&format!("{table}\n{device} against the CPU, {of_all} 2^32 floats, in {took}\n"))?;
    match differing.first() {
        None => Ok(()),
        Some(first) => Err(CliError::Library {
            what: first.to_string(),
            message: format!("{device} differs from the CPU, in {} functions altogether", differing.len()),
        }),
    }
}

/// The functions of these names.
fn functions(names: &[String]) -> Result<Vec<UnaryOp>, CliError> {
    if names.is_empty() {
        return Ok(sweep::operations().collect());
    }
    let by_name = |name: &String| {
        sweep::operations().find(|op| op.name() == name).ok_or_else(|| CliError::Options {
            given: format!("--sweep {name}"),
            problem: "is no function of one f32".to_string(),
            fits: format!("there are {}", sweep::operations().map(UnaryOp::name).collect::<Vec<_>>().join(", ")),
        })
    };
    names.iter().map(by_name).collect()
}

/// How many operands every `step`th is.
fn operands(step: u32) -> u64 {
    PATTERNS.div_ceil(step.into())
}

fn row(op: UnaryOp, swept: &Swept) -> Vec<String> {
    let first = swept.first.as_ref().map_or_else(String::new, |First { operand, there, here }| {
        format!("{operand:e} ({:#010x}): {there:e}, here {here:e}", operand.to_bits())
    });
    let took = seconds(swept.took.as_secs_f64());
    vec![op.name().to_string(), first, swept.compared.to_string(), swept.differ.to_string(), took]
}

/// One function, launch by launch: the device computes while the CPU does.
fn one(opened: &Opened, op: UnaryOp, every: u32, bar: &ProgressBar) -> allotrope::Result<Swept> {
    let single = &opened.verdict().single;
    let (exact_division, exact_sqrt) = (single.is_equal(What::Division), single.is_equal(What::SquareRoot));
    let program = opened.build(&sweep::source(op, Arithmetic { exact_division, exact_sqrt }))?;
    let kernel = opened.kernel(&program, sweep::KERNEL)?;
    let out = opened.buffer(AT_ONCE * size_of::<f32>())?;
    let (mut there, mut here) = (vec![0; AT_ONCE * size_of::<f32>()], vec![0f32; AT_ONCE]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let begin = Instant::now();
    let (all, mut differ, mut first) = (operands(every), 0, None);
    for done in (0..all).step_by(AT_ONCE) {
        let n = AT_ONCE.min((all - done) as usize);
        let pattern = |i: usize| ((done + i as u64) * u64::from(every)) as u32;
        let from = Arg::Int(pattern(0).cast_signed());
        opened.launch(&kernel, &[Arg::Buffer(&out), from, Arg::Int(every.cast_signed())], [n, 1, 1], None, false)?;
        opened.flush()?;
        std::thread::scope(|scope| {
            let share = n.div_ceil(threads);
            for (i, part) in here[..n].chunks_mut(share).enumerate() {
                scope.spawn(move || sweep::cpu(op, pattern(i * share), every, part));
            }
        });
        opened.read(&out, 0, &mut there[..n * size_of::<f32>()])?;
        let (floats, _) = there.as_chunks();
        for (i, (there, &here)) in floats.iter().zip(&here[..n]).enumerate() {
            let there = f32::from_le_bytes(*there);
            // Of a NaN only that it is one.
            if there.to_bits() != here.to_bits() && !(there.is_nan() && here.is_nan()) {
                differ += 1;
                first.get_or_insert(First { operand: f32::from_bits(pattern(i)), there, here });
            }
        }
        bar.inc(n as u64);
    }
    Ok(Swept { compared: all, differ, first, took: begin.elapsed() })
}
