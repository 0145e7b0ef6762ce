//! The graph language of allotrope.
