//! For which calls a loaded program stands, and what it says where it does not.

use crate::{Folder, drawing, refused, text};
use allotrope::prelude::*;
use allotrope::tensor::Flag;
use allotrope::trace::{Names, Program, read_graphs};

#[test]
fn all_variants_are_saved_and_chosen_by_their_guards() {
    let folder = Folder::new();
    let path = folder.file("variants");
    let training = Flag::new(true);
    let f = trace(|x: &Tensor| {
        let n = x.size(1) as f64;
        if training.get() { x * n } else { x + n }
    });
    let x = |rows: usize, columns: usize| Tensor::full(&[rows, columns], 2.0f32);
    f.call(&x(1, 3)).unwrap();
    f.call(&x(1, 4)).unwrap();
    training.set(false);
    f.call(&x(1, 3)).unwrap();
    f.save_with_names(&path, &Names::new().flag("training", &training)).unwrap();
    let program = Program::load(&path).unwrap();
    let first = |rows, columns| Ok::<f32, Error>(program.call(&[&x(rows, columns)])?[0].to_vec::<f32>()[0]);
    let flag = program.flag("training").unwrap();
    assert!(!flag.get());
    assert_eq!(first(5, 3), Ok(5.0));
    flag.set(true);
    assert_eq!(first(5, 3), Ok(6.0));
    assert_eq!(first(2, 4), Ok(8.0));
    assert!(!training.get(), "the switch of the closure is another one");
    let error = first(2, 5).unwrap_err().to_string();
    assert!(error.contains("no saved variant") && error.contains("axis 1 of argument 0 is 5, not 3"), "{error}");
    assert_eq!(program.explain().len(), 3);
}

#[test]
fn what_a_capture_depended_on_is_asked_again() {
    let folder = Folder::new();
    let path = folder.file("guards");
    let w = Tensor::ones(&[2], DType::F32).requires_grad();
    let f = trace(|x: &Tensor, y: &Tensor| (x * &w + y).sum());
    let x = || Tensor::ones(&[2], DType::F32);
    f.call((&x(), &x())).unwrap();
    f.save_with_names(&path, &Names::new().tensor("w", &w)).unwrap();
    let program = Program::load(&path).unwrap();
    let error = |args: &[&Tensor]| program.call(args).unwrap_err().to_string();
    assert!(error(&[&x()]).contains("1 arguments, not 2"));
    assert!(error(&[&x(), &x().to(DType::F64)]).contains("argument 1 is f64, not f32"));
    assert!(error(&[&x(), &Tensor::ones(&[3], DType::F32)]).contains("axis 0 of argument 1 is 3"));
    assert!(error(&[&x().requires_grad(), &x()]).contains("argument 0 now needs a gradient"));
    assert!(no_grad(|| error(&[&x(), &x()])).contains("gradients are disabled"));
    program.state("w").unwrap().set_requires_grad(false);
    assert!(error(&[&x(), &x()]).contains("a captured tensor of shape [2] now needs no gradient"));
    program.state("w").unwrap().set_requires_grad(true);
    let result = program.call(&[&x(), &x()]).unwrap().remove(0);
    assert_eq!(result.item::<f32>(), 4.0);
    assert!(result.is_requires_grad());
    let hook = program.state("w").unwrap().register_hook(|_| None);
    assert!(error(&[&x(), &x()]).contains("hooks"));
    drop(hook);
    let inside = trace(|x: &Tensor| program.call(&[x, x]).unwrap().remove(0));
    assert!(inside.call(&x()).unwrap_err().to_string().contains("can't be recorded"));
}

#[test]
fn a_failed_check_changes_nothing() {
    let _drawing = drawing();
    let folder = Folder::new();
    let path = folder.file("check");
    let count = Tensor::zeros(&[], DType::F32);
    let table = Tensor::from_vec(vec![1.0f32, 2.0, 3.0], &[3]);
    let f = trace(|i: &Tensor| {
        count.add_(1.0);
        (table.index_select(0, i), rand(&[2]))
    });
    f.call(&Tensor::from_vec(vec![0i64, 2], &[2])).unwrap();
    f.save_with_names(&path, &Names::new().tensor("count", &count)).unwrap();
    let program = Program::load(&path).unwrap();
    let error = program.call(&[&Tensor::from_vec(vec![0i64, 3], &[2])]).unwrap_err().to_string();
    assert!(error.contains("index"), "{error}");
    assert_eq!(program.state("count").unwrap().item::<f32>(), 1.0);
    program.call(&[&Tensor::from_vec(vec![1i64], &[1])]).unwrap();
    assert_eq!(program.state("count").unwrap().item::<f32>(), 2.0);
}

