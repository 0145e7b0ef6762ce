//! What a program can read on the host while it is recorded: each is a guard (another answer, another variant), an input,
//! or an error.

use crate::common::{assert_same, copy, draw, panic_text};
use crate::traps::says;
use allotrope::optim::Adam;
use allotrope::prelude::*;
use allotrope::tensor::{Flag, Setting};

#[test]
fn a_flag_is_a_guard() {
    let doubled = Flag::new(false);
    let f = trace(|x: &Tensor| if doubled.get() { x * 2.0 } else { x * 1.0 });
    let x = draw(1, &[2]);
    for on in [false, true, false, true] {
        doubled.set(on);
        assert_same("follows the flag", &f.call(&x).unwrap(), &(&x * if on { 2.0 } else { 1.0 }));
    }
    assert_eq!(f.compilations(), 2);
    let why = f.explain().iter().map(|e| format!("{}{}", e.reason(), e.guards())).collect::<String>();
    says(&why, &["Setting read at tests/trace/guards.rs:", "another value"]);
}

/// Any value that can be compared: what was met before needs no capture.
#[test]
fn settings_are_guards() {
    #[derive(Clone, PartialEq)]
    enum Activation {
        Tanh,
        Scaled(f64),
    }
    let (kind, depth, names) =
        (Setting::new(Activation::Tanh), Setting::new(1usize), Setting::new(vec!["a".to_string()]));
    let program = |x: &Tensor, kind: &Activation, depth: usize, names: usize| {
        let one = |x: Tensor| match kind {
            Activation::Tanh => x.tanh(),
            Activation::Scaled(by) => x * *by,
        };
        (0..depth).fold(x.clone(), |x, _| one(x)) + names as f64
    };
    let f = trace(|x: &Tensor| program(x, &kind.get(), depth.get(), names.get().len()));
    let x = draw(1, &[3]);
    let check = |captures: usize| {
        let wanted = program(&x, &kind.get(), depth.get(), names.get().len());
        assert_same("follows", &f.call(&x).unwrap(), &wanted);
        assert_eq!(f.compilations(), captures);
    };
    check(1);
    kind.set(Activation::Scaled(0.5));
    check(2);
    depth.set(3);
    check(3);
    names.set(vec![]);
    check(4);
    // Back, one after the other.
    names.set(vec!["a".into()]);
    check(4);
    depth.set(1);
    check(4);
    kind.set(Activation::Tanh);
    check(4);
    // Set and set back is as it was; a NaN that stays is the same one.
    kind.set(Activation::Scaled(9.0));
    kind.set(Activation::Tanh);
    check(4);
    kind.set(Activation::Scaled(f64::NAN));
    check(5);
    check(5);
    // Clones share their value.
    depth.clone().set(2);
    check(6);
    assert_eq!((depth.get(), format!("{depth:?}"), Setting::<u8>::default().get()), (2, "Setting(2)".into(), 0));
}

/// What the closure sets is set by each call that succeeds, and read back as it was set.
#[test]
fn settings_are_set_by_calls() {
    let runs = [false, true].map(|traced| {
        let (phase, seen) = (Setting::new(0u32), Setting::new(false));
        let f = |x: &Tensor| {
            let now = phase.get();
            phase.set((now + 1) % 3);
            seen.set(phase.get() == 0);
            let y = if seen.get() { x * 10.0 } else { x.clone() };
            y + f64::from(phase.get())
        };
        let compiled = trace(f);
        let mut all = Vec::new();
        for i in 0..9u64 {
            let x = draw(i, &[2]);
            all.push(copy(&if traced && i != 4 { compiled.call(&x).unwrap() } else { f(&x) }));
            all.push(Tensor::from_vec(vec![f64::from(phase.get()), f64::from(u8::from(seen.get()))], &[2]));
        }
        assert_eq!(compiled.compilations(), if traced { 3 } else { 0 });
        all
    });
    crate::common::assert_all_same("settings", &runs[0], &runs[1]);
    // Recording alone, and calls that fail, set nothing.
    let on = Flag::new(false);
    let f = trace(|x: &Tensor| {
        on.set(true);
        x.index(&x.to(DType::I64))
    });
    f.compile(&draw(1, &[3])).unwrap();
    assert!(!on.get());
    assert!(f.call(&Tensor::full(&[3], 7.0f32)).is_err());
    assert!(!on.get());
    f.call(&Tensor::full(&[3], 1.0f32)).unwrap();
    assert!(on.get());
    // In a loop there is no one step that could.
    let text = trace(|x: &Tensor| {
        scan(x.sum(), x.clone(), |c, e| {
            on.set(false);
            (&c + &e, e)
        })
        .0
    })
    .call(&draw(1, &[3]))
    .unwrap_err()
    .to_string();
    says(&text, &["Setting", "loop", "carry"]);
    // What depends on a Rust value that changes is found here too.
    let mut n = 0;
    let set = trace(|x: &Tensor| {
        n += 1;
        on.set(n % 2 == 0);
        x * 1.0
    });
    says(&set.call(&draw(1, &[3])).unwrap_err().to_string(), &["recorded twice", "Setting"]);
}

