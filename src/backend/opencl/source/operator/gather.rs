//! Gather along an axis: moves, of any dtype. An index out of range gives zero and touches nothing.

use crate::backend::opencl::source::body::{Body, Launches, c_type};
use crate::backend::opencl::source::operator::indices::positions;
use crate::schedule::{View, collapse, is_zero};
use allotrope_ir::Dim;

/// `out[.., i, ..] = x[.., index[.., i, ..], ..]`
pub fn gather(launches: &mut Launches, axis: usize, x: &View, index: &View, out: &View) {
    let (n, step) = (&x.shape[axis], &x.strides[axis]);
    let (mut x, mut index, mut out) = (x.clone(), index.clone(), out.clone());
    x.strides[axis] = Dim::Fixed(0);
    let mut shape = index.shape.clone();
    let split = shape.len();
    collapse(&mut shape, &mut [&mut x.strides, &mut index.strides, &mut out.strides], split);
    let t = c_type(x.dtype);
    // Where neighbours have one index, it is read once.
    let shared = index.strides.last().is_none_or(is_zero);
    let find = |body: &mut Body, indices: &[String]| {
        format!(
            "const long p = {}[{}];\nconst int inside = (ulong)p < (ulong){};\n\
             __global const {t} *row = {} + (inside ? p : 0) * {};\n",
            body.pointer(&index),
            body.place(indices, &index.strides),
            body.number(n),
            body.pointer(&x),
            body.number(step),
        )
    };
    positions(
        launches,
        &shape,
        |body, i| if shared { find(body, i) } else { String::new() },
        |body, i| {
            let find = if shared { String::new() } else { find(body, i) };
            let (to, at) = (body.pointer(&out), body.place(i, &out.strides));
            find + &format!("{to}[{at}] = inside ? row[{}] : ({t})0;\n", body.place(i, &x.strides))
        },
    );
}
