//! Random graphs: whatever passes have run, the compiled function gives the same bits; and where every operation has one
//! correct rounding, those of the interpreter. The graphs are made as in the tests of the passes.

mod codegen_support;
#[path = "../ir/tests/seed/mod.rs"]
mod seed;

use allotrope::backend::cpu::Compiled;
use allotrope_ir::passes::{Passes, optimize};
use allotrope_ir::*;
use codegen_support::{call, compile, compile_cut, try_call};
use proptest::prelude::*;

/// Raw material: every choice that builds a graph is taken from these numbers, in order.
struct Choices<'a> {
    numbers: &'a [u32],
    at: usize,
}

impl Choices<'_> {
    /// A number below `n`; 0 when the numbers are used up, which ends everything quickly.
    fn below(&mut self, n: usize) -> usize {
        let x = self.numbers.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        x as usize % n
    }

    fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    fn left(&self) -> bool {
        self.at < self.numbers.len()
    }
}

const SPECIAL: [f64; 12] =
    [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 8.0, -3.7, 1e30, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];

fn sizes() -> Vec<Dim> {
    vec![Dim::fixed(1), Dim::fixed(2), Dim::fixed(3), Dim::sym(Sym(0)), Dim::sym(Sym(1))]
}

/// A graph under construction with the values that may be used.
struct Builder<'a, 'b> {
    c: &'a mut Choices<'b>,
    /// Only what has one correct rounding.
    exact: bool,
    g: Graph,
    values: Vec<Value>,
}

impl Builder<'_, '_> {
    fn value(&mut self) -> Value {
        // Recent values make deep graphs, any value makes wide ones.
        let n = self.values.len();
        let recent = n.min(4);
        let i = if self.c.below(3) > 0 { n - 1 - self.c.below(recent) } else { self.c.below(n) };
        self.values[i]
    }

    fn emit(&mut self, op: Op, x: &[Value]) -> Option<Value> {
        let node = self.g.add(op, x).ok()?;
        for port in 0..self.g.node(node).types.len() as u32 {
            self.values.push(Value { node, port });
        }
        Some(Value { node, port: 0 })
    }

    /// A value of exactly that type: one that is there, a broadcast, or a constant.
    fn of_type(&mut self, ty: &Type) -> Value {
        let same: Vec<Value> = self.values.iter().copied().filter(|v| self.g.ty(*v) == ty).collect();
        if !same.is_empty() && self.c.below(4) > 0 {
            return self.c.of(&same);
        }
        let v = self.value();
        let v = match self.g.ty(v).dtype == ty.dtype {
            true => v,
            false => self.emit(Op::Cast(ty.dtype), &[v]).unwrap(),
        };
        if let Some(v) = self.emit(Op::Broadcast(ty.shape.clone()), &[v]) {
            return v;
        }
        let scalar = self.constant(ty.dtype);
        self.emit(Op::Broadcast(ty.shape.clone()), &[scalar]).unwrap()
    }

    fn constant(&mut self, dtype: DType) -> Value {
        let x = self.c.of(&SPECIAL);
        let v = self.g.constant(Scalar::from_f64(x, dtype));
        self.values.push(v);
        v
    }

    fn binary(&mut self, dtype: DType) -> BinaryOp {
        let exact = |op: BinaryOp| op.is_exact() || op == BinaryOp::Rem || dtype.is_integer();
        let all: Vec<BinaryOp> = BinaryOp::ALL.iter().copied().filter(|op| !self.exact || exact(*op)).collect();
        self.c.of(&all)
    }

    /// Indices into an axis of `n` elements, where it has any.
    fn index(&mut self, n: &Dim, shape: Shape) -> Value {
        let ty = Type { dtype: DType::I64, shape };
        let any = self.of_type(&ty);
        let any = self.emit(Op::Unary(UnaryOp::Abs), &[any]).unwrap();
        let n = self.emit(Op::Extent(n.clone()), &[]).unwrap();
        let zero = self.g.constant(Scalar::I64(0));
        let [n, zero] = [n, zero].map(|v| self.emit(Op::Broadcast(ty.shape.clone()), &[v]).unwrap());
        let below = self.emit(Op::Binary(BinaryOp::Rem), &[any, n]).unwrap();
        self.emit(Op::Binary(BinaryOp::Maximum), &[below, zero]).unwrap()
    }

