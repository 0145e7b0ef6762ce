//! Adapters of what random programs call beside the operators of the corpus: changes in place, indexing, histories, draws.
//! Names and arguments are PyTorch's; `getitem` and `setitem` have the parts of the index behind the tensor (and the value).

use crate::case::{BY_TYPE, Case, KEYWORD, one};
use crate::corpus::Given;
use crate::run::Adapter;
use allotrope::ops::{self, Arg, Backward, GradOptions, Index, Number};
use allotrope::{DType, Error, Result, Tensor, functional as f};

/// The adapters of a family, as `table!` of the corpus.
macro_rules! calls {
    ($c:ident; $($name:literal => $body:expr),* $(,)?) => {
        vec![$(($name, {
            fn adapter($c: &Case) -> Result<Vec<Tensor>> {
                $body
            }
            adapter as Adapter
        })),*]
    };
}

/// The handle that an operation in place gives back.
fn same(result: Result<&Tensor>) -> Result<Vec<Tensor>> {
    Ok(vec![result?.clone()])
}

fn none<T>(result: Result<T>) -> Result<Vec<Tensor>> {
    result.map(|_| Vec::new())
}

fn two(pair: Result<(Tensor, Tensor)>) -> Result<Vec<Tensor>> {
    let (a, b) = pair?;
    Ok(vec![a, b])
}

fn x<'a>(c: &'a Case) -> Result<&'a Tensor> {
    c.tensor(0, "input")
}

fn number(c: &Case, i: usize, name: &str, default: Number) -> Result<Number> {
    match c.arg_opt(i, name)? {
        None => Ok(default),
        Some(Arg::Number(n)) => Ok(n),
        Some(Arg::Tensor(_)) => Err(Error::Argument(format!("{BY_TYPE}: {name} is a tensor"))),
    }
}

fn alpha(c: &Case) -> Result<Option<Number>> {
    Ok(if c.has("alpha") { Some(number(c, KEYWORD, "alpha", Number::Int(1))?) } else { None })
}

fn size_list(c: &Case, i: usize) -> Result<Vec<usize>> {
    c.sizes(i, "size")
}

fn dtype_or(c: &Case, default: DType) -> Result<DType> {
    Ok(c.dtype_opt(KEYWORD, "dtype")?.unwrap_or(default))
}

/// What stands between the brackets of `x[...]`, from argument `from` on.
fn parts<'a>(c: &'a Case, from: usize) -> Result<Vec<Index<'a>>> {
    (from..c.len())
        .map(|i| {
            Ok(match c.given(i, "").expect("counted") {
                Given::Int(n) => Index::At(*n as isize),
                Given::None => Index::NewAxis,
                Given::Str(s) if s == "..." => Index::Ellipsis,
                Given::Str(s) => slice(s),
                Given::Tensor(_) => Index::Tensor(c.tensor(i, "index")?),
                v => return Err(Error::Argument(format!("{BY_TYPE}: an index is {v}"))),
            })
        })
        .collect()
}

fn slice<'a>(text: &str) -> Index<'a> {
    let mut parts = text.split(':').map(|s| s.parse::<isize>().ok());
    let mut next = || parts.next().flatten();
    let (start, end, step) = (next(), next(), next());
    Index::Slice { start, end, step: step.unwrap_or(1) as usize }
}

fn listed<'a>(c: &'a Case) -> Result<Vec<Index<'a>>> {
    Ok(c.tensors(1, "indices")?.into_iter().map(Index::Tensor).collect())
}

fn either<'a>(c: &'a Case) -> Result<(Arg<'a>, Arg<'a>)> {
    Ok((c.arg(0, "input")?, c.arg(1, "other")?))
}

