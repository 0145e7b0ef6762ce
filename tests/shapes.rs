//! Views, joining, indexing and products against the numbers that PyTorch gives, each eagerly, traced with every size
//! symbolic, and with its gradients in both modes to the bit.

// Ranges count from the end where they are negative, as users write them.
#![allow(clippy::reversed_empty_ranges)]

use allotrope::ops::grad;
use allotrope::prelude::*;

struct Row {
    what: &'static str,
    run: fn(&[Tensor]) -> Tensor,
    shape: &'static [usize],
    values: &'static [f32],
}

/// One row for each expression over the arguments named first.
macro_rules! rows {
    ($names:tt: $($e:expr => [$($n:literal),* $(,)?], [$($v:literal),* $(,)?];)*) => {
        vec![$(Row {
            what: stringify!($e),
            run: |v: &[Tensor]| {
                #[allow(unused_variables)]
                let $names = v else { panic!("as many arguments") };
                $e
            },
            shape: &[$($n),*],
            values: &[$($v),*],
        }),*]
    };
}

fn arguments() -> Vec<Tensor> {
    let ints = |v: &[i64], shape: &[usize]| Tensor::from_slice(v, shape);
    let x = Tensor::from_vec((0..24).map(|i| i as f32).collect::<Vec<f32>>(), &[2, 3, 4]);
    let m = x.index((.., .., 0)).gt(4.0);
    vec![
        x.requires_grad(),
        ints(&[0, 2], &[2]),
        ints(&[1, -1], &[2, 1]),
        ints(&[1, 0, 1], &[3]),
        ints(&[1], &[]),
        m,
        ints(&[3, 0, 2], &[3]),
        ints(&[0, 2, 1, 0], &[1, 1, 4]),
    ]
}

/// The result, and the gradient of a sum in which every element counts differently.
fn with_gradient(run: fn(&[Tensor]) -> Tensor, v: &[Tensor]) -> (Tensor, Tensor) {
    let y = run(v);
    let g = grad(&[&(&y * &y).sum()], &[&v[0]], false).unwrap();
    (y.detach(), g[0].clone().unwrap())
}

fn bits(t: &Tensor) -> Vec<u32> {
    t.to_vec::<f32>().into_iter().map(f32::to_bits).collect()
}

