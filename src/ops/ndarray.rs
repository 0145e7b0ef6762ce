//! Exchange with the `ndarray` crate: its arrays become tensors where they are, and tensors are seen as its views,
//! without copying whatever the strides. Inside a trace there are no elements to exchange.

use crate::backend::Memory;
use crate::backend::cpu::host;
use crate::device::{Device, default_device};
use crate::error::{Error, Result, called, must};
use crate::mode::values::data;
use crate::tensor::storage::{ReadGuard, Storage};
use crate::tensor::{Body, FromElement, Strided, Strides, Tensor, TensorType, eval};
use ndarray::{Array, ArrayD, ArrayView, ArrayViewD, Axis, Dimension, IxDyn, ShapeBuilder};
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

impl Tensor {
    /// A tensor that takes over the elements of an array with any strides, negative ones too, without copying.
    ///
    /// An array that was cut from a larger one keeps all of it alive.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// use ndarray::{Array2, array};
    /// let mut a: Array2<f32> = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
    /// a.invert_axis(ndarray::Axis(0));                   // strides [-2, 1]
    /// let x = Tensor::from_ndarray(a);
    /// assert_eq!(x.to_vec::<f32>(), [5.0, 6.0, 3.0, 4.0, 1.0, 2.0]);
    ///
    /// let y = (&x * 2.0).t();                            // a view with strides [1, 2]
    /// let largest = y.with_ndarray(|v| v.fold(0f32, |m, x| m.max(*x)));   // nothing is copied
    /// assert_eq!(largest, 12.0);
    ///
    /// let b: Array2<f32> = (&y).try_into()?;             // a copy
    /// assert_eq!(b, array![[10.0, 6.0, 2.0], [12.0, 8.0, 4.0]]);
    /// # Ok::<(), allotrope::Error>(())
    /// ```
    ///
    /// # Panics
    /// Inside a trace: the data would become part of the compiled program.
    #[track_caller]
    pub fn from_ndarray<T: FromElement, D: Dimension>(array: Array<T, D>) -> Tensor {
        must(from_ndarray_at(array, Location::caller()))
    }

    /// As [`Tensor::from_ndarray`].
    ///
    /// # Errors
    /// Where that panics.
    #[track_caller]
    pub fn try_from_ndarray<T: FromElement, D: Dimension>(array: Array<T, D>) -> Result<Tensor> {
        called(from_ndarray_at(array, Location::caller()))
    }

    /// A copy of the elements as an array in row-major order.
    ///
    /// # Panics
    /// When `T` is not the dtype, and inside a trace, where no element is known yet.
    #[track_caller]
    pub fn to_ndarray<T: FromElement>(&self) -> ArrayD<T> {
        must(self.to_ndarray_at(Location::caller()))
    }

    /// As [`Tensor::to_ndarray`].
    ///
    /// # Errors
    /// Where that panics.
    #[track_caller]
    pub fn try_to_ndarray<T: FromElement>(&self) -> Result<ArrayD<T>> {
        called(self.to_ndarray_at(Location::caller()))
    }

    /// Shows the elements to `f` as an array, without copying: they are on the CPU.
    ///
    /// They are locked for reading meanwhile: changing the tensor in place within `f` waits for ever.
    ///
    /// # Panics
    /// As [`Tensor::ndarray`].
    #[track_caller]
    pub fn with_ndarray<T: FromElement, R>(&self, f: impl FnOnce(ArrayViewD<'_, T>) -> R) -> R {
        f(self.ndarray().view())
    }

    /// As [`Tensor::with_ndarray`].
    ///
    /// # Errors
    /// Where that panics.
    #[track_caller]
    pub fn try_with_ndarray<T: FromElement, R>(&self, f: impl FnOnce(ArrayViewD<'_, T>) -> R) -> Result<R> {
        Ok(f(self.try_ndarray()?.view()))
    }

    /// Locks the elements for reading, and gives views of them as arrays as long as the guard lives.
    ///
    /// # Panics
    /// As [`Tensor::to_ndarray`], and where the elements are not on the CPU.
    #[track_caller]
    pub fn ndarray<T: FromElement>(&self) -> NdarrayGuard<'_, T> {
        must(self.ndarray_at("ndarray()", Location::caller()))
    }

    /// As [`Tensor::ndarray`].
    ///
    /// # Errors
    /// Where that panics.
    #[track_caller]
    pub fn try_ndarray<T: FromElement>(&self) -> Result<NdarrayGuard<'_, T>> {
        called(self.ndarray_at("ndarray()", Location::caller()))
    }

    fn to_ndarray_at<T: FromElement>(&self, at: &'static Location<'static>) -> Result<ArrayD<T>> {
        let elements = self.read_elements("to_ndarray()", at)?;
        let array = ArrayD::from_shape_vec(IxDyn(self.shape_hint()), elements);
        Ok(array.expect("bug in allotrope: as many elements as the shape says"))
    }

