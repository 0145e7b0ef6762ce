//! The guards of a variant: what must hold for a call to run its code, and what does not where one fails, in words.
//! Checking changes nothing.

use crate::autograd::is_grad_enabled;
use crate::capture::captured::{Captured, Wiring};
use crate::capture::endpoints::{CallerTensor, HistoryAfter, Lies, OutputLayout, Source, Target, same_elements};
use crate::capture::layout::{CallTensors, RecordedLayouts, inputs_of};
use crate::capture::recorder::is_watched;
use crate::capture::symbols::Binding;
use crate::device::{Device, default_device};
use crate::mode::recorder::settings::HostValue;
use crate::runtime::capacity::Capacities;
use crate::runtime::sharing::{ArgumentPlan, Given, Shared, Sharing};
use crate::tensor::handle::TraceHandle;
use crate::tensor::strides::is_plain;
use crate::tensor::{Strides, Tensor};
use allotrope_ir::{DType, Dim};
use smallvec::SmallVec;
use std::sync::Arc;

/// One thing that must hold of the sizes.
pub(crate) enum Guard {
    /// The axis has this size, because of what the program asked for.
    Size { arg: usize, axis: usize, value: usize, why: Option<String> },
    /// The axis gives symbol `sym` its number.
    Bind { arg: usize, axis: usize, sym: usize },
    /// The axis has the size that the expression gives.
    Equal { arg: usize, axis: usize, dim: Dim },
    /// The expression is at least this.
    AtLeast { dim: Dim, least: usize },
}

/// What is fixed about an argument.
pub(crate) struct ArgType {
    pub(crate) dtype: DType,
    pub(crate) rank: usize,
    pub(crate) requires_grad: bool,
    /// Whether it is a leaf, and whether somebody looks at its gradient on the way, where the program depends on that.
    pub(crate) history: Option<(bool, bool)>,
    /// Whether it lies in row-major order, where the program changes it in place.
    pub(crate) dense: Option<bool>,
    /// How it lies, where an older saved function depends on that.
    pub(crate) strides: Option<Strides>,
    /// The argument before it that is the same tensor, where that matters: it has one gradient then, not two.
    pub(crate) same_as: Option<usize>,
    /// The tensor that it is, where it is known by identity.
    pub(crate) known: Option<KnownArgument>,
}

/// An argument that shares its elements with something else that the program uses.
pub(crate) struct KnownArgument {
    tensor: TraceHandle,
    /// Whether any other tensor does that shows the same elements in the same way: there is no more to it.
    elements: bool,
}

impl KnownArgument {
    fn is(&self, a: &Tensor) -> bool {
        self.tensor.id() == a.id() || (self.elements && same_elements(&self.tensor, a))
    }

    /// Whether no call can give the tensor again.
    fn is_void(&self) -> bool {
        !self.elements && !self.tensor.is_in_use()
    }
}

/// The captured tensors that a call changes into results.
fn results_of(wiring: &Wiring) -> impl Iterator<Item = &TraceHandle> {
    wiring.histories.iter().filter_map(|change| match change {
        (CallerTensor::Captured(t), HistoryAfter::Result) => Some(t),
        (CallerTensor::Arg(_), _) | (_, HistoryAfter::Leaf(_)) => None,
    })
}

fn history(a: &Tensor) -> (bool, bool) {
    if a.is_requires_grad() { (a.is_leaf_now(), is_watched(a)) } else { (a.view_assignable().is_ok(), false) }
}

