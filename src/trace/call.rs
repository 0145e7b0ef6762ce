//! One call of a compiled variant: locks the storages, binds the pointers, runs, and hands out the results. All that
//! can fail comes before the run, so a failed call has changed nothing.

use super::recorder::{Returned, Source, Target};
use super::variant::Variant;
use crate::autograd::tape;
use crate::codegen::Slot;
use crate::error::{Error, Result};
use crate::tensor::grad_fn::Edge;
use crate::tensor::storage::{Buffer, ReadGuard, Storage, WriteGuard};
use crate::tensor::{Dims, Tensor, eval};
use smallvec::SmallVec;
use std::sync::Arc;

/// The elements of one input during a call.
enum Held<'a> {
    Read(ReadGuard<'a, Buffer>),
    Write(WriteGuard<'a, Buffer>),
}

impl Variant {
    /// Runs the compiled code on arguments that fit.
    pub(super) fn call(&mut self, args: &[&Tensor]) -> Result<Vec<Tensor>> {
        let binding = self.bind(args).ok_or_else(|| Error::Trace("bug in allotrope: the arguments do not fit".into()))?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let needed = self.compiled.scratch_bytes(&binding);
        if scratch.len() < needed {
            scratch = Buffer::new(needed);
        }
        let mut outputs = self.output_buffers(&binding);
        {
            let inputs = self.inputs(args)?;
            let mut held = self.lock(&inputs);
            let mut slots: SmallVec<[Slot<'_>; 64]> = SmallVec::new();
            for (tensor, held) in inputs.iter().zip(&mut held) {
                let tensor = tensor.get();
                let s = tensor.strided().expect("inputs have storage");
                let size = tensor.dtype().size();
                let bytes = s.offset * size..(s.offset + tensor.shape_hint().iter().product::<usize>()) * size;
                slots.push(match held {
                    Held::Read(b) => Slot::In(&b.bytes()[bytes]),
                    Held::Write(b) => Slot::InOut(&mut b.bytes_mut()[bytes]),
                });
            }
            slots.extend(outputs.iter_mut().map(|b| Slot::Out(b.bytes_mut())));
            self.compiled.call(&binding, &mut slots, scratch.bytes_mut());
        }
        self.scratch = scratch;
        self.hand_out(args, &binding, outputs)
    }

    /// The tensors behind the inputs, contiguous.
    fn inputs<'a>(&'a self, args: &[&'a Tensor]) -> Result<SmallVec<[Input<'a>; 32]>> {
        let written = || self.written().filter_map(|t| t.strided()).map(|s| Arc::as_ptr(&s.storage));
        self.sources
            .iter()
            .map(|source| {
                let (tensor, from_caller) = match source {
                    Source::Arg(i) => (Input::Borrowed(args[*i]), true),
                    Source::State(t) => (Input::Borrowed(t), false),
                    Source::Grad(t) => (Input::Owned(t.stored_grad().expect("guarded")), true),
                };
                let s = eval::strided(tensor.get())?;
                if from_caller && written().any(|w| w == Arc::as_ptr(&s.storage)) {
                    return Err(Error::Argument(
                        "an argument shares its elements with a tensor that the traced function changes; pass a copy".into(),
                    ));
                }
                Ok(match tensor.get().is_contiguous() {
                    true => tensor,
                    false => Input::Owned(eval::contiguous(tensor.get())?),
                })
            })
            .collect()
    }

    /// Tensors from outside that the code changes where they are.
    fn written(&self) -> impl Iterator<Item = &Tensor> {
        self.targets.iter().filter_map(|t| match t {
            Target::State { tensor, .. } => Some(tensor),
            _ => None,
        })
    }

    /// Locks every input. Nothing is waited for while something is held, so calls cannot block each other for good.
    fn lock<'a>(&self, inputs: &'a [Input<'_>]) -> SmallVec<[Held<'a>; 32]> {
        let mut written: SmallVec<[bool; 64]> = SmallVec::from_elem(false, inputs.len());
        for t in &self.targets {
            if let Target::State { tensor, input } = t {
                written[*input] = tensor.is_contiguous();
            }
        }
        loop {
            let each = inputs.iter().zip(&written).map(|(input, &write)| {
                let storage: &Storage = &input.get().strided().expect("inputs have storage").storage;
                if write { storage.try_write().map(Held::Write) } else { storage.try_read().map(Held::Read) }
            });
            if let Some(held) = each.collect::<Option<SmallVec<[Held<'a>; 32]>>>() {
                return held;
            }
            std::thread::yield_now();
        }
    }

    /// Fresh buffers for the outputs that are not written in place.
    fn output_buffers(&self, binding: &[usize]) -> SmallVec<[Buffer; 16]> {
        let graph = self.optimized();
        let outputs = graph.outputs().iter().filter(|o| o.update.is_none());
        outputs
            .map(|o| {
                let ty = graph.ty(o.value);
                eval::buffer_for(ty.dtype, ty.shape.iter().map(|d| d.eval(binding)).product())
            })
            .collect()
    }

    fn hand_out(&self, args: &[&Tensor], binding: &[usize], outputs: SmallVec<[Buffer; 16]>) -> Result<Vec<Tensor>> {
        let graph = self.optimized();
        let mut buffers = outputs.into_iter();
        let mut returned: Vec<Option<Tensor>> = self.returned.iter().map(|_| None).collect();
        for (target, output) in self.targets.iter().zip(graph.outputs()) {
            if output.update.is_some() {
                continue;
            }
            let ty = graph.ty(output.value);
            let shape: Dims = ty.shape.iter().map(|d| d.eval(binding)).collect();
            let buffer = buffers.next().expect("one buffer for each output that is not in place");
            let tensor = eval::fresh(ty.dtype, &shape, buffer);
            match target {
                Target::Return(i) => returned[*i] = Some(tensor),
                Target::State { tensor: state, .. } => eval::assign(state, &tensor)?,
                Target::Grad(of) => of.store_grad(Some(tensor)),
                Target::ArgGrad(i) => args[*i].store_grad(Some(tensor)),
            }
        }
        for t in &self.cleared {
            t.store_grad(None);
        }
        let each = self.returned.iter().zip(returned).map(|(known, tensor)| match (known, tensor) {
            (Returned::Same(t), _) => t.clone(),
            (Returned::Computed { requires_grad }, Some(t)) => {
                if *requires_grad {
                    t.set_grad_fn(Some(ended()));
                }
                t
            }
            (Returned::Computed { .. }, None) => unreachable!("bug in allotrope: a result was not computed"),
        });
        Ok(each.collect())
    }
}

/// An input tensor: the caller's, or a contiguous copy.
enum Input<'a> {
    Borrowed(&'a Tensor),
    Owned(Tensor),
}

impl Input<'_> {
    fn get(&self) -> &Tensor {
        match self {
            Input::Borrowed(t) => t,
            Input::Owned(t) => t,
        }
    }
}

/// Stands for the history of a result, which stayed in the trace.
fn ended() -> Edge {
    use std::sync::OnceLock;
    static NODE: OnceLock<Arc<dyn crate::tensor::grad_fn::GradFn>> = OnceLock::new();
    let node = NODE.get_or_init(|| {
        tape::node("TraceBackward", SmallVec::from_iter([]), |_, _| {
            Err(Error::Autograd(
                "this tensor is the result of a traced function, whose history ended with the call; call backward() inside the closure".into(),
            ))
        })
    });
    Edge::new(Arc::clone(node), 0)
}
