//! The classes of differences that programs are known to show, each with its reason. The sample must show no other. Nothing is
//! compared here.

use crate::compare::Category;

/// Operator, category, reason.
pub const KNOWN: &[(&str, Category, &str)] = &[];

/// Whether this difference is of a known class.
pub fn is_known(operator: &str, category: Category) -> bool {
    KNOWN.iter().any(|(o, c, _)| *o == operator && *c == category)
}
