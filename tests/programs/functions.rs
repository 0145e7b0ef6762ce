//! Derivatives that users write: functions of their own, checkpoints, what checks them; and graphs of any depth.
//! Numbers are PyTorch's; nearly all is run in both modes.

use crate::autograd::{both, leaf, near, of, refused};
use crate::common::seeded;
use crate::golden::{assert_close, files, list};
use allotrope::autograd::is_grad_enabled;
use allotrope::gradcheck::{GradCheck, GradCheckError, gradcheck, gradgradcheck};
use allotrope::prelude::*;

struct Cube;

impl Function for Cube {
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        assert!(!is_grad_enabled());
        let x = inputs[0];
        ctx.save_for_backward(&[x]);
        vec![x * x * x]
    }
    fn backward(&self, ctx: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        let x = &ctx.saved_tensors()[0];
        vec![Some(&grads[0] * 3.0 * x * x)]
    }
}

struct Two;

impl Function for Two {
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        let (a, b) = (inputs[0], inputs[1]);
        let (s, e, m) = (a * b, (a + b).exp(), a.gt(b).to(DType::F32));
        ctx.save_for_backward(&[a, b, &e]);
        ctx.mark_non_differentiable(&[&m]);
        ctx.put("handed over".to_string());
        vec![s, e, m]
    }
    fn backward(&self, ctx: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        let [a, b, e] = ctx.saved_tensors() else { panic!("three were saved") };
        assert_eq!(ctx.get::<String>(), "handed over");
        let with = |i: usize, other: &Tensor| ctx.needs_input_grad(i).then(|| &grads[0] * other + &grads[1] * e);
        vec![with(0, b), with(1, a)]
    }
}

#[test]
fn functions_of_the_users_own() {
    let got = both(&[1.0, 2.0, -3.0], |x| {
        let y = Cube.apply1(&[x]);
        assert_eq!(y.grad_fn_name().as_deref(), Some("CubeBackward"));
        let first = grad(&[&(&y * &y).sum()], &[x], true).unwrap().remove(0).unwrap();
        let second = grad(&[&first.sum()], &[x], false).unwrap().remove(0).unwrap();
        vec![first, second]
    });
    near(&got[0], &[6.0, 192.0, -1458.0]);
    near(&got[1], &[30.0, 480.0, 2430.0]);
    let got = both(&[0.5, -1.0, 0.25, 2.0], |x| {
        let (a, b) = (x.narrow(0, 0, 2), x.narrow(0, 2, 2));
        let out = Two.apply(&[&a, &b]);
        assert!(out[0].is_requires_grad() && out[1].is_requires_grad() && !out[2].is_requires_grad());
        (&out[0] * 2.0 + out[1].sin()).sum().backward();
        let plain = of(x);
        let out = Two.apply(&[&a, &b]);
        let loss = (&out[0] * &out[0] + &out[1] * &out[0]).sum();
        let g = grad(&[&loss], &[&a, &b], true).unwrap();
        x.set_grad(None);
        (g[0].as_ref().unwrap() * g[1].as_ref().unwrap()).sum().backward();
        vec![plain, of(x)]
    });
    near(&got[0], &[-0.5996695756912231, 1.5216505527496338, -0.09966957569122314, -4.478349685668945]);
    near(&got[1], &[5.924527645111084, 8.17315673828125, 8.939966201782227, 104.2237777709961]);
    // One result unused, one input without a gradient.
    let got = both(&[0.5, -1.0], |x| {
        let b = Tensor::ones(&[2], DType::F32);
        Two.apply(&[x, &b]).remove(0).sum().backward();
        vec![of(x)]
    });
    near(&got[0], &[1.0, 1.0]);
    // In a loop.
    let got = both(&[1.0, 2.0], |x| {
        let (last, _) = scan(Tensor::scalar(1.0f32), x.clone(), |c, x| (Cube.apply1(&[&x]) * c, ()));
        last.backward();
        vec![of(x)]
    });
    near(&got[0], &[24.0, 12.0]);
    // Without anything to differentiate nothing is recorded.
    assert!(!Cube.apply1(&[&leaf(&[1.0]).detach()]).is_requires_grad());
    assert!(no_grad(|| !Cube.apply1(&[&leaf(&[1.0])]).is_requires_grad()));
}

struct Same(Tensor);

impl Function for Same {
    fn forward(&self, _: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        vec![inputs[0].clone(), self.0.clone(), inputs[0].clone()]
    }
    fn backward(&self, _: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        vec![Some(&grads[0] + &grads[1] * 10.0 + &grads[2] * 100.0)]
    }
}

struct Wrong(usize);

