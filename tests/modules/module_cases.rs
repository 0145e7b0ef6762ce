//! Runs the cases of one module class.

use crate::{Outcome, attention, layers, losses, recurrent};
use std::path::Path;

/// All cases of a class.
pub fn run(_folder: &Path, class: &str) -> Outcome {
    let _families = [layers::build, losses::build, recurrent::build, attention::build];
    Outcome { class: class.to_string(), passed: 0, failed: vec!["not run yet".to_string()] }
}
