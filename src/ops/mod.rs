//! The operations that users call, by family, each composed of primitives, with its derivative beside it in terms of
//! operations, so that a derivative is traced and differentiated like anything else. No file here knows the mode that
//! it runs in.

pub(crate) mod arg;
mod assign;
mod axes;
pub(crate) mod backward;
mod bits;
mod cdist;
mod checkpoint;
mod control;
mod create;
mod cumulative;
pub mod decompose;
mod device;
mod diagonal;
mod einsum;
pub(crate) mod elementwise;
mod extreme;
pub mod fourier;
pub(crate) mod gather;
mod grad;
pub(crate) mod gradient_layout;
mod index;
mod index_inplace;
mod index_joint;
mod index_kind;
mod index_place;
mod indexing;
mod inplace;
mod joining;
pub(crate) mod linalg;
mod meeting;
mod memory;
pub(crate) mod movement;
mod ndarray;
mod norm;
mod number;
mod operators;
mod parts;
mod print;
mod product;
mod quantiles;
pub mod random;
mod ranges;
mod recurrence;
pub(crate) mod reduce;
mod repeating;
pub(crate) mod results;
pub(crate) mod sampling;
mod scatter_parts;
mod scatter_reduce;
mod search;
mod shape;
pub(crate) mod single_node;
mod softmax;
mod sort;
mod statistics;
mod strided;
mod tree;
mod unique;
pub(crate) mod window;
mod without_nan;

pub use self::ndarray::NdarrayGuard;
pub use arg::{Arg, Number};
pub use backward::Backward;
pub use checkpoint::{checkpoint, try_checkpoint};
pub use control::{cond, scan, scan_reverse, try_cond, try_scan, try_scan_reverse, try_while_loop, while_loop};
pub use einsum::{einsum, try_einsum};
pub use elementwise::{
    To, bitwise_and, bitwise_or, bitwise_xor, div, div_floor, div_trunc, float_power, floor_divide, fmod, pow,
    remainder, sub, try_bitwise_and, try_bitwise_or, try_bitwise_xor, try_div, try_div_floor, try_div_trunc,
    try_float_power, try_floor_divide, try_fmod, try_pow, try_remainder, try_sub, try_where_, try_xlogy, where_, xlogy,
};
pub use grad::{GradOptions, grad, grad_with};
pub use index_kind::{Ellipsis, Index, Indices, NewAxis, stepped};
pub use joining::{
    cat, column_stack, dstack, hstack, stack, try_cat, try_column_stack, try_dstack, try_hstack, try_stack, try_vstack,
    vstack,
};
pub use print::{PrintOptions, print_options, set_print_options, with_print_options};
pub use quantiles::{Interpolation, QuantileOptions};
pub use ranges::Arange;
pub use repeating::{meshgrid, try_meshgrid};
pub use sampling::{
    Probability, bernoulli, dropout_mask, multinomial, normal, rand_like, randint_like, randn_like, try_bernoulli,
    try_dropout_mask, try_multinomial, try_normal, try_rand_like, try_randint_like, try_randn_like,
};
pub use scatter_reduce::ScatterReduce;
pub use search::{HistogramOptions, SearchsortedOptions};
pub use shape::{broadcast_tensors, try_broadcast_tensors};
pub use tree::TensorTree;

