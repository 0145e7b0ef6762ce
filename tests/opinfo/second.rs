//! Second derivatives of one case: the gradients are differentiated once more, in both modes with equal bits, and against
//! differences of the gradients in f64. There are no recorded values to compare with.

use crate::case::Case;
use crate::compare;
use crate::corpus::{Data, Host, Operator};
use crate::quiet::quietly;
use crate::run::Run;
use allotrope::ops::grad;
use allotrope::prelude::trace;
use allotrope::{DType, Result, Tensor};

/// Coordinates that are compared with differences, of each case.
const COORDINATES: usize = 40;

/// Step of the differences; their error goes with its fourth power.
const STEP: f64 = 1e-4;

/// Whether a case can be differentiated twice with values that mean something.
pub fn is_fit(op: &Operator, run: Run<'_>) -> bool {
    let s = run.sample;
    let finite = |key: &String| match &op.tensors[key].data {
        Data::F32(v) => v.iter().all(|x| x.is_finite()),
        _ => true,
    };
    let elements: usize = s.input_grads.iter().map(|(key, _)| op.tensors[key].shape.iter().product::<usize>()).sum();
    let fixed_dtype = |v: &crate::corpus::Given| matches!(v, crate::corpus::Given::DType(_));
    s.has_grads()
        && elements > 0
        && s.keys().iter().all(|key| finite(&key.to_string()))
        && !s.args.iter().chain(s.kwargs.iter().map(|(_, v)| v)).any(fixed_dtype)
}

/// # Errors
/// What is wrong with the second derivatives, in words.
pub fn check(run: Run<'_>) -> Result<(), String> {
    quietly(|| {
        for dtype in [DType::F32, DType::F64] {
            let op = cast(run.op, dtype);
            let second = Second::new(Run { op: &op, ..run });
            let (sum, eager) = second.eager(&second.inputs).map_err(|e| format!("{dtype}: {e}"))?;
            let traced = second.traced().map_err(|e| format!("{dtype}, traced: {e}"))?;
            for (i, (got, want)) in traced.iter().zip(&eager).enumerate() {
                compare::same_bits(got, want).map_err(|e| format!("{dtype}, bits of second gradient {i}: {e}"))?;
            }
            if dtype == DType::F64 && sum.is_finite() {
                second.compare_with_differences(&eager)?;
            }
        }
        Ok(())
    })
    .unwrap_or_else(|text| Err(format!("panic: {text}")))
}

/// The same tensors with floats of another dtype.
pub fn cast(op: &Operator, dtype: DType) -> Operator {
    let cast = |t: &Host| match t.dtype {
        DType::F32 => Host { dtype, ..t.clone() },
        _ => t.clone(),
    };
    Operator { samples: Vec::new(), tensors: op.tensors.iter().map(|(k, t)| (k.clone(), cast(t))).collect() }
}

/// One case: the sum over inputs of `gradient * weight`, a function of the inputs and of the gradients sent back.
struct Second<'a> {
    run: Run<'a>,
    keys: Vec<&'a str>,
    /// Which of the keys have a gradient.
    wanted: Vec<usize>,
    /// The input tensors, then the gradients to send back.
    inputs: Vec<Host>,
    /// By the order of `wanted`.
    weights: Vec<Host>,
}

