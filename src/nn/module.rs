//! What every layer and model can do. A module shows its parameters, buffers, flags and children to a visitor; everything
//! else follows from that and stands here. It computes nothing: the forward pass is a method of its own.

use super::{loading, repr};
use crate::error::{Error, Result, must};
use crate::ops::To;
use crate::state::StateDict;
use crate::tensor::named::NamedTensors;
use crate::tensor::{Flag, Tensor};
use std::collections::{HashMap, HashSet};

/// What looks at a module. Each method is told the name of a field; what a visitor does not ask for it need not implement.
pub trait Visitor {
    /// A tensor that is trained.
    fn parameter(&mut self, _name: &str, _tensor: &Tensor) {}
    /// A tensor that is kept with the model and not trained, as a running mean.
    fn buffer(&mut self, _name: &str, _tensor: &Tensor) {}
    /// A switch. The one named `training` is set by [`Module::train`].
    fn flag(&mut self, _name: &str, _flag: &Flag) {}
    /// A module inside of this one.
    fn child(&mut self, _name: &str, _module: &dyn Module) {}
}

/// A layer or a model, `torch.nn.Module`. `#[derive(Module)]` writes it, and [`Display`](std::fmt::Display) with it, for a struct of
/// layers, tensors, and options, vectors and maps of them:
///
/// ```
/// use allotrope::prelude::*;
///
/// #[derive(Module)]
/// struct Net { hidden: nn::Linear, out: Option<nn::Linear>, scale: Tensor }
///
/// let net = Net {
///     hidden: nn::Linear::new(2, 4),
///     out: Some(nn::Linear::new(4, 1)),
///     scale: Tensor::ones(&[1], DType::F32).requires_grad(),
/// };
/// let names: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["scale", "hidden.weight", "hidden.bias", "out.weight", "out.bias"]);
/// assert_eq!(
///     net.to_string(),
///     "Net(\n  (hidden): Linear(in_features=2, out_features=4, bias=True)\n  (out): Linear(in_features=4, out_features=1, bias=True)\n)"
/// );
/// ```
///
/// A tensor is a parameter; with `#[module(buffer)]` on the field it is a buffer, and `#[module(skip)]` leaves a field out.
/// On the struct, `#[module(name = "LSTM")]` is the name to print and `#[module(extra_repr = Self::sizes)]` a method `fn(&self) -> String`
/// that says what stands between the parentheses.
pub trait Module {
    /// Shows every field to the visitor, in order of definition.
    fn visit(&self, visitor: &mut dyn Visitor);

    /// Puts another tensor in place of each parameter and buffer, for [`Module::to`]. `derive(Module)` writes it.
    ///
    /// # Errors
    /// When `f` fails, and where a module does not implement it.
    fn map_tensors(&mut self, _f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
        let class = self.class_name();
        Err(Error::argument(format!(
            "{class} has no `map_tensors`, so its tensors cannot be replaced; `#[derive(Module)]` writes it"
        )))
    }

