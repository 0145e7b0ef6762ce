//! Files of every version that there ever was are read for ever: `tests/data/saved/vN.*` was written by version N.

use crate::{bits, drawing, text};
use allotrope::prelude::*;
use allotrope::trace::{Names, Program};
use std::path::PathBuf;

/// The version that is written now.
const NEWEST: u32 = allotrope::ir::saved::VERSION;

/// Set to write the sample of the newest version anew, when its text form is not released yet.
const RENEW: &str = "ALLOTROPE_RENEW_TESTS";

fn sample(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/saved/v{version}"))
}

/// The training step of the sample: a loop, noise, a check and Adam.
fn write(path: &std::path::Path) {
    let _drawing = drawing();
    manual_seed(9);
    let layer = nn::Linear::new(2, 3);
    let opt = optim::Adam::new(layer.parameters(), 0.1);
    let noise = Generator::new(4);
    let step = trace(|xs: &Tensor, target: &Tensor| {
        let noisy = xs + noise.randn(&[1, 2], DType::F32) * 0.01;
        let (h, _) = scan(Tensor::zeros(&[3], DType::F32), noisy, |h, x| {
            let h = (layer.forward(&x) + &h * 0.5).tanh();
            (h.clone(), h)
        });
        let loss = cross_entropy(&h.unsqueeze(0), target, CrossEntropyOptions::default());
        opt.zero_grad();
        loss.backward();
        opt.step();
        loss.detach()
    });
    step.call((&Tensor::ones(&[2, 2], DType::F32), &Tensor::from_vec(vec![1i64], &[1]))).unwrap();
    let names = Names::new().module("layer", &layer).tensors("adam", opt.state()).tensor("lr", opt.lr());
    step.save_with_names(path, &names.generator("noise", &noise)).unwrap();
}

#[test]
fn every_version_is_read() {
    if std::env::var_os(RENEW).is_some() {
        std::fs::create_dir_all(sample(NEWEST).parent().unwrap()).unwrap();
        write(&sample(NEWEST));
    }
    read_all();
}

/// Reads each version, for the default device.
pub fn read_all() {
    (1..=NEWEST).for_each(read);
}

fn read(version: u32) {
    let program = Program::load(sample(version)).unwrap();
    assert_eq!(program.device(), allotrope::device::default_device());
    let xs = Tensor::from_vec(vec![1.0f32, -0.5, 0.25, 2.0, 0.0, 1.0], &[3, 2]);
    let target = Tensor::from_vec(vec![2i64], &[1]);
    let losses: Vec<u32> = (0..3).flat_map(|_| bits(&program.call(&[&xs, &target]).unwrap()[0])).collect();
    // The bits are those of the closure; they must not change while the file stays.
    assert_eq!(losses, LOSSES, "version {version}: {losses:#x?}");
    assert_eq!(program.state("adam.step").unwrap().item::<f32>(), 4.0);
}

const LOSSES: [u32; 3] = [0x3f80b40e, 0x3f71ab4c, 0x3f62235c];

#[test]
fn what_is_written_now_reads_as_it_prints() {
    let text = text(&sample(NEWEST));
    let read = allotrope::ir::saved::parse(&text).unwrap();
    assert_eq!(allotrope::ir::saved::print(&read), text.replace('\r', ""));
}
