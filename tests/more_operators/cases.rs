//! How each case of the file is called.

use super::Call;
use allotrope::fft::{self, FftNorm, FftOptions};
use allotrope::ops::ScatterReduce::{self, Amax, Amin, Mean, Prod, Sum};
use allotrope::ops::{HistogramOptions, Interpolation, QuantileOptions, SearchsortedOptions};
use allotrope::{DType, Result, Tensor, linalg};

type Called = Result<Vec<Tensor>>;

fn one(x: Result<Tensor>) -> Called {
    Ok(vec![x?])
}

fn two(x: Result<(Tensor, Tensor)>) -> Called {
    x.map(|(a, b)| vec![a, b])
}

#[track_caller]
fn three(x: Result<(Tensor, Tensor, Tensor)>) -> Called {
    x.map(|(a, b, c)| vec![a, b, c])
}

/// The options of a quantile along an axis.
fn along(dim: isize, keepdim: bool, interpolation: Interpolation) -> QuantileOptions {
    QuantileOptions { dim: Some(dim), keepdim, interpolation }
}

fn sorter(right: bool) -> SearchsortedOptions<'static> {
    SearchsortedOptions { right, ..Default::default() }
}

fn along_first(t: &[Tensor], how: ScatterReduce, own: bool) -> Called {
    one(t[0].try_scatter_reduce(0, &t[2], &t[1], how, own))
}

fn small(t: &[Tensor], how: ScatterReduce, own: bool) -> Called {
    let source = t[1].try_narrow(0, 0, 2)?.try_narrow(1, 0, 3)?;
    one(t[0].try_scatter_reduce(1, &t[2], &source, how, own))
}

fn indexed(t: &[Tensor], how: ScatterReduce, own: bool) -> Called {
    one(t[0].try_index_reduce(1, &t[2], &t[1], how, own))
}

/// Rows of one way to reduce.
macro_rules! reductions {
    ($calls:ident: $($how:ident $name:literal;)*) => {$(
        $calls.extend([
            (concat!("scatter_reduce_", $name, "_True"), (|t| along_first(t, $how, true)) as Call),
            (concat!("scatter_reduce_", $name, "_False"), |t| along_first(t, $how, false)),
            (concat!("scatter_reduce_ties_", $name, "_True"), |t| along_first(t, $how, true)),
            (concat!("scatter_reduce_ties_", $name, "_False"), |t| along_first(t, $how, false)),
            (concat!("scatter_reduce_small_", $name, "_True"), |t| small(t, $how, true)),
            (concat!("scatter_reduce_small_", $name, "_False"), |t| small(t, $how, false)),
            (concat!("scatter_reduce_nan_", $name), |t| along_first(t, $how, true)),
            (concat!("scatter_reduce_int_", $name), |t| along_first(t, $how, true)),
        ]);
        if $how != Sum {
            $calls.extend([
                (concat!("index_reduce_", $name, "_True"), (|t| indexed(t, $how, true)) as Call),
                (concat!("index_reduce_", $name, "_False"), |t| indexed(t, $how, false)),
            ]);
        }
    )*};
}

/// Rows of one interpolation.
macro_rules! interpolations {
    ($calls:ident: $($how:ident $name:literal;)*) => {$(
        $calls.extend([
            (concat!("quantile_", $name), (|t| {
                one(t[0].try_quantile(&t[1].detach(), along(1, true, Interpolation::$how)))
            }) as Call),
            (concat!("nanquantile_", $name), |t| {
                one(t[0].try_nanquantile(&t[1].detach(), along(1, false, Interpolation::$how)))
            }),
        ]);
    )*};
}

/// Rows of one order of a distance.
macro_rules! distances {
    ($calls:ident: $($p:literal)*) => {$(
        $calls.extend([
            (concat!("cdist_", $p), (|t| one(t[0].try_cdist(&t[1], $p.parse().expect("a number")))) as Call),
            (concat!("cdist_same_", $p), |t| one(t[0].try_cdist(&t[1], $p.parse().expect("a number")))),
        ]);
    )*};
}

