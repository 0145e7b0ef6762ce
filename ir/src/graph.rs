//! The graph: nodes on a petgraph digraph, operand-ordered edges, inputs, outputs and state.
//! A node is only ever added after its operands, so node order is a topological order. There is no removal: passes
//! build new graphs.

use crate::{DType, Dim, LoopKind, Op, RuleError, Scalar, Shape, Sym, Type, infer};
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use smallvec::{SmallVec, smallvec};
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A node of a graph; the smaller id was added first.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    fn index(self) -> NodeIndex {
        NodeIndex::new(self.0 as usize)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// One result of a node.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value {
    pub node: NodeId,
    pub port: u32,
}

/// An operation and the types of its results.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub op: Op,
    pub types: SmallVec<[Type; 1]>,
}

/// What kind of thing an input of a graph is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum InputKind {
    /// Given anew on every call.
    Arg,
    /// Lives between calls; an output may update it.
    State,
}

/// An input of a graph: its node, its kind and a name for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub node: NodeId,
    pub kind: InputKind,
    pub name: String,
}

/// A result of the whole graph: returned, or stored into the state input with index `update`.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub value: Value,
    pub update: Option<usize>,
}

#[derive(Copy, Clone, Debug)]
struct Edge {
    port: u32,
    operand: u32,
}

/// A program: typed nodes, edges from each operand to its user.
///
/// ```
/// use allotrope_ir::*;
/// let mut g = Graph::new();
/// let x = g.input(Type::new(DType::F32, [Dim::sym(Sym(0))]), InputKind::Arg, "x");
/// let y = g.op(Op::Unary(UnaryOp::Tanh), &[x]).unwrap();
/// g.output(y);
/// assert_eq!(g.ty(y).to_string(), "f32[s0]");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph {
    g: DiGraph<Node, Edge>,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
}

impl Graph {
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Adds an input of the given type.
    pub fn input(&mut self, ty: Type, kind: InputKind, name: impl Into<String>) -> Value {
        let node = self.push(Op::Input, smallvec![ty], &[]);
        self.inputs.push(Input { node, kind, name: name.into() });
        Value { node, port: 0 }
    }

    /// Adds a node with any number of results.
    ///
    /// # Errors
    /// When the operands do not fit the operation.
    pub fn add(&mut self, op: Op, operands: &[Value]) -> Result<NodeId, RuleError> {
        let types = self.result_types(&op, operands)?;
        Ok(self.push(op, types, operands))
    }

    /// The types of the results that `op` has on values of this graph: the rules, bodies included.
    ///
    /// # Errors
    /// When the operands do not fit the operation.
    pub fn result_types(&self, op: &Op, operands: &[Value]) -> Result<SmallVec<[Type; 1]>, RuleError> {
        if let Op::Scan(scan) = op {
            return scan_types(scan, &self.types_of(operands));
        }
        if let Op::Fusion(body) = op {
            return body_types(op.name(), body, &self.types_of(operands));
        }
        infer(op, &operands.iter().map(|v| self.ty(*v)).collect::<SmallVec<[&Type; 4]>>())
    }

    /// Adds a node whose result types are known, as when a node is copied with operands of the same types.
    pub(crate) fn add_typed(&mut self, op: Op, types: SmallVec<[Type; 1]>, operands: &[Value]) -> NodeId {
        self.push(op, types, operands)
    }

    /// Adds a node with one result.
    ///
    /// # Errors
    /// When the operands do not fit the operation.
    pub fn op(&mut self, op: Op, operands: &[Value]) -> Result<Value, RuleError> {
        Ok(Value { node: self.add(op, operands)?, port: 0 })
    }

    /// Adds a constant of one element.
    pub fn constant(&mut self, s: Scalar) -> Value {
        let node = self.push(Op::Const(s), smallvec![Type::scalar(s.dtype())], &[]);
        Value { node, port: 0 }
    }

    /// Adds a result that the caller gets.
    pub fn output(&mut self, value: Value) {
        self.outputs.push(Output { value, update: None });
    }

    /// Adds a result that is stored into the state input with this index.
    pub fn update(&mut self, input: usize, value: Value) {
        self.outputs.push(Output { value, update: Some(input) });
    }

