//! Every rule of `simplify` alone, on every dtype: where it is applied, the interpreter gives the same bits before and
//! after (NaN equals NaN), and where its row leaves a dtype out, it would not.
//!
//! u8 and bool are tried with all values and all pairs, f16 and bf16 with all values (what takes two of them chooses
//! or moves elements, there is no arithmetic for them; the second runs over edge values), the others with edge values and
//! all pairs of these.

use allotrope_ir::passes::{DTypes, Rule, simplify, simplify_rules};
use allotrope_ir::*;
use half::{bf16, f16};

/// A graph in which a rule may be applied, under construction: what it asks for becomes its inputs.
struct Builder {
    g: Graph,
    dtype: DType,
    constant: Scalar,
    uses_constant: bool,
}

impl Builder {
    fn new(dtype: DType, constant: Scalar) -> Builder {
        Builder { g: Graph::new(), dtype, constant, uses_constant: false }
    }

    fn input(&mut self, dtype: DType, shape: &[Dim]) -> Value {
        self.g.input(Type::new(dtype, shape.iter().cloned()), InputKind::Arg, "x")
    }

    /// An input of the dtype in question that has one axis.
    fn x(&mut self) -> Value {
        self.input(self.dtype, &[n()])
    }

    fn condition(&mut self) -> Value {
        self.input(DType::Bool, &[n()])
    }

    /// A constant: the graph is tried with every one there is to try.
    fn k(&mut self) -> Value {
        self.uses_constant = true;
        self.g.constant(self.constant)
    }

    /// A value full of the constant.
    fn full(&mut self) -> Value {
        let k = self.k();
        self.broadcast(k, &[n()]).expect("a scalar expands to any shape")
    }

    /// None where the type rules do not admit it.
    fn op(&mut self, op: Op, x: &[Value]) -> Option<Value> {
        self.g.op(op, x).ok()
    }

    fn unary(&mut self, op: UnaryOp, x: Value) -> Option<Value> {
        self.op(Op::Unary(op), &[x])
    }

    fn binary(&mut self, op: BinaryOp, x: Value, y: Value) -> Option<Value> {
        self.op(Op::Binary(op), &[x, y])
    }

    fn broadcast(&mut self, x: Value, shape: &[Dim]) -> Option<Value> {
        self.op(Op::Broadcast(shape.iter().cloned().collect()), &[x])
    }

    fn reshape(&mut self, x: Value, shape: &[Dim]) -> Option<Value> {
        self.op(Op::Reshape(shape.iter().cloned().collect()), &[x])
    }

    fn permute(&mut self, x: Value, axes: &[usize]) -> Option<Value> {
        self.op(Op::Permute(axes.iter().copied().collect()), &[x])
    }

    fn slice(&mut self, x: Value, start: usize, len: Dim) -> Option<Value> {
        self.op(Op::Slice { axis: 0, start: d(start), len }, &[x])
    }

    fn reduce(&mut self, op: ReduceOp, x: Value, axes: &[usize]) -> Option<Value> {
        self.op(Op::Reduce { op, axes: axes.iter().copied().collect() }, &[x])
    }
}

fn n() -> Dim {
    Dim::sym(Sym(0))
}

fn d(size: usize) -> Dim {
    Dim::fixed(size)
}

/// Makes the value that a rule is tried on, where the type rules admit it.
type Build = Box<dyn Fn(&mut Builder) -> Option<Value>>;

/// A graph for a rule: none of a dtype that the type rules do not admit.
struct Form {
    /// Whether the rule must be applied to it, for some constant where it has one.
    must: bool,
    build: Build,
}

fn must(build: impl Fn(&mut Builder) -> Option<Value> + 'static) -> Form {
    Form { must: true, build: Box::new(build) }
}

fn may(build: impl Fn(&mut Builder) -> Option<Value> + 'static) -> Form {
    Form { must: false, build: Box::new(build) }
}

fn unary_of_unary(outer: UnaryOp, inner: UnaryOp) -> Form {
    must(move |b| {
        let x = b.x();
        let y = b.unary(inner, x)?;
        b.unary(outer, y)
    })
}

fn with_constant(op: BinaryOp) -> Form {
    must(move |b| {
        let (x, k) = (b.x(), b.full());
        b.binary(op, x, k)
    })
}

fn with_constant_first(op: BinaryOp) -> Form {
    must(move |b| {
        let (x, k) = (b.x(), b.full());
        b.binary(op, k, x)
    })
}

