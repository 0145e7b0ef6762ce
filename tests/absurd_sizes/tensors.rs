//! The tables of `src/ops` and `src/mode`: tensors' own functions, generators', free functions. Calls only.

use crate::row::{Plain, Row, Tensors, table, unnamed};
use allotrope::Result;
use allotrope::ops::{Index, stepped};
use allotrope::prelude::*;
use allotrope::tensor::PrintOptions;
use std::sync::OnceLock;

const F: DType = DType::F32;

/// What is cut off at the end of an axis may be as far away as it likes.
fn any(_: i128) -> bool {
    true
}

fn positive(n: i128) -> bool {
    n > 0
}

/// A generator that is there before and after each call.
fn own() -> &'static Generator {
    static OWN: OnceLock<Generator> = OnceLock::new();
    OWN.get_or_init(|| Generator::new(1))
}

/// A tensor of so many elements that has one.
fn huge(t: &Tensors<'_>, shape: &[isize]) -> Result<Tensor> {
    t.x.sum().try_expand(shape)
}

/// As [`huge`], of more than 2^40 elements: so many can be there and be added up, which takes its time.
fn longer(t: &Tensors<'_>, n: isize) -> Result<Tensor> {
    match n == 1 << 40 {
        true => Err(allotrope::Error::Argument(format!("{n} is left out"))),
        false => huge(t, &[n]),
    }
}

pub fn rows() -> Vec<Row> {
    let mut all = Vec::new();
    all.extend(made());
    all.extend(random());
    all.extend(parts());
    all.extend(shapes());
    all.extend(axes());
    all.extend(indices());
    all.extend(values());
    all
}

fn made() -> Vec<Row> {
    let mut rows = table! { Unsigned n: usize, t;
        "create::zeros": Tensor::try_zeros(&[n], DType::F64);
        "create::ones": Tensor::try_ones(&[n, 3], F);
        "create::full": Tensor::try_full(&[n], true);
        "create::empty": Tensor::try_empty(&[n], F);
        "create::new_zeros": t.x.try_new_zeros(&[n.into()]);
        "create::new_ones": t.x.try_new_ones(&[n.into(), 3.into()]);
        "create::new_full": t.x.try_new_full(&[n.into()], 2.0);
        "create::zeros": Plain(Tensor::zeros(&[n], F));
        "create::zeros": Plain(Tensor::zeros(&[n, 0], F)), right if any;
        "create::zeros": Plain(Tensor::zeros(&[0, n, n], F)), right if any;
        "create::zeros": Plain(Tensor::zeros(&[n, n], DType::Bool));
        "create::zeros": Plain(Tensor::zeros(&[2, n, 3], DType::I64));
        "create::ones": Plain(Tensor::ones(&[n], DType::F64));
        "create::ones": Plain(Tensor::ones(&[4, n], DType::F16));
        "create::full": Plain(Tensor::full(&[n], 2.0f32));
        "create::full": Plain(Tensor::full(&[n, 1 << 32], 7u8));
        "create::empty": Plain(Tensor::empty(&[n], F));
        "create::empty": Plain(Tensor::empty(&[n, 2], DType::Bool));
        "create::from_vec": Tensor::try_from_vec(vec![1.0f32, 2.0], &[n]);
        "create::from_vec": Tensor::try_from_vec(vec![1.0f32, 2.0], &[n, n]);
        "create::from_vec": Tensor::try_from_vec(vec![1.0f32, 2.0], &[n, 2]);
        "create::from_vec": Tensor::try_from_vec(Vec::<f32>::new(), &[n, 4]);
        "create::from_slice": Tensor::try_from_slice(&[1i64, 2], &[n]);
        "create::from_slice": Tensor::try_from_slice(&[1i64, 2], &[2, n]);
        "create::from_slice": Tensor::try_from_slice(&[true], &[n, n, n, n]);
        "ranges::arange": Tensor::try_arange(n);
        "ranges::arange": Tensor::try_arange(0..n);
        "ranges::arange_with": Tensor::try_arange_with(n, DType::U8);
        "ranges::arange_with": Tensor::try_arange_with(n as f64, F);
        "ranges::linspace": Tensor::try_linspace(0.0, 1.0, n);
        "ranges::linspace_with": Tensor::try_linspace_with(0.0, 1.0, n, DType::F64);
        "ranges::linspace_with": Tensor::try_linspace_with(0.0, 100.0, n, DType::I64);
        "ranges::logspace": Tensor::try_logspace(0.0, 1.0, n);
        "ranges::logspace_with": Tensor::try_logspace_with(0.0, 1.0, n, 2.0, DType::F64);
        "ranges::eye": Tensor::try_eye(n, None, F);
        "ranges::eye": Tensor::try_eye(2, n, F);
        "ranges::eye": Tensor::try_eye(n, 1, DType::Bool);
    };
    rows.extend(table! { Signed n: isize, t;
        "ranges::arange": Tensor::try_arange((0i64, n as i64, if n < 0 { -1 } else { 1 }));
        "ranges::arange": Tensor::try_arange((n as i64, n as i64 ^ i64::MIN, if n < 0 { 1 } else { -1 }));
        "ranges::arange": Tensor::try_arange((0i64, 5, n as i64)), right if any;
        "ranges::arange_with": Tensor::try_arange_with((0i64, n as i64, if n < 0 { -1 } else { 1 }), DType::F64);
    });
    rows
}

