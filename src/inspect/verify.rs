//! Both modes held against each other on one call: the closure run eagerly and its compiled code, each on copies of all
//! state; and where they differ, the first node of the captured graph that does. Everything is as it was afterwards.

use crate::backend::CompileOptions;
use crate::capture::captured::Captured;
use crate::capture::closure::{Arguments, Traceable};
use crate::capture::endpoints::{CallerTensor, Returned, Target};
use crate::capture::symbols::Binding;
use crate::device::with_device;
use crate::error::{Error, Result};
use crate::inspect::compare::difference;
use crate::inspect::sandbox::Sandbox;
use crate::inspect::snapshot::{Snapshot, Touched, settings};
use crate::inspect::stepwise;
use crate::inspect::written::Written;
use crate::mode::recorder::settings::HostValue;
use crate::ops::TensorTree;
use crate::partition::closure::BackwardOptions;
use crate::runtime::call::{place, view};
use crate::runtime::execute;
use crate::runtime::guards::HandedStrides;
use crate::runtime::record::{Recorded, record};
use crate::runtime::sharing::ArgumentPlan;
use crate::runtime::traced::{Traced, not_recording};
use crate::runtime::variant::Variant;
use crate::tensor::{Tensor, eval};
use allotrope_ir::{Graph, NodeId, Op, Value, node_text};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Nodes that are compiled by themselves in search of the one that differs.
const MOST_NODES: usize = 2000;

/// What [`crate::runtime::traced::Traced::verify`] found. Printing it says it in words.
#[derive(Clone, Debug)]
pub struct Verification {
    /// Tensors that were compared: results, changed arguments, state, gradients.
    pub compared: usize,
    /// The first of them that differs, if any does.
    pub difference: Option<Difference>,
}

/// A tensor that is not the same in both modes.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Which: `result 0`, `gradient of argument 1`, ...
    pub what: String,
    /// How: an element and how many, or what else.
    pub how: String,
    /// Where it comes from.
    pub cause: Cause,
}

/// Where a difference comes from.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The closure does not do any more what was recorded: it depends on a Rust value that has changed.
    Closure(NodeDifference),
    /// The compiled code gives something else for a node than the kernels of the eager mode: a bug in this library.
    Code(NodeDifference),
    /// Each node gives what it should, so that what was recorded is not what the closure does.
    Recording,
    /// One mode fails and the other does not.
    Failure,
}

/// The first node of the captured graph that differs.
#[derive(Clone, Debug)]
pub struct NodeDifference {
    /// The node in the text form.
    pub node: String,
    /// How it differs.
    pub how: String,
    /// Its operands with their values in this call.
    pub inputs: Vec<(String, Tensor)>,
}

impl Verification {
    /// Whether both modes gave the same bits everywhere.
    pub fn is_equal(&self) -> bool {
        self.difference.is_none()
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(d) = &self.difference else {
            return writeln!(f, "both modes give the same bits: {} tensors were compared", self.compared);
        };
        writeln!(f, "the modes differ in {}: {}", d.what, d.how)?;
        let node = match &d.cause {
            Cause::Failure => return Ok(()),
            Cause::Recording => {
                return writeln!(
                    f,
                    "every node of the captured graph gives what the eager kernels give, so the closure does something that \
                     was not recorded"
                );
            }
            Cause::Closure(node) => {
                writeln!(f, "the closure does not do any more what was recorded, from here on:")?;
                node
            }
            Cause::Code(node) => {
                writeln!(f, "the compiled code is wrong, from here on; this is a bug in the library:")?;
                node
            }
        };
        writeln!(f, "  {}\n  {}", node.node, node.how)?;
        node.inputs.iter().try_for_each(|(name, t)| writeln!(f, "{name} = {t}"))
    }
}

impl<F, R, const N: usize> Traced<F, R, N>
where
    F: Traceable<N, Output = R>,
    R: TensorTree,
{
    /// Runs both modes on copies of all state, the closure eagerly and its compiled code, and compares every bit that they
    /// leave behind: results, changed tensors, gradients, generators. Where they differ, the report names the first node of
    /// the captured graph that does, and prints its inputs.
    ///
    /// Afterwards every tensor, gradient and generator that the trace knows is as it was; what the closure does to Rust
    /// values it does twice. Call it while no other thread uses the state.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// use std::cell::Cell;
    /// let factor = Cell::new(2.0);
    /// let f = trace(|x: &Tensor| (x * factor.get()).tanh());
    /// let x = Tensor::ones(&[2], DType::F32);
    /// assert!(f.verify(&x)?.is_equal());
    /// factor.set(3.0);                                          // a Rust value is built into the code
    /// let found = f.verify(&x)?;
    /// assert!(found.to_string().contains("const 2.0"), "{found}");
    /// # Ok::<(), allotrope::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Traced::call`], and inside a trace. That the modes differ is no error.
    pub fn verify<'a>(&self, args: impl Arguments<'a, N>) -> Result<Verification> {
        let args = args.tensors();
        not_recording("verify()")?;
        let (entry, binding) = self.entry(&args)?;
        entry.variant.check_inputs(&args)?;
        self.closure.with(|closure| verify::<F, N>(&entry.variant, closure, &args, binding))
    }
}