    /// The name that is printed.
    fn class_name(&self) -> &'static str {
        let full = std::any::type_name::<Self>();
        let plain = full.split('<').next().unwrap_or(full);
        plain.rsplit("::").next().unwrap_or(plain)
    }

    /// What is printed between the parentheses, as PyTorch's `extra_repr`.
    fn extra_repr(&self) -> String {
        String::new()
    }

    /// The module as PyTorch prints it.
    fn repr(&self) -> String {
        let mut children = Children::default();
        self.visit(&mut children);
        repr::module(self.class_name(), &self.extra_repr(), &children.0)
    }

    /// The parameters in order, each once, however many modules have it. As in PyTorch those of a module come before those of
    /// its children.
    fn parameters(&self) -> Vec<Tensor> {
        self.named_parameters().into_iter().map(|(_, t)| t).collect()
    }

    /// The parameters with their names, as [`Module::parameters`].
    fn named_parameters(&self) -> Vec<(String, Tensor)> {
        let mut seen = HashSet::new();
        entries(self).into_iter().filter(|e| e.is_parameter && seen.insert(e.tensor.id())).map(Entry::named).collect()
    }

    /// The buffers with their names, each once.
    fn named_buffers(&self) -> Vec<(String, Tensor)> {
        let mut seen = HashSet::new();
        entries(self).into_iter().filter(|e| !e.is_parameter && seen.insert(e.tensor.id())).map(Entry::named).collect()
    }

    /// The buffers in order.
    fn buffers(&self) -> Vec<Tensor> {
        self.named_buffers().into_iter().map(|(_, t)| t).collect()
    }

    /// Calls `f` with each module inside of this one and its path, `encoder.0.linear`; parents come before their children.
    fn for_each_module(&self, f: &mut dyn FnMut(&str, &dyn Module)) {
        struct Inner<'a> {
            path: &'a str,
            f: &'a mut dyn FnMut(&str, &dyn Module),
        }
        impl Visitor for Inner<'_> {
            fn child(&mut self, name: &str, module: &dyn Module) {
                let path = joined(self.path, name);
                (self.f)(&path, module);
                module.visit(&mut Inner { path: &path, f: self.f });
            }
        }
        self.visit(&mut Inner { path: "", f });
    }

    /// Switches to training (`true`) or evaluation, for this module and all inside of it. A compiled trace has a variant for each.
    fn train(&self, on: bool) {
        struct Training(bool);
        impl Visitor for Training {
            fn flag(&mut self, name: &str, flag: &Flag) {
                if name == "training" {
                    flag.set(self.0);
                }
            }
            fn child(&mut self, _: &str, module: &dyn Module) {
                module.visit(self);
            }
        }
        self.visit(&mut Training(on));
    }

    /// Switches to evaluation.
    fn eval(&self) {
        self.train(false);
    }

    /// Forgets the gradients of all parameters.
    fn zero_grad(&self) {
        self.parameters().iter().for_each(|p| p.set_grad(None));
    }

    /// Whether operations are to record gradients for the parameters: `false` freezes a pretrained part.
    fn set_requires_grad(&self, on: bool) {
        self.parameters().iter().for_each(|p| p.set_requires_grad(on));
    }

    /// Parameters and buffers by name, under PyTorch's keys. They are the model's own tensors, as in PyTorch: see [`StateDict::copy`].
    fn state_dict(&self) -> StateDict {
        entries(self).into_iter().map(|e| (e.name, e.tensor.detach())).collect()
    }

    /// Copies the tensors of `state` into the parameters and buffers of the same names, in place, so that optimizers and
    /// compiled traces go on with them. Dtype and device remain the model's.
    ///
    /// # Errors
    /// When names are missing or left over, or shapes differ; all of them are named, and nothing is changed.
    fn load_state_dict(&self, state: &StateDict) -> Result<()> {
        loading::load(self.class_name(), &own_tensors(self), state, true).map(drop)
    }

    /// As [`Module::load_state_dict`] with PyTorch's `strict=False`: names that only one of both has are left alone, and returned.
    ///
    /// # Errors
    /// When shapes differ; nothing is changed.
    fn load_state_dict_partial(&self, state: &StateDict) -> Result<IncompatibleKeys> {
        loading::load(self.class_name(), &own_tensors(self), state, false)
    }

    /// The module with its tensors as another dtype (floating-point ones only), or on another device. The parameters are new
    /// tensors: make the optimizer, and traces, afterwards.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let layer = nn::Linear::new(3, 2).to(DType::F64);
    /// assert_eq!(layer.weight.dtype(), DType::F64);
    /// ```
    ///
    /// # Panics
    /// Where [`Module::try_to`] fails.
    #[track_caller]
    fn to(self, target: impl Into<To>) -> Self
    where
        Self: Sized,
    {
        must(self.try_to(target))
    }

    /// As [`Module::to`].
    ///
    /// # Errors
    /// When the device cannot be had, a module in it has no [`Module::map_tensors`], or one is shared.
    #[track_caller]
    fn try_to(mut self, target: impl Into<To>) -> Result<Self>
    where
        Self: Sized,
    {
        let target: To = target.into();
        // All of them first, so that a failure leaves no half of a model; a tensor in two places remains one.
        let mut moved: HashMap<usize, Tensor> = HashMap::new();
        for entry in entries(&self) {
            let to = |t: &Tensor| t.try_to(if t.dtype().is_float() { target } else { target.device_only() });
            let old = &entry.tensor;
            if let std::collections::hash_map::Entry::Vacant(place) = moved.entry(old.id()) {
                let new = to(&old.detach())?;
                new.set_requires_grad(old.is_requires_grad());
                if let Some(grad) = old.grad() {
                    new.set_grad(Some(to(&grad)?));
                }
                place.insert(new);
            }
        }
        self.map_tensors(&mut |t| Ok(moved.get(&t.id()).unwrap_or(t).clone()))?;
        Ok(self)
    }
}

