//! The type rules: what each primitive demands of its operands and what it gives. The only place that says so;
//! eager tensors, captures and graphs all ask [`infer`]. Nothing is computed here.

use crate::types::ShapeDisplay;
use crate::{Arity, DType, Domain, Extent, Op, ScatterOp, Type};
use smallvec::{SmallVec, smallvec};

/// What was wrong with the operands of a primitive: its name, what was given and what would fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{op}: {message}")]
pub struct RuleError {
    pub op: String,
    pub message: String,
}

fn err<T>(op: &str, message: impl Into<String>) -> Result<T, RuleError> {
    Err(RuleError { op: op.to_string(), message: message.into() })
}

/// The types of the results of `op` on operands of these types.
///
/// # Errors
/// When the operands do not fit; the message names what was given and what would fit.
pub fn infer<D: Extent>(op: &Op<D>, operands: &[&Type<D>]) -> Result<SmallVec<[Type<D>; 1]>, RuleError> {
    let name = op.name();
    match op.arity() {
        Arity::Exactly(n) if operands.len() != n => {
            return err(name, format!("takes {n} operands, got {}", operands.len()));
        }
        Arity::OneOrMore if operands.is_empty() => return err(name, "needs at least one operand"),
        Arity::Exactly(_) | Arity::OneOrMore | Arity::OfBody => {}
    }
    let ty = match op {
        Op::Input => return err(name, "an input has its type given, not inferred"),
        Op::Const(s) => Type::scalar(s.dtype()),
        Op::Extent(_) => Type::scalar(DType::I64),
        Op::Iota(n) => Type::new(DType::I64, [n.clone()]),
        Op::Unary(u) => {
            let x = operands[0];
            if !u.domain().contains(x.dtype) {
                return err(name, format!("not defined for {}", x.dtype));
            }
            x.clone()
        }
        Op::Binary(b) => {
            same_types(name, operands)?;
            let t = operands[0].dtype;
            if !b.domain().contains(t) {
                return err(name, format!("not defined for {t}"));
            }
            operands[0].clone()
        }
        Op::Compare(c) => {
            same_types(name, operands)?;
            if operands[0].dtype.is_half() {
                return err(name, format!("not defined for {}", operands[0].dtype));
            }
            if operands[0].dtype == DType::Bool && !c.takes_bool() {
                return err(name, "not defined for bool");
            }
            Type { dtype: DType::Bool, shape: operands[0].shape.clone() }
        }
        Op::Select => {
            same_types(name, &operands[1..])?;
            if operands[0].dtype != DType::Bool {
                return err(name, format!("the condition must be bool, got {}", operands[0].dtype));
            }
            same_shapes(name, operands[0], operands[1])?;
            operands[1].clone()
        }
        Op::Cast(t) => Type { dtype: *t, shape: operands[0].shape.clone() },
        Op::Broadcast(shape) => {
            let x = operands[0];
            let lead = shape.len().wrapping_sub(x.shape.len());
            let fits = x.shape.len() <= shape.len()
                && x.shape.iter().zip(&shape[lead..]).all(|(from, to)| from.same(to) || from.fixed() == Some(1));
            if !fits {
                return err(
                    name,
                    format!(
                        "cannot expand {} to {}: aligned at the right, each axis must be equal or 1",
                        x,
                        ShapeDisplay(shape)
                    ),
                );
            }
            Type { dtype: x.dtype, shape: shape.clone() }
        }
        Op::Reshape(shape) => {
            let x = operands[0];
            let to = Type { dtype: x.dtype, shape: shape.clone() };
            if !x.numel().same(&to.numel()) {
                return err(
                    name,
                    format!("{} has {} elements, {} has {}", x, x.numel(), ShapeDisplay(shape), to.numel()),
                );
            }
            to
        }
        Op::Permute(axes) => {
            let x = operands[0];
            let mut sorted = axes.clone();
            sorted.sort_unstable();
            if !sorted.iter().copied().eq(0..x.shape.len()) {
                return err(name, format!("{axes:?} is not a permutation of the {} axes of {x}", x.shape.len()));
            }
            Type { dtype: x.dtype, shape: axes.iter().map(|&a| x.shape[a].clone()).collect() }
        }
        Op::Slice { axis, start, len } => {
            let x = operands[0];
            axis_of(name, x, *axis)?;
            if let (Some(s), Some(l), Some(n)) = (start.fixed(), len.fixed(), x.shape[*axis].fixed())
                && s.saturating_add(l) > n
            {
                return err(name, format!("{l} elements from {s} on do not lie in axis {axis} of {x}"));
            }
            let mut ty = x.clone();
            ty.shape[*axis] = len.clone();
            ty
        }
        Op::Flip(axes) => {
            ascending_axes(name, operands[0], axes)?;
            operands[0].clone()
        }
        Op::Window { axis, count, size, step, dilation } => {
            let x = operands[0];
            axis_of(name, x, *axis)?;
            if let (Some(c), Some(w), Some(n)) = (count.fixed(), size.fixed(), x.shape[*axis].fixed())
                && c > 0
                && (w == 0 || (c - 1).saturating_mul(*step).saturating_add((w - 1).saturating_mul(*dilation)) >= n)
            {
                return err(
                    name,
                    format!(
                        "{c} windows of {w} elements, step {step} and dilation {dilation}, do not lie in axis {axis} of {x}"
                    ),
                );
            }
            let mut ty = x.clone();
            ty.shape[*axis] = count.clone();
            ty.shape.push(size.clone());
            ty
        }
        Op::OverlapAdd { axis, len, .. } => {
            let x = operands[0];
            if x.shape.len() < 2 || *axis >= x.shape.len() - 1 || !is_number(x.dtype) {
                return err(name, format!("axis {axis} must come before the last one of a tensor of numbers, got {x}"));
            }
            let mut ty = x.clone();
            ty.shape.pop();
            ty.shape[*axis] = len.clone();
            ty
        }
        Op::Gather { axis } => {
            index_fits(name, operands[0], operands[1], *axis)?;
            Type { dtype: operands[0].dtype, shape: operands[1].shape.clone() }
        }
        Op::Scatter { op, axis } => {
            index_fits(name, operands[0], operands[1], *axis)?;
            same_shapes(name, operands[1], operands[2])?;
            if operands[0].dtype != operands[2].dtype || (*op == ScatterOp::Add && !is_number(operands[0].dtype)) {
                return err(name, format!("cannot put {} into {}", operands[2], operands[0]));
            }
            operands[0].clone()
        }
        Op::ArgReduce { axis, .. } => {
            let x = operands[0];
            axis_of(name, x, *axis)?;
            if !is_number(x.dtype) || x.shape[*axis].fixed() == Some(0) {
                return err(name, format!("has no answer for axis {axis} of {x}"));
            }
            let kept = (0..x.shape.len()).filter(|a| a != axis).map(|a| x.shape[a].clone());
            Type::new(DType::I64, kept)
        }
        Op::ArgSort { axis, .. } => {
            axis_of(name, operands[0], *axis)?;
            if operands[0].dtype.is_half() {
                return err(name, format!("not defined for {}", operands[0].dtype));
            }
            Type { dtype: DType::I64, shape: operands[0].shape.clone() }
        }
        Op::Recurrence { axis, .. } => {
            same_types(name, operands)?;
            axis_of(name, operands[0], *axis)?;
            if !is_number(operands[0].dtype) {
                return err(name, format!("not defined for {}", operands[0].dtype));
            }
            operands[0].clone()
        }
        Op::Check(_) => {
            if operands[1].dtype != DType::Bool || !operands[1].shape.is_empty() {
                return err(name, format!("the condition must be bool[], got {}", operands[1]));
            }
            operands[0].clone()
        }
        Op::Barrier(_) => operands[0].clone(),
        Op::Concat { axis } => {
            let first = operands[0];
            axis_of(name, first, *axis)?;
            let mut ty = (*first).clone();
            for x in &operands[1..] {
                let fits = x.dtype == ty.dtype
                    && x.shape.len() == ty.shape.len()
                    && (0..ty.shape.len()).all(|i| i == *axis || x.shape[i].same(&ty.shape[i]));
                if !fits {
                    return err(
                        name,
                        format!("cannot join {x} to {first} along axis {axis}: the other axes must be equal"),
                    );
                }
                ty.shape[*axis] = ty.shape[*axis].plus(&x.shape[*axis]);
            }
            ty
        }
        Op::Reduce { axes, .. } => {
            let x = operands[0];
            if !is_number(x.dtype) {
                return err(name, format!("not defined for {}", x.dtype));
            }
            if !axes.windows(2).all(|w| w[0] < w[1]) || axes.last().is_some_and(|&a| a >= x.shape.len()) {
                return err(name, format!("axes {axes:?} must be ascending and lie in {x}"));
            }
            let kept = (0..x.shape.len()).filter(|a| !axes.contains(a)).map(|a| x.shape[a].clone());
            Type::new(x.dtype, kept)
        }
        Op::Matmul => matmul(name, operands[0], operands[1])?,
        Op::AddMatmul => {
            let ty = matmul(name, operands[1], operands[2])?;
            same_types(name, &[operands[0], &ty])?;
            ty
        }
        Op::Scan(_) | Op::Fusion(_) => return err(name, "holds a graph: its types come from Graph::add"),
    };
    Ok(smallvec![ty])
}

