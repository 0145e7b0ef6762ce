//! The text form of a saved function, printed: a header with the version, what it captures, then each variant
//! with its graph. [`super::parse()`] reads it back to an equal one.
//!
//! ```text
//! saved     = "allotrope" number {tensor | generator | flag} {variant}
//! tensor    = "tensor" string ":" type ["requires_grad"] ["history"] ["grad" string] ["strides" numbers ["in" string "offset" number]]
//! generator = "generator" string                            its state is saved under its name
//! flag      = "flag" string bool
//! variant   = "variant" "{" {line} graph "}"                each kind of line in the order that counts for it
//! line      = "argument" type ["requires_grad"] ["contiguous" | "strided" [numbers]] ["same_as" number]
//!           | "when" ("grad_enabled" | "requires_grad" string | "grad" place | "same" number place | "flag" string) bool
//!           | "when" "size" dim "least" number
//!           | "follows" ("elementwise" | "preserved" | "contiguous" | "gradient") {memory | "number"} "end"
//!           | "when" "memory" memory ("shared" bool | "contiguous" bool | "begins" bool | "strides" numbers | "order" numbers)
//!           | draw
//!           | "order" string ["whole"] memory
//!           | "input" (place | "grad" place | "draw")       one for each input of the graph, in order
//!           | "output" ("result" number | place | "grad" place | "grad_elements" place)   one for each output of the graph, in order
//!           | "lies" number numbers ("strides" numbers | memory)   an output: the order of its axes in memory, and its strides
//!           | "clear" place                                 its gradient is none after the call
//!           | "leaf" place bool                              it is a leaf after the call, and requires a gradient or not
//!           | "history" place                              changed in place, it is a result after the call, whose history is not here
//!           | "set" string bool                               a flag, by a call that has succeeded
//!           | "result" (returned | number)                  a tensor that is handed out, or the number of one above
//!           | "base" returned                               what others are views of, and no result itself
//!           | "grad" (place | number) number                the gradient is that tensor after the call
//! returned  = "computed" [leads] | place | "grad" place | "view" number ["detached"] [leads] "{" {step} "}"
//! leads     = "requires_grad" ["leaf"]
//! memory    = ("fresh" dims | "input" number | "tensor" string | "follows" number) "{" {step} "}"
//! place     = "argument" number | "tensor" string
//! draw      = "draw" number distribution ["from" string]    the number of an input; without from: the process's generator
//!           | "seed" literal ["from" string]
//!           | "loop" dim ["reverse"] "{" {draw} "}"
//! distribution = "uniform" float float | "normal" float float | "normal_serial" float float | "exponential" float
//!           | "integers" integer integer | "permutation" | "bernoulli" float | "whole" dtype
//! step      = "element" | "strided" dims "steps" numbers "offset" number | "select" number "at" number
//!           | name {attribute}                               of the graph's text form
//! ```

use super::{
    Distribution, Draw, FollowRule, Followed, Follows, Guard, HistoryAfter, LaidOutAs, Lies, Order, OrderOf, OrderStep,
    Place, Program, Returned, Source, Target, Variant,
};
use crate::text::{attributes, dims, literal};
use crate::{Scalar, Type};
use std::fmt::Write;

/// Writes into a string, which cannot fail.
macro_rules! put {
    ($out:expr, $($arg:tt)*) => {{ let _ = write!($out, $($arg)*); }};
}

/// The saved function as text, in the newest version.
pub fn print(program: &Program) -> String {
    let mut out = format!("allotrope {}\n\n", super::VERSION);
    for t in &program.tensors {
        let shape = t.shape.iter().map(|&n| crate::Dim::fixed(n));
        put!(out, "tensor {:?}: {}", t.name, Type::new(t.dtype, shape));
        put!(out, "{}{}", if t.requires_grad { " requires_grad" } else { "" }, if t.history { " history" } else { "" });
        if let Some(grad) = t.grad {
            put!(out, " grad {:?}", tensor(program, grad));
        }
        if let Some(layout) = &t.layout {
            put!(out, " strides {:?}", layout.strides);
            if let Some((memory, offset)) = &layout.shared {
                put!(out, " in {memory:?} offset {offset}");
            }
        }
        out.push('\n');
    }
    for g in &program.generators {
        put!(out, "generator {g:?}\n");
    }
    for (name, on) in &program.flags {
        put!(out, "flag {name:?} {on}\n");
    }
    for v in &program.variants {
        out.push_str("\nvariant {\n");
        variant(&mut out, program, v);
        out.push_str("}\n");
    }
    out
}

fn tensor(program: &Program, i: usize) -> &str {
    program.tensors.get(i).map_or("?", |t| &t.name)
}

