//! One call of a compiled variant: locks the storages, binds the pointers, runs, and hands out the results. All that
//! can fail comes before the run, but for the program's own checks, whose code writes no state before all of them hold;
//! so a failed call has changed nothing: generators too go back to where they were.

use super::captured::{Returned, Source, Target, Wiring};
use super::draws::Rooms;
use super::guards::Binding;
use crate::autograd::tape;
use crate::codegen::{Compiled, Slot};
use crate::error::{Error, Result};
use crate::tensor::grad_fn::Edge;
use crate::tensor::storage::{Buffer, ReadGuard, Storage, WriteGuard};
use crate::tensor::{Dims, Tensor, eval};
use allotrope_ir::{Graph, Type};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;

/// What a call gives back, in the order of the closure's results.
pub(super) type Results = SmallVec<[Tensor; 4]>;
type Outputs = SmallVec<[Tensor; 8]>;

/// Compiled code, and what is known of its inputs and outputs whatever tensors they are.
pub(super) struct Code {
    pub(super) compiled: Compiled,
    scratch: Scratch,
    rooms: Rooms,
    /// For each output, the input that it updates.
    updates: Vec<Option<usize>>,
    /// The type of each output, and its shape where that is fixed.
    types: Vec<(Type, Option<Dims>)>,
}

impl Code {
    /// The code of the optimised `graph`.
    pub(super) fn new(compiled: Compiled, graph: &Graph, rooms: Rooms) -> Code {
        let ty = |o: &allotrope_ir::Output| {
            let ty = graph.ty(o.value).clone();
            let fixed = ty.shape.iter().map(|d| d.as_fixed()).collect();
            (ty, fixed)
        };
        Code {
            compiled,
            scratch: Scratch::default(),
            rooms,
            updates: graph.outputs().iter().map(|o| o.update).collect(),
            types: graph.outputs().iter().map(ty).collect(),
        }
    }
}

/// The tensors that code runs on, and what a call needs to know of them.
pub(super) struct Bound {
    wiring: Wiring,
    inputs: Vec<Planned>,
    /// The storages that a call changes, so or after it.
    storages: Vec<Arc<Storage>>,
    /// The arguments that a call changes.
    changed: Vec<usize>,
    /// The outputs that get memory of their own, by number.
    fresh: Vec<usize>,
}

/// What is known of an input before any call.
struct Planned {
    /// Whether the code changes it where it is.
    written: bool,
    /// The bytes of a tensor from outside that can be used as it lies: it is contiguous, and the call changes no other
    /// view of its elements.
    ready: Option<Range<usize>>,
}

impl Bound {
    pub(super) fn new(code: &Code, wiring: Wiring) -> Bound {
        let mut inputs: Vec<Planned> =
            wiring.sources.iter().map(|_| Planned { written: false, ready: None }).collect();
        let (mut storages, mut changed, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (target, update)) in wiring.targets.iter().zip(&code.updates).enumerate() {
            if let Target::State { tensor } = target {
                storages.extend(tensor.strided().map(|s| Arc::clone(&s.storage)));
            }
            if let Target::Arg(i) = target {
                changed.push(*i);
            }
            match (target, update) {
                (Target::State { .. }, Some(input)) => inputs[*input].written = true,
                _ => fresh.push(i),
            }
        }
        for (source, planned) in wiring.sources.iter().zip(&mut inputs) {
            if let (Source::State(t), true) = (source, changed.is_empty())
                && t.is_contiguous()
                && let Some(s) = t.strided()
                && (planned.written || !storages.iter().any(|w| Arc::ptr_eq(w, &s.storage)))
            {
                planned.ready = Some(bytes_of(t));
            }
        }
        Bound { wiring, inputs, storages, changed, fresh }
    }
}

/// Where the elements of a contiguous tensor are in its storage.
fn bytes_of(t: &Tensor) -> Range<usize> {
    let (offset, size) = (t.strided().map_or(0, |s| s.offset), t.dtype().size());
    offset * size..(offset + t.shape_hint().iter().product::<usize>()) * size
}

