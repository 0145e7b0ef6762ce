//! Random numbers of a capture: each call draws them. Nothing is drawn while recording.

use super::Capture;
use crate::capture::draws::Item;
use crate::error::Result;
use crate::mode::recorder::RandomRecorder;
use crate::mode::recorder::random::Draw;
use crate::tensor::Generator;
use crate::tensor::Tensor;

impl RandomRecorder for Capture {
    fn draw(&self, draw: &Draw<'_>) -> Result<(Tensor, usize)> {
        self.0.borrow_mut().draw(draw)
    }

    fn reseed(&self, generator: &Generator, seed: u64) {
        crate::error::must(self.0.borrow().draws_known("manual_seed()"));
        self.0.borrow_mut().push_draw(Item::Seed { generator: generator.clone(), seed });
    }
}
