//! One call of a compiled variant: locks the storages, binds the pointers, runs, and hands out the results. All that
//! can fail comes before the run, but for the program's own checks, whose code writes no state before all of them hold;
//! so a failed call has changed nothing: generators too go back to where they were.

use crate::autograd::no_grad;
use crate::backend::Memory;
use crate::capture::captured::Wiring;
use crate::capture::draws::Fills;
use crate::capture::endpoints::{CallerTensor, HistoryAfter, Returned, Source, Target};
use crate::capture::symbols::Binding;
use crate::error::{Error, Result};
use crate::ops::movement::{seen_again, shown_again};
use crate::runtime::backward::{Backward, SavedForBackward};
use crate::runtime::execute::{self, Code, Input, Inputs, Results, Stop, bytes_of};
use crate::runtime::guards::HandedStrides;
use crate::runtime::variant::Variant;
use crate::tensor::storage::Storage;
use crate::tensor::view::Creation;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Dims, Size, Tensor, TensorType, eval};
use allotrope_ir::{Dim, Graph, Type};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::Arc;

type Outputs = SmallVec<[Tensor; 8]>;

/// What a run has left.
struct Done {
    outputs: Outputs,
    /// Strides of those that lie otherwise than in row-major order.
    laid_out: HandedStrides,
    /// The inputs that are saved for backward passes.
    saved: Vec<Tensor>,
}

/// What is known of the inputs and outputs of compiled code, whatever tensors they are.
pub(crate) struct CodeSignature {
    pub(crate) fills: Fills,
    /// For each output, the input that it updates.
    updates: Vec<Option<usize>>,
    /// The type of each output, and that of its tensor where the sizes are fixed.
    types: Vec<(Type, Option<TensorType>)>,
}

impl CodeSignature {
    /// The signature of an optimised graph.
    pub(crate) fn new(graph: &Graph, fills: Fills) -> CodeSignature {
        let ty = |o: &allotrope_ir::Output| {
            let ty = graph.ty(o.value).clone();
            let fixed: Option<Dims> = ty.shape.iter().map(|d| d.as_fixed()).collect();
            let fixed = fixed.and_then(|shape| TensorType::new(ty.dtype, shape).ok());
            (ty, fixed)
        };
        CodeSignature {
            fills,
            updates: graph.outputs().iter().map(|o| o.update).collect(),
            types: graph.outputs().iter().map(ty).collect(),
        }
    }
}

/// The tensors that code runs on, and what a call needs to know of them.
pub(crate) struct Bound {
    pub(crate) wiring: Wiring,
    inputs: Vec<Planned>,
    /// The storages that a call changes, so or after it, by identity: their tensors are among the targets.
    storages: Vec<usize>,
    /// The inputs that are arguments or gradients which a call changes, by number.
    changed: Vec<usize>,
    /// The outputs that get memory of their own, by number.
    fresh: Vec<usize>,
}

/// What is known of an input before any call.
struct Planned {
    /// Whether the code changes it where it is.
    written: bool,
    /// The bytes of a captured tensor that can be used as it lies: it is contiguous, and the call changes no other
    /// view of its elements.
    ready: Option<Range<usize>>,
}

impl Bound {
    pub(crate) fn new(signature: &CodeSignature, wiring: Wiring) -> Bound {
        let mut inputs: Vec<Planned> = wiring.sources.iter().map(|_| Planned { written: false, ready: None }).collect();
        let (mut storages, mut changed, mut fresh) = (Vec::new(), Vec::new(), Vec::new());
        for (i, (target, update)) in wiring.targets.iter().zip(&signature.updates).enumerate() {
            if let Target::State { tensor } = target {
                storages.extend(tensor.strided().map(|s| identity(&s.storage)));
            }
            let source = |s: &Source| match (s, target) {
                (Source::Arg(i), Target::Arg(j)) => i == j,
                (Source::ArgGrad(i), Target::GradElements(CallerTensor::Arg(j))) => i == j,
                (Source::Grad(t), Target::GradElements(CallerTensor::Captured(of))) => t.id() == of.id(),
                _ => false,
            };
            changed.extend(wiring.sources.iter().position(source));
            match (target, update) {
                (Target::State { .. }, Some(input)) => inputs[*input].written = true,
                _ => fresh.push(i),
            }
        }
        for (source, planned) in wiring.sources.iter().zip(&mut inputs) {
            if let (Source::State(t), true) = (source, changed.is_empty())
                && t.is_contiguous()
                && let Some(s) = t.strided()
                && (planned.written || !storages.contains(&identity(&s.storage)))
            {
                planned.ready = Some(bytes_of(t));
            }
        }
        Bound { wiring, inputs, storages, changed, fresh }
    }
}

