//! The graphs of a capture under construction: the whole program and the bodies of its loops, and what sizes stand for.
//! It answers events one after the other, and knows values and sizes only; tensors are the recorder's.

mod loops;

use crate::capture::event::{Answer, Aside, Event, EventOperand, Loop, Made, Symbolic};
use crate::capture::symbols::Symbols;
use crate::error::{Error, Result};
use crate::mode::recompute::other_draws;
use crate::tensor::Size;
use allotrope_ir::{DType, Dim, Graph, InputKind, LoopKind, NodeId, Op, Scalar, Type, Value, infer};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::panic::Location;

/// One graph under construction: the whole program, or the body of a loop.
#[derive(Clone)]
pub(crate) struct Scope {
    /// The graph while it is open; afterwards it is in its node of the parent.
    pub(crate) graph: Option<Graph>,
    /// The scope around it, and (once closed) its scan node there.
    pub(crate) parent: Option<usize>,
    pub(crate) node: Option<NodeId>,
    /// For a loop: its operands in the parent, in the order of the body's inputs of each kind.
    pub(crate) carries: Vec<Value>,
    pub(crate) xs: Vec<Value>,
    pub(crate) invariants: Vec<Value>,
    /// Body inputs of each kind, as input numbers of the body graph.
    pub(crate) inputs: [Vec<usize>; 3],
    /// Values of the parent that are inputs here.
    pub(crate) imported: HashMap<Value, Value>,
    pub(crate) imported_xs: HashMap<Value, Value>,
    /// Values of a closed body that were recomputed in its parent.
    pub(crate) hoisted: HashMap<Value, Value>,
    pub(crate) length: Size,
    pub(crate) reverse: bool,
    pub(crate) kind: LoopKind,
    /// For a counted loop: its number of iterations, in the parent.
    pub(crate) count: Option<Value>,
    /// The closed body whose backward pass this one is.
    pub(crate) mirror: Option<usize>,
}

/// What the inputs are called that stand for arguments.
pub(crate) const ARGUMENT: &str = "arg";

/// What an input of the whole program is.
#[derive(Copy, Clone, PartialEq)]
pub(crate) enum Role {
    /// The elements of a tensor.
    Tensor,
    /// Random numbers.
    Drawn,
    /// A number in the program.
    Slot,
    /// The gradient of a result, which comes from outside.
    Gradient,
}

/// A part of the program that is recomputed.
#[derive(Clone)]
struct Recompute {
    number: u32,
    /// The scope in which it is, and the first node that it could make there.
    at: usize,
    first: NodeId,
    /// Scopes from here on are inside.
    first_scope: usize,
    /// What it uses from before, and as what.
    barriers: HashMap<Value, Value>,
}

#[derive(Clone)]
pub(crate) struct GraphBuilder {
    pub(crate) scopes: Vec<Scope>,
    /// The open scopes, innermost last.
    pub(crate) open: Vec<usize>,
    pub(crate) symbols: Symbols,
    /// For each input of the whole program.
    pub(crate) roles: Vec<Role>,
    /// The parts that are being recomputed, innermost last.
    recomputing: Vec<Recompute>,
    /// How many there were.
    barriers: u32,
}

impl GraphBuilder {
    /// A program of the capture of that name.
    pub(crate) fn new(capture: u32) -> GraphBuilder {
        let mut program = GraphBuilder {
            scopes: Vec::new(),
            open: Vec::new(),
            symbols: Symbols::new(capture),
            roles: Vec::new(),
            recomputing: Vec::new(),
            barriers: 0,
        };
        program.push_scope(Size::from(1), false, None);
        program
    }

