//! A graph as a schedule: instructions on buffers in the order in which they run, for any device. It knows no device's
//! code, no addresses and no tensor.
//!
//! In flow order: `lower` walks the nodes of a graph in the order that is safe for updates of states, keeps for each
//! value the [`View`] that it is, and appends [`Instruction`]s; [`MemoryPlan`] lays the scratch buffers out; [`KernelInfo`]
//! and [`BufferInfo`] are what people are told. A backend takes the [`Schedule`] from there.

mod alias;
mod buffer;
mod content;
mod eager_peak;
mod error;
mod factor;
mod info;
mod instruction;
mod kernel;
mod lower;
mod memory_plan;
mod operator;
mod order;
mod polynomial;
mod product;
mod text;
mod view;

pub use buffer::{BufId, Buffer, Location, LoopId, ScalarId};
pub use content::{Output, Schedule};
pub use eager_peak::eager_peak_bytes;
pub use error::ScheduleError;
pub use factor::Factor;
pub use info::{BufferInfo, KernelInfo};
pub use instruction::{Carry, Failure, Instruction, Iterations, Loop, Next};
pub use kernel::{Expr, ExprId, ExprKind, Kernel, Store};
pub use memory_plan::{ALIGN, MemoryPlan, Slot, Temporaries};
pub use operator::{Operation, Operator};
pub use polynomial::Polynomial;
pub use product::{Axes, Product};
pub use view::{Base, View, collapse, divisor, gcd, is_one, is_zero, numel, row_major};