fn matmul<D: Extent>(name: &str, a: &Type<D>, b: &Type<D>) -> Result<Type<D>, RuleError> {
    let (ra, rb) = (a.shape.len(), b.shape.len());
    if ra < 2 || ra != rb {
        return err(name, format!("operands must have the same number of axes, two or more; got {a} and {b}"));
    }
    if a.dtype != b.dtype || !is_number(a.dtype) {
        return err(name, format!("operands must have one numeric dtype; got {a} and {b}"));
    }
    if !a.shape[ra - 1].same(&b.shape[rb - 2]) {
        return err(
            name,
            format!(
                "the last axis of {a} ({}) must equal the second to last of {b} ({})",
                a.shape[ra - 1],
                b.shape[rb - 2]
            ),
        );
    }
    if !a.shape[..ra - 2].iter().zip(&b.shape[..rb - 2]).all(|(x, y)| x.same(y)) {
        return err(name, format!("batch axes of {a} and {b} must be equal"));
    }
    let mut ty = a.clone();
    ty.shape[ra - 1] = b.shape[rb - 1].clone();
    Ok(ty)
}

/// Whether the primitives compute with it: the half-precision floats are only stored.
fn is_number(t: DType) -> bool {
    Domain::Numbers.contains(t)
}

/// That `index` names places along `axis` of `x`.
fn index_fits<D: Extent>(name: &str, x: &Type<D>, index: &Type<D>, axis: usize) -> Result<(), RuleError> {
    axis_of(name, x, axis)?;
    let fits = index.dtype == DType::I64
        && index.shape.len() == x.shape.len()
        && (0..x.shape.len()).all(|i| i == axis || index.shape[i].same(&x.shape[i]));
    if fits {
        return Ok(());
    }
    err(name, format!("the indices along axis {axis} of {x} must be i64 with its other axes, got {index}"))
}

