//! Elementwise operations of the eager mode. Never rounds differently from generated code: what is not exact in
//! IEEE 754 goes through [`super::table()`], as generated code does.

use super::element_ops::select_run;
use super::ops::{BinaryOp, CompareOp, UnaryOp};
use super::view::{Element, Loops, View};

#[cold]
#[inline(never)]
#[track_caller]
pub(crate) fn mismatch(what: &str) -> ! {
    panic!("bug in allotrope: {what}: operands and output of a kernel differ in shape")
}

/// An operand of one run over all elements, without shape or strides: elements side by side, or one that is repeated.
#[derive(Copy, Clone, Debug)]
pub enum Run<'a, T> {
    Elements(&'a [T]),
    One(&'a T),
}

impl<T> Run<'_, T> {
    /// Where the elements begin, and how far apart they are; checks that there are `n`.
    #[inline(always)]
    fn of(&self, n: usize, what: &str) -> (*const T, isize) {
        match self {
            Run::Elements(all) if all.len() == n => (all.as_ptr(), 1),
            Run::Elements(_) => mismatch(what),
            Run::One(x) => (*x, 0),
        }
    }
}

/// As [`unary`], in one run.
///
/// # Panics
/// A bug of the caller: lengths that differ, or an operation that the type does not have.
#[inline]
pub fn unary_run<T: Element>(op: UnaryOp, x: Run<T>, out: &mut [T]) {
    let (from, step) = x.of(out.len(), "unary");
    // SAFETY: there are as many elements as in `out`, which, being `&mut`, overlaps nothing.
    unsafe { T::map(op, out.len(), from, step, out.as_mut_ptr()) }
}

/// As [`binary`], in one run.
///
/// # Panics
/// A bug of the caller: lengths that differ, or an operation that the type does not have.
#[inline]
pub fn binary_run<T: Element>(op: BinaryOp, a: Run<T>, b: Run<T>, out: &mut [T]) {
    let ((x, sa), (y, sb)) = (a.of(out.len(), "binary"), b.of(out.len(), "binary"));
    // SAFETY: there are as many elements as in `out`, which, being `&mut`, overlaps nothing.
    unsafe { T::zip(op, out.len(), x, sa, y, sb, out.as_mut_ptr()) }
}

/// As [`compare`], in one run.
///
/// # Panics
/// A bug of the caller: lengths that differ.
#[inline]
pub fn compare_run<T: Element>(op: CompareOp, a: Run<T>, b: Run<T>, out: &mut [bool]) {
    let ((x, sa), (y, sb)) = (a.of(out.len(), "compare"), b.of(out.len(), "compare"));
    // SAFETY: there are as many elements as in `out`, which, being `&mut`, overlaps nothing.
    unsafe { T::compare(op, out.len(), x, sa, y, sb, out.as_mut_ptr()) }
}

/// `out[i] = op(x[i])`; `out` is contiguous, in row-major order of `x`.
///
/// # Panics
/// A bug of the caller: `out.len() != x.numel()`, or an operation that the type does not have.
#[inline]
pub fn unary<T: Element>(op: UnaryOp, x: View<T>, out: &mut [T]) {
    if out.len() != x.numel() {
        mismatch("unary");
    }
    if out.is_empty() {
        return;
    }
    let (from, to) = (x.as_ptr(), out.as_mut_ptr());
    // SAFETY: the view was checked, `out` has as many elements and, being `&mut`, overlaps nothing.
    unsafe {
        if x.is_contiguous() {
            return T::map(op, out.len(), from, 1, to);
        }
        let mut done = 0;
        Loops::new(x.shape(), [x.strides()]).rows(|n, [at], [step]| {
            T::map(op, n, from.offset(at), step, to.add(done));
            done += n;
        });
    }
}

#[inline(always)]
fn zip_views<T: Element, O: Element>(
    what: &str,
    a: View<T>,
    b: View<T>,
    out: &mut [O],
    run: impl Fn(usize, *const T, isize, *const T, isize, *mut O),
) {
    if a.shape() != b.shape() || out.len() != a.numel() {
        mismatch(what);
    }
    if out.is_empty() {
        return;
    }
    let (left, right, to) = (a.as_ptr(), b.as_ptr(), out.as_mut_ptr());
    if a.is_contiguous() && b.is_contiguous() {
        return run(out.len(), left, 1, right, 1, to);
    }
    let mut done = 0;
    Loops::new(a.shape(), [a.strides(), b.strides()]).rows(|n, [i, j], [sa, sb]| {
        // SAFETY: offsets of the loops stay inside the checked views, `done` inside the output.
        let (x, y, z) = unsafe { (left.offset(i), right.offset(j), to.add(done)) };
        run(n, x, sa, y, sb, z);
        done += n;
    });
}

/// `out[i] = op(a[i], b[i])`; equal shapes (broadcast with stride 0), `out` contiguous.
///
/// # Panics
/// A bug of the caller: shapes that differ, or an operation that the type does not have.
#[inline]
pub fn binary<T: Element>(op: BinaryOp, a: View<T>, b: View<T>, out: &mut [T]) {
    // SAFETY: the views were checked, `out` has as many elements and, being `&mut`, overlaps nothing.
    zip_views("binary", a, b, out, |n, x, sa, y, sb, z| unsafe { T::zip(op, n, x, sa, y, sb, z) });
}

/// `out[i] = a[i] op b[i]`; equal shapes (broadcast with stride 0), `out` contiguous.
///
/// # Panics
/// A bug of the caller: shapes that differ.
#[inline]
pub fn compare<T: Element>(op: CompareOp, a: View<T>, b: View<T>, out: &mut [bool]) {
    // SAFETY: the views were checked, `out` has as many elements and, being `&mut`, overlaps nothing.
    zip_views("compare", a, b, out, |n, x, sa, y, sb, z| unsafe { T::compare(op, n, x, sa, y, sb, z) });
}

/// `out[i] = if cond[i] {a[i]} else {b[i]}`; equal shapes (broadcast with stride 0), `out` contiguous.
///
/// # Panics
/// A bug of the caller: shapes that differ.
pub fn select<T: Element>(cond: View<bool>, a: View<T>, b: View<T>, out: &mut [T]) {
    if cond.shape() != a.shape() || cond.shape() != b.shape() || out.len() != cond.numel() {
        mismatch("select");
    }
    if out.is_empty() {
        return;
    }
    let (c, x, y, to) = (cond.as_ptr(), a.as_ptr(), b.as_ptr(), out.as_mut_ptr());
    let mut done = 0;
    Loops::new(cond.shape(), [cond.strides(), a.strides(), b.strides()]).rows(|n, at, step| {
        // SAFETY: offsets of the loops stay inside the checked views, `done` inside the output.
        unsafe {
            select_run(
                n,
                (c.offset(at[0]), step[0]),
                (x.offset(at[1]), step[1]),
                (y.offset(at[2]), step[2]),
                to.add(done),
            );
        }
        done += n;
    });
}
