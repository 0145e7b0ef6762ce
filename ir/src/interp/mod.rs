//! The reference interpreter: runs a graph node by node on plain vectors. Slow, and so simple that it is right by
//! reading; every back end is held against it. It never optimises, reuses or reorders anything.

mod places;

use crate::element;
use crate::evaluate::{Evaluator, Iterate, iterate, outputs};
use crate::{DType, Dim, Graph, NodeId, Op, Scalar, Scan, Sym, Type};
use half::{bf16, f16};

/// The elements of an array, row-major.
#[derive(Clone, Debug)]
pub enum Data {
    Bool(Vec<bool>),
    U8(Vec<u8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F16(Vec<f16>),
    BF16(Vec<bf16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// A dense array: what the interpreter computes with.
#[derive(Clone, Debug)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Data,
}

impl Array {
    /// # Panics
    /// When the number of elements is not the product of the shape.
    pub fn new(shape: impl Into<Vec<usize>>, data: Data) -> Array {
        let array = Array { shape: shape.into(), data };
        let wanted: usize = array.shape.iter().product();
        assert_eq!(array.len(), wanted, "{:?} has {wanted} elements, the data {}", array.shape, array.len());
        array
    }

    /// The elements, all of dtype `dtype`, in row-major order.
    pub fn from_scalars(dtype: DType, shape: impl Into<Vec<usize>>, items: impl IntoIterator<Item = Scalar>) -> Array {
        macro_rules! collect {
            ($variant:ident) => {
                Data::$variant(
                    items
                        .into_iter()
                        .map(|s| match s {
                            Scalar::$variant(x) => x,
                            s => panic!("bug in this library: {} among elements of {dtype}", s.dtype()),
                        })
                        .collect(),
                )
            };
        }
        let data = match dtype {
            DType::Bool => collect!(Bool),
            DType::U8 => collect!(U8),
            DType::I32 => collect!(I32),
            DType::I64 => collect!(I64),
            DType::F16 => collect!(F16),
            DType::BF16 => collect!(BF16),
            DType::F32 => collect!(F32),
            DType::F64 => collect!(F64),
        };
        Array::new(shape, data)
    }

    pub fn scalar(s: Scalar) -> Array {
        Array::from_scalars(s.dtype(), [], [s])
    }

    pub fn dtype(&self) -> DType {
        match self.data {
            Data::Bool(_) => DType::Bool,
            Data::U8(_) => DType::U8,
            Data::I32(_) => DType::I32,
            Data::I64(_) => DType::I64,
            Data::F16(_) => DType::F16,
            Data::BF16(_) => DType::BF16,
            Data::F32(_) => DType::F32,
            Data::F64(_) => DType::F64,
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::Bool(v) => v.len(),
            Data::U8(v) => v.len(),
            Data::I32(v) => v.len(),
            Data::I64(v) => v.len(),
            Data::F16(v) => v.len(),
            Data::BF16(v) => v.len(),
            Data::F32(v) => v.len(),
            Data::F64(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element `i` in row-major order.
    pub fn get(&self, i: usize) -> Scalar {
        match &self.data {
            Data::Bool(v) => Scalar::Bool(v[i]),
            Data::U8(v) => Scalar::U8(v[i]),
            Data::I32(v) => Scalar::I32(v[i]),
            Data::I64(v) => Scalar::I64(v[i]),
            Data::F16(v) => Scalar::F16(v[i]),
            Data::BF16(v) => Scalar::BF16(v[i]),
            Data::F32(v) => Scalar::F32(v[i]),
            Data::F64(v) => Scalar::F64(v[i]),
        }
    }

    pub fn scalars(&self) -> impl Iterator<Item = Scalar> + '_ {
        (0..self.len()).map(|i| self.get(i))
    }

    /// Whether shape, dtype and all bits are equal; NaN equals NaN, whatever its payload.
    pub fn same_bits(&self, other: &Array) -> bool {
        self.shape == other.shape
            && self.dtype() == other.dtype()
            && self.scalars().zip(other.scalars()).all(|(a, b)| element::same(a, b))
    }

    fn type_of(&self) -> Type<usize> {
        Type::new(self.dtype(), self.shape.iter().copied())
    }

    /// The result of this shape whose element at an index is the element of `self` at `source(index)`.
    fn gather(&self, shape: Vec<usize>, source: impl Fn(&[usize]) -> Vec<usize>) -> Array {
        let items: Vec<Scalar> = indices(&shape).map(|i| self.get(flat(&source(&i), &self.shape))).collect();
        Array::from_scalars(self.dtype(), shape, items)
    }
}

/// What keeps a graph from being run on the inputs given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    #[error("the graph takes {wanted} inputs, got {got}")]
    InputCount { wanted: usize, got: usize },
    #[error("input {index} ({name}) must be {wanted}, got {got}")]
    Input { index: usize, name: String, wanted: Box<Type<usize>>, got: Box<Type<usize>> },
    #[error("symbol {0} has no binding")]
    Unbound(Sym),
    #[error("{node}: {message}")]
    Node { node: NodeId, message: String },
}

/// Runs `graph` with symbol `i` bound to `binding[i]`; gives its outputs in order, updates included.
///
/// # Errors
/// When inputs or binding do not fit the graph, or a slice is out of range.
pub fn run(graph: &Graph, binding: &[usize], inputs: &[Array]) -> Result<Vec<Array>, RunError> {
    if let Some(s) = graph.symbols().into_iter().find(|s| s.0 as usize >= binding.len()) {
        return Err(RunError::Unbound(s));
    }
    outputs(&mut Interpreter { binding }, graph, inputs)
}

/// Evaluates on arrays, where symbol `i` is `binding[i]`.
struct Interpreter<'a> {
    binding: &'a [usize],
}

impl Evaluator for Interpreter<'_> {
    type Value = Array;
    type Error = RunError;

    fn enter(&mut self, graph: &Graph, inputs: &[Array]) -> Result<(), RunError> {
        if inputs.len() != graph.inputs().len() {
            return Err(RunError::InputCount { wanted: graph.inputs().len(), got: inputs.len() });
        }
        for (index, (value, given)) in graph.input_values().zip(inputs).enumerate() {
            let wanted = bind(graph.ty(value), self.binding);
            if given.type_of() != wanted {
                let name = graph.inputs()[index].name.clone();
                let (wanted, got) = (Box::new(wanted), Box::new(given.type_of()));
                return Err(RunError::Input { index, name, wanted, got });
            }
        }
        Ok(())
    }

    fn operation(&mut self, graph: &Graph, id: NodeId, x: &[&Array]) -> Result<Array, RunError> {
        operation(&graph.node(id).op, self.binding, x).map_err(|message| RunError::Node { node: id, message })
    }

    fn scan(&mut self, graph: &Graph, id: NodeId, scan: &Scan, x: &[&Array]) -> Result<Vec<Array>, RunError> {
        iterate(self, graph, id, scan, x)
    }
}

impl Iterate for Interpreter<'_> {
    fn size(&self, dim: &Dim) -> usize {
        dim.eval(self.binding)
    }

