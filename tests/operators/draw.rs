//! Draws the inputs of a case from a list of numbers, so that proptest can make it smaller: zeros are the smallest shape,
//! contiguous. Shapes have up to 4 axes with sizes 0 to 4; memory is permuted, strided, reversed or shared. It knows no
//! operator.

use allotrope::Tensor;
use ndarray::{ArrayD, IxDyn, Slice};

/// Where elements are taken from, so that no difference quotient reaches over a kink or a pole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Domain {
    /// Between -2 and 2.
    Any,
    /// As `Any`, some exactly 0.
    Zeros,
    /// 0.3 to 2.3.
    Positive,
    /// 0.1 to 0.9: probabilities.
    Unit,
    /// -0.8 to 0.8.
    Inner,
    /// 1.2 to 3.2.
    OverOne,
    /// -5 to 5, no closer than 0.1 to a whole number or a half.
    Away,
    /// As `Away`, and further than 1 from 0.
    Large,
    /// Thousandths and a quarter of one.
    Thousandths,
    /// Multiples of 0.3 and so much more: those of different offsets never meet.
    Grid(f64),
    /// No two elements closer than 0.05, nor two magnitudes, nor one to 0.
    Distinct,
}

/// Elements of one tensor at most.
const ELEMENTS: usize = 24;

/// What remains of the list of numbers.
pub struct Draw {
    choices: Vec<u32>,
    at: usize,
    state: u64,
    /// The layouts that were drawn, for the message of a failure.
    pub layouts: Vec<String>,
}

impl Draw {
    pub fn new(choices: &[u32]) -> Draw {
        let state = choices.first().copied().unwrap_or(0).into();
        Draw { choices: choices.to_vec(), at: 1, state, layouts: Vec::new() }
    }

    /// A whole number below `n`, 0 when the list has ended.
    pub fn below(&mut self, n: usize) -> usize {
        let choice = self.choices.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        choice as usize % n
    }

    /// A whole number of the range, its ends included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// One of these, the first where the case is made small.
    pub fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// The next number of a sequence that the list's first number begins: splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform between the two.
    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn roll(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// A shape of `low` to `high` axes, each 0 to 4, few elements in all.
    pub fn shape(&mut self, low: usize, high: usize) -> Vec<usize> {
        let rank = self.between(low, high);
        let shape = (0..rank).map(|_| self.pick(&[2, 3, 1, 2, 3, 4, 2, 0, 1])).collect();
        few(shape)
    }

    /// As [`Draw::shape`] without empty axes.
    pub fn filled_shape(&mut self, low: usize, high: usize) -> Vec<usize> {
        let shape = self.shape(low, high);
        few(shape.into_iter().map(|n| n.max(1)).collect())
    }

    /// An axis of a tensor of this rank, from either end; 0 or -1 where it has no axes.
    pub fn axis(&mut self, rank: usize) -> isize {
        let n = rank.max(1);
        self.below(n) as isize - if self.once_in(2) { n as isize } else { 0 }
    }

    /// A subset of the axes, each from either end; none means all of them.
    pub fn axes(&mut self, rank: usize) -> Vec<isize> {
        let own: Vec<usize> = (0..rank).filter(|_| self.once_in(2)).collect();
        own.into_iter().map(|i| if self.once_in(2) { i as isize - rank as isize } else { i as isize }).collect()
    }

    /// A shape that broadcasts with `shape`: some axes are 1, the first ones may be missing.
    pub fn partner(&mut self, shape: &[usize]) -> Vec<usize> {
        let from = if self.once_in(3) { self.below(shape.len() + 1) } else { 0 };
        shape[from..].iter().map(|&n| if self.once_in(4) { 1 } else { n }).collect()
    }

    /// Shapes of `N` operands that broadcast with each other.
    pub fn partners<const N: usize>(&mut self) -> [Vec<usize>; N] {
        let shape = self.shape(0, 4);
        std::array::from_fn(|_| self.partner(&shape))
    }

    /// A tensor that requires a gradient, laid out in some way.
    pub fn tensor(&mut self, shape: &[usize], domain: Domain) -> Tensor {
        let n: usize = shape.iter().product();
        let values = self.values(n, domain);
        // Shared memory makes equal elements.
        let shared = domain != Domain::Distinct;
        self.lay_out(&values, shape, shared).requires_grad()
    }

    /// A tensor of whole numbers below `n`.
    pub fn index(&mut self, shape: &[usize], n: usize) -> Tensor {
        let values = (0..shape.iter().product()).map(|_| self.roll(n.max(1)) as i64).collect();
        Tensor::from_vec(values, shape)
    }

    /// A tensor of bools.
    pub fn mask(&mut self, shape: &[usize]) -> Tensor {
        let values = (0..shape.iter().product()).map(|_| self.roll(2) == 1).collect();
        Tensor::from_vec(values, shape)
    }

    /// A tensor of 1 and -1 without a gradient.
    pub fn signs(&mut self, shape: &[usize]) -> Tensor {
        let values = (0..shape.iter().product()).map(|_| [1.0f64, -1.0][self.roll(2)]).collect();
        Tensor::from_vec(values, shape)
    }

    /// An order of `n` things.
    pub fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        (1..n).for_each(|i| order.swap(i, self.below(i + 1)));
        order
    }

