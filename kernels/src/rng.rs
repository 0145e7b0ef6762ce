//! Random numbers: PyTorch's CPU generator and the streams that its fills draw from it. Never global: the generator is
//! a value, and callers decide which one.
//!
//! The engine is MT19937 (Matsumoto and Nishimura 1998). How its words become samples follows the definitions of
//! PyTorch's CPU backend, so that after `manual_seed(n)` the same calls consume the same words:
//!
//! | fill | words | sample |
//! |---|---|---|
//! | [`uniform_f32`] | 1 | 24 low bits / 2^24, scaled |
//! | [`uniform_f64`] | 2 | 53 low bits / 2^53, scaled |
//! | [`normal_f32`], [`normal_f64`], 16 or more | one uniform each, and 16 more where the size is no multiple of 16 | Box-Muller within groups of 16 |
//! | the same, fewer than 16 | 2 `f64` uniforms for two samples, the second one kept by the generator | Box-Muller in `f64` |
//! | [`randint`] | 1, or 2 for ranges of 2^28 and more | remainder |
//! | [`randperm`] | 1 for each element but the last | Fisher-Yates from the front |
//! | [`bernoulli`] | 2 | `f64` uniform below p |
//! | [`bernoulli_each_f32`] | 1 | `f32` uniform below p |
//! | [`bernoulli_each_f64`] | 2 | `f64` uniform below p |
//! | [`exponential`] | 2 | -log(1 - `f64` uniform) / λ |
//! | [`random_f32`], [`random_bool`] | 1 | remainder of 2^24 + 1; lowest bit |
//! | [`random_f64`], [`random_i64`] | 2 | remainder of 2^53 + 1; lowest 63 bits |
//!
//! Integers, orders and uniforms are PyTorch's to the last bit (tested against PyTorch 2.15); normals within some units
//! in the last place, as the elementary functions are this library's.

use super::math::poly;
use super::simd::{Isa, multiversion};
use std::f64::consts::PI;
use std::fmt;

const N: usize = 624;
const M: usize = 397;

/// The generator: MT19937, and the second sample of the last scalar Box-Muller draw.
#[derive(Clone, PartialEq)]
pub struct Mt19937 {
    state: [u32; N],
    /// Next word of `state` to give; `N` where a new batch is due.
    next: usize,
    seed: u64,
    normal: Option<f64>,
    /// No word was given since seeding; PyTorch's saved state tells that from a batch that is used up.
    fresh: bool,
}

