//! What the classification and the table of attributes say of every primitive, held against the type rules, the text form and
//! the interpreter by running one sample of each. A primitive without a sample fails here by its name.

use allotrope_ir::*;
use std::hash::{DefaultHasher, Hash, Hasher};

/// One use of a primitive.
struct Sample {
    op: Op,
    types: Vec<Type>,
    /// The i64 operands after the first one lie below this.
    below: i64,
}

fn ty(dtype: DType, shape: &[usize]) -> Type {
    Type::new(dtype, shape.iter().map(|&n| Dim::fixed(n)))
}

fn shape(shape: &[usize]) -> Shape {
    shape.iter().map(|&n| Dim::fixed(n)).collect()
}

fn axes(axes: &[usize]) -> Axes {
    Axes::from_slice(axes)
}

fn body(text: &str) -> Graph {
    text.parse().unwrap()
}

/// At least one sample of every primitive; axes are of different sizes, so that mixing them up is seen.
fn samples() -> Vec<Sample> {
    use DType::{Bool, F32, I64};
    let mut all: Vec<Sample> = Vec::new();
    let mut add = |op: Op, types: &[Type]| all.push(Sample { op, types: types.to_vec(), below: 3 });
    let d = Dim::fixed;
    let x = || ty(F32, &[3, 2, 5]);
    add(Op::Input, &[]);
    add(Op::Const(Scalar::F32(1.5)), &[]);
    add(Op::Extent(d(7)), &[]);
    add(Op::Iota(d(4)), &[]);
    for u in UnaryOp::ALL {
        for t in DType::ALL.into_iter().filter(|t| u.domain().contains(*t)) {
            add(Op::Unary(*u), &[ty(t, &[3, 2])]);
        }
    }
    for b in BinaryOp::ALL {
        for t in DType::ALL.into_iter().filter(|t| b.domain().contains(*t)) {
            add(Op::Binary(*b), &[ty(t, &[3, 2]), ty(t, &[3, 2])]);
        }
    }
    for c in CompareOp::ALL {
        for t in DType::ALL.into_iter().filter(|t| Domain::Numbers.contains(*t) || *t == Bool && c.takes_bool()) {
            add(Op::Compare(*c), &[ty(t, &[3, 2]), ty(t, &[3, 2])]);
        }
    }
    add(Op::Select, &[ty(Bool, &[3, 2]), ty(F32, &[3, 2]), ty(F32, &[3, 2])]);
    for t in DType::ALL {
        add(Op::Cast(t), &[ty(F32, &[3, 2])]);
    }
    add(Op::Broadcast(shape(&[3, 2, 5])), &[ty(F32, &[3, 1, 5])]);
    add(Op::Reshape(shape(&[3, 10])), &[x()]);
    add(Op::Permute(axes(&[2, 0, 1])), &[x()]);
    add(Op::Slice { axis: 2, start: d(1), len: d(3) }, &[x()]);
    add(Op::Flip(axes(&[0, 2])), &[x()]);
    add(Op::Window { axis: 2, count: d(2), size: d(2), step: 2, dilation: 2 }, &[x()]);
    add(Op::OverlapAdd { axis: 1, len: d(6), step: 2, dilation: 1 }, &[ty(F32, &[3, 2, 5, 4])]);
    add(Op::Gather { axis: 0 }, &[x(), ty(I64, &[4, 2, 5])]);
    for op in ScatterOp::ALL {
        add(Op::Scatter { op: *op, axis: 0 }, &[x(), ty(I64, &[4, 2, 5]), ty(F32, &[4, 2, 5])]);
    }
    for op in ArgOp::ALL {
        add(Op::ArgReduce { op: *op, axis: 1 }, &[x()]);
    }
    add(Op::ArgSort { axis: 2, descending: true }, &[x()]);
    add(Op::Recurrence { axis: 1, reverse: true }, &[x(), x()]);
    add(Op::Check("it holds".into()), &[x(), ty(Bool, &[])]);
    add(Op::Barrier(3), &[x()]);
    add(Op::Concat { axis: 1 }, &[x(), ty(F32, &[3, 1, 5]), x()]);
    for op in ReduceOp::ALL {
        add(Op::Reduce { op: *op, axes: axes(&[0, 2]) }, &[x()]);
    }
    add(Op::Matmul, &[ty(F32, &[3, 2, 4]), ty(F32, &[3, 4, 5])]);
    add(Op::AddMatmul, &[x(), ty(F32, &[3, 2, 4]), ty(F32, &[3, 4, 5])]);
    let step = "graph(%0: f32[2] \"h\", %1: f32[2] \"x\") { %2: f32[2] = add %0, %1 return %2, %1 }";
    let scan = Scan { body: body(step), carries: 1, xs: 1, length: d(3), reverse: false, kind: LoopKind::All };
    add(Op::Scan(Box::new(scan)), &[ty(F32, &[2]), ty(F32, &[3, 2])]);
    let fused = "graph(%0: f32[2] \"a\") { %1: f32[2] = tanh %0 return %1 }";
    add(Op::Fusion(Box::new(body(fused))), &[ty(F32, &[2])]);
    all
}

