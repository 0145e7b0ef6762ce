//! A failed `try_…` whose error the program does not pass on is a branch: calls that would take the other one are recorded
//! anew. An error that only a recording has is no branch: the call ends with it, whatever the closure does.

use crate::common::{assert_same, difference, draw};
use crate::traps::says;
use allotrope::autograd::set_grad_enabled;
use allotrope::functional::*;
use allotrope::ops::*;
use allotrope::prelude::*;
use allotrope::tensor::Setting;
use allotrope::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};

type Operation = fn(&[Tensor]) -> Result<Tensor>;

/// Operations that fail for some sizes, with the number of axes of each argument.
const OPERATIONS: &[(&str, &[usize], Operation)] = &[
    ("narrow", &[1], |x| x[0].try_narrow(0, 1, 2)),
    ("select", &[2], |x| x[0].try_select(1, 2)),
    ("slice", &[1], |x| x[0].try_narrow(0, -2, 2)),
    ("split_with_sizes", &[1], |x| Ok(x[0].try_split_with_sizes(&[1, 2], 0)?.remove(1))),
    ("unfold", &[2], |x| x[0].try_unfold(1, 3, 1)),
    ("as_strided", &[2], |x| (x[0].try_mul(1.0)?).try_as_strided(&[2, 2], &[1, 1], 1)),
    ("index", &[2], |x| x[0].try_index((1, 2))),
    ("index_put", &[1], |x| x[0].try_index_put(2, 1.0, false)),
    ("set", &[2], |x| Ok(x[0].try_mul(1.0)?.try_set((2, ..), 1.5)?.clone())),
    ("add", &[2, 1], |x| x[0].try_add(&x[1])),
    ("sub", &[2, 2], |x| x[0].try_sub(&x[1])),
    ("maximum", &[1, 1], |x| x[0].try_maximum(&x[1])),
    ("gt", &[2, 1], |x| x[0].try_gt(&x[1])),
    ("where_self", &[1, 1], |x| x[0].try_where_self(&x[1].try_gt(0.0)?, &x[1])),
    ("where_", &[1, 1], |x| try_where_(&x[0].try_gt(0.0)?, &x[1], 1.0)),
    ("clamp", &[1, 1], |x| x[0].try_clamp(&x[1], 1.0)),
    ("addcmul", &[1, 1, 1], |x| x[0].try_addcmul(&x[1], &x[2], 0.5)),
    ("lerp", &[1, 1], |x| x[0].try_lerp(&x[1], 0.5)),
    ("add_", &[1, 1], |x| Ok(x[0].try_mul(1.0)?.try_add_(&x[1])?.clone())),
    ("copy_", &[2, 1], |x| Ok(x[0].try_mul(1.0)?.try_copy_(&x[1])?.clone())),
    ("masked_fill", &[2, 1], |x| x[0].try_masked_fill(&x[1].try_gt(0.0)?, 3.0)),
    ("isclose", &[1, 1], |x| x[0].try_isclose(&x[1], 1e-3, 1e-3, false)),
    ("matmul", &[2, 2], |x| x[0].try_matmul(&x[1])),
    ("mm", &[2, 2], |x| x[0].try_mm(&x[1])),
    ("bmm", &[3, 3], |x| x[0].try_bmm(&x[1])),
    ("mv", &[2, 1], |x| x[0].try_mv(&x[1])),
    ("dot", &[1, 1], |x| x[0].try_dot(&x[1])),
    ("addmm", &[2, 2, 2], |x| x[0].try_addmm(&x[1], &x[2], 1.0, 1.0)),
    ("addr", &[2, 1, 1], |x| x[0].try_addr(&x[1], &x[2], 1.0, 1.0)),
    ("tensordot", &[2, 2], |x| x[0].try_tensordot(&x[1], &[1], &[0])),
    ("cross", &[2, 2], |x| x[0].try_cross(&x[1], 1)),
    ("einsum", &[2, 2], |x| try_einsum("ij,kj->ik", &[&x[0], &x[1]])),
    ("einsum of a diagonal", &[2], |x| try_einsum("ii->i", &[&x[0]])),
    ("linear", &[2, 2, 1], |x| try_linear(&x[0], &x[1], Some(&x[2]))),
    ("bilinear", &[1, 1, 3], |x| try_bilinear(&x[0], &x[1], &x[2], None)),
    ("reshape", &[2], |x| x[0].try_reshape(&[2, -1])),
    ("reshape to numbers", &[2], |x| x[0].try_reshape(&[3, 2])),
    ("reshape_as", &[2, 1], |x| x[0].try_reshape_as(&x[1])),
    ("view", &[2], |x| x[0].try_view(&[-1, 2])),
    ("view_as", &[1, 2], |x| x[0].try_view_as(&x[1])),
    ("unflatten", &[1], |x| x[0].try_unflatten(0, &[2, -1])),
    ("expand", &[2], |x| x[0].try_expand(&[2, 3])),
    ("expand_as", &[1, 2], |x| x[0].try_expand_as(&x[1])),
    ("broadcast_to", &[1], |x| x[0].try_broadcast_to(&[2, 2])),
    ("broadcast_tensors", &[1, 2], |x| Ok(try_broadcast_tensors(&[&x[0], &x[1]])?.remove(1))),
    ("cat", &[2, 2], |x| try_cat(&[&x[0], &x[1]], 0)),
    ("stack", &[1, 1], |x| try_stack(&[&x[0], &x[1]], 0)),
    ("vstack", &[1, 2], |x| try_vstack(&[&x[0], &x[1]])),
    ("hstack", &[2, 2], |x| try_hstack(&[&x[0], &x[1]])),
    ("column_stack", &[1, 2], |x| try_column_stack(&[&x[0], &x[1]])),
    ("topk", &[1], |x| Ok(x[0].try_topk(2, 0, true)?.0)),
    ("kthvalue", &[1], |x| Ok(x[0].try_kthvalue(3, 0, false)?.0)),
    ("index_add", &[1, 1], |x| x[0].try_index_add(0, &Tensor::arange(1), &x[1], 1.0)),
    ("gather", &[2, 2], |x| x[0].try_gather(0, &x[1].try_mul(0.0)?.try_to(DType::I64)?)),
    ("scatter_add", &[2, 2], |x| x[0].try_scatter_add(0, &x[1].try_mul(0.0)?.try_to(DType::I64)?, &x[1])),
    ("conv1d", &[2, 3], |x| try_conv1d(&x[0], &x[1], None, ConvOptions::default())),
    ("conv_transpose1d", &[2, 3], |x| try_conv_transpose1d(&x[0], &x[1], None, ConvTransposeOptions::default())),
    ("max_pool1d", &[2], |x| try_max_pool1d(&x[0], [2], MaxPoolOptions::default())),
    ("avg_pool1d", &[2], |x| try_avg_pool1d(&x[0], [3], AvgPoolOptions::default())),
    ("unfold of windows", &[3], |x| allotrope::functional::try_unfold(&x[0], [2, 2], FoldOptions::default())),
    ("fold", &[2], |x| try_fold(&x[0], [2, 2], [1, 2], FoldOptions::default())),
    ("pad reflecting", &[2], |x| try_pad(&x[0], &[2, 1], PadMode::Reflect)),
    ("pad by less", &[1], |x| try_pad(&x[0], &[-1, -1], PadMode::Zeros)),
    ("pixel_unshuffle", &[3], |x| try_pixel_unshuffle(&x[0], 2)),
    ("channel_shuffle", &[3], |x| try_channel_shuffle(&x[0], 2)),
    ("layer_norm", &[2], |x| try_layer_norm(&x[0], &[2], NormOptions::default())),
    ("group_norm", &[3], |x| try_group_norm(&x[0], 2, NormOptions::default())),
    ("glu", &[1], |x| try_glu(&x[0], 0)),
    ("prelu", &[2, 1], |x| try_prelu(&x[0], &x[1])),
    ("mse_loss", &[2, 2], |x| try_mse_loss(&x[0], &x[1])),
    ("l1_loss", &[2, 2], |x| try_l1_loss(&x[0], &x[1], Reduction::Sum)),
    ("cosine_similarity", &[2, 2], |x| try_cosine_similarity(&x[0], &x[1], 1, 1e-8)),
    ("cross_entropy", &[2, 2], |x| try_cross_entropy(&x[0], &x[1], CrossEntropyOptions::default())),
    ("attention", &[2, 2], |x| try_scaled_dot_product_attention(&x[0], &x[1], &x[1], AttentionOptions::default())),
    ("embedding", &[1, 2], |x| {
        try_embedding(&x[0].try_mul(0.0)?.try_to(DType::I64)?, &x[1].try_narrow(1, 1, 1)?, None)
    }),
    ("scan", &[1, 1], |x| Ok(try_scan(x[0].sum(), (x[0].clone(), x[1].clone()), |c, (a, b)| (&c + &a, b))?.1)),
    ("scan whose carry grows", &[1, 1], |x| {
        Ok(try_scan(x[0].clone(), x[1].clone(), |c, y| (cat(&[&c, &c], 0).narrow(0, 0, 2), y))?.0)
    }),
    ("cond", &[1, 1], |x| try_cond(&x[0].sum().try_gt(0.0)?, |(a, _)| a, |(_, b)| b, (x[0].clone(), x[1].clone()))),
    ("while_loop", &[1], |x| {
        Ok(try_while_loop(
            |(i, _)| i.lt(1),
            |(i, x)| (&i + 1, x.repeat(&[2]).narrow(0, 0, 2)),
            (Tensor::scalar(0i64), x[0].clone()),
        )?
        .1)
    }),
    ("backward", &[1], |x| {
        let x = x[0].detach().requires_grad();
        (&x * 2.0).try_backward()?;
        Ok(x.grad().expect("backward left one"))
    }),
    ("grad", &[1, 1], |x| {
        let y = x[0].detach().requires_grad();
        let how = GradOptions { grad_outputs: &[Some(&x[1])], ..GradOptions::default() };
        Ok(grad_with(&[&(&y * 2.0)], &[&y], how)?.remove(0).expect("it was used"))
    }),
    ("a panic that is caught", &[2, 2], |x| {
        let f = AssertUnwindSafe(|| x[0].matmul(&x[1]) + &x[0]);
        catch_unwind(f).map_err(|_| Error::Argument("it panicked".into()))
    }),
    ("an error in a branch", &[2, 1], |x| {
        let or = |y: Tensor| y.try_matmul(&x[1]).unwrap_or_else(|_| &y * 3.0).sum();
        Ok(cond(&x[0].sum().gt(0.0), or, |y| y.sum(), x[0].clone()))
    }),
    ("an error in a loop", &[2, 1], |x| {
        let body = |c: Tensor, row: Tensor| (&c + row.try_dot(&x[1]).unwrap_or_else(|_| row.sum()), row);
        Ok(scan(Tensor::scalar(0.0f32), x[0].clone(), body).0)
    }),
    ("an error in a checkpoint", &[1, 1], |x| {
        Ok(checkpoint(|x: &[Tensor]| x[0].try_add(&x[1]).unwrap_or_else(|_| x[0].exp()), &[&x[0], &x[1]]))
    }),
];

