//! Computes a transposed product transposed from the start: `permute(matmul(a, b))`, last two axes exchanged, becomes
//! `matmul(permute(b), permute(a))`. Each element is the same chains of fused multiply-adds with factors exchanged, so
//! the bits are the same; transposed operands are free where a transposed result is not. Only where the product has
//! no other use.

use super::rewrite::{Rewrite, emit, port, with_loop_body};
use crate::{Axes, Graph, NodeId, Op};

/// The graph with transposed products computed transposed.
pub fn transpose_products(graph: &Graph) -> Graph {
    let mut uses = vec![0u32; graph.len()];
    for id in graph.nodes() {
        graph.operands(id).iter().for_each(|v| uses[v.node.0 as usize] += 1);
    }
    graph.outputs().iter().for_each(|o| uses[o.value.node.0 as usize] += 1);
    // The product that a permutation transposes.
    let product_of = |id: NodeId| {
        let Op::Permute(axes) = &graph.node(id).op else { return None };
        let product = graph.operands(id)[0].node;
        let is_product = graph.node(product).op == Op::Matmul && uses[product.0 as usize] == 1;
        (exchanges_last_two(axes) && is_product).then_some(product)
    };
    let mut replaced = vec![false; graph.len()];
    graph.nodes().filter_map(product_of).for_each(|product| replaced[product.0 as usize] = true);

    let mut r = Rewrite::new(graph);
    for id in graph.nodes() {
        match (&graph.node(id).op, product_of(id)) {
            (Op::Input, _) => r.copy_input(id),
            (Op::Permute(axes), Some(product)) => {
                let x = r.operands(product);
                let transposed = [x[1], x[0]].map(|v| emit(&mut r.to, Op::Permute(axes.clone()), &[v]));
                let new = emit(&mut r.to, Op::Matmul, &transposed);
                r.set(port(id, 0), new);
            }
            _ if replaced[id.0 as usize] => {}
            (op, _) => {
                r.copy_as(id, with_loop_body(op, transpose_products));
            }
        }
    }
    r.finish()
}

fn exchanges_last_two(axes: &Axes) -> bool {
    let n = axes.len();
    n >= 2 && axes[n - 2] == n - 1 && axes[n - 1] == n - 2 && axes[..n - 2].iter().copied().eq(0..n - 2)
}
