//! Inputs and comparisons that the kernel tests share.

use allotrope_kernels::View;
use allotrope_kernels::simd::{Level, best_level, set_level};
use half::{bf16, f16};

/// The levels that this machine can run.
pub fn levels() -> Vec<Level> {
    [Level::Baseline, Level::Avx2, Level::Avx512].into_iter().filter(|l| *l <= best_level()).collect()
}

/// Runs `f` at each level and asserts that all give the same.
pub fn at_each_level<R: PartialEq + std::fmt::Debug>(f: impl Fn() -> R) -> R {
    let mut first = None;
    for level in levels() {
        set_level(level);
        let r = f();
        match &first {
            None => first = Some(r),
            Some(first) => assert!(*first == r, "{level:?} differs from baseline:\n{first:?}\n{r:?}"),
        }
    }
    first.unwrap()
}

/// Elements whose bits can be compared; all NaN count as one.
pub trait Bits: Copy {
    fn bits(self) -> u64;
}
impl Bits for f32 {
    fn bits(self) -> u64 {
        if self.is_nan() { 0x7fc0_0000 } else { self.to_bits() as u64 }
    }
}
impl Bits for f64 {
    fn bits(self) -> u64 {
        if self.is_nan() { 0x7ff8_0000_0000_0000 } else { self.to_bits() }
    }
}
macro_rules! plain_bits {
    ($($t:ty),+) => {$( impl Bits for $t {
        fn bits(self) -> u64 {
            self as u64
        }
    } )+};
}
plain_bits!(bool, u8, i32, i64);
macro_rules! half_bits {
    ($($t:ty),+) => {$( impl Bits for $t {
        fn bits(self) -> u64 {
            if self.is_nan() { <$t>::NAN.to_bits() as u64 } else { self.to_bits() as u64 }
        }
    } )+};
}
half_bits!(f16, bf16);

pub fn bits<T: Bits>(x: &[T]) -> Vec<u64> {
    x.iter().map(|v| v.bits()).collect()
}

/// A small generator of test data, reproducible and unrelated to the library's.
pub struct Lcg(pub u64);
impl Lcg {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let x = self.0 ^ (self.0 >> 29);
        x.wrapping_mul(0xbf58476d1ce4e5b9) ^ (x >> 32)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 11) as usize % n
    }
}

