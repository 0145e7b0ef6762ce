//! Padding: more elements at both ends of the last axes, or fewer.

use super::common::{can_exist, no_bool, numbers, pad_axis, take};
use crate::device;
use crate::error::{Error, Result};
use crate::mode::layout::{are_images, as_images, ordered_as};
use crate::ops::Number;
use crate::ops::single_node::{Keeps, single};
use crate::ops::{movement, twin_fns};
use crate::tensor::{Size, Tensor};
use allotrope_ir::Scalar;

/// What the new elements are.
#[derive(Copy, Clone, Debug, PartialEq, Default)]
pub enum PadMode {
    /// This number, cast to the dtype.
    Constant(f64),
    /// Zeros.
    #[default]
    Zeros,
    /// The elements mirrored at the edge, which is not repeated.
    Reflect,
    /// The element at the edge.
    Replicate,
    /// The elements from the other end.
    Circular,
}

twin_fns! {
    /// Pads the last axes: `pads` are pairs of numbers of elements, before and after, for the last axis first. A negative
    /// one takes elements away.
    ///
    /// Zeros and numbers go to any axes; the other modes take one to three axes behind one or two axes that stay.
    ///
    /// ```
    /// use allotrope::functional::{PadMode, pad};
    /// use allotrope::prelude::*;
    /// let x = Tensor::from_vec(vec![1i64, 2, 3], &[1, 3]);
    /// assert_eq!(pad(&x, &[1, 2], PadMode::Reflect).to_vec::<i64>(), [2, 1, 2, 3, 2, 1]);
    /// assert_eq!(pad(&x, &[-1, 1], PadMode::Zeros).to_vec::<i64>(), [2, 3, 0]);
    /// ```
    fn pad / try_pad(input: &Tensor, pads: &[isize], mode: PadMode) -> Tensor {
        let n = pads.len() / 2;
        if !pads.len().is_multiple_of(2) || n > input.dim() {
            return Err(Error::operands(
                "pad",
                format!("{pads:?} must be pairs, at most one for each axis of {:?}", input.shape_hint()),
            ));
        }
        let value = match mode {
            // Where nothing is added, any number will do.
            PadMode::Constant(x) if pads.iter().any(|&n| n > 0) => {
                Some(Number::Float(x).fitted_unsigned("pad", input.dtype())?)
            }
            PadMode::Constant(_) => Some(Scalar::from_f64(0.0, input.dtype())),
            PadMode::Zeros => Some(Scalar::from_f64(0.0, input.dtype())),
            _ => None,
        };
        if matches!(mode, PadMode::Reflect | PadMode::Replicate) {
            no_bool("pad", &[input])?;
        }
        let lead = input.dim() - n;
        if value.is_none() && (!(1..=3).contains(&n) || !(1..=2).contains(&lead)) {
            return Err(Error::operands(
                "pad",
                format!("{mode:?} pads one to three axes behind one or two others, got {pads:?} for {:?}", input.shape_hint()),
            ));
        }
        let (node, keeps): (_, &[Keeps]) = match (mode, n) {
            (PadMode::Constant(_) | PadMode::Zeros, _) => ("ConstantPadNdBackward0", &[]),
            (PadMode::Circular, _) => ("CopySlices", &[Keeps::Hidden]),
            (PadMode::Reflect, 1) => ("ReflectionPad1DBackward0", &OWN),
            (PadMode::Reflect, 2) => ("ReflectionPad2DBackward0", &OWN),
            (PadMode::Reflect, _) => ("ReflectionPad3DBackward0", &OWN),
            (PadMode::Replicate, 1) => ("ReplicationPad1DBackward0", &OWN),
            (PadMode::Replicate, 2) => ("ReplicationPad2DBackward0", &OWN),
            (PadMode::Replicate, _) => ("ReplicationPad3DBackward0", &OWN),
        };
        single(node, &[input], keeps, |own| {
        let input = &own[0];
        let mut x = input.clone();
        for i in 0..n {
            let (axis, before, after) = (input.dim() - 1 - i, pads[2 * i], pads[2 * i + 1]);
            if before == 0 && after == 0 {
                continue;
            }
            x = match value {
                Some(v) => {
                    let cut = crop(&x, axis, before, after)?;
                    pad_axis(&cut, axis, before.max(0) as usize, after.max(0) as usize, v)?
                }
                None => padded_by_itself(&x, axis, before, after, mode)?,
            };
        }
        // As PyTorch's: where no number is added, the order in memory stays.
        let grows = value.is_none() || pads.iter().any(|&n| n > 0);
        let images = input.dim() > 3 && mode != PadMode::Circular;
        if grows && pads.iter().any(|&n| n != 0) {
            return as_images(x, images && are_images(input));
        }
        let copied = movement::copied("CloneBackward0", &x)?;
        if grows { as_images(copied, images && are_images(input)) } else { ordered_as(copied, &x) }
        })
    }
}

