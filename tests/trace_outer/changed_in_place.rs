//! Arguments and captured tensors that a traced closure changes in place by what has a derivative: the caller's tensors have that history
//! after the call, as in eager code, and gradients go where they go there.

use crate::callers::{Given, agree};
use allotrope::prelude::*;

const NO_LEAVES: [Given; 2] = [Given::Plain, Given::Computed];
const ALL: [Given; 3] = [Given::Plain, Given::Leaf, Given::Computed];

#[test]
fn an_argument_becomes_a_result() {
    for x in NO_LEAVES {
        for w in ALL {
            agree(
                |x, w| {
                    x.mul_(w);
                    vec![x.clone()]
                },
                [x, w],
            );
            agree(
                |x, w| {
                    let before = x.sin();
                    x.mul_(w);
                    let between = x * 2.0;
                    x.exp_();
                    vec![before, between, x * w, x.clone()]
                },
                [x, w],
            );
            // Nothing is returned: the argument alone is a result.
            agree(
                |x, w| {
                    x.add_(&(w * w));
                    Vec::new()
                },
                [x, w],
            );
        }
    }
}

#[test]
fn a_captured_tensor_becomes_a_result() {
    for x in ALL {
        for w in NO_LEAVES {
            agree(
                |x, w| {
                    w.mul_(x);
                    vec![w.clone(), w * 3.0]
                },
                [x, w],
            );
            agree(
                |x, w| {
                    let before = w.cos();
                    w.add_(&x.tanh());
                    let between = w * x;
                    w.sub_(&between);
                    vec![before, between, w.square()]
                },
                [x, w],
            );
        }
    }
}

#[test]
fn all_of_it_is_replaced() {
    for x in NO_LEAVES {
        for w in ALL {
            agree(
                |x, w| {
                    let before = x.exp();
                    x.copy_(w);
                    vec![before, x * 2.0, x.clone()]
                },
                [x, w],
            );
            agree(
                |x, w| {
                    let before = x * w;
                    x.fill_(2.0);
                    vec![before, x * w, x.clone()]
                },
                [x, w],
            );
            agree(
                |x, w| {
                    x.zero_();
                    vec![x.clone(), x + w]
                },
                [x, w],
            );
        }
    }
}

#[test]
fn a_part_of_it_is_changed() {
    for x in NO_LEAVES {
        for w in ALL {
            agree(
                |x, w| {
                    x.narrow(0, 1, 2).mul_(&w.narrow(0, 0, 2));
                    vec![x.clone(), x.sin()]
                },
                [x, w],
            );
            // The view was there before, and is returned.
            agree(
                |x, w| {
                    let part = x.narrow(0, 0, 2);
                    let seen = part.exp();
                    x.mul_(w);
                    part.add_(1.0);
                    vec![seen, &part * 2.0, part, x.clone()]
                },
                [x, w],
            );
        }
    }
    for x in ALL {
        for w in NO_LEAVES {
            agree(
                |x, w| {
                    let part = w.narrow(0, 0, 2);
                    part.mul_(&x.narrow(0, 1, 2));
                    vec![part.sin(), w.clone(), part]
                },
                [x, w],
            );
        }
    }
}

#[test]
fn both_are_changed_and_detached_ones_too() {
    for x in NO_LEAVES {
        for w in NO_LEAVES {
            agree(
                |x, w| {
                    x.mul_(w);
                    w.add_(x);
                    vec![x * w]
                },
                [x, w],
            );
            agree(
                |x, w| {
                    let d = x.detach();
                    d.mul_(w);
                    vec![d, w.clone()]
                },
                [x, w],
            );
            agree(
                |x, w| {
                    x.mul_(w);
                    x.detach_();
                    vec![x * w]
                },
                [x, w],
            );
            agree(
                |x, w| {
                    w.mul_(x);
                    w.detach_();
                    vec![x * w]
                },
                [x, w],
            );
        }
    }
}

