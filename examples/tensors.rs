//! Tensors: made from Rust data, viewed, broadcast, reduced, read back; and what a mistake says.
//!
//! `cargo run --release --example tensors` prints
//!
//! ```text
//! tensor([[1., 2., 3.],
//!         [4., 5., 6.]])
//! f32 [2, 3]
//! [3, 2] with strides [1, 3]
//! tensor([[-1.,  0.,  1.],
//!         [-1.,  0.,  1.]])
//! tensor(77.5000)
//! [false, false, true, true, true, true]
//! tensor([0.7576, 0.2793])
//! add: cannot broadcast [2, 3] with [4]: aligned at the right, axis 1 is 3 and 4; reshape one operand or make that axis 1
//! ```

use allotrope::prelude::*;

fn main() {
    let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    println!("{x}");
    println!("{} {:?}", x.dtype(), x.shape());

    // A view shares the elements: nothing is copied, only strides change.
    let transposed = x.t();
    println!("{:?} with strides {:?}", transposed.shape(), transposed.strides());

    // [2, 3] and [2, 1] broadcast to [2, 3], as in PyTorch.
    let mean = x.mean_dim(&[1], true);
    println!("{}", &x - &mean);

    // Numbers take the dtype of the tensor beside them; products and reductions are methods.
    println!("{}", (x.matmul(&transposed) * 0.5).sum());
    println!("{:?}", x.gt(2.5).to_vec::<bool>());

    // The streams are PyTorch's: torch.manual_seed(1); torch.rand(2) gives these numbers.
    manual_seed(1);
    println!("{}", rand(&[2]));

    // A wrong shape panics at this line with this text; the twin `try_add` returns it.
    if let Err(error) = x.try_add(&Tensor::ones(&[4], DType::F32)) {
        println!("{error}");
    }
}