#[test]
fn as_pytorch_in_both_modes() {
    let mut failures = Vec::new();
    for row in table() {
        let v = arguments();
        let (y, g) = with_gradient(row.run, &v);
        if y.shape() != row.shape || y.to_vec::<f32>() != row.values {
            failures.push(format!("{}: {:?} {:?}", row.what, y.shape(), y.to_vec::<f32>()));
        }
        let traced = trace(|v: &[Tensor]| with_gradient(row.run, v));
        match traced.call(&v) {
            Err(e) => failures.push(format!("{}: {e}", row.what)),
            Ok((ty, tg)) => {
                if (ty.shape(), bits(&ty)) != (y.shape(), bits(&y)) || bits(&tg) != bits(&g) {
                    failures.push(format!(
                        "{}: traced differs, {:?} and {:?}",
                        row.what,
                        ty.to_vec::<f32>(),
                        tg.to_vec::<f32>()
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn masks_choose_what_depends_on_values() {
    let v = arguments();
    assert_eq!(v[0].index(&v[5]).shape(), [4, 4]);
    assert_eq!(v[0].index((&v[5], 0)).to_vec::<f32>(), [8.0, 12.0, 16.0, 20.0]);
    assert_eq!(v[5].nonzero().to_vec::<i64>(), [0, 2, 1, 0, 1, 1, 1, 2]);
    assert_eq!(v[0].masked_select(&v[0].gt(21.0)).to_vec::<f32>(), [22.0, 23.0]);
    let error = trace(|x: &Tensor| x.masked_select(&x.gt(1.0))).call(&v[0].detach()).unwrap_err();
    assert!(error.to_string().contains("masked_select at tests/shapes.rs"), "{error}");
}

#[test]
fn what_lies_outside_is_named() {
    let x = Tensor::zeros(&[2, 3], DType::F32);
    let says = |r: allotrope::Result<Tensor>, parts: &[&str]| {
        let text = r.unwrap_err().to_string();
        assert!(parts.iter().all(|p| text.contains(p)), "{text}");
    };
    says(x.try_index((0, 3)), &["index 3", "axis 1", "[2, 3]", "-3 to 2"]);
    says(x.try_index((0, 0, 0)), &["3 indices", "[2, 3]"]);
    says(x.try_select(1, -4), &["index -4", "axis 1", "[2, 3]"]);
    let far = Tensor::from_vec(vec![0i64, 2], &[2]);
    says(x.try_index(&far), &["index: an index lies outside"]);
    says(x.try_index_select(0, &far), &["index_select: an index lies outside"]);
    let error = trace(|x: &Tensor, i: &Tensor| x.index(i)).call((&x, &far)).unwrap_err();
    assert!(error.to_string().contains("index: an index lies outside"), "{error}");
    says(x.try_view(&[4, -1]), &["[2, 3]", "[4, -1]"]);
    says(x.t().try_view(&[6]), &["use reshape"]);
}

#[test]
fn views_share_memory_and_copies_do_not() {
    let x = Tensor::zeros(&[3, 3], DType::F32);
    x.diagonal(0, 0, 1).fill_(2.0);
    x.index((0, 1..)).fill_(1.0);
    assert_eq!(x.to_vec::<f32>(), [2.0, 1.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 2.0]);
    for copied in [x.repeat(&[1, 1]), x.flip(&[]), x.roll(&[0], &[0]), x.rot90(0, [0, 1]), x.tril(5), x.diag(0)] {
        copied.fill_(9.0);
    }
    assert_eq!(x.sum().item::<f32>(), 8.0);
    assert!(x.as_strided(&[2, 2], &[1, 1], 0).try_add_(1.0).is_err());
    let row = x.index((..1, ..));
    row.repeat(&[2, 1]).fill_(5.0);
    assert_eq!(x.sum().item::<f32>(), 8.0);
    x.set((.., 0), &Tensor::from_vec(vec![7i64, 8, 9], &[3]));
    assert_eq!(x.index((.., 0)).to_vec::<f32>(), [7.0, 8.0, 9.0]);
}

#[test]
fn symbolic_sizes_stay_symbolic() {
    let f = |x: &Tensor| {
        let x = x.roll(&[1], &[0]).unflatten(1, &[2, -1]).flatten(1, 2).repeat(&[2, 1]);
        let x = x.index((1..-1, NewAxis, ..)).movedim(&[0], &[1]).tril(0);
        cat(&[&x, &x.triu(1)], 0).slice(1, Some(-2), None, 1)
    };
    let traced = trace(f);
    for n in [3, 5, 9] {
        let x = Tensor::from_vec((0..n * 6).map(|i| i as f32).collect::<Vec<f32>>(), &[n, 6]);
        assert_eq!(bits(&traced.call(&x).unwrap()), bits(&f(&x)), "{n}");
    }
    assert_eq!(traced.compilations(), 1);
}

#[test]
fn operators_of_rust() {
    let mut x = Tensor::from_vec(vec![5i64, -5, 7], &[3]);
    assert_eq!((&x % 3).to_vec::<i64>(), [2, 1, 1]);
    assert_eq!((&x & 4).to_vec::<i64>(), [4, 0, 4]);
    assert_eq!((!&x).to_vec::<i64>(), [-6, 4, -8]);
    let (low, high) = (x.gt(0), x.lt(6));
    assert_eq!((&low & &high).to_vec::<bool>(), [true, false, false]);
    assert_eq!((&low ^ !&high).to_vec::<bool>(), [true, false, false]);
    let same = x.clone();
    x += 1;
    x *= &Tensor::from_vec(vec![1i64, 2, 3], &[3]);
    assert_eq!(same.to_vec::<i64>(), [6, -8, 24]);
}

#[rustfmt::skip]
fn table() -> Vec<Row> {
    rows! { [x, i, j, k, s, m, l, t]:
        x.index(1) => [3, 4], [12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0];
        x.index(-1) => [3, 4], [12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0];
        x.index((.., 1.., ..-1)) => [2, 2, 3], [4.0, 5.0, 6.0, 8.0, 9.0, 10.0, 16.0, 17.0, 18.0, 20.0, 21.0, 22.0];
        x.index((.., .., stepped(1.., 2))) => [2, 3, 2], [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0, 19.0, 21.0, 23.0];
        x.index((0, .., -1)) => [3], [3.0, 7.0, 11.0];
        x.index((Ellipsis, 2)) => [2, 3], [2.0, 6.0, 10.0, 14.0, 18.0, 22.0];
        x.index((NewAxis, 0, Ellipsis, NewAxis)) => [1, 3, 4, 1], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0];
        x.index((.., -9..9, 3..1)) => [2, 3, 0], [];
        x.index((.., 0..=1, -2..=-1)) => [2, 2, 2], [2.0, 3.0, 6.0, 7.0, 14.0, 15.0, 18.0, 19.0];
        x.index((.., i)) => [2, 2, 4], [0.0, 1.0, 2.0, 3.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 20.0, 21.0, 22.0, 23.0];
        x.index((.., j)) => [2, 2, 1, 4], [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0];
        x.index((.., i, i)) => [2, 2], [0.0, 10.0, 12.0, 22.0];
        x.index((s, .., i)) => [3, 2], [12.0, 14.0, 16.0, 18.0, 20.0, 22.0];
        x.index((k, .., j)) => [2, 3, 3], [13.0, 17.0, 21.0, 1.0, 5.0, 9.0, 13.0, 17.0, 21.0, 15.0, 19.0, 23.0, 3.0, 7.0, 11.0, 15.0, 19.0, 23.0];
        x.index((k, j)) => [2, 3, 4], [16.0, 17.0, 18.0, 19.0, 4.0, 5.0, 6.0, 7.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 8.0, 9.0, 10.0, 11.0, 20.0, 21.0, 22.0, 23.0];
        x.index((1, i, 2..)) => [2, 2], [14.0, 15.0, 22.0, 23.0];
        x.index((.., i, NewAxis, i)) => [2, 2, 1], [0.0, 12.0, 10.0, 22.0];
        x.index((.., .., j)) => [2, 3, 2, 1], [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0, 19.0, 21.0, 23.0];
        x.roll(&[1, -2], &[0, 2]) => [2, 3, 4], [14.0, 15.0, 12.0, 13.0, 18.0, 19.0, 16.0, 17.0, 22.0, 23.0, 20.0, 21.0, 2.0, 3.0, 0.0, 1.0, 6.0, 7.0, 4.0, 5.0, 10.0, 11.0, 8.0, 9.0];
        x.roll(&[5], &[]) => [2, 3, 4], [19.0, 20.0, 21.0, 22.0, 23.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0];
        x.rot90(1, [0, 2]) => [4, 3, 2], [3.0, 15.0, 7.0, 19.0, 11.0, 23.0, 2.0, 14.0, 6.0, 18.0, 10.0, 22.0, 1.0, 13.0, 5.0, 17.0, 9.0, 21.0, 0.0, 12.0, 4.0, 16.0, 8.0, 20.0];
        x.rot90(-1, [1, 2]) => [2, 4, 3], [8.0, 4.0, 0.0, 9.0, 5.0, 1.0, 10.0, 6.0, 2.0, 11.0, 7.0, 3.0, 20.0, 16.0, 12.0, 21.0, 17.0, 13.0, 22.0, 18.0, 14.0, 23.0, 19.0, 15.0];
        x.fliplr() => [2, 3, 4], [8.0, 9.0, 10.0, 11.0, 4.0, 5.0, 6.0, 7.0, 0.0, 1.0, 2.0, 3.0, 20.0, 21.0, 22.0, 23.0, 16.0, 17.0, 18.0, 19.0, 12.0, 13.0, 14.0, 15.0];
        x.diagonal(1, 2, 1) => [2, 2], [4.0, 9.0, 16.0, 21.0];
        x.diagonal(-1, 1, 2) => [2, 2], [4.0, 9.0, 16.0, 21.0];
        x.index(0).diag_embed(-1, 0, 2) => [5, 3, 5], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 6.0, 0.0, 0.0, 0.0, 0.0, 10.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0, 11.0, 0.0];
        x.tril(-1) => [2, 3, 4], [0.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 8.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 16.0, 0.0, 0.0, 0.0, 20.0, 21.0, 0.0, 0.0];
        x.triu(1) => [2, 3, 4], [0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 6.0, 7.0, 0.0, 0.0, 0.0, 11.0, 0.0, 13.0, 14.0, 15.0, 0.0, 0.0, 18.0, 19.0, 0.0, 0.0, 0.0, 23.0];
        x.repeat_interleave(2, Some(1)) => [2, 6, 4], [0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 20.0, 21.0, 22.0, 23.0];
        x.take(j) => [2, 1], [1.0, 23.0];
        x.index(0).as_strided(&[3, 2], &[1, 4], 2) => [3, 2], [2.0, 6.0, 3.0, 7.0, 4.0, 8.0];
        x.unfold(2, 2, 2) => [2, 3, 2, 2], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0];
        x.slice(2, Some(-3), None, 2) => [2, 3, 2], [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0, 19.0, 21.0, 23.0];
        x.index_add(1, i, &x.index((.., ..2)), 2.0) => [2, 3, 4], [0.0, 3.0, 6.0, 9.0, 4.0, 5.0, 6.0, 7.0, 16.0, 19.0, 22.0, 25.0, 36.0, 39.0, 42.0, 45.0, 16.0, 17.0, 18.0, 19.0, 52.0, 55.0, 58.0, 61.0];
        x.index_copy(1, i, &x.index((.., ..2))) => [2, 3, 4], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 4.0, 5.0, 6.0, 7.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 16.0, 17.0, 18.0, 19.0];
        x.index_fill(2, &j.ravel(), 9.0) => [2, 3, 4], [0.0, 9.0, 2.0, 9.0, 4.0, 9.0, 6.0, 9.0, 8.0, 9.0, 10.0, 9.0, 12.0, 9.0, 14.0, 9.0, 16.0, 9.0, 18.0, 9.0, 20.0, 9.0, 22.0, 9.0];
        x.index_put((.., i, 1..3), 7.0, false) => [2, 3, 4], [0.0, 7.0, 7.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 7.0, 7.0, 11.0, 12.0, 7.0, 7.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0, 7.0, 7.0, 23.0];
        x.index_put((k, .., l), &x.index((..1, .., 0)), true) => [2, 3, 4], [0.0, 1.0, 2.0, 3.0, 8.0, 5.0, 6.0, 7.0, 16.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 22.0, 23.0, 20.0, 21.0, 30.0, 31.0];
        x.index_put((.., stepped(.., 2), -1), -1.0, false) => [2, 3, 4], [0.0, 1.0, 2.0, -1.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, -1.0, 12.0, 13.0, 14.0, -1.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, -1.0];
        x.index_put((1, Ellipsis), &x.index(0), true) => [2, 3, 4], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0, 24.0, 26.0, 28.0, 30.0, 32.0, 34.0];
        x.index_put(m, 100.0, false) => [2, 3, 4], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0];
        einsum("abc,dbc->da", &[x, &x.mul(2.0)]) => [2, 2], [1012.0, 2596.0, 2596.0, 7636.0];
        einsum("a...,b...->...", &[x, x]) => [3, 4], [144.0, 196.0, 256.0, 324.0, 400.0, 484.0, 576.0, 676.0, 784.0, 900.0, 1024.0, 1156.0];
        einsum("aab->ab", &[&x.index((.., ..2))]) => [2, 4], [0.0, 1.0, 2.0, 3.0, 16.0, 17.0, 18.0, 19.0];
        einsum("abc,b,c", &[x, &x.index((0, .., 0)), &x.index((0, 0))]) => [2], [648.0, 1512.0];
        x.tensordot(x, &[0, 2], &[0, 2]) => [3, 3], [748.0, 988.0, 1228.0, 988.0, 1356.0, 1724.0, 1228.0, 1724.0, 2220.0];
        x.index((.., .., ..3)).cross(&x.index((.., .., 1..)), 1) => [2, 3, 3], [-4.0, -4.0, -4.0, 8.0, 8.0, 8.0, -4.0, -4.0, -4.0, -4.0, -4.0, -4.0, 8.0, 8.0, 8.0, -4.0, -4.0, -4.0];
        x.movedim(&[0, 1], &[-1, 0]) => [3, 4, 2], [0.0, 12.0, 1.0, 13.0, 2.0, 14.0, 3.0, 15.0, 4.0, 16.0, 5.0, 17.0, 6.0, 18.0, 7.0, 19.0, 8.0, 20.0, 9.0, 21.0, 10.0, 22.0, 11.0, 23.0];
        x.unflatten(2, &[2, -1]) => [2, 3, 2, 2], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0];
        x.index(0).addr(&x.index((0, .., 1)), &x.index((1, 1)), 0.5, 2.0) => [3, 4], [32.0, 34.5, 37.0, 39.5, 162.0, 172.5, 183.0, 193.5, 292.0, 310.5, 329.0, 347.5];
        x.take_along_dim(t, Some(1)) => [2, 1, 4], [0.0, 9.0, 6.0, 3.0, 12.0, 21.0, 18.0, 15.0];
    }
}
