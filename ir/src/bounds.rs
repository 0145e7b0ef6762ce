//! What the type rules cannot decide because sizes are symbols: that under the numbers of one call no size is negative,
//! every window lies in its axis and every value has a size that memory can have. A captured graph satisfies it by how it
//! was recorded; of a graph that was read from a file it is asked before each new binding runs. Nothing is computed here.

use crate::{AxisOp, Class, Dim, Graph, Leaf, Shape, Type, Value, View, elements_of};
use std::collections::HashSet;

/// One thing that a call must give.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Demand {
    /// The dimension is at least this.
    Least(Dim, i64),
    /// A value of this type can exist.
    Fits(Type),
    /// `count` windows of `size` lie in `len`.
    Windows { count: Dim, size: Dim, step: usize, dilation: usize, len: Dim },
}

/// What the symbols of a graph must satisfy, see the module.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    /// What depends on symbols; the rest holds.
    demands: Vec<Demand>,
}

/// A size that a graph cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct OutOfBounds(pub String);

impl Bounds {
    /// What the graph asks of its symbols, bodies included.
    ///
    /// # Errors
    /// When something holds for no binding.
    ///
    /// ```
    /// use allotrope_ir::{Bounds, Graph};
    /// let g: Graph = "graph(%0: f32[s0] \"x\") { %1: f32[3] = slice %0 axis=0 start=2 len=3 return %1 }".parse()?;
    /// let bounds = Bounds::of(&g)?;
    /// assert!(bounds.check(&[5]).is_ok());
    /// assert!(bounds.check(&[4]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of(graph: &Graph) -> Result<Bounds, OutOfBounds> {
        let mut found = HashSet::new();
        let mut bounds = Bounds::default();
        collect(graph, &mut |demand| {
            if demand.is_symbolic() {
                if found.insert(demand.clone()) {
                    bounds.demands.push(demand);
                }
                return Ok(());
            }
            demand.check(&[])
        })?;
        Ok(bounds)
    }

    /// Whether symbol `i` may be `binding[i]`.
    ///
    /// # Errors
    /// What does not hold.
    ///
    /// # Panics
    /// When a symbol has no binding.
    pub fn check(&self, binding: &[usize]) -> Result<(), OutOfBounds> {
        self.demands.iter().try_for_each(|d| d.check(binding))
    }
}

fn collect(g: &Graph, add: &mut dyn FnMut(Demand) -> Result<(), OutOfBounds>) -> Result<(), OutOfBounds> {
    for id in g.nodes() {
        let node = g.node(id);
        for ty in &node.types {
            add(Demand::Fits(ty.clone()))?;
        }
        let axis_of = |v: Value, axis: usize| g.ty(v).shape[axis].clone();
        let operands = g.operands(id);
        match node.op.class() {
            Class::View(view) => match view {
                View::Slice { axis, start, len } => {
                    add(Demand::Least(start.clone(), 0))?;
                    add(Demand::Least(&(&axis_of(operands[0], axis) - start) - len, 0))?;
                }
                View::Window { axis, count, size, step, dilation } => {
                    let (count, size, len) = (count.clone(), size.clone(), axis_of(operands[0], axis));
                    add(Demand::Windows { count, size, step, dilation, len })?;
                }
                View::Broadcast(_) | View::Reshape(_) | View::Permute(_) | View::Flip(_) => {}
            },
            Class::Axis(a) => match a {
                AxisOp::ArgReduce { axis, .. } => add(Demand::Least(axis_of(operands[0], axis), 1))?,
                AxisOp::OverlapAdd { .. } | AxisOp::Concat { .. } | AxisOp::Gather { .. } => {}
                AxisOp::Scatter { .. } | AxisOp::ArgSort { .. } | AxisOp::Recurrence { .. } => {}
            },
            Class::Leaf(leaf) => match leaf {
                Leaf::Extent(d) => add(Demand::Least(d.clone(), 0))?,
                Leaf::Input | Leaf::Const(_) | Leaf::Iota(_) => {}
            },
            Class::Loop(scan) => {
                add(Demand::Least(scan.length.clone(), 0))?;
                collect(&scan.body, add)?;
            }
            Class::Fusion(body) => collect(body, add)?,
            Class::Elementwise(_) | Class::Reduction(..) | Class::Contraction(_) => {}
            Class::Check(_) | Class::Barrier(_) => {}
        }
    }
    Ok(())
}

