//! Eager evaluation for a backend that only runs schedules: each primitive is a graph of one node, scheduled, compiled and
//! kept for the next time. It knows what graphs and schedules are, and of a device no more than its backend does.

use crate::backend::{Array, ArrayMut, Backend, CompileOptions, Executable, Input, Memory, Operand, Stop};
use crate::error::{Error, Result};
use crate::schedule::{Base, BufId, Buffer, Expr, ExprId, ExprKind, Instruction, Kernel, Location, Output};
use crate::schedule::{KernelInfo, Schedule, Store, View};
use allotrope_ir::{DType, Dim, Graph, InputKind, Op, Scalar, Shape, Type};
use smallvec::{SmallVec, smallvec};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Compiled primitives that are kept; with one more than these all are dropped.
const KEPT: usize = 1024;

/// The primitives that a backend has compiled so far: `copy`, `full` and `compute` of [`Backend`] for one that has nothing
/// but [`Backend::compile`], [`Backend::allocate`] and [`Backend::upload`].
#[derive(Default)]
pub struct ThroughSchedules {
    /// By what each was compiled for, in words.
    kept: Mutex<HashMap<String, Arc<dyn Executable>>>,
}

/// An operand that lies in row-major order, or was made so.
enum Dense<'a> {
    There(Array<'a>),
    Made(Memory),
}

impl ThroughSchedules {
    pub fn new() -> ThroughSchedules {
        ThroughSchedules::default()
    }

    /// As [`Backend::full`].
    ///
    /// # Errors
    /// As there.
    pub fn full(&self, backend: &dyn Backend, value: Scalar, n: usize) -> Result<Memory> {
        let op = Op::Broadcast(smallvec![n]);
        self.compute(backend, &op, &[Operand::Number(value)], value.dtype(), &[n])
    }

    /// As [`Backend::compute`]. Numbers among the operands are inputs of the schedule, so any other number runs the same.
    ///
    /// # Errors
    /// As there.
    pub fn compute(
        &self,
        backend: &dyn Backend,
        op: &Op<usize>,
        operands: &[Operand<'_>],
        dtype: DType,
        shape: &[usize],
    ) -> Result<Memory> {
        let graph = graph(op, operands, shape)?;
        let code = self.code(backend, &graph.to_string(), || Schedule::of(&graph).map_err(|e| e.to_string()))?;
        let dense = operands.iter().map(|x| self.dense(backend, x)).collect::<Result<SmallVec<[Dense<'_>; 3]>>>()?;
        let mut inputs: SmallVec<[Input<'_>; 3]> = SmallVec::new();
        for (dense, operand) in dense.iter().zip(operands) {
            inputs.push(match dense {
                Dense::Made(memory) => Input::Read(memory, 0..memory.bytes()),
                Dense::There(a) => {
                    let (size, n) = (operand.dtype().size(), a.shape.iter().product::<usize>());
                    Input::Read(a.memory, a.offset * size..(a.offset + n) * size)
                }
            });
        }
        let mut out = backend.allocate(dtype, shape.iter().product())?;
        run(&*code, &mut inputs, &mut [&mut out])?;
        Ok(out)
    }

    /// As [`Backend::copy`].
    ///
    /// # Errors
    /// As there.
    pub fn copy(&self, backend: &dyn Backend, from: Array<'_>, to: ArrayMut<'_>) -> Result<()> {
        let size = to.dtype.size();
        let (read, written) = (from.memory.bytes() / size, to.memory.bytes() / size);
        let key = format!(
            "copy {} {:?} from {read} {} {:?} to {written} {} {:?}",
            to.dtype, to.shape, from.offset, from.strides, to.offset, to.strides
        );
        let code = self.code(backend, &key, || Ok(copy(&from, &to, read, written)))?;
        let mut inputs = [Input::Read(from.memory, 0..read * size), Input::Update(&mut *to.memory, 0..written * size)];
        run(&*code, &mut inputs, &mut [])
    }

    /// The elements of an operand in row-major order; a number as one element.
    fn dense<'a>(&self, backend: &dyn Backend, operand: &Operand<'a>) -> Result<Dense<'a>> {
        Ok(match operand {
            Operand::Number(s) => Dense::Made(backend.upload(s.dtype(), &bytes(*s))?),
            Operand::Array(a) if a.is_dense() => Dense::There(*a),
            Operand::Array(a) => {
                let mut memory = backend.allocate(a.dtype, a.shape.iter().product())?;
                let strides = row_major(a.shape);
                let to = ArrayMut { memory: &mut memory, dtype: a.dtype, offset: 0, shape: a.shape, strides: &strides };
                self.copy(backend, *a, to)?;
                Dense::Made(memory)
            }
        })
    }

    /// What was compiled for `key`, or is now.
    fn code(
        &self,
        backend: &dyn Backend,
        key: &str,
        schedule: impl FnOnce() -> Result<Schedule, String>,
    ) -> Result<Arc<dyn Executable>> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = kept().get(key) {
            return Ok(Arc::clone(code));
        }
        let schedule = schedule().map_err(Error::Compile)?;
        let code: Arc<dyn Executable> = Arc::from(backend.compile(&schedule, &CompileOptions::default())?);
        let mut kept = kept();
        if kept.len() == KEPT {
            kept.clear();
        }
        kept.insert(key.to_string(), Arc::clone(&code));
        Ok(code)
    }
}