    /// One of the operations along an axis, or of the views that they are used with.
    fn along(&mut self, x: Value) {
        let ty = self.g.ty(x).clone();
        let rank = ty.shape.len();
        if rank == 0 {
            return;
        }
        let axis = self.c.below(rank);
        let n = ty.shape[axis].clone();
        match self.c.below(9) {
            0 | 1 => {
                let mask = self.c.below(16);
                let axes = (0..rank).filter(|a| mask >> a & 1 == 1).collect();
                self.emit(Op::Flip(axes), &[x]);
            }
            2 => {
                let (step, dilation) = (1 + self.c.below(2), 1 + self.c.below(2));
                let (count, size) = match n.as_fixed() {
                    Some(n) => {
                        let size = 1 + self.c.below(n.max(1));
                        let reach = (size - 1) * dilation + 1;
                        let most = if reach > n { 0 } else { (n - reach) / step + 1 };
                        (Dim::fixed(self.c.below(most + 1)), Dim::fixed(size))
                    }
                    None => (n, Dim::fixed(1)),
                };
                let step = if count.as_fixed().is_none() { 1 } else { step };
                if rank < 4 {
                    self.emit(Op::Window { axis, count, size, step, dilation }, &[x]);
                }
            }
            3 => {
                let (step, dilation) = (1 + self.c.below(2), 1 + self.c.below(2));
                let len = &(&n * &Dim::fixed(step)) + &(&ty.shape[rank - 1] * &Dim::fixed(dilation));
                self.emit(Op::OverlapAdd { axis, len, step, dilation }, &[x]);
            }
            4 => {
                let mut shape = ty.shape.clone();
                shape[axis] = self.c.of(&sizes());
                let index = self.index(&n, shape);
                self.emit(Op::Gather { axis }, &[x, index]);
            }
            5 => {
                let mut shape = ty.shape.clone();
                shape[axis] = self.c.of(&sizes());
                let index = self.index(&n, shape.clone());
                let source = self.of_type(&Type { dtype: ty.dtype, shape });
                let op = self.c.of(ScatterOp::ALL);
                self.emit(Op::Scatter { op, axis }, &[x, index, source]);
            }
            6 if n.as_fixed().is_some_and(|n| n > 0) => {
                let op = self.c.of(ArgOp::ALL);
                self.emit(Op::ArgReduce { op, axis }, &[x]);
            }
            6 | 7 => {
                let descending = self.c.below(2) == 1;
                self.emit(Op::ArgSort { axis, descending }, &[x]);
            }
            _ => {
                let (y, reverse) = (self.of_type(&ty), self.c.below(2) == 1);
                self.emit(Op::Recurrence { axis, reverse }, &[x, y]);
            }
        }
    }

    /// A check, which mostly holds.
    fn check(&mut self, x: Value) {
        let mut holds = self.of_type(&Type::scalar(DType::Bool));
        if self.c.below(4) > 0 {
            let yes = self.g.constant(Scalar::Bool(true));
            holds = self.emit(Op::Binary(BinaryOp::Or), &[holds, yes]).unwrap();
        }
        let message = format!("check: {}", self.c.at);
        self.emit(Op::Check(message.into()), &[x, holds]);
    }

