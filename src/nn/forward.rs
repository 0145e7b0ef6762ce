//! Modules that take one tensor and give one, and what holds them in a row or by name: `Sequential`, `ModuleList`, `ModuleDict`.

use super::field::list_repr;
use super::module::{Module, Visitor};
use crate::error::Result;
use crate::tensor::Tensor;
use std::fmt;
use std::ops::Index;

/// A module that makes one tensor of one. Implement it for a model of your own to put it into a [`Sequential`].
///
/// ```
/// use allotrope::prelude::*;
///
/// #[derive(Module)]
/// struct Residual { inner: nn::Linear }
///
/// impl Forward for Residual {
///     fn forward(&self, x: &Tensor) -> Tensor {
///         x + self.inner.forward(x)
///     }
/// }
///
/// let net = nn::Sequential::new().append(Residual { inner: nn::Linear::new(3, 3) }).append(nn::Linear::new(3, 1));
/// assert_eq!(net.forward(&randn(&[2, 3])).shape(), [2, 1]);
/// ```
pub trait Forward: Module {
    /// The forward pass.
    ///
    /// # Panics
    /// When the input does not fit; the layers of this library panic at the caller's line.
    fn forward(&self, x: &Tensor) -> Tensor;

    /// As [`Forward::forward`]; the layers of this library return what does not fit.
    ///
    /// # Errors
    /// When the input does not fit.
    fn try_forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.forward(x))
    }
}

impl<M: Forward + ?Sized> Forward for Box<M> {
    #[track_caller]
    fn forward(&self, x: &Tensor) -> Tensor {
        (**self).forward(x)
    }
    fn try_forward(&self, x: &Tensor) -> Result<Tensor> {
        (**self).try_forward(x)
    }
}

/// Implements [`Forward`] for layers, of one definition that returns a `Result`.
macro_rules! forward {
    ($( $ty:ty: |$this:ident, $x:ident| $body:expr; )*) => {$(
        impl $crate::nn::Forward for $ty {
            #[track_caller]
            fn forward(&self, x: &$crate::tensor::Tensor) -> $crate::tensor::Tensor {
                $crate::error::must($crate::nn::Forward::try_forward(self, x))
            }
            #[track_caller]
            fn try_forward(&self, $x: &$crate::tensor::Tensor) -> $crate::error::Result<$crate::tensor::Tensor> {
                let $this = self;
                $crate::error::called($body)
            }
        }
    )*};
}
pub(super) use forward;

/// Modules one after the other, each fed with what the one before gives, `torch.nn.Sequential`.
///
/// ```
/// use allotrope::prelude::*;
/// let net = nn::Sequential::new().append(nn::Linear::new(2, 4)).append_named("out", nn::Linear::new(4, 1));
/// let names: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["0.weight", "0.bias", "out.weight", "out.bias"]);
/// ```
#[derive(Default)]
pub struct Sequential {
    modules: Vec<(String, Box<dyn Forward>)>,
}

impl Sequential {
    /// Without a module it gives its input.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// Appends a module, named by its place.
    #[must_use]
    pub fn append(self, module: impl Forward + 'static) -> Sequential {
        let name = self.modules.len().to_string();
        self.append_named(name, module)
    }

    /// Appends a module with a name; a module that had the name gives its place to it.
    #[must_use]
    pub fn append_named(mut self, name: impl Into<String>, module: impl Forward + 'static) -> Sequential {
        let name = name.into();
        let module: Box<dyn Forward> = Box::new(module);
        match self.modules.iter_mut().find(|(n, _)| *n == name) {
            Some(place) => place.1 = module,
            None => self.modules.push((name, module)),
        }
        self
    }

    pub fn len(&self) -> usize {
        self.modules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    /// The modules in order.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Forward> {
        self.modules.iter().map(|(_, module)| &**module)
    }
}

/// The module at a place.
impl Index<usize> for Sequential {
    type Output = dyn Forward;

    fn index(&self, place: usize) -> &Self::Output {
        &*self.modules[place].1
    }
}

