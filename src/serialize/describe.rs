//! Compiled variants as plain data: names and numbers in place of tensors, generators and switches. It changes nothing
//! and reads no element.

use crate::capture::draws::Item;
use crate::capture::endpoints::{CallerTensor, HistoryAfter, Lies, Returned, Source, Target, same_elements};
use crate::capture::layout::{Answer, ComputedLayout, Layout, Memory, RecordedLayouts, ViewStep};
use crate::error::{Error, Result};
use crate::mode::recorder::settings::HostValue;
use crate::ops::random::default_generator;
use crate::runtime::guards::Guard;
use crate::runtime::variant::Variant;
use crate::serialize::names::Names;
use crate::tensor::affine::Affine;
use crate::tensor::draw::Kind;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Flag, Generator, Tensor};
use allotrope_ir::passes::Pass;
use allotrope_ir::saved;
use allotrope_ir::{Dim, Graph, Type, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What variants capture, each thing once, in the order in which it is met.
#[derive(Default)]
pub(crate) struct CapturedState {
    pub(crate) tensors: Vec<Tensor>,
    by_id: HashMap<usize, usize>,
    pub(crate) generators: Vec<Generator>,
    flags: Vec<(Flag, bool)>,
}

impl CapturedState {
    fn tensor(&mut self, t: &Tensor) -> usize {
        *self.by_id.entry(t.id()).or_insert_with(|| {
            self.tensors.push(t.clone());
            self.tensors.len() - 1
        })
    }

    fn place(&mut self, t: &Tensor) -> saved::Place {
        saved::Place::Tensor(self.tensor(t))
    }

    /// None is the process's own.
    fn generator(&mut self, g: &Generator) -> saved::Generator {
        if g.is_same(default_generator()) {
            return None;
        }
        let known = self.generators.iter().position(|k| k.is_same(g));
        Some(known.unwrap_or_else(|| {
            self.generators.push(g.clone());
            self.generators.len() - 1
        }))
    }

    fn flag(&mut self, flag: &Flag) -> usize {
        let known = self.flags.iter().position(|(k, _)| k.is_same(flag));
        known.unwrap_or_else(|| {
            self.flags.push((flag.clone(), flag.peek()));
            self.flags.len() - 1
        })
    }
}

/// Everything but where elements lie.
///
/// # Errors
/// When two things were given one name, or a variant depends on what cannot be saved.
pub(crate) fn describe(variants: &[Arc<Variant>], names: &Names) -> Result<(saved::Program, CapturedState)> {
    let mut captured = CapturedState::default();
    for v in variants {
        if let Some(what) = unsayable(v) {
            return Err(Error::argument(format!(
                "save: a variant of the function cannot be written down, because {what}; make that an argument or a tensor"
            )));
        }
    }
    let mut variants: Vec<saved::Variant> = variants.iter().map(|v| variant(v, &mut captured)).collect();
    // Gradients are tensors that somebody else may hold too.
    let used = captured.tensors.len();
    let mut grads = HashMap::new();
    for i in 0..used {
        if let Some(grad) = captured.tensors[i].stored_grad() {
            grads.insert(i, captured.tensor(&grad));
        }
    }
    let mut taken = Taken::default();
    let tensor_names = tensor_names(&captured, used, &grads, names, &mut taken)?;
    for v in &mut variants {
        for (i, source) in v.inputs.iter().enumerate() {
            match source {
                saved::Source::Elements(saved::Place::Tensor(t)) => v.graph.rename_input(i, &tensor_names[*t]),
                saved::Source::Grad(saved::Place::Tensor(t)) => {
                    v.graph.rename_input(i, format!("{}.grad", tensor_names[*t]));
                }
                _ => {}
            }
        }
    }
    let generators = captured.generators.iter();
    let generators = generators.map(|g| names.generators.iter().find(|(_, n)| n.is_same(g)).map(|(name, _)| name));
    let generators = taken.all(generators, "generator")?;
    let flags = captured.flags.iter();
    let flag_names = flags.clone().map(|(f, _)| names.flags.iter().find(|(_, n)| n.is_same(f)).map(|(name, _)| name));
    let flag_names = taken.all(flag_names, "flag")?;
    let tensors = captured.tensors.iter().zip(tensor_names).enumerate().map(|(i, (t, name))| saved::Tensor {
        name,
        dtype: t.dtype(),
        shape: t.shape_hint().to_vec(),
        requires_grad: t.is_requires_grad(),
        history: !t.is_leaf_now(),
        grad: grads.get(&i).copied(),
        layout: None,
    });
    let program = saved::Program {
        tensors: tensors.collect(),
        generators,
        flags: flag_names.into_iter().zip(flags.map(|(_, on)| *on)).collect(),
        variants,
    };
    Ok((program, captured))
}

/// Names that are in use.
#[derive(Default)]
pub(crate) struct Taken(HashSet<String>);

impl Taken {
    /// The name, or it with a number where it is in use.
    fn free(&mut self, name: String) -> String {
        let mut numbered = (2..).map(|n| format!("{name}_{n}"));
        let mut candidate = name.clone();
        while !self.0.insert(candidate.clone()) {
            candidate = numbered.next().expect("numbers do not end");
        }
        candidate
    }

    fn given(&mut self, name: &str) -> Result<String> {
        match !name.is_empty() && self.0.insert(name.to_string()) {
            true => Ok(name.to_string()),
            false => {
                Err(Error::argument(format!("save: {name:?} names nothing, or two things; give each its own name")))
            }
        }
    }

    /// The given names; what has none is numbered.
    fn all<'a>(&mut self, given: impl Iterator<Item = Option<&'a String>>, otherwise: &str) -> Result<Vec<String>> {
        let given = given.map(|name| name.map(|n| self.given(n)).transpose()).collect::<Result<Vec<_>>>()?;
        let each = given.into_iter().enumerate();
        Ok(each.map(|(i, name)| name.unwrap_or_else(|| self.free(format!("{otherwise}{i}")))).collect())
    }
}