    fn step(&mut self, depth: usize) {
        let x = self.value();
        let ty = self.g.ty(x).clone();
        let rank = ty.shape.len();
        match self.c.below(if depth < 2 { 27 } else { 25 }) {
            0 | 1 => {
                let all: Vec<UnaryOp> =
                    UnaryOp::ALL.iter().copied().filter(|op| !self.exact || op.is_exact()).collect();
                let op = self.c.of(&all);
                self.emit(Op::Unary(op), &[x]);
            }
            2..=4 => {
                let (op, y) = (self.binary(ty.dtype), self.of_type(&ty));
                let operands = if self.c.below(2) == 0 { [x, y] } else { [y, x] };
                self.emit(Op::Binary(op), &operands);
            }
            5 => {
                let (op, y) = (self.c.of(CompareOp::ALL), self.of_type(&ty));
                self.emit(Op::Compare(op), &[x, y]);
            }
            6 => {
                let condition = self.of_type(&Type { dtype: DType::Bool, shape: ty.shape.clone() });
                let y = self.of_type(&ty);
                self.emit(Op::Select, &[condition, x, y]);
            }
            7 => {
                let dtype = self.c.of(&DType::ALL);
                self.emit(Op::Cast(dtype), &[x]);
            }
            8 => {
                let mut shape = ty.shape.clone();
                if rank < 3 {
                    shape.insert(0, self.c.of(&sizes()));
                }
                let size = self.c.of(&sizes());
                shape.iter_mut().filter(|d| **d == Dim::fixed(1)).for_each(|d| *d = size.clone());
                self.emit(Op::Broadcast(shape), &[x]);
            }
            9 => {
                let mut shape: Vec<Dim> = ty.shape.to_vec();
                let at = self.c.below(rank + 1);
                match self.c.below(3) {
                    0 if rank < 4 => shape.insert(at, Dim::fixed(1)),
                    1 if rank > 1 => shape = vec![ty.numel()],
                    _ => shape.retain(|d| *d != Dim::fixed(1)),
                }
                self.emit(Op::Reshape(shape.into_iter().collect()), &[x]);
            }
            10 => {
                let mut axes: Axes = (0..rank).collect();
                for i in 0..rank {
                    let j = self.c.below(rank);
                    axes.swap(i, j);
                }
                self.emit(Op::Permute(axes), &[x]);
            }
            11 => {
                let floats = self.exact && ty.dtype.is_float();
                let op = self.c.of(if floats { &ReduceOp::ALL[1..] } else { ReduceOp::ALL });
                let mask = self.c.below(16);
                let axes = (0..rank).filter(|a| mask >> a & 1 == 1).collect();
                self.emit(Op::Reduce { op, axes }, &[x]);
            }
            12 => {
                let axis = self.c.below(rank.max(1));
                let Some(n) = ty.shape.get(axis).cloned() else { return };
                if self.c.below(2) == 0 {
                    let y = self.of_type(&ty);
                    self.emit(Op::Concat { axis }, &[x, y]);
                } else if let Some(fixed) = n.as_fixed() {
                    let start = self.c.below(fixed + 1);
                    let len = self.c.below(fixed - start + 1);
                    self.emit(Op::Slice { axis, start: Dim::fixed(start), len: Dim::fixed(len) }, &[x]);
                } else {
                    self.emit(Op::Slice { axis, start: Dim::fixed(0), len: n }, &[x]);
                }
            }
            13 => {
                if rank < 2 || ty.dtype == DType::Bool {
                    return;
                }
                let mut other = ty.clone();
                other.shape.swap(rank - 1, rank - 2);
                if self.c.below(2) == 0 {
                    other.shape[rank - 1] = self.c.of(&sizes());
                }
                let y = self.of_type(&other);
                let operands = if self.c.below(2) == 0 { [x, y] } else { [y, x] };
                if let Some(product) = self.emit(Op::Matmul, &operands) {
                    let ty = self.g.ty(product).clone();
                    let c = self.of_type(&ty);
                    match self.c.below(3) {
                        0 => self.emit(Op::AddMatmul, &[c, operands[0], operands[1]]),
                        1 => self.emit(Op::Binary(BinaryOp::Add), &[product, c]),
                        _ => None,
                    };
                }
            }
            14 | 15 => {
                // What identities match: a constant on either side.
                let scalar = self.constant(ty.dtype);
                let full = if rank == 0 { Some(scalar) } else { self.emit(Op::Broadcast(ty.shape.clone()), &[scalar]) };
                let (op, y) = (self.binary(ty.dtype), full.expect("a scalar expands to any shape"));
                let operands = if self.c.below(2) == 0 { [x, y] } else { [y, x] };
                self.emit(Op::Binary(op), &operands);
            }
            16 => {
                // What common subexpressions are: a node again, perhaps with its operands swapped.
                let op = self.g.node(x.node).op.clone();
                let mut operands = self.g.operands(x.node);
                if self.c.below(2) == 0 {
                    operands.reverse();
                }
                // A loop that ends is not turned into one that may not.
                if op != Op::Input && !matches!(&op, Op::Scan(s) if s.is_while()) {
                    self.emit(op, &operands);
                }
            }
            17 => {
                // What is added to a product, and used nowhere else.
                let products: Vec<Value> = (self.values.iter().copied())
                    .filter(|v| self.g.node(v.node).op == Op::Matmul && self.g.users(v.node).is_empty())
                    .collect();
                if let Some(product) = products.last().copied() {
                    let ty = self.g.ty(product).clone();
                    let c = self.of_type(&ty);
                    self.emit(Op::Binary(BinaryOp::Add), &[c, product]);
                }
            }
            18..=23 => self.along(x),
            24 => self.check(x),
            _ => self.scan(depth),
        }
    }

