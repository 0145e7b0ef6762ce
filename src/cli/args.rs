//! The options of all commands, their defaults and their bounds.
//!
//! A value that cannot work is refused here, with what was given and what would fit, before anything is done.

use super::bench::Workload;
use super::error::{BUILD_WITH_OPENCL, CliError, NO_OPENCL};
use super::programs::Kind;
use super::sequence::{HalfTurns, LONGEST_VARIABLE, POINTS_PER_HALF_TURN, Program};
use allotrope::Device;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};

const MOST_STEPS: usize = 100_000;
const MOST_HALF_TURNS: usize = 1_000;
const MOST_HIDDEN: usize = 4_096;
const MOST_BATCH: usize = 4_096;
const MOST_THREADS: usize = 256;
/// What the activations and parameters of one step may take by estimate.
const MOST_BYTES: usize = 1 << 30;

/// One program, two structures: train eagerly and traced, and compare the bits.
#[derive(Parser, Debug)]
#[command(name = "allotrope", version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub compare: CompareArgs,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Train the example programs in both modes, compare them, write a report (the default)
    Compare(CompareArgs),
    /// Measure workloads as the peers' scripts do
    Bench(BenchArgs),
    /// Print a program's captured graph, the graph after the passes, and the code made of it
    Graph(GraphArgs),
    /// List the devices of this machine, and how each computes
    Devices(DevicesArgs),
}

#[derive(Args, Debug, Clone)]
pub struct DevicesArgs {
    /// Instead: compare functions of one f32 on a device with the CPU, operand by operand; all of them where none is named
    #[arg(long, value_name = "FUNCTION", num_args = 0..)]
    pub sweep: Option<Vec<String>>,
    /// The device of the sweep, opencl:0 where none is named
    #[arg(long, value_parser = device, requires = "sweep")]
    pub device: Option<Device>,
    /// The distance between the bit patterns of a sweep: 1 takes all 2^32, an odd one takes every exponent and some of each mantissa
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u32).range(1..), requires = "sweep")]
    pub every: u32,
}

#[derive(Args, Debug, Clone)]
pub struct CompareArgs {
    /// Training steps of rnn_fixed and rnn_dynamic; rnn_var_200 makes ten times as many
    #[arg(long, default_value = "60", value_parser = |t: &str| count(t, "steps", MOST_STEPS))]
    pub steps: usize,
    /// Half-turns (10 points each) that a step of rnn_dynamic covers: LEAST..MOST, both included, or one number
    #[arg(long, default_value = "1..3", value_parser = half_turns, value_name = "LEAST..MOST")]
    pub lengths: HalfTurns,
    /// Hidden units of the recurrent layer
    #[arg(long, default_value = "32", value_parser = |t: &str| count(t, "hidden units", MOST_HIDDEN))]
    pub hidden: usize,
    /// Sequences in a batch; row b of B runs b/B of a turn ahead
    #[arg(long, default_value = "1", value_parser = |t: &str| count(t, "sequences", MOST_BATCH))]
    pub batch: usize,
    /// Seed of the parameters and of the drawn lengths
    #[arg(long, default_value = "1")]
    pub seed: u64,
    /// Folder for the report; made when it does not exist
    #[arg(long, default_value = "allotrope-report", value_name = "FOLDER")]
    pub out: PathBuf,
    /// Threads for large kernels; the results have the same bits for any number
    #[arg(long, default_value = "1", value_parser = |t: &str| count(t, "threads", MOST_THREADS))]
    pub threads: usize,
    /// A device, as opencl:0, that runs the traced programs too and is held against the CPU
    #[arg(long, value_parser = device)]
    pub device: Option<Device>,
}

/// The options of a comparison, already checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub steps: usize,
    pub half_turns: HalfTurns,
    pub hidden: usize,
    pub batch: usize,
    pub seed: u64,
    pub threads: usize,
    /// A device that runs the traced programs too.
    pub device: Option<Device>,
}