impl<'a> Second<'a> {
    fn new(run: Run<'a>) -> Second<'a> {
        let keys = run.sample.inputs();
        let wanted: Vec<usize> = keys
            .iter()
            .enumerate()
            .filter(|(_, key)| run.sample.input_grads.iter().any(|(k, _)| k == *key))
            .map(|(i, _)| i)
            .collect();
        let back = run.sample.grad_outputs.iter().flatten().map(String::as_str);
        let inputs = keys.iter().copied().chain(back).map(|key| run.op.tensors[key].clone()).collect();
        let weights = wanted.iter().map(|&i| weight(&run.op.tensors[keys[i]], i)).collect();
        Second { run, keys, wanted, inputs, weights }
    }

    /// Positions of what the sum is differentiated by.
    fn variables(&self) -> Vec<usize> {
        self.wanted.iter().copied().chain(self.keys.len()..self.inputs.len()).collect()
    }

    fn leaves(&self, inputs: &[Host]) -> Vec<Tensor> {
        let variables = self.variables();
        let leaf = |(i, h): (usize, &Host)| match variables.contains(&i) {
            true => h.tensor().requires_grad(),
            false => h.tensor(),
        };
        inputs.iter().enumerate().map(leaf).collect()
    }

    /// The sum, and its gradients by the variables.
    fn program(&self, inputs: &[Tensor], weights: &[Tensor]) -> Result<(Tensor, Vec<Option<Tensor>>)> {
        let (xs, back) = inputs.split_at(self.keys.len());
        let case = Case::new(self.run.sample, self.keys.iter().copied().zip(xs.iter().cloned()).collect());
        let outputs = (self.run.adapter)(&case)?;
        let with_grad = outputs.iter().zip(&self.run.sample.grad_outputs).filter(|(_, g)| g.is_some());
        let terms = with_grad.zip(back).map(|((y, _), g)| y.try_mul(g)?.try_sum()).collect::<Result<Vec<_>>>()?;
        let wanted: Vec<&Tensor> = self.wanted.iter().map(|&i| &xs[i]).collect();
        let first = grad(&terms.iter().collect::<Vec<_>>(), &wanted, true)?;
        let terms = first.iter().zip(weights).filter_map(|(g, w)| Some((g.as_ref()?, w)));
        let terms = terms.map(|(g, w)| g.try_mul(w)?.try_sum()).collect::<Result<Vec<_>>>()?;
        let sum = terms.iter().try_fold(Tensor::zeros(&[], xs[self.wanted[0]].dtype()), |sum, t| sum.try_add(t))?;
        let variables: Vec<&Tensor> = self.variables().into_iter().map(|i| &inputs[i]).collect();
        let second = match sum.is_requires_grad() {
            true => grad(&[&sum], &variables, false)?,
            false => vec![None; variables.len()],
        };
        Ok((sum.detach(), second))
    }

    fn hosts(&self, found: &[Option<Tensor>]) -> Vec<Host> {
        let zeros = |i: usize| Host::of(&self.inputs[i].tensor().zeros_like());
        let pairs = found.iter().zip(self.variables());
        pairs.map(|(g, i)| g.as_ref().map_or_else(|| zeros(i), Host::of)).collect()
    }

    fn weights(&self) -> Vec<Tensor> {
        self.weights.iter().map(Host::tensor).collect()
    }

    fn eager(&self, inputs: &[Host]) -> Result<(f64, Vec<Host>)> {
        let (sum, second) = self.program(&self.leaves(inputs), &self.weights())?;
        Ok((sum.to(DType::F64).try_item::<f64>()?, self.hosts(&second)))
    }

    fn traced(&self) -> Result<Vec<Host>> {
        let n = self.inputs.len();
        let traced = trace(|ts: &[Tensor]| {
            let (inputs, weights) = ts.split_at(n);
            self.program(inputs, weights).unwrap_or_else(|e| std::panic::resume_unwind(Box::new(e.to_string()))).1
        });
        let mut args = self.leaves(&self.inputs);
        args.extend(self.weights());
        Ok(self.hosts(&traced.call(&args)?))
    }

    /// Some coordinates of all variables, spread evenly.
    fn compare_with_differences(&self, second: &[Host]) -> Result<(), String> {
        let variables = self.variables();
        let all = variables.iter().enumerate().flat_map(|(v, &i)| {
            let n = self.inputs[i].shape.iter().product::<usize>();
            (0..n).map(move |at| (v, i, at))
        });
        let all: Vec<_> = all.collect();
        let scale = second.iter().flat_map(elements).filter(|x| x.is_finite()).fold(0.0f64, |m, x| m.max(x.abs()));
        for &(v, i, at) in all.iter().step_by(all.len().div_ceil(COORDINATES).max(1)) {
            let difference = |step: f64| self.difference(i, at, step);
            let (got, want) = (elements(&second[v])[at], difference(STEP)?);
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 + 1e-3 * b.abs() + 1e-6 * scale;
            // Where another step gives something else, the gradient has a jump, as at a tie.
            if want.is_finite() && !near(got, want) && near(difference(STEP / 8.0)?, want) {
                return Err(format!("second gradient {v} at element {at} is {got}, by differences {want}"));
            }
        }
        Ok(())
    }

    /// How the sum changes with one element, by differences.
    fn difference(&self, input: usize, at: usize, step: f64) -> Result<f64, String> {
        let moved = |by: f64| -> Result<f64, String> {
            let mut inputs = self.inputs.clone();
            let Data::F32(values) = &inputs[input].data else { return Err("a variable that is no float".into()) };
            let mut values: Vec<f64> = values.iter().map(|&x| x.into()).collect();
            values[at] += by;
            inputs[input].data = Data::F64(values);
            Ok(self.eager(&inputs).map_err(|e| e.to_string())?.0)
        };
        let near = moved(step)? - moved(-step)?;
        let far = moved(2.0 * step)? - moved(-2.0 * step)?;
        Ok((8.0 * near - far) / (12.0 * step))
    }
}

/// Numbers between 0.5 and 1.5 that are the same on every run.
fn weight(like: &Host, seed: usize) -> Host {
    let n = like.shape.iter().product::<usize>();
    let at = |i: usize| 0.5 + ((i + 1) * (seed + 7) * 37 % 101) as f32 / 101.0;
    Host { data: Data::F32((0..n).map(at).collect()), ..like.clone() }
}

fn elements(h: &Host) -> Vec<f64> {
    match &h.data {
        Data::F32(v) => v.iter().map(|&x| x.into()).collect(),
        Data::F64(v) => v.clone(),
        _ => Vec::new(),
    }
}
