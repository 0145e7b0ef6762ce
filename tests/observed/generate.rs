//! Draws programs and runs them in every mode. How often a trace may refuse what eager code does, and with which words, is
//! written down here.

use crate::compare::{HISTORY_ENDS, Outcome, compare, play};
use crate::program::{Action, Argument, Call, Fresh, Layout, Program};
use crate::seed;
use crate::step::{OPS, Step};
use crate::world::World;
use allotrope::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn fresh() -> impl Strategy<Value = Fresh> {
    let size = || prop_oneof![1 => Just(0u8), 2 => Just(1u8), 4 => Just(2u8), 4 => Just(3u8), 1 => Just(4u8)];
    let layout = prop_oneof![
        4 => Just(Layout::Dense),
        3 => Just(Layout::Transposed),
        1 => Just(Layout::Narrowed),
        1 => Just(Layout::Stepped),
        1 => Just(Layout::Expanded),
    ];
    let rank = prop_oneof![5 => Just(2u8), 2 => Just(1u8), 1 => Just(0u8)];
    ([size(), size()], rank, layout, 0..4u8, any::<u8>()).prop_map(|(shape, rank, layout, grad, seed)| Fresh {
        shape,
        rank,
        layout,
        // What is empty and needs a gradient is left out: whether it is changed in place differs between the modes as yet.
        requires_grad: grad > 1 && !shape[2 - usize::from(rank)..].contains(&0),
        history: grad == 3,
        seed,
    })
}

fn argument() -> impl Strategy<Value = Argument> {
    prop_oneof![
        12 => fresh().prop_map(Argument::Fresh),
        1 => Just(Argument::Parameter),
        1 => Just(Argument::ParameterGrad),
        1 => Just(Argument::Cell),
        1 => Just(Argument::First),
        1 => Just(Argument::View),
        1 => any::<u8>().prop_map(Argument::Result),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let at = any::<u8>;
    prop_oneof![
        2 => at().prop_map(Action::Exchange),
        3 => at().prop_map(Action::Change),
        1 => at().prop_map(Action::ChangeRecorded),
        3 => (at(), any::<bool>()).prop_map(|(of, retain)| Action::Backward { of, retain }),
        3 => (at(), at(), any::<bool>()).prop_map(|(of, by, create)| Action::Grad { of, by, create }),
        1 => (at(), at()).prop_map(|(kept, of)| Action::RetainGrad { kept, of }),
        1 => (at(), at()).prop_map(|(on, of)| Action::Hook { on, of }),
        1 => at().prop_map(Action::HoldGrad),
        1 => at().prop_map(Action::ClearGrad),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let op =
        prop::strategy::Union::new_weighted(OPS.iter().map(|(op, weight)| (*weight, Just(*op))).collect::<Vec<_>>());
    // Half of the time one of the latest.
    let place = || prop_oneof![0..3u8, any::<u8>()];
    (op, place(), place(), any::<[u8; 3]>(), 0..4u8).prop_map(|(op, a, b, n, plain)| Step {
        op,
        a,
        b,
        n,
        plain: plain == 0,
    })
}

fn programs() -> impl Strategy<Value = Program> {
    let some = |most| prop::collection::vec(action(), 0..=most);
    let call =
        (some(1), [argument(), argument()], some(2)).prop_map(|(before, args, after)| Call { before, args, after });
    let steps = prop::collection::vec(step(), 1..9);
    let returned = prop::collection::vec(prop_oneof![3 => 0..4u8, 1 => any::<u8>()], 1..4);
    (fresh(), any::<u8>(), steps, returned, prop::collection::vec(call, 5))
        .prop_map(|(parameter, cell, steps, returned, calls)| Program { parameter, cell, steps, returned, calls })
}

/// The words of refusals that docs/tracing.md lists.
const REFUSALS: &[&str] = &[
    "its history outside stays as it is",
    HISTORY_ENDS,
    "backward() inside the closure comes to argument",
    "whose elements share memory can't be changed in place",
    "shares storage with another one that the trace changes in place through a different view",
    "in a trace, the elements must be those of a tensor",
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Trace,
    /// Results without a history: gradients do not flow out of such calls.
    Dynamic,
}

/// Plays a program eagerly and in a mode: the refusal, where there was one.
fn check(program: &Program, mode: Mode) -> Result<Option<String>, String> {
    let detached = |results: Vec<Tensor>| match mode {
        Mode::Trace => results,
        Mode::Dynamic => results.iter().map(Tensor::detach).collect(),
    };
    let world = World::new(&program.parameter, program.cell);
    let eager = play(program, &world, |args| {
        catch_unwind(AssertUnwindSafe(|| detached(program.run(&world, args))))
            .map_err(|_| Error::Panic("the eager program".to_string()))
    });
    let world = World::new(&program.parameter, program.cell);
    let closure = |a: &Tensor, b: &Tensor| detached(program.run(&world, [a, b]));
    let other = match mode {
        Mode::Trace => {
            let f = trace(closure);
            play(program, &world, |[a, b]| f.call((a, b)))
        }
        Mode::Dynamic => {
            let f = trace_dynamic(closure);
            play(program, &world, |[a, b]| f.call((a, b)))
        }
    };
    match compare(&eager, &other) {
        Outcome::Same => Ok(None),
        Outcome::Refused(words) if REFUSALS.iter().any(|r| words.contains(r)) => Ok(Some(words)),
        Outcome::Refused(words) => Err(format!("{mode:?}: refused, which no limit says: {words}")),
        Outcome::Different(words) => Err(format!("{mode:?}: {words}")),
    }
}

#[test]
fn everything_observable_is_equal() {
    // Programs fail on purpose.
    std::panic::set_hook(Box::new(|_| {}));
    let refused: RefCell<BTreeMap<String, usize>> = RefCell::default();
    let config = Config { max_shrink_iters: 3000, ..seed::config(400) };
    let cases = config.cases as usize;
    let done = TestRunner::new(config).run(&programs(), |program| {
        for mode in [Mode::Trace, Mode::Dynamic] {
            let refusal = catch_unwind(AssertUnwindSafe(|| check(&program, mode)))
                .map_err(|_| TestCaseError::fail(format!("{mode:?}: a panic")))?
                .map_err(TestCaseError::fail)?;
            if let Some(words) = refusal {
                *refused.borrow_mut().entry(words).or_default() += 1;
            }
        }
        Ok(())
    });
    let _ = std::panic::take_hook();
    done.unwrap_or_else(|e| panic!("{e}"));
    let count: usize = refused.borrow().values().sum();
    assert!(count * 5 < cases * 2, "{count} of {} programs were refused: {:#?}", cases * 2, refused.borrow());
}
