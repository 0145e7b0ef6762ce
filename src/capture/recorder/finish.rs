//! The end of a recording: what the closure returned and changed becomes the outputs of the graph. Nothing more is recorded.

use crate::capture::captured::{Dependencies, Wiring};
use crate::capture::draws::Draws;
use crate::capture::endpoints::{CallerTensor, HistoryAfter, Source, Target};
use crate::capture::recorder::returned::{HandedOut, Outputs};
use crate::capture::replay_builder::Ended;
use crate::capture::state::CaptureState;
use crate::device::default_device;
use crate::error::Result;
use crate::tensor::handle::{Root, TraceHandle};
use crate::tensor::{Tensor, eval};
use allotrope_ir::Value;
use std::sync::atomic::Ordering;

impl CaptureState {
    /// Ends the capture: what the closure hands out and changed becomes the outputs of the graph.
    ///
    /// `saved` are values that backward passes outside the call need besides; `histories` what becomes of those of the caller's
    /// tensors.
    pub(crate) fn finish(
        mut self,
        handed: &HandedOut,
        saved: &[Value],
        histories: Vec<(CallerTensor, HistoryAfter)>,
    ) -> Result<(Ended, Wiring, Dependencies)> {
        let mut outputs = Outputs::default();
        let (returned, grads) = self.described(handed);
        self.output_computed(handed, &mut outputs)?;
        let mut arguments: Vec<_> = std::mem::take(&mut self.args_by_cell).into_values().collect();
        arguments.sort_unstable_by_key(|(_, arg)| *arg);
        for (cell, arg) in arguments {
            if cell.version.load(Ordering::Relaxed) > 0 {
                let value = cell.value();
                self.output(value, None)?;
                outputs.targets.push(Target::Arg(arg));
            }
        }
        for s in std::mem::take(&mut self.states) {
            if s.changes > 0 {
                let dense = s.tensor.is_contiguous();
                self.output(s.value, dense.then_some(s.input))?;
                outputs.targets.push(Target::State { tensor: s.tensor });
            }
        }
        let mut dependencies = Dependencies::default();
        let mut cleared = Vec::new();
        let mut cleared_args = Vec::new();
        for (i, g) in std::mem::take(&mut self.grads).into_iter().enumerate() {
            match (g.arg, g.initially) {
                (Some(i), Some(some)) => dependencies.arg_grads.push((i, some)),
                (None, Some(some)) => dependencies.grads.push((g.tensor.clone(), some)),
                (_, None) => {}
            }
            let owner = |t: &TraceHandle| g.arg.map_or_else(|| CallerTensor::Captured(t.clone()), CallerTensor::Arg);
            // The gradient itself may have been changed in place.
            if let Some(Root::Traced(cell)) = g.given.as_ref().and_then(Tensor::traced).map(|t| &t.root)
                && cell.version.load(Ordering::Relaxed) > 0
            {
                self.output(cell.value(), None)?;
                outputs.targets.push(Target::GradElements(owner(&g.tensor)));
            }
            match (g.set(), &g.now, g.arg) {
                (Some(now), _, arg) if !handed.is_grad(i) => {
                    let target = arg.map_or_else(|| Target::Grad(g.tensor), Target::ArgGrad);
                    self.output_new(&now, target, &mut outputs)?;
                }
                (None, None, None) if g.changed => cleared.push(g.tensor),
                (None, None, Some(i)) if g.changed => cleared_args.push(i),
                _ => {}
            }
        }
        for &value in saved {
            self.output(value, None)?;
            outputs.targets.push(Target::Save);
        }
        let Outputs { targets, laid_out } = outputs;
        let (layouts, laid_out) = self.layouts(laid_out);
        dependencies.layouts = layouts;
        dependencies.touched = self.touched;
        dependencies.host_values = self.host_values;
        dependencies.views = self.views_asked;
        dependencies.identities = self.identities;
        dependencies.compared = self.compared;
        dependencies.known_grads = self.known_grads;
        dependencies.requires_grad = self.requires_grad_asked.into_values().collect();
        let asked = self.asked.iter().filter(|(_, asked)| asked.load(Ordering::Relaxed));
        dependencies.asked = asked.map(|(i, _)| *i).collect();
        let ended = self.replay.end()?;
        let items = self.draws.pop().expect("the whole program is open");
        let draws = Draws::new(items, &|length| ended.length(length));
        let mut sources = self.sources;
        let device = self.device.unwrap_or_else(default_device);
        for number in ended.numbers() {
            sources.push(Source::Data(eval::full_on(device, &[], number)?));
        }
        let returned = returned.into_iter().map(|r| r.map(&|size| ended.length(size))).collect();
        let results = handed.results().to_vec();
        let own_grads = handed.grads_of_results().to_vec();
        let effects = self.effects;
        let wiring = Wiring {
            sources,
            targets,
            laid_out,
            returned,
            results,
            grads,
            own_grads,
            cleared,
            cleared_args,
            histories,
            draws,
            effects,
        };
        Ok((ended, wiring, dependencies))
    }
}
