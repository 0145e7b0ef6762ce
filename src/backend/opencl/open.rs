//! Devices found and opened, and what is said where that cannot be. Nothing is built here but the probe's program.

use super::cache::Cache;
use super::device::Opened;
use super::handles::{self, Context, Description, Failed, Queue, Unit};
use super::memory::{Limits, Pool};
use super::probe;
use super::verdict::Verdict;
use crate::device::Device;
use crate::error::Result;
use std::sync::{Arc, OnceLock};

/// How OpenCL is installed, for messages.
const INSTALL: &str = "install the driver of the GPU's vendor (packages nvidia-opencl-icd, intel-opencl-icd, mesa-opencl-icd \
    or rocm-opencl-icd on Debian), or PoCL for this processor (package pocl-opencl-icd)";

/// The devices of this machine, in the order of their numbers.
///
/// # Errors
/// Where there can be none: what is missing, and how it is installed.
pub fn units() -> Result<Vec<Unit>, String> {
    let library = allotrope_opencl_loader::library()
        .map_err(|said| format!("the library of OpenCL is missing ({said}); {INSTALL}, which bring it along"))?;
    match handles::units() {
        Ok(units) if !units.is_empty() => Ok(units),
        Ok(_) | Err(Failed { code: handles::PLATFORM_NOT_FOUND, .. }) => {
            Err(format!("the library {library} finds no driver with a device; {INSTALL}"))
        }
        Err(failed) => Err(format!("the library {library} cannot list devices: {failed}; {INSTALL}")),
    }
}

impl Opened {
    /// Opens the device of this number.
    ///
    /// # Errors
    /// Where there is none of this number, or it cannot be opened: what is missing.
    pub(super) fn open(number: u8) -> Result<Opened, String> {
        let units = units()?;
        let unit = *units.get(usize::from(number)).ok_or_else(|| none_of(&units))?;
        let description = unit.describe().map_err(|failed| failed.to_string())?;
        let Description { name, version, available, has_compiler, .. } = &description;
        if !available || !has_compiler {
            let what = if *available { "its driver has no compiler" } else { "it is not available" };
            return Err(format!("{name} cannot be used: {what}"));
        }
        if at_least_1_2(version) == Some(false) {
            return Err(format!("{name} has {version}, and OpenCL 1.2 is needed; a newer driver may have it"));
        }
        let open = || -> handles::Result<_> {
            let context = Context::new(unit)?;
            Ok((Queue::new(&context, unit)?, context))
        };
        let (queue, context) = open().map_err(|failed| format!("{name} cannot be opened: {failed}"))?;
        let memory = Arc::new(Pool::new(limits(&description)));
        let (device, cache, key) = (Device::OpenCl(number), Cache::of_user(), key(&description));
        let (verdict, lost) = (Verdict::default(), OnceLock::new());
        let mut opened = Opened { device, unit, description, queue, context, memory, cache, key, verdict, lost };
        opened.verdict = probe::verdict(&opened).map_err(|error| format!("its probe failed: {error}"))?;
        opened.key = format!("{}\0{}", opened.key, opened.verdict.bits());
        Ok(opened)
    }
}

/// What a program that was built for a device depends on. The number changes when what is built from the same text does.
fn key(description: &Description) -> String {
    let Description { platform, platform_version, name, vendor, version, driver, .. } = description;
    ["1", platform, platform_version, name, vendor, version, driver].join("\0")
}

/// Bytes of slabs that are kept where the memory is the host's.
const KEPT_OF_HOST: usize = 512 << 20;

/// What is used of a device's memory.
fn limits(description: &Description) -> Limits {
    let &Description { global_bytes: total, largest_buffer: largest, shares_memory, .. } = description;
    let kept = if shares_memory { KEPT_OF_HOST.min(total) } else { total / 8 };
    let apart = std::env::var("ALLOTROPE_OPENCL_BLOCKS").is_ok_and(|blocks| blocks == "apart");
    Limits { total, largest: largest.min(total), kept, apart }
}

/// There is no device of a number.
fn none_of(units: &[Unit]) -> String {
    let names = units.iter().enumerate().map(|(i, unit)| {
        let name = unit.describe().map_or_else(|failed| failed.to_string(), |d| d.name);
        format!("{} is {name}", Device::OpenCl(i as u8))
    });
    format!("there is no device of this number: {}", names.collect::<Vec<_>>().join(", "))
}

/// Whether "OpenCL 1.2 ..." is a version of 1.2 or later.
fn at_least_1_2(version: &str) -> Option<bool> {
    let (major, minor) = version.strip_prefix("OpenCL ")?.split(' ').next()?.split_once('.')?;
    let version: (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    Some(version >= (1, 2))
}
