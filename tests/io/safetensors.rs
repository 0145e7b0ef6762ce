//! Named tensors in safetensors files.

use crate::{DTYPES, Folder, assert_same, numbers};
use allotrope::io::*;
use allotrope::prelude::*;
use allotrope::state::StateDict;
use std::collections::BTreeMap;

fn state() -> StateDict {
    let x = Tensor::arange(6).reshape(&[2, 3]);
    let mut state: StateDict = DTYPES.iter().map(|d| (format!("of.{d}"), x.to(*d))).collect();
    state.insert("transposed", x.to(DType::F32).t());
    state.insert("scalar", Tensor::scalar(1.5f32));
    state.insert("empty", Tensor::zeros(&[0, 3], DType::F32));
    state.insert("with \"quotes\" \n and ü", Tensor::ones(&[1], DType::F32).requires_grad());
    state
}

#[test]
fn every_dtype_comes_back() {
    let folder = Folder::new();
    let path = folder.file("all.safetensors");
    let state = state();
    save_safetensors(&path, &state).unwrap();
    let read = load_safetensors(&path).unwrap();
    assert_eq!(read.len(), state.len());
    for (name, t) in state.iter() {
        assert_same(name, read.get(name).unwrap(), t);
    }
    assert_eq!(numbers(read.get("transposed").unwrap()), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    assert_eq!(folder.names(), ["all.safetensors"], "nothing is left beside it");
}

#[test]
fn bytes_are_the_same_each_time() {
    let folder = Folder::new();
    let about: BTreeMap<String, String> = (0..20)
        .map(|i| (format!("key {i}"), format!("text \"{i}\"")))
        .chain([("format".into(), "pt".into())])
        .collect();
    let bytes = |name: &str| {
        let path = folder.file(name);
        save_safetensors_with_metadata(&path, &state(), &about).unwrap();
        std::fs::read(path).unwrap()
    };
    let first = bytes("a");
    assert!((0..5).all(|i| bytes(&format!("b{i}")) == first));
    let (state, read) = load_safetensors_with_metadata(folder.file("a")).unwrap();
    assert_eq!((state.len(), read), (12, about));
    // Elements begin where all dtypes are aligned.
    assert_eq!((8 + u64::from_le_bytes(first[..8].try_into().unwrap())) % 8, 0);
    let parsed = ::safetensors::SafeTensors::deserialize(&first).unwrap();
    assert_eq!(parsed.tensor("of.i64").unwrap().data()[8], 1);
}

#[test]
fn what_no_file_can_hold_is_refused() {
    let folder = Folder::new();
    let path = folder.file("x.safetensors");
    let bad: StateDict = [("__metadata__", Tensor::ones(&[1], DType::F32))].into_iter().collect();
    let error = save_safetensors(&path, &bad).unwrap_err().to_string();
    assert!(error.contains("__metadata__"), "{error}");
    assert!(folder.names().is_empty());
    let error = load_safetensors(folder.file("nowhere")).err().unwrap().to_string();
    assert!(error.contains("nowhere: cannot be read"), "{error}");
    let error = load_safetensors(&folder.0).err().unwrap().to_string();
    assert!(error.contains("it is no file"), "{error}");
    let error = save_safetensors(&folder.0, &state()).unwrap_err().to_string();
    assert!(error.contains("it is there, and is no file"), "{error}");
}

/// A file with this header and so many bytes after it.
fn file(header: &str, bytes: usize) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.resize(out.len() + bytes, 0);
    out
}

#[test]
fn headers_that_lie_are_refused() {
    let folder = Folder::new();
    let path = folder.file("x.safetensors");
    let one = |offsets: &str, shape: &str| {
        format!("{{\"a\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
    };
    let good = file(&one("[0,8]", "[2]"), 8);
    std::fs::write(&path, &good).unwrap();
    load_safetensors(&path).unwrap();
    let twice = one("[0,8]", "[2]");
    let twice = format!("{},{}", &twice[..twice.len() - 1], &twice[1..]);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (bytes, part) in [
        (file(&one("[0,8]", "[3]"), 8), "no whole safetensors file"),
        (file(&one("[0,80000000000]", "[20000000000]"), 8), "no whole safetensors file"),
        (file(&one("[4,12]", "[2]"), 12), "no whole safetensors file"),
        (file(&one("[8,0]", "[2]"), 8), "no whole safetensors file"),
        (file(&one("[0,8]", "[18446744073709551615,18446744073709551615]"), 8), "no whole safetensors file"),
        (file(&twice, 8), "is there twice"),
        (file(&deep, 8), "no whole safetensors file"),
        (file(&one("[0,8]", "[2]").replace("F32", "F8_E4M3").replace("[2]", "[8]"), 8), "there is not here"),
        (file(&one("[0,8]", "[2]").replace("F32", "BOOL").replace("[2]", "[8]"), 8), ""),
        (u64::MAX.to_le_bytes().to_vec(), "no whole safetensors file"),
        (b"not this".to_vec(), "no whole safetensors file"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        match load_safetensors(&path) {
            Err(e) => assert!(e.to_string().contains(part) && e.to_string().contains("x.safetensors: "), "{e}"),
            Ok(_) => assert_eq!(part, ""),
        }
    }
    let mut bytes = file(&one("[0,2]", "[2]").replace("F32", "BOOL"), 2);
    *bytes.last_mut().unwrap() = 7;
    std::fs::write(&path, bytes).unwrap();
    let error = load_safetensors(&path).err().unwrap().to_string();
    assert!(error.contains("tensor \"a\": element 1 is 7, which is no bool"), "{error}");
}

#[test]
fn a_failed_save_leaves_the_old_file() {
    let folder = Folder::new();
    let path = folder.file("old.safetensors");
    save_safetensors(&path, &state()).unwrap();
    let before = std::fs::read(&path).unwrap();
    // A value of a trace has no elements, so this cannot be written.
    let caught = std::cell::RefCell::new(None);
    let _ = trace(|x: &Tensor| {
        *caught.borrow_mut() = Some(x.clone());
        x.clone()
    })
    .call(&Tensor::ones(&[1], DType::F32));
    let leaked: StateDict = [("a", caught.take().unwrap())].into_iter().collect();
    let error = save_safetensors(&path, &leaked).unwrap_err().to_string();
    assert!(error.contains("a value of a trace"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(folder.names(), ["old.safetensors"]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_stay() {
    let folder = Folder::new();
    let (real, link) = (folder.file("real"), folder.file("link"));
    std::fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    save_safetensors(&link, &state()).unwrap();
    assert!(link.is_symlink());
    assert_eq!(load_safetensors(&real).unwrap().len(), 12);
}

#[test]
fn a_trace_reads_and_writes_no_files() {
    let folder = Folder::new();
    let path = folder.file("x.safetensors");
    save_safetensors(&path, &state()).unwrap();
    let read = trace(|x: &Tensor| x + load_safetensors(&path).unwrap().get("scalar").unwrap());
    let error = read.call(&Tensor::ones(&[1], DType::F32)).unwrap_err().to_string();
    assert!(error.contains("load_safetensors()"), "{error}");
}
