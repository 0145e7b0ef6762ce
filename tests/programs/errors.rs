//! Bad input: every message names what was given and what would fit, in all three forms (panic, `try_`, traced call),
//! and a call that fails has changed nothing.

use crate::common::{SinToCos, assert_all_same, assert_same, copy, draw, panic_text, seeded};
use allotrope::nn::Rnn;
use allotrope::prelude::*;
use allotrope::tensor::Flag;

#[track_caller]
fn says(text: &str, needles: &[&str]) {
    for needle in needles {
        assert!(text.contains(needle), "{text:?} should say {needle:?}");
    }
    assert!(!text.contains("bug in"), "{text:?} blames the library");
}

/// One wrong call, with the words that its message must have, alone and inside a trace.
fn refused(f: impl Fn(&Tensor, &Tensor) -> allotrope::Result<Tensor>, a: &Tensor, b: &Tensor, needles: &[&str]) {
    let eager = f(a, b).err().unwrap_or_else(|| panic!("should have been refused, with {needles:?}")).to_string();
    says(&eager, needles);
    let traced = trace(|a: &Tensor, b: &Tensor| f(a, b).unwrap_or_else(|e| panic!("{e}"))).call((a, b));
    let traced = traced.err().unwrap_or_else(|| panic!("a trace should have refused, with {needles:?}")).to_string();
    says(&traced, needles);
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32)
}

#[test]
fn operands_that_do_not_fit() {
    let (m, v) = (zeros(&[2, 3]), zeros(&[4]));
    let flags = Tensor::zeros(&[2, 3], DType::Bool);
    let ints = Tensor::zeros(&[2, 3], DType::I64);
    let none = zeros(&[0, 3]);
    let five = {
        let _drawing = seeded(1);
        nn::Linear::new(5, 1)
    };
    refused(|a, b| a.try_add(b), &m, &zeros(&[4, 3]), &["add", "[2, 3]", "[4, 3]", "axis 0"]);
    refused(|a, b| a.try_lt(b), &m, &v, &["lt", "[2, 3]", "[4]"]);
    refused(|a, b| a.try_matmul(b), &m, &zeros(&[4, 2]), &["matmul", "[2, 3]", "[4, 2]", "3", "4"]);
    refused(|a, b| a.try_matmul(b), &m, &Tensor::zeros(&[3, 2], DType::F64), &["matmul", "f32", "f64"]);
    refused(|a, b| a.try_matmul(b), &m, &zeros(&[]), &["matmul", "mul"]);
    refused(|a, b| a.try_matmul(b), &zeros(&[2, 2, 3]), &zeros(&[3, 3, 2]), &["matmul", "[2, 2, 3]", "[3, 3, 2]"]);
    refused(|a, _| a.try_reshape(&[4, 2]), &m, &v, &["reshape", "[2, 3]", "[4, 2]", "6", "8"]);
    refused(|a, _| a.try_reshape(&[-1, -1]), &m, &v, &["reshape", "one axis"]);
    refused(|a, _| a.try_reshape(&[4, -1]), &m, &v, &["reshape", "[4, -1]"]);
    refused(|a, _| a.try_transpose(0, 5), &m, &v, &["transpose", "axis 5", "[2, 3]", "-2 to 1"]);
    refused(|a, _| a.try_permute(&[0, 0]), &m, &v, &["permute", "[0, 0]"]);
    refused(|a, _| a.try_permute(&[0]), &m, &v, &["permute", "[0]", "2 axes"]);
    refused(|a, _| a.try_select(0, 2), &m, &v, &["select", "index 2", "[2, 3]", "-2 to 1"]);
    refused(|a, _| a.try_narrow(1, 2, 2), &m, &v, &["narrow", "2 elements from 2", "[2, 3]"]);
    refused(|a, _| a.try_narrow(-3, 0, 1), &m, &v, &["narrow", "axis -3"]);
    refused(|a, _| a.try_unsqueeze(4), &m, &v, &["unsqueeze", "axis 4", "-3 to 2"]);
    refused(|a, _| a.try_flatten(1, 0), &m, &v, &["flatten", "axis 1"]);
    refused(|a, _| a.try_t(), &zeros(&[1, 2, 3]), &v, &["t: ", "3 axes"]);
    refused(|a, _| a.try_expand(&[4, 3]), &m, &v, &["expand", "[2, 3]", "[4, 3]"]);
    refused(|a, _| a.try_expand(&[3]), &m, &v, &["expand", "[3]", "[2, 3]"]);
    refused(|a, _| a.try_sum_dim(&[0, -2], false), &m, &v, &["sum", "[0, -2]", "twice"]);
    refused(|a, _| a.try_sum_dim(&[2], false), &m, &v, &["sum", "axis 2", "[2, 3]"]);
    refused(|a, _| a.try_amax(&[0], false), &none, &v, &["amax", "empty", "[0, 3]"]);
    refused(|a, _| a.try_amin(&[], false), &none, &v, &["amin", "empty"]);
    refused(|a, _| a.try_mean(), &ints, &v, &["mean", "i64", "F32"]);
    refused(|a, _| a.try_neg(), &flags, &v, &["neg", "bool"]);
    refused(|a, b| a.try_sub(b), &flags, &flags, &["sub", "bool", "logical_xor"]);
    refused(|a, b| a.try_where_self(a, b), &m, &m, &["where", "bool", "f32"]);
    refused(|a, b| a.try_where_self(&a.gt(0.0), b), &m, &v, &["where", "[2, 3]", "[4]"]);
    refused(|a, b| a.try_copy_(b).cloned(), &(m.clone() * 1.0), &v, &["cop"]);
    refused(|a, b| five.try_forward(a).map(|y| y + b), &m, &zeros(&[1]), &["linear", "3", "5"]);
}

