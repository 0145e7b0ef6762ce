//! Saved functions and devices: a file names none, so what was saved on one is loaded for another, and goes on with equal bits.

use crate::{Folder, bits, drawing, text, versions};
use allotrope::prelude::*;
use allotrope::trace::{Names, Program};

/// The OpenCL device, where there is one.
fn opencl() -> Option<Device> {
    match allotrope::backend::opencl::of(0).opened() {
        Ok(_) => Some(Device::OpenCl(0)),
        Err(missing) => {
            eprintln!("skipped, there is no OpenCL device: {missing}");
            None
        }
    }
}

/// The same elements on a device.
fn on(device: Device, t: &Tensor) -> Tensor {
    t.to_device(device)
}

/// Some steps of training on the default device, saved; and the losses.
fn trained(path: &std::path::Path) -> Vec<u32> {
    let _drawing = drawing();
    manual_seed(3);
    let layer = nn::Linear::new(3, 2);
    let opt = optim::Adam::new(layer.parameters(), 0.02);
    let noise = Generator::new(7);
    let step = trace(|x: &Tensor, y: &Tensor| {
        let noisy = x + noise.randn(&[1, 3], DType::F32) * 0.01;
        let loss = mse_loss(&layer.forward(&noisy).tanh(), y);
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    });
    let losses = [4usize, 2, 5].map(|n| {
        let (x, y) = data(n);
        bits(&step.call((&x, &y)).unwrap())
    });
    assert_eq!(step.compilations(), 1);
    let names = Names::new().module("layer", &layer).tensors("adam", opt.state()).tensor("lr", opt.lr());
    step.save_with_names(path, &names.generator("noise", &noise)).unwrap();
    losses.concat()
}

/// Training data of some length, on the default device.
fn data(n: usize) -> (Tensor, Tensor) {
    let g = Generator::new(n as u64);
    (g.randn(&[n, 3], DType::F32), g.randn(&[n, 2], DType::F32))
}

/// The bits of all state and gradients, by name.
fn state(program: &Program) -> Vec<(String, Vec<u64>)> {
    let all = |t: &Tensor| t.detach().to(DType::F64).to_vec::<f64>().into_iter().map(f64::to_bits).collect::<Vec<_>>();
    let each = program.states().map(|(name, t)| {
        assert_eq!(t.device(), program.device(), "{name}");
        (name.to_string(), [all(t), t.grad().map_or_else(Vec::new, |g| all(&g))].concat())
    });
    each.collect()
}

#[test]
fn the_file_of_a_device_is_that_of_the_cpu() {
    let Some(device) = opencl() else { return };
    let folder = Folder::new();
    let (here, there) = (folder.file("here"), folder.file("there"));
    let losses = trained(&here);
    assert_eq!(with_device(device, || trained(&there)), losses);
    assert_eq!(text(&there), text(&here));
    // The entries of the head are in no order.
    let elements = |path: &std::path::Path| {
        let bytes = std::fs::read(path.with_extension("safetensors")).unwrap();
        let (length, rest) = bytes.split_first_chunk().unwrap();
        let (head, elements) = rest.split_at(u64::from_le_bytes(*length) as usize);
        (serde_json::from_slice::<serde_json::Value>(head).unwrap(), elements.to_vec())
    };
    assert_eq!(elements(&there), elements(&here));
}

#[test]
fn training_goes_on_wherever_it_is_loaded() {
    let Some(device) = opencl() else { return };
    let folder = Folder::new();
    let path = folder.file("step");
    trained(&path);
    let mut here = Program::load(&path).unwrap();
    let mut there = Program::load_on(&path, device).unwrap();
    assert_eq!((here.device(), there.device()), (Device::Cpu, device));
    assert_eq!(state(&there), state(&here));
    for n in [6, 1, 3] {
        let (x, y) = data(n);
        let loss = here.call(&[&x, &y]).unwrap().remove(0);
        let result = there.call(&[&on(device, &x), &on(device, &y)]).unwrap().remove(0);
        assert_eq!(result.device(), device);
        assert_eq!(bits(&result), bits(&loss), "length {n}");
        assert_eq!(state(&there), state(&here), "length {n}");
        // They change places.
        let (a, b) = (folder.file("a"), folder.file("b"));
        here.save(&a).unwrap();
        there.save(&b).unwrap();
        assert_eq!(text(&a), text(&b));
        here = Program::load(&b).unwrap();
        there = with_device(device, || Program::load(&a)).unwrap();
        assert_eq!(there.device(), device);
    }
    let error = there.call(&[&data(2).0, &data(2).1]).unwrap_err().to_string();
    assert!(error.contains("argument 0 is on cpu, not on opencl:0"), "{error}");
}

