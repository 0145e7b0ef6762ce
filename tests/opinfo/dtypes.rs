//! Which dtypes an operator takes: its own samples, cast, in both modes with equal bits.

use crate::compare::{self, GRADIENTS};
use crate::corpus::{Given, Host, Operator};
use crate::quiet::is_crash;
use crate::run::{Adapter, BY_SHAPE, Run, Stop};
use allotrope::DType;

/// Samples that are tried with each dtype.
const TRIED: usize = 3;

/// What was found about one dtype.
pub enum Support {
    /// Some sample, with elements where any has, has a result, the same in both modes.
    Yes,
    /// Every sample is refused.
    No,
    /// Something that must not be, in words.
    Broken(String),
}

/// Every dtype of the library with what was found.
pub fn of(op: &Operator, adapter: Adapter) -> Vec<(DType, Support)> {
    DType::ALL.into_iter().map(|dtype| (dtype, one(op, adapter, dtype))).collect()
}

fn one(op: &Operator, adapter: Adapter, dtype: DType) -> Support {
    let has_float = |s: &crate::corpus::Sample| s.inputs().iter().any(|key| op.tensors[*key].dtype == DType::F32);
    let valid = || op.samples.iter().filter(|s| s.error.is_none());
    // Of an operator that takes floats, those samples are cast that have some; indices stay what they are.
    let float_operator = valid().any(has_float);
    let elements = |s: &crate::corpus::Sample| s.outputs.iter().map(|k| op.tensors[k].shape.len()).sum::<usize>();
    let mut samples: Vec<_> = valid().filter(|s| !float_operator || has_float(s)).collect();
    // Of no elements operators take what they take of no others.
    let of_nothing =
        |s: &crate::corpus::Sample| s.inputs().first().is_some_and(|key| op.tensors[*key].shape.contains(&0));
    samples.sort_by_key(|s| (of_nothing(s), s.id.contains("/r"), elements(s)));
    let some = samples.iter().any(|s| !of_nothing(s));
    let mut found = Support::No;
    for sample in samples.into_iter().take(TRIED) {
        let main = match sample.inputs().first() {
            Some(key) if !float_operator => Some(op.tensors[*key].dtype),
            Some(_) => Some(DType::F32),
            None => None,
        };
        let cast = |t: &Host| if Some(t.dtype) == main { Host { dtype, ..t.clone() } } else { t.clone() };
        let tensors = op.tensors.iter().map(|(k, t)| (k.clone(), cast(t))).collect();
        let cast = Operator { samples: Vec::new(), tensors };
        let mut call = crate::corpus::Sample::call(&sample.op, sample.args.clone(), sample.kwargs.clone());
        call.mutated = sample.mutated.clone();
        // What makes a tensor from nothing is asked for the dtype.
        if main.is_none() {
            call.kwargs.retain(|(name, _)| name != "dtype");
            call.kwargs.push(("dtype".to_string(), Given::DType(dtype)));
        }
        let run = Run { op: &cast, sample: &call, adapter };
        match (run.eager(false), run.traced(false)) {
            (Ok(eager), Ok(traced)) => {
                let mut pairs = traced.outputs.iter().zip(&eager.outputs);
                if let Some(e) = pairs.find_map(|(a, b)| compare::same_bits(a, b).err()) {
                    return Support::Broken(format!("{} in {dtype}, bits: {e}", sample.id));
                }
                if main.is_none() && eager.outputs[0].dtype != dtype {
                    return Support::Broken(format!("{} in {dtype} gives {}", sample.id, eager.outputs[0].dtype));
                }
                // In f64 the expected values of f32 hold too.
                let wrong = |(got, key): (&Host, &String)| match (got.dtype, op.tensors[key].dtype) {
                    (DType::F64, DType::F32) => compare::close(&narrowed(got), &op.tensors[key], GRADIENTS).err(),
                    _ => None,
                };
                if let (DType::F64, Some(e)) = (dtype, eager.outputs.iter().zip(&sample.outputs).find_map(wrong)) {
                    return Support::Broken(format!("{} in {dtype}: {e}", sample.id));
                }
                if !(some && of_nothing(sample)) {
                    found = Support::Yes;
                }
            }
            (Ok(_), Err(Stop::Refused(text))) if text.contains(BY_SHAPE) => found = Support::Yes,
            (Ok(_), Err(stop)) => {
                return Support::Broken(format!("{} in {dtype}, traced only: {}", sample.id, stop.text()));
            }
            (Err(stop), Ok(_)) => {
                return Support::Broken(format!("{} in {dtype}, eager only: {}", sample.id, stop.text()));
            }
            (Err(a), Err(b)) => {
                for stop in [a, b] {
                    let (Stop::Refused(text) | Stop::Panicked(text)) = &stop;
                    if is_crash(text) {
                        return Support::Broken(format!("{} in {dtype}: {}", sample.id, stop.text()));
                    }
                }
            }
        }
    }
    found
}

/// A result in f64 as f32.
fn narrowed(t: &Host) -> Host {
    Host::of(&t.tensor().to(DType::F32))
}
