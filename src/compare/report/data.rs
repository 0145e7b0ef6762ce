//! The report's numbers for other programs: `results.json`, `losses.csv`, `step_times.csv`.
//!
//! Every value is the run's own; nothing is rounded, and f32 values are given as their bits as well.

use super::folder::MARK_TEXT;
use super::model::Report;
use crate::compare::comparison::{Comparison, bits_of};
use crate::compare::run::{Accelerator, Contract, KernelInfo, ParameterBits, Run};
use crate::error::{Error, Result};
use serde::Serialize;

#[derive(Serialize)]
struct Results<'a> {
    version: &'static str,
    settings: &'a serde_json::Map<String, serde_json::Value>,
    machine: &'a Machine,
    peak_rss_mib: Option<f64>,
    equal_to_the_bit: bool,
    programs: Vec<ProgramOut<'a>>,
}

#[derive(Serialize)]
struct ProgramOut<'a> {
    program: &'a str,
    /// The traced run beside the eager one.
    #[serde(flatten)]
    traced: AgainstOut,
    runs: Vec<RunOut<'a>>,
}

/// A run beside the eager one on the CPU.
#[derive(Serialize)]
struct AgainstOut {
    equal_losses: bool,
    equal_parameters: bool,
    difference: Option<String>,
    step_speedup: f64,
    total_speedup: f64,
}

/// Of a run on a device.
#[derive(Serialize)]
struct DeviceOut<'a> {
    device: String,
    device_name: &'a str,
    /// What it promises, `equal bits` or less.
    contract: &'a str,
    #[serde(flatten)]
    against: AgainstOut,
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
    final_loss: f64,
    final_loss_bits: String,
    parameter_values: usize,
    parameter_fingerprint: String,
    parameters: Vec<ParameterOut<'a>>,
    kernels: Vec<KernelOut<'a>>,
    #[serde(flatten)]
    on: Option<DeviceOut<'a>>,
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
pub(super) fn json(report: &Report, machine: &Machine, peak_rss_mib: Option<f64>) -> Result<String> {
    let results = Results {
        version: env!("CARGO_PKG_VERSION"),
        settings: &report.settings,
        machine,
        peak_rss_mib,
        equal_to_the_bit: report.comparisons.iter().all(Comparison::agrees),
        programs: report.comparisons.iter().map(program).collect(),
    };
    let text = serde_json::to_string_pretty(&results)
        .map_err(|error| Error::File { path: super::folder::MARK.to_string(), message: error.to_string() })?;
    Ok(text.replacen('{', &format!("{{\n  {MARK_TEXT},"), 1) + "\n")
}

fn program(all: &Comparison) -> ProgramOut<'_> {
    let runs = all.runs.iter().map(|r| run(all, r)).collect();
    ProgramOut { program: &all.name, traced: against(all, &all.others()[0]), runs }
}

fn against(all: &Comparison, run: &Run) -> AgainstOut {
    AgainstOut {
        equal_losses: all.losses(run).is_equal(),
        equal_parameters: all.parameters(run).is_equal(),
        difference: all.difference(run).map(|(_, what)| what),
        step_speedup: all.step_speedup(run),
        total_speedup: all.total_speedup(run),
    }
}

fn device<'a>(all: &Comparison, run: &'a Run) -> Option<DeviceOut<'a>> {
    let Accelerator { device, name, contract } = run.column.on.as_ref()?;
    let contract = match contract {
        Contract::EqualBits => "equal bits",
        Contract::Within(stated) => stated,
    };
    Some(DeviceOut { device: device.to_string(), device_name: name, contract, against: against(all, run) })
}

fn run<'a>(all: &Comparison, run: &'a Run) -> RunOut<'a> {
    let points = || run.lengths.iter().copied();
    let parameter = |p: &'_ ParameterBits| p.bits.len();
    RunOut {
        mode: run.column.mode.name(),
        steps: run.steps(),
        shortest_sequence: points().min().unwrap_or(0),
        longest_sequence: points().max().unwrap_or(0),
        compilations: run.compilations,
        compile_seconds: run.compile_seconds,
        first_step_seconds: run.step_seconds.first().copied().unwrap_or(0.0),
        median_step_seconds: run.median_step_seconds(),
        total_seconds: run.total_seconds(),
        final_loss: run.final_loss(),
        final_loss_bits: bits_of(run.final_loss()),
        parameter_values: run.parameters.iter().map(parameter).sum(),
        parameter_fingerprint: format!("{:016x}", run.fingerprint()),
        parameters: run.parameters.iter().map(|p| ParameterOut { name: &p.name, values: p.bits.len() }).collect(),
        kernels: run.kernels.iter().map(kernel).collect(),
        on: device(all, run),
    }
}

