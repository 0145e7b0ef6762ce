//! Indexing as PyTorch has it, views that share elements, and changes in place that gradients follow in both modes.
//!
//! ```text
//! a column          tensor([ 3,  7, 11])
//! steps, a new axis [2, 1, 3]
//! rows by an index  tensor([8, 0])
//! a mask            tensor([ 9, 10, 11])
//! einsum            tensor([14, 38, 62])
//! gradient through the changed part
//! tensor([[ 1.,  1.,  5.,  5.],
//!         [ 9.,  9., 13., 13.],
//!         [17., 19., 21., 23.]])
//! equal in a trace: true
//! ```

use allotrope::prelude::*;

/// Changes every other column of the first two rows, through views, and derives the whole.
fn program(x: &Tensor) -> Tensor {
    let whole = x * 1.0;
    whole.index((..2, stepped(1.., 2))).neg_();
    let y = whole.square().sum() + whole.sum();
    grad(&[&y], &[x], false).expect("y depends on x")[0].clone().expect("y depends on x")
}

fn main() -> Result<(), Error> {
    let x = Tensor::arange(12).reshape(&[3, 4]);
    println!("a column          {}", x.index((.., -1)));
    println!("steps, a new axis {:?}", x.index((stepped(.., 2), NewAxis, 1..)).shape());
    let rows = Tensor::from_vec(vec![2i64, 0], &[2]);
    println!("rows by an index  {}", x.index((&rows, 0)));
    println!("a mask            {}", x.index(&x.gt(8)));
    println!("einsum            {}", einsum("ij,kj->ik", &[&x, &x]).index(0));

    let x = x.to(DType::F32).requires_grad();
    let eager = program(&x);
    let traced = trace(program).call(&x)?;
    println!("gradient through the changed part\n{eager}");
    println!("equal in a trace: {}", eager.to_vec::<f32>() == traced.to_vec::<f32>());
    Ok(())
}