/// A source of numbers that are always the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

impl Sample {
    fn operands(&self, seed: u64) -> Vec<Array> {
        let mut numbers = Numbers(seed);
        let array = |(i, ty): (usize, &Type)| {
            let shape: Vec<usize> = ty.shape.iter().map(|d| d.as_fixed().unwrap()).collect();
            let n = shape.iter().product();
            let mut item = || match ty.dtype {
                // What is asked must hold.
                DType::Bool if i > 0 => Scalar::Bool(true),
                DType::I64 if i > 0 => Scalar::I64(numbers.below(self.below as u64) as i64),
                t => Scalar::from_f64(numbers.below(81) as f64 / 8.0 - 5.0, t),
            };
            let items: Vec<Scalar> = (0..n).map(|_| item()).collect();
            Array::from_scalars(ty.dtype, shape, items)
        };
        self.types.iter().enumerate().map(array).collect()
    }

    fn graph(&self) -> Graph {
        graph(&self.op, &self.types)
    }

    fn run(&self, operands: &[Array]) -> Array {
        run(&self.graph(), &[], operands).unwrap_or_else(|e| panic!("{}: {e}", self.name())).remove(0)
    }

    fn name(&self) -> String {
        format!("{} ({:?})", self.op.name(), self.op)
    }

    /// Whether the interpreter can be asked.
    fn runs(&self) -> bool {
        self.op != Op::Input
    }
}

fn graph(op: &Op, types: &[Type]) -> Graph {
    let mut g = Graph::new();
    let x: Vec<Value> = types.iter().map(|t| g.input(t.clone(), InputKind::Arg, "x")).collect();
    let y = match op {
        Op::Input => g.input(ty(DType::F32, &[2]), InputKind::Arg, "x"),
        op => g.op(op.clone(), &x).unwrap_or_else(|e| panic!("{e}")),
    };
    g.output(y);
    g
}

/// All indices of a shape, in row-major order.
fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let unflatten = |mut at: usize| {
        let mut index = vec![0; shape.len()];
        for (i, n) in index.iter_mut().zip(shape).rev() {
            (*i, at) = (at % n, at / n);
        }
        index
    };
    (0..shape.iter().product()).map(unflatten).collect()
}

fn hash(op: &Op) -> u64 {
    let mut h = DefaultHasher::new();
    op.hash(&mut h);
    h.finish()
}

#[test]
fn every_primitive_has_a_sample() {
    let samples = samples();
    for name in primitive_names() {
        assert!(samples.iter().any(|s| s.op.name() == name), "add a sample of `{name}` to ir/tests/class.rs");
    }
}

#[test]
fn operands_are_counted() {
    for s in samples().iter().filter(|s| s.op != Op::Input && s.op.body().is_none()) {
        let fits = |n: usize| {
            let types: Vec<&Type> = s.types.iter().cycle().take(n).collect();
            types.len() == n && infer(&s.op, &types).is_ok()
        };
        assert!(fits(s.types.len()), "{}", s.name());
        match s.op.arity() {
            Arity::Exactly(n) => {
                assert_eq!(n, s.types.len(), "{}", s.name());
                assert!(n == 0 || !fits(n - 1) && !fits(n + 1), "{}", s.name());
            }
            Arity::OneOrMore => assert!(!fits(0) && fits(1), "{}", s.name()),
            Arity::OfBody => unreachable!("it has none"),
        }
    }
}