    fn values(&mut self, n: usize, domain: Domain) -> Vec<f64> {
        if domain == Domain::Distinct {
            let mut places: Vec<f64> = (0..n).map(|i| (i as f64 - (n / 2) as f64) * 0.25 + 0.05).collect();
            (1..n).for_each(|i| places.swap(i, self.roll(i + 1)));
            return places;
        }
        (0..n).map(|_| self.value(domain)).collect()
    }

    fn value(&mut self, domain: Domain) -> f64 {
        match domain {
            Domain::Any => self.uniform(-2.0, 2.0),
            Domain::Zeros => {
                if self.roll(4) == 0 {
                    0.0
                } else {
                    self.uniform(-2.0, 2.0)
                }
            }
            Domain::Positive => self.uniform(0.3, 2.3),
            Domain::Unit => self.uniform(0.1, 0.9),
            Domain::Inner => self.uniform(-0.8, 0.8),
            Domain::OverOne => self.uniform(1.2, 3.2),
            Domain::Away => (self.roll(20) as f64 - 10.0) / 2.0 + self.uniform(0.1, 0.4),
            Domain::Large => self.uniform(1.1, 3.0) * [1.0, -1.0][self.roll(2)],
            Domain::Thousandths => (self.roll(2000) as f64 - 1000.0) * 0.001 + 0.000_25,
            Domain::Grid(offset) => (self.roll(12) as f64 - 6.0) * 0.3 + offset,
            Domain::Distinct => unreachable!("drawn together"),
        }
    }

    /// The values in row-major order, in memory of a drawn layout.
    fn lay_out(&mut self, values: &[f64], shape: &[usize], shared: bool) -> Tensor {
        let rank = shape.len();
        let kind = self.below(6);
        if rank == 0 || kind == 0 {
            self.layouts.push("contiguous".into());
            return Tensor::from_slice(values, shape);
        }
        if kind == 1 && shared {
            // Only the elements that the other axes choose exist.
            let axis = self.below(rank);
            let mut one = shape.to_vec();
            one[axis] = 1;
            let n: usize = one.iter().product();
            let values: Vec<f64> = if values.len() >= n { values[..n].to_vec() } else { vec![0.7; n] };
            self.layouts.push(format!("axis {axis} expanded"));
            let wanted: Vec<isize> = shape.iter().map(|&n| n as isize).collect();
            return Tensor::from_vec(values, &one).expand(&wanted).detach();
        }
        let order = if kind >= 3 { self.order(rank) } else { (0..rank).collect() };
        let steps: Vec<isize> = (0..rank).map(|_| if kind == 3 { 1 } else { self.pick(&[1, 2, -1, -2]) }).collect();
        let gap = self.below(2);
        let len = |axis: usize| gap + shape[axis] * steps[axis].unsigned_abs();
        let mut memory = ArrayD::from_elem(IxDyn(&order.iter().map(|&a| len(a)).collect::<Vec<_>>()), 0.6);
        let mut inverse = vec![0; rank];
        order.iter().enumerate().for_each(|(place, &axis)| inverse[axis] = place);
        memory = memory.permuted_axes(IxDyn(&inverse));
        memory.slice_each_axis_inplace(|d| Slice::new(gap as isize, None, steps[d.axis.index()]));
        let given = ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).expect("as many values as the shape has");
        memory.assign(&given);
        self.layouts.push(format!("axes in memory {order:?}, steps {steps:?}, gap {gap}"));
        Tensor::from_ndarray(memory)
    }
}

/// The shape with later axes made smaller until it has few elements.
fn few(mut shape: Vec<usize>) -> Vec<usize> {
    while shape.iter().product::<usize>() > ELEMENTS {
        let widest = (0..shape.len()).max_by_key(|&i| shape[i]).expect("a shape with many elements has axes");
        shape[widest] -= 1;
    }
    shape
}