/// What a call leaves behind, in an order that both modes have.
type Seen = Vec<(String, Option<Tensor>)>;

/// Runs both modes and compares.
///
/// # Errors
/// When something cannot be copied or put back, or code cannot be generated.
pub(crate) fn verify<F: Traceable<N>, const N: usize>(
    variant: &Variant,
    closure: &mut F,
    args: &[&Tensor],
    binding: Binding,
) -> Result<Verification> {
    let before = Snapshot::new(variant, args)?;
    let mut sandbox = Sandbox::new(variant, args, binding)?;
    let strides = variant.guards.layouts.handed_out(&variant.wiring().laid_out, args, &sandbox.binding);
    let traced = traced(variant, &before, &mut sandbox, strides);
    let eager = eager(variant, &before, closure, args);
    before.restore()?;
    let (traced, eager) = match (traced, eager) {
        (Ok(traced), Ok(eager)) => (traced, eager),
        // A program's own check says no in both modes.
        (Err(_), Err(_)) => return Ok(Verification { compared: 0, difference: None }),
        (Err(e), Ok(_)) => return Ok(failure(format!("the compiled code fails and the closure does not: {e}"))),
        (Ok(_), Err(e)) => return Ok(failure(format!("the closure fails and the compiled code does not: {e}"))),
    };
    let mut compared = 0;
    for ((what, a), (_, b)) in eager.iter().zip(&traced) {
        compared += 1;
        let how = match (a, b) {
            (Some(a), Some(b)) => difference(a, b),
            (None, None) => None,
            (Some(_), None) => Some("there is one eagerly and none traced".to_string()),
            (None, Some(_)) => Some("there is one traced and none eagerly".to_string()),
        };
        if let Some(how) = how {
            let cause = cause(variant, &mut sandbox, closure, args)?;
            before.restore()?;
            return Ok(Verification { compared, difference: Some(Difference { what: what.clone(), how, cause }) });
        }
    }
    Ok(Verification { compared, difference: None })
}

fn failure(how: String) -> Verification {
    let what = "how they end".to_string();
    Verification { compared: 0, difference: Some(Difference { what, how, cause: Cause::Failure }) }
}

/// What the closure leaves behind.
fn eager<F: Traceable<N>, const N: usize>(
    variant: &Variant,
    before: &Snapshot,
    closure: &mut F,
    args: &[&Tensor],
) -> Result<Seen> {
    let run = AssertUnwindSafe(|| closure.run(args));
    let output = catch_unwind(run).map_err(Error::caught)?;
    let mut results = Vec::new();
    output.flatten(&mut results);
    let mut seen: Seen = Vec::new();
    for (i, t) in results.iter().enumerate() {
        seen.push((format!("result {i}"), Some(eval::copied(t)?)));
        seen.extend(strides_of(variant, i, Some(t))?);
    }
    for t in &before.touched {
        seen.push((t.what.clone(), Some(eval::copied(&t.tensor)?)));
        let grad = t.tensor.stored_grad().map(|g| eval::copied(&g)).transpose()?;
        seen.push((format!("the gradient of {}", t.what), grad));
    }
    for (i, g) in variant.wiring().draws.generators.iter().enumerate() {
        let state = g.lock().to_bytes();
        let n = state.len();
        seen.push((format!("the state of generator {i}"), Some(Tensor::try_from_vec(state, &[n])?)));
    }
    for v in settings(variant) {
        seen.push((setting_name(&**v), Some(Tensor::scalar(v.holds()))));
    }
    Ok(seen)
}

fn setting_name(v: &dyn HostValue) -> String {
    format!("whether {} of {} is as it was recorded", v.name(), v.place())
}

