//! Elementwise operations of the eager mode. Never rounds differently from generated code: what is not exact in
//! IEEE 754 goes through [`super::table()`], as generated code does.

use super::ops::{BinaryOp, CompareOp, UnaryOp};
use super::simd::{Isa, multiversion};
use super::table::table;
use super::view::{Element, Loops, View};

#[cold]
#[inline(never)]
#[track_caller]
fn undefined(op: impl std::fmt::Debug, dtype: &str) -> ! {
    panic!("bug in allotrope: kernel {op:?} is not defined for {dtype}")
}

#[cold]
#[inline(never)]
#[track_caller]
fn mismatch(what: &str) -> ! {
    panic!("bug in allotrope: {what}: operands and output of a kernel differ in shape")
}

/// A function of one element.
pub(crate) trait Map<T, O> {
    fn of(x: T) -> O;
}

/// A function of two elements.
pub(crate) trait Zip<T, O> {
    fn of(a: T, b: T) -> O;
}

macro_rules! define {
    ($($trait:ident $name:ident: $($t:ty => $o:ty),+; $f:tt)+) => {$(
        struct $name;
        $( define!(@of $trait $name $t, $o, $f); )+
    )+};
    (@of Map $name:ident $t:ty, $o:ty, (|$x:ident| $e:expr)) => {
        impl Map<$t, $o> for $name {
            #[inline(always)]
            fn of($x: $t) -> $o { $e }
        }
    };
    (@of Zip $name:ident $t:ty, $o:ty, (|$a:ident, $b:ident| $e:expr)) => {
        impl Zip<$t, $o> for $name {
            #[inline(always)]
            fn of($a: $t, $b: $t) -> $o { $e }
        }
    };
}

define! {
    Map Neg: f32 => f32, f64 => f64; (|x| -x)
    Map NegInt: i64 => i64; (|x| x.wrapping_neg())
    Map Abs: f32 => f32, f64 => f64; (|x| x.abs())
    Map AbsInt: i64 => i64; (|x| x.wrapping_abs())
    Map Sqrt: f32 => f32, f64 => f64; (|x| x.sqrt())
    Map Not: bool => bool, i64 => i64; (|x| !x)
    Zip Add: f32 => f32, f64 => f64; (|a, b| a + b)
    Zip Sub: f32 => f32, f64 => f64; (|a, b| a - b)
    Zip Mul: f32 => f32, f64 => f64; (|a, b| a * b)
    Zip Div: f32 => f32, f64 => f64; (|a, b| a / b)
    Zip AddInt: i64 => i64; (|a, b| a.wrapping_add(b))
    Zip SubInt: i64 => i64; (|a, b| a.wrapping_sub(b))
    Zip MulInt: i64 => i64; (|a, b| a.wrapping_mul(b))
    Zip Maximum: f32 => f32, f64 => f64; (|a, b| if a > b || a.is_nan() { a } else { b })
    Zip Minimum: f32 => f32, f64 => f64; (|a, b| if a < b || a.is_nan() { a } else { b })
    Zip MaximumInt: i64 => i64; (|a, b| a.max(b))
    Zip MinimumInt: i64 => i64; (|a, b| a.min(b))
    Zip And: bool => bool, i64 => i64; (|a, b| a & b)
    Zip Or: bool => bool, i64 => i64; (|a, b| a | b)
    Zip Xor: bool => bool, i64 => i64; (|a, b| a ^ b)
    Zip Eq: f32 => bool, f64 => bool, i64 => bool, bool => bool; (|a, b| a == b)
    Zip Ne: f32 => bool, f64 => bool, i64 => bool, bool => bool; (|a, b| a != b)
    Zip Lt: f32 => bool, f64 => bool, i64 => bool; (|a, b| a < b)
    Zip Le: f32 => bool, f64 => bool, i64 => bool; (|a, b| a <= b)
    Zip LtBool: bool => bool; (|a, b| !a & b)
    Zip LeBool: bool => bool; (|a, b| !a | b)
}

#[inline(always)]
fn map_slice<T: Copy, O, F: Map<T, O>>(x: &[T], out: &mut [O]) {
    for (o, &x) in out.iter_mut().zip(x) {
        *o = F::of(x);
    }
}

