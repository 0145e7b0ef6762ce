//! Loops and branches of a capture: where their bodies begin and end. How often a body runs is the graph's to say.

use super::Capture;
use crate::capture::event::Answer;
use crate::capture::event::Event;
use crate::capture::event::EventOperand;
use crate::capture::event::Loop;
use crate::capture::event::Symbolic;
use crate::capture::state::Open;
use crate::error::Result;
use crate::mode::recorder::LoopRecorder;
use crate::mode::recorder::loops::Iterations;
use crate::mode::recorder::loops::ScanBody;
use crate::mode::recorder::loops::ScanSpec;
use crate::tensor::Tensor;
use allotrope_ir::LoopKind;
use allotrope_ir::Scalar;
use allotrope_ir::Value;
use std::borrow::Cow;

impl LoopRecorder for Capture {
    fn scan_begin(&self, spec: &ScanSpec<'_>) -> Result<ScanBody> {
        let mut inner = self.0.borrow_mut();
        let carries = spec.carries.iter().map(|t| inner.lift(t)).collect::<Result<_>>()?;
        let xs = spec.xs.iter().map(|t| inner.lift(t)).collect::<Result<_>>()?;
        let mirror = spec.mirror.map(|scope| (scope - inner.first) as usize);
        let (kind, limit, count) = match spec.iterations {
            Iterations::All(length) => (LoopKind::All, Some(length), None),
            Iterations::Count { n, limit } => (LoopKind::Count, Some(limit), Some(inner.lift(n)?)),
            Iterations::While => (LoopKind::While, None, None),
        };
        let reverse = spec.reverse;
        let begin = Loop { carries, xs, kind, limit: Symbolic(limit), count, reverse, mirror };
        let (made, length) = match inner.replay.ask(Event::Begin(Cow::Owned(begin)))? {
            Answer::Begun(made, Symbolic(limit)) => (made, limit),
            other => unreachable!("bug in allotrope: no loop but {other:?}"),
        };
        let scope = inner.scopes;
        inner.scopes += 1;
        inner.open.push(Open { scope, length, reverse, kind, carries: spec.carries.to_vec() });
        inner.draws.push(Vec::new());
        let inside = made.iter().map(|made| inner.tensor(scope, made));
        let mut carries = inside.collect::<Result<Vec<Tensor>>>()?;
        for (i, (inside, outside)) in carries.iter_mut().zip(spec.carries.iter().chain(spec.xs)).enumerate() {
            inner.enters_loop(inside, outside, (i < spec.carries.len()).then_some((scope, i)));
        }
        let xs = carries.split_off(spec.carries.len());
        Ok(ScanBody { carries, xs, scope: inner.first + scope as u64, limit: length })
    }

    fn scan_end(&self, carries: &[Tensor], ys: &[Tensor]) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let mut inner = self.0.borrow_mut();
        let values = carries.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>()?;
        let collected = ys.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>()?;
        if let Err(e) = inner.carries_lie_alike(carries) {
            drop(inner);
            self.scan_abandon();
            return Err(e);
        }
        let made = inner.many(Event::End { carries: Cow::Borrowed(&values), ys: Cow::Borrowed(&collected) })?;
        inner.leave_loop();
        let at = inner.current();
        let mut results = made.iter().map(|made| inner.tensor(at, made));
        let finals = results.by_ref().take(carries.len()).collect::<Result<_>>()?;
        Ok((finals, results.collect::<Result<_>>()?))
    }

    fn branch_end(&self, results: &[Tensor], otherwise: Option<&[Tensor]>) -> Result<Vec<Tensor>> {
        let mut inner = self.0.borrow_mut();
        let body = inner.current();
        let values = results.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>()?;
        inner.replay.ask(Event::Results(Cow::Borrowed(&values)))?;
        // What it begins with is computed around it.
        inner.replay.ask(Event::Leave)?;
        let open = inner.open.pop().expect("a branch is open");
        let begin = match otherwise {
            Some(tensors) => tensors.iter().map(|t| inner.lift(t)).collect::<Result<Vec<Value>>>(),
            None => results
                .iter()
                .map(|t| {
                    let zero = EventOperand::number(Scalar::from_f64(0.0, t.dtype()));
                    Ok(inner.made(Event::Full { sizes: Symbolic(Cow::Borrowed(&t.sizes())), number: zero })?.value)
                })
                .collect(),
        };
        inner.open.push(open);
        inner.replay.ask(Event::Enter(body))?;
        let made = inner.many(Event::EndBranch(Cow::Owned(begin?)))?;
        inner.leave_loop();
        let at = inner.current();
        made.iter().map(|made| inner.tensor(at, made)).collect()
    }

    fn scan_abandon(&self) {
        let mut inner = self.0.borrow_mut();
        if !inner.open.is_empty() {
            inner.certainly(Event::Abandon);
            inner.leave_loop();
        }
    }
}
