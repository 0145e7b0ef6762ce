//! How much a compressed file may become in memory: in proportion to its own length, so that a small file that claims to be a large
//! one is an error before there is memory for it.

/// Bytes that any file may become, and times its own bytes. MNIST has 5 times, plain white images some hundred.
const LEAST: u64 = 64 << 20;
const TIMES: u64 = 1024;

/// The most bytes that a compressed file of so many may become.
pub(super) fn inflated(compressed: usize) -> u64 {
    (compressed as u64).saturating_mul(TIMES).saturating_add(LEAST)
}