fn random() -> Vec<Row> {
    let mut rows = table! { Unsigned n: usize, t;
        "random::rand": allotrope::tensor::random::try_rand(&[n]);
        "random::rand": own().try_rand(&[n, n], F);
        "random::rand": own().try_rand(&[n], DType::F64);
        "random::randn": allotrope::tensor::random::try_randn(&[n]);
        "random::randn": own().try_randn(&[2, n], F);
        "random::randint": allotrope::tensor::random::try_randint(0, 9, &[n]);
        "random::randint": own().try_randint(0, 9, &[n, 5]);
        "random::randperm": allotrope::tensor::random::try_randperm(n);
        "random::randperm": own().try_randperm(n);
        "random::uniform": own().try_uniform(&[n], F, 0.0, 1.0);
        "random::normal_of": own().try_normal_of(&[n], F, 0.0, 1.0);
        "random::exponential": own().try_exponential(&[n, 2], F, 1.0);
        "random::bernoulli_of": own().try_bernoulli_of(&[n], F, 0.5);
        "random::random": own().try_random(&[n], F);
        "sampling::multinomial": allotrope::ops::try_multinomial(t.v, n, true);
        "sampling::multinomial": own().try_multinomial(t.x, n, false);
        "sampling::multinomial": own().try_multinomial(t.x, n, true);
        "sampling::dropout_mask": allotrope::ops::try_dropout_mask(&[n], F, 0.5);
        "sampling::dropout_mask": own().try_dropout_mask(&[n, 2], F, 0.0);
        "sampling::dropout_mask": own().try_dropout_mask(&[2, n], F, 1.0);
    };
    rows.extend(table! { Signed n: isize, t;
        "random::randint": own().try_randint(n as i64, 5, &[2]), right if any;
        "random::randint": own().try_randint(0, n as i64, &[2]), right if any;
        "sampling::randint_like": allotrope::ops::try_randint_like(t.x, n as i64, 5), right if any;
        "sampling::randint_like": allotrope::ops::try_randint_like(t.x, 0, n as i64), right if any;
        "sampling::random_range_": t.x.try_random_range_(n as i64, 7), right if any;
        "sampling::random_range_": t.x.try_random_range_(-7, n as i64), right if any;
        "special::seed": Plain(own().manual_seed(n as u64)), right if any;
        "rounding::round_decimals": t.x.try_round_decimals(n as i32), right if any;
    });
    rows
}

