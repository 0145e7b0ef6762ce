//! Where PyTorch refuses and where it does not: no elements, bools, dtypes that do not belong together, numbers out of range.
//! Every case eagerly, in `trace` and in `trace_dynamic`.

use allotrope::functional::{self as f, BatchNormOptions, ConvOptions, ConvTransposeOptions, NormOptions};
use allotrope::prelude::{manual_seed, trace, trace_dynamic};
use allotrope::{DType, Result, Tensor, ops};

/// What a call gives in all forms, after a check that they agree: dtype, shape and elements as f64, or the message.
fn all_forms(
    inputs: &[&Tensor],
    call: impl Fn(&[Tensor]) -> Result<Tensor>,
) -> std::result::Result<(DType, Vec<usize>, Vec<f64>), String> {
    let seen = |t: &Tensor| (t.dtype(), t.shape().to_vec(), t.to(DType::F64).to_vec::<f64>());
    let inputs: Vec<Tensor> = inputs.iter().map(|&t| t.clone()).collect();
    let eager = call(&inputs).map(|t| seen(&t)).map_err(|e| e.to_string());
    let in_trace = |xs: &[Tensor]| call(xs).unwrap_or_else(|e| std::panic::resume_unwind(Box::new(e.to_string())));
    let (once, always) = (trace(in_trace), trace_dynamic(in_trace));
    for _ in 0..2 {
        for traced in [once.call(&inputs[..]), always.call(&inputs[..])] {
            match (&eager, traced) {
                (Ok(eager), Ok(t)) => assert_eq!(*eager, seen(&t)),
                (Err(_), Err(_)) => {}
                (eager, traced) => panic!("eagerly {eager:?}, traced {:?}", traced.map(|t| seen(&t))),
            }
        }
    }
    eager
}

fn refused(inputs: &[&Tensor], says: &str, call: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let text = all_forms(inputs, call).expect_err(says);
    assert!(text.contains(says), "{text}");
}

fn zeros(shape: &[usize], dtype: DType) -> Tensor {
    Tensor::zeros(shape, dtype)
}

fn ints(data: &[i64]) -> Tensor {
    Tensor::from_slice(data, &[data.len()])
}

#[test]
fn whole_numbers_are_divided_by_zero_where_there_are_none() {
    let (none, zero, one) = (zeros(&[0], DType::I64), zeros(&[], DType::I64), ints(&[1]));
    let empty = Ok((DType::I64, vec![0], vec![]));
    type Op = for<'a> fn(&'a Tensor, ops::Arg<'a>) -> Result<Tensor>;
    let all: [Op; 5] = [
        |a, b| a.try_floor_divide(b),
        |a, b| a.try_remainder(b),
        |a, b| a.try_fmod(b),
        |a, b| a.try_div_floor(b),
        |a, b| a.try_div_trunc(b),
    ];
    for op in all {
        assert_eq!(all_forms(&[&none], |x| op(&x[0], 0.into())), empty);
        assert_eq!(all_forms(&[&none, &zero], |x| op(&x[0], (&x[1]).into())), empty);
        assert_eq!(all_forms(&[&zero, &none], |x| op(&x[0], (&x[1]).into())), empty);
        refused(&[&one], "ZeroDivisionError", |x| op(&x[0], 0.into()));
        refused(&[&one, &zero], "ZeroDivisionError", |x| op(&x[0], (&x[1]).into()));
    }
}

#[test]
fn a_trace_for_any_length_checks_the_divisor_where_there_are_elements() {
    let step = trace(|x: &Tensor, y: &Tensor| x.floor_divide(y));
    let (zero, two) = (zeros(&[], DType::I64), Tensor::scalar(2i64));
    assert_eq!(step.call((&ints(&[5, 7]), &two)).unwrap().to_vec::<i64>(), [2, 3]);
    assert!(step.call((&ints(&[5, 7, 9]), &zero)).is_err());
    assert_eq!(step.call((&ints(&[]), &zero)).unwrap().shape(), [0]);
}

