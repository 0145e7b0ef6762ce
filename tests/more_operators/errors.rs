//! Wrong calls say what was given and what would fit, and change nothing; the advice against changes in place names a copy that helps.

use allotrope::fft::{self, FftOptions};
use allotrope::ops::{HistogramOptions, QuantileOptions, ScatterReduce, SearchsortedOptions};
use allotrope::{DType, Result, Tensor, linalg};

fn says<T>(result: Result<T>, words: &[&str]) {
    let text = result.err().expect("an error").to_string();
    for word in words {
        assert!(text.contains(word), "{text:?} does not say {word:?}");
    }
}

#[test]
fn wrong_calls_say_what_would_fit() {
    let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    let whole = Tensor::from_vec(vec![1i64, -2], &[2]);
    let flags = Tensor::zeros(&[2], DType::Bool);
    let empty = Tensor::zeros(&[2, 0], DType::F32);
    says(flags.try_median(), &["median", "bool"]);
    says(empty.try_median_dim(1, false), &["median", "[2, 0]"]);
    says(x.try_median_dim(2, false), &["median", "axis 2", "[2, 3]"]);
    says(x.try_quantile(1.5, QuantileOptions::default()), &["quantile", "between 0 and 1", "1.5"]);
    says(x.try_quantile(&Tensor::scalar(-0.5f32), QuantileOptions::default()), &["quantile", "between 0 and 1"]);
    says(x.try_quantile(&Tensor::scalar(0.5f64), QuantileOptions::default()), &["quantile", "f32", "f64"]);
    says(whole.try_quantile(0.5, QuantileOptions::default()), &["quantile", "i64"]);
    says(empty.try_mode(1, false), &["mode", "[2, 0]"]);
    says(x.try_histc(0, 0.0, 1.0), &["histc", "one bin"]);
    says(x.try_histc(3, 2.0, 1.0), &["histc", "2 to 1"]);
    says(x.try_histc(3, 0.0, f64::INFINITY), &["histc", "finite", "inf"]);
    says(Tensor::scalar(f32::NAN).try_histc(3, 0.0, 0.0), &["histc", "finite"]);
    says(whole.try_histc(3, 0.0, 0.0), &["histc", "i64"]);
    let weight = Tensor::zeros(&[3], DType::F32);
    let options = HistogramOptions { weight: Some(&weight), ..Default::default() };
    says(x.try_histogram(3, options), &["histogram", "[2, 3]", "[3]"]);
    says(whole.try_bincount(None, 0), &["bincount", "negative"]);
    says(x.try_bincount(None, 0), &["bincount", "integers", "[2, 3]"]);
    says(x.try_searchsorted(&Tensor::scalar(1.0f64), SearchsortedOptions::default()), &["searchsorted", "f64", "f32"]);
    says(x.try_searchsorted(&weight, SearchsortedOptions::default()), &["searchsorted", "[3]", "[2, 3]"]);
    says(x.try_bucketize(&x, false), &["bucketize", "vector", "[2, 3]"]);
    says(x.try_unique(Some(2)), &["unique", "axis 2"]);
    let at = Tensor::from_vec(vec![0i64, 5], &[2, 1]);
    says(x.try_scatter_reduce(0, &at, &x, ScatterReduce::Prod, true), &["scatter_reduce", "outside"]);
    says(x.try_scatter_reduce(0, &whole, &x, ScatterReduce::Prod, true), &["scatter_reduce", "[2]", "[2, 3]"]);
    says(x.try_scatter_reduce(0, &x, &x, ScatterReduce::Prod, true), &["scatter_reduce", "i64", "f32"]);
    says(x.try_index_reduce(0, &whole, &x, ScatterReduce::Sum, true), &["index_reduce", "index_add"]);
    says(x.try_index_reduce(0, &whole, &weight, ScatterReduce::Prod, true), &["index_reduce", "[3]", "[2]", "[2, 3]"]);
    says(x.try_slice_scatter(&weight, 0, None, Some(1), 1), &["slice_scatter", "[1, 3]", "[3]"]);
    says(x.try_select_scatter(&x, 0, 0), &["select_scatter", "[3]", "[2, 3]"]);
    says(weight.try_fill_diagonal_(1.0, false), &["fill_diagonal_", "two axes", "[3]"]);
    let cube = Tensor::zeros(&[2, 3, 2], DType::F32);
    says(cube.try_fill_diagonal_(1.0, false), &["fill_diagonal_", "[2, 3, 2]"]);
    assert_eq!(cube.to_vec::<f32>(), [0.0; 12]);
    says(x.try_view_dtype(DType::F64), &["view_dtype", "3 elements", "f64"]);
    says(Tensor::scalar(1.0f32).try_view_dtype(DType::F64), &["view_dtype", "f64"]);
    says(x.try_cdist(&weight, 2.0), &["cdist", "[2, 3]", "[3]"]);
    says(x.try_cdist(&x, -1.0), &["cdist", "-1"]);
    says(x.try_polygamma(-1), &["polygamma", "-1"]);
    says(x.try_polygamma(0.5), &["polygamma", "0.5"]);
    says(whole.try_mean_dtype(&[], false, DType::I64), &["mean", "float", "i64"]);
    says(whole.try_nanmean(&[], false), &["nanmean", "i64"]);
}

