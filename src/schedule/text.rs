//! A schedule as text, for people: inputs and outputs, buffers, and the instructions in order. It is not read back.
//!
//! `b0[i0*3 + i1]` is an element of a buffer, at the position `i0, i1` of the axes around it. Buffers are numbered as in
//! the schedule, expressions (`e0`) within their kernel.

use crate::schedule::buffer::{BufId, Buffer, Location, LoopId, ScalarId};
use crate::schedule::factor::Factor;
use crate::schedule::instruction::{Instruction, Iterations, Loop, Next};
use crate::schedule::kernel::{ExprId, ExprKind, Kernel};
use crate::schedule::operator::{Operation, Operator};
use crate::schedule::view::{Base, View, is_one, is_zero};
use crate::schedule::{Output, Schedule};
use allotrope_ir::{Dim, Scalar};
use std::fmt::{Display, Formatter, Result};

impl Display for BufId {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "b{}", self.0)
    }
}

impl Display for ExprId {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "e{}", self.0)
    }
}

impl Display for ScalarId {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "r{}", self.0)
    }
}

impl Display for LoopId {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "l{}", self.0)
    }
}

impl Display for Buffer {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}[{}] ", self.dtype, self.len)?;
        match &self.location {
            Location::Input(i) => write!(f, "input {i}"),
            Location::Output(j) => write!(f, "output {j}"),
            Location::Scratch => write!(f, "scratch"),
            Location::Element { of, offset, stride, of_loop } => {
                write!(f, "element of {of} at {offset} + {of_loop}*{stride}")
            }
            Location::Moving { into } => write!(f, "moving in {}", list(into, " ")),
        }
    }
}

impl Display for Schedule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let outputs = self.outputs.iter().map(|Output { ty, update }| match update {
            Some(i) => format!("{ty} updates input {i}"),
            None => ty.to_string(),
        });
        writeln!(f, "schedule({}) -> ({}) {{", list(&self.inputs, ", "), outputs.collect::<Vec<_>>().join(", "))?;
        for (i, buffer) in self.buffers.iter().enumerate() {
            writeln!(f, "  b{i}: {buffer}")?;
        }
        lines(f, &self.instructions, 1)?;
        f.write_str("}")
    }
}

fn lines(f: &mut Formatter<'_>, instructions: &[Instruction], depth: usize) -> Result {
    let indent = "  ".repeat(depth);
    for instruction in instructions {
        match instruction {
            Instruction::Kernel(k) => kernel(f, k, depth)?,
            Instruction::Operation(o) => writeln!(f, "{indent}{o}")?,
            Instruction::Check { check, condition } => writeln!(f, "{indent}check {check}: {}", strided(condition))?,
            Instruction::Guard => writeln!(f, "{indent}guard")?,
            Instruction::Loop(l) => {
                writeln!(f, "{indent}{l} {{")?;
                for carry in &l.carries {
                    let (current, init) = (carry.current, strided(&carry.init));
                    match &carry.next {
                        Next::At(b) => writeln!(f, "{indent}  carry {current} = {init}, then {b}")?,
                        Next::PingPong { target, buffers: [a, b] } => {
                            writeln!(f, "{indent}  carry {current} = {init}, then {target} in {a} and {b} in turn")?
                        }
                    }
                }
                lines(f, &l.body, depth + 1)?;
                writeln!(f, "{indent}}}")?;
                for tail in &l.tails {
                    writeln!(f, "{indent}zero the rest of {}", strided(tail))?;
                }
            }
        }
    }
    Ok(())
}

impl Display for Loop {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "loop {} ", self.id)?;
        match &self.iterations {
            Iterations::All => write!(f, "of {}", self.length)?,
            Iterations::Count(n) => write!(f, "of {}, at most {}", strided(n), self.length)?,
            Iterations::While { flag, limit: Some(check) } => {
                write!(f, "while {}, at most {} or check {check} fails", strided(flag), self.length)?
            }
            Iterations::While { flag, limit: None } => write!(f, "while {}", strided(flag))?,
        }
        f.write_str(if self.reverse { " in reverse" } else { "" })
    }
}

