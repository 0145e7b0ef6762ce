//! Random inputs and random programs over them. A program is decoded from raw numbers against the shapes at hand: each
//! step is tried eagerly, and left out where it does not fit, so that shrinking the numbers shrinks the program.

use crate::program::*;
use allotrope::ir::passes::Passes;
use allotrope::ops::Number;
use allotrope::prelude::*;
use proptest::prelude::*;
use std::fmt;

/// The raw numbers of one step.
pub type Raw = [u16; 5];

/// How an input lies in memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    Dense,
    /// The axes reversed in memory.
    Permuted,
    /// Cut out of a larger tensor along the last axis.
    Narrowed,
    /// Repeated along the first axis.
    Expanded,
}

/// Which numbers an input holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Values {
    /// Integers from -3 to 3.
    Small,
    /// Between -2 and 2.
    Plain,
    /// With NaN, infinities, both zeros, subnormals and very large numbers among them.
    Wild,
}

#[derive(Clone)]
pub struct Input {
    pub dtype: DType,
    pub shape: Vec<usize>,
    pub layout: Layout,
    pub values: Values,
    pub seed: u64,
    pub requires_grad: bool,
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Input {
    fn number(&self, state: &mut u64) -> f64 {
        const ODD: [f64; 14] = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            0.0,
            -0.0,
            1e-40,
            -1e-45,
            5e-324,
            3e38,
            -3e38,
            1e300,
            1.0,
            -1.0,
            0.5,
        ];
        let r = splitmix(state);
        match self.values {
            Values::Small => (r % 7) as f64 - 3.0,
            Values::Wild if r.is_multiple_of(3) => ODD[(r >> 8) as usize % ODD.len()],
            _ => (r >> 11) as f64 / (1u64 << 53) as f64 * 4.0 - 2.0,
        }
    }

    fn dense(&self, shape: &[usize]) -> Tensor {
        let n = shape.iter().product();
        let mut state = self.seed;
        let each: Vec<f64> = (0..n).map(|_| self.number(&mut state)).collect();
        match self.dtype {
            DType::Bool => Tensor::from_vec(each.iter().map(|x| *x > 0.0).collect::<Vec<bool>>(), shape),
            DType::I64 => {
                Tensor::from_vec(each.iter().map(|x| (x * 2.0).clamp(-9.0, 9.0) as i64).collect::<Vec<i64>>(), shape)
            }
            DType::F32 => Tensor::from_vec(each.iter().map(|x| *x as f32).collect::<Vec<f32>>(), shape),
            DType::F64 => Tensor::from_vec(each, shape),
            other => Tensor::from_vec(each, shape).to(other),
        }
    }

    /// The tensor, a new one each time.
    pub fn make(&self) -> Tensor {
        let last = self.shape.len() as isize - 1;
        let mut shape = self.shape.clone();
        let x = match self.layout {
            Layout::Permuted => {
                shape.reverse();
                let axes: Vec<isize> = (0..=last).rev().collect();
                self.dense(&shape).permute(&axes)
            }
            Layout::Narrowed if last >= 0 => {
                shape[last as usize] += 3;
                self.dense(&shape).narrow(last, 1, self.shape[last as usize])
            }
            Layout::Expanded if last >= 0 => {
                shape[0] = 1;
                let whole: Vec<isize> = self.shape.iter().map(|&n| n as isize).collect();
                self.dense(&shape).expand(&whole)
            }
            _ => self.dense(&shape),
        };
        if self.requires_grad && x.dtype().is_float() { x.requires_grad() } else { x }
    }
}

fn dims(zero: bool) -> impl Strategy<Value = usize> {
    prop_oneof![6 => 1usize..=5, 2 => Just(17usize), 1 => Just(33usize), (zero as u32) => Just(0usize)]
}