#[test]
fn operands_of_functions_that_only_panic() {
    let (m, v) = (zeros(&[2, 3]), zeros(&[4]));
    says(&panic_text(|| drop(cat(&[&m, &v], 0))), &["cat", "[4]", "[2, 3]"]);
    says(&panic_text(|| drop(cat(&[] as &[Tensor], 0))), &["cat", "at least one"]);
    says(&panic_text(|| drop(stack(&[&m, &m.t()], 0))), &["stack", "[2, 3]"]);
    says(&panic_text(|| drop(mse_loss(&m, &v))), &["mse_loss", "[2, 3]", "[4]", "cannot broadcast"]);
    says(&panic_text(|| drop(scan(v.select(0, 0), zeros(&[0]), |c, x| (&c + &x, x)))), &["scan", "empty", "[0]"]);
    says(&panic_text(|| drop(scan(v.clone(), (m.clone(), v.clone()), |c, (x, _)| (c, x)))), &["scan", "[2, 3]", "[4]"]);
    says(&panic_text(|| drop(scan(v.clone(), m.clone(), |c, x| (c.sum(), x)))), &["scan", "carry 0", "[4]", "[]"]);
    says(&panic_text(|| drop(&m + &v)), &["add", "[2, 3]", "[4]"]);
    says(&panic_text(|| _ = m.size(2)), &["size", "axis 2", "[2, 3]"]);
    says(&panic_text(|| drop(Tensor::from_vec(vec![1.0f32], &[2]))), &["from_vec", "1 elements", "[2]"]);
    says(&panic_text(|| drop(m.to_vec::<f64>())), &["to_vec", "f32", "f64"]);
    says(&m.try_item::<f32>().unwrap_err().to_string(), &["item", "[2, 3]", "6 elements"]);
    says(&panic_text(|| drop(randint(3, 3, &[1]))), &["randint", "3"]);
    says(&panic_text(|| drop(allotrope::tensor::Generator::new(1).rand(&[1], DType::I64))), &["rand", "i64"]);
    says(&panic_text(|| drop(Tensor::zeros(&[1], DType::I64).requires_grad())), &["requires_grad", "i64"]);
    says(&panic_text(|| m.set_grad(Some(v.clone()))), &["set_grad", "[2, 3]", "[4]"]);
    says(&grad(&[&m.requires_grad().sum()], &[&v], false).unwrap_err().to_string(), &["input 0", "requires_grad"]);
}

