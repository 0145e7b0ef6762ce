//! Errors that depend on values: a whole number divided by zero, an index out of range. Both modes refuse, and a traced
//! function that fails has changed nothing.

use crate::common::{assert_same, copy};
use allotrope::functional as f;
use allotrope::prelude::trace;
use allotrope::{DType, Result, Tensor};

/// An operation that fails for some values of its second operand.
type Attempt = Box<dyn Fn(&Tensor, &Tensor) -> Result<Tensor>>;

/// Demands that `f` refuses `bad` and takes `good`, in both modes, and that a traced function that fails changes no tensor
/// captured: one before, one after the failing operation, one in place.
fn refuses(what: &str, f: &Attempt, x: &Tensor, bad: &Tensor, good: &Tensor) {
    let eager = f(x, bad);
    assert!(eager.is_err(), "{what}: eager gives {:?}", eager.map(|y| y.shape().to_vec()));
    let want = f(x, good).unwrap_or_else(|e| panic!("{what}: eager refuses what is right: {e}"));

    let state = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
    let column = state.narrow(1, 0, 1);
    let count = Tensor::scalar(0i64);
    let (state_before, count_before) = (copy(&state), copy(&count));
    let step = trace(|x: &Tensor, index: &Tensor| {
        state.mul_(3.0);
        count.add_(1);
        let y = f(x, index).unwrap_or_else(|e| panic!("{e}"));
        column.add_(1.0);
        count.add_(1);
        y
    });
    let message = match step.call((x, bad)) {
        Ok(_) => panic!("{what}: the traced function takes it"),
        Err(e) => e.to_string(),
    };
    let said = f(x, bad).err().map(|e| e.to_string()).unwrap_or_default();
    assert_eq!(message, said, "{what}: both modes say the same");
    assert_same(&format!("{what}: the state after a failed call"), &state, &state_before);
    assert_same(&format!("{what}: the count after a failed call"), &count, &count_before);

    // The same compiled function still works, and changes its state once.
    let got = step.call((x, good)).unwrap_or_else(|e| panic!("{what}: traced refuses what is right: {e}"));
    assert_same(what, &got, &want);
    assert_eq!(count.item::<i64>(), 2, "{what}");
    assert!(step.call((x, bad)).is_err(), "{what}");
    assert_eq!(count.item::<i64>(), 2, "{what}: after another failed call");
    assert_eq!(step.compilations(), 1, "{what}");
}

#[test]
fn whole_numbers_divided_by_zero() {
    type Divide = fn(&Tensor, &Tensor) -> Result<Tensor>;
    let ops: [(&str, Divide); 6] = [
        ("floor_divide", |x, y| x.try_floor_divide(y)),
        ("div_floor", |x, y| x.try_div_floor(y)),
        ("div_trunc", |x, y| x.try_div_trunc(y)),
        ("remainder", |x, y| x.try_remainder(y)),
        ("fmod", |x, y| x.try_fmod(y)),
        ("floor_divide_", |x, y| {
            let own = x.mul(1);
            own.try_floor_divide_(y)?;
            Ok(own)
        }),
    ];
    for dtype in [DType::I64, DType::I32, DType::U8] {
        for (name, op) in ops {
            let x = Tensor::from_vec(vec![7i64, 5, 0, 9], &[4]).to(dtype);
            let bad = Tensor::from_vec(vec![1i64, 2, 0, 3], &[4]).to(dtype);
            let good = Tensor::from_vec(vec![1i64, 2, 4, 3], &[4]).to(dtype);
            refuses(&format!("{name} of {dtype}"), &(Box::new(op) as Attempt), &x, &bad, &good);
            let scalar = |n: i64| Tensor::scalar(n).to(dtype);
            refuses(
                &format!("{name} of {dtype} by one number"),
                &(Box::new(op) as Attempt),
                &x,
                &scalar(0),
                &scalar(2),
            );
        }
    }
    // A number is known while recording; nothing is divided where there are no elements.
    let x = Tensor::from_vec(vec![1i64, 2], &[2]);
    assert!(x.try_remainder(0).is_err() && x.try_floor_divide(0).is_err() && x.try_fmod(0).is_err());
    assert!(trace(|x: &Tensor| x.remainder(0)).call(&x).is_err());
    let empty = x.narrow(0, 0, 0);
    assert_eq!(empty.remainder(&empty).shape(), [0]);
    assert_eq!(trace(|x: &Tensor| x.remainder(x)).call(&empty).map(|y| y.shape().to_vec()), Ok(vec![0]));
}

