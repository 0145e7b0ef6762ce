//! Plots without a window: lines, points, histograms, heat maps, decision regions, images, animations; as SVG, PNG and GIF, with the font that the
//! library carries. It draws numbers, and knows no model.
//!
//! ```no_run
//! use allotrope::plot::Chart;
//! let losses = [0.9, 0.4, 0.2, 0.1];
//! Chart::new("Training").x("epoch").y("loss").log_y().line("Adam", 1..5, &losses).save("loss.svg")?;
//! # Ok::<(), allotrope::Error>(())
//! ```

mod animation;
mod axis;
mod cells;
mod chart;
mod draw;
mod file;
mod gif;
mod images;
mod quantize;
pub(crate) mod theme;
mod values;

pub use animation::Animation;
pub use chart::{Chart, Color};
pub(crate) use chart::{Mark, Series};
pub use images::Images;
pub use values::Values;
