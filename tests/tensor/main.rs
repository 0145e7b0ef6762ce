//! The tensor itself: printing, exchange with `ndarray`, and what random generators draw.

mod identity;
mod ndarray;
mod printing;
mod random;
