//! Eager evaluation for a backend that only runs schedules: each primitive is a graph of one node, symbolic in sizes,
//! scheduled, compiled and kept for the next time. It knows what graphs and schedules are, and of a device no more than its
//! backend does.

use crate::backend::one_primitive::{Primitive, memory_order, stored};
use crate::backend::strided_copy::StridedCopy;
use crate::backend::{Array, ArrayMut, Backend, CompileOptions, Executable, Input, Memory, Operand, Stop};
use crate::error::{Error, Result};
use crate::schedule::Schedule;
use allotrope_ir::{DType, Op, Scalar};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::{SmallVec, smallvec};
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Compiled primitives that are kept; with one more than these all are dropped.
const KEPT: usize = 1024;
/// The same of numbers that were sent to the device.
const NUMBERS: usize = 256;

/// What was made for each of some keys.
type Kept<K, V> = Mutex<FxHashMap<K, Arc<V>>>;

/// The primitives that a backend has compiled so far: `copy`, `full` and `compute` of [`Backend`] for one that has nothing
/// but [`Backend::compile`], [`Backend::allocate`] and [`Backend::upload`].
#[derive(Default)]
pub struct ThroughSchedules {
    primitives: Kept<Primitive, dyn Executable>,
    copies: Kept<StridedCopy, dyn Executable>,
    common: Common,
    /// Numbers on the device, by dtype and bytes.
    numbers: Kept<(DType, SmallVec<[u8; 8]>), Memory>,
}

/// The primitives that eager programs use most. They are compiled together once so many of them were asked for: by then
/// others will be, and a program that is only traced computes few.
#[derive(Default)]
struct Common {
    all: OnceLock<FxHashSet<Primitive>>,
    asked: AtomicUsize,
}

/// So many of them.
const SOON: usize = 6;

/// An operand whose elements lie in row-major order, or were made so.
enum Dense<'a> {
    There(Array<'a>),
    Made(Memory),
    Number(Arc<Memory>),
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

    /// As [`Backend::compute`]. Numbers among the operands are inputs of the schedule, and sizes are symbols, so any others
    /// run the same.
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
        let dense = operands.iter().map(|x| self.dense(backend, x)).collect::<Result<SmallVec<[Dense<'_>; 3]>>>()?;
        let strides: SmallVec<[SmallVec<[isize; 4]>; 3]> =
            operands.iter().map(|x| if let Operand::Array(a) = x { row_major(a.shape) } else { smallvec![] }).collect();
        let arranged =
            dense.iter().zip(operands).zip(&strides).map(|((dense, operand), strides)| match (dense, operand) {
                (Dense::There(a), _) => Operand::Array(*a),
                (Dense::Made(memory), Operand::Array(a)) => Operand::Array(Array { memory, offset: 0, strides, ..*a }),
                (Dense::Made(_) | Dense::Number(_), _) => *operand,
            });
        let arranged: SmallVec<[Operand<'_>; 3]> = arranged.collect();
        // Elements one by one that lie side by side are one axis, however many there are: fewer programs to build.
        let (primitive, binding) = match op.is_elementwise() && arranged.iter().all(is_row_major) {
            true => Primitive::of_line(op, &arranged, shape.iter().product()),
            false => Primitive::of(op, &arranged, shape),
        };
        let code = kept(&self.primitives, primitive, KEPT, |primitive| {
            if self.is_time_for_common(primitive) {
                self.compile_common(backend)?;
                if let Some(code) = lock(&self.primitives).get(primitive) {
                    return Ok(Arc::clone(code));
                }
            }
            compiled(backend, &schedule(primitive)?)
        })?;
        let mut inputs: SmallVec<[Input<'_>; 3]> = SmallVec::new();
        for (dense, operand) in dense.iter().zip(&arranged) {
            inputs.push(match (dense, operand) {
                (Dense::Number(memory), _) => Input::Read(memory, 0..memory.bytes()),
                (_, Operand::Array(a)) => {
                    let size = a.dtype.size();
                    Input::Read(a.memory, a.offset * size..(a.offset + stored(a)) * size)
                }
                (Dense::Made(memory), _) => Input::Read(memory, 0..memory.bytes()),
                (Dense::There(_), Operand::Number(_)) => unreachable!("bug in allotrope: a number lies in memory"),
            });
        }
        let mut out = backend.allocate(dtype, shape.iter().product())?;
        run(&*code, &binding.numbers, &mut inputs, &mut [&mut out])?;
        Ok(out)
    }

    /// Whether it is a common one that is asked for the first time, and enough others were before.
    fn is_time_for_common(&self, primitive: &Primitive) -> bool {
        let all = self.common.all.get_or_init(|| Primitive::common().into_iter().collect());
        all.contains(primitive) && self.common.asked.fetch_add(1, Ordering::Relaxed) + 1 == SOON
    }

    fn compile_common(&self, backend: &dyn Backend) -> Result<()> {
        let common = Primitive::common();
        let schedules = common.iter().map(schedule).collect::<Result<Vec<Schedule>>>()?;
        let codes = backend.compile_together(&schedules)?;
        let mut kept = lock(&self.primitives);
        for (primitive, code) in common.into_iter().zip(codes) {
            kept.entry(primitive).or_insert_with(|| Arc::from(code));
        }
        Ok(())
    }

    /// As [`Backend::copy`].
    ///
    /// # Errors
    /// As there.
    pub fn copy(&self, backend: &dyn Backend, from: Array<'_>, to: ArrayMut<'_>) -> Result<()> {
        if to.shape.contains(&0) {
            return Ok(());
        }
        let size = to.dtype.size();
        let (copy, binding) = StridedCopy::of(&from, &to);
        let code = kept(&self.copies, copy, KEPT, |copy| compiled(backend, &copy.schedule()))?;
        let (read, written) = (from.memory.bytes() / size * size, to.memory.bytes() / size * size);
        let mut inputs = [Input::Read(from.memory, 0..read), Input::Update(&mut *to.memory, 0..written)];
        run(&*code, &binding, &mut inputs, &mut [])
    }

    /// The elements of an operand as they are where nothing lies between them, else in row-major order; a number as one
    /// element.
    fn dense<'a>(&self, backend: &dyn Backend, operand: &Operand<'a>) -> Result<Dense<'a>> {
        Ok(match operand {
            Operand::Number(s) => {
                let upload = |(dtype, bytes): &(DType, SmallVec<[u8; 8]>)| Ok(Arc::new(backend.upload(*dtype, bytes)?));
                Dense::Number(kept(&self.numbers, (s.dtype(), bytes(*s)), NUMBERS, upload)?)
            }
            Operand::Array(a) if memory_order(a).is_some() => Dense::There(*a),
            Operand::Array(a) => {
                let mut memory = backend.allocate(a.dtype, a.shape.iter().product())?;
                let strides = row_major(a.shape);
                let to = ArrayMut { memory: &mut memory, dtype: a.dtype, offset: 0, shape: a.shape, strides: &strides };
                self.copy(backend, *a, to)?;
                Dense::Made(memory)
            }
        })
    }
}

