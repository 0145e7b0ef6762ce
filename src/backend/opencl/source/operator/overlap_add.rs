//! Overlapping windows added up along an axis: each element of the result adds those of the windows that lie on it, in the
//! order of the windows, beginning at 0.

use crate::backend::opencl::source::body::{Launches, c_type};
use crate::backend::opencl::source::fold::Fold;
use crate::backend::opencl::source::operator::indices::positions;
use crate::schedule::View;
use allotrope_ir::ReduceOp;

/// Element `(i, j)` of `axis` and of the last axis of `x` is added to element `i * step + j * dilation` of that axis of `out`.
pub fn overlap_add(launches: &mut Launches, axis: usize, [step, dilation]: [usize; 2], x: &View, out: &View) {
    let t = c_type(x.dtype);
    let fold = Fold { op: ReduceOp::Sum, dtype: x.dtype };
    let windows = x.strides.len() - 1;
    positions(
        launches,
        &out.shape,
        |_, _| String::new(),
        |body, at| {
            let (count, size) = (body.number(&x.shape[axis]), body.number(&x.shape[windows]));
            let mut indices = at.to_vec();
            (indices[axis], _) = ("i".to_string(), indices.push("j".to_string()));
            let from = format!("{}[{}]", body.pointer(x), body.place(&indices, &x.strides));
            let to = format!("{}[{}]", body.pointer(out), body.place(at, &out.strides));
            let p = &at[axis];
            let add = format!("sum = {};\n", fold.two("sum", &from));
            // Which windows lie on the element, and with which of theirs.
            let walk = match (step, dilation) {
                (0, 0) => {
                    format!("if ({p} == 0) for (long i = 0; i < {count}; ++i) for (long j = 0; j < {size}; ++j) {add}")
                }
                (0, _) => format!(
                    "if ({p} % {dilation} == 0 && {p} / {dilation} < {size}) {{\nconst long j = {p} / {dilation};\n\
                     for (long i = 0; i < {count}; ++i) {add}}}\n"
                ),
                (_, 0) => format!(
                    "if ({p} % {step} == 0 && {p} / {step} < {count}) {{\nconst long i = {p} / {step};\n\
                     for (long j = 0; j < {size}; ++j) {add}}}\n"
                ),
                (_, 1) => format!(
                    "for (long i = max(0L, ({p} - {size} + {step}) / {step}), last = min({count}, {p} / {step} + 1); i < last; ++i) {{\n\
                     const long j = {p} - i * {step};\n{add}}}\n"
                ),
                (_, _) => format!(
                    "for (long i = 0, last = min({count}, {p} / {step} + 1); i < last; ++i) {{\n\
                     const long rest = {p} - i * {step}, j = rest / {dilation};\n\
                     if (j < {size} && j * {dilation} == rest) {add}}}\n"
                ),
            };
            format!("{t} sum = 0;\n{walk}{to} = sum;\n")
        },
    );
}