fn place(program: &Program, p: Place) -> String {
    match p {
        Place::Tensor(i) => format!("tensor {:?}", tensor(program, i)),
        Place::Argument(i) => format!("argument {i}"),
    }
}

fn variant(out: &mut String, p: &Program, v: &Variant) {
    for a in &v.arguments {
        put!(out, "  argument {}", a.ty);
        put!(out, "{}", if a.requires_grad { " requires_grad" } else { "" });
        match a.contiguous {
            Some(true) => out.push_str(" contiguous"),
            Some(false) => out.push_str(" strided"),
            None => {}
        }
        if let Some(strides) = &a.strides {
            put!(out, " {strides:?}");
        }
        if let Some(first) = a.same_as {
            put!(out, " same_as {first}");
        }
        out.push('\n');
    }
    for f in &v.follows {
        follows(out, p, f);
    }
    for g in &v.guards {
        out.push_str("  when ");
        match g {
            Guard::GradEnabled(on) => put!(out, "grad_enabled {on}\n"),
            Guard::RequiresGrad(t, on) => put!(out, "requires_grad {:?} {on}\n", tensor(p, *t)),
            Guard::HasGrad(of, on) => put!(out, "grad {} {on}\n", place(p, *of)),
            Guard::Same(i, other, on) => put!(out, "same {i} {} {on}\n", place(p, *other)),
            Guard::Flag(f, on) => put!(out, "flag {:?} {on}\n", p.flags.get(*f).map_or("?", |f| &f.0)),
            Guard::Least(dim, least) => put!(out, "size {dim} least {least}\n"),
            Guard::Lies { from, steps, answer } => {
                out.push_str("memory");
                memory(out, p, from, steps);
                match answer {
                    Lies::Shared(yes) => put!(out, " shared {yes}\n"),
                    Lies::Contiguous(yes) => put!(out, " contiguous {yes}\n"),
                    Lies::Begins(yes) => put!(out, " begins {yes}\n"),
                    Lies::Strides(strides) => put!(out, " strides {strides:?}\n"),
                    Lies::Order(axes) => put!(out, " order {axes:?}\n"),
                }
            }
        }
    }
    for d in &v.draws {
        draw(out, p, d, 1);
    }
    for o in &v.orders {
        order(out, p, o);
    }
    for s in &v.inputs {
        match s {
            Source::Elements(of) => put!(out, "  input {}\n", place(p, *of)),
            Source::Grad(of) => put!(out, "  input grad {}\n", place(p, *of)),
            Source::Draw => out.push_str("  input draw\n"),
        }
    }
    for t in &v.outputs {
        match t {
            Target::Result(i) => put!(out, "  output result {i}\n"),
            Target::Elements(of) => put!(out, "  output {}\n", place(p, *of)),
            Target::Grad(of) => put!(out, "  output grad {}\n", place(p, *of)),
            Target::GradElements(of) => put!(out, "  output grad_elements {}\n", place(p, *of)),
        }
    }
    for o in &v.laid_out {
        put!(out, "  lies {} {:?}", o.output, o.axes);
        match &o.strides {
            LaidOutAs::Strides(strides) => put!(out, " strides {strides:?}"),
            LaidOutAs::Memory(from, steps) => memory(out, p, from, steps),
        }
        out.push('\n');
    }
    for c in &v.cleared {
        put!(out, "  clear {}\n", place(p, *c));
    }
    for (of, after) in &v.histories {
        match after {
            HistoryAfter::Leaf(on) => put!(out, "  leaf {} {on}\n", place(p, *of)),
            HistoryAfter::Result => put!(out, "  history {}\n", place(p, *of)),
        }
    }
    for (f, on) in &v.set {
        put!(out, "  set {:?} {on}\n", p.flags.get(*f).map_or("?", |f| &f.0));
    }
    // In the order of the results, each with what it needs before it.
    let mut told = 0;
    for &result in &v.results {
        for base in v.returned.iter().take(result).skip(told) {
            returned(out, p, "base", base);
        }
        match v.returned.get(result).filter(|_| result >= told) {
            Some(new) => returned(out, p, "result", new),
            None => put!(out, "  result {result}\n"),
        }
        told = told.max(result + 1);
    }
    for base in v.returned.iter().skip(told) {
        returned(out, p, "base", base);
    }
    for (of, i) in &v.grads {
        put!(out, "  grad {} {i}\n", place(p, *of));
    }
    for (of, i) in &v.own_grads {
        put!(out, "  grad {of} {i}\n");
    }
    let graph = crate::print(&v.graph);
    graph.lines().for_each(|line| {
        put!(out, "  {line}\n");
    });
}

