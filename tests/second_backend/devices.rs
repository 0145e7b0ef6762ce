//! Devices as users meet them: where a tensor is, what moves it, and what happens where two are mixed.

use crate::backend::slow;
use crate::common::{assert_same, bits, seeded};
use allotrope::prelude::*;

fn numbers(device: Device) -> Tensor {
    with_device(device, || Tensor::from_vec(vec![1.0f32, -2.5, 0.125, 4.0, 8.0, -1.0], &[2, 3]))
}

#[test]
fn names() {
    assert_eq!(slow().to_string(), "slow");
    assert_eq!("slow".parse::<Device>().unwrap(), slow());
    assert_eq!("cpu".parse::<Device>().unwrap(), Device::Cpu);
    assert_eq!("gpu".parse::<Device>().unwrap_err().to_string(), "there is no device \"gpu\"");
}

#[test]
fn tensors_are_where_they_were_made_and_results_where_their_operands_are() {
    let _drawing = seeded(0);
    let x = numbers(slow());
    assert_eq!(x.device(), slow());
    assert_eq!(numbers(Device::Cpu).device(), Device::Cpu);
    let results =
        [&x + 1.0, x.t(), x.sum(), x.zeros_like(), x.softmax(-1), x.cumsum(0), x.full_like(2.0), randn_like(&x)];
    for y in results {
        assert_eq!(y.device(), slow());
    }
    assert_eq!(allotrope::device::default_device(), Device::Cpu);
}

#[test]
fn there_and_back() {
    let x = numbers(Device::Cpu);
    let there = x.t().to_device(slow());
    assert_eq!(there.device(), slow());
    assert!(there.is_contiguous());
    assert_same("transposed", &there.to_device(Device::Cpu), &x.t());
    assert_same("seen from here", &there, &x.t());
    assert!(x.to_device(Device::Cpu).is_same(&x), "nothing to do");
}

#[test]
fn every_dtype_survives() {
    for dtype in [DType::Bool, DType::U8, DType::I32, DType::I64, DType::F16, DType::BF16, DType::F32, DType::F64] {
        let x = numbers(Device::Cpu).to(dtype);
        let there = numbers(slow()).to(dtype);
        assert_same(&format!("{dtype}"), &there, &x);
    }
}

#[test]
fn gradients_go_back_to_where_the_leaf_is() {
    let x = numbers(Device::Cpu).requires_grad();
    let y = x.to_device(slow());
    (&y * &y).sum().backward();
    let grad = x.grad().unwrap();
    assert_eq!(grad.device(), Device::Cpu);
    assert_same("gradient", &grad, &(&x.detach() * 2.0));
}

#[test]
fn two_devices_do_not_mix() {
    let (here, there) = (numbers(Device::Cpu), numbers(slow()));
    let e = here.try_add(&there).unwrap_err();
    assert_eq!(
        e.to_string(),
        "add: the operands are on two devices, cpu and slow; use to_device() to have them on one"
    );
    assert!(matches!(e, Error::Devices { op: "add", devices: [Device::Cpu, d], .. } if d == slow()));
    // A tensor without axes is no exception; a number is none.
    assert!(there.try_mul(&Tensor::scalar(2.0f32)).is_err());
    assert!(there.try_mul(2.0).is_ok());
    for e in [
        here.try_matmul(&there.t()).map(drop),
        allotrope::ops::try_cat(&[&here, &there], 0).map(drop),
        allotrope::ops::try_stack(&[&here, &there], 0).map(drop),
        here.try_copy_(&there).map(drop),
    ] {
        assert!(matches!(e, Err(Error::Devices { .. })), "{e:?}");
    }
}

#[test]
fn a_trace_runs_on_one_device() {
    let w = numbers(Device::Cpu);
    let f = trace(|x: &Tensor| x * &w);
    f.call(&numbers(Device::Cpu)).unwrap();
    let e = f.call(&numbers(slow())).unwrap_err();
    assert!(e.to_string().contains("two devices, slow and cpu"), "{e}");
    let double = trace(|x: &Tensor| x * 2.0);
    for device in [Device::Cpu, slow(), Device::Cpu, slow()] {
        let y = double.call(&numbers(device)).unwrap();
        assert_eq!(y.device(), device);
        assert_same("doubled", &y, &(numbers(Device::Cpu) * 2.0));
    }
    assert_eq!(double.compilations(), 2, "one for each device");
    let mixed = trace(|x: &Tensor, y: &Tensor| x + y.sum());
    assert!(mixed.call((&numbers(Device::Cpu), &numbers(slow()))).is_err());
    let moved = trace(|x: &Tensor| x.to_device(slow()));
    let e = moved.call(&numbers(Device::Cpu)).unwrap_err();
    assert!(e.to_string().contains("to_device"), "{e}");
}

#[test]
fn the_host_sees_copies_only() {
    let x = numbers(slow());
    assert_eq!(x.sum().item::<f32>(), 9.625);
    assert_eq!(bits(&x), bits(&numbers(Device::Cpu)));
    assert_eq!(x.to_ndarray::<f32>()[[1, 0]], 4.0);
    let e = x.try_ndarray::<f32>().err().unwrap();
    assert!(e.to_string().contains("to_device"), "{e}");
    assert!(x.to_string().contains("device='slow'"), "{x}");
}