#[test]
fn a_bool_that_is_divided_is_a_number() {
    let x = Tensor::from_slice(&[0.25f32, 2.0], &[2]);
    let floor = all_forms(&[&x], |x| ops::try_floor_divide(true, &x[0]));
    assert_eq!(floor, Ok((DType::F32, vec![2], vec![4.0, 0.0])));
    let rest = all_forms(&[&ints(&[2, 3])], |x| ops::try_remainder(true, &x[0]));
    assert_eq!(rest, Ok((DType::I64, vec![2], vec![1.0, 1.0])));
    refused(&[&zeros(&[1], DType::Bool)], "bool", |x| ops::try_floor_divide(true, &x[0]));
}

#[test]
fn indices_lie_nowhere_outside_of_no_elements() {
    let wide = zeros(&[0, 3], DType::F32);
    let far = ints(&[5]);
    let rows = zeros(&[0, 1], DType::F32);
    let same = Ok((DType::F32, vec![0, 3], vec![]));
    assert_eq!(all_forms(&[&wide, &far, &rows], |x| x[0].try_index_add(1, &x[1], &x[2], 1.0)), same);
    assert_eq!(all_forms(&[&wide, &far, &rows], |x| x[0].try_index_copy(1, &x[1], &x[2])), same);
    let tall = zeros(&[3, 0], DType::F32);
    let row = zeros(&[1, 0], DType::F32);
    assert_eq!(
        all_forms(&[&tall, &far, &row], |x| x[0].try_index_add(0, &x[1], &x[2], 1.0)),
        Ok((DType::F32, vec![3, 0], vec![]))
    );
    refused(&[&tall, &far], "outside", |x| x[0].try_index_select(0, &x[1]));
}

#[test]
fn take_along_dim_goes_round() {
    let x = Tensor::from_slice(&[0.0f32, 1.0, 2.0, 3.0], &[2, 2]);
    let index = Tensor::from_slice(&[1i64, 3, -5, 4], &[2, 2]);
    let taken = all_forms(&[&x, &index], |x| x[0].try_take_along_dim(&x[1], Some(0)));
    assert_eq!(taken, Ok((DType::F32, vec![2, 2], vec![2.0, 3.0, 2.0, 1.0])));
    refused(&[&x, &index], "outside", |x| x[0].try_take_along_dim(&x[1], None));
}

#[test]
fn products_of_nothing_have_any_dtypes() {
    let product = |x: &[Tensor]| x[0].try_matmul(&x[1]);
    let of = |a: &[usize], x: DType, b: &[usize], y: DType| all_forms(&[&zeros(a, x), &zeros(b, y)], product);
    let [f32, f64, bool] = [DType::F32, DType::F64, DType::Bool];
    assert_eq!(of(&[4, 0, 2], f32, &[4, 2, 5], f64), Ok((f64, vec![4, 0, 5], vec![])));
    assert_eq!(of(&[2, 1, 0], DType::I64, &[2, 0, 2], f32), Ok((f32, vec![2, 1, 2], vec![0.0; 4])));
    assert_eq!(of(&[2, 1, 0], f32, &[2, 0, 2], bool), Ok((bool, vec![2, 1, 2], vec![0.0; 4])));
    assert_eq!(of(&[1, 0, 4], bool, &[4, 1], bool), Ok((bool, vec![1, 0, 1], vec![])));
    assert_eq!(of(&[3, 0], bool, &[0], bool), Ok((bool, vec![3], vec![0.0; 3])));
    for (a, x, b, y) in [
        (&[0, 2][..], f32, &[2, 5][..], f64),
        (&[3, 0], f32, &[0], f64),
        (&[0], bool, &[0], bool),
        (&[2, 2, 3], bool, &[2, 3, 2], bool),
        (&[4, 1, 2], f32, &[4, 2, 5], f64),
    ] {
        assert!(of(a, x, b, y).is_err());
    }
    let sum = |x: &[Tensor]| x[0].try_baddbmm(&x[1], &x[2], -2, 1);
    let with = |x: &Tensor, a: &[usize], b: &[usize], y: DType| all_forms(&[x, &zeros(a, f32), &zeros(b, y)], sum);
    let row = Tensor::from_slice(&[1.0f32, 2.0, 3.0], &[3, 1]);
    assert_eq!(with(&row, &[0, 3, 4], &[0, 4, 1], bool), Ok((bool, vec![0, 3, 1], vec![])));
    assert_eq!(with(&row, &[1, 3, 0], &[1, 0, 1], f64), Ok((f64, vec![1, 3, 1], vec![-2.0, -4.0, -6.0])));
    assert!(with(&row, &[1, 3, 0], &[1, 0, 1], bool).is_err());
    assert!(with(&row.to(f64), &[1, 3, 0], &[1, 0, 1], f64).is_err());
}

