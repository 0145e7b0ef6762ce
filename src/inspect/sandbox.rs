//! Compiled code run on copies of everything that it would touch: no tensor, gradient or generator is changed, so it can be
//! tried, timed and looked into.

use crate::backend::Profile;
use crate::capture::endpoints::Source;
use crate::capture::symbols::Binding;
use crate::error::{Error, Result};
use crate::runtime::execute::{self, Code, Input, Stop};
use crate::runtime::variant::Variant;
use crate::tensor::{Tensor, eval};
use allotrope_ir::Graph;

/// The inputs of one call, copied, with random numbers drawn as the call would draw them.
pub(crate) struct Sandbox {
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) binding: Binding,
    /// The states that the generators have after the draws.
    pub(crate) generators: Vec<Vec<u8>>,
}

impl Sandbox {
    /// What a call with these arguments would begin with.
    ///
    /// # Errors
    /// When an argument has no elements, or numbers cannot be drawn.
    pub(crate) fn new(variant: &Variant, args: &[&Tensor], binding: Binding) -> Result<Sandbox> {
        let wiring = variant.wiring();
        let mut drawn = match variant.wiring().draws.is_empty() {
            true => None,
            false => Some(wiring.draws.run(variant.device(), &variant.signature.fills, &binding)?),
        };
        let mut numbers = drawn.as_mut().map(|d| std::mem::take(&mut d.tensors)).unwrap_or_default().into_iter();
        let generators = variant.wiring().draws.generators.iter().map(|g| g.lock().to_bytes()).collect();
        if let Some(drawn) = drawn {
            drawn.undo();
        }
        let taken = || Error::trace("a gradient was taken away while a call began");
        let mut inputs = Vec::new();
        for source in &variant.wiring().sources {
            inputs.push(match source {
                Source::Arg(i) => eval::copied(args[*i])?,
                Source::State(t) => eval::copied(t)?,
                Source::Grad(t) => eval::copied(&t.stored_grad().ok_or_else(taken)?)?,
                Source::ArgGrad(i) => eval::copied(&args[*i].stored_grad().ok_or_else(taken)?)?,
                Source::Data(t) => eval::copied(t)?,
                Source::Gradient => unreachable!("bug in allotrope: a gradient from outside is no input of the call"),
                Source::Draw => numbers.next().expect("bug in allotrope: an input was not drawn").1,
            });
        }
        Ok(Sandbox { inputs, binding, generators })
    }

    /// Runs code made of `graph`, whose inputs are these, and gives all its outputs, updates too. `time` is how many runs of
    /// kernels are listed, where they are timed.
    ///
    /// # Errors
    /// When a check of the program fails.
    pub(crate) fn run(
        &mut self,
        variant: &Variant,
        code: &Code,
        graph: &Graph,
        time: Option<usize>,
    ) -> Result<(Vec<Tensor>, Option<Profile>)> {
        loop {
            match self.attempt(code, graph, time) {
                Ok(done) => return Ok(done),
                Err(Stop::Error(e)) => return Err(e),
                Err(Stop::Full(limit)) => variant.grow_capacity(&limit, &mut self.binding)?,
            }
        }
    }

    fn attempt(&self, code: &Code, graph: &Graph, time: Option<usize>) -> Result<(Vec<Tensor>, Option<Profile>), Stop> {
        let copies = self.inputs.iter().map(eval::copied).collect::<Result<Vec<Tensor>>>()?;
        let written = |i: usize| graph.outputs().iter().any(|o| o.update == Some(i));
        let inputs = copies.iter().enumerate().map(|(i, t)| Input::new(t, written(i))).collect();
        let mut scratch = None;
        code.prepare(&self.binding, &mut scratch)?;
        let mut scratch = scratch.expect("made just now");
        let fresh = graph.outputs().iter().filter(|o| o.update.is_none());
        let fresh = fresh.map(|o| execute::output(code.device, graph.ty(o.value), &self.binding));
        let mut fresh = fresh.collect::<Result<Vec<Tensor>>>()?;
        let profile = execute::run(code, &self.binding, &inputs, &mut fresh, &mut scratch, time)?;
        let mut fresh = fresh.into_iter();
        let results = graph.outputs().iter().map(|o| match o.update {
            Some(i) => copies[i].clone(),
            None => fresh.next().expect("one for each output that updates nothing"),
        });
        Ok((results.collect(), profile))
    }
}