fn input(base: Vec<usize>, values: Vec<Values>) -> impl Strategy<Value = Input> {
    let dtypes =
        prop_oneof![5 => Just(DType::F32), 3 => Just(DType::F64), 1 => Just(DType::I64), 1 => Just(DType::Bool)];
    let layouts = prop_oneof![
        4 => Just(Layout::Dense), 2 => Just(Layout::Permuted), 2 => Just(Layout::Narrowed), 1 => Just(Layout::Expanded)
    ];
    (dtypes, 0..=base.len(), any::<u8>(), any::<bool>(), layouts, prop::sample::select(values), any::<u64>(), 0..3)
        .prop_map(move |(dtype, drop, ones, swap, layout, values, seed, grad)| {
            // Most inputs keep all axes.
            let drop = if ones & 0xc0 == 0 { drop } else { 0 };
            let mut shape: Vec<usize> = base[drop..].to_vec();
            for (i, n) in shape.iter_mut().enumerate() {
                if ones >> i & 0b10001 == 0b10001 {
                    *n = 1;
                }
            }
            let rank = shape.len();
            if swap && rank >= 2 {
                shape.swap(rank - 1, rank - 2);
            }
            Input { dtype, shape, layout, values, seed, requires_grad: grad > 0 }
        })
}

/// Which programs are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Everything.
    Any,
    /// Only what is exact on small integers.
    Exact,
    /// Only what does not depend on the sizes: no number comes from a shape.
    AnySize,
}

/// A program with its inputs.
#[derive(Clone)]
pub struct Case {
    pub inputs: [Input; 4],
    pub program: Program,
    /// Two sets of passes to try.
    pub passes: [u32; 2],
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grad = if self.requires_grad { ", requires grad" } else { "" };
        write!(f, "{}{:?}, {:?}, {:?}, seed {}{grad}", self.dtype, self.shape, self.layout, self.values, self.seed)
    }
}

/// One line for each step.
impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for (i, input) in self.inputs.iter().enumerate() {
            writeln!(f, "  {i}: {}{input:?}", if self.program.outside[i] { "captured, " } else { "" })?;
        }
        for step in &self.program.steps {
            writeln!(f, "  {step:?}")?;
        }
        let Program { derivative, kept, update, .. } = &self.program;
        write!(f, "  derivative {derivative:?}, kept {kept}, update {update:?}, ")?;
        write!(f, "passes {:?} and {:?}", Passes::from_bits(self.passes[0]), Passes::from_bits(self.passes[1]))
    }
}

impl Case {
    pub fn tensors(&self) -> [Tensor; 4] {
        std::array::from_fn(|i| self.inputs[i].make())
    }
}

pub fn cases(kind: Kind) -> impl Strategy<Value = Case> {
    let base = match kind {
        Kind::AnySize => Just(vec![5, 7]).boxed(),
        _ => prop::collection::vec(dims(kind == Kind::Any), 0..=3).boxed(),
    };
    let values = match kind {
        Kind::Exact => vec![Values::Small],
        _ => vec![Values::Plain, Values::Plain, Values::Small, Values::Wild],
    };
    let inputs = base.prop_flat_map(move |base| {
        let one = || input(base.clone(), values.clone());
        [one(), one(), one(), one()]
    });
    let derivative = prop::sample::select(vec![
        Derivative::None,
        Derivative::Backward,
        Derivative::Backward,
        Derivative::Grad,
        Derivative::Second,
    ]);
    let raw = prop::collection::vec(any::<Raw>(), 1..14);
    let rest = (any::<[bool; 4]>(), any::<[bool; 4]>(), any::<[u16; 2]>(), any::<[u32; 2]>(), 1usize..4);
    (inputs, raw, derivative, rest).prop_map(
        move |(mut inputs, raw, derivative, (out1, out2, update, passes, kept))| {
            if kind == Kind::AnySize {
                for x in inputs.iter_mut().filter(|x| x.layout == Layout::Expanded) {
                    x.layout = Layout::Dense;
                }
            }
            let tensors: [Tensor; 4] = std::array::from_fn(|i| inputs[i].make().detach());
            let mut pool = tensors.to_vec();
            let steps = Builder { raw: raw.into_iter(), kind }.build(&mut pool, 0, 0);
            let outside = match kind {
                Kind::Any => std::array::from_fn(|i| out1[i] && out2[i]),
                _ => [false; 4],
            };
            let derivative = match derivative {
                Derivative::Second if has_loop(&steps) => Derivative::Grad,
                other => other,
            };
            let update = update_of(&inputs, &outside, &pool, update);
            let kept = kept.min(pool.len());
            Case { inputs, program: Program { steps, derivative, kept, outside, update }, passes }
        },
    )
}

