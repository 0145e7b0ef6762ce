//! PyTorch's files: those that PyTorch wrote, and those that are written here.

use crate::{DTYPES, Folder, assert_same, from_pytorch, numbers};
use allotrope::io::*;
use allotrope::prelude::*;
use allotrope::state::{StateDict, Value};

fn tensor<'a>(value: &'a Value, name: &str) -> &'a Tensor {
    value.get(name).and_then(Value::as_tensor).unwrap_or_else(|| panic!("a tensor {name}"))
}

/// Whether changing one changes the other.
fn share(a: &Tensor, b: &Tensor) -> bool {
    let before = numbers(b);
    no_grad(|| a.add_(1.0));
    let shared = numbers(b) != before;
    no_grad(|| a.sub_(1.0));
    shared
}

#[test]
fn a_state_dict_of_pytorch_is_read() {
    let state = load(from_pytorch("state_dict.pt")).unwrap().to_state_dict().unwrap();
    let names =
        ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"];
    assert_eq!(state.names().take(7).collect::<Vec<_>>(), names);
    assert_eq!(state.get("1.num_batches_tracked").unwrap().dtype(), DType::I64);
    assert!(state.get("1.num_batches_tracked").unwrap().shape().is_empty());
    let layer = nn::Linear::new(3, 4);
    let first: StateDict =
        [("weight", state.get("0.weight").unwrap().clone()), ("bias", state.get("0.bias").unwrap().clone())]
            .into_iter()
            .collect();
    layer.load_state_dict(&first).unwrap();
    // torch.manual_seed(1); torch.nn.Linear(3, 4).weight
    assert_eq!(layer.weight.to_vec::<f32>()[..2], [0.297_487_35, -0.254_829_82]);
}

fn check_values(value: &Value) {
    let list = |name: &str| value.get(name).unwrap().as_list().unwrap();
    assert!(matches!(value.get("none"), Some(Value::None)));
    assert_eq!(list("bools").iter().map(|v| v.as_bool().unwrap()).collect::<Vec<_>>(), [true, false]);
    let (big, least) = (1i64 << 31, -(1i64 << 31));
    let ints = [0, 255, 256, 65535, 65536, -1, big - 1, least, big, 1 << 62, i64::MIN];
    assert_eq!(list("ints").iter().map(|v| v.as_int().unwrap()).collect::<Vec<_>>(), ints);
    assert!(matches!(value.get("ints"), Some(Value::Tuple(_))));
    let floats: Vec<u64> = list("floats").iter().map(|v| v.as_float().unwrap().to_bits()).collect();
    assert_eq!(floats, [0.5f64, f64::INFINITY, -0.0].map(f64::to_bits));
    assert_eq!(
        list("text").iter().map(|v| v.as_str().unwrap().to_string()).collect::<Vec<_>>(),
        ["", "grün", &"x".repeat(300)]
    );
    let inner = value.get("nested").unwrap().at(1).unwrap().at(2).unwrap().as_list().unwrap();
    assert!(
        matches!(inner, [Value::Tuple(a), Value::List(b), Value::Dict(c)] if a.is_empty() && b.is_empty() && c.is_empty())
    );
    let base = tensor(value, "base");
    assert_eq!(numbers(base), (0..12).map(f64::from).collect::<Vec<_>>());
    assert_eq!(numbers(tensor(value, "row")), [4.0, 5.0, 6.0, 7.0]);
    assert_eq!(
        (tensor(value, "transposed").shape().to_vec(), tensor(value, "transposed").is_contiguous()),
        (vec![4, 3], false)
    );
    assert_same("transposed", tensor(value, "transposed"), &base.t());
    assert_eq!(numbers(tensor(value, "strided")), [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]);
    assert_eq!(numbers(tensor(value, "expanded")), [7.0; 3]);
    assert_eq!((tensor(value, "scalar").item::<f64>(), tensor(value, "scalar").dim()), (2.5, 0));
    assert_eq!(tensor(value, "empty").shape().to_vec(), [0, 3]);
    assert!(share(tensor(value, "row"), base) && share(tensor(value, "strided"), base));
    assert!(!share(tensor(value, "scalar"), base));
    let (parameter, again) = (tensor(value, "parameter"), tensor(value, "again"));
    assert!(parameter.is_requires_grad() && tensor(value, "leaf").is_requires_grad() && !base.is_requires_grad());
    // One tensor in two places is one tensor: a gradient of one is that of the other.
    parameter.sum().backward();
    assert_eq!(again.grad().unwrap().to_vec::<f32>(), [1.0, 1.0]);
    parameter.set_grad(None);
    for (t, dtype) in list("dtypes").iter().zip(DTYPES) {
        assert_eq!(t.as_tensor().unwrap().dtype(), dtype);
        let two = if dtype == DType::Bool { 1.0 } else { 2.0 };
        assert_eq!(numbers(t.as_tensor().unwrap()), [1.0, 0.0, two], "{dtype}");
    }
}