fn ascending_axes<D: Extent>(name: &str, x: &Type<D>, axes: &[usize]) -> Result<(), RuleError> {
    if axes.windows(2).all(|w| w[0] < w[1]) && axes.last().is_none_or(|&a| a < x.shape.len()) {
        return Ok(());
    }
    err(name, format!("axes {axes:?} must be ascending and lie in {x}"))
}

fn same_shapes<D: Extent>(name: &str, a: &Type<D>, b: &Type<D>) -> Result<(), RuleError> {
    let same = a.shape.len() == b.shape.len() && a.shape.iter().zip(&b.shape).all(|(x, y)| x.same(y));
    if same { Ok(()) } else { err(name, format!("operands must have one shape; got {a} and {b}")) }
}

fn same_types<D: Extent>(name: &str, operands: &[&Type<D>]) -> Result<(), RuleError> {
    if operands[0].dtype != operands[1].dtype {
        return err(name, format!("operands must have one dtype; got {} and {}", operands[0], operands[1]));
    }
    same_shapes(name, operands[0], operands[1])
}

fn axis_of<D: Extent>(name: &str, x: &Type<D>, axis: usize) -> Result<(), RuleError> {
    if axis < x.shape.len() { Ok(()) } else { err(name, format!("axis {axis} does not exist in {x}")) }
}
