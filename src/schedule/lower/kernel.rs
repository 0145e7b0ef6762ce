//! Kernels with a place for each of their results, and copies: where a result would lie over an operand, whether it may, or
//! is computed elsewhere and copied.

use crate::schedule::buffer::{BufId, ScalarId};
use crate::schedule::error::ScheduleError;
use crate::schedule::info::KernelInfo;
use crate::schedule::instruction::Instruction;
use crate::schedule::lower::draft::{self, Dest, Draft};
use crate::schedule::lower::{Lower, Want, same_place};
use crate::schedule::view::{Base, View, is_one, is_zero};
use allotrope_ir::{Dim, Graph, Type, Value};
use rustc_hash::FxHashMap;

impl Lower {
    /// A fusion as one kernel, or node by node where one will not do.
    pub(super) fn fusion(
        &mut self,
        body: &Graph,
        inputs: &[View],
        wanted: &[Option<View>],
    ) -> Result<Vec<View>, ScheduleError> {
        let map: FxHashMap<Value, &View> = body.input_values().zip(inputs).collect();
        let known = |v: Value| map.get(&v).map(|v| (*v).clone());
        let results: Vec<Value> = body.outputs().iter().map(|o| o.value).collect();
        if let Some(draft) = draft::draft(body, &known, &results) {
            let types: Vec<Type> = results.iter().map(|v| body.ty(*v).clone()).collect();
            return Ok(self.kernel(draft, &types, wanted));
        }
        let clash =
            |l: &Lower, d: &View| inputs.iter().any(|x| x.buf().is_some_and(|b| l.may_alias(b, d.buf().unwrap_or(b))));
        let wants: Vec<Option<Want>> = (wanted.iter())
            .map(|w| w.as_ref().filter(|d| !clash(self, d)).map(|d| Want { view: d.clone(), over: None }))
            .collect();
        let mut views = self.graph(body, inputs, &wants)?;
        let late: Vec<(View, View)> = (views.iter().zip(wanted))
            .filter_map(|(v, w)| w.as_ref().filter(|w| !same_place(v, w)).map(|w| (v.clone(), w.clone())))
            .collect();
        self.copy_all(&late);
        for (view, want) in views.iter_mut().zip(wanted) {
            if let Some(want) = want {
                *view = want.clone();
            }
        }
        Ok(views)
    }

    /// Appends a kernel; its results lie in `wanted` where given.
    pub(super) fn kernel(&mut self, draft: Draft, types: &[Type], wanted: &[Option<View>]) -> Vec<View> {
        let mut dests = Vec::new();
        let mut views = Vec::new();
        let mut late = Vec::new();
        for (i, ty) in types.iter().enumerate() {
            let single = draft.is_single(i);
            let mut in_place = false;
            let mut view = wanted[i].clone();
            if let Some(want) = &view {
                match self.overlap(&draft, want) {
                    Overlap::None => {}
                    Overlap::Same => in_place = true,
                    Overlap::Clash => {
                        let temp = self.scratch(ty);
                        late.push((temp.clone(), want.clone()));
                        view = Some(temp);
                    }
                }
            }
            let scalar = single.then(|| {
                self.schedule.scalars.push(ty.dtype);
                ScalarId(self.schedule.scalars.len() as u32 - 1)
            });
            if view.is_none() && !single {
                view = Some(self.scratch(ty));
            }
            views.push(match scalar {
                Some(s) => View::scalar(Base::Scalar(s), ty.dtype).broadcast(&ty.shape),
                None => wanted[i].clone().or(view.clone()).expect("a result has a place"),
            });
            dests.push(Dest { view, in_place, scalar });
        }
        let (flops, bytes) = draft.cost(&dests);
        let number = self.info("k", &draft.ops(), &draft.shape().clone(), &flops, &bytes);
        let kernel = draft.finish(number, dests);
        self.instructions.push(Instruction::Kernel(Box::new(kernel)));
        for (from, to) in late {
            self.copy(&from, &to);
        }
        views
    }

