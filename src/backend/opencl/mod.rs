//! OpenCL devices as a backend: schedules become OpenCL C (`source`), which a device's queue runs. Nothing of it is there
//! without the feature `opencl`.

pub mod source;
