//! TEMP

use allotrope::prelude::*;

#[test]
fn first() {
    let device = Device::OpenCl(0);
    let make = |n: i64| (Tensor::arange(n).to(DType::F32) - 3.0) * 0.37;
    let program = |n: i64| {
        let x = make(n);
        let y = make(n) * 2.0 + &x;
        let z = (&x * &y).sum() + y.square().mean();
        vec![y.clone(), z, (&y - 1.0).abs().reshape(&[-1, 1]) * x.reshape(&[1, -1])]
    };
    for n in [1i64, 5, 16, 17, 100, 300] {
        let here = program(n);
        let there = with_device(device, || program(n));
        for (a, b) in here.iter().zip(&there) {
            assert_eq!(b.device(), device);
            assert_eq!(a.to_vec::<f32>(), b.to_device(Device::Cpu).to_vec::<f32>(), "{n}");
        }
        let f = trace(|x: &Tensor| {
            let y = x * 2.0 + 1.0;
            let z = (&y * x).sum();
            vec![&y * &z, y.amax(&[], false)]
        });
        let want = f.call(&make(n)).unwrap();
        let got = f.call(&make(n).to_device(device)).unwrap();
        for (a, b) in want.iter().zip(&got) {
            assert_eq!(a.to_vec::<f32>(), b.to_device(Device::Cpu).to_vec::<f32>(), "{n}");
        }
    }
}