    /// Makes outputs of what nothing uses, the last first, and of one value that may be used.
    fn outputs(&mut self, most: usize, rank: usize) {
        let used: Vec<Value> = self.g.nodes().flat_map(|n| self.g.operands(n)).collect();
        let fits = |v: &Value| self.g.ty(*v).shape.len() <= rank;
        let mut unused: Vec<Value> = self.values.iter().copied().filter(|v| !used.contains(v) && fits(v)).collect();
        unused.reverse();
        unused.truncate(most);
        let any = self.value();
        if most > 0 && self.g.ty(any).shape.len() <= rank {
            unused.push(any);
        }
        unused.into_iter().for_each(|v| self.g.output(v));
    }

    /// A loop with random carries, xs and invariants, and a random body.
    fn scan(&mut self, depth: usize) {
        let length = self.c.of(&sizes());
        let kind = self.c.of(LoopKind::ALL);
        let counted = matches!(kind, LoopKind::While | LoopKind::Within);
        let mut carries: Vec<Value> = Vec::new();
        if counted {
            // It counts down from at most what there is room for.
            let most = self.emit(Op::Extent(length.clone()), &[]).expect("has no operands");
            let rounds = self.g.constant(Scalar::I64(self.c.below(6) as i64));
            let rounds = self.emit(Op::Binary(BinaryOp::Minimum), &[most, rounds]).expect("both are i64[]");
            let zero = self.g.constant(Scalar::I64(0));
            carries.push(self.emit(Op::Compare(CompareOp::Gt), &[rounds, zero]).expect("both are i64[]"));
            carries.push(rounds);
        }
        let counters = carries.len();
        carries.extend((0..self.c.below(3)).map(|_| self.value()));
        let mut xs: Vec<Value> = Vec::new();
        for _ in 0..if counted { 0 } else { self.c.below(3) } {
            let x = self.value();
            let mut shape = self.g.ty(x).shape.clone();
            if shape.first() != Some(&length) {
                if shape.len() > 2 {
                    continue;
                }
                shape.insert(0, length.clone());
            }
            xs.extend(self.emit(Op::Broadcast(shape), &[x]));
        }
        let invariants: Vec<Value> = (0..self.c.below(3)).map(|_| self.value()).collect();
        let mut body = Builder { exact: self.exact, c: self.c, g: Graph::new(), values: Vec::new() };
        for (i, v) in carries.iter().chain(&xs).chain(&invariants).enumerate() {
            let mut ty = self.g.ty(*v).clone();
            if i >= carries.len() && i < carries.len() + xs.len() {
                ty.shape.remove(0);
            }
            let input = body.g.input(ty, InputKind::Arg, "v");
            body.values.push(input);
        }
        if body.values.is_empty() {
            body.constant(DType::F32);
        }
        for _ in 0..body.c.below(8) {
            body.step(depth + 1);
        }
        if counted {
            let one = body.g.constant(Scalar::I64(1));
            let rounds = body.g.input_values().nth(1).expect("the second carry");
            let left = body.emit(Op::Binary(BinaryOp::Sub), &[rounds, one]).expect("both are i64[]");
            let zero = body.g.constant(Scalar::I64(0));
            let mut more = body.emit(Op::Compare(CompareOp::Gt), &[left, zero]).expect("both are i64[]");
            if body.c.below(3) == 0 {
                let also = body.of_type(&Type::scalar(DType::Bool));
                more = body.emit(Op::Binary(BinaryOp::And), &[more, also]).expect("both are bool[]");
            }
            body.g.output(more);
            body.g.output(left);
        }
        for v in &carries[counters..] {
            let ty = self.g.ty(*v).clone();
            let new = body.of_type(&ty);
            body.g.output(new);
        }
        let most = if kind == LoopKind::While { 0 } else { body.c.below(5) };
        body.outputs(most, 2);
        let reverse = !counted && body.c.below(2) == 1;
        let scan = Scan { body: body.g, carries: carries.len(), xs: xs.len(), length, reverse, kind };
        let mut operands: Vec<Value> = carries.into_iter().chain(xs).chain(invariants).collect();
        if kind == LoopKind::Count {
            operands.push(self.of_type(&Type::scalar(DType::I64)));
        }
        self.emit(Op::Scan(Box::new(scan)), &operands).expect("a scan that fits");
    }
}

