//! Gradients are tensors: an old handle sees what a call does to the gradient in place, and a gradient that is set is the
//! tensor that was given.

use crate::{agree, look, range};
use allotrope::prelude::*;

fn pair(i: usize) -> Option<(Tensor, Tensor)> {
    (i < 3).then(|| (range(&[2, 3]).requires_grad(), range(&[2, 3])))
}

/// What is seen of the captured tensor's gradient and of everything else, where each is changed in turn.
fn all(w: &Tensor, x: &Tensor, results: &[Tensor]) -> Vec<String> {
    let grad = w.grad();
    let tensors: Vec<&Tensor> = grad.iter().chain([x]).chain(results).collect();
    let mut seen: Vec<String> = tensors.iter().map(|t| look(t)).collect();
    for t in &tensors {
        no_grad(|| t.add_(2.0));
        seen.extend(tensors.iter().map(|t| look(t)));
    }
    for a in &tensors {
        seen.push(format!("{:?}", tensors.iter().map(|b| a.is_same(b)).collect::<Vec<_>>()));
    }
    seen
}

#[test]
fn an_old_handle_sees_changes_in_place() {
    let programs: [fn(&Tensor); 5] = [
        |w| {
            w.grad().unwrap().zero_();
        },
        |w| {
            w.grad().unwrap().mul_(2.0).add_(1.0);
        },
        |w| {
            w.grad().unwrap().index(0).fill_(5.0);
        },
        |w| {
            w.grad().unwrap().zero_();
            (w * w).sum().backward();
        },
        |w| {
            w.grad().unwrap().mul_(0.5);
            w.set_grad(None);
        },
    ];
    for program in programs {
        let run = |call: &dyn Fn(&Tensor)| {
            let w = range(&[2, 3]).requires_grad();
            let mut seen = Vec::new();
            for i in 0..3 {
                let old = range(&[3, 2]).t() * 1.0 + i as f64;
                let old = if i == 1 { range(&[3, 2]).t() } else { old };
                w.set_grad(Some(old.clone()));
                call(&w);
                seen.push(look(&old));
                let now = w.grad();
                seen.push(now.as_ref().map_or("none".to_string(), look));
                seen.push(format!("{:?}", now.map(|g| g.is_same(&old))));
            }
            seen
        };
        let eager = run(&|w| program(w));
        // The closure captures its tensor, so it is made once for each.
        let of = std::cell::RefCell::new(None::<(Tensor, Traced1)>);
        let traced = run(&|w| {
            let mut of = of.borrow_mut();
            let (_, f) = of.get_or_insert_with(|| {
                let v = w.clone();
                (
                    w.clone(),
                    Box::new(trace(move |x: &Tensor| {
                        program(&v);
                        x * 1.0
                    })) as Traced1,
                )
            });
            f.run(&range(&[1]));
        });
        assert_eq!(eager, traced);
        let of = std::cell::RefCell::new(None::<Traced1>);
        let dynamic = run(&|w| {
            let mut of = of.borrow_mut();
            let f = of.get_or_insert_with(|| {
                let v = w.clone();
                Box::new(trace_dynamic(move |x: &Tensor| {
                    program(&v);
                    x * 1.0
                }))
            });
            f.run(&range(&[1]));
        });
        assert_eq!(eager, dynamic);
    }
}

type Traced1 = Box<dyn Run>;

trait Run {
    fn run(&self, x: &Tensor);
}

impl<F: FnMut(&Tensor) -> Tensor> Run for allotrope::trace::Traced<F, Tensor, 1> {
    fn run(&self, x: &Tensor) {
        self.call(x).unwrap();
    }
}

impl<F: FnMut(&Tensor) -> Tensor> Run for allotrope::trace::DynamicTraced<F, 1> {
    fn run(&self, x: &Tensor) {
        self.call(x).unwrap();
    }
}

#[test]
fn a_gradient_that_is_set_is_the_tensor() {
    agree(
        |w, x| {
            w.set_grad(Some(x.clone()));
            vec![x * 2.0]
        },
        &pair,
        &all,
    );
    agree(
        |w, x| {
            w.set_grad(Some(x.detach()));
            x.add_(1.0);
            vec![x.view(&[-1])]
        },
        &pair,
        &all,
    );
    agree(
        |w, x| {
            let y = x * 2.0;
            w.set_grad(Some(y.clone()));
            vec![y.t(), y]
        },
        &pair,
        &all,
    );
    agree(
        |w, x| {
            let y = x.t() * 2.0;
            w.set_grad(Some(y.t()));
            vec![y]
        },
        &pair,
        &all,
    );
    agree(
        |w, x| {
            w.set_grad(Some(w.detach()));
            vec![x.sum()]
        },
        &pair,
        &all,
    );
    agree(
        |w, x| {
            w.set_grad(Some(x * 1.0));
            w.grad().unwrap().mul_(3.0);
            vec![]
        },
        &pair,
        &all,
    );
}

#[test]
fn gradients_of_the_closure_s_own_backward() {
    agree(
        |w, x| {
            (w * x).sum().backward();
            vec![w.grad().unwrap(), w.grad().unwrap().t()]
        },
        &pair,
        &all,
    );
    // What comes as it is is copied first.
    agree(
        |w, x| {
            (w * 1.0).backward_from(x);
            w.view(&[-1]).backward_from(&x.view(&[-1]));
            vec![x.t()]
        },
        &pair,
        &all,
    );
    agree(
        |w, x| {
            w.set_grad(None);
            w.view(&[3, 2]).backward_from(&x.view(&[3, 2]));
            w.grad().unwrap().add_(1.0);
            vec![]
        },
        &pair,
        &all,
    );
    agree(
        |w, x| {
            w.backward_from(x);
            let old = w.grad().unwrap();
            w.backward_from(x);
            vec![old]
        },
        &pair,
        &all,
    );
}

#[test]
fn one_gradient_for_two() {
    let v = range(&[2, 3]).requires_grad();
    let w = range(&[2, 3]).requires_grad();
    let step = trace(|x: &Tensor| {
        (&v * x).sum().backward();
        w.set_grad(v.grad());
        x.sum()
    });
    for _ in 0..3 {
        step.call(&range(&[2, 3])).unwrap();
        assert!(v.grad().unwrap().is_same(&w.grad().unwrap()));
        v.set_grad(None);
    }
}

#[test]
fn verify_knows_gradients() {
    let w = range(&[2, 3]).requires_grad();
    w.set_grad(Some(range(&[2, 3])));
    let f = trace(|x: &Tensor| {
        w.grad().unwrap().mul_(2.0);
        let old = w.grad().unwrap();
        w.set_grad(Some(x.clone()));
        (old.t(), w.grad().unwrap())
    });
    let report = f.verify(&range(&[2, 3])).unwrap();
    assert!(report.is_equal(), "{report}");
    f.call(&range(&[2, 3])).unwrap();
}