    /// The graph with other results, none of them an update: for bodies whose frame changes, and to look at values.
    pub fn with_outputs(mut self, values: impl IntoIterator<Item = Value>) -> Graph {
        self.outputs = values.into_iter().map(|value| Output { value, update: None }).collect();
        self
    }

    /// Gives a scan node one more of the ys: `value`, a value of its body, is collected for every t. A loop without a
    /// bound is bound by its length then.
    /// Returns the collected value. Node order stays topological.
    ///
    /// # Panics
    /// When the node is not a scan.
    pub fn grow_scan(&mut self, node: NodeId, value: Value) -> Value {
        let n = &mut self.g[node.index()];
        let Op::Scan(scan) = &mut n.op else { panic!("{node} is not a scan") };
        let ty = scan.body.ty(value).clone();
        scan.body.output(value);
        if scan.kind == LoopKind::While {
            scan.kind = LoopKind::Within;
        }
        n.types.push(stacked(&scan.length, &ty));
        Value { node, port: n.types.len() as u32 - 1 }
    }

    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The values of the inputs, in order.
    pub fn input_values(&self) -> impl Iterator<Item = Value> + '_ {
        self.inputs.iter().map(|i| Value { node: i.node, port: 0 })
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.g[id.index()]
    }

    /// Write access to a node, for the builder of a scan body; types and edges must be kept true.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.g[id.index()]
    }

    pub fn ty(&self, v: Value) -> &Type {
        &self.g[v.node.index()].types[v.port as usize]
    }

    /// All nodes, every one after its operands.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + use<> {
        (0..self.g.node_count() as u32).map(NodeId)
    }

    /// The number of nodes, inputs included.
    pub fn len(&self) -> usize {
        self.g.node_count()
    }

    pub fn is_empty(&self) -> bool {
        self.g.node_count() == 0
    }

    /// Whether running it may fail by a check, whatever becomes of its outputs ([`Op::has_effect`]).
    pub fn has_effects(&self) -> bool {
        self.g.node_weights().any(|n| n.op.has_effect())
    }

    /// The operands of a node, in order.
    pub fn operands(&self, id: NodeId) -> SmallVec<[Value; 4]> {
        let mut out: SmallVec<[(u32, Value); 4]> = self
            .g
            .edges_directed(id.index(), Direction::Incoming)
            .map(|e| (e.weight().operand, Value { node: NodeId(e.source().index() as u32), port: e.weight().port }))
            .collect();
        // petgraph walks edges newest first and operands were added in order.
        out.reverse();
        out.sort_by_key(|(i, _)| *i);
        out.into_iter().map(|(_, v)| v).collect()
    }

    /// The nodes that use a result of this node, each once, ascending; being an output is no use.
    pub fn users(&self, id: NodeId) -> Vec<NodeId> {
        let mut out: Vec<NodeId> =
            self.g.edges_directed(id.index(), Direction::Outgoing).map(|e| NodeId(e.target().index() as u32)).collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// The petgraph graph underneath, for its algorithms.
    pub fn petgraph(&self) -> &DiGraph<Node, impl Clone + fmt::Debug> {
        &self.g
    }

    /// Every symbol that a type or an attribute names, bodies included, ascending.
    pub fn symbols(&self) -> Vec<Sym> {
        let mut out = Vec::new();
        self.visit_dims(&mut |d| out.extend(d.symbols()));
        out.sort_unstable();
        out.dedup();
        out
    }

    /// The symbols that are nothing but the capacity of loops which run while a carry is true, bodies included, ascending: a
    /// run decides how large they must be, so no input has them. Where a loop has no bound, its length means nothing.
    pub fn capacities(&self) -> Vec<Sym> {
        let mut out = Vec::new();
        for node in self.g.node_weights() {
            if let Op::Scan(s) = &node.op {
                out.extend(s.length.as_sym().filter(|_| s.is_while()));
            }
            if let Some(body) = node.op.body() {
                out.extend(body.capacities());
            }
        }
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Every dimension of a type or an attribute, bodies included.
    pub(crate) fn visit_dims(&self, f: &mut dyn FnMut(&Dim)) {
        for node in self.g.node_weights() {
            node.types.iter().flat_map(|t| &t.shape).for_each(&mut *f);
            node.op.visit_dims(f);
        }
    }

    /// The same graph with every symbol replaced, in types, attributes and bodies.
    pub fn substitute(&self, of: &dyn Fn(Sym) -> Dim) -> Graph {
        let mut out = self.clone();
        out.resolve(&|d| d.substitute(of));
        out
    }

    /// Replaces every dimension, in types, attributes and bodies.
    pub fn resolve(&mut self, of: &dyn Fn(&Dim) -> Dim) {
        for node in self.g.node_weights_mut() {
            let dims = node.types.iter_mut().flat_map(|t| &mut t.shape);
            dims.filter(|d| matches!(d, Dim::Poly(_))).for_each(|d| *d = of(d));
            node.op.resolve_dims(of);
        }
    }

    /// Gives input `i` another name.
    ///
    /// # Panics
    /// When there is no such input.
    pub fn rename_input(&mut self, i: usize, name: impl Into<String>) {
        self.inputs[i].name = name.into();
    }

    /// Puts the inputs into another order: input `i` is the one that was number `order[i]`. Nodes stay where they are.
    ///
    /// # Panics
    /// When `order` does not name each input once.
    pub fn order_inputs(&mut self, order: &[usize]) {
        assert_eq!(order.len(), self.inputs.len(), "an order names each input once");
        let mut place = vec![usize::MAX; order.len()];
        order.iter().enumerate().for_each(|(new, &old)| place[old] = new);
        self.inputs = order.iter().map(|&old| self.inputs[old].clone()).collect();
        for update in self.outputs.iter_mut().filter_map(|o| o.update.as_mut()) {
            *update = place[*update];
        }
    }

    /// Copies node `id` of `from` into this graph with its operands mapped, and records where its results went.
    ///
    /// # Errors
    /// When the mapped operands do not fit.
    ///
    /// # Panics
    /// When an operand has not been mapped, or the node is an input.
    pub fn copy_node(
        &mut self,
        from: &Graph,
        id: NodeId,
        map: &mut HashMap<Value, Value>,
    ) -> Result<NodeId, RuleError> {
        let operands: SmallVec<[Value; 4]> = from.operands(id).iter().map(|v| map[v]).collect();
        let new = self.add(from.node(id).op.clone(), &operands)?;
        for port in 0..from.node(id).types.len() as u32 {
            map.insert(Value { node: id, port }, Value { node: new, port });
        }
        Ok(new)
    }

    /// The first `n` nodes alone, with no outputs.
    pub fn prefix(&self, n: usize) -> Graph {
        let mut out = Graph::new();
        for id in self.nodes().take(n) {
            let node = self.node(id);
            out.push(node.op.clone(), node.types.clone(), &self.operands(id));
        }
        out.inputs = self.inputs.iter().filter(|i| (i.node.0 as usize) < n).cloned().collect();
        out
    }

    /// The same graph with its inputs as the first nodes, in order, in bodies too: the form that passes keep.
    pub fn inputs_first(&self) -> Graph {
        let mut out = Graph::new();
        let mut map: HashMap<Value, Value> = HashMap::new();
        for i in &self.inputs {
            let old = Value { node: i.node, port: 0 };
            map.insert(old, out.input(self.ty(old).clone(), i.kind, i.name.clone()));
        }
        for id in self.nodes().filter(|id| self.node(*id).op != Op::Input) {
            let node = self.node(id);
            let op = node.op.with_body(Graph::inputs_first);
            let operands: SmallVec<[Value; 4]> = self.operands(id).iter().map(|v| map[v]).collect();
            let new = out.push(op, node.types.clone(), &operands);
            for port in 0..node.types.len() as u32 {
                map.insert(Value { node: id, port }, Value { node: new, port });
            }
        }
        out.outputs = self.outputs.iter().map(|o| Output { value: map[&o.value], update: o.update }).collect();
        out
    }

    fn push(&mut self, op: Op, types: SmallVec<[Type; 1]>, operands: &[Value]) -> NodeId {
        let node = self.g.add_node(Node { op, types });
        for (i, v) in operands.iter().enumerate() {
            self.g.add_edge(v.node.index(), node, Edge { port: v.port, operand: i as u32 });
        }
        NodeId(node.index() as u32)
    }

    fn types_of(&self, values: &[Value]) -> SmallVec<[Type; 4]> {
        values.iter().map(|v| self.ty(*v).clone()).collect()
    }
}

/// Two graphs are equal when they have the same nodes in the same order with the same operands, inputs and outputs.
impl PartialEq for Graph {
    fn eq(&self, other: &Graph) -> bool {
        self.inputs == other.inputs
            && self.outputs == other.outputs
            && self.len() == other.len()
            && self.nodes().all(|id| self.node(id) == other.node(id) && self.operands(id) == other.operands(id))
    }
}

/// Equal graphs have as many nodes; that much tells most others apart.
impl Hash for Graph {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.len(), self.inputs.len(), self.outputs.len()).hash(state);
    }
}

