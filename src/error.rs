//! The one error type of the library. A caller's mistake (shape, dtype, index) panics with its text at the caller's
//! line; the `try_` twin of the method returns it. What depends on the world always returns it. An error is made by one of
//! the constructors here, which take note of it for whoever records what the thread does: an error that the program does
//! not pass on is a branch that it took.

use crate::device::Device;
use allotrope_ir::{DType, RuleError};
use std::any::Any;
use std::cell::{Cell, RefCell};
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
    Rule(RuleError),
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
    /// A device that cannot be opened; says what is missing, and how it is installed.
    #[error("device {device}: {message}")]
    DeviceMissing { device: Device, message: String },
    /// A device that stopped working. Whatever is asked of it from then on has this error, and what was on it is gone.
    #[error("device {device} was lost: {message}")]
    DeviceLost { device: Device, message: String },
    /// Memory that a device does not have; in bytes.
    #[error("out of memory on device {device}: {asked} bytes{message} were asked for, and {available} are there")]
    OutOfDeviceMemory {
        device: Device,
        asked: usize,
        available: usize,
        /// What for.
        message: String,
    },
    /// A program that the compiler of a device refused; has its words, and the lines that they are about.
    #[error("device {device}: a program cannot be built: {message}")]
    Build { device: Device, message: String },
    /// Something else that a device did not do.
    #[error("device {device}: {message}")]
    Device { device: Device, message: String },
    /// Code could not be generated.
    #[error("compile: {0}")]
    Compile(String),
    /// A file that cannot be read or written, or does not hold what it should.
    #[error("{path}: {message}")]
    File { path: String, message: String },
    /// An item of a data set that could not be had: `get` failed or panicked, with these words, maybe on a worker's thread.
    #[error("item {index} of the data set: {message}")]
    Data { index: usize, message: String },
    /// Arguments of a layer, an optimizer or a traced call that do not fit.
    #[error("{0}")]
    Argument(String),
    /// Two runs differ that should have equal bits; says where.
    #[error("{0}")]
    Difference(String),
    /// A closure of the user's panicked while it was recorded, with these words.
    #[error("the closure panicked while it was recorded: {0}")]
    Panic(String),
}

/// The result of everything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Operands that do not fit.
    #[track_caller]
    #[cold]
    pub(crate) fn operands(op: &'static str, message: impl Into<String>) -> Error {
        Error::Operands { op, message: message.into() }.noted()
    }

    /// Whether a device failed, and not what was asked of it.
    pub(crate) fn is_of_device(&self) -> bool {
        matches!(
            self,
            Error::DeviceMissing { .. }
                | Error::DeviceLost { .. }
                | Error::OutOfDeviceMemory { .. }
                | Error::Build { .. }
                | Error::Device { .. }
        )
    }

    /// Memory that could not be had says what it was for.
    #[cold]
    pub(crate) fn for_what(self, what: &str) -> Error {
        match self {
            Error::Memory(message) => Error::Memory(format!("{message} for {what}")),
            Error::OutOfDeviceMemory { device, asked, available, message } => {
                Error::OutOfDeviceMemory { device, asked, available, message: format!("{message} for {what}") }
            }
            other => other,
        }
    }

    /// Memory that could not be had says which tensor it was for.
    #[cold]
    pub(crate) fn for_tensor(self, dtype: DType, shape: &[usize]) -> Error {
        self.for_what(&format!("a tensor {dtype}{shape:?}"))
    }

    /// An argument that does not fit: of a layer, an optimizer or a call.
    #[track_caller]
    #[cold]
    pub(crate) fn argument(message: impl Into<String>) -> Error {
        Error::Argument(message.into()).noted()
    }

    /// An item of a data set that could not be had.
    #[track_caller]
    #[cold]
    pub(crate) fn data(index: usize, message: impl Into<String>) -> Error {
        Error::Data { index, message: message.into() }.noted()
    }

    /// Sizes that no tensor can have.
    #[track_caller]
    #[cold]
    pub(crate) fn size(message: impl Into<String>) -> Error {
        Error::Size(message.into()).noted()
    }

    /// Memory that cannot be had.
    #[track_caller]
    #[cold]
    pub(crate) fn memory(message: impl Into<String>) -> Error {
        Error::Memory(message.into()).noted()
    }

    /// A derivative that cannot be had.
    #[track_caller]
    #[cold]
    pub(crate) fn autograd(message: impl Into<String>) -> Error {
        Error::Autograd(message.into()).noted()
    }

    /// Operands on two devices.
    #[track_caller]
    #[cold]
    pub(crate) fn devices(op: &'static str, devices: [Device; 2]) -> Error {
        Error::Devices { op, devices, place: String::new() }.noted()
    }

    /// A device that cannot be opened.
    #[cfg(feature = "opencl")]
    #[track_caller]
    #[cold]
    pub(crate) fn device_missing(device: Device, message: impl Into<String>) -> Error {
        Error::DeviceMissing { device, message: message.into() }.noted()
    }

    /// A device that was lost.
    #[cfg(feature = "opencl")]
    #[track_caller]
    #[cold]
    pub(crate) fn device_lost(device: Device, message: impl Into<String>) -> Error {
        Error::DeviceLost { device, message: message.into() }.noted()
    }

    /// Memory that a device does not have.
    #[cfg(feature = "opencl")]
    #[track_caller]
    #[cold]
    pub(crate) fn out_of_device_memory(device: Device, asked: usize, available: usize) -> Error {
        Error::OutOfDeviceMemory { device, asked, available, message: String::new() }.noted()
    }

    /// A program that the compiler of a device refused.
    #[cfg(feature = "opencl")]
    #[track_caller]
    #[cold]
    pub(crate) fn build(device: Device, message: impl Into<String>) -> Error {
        Error::Build { device, message: message.into() }.noted()
    }

    /// Something else that a device did not do.
    #[cfg(feature = "opencl")]
    #[track_caller]
    #[cold]
    pub(crate) fn device(device: Device, message: impl Into<String>) -> Error {
        Error::Device { device, message: message.into() }.noted()
    }

    /// What a trace cannot hold. Where one is recorded, eager code would have gone on, so the recording ends with this
    /// error whatever the program does with it.
    #[track_caller]
    #[cold]
    pub(crate) fn trace(message: impl Into<String>) -> Error {
        Error::Trace(message.into()).noted()
    }

    /// The operation that failed, for a sentence.
    pub(crate) fn operation(&self) -> &str {
        match self {
            Error::Operands { op, .. } | Error::Devices { op, .. } => op,
            Error::Rule(rule) => &rule.op,
            Error::Autograd(_) => "backward",
            // Such a text begins with what it is about.
            Error::Argument(text) => text.split_once(':').map_or("an operation", |(op, _)| op),
            Error::Size(_)
            | Error::Memory(_)
            | Error::Trace(_)
            | Error::DeviceMissing { .. }
            | Error::DeviceLost { .. }
            | Error::OutOfDeviceMemory { .. }
            | Error::Build { .. }
            | Error::Device { .. }
            | Error::Compile(_)
            | Error::File { .. }
            | Error::Difference(_)
            | Error::Data { .. }
            | Error::Panic(_) => "an operation",
        }
    }
}

