//! Running a closure on traced arguments: what its recording gives, for code that is made of it and for code that is there
//! already. Nothing is compiled here.

use crate::capture::captured::{Captured, Dependencies, Wiring};
use crate::capture::closure::{Args, Traceable};
use crate::capture::endpoints::{CallerTensor, HistoryAfter};
use crate::capture::recorder::Capture;
use crate::capture::recorder::returned::HandedOut;
use crate::capture::replay_builder::Ended;
use crate::device::{Device, default_device};
use crate::error::{Error, Result};
use crate::ops::TensorTree;
use crate::partition::closure::{BackwardOptions, BegunArgument, PartitionedClosure};
use crate::runtime::sharing::{ArgumentPlan, Given, Sharing};
use crate::tensor::Tensor;
use crate::tensor::grad_fn::next_seq;
use allotrope_ir::Value;
use std::rc::Rc;

/// Where a call with these arguments runs: where they are, or where this thread makes tensors if there are none.
pub(crate) fn device_of(args: &[&Tensor]) -> Device {
    args.first().map_or_else(default_device, |a| a.device())
}

/// A recording with graphs of its own.
pub(crate) struct Recorded<R> {
    pub(crate) captured: Captured,
    /// For backward passes from outside, where a result needs a gradient.
    pub(crate) partitioned: Option<PartitionedClosure>,
    /// What the closure returned: its structure only, the tensors are placeholders.
    pub(crate) template: R,
    pub(crate) plan: ArgumentPlan,
    pub(crate) sharing: Sharing,
}

/// Runs the closure on traced arguments and builds its graphs, those of the backward pass from its results too.
pub(crate) fn record<F, const N: usize>(
    closure: &mut F,
    args: &[&Tensor],
    plan: ArgumentPlan,
    options: BackwardOptions<'_>,
) -> Result<Recorded<F::Output>>
where
    F: Traceable<N>,
{
    let device = device_of(args);
    let Recording { ended, wiring, dependencies, partitioned, output, plan, sharing } =
        record_with::<F, N>(closure, args, plan, || Capture::plain(device), Some(options))?;
    let Ended::New { graphs, .. } = ended else { unreachable!("bug in allotrope: there was nothing to replay") };
    let captured = Captured::new(*graphs, device, wiring, dependencies);
    // The recorded tensors would keep the recording alive.
    let nothing = Tensor::scalar(0.0f32);
    let template = output.unflatten(&mut std::iter::repeat(nothing));
    Ok(Recorded { captured, partitioned, template, plan, sharing })
}

/// What one run of a closure on traced arguments gave.
pub(crate) struct Recording<R> {
    pub(crate) ended: Ended,
    pub(crate) wiring: Wiring,
    pub(crate) dependencies: Dependencies,
    pub(crate) partitioned: Option<PartitionedClosure>,
    pub(crate) output: R,
    pub(crate) plan: ArgumentPlan,
    pub(crate) sharing: Sharing,
}