/// Everything that the capture of a variant dependencies on.
#[derive(Default)]
pub(crate) struct Guards {
    /// Where every call is recorded, how many things a recording asks that it stands for; nothing else matters then.
    recorded: Option<usize>,
    /// Where the code runs, as the arguments do.
    device: Device,
    pub(crate) args: Vec<ArgType>,
    pub(crate) sizes: Vec<Guard>,
    symbols: usize,
    /// Symbols that no argument has.
    pub(crate) capacities: Capacities,
    /// Whether a captured tensor needs a gradient, for those that the program reads.
    pub(crate) state_flags: Vec<(TraceHandle, bool)>,
    /// Whether a captured tensor is a leaf, for those that a call changes into results.
    pub(crate) leaves: Vec<(TraceHandle, bool)>,
    /// Whether an argument is a view, where the program asks.
    views: Vec<(usize, bool)>,
    /// Whether an argument is another tensor too, where the program asks.
    pub(crate) identities: Vec<(usize, CallerTensor, bool)>,
    /// Handles of captured tensors that somebody held, the closure or whoever gave them to it.
    captured: Vec<TraceHandle>,
    /// What must be apart.
    sharing: Sharing,
    /// Gradients that are known by identity, and whose they are.
    known_grads: Vec<(CallerTensor, TraceHandle)>,
    /// Whether a captured tensor has a gradient when a call begins.
    pub(crate) grads: Vec<(TraceHandle, bool)>,
    /// The same for arguments, by number.
    pub(crate) arg_grads: Vec<(usize, bool)>,
    pub(crate) host_values: Vec<Arc<dyn HostValue>>,
    pub(crate) layouts: Layouts,
    pub(crate) grad_enabled: bool,
}

/// Strides of tensors that a call hands out, where they are not just those of row-major order.
pub(crate) type HandedStrides = SmallVec<[Option<Strides>; 4]>;

/// What must be decided by how tensors lie.
#[derive(Default)]
pub(crate) struct Layouts {
    pub(crate) recorded: RecordedLayouts,
    /// Where the inputs come from, if there is anything to ask.
    sources: Vec<Source>,
    /// The inputs that the usual guards and the layouts of results depend on, where these are the usual ones.
    inputs: Vec<usize>,
    /// How many guards hold where those lie in row-major order.
    usual: usize,
}

impl Layouts {
    fn new(captured: &Captured) -> Layouts {
        let recorded = captured.dependencies.layouts.clone();
        let handed = &captured.wiring.laid_out;
        if recorded.guards.is_empty() && handed.is_empty() {
            return Layouts::default();
        }
        let handed = handed.iter().filter(|o| o.usual).filter_map(|o| match &o.lies {
            Lies::As(layout) => Some(layout),
            Lies::So(_) => None,
        });
        let computed = inputs_of(&recorded.computed);
        let usual = recorded.guards.iter().take_while(|g| g.usual).count();
        let mut inputs = Vec::new();
        let asked = recorded.guards[..usual].iter().map(|g| &g.layout).chain(handed);
        asked.for_each(|layout| layout.inputs(&computed, &mut inputs));
        Layouts { recorded, sources: captured.wiring.sources.clone(), inputs, usual }
    }

    fn given<'a>(&'a self, args: &'a [&'a Tensor]) -> CallTensors<'a> {
        CallTensors { sources: &self.sources, args, captured: &self.recorded.captured, computed: &[] }
    }

    /// Whether all that the usual guards depend on lies in row-major order.
    fn are_usual(&self, given: &CallTensors<'_>) -> bool {
        self.inputs.iter().all(|&i| given.input(i, |t| is_plain(t.shape_hint(), t.laid_out())))
    }

    /// The first guard that a call does not meet.
    fn unmet(&self, args: &[&Tensor], binding: &Binding) -> Option<usize> {
        let RecordedLayouts { guards, computed, .. } = &self.recorded;
        let given = self.given(args);
        let from = if self.are_usual(&given) { self.usual } else { 0 };
        if from == guards.len() {
            return None;
        }
        let computed = given.follow(computed, binding);
        let given = CallTensors { computed: &computed, ..given };
        (from..guards.len()).find(|&i| !guards[i].holds(&given, binding))
    }

    /// The strides in a call that meets the guards of what it hands out; none stands for those of its order.
    pub(crate) fn handed_out(&self, out: &[OutputLayout], args: &[&Tensor], binding: &Binding) -> HandedStrides {
        let given = self.given(args);
        let usual = self.are_usual(&given) && out.iter().all(|o| o.usual);
        let computed = if usual { Vec::new() } else { given.follow(&self.recorded.computed, binding) };
        let given = CallTensors { computed: &computed, ..given };
        let strides = |o: &OutputLayout| match &o.lies {
            Lies::So(strides) => Some(strides.clone()),
            Lies::As(_) if usual => None,
            Lies::As(layout) => Some(layout.strides(&given, binding)),
        };
        out.iter().map(strides).collect()
    }
}

