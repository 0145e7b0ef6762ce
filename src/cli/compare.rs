//! `allotrope compare`: every program in both modes, the table, the report, and the verdict.
//!
//! The folder is tried before anything is trained, and differing bits end in an error after the report is there
//! to look at them.

use super::args::CompareArgs;
use super::error::CliError;
use super::format;
use super::memory;
use super::output::print;
use super::programs;
use super::progress::Progress;
use super::report::{self, OutFolder};
use super::run::{Agreement, Comparison, Mode, Run, Settings};
use super::sequence::{self, Program};
use super::train::train;

/// Trains, prints, writes.
///
/// # Errors
/// When the folder does not fit, the library fails, the report cannot be written, or the modes differ.
pub fn run(args: &CompareArgs) -> Result<(), CliError> {
    let settings = args.settings()?;
    let folder = OutFolder::check(&args.out)?;
    programs::use_threads(settings.threads)?;
    let mut pairs = Vec::new();
    for program in Program::ALL {
        let eager = one(program, Mode::Eager, &settings)?;
        let traced = one(program, Mode::Traced, &settings)?;
        pairs.push(Comparison { eager, traced });
    }
    print(&table(&pairs))?;
    report::write(&folder, &settings, &pairs)?;
    let page = args.out.join(report::PAGE);
    let peak = memory::peak_rss_mib().map_or(String::new(), |mib| format!("   peak memory {mib} MiB"));
    print(&format!("\nreport: {}{peak}\n", page.display()))?;
    verdict(&pairs)
}

fn one(program: Program, mode: Mode, settings: &Settings) -> Result<Run, CliError> {
    let steps = sequence::steps(program, settings.steps);
    let progress = Progress::new(&format!("{} {}", program.name(), mode.name()), steps);
    let run = train(program, mode, settings, || progress.step())?;
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
    let rows: Vec<Vec<String>> = pairs.iter().flat_map(|pair| pair.runs().map(|run| row(pair, run))).collect();
    let mut text = format::table(&header, &rows, 2);
    text += "\nspeed-up: of the median step; losses, parameters: eager and traced, equal to the bit or not\n";
    text
}

fn row(pair: &Comparison, run: &Run) -> Vec<String> {
    let only_traced = |text: String| if run.mode == Mode::Traced { text } else { String::new() };
    let word = |agreement: Agreement| only_traced(if agreement.is_equal() { "equal" } else { "DIFFER" }.to_string());
    vec![
        run.program.name().to_string(),
        run.mode.name().to_string(),
        run.steps().to_string(),
        only_traced(run.compilations.to_string()),
        only_traced(format::seconds(run.compile_seconds)),
        format::seconds(run.median_step_seconds()),
        format::seconds(run.total_seconds()),
        only_traced(format::times(pair.step_speedup())),
        format!("{:.6}", run.final_loss()),
        word(pair.losses()),
        word(pair.parameters()),
    ]
}

fn verdict(pairs: &[Comparison]) -> Result<(), CliError> {
    for pair in pairs {
        let program = pair.program().name();
        if let Agreement::Differ(what) = pair.losses() {
            return Err(CliError::ModesDiffer { program, what: format!("losses, {what}") });
        }
        if let Agreement::Differ(what) = pair.parameters() {
            return Err(CliError::ModesDiffer { program, what: format!("parameters, {what}") });
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
        pairs[1].traced.parameters[2].bits[5] ^= 1;
        assert!(table(&pairs).contains("DIFFER"));
        let error = verdict(&pairs).expect_err("they differ");
        assert_eq!(error.exit_status(), 1);
        let text = error.to_string();
        assert!(text.contains("rnn_dynamic") && text.contains("out.weight"), "{text}");
    }
}