fn identity(storage: &Arc<Storage>) -> usize {
    Arc::as_ptr(storage) as usize
}

/// Those that were made for this call, by the number of their input: copies, gradients, draws.
type Made = SmallVec<[(usize, Tensor); 4]>;

impl Bound {
    /// Runs the code of a variant on arguments that fit, with the numbers that they give the symbols.
    pub(crate) fn call(&self, variant: &Variant, args: &[&Tensor], binding: Binding) -> Result<Results> {
        self.call_where(variant, args, binding, |_| Ok(()))
    }

    /// As [`Bound::call`], where the numbers of the symbols are asked about before each run.
    pub(crate) fn call_where(
        &self,
        variant: &Variant,
        args: &[&Tensor],
        mut binding: Binding,
        check: impl Fn(&Binding) -> Result<()>,
    ) -> Result<Results> {
        let mut grown = false;
        loop {
            check(&binding)?;
            match self.run(variant, args, &binding) {
                // No state has been written, so it can be run again.
                Err(Stop::Full(limit)) => {
                    variant.grow_capacity(&limit, &mut binding)?;
                    grown = true;
                }
                Err(Stop::Error(e)) => return Err(if grown { endless(e) } else { e }),
                Ok(done) => return self.hand_out(variant.backward.as_ref(), args, done, &binding),
            }
        }
    }

    fn run(&self, variant: &Variant, args: &[&Tensor], binding: &Binding) -> Result<Done, Stop> {
        let laid_out = match self.wiring.laid_out.is_empty() {
            true => HandedStrides::new(),
            false => variant.guards.layouts.handed_out(&self.wiring.laid_out, args, binding),
        };
        let mut made = self.made(args)?;
        let mut drawn = None;
        if !self.wiring.draws.is_empty() {
            let draws = &self.wiring.draws;
            let drawn = drawn.insert(draws.run(variant.device(), &variant.signature.fills, binding)?);
            made.extend(drawn.tensors.drain(..));
        }
        let (signature, compiled) = (&variant.signature, &variant.compiled);
        let done = variant.workspaces.with(compiled, binding, |workspace| {
            let cost = variant.compile_time() + compiled.build_time();
            workspace.heat(variant.hot, cost, |binding| variant.compile_for(binding));
            workspace
                .run(compiled, |code, binding, scratch| self.compute(signature, code, args, &made, binding, scratch))
        });
        if let (Err(_), Some(drawn)) = (&done, drawn) {
            drawn.undo();
        }
        let saved = variant.backward.iter().flat_map(Backward::inputs);
        let saved = saved.map(|i| self.handle(args, &made, i)).collect();
        Ok(Done { outputs: done?, laid_out, saved })
    }

