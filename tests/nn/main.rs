//! Layers beyond PyTorch's cases: bad input, sizes that nothing has, and modules that are defined outside of the library.

#[allow(dead_code, reason = "not all of it is needed here")]
#[path = "../opinfo/quiet.rs"]
mod quiet;

mod layers;
mod own_modules;