#[test]
fn sequences_that_do_not_fit_a_recurrent_network() {
    let rnn = {
        let _drawing = seeded(1);
        Rnn::new(2, 4).batch_first(true)
    };
    let f = |x: &Tensor, h: &Tensor| rnn.try_forward(x, h).map(|(y, _)| y);
    let h = zeros(&[1, 3, 4]);
    refused(f, &zeros(&[3, 2]), &h, &["rnn", "[batch, time, in]", "in = 2", "[3, 2]"]);
    refused(f, &zeros(&[3, 5, 7]), &h, &["rnn", "in = 2", "[3, 5, 7]"]);
    refused(f, &zeros(&[3, 0, 2]), &h, &["rnn", "empty", "[3, 0, 2]", "at least one step"]);
    refused(f, &zeros(&[5, 4, 2]), &h, &["rnn", "hidden state", "[1, 5, 4]", "[1, 3, 4]"]);
    refused(f, &zeros(&[3, 4, 2]), &zeros(&[3, 4]), &["rnn", "[1, 3, 4]", "[3, 4]"]);
    refused(f, &Tensor::zeros(&[3, 4, 2], DType::F64), &h, &["rnn", "f32", "f64"]);
    refused(f, &zeros(&[3, 4, 2]), &h.to(DType::F64), &["rnn", "hidden state", "f32", "f64"]);
    let text = panic_text(|| drop(rnn.forward(&zeros(&[3, 0, 2]), None)));
    says(&text, &["empty", "[3, 0, 2]"]);
    says(&panic_text(|| drop(Rnn::with_layers(1, 0, 1))), &["Rnn", "0"]);
}

#[test]
fn learning_rates_that_are_none() {
    let p = || vec![zeros(&[2]).requires_grad()];
    for bad in [f64::NAN, -0.1, f64::INFINITY] {
        says(&panic_text(|| drop(optim::Sgd::new(p(), bad))), &["SGD", "learning rate", &bad.to_string()]);
        says(&panic_text(|| drop(optim::Adam::new(p(), bad))), &["Adam", "learning rate", &bad.to_string()]);
        let opt = optim::Adam::new(p(), 0.5);
        says(&panic_text(|| opt.set_lr(bad)), &["learning rate", &bad.to_string()]);
        assert_eq!(opt.lr().item::<f64>(), 0.5);
    }
    says(&panic_text(|| drop(optim::Sgd::new(vec![], 0.1))), &["SGD", "no parameters"]);
    let computed = &p()[0] * 2.0;
    says(&panic_text(|| drop(optim::Sgd::new(vec![computed.clone()], 0.1))), &["SGD", "parameter 0", "leaf"]);
    let options = optim::AdamOptions { betas: (1.0, 0.9), ..Default::default() };
    says(&panic_text(|| drop(optim::Adam::with_options(p(), 0.1, options))), &["Adam", "first beta", "1"]);
}

#[test]
fn host_reads_in_a_trace() {
    let x = zeros(&[1]);
    let here = "tests/programs/errors.rs:";
    let ways = ["Return", "argument", "where_self"];
    let read = |f: &dyn Fn(&Tensor)| {
        let text = trace(|x: &Tensor| f(x)).call(&x).unwrap_err().to_string();
        says(&text, &[here]);
        says(&text, &ways);
        text
    };
    says(&read(&|x| _ = x.item::<f32>()), &["item()"]);
    says(&read(&|x| drop(x.to_vec::<f32>())), &["to_vec()"]);
    says(&read(&|_| drop(Tensor::from_vec(vec![1.0f32], &[1]))), &["Rust data"]);
    says(&read(&|_| drop(Tensor::from_slice(&[1.0f32], &[1]))), &["Rust data"]);
    let g = allotrope::tensor::Generator::new(1);
    says(&read(&|x| drop(g.multinomial(x, 1, true))), &["multinomial"]);
    says(&read(&|_| drop(g.get_state())), &["get_state()"]);
    says(&read(&|_| g.set_state(&[]).unwrap_or_else(|e| panic!("{e}"))), &["set_state()"]);
    says(&read(&|_| drop(g.fork())), &["fork()"]);
    says(&read(&|_| _ = g.seed()), &["seed()"]);
    says(&read(&|_| _ = g.initial_seed()), &["initial_seed()"]);
    // The line is that of the call.
    let line = line!() + 1;
    let text = trace(|x: &Tensor| x * f64::from(x.item::<f32>())).call(&x).unwrap_err().to_string();
    says(&text, &[&format!("errors.rs:{line}")]);
}