/// Scratch memory that is kept between calls. Calls at the same time get memory of their own.
#[derive(Default)]
pub(super) struct Scratch(Mutex<Option<(Binding, Buffer)>>);

impl Scratch {
    /// Memory that is large enough for these symbol values.
    fn take(&self, code: &Compiled, binding: &Binding) -> Buffer {
        let kept = self.0.try_lock().and_then(|mut kept| kept.take());
        match kept {
            Some((of, buffer)) if of == *binding => buffer,
            kept => {
                let needed = code.scratch_bytes(binding);
                kept.map(|(_, buffer)| buffer).filter(|b| b.len() >= needed).unwrap_or_else(|| Buffer::new(needed))
            }
        }
    }

    fn give_back(&self, binding: &Binding, buffer: Buffer) {
        if let Some(mut kept) = self.0.try_lock() {
            *kept = Some((binding.clone(), buffer));
        }
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

type Inputs<'a> = SmallVec<[Input<'a>; 32]>;

impl Bound {
    /// Runs compiled code on arguments that fit, with the numbers that they give the symbols.
    pub(super) fn call(&self, code: &Code, args: &[&Tensor], binding: &Binding) -> Result<Results> {
        let mut inputs = Inputs::new();
        self.inputs(args, &mut inputs)?;
        let mut drawn = None;
        if !self.wiring.draws.is_empty() {
            let drawn = drawn.insert(self.wiring.draws.run(&code.rooms, &self.wiring.sources, args, binding)?);
            for (i, tensor) in drawn.tensors.drain(..) {
                inputs[i] = Input::Owned(tensor);
            }
        }
        let mut scratch = code.scratch.take(&code.compiled, binding);
        let done = self.compute(code, &inputs, binding, &mut scratch);
        code.scratch.give_back(binding, scratch);
        match done {
            Ok(outputs) => {
                drop(inputs);
                self.hand_out(args, outputs)
            }
            Err(e) => {
                if let Some(drawn) = drawn {
                    drawn.undo();
                }
                Err(e)
            }
        }
    }