#[test]
fn elementwise_functions_look_at_one_place_only() {
    for s in samples().iter().filter(|s| s.op.is_elementwise()) {
        let (before, other) = (s.operands(1), s.operands(2));
        let result = s.run(&before);
        assert_eq!(result.shape, before[0].shape, "{}", s.name());
        for at in 0..result.len() {
            let changed: Vec<Array> = (before.iter().zip(&other))
                .map(|(a, b)| {
                    let items = (0..a.len()).map(|i| if i == at { b.get(i) } else { a.get(i) });
                    Array::from_scalars(a.dtype(), a.shape.clone(), items)
                })
                .collect();
            let changed = s.run(&changed);
            for i in (0..result.len()).filter(|i| *i != at) {
                assert!(element::same(changed.get(i), result.get(i)), "{} at {i}", s.name());
            }
        }
    }
}

#[test]
fn what_shares_memory_shows_elements_as_they_are() {
    for s in samples().iter().filter(|s| s.runs() && s.op.body().is_none()) {
        let shows = match s.op.class() {
            Class::View(_) | Class::Check(_) | Class::Barrier(_) => true,
            Class::Leaf(_) | Class::Elementwise(_) | Class::Reduction(..) | Class::Contraction(_) => false,
            Class::Axis(_) | Class::Loop(_) | Class::Fusion(_) => false,
        };
        assert_eq!(s.op.aliases(0) == Aliases::Operand(0), shows, "{}", s.name());
        if !shows {
            continue;
        }
        assert!(!s.op.is_computed(), "{}", s.name());
        // Where each element comes from, by elements that are their own places.
        let mut places = s.operands(1);
        places[0] = Array::new(places[0].shape.clone(), Data::I64((0..places[0].len() as i64).collect()));
        let mut types = s.types.clone();
        types[0].dtype = DType::I64;
        let from = run(&graph(&s.op, &types), &[], &places).unwrap().remove(0);
        let operands = s.operands(3);
        let result = s.run(&operands);
        for (i, place) in from.scalars().enumerate() {
            let Scalar::I64(place) = place else { panic!("{} changes the dtype", s.name()) };
            assert!(element::same(result.get(i), operands[0].get(place as usize)), "{} at {i}", s.name());
        }
    }
    // Of a loop's results the carries may be what went in, of a fusion's what it does not compute.
    let all = samples();
    let find = |name: &str| &all.iter().find(|s| s.op.name() == name).unwrap().op;
    assert_eq!([0, 1].map(|port| find("scan").aliases(port)), [Aliases::Operand(0), Aliases::None]);
    assert_eq!(find("fusion").aliases(0), Aliases::None);
    let shown = body("graph(%0: f32[2] \"a\") { return %0 }");
    assert_eq!(Op::<Dim>::Fusion(Box::new(shown)).aliases(0), Aliases::Any);
}

#[test]
fn axes_that_are_passed_through_have_nothing_to_do_with_other_places() {
    let mut samples = samples();
    // A broadcast that makes an axis, too.
    samples.push(Sample { op: Op::Broadcast(shape(&[4, 3])), types: vec![ty(DType::F32, &[3])], below: 3 });
    for s in samples.iter().filter(|s| s.runs() && s.op.body().is_none()) {
        let (a, b) = (s.operands(1), s.operands(2));
        let expected = s.run(&a);
        let types: Vec<&Type> = s.types.iter().collect();
        let map = s.op.axis_map(&types);
        assert_eq!(map.len(), expected.shape.len(), "{}", s.name());
        for (to, from) in map.iter().enumerate().filter_map(|(to, from)| Some((to, (*from)?))) {
            for place in 0..expected.shape[to] {
                // Everything is another number but what lies at this place.
                let mixed: Vec<Array> = (a.iter().zip(&b))
                    .map(|(a, b)| {
                        assert_eq!(a.shape[from], expected.shape[to], "{} axis {from}", s.name());
                        let index = indices(&a.shape);
                        let items = (0..a.len()).map(|i| if index[i][from] == place { a.get(i) } else { b.get(i) });
                        Array::from_scalars(a.dtype(), a.shape.clone(), items)
                    })
                    .collect();
                let result = s.run(&mixed);
                for (i, index) in indices(&expected.shape).into_iter().enumerate().filter(|(_, x)| x[to] == place) {
                    let same = element::same(result.get(i), expected.get(i));
                    assert!(same, "{} does not pass axis {from} through to {to}: {index:?}", s.name());
                }
            }
        }
    }
}

