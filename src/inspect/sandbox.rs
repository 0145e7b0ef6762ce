//! Compiled code run on copies of everything that it would touch: no tensor, gradient or generator is changed, so it can be
//! tried, timed and looked into.

use crate::backend::{Executable, Failure, Input, Memory, Profile, Stop};
use crate::capture::captured::Source;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::runtime::guards::Binding;
use crate::runtime::variant::Variant;
use crate::tensor::{Dims, Tensor, eval};
use allotrope_ir::{Graph, Output};

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
            false => Some(wiring.draws.run(variant.device(), &variant.frame.fills, &wiring.sources, args, &binding)?),
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
        code: &dyn Executable,
        graph: &Graph,
        time: Option<usize>,
    ) -> Result<(Vec<Tensor>, Option<Profile>)> {
        loop {
            match self.attempt(variant.device(), code, graph, time) {
                Ok(done) => return Ok(done),
                Err(Stop::Failed(Failure::Check(message))) => return Err(Error::checked(&message)),
                Err(Stop::Failed(Failure::Iterations(limit))) => variant.make_room(&limit, &mut self.binding)?,
                Err(Stop::Device(e)) => return Err(e),
            }
        }
    }

    fn attempt(
        &self,
        device: Device,
        code: &dyn Executable,
        graph: &Graph,
        time: Option<usize>,
    ) -> Result<(Vec<Tensor>, Option<Profile>), Stop> {
        const OWN: &str = "bug in allotrope: a copy is in other hands";
        let updated = |i: usize| graph.outputs().iter().any(|o| o.update == Some(i));
        // Contiguous, in memory of their own.
        let mut inputs = self.inputs.iter().map(eval::copied).collect::<Result<Vec<Tensor>>>().map_err(Stop::Device)?;
        let fresh = |o: &Output| {
            let ty = graph.ty(o.value);
            let shape: Dims = ty.shape.iter().map(|d| d.eval(&self.binding)).collect();
            eval::empty(device, ty.dtype, &shape)
        };
        let made = graph.outputs().iter().filter(|o| o.update.is_none()).map(fresh);
        let mut made = made.collect::<Result<Vec<Tensor>>>().map_err(Stop::Device)?;
        let mut scratch = code.scratch(code.scratch_bytes(&self.binding)).map_err(Stop::Device)?;
        let mut read: Vec<Input<'_>> = Vec::with_capacity(inputs.len());
        for (i, input) in inputs.iter_mut().enumerate() {
            let memory = input.own_memory().expect(OWN);
            let bytes = 0..memory.bytes();
            read.push(if updated(i) { Input::Update(memory, bytes) } else { Input::Read(memory, bytes) });
        }
        let mut written: Vec<&mut Memory> = made.iter_mut().map(|t| t.own_memory().expect(OWN)).collect();
        let profile = match time {
            None => code.run(&self.binding, &mut read, &mut written, &mut scratch).map(|()| None)?,
            Some(most) => Some(code.run_profiled(&self.binding, &mut read, &mut written, &mut scratch, most)?),
        };
        drop((read, written));
        let mut made = made.into_iter();
        let result = |o: &Output| match o.update {
            Some(i) => inputs[i].clone(),
            None => made.next().expect("one for each output that updates none"),
        };
        Ok((graph.outputs().iter().map(result).collect(), profile))
    }
}