/// A value that a guard was made for.
pub(crate) enum Met {
    Size(usize),
    Host(Arc<dyn HostValue>),
    /// Another tensor.
    Other,
}

impl Met {
    pub(crate) fn is_same(&self, other: &Met) -> bool {
        match (self, other) {
            (Met::Size(a), Met::Size(b)) => a == b,
            (Met::Host(a), Met::Host(b)) => a.is_same(&**b),
            _ => false,
        }
    }
}

/// The first guard that a call does not meet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mismatch {
    Count,
    DType(usize),
    Rank(usize),
    Device(usize),
    RequiresGrad(usize),
    History(usize),
    Layout(usize),
    SameAs(usize),
    Known(usize),
    View(usize),
    Shared(Option<usize>),
    Identity(usize),
    GradMode,
    Freed(usize),
    StateFlag(usize),
    Leaf(usize),
    Grad(usize),
    ArgGrad(usize),
    HostValue(usize),
    Size(usize),
    Decision(usize),
}

impl Guards {
    /// The guards of what was captured with these arguments.
    pub(crate) fn new(captured: &Captured, args: &[&Tensor], plan: &ArgumentPlan, sharing: Sharing) -> Guards {
        let dependencies = &captured.dependencies;
        let known = |a: &Tensor| {
            let has_gradient = |t: &&TraceHandle| t.id() == a.id();
            let grads = dependencies.grads.iter().map(|(t, _)| t).chain(&captured.wiring.cleared);
            let set = captured.wiring.targets.iter().any(|t| matches!(t, Target::Grad(t) if t.id() == a.id()));
            let given =
                captured.wiring.grads.iter().any(|(t, _)| matches!(t, CallerTensor::Captured(t) if t.id() == a.id()));
            let grads = set || given || grads.into_iter().any(|t| has_gradient(&t));
            let asked = dependencies.compared.contains(&a.id());
            let is_grad = dependencies.known_grads.iter().any(|(_, g)| g.id() == a.id());
            let is_it = |t: &CallerTensor| matches!(t, CallerTensor::Captured(t) if t.id() == a.id());
            let changed = captured.wiring.histories.iter().any(|(t, _)| is_it(t));
            let elements = !(a.is_requires_grad() || grads || asked || is_grad || changed);
            KnownArgument { tensor: TraceHandle::new(a.clone()), elements }
        };
        let changed = |i: usize| captured.wiring.targets.iter().any(|t| matches!(t, Target::Arg(j) if *j == i));
        let arg = |(i, a): (usize, &&Tensor)| ArgType {
            dtype: a.dtype(),
            rank: a.dim(),
            requires_grad: a.is_requires_grad(),
            history: dependencies.asked.contains(&i).then(|| history(a)),
            dense: changed(i).then(|| a.is_contiguous()),
            strides: None,
            same_as: if let Given::SameAs(first) = plan.given[i] { Some(first) } else { None },
            known: (plan.given[i] == Given::Captured).then(|| known(a)),
        };
        let flag = |s: &Source| match s {
            Source::State(t) => Some((t.clone(), t.is_requires_grad())),
            _ => None,
        };
        let mut state_flags: Vec<(TraceHandle, bool)> = captured.wiring.sources.iter().filter_map(flag).collect();
        for (t, on) in &dependencies.requires_grad {
            if !state_flags.iter().any(|(known, _)| known.id() == t.id()) {
                state_flags.push((t.clone(), *on));
            }
        }
        let given: Vec<ArgType> = args.iter().enumerate().map(arg).collect();
        let mut guards = Guards::of(captured, given, state_flags, is_grad_enabled(), sharing);
        // An argument is held by who gives it.
        guards.leaves = results_of(&captured.wiring).map(|t| (t.clone(), t.is_leaf_now())).collect();
        let captured = dependencies.touched.iter().filter(|t| !args.iter().any(|a| a.id() == t.id()));
        guards.captured = captured.filter(|t| t.is_in_use()).cloned().collect();
        guards
    }

