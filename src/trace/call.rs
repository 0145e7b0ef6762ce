//! One call of a compiled variant: locks the storages, binds the pointers, runs, and hands out the results. All that
//! can fail comes before the run, but for the program's own checks, whose code writes no state before all of them hold;
//! so a failed call has changed nothing: generators too go back to where they were.

use super::captured::{Returned, Source, Target};
use super::guards::Binding;
use super::outer::Kept;
use super::variant::Variant;
use crate::codegen::{Compiled, Failure};
use crate::error::{Error, Result};
use crate::tensor::storage::{Buffer, ReadGuard, Storage, WriteGuard};
use crate::tensor::{Dims, Tensor, eval};
use allotrope_ir::{Dim, Graph, Type};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;

/// What a call gives back, in the order of the closure's results.
pub(super) type Results = SmallVec<[Tensor; 4]>;
type Outputs = SmallVec<[Tensor; 8]>;

/// What a call needs to know of the inputs and outputs, worked out once.
pub(super) struct Plan {
    inputs: Vec<Planned>,
    /// The storages that a call changes, so or after it, by identity: their tensors are among the targets.
    storages: Vec<usize>,
    /// The arguments that a call changes.
    changed: Vec<usize>,
    /// The outputs that get memory of their own: what becomes of each, its type, and its shape where that is fixed.
    outputs: Vec<(Target, Type, Option<Dims>)>,
}

/// What is known of an input before any call.
struct Planned {
    /// Whether the code changes it where it is.
    written: bool,
    /// The bytes of a tensor from outside that can be used as it lies: it is contiguous, and the call changes no other
    /// view of its elements.
    ready: Option<Range<usize>>,
}

impl Plan {
    pub(super) fn new(graph: &Graph, sources: &[Source], targets: &[Target]) -> Plan {
        let planned = || Planned { written: false, ready: None };
        let mut plan = Plan {
            inputs: sources.iter().map(|_| planned()).collect(),
            storages: Vec::new(),
            changed: Vec::new(),
            outputs: Vec::new(),
        };
        for (target, output) in targets.iter().zip(graph.outputs()) {
            if let Target::State { tensor } = target {
                plan.storages.extend(tensor.strided().map(|s| identity(&s.storage)));
            }
            if let Target::Arg(i) = target {
                plan.changed.push(*i);
            }
            match (target, output.update) {
                (Target::State { .. }, Some(input)) => plan.inputs[input].written = true,
                _ => {
                    let ty = graph.ty(output.value).clone();
                    let fixed = ty.shape.iter().map(|d| d.as_fixed()).collect();
                    plan.outputs.push((target.clone(), ty, fixed));
                }
            }
        }
        for (source, planned) in sources.iter().zip(&mut plan.inputs) {
            if let (Source::State(t), true) = (source, plan.changed.is_empty())
                && t.is_contiguous()
                && let Some(s) = t.strided()
                && (planned.written || !plan.storages.contains(&identity(&s.storage)))
            {
                planned.ready = Some(bytes_of(t));
            }
        }
        plan
    }

    /// The arguments that a call changes, by number.
    pub(super) fn changed(&self) -> &[usize] {
        &self.changed
    }
}

fn identity(storage: &Arc<Storage>) -> usize {
    Arc::as_ptr(storage) as usize
}

/// Where the elements of a contiguous tensor are in its storage.
pub(super) fn bytes_of(t: &Tensor) -> Range<usize> {
    let (offset, size) = (t.strided().map_or(0, |s| s.offset), t.dtype().size());
    offset * size..(offset + t.shape_hint().iter().product::<usize>()) * size
}

