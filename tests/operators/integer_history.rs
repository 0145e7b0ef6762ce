//! Tensors of integers and bools that were filled with what requires a gradient: they have a history, as in PyTorch, that no backward
//! pass goes through and no result of integers may have.

use allotrope::prelude::*;

fn value() -> Tensor {
    Tensor::full(&[], 1.5f32).requires_grad()
}

fn integers() -> Tensor {
    Tensor::from_vec(vec![1i64, 2, 3], &[3])
}

fn bools() -> Tensor {
    Tensor::from_vec(vec![true, false, true], &[3])
}

fn mask() -> Tensor {
    Tensor::from_vec(vec![true, false, false], &[3])
}

fn places() -> Tensor {
    Tensor::from_vec(vec![0i64, 1], &[2])
}

fn filled() -> (Tensor, Tensor) {
    let (x, w) = (integers(), value());
    x.fill_(&w);
    (x, w)
}

type Change = fn(&Tensor, &Tensor) -> allotrope::Result<()>;

macro_rules! changes {
    ($($change:expr, $node:expr, $values:expr;)*) => {
        [$((|x: &Tensor, w: &Tensor| { $change(x, w)?; Ok(()) }, $node, $values)),*]
    };
}

#[test]
fn what_is_filled_with_a_history_has_it() {
    let cases: [(Change, Option<&str>, [i64; 3]); 12] = changes! {
        |x: &Tensor, w| x.try_fill_(w).map(drop), Some("FillBackward3"), [1, 1, 1];
        |x: &Tensor, w| x.try_masked_fill_(&mask(), w).map(drop), Some("MaskedFillBackward1"), [1, 2, 3];
        |x: &Tensor, w| x.try_index_fill_(0, &places(), w).map(drop), Some("IndexFillBackward1"), [1, 1, 3];
        |x: &Tensor, w| x.try_set(..2, w).map(drop), Some("CopySlices"), [1, 1, 3];
        |x: &Tensor, w| x.try_set(2..2, w).map(drop), Some("CopySlices"), [1, 2, 3];
        |x: &Tensor, w| x.try_set(Ellipsis, w).map(drop), Some("FillBackward3"), [1, 1, 1];
        |x: &Tensor, w| x.try_set(&mask(), w).map(drop), Some("IndexPutBackward0"), [1, 2, 3];
        |x: &Tensor, w| x.try_index_put_(&mask(), w, false).map(drop), Some("IndexPutBackward0"), [1, 2, 3];
        |x: &Tensor, w| x.try_set(0, w).map(drop), None, [1, 2, 3];
        |x: &Tensor, w| x.try_set(&Tensor::full(&[], 1i64), w).map(drop), None, [1, 1, 3];
        |x: &Tensor, w| x.try_copy_(w).map(drop), None, [1, 1, 1];
        |x: &Tensor, w| x.try_logical_or_(w).map(drop), None, [1, 1, 1];
    };
    for (i, (change, node, values)) in cases.iter().enumerate() {
        let (x, w) = (integers(), value());
        change(&x, &w).unwrap();
        assert_eq!(x.to_vec::<i64>(), values, "{i}");
        assert_eq!((x.is_requires_grad(), x.grad_fn_name().as_deref()), (node.is_some(), *node), "{i}");
        // A view gives it to what it shows.
        let x = Tensor::from_vec(vec![1i64, 2, 3, 4], &[4]);
        change(&x.index(..3), &w).unwrap();
        assert_eq!(x.grad_fn_name().as_deref(), node.map(|_| "CopySlices"), "{i}");
        // Without a tape there is none.
        let x = integers();
        no_grad(|| change(&x, &w)).unwrap();
        assert!(!x.is_requires_grad(), "{i}");
        // So is it in a trace. Masks and places are made of Rust data here.
        if [1, 2, 6, 7].contains(&i) {
            continue;
        }
        let step = trace(|w: &Tensor| {
            let x = &Tensor::arange(3) + 1;
            change(&x, w).unwrap();
            x
        });
        for _ in 0..2 {
            let x = step.call(&w).unwrap();
            assert_eq!(x.to_vec::<i64>(), values, "traced: {i}");
            assert_eq!(x.is_requires_grad(), node.is_some(), "traced: {i}");
            if x.is_requires_grad() {
                assert!((&x * 2.0).sum().try_backward().is_err(), "traced: {i}");
            }
        }
    }
    let (x, w) = (bools(), value());
    x.fill_(&w);
    assert!(x.is_requires_grad() && !x.is_leaf());
}