/// Python's operator: numbers may stand on either side.
fn operator(c: &Case) -> Result<Vec<Tensor>> {
    let (a, b) = either(c)?;
    let plain = |a: Arg<'_>, b: Arg<'_>| match c.op() {
        "operator.add" => match (a, b) {
            (Arg::Tensor(a), b) => a.try_add(b),
            (a, Arg::Tensor(b)) => b.try_add(a),
            _ => unreachable!("one is a tensor"),
        },
        "operator.mul" => match (a, b) {
            (Arg::Tensor(a), b) => a.try_mul(b),
            (a, Arg::Tensor(b)) => b.try_mul(a),
            _ => unreachable!("one is a tensor"),
        },
        "operator.sub" => match (a, b) {
            (Arg::Tensor(a), b) => a.try_sub(b),
            (a, Arg::Tensor(b)) => b.try_rsub(a),
            _ => unreachable!("one is a tensor"),
        },
        "operator.truediv" => match (a, b) {
            (Arg::Number(a), Arg::Tensor(b)) => b.try_reciprocal()?.try_mul(a),
            (a, b) => ops::try_div(a, b),
        },
        "operator.mod" => ops::try_remainder(a, b),
        "operator.floordiv" => ops::try_floor_divide(a, b),
        "operator.pow" => ops::try_pow(a, b),
        other => panic!("no operator {other}"),
    };
    one(plain(a, b))
}

fn clamped(c: &Case) -> Result<Vec<Tensor>> {
    let x = x(c)?;
    same(x.try_clamp_with_(c.arg_opt(1, "min")?, c.arg_opt(2, "max")?))
}

fn nan_to_num(c: &Case) -> Result<(Option<f64>, Option<f64>, Option<f64>)> {
    Ok((c.float_opt(1, "nan")?, c.float_opt(2, "posinf")?, c.float_opt(3, "neginf")?))
}

fn backward(c: &Case) -> Result<Vec<Tensor>> {
    let how = Backward {
        gradient: c.tensor_opt(1, "gradient")?,
        retain_graph: c.bool_or(KEYWORD, "retain_graph", false)?,
        create_graph: c.bool_or(KEYWORD, "create_graph", false)?,
        inputs: &[],
    };
    none(x(c)?.try_backward_with(how))
}

/// Gradients of inputs, of which some may be none: those come as nothing, which the caller knows by their places.
pub fn grads(c: &Case) -> Result<Vec<Option<Tensor>>> {
    let (outputs, inputs) = (c.tensors(0, "outputs")?, c.tensors(1, "inputs")?);
    let given: Vec<Option<&Tensor>> = match c.given(2, "grad_outputs") {
        Some(Given::List(list)) if list.iter().all(|v| *v == Given::None) => vec![None; list.len()],
        _ => c.tensors(2, "grad_outputs")?.into_iter().map(Some).collect(),
    };
    // There is no word here for that it was not said.
    if c.bool_or(KEYWORD, "materialize_grads", false)? && c.bool_opt(KEYWORD, "allow_unused")? == Some(false) {
        return Err(Error::Argument(format!("{BY_TYPE}: unused inputs are not allowed and get zeros")));
    }
    let how = GradOptions {
        grad_outputs: &given,
        retain_graph: c.bool_or(KEYWORD, "retain_graph", false)?,
        create_graph: c.bool_or(KEYWORD, "create_graph", false)?,
        allow_unused: c.bool_or(KEYWORD, "allow_unused", false)?,
        materialize_grads: c.bool_or(KEYWORD, "materialize_grads", false)?,
    };
    ops::grad_with(&outputs, &inputs, how)
}

fn diagonal(c: &Case) -> Result<Vec<Tensor>> {
    let part = x(c)?.try_diagonal(0, 0, 1)?;
    match c.op() {
        "diagonal.fill_" => part.try_fill_(c.arg(1, "value")?)?,
        "diagonal.mul_" => part.try_mul_(c.arg(1, "value")?)?,
        _ => part.try_copy_(c.tensor(1, "value")?)?,
    };
    Ok(vec![part])
}

fn fill(c: &Case) -> Result<Vec<Tensor>> {
    let x = x(c)?;
    same(match c.op() {
        "normal_" => x.try_normal_(c.float(1, "mean")?, c.float(2, "std")?),
        "uniform_" => x.try_uniform_(c.float(1, "from")?, c.float(2, "to")?),
        "exponential_" => x.try_exponential_(c.float(1, "lambd")?),
        "bernoulli_" => x.try_bernoulli_(c.float(1, "p")?),
        _ => x.try_random_range_(c.int(1, "from")? as i64, c.int(2, "to")? as i64),
    })
}

/// What a `_like` form draws for: a tensor of the dtype asked for.
fn like(c: &Case) -> Result<Tensor> {
    let x = x(c)?;
    let dtype = dtype_or(c, x.dtype())?;
    if dtype == x.dtype() { Ok(x.clone()) } else { x.detach().try_to(dtype) }
}

