//! The checker: what every graph must satisfy, at every moment between two passes. It changes nothing and collects
//! everything that it finds. The invariants:
//!
//! 1. Node order is topological: an operand belongs to an earlier node and names one of its results.
//! 2. The inputs of the graph are its `input` nodes, each once and in node order.
//! 3. The stored types of a node are those that the rules give ([`Graph::result_types`]); no dimension is a negative number.
//! 4. An output names a result that exists. An update targets a state input, has its type, and is its only update.
//! 5. The body of a scan or fusion satisfies all of this; its inputs are plain arguments and it updates nothing.
//! 6. The body of a fusion holds only what [`Op::Fusion`] may hold: constants, extents, broadcasts of these and of
//!    inputs, elementwise operations on one iteration space, and reductions of it over its last axes, which are
//!    outputs only.

use crate::text::node_text;
use crate::{Class, Dim, Graph, InputKind, Leaf, NodeId, Op, Shape, Value, View};
use std::fmt;

/// One broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckError {
    /// The nodes whose bodies lead to the place, outermost first, then the node itself where it is one.
    pub path: Vec<NodeId>,
    /// The node as the text form prints it; empty where no node is to blame.
    pub node: String,
    pub message: String,
}

/// All invariants that a graph breaks; a bug in this library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckErrors(pub Vec<CheckError>);

impl fmt::Display for CheckErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the graph breaks {} invariants", self.0.len())?;
        for e in &self.0 {
            let path: Vec<String> = e.path.iter().map(NodeId::to_string).collect();
            write!(f, "\n  {}: {}", if path.is_empty() { "graph".to_string() } else { path.join(" / ") }, e.message)?;
            if !e.node.is_empty() {
                write!(f, "\n    {}", e.node)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for CheckErrors {}

/// Checks every invariant of `graph`.
///
/// # Errors
/// All that are broken.
pub fn check(graph: &Graph) -> Result<(), CheckErrors> {
    let mut errors = Vec::new();
    Checker { graph, path: &[], errors: &mut errors }.graph();
    if errors.is_empty() { Ok(()) } else { Err(CheckErrors(errors)) }
}

struct Checker<'a> {
    graph: &'a Graph,
    path: &'a [NodeId],
    errors: &'a mut Vec<CheckError>,
}

impl Checker<'_> {
    fn graph(&mut self) {
        let g = self.graph;
        for id in g.nodes() {
            self.node(id);
        }
        let listed = g.inputs().iter().map(|i| i.node);
        if !listed.eq(g.nodes().filter(|id| g.node(*id).op == Op::Input)) {
            self.report(None, "the inputs are not the input nodes in node order".to_string());
        }
        self.outputs();
    }

    fn node(&mut self, id: NodeId) {
        let g = self.graph;
        let node = g.node(id);
        let operands = g.operands(id);
        for v in &operands {
            if v.node >= id || v.port as usize >= g.node(v.node).types.len() {
                return self.report(Some(id), format!("operand {} port {} does not exist above", v.node, v.port));
            }
        }
        if node.types.iter().flat_map(|t| &t.shape).any(|d| matches!(d, Dim::Fixed(n) if *n < 0)) {
            self.report(Some(id), "a dimension is negative".to_string());
        }
        if node.op == Op::Input {
            if node.types.len() != 1 || !operands.is_empty() {
                self.report(Some(id), "an input has one result and no operands".to_string());
            }
            return;
        }
        match g.result_types(&node.op, &operands) {
            Err(e) => self.report(Some(id), e.to_string()),
            Ok(types) if types != node.types => {
                let types: Vec<String> = types.iter().map(|t| t.to_string()).collect();
                self.report(Some(id), format!("the rules give ({})", types.join(", ")));
            }
            Ok(_) => {}
        }
        let Some(body) = node.op.body() else { return };
        let plain = body.inputs().iter().all(|i| i.kind == InputKind::Arg);
        if !plain || body.outputs().iter().any(|o| o.update.is_some()) {
            self.report(Some(id), "a body has a state input or an update".to_string());
        }
        if let (Op::Fusion(_), Err(message)) = (&node.op, fusible(body)) {
            self.report(Some(id), message);
        }
        let path: Vec<NodeId> = self.path.iter().copied().chain([id]).collect();
        Checker { graph: body, path: &path, errors: self.errors }.graph();
    }

    fn outputs(&mut self) {
        let g = self.graph;
        let mut updated = vec![false; g.inputs().len()];
        for (i, o) in g.outputs().iter().enumerate() {
            let exists =
                (o.value.node.0 as usize) < g.len() && (o.value.port as usize) < g.node(o.value.node).types.len();
            if !exists {
                self.report(None, format!("output {i} names a value that does not exist"));
                continue;
            }
            let Some(target) = o.update else { continue };
            let Some(input) = g.inputs().get(target) else {
                self.report(None, format!("output {i} updates input {target}, which does not exist"));
                continue;
            };
            if input.kind != InputKind::State {
                self.report(Some(input.node), format!("output {i} updates {:?}, which is no state", input.name));
            }
            let (from, to) = (g.ty(o.value), g.ty(Value { node: input.node, port: 0 }));
            if from != to {
                self.report(Some(input.node), format!("output {i} updates {to} with {from}"));
            }
            if std::mem::replace(&mut updated[target], true) {
                self.report(Some(input.node), format!("{:?} is updated twice", input.name));
            }
        }
    }

    fn report(&mut self, id: Option<NodeId>, message: String) {
        let node = id.map_or(String::new(), |id| node_text(self.graph, id));
        let path = self.path.iter().copied().chain(id).collect();
        self.errors.push(CheckError { path, node, message });
    }
}

