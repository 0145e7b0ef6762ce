//! How much memory this machine has left, and what is said where it does not suffice. Large requests for more are refused
//! before they are made: a system that promises memory which it does not have ends the process when that is used.

use crate::error::{Error, Result};
use allotrope_ir::MOST_BYTES;
use std::sync::OnceLock;

/// Requests of up to this many bytes are made without a look at the machine, which takes some microseconds.
const UNASKED: usize = 1 << 26;

/// That this machine has so many bytes left.
///
/// # Errors
/// When it has not.
#[inline]
pub(in crate::backend) fn check(bytes: usize) -> Result<()> {
    match bytes <= UNASKED || bytes <= left() {
        true => Ok(()),
        false => Err(refused(bytes)),
    }
}

/// The error of memory that could not be had.
#[cold]
pub(super) fn refused(bytes: usize) -> Error {
    Error::memory(format!("there are no {bytes} bytes"))
}

/// An empty `Vec` with room for so many.
///
/// # Errors
/// When there is no memory for it.
pub(super) fn room<T>(n: usize) -> Result<Vec<T>> {
    let bytes = n.saturating_mul(size_of::<T>());
    check(bytes)?;
    let mut out = Vec::new();
    out.try_reserve_exact(n).map_err(|_| refused(bytes))?;
    Ok(out)
}

/// What the system says that it can give without swapping, with its swap space; no more than the group of processes may
/// have that this one is in. On Linux; elsewhere only what no tensor has is refused before it is asked for.
fn left() -> usize {
    static OF_GROUP: OnceLock<usize> = OnceLock::new();
    let of_group = *OF_GROUP.get_or_init(|| {
        let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        limit.and_then(|n| n.trim().parse().ok()).unwrap_or(MOST_BYTES)
    });
    let of_machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    of_group.min(of_machine.unwrap_or(MOST_BYTES))
}

/// Bytes of memory and of swap space that are left, by the lines of `/proc/meminfo`.
fn available(text: &str) -> Option<usize> {
    let kilobytes = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<usize>().ok()
    };
    let all = kilobytes("MemAvailable:")?.saturating_add(kilobytes("SwapFree:").unwrap_or(0));
    Some(all.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_swap_space_are_read() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:  3000 kB\nSwapFree:       1000 kB\n";
        assert_eq!(available(text), Some(4000 * 1024));
        assert_eq!(available("MemAvailable: 7 kB\n"), Some(7 * 1024));
        assert_eq!(available(""), None);
    }

    #[test]
    fn what_no_machine_has_is_refused_before_it_is_asked_for() {
        assert!(room::<f32>(usize::MAX).is_err());
        assert!(room::<f32>(1 << 45).is_err());
        assert!(room::<f32>(3).unwrap().is_empty());
    }
}