/// A captured input and a value that can be written into it.
fn update_of(inputs: &[Input; 4], outside: &[bool; 4], pool: &[Tensor], raw: [u16; 2]) -> Option<(usize, usize)> {
    let i = usize::from(raw[0]) % 4;
    // Changing one of several elements at the same place is an error, tested elsewhere.
    if !outside[i] || inputs[i].layout == Layout::Expanded {
        return None;
    }
    let start = usize::from(raw[1]);
    let mut places = (0..pool.len()).map(|k| (start + k) % pool.len());
    let target = inputs[i].make().detach();
    places.find(|&j| j >= 4 && target.try_copy_(&pool[j]).is_ok()).map(|j| (i, j))
}

/// Elements that a value may have.
const LARGEST: usize = 4000;

struct Builder {
    raw: std::vec::IntoIter<Raw>,
    kind: Kind,
}

impl Builder {
    /// Steps for the raw numbers left, or for some of them in a body; `pool` grows with what they give.
    fn build(&mut self, pool: &mut Vec<Tensor>, depth: usize, most: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut count = 0;
        while depth == 0 || count < most {
            count += 1;
            let Some(raw) = self.raw.next() else { break };
            for step in self.decode(raw, pool, depth) {
                let Ok(new) = no_grad(|| apply(&step, pool)) else { break };
                if new.iter().any(|t| t.numel() > LARGEST) {
                    break;
                }
                pool.extend(new);
                steps.push(step);
            }
        }
        steps
    }