#[test]
fn wrong_matrices_and_signals_say_what_would_fit() {
    let tall = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]);
    let singular = Tensor::from_vec(vec![1.0f32, 2.0, 2.0, 4.0], &[1, 2, 2]);
    let square = Tensor::eye(2, 2, DType::F32);
    let vector = Tensor::zeros(&[3], DType::F32);
    says(linalg::try_inv(&tall), &["linalg.inv", "square", "[3, 2]"]);
    says(linalg::try_inv(&singular), &["linalg.inv", "matrix 0 of the batch is singular"]);
    says(linalg::try_solve(&square, &vector), &["linalg.solve", "2 rows", "[3]"]);
    says(linalg::try_solve(&square, &square.to(DType::F64)), &["linalg.solve", "f32", "f64"]);
    says(linalg::try_cholesky(&(-&square)), &["linalg.cholesky", "the matrix is not positive definite"]);
    says(linalg::try_svd(&(&square / 0.0), false), &["linalg.svd", "not finite"]);
    says(linalg::try_eigh(&square.to(DType::I64)), &["linalg.eigh", "f32 or f64", "i64"]);
    says(linalg::try_qr(&vector, false), &["linalg.qr", "two axes", "[3]"]);
    says(linalg::try_lstsq(&tall, &square), &["linalg.lstsq", "3 rows", "[2, 2]"]);
    let (q, _) = linalg::qr(&tall.clone().requires_grad(), true);
    says(q.sum().try_backward(), &["complete QR", "complete = false"]);
    says(fft::try_fft(&vector, FftOptions::default()), &["fft.fft", "last axis of 2", "[3]"]);
    says(fft::try_fft(&tall, FftOptions { dim: 1, ..Default::default() }), &["fft.fft", "axis 1", "1 axes"]);
    says(fft::try_rfft(&vector, FftOptions { n: Some(0), ..Default::default() }), &["fft.rfft", "n = 0"]);
    says(fft::try_rfft(&vector.to(DType::I64), FftOptions::default()), &["fft.rfft", "i64"]);
}

#[test]
fn the_advice_against_changes_in_place_helps() {
    let w = Tensor::from_vec(vec![1.0f32, 2.0], &[2]).requires_grad();
    let y = w.exp();
    let z = y.square().sum();
    y.add_(1.0);
    says(z.try_backward(), &["change a copy, x.copy()", "x.clone() is another handle"]);
    let y = w.exp();
    let z = y.square().sum();
    y.copy().add_(1.0);
    z.try_backward().expect("a copy was changed");
    let x = Tensor::zeros(&[4], DType::F32);
    let (a, b) = (x.narrow(0, 0, 3), x.narrow(0, 1, 3));
    says(a.try_add_(&b), &["x.copy()"]);
    a.add_(&b.copy());
}
