//! Reads the cases of one module class: `NAME.json` and the tensors in `NAME.safetensors`. Nothing is computed here.

use crate::corpus::{self, Host, Sample};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// One case.
pub struct ModuleCase {
    pub id: String,
    pub training: bool,
    pub seed: u64,
    /// The arguments of the constructor.
    pub constructor: Sample,
    pub repr: String,
    /// The state dict of the new module: name, key.
    pub state: Vec<(String, String)>,
    /// The arguments of the call.
    pub call: Sample,
    /// The tensors among the results, each with the gradient to send back.
    pub outputs: Vec<(String, Option<String>)>,
    /// Input, its gradient; none where nothing flows to it.
    pub input_grads: Vec<(String, Option<String>)>,
    /// Parameter, its gradient; none where nothing flows to it.
    pub parameter_grads: Vec<(String, Option<String>)>,
    pub buffers_after: Vec<(String, String)>,
}

/// The cases of one class with their tensors.
pub struct ModuleFile {
    pub cases: Vec<ModuleCase>,
    pub tensors: HashMap<String, Host>,
}

impl ModuleFile {
    /// Reads both files.
    ///
    /// # Panics
    /// When they are not as the format says.
    pub fn read(folder: &Path, class: &str) -> ModuleFile {
        let path = folder.join(format!("{class}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let cases: Vec<Written> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let tensors = corpus::tensors(&folder.join(format!("{class}.safetensors")));
        ModuleFile { cases: cases.into_iter().map(ModuleCase::of).collect(), tensors }
    }
}

impl ModuleCase {
    fn of(written: Written) -> ModuleCase {
        let w = written;
        let sample = |args: &[Value], kwargs: &InOrder<Value>| {
            let kwargs = kwargs.0.iter().map(|(name, v)| (name.clone(), corpus::value(v)));
            Sample::call(&w.module, args.iter().map(corpus::value).collect(), kwargs.collect())
        };
        assert_eq!(w.outputs.len(), w.grad_outputs.len(), "{}: results and their gradients", w.id);
        let outputs = w.outputs.iter().zip(&w.grad_outputs);
        ModuleCase {
            constructor: sample(&w.constructor_args, &w.constructor_kwargs),
            call: sample(&w.args, &w.kwargs),
            outputs: outputs.filter_map(|(y, g)| Some((y.clone()?, g.clone()))).collect(),
            id: w.id,
            training: w.training,
            seed: w.seed,
            repr: w.repr,
            state: w.state.0,
            input_grads: w.input_grads.0,
            parameter_grads: w.parameter_grads.0,
            buffers_after: w.buffers_after.0,
        }
    }
}

/// A case as the file has it.
#[derive(serde::Deserialize)]
struct Written {
    id: String,
    module: String,
    training: bool,
    seed: u64,
    constructor_args: Vec<Value>,
    constructor_kwargs: InOrder<Value>,
    repr: String,
    state: InOrder<String>,
    args: Vec<Value>,
    kwargs: InOrder<Value>,
    outputs: Vec<Option<String>>,
    grad_outputs: Vec<Option<String>>,
    input_grads: InOrder<Option<String>>,
    parameter_grads: InOrder<Option<String>>,
    buffers_after: InOrder<String>,
}

/// The entries of an object in the order of the file, which is that of PyTorch's dictionaries.
struct InOrder<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InOrder<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = InOrder<T>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(InOrder(entries))
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}
