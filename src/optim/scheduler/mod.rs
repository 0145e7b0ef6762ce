//! Schedulers: rules that set the learning rates (and momenta) of an optimizer's groups between the steps. They compute on the host, in
//! f64 and by PyTorch's recursions, and fill the tensors that steps read, so a compiled step follows them without being compiled again.
//! No parameter is touched here.
//!
//! ```
//! use allotrope::{optim::{Scheduler, Sgd, scheduler::StepLr}, prelude::*};
//! let model = nn::Linear::new(3, 1);
//! let opt = Sgd::new(model.parameters(), 0.1);
//! let mut scheduler = StepLr::new(&opt, 2, 0.5);
//! for _ in 0..4 {
//!     // ... train an epoch, then:
//!     scheduler.step();
//! }
//! assert_eq!(scheduler.get_last_lr(), [0.025]);
//! ```

mod by_epoch;
mod composed;
mod cosine;
mod cyclic;
mod factor;
mod lambda;
mod one_cycle;
mod per_group;
mod plateau;
mod start;
mod steps;
mod visit;

pub use by_epoch::{At, ByEpoch, Formula, Scheduler};
pub use composed::{ChainedScheduler, SequentialLr};
pub use cosine::{CosineAnnealing, CosineAnnealingLr, CosineAnnealingWarmRestarts, WarmRestarts};
pub use cyclic::{Cyclic, CyclicLr, CyclicMode, CyclicOptions, ScaleFn, ScaleMode};
pub use factor::{Constant, ConstantLr, Exponential, ExponentialLr, Linear, LinearLr, Polynomial, PolynomialLr};
pub use lambda::{Factor, Lambda, LambdaLr, Multiplicative, MultiplicativeLr};
pub use one_cycle::{Anneal, OneCycle, OneCycleLr, OneCycleOptions};
pub use per_group::PerGroup;
pub use plateau::{PlateauMode, PlateauOptions, ReduceLrOnPlateau, ThresholdMode};
pub use start::Start;
pub use steps::{MultiStep, MultiStepLr, Step, StepLr};
pub use visit::Visit;
