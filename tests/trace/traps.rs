//! What other tracers get silently wrong, each with its right answer or with an error that names a workaround.

use crate::common::{assert_same, bits, copy, draw, panic_text, seeded};
use allotrope::prelude::*;
use allotrope::tensor::{Generator, Size};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

#[track_caller]
pub fn says(text: &str, needles: &[&str]) {
    for needle in needles {
        assert!(text.contains(needle), "{text:?} should say {needle:?}");
    }
    assert!(!text.contains("bug in"), "{text:?} blames the library");
}

/// That the closure is refused, twice, with these words and the place in this file; gives the error.
#[track_caller]
fn refused<R: allotrope::ops::TensorTree>(f: impl FnMut(&Tensor) -> R, x: &Tensor, needles: &[&str]) -> Error {
    let f = trace(f);
    let mut last = None;
    for _ in 0..2 {
        let error = f.call(x).err().unwrap_or_else(|| panic!("should have been refused, with {needles:?}"));
        says(&error.to_string(), needles);
        last = Some(error);
    }
    assert_eq!(f.compilations(), 0);
    last.expect("it was called")
}

const HERE: &str = "tests/trace/traps.rs:";

#[test]
fn a_branch_on_an_element() {
    let x = draw(1, &[1]);
    let ways = [HERE, "item()", "Return the tensor", "argument", "where_self"];
    let error = refused(|x: &Tensor| if x.item::<f32>() > 0.5 { x * 2.0 } else { x - 1.0 }, &x, &ways);
    assert!(matches!(error, Error::Trace(_)), "{error:?}");
    refused(|x: &Tensor| if x.gt(0.5).item::<bool>() { x * 2.0 } else { x - 1.0 }, &x, &ways);
    refused(|x: &Tensor| if x.try_item::<f32>().unwrap() > 0.5 { x * 2.0 } else { x - 1.0 }, &x, &["item()", HERE]);
    // A captured tensor is read anew on each call, so it is no Rust number either.
    let w = draw(2, &[1]);
    refused(|x: &Tensor| if w.item::<f32>() > 0.5 { x * 2.0 } else { x - 1.0 }, &x, &ways);
    // The workaround has both answers.
    let chosen = trace(|x: &Tensor| (x * 2.0).where_self(&x.gt(0.5), &(x - 1.0)));
    for v in [0.0f32, 0.4, 0.6, 3.0] {
        let x = Tensor::from_vec(vec![v], &[1]);
        let wanted = if v > 0.5 { v * 2.0 } else { v - 1.0 };
        assert_eq!(chosen.call(&x).unwrap().item::<f32>(), wanted);
    }
    assert_eq!(chosen.compilations(), 1);
}

/// Each way to ask for a size, in an `if`: another answer is another variant, the same answer is the same one.
#[test]
fn a_branch_on_a_shape() {
    fn check(what: &str, f: impl Fn(&Tensor) -> Tensor, compilations: usize) {
        let traced = trace(|x: &Tensor| f(x));
        for n in [5, 3, 4, 2, 5, 3, 4, 2, 3] {
            let x = draw(n as u64, &[n, 2]);
            assert_same(what, &traced.call(&x).unwrap(), &f(&x));
        }
        assert_eq!(traced.compilations(), compilations, "{what}");
    }
    let two = |long: bool, x: &Tensor| if long { x * 2.0 } else { x - 1.0 };
    // As numbers: one variant for each.
    check("shape()", |x| two(x.shape()[0] > 3, x), 4);
    check("size()", |x| two(x.size(0) > 3, x), 4);
    check("numel()", |x| two(x.numel() > 6, x), 4);
    // As sizes: one for each answer. To have another size is to be smaller or larger.
    check("sizes() equals", |x| two(x.sizes()[0].equals(3), x), 3);
    check("not sizes() equals", |x| two(!x.sizes()[0].equals(3), x), 3);
    check("two sizes", |x| two(x.sizes()[0].equals(x.sizes()[1]), x), 2);
    check("has_size()", |x| two(x.has_size(0, Size::from(3)), x), 3);
    check("has_sizes()", |x| two(x.has_sizes(&[Size::from(4), Size::from(2)]), x), 3);
    let like = Tensor::zeros(&[3, 2], DType::F32);
    check("same_shape()", |x| two(x.same_shape(&like), x), 3);
    check("a slice of sizes", |x| two(x.sizes().iter().zip(like.sizes()).all(|(a, b)| a.equals(b)), x), 3);
    // No question, no variant.
    check("no question", |x| two(true, x), 1);
}