impl Function for Wrong {
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        let y = inputs[0] * 1.0;
        ctx.save_for_backward(&[inputs[0], &y]);
        vec![y]
    }
    fn backward(&self, _: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        match self.0 {
            0 => vec![],
            1 => vec![Some(grads[0].sum())],
            2 => vec![Some(grads[0].to(DType::F64))],
            _ => vec![None],
        }
    }
    fn name(&self) -> String {
        "Mistaken".into()
    }
}

#[test]
fn functions_that_give_back_what_they_got_or_give_what_does_not_fit() {
    let constant = Tensor::ones(&[2], DType::F32);
    let got = both(&[1.0, 2.0], |x| {
        let out = Same(constant.clone()).apply(&[x]);
        assert!(x.is_leaf() && !constant.is_requires_grad() && !out[0].is_same(x));
        (&out[0] + &out[1] * 2.0 + &out[2] * 3.0).sum().backward();
        vec![of(x)]
    });
    near(&got[0], &[321.0, 321.0]);
    both(&[1.0, 2.0], |x| {
        let run = |how: usize| Wrong(how).apply1(&[x]).sum().try_backward();
        refused(run(0), &["Mistaken", "0 gradients for 1 inputs"]);
        refused(run(1), &["Mistaken", "input 0", "[]", "[2]"]);
        refused(run(2), &["Mistaken", "f64", "f32"]);
        run(3).unwrap();
        assert!(x.grad().is_none());
        vec![x * 1.0]
    });
    // What was saved may not change, input or result.
    let x = leaf(&[1.0, 2.0]);
    let (a, b) = (&x * 1.0, &x * 1.0);
    let (y, z) = (Wrong(3).apply1(&[&a]), Wrong(3).apply1(&[&b]));
    a.add_(1.0);
    refused(y.sum().try_backward(), &["Mistaken", "version"]);
    z.add_(1.0);
    refused(z.sum().try_backward(), &["Mistaken", "output 0", "version"]);
}

struct MyRelu;

impl Function for MyRelu {
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        ctx.save_for_backward(&[inputs[0]]);
        vec![inputs[0].relu()]
    }
    fn backward(&self, ctx: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        let x = &ctx.saved_tensors()[0];
        vec![Some(x.zeros_like().where_self(&x.lt(0.0), &grads[0]))]
    }
}

/// The program users start from: two layers, with a rectifier of their own, by hand-written descent.
#[test]
fn custom_function() {
    const STEPS: usize = 120;
    for (path, golden) in files("custom_function") {
        let (want, tolerances) = (list(&golden["losses"]), list(&golden["rtol_by_step"]));
        let run = |traced: bool| -> Vec<f64> {
            let drawing = seeded(golden["seed"].as_u64().unwrap());
            let (x, y) = (randn(&[64, 1000]), randn(&[64, 10]));
            let (w1, w2) = (randn(&[1000, 100]).requires_grad(), randn(&[100, 10]).requires_grad());
            drop(drawing);
            let step = |x: &Tensor, y: &Tensor| {
                let loss = (MyRelu.apply1(&[&x.matmul(&w1)]).matmul(&w2) - y).pow(2).sum();
                loss.backward();
                no_grad(|| {
                    for w in [&w1, &w2] {
                        w.sub_(&(of(w) * 1e-6));
                        of(w).zero_();
                    }
                });
                loss.detach()
            };
            let compiled = trace(step);
            let one = |_| if traced { compiled.call((&x, &y)).unwrap() } else { step(&x, &y) };
            (0..STEPS).map(one).map(|l| f64::from(l.item::<f32>())).collect()
        };
        let (eager, traced) = (run(false), run(true));
        assert_eq!(eager, traced, "{}", path.display());
        assert_close(&path.display().to_string(), &eager, &want[..STEPS], |i| tolerances[i]);
    }
}

