//! Changes in place of elements that share memory, as those of expanded tensors and of overlapping windows do: PyTorch's values and
//! refusals, eagerly and in both traces.

use allotrope::prelude::*;

fn longs(of: &[i64]) -> Tensor {
    Tensor::from_vec(of.to_vec(), &[of.len()])
}

fn floats(of: &[f32], shape: &[usize]) -> Tensor {
    Tensor::from_vec(of.to_vec(), shape)
}

fn mask(of: [bool; 6]) -> Tensor {
    Tensor::from_vec(of.to_vec(), &[2, 3])
}

/// What is written, and where: made outside of a trace.
struct Data {
    one: Tensor,
    two: Tensor,
    nine: Tensor,
    seven: Tensor,
    /// Integers by their digits.
    i0: Tensor,
    i1: Tensor,
    i2: Tensor,
    last: Tensor,
    i00: Tensor,
    i20: Tensor,
    i01: Tensor,
    i21: Tensor,
    i101: Tensor,
    i210: Tensor,
    v2: Tensor,
    v3: Tensor,
    w3: Tensor,
    w13: Tensor,
    w22: Tensor,
    w23: Tensor,
    z21: Tensor,
}

fn data() -> Data {
    Data {
        one: mask([true, false, false, false, false, false]),
        two: mask([true, false, true, false, false, false]),
        nine: Tensor::full(&[], 9.0f32),
        seven: Tensor::full(&[], 7.0f32),
        i0: longs(&[0]),
        i1: longs(&[1]),
        i2: longs(&[2]),
        last: longs(&[-1]),
        i00: longs(&[0, 0]),
        i20: longs(&[2, 0]),
        i01: longs(&[0, 1]),
        i21: longs(&[2, 1]),
        i101: longs(&[1, 0, 1]),
        i210: longs(&[2, 1, 0]),
        v2: floats(&[10., 20.], &[2]),
        v3: floats(&[10., 20., 30.], &[3]),
        w3: floats(&[7., 8., 9.], &[3]),
        w13: floats(&[7., 8., 9.], &[1, 3]),
        w23: floats(&[7., 8., 9., 7., 8., 9.], &[2, 3]),
        w22: floats(&[7., 8., 9., 10.], &[2, 2]),
        z21: Tensor::zeros(&[2, 1], DType::I64),
    }
}

type Change = fn(&Tensor, &Data) -> allotrope::Result<()>;

struct Case {
    text: &'static str,
    change: Change,
    /// What becomes of `[1, 2]` whose elements are repeated three times each, and of `[1, 2, 3, 4]` seen as `[[1, 2, 3], [2, 3, 4]]`;
    /// none where it is refused.
    expanded: Option<[f32; 2]>,
    windows: Option<[f32; 4]>,
}

macro_rules! cases {
    ($($expanded:expr, $windows:expr => |$x:ident, $d:ident| $change:expr;)*) => {
        [$(Case {
            text: stringify!($change),
            change: |$x, $d| { let _ = $d; $change?; Ok(()) },
            expanded: $expanded,
            windows: $windows,
        }),*]
    };
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    cases! {
        Some([9., 2.]), Some([9., 2., 3., 4.]) => |x, d| x.try_masked_fill_(&d.one, 9);
        Some([9., 2.]), Some([9., 2., 9., 4.]) => |x, d| x.try_masked_fill_(&d.two, &d.nine);
        Some([9., 9.]), Some([1., 2., 9., 9.]) => |x, d| x.try_index_fill_(1, &d.i2, 9);
        Some([9., 9.]), Some([1., 2., 9., 9.]) => |x, d| x.try_index_fill_(1, &d.last, &d.nine);
        Some([1., 9.]), Some([1., 9., 9., 9.]) => |x, d| x.try_index_fill_(0, &d.i1, 9);
        Some([20., 2.]), Some([20., 2., 10., 4.]) => |x, d| x.try_index_put_((&d.i00, &d.i20), &d.v2, false);
        Some([31., 2.]), Some([21., 2., 13., 4.]) => |x, d| x.try_index_put_((&d.i00, &d.i20), &d.v2, true);
        Some([1., 30.]), Some([1., 10., 20., 30.]) => |x, d| x.try_index_put_(&d.i1, &d.v3, false);
        Some([1., 62.]), Some([1., 12., 23., 34.]) => |x, d| x.try_index_put_(&d.i1, &d.v3, true);
        Some([11., 2.]), Some([6., 2., 8., 4.]) => |x, d| x.try_index_put_(&d.two, 5, true);
        Some([7., 2.]), Some([7., 2., 3., 4.]) => |x, d| x.try_set(&d.one, 7.0);
        Some([8., 9.]), Some([1., 9., 3., 7.]) => |x, d| x.try_set((&d.i101, &d.i210), &d.w3);
        Some([8., 10.]), Some([1., 8., 10., 9.]) => |x, d| x.try_set((.., &d.i21), &d.w22);
        Some([5., 5.]), Some([1., 5., 5., 4.]) => |x, d| x.try_set((.., &d.i1), 5.0);
        Some([7., 7.]), Some([7., 7., 7., 4.]) => |x, d| x.try_set((.., ..2), 7.0);
        None, Some([7., 7., 7., 4.]) => |x, d| x.try_set((.., ..2), &d.seven);
        None, Some([7., 7., 7., 7.]) => |x, d| x.try_fill_(&d.seven);
        None, Some([7., 7., 7., 7.]) => |x, d| x.try_copy_(&d.seven);
        None, Some([8., 10., 7., 9.]) => |x, d| x.try_index_copy_(1, &d.i20, &d.w22);
        None, Some([7., 8., 9., 4.]) => |x, d| x.try_index_copy_(0, &d.i0, &d.w13);
        None, Some([7., 7., 8., 9.]) => |x, d| x.try_index_copy_(0, &d.i01, &d.w23);
        None, None => |x, d| x.try_mul_(2.0);
        None, None => |x, d| x.try_copy_(&d.w3);
        None, None => |x, d| x.try_scatter_(1, &d.z21, 5.0);
    }.into()
}