/// Name of the step, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    let mut all = plain();
    all.extend(in_place());
    all.extend(others());
    all
}

fn plain() -> Vec<(&'static str, Adapter)> {
    calls! { c;
        "acosh" => one(x(c)?.try_acosh()),
        "asinh" => one(x(c)?.try_asinh()),
        "atanh" => one(x(c)?.try_atanh()),
        "positive" => one(x(c)?.try_positive()),
        "sinc" => one(x(c)?.try_sinc()),
        "signbit" => one(x(c)?.try_signbit()),
        "isposinf" => one(x(c)?.try_isposinf()),
        "isneginf" => one(x(c)?.try_isneginf()),
        "bitwise_not" => one(x(c)?.try_bitwise_not()),
        "deg2rad" => one(x(c)?.try_deg2rad()),
        "rad2deg" => one(x(c)?.try_rad2deg()),
        "nan_to_num" => {
            let (nan, high, low) = nan_to_num(c)?;
            one(x(c)?.try_nan_to_num(nan, high, low))
        },
        "copysign" => one(x(c)?.try_copysign(c.arg(1, "other")?)),
        "logaddexp" => one(x(c)?.try_logaddexp(c.tensor(1, "other")?)),
        "logaddexp2" => one(x(c)?.try_logaddexp2(c.tensor(1, "other")?)),
        "ldexp" => one(x(c)?.try_ldexp(c.arg(1, "other")?)),
        "floor_divide" => {
            let (a, b) = either(c)?;
            one(ops::try_floor_divide(a, b))
        },
        "float_power" => {
            let (a, b) = either(c)?;
            one(ops::try_float_power(a, b))
        },
        "operator.add" => operator(c),
        "operator.sub" => operator(c),
        "operator.mul" => operator(c),
        "operator.truediv" => operator(c),
        "operator.mod" => operator(c),
        "operator.floordiv" => operator(c),
        "operator.pow" => operator(c),
        "bitwise_and" => {
            let (a, b) = either(c)?;
            one(ops::try_bitwise_and(a, b))
        },
        "bitwise_or" => {
            let (a, b) = either(c)?;
            one(ops::try_bitwise_or(a, b))
        },
        "bitwise_xor" => {
            let (a, b) = either(c)?;
            one(ops::try_bitwise_xor(a, b))
        },
        "isclose" => one(x(c)?.try_isclose(
            c.tensor(1, "other")?, c.float_or(2, "rtol", 1e-5)?, c.float_or(3, "atol", 1e-8)?,
            c.bool_or(4, "equal_nan", false)?,
        )),
        "to" => one(x(c)?.try_to(c.dtype_opt(1, "dtype")?.expect("a dtype"))),
        "cummax" => two(x(c)?.try_cummax(c.int(1, "dim")?)),
        "cummin" => two(x(c)?.try_cummin(c.int(1, "dim")?)),
        "logcumsumexp" => one(x(c)?.try_logcumsumexp(c.int(1, "dim")?)),
        "argsort" => {
            c.bool_opt(KEYWORD, "stable")?;
            one(x(c)?.try_argsort(c.int_or(1, "dim", -1)?, c.bool_or(2, "descending", false)?))
        },
        "kthvalue" => {
            two(x(c)?.try_kthvalue(c.size(1, "k")?, c.int_or(2, "dim", -1)?, c.bool_or(3, "keepdim", false)?))
        },
        "count_nonzero" => one(x(c)?.try_count_nonzero(&c.ints_opt(1, "dim")?.unwrap_or_default())),
        "aminmax" => {
            let axes: Vec<isize> = c.int_opt(KEYWORD, "dim")?.into_iter().collect();
            two(x(c)?.try_aminmax(&axes, c.bool_or(KEYWORD, "keepdim", false)?))
        },
        "tensordot" => {
            let Some(Given::List(dims)) = c.given(2, "dims") else { panic!("dims are two lists") };
            let [a, b] = [&dims[0], &dims[1]].map(|v| match v {
                Given::List(l) => l.iter().map(|v| match v {
                    Given::Int(n) => *n as isize,
                    v => panic!("{v} is no axis"),
                }).collect::<Vec<isize>>(),
                v => panic!("{v} are no axes"),
            });
            one(x(c)?.try_tensordot(c.tensor(1, "other")?, &a, &b))
        },
        "swapaxes" => one(x(c)?.try_swapaxes(c.int(1, "axis0")?, c.int(2, "axis1")?)),
        "mT" => one(x(c)?.try_mt()),
        "ravel" => one(x(c)?.try_ravel()),
        "unflatten" => one(x(c)?.try_unflatten(c.int(1, "dim")?, &c.ints(2, "sizes")?)),
        "view_as" => one(x(c)?.try_view_as(c.tensor(1, "other")?)),
        "reshape_as" => one(x(c)?.try_reshape_as(c.tensor(1, "other")?)),
        "getitem" => one(x(c)?.try_index(parts(c, 1)?)),
        "take" => one(x(c)?.try_take(c.tensor(1, "index")?)),
        "as_strided" => {
            one(x(c)?.try_as_strided(&c.sizes(1, "size")?, &c.sizes(2, "stride")?, c.size(3, "storage_offset")?))
        },
        "tensor_split" => x(c)?.try_tensor_split(c.size(1, "sections")?, c.int_or(2, "dim", 0)?),
        "dstack" => one(ops::try_dstack(&c.tensors(0, "tensors")?)),
        "column_stack" => one(ops::try_column_stack(&c.tensors(0, "tensors")?)),
        "diag_embed" => one(x(c)?.try_diag_embed(c.int_or(1, "offset", 0)?, -2, -1)),
        "repeat_interleave" => one(x(c)?.try_repeat_interleave(c.size(1, "repeats")?, c.int_opt(2, "dim")?)),
        "rot90" => {
            let axes = c.ints(2, "dims")?;
            one(x(c)?.try_rot90(c.int(1, "k")?, [axes[0], axes[1]]))
        },
        "contiguous" => one(x(c)?.try_contiguous()),
        "index_add" => one(x(c)?.try_index_add(
            c.int(1, "dim")?, c.tensor(2, "index")?, c.tensor(3, "source")?, number(c, KEYWORD, "alpha", Number::Int(1))?,
        )),
        "index_copy" => one(x(c)?.try_index_copy(c.int(1, "dim")?, c.tensor(2, "index")?, c.tensor(3, "source")?)),
        "index_fill" => one(x(c)?.try_index_fill(c.int(1, "dim")?, c.tensor(2, "index")?, c.arg(3, "value")?)),
        "masked_select" => one(x(c)?.try_masked_select(c.tensor(1, "mask")?)),
        "nonzero" => one(x(c)?.try_nonzero()),
        "index_put" => one(x(c)?.try_index_put(
            listed(c)?, c.tensor(2, "values")?, c.bool_or(3, "accumulate", false)?,
        )),
    }
}

