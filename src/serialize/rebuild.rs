//! A saved function made again: tensors, generators and switches in place of names, and compiled variants over them. What
//! it is given has passed the checks of the text form; what only memory can say is checked here.

use crate::autograd::ended::ended;
use crate::capture::captured::{Captured, Dependencies, Wiring};
use crate::capture::draws::{Draws, Fills, Item};
use crate::capture::endpoints::{CallerTensor, HistoryAfter, Lies, OutputLayout, Returned, Source, Target};
use crate::capture::layout::{Answer, ComputedLayout, Layout, LayoutGuard, Memory, RecordedLayouts, ViewStep};
use crate::capture::symbols::Symbols;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::ops::random::default_generator;
use crate::runtime::guards::{ArgType, Guards};
use crate::runtime::sharing::{Given, Sharing};
use crate::runtime::variant::{TraceOptions, Variant};
use crate::serialize::files::Fault;
use crate::serialize::memory;
use crate::tensor::affine::Affine;
use crate::tensor::draw::Kind;
use crate::tensor::grad_fn::{Edge, next_seq};
use crate::tensor::handle::TraceHandle;
use crate::tensor::result_layout::LayoutRule;
use crate::tensor::view::Creation;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Flag, Generator, Strides, Tensor, eval};
use allotrope_ir::{Dim, Sym, saved};
use smallvec::{SmallVec, smallvec};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// What names of a saved function stand for now.
pub(crate) struct LoadedState {
    pub(crate) device: Device,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) generators: Vec<Generator>,
    pub(crate) flags: Vec<Flag>,
}

impl LoadedState {
    /// Takes the tensors to a device, before anything else is made of them.
    ///
    /// # Errors
    /// When it is missing, or has no room for them.
    pub(crate) fn send(&mut self, device: Device) -> Result<()> {
        self.tensors = memory::sent(&self.tensors, device)?;
        self.device = device;
        Ok(())
    }

    /// Gives the tensors what is theirs beside elements.
    pub(crate) fn settle(&self, program: &saved::Program) {
        for (t, described) in self.tensors.iter().zip(&program.tensors) {
            t.store_grad(described.grad.map(|g| self.tensors[g].clone()));
            match described.history {
                true => t.set_grad_fn(Some(history_ended(next_seq()))),
                false => t.set_requires_grad(described.requires_grad),
            }
        }
    }

    fn tensor(&self, i: usize) -> Tensor {
        self.tensors[i].clone()
    }

    fn handle(&self, i: usize) -> TraceHandle {
        TraceHandle::new(self.tensor(i))
    }

    fn generator(&self, g: saved::Generator) -> Generator {
        g.map_or_else(|| default_generator().clone(), |i| self.generators[i].clone())
    }