    fn holds(&mut self, value: &Array) -> Result<bool, RunError> {
        Ok(value.get(0) == Scalar::Bool(true))
    }

    fn count(&mut self, value: &Array) -> Result<i64, RunError> {
        match value.get(0) {
            Scalar::I64(n) => Ok(n),
            other => unreachable!("bug in this library: a loop counts in {}", other.dtype()),
        }
    }

    fn element(&mut self, value: &Array, i: usize) -> Result<Array, RunError> {
        let shape = value.shape[1..].to_vec();
        let n: usize = shape.iter().product();
        Ok(Array::from_scalars(value.dtype(), shape, (i * n..(i + 1) * n).map(|i| value.get(i))))
    }

    fn collect(&mut self, elements: Vec<Option<Array>>, ty: &Type) -> Result<Array, RunError> {
        let ty = bind(ty, self.binding);
        let zero = element::cast(Scalar::I64(0), ty.dtype);
        let one: usize = ty.shape.iter().skip(1).product();
        let items = elements.iter().flat_map(|a| match a {
            Some(a) => a.scalars().collect(),
            None => vec![zero; one],
        });
        Ok(Array::from_scalars(ty.dtype, ty.shape.to_vec(), items))
    }

    fn too_many_iterations(&self, _: &Graph, id: NodeId, capacity: usize) -> RunError {
        let message = format!("the loop goes on after {capacity} iterations, more than its results have capacity for");
        RunError::Node { node: id, message }
    }
}