fn returned(out: &mut String, p: &Program, kind: &str, r: &Returned) {
    let leads = |requires_grad: bool, leaf: bool| match (requires_grad, leaf) {
        (true, true) => " requires_grad leaf",
        (true, false) => " requires_grad",
        (false, _) => "",
    };
    put!(out, "  {kind} ");
    match r {
        Returned::Computed { requires_grad, leaf } => put!(out, "computed{}", leads(*requires_grad, *leaf)),
        Returned::Same(of) => put!(out, "{}", place(p, *of)),
        Returned::Grad(of) => put!(out, "grad {}", place(p, *of)),
        Returned::View { of, steps, differentiable, requires_grad, leaf } => {
            let detached = if *differentiable { "" } else { " detached" };
            put!(out, "view {of}{detached}{}", leads(*requires_grad, *leaf));
            self::steps(out, steps);
        }
    }
    out.push('\n');
}

fn float(x: f64) -> String {
    literal(Scalar::F64(x))
}

fn draw(out: &mut String, p: &Program, d: &Draw, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
    let from = |g: &Option<usize>| match g {
        Some(i) => format!(" from {:?}", p.generators.get(*i).map_or("?", |g| g)),
        None => String::new(),
    };
    match d {
        Draw::Draw { input, kind, generator } => {
            let kind = match *kind {
                Distribution::Uniform { low, high } => format!("uniform {} {}", float(low), float(high)),
                Distribution::Normal { mean, std } => format!("normal {} {}", float(mean), float(std)),
                Distribution::NormalSerial { mean, std } => format!("normal_serial {} {}", float(mean), float(std)),
                Distribution::NormalHalves { mean, std } => format!("normal_halves {} {}", float(mean), float(std)),
                Distribution::Exponential { rate } => format!("exponential {}", float(rate)),
                Distribution::Integers { low, high } => format!("integers {low} {high}"),
                Distribution::Permutation => "permutation".to_string(),
                Distribution::Bernoulli { p } => format!("bernoulli {}", float(p)),
                Distribution::Whole { of } => format!("whole {of}"),
            };
            put!(out, "draw {input} {kind}{}\n", from(generator));
        }
        Draw::Seed { seed, generator } => {
            put!(out, "seed {seed}{}\n", from(generator));
        }
        Draw::Loop { length, reverse, items } => {
            put!(out, "loop {length}{} {{\n", if *reverse { " reverse" } else { "" });
            items.iter().for_each(|d| draw(out, p, d, depth + 1));
            out.extend(std::iter::repeat_n("  ", depth));
            out.push_str("}\n");
        }
    }
}

fn follows(out: &mut String, p: &Program, f: &Follows) {
    let rule = match f.rule {
        FollowRule::Elementwise => "elementwise",
        FollowRule::Preserved => "preserved",
        FollowRule::Contiguous => "contiguous",
        FollowRule::Gradient => "gradient",
    };
    put!(out, "  follows {rule}");
    for operand in &f.operands {
        match operand {
            Followed::Number => out.push_str(" number"),
            Followed::Memory(from, steps) => memory(out, p, from, steps),
        }
    }
    out.push_str(" end\n");
}

fn order(out: &mut String, p: &Program, o: &Order) {
    put!(out, "  order {:?}{}", o.what, if o.whole { " whole" } else { "" });
    memory(out, p, &o.from, &o.steps);
    out.push('\n');
}

fn memory(out: &mut String, p: &Program, from: &OrderOf, steps: &[OrderStep]) {
    match from {
        OrderOf::Fresh(shape) => put!(out, " fresh {}", dims(shape)),
        OrderOf::Input(i) => put!(out, " input {i}"),
        OrderOf::Tensor(i) => put!(out, " tensor {:?}", tensor(p, *i)),
        OrderOf::Follows(i) => put!(out, " follows {i}"),
    }
    self::steps(out, steps);
}

fn steps(out: &mut String, steps: &[OrderStep]) {
    out.push_str(" {\n");
    for step in steps {
        out.push_str("    ");
        match step {
            OrderStep::Element => out.push_str("element"),
            OrderStep::Select { axis, at } => put!(out, "select {axis} at {at}"),
            OrderStep::Strided { sizes, steps, offset } => {
                put!(out, "strided {} steps {steps:?} offset {offset}", dims(sizes));
            }
            OrderStep::Memory { len, sizes, steps, offset } => {
                put!(
                    out,
                    "memory {} of {} steps {steps:?} offset {offset}",
                    dims(&crate::Shape::from_iter([len.clone()])),
                    dims(sizes)
                );
            }
            OrderStep::View(op) => {
                out.push_str(op.name());
                attributes(out, op);
            }
        }
        out.push('\n');
    }
    out.push_str("  }");
}
