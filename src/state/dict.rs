//! Tensors by name, in order: what `torch.nn.Module.state_dict` gives.

use crate::tensor::Tensor;
use std::collections::HashMap;

/// Tensors by name, in the order in which they were put in.
///
/// The tensors are those of the model, not copies: training goes on changing them. [`StateDict::copy`] is a picture of now.
///
/// ```
/// use allotrope::prelude::*;
/// let layer = nn::Linear::new(3, 2);
/// let state = layer.state_dict();
/// assert_eq!(state.names().collect::<Vec<_>>(), ["weight", "bias"]);
/// assert_eq!(state.get("bias").unwrap().shape(), [2]);
/// ```
#[derive(Clone, Default)]
pub struct StateDict {
    entries: Vec<(String, Tensor)>,
    places: HashMap<String, usize>,
}

impl StateDict {
    pub fn new() -> StateDict {
        StateDict::default()
    }

    /// Puts a tensor in; one that had the name gives its place to it and is returned.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) -> Option<Tensor> {
        let name = name.into();
        match self.places.get(&name) {
            Some(&place) => Some(std::mem::replace(&mut self.entries[place].1, tensor)),
            None => {
                self.places.insert(name.clone(), self.entries.len());
                self.entries.push((name, tensor));
                None
            }
        }
    }

    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.places.get(name).map(|&place| &self.entries[place].1)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// Names and tensors in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The same names with tensors of their own, which nothing changes any more.
    pub fn copy(&self) -> StateDict {
        self.iter().map(|(name, tensor)| (name.to_string(), tensor.detach().copy())).collect()
    }
}

impl<N: Into<String>> FromIterator<(N, Tensor)> for StateDict {
    fn from_iter<I: IntoIterator<Item = (N, Tensor)>>(entries: I) -> StateDict {
        let mut all = StateDict::new();
        for (name, tensor) in entries {
            all.insert(name, tensor);
        }
        all
    }
}

impl IntoIterator for StateDict {
    type Item = (String, Tensor);
    type IntoIter = std::vec::IntoIter<(String, Tensor)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}
