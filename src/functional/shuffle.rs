//! Channels that become places and places that become channels: nothing is computed, elements move.

use super::common::numbers;
use crate::autograd::record::composite;
use crate::autograd::tape::Context;
use crate::error::{Error, Result};
use crate::mode::layout::{are_images, as_images};
use crate::ops::movement::copied;
use crate::ops::single_node::single;
use crate::ops::{grads1, twin_fns};
use crate::tensor::operand::Operand;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::Extent;

fn planes(op: &'static str, x: &Tensor) -> Result<usize> {
    match x.dim() {
        n if n >= 3 => Ok(n - 3),
        _ => Err(Error::operands(op, format!("the input must be [.., c, h, w], got {:?}", x.shape_hint()))),
    }
}

/// The leading axes as they are, then the given ones in another order.
fn order(lead: usize, rest: &[usize]) -> Vec<isize> {
    (0..lead).chain(rest.iter().map(|a| lead + a)).map(|a| a as isize).collect()
}

/// The elements of `x` in other places, as a tensor of its own; the gradient goes back by the inverse, which makes one, too.
fn moved(
    name: &'static str,
    x: &Tensor,
    compute: impl FnOnce(&[Tensor]) -> Result<Tensor>,
    inverse: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    composite(
        name,
        &[Operand::Tensor(x)],
        || single(name, &[x], &[], compute),
        |_| move |_: &Context<'_>, g: &Tensor| grads1(inverse(g)?),
    )
}

/// A copy where nothing is moved, so that the result has memory of its own.
fn apart(x: &Tensor, by: usize) -> Result<Tensor> {
    if by == 1 { copied("CloneBackward0", x) } else { Ok(x.clone()) }
}

twin_fns! {
    /// `[.., c r r, h, w] -> [.., c, h r, w r]`.
    ///
    /// ```
    /// use allotrope::functional::pixel_shuffle;
    /// use allotrope::prelude::*;
    /// let x = Tensor::arange(4).reshape(&[1, 4, 1, 1]);
    /// assert_eq!(pixel_shuffle(&x, 2).shape(), [1, 1, 2, 2]);
    /// ```
    fn pixel_shuffle / try_pixel_shuffle(input: &Tensor, upscale_factor: usize) -> Tensor {
        let lead = planes("pixel_shuffle", input)?;
        let (own, r) = (input.sizes(), upscale_factor);
        let c = numbers(&own[lead..=lead], "pixel_shuffle divides the channels")[0];
        let area = r.saturating_mul(r);
        if r == 0 || !c.is_multiple_of(area) {
            return Err(Error::operands(
                "pixel_shuffle",
                format!("the {c} channels of {:?} must be a multiple of {r} times {r}", input.shape_hint()),
            ));
        }
        let (c, r) = (Size::from(c / area), Size::from(r));
        let with = |rest: &[Size]| -> Sizes { own[..lead].iter().chain(rest).copied().collect() };
        let (h, w) = (own[lead + 1], own[lead + 2]);
        let compute = |x: &[Tensor]| {
            let own = apart(&x[0], upscale_factor)?;
            let split = own.reshape_sizes(&with(&[c, r, r, h, w]))?.try_permute(&order(lead, &[0, 3, 1, 4, 2]))?;
            let images = lead == 1 && are_images(&x[0]);
            as_images(split.reshape_sizes(&with(&[c, h.times(&r), w.times(&r)]))?, images)
        };
        moved("PixelShuffleBackward0", input, compute, move |g| try_pixel_unshuffle(g, upscale_factor))
    }

    /// The inverse of [`pixel_shuffle`]: `[.., c, h r, w r] -> [.., c r r, h, w]`.
    fn pixel_unshuffle / try_pixel_unshuffle(input: &Tensor, downscale_factor: usize) -> Tensor {
        let lead = planes("pixel_unshuffle", input)?;
        let (own, r) = (input.sizes(), downscale_factor);
        let plane = numbers(&own[lead + 1..], "pixel_unshuffle divides height and width");
        if r == 0 || plane.iter().any(|n| !n.is_multiple_of(r)) {
            return Err(Error::operands(
                "pixel_unshuffle",
                format!("height and width of {:?} must be multiples of {r}", input.shape_hint()),
            ));
        }
        let (h, w, r) = (Size::from(plane[0] / r), Size::from(plane[1] / r), Size::from(r));
        let c = own[lead];
        let with = |rest: &[Size]| -> Sizes { own[..lead].iter().chain(rest).copied().collect() };
        let compute = |x: &[Tensor]| {
            let own = apart(&x[0], downscale_factor)?;
            let split = own.reshape_sizes(&with(&[c, h, r, w, r]))?.try_permute(&order(lead, &[0, 2, 4, 1, 3]))?;
            let images = lead == 1 && are_images(&x[0]);
            as_images(split.reshape_sizes(&with(&[c.times(&r).times(&r), h, w]))?, images)
        };
        moved("PixelUnshuffleBackward0", input, compute, move |g| try_pixel_shuffle(g, downscale_factor))
    }

    /// The channels dealt out anew: `[n, c, ..]` as `groups` rows of channels, read by columns.
    fn channel_shuffle / try_channel_shuffle(input: &Tensor, groups: usize) -> Tensor {
        if input.dim() < 3 {
            return Err(Error::operands(
                "channel_shuffle",
                format!("the input must be [n, c, ..] with one axis more at least, got {:?}", input.shape_hint()),
            ));
        }
        let own = input.sizes();
        let c = numbers(&own[1..2], "channel_shuffle divides the channels")[0];
        if groups == 0 || !c.is_multiple_of(groups) {
            return Err(Error::operands(
                "channel_shuffle",
                format!("the {c} channels of {:?} must be a multiple of {groups}", input.shape_hint()),
            ));
        }
        let mut sizes = own.clone();
        sizes[1] = Size::from(groups);
        sizes.insert(2, Size::from(c / groups));
        let compute = |x: &[Tensor]| x[0].reshape_sizes(&sizes)?.try_transpose(1, 2)?.reshape_sizes(&own);
        moved("ChannelShuffleBackward0", input, compute, move |g| try_channel_shuffle(g, c / groups))
    }
}