/// The result of an operation.
///
/// # Errors
/// Why it has none.
fn operation(op: &Op, binding: &[usize], x: &[&Array]) -> Result<Array, String> {
    let shape_of = |dims: &[Dim]| dims.iter().map(|d| d.eval(binding)).collect::<Vec<usize>>();
    let map = |dtype: DType, f: &dyn Fn(usize) -> Scalar| {
        Array::from_scalars(dtype, x[0].shape.clone(), (0..x[0].len()).map(f))
    };
    Ok(match op {
        Op::Input | Op::Scan(_) | Op::Fusion(_) => unreachable!("bug in this library: the walk does these"),
        Op::Const(s) => Array::scalar(*s),
        Op::Extent(d) => Array::scalar(Scalar::I64(d.eval(binding) as i64)),
        Op::Iota(n) => {
            let n = n.eval(binding);
            Array::new([n], Data::I64((0..n as i64).collect()))
        }
        Op::Unary(u) => map(x[0].dtype(), &|i| element::unary(*u, x[0].get(i))),
        Op::Binary(b) => map(x[0].dtype(), &|i| element::binary(*b, x[0].get(i), x[1].get(i))),
        Op::Compare(c) => map(DType::Bool, &|i| Scalar::Bool(element::compare(*c, x[0].get(i), x[1].get(i)))),
        Op::Select => map(x[1].dtype(), &|i| element::select(x[0].get(i), x[1].get(i), x[2].get(i))),
        Op::Cast(t) => map(*t, &|i| element::cast(x[0].get(i), *t)),
        Op::Broadcast(shape) => {
            let shape = shape_of(shape);
            let lead = shape.len() - x[0].shape.len();
            let from = &x[0].shape;
            x[0].gather(shape, |i| i[lead..].iter().zip(from).map(|(&i, &n)| if n == 1 { 0 } else { i }).collect())
        }
        Op::Barrier(_) => x[0].clone(),
        Op::Reshape(shape) => Array::new(shape_of(shape), x[0].data.clone()),
        Op::Permute(axes) => {
            let shape = axes.iter().map(|&a| x[0].shape[a]).collect();
            x[0].gather(shape, |i| {
                let mut source = vec![0; i.len()];
                axes.iter().zip(i).for_each(|(&a, &i)| source[a] = i);
                source
            })
        }
        Op::Slice { axis, start, len } => {
            let (start, len, n) = (start.eval(binding), len.eval(binding), x[0].shape[*axis]);
            if start + len > n {
                return Err(format!("slice: {len} elements from {start} on do not lie in axis {axis} of {n}"));
            }
            let mut shape = x[0].shape.clone();
            shape[*axis] = len;
            x[0].gather(shape, |i| i.iter().enumerate().map(|(a, &i)| if a == *axis { i + start } else { i }).collect())
        }
        Op::Flip(_)
        | Op::Window { .. }
        | Op::OverlapAdd { .. }
        | Op::Gather { .. }
        | Op::Scatter { .. }
        | Op::ArgReduce { .. }
        | Op::ArgSort { .. }
        | Op::Recurrence { .. }
        | Op::Check(_) => return places::run(op, binding, x),
        Op::Concat { axis } => concat(x, *axis),
        Op::Reduce { op, axes } => {
            let whole = &x[0].shape;
            let kept: Vec<usize> = (0..whole.len()).filter(|a| !axes.contains(a)).collect();
            let shape: Vec<usize> = kept.iter().map(|&a| whole[a]).collect();
            let reduced: Vec<usize> = axes.iter().map(|&a| whole[a]).collect();
            let mut items = Vec::new();
            for outer in indices(&shape) {
                let mut index = vec![0; whole.len()];
                kept.iter().zip(&outer).for_each(|(&a, &i)| index[a] = i);
                let mut elements = Vec::new();
                for inner in indices(&reduced) {
                    axes.iter().zip(&inner).for_each(|(&a, &i)| index[a] = i);
                    elements.push(x[0].get(flat(&index, whole)));
                }
                items.push(element::reduce(*op, x[0].dtype(), &elements));
            }
            Array::from_scalars(x[0].dtype(), shape, items)
        }
        Op::Matmul => matmul(x[0], x[1]),
        Op::AddMatmul => {
            let product = matmul(x[1], x[2]);
            map(x[0].dtype(), &|i| element::binary(crate::BinaryOp::Add, x[0].get(i), product.get(i)))
        }
    })
}

fn concat(x: &[&Array], axis: usize) -> Array {
    let mut shape = x[0].shape.clone();
    shape[axis] = x.iter().map(|a| a.shape[axis]).sum();
    let items: Vec<Scalar> = indices(&shape)
        .map(|mut i| {
            let mut from = x.iter();
            let mut a = from.next().expect("concat has an operand");
            while i[axis] >= a.shape[axis] {
                i[axis] -= a.shape[axis];
                a = from.next().expect("the axis is the sum of the operands' axes");
            }
            a.get(flat(&i, &a.shape))
        })
        .collect();
    Array::from_scalars(x[0].dtype(), shape, items)
}

