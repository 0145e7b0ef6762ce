//! A report before it is written: comparisons with what is said of them, their table and their verdict.

use super::table;
use crate::compare::comparison::Comparison;
use crate::compare::run::{Accelerator, Column, Contract};
use crate::error::{Error, Result};

/// Comparisons with what is said of them.
///
/// See [`compare`](crate::compare) for an example.
#[derive(Clone, Debug)]
pub struct Report {
    pub(super) title: String,
    pub(super) intro: String,
    pub(super) settings: serde_json::Map<String, serde_json::Value>,
    pub(super) command: Option<String>,
    pub(super) comparisons: Vec<Comparison>,
}

impl Report {
    pub fn new(title: impl Into<String>) -> Report {
        Report {
            title: title.into(),
            intro: String::new(),
            settings: serde_json::Map::new(),
            command: None,
            comparisons: Vec::new(),
        }
    }

    /// What the page says below its title, as plain text: the model, the data, the optimizer.
    #[must_use]
    pub fn intro(mut self, text: impl Into<String>) -> Report {
        self.intro = text.into();
        self
    }

    /// A setting, for `results.json`.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Report {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// The command that makes the report again.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Report {
        self.command = Some(command.into());
        self
    }

    /// Adds a comparison.
    #[must_use]
    pub fn with(mut self, comparison: Comparison) -> Report {
        self.comparisons.push(comparison);
        self
    }

    pub fn comparisons(&self) -> &[Comparison] {
        &self.comparisons
    }

    /// A row for each run as text: steps, compilations, times, losses, and whether the bits agree.
    pub fn table(&self) -> String {
        table::table(&self.comparisons)
    }

    /// Whether all bits that are promised to be equal are: those of both modes, and of each device that promises it.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn verdict(&self) -> Result<()> {
        for all in &self.comparisons {
            if let Some((run, what)) = all.broken() {
                let name = &all.name;
                return Err(Error::Difference(match &run.column.on {
                    None => format!("the modes differ in {name}: {what}"),
                    Some(on) => format!("{} differs from the CPU in {name}: {what}", on.device),
                }));
            }
        }
        Ok(())
    }

    /// The devices beside the CPU, each once.
    pub(super) fn devices(&self) -> Vec<&Accelerator> {
        let mut all: Vec<&Accelerator> = Vec::new();
        for on in self.comparisons.iter().flat_map(|c| &c.runs).filter_map(|run| run.column.on.as_ref()) {
            if !all.contains(&on) {
                all.push(on);
            }
        }
        all
    }
}

/// Whether equal bits are promised of a column.
pub(super) fn promises_bits(column: &Column) -> bool {
    column.on.as_ref().is_none_or(|on| on.contract == Contract::EqualBits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::synthetic;

    #[test]
    fn a_difference_is_an_error_that_names_it() {
        let mut report = synthetic::report();
        assert!(report.verdict().is_ok());
        report.comparisons[1].runs[1].parameters[2].bits[5] ^= 1;
        let text = report.verdict().expect_err("they differ").to_string();
        assert!(text.contains("rnn_dynamic") && text.contains("out.weight"), "{text}");
    }

    #[test]
    fn a_device_is_held_to_what_it_promises() {
        let of = |contract| Report::new("t").with(synthetic::on_a_device(synthetic::Program::Fixed, contract));
        let mut equal = of(Contract::EqualBits);
        equal.comparisons[0].runs[2].parameters[0].bits[0] ^= 1;
        let text = equal.verdict().expect_err("it differs").to_string();
        assert!(text.contains("differs from the CPU in rnn_fixed: parameters, 1 of 32"), "{text}");
        let mut near = of(Contract::Within("4 ulp in sin".to_string()));
        near.comparisons[0].runs[2].parameters[0].bits[0] ^= 1;
        assert!(near.verdict().is_ok());
    }
}
