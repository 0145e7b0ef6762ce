//! Which tensors that a call meets may be one tensor, or show the same elements. A recording takes its arguments, what it
//! captures and the gradients of both for tensors apart; where the program's meaning depends on that, a call in which they are
//! not apart is recorded with that memory known by identity, as captured tensors are. Recording and guards ask the same
//! question here, and nothing is recorded here.

use crate::capture::captured::{Dependencies, Wiring};
use crate::capture::endpoints::{CallerTensor, Source, Target};
use crate::tensor::Tensor;
use rustc_hash::FxHashSet;
use smallvec::SmallVec;
use std::sync::Arc;

/// What an argument is in a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// A tensor apart from all others.
    Apart,
    /// The same tensor as an argument before it.
    SameAs(usize),
    /// A tensor that is known by identity, as those that the closure captures.
    Captured,
}

/// How the arguments of a call are given to a recording.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct ArgumentPlan {
    pub(crate) given: SmallVec<[Given; 8]>,
    /// Memory that is known by identity, whoever shows it.
    pub(crate) known: SmallVec<[usize; 2]>,
}

/// The identity of a tensor's memory.
fn memory(t: &Tensor) -> usize {
    t.strided().map_or(0, |s| Arc::as_ptr(&s.storage) as usize)
}

impl ArgumentPlan {
    /// The plan for arguments of which nothing is known but themselves: one that needs a gradient has one gradient, however
    /// often it is passed.
    pub(crate) fn of(args: &[&Tensor]) -> ArgumentPlan {
        let first = |i: usize| args[..i].iter().position(|a| a.id() == args[i].id());
        let given = |i: usize| match args[i].is_requires_grad().then(|| first(i)).flatten() {
            Some(j) => Given::SameAs(j),
            None => Given::Apart,
        };
        ArgumentPlan { given: (0..args.len()).map(given).collect(), known: SmallVec::new() }
    }

    /// The plan in which this memory is known by identity too.
    pub(crate) fn with_known(&self, args: &[&Tensor], memories: &[usize]) -> ArgumentPlan {
        let mut plan = self.clone();
        for &m in memories {
            if !plan.known.contains(&m) {
                plan.known.push(m);
            }
        }
        for (given, a) in plan.given.iter_mut().zip(args) {
            if plan.known.contains(&memory(a)) {
                *given = Given::Captured;
            }
        }
        plan
    }

    /// The plan in which that of these memories is known by identity which an argument shows.
    pub(crate) fn with_known_of(&self, args: &[&Tensor], memories: &[usize]) -> ArgumentPlan {
        let shown = memories.iter().copied().filter(|m| args.iter().any(|a| memory(a) == *m));
        self.with_known(args, &shown.collect::<SmallVec<[usize; 2]>>())
    }

    /// The plan in which two tensors are not apart that have to be.
    pub(crate) fn with(&self, args: &[&Tensor], shared: Shared) -> ArgumentPlan {
        match shared {
            Shared::Argument(i, Some(j)) => {
                let mut plan = self.clone();
                plan.given[i] = Given::SameAs(j);
                plan
            }
            Shared::Argument(i, None) => self.with_known(args, &[memory(args[i])]),
            Shared::Memory(memory) => self.with_known(args, &[memory]),
        }
    }

    /// Where a recording has failed, for whatever reason: the plan in which all memory is known by identity that an argument shares with
    /// something else.
    pub(crate) fn cautious(
        &self,
        args: &[&Tensor],
        captured: &[impl std::ops::Deref<Target = Tensor>],
    ) -> ArgumentPlan {
        let elsewhere = |i: usize| {
            let m = memory(args[i]);
            let arguments = args.iter().enumerate().any(|(j, a)| j != i && memory(a) == m);
            let gradients = args.iter().copied().chain(captured.iter().map(|t| &**t)).filter_map(Tensor::stored_grad);
            arguments || captured.iter().any(|t| memory(t) == m) || gradients.into_iter().any(|g| memory(&g) == m)
        };
        let shared: SmallVec<[usize; 2]> = (0..args.len())
            .filter(|&i| self.given[i] == Given::Apart && elsewhere(i))
            .map(|i| memory(args[i]))
            .collect();
        self.with_known(args, &shared)
    }
}

/// Two tensors that are not apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shared {
    /// This argument; and if it is the same tensor as another argument, that one.
    Argument(usize, Option<usize>),
    /// Two that are no arguments show the elements of this memory.
    Memory(usize),
}

/// An argument that a recording took for a tensor apart.
struct ApartArgument {
    number: usize,
    /// Whether it matters that it is no tensor which is met in another way: it has or gets a gradient.
    identity: bool,
    /// Whether the program changes it in place.
    changed: bool,
}

/// What of a recording must be apart.
#[derive(Default)]
pub(crate) struct Sharing {
    apart: Vec<ApartArgument>,
    /// The memory of captured tensors that the program changes in place.
    changed: FxHashSet<usize>,
    /// The captured tensors by identity, and their memory.
    captured: FxHashSet<usize>,
    memories: FxHashSet<usize>,
    /// Tensors whose gradient is read, and whether that gradient is changed in place.
    grads: Vec<(CallerTensor, bool)>,
    /// Whether any argument or gradient is changed in place.
    changes_given: bool,
}

