//! One call of a compiled variant: locks the storages, binds the pointers, runs, and hands out the results. All that
//! can fail comes before the run, but for the program's own checks, whose code writes no state before all of them hold;
//! so a failed call has changed nothing: generators too go back to where they were.

use super::captured::{Returned, Source, Target};
use super::variant::{Binding, Variant};
use crate::autograd::tape;
use crate::codegen::{Failure, Slot};
use crate::error::{Error, Result};
use crate::tensor::grad_fn::Edge;
use crate::tensor::storage::{Buffer, ReadGuard, Storage, WriteGuard};
use crate::tensor::{Dims, Tensor, eval};
use allotrope_ir::{Dim, Graph, Type};
use smallvec::SmallVec;
use std::sync::Arc;

/// What a call needs to know of the inputs and outputs, worked out once.
pub(super) struct Plan {
    /// For each input, whether the code changes it where it is.
    written: Vec<bool>,
    /// The storages that a call changes, so or after it.
    storages: Vec<Arc<Storage>>,
    /// The arguments that a call changes.
    changed: Vec<usize>,
    /// The outputs that get memory of their own: what becomes of each, its type, and its shape where that is fixed.
    outputs: Vec<(Target, Type, Option<Dims>)>,
}

impl Plan {
    pub(super) fn new(graph: &Graph, sources: &[Source], targets: &[Target]) -> Plan {
        let mut plan = Plan {
            written: vec![false; sources.len()],
            storages: Vec::new(),
            changed: Vec::new(),
            outputs: Vec::new(),
        };
        for (target, output) in targets.iter().zip(graph.outputs()) {
            if let Target::State { tensor } = target {
                plan.storages.extend(tensor.strided().map(|s| Arc::clone(&s.storage)));
            }
            if let Target::Arg(i) = target {
                plan.changed.push(*i);
            }
            match (target, output.update) {
                (Target::State { .. }, Some(input)) => plan.written[input] = true,
                _ => {
                    let ty = graph.ty(output.value).clone();
                    let fixed = ty.shape.iter().map(|d| d.as_fixed()).collect();
                    plan.outputs.push((target.clone(), ty, fixed));
                }
            }
        }
        plan
    }

    /// Whether a call changes argument `i`.
    pub(super) fn changes(&self, i: usize) -> bool {
        self.changed.contains(&i)
    }
}

/// The elements of one input during a call.
enum Held<'a> {
    Read(ReadGuard<'a, Buffer>),
    Write(WriteGuard<'a, Buffer>),
}

/// An input tensor: the caller's or the program's, or a tensor made for this call.
enum Input<'a> {
    Borrowed(&'a Tensor),
    Owned(Tensor),
    /// To be drawn when everything else is there.
    Drawn,
}

impl Input<'_> {
    fn get(&self) -> &Tensor {
        match self {
            Input::Borrowed(t) => t,
            Input::Owned(t) => t,
            Input::Drawn => unreachable!("bug in allotrope: an input was not drawn"),
        }
    }
}

/// What ends a run early.
enum Stop {
    Error(Error),
    /// A loop needs room for more steps than this.
    Full(Dim),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Stop {
        Stop::Error(e)
    }
}

type Inputs<'a> = SmallVec<[Input<'a>; 32]>;

impl Variant {
    /// Runs the compiled code on arguments that fit, with the numbers that they give the symbols.
    pub(super) fn call(&mut self, args: &[&Tensor], binding: &Binding) -> Result<Vec<Tensor>> {
        let mut binding = binding.clone();
        loop {
            match self.call_with(args, &binding) {
                // No state has been written, so it can be run again.
                Err(Stop::Full(limit)) => self.make_room(&limit, &mut binding)?,
                Err(Stop::Error(e)) => return Err(e),
                Ok(results) => return Ok(results),
            }
        }
    }

