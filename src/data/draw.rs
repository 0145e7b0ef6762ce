//! The draws of samplers and loaders, with PyTorch's numbers. They are made by the host when they are asked for; whoever asks
//! has made sure that no trace is recorded.

use crate::kernels::rng;
use crate::tensor::Generator;

/// `torch.empty((), dtype=torch.int64).random_()`
pub(super) fn seed(generator: &Generator) -> u64 {
    let mut out = [0];
    rng::random_i64(&mut generator.lock(), &mut out);
    out[0] as u64
}

/// `torch.randperm(n)`
pub(super) fn permutation(generator: &Generator, n: usize) -> Vec<usize> {
    let mut out = vec![0; n];
    rng::randperm(&mut generator.lock(), &mut out);
    places(&out)
}

/// `torch.randint(n, (count,))`
pub(super) fn integers(generator: &Generator, n: usize, count: usize) -> Vec<usize> {
    let mut out = vec![0; count];
    rng::randint(&mut generator.lock(), &mut out, 0, n as i64);
    places(&out)
}

/// Places, which are never negative.
pub(super) fn places(drawn: &[i64]) -> Vec<usize> {
    drawn.iter().map(|&i| i as usize).collect()
}

/// A number that depends on all bits of both, for a seed of its own (splitmix64).
pub(super) fn mixed(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
