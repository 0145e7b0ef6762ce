//! One program trained from the same seed in several ways, held against the first of them.
//!
//! It compares bits of plain runs and never trains anything.

use super::run::{Contract, Run};

/// The same program, trained from the same seed: eagerly on the CPU, traced on the CPU, and traced on a device where one
/// was named. The first run is the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub name: String,
    /// A sentence on what was trained; may be empty.
    pub description: String,
    pub runs: Vec<Run>,
}

/// Whether two lists of f32 hold the same bits, and if not, where they part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    Equal,
    Differ(String),
}

impl Agreement {
    pub fn is_equal(&self) -> bool {
        *self == Self::Equal
    }
}

impl Comparison {
    /// The run that the others are held against.
    pub fn reference(&self) -> &Run {
        &self.runs[0]
    }

    /// The runs that are held against it.
    pub fn others(&self) -> &[Run] {
        &self.runs[1..]
    }

    /// Whether a run is one of those.
    pub fn is_other(&self, run: &Run) -> bool {
        run.column != self.reference().column
    }

    /// How many times faster the median step of a run is.
    pub fn step_speedup(&self, run: &Run) -> f64 {
        self.reference().median_step_seconds() / run.median_step_seconds()
    }

    /// How many times faster a whole run is, its compilation included.
    pub fn total_speedup(&self, run: &Run) -> f64 {
        self.reference().total_seconds() / run.total_seconds()
    }

    pub fn losses(&self, run: &Run) -> Agreement {
        let (a, b) = (&self.reference().losses, &run.losses);
        if a.len() != b.len() {
            return Agreement::Differ(format!("{} steps and {}", a.len(), b.len()));
        }
        let parted = a.iter().zip(b).position(|(a, b)| a.to_bits() != b.to_bits());
        let Some(step) = parted else { return Agreement::Equal };
        let shown = |run: &Run| {
            let loss = run.losses[step];
            format!("{} {loss:e} ({})", run.column.label(), bits_of(loss))
        };
        Agreement::Differ(format!("first at step {}: {}, {}", step + 1, shown(self.reference()), shown(run)))
    }

    pub fn parameters(&self, run: &Run) -> Agreement {
        let (a, b) = (&self.reference().parameters, &run.parameters);
        if a.len() != b.len() {
            return Agreement::Differ(format!("{} parameters and {}", a.len(), b.len()));
        }
        for (a, b) in a.iter().zip(b) {
            let all = a.bits.len();
            if a.name != b.name || all != b.bits.len() {
                return Agreement::Differ(format!("{} [{all}] beside {} [{}]", a.name, b.name, b.bits.len()));
            }
            let differing = a.bits.iter().zip(&b.bits).filter(|(a, b)| a != b).count();
            if differing > 0 {
                return Agreement::Differ(format!("{differing} of {all} values of {}", a.name));
            }
        }
        Agreement::Equal
    }

    /// Where a run and the reference part, in losses or else in parameters, and how.
    pub fn difference(&self, run: &Run) -> Option<(&'static str, String)> {
        let each = [("losses", self.losses(run)), ("parameters", self.parameters(run))];
        each.into_iter().find_map(|(of, agreement)| match agreement {
            Agreement::Equal => None,
            Agreement::Differ(what) => Some((of, what)),
        })
    }

    /// The first run that differs although equal bits are promised for it, and where.
    pub fn broken(&self) -> Option<(&Run, String)> {
        let promised = |run: &&Run| run.column.on.as_ref().is_none_or(|on| on.contract == Contract::EqualBits);
        self.others().iter().filter(promised).find_map(|run| {
            let (of, what) = self.difference(run)?;
            Some((run, format!("{of}, {what}")))
        })
    }

    /// Whether all runs have the same bits.
    pub fn agrees(&self) -> bool {
        self.others().iter().all(|run| self.difference(run).is_none())
    }
}

/// The bits of a number: those of an f32 where it is one.
pub(super) fn bits_of(x: f64) -> String {
    let single = x as f32;
    if f64::from(single).to_bits() == x.to_bits() || x.is_nan() {
        return format!("0x{:08x}", single.to_bits());
    }
    format!("0x{:016x}", x.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::synthetic::{self, Program};

    #[test]
    fn equal_runs_agree() {
        let all = synthetic::comparison(Program::Fixed);
        assert!(all.agrees());
        assert_eq!(all.runs[0].fingerprint(), all.runs[1].fingerprint());
    }

    #[test]
    fn one_bit_of_a_loss_is_found_and_named() {
        let mut all = synthetic::comparison(Program::Fixed);
        all.runs[1].losses[6] = f64::from_bits(all.runs[1].losses[6].to_bits() ^ 1);
        let traced = &all.runs[1];
        let Agreement::Differ(where_) = all.losses(traced) else { panic!("a flipped bit went unseen") };
        assert!(where_.contains("step 7") && where_.contains("eager") && where_.contains("traced"), "{where_}");
        assert!(all.parameters(traced).is_equal());
    }

    #[test]
    fn one_bit_of_a_parameter_is_found_and_named() {
        let mut all = synthetic::comparison(Program::Fixed);
        all.runs[1].parameters[1].bits[3] ^= 1;
        let Agreement::Differ(where_) = all.parameters(&all.runs[1]) else { panic!("a flipped bit went unseen") };
        assert!(where_.contains(&all.reference().parameters[1].name), "{where_}");
    }

    #[test]
    fn equal_nans_are_equal_bits() {
        let mut all = synthetic::comparison(Program::Fixed);
        all.runs.iter_mut().for_each(|run| run.losses[0] = f64::NAN);
        assert!(all.losses(&all.runs[1]).is_equal());
    }

    #[test]
    fn a_device_is_held_to_its_contract() {
        let mut all = synthetic::on_a_device(Program::Fixed, Contract::EqualBits);
        assert!(all.agrees() && all.broken().is_none());
        all.runs[2].losses[0] += 1.0;
        let (run, what) = all.broken().expect("it differs");
        assert_eq!(run.column.key(), "device");
        assert!(what.starts_with("losses, first at step 1"), "{what}");

        let mut all = synthetic::on_a_device(Program::Fixed, Contract::Within("4 ulp in sin".to_string()));
        all.runs[2].losses[0] += 1.0;
        assert!(!all.agrees() && all.broken().is_none());
        all.runs[1].losses[0] += 1.0;
        assert_eq!(all.broken().map(|(run, _)| run.column.key()), Some("traced"));
    }
}