/// The operation on the operands, those negated that the mask says.
fn negated(op: BinaryOp, left: bool, right: bool) -> Form {
    must(move |b| {
        let (mut x, mut y) = (b.x(), b.x());
        if left {
            x = b.unary(UnaryOp::Neg, x)?;
        }
        if right {
            y = b.unary(UnaryOp::Neg, y)?;
        }
        b.binary(op, x, y)
    })
}

fn reductions(form: fn(&mut Builder, ReduceOp) -> Option<Value>) -> Vec<Form> {
    ReduceOp::ALL.iter().map(|&op| must(move |b| form(b, op))).collect()
}

/// Elementwise operations of every kind, on operands that `place` has put elsewhere.
fn lifted(place: fn(&mut Builder, Value) -> Option<Value>) -> Vec<Form> {
    let mut forms: Vec<Form> = Vec::new();
    for &op in UnaryOp::ALL.iter().filter(|op| op.is_exact()) {
        forms.push(must(move |b| {
            let x = b.x();
            let x = place(b, x)?;
            b.unary(op, x)
        }));
    }
    for &op in BinaryOp::ALL.iter().filter(|op| op.is_exact() || **op == BinaryOp::Quotient) {
        forms.push(must(move |b| {
            let (x, y) = (b.x(), b.x());
            let (x, y) = (place(b, x)?, place(b, y)?);
            b.binary(op, x, y)
        }));
    }
    for &op in CompareOp::ALL {
        forms.push(must(move |b| {
            let (x, y) = (b.x(), b.x());
            let (x, y) = (place(b, x)?, place(b, y)?);
            b.op(Op::Compare(op), &[x, y])
        }));
    }
    forms.push(must(move |b| {
        let (c, x, y) = (b.condition(), b.x(), b.x());
        let (c, x, y) = (place(b, c)?, place(b, x)?, place(b, y)?);
        b.op(Op::Select, &[c, x, y])
    }));
    for to in DType::ALL {
        forms.push(must(move |b| {
            let x = b.x();
            let x = place(b, x)?;
            b.op(Op::Cast(to), &[x])
        }));
    }
    forms
}

