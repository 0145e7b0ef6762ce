//! One primitive as a graph that is symbolic in sizes: what is equal for all calls that differ in their sizes only, and the
//! numbers that the symbols stand for in one of them. It runs nothing.

use crate::backend::{Array, Operand};
use crate::error::Result;
use allotrope_ir::{
    Axes, BinaryOp, CompareOp, DType, Dim, Graph, InputKind, Op, ReduceOp, Shape, Sym, Type, UnaryOp, Value,
};
use smallvec::{SmallVec, smallvec};
use std::hash::{Hash, Hasher};

/// What a primitive is compiled for. Sizes are symbols, equal ones the same; an axis of one element is what it is.
#[derive(PartialEq)]
pub struct Primitive {
    op: Op,
    operands: SmallVec<[Given; 3]>,
    shape: Shape,
}

// No float is in it that could be unequal to itself: numbers among the operands are inputs.
impl Eq for Primitive {}

impl Hash for Primitive {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.op.hash(state);
        self.operands.hash(state);
        self.shape.hash(state);
    }
}

/// An operand.
#[derive(PartialEq, Eq, Hash)]
enum Given {
    /// One element that stands for an array full of it.
    Number(DType),
    Array {
        dtype: DType,
        shape: Shape,
        /// Its axes of more than one element that are not repeated, as they lie in memory: in row-major order, without gaps.
        memory: SmallVec<[usize; 4]>,
    },
}

/// The axes of an array that its elements lie along, the outermost first, where they lie there in row-major order without
/// gaps; other axes have one element, or repeat the same ones.
pub fn memory_order(a: &Array<'_>) -> Option<SmallVec<[usize; 4]>> {
    if a.shape.contains(&0) {
        return Some((0..a.shape.len()).filter(|&d| a.shape[d] != 1).collect());
    }
    let mut axes: SmallVec<[usize; 4]> = (0..a.shape.len()).filter(|&d| a.shape[d] != 1 && a.strides[d] != 0).collect();
    axes.sort_by_key(|&d| std::cmp::Reverse(a.strides[d]));
    let mut expected = 1isize;
    for &d in axes.iter().rev() {
        if a.strides[d] != expected {
            return None;
        }
        expected = expected.checked_mul(isize::try_from(a.shape[d]).ok()?)?;
    }
    Some(axes)
}

/// Numbers and the symbols that stand for them.
#[derive(Default)]
pub struct Binding {
    pub numbers: SmallVec<[usize; 8]>,
    /// Every size is what it is.
    fixed: bool,
}

impl Binding {
    pub fn dim(&mut self, n: usize) -> Dim {
        if n == 1 || self.fixed {
            return Dim::fixed(n);
        }
        let at = self.numbers.iter().position(|m| *m == n).unwrap_or_else(|| {
            self.numbers.push(n);
            self.numbers.len() - 1
        });
        Dim::sym(Sym(at as u32))
    }

    pub fn dims(&mut self, shape: &[usize]) -> Shape {
        shape.iter().map(|n| self.dim(*n)).collect()
    }
}