/// A view of a captured tensor, taken outside: it has the history of what it shows, after the call too, and the recording leaves
/// nothing of its own in it.
#[test]
fn views_outside_see_the_change() {
    let run = |traced: bool| {
        let leaf = Tensor::from_vec(vec![0.5f32, -1.0, 2.0], &[3]).requires_grad();
        let w = Tensor::from_vec(vec![1.5f32, 0.25, -3.0], &[3]);
        let view = w.narrow(0, 0, 2);
        let f = |x: &Tensor| {
            w.mul_(x);
            view.exp()
        };
        let g = trace(f);
        let call = |x: &Tensor| if traced { g.call(x).unwrap() } else { f(x) };
        let mut seen = Vec::new();
        for _ in 0..3 {
            let y = call(&leaf);
            assert!(!view.is_leaf() && !w.is_leaf() && view.is_requires_grad());
            (y.sum() + (&view * &view).sum() + w.sum()).backward();
            seen.extend(leaf.grad().unwrap().to_vec::<f32>().into_iter().map(f32::to_bits));
            seen.extend(w.detach().to_vec::<f32>().into_iter().map(f32::to_bits));
            w.detach_();
        }
        seen
    };
    assert_eq!(run(false), run(true));
}

/// A loop that accumulates into a buffer, outside of which the loss is computed.
#[test]
fn a_buffer_that_collects() {
    let run = |mode: usize| {
        let w = Tensor::from_vec(vec![0.5f32, -1.0], &[2]).requires_grad();
        let f = |sum: &Tensor, x: &Tensor| {
            sum.add_(&(x * &w).tanh());
        };
        let g = trace(|a: &Tensor, b: &Tensor| f(a, b));
        let mut seen = Vec::new();
        for step in 0..3 {
            let sum = Tensor::zeros(&[2], DType::F32);
            for i in 0..4 {
                let x = Tensor::full(&[2], (i + step) as f32 * 0.5);
                if mode == 0 { f(&sum, &x) } else { g.call((&sum, &x)).unwrap() }
            }
            sum.square().sum().backward();
            seen.extend(w.grad().unwrap().to_vec::<f32>().into_iter().map(f32::to_bits));
        }
        if mode == 1 {
            assert_eq!(g.compilations(), 2, "without and with a history");
        }
        seen
    };
    assert_eq!(run(0), run(1));
}

/// A leaf that requires a gradient is refused as in eager code, also where the variant was recorded for another kind.
#[test]
fn leaves_are_refused() {
    let y = Tensor::ones(&[3], DType::F32).requires_grad();
    let x = Tensor::ones(&[3], DType::F32);
    let f = trace(|x: &Tensor| {
        x.mul_(&y);
    });
    f.call(&x).unwrap();
    f.call(&x).unwrap();
    let leaf = Tensor::ones(&[3], DType::F32).requires_grad();
    assert!(f.call(&leaf).unwrap_err().to_string().contains("leaf"), "an argument");
    assert_eq!(leaf.to_vec::<f32>(), [1.0; 3]);

    let w = Tensor::ones(&[3], DType::F32);
    let g = trace(|x: &Tensor| {
        w.mul_(x);
    });
    g.call(&y).unwrap();
    g.call(&y).unwrap();
    w.detach_().requires_grad_(true);
    assert!(g.call(&y).unwrap_err().to_string().contains("leaf"), "a captured tensor");
}

/// What a trace cannot give a history says so, and changes nothing.
#[test]
fn what_is_refused() {
    let y = Tensor::ones(&[3], DType::F32).requires_grad();
    let f = trace(|x: &Tensor| {
        x.mul_(&y);
    });
    let whole = Tensor::ones(&[2, 3], DType::F32);
    let error = f.call(&whole.index(0)).unwrap_err().to_string();
    assert!(error.contains("an argument that is a view"), "{error}");
    let watched = &y * 2.0;
    watched.retain_grad();
    let error = f.call(&watched).unwrap_err().to_string();
    assert!(error.contains("hooks or is kept"), "{error}");
    assert_eq!(whole.to_vec::<f32>(), [1.0; 6]);
    // The variant of a tensor that is no view does not serve one that is.
    f.call(&Tensor::ones(&[3], DType::F32)).unwrap();
    assert!(f.call(&whole.index(0)).is_err());
}

/// No backward pass goes through what has no derivative: the error is that of eager code, also where the tensor had a history before.
#[test]
fn what_has_no_derivative_is_an_error() {
    let leaf = Tensor::ones(&[3], DType::F32).requires_grad();
    let w = &leaf * 2.0;
    let f = trace(|x: &Tensor| {
        w.mul_(x);
        w.asinh_();
    });
    f.call(&Tensor::ones(&[3], DType::F32)).unwrap();
    assert!(w.is_requires_grad() && !w.is_leaf());
    assert!(w.sum().try_backward().unwrap_err().to_string().contains("asinh"));
    assert!(leaf.grad().is_none());
}
