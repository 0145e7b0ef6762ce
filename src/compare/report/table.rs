//! The comparisons as a table of text, for a terminal.

use super::model::promises_bits;
use crate::compare::comparison::{Agreement, Comparison};
use crate::compare::format;
use crate::compare::run::{Contract, Run};

pub(super) fn table(comparisons: &[Comparison]) -> String {
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
    let rows = comparisons.iter().flat_map(|all| all.runs.iter().map(|run| row(all, run)));
    let mut text = format::table(&header, &rows.collect::<Vec<_>>(), 2);
    let mut devices: Vec<_> =
        comparisons.iter().flat_map(Comparison::others).filter_map(|run| run.column.on.as_ref()).collect();
    devices.dedup();
    if devices.is_empty() {
        return text
            + "\nspeed-up: of the median step; losses, parameters: eager and traced, equal to the bit or not\n";
    }
    text += "\nspeed-up: of the median step; losses, parameters: those of the first row, equal to the bit or not\n";
    for on in devices {
        text += &format!("{} is {}, ", on.device, on.name);
        text += &match &on.contract {
            Contract::EqualBits => "which has the bits of the CPU\n".to_string(),
            Contract::Within(stated) => format!("which need not have the bits of the CPU: {stated}\n"),
        };
    }
    text
}

fn row(all: &Comparison, run: &Run) -> Vec<String> {
    let only = |holds: bool, text: &dyn Fn() -> String| if holds { text() } else { String::new() };
    let other = all.is_other(run);
    let differs = if promises_bits(&run.column) { "DIFFER" } else { "differ" };
    let word = |agreement: Agreement| if agreement.is_equal() { "equal" } else { differs }.to_string();
    vec![
        run.program.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::synthetic::{self, Program};

    #[test]
    fn the_table_has_a_row_for_each_run() {
        let mut all = synthetic::comparisons();
        let text = table(&all);
        assert_eq!(text.lines().filter(|line| line.starts_with("rnn_")).count(), 6);
        assert_eq!(text.matches("equal ").count(), 3 + 1, "{text}");
        assert!(!text.contains("DIFFER"));
        all[1].runs[1].parameters[2].bits[5] ^= 1;
        assert!(table(&all).contains("DIFFER"));
    }

    #[test]
    fn a_device_has_a_row_and_its_promise() {
        let text = table(&[synthetic::on_a_device(Program::Fixed, Contract::EqualBits)]);
        assert_eq!(text.lines().filter(|line| line.starts_with("rnn_")).count(), 3);
        assert!(text.contains("traced@cpu") && text.contains("which has the bits of the CPU"), "{text}");
        let mut near = [synthetic::on_a_device(Program::Fixed, Contract::Within("4 ulp in sin".to_string()))];
        near[0].runs[2].parameters[0].bits[0] ^= 1;
        let text = table(&near);
        assert!(text.contains(" differ") && !text.contains("DIFFER") && text.contains("4 ulp in sin"), "{text}");
    }
}
