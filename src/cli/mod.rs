//! The command line: the commands of `allotrope` and the files that carry them out.
//!
//! It reads arguments and gives exit statuses; the numbers come from the library, the pages from the report.

mod args;
mod bench;
mod compare;
mod devices;
mod error;
mod graph;
mod output;
mod programs;
mod progress;
mod python_random;
mod sequence;
#[cfg(feature = "opencl")]
mod sweep;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

/// Runs the command that the arguments name. Exit status 0 is success, 1 a failure while running (differing
/// modes among them), 2 a command that cannot be run as it was given.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        None => compare::run(&cli.compare),
        Some(Command::Compare(args)) => compare::run(&args),
        Some(Command::Bench(args)) => bench::run(&args),
        Some(Command::Graph(args)) => graph::run(&args),
        Some(Command::Devices(args)) => devices::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_status())
        }
    }
}