/// Sizes and values that are kept beyond their recording say so wherever they are used.
#[test]
fn what_is_kept_from_another_recording() {
    let x = draw(1, &[3]);
    let kept = RefCell::new(Vec::<Size>::new());
    let f = trace(|x: &Tensor| {
        kept.borrow_mut().push(x.sizes()[0]);
        x * 2.0
    });
    f.call(&x).unwrap();
    let old = kept.borrow()[0];
    // Eagerly it is the number that it was.
    assert!(old.equals(3));
    assert_eq!(old.to_string(), "3");
    let needles = ["size of another trace", "3"];
    refused(|x: &Tensor| if x.sizes()[0].equals(old) { x * 2.0 } else { x - 1.0 }, &x, &needles);
    refused(|x: &Tensor| if x.has_size(0, old) { x * 2.0 } else { x - 1.0 }, &x, &needles);
}

/// A Vec of numbers that grows: the second recording is longer than the first.
#[test]
fn a_growing_list_of_numbers() {
    let x = draw(1, &[3]);
    let seen = RefCell::new(Vec::new());
    let needles = ["recorded twice", "Rust value", "argument"];
    refused(
        |x: &Tensor| {
            seen.borrow_mut().push(2.0);
            seen.borrow().iter().fold(x.clone(), |x, f| x * *f)
        },
        &x,
        &needles,
    );
    refused(
        |x: &Tensor| {
            seen.borrow_mut().push(1.0);
            x * seen.borrow().len() as f64
        },
        &x,
        &needles,
    );
}

/// A Vec of tensors that grows: what was kept of a recording has no elements, and says so, however it is used.
#[test]
fn a_growing_list_of_tensors() {
    let x = draw(1, &[3]).requires_grad();
    let kept = RefCell::new(Vec::new());
    let f = trace(|x: &Tensor| {
        let y = x.tanh();
        kept.borrow_mut().push(y.clone());
        kept.borrow_mut().push(x.clone());
        y.square().sum()
    });
    let first = f.call(&x).unwrap();
    // Only recordings add to it.
    assert_eq!(kept.borrow().len(), 4);
    f.call(&x).unwrap();
    assert_eq!(kept.borrow().len(), 4);
    for old in kept.borrow().iter() {
        let ended = ["after the trace had ended", "return"];
        let text = format!("{old} {old:?} {old:.2}");
        says(&text, &["size=(3,)", "traced"]);
        assert_eq!((old.dtype(), old.dim(), old.shape().to_vec()), (DType::F32, 1, vec![3]));
        says(&panic_text(|| drop(old.to_vec::<f32>())), &ended);
        says(&panic_text(|| _ = old.sum().item::<f32>()), &ended);
        says(&panic_text(|| drop(old + 1.0)), &ended);
        says(&panic_text(|| drop(old.matmul(old))), &ended);
        says(&panic_text(|| drop(cat(&[old, old], 0))), &ended);
        says(&panic_text(|| drop(old.to_ndarray::<f32>())), &ended);
        says(&panic_text(|| _ = no_grad(|| old.add_(1.0).dim())), &ended);
        says(&panic_text(|| _ = copy(&Tensor::zeros(&[3], DType::F32)).copy_(old).dim()), &ended);
        says(&trace(|x: &Tensor| x + old).call(&x).unwrap_err().to_string(), &["another trace"]);
        says(
            &trace(|y: &Tensor| y * 2.0).call(old).err().map_or(String::new(), |e| e.to_string()),
            &["trace", "ended"],
        );
        says(&panic_text(|| drop(old.narrow(0, 0, 2))), &ended);
        says(&old.detach().to_string(), &["traced"]);
    }
    // Its history leads back into the recording.
    let history = kept.borrow()[0].clone();
    says(&panic_text(|| history.sum().backward()), &["trace"]);
    drop(history);
    kept.borrow_mut().clear();
    assert_same("the trace needs none of them", &f.call(&x).unwrap(), &first);
}

#[test]
fn a_tensor_made_outside_and_changed_inside() {
    let runs = [false, true].map(|traced| {
        let (total, count) = (Tensor::zeros(&[3], DType::F64), Tensor::scalar(0i64));
        let f = |x: &Tensor| {
            total.add_(&x.to(DType::F64));
            count.add_(1);
            (&total / &count.to(DType::F64)).to(DType::F32)
        };
        let compiled = trace(f);
        let mut all = Vec::new();
        for i in 0..7u64 {
            let x = draw(i, &[3]);
            // Eager code in between sees the same tensors.
            let y = if traced && i % 3 != 1 { compiled.call(&x).unwrap() } else { f(&x) };
            all.extend([&y, &total, &count].map(copy));
            if i == 4 {
                total.mul_(0.5);
            }
        }
        assert_eq!(compiled.compilations(), usize::from(traced));
        all
    });
    crate::common::assert_all_same("running mean", &runs[0], &runs[1]);
}

