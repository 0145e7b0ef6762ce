//! A reduction whose elements arrive in parts, for fused loops. Never depends on how the elements were cut: only
//! their order counts. The order of folding is that of [`super`].

use super::{Fold, LANES, halve};
use crate::simd::Isa;

/// Levels of the cascade: enough for 2^64 blocks.
const LEVELS: usize = 64;

/// The state of one streaming reduction, of whatever element type its `begin` function was for. It holds no address
/// and may be moved or copied; uninitialised memory of this size and alignment becomes a state by `begin`.
#[repr(C, align(64))]
#[derive(Copy, Clone, Debug)]
pub struct ReduceState {
    lanes: [u64; LANES],
    /// Elements in the present block.
    fill: u64,
    /// Whole blocks so far.
    blocks: u64,
    slots: [u64; LEVELS],
}

/// Size of [`ReduceState`] in bytes.
pub const REDUCE_STATE_SIZE: usize = size_of::<ReduceState>();
/// Alignment of [`ReduceState`] in bytes.
pub const REDUCE_STATE_ALIGN: usize = align_of::<ReduceState>();
const _: () = assert!(REDUCE_STATE_SIZE <= 2048);

/// Folds `n` elements into the lanes; the first one belongs to lane `at % 16`.
///
/// # Safety
/// `n` elements readable at `x`.
#[inline(always)]
pub(super) unsafe fn fold_lanes<T: Copy, F: Fold<T>>(lanes: &mut [T; LANES], at: usize, n: usize, x: *const T) {
    // SAFETY: every index read is below `n`.
    unsafe {
        let mut i = 0;
        let head = (LANES - at % LANES) % LANES;
        while i < head.min(n) {
            let lane = &mut lanes[(at + i) % LANES];
            *lane = F::fold(*lane, *x.add(i));
            i += 1;
        }
        let mut acc = *lanes;
        while i + LANES <= n {
            let group = x.add(i).cast::<[T; LANES]>().read_unaligned();
            for l in 0..LANES {
                acc[l] = F::fold(acc[l], group[l]);
            }
            i += LANES;
        }
        *lanes = acc;
        let rest = n - i;
        for (l, lane) in lanes.iter_mut().enumerate().take(rest) {
            *lane = F::fold(*lane, *x.add(i + l));
        }
    }
}

/// Adds one block's result to the cascade.
#[inline(always)]
unsafe fn push<T: Copy, F: Fold<T>>(state: *mut ReduceState, mut value: T) {
    // SAFETY: the caller's state has begun as one of `T`; levels below the count's bits were stored before.
    unsafe {
        let slots = (&raw mut (*state).slots).cast::<u64>();
        let mut count = (*state).blocks;
        let mut level = 0;
        while count & 1 == 1 {
            value = F::fold(*slots.add(level).cast::<T>(), value);
            count >>= 1;
            level += 1;
        }
        *slots.add(level).cast::<T>() = value;
        (*state).blocks += 1;
        (*state).fill = 0;
    }
}

/// # Safety
/// `state` is writable memory of its size and alignment.
#[inline(always)]
pub(crate) unsafe fn begin_body<S: Isa, T: Copy, F: Fold<T>>(state: *mut ReduceState) {
    // SAFETY: a lane's type is no larger than its 8 bytes, all lanes of it fit the field; plain stores.
    unsafe {
        *(&raw mut (*state).lanes).cast::<[T; LANES]>() = F::lanes();
        (&raw mut (*state).fill).write(0);
        (&raw mut (*state).blocks).write(0);
    }
}

/// # Safety
/// `state` has begun for `T` and `F`; `n` elements readable at `x`.
#[inline(always)]
pub(crate) unsafe fn update_body<S: Isa, T: Copy, F: Fold<T>>(state: *mut ReduceState, mut n: usize, mut x: *const T) {
    // SAFETY: the lanes were written as `[T; 16]` by `begin`; the elements read are the caller's.
    unsafe {
        let lanes = &mut *(&raw mut (*state).lanes).cast::<[T; LANES]>();
        while n > 0 {
            let fill = (*state).fill as usize;
            let take = n.min(F::BLOCK - fill);
            fold_lanes::<T, F>(lanes, fill, take, x);
            (*state).fill = (fill + take) as u64;
            n -= take;
            x = x.add(take);
            if fill + take == F::BLOCK {
                let value = halve::<T, F>(lanes, LANES);
                push::<T, F>(state, value);
                *lanes = F::lanes();
            }
        }
    }
}

/// The result; the state has to be reset afterwards.
///
/// # Safety
/// `state` has begun for `T` and `F`.
#[inline(always)]
pub(crate) unsafe fn finish_body<S: Isa, T: Copy, F: Fold<T>>(state: *mut ReduceState) -> T {
    // SAFETY: the lanes were written as `[T; 16]` by `begin`; a slot is read only where the count says it was stored.
    unsafe {
        let fill = (*state).fill;
        if fill > 0 {
            let lanes = &mut *(&raw mut (*state).lanes).cast::<[T; LANES]>();
            let value = halve::<T, F>(lanes, (fill as usize).min(LANES));
            if (*state).blocks == 0 {
                return value;
            }
            push::<T, F>(state, value);
        }
        let mut count = (*state).blocks;
        if count == 0 {
            return F::EMPTY;
        }
        let slots = (&raw const (*state).slots).cast::<u64>();
        let mut level = count.trailing_zeros() as usize;
        let mut value = *slots.add(level).cast::<T>();
        count >>= level;
        while count > 1 {
            count >>= 1;
            level += 1;
            if count & 1 == 1 {
                value = F::fold(*slots.add(level).cast::<T>(), value);
            }
        }
        value
    }
}

/// The reduction of `n` contiguous elements.
///
/// # Safety
/// `n` elements readable at `x`.
#[inline(always)]
pub(crate) unsafe fn dense_body<S: Isa, T: Copy, F: Fold<T>>(n: usize, x: *const T) -> T {
    if n == 0 {
        return F::EMPTY;
    }
    // SAFETY: as for the caller; the local state begins before it is used.
    unsafe {
        if n <= F::BLOCK {
            let mut lanes = F::lanes();
            fold_lanes::<T, F>(&mut lanes, 0, n, x);
            return halve::<T, F>(&mut lanes, n.min(LANES));
        }
        let mut state = std::mem::MaybeUninit::<ReduceState>::uninit();
        let state = state.as_mut_ptr();
        begin_body::<S, T, F>(state);
        update_body::<S, T, F>(state, n, x);
        finish_body::<S, T, F>(state)
    }
}
