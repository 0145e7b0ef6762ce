//! Values that come from the host or go to it: tensors of numbers and of Rust data, sizes as tensors, and elements that
//! are read. In a trace only numbers that the program states become part of it, and nothing can be read.

use super::slot;
use crate::device::{Device, default_device};
use crate::error::{Error, Result, called, must};
use crate::tensor::operand::Operand;
use crate::tensor::size::hints;
use crate::tensor::{FromElement, Size, Tensor, eval};
use allotrope_ir::{Op, Scalar};
use std::panic::Location;

/// A tensor full of `value` on the device that this thread makes tensors on, recorded where a trace runs.
pub(crate) fn full_of(sizes: &[Size], value: Scalar) -> Result<Tensor> {
    full_on(default_device(), sizes, value)
}

/// A tensor full of `value`, recorded where a trace runs.
pub(crate) fn full_on(device: Device, sizes: &[Size], value: Scalar) -> Result<Tensor> {
    match slot::recorder() {
        Some(r) => {
            r.runs_on("full", device)?;
            r.full(sizes, value)
        }
        None => eval::full_on(device, &hints(sizes), value),
    }
}

/// A tensor that was made of Rust data, as the mode has it.
pub(crate) fn data(tensor: Tensor, what: &str, at: &'static Location<'static>) -> Result<Tensor> {
    match slot::recorder() {
        Some(r) => r.data(tensor, what, at),
        None => Ok(tensor),
    }
}

/// A symbolic size as an `i64` tensor without axes; none where it is a number.
pub(crate) fn symbolic_extent(size: Size) -> Option<Result<Tensor>> {
    slot::recorder().filter(|_| size.is_symbolic()).map(|r| r.extent(size))
}

/// That no trace is recorded, for what only the host can do.
pub(crate) fn no_host_read(what: &str, at: &'static Location<'static>) -> Result<()> {
    match slot::recorder() {
        Some(r) => Err(r.host_read(what, at)),
        None => Ok(()),
    }
}

/// Why a host read cannot be had where nothing is computed.
pub(crate) fn host_read(what: &str, at: &'static Location<'static>) -> Error {
    Error::trace(format!(
        "{what} at {at} is not known while a trace is recorded: the compiled program would have one call's numbers built in. \
         Return the tensor from the closure and read it after the call, pass data as an argument, or choose with where_self() instead of `if`"
    ))
}

/// Why a tensor cannot be used that another trace has made.
pub(crate) fn other_trace() -> Error {
    Error::trace("a value of another trace is used here; return it from that closure and pass it as an argument")
}

/// Why something that a loop captures, a value or a tensor, cannot be changed inside it.
pub(crate) fn changed_in_loop(what: &str) -> Error {
    Error::trace(format!("a {what} from outside a loop can't be changed in place inside it; carry it"))
}

/// Why a setting cannot be set inside a loop.
pub(crate) fn set_in_loop() -> Error {
    Error::trace(
        "a Setting can't be set inside the body of a loop, which is recorded once for all iterations; carry a tensor",
    )
}

impl Tensor {
    /// Another tensor with the elements and the history that this one has now, whatever is done to it in place later.
    ///
    /// # Errors
    /// When the elements can't be had: a value of a trace that has ended.
    pub(crate) fn snapshot(&self) -> Result<Tensor> {
        let copy = match slot::recorder() {
            None => eval::copied(self)?,
            // A cast to the dtype that it has is a value of its own, and the passes take it out again.
            Some(r) => r.record(&Op::Cast(self.dtype()), &[Operand::Tensor(self)])?,
        };
        copy.set_grad_fn(self.grad_fn());
        Ok(copy)
    }

    /// All elements in row-major order.
    ///
    /// # Panics
    /// When `T` is not the dtype, and inside a trace, where no element is known yet.
    #[track_caller]
    pub fn to_vec<T: FromElement>(&self) -> Vec<T> {
        must(self.read_elements("to_vec()", Location::caller()))
    }

    /// As [`Tensor::to_vec`].
    ///
    /// # Errors
    /// Where that panics.
    #[track_caller]
    pub fn try_to_vec<T: FromElement>(&self) -> Result<Vec<T>> {
        called(self.read_elements("try_to_vec()", Location::caller()))
    }

    /// The only element.
    ///
    /// # Panics
    /// As [`Tensor::try_item`] fails.
    #[track_caller]
    pub fn item<T: FromElement>(&self) -> T {
        must(self.item_at(Location::caller()))
    }

    /// The only element.
    ///
    /// # Errors
    /// When there is not exactly one, when `T` is not the dtype, and inside a trace, where it is not known yet.
    #[track_caller]
    pub fn try_item<T: FromElement>(&self) -> Result<T> {
        called(self.item_at(Location::caller()))
    }

    fn item_at<T: FromElement>(&self, at: &'static Location<'static>) -> Result<T> {
        let n: usize = self.shape_hint().iter().product();
        if n != 1 {
            return Err(Error::operands(
                "item",
                format!("a tensor of shape {:?} has {n} elements, not one", self.shape_hint()),
            ));
        }
        Ok(self.read_elements("item()", at)?[0])
    }

    pub(crate) fn read_elements<T: FromElement>(&self, what: &str, at: &'static Location<'static>) -> Result<Vec<T>> {
        self.check_readable::<T>(what, at)?;
        eval::elements(self)
    }

    /// That the elements are of type `T`, and known.
    pub(crate) fn check_readable<T: FromElement>(&self, what: &str, at: &'static Location<'static>) -> Result<()> {
        if T::DTYPE != self.dtype() {
            return Err(Error::argument(format!("{what}: the tensor is {}, asked for as {}", self.dtype(), T::DTYPE)));
        }
        no_host_read(what, at)
    }
}