impl Demand {
    fn is_symbolic(&self) -> bool {
        let symbolic = |d: &Dim| matches!(d, Dim::Poly(_));
        match self {
            Demand::Least(d, _) => symbolic(d),
            Demand::Fits(ty) => ty.shape.iter().any(symbolic),
            Demand::Windows { count, size, len, .. } => [count, size, len].into_iter().any(symbolic),
        }
    }

    fn check(&self, binding: &[usize]) -> Result<(), OutOfBounds> {
        let fail = |message: String| Err(OutOfBounds(message));
        let of = |d: &Dim| d.value(binding).ok_or_else(|| OutOfBounds(format!("{d} is a number beyond all sizes")));
        match self {
            Demand::Least(dim, least) => match of(dim)? {
                n if n >= i128::from(*least) => Ok(()),
                n => fail(format!("{} must be at least {least}, and is {n}", named(dim))),
            },
            Demand::Fits(ty) => {
                let mut shape: Shape<usize> = Shape::new();
                for d in &ty.shape {
                    let n = of(d)?;
                    if n < 0 {
                        return fail(format!("an axis of {ty} has the size {n}"));
                    }
                    shape.push(usize::try_from(n).unwrap_or(usize::MAX));
                }
                match elements_of(ty.dtype, &shape) {
                    Ok(_) => Ok(()),
                    Err(e) if self.is_symbolic() => fail(format!("{ty}: {e}")),
                    Err(e) => fail(e.to_string()),
                }
            }
            Demand::Windows { count, size, step, dilation, len } => {
                let (c, w, n) = (of(count)?, of(size)?, of(len)?);
                let last =
                    (c - 1).saturating_mul(*step as i128).saturating_add((w - 1).saturating_mul(*dilation as i128));
                match c <= 0 || (w > 0 && last < n) {
                    true => Ok(()),
                    false => fail(format!(
                        "{c} windows of {w} elements, step {step} and dilation {dilation}, do not lie in {n} elements"
                    )),
                }
            }
        }
    }
}

/// The dimension, with what it is where that says more than the number.
fn named(dim: &Dim) -> String {
    match dim {
        Dim::Fixed(_) => "a size".to_string(),
        Dim::Poly(_) => dim.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(text: &str) -> Result<Bounds, OutOfBounds> {
        Bounds::of(&text.parse().unwrap())
    }

    #[test]
    fn what_no_binding_gives_is_found_at_once() {
        for (text, part) in [
            ("graph(%0: f32[9000000000000000000, 9000000000000000000] \"x\") { return %0 }", "too large"),
            ("graph(%0: f32[0, 9000000000000000000] \"x\") { return %0 }", "too long"),
            ("graph(%0: f32[4] \"x\") { %1: f32[2] = slice %0 axis=0 start=-1 len=2 return %1 }", "at least 0"),
            ("graph(%0: f32[-4] \"x\") { return %0 }", "has the size -4"),
        ] {
            let error = bounds(text).unwrap_err().to_string();
            assert!(error.contains(part), "{part} in {error}");
        }
    }

    #[test]
    fn symbols_are_asked_without_overflow() {
        let b = bounds("graph(%0: f32[s0] \"x\") { %1: i64[s0*s0*s0] = iota s0*s0*s0 return %1 }").unwrap();
        assert!(b.check(&[100]).is_ok());
        assert!(b.check(&[1 << 40]).is_err());
        assert!(b.check(&[usize::MAX]).is_err());
    }

    #[test]
    fn pieces_and_bodies_are_asked() {
        let b = bounds(
            "graph(%0: f32[s0, s1] \"x\") { %1: f32[s0, s1, 3] = window %0 axis=1 count=s1 size=3 step=1 dilation=1 return %1 }",
        )
        .unwrap();
        assert!(b.check(&[2, 0]).is_ok());
        assert!(b.check(&[2, 5]).unwrap_err().to_string().contains("5 windows of 3"));
        let scan = "graph(%0: f32[s0, s1] \"x\") { %1: f32[s0, 2] = scan %0 carries=0 xs=1 length=s0 {
            graph(%0: f32[s1] \"x\") { %1: f32[2] = slice %0 axis=0 start=0 len=2 return %1 } } return %1 }";
        let b = bounds(scan).unwrap();
        assert!(b.check(&[3, 2]).is_ok());
        assert!(b.check(&[3, 1]).is_err());
    }
}
