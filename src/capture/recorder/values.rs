//! Values of a capture: primitives, numbers and Rust data become events. Nothing is computed.

use super::Capture;
use crate::capture::endpoints::Source;
use crate::capture::event::Event;
use crate::capture::event::EventOperand;
use crate::capture::event::Symbolic;
use crate::error::Error;
use crate::error::Result;
use crate::mode::recorder::ValueRecorder;
use crate::mode::values;
use crate::tensor::Size;
use crate::tensor::Strides;
use crate::tensor::Tensor;
use crate::tensor::TensorType;
use crate::tensor::operand::Operand;
use crate::tensor::size::hints;
use allotrope_ir::DType;
use allotrope_ir::Op;
use allotrope_ir::Scalar;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::panic::Location;

/// That there can be a result of the sizes that the program states, before a graph says them: whatever is beyond all numbers
/// of a graph is one number there, and no longer the one that was asked for.
fn can_exist(op: &Op<Size>, operands: &[Operand<'_>]) -> Result<()> {
    if let (Op::Broadcast(sizes) | Op::Reshape(sizes), [Operand::Tensor(x)]) = (op, operands) {
        TensorType::new(x.dtype(), hints(sizes))?;
    }
    if let Op::Iota(n) = op {
        TensorType::of(DType::I64, &[n.hint()])?;
    }
    Ok(())
}

impl ValueRecorder for Capture {
    fn record(&self, op: &Op<Size>, operands: &[Operand<'_>]) -> Result<Tensor> {
        can_exist(op, operands)?;
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let mut given: SmallVec<[EventOperand; 4]> = SmallVec::new();
        for operand in operands {
            given.push(match operand {
                Operand::Tensor(t) => EventOperand::Value(inner.lift(t)?),
                Operand::Scalar(s) => EventOperand::number(*s),
            });
        }
        // It held the first time, or the call has failed.
        if let (Op::Check(_), 1.., Some(EventOperand::Value(value))) = (op, inner.recomputing, given.first()) {
            let mut result = inner.tensor_of(at, *value)?;
            inner.follows(&mut result, op, operands);
            return Ok(result);
        }
        let made = inner.made(Event::Record { op: Symbolic(Cow::Borrowed(op)), operands: Cow::Borrowed(&given) })?;
        let mut result = inner.tensor(at, &made)?;
        inner.follows(&mut result, op, operands);
        Ok(result)
    }

    fn full(&self, sizes: &[Size], value: Scalar) -> Result<Tensor> {
        TensorType::new(value.dtype(), hints(sizes))?;
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let made =
            inner.made(Event::Full { sizes: Symbolic(Cow::Borrowed(sizes)), number: EventOperand::number(value) })?;
        inner.tensor(at, &made)
    }

    fn extent(&self, size: Size) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        let at = inner.current();
        let made = inner.made(Event::Extent(Symbolic(size)))?;
        inner.tensor(at, &made)
    }

    fn data(&self, tensor: Tensor, what: &str, at: &'static Location<'static>) -> Result<Tensor> {
        let mut inner = self.0.borrow_mut();
        if inner.replay.is_plain() {
            drop(inner);
            return Err(self.host_read(what, at));
        }
        inner.runs_on("trace", tensor.device())?;
        let count = inner.sources.iter().filter(|s| matches!(s, Source::Data(_))).count();
        let made = inner.argument(&tensor, ("data", count))?;
        let mut traced = inner.tensor(0, &made)?;
        let input = inner.sources.len();
        inner.shows_input(&mut traced, input, Strides::from_slice(tensor.laid_out()));
        inner.sources.push(Source::Data(tensor));
        Ok(traced)
    }

    fn host_read(&self, what: &str, at: &'static Location<'static>) -> Error {
        values::host_read(what, at)
    }
}
