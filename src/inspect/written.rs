//! What a call would leave in memory that was there before, as tensors see it who look at that memory in another way than the
//! call writes it: the transpose of what an optimizer steps, a part of it. The memory itself is not touched.

use crate::capture::endpoints::Target;
use crate::error::Result;
use crate::inspect::snapshot::Snapshot;
use crate::runtime::variant::Variant;
use crate::tensor::storage::Storage;
use crate::tensor::{Body, Dims, Strided, Strides, Tensor, TensorType, eval};
use std::sync::Arc;

/// The parts of memory that a call writes: the tensor through which it does, and the elements then.
pub(super) struct Written(Vec<(Tensor, Tensor)>);

impl Written {
    /// Those of a call with these outputs.
    pub(super) fn new(variant: &Variant, before: &Snapshot, outputs: &[Tensor]) -> Written {
        let argument = |i: usize| before.touched.iter().find(|t| t.argument == Some(i)).map(|t| t.tensor.clone());
        let place = |target: &Target| match target {
            Target::State { tensor } => Some(Tensor::clone(tensor)),
            Target::Arg(i) => argument(*i),
            Target::Return | Target::Save | Target::Grad(_) | Target::ArgGrad(_) | Target::GradElements(_) => None,
        };
        let targets = variant.wiring().targets.iter().zip(outputs);
        Written(targets.filter_map(|(target, new)| Some((place(target)?, new.clone()))).collect())
    }

    /// The elements that a tensor has after the call.
    pub(super) fn after(&self, t: &Tensor) -> Result<Tensor> {
        let storage = |t: &Tensor| t.strided().map(|s| Arc::as_ptr(&s.storage));
        let here = || self.0.iter().filter(|(place, _)| storage(place) == storage(t));
        let Some(strided) = t.strided().filter(|_| here().next().is_some()) else { return eval::copied(t) };
        let all = here().map(|(place, _)| end(place)).max().unwrap_or(0).max(end(t));
        let all = over(t, &strided.storage, Strides::from_slice(&[1]), 0, Dims::from_slice(&[all]));
        let image = eval::copied(&all)?;
        let image = &image.strided().expect("a copy has storage").storage;
        let within = |t: &Tensor| {
            let s = t.strided().expect("it has the same storage");
            over(t, image, s.strides.clone(), s.offset, Dims::from_slice(t.shape_hint()))
        };
        here().try_for_each(|(place, new)| eval::assign(&within(place), new))?;
        eval::copied(&within(t))
    }
}

/// The place behind the last element in the storage.
fn end(t: &Tensor) -> usize {
    let Some(s) = t.strided().filter(|_| !t.shape_hint().contains(&0)) else { return 0 };
    let forward = t.shape_hint().iter().zip(&s.strides).map(|(&n, &stride)| (n - 1) * stride.max(0) as usize);
    s.offset + forward.sum::<usize>() + 1
}

/// A tensor over some of the elements of a storage.
fn over(like: &Tensor, storage: &Arc<Storage>, strides: Strides, offset: usize, shape: Dims) -> Tensor {
    let storage = Arc::clone(storage);
    let ty = TensorType::new(like.dtype(), shape).expect("no more elements than the storage has");
    Tensor::from_parts(ty, Body::Strided(Strided { storage, strides, offset }))
}