    fn call_with(&mut self, args: &[&Tensor], binding: &Binding) -> Result<Vec<Tensor>, Stop> {
        if self.scratch_for.as_ref() != Some(binding) {
            let needed = self.compiled.scratch_bytes(binding);
            if self.scratch.len() < needed {
                self.scratch = Buffer::new(needed);
            }
            self.scratch_for = Some(binding.clone());
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let done = self.run(args, binding, &mut scratch);
        self.scratch = scratch;
        done
    }

    fn run(&self, args: &[&Tensor], binding: &Binding, scratch: &mut Buffer) -> Result<Vec<Tensor>, Stop> {
        let mut inputs = self.inputs(args)?;
        if self.draws.is_empty() {
            return self.compute(args, inputs, binding, scratch);
        }
        let mut drawn = self.draws.run(&self.sources, args, binding)?;
        for (i, tensor) in drawn.tensors.drain(..) {
            inputs[i] = Input::Owned(tensor);
        }
        let done = self.compute(args, inputs, binding, scratch);
        if done.is_err() {
            drawn.undo();
        }
        done
    }

    /// Runs the code on inputs that are all there.
    fn compute(
        &self,
        args: &[&Tensor],
        inputs: Inputs<'_>,
        binding: &Binding,
        scratch: &mut Buffer,
    ) -> Result<Vec<Tensor>, Stop> {
        let mut outputs: SmallVec<[Tensor; 16]> =
            self.plan.outputs.iter().map(|o| output(o, binding, !self.compiled.has_checks())).collect();
        {
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
            for tensor in &mut outputs {
                let buffer = tensor.own_buffer().expect("an output tensor is in no other hands");
                slots.push(Slot::Out(buffer.bytes_mut()));
            }
            self.compiled.call(binding, &mut slots, scratch.bytes_mut()).map_err(|failure| match failure {
                Failure::Check(message) => Stop::Error(Error::checked(message)),
                Failure::Rounds(limit) => Stop::Full(limit.clone()),
            })?;
        }
        Ok(self.hand_out(args, outputs)?)
    }

    /// The tensors behind the inputs, contiguous.
    fn inputs<'a>(&'a self, args: &[&'a Tensor]) -> Result<Inputs<'a>> {
        let mut inputs = Inputs::new();
        for (source, written) in self.sources.iter().zip(&self.plan.written) {
            let (input, from_caller) = match source {
                Source::Arg(i) => (Input::Borrowed(args[*i]), true),
                Source::State(t) => (Input::Borrowed(t), false),
                Source::Grad(t) => (Input::Owned(t.stored_grad().expect("guarded")), true),
                Source::ArgGrad(i) => (Input::Owned(args[*i].stored_grad().expect("guarded")), true),
                Source::Draw => {
                    inputs.push(Input::Drawn);
                    continue;
                }
            };
            let s = eval::strided(input.get())?;
            if from_caller && self.plan.storages.iter().any(|w| Arc::ptr_eq(w, &s.storage)) {
                return Err(Error::Argument(
                    "an argument shares its elements with a tensor that the traced function changes; pass a copy"
                        .into(),
                ));
            }
            for &i in &self.plan.changed {
                let changed = eval::strided(args[i])?;
                eval::check_apart(args[i].shape_hint(), &changed.strides)?;
                if !matches!(source, Source::Arg(j) if *j == i) && Arc::ptr_eq(&changed.storage, &s.storage) {
                    return Err(Error::Argument(format!(
                        "argument {i}, which the traced function changes in place, shares its elements with something else that it uses; pass a copy"
                    )));
                }
            }
            // What the program reads through another view, before it changes the elements, is read before the call.
            let shared = !written && self.plan.storages.iter().any(|w| Arc::ptr_eq(w, &s.storage));
            inputs.push(match input.get().is_contiguous() {
                true if shared => Input::Owned(eval::copied(input.get())?),
                true => input,
                false => Input::Owned(eval::contiguous(input.get())?),
            });
        }
        Ok(inputs)
    }

    /// Locks every input. Nothing is waited for while something is held, so calls cannot block each other for good.
    fn lock<'a>(&self, inputs: &'a [Input<'_>]) -> SmallVec<[Held<'a>; 32]> {
        let mut held = SmallVec::new();
        while held.len() < inputs.len() {
            let storage: &Storage = &inputs[held.len()].get().strided().expect("inputs have storage").storage;
            let guard = match self.plan.written[held.len()] {
                true => storage.try_write().map(Held::Write),
                false => storage.try_read().map(Held::Read),
            };
            match guard {
                Some(guard) => held.push(guard),
                None => {
                    held.clear();
                    std::thread::yield_now();
                }
            }
        }
        held
    }

    fn hand_out(&self, args: &[&Tensor], outputs: SmallVec<[Tensor; 16]>) -> Result<Vec<Tensor>> {
        let mut computed: SmallVec<[(usize, Tensor); 8]> = SmallVec::new();
        for ((target, ..), tensor) in self.plan.outputs.iter().zip(outputs) {
            match target {
                Target::Return(i) => computed.push((*i, tensor)),
                Target::State { tensor: state } => eval::assign(state, &tensor)?,
                Target::Arg(i) => eval::assign(args[*i], &tensor)?,
                Target::Grad(of) => of.store_grad(Some(tensor)),
                Target::ArgGrad(i) => args[*i].store_grad(Some(tensor)),
            }
        }
        for t in &self.cleared {
            t.store_grad(None);
        }
        for &i in &self.cleared_args {
            args[i].store_grad(None);
        }
        // Results were added in the order of the closure's, so they come in that order.
        let mut computed = computed.into_iter();
        let each = self.returned.iter().map(|known| match known {
            Returned::Same(t) => t.clone(),
            Returned::Arg(i) => args[*i].clone(),
            Returned::Computed { requires_grad } => {
                let (_, t) = computed.next().expect("bug in allotrope: a result was not computed");
                if *requires_grad {
                    t.set_grad_fn(Some(ended()));
                }
                t
            }
        });
        Ok(each.collect())
    }
}

/// A tensor for an output: the gradient of the last call where nobody else holds it, else a fresh one; a fresh one too
/// where the run may fail, as `reuse` says, because the gradient then stays as it was.
fn output((target, ty, fixed): &(Target, Type, Option<Dims>), binding: &Binding, reuse: bool) -> Tensor {
    if let (Target::Grad(of), Some(shape), true) = (target, fixed, reuse)
        && let Some(mut old) = of.take_grad()
    {
        let fits = old.dtype() == ty.dtype && old.shape_hint() == &shape[..] && old.is_contiguous();
        if fits && old.own_buffer().is_some_and(|b| b.len() == shape.iter().product::<usize>() * ty.dtype.size()) {
            return old;
        }
        of.store_grad(Some(old));
    }
    let evaluated: Dims;
    let shape = match fixed {
        Some(shape) => shape,
        None => {
            evaluated = ty.shape.iter().map(|d| d.eval(binding)).collect();
            &evaluated
        }
    };
    eval::fresh(ty.dtype, shape, eval::buffer_for(ty.dtype, shape.iter().product()))
}

/// Stands for the history of a result, which stayed in the trace.
fn ended() -> Edge {
    use std::sync::OnceLock;
    static NODE: OnceLock<Arc<dyn crate::tensor::grad_fn::GradFn>> = OnceLock::new();
    let node = NODE.get_or_init(|| {
        tape::node("TraceBackward", SmallVec::from_iter([]), false, |_, _| {
            Err(Error::Autograd(
                "this tensor is the result of a traced function, whose history ended with the call; call backward() inside the closure".into(),
            ))
        })
    });
    Edge::new(Arc::clone(node), 0)
}