    /// The variant, compiled.
    ///
    /// # Errors
    /// When it would change elements that another of its inputs shows, or code cannot be generated.
    pub(crate) fn variant(&self, v: &saved::Variant) -> Result<Variant> {
        self.check_writes(v).map_err(|f| Error::argument(f.message))?;
        let sources: Vec<Source> = v.inputs.iter().map(|s| self.source(*s)).collect();
        let items = v.draws.iter().map(|d| self.draw(d)).collect::<Result<Vec<_>>>()?;
        let mut layouts = RecordedLayouts::default();
        for f in &v.follows {
            let computed = self.follows(f, &mut layouts.captured);
            layouts.computed.push(computed);
        }
        let mut symbols = Symbols::default();
        let of_arguments = |s: &Sym| v.arguments.iter().any(|a| a.ty.shape.iter().any(|d| d.as_sym() == Some(*s)));
        symbols.capacities = v.graph.capacities().into_iter().filter(|s| !of_arguments(s)).collect();
        let mut captured_grads = (Vec::new(), Vec::new());
        let (mut state_flags, mut host_values, mut grad_enabled) = (Vec::new(), Vec::new(), true);
        for guard in &v.guards {
            match guard {
                saved::Guard::GradEnabled(on) => grad_enabled = *on,
                saved::Guard::RequiresGrad(t, on) => state_flags.push((self.handle(*t), *on)),
                saved::Guard::HasGrad(saved::Place::Tensor(t), some) => captured_grads.0.push((self.handle(*t), *some)),
                saved::Guard::HasGrad(saved::Place::Argument(i), some) => captured_grads.1.push((*i, *some)),
                saved::Guard::Flag(f, on) => host_values.push(self.flags[*f].read_as(*on)),
                saved::Guard::Same(..) => {}
                saved::Guard::Least(dim, least) => symbols.least.push((dim.clone(), *least)),
                saved::Guard::Lies { from, steps, answer } => {
                    let answer = match answer {
                        saved::Lies::Shared(yes) => Answer::View(*yes),
                        saved::Lies::Contiguous(yes) => Answer::Contiguous(*yes),
                        saved::Lies::Begins(yes) => Answer::Begins(*yes),
                        saved::Lies::Strides(strides) => Answer::Strides(Strides::from_slice(strides)),
                        saved::Lies::Order(axes) => Answer::Order(axes.iter().copied().collect()),
                    };
                    let layout = self.layout(from, steps, &mut layouts.captured);
                    layouts.guards.push(LayoutGuard { layout, answer, usual: false });
                }
            }
        }
        v.orders.iter().for_each(|o| self.order(o, &mut layouts));
        let laid_out = v.laid_out.iter().map(|o| OutputLayout {
            output: o.output,
            axes: o.axes.iter().copied().collect(),
            lies: match &o.strides {
                saved::LaidOutAs::Strides(strides) => Lies::So(Strides::from_slice(strides)),
                saved::LaidOutAs::Memory(from, steps) => Lies::As(self.layout(from, steps, &mut layouts.captured)),
            },
            usual: false,
        });
        let laid_out = laid_out.collect();
        let identities = v.guards.iter().filter_map(|guard| match guard {
            saved::Guard::Same(i, saved::Place::Argument(j), same) => Some((*i, CallerTensor::Arg(*j), *same)),
            saved::Guard::Same(i, saved::Place::Tensor(t), same) => {
                Some((*i, CallerTensor::Captured(self.handle(*t)), *same))
            }
            _ => None,
        });
        let (mut cleared, mut cleared_args) = (Vec::new(), Vec::new());
        for c in &v.cleared {
            match c {
                saved::Place::Tensor(t) => cleared.push(self.handle(*t)),
                saved::Place::Argument(i) => cleared_args.push(*i),
            }
        }
        let returned = v.returned.iter().map(|r| match r.clone() {
            saved::Returned::Computed { requires_grad, leaf } => Returned::Computed { requires_grad, leaf },
            saved::Returned::Same(saved::Place::Tensor(t)) => Returned::Same(self.handle(t)),
            saved::Returned::Same(saved::Place::Argument(i)) => Returned::Arg(i),
            saved::Returned::Grad(of) => Returned::Grad(self.whose(of)),
            saved::Returned::View { of, steps, differentiable, requires_grad, leaf } => {
                let steps = steps.iter().filter_map(step).collect();
                Returned::View { of, steps, differentiable, creation: Creation::Single, requires_grad, leaf }
            }
        });
        let drawn = sources.iter().map(|s| matches!(s, Source::Draw));
        let captured = Captured {
            device: self.device,
            fills: Fills::of(drawn, &v.graph),
            graph: v.graph.clone(),
            symbols,
            wiring: Wiring {
                draws: Draws::of(items),
                sources,
                targets: v.outputs.iter().map(|t| self.target(*t)).collect(),
                laid_out,
                returned: returned.collect(),
                results: v.results.clone(),
                own_grads: v.own_grads.clone(),
                grads: v.grads.iter().map(|(of, i)| (self.whose(*of), *i)).collect(),
                cleared,
                cleared_args,
                histories: v.histories.iter().map(|(of, after)| (self.whose(*of), history(*after))).collect(),
                effects: v.set.iter().map(|(f, on)| self.flags[*f].read_as(*on)).collect(),
            },
            dependencies: Dependencies {
                grads: captured_grads.0,
                arg_grads: captured_grads.1,
                host_values,
                identities: identities.collect(),
                layouts,
                ..Dependencies::default()
            },
        };
        let arg = |a: &saved::Argument| ArgType {
            dtype: a.ty.dtype,
            rank: a.ty.shape.len(),
            requires_grad: a.requires_grad,
            history: None,
            dense: a.contiguous,
            strides: a.strides.as_ref().map(|s| Strides::from_slice(s)),
            same_as: a.same_as,
            known: None,
        };
        let args: Vec<ArgType> = v.arguments.iter().map(arg).collect();
        let given: Vec<Given> = args.iter().map(|a| a.same_as.map_or(Given::Apart, Given::SameAs)).collect();
        let sharing = Sharing::of(&captured.wiring, &captured.dependencies, &given, |i| args[i].requires_grad);
        let guards = Guards::of(&captured, args, state_flags, grad_enabled, sharing);
        let options = TraceOptions::default();
        // A graph that no capture makes may meet what no capture has met: that is an error of the file then.
        let compile =
            // Backward passes from outside are the closure's.
            AssertUnwindSafe(|| Variant::compile(captured, None, guards, &options, ("load", Duration::ZERO), "it was loaded"));
        catch_unwind(compile).unwrap_or_else(|_| {
            Err(Error::Compile(
                "a graph of the file passes every check and can't be compiled; save the function again".into(),
            ))
        })
    }

