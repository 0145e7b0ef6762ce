//! Layers as their users see them.

mod recurrent;