fn holds(case: &Case, of: &[f32], seen: fn(&Tensor) -> Tensor, wanted: Option<&[f32]>) {
    let (whole, d) = (floats(of, &[of.len()]), data());
    let changed = |x: &Tensor| {
        let y = x * 1.0;
        let done = (case.change)(&seen(&y), &d).is_ok();
        assert_eq!(done, wanted.is_some(), "{}", case.text);
        y
    };
    let wanted = wanted.unwrap_or(of);
    assert_eq!(changed(&whole).to_vec::<f32>(), wanted, "{}", case.text);
    // Memory that no view leads to.
    let y = &whole * 1.0;
    let _ = (case.change)(&seen(&y).detach(), &d);
    assert_eq!(y.to_vec::<f32>(), wanted, "{}", case.text);
    let (once, always) = (trace(changed), trace_dynamic(changed));
    for _ in 0..2 {
        assert_eq!(once.call(&whole).unwrap().to_vec::<f32>(), wanted, "traced: {}", case.text);
        assert_eq!(always.call(&whole).unwrap().to_vec::<f32>(), wanted, "traced on each call: {}", case.text);
    }
    // A captured tensor that is seen so.
    let captured = trace(|x: &Tensor| (x * 1.0, (case.change)(&seen(&y), &d).is_ok()).0);
    for _ in 0..2 {
        y.copy_(&whole);
        captured.call(&whole).unwrap();
        assert_eq!(y.to_vec::<f32>(), wanted, "captured: {}", case.text);
    }
}

#[test]
fn expanded_tensors_are_changed_as_in_pytorch() {
    for case in cases() {
        holds(&case, &[1., 2.], |y| y.unsqueeze(1).expand(&[2, 3]), case.expanded.as_ref().map(|w| &w[..]));
    }
}

#[test]
fn overlapping_windows_are_changed_as_in_pytorch() {
    for case in cases() {
        let wanted = case.windows.as_ref().map(|w| &w[..]);
        holds(&case, &[1., 2., 3., 4.], |y| y.as_strided(&[2, 3], &[1, 1], 0), wanted);
        holds(&case, &[1., 2., 3., 4.], |y| y.unfold(0, 3, 1), wanted);
    }
}

/// The gradients of the sum of `y` times 1, 10, 100, 1000 for a leaf of which `y` is twice, and for the given value `w`.
type Gradients = (Option<[f32; 4]>, Option<[f32; 3]>);

fn gradients(flows: (bool, bool), change: &dyn Fn(&Tensor, &Tensor)) -> allotrope::Result<Gradients> {
    let leaf = |of: &[f32], flows| {
        let t = floats(of, &[of.len()]);
        t.set_requires_grad(flows);
        t
    };
    let (b, w) = (leaf(&[1., 2., 3., 4.], flows.0), leaf(&[10., 20., 30.], flows.1));
    let y = &b * 2.0;
    change(&y, &w);
    (&y * &floats(&[1., 10., 100., 1000.], &[4])).sum().try_backward()?;
    let of = |t: &Tensor| t.grad().map(|g| g.to_vec::<f32>());
    Ok((of(&b).map(|g| g.try_into().unwrap()), of(&w).map(|g| g.try_into().unwrap())))
}