fn parts() -> Vec<Row> {
    let mut rows = table! { Unsigned n: usize, t;
        "parts::narrow": t.x.try_narrow(0, 0, n);
        "parts::narrow": t.x.try_narrow(0, 1, n);
        "parts::narrow": t.x.try_narrow(0, -1, n);
        "parts::narrow": t.x.sum().expand(&[1 << 40]).try_narrow(0, 5, n), right if |n| n < 1 << 40;
        "parts::narrow_at": t.x.try_narrow_at(1, t.one, n);
        "parts::slice": t.x.try_slice(1, None, None, n), right if any;
        "parts::slice": t.x.try_slice(1, Some(1), Some(3), n), right if any;
        "parts::split": t.x.try_split(n, 1), right if any;
        "parts::split_with_sizes": t.x.try_split_with_sizes(&[n], 1);
        "parts::split_with_sizes": t.x.try_split_with_sizes(&[n, 3], 1);
        "parts::split_with_sizes": t.x.try_split_with_sizes(&[n, n, 3], 1);
        "parts::split_with_sizes": t.x.try_split_with_sizes(&[n, 4usize.wrapping_sub(n), 0], 1);
        "parts::chunk": t.x.try_chunk(n, 1), right if any;
        "parts::tensor_split": t.x.try_tensor_split(n, 1);
        "parts::unfold": t.x.try_unfold(1, n, 1);
        "parts::unfold": t.x.try_unfold(1, 2, n), right if any;
        "parts::unfold": t.x.try_unfold(1, n, n);
        "parts::unfold": t.x.sum().try_unfold(0, n, 1);
        "parts::unfold": t.x.try_unfold(1, 0, n), right if any;
        "parts::as_strided": t.x.try_as_strided(&[n], &[1], 0);
        "parts::as_strided": t.x.try_as_strided(&[n], &[0], 0), right if any;
        "parts::as_strided": t.x.try_as_strided(&[n, n], &[0, 0], 0), right if any;
        "parts::as_strided": t.x.try_as_strided(&[2], &[n], 0);
        "parts::as_strided": t.x.try_as_strided(&[1], &[n], 0), right if any;
        "parts::as_strided": t.x.try_as_strided(&[2, 2], &[n, n], 1);
        "parts::as_strided": t.x.try_as_strided(&[1], &[1], n);
        "parts::as_strided": t.x.try_as_strided(&[2], &[1], n);
        "parts::as_strided": t.x.try_as_strided(&[0], &[1], n), right if any;
        "parts::as_strided": t.x.try_as_strided(&[n, 0], &[n, n], 0), right if any;
        "repeating::repeat": t.x.try_repeat(&[n, 1]);
        "repeating::repeat": t.x.try_repeat(&[n, n, n]);
        "repeating::tile": t.x.try_tile(&[n]);
        "repeating::tile": t.x.try_tile(&[n, 2]);
        "repeating::repeat_interleave": t.x.try_repeat_interleave(n, None);
        "repeating::repeat_interleave": t.x.try_repeat_interleave(n, Some(1));
        "sort::topk": t.x.try_topk(n, 1, true);
        "sort::kthvalue": t.x.try_kthvalue(n, 1, false);
    };
    rows.extend(table! { Signed n: isize, t;
        "parts::narrow": t.x.try_narrow(0, n, 1);
        "parts::narrow": t.x.try_narrow(0, n, 0);
        "parts::narrow": t.x.try_narrow(1, n, 2);
        "parts::narrow": t.x.try_narrow(n, 0, 1);
        "parts::narrow_at": t.x.try_narrow_at(n, t.one, 1);
        "parts::select": t.x.try_select(0, n);
        "parts::select": t.x.try_select(n, 0);
        "parts::slice": t.x.try_slice(1, Some(n), None, 1), right if any;
        "parts::slice": t.x.try_slice(1, None, Some(n), 2), right if any;
        "parts::slice": t.x.try_slice(1, Some(n), Some(n), 1), right if any;
        "parts::slice": t.x.try_slice(n, None, None, 1);
        "parts::split": t.x.try_split(1, n);
        "parts::split_with_sizes": t.x.try_split_with_sizes(&[2], n);
        "parts::chunk": t.x.try_chunk(2, n);
        "parts::tensor_split": t.x.try_tensor_split(2, n);
        "parts::tensor_split_at": t.x.try_tensor_split_at(&[n], 1), right if any;
        "parts::tensor_split_at": t.x.try_tensor_split_at(&[1, n, 2], 1), right if any;
        "parts::tensor_split_at": t.x.try_tensor_split_at(&[1], n);
        "parts::unbind": t.x.try_unbind(n);
        "parts::unfold": t.x.try_unfold(n, 1, 1);
        "repeating::repeat_interleave": t.x.try_repeat_interleave(2, Some(n));
        "repeating::repeat_interleave_by": t.x.try_repeat_interleave_by(t.i, Some(n));
        "repeating::flip": t.x.try_flip(&[n]);
        "repeating::flip": t.x.try_flip(&[0, n]);
        "repeating::roll": t.x.try_roll(&[n], &[1]), right if any;
        "repeating::roll": t.x.try_roll(&[n, n], &[0, 1]), right if any;
        "repeating::roll": t.x.try_roll(&[n], &[]), right if any;
        "repeating::roll": t.x.try_roll(&[1], &[n]);
        "repeating::rot90": t.x.try_rot90(n, [0, 1]), right if any;
        "repeating::rot90": t.x.try_rot90(1, [n, 1]);
        "diagonal::diagonal": t.x.try_diagonal(n, 0, 1), right if any;
        "diagonal::diagonal": t.x.try_diagonal(0, n, 1);
        "diagonal::diagonal": t.x.try_diagonal(0, 0, n);
        "diagonal::diag_embed": t.x.try_diag_embed(n, 0, 1);
        "diagonal::diag_embed": t.v.try_diag_embed(n, -2, -1);
        "diagonal::diag_embed": t.x.try_diag_embed(0, n, 1);
        "diagonal::diag": t.x.try_diag(n), right if any;
        "diagonal::diag": t.v.try_diag(n);
        "diagonal::tril": t.x.try_tril(n), right if any;
        "diagonal::triu": t.x.try_triu(n), right if any;
    });
    rows
}

