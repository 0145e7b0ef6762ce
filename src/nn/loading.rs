//! Loading a state dict into the tensors of a module: all of it or nothing.

use super::module::IncompatibleKeys;
use crate::autograd::no_grad;
use crate::error::{Error, Result};
use crate::state::StateDict;
use crate::tensor::Tensor;

/// Copies `state` into `own`, by name.
pub(super) fn load(class: &str, own: &[(String, Tensor)], state: &StateDict, strict: bool) -> Result<IncompatibleKeys> {
    let mut keys = IncompatibleKeys::default();
    let mut pairs = Vec::new();
    let mut wrong = Vec::new();
    for (name, target) in own {
        match state.get(name) {
            None => keys.missing.push(name.clone()),
            Some(source) if source.shape_hint() != target.shape_hint() => wrong.push(format!(
                "size mismatch for {name}: the state has {:?}, the model {:?}",
                source.shape_hint(),
                target.shape_hint()
            )),
            Some(source) => pairs.push((target, source)),
        }
    }
    let has = |name: &str| own.iter().any(|(n, _)| n == name);
    keys.unexpected = state.names().filter(|name| !has(name)).map(str::to_string).collect();
    if strict {
        for (what, names) in [("missing", &keys.missing), ("unexpected", &keys.unexpected)] {
            if !names.is_empty() {
                wrong.push(format!("{what} in the state: {}", names.join(", ")));
            }
        }
    }
    if !wrong.is_empty() {
        return Err(Error::argument(format!("load_state_dict of {class}: {}", wrong.join("; "))));
    }
    // What could still fail, memory on the way to a device, fails before the first is changed.
    let sources: Vec<Tensor> =
        pairs.iter().map(|(target, source)| source.detach().try_to(target.device())).collect::<Result<_>>()?;
    no_grad(|| pairs.iter().zip(&sources).try_for_each(|((target, _), source)| target.try_copy_(source).map(drop)))?;
    Ok(keys)
}