fn run(code: &dyn Executable, inputs: &mut [Input<'_>], outputs: &mut [&mut Memory]) -> Result<()> {
    let mut scratch = code.scratch(code.scratch_bytes(&[]))?;
    code.run(&[], inputs, outputs, &mut scratch).map_err(|stop| match stop {
        Stop::Device(e) => e,
        Stop::Failed(failure) => unreachable!("bug in allotrope: a primitive without checks failed: {failure}"),
    })
}

/// A number as an element in memory.
fn bytes(s: Scalar) -> SmallVec<[u8; 8]> {
    match s {
        Scalar::F32(x) => x.to_ne_bytes().into_iter().collect(),
        Scalar::F64(x) => x.to_ne_bytes().into_iter().collect(),
        Scalar::F16(x) => x.to_ne_bytes().into_iter().collect(),
        Scalar::BF16(x) => x.to_ne_bytes().into_iter().collect(),
        Scalar::I64(x) => x.to_ne_bytes().into_iter().collect(),
        Scalar::I32(x) => x.to_ne_bytes().into_iter().collect(),
        Scalar::U8(x) => smallvec![x],
        Scalar::Bool(x) => smallvec![u8::from(x)],
    }
}

fn row_major(shape: &[usize]) -> SmallVec<[isize; 4]> {
    (0..shape.len()).map(|i| shape[i + 1..].iter().map(|n| (*n).max(1) as isize).product()).collect()
}

fn dims(shape: &[usize]) -> Shape {
    shape.iter().map(|n| Dim::fixed(*n)).collect()
}

/// The graph of one primitive.
fn graph(op: &Op<usize>, operands: &[Operand<'_>], shape: &[usize]) -> Result<Graph> {
    let mut graph = Graph::new();
    let mut values: SmallVec<[_; 3]> = SmallVec::new();
    for operand in operands {
        let of = match operand {
            Operand::Array(a) => a.shape,
            Operand::Number(_) => &[],
        };
        values.push(graph.input(Type::new(operand.dtype(), dims(of)), InputKind::Arg, "x"));
    }
    if op.is_elementwise() {
        for (value, operand) in values.iter_mut().zip(operands) {
            if let Operand::Number(_) = operand {
                *value = graph.op(Op::Broadcast(dims(shape)), &[*value])?;
            }
        }
    }
    let result = graph.op(op.map_dims(&mut |n| Dim::fixed(*n)), &values)?;
    graph.output(result);
    Ok(graph)
}

/// The schedule of one strided copy, from the first input, of so many elements, into the second.
fn copy(from: &Array<'_>, to: &ArrayMut<'_>, read: usize, written: usize) -> Schedule {
    let dtype = to.dtype;
    let view = |buf: u32, offset: usize, strides: &[isize]| View {
        base: Base::Buf(BufId(buf)),
        dtype,
        offset: Dim::fixed(offset),
        shape: dims(to.shape),
        strides: strides.iter().map(|s| Dim::Fixed(*s as i64)).collect(),
    };
    let flat = |n: usize| Type::new(dtype, dims(&[n]));
    let buffer = |i: usize, n: usize| Buffer { location: Location::Input(i), dtype, len: Dim::fixed(n), owner: None };
    let leaf = view(0, from.offset, from.strides);
    let rank = to.shape.len();
    let kernel = Kernel {
        axes: dims(to.shape),
        kept: rank,
        exprs: vec![Expr { kind: ExprKind::Leaf(leaf), dtype, depth: rank, reduced: false }],
        stores: vec![Store { expr: ExprId(0), view: view(1, to.offset, to.strides), in_place: false }],
        results: Vec::new(),
        number: 0,
    };
    let n = Dim::fixed(to.shape.iter().product());
    let bytes = &n * &Dim::fixed(2 * dtype.size());
    let info = KernelInfo {
        name: "copy0".into(),
        ops: "copy".into(),
        space: dims(to.shape).into_vec(),
        flops: Dim::Fixed(0),
        bytes,
        in_loop: false,
        loops: Vec::new(),
    };
    Schedule {
        inputs: vec![flat(read), flat(written)],
        outputs: vec![Output { ty: flat(written), update: Some(1) }],
        buffers: vec![buffer(0, read), buffer(1, written)],
        instructions: vec![Instruction::Kernel(Box::new(kernel))],
        kernels: vec![info],
        ..Schedule::default()
    }
}
