//! One node of a graph as instructions: by what it is, a view, a kernel, an operator of the library, a loop or a check.

use crate::schedule::buffer::Location;
use crate::schedule::error::ScheduleError;
use crate::schedule::instruction::{Failure, Instruction};
use crate::schedule::lower::draft::{self, Draft};
use crate::schedule::lower::operator::bytes;
use crate::schedule::lower::{Lower, factor, loops, same_place};
use crate::schedule::operator::Operator;
use crate::schedule::order::Order;
use crate::schedule::view::{View, is_one, is_zero, numel};
use allotrope_ir::{DType, Dim, Graph, NodeId, Op, Value};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

impl Lower {
    pub(super) fn node(
        &mut self,
        g: &Graph,
        order: &Order,
        id: NodeId,
        env: &mut FxHashMap<Value, View>,
        dests: &FxHashMap<Value, View>,
    ) -> Result<(), ScheduleError> {
        let node = g.node(id);
        let operands = g.operands(id);
        let v = Value { node: id, port: 0 };
        let dest = dests.get(&v).cloned();
        let (ty, name) = (|| &node.types[0], node.op.name());
        // A part of what a product reads as its factor.
        if factor::arranges(&node.op) && !env.contains_key(&operands[0]) {
            return Ok(());
        }
        let views =
            |env: &FxHashMap<Value, View>| -> SmallVec<[View; 3]> { operands.iter().map(|o| env[o].clone()).collect() };
        let result = match &node.op {
            Op::Input => return Ok(()),
            op @ (Op::Const(_)
            | Op::Extent(_)
            | Op::Iota(_)
            | Op::Broadcast(_)
            | Op::Permute(_)
            | Op::Slice { .. }
            | Op::Flip(_)
            | Op::Window { .. }) => {
                let x = operands.first().map(|o| &env[o]);
                View::of_op(op, x).ok_or_else(|| ScheduleError::bug(g, id, "no view"))?
            }
            op @ Op::Reshape(_) => {
                let x = &env[&operands[0]];
                match View::of_op(op, Some(x)) {
                    Some(view) => view,
                    None if x.buf().is_some()
                        && factor::overlaps(g, operands[0])
                        && factor::is_one(g, v, factor::of(g, env, v)) =>
                    {
                        return Ok(());
                    }
                    None => {
                        let x = x.clone();
                        let x = self.materialise(&x, true);
                        View::of_op(op, Some(&x)).ok_or_else(|| ScheduleError::bug(g, id, "no view of a copy"))?
                    }
                }
            }
            Op::Unary(_) | Op::Binary(_) | Op::Compare(_) | Op::Select | Op::Cast(_) => {
                let draft = draft::draft(g, &|w| env.get(&w).cloned(), &[v]);
                let draft = draft.ok_or_else(|| ScheduleError::bug(g, id, "no kernel"))?;
                self.kernel(draft, &node.types, &[dest]).remove(0)
            }
            Op::Fusion(body) => {
                let results: SmallVec<[Value; 2]> =
                    (0..node.types.len() as u32).map(|port| Value { node: id, port }).collect();
                let wanted: Vec<Option<View>> = results.iter().map(|r| dests.get(r).cloned()).collect();
                let views = self.fusion(body, &views(env), &wanted)?;
                env.extend(results.into_iter().zip(views));
                return Ok(());
            }
            Op::Check(message) => {
                self.check(message, &env[&operands[1]]);
                env[&operands[0]].clone()
            }
            Op::Barrier(_) => env[&operands[0]].clone(),
            Op::Concat { axis } => {
                let out = dest.unwrap_or_else(|| self.scratch(&node.types[0]));
                let parts: Vec<View> = operands.iter().map(|o| env[o].clone()).collect();
                let clash = parts.iter().any(|p| p.buf().is_some_and(|b| self.may_alias(b, out.buf().unwrap_or(b))));
                let into = if clash { self.scratch(&node.types[0]) } else { out.clone() };
                let mut at = Dim::Fixed(0);
                for part in parts {
                    let len = part.shape[*axis].clone();
                    self.copy(&part, &into.slice(*axis, &at, &len));
                    at = &at + &len;
                }
                if clash {
                    self.copy(&into, &out);
                }
                out
            }
            Op::Reduce { op, axes } => {
                let x = env[&operands[0]].clone();
                let streams = x.strides.last().is_some_and(|s| is_one(s) || is_zero(s)) || x.buf().is_none();
                let draft = if streams { draft::draft(g, &|w| env.get(&w).cloned(), &[v]) } else { None };
                match draft {
                    Some(draft) => self.kernel(draft, &node.types, &[dest]).remove(0),
                    None => {
                        let x = if x.buf().is_some() { x } else { self.materialise(&x, true) };
                        let out = dest.unwrap_or_else(|| self.scratch(&node.types[0]));
                        self.unaliased(&[&x], &out, |l, out| {
                            let number = l.info("reduce", op.name(), &x.shape, &numel(&x.shape), &bytes(&[&x, out]));
                            let axes = axes.iter().copied().collect();
                            l.operation(Operator::Reduce { op: *op, axes, x: x.clone(), out: out.clone() }, number);
                        });
                        out
                    }
                }
            }
            Op::Matmul => {
                let [a, b] = [0, 1].map(|i| factor::of(g, env, operands[i]));
                let (Some(a), Some(b)) = (a, b) else { return Err(ScheduleError::bug(g, id, "no factor")) };
                let out = dest.unwrap_or_else(|| self.scratch(&node.types[0]));
                self.matmul(&a, &b, &out, false);
                out
            }
            Op::AddMatmul => {
                let first = env[&operands[0]].clone();
                let [a, b] = [1, 2].map(|i| factor::of(g, env, operands[i]));
                let (Some(a), Some(b)) = (a, b) else { return Err(ScheduleError::bug(g, id, "no factor")) };
                let dying = self.dies(g, order, operands[0], &first);
                let out = match dest {
                    Some(d) => d,
                    None if dying => first.clone(),
                    None => self.scratch(&node.types[0]),
                };
                if same_place(&first, &out) {
                    self.matmul(&a, &b, &out, true);
                } else {
                    // The product alone has the faster entries; adding to it is the same one rounding.
                    self.unaliased(&[&a.view, &b.view, &first], &out, |l, out| {
                        l.matmul(&a, &b, out, false);
                        l.kernel(Draft::sum(&first, out), &node.types, &[Some(out.clone())]);
                    });
                }
                out
            }
            Op::Gather { axis } => self.along_axis(name, 0, &views(env), ty(), dest, |x, out| Operator::Gather {
                axis: *axis,
                x: x[0].clone(),
                index: x[1].clone(),
                out,
            }),
            Op::Scatter { op, axis } => {
                let x = views(env);
                let dies = self.dies(g, order, operands[0], &x[0]);
                self.scatter(*op, *axis, &x, ty(), dest, dies)
            }
            Op::ArgReduce { op, axis } => self.along_axis(name, 1, &views(env), ty(), dest, |x, out| {
                Operator::ArgReduce { op: *op, axis: *axis, x: x[0].clone(), out }
            }),
            Op::ArgSort { axis, descending } => self.along_axis(name, 0, &views(env), ty(), dest, |x, out| {
                Operator::ArgSort { axis: *axis, descending: *descending, x: x[0].clone(), out }
            }),
            Op::Recurrence { axis, reverse } => self.along_axis(name, 2, &views(env), ty(), dest, |x, out| {
                Operator::Recurrence { axis: *axis, reverse: *reverse, a: x[0].clone(), b: x[1].clone(), out }
            }),
            Op::OverlapAdd { axis, len, step, dilation } => {
                self.along_axis(name, 1, &views(env), ty(), dest, |x, out| {
                    let (axis, len, step, dilation) = (*axis, len.clone(), *step, *dilation);
                    Operator::OverlapAdd { axis, len, step, dilation, x: x[0].clone(), out }
                })
            }
            Op::Scan(scan) => {
                let inputs = views(env);
                let wanted: Vec<Option<View>> =
                    (0..node.types.len() as u32).map(|port| dests.get(&Value { node: id, port }).cloned()).collect();
                let dying: Vec<bool> =
                    (0..scan.carries).map(|i| self.dies(g, order, operands[i], &inputs[i])).collect();
                let tails = loops::unseen_tails(g, id, scan);
                let views = self.lower_loop(scan, &node.types, &inputs, &wanted, &dying, &tails)?;
                env.extend((0..).map(|port| Value { node: id, port }).zip(views));
                return Ok(());
            }
        };
        env.insert(v, result);
        Ok(())
    }

    /// Whether nothing but one use reads the memory of a value, so that it may be written over.
    fn dies(&self, g: &Graph, order: &Order, v: Value, view: &View) -> bool {
        let own = match &g.node(v.node).op {
            // What it gives may be what it got; a branch says when it is not.
            Op::Scan(s) => {
                s.is_branch() && {
                    let given = s.body.outputs()[v.port as usize].value;
                    (v.port as usize) < s.carries && s.body.node(given.node).op != Op::Input
                }
            }
            Op::Fusion(b) => {
                let result = b.outputs()[v.port as usize].value;
                let times = b.outputs().iter().filter(|o| o.value == result).count();
                times == 1 && b.node(result.node).op.is_computed()
            }
            op => op.is_computed(),
        };
        own && order.uses(v) == 1
            && view.is_contiguous()
            && matches!(view.buf().map(|b| self.location(b)), Some(Location::Scratch))
    }

    /// Appends a check.
    fn check(&mut self, message: &str, condition: &View) {
        debug_assert_eq!(condition.dtype, DType::Bool);
        let check = self.schedule.checks.len();
        self.schedule.checks.push(Failure::Check(message.into()));
        self.instructions.push(Instruction::Check { check, condition: condition.clone() });
    }
}
