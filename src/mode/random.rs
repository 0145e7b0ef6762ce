//! What generators do in each mode: eagerly they draw; in a trace nothing is drawn, and each call of the compiled function
//! draws from the same generators.

use super::recorder::random::Draw;
use super::values::no_host_read;
use super::{recompute, slot};
use crate::device::{Device, default_device};
use crate::error::{Error, Result, called, must};
use crate::kernels::rng::Mt19937;
use crate::tensor::draw::Kind;
use crate::tensor::operand::Operand;
use crate::tensor::size::hints;
use crate::tensor::{Generator, Size, Tensor, TensorType, eval};
use allotrope_ir::{DType, Op};
use std::hash::{BuildHasher, Hasher};
use std::panic::Location;

impl Generator {
    /// Starts the streams of `seed`. In a trace every call does so, at this place among its draws.
    pub fn manual_seed(&self, seed: u64) {
        match slot::recorder() {
            // Where a part of the program is recomputed, its draws are the first ones whatever the seed.
            Some(_) if recompute::is_active() => {}
            Some(r) => r.reseed(self, seed),
            None => *self.lock() = Mt19937::new(seed),
        }
    }

    /// Starts the streams of a seed that nobody chose, and returns it.
    ///
    /// # Panics
    /// Inside a trace, which has no numbers yet; so do [`Generator::initial_seed`], [`Generator::get_state`] and
    /// [`Generator::fork`].
    #[track_caller]
    pub fn seed(&self) -> u64 {
        must(no_host_read("seed()", Location::caller()));
        // The standard library's hashers begin with random keys from the system.
        let seed = std::collections::hash_map::RandomState::new().build_hasher().finish();
        self.manual_seed(seed);
        seed
    }

    /// The seed that the streams began with.
    #[track_caller]
    pub fn initial_seed(&self) -> u64 {
        must(no_host_read("initial_seed()", Location::caller()));
        self.state().seed()
    }

    /// The state as bytes, equal to those of `torch.Generator.get_state()` at the same place of the same stream.
    #[track_caller]
    pub fn get_state(&self) -> Vec<u8> {
        must(no_host_read("get_state()", Location::caller()));
        self.state().to_bytes()
    }

    /// Goes on from a saved state, one of PyTorch's CPU generator too.
    ///
    /// # Errors
    /// When the bytes are no state, and inside a trace; the generator stays as it is.
    #[track_caller]
    pub fn set_state(&self, state: &[u8]) -> Result<()> {
        called(no_host_read("set_state()", Location::caller()))?;
        let state = Mt19937::from_bytes(state).map_err(|e| Error::argument(format!("set_state: {e}")))?;
        *self.lock() = state;
        Ok(())
    }

    /// Another generator, which goes on from the state of this one by itself.
    #[track_caller]
    pub fn fork(&self) -> Generator {
        must(no_host_read("fork()", Location::caller()));
        self.forked()
    }
}

impl Generator {
    /// Draws a tensor, or records that every call draws one.
    ///
    /// # Errors
    /// When the distribution's numbers, the dtype or the shape do not fit.
    pub(crate) fn draw(&self, kind: Kind, sizes: &[Size], dtype: DType) -> Result<Tensor> {
        self.draw_on(default_device(), kind, sizes, dtype)
    }

    /// As [`Generator::draw`], for a device.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn draw_on(&self, device: Device, kind: Kind, sizes: &[Size], dtype: DType) -> Result<Tensor> {
        kind.check()?;
        let kind = kind.for_elements_of(dtype);
        let drawn = kind.drawn_as(dtype)?;
        let ty = TensorType::new(drawn, hints(sizes))?;
        let traced = slot::recorder();
        let tensor = match &traced {
            Some(r) => {
                r.runs_on(kind.name(), device)?;
                let (tensor, name) = r.draw(&Draw {
                    generator: self,
                    kind: &kind,
                    sizes,
                    dtype: drawn,
                    recomputed: recompute::next_draw()?,
                })?;
                recompute::record_draw(name);
                tensor
            }
            None => {
                // Drawn by the host on every device, so the streams are the same.
                let mut memory = eval::allocate(Device::Cpu, &ty)?;
                kind.fill(&mut self.lock(), &mut memory, drawn, 0..ty.numel());
                eval::transferred(&eval::fresh(Device::Cpu, ty, memory), device)?
            }
        };
        match &traced {
            _ if drawn == dtype => Ok(tensor),
            Some(r) => r.record(&Op::Cast(dtype), &[Operand::Tensor(&tensor)]),
            None => eval::cast(&tensor, dtype),
        }
    }
}