/// The graphs that the rule of that equation is tried on.
fn forms(equation: &str) -> Option<Vec<Form>> {
    use BinaryOp::{Add, And, Div, Maximum, Minimum, Mul, Or, Sub, Xor};
    use UnaryOp::{Abs, Neg, Not};
    Some(match equation {
        "x + -0.0 => x" => vec![with_constant(Add), with_constant_first(Add)],
        "x - 0.0 => x" => vec![with_constant(Sub)],
        "x * 1 => x" => vec![with_constant(Mul), with_constant_first(Mul)],
        "x / 1 => x" => vec![with_constant(Div)],
        "x * -1 => -x" => vec![with_constant(Mul), with_constant_first(Mul), with_constant(Div)],
        "x / 2^k => x * 2^-k" => vec![with_constant(Div)],
        "x + -y => x - y" => vec![negated(Add, true, false), negated(Add, false, true), negated(Add, true, true)],
        "x - -y => x + y" => vec![negated(Sub, false, true), negated(Sub, true, true)],
        "-x * -y => x * y" => vec![negated(Mul, true, true), negated(Div, true, true)],
        "--x => x" => vec![unary_of_unary(Neg, Neg), unary_of_unary(Not, Not)],
        "abs(-x) => abs(x)" => vec![unary_of_unary(Abs, Neg)],
        "abs(abs(x)) => abs(x)" => vec![unary_of_unary(Abs, Abs)],
        "x and true => x" => {
            [And, Or, Xor].into_iter().flat_map(|op| [with_constant(op), with_constant_first(op)]).collect()
        }
        "x and false => false" => {
            [And, Or].into_iter().flat_map(|op| [with_constant(op), with_constant_first(op)]).collect()
        }
        "maximum(x, x) => x" => (BinaryOp::ALL.iter())
            .map(|&op| Form {
                must: matches!(op, Maximum | Minimum | And | Or),
                build: Box::new(move |b| {
                    let x = b.x();
                    b.binary(op, x, x)
                }),
            })
            .collect(),
        "select(true, x, y) => x" => [false, true]
            .into_iter()
            .map(|known| {
                must(move |b| {
                    let c = b.g.constant(Scalar::Bool(known));
                    let (c, x, y) = (b.broadcast(c, &[n()])?, b.x(), b.x());
                    b.op(Op::Select, &[c, x, y])
                })
            })
            .collect(),
        "select(c, x, x) => x" => vec![must(|b| {
            let (c, x) = (b.condition(), b.x());
            b.op(Op::Select, &[c, x, x])
        })],
        "select(not c, x, y) => select(c, y, x)" => vec![must(|b| {
            let (c, x, y) = (b.condition(), b.x(), b.x());
            let c = b.unary(Not, c)?;
            b.op(Op::Select, &[c, x, y])
        })],
        "cast(x) to its own dtype => x" => vec![must(|b| {
            let x = b.x();
            b.op(Op::Cast(b.dtype), &[x])
        })],
        "cast(cast(x)) => cast(x)" => (DType::ALL.into_iter())
            .flat_map(|from| DType::ALL.map(|to| (from, to)))
            .map(|(from, to)| Form {
                // Of other casts the rule may know that they lose nothing.
                must: from == DType::Bool,
                build: Box::new(move |b| {
                    let x = b.input(from, &[n()]);
                    let y = b.op(Op::Cast(b.dtype), &[x])?;
                    b.op(Op::Cast(to), &[y])
                }),
            })
            .collect(),
        "broadcast to the same shape => x" => vec![must(|b| {
            let x = b.x();
            b.broadcast(x, &[n()])
        })],
        "broadcast(broadcast(x)) => broadcast(x)" => vec![must(|b| {
            let x = b.input(b.dtype, &[d(1), n()]);
            let y = b.broadcast(x, &[d(2), n()])?;
            b.broadcast(y, &[d(2), d(2), n()])
        })],
        "reshape to the same shape => x" => vec![must(|b| {
            let x = b.x();
            b.reshape(x, &[n()])
        })],
        "reshape(reshape(x)) => reshape(x)" => vec![must(|b| {
            let x = b.input(b.dtype, &[n(), d(2)]);
            let y = b.reshape(x, &[d(2), n()])?;
            b.reshape(y, &[&n() * &d(2)])
        })],
        "permute of axes in their order => x" => vec![must(|b| {
            let x = b.input(b.dtype, &[n(), d(2)]);
            b.permute(x, &[0, 1])
        })],
        "permute(permute(x)) => permute(x)" => vec![must(|b| {
            let x = b.input(b.dtype, &[n(), d(2), d(3)]);
            let y = b.permute(x, &[1, 2, 0])?;
            b.permute(y, &[1, 0, 2])
        })],
        "permute of axes of size 1 => reshape" => vec![
            must(|b| {
                let x = b.input(b.dtype, &[n(), d(1), d(2)]);
                b.permute(x, &[1, 0, 2])
            }),
            may(|b| {
                let x = b.input(b.dtype, &[n(), d(1), d(2)]);
                b.permute(x, &[2, 0, 1])
            }),
        ],
        "move of one element => broadcast" => vec![
            must(|b| {
                let k = b.k();
                let x = b.broadcast(k, &[d(6)])?;
                b.reshape(x, &[d(2), d(3)])
            }),
            must(|b| {
                let k = b.k();
                let x = b.broadcast(k, &[d(2), n()])?;
                b.permute(x, &[1, 0])
            }),
        ],
        "slice of everything => x" => vec![
            must(|b| {
                let x = b.x();
                b.slice(x, 0, n())
            }),
            may(|b| {
                let x = b.input(b.dtype, &[n(), d(3)]);
                b.op(Op::Slice { axis: 1, start: d(0), len: d(2) }, &[x])
            }),
        ],
        "slice(slice(x)) => slice(x)" => vec![must(|b| {
            let x = b.input(b.dtype, &[d(9), n()]);
            let y = b.slice(x, 2, d(6))?;
            b.slice(y, 1, d(3))
        })],
        "slice(concat(x, y)) => x" => vec![
            must(|b| {
                let (x, y) = (b.x(), b.input(b.dtype, &[d(3)]));
                let joined = b.op(Op::Concat { axis: 0 }, &[y, x])?;
                b.slice(joined, 3, n())
            }),
            may(|b| {
                let (x, y) = (b.x(), b.input(b.dtype, &[d(3)]));
                let joined = b.op(Op::Concat { axis: 0 }, &[y, x])?;
                b.slice(joined, 2, n())
            }),
        ],
        "concat(x) => x" => vec![must(|b| {
            let x = b.x();
            b.op(Op::Concat { axis: 0 }, &[x])
        })],
        "reduce over no axes => x" => reductions(|b, op| {
            let x = b.x();
            b.reduce(op, x, &[])
        }),
        "reduce over axes of size 1 => reshape" => reductions(|b, op| {
            let x = b.input(b.dtype, &[d(1), n(), d(1)]);
            b.reduce(op, x, &[0, 2])
        }),
        "reduce of all of reshape(x) => reduce of all of x" => reductions(|b, op| {
            let x = b.input(b.dtype, &[n(), d(3)]);
            let y = b.reshape(x, &[d(3), n()])?;
            b.reduce(op, y, &[0, 1])
        }),
        "reduce with axes of size 1 behind => reshape(reduce of the last axes)" => reductions(|b, op| {
            let x = b.input(b.dtype, &[n(), d(3), d(1)]);
            b.reduce(op, x, &[1])
        }),
        "f(broadcast(x), broadcast(y)) => broadcast(f(x, y))" => lifted(|b, x| b.broadcast(x, &[d(2), n()])),
        "f(reshape(x), reshape(y)) => reshape(f(x, y))" => lifted(|b, x| b.reshape(x, &[n(), d(1)])),
        _ => return None,
    })
}