    /// Answers one event.
    ///
    /// # Errors
    /// When operands do not fit; an event that failed may have left values that nothing uses.
    pub(crate) fn answer(&mut self, event: &Event<'_>) -> Result<Answer> {
        Ok(match event {
            Event::Argument { dtype, numbers: Aside(numbers), name: Aside(name), .. } => {
                let arg = (name.0 == ARGUMENT).then_some(name.1);
                let axes = numbers.iter().enumerate();
                let sizes: SmallVec<[Size; 4]> =
                    axes.map(|(axis, &n)| self.symbols.symbol(n, arg.map(|arg| (arg, axis)))).collect();
                Answer::Made(self.input(*dtype, &sizes, InputKind::Arg, named(*name), Role::Tensor))
            }
            Event::Input { dtype, sizes: Symbolic(sizes), kind, name: Aside(name) } => {
                Answer::Made(self.input(*dtype, sizes, *kind, named(*name), Role::Tensor))
            }
            Event::Draw { dtype, sizes: Symbolic(sizes), name: Aside(name), recompute } => {
                Answer::Made(self.draw(*dtype, sizes, name, *recompute)?)
            }
            Event::Record { op: Symbolic(op), operands } => Answer::Made(self.record(op, operands)?),
            Event::Full { sizes: Symbolic(sizes), number } => {
                let shape: SmallVec<[Dim; 4]> = sizes.iter().map(|&s| self.symbols.dim(s)).collect();
                let value = self.full(&shape, *number)?;
                Answer::Made(self.typed(self.current(), value))
            }
            Event::Extent(Symbolic(size)) => {
                let value = match self.symbols.dim(*size) {
                    Dim::Fixed(n) => {
                        let at = self.current();
                        self.graph(at).constant(Scalar::I64(n))
                    }
                    dim => self.add(Op::Extent(dim), &[])?,
                };
                Answer::Made(self.typed(self.current(), value))
            }
            Event::On(_) => Answer::None,
            Event::TypeOf(at, value) => Answer::Made(self.typed(*at, *value)),
            Event::Import { from, value } => Answer::Value(self.bring(*from, *value)?),
            Event::Begin(spec) => self.begin(spec),
            Event::End { carries, ys } => {
                let body = self.current();
                carries.iter().chain(&ys[..]).for_each(|&v| self.graph(body).output(v));
                Answer::Many(self.close_loop()?)
            }
            Event::Results(values) => {
                let body = self.current();
                for &value in &values[..] {
                    let ty = self.graph(body).ty(value).clone();
                    self.graph(body).output(value);
                    self.body_input(body, ty, 0, "otherwise");
                }
                Answer::None
            }
            Event::Leave => {
                self.open.pop();
                Answer::None
            }
            Event::Enter(body) => {
                self.open.push(*body);
                Answer::None
            }
            Event::EndBranch(begin) => {
                let body = self.current();
                self.scopes[body].carries = begin.to_vec();
                Answer::Many(self.close_loop()?)
            }
            Event::RecomputeBegin => {
                self.begin_recompute();
                Answer::None
            }
            Event::RecomputeEnd => {
                self.recomputing.pop();
                Answer::None
            }
            Event::Abandon => {
                self.open.pop();
                Answer::None
            }
            Event::Output { value, update } => {
                let update = update.map(|k| self.input_number(k));
                match update {
                    Some(input) => self.root().update(input, *value),
                    None => self.root().output(*value),
                }
                Answer::None
            }
            Event::Arith(op, Symbolic([a, b])) => Answer::Size(Symbolic(Some(self.symbols.arith(*op, *a, *b)))),
            Event::Divided(Symbolic(size), by) => Answer::Size(Symbolic(self.symbols.divided(*size, *by))),
            Event::Unify(Symbolic([a, b]), Aside(at)) => self.solving(|symbols| symbols.unify(*a, *b, at)),
            Event::Specialize { size: Symbolic(size), why: Aside(why), at: Aside(at) } => {
                self.solving(|symbols| symbols.specialize(*size, why, at))
            }
            Event::AtLeast(Symbolic(size), least) => {
                self.symbols.at_least(*size, *least);
                Answer::None
            }
        })
    }