#[test]
fn a_view_changed_in_place() {
    let runs = [false, true].map(|traced| {
        let w = draw(1, &[4, 3]);
        let (row, column) = (w.select(0, 1), w.narrow(1, 2, 1));
        let f = |x: &Tensor| {
            row.add_(x);
            column.mul_(2.0);
            // A view of a view, taken inside.
            w.narrow(0, 2, 2).select(1, 0).sub_(1.0);
            &w * 1.0
        };
        let compiled = trace(f);
        let mut all = Vec::new();
        for i in 0..5u64 {
            let x = draw(10 + i, &[3]);
            all.push(copy(&if traced && i != 2 { compiled.call(&x).unwrap() } else { f(&x) }));
            all.extend([&w, &row, &column].map(copy));
        }
        all
    });
    crate::common::assert_all_same("views", &runs[0], &runs[1]);
}

/// A handle whose tensor is exchanged between calls: the traced function reads the new one, and the warning about too
/// many variants names it.
#[test]
fn a_captured_tensor_is_exchanged() {
    let x = draw(1, &[3]);
    let place = RefCell::new(draw(2, &[3]));
    let lock = std::sync::Mutex::new(draw(3, &[3]));
    let shared = RefCell::new(std::rc::Rc::new(draw(4, &[3])));
    let f = trace(|x: &Tensor| x * &*place.borrow() + &*lock.lock().unwrap() - &**shared.borrow());
    for i in 0..12u64 {
        let wanted = &x * &*place.borrow() + &*lock.lock().unwrap() - &**shared.borrow();
        assert_same(&format!("exchange {i}"), &f.call(&x).unwrap(), &wanted);
        match i % 4 {
            0 => drop(place.replace(draw(100 + i, &[3]))),
            1 => *lock.lock().unwrap() = draw(100 + i, &[3]),
            2 => *shared.borrow_mut() = std::rc::Rc::new(draw(100 + i, &[3])),
            // Exchanged elements are no exchanged tensor.
            _ => drop(place.borrow().copy_(&draw(100 + i, &[3]))),
        }
    }
    assert_eq!(f.compilations(), 10);
    // A view, and a detached handle: what they show stays reachable through its tensor.
    let whole = RefCell::new(draw(5, &[2, 3]));
    let g = trace(|x: &Tensor| x * whole.borrow().detach().select(0, 0));
    for i in 0..4u64 {
        assert_same("through a view", &g.call(&x).unwrap(), &(&x * whole.borrow().select(0, 0)));
        if i % 2 == 1 {
            whole.replace(draw(200 + i, &[2, 3]));
        }
    }
    assert_eq!(g.compilations(), 2);
}

/// Two traced functions that read the same place do not keep the old tensor alive for each other.
#[test]
fn an_exchanged_tensor_of_two_functions() {
    let x = draw(1, &[3]);
    let place = RefCell::new(draw(2, &[3]).requires_grad());
    let f = trace(|x: &Tensor| no_grad(|| x * &*place.borrow()));
    let g = trace(|x: &Tensor| {
        let w = place.borrow();
        w.set_grad(None);
        let loss = (x * &*w).square().sum();
        loss.backward();
        // A result with a history, which must not keep the tensor either.
        loss
    });
    for i in 0..6u64 {
        let wanted = no_grad(|| &x * &*place.borrow());
        assert_same("one", &f.call(&x).unwrap(), &wanted);
        assert_same("the other", &g.call(&x).unwrap().detach(), &wanted.square().sum());
        assert_same("its gradient", &place.borrow().grad().unwrap(), &(no_grad(|| &wanted * &x) * 2.0));
        if i % 2 == 1 {
            place.replace(draw(50 + i, &[3]).requires_grad());
        }
    }
    assert_eq!((f.compilations(), g.compilations()), (3, 3));
}

