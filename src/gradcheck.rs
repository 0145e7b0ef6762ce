//! Whether a derivative is right: what `backward` gives against central differences, for every element of every input
//! and output, in f64. For tests of functions with derivatives of their own; it computes much and is for small tensors.

use crate::autograd::no_grad;
use crate::error::Error;
use crate::ops::{GradOptions, TensorTree, grad_with};
use crate::runtime::traced::trace;
use crate::tensor::Generator;
use crate::{DType, Tensor};
use std::fmt;

/// How [`GradCheck::first`] and [`GradCheck::second`] compare; PyTorch's numbers unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct GradCheck {
    /// Half the distance of the two points of a difference.
    pub eps: f64,
    /// How far both may be apart.
    pub atol: f64,
    /// How far both may be apart for each unit of the difference's magnitude.
    pub rtol: f64,
    /// Also demands the same bits of results and gradients when the function is traced.
    pub traced: bool,
}

impl Default for GradCheck {
    fn default() -> GradCheck {
        GradCheck { eps: 1e-6, atol: 1e-5, rtol: 1e-3, traced: false }
    }
}

/// The place where two derivatives are furthest apart, measured by what is allowed there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worst {
    /// Which of the inputs, and which of its elements in row-major order.
    pub input: usize,
    pub element: usize,
    /// Which of the results, and which of its elements.
    pub output: usize,
    pub output_element: usize,
    /// What the differences give.
    pub numerical: f64,
    /// What `backward` gives.
    pub analytical: f64,
}

impl fmt::Display for Worst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Worst { input, element, output, output_element, numerical, analytical } = self;
        write!(
            f,
            "the derivative of output {output}, element {output_element}, with respect to input {input}, element \
             {element}, is {analytical:e} by backward and {numerical:e} by differences"
        )
    }
}

/// Why a check failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GradCheckError {
    /// Both derivatives are too far apart.
    #[error("gradcheck: {0}")]
    Mismatch(Worst),
    /// The traced function gave other bits.
    #[error("gradcheck: {what} differs between the modes at element {element}: eager {eager:e}, traced {traced:e}")]
    Modes { what: String, element: usize, eager: f64, traced: f64 },
    /// The function or its derivative could not be computed, or the inputs can't be checked.
    #[error(transparent)]
    Failed(#[from] Error),
}

/// Checks the first derivative of `f` at `inputs` with PyTorch's tolerances; see [`GradCheck::first`].
///
/// ```
/// use allotrope::gradcheck::gradcheck;
/// use allotrope::prelude::*;
/// let x = Tensor::from_vec(vec![0.5f64, -1.5], &[2]).requires_grad();
/// gradcheck(|x| x[0].tanh() * &x[0], &[&x])?;
/// # Ok::<(), allotrope::gradcheck::GradCheckError>(())
/// ```
///
/// # Errors
/// As [`GradCheck::first`].
pub fn gradcheck<R: TensorTree>(f: impl Fn(&[Tensor]) -> R, inputs: &[&Tensor]) -> Result<(), GradCheckError> {
    GradCheck::default().first(f, inputs)
}

/// Checks the second derivative of `f` at `inputs` with PyTorch's tolerances; see [`GradCheck::second`].
///
/// # Errors
/// As [`GradCheck::second`].
pub fn gradgradcheck<R: TensorTree>(f: impl Fn(&[Tensor]) -> R, inputs: &[&Tensor]) -> Result<(), GradCheckError> {
    GradCheck::default().second(f, inputs)
}

impl GradCheck {
    /// Checks the derivative of every element of every floating-point result of `f` with respect to every element of
    /// every input that requires a gradient.
    ///
    /// # Errors
    /// When one is wrong (the error names the worst), when an input that requires a gradient is not f64 or there is none,
    /// and when computing fails.
    pub fn first<R: TensorTree>(&self, f: impl Fn(&[Tensor]) -> R, inputs: &[&Tensor]) -> Result<(), GradCheckError> {
        self.check(&|x| Ok(flat(f(x))), inputs)
    }

