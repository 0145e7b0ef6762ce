//! What people are told of code for a device: what it runs on, what was built, and what the last call launched. It decides
//! nothing.

use crate::backend::opencl::executable::{Code, Form};
use crate::backend::opencl::source::body::Style;

/// A line for each.
pub(super) fn of(code: &Code) -> Vec<String> {
    let description = code.opened.description();
    let style = match code.style {
        Style::Cpu => "with few threads",
        Style::Gpu => "with thousands of items",
    };
    let mut lines = vec![format!("{} ({}), kernels for a device {style}", description.name, description.platform)];
    for form in [Form::Launched, Form::Single] {
        let Some((kernels, took)) = code.built(form) else { continue };
        let what = match form {
            Form::Launched => format!("{kernels} kernels, launched one by one"),
            Form::Single => "the whole program as one kernel".to_string(),
        };
        lines.push(format!("built: {what}, in {:.2} ms", took.as_secs_f64() * 1e3));
    }
    match code.last() {
        None => {}
        Some((Form::Single, _)) => lines.push("the last call: one launch, of the whole program".to_string()),
        Some((Form::Launched, launches)) => lines.push(format!("the last call: {launches} launches")),
    }
    lines
}