fn shapes() -> Vec<Row> {
    table! { Signed n: isize, t;
        "shape::reshape": t.x.try_reshape(&[n]);
        "shape::reshape": t.x.try_reshape(&[n, -1]);
        "shape::reshape": t.x.try_reshape(&[n, n]);
        "shape::reshape": t.x.try_reshape(&[n, 6]);
        "shape::reshape": t.x.narrow(0, 0, 0).try_reshape(&[n, 0]), right if positive;
        "shape::reshape": t.x.narrow(0, 0, 0).try_reshape(&[n, n, 0]), right if positive;
        "shape::reshape": t.x.narrow(0, 0, 0).try_reshape(&[n, -1]), right if positive;
        "shape::view": t.x.try_view(&[n]);
        "shape::view": t.x.try_view(&[2, n]);
        "shape::view": t.x.narrow(0, 0, 0).try_view(&[0, n, 4]), right if positive;
        "shape::flatten": t.x.try_flatten(n, 1);
        "shape::flatten": t.x.try_flatten(0, n);
        "shape::unflatten": t.x.try_unflatten(1, &[n]);
        "shape::unflatten": t.x.try_unflatten(1, &[n, 3]);
        "shape::unflatten": t.x.try_unflatten(1, &[n, n, -1]);
        "shape::unflatten": t.x.try_unflatten(n, &[1, 3]);
        "shape::unsqueeze": t.x.try_unsqueeze(n);
        "shape::squeeze": t.x.try_squeeze(n);
        "shape::squeeze_dims": t.x.try_squeeze_dims(&[n]);
        "shape::expand": t.x.try_expand(&[n, 3]);
        "shape::expand": t.x.try_expand(&[n, 2, 3]), right if |n| n > 0 && n <= 1 << 40;
        "shape::expand": t.x.sum().try_expand(&[n]), right if positive;
        "shape::expand": t.x.sum().try_expand(&[n, n]);
        "shape::expand": t.x.sum().try_expand(&[n, 0]), right if positive;
        "shape::broadcast_to": t.x.try_broadcast_to(&[n, 3]);
        "shape::broadcast_to": t.x.try_broadcast_to(&[n, n, 2, 3]);
        "shape::size": Plain(Tensor::zeros(&[t.x.size(n)], F));
        "special::expand": huge(t, &[n]).and_then(|x| x.try_mul(2.0));
        "special::expand": longer(t, n).and_then(|x| x.try_sum());
        "special::rand_like": huge(t, &[n]).and_then(|x| allotrope::ops::try_rand_like(&x));
        "special::expand": huge(t, &[n]).and_then(|x| x.try_contiguous());
        "special::expand": huge(t, &[n, 1]).and_then(|x| x.try_matmul(&Tensor::ones(&[1, 2], F)));
        "special::expand": huge(t, &[n]).and_then(|x| x.try_cumsum(0));
        "special::expand": huge(t, &[n]).and_then(|x| x.try_sort(0, false));
        "special::expand": huge(t, &[n, 0]).and_then(|x| x.try_sum_dim(&[1], false));
        "special::expand": huge(t, &[n, 0]).and_then(|x| x.try_reshape(&[0, n, n])), right if positive;
        "special::expand": huge(t, &[n]).and_then(|x| allotrope::ops::try_cat(&[&x, t.v], 0));
        "special::expand": huge(t, &[n]).and_then(|x| allotrope::ops::try_cat(&[&x, &x, &x, &x], 0));
        "special::expand": huge(t, &[n]).and_then(|x| allotrope::ops::try_stack(&[&x, &x], 0));
        "special::expand": huge(t, &[n]).and_then(|x| x.try_to(DType::F64));
        "special::expand": huge(t, &[n]).and_then(|x| x.try_outer(&x));
    }
}