    /// The number so far of the input that is number `k` of those that are tensors: numbers in the program come after all
    /// others in the end.
    fn input_number(&self, k: usize) -> usize {
        let tensors = self.roles.iter().enumerate().filter(|(_, role)| **role != Role::Slot);
        tensors.map(|(i, _)| i).nth(k).expect("there is such an input")
    }

    fn begin_recompute(&mut self) {
        let at = self.current();
        let first = NodeId(self.graph(at).len() as u32);
        let first_scope = self.scopes.len();
        self.recomputing.push(Recompute { number: self.barriers, at, first, first_scope, barriers: HashMap::new() });
        self.barriers += 1;
    }

    /// The value `v` of scope `from` as a value of the innermost open one. Where a part of the program is
    /// recomputed, what it uses from before goes through a barrier.
    fn bring(&mut self, from: usize, v: Value) -> Result<Value> {
        let into = self.current();
        let Some(part) = self.recomputing.last() else { return self.import(from, v, into) };
        let at = part.at;
        if from >= part.first_scope || (from == at && v.node >= part.first) {
            return self.import(from, v, into);
        }
        let here = self.import(from, v, at)?;
        let part = self.recomputing.last().expect("just seen");
        let behind = match part.barriers.get(&here) {
            Some(&behind) => behind,
            None => {
                let op = Op::Barrier(part.number);
                let behind = self.graph(at).op(op, &[here])?;
                self.recomputing.last_mut().expect("just seen").barriers.insert(here, behind);
                behind
            }
        };
        self.import(at, behind, into)
    }

    /// Solves symbols, and brings the graphs up to date. Gives those that became numbers of this call.
    fn solving(&mut self, solve: impl FnOnce(&mut Symbols) -> bool) -> Answer {
        let before = self.symbols.numbers.len();
        if solve(&mut self.symbols) {
            self.rewrite();
        }
        Answer::Numbers(self.symbols.numbers[before..].iter().copied().collect())
    }

    /// Every size of an argument becomes the number that it is in this call.
    pub(crate) fn specialize_arguments(&mut self, why: &str, at: &'static Location<'static>) {
        self.solving(|symbols| symbols.specialize_arguments(why, at));
    }

    /// Ends the capture: the graph of the whole program, numbers of the program last among its inputs.
    pub(crate) fn finish(&mut self) -> Graph {
        let graph = self.scopes.swap_remove(0).graph.expect("the whole program is open until the end");
        let mut order: Vec<usize> = (0..self.roles.len()).collect();
        order.sort_by_key(|&i| self.roles[i] == Role::Slot);
        let mut graph = graph;
        graph.order_inputs(&order);
        graph.inputs_first()
    }

    fn push_scope(&mut self, length: Size, reverse: bool, mirror: Option<usize>) -> usize {
        let parent = self.open.last().copied();
        // The name that this recording has for it: another one's may be replayed.
        let length = match length.is_symbolic() {
            true => self.symbols.size(self.symbols.dim(length)),
            false => length,
        };
        self.scopes.push(Scope {
            graph: Some(Graph::new()),
            parent,
            node: None,
            carries: Vec::new(),
            xs: Vec::new(),
            invariants: Vec::new(),
            inputs: Default::default(),
            imported: HashMap::new(),
            imported_xs: HashMap::new(),
            hoisted: HashMap::new(),
            length,
            reverse,
            kind: LoopKind::All,
            count: None,
            mirror,
        });
        let i = self.scopes.len() - 1;
        self.open.push(i);
        i
    }

    pub(crate) fn current(&self) -> usize {
        *self.open.last().expect("the whole program is open")
    }

    pub(crate) fn root(&mut self) -> &mut Graph {
        self.graph(0)
    }

    /// The graph of the whole program, which is open until the end.
    pub(crate) fn whole(&self) -> &Graph {
        self.scopes[0].graph.as_ref().expect("the whole program is open until the end")
    }

