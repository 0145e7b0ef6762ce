//! The one place where graphs are compiled and compiled code is run on tensors: locks the memory of the inputs, binds it
//! and that of the outputs to the code, and runs. It chooses no input, makes no output and knows no variant.

use crate::backend::cpu::host;
use crate::backend::{self, CompileOptions, Executable, Failure, Memory, Profile};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::schedule::Schedule;
use crate::tensor::storage::{ReadGuard, Storage, WriteGuard};
use crate::tensor::{Tensor, TensorType, eval};
use allotrope_ir::{Bounds, Dim, Graph, Type};
use smallvec::SmallVec;
use std::ops::{Deref, Range};
use std::time::{Duration, Instant};

/// Compiled code, and where it runs.
pub(crate) struct Code {
    pub(crate) device: Device,
    executable: Box<dyn Executable>,
    /// What the sizes of a run must satisfy.
    bounds: Bounds,
    /// The types of the outputs that update no input.
    results: Vec<Type>,
    /// How long scheduling took, and each phase of the backend.
    pub(crate) phases: Vec<(&'static str, Duration)>,
}

impl Deref for Code {
    type Target = dyn Executable;

    #[inline]
    fn deref(&self) -> &(dyn Executable + 'static) {
        &*self.executable
    }
}

impl Code {
    /// Makes ready to run where symbol `i` is `binding[i]`: checks these sizes, and makes the scratch memory as large as they
    /// ask for.
    ///
    /// # Errors
    /// When no value can have such sizes, and when there is no memory.
    pub(crate) fn prepare(&self, binding: &[usize], scratch: &mut Option<Memory>) -> Result<()> {
        self.bounds.check(binding).map_err(|e| Error::size(e.to_string()))?;
        let needed = self.scratch_bytes(binding);
        let there = scratch.as_ref().map_or(0, Memory::bytes);
        if self.device == Device::Cpu {
            // A system may promise each piece and then not have all of them.
            let mut all = needed.saturating_sub(there);
            for ty in &self.results {
                let ty = bound(ty, binding)?;
                let bytes = ty.numel() * ty.dtype().size();
                host::affords(bytes, || format!("a tensor {}{:?}", ty.dtype(), ty.shape()))?;
                all = all.saturating_add(bytes);
            }
            host::affords(all, || "the results of a call and what is computed on the way".into())?;
        }
        if there < needed || scratch.is_none() {
            let memory = self.scratch(needed).map_err(|e| e.for_what("what is computed on the way in a call"))?;
            *scratch = Some(memory);
        }
        Ok(())
    }
}

/// Schedules an optimised graph, and compiles that for a device.
///
/// # Errors
/// Where code cannot be generated.
pub(crate) fn compile(device: Device, graph: &Graph, options: &CompileOptions) -> Result<Code> {
    let bug = |e: &dyn ToString| Error::Compile(e.to_string());
    let clock = Instant::now();
    let bounds = Bounds::of(graph).map_err(|e| Error::size(e.to_string()))?;
    let schedule = Schedule::of(graph).map_err(|e| bug(&e))?;
    let mut phases = vec![("lower", clock.elapsed())];
    let executable = backend::of(device).compile(&schedule, options)?;
    phases.extend(executable.phases());
    let fresh = graph.outputs().iter().filter(|o| o.update.is_none());
    let results = fresh.map(|o| graph.ty(o.value).clone()).collect();
    Ok(Code { device, executable, bounds, results, phases })
}

/// One input of compiled code.
pub(crate) struct Input<'a> {
    storage: &'a Storage,
    /// Where its elements are in the storage.
    bytes: Range<usize>,
    /// Whether the code changes them where they are.
    written: bool,
}