impl CompareArgs {
    /// The settings of a comparison, when they also fit together.
    ///
    /// # Errors
    /// When a step would need more memory than a run may take.
    pub fn settings(&self) -> Result<Settings, CliError> {
        let points = LONGEST_VARIABLE.max(self.lengths.most * POINTS_PER_HALF_TURN);
        // About a dozen values a hidden unit and point (activations and their gradients), and five
        // copies of the recurrent weights (value, gradient, two moments, one temporary).
        let values = 12 * self.batch * points * self.hidden + 5 * self.hidden * self.hidden;
        let bytes = values * size_of::<f32>();
        if bytes > MOST_BYTES {
            return Err(CliError::Options {
                given: format!(
                    "--batch {} --hidden {} --lengths {}..{}",
                    self.batch, self.hidden, self.lengths.least, self.lengths.most
                ),
                problem: format!("a step would take about {} MiB", bytes >> 20),
                fits: format!("make them smaller, up to {} MiB together", MOST_BYTES >> 20),
            });
        }
        Ok(Settings {
            steps: self.steps,
            half_turns: self.lengths,
            hidden: self.hidden,
            batch: self.batch,
            seed: self.seed,
            threads: self.threads,
            // Both modes run on the CPU anyway.
            device: self.device.filter(|device| *device != Device::Cpu),
        })
    }
}

#[derive(Args, Debug, Clone)]
pub struct BenchArgs {
    /// Workloads to run, in this order; all that the mode has when none is named
    #[arg(value_parser = workload)]
    pub workloads: Vec<Workload>,
    /// Which structure to measure
    #[arg(long, value_enum, default_value_t = BenchMode::Both)]
    pub mode: BenchMode,
    /// Threads for large kernels
    #[arg(long, default_value = "1", value_parser = |t: &str| count(t, "threads", MOST_THREADS))]
    pub threads: usize,
    /// The device, as opencl:0
    #[arg(long, default_value = "cpu", value_parser = device)]
    pub device: Device,
    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum BenchMode {
    Eager,
    Trace,
    /// One after the other
    Both,
}

#[derive(Args, Debug, Clone)]
pub struct GraphArgs {
    /// The program: rnn_fixed, rnn_dynamic or rnn_var_200; or a saved function, FILE.graph
    #[arg(value_parser = looked_at)]
    pub program: LookedAt,
    /// The device that the program runs on, as opencl:0
    #[arg(long, default_value = "cpu", value_parser = device)]
    pub device: Device,
    /// The graph in its text form before and after the passes (the default, together with the code)
    #[arg(long)]
    pub text: bool,
    /// The graph after the passes for Graphviz
    #[arg(long, conflicts_with_all = ["text", "clif", "opencl", "explain", "verify", "profile"])]
    pub dot: bool,
    /// The code made of it, in Cranelift's text form
    #[arg(long)]
    pub clif: bool,
    /// The OpenCL C made of it for a kind of devices, which need not be there; without KIND for --device, or else a gpu
    #[arg(long, value_enum, value_name = "KIND", num_args = 0..=1, require_equals = true)]
    pub opencl: Option<Option<Kind>>,
    /// Why each variant was compiled, for which calls, its kernels, memory and compile time
    #[arg(long)]
    pub explain: bool,
    /// Run both modes on copies of all state and compare every bit; where they differ, name the first node that does
    #[arg(long)]
    pub verify: bool,
    /// Time each kernel, and write a trace for chrome://tracing or Perfetto
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
}

/// What `graph` is to look at.
#[derive(Debug, Clone)]
pub enum LookedAt {
    Program(Program),
    Saved(PathBuf),
}

fn looked_at(text: &str) -> Result<LookedAt, String> {
    match Program::by_name(text) {
        Some(program) => Ok(LookedAt::Program(program)),
        None if Path::new(text).extension().is_some_and(|e| e == "graph") => Ok(LookedAt::Saved(text.into())),
        None => Err(format!("unknown program; known: {}, and files that end in .graph", Program::known())),
    }
}

fn device(text: &str) -> Result<Device, String> {
    let of_opencl = text == "opencl" || text.starts_with("opencl:");
    text.parse().map_err(|unknown: allotrope::device::UnknownDevice| match of_opencl {
        true if cfg!(feature = "opencl") => format!("{unknown}; those of OpenCL are opencl:0, opencl:1, ..."),
        true => format!("{unknown}: {NO_OPENCL}; {BUILD_WITH_OPENCL}"),
        false => format!("{unknown}; there are cpu, and opencl:0, opencl:1, ... as far as OpenCL finds them"),
    })
}

fn count(text: &str, what: &str, most: usize) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        Ok(0) => Err(format!("with 0 {what} there is nothing to do; give 1 to {most}")),
        _ => Err(format!("not a number of {what} from 1 to {most}")),
    }
}