/// Element types with sample data.
pub trait Sample: Sized + Copy {
    /// An ordinary value.
    fn plain(g: &mut Lcg) -> Self;
    /// Now and then something odd: zeros of both signs, infinities, NaN, subnormals.
    fn odd(g: &mut Lcg) -> Self;
}
impl Sample for f32 {
    fn plain(g: &mut Lcg) -> f32 {
        ((g.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * (g.below(5) as f32 * 0.7 + 0.1)
    }
    fn odd(g: &mut Lcg) -> f32 {
        match g.below(12) {
            0 => 0.0,
            1 => -0.0,
            2 => f32::INFINITY,
            3 => f32::NEG_INFINITY,
            4 => f32::NAN,
            5 => f32::from_bits(g.below(1 << 23) as u32),
            6 => f32::from_bits(g.next() as u32),
            _ => f32::plain(g),
        }
    }
}
impl Sample for f64 {
    fn plain(g: &mut Lcg) -> f64 {
        ((g.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * (g.below(5) as f64 * 0.7 + 0.1)
    }
    fn odd(g: &mut Lcg) -> f64 {
        match g.below(12) {
            0 => 0.0,
            1 => -0.0,
            2 => f64::INFINITY,
            3 => f64::NEG_INFINITY,
            4 => f64::NAN,
            5 => f64::from_bits(g.next() >> 12),
            6 => f64::from_bits(g.next()),
            _ => f64::plain(g),
        }
    }
}
macro_rules! int_samples {
    ($($t:ty),+) => {$( impl Sample for $t {
        fn plain(g: &mut Lcg) -> $t {
            (g.below(2001) as i64 - 1000) as $t
        }
        fn odd(g: &mut Lcg) -> $t {
            match g.below(8) {
                0 => <$t>::MIN,
                1 => <$t>::MAX,
                2 => g.next() as $t,
                3 => g.below(4) as $t,
                _ => <$t>::plain(g),
            }
        }
    } )+};
}
int_samples!(u8, i32, i64);
macro_rules! half_samples {
    ($($t:ty),+) => {$( impl Sample for $t {
        fn plain(g: &mut Lcg) -> $t {
            <$t>::from_f32(f32::plain(g))
        }
        fn odd(g: &mut Lcg) -> $t {
            if g.below(3) == 0 { <$t>::from_bits(g.next() as u16) } else { <$t>::from_f32(f32::odd(g)) }
        }
    } )+};
}
half_samples!(f16, bf16);
impl Sample for bool {
    fn plain(g: &mut Lcg) -> bool {
        g.below(2) == 1
    }
    fn odd(g: &mut Lcg) -> bool {
        g.below(2) == 1
    }
}

pub fn plain<T: Sample>(g: &mut Lcg, n: usize) -> Vec<T> {
    (0..n).map(|_| T::plain(g)).collect()
}

pub fn odd<T: Sample>(g: &mut Lcg, n: usize) -> Vec<T> {
    (0..n).map(|_| T::odd(g)).collect()
}

pub fn dense_strides(shape: &[usize]) -> Vec<isize> {
    let mut s = vec![0; shape.len()];
    let mut step = 1isize;
    for d in (0..shape.len()).rev() {
        s[d] = step;
        step *= shape[d] as isize;
    }
    s
}

/// A strided array with its own memory.
#[derive(Clone, Debug)]
pub struct Array<T> {
    pub data: Vec<T>,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<isize>,
}

impl<T: Sample + allotrope_kernels::Element> Array<T> {
    pub fn view(&self) -> View<'_, T> {
        View::new(&self.data, self.offset, &self.shape, &self.strides).unwrap()
    }

    /// A random layout of `shape`: permuted, padded, reversed or broadcast dimensions.
    pub fn random(g: &mut Lcg, shape: &[usize], fill: fn(&mut Lcg) -> T) -> Self {
        let rank = shape.len();
        let mut order: Vec<usize> = (0..rank).collect();
        if g.below(2) == 0 {
            for i in (1..rank).rev() {
                order.swap(i, g.below(i + 1));
            }
        }
        let mut strides = vec![0isize; rank];
        let mut step = if g.below(4) == 0 { 2 } else { 1 };
        let (mut low, mut high) = (0isize, 0isize);
        for &d in order.iter().rev() {
            let n = shape[d] as isize;
            strides[d] = match g.below(8) {
                0 => 0,
                1 => -step,
                _ => step,
            };
            let span = strides[d] * (n - 1).max(0);
            low = low.min(low + span);
            high = high.max(high + span);
            step *= n.max(1);
            if g.below(4) == 0 {
                step += 3;
            }
        }
        let len = (high - low + 1) as usize + 2;
        let data = (0..len).map(|_| fill(g)).collect();
        Array { data, offset: (1 - low) as usize, shape: shape.to_vec(), strides }
    }

    pub fn dense(data: Vec<T>, shape: &[usize]) -> Self {
        Array { data, offset: 0, shape: shape.to_vec(), strides: dense_strides(shape) }
    }

    pub fn at(&self, index: &[usize]) -> T {
        let o: isize = index.iter().zip(&self.strides).map(|(&i, &s)| i as isize * s).sum();
        self.data[(self.offset as isize + o) as usize]
    }

    /// The elements in row-major order.
    pub fn elements(&self) -> Vec<T> {
        indices(&self.shape).iter().map(|i| self.at(i)).collect()
    }
}

/// All indices of a shape, row-major.
pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let n: usize = shape.iter().product();
    (0..n)
        .map(|mut r| {
            let mut i = vec![0; shape.len()];
            for d in (0..shape.len()).rev() {
                i[d] = r % shape[d];
                r /= shape[d];
            }
            i
        })
        .collect()
}

/// Up to four dimensions, seldom empty, at most a few thousand elements.
pub fn random_shape(g: &mut Lcg) -> Vec<usize> {
    loop {
        let shape: Vec<usize> =
            (0..g.below(5)).map(|_| if g.below(25) == 0 { 0 } else { [1, 2, 3, 5, 7, 17, 33][g.below(7)] }).collect();
        if shape.iter().product::<usize>() <= 4000 {
            return shape;
        }
    }
}

/// A shape with at least one dimension, and one of its axes.
pub fn random_axis(g: &mut Lcg) -> (Vec<usize>, usize) {
    loop {
        let shape = random_shape(g);
        if !shape.is_empty() {
            let axis = g.below(shape.len());
            return (shape, axis);
        }
    }
}

/// Where an index stands in a contiguous array.
pub fn flat(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |at, (i, n)| at * n + i)
}

/// `index` with another place on one axis.
pub fn moved(index: &[usize], axis: usize, place: usize) -> Vec<usize> {
    let mut index = index.to_vec();
    index[axis] = place;
    index
}

/// `libm`'s, which below -2 gives a number where there is none.
pub fn acosh(x: f64) -> f64 {
    if x < 1.0 { f64::NAN } else { libm::acosh(x) }
}