/// The elements of one input during a call.
enum Held<'a> {
    Read(ReadGuard<'a, Buffer>),
    Write(WriteGuard<'a, Buffer>),
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

/// The tensors that the code gets, in order.
type Inputs<'a> = SmallVec<[&'a Tensor; 32]>;
/// Those that were made for this call, by the number of their input: copies, gradients, draws.
type Made = SmallVec<[(usize, Tensor); 4]>;

impl Variant {
    /// Runs the compiled code on arguments that fit, with the numbers that they give the symbols.
    pub(super) fn call(&self, args: &[&Tensor], binding: Binding) -> Result<Results> {
        self.call_where(args, binding, |_| Ok(()))
    }

    /// As [`Variant::call`], where the numbers of the symbols are asked about before each run.
    pub(super) fn call_where(
        &self,
        args: &[&Tensor],
        mut binding: Binding,
        check: impl Fn(&Binding) -> Result<()>,
    ) -> Result<Results> {
        loop {
            check(&binding)?;
            match self.run(args, &binding) {
                // No state has been written, so it can be run again.
                Err(Stop::Full(limit)) => self.make_room(&limit, &mut binding)?,
                Err(Stop::Error(e)) => return Err(e),
                Ok((outputs, kept)) => return self.hand_out(args, outputs, kept, &binding),
            }
        }
    }

    fn run(&self, args: &[&Tensor], binding: &Binding) -> Result<(Outputs, Vec<Tensor>), Stop> {
        let mut made = self.made(args)?;
        let mut drawn = None;
        if !self.draws.is_empty() {
            let drawn = drawn.insert(self.draws.run(&self.sources, args, binding)?);
            made.extend(drawn.tensors.drain(..));
        }
        let done = self.kept.turn(&self.compiled, binding, |turn| {
            turn.heat(self.hot, self.compile_time(), |binding| self.compile_for(binding));
            turn.run(&self.compiled, |code, binding, scratch| self.compute(code, args, &made, binding, scratch))
        });
        if let (Err(_), Some(drawn)) = (&done, drawn) {
            drawn.undo();
        }
        let kept = self.outer.iter().flat_map(|outer| outer.inputs());
        let kept = kept.map(|i| self.handle(args, &made, i)).collect();
        Ok((done?, kept))
    }

    /// Input `i` as the program around knows it.
    fn handle(&self, args: &[&Tensor], made: &Made, i: usize) -> Tensor {
        match (&self.sources[i], made.iter().find(|(at, _)| *at == i)) {
            (Source::Arg(i), _) => args[*i].clone(),
            (Source::State(t), _) => Tensor::clone(t),
            (_, Some((_, t))) => t.clone(),
            _ => unreachable!("bug in allotrope: an input was not made"),
        }
    }

    /// That a call with these arguments has inputs that it can use.
    ///
    /// # Errors
    /// Where an argument shares its elements with what is changed.
    pub(super) fn check_inputs(&self, args: &[&Tensor]) -> Result<()> {
        self.made(args).map(drop)
    }

    /// Checks the inputs that calls differ in, and makes those that cannot be used as they are.
    fn made(&self, args: &[&Tensor]) -> Result<Made> {
        let mut made = Made::new();
        for (i, (source, planned)) in self.sources.iter().zip(&self.plan.inputs).enumerate() {
            if planned.ready.is_some() {
                continue;
            }
            let gradient = match source {
                Source::Grad(t) => Some(gradient(t)?),
                Source::ArgGrad(i) => Some(gradient(args[*i])?),
                Source::Arg(_) | Source::State(_) => None,
                Source::Draw | Source::Gradient => continue,
            };
            let input = match (source, &gradient) {
                (_, Some(t)) => t,
                (Source::Arg(i), _) => args[*i],
                (Source::State(t), _) => t,
                _ => unreachable!("bug in allotrope: gradients and draws were seen above"),
            };
            let s = eval::strided(input)?;
            let shared = self.plan.storages.contains(&identity(&s.storage));
            if shared && !matches!(source, Source::State(_)) {
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
            match input.is_contiguous() {
                true if shared && !planned.written => made.push((i, eval::copied(input)?)),
                true => made.extend(gradient.map(|g| (i, g))),
                false => made.push((i, eval::contiguous(input)?)),
            }
        }
        Ok(made)
    }

    /// Runs the code on inputs that are all there.
    fn compute(
        &self,
        code: &Compiled,
        args: &[&Tensor],
        made: &Made,
        binding: &Binding,
        scratch: &mut Buffer,
    ) -> Result<Outputs, Stop> {
        let mut outputs = Outputs::new();
        for o in &self.plan.outputs {
            outputs.push(output(o, binding, !code.has_checks()));
        }
        let inputs: Inputs<'_> = (self.sources.iter().enumerate())
            .map(|(i, source)| match (source, made.iter().find(|(at, _)| *at == i)) {
                (_, Some((_, t))) => t,
                (Source::Arg(i), _) => args[*i],
                (Source::State(t), _) => t,
                _ => unreachable!("bug in allotrope: an input was not made"),
            })
            .collect();
        let mut held: SmallVec<[Held<'_>; 32]> = SmallVec::new();
        self.lock(&inputs, &mut held);
        let mut call = code.call(binding);
        for ((input, held), planned) in inputs.iter().zip(&mut held).zip(&self.plan.inputs) {
            let bytes = planned.ready.clone().unwrap_or_else(|| bytes_of(input));
            match held {
                Held::Read(b) => call.input(&b.bytes()[bytes]),
                Held::Write(b) => call.input_mut(&mut b.bytes_mut()[bytes]),
            }
        }
        for tensor in &mut outputs {
            let buffer = tensor.own_buffer().expect("an output tensor is in no other hands");
            call.output(buffer.bytes_mut());
        }
        call.run(scratch.bytes_mut()).map_err(|failure| match failure {
            Failure::Check(message) => Stop::Error(Error::checked(message)),
            Failure::Rounds(limit) => Stop::Full(limit.clone()),
        })?;
        drop(held);
        Ok(outputs)
    }

    /// Locks every input. Nothing is waited for while something is held, so calls cannot block each other for good.
    fn lock<'a>(&self, inputs: &Inputs<'a>, held: &mut SmallVec<[Held<'a>; 32]>) {
        held.reserve(inputs.len());
        'again: loop {
            for (input, planned) in inputs.iter().zip(&self.plan.inputs) {
                let storage: &Storage = &input.strided().expect("inputs have storage").storage;
                let guard = match planned.written {
                    true => storage.try_write().map(Held::Write),
                    false => storage.try_read().map(Held::Read),
                };
                let Some(guard) = guard else {
                    held.clear();
                    std::thread::yield_now();
                    continue 'again;
                };
                held.push(guard);
            }
            return;
        }
    }

    fn hand_out(&self, args: &[&Tensor], outputs: Outputs, inputs: Vec<Tensor>, binding: &Binding) -> Result<Results> {
        let (mut computed, mut kept) = (Results::new(), Vec::new());
        for ((target, ..), tensor) in self.plan.outputs.iter().zip(outputs) {
            match target {
                Target::Return => computed.push(tensor),
                Target::Keep => kept.push(tensor),
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
        self.effects.iter().for_each(|e| e.apply());
        if let Some(outer) = &self.outer {
            let kept = Kept { inputs: inputs.into_iter(), outputs: kept.into_iter() };
            outer.attach(args, kept, &computed, binding);
        }
        // Results were added in the order of the closure's, so they come in that order.
        let mut computed = computed.into_iter();
        let mut results = Results::new();
        for known in &self.returned {
            results.push(match known {
                Returned::Same(t) => Tensor::clone(t),
                Returned::Arg(i) => args[*i].clone(),
                Returned::Again(i) => results[*i].clone(),
                Returned::Computed { .. } => computed.next().expect("bug in allotrope: a result was not computed"),
            });
        }
        Ok(results)
    }
}

/// The gradient that a guard has seen.
fn gradient(of: &Tensor) -> Result<Tensor> {
    of.stored_grad().ok_or_else(|| Error::Trace("another thread took a gradient away while a call began".into()))
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
