//! `forward_with_indices` of the layers that take maxima, written once. How a layer takes them is said where it is defined.

/// Gives layers the method and its `try_` twin.
macro_rules! with_indices {
    ($($name:ident: |$layer:ident, $x:ident| $both:expr;)*) => {$(
        impl $name {
            /// The maxima and their places (i64), counted in row-major order of the axes that are pooled: PyTorch's
            /// `return_indices=True`.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($name), "::try_forward_with_indices`] fails.")]
            #[track_caller]
            pub fn forward_with_indices(
                &self,
                x: &$crate::tensor::Tensor,
            ) -> ($crate::tensor::Tensor, $crate::tensor::Tensor) {
                $crate::error::must(self.try_forward_with_indices(x))
            }

            #[doc = concat!("As [`", stringify!($name), "::forward_with_indices`].")]
            ///
            /// # Errors
            /// When the windows do not fit the input, or the input has other axes or is empty behind its batch.
            #[track_caller]
            pub fn try_forward_with_indices(
                &self,
                x: &$crate::tensor::Tensor,
            ) -> $crate::error::Result<($crate::tensor::Tensor, $crate::tensor::Tensor)> {
                let ($layer, $x) = (self, x);
                $crate::error::called($both)
            }
        }
    )*};
}
pub(super) use with_indices;