    /// The guards of what was captured with arguments like these, captured tensors like these and gradients enabled
    /// or not.
    pub(crate) fn of(
        captured: &Captured,
        args: Vec<ArgType>,
        state_flags: Vec<(TraceHandle, bool)>,
        grad_enabled: bool,
        sharing: Sharing,
    ) -> Guards {
        let (sizes, symbols) = sizes(captured);
        let dependencies = &captured.dependencies;
        Guards {
            recorded: None,
            device: captured.device,
            args,
            sizes,
            symbols,
            capacities: Capacities::new(&captured.symbols.capacities),
            state_flags,
            leaves: Vec::new(),
            views: dependencies.views.clone(),
            identities: dependencies.identities.clone(),
            captured: Vec::new(),
            sharing,
            known_grads: dependencies.known_grads.clone(),
            grads: dependencies.grads.clone(),
            arg_grads: dependencies.arg_grads.clone(),
            host_values: dependencies.host_values.clone(),
            layouts: Layouts::new(captured),
            grad_enabled,
        }
    }

    /// That a recording asks for the same things, so many of them.
    pub(crate) fn recorded(captured: &Captured, asked: usize) -> Guards {
        let (_, symbols) = sizes(captured);
        Guards {
            recorded: Some(asked),
            device: captured.device,
            symbols,
            capacities: Capacities::new(&captured.symbols.capacities),
            ..Guards::default()
        }
    }

    /// The binding of a recording in which the symbols have these numbers.
    pub(crate) fn binding(&self, numbers: &[usize]) -> Binding {
        let mut binding: Binding = numbers.iter().take(self.symbols).copied().collect();
        self.capacities.bind(&mut binding);
        binding
    }

    /// The numbers of the symbols, if the variant stands for a call with these arguments.
    ///
    /// # Errors
    /// The first guard that does not hold.
    pub(crate) fn check(&self, args: &[&Tensor]) -> Result<Binding, Mismatch> {
        let holds = |yes: bool, otherwise: Mismatch| if yes { Ok(()) } else { Err(otherwise) };
        holds(args.len() == self.args.len(), Mismatch::Count)?;
        holds(!args.is_empty() || default_device() == self.device, Mismatch::Device(0))?;
        for (i, (a, ty)) in args.iter().zip(&self.args).enumerate() {
            holds(a.dtype() == ty.dtype, Mismatch::DType(i))?;
            holds(a.dim() == ty.rank, Mismatch::Rank(i))?;
            holds(a.device() == self.device, Mismatch::Device(i))?;
            holds(a.is_requires_grad() == ty.requires_grad, Mismatch::RequiresGrad(i))?;
            holds(ty.dense.is_none_or(|dense| dense == a.is_contiguous()), Mismatch::Layout(i))?;
            holds(ty.strides.as_ref().is_none_or(|s| **s == *a.laid_out()), Mismatch::Layout(i))?;
            holds(ty.history.is_none_or(|h| h == history(a)), Mismatch::History(i))?;
            holds(ty.same_as.is_none_or(|first| args[first].id() == a.id()), Mismatch::SameAs(i))?;
            holds(ty.known.as_ref().is_none_or(|known| known.is(a)), Mismatch::Known(i))?;
        }
        self.sharing.check(args).map_err(|shared| match shared {
            Shared::Argument(i, _) => Mismatch::Shared(Some(i)),
            Shared::Memory(_) => Mismatch::Shared(None),
        })?;
        for (of, grad) in &self.known_grads {
            holds(of.of(args).stored_grad().is_some_and(|g| g.id() == grad.id()), Mismatch::Shared(None))?;
        }
        for (i, is_view) in &self.views {
            holds(args[*i].view_of().is_some() == *is_view, Mismatch::View(*i))?;
        }
        for (i, whose, same) in &self.identities {
            let other = match whose {
                CallerTensor::Arg(j) => args[*j].id(),
                CallerTensor::Captured(t) => t.id(),
            };
            holds((args[*i].id() == other) == *same, Mismatch::Identity(*i))?;
        }
        holds(self.grad_enabled == is_grad_enabled(), Mismatch::GradMode)?;
        let first = |found: Option<usize>, of: fn(usize) -> Mismatch| found.map_or(Ok(()), |i| Err(of(i)));
        first(self.captured.iter().position(|t| !t.is_in_use()), Mismatch::Freed)?;
        first(self.state_flags.iter().position(|(t, on)| t.is_requires_grad() != *on), Mismatch::StateFlag)?;
        first(self.leaves.iter().position(|(t, leaf)| t.is_leaf_now() != *leaf), Mismatch::Leaf)?;
        first(self.grads.iter().position(|(t, some)| t.has_grad() != *some), Mismatch::Grad)?;
        first(self.arg_grads.iter().position(|(i, some)| args[*i].has_grad() != *some), Mismatch::ArgGrad)?;
        first(self.host_values.iter().position(|v| !v.holds()), Mismatch::HostValue)?;
        let binding = self.bind(args)?;
        first(self.layouts.unmet(args, &binding), Mismatch::Decision)?;
        Ok(binding)
    }