    /// The graph of a scope, open or closed.
    pub(crate) fn graph(&mut self, i: usize) -> &mut Graph {
        if self.scopes[i].graph.is_some() {
            return self.scopes[i].graph.as_mut().expect("just seen");
        }
        let (parent, node) = (self.scopes[i].parent, self.scopes[i].node);
        let (parent, node) = parent.zip(node).expect("a closed body has its node in its parent");
        match &mut self.graph(parent).node_mut(node).op {
            Op::Scan(scan) => &mut scan.body,
            _ => unreachable!("bug in allotrope: a loop's node is no scan"),
        }
    }

    /// A value with its type, in sizes of this capture.
    pub(crate) fn typed(&mut self, builder: usize, value: Value) -> Made {
        let ty = self.graph(builder).ty(value).clone();
        let sizes = ty.shape.into_iter().map(|d| self.symbols.size(d)).collect();
        Made { value, dtype: ty.dtype, sizes: Symbolic(sizes) }
    }

    pub(crate) fn ty(&self, dtype: DType, sizes: &[Size]) -> Type {
        Type { dtype, shape: sizes.iter().map(|&s| self.symbols.dim(s)).collect() }
    }

    /// An input for a gradient that comes from outside.
    pub(crate) fn gradient(&mut self, slot: usize, ty: &Type) -> Value {
        self.roles.push(Role::Gradient);
        self.root().input(ty.clone(), InputKind::Arg, format!("gradient{slot}"))
    }

    fn input(&mut self, dtype: DType, sizes: &[Size], kind: InputKind, name: String, role: Role) -> Made {
        let ty = self.ty(dtype, sizes);
        self.roles.push(role);
        let value = self.root().input(ty, kind, name);
        self.typed(0, value)
    }

    /// A number that each call gives, as a value of the innermost open graph.
    fn slot(&mut self, dtype: DType) -> Result<Value> {
        let count = self.roles.iter().filter(|r| **r == Role::Slot).count();
        let slot = self.input(dtype, &[], InputKind::Arg, format!("number{count}"), Role::Slot);
        self.import(0, slot.value, self.current())
    }

    fn record(&mut self, op: &Op<Size>, operands: &[EventOperand]) -> Result<Made> {
        let at = self.current();
        // A number has the shape of the tensor beside it, which comes later when the number is first.
        let shaped = operands.iter().find_map(|g| match g {
            EventOperand::Value(v) => Some(*v),
            EventOperand::Number(..) => None,
        });
        let mut values: SmallVec<[Value; 4]> = SmallVec::new();
        for operand in operands {
            values.push(match operand {
                EventOperand::Value(v) => *v,
                number => {
                    let shape = shaped.map(|v| self.graph(at).ty(v).shape.clone()).unwrap_or_default();
                    self.full(&shape, *number)?
                }
            });
        }
        let value = match self.add(op.map_dims(&mut |s| self.symbols.dim(*s)), &values) {
            Ok(value) => value,
            Err(e) if self.fits_here(op, &values) => {
                return Err(Error::trace(format!(
                    "{e}. The sizes of this call fit, but not those of every call; compare them first, with has_sizes()"
                )));
            }
            Err(e) => return Err(e),
        };
        Ok(self.typed(at, value))
    }

    /// Whether an operation fits these operands by the numbers that sizes have in this call, as eager code has them.
    fn fits_here(&mut self, op: &Op<Size>, operands: &[Value]) -> bool {
        let at = self.current();
        let of = |v: &Value| {
            let ty = self.graph(at).ty(*v).clone();
            let shape = ty.shape.iter().map(|d| Size::from(d.eval(self.symbols.hints()))).collect();
            Type { dtype: ty.dtype, shape }
        };
        let types: Vec<_> = operands.iter().map(of).collect();
        let types: Vec<_> = types.iter().collect();
        infer(&op.map_dims(&mut |s| Size::from(s.hint())), &types).is_ok()
    }

