//! Functions whose derivative the user writes, as `torch.autograd.Function`. Both halves are compositions of operations,
//! so they are traced, and differentiated again, like anything else.

use super::grad_mode::{is_grad_enabled, no_grad};
use super::saved::Saved;
use super::tape;
use crate::error::{Error, Result, called, must, raise};
use crate::mode::values::full_of;
use crate::tensor::grad_fn::{Edge, Grads};
use crate::tensor::view::Creation;
use crate::tensor::{Sizes, Tensor};
use allotrope_ir::{DType, Scalar};
use std::any::Any;
use std::sync::Arc;

/// A function with a derivative of its own. What is no tensor (a scale, an axis) are fields of the type, or is handed
/// from forward to backward by [`FunctionContext::put`].
///
/// ```
/// use allotrope::prelude::*;
///
/// struct MyRelu;
/// impl Function for MyRelu {
///     fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
///         ctx.save_for_backward(&[inputs[0]]);
///         vec![inputs[0].relu()]
///     }
///     fn backward(&self, ctx: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
///         let x = &ctx.saved_tensors()[0];
///         vec![Some(grads[0].where_self(&x.ge(0.0), &x.zeros_like()))]
///     }
/// }
///
/// let x = Tensor::from_vec(vec![-1.0f32, 2.0], &[2]).requires_grad();
/// let y = MyRelu.apply1(&[&x]);
/// y.sum().backward();
/// assert_eq!(x.grad().unwrap().to_vec::<f32>(), [0.0, 1.0]);
/// ```
pub trait Function: Send + Sync + Sized + 'static {
    /// Computes the results. Nothing in it is recorded on the tape, whatever the inputs need.
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor>;

    /// The gradient of each input, from those of the results (zeros where none flows): one for each input, none where
    /// it has none. Each has the dtype and shape of its input.
    fn backward(&self, ctx: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>>;

    /// The name shown as `grad_fn`, the type's with "Backward" behind it unless said otherwise.
    fn name(&self) -> String {
        let full = std::any::type_name::<Self>();
        let plain = full.split('<').next().unwrap_or(full);
        format!("{}Backward", plain.rsplit("::").next().unwrap_or(plain))
    }

    /// Runs forward and records backward on the tape.
    ///
    /// # Panics
    /// Where [`Function::try_apply`] fails.
    #[track_caller]
    fn apply(self, inputs: &[&Tensor]) -> Vec<Tensor> {
        must(self.try_apply(inputs))
    }

    /// As [`Function::apply`], for a function of one result.
    ///
    /// # Panics
    /// Where [`Function::try_apply`] fails, and when there is not exactly one result.
    #[track_caller]
    fn apply1(self, inputs: &[&Tensor]) -> Tensor {
        let mut results = must(self.try_apply(inputs));
        match (results.pop(), results.is_empty()) {
            (Some(result), true) => result,
            (last, _) => {
                let n = results.len() + usize::from(last.is_some());
                raise(Error::operands("apply1", format!("the function has {n} results; use apply()")))
            }
        }
    }

    /// As [`Function::apply`].
    ///
    /// # Errors
    /// What is wrong with the gradients is known only in the backward pass, and an error of `backward` then. A panic of
    /// `forward` goes on.
    #[track_caller]
    fn try_apply(self, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        called(apply(self, inputs))
    }
}

/// What forward hands to backward.
#[derive(Default)]
pub struct FunctionContext {
    saved: Vec<Tensor>,
    non_differentiable: Vec<Tensor>,
    needs: Vec<bool>,
    value: Option<Arc<dyn Any + Send + Sync>>,
}

impl FunctionContext {
    /// Keeps inputs, results or other tensors for backward. They go when a graph is freed after its backward pass, and changing
    /// one of them in place before that is noticed.
    pub fn save_for_backward(&mut self, tensors: &[&Tensor]) {
        self.saved = tensors.iter().map(|t| (*t).clone()).collect();
    }

    /// The tensors that were saved, in order.
    pub fn saved_tensors(&self) -> &[Tensor] {
        &self.saved
    }

    /// Says that these results have no gradient.
    pub fn mark_non_differentiable(&mut self, results: &[&Tensor]) {
        self.non_differentiable.extend(results.iter().map(|t| (*t).clone()));
    }

    /// Whether the gradient of input `i` is wanted: backward need not compute others.
    ///
    /// # Panics
    /// When there is no such input.
    #[track_caller]
    pub fn needs_input_grad(&self, i: usize) -> bool {
        match self.needs.get(i) {
            Some(needed) => *needed,
            None => {
                let text = format!("input {i} does not exist, there are {}", self.needs.len());
                raise(Error::operands("needs_input_grad", text))
            }
        }
    }

