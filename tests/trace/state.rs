//! State: parameters, buffers, moments, gradients, generators, settings, captured tensors that the closure changes in place.
//! Two traced functions share it with each other and with eager code in any order, and a call that fails changes nothing.

use crate::common::{bits, difference, draw, seeded};
use crate::seed;
use crate::traps::says;
use allotrope::functional::{BatchNormOptions, batch_norm};
use allotrope::optim::{Adam, Sgd, SgdOptions};
use allotrope::prelude::*;
use allotrope::tensor::{Flag, Generator, Setting};
use proptest::prelude::*;

/// Everything that a training loop may hold.
struct World {
    first: nn::Linear,
    second: nn::Linear,
    /// Scale and shift, running mean and variance.
    norm: [Tensor; 4],
    adam: Adam,
    sgd: Sgd,
    noise: Generator,
    training: Flag,
    steps: Setting<u32>,
    average: Tensor,
    /// A view of a larger tensor, changed in place.
    history: Tensor,
}

impl World {
    fn new() -> World {
        let _drawing = seeded(1);
        let (first, second) = (nn::Linear::new(3, 4), nn::Linear::new(4, 2));
        let norm = [
            draw(1, &[4]).requires_grad(),
            draw(2, &[4]).requires_grad(),
            Tensor::zeros(&[4], DType::F32),
            Tensor::ones(&[4], DType::F32),
        ];
        let momentum = SgdOptions { momentum: 0.9, ..Default::default() };
        World {
            adam: Adam::new(first.parameters().into_iter().chain(norm[..2].iter().cloned()).collect(), 0.01),
            sgd: Sgd::with_options(second.parameters(), 0.02, momentum),
            noise: Generator::new(7),
            training: Flag::new(true),
            steps: Setting::new(0),
            average: Tensor::zeros(&[2], DType::F64),
            history: draw(3, &[3, 2, 2]),
            first,
            second,
            norm,
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let training = self.training.get();
        let [weight, bias, mean, var] = &self.norm;
        let options = BatchNormOptions { weight: Some(weight), bias: Some(bias), training, ..Default::default() };
        let h = batch_norm(&self.first.forward(x), Some(mean), Some(var), options).tanh();
        let h = if training { &h * self.noise.bernoulli(&h.sigmoid().detach()) } else { h };
        self.second.forward(&h)
    }

    /// A step of both optimizers. `at` are rows of the history, which it changes.
    fn train(&self, x: &Tensor, y: &Tensor, at: &Tensor) -> Tensor {
        let loss = mse_loss(&self.forward(x), y);
        loss.backward();
        self.adam.step();
        self.sgd.step();
        no_grad(|| {
            let now = self.second.bias.as_ref().expect("it has one").to(DType::F64);
            self.average.mul_(0.9).add_(&(now * 0.1));
            self.history.select(0, 1).add_(&self.history.index(at).mean());
        });
        self.steps.set((self.steps.get() + 1) % 2);
        loss.detach()
    }

    /// Reads what the other changes, and changes what it reads.
    fn look(&self, x: &Tensor) -> (Tensor, Tensor) {
        no_grad(|| {
            let y = self.forward(x);
            self.history.narrow(1, 0, 1).mul_(0.5);
            self.first.weight.mul_(0.999);
            (y.mean() + self.noise.rand(&[], DType::F32), &self.average + self.history.sum())
        })
    }

    /// The bits of everything, and what the generators would give.
    fn everything(&self) -> Vec<Vec<u64>> {
        let parameters = self.first.parameters().into_iter().chain(self.second.parameters());
        let tensors: Vec<Tensor> = parameters.chain(self.norm.iter().cloned()).collect();
        let gradients: Vec<Vec<u64>> = tensors.iter().map(|t| t.grad().map_or_else(Vec::new, |g| bits(&g))).collect();
        let mut all: Vec<Vec<u64>> = tensors.iter().map(bits).chain(gradients).collect();
        all.extend(self.adam.state().iter().map(|(_, t)| bits(t)));
        all.extend([&self.average, &self.history, self.adam.lr(), self.sgd.lr()].map(bits));
        all.push(self.noise.get_state().iter().map(|b| u64::from(*b)).collect());
        all.push(vec![u64::from(self.training.get()), u64::from(self.steps.get())]);
        all
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Train {
        traced: bool,
        batch: usize,
    },
    Look {
        traced: bool,
        batch: usize,
    },
    /// Eager code in between.
    ZeroGrad,
    SetLr(u8),
    Turn,
    Change,
    /// A call that fails, eagerly not made at all.
    Fail(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let batch = 2usize..6;
    prop_oneof![
        4 => (any::<bool>(), batch.clone()).prop_map(|(traced, batch)| Act::Train { traced, batch }),
        4 => (any::<bool>(), batch).prop_map(|(traced, batch)| Act::Look { traced, batch }),
        2 => Just(Act::ZeroGrad),
        1 => (1u8..9).prop_map(Act::SetLr),
        1 => Just(Act::Turn),
        1 => Just(Act::Change),
        2 => (0u8..6).prop_map(Act::Fail),
    ]
}

/// Wrong calls: sizes, dtypes, an index out of range, elements that are changed under way, a panic in the closure.
fn wrong(i: u8) -> (Tensor, Tensor, Tensor) {
    let (x, y, at) = (draw(1, &[4, 3]), draw(2, &[4, 2]), Tensor::from_vec(vec![0i64, 2], &[2]));
    match i {
        0 => (x.narrow(1, 0, 2), y, at),
        1 => (x, y.narrow(0, 0, 3), at),
        2 => (x.to(DType::F64), y, at),
        3 => (x, y, Tensor::from_vec(vec![0i64, 3], &[2])),
        4 => (x, y, at.to(DType::F32)),
        _ => (x, y, Tensor::from_vec(vec![0i64, 1, 2], &[3])),
    }
}

fn run(acts: &[Act]) -> Result<(), TestCaseError> {
    let (world, twin) = (World::new(), World::new());
    let train = trace(|x: &Tensor, y: &Tensor, at: &Tensor| {
        let loss = world.train(x, y, at);
        assert!(at.size(0) != 3, "three rows are too many");
        loss
    });
    let look = trace(|x: &Tensor| world.look(x));
    let at = Tensor::from_vec(vec![0i64, 2], &[2]);
    for (i, act) in acts.iter().enumerate() {
        let seed = i as u64 * 10;
        match *act {
            Act::Train { traced, batch } => {
                let (x, y) = (draw(seed, &[batch, 3]), draw(seed + 1, &[batch, 2]));
                let wanted = twin.train(&x, &y, &at);
                let loss = if traced { train.call((&x, &y, &at)).unwrap() } else { world.train(&x, &y, &at) };
                prop_assert_eq!(difference(&loss, &wanted), None, "loss of act {}", i);
            }
            Act::Look { traced, batch } => {
                let x = draw(seed, &[batch, 3]);
                let wanted = twin.look(&x);
                let seen = if traced { look.call(&x).unwrap() } else { world.look(&x) };
                prop_assert_eq!(difference(&seen.0, &wanted.0), None, "first of act {}", i);
                prop_assert_eq!(difference(&seen.1, &wanted.1), None, "second of act {}", i);
            }
            Act::ZeroGrad => [&world, &twin].into_iter().for_each(|w| {
                w.adam.zero_grad();
                w.sgd.zero_grad();
            }),
            Act::SetLr(n) => [&world, &twin].into_iter().for_each(|w| w.adam.set_lr(f64::from(n) * 0.003)),
            Act::Turn => [&world, &twin].into_iter().for_each(|w| w.training.set(!w.training.get())),
            Act::Change => [&world, &twin].into_iter().for_each(|w| {
                no_grad(|| w.norm[0].mul_(1.01));
                w.average.add_(0.25);
                w.noise.rand(&[3], DType::F32);
            }),
            Act::Fail(n) => {
                let (x, y, at) = wrong(n);
                prop_assert!(train.call((&x, &y, &at)).is_err(), "wrong call {} went through", n);
            }
        }
        let (all, wanted) = (world.everything(), twin.everything());
        for (j, (a, b)) in all.iter().zip(&wanted).enumerate() {
            prop_assert_eq!(a, b, "state {} after act {}, {:?}", j, i, act);
        }
    }
    // Two phases of the count, two modes, gradients or none.
    prop_assert!(train.compilations() <= 8, "{} variants", train.compilations());
    prop_assert!(look.compilations() <= 2);
    Ok(())
}

proptest! {
    #![proptest_config(seed::config(24))]

    /// Two traced functions and eager code, in any order, on one world; and a twin on which everything is eager.
    #[test]
    fn any_order_of_calls(acts in prop::collection::vec(act(), 6..16)) {
        run(&acts)?;
    }
}

/// Every way to fail, before anything was compiled and after, in both modes of the world.
#[test]
fn calls_that_fail_change_nothing() {
    let needles: [&[&str]; 6] = [
        &["linear", "3"],
        &["mse_loss"],
        &["f32", "f64"],
        &["index", "outside its axis"],
        &["index", "f32"],
        &["panicked", "three rows are too many"],
    ];
    let world = World::new();
    let train = trace(|x: &Tensor, y: &Tensor, at: &Tensor| {
        let loss = world.train(x, y, at);
        assert!(at.size(0) != 3, "three rows are too many");
        loss
    });
    let (x, y, at) = (draw(5, &[4, 3]), draw(6, &[4, 2]), Tensor::from_vec(vec![0i64, 2], &[2]));
    for round in 0..3 {
        for (i, needles) in needles.iter().enumerate() {
            let before = world.everything();
            let (x, y, at) = wrong(i as u8);
            let text = train.call((&x, &y, &at)).expect_err("a wrong call went through").to_string();
            says(&text, needles);
            assert!(before == world.everything(), "round {round}, wrong call {i} changed something: {text}");
        }
        train.call((&x, &y, &at)).unwrap();
        world.training.set(round != 0);
    }
}

/// An argument may be a part of what the closure changes, and not know it.
#[test]
fn a_detached_part_of_what_is_changed() {
    let (world, twin) = (World::new(), World::new());
    let train = trace(|x: &Tensor, y: &Tensor, at: &Tensor| world.train(x, y, at));
    let part = |w: &World| w.history.reshape(&[6, 2]).narrow(0, 0, 4).detach();
    let (x, at) = (draw(1, &[4, 3]), Tensor::from_vec(vec![0i64, 2], &[2]));
    for round in 0..3 {
        twin.train(&x, &part(&twin), &at);
        train.call((&x, &part(&world), &at)).unwrap();
        assert!(world.everything() == twin.everything(), "round {round}");
    }
}

/// A traced function keeps what it needs alive: tensors may be dropped everywhere but in the closure.
#[test]
fn state_that_only_the_closure_has() {
    let f = {
        let (w, count) = (draw(1, &[3]), Tensor::scalar(0i64));
        trace(move |x: &Tensor| {
            count.add_(1);
            w.mul_(0.5);
            (x * &w, count.clone())
        })
    };
    let x = draw(2, &[3]);
    let mut w = draw(1, &[3]);
    for i in 1..5i64 {
        w = &w * 0.5;
        let (y, count) = f.call(&x).unwrap();
        assert_eq!(difference(&y, &(&x * &w)), None);
        assert_eq!(count.item::<i64>(), i);
    }
    assert_eq!(f.compilations(), 1);
}