    /// The numbers of the symbols for these arguments, if every guard on sizes holds.
    fn bind(&self, args: &[&Tensor]) -> Result<Binding, Mismatch> {
        let mut binding = Binding::from_elem(0, self.symbols);
        self.capacities.bind(&mut binding);
        for (i, g) in self.sizes.iter().enumerate() {
            let holds = match g {
                Guard::Size { arg, axis, value, .. } => args[*arg].shape_hint()[*axis] == *value,
                Guard::Bind { arg, axis, sym } => {
                    binding[*sym] = args[*arg].shape_hint()[*axis];
                    true
                }
                Guard::Equal { arg, axis, dim } => dim.eval(&binding) == args[*arg].shape_hint()[*axis],
                Guard::AtLeast { dim, least } => dim.eval(&binding) >= *least,
            };
            if !holds {
                return Err(Mismatch::Size(i));
            }
        }
        Ok(binding)
    }

    /// Whether no call can meet the guards any more: a captured tensor is gone.
    pub(crate) fn are_void(&self) -> bool {
        let known = self.args.iter().filter_map(|a| a.known.as_ref());
        self.captured.iter().any(|t| !t.is_in_use()) || known.into_iter().any(KnownArgument::is_void)
    }

    /// What may take one more value on each call, each with the place in the program, the value that it has here, and what
    /// to do where there are many.
    pub(crate) fn values(&self) -> impl Iterator<Item = (String, Met, &'static str)> {
        let sizes = self.sizes.iter().filter_map(|g| match g {
            Guard::Size { arg, axis, value, why: Some(why) } => Some((
                format!("axis {axis} of argument {arg}: {why}"),
                Met::Size(*value),
                "keep the size symbolic: sizes() and has_size() instead of shape(), reshape(&[-1, n]), mean(), scan() \
                 instead of a Rust loop; or pad the data to a few sizes",
            )),
            _ => None,
        });
        let host_values = self.host_values.iter().map(|v| {
            let what = format!("{} read at {}", v.name(), v.place());
            (what, Met::Host(Arc::clone(v)), "keep a number that changes often in a tensor")
        });
        sizes.chain(host_values)
    }