    /// What is written is written once, through one view without gaps or shared elements, so that no call can wait for
    /// itself or fail half-way.
    fn check_writes(&self, v: &saved::Variant) -> std::result::Result<(), Fault> {
        let mut written: Vec<&Arc<crate::tensor::storage::Storage>> = Vec::new();
        for (target, output) in v.outputs.iter().zip(v.graph.outputs()) {
            let saved::Target::Elements(saved::Place::Tensor(i)) = *target else { continue };
            let t = &self.tensors[i];
            let fault = |message: String| Fault { name: None, message };
            let s = t.strided().ok_or_else(|| fault("a tensor without elements is written".into()))?;
            eval::check_apart(t.shape_hint(), &s.strides).map_err(|e| fault(e.to_string()))?;
            if output.update.is_some() && !t.is_contiguous() {
                return Err(fault(format!(
                    "tensor {i} does not lie in row-major order and would be written as if it did"
                )));
            }
            if written.iter().any(|w| Arc::ptr_eq(w, &s.storage)) {
                return Err(fault(format!("tensor {i} is written, and so is another one that shares its elements")));
            }
            written.push(&s.storage);
        }
        Ok(())
    }

    fn source(&self, s: saved::Source) -> Source {
        match s {
            saved::Source::Elements(saved::Place::Argument(i)) => Source::Arg(i),
            saved::Source::Elements(saved::Place::Tensor(t)) => Source::State(self.handle(t)),
            saved::Source::Grad(saved::Place::Argument(i)) => Source::ArgGrad(i),
            saved::Source::Grad(saved::Place::Tensor(t)) => Source::Grad(self.handle(t)),
            saved::Source::Draw => Source::Draw,
        }
    }

    fn whose(&self, place: saved::Place) -> CallerTensor {
        match place {
            saved::Place::Argument(i) => CallerTensor::Arg(i),
            saved::Place::Tensor(t) => CallerTensor::Captured(self.handle(t)),
        }
    }

    fn target(&self, t: saved::Target) -> Target {
        match t {
            saved::Target::Result(_) => Target::Return,
            saved::Target::Elements(saved::Place::Argument(i)) => Target::Arg(i),
            saved::Target::Elements(saved::Place::Tensor(t)) => Target::State { tensor: self.handle(t) },
            saved::Target::Grad(saved::Place::Argument(i)) => Target::ArgGrad(i),
            saved::Target::Grad(saved::Place::Tensor(t)) => Target::Grad(self.handle(t)),
            saved::Target::GradElements(of) => Target::GradElements(self.whose(of)),
        }
    }

    fn draw(&self, d: &saved::Draw) -> Result<Item> {
        Ok(match d {
            saved::Draw::Draw { input, kind, generator } => {
                let kind = kind_of(*kind);
                kind.check()?;
                Item::Draw { generator: self.generator(*generator), kind, input: *input }
            }
            saved::Draw::Seed { seed, generator } => Item::Seed { generator: self.generator(*generator), seed: *seed },
            saved::Draw::Loop { length, reverse, items } => {
                let items = items.iter().map(|i| self.draw(i)).collect::<Result<Vec<_>>>()?;
                Item::Loop { length: length.clone(), reverse: *reverse, items }
            }
        })
    }