fn half_turns(text: &str) -> Result<HalfTurns, String> {
    let fits = format!("give LEAST..MOST (both included) or one number, from 1 to {MOST_HALF_TURNS}");
    let (least, most) = match text.split_once("..") {
        Some((least, most)) => (least, most.strip_prefix('=').unwrap_or(most)),
        None => text.split_once('-').unwrap_or((text, text)),
    };
    let number = |part: &str| {
        let number = part.trim().parse::<usize>();
        number.map_err(|_| format!("`{part}` is not a number of half-turns; {fits}"))
    };
    let (least, most) = (number(least)?, number(most)?);
    if least == 0 {
        return Err(format!("a step of 0 half-turns is an empty sequence; {fits}"));
    }
    if least > most {
        return Err(format!("the least, {least}, is more than the most, {most}; {fits}"));
    }
    if most > MOST_HALF_TURNS {
        return Err(format!("{most} half-turns are too many; {fits}"));
    }
    Ok(HalfTurns { least, most })
}

fn workload(text: &str) -> Result<Workload, String> {
    Workload::by_name(text).ok_or_else(|| format!("unknown workload; known: {}", Workload::known()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_default_command_takes_compare_options() {
        let cli = Cli::try_parse_from(["allotrope", "--steps", "5", "--lengths", "2..=4"]).expect("parses");
        assert!(cli.command.is_none());
        assert_eq!(cli.compare.steps, 5);
        assert_eq!(cli.compare.lengths, HalfTurns { least: 2, most: 4 });
    }

    #[test]
    fn ranges_are_read_and_refused() {
        assert_eq!(half_turns("2"), Ok(HalfTurns { least: 2, most: 2 }));
        assert_eq!(half_turns("1-3"), Ok(HalfTurns { least: 1, most: 3 }));
        for bad in ["0", "0..3", "3..1", "", "..", "a..b", "1..1001", "-1", "1..2..3"] {
            let error = half_turns(bad).expect_err(bad);
            assert!(error.contains("1 to 1000"), "{bad}: {error}");
        }
    }

    #[test]
    fn devices_are_read_and_refused() {
        assert_eq!(device("cpu"), Ok(Device::Cpu));
        for unknown in ["", "gpu", "CPU", "opencl", "opencl:", "opencl:-1", "opencl:256", "opencl:x"] {
            let error = device(unknown).expect_err(unknown);
            assert!(error.contains(&format!("{unknown:?}")) && error.contains("opencl"), "{error}");
        }
        let first = device("opencl:0").map(|device| device.to_string());
        match cfg!(feature = "opencl") {
            true => assert_eq!(first.as_deref(), Ok("opencl:0")),
            false => assert!(first.expect_err("not in this build").contains("--features opencl")),
        }
    }

    #[test]
    fn what_is_too_much_together_is_refused() {
        let parse = |args: &[&str]| Cli::try_parse_from([&["allotrope"], args].concat()).expect("parses");
        assert!(parse(&[]).compare.settings().is_ok());
        let error = parse(&["--batch", "4096", "--hidden", "4096"]).compare.settings();
        let error = error.expect_err("too much").to_string();
        assert!(error.contains("--batch 4096") && error.contains("1024 MiB"), "{error}");
    }
}
