//! The safe way to run a compiled function: memory is given as slices, whose lengths are checked against the types of
//! the graph. It computes nothing itself.

use super::Compiled;
use super::size::Size;
use allotrope_ir::{Graph, Type};
use smallvec::SmallVec;

/// The memory of one input or output.
pub enum Slot<'a> {
    /// An input that is only read.
    In(&'a [u8]),
    /// An input that an output updates.
    InOut(&'a mut [u8]),
    /// An output that updates no input.
    Out(&'a mut [u8]),
}

/// What a call must be given: computed once for a graph.
pub(super) struct Signature {
    inputs: Vec<(Type, Size)>,
    /// Types of the outputs and, for those that update one, the input.
    outputs: Vec<(Type, Size, Option<usize>)>,
    symbols: usize,
}

impl Signature {
    pub(super) fn of(graph: &Graph) -> Signature {
        Signature {
            inputs: graph.input_values().map(|v| (graph.ty(v).clone(), Size::bytes(graph.ty(v)))).collect(),
            outputs: (graph.outputs().iter())
                .map(|o| (graph.ty(o.value).clone(), Size::bytes(graph.ty(o.value)), o.update))
                .collect(),
            symbols: graph.symbols().last().map_or(0, |s| s.0 as usize + 1),
        }
    }
}

impl Compiled {
    /// Bytes of the outputs that update no input.
    pub(super) fn output_bytes(&self, binding: &[usize]) -> usize {
        let own = self.signature.outputs.iter().filter(|(_, _, update)| update.is_none());
        own.map(|(_, size, _)| size.eval(binding)).sum()
    }

    /// Runs the function: a slot for each input in order, then one for each output that updates none. Symbol `i` is
    /// `binding[i]`.
    ///
    /// # Errors
    /// As [`Compiled::run`].
    ///
    /// # Panics
    /// When slots, lengths, alignment, scratch or symbols are not what the graph asks for: a bug in this library.
    pub fn call(&self, binding: &[usize], slots: &mut [Slot<'_>], scratch: &mut [u8]) -> Result<(), &str> {
        let s = &self.signature;
        assert!(binding.len() >= s.symbols, "bug in this library: {} symbols for {}", binding.len(), s.symbols);
        assert!(
            scratch.len() >= self.scratch_bytes(binding) && scratch.as_ptr().align_offset(64) == 0,
            "bug in this library: the scratch memory is too small or not aligned"
        );
        let mut inputs: SmallVec<[*const u8; 64]> = SmallVec::new();
        let mut outputs: SmallVec<[*mut u8; 64]> = SmallVec::new();
        let (given, results) = slots.split_at_mut(s.inputs.len());
        let fits = |at: *const u8, len: usize, ty: &Type, size: &Size| {
            assert!(
                len == size.eval(binding) && at.align_offset(ty.dtype.size()) == 0,
                "bug in this library: {len} bytes given for {ty} under {binding:?}"
            );
        };
        let mut writable: SmallVec<[*mut u8; 64]> = SmallVec::new();
        for (slot, (ty, size)) in given.iter_mut().zip(&s.inputs) {
            let (read, write, len) = match slot {
                Slot::In(b) => (b.as_ptr(), std::ptr::null_mut(), b.len()),
                Slot::InOut(b) => (b.as_ptr(), b.as_mut_ptr(), b.len()),
                Slot::Out(_) => panic!("bug in this library: an output given as an input"),
            };
            fits(read, len, ty, size);
            // Both come from the same borrow, so that what the code writes it may read.
            inputs.push(if write.is_null() { read } else { write });
            writable.push(write);
        }
        let mut results = results.iter_mut();
        for (ty, size, update) in &s.outputs {
            let at = match update {
                Some(i) => writable[*i],
                None => match results.next() {
                    Some(Slot::Out(b)) => {
                        fits(b.as_ptr(), b.len(), ty, size);
                        b.as_mut_ptr()
                    }
                    _ => panic!("bug in this library: an output without memory"),
                },
            };
            assert!(!at.is_null(), "bug in this library: an input that is updated was given as read-only");
            outputs.push(at);
        }
        // SAFETY: every pointer comes from a live slice of the checked length and alignment; updated inputs have their
        // own pointer and other outputs are distinct exclusive borrows, so they overlap nothing; the scratch was
        // checked.
        unsafe { self.run(binding, &inputs, &outputs, scratch.as_mut_ptr()) }
    }
}
