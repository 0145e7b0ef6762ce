//! `allotrope bench`: the peers' workloads, measured as their scripts measure them.
//!
//! It owns the definitions (what is timed, how often, which lengths); the tensors are the programs' business.

use super::args::{BenchArgs, BenchMode};
use super::error::CliError;
use super::output::print;
use super::programs::{self, Dispatch, Large, library};
use super::python_random::PythonRandom;
use allotrope::Device;
use allotrope::compare::{Mode, Trainer, format, median, peak_rss_mib};
use allotrope::device::with_device;
use serde::Serialize;
use std::time::Instant;

/// Hidden units, batch and seed of every recurrent workload.
const HIDDEN: usize = 32;
const BATCH: usize = 1;
const SEED: u64 = 0;
const WARM_UPS: usize = 3;
/// Steps of a variable run.
const VARIABLE_STEPS: usize = 600;
/// Operations of one timed call where one alone is too short for a clock.
const DISPATCHES: usize = 1_000;
const DISPATCH_CALLS: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    RnnFixed10,
    RnnFixed200,
    RnnVar30,
    RnnVar200,
    EagerAdd8,
    EagerMul8FwdBwd,
    Chain16M,
    Sum16M,
    Matmul1024,
    Matmul4096,
}

impl Workload {
    const ALL: [Self; 10] = [
        Self::RnnFixed10,
        Self::RnnFixed200,
        Self::RnnVar30,
        Self::RnnVar200,
        Self::EagerAdd8,
        Self::EagerMul8FwdBwd,
        Self::Chain16M,
        Self::Sum16M,
        Self::Matmul1024,
        Self::Matmul4096,
    ];
    /// Those of the peers, which run where none is named.
    const PEERS: usize = 6;

    fn name(self) -> &'static str {
        match self {
            Self::RnnFixed10 => "rnn_fixed_10",
            Self::RnnFixed200 => "rnn_fixed_200",
            Self::RnnVar30 => "rnn_var_30",
            Self::RnnVar200 => "rnn_var_200",
            Self::EagerAdd8 => "eager_add_8",
            Self::EagerMul8FwdBwd => "eager_mul_8_fwd_bwd",
            Self::Chain16M => "chain_16m",
            Self::Sum16M => "sum_16m",
            Self::Matmul1024 => "matmul_1024",
            Self::Matmul4096 => "matmul_4096",
        }
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|workload| workload.name() == name)
    }

    /// The names of all workloads, for messages.
    pub fn known() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The workloads that measure the cost of one eager operation have no traced form.
    fn has(self, mode: Mode) -> bool {
        mode == Mode::Eager || !matches!(self, Self::EagerAdd8 | Self::EagerMul8FwdBwd)
    }
}

/// One line of the peers' table.
#[derive(Serialize)]
struct Line {
    peer: String,
    threads: usize,
    workload: &'static str,
    /// Median microseconds of a whole step, or of one operation.
    us: f64,
    /// Seconds of the first call; of the whole run, compilation included, for the variable workloads.
    first_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    compilations: usize,
    compile_ms: f64,
    /// Of the process so far: run one workload a process for a peak of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_mib: Option<f64>,
}

/// Measures and prints, line by line with `--json`, as a table otherwise.
///
/// # Errors
/// When a named workload has no form in the mode, the device cannot be used, or the library fails.
pub fn run(args: &BenchArgs) -> Result<(), CliError> {
    let modes: &[Mode] = match args.mode {
        BenchMode::Eager => &[Mode::Eager],
        BenchMode::Trace => &[Mode::Traced],
        BenchMode::Both => &[Mode::Eager, Mode::Traced],
    };
    if let (&[mode], Some(workload)) = (modes, args.workloads.iter().find(|w| !w.has(modes[0]))) {
        let name = workload.name();
        return Err(CliError::Options {
            given: format!("{name} --mode trace"),
            problem: format!("{name} measures one eager operation and has no {} form", mode.name()),
            fits: "give --mode eager or leave it out".to_string(),
        });
    }
    programs::use_threads(args.threads)?;
    programs::open(args.device)?;
    let named = if args.workloads.is_empty() { &Workload::ALL[..Workload::PEERS] } else { &args.workloads };
    let mut rows = Vec::new();
    for &workload in named {
        for &mode in modes.iter().filter(|mode| workload.has(**mode)) {
            let line = with_device(args.device, || measure(workload, mode, args))?;
            if args.json {
                let text = serde_json::to_string(&line).map_err(|error| CliError::Library {
                    what: line.workload.to_string(),
                    message: error.to_string(),
                })?;
                print(&(text + "\n"))?;
            } else {
                rows.push(row(&line));
            }
        }
    }
    if args.json {
        return Ok(());
    }
    let header = ["workload", "peer", "median", "first", "compilations", "compile time", "peak memory"];
    print(&format::table(&header, &rows, 2))?;
    print("\nmedian: a whole step or one operation; first: the first call, or the whole variable run\n")
}

fn row(line: &Line) -> Vec<String> {
    let traced = line.compilations > 0;
    let compiled = |text: String| if traced { text } else { String::new() };
    vec![
        line.workload.to_string(),
        line.peer.clone(),
        format::seconds(line.us / 1e6),
        format::seconds(line.first_s),
        compiled(line.compilations.to_string()),
        compiled(format::seconds(line.compile_ms / 1e3)),
        line.peak_rss_mib.map_or(String::new(), |mib| format!("{mib:.1} MiB")),
    ]
}

