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

pub mod autograd;
pub mod backend;
mod capture;
pub mod device;
mod dispatch;
mod error;
pub mod functional;
pub mod gradcheck;
mod inspect;
pub mod nn;
pub mod ops;
pub mod optim;
mod partition;
mod runtime;
pub mod schedule;
mod serialize;
pub mod tensor;

pub use allotrope_ir as ir;
pub use allotrope_ir::DType;
pub use allotrope_kernels as kernels;
pub use device::Device;
pub use error::{Error, Result};
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

/// A recorder whose recording nobody looks at, for operations that must know what a part of the program would use without
/// running it. Operations may ask for it here, as they know nothing of traces.
pub(crate) fn forgetful_recorder() -> std::rc::Rc<dyn tensor::recorder::Recorder> {
    std::rc::Rc::new(capture::recorder::Capture::abstract_evaluation())
}

/// What most programs use.
pub mod prelude {
    pub use crate::autograd::{Function, FunctionContext, enable_grad, no_grad};
    pub use crate::device::{Device, with_device};
    pub use crate::functional::{
        self, ConvOptions, CrossEntropyOptions, MaxPoolOptions, Padding, Reduction, conv1d, conv2d, cross_entropy,
        dropout, max_pool2d, mse_loss,
    };
    pub use crate::nn::{self, Module};
    pub use crate::ops::{
        Backward, Ellipsis, GradOptions, NewAxis, bernoulli, broadcast_tensors, cat, checkpoint, cond, einsum, grad,
        grad_with, meshgrid, multinomial, normal, rand_like, randint_like, randn_like, scan, scan_reverse, stack,
        stepped, while_loop,
    };
    pub use crate::optim::{self, Optimizer};
    pub use crate::runtime::dynamic::trace_dynamic;
    pub use crate::runtime::traced::trace;
    pub use crate::tensor::random::{Generator, manual_seed, rand, randint, randn, randperm};
    pub use crate::{DType, Error, Tensor};
}
