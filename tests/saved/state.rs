//! State keeps its meaning: what shares elements still does, and what lies otherwise in memory still lies so.

use crate::{Folder, bits, text};
use allotrope::prelude::*;
use allotrope::trace::{Names, Program};

#[test]
fn variants_share_their_state() {
    let folder = Folder::new();
    let path = folder.file("shared");
    let w = Tensor::zeros(&[2], DType::F32);
    let f = trace(|x: &Tensor| {
        w.add_(1.0);
        x.sum() * &w
    });
    f.call(&Tensor::ones(&[2], DType::F32)).unwrap();
    f.call(&Tensor::ones(&[2, 2], DType::F32)).unwrap();
    f.save(&path).unwrap();
    let program = Program::load(&path).unwrap();
    assert_eq!(program.states().count(), 1);
    program.call(&[&Tensor::ones(&[2], DType::F32)]).unwrap();
    let y = program.call(&[&Tensor::ones(&[1, 1], DType::F32)]).unwrap();
    assert_eq!(y[0].to_vec::<f32>(), [4.0; 2]);
    assert_eq!(program.state("state0").unwrap().to_vec::<f32>(), [4.0; 2]);
    assert_eq!(w.to_vec::<f32>(), [2.0; 2]);
}

#[test]
fn strides_are_kept_and_read_in_order() {
    let folder = Folder::new();
    let path = folder.file("strides");
    let base = Tensor::from_vec((0..6).map(|i| i as f32).collect(), &[2, 3]);
    let w = base.t().detach();
    let f = trace(|x: &Tensor| {
        w.mul_(2.0);
        x + &w
    });
    f.call(&Tensor::zeros(&[3, 2], DType::F32)).unwrap();
    f.save_with_names(&path, &Names::new().tensor("w", &w)).unwrap();
    assert!(text(&path).contains("tensor \"w\": f32[3, 2] strides [1, 3]\n"), "{}", text(&path));
    let file = std::fs::read(path.with_extension("safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&file).unwrap();
    let elements: Vec<f32> =
        file.tensor("w").unwrap().data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(elements, w.to_vec::<f32>());
    let program = Program::load(&path).unwrap();
    let loaded = program.state("w").unwrap();
    assert_eq!(loaded.strides().as_slice(), [1, 3]);
    assert_eq!(bits(loaded), bits(&w));
    let y = program.call(&[&Tensor::zeros(&[3, 2], DType::F32)]).unwrap();
    assert_eq!(y[0].to_vec::<f32>(), [0.0, 12.0, 4.0, 16.0, 8.0, 20.0]);
    assert_eq!(bits(loaded), bits(&y[0]));
}

#[test]
fn handles_to_the_same_elements_stay_so() {
    let folder = Folder::new();
    let path = folder.file("aliases");
    let all = Tensor::from_vec((0..10).map(|i| i as f32).collect(), &[10]);
    // Detached, so that each is a tensor of its own over some of the elements.
    let (left, right) = (all.narrow(0, 2, 4).detach(), all.narrow(0, 4, 4).detach());
    let f = trace(|x: &Tensor| x + &left * 10.0 + &right);
    f.call(&Tensor::zeros(&[4], DType::F32)).unwrap();
    f.save_with_names(&path, &Names::new().tensor("left", &left).tensor("right", &right)).unwrap();
    let program = Program::load(&path).unwrap();
    let (l, r) = (program.state("left").unwrap(), program.state("right").unwrap());
    assert_eq!(l.to_vec::<f32>(), [2.0, 3.0, 4.0, 5.0]);
    l.fill_(100.0);
    assert_eq!(r.to_vec::<f32>(), [100.0, 100.0, 6.0, 7.0]);
    let y = program.call(&[&Tensor::zeros(&[4], DType::F32)]).unwrap();
    assert_eq!(y[0].to_vec::<f32>(), [1100.0, 1100.0, 1006.0, 1007.0]);
    // Elements that no tensor reaches are not in the file.
    assert!(std::fs::metadata(path.with_extension("safetensors")).unwrap().len() < 8 + 400 + 6 * 4);
}

#[test]
fn part_of_a_large_tensor_is_saved_alone() {
    let folder = Folder::new();
    let path = folder.file("part");
    let large = Tensor::zeros(&[1000, 1000], DType::F32);
    let column = large.select(1, 3).detach();
    let row = large.select(0, 3).detach();
    let f = trace(|x: &Tensor| x * &row);
    f.call(&Tensor::ones(&[1000], DType::F32)).unwrap();
    f.save(&path).unwrap();
    assert!(std::fs::metadata(path.with_extension("safetensors")).unwrap().len() < 5000);
    let f = trace(|x: &Tensor| {
        column.add_(x);
        column.sum()
    });
    f.call(&Tensor::ones(&[1000], DType::F32)).unwrap();
    f.save(&path).unwrap();
    let program = Program::load(&path).unwrap();
    assert_eq!(program.state("state0").unwrap().strides().as_slice(), [1000]);
    assert_eq!(program.call(&[&Tensor::ones(&[1000], DType::F32)]).unwrap()[0].item::<f32>(), 2000.0);
}

#[test]
fn a_gradient_that_is_state_too_is_one_tensor() {
    let folder = Folder::new();
    let path = folder.file("gradient");
    let w = Tensor::ones(&[2], DType::F32).requires_grad();
    (&w * 3.0).sum().backward();
    let grad = w.grad().unwrap();
    let f = trace(|x: &Tensor| {
        grad.mul_(x);
        grad.sum()
    });
    f.call(&Tensor::full(&[2], 2.0f32)).unwrap();
    let g = trace(|x: &Tensor| (x * &w).sum().detach());
    g.call(&Tensor::ones(&[2], DType::F32)).unwrap();
    f.save_with_names(&path, &Names::new().tensor("g", &grad)).unwrap();
    let program = Program::load(&path).unwrap();
    assert_eq!(program.state("g").unwrap().to_vec::<f32>(), [6.0; 2]);
    g.save_with_names(&path, &Names::new().tensor("w", &w)).unwrap();
    let program = Program::load(&path).unwrap();
    assert_eq!(program.states().count(), 1);
    assert_eq!(program.state("w").unwrap().grad().unwrap().to_vec::<f32>(), [6.0; 2]);
}

#[test]
fn every_dtype_and_odd_shapes_come_back() {
    let folder = Folder::new();
    let path = folder.file("dtypes");
    for dtype in DType::ALL {
        for shape in [&[][..], &[0], &[2, 0, 3], &[3, 2]] {
            let n: usize = shape.iter().product();
            let w = Tensor::from_vec((0..n).map(|i| (i % 2) as f32).collect(), shape).to(dtype);
            let f = trace(|x: &Tensor| (x + 1.0, w.clone(), w.to(DType::F64)));
            let x = Tensor::zeros(&[1], DType::F32);
            f.call(&x).unwrap();
            f.save(&path).unwrap();
            let program = Program::load(&path).unwrap();
            let y = program.call(&[&x]).unwrap();
            assert!(y[1].is_same(program.state("state0").unwrap()));
            assert_eq!((y[1].dtype(), y[1].shape()), (dtype, shape));
            assert_eq!(y[2].to_vec::<f64>(), w.to(DType::F64).to_vec::<f64>(), "{dtype} {shape:?}");
        }
    }
}

#[test]
fn odd_numbers_and_names_come_back() {
    let folder = Folder::new();
    let path = folder.file("odd name.v1");
    let w = Tensor::from_vec(vec![f32::NAN, f32::NEG_INFINITY, -0.0, 1e-45, f32::MAX], &[5]);
    let name = "a \"quoted\"\n\u{1f40c} name \\ # no comment";
    let f = trace(|x: &Tensor| x.where_self(&x.gt(0.0), &Tensor::full(&[], f32::NAN)) + f64::NEG_INFINITY * &w - 0.1);
    let x = Tensor::ones(&[5], DType::F32);
    let y = f.call(&x).unwrap();
    f.save_with_names(&path, &Names::new().tensor(name, &w)).unwrap();
    assert_eq!(folder.names(), ["odd name.v1.graph", "odd name.v1.safetensors"]);
    let program = Program::load(&path).unwrap();
    assert_eq!(bits(program.state(name).unwrap()), bits(&w));
    assert_eq!(bits(&program.call(&[&x]).unwrap()[0]), bits(&y));
}

#[test]
fn a_history_does_not_come_back() {
    let folder = Folder::new();
    let path = folder.file("history");
    let w = Tensor::ones(&[2], DType::F32).requires_grad();
    let h = &w * 2.0;
    let f = trace(|x: &Tensor| (x.sum(), h.clone()));
    f.call(&Tensor::ones(&[1], DType::F32)).unwrap();
    f.save(&path).unwrap();
    let program = Program::load(&path).unwrap();
    let y = program.call(&[&Tensor::ones(&[1], DType::F32)]).unwrap();
    assert!(y[1].is_requires_grad() && !y[1].is_leaf());
    let error = y[1].sum().try_backward().unwrap_err().to_string();
    assert!(error.contains("history ended"), "{error}");
}

#[test]
fn saving_replaces_both_files_and_leaves_no_others() {
    let folder = Folder::new();
    let path = folder.file("twice");
    let w = Tensor::zeros(&[1], DType::F32);
    let f = trace(|x: &Tensor| {
        w.add_(x);
        w.clone()
    });
    for i in 1..=3 {
        f.call(&Tensor::ones(&[1], DType::F32)).unwrap();
        f.save(&path).unwrap();
        assert_eq!(folder.names().len(), 2);
        assert_eq!(Program::load(&path).unwrap().state("state0").unwrap().item::<f32>(), i as f32);
    }
}

#[test]
fn calls_on_another_thread_are_saved_as_wholes() {
    let folder = Folder::new();
    let path = folder.file("threads");
    let (a, b) = (Tensor::zeros(&[64], DType::F32), Tensor::zeros(&[64], DType::F32));
    let f = trace(|x: &Tensor| {
        a.add_(x);
        b.sub_(x);
    });
    let x = Tensor::ones(&[64], DType::F32);
    f.call(&x).unwrap();
    std::thread::scope(|s| {
        s.spawn(|| (0..2000).for_each(|_| f.call(&x).unwrap()));
        for _ in 0..20 {
            f.save_with_names(&path, &Names::new().tensor("a", &a).tensor("b", &b)).unwrap();
            let program = Program::load(&path).unwrap();
            let sum = program.state("a").unwrap() + program.state("b").unwrap();
            assert_eq!(sum.to_vec::<f32>(), [0.0; 64]);
        }
    });
}

/// The capacity of a loop that collects nothing means nothing, so no axis need give it.
#[test]
fn a_while_loop_without_gradients_is_saved() {
    let folder = Folder::new();
    let path = folder.file("while");
    let f = trace(|x: &Tensor| while_loop(|h: Tensor| h.abs().sum().lt(100.0), |h| h * 1.5, x.clone()));
    let x = Tensor::from_vec(vec![1.0f32, -2.0], &[2]);
    let wanted = f.call(&x).unwrap();
    f.save(&path).unwrap();
    let program = Program::load(&path).unwrap();
    assert_eq!(bits(&program.call(&[&x]).unwrap()[0]), bits(&wanted));
    let again = folder.file("again");
    program.save(&again).unwrap();
    assert_eq!(bits(&Program::load(&again).unwrap().call(&[&x]).unwrap()[0]), bits(&wanted));
}

/// A check whose value nothing uses is in the file; one that was asked away is not.
#[test]
fn unused_checks_are_saved() {
    let folder = Folder::new();
    let unused = |x: &Tensor, i: &Tensor| {
        let _ = x.take(i);
        x * 2.0
    };
    let x = Tensor::from_vec(vec![1.0f32, -2.0], &[2]);
    let index = |i: i64| Tensor::from_vec(vec![i], &[1]);
    for asked in [true, false] {
        let path = folder.file(&format!("checks-{asked}"));
        let f = trace(unused).with_unused_checks(asked);
        f.call((&x, &index(1))).unwrap();
        f.save(&path).unwrap();
        let program = Program::load(&path).unwrap();
        assert_eq!(program.call(&[&x, &index(0)]).unwrap()[0].to_vec::<f32>(), [2.0, -4.0]);
        assert_eq!(program.call(&[&x, &index(2)]).is_err(), asked);
    }
}

/// What a saved function changes in place by something that has a derivative requires gradients then, and its history stays in the
/// function that was saved.
#[test]
fn what_was_changed_into_a_result_is_one() {
    let folder = Folder::new();
    let path = folder.file("changed");
    let w = Tensor::from_vec(vec![2.0f32, -1.0], &[2]).requires_grad();
    let sum = Tensor::zeros(&[2], DType::F32);
    let step = trace(|x: &Tensor| {
        x.mul_(&w);
        sum.add_(x);
    });
    let x = || Tensor::from_vec(vec![3.0f32, 0.5], &[2]);
    step.call(&x()).unwrap();
    sum.detach_().zero_();
    step.save_with_names(&path, &Names::new().tensor("w", &w).tensor("sum", &sum)).unwrap();
    assert!(text(&path).contains("history argument 0"), "{}", text(&path));
    let program = Program::load(&path).unwrap();
    let given = x();
    program.call(&[&given]).unwrap();
    let sum = program.state("sum").unwrap();
    for t in [&given, sum] {
        assert_eq!(t.detach().to_vec::<f32>(), [6.0, -0.5]);
        assert!(t.is_requires_grad() && !t.is_leaf());
        let error = t.sum().try_backward().unwrap_err().to_string();
        assert!(error.contains("history ended"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn both_files_have_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.file("permissions");
    let f = trace(|x: &Tensor| x + 1.0);
    f.compile(&Tensor::zeros(&[2], DType::F32)).unwrap();
    f.save(&path).unwrap();
    let other = folder.file("other");
    std::fs::write(&other, "").unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    for ending in ["graph", "safetensors"] {
        assert_eq!(mode(&path.with_extension(ending)), mode(&other), "{ending}");
    }
}