/// Defines operations twice from one definition: the `try_` form that returns a `Result`, and the form that panics
/// with the same text at the caller's line. Results are tensors of their own, or operands as they are; after `views:` they may
/// be views.
macro_rules! twins {
    (views: $($all:tt)*) => {
        $crate::ops::twins!(@ may_be_view; $($all)*);
    };
    (@ $finish:ident; $( $(#[$doc:meta])* fn $name:ident / $try_name:ident $(<$life:lifetime>)? ( &$self:ident $(, $arg:ident : $ty:ty)* $(,)? ) -> $out:ty $body:block )*) => {
        impl Tensor {$(
            $(#[$doc])*
            ///
            /// # Panics
            #[doc = concat!("Where [`Tensor::", stringify!($try_name), "`] fails.")]
            #[track_caller]
            pub fn $name$(<$life>)?(&$self $(, $arg: $ty)*) -> $out {
                crate::error::must($self.$try_name($($arg),*))
            }

            #[doc = concat!("As [`Tensor::", stringify!($name), "`].")]
            ///
            /// # Errors
            /// When the operands do not fit; the message names what was given and what would fit.
            #[track_caller]
            pub fn $try_name$(<$life>)?(&$self $(, $arg: $ty)*) -> crate::error::Result<$out> {
                // A body of its own, for it may return early. No closure: what it calls is to see the caller's line.
                trait TwinBody {
                    fn body$(<$life>)?(&self $(, $arg: $ty)*) -> crate::error::Result<$out>;
                }
                impl TwinBody for Tensor {
                    #[track_caller]
                    #[inline]
                    fn body$(<$life>)?(&$self $(, $arg: $ty)*) -> crate::error::Result<$out> {
                        let _entered = crate::device::enter($self.device());
                        $body
                    }
                }
                let result = crate::error::called(<Tensor as TwinBody>::body($self $(, $arg)*))?;
                Ok($crate::ops::results::$finish(result, &[$self]))
            }
        )*}
    };
    ($($all:tt)*) => {
        $crate::ops::twins!(@ own; $($all)*);
    };
}
pub(crate) use twins;

/// As [`twins!`], for free functions.
macro_rules! twin_fns {
    (views: $($all:tt)*) => {
        $crate::ops::twin_fns!(@ may_be_view; $($all)*);
    };
    (@ $finish:ident; $( $(#[$doc:meta])* fn $name:ident / $try_name:ident $(<$life:lifetime>)? ( $($arg:ident : $ty:ty),* $(,)? ) -> $out:ty $body:block )*) => {$(
        $(#[$doc])*
        ///
        /// # Panics
        #[doc = concat!("Where [`", stringify!($try_name), "`] fails.")]
        #[track_caller]
        pub fn $name$(<$life>)?($($arg: $ty),*) -> $out {
            crate::error::must($try_name($($arg),*))
        }

        #[doc = concat!("As [`", stringify!($name), "`].")]
        ///
        /// # Errors
        /// When the operands do not fit; the message names what was given and what would fit.
        #[track_caller]
        pub fn $try_name$(<$life>)?($($arg: $ty),*) -> crate::error::Result<$out> {
            #[track_caller]
            #[inline]
            fn body$(<$life>)?($($arg: $ty),*) -> crate::error::Result<$out> $body
            let result = crate::error::called(body($($arg),*))?;
            Ok($crate::ops::results::$finish(result, &[]))
        }
    )*};
    ($($all:tt)*) => {
        $crate::ops::twin_fns!(@ own; $($all)*);
    };
}
pub(crate) use twin_fns;

/// References to tensors that are given as themselves or by reference.
fn borrowed(
    tensors: &[impl std::borrow::Borrow<crate::tensor::Tensor>],
) -> smallvec::SmallVec<[&crate::tensor::Tensor; 8]> {
    tensors.iter().map(std::borrow::Borrow::borrow).collect()
}

/// `axis` counted from 0, where a tensor without axes counts as having one, as PyTorch has it for many operations.
pub(crate) fn wrapped(x: &crate::tensor::Tensor, op: &'static str, axis: isize) -> crate::error::Result<usize> {
    if x.dim() == 0 && (axis == 0 || axis == -1) { Ok(0) } else { x.axis(op, axis) }
}

/// A gradient that is flat in `x` wherever it has a derivative by it: where gradients are differentiated again it depends on `x` all
/// the same, as PyTorch's do, with zeros.
pub(crate) fn flat_in(
    gradient: crate::tensor::Tensor,
    x: &crate::tensor::Tensor,
) -> crate::error::Result<crate::tensor::Tensor> {
    if !crate::autograd::is_grad_enabled() || !x.is_requires_grad() || gradient.is_requires_grad() {
        return Ok(gradient);
    }
    let operands = [crate::tensor::operand::Operand::Tensor(x)];
    crate::autograd::record::composite(
        "FlatBackward0",
        &operands,
        || Ok(gradient.alias()),
        |_| {
            // Of another shape than the gradient, where that is one of another operand.
            let (sizes, dtype) = (x.sizes(), x.dtype());
            move |_: &crate::autograd::tape::Context<'_>, _: &crate::tensor::Tensor| {
                grads1(crate::mode::values::full_of(&sizes, allotrope_ir::Scalar::from_f64(0.0, dtype))?)
            }
        },
    )
}

/// The tensor by a node of this name that no backward pass gets through, for PyTorch's derivative cannot be computed.
pub(crate) fn underived(
    node: &'static str,
    x: &crate::tensor::Tensor,
    why: &'static str,
) -> crate::error::Result<crate::tensor::Tensor> {
    let operands = [crate::tensor::operand::Operand::Tensor(x)];
    crate::autograd::record::composite(
        node,
        &operands,
        || Ok(x.alias()),
        |_| {
            move |_: &crate::autograd::tape::Context<'_>, _: &crate::tensor::Tensor| {
                Err(crate::error::Error::autograd(format!("{why}, as in PyTorch")))
            }
        },
    )
}

/// Gradients of one operand.
pub(crate) fn grads1(a: crate::tensor::Tensor) -> crate::error::Result<crate::tensor::grad_fn::Grads> {
    Ok(smallvec::smallvec![Some(a)])
}

/// Gradients of two operands, each computed only where it is wanted.
pub(crate) fn grads2(
    c: &crate::autograd::tape::Context<'_>,
    a: impl FnOnce() -> crate::error::Result<crate::tensor::Tensor>,
    b: impl FnOnce() -> crate::error::Result<crate::tensor::Tensor>,
) -> crate::error::Result<crate::tensor::grad_fn::Grads> {
    let a = if c.wants(0) { Some(a()?) } else { None };
    let b = if c.wants(1) { Some(b()?) } else { None };
    Ok(smallvec::smallvec![a, b])
}