impl Primitive {
    /// The primitive and what its symbols stand for. Every array has a [`memory_order`].
    pub fn of(op: &Op<usize>, operands: &[Operand<'_>], shape: &[usize]) -> (Primitive, Binding) {
        // How long the result is depends on its length by more than a product of sizes.
        let fixed = matches!(op, Op::OverlapAdd { .. });
        let mut binding = Binding { fixed, ..Binding::default() };
        let given = operands.iter().map(|operand| match operand {
            Operand::Number(s) => Given::Number(s.dtype()),
            Operand::Array(a) => Given::Array {
                dtype: a.dtype,
                shape: binding.dims(a.shape),
                memory: memory_order(a).expect("bug in allotrope: an operand with gaps"),
            },
        });
        let operands = given.collect();
        let op = op.map_dims(&mut |n| binding.dim(*n));
        (Primitive { op, operands, shape: binding.dims(shape) }, binding)
    }

    /// The same of an elementwise primitive whose operands lie in row-major order: one axis of `n` elements, be it one.
    pub fn of_line(op: &Op<usize>, operands: &[Operand<'_>], n: usize) -> (Primitive, Binding) {
        let line: Shape = smallvec![Dim::sym(Sym(0))];
        let given = operands.iter().map(|operand| match operand {
            Operand::Number(s) => Given::Number(s.dtype()),
            Operand::Array(a) => Given::Array { dtype: a.dtype, shape: line.clone(), memory: smallvec![0] },
        });
        let operands = given.collect();
        let op = op.map_dims(&mut |_| Dim::sym(Sym(0)));
        (Primitive { op, operands, shape: line.clone() }, Binding { numbers: smallvec![n], fixed: false })
    }

    /// What eager programs compute most: in f32, operations on elements side by side, with numbers too, sums, and products of
    /// matrices.
    pub fn common() -> Vec<Primitive> {
        let [m, n, k] = [0, 1, 2].map(|s| Dim::sym(Sym(s)));
        let line: Shape = smallvec![m.clone()];
        let array = |dtype: DType, shape: &[&Dim]| Given::Array {
            dtype,
            shape: shape.iter().map(|d| (*d).clone()).collect(),
            memory: (0..shape.len()).collect(),
        };
        let x = || array(DType::F32, &[&m]);
        let number = || Given::Number(DType::F32);
        let mut all = Vec::new();
        let mut add = |op: Op, operands: SmallVec<[Given; 3]>, shape: &Shape| {
            all.push(Primitive { op, operands, shape: shape.clone() });
        };
        for op in [UnaryOp::Neg, UnaryOp::Abs, UnaryOp::Sqrt, UnaryOp::Exp, UnaryOp::Log, UnaryOp::Tanh] {
            add(Op::Unary(op), smallvec![x()], &line);
        }
        use BinaryOp::{Add, Div, Maximum, Minimum, Mul, Sub};
        for op in [Add, Sub, Mul, Div, Maximum, Minimum] {
            add(Op::Binary(op), smallvec![x(), x()], &line);
            add(Op::Binary(op), smallvec![x(), number()], &line);
        }
        add(Op::Binary(Sub), smallvec![number(), x()], &line);
        add(Op::Binary(Div), smallvec![number(), x()], &line);
        CompareOp::ALL.iter().for_each(|op| add(Op::Compare(*op), smallvec![x(), number()], &line));
        add(Op::Select, smallvec![array(DType::Bool, &[&m]), x(), x()], &line);
        add(Op::Select, smallvec![array(DType::Bool, &[&m]), x(), number()], &line);
        add(Op::Cast(DType::F32), smallvec![array(DType::Bool, &[&m])], &line);
        add(Op::Cast(DType::F32), smallvec![array(DType::I64, &[&m])], &line);
        add(Op::Broadcast(line.clone()), smallvec![number()], &line);
        let sum = |axes: Axes| Op::Reduce { op: ReduceOp::Sum, axes };
        add(sum(smallvec![0]), smallvec![x()], &Shape::new());
        add(sum(smallvec![0, 1]), smallvec![array(DType::F32, &[&m, &n])], &Shape::new());
        add(sum(smallvec![0]), smallvec![array(DType::F32, &[&m, &n])], &smallvec![n.clone()]);
        add(sum(smallvec![1]), smallvec![array(DType::F32, &[&m, &n])], &line);
        let factors = smallvec![array(DType::F32, &[&m, &n]), array(DType::F32, &[&n, &k])];
        add(Op::Matmul, factors, &smallvec![m.clone(), k.clone()]);
        all
    }

    /// Its graph: an input for each operand, of the elements that lie in memory.
    ///
    /// # Errors
    /// Where the primitive does not fit its operands: a bug in this library.
    pub fn graph(&self) -> Result<Graph> {
        let mut graph = Graph::new();
        let mut values: SmallVec<[Value; 3]> = SmallVec::new();
        for given in &self.operands {
            values.push(match given {
                Given::Number(dtype) => {
                    let number = graph.input(Type::new(*dtype, []), InputKind::Arg, "x");
                    if self.op.is_elementwise() {
                        graph.op(Op::Broadcast(self.shape.clone()), &[number])?
                    } else {
                        number
                    }
                }
                Given::Array { dtype, shape, memory } => array(&mut graph, *dtype, shape, memory)?,
            });
        }
        let result = graph.op(self.op.clone(), &values)?;
        graph.output(result);
        Ok(graph)
    }
}

/// An array as a view of what lies in memory.
fn array(graph: &mut Graph, dtype: DType, shape: &Shape, memory: &[usize]) -> Result<Value> {
    let there: Shape = memory.iter().map(|d| shape[*d].clone()).collect();
    let mut value = graph.input(Type::new(dtype, there), InputKind::Arg, "x");
    let mut order: SmallVec<[usize; 4]> = (0..memory.len()).collect();
    order.sort_by_key(|&i| memory[i]);
    if !order.is_sorted() {
        value = graph.op(Op::Permute(order), &[value])?;
    }
    if memory.len() < shape.len() {
        let one = |d: usize| if memory.contains(&d) { shape[d].clone() } else { Dim::Fixed(1) };
        let aligned: Shape = (0..shape.len()).map(one).collect();
        value = graph.op(Op::Reshape(aligned.clone()), &[value])?;
        if aligned != *shape {
            value = graph.op(Op::Broadcast(shape.clone()), &[value])?;
        }
    }
    Ok(value)
}

/// The sizes of an array's elements in memory, as one axis.
pub fn stored(a: &Array<'_>) -> usize {
    let walked = a.shape.iter().zip(a.strides).filter(|(n, s)| **n != 1 && **s != 0);
    // Without elements nothing is read.
    if a.shape.contains(&0) { 0 } else { walked.map(|(n, _)| n).product() }
}