/// A loop whose capacity grows, a check of an element, and state whose elements are shared or lie in another order.
#[test]
fn loops_checks_and_views() {
    let Some(device) = opencl() else { return };
    let folder = Folder::new();
    let path = folder.file("views");
    let whole = Tensor::from_vec((0..12).map(|i| i as f32).collect(), &[3, 4]);
    let (row, turned) = (whole.select(0, 1), Tensor::from_vec(vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2]).t());
    let (none, on_) = (Tensor::zeros(&[0, 2], DType::F32), Tensor::from_vec(vec![true, false, true, false], &[4]));
    let w = Tensor::full(&[], 0.9f32).requires_grad();
    let f = trace(|x: &Tensor, i: &Tensor| {
        row.add_(x);
        let shrunk = while_loop(|x| x.gt(1.0), |x| &x * &w, x.sum());
        w.set_grad(None);
        shrunk.backward();
        (row.sum(), turned.take(i), none.sum() + shrunk.detach(), on_.to(DType::F32) * x)
    });
    let x = Tensor::from_vec(vec![2.5f32, -1.0, 0.5, 3.0], &[4]);
    let index = |i: i64| Tensor::from_vec(vec![i], &[1]);
    f.call((&x, &index(1))).unwrap();
    f.save_with_names(&path, &Names::new().tensor("row", &row).tensor("turned", &turned)).unwrap();
    let here = Program::load(&path).unwrap();
    let there = Program::load_on(&path, device).unwrap();
    assert_eq!(there.state("turned").unwrap().strides(), turned.strides());
    for scale in [1.0, 20.0, 3.0] {
        let x = &x * scale;
        let wanted = here.call(&[&x, &index(3)]).unwrap();
        let results = there.call(&[&on(device, &x), &on(device, &index(3))]).unwrap();
        wanted.iter().zip(&results).for_each(|(a, b)| assert_eq!(bits(b), bits(a), "scale {scale}"));
        assert_eq!(state(&there), state(&here), "scale {scale}");
    }
    let before = state(&there);
    let error = there.call(&[&on(device, &x), &on(device, &index(6))]).unwrap_err().to_string();
    assert!(error.contains("lies outside its axis"), "{error}");
    assert_eq!(state(&there), before, "a failed call changes nothing");
}

/// A function without arguments runs where it was loaded, whatever the default device is.
#[test]
fn without_arguments() {
    let Some(device) = opencl() else { return };
    let folder = Folder::new();
    let path = folder.file("counter");
    let count = Tensor::zeros(&[], DType::I64);
    let f = trace(|_: &[Tensor]| {
        count.add_(1);
    });
    f.call(&[][..]).unwrap();
    f.save(&path).unwrap();
    for _ in 0..2 {
        let program = Program::load_on(&path, device).unwrap();
        program.call(&[]).unwrap();
        program.call(&[]).unwrap();
        program.save(&path).unwrap();
    }
    let program = with_device(device, || Program::load_on(&path, Device::Cpu)).unwrap();
    with_device(device, || program.call(&[])).unwrap();
    assert_eq!(program.state("state0").unwrap().item::<i64>(), 6);
}

#[test]
fn files_of_every_version_on_a_device() {
    let Some(device) = opencl() else { return };
    with_device(device, || {
        // Arguments are made on the device too.
        versions::read_all();
    });
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let folder = Folder::new();
    let path = folder.file("step");
    trained(&path);
    let error = Program::load_on(&path, Device::OpenCl(200)).unwrap_err();
    assert!(matches!(error, Error::DeviceMissing { device: Device::OpenCl(200), .. }), "{error}");
    assert!(error.to_string().starts_with("device opencl:200: "), "{error}");
    let Some(device) = opencl() else { return };
    let elements = path.with_extension("safetensors");
    let mut bytes = std::fs::read(&elements).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&elements, bytes).unwrap();
    let error = Program::load_on(&path, device).unwrap_err();
    assert!(matches!(error, Error::File { .. }) && error.to_string().contains("is damaged"), "{error}");
}
