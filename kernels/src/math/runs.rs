//! Runs of a function of one or two elements, sixteen at a time, so that branch-free functions become vector code.
//! Never defines a value itself.

use crate::simd::Isa;

/// Elements handled together: one AVX-512 register of `f32`.
const L: usize = 16;

/// A function of one element, with a scalar twin for the elements that it does not cover.
pub(super) trait Function<T> {
    fn of(x: T) -> T;
    /// Whether [`Self::of`] holds for `x`.
    #[inline(always)]
    fn covers(_: T) -> bool {
        true
    }
    /// The value where it does not.
    #[inline(always)]
    fn otherwise(x: T) -> T {
        x
    }
}

/// A function of two elements, as [`Function`] is of one.
pub(super) trait Function2<T> {
    fn of(a: T, b: T) -> T;
    #[inline(always)]
    fn covers(_: T, _: T) -> bool {
        true
    }
    #[inline(always)]
    fn otherwise(a: T, _: T) -> T {
        a
    }
}

/// Types of functions, one a row, and `DEFINITIONS`, the rows as data:
/// `Name(x) = path, where path, else path;`, the last two where the function does not hold for all operands.
macro_rules! functions {
    (@fn $t:ident $f:ident($($x:ident),+) -> $r:ty = $of:path) => {
        #[inline(always)]
        fn $f($($x: $t),+) -> $r { $of($($x),+) }
    };
    (@trait $t:ident ($x:ident)) => { Function<$t> };
    (@partial) => { None };
    (@partial $covers:path, $otherwise:path) => {
        Some(Partial { covers: stringify!($covers), otherwise: stringify!($otherwise) })
    };
    ($t:ident, $dtype:expr, $trait:ident, $operation:ident, $op:ident:
        $($name:ident $x:tt = $of:path $(, where $covers:path, else $otherwise:path)?;)+) => {
        $(
            pub(super) struct $name;
            impl $trait<$t> for $name {
                functions!(@fn $t of $x -> $t = $of);
                $(
                    functions!(@fn $t covers $x -> bool = $covers);
                    functions!(@fn $t otherwise $x -> $t = $otherwise);
                )?
            }
        )+
        pub(in crate::math) const DEFINITIONS: &[Definition] = &[$( Definition {
            operation: Operation::$operation($op::$name),
            dtype: $dtype,
            function: stringify!($of),
            partial: functions!(@partial $($covers, $otherwise)?),
        } ),+];
    };
}
pub(super) use functions;

#[inline(always)]
fn lanes<T: Copy, F: Function<T>>(x: [T; L]) -> [T; L] {
    let mut y = x;
    for i in 0..L {
        y[i] = F::of(x[i]);
    }
    let mut covered = true;
    for v in x {
        covered &= F::covers(v);
    }
    if !covered {
        for i in 0..L {
            if !F::covers(x[i]) {
                y[i] = F::otherwise(x[i]);
            }
        }
    }
    y
}

/// An element type with partial vectors.
pub(super) trait Lane: Copy {
    const ONE: Self;
    /// The first `n <= L` elements, zeros in the other lanes.
    ///
    /// # Safety
    /// `n` elements readable at `x`.
    unsafe fn load_some<S: Isa>(x: *const Self, n: usize) -> [Self; L];
    /// Writes the first `n <= L` lanes.
    ///
    /// # Safety
    /// `n` elements writable at `out`.
    unsafe fn store_some<S: Isa>(group: [Self; L], out: *mut Self, n: usize);
}

macro_rules! lane {
    ($t:ident, $vector:ident) => {
        impl Lane for $t {
            const ONE: Self = 1.0;
            #[inline(always)]
            unsafe fn load_some<S: Isa>(x: *const $t, n: usize) -> [$t; L] {
                let mut group = [0.0; L];
                let width = S::$vector::N;
                let mut i = 0;
                // SAFETY: whole vectors below `n`, then a masked one.
                unsafe {
                    while i + width <= n {
                        S::$vector::load(x.add(i)).store(group.as_mut_ptr().add(i));
                        i += width;
                    }
                    if i < n {
                        S::$vector::load_part(x.add(i), n - i).store(group.as_mut_ptr().add(i));
                    }
                }
                group
            }
            #[inline(always)]
            unsafe fn store_some<S: Isa>(group: [$t; L], out: *mut $t, n: usize) {
                let width = S::$vector::N;
                let mut i = 0;
                // SAFETY: whole vectors below `n`, then a masked one.
                unsafe {
                    while i + width <= n {
                        S::$vector::load(group.as_ptr().add(i)).store(out.add(i));
                        i += width;
                    }
                    if i < n {
                        S::$vector::load(group.as_ptr().add(i)).store_part(out.add(i), n - i);
                    }
                }
            }
        }
    };
}
use crate::simd::Lanes;
lane!(f32, F32);
lane!(f64, F64);