fn measure(workload: Workload, mode: Mode, args: &BenchArgs) -> Result<Line, CliError> {
    let mut line = Line {
        peer: peer(mode, args.device),
        threads: args.threads,
        workload: workload.name(),
        us: 0.0,
        first_s: 0.0,
        steps: None,
        note: None,
        compilations: 0,
        compile_ms: 0.0,
        peak_rss_mib: None,
    };
    match workload {
        Workload::RnnFixed10 => fixed(&mut line, mode, 10, 300)?,
        Workload::RnnFixed200 => fixed(&mut line, mode, 200, 60)?,
        Workload::RnnVar30 => {
            line.note = Some("first_s = whole 600-step run with compiles; lengths random.Random(0).randint(1, 3) * 10");
            variable(&mut line, mode, |random| 10 * random.randint(1, 3) as usize)?;
        }
        Workload::RnnVar200 => {
            line.note =
                Some("first_s = whole 600-step run with compiles; lengths 1..200, random.Random(0).randint(1, 200)");
            variable(&mut line, mode, |random| random.randint(1, 200) as usize)?;
        }
        Workload::EagerAdd8 => dispatch(&mut line, Dispatch::Add)?,
        Workload::EagerMul8FwdBwd => dispatch(&mut line, Dispatch::MulForwardBackward)?,
        Workload::Chain16M => large(&mut line, mode, Large::Chain(1 << 24), 20)?,
        Workload::Sum16M => large(&mut line, mode, Large::Sum(1 << 24), 20)?,
        Workload::Matmul1024 => large(&mut line, mode, Large::Matmul(1024), 20)?,
        Workload::Matmul4096 => large(&mut line, mode, Large::Matmul(4096), 3)?,
    }
    line.us = (line.us * 1e4).round() / 1e4;
    line.peak_rss_mib = peak_rss_mib();
    Ok(line)
}

/// As the peers' table calls the mode, on the device where that is not the CPU.
fn peer(mode: Mode, device: Device) -> String {
    let peer = match mode {
        Mode::Eager => "allotrope-eager",
        Mode::Traced => "allotrope-trace",
    };
    if device == Device::Cpu { peer.to_string() } else { format!("{peer}@{device}") }
}

/// The same window in every call: first call, three warm-ups, the median of `calls`.
fn fixed(line: &mut Line, mode: Mode, points: usize, calls: usize) -> Result<(), CliError> {
    let mut trainer = programs::trainer(mode, HIDDEN, BATCH, SEED);
    let data = programs::random_batch(BATCH, points);
    (line.us, line.first_s) = timed(calls, || trainer.step(&data).map(drop).map_err(library("the training step")))?;
    compiled(line, &trainer);
    Ok(())
}

/// Another length at every step; what counts is the whole run, compilation included.
fn variable(line: &mut Line, mode: Mode, mut length: impl FnMut(&mut PythonRandom) -> usize) -> Result<(), CliError> {
    let mut random = PythonRandom::new(SEED);
    let lengths: Vec<usize> = (0..VARIABLE_STEPS).map(|_| length(&mut random)).collect();
    let mut trainer = programs::trainer(mode, HIDDEN, BATCH, SEED);
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let mut data: Vec<_> = (0..=longest).map(|_| None).collect();
    for &points in &lengths {
        if data[points].is_none() {
            data[points] = Some(programs::random_batch(BATCH, points));
        }
    }
    let mut seconds = Vec::with_capacity(VARIABLE_STEPS);
    let whole = Instant::now();
    for &points in &lengths {
        let clock = Instant::now();
        if let Some(data) = &data[points] {
            trainer.step(data).map_err(library("the training step"))?;
        }
        seconds.push(clock.elapsed().as_secs_f64());
    }
    line.first_s = whole.elapsed().as_secs_f64();
    line.us = median(&seconds) * 1e6;
    line.steps = Some(VARIABLE_STEPS);
    compiled(line, &trainer);
    Ok(())
}

/// A thousand operations on eight values; the time of one.
fn dispatch(line: &mut Line, which: Dispatch) -> Result<(), CliError> {
    let mut call = programs::dispatch(which, DISPATCHES, SEED);
    let (us, first_s) = timed(DISPATCH_CALLS, || {
        call();
        Ok(())
    })?;
    (line.us, line.first_s) = (us / DISPATCHES as f64, first_s);
    Ok(())
}

/// One operation, or a fused chain of them, on many elements.
fn large(line: &mut Line, mode: Mode, which: Large, calls: usize) -> Result<(), CliError> {
    let call = programs::large(which, mode, SEED);
    (line.us, line.first_s) = timed(calls, call)?;
    Ok(())
}

/// Median microseconds of `calls` calls, and the seconds of the first one before them.
fn timed(calls: usize, mut call: impl FnMut() -> Result<(), CliError>) -> Result<(f64, f64), CliError> {
    let clock = Instant::now();
    call()?;
    let first_s = clock.elapsed().as_secs_f64();
    for _ in 0..WARM_UPS {
        call()?;
    }
    let mut seconds = Vec::with_capacity(calls);
    for _ in 0..calls {
        let clock = Instant::now();
        call()?;
        seconds.push(clock.elapsed().as_secs_f64());
    }
    Ok((median(&seconds) * 1e6, first_s))
}

fn compiled(line: &mut Line, trainer: &Trainer) {
    line.compilations = trainer.compilations();
    line.compile_ms = trainer.compile_seconds() * 1e3;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_peers_and_read_back() {
        for workload in Workload::ALL {
            assert_eq!(Workload::by_name(workload.name()), Some(workload));
        }
        assert_eq!(Workload::by_name("rnn_fixed_11"), None);
    }

    #[test]
    fn the_first_call_and_the_warm_ups_are_not_in_the_median() {
        let mut calls = 0;
        let timed = timed(5, || {
            calls += 1;
            Ok(())
        });
        assert!(timed.is_ok());
        assert_eq!(calls, 1 + WARM_UPS + 5);
    }
}
