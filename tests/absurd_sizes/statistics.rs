//! The tables of order statistics, histograms, searches, reductions in a dtype of the caller's, scattered parts and Fourier
//! transforms. Calls only.

use crate::row::{Row, Tensors, table, unnamed};
use allotrope::fft::{self, FftOptions};
use allotrope::ops::{HistogramOptions, QuantileOptions, ScatterReduce, SearchsortedOptions};
use allotrope::prelude::*;
use allotrope::{Error, Result};

const WIDE: DType = DType::F64;

fn any(_: i128) -> bool {
    true
}

fn along(dim: isize) -> QuantileOptions {
    QuantileOptions { dim: Some(dim), ..Default::default() }
}

fn signal(n: usize) -> FftOptions {
    FftOptions { n: Some(n), ..Default::default() }
}

fn transformed_along(dim: isize) -> FftOptions {
    FftOptions { dim, ..Default::default() }
}

/// Indices of the shape of `t.x`, all 0.
fn zeros() -> Tensor {
    Tensor::zeros(&[2, 3], DType::I64)
}

/// A tensor of one number and of so many elements, more than can be sorted or counted; of 2^40 there can be some, and that takes
/// its time.
fn many(t: &Tensors<'_>, n: isize) -> Result<Tensor> {
    match n == 1 << 40 {
        true => Err(Error::Argument(format!("{n} is left out"))),
        false => t.x.sum().try_expand(&[n]),
    }
}

pub fn rows() -> Vec<Row> {
    let mut all = axes();
    all.extend(counts());
    all.extend(parts());
    all.extend(of_many());
    all.extend(values());
    all
}

fn axes() -> Vec<Row> {
    table! { Signed n: isize, t;
        "quantiles::median_dim": t.x.try_median_dim(n, false);
        "quantiles::nanmedian_dim": t.x.try_nanmedian_dim(n, true);
        "quantiles::mode": t.x.try_mode(n, false);
        "quantiles::quantile QuantileOptions.dim": t.x.try_quantile(0.5, along(n));
        "quantiles::quantile": t.x.try_quantile(&(t.v * 0.3), along(n));
        "quantiles::nanquantile": t.x.try_nanquantile(0.5, along(n));
        "unique::unique": t.x.try_unique(Some(n));
        "unique::unique_consecutive": t.x.try_unique_consecutive(Some(n));
        "without_nan::nansum": t.x.try_nansum(&[n], false);
        "without_nan::nansum": t.x.try_nansum(&[0, n], true);
        "without_nan::nanmean": t.x.try_nanmean(&[n], false);
        "without_nan::nansum_dtype": t.x.try_nansum_dtype(&[n], false, WIDE);
        "without_nan::sum_dtype": t.x.try_sum_dtype(&[n], false, WIDE);
        "without_nan::mean_dtype": t.x.try_mean_dtype(&[n], false, WIDE);
        "without_nan::prod_dim_dtype": t.x.try_prod_dim_dtype(n, false, WIDE);
        "without_nan::cumsum_dtype": t.x.try_cumsum_dtype(n, WIDE);
        "without_nan::cumprod_dtype": t.x.try_cumprod_dtype(n, WIDE);
        "scatter_reduce::scatter_reduce": t.x.try_scatter_reduce(n, &zeros(), t.x, ScatterReduce::Prod, true);
        "scatter_reduce::index_reduce": t.x.try_index_reduce(n, t.i, t.x, ScatterReduce::Mean, true);
        "index_inplace::scatter_reduce_": t.x.try_scatter_reduce_(n, &zeros(), &t.x.copy(), ScatterReduce::Amax, false);
        "index_inplace::index_reduce_": t.x.try_index_reduce_(n, t.i, &t.x.copy(), ScatterReduce::Amin, true);
        "scatter_parts::select_scatter": t.x.try_select_scatter(t.v, 0, n);
        "scatter_parts::select_scatter": t.x.try_select_scatter(t.v, n, 0);
        "scatter_parts::slice_scatter": t.x.try_slice_scatter(t.x, n, None, None, 1);
        "scatter_parts::diagonal_scatter": t.x.try_diagonal_scatter(t.i, 0, n, 1);
        "scatter_parts::diagonal_scatter": t.x.try_diagonal_scatter(t.i, 0, 0, n);
        "fourier::fft FftOptions.dim": fft::try_fft(&t.image.narrow(-1, 0, 2), transformed_along(n));
        "fourier::ifft": fft::try_ifft(&t.image.narrow(-1, 0, 2), transformed_along(n));
        "fourier::rfft": fft::try_rfft(t.x, transformed_along(n));
        "fourier::irfft": fft::try_irfft(&t.image.narrow(-1, 0, 2), transformed_along(n));
    }
}

