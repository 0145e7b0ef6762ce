//! What each elementwise operation is for each element type, over one strided run of memory. Never knows of shapes.

use super::ops::{BinaryOp, CompareOp, UnaryOp};
use super::simd::{Isa, multiversion};
use super::table::table;
use super::view::Element;
use half::{bf16, f16};

#[cold]
#[inline(never)]
#[track_caller]
fn undefined(op: impl std::fmt::Debug, dtype: &str) -> ! {
    panic!("bug in allotrope: kernel {op:?} is not defined for {dtype}")
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
    Map NegInt: u8 => u8, i32 => i32, i64 => i64; (|x| x.wrapping_neg())
    Map Abs: f32 => f32, f64 => f64; (|x| x.abs())
    Map AbsInt: i32 => i32, i64 => i64; (|x| x.wrapping_abs())
    Map Same: u8 => u8; (|x| x)
    Map Sqrt: f32 => f32, f64 => f64; (|x| x.sqrt())
    Map Floor: f32 => f32, f64 => f64; (|x| x.floor())
    Map Ceil: f32 => f32, f64 => f64; (|x| x.ceil())
    Map Round: f32 => f32, f64 => f64; (|x| x.round_ties_even())
    Map Trunc: f32 => f32, f64 => f64; (|x| x.trunc())
    Map Not: bool => bool, u8 => u8, i32 => i32, i64 => i64; (|x| !x)
    Zip Add: f32 => f32, f64 => f64; (|a, b| a + b)
    Zip Sub: f32 => f32, f64 => f64; (|a, b| a - b)
    Zip Mul: f32 => f32, f64 => f64; (|a, b| a * b)
    Zip Div: f32 => f32, f64 => f64; (|a, b| a / b)
    Zip AddInt: u8 => u8, i32 => i32, i64 => i64; (|a, b| a.wrapping_add(b))
    Zip SubInt: u8 => u8, i32 => i32, i64 => i64; (|a, b| a.wrapping_sub(b))
    Zip MulInt: u8 => u8, i32 => i32, i64 => i64; (|a, b| a.wrapping_mul(b))
    Zip Maximum: f32 => f32, f64 => f64; (|a, b| if b > a || b.is_nan() { b } else { a })
    Zip Minimum: f32 => f32, f64 => f64; (|a, b| if b < a || b.is_nan() { b } else { a })
    Zip MaximumInt: u8 => u8, i32 => i32, i64 => i64; (|a, b| a.max(b))
    Zip MinimumInt: u8 => u8, i32 => i32, i64 => i64; (|a, b| a.min(b))
    Zip And: bool => bool, u8 => u8, i32 => i32, i64 => i64; (|a, b| a & b)
    Zip Or: bool => bool, u8 => u8, i32 => i32, i64 => i64; (|a, b| a | b)
    Zip Xor: bool => bool, u8 => u8, i32 => i32, i64 => i64; (|a, b| a ^ b)
    Zip Eq: f32 => bool, f64 => bool, u8 => bool, i32 => bool, i64 => bool, bool => bool; (|a, b| a == b)
    Zip Ne: f32 => bool, f64 => bool, u8 => bool, i32 => bool, i64 => bool, bool => bool; (|a, b| a != b)
    Zip Lt: f32 => bool, f64 => bool, u8 => bool, i32 => bool, i64 => bool; (|a, b| a < b)
    Zip Le: f32 => bool, f64 => bool, u8 => bool, i32 => bool, i64 => bool; (|a, b| a <= b)
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
    pub(crate) unsafe fn map_run<T: Element, O: Element, F: Map<T, O>>(n: usize, x: *const T, sx: isize, out: *mut O)
        = map_body::<T, O, F>;
    unsafe fn zip_run<T: Element, O: Element, F: Zip<T, O>>(
        n: usize, a: *const T, sa: isize, b: *const T, sb: isize, out: *mut O) = zip_body::<T, O, F>;
    pub(crate) unsafe fn select_run<T: Element>(
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
    ($t:ident: { $($op:ident: $f:ident),+ $(,)? } { $($op2:ident: $f2:ident),+ $(,)? }) => {
        impl ElementOps for $t {
            #[inline]
            unsafe fn map(op: UnaryOp, n: usize, x: *const Self, sx: isize, out: *mut Self) {
                // SAFETY: the caller's contract is that of the functions called.
                unsafe {
                    match op {
                        UnaryOp::Neg => map_run::<$t, $t, Neg>(n, x, sx, out),
                        UnaryOp::Abs => map_run::<$t, $t, Abs>(n, x, sx, out),
                        UnaryOp::Sqrt => map_run::<$t, $t, Sqrt>(n, x, sx, out),
                        UnaryOp::Floor => map_run::<$t, $t, Floor>(n, x, sx, out),
                        UnaryOp::Ceil => map_run::<$t, $t, Ceil>(n, x, sx, out),
                        UnaryOp::Round => map_run::<$t, $t, Round>(n, x, sx, out),
                        UnaryOp::Trunc => map_run::<$t, $t, Trunc>(n, x, sx, out),
                        $( UnaryOp::$op => (table().$f)(n, gather(n, x, sx, out), out), )+
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
                        $( BinaryOp::$op2 => dense_zip::<$t>(table().$f2, n, a, sa, b, sb, out), )+
                        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::Quotient => {
                            undefined(op, stringify!($t))
                        }
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
float_ops!(f32: {
    Exp: exp_f32, Log: log_f32, Sin: sin_f32, Cos: cos_f32, Tanh: tanh_f32, Exp2: exp2_f32, Expm1: expm1_f32,
    Log2: log2_f32, Log10: log10_f32, Log1p: log1p_f32, Tan: tan_f32, Asin: asin_f32, Acos: acos_f32, Atan: atan_f32,
    Sinh: sinh_f32, Cosh: cosh_f32, Asinh: asinh_f32, Acosh: acosh_f32, Atanh: atanh_f32, Erf: erf_f32, Erfc: erfc_f32,
} { Pow: pow_f32, Atan2: atan2_f32, Rem: rem_f32 });
float_ops!(f64: {
    Exp: exp_f64, Log: log_f64, Sin: sin_f64, Cos: cos_f64, Tanh: tanh_f64, Exp2: exp2_f64, Expm1: expm1_f64,
    Log2: log2_f64, Log10: log10_f64, Log1p: log1p_f64, Tan: tan_f64, Asin: asin_f64, Acos: acos_f64, Atan: atan_f64,
    Sinh: sinh_f64, Cosh: cosh_f64, Asinh: asinh_f64, Acosh: acosh_f64, Atanh: atanh_f64, Erf: erf_f64, Erfc: erfc_f64,
} { Pow: pow_f64, Atan2: atan2_f64, Rem: rem_f64 });

macro_rules! int_ops {
    ($t:ident: $abs:ident, $pow:ident, $rem:ident, $quotient:ident) => {
        impl ElementOps for $t {
            #[inline]
            unsafe fn map(op: UnaryOp, n: usize, x: *const Self, sx: isize, out: *mut Self) {
                // SAFETY: the caller's contract is that of the functions called.
                unsafe {
                    match op {
                        UnaryOp::Neg => map_run::<$t, $t, NegInt>(n, x, sx, out),
                        UnaryOp::Abs => map_run::<$t, $t, $abs>(n, x, sx, out),
                        UnaryOp::Not => map_run::<$t, $t, Not>(n, x, sx, out),
                        _ => undefined(op, stringify!($t)),
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
                        BinaryOp::Add => zip_run::<$t, $t, AddInt>(n, a, sa, b, sb, out),
                        BinaryOp::Sub => zip_run::<$t, $t, SubInt>(n, a, sa, b, sb, out),
                        BinaryOp::Mul => zip_run::<$t, $t, MulInt>(n, a, sa, b, sb, out),
                        BinaryOp::Maximum => zip_run::<$t, $t, MaximumInt>(n, a, sa, b, sb, out),
                        BinaryOp::Minimum => zip_run::<$t, $t, MinimumInt>(n, a, sa, b, sb, out),
                        BinaryOp::And => zip_run::<$t, $t, And>(n, a, sa, b, sb, out),
                        BinaryOp::Or => zip_run::<$t, $t, Or>(n, a, sa, b, sb, out),
                        BinaryOp::Xor => zip_run::<$t, $t, Xor>(n, a, sa, b, sb, out),
                        BinaryOp::Pow => dense_zip::<$t>(table().$pow, n, a, sa, b, sb, out),
                        BinaryOp::Rem => dense_zip::<$t>(table().$rem, n, a, sa, b, sb, out),
                        BinaryOp::Quotient => dense_zip::<$t>(table().$quotient, n, a, sa, b, sb, out),
                        BinaryOp::Div | BinaryOp::Atan2 => undefined(op, stringify!($t)),
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
int_ops!(u8: Same, pow_u8, rem_u8, quotient_u8);
int_ops!(i32: AbsInt, pow_i32, rem_i32, quotient_i32);
int_ops!(i64: AbsInt, pow_i64, rem_i64, quotient_i64);

type ZipFn<T> = unsafe extern "C" fn(usize, *const T, *const T, *mut T);

/// A function of dense operands on strided runs, through small buffers where a stride is not 1.
unsafe fn dense_zip<T: Element>(f: ZipFn<T>, n: usize, a: *const T, sa: isize, b: *const T, sb: isize, out: *mut T) {
    const CHUNK: usize = 128;
    if sa == 1 && sb == 1 {
        // SAFETY: as for the caller.
        return unsafe { f(n, a, b, out) };
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
            f(m, a, b, out.add(start));
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

macro_rules! stored_only {
    ($($t:ident),+) => {$(
        impl ElementOps for $t {
            unsafe fn map(op: UnaryOp, _: usize, _: *const Self, _: isize, _: *mut Self) {
                undefined(op, stringify!($t))
            }
            unsafe fn zip(
                op: BinaryOp,
                _: usize,
                _: *const Self,
                _: isize,
                _: *const Self,
                _: isize,
                _: *mut Self,
            ) {
                undefined(op, stringify!($t))
            }
            unsafe fn compare(
                op: CompareOp,
                _: usize,
                _: *const Self,
                _: isize,
                _: *const Self,
                _: isize,
                _: *mut bool,
            ) {
                undefined(op, stringify!($t))
            }
        }
    )+};
}
stored_only!(f16, bf16);
