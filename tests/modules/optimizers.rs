//! Runs the cases of one optimizer.

use crate::Outcome;
use std::path::Path;

/// All cases of a class.
pub fn run(_folder: &Path, class: &str) -> Outcome {
    Outcome { class: class.to_string(), passed: 0, failed: vec!["not run yet".to_string()] }
}