fn counts() -> Vec<Row> {
    table! { Unsigned n: usize, t;
        "search::histc": t.x.try_histc(n, 0.0, 1.0);
        "search::histc": t.x.try_histc(n, 0.0, 0.0);
        "search::histogram": t.x.try_histogram(n, HistogramOptions::default());
        "search::histogram": t.x.try_histogram(n, HistogramOptions { range: Some((0.0, 2.0)), density: true, ..Default::default() });
        "search::bincount": t.i.try_bincount(None, n);
        "search::bincount": t.i.try_bincount(Some(&t.v.narrow(0, 0, 2)), n);
        "search::bincount": t.i.narrow(0, 0, 0).try_bincount(None, n);
        "fourier::fft FftOptions.n": fft::try_fft(&t.image.narrow(-1, 0, 2), signal(n));
        "fourier::ifft": fft::try_ifft(&t.image.narrow(-1, 0, 2), signal(n));
        "fourier::rfft": fft::try_rfft(t.x, signal(n));
        "fourier::rfft": fft::try_rfft(&t.x.narrow(0, 0, 0), signal(n)), right if any;
        "fourier::irfft": fft::try_irfft(&t.image.narrow(-1, 0, 2), signal(n));
        "fourier::irfft": fft::try_irfft(&t.image.narrow(0, 0, 0).narrow(-1, 0, 2), signal(n)), right if any;
        "fourier::ifft": fft::try_ifft(&t.image.narrow(0, 0, 0).narrow(-1, 0, 2), signal(n)), right if any;
        "scatter_parts::slice_scatter": t.x.try_slice_scatter(&t.x.narrow(1, 0, 1), 1, None, None, n), right if any;
    }
}

/// Edges that are cut off: an error is about the shape of what is left.
fn parts() -> Vec<Row> {
    unnamed(table! { Signed n: isize, t;
        "scatter_parts::slice_scatter": t.x.try_slice_scatter(t.x, 1, Some(n), None, 1), right if any;
        "scatter_parts::slice_scatter": t.x.try_slice_scatter(&t.x.narrow(1, 0, 0), 1, None, Some(n), 2), right if any;
        "scatter_parts::slice_scatter": t.x.try_slice_scatter(&t.x.narrow(1, 0, 0), 1, Some(n), Some(n), 1), right if any;
        "scatter_parts::diagonal_scatter": t.x.try_diagonal_scatter(&t.i.narrow(0, 0, 0), n, 0, 1), right if any;
    })
}

/// Sizes that are no parameters, of a tensor that has one element.
fn of_many() -> Vec<Row> {
    table! { Signed n: isize, t;
        "special::expand": many(t, n).and_then(|x| x.try_median());
        "special::expand": many(t, n).and_then(|x| x.try_nanmedian_dim(0, false));
        "special::expand": many(t, n).and_then(|x| x.try_quantile(0.5, QuantileOptions::default()));
        "special::expand": many(t, n).and_then(|x| x.try_mode(0, false));
        "special::expand": many(t, n).and_then(|x| x.try_unique(None));
        "special::expand": many(t, n).and_then(|x| x.try_unique_consecutive(Some(0)));
        "special::expand": many(t, n).and_then(|x| x.try_histc(4, 0.0, 1.0));
        "special::expand": many(t, n).and_then(|x| x.try_histogram(4, HistogramOptions::default()));
        "special::expand": many(t, n).and_then(|x| x.try_to(DType::I64)?.try_bincount(None, 0));
        "special::expand": many(t, n).and_then(|x| t.v.try_searchsorted(&x, SearchsortedOptions::default()));
        "special::expand": many(t, n).and_then(|x| x.try_searchsorted(t.v, SearchsortedOptions::default())), right if |n| n > 0;
        "special::expand": many(t, n).and_then(|x| x.try_bucketize(t.v, true));
        "special::expand": many(t, n).and_then(|x| x.try_nansum(&[0], false));
        "special::expand": many(t, n).and_then(|x| x.try_nanmean(&[0], false));
        "special::expand": many(t, n).and_then(|x| x.try_sum_dtype(&[0], false, WIDE));
        "special::expand": many(t, n).and_then(|x| x.try_cumsum_dtype(0, WIDE));
        "special::expand": many(t, n).and_then(|x| x.try_scatter_reduce(0, t.i, &t.v.narrow(0, 0, 2), ScatterReduce::Prod, true));
        "special::expand": many(t, n).and_then(|x| x.try_slice_scatter(t.v, 0, Some(0), Some(3), 1));
        "special::expand": many(t, n).and_then(|x| fft::try_rfft(&x, FftOptions::default()));
        "special::expand": many(t, n).and_then(|x| x.try_unsqueeze(1)?.try_cdist(&t.v.unsqueeze(1), 2.0));
    }
}

/// Elements that name places.
fn values() -> Vec<Row> {
    unnamed(table! { Signed n: isize, t;
        "search::bincount": Tensor::from_slice(&[n as i64], &[1]).try_bincount(None, 0);
        "search::bincount": Tensor::from_slice(&[n as i64, 1], &[2]).try_bincount(Some(t.i), 3);
        "scatter_reduce::scatter_reduce": t.x.try_scatter_reduce(1, &Tensor::from_slice(&[n as i64, 0], &[2, 1]), t.x, ScatterReduce::Sum, true);
        "scatter_reduce::index_reduce": t.x.try_index_reduce(0, &Tensor::from_slice(&[n as i64, 0], &[2]), t.x, ScatterReduce::Amax, true);
        "index_inplace::scatter_reduce_": t.x.try_scatter_reduce_(1, &Tensor::from_slice(&[n as i64, 0], &[2, 1]), &t.x.copy(), ScatterReduce::Prod, false);
        "index_inplace::index_reduce_": t.x.try_index_reduce_(0, &Tensor::from_slice(&[n as i64, 0], &[2]), &t.x.copy(), ScatterReduce::Mean, true);
        "search::histc": t.x.try_histc(3, n as f64, n as f64), right if any;
        "search::histogram": t.x.try_histogram(3, HistogramOptions { range: Some((0.0, n as f64)), ..Default::default() }), right if any;
        "quantiles::quantile": t.x.try_quantile(n as f64, QuantileOptions::default());
    })
}
