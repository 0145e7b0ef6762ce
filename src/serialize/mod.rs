//! Traced functions in files: saving what was captured with its state, and running it again without the closure. The
//! text form is [`allotrope_ir::saved`]'s; nothing is recorded here.

mod describe;
mod files;
mod memory;
mod names;
mod rebuild;

pub use crate::serialize::names::Names;

use crate::capture::symbols::Binding;
use crate::device::{self, Device, default_device};
use crate::error::{Error, Result};
use crate::file::{file_error, read_whole};
use crate::inspect::explain::Explanation;
use crate::mode;
use crate::runtime::traced::{Traced, not_recording};
use crate::runtime::variant::Variant;
use crate::serialize::files::{Elements, Pair};
use crate::serialize::rebuild::LoadedState;
use crate::tensor::grad_fn::next_seq;
use crate::tensor::{Flag, Generator, Tensor};
use allotrope_ir::saved;
use allotrope_ir::{Bounds, DType};
use parking_lot::Mutex;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A traced function that was saved, loaded: it runs without the closure that it was captured from.
///
/// It has the variants that had been compiled when it was saved, and state of its own: parameters, buffers, optimizer
/// moments, gradients, generators and switches, under their names. Calls change the state as they did before, so training
/// goes on where it was saved, to the bit; [`Program::save`] saves it again. Numbers from the process's own generator go
/// on from where that is in this process: [`crate::tensor::random::get_rng_state`] and
/// [`crate::tensor::random::set_rng_state`] carry it over.
///
/// ```
/// use allotrope::{prelude::*, trace::{Names, Program}};
/// let w = Tensor::full(&[3], 2.0f32);
/// let step = trace(|x: &Tensor| { w.add_(1.0); x * &w });
/// step.call(&Tensor::ones(&[3], DType::F32))?;
/// let path = std::env::temp_dir().join(format!("allotrope-doc-{}", std::process::id()));
/// step.save_with_names(&path, &Names::new().tensor("w", &w))?;
///
/// let program = Program::load(&path)?;
/// let y = program.call(&[&Tensor::full(&[2, 3], 1.0f32)]);
/// assert!(y.is_err());                                     // two axes: no variant was saved for that
/// let y = program.call(&[&Tensor::full(&[3], 1.0f32)])?;
/// assert_eq!(y[0].to_vec::<f32>(), [4.0; 3]);
/// assert_eq!(program.state("w").unwrap().to_vec::<f32>(), [4.0; 3]);
/// # for ending in ["graph", "safetensors"] { std::fs::remove_file(path.with_extension(ending)).unwrap(); }
/// # Ok::<(), allotrope::Error>(())
/// ```
pub struct Program {
    variants: Vec<Loaded>,
    names: Names,
    device: Device,
}

impl<F, R, const N: usize> Traced<F, R, N> {
    /// Saves every variant with the state that it uses: the graphs as text in `path.graph`, the elements in
    /// `path.safetensors`. [`Program::load`] runs them without the closure. Neither file is ever half-written; a call on
    /// another thread is saved as a whole or not at all, as far as elements go.
    ///
    /// # Errors
    /// When nothing was captured yet, or a file cannot be written; both files are as they were then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_with_names(path, &Names::new())
    }

    /// As [`Traced::save`], with names for the state.
    ///
    /// # Errors
    /// Also when two state have one name.
    pub fn save_with_names(&self, path: impl AsRef<Path>, names: &Names) -> Result<()> {
        save(&self.variants(), names, path.as_ref())
    }
}

/// A variant, and what its sizes must satisfy: what was captured holds it by how it was recorded, a file says anything.
struct Loaded {
    variant: Arc<Variant>,
    bounds: Bounds,
    /// The symbol values that were found to satisfy them last.
    checked: Mutex<Option<Binding>>,
}

impl Program {
    /// Loads `path.graph` and `path.safetensors`, and compiles every variant in them, for the default device of this thread
    /// ([`crate::device::set_default_device`]): files name none. `path` may also name one of the two.
    ///
    /// # Errors
    /// As [`Program::load_on`].
    pub fn load(path: impl AsRef<Path>) -> Result<Program> {
        Program::load_on(path, default_device())
    }