#[test]
fn no_result_of_integers_has_such_a_history() {
    let refused: [fn(&Tensor) -> bool; 14] = [
        |x| x.try_mul(2).is_err(),
        |x| x.try_mul(&integers()).is_err(),
        |x| x.try_sum().is_err(),
        |x| x.try_neg().is_err(),
        |x| x.try_view(&[3, 1]).is_err(),
        |x| x.try_index(1..).is_err(),
        |x| x.try_index(&places()).is_err(),
        |x| x.try_gather(0, &places()).is_err(),
        |x| x.try_masked_fill(&mask(), 3).is_err(),
        |x| x.try_cumsum(0).is_err(),
        |x| x.try_remainder(2).is_err(),
        |x| x.try_expand(&[2, 3]).is_err(),
        |x| x.try_flip(&[0]).is_err(),
        |x| x.try_matmul(x).is_err(),
    ];
    let (x, _) = filled();
    for (i, f) in refused.iter().enumerate() {
        assert!(f(&x), "{i}");
        assert!(!no_grad(|| f(&x)), "{i}");
    }
    let free: [fn(&Tensor) -> Tensor; 9] = [
        |x| x.eq(1),
        |x| x.gt(&integers()),
        |x| x.floor_divide(2),
        |x| x.bitwise_and(1),
        |x| x.logical_not(),
        |x| x.detach(),
        |x| x.to(DType::I32),
        |x| x.zeros_like(),
        |x| Tensor::arange(10).to(DType::F32).index(x),
    ];
    for (i, f) in free.iter().enumerate() {
        assert!(!f(&x).is_requires_grad(), "{i}");
    }
    // Not out of place either.
    let w = value();
    assert!(integers().try_masked_fill(&mask(), &w).is_err());
    assert!(bools().try_index_fill(0, &places(), &w).is_err());
    assert!(integers().try_index_put(&mask(), &w, false).is_err());
    assert!(no_grad(|| integers().try_masked_fill(&mask(), &w)).is_ok());
}

#[test]
fn floats_have_it_and_no_gradient_goes_through() {
    let floats: [fn(&Tensor) -> Tensor; 5] = [
        |x| x * 2.0,
        |x| x.to(DType::F32),
        |x| x.div(2),
        |x| x.sqrt(),
        |x| {
            let y = Tensor::zeros(&[3], DType::F32);
            y.copy_(x);
            y
        },
    ];
    for (i, f) in floats.iter().enumerate() {
        let (x, w) = filled();
        let y = f(&x);
        assert!(y.is_requires_grad(), "{i}");
        assert!(y.sum().try_backward().is_err(), "{i}");
        assert!(w.grad().is_none(), "{i}");
    }
    // In place, it stays, unless PyTorch would keep a copy for a derivative.
    let refused: [fn(&Tensor) -> bool; 5] = [
        |x| x.try_abs_().is_err(),
        |x| x.try_square_().is_err(),
        |x| x.try_pow_(2).is_err(),
        |x| x.try_clamp_(0, 2).is_err(),
        |x| x.try_mul_(&filled().0).is_err(),
    ];
    for (i, f) in refused.iter().enumerate() {
        assert!(f(&filled().0), "{i}");
    }
    let (x, _) = filled();
    x.neg_().add_(&filled().0).cumsum_(0).fmod_(2).index_fill_(0, &places(), 2);
    x.mul_(2).add_(1);
    x.copy_(&integers());
    x.zero_();
    assert!(x.is_requires_grad());
}

#[test]
fn a_trace_fills_arguments_and_captured_tensors_so() {
    let captured = integers();
    let step = trace(|x: &Tensor, w: &Tensor, m: &Tensor| {
        x.masked_fill_(m, w);
        captured.index(1..).fill_(w);
        (x * 2.0).sum()
    });
    let (x, w) = (integers(), value());
    let y = step.call((&x, &w, &mask())).unwrap();
    assert_eq!((x.to_vec::<i64>(), captured.to_vec::<i64>()), (vec![1, 2, 3], vec![1, 1, 1]));
    assert!(x.is_requires_grad() && captured.is_requires_grad() && y.is_requires_grad());
    assert!(y.try_backward().is_err());
    // What has a history already is not used in another trace.
    assert!(trace(|x: &Tensor| x.eq(1)).call(&x).is_err());
    assert!(trace(|x: &Tensor| x.eq(1)).call(&x.detach()).is_ok());
}

/// A captured tensor of integers that gets a history after the recording is noticed.
#[test]
fn a_history_that_comes_later_is_noticed() {
    let (x, w) = (integers(), value());
    let f = trace(|y: &Tensor| y * &x);
    let y = Tensor::ones(&[3], DType::F32);
    f.call(&y).unwrap();
    x.fill_(&w);
    let error = f.call(&y).unwrap_err().to_string();
    assert!(error.contains("has a history"), "{error}");
    x.detach_();
    f.call(&y).unwrap();
}
