//! The tensor itself: printing, exchange with `ndarray`, and what random generators draw.

mod ndarray;
mod printing;
mod random;