/// A name for each tensor; those from `used` on are gradients of others.
fn tensor_names(
    captured: &CapturedState,
    used: usize,
    grads: &HashMap<usize, usize>,
    names: &Names,
    taken: &mut Taken,
) -> Result<Vec<String>> {
    // The tensor itself first, then any view of just its elements.
    let mut named: HashMap<usize, &str> = HashMap::new();
    for exact in [true, false] {
        for (name, tensor) in &names.tensors {
            let same = |(i, t): &(usize, &Tensor)| {
                let elements = || tensor.strided().is_some() && same_elements(t, tensor);
                !named.contains_key(i) && if exact { t.is_same(tensor) } else { elements() }
            };
            let known = named.values().any(|n| n == name);
            let found = captured.tensors.iter().enumerate().find(same).map(|(i, _)| i);
            if let Some(i) = found
                && (exact || !known)
            {
                named.insert(i, name);
            }
        }
    }
    let mut out: Vec<Option<String>> = Vec::new();
    for i in 0..captured.tensors.len() {
        out.push(named.get(&i).map(|name| taken.given(name)).transpose()?);
    }
    for (i, name) in out[..used].iter_mut().filter(|name| name.is_none()).enumerate() {
        *name = Some(taken.free(format!("state{i}")));
    }
    let mut owners: Vec<(&usize, &usize)> = grads.iter().collect();
    owners.sort();
    for (owner, grad) in owners {
        if out[*grad].is_none() {
            let owner = out[*owner].clone().unwrap_or_default();
            out[*grad] = Some(taken.free(format!("{owner}.grad")));
        }
    }
    Ok(out.into_iter().map(Option::unwrap_or_default).collect())
}

/// Names for pieces of memory that tensors share.
pub(crate) fn memory_names(program: &saved::Program) -> impl FnMut() -> String + use<> {
    let tensors = program.tensors.iter().map(|t| t.name.clone());
    let mut taken = Taken(tensors.chain(program.generators.iter().cloned()).collect());
    let mut count = 0;
    move || {
        count += 1;
        taken.free(format!("shared{}", count - 1))
    }
}

/// Takes out of the graph what only backward passes from outside need, which is the closure's. Gives where the other outputs go.
fn without_saved_outputs(v: &Variant, graph: &mut Graph) -> Vec<Target> {
    let outputs: Vec<_> = graph.outputs().iter().cloned().zip(v.wiring().targets.iter().cloned()).collect();
    *graph = std::mem::take(graph).with_outputs([]);
    let mut targets = Vec::new();
    for (output, target) in outputs.into_iter().filter(|(_, t)| !matches!(t, Target::Save)) {
        match output.update {
            Some(input) => graph.update(input, output.value),
            None => graph.output(output.value),
        }
        targets.push(target);
    }
    targets
}

