//! The end of a recording: what the closure returned and changed becomes the outputs of the graph. Nothing more is recorded.

use crate::capture::captured::{Dependencies, Wiring};
use crate::capture::draws::Draws;
use crate::capture::endpoints::{Returned, Source, Target};
use crate::capture::replay_builder::Ended;
use crate::capture::state::CaptureState;
use crate::device::default_device;
use crate::error::Result;
use crate::tensor::handle::Root;
use crate::tensor::trace_handle::TraceHandle;
use crate::tensor::{Tensor, eval};
use allotrope_ir::Value;
use std::sync::atomic::Ordering;

impl CaptureState {
    /// Ends the capture: what the closure returned and changed becomes the outputs of the graph.
    ///
    /// `saved` are values that backward passes from outside need besides.
    pub(crate) fn finish(mut self, returned: &[Tensor], saved: &[Value]) -> Result<(Ended, Wiring, Dependencies)> {
        let mut targets = Vec::new();
        let mut results = Vec::new();
        self.guard_results(returned);
        let (layouts, laid_out) = self.layout_guards();
        for (i, t) in returned.iter().enumerate() {
            let outside = t.traced().is_none();
            if outside {
                results.push(Returned::Same(TraceHandle::new(t.clone())));
                continue;
            }
            if let Some(&(arg, _)) = self.args.get(&t.id()) {
                results.push(Returned::Arg(arg));
                continue;
            }
            if let Some(first) = returned[..i].iter().position(|r| r.is_same(t)) {
                results.push(Returned::SameAs(first));
                continue;
            }
            let value = self.lift(t)?;
            self.output(value, None)?;
            targets.push(Target::Return);
            results.push(Returned::Computed { requires_grad: t.is_requires_grad() });
        }
        let mut arguments: Vec<_> = std::mem::take(&mut self.args_by_cell).into_values().collect();
        arguments.sort_unstable_by_key(|(_, arg)| *arg);
        for (cell, arg) in arguments {
            if cell.version.load(Ordering::Relaxed) > 0 {
                let value = cell.value();
                self.output(value, None)?;
                targets.push(Target::Arg(arg));
            }
        }
        for s in std::mem::take(&mut self.states) {
            if s.changes > 0 {
                let dense = s.tensor.is_contiguous();
                self.output(s.value, dense.then_some(s.input))?;
                targets.push(Target::State { tensor: TraceHandle::new(s.tensor) });
            }
        }
        let mut dependencies = Dependencies { layouts, laid_out, ..Dependencies::default() };
        let mut cleared = Vec::new();
        let mut cleared_args = Vec::new();
        for g in std::mem::take(&mut self.grads) {
            match (g.arg, g.initially) {
                (Some(i), Some(some)) => dependencies.arg_grads.push((i, some)),
                (None, Some(some)) => dependencies.grads.push((TraceHandle::new(g.tensor.clone()), some)),
                (_, None) => {}
            }
            // The gradient itself may have been changed in place.
            let in_place = match (g.now.as_ref().and_then(Tensor::traced).map(|t| &t.root), g.given) {
                (Some(Root::Traced(cell)), Some(given)) => given != cell.value(),
                _ => false,
            };
            match (&g.now, g.changed || in_place, g.arg) {
                (Some(now), true, arg) => {
                    let value = self.lift(now)?;
                    self.output(value, None)?;
                    targets.push(arg.map_or_else(|| Target::Grad(TraceHandle::new(g.tensor)), Target::ArgGrad));
                }
                (None, true, None) => cleared.push(TraceHandle::new(g.tensor)),
                (None, true, Some(i)) => cleared_args.push(i),
                (_, false, _) => {}
            }
        }
        for &value in saved {
            self.output(value, None)?;
            targets.push(Target::Save);
        }
        dependencies.host_values = self.host_values;
        dependencies.identities = self.identities;
        dependencies.requires_grad = self.requires_grad_asked.into_values().collect();
        let asked = self.asked.iter().filter(|(_, asked)| asked.load(Ordering::Relaxed));
        dependencies.asked = asked.map(|(i, _)| *i).collect();
        let ended = self.replay.end()?;
        let items = self.draws.pop().expect("the whole program is open");
        let draws = Draws::new(items, self.draw_layouts, &|length| ended.length(length));
        let mut sources = self.sources;
        let device = self.device.unwrap_or_else(default_device);
        for number in ended.numbers() {
            sources.push(Source::Data(eval::full_on(device, &[], number)?));
        }
        let wiring =
            Wiring { sources, targets, returned: results, cleared, cleared_args, draws, effects: self.effects };
        Ok((ended, wiring, dependencies))
    }
}
