//! The report's numbers for other programs: `results.json`, `losses.csv`, `step_times.csv`.
//!
//! Every value is the run's own; nothing is rounded, and f32 values are given as their bits as well.

use super::folder::MARK_TEXT;
use crate::cli::run::{Agreement, Comparison, KernelInfo, ParameterBits, Run, Settings};
use serde::Serialize;
use std::fmt::Write;

#[derive(Serialize)]
struct Results<'a> {
    version: &'static str,
    settings: SettingsOut,
    machine: &'a Machine,
    peak_rss_mib: Option<f64>,
    equal_to_the_bit: bool,
    programs: Vec<ProgramOut<'a>>,
}

#[derive(Serialize)]
struct SettingsOut {
    steps: usize,
    half_turns: [usize; 2],
    hidden: usize,
    batch: usize,
    seed: u64,
    threads: usize,
}

#[derive(Serialize)]
struct ProgramOut<'a> {
    program: &'static str,
    equal_losses: bool,
    equal_parameters: bool,
    difference: Option<String>,
    step_speedup: f64,
    total_speedup: f64,
    runs: Vec<RunOut<'a>>,
}

#[derive(Serialize)]
struct RunOut<'a> {
    mode: &'static str,
    steps: usize,
    shortest_sequence: usize,
    longest_sequence: usize,
    compilations: usize,
    compile_seconds: f64,
    first_step_seconds: f64,
    median_step_seconds: f64,
    total_seconds: f64,
    final_loss: f32,
    final_loss_bits: String,
    parameter_values: usize,
    parameter_fingerprint: String,
    parameters: Vec<ParameterOut<'a>>,
    kernels: Vec<KernelOut<'a>>,
}

#[derive(Serialize)]
struct ParameterOut<'a> {
    name: &'a str,
    values: usize,
}

#[derive(Serialize)]
struct KernelOut<'a> {
    name: &'a str,
    operations: &'a [String],
    place: &'a str,
}

/// Where the runs were made.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub system: String,
}

impl Machine {
    pub fn here() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name"));
        let model = model.and_then(|rest| rest.split_once(':')).map(|(_, name)| name.trim());
        Self {
            processor: model.unwrap_or("unknown").to_string(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}

/// `results.json`, with the line that marks the folder as a report's in front.
pub fn json(
    settings: &Settings,
    machine: &Machine,
    pairs: &[Comparison],
    peak_rss_mib: Option<f64>,
) -> Result<String, serde_json::Error> {
    let results = Results {
        version: env!("CARGO_PKG_VERSION"),
        settings: SettingsOut {
            steps: settings.steps,
            half_turns: [settings.half_turns.least, settings.half_turns.most],
            hidden: settings.hidden,
            batch: settings.batch,
            seed: settings.seed,
            threads: settings.threads,
        },
        machine,
        peak_rss_mib,
        equal_to_the_bit: pairs.iter().all(Comparison::agrees),
        programs: pairs.iter().map(program).collect(),
    };
    let text = serde_json::to_string_pretty(&results)?;
    Ok(text.replacen('{', &format!("{{\n  {MARK_TEXT},"), 1) + "\n")
}

fn program(pair: &Comparison) -> ProgramOut<'_> {
    let (losses, parameters) = (pair.losses(), pair.parameters());
    let difference = [&losses, &parameters].into_iter().find_map(|agreement| match agreement {
        Agreement::Equal => None,
        Agreement::Differ(what) => Some(what.clone()),
    });
    ProgramOut {
        program: pair.program().name(),
        equal_losses: losses.is_equal(),
        equal_parameters: parameters.is_equal(),
        difference,
        step_speedup: pair.step_speedup(),
        total_speedup: pair.total_speedup(),
        runs: pair.runs().map(run).into(),
    }
}

fn run(run: &Run) -> RunOut<'_> {
    let points = || run.spans.iter().map(|span| span.points);
    let parameter = |p: &'_ ParameterBits| p.bits.len();
    RunOut {
        mode: run.mode.name(),
        steps: run.steps(),
        shortest_sequence: points().min().unwrap_or(0),
        longest_sequence: points().max().unwrap_or(0),
        compilations: run.compilations,
        compile_seconds: run.compile_seconds,
        first_step_seconds: run.step_seconds.first().copied().unwrap_or(0.0),
        median_step_seconds: run.median_step_seconds(),
        total_seconds: run.total_seconds(),
        final_loss: run.final_loss(),
        final_loss_bits: hex(run.final_loss()),
        parameter_values: run.parameters.iter().map(parameter).sum(),
        parameter_fingerprint: format!("{:016x}", run.fingerprint()),
        parameters: run.parameters.iter().map(|p| ParameterOut { name: &p.name, values: p.bits.len() }).collect(),
        kernels: run.kernels.iter().map(kernel).collect(),
    }
}

