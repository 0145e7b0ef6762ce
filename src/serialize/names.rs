//! Names for what a saved function has captured. They only name: what is saved is what the function uses.

use crate::tensor::named::NamedTensors;
use crate::tensor::{Flag, Generator, Tensor};

/// Names under which captured tensors, generators and switches are saved. What has none is called `state0`,
/// `generator0`, `flag0` and so on; a gradient is called after its tensor.
///
/// ```
/// use allotrope::{prelude::*, trace::Names};
/// let model = nn::Linear::new(3, 1);
/// let opt = optim::Adam::new(model.parameters(), 0.02);
/// let names = Names::new().module("", &model).tensors("adam", opt.state()).tensor("lr", opt.lr());
/// # let _ = names;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub(crate) tensors: Vec<(String, Tensor)>,
    pub(crate) generators: Vec<(String, Generator)>,
    pub(crate) flags: Vec<(String, Flag)>,
}

impl Names {
    /// No names yet.
    pub fn new() -> Names {
        Names::default()
    }

    /// Names a tensor; any handle to the same elements does.
    pub fn tensor(mut self, name: impl Into<String>, tensor: &Tensor) -> Names {
        self.tensors.push((name.into(), tensor.clone()));
        self
    }

    /// Names several tensors; with a prefix that is not empty, `prefix.name`.
    pub fn tensors<S: AsRef<str>>(mut self, prefix: &str, tensors: impl IntoIterator<Item = (S, Tensor)>) -> Names {
        self.tensors.extend(tensors.into_iter().map(|(name, t)| (joined(prefix, name.as_ref()), t)));
        self
    }

    /// Names the tensors of something that has names for them, such as the parameters of a module, with a prefix that is not empty `prefix.name`.
    pub fn module(self, prefix: &str, module: &(impl NamedTensors + ?Sized)) -> Names {
        self.tensors(prefix, module.named_tensors())
    }

    /// Names a generator.
    pub fn generator(mut self, name: impl Into<String>, generator: &Generator) -> Names {
        self.generators.push((name.into(), generator.clone()));
        self
    }

    /// Names a switch.
    pub fn flag(mut self, name: impl Into<String>, flag: &Flag) -> Names {
        self.flags.push((name.into(), flag.clone()));
        self
    }
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") }
}
