//! Builds the classes of this family.

use crate::case::Case;
use crate::subject::Built;

/// The module of a class, of the arguments of its constructor.
pub fn build(_class: &str, _arguments: &Case<'_>) -> Built {
    None
}