/// All values of the small dtypes, edge values of the others.
fn values(dtype: DType) -> Vec<Scalar> {
    match dtype {
        DType::Bool => [false, true].map(Scalar::Bool).to_vec(),
        DType::U8 => (0..=u8::MAX).map(Scalar::U8).collect(),
        DType::F16 => (0..=u16::MAX).map(|bits| Scalar::F16(f16::from_bits(bits))).collect(),
        DType::BF16 => (0..=u16::MAX).map(|bits| Scalar::BF16(bf16::from_bits(bits))).collect(),
        DType::I32 | DType::I64 | DType::F32 | DType::F64 => edges(dtype),
    }
}

fn edges(dtype: DType) -> Vec<Scalar> {
    /// The zeros, ones, ends, subnormals and neighbours of a float of so many bits of exponent and mantissa, each with
    /// either sign.
    fn floats(exponent: u32, mantissa: u32) -> Vec<u64> {
        let (one, infinity) = (((1 << (exponent - 1)) - 1) << mantissa, ((1u64 << exponent) - 1) << mantissa);
        let least_normal = 1 << mantissa;
        let quiet = infinity | 1 << (mantissa - 1);
        // 1.5, 2, 3 and what is next to 1; NaN that is quiet, signals, has a payload.
        let near_one =
            [one - 1, one, one + 1, one | 1 << (mantissa - 1), one + least_normal, one + 3 * least_normal / 2];
        let ends = [0, 1, least_normal - 1, least_normal, infinity - 1, infinity, quiet, infinity | 1, quiet | 3];
        let all = near_one.into_iter().chain(ends);
        all.flat_map(|bits| [bits, bits | 1 << (exponent + mantissa)]).collect()
    }
    match dtype {
        DType::Bool | DType::U8 => values(dtype),
        DType::I32 => {
            let near = |x: i32| [x.wrapping_sub(1), x, x.wrapping_add(1)];
            let some = [0, i32::MIN, i32::MIN / 2, -256, -7, 7, 255, 1 << 24, i32::MAX / 2];
            some.into_iter().flat_map(near).map(Scalar::I32).collect()
        }
        DType::I64 => {
            let near = |x: i64| [x.wrapping_sub(1), x, x.wrapping_add(1)];
            let some = [0, i64::MIN, i64::MIN / 2, i32::MIN as i64, -7, 7, 255, 1 << 32, 1 << 53, i64::MAX / 2];
            some.into_iter().flat_map(near).map(Scalar::I64).collect()
        }
        DType::F16 => floats(5, 10).into_iter().map(|bits| Scalar::F16(f16::from_bits(bits as u16))).collect(),
        DType::BF16 => floats(8, 7).into_iter().map(|bits| Scalar::BF16(bf16::from_bits(bits as u16))).collect(),
        DType::F32 => floats(8, 23).into_iter().map(|bits| Scalar::F32(f32::from_bits(bits as u32))).collect(),
        DType::F64 => floats(11, 52).into_iter().map(|bits| Scalar::F64(f64::from_bits(bits))).collect(),
    }
}

/// Edge values, and every power of two of a float.
fn constants(dtype: DType) -> Vec<Scalar> {
    let mut all = edges(dtype);
    match dtype {
        DType::F32 => all.extend((-149..=127).map(|k| Scalar::F32(2f64.powi(k) as f32))),
        DType::F64 => all.extend((-1074..=1023).map(|k| Scalar::F64(2f64.powi(k)))),
        _ => {}
    }
    all
}

/// Inputs that hold every combination of the values of each, and the size that this takes.
fn inputs(g: &Graph) -> (usize, Vec<Array>) {
    let types: Vec<&Type> = g.input_values().map(|v| g.ty(v)).collect();
    let mut seen = Vec::new();
    let lists: Vec<Vec<Scalar>> = (types.iter())
        .map(|ty| {
            let again = seen.contains(&ty.dtype);
            seen.push(ty.dtype);
            if again { edges(ty.dtype) } else { values(ty.dtype) }
        })
        .collect();
    let n = lists.iter().map(Vec::len).product();
    let mut stride = 1;
    let mut arrays = Vec::new();
    for (ty, list) in types.iter().zip(&lists) {
        let shape: Vec<usize> = ty.shape.iter().map(|d| d.eval(&[n])).collect();
        let items = (0..shape.iter().product()).map(|i: usize| list[i / stride % list.len()]);
        arrays.push(Array::from_scalars(ty.dtype, shape, items));
        stride *= list.len();
    }
    (n, arrays)
}

