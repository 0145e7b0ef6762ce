//! Operations that change a tensor's elements in place. Each is its plain operation followed by an assignment, so the
//! numbers are the same, and a change that `backward` would miss is an error.

use super::arg::Arg;
use super::assign::assign;
use crate::error::{Error, Result, must};
use crate::tensor::Tensor;
use allotrope_ir::Scalar;

/// Writes `value` into `target`, with the dtype and shape of the target.
pub(super) fn store(op: &'static str, target: &Tensor, value: &Tensor) -> Result<()> {
    let value = value.try_to(target.dtype())?;
    if value.dim() > target.dim() {
        return Err(Error::operands(
            op,
            format!("a result of shape {:?} does not fit into {:?}", value.shape_hint(), target.shape_hint()),
        ));
    }
    let value = value.expand_sizes(&target.sizes()).map_err(|_| {
        Error::operands(
            op,
            format!("a result of shape {:?} does not fit into {:?}", value.shape_hint(), target.shape_hint()),
        )
    })?;
    assign(target, &value)
}

macro_rules! inplace {
    ($($(#[$doc:meta])* $name:ident / $try_name:ident = $plain:ident;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("Where [`Tensor::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name<'a>(&self, other: impl Into<Arg<'a>>) -> &Tensor {
                must(self.$try_name(other))
            }

            #[doc = concat!("As [`Tensor::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the result does not have this shape, or this is a leaf that requires a gradient outside `no_grad`.
            pub fn $try_name<'a>(&self, other: impl Into<Arg<'a>>) -> Result<&Tensor> {
                store(stringify!($name), self, &self.$plain(other)?)?;
                Ok(self)
            }
        )*}
    };
}

inplace! {
    /// Adds a tensor or a number to every element.
    add_ / try_add_ = try_add;
    /// Subtracts a tensor or a number from every element.
    sub_ / try_sub_ = try_sub;
    /// Multiplies every element.
    mul_ / try_mul_ = try_mul;
    /// Divides every element.
    div_ / try_div_ = try_div;
}

impl Tensor {
    /// Takes the elements of `source`, cast and broadcast to this tensor.
    ///
    /// # Panics
    /// Where [`Tensor::try_copy_`] fails.
    #[track_caller]
    pub fn copy_(&self, source: &Tensor) -> &Tensor {
        must(self.try_copy_(source))
    }

    /// As [`Tensor::copy_`].
    ///
    /// # Errors
    /// When `source` does not broadcast to this shape, or this is a leaf that requires a gradient outside `no_grad`.
    pub fn try_copy_(&self, source: &Tensor) -> Result<&Tensor> {
        store("copy_", self, source)?;
        Ok(self)
    }

    /// Sets every element to `value`.
    ///
    /// # Panics
    /// When this is a leaf that requires a gradient, outside `no_grad`.
    #[track_caller]
    pub fn fill_(&self, value: f64) -> &Tensor {
        let full = must(crate::tensor::create::full_of(&self.sizes(), Scalar::from_f64(value, self.dtype())));
        must(store("fill_", self, &full).map(|()| self))
    }

    /// Sets every element to 0.
    ///
    /// # Panics
    /// As [`Tensor::fill_`].
    #[track_caller]
    pub fn zero_(&self) -> &Tensor {
        self.fill_(0.0)
    }
}
