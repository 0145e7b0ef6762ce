//! The one error type of the library. A caller's mistake (shape, dtype, index) panics with its text at the caller's
//! line; the `try_` twin of the method returns it. What depends on the world always returns it.

use allotrope_ir::RuleError;

/// What went wrong, with what was given and what would fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Operands that do not fit an operation: shapes, dtypes, axes, indices.
    #[error("{op}: {message}")]
    Operands { op: &'static str, message: String },
    /// A primitive refused its operands.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A derivative that cannot be had.
    #[error("backward: {0}")]
    Autograd(String),
    /// A host read, or something else that a trace cannot hold; says where and the ways out.
    #[error("trace: {0}")]
    Trace(String),
    /// Code could not be generated.
    #[error("compile: {0}")]
    Compile(String),
    /// A file that cannot be read or written, or does not hold what it should.
    #[error("{path}: {message}")]
    File { path: String, message: String },
    /// Arguments of a layer, an optimizer or a traced call that do not fit.
    #[error("{0}")]
    Argument(String),
}

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The error of a failed `Check`, whose message begins with the operation's name.
    pub(crate) fn checked(message: &str) -> Error {
        Error::Argument(message.to_string())
    }

    pub(crate) fn operands(op: &'static str, message: impl Into<String>) -> Error {
        Error::Operands { op, message: message.into() }
    }
}

/// Unwraps for the panicking twin of a `try_` method: the message alone, at the caller's line.
#[track_caller]
pub(crate) fn must<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
