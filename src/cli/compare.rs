//! `allotrope compare`: every program in both modes, and on a device where one is named; the table, the report, and the
//! verdict.
//!
//! The folder is tried before anything is trained, and differing bits end in an error after the report, which shows
//! them, has been written.

use super::args::{CompareArgs, Settings};
use super::error::CliError;
use super::output::print;
use super::programs::{self, library};
use super::progress::Progress;
use super::sequence::{self, Program};
use allotrope::compare::{Comparison, PAGE, Report, ReportFolder, peak_rss_mib};

/// Trains, prints, writes.
///
/// # Errors
/// When the folder or the device does not fit, the library fails, the report cannot be written, or the runs differ.
pub fn run(args: &CompareArgs) -> Result<(), CliError> {
    let settings = args.settings()?;
    let folder = ReportFolder::check(&args.out).map_err(CliError::OutFolder)?;
    settings.device.map_or(Ok(()), programs::open)?;
    let mut report = report(&settings);
    for program in Program::ALL {
        report = report.with(one(program, &settings)?);
    }
    print(&report.table())?;
    report.write_into(&folder).map_err(library("the report"))?;
    let peak = peak_rss_mib().map_or(String::new(), |mib| format!("   peak memory {mib} MiB"));
    print(&format!("\nreport: {}{peak}\n", args.out.join(PAGE).display()))?;
    report.verdict().map_err(CliError::Differ)
}

/// One program in all columns, each with a bar.
fn one(program: Program, settings: &Settings) -> Result<Comparison, CliError> {
    let steps = sequence::steps(program, settings.steps);
    let mut bar: Option<Progress> = None;
    let comparison = programs::experiment(program, settings).run_with(|column, step| match step {
        0 => bar = Some(Progress::new(&format!("{} {}", program.name(), column.label()), steps)),
        _ => bar.iter().for_each(Progress::step),
    });
    drop(bar);
    let comparison = comparison.map_err(library("the training step"))?;
    comparison.runs.iter().for_each(super::progress::said);
    Ok(comparison)
}

fn report(settings: &Settings) -> Report {
    let Settings { steps, half_turns, hidden, batch, seed, threads, device } = settings;
    let (least, most) = (half_turns.least, half_turns.most);
    let on = device.map_or(String::new(), |device| format!(" --device {device}"));
    let report = Report::new("One program, two structures")
        .intro(format!(
            "A recurrent network learns the cosine from the sine: Rnn(1, {hidden}), Linear({hidden}, 1), mean squared error, Adam at \
             0.02, batch {batch}, seed {seed}, threads {threads}. The hidden state is carried from each window to the next."
        ))
        .command(format!(
            "allotrope compare --steps {steps} --lengths {least}..{most} --hidden {hidden} --batch {batch} --seed {seed} --threads \
             {threads}{on}"
        ))
        .setting("steps", *steps)
        .setting("half_turns", vec![least, most])
        .setting("hidden", *hidden)
        .setting("batch", *batch)
        .setting("seed", *seed)
        .setting("threads", *threads);
    match device {
        Some(device) => report.setting("device", device.to_string()),
        None => report,
    }
}