#[test]
fn every_kind_of_value_is_read() {
    for name in ["values.pt", "protocol4.pt"] {
        let value = load(from_pytorch(name)).unwrap();
        check_values(&value);
        assert_eq!(value.get("ordered").unwrap().get("a").and_then(Value::as_int), Some(2));
        assert_eq!(value.get("counter").unwrap().at(5).and_then(Value::as_int), Some(3));
        let size = value.get("size").unwrap().as_list().unwrap();
        assert_eq!(size.iter().map(|v| v.as_int().unwrap()).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(value.get("dtype").and_then(Value::as_str), Some("torch.float16"));
        assert_eq!(value.get("device").and_then(Value::as_str), Some("cuda:1"));
        // And what is written of it is the same.
        let folder = Folder::new();
        save(folder.file("again.pt"), &value).unwrap();
        check_values(&load(folder.file("again.pt")).unwrap());
        assert_eq!(folder.names(), ["again.pt"]);
    }
}

#[test]
fn a_checkpoint_of_pytorch_is_read() {
    let value = load(from_pytorch("checkpoint.pt")).unwrap();
    assert_eq!(value.get("epoch").and_then(Value::as_int), Some(3));
    let optimizer = value.get("optimizer").unwrap();
    let state = optimizer.get("state").unwrap().at(0).unwrap();
    assert_eq!(tensor(state, "step").item::<f32>(), 2.0);
    assert_eq!(tensor(state, "max_exp_avg_sq").shape().to_vec(), [4, 3]);
    let group = &optimizer.get("param_groups").unwrap().as_list().unwrap()[0];
    assert_eq!(group.get("betas").unwrap().as_list().unwrap()[1].as_float(), Some(0.999));
    assert_eq!(group.get("amsgrad").and_then(Value::as_bool), Some(true));
    assert_eq!(value.get("schedule").unwrap().get("milestones").unwrap().at(2).and_then(Value::as_int), Some(1));
    Generator::new(0).set_state(&tensor(&value, "rng").to_vec::<u8>()).unwrap();
}

#[test]
fn what_is_no_plain_data_is_named() {
    for (name, part) in [
        ("object.pt", "names torch.nn.modules.container.Sequential, which is not loaded"),
        ("legacy.pt", "since PyTorch 1.6"),
        ("int16.pt", "a storage of Short, which no dtype here fits"),
    ] {
        let error = load(from_pytorch(name)).err().unwrap().to_string();
        assert!(error.contains(part) && error.contains(name), "{error}");
    }
}

#[test]
fn tied_weights_are_written_once_and_stay_tied() {
    let folder = Folder::new();
    let path = folder.file("tied.pt");
    let weight = Tensor::ones(&[100, 100], DType::F32);
    let value = Value::dict([
        ("a", Value::from(weight.clone())),
        ("b", Value::from(weight.detach())),
        ("row", Value::from(weight.narrow(0, 3, 1))),
    ]);
    save(&path, &value).unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    assert!((40_000..43_000).contains(&size), "{size} bytes");
    let read = load(&path).unwrap();
    assert!(share(tensor(&read, "a"), tensor(&read, "b")) && share(tensor(&read, "row"), tensor(&read, "b")));
    // Of a part of a large tensor only that is written.
    save(&path, &Value::from(weight.narrow(0, 3, 1))).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 2500);
    assert_eq!(numbers(load(&path).unwrap().as_tensor().unwrap()), [1.0; 100]);
    // The same value is the same bytes.
    let first = std::fs::read(&path).unwrap();
    save(&path, &load(&path).unwrap()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
}

#[test]
fn members_are_aligned_and_stored() {
    let folder = Folder::new();
    let path = folder.file("x.pt");
    let values: Vec<Value> = (1..5).map(|n| Value::from(Tensor::full(&[n], 7.0f32))).collect();
    save(&path, &Value::List(values)).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let seven = 7f32.to_le_bytes();
    let at = bytes.windows(4).position(|w| w == seven).unwrap();
    assert_eq!(at % 64, 0);
}

#[test]
fn values_that_are_too_deep_are_refused_both_ways() {
    let folder = Folder::new();
    let path = folder.file("deep.pt");
    let nested = |n: usize| (0..n).fold(Value::None, |inner, _| Value::List(vec![inner]));
    save(&path, &nested(100)).unwrap();
    load(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = save(&path, &nested(101)).unwrap_err().to_string();
    assert!(error.contains("100 deep"), "{error}");
    let error = save(&path, &Value::Dict(vec![(Value::None, Value::None)])).unwrap_err().to_string();
    assert!(error.contains("keys of a dictionary are text or whole numbers"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn negative_strides_are_written_in_order() {
    let folder = Folder::new();
    let path = folder.file("x.pt");
    let array = ndarray::Array1::from_vec((0..4i64).collect::<Vec<_>>());
    let mut array = array.into_dyn();
    array.invert_axis(ndarray::Axis(0));
    let x = Tensor::from_ndarray(array);
    save(&path, &Value::from(x.clone())).unwrap();
    assert_same("reversed", load(&path).unwrap().as_tensor().unwrap(), &x);
}
