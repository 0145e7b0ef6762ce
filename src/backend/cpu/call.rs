//! The safe way to run a compiled function: memory is given as slices, whose lengths are checked against the types of
//! the graph. It computes nothing itself.

use crate::backend::cpu::compiled::Compiled;
use crate::backend::cpu::profile;
use crate::backend::profile::Profile;
use crate::schedule::{Failure, Polynomial, Schedule};
use allotrope_ir::Type;
use smallvec::SmallVec;

/// What an input or output must be given: computed once for a graph.
struct Operand {
    ty: Type,
    bytes: Bytes,
}

enum Bytes {
    Fixed(usize),
    Symbolic(Polynomial),
}

impl Operand {
    fn of(ty: &Type) -> Operand {
        let bytes = match ty.numel().as_fixed() {
            Some(n) => Bytes::Fixed(n.saturating_mul(ty.dtype.size())),
            None => Bytes::Symbolic(Polynomial::bytes(ty)),
        };
        Operand { ty: ty.clone(), bytes }
    }

    #[inline]
    fn bytes(&self, binding: &[usize]) -> usize {
        match &self.bytes {
            Bytes::Fixed(n) => *n,
            Bytes::Symbolic(size) => size.eval(binding),
        }
    }

    #[inline]
    fn check(&self, at: *const u8, len: usize, binding: &[usize]) {
        assert!(
            len == self.bytes(binding) && (at as usize).is_multiple_of(self.ty.dtype.size()),
            "bug in this library: {len} bytes given for {} under {binding:?}",
            self.ty
        );
    }
}

/// What a call must be given.
pub(crate) struct Signature {
    /// The inputs, and whether an output updates them.
    inputs: Vec<(Operand, bool)>,
    /// The outputs that update no input, by number.
    outputs: Vec<(usize, Operand)>,
    /// The outputs that update one, and the input.
    updates: Vec<(usize, usize)>,
    symbols: usize,
}

impl Signature {
    pub(crate) fn of(schedule: &Schedule) -> Signature {
        let outputs = || schedule.outputs.iter().enumerate();
        Signature {
            inputs: schedule.inputs.iter().map(Operand::of).zip(schedule.updated()).collect(),
            outputs: (outputs().filter(|(_, o)| o.update.is_none())).map(|(i, o)| (i, Operand::of(&o.ty))).collect(),
            updates: outputs().filter_map(|(i, o)| Some((i, o.update?))).collect(),
            symbols: schedule.symbols,
        }
    }
}

/// A call of a compiled function under way: it is given each input in order, then each output that updates none, and run.
///
/// Every method panics where lengths, alignment or order are not what the graph asks for: a bug in this library.
pub struct Call<'a> {
    code: &'a Compiled,
    binding: &'a [usize],
    /// Those of inputs that are only read are never written.
    inputs: SmallVec<[*mut u8; 64]>,
    outputs: SmallVec<[*mut u8; 32]>,
}

impl Compiled {
    /// Bytes of the outputs that update no input.
    pub(crate) fn output_bytes(&self, binding: &[usize]) -> usize {
        self.signature.outputs.iter().fold(0, |n, (_, operand)| operand.bytes(binding).saturating_add(n))
    }

    /// Begins a call in which symbol `i` is `binding[i]`.
    #[inline]
    pub fn call<'a>(&'a self, binding: &'a [usize]) -> Call<'a> {
        let symbols = self.signature.symbols;
        assert!(binding.len() >= symbols, "bug in this library: {} symbols for {symbols}", binding.len());
        Call { code: self, binding, inputs: SmallVec::new(), outputs: SmallVec::new() }
    }
}

impl<'a> Call<'a> {
    /// The next input, which no output updates.
    #[inline]
    pub fn input(&mut self, bytes: &'a [u8]) {
        let (operand, updated) = &self.code.signature.inputs[self.inputs.len()];
        assert!(!updated, "bug in this library: an input that is updated was given as read-only");
        operand.check(bytes.as_ptr(), bytes.len(), self.binding);
        self.inputs.push(bytes.as_ptr().cast_mut());
    }

    /// The next input, which an output updates.
    #[inline]
    pub fn input_mut(&mut self, bytes: &'a mut [u8]) {
        let (operand, updated) = &self.code.signature.inputs[self.inputs.len()];
        assert!(updated, "bug in this library: an input that is only read was given to be updated");
        operand.check(bytes.as_ptr(), bytes.len(), self.binding);
        self.inputs.push(bytes.as_mut_ptr());
    }

    /// The next output that updates no input.
    #[inline]
    pub fn output(&mut self, bytes: &'a mut [u8]) {
        let (_, operand) = &self.code.signature.outputs[self.outputs.len()];
        operand.check(bytes.as_ptr(), bytes.len(), self.binding);
        self.outputs.push(bytes.as_mut_ptr());
    }

    /// Runs the function.
    ///
    /// # Errors
    /// As [`Compiled::run`].
    #[inline]
    pub fn run(self, scratch: &mut [u8]) -> Result<(), &'a Failure> {
        let signature = &self.code.signature;
        assert!(
            self.inputs.len() == signature.inputs.len() && self.outputs.len() == signature.outputs.len(),
            "bug in this library: a call without all of its memory"
        );
        assert!(
            scratch.len() >= self.code.scratch_bytes(self.binding) && (scratch.as_ptr() as usize).is_multiple_of(64),
            "bug in this library: the scratch memory is too small or not aligned"
        );
        let mut all: SmallVec<[*mut u8; 64]> = SmallVec::new();
        let outputs = match signature.updates.is_empty() {
            true => &self.outputs[..],
            false => {
                all.resize(signature.updates.len() + signature.outputs.len(), std::ptr::null_mut());
                for (at, (i, _)) in self.outputs.iter().zip(&signature.outputs) {
                    all[*i] = *at;
                }
                for (i, input) in &signature.updates {
                    all[*i] = self.inputs[*input];
                }
                &all[..]
            }
        };
        // SAFETY: every pointer comes from a slice of the checked length and alignment that is borrowed as long as `self`
        // lives; updated inputs were given as exclusive borrows and have their own pointer; other outputs are distinct
        // exclusive borrows, so they overlap nothing; the scratch was checked. The lists hold one pointer for each input
        // and output of the graph, and a list of `*mut u8` may be read as one of `*const u8`.
        unsafe {
            self.code.run(
                self.binding,
                &*(&self.inputs[..] as *const [*mut u8] as *const [*const u8]),
                outputs,
                scratch.as_mut_ptr(),
            )
        }
    }

    /// As [`Call::run`], with the times that the kernels took; `most` is how many runs of kernels are listed one by one.
    /// Where a check fails, the times are those of what ran.
    ///
    /// # Errors
    /// As [`Compiled::run`].
    ///
    /// # Panics
    /// As [`Call::run`]; and when the code was not compiled for it, see [`crate::backend::cpu::Options::profile`].
    pub fn run_profiled(self, scratch: &mut [u8], most: usize) -> (Result<(), &'a Failure>, Profile) {
        assert!(self.code.tells_time(), "bug in this library: this code was not compiled to be timed");
        profile::timed(self.code.kernels().len(), most, || self.run(scratch))
    }
}