#[inline(always)]
fn zip_slices<T: Copy, O, F: Zip<T, O>>(a: &[T], b: &[T], out: &mut [O]) {
    for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *o = F::of(a, b);
    }
}

#[inline(always)]
unsafe fn map_body<S: Isa, T: Element, O: Element, F: Map<T, O>>(n: usize, x: *const T, sx: isize, out: *mut O) {
    // SAFETY: the caller gives `n` elements, `sx` apart, and an output that overlaps nothing.
    unsafe {
        let out = std::slice::from_raw_parts_mut(out, n);
        match sx {
            1 => map_slice::<T, O, F>(std::slice::from_raw_parts(x, n), out),
            _ => {
                for (i, o) in out.iter_mut().enumerate() {
                    *o = F::of(*x.offset(i as isize * sx));
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn zip_body<S: Isa, T: Element, O: Element, F: Zip<T, O>>(
    n: usize,
    a: *const T,
    sa: isize,
    b: *const T,
    sb: isize,
    out: *mut O,
) {
    // SAFETY: the caller gives `n` elements at each stride, and an output that overlaps nothing.
    unsafe {
        let out = std::slice::from_raw_parts_mut(out, n);
        match (sa, sb) {
            (1, 1) => zip_slices::<T, O, F>(std::slice::from_raw_parts(a, n), std::slice::from_raw_parts(b, n), out),
            (1, 0) => {
                let b = *b;
                for (o, &a) in out.iter_mut().zip(std::slice::from_raw_parts(a, n)) {
                    *o = F::of(a, b);
                }
            }
            (0, 1) => {
                let a = *a;
                for (o, &b) in out.iter_mut().zip(std::slice::from_raw_parts(b, n)) {
                    *o = F::of(a, b);
                }
            }
            _ => {
                for (i, o) in out.iter_mut().enumerate() {
                    *o = F::of(*a.offset(i as isize * sa), *b.offset(i as isize * sb));
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn select_body<S: Isa, T: Element>(
    n: usize,
    cond: (*const bool, isize),
    a: (*const T, isize),
    b: (*const T, isize),
    out: *mut T,
) {
    // SAFETY: the caller gives `n` elements at each stride, and an output that overlaps nothing.
    unsafe {
        let out = std::slice::from_raw_parts_mut(out, n);
        if (cond.1, a.1, b.1) == (1, 1, 1) {
            let c = std::slice::from_raw_parts(cond.0, n);
            let (a, b) = (std::slice::from_raw_parts(a.0, n), std::slice::from_raw_parts(b.0, n));
            for (((o, &c), &a), &b) in out.iter_mut().zip(c).zip(a).zip(b) {
                *o = if c { a } else { b };
            }
        } else {
            for (i, o) in out.iter_mut().enumerate() {
                let i = i as isize;
                let (x, y) = (*a.0.offset(i * a.1), *b.0.offset(i * b.1));
                *o = if *cond.0.offset(i * cond.1) { x } else { y };
            }
        }
    }
}

multiversion! {
    unsafe fn map_run<T: Element, O: Element, F: Map<T, O>>(n: usize, x: *const T, sx: isize, out: *mut O)
        = map_body::<T, O, F>;
    unsafe fn zip_run<T: Element, O: Element, F: Zip<T, O>>(
        n: usize, a: *const T, sa: isize, b: *const T, sb: isize, out: *mut O) = zip_body::<T, O, F>;
    unsafe fn select_run<T: Element>(
        n: usize, cond: (*const bool, isize), a: (*const T, isize), b: (*const T, isize), out: *mut T)
        = select_body::<T>;
}

/// The operations of each element type, one run of `n` elements at a time, `s` elements apart in the operands.
///
/// # Safety
/// Every operand has `n` readable elements at its stride, `out` has `n` writable ones that overlap no operand.
pub trait ElementOps: Copy + Sized {
    /// One operand.
    unsafe fn map(op: UnaryOp, n: usize, x: *const Self, sx: isize, out: *mut Self);
    /// Two operands.
    unsafe fn zip(op: BinaryOp, n: usize, a: *const Self, sa: isize, b: *const Self, sb: isize, out: *mut Self);
    /// Two operands, a truth value out.
    unsafe fn compare(op: CompareOp, n: usize, a: *const Self, sa: isize, b: *const Self, sb: isize, out: *mut bool);
}

/// Copies a strided run to `out`, from where the vector functions can work in place.
unsafe fn gather<T: Element>(n: usize, x: *const T, sx: isize, out: *mut T) -> *const T {
    if sx == 1 {
        return x;
    }
    for i in 0..n {
        // SAFETY: as for the caller.
        unsafe { *out.add(i) = *x.offset(i as isize * sx) };
    }
    out
}

macro_rules! float_ops {
    ($t:ident: $exp:ident, $log:ident, $sin:ident, $cos:ident, $tanh:ident, $pow:ident) => {
        impl ElementOps for $t {
            #[inline]
            unsafe fn map(op: UnaryOp, n: usize, x: *const Self, sx: isize, out: *mut Self) {
                // SAFETY: the caller's contract is that of the functions called.
                unsafe {
                    match op {
                        UnaryOp::Neg => map_run::<$t, $t, Neg>(n, x, sx, out),
                        UnaryOp::Abs => map_run::<$t, $t, Abs>(n, x, sx, out),
                        UnaryOp::Sqrt => map_run::<$t, $t, Sqrt>(n, x, sx, out),
                        UnaryOp::Exp => (table().$exp)(n, gather(n, x, sx, out), out),
                        UnaryOp::Log => (table().$log)(n, gather(n, x, sx, out), out),
                        UnaryOp::Sin => (table().$sin)(n, gather(n, x, sx, out), out),
                        UnaryOp::Cos => (table().$cos)(n, gather(n, x, sx, out), out),
                        UnaryOp::Tanh => (table().$tanh)(n, gather(n, x, sx, out), out),
                        UnaryOp::Not => undefined(op, stringify!($t)),
                    }
                }
            }
            #[inline]
            unsafe fn zip(
                op: BinaryOp,
                n: usize,
                a: *const Self,
                sa: isize,
                b: *const Self,
                sb: isize,
                out: *mut Self,
            ) {
                // SAFETY: the caller's contract is that of the functions called.
                unsafe {
                    match op {
                        BinaryOp::Add => zip_run::<$t, $t, Add>(n, a, sa, b, sb, out),
                        BinaryOp::Sub => zip_run::<$t, $t, Sub>(n, a, sa, b, sb, out),
                        BinaryOp::Mul => zip_run::<$t, $t, Mul>(n, a, sa, b, sb, out),
                        BinaryOp::Div => zip_run::<$t, $t, Div>(n, a, sa, b, sb, out),
                        BinaryOp::Maximum => zip_run::<$t, $t, Maximum>(n, a, sa, b, sb, out),
                        BinaryOp::Minimum => zip_run::<$t, $t, Minimum>(n, a, sa, b, sb, out),
                        BinaryOp::Pow => pow_strided::<$t>(table().$pow, n, a, sa, b, sb, out),
                        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => undefined(op, stringify!($t)),
                    }
                }
            }
            #[inline]
            unsafe fn compare(
                op: CompareOp,
                n: usize,
                a: *const Self,
                sa: isize,
                b: *const Self,
                sb: isize,
                out: *mut bool,
            ) {
                // SAFETY: the caller's contract is that of the functions called.
                unsafe {
                    match op {
                        CompareOp::Eq => zip_run::<$t, bool, Eq>(n, a, sa, b, sb, out),
                        CompareOp::Ne => zip_run::<$t, bool, Ne>(n, a, sa, b, sb, out),
                        CompareOp::Lt => zip_run::<$t, bool, Lt>(n, a, sa, b, sb, out),
                        CompareOp::Le => zip_run::<$t, bool, Le>(n, a, sa, b, sb, out),
                        CompareOp::Gt => zip_run::<$t, bool, Lt>(n, b, sb, a, sa, out),
                        CompareOp::Ge => zip_run::<$t, bool, Le>(n, b, sb, a, sa, out),
                    }
                }
            }
        }
    };
}
float_ops!(f32: exp_f32, log_f32, sin_f32, cos_f32, tanh_f32, pow_f32);
float_ops!(f64: exp_f64, log_f64, sin_f64, cos_f64, tanh_f64, pow_f64);

type PowFn<T> = unsafe extern "C" fn(usize, *const T, *const T, *mut T);

/// `pow` of strided runs, through small buffers where a stride is not 1.
unsafe fn pow_strided<T: Element>(
    pow: PowFn<T>,
    n: usize,
    a: *const T,
    sa: isize,
    b: *const T,
    sb: isize,
    out: *mut T,
) {
    const CHUNK: usize = 128;
    if sa == 1 && sb == 1 {
        // SAFETY: as for the caller.
        return unsafe { pow(n, a, b, out) };
    }
    let mut buffers = [[T::default(); CHUNK]; 2];
    for start in (0..n).step_by(CHUNK) {
        let m = CHUNK.min(n - start);
        let [left, right] = &mut buffers;
        // SAFETY: `start + m <= n`, and the buffers hold `m` elements.
        unsafe {
            let at = start as isize;
            let a = gather(m, a.offset(at * sa), sa, left.as_mut_ptr());
            let b = gather(m, b.offset(at * sb), sb, right.as_mut_ptr());
            pow(m, a, b, out.add(start));
        }
    }
}

impl ElementOps for i64 {
    #[inline]
    unsafe fn map(op: UnaryOp, n: usize, x: *const Self, sx: isize, out: *mut Self) {
        // SAFETY: the caller's contract is that of the functions called.
        unsafe {
            match op {
                UnaryOp::Neg => map_run::<i64, i64, NegInt>(n, x, sx, out),
                UnaryOp::Abs => map_run::<i64, i64, AbsInt>(n, x, sx, out),
                UnaryOp::Not => map_run::<i64, i64, Not>(n, x, sx, out),
                _ => undefined(op, "i64"),
            }
        }
    }
    #[inline]
    unsafe fn zip(op: BinaryOp, n: usize, a: *const Self, sa: isize, b: *const Self, sb: isize, out: *mut Self) {
        // SAFETY: the caller's contract is that of the functions called.
        unsafe {
            match op {
                BinaryOp::Add => zip_run::<i64, i64, AddInt>(n, a, sa, b, sb, out),
                BinaryOp::Sub => zip_run::<i64, i64, SubInt>(n, a, sa, b, sb, out),
                BinaryOp::Mul => zip_run::<i64, i64, MulInt>(n, a, sa, b, sb, out),
                BinaryOp::Maximum => zip_run::<i64, i64, MaximumInt>(n, a, sa, b, sb, out),
                BinaryOp::Minimum => zip_run::<i64, i64, MinimumInt>(n, a, sa, b, sb, out),
                BinaryOp::And => zip_run::<i64, i64, And>(n, a, sa, b, sb, out),
                BinaryOp::Or => zip_run::<i64, i64, Or>(n, a, sa, b, sb, out),
                BinaryOp::Xor => zip_run::<i64, i64, Xor>(n, a, sa, b, sb, out),
                BinaryOp::Div | BinaryOp::Pow => undefined(op, "i64"),
            }
        }
    }
    #[inline]
    unsafe fn compare(op: CompareOp, n: usize, a: *const Self, sa: isize, b: *const Self, sb: isize, out: *mut bool) {
        // SAFETY: the caller's contract is that of the functions called.
        unsafe {
            match op {
                CompareOp::Eq => zip_run::<i64, bool, Eq>(n, a, sa, b, sb, out),
                CompareOp::Ne => zip_run::<i64, bool, Ne>(n, a, sa, b, sb, out),
                CompareOp::Lt => zip_run::<i64, bool, Lt>(n, a, sa, b, sb, out),
                CompareOp::Le => zip_run::<i64, bool, Le>(n, a, sa, b, sb, out),
                CompareOp::Gt => zip_run::<i64, bool, Lt>(n, b, sb, a, sa, out),
                CompareOp::Ge => zip_run::<i64, bool, Le>(n, b, sb, a, sa, out),
            }
        }
    }
}

impl ElementOps for bool {
    #[inline]
    unsafe fn map(op: UnaryOp, n: usize, x: *const Self, sx: isize, out: *mut Self) {
        match op {
            // SAFETY: the caller's contract is that of the function called.
            UnaryOp::Not => unsafe { map_run::<bool, bool, Not>(n, x, sx, out) },
            _ => undefined(op, "bool"),
        }
    }
    #[inline]
    unsafe fn zip(op: BinaryOp, n: usize, a: *const Self, sa: isize, b: *const Self, sb: isize, out: *mut Self) {
        // SAFETY: the caller's contract is that of the functions called.
        unsafe {
            match op {
                BinaryOp::And | BinaryOp::Minimum => zip_run::<bool, bool, And>(n, a, sa, b, sb, out),
                BinaryOp::Or | BinaryOp::Maximum => zip_run::<bool, bool, Or>(n, a, sa, b, sb, out),
                BinaryOp::Xor => zip_run::<bool, bool, Xor>(n, a, sa, b, sb, out),
                _ => undefined(op, "bool"),
            }
        }
    }
    #[inline]
    unsafe fn compare(op: CompareOp, n: usize, a: *const Self, sa: isize, b: *const Self, sb: isize, out: *mut bool) {
        // SAFETY: the caller's contract is that of the functions called.
        unsafe {
            match op {
                CompareOp::Eq => zip_run::<bool, bool, Eq>(n, a, sa, b, sb, out),
                CompareOp::Ne => zip_run::<bool, bool, Ne>(n, a, sa, b, sb, out),
                CompareOp::Lt => zip_run::<bool, bool, LtBool>(n, a, sa, b, sb, out),
                CompareOp::Le => zip_run::<bool, bool, LeBool>(n, a, sa, b, sb, out),
                CompareOp::Gt => zip_run::<bool, bool, LtBool>(n, b, sb, a, sa, out),
                CompareOp::Ge => zip_run::<bool, bool, LeBool>(n, b, sb, a, sa, out),
            }
        }
    }
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

/// A conversion between element types: floats to integers saturate and NaN gives 0, a number is `true` unless it is
/// zero (NaN is `true`), `true` is 1.
pub trait CastTo<D>: Element {
    /// The converted value.
    fn cast_to(self) -> D;
}

macro_rules! casts {
    ($($s:ty => $d:ty: |$x:ident| $e:expr;)+) => {$(
        impl CastTo<$d> for $s {
            #[inline(always)]
            #[allow(clippy::unnecessary_cast)]
            fn cast_to(self) -> $d { let $x = self; $e }
        }
    )+};
}
casts! {
    f32 => f32: |x| x;
    f32 => f64: |x| x as f64;
    f32 => i64: |x| x as i64;
    f32 => bool: |x| x != 0.0;
    f64 => f32: |x| x as f32;
    f64 => f64: |x| x;
    f64 => i64: |x| x as i64;
    f64 => bool: |x| x != 0.0;
    i64 => f32: |x| x as f32;
    i64 => f64: |x| x as f64;
    i64 => i64: |x| x;
    i64 => bool: |x| x != 0;
    bool => f32: |x| x as u8 as f32;
    bool => f64: |x| x as u8 as f64;
    bool => i64: |x| x as i64;
    bool => bool: |x| x;
}

struct Cast;
impl<S: CastTo<D>, D> Map<S, D> for Cast {
    #[inline(always)]
    fn of(x: S) -> D {
        x.cast_to()
    }
}

/// `out[i] = x[i]` in another type, by [`CastTo`]; `out` is contiguous.
///
/// # Panics
/// A bug of the caller: `out.len() != x.numel()`.
pub fn cast<S: CastTo<D>, D: Element>(x: View<S>, out: &mut [D]) {
    if out.len() != x.numel() {
        mismatch("cast");
    }
    if out.is_empty() {
        return;
    }
    let (from, to) = (x.as_ptr(), out.as_mut_ptr());
    let mut done = 0;
    Loops::new(x.shape(), [x.strides()]).rows(|n, [at], [step]| {
        // SAFETY: offsets of the loops stay inside the checked view, `done` inside the output.
        unsafe { map_run::<S, D, Cast>(n, from.offset(at), step, to.add(done)) };
        done += n;
    });
}