fn fallback(x: &[Tensor]) -> Tensor {
    x[0].sum() * 2.0 + 1.0
}

/// Shapes for arguments of these numbers of axes: every one of the sizes 1 to 3, where they are not too many.
fn grid(axes: &[usize]) -> Vec<Vec<Vec<usize>>> {
    let all: usize = axes.iter().sum();
    let count = 3usize.pow(all as u32);
    // A stride that has no factor in common with the count goes through all of them in a mixed order.
    let (stride, taken) = if count > 27 { (61, 24) } else { (7, count) };
    let of = |i: usize| {
        let mut code = i * stride % count;
        let mut size = || {
            let size = code % 3 + 1;
            code /= 3;
            size
        };
        axes.iter().map(|&n| (0..n).map(|_| size()).collect()).collect()
    };
    (0..taken).map(of).collect()
}

/// Every operation of the table on all shapes of the grid, in both orders, by both forms.
#[test]
fn a_failed_operation_is_a_branch() {
    let (mut idle, mut wrong) = (Vec::new(), Vec::new());
    for &(name, axes, f) in OPERATIONS {
        let or = |x: &[Tensor]| f(x).unwrap_or_else(|_| fallback(x));
        let (fixed, dynamic) = (trace(|x: &[Tensor]| or(x)), trace_dynamic(|x: &[Tensor]| or(x)));
        let shapes = grid(axes);
        let failed = std::cell::Cell::new(0);
        for (i, shapes) in shapes.iter().chain(shapes.iter().rev()).enumerate() {
            let x: Vec<Tensor> = shapes.iter().enumerate().map(|(k, s)| draw((8 * i + k) as u64, s)).collect();
            failed.set(failed.get() + usize::from(f(&x).is_err()));
            let want = or(&x).detach();
            let what = format!("{name} of {shapes:?}");
            for (form, got) in [("trace", fixed.call(&x)), ("trace_dynamic", dynamic.call(&x))] {
                match got {
                    Err(e) => wrong.push(format!("{what}, {form}: {e}")),
                    Ok(got) => wrong.extend(difference(&got.detach(), &want).map(|d| format!("{what}, {form}: {d}"))),
                }
            }
        }
        // What goes on inside of something never fails.
        let inside = name.starts_with("an error in");
        if !inside && (failed.get() == 0 || failed.get() == 2 * shapes.len()) {
            idle.push(format!("{name} failed {} times of {}", failed.get(), 2 * shapes.len()));
        }
    }
    assert!(wrong.is_empty(), "{} results differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(idle.is_empty(), "no branch: {idle:?}");
}

/// What the closure does when it was refused: something else.
fn otherwise(x: &Tensor) -> Tensor {
    x * 2.0
}

/// Runs `f`, whose panic nobody sees.
fn caught<T>(f: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(f)).ok()
}

