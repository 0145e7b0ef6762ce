//! Recording draws: what a call will draw, in the order of the program, and where it can't be known. No number is drawn.

use crate::capture::draws::Item;
use crate::capture::endpoints::Source;
use crate::capture::event::{Aside, Event, Symbolic};
use crate::capture::state::{CaptureState, Open};
use crate::error::{Error, Result};
use crate::mode::recorder::random::Draw;
use crate::tensor::{Size, Tensor};
use allotrope_ir::LoopKind;
use std::borrow::Cow;

impl CaptureState {
    /// A tensor that each call draws: an input of the whole program, and in loops an element of it for each iteration.
    ///
    /// # Errors
    /// Where it is not known before the run how often it is drawn, and when it should be one that was drawn before and is
    /// of another type.
    pub(crate) fn draw(&mut self, draw: &Draw<'_>) -> Result<(Tensor, usize)> {
        let at = self.current();
        let name = draw.kind.name();
        self.draws_known(name)?;
        let (dtype, sizes) = (draw.dtype, Symbolic(Cow::Borrowed(draw.sizes)));
        let made = self.made(Event::Draw { dtype, sizes, name: Aside(name), recompute: draw.recomputed })?;
        let input = draw.recomputed.unwrap_or_else(|| {
            let input = self.sources.len();
            self.sources.push(Source::Draw);
            self.push_draw(Item::Draw { generator: draw.generator.clone(), kind: draw.kind.clone(), input });
            input
        });
        Ok((self.tensor(at, &made)?, input))
    }

    /// That every call knows, before it runs, how often this place in the program is passed.
    ///
    /// # Errors
    /// In a loop whose number of iterations is a value, and in a branch.
    pub(crate) fn draws_known(&self, what: &str) -> Result<()> {
        let unknown = self.open.iter().find(|open| open.kind != LoopKind::All);
        match unknown {
            None => Ok(()),
            Some(open) => {
                let place = match open.kind {
                    LoopKind::While => "the body of a while_loop, whose number of iterations",
                    _ => {
                        "a branch of a cond, or the backward pass through one or through a while_loop, where what is run"
                    }
                };
                Err(Error::trace(format!(
                    "{what} is called in {place} is not known before the call has run, and all random numbers of a call are drawn before; \
                     draw outside and pass the numbers in, or carry them"
                )))
            }
        }
    }

    pub(crate) fn push_draw(&mut self, item: Item<Size>) {
        self.draws.last_mut().expect("the whole program is open").push(item);
    }

    /// The draws of a loop body that has ended become those of each iteration.
    pub(crate) fn end_draws(&mut self, Open { length, reverse, kind, .. }: Open) {
        let items = self.draws.pop().expect("a loop is open");
        // No other loop has draws, but for one that is given up.
        if !items.is_empty() && kind == LoopKind::All {
            self.push_draw(Item::Loop { length, reverse, items });
        }
    }
}