fn variant(v: &Variant, captured: &mut CapturedState) -> saved::Variant {
    // The file knows no options: a check that is not asked is not in it.
    let mut graph = match v.passes.contains(Pass::EliminateUnusedChecks) {
        true => Pass::EliminateUnusedChecks.run(v.captured()),
        false => v.captured().clone(),
    };
    let targets = without_saved_outputs(v, &mut graph);
    let input_of = |arg: usize| {
        let place = v.wiring().sources.iter().position(|s| matches!(s, Source::Arg(i) if *i == arg));
        let value = place.and_then(|i| graph.input_values().nth(i));
        value.map_or_else(|| Type::scalar(v.guards.args[arg].dtype), |value: Value| graph.ty(value).clone())
    };
    let argument = |(i, a): (usize, &crate::runtime::guards::ArgType)| saved::Argument {
        ty: input_of(a.same_as.unwrap_or(i)),
        requires_grad: a.requires_grad,
        contiguous: a.dense,
        strides: a.strides.as_ref().map(|s| s.to_vec()),
        same_as: a.same_as,
    };
    let arguments = v.guards.args.iter().enumerate().map(argument).collect();
    let sources = v.wiring().sources.iter().map(|s| match s {
        Source::Arg(i) => saved::Source::Elements(saved::Place::Argument(*i)),
        Source::State(t) => saved::Source::Elements(captured.place(t)),
        Source::Grad(t) => saved::Source::Grad(captured.place(t)),
        Source::ArgGrad(i) => saved::Source::Grad(saved::Place::Argument(*i)),
        Source::Draw => saved::Source::Draw,
        Source::Data(_) => unreachable!("bug in allotrope: data of one call is no input of a trace"),
        Source::Gradient => unreachable!("bug in allotrope: a gradient from outside is no input of the call"),
    });
    let inputs = sources.collect();
    let place = |t: &CallerTensor, captured: &mut CapturedState| match t {
        CallerTensor::Arg(i) => saved::Place::Argument(*i),
        CallerTensor::Captured(t) => captured.place(t),
    };
    let wiring = v.wiring();
    let computed = wiring.returned.iter().enumerate().filter(|(_, r)| matches!(r, Returned::Computed { .. }));
    let mut computed = computed.map(|(i, _)| i);
    let targets = targets.iter().map(|t| match t {
        Target::Save => unreachable!("bug in allotrope: what backward passes need was taken out"),
        Target::Return => saved::Target::Result(computed.next().unwrap_or(usize::MAX)),
        Target::State { tensor } => saved::Target::Elements(captured.place(tensor)),
        Target::Arg(i) => saved::Target::Elements(saved::Place::Argument(*i)),
        Target::Grad(t) => saved::Target::Grad(captured.place(t)),
        Target::ArgGrad(i) => saved::Target::Grad(saved::Place::Argument(*i)),
        Target::GradElements(of) => saved::Target::GradElements(place(of, captured)),
    });
    let outputs = targets.collect();
    let cleared = v.wiring().cleared.iter().map(|t| captured.place(t));
    let cleared = cleared.chain(v.wiring().cleared_args.iter().map(|&i| saved::Place::Argument(i))).collect();
    let histories = wiring.histories.iter().map(|(of, after)| {
        let after = match *after {
            HistoryAfter::Leaf(requires_grad) => saved::HistoryAfter::Leaf(requires_grad),
            HistoryAfter::Result => saved::HistoryAfter::Result,
        };
        (place(of, captured), after)
    });
    let histories = histories.collect();
    let returned = wiring.returned.iter().map(|r| match r.clone() {
        Returned::Computed { requires_grad, leaf } => saved::Returned::Computed { requires_grad, leaf },
        Returned::Same(t) => saved::Returned::Same(captured.place(&t)),
        Returned::Arg(i) => saved::Returned::Same(saved::Place::Argument(i)),
        Returned::Grad(of) => saved::Returned::Grad(place(&of, captured)),
        // What may be changed in place where is not in the file.
        Returned::View { of, steps, differentiable, creation: _, requires_grad, leaf } => {
            let steps = steps.iter().map(step).collect();
            saved::Returned::View { of, steps, differentiable, requires_grad, leaf }
        }
    });
    let returned = returned.collect();
    let grads = wiring.grads.iter().map(|(of, i)| (place(of, captured), *i)).collect();
    let results = wiring.results.clone();
    let recorded = &v.guards.layouts.recorded;
    let follows = recorded.computed.iter().map(|c| follows(c, recorded, captured)).collect();
    let laid_out = wiring.laid_out.iter().map(|o| {
        let strides = match &o.lies {
            Lies::As(layout) => {
                let (from, steps) = memory(layout, recorded, captured);
                saved::LaidOutAs::Memory(from, steps)
            }
            Lies::So(strides) => saved::LaidOutAs::Strides(strides.to_vec()),
        };
        saved::LaidOut { output: o.output, axes: o.axes.to_vec(), strides }
    });
    let laid_out = laid_out.collect();
    let draws = v.wiring().draws.items.iter().map(|d| draw(d, captured)).collect();
    let guards = guards(v, captured);
    let set = v.wiring().effects.iter().filter_map(|e| flag(&**e)).map(|(f, on)| (captured.flag(f), on)).collect();
    saved::Variant {
        arguments,
        guards,
        draws,
        orders: Vec::new(),
        follows,
        laid_out,
        inputs,
        outputs,
        cleared,
        histories,
        set,
        returned,
        results,
        grads,
        own_grads: wiring.own_grads.clone(),
        graph,
    }
}