/// Runs the closure on traced arguments of a capture like this; with options, the backward pass from its results is recorded
/// too. It is run again where arguments turn out not to be apart from what else the closure uses, and have to be.
pub(crate) fn record_with<F, const N: usize>(
    closure: &mut F,
    args: &[&Tensor],
    mut plan: ArgumentPlan,
    capture: impl Fn() -> Capture,
    options: Option<BackwardOptions<'_>>,
) -> Result<Recording<F::Output>>
where
    F: Traceable<N>,
{
    loop {
        let capture = Rc::new(capture());
        let run = attempt::<F, N>(closure, args, &plan, &capture, options);
        let changed = capture.changed_histories();
        let other = match run {
            Ok(run) => {
                let histories = changed.leaves().into_iter().chain(run.histories).collect();
                let state = capture.into_state();
                let (ended, wiring, dependencies) = state.finish(&run.handed, &run.outputs, histories)?;
                drop(changed);
                let sharing = Sharing::of(&wiring, &dependencies, &plan.given, |i| args[i].is_requires_grad());
                match sharing.check_all(args) {
                    Ok(()) => {
                        let Attempt { partitioned, output, .. } = run;
                        return Ok(Recording { ended, wiring, dependencies, partitioned, output, plan, sharing });
                    }
                    Err(shared) => plan.with(args, shared),
                }
            }
            Err(e) => {
                let cautious = {
                    let state = capture.0.borrow();
                    match &state.wanted_memory[..] {
                        [] => plan.cautious(args, &state.touched),
                        wanted => plan.with_known(args, wanted),
                    }
                };
                // As far as it is known, everything was what it is.
                if cautious == plan {
                    return Err(e);
                }
                cautious
            }
        };
        if other == plan {
            return Err(Error::argument(
                "an argument shares its elements with something else that the traced function uses; pass a copy",
            ));
        }
        plan = other;
    }
}

struct Attempt<R> {
    output: R,
    handed: HandedOut,
    partitioned: Option<PartitionedClosure>,
    /// The values that backward passes need besides.
    outputs: Vec<Value>,
    /// What becomes of the history of the arguments, and of the captured tensors that are results now.
    histories: Vec<(CallerTensor, HistoryAfter)>,
}

/// Runs the closure once, with its arguments as planned.
fn attempt<F, const N: usize>(
    closure: &mut F,
    args: &[&Tensor],
    plan: &ArgumentPlan,
    capture: &Rc<Capture>,
    options: Option<BackwardOptions<'_>>,
) -> Result<Attempt<F::Output>>
where
    F: Traceable<N>,
{
    let known = plan.given.iter().enumerate().filter(|(_, given)| **given == Given::Captured).map(|(i, _)| i);
    capture.arguments(args, &plan.known, known);
    let mut traced: Vec<Tensor> = Vec::with_capacity(args.len());
    for (i, &a) in args.iter().enumerate() {
        if a.traced().is_some() {
            return Err(Error::argument(format!(
                "argument {i} is a value of a trace that has ended, which has no elements; return it from that closure"
            )));
        }
        traced.push(match plan.given[i] {
            Given::SameAs(first) => traced[first].clone(),
            Given::Apart => capture.argument(i, a)?,
            Given::Captured => a.clone(),
        });
    }
    let begun: Vec<BegunArgument> = traced.iter().map(BegunArgument::of).collect();
    let refs: Args<'_> = traced.iter().collect();
    let boundary = next_seq();
    let output = capture.recording(|| closure.run(&refs))?;
    let mut returned = Vec::new();
    output.flatten(&mut returned);
    let handed = capture.handed_out(&returned)?;
    let apart = |i: &usize| plan.given[*i] == Given::Apart;
    let (arguments, mut results): (Vec<_>, Vec<_>) = (0..traced.len())
        .filter(|i| apart(i) && begun[*i].is_changed(&traced[*i]))
        .map(|i| (CallerTensor::Arg(i), traced[i].clone()))
        .partition(|(of, t)| matches!(of, CallerTensor::Arg(i) if !begun[*i].is_result(t)));
    results.extend(capture.captured_results());
    let partitioned = match options {
        Some(options) => {
            let mut made = handed.made();
            made.extend(results.iter().map(|(_, t)| (t.clone(), true)));
            PartitionedClosure::new(capture, &made, &traced, &begun, boundary, options)?
        }
        None => None,
    };
    let outputs = partitioned.as_ref().map_or_else(Vec::new, |p| p.outputs.clone());
    let leaves = arguments.into_iter().map(|(of, t)| (of, HistoryAfter::Leaf(t.stored_requires_grad())));
    let histories = leaves.chain(results.into_iter().map(|(of, _)| (of, HistoryAfter::Result))).collect();
    Ok(Attempt { output, handed, partitioned, outputs, histories })
}
