//! Running a closure on traced arguments: what its recording gives, for code that is made of it and for code that is there
//! already. Nothing is compiled here.

use crate::capture::captured::{Captured, Dependencies, Wiring};
use crate::capture::closure::{Args, Traceable};
use crate::capture::recorder::Capture;
use crate::capture::replay_builder::Ended;
use crate::device::{Device, default_device};
use crate::error::{Error, Result};
use crate::ops::TensorTree;
use crate::partition::closure::{BackwardOptions, PartitionedClosure, watchers};
use crate::runtime::guards::same_as;
use crate::tensor::Tensor;
use crate::tensor::grad_fn::next_seq;
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
}

/// Runs the closure on traced arguments and builds its graphs, those of the backward pass from its results too.
pub(crate) fn record<F, const N: usize>(
    closure: &mut F,
    args: &[&Tensor],
    options: BackwardOptions<'_>,
) -> Result<Recorded<F::Output>>
where
    F: Traceable<N>,
{
    let device = device_of(args);
    let Recording { ended, wiring, dependencies, partitioned, output } =
        record_with::<F, N>(closure, args, Capture::plain(device), Some(options))?;
    let Ended::New { graphs, .. } = ended else { unreachable!("bug in allotrope: there was nothing to replay") };
    let captured = Captured::new(*graphs, device, wiring, dependencies);
    // The recorded tensors would keep the recording alive.
    let nothing = Tensor::scalar(0.0f32);
    let template = output.unflatten(&mut std::iter::repeat(nothing));
    Ok(Recorded { captured, partitioned, template })
}

/// What one run of a closure on traced arguments gave.
pub(crate) struct Recording<R> {
    pub(crate) ended: Ended,
    pub(crate) wiring: Wiring,
    pub(crate) dependencies: Dependencies,
    pub(crate) partitioned: Option<PartitionedClosure>,
    pub(crate) output: R,
}

/// Runs the closure on traced arguments of this capture; with options, the backward pass from its results is recorded too.
pub(crate) fn record_with<F, const N: usize>(
    closure: &mut F,
    args: &[&Tensor],
    capture: Capture,
    options: Option<BackwardOptions<'_>>,
) -> Result<Recording<F::Output>>
where
    F: Traceable<N>,
{
    let capture = Rc::new(capture);
    let mut traced: Vec<Tensor> = Vec::with_capacity(args.len());
    for (i, a) in args.iter().enumerate() {
        traced.push(match same_as(args, i) {
            Some(first) => traced[first].clone(),
            None => capture.argument(i, a)?,
        });
    }
    for (i, a) in args.iter().enumerate() {
        if a.traced().is_some() {
            return Err(Error::Argument(format!(
                "argument {i} is a value of a trace that has ended, which has no elements; return it from that closure"
            )));
        }
    }
    let watching: Vec<usize> = traced.iter().map(watchers).collect();
    let refs: Args<'_> = traced.iter().collect();
    let boundary = next_seq();
    let output = capture.recording(|| closure.run(&refs))?;
    let mut returned = Vec::new();
    output.flatten(&mut returned);
    let handed = capture.handed_out(&returned)?;
    let partitioned = match options {
        Some(options) => {
            let made = handed.made();
            PartitionedClosure::new(&capture, &made, &traced, &watching, boundary, options)?
        }
        None => None,
    };
    let outputs = partitioned.as_ref().map_or(&[][..], |p| &p.outputs);
    let (ended, wiring, dependencies) = capture.into_state().finish(&handed, outputs)?;
    Ok(Recording { ended, wiring, dependencies, partitioned, output })
}