fn kernel(kernel: &KernelInfo) -> KernelOut<'_> {
    KernelOut { name: &kernel.name, operations: &kernel.operations, place: &kernel.place }
}

/// One line per program and step: the loss of both modes as a number and as its bits.
pub fn losses_csv(pairs: &[Comparison]) -> String {
    let mut text = "program,step,points,eager_loss,traced_loss,eager_bits,traced_bits\n".to_string();
    for pair in pairs {
        let losses = pair.eager.losses.iter().zip(&pair.traced.losses);
        for (i, (eager, traced)) in losses.enumerate() {
            let (name, points) = (pair.program().name(), pair.eager.spans[i].points);
            let (eager_bits, traced_bits) = (hex(*eager), hex(*traced));
            let step = i + 1;
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name},{step},{points},{eager},{traced},{eager_bits},{traced_bits}");
        }
    }
    text
}

/// One line per program and step: the wall time of both modes in seconds.
pub fn step_times_csv(pairs: &[Comparison]) -> String {
    let mut text = "program,step,points,eager_seconds,traced_seconds\n".to_string();
    for pair in pairs {
        let times = pair.eager.step_seconds.iter().zip(&pair.traced.step_seconds);
        for (i, (eager, traced)) in times.enumerate() {
            let (name, points) = (pair.program().name(), pair.eager.spans[i].points);
            let _ = writeln!(text, "{name},{},{points},{eager:e},{traced:e}", i + 1);
        }
    }
    text
}

fn hex(value: f32) -> String {
    format!("0x{:08x}", value.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::synthetic;

    #[test]
    fn results_parse_and_say_what_the_runs_said() {
        let pairs = synthetic::comparisons();
        let text = json(&synthetic::settings(), &Machine::here(), &pairs, Some(33.1)).expect("json");
        let value: serde_json::Value = serde_json::from_str(&text).expect("parses");
        assert_eq!(value["generator"], "allotrope compare");
        assert_eq!(value["equal_to_the_bit"], true);
        assert_eq!(value["programs"][1]["program"], "rnn_dynamic");
        assert_eq!(value["programs"][2]["runs"][1]["compilations"], 1);
        assert_eq!(value["programs"][2]["runs"][0]["steps"], 600);
    }

    #[test]
    fn a_difference_is_in_the_results() {
        let mut pairs = synthetic::comparisons();
        pairs[0].traced.parameters[0].bits[0] ^= 1;
        let text = json(&synthetic::settings(), &Machine::here(), &pairs, None).expect("json");
        let value: serde_json::Value = serde_json::from_str(&text).expect("parses");
        assert_eq!(value["equal_to_the_bit"], false);
        assert_eq!(value["programs"][0]["equal_losses"], true);
        assert!(value["programs"][0]["difference"].as_str().expect("text").contains("1 of 32"));
    }

    #[test]
    fn every_step_has_its_line() {
        let pairs = synthetic::comparisons();
        for text in [losses_csv(&pairs), step_times_csv(&pairs)] {
            assert_eq!(text.lines().count(), 1 + 60 + 60 + 600);
            let columns = |line: &str| line.split(',').count();
            let first = columns(text.lines().next().expect("a header"));
            assert!(text.lines().all(|line| columns(line) == first));
        }
    }
}