#[test]
fn what_is_written_gets_the_gradient_of_all_that_it_was_written_to() {
    let expand = |y: &Tensor| y.index(..2).unsqueeze(1).expand(&[2, 3]);
    let of_value = |change: &dyn Fn(&Tensor, &Tensor)| gradients((false, true), change).unwrap();
    let places = || (longs(&[0, 0]), longs(&[2, 0]));
    let fill = of_value(&|y, w| {
        expand(y).index_fill_(1, &longs(&[2]), &w.index(0));
    });
    assert_eq!(fill, (None, Some([11., 0., 0.])));
    let rows = of_value(&|y, w| {
        y.index(..3).expand(&[2, 3]).index_fill_(1, &longs(&[2]), &w.index(0));
    });
    assert_eq!(rows, (None, Some([200., 0., 0.])));
    let put = of_value(&|y, w| {
        let (a, b) = places();
        expand(y).index_put_((&a, &b), &w.index(..2), false);
    });
    assert_eq!(put, (None, Some([1., 1., 0.])));
    let added = of_value(&|y, w| {
        let (a, b) = places();
        expand(y).index_put_((&a, &b), &w.index(..2), true);
    });
    assert_eq!(added, (None, Some([1., 1., 0.])));
    let masked = of_value(&|y, w| {
        expand(y).masked_fill_(&data().one, &w.index(0));
    });
    assert_eq!(masked, (None, Some([1., 0., 0.])));
    // To what was there before none flows.
    let before = gradients((true, false), &|y, _| {
        expand(y).index_fill_(1, &longs(&[2]), 9);
    });
    assert!(before.unwrap_err().to_string().contains("share memory"));
    let filled = gradients((true, false), &|y, _| {
        expand(y).fill_(9);
    });
    assert!(filled.unwrap_err().to_string().contains("share memory"));
    let window = gradients((true, false), &|y, _| {
        y.unfold(0, 3, 1).fill_(9);
    });
    assert_eq!(window.unwrap(), (Some([0.; 4]), None));
}

#[test]
fn lengths_of_expanded_axes_are_not_programs() {
    let changed = |x: &Tensor, m: &Tensor| {
        let y = x * 1.0;
        y.unsqueeze(0).expand(&[3, -1]).masked_fill_(m, 9);
        y
    };
    let step = trace(changed);
    for n in [4, 2, 7] {
        let x = Tensor::arange(n as i64).to(DType::F32);
        let m = Tensor::arange(3 * n as i64).reshape(&[3, n as isize]).eq(n as i64 + 1);
        assert_eq!(step.call((&x, &m)).unwrap().to_vec::<f32>(), changed(&x, &m).to_vec::<f32>());
    }
    assert_eq!(step.compilations(), 1);
}

#[test]
fn a_traced_call_gives_what_only_its_backward_pass_refuses() {
    let changed = |x: &Tensor| {
        let y = x * 2.0;
        y.unsqueeze(1).expand(&[2, 3]).fill_(3.0);
        y
    };
    let x = floats(&[1., 2.], &[2]).requires_grad();
    let y = trace(changed).call(&x).unwrap();
    assert_eq!(y.to_vec::<f32>(), [3.0; 2]);
    assert!(y.sum().try_backward().is_err());
    assert!(changed(&x).sum().try_backward().is_err());
}

/// One of the elements that share memory is changed, through a view of the view that repeats them: all of them are, and none has a gradient.
#[test]
fn one_of_those_that_meet() {
    type Change = fn(&Tensor);
    let changes: [Change; 4] = [
        |x| {
            x.expand(&[3]).index(-1).fill_(0.0);
        },
        |x| {
            x.expand(&[3]).set(1, 0.0);
        },
        |x| {
            x.expand(&[2, 3]).narrow(1, 2, 1).narrow(0, 1, 1).zero_();
        },
        |x| {
            x.unsqueeze(0).unfold(0, 1, 1).expand(&[2, 1]).index(1).zero_();
        },
    ];
    for (i, change) in changes.iter().enumerate() {
        let run = |call: &dyn Fn(&Tensor) -> Tensor| {
            let w = Tensor::full(&[], 3.0f32).requires_grad();
            let y = call(&w);
            (&y * 5.0 + &w).backward();
            (y.item::<f32>(), w.grad().unwrap().item::<f32>())
        };
        let eager = |w: &Tensor| {
            let y = w * 2.0;
            change(&y);
            y
        };
        assert_eq!(run(&eager), (0.0, 1.0), "{i}");
        let traced = trace(eager);
        assert_eq!(run(&|w| traced.call(w).unwrap()), (0.0, 1.0), "{i}, trace");
        // Arguments and captured tensors.
        let inside = trace(|y: &Tensor| change(y));
        let y = Tensor::full(&[], 3.0f32);
        inside.call(&y).unwrap();
        assert_eq!(y.item::<f32>(), 0.0, "{i}, an argument");
        let kept = Tensor::full(&[], 3.0f32);
        let inside = trace_dynamic(|y: &Tensor| {
            change(&kept);
            y + &kept
        });
        assert_eq!(inside.call(&y).unwrap().item::<f32>(), 0.0, "{i}, captured");
        assert_eq!(kept.item::<f32>(), 0.0, "{i}, captured");
    }
}

/// Operands with fewer axes than the gradient that lies as they do.
#[test]
fn gradients_beside_fewer_axes() {
    let few = Tensor::from_vec(vec![0.5f32, -1.0], &[2]).to(DType::F16);
    let many = Tensor::ones(&[2, 5, 2], DType::F32).requires_grad();
    for y in [few.maximum(&many), many.minimum(&few)] {
        let g = grad(&[&y.sum()], &[&many], true).unwrap();
        assert_eq!(g[0].as_ref().unwrap().shape(), [2, 5, 2]);
    }
}