fn orders() -> Vec<(&'static str, Call)> {
    let mut calls: Vec<(&'static str, Call)> = Vec::new();
    for name in
        ["median", "median_even", "median_ties", "median_nan", "median_f64", "median_i64", "median_empty", "median_f16"]
    {
        calls.push((name, |t| one(t[0].try_median())));
    }
    for name in ["nanmedian", "nanmedian_even", "nanmedian_ties", "nanmedian_nan", "nanmedian_f64"] {
        calls.push((name, |t| one(t[0].try_nanmedian())));
    }
    for name in ["median_dim", "median_dim_even", "median_dim_f64"] {
        calls.push((name, |t| two(t[0].try_median_dim(1, false))));
    }
    for name in ["nanmedian_dim", "nanmedian_dim_even", "nanmedian_dim_f64"] {
        calls.push((name, |t| two(t[0].try_nanmedian_dim(0, true))));
    }
    interpolations! { calls: Linear "linear"; Lower "lower"; Higher "higher"; Midpoint "midpoint"; Nearest "nearest"; }
    let more: [(&'static str, Call); 14] = [
        ("median_dim_nan", |t| one(t[0].try_median_dim(1, false).map(|r| r.0))),
        ("nanmedian_dim_nan", |t| one(t[0].try_nanmedian_dim(1, false).map(|r| r.0))),
        ("median_t", |t| two(t[0].try_t()?.try_median_dim(0, false))),
        ("median_0d", |t| two(t[0].try_median_dim(0, false))),
        ("quantile_all", |t| one(t[0].try_quantile(0.3, QuantileOptions::default()))),
        ("quantile_nan", |t| one(t[0].try_quantile(0.5, along(1, false, Interpolation::Linear)))),
        ("nanquantile_nan", |t| one(t[0].try_nanquantile(0.5, along(1, false, Interpolation::Linear)))),
        ("quantile_dim0", |t| one(t[0].try_quantile(&t[1].detach(), along(0, false, Interpolation::Linear)))),
        ("quantile_keep_all", |t| {
            one(t[0].try_quantile(&t[1].detach(), QuantileOptions { keepdim: true, ..Default::default() }))
        }),
        ("quantile_f64", |t| one(t[0].try_quantile(0.77, QuantileOptions::default()))),
        ("mode", |t| one(t[0].try_mode(1, false).map(|r| r.0))),
        ("mode_keep", |t| one(t[0].try_mode(0, true).map(|r| r.0))),
        ("mode_int", |t| one(t[0].try_mode(-1, false).map(|r| r.0))),
        ("nanmean_none", |t| one(t[0].try_nanmean(&[], false))),
    ];
    calls.extend(more);
    calls
}

fn sums() -> Vec<(&'static str, Call)> {
    vec![
        ("nansum", |t| one(t[0].try_nansum(&[1], false))),
        ("nansum_keep", |t| one(t[0].try_nansum(&[0, 1], true))),
        ("nansum_int", |t| one(t[0].try_nansum(&[], false))),
        ("nanmean", |t| one(t[0].try_nanmean(&[1], false))),
        ("sum_f64", |t| one(t[0].try_sum_dtype(&[1], false, DType::F64))),
        ("sum_i32", |t| one(t[0].try_sum_dtype(&[1], false, DType::I32))),
        ("mean_i64", |t| one(t[0].try_mean_dtype(&[], false, DType::F32))),
        ("prod_f64", |t| one(t[0].try_prod_dtype(DType::F64))),
        ("prod_dim_f64", |t| one(t[0].try_prod_dim_dtype(1, false, DType::F64))),
        ("cumsum_f64", |t| one(t[0].try_cumsum_dtype(1, DType::F64))),
        ("cumprod_f64", |t| one(t[0].try_cumprod_dtype(1, DType::F64))),
    ]
}

fn counts() -> Vec<(&'static str, Call)> {
    vec![
        ("histc", |t| one(t[0].try_histc(7, -1.0, 1.5))),
        ("histc_range", |t| one(t[0].try_histc(5, 0.0, 0.0))),
        ("histc_flat", |t| one(t[0].try_histc(4, 0.0, 0.0))),
        ("histc_nan", |t| one(t[0].try_histc(4, 0.0, 2.0))),
        ("histc_empty", |t| one(t[0].try_histc(3, 0.0, 0.0))),
        ("histogram", |t| two(t[0].try_histogram(6, HistogramOptions::default()))),
        ("histogram_density", |t| {
            let options = HistogramOptions { range: Some((-1.0, 1.0)), weight: Some(&t[1]), density: true };
            two(t[0].try_histogram(5, options))
        }),
        ("histogram_edges", |t| one(t[0].try_histogram_edges(&t[1], HistogramOptions::default()))),
        ("bincount", |t| one(t[0].try_bincount(None, 0))),
        ("bincount_min", |t| one(t[0].try_bincount(None, 5))),
        ("bincount_weights", |t| one(t[0].try_bincount(Some(&t[1]), 0))),
        ("bincount_weights_int", |t| one(t[0].try_bincount(Some(&t[1]), 0))),
        ("bincount_empty", |t| one(t[0].try_bincount(None, 2))),
        ("searchsorted_False", |t| one(t[0].try_searchsorted(&t[1], sorter(false)))),
        ("searchsorted_True", |t| one(t[0].try_searchsorted(&t[1], sorter(true)))),
        ("searchsorted_rows_False", |t| one(t[0].try_searchsorted(&t[1], sorter(false)))),
        ("searchsorted_rows_True", |t| one(t[0].try_searchsorted(&t[1], sorter(true)))),
        ("bucketize_False", |t| one(t[0].try_bucketize(&t[1], false))),
        ("bucketize_True", |t| one(t[0].try_bucketize(&t[1], true))),
        ("searchsorted_sorter", |t| {
            let order = t[0].try_argsort(-1, false)?;
            one(t[0].try_searchsorted(&t[1], SearchsortedOptions { right: false, sorter: Some(&order) }))
        }),
        ("searchsorted_empty", |t| one(t[0].try_searchsorted(&t[1], sorter(false)))),
        ("unique", |t| three(t[0].try_unique(None))),
        ("unique_nan", |t| three(t[0].try_unique(None))),
        ("unique_bool", |t| three(t[0].try_unique(None))),
        ("unique_dim", |t| three(t[0].try_unique(Some(0)))),
        ("unique_dim1", |t| three(t[0].try_unique(Some(1)))),
        ("unique_consecutive", |t| three(t[0].try_unique_consecutive(None))),
        ("unique_consecutive_dim", |t| three(t[0].try_unique_consecutive(Some(0)))),
        ("unique_empty", |t| three(t[0].try_unique(None))),
    ]
}

fn parts() -> Vec<(&'static str, Call)> {
    let mut calls: Vec<(&'static str, Call)> = vec![
        ("slice_scatter", |t| one(t[0].try_slice_scatter(&t[1], 1, Some(1), Some(5), 2))),
        ("select_scatter", |t| one(t[0].try_select_scatter(&t[1], 1, -1))),
        ("diagonal_scatter", |t| one(t[0].try_diagonal_scatter(&t[1], 1, 0, 1))),
        ("slice_scatter_t", |t| one(t[0].try_t()?.try_slice_scatter(&t[1], 1, Some(1), Some(5), 2))),
        ("fill_diagonal", |t| one(t[0].try_copy()?.try_fill_diagonal_(7, false).cloned())),
        ("fill_diagonal_wrap", |t| one(t[0].try_copy()?.try_fill_diagonal_(7, true).cloned())),
        ("fill_diagonal_3", |t| one(t[0].try_copy()?.try_fill_diagonal_(7, false).cloned())),
        ("view_i32", |t| one(t[0].try_view_dtype(DType::I32))),
        ("view_u8", |t| one(t[0].try_view_dtype(DType::U8))),
        ("view_f64", |t| one(t[0].try_view_dtype(DType::F64))),
        ("cdist_batch", |t| one(t[0].try_cdist(&t[1], 2.0))),
        ("lgamma", |t| one(t[0].try_lgamma())),
        ("digamma", |t| one(t[0].try_digamma())),
        ("polygamma1", |t| one(t[0].try_polygamma(1))),
        ("polygamma2", |t| one(t[0].try_polygamma(2))),
        ("polygamma4", |t| one(t[0].try_polygamma(4))),
        ("erfinv", |t| one(t[0].try_erfinv())),
        ("lgamma_special", |t| one(t[0].try_lgamma())),
        ("digamma_special", |t| one(t[0].try_digamma())),
        ("erfinv_special", |t| one(t[0].try_erfinv())),
        ("lgamma_int", |t| one(t[0].try_lgamma())),
        ("lgamma_f16", |t| one(t[0].try_lgamma())),
    ];
    distances! { calls: "0.0" "0.5" "1.0" "1.5" "2.0" "3.0" "inf" }
    reductions! { calls: Sum "sum"; Prod "prod"; Mean "mean"; Amax "amax"; Amin "amin"; }
    calls
}

fn transposed(x: &Tensor) -> Result<Tensor> {
    x.try_transpose(-1, -2)
}

fn symmetric(x: &Tensor) -> Result<Tensor> {
    x.try_add(&transposed(x)?)?.try_div(2.0)
}

fn squares(q: &Tensor, r: &Tensor) -> Called {
    Ok(vec![q.try_matmul(r)?, q.try_square()?.try_cumsum(-1)?, r.try_square()?])
}

/// Singular values, and what does not depend on the sign of vectors.
#[track_caller]
fn unsigned(usv: Result<(Tensor, Tensor, Tensor)>) -> Called {
    let (u, s, v) = usv?;
    Ok(vec![s, u.try_narrow(-1, 0, 3)?.try_square()?, v.try_narrow(-2, 0, 3)?.try_square()?])
}

fn matrices() -> Vec<(&'static str, Call)> {
    let mut calls: Vec<(&'static str, Call)> = vec![
        ("solve_t", |t| one(linalg::try_solve(&t[0].try_t()?, &t[1]))),
        ("inv", |t| one(linalg::try_inv(&t[0]))),
        ("slogdet", |t| two(linalg::try_slogdet(&t[0]))),
        ("slogdet_singular", |t| two(linalg::try_slogdet(&t[0]))),
        ("cholesky", |t| {
            let eye = Tensor::try_eye(4, 4, DType::F64)?;
            one(linalg::try_cholesky(&t[0].try_matmul(&transposed(&t[0])?)?.try_add(&eye)?))
        }),
        ("qr_complete", |t| {
            let (q, r) = linalg::try_qr(&t[0], true)?;
            Ok(vec![q.try_matmul(&r)?, r.try_square()?])
        }),
        ("svdvals", |t| one(linalg::try_svdvals(&t[0]))),
        ("eigh", |t| {
            let (w, v) = linalg::try_eigh(&symmetric(&t[0])?)?;
            Ok(vec![w, v.try_square()?])
        }),
        ("eigvalsh", |t| one(linalg::try_eigvalsh(&symmetric(&t[0])?))),
        ("eigh_lower", |t| one(linalg::try_eigvalsh(&t[0]))),
        ("lstsq", |t| one(linalg::try_lstsq(&t[0], &t[1]))),
        ("lstsq_wide", |t| one(linalg::try_lstsq(&t[0], &t[1]))),
        ("pinv", |t| one(linalg::try_pinv(&t[0], None))),
        ("pinv_wide", |t| one(linalg::try_pinv(&t[0], None))),
        ("pinv_singular", |t| one(linalg::try_pinv(&t[0], None))),
        ("matrix_rank", |t| one(linalg::try_matrix_rank(&t[0], None))),
    ];
    for name in ["solve", "solve_vector", "solve_vectors", "solve_batch", "solve_f32"] {
        calls.push((name, |t| one(linalg::try_solve(&t[0], &t[1]))));
    }
    for name in ["det", "det_odd", "det_singular", "det_empty"] {
        calls.push((name, |t| one(linalg::try_det(&t[0]))));
    }
    for name in ["qr", "qr_tall", "qr_wide"] {
        calls.push((name, |t| linalg::try_qr(&t[0], false).and_then(|(q, r)| squares(&q, &r))));
    }
    for name in ["svd_False", "svd_tall_False", "svd_wide_False"] {
        calls.push((name, |t| unsigned(linalg::try_svd(&t[0], false))));
    }
    for name in ["svd_True", "svd_tall_True", "svd_wide_True"] {
        calls.push((name, |t| unsigned(linalg::try_svd(&t[0], true))));
    }
    calls
}

/// Rows of one way to divide.
macro_rules! norms {
    ($calls:ident: $($norm:ident $name:literal;)*) => {$(
        $calls.extend([
            (concat!("fft_", $name), (|t| one(fft::try_fft(&t[0], by(FftNorm::$norm)))) as Call),
            (concat!("ifft_", $name), |t| one(fft::try_ifft(&t[0], by(FftNorm::$norm)))),
            (concat!("rfft_", $name), |t| one(fft::try_rfft(&t[0], by(FftNorm::$norm)))),
            (concat!("irfft_", $name), |t| one(fft::try_irfft(&t[0], by(FftNorm::$norm)))),
        ]);
    )*};
}

fn by(norm: FftNorm) -> FftOptions {
    FftOptions { norm, ..Default::default() }
}

fn long(n: usize) -> FftOptions {
    FftOptions { n: Some(n), ..Default::default() }
}

fn transforms() -> Vec<(&'static str, Call)> {
    let mut calls: Vec<(&'static str, Call)> = vec![
        ("fft_dim", |t| one(fft::try_fft(&t[0], FftOptions { dim: 0, ..Default::default() }))),
        ("fft_pad", |t| one(fft::try_fft(&t[0], long(7)))),
        ("fft_cut", |t| one(fft::try_fft(&t[0], long(3)))),
        ("rfft_even", |t| one(fft::try_rfft(&t[0], FftOptions { dim: 0, ..Default::default() }))),
        ("irfft_odd", |t| one(fft::try_irfft(&t[0], long(7)))),
        ("irfft_pad", |t| one(fft::try_irfft(&t[0], long(8)))),
    ];
    norms! { calls: Backward "backward"; Ortho "ortho"; Forward "forward"; }
    calls
}

pub fn calls() -> Vec<(&'static str, Call)> {
    [orders(), sums(), counts(), parts(), matrices(), transforms()].concat()
}