/// Whether the body of a fusion holds only what it may.
fn fusible(body: &Graph) -> Result<(), String> {
    let reduced = |v: Value| matches!(body.node(v.node).op, Op::Reduce { .. });
    let mut space: Option<&Shape> = None;
    let mut axes = None;
    for id in body.nodes() {
        let op = &body.node(id).op;
        let operands = body.operands(id);
        if operands.iter().any(|v| reduced(*v)) {
            return Err("a fusion uses a reduction that it computes".to_string());
        }
        let refuse = || Err(format!("a fusion holds {}", op.name()));
        let shape = match op.class() {
            Class::Leaf(leaf) => match leaf {
                Leaf::Input | Leaf::Const(_) | Leaf::Extent(_) => continue,
                Leaf::Iota(_) => return refuse(),
            },
            Class::View(View::Broadcast(shape)) => {
                let from = &body.node(operands[0].node).op;
                if !matches!(from, Op::Input | Op::Const(_) | Op::Extent(_)) {
                    return Err(format!("a fusion broadcasts a value that it computes ({})", from.name()));
                }
                shape
            }
            Class::Reduction(_, a) => {
                let rank = body.ty(operands[0]).shape.len();
                if a.is_empty() || !a.iter().copied().eq(rank - a.len()..rank) {
                    return Err(format!("a fusion reduces {a:?} of {rank} axes, which are not the last ones"));
                }
                if *axes.get_or_insert(a) != a {
                    return Err("a fusion reduces over different axes".to_string());
                }
                &body.ty(operands[0]).shape
            }
            Class::Elementwise(_) => &body.node(id).types[0].shape,
            Class::View(_) | Class::Contraction(_) | Class::Axis(_) => return refuse(),
            Class::Check(_) | Class::Barrier(_) | Class::Loop(_) | Class::Fusion(_) => return refuse(),
        };
        if space.get_or_insert(shape).as_slice() != shape.as_slice() {
            return Err("a fusion has two iteration spaces".to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Type, UnaryOp};

    fn errors(g: &Graph) -> String {
        check(g).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_type_is_shown_with_its_node() {
        let mut g = Graph::new();
        let x = g.input(Type::new(DType::F32, [Dim::fixed(2)]), InputKind::Arg, "x");
        let y = g.op(Op::Unary(UnaryOp::Exp), &[x]).unwrap();
        g.output(y);
        assert_eq!(check(&g), Ok(()));
        g.node_mut(y.node).types[0].dtype = DType::F64;
        assert_eq!(errors(&g), "the graph breaks 1 invariants\n  n1: the rules give (f32[2])\n    %1: f64[2] = exp %0");
    }

    #[test]
    fn updates_go_to_a_state_once_and_with_its_type() {
        let mut g = Graph::new();
        let x = g.input(Type::new(DType::F32, [Dim::fixed(2)]), InputKind::Arg, "x");
        let w = g.input(Type::new(DType::F64, [Dim::fixed(2)]), InputKind::State, "w");
        g.update(0, x);
        g.update(1, x);
        g.update(1, w);
        g.update(7, w);
        let text = errors(&g);
        for part in ["\"x\", which is no state", "updates f64[2] with f32[2]", "\"w\" is updated twice", "input 7"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn fusion_bodies_hold_only_fusible_nodes() {
        let refused = |body: &str| {
            let text = format!("graph(%0: f32[2, 2] \"x\") {{ %1: f32[2, 2] = fusion %0 {{ {body} }} return %1 }}");
            errors(&text.parse().unwrap())
        };
        let text = refused("graph(%0: f32[2, 2] \"x\") { %1: f32[2, 2] = permute %0 axes=[1, 0] return %1 }");
        assert!(text.contains("a fusion holds permute"), "{text}");
        let text =
            refused("graph(%0: f32[2, 2] \"x\") { %1: f32[2] = sum %0 axes=[0] %2: f32[2, 2] = neg %0 return %2 }");
        assert!(text.contains("which are not the last ones"), "{text}");
    }
}
