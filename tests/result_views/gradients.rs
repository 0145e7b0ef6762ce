//! Gradients are tensors: an old handle sees what a call does to the gradient in place, and a gradient that is set is the
//! tensor that was given.

use crate::{agree, look, range};
use allotrope::ops::{GradOptions, grad_with};
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
    let programs: [fn(&Tensor); 7] = [
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
        // What a backward pass adds to the gradient of a leaf is added in place.
        |w| {
            (w * w).sum().backward();
        },
        |w| {
            (w * w).sum().backward();
            w.exp().sum().backward();
            w.grad().unwrap().mul_(0.5);
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

/// The argument's gradient, which is a tensor of the caller's as well.
#[test]
fn gradients_of_arguments() {
    let programs: [crate::Program; 4] = [
        |_, x| {
            x.grad().unwrap().mul_(2.0);
            vec![x * 1.0]
        },
        |w, x| {
            x.set_grad(Some(w.detach()));
            vec![]
        },
        |_, x| {
            let g = x.grad().unwrap();
            x.set_grad(Some(x * 3.0));
            g.fill_(0.5);
            vec![g.t()]
        },
        |w, x| {
            w.set_grad(x.grad());
            vec![x.grad().unwrap()]
        },
    ];
    for program in programs {
        agree(
            program,
            &|i| {
                pair(i).map(|(w, x)| {
                    x.set_grad(Some(range(&[2, 3]) * 0.5));
                    (w, x)
                })
            },
            &|w, x, r| {
                let (g, h) = (x.grad().unwrap(), w.grad());
                let mut seen: Vec<String> = r.iter().chain([&g]).chain(h.iter()).map(look).collect();
                no_grad(|| g.add_(1.0));
                seen.extend(r.iter().chain([&g, x]).chain(h.iter()).map(look));
                seen.push(format!("{:?}", r.iter().map(|r| r.is_same(&g)).collect::<Vec<_>>()));
                w.set_grad(None);
                seen
            },
        );
    }
}

/// A captured gradient, and one that is a view.
#[test]
fn captured_tensors_as_gradients() {
    let v = range(&[3, 2]);
    for program in [
        (|w, v| w.set_grad(Some(v.t()))) as fn(&Tensor, &Tensor),
        |w, v| w.set_grad(Some(v.detach().t())),
        |w, v| {
            w.set_grad(Some(v.view(&[2, 3])));
            v.mul_(2.0);
        },
    ] {
        let run = |call: &dyn Fn(&Tensor), w: &Tensor| {
            let mut seen = Vec::new();
            for _ in 0..3 {
                v.copy_(&range(&[3, 2]));
                call(&range(&[1]));
                let g = w.grad().unwrap();
                seen.push(look(&g));
                v.add_(1.0);
                seen.push(look(&g));
                g.mul_(2.0);
                seen.push(look(&v));
            }
            seen
        };
        let w = range(&[2, 3]).requires_grad();
        let eager = run(&|_| program(&w, &v), &w);
        let w = range(&[2, 3]).requires_grad();
        let f = trace(|x: &Tensor| {
            program(&w, &v);
            x * 1.0
        });
        assert_eq!(eager, run(&|x| drop(f.call(x).unwrap()), &w));
        let w = range(&[2, 3]).requires_grad();
        let f = trace_dynamic(|x: &Tensor| {
            program(&w, &v);
            x * 1.0
        });
        assert_eq!(eager, run(&|x| drop(f.call(x).unwrap()), &w));
    }
}

/// Results that have a gradient when they come.
#[test]
fn gradients_of_results() {
    let seen = |_: &Tensor, _: &Tensor, r: &[Tensor]| {
        let mut seen = Vec::new();
        for t in r {
            let grad = t.grad();
            seen.push(look(t));
            seen.push(grad.as_ref().map_or("none".to_string(), look));
            seen.push(format!("{:?}", grad.map(|g| r.iter().map(|r| r.is_same(&g)).collect::<Vec<_>>())));
        }
        seen
    };
    let programs: [crate::Program; 4] = [
        |_, x| {
            let leaf = (x * 2.0).requires_grad();
            (&leaf * &leaf).sum().backward();
            vec![leaf.clone(), leaf.grad().unwrap()]
        },
        |_, x| {
            let leaf = x.detach().requires_grad();
            (&leaf * 3.0).sum().backward();
            vec![leaf]
        },
        |w, x| {
            let leaf = w.detach().requires_grad();
            (&leaf * x).sum().backward();
            (&leaf * x).sum().backward();
            vec![leaf.detach(), leaf]
        },
        |_, x| {
            let t = x * 1.0;
            t.set_grad(Some(x.clone()));
            vec![t.t(), t]
        },
    ];
    for program in programs {
        agree(program, &pair, &seen);
    }
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

/// What is seen of a tensor.
type Seen = fn(&Tensor) -> Tensor;

/// Whether the gradient of `x` by `view` of it is the tensor that was given, in PyTorch: of views by shape or axes it never is, also where
/// they change nothing; of others where nothing changes.
#[test]
fn the_given_gradient_comes_back_where_pytorch_gives_it_back() {
    let table: [(&str, Seen, bool); 14] = [
        ("view", |x| x.view(&[2, 3]), false),
        ("reshape", |x| x.reshape(&[2, 3]), false),
        ("permute", |x| x.permute(&[0, 1]), false),
        ("transpose", |x| x.transpose(0, 0), false),
        ("t", |x| x.t().t(), false),
        ("narrow", |x| x.narrow(0, 0, 2), false),
        ("squeeze", |x| x.squeeze(0), true),
        ("squeeze_all", |x| x.squeeze_all(), true),
        ("squeeze_dims", |x| x.squeeze_dims(&[0, 1]), true),
        ("squeeze one", |x| x.unsqueeze(0).squeeze(0), false),
        ("expand", |x| x.expand(&[2, 3]), true),
        ("expand_as", |x| x.expand_as(x), true),
        ("copy_", |x| Tensor::zeros(&[2, 3], DType::F32).copy_(x).clone(), true),
        ("pixel_shuffle", |x| allotrope::functional::pixel_shuffle(&x.unsqueeze(0), 1).squeeze(0), false),
    ];
    for (name, view, same) in table {
        let found = |x: &Tensor, g: &Tensor| {
            let x = x.detach().requires_grad();
            let how = GradOptions { grad_outputs: &[Some(g)], ..GradOptions::default() };
            grad_with(&[&view(&x)], &[&x], how).unwrap().remove(0).unwrap()
        };
        let (x, g) = (range(&[2, 3]), range(&[2, 3]));
        assert_eq!(found(&x, &g).is_same(&g), same, "{name}");
        let f = trace(|x: &Tensor, g: &Tensor| found(x, g));
        assert_eq!(f.call((&x, &g)).unwrap().is_same(&g), same, "{name} traced");
    }
}

#[test]
fn shuffled_gradients_are_tensors_of_their_own() {
    use allotrope::functional::{channel_shuffle, pixel_shuffle, pixel_unshuffle};
    let table: [Seen; 3] = [|x| pixel_shuffle(x, 1), |x| pixel_unshuffle(x, 1), |x| channel_shuffle(x, 1)];
    for shuffle in table {
        let (x, g) = (range(&[1, 2, 2, 2]).requires_grad(), range(&[1, 2, 2, 2]));
        let how = GradOptions { grad_outputs: &[Some(&g)], ..GradOptions::default() };
        let found = grad_with(&[&shuffle(&x)], &[&x], how).unwrap().remove(0).unwrap();
        no_grad(|| found.zero_());
        assert_eq!(look(&g), look(&range(&[1, 2, 2, 2])));
    }
}