    fn decode(&mut self, raw: Raw, pool: &[Tensor], depth: usize) -> Vec<Step> {
        let n = pool.len();
        let [op, r1, r2, r3, r4] = raw.map(usize::from);
        // Half of the time one of the latest.
        let pick = |r: usize| if r.is_multiple_of(2) { n - 1 - (r / 2) % n.min(5) } else { (r / 2) % n };
        let (a, b, c) = (pick(r1), pick(r2), pick(r3));
        let x = &pool[a];
        let rank = x.dim();
        let axis = |r: usize| if rank == 0 { 0 } else { (r % (2 * rank)) as isize - rank as isize };
        let exact = self.kind == Kind::Exact;
        let any_size = self.kind == Kind::AnySize;
        let numbers = [
            Number::Float(0.5),
            Number::Float(-1.5),
            Number::Float(2.0),
            Number::Float(3.0),
            Number::Int(-2),
            Number::Int(3),
            Number::Bool(true),
            Number::Float(-0.0),
            Number::Float(1.0),
            Number::Float(0.0),
            Number::Int(0),
            Number::Float(1e-3),
        ];
        let whole = |t: &Tensor| -> Vec<isize> { t.shape().iter().map(|&n| n as isize).collect() };
        vec![match op % 26 {
            0..=3 => Step::Unary(UNARY[r2 % if exact { EXACT_UNARY } else { UNARY.len() }], a),
            4..=7 => {
                let name = BINARY[r3 % if exact { EXACT_BINARY } else { BINARY.len() }];
                let fits = |&j: &usize| no_grad(|| apply(&Step::Binary(name, a, j), pool)).is_ok();
                match (0..n).map(|k| (b + n - k) % n).find(fits) {
                    Some(b) if r4 % 2 == 0 => Step::Binary(name, a, b),
                    Some(b) => Step::Binary(name, b, a),
                    None => return vec![],
                }
            }
            8 | 9 => {
                let number = numbers[r3 % if exact { 7 } else { numbers.len() }];
                let first = r4 % 3 == 0 && matches!(number, Number::Float(_)) && x.dtype() != DType::Bool;
                let number = if exact && number == Number::Float(0.5) { Number::Float(-1.0) } else { number };
                let number = if exact && number == Number::Float(-1.5) { Number::Float(4.0) } else { number };
                let most = if first {
                    3
                } else if exact {
                    EXACT_BINARY
                } else {
                    BINARY.len()
                };
                Step::Number(BINARY[r2 % most], a, number, first)
            }
            10 => {
                let fits = |&j: &usize| no_grad(|| apply(&Step::Where(j, a, b), pool)).is_ok();
                match (0..n).map(|k| (c + n - k) % n).find(fits) {
                    Some(c) => Step::Where(c, a, b),
                    None => return vec![],
                }
            }
            11 => Step::To(a, DType::ALL[r2 % 4]),
            12..=14 => {
                let name = REDUCE[r2 % if exact { EXACT_REDUCE } else { REDUCE.len() }];
                let axes =
                    (0..rank).filter(|i| r3 >> i & 1 == 1).map(|i| i as isize - (r4 / 2 % 2 * rank) as isize).collect();
                Step::Reduce(name, a, axes, r4 % 2 == 0)
            }
            15 if !any_size => {
                let mut shape = whole(x);
                match r2 % 4 {
                    0 => shape = vec![-1],
                    1 if rank >= 2 => {
                        let last = shape.pop().unwrap_or(1);
                        *shape.last_mut().expect("two axes at least") *= last;
                    }
                    2 => shape.reverse(),
                    _ => match shape.iter().position(|&n| n > 1 && n % 2 == 0) {
                        Some(i) => {
                            shape[i] /= 2;
                            shape.insert(i, 2);
                        }
                        None => shape.push(1),
                    },
                }
                Step::Reshape(a, shape)
            }
            15 | 16 if rank >= 2 => {
                let mut axes: Vec<isize> = (0..rank as isize).collect();
                axes.rotate_left(r2 % rank);
                if r3 % 2 == 0 { Step::Permute(a, axes) } else { Step::Transpose(a, axis(r2), axis(r3)) }
            }
            17 if rank >= 1 => {
                let at = axis(r2);
                let size = x.size(at);
                let start = if size == 0 { 0 } else { r3 % size };
                let len = r4 % (size - start + 1);
                match (any_size, r3 % 3) {
                    (true, even) => Step::Narrow(a, at, if even == 0 { 0 } else { -1 }, 1),
                    (false, 0) if size > start => Step::Narrow(a, at, start as isize - size as isize, len),
                    (false, _) => Step::Narrow(a, at, start as isize, len),
                }
            }
            18 if rank >= 1 => {
                let size = x.size(axis(r2)) as isize;
                match any_size {
                    true => Step::Select(a, axis(r2), -((r3 % 2) as isize)),
                    false if size > 0 => Step::Select(a, axis(r2), r3 as isize % (2 * size) - size),
                    false => return vec![],
                }
            }
            19 => {
                let fits = |&j: &usize| no_grad(|| apply(&Step::ExpandAs(a, j), pool)).is_ok();
                match (0..n).map(|k| (b + n - k) % n).find(fits) {
                    Some(like) if any_size || r3 % 2 == 0 => Step::ExpandAs(a, like),
                    Some(like) => Step::Expand(a, whole(&pool[like])),
                    None => return vec![],
                }
            }
            20 => match r2 % 4 {
                0 if rank >= 1 && !any_size => Step::Squeeze(a, axis(r3)),
                1 if rank >= 1 && !any_size => Step::Flatten(a, 0, -1),
                2 => Step::Detach(a),
                3 if rank >= 1 => Step::Contiguous(a),
                _ => Step::Unsqueeze(a, (r3 % (rank + 1)) as isize),
            },
            21 => {
                let alike = |j: &usize| pool[*j].dtype() == x.dtype() && pool[*j].shape() == x.shape();
                let parts: Vec<usize> =
                    [a].into_iter().chain((0..n).map(|k| (b + n - k) % n).filter(alike).take(1 + r4 % 2)).collect();
                match rank {
                    0 => Step::Stack(parts, 0),
                    _ if r3 % 2 == 0 => Step::Stack(parts, axis(r2)),
                    _ => Step::Cat(parts, axis(r2)),
                }
            }
            22 | 23 if rank >= 1 => {
                let fits = |&j: &usize| no_grad(|| apply(&Step::Matmul(a, j), pool)).is_ok();
                match (0..n).map(|k| (b + n - k) % n).find(fits) {
                    Some(b) => Step::Matmul(a, b),
                    None if rank >= 2 => return vec![Step::Transpose(a, -1, -2), Step::Matmul(a, n)],
                    None => return vec![],
                }
            }
            24 | 25 if depth < 2 => return self.scan(raw, pool, depth),
            _ => return vec![],
        }]
    }