fn guards(v: &Variant, captured: &mut CapturedState) -> Vec<saved::Guard> {
    let g = &v.guards;
    let mut out = vec![saved::Guard::GradEnabled(g.grad_enabled)];
    out.extend(g.state_flags.iter().map(|(t, on)| saved::Guard::RequiresGrad(captured.tensor(t), *on)));
    out.extend(g.grads.iter().map(|(t, some)| saved::Guard::HasGrad(captured.place(t), *some)));
    out.extend(g.arg_grads.iter().map(|(i, some)| saved::Guard::HasGrad(saved::Place::Argument(*i), *some)));
    out.extend(g.identities.iter().map(|(i, whose, same)| {
        let other = match whose {
            CallerTensor::Arg(j) => saved::Place::Argument(*j),
            CallerTensor::Captured(t) => captured.place(t),
        };
        saved::Guard::Same(*i, other, *same)
    }));
    let flags = g.host_values.iter().filter_map(|v| flag(&**v));
    out.extend(flags.map(|(flag, on)| saved::Guard::Flag(captured.flag(flag), on)));
    out.extend(g.sizes.iter().filter_map(|s| match s {
        Guard::AtLeast { dim, least } => Some(saved::Guard::Least(dim.clone(), *least)),
        // The others are in the types of the arguments.
        Guard::Size { .. } | Guard::Bind { .. } | Guard::Equal { .. } => None,
    }));
    let recorded = &g.layouts.recorded;
    out.extend(recorded.guards.iter().map(|guard| {
        let (from, steps) = memory(&guard.layout, recorded, captured);
        let answer = match &guard.answer {
            Answer::View(yes) => saved::Lies::Shared(*yes),
            Answer::Contiguous(yes) => saved::Lies::Contiguous(*yes),
            Answer::Begins(yes) => saved::Lies::Begins(*yes),
            Answer::Strides(strides) => saved::Lies::Strides(strides.to_vec()),
            Answer::Order(axes) => saved::Lies::Order(axes.to_vec()),
        };
        saved::Guard::Lies { from, steps, answer }
    }));
    out
}

/// The switch and the state that a value of the host is, if it is one.
fn flag(v: &dyn HostValue) -> Option<(&Flag, bool)> {
    v.setting().downcast_ref().zip(v.value().downcast_ref().copied())
}

