//! NumPy's arrays and archives of them.

use crate::{DTYPES, Folder, assert_same, numbers};
use allotrope::io::*;
use allotrope::prelude::*;
use allotrope::state::StateDict;

/// A file with this header, as NumPy writes it, and these elements.
fn file(header: &str, elements: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(elements);
    out
}

fn header(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
}

#[test]
fn every_dtype_and_shape_comes_back() {
    let folder = Folder::new();
    let path = folder.file("x.npy");
    for dtype in DTYPES.into_iter().filter(|d| *d != DType::BF16) {
        for shape in [&[][..], &[0], &[5], &[2, 3], &[2, 1, 4, 3], &[3, 0, 2]] {
            let n = shape.iter().product::<isize>() as i64;
            let x = Tensor::arange(n).remainder(2).reshape(shape).to(dtype);
            save_npy(&path, &x).unwrap();
            assert_same(&format!("{dtype}{shape:?}"), &load_npy(&path).unwrap(), &x);
        }
    }
    let error = save_npy(&path, &Tensor::ones(&[1], DType::BF16)).unwrap_err().to_string();
    assert!(error.contains("NumPy has no bf16"), "{error}");
    assert_eq!(folder.names(), ["x.npy"]);
}

/// The bytes that `numpy.save` writes for `numpy.arange(6, dtype="<i4").reshape(2, 3)`.
#[test]
fn the_bytes_are_those_of_numpy() {
    let folder = Folder::new();
    let path = folder.file("x.npy");
    save_npy(&path, &Tensor::arange(6).to(DType::I32).reshape(&[2, 3])).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let mut want = b"\x93NUMPY\x01\x00v\x00{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }".to_vec();
    want.resize(127, b' ');
    want.push(b'\n');
    (0..6i32).for_each(|n| want.extend(n.to_le_bytes()));
    assert_eq!(bytes, want);
}

#[test]
fn other_orders_and_versions_are_read() {
    let folder = Folder::new();
    let path = folder.file("x.npy");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        load_npy(&path).unwrap()
    };
    // In the order of Fortran the first axis changes fastest.
    let elements: Vec<u8> = (0..6i32).flat_map(i32::to_le_bytes).collect();
    let x = read(&file(&header("<i4", "True", "(2, 3)"), &elements));
    assert_eq!(numbers(&x), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
    assert!(!x.is_contiguous() && x.t().is_contiguous());
    let big: Vec<u8> = (0..3i64).flat_map(i64::to_be_bytes).collect();
    assert_eq!(numbers(&read(&file(&header(">i8", "False", "(3,)"), &big))), [0.0, 1.0, 2.0]);
    assert_eq!(numbers(&read(&file(&header(">i8", "False", "(3L,)"), &big))), [0.0, 1.0, 2.0]);
    let text = header("|u1", "False", "()");
    let mut second = b"\x93NUMPY\x02\x00".to_vec();
    second.extend((text.len() as u32).to_le_bytes());
    second.extend(text.as_bytes());
    second.push(9);
    assert_eq!(read(&second).item::<u8>(), 9);
}

#[test]
fn headers_that_lie_are_refused() {
    let folder = Folder::new();
    let path = folder.file("x.npy");
    for (bytes, part) in [
        (b"".to_vec(), "does not begin with"),
        (b"\x93NUMPY".to_vec(), "cut off"),
        (b"\x93NUMPY\x09\x00\x00\x00\x00\x00".to_vec(), "version 9.0"),
        (b"\x93NUMPY\x01\x00\xff\xff".to_vec(), "cut off"),
        (file(&header("<f4", "False", "(2,)"), &[0; 7]), "holds 7 bytes of elements, and its header says f32[2]"),
        (file(&header("<f4", "False", "(2,)"), &[0; 9]), "holds 9 bytes"),
        (file(&header("<f4", "False", "(9999999999, 9999999999)"), &[0; 8]), "holds 8 bytes"),
        (file(&header("<f4", "False", "(18446744073709551615, 0)"), &[]), "holds 0 bytes"),
        (file(&header("<f4", "False", "(99999999999999999999,)"), &[]), "a size"),
        (file(&header("|O", "False", "(1,)"), &[0; 8]), "\"|O\", which no dtype here fits"),
        (file(&header("<c8", "False", "(1,)"), &[0; 8]), "\"<c8\""),
        (file(&header("<U3", "False", "(1,)"), &[0; 12]), "\"<U3\""),
        (file(&header("<f4", "Maybe", "(1,)"), &[0; 4]), "False should stand"),
        (file(&header("<f4", "False", "(-1,)"), &[0; 4]), "a size should stand"),
        (file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", &[0; 4]), "several fields"),
        (file("{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }", &[0; 4]), "two \"descr\""),
        (file("{'descr': '<f4', 'shape': (1,), }", &[0; 4]), "without one of"),
        (file("{'eval': '__import__'}", &[0; 4]), "'descr'"),
        (file(&header("|b1", "False", "(2,)"), &[1, 2]), "element 1 is 2, which is no bool"),
    ] {
        std::fs::write(&path, &bytes).unwrap();
        let error = load_npy(&path).unwrap_err().to_string();
        assert!(error.contains(part) || (part == "'descr'" && error.contains("\"eval\"")), "{part}: {error}");
    }
}

#[test]
fn archives_come_back_in_order() {
    let folder = Folder::new();
    let path = folder.file("x.npz");
    let state: StateDict = [
        ("weight", Tensor::arange(6).reshape(&[2, 3]).to(DType::F32)),
        ("a.b", Tensor::scalar(true)),
        ("zero", Tensor::zeros(&[0], DType::I64)),
    ]
    .into_iter()
    .collect();
    save_npz(&path, &state).unwrap();
    let first = std::fs::read(&path).unwrap();
    let read = load_npz(&path).unwrap();
    assert_eq!(read.names().collect::<Vec<_>>(), ["weight", "a.b", "zero"]);
    read.iter().for_each(|(name, t)| assert_same(name, t, state.get(name).unwrap()));
    save_npz(&path, &state).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first, "the same bytes each time");
    let bad: StateDict = [("x", Tensor::ones(&[1], DType::BF16))].into_iter().collect();
    let error = save_npz(&path, &bad).unwrap_err().to_string();
    assert!(error.contains("tensor \"x\": NumPy has no bf16"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), first, "the old file is whole");
}
