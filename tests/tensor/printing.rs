//! Printing against what PyTorch printed (`tests/data/printing.json`, recorded by `printing.py` beside it).

use allotrope::prelude::*;
use allotrope::tensor::{PrintOptions, with_print_options};
use serde_json::Value;

fn number(v: &Value) -> u64 {
    match v {
        Value::String(s) => s.parse().expect("bits of f64 are written as strings"),
        v => v.as_u64().or(v.as_i64().map(|i| i as u64)).expect("bits"),
    }
}

fn tensor(case: &Value) -> Tensor {
    let shape: Vec<usize> = case["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let n: usize = shape.iter().product();
    let bits: Option<Vec<u64>> = case["bits"].as_array().map(|b| b.iter().map(number).collect());
    // PyTorch's integer times a Python number is f32.
    let rule = |i: usize| {
        let r = case["rule"].as_array().unwrap();
        ((i as i64 % r[1].as_i64().unwrap()) + r[0].as_i64().unwrap()) as f32 * r[2].as_f64().unwrap() as f32
    };
    let of = |make: &dyn Fn(usize) -> f32| (0..n).map(make).collect::<Vec<_>>();
    match (case["dtype"].as_str().unwrap(), bits) {
        ("float32", Some(b)) => Tensor::from_vec(b.iter().map(|&b| f32::from_bits(b as u32)).collect(), &shape),
        ("float64", Some(b)) => Tensor::from_vec(b.iter().map(|&b| f64::from_bits(b)).collect(), &shape),
        ("int64", Some(b)) => Tensor::from_vec(b.iter().map(|&b| b as i64).collect(), &shape),
        ("bool", Some(b)) => Tensor::from_vec(b.iter().map(|&b| b != 0).collect(), &shape),
        ("float32", None) => Tensor::from_vec(of(&rule), &shape),
        ("float64", None) => Tensor::from_vec(of(&rule).into_iter().map(f64::from).collect(), &shape),
        ("int64", None) => Tensor::from_vec(of(&rule).into_iter().map(|x| x as i64).collect(), &shape),
        other => panic!("{other:?}"),
    }
}

fn options(case: &Value) -> PrintOptions {
    let o = &case["options"];
    let size = |name: &str| o[name].as_u64().map_or(usize::MAX, |n| n as usize);
    PrintOptions {
        precision: size("precision"),
        threshold: size("threshold"),
        edgeitems: size("edgeitems"),
        linewidth: size("linewidth"),
        sci_mode: o["sci_mode"].as_bool(),
    }
}

#[test]
fn prints_as_pytorch_does() {
    let data: Value = serde_json::from_str(include_str!("../data/printing.json")).unwrap();
    let cases = data["cases"].as_array().unwrap();
    assert!(cases.len() >= 100);
    let mut wrong = String::new();
    for case in cases {
        let mut t = tensor(case);
        if case["requires_grad"] == true {
            t = t.requires_grad();
        }
        let got = with_print_options(options(case), || t.to_string());
        let want = case["text"].as_str().unwrap();
        if got != want {
            wrong += &format!("{}: printed\n{got}\nwhere PyTorch prints\n{want}\n\n", case["name"]);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn views_print_as_their_copies() {
    let x = Tensor::arange(24).reshape(&[2, 3, 4]);
    for view in [x.permute(&[2, 0, 1]), x.narrow(2, 1, 2), x.unsqueeze(0).expand(&[2, 2, 3, 4])] {
        assert_eq!(view.to_string(), view.contiguous().to_string());
        assert_eq!(format!("{view:?}"), view.to_string());
    }
    let long = Tensor::arange(3000).reshape(&[30, 100]).t();
    assert_eq!(long.to_string(), long.contiguous().to_string());
}

#[test]
fn what_was_computed_says_by_what() {
    let x = Tensor::from_vec(vec![1.0f32, 2.0], &[2]).requires_grad();
    assert_eq!((&x * &x).to_string(), "tensor([1., 4.], grad_fn=<MulBackward0>)");
    assert_eq!(x.to(DType::F64).to_string(), "tensor([1., 2.], dtype=torch.float64, grad_fn=<ToCopyBackward0>)");
    // The suffix goes to a line of its own where the line is full.
    let long = (&Tensor::full(&[8], 0.125f32).requires_grad() * 1.0).to_string();
    assert_eq!(
        long,
        "tensor([0.1250, 0.1250, 0.1250, 0.1250, 0.1250, 0.1250, 0.1250, 0.1250],\n       grad_fn=<MulBackward0>)"
    );
}

#[test]
fn inside_a_trace_nothing_is_read() {
    let outside = Tensor::from_vec(vec![1i64, 2], &[2]);
    let said = std::cell::RefCell::new(Vec::new());
    let f = trace(|x: &Tensor| {
        let y = x * 2.0;
        y.sum().backward();
        *said.borrow_mut() = vec![x.to_string(), y.to_string(), format!("{:?}", x.lt(0.0)), outside.to_string()];
        y.detach()
    });
    let x = Tensor::ones(&[2, 3], DType::F32).requires_grad();
    let y = f.call(&x).unwrap();
    drop(f);
    assert_eq!(y.to_string(), "tensor([[2., 2., 2.],\n        [2., 2., 2.]])");
    assert_eq!(
        said.into_inner(),
        [
            "tensor(..., size=(2, 3), traced, requires_grad=True)",
            "tensor(..., size=(2, 3), traced, grad_fn=<MulBackward0>)",
            "tensor(..., size=(2, 3), dtype=torch.bool, traced)",
            "tensor(..., size=(2,), dtype=torch.int64, traced)",
        ]
    );
}

#[test]
fn what_leaked_out_of_a_trace_still_prints() {
    let leaked = std::cell::RefCell::new(None);
    let f = trace(|x: &Tensor| {
        let y = x + 1.0;
        *leaked.borrow_mut() = Some(y.clone());
        y
    });
    f.call(&Tensor::ones(&[2], DType::F64)).unwrap();
    assert_eq!(leaked.borrow().as_ref().unwrap().to_string(), "tensor(..., size=(2,), dtype=torch.float64, traced)");
}