/// What the variant depends on or does that has no words in the saved form.
fn unsayable(v: &Variant) -> Option<String> {
    if let Some(i) = v.guards.args.iter().position(|a| a.known.is_some()) {
        return Some(format!(
            "it stands for calls whose argument {i} is, or shares elements with, another tensor that the closure uses"
        ));
    }
    let mut all = v.guards.host_values.iter().chain(&v.wiring().effects);
    let other = all.find(|v| flag(&***v).is_none())?;
    Some(format!("it reads or sets, at {}, a Setting that is no Flag", other.place()))
}

fn draw(item: &Item, captured: &mut CapturedState) -> saved::Draw {
    match item {
        Item::Draw { generator, kind, input } => {
            let kind = distribution(kind);
            saved::Draw::Draw { input: *input, kind, generator: captured.generator(generator) }
        }
        Item::Seed { generator, seed } => saved::Draw::Seed { seed: *seed, generator: captured.generator(generator) },
        Item::Loop { length, reverse, items } => {
            let items = items.iter().map(|i| draw(i, captured)).collect();
            saved::Draw::Loop { length: length.clone(), reverse: *reverse, items }
        }
    }
}

fn distribution(kind: &Kind) -> saved::Distribution {
    use saved::Distribution as D;
    match *kind {
        Kind::Uniform { low, high } => D::Uniform { low, high },
        Kind::Normal { mean, std } => D::Normal { mean, std },
        Kind::NormalSerial { mean, std } => D::NormalSerial { mean, std },
        Kind::NormalHalves { mean, std } => D::NormalHalves { mean, std },
        Kind::Exponential { rate } => D::Exponential { rate },
        Kind::Integers { low, high } => D::Integers { low, high },
        Kind::Permutation => D::Permutation,
        Kind::Bernoulli { p } => D::Bernoulli { p },
        Kind::Whole { of } => D::Whole { of },
    }
}

fn follows(result: &ComputedLayout, recorded: &RecordedLayouts, captured: &mut CapturedState) -> saved::Follows {
    let rule = match result.rule {
        LayoutRule::Elementwise => saved::FollowRule::Elementwise,
        LayoutRule::Preserved => saved::FollowRule::Preserved,
        LayoutRule::Contiguous => saved::FollowRule::Contiguous,
        LayoutRule::Gradient => saved::FollowRule::Gradient,
        LayoutRule::RowMajor => unreachable!("bug in allotrope: what lies in row-major order follows nothing"),
    };
    let operands = result.operands.iter().map(|operand| match operand {
        None => saved::Followed::Number,
        Some(layout) => {
            let (from, steps) = memory(layout, recorded, captured);
            saved::Followed::Memory(from, steps)
        }
    });
    saved::Follows { rule, operands: operands.collect() }
}

fn memory(
    layout: &Layout,
    recorded: &RecordedLayouts,
    captured: &mut CapturedState,
) -> (saved::OrderOf, Vec<saved::OrderStep>) {
    let from = match &layout.memory {
        Memory::Fresh(shape) => saved::OrderOf::Fresh(shape.clone()),
        Memory::Input(i) => saved::OrderOf::Input(*i),
        Memory::Captured(i) => saved::OrderOf::Tensor(captured.tensor(&recorded.captured[*i])),
        Memory::Computed(i) => saved::OrderOf::Follows(*i),
    };
    let steps = layout.steps.iter().map(|s| match s {
        // How it lies does not depend on the place.
        ViewStep::View(ViewOp::Select { axis, .. }) => saved::OrderStep::Select { axis: *axis, at: 0 },
        ViewStep::View(op) => step(op),
        ViewStep::Element => saved::OrderStep::Element,
    });
    (from, steps.collect())
}

fn step(op: &ViewOp<Dim>) -> saved::OrderStep {
    match op {
        ViewOp::Primitive(op) => saved::OrderStep::View(op.clone()),
        ViewOp::Affine(Affine { sizes, steps, offset, .. }) => {
            saved::OrderStep::Strided { sizes: sizes.iter().cloned().collect(), steps: steps.to_vec(), offset: *offset }
        }
        ViewOp::Memory { len, places: Affine { sizes, steps, offset, .. } } => saved::OrderStep::Memory {
            len: len.clone(),
            sizes: sizes.iter().cloned().collect(),
            steps: steps.to_vec(),
            offset: *offset,
        },
        ViewOp::Select { axis, at } => saved::OrderStep::Select { axis: *axis, at: *at },
    }
}