    /// Runs the code on inputs that are all there.
    fn compute(
        &self,
        code: &Code,
        inputs: &Inputs<'_>,
        binding: &Binding,
        scratch: &mut Buffer,
    ) -> Result<Outputs> {
        let mut outputs = Outputs::new();
        let reuse = !code.compiled.has_checks();
        let room = |&i: &usize| output(&self.wiring.targets[i], &code.types[i], binding, reuse);
        outputs.extend(self.fresh.iter().map(room));
        let mut held: SmallVec<[Held<'_>; 32]> = SmallVec::new();
        self.lock(inputs, &mut held);
        let mut slots: SmallVec<[Slot<'_>; 64]> = SmallVec::new();
        for ((input, held), planned) in inputs.iter().zip(&mut held).zip(&self.inputs) {
            let bytes = planned.ready.clone().unwrap_or_else(|| bytes_of(input.get()));
            slots.push(match held {
                Held::Read(b) => Slot::In(&b.bytes()[bytes]),
                Held::Write(b) => Slot::InOut(&mut b.bytes_mut()[bytes]),
            });
        }
        for tensor in &mut outputs {
            let buffer = tensor.own_buffer().expect("an output tensor is in no other hands");
            slots.push(Slot::Out(buffer.bytes_mut()));
        }
        code.compiled.call(binding, &mut slots, scratch.bytes_mut()).map_err(Error::checked)?;
        drop(slots);
        Ok(outputs)
    }

    /// The tensors behind the inputs, contiguous.
    fn inputs<'a>(&'a self, args: &[&'a Tensor], inputs: &mut Inputs<'a>) -> Result<()> {
        for (source, planned) in self.wiring.sources.iter().zip(&self.inputs) {
            let (input, from_caller) = match source {
                Source::State(t) if planned.ready.is_some() => {
                    inputs.push(Input::Borrowed(t));
                    continue;
                }
                Source::Arg(i) => (Input::Borrowed(args[*i]), true),
                Source::State(t) => (Input::Borrowed(t), false),
                Source::Grad(t) => (Input::Owned(gradient(t)?), true),
                Source::ArgGrad(i) => (Input::Owned(gradient(args[*i])?), true),
                Source::Draw => {
                    inputs.push(Input::Drawn);
                    continue;
                }
                Source::Data(t) => (Input::Borrowed(t), false),
                Source::Number(s) => {
                    inputs.push(Input::Owned(eval::full(&[], *s)));
                    continue;
                }
            };
            let s = eval::strided(input.get())?;
            if from_caller && self.storages.iter().any(|w| Arc::ptr_eq(w, &s.storage)) {
                return Err(Error::Argument(
                    "an argument shares its elements with a tensor that the traced function changes; pass a copy"
                        .into(),
                ));
            }
            for &i in &self.changed {
                let changed = eval::strided(args[i])?;
                eval::check_apart(args[i].shape_hint(), &changed.strides)?;
                if !matches!(source, Source::Arg(j) if *j == i) && Arc::ptr_eq(&changed.storage, &s.storage) {
                    return Err(Error::Argument(format!(
                        "argument {i}, which the traced function changes in place, shares its elements with something else that it uses; pass a copy"
                    )));
                }
            }
            // What the program reads through another view, before it changes the elements, is read before the call.
            let shared = !planned.written && self.storages.iter().any(|w| Arc::ptr_eq(w, &s.storage));
            inputs.push(match input.get().is_contiguous() {
                true if shared => Input::Owned(eval::copied(input.get())?),
                true => input,
                false => Input::Owned(eval::contiguous(input.get())?),
            });
        }
        Ok(())
    }

    /// Locks every input. Nothing is waited for while something is held, so calls cannot block each other for good.
    fn lock<'a>(&self, inputs: &'a Inputs<'_>, held: &mut SmallVec<[Held<'a>; 32]>) {
        while held.len() < inputs.len() {
            let storage: &Storage = &inputs[held.len()].get().strided().expect("inputs have storage").storage;
            let guard = match self.inputs[held.len()].written {
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
    }

    fn hand_out(&self, args: &[&Tensor], outputs: Outputs) -> Result<Results> {
        let mut computed = Results::new();
        for (&i, tensor) in self.fresh.iter().zip(outputs) {
            match &self.wiring.targets[i] {
                Target::Return => computed.push(tensor),
                Target::State { tensor: state } => eval::assign(state, &tensor)?,
                Target::Arg(i) => eval::assign(args[*i], &tensor)?,
                Target::Grad(of) => of.store_grad(Some(tensor)),
                Target::ArgGrad(i) => args[*i].store_grad(Some(tensor)),
            }
        }
        for t in &self.wiring.cleared {
            t.store_grad(None);
        }
        for &i in &self.wiring.cleared_args {
            args[i].store_grad(None);
        }
        // Results were added in the order of the closure's, so they come in that order.
        let mut computed = computed.into_iter();
        let each = self.wiring.returned.iter().map(|known| match known {
            Returned::Same(t) => t.clone(),
            Returned::Arg(i) => args[*i].clone(),
            Returned::Computed { requires_grad } => {
                let t = computed.next().expect("bug in allotrope: a result was not computed");
                if *requires_grad {
                    t.set_grad_fn(Some(ended()));
                }
                t
            }
        });
        Ok(each.collect())
    }
}

/// The gradient that a guard has seen.
fn gradient(of: &Tensor) -> Result<Tensor> {
    of.stored_grad().ok_or_else(|| Error::Trace("another thread took a gradient away while a call began".into()))
}

/// A tensor for an output: the gradient of the last call where nobody else holds it, else a fresh one; a fresh one too
/// where the run may fail, as `reuse` says, because the gradient then stays as it was.
fn output(target: &Target, (ty, fixed): &(Type, Option<Dims>), binding: &Binding, reuse: bool) -> Tensor {
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