    /// Checks the derivative of the first derivative, with random gradients of the results, which are inputs then too:
    /// they come after those of `f`.
    ///
    /// # Errors
    /// As [`GradCheck::first`].
    pub fn second<R: TensorTree>(&self, f: impl Fn(&[Tensor]) -> R, inputs: &[&Tensor]) -> Result<(), GradCheckError> {
        let n = inputs.len();
        let seeds: Vec<Tensor> = random_like(&wanted(flat(f(&leaves(inputs)?))));
        let seeds: Vec<Tensor> = seeds.into_iter().map(Tensor::requires_grad).collect();
        let first = |all: &[Tensor]| {
            let (x, seeds) = all.split_at(n);
            // Where a difference moves an input it comes without history, and gets one for the first derivative.
            let moved: Vec<Tensor> = (x.iter().zip(inputs))
                .map(|(x, like)| match like.is_requires_grad() && !x.is_requires_grad() {
                    true => x.detach().requires_grad(),
                    false => x.clone(),
                })
                .collect();
            let outputs = crate::autograd::enable_grad(|| wanted(flat(f(&moved))));
            let outputs: Vec<&Tensor> = outputs.iter().collect();
            let seeds: Vec<Option<&Tensor>> = seeds.iter().map(Some).collect();
            let targets: Vec<&Tensor> = moved.iter().filter(|x| x.is_requires_grad()).collect();
            let how = GradOptions {
                grad_outputs: &seeds,
                create_graph: true,
                materialize_grads: true,
                ..GradOptions::default()
            };
            Ok(grad_with(&outputs, &targets, how)?.into_iter().flatten().collect())
        };
        let all: Vec<&Tensor> = inputs.iter().copied().chain(&seeds).collect();
        self.check(&first, &all)
    }

    fn check(
        &self,
        f: &dyn Fn(&[Tensor]) -> crate::error::Result<Vec<Tensor>>,
        inputs: &[&Tensor],
    ) -> Result<(), GradCheckError> {
        let x = leaves(inputs)?;
        let outputs = f(&x)?;
        let places: Vec<usize> = (0..x.len()).filter(|&i| x[i].is_requires_grad()).collect();
        let targets: Vec<&Tensor> = places.iter().map(|&i| &x[i]).collect();
        let numerical = places.iter().map(|&i| self.differences(f, &x, i)).collect::<crate::error::Result<Vec<_>>>()?;
        let mut worst: Option<(f64, Worst)> = None;
        for (output, y) in outputs.iter().enumerate().filter(|(_, y)| y.dtype().is_float()) {
            for output_element in 0..y.numel() {
                let rows = row(y, output_element, &targets)?;
                for ((&input, columns), row) in places.iter().zip(&numerical).zip(&rows) {
                    for (element, &analytical) in row.iter().enumerate() {
                        let numerical = columns[element][output][output_element];
                        let excess = (analytical - numerical).abs() / (self.atol + self.rtol * numerical.abs());
                        // A NaN is worse than anything.
                        let excess = if excess.is_nan() { f64::INFINITY } else { excess };
                        if worst.is_none_or(|(so_far, _)| excess > so_far) {
                            worst =
                                Some((excess, Worst { input, element, output, output_element, numerical, analytical }));
                        }
                    }
                }
            }
        }
        match worst {
            Some((excess, worst)) if excess > 1.0 => Err(GradCheckError::Mismatch(worst)),
            _ if self.traced => self.check_modes(f, &x, &outputs),
            _ => Ok(()),
        }
    }