/// Steps of a chain of a product's element.
const CHAIN: usize = 256;

/// For each element the sum, in ascending order, of chains of fused multiply-adds over [`CHAIN`] ascending steps of k, each
/// from +0.
fn matmul(a: &Array, b: &Array) -> Array {
    let rank = a.shape.len();
    let mut shape = a.shape.clone();
    shape[rank - 1] = b.shape[rank - 1];
    let inner = a.shape[rank - 1];
    let zero = element::cast(Scalar::I64(0), a.dtype());
    let items: Vec<Scalar> = indices(&shape)
        .map(|i| {
            let chain = |from: usize| {
                (from..inner.min(from + CHAIN)).fold(zero, |acc, k| {
                    let (mut left, mut right) = (i.clone(), i.clone());
                    left[rank - 1] = k;
                    right[rank - 2] = k;
                    element::mul_add(acc, a.get(flat(&left, &a.shape)), b.get(flat(&right, &b.shape)))
                })
            };
            (CHAIN..inner)
                .step_by(CHAIN)
                .fold(chain(0), |sum, from| element::binary(crate::BinaryOp::Add, sum, chain(from)))
        })
        .collect();
    Array::from_scalars(a.dtype(), shape, items)
}

fn bind(ty: &Type, binding: &[usize]) -> Type<usize> {
    Type::new(ty.dtype, ty.shape.iter().map(|d| d.eval(binding)))
}

/// All indices of a shape, in row-major order.
fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let shape = shape.to_vec();
    (0..shape.iter().product()).map(move |mut flat| {
        let mut index = vec![0; shape.len()];
        for (i, n) in index.iter_mut().zip(&shape).rev() {
            *i = flat % n;
            flat /= n;
        }
        index
    })
}