#[test]
fn a_batch_is_each_of_it_stacked() {
    const LENGTH: usize = 4;
    for s in samples().iter().filter(|s| s.runs()) {
        let Some(op) = s.op.batched(&Dim::fixed(LENGTH)) else {
            let none = match s.op.class() {
                Class::Leaf(_) | Class::Check(_) | Class::Barrier(_) | Class::Loop(_) | Class::Fusion(_) => true,
                Class::Elementwise(_) | Class::View(_) | Class::Reduction(..) => false,
                Class::Contraction(_) | Class::Axis(_) => false,
            };
            assert!(none, "{} has no batch", s.name());
            continue;
        };
        let each: Vec<Vec<Array>> = (0..LENGTH as u64).map(|seed| s.operands(seed + 1)).collect();
        let stack = |arrays: Vec<&Array>| {
            let shape = std::iter::once(LENGTH).chain(arrays[0].shape.iter().copied()).collect::<Vec<usize>>();
            Array::from_scalars(arrays[0].dtype(), shape, arrays.iter().flat_map(|a| a.scalars()))
        };
        let stacked: Vec<Array> = (0..s.types.len()).map(|i| stack(each.iter().map(|x| &x[i]).collect())).collect();
        let types: Vec<Type> = stacked.iter().map(|a| ty(a.dtype(), &a.shape)).collect();
        let results: Vec<Array> = each.iter().map(|x| s.run(x)).collect();
        let together =
            run(&graph(&op, &types), &[], &stacked).unwrap_or_else(|e| panic!("{}: {e}", s.name())).remove(0);
        assert!(together.same_bits(&stack(results.iter().collect())), "{} as {op:?}", s.name());
        assert_eq!(op.axis_map(&types.iter().collect::<Vec<&Type>>())[0], Some(0), "{}", s.name());
    }
}

#[test]
fn halves_are_moved_and_never_computed_with() {
    for s in samples().iter().filter(|s| s.runs() && s.op.body().is_none() && !s.types.is_empty()) {
        let half = |t: &Type| if t.dtype.is_float() { Type { dtype: DType::F16, ..t.clone() } } else { t.clone() };
        if s.types.iter().any(|t| t.dtype.is_float()) {
            let types: Vec<Type> = s.types.iter().map(half).collect();
            let fits = infer(&s.op, &types.iter().collect::<Vec<&Type>>()).is_ok();
            assert_eq!(fits, !s.op.is_arithmetic(), "{}", s.name());
        }
    }
}

#[test]
fn functions_are_defined_on_their_domain_only() {
    for t in DType::ALL {
        let x = ty(t, &[2]);
        for u in UnaryOp::ALL {
            assert_eq!(infer(&Op::Unary(*u), &[&x]).is_ok(), u.domain().contains(t), "{} {t}", u.name());
        }
        for b in BinaryOp::ALL {
            assert_eq!(infer(&Op::Binary(*b), &[&x, &x]).is_ok(), b.domain().contains(t), "{} {t}", b.name());
        }
    }
}

#[test]
fn what_commutes_may_be_exchanged() {
    for s in samples().iter().filter(|s| s.op.commutes()) {
        let mut operands = s.operands(1);
        let result = s.run(&operands);
        operands.swap(0, 1);
        assert!(s.run(&operands).same_bits(&result), "{}", s.name());
    }
}

#[test]
fn the_text_reads_back_and_names_what_the_table_names() {
    for s in samples() {
        let g = s.graph();
        let text = print(&g);
        assert_eq!(parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}")), g, "{text}");
        let own: Vec<(&str, AttributeKind)> = s.op.attributes().iter().map(|(name, a)| (*name, a.kind())).collect();
        assert_eq!(schema(s.op.name()), Some(&own[..]), "{}", s.name());
    }
    assert_eq!(schema("no_such_primitive"), None);
}