    /// As [`Program::load`], for this device, whichever the function was saved on: its state is there, arguments have to be, and
    /// results have the same bits. As `map_location` of PyTorch's `load`.
    ///
    /// # Errors
    /// When a file is missing, damaged, of a newer version, or does not fit the other one; the error names the file, and
    /// the line or the tensor. When the device is missing, or has no room for the state.
    pub fn load_on(path: impl AsRef<Path>, device: Device) -> Result<Program> {
        let pair = Pair::of(path.as_ref());
        let (text, described) = read_text(&pair)?;
        let bytes = read_whole(&pair.elements)?;
        let mut state = state(&described, &bytes, &text).map_err(|f| f.at(&pair.elements))?;
        state.send(device)?;
        state.settle(&described);
        let mut variants = Vec::new();
        for (i, v) in described.variants.iter().enumerate() {
            let fault = |e: &dyn fmt::Display| file_error(&pair.graph, format!("variant {i}: {e}"));
            let bounds = Bounds::of(&v.graph).map_err(|e| fault(&e))?;
            let variant = state.variant(v).map_err(|e| if e.is_of_device() { e } else { fault(&e) })?;
            let variant = Arc::new(variant);
            variants.push(Loaded { variant, bounds, checked: Mutex::new(None) });
        }
        // Gradients come and go: only what the program itself uses keeps its name.
        let is_grad = |i: usize| described.tensors.iter().any(|t| t.grad == Some(i));
        let tensors = described.tensors.iter().zip(state.tensors).enumerate();
        let tensors = tensors.filter(|(i, _)| !is_grad(*i) || uses(&described, *i));
        let names = Names {
            tensors: tensors.map(|(_, (d, t))| (d.name.clone(), t)).collect(),
            generators: described.generators.iter().cloned().zip(state.generators).collect(),
            flags: described.flags.iter().map(|(name, _)| name.clone()).zip(state.flags).collect(),
        };
        Ok(Program { variants, names, device })
    }

    /// Where it runs: its state is there, and arguments have to be.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Runs the variant that stands for these arguments. The results are those of the closure, one after the other.
    ///
    /// # Errors
    /// When no variant does (the message says for each why not), as a traced call fails, and inside a trace. Nothing is
    /// changed then.
    pub fn call(&self, args: &[&Tensor]) -> Result<Vec<Tensor>> {
        if mode::is_recording() {
            return Err(Error::trace("a loaded program can't be recorded, it is compiled; call it outside"));
        }
        let hooked = |t: &Tensor| t.is_requires_grad() && t.has_leaf_hooks();
        if args.iter().any(|t| hooked(t)) || self.names.tensors.iter().any(|(_, t)| hooked(t)) {
            return Err(Error::trace(
                "a tensor has hooks on its gradient, which a loaded program does not run; those that were there when it was captured are part of it",
            ));
        }
        // The file says nothing of a default device, which a call without arguments depends on otherwise.
        let _entered = device::enter(self.device);
        let (loaded, binding) = self.fitting(args)?;
        let results = loaded.variant.call_where(args, binding, |binding| loaded.check(binding));
        let results = results?.into_vec();
        let seq = next_seq();
        let wiring = loaded.variant.wiring();
        for (t, &i) in results.iter().zip(&wiring.results) {
            match wiring.returned[i].gradients() {
                Some((true, true)) => t.store_requires_grad(true),
                Some((true, false)) => t.set_grad_fn(Some(rebuild::history_ended(seq))),
                Some((false, _)) | None => {}
            }
        }
        for t in wiring.changed_into_results(args) {
            t.set_grad_fn(Some(rebuild::history_ended(seq)));
        }
        Ok(results)
    }

    /// The tensor of that name: a parameter, a buffer, a moment. It is the one that calls read and change.
    pub fn state(&self, name: &str) -> Option<&Tensor> {
        self.names.tensors.iter().find(|(n, _)| n == name).map(|(_, t)| t)
    }

    /// Every captured tensor of the program, with its name.
    pub fn states(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.names.tensors.iter().map(|(n, t)| (n.as_str(), t))
    }

    /// The switch of that name.
    pub fn flag(&self, name: &str) -> Option<&Flag> {
        self.names.flags.iter().find(|(n, _)| n == name).map(|(_, f)| f)
    }

    /// Every switch that the program branched on, with its name.
    pub fn flags(&self) -> impl Iterator<Item = (&str, &Flag)> {
        self.names.flags.iter().map(|(n, f)| (n.as_str(), f))
    }

    /// The generator of that name; the process's own has none.
    pub fn generator(&self, name: &str) -> Option<&Generator> {
        self.names.generators.iter().find(|(n, _)| n == name).map(|(_, g)| g)
    }

    /// Saves the program with the state that it has now; see [`crate::runtime::traced::Traced::save`].
    ///
    /// # Errors
    /// When a file cannot be written; both files are as they were then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let variants: Vec<Arc<Variant>> = self.variants.iter().map(|v| Arc::clone(&v.variant)).collect();
        save(&variants, &self.names, path.as_ref())
    }

    /// Times each kernel of the variant that stands for these arguments, see [`crate::runtime::traced::Traced::profile`].
    ///
    /// # Errors
    /// As [`Program::call`].
    pub fn profile(&self, args: &[&Tensor]) -> Result<crate::inspect::profile::Profile> {
        not_recording("profile()")?;
        let _entered = device::enter(self.device);
        let (loaded, binding) = self.fitting(args)?;
        loaded.check(&binding)?;
        loaded.variant.check_inputs(args)?;
        loaded.variant.profile(args, binding)
    }

    /// The variant that stands for these arguments.
    fn fitting(&self, args: &[&Tensor]) -> Result<(&Loaded, Binding)> {
        let mut misses = Vec::new();
        for (i, loaded) in self.variants.iter().enumerate() {
            match loaded.variant.fits(args) {
                Ok(binding) => return Ok((loaded, binding)),
                Err(miss) => misses.push(format!("variant {i}: {}", loaded.variant.guards.words(miss, args))),
            }
        }
        Err(Error::argument(format!("no saved variant stands for this call; {}", misses.join("; "))))
    }

    /// The variants.
    pub fn explain(&self) -> Vec<Explanation> {
        self.variants.iter().map(|v| Explanation(Arc::clone(&v.variant))).collect()
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("variants", &self.variants.len())
            .field("names", &self.names)
            .field("device", &self.device)
            .finish()
    }
}

