//! Reports about a traced function: `explain`, `verify` and `profile`, none of which changes anything.

mod explain;
mod profile;
mod verify;

use allotrope::prelude::*;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by each test that looks at the process's generator, or draws from it.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bits of the elements.
pub fn bits(t: &Tensor) -> Vec<u32> {
    t.to_vec::<f32>().into_iter().map(f32::to_bits).collect()
}

/// A model with its optimizer, and everything of them that a step changes.
pub struct Training {
    pub model: Rc<nn::Linear>,
    pub opt: Rc<optim::Adam>,
    _alone: MutexGuard<'static, ()>,
}

impl Training {
    #[allow(clippy::new_without_default, reason = "it waits for its turn")]
    pub fn new() -> Training {
        let alone = alone();
        manual_seed(5);
        let model = Rc::new(nn::Linear::new(4, 3));
        let opt = Rc::new(optim::Adam::new(model.parameters(), 0.05));
        Training { model, opt, _alone: alone }
    }

    /// A step with dropout in it.
    pub fn step(&self) -> impl FnMut(&Tensor, &Tensor) -> Tensor + use<> {
        let (model, opt) = (Rc::clone(&self.model), Rc::clone(&self.opt));
        move |x, y| {
            let loss = mse_loss(&dropout(&model.forward(x), 0.3, true), y);
            opt.zero_grad();
            loss.backward();
            opt.step();
            loss.detach()
        }
    }

    /// All state, gradients and the generator, as bits.
    pub fn state(&self) -> (Vec<Vec<u32>>, Vec<u8>) {
        let mut tensors = self.model.parameters();
        tensors.extend(self.opt.state().into_iter().map(|(_, t)| t));
        tensors.extend(self.model.parameters().iter().filter_map(Tensor::grad));
        (tensors.iter().map(bits).collect(), allotrope::tensor::random::get_rng_state())
    }

    pub fn data(&self, n: usize) -> (Tensor, Tensor) {
        let g = Generator::new(n as u64);
        (g.randn(&[n, 4], DType::F32), g.randn(&[n, 3], DType::F32))
    }
}
