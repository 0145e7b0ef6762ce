//! Tensors in the files of other libraries: safetensors, PyTorch's `.pt` and `.pth`, NumPy's `.npy` and `.npz`. Whatever writes leaves
//! the old file whole until the new one is; whatever reads believes no number of a file before it has looked. Nothing here
//! knows a model, an optimizer, a graph or a device.
//!
//! ```
//! use allotrope::{io, prelude::*, state::Value};
//! let folder = std::env::temp_dir().join(format!("allotrope-io-{}", std::process::id()));
//! std::fs::create_dir_all(&folder).unwrap();
//! let model = nn::Linear::new(3, 2);
//! io::save_safetensors(folder.join("model.safetensors"), &model.state_dict())?;
//! let other = nn::Linear::new(3, 2);
//! other.load_state_dict(&io::load_safetensors(folder.join("model.safetensors"))?)?;
//! assert_eq!(other.weight.to_vec::<f32>(), model.weight.to_vec::<f32>());
//!
//! // What `torch.load` reads: a whole checkpoint.
//! let checkpoint = Value::dict([("epoch", Value::from(3)), ("model", Value::from(model.state_dict()))]);
//! io::save(folder.join("checkpoint.pt"), &checkpoint)?;
//! let checkpoint = io::load(folder.join("checkpoint.pt"))?;
//! assert_eq!(checkpoint.get("epoch").and_then(Value::as_int), Some(3));
//! # std::fs::remove_dir_all(folder).unwrap();
//! # Ok::<(), allotrope::Error>(())
//! ```

mod archive;
mod npy;
mod npz;
mod pickle;
mod pt;
mod safetensors;

pub use npy::{load_npy, save_npy};
pub use npz::{load_npz, save_npz};
pub use pt::{load, save};
pub use safetensors::{
    load_safetensors, load_safetensors_with_metadata, save_safetensors, save_safetensors_with_metadata,
};

use crate::error::Result;
use crate::mode::values;
use std::panic::Location;

/// That no trace is recorded: what a file holds would become part of the compiled program.
fn outside_of_traces(what: &str, at: &'static Location<'static>) -> Result<()> {
    values::no_host_read(what, at)
}