impl From<RuleError> for Error {
    #[track_caller]
    #[cold]
    fn from(rule: RuleError) -> Error {
        Error::Rule(rule).noted()
    }
}

/// An error as it was noted.
pub(crate) struct Noted {
    pub(crate) error: Error,
    /// Where it was made, maybe inside of the library.
    made: &'static Location<'static>,
    /// Where the program called what failed.
    called: Option<&'static Location<'static>>,
}

impl Noted {
    /// The nearest place to the program's own code that is known.
    pub(crate) fn place(&self) -> &'static Location<'static> {
        self.called.unwrap_or(self.made)
    }

    /// The error as a recording ends with it.
    pub(crate) fn into_error(self) -> Error {
        self.called.into_iter().fold(self.error, Error::at)
    }
}

/// The first errors that arose in a part of the program, passed on or not.
#[derive(Default)]
pub(crate) struct Arisen {
    /// One that only a recording has: [`Error::trace`].
    pub(crate) refused: Option<Noted>,
    /// One that eager code has too.
    pub(crate) failed: Option<Noted>,
}

thread_local! {
    /// What arose so far in the part that this thread takes notes of, if there is one.
    static ARISEN: RefCell<Option<Arisen>> = const { RefCell::new(None) };
}

/// Runs `f`, and takes note of the errors that arise in it.
pub(crate) fn noting<T>(f: impl FnOnce() -> T) -> (T, Arisen) {
    struct Restore(Option<Arisen>);
    impl Drop for Restore {
        fn drop(&mut self) {
            ARISEN.set(self.0.take());
        }
    }
    let _around = Restore(ARISEN.replace(Some(Arisen::default())));
    let result = f();
    (result, ARISEN.take().unwrap_or_default())
}

/// Runs `f`, whose error the caller keeps for whom it concerns: it is nothing that the recording around depends on. What else
/// arose in it is.
pub(crate) fn weighed<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    let (result, inner) = noting(f);
    if result.is_ok() {
        _ = ARISEN.try_with(|arisen| {
            if let Some(arisen) = &mut *arisen.borrow_mut() {
                arisen.refused = arisen.refused.take().or(inner.refused);
                arisen.failed = arisen.failed.take().or(inner.failed);
            }
        });
    }
    result
}

impl Error {
    fn slot<'a>(&self, arisen: &'a mut Arisen) -> &'a mut Option<Noted> {
        match self {
            Error::Trace(_) => &mut arisen.refused,
            _ => &mut arisen.failed,
        }
    }

    /// Gives what is noted of errors of this kind to `f`, if notes are taken.
    fn notes(&self, f: impl FnOnce(&mut Option<Noted>)) {
        // A thread that ends has no notes any more.
        _ = ARISEN.try_with(|arisen| arisen.borrow_mut().as_mut().map(|arisen| f(self.slot(arisen))));
    }

    #[track_caller]
    fn noted(self) -> Error {
        let made = Location::caller();
        self.notes(|noted| _ = noted.get_or_insert_with(|| Noted { error: self.clone(), made, called: None }));
        self
    }

    /// What failed with this error was called here, as far as is known now.
    #[cold]
    fn called(&self, at: &'static Location<'static>) {
        self.notes(|noted| noted.iter_mut().filter(|n| n.error == *self).for_each(|n| n.called = Some(at)));
    }
}

/// The result of a function that the program calls: an error takes note of the caller's line.
#[track_caller]
#[inline]
pub(crate) fn called<T>(result: Result<T>) -> Result<T> {
    if let Err(error) = &result {
        error.called(Location::caller());
    }
    result
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
            Error::Operands { message, .. } | Error::File { message, .. } | Error::Data { message, .. } => message,
            Error::DeviceMissing { message, .. } | Error::DeviceLost { message, .. } => message,
            Error::OutOfDeviceMemory { message, .. } | Error::Build { message, .. } => message,
            Error::Device { message, .. } => message,
            Error::Rule(rule) => &mut rule.message,
            Error::Autograd(s) | Error::Trace(s) | Error::Compile(s) | Error::Argument(s) | Error::Panic(s) => s,
            Error::Size(s) | Error::Memory(s) | Error::Difference(s) => s,
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
    error.called(Location::caller());
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