/// The names that [`Module::load_state_dict_partial`] had no use for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncompatibleKeys {
    /// Those of the model that the state does not have.
    pub missing: Vec<String>,
    /// Those of the state that the model does not have.
    pub unexpected: Vec<String>,
}

/// A boxed module is that module.
impl<M: Module + ?Sized> Module for Box<M> {
    fn visit(&self, visitor: &mut dyn Visitor) {
        (**self).visit(visitor);
    }
    fn map_tensors(&mut self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
        (**self).map_tensors(f)
    }
    fn class_name(&self) -> &'static str {
        (**self).class_name()
    }
    fn extra_repr(&self) -> String {
        (**self).extra_repr()
    }
    fn repr(&self) -> String {
        (**self).repr()
    }
}

impl<M: Module + ?Sized> NamedTensors for M {
    fn named_tensors(&self) -> Vec<(String, Tensor)> {
        entries(self).into_iter().map(Entry::named).collect()
    }
}

/// A parameter or a buffer with its path.
struct Entry {
    name: String,
    tensor: Tensor,
    is_parameter: bool,
}

impl Entry {
    fn named(self) -> (String, Tensor) {
        (self.name, self.tensor)
    }
}

fn own_tensors<M: Module + ?Sized>(module: &M) -> Vec<(String, Tensor)> {
    entries(module).into_iter().map(Entry::named).collect()
}

/// All tensors in PyTorch's order: of each module its parameters, its buffers, and then its children.
fn entries<M: Module + ?Sized>(module: &M) -> Vec<Entry> {
    let mut out = Vec::new();
    let mut collect = |path: &str, own: Own| {
        for (is_parameter, tensors) in [(true, own.parameters), (false, own.buffers)] {
            out.extend(tensors.into_iter().map(|(name, tensor)| Entry {
                name: joined(path, &name),
                tensor,
                is_parameter,
            }));
        }
    };
    let mut own = Own::default();
    module.visit(&mut own);
    collect("", own);
    module.for_each_module(&mut |path, inner| {
        let mut own = Own::default();
        inner.visit(&mut own);
        collect(path, own);
    });
    out
}

/// What a module has itself.
#[derive(Default)]
struct Own {
    parameters: Vec<(String, Tensor)>,
    buffers: Vec<(String, Tensor)>,
}

impl Visitor for Own {
    fn parameter(&mut self, name: &str, tensor: &Tensor) {
        self.parameters.push((name.to_string(), tensor.clone()));
    }
    fn buffer(&mut self, name: &str, tensor: &Tensor) {
        self.buffers.push((name.to_string(), tensor.clone()));
    }
}

/// The children as they are printed.
#[derive(Default)]
struct Children(Vec<(String, String)>);

impl Visitor for Children {
    fn child(&mut self, name: &str, module: &dyn Module) {
        self.0.push((name.to_string(), module.repr()));
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}
