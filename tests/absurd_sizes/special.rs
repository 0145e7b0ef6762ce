//! Sizes that are no parameters: captured tensors and arguments without elements of their own, loops, saved files,
//! states of generators, kernels' own views. Calls only.

use crate::row::{Plain, Row, table};
use allotrope::functional as f;
use allotrope::prelude::*;
use allotrope::trace::Program;
use allotrope::{Error, Result};

fn any(_: i128) -> bool {
    true
}

/// A tensor of one number and of so many elements. Of 2^40 there can be some, and adding them up takes its time: where a
/// function does, that is left out.
fn huge(n: usize, adds_up: bool) -> Result<Tensor> {
    let named = || Error::Argument(format!("{n} elements"));
    match isize::try_from(n) {
        Ok(n) if n > 0 && !(adds_up && n == 1 << 40) => Tensor::ones(&[], DType::F32).try_expand(&[n]),
        _ => Err(named()),
    }
}

/// A function called on a tensor of so many elements.
fn called(n: usize, f: impl FnMut(&Tensor) -> Tensor) -> Result<Tensor> {
    trace(f).call(&huge(n, false)?)
}

fn dynamic(n: usize, f: impl FnMut(&Tensor) -> Tensor) -> Result<Tensor> {
    trace_dynamic(f).call(&huge(n, false)?)
}

/// A function that was compiled for a small tensor, called on one of so many elements.
fn called_again(n: usize, f: impl FnMut(&Tensor) -> Tensor) -> Result<Tensor> {
    let x = huge(n, false)?;
    let traced = trace(f);
    traced.call(&Tensor::ones(&[], DType::F32).expand(&[5]))?;
    traced.call(&Tensor::ones(&[], DType::F32).expand(&[7]))?;
    traced.call(&x)
}

/// As [`called`] and the others, of functions that add up.
fn adds_up(n: usize, f: impl Fn(&Tensor) -> Tensor) -> Result<Tensor> {
    let x = huge(n, true)?;
    trace_dynamic(&f).call(&x)?;
    trace(f).call(&x)
}

/// A saved function whose text is damaged: where it had a size, it has another one.
fn damaged(n: usize, f: impl FnMut(&Tensor) -> Tensor) -> Result<Vec<Tensor>> {
    let folder = std::env::temp_dir().join(format!("allotrope-absurd-{}-{n}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("damaged");
    let done = (|| {
        let traced = trace(f);
        traced.call(&Tensor::ones(&[2, 3], DType::F32))?;
        traced.save(&path)?;
        let file = path.with_extension("graph");
        let text = std::fs::read_to_string(&file).expect("the text");
        assert!(text.contains("777"), "{text}");
        std::fs::write(&file, text.replace("777", &n.to_string())).expect("written");
        let program = Program::load(&path)?;
        program.call(&[&Tensor::ones(&[2, 3], DType::F32)])
    })();
    let _ = std::fs::remove_dir_all(&folder);
    done
}

pub fn rows() -> Vec<Row> {
    table! { Unsigned n: usize, t;
        "special::arguments": called(n, |x| x * 2.0);
        "special::arguments": adds_up(n, |x| x.sum());
        "special::arguments": called(n, |x| x.narrow(0, 1, 3) * 1.0), right if any;
        "special::arguments": called(n, |x| allotrope::ops::cat(&[x, x], 0));
        "special::arguments": called(n, |x| x.unsqueeze(1).matmul(&x.unsqueeze(0)));
        "special::arguments": called(n, |x| x.cumsum(0));
        "special::arguments": called(n, |x| Tensor::zeros(&[x.size(0), 3], DType::F32) + 1.0);
        "special::arguments": called(n, |x| x.repeat(&[2]));
        "special::arguments": called(n, |x| x.clone()), right if any;
        "special::arguments": called(n, |x| scan(Tensor::zeros(&[], DType::F32), x.clone(), |c, x| { let c = c + x; (c.clone(), c) }).1);
        "special::arguments": called_again(n, |x| x * 2.0);
        "special::arguments": adds_up(n, |x| x.exp().sum());
        "special::arguments": called_again(n, |x| x.narrow(0, 1, 3) * 1.0), right if any;
        "special::arguments": called_again(n, |x| allotrope::ops::cat(&[x, x, x], 0).cumsum(0));
        "special::arguments": called_again(n, |x| x.unsqueeze(1).expand(&[-1, 1 << 20]) * 2.0);
        "special::arguments": called_again(n, |x| x.unsqueeze(1).matmul(&x.unsqueeze(0)));
        "special::arguments": called_again(n, |x| rand_like(x));
        "special::arguments": called_again(n, |x| f::pad(&x.unsqueeze(0), &[3, 4], f::PadMode::Zeros));
        "special::arguments": called_again(n, |x| f::one_hot(&x.to(DType::I64), Some(1 << 20)));
        "special::arguments": called_again(n, |x| x.sort(0, false).0);
        "special::arguments": called_again(n, |x| x.gather(0, &x.to(DType::I64)));
        "special::arguments": called_again(n, |x| scan(Tensor::zeros(&[], DType::F32), x.clone(), |c, x| { let c = c + x; (c.clone(), c) }).1);
        "special::arguments": dynamic(n, |x| x * 2.0);
        "special::captured": huge(n, false).and_then(|c| trace(|x: &Tensor| (x.sum() + &c) * 1.0).call(t.v));
        "special::captured": huge(n, true).and_then(|c| trace(|x: &Tensor| x.sum() + c.sum()).call(t.v));
        "special::arguments": dynamic(n, |x| x.narrow(0, 1, 3) * 1.0), right if any;
        "special::load": damaged(n, |x| x.sum().expand(&[777]) * 2.0);
        "special::load": damaged(n, |x| Tensor::ones(&[777], DType::F32) * x.sum());
        "special::load": damaged(n, |x| allotrope::functional::pad(x, &[777, 0], f::PadMode::Zeros).sum()), right if any;
        "explain::peak_bytes explain::eager_peak_bytes": Plain({
            let double = trace(|x: &Tensor| (x * 2.0).exp().sum());
            if !allotrope_recording() {
                double.call(&Tensor::ones(&[3], DType::F32)).unwrap();
                for e in double.explain() {
                    let _ = (e.peak_bytes(&[n]), e.eager_peak_bytes(&[n]));
                }
            }
        }), right if any;
        "special::loop": Plain({
            let limit = Tensor::scalar(n as f32);
            while_loop(|c: Tensor| c.lt(3.0), |c| c + 1.0, limit)
        }), right if any;
        "special::scan": huge(n, true).and_then(|x| allotrope::ops::try_scan(Tensor::zeros(&[], DType::F32), x.unsqueeze(0), |c, x| (c + x.sum(), x))).map(|y| y.1);
    }
}

/// Whether the table's call is traced, where what it calls can't be.
fn allotrope_recording() -> bool {
    (Tensor::ones(&[1], DType::F32) * 1.0).to_string().contains("traced")
}