/// What was made for `key`, or is now.
fn kept<K: Eq + Hash, V: ?Sized>(
    all: &Kept<K, V>,
    key: K,
    most: usize,
    make: impl FnOnce(&K) -> Result<Arc<V>>,
) -> Result<Arc<V>> {
    if let Some(made) = lock(all).get(&key) {
        return Ok(Arc::clone(made));
    }
    // Not under the lock: it may take long, and other keys have nothing to wait for.
    let made = make(&key)?;
    let mut all = lock(all);
    if all.len() >= most {
        all.clear();
    }
    all.insert(key, Arc::clone(&made));
    Ok(made)
}

fn lock<K, V: ?Sized>(all: &Kept<K, V>) -> MutexGuard<'_, FxHashMap<K, Arc<V>>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn schedule(primitive: &Primitive) -> Result<Schedule> {
    Schedule::of(&primitive.graph()?).map_err(|e| Error::Compile(e.to_string()))
}

fn compiled(backend: &dyn Backend, schedule: &Schedule) -> Result<Arc<dyn Executable>> {
    Ok(Arc::from(backend.compile(schedule, &CompileOptions::default())?))
}

fn run(code: &dyn Executable, binding: &[usize], inputs: &mut [Input<'_>], outputs: &mut [&mut Memory]) -> Result<()> {
    let mut scratch = code.scratch(code.scratch_bytes(binding))?;
    code.run(binding, inputs, outputs, &mut scratch).map_err(|stop| match stop {
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

/// Whether the elements of an operand lie in row-major order, without gaps and repetitions; numbers do.
fn is_row_major(operand: &Operand<'_>) -> bool {
    match operand {
        Operand::Number(_) => true,
        Operand::Array(a) => memory_order(a)
            .is_some_and(|axes| axes.is_sorted() && axes.len() == a.shape.iter().filter(|n| **n != 1).count()),
    }
}

fn row_major(shape: &[usize]) -> SmallVec<[isize; 4]> {
    (0..shape.len()).map(|i| shape[i + 1..].iter().map(|n| (*n).max(1) as isize).product()).collect()
}