impl fmt::Debug for Mt19937 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mt19937").field("seed", &self.seed).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Mt19937 {
    /// The generator after `manual_seed(seed)`. The engine takes the low 32 bits; [`Self::seed`] keeps all.
    pub fn new(seed: u64) -> Self {
        let mut state = [0u32; N];
        state[0] = seed as u32;
        for i in 1..N {
            let before = state[i - 1];
            state[i] = (before ^ before >> 30).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Mt19937 { state, next: N, seed, normal: None, fresh: true }
    }

    /// The seed that the generator was made with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next 32 random bits.
    #[inline]
    pub fn random(&mut self) -> u32 {
        if self.next == N {
            self.refill();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= y << 7 & 0x9d2c_5680;
        y ^= y << 15 & 0xefc6_0000;
        y ^ y >> 18
    }

    /// The next 64 random bits: two words, the high one first.
    #[inline]
    pub fn random64(&mut self) -> u64 {
        let high = self.random() as u64;
        high << 32 | self.random() as u64
    }

    #[cold]
    fn refill(&mut self) {
        let s = &mut self.state;
        let twist = |u: u32, v: u32| {
            let y = u & 0x8000_0000 | v & 0x7fff_ffff;
            (y >> 1) ^ if v & 1 == 1 { 0x9908_b0df } else { 0 }
        };
        for i in 0..N {
            s[i] = s[(i + M) % N] ^ twist(s[i], s[(i + 1) % N]);
        }
        self.next = 0;
        self.fresh = false;
    }

    /// Uniform in `[0, 1)`, 24 bits.
    #[inline]
    fn unit_f32(&mut self) -> f32 {
        (self.random() & 0x00ff_ffff) as f32 / 16_777_216.0
    }

    /// Uniform in `[0, 1)`, 53 bits.
    #[inline]
    fn unit_f64(&mut self) -> f64 {
        (self.random64() & 0x001f_ffff_ffff_ffff) as f64 / 9_007_199_254_740_992.0
    }

    /// One standard normal sample: the one kept from the last draw, or the first of a new pair.
    fn standard_normal(&mut self) -> f64 {
        if let Some(kept) = self.normal.take() {
            return kept;
        }
        let u1 = self.unit_f64();
        let u2 = self.unit_f64();
        let radius = (-2.0 * libm::log1p(-u2)).sqrt();
        let theta = 2.0 * PI * u1;
        self.normal = Some(radius * libm::sin(theta));
        radius * libm::cos(theta)
    }
}

/// Bytes of a saved state.
pub const STATE_BYTES: usize = 5056;
/// Where the words begin in a saved state, and where they end.
const HEAD: usize = 24;
const TAIL: usize = HEAD + 8 * N;

/// The state in the layout of `torch.Generator.get_state()`, little-endian: seed (8 bytes), words left in the batch (4),
/// whether it was seeded (4), next word (8), the words (8 each), three numbers of which the second is the kept sample
/// (8 each), whether there is one (4), and 12 bytes that this generator has no use for.
impl Mt19937 {
    /// The state as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(STATE_BYTES);
        let used_up = self.next == N;
        let left = if used_up { 1 } else { (N + 1 - self.next) as u32 };
        let next = if self.fresh { 0 } else { self.next as u64 };
        out.extend(self.seed.to_le_bytes());
        out.extend(left.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend(next.to_le_bytes());
        self.state.iter().for_each(|&word| out.extend(u64::from(word).to_le_bytes()));
        out.extend(0f64.to_le_bytes());
        out.extend(self.normal.unwrap_or(0.0).to_le_bytes());
        out.extend(0f64.to_le_bytes());
        out.extend(u32::from(self.normal.is_some()).to_le_bytes());
        out.resize(STATE_BYTES, 0);
        out
    }

    /// The generator that [`Mt19937::to_bytes`] saved, or PyTorch.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() != STATE_BYTES {
            return Err(format!("a generator's state has {STATE_BYTES} bytes, got {}", bytes.len()));
        }
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
        let (left, seeded, next) = (u32_at(8) as usize, u32_at(12), u64_at(16));
        // Before the first word of a batch PyTorch says that one is left; where it stands does not matter then.
        let due = left == 1 && next <= N as u64;
        if seeded == 0 || !(1..=N).contains(&left) || !(due || next == (N + 1 - left) as u64) {
            return Err(format!(
                "not the state of an MT19937 generator: seeded {seeded}, {left} words left of {N}, next is word {next}"
            ));
        }
        let mut state = [0u32; N];
        for (i, word) in state.iter_mut().enumerate() {
            *word = u32::try_from(u64_at(HEAD + 8 * i)).map_err(|_| format!("word {i} has more than 32 bits"))?;
        }
        let normal = (u32_at(TAIL + 24) != 0).then(|| f64::from_bits(u64_at(TAIL + 8)));
        Ok(Mt19937 { state, next: N + 1 - left, seed: u64_at(0), normal, fresh: due && next == 0 })
    }
}

/// Uniform in `[from, to)`: `Tensor.uniform_` of `float32`.
pub fn uniform_f32(generator: &mut Mt19937, out: &mut [f32], from: f32, to: f32) {
    for o in out {
        *o = generator.unit_f32().mul_add(to - from, from);
    }
}

/// Uniform in `[from, to)`: `Tensor.uniform_` of `float64`.
pub fn uniform_f64(generator: &mut Mt19937, out: &mut [f64], from: f64, to: f64) {
    for o in out {
        *o = generator.unit_f64().mul_add(to - from, from);
    }
}

/// Turns 16 uniforms into 16 normals, the pairs being 8 apart.
#[inline(always)]
fn box_muller_f32(u: &mut [f32; 16], mean: f32, std: f32) {
    for j in 0..8 {
        let radius = (-2.0 * poly::log(1.0 - u[j])).sqrt();
        let theta = 2.0 * std::f32::consts::PI * u[j + 8];
        let (x, y) = (radius * poly::cos(theta), radius * poly::sin(theta));
        u[j] = x.mul_add(std, mean);
        u[j + 8] = y.mul_add(std, mean);
    }
}

#[inline(always)]
unsafe fn box_muller_body<S: Isa>(out: &mut [f32], mean: f32, std: f32) {
    for group in out.chunks_exact_mut(16) {
        let group: &mut [f32; 16] = group.try_into().expect("chunks of 16");
        box_muller_f32(group, mean, std);
    }
}

multiversion! {
    unsafe fn box_muller_run(out: &mut [f32], mean: f32, std: f32) = box_muller_body;
}

/// Normal with the given mean and standard deviation: `Tensor.normal_` of `float32`.
pub fn normal_f32(generator: &mut Mt19937, out: &mut [f32], mean: f32, std: f32) {
    if out.len() < 16 {
        for o in out {
            *o = (generator.standard_normal() * std as f64 + mean as f64) as f32;
        }
        return;
    }
    uniform_f32(generator, out, 0.0, 1.0);
    // SAFETY: a safe body; it is only compiled for several levels.
    unsafe { box_muller_run(out, mean, std) };
    if !out.len().is_multiple_of(16) {
        let at = out.len() - 16;
        let tail = &mut out[at..];
        uniform_f32(generator, tail, 0.0, 1.0);
        // SAFETY: as above.
        unsafe { box_muller_run(tail, mean, std) };
    }
}

