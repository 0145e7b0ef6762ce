//! Optimizers: rules that change parameters by their gradients; schedulers of their learning rates; clipping of gradients and averages of
//! weights. Written with tensor operations only, so a traced step contains them like any other code; all state that changes between
//! steps is kept in tensors.
//!
//! What all optimizers share is in `by_rule.rs` (groups, counting of steps), `options.rs` (hyperparameters) and `saved.rs` (state dicts); a
//! rule says what state it keeps and how one parameter is changed ([`Rule`]).

mod adadelta;
mod adagrad;
mod adam;
mod adamax;
mod asgd;
mod by_rule;
mod clip;
mod ema;
mod group;
mod host_number;
mod lbfgs;
mod nadam;
mod optimizer;
mod options;
mod radam;
mod rms_prop;
mod rprop;
mod rule;
mod saved;
pub mod scheduler;
mod sgd;
mod strong_wolfe;

pub use adadelta::{Adadelta, AdadeltaOptions, AdadeltaRule};
pub use adagrad::{Adagrad, AdagradOptions, AdagradRule};
pub use adam::{Adam, AdamFactors, AdamOptions, AdamRule, AdamW, AdamWOptions, AdamWRule};
pub use adamax::{Adamax, AdamaxFactors, AdamaxOptions, AdamaxRule};
pub use asgd::{Asgd, AsgdFactors, AsgdOptions, AsgdRule};
pub use by_rule::ByRule;
pub use clip::{
    clip_grad_norm_, clip_grad_value_, get_total_norm, try_clip_grad_norm_, try_clip_grad_value_,
    try_clip_grads_with_norm_, try_get_total_norm,
};
pub use ema::Ema;
pub use group::{Group, ParamGroup};
pub use lbfgs::{Lbfgs, LbfgsOptions, LineSearch};
pub use nadam::{NAdam, NAdamFactors, NAdamOptions, NAdamRule};
pub use optimizer::Optimizer;
pub use options::{Fields, Options, Range};
pub use radam::{RAdam, RAdamFactors, RAdamOptions, RAdamRule};
pub use rms_prop::{RmsProp, RmsPropFactors, RmsPropOptions, RmsPropRule};
pub use rprop::{Rprop, RpropFactors, RpropOptions, RpropRule};
pub use rule::{Coefficient, Given, Rule, Slot, SlotKind, Update};
pub use scheduler::Scheduler;
pub use sgd::{Sgd, SgdFactors, SgdOptions, SgdRule};