/// What the compiled code leaves behind.
fn traced(variant: &Variant, before: &Snapshot, sandbox: &mut Sandbox, strides: HandedStrides) -> Result<Seen> {
    let (mut outputs, _) = sandbox.run(variant, &variant.compiled, variant.optimized(), None)?;
    for (o, strides) in variant.wiring().laid_out.iter().zip(strides) {
        if let Some(strides) = strides {
            outputs[o.output] = eval::lying(&outputs[o.output], &o.axes, &strides)?;
        }
    }
    let target = |wanted: &dyn Fn(&Target) -> bool| {
        variant.wiring().targets.iter().position(wanted).and_then(|i| outputs.get(i).cloned())
    };
    let memory = Written::new(variant, before, &outputs);
    let after = |t: &Touched| memory.after(&t.tensor);
    let is = |of: &CallerTensor, t: &Touched| match of {
        CallerTensor::Arg(i) => t.argument == Some(*i),
        CallerTensor::Captured(of) => of.is_same(&t.tensor),
    };
    // The gradient that there was, after the call.
    let given = |t: &Touched| {
        let changed = target(&|target| matches!(target, Target::GradElements(of) if is(of, t)));
        changed.or_else(|| t.grad.as_ref().map(|(_, elements)| elements.clone()))
    };
    let mut computed = variant.wiring().targets.iter().zip(&outputs).filter(|(t, _)| matches!(t, Target::Return));
    let mut returned: Vec<Option<Tensor>> = Vec::new();
    for r in &variant.wiring().returned {
        returned.push(match r {
            Returned::Computed { .. } => computed.next().map(|(_, t)| t.clone()),
            Returned::Same(t) => Some(memory.after(t)?),
            Returned::Arg(i) => before.touched.iter().find(|t| t.argument == Some(*i)).map(after).transpose()?,
            Returned::Grad(whose) => before.touched.iter().find(|t| is(whose, t)).and_then(given),
            Returned::View { of, steps, differentiable, creation, .. } => match &returned[*of] {
                Some(of) => {
                    let chosen = |i: usize| place(returned[i].as_ref().expect("bug in allotrope: a place is computed"));
                    Some(view(of, steps, differentiable.then_some(*creation), &sandbox.binding, &chosen)?)
                }
                None => None,
            },
        });
    }
    let grad_after = |t: &Touched| {
        let own = target(&|target| match target {
            Target::Grad(of) => of.is_same(&t.tensor),
            Target::ArgGrad(i) => t.argument == Some(*i),
            _ => false,
        });
        let set = variant.wiring().grads.iter().find(|(of, _)| is(of, t)).and_then(|(_, i)| returned[*i].clone());
        let cleared = variant.wiring().cleared.iter().any(|c| c.is_same(&t.tensor))
            || variant.wiring().cleared_args.iter().any(|i| t.argument == Some(*i));
        own.or(set).or_else(|| given(t).filter(|_| !cleared))
    };
    let mut seen: Seen = Vec::new();
    for (i, &place) in variant.wiring().results.iter().enumerate() {
        seen.push((format!("result {i}"), returned[place].clone()));
        seen.extend(strides_of(variant, i, returned[place].as_ref())?);
    }
    for t in &before.touched {
        seen.push((t.what.clone(), Some(after(t)?)));
        seen.push((format!("the gradient of {}", t.what), grad_after(t)));
    }
    for (i, state) in sandbox.generators.iter().enumerate() {
        let n = state.len();
        seen.push((format!("the state of generator {i}"), Some(Tensor::try_from_vec(state.clone(), &[n])?)));
    }
    seen.extend(settings(variant).map(|v| (setting_name(&**v), Some(Tensor::scalar(true)))));
    Ok(seen)
}

/// How result `i` lies, if it is a new tensor or shows one.
fn strides_of(variant: &Variant, i: usize, t: Option<&Tensor>) -> Result<Option<(String, Option<Tensor>)>> {
    let wiring = variant.wiring();
    let Some(mut place) = wiring.results.get(i).copied() else { return Ok(None) };
    while let Returned::View { of, .. } = &wiring.returned[place] {
        place = *of;
    }
    let Returned::Computed { .. } = &wiring.returned[place] else { return Ok(None) };
    let strides = |t: &Tensor| {
        let strides: Vec<i64> = t.laid_out().iter().map(|&s| s as i64).collect();
        Tensor::try_from_vec(strides, &[t.dim()])
    };
    Ok(Some((format!("the strides of result {i}"), t.map(strides).transpose()?)))
}

/// Where a difference comes from.
fn cause<F: Traceable<N>, const N: usize>(
    variant: &Variant,
    sandbox: &mut Sandbox,
    closure: &mut F,
    args: &[&Tensor],
) -> Result<Cause> {
    let graph = variant.captured();
    let plan = ArgumentPlan::of(args);
    let now = record::<F, N>(closure, args, plan, BackwardOptions { passes: &variant.passes, like: None });
    if let Ok(Recorded { captured: Captured { graph: now, .. }, .. }) = now
        && now != *graph
    {
        let at = first_difference(graph, &now);
        let how = match at.filter(|id| (id.0 as usize) < now.len()) {
            Some(id) => format!("it is now {}", node_text(&now, id)),
            None => format!("{} operations are now {}", graph.len(), now.len()),
        };
        let values = stepwise::values(graph, &sandbox.binding, &sandbox.inputs)?;
        let at = at.filter(|id| (id.0 as usize) < graph.len()).or_else(|| graph.nodes().next_back());
        let node = at.map_or_else(String::new, |id| node_text(graph, id));
        let inputs = at.map_or_else(Vec::new, |id| operands(graph, id, &values));
        return Ok(Cause::Closure(NodeDifference { node, how, inputs }));
    }
    let optimize = |g: &Graph| variant.optimize(g);
    Ok(match wrong_node(variant, graph, sandbox, &optimize)? {
        Some(node) => Cause::Code(node),
        None => Cause::Recording,
    })
}

