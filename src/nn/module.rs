//! What every layer and model can do: name its parameters and switch between training and evaluation.

use crate::tensor::Tensor;
use crate::tensor::named::NamedTensors;

/// A layer or a model: a holder of parameters. Models of your own implement `named_parameters` by joining those of
/// their parts.
///
/// ```
/// use allotrope::prelude::*;
/// struct Net { hidden: nn::Linear, out: nn::Linear }
/// impl Module for Net {
///     fn visit(&self, f: &mut dyn FnMut(&str, &Tensor)) {
///         self.hidden.visit(&mut |name, t| f(&format!("hidden.{name}"), t));
///         self.out.visit(&mut |name, t| f(&format!("out.{name}"), t));
///     }
/// }
/// let net = Net { hidden: nn::Linear::new(2, 4), out: nn::Linear::new(4, 1) };
/// let names: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["hidden.weight", "hidden.bias", "out.weight", "out.bias"]);
/// ```
pub trait Module {
    /// Shows every parameter with its name, in order of definition, as PyTorch's `named_parameters`.
    fn visit(&self, f: &mut dyn FnMut(&str, &Tensor));

    /// The parameters in order.
    fn parameters(&self) -> Vec<Tensor> {
        let mut out = Vec::new();
        self.visit(&mut |_, t| out.push(t.clone()));
        out
    }

    /// The parameters with their names, in order.
    fn named_parameters(&self) -> Vec<(String, Tensor)> {
        let mut out = Vec::new();
        self.visit(&mut |name, t| out.push((name.to_string(), t.clone())));
        out
    }

    /// Switches to training (`true`) or evaluation; layers that behave alike in both have nothing to do.
    fn train(&self, _on: bool) {}

    /// Switches to evaluation.
    fn eval(&self) {
        self.train(false);
    }

    /// Forgets the gradients of all parameters.
    fn zero_grad(&self) {
        self.visit(&mut |_, t| t.set_grad(None));
    }
}

impl<M: Module + ?Sized> NamedTensors for M {
    fn named_tensors(&self) -> Vec<(String, Tensor)> {
        self.named_parameters()
    }
}
