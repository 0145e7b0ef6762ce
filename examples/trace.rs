//! Tracing: the same closure, captured once as a graph, optimised, and compiled; `explain` shows all of it.
//!
//! `cargo run --release --example trace` prints
//!
//! ```text
//! tensor(2.9913) tensor(2.9913): equal bits true
//! 1 compilation
//!
//! captured:
//! graph(%0: f32[s0, 3] "arg0", %1: f32[3] state "state0") {
//!   %2: f32[s0, 3] = broadcast %1 shape=[s0, 3]
//!   %3: f32[s0, 3] = mul %0, %2
//!   %4: f32[] = const 1.0
//!   %5: f32[s0, 3] = broadcast %4 shape=[s0, 3]
//!   %6: f32[s0, 3] = add %3, %5
//!   %7: f32[s0, 3] = tanh %6
//!   %8: f32[] = sum %7 axes=[0, 1]
//!   %9: f32[] = const 0.0
//!   %10: f32[] = add %8, %9
//!   return %10
//! }
//!
//! optimised:
//! graph(%0: f32[s0, 3] "arg0", %1: f32[3] state "state0") {
//!   %2: f32[] = fusion %0, %1 {
//!     graph(%0: f32[s0, 3] "", %1: f32[3] "") {
//!       %2: f32[s0, 3] = broadcast %1 shape=[s0, 3]
//!       %3: f32[s0, 3] = mul %0, %2
//!       %4: f32[] = const 1.0
//!       %5: f32[s0, 3] = broadcast %4 shape=[s0, 3]
//!       %6: f32[s0, 3] = add %3, %5
//!       %7: f32[s0, 3] = tanh %6
//!       %8: f32[] = sum %7 axes=[0, 1]
//!       return %8
//!     }
//!   }
//!   %3: f32[] = fusion %2 {
//!     graph(%0: f32[] "") {
//!       %1: f32[] = const 0.0
//!       %2: f32[] = add %0, %1
//!       return %2
//!     }
//!   }
//!   return %3
//! }
//!
//! k0 [s0, 3]: mul add tanh sum (12*s0 flop, 12*s0+12 bytes)
//! k1 []: add (1 flop, 4 bytes)
//! ```

use allotrope::prelude::*;

fn main() -> Result<(), Error> {
    let w = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]);
    let f = |x: &Tensor| (x * &w + 1.0).tanh().sum();

    // Eager first, on two rows.
    let x = Tensor::linspace(-1.0, 1.0, 6).reshape(&[2, 3]);
    let eager = f(&x);

    let f = trace(f);
    let traced = f.call(&x)?;
    println!("{eager} {traced}: equal bits {}", eager.item::<f32>().to_bits() == traced.item::<f32>().to_bits());

    // Seven rows run the same code: the first dimension is a symbol, s0.
    f.call(&Tensor::ones(&[7, 3], DType::F32))?;
    println!("{} compilation", f.compilations());

    for variant in f.explain() {
        println!("\ncaptured:\n{}", variant.captured());
        println!("optimised:\n{}", variant.optimized());
        for kernel in variant.kernels() {
            println!("{kernel}");
        }
    }
    Ok(())
}
