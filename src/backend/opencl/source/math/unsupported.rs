//! What the translation of the math files does not have, and where it stands. It translates nothing.

use std::fmt;

/// Something in a math file that the translation does not have.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsupported {
    pub file: String,
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.rs:{}: not translated to OpenCL C: {}", self.file, self.line, self.message)
    }
}
