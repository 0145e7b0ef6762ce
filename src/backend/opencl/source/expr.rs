//! The expressions of a fused kernel as C statements, one a statement and each a variable of its own, so that nothing is
//! contracted or computed twice. It knows nothing of how positions are walked.

use crate::backend::opencl::source::body::{Body, c_type};
use crate::backend::opencl::source::math;
use crate::schedule::{ExprId, ExprKind, Kernel};

/// The statements of a kernel's expressions in the making: what has a variable already is not computed again.
pub struct Values<'a> {
    kernel: &'a Kernel,
    /// The C expression of each value that is there.
    known: Vec<Option<String>>,
}

impl<'a> Values<'a> {
    pub fn new(kernel: &'a Kernel) -> Values<'a> {
        Values { kernel, known: vec![None; kernel.exprs.len()] }
    }

    /// Says that an expression's value is what this C expression gives.
    pub fn is(&mut self, e: ExprId, text: String) {
        self.known[e.0 as usize] = Some(text);
    }

    /// The same, as it is now, for statements in an inner scope: what they add is forgotten with them.
    pub fn inner(&self) -> Values<'a> {
        Values { kernel: self.kernel, known: self.known.clone() }
    }

    /// The C expression of a value at the position with these indices; statements for what is missing go to `text`.
    ///
    /// # Panics
    /// At a reduction whose result is not there: a bug in this library.
    pub fn value(&mut self, e: ExprId, indices: &[String], body: &mut Body, text: &mut String) -> String {
        if let Some(known) = &self.known[e.0 as usize] {
            return known.clone();
        }
        let expr = self.kernel.expr(e);
        let args: Vec<String> = expr.args().iter().map(|a| self.value(*a, indices, body, text)).collect();
        let from = |i: usize| self.kernel.expr(expr.args()[i]).dtype;
        let value = match &expr.kind {
            ExprKind::Leaf(view) => body.load(view, indices),
            ExprKind::Unary(op, _) => math::unary(*op, expr.dtype, &args[0]),
            ExprKind::Binary(op, ..) => math::binary(*op, expr.dtype, &args[0], &args[1]),
            ExprKind::Compare(op, ..) => math::compare(*op, from(0), &args[0], &args[1]),
            ExprKind::Select(..) => math::select(expr.dtype, &args[0], &args[1], &args[2]),
            ExprKind::Cast(_) => math::cast(from(0), expr.dtype, &args[0]),
            ExprKind::Widen(_) => math::widen(from(0), &args[0]),
            ExprKind::Narrow(_) => math::narrow(expr.dtype, &args[0]),
            ExprKind::Reduce(..) => panic!("bug in allotrope: a reduction has no value here"),
        };
        let name = format!("e{}", e.0);
        text.push_str(&format!("{} {name} = {value};\n", c_type(expr.dtype)));
        self.known[e.0 as usize] = Some(name.clone());
        name
    }
}