/// Another value of the same kind.
fn other(a: &Attribute<'_>) -> AttributeValue {
    let longer = |axes: &Axes| axes.iter().copied().chain([7]).collect::<Axes>();
    match a {
        Attribute::Scalar(_) => AttributeValue::Scalar(Scalar::F32(-0.0)),
        Attribute::Size(d) => AttributeValue::Size(*d + &Dim::fixed(1)),
        Attribute::Dim(d) => AttributeValue::Dim(*d + &Dim::fixed(1)),
        Attribute::Shape(s) => AttributeValue::Shape(s.iter().cloned().chain([Dim::fixed(1)]).collect()),
        Attribute::Axis(n) => AttributeValue::Axis(**n + 1),
        Attribute::Axes(axes) => AttributeValue::Axes(longer(axes)),
        Attribute::Permutation(axes) => AttributeValue::Permutation(longer(axes)),
        Attribute::Number(n) => AttributeValue::Number(**n + 1),
        Attribute::Id(n) => AttributeValue::Id(**n + 1),
        Attribute::Flag(on) => AttributeValue::Flag(!**on),
        Attribute::DType(t) => AttributeValue::DType(if **t == DType::F32 { DType::F64 } else { DType::F32 }),
        Attribute::Text(text) => AttributeValue::Text(format!("{text}!").into()),
        Attribute::Loop(s) => AttributeValue::Loop(Box::new(Scan { reverse: !s.reverse, ..(***s).clone() })),
        Attribute::Body(_) => AttributeValue::Body(Box::default()),
    }
}

#[test]
fn every_attribute_tells_primitives_apart() {
    let same = |a: &Dim, b: &Dim| a == b;
    for s in samples() {
        assert!(s.op.equal_by(&s.op.clone(), same) && hash(&s.op) == hash(&s.op.clone()), "{}", s.name());
        for changed in 0..s.op.attributes().len() {
            let mut at = 0..;
            let op = s.op.map_attributes(|a| match at.next() == Some(changed) {
                true => other(&a),
                false => a.map_dims(&mut Dim::clone),
            });
            let name = format!("{} and {op:?}", s.name());
            assert!(op != s.op && !op.equal_by(&s.op, same) && !s.op.equal_by(&op, same), "{name}");
            assert_ne!(hash(&op), hash(&s.op), "{name}");
            let mut g = s.graph();
            let (node, text) = (g.outputs()[0].value.node, print(&g));
            g.node_mut(node).op = op;
            assert_ne!(print(&g), text, "{name}");
        }
    }
}

#[test]
fn every_dimension_is_seen_and_mapped() {
    for s in samples() {
        let mut count = 0;
        s.op.visit_dims(&mut |_| count += 1);
        // Each dimension becomes a symbol of its own and back.
        let mut next = 0..;
        let mut before = Vec::new();
        let symbolic: Op = s.op.map_dims(&mut |d| {
            before.push(d.clone());
            Dim::sym(Sym(next.next().unwrap()))
        });
        let named: Vec<Sym> = (0..before.len() as u32).map(Sym).collect();
        assert_eq!(symbolic.symbols(), named, "{}", s.name());
        assert!(symbolic.equal_by(&s.op, |_, _| true), "{}", s.name());
        assert_eq!(symbolic.equal_by(&s.op, |a, b| a == b), before.is_empty(), "{}", s.name());
        let back = symbolic.map_dims(&mut |d| before[d.as_sym().unwrap().0 as usize].clone());
        assert_eq!(back, s.op);
        assert!(s.op.body().is_some() || count == before.len(), "{}", s.name());
        // In a graph, where types and bodies hold some too.
        if s.runs() {
            let grown = s.graph().symbols();
            assert!(grown.is_empty(), "{}", s.name());
        }
    }
    // A loop's length and what its body holds are found in the graph.
    let g = body(
        "graph(%0: f32[2] \"h\") { %1: f32[2] = scan %0 carries=1 xs=0 length=s3 { graph(%0: f32[2] \"h\") { \
         %1: i64[] = extent s5 return %0 } } return %1 }",
    );
    assert_eq!(g.symbols(), [Sym(3), Sym(5)]);
    let g = g.substitute(&|s| Dim::sym(Sym(s.0 + 1)));
    assert_eq!(g.symbols(), [Sym(4), Sym(6)]);
}