    /// For each element of input `i`, the slopes of all elements of all results.
    fn differences(
        &self,
        f: &dyn Fn(&[Tensor]) -> crate::error::Result<Vec<Tensor>>,
        x: &[Tensor],
        i: usize,
    ) -> crate::error::Result<Vec<Vec<Vec<f64>>>> {
        let values = numbers(&x[i]);
        let at = |k: usize, by: f64| -> crate::error::Result<Vec<Vec<f64>>> {
            let mut moved = values.clone();
            moved[k] += by;
            let mut all: Vec<Tensor> = x.iter().map(Tensor::detach).collect();
            all[i] = Tensor::from_vec(moved, x[i].shape());
            Ok(no_grad(|| f(&all))?.iter().map(numbers).collect())
        };
        let slopes = |(up, down): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
            up.iter().zip(down).map(|(up, down)| (up - down) / (2.0 * self.eps)).collect()
        };
        (0..values.len()).map(|k| Ok(at(k, self.eps)?.iter().zip(&at(k, -self.eps)?).map(slopes).collect())).collect()
    }

    /// The same program eagerly and traced.
    fn check_modes(
        &self,
        f: &dyn Fn(&[Tensor]) -> crate::error::Result<Vec<Tensor>>,
        x: &[Tensor],
        outputs: &[Tensor],
    ) -> Result<(), GradCheckError> {
        let seeds = random_like(&wanted(outputs.to_vec()));
        let program = || -> Vec<Tensor> {
            let outputs = crate::error::must(f(x));
            let roots = wanted(outputs.clone());
            let roots: Vec<&Tensor> = roots.iter().collect();
            let targets: Vec<&Tensor> = x.iter().filter(|x| x.is_requires_grad()).collect();
            let seeds: Vec<Option<&Tensor>> = seeds.iter().map(Some).collect();
            let how = GradOptions { grad_outputs: &seeds, materialize_grads: true, ..GradOptions::default() };
            let mut all: Vec<Tensor> = outputs.iter().map(Tensor::detach).collect();
            if !roots.is_empty() {
                all.extend(crate::error::must(grad_with(&roots, &targets, how)).into_iter().flatten());
            }
            all
        };
        let eager = program();
        let traced = trace(program).call([])?;
        for (i, (a, b)) in eager.iter().zip(&traced).enumerate() {
            let what = match i.checked_sub(outputs.len()) {
                None => format!("output {i}"),
                Some(i) => format!("gradient {i}"),
            };
            let differ = |(a, b): (&f64, &f64)| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan());
            let (a, b) = (numbers(a), numbers(b));
            if let Some(element) = a.iter().zip(&b).position(differ) {
                return Err(GradCheckError::Modes { what, element, eager: a[element], traced: b[element] });
            }
        }
        Ok(())
    }
}

/// The derivatives of one element of `y` with respect to every element of each target.
fn row(y: &Tensor, element: usize, targets: &[&Tensor]) -> crate::error::Result<Vec<Vec<f64>>> {
    if !y.is_requires_grad() {
        return Ok(targets.iter().map(|x| vec![0.0; x.numel()]).collect());
    }
    let mut seed = vec![0.0; y.numel()];
    seed[element] = 1.0;
    let seed = Tensor::from_vec(seed, y.shape()).to(y.dtype());
    let how = GradOptions {
        grad_outputs: &[Some(&seed)],
        retain_graph: true,
        materialize_grads: true,
        ..GradOptions::default()
    };
    Ok(grad_with(&[y], targets, how)?.iter().flatten().map(numbers).collect())
}

/// Leaves with the elements of the inputs.
fn leaves(inputs: &[&Tensor]) -> Result<Vec<Tensor>, GradCheckError> {
    if let Some(i) = inputs.iter().position(|x| x.is_requires_grad() && x.dtype() != DType::F64) {
        let dtype = inputs[i].dtype();
        return Err(Error::argument(format!("gradcheck: input {i} is {dtype}; differences need f64")).into());
    }
    if !inputs.iter().any(|x| x.is_requires_grad()) {
        return Err(Error::argument("gradcheck: no input requires a gradient").into());
    }
    let leaf = |x: &&Tensor| match x.is_requires_grad() {
        true => Tensor::from_vec(numbers(x), x.shape()).requires_grad(),
        false => (*x).clone(),
    };
    Ok(inputs.iter().map(leaf).collect())
}

fn flat(tree: impl TensorTree) -> Vec<Tensor> {
    let mut out = Vec::new();
    tree.flatten(&mut out);
    out
}

/// Those that have a gradient.
fn wanted(outputs: Vec<Tensor>) -> Vec<Tensor> {
    outputs.into_iter().filter(|y| y.is_requires_grad()).collect()
}

/// Random numbers of the same shapes, the same ones each time.
fn random_like(tensors: &[Tensor]) -> Vec<Tensor> {
    let generator = Generator::new(20);
    tensors.iter().map(|t| generator.randn(t.shape(), t.dtype())).collect()
}

/// Every element as f64.
fn numbers(t: &Tensor) -> Vec<f64> {
    t.detach().to(DType::F64).to_vec::<f64>()
}