    /// Input `i` as the program around knows it.
    fn handle(&self, args: &[&Tensor], made: &Made, i: usize) -> Tensor {
        match (&self.wiring.sources[i], made.iter().find(|(at, _)| *at == i)) {
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
    pub(crate) fn check_inputs(&self, args: &[&Tensor]) -> Result<()> {
        self.made(args).map(drop)
    }

    /// Checks the inputs that calls differ in, and makes those that cannot be used as they are.
    fn made(&self, args: &[&Tensor]) -> Result<Made> {
        let mut made = Made::new();
        let mut changing = Made::new();
        for &i in &self.changed {
            let tensor = match &self.wiring.sources[i] {
                Source::Grad(t) => gradient(t)?,
                Source::ArgGrad(i) => gradient(args[*i])?,
                Source::Arg(i) => args[*i].clone(),
                Source::State(_) | Source::Data(_) | Source::Draw | Source::Gradient => {
                    unreachable!("bug in allotrope: neither an argument nor a gradient")
                }
            };
            eval::check_apart(tensor.shape_hint(), &eval::strided(&tensor)?.strides)?;
            changing.push((i, tensor));
        }
        for (i, (source, planned)) in self.wiring.sources.iter().zip(&self.inputs).enumerate() {
            if planned.ready.is_some() {
                continue;
            }
            let gradient = match source {
                Source::Grad(t) => Some(gradient(t)?),
                Source::ArgGrad(i) => Some(gradient(args[*i])?),
                Source::Arg(_) | Source::State(_) | Source::Data(_) => None,
                Source::Draw | Source::Gradient => continue,
            };
            let input = match (source, &gradient) {
                (_, Some(t)) => t,
                (Source::Arg(i), _) => args[*i],
                (Source::State(t), _) => t,
                (Source::Data(t), _) => t,
                _ => unreachable!("bug in allotrope: gradients and draws were seen above"),
            };
            let s = eval::strided(input)?;
            let shared = self.storages.contains(&identity(&s.storage));
            if shared && !matches!(source, Source::State(_)) {
                return Err(Error::argument(
                    "an argument shares its elements with a tensor that the traced function changes; pass a copy, such as x.copy()",
                ));
            }
            for (changed, tensor) in &changing {
                let changing = eval::strided(tensor)?;
                if *changed != i && Arc::ptr_eq(&changing.storage, &s.storage) {
                    let what = match &self.wiring.sources[*changed] {
                        Source::Arg(i) => format!("argument {i}"),
                        _ => "a gradient".to_string(),
                    };
                    return Err(Error::argument(format!(
                        "{what}, which the traced function changes in place, shares its elements with something else that it uses; pass a copy, such as x.copy()"
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
        signature: &CodeSignature,
        code: &Code,
        args: &[&Tensor],
        made: &Made,
        binding: &Binding,
        scratch: &mut Memory,
    ) -> Result<Outputs, Stop> {
        let mut outputs = Outputs::new();
        for &i in &self.fresh {
            let turned = self.wiring.laid_out.iter().any(|o| o.output == i && !o.axes.is_empty());
            outputs.push(output(&self.wiring.targets[i], &signature.types[i], turned, code, binding)?);
        }
        let mut inputs = Inputs::new();
        for (i, (source, planned)) in self.wiring.sources.iter().zip(&self.inputs).enumerate() {
            let tensor = match (source, made.iter().find(|(at, _)| *at == i)) {
                (_, Some((_, t))) => t,
                (Source::Arg(i), _) => args[*i],
                (Source::State(t), _) => t,
                (Source::Data(t), _) => t,
                _ => unreachable!("bug in allotrope: an input was not made"),
            };
            let bytes = planned.ready.clone().unwrap_or_else(|| bytes_of(tensor));
            inputs.push(Input::at(tensor, bytes, planned.written));
        }
        execute::run(code, binding, &inputs, &mut outputs, scratch, None)?;
        Ok(outputs)
    }

    fn hand_out(
        &self,
        backward: Option<&Backward>,
        args: &[&Tensor],
        done: Done,
        binding: &Binding,
    ) -> Result<Results> {
        let (mut computed, mut saved) = (Results::new(), Vec::new());
        let mut grads: SmallVec<[(&Tensor, Tensor); 4]> = SmallVec::new();
        let Done { outputs, laid_out, saved: inputs } = done;
        let mut laid_out = self.wiring.laid_out.iter().zip(laid_out).peekable();
        for (&i, tensor) in self.fresh.iter().zip(outputs) {
            let tensor = match laid_out.next_if(|(o, _)| o.output == i) {
                Some((o, Some(strides))) => eval::lying(&tensor, &o.axes, &strides)?,
                Some((_, None)) | None => tensor,
            };
            match &self.wiring.targets[i] {
                Target::Return => computed.push(tensor),
                Target::Save => saved.push(tensor),
                Target::State { tensor: state } => eval::assign(state, &tensor)?,
                Target::Arg(i) => eval::assign(args[*i], &tensor)?,
                Target::GradElements(of) => eval::assign(&gradient(of.of(args))?, &tensor)?,
                Target::Grad(of) => grads.push((of, tensor)),
                Target::ArgGrad(i) => grads.push((args[*i], tensor)),
            }
        }
        // Elements are what they are after the call now, and no gradient is another tensor yet.
        let handed = self.handed(args, computed, binding)?;
        grads.into_iter().for_each(|(of, grad)| of.store_grad(Some(grad)));
        for (of, i) in &self.wiring.grads {
            of.of(args).store_grad(Some(handed[*i].clone()));
        }
        for (of, grad) in &self.wiring.own_grads {
            handed[*of].store_grad(Some(handed[*grad].clone()));
        }
        for t in &self.wiring.cleared {
            t.store_grad(None);
        }
        for &i in &self.wiring.cleared_args {
            args[i].store_grad(None);
        }
        self.wiring.effects.iter().for_each(|e| e.apply());
        let change = || {
            for (of, after) in &self.wiring.histories {
                let HistoryAfter::Leaf(requires_grad) = *after else { continue };
                let tensor = of.of(args);
                if tensor.has_grad_fn() {
                    tensor.set_grad_fn(None);
                }
                tensor.store_requires_grad(requires_grad);
            }
        };
        if backward.is_none() {
            change();
        }
        if let Some(backward) = backward {
            let made = self.wiring.returned.iter().zip(&handed).filter(|(r, _)| r.gradients().is_some());
            let made: Results = made.map(|(_, t)| t).chain(self.wiring.changed_into_results(args)).cloned().collect();
            let saved = SavedForBackward { inputs: inputs.into_iter(), outputs: saved.into_iter() };
            backward.attach(args, saved, &made, binding, &change);
        }
        Ok(self.wiring.results.iter().map(|&i| handed[i].clone()).collect())
    }

    /// The tensors that the call hands out: the outputs of the code in their order, those of the caller, and views of both.
    fn handed(&self, args: &[&Tensor], computed: Results, binding: &Binding) -> Result<Results> {
        let mut computed = computed.into_iter();
        let mut handed = Results::new();
        for known in &self.wiring.returned {
            handed.push(match known {
                Returned::Same(t) => Tensor::clone(t),
                Returned::Arg(i) => args[*i].clone(),
                Returned::Grad(of) => gradient(of.of(args))?,
                Returned::Computed { .. } => computed.next().expect("bug in allotrope: a result was not computed"),
                Returned::View { of, steps, differentiable, creation, .. } => {
                    let place = |i: usize| place(&handed[i]);
                    view(&handed[*of], steps, differentiable.then_some(*creation), binding, &place)?
                }
            });
        }
        Ok(handed)
    }
}

/// The place that a run has chosen.
pub(crate) fn place(chosen: &Tensor) -> Result<i64> {
    Ok(eval::elements::<i64>(chosen)?[0])
}

/// The view that eager code would have, without history; `differentiable` says how it came about there, and `place` which
/// places the run has chosen.
pub(crate) fn view(
    of: &Tensor,
    steps: &[ViewOp<Dim>],
    differentiable: Option<Creation>,
    binding: &[usize],
    place: &dyn Fn(usize) -> Result<i64>,
) -> Result<Tensor> {
    let known = |op: &ViewOp<Dim>| op.map(&mut |d| Size::from(d.eval(binding)));
    let Some(creation) = differentiable else {
        let Some((first, more)) = steps.split_first() else { return Ok(of.same_elements()) };
        return more.iter().try_fold(shown_again(of, known(first), place)?, |t, op| shown_again(&t, known(op), place));
    };
    let seen = no_grad(|| steps.iter().try_fold(of.clone(), |t, op| seen_again(&t, known(op), place)))?;
    seen.set_creation(creation);
    Ok(seen)
}

/// The error of a call whose loop went on and on.
fn endless(e: Error) -> Error {
    match e {
        Error::Size(e) | Error::Memory(e) => Error::memory(format!(
            "{e}; a while_loop goes on, and what its gradient needs of each iteration does not fit into memory: carry a counter \
             and let the condition end it"
        )),
        other => other,
    }
}

/// The gradient that a guard has seen.
fn gradient(of: &Tensor) -> Result<Tensor> {
    of.stored_grad().ok_or_else(|| Error::trace("another thread took a gradient away while a call began"))
}

/// A tensor for an output: the gradient of the last call where nobody else holds it, else a fresh one; a fresh one too
/// where the run may fail, because the gradient then stays as it was. Where it is turned, only its memory is used.
fn output(
    target: &Target,
    (ty, fixed): &(Type, Option<TensorType>),
    turned: bool,
    code: &Code,
    binding: &Binding,
) -> Result<Tensor> {
    if let (Target::Grad(of), Some(ty), false) = (target, fixed, code.has_checks())
        && let Some(mut old) = of.take_grad()
    {
        let lies = turned || (old.shape_hint() == ty.shape() && old.is_contiguous());
        let fits = old.dtype() == ty.dtype() && lies;
        let size = ty.numel() * ty.dtype().size();
        if fits && old.device() == code.device && old.own_memory().is_some_and(|m| m.bytes() == size) {
            return Ok(if turned { eval::memory_of(&old, ty.clone())? } else { old });
        }
        of.store_grad(Some(old));
    }
    match fixed {
        Some(ty) => eval::empty(code.device, ty.clone()),
        None => execute::output(code.device, ty, binding),
    }
}