/// What a saved function could not hold to is refused when it is saved, with the place in the program.
#[test]
fn guards_that_cannot_be_saved() {
    let path = std::env::temp_dir().join(format!("allotrope-guards-{}", std::process::id()));
    let (x, depth) = (draw(1, &[2, 2]), Setting::new(2u8));
    let refused = |f: &dyn Fn(&Tensor) -> Tensor, needles: &[&str]| {
        let traced = trace(|x: &Tensor| f(x));
        traced.compile(&x).unwrap();
        says(
            &traced.save(&path).err().unwrap_or_else(|| panic!("{needles:?} {}", traced.explain()[0])).to_string(),
            needles,
        );
        assert!(!path.with_extension("graph").exists());
    };
    refused(&|x| x * f64::from(depth.get()), &["save", "Setting that is no Flag", "tests/trace/guards.rs:"]);
}

/// A step of the optimizer that fails leaves no trace in its own switches either.
#[test]
fn a_failed_step_does_not_count_as_missed() {
    let make = || {
        let (w, v) = (draw(1, &[3]).requires_grad(), draw(2, &[3]).requires_grad());
        let opt = Adam::new(vec![w.clone(), v.clone()], 0.1);
        (w, v, opt)
    };
    let ((w, v, opt), (twin_w, twin_v, twin)) = (make(), make());
    let step = |w: &Tensor, opt: &Adam, i: &Tensor| {
        opt.zero_grad();
        (w * w).index(i).sum().backward();
        opt.step();
    };
    let f = trace(|i: &Tensor| step(&w, &opt, i));
    assert!(f.call(&Tensor::from_vec(vec![5i64], &[1])).is_err());
    let both = |w: &Tensor, v: &Tensor, opt: &Adam| {
        opt.zero_grad();
        (w * v).sum().backward();
        opt.step();
    };
    let g = trace(|| both(&w, &v, &opt));
    g.call([]).unwrap();
    both(&twin_w, &twin_v, &twin);
    // Both parameters never missed a step, and the hyperparameters are those of before.
    let guards = g.explain()[0].guards();
    assert!(
        guards.contains("the Setting read at src/optim/by_rule.rs") && guards.contains("all 3 are as they were"),
        "{guards}"
    );
    assert_same("as if it had not been", &w, &twin_w);
    assert_same("as if it had not been", &v, &twin_v);
}

#[test]
fn gradient_mode_and_wish_are_guards() {
    let w = draw(1, &[2]).requires_grad();
    let f = trace(|x: &Tensor| &w * x);
    let x = draw(2, &[2]);
    assert!(f.call(&x).unwrap().is_requires_grad());
    assert!(!no_grad(|| f.call(&x).unwrap()).is_requires_grad());
    w.set_requires_grad(false);
    assert!(!f.call(&x).unwrap().is_requires_grad());
    assert!(f.call(&x.requires_grad()).unwrap().is_requires_grad());
    assert_eq!(f.compilations(), 4);
}

/// What is asked of a captured tensor without reading its elements.
#[test]
fn questions_about_tensors_from_outside() {
    let x = draw(1, &[2]);
    let w = draw(2, &[2]);
    let choose = |yes: bool, x: &Tensor| if yes { x * 2.0 } else { x - 1.0 };
    let check = |what: &str, f: &dyn Fn() -> bool, change: &dyn Fn(bool)| {
        let traced = trace(|x: &Tensor| choose(f(), x));
        for on in [false, true, false, true] {
            change(on);
            assert_same(what, &traced.call(&x).unwrap(), &choose(f(), &x));
        }
        assert_eq!(traced.compilations(), 2, "{what}");
    };
    check("is_requires_grad", &|| w.is_requires_grad(), &|on| w.set_requires_grad(on));
    check("a computed result", &|| (&w * 2.0).is_requires_grad(), &|on| w.set_requires_grad(on));
    w.set_requires_grad(true);
    check("grad().is_some()", &|| w.grad().is_some(), &|on| w.set_grad(on.then(|| x.clone())));
}

