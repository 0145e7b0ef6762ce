//! Losses given what does not fit: each says what was given and what would fit, in every mode, and changes nothing.

use crate::{bits, panics, refused, says, seeded};
use allotrope::prelude::*;
use allotrope::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

fn floats(shape: &[usize]) -> Tensor {
    Tensor::full(shape, 0.5f32)
}

fn longs(numbers: &[i64], shape: &[usize]) -> Tensor {
    Tensor::from_vec(numbers.to_vec(), shape)
}

/// Refused eagerly and in a trace with the same words, leaving the operands as they are.
#[track_caller]
fn everywhere(what: &str, operands: &[&Tensor], words: &[&str], loss: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let before: Vec<Vec<u8>> = operands.iter().map(|t| bytes(t)).collect();
    let owned: Vec<Tensor> = operands.iter().map(|t| (*t).clone()).collect();
    refused(what, loss(&owned), words);
    let traced = trace(|all: &[Tensor]| loss(all).unwrap_or_else(|e| panic!("{e}")));
    refused(&format!("{what}, traced"), traced.call(&owned[..]), words);
    let after: Vec<Vec<u8>> = operands.iter().map(|t| bytes(t)).collect();
    assert_eq!(before, after, "{what}: nothing is changed");
}

fn bytes(t: &Tensor) -> Vec<u8> {
    match t.dtype() {
        DType::I64 => t.to_vec::<i64>().iter().flat_map(|x| x.to_le_bytes()).collect(),
        _ => t.to(DType::F64).to_vec::<f64>().iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

#[test]
fn shapes_and_dtypes_that_do_not_fit() {
    let (x, classes) = (floats(&[2, 3]), longs(&[0, 2], &[2]));
    let whole = longs(&[1, 2, 0, 1, 1, 1], &[2, 3]);
    everywhere("mse", &[&x, &floats(&[4, 5])], &["broadcast", "[2, 3]", "[4, 5]"], |t| {
        nn::MseLoss::new().try_forward(&t[0], &t[1])
    });
    everywhere("cross entropy, shape", &[&x, &longs(&[0, 1, 2], &[3])], &["[2, 3]", "i64[3]"], |t| {
        nn::CrossEntropyLoss::new().try_forward(&t[0], &t[1])
    });
    everywhere("cross entropy, integers", &[&whole, &classes], &["i64", "to(DType::F32)"], |t| {
        nn::CrossEntropyLoss::new().try_forward(&t[0], &t[1])
    });
    everywhere("cross entropy, probabilities", &[&x, &floats(&[2, 4])], &["[2, 3]", "[2, 4]"], |t| {
        nn::CrossEntropyLoss::new().try_forward(&t[0], &t[1])
    });
    everywhere("cross entropy, weights", &[&x, &classes, &floats(&[4])], &["weight", "[3]", "[4]"], |t| {
        nn::CrossEntropyLoss::new().weight(&t[2]).try_forward(&t[0], &t[1])
    });
    everywhere("cross entropy, smoothing", &[&x, &classes], &["label_smoothing", "0 to 1", "1.5"], |t| {
        nn::CrossEntropyLoss::new().label_smoothing(1.5).try_forward(&t[0], &t[1])
    });
    let learned = floats(&[3]).requires_grad();
    everywhere("cross entropy, learned weights", &[&x, &classes, &learned], &["weight", "detach()"], |t| {
        nn::CrossEntropyLoss::new().weight(&t[2]).try_forward(&t[0], &t[1])
    });
    everywhere("nll, dtype of the target", &[&x, &floats(&[2])], &["i64", "f32[2]"], |t| {
        nn::NllLoss::new().try_forward(&t[0], &t[1])
    });
    everywhere("bce, shapes", &[&x, &floats(&[2])], &["[2, 3]", "[2]"], |t| {
        nn::BceLoss::new().try_forward(&t[0], &t[1])
    });
    everywhere("bce, weight", &[&x, &x, &floats(&[5, 2, 3])], &["weight", "[5, 2, 3]"], |t| {
        nn::BceLoss::new().weight(&t[2]).try_forward(&t[0], &t[1])
    });
    everywhere("bce with logits, integers", &[&x, &whole], &["i64"], |t| {
        nn::BceWithLogitsLoss::new().try_forward(&t[0], &t[1])
    });
    everywhere("bce with logits, pos_weight", &[&x, &x, &floats(&[4])], &["[4]", "[2, 3]"], |t| {
        nn::BceWithLogitsLoss::new().pos_weight(&t[2]).try_forward(&t[0], &t[1])
    });
    everywhere("kl_div", &[&whole, &x], &["i64"], |t| nn::KlDivLoss::new().try_forward(&t[0], &t[1]));
    everywhere("huber", &[&x, &x], &["delta", "0"], |t| nn::HuberLoss::new().delta(0.0).try_forward(&t[0], &t[1]));
    everywhere("smooth l1", &[&x, &x], &["beta", "-1"], |t| {
        nn::SmoothL1Loss::new().beta(-1.0).try_forward(&t[0], &t[1])
    });
    everywhere("multi margin, p", &[&x, &classes], &["p of 1 or 2", "3"], |t| {
        nn::MultiMarginLoss::new().p(3).try_forward(&t[0], &t[1])
    });
    everywhere("multilabel margin", &[&x, &classes], &["[2, 3]", "i64[2]"], |t| {
        nn::MultiLabelMarginLoss::new().try_forward(&t[0], &t[1])
    });
    everywhere("cosine embedding", &[&x, &x, &classes.narrow(0, 0, 1)], &["[n, d]", "[2, 3]", "[1]"], |t| {
        nn::CosineEmbeddingLoss::new().try_forward(&t[0], &t[1], &t[2])
    });
    everywhere("margin ranking", &[&x, &x, &floats(&[2])], &["equally many axes", "[2]"], |t| {
        nn::MarginRankingLoss::new().try_forward(&t[0], &t[1], &t[2])
    });
    everywhere("triplet margin", &[&x, &x, &x], &["margin above 0", "-1"], |t| {
        nn::TripletMarginLoss::new().margin(-1.0).try_forward(&t[0], &t[1], &t[2])
    });
    everywhere("triplet with distance", &[&x, &x, &floats(&[3])], &["equally many axes", "[2, 3]", "[3]"], |t| {
        nn::TripletMarginWithDistanceLoss::new().try_forward(&t[0], &t[1], &t[2])
    });
    everywhere("gaussian", &[&x, &x, &floats(&[1, 1])], &["var", "[1, 1]", "[2, 3]"], |t| {
        nn::GaussianNllLoss::new().try_forward(&t[0], &t[1], &t[2])
    });
    everywhere("soft margin", &[&x, &floats(&[4])], &["[4]", "[2, 3]"], |t| {
        nn::SoftMarginLoss::new().try_forward(&t[0], &t[1])
    });
}

/// What elements say is known when the compiled function runs: it fails then, before it has changed anything.
#[test]
fn elements_that_do_not_fit() {
    let x = floats(&[2, 3]);
    let classes = "is not a class";
    for bad in [longs(&[0, 3], &[2]), longs(&[-1, 0], &[2])] {
        everywhere("cross entropy", &[&x, &bad], &["cross_entropy", classes], |t| {
            nn::CrossEntropyLoss::new().try_forward(&t[0], &t[1])
        });
        everywhere("smoothed cross entropy", &[&x, &bad], &["cross_entropy", classes], |t| {
            nn::CrossEntropyLoss::new().label_smoothing(0.1).weight(floats(&[3])).try_forward(&t[0], &t[1])
        });
        everywhere("nll", &[&x, &bad], &["nll_loss", classes], |t| nn::NllLoss::new().try_forward(&t[0], &t[1]));
        everywhere("multi margin", &[&x, &bad], &["multi_margin_loss", classes], |t| {
            nn::MultiMarginLoss::new().try_forward(&t[0], &t[1])
        });
    }
    let labels = longs(&[0, 3, -1, 1, -1, 7], &[2, 3]);
    everywhere("multilabel margin", &[&x, &labels], &["multilabel_margin_loss", classes], |t| {
        nn::MultiLabelMarginLoss::new().try_forward(&t[0], &t[1])
    });
    // Behind the first -1 nothing counts.
    nn::MultiLabelMarginLoss::new().forward(&x, &longs(&[0, 2, -1, 1, -1, 7], &[2, 3]));
    everywhere("bce", &[&(&x * 4.0), &x], &["binary_cross_entropy", "between 0 and 1"], |t| {
        nn::BceLoss::new().try_forward(&t[0], &t[1])
    });
    everywhere("gaussian", &[&x, &x, &(&x * -1.0)], &["gaussian_nll_loss", "negative"], |t| {
        nn::GaussianNllLoss::new().try_forward(&t[0], &t[1], &t[2])
    });
}

#[test]
fn ctc_refuses_what_does_not_fit() {
    let x = {
        let _drawing = seeded(9);
        randn(&[5, 2, 4]).log_softmax(2)
    };
    let (targets, steps, own) = (longs(&[1, 2, 3, 1], &[2, 2]), longs(&[5, 4], &[2]), longs(&[2, 1], &[2]));
    let ctc = nn::CtcLoss::new;
    let loss = |t: &[Tensor]| ctc().try_forward(&t[0], &t[1], &t[2], &t[3]);
    loss(&[x.clone(), targets.clone(), steps.clone(), own.clone()]).unwrap();
    let cases: [(&str, [&Tensor; 4], &[&str]); 12] = [
        ("integers", [&longs(&[0; 40], &[5, 2, 4]), &targets, &steps, &own], &["i64"]),
        ("axes", [&floats(&[5]), &targets, &steps, &own], &["[t, n, c]", "[5]", "[2, 2]"]),
        ("targets of floats", [&x, &floats(&[2, 2]), &steps, &own], &["i64", "f32"]),
        ("rows", [&x, &longs(&[1, 2, 1], &[3, 1]), &steps, &own], &["[2, s]", "[3, 1]"]),
        ("lengths of floats", [&x, &targets, &floats(&[2]), &own], &["input_lengths", "[2] integers", "f32[2]"]),
        ("too few lengths", [&x, &targets, &steps, &longs(&[1], &[1])], &["target_lengths", "[2] integers", "i64[1]"]),
        ("too many steps", [&x, &targets, &longs(&[6, 4], &[2]), &own], &["input length", "steps"]),
        ("negative steps", [&x, &targets, &longs(&[-1, 4], &[2]), &own], &["input length", "negative"]),
        ("too many labels", [&x, &targets, &steps, &longs(&[3, 1], &[2])], &["target length", "beyond"]),
        ("negative labels", [&x, &targets, &steps, &longs(&[-1, 1], &[2])], &["target length", "negative"]),
        ("no class", [&x, &longs(&[1, 4, 3, 9], &[2, 2]), &steps, &own], &["is not a class"]),
        ("no sum", [&x, &longs(&[1, 2], &[2]), &steps, &own], &["add up"]),
    ];
    for (what, operands, words) in cases {
        everywhere(what, &operands, words, loss);
    }
    // Beyond its length a target may be anything.
    loss(&[x.clone(), longs(&[1, 2, 3, 99], &[2, 2]), steps.clone(), own.clone()]).unwrap();
    everywhere("blank", &[&x, &targets, &steps, &own], &["blank", "4 classes"], |t| {
        ctc().blank(4).try_forward(&t[0], &t[1], &t[2], &t[3])
    });
    refused("numbers", ctc().try_forward(&x, &targets, &[5], &[2, 1]), &["input_lengths", "2 samples", "1"]);
    refused("numbers", ctc().try_forward(&x, &targets, &[5, 9], &[2, 1]), &["input_lengths", "at most 5", "9"]);
    refused("no steps", ctc().try_forward(&floats(&[0, 2, 4]), &targets, &[0, 0], &[2, 1]), &["step", "[0, 2, 4]"]);
    let leaf = x.detach().requires_grad();
    let y = ctc().forward(&leaf, &targets, &steps, &own);
    let gradient = allotrope::ops::grad(&[&y], &[&leaf], true).unwrap().remove(0).unwrap();
    refused("second derivative", gradient.sum().try_backward(), &["ctc_loss", "derivative"]);
}

/// A panic is the caller's: it stands at the line of the call.
#[test]
fn panics_stand_at_the_callers_line() {
    static PLACE: Mutex<Option<(String, u32)>> = Mutex::new(None);
    let (x, bad) = (floats(&[2, 3]), longs(&[0, 3], &[2]));
    panics("cross entropy", &["is not a class"], || nn::CrossEntropyLoss::new().forward(&x, &bad));
    panics("ctc", &["log_probs"], || nn::CtcLoss::new().forward(&floats(&[2]), &bad, &[1], &[1]));
    let old = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        *PLACE.lock().unwrap() = info.location().map(|l| (l.file().to_string(), l.line()));
    }));
    let mut places = Vec::new();
    let calls: [(u32, Box<dyn Fn()>); 4] = [
        (
            line!() + 1,
            Box::new(|| {
                nn::MseLoss::new().forward(&x, &floats(&[4, 5]));
            }),
        ),
        (
            line!() + 1,
            Box::new(|| {
                nn::CrossEntropyLoss::new().forward(&x, &bad);
            }),
        ),
        (
            line!() + 1,
            Box::new(|| {
                nn::CtcLoss::new().forward(&floats(&[2]), &bad, &[1], &[1]);
            }),
        ),
        (
            line!() + 1,
            Box::new(|| {
                nn::Softmax2d::new().forward(&x);
            }),
        ),
    ];
    for (line, call) in &calls {
        let _ = catch_unwind(AssertUnwindSafe(call));
        places.push((PLACE.lock().unwrap().take(), *line));
    }
    std::panic::set_hook(old);
    for (place, line) in places {
        let (file, at) = place.expect("it panicked");
        assert!(file.ends_with("losses.rs") && at.abs_diff(line) <= 1, "{file}:{at}, wanted line {line}");
    }
}

#[test]
fn weights_are_in_the_state_dict() {
    let loss = nn::BceWithLogitsLoss::new().weight(floats(&[3])).pos_weight(floats(&[3]) * 2.0);
    assert_eq!(loss.state_dict().names().collect::<Vec<_>>(), ["weight", "pos_weight"]);
    assert!(loss.parameters().is_empty());
    let other = nn::BceWithLogitsLoss::new().weight(floats(&[3]) * 4.0).pos_weight(floats(&[3]) * 8.0);
    loss.load_state_dict(&other.state_dict()).unwrap();
    let (x, t) = (floats(&[2, 3]), floats(&[2, 3]));
    assert_eq!(bits(&loss.forward(&x, &t)), bits(&other.forward(&x, &t)));
    let error: Error = nn::CrossEntropyLoss::new().load_state_dict(&other.state_dict()).unwrap_err();
    says("left over", &error.to_string(), &["weight", "pos_weight"]);
    let wide = loss.to(DType::F64);
    assert!(wide.buffers().iter().all(|b| b.dtype() == DType::F64));
}