/// That calls end with the refusal though the closure goes on, at this line of this file.
#[track_caller]
fn refuses(needle: &str, f: impl Fn(&Tensor) -> Tensor) {
    let (fixed, dynamic) = (trace(|x: &Tensor| f(x)), trace_dynamic(|x: &Tensor| f(x)));
    for x in [draw(1, &[3]), draw(2, &[3]), draw(3, &[2])] {
        for (form, got) in [("trace", fixed.call(&x)), ("trace_dynamic", dynamic.call(&x))] {
            let Err(e) = got else { panic!("{form} took the way around {needle:?}") };
            assert!(matches!(e, Error::Trace(_)), "{form}: {e:?}");
            says(&e.to_string(), &[needle, "tests/trace/branches.rs:"]);
        }
    }
    assert_eq!((fixed.compilations(), dynamic.compilations()), (0, 0));
}

/// An error that a recording has and eager code has not, and that the closure does not pass on.
#[test]
fn a_refusal_ends_the_call() {
    refuses("item()", |x| match x.sum().try_item::<f32>() {
        Ok(_) => x * 1.0,
        Err(_) => otherwise(x),
    });
    refuses("item()", |x| caught(|| x.sum().item::<f32>()).map_or_else(|| otherwise(x), |_| x.clone()));
    refuses("to_vec()", |x| caught(|| x.to_vec::<f32>()).map_or_else(|| otherwise(x), |_| x.clone()));
    refuses("to_ndarray()", |x| x.try_to_ndarray::<f32>().map_or_else(|_| otherwise(x), |_| x.clone()));
    refuses("ndarray()", |x| {
        x.try_with_ndarray::<f32, f32>(|a| a.sum()).map_or_else(|_| otherwise(x), |n| x * f64::from(n))
    });
    refuses("nonzero", |x| x.try_nonzero().map_or_else(|_| otherwise(x), |n| n.to(DType::F32)));
    refuses("masked_select", |x| x.try_masked_select(&x.gt(0.0)).unwrap_or_else(|_| otherwise(x)));
    refuses("one_hot", |x| try_one_hot(&x.to(DType::I64).abs(), None).unwrap_or_else(|_| otherwise(x)));
    refuses("multinomial", |x| try_multinomial(&x.abs(), 1, true).unwrap_or_else(|_| otherwise(x)));
    refuses("item()", |x| x.try_equal(&(x * 1.0)).map_or_else(|_| otherwise(x), |_| x.clone()));
    refuses("item()", |x| x.try_allclose(x, 1e-3, 1e-3, false).map_or_else(|_| otherwise(x), |_| x.clone()));
    refuses("repeat_interleave", |x| {
        x.try_repeat_interleave_by(&x.gt(0.0).to(DType::I64), Some(0)).unwrap_or_else(|_| otherwise(x))
    });
    let generator = Generator::new(3);
    let state = generator.get_state();
    refuses("set_state()", |x| generator.set_state(&state).map_or_else(|_| otherwise(x), |()| x.clone()));
    refuses("get_state()", |x| caught(|| generator.get_state()).map_or_else(|| otherwise(x), |_| x.clone()));
    refuses("fork()", |x| caught(|| generator.fork()).map_or_else(|| otherwise(x), |_| x.clone()));
    refuses("set_grad_enabled()", |x| caught(|| set_grad_enabled(true)).map_or_else(|| otherwise(x), |()| x.clone()));
}

