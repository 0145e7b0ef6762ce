//! One training program run eagerly, traced, and on devices, from the same seed: losses and parameters compared as bits, times side by
//! side, as a table, JSON and a page. What `allotrope compare` does for its programs, for a model of one's own. It knows no model,
//! and changes nothing of how one is trained.
//!
//! ```
//! use allotrope::compare::{Batch, Experiment, Report, StepResult, Subject};
//! use allotrope::prelude::*;
//! use std::rc::Rc;
//!
//! let experiment = Experiment::new(
//!     "linear",
//!     || {
//!         let model = Rc::new(nn::Linear::new(3, 1));
//!         let opt = optim::Sgd::new(model.parameters(), 0.1);
//!         let trained = model.clone();
//!         Subject::new(&model, move |batch, _| {
//!             let loss = mse_loss(&trained.forward(&batch[0]), &batch[1]);
//!             opt.zero_grad();
//!             loss.backward();
//!             opt.step();
//!             StepResult::of(loss)
//!         })
//!     },
//!     // Batches of any length.
//!     || (1..).map(|n| Batch::new([randn(&[n, 3]), randn(&[n, 1])])),
//! );
//! let comparison = experiment.steps(10).seed(1).run()?;
//! assert!(comparison.agrees());
//! let report = Report::new("A linear layer").with(comparison);
//! println!("{}", report.table());
//! report.verdict()?;                      // an error where bits differ
//! # Ok::<(), allotrope::Error>(())
//! ```

mod comparison;
mod experiment;
pub mod format;
mod memory;
mod report;
mod run;
#[cfg(test)]
mod synthetic;
mod trainer;

pub use comparison::{Agreement, Comparison};
pub use experiment::{Batch, Experiment, StepResult, Subject};
pub use memory::peak_rss_mib;
pub use report::{PAGE, Report, ReportFolder};
pub use run::{Accelerator, Column, Contract, Fit, KernelInfo, Mode, ParameterBits, Run, median};
pub use trainer::Trainer;
