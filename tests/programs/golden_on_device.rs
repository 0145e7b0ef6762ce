//! The programs that PyTorch ran, on an OpenCL device, eagerly and traced: the bits of the CPU, which is held to PyTorch's
//! numbers elsewhere, and its counts of compilations.

use crate::common::{assert_all_same, assert_same, opencl};
use crate::golden::{self, files, list, recurrent};
use allotrope::prelude::*;

fn recurrent_program(program: &str) {
    let Some(device) = opencl() else { return };
    for (path, golden) in files(program) {
        let spans: Vec<u64> = list(&golden["inputs"]["spans"]).iter().map(|&s| s as u64).collect();
        let seed = golden["seed"].as_u64().unwrap();
        let here = recurrent(seed, &spans, true);
        for traced in [false, true] {
            let what = format!("{}, traced {traced}", path.display());
            let there = with_device(device, || recurrent(seed, &spans, traced));
            assert!(there.parameters.iter().all(|t| t.device() == device), "{what}");
            assert_eq!(there.losses, here.losses, "{what}");
            assert_same(&what, &there.last, &here.last);
            assert_all_same(&what, &there.parameters, &here.parameters);
            assert_all_same(&what, &there.moments, &here.moments);
            assert_eq!(there.compilations, usize::from(traced), "{what}");
        }
    }
}

#[test]
fn rnn_fixed() {
    recurrent_program("rnn_fixed");
}

#[test]
fn rnn_dynamic() {
    recurrent_program("rnn_dynamic");
}

#[test]
fn linear_regression() {
    let Some(device) = opencl() else { return };
    for run in [golden::in_place, golden::carried] {
        // A tenth of PyTorch's steps: each has what every other one has.
        let here = run(500, true);
        for traced in [false, true] {
            let there = with_device(device, || run(500, traced));
            assert_eq!(there.0, here.0, "traced {traced}");
            assert_same("parameters", &there.1, &here.1);
        }
    }
}

/// The parameters of a model that was made on a device: nothing else has to be said of it, wherever it is used.
#[test]
fn a_model_on_a_device_needs_no_scope() {
    let Some(device) = opencl() else { return };
    let steps = |model: &crate::common::SinToCos, send: &dyn Fn(Tensor) -> Tensor| {
        let opt = optim::Adam::new(model.parameters(), 0.02);
        let descent = optim::Sgd::with_options(
            model.parameters(),
            0.01,
            optim::SgdOptions { momentum: 0.9, weight_decay: 0.1, ..Default::default() },
        );
        let (x, y) = (send(crate::common::draw(1, &[2, 5, 1])), send(crate::common::draw(2, &[2, 5, 1])));
        for _ in 0..2 {
            let (states, _) = model.rnn.forward(&x, None);
            let loss = mse_loss(&dropout(&model.out.forward(&states), 0.0, true), &y);
            opt.zero_grad();
            loss.backward();
            opt.step();
            descent.step();
        }
        model.parameters()
    };
    let here = steps(&crate::common::SinToCos::new(5, 8), &|t| t);
    let model = with_device(device, || crate::common::SinToCos::new(5, 8));
    let there = steps(&model, &|t| t.to_device(device));
    assert_all_same("parameters", &there, &here);
}

#[test]
fn everything_else() {
    let Some(device) = opencl() else { return };
    with_device(device, || {
        golden::no_hidden_state_is_zeros();
        golden::one_step_of_descent();
        golden::rng_streams();
    });
}

/// A thread's default device is its own, a scope goes before it, and what was chosen meanwhile holds when the scope ends.
#[test]
fn default_devices() {
    let Some(device) = opencl() else { return };
    let made = || Tensor::ones(&[2], DType::F32).device();
    let thread = std::thread::spawn(move || {
        set_default_device(device);
        assert_eq!([made(), rand(&[1]).device(), nn::Linear::new(1, 1).weight.device()], [device; 3]);
        with_device(Device::Cpu, || {
            assert_eq!(made(), Device::Cpu);
            with_device(device, || assert_eq!(made(), device));
            set_default_device(Device::Cpu);
            set_default_device(device);
            assert_eq!(made(), Device::Cpu);
        });
        assert_eq!(made(), device);
    });
    thread.join().unwrap();
    assert_eq!(made(), Device::Cpu);
}