#[test]
fn values_that_leave_their_trace() {
    let x = draw(1, &[3]);
    let mut leaked = None;
    trace(|x: &Tensor| {
        let y = x * 2.0;
        leaked = Some(y.clone());
        y
    })
    .call(&x)
    .unwrap();
    let leaked = leaked.unwrap();
    says(&panic_text(|| drop(leaked.to_vec::<f32>())), &["after the trace had ended", "return"]);
    says(&panic_text(|| drop(&leaked + 1.0)), &["after the trace had ended"]);
    says(&panic_text(|| drop(leaked.contiguous() * 1.0)), &["after the trace had ended"]);
    says(&trace(|x: &Tensor| x + &leaked).call(&x).unwrap_err().to_string(), &["another trace"]);
    // A value of a loop's body.
    let text = trace(|x: &Tensor| {
        let mut inner = None;
        let (sum, _) = scan(x.sum(), x.clone(), |c, e| {
            inner = Some(&e * 2.0);
            (&c + &e, e)
        });
        sum + inner.unwrap()
    })
    .call(&x)
    .unwrap_err()
    .to_string();
    says(&text, &["loop"]);
}

#[test]
fn arguments_that_a_trace_cannot_take() {
    let x = draw(1, &[3]);
    let w = draw(2, &[3]).requires_grad();
    let text = trace(|x: &Tensor| (x * 2.0).sum().backward()).call(&(&w * 2.0)).unwrap_err().to_string();
    says(&text, &["argument 0", "detach()"]);
    let grow = trace(|x: &Tensor| {
        no_grad(|| w.add_(x));
    });
    grow.call(&x).unwrap();
    let before = copy(&w);
    // What is changed may be what is passed.
    grow.call(&w.detach()).unwrap();
    assert_same("twice as much", &no_grad(|| &before * 2.0), &w);
    grow.call(&x).unwrap();
    assert_same("still works", &no_grad(|| &before * 2.0 + &x), &w);
    // The same where what is changed does not lie dense.
    let (whole, eager) = (draw(3, &[3, 2]), draw(3, &[3, 2]));
    let column = whole.select(1, 0);
    let grow_column = trace(|x: &Tensor| {
        column.add_(1.0);
        x * 2.0
    });
    let grown = grow_column.call(&whole).unwrap();
    eager.select(1, 0).add_(1.0);
    assert_same("the whole", &whole, &eager);
    assert_same("what was read", &grown, &(&eager * 2.0));
    let add = trace(|a: &Tensor, b: &Tensor| {
        a.add_(b);
    });
    let twice = copy(&x);
    add.call((&twice, &twice)).unwrap();
    assert_same("an argument added to itself", &twice, &(&x + &x));
    trace(|a: &Tensor| (a * &w).sum().backward()).call(&w).unwrap();
    assert_same("one gradient", &w.grad().unwrap(), &no_grad(|| &w * 2.0));
}

#[test]
fn a_later_call_that_does_not_fit() {
    let f = trace(|a: &Tensor, b: &Tensor| a + b);
    let (a, b) = (draw(1, &[2, 3]), draw(2, &[2, 3]));
    assert_same("good", &f.call((&a, &b)).unwrap(), &(&a + &b));
    says(&f.call((&a, &zeros(&[4, 3]))).unwrap_err().to_string(), &["add", "[2, 3]", "[4, 3]"]);
    says(&f.call((&zeros(&[7]), &zeros(&[6]))).unwrap_err().to_string(), &["add", "[7]", "[6]"]);
    assert_same("still good", &f.call((&a, &b)).unwrap(), &(&a + &b));
    assert_eq!(f.compilations(), 1);
}

/// Everything that a failed call could have changed.
fn everything(model: &SinToCos, opt: &optim::Adam) -> Vec<Tensor> {
    let mut all: Vec<Tensor> = model.parameters().iter().map(copy).collect();
    all.extend(model.parameters().iter().filter_map(Tensor::grad).map(|g| copy(&g)));
    all.extend(opt.state().iter().map(|(_, t)| copy(t)));
    all
}