impl Sharing {
    /// What must be apart of a recording where arguments were given like this.
    pub(crate) fn of(
        wiring: &Wiring,
        dependencies: &Dependencies,
        given: &[Given],
        requires_grad: impl Fn(usize) -> bool,
    ) -> Sharing {
        let of_arg = |t: &CallerTensor, i: usize| matches!(t, CallerTensor::Arg(j) if *j == i);
        let gets = |i: usize| {
            wiring.targets.iter().any(|t| matches!(t, Target::ArgGrad(j) if *j == i))
                || wiring.grads.iter().any(|(t, _)| of_arg(t, i))
                || wiring.cleared_args.contains(&i)
                || dependencies.arg_grads.iter().any(|(j, _)| *j == i)
        };
        let apart = |i: usize| ApartArgument {
            number: i,
            identity: requires_grad(i) || gets(i) || wiring.histories.iter().any(|(t, _)| of_arg(t, i)),
            changed: wiring.targets.iter().any(|t| matches!(t, Target::Arg(j) if *j == i)),
        };
        let apart: Vec<ApartArgument> = (0..given.len()).filter(|&i| given[i] == Given::Apart).map(apart).collect();
        let mut sharing = Sharing { apart, ..Sharing::default() };
        for target in &wiring.targets {
            match target {
                Target::State { tensor } => _ = sharing.changed.insert(memory(tensor)),
                Target::GradElements(_) | Target::Arg(_) => sharing.changes_given = true,
                Target::Return | Target::Save | Target::Grad(_) | Target::ArgGrad(_) => {}
            }
        }
        let changed = |of: &CallerTensor| {
            let is = |t: &Target| matches!(t, Target::GradElements(t) if t.is_same(of));
            wiring.targets.iter().any(is)
        };
        // Most programs ask for neither, and `trace_dynamic` comes here on every call.
        let compared = sharing.changes_given || sharing.apart.iter().any(|a| a.identity);
        let mut captured = |t: &Tensor| {
            if compared {
                sharing.captured.insert(t.id());
                sharing.memories.insert(memory(t));
            }
        };
        for source in &wiring.sources {
            match source {
                Source::State(t) => captured(t),
                Source::Grad(t) => {
                    let of = CallerTensor::Captured(t.clone());
                    sharing.grads.push((of.clone(), changed(&of)));
                }
                Source::ArgGrad(i) => sharing.grads.push((CallerTensor::Arg(*i), changed(&CallerTensor::Arg(*i)))),
                Source::Arg(_) | Source::Draw | Source::Data(_) | Source::Gradient => {}
            }
        }
        dependencies.touched.iter().for_each(|t| captured(t));
        sharing
    }

    /// That the arguments of a call are apart as far as they must be.
    ///
    /// # Errors
    /// The first that is not.
    pub(crate) fn check(&self, args: &[&Tensor]) -> Result<(), Shared> {
        for (n, a) in self.apart.iter().enumerate() {
            let arg = args[a.number];
            if !self.changed.is_empty() && self.changed.contains(&memory(arg)) {
                return Err(Shared::Argument(a.number, None));
            }
            if a.identity {
                // Most tensors are captured by nobody.
                if arg.is_kept_by_trace() && self.captured.contains(&arg.id()) {
                    return Err(Shared::Argument(a.number, None));
                }
                if let Some(b) = self.apart[..n].iter().find(|b| args[b.number].id() == arg.id()) {
                    return Err(Shared::Argument(a.number, Some(b.number)));
                }
            }
        }
        if self.changes_given { self.check_given(args) } else { Ok(()) }
    }

    /// That no memory of a given tensor which is changed in place is met in another way.
    fn check_given(&self, args: &[&Tensor]) -> Result<(), Shared> {
        for a in self.apart.iter().filter(|a| a.changed) {
            let m = memory(args[a.number]);
            if let Some(b) = self.apart.iter().find(|b| b.number != a.number && memory(args[b.number]) == m) {
                let (first, last) = (a.number.min(b.number), a.number.max(b.number));
                let same = args[first].id() == args[last].id();
                return Err(Shared::Argument(last, same.then_some(first)));
            }
            let gradient = |(of, _): &(CallerTensor, bool)| of.of(args).stored_grad().is_some_and(|g| memory(&g) == m);
            if self.memories.contains(&m) || self.grads.iter().any(gradient) {
                return Err(Shared::Argument(a.number, None));
            }
        }
        for (i, (of, _)) in self.grads.iter().enumerate().filter(|(_, (_, changed))| *changed) {
            let Some(m) = of.of(args).stored_grad().map(|g| memory(&g)) else { continue };
            if let Some(a) = self.apart.iter().find(|a| memory(args[a.number]) == m) {
                return Err(Shared::Argument(a.number, None));
            }
            let same = |(j, (of, _)): (usize, &(CallerTensor, bool))| {
                j != i && of.of(args).stored_grad().is_some_and(|g| memory(&g) == m)
            };
            if self.memories.contains(&m) || self.grads.iter().enumerate().any(same) {
                return Err(Shared::Memory(m));
            }
        }
        Ok(())
    }

    /// As [`Sharing::check`], and that no gradient shares the memory of a captured tensor that is changed: of many captured
    /// tensors that is asked when they are recorded, and by each call for itself.
    ///
    /// # Errors
    /// As [`Sharing::check`].
    pub(crate) fn check_all(&self, args: &[&Tensor]) -> Result<(), Shared> {
        self.check(args)?;
        for (of, _) in self.grads.iter().filter(|_| !self.changed.is_empty()) {
            match of.of(args).stored_grad().map(|g| memory(&g)) {
                Some(m) if self.changed.contains(&m) => return Err(Shared::Memory(m)),
                _ => {}
            }
        }
        Ok(())
    }
}
