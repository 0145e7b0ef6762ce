//! `trace_dynamic`: for closures whose Rust code decides what is computed. Each call records the closure anew, which costs
//! little where an earlier call has done the same, and runs the variant that was compiled for what was recorded. It
//! decides nothing about a graph: what two calls have in common is for the replay cache to find.

use crate::autograd::ended::ended;
use crate::capture::captured::{Captured, Dependencies, Wiring};
use crate::capture::closure::{Arguments, Traceable};
use crate::capture::recorder::Capture;
use crate::capture::replay_builder::Ended;
use crate::capture::replay_cache::{EventLog, ReplayCache};
use crate::capture::symbols::Binding;
use crate::error::{Error, Result};
use crate::mode;
use crate::ops::TensorTree;
use crate::runtime::call::Bound;
use crate::runtime::guards::Guards;
use crate::runtime::record::device_of;
use crate::runtime::record::{Recording, record_with};
use crate::runtime::recording_lock::RecordingLock;
use crate::runtime::sharing::ArgumentPlan;
use crate::runtime::variant::{TraceOptions, Variant};
use crate::tensor::Tensor;
use crate::tensor::grad_fn::{Edge, next_seq};
use allotrope_ir::passes::Passes;
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Compiled variants that one traced function keeps; beyond it the least recently used one goes.
const VARIANTS: usize = 32;

/// A closure that is recorded on every call and runs as compiled code. Made by [`trace_dynamic`].
///
/// It can be called by several threads at the same time; they record one after the other, and run side by side where
/// they do not change the same tensors.
pub struct DynamicTraced<F, const N: usize> {
    closure: RecordingLock<F>,
    recordings: Mutex<Recordings>,
    options: TraceOptions,
}

/// What was recorded and compiled so far.
#[derive(Default)]
struct Recordings {
    cache: Arc<ReplayCache>,
    /// In the order of the cache.
    known: Vec<KnownRecording>,
    /// The recording that the last call was.
    recent: usize,
    /// The memory that the last call knew by identity.
    known_memory: SmallVec<[usize; 2]>,
    calls: u64,
    compilations: usize,
    compile_time: Duration,
}

struct KnownRecording {
    variant: Arc<Variant>,
    /// The last call that it ran.
    used: u64,
}

/// Makes a closure run as compiled code that may do something else on every call; see [`DynamicTraced`].
///
/// Each call runs the closure once, on tensors without elements, to record what it does: a branch on a Rust value, the
/// count of a loop, the length of a list or the layer that was picked are what they are in that call. Code is compiled
/// for each structure that was not there before, never for other tensors, sizes or numbers in the same places. Where
/// the closure always does the same, [`trace`](crate::runtime::traced::trace) does without recording.
///
/// ```
/// use allotrope::prelude::*;
/// let layers = [nn::Linear::new(2, 2), nn::Linear::new(2, 2)];
/// let mut calls = 0;
/// let net = trace_dynamic(|x: &Tensor| {
///     calls += 1;
///     (0..calls % 3).fold(x.clone(), |h, i| layers[i % 2].forward(&h).tanh())
/// });
/// let x = Tensor::ones(&[4, 2], DType::F32);
/// for _ in 0..12 {
///     net.call(&x)?;
/// }
/// assert_eq!(net.compilations(), 3); // 0, 1 and 2 layers
/// # Ok::<(), allotrope::Error>(())
/// ```
pub fn trace_dynamic<F, const N: usize>(closure: F) -> DynamicTraced<F, N>
where
    F: Traceable<N>,
{
    DynamicTraced {
        closure: RecordingLock::new(closure),
        recordings: Mutex::default(),
        options: TraceOptions::default(),
    }
}