fn axes() -> Vec<Row> {
    let mut rows = table! { Signed n: isize, t;
        "axes::permute": t.x.try_permute(&[n, 0]);
        "axes::transpose": t.x.try_transpose(n, 0);
        "axes::transpose": t.x.try_transpose(1, n);
        "axes::swapaxes": t.x.try_swapaxes(0, n);
        "axes::movedim": t.x.try_movedim(&[n], &[0]);
        "axes::movedim": t.x.try_movedim(&[0], &[n]);
        "cumulative::cumsum": t.x.try_cumsum(n);
        "cumulative::cumprod": t.x.try_cumprod(n);
        "cumulative::cummax": t.x.try_cummax(n);
        "cumulative::cummin": t.x.try_cummin(n);
        "cumulative::logcumsumexp": t.x.try_logcumsumexp(n);
        "inplace::cumsum_": t.x.try_cumsum_(n);
        "inplace::cumprod_": t.x.try_cumprod_(n);
        "extreme::amax": t.x.try_amax(&[n], false);
        "extreme::amin": t.x.try_amin(&[n], true);
        "extreme::aminmax": t.x.try_aminmax(&[n], false);
        "extreme::max_dim": t.x.try_max_dim(n, false);
        "extreme::min_dim": t.x.try_min_dim(n, false);
        "extreme::argmax_dim": t.x.try_argmax_dim(n, false);
        "extreme::argmin_dim": t.x.try_argmin_dim(n, false);
        "joining::cat": allotrope::ops::try_cat(&[t.x, t.x], n);
        "joining::stack": allotrope::ops::try_stack(&[t.x, t.x], n);
        "linalg::tensordot": t.x.try_tensordot(t.v, &[n], &[0]);
        "linalg::tensordot": t.x.try_tensordot(t.v, &[1], &[n]);
        "linalg::cross": t.x.try_cross(t.x, n);
        "norm::norm_dim": t.x.try_norm_dim(2.0, &[n], false);
        "norm::vector_norm": t.x.try_vector_norm(2.0, &[n], false);
        "product::prod_dim": t.x.try_prod_dim(n, false);
        "reduce::sum_dim": t.x.try_sum_dim(&[n], false);
        "reduce::sum_dim": t.x.try_sum_dim(&[0, n], false);
        "reduce::mean_dim": t.x.try_mean_dim(&[n], true);
        "reduce::all_dim": t.x.try_all_dim(&[n], false);
        "reduce::any_dim": t.x.try_any_dim(&[n], false);
        "reduce::count_nonzero": t.x.try_count_nonzero(&[n]);
        "softmax::softmax": t.x.try_softmax(n);
        "softmax::log_softmax": t.x.try_log_softmax(n);
        "softmax::softmin": t.x.try_softmin(n);
        "softmax::logsumexp": t.x.try_logsumexp(&[n], false);
        "sort::sort": t.x.try_sort(n, false);
        "sort::argsort": t.x.try_argsort(n, true);
        "sort::topk": t.x.try_topk(1, n, true);
        "sort::kthvalue": t.x.try_kthvalue(1, n, false);
        "statistics::var_dim": t.x.try_var_dim(&[n], 1.0, false);
        "statistics::std_dim": t.x.try_std_dim(&[n], 1.0, false);
        "statistics::var_mean": t.x.try_var_mean(&[n], 1.0, false);
        "statistics::std_mean": t.x.try_std_mean(&[n], 1.0, false);
        "special::correction": t.x.try_var_dim(&[0], n as f64, false), right if any;
    };
    rows.extend(table! { Unsigned n: usize, t;
        "options::set_print_options options::with_print_options PrintOptions.precision PrintOptions.threshold \
         PrintOptions.edgeitems PrintOptions.linewidth": Plain({
            for options in [
                PrintOptions { precision: n, ..PrintOptions::DEFAULT },
                PrintOptions { threshold: n, ..PrintOptions::DEFAULT },
                PrintOptions { threshold: 0, edgeitems: n, ..PrintOptions::DEFAULT },
                PrintOptions { linewidth: n, ..PrintOptions::DEFAULT },
            ] {
                let text = allotrope::ops::with_print_options(options, || format!("{:?}", Tensor::ones(&[2, 3], F)));
                assert!(text.len() < 1 << 20);
            }
        }), right if any;
        "shape::has_sizes shape::has_size sizes::equals": Plain(
            assert!(!t.x.has_sizes(&[n.into(), 3.into()]) && !t.x.has_size(0, n.into()))
        ), right if any;
    });
    rows
}