#[test]
fn take_along_dim_sees_vectors_without_a_copy() {
    let x = Tensor::from_slice(&[0.0f32, 1.0, 2.0, 3.0, 4.0, 5.0], &[2, 3]);
    let index = ints(&[5, 0, 1, 1]).reshape(&[2, 2]);
    let taken = |x: &[Tensor]| x[0].try_take_along_dim(&x[1], None);
    assert_eq!(all_forms(&[&x, &index], taken), Ok((DType::F32, vec![4], vec![5.0, 0.0, 1.0, 1.0])));
    let column = x.narrow(1, 1, 1);
    assert_eq!(all_forms(&[&column, &ints(&[1])], taken), Ok((DType::F32, vec![1], vec![4.0])));
    assert_eq!(all_forms(&[&x.t().narrow(0, 0, 0), &ints(&[])], taken), Ok((DType::F32, vec![0], vec![])));
    refused(&[&x.t(), &index], "without a copy", taken);
    refused(&[&x, &index.t()], "without a copy", taken);
    refused(&[&x.narrow(1, 0, 2), &index], "without a copy", taken);
}

#[test]
fn index_add_of_bools_takes_any_factor() {
    let (x, index) = (zeros(&[3], DType::Bool), ints(&[0, 1]));
    let source = Tensor::from_slice(&[true, false], &[2]);
    for (alpha, first) in [(1.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (0.0, 0.0)] {
        let sum = all_forms(&[&x, &index, &source], |x| x[0].try_index_add(0, &x[1], &x[2], alpha));
        assert_eq!(sum, Ok((DType::Bool, vec![3], vec![first, 0.0, 0.0])));
    }
}

#[test]
fn softmax_of_nothing_has_every_dtype() {
    for dtype in [DType::Bool, DType::I64, DType::U8, DType::I32] {
        for shape in [&[0][..], &[2, 0], &[0, 3]] {
            let x = zeros(shape, dtype);
            let nothing = Ok((dtype, shape.to_vec(), vec![]));
            assert_eq!(all_forms(&[&x], |x| x[0].try_softmax(-1)), nothing);
            assert_eq!(all_forms(&[&x], |x| x[0].try_log_softmax(-1)), nothing);
        }
        refused(&[&zeros(&[0], dtype)], "axis", |x| x[0].try_softmax(1));
        refused(&[&zeros(&[3], dtype)], "not defined", |x| x[0].try_softmax(-1));
        refused(&[&zeros(&[], dtype)], "not defined", |x| x[0].try_log_softmax(-1));
    }
}

#[test]
fn group_norm_needs_planes_and_more_than_one_element() {
    let norm = |groups| move |x: &[Tensor]| f::try_group_norm(&x[0], groups, NormOptions::default());
    refused(&[&zeros(&[2, 2, 0], DType::F32)], "empty", norm(2));
    refused(&[&zeros(&[1, 2, 0], DType::F32)], "empty", norm(1));
    refused(&[&zeros(&[1, 2], DType::F32)], "more than one", norm(2));
    refused(&[&zeros(&[1, 4, 1], DType::F32)], "more than one", norm(4));
    assert_eq!(all_forms(&[&zeros(&[0, 4], DType::F32)], norm(2)), Ok((DType::F32, vec![0, 4], vec![])));
    assert_eq!(all_forms(&[&zeros(&[2, 2], DType::F32)], norm(2)), Ok((DType::F32, vec![2, 2], vec![0.0; 4])));
}

#[test]
fn instance_norm_of_no_places() {
    let norm = |x: &[Tensor]| {
        f::try_instance_norm(&x[0], None, None, BatchNormOptions { training: true, ..Default::default() })
    };
    for shape in [&[3, 3, 0][..], &[0, 3, 3], &[3, 0, 2], &[2, 2, 0, 3]] {
        assert_eq!(all_forms(&[&zeros(shape, DType::F32)], norm), Ok((DType::F32, shape.to_vec(), vec![])));
    }
    refused(&[&zeros(&[2, 3, 1], DType::F32)], "more than one", norm);
    refused(&[&zeros(&[0, 3, 1], DType::F32)], "more than one", norm);
}

#[test]
fn a_convolution_has_one_dtype() {
    let (x, w, b) = (zeros(&[1, 1, 6], DType::I64), zeros(&[1, 1, 2], DType::I64), zeros(&[1], DType::F32));
    let conv = |x: &[Tensor]| f::try_conv1d(&x[0], &x[1], Some(&x[2]), ConvOptions::default());
    refused(&[&x, &w, &b], "one dtype", conv);
    assert!(all_forms(&[&x, &w, &zeros(&[1], DType::I64)], conv).is_ok());
    let wide = |t: &Tensor| t.unsqueeze(0);
    let conv = |x: &[Tensor]| f::try_conv2d(&x[0], &x[1], Some(&x[2]), ConvOptions::default());
    refused(&[&wide(&x), &wide(&w), &b], "one dtype", conv);
    let double = |t: &Tensor| t.to(DType::F64);
    refused(&[&wide(&double(&x)), &wide(&double(&w)), &b], "one dtype", conv);
    let conv = |x: &[Tensor]| f::try_conv_transpose2d(&x[0], &x[1], Some(&x[2]), ConvTransposeOptions::default());
    refused(&[&wide(&x), &wide(&w), &b], "bias of f32", conv);
}

#[test]
fn bilinear_needs_features() {
    let call = |x: &[Tensor]| f::try_bilinear(&x[0], &x[1], &x[2], None);
    let of = |shape: &[usize]| zeros(shape, DType::F32);
    refused(&[&of(&[3, 0]), &of(&[3, 1]), &of(&[1, 0, 1])], "bilinear", call);
    assert!(all_forms(&[&of(&[2, 2]), &of(&[2, 3]), &of(&[0, 2, 3])], call).is_ok());
}

#[test]
fn ldexp_is_a_float_of_both() {
    let exponent = ints(&[20, -30]);
    let half = Tensor::from_slice(&[0.001f32, 3000.0], &[2]).to(DType::F16);
    let (dtype, _, values) = all_forms(&[&half, &exponent], |x| x[0].try_ldexp(&x[1])).unwrap();
    assert_eq!((dtype, values), (DType::F16, vec![1049.0, 2.801_418_304_443_359_4e-6]));
    let of = |dtype| zeros(&[2], dtype);
    for (a, b, out) in [
        (DType::BF16, DType::F16, DType::F32),
        (DType::I64, DType::F16, DType::F16),
        (DType::I64, DType::U8, DType::F32),
        (DType::Bool, DType::Bool, DType::F32),
        (DType::F32, DType::F64, DType::F64),
    ] {
        assert_eq!(all_forms(&[&of(a), &of(b)], |x| x[0].try_ldexp(&x[1])).unwrap().0, out, "{a} {b}");
    }
    refused(&[&of(DType::F32), &of(DType::Bool)], "bool", |x| x[0].try_ldexp(&x[1]));
}

#[test]
fn random_integers_are_numbers_of_the_dtype() {
    manual_seed(1);
    let out = |dtype, low, high| Tensor::zeros(&[3], dtype).try_random_range_(low, high).is_err();
    assert!(out(DType::Bool, -2, 5) && out(DType::Bool, 0, 3) && !out(DType::Bool, 0, 2));
    assert!(out(DType::U8, -1, 1) && out(DType::U8, 0, 257) && !out(DType::U8, 0, 256));
    assert!(out(DType::I32, 0, 1 << 40) && out(DType::F16, 0, 1 << 40) && !out(DType::F32, 0, 1 << 40));
    assert!(ops::try_randint_like(&zeros(&[3], DType::U8), -1, 1).is_err());
}

#[test]
fn kthvalue_has_no_bools() {
    refused(&[&zeros(&[0, 2], DType::Bool)], "bool", |x| x[0].try_kthvalue(1, -1, false).map(|v| v.0));
}
