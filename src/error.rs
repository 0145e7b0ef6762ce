//! The one error type of the library. A caller's mistake (shape, dtype, index) panics with its text at the caller's
//! line; the `try_` twin of the method returns it. What depends on the world always returns it.

use crate::device::Device;
use allotrope_ir::{DType, RuleError};
use std::any::Any;
use std::cell::Cell;
use std::panic::{Location, resume_unwind};

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
    /// Operands that are on two devices; nothing is transferred unasked.
    #[error("{op}: the operands are on two devices, {} and {}; use to_device() to have them on one{place}", devices[0], devices[1])]
    Devices {
        op: &'static str,
        devices: [Device; 2],
        /// Where in the program, while a closure is recorded.
        place: String,
    },
    /// A derivative that cannot be had.
    #[error("backward: {0}")]
    Autograd(String),
    /// A host read, or something else that a trace cannot hold; says where and the ways out.
    #[error("trace: {0}")]
    Trace(String),
    /// Sizes that no tensor can have.
    #[error("{0}")]
    Size(String),
    /// Memory that could not be had; says what for.
    #[error("out of memory: {0}")]
    Memory(String),
    /// Code could not be generated.
    #[error("compile: {0}")]
    Compile(String),
    /// A file that cannot be read or written, or does not hold what it should.
    #[error("{path}: {message}")]
    File { path: String, message: String },
    /// Arguments of a layer, an optimizer or a traced call that do not fit.
    #[error("{0}")]
    Argument(String),
    /// A closure of the user's panicked while it was recorded, with these words.
    #[error("the closure panicked while it was recorded: {0}")]
    Panic(String),
}

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The error of a failed `Check`, whose message begins with the operation's name.
    pub(crate) fn checked(message: &str) -> Error {
        Error::Argument(message.to_string())
    }

    /// Memory that could not be had says what it was for.
    #[cold]
    pub(crate) fn for_what(self, what: &str) -> Error {
        match self {
            Error::Memory(message) => Error::Memory(format!("{message} for {what}")),
            other => other,
        }
    }

    /// Memory that could not be had says which tensor it was for.
    #[cold]
    pub(crate) fn for_tensor(self, dtype: DType, shape: &[usize]) -> Error {
        self.for_what(&format!("a tensor {dtype}{shape:?}"))
    }

    pub(crate) fn operands(op: &'static str, message: impl Into<String>) -> Error {
        Error::Operands { op, message: message.into() }
    }
}

/// An error on its way out of a closure that is recorded: what went wrong, and where in the program.
struct Raised {
    error: Error,
    /// None where only a place in the library is known.
    at: Option<&'static Location<'static>>,
}

impl Error {
    /// The error with the place where it arose, unless it names that already.
    fn at(mut self, at: &'static Location<'static>) -> Error {
        let text = match &mut self {
            Error::Devices { place, .. } => place,
            Error::Operands { message, .. } | Error::File { message, .. } => message,
            Error::Rule(rule) => &mut rule.message,
            Error::Autograd(s) | Error::Trace(s) | Error::Compile(s) | Error::Argument(s) | Error::Panic(s) => s,
            Error::Size(s) | Error::Memory(s) => s,
        };
        let place = format!("at {at}");
        if !text.contains(&place) {
            text.push_str(&format!(" ({place})"));
        }
        self
    }

    /// The error behind what came out of a closure that was recorded.
    pub(crate) fn caught(payload: Box<dyn Any + Send>) -> Error {
        let payload = match payload.downcast::<Raised>() {
            Ok(raised) => return raised.at.into_iter().fold(raised.error, Error::at),
            Err(payload) => payload,
        };
        Error::Panic(match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload.downcast::<&str>().map_or_else(|_| "without a message".into(), |s| s.to_string()),
        })
    }
}

thread_local! {
    /// Whether whoever runs this thread gives an error back that unwinds out of what it runs.
    static CATCHES: Cell<bool> = const { Cell::new(false) };
}

/// Says as long as it lives whether errors that unwind are given back.
pub(crate) struct Catching(bool);

impl Drop for Catching {
    fn drop(&mut self) {
        CATCHES.set(self.0);
    }
}

/// From here on errors that unwind are given back, or not.
pub(crate) fn catching(on: bool) -> Catching {
    Catching(CATCHES.replace(on))
}

/// Panics with the error at the caller's line. While a closure is recorded it only unwinds: `call` returns the error as
/// it is, so nothing is printed.
#[track_caller]
#[cold]
pub(crate) fn raise(error: Error) -> ! {
    match CATCHES.get() {
        true => resume_unwind(Box::new(Raised { error, at: Some(Location::caller()) })),
        false => panic!("{error}"),
    }
}

/// Ends the recording of a closure with the error, from deep inside the library.
#[cold]
pub(crate) fn give_up(error: Error) -> ! {
    resume_unwind(Box::new(Raised { error, at: None }))
}

/// Unwraps for the panicking twin of a `try_` method: the message alone, at the caller's line.
#[track_caller]
pub(crate) fn must<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => raise(error),
    }
}
