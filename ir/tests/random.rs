//! Random graphs: what holds for every graph. Text reads back; no pass breaks an invariant or changes a bit of what
//! the interpreter gives (NaN equals NaN, whatever its payload), alone or in any subset of the pipeline. Where a check of the
//! graph fails, it fails with the same message after every pass, whether or not anything uses what was checked.

mod seed;

use allotrope_ir::passes::{Pass, Passes, optimize_with};
use allotrope_ir::*;
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

    fn step(&mut self, depth: usize) {
        let x = self.value();
        let ty = self.g.ty(x).clone();
        let rank = ty.shape.len();
        match self.c.below(if depth < 2 { 21 } else { 19 }) {
            0 | 1 => {
                let op = self.c.of(UnaryOp::ALL);
                self.emit(Op::Unary(op), &[x]);
            }
            2..=4 => {
                let (op, y) = (self.c.of(BinaryOp::ALL), self.of_type(&ty));
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
                let op = self.c.of(ReduceOp::ALL);
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
                let (op, y) = (self.c.of(BinaryOp::ALL), full.expect("a scalar expands to any shape"));
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
            18 => self.check(x),
            _ => self.scan(depth),
        }
    }

    /// A check that mostly holds, whose value may or may not be used.
    fn check(&mut self, x: Value) {
        let mut holds = self.of_type(&Type::scalar(DType::Bool));
        if self.c.below(4) > 0 {
            let yes = self.g.constant(Scalar::Bool(true));
            holds = self.g.op(Op::Binary(BinaryOp::Or), &[holds, yes]).expect("both are bool[]");
        }
        let value = self.g.op(Op::Check(format!("check {}", self.c.at).into()), &[x, holds]).expect("checks a value");
        if self.c.below(2) == 0 {
            self.values.push(value);
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
            let iterations = self.g.constant(Scalar::I64(self.c.below(6) as i64));
            let iterations = self.emit(Op::Binary(BinaryOp::Minimum), &[most, iterations]).expect("both are i64[]");
            let zero = self.g.constant(Scalar::I64(0));
            carries.push(self.emit(Op::Compare(CompareOp::Gt), &[iterations, zero]).expect("both are i64[]"));
            carries.push(iterations);
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
        let mut body = Builder { c: self.c, g: Graph::new(), values: Vec::new() };
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
            let iterations = body.g.input_values().nth(1).expect("the second carry");
            let left = body.emit(Op::Binary(BinaryOp::Sub), &[iterations, one]).expect("both are i64[]");
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

fn graph(numbers: &[u32]) -> Graph {
    let mut c = Choices { numbers, at: 0 };
    let mut b = Builder { c: &mut c, g: Graph::new(), values: Vec::new() };
    for i in 0..1 + b.c.below(3) {
        let rank = b.c.below(4);
        let shape: Vec<Dim> = (0..rank).map(|_| b.c.of(&sizes())).collect();
        let dtype = b.c.of(&[DType::F32, DType::F32, DType::F64, DType::I64, DType::Bool]);
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

/// What running a graph comes to: its outputs, or the message of the first check that fails.
type Outcome = Result<Vec<Array>, String>;

fn outcome(g: &Graph, binding: &[usize], x: &[Array]) -> Outcome {
    run(g, binding, x).map_err(|e| match e {
        RunError::Node { message, .. } if message.starts_with("check ") => message,
        e => panic!("{e}\n{g}"),
    })
}

fn same(before: &Outcome, after: &Outcome) -> bool {
    match (before, after) {
        (Ok(before), Ok(after)) => before.len() == after.len() && before.iter().zip(after).all(|(a, b)| a.same_bits(b)),
        (Err(before), Err(after)) => before == after,
        _ => false,
    }
}

fn numbers() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 10..400)
}

proptest! {
    #![proptest_config(seed::config(1000))]

    #[test]
    fn text_reads_back(numbers in numbers()) {
        let g = graph(&numbers);
        check(&g).unwrap();
        let back = parse(&print(&g)).unwrap();
        prop_assert_eq!(&back, &g);
    }

    #[test]
    fn every_pass_keeps_the_bits(numbers in numbers(), binding in prop::array::uniform2(0usize..5), seed: u64) {
        let g = graph(&numbers);
        let x = inputs(&g, &binding, seed);
        let before = outcome(&g, &binding, &x);
        for pass in Passes::ALL.iter() {
            let after = pass.run(&g);
            check(&after).unwrap_or_else(|e| panic!("{pass}: {e}\nbefore:\n{g}after:\n{after}"));
            let found = outcome(&after, &binding, &x);
            prop_assert!(same(&before, &found), "{pass} changed a result\nbefore:\n{g}after:\n{after}");
            prop_assert_eq!(parse(&print(&after)).unwrap(), after);
        }
    }

    /// Who does without unused checks has no other errors and no other bits.
    #[test]
    fn without_unused_checks_nothing_else_changes(
        numbers in numbers(), binding in prop::array::uniform2(0usize..5), seed: u64,
    ) {
        let g = graph(&numbers);
        let after = Pass::EliminateUnusedChecks.run(&g);
        check(&after).unwrap_or_else(|e| panic!("{e}\nbefore:\n{g}after:\n{after}"));
        let x = inputs(&g, &binding, seed);
        if let before @ Ok(_) = outcome(&g, &binding, &x) {
            let found = outcome(&after, &binding, &x);
            prop_assert!(same(&before, &found), "a result changed\nbefore:\n{g}after:\n{after}");
        }
    }

    #[test]
    fn every_subset_of_the_pipeline_keeps_the_bits(
        numbers in numbers(), binding in prop::array::uniform2(0usize..5), seed: u64, bits: u32, all: bool,
    ) {
        let g = graph(&numbers);
        let passes = if all { Passes::ALL } else { Passes::from_bits(bits) };
        let x = inputs(&g, &binding, seed);
        let before = outcome(&g, &binding, &x);
        let mut last = g.clone();
        let after = optimize_with(&g, &passes, &mut |pass, after, _| {
            check(after).unwrap_or_else(|e| panic!("{pass}: {e}\nbefore:\n{last}after:\n{after}"));
            let found = outcome(after, &binding, &x);
            assert!(same(&before, &found), "{pass} changed a result\nbefore:\n{last}after:\n{after}");
            last = after.clone();
        });
        prop_assert_eq!(last, after);
    }
}

/// All files of Rust below a folder.
fn sources(folder: &std::path::Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Whatever draws at random in the tests takes its seed from `seed::config`.
#[test]
fn no_test_draws_what_cannot_be_drawn_again() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the workspace");
    let mut files = Vec::new();
    ["src", "tests", "ir", "kernels"].iter().for_each(|folder| sources(&root.join(folder), &mut files));
    // Split, or they would be found here.
    let (block, runner) = (concat!("prop", "test! {"), concat!("TestRunner", "::"));
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let wanted = text.matches(block).count() + text.matches(runner).count();
        let given = text.matches(concat!("seed::", "config(")).count();
        // A function of the file may stand between the two.
        assert!(wanted == 0 || given > 0, "{} draws at random without seed::config", path.display());
        let (others, defaults) = (concat!("with_", "cases"), concat!("Proptest", "Config::default"));
        assert!(!text.contains(others) && !text.contains(defaults), "{} has a seed of its own", path.display());
    }
}