#[test]
fn the_least_whole_number_divided_by_minus_one() {
    for (dtype, least) in [(DType::I64, i64::MIN), (DType::I32, i32::MIN.into())] {
        let x = Tensor::from_vec(vec![least, least, 7], &[3]).to(dtype);
        let y = Tensor::from_vec(vec![-1i64, 1, -1], &[3]).to(dtype);
        let all = |x: &Tensor, y: &Tensor| vec![x.div_floor(y), x.div_trunc(y), x.remainder(y), x.fmod(y)];
        let eager = all(&x, &y);
        let traced = trace(all).call((&x, &y)).expect("nothing is divided by zero");
        for ((a, b), want) in eager.iter().zip(&traced).zip([[least, least, -7], [least, least, -7], [0; 3], [0; 3]]) {
            assert_same("the least number", a, b);
            assert_eq!(a.to(DType::I64).to_vec::<i64>(), want);
        }
    }
}

#[test]
fn indices_out_of_range() {
    let x = || Tensor::from_vec((0..12).map(|i| i as f32 / 7.0).collect(), &[3, 4]);
    let index = |v: [i64; 4]| Tensor::from_slice(&v, &[1, 4]);
    let flat = |v: [i64; 2]| Tensor::from_slice(&v, &[2]);
    let rows: Vec<(&str, Attempt)> = vec![
        ("gather", Box::new(|x, i| x.try_gather(0, i))),
        ("scatter of a number", Box::new(|x, i| x.try_scatter(0, i, 2.0))),
        ("scatter", Box::new(|x, i| x.try_scatter(0, i, &x.neg()))),
        ("scatter_add", Box::new(|x, i| x.try_scatter_add(0, i, &x.neg()))),
    ];
    for (what, op) in &rows {
        refuses(what, op, &x(), &index([0, 3, 1, 0]), &index([0, 2, 1, 0]));
        refuses(what, op, &x(), &index([0, 2, 1, i64::MAX]), &index([0, 2, 1, 1]));
        refuses(what, op, &x(), &index([i64::MIN, 2, 1, 0]), &index([0, 2, 1, 1]));
    }
    let vectors: Vec<(&str, Attempt)> = vec![
        ("index_select", Box::new(|x, i| x.try_index_select(0, i))),
        ("index", Box::new(|x, i| x.try_index(i))),
        ("index_put", Box::new(|x, i| x.try_index_put(i, 1.0, true))),
        ("index_add", Box::new(|x, i| x.try_index_add(0, i, &x.narrow(0, 0, 2), 1.0))),
        ("index_copy", Box::new(|x, i| x.try_index_copy(0, i, &x.narrow(0, 0, 2)))),
        ("index_fill", Box::new(|x, i| x.try_index_fill(0, i, 1.0))),
        ("embedding", Box::new(|x, i| f::try_embedding(i, x, None))),
    ];
    for (what, op) in &vectors {
        refuses(what, op, &x(), &flat([0, 3]), &flat([2, 1]));
        refuses(what, op, &x(), &flat([-4, 0]), &flat([2, 1]));
    }
    let x = Tensor::from_vec((0..12).map(|i| i as f32 / 7.0).collect(), &[2, 6]);
    let classes: Vec<(&str, Attempt)> = vec![
        ("take", Box::new(|x, i| x.try_take(&(i + 6)))),
        ("cross_entropy", Box::new(|x, i| f::try_cross_entropy(x, i, Default::default()))),
        ("nll_loss", Box::new(|x, i| f::try_nll_loss(x, i, Default::default()))),
        ("multi_margin_loss", Box::new(|x, i| f::try_multi_margin_loss(x, i, 1, 1.0, None, f::Reduction::Mean))),
        ("one_hot", Box::new(|_, i| f::try_one_hot(i, Some(6)))),
    ];
    for (what, op) in &classes {
        refuses(what, op, &x, &flat([5, 6]), &flat([5, 0]));
    }
    for (what, op) in &classes[1..] {
        refuses(what, op, &x, &flat([-1, 1]), &flat([5, 0]));
    }
}

#[test]
fn probabilities_out_of_range() {
    let x = Tensor::from_vec(vec![0.5f32, 0.25], &[2]);
    let op: Attempt = Box::new(|x, p| f::try_binary_cross_entropy(p, x, None, f::Reduction::Mean));
    let of = |p: f32| Tensor::from_vec(vec![0.5, p], &[2]);
    refuses("binary_cross_entropy", &op, &x, &of(1.5), &of(1.0));
    refuses("binary_cross_entropy below 0", &op, &x, &of(-0.5), &of(0.0));
}
