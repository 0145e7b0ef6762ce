//! Adds a value to a matrix product inside of the product's kernel: `c + matmul(a, b)` becomes `addmatmul(c, a, b)`,
//! which is defined as the same one addition. Only where the product has no other use.

use super::rewrite::{Rewrite, port, with_loop_body};
use crate::{BinaryOp, Graph, NodeId, Op, Value};
use smallvec::SmallVec;

/// The graph with additions to products fused into them.
pub fn fuse_add_matmul(graph: &Graph) -> Graph {
    let mut uses = vec![0u32; graph.len()];
    for id in graph.nodes() {
        graph.operands(id).iter().for_each(|v| uses[v.node.0 as usize] += 1);
    }
    graph.outputs().iter().for_each(|o| uses[o.value.node.0 as usize] += 1);

    // The addition that takes each product in, chosen before anything is emitted so that the product can be left out.
    let mut taken: Vec<Option<Value>> = vec![None; graph.len()];
    let mut addend: Vec<Option<Value>> = vec![None; graph.len()];
    for id in graph.nodes().filter(|id| graph.node(*id).op == Op::Binary(BinaryOp::Add)) {
        let x = graph.operands(id);
        let fits = |c: Value, product: Value| {
            graph.node(product.node).op == Op::Matmul
                && uses[product.node.0 as usize] == 1
                && !matches!(graph.node(c.node).op, Op::Broadcast(_))
        };
        // The later product: what the addition waits for anyway.
        let mut sides = [(x[0], x[1]), (x[1], x[0])];
        sides.sort_by_key(|(_, product)| std::cmp::Reverse(product.node));
        if let Some((c, product)) = sides.into_iter().find(|(c, product)| fits(*c, *product)) {
            addend[id.0 as usize] = Some(c);
            taken[product.node.0 as usize] = Some(port(id, 0));
        }
    }

    let mut r = Rewrite::new(graph);
    for id in graph.nodes() {
        match (&graph.node(id).op, addend[id.0 as usize]) {
            (Op::Input, _) => r.copy_input(id),
            (_, Some(c)) => add_product(&mut r, id, c, &taken),
            _ if taken[id.0 as usize].is_some() => {}
            (op, None) => {
                r.copy_as(id, with_loop_body(op, fuse_add_matmul));
            }
        }
    }
    r.finish()
}

fn add_product(r: &mut Rewrite, id: NodeId, c: Value, taken: &[Option<Value>]) {
    let product = (r.from.operands(id).into_iter())
        .find(|v| taken[v.node.0 as usize] == Some(port(id, 0)))
        .expect("bug in this library: the product of a fused addition is not its operand");
    let operands: SmallVec<[Value; 4]> =
        std::iter::once(c).chain(r.from.operands(product.node)).map(|v| r.get(v)).collect();
    let new = r.to.add_typed(Op::AddMatmul, r.node(id).types.clone(), &operands);
    r.set_all(id, new);
}