impl<F, R, const N: usize> DynamicTraced<F, N>
where
    F: Traceable<N, Output = R>,
    R: TensorTree,
{
    /// Compiles with some passes of the pipeline only; results are the same, to the bit.
    pub fn with_passes(mut self, passes: Passes) -> Self {
        self.options.set_passes(passes);
        self
    }

    /// Whether checks of elements (an index in its axis, a probability in [0, 1], a divisor that is not zero) are asked where
    /// nothing uses what was checked, as in `let _ = x.gather(0, &index)`. They are by default, so that a call fails where
    /// the closure does; without them it takes no time for what only they need. A check of what is used is always asked.
    pub fn with_unused_checks(mut self, asked: bool) -> Self {
        self.options.set_unused_checks(asked);
        self
    }

    /// Calls the closure eagerly instead where `disabled` is true; see [`Traced::disabled`](crate::runtime::traced::Traced::disabled).
    #[must_use]
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.options.disabled = disabled;
        self
    }

    /// Records the closure and runs the code for what it did, compiling that first where no call did it before.
    ///
    /// Inside another trace the closure is recorded as part of that one.
    ///
    /// # Errors
    /// When the closure panics while it is recorded (the message is the panic's: wrong shapes, a host read), or an
    /// argument cannot be bound. Nothing is changed then: no parameter, no moment, no gradient, no generator. What
    /// the closure did to Rust values stays done.
    pub fn call<'a>(&self, args: impl Arguments<'a, N>) -> Result<R> {
        let args = args.tensors();
        if self.options.disabled || mode::is_recording() {
            return self.closure.with(|closure| Ok(closure.run(&args)));
        }
        // A recording stands for every argument of a kind, and hooks are one tensor's own.
        if let Some(i) = args.iter().position(|a| a.is_requires_grad() && a.has_leaf_hooks()) {
            return Err(Error::trace(format!(
                "argument {i} has hooks on its gradient, which are one tensor's own, and the code serves all; register them \
                 inside the closure, or let it capture the tensor"
            )));
        }
        let ready = self.closure.with(|closure| self.record(closure, &args))?;
        let results = ready.bound.call(&ready.variant, &args, ready.binding)?;
        let seq = next_seq();
        let wiring = &ready.bound.wiring;
        for (t, &i) in results.iter().zip(&wiring.results) {
            match wiring.returned[i].gradients() {
                Some((true, true)) => t.store_requires_grad(true),
                Some((true, false)) => t.set_grad_fn(Some(history_ended(seq))),
                Some((false, _)) | None => {}
            }
        }
        for t in wiring.changed_into_results(&args) {
            t.set_grad_fn(Some(history_ended(seq)));
        }
        Ok(ready.output.unflatten(&mut results.into_iter()))
    }

    /// Records the closure, and finds or makes the code for what it did.
    fn record(&self, closure: &mut F, args: &[&Tensor]) -> Result<Ready<R>> {
        let start = Instant::now();
        let device = device_of(args);
        let (cache, recent, known) = {
            let recordings = self.recordings.lock();
            (Arc::clone(&recordings.cache), recordings.recent, recordings.known_memory.clone())
        };
        let capture = || Capture::replaying(Arc::clone(&cache), recent, device);
        // What was not apart in the last call is not in this one either.
        let mut plan = ArgumentPlan::of(args);
        if !known.is_empty() {
            plan = plan.with_known_of(args, &known);
        }
        let Recording { ended, wiring, output, plan, .. } = record_with::<F, N>(closure, args, plan, capture, None)?;
        if plan.known != known {
            self.recordings.lock().known_memory = plan.known;
        }
        let (variant, symbols) = match ended {
            Ended::Known { at, symbols, .. } => (self.recordings.lock().take(at), symbols),
            Ended::New { graphs, log, .. } => {
                let log = *log.expect("bug in allotrope: a recording was not written down");
                // The code stands for other tensors too, so nothing of it holds on to those of this call.
                let captured = Captured::new(*graphs, device, Wiring::default(), Dependencies::default());
                let symbols = captured.symbols.hints().to_vec();
                let reason = self.recordings.lock().reason(&log);
                let guards = Guards::recorded(&captured, log.len());
                let variant =
                    Variant::compile(captured, None, guards, &self.options, ("record", start.elapsed()), &reason)?;
                (self.recordings.lock().keep(log, variant), symbols)
            }
        };
        let (bound, binding) = (Bound::new(&variant.signature, wiring), variant.guards.binding(&symbols));
        Ok(Ready { bound, variant, binding, output })
    }
}

/// Stands for the history of a result, which stayed in the recording.
fn history_ended(seq: u64) -> Edge {
    ended(seq, "DynamicTraceBackward", || {
        Error::autograd(
            "this tensor is the result of a function made by trace_dynamic, whose history ended with the call; call backward() inside the closure, or use trace",
        )
    })
}

/// What a call needs to run.
struct Ready<R> {
    variant: Arc<Variant>,
    bound: Bound,
    binding: Binding,
    output: R,
}

impl Recordings {
    /// The code of a known recording, which is used now.
    fn take(&mut self, i: usize) -> Arc<Variant> {
        self.recent = i;
        self.calls += 1;
        let known = &mut self.known[i];
        known.used = self.calls;
        Arc::clone(&known.variant)
    }

    /// Why a recording needs code of its own, in words.
    fn reason(&self, log: &EventLog) -> String {
        match self.known.is_empty() {
            true => "it was the first call".to_string(),
            false => format!("the closure did something else: {}", log.first_new(&self.cache)),
        }
    }

    /// Keeps one more variant, which is used now.
    fn keep(&mut self, log: EventLog, variant: Variant) -> Arc<Variant> {
        if self.known.len() == VARIANTS {
            let oldest = (0..VARIANTS).min_by_key(|&i| self.known[i].used).unwrap_or(0);
            self.known.remove(oldest);
            self.cache = Arc::new(self.cache.without(oldest));
            eprintln!(
                "allotrope: a traced function has done more than {VARIANTS} different things, code for the least \
                 recently used one goes; {}. Take what changes as an argument or make a tensor of it, or write the loop \
                 with scan or while_loop",
                variant.reason
            );
        }
        self.compilations += 1;
        self.compile_time += variant.compile_time();
        self.cache = Arc::new(self.cache.with(log));
        self.known.push(KnownRecording { variant: Arc::new(variant), used: 0 });
        self.take(self.known.len() - 1)
    }
}

impl<F, const N: usize> DynamicTraced<F, N> {
    /// How often code was generated.
    pub fn compilations(&self) -> usize {
        self.recordings.lock().compilations
    }

    /// Time spent optimising and generating code, and recording what it was generated for, in total.
    pub fn compile_time(&self) -> Duration {
        self.recordings.lock().compile_time
    }

    /// The compiled variants, most recently used first.
    pub(crate) fn variants(&self) -> Vec<Arc<Variant>> {
        let recordings = self.recordings.lock();
        let mut known: Vec<&KnownRecording> = recordings.known.iter().collect();
        known.sort_by_key(|k| std::cmp::Reverse(k.used));
        known.into_iter().map(|k| Arc::clone(&k.variant)).collect()
    }
}