/// What is asked of an argument, and of two of them.
#[test]
fn questions_about_arguments() {
    let ask = |x: &Tensor, yes: bool| if yes { x * 2.0 } else { x - 1.0 };
    let same = |what: &str, f: &dyn Fn(&Tensor, &Tensor) -> Tensor, calls: &[(&Tensor, &Tensor)], captures: usize| {
        let traced = trace(|a: &Tensor, b: &Tensor| f(a, b));
        for _ in 0..2 {
            for (i, &(a, b)) in calls.iter().enumerate() {
                assert_same(&format!("{what}, call {i}"), &traced.call((a, b)).unwrap().detach(), &f(a, b).detach());
            }
        }
        assert_eq!(traced.compilations(), captures, "{what}");
    };
    let (a, b) = (draw(1, &[3, 3]), draw(2, &[3, 3]));
    let turned = a.t();
    let w = draw(3, &[3, 3]).requires_grad();
    same("dtype", &|x, _| ask(x, x.dtype() == DType::F64), &[(&a, &b), (&a.to(DType::F64), &b)], 2);
    same("requires_grad", &|x, _| ask(x, x.is_requires_grad()), &[(&a, &b), (&w, &b)], 2);
    same("dim", &|x, _| ask(x, x.dim() == 2), &[(&a, &b), (&a.select(0, 0), &b)], 2);
    same("is_contiguous", &|x, _| ask(x, x.is_contiguous()), &[(&a, &b), (&turned, &b)], 2);
    same("of a view", &|x, _| ask(x, x.t().is_contiguous()), &[(&a, &b), (&turned, &b)], 2);
    same("strides", &|x, _| ask(x, x.strides()[0] == 1), &[(&a, &b), (&turned, &b)], 2);
    same("is_same", &|x, y| ask(x, x.is_same(y)), &[(&a, &b), (&a, &a)], 2);
    same("is_same of outside", &|x, _| ask(x, x.is_same(&a)), &[(&a, &b), (&b, &b)], 2);
    same("is_leaf", &|x, _| ask(x, x.is_leaf()), &[(&a, &b), (&w, &b)], 2);
}

/// State that Rust code could set while recording is refused there.
#[test]
fn what_recording_must_not_change() {
    let x = draw(1, &[3]);
    let refused = |f: &dyn Fn(&Tensor), needles: &[&str]| {
        let text = trace(|x: &Tensor| f(x)).call(&x).unwrap_err().to_string();
        says(&text, needles);
        says(&text, &["tests/trace/guards.rs:"]);
    };
    refused(&|_| allotrope::autograd::set_grad_enabled(false), &["set_grad_enabled", "no_grad"]);
    let v = draw(3, &[3]).requires_grad();
    refused(&|_| drop(v.register_hook(|_| None)), &["register_hook", "outside"]);
    says(&panic_text(|| v.try_item::<f32>().map(drop).unwrap()), &["3 elements"]);
}

/// Sizes that happen to be equal in the recorded call stay independent where nothing needs them to be equal.
#[test]
fn sizes_that_happen_to_be_equal() {
    let w = draw(1, &[3]).requires_grad();
    let f = |xs: &Tensor, i: &Tensor| {
        let (last, ys) = scan(Tensor::zeros(&[3], DType::F32), xs.clone(), |c, x| ((&c + &x).tanh(), &c * &x));
        let picked = w.index_select(0, i);
        let loss = (last * &w).sum() + ys.sum() + picked.sum();
        grad(&[&loss], &[&w], false).unwrap().remove(0).unwrap()
    };
    let traced = trace(f);
    for (t, n) in [(2, 2), (3, 2), (2, 3), (1, 1), (4, 1)] {
        let (xs, i) = (draw(t as u64, &[t, 3]), Tensor::from_vec((0..n).collect::<Vec<i64>>(), &[n as usize]));
        assert_same("gradient", &traced.call((&xs, &i)).unwrap(), &f(&xs, &i));
    }
    println!("{}", traced.explain()[0].captured());
    assert_eq!(traced.compilations(), 1, "{}", traced.explain()[0].guards());
}