#[test]
fn checkpoints() {
    let x = [1.0, 2.0, 3.0, -1.0];
    let weight = Tensor::from_vec(vec![0.1f32, 0.2, -0.3, 0.4], &[2, 2]);
    let part = |x: &Tensor, w: &Tensor| {
        let w = w.clone();
        checkpoint(move |x| x[0].matmul(&w).tanh().matmul(&w), &[x])
    };
    for leaf_weight in [true, false] {
        let got = both(&x, |x| {
            let x2 = x.reshape(&[2, 2]);
            let w = (&weight * 1.0).requires_grad();
            let w2 = if leaf_weight { w.clone() } else { &w * 1.0 };
            let y = part(&x2, &w2);
            assert_eq!(y.grad_fn_name().as_deref(), Some("CheckpointBackward"));
            (&y * &y).sum().backward();
            refused((&y * 2.0).sum().try_backward(), &["second time"]);
            vec![of(x), of(&w)]
        });
        near(&got[0], &[0.030458685010671616, 0.04914121702313423, 0.03451718017458916, 0.042904339730739594]);
        near(&got[1], &[0.4282945990562439, 0.5839183926582336, -0.42573416233062744, 0.53138667345047]);
        // Differentiated twice: the part leads on to where its values came from.
        let got = both(&x, |x| {
            let x2 = x.reshape(&[2, 2]);
            let w = (&weight * 1.0).requires_grad();
            let w2 = if leaf_weight { w.clone() } else { &w * 1.0 };
            let y = part(&x2, &w2);
            let g = grad(&[&(&y * &y).sum()], &[x], true).unwrap().remove(0).unwrap();
            (&g * &g).sum().backward();
            vec![of(x), of(&w)]
        });
        near(&got[0], &[-0.0014761637430638075, -0.0028247241862118244, 0.003970654681324959, 0.006243805401027203]);
        near(&got[1], &[0.01657930389046669, 0.06547825038433075, -0.028189267963171005, 0.03395259380340576]);
    }
    // A checkpoint in a checkpoint, and in a loop; several results, one of them no float, one unused.
    let deep = both(&[0.5, -0.25], |x| {
        let w = x * 2.0;
        let outer = w.clone();
        let y = checkpoint(
            move |x| {
                let (inner, a) = (outer.clone(), &x[0] * &outer);
                checkpoint(move |a| (a[0].tanh() * &inner, a[0].gt(0.0), a[0].exp()), &[&a])
            },
            &[x],
        );
        assert!(!y.1.is_requires_grad());
        y.0.sum().backward();
        let first = of(x);
        x.set_grad(None);
        let (last, _) = scan(Tensor::scalar(1.0f32), x.clone(), |c, e| {
            let c2 = checkpoint(|v| (&v[0] * &v[1]).sin() + &v[1], &[&c, &e]);
            (c2, ())
        });
        last.backward();
        vec![first, of(x)]
    });
    let plain = both(&[0.5, -0.25], |x| {
        let w = x * 2.0;
        ((x * &w).tanh() * &w).sum().backward();
        let first = of(x);
        x.set_grad(None);
        let (last, _) = scan(Tensor::scalar(1.0f32), x.clone(), |c, e| ((&c * &e).sin() + &e, ()));
        last.backward();
        vec![first, of(x)]
    });
    near(&deep[0], &plain[0]);
    near(&deep[1], &plain[1]);
    assert!(no_grad(|| !part(&Tensor::ones(&[1, 2], DType::F32), &weight).is_requires_grad()));
}

/// Its derivative is right but for one element, and its second derivative is lost.
struct NearlySquare {
    wrong: bool,
    detached: bool,
}

impl Function for NearlySquare {
    fn forward(&self, ctx: &mut FunctionContext, inputs: &[&Tensor]) -> Vec<Tensor> {
        ctx.save_for_backward(&[inputs[0]]);
        vec![inputs[0] * inputs[0]]
    }
    fn backward(&self, ctx: &FunctionContext, grads: &[Tensor]) -> Vec<Option<Tensor>> {
        let x = &ctx.saved_tensors()[0];
        let x = if self.detached { x.detach() } else { x.clone() };
        let off = if self.wrong { x.gt(1.0).to(DType::F64) * 0.01 } else { x.zeros_like() };
        vec![Some(&grads[0] * (x * 2.0 + off))]
    }
}