fn indices() -> Vec<Row> {
    let mut rows = table! { Unsigned n: usize, t;
        "indexing::index": t.x.try_index(n);
        "indexing::index": t.x.try_index((.., n));
        "indexing::index": t.x.try_index(n..), right if any;
        "indexing::index": t.x.try_index(..n), right if any;
        "indexing::index": t.x.try_index(0..=n), right if any;
        "indexing::index": t.x.try_index(n..=n), right if any;
        "indexing::index": t.x.try_index(n..n), right if any;
        "indexing::index": t.x.try_index(..=n), right if any;
        "index_kind::stepped indexing::index": t.x.try_index(stepped(0..2usize, n)), right if any;
        "index_kind::stepped indexing::index": t.x.try_index(stepped(stepped(0..2usize, n), n)), right if any;
        "indexing::index": t.x.try_index(&[Index::Slice { start: Some(0), end: Some(1), step: n }][..]), right if any;
        "indexing::index_put": t.x.try_index_put(n, 1.0, false);
        "indexing::index_put": t.x.try_index_put((0, n), 1.0, true);
        "indexing::index_put_": t.x.try_index_put_((.., n), 1.0, false);
        "indexing::set": t.x.try_set(n, 1.0);
        "indexing::set": t.x.try_set((.., stepped(0.., n)), 1.0), right if any;
    };
    rows.extend(table! { Signed n: isize, t;
        "indexing::index": t.x.try_index(n);
        "indexing::index": t.x.try_index((0, n));
        "indexing::index": t.x.try_index(n..), right if any;
        "indexing::index": t.x.try_index(..=n), right if any;
        "indexing::index": t.x.try_index(n..=n), right if any;
        "indexing::index_put": t.x.try_index_put(n, 1.0, false);
        "indexing::set": t.x.try_set((0, n), 1.0);
        "index::gather": t.x.try_gather(n, t.i);
        "index::index_select": t.x.try_index_select(n, t.i);
        "index::take_along_dim": t.x.try_take_along_dim(&Tensor::zeros(&[2, 3], DType::I64), Some(n));
        "index::scatter_add": t.x.try_scatter_add(n, &Tensor::zeros(&[2, 3], DType::I64), t.x);
        "index::scatter_accumulate": t.x.try_scatter_accumulate(n, &Tensor::zeros(&[2, 3], DType::I64), t.x);
        "index::index_add": t.x.try_index_add(n, t.i, t.x, 1.0);
        "index::index_copy": t.x.try_index_copy(n, t.i, t.x);
        "index::scatter": t.x.try_scatter(n, &Tensor::zeros(&[2, 3], DType::I64), 1.0);
        "index::index_fill": t.x.try_index_fill(n, t.i, 1.0);
        "index_inplace::scatter_": t.x.try_scatter_(n, &Tensor::zeros(&[2, 3], DType::I64), 1.0);
        "special::negative": t.x.try_slice(1, Some(n), Some(0), 1), right if any;
    });
    rows
}

