//! Several tensors of integers that choose together in an index: their places, as numbers in the axes that they choose in, and where
//! those axes go in the result. Nothing is gathered or put here.

use super::movement::permute;
use super::shape::common_sizes;
use crate::error::Result;
use crate::mode::sizes::numel;
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{Axes, DType};
/// Several tensors of integers that choose together.
pub(super) struct Joint {
    /// The axes chosen in, then the others.
    pub(super) order: Axes,
    /// The axes that all index tensors broadcast to, and the others.
    pub(super) chosen: Sizes,
    pub(super) rest: Sizes,
    /// The places, as numbers in the chosen axes taken as one.
    pub(super) places: Tensor,
    /// The number of elements in those.
    pub(super) count: Size,
    /// Where the chosen axes go in the result.
    pub(super) at: usize,
}

impl Joint {
    #[track_caller]
    pub(super) fn new(x: &Tensor, integers: &[(usize, Tensor)]) -> Result<Joint> {
        let own = x.sizes();
        let tensors: Vec<&Tensor> = integers.iter().map(|(_, t)| t).collect();
        let chosen = common_sizes("index", &tensors)?;
        let axes: Vec<usize> = integers.iter().map(|(a, _)| *a).collect();
        let mut places = tensors[0].clone();
        for (i, t) in tensors.iter().enumerate().skip(1) {
            let n = super::reduce::size_tensor(own[axes[i]], DType::I64)?;
            places = places.try_mul(&n)?.try_add(*t)?;
        }
        let others = (0..x.dim()).filter(|a| !axes.contains(a));
        let rest: Sizes = others.clone().map(|a| own[a]).collect();
        let places = places.expand_sizes(&chosen)?.reshape_sizes(&[numel(&chosen)])?;
        let together = axes.windows(2).all(|w| w[1] == w[0] + 1);
        let sizes: Sizes = axes.iter().map(|&a| own[a]).collect();
        Ok(Joint {
            order: axes.iter().copied().chain(others).collect(),
            chosen,
            rest,
            places,
            count: numel(&sizes),
            at: if together { axes[0] } else { 0 },
        })
    }

    fn with_rest(&self, front: &[Size]) -> Sizes {
        front.iter().chain(&self.rest).copied().collect()
    }

    pub(super) fn front_sizes(&self) -> Sizes {
        self.with_rest(&self.chosen)
    }

    /// `x` with the chosen axes as one, in front.
    pub(super) fn flat(&self, x: &Tensor) -> Result<Tensor> {
        permute(x, self.order.clone())?.reshape_sizes(&self.with_rest(&[self.count]))
    }

    /// Undoes [`Joint::flat`].
    pub(super) fn unflat(&self, flat: &Tensor, like: &Tensor) -> Result<Tensor> {
        let own = like.sizes();
        let sizes: Sizes = self.order.iter().map(|&a| own[a]).collect();
        let mut back = self.order.clone();
        for (i, &a) in self.order.iter().enumerate() {
            back[a] = i;
        }
        permute(&flat.reshape_sizes(&sizes)?, back)
    }

    /// The chosen axes from the front to their place.
    pub(super) fn to_result(&self, x: &Tensor) -> Result<Tensor> {
        let k = self.chosen.len();
        super::shape::moved(x, &(0..k).collect::<Vec<_>>(), &(self.at..self.at + k).collect::<Vec<_>>())
    }

    /// The sizes of the result.
    pub(super) fn result_sizes(&self) -> Sizes {
        let mut sizes = self.rest.clone();
        sizes.insert_many(self.at, self.chosen.iter().copied());
        sizes
    }

    /// A value in the shape of the result, as rows for the places.
    pub(super) fn rows_of(&self, value: &Tensor) -> Result<Tensor> {
        let k = self.chosen.len();
        let front =
            super::shape::moved(value, &(self.at..self.at + k).collect::<Vec<_>>(), &(0..k).collect::<Vec<_>>())?;
        front.reshape_sizes(&self.with_rest(&[numel(&self.chosen)]))
    }
}