/// Refusals about captured tensors, settings and loops.
#[test]
fn a_refusal_about_what_is_captured_ends_the_call() {
    let w = draw(7, &[3]).requires_grad();
    refuses("register_hook", |x| w.try_register_hook(|_| None).map_or_else(|_| otherwise(x), |_| x.clone()));
    let computed = &w * 2.0;
    refuses("retain_grad", |x| computed.try_retain_grad().map_or_else(|_| otherwise(x), |()| x.clone()));
    let total = Tensor::scalar(0.0f32);
    refuses("outside a loop", |x| {
        scan(x.sum(), x.clone(), |c, x| {
            let changed = total.try_add_(&x).is_ok();
            (if changed { &c + &x } else { &c - &x }, x)
        })
        .0
    });
    let setting = Setting::new(1);
    refuses("Setting", |x| {
        scan(x.sum(), x.clone(), |c, x| (caught(|| setting.set(2)).map_or_else(|| &c - &x, |()| c.clone()), x)).0
    });
    refuses("rand", |x| {
        let body = |(i, y): (Tensor, Tensor)| {
            (&i + 1, allotrope::ops::random::try_rand(&[1]).map_or_else(|_| otherwise(&y), |r| &y + r))
        };
        while_loop(|(i, _)| i.lt(2), body, (Tensor::scalar(0i64), x.clone())).1
    });
}