    /// What did not hold, in words.
    pub(crate) fn words(&self, mismatch: Mismatch, args: &[&Tensor]) -> String {
        let wants = |on: bool| if on { "needs a gradient" } else { "needs no gradient" };
        let has = |on: bool| if on { "has a gradient" } else { "has no gradient" };
        match mismatch {
            Mismatch::Count => format!("{} arguments, not {}", args.len(), self.args.len()),
            Mismatch::DType(i) => format!("argument {i} is {}, not {}", args[i].dtype(), self.args[i].dtype),
            Mismatch::Rank(i) => format!("argument {i} has {} axes, not {}", args[i].dim(), self.args[i].rank),
            Mismatch::Device(i) => {
                let device = args.get(i).map_or_else(default_device, |a| a.device());
                format!("argument {i} is on {device}, not on {}", self.device)
            }
            Mismatch::RequiresGrad(i) => format!("argument {i} now {}", wants(args[i].is_requires_grad())),
            Mismatch::History(i) => {
                let (leaf, watched) = history(args[i]);
                let what = match (leaf, args[i].is_requires_grad()) {
                    (true, true) => "is a leaf",
                    (false, true) => "has a history",
                    (true, false) => "is no view of a leaf that requires a gradient",
                    (false, false) => "is a view of a leaf that requires a gradient",
                };
                format!(
                    "argument {i} now {what}{}",
                    if watched { ", and its gradient has hooks or is kept" } else { "" }
                )
            }
            Mismatch::Layout(i) => format!("argument {i} lies otherwise in memory"),
            Mismatch::SameAs(i) | Mismatch::Identity(i) => {
                format!("argument {i} is now the same tensor as another argument or a captured one, or no longer is")
            }
            Mismatch::View(i) => format!("argument {i} is now a view, or no longer is one"),
            Mismatch::Known(i) => {
                format!("argument {i} is another tensor than one that shares its elements with what the closure uses")
            }
            Mismatch::Shared(Some(i)) => {
                format!("argument {i} is, or shares elements with, another tensor that the closure uses")
            }
            Mismatch::Shared(None) => {
                "a gradient is, or shares elements with, another tensor that the closure uses".to_string()
            }
            Mismatch::GradMode => format!("gradients are {}", if is_grad_enabled() { "enabled" } else { "disabled" }),
            Mismatch::Freed(i) => format!(
                "a captured tensor of shape {:?} is held by nobody any more, so the closure now reads another one",
                self.captured[i].shape_hint()
            ),
            Mismatch::StateFlag(i) => {
                let (t, on) = &self.state_flags[i];
                format!("a captured tensor of shape {:?} now {}", t.shape_hint(), wants(!on))
            }
            Mismatch::Leaf(i) => {
                let (t, leaf) = &self.leaves[i];
                let now = if *leaf { "has a history" } else { "is a leaf" };
                format!("a captured tensor of shape {:?} now {now}", t.shape_hint())
            }
            Mismatch::Grad(i) => {
                let (t, some) = &self.grads[i];
                format!("a captured tensor of shape {:?} now {}", t.shape_hint(), has(!some))
            }
            Mismatch::ArgGrad(i) => format!("argument {} now {}", self.arg_grads[i].0, has(!self.arg_grads[i].1)),
            Mismatch::HostValue(i) => {
                let v = &self.host_values[i];
                format!("{} read at {} has another value", v.name(), v.place())
            }
            Mismatch::Decision(i) => {
                let Layouts { recorded, sources, .. } = &self.layouts;
                format!("it is not so that {}", recorded.guards[i].words(sources, &recorded.computed))
            }
            Mismatch::Size(i) => {
                let of = |arg: &usize, axis: &usize| args[*arg].shape_hint()[*axis];
                match &self.sizes[i] {
                    Guard::Size { arg, axis, value, why } => {
                        let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                        format!("axis {axis} of argument {arg} is {}, not {value}{why}", of(arg, axis))
                    }
                    Guard::Bind { .. } => unreachable!("bug in allotrope: a binding cannot fail"),
                    Guard::Equal { arg, axis, dim } => {
                        format!("axis {axis} of argument {arg} is {}, not {dim}", of(arg, axis))
                    }
                    Guard::AtLeast { dim, least } => format!("{dim} is less than {least}"),
                }
            }
        }
    }
}