#[test]
fn arguments_may_be_changed_and_returned() {
    let folder = Folder::new();
    let path = folder.file("arguments");
    let f = trace(|x: &Tensor, y: &Tensor| {
        x.add_(y);
        (x.clone(), y * 2.0, y.clone())
    });
    let one = || Tensor::ones(&[2, 2], DType::F32);
    f.call((&one(), &one())).unwrap();
    f.save(&path).unwrap();
    let program = Program::load(&path).unwrap();
    let (x, y) = (one(), Tensor::full(&[2, 2], 3.0f32));
    let results = program.call(&[&x, &y]).unwrap();
    assert_eq!(x.to_vec::<f32>(), [4.0; 4]);
    assert!(results[0].is_same(&x) && results[2].is_same(&y));
    assert_eq!(results[1].to_vec::<f32>(), [6.0; 4]);
    // Whether it lies in order was asked of the argument that is changed.
    let wide = Tensor::zeros(&[2, 3], DType::F32);
    let error = program.call(&[&wide.narrow(1, 0, 2), &y]).unwrap_err().to_string();
    assert!(error.contains("lies otherwise"), "{error}");
}

#[test]
fn nothing_captured_and_names_twice_are_errors() {
    let folder = Folder::new();
    let path = folder.file("nothing");
    let (a, b) = (Tensor::ones(&[2], DType::F32), Tensor::ones(&[2], DType::F32));
    let f = trace(|x: &Tensor| x * &a + &b);
    assert!(f.save(&path).unwrap_err().to_string().contains("nothing was captured"));
    assert!(folder.names().is_empty());
    f.compile(&Tensor::ones(&[2], DType::F32)).unwrap();
    let error = f.save_with_names(&path, &Names::new().tensor("a", &a).tensor("a", &b)).unwrap_err();
    assert!(error.to_string().contains("two things"), "{error}");
    assert!(folder.names().is_empty());
    f.save(&path).unwrap();
    assert_eq!(folder.names(), ["nothing.graph", "nothing.safetensors"]);
    assert!(text(&path).contains("tensor \"state0\": f32[2]"));
    // Either file names the pair.
    for name in ["nothing.graph", "nothing.safetensors"] {
        assert_eq!(Program::load(folder.file(name)).unwrap().states().count(), 2);
    }
    let read = read_graphs(&path).unwrap();
    assert_eq!(allotrope::ir::saved::parse(&allotrope::ir::saved::print(&read)), Ok(read));
    let error = refused(&folder.file("missing"));
    assert!(error.contains("missing.graph: cannot be read"), "{error}");
    std::fs::remove_file(folder.file("nothing.safetensors")).unwrap();
    assert!(refused(&path).contains("nothing.safetensors: cannot be read"));
    let error = f.save(folder.file("no such folder/x")).unwrap_err().to_string();
    assert!(error.contains("cannot be written"), "{error}");
}

#[test]
fn layouts_identities_and_switches_that_are_set_are_kept() {
    let folder = Folder::new();
    let path = folder.file("asked");
    let (w, met) = (Tensor::full(&[2, 2], 3.0f32), Flag::new(false));
    let f = trace(|x: &Tensor| {
        met.set(true);
        let sum = if x.is_contiguous() { x + 1.0 } else { x * 2.0 };
        if x.is_same(&w) { sum * 10.0 } else { sum }
    });
    let x = Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0], &[2, 2]);
    for x in [&x, &x.t(), &w] {
        f.call(x).unwrap();
    }
    assert_eq!(f.compilations(), 3);
    met.set(false);
    f.save_with_names(&path, &Names::new().tensor("w", &w).flag("met", &met)).unwrap();
    let program = Program::load(&path).unwrap();
    let call = |x: &Tensor| program.call(&[x]).unwrap().remove(0).to_vec::<f32>();
    assert!(!program.flag("met").unwrap().get());
    assert_eq!(call(&x), [2.0, 3.0, 4.0, 5.0]);
    assert!(program.flag("met").unwrap().get() && !met.get());
    assert_eq!(call(&x.t()), [2.0, 6.0, 4.0, 8.0]);
    assert_eq!(call(program.state("w").unwrap()), [40.0; 4]);
    assert_eq!(call(&w), [4.0; 4]);
}

#[test]
fn what_has_no_words_is_an_error() {
    let folder = Folder::new();
    let depth = allotrope::tensor::Setting::new(2usize);
    let f = trace(|x: &Tensor| (0..depth.get()).fold(x.clone(), |x, _| x * 2.0));
    f.call(&Tensor::ones(&[2], DType::F32)).unwrap();
    let error = f.save(folder.file("setting")).unwrap_err().to_string();
    assert!(error.contains("tests/saved/guards.rs") && error.contains("no Flag"), "{error}");
    assert!(folder.names().is_empty());
}