/// Wherever the refused part stands: in bodies, branches, functions, hooks, and in traced functions that are called.
#[test]
fn a_refusal_inside_of_something_ends_the_call() {
    let or = |x: &Tensor| x.sum().try_item::<f32>().map_or_else(|_| otherwise(x), |n| x * f64::from(n));
    refuses("item()", |x| scan(x.sum(), x.clone(), |c, x| (c, or(&x))).1);
    refuses("item()", |x| cond(&x.sum().gt(0.0), |x| or(&x), |x| x, x.clone()));
    refuses("item()", |x| while_loop(|x| x.sum().lt(3.0), |x| or(&x).abs(), x.abs()));
    refuses("item()", |x| checkpoint(move |x: &[Tensor]| or(&x[0]), &[x]));
    struct Doubled;
    impl Function for Doubled {
        fn forward(&self, _: &mut FunctionContext, x: &[&Tensor]) -> Vec<Tensor> {
            vec![otherwise(x[0])]
        }
        fn backward(&self, _: &FunctionContext, g: &[Tensor]) -> Vec<Option<Tensor>> {
            vec![Some(g[0].sum().try_item::<f32>().map_or_else(|_| otherwise(&g[0]), |n| &g[0] * f64::from(n)))]
        }
    }
    refuses("item()", |x| {
        let x = x.detach().requires_grad();
        Doubled.apply1(&[&x]).sum().backward();
        x.grad().expect("backward left one")
    });
    refuses("item()", |x| {
        let x = x.detach().requires_grad();
        x.register_hook(move |g| Some(g.sum().try_item::<f32>().map_or_else(|_| otherwise(g), |n| g * f64::from(n))));
        (&x * 3.0).sum().backward();
        x.grad().expect("backward left one")
    });
    let inner = trace(or);
    refuses("item()", |x| inner.call(x).unwrap_or_else(|_| x.exp()));
    let inner = trace(|x: &Tensor| x * f64::from(x.sum().item::<f32>()));
    refuses("item()", |x| caught(|| inner.call(x)).map_or_else(|| x.exp(), |y| y.expect("it was recorded")));
    // Eagerly, the branch not taken is evaluated without elements.
    let w = draw(1, &[3]).requires_grad();
    let f = |taken: bool| try_cond(&Tensor::scalar(taken), |x: Tensor| or(&x), |x| x, w.clone());
    let e = f(false).expect_err("the branch not taken can't read");
    says(&e.to_string(), &["item()", "tests/trace/branches.rs:"]);
}