    /// A loop over the first axis of a value.
    fn scan(&mut self, raw: Raw, pool: &[Tensor], depth: usize) -> Vec<Step> {
        let [_, r1, r2, r3, r4] = raw.map(usize::from);
        let n = pool.len();
        let iterable = |j: &usize| pool[*j].dim() >= 1 && (1..=17).contains(&pool[*j].shape()[0]);
        let Some(x) = (0..n).map(|k| (r1 + k) % n).find(iterable) else { return vec![] };
        let length = pool[x].shape()[0];
        let alike = |j: &usize| iterable(j) && pool[*j].shape()[0] == length;
        let mut xs = vec![x];
        xs.extend((0..n).map(|k| (r2 + k) % n).filter(alike).take(r3 % 2));
        // The first carry has the shape of an element, the second any.
        let mut steps = vec![Step::Reduce("sum", x, vec![0], false)];
        let mut around = pool.to_vec();
        match apply(&steps[0], pool) {
            Ok(new) => around.extend(new),
            Err(_) => return vec![],
        }
        let n = around.len();
        let mut carries = vec![n - 1];
        carries.extend((r3 % 3 == 0).then(|| r4 % n).filter(|&j| around[j].numel() <= 64));
        let mut inside = around.clone();
        inside.extend(carries.iter().map(|&j| around[j].clone()));
        inside.extend(xs.iter().map(|&j| around[j].select(0, 0)));
        let mut body = self.build(&mut inside, depth + 1, 1 + r4 % 5);
        // A new carry is the latest value that fits, or something new of the old one.
        let mut next = Vec::new();
        for (k, &j) in carries.iter().enumerate() {
            let old = n + k;
            let fits = |&i: &usize| {
                i != old && inside[i].dtype() == around[j].dtype() && inside[i].shape() == around[j].shape()
            };
            let found = (n + carries.len()..inside.len()).rev().find(fits);
            next.push(found.unwrap_or_else(|| {
                let step = Step::Number("mul", old, Number::Float(0.5), false);
                let step = if around[j].dtype().is_float() { step } else { Step::Contiguous(old) };
                inside.extend(apply(&step, &inside).expect("fits"));
                body.push(step);
                inside.len() - 1
            }));
        }
        let mut ys: Vec<usize> = Vec::new();
        ys.extend((r4 % 4 > 0).then(|| inside.len() - 1));
        ys.extend((r4 % 3 == 0).then(|| n + r2 % (inside.len() - n)));
        ys.extend((r4 % 11 == 0).then(|| r2 % n));
        ys.retain(|&i| inside[i].numel() * length <= LARGEST);
        steps.push(Step::Scan(Box::new(Loop { reverse: r2 % 2 == 1, carries, xs, body, next, ys })));
        steps
    }
}