const OWN: [Keeps; 1] = [Keeps::Operand(0)];

/// Without the elements that negative pads take away.
fn crop(x: &Tensor, axis: usize, before: isize, after: isize) -> Result<Tensor> {
    if before >= 0 && after >= 0 {
        return Ok(x.clone());
    }
    let n = numbers(&x.sizes()[axis..=axis], "padding takes elements away")[0];
    let taken = |pad: isize| if pad < 0 { pad.unsigned_abs() } else { 0 };
    let (head, tail) = (taken(before), taken(after));
    let Some(len) = n.checked_sub(head.saturating_add(tail)) else {
        return Err(Error::operands(
            "pad",
            format!("cannot take {head} and {tail} elements from the {n} of axis {axis} of {:?}", x.shape_hint()),
        ));
    };
    movement::narrow(x, axis, Size::from(head), Size::from(len))
}

fn padded_by_itself(x: &Tensor, axis: usize, before: isize, after: isize, mode: PadMode) -> Result<Tensor> {
    let n = numbers(&x.sizes()[axis..=axis], "padding repeats elements of an axis")[0];
    let most = match mode {
        PadMode::Reflect => n as isize - 1,
        PadMode::Circular => n as isize,
        _ if n == 0 => 0,
        _ => isize::MAX,
    };
    let out = n as i128 + before as i128 + after as i128;
    // Only circular padding may leave nothing.
    let least = if mode == PadMode::Circular { 0 } else { 1 };
    if before.max(after) > most || out < least {
        return Err(Error::operands(
            "pad",
            format!(
                "{mode:?} cannot put {before} and {after} elements to the {n} of axis {axis} of {:?}",
                x.shape_hint()
            ),
        ));
    }
    if mode == PadMode::Circular {
        let x = crop(x, axis, before, after)?;
        let kept = x.shape_hint()[axis];
        let (head, tail) = (before.max(0) as usize, after.max(0) as usize);
        // PyTorch repeats elements that it has just put there, unless it sees that.
        let again = kept > 0 && tail > kept && !x.sizes()[..axis].iter().all(|n| n.equals(1));
        if head > kept || (tail > kept && !again) {
            return Err(Error::operands("pad", format!("{mode:?} cannot repeat {kept} elements as {head} and {tail}")));
        }
        let part = |start: usize, len: usize| movement::narrow(&x, axis, Size::from(start), Size::from(len));
        let mut parts = vec![part(kept - head, head)?, x.clone()];
        let mut rest = tail;
        while rest > 0 {
            parts.push(part(0, rest.min(kept))?);
            rest -= rest.min(kept);
        }
        return movement::concat(&parts.iter().collect::<Vec<_>>(), axis);
    }
    let out = usize::try_from(out).unwrap_or(usize::MAX);
    can_exist(x, axis, &[out])?;
    let _entered = device::enter(x.device());
    let index = Tensor::try_arange(out)?.try_sub(before as i64)?;
    let index = match mode {
        // Mirrored at the first element, then at the last one.
        PadMode::Reflect => {
            let last = n as i64 - 1;
            index.try_abs()?.try_sub(last)?.try_abs()?.try_sub(last)?.try_neg()?
        }
        _ => index.try_maximum(0)?.try_minimum(n as i64 - 1)?,
    };
    take(x, axis, &index)
}