impl Module for Sequential {
    fn visit(&self, visitor: &mut dyn Visitor) {
        self.modules.iter().for_each(|(name, module)| visitor.child(name, module));
    }
    fn map_tensors(&mut self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
        self.modules.iter_mut().try_for_each(|(_, module)| module.map_tensors(f))
    }
}

impl Forward for Sequential {
    #[track_caller]
    fn forward(&self, x: &Tensor) -> Tensor {
        self.iter().fold(x.clone(), |x, module| module.forward(&x))
    }
    fn try_forward(&self, x: &Tensor) -> Result<Tensor> {
        self.iter().try_fold(x.clone(), |x, module| module.try_forward(&x))
    }
}

/// Modules in a list, `torch.nn.ModuleList`. `Vec<M>` is one too, where all are of one type.
#[derive(Default)]
pub struct ModuleList<M: Module + ?Sized = dyn Forward> {
    modules: Vec<Box<M>>,
}

impl<M: Module + ?Sized> ModuleList<M> {
    /// A list of boxed modules, `vec![Box::new(a), Box::new(b)]`.
    pub fn new(modules: Vec<Box<M>>) -> ModuleList<M> {
        ModuleList { modules }
    }

    pub fn push(&mut self, module: Box<M>) {
        self.modules.push(module);
    }

    pub fn len(&self) -> usize {
        self.modules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &M> {
        self.modules.iter().map(|module| &**module)
    }
}

impl<M: Module + ?Sized> Index<usize> for ModuleList<M> {
    type Output = M;

    fn index(&self, place: usize) -> &M {
        &self.modules[place]
    }
}

impl<M: Module + ?Sized> Module for ModuleList<M> {
    fn visit(&self, visitor: &mut dyn Visitor) {
        self.modules.iter().enumerate().for_each(|(i, module)| visitor.child(&i.to_string(), module));
    }
    fn map_tensors(&mut self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
        self.modules.iter_mut().try_for_each(|module| module.map_tensors(f))
    }
    fn repr(&self) -> String {
        list_repr(self.class_name(), |visitor| self.visit(visitor))
    }
}

/// Modules by name in the order of insertion, `torch.nn.ModuleDict`.
#[derive(Default)]
pub struct ModuleDict<M: Module + ?Sized = dyn Forward> {
    modules: Vec<(String, Box<M>)>,
}

impl<M: Module + ?Sized> ModuleDict<M> {
    /// A dictionary of boxed modules.
    pub fn new<N: Into<String>>(modules: impl IntoIterator<Item = (N, Box<M>)>) -> ModuleDict<M> {
        let mut all = ModuleDict { modules: Vec::new() };
        modules.into_iter().for_each(|(name, module)| all.insert(name, module));
        all
    }

    /// Puts a module in; one that had the name gives its place to it.
    pub fn insert(&mut self, name: impl Into<String>, module: Box<M>) {
        let name = name.into();
        match self.modules.iter_mut().find(|(n, _)| *n == name) {
            Some(place) => place.1 = module,
            None => self.modules.push((name, module)),
        }
    }

    pub fn get(&self, name: &str) -> Option<&M> {
        self.modules.iter().find(|(n, _)| n == name).map(|(_, module)| &**module)
    }

    /// Names and modules in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &M)> {
        self.modules.iter().map(|(name, module)| (name.as_str(), &**module))
    }

    pub fn len(&self) -> usize {
        self.modules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }
}

impl<M: Module + ?Sized> Module for ModuleDict<M> {
    fn visit(&self, visitor: &mut dyn Visitor) {
        self.modules.iter().for_each(|(name, module)| visitor.child(name, module));
    }
    fn map_tensors(&mut self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
        self.modules.iter_mut().try_for_each(|(_, module)| module.map_tensors(f))
    }
}

impl fmt::Display for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repr())
    }
}

impl<M: Module + ?Sized> fmt::Display for ModuleList<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repr())
    }
}

impl<M: Module + ?Sized> fmt::Display for ModuleDict<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repr())
    }
}
