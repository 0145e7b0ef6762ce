//! The classes of differences that programs are known to show, each with its reason. The sample must show no other. Nothing is
//! compared here.

use crate::compare::Category;

/// Operator (`*`: any), category, reason.
pub const KNOWN: &[(&str, Category, &str)] = &[
    (
        "*",
        Category::GradFn,
        "names of nodes are counted apart: some gradients of gradients, and results that are views in PyTorch, have others",
    ),
    ("*", Category::Zero, "signs of zeros are counted apart"),
    ("*", Category::TraceRefused, "a trace says what it cannot represent (docs/tracing.md)"),
    (
        "grad",
        Category::Traced,
        "gradients that leave a call from inside lie in row-major order (docs/tracing.md, Limits)",
    ),
    ("floor_divide_", Category::Refused, "computing in place on elements that share memory is refused"),
    ("grad", Category::Value, "PyTorch misreads running variances with gaps in the backward pass of batch_norm"),
    (
        "backward",
        Category::Gradient,
        "products beside infinities; what a refused pass has reached keeps its gradient in PyTorch, nothing does here",
    ),
    (
        "nn.functional.group_norm",
        Category::Value,
        "groups of one element or of equal ones: the bias itself; PyTorch takes the mean off after scaling",
    ),
    (
        "nn.functional.max_pool2d",
        Category::Value,
        "of several NaNs in a window the first is the maximum; PyTorch takes the last",
    ),
    (
        "std_mean",
        Category::Value,
        "a mean with an infinity in it is NaN, but PyTorch's is infinite where that comes last",
    ),
    (
        "var_mean",
        Category::Value,
        "a mean with an infinity in it is NaN, but PyTorch's is infinite where that comes last",
    ),
    ("xlogy", Category::Strides, "an operand without axes that is cast counts as one of the result's shape"),
];

/// Whether this difference is of a known class.
pub fn is_known(operator: &str, category: Category) -> bool {
    KNOWN.iter().any(|(o, c, _)| (*o == "*" || *o == operator) && *c == category)
}