impl std::fmt::Display for Guards {
    /// One line for each.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(asked) = self.recorded {
            return writeln!(
                f,
                "the closure does the same as when it was recorded, {asked} things one after the other"
            );
        }
        for (i, a) in self.args.iter().enumerate() {
            let grad = match (a.requires_grad, a.history) {
                (false, _) => "",
                (true, None) => ", needs a gradient",
                (true, Some((true, false))) => ", needs a gradient and is a leaf",
                (true, Some((true, true))) => ", needs a gradient, is a leaf and has hooks on it",
                (true, Some((false, false))) => ", needs a gradient and has a history",
                (true, Some((false, true))) => ", needs a gradient, has a history and hooks on it",
            };
            let dense = match a.dense {
                Some(true) => ", contiguous",
                Some(false) => ", not contiguous",
                None => "",
            };
            let same = a.same_as.map_or_else(String::new, |j| format!(", the same tensor as argument {j}"));
            let known = if a.known.is_some() {
                ", the tensor that it was, which shares elements with what the closure uses"
            } else {
                ""
            };
            writeln!(f, "argument {i}: {} with {} axes{grad}{dense}{same}{known}", a.dtype, a.rank)?;
        }
        for g in &self.sizes {
            match g {
                Guard::Size { arg, axis, value, why } => {
                    let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                    writeln!(f, "axis {axis} of argument {arg} is {value}{why}")?;
                }
                Guard::Bind { arg, axis, sym } => writeln!(f, "axis {axis} of argument {arg} is s{sym}, any size")?,
                Guard::Equal { arg, axis, dim } => writeln!(f, "axis {axis} of argument {arg} is {dim}")?,
                Guard::AtLeast { dim, least } => writeln!(f, "{dim} is at least {least}")?,
            }
        }
        let Layouts { recorded, sources, .. } = &self.layouts;
        let mut layouts = recorded.guards.iter();
        layouts.try_for_each(|guard| writeln!(f, "{}", guard.words(sources, &recorded.computed)))?;
        writeln!(f, "gradients are {}", if self.grad_enabled { "enabled" } else { "disabled" })?;
        let wanting = self.state_flags.iter().filter(|(_, on)| *on).count();
        if !self.state_flags.is_empty() {
            writeln!(f, "{wanting} of {} captured tensors need gradients", self.state_flags.len())?;
        }
        let having = |of: usize, all: usize, what: &str| match all {
            0 => String::new(),
            _ => format!("{of} of {all} {what} have gradients when a call begins\n"),
        };
        let (all, some) = (self.grads.len(), self.grads.iter().filter(|(_, some)| *some).count());
        f.write_str(&having(some, all, "captured tensors"))?;
        let (all, some) = (self.arg_grads.len(), self.arg_grads.iter().filter(|(_, some)| *some).count());
        f.write_str(&having(some, all, "arguments"))?;
        // Several values may be read at one place.
        let mut told: Vec<(String, usize)> = Vec::new();
        for v in &self.host_values {
            let text = format!("{} read at {}", v.name(), v.place());
            match told.iter_mut().find(|(t, _)| *t == text) {
                Some((_, times)) => *times += 1,
                None => told.push((text, 1)),
            }
        }
        told.into_iter().try_for_each(|(text, times)| match times {
            1 => writeln!(f, "{text} is as it was"),
            _ => writeln!(f, "{text}: all {times} are as they were"),
        })
    }
}

/// The guards on sizes, bindings before what is computed from them, and the number of symbols.
fn sizes(captured: &Captured) -> (Vec<Guard>, usize) {
    let graph = &captured.graph;
    let mut bound = std::collections::HashSet::new();
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for (source, value) in captured.wiring.sources.iter().zip(graph.input_values()) {
        let Source::Arg(arg) = *source else { continue };
        for (axis, dim) in graph.ty(value).shape.iter().enumerate() {
            match (dim.as_fixed(), dim.as_sym()) {
                (Some(value), _) => {
                    let why = captured.symbols.reason_of(arg, axis).map(|s| format!("{} at {}", s.why, s.at));
                    first.push(Guard::Size { arg, axis, value, why });
                }
                (_, Some(s)) if bound.insert(s) => first.push(Guard::Bind { arg, axis, sym: s.0 as usize }),
                _ => later.push(Guard::Equal { arg, axis, dim: dim.clone() }),
            }
        }
    }
    later.extend(captured.symbols.least.iter().filter_map(|(dim, least)| match dim.as_fixed() {
        Some(_) => None,
        None => Some(Guard::AtLeast { dim: dim.clone(), least: *least }),
    }));
    first.extend(later);
    let symbols = graph.symbols().last().map_or(0, |s| s.0 as usize + 1);
    (first, symbols.max(bound.iter().map(|s| s.0 as usize + 1).max().unwrap_or(0)))
}