    fn overlap(&self, draft: &Draft, want: &View) -> Overlap {
        let Some(dest) = want.buf() else { return Overlap::None };
        let mut found = Overlap::None;
        for leaf in draft.leaves() {
            let Some(b) = leaf.buf() else { continue };
            if !self.may_alias(b, dest) {
                continue;
            }
            let axes = draft.shape();
            let same = b == dest
                && leaf.offset == want.offset
                && want.shape == *axes
                && (0..axes.len()).all(|i| is_one(&axes[i]) || leaf.strides[i] == want.strides[i]);
            if !same {
                return Overlap::Clash;
            }
            found = Overlap::Same;
        }
        found
    }

    /// Runs `write` on `out`, or on a temporary copied there after, where `out` lies over an operand.
    pub(super) fn unaliased(&mut self, reads: &[&View], out: &View, write: impl FnOnce(&mut Lower, &View)) {
        let Some(dest) = out.buf() else { return };
        if reads.iter().any(|v| v.buf().is_some_and(|b| self.may_alias(b, dest))) {
            let temp = self.scratch(&Type { dtype: out.dtype, shape: out.shape.clone() });
            write(self, &temp);
            self.copy(&temp, out);
        } else {
            write(self, out);
        }
    }

    /// Appends a copy.
    pub(super) fn copy(&mut self, from: &View, to: &View) {
        let draft = Draft::copy(from, &to.shape);
        let dests = vec![Dest { view: Some(to.clone()), in_place: false, scalar: None }];
        let (flops, bytes) = draft.cost(&dests);
        let number = self.info("copy", "copy", &to.shape, &flops, &bytes);
        let kernel = draft.finish(number, dests);
        self.instructions.push(Instruction::Kernel(Box::new(kernel)));
    }

    /// The value in contiguous memory: as it is, or copied (always, where `fresh`).
    pub(super) fn materialise(&mut self, x: &View, fresh: bool) -> View {
        if !fresh && x.is_contiguous() {
            return x.clone();
        }
        let to = self.scratch(&Type { dtype: x.dtype, shape: x.shape.clone() });
        self.copy(x, &to);
        to
    }

    /// Records a kernel for people; gives its number.
    pub(super) fn info(&mut self, kind: &str, ops: &str, space: &[Dim], flops: &Dim, bytes: &Dim) -> usize {
        self.infos.push(KernelInfo {
            name: kind.to_string(),
            ops: ops.to_string(),
            space: space.to_vec(),
            flops: flops.clone(),
            bytes: bytes.clone(),
            in_loop: self.of_loop.is_some(),
            loops: Vec::new(),
        });
        self.infos.len() - 1
    }

    /// Copies as if all at once: a source that a copy overwrites, another one or its own in another order, is read
    /// first.
    pub(super) fn copy_all(&mut self, moves: &[(View, View)]) {
        let mut late = Vec::new();
        for (i, (from, to)) in moves.iter().enumerate() {
            let hit = |l: &Lower, b: BufId| {
                let own = |j: usize| j == i && from.is_contiguous();
                (moves.iter().enumerate()).any(|(j, (_, t))| !own(j) && l.may_alias(b, t.buf().unwrap_or(b)))
            };
            let from = match from.buf() {
                Some(b) if hit(self, b) => self.materialise(from, true),
                _ => from.clone(),
            };
            late.push((from, to));
        }
        for (from, to) in late {
            self.copy(&from, to);
        }
    }

    /// The value as a view of memory: as it is, or what is not repeated of it copied there.
    pub(super) fn in_memory(&mut self, x: &View) -> View {
        if x.buf().is_some() {
            return x.clone();
        }
        let mut once = x.clone();
        for (n, s) in once.shape.iter_mut().zip(&x.strides) {
            if is_zero(s) {
                *n = Dim::Fixed(1);
            }
        }
        let mut there = self.materialise(&once, true);
        for (s, old) in there.strides.iter_mut().zip(&x.strides) {
            if is_zero(old) {
                *s = Dim::Fixed(0);
            }
        }
        there.shape = x.shape.clone();
        there
    }
}

enum Overlap {
    None,
    /// The kernel reads and writes the same positions in the same order.
    Same,
    Clash,
}