impl Loaded {
    /// That no size is what no graph can have.
    fn check(&self, binding: &Binding) -> Result<()> {
        let mut checked = self.checked.lock();
        if checked.as_ref() != Some(binding) {
            self.bounds.check(binding).map_err(|e| Error::argument(format!("sizes that do not fit: {e}")))?;
            *checked = Some(binding.clone());
        }
        Ok(())
    }
}

/// The text of the graph file, and what it says.
fn read_text(pair: &Pair) -> Result<(String, saved::Program)> {
    let text = files::read_text(&pair.graph)?;
    let described = saved::parse(&text).map_err(|e| file_error(&pair.graph, e))?;
    saved::check(&described).map_err(|e| file_error(&pair.graph, e))?;
    Ok((text, described))
}

/// What a saved graph is, read without its elements and without compiling it: for looking at it.
///
/// # Errors
/// As [`Program::load`].
pub fn read_graphs(path: impl AsRef<Path>) -> Result<saved::Program> {
    Ok(read_text(&Pair::of(path.as_ref()))?.1)
}

/// The state that the names stand for, with the elements of the file.
fn state(described: &saved::Program, bytes: &[u8], text: &str) -> std::result::Result<LoadedState, files::Fault> {
    let mut elements = Elements::of(bytes, text)?;
    let tensors = memory::tensors(&described.tensors, &mut elements)?;
    let mut generators = Vec::new();
    for name in &described.generators {
        let state = elements.take(name, DType::U8, None)?.bytes;
        let generator = Generator::default();
        let set = generator.set_state(state);
        set.map_err(|e| files::Fault { name: Some(name.clone()), message: e.to_string() })?;
        generators.push(generator);
    }
    elements.end()?;
    let flags = described.flags.iter().map(|(_, on)| Flag::new(*on)).collect();
    Ok(LoadedState { device: Device::Cpu, tensors, generators, flags })
}

/// Whether a variant names tensor `i` itself, not only as the gradient of another one.
fn uses(described: &saved::Program, i: usize) -> bool {
    let here = saved::Place::Tensor(i);
    described.variants.iter().any(|v| {
        v.inputs.iter().any(|s| *s == saved::Source::Elements(here) || *s == saved::Source::Grad(here))
            || v.outputs.iter().any(|t| *t == saved::Target::Elements(here) || *t == saved::Target::Grad(here))
            || v.outputs.contains(&saved::Target::GradElements(here))
            || v.returned.iter().any(|r| *r == saved::Returned::Same(here) || *r == saved::Returned::Grad(here))
            || v.grads.iter().any(|(of, _)| *of == here)
            || v.orders.iter().any(|o| o.from == saved::OrderOf::Tensor(i))
    })
}

/// Saves these variants with what they capture.
///
/// # Errors
/// When there is none, two state have one name, or a file cannot be written.
pub(crate) fn save(variants: &[Arc<Variant>], names: &Names, path: &Path) -> Result<()> {
    if variants.is_empty() {
        return Err(Error::trace(
            "save: nothing was captured yet; call the function, or compile() it for arguments like those to come",
        ));
    }
    let pair = Pair::of(path);
    let (mut described, captured) = describe::describe(variants, names)?;
    let tensor_names: Vec<String> = described.tensors.iter().map(|t| t.name.clone()).collect();
    let mut fresh_name = describe::memory_names(&described);
    let (mut pieces, layouts) = memory::pieces(&captured.tensors, &tensor_names, &mut fresh_name)?;
    for (t, layout) in described.tensors.iter_mut().zip(layouts) {
        t.layout = layout;
    }
    for (name, generator) in described.generators.iter().zip(&captured.generators) {
        pieces.push(memory::bytes(name, generator.get_state()));
    }
    let text = saved::print(&described);
    // What is written can be read: a graph beyond the limits of the text form is an error now, not later.
    let unreadable = |e: &dyn fmt::Display| Error::trace(format!("save: this graph cannot be saved: {e}"));
    saved::check(&saved::parse(&text).map_err(|e| unreadable(&e))?).map_err(|e| unreadable(&e))?;
    files::write(&pair, &text, &pieces)
}