fn in_place() -> Vec<(&'static str, Adapter)> {
    calls! { c;
        "neg_" => same(x(c)?.try_neg_()),
        "abs_" => same(x(c)?.try_abs_()),
        "sqrt_" => same(x(c)?.try_sqrt_()),
        "rsqrt_" => same(x(c)?.try_rsqrt_()),
        "reciprocal_" => same(x(c)?.try_reciprocal_()),
        "square_" => same(x(c)?.try_square_()),
        "exp_" => same(x(c)?.try_exp_()),
        "exp2_" => same(x(c)?.try_exp2_()),
        "expm1_" => same(x(c)?.try_expm1_()),
        "log_" => same(x(c)?.try_log_()),
        "log2_" => same(x(c)?.try_log2_()),
        "log10_" => same(x(c)?.try_log10_()),
        "log1p_" => same(x(c)?.try_log1p_()),
        "sin_" => same(x(c)?.try_sin_()),
        "cos_" => same(x(c)?.try_cos_()),
        "tan_" => same(x(c)?.try_tan_()),
        "asin_" => same(x(c)?.try_asin_()),
        "acos_" => same(x(c)?.try_acos_()),
        "atan_" => same(x(c)?.try_atan_()),
        "sinh_" => same(x(c)?.try_sinh_()),
        "cosh_" => same(x(c)?.try_cosh_()),
        "tanh_" => same(x(c)?.try_tanh_()),
        "asinh_" => same(x(c)?.try_asinh_()),
        "acosh_" => same(x(c)?.try_acosh_()),
        "atanh_" => same(x(c)?.try_atanh_()),
        "erf_" => same(x(c)?.try_erf_()),
        "erfc_" => same(x(c)?.try_erfc_()),
        "sigmoid_" => same(x(c)?.try_sigmoid_()),
        "relu_" => same(x(c)?.try_relu_()),
        "floor_" => same(x(c)?.try_floor_()),
        "ceil_" => same(x(c)?.try_ceil_()),
        "round_" => same(x(c)?.try_round_()),
        "trunc_" => same(x(c)?.try_trunc_()),
        "frac_" => same(x(c)?.try_frac_()),
        "sign_" => same(x(c)?.try_sign_()),
        "logical_not_" => same(x(c)?.try_logical_not_()),
        "bitwise_not_" => same(x(c)?.try_bitwise_not_()),
        "nan_to_num_" => {
            let (nan, high, low) = nan_to_num(c)?;
            same(x(c)?.try_nan_to_num_(nan, high, low))
        },
        "add_" => same(match alpha(c)? {
            Some(alpha) => x(c)?.try_add_alpha_(c.arg(1, "other")?, alpha),
            None => x(c)?.try_add_(c.arg(1, "other")?),
        }),
        "sub_" => same(match alpha(c)? {
            Some(alpha) => x(c)?.try_sub_alpha_(c.arg(1, "other")?, alpha),
            None => x(c)?.try_sub_(c.arg(1, "other")?),
        }),
        "mul_" => same(x(c)?.try_mul_(c.arg(1, "other")?)),
        "div_" => same(x(c)?.try_div_(c.arg(1, "other")?)),
        "floor_divide_" => same(x(c)?.try_floor_divide_(c.arg(1, "other")?)),
        "remainder_" => same(x(c)?.try_remainder_(c.arg(1, "other")?)),
        "fmod_" => same(x(c)?.try_fmod_(c.arg(1, "other")?)),
        "pow_" => same(x(c)?.try_pow_(c.arg(1, "exponent")?)),
        "clamp_min_" => same(x(c)?.try_clamp_min_(c.arg(1, "min")?)),
        "clamp_max_" => same(x(c)?.try_clamp_max_(c.arg(1, "max")?)),
        "clamp_" => clamped(c),
        "logical_and_" => same(x(c)?.try_logical_and_(c.arg(1, "other")?)),
        "logical_or_" => same(x(c)?.try_logical_or_(c.arg(1, "other")?)),
        "bitwise_and_" => same(x(c)?.try_bitwise_and_(c.arg(1, "other")?)),
        "bitwise_or_" => same(x(c)?.try_bitwise_or_(c.arg(1, "other")?)),
        "lerp_" => same(x(c)?.try_lerp_(c.tensor(1, "end")?, c.arg(2, "weight")?)),
        "addcmul_" => same(x(c)?.try_addcmul_(
            c.tensor(1, "tensor1")?, c.tensor(2, "tensor2")?, number(c, KEYWORD, "value", Number::Int(1))?,
        )),
        "addcdiv_" => same(x(c)?.try_addcdiv_(
            c.tensor(1, "tensor1")?, c.tensor(2, "tensor2")?, number(c, KEYWORD, "value", Number::Int(1))?,
        )),
        "cumsum_" => same(x(c)?.try_cumsum_(c.int(1, "dim")?)),
        "cumprod_" => same(x(c)?.try_cumprod_(c.int(1, "dim")?)),
        "nn.functional.leaky_relu_" => same(x(c)?.try_leaky_relu_(c.float_or(1, "negative_slope", 0.01)?)),
        "nn.functional.elu_" => same(x(c)?.try_elu_(c.float_or(1, "alpha", 1.0)?)),
        "nn.functional.hardtanh_" => {
            same(x(c)?.try_hardtanh_(c.float_or(1, "min_val", -1.0)?, c.float_or(2, "max_val", 1.0)?))
        },
        "masked_fill_" => same(x(c)?.try_masked_fill_(c.tensor(1, "mask")?, c.arg(2, "value")?)),
        "copy_" => same(x(c)?.try_copy_(c.tensor(1, "src")?)),
        "fill_" => same(x(c)?.try_fill_(c.arg(1, "value")?)),
        "zero_" => same(x(c)?.try_zero_()),
        "diagonal.fill_" => diagonal(c),
        "diagonal.mul_" => diagonal(c),
        "diagonal.copy_" => diagonal(c),
        "scatter_" => same(x(c)?.try_scatter_(c.int(1, "dim")?, c.tensor(2, "index")?, c.arg(3, "src")?)),
        "scatter_add_" => same(x(c)?.try_scatter_add_(c.int(1, "dim")?, c.tensor(2, "index")?, c.tensor(3, "src")?)),
        "index_add_" => same(x(c)?.try_index_add_(
            c.int(1, "dim")?, c.tensor(2, "index")?, c.tensor(3, "source")?, number(c, KEYWORD, "alpha", Number::Int(1))?,
        )),
        "index_copy_" => same(x(c)?.try_index_copy_(c.int(1, "dim")?, c.tensor(2, "index")?, c.tensor(3, "source")?)),
        "index_fill_" => same(x(c)?.try_index_fill_(c.int(1, "dim")?, c.tensor(2, "index")?, c.arg(3, "value")?)),
        "index_put_" => same(x(c)?.try_index_put_(
            listed(c)?, c.tensor(2, "values")?, c.bool_or(3, "accumulate", false)?,
        )),
        "setitem" => none(x(c)?.try_set(parts(c, 2)?, c.arg(1, "value")?)),
        "normal_" => fill(c),
        "uniform_" => fill(c),
        "exponential_" => fill(c),
        "bernoulli_" => fill(c),
        "random_" => fill(c),
    }
}