    /// What draws of an older file follow must lie in row-major order; where there may be gaps, a copy of it.
    fn order(&self, o: &saved::Order, layouts: &mut RecordedLayouts) {
        let mut layout = self.layout(&o.from, &o.steps, &mut layouts.captured);
        if !o.whole {
            layouts.computed.push(ComputedLayout { rule: LayoutRule::Preserved, operands: smallvec![Some(layout)] });
            layout = Layout { memory: Memory::Computed(layouts.computed.len() - 1), steps: Vec::new() };
        }
        layouts.guards.push(LayoutGuard { layout, answer: Answer::Contiguous(true), usual: false });
    }

    fn follows(&self, f: &saved::Follows, outside: &mut Vec<TraceHandle>) -> ComputedLayout {
        let rule = match f.rule {
            saved::FollowRule::Elementwise => LayoutRule::Elementwise,
            saved::FollowRule::Preserved => LayoutRule::Preserved,
            saved::FollowRule::Contiguous => LayoutRule::Contiguous,
            saved::FollowRule::Gradient => LayoutRule::Gradient,
        };
        let operands = f.operands.iter().map(|operand| match operand {
            saved::Followed::Number => None,
            saved::Followed::Memory(from, steps) => Some(self.layout(from, steps, outside)),
        });
        ComputedLayout { rule, operands: operands.collect() }
    }

    fn layout(&self, from: &saved::OrderOf, steps: &[saved::OrderStep], outside: &mut Vec<TraceHandle>) -> Layout {
        let memory = match from {
            saved::OrderOf::Fresh(shape) => Memory::Fresh(shape.clone()),
            saved::OrderOf::Input(i) => Memory::Input(*i),
            saved::OrderOf::Tensor(t) => {
                outside.push(self.handle(*t));
                Memory::Captured(outside.len() - 1)
            }
            saved::OrderOf::Follows(i) => Memory::Computed(*i),
        };
        // One element along the first axis is the only step that is no view.
        let steps = steps.iter().map(|s| step(s).map_or(ViewStep::Element, ViewStep::View));
        Layout { memory, steps: steps.collect() }
    }
}

fn history(after: saved::HistoryAfter) -> HistoryAfter {
    match after {
        saved::HistoryAfter::Leaf(requires_grad) => HistoryAfter::Leaf(requires_grad),
        saved::HistoryAfter::Result => HistoryAfter::Result,
    }
}

fn affine(sizes: &[Dim], steps: &[usize], offset: usize) -> Affine<Dim> {
    Affine {
        // Found where it is taken again.
        count: Dim::fixed(1),
        sizes: sizes.iter().cloned().collect(),
        steps: SmallVec::from_slice(steps),
        offset,
        is_apart: false,
    }
}

/// The view that a step is, if it is one.
fn step(step: &saved::OrderStep) -> Option<ViewOp<Dim>> {
    match step {
        saved::OrderStep::View(op) => Some(op.clone().into()),
        saved::OrderStep::Strided { sizes, steps, offset } => Some(ViewOp::Affine(affine(sizes, steps, *offset))),
        saved::OrderStep::Memory { len, sizes, steps, offset } => {
            Some(ViewOp::Memory { len: len.clone(), places: affine(sizes, steps, *offset) })
        }
        saved::OrderStep::Select { axis, at } => Some(ViewOp::Select { axis: *axis, at: *at }),
        saved::OrderStep::Element => None,
    }
}

fn kind_of(d: saved::Distribution) -> Kind {
    use saved::Distribution as D;
    match d {
        D::Uniform { low, high } => Kind::Uniform { low, high },
        D::Normal { mean, std } => Kind::Normal { mean, std },
        D::NormalSerial { mean, std } => Kind::NormalSerial { mean, std },
        D::NormalHalves { mean, std } => Kind::NormalHalves { mean, std },
        D::Exponential { rate } => Kind::Exponential { rate },
        D::Integers { low, high } => Kind::Integers { low, high },
        D::Permutation => Kind::Permutation,
        D::Bernoulli { p } => Kind::Bernoulli { p },
        D::Whole { of } => Kind::Whole { of },
    }
}

/// Stands for a history that is not in the files.
pub(crate) fn history_ended(seq: u64) -> Edge {
    ended(seq, "LoadedBackward", || {
        Error::autograd(
            "this tensor comes from a saved function, and its history ended when that was saved; call backward() inside the closure that is saved",
        )
    })
}
