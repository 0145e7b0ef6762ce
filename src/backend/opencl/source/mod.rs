//! OpenCL C from schedules: the text of kernels, and in which order and how often they are launched. Nothing here touches a
//! device.

pub mod body;
pub mod number;
