//! **allotrope**: one program, two structures. Write a model and its training step as in PyTorch; run it *eagerly*,
//! building the graph anew on every call, or put [`trace`](trace::trace) around it and run forward, backward and
//! optimizer as one compiled function. The numbers are the same, to the bit.
//!
//! ```
//! use allotrope::prelude::*;
//!
//! manual_seed(1);
//! let model = nn::Linear::new(3, 1);
//! let opt = optim::Adam::new(model.parameters(), 0.02);
//! let step = |x: &Tensor, y: &Tensor| {
//!     let loss = mse_loss(&model.forward(x), y);
//!     opt.zero_grad();
//!     loss.backward();
//!     opt.step();
//!     loss.detach()
//! };
//! let (x, y) = (randn(&[8, 3]), randn(&[8, 1]));
//! let first = step(&x, &y);                    // eager
//! let step = trace(step);                  // the same closure
//! let second = step.call((&x, &y))?;           // one compiled function
//! assert!(second.item::<f32>() < first.item::<f32>());
//! # Ok::<(), allotrope::Error>(())
//! ```
//!
//! `docs/ARCHITECTURE.md` says where things are and what each part never knows.

// The derive macro names the library by its name, here too.
extern crate self as allotrope;

pub mod autograd;
pub mod backend;
mod capture;
pub mod compare;
pub mod data;
pub mod device;
mod error;
mod file;
pub mod functional;
pub mod gradcheck;
mod inspect;
pub mod io;
mod mode;
pub mod nn;
pub mod ops;
pub mod optim;
mod partition;
pub mod plot;
mod runtime;
pub mod schedule;
mod serialize;
pub mod state;
/// The tensor, and what stands beside it: sizes, settings, random numbers, printing.
pub mod tensor {
    pub(crate) mod affine;
    pub(crate) mod bytes;
    pub(crate) mod draw;
    pub(crate) mod eval;
    pub(crate) mod generator;
    pub(crate) mod grad_fn;
    pub(crate) mod handle;
    pub(crate) mod hooks;
    pub(crate) mod named;
    pub(crate) mod operand;
    pub(crate) mod overlap;
    pub(crate) mod result_layout;
    pub(crate) mod result_memory;
    pub(crate) mod select;
    pub(crate) mod setting;
    pub(crate) mod size;
    pub(crate) mod span;
    pub(crate) mod storage;
    pub(crate) mod strides;
    pub(crate) mod tensor_type;
    pub(crate) mod traced;
    pub(crate) mod view;
    pub(crate) mod view_op;

    // What users find here although it stands on more than the handle.
    pub use crate::autograd::HookHandle;
    pub use crate::backend::FromElement;
    pub use crate::ops::random::{self, manual_seed};
    pub use crate::ops::{NdarrayGuard, PrintOptions, print_options, set_print_options, with_print_options};
    pub use generator::Generator;
    pub use handle::Tensor;
    pub(crate) use handle::{Body, Strided, Traced};
    pub use setting::{Flag, Setting};
    pub use size::{Size, Sizes};
    pub(crate) use strides::{Dims, Strides, contiguous_strides, is_contiguous};
    pub(crate) use tensor_type::TensorType;
}

pub use allotrope_ir as ir;
pub use allotrope_ir::DType;
pub use allotrope_kernels as kernels;
pub use device::Device;
pub use error::{Error, Result};
pub use ops::decompose as linalg;
pub use ops::fourier as fft;
pub use tensor::Tensor;

/// Tracing: a closure becomes compiled code. See [`trace`](trace::trace).
pub mod trace {
    pub use crate::capture::closure::{Args, Arguments, SLICE, Traceable};
    pub use crate::capture::symbols::Specialization;
    pub use crate::inspect::explain::Explanation;
    pub use crate::inspect::profile::Profile;
    pub use crate::inspect::verify::{Cause, Difference, NodeDifference, Verification};
    pub use crate::runtime::dynamic::{DynamicTraced, trace_dynamic};
    pub use crate::runtime::specialize::{HotCopy, SpecializeHot};
    pub use crate::runtime::traced::{Traced, trace};
    pub use crate::serialize::{Names, Program, read_graphs};
    pub use crate::tensor::named::NamedTensors;
}

/// What most programs use.
pub mod prelude {
    pub use crate::autograd::{Function, FunctionContext, enable_grad, no_grad};
    pub use crate::device::{Device, set_default_device, with_device};
    pub use crate::functional::{
        self, ConvOptions, CrossEntropyOptions, MaxPoolOptions, Padding, Reduction, conv1d, conv2d, cross_entropy,
        dropout, max_pool2d, mse_loss,
    };
    pub use crate::nn::{self, Forward, Module};
    pub use crate::ops::random::{manual_seed, rand, randint, randn, randperm};
    pub use crate::ops::{
        Backward, Ellipsis, GradOptions, NewAxis, bernoulli, broadcast_tensors, cat, checkpoint, cond, einsum, grad,
        grad_with, meshgrid, multinomial, normal, rand_like, randint_like, randn_like, scan, scan_reverse, stack,
        stepped, while_loop,
    };
    pub use crate::optim::{self, Optimizer};
    pub use crate::runtime::dynamic::trace_dynamic;
    pub use crate::runtime::traced::trace;
    pub use crate::tensor::Generator;
    pub use crate::{DType, Error, Tensor};
}
