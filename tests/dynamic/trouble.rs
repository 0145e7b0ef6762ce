//! Calls that fail half-way, panic, come back into themselves or meet others: nothing changes, and the next call is right.

use crate::common::{assert_all_same, assert_same, copy, draw, seeded};
use allotrope::prelude::*;
use std::cell::Cell;

/// Everything that a step can change, and a step that fails where it is told to.
struct World {
    w: Tensor,
    moment: Tensor,
    fails: Cell<usize>,
    depth: Cell<usize>,
}

impl World {
    fn new() -> World {
        let w = draw(1, &[3]).requires_grad();
        World { w, moment: Tensor::zeros(&[3], DType::F32), fails: Cell::new(0), depth: Cell::new(0) }
    }

    fn at(&self, place: usize) {
        match self.fails.get() {
            n if n == place => panic!("place {place}"),
            _ => {}
        }
    }

    fn step(&self, x: &Tensor) -> Tensor {
        let h = (0..self.depth.get()).fold(&self.w * x + rand(&[3]), |h, _| h.tanh());
        self.at(1);
        let (sum, _) = scan(Tensor::zeros(&[], DType::F32), h, |s, x| {
            self.at(2);
            (s + &x, x)
        });
        self.w.set_grad(None);
        sum.backward();
        self.at(3);
        no_grad(|| {
            self.moment.add_(&self.w.grad().unwrap());
            self.w.sub_(&(&self.moment * 0.1));
        });
        self.at(4);
        sum.detach()
    }

    fn state(&self) -> Vec<Tensor> {
        [Some(copy(&self.w)), Some(copy(&self.moment)), self.w.grad().map(|g| copy(&g))].into_iter().flatten().collect()
    }
}

#[test]
fn panics_change_nothing() {
    let _drawing = seeded(5);
    let world = World::new();
    let f = trace_dynamic(|x: &Tensor| world.step(x));
    let mut results = Vec::new();
    for i in 0..24u64 {
        world.depth.set(i as usize % 3);
        for place in [1, 2, 3, 4] {
            world.fails.set(place);
            let (before, next) = (world.state(), Generator::get_state(allotrope::tensor::random::default_generator()));
            let e = f.call(&draw(i, &[3])).unwrap_err().to_string();
            assert!(e.contains(&format!("place {place}")), "{e}");
            assert_all_same("after a panic", &before, &world.state());
            assert_eq!(next, allotrope::tensor::random::default_generator().get_state());
        }
        // Shapes that do not fit.
        world.fails.set(0);
        let before = world.state();
        assert!(f.call(&draw(i, &[2])).is_err());
        assert_all_same("after an error", &before, &world.state());
        results.push(f.call(&draw(i, &[3])).unwrap());
    }
    assert_eq!(f.compilations(), 3);
    drop(f);
    manual_seed(5);
    let eager = World::new();
    let want: Vec<Tensor> = (0..24u64)
        .map(|i| {
            eager.depth.set(i as usize % 3);
            eager.step(&draw(i, &[3]))
        })
        .collect();
    assert_all_same("results", &want, &results);
    assert_all_same("state", &eager.state(), &world.state());
}

/// A `try_` method whose error the program takes as an answer.
#[test]
fn errors_that_the_closure_handles() {
    let w = draw(1, &[3, 2]);
    let program = |x: &Tensor| match x.try_matmul(&w) {
        Ok(y) => y.tanh(),
        Err(_) => x.sin(),
    };
    let f = trace_dynamic(program);
    for i in 0..12u64 {
        let x = draw(i, &[2, 3 + (i % 3) as usize]);
        assert_same("answer", &program(&x), &f.call(&x).unwrap());
    }
    assert_eq!(f.compilations(), 2);
}

#[test]
fn host_reads_and_values_of_other_calls_are_errors() {
    let f = trace_dynamic(|x: &Tensor| if x.sum().item::<f32>() > 0.0 { x.sin() } else { x.cos() });
    assert!(f.call(&draw(1, &[3])).unwrap_err().to_string().contains("not known"));
    let kept = std::cell::RefCell::new(None::<Tensor>);
    let f = trace_dynamic(|x: &Tensor| {
        let y = x.tanh();
        let sum = kept.borrow().as_ref().map_or_else(|| y.clone(), |old| old + &y);
        kept.replace(Some(y));
        sum
    });
    f.call(&draw(1, &[3])).unwrap();
    assert!(f.call(&draw(1, &[3])).unwrap_err().to_string().contains("another trace"));
    kept.replace(None);
    f.call(&draw(1, &[3])).unwrap();
}

#[test]
fn traces_in_traces() {
    let deep = Cell::new(1);
    let inner = trace_dynamic(|x: &Tensor| (0..deep.get()).fold(x.clone(), |h, _| h.tanh()));
    let plain = trace(|x: &Tensor| x.exp());
    let outer = trace_dynamic(|x: &Tensor| inner.call(&plain.call(x).unwrap()).unwrap() + 1.0);
    for i in 0..6 {
        deep.set(1 + i % 2);
        let x = draw(i as u64, &[3]);
        let want = (0..deep.get()).fold(x.exp(), |h, _| h.tanh()) + 1.0;
        assert_same("inner", &want, &outer.call(&x).unwrap());
    }
    assert_eq!((outer.compilations(), inner.compilations()), (2, 0));
}

#[test]
fn recursion_is_an_error() {
    use std::sync::OnceLock;
    type Call = Box<dyn Fn(&Tensor) -> allotrope::Result<Tensor> + Send + Sync>;
    static SELF: OnceLock<Call> = OnceLock::new();
    let f = trace_dynamic(|x: &Tensor| SELF.get().unwrap()(x).unwrap());
    SELF.get_or_init(|| Box::new(move |x| f.call(x)));
    assert!(SELF.get().unwrap()(&draw(1, &[2])).unwrap_err().to_string().contains("calls itself"));
}

#[test]
fn more_structures_than_are_kept() {
    let n = Cell::new(0);
    let program = |x: &Tensor| (0..n.get()).fold(x.clone(), |h, _| h.tanh());
    let f = trace_dynamic(program);
    let x = draw(1, &[2]);
    for round in 0..2 {
        for i in 0..36 {
            n.set(i);
            assert_same("many", &program(&x), &f.call(&x).unwrap());
        }
        assert!(f.compilations() <= 36 * (round + 1));
    }
    assert!(f.explain().len() <= 32);
}

#[test]
fn threads_share_one() {
    let deep = std::sync::atomic::AtomicUsize::new(0);
    let count = |x: &Tensor, n: usize| (0..n % 3).fold(x * 1.5, |h, _| h.tanh());
    let f = trace_dynamic(|x: &Tensor| {
        let n = deep.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (count(x, n), Tensor::scalar(n as f32))
    });
    std::thread::scope(|s| {
        for t in 0..4u64 {
            let f = &f;
            s.spawn(move || {
                for i in 0..25 {
                    let x = draw(t * 100 + i, &[3]);
                    let (y, n) = f.call(&x).unwrap();
                    assert_same("thread", &count(&x, n.item::<f32>() as usize), &y);
                }
            });
        }
    });
    assert!(f.compilations() <= 6, "{}", f.compilations());
}