fn first_difference(a: &Graph, b: &Graph) -> Option<NodeId> {
    let differs =
        |id: &NodeId| (id.0 as usize) >= b.len() || a.node(*id) != b.node(*id) || a.operands(*id) != b.operands(*id);
    a.nodes().find(differs).or_else(|| b.nodes().nth(a.len()))
}

fn operands(graph: &Graph, id: NodeId, values: &stepwise::Values) -> Vec<(String, Tensor)> {
    let text = |v: &Value| node_text(graph, v.node).split(" = ").next().unwrap_or_default().to_string();
    graph.operands(id).iter().filter_map(|v| Some((text(v), values.get(v)?.clone()))).collect()
}

/// The first node whose compiled value is not that of the eager kernels: of all nodes compiled together, and else of each
/// compiled by itself, because what runs together may hide it.
fn wrong_node(
    variant: &Variant,
    graph: &Graph,
    sandbox: &mut Sandbox,
    optimize: &dyn Fn(&Graph) -> Graph,
) -> Result<Option<NodeDifference>> {
    let nodes: Vec<NodeId> = graph.nodes().filter(|id| graph.node(*id).op != Op::Input).collect();
    let mut values: Option<stepwise::Values> = None;
    let mut look = |nodes: &[NodeId]| -> Result<Option<NodeDifference>> {
        let results = nodes
            .iter()
            .flat_map(|&id| (0..graph.node(id).types.len() as u32).map(move |port| Value { node: id, port }));
        let results: Vec<Value> = results.collect();
        let part = optimize(&graph.clone().with_outputs(results.iter().copied()));
        let code = execute::compile(variant.device(), &part, &CompileOptions::default())?;
        let (outputs, _) = sandbox.run(variant, &code, &part, None)?;
        // Loops may have needed more capacity.
        if values.is_none() {
            let on = || stepwise::values(graph, &sandbox.binding, &sandbox.inputs);
            values = Some(with_device(variant.device(), on)?);
        }
        let values = values.as_ref().expect("just made");
        let wrong = results.iter().zip(&outputs).find_map(|(v, found)| Some((v, difference(&values[v], found)?)));
        Ok(wrong.map(|(v, how)| NodeDifference {
            node: node_text(graph, v.node),
            how,
            inputs: operands(graph, v.node, values),
        }))
    };
    if let Some(found) = look(&nodes)? {
        return Ok(Some(found));
    }
    for id in nodes.iter().take(MOST_NODES) {
        if let Some(found) = look(std::slice::from_ref(id))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::traced::trace;
    use allotrope_ir::{UnaryOp, print};

    /// A pass that is wrong, in a part that only shows where nothing else uses the value.
    #[test]
    fn wrong_code_is_traced_to_its_node() {
        let w = Tensor::from_vec(vec![0.5f32, -1.0], &[2]);
        let f = trace(|x: &Tensor| ((x * &w).tanh() + 1.0).sum());
        let x = Tensor::from_vec(vec![1.0f32, 2.0], &[2]);
        let (entry, binding) = f.entry(&[&x]).unwrap();
        let variant = &entry.variant;
        let mut sandbox = Sandbox::new(variant, &[&x], binding).unwrap();
        let right = |g: &Graph| variant.optimize(g);
        assert!(wrong_node(variant, variant.captured(), &mut sandbox, &right).unwrap().is_none());
        let wrong = |g: &Graph| -> Graph { print(g).replace("= tanh ", "= sin ").parse().unwrap() };
        let found = wrong_node(variant, variant.captured(), &mut sandbox, &wrong).unwrap().unwrap();
        assert!(found.node.contains("= tanh %"), "{}", found.node);
        assert_eq!(found.inputs[0].1.to_vec::<f32>(), [0.5, -2.0]);
        // The same, only where the sum is the one output.
        let hidden = |g: &Graph| if g.outputs().len() == 1 { wrong(g) } else { variant.optimize(g) };
        let found = wrong_node(variant, variant.captured(), &mut sandbox, &hidden).unwrap().unwrap();
        assert!(found.node.contains("= tanh %"), "{}", found.node);
        assert!(variant.captured().nodes().any(|id| variant.captured().node(id).op == Op::Unary(UnaryOp::Tanh)));
    }
}
