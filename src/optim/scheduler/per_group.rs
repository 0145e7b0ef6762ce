//! A number for all groups, or one for each.

use crate::error::{Error, Result};

/// A number for all groups, or one for each.
#[derive(Clone, Debug, PartialEq)]
pub enum PerGroup {
    All(f64),
    Each(Vec<f64>),
}

impl From<f64> for PerGroup {
    fn from(x: f64) -> PerGroup {
        PerGroup::All(x)
    }
}

impl From<Vec<f64>> for PerGroup {
    fn from(each: Vec<f64>) -> PerGroup {
        PerGroup::Each(each)
    }
}

impl PerGroup {
    /// One number for each of `groups` groups.
    pub(super) fn each(&self, of: &str, name: &str, groups: usize) -> Result<Vec<f64>> {
        let all = match self {
            PerGroup::All(x) => vec![*x; groups],
            PerGroup::Each(each) if each.len() == groups => each.clone(),
            PerGroup::Each(each) => {
                return Err(Error::argument(format!(
                    "{of}: {name} has {} values, and the optimizer {groups} parameter groups",
                    each.len()
                )));
            }
        };
        match all.iter().find(|x| !x.is_finite()) {
            None => Ok(all),
            Some(x) => Err(Error::argument(format!("{of}: {name} must be finite, got {x}"))),
        }
    }
}
