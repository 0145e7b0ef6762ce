//! What compiled code costs and knows of itself: how compiling grows with the program, the times of kernels, the memory
//! that was planned.

#[path = "../codegen_support/mod.rs"]
mod codegen_support;
mod growth;
#[path = "../../benches/support/large.rs"]
mod large;
mod memory;
#[allow(dead_code)]
#[path = "../../benches/support/mnist.rs"]
mod mnist;
mod profile;
#[path = "../codegen_support/rnn.rs"]
mod rnn;
