//! The report of comparisons: table, verdict, and a folder with a page, plots, an animation and data. Made from plain runs; it never
//! trains anything and never reads the clock.

mod animation;
mod data;
mod figures;
mod folder;
mod html;
mod model;
mod table;
mod write;

pub use folder::ReportFolder;
pub use model::Report;

/// The page, to tell the user where to look.
pub const PAGE: &str = "index.html";