fn same(a: &[Array], b: &[Array]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_bits(b))
}

/// What became of a form.
#[derive(Default)]
struct Tried {
    /// The type rules admit it.
    typed: bool,
    applied: bool,
    /// A graph before and after that give different bits.
    wrong: Option<String>,
}

fn attempt(rule: &Rule, form: &Form, dtype: DType) -> Tried {
    let mut tried = Tried::default();
    let mut given = None;
    for constant in constants(dtype) {
        let mut b = Builder::new(dtype, constant);
        let Some(out) = (form.build)(&mut b) else { return tried };
        tried.typed = true;
        b.g.output(out);
        let after = rule.run(&b.g);
        check(&after).unwrap();
        if after != b.g {
            tried.applied = true;
            // The inputs are the same for every constant.
            let (size, x) = given.get_or_insert_with(|| inputs(&b.g));
            let want = run(&b.g, &[*size], x).unwrap();
            if !same(&want, &run(&after, &[*size], x).unwrap()) {
                tried.wrong = Some(format!("before\n{}after\n{after}", b.g));
                return tried;
            }
            // Together with the others, too.
            let all = simplify(&b.g);
            if all != after && !same(&want, &run(&all, &[*size], x).unwrap()) {
                tried.wrong = Some(format!("before\n{}after all rules\n{all}", b.g));
                return tried;
            }
        }
        if !b.uses_constant {
            break;
        }
    }
    tried
}

fn every_rule_on(dtype: DType) {
    let mut failures: Vec<String> = Vec::new();
    for rule in simplify_rules() {
        let name = rule.equation;
        let Some(forms) = forms(name) else {
            failures.push(format!("`{name}` has no case here"));
            continue;
        };
        if rule.dtypes.contains(dtype) {
            let tried: Vec<Tried> = forms.iter().map(|form| attempt(rule, form, dtype)).collect();
            failures.extend(tried.iter().filter_map(|t| t.wrong.as_ref()).map(|w| format!("`{name}` is wrong: {w}")));
            if tried.iter().zip(&forms).any(|(t, form)| t.typed && form.must && !t.applied) {
                failures.push(format!("`{name}` is for {dtype}, but is not applied to it"));
            }
            if !tried.iter().any(|t| t.typed) {
                failures.push(format!("`{name}` is for {dtype}, which its operation is not defined for"));
            }
        } else {
            let mut wide = *rule;
            wide.dtypes = DTypes::ALL;
            let tried: Vec<Tried> = forms.iter().map(|form| attempt(&wide, form, dtype)).collect();
            if tried.iter().any(|t| t.applied) && tried.iter().all(|t| t.wrong.is_none()) {
                failures.push(format!("`{name}` holds for {dtype} too, which its row leaves out"));
            }
        }
    }
    assert!(failures.is_empty(), "{dtype}:\n{}", failures.join("\n"));
}

macro_rules! on_every_dtype {
    ($($name:ident = $dtype:ident),* $(,)?) => {
        $(#[test] fn $name() { every_rule_on(DType::$dtype) })*

        #[test]
        fn every_dtype_is_tried() {
            assert_eq!([$(DType::$dtype),*], DType::ALL);
        }
    };
}

on_every_dtype! {
    every_rule_on_bool = Bool,
    every_rule_on_u8 = U8,
    every_rule_on_i32 = I32,
    every_rule_on_i64 = I64,
    every_rule_on_f16 = F16,
    every_rule_on_bf16 = BF16,
    every_rule_on_f32 = F32,
    every_rule_on_f64 = F64,
}

/// Found by random graphs with a fresh seed: the negative of 5 is 251, which is positive.
#[test]
fn the_absolute_value_of_a_negated_u8_is_not_that_of_the_u8() {
    let g: Graph = "graph(%0: u8[] \"x\") {\n  %1: u8[] = neg %0\n  %2: u8[] = abs %1\n  return %2\n}".parse().unwrap();
    for g in [simplify(&g), g] {
        let out = run(&g, &[], &[Array::scalar(Scalar::U8(5))]).unwrap();
        assert_eq!(out[0].get(0), Scalar::U8(251), "{g}");
    }
}
