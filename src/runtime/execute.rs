//! The one place where graphs are compiled and compiled code is run on tensors: locks the memory of the inputs, binds it
//! and that of the outputs to the code, and runs. It chooses no input, makes no output and knows no variant.

use crate::backend::cpu::profile::Profile;
use crate::backend::cpu::{Compiled, Options};
use crate::error::{Error, Result};
use crate::schedule::program::Failure;
use crate::tensor::storage::{Buffer, ReadGuard, Storage, WriteGuard};
use crate::tensor::{Dims, Tensor, eval};
use allotrope_ir::{Dim, Graph, Type};
use smallvec::SmallVec;
use std::ops::Range;

/// Compiles an optimised graph.
///
/// # Errors
/// Where code cannot be generated.
pub(crate) fn compile(graph: &Graph, options: &Options) -> Result<Compiled> {
    Compiled::compile(graph, options).map_err(|e| Error::Compile(e.to_string()))
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
    offset * size..(offset + t.shape_hint().iter().product::<usize>()) * size
}

/// A fresh tensor for an output of this type.
pub(crate) fn output(ty: &Type, binding: &[usize]) -> Tensor {
    let shape: Dims = ty.shape.iter().map(|d| d.eval(binding)).collect();
    eval::fresh(ty.dtype, &shape, eval::buffer_for(ty.dtype, shape.iter().product()))
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
    Read(ReadGuard<'a, Buffer>),
    Write(WriteGuard<'a, Buffer>),
}

/// Runs code where symbol `i` is `binding[i]`. The outputs are tensors that nobody else holds. Where kernels are `timed`,
/// it is how many of their runs are listed one by one.
pub(crate) fn run(
    code: &Compiled,
    binding: &[usize],
    inputs: &Inputs<'_>,
    outputs: &mut [Tensor],
    scratch: &mut Buffer,
    timed: Option<usize>,
) -> Result<Option<Profile>, Stop> {
    let mut held: SmallVec<[Held<'_>; 32]> = SmallVec::new();
    lock(inputs, &mut held);
    let mut call = code.call(binding);
    for (input, held) in inputs.iter().zip(&mut held) {
        match held {
            Held::Read(b) => call.input(&b.bytes()[input.bytes.clone()]),
            Held::Write(b) => call.input_mut(&mut b.bytes_mut()[input.bytes.clone()]),
        }
    }
    for tensor in outputs {
        let buffer = tensor.own_buffer().expect("an output tensor is in no other hands");
        call.output(buffer.bytes_mut());
    }
    let (done, profile) = match timed {
        None => (call.run(scratch.bytes_mut()), None),
        Some(most) => {
            let (done, profile) = call.run_profiled(scratch.bytes_mut(), most);
            (done, Some(profile))
        }
    };
    match done {
        Ok(()) => Ok(profile),
        Err(Failure::Check(message)) => Err(Stop::Error(Error::checked(message))),
        Err(Failure::Iterations(limit)) => Err(Stop::Full(limit.clone())),
    }
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