fn flat(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |acc, (i, n)| acc * n + i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InputKind, Sym};

    fn f32s(shape: &[usize], data: &[f32]) -> Array {
        Array::new(shape, Data::F32(data.to_vec()))
    }

    #[test]
    fn broadcast_permute_slice_concat_and_sum() {
        let g: Graph = r#"
graph(%0: f32[2, 3] "x", %1: f32[3] "b") {
  %2: f32[2, 3] = broadcast %1 shape=[2, 3]
  %3: f32[2, 3] = add %0, %2
  %4: f32[3, 2] = permute %3 axes=[1, 0]
  %5: f32[1, 2] = slice %4 axis=0 start=2 len=1
  %6: f32[4, 2] = concat %4, %5 axis=0
  %7: f32[2] = sum %6 axes=[0]
  return %6, %7
}"#
        .parse()
        .unwrap();
        let out = run(&g, &[], &[f32s(&[2, 3], &[1., 2., 3., 4., 5., 6.]), f32s(&[3], &[10., 20., 30.])]).unwrap();
        assert!(out[0].same_bits(&f32s(&[4, 2], &[11., 14., 22., 25., 33., 36., 33., 36.])));
        assert!(out[1].same_bits(&f32s(&[2], &[99., 111.])));
    }

    #[test]
    fn scan_runs_backwards_and_collects_in_place() {
        let g: Graph = r#"
graph(%0: f32[s0] "x", %1: f32[] "h") {
  %2: f32[], %3: f32[s0] = scan %1, %0 carries=1 xs=1 length=s0 reverse {
    graph(%0: f32[] "h", %1: f32[] "x") {
      %2: f32[] = add %0, %1
      return %2, %0
    }
  }
  return %2, %3
}"#
        .parse()
        .unwrap();
        let out = run(&g, &[3], &[f32s(&[3], &[1., 2., 4.]), f32s(&[], &[100.])]).unwrap();
        assert!(out[0].same_bits(&f32s(&[], &[107.])));
        assert!(out[1].same_bits(&f32s(&[3], &[106., 104., 100.])));
        let empty = run(&g, &[0], &[f32s(&[0], &[]), f32s(&[], &[100.])]).unwrap();
        assert_eq!((empty[1].shape.as_slice(), empty[0].get(0)), (&[0][..], Scalar::F32(100.)));
    }

    #[test]
    fn counted_rounds_leave_zeros_behind_them() {
        let g: Graph = r#"
graph(%0: f32[3] "x", %1: f32[] "h", %2: i64[] "n") {
  %3: f32[], %4: f32[3] = scan %1, %0, %2 carries=1 xs=1 length=3 reverse kind=count {
    graph(%0: f32[] "h", %1: f32[] "x") {
      %2: f32[] = add %0, %1
      return %2, %2
    }
  }
  return %3, %4
}"#
        .parse()
        .unwrap();
        let run = |n: i64| {
            let n = Array::new([], Data::I64(vec![n]));
            run(&g, &[], &[f32s(&[3], &[1., 2., 4.]), f32s(&[], &[100.]), n]).unwrap()
        };
        for (n, last, ys) in [(2, 103., [103., 102., 0.]), (0, 100., [0.; 3]), (-7, 100., [0.; 3])] {
            let out = run(n);
            assert!(out[0].same_bits(&f32s(&[], &[last])) && out[1].same_bits(&f32s(&[3], &ys)), "{n}");
        }
        assert!(run(9)[0].same_bits(&f32s(&[], &[107.])));
    }

    #[test]
    fn a_while_loop_asks_before_each_round_and_may_have_a_bound() {
        let text = |kind: &str, ys: &str, y: &str| {
            format!(
                "graph(%0: bool[] \"go\", %1: i64[] \"i\") {{
                  %2: bool[], %3: i64[]{ys} = scan %0, %1 carries=2 xs=0 length=4 kind={kind} {{
                    graph(%0: bool[] \"go\", %1: i64[] \"i\") {{
                      %2: i64[] = const 1
                      %3: i64[] = sub %1, %2
                      %4: i64[] = const 0
                      %5: bool[] = gt %3, %4
                      return %5, %3{y}
                    }}
                  }}
                  return %3
                }}"
            )
        };
        let go = |text: String, go: bool, i: i64| {
            let g: Graph = text.parse().unwrap();
            let inputs = [Array::new([], Data::Bool(vec![go])), Array::new([], Data::I64(vec![i]))];
            run(&g, &[], &inputs).map(|out| out[0].get(0))
        };
        assert_eq!(go(text("while", "", ""), true, 9), Ok(Scalar::I64(0)));
        assert_eq!(go(text("while", "", ""), false, 9), Ok(Scalar::I64(9)));
        for (ys, y) in [("", ""), (", %4: i64[4]", ", %3")] {
            let bounded = || text("within", ys, y);
            assert_eq!(go(bounded(), true, 4), Ok(Scalar::I64(0)));
            assert!(go(bounded(), true, 5).unwrap_err().to_string().contains("after 4 iterations"));
        }
    }

    #[test]
    fn matmul_is_a_chain_of_fused_multiply_adds() {
        let g: Graph = r#"
graph(%0: f32[1, 2] "a", %1: f32[2, 1] "b", %2: f32[1, 1] "c") {
  %3: f32[1, 1] = matmul %0, %1
  %4: f32[1, 1] = addmatmul %2, %0, %1
  return %3, %4
}"#
        .parse()
        .unwrap();
        let e = f32::EPSILON;
        let out =
            run(&g, &[], &[f32s(&[1, 2], &[1., 1. + e]), f32s(&[2, 1], &[-1., 1. - e]), f32s(&[1, 1], &[2.])]).unwrap();
        assert_eq!(out[0].get(0), Scalar::F32((1. + e).mul_add(1. - e, -1.)));
        assert_eq!(out[1].get(0), Scalar::F32(2. + (1. + e).mul_add(1. - e, -1.)));
    }

    #[test]
    fn the_chains_of_a_product_are_added() {
        let g: Graph = r#"
graph(%0: f32[1, 258] "a", %1: f32[258, 1] "b") {
  %2: f32[1, 1] = matmul %0, %1
  return %2
}"#
        .parse()
        .unwrap();
        // One chain would round each of the last two away.
        let mut a = [0.0; 258];
        a[0] = 16777216.0;
        [a[256], a[257]] = [1.0; 2];
        let out = run(&g, &[], &[f32s(&[1, 258], &a), f32s(&[258, 1], &[1.0; 258])]).unwrap();
        assert_eq!(out[0].get(0), Scalar::F32(16777218.0));
    }

    #[test]
    fn wrong_inputs_are_named() {
        let mut g = Graph::new();
        let x = g.input(Type::new(DType::F32, [Dim::sym(Sym(0))]), InputKind::Arg, "x");
        g.output(x);
        assert_eq!(run(&g, &[], &[]).unwrap_err(), RunError::Unbound(Sym(0)));
        assert_eq!(run(&g, &[2], &[]).unwrap_err().to_string(), "the graph takes 1 inputs, got 0");
        let wrong = run(&g, &[2], &[f32s(&[3], &[0.; 3])]).unwrap_err();
        assert_eq!(wrong.to_string(), "input 0 (x) must be f32[2], got f32[3]");
    }
}
