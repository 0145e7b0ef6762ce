//! `allotrope compare`: every program in both modes, and on a device where one is named; the table, the report, and the
//! verdict.
//!
//! The folder is tried before anything is trained, and differing bits end in an error after the report, which shows
//! them, has been written.

use super::args::CompareArgs;
use super::comparison::{Agreement, Comparison};
use super::error::CliError;
use super::format;
use super::memory;
use super::output::print;
use super::programs;
use super::progress::Progress;
use super::report::{self, OutFolder};
use super::run::{Column, Contract, Mode, Run, Settings};
use super::sequence::{self, Program};
use super::train::train;

/// Trains, prints, writes.
///
/// # Errors
/// When the folder or the device does not fit, the library fails, the report cannot be written, or the runs differ.
pub fn run(args: &CompareArgs) -> Result<(), CliError> {
    let settings = args.settings()?;
    let folder = OutFolder::check(&args.out)?;
    programs::use_threads(settings.threads)?;
    let mut columns = vec![Column::cpu(Mode::Eager), Column::cpu(Mode::Traced)];
    if let Some(device) = settings.device {
        columns.push(Column { mode: Mode::Traced, on: Some(programs::accelerator(device)?) });
    }
    let mut pairs = Vec::new();
    for program in Program::ALL {
        let runs = columns.iter().map(|column| one(program, column, &settings));
        pairs.push(Comparison { runs: runs.collect::<Result<_, _>>()? });
    }
    print(&table(&pairs))?;
    report::write(&folder, &settings, &pairs)?;
    let page = args.out.join(report::PAGE);
    let peak = memory::peak_rss_mib().map_or(String::new(), |mib| format!("   peak memory {mib} MiB"));
    print(&format!("\nreport: {}{peak}\n", page.display()))?;
    verdict(&pairs)
}

fn one(program: Program, column: &Column, settings: &Settings) -> Result<Run, CliError> {
    let steps = sequence::steps(program, settings.steps);
    let progress = Progress::new(&format!("{} {}", program.name(), column.label()), steps);
    let run = train(program, column.clone(), settings, || progress.step())?;
    progress.finish(&run);
    Ok(run)
}

fn table(pairs: &[Comparison]) -> String {
    let header = [
        "program",
        "mode",
        "steps",
        "compilations",
        "compile time",
        "median step",
        "total time",
        "speed-up",
        "final loss",
        "losses",
        "parameters",
    ];
    let rows = pairs.iter().flat_map(|all| all.runs.iter().map(|run| row(all, run)));
    let mut text = format::table(&header, &rows.collect::<Vec<_>>(), 2);
    let columns = || pairs.iter().flat_map(Comparison::others).filter_map(|run| run.column.on.as_ref());
    let Some(on) = columns().next() else {
        return text
            + "\nspeed-up: of the median step; losses, parameters: eager and traced, equal to the bit or not\n";
    };
    text += "\nspeed-up: of the median step; losses, parameters: those of the first row, equal to the bit or not\n";
    text += &format!("{} is {}, ", on.device, on.name);
    match &on.contract {
        Contract::EqualBits => text + "which has the bits of the CPU\n",
        Contract::Within(stated) => text + &format!("which need not have the bits of the CPU: {stated}\n"),
    }
}

fn row(all: &Comparison, run: &Run) -> Vec<String> {
    let only = |holds: bool, text: &dyn Fn() -> String| if holds { text() } else { String::new() };
    let other = all.is_other(run);
    let differs = match run.column.on.as_ref().map(|on| &on.contract) {
        None | Some(Contract::EqualBits) => "DIFFER",
        Some(Contract::Within(_)) => "differ",
    };
    let word = |agreement: Agreement| if agreement.is_equal() { "equal" } else { differs }.to_string();
    vec![
        run.program.name().to_string(),
        run.column.label(),
        run.steps().to_string(),
        only(run.traced(), &|| run.compilations.to_string()),
        only(run.traced(), &|| format::seconds(run.compile_seconds)),
        format::seconds(run.median_step_seconds()),
        format::seconds(run.total_seconds()),
        only(other, &|| format::times(all.step_speedup(run))),
        format!("{:.6}", run.final_loss()),
        only(other, &|| word(all.losses(run))),
        only(other, &|| word(all.parameters(run))),
    ]
}

fn verdict(pairs: &[Comparison]) -> Result<(), CliError> {
    for all in pairs {
        let program = all.program().name();
        match all.broken() {
            None => {}
            Some((run, what)) if run.column.on.is_none() => return Err(CliError::ModesDiffer { program, what }),
            Some((run, what)) => {
                return Err(CliError::DeviceDiffers { device: run.column.device(), program, what });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::synthetic;

    #[test]
    fn the_table_has_a_row_for_each_run() {
        let text = table(&synthetic::comparisons());
        assert_eq!(text.lines().filter(|line| line.starts_with("rnn_")).count(), 6);
        assert_eq!(text.matches("equal ").count(), 3 + 1, "{text}");
        assert!(!text.contains("DIFFER"));
    }

    #[test]
    fn a_difference_is_an_error_that_names_it() {
        let mut pairs = synthetic::comparisons();
        assert!(verdict(&pairs).is_ok());
        pairs[1].runs[1].parameters[2].bits[5] ^= 1;
        assert!(table(&pairs).contains("DIFFER"));
        let error = verdict(&pairs).expect_err("they differ");
        assert_eq!(error.exit_status(), 1);
        let text = error.to_string();
        assert!(text.contains("rnn_dynamic") && text.contains("out.weight"), "{text}");
    }

    #[test]
    fn a_device_has_a_row_and_is_held_to_what_it_promises() {
        let mut equal = [synthetic::on_a_device(Program::Fixed, Contract::EqualBits)];
        let text = table(&equal);
        assert_eq!(text.lines().filter(|line| line.starts_with("rnn_")).count(), 3);
        assert!(text.contains("traced@cpu") && text.contains("which has the bits of the CPU"), "{text}");
        equal[0].runs[2].parameters[0].bits[0] ^= 1;
        let error = verdict(&equal).expect_err("it differs").to_string();
        assert!(error.contains("differs from the CPU in rnn_fixed: parameters, 1 of 32"), "{error}");

        let mut near = [synthetic::on_a_device(Program::Fixed, Contract::Within("4 ulp in sin".to_string()))];
        near[0].runs[2].parameters[0].bits[0] ^= 1;
        let text = table(&near);
        assert!(text.contains(" differ") && !text.contains("DIFFER") && text.contains("4 ulp in sin"), "{text}");
        assert!(verdict(&near).is_ok());
    }
}