#[test]
fn values_that_are_printed() {
    let w = draw(2, &[2, 3]).requires_grad();
    let text = RefCell::new(String::new());
    let f = trace(|x: &Tensor| {
        let y = x * &w;
        let i = x.gt(0.0);
        *text.borrow_mut() = format!("{x}|{y:?}|{i:.1}|{w}|{:?}|{}", y.sizes(), x.sizes()[0]);
        println!("{x} {y:?}");
        y.detach()
    });
    let x = draw(1, &[2, 3]);
    assert_same("printing changes nothing", &f.call(&x).unwrap(), &(&x * &w).detach());
    let text = text.into_inner();
    let parts: Vec<&str> = text.split('|').collect();
    assert_eq!(parts[0], "tensor(..., size=(2, 3), traced)");
    assert_eq!(parts[1], "tensor(..., size=(2, 3), traced, grad_fn=<MulBackward0>)");
    assert_eq!(parts[2], "tensor(..., size=(2, 3), dtype=torch.bool, traced)");
    // A captured tensor may have been changed by the program: its elements are not known either.
    assert_eq!(parts[3], "tensor(..., size=(2, 3), traced, requires_grad=True)");
    assert_eq!(parts[5], "2");
    // Printing a size makes no number of it.
    let g = trace(|x: &Tensor| {
        println!("{x} {:?} {}", x.sizes(), x.sizes()[0]);
        x * 2.0
    });
    for n in [2, 3, 4] {
        g.call(&draw(1, &[n])).unwrap();
    }
    assert_eq!(g.compilations(), 1);
}

#[test]
fn a_panic_half_way() {
    let x = draw(1, &[3]);
    let (w, fails) = (draw(2, &[3]).requires_grad(), Cell::new(true));
    let g = Generator::new(3);
    let ran = Cell::new(0);
    let f = trace(|x: &Tensor| {
        ran.set(ran.get() + 1);
        no_grad(|| w.add_(x));
        let y = g.randn_like(x) * &w;
        y.sum().backward();
        if fails.get() {
            panic!("no luck with {}", x.dim());
        }
        y.detach()
    });
    let (before, state) = (copy(&w), g.get_state());
    let error = f.call(&x).unwrap_err();
    assert_eq!(error, Error::Panic("no luck with 1".into()));
    says(&error.to_string(), &["the closure panicked while it was recorded", "no luck with 1"]);
    assert_eq!(ran.get(), 1, "a closure that panics is not recorded a second time");
    assert_same("the tensor", &before, &w);
    assert!(w.grad().is_none() && g.get_state() == state && f.compilations() == 0);
    // The next call works.
    fails.set(false);
    let twin = Generator::new(3);
    let y = f.call(&x).unwrap();
    assert_same("after it", &w.detach(), &(&before + &x));
    assert_same("its numbers", &y, &(twin.randn_like(&x) * w.detach()));
    // A panic that is caught inside is the program's own affair.
    let caught = trace(|x: &Tensor| {
        let y = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| x.reshape(&[7]))).unwrap_or_else(|_| x * 2.0);
        y + 1.0
    });
    assert_same("caught", &caught.call(&x).unwrap(), &(&x * 2.0 + 1.0));
}

thread_local! {
    /// Panics that this thread's hook has seen.
    static PRINTED: Cell<usize> = const { Cell::new(0) };
}

/// What the hook of panics sees, which prints: an error of the library inside of a closure is given back and not printed; a
/// panic of the closure's own is printed once.
#[test]
fn what_is_printed_of_a_failure() {
    // A layer draws its weights.
    let _drawing = seeded(1);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PRINTED.set(PRINTED.get() + 1);
        before(info);
    }));
    let x = draw(1, &[2, 3]);
    let w = draw(2, &[4, 3]).requires_grad();
    type Case<'a> = (&'a dyn Fn(&Tensor) -> Tensor, &'a str);
    let errors: [Case<'_>; 6] = [
        (&|x| x + &w, "add"),
        (&|x| x.matmul(&w), "matmul"),
        (&|x| x * f64::from(x.item::<f32>()), "item"),
        (&|x| x.reshape(&[7]), "reshape"),
        (&|x| nn::Linear::new(5, 1).forward(x), "linear"),
        (&|x| (x * 1.0).to(DType::I64).requires_grad(), "requires_grad"),
    ];
    for (f, name) in errors {
        let error = trace(|x: &Tensor| f(x)).call(&x).unwrap_err();
        says(&error.to_string(), &[name, HERE]);
        assert!(!matches!(error, Error::Panic(_)), "{error:?} is no panic of the closure's own");
        assert_eq!(PRINTED.get(), 0, "nothing is printed of {error}");
        // The words of the eager mode, and where.
        let eager = panic_text(|| drop(f(&x)));
        PRINTED.set(0);
        let told = error.to_string();
        assert!(name == "item" || told.starts_with(&eager), "{told} and {eager}");
    }
    let error = trace(|x: &Tensor| if x.dim() == 2 { panic!("mine") } else { x.clone() }).call(&x).unwrap_err();
    assert_eq!((error, PRINTED.get()), (Error::Panic("mine".into()), 1));
}