/// `out[i] = F(x[i])`.
///
/// # Safety
/// `n` elements readable at `x` and writable at `out`, which are equal or do not overlap.
#[inline(always)]
pub(super) unsafe fn run<S: Isa, T: Lane, F: Function<T>>(n: usize, x: *const T, out: *mut T) {
    let whole = n / L * L;
    // SAFETY: the caller gives `n` elements at `x` and `out`, which are equal or apart; each group is read before it is
    // written.
    unsafe {
        let mut i = 0;
        while i < whole {
            let group = x.add(i).cast::<[T; L]>().read_unaligned();
            out.add(i).cast::<[T; L]>().write_unaligned(lanes::<T, F>(group));
            i += L;
        }
        if whole < n {
            let group = T::load_some::<S>(x.add(whole), n - whole);
            T::store_some::<S>(lanes::<T, F>(group), out.add(whole), n - whole);
        }
    }
}

/// `out[i] = F(a[i], b[i])`.
///
/// # Safety
/// `n` elements readable at `a` and `b` and writable at `out`, which is equal to either or overlaps neither.
#[inline(always)]
pub(super) unsafe fn run2<T: Lane, F: Function2<T>>(n: usize, a: *const T, b: *const T, out: *mut T) {
    let mut i = 0;
    while i < n {
        let m = L.min(n - i);
        let (mut x, mut y) = ([T::ONE; L], [T::ONE; L]);
        // SAFETY: `i + m <= n`; both operands are read before the result is written.
        unsafe {
            std::ptr::copy_nonoverlapping(a.add(i), x.as_mut_ptr(), m);
            std::ptr::copy_nonoverlapping(b.add(i), y.as_mut_ptr(), m);
        }
        let mut r = x;
        for l in 0..L {
            r[l] = F::of(x[l], y[l]);
        }
        let mut covered = true;
        for l in 0..L {
            covered &= F::covers(x[l], y[l]);
        }
        if !covered {
            for l in 0..L {
                if !F::covers(x[l], y[l]) {
                    r[l] = F::otherwise(x[l], y[l]);
                }
            }
        }
        // SAFETY: `i + m <= n`.
        unsafe { std::ptr::copy_nonoverlapping(r.as_ptr(), out.add(i), m) };
        i += L;
    }
}

/// Bodies of the table: `name = Type;`, for functions of one element or of two.
macro_rules! bodies {
    ($t:ident: $($(#[$m:meta])* $body:ident = $f:ty;)+) => {$(
        $(#[$m])*
        ///
        /// # Safety
        /// `n` elements readable at `x` and writable at `out`, which are equal or do not overlap.
        #[inline(always)]
        pub(crate) unsafe fn $body<S: Isa>(n: usize, x: *const $t, out: *mut $t) {
            // SAFETY: as for the caller.
            unsafe { run::<S, $t, $f>(n, x, out) }
        }
    )+};
}
macro_rules! bodies2 {
    ($t:ident: $($(#[$m:meta])* $body:ident = $f:ty;)+) => {$(
        $(#[$m])*
        ///
        /// # Safety
        /// `n` elements readable at `a` and `b` and writable at `out`, which is equal to either or overlaps neither.
        #[inline(always)]
        pub(crate) unsafe fn $body<S: Isa>(n: usize, a: *const $t, b: *const $t, out: *mut $t) {
            // SAFETY: as for the caller.
            unsafe { run2::<$t, $f>(n, a, b, out) }
        }
    )+};
}
pub(super) use {bodies, bodies2};
