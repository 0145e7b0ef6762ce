//! Round trips with PyTorch itself, where there is one: `ALLOTROPE_PYTHON` says which Python, by default `python3`.

use crate::{Folder, assert_same, numbers};
use allotrope::io::*;
use allotrope::prelude::*;
use allotrope::state::Value;
use std::path::Path;
use std::process::Command;

/// Whether Python has these modules; says so where it has not.
fn has(modules: &str) -> bool {
    let found = python().args(["-c", &format!("import {modules}")]).output().is_ok_and(|out| out.status.success());
    if !found {
        eprintln!("skipped: no Python with {modules}; ALLOTROPE_PYTHON=PATH says where one is");
    }
    found
}

fn python() -> Command {
    Command::new(std::env::var("ALLOTROPE_PYTHON").unwrap_or_else(|_| "python3".into()))
}

/// Runs a program in a folder.
fn run(folder: &Path, program: &str) -> String {
    let out = python().current_dir(folder).args(["-c", program]).output().unwrap();
    assert!(out.status.success(), "{program}\n{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[derive(Module)]
struct Net {
    hidden: nn::Linear,
    out: nn::Linear,
}

impl Net {
    fn new() -> Net {
        Net { hidden: nn::Linear::new(5, 8), out: nn::Linear::new(8, 3) }
    }
    fn forward(&self, x: &Tensor) -> Tensor {
        self.out.forward(&self.hidden.forward(x).tanh())
    }
}

const NET: &str = "
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = torch.nn.Linear(5, 8), torch.nn.Linear(8, 3)
    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))
x = torch.linspace(-2, 2, 20).reshape(4, 5)
net = Net()
";

fn input() -> Tensor {
    Tensor::linspace(-2.0, 2.0, 20).reshape(&[4, 5])
}

#[track_caller]
fn assert_close(what: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let off = got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
    assert!(off <= 1e-6, "{what}: off by {off:e}");
}

fn logits(text: &str) -> Vec<f64> {
    text.split_whitespace().map(|n| n.parse().unwrap()).collect()
}

const SHOW: &str = "
with torch.no_grad():
    print(*[repr(float(v)) for v in net(x).flatten()])
";

#[test]
fn models_go_both_ways_as_pt() {
    if !has("torch") {
        return;
    }
    let folder = Folder::new();
    // From here to PyTorch.
    let net = Net::new();
    save(folder.file("ours.pt"), &Value::from(net.state_dict())).unwrap();
    let theirs = run(
        &folder.0,
        &format!("{NET}print(net.load_state_dict(torch.load('ours.pt', weights_only=True)), end='')\n{SHOW}"),
    );
    let theirs = theirs.strip_prefix("<All keys matched successfully>").unwrap();
    assert_close("logits in PyTorch", &logits(theirs), &numbers(&net.forward(&input())));
    // And back.
    let theirs = run(&folder.0, &format!("{NET}torch.save(net.state_dict(), 'theirs.pt')\n{SHOW}"));
    net.load_state_dict(&load(folder.file("theirs.pt")).unwrap().to_state_dict().unwrap()).unwrap();
    assert_close("logits here", &numbers(&net.forward(&input())), &logits(&theirs));
    // Memory-mapped too, which needs the members stored and aligned.
    let shown = run(&folder.0, "import torch; print(*torch.load('ours.pt', mmap=True).keys())");
    assert_eq!(shown.trim(), "hidden.weight hidden.bias out.weight out.bias");
}

#[test]
fn models_go_both_ways_as_safetensors() {
    if !has("torch, safetensors.torch, numpy") {
        return;
    }
    let folder = Folder::new();
    let net = Net::new();
    save_safetensors(folder.file("ours.safetensors"), &net.state_dict()).unwrap();
    let load = "import safetensors.torch as st\nnet.load_state_dict(st.load_file('ours.safetensors'))\n";
    let theirs = run(&folder.0, &format!("{NET}{load}{SHOW}"));
    assert_close("logits in PyTorch", &logits(&theirs), &numbers(&net.forward(&input())));
    // Written there from what was read there: the same bytes.
    run(&folder.0, &format!("{NET}{load}st.save_file(net.state_dict(), 'theirs.safetensors')"));
    let bytes = |name: &str| std::fs::read(folder.file(name)).unwrap();
    assert_eq!(bytes("ours.safetensors"), bytes("theirs.safetensors"));
    let save =
        "import safetensors.torch as st\nst.save_file(net.state_dict(), 'theirs.safetensors', {'format': 'pt'})\n";
    let theirs = run(&folder.0, &format!("{NET}{save}{SHOW}"));
    let (state, about) = load_safetensors_with_metadata(folder.file("theirs.safetensors")).unwrap();
    net.load_state_dict(&state).unwrap();
    assert_close("logits here", &numbers(&net.forward(&input())), &logits(&theirs));
    assert_eq!(about["format"], "pt");
}

