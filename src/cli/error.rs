//! Everything that can go wrong on the command line, with the words the user reads and the exit status.

use allotrope::Device;
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The report cannot be written where `--out` points; found before anything is trained.
    #[error("--out {0}")]
    OutFolder(allotrope::Error),
    /// Options that are each fine but too much together.
    #[error("{given}: {problem}; {fits}")]
    Options { given: String, problem: String, fits: String },
    /// Standard output went away or is full.
    #[error("could not write to standard output: {0}")]
    Output(io::Error),
    /// The library refused or failed.
    #[error("{what}: {message}")]
    Library { what: String, message: String },
    /// A device that cannot be used; found before anything is trained.
    #[error("--device {device}: {message}")]
    Device { device: Device, message: String },
    /// The one promise that the comparison checks.
    #[error("{0}")]
    Differ(allotrope::Error),
}

/// What a build without OpenCL says where that is asked for.
pub const NO_OPENCL: &str = "this build has no OpenCL";
/// And how one with it is had.
pub const BUILD_WITH_OPENCL: &str = "build it with `cargo run --release --features opencl -- ...`";

impl CliError {
    /// An option that needs OpenCL, in a build that has none.
    #[cfg(not(feature = "opencl"))]
    pub fn without_opencl(option: &str) -> CliError {
        let fits = BUILD_WITH_OPENCL.to_string();
        CliError::Options { given: option.to_string(), problem: NO_OPENCL.to_string(), fits }
    }

    /// 2 for what the user can put right in the command, 1 for what failed while it ran.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::OutFolder(_) | Self::Options { .. } | Self::Device { .. } => 2,
            _ => 1,
        }
    }
}