#[test]
fn a_trace_in_a_trace() {
    let w = draw(1, &[3]).requires_grad();
    let inner = RefCell::new(trace(|x: &Tensor| (x * &w).tanh()));
    let outer = trace(|x: &Tensor| {
        let y = inner.borrow().call(x).unwrap();
        let loss = (&y * &y).sum();
        w.set_grad(None);
        loss.backward();
        (y.detach(), loss.detach())
    });
    let x = draw(2, &[3]);
    let (y, loss) = outer.call(&x).unwrap();
    assert_same("inner", &y, &no_grad(|| (&x * &w).tanh()));
    assert_same("outer", &loss, &(&y * &y).sum());
    let g = copy(&w.grad().unwrap());
    w.set_grad(None);
    let again = (&x * &w).tanh();
    (&again * &again).sum().backward();
    assert_same("the gradient goes through both", &g, &w.grad().unwrap());
    drop(outer);
    assert_eq!(inner.borrow().compilations(), 0);
    assert_same("alone", &inner.borrow().call(&x).unwrap().detach(), &y);
    // A trace that is made, called and dropped in one.
    let maker = trace(|x: &Tensor| {
        let twice = trace(|x: &Tensor| x * 2.0);
        let y = twice.call(x).unwrap();
        assert_eq!(twice.compilations(), 0);
        twice.call(&y).unwrap()
    });
    assert_same("made inside", &maker.call(&x).unwrap(), &(&x * 4.0));
    // An error in the inner one is the outer one's.
    let wrong = trace(|x: &Tensor| trace(|x: &Tensor| x.reshape(&[7])).call(x).unwrap());
    says(&wrong.call(&x).unwrap_err().to_string(), &["reshape", "[3]", HERE]);
}

#[test]
fn a_counter_on_the_host() {
    let x = draw(1, &[3]);
    let n = Cell::new(0);
    let needles = ["recorded twice", "const 1.0", "const 2.0", "argument", "tensor that the closure changes in place"];
    refused(
        |x: &Tensor| {
            n.set(n.get() + 1);
            if n.get() > 2 {
                n.set(1);
            }
            x * f64::from(n.get())
        },
        &x,
        &needles,
    );
    // The workaround: a count that is a tensor.
    let count = Tensor::scalar(0.0f32);
    let f = trace(|x: &Tensor| {
        count.add_(1.0);
        x * &count
    });
    for i in 1..5 {
        assert_same("counted", &f.call(&x).unwrap(), &(&x * f64::from(i)));
    }
    assert_eq!(f.compilations(), 1);
}

#[test]
fn a_clock_on_the_host() {
    let start = std::time::Instant::now();
    let f = |x: &Tensor| {
        // A clock that is fine enough to differ.
        std::thread::sleep(std::time::Duration::from_micros(50));
        x * start.elapsed().as_secs_f64()
    };
    refused(f, &draw(1, &[3]), &["recorded twice", "Rust value", "Pass that value as an argument"]);
}

/// Random order on the host, as iterating over a HashMap has: found when two recordings differ, which for twelve keys
/// they do but once in 479001600 times.
#[test]
fn an_order_that_is_random() {
    let f = |x: &Tensor| {
        let names: HashMap<u32, f64> = (0..12).map(|i| (i, f64::from(i) + 1.5)).collect();
        names.values().fold(x.clone(), |x, v| x * *v + 1.0)
    };
    refused(f, &draw(1, &[3]), &["recorded twice", "Rust value"]);
}

/// Threads inside of the closure know nothing of the recording.
#[test]
fn another_thread_inside() {
    let x = draw(1, &[3]);
    let text = panic_text(|| {
        trace(|x: &Tensor| {
            std::thread::scope(|s| s.spawn(|| x * 2.0).join().unwrap_or_else(|e| std::panic::resume_unwind(e)))
        })
        .call(&x)
        .map(drop)
        .unwrap_or_else(|e| panic!("{e}"));
    });
    says(&text, &["another thread"]);
}

/// The bits of everything are those of before.
#[test]
fn nothing_is_changed_by_a_refusal() {
    let (x, w) = (draw(1, &[1]), draw(2, &[1]).requires_grad());
    w.set_grad(Some(draw(3, &[1])));
    let before = [bits(&w), bits(&w.grad().unwrap())];
    refused(
        |x: &Tensor| {
            no_grad(|| w.add_(x));
            (&w * 2.0).sum().backward();
            w.item::<f32>();
        },
        &x,
        &["item()"],
    );
    assert_eq!(before, [bits(&w), bits(&w.grad().unwrap())]);
}