fn others() -> Vec<(&'static str, Adapter)> {
    calls! { c;
        "requires_grad_" => {
            let (x, on) = (x(c)?, c.bool_or(1, "requires_grad", true)?);
            same(x.try_requires_grad_(on))
        },
        "detach" => Ok(vec![x(c)?.detach()]),
        "detach_" => same(x(c)?.try_detach_()),
        "retain_grad" => none(x(c)?.try_retain_grad()),
        "get_grad" => Ok(x(c)?.grad().into_iter().collect()),
        "drop_grad" => {
            x(c)?.set_grad(None);
            Ok(Vec::new())
        },
        "backward" => backward(c),
        "grad" => Ok(grads(c)?.into_iter().flatten().collect()),
        "rand_like" => one(ops::try_rand_like(&like(c)?)),
        "randn_like" => one(ops::try_randn_like(&like(c)?)),
        "randint_like" => one(ops::try_randint_like(x(c)?, c.int(1, "low")? as i64, c.int(2, "high")? as i64)),
        "bernoulli" => one(ops::try_bernoulli(x(c)?)),
        "normal" => one(ops::try_normal(c.arg(0, "mean")?, c.arg(1, "std")?)),
        "rand" => {
            let g = ops::random::default_generator();
            one(g.try_rand(&size_list(c, 0)?, dtype_or(c, DType::F32)?))
        },
        "randn" => {
            let g = ops::random::default_generator();
            one(g.try_randn(&size_list(c, 0)?, dtype_or(c, DType::F32)?))
        },
        "randint" => one(ops::random::try_randint(c.int(0, "low")? as i64, c.int(1, "high")? as i64, &size_list(c, 2)?)),
        "randperm" => one(ops::random::try_randperm(c.size(0, "n")?)),
        "nn.functional.dropout" => one(f::try_dropout(x(c)?, c.float_or(1, "p", 0.5)?, c.bool_or(2, "training", true)?)),
        "zeros" => one(Tensor::try_zeros(&size_list(c, 0)?, dtype_or(c, DType::F32)?)),
        "ones" => one(Tensor::try_ones(&size_list(c, 0)?, dtype_or(c, DType::F32)?)),
        "nn.functional.tanhshrink" => one(f::try_tanhshrink(x(c)?)),
        "nn.functional.softshrink" => one(f::try_softshrink(x(c)?, c.float_or(1, "lambd", 0.5)?)),
        "nn.functional.hardshrink" => one(f::try_hardshrink(x(c)?, c.float_or(1, "lambd", 0.5)?)),
        "nn.functional.channel_shuffle" => one(f::try_channel_shuffle(x(c)?, c.size(1, "groups")?)),
    }
}
