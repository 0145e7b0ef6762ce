//! Random programs of loops and branches in each other, with numbers of steps and choices that each call draws anew.

use crate::common::draw;
use crate::seed;
use crate::{Both, leaf, repeat};
use allotrope::prelude::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Part {
    Op(u8),
    Scan(Vec<Part>, bool),
    /// As often as the count of that number says.
    While(Vec<Part>, usize),
    /// As long as the state is small.
    Until(Vec<Part>),
    /// As the choice of that number says.
    Cond(Vec<Part>, Vec<Part>, usize),
    /// As the state says.
    CondOfState(Vec<Part>, Vec<Part>),
}

const COUNTS: usize = 3;

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let leaf = any::<u8>().prop_map(Part::Op);
    let part = leaf.prop_recursive(3, 24, 3, |inner| {
        let body = prop::collection::vec(inner, 1..4);
        prop_oneof![
            2 => any::<u8>().prop_map(Part::Op),
            1 => (body.clone(), any::<bool>()).prop_map(|(b, r)| Part::Scan(b, r)),
            2 => (body.clone(), 0..COUNTS).prop_map(|(b, k)| Part::While(b, k)),
            1 => body.clone().prop_map(Part::Until),
            2 => (body.clone(), body.clone(), 0..COUNTS).prop_map(|(a, b, k)| Part::Cond(a, b, k)),
            1 => (body.clone(), body).prop_map(|(a, b)| Part::CondOfState(a, b)),
        ]
    });
    prop::collection::vec(part, 1..4)
}

/// What a program computes with: two vectors that it changes, and what it only reads.
struct World<'a> {
    w: &'a [Tensor],
    xs: &'a Tensor,
    counts: Vec<Tensor>,
    choices: Vec<Tensor>,
}

type State = (Tensor, Tensor);

fn run(parts: &[Part], world: &World<'_>, state: State) -> State {
    parts.iter().fold(state, |(x, y), part| match part {
        Part::Op(op) => {
            let w = &world.w[*op as usize % 3];
            let z = match op / 3 % 8 {
                0 => &x * w + &y,
                1 => (&x + &y).tanh(),
                2 => (&x * &y).sin() + w,
                3 => &x - w * 0.5,
                4 => w.outer(&x).matmul(&y.unsqueeze(1)).squeeze(1) * 0.1,
                5 => x.maximum(&y) / (1.0 + w * w),
                6 => allotrope::ops::where_(&x.gt(&y), &x, &(&y * 0.5)),
                _ => (x.sum() * 0.1 + &y).cos(),
            };
            (y, z)
        }
        Part::Scan(body, reverse) => {
            let step = |s: State, x: Tensor| {
                let s = run(body, world, (s.0 + x, s.1));
                (s.clone(), &s.0 * &s.1)
            };
            let xs = world.xs.clone();
            let (s, ys) = if *reverse { scan_reverse((x, y), xs, step) } else { scan((x, y), xs, step) };
            (s.0, s.1 + ys.sum_dim(&[0], false) * 0.1)
        }
        Part::While(body, k) => repeat(&world.counts[*k], (x, y), |s| run(body, world, s)),
        Part::Until(body) => {
            let (_, x, y) = while_loop(
                |(i, x, _)| i.lt(4).logical_and(&(&x * &x).sum().lt(2.0)),
                |(i, x, y)| {
                    let (x, y) = run(body, world, (x, y));
                    (i + 1, x + 0.25, y)
                },
                (Tensor::scalar(0i64), x, y),
            );
            (x, y)
        }
        Part::Cond(a, b, k) => cond(&world.choices[*k], |s| run(a, world, s), |s| run(b, world, s), (x, y)),
        Part::CondOfState(a, b) => cond(&x.sum().gt(&y.sum()), |s| run(a, world, s), |s| run(b, world, s), (x, y)),
    })
}

#[derive(Clone, Debug)]
struct Call {
    counts: Vec<i64>,
    choices: Vec<bool>,
    size: usize,
    length: usize,
    seed: u64,
}

fn call() -> impl Strategy<Value = Call> {
    let counts = prop::collection::vec(prop_oneof![4 => 0i64..4, 1 => 14i64..20], COUNTS);
    let choices = prop::collection::vec(any::<bool>(), COUNTS);
    (counts, choices, 2usize..4, 1usize..4, any::<u64>()).prop_map(|(counts, choices, size, length, seed)| Call {
        counts,
        choices,
        size,
        length,
        seed,
    })
}

proptest! {
    #![proptest_config(seed::config(48))]

    #[test]
    fn any_program_gives_equal_bits_and_compiles_once(parts in parts(), calls in prop::collection::vec(call(), 3)) {
        let program = parts.clone();
        let mut both = Both::new(move |a: &[Tensor]| {
            let each = |t: &Tensor| (0..COUNTS as isize).map(|i| t.select(0, i)).collect::<Vec<Tensor>>();
            let world = World { w: &a[2..5], xs: &a[5], counts: each(&a[6]), choices: each(&a[7]) };
            let (x, y) = run(&program, &world, (a[0].clone(), a[1].clone()));
            let loss = (&x * &x).sum() + (&x * &y).sum();
            let found = grad(&[&loss], &a[..6].iter().collect::<Vec<_>>(), false).unwrap();
            let mut out = vec![x.detach(), y.detach()];
            // Which of them there are is the program's affair, not the call's.
            out.extend(found.iter().map(|g| Tensor::scalar(g.is_some())));
            out.extend(found.into_iter().flatten());
            out
        });
        for c in calls {
            let v = |i: u64| leaf(draw(c.seed.wrapping_add(i), &[c.size]));
            let mut args: Vec<Tensor> = (0..5).map(v).collect();
            args.push(leaf(draw(c.seed.wrapping_add(9), &[c.length, c.size])));
            args.push(Tensor::from_vec(c.counts, &[COUNTS]));
            args.push(Tensor::from_vec(c.choices, &[COUNTS]));
            both.run(&args);
        }
        prop_assert_eq!(both.compilations(), 1);
    }
}