/// A panic that leaves the body of a loop leaves the loop open, so the closure can't catch it around the loop.
#[test]
fn a_panic_out_of_a_loop_is_not_caught_around_it() {
    let f = |x: &Tensor| {
        let row = Tensor::ones(&[2], DType::F32);
        let summed = caught(|| scan(Tensor::scalar(0.0f32), x.clone(), |c, r: Tensor| (&c + r.dot(&row), r)).0);
        summed.unwrap_or_else(|| x.sum())
    };
    let (fixed, dynamic) = (trace(f), trace_dynamic(f));
    for n in [2, 3, 2] {
        let x = draw(n as u64, &[2, n]);
        for got in [fixed.call(&x), dynamic.call(&x)] {
            match got {
                Ok(y) => assert_same("a loop that fits", &y, &f(&x)),
                Err(e) => {
                    assert_eq!(n, 3, "{e}");
                    says(&e.to_string(), &["panicked", "try_"]);
                }
            }
        }
    }
}

/// Data of the host is an input of each call of `trace_dynamic`, and refused by `trace`.
#[test]
fn refused_data_ends_the_call() {
    let f = trace(|x: &Tensor| Tensor::try_from_vec(vec![1.0f32, 2.0], &[2]).map_or_else(|_| otherwise(x), |y| x + y));
    let e = f.call(&draw(1, &[2])).expect_err("a trace has no data of its own");
    says(&e.to_string(), &["Rust data", "tests/trace/branches.rs:"]);
    let g = trace_dynamic(|x: &Tensor| {
        Tensor::try_from_vec(vec![1.0f32, 2.0], &[x.size(0)]).map_or_else(|_| otherwise(x), |y| x + y)
    });
    for n in [2, 3, 2, 1] {
        let x = draw(n as u64, &[n]);
        let want = if n == 2 { &x + Tensor::from_vec(vec![1.0f32, 2.0], &[2]) } else { otherwise(&x) };
        assert_same("data of the host", &g.call(&x).expect("every call has its data"), &want);
    }
}

/// The first refusal is the error, whatever the closure makes of it.
#[test]
fn the_first_refusal_is_the_error() {
    let say = |f: &dyn Fn(&Tensor) -> Tensor| trace(f).call(&draw(1, &[3])).expect_err("it is refused").to_string();
    let unwrapped = say(&|x| x * f64::from(x.sum().try_item::<f32>().unwrap()));
    says(&unwrapped, &["item()", "Return the tensor"]);
    let two = say(&|x| {
        let first = x.try_nonzero().is_err();
        if first { x * f64::from(x.sum().item::<f32>()) } else { x.clone() }
    });
    says(&two, &["nonzero"]);
    let panics = say(&|x| {
        assert!(x.sum().try_item::<f32>().is_ok(), "mine");
        x.clone()
    });
    says(&panics, &["item()"]);
}

/// The reason of a variant names what failed and where; what depends on no size makes no other variant.
#[test]
fn variants_of_a_failure_say_so() {
    let f = trace(|x: &Tensor| x.try_narrow(0, 1, 2).unwrap_or_else(|_| otherwise(x)));
    for n in [2, 3, 2, 5, 4] {
        let x = draw(n as u64, &[n]);
        let want = if n > 2 { x.narrow(0, 1, 2) } else { otherwise(&x) };
        assert_same("narrow", &f.call(&x).unwrap(), &want);
    }
    assert_eq!(f.compilations(), 2, "lengths where it succeeds are one variant");
    let reasons: Vec<String> = f.explain().iter().map(|v| v.reason().to_string()).collect();
    assert!(
        reasons.iter().any(|r| r.contains("narrow failed") && r.contains("tests/trace/branches.rs:")),
        "{reasons:?}"
    );
    let guards: Vec<String> = f.explain().iter().map(|v| v.to_string()).collect();
    assert!(guards.iter().any(|g| g.contains("axis 0 of argument 0 is 2: narrow failed")), "{guards:?}");
}

/// An error that is passed on is the call's, and the next call is recorded.
#[test]
fn an_error_that_is_passed_on_is_the_call_s() {
    let (fixed, dynamic) = (trace(|x: &Tensor| x.narrow(0, 1, 2)), trace_dynamic(|x: &Tensor| x.narrow(0, 1, 2)));
    for n in [3, 2, 4, 1, 3] {
        let x = draw(n as u64, &[n]);
        for got in [fixed.call(&x), dynamic.call(&x)] {
            match got {
                Ok(y) => assert_same("narrow", &y, &x.narrow(0, 1, 2)),
                Err(e) => {
                    assert!(n < 3, "{e}");
                    says(&e.to_string(), &["narrow", "tests/trace/branches.rs:"]);
                }
            }
        }
    }
    assert_eq!((fixed.compilations(), dynamic.compilations()), (1, 1));
}