fn kernel(f: &mut Formatter<'_>, k: &Kernel, depth: usize) -> Result {
    let indent = "  ".repeat(depth);
    write!(f, "{indent}k{}: kernel [{}]", k.number, list(&k.axes, ", "))?;
    match k.kept == k.axes.len() {
        true => writeln!(f, " {{")?,
        false => writeln!(f, ", axes from {} on reduced {{", k.kept)?,
    }
    for (i, expr) in k.exprs.iter().enumerate() {
        let value = match &expr.kind {
            ExprKind::Leaf(view) => place(view),
            ExprKind::Unary(op, a) => format!("{} {a}", op.name()),
            ExprKind::Binary(op, a, b) => format!("{} {a}, {b}", op.name()),
            ExprKind::Compare(op, a, b) => format!("{} {a}, {b}", op.name()),
            ExprKind::Select(c, a, b) => format!("select {c}, {a}, {b}"),
            ExprKind::Cast(a) => format!("cast {a}"),
            ExprKind::Widen(a) => format!("widen {a}"),
            ExprKind::Narrow(a) => format!("narrow {a}"),
            ExprKind::Reduce(op, a) => format!("{} {a}", op.name()),
        };
        writeln!(f, "{indent}  e{i}: {} = {value}", expr.dtype)?;
    }
    for store in &k.stores {
        let how = if store.in_place { " in place" } else { "" };
        writeln!(f, "{indent}  {} = {}{how}", place(&store.view), store.expr)?;
    }
    for (expr, scalar) in &k.results {
        writeln!(f, "{indent}  {scalar} = {expr}")?;
    }
    writeln!(f, "{indent}}}")
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let name = match &self.operator {
            Operator::Matmul { accumulate: false, .. } => "matmul".to_string(),
            Operator::Matmul { accumulate: true, .. } => "matmul, accumulating".to_string(),
            Operator::Reduce { op, axes, .. } => format!("{} over {axes:?}", op.name()),
            Operator::Gather { axis, .. } => format!("gather along {axis}"),
            Operator::Scatter { op, axis, .. } => format!("scatter {} along {axis}", op.name()),
            Operator::ArgReduce { op, axis, .. } => format!("{} along {axis}", op.name()),
            Operator::ArgSort { axis, descending: false, .. } => format!("argsort along {axis}"),
            Operator::ArgSort { axis, descending: true, .. } => format!("argsort along {axis}, descending"),
            Operator::Recurrence { axis, reverse: false, .. } => format!("recurrence along {axis}"),
            Operator::Recurrence { axis, reverse: true, .. } => format!("recurrence along {axis}, in reverse"),
            Operator::OverlapAdd { axis, len, step, dilation, .. } => {
                format!("overlap_add along {axis} to {len}, step {step}, dilation {dilation}")
            }
        };
        let reads: Vec<String> = match &self.operator {
            Operator::Matmul { a, b, .. } => [a, b].map(of_product).into(),
            other => other.reads().into_iter().map(strided).collect(),
        };
        write!(f, "k{}: {} = {name} of {}", self.number, strided(self.operator.out()), reads.join(", "))
    }
}

/// An element of a view at the position of a kernel's axes.
fn place(v: &View) -> String {
    let terms = v.strides.iter().enumerate().filter(|(_, stride)| !is_zero(stride));
    let terms = terms
        .map(|(axis, stride)| if is_one(stride) { format!("i{axis}") } else { format!("i{axis}*{}", factor(stride)) });
    let all: Vec<String> = (!is_zero(&v.offset)).then(|| v.offset.to_string()).into_iter().chain(terms).collect();
    let index = if all.is_empty() { "0".to_string() } else { all.join(" + ") };
    match &v.base {
        Base::Buf(b) => format!("{b}[{index}]"),
        Base::Index => index,
        Base::Const(_) | Base::Extent(_) | Base::Scalar(_) => strided(v),
    }
}

/// A view with its shape and, where it is not contiguous, its strides.
fn strided(v: &View) -> String {
    let base = match &v.base {
        Base::Buf(b) => b.to_string(),
        Base::Const(s) => return number(*s),
        Base::Extent(d) => return format!("size {d}"),
        Base::Scalar(r) => return r.to_string(),
        Base::Index => "index".to_string(),
    };
    let offset = if is_zero(&v.offset) { String::new() } else { format!(" + {}", v.offset) };
    let strides = if v.is_contiguous() { String::new() } else { format!(" strides [{}]", list(&v.strides, ", ")) };
    format!("{base}{offset}[{}]{strides}", list(&v.shape, ", "))
}

/// A factor of a product: its view, with the axes that are one axis of the factor in brackets.
fn of_product(x: &Factor) -> String {
    let text = strided(&x.view);
    if x.is_view() {
        return text;
    }
    let group = |i| {
        if let (sizes @ [_, _, ..], _) = x.axes(i) {
            format!("({})", list(sizes, ", "))
        } else {
            list(x.axes(i).0, ", ")
        }
    };
    let groups: Vec<String> = (0..x.groups.len()).map(group).collect();
    text.replacen(&format!("[{}]", list(&x.view.shape, ", ")), &format!("[{}]", groups.join(", ")), 1)
}

fn number(s: Scalar) -> String {
    match s {
        Scalar::F32(x) => format!("{x:?}"),
        Scalar::F64(x) => format!("{x:?}"),
        Scalar::F16(x) => format!("{:?}", x.to_f32()),
        Scalar::BF16(x) => format!("{:?}", x.to_f32()),
        Scalar::I64(x) => x.to_string(),
        Scalar::I32(x) => x.to_string(),
        Scalar::U8(x) => x.to_string(),
        Scalar::Bool(x) => x.to_string(),
    }
}

/// A dimension as a factor: a sum in brackets.
fn factor(d: &Dim) -> String {
    if d.terms().len() > 1 { format!("({d})") } else { d.to_string() }
}

fn list<T: Display>(all: &[T], between: &str) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(between)
}
