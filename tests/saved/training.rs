//! Whole training steps: saved in the middle, loaded, and continued without the closure.

use crate::{Folder, bits, drawing};
use allotrope::prelude::*;
use allotrope::tensor::random::{get_rng_state, set_rng_state};
use allotrope::trace::{Names, Program};
use std::rc::Rc;

/// A recurrent layer and a linear one, as the programs of the command have.
#[derive(Module)]
struct Net {
    rnn: nn::Rnn,
    out: nn::Linear,
}

/// Training data of some length.
fn data(length: usize) -> (Tensor, Tensor) {
    let g = Generator::new(length as u64);
    (g.randn(&[2, length, 1], DType::F32), g.randn(&[2, length, 1], DType::F32))
}

#[test]
fn a_step_with_adam_goes_on_with_equal_bits() {
    let _drawing = drawing();
    let folder = Folder::new();
    let path = folder.file("step");
    manual_seed(3);
    let net = Rc::new(Net { rnn: nn::Rnn::new(1, 8).batch_first(true), out: nn::Linear::new(8, 1) });
    let opt = Rc::new(optim::Adam::new(net.parameters(), 0.02));
    let (n, o) = (Rc::clone(&net), Rc::clone(&opt));
    let step = trace(move |x: &Tensor, y: &Tensor, h: &Tensor| {
        let (states, h) = n.rnn.forward(x, h);
        let loss = mse_loss(&n.out.forward(&states), y);
        o.zero_grad();
        loss.backward();
        o.step();
        (loss.detach(), h.detach())
    });
    let mut h = Tensor::zeros(&[1, 2, 8], DType::F32);
    for length in [3, 5, 4] {
        let (x, y) = data(length);
        h = step.call((&x, &y, &h)).unwrap().1;
    }
    assert_eq!(step.compilations(), 1);
    let names = Names::new().module("net", &*net).tensors("adam", opt.state()).tensor("lr", opt.lr());
    step.save_with_names(&path, &names).unwrap();
    let program = Program::load(&path).unwrap();
    for (name, tensor) in net.named_parameters() {
        assert_eq!(bits(program.state(&format!("net.{name}")).unwrap()), bits(&tensor), "{name}");
    }
    assert_eq!(program.state("adam.step").unwrap().item::<f32>(), 3.0);

    // Both go on, the loaded one over another file in the middle, with lengths that neither has seen.
    let mut program = program;
    let mut other = h.clone();
    for (i, length) in [7, 1, 12, 5].into_iter().enumerate() {
        let (x, y) = data(length);
        if i == 1 {
            opt.set_lr(0.003);
            program.state("lr").unwrap().copy_(&Tensor::scalar(0.003f64));
        }
        let (loss, hidden) = step.call((&x, &y, &h)).unwrap();
        let results = program.call(&[&x, &y, &other]).unwrap();
        assert_eq!(bits(&loss), bits(&results[0]), "length {length}");
        assert_eq!(bits(&hidden), bits(&results[1]), "length {length}");
        (h, other) = (hidden, results[1].clone());
        program.save(folder.file("again")).unwrap();
        program = Program::load(folder.file("again")).unwrap();
        for (name, tensor) in net.named_parameters() {
            let loaded = program.state(&format!("net.{name}")).unwrap();
            assert_eq!(bits(loaded), bits(&tensor), "{name} after length {length}");
            assert_eq!(bits(&loaded.grad().unwrap()), bits(&tensor.grad().unwrap()), "gradient of {name}");
        }
    }
    assert_eq!(step.compilations(), 1);
}