#[test]
fn a_failed_call_changes_nothing() {
    let panics = Flag::new(false);
    let make = || {
        let model = SinToCos::new(1, 8);
        let opt = optim::Adam::new(model.parameters(), 0.02);
        (model, opt)
    };
    let ((model, opt), (twin, twin_opt)) = (make(), make());
    let (panics, parts) = (&panics, [(&model, &opt), (&twin, &twin_opt)]);
    let [step, twin_step] = parts.map(|(model, opt)| {
        move |x: &Tensor, y: &Tensor, h: &Tensor| {
            opt.zero_grad();
            let (prediction, h) = model.forward(x, h);
            let loss = mse_loss(&prediction, y);
            loss.backward();
            opt.step();
            if panics.get() {
                panic!("the closure gave up");
            }
            (loss.detach(), h.detach())
        }
    });
    let traced = trace(step);
    let (x, y, h) = (draw(1, &[2, 5, 1]), draw(2, &[2, 5, 1]), zeros(&[1, 2, 8]));
    let good = |traced: &mut dyn FnMut() -> allotrope::Result<(Tensor, Tensor)>| {
        let (a, b) = (traced().unwrap(), twin_step(&x, &y, &h));
        assert_all_same("a good call", &[a.0, a.1], &[b.0, b.1]);
        assert_all_same("what it leaves", &everything(&model, &opt), &everything(&twin, &twin_opt));
    };
    let wrong: [(Tensor, Tensor, Tensor, &[&str]); 7] = [
        (x.clone(), draw(3, &[2, 4, 1]), h.clone(), &["mse_loss", "[2, 5, 1]", "[2, 4, 1]"]),
        (x.clone(), y.clone(), zeros(&[1, 3, 8]), &["hidden state", "[1, 2, 8]", "[1, 3, 8]"]),
        (zeros(&[2, 0, 1]), zeros(&[2, 0, 1]), h.clone(), &["empty", "[2, 0, 1]"]),
        (zeros(&[2, 5]), y.clone(), h.clone(), &["[batch, time, in]", "[2, 5]"]),
        (x.to(DType::F64), y.clone(), h.clone(), &["f32", "f64"]),
        (x.clone(), y.clone(), h.to(DType::F64), &["f64"]),
        (&model.out.bias.as_ref().unwrap().detach().reshape(&[1, 1, 1]) + 0.0, y.clone(), h.clone(), &["[1, 2, 8]"]),
    ];
    // The mistakes before anything was compiled, and after.
    for round in 0..2 {
        for (i, (x, y, h, needles)) in wrong.iter().enumerate() {
            let before = everything(&model, &opt);
            match traced.call((x, y, h)) {
                Ok(_) => panic!("round {round}: wrong call {i} went through"),
                Err(e) => says(&e.to_string(), needles),
            }
            assert_all_same(&format!("round {round}, wrong call {i}"), &before, &everything(&model, &opt));
        }
        let before = everything(&model, &opt);
        panics.set(true);
        says(&traced.call((&x, &y, &h)).unwrap_err().to_string(), &["the closure gave up"]);
        panics.set(false);
        assert_all_same("after a panic", &before, &everything(&model, &opt));
        good(&mut || traced.call((&x, &y, &h)));
        good(&mut || traced.call((&x, &y, &h)));
    }
}

/// Functions that are no methods have their twins too.
#[test]
fn free_functions_have_twins() {
    let (a, b) = (Tensor::zeros(&[2, 3], DType::F32), Tensor::zeros(&[2, 4], DType::F32));
    says(&allotrope::ops::try_cat(&[&a, &b], 0).unwrap_err().to_string(), &["cat", "[2, 4]", "[2, 3]"]);
    says(&allotrope::ops::try_stack(&[&a, &b], 0).unwrap_err().to_string(), &["stack"]);
    says(&nn::try_mse_loss(&a, &b).unwrap_err().to_string(), &["mse_loss", "[2, 3]", "[2, 4]"]);
    let empty = Tensor::zeros(&[0, 3], DType::F32);
    let loops = [allotrope::ops::try_scan(a.clone(), empty.clone(), |c, x: Tensor| (c, x)).map(drop)];
    for result in loops.into_iter().chain([allotrope::ops::try_scan_reverse(a, empty, |c, x: Tensor| (c, x)).map(drop)])
    {
        says(&result.unwrap_err().to_string(), &["scan", "empty"]);
    }
}