/// Indices that are elements: what is wrong with one of them is known when they are looked at, so no error need name it. Those of
/// `take_along_dim` go round their axis.
fn values() -> Vec<Row> {
    unnamed(table! { Signed n: isize, t;
        "parts::narrow_at": t.x.try_narrow_at(1, &Tensor::scalar(n as i64), 1);
        "parts::narrow_at": t.x.try_narrow_at(1, &Tensor::scalar(n as i64), 0);
        "repeating::repeat_interleave_by": t.x.try_repeat_interleave_by(&Tensor::from_slice(&[n as i64, 1], &[2]), Some(0));
        "repeating::repeat_interleave_by": t.x.try_repeat_interleave_by(&Tensor::from_slice(&[n as i64], &[1]), None);
        "indexing::index": t.x.try_index(&Tensor::scalar(n as i64));
        "indexing::index": t.x.try_index(&Tensor::from_slice(&[n as i64, 0], &[2]));
        "indexing::index": t.x.try_index((&Tensor::from_slice(&[n as i64, 0], &[2]), &Tensor::from_slice(&[0i64, 1], &[2])));
        "indexing::index": t.x.try_index((&Tensor::from_slice(&[0i64, 1], &[2]), &Tensor::from_slice(&[0, n as i64], &[2])));
        "indexing::index_put": t.x.try_index_put(&Tensor::from_slice(&[n as i64], &[1]), 1.0, true);
        "indexing::index_put_": t.x.try_index_put_(&Tensor::from_slice(&[n as i64], &[1]), 1.0, false);
        "index::gather": t.x.try_gather(1, &Tensor::from_slice(&[0, n as i64], &[2, 1]));
        "index::index_select": t.x.try_index_select(1, &Tensor::from_slice(&[n as i64], &[1]));
        "special::take": t.x.try_take(&Tensor::from_slice(&[n as i64], &[1]));
        "index::take_along_dim": t.x.try_take_along_dim(&Tensor::from_slice(&[n as i64, 0], &[2, 1]), Some(1)), right if |_| true;
        "index::scatter_add": t.x.try_scatter_add(1, &Tensor::from_slice(&[n as i64, 0], &[2, 1]), t.x);
        "index::index_add": t.x.try_index_add(0, &Tensor::from_slice(&[n as i64, 0], &[2]), t.x, 1.0);
        "index::index_copy": t.x.try_index_copy(0, &Tensor::from_slice(&[n as i64, 0], &[2]), t.x);
        "index::scatter": t.x.try_scatter(0, &Tensor::from_slice(&[n as i64, 0], &[2, 1]), 1.0);
        "index::index_fill": t.x.try_index_fill(1, &Tensor::from_slice(&[n as i64], &[1]), 1.0);
        "index_inplace::scatter_add_": t.x.try_scatter_add_(1, &Tensor::from_slice(&[n as i64, 0], &[2, 1]), t.x);
        "index_inplace::index_add_": t.x.try_index_add_(0, &Tensor::from_slice(&[n as i64, 0], &[2]), t.x, 1.0);
        "index_inplace::index_copy_": t.x.try_index_copy_(0, &Tensor::from_slice(&[n as i64, 0], &[2]), t.x);
        "index_inplace::index_fill_": t.x.try_index_fill_(1, &Tensor::from_slice(&[n as i64], &[1]), 1.0);
    })
}