#[test]
fn gradients_that_accumulate_are_state() {
    let folder = Folder::new();
    let path = folder.file("accumulate");
    let w = Tensor::from_vec(vec![1.0f32, -2.0], &[2]).requires_grad();
    let f = trace(|x: &Tensor| {
        (x * &w).sum().backward();
        x.sum()
    });
    let x = |k: f32| Tensor::full(&[2], k);
    // The first call finds no gradient, the later ones add to it: two variants.
    f.call(&x(1.0)).unwrap();
    f.call(&x(2.0)).unwrap();
    f.save_with_names(&path, &Names::new().tensor("w", &w)).unwrap();
    let program = Program::load(&path).unwrap();
    assert_eq!(program.states().map(|(n, _)| n).collect::<Vec<_>>(), ["w"]);
    let loaded = program.state("w").unwrap();
    assert!(loaded.is_requires_grad() && loaded.is_leaf());
    assert_eq!(loaded.grad().unwrap().to_vec::<f32>(), [3.0, 3.0]);
    program.call(&[&x(4.0)]).unwrap();
    assert_eq!(loaded.grad().unwrap().to_vec::<f32>(), [7.0, 7.0]);
    loaded.set_grad(None);
    program.call(&[&x(0.5)]).unwrap();
    assert_eq!(loaded.grad().unwrap().to_vec::<f32>(), [0.5, 0.5]);
    // What autograd made of the program is in it; nothing else is recorded.
    assert!(w.grad().unwrap().to_vec::<f32>() == [3.0, 3.0]);
}

#[test]
fn dropout_and_loops_draw_the_same_numbers() {
    let _drawing = drawing();
    let folder = Folder::new();
    let path = folder.file("draws");
    let own = Generator::new(11);
    let w = Tensor::ones(&[3], DType::F32);
    let f = trace(|xs: &Tensor| {
        let (sum, ys) = scan(Tensor::zeros(&[3], DType::F32), xs.clone(), |carry, x| {
            let noise = own.rand(&[3], DType::F32);
            let y = dropout(&(&carry + &x), 0.5, true) * &w + noise;
            (y.clone(), y)
        });
        (sum, ys, randint(0, 10, &[4]).to(DType::F32), own.try_normal_of(&[20], DType::F32, 1.0, 0.25).unwrap())
    });
    let xs = Generator::new(1).randn(&[5, 3], DType::F32);
    manual_seed(5);
    f.call(&xs).unwrap();
    f.save_with_names(&path, &Names::new().tensor("w", &w).generator("noise", &own)).unwrap();
    let program = Program::load(&path).unwrap();
    let position = get_rng_state();
    for length in [5, 2, 1, 9] {
        let xs = Generator::new(length).randn(&[length as usize, 3], DType::F32);
        let before = get_rng_state();
        let (a, b, c, d) = f.call(&xs).unwrap();
        let after = get_rng_state();
        set_rng_state(&before).unwrap();
        let results = program.call(&[&xs]).unwrap();
        assert_eq!(get_rng_state(), after);
        assert_eq!([&a, &b, &c, &d].map(bits), [0, 1, 2, 3].map(|i| bits(&results[i])), "length {length}");
        assert_eq!(program.generator("noise").unwrap().get_state(), own.get_state());
    }
    assert_ne!(position, get_rng_state());
    // A generator goes on from where it was saved.
    program.save(&path).unwrap();
    assert_eq!(Program::load(&path).unwrap().generator("noise").unwrap().get_state(), own.get_state());
}

/// A loop whose number of iterations is known after the run: the capacity for its saved values grows in a loaded program too.
#[test]
fn loops_that_run_while_something_holds() {
    let w = Tensor::full(&[], 0.99f32).requires_grad();
    let step = trace(|x: &Tensor| {
        let shrunk = while_loop(|x| x.gt(1.0), |x| &x * &w, x.clone());
        w.set_grad(None);
        shrunk.backward();
        shrunk.detach()
    });
    let run = |call: &dyn Fn(&Tensor) -> Tensor, w: &Tensor| -> Vec<u32> {
        let each = [2.0f32, 0.5, 100.0, 3.0].map(|x| {
            let y = call(&Tensor::scalar(x));
            [bits(&y), bits(&w.grad().unwrap())].concat()
        });
        each.concat()
    };
    let want = run(&|x| step.call(x).unwrap(), &w);
    assert_eq!(step.compilations(), 1);
    let folder = Folder::new();
    step.save(folder.file("loop")).unwrap();
    let program = Program::load(folder.file("loop")).unwrap();
    let w = program.state("state0").unwrap();
    assert_eq!(run(&|x| program.call(&[x]).unwrap().remove(0), w), want);
}
