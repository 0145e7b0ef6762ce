//! From the things of a pickle to a value. Things that are used often are copied each time, so how much that makes, and how deep, is
//! limited by the pickle's own length.

use super::{DEEPEST, Id, Node, Pickle, Storage, TensorNode};
use crate::state::Value;
use crate::tensor::Tensor;
use std::collections::{HashMap, HashSet};

/// Values for each byte of a pickle: more come only of things that hold one another many times over.
const VALUES: usize = 64;

/// What a pickle holds; `tensor` makes a tensor over a storage.
///
/// # Errors
/// When it holds itself or is too deep, a dictionary has one key twice, or `tensor` fails.
pub(in super::super) fn converted(
    pickle: &Pickle,
    tensor: &mut dyn FnMut(&TensorNode, &Storage) -> Result<Tensor, String>,
) -> Result<Value, String> {
    let left = pickle.len.saturating_mul(VALUES);
    let mut c = Converter { nodes: &pickle.nodes, left, tensor, tensors: HashMap::new() };
    c.value(pickle.root, 0)
}

struct Converter<'a> {
    nodes: &'a [Node],
    left: usize,
    tensor: &'a mut dyn FnMut(&TensorNode, &Storage) -> Result<Tensor, String>,
    /// Those that are made: one tensor in two places remains one.
    tensors: HashMap<Id, Tensor>,
}

impl Converter<'_> {
    fn value(&mut self, id: Id, depth: usize) -> Result<Value, String> {
        if depth > DEEPEST {
            return Err(format!("has lists or dictionaries that are more than {DEEPEST} deep, or hold themselves"));
        }
        self.left = self.left.checked_sub(1).ok_or("holds the same things so often that it is meant to do harm")?;
        let nodes = self.nodes;
        let all =
            |c: &mut Self, ids: &[Id]| ids.iter().map(|&id| c.value(id, depth + 1)).collect::<Result<Vec<_>, _>>();
        Ok(match &nodes[id] {
            Node::None => Value::None,
            Node::Bool(b) => Value::Bool(*b),
            Node::Int(n) => Value::Int(*n),
            Node::Float(x) => Value::Float(*x),
            Node::Str(text) => {
                self.left = self
                    .left
                    .checked_sub(text.len())
                    .ok_or("holds the same text so often that it is meant to do harm")?;
                Value::Str(text.clone())
            }
            Node::Tuple(ids) => Value::Tuple(all(self, ids)?),
            Node::List(ids) => Value::List(all(self, ids)?),
            Node::Dict(entries) => {
                let mut seen = HashSet::new();
                let mut out = Vec::new();
                for &(key, value) in entries {
                    let shown = match &nodes[key] {
                        Node::Str(text) => format!("{text:?}"),
                        Node::Int(n) => n.to_string(),
                        other => {
                            let kind = other.kind();
                            return Err(format!(
                                "has a dictionary with {kind} for a key; keys are text or whole numbers"
                            ));
                        }
                    };
                    if seen.contains(&shown) {
                        return Err(format!("has a dictionary with the key {shown} twice"));
                    }
                    seen.insert(shown);
                    out.push((self.value(key, depth + 1)?, self.value(value, depth + 1)?));
                }
                Value::Dict(out)
            }
            Node::Tensor(t) => {
                if let Some(made) = self.tensors.get(&id) {
                    return Ok(Value::Tensor(made.clone()));
                }
                let Node::Storage(storage) = &nodes[t.storage] else {
                    unreachable!("bug in allotrope: a tensor is made over a storage");
                };
                let made = (self.tensor)(t, storage)?;
                self.tensors.insert(id, made.clone());
                Value::Tensor(made)
            }
            other @ (Node::Global(_) | Node::Storage(_)) => {
                return Err(format!(
                    "holds {} where a value should be; save tensors, not their storages",
                    other.kind()
                ));
            }
        })
    }
}