    fn full(&mut self, shape: &[Dim], number: EventOperand) -> Result<Value> {
        let at = self.current();
        let scalar = match number {
            EventOperand::Number(_, Aside(Some(s))) => self.graph(at).constant(s),
            EventOperand::Number(dtype, Aside(None)) => self.slot(dtype)?,
            EventOperand::Value(_) => unreachable!("bug in allotrope: full of a value"),
        };
        match shape.is_empty() {
            true => Ok(scalar),
            false => self.add(Op::Broadcast(shape.iter().cloned().collect()), &[scalar]),
        }
    }

    fn add(&mut self, op: Op, operands: &[Value]) -> Result<Value> {
        let at = self.current();
        Ok(self.graph(at).op(op, operands)?)
    }

    /// Rewrites every open graph after symbols were solved; closed ones are inside them.
    fn rewrite(&mut self) {
        let symbols = &self.symbols;
        for b in &mut self.scopes {
            if let Some(graph) = &mut b.graph {
                graph.resolve(&|d| symbols.resolve(d));
            }
        }
    }

    /// A tensor that each call draws: an input of the whole program, and in loops an element of it for each iteration; or one that
    /// was drawn before.
    ///
    /// # Errors
    /// When it was drawn before and is of another type.
    fn draw(&mut self, dtype: DType, sizes: &[Size], name: &'static str, recompute: Option<usize>) -> Result<Made> {
        let (at, loops) = (self.current(), self.open[1..].to_vec());
        let lengths: Vec<Dim> = loops.iter().map(|&b| self.symbols.dim(self.scopes[b].length)).collect();
        let dims = sizes.iter().map(|&s| self.symbols.dim(s));
        let mut ty = Type { dtype, shape: lengths.into_iter().chain(dims).collect() };
        let mut value = match recompute {
            Some(k) => {
                let number = self.input_number(k);
                let value = self.root().input_values().nth(number).expect("what was drawn is an input");
                if *self.root().ty(value) != ty {
                    return Err(other_draws());
                }
                value
            }
            None => {
                let count = self.roles.iter().filter(|r| **r == Role::Drawn).count();
                self.roles.push(Role::Drawn);
                self.root().input(ty.clone(), InputKind::Arg, format!("{name}{count}"))
            }
        };
        for body in loops {
            ty.shape.remove(0);
            value = match self.scopes[body].imported_xs.get(&value) {
                Some(&element) => element,
                None => {
                    let element = self.body_input(body, ty.clone(), 1, name);
                    let b = &mut self.scopes[body];
                    b.xs.push(value);
                    b.imported_xs.insert(value, element);
                    element
                }
            };
        }
        Ok(self.typed(at, value))
    }

    /// Begins a loop; gives what its body sees, carries first.
    fn begin(&mut self, spec: &Loop) -> Answer {
        let parent = self.current();
        let limit = spec.limit.0.unwrap_or_else(|| self.symbols.capacity());
        if let Some(forward) = spec.mirror {
            self.bound(forward);
        }
        let body = self.push_scope(limit, spec.reverse, spec.mirror);
        (self.scopes[body].kind, self.scopes[body].count) = (spec.kind, spec.count);
        let mut inside = Vec::new();
        for &v in &spec.carries {
            let ty = self.graph(parent).ty(v).clone();
            let value = self.body_input(body, ty, 0, "carry");
            inside.push(self.typed(body, value));
        }
        for &v in &spec.xs {
            let mut ty = self.graph(parent).ty(v).clone();
            ty.shape.remove(0);
            let value = self.body_input(body, ty, 1, "x");
            self.scopes[body].imported_xs.insert(v, value);
            inside.push(self.typed(body, value));
        }
        self.scopes[body].carries = spec.carries.to_vec();
        self.scopes[body].xs = spec.xs.to_vec();
        Answer::Begun(inside, Symbolic(limit))
    }
}

fn named((name, number): (&str, usize)) -> String {
    format!("{name}{number}")
}
