//! Everything that a call reads or changes, as it was before, and putting it back. Nothing is run here.

use crate::capture::endpoints::{CallerTensor, Source, Target};
use crate::error::{Error, Result};
use crate::inspect::compare::difference;
use crate::kernels::rng::Mt19937;
use crate::mode::recorder::settings::HostValue;
use crate::runtime::variant::Variant;
use crate::tensor::grad_fn::Edge;
use crate::tensor::{Generator, Tensor, eval};
use std::sync::Arc;

/// A tensor that a call reads or changes, as it was before.
pub(super) struct Touched {
    pub(super) what: String,
    /// Its number, where it is an argument.
    pub(super) argument: Option<usize>,
    pub(super) tensor: Tensor,
    pub(super) elements: Tensor,
    pub(super) grad: Option<(Tensor, Tensor)>,
    /// Whether it required a gradient, and what it was computed by.
    history: (bool, Option<Edge>),
}

/// Everything that a call reads or changes, as it was before.
pub(super) struct Snapshot {
    pub(super) touched: Vec<Touched>,
    pub(super) generators: Vec<(Generator, Mt19937)>,
    pub(super) settings: Vec<Arc<dyn HostValue>>,
}

/// The values on the host that a call leaves behind: those that it sets, and those that it only reads.
pub(super) fn settings(variant: &Variant) -> impl Iterator<Item = &Arc<dyn HostValue>> {
    let set = |v: &&Arc<dyn HostValue>| !variant.wiring().effects.iter().any(|e| e.id() == v.id());
    variant.wiring().effects.iter().chain(variant.guards.host_values.iter().filter(set))
}

impl Snapshot {
    pub(super) fn new(variant: &Variant, args: &[&Tensor]) -> Result<Snapshot> {
        let mut touched: Vec<Touched> = Vec::new();
        let mut add = |what: String, argument: Option<usize>, tensor: &Tensor| -> Result<()> {
            if touched.iter().any(|t| t.tensor.is_same(tensor)) {
                return Ok(());
            }
            let grad = tensor.stored_grad();
            let grad = grad.map(|g| Ok::<_, Error>((g.clone(), eval::copied(&g)?))).transpose()?;
            let history = (tensor.stored_requires_grad(), tensor.grad_fn());
            let elements = eval::copied(tensor)?;
            touched.push(Touched { what, argument, elements, tensor: tensor.clone(), grad, history });
            Ok(())
        };
        for (i, a) in args.iter().enumerate() {
            add(format!("argument {i}"), Some(i), a)?;
        }
        let outside = |t: &Tensor| format!("a captured tensor of shape {:?}", t.shape_hint());
        for (source, input) in variant.wiring().sources.iter().zip(variant.captured().inputs()) {
            match source {
                Source::State(t) => add(format!("{:?}, {}", input.name, outside(t)), None, t)?,
                Source::Grad(t) => add(outside(t), None, t)?,
                Source::Arg(_) | Source::ArgGrad(_) | Source::Draw | Source::Data(_) | Source::Gradient => {}
            }
        }
        for target in &variant.wiring().targets {
            if let Target::State { tensor }
            | Target::Grad(tensor)
            | Target::GradElements(CallerTensor::Captured(tensor)) = target
            {
                add(outside(tensor), None, tensor)?;
            }
        }
        for (of, _) in &variant.wiring().grads {
            if let CallerTensor::Captured(tensor) = of {
                add(outside(tensor), None, tensor)?;
            }
        }
        variant.wiring().cleared.iter().try_for_each(|t| add(outside(t), None, t))?;
        for (of, _) in &variant.wiring().histories {
            if let CallerTensor::Captured(tensor) = of {
                add(outside(tensor), None, tensor)?;
            }
        }
        let generators = variant.wiring().draws.generators.iter().map(|g| (g.clone(), g.lock().clone())).collect();
        let settings = settings(variant).map(|v| v.now()).collect();
        Ok(Snapshot { touched, generators, settings })
    }

    /// Puts everything back that is not as it was.
    pub(super) fn restore(&self) -> Result<()> {
        for t in &self.touched {
            put_back(&t.tensor, &t.elements)?;
            if let Some((grad, elements)) = &t.grad {
                put_back(grad, elements)?;
            }
            t.tensor.store_grad(t.grad.as_ref().map(|(g, _)| g.clone()));
            let (requires_grad, edge) = &t.history;
            if t.tensor.has_grad_fn() != edge.is_some() {
                t.tensor.set_grad_fn(edge.clone());
            }
            t.tensor.store_requires_grad(*requires_grad);
        }
        self.generators.iter().for_each(|(g, state)| *g.lock() = state.clone());
        self.settings.iter().for_each(|v| v.apply());
        Ok(())
    }
}

/// Only where they differ: changing a tensor in place would end what was recorded of it on a tape.
fn put_back(t: &Tensor, elements: &Tensor) -> Result<()> {
    match difference(&eval::copied(t)?, elements) {
        Some(_) => eval::assign(t, elements),
        None => Ok(()),
    }
}