#[test]
fn optimizer_states_go_both_ways() {
    if !has("torch") {
        return;
    }
    let folder = Folder::new();
    let make = "
opt = torch.optim.Adam(net.parameters(), lr=0.05, amsgrad=True)
def step():
    opt.zero_grad(); net(x).pow(2).sum().backward(); opt.step()
";
    let first = format!(
        "{NET}{make}step(); step()\ntorch.save({{'net': net.state_dict(), 'opt': opt.state_dict()}}, 'first.pt')\nstep()\n{SHOW}"
    );
    let want = run(&folder.0, &first);
    // Read here and written again: training in PyTorch goes on to the same numbers.
    let value = load(folder.file("first.pt")).unwrap();
    let group = &value.get("opt").unwrap().get("param_groups").unwrap().as_list().unwrap()[0];
    assert_eq!(group.get("lr").and_then(Value::as_float), Some(0.05));
    assert_eq!(value.get("opt").unwrap().get("state").unwrap().as_dict().unwrap().len(), 4);
    save(folder.file("second.pt"), &value).unwrap();
    let second = format!(
        "{NET}{make}all = torch.load('second.pt', weights_only=True)\nnet.load_state_dict(all['net']); opt.load_state_dict(all['opt'])\nstep()\n{SHOW}"
    );
    assert_eq!(run(&folder.0, &second), want);
}

#[test]
fn values_of_every_kind_are_read_by_pytorch() {
    if !has("torch") {
        return;
    }
    let folder = Folder::new();
    let base = Tensor::arange(12).reshape(&[3, 4]).to(DType::F32);
    let tied = Tensor::ones(&[2], DType::F32).requires_grad();
    let dtypes = crate::DTYPES.iter().map(|d| Value::from(Tensor::arange(3).to(*d))).collect();
    let value = Value::dict([
        ("none", Value::None),
        ("ints", Value::Tuple([0, 255, 256, 65536, -1, 1 << 31, i64::MIN, i64::MAX].map(Value::Int).to_vec())),
        ("float", Value::from(0.1)),
        ("text", Value::from("grün")),
        ("map", Value::Dict(vec![(Value::Int(7), Value::List(vec![Value::from(true)]))])),
        ("base", Value::from(base.clone())),
        ("row", Value::from(base.select(0, 1))),
        ("t", Value::from(base.t())),
        ("tied", Value::List(vec![Value::from(tied.clone()), Value::from(tied)])),
        ("dtypes", Value::List(dtypes)),
        ("empty", Value::from(Tensor::zeros(&[0, 3], DType::F32))),
    ]);
    save(folder.file("x.pt"), &value).unwrap();
    let check = "
import torch
v = torch.load('x.pt', weights_only=True)
assert v['none'] is None and v['ints'] == (0, 255, 256, 65536, -1, 2**31, -2**63, 2**63 - 1)
assert v['float'] == 0.1 and v['text'] == 'grün' and v['map'] == {7: [True]}
assert v['base'].tolist() == torch.arange(12.).reshape(3, 4).tolist()
assert v['t'].stride() == (1, 4) and v['t'].tolist() == v['base'].t().tolist()
assert v['row'].tolist() == [4, 5, 6, 7] and v['row'].untyped_storage().data_ptr() == v['base'].untyped_storage().data_ptr()
assert v['tied'][0] is v['tied'][1] and v['tied'][0].requires_grad and not v['base'].requires_grad
assert [str(t.dtype)[6:] for t in v['dtypes']] == ['bool', 'uint8', 'int32', 'int64', 'float16', 'bfloat16', 'float32', 'float64']
assert [t.tolist() for t in v['dtypes']][1:] == [[0, 1, 2]] * 7
assert v['empty'].shape == (0, 3)
torch.save(v, 'y.pt')
";
    run(&folder.0, check);
    let again = load(folder.file("y.pt")).unwrap();
    assert_same("t", again.get("t").and_then(Value::as_tensor).unwrap(), &base.t());
}

#[test]
fn arrays_go_both_ways() {
    if !has("numpy") {
        return;
    }
    let folder = Folder::new();
    let x = Tensor::arange(6).reshape(&[2, 3]).to(DType::F32);
    save_npy(folder.file("ours.npy"), &x).unwrap();
    save_npz(folder.file("ours.npz"), &[("x", x.clone()), ("y.z", Tensor::scalar(true))].into_iter().collect())
        .unwrap();
    let program = "
import numpy as np
x = np.load('ours.npy'); assert x.dtype == np.float32 and x.tolist() == [[0, 1, 2], [3, 4, 5]]
z = np.load('ours.npz'); assert z.files == ['x', 'y.z'] and z['x'].tolist() == x.tolist() and z['y.z'] == True
np.save('again.npy', x); assert open('again.npy', 'rb').read() == open('ours.npy', 'rb').read()
np.save('fortran.npy', np.asfortranarray(x)); np.save('big.npy', x.astype('>f8')); np.save('half.npy', x.astype('f2'))
np.savez_compressed('packed.npz', x=x, zeros=np.zeros(100000), b=np.array(True))
";
    run(&folder.0, program);
    for (name, dtype) in [("fortran.npy", DType::F32), ("big.npy", DType::F64), ("half.npy", DType::F16)] {
        assert_same(name, &load_npy(folder.file(name)).unwrap(), &x.to(dtype));
    }
    let packed = load_npz(folder.file("packed.npz")).unwrap();
    assert_same("x", packed.get("x").unwrap(), &x);
    assert_eq!(
        (packed.get("zeros").unwrap().shape().to_vec(), packed.get("b").unwrap().item::<bool>()),
        (vec![100_000], true)
    );
}