fn stacked(length: &Dim, ty: &Type) -> Type {
    let shape: Shape = std::iter::once(length.clone()).chain(ty.shape.iter().cloned()).collect();
    Type { dtype: ty.dtype, shape }
}

fn body_types(name: &str, body: &Graph, operands: &[Type]) -> Result<SmallVec<[Type; 1]>, RuleError> {
    let inputs: Vec<&Type> = body.input_values().map(|v| body.ty(v)).collect();
    let fits = inputs.len() == operands.len() && inputs.iter().zip(operands).all(|(a, b)| **a == *b);
    if !fits {
        let show = |t: Vec<String>| t.join(", ");
        return Err(RuleError {
            op: name.to_string(),
            message: format!(
                "the body takes ({}), got ({})",
                show(inputs.iter().map(|t| t.to_string()).collect()),
                show(operands.iter().map(|t| t.to_string()).collect())
            ),
        });
    }
    Ok(body.outputs.iter().map(|o| body.ty(o.value).clone()).collect())
}

fn scan_types(scan: &crate::Scan, operands: &[Type]) -> Result<SmallVec<[Type; 1]>, RuleError> {
    let fail = |message: String| Err(RuleError { op: "scan".to_string(), message });
    let (c, x) = (scan.carries, scan.xs);
    let (operands, count) = scan.split(operands);
    match (scan.kind, count) {
        (LoopKind::Count, None) => return fail("takes the number of iterations as its last operand".to_string()),
        (LoopKind::Count, Some(ty)) if *ty != Type::scalar(DType::I64) => {
            return fail(format!("the number of iterations must be i64[], got {ty}"));
        }
        (LoopKind::While, _) if scan.body.outputs.len() > c => {
            return fail("a loop without a bound has no ys".to_string());
        }
        (LoopKind::While | LoopKind::Within, _) if x > 0 || scan.reverse => {
            return fail("a loop that runs while its first carry is true has no xs and no reverse".to_string());
        }
        (LoopKind::While | LoopKind::Within, _) if c == 0 || operands.first() != Some(&Type::scalar(DType::Bool)) => {
            return fail("the first carry says whether to go on, so it must be bool[]".to_string());
        }
        _ => {}
    }
    if operands.len() < c + x || scan.body.outputs.len() < c {
        return fail(format!(
            "{c} carries and {x} xs do not fit {} operands and {} results",
            operands.len(),
            scan.body.outputs.len()
        ));
    }
    let mut elements = operands.to_vec();
    for ty in &mut elements[c..c + x] {
        if ty.shape.first() != Some(&scan.length) {
            return fail(format!("xs must begin with an axis of length {}, got {ty}", scan.length));
        }
        ty.shape.remove(0);
    }
    let results = body_types("scan", &scan.body, &elements)?;
    for i in 0..c {
        if results[i] != elements[i] {
            return fail(format!("carry {i} goes in as {} and comes out as {}", elements[i], results[i]));
        }
    }
    let ys = results[c..].iter().map(|ty| stacked(&scan.length, ty));
    Ok(results[..c].iter().cloned().chain(ys).collect())
}