fn kernel(kernel: &KernelInfo) -> KernelOut<'_> {
    KernelOut { name: &kernel.name, operations: &kernel.operations, place: &kernel.place }
}

/// One line per program and step: the loss of each run as a number and as its bits.
pub fn losses_csv(pairs: &[Comparison]) -> String {
    let mut text = header(pairs, &["loss", "bits"]);
    for all in pairs {
        for i in 0..all.reference().steps() {
            let losses = all.runs.iter().map(|run| run.losses[i]);
            let bits = losses.clone().map(bits_of);
            text += &line(all, i, losses.map(|loss| loss.to_string()).chain(bits));
        }
    }
    text
}

/// One line per program and step: the wall time of each run in seconds.
pub fn step_times_csv(pairs: &[Comparison]) -> String {
    let mut text = header(pairs, &["seconds"]);
    for all in pairs {
        for i in 0..all.reference().steps() {
            text += &line(all, i, all.runs.iter().map(|run| format!("{:e}", run.step_seconds[i])));
        }
    }
    text
}

/// The names of the columns: each value for each run.
fn header(pairs: &[Comparison], values: &[&str]) -> String {
    let runs = || pairs.iter().take(1).flat_map(|all| &all.runs);
    let names = values.iter().flat_map(|value| runs().map(move |run| format!("{}_{value}", run.column.key())));
    let first = ["program", "step", "length"].map(str::to_string).into_iter();
    first.chain(names).collect::<Vec<_>>().join(",") + "\n"
}

fn line(all: &Comparison, i: usize, values: impl Iterator<Item = String>) -> String {
    let (name, points) = (csv_text(&all.name), all.reference().lengths[i]);
    let first = [name, (i + 1).to_string(), points.to_string()].into_iter();
    first.chain(values).collect::<Vec<_>>().join(",") + "\n"
}

/// A field of a CSV file, in quotes where it needs them (RFC 4180).
fn csv_text(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::synthetic::{self, Program};

    #[test]
    fn results_parse_and_say_what_the_runs_said() {
        let text = json(&synthetic::report(), &Machine::here(), Some(33.1)).expect("json");
        let value: serde_json::Value = serde_json::from_str(&text).expect("parses");
        assert_eq!(value["generator"], "allotrope compare");
        assert_eq!(value["equal_to_the_bit"], true);
        assert_eq!(value["programs"][1]["program"], "rnn_dynamic");
        assert_eq!(value["programs"][2]["runs"][1]["compilations"], 1);
        assert_eq!(value["programs"][2]["runs"][0]["steps"], 600);
    }

    #[test]
    fn a_difference_is_in_the_results() {
        let mut report = synthetic::report();
        report.comparisons[0].runs[1].parameters[0].bits[0] ^= 1;
        let text = json(&report, &Machine::here(), None).expect("json");
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
        assert!(losses_csv(&pairs).starts_with("program,step,length,eager_loss,traced_loss,eager_bits,traced_bits\n"));
        assert!(step_times_csv(&pairs).starts_with("program,step,length,eager_seconds,traced_seconds\n"));
    }

    #[test]
    fn a_device_is_in_the_results_with_what_it_promises() {
        let stated = Contract::Within("4 ulp in sin".to_string());
        let mut pairs = [synthetic::on_a_device(Program::Fixed, stated)];
        pairs[0].runs[2].losses[3] += 1.0;
        let report = Report::new("t").with(pairs[0].clone());
        let text = json(&report, &Machine::here(), None).expect("json");
        let value: serde_json::Value = serde_json::from_str(&text).expect("parses");
        assert_eq!((&value["equal_to_the_bit"], &value["programs"][0]["equal_losses"]), (&false.into(), &true.into()));
        let run = &value["programs"][0]["runs"][2];
        assert_eq!(
            (&run["mode"], &run["device"], &run["contract"]),
            (&"traced".into(), &"cpu".into(), &"4 ulp in sin".into())
        );
        assert!(run["difference"].as_str().expect("text").contains("first at step 4"));
        assert!(value["programs"][0]["runs"][1].get("device").is_none());
        assert!(losses_csv(&pairs).lines().next().expect("a header").ends_with("eager_bits,traced_bits,device_bits"));
        assert!(step_times_csv(&pairs).lines().next().expect("a header").ends_with("traced_seconds,device_seconds"));
    }
}