impl<'a> Input<'a> {
    /// The elements of a contiguous tensor that has some.
    pub(crate) fn new(tensor: &'a Tensor, written: bool) -> Input<'a> {
        Input::at(tensor, bytes_of(tensor), written)
    }

    /// As [`Input::new`], where it is known already where its elements are.
    pub(crate) fn at(tensor: &'a Tensor, bytes: Range<usize>, written: bool) -> Input<'a> {
        Input { storage: &tensor.strided().expect("inputs have storage").storage, bytes, written }
    }
}

/// The inputs of one run, in order.
pub(crate) type Inputs<'a> = SmallVec<[Input<'a>; 32]>;

/// What a call gives back, in the order of the closure's results.
pub(crate) type Results = SmallVec<[Tensor; 4]>;

/// Where the elements of a contiguous tensor are in its storage.
pub(crate) fn bytes_of(t: &Tensor) -> Range<usize> {
    let (offset, size) = (t.strided().map_or(0, |s| s.offset), t.dtype().size());
    offset * size..(offset + t.ty().numel()) * size
}

/// A fresh tensor for an output of this type.
///
/// # Errors
/// When the device has no memory for it.
pub(crate) fn output(device: Device, ty: &Type, binding: &[usize]) -> Result<Tensor> {
    eval::empty(device, bound(ty, binding)?)
}

/// The type where symbol `i` is `binding[i]`.
fn bound(ty: &Type, binding: &[usize]) -> Result<TensorType> {
    TensorType::new(ty.dtype, ty.shape.iter().map(|d| d.eval(binding)).collect())
}

/// What ends a run early. No input has been written then.
pub(crate) enum Stop {
    Error(Error),
    /// A loop needs capacity for more iterations than this.
    Full(Dim),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Stop {
        Stop::Error(e)
    }
}

/// The elements of one input during a run.
enum Held<'a> {
    Read(ReadGuard<'a, Memory>),
    Write(WriteGuard<'a, Memory>),
}

/// Runs code where symbol `i` is `binding[i]`, with scratch memory that [`Code::prepare`] made for that. The outputs are tensors that nobody else holds. Where kernels are `timed`,
/// it is how many of their runs are listed one by one.
pub(crate) fn run(
    code: &Code,
    binding: &[usize],
    inputs: &Inputs<'_>,
    outputs: &mut [Tensor],
    scratch: &mut Memory,
    timed: Option<usize>,
) -> Result<Option<Profile>, Stop> {
    let mut held: SmallVec<[Held<'_>; 32]> = SmallVec::new();
    lock(inputs, &mut held);
    let mut read: SmallVec<[backend::Input<'_>; 32]> = SmallVec::with_capacity(held.len());
    for (input, held) in inputs.iter().zip(&mut held) {
        read.push(match held {
            Held::Read(memory) => backend::Input::Read(memory, input.bytes.clone()),
            Held::Write(memory) => backend::Input::Update(memory, input.bytes.clone()),
        });
    }
    let mut written: SmallVec<[&mut Memory; 16]> = SmallVec::with_capacity(outputs.len());
    for tensor in outputs {
        written.push(tensor.own_memory().expect("an output tensor is in no other hands"));
    }
    let done = match timed {
        None => code.run(binding, &mut read, &mut written, scratch).map(|()| None),
        Some(most) => code.run_profiled(binding, &mut read, &mut written, scratch, most).map(Some),
    };
    done.map_err(|stop| match stop {
        backend::Stop::Failed(Failure::Check(message)) => Stop::Error(Error::argument(&*message)),
        backend::Stop::Failed(Failure::Iterations(limit)) => Stop::Full(limit),
        backend::Stop::Device(e) => Stop::Error(e),
    })
}

/// Locks every input. Nothing is waited for while something is held, so calls cannot block each other for good.
fn lock<'a>(inputs: &Inputs<'a>, held: &mut SmallVec<[Held<'a>; 32]>) {
    held.reserve(inputs.len());
    'retry: loop {
        for input in inputs {
            let guard = match input.written {
                true => input.storage.try_write().map(Held::Write),
                false => input.storage.try_read().map(Held::Read),
            };
            let Some(guard) = guard else {
                held.clear();
                std::thread::yield_now();
                continue 'retry;
            };
            held.push(guard);
        }
        return;
    }
}
