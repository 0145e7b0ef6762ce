//! Compiled code run on copies of everything that it would touch: no tensor, gradient or generator is changed, so it can be
//! tried, timed and looked into.

use crate::backend::cpu::Compiled;
use crate::backend::cpu::Profile;
use crate::capture::captured::Source;
use crate::error::{Error, Result};
use crate::runtime::guards::Binding;
use crate::runtime::variant::Variant;
use crate::schedule::Failure;
use crate::tensor::storage::Buffer;
use crate::tensor::{Dims, Tensor, eval};
use allotrope_ir::Graph;

/// The inputs of one call, copied, with random numbers drawn as the call would draw them.
pub(crate) struct Apart {
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) binding: Binding,
    /// The states that the generators have after the draws.
    pub(crate) generators: Vec<Vec<u8>>,
}

impl Apart {
    /// What a call with these arguments would begin with.
    ///
    /// # Errors
    /// When an argument has no elements, or numbers cannot be drawn.
    pub(crate) fn new(variant: &Variant, args: &[&Tensor], binding: Binding) -> Result<Apart> {
        let wiring = variant.wiring();
        let mut drawn = match variant.wiring().draws.is_empty() {
            true => None,
            false => Some(wiring.draws.run(&variant.frame.fills, &wiring.sources, args, &binding)?),
        };
        let mut numbers = drawn.as_mut().map(|d| std::mem::take(&mut d.tensors)).unwrap_or_default().into_iter();
        let generators = variant.wiring().draws.generators.iter().map(|g| g.lock().to_bytes()).collect();
        if let Some(drawn) = drawn {
            drawn.undo();
        }
        let gone = || Error::Trace("a gradient went away while a call began".into());
        let mut inputs = Vec::new();
        for source in &variant.wiring().sources {
            inputs.push(match source {
                Source::Arg(i) => eval::copied(args[*i])?,
                Source::State(t) => eval::copied(t)?,
                Source::Grad(t) => eval::copied(&t.stored_grad().ok_or_else(gone)?)?,
                Source::ArgGrad(i) => eval::copied(&args[*i].stored_grad().ok_or_else(gone)?)?,
                Source::Data(t) => eval::copied(t)?,
                Source::Gradient => unreachable!("bug in allotrope: a gradient from outside is no input of the call"),
                Source::Draw => numbers.next().expect("bug in allotrope: an input was not drawn").1,
            });
        }
        Ok(Apart { inputs, binding, generators })
    }

    /// Runs code made of `graph`, whose inputs are these, and gives all its outputs, updates too. `time` is how many runs of
    /// kernels are listed, where they are timed.
    ///
    /// # Errors
    /// When a check of the program fails.
    pub(crate) fn run(
        &mut self,
        variant: &Variant,
        code: &Compiled,
        graph: &Graph,
        time: Option<usize>,
    ) -> Result<(Vec<Tensor>, Option<Profile>)> {
        loop {
            match self.attempt(code, graph, time) {
                Ok(done) => return Ok(done),
                Err(Failure::Check(message)) => return Err(Error::checked(&message)),
                Err(Failure::Iterations(limit)) => variant.make_room(&limit, &mut self.binding)?,
            }
        }
    }

    fn attempt(
        &self,
        code: &Compiled,
        graph: &Graph,
        time: Option<usize>,
    ) -> Result<(Vec<Tensor>, Option<Profile>), Failure> {
        let updated = |i: usize| graph.outputs().iter().position(|o| o.update == Some(i));
        let copy = |t: &Tensor| {
            let mut buffer = eval::buffer_for(t.dtype(), t.shape_hint().iter().product());
            if let Some(s) = t.strided() {
                buffer.bytes_mut().copy_from_slice(s.storage.read().bytes());
            }
            buffer
        };
        // Copies were made contiguous, in memory of their own.
        let mut inputs: Vec<Buffer> = self.inputs.iter().map(copy).collect();
        let types: Vec<(Dims, allotrope_ir::DType)> = graph
            .outputs()
            .iter()
            .map(|o| {
                let ty = graph.ty(o.value);
                (ty.shape.iter().map(|d| d.eval(&self.binding)).collect(), ty.dtype)
            })
            .collect();
        let mut outputs: Vec<Buffer> =
            types.iter().map(|(shape, dtype)| eval::buffer_for(*dtype, shape.iter().product())).collect();
        let mut scratch = Buffer::new(code.scratch_bytes(&self.binding));
        let mut call = code.call(&self.binding);
        for (i, buffer) in inputs.iter_mut().enumerate() {
            match updated(i) {
                Some(_) => call.input_mut(buffer.bytes_mut()),
                None => call.input(buffer.bytes()),
            }
        }
        for (buffer, o) in outputs.iter_mut().zip(graph.outputs()) {
            if o.update.is_none() {
                call.output(buffer.bytes_mut());
            }
        }
        let profile = match time {
            None => call.run(scratch.bytes_mut()).map(|()| None).map_err(Clone::clone)?,
            Some(most) => {
                let (done, profile) = call.run_profiled(scratch.bytes_mut(), most);
                done.map_err(Clone::clone)?;
                Some(profile)
            }
        };
        let mut results = Vec::new();
        for ((o, own), (shape, dtype)) in graph.outputs().iter().zip(outputs).zip(types) {
            let buffer = o.update.map_or(own, |i| std::mem::take(&mut inputs[i]));
            results.push(eval::fresh(dtype, &shape, buffer));
        }
        Ok((results, profile))
    }
}