#[test]
fn derivatives_are_checked() {
    let x = Tensor::from_vec(vec![0.5f64, -1.5, 1.25, 0.75], &[2, 2]).requires_grad();
    let w = Tensor::from_vec(vec![0.3f64, -0.2], &[2, 1]).requires_grad();
    let fixed = Tensor::from_vec(vec![1.0f32, 2.0], &[2]);
    let check = GradCheck { traced: true, ..GradCheck::default() };
    let f = |x: &[Tensor]| (x[0].matmul(&x[1]).tanh(), &x[0] * &x[2], x[0].gt(0.0));
    check.first(f, &[&x, &w, &fixed]).unwrap();
    check.second(f, &[&x, &w, &fixed]).unwrap();
    check.second(|x| Cube.apply1(&[&x[0]]), &[&x]).unwrap();
    let square = |wrong: bool, detached: bool| move |x: &[Tensor]| NearlySquare { wrong, detached }.apply1(&[&x[1]]);
    gradcheck(square(false, true), &[&w, &x]).unwrap();
    match gradcheck(square(true, false), &[&w, &x]).unwrap_err() {
        GradCheckError::Mismatch(worst) => {
            assert_eq!((worst.input, worst.element, worst.output, worst.output_element), (1, 2, 0, 2));
            assert!((worst.numerical - 2.5).abs() < 1e-6 && (worst.analytical - 2.51).abs() < 1e-12);
            assert!(worst.to_string().contains("input 1, element 2"), "{worst}");
        }
        other => panic!("{other}"),
    }
    let error = gradgradcheck(square(false, true), &[&w, &x]).unwrap_err();
    assert!(matches!(error, GradCheckError::Mismatch(w) if w.input == 1 && w.analytical == 0.0), "{error}");
    gradgradcheck(square(false, false), &[&w, &x]).unwrap();
    let nan = |x: &[Tensor]| x[0].log();
    assert!(matches!(gradcheck(nan, &[&x]), Err(GradCheckError::Mismatch(_))), "NaN agrees with nothing");
    let error = gradcheck(|x| x[0].clone(), &[&leaf(&[1.0])]).unwrap_err();
    assert!(error.to_string().contains("f64"), "{error}");
    assert!(gradcheck(|x| x[0].clone(), &[&fixed]).is_err());
    // A program that is another one in each mode, from its eleventh call on: one for the results, eight for the
    // differences, one eagerly.
    let calls = std::cell::Cell::new(0);
    let moody = |x: &[Tensor]| {
        calls.set(calls.get() + 1);
        &x[0] * if calls.get() > 10 { 2.0 } else { 1.0 }
    };
    match check.first(moody, &[&x]).unwrap_err() {
        GradCheckError::Modes { what, element: 0, eager, traced } => {
            assert_eq!((what.as_str(), eager, traced), ("output 0", 0.5, 1.0));
        }
        other => panic!("{other}"),
    }
}

/// Neither a backward pass nor freeing the graph recurses, whatever hangs on it.
#[test]
fn deep_graphs() {
    const MANY: usize = 1_000_000;
    let on_a_small_stack = |f: fn()| {
        std::thread::Builder::new().stack_size(256 << 10).spawn(f).unwrap().join().unwrap();
    };
    // Each node saves the result of the one before it, and that its node.
    on_a_small_stack(|| {
        let (x, w) = (Tensor::scalar(1.0f32).requires_grad(), Tensor::scalar(1.0f32).requires_grad());
        let chain = |n: usize| (0..n).fold(x.clone(), |y, _| &y * &w);
        let y = chain(MANY);
        y.backward();
        assert_eq!((of(&x).item::<f32>(), of(&w).item::<f32>()), (1.0, MANY as f32));
        drop(y);
        drop(chain(MANY));
        let y = chain(100_000);
        let found = grad_with(&[&y], &[&x], GradOptions { retain_graph: true, ..GradOptions::default() }).unwrap();
        assert_eq!(found[0].as_ref().unwrap().item::<f32>(), 1.0);
    });
    on_a_small_stack(|| {
        let x = Tensor::scalar(1.0f32).requires_grad();
        let mut kept = Vec::new();
        let y = (0..MANY).fold(x.clone(), |y, i| {
            let y = &y * 1.0;
            y.retain_grad();
            y.register_hook(|_| None);
            if i % 1000 == 0 {
                kept.push(y.clone());
            }
            y
        });
        y.backward();
        assert!(kept.iter().all(|t| of(t).item::<f32>() == 1.0));
        drop(y);
    });
    on_a_small_stack(|| {
        let x = Tensor::ones(&[1], DType::F32).requires_grad();
        let parts: Vec<Tensor> = (0..100_000).map(|_| &x * 2.0).collect();
        let parts: Vec<&Tensor> = parts.iter().collect();
        cat(&parts, 0).sum().backward();
        assert_eq!(of(&x).item::<f32>(), 200_000.0);
        let y = (0..100_000).fold(x.clone(), |y, _| cat(&[&y, &x], 0).narrow(0, 0, 1));
        y.sum().backward();
        drop(y);
        // Changed in place, each version holding the one before it.
        let y = &x * 1.0;
        for _ in 0..100_000 {
            y.mul_(&x);
        }
        x.set_grad(None);
        y.sum().backward();
        assert_eq!(of(&x).item::<f32>(), 100_001.0);
        let y = (0..50_000).fold(x.clone(), |y, _| Cube.apply1(&[&y]));
        drop(y);
        let y = (0..20_000).fold(x.clone(), |y, _| checkpoint(|y| &y[0] * 1.0, &[&y]));
        y.sum().backward();
    });
}
