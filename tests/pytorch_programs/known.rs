//! The classes of differences that programs are known to show, each with its reason. The sample must show no other. Nothing is
//! compared here.

use crate::compare::Category;

/// Operator (`*`: any), category, reason.
pub const KNOWN: &[(&str, Category, &str)] = &[
    (
        "*",
        Category::GradFn,
        "names of nodes are counted apart: clamps with one bound, whole slices, gradients of gradients have others",
    ),
    ("*", Category::Zero, "which zero PyTorch gives depends on how its vectors cut the work"),
    ("*", Category::TraceRefused, "a trace says what it cannot represent (docs/tracing.md)"),
    (
        "getitem",
        Category::Traced,
        "what an integer tensor without axes chooses is a copy in a trace (docs/tracing.md, Limits)",
    ),
    (
        "leaf",
        Category::Traced,
        "requires_grad_ and detach_ of an argument are not carried to the caller (docs/tracing.md, Limits)",
    ),
    ("detach_", Category::Traced, "a refusal that goes through a trace has lost its text when the closure catches it"),
    (
        "requires_grad_",
        Category::Traced,
        "a refusal that goes through a trace has lost its text when the closure catches it",
    ),
    (
        "grad",
        Category::Traced,
        "gradients that leave a call from inside lie in row-major order (docs/tracing.md, Limits)",
    ),
    ("fill_", Category::RequiresGrad, "tensors of integers never require gradients"),
    ("floor_divide_", Category::Refused, "the message of a division that PyTorch takes as one of floats"),
    ("full", Category::Refused, "a number that does not fit the dtype is refused"),
    ("grad", Category::SameObject, "a gradient is never the tensor that was given to backward"),
    ("grad", Category::Value, "gradients of a weight that lies strided, of the formula"),
    ("backward", Category::Gradient, "gradients beside NaN and infinities"),
    ("nn.functional.conv_transpose2d", Category::Accepted, "computed for dtypes that PyTorch has no kernel for"),
    ("nn.functional.max_pool2d", Category::Value, "the place of a NaN among several"),
    ("std_mean", Category::Value, "the mean of infinities beside a spread without degrees of freedom"),
    ("var_mean", Category::Value, "the mean of infinities beside a spread without degrees of freedom"),
    ("xlogy", Category::Strides, "operands that repeat do not decide the order of the result"),
];

/// Whether this difference is of a known class.
pub fn is_known(operator: &str, category: Category) -> bool {
    KNOWN.iter().any(|(o, c, _)| (*o == "*" || *o == operator) && *c == category)
}