fn graph(numbers: &[u32], exact: bool) -> Graph {
    let mut c = Choices { numbers, at: 0 };
    let mut b = Builder { exact, c: &mut c, g: Graph::new(), values: Vec::new() };
    for i in 0..1 + b.c.below(3) {
        let rank = b.c.below(4);
        let shape: Vec<Dim> = (0..rank).map(|_| b.c.of(&sizes())).collect();
        let dtype = match b.c.below(2) {
            0 => b.c.of(&DType::ALL),
            _ => DType::F32,
        };
        let kind = b.c.of(&[InputKind::Arg, InputKind::State]);
        let v = b.g.input(Type::new(dtype, shape), kind, format!("x{i}"));
        b.values.push(v);
    }
    while b.c.left() {
        b.step(0);
        if b.g.len() > 60 {
            break;
        }
    }
    for i in 0..b.g.inputs().len() {
        let ty = b.g.ty(Value { node: b.g.inputs()[i].node, port: 0 }).clone();
        if b.g.inputs()[i].kind == InputKind::State {
            let v = b.of_type(&ty);
            b.g.update(i, v);
        }
    }
    b.outputs(12, 8);
    b.g
}

/// Inputs for the graph, their elements taken from the special values and others by a simple generator.
fn inputs(g: &Graph, binding: &[usize], mut seed: u64) -> Vec<Array> {
    let mut next = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (seed >> 33) as usize
    };
    g.input_values()
        .map(|v| {
            let ty = g.ty(v);
            let shape: Vec<usize> = ty.shape.iter().map(|d| d.eval(binding)).collect();
            let n: usize = shape.iter().product();
            let items: Vec<Scalar> = (0..n)
                .map(|_| {
                    let x = match next() % 3 {
                        0 => SPECIAL[next() % SPECIAL.len()],
                        _ => (next() % 2000) as f64 / 512.0 - 2.0,
                    };
                    Scalar::from_f64(x, ty.dtype)
                })
                .collect();
            Array::from_scalars(ty.dtype, shape, items)
        })
        .collect()
}

fn differ(before: &[Array], after: &[Array]) -> Option<usize> {
    assert_eq!(before.len(), after.len());
    before.iter().zip(after).position(|(a, b)| !a.same_bits(b))
}

fn numbers() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 10..400)
}

fn sizes_bound() -> impl Strategy<Value = [usize; 2]> {
    let size = || prop::sample::select(vec![0usize, 1, 1, 2, 3, 4, 5, 7, 9]);
    [size(), size()]
}

fn code(c: &Compiled) -> &str {
    if std::env::var("CLIF").is_ok() { c.clif().unwrap_or("") } else { "" }
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 1_000_000, ..seed::config(300) })]

    #[test]
    fn exact_graphs_give_the_interpreters_bits(
        numbers in numbers(), binding in sizes_bound(), other in sizes_bound(), seed: u64, bits: u32, mode in 0..3, cut: bool,
    ) {
        let g = graph(&numbers, true);
        let passes = [Passes::NONE, Passes::ALL, Passes::from_bits(bits)][mode as usize];
        let after = optimize(&g, &passes);
        let compiled = if cut { compile_cut(&after) } else { compile(&after) };
        for binding in [binding, other] {
            let x = inputs(&g, &binding, seed);
            let want = match run(&g, &binding, &x) {
                Ok(want) => want,
                Err(error) => {
                    // No memory is touched that is not its own, and nothing is changed that was checked.
                    let got = try_call(&compiled, &after, &binding, &x).map(|_| ());
                    if let RunError::Node { message, .. } = error
                        && message.starts_with("check: ")
                    {
                        prop_assert_eq!(got.unwrap_err(), message);
                    }
                    continue;
                }
            };
            let got = call(&compiled, &after, &binding, &x);
            if let Some(j) = differ(&want, &got) {
                let why = format!("got {:?}\nwant {:?}\n{}", got[j], want[j], code(&compiled));
                prop_assert!(false, "output {} under {:?}\n{}\n{}", j, binding, after, why);
            }
        }
    }

    #[test]
    fn every_subset_of_the_passes_gives_the_same_bits(
        numbers in numbers(), binding in sizes_bound(), other in sizes_bound(), seed: u64, bits: u32, all: bool, cut: bool,
    ) {
        let g = graph(&numbers, false);
        let after = optimize(&g, &if all { Passes::ALL } else { Passes::from_bits(bits) });
        let (plain, compiled) = (compile(&g), if cut { compile_cut(&after) } else { compile(&after) });
        for binding in [binding, other] {
            let x = inputs(&g, &binding, seed);
            if run(&g, &binding, &x).is_err() {
                continue;
            }
            let want = call(&plain, &g, &binding, &x);
            let got = call(&compiled, &after, &binding, &x);
            if let Some(j) = differ(&want, &got) {
                let why = format!("got {:?}\nwant {:?}\n{}", got[j], want[j], code(&compiled));
                prop_assert!(false, "output {} under {:?}\nbefore {}\nafter {}\n{}", j, binding, g, after, why);
            }
        }
    }
}
