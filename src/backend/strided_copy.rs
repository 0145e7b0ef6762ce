//! A copy between strided arrays as a schedule whose sizes, strides and offsets are symbols: one for each rank and kind of
//! strides. It runs nothing.

use crate::backend::{Array, ArrayMut};
use crate::schedule::{Base, BufId, Buffer, Expr, ExprId, ExprKind, Instruction, Kernel, KernelInfo, Location, Output};
use crate::schedule::{Schedule, Store, View};
use allotrope_ir::{DType, Dim, Shape, Sym, Type};
use smallvec::SmallVec;

/// What a copy is compiled for.
#[derive(PartialEq, Eq, Hash)]
pub struct StridedCopy {
    dtype: DType,
    /// For each axis, how both sides walk it.
    axes: SmallVec<[[Stride; 2]; 4]>,
}

/// What is known of a stride.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
enum Stride {
    Repeated,
    Neighbours,
    Forward,
    Backward,
}

impl Stride {
    fn of(stride: isize) -> Stride {
        match stride {
            0 => Stride::Repeated,
            1 => Stride::Neighbours,
            s if s > 0 => Stride::Forward,
            _ => Stride::Backward,
        }
    }

    fn is_symbol(self) -> bool {
        matches!(self, Stride::Forward | Stride::Backward)
    }
}

/// Axes of more than one element, with neighbouring ones that both sides walk as one made one: sizes and strides.
fn merged(from: &Array<'_>, to: &ArrayMut<'_>) -> SmallVec<[(usize, [isize; 2]); 4]> {
    let mut axes: SmallVec<[(usize, [isize; 2]); 4]> = SmallVec::new();
    for ((&n, &a), &b) in to.shape.iter().zip(from.strides).zip(to.strides).filter(|((n, _), _)| **n != 1) {
        let inner = |s: isize| s.wrapping_mul(n as isize);
        match axes.last_mut() {
            Some((outer, strides)) if *strides == [inner(a), inner(b)] => {
                *outer *= n;
                *strides = [a, b];
            }
            _ => axes.push((n, [a, b])),
        }
    }
    axes
}

impl StridedCopy {
    /// The copy, and what its symbols stand for.
    pub fn of(from: &Array<'_>, to: &ArrayMut<'_>) -> (StridedCopy, SmallVec<[usize; 8]>) {
        let axes = merged(from, to);
        let size = to.dtype.size();
        let mut binding: SmallVec<[usize; 8]> = SmallVec::new();
        binding.extend([from.memory.bytes() / size, to.memory.bytes() / size, from.offset, to.offset]);
        binding.extend(axes.iter().map(|(n, _)| *n));
        for (_, strides) in &axes {
            binding.extend(strides.iter().filter(|s| Stride::of(**s).is_symbol()).map(|s| s.unsigned_abs()));
        }
        let axes = axes.iter().map(|(_, strides)| strides.map(Stride::of)).collect();
        (StridedCopy { dtype: to.dtype, axes }, binding)
    }

    /// Copies from the first input into the second.
    pub fn schedule(&self) -> Schedule {
        let mut symbols = (0..).map(|i| Dim::sym(Sym(i)));
        let mut next = || symbols.next().expect("there is always another");
        let [read, written, from, to] = [next(), next(), next(), next()];
        let shape: Shape = self.axes.iter().map(|_| next()).collect();
        let mut strides = [Shape::new(), Shape::new()];
        for axis in &self.axes {
            for (side, stride) in axis.iter().enumerate() {
                strides[side].push(match stride {
                    Stride::Repeated => Dim::Fixed(0),
                    Stride::Neighbours => Dim::Fixed(1),
                    Stride::Forward => next(),
                    Stride::Backward => &next() * &Dim::Fixed(-1),
                });
            }
        }
        let [from_strides, to_strides] = strides;
        let (dtype, rank) = (self.dtype, shape.len());
        let view = |buf: u32, offset: Dim, strides: Shape| View {
            base: Base::Buf(BufId(buf)),
            dtype,
            offset,
            shape: shape.clone(),
            strides,
        };
        let flat = |n: &Dim| Type::new(dtype, [n.clone()]);
        let buffer = |i: usize, n: &Dim| Buffer { location: Location::Input(i), dtype, len: n.clone(), owner: None };
        let leaf = view(0, from, from_strides);
        let kernel = Kernel {
            axes: shape.clone(),
            kept: rank,
            exprs: vec![Expr { kind: ExprKind::Leaf(leaf), dtype, depth: rank, reduced: false }],
            stores: vec![Store { expr: ExprId(0), view: view(1, to, to_strides), in_place: false }],
            results: Vec::new(),
            number: 0,
        };
        let n = shape.iter().fold(Dim::Fixed(1), |n, d| &n * d);
        let info = KernelInfo {
            name: "copy0".into(),
            ops: "copy".into(),
            space: shape.to_vec(),
            flops: Dim::Fixed(0),
            bytes: &n * &Dim::fixed(2 * dtype.size()),
            in_loop: false,
            loops: Vec::new(),
        };
        Schedule {
            inputs: vec![flat(&read), flat(&written)],
            outputs: vec![Output { ty: flat(&written), update: Some(1) }],
            symbols: 4 + rank + self.axes.iter().flatten().filter(|s| s.is_symbol()).count(),
            buffers: vec![buffer(0, &read), buffer(1, &written)],
            instructions: vec![Instruction::Kernel(Box::new(kernel))],
            kernels: vec![info],
            ..Schedule::default()
        }
    }
}