    /// Hands something that is no tensor to backward.
    pub fn put<T: Any + Send + Sync>(&mut self, value: T) {
        self.value = Some(Arc::new(value));
    }

    /// What forward has put.
    ///
    /// # Panics
    /// When that was nothing, or of another type.
    #[track_caller]
    pub fn get<T: Any + Send + Sync>(&self) -> &T {
        match self.value.as_ref().and_then(|v| v.downcast_ref()) {
            Some(value) => value,
            None => {
                let text = format!("FunctionContext: forward has put no {}", std::any::type_name::<T>());
                raise(Error::argument(text))
            }
        }
    }
}

/// What backward must know of an input or a result.
struct Like {
    dtype: DType,
    sizes: Sizes,
    /// The numbers, for messages.
    shape: Vec<usize>,
}

impl Like {
    fn new(x: &Tensor) -> Like {
        Like { dtype: x.dtype(), sizes: x.sizes(), shape: x.shape_hint().to_vec() }
    }
}

fn apply<F: Function>(function: F, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    let recorded = is_grad_enabled() && inputs.iter().any(|x| x.is_requires_grad());
    let needs = inputs.iter().map(|x| recorded && x.is_requires_grad()).collect();
    let mut ctx = FunctionContext { needs, ..FunctionContext::default() };
    let mut results = no_grad(|| function.forward(&mut ctx, inputs));
    // An input, or anything else that is in other hands too, becomes a tensor of its own when it is given back: it has
    // another history from here on.
    let original = results.clone();
    for (i, y) in original.iter().enumerate() {
        let kept = ctx.saved.iter().chain(&ctx.non_differentiable).filter(|t| t.is_same(y)).count();
        if y.holders() > kept + 2 || original[..i].iter().any(|x| x.is_same(y)) {
            results[i] = y.alias();
        }
    }
    if !recorded {
        return Ok(results);
    }
    results.iter().for_each(|y| y.set_creation(Creation::Function));
    let differentiable: Vec<bool> = (original.iter())
        .map(|y| y.dtype().is_float() && !ctx.non_differentiable.iter().any(|t| t.is_same(y)))
        .collect();
    let saved: Vec<Saved> = std::mem::take(&mut ctx.saved)
        .iter()
        .map(|t| {
            let result = (0..original.len()).find(|&i| results[i].is_same(t) && differentiable[i]);
            result.map_or_else(|| Saved::operand(t), |i| Saved::output(&results[i], i as u32))
        })
        .collect();
    ctx.non_differentiable.clear();
    let likes: [Vec<Like>; 2] =
        [inputs.iter().map(|x| Like::new(x)).collect(), results.iter().map(Like::new).collect()];
    let edges = inputs.iter().map(|x| tape::edge_of(x)).collect();
    let name = function.name();
    let shown = name.clone();
    let node = tape::node(name, edges, true, move |c, grads| {
        let saved = saved.iter().map(|s| s.get(c.me)).collect::<Result<Vec<Tensor>>>()?;
        let ctx = FunctionContext {
            saved,
            non_differentiable: Vec::new(),
            needs: (0..likes[0].len()).map(|i| c.wants(i)).collect(),
            value: ctx.value.clone(),
        };
        let zeros = |like: &Like| full_of(&like.sizes, Scalar::from_f64(0.0, like.dtype));
        let grads = (likes[1].iter().enumerate())
            .map(|(i, like)| grads.get(i).cloned().flatten().map_or_else(|| zeros(like), Ok))
            .collect::<Result<Vec<Tensor>>>()?;
        fitting(&shown, function.backward(&ctx, &grads), &likes[0])
    });
    for (i, y) in results.iter().enumerate() {
        match differentiable[i] {
            true => y.set_grad_fn(Some(Edge::new(Arc::clone(&node), i as u32))),
            false => y.set_grad_fn(None),
        }
    }
    Ok(results)
}

/// The gradients, if they are what the inputs need.
fn fitting(name: &str, found: Vec<Option<Tensor>>, inputs: &[Like]) -> Result<Grads> {
    if found.len() != inputs.len() {
        return Err(Error::autograd(format!(
            "{name} gave {} gradients for {} inputs; give one for each, None where it has none",
            found.len(),
            inputs.len()
        )));
    }
    for (i, (g, like)) in found.iter().zip(inputs).enumerate() {
        let Some(g) = g else { continue };
        if g.dtype() != like.dtype || !g.has_sizes(&like.sizes) {
            return Err(Error::autograd(format!(
                "{name} gave a gradient {}{:?} for input {i}, which is {}{:?}; they must be alike",
                g.dtype(),
                g.shape_hint(),
                like.dtype,
                like.shape
            )));
        }
    }
    Ok(found.into_iter().collect())
}