fn box_muller_f64(u: &mut [f64], mean: f64, std: f64) {
    for j in 0..8 {
        let radius = (-2.0 * libm::log(1.0 - u[j])).sqrt();
        let theta = 2.0 * PI * u[j + 8];
        u[j] = radius * libm::cos(theta) * std + mean;
        u[j + 8] = radius * libm::sin(theta) * std + mean;
    }
}

/// Normal with the given mean and standard deviation: `Tensor.normal_` of `float64`.
pub fn normal_f64(generator: &mut Mt19937, out: &mut [f64], mean: f64, std: f64) {
    if out.len() < 16 {
        for o in out {
            *o = generator.standard_normal() * std + mean;
        }
        return;
    }
    uniform_f64(generator, out, 0.0, 1.0);
    for group in out.chunks_exact_mut(16) {
        box_muller_f64(group, mean, std);
    }
    if !out.len().is_multiple_of(16) {
        let at = out.len() - 16;
        uniform_f64(generator, &mut out[at..], 0.0, 1.0);
        box_muller_f64(&mut out[at..], mean, std);
    }
}

/// Integers in `[low, high)`: `torch.randint`.
///
/// # Panics
/// A bug of the caller: `low >= high`.
pub fn randint(generator: &mut Mt19937, out: &mut [i64], low: i64, high: i64) {
    if low >= high {
        panic!("bug in allotrope: randint from {low} to {high}");
    }
    let range = high.wrapping_sub(low) as u64;
    for o in out {
        let bits = if range >= 1 << 28 { generator.random64() } else { generator.random() as u64 };
        *o = ((bits % range) as i64).wrapping_add(low);
    }
}

/// A permutation of `0..out.len()`: `torch.randperm`.
pub fn randperm(generator: &mut Mt19937, out: &mut [i64]) {
    for (i, o) in out.iter_mut().enumerate() {
        *o = i as i64;
    }
    let n = out.len();
    for i in 0..n.saturating_sub(1) {
        let z = generator.random() as usize % (n - i);
        out.swap(i, i + z);
    }
}

/// `true` with probability `p`, one for all: `Tensor.bernoulli_(p)`, dropout's mask.
pub fn bernoulli(generator: &mut Mt19937, out: &mut [bool], p: f64) {
    for o in out {
        *o = generator.unit_f64() < p;
    }
}

/// `out[i]` is `true` with probability `p[i]`: `torch.bernoulli` of a `float32` tensor.
///
/// # Panics
/// A bug of the caller: lengths that differ.
pub fn bernoulli_each_f32(generator: &mut Mt19937, p: &[f32], out: &mut [bool]) {
    assert_eq!(p.len(), out.len(), "bug in allotrope: bernoulli");
    for (o, &p) in out.iter_mut().zip(p) {
        *o = generator.unit_f32() < p;
    }
}

/// `out[i]` is `true` with probability `p[i]`: `torch.bernoulli` of a `float64` tensor.
///
/// # Panics
/// A bug of the caller: lengths that differ.
pub fn bernoulli_each_f64(generator: &mut Mt19937, p: &[f64], out: &mut [bool]) {
    assert_eq!(p.len(), out.len(), "bug in allotrope: bernoulli");
    for (o, &p) in out.iter_mut().zip(p) {
        *o = generator.unit_f64() < p;
    }
}

/// Exponential with the given rate: `Tensor.exponential_`. `round` makes the element of a `float64` sample.
pub fn exponential<T>(generator: &mut Mt19937, out: &mut [T], rate: f64, round: impl Fn(f64) -> T) {
    for o in out {
        *o = round(-1.0 / rate * libm::log1p(-generator.unit_f64()));
    }
}

/// Whole numbers from 0 to 2^24, all of which `float32` has: `Tensor.random_` without limits.
pub fn random_f32(generator: &mut Mt19937, out: &mut [f32]) {
    for o in out {
        *o = (generator.random() % ((1 << 24) + 1)) as f32;
    }
}

/// Whole numbers from 0 to 2^53: `Tensor.random_` of `float64` without limits.
pub fn random_f64(generator: &mut Mt19937, out: &mut [f64]) {
    for o in out {
        *o = (generator.random64() % ((1 << 53) + 1)) as f64;
    }
}

/// From 0 to the largest: `Tensor.random_` of `int64` without limits.
pub fn random_i64(generator: &mut Mt19937, out: &mut [i64]) {
    for o in out {
        *o = (generator.random64() & i64::MAX as u64) as i64;
    }
}

/// `Tensor.random_` of `bool`.
pub fn random_bool(generator: &mut Mt19937, out: &mut [bool]) {
    for o in out {
        *o = generator.random() & 1 == 1;
    }
}