    fn ndarray_at<T: FromElement>(&self, what: &str, at: &'static Location<'static>) -> Result<NdarrayGuard<'_, T>> {
        self.check_readable::<T>(what, at)?;
        let strided = eval::strided(self)?;
        if strided.storage.device() != Device::Cpu {
            return Err(Error::argument(format!(
                "{what}: the elements are on {}, and only those of the CPU can be seen where they are; use to_device(Device::Cpu) first",
                strided.storage.device()
            )));
        }
        Ok(NdarrayGuard { memory: strided.storage.read(), strided, shape: self.shape_hint(), element: PhantomData })
    }
}

fn from_ndarray_at<T: FromElement, D: Dimension>(array: Array<T, D>, at: &'static Location<'static>) -> Result<Tensor> {
    const DATA: &str = "an array made into a tensor";
    let ty = TensorType::of(T::DTYPE, array.shape())?;
    let strides = Strides::from_slice(array.strides());
    let (elements, Some(offset)) = array.into_raw_vec_and_offset() else {
        return data(eval::empty(default_device(), ty)?, DATA, at);
    };
    let storage = Arc::new(Storage::new(Device::Cpu, host::adopt(elements)));
    let here = Tensor::from_parts(ty, Body::Strided(Strided { storage, strides, offset }));
    data(eval::transferred(&here, default_device())?, DATA, at)
}

/// The elements of a tensor, locked for reading. Other threads that change the tensor in place wait until it is dropped;
/// doing so on this thread meanwhile waits for ever.
///
/// ```
/// use allotrope::prelude::*;
/// let x = Tensor::arange(6).reshape(&[2, 3]);
/// let elements = x.ndarray::<i64>();
/// assert_eq!(elements.view()[[1, 2]], 5);
/// ```
pub struct NdarrayGuard<'a, T> {
    memory: ReadGuard<'a, Memory>,
    strided: &'a Strided,
    shape: &'a [usize],
    element: PhantomData<T>,
}

impl<T: FromElement> NdarrayGuard<'_, T> {
    /// The elements where they are, with the strides of the tensor.
    pub fn view(&self) -> ArrayViewD<'_, T> {
        view(host::slice(&self.memory), self.shape, &self.strided.strides, self.strided.offset)
    }
}

/// `ndarray` takes strides of either sign only behind a pointer, so the axes that run backwards are turned round here.
fn view<'a, T>(data: &'a [T], shape: &[usize], strides: &[isize], offset: usize) -> ArrayViewD<'a, T> {
    const WITHIN: &str = "bug in allotrope: a tensor reaches outside its storage";
    if shape.contains(&0) {
        return ArrayView::from_shape(IxDyn(shape), &data[..0]).expect(WITHIN);
    }
    let reversed = |i: usize| strides[i] < 0;
    let back: usize =
        (0..shape.len()).filter(|&i| reversed(i)).map(|i| (shape[i] - 1) * strides[i].unsigned_abs()).sum();
    let forward: Vec<usize> = strides.iter().map(|s| s.unsigned_abs()).collect();
    let mut view = ArrayView::from_shape(IxDyn(shape).strides(IxDyn(&forward)), &data[offset - back..]).expect(WITHIN);
    for i in (0..shape.len()).filter(|&i| reversed(i)) {
        view.invert_axis(Axis(i));
    }
    view
}

/// Takes the elements over, as [`Tensor::from_ndarray`].
impl<T: FromElement, D: Dimension> TryFrom<Array<T, D>> for Tensor {
    type Error = Error;

    #[track_caller]
    fn try_from(array: Array<T, D>) -> Result<Tensor> {
        from_ndarray_at(array, Location::caller())
    }
}

/// Copies the elements.
impl<T: FromElement, D: Dimension> TryFrom<ArrayView<'_, T, D>> for Tensor {
    type Error = Error;

    #[track_caller]
    fn try_from(array: ArrayView<'_, T, D>) -> Result<Tensor> {
        from_ndarray_at(array.to_owned(), Location::caller())
    }
}

/// Copies the elements into an array of a fixed or any number of axes.
impl<T: FromElement, D: Dimension> TryFrom<&Tensor> for Array<T, D> {
    type Error = Error;

    #[track_caller]
    fn try_from(tensor: &Tensor) -> Result<Array<T, D>> {
        if let Some(n) = D::NDIM
            && n != tensor.dim()
        {
            return Err(Error::operands(
                "to_ndarray",
                format!(
                    "a tensor of shape {:?} is no array of {n} axes; use ArrayD or reshape it",
                    tensor.shape_hint()
                ),
            ));
        }
        let array = tensor.to_ndarray_at::<T>(Location::caller())?;
        Ok(array.into_dimensionality().expect("as many axes as the type has"))
    }
}
