//! Files that are cut off at every byte, have changed bytes, or were made to do harm: each is an error or harmless data.

use crate::{Folder, from_pytorch};
use allotrope::io::*;
use allotrope::prelude::*;
use allotrope::state::{StateDict, Value};
use std::io::Write;
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Numbers that look random, the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn next(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

type Reader = fn(&Path) -> Result<(), Error>;

/// One whole file of each kind, with what reads it.
fn samples(folder: &Folder) -> Vec<(&'static str, Vec<u8>, Reader)> {
    let x = Tensor::arange(6).reshape(&[2, 3]).to(DType::F32);
    let state: StateDict =
        [("weight", x.clone()), ("flags", Tensor::from_vec(vec![true, false], &[2])), ("n", Tensor::arange(3))]
            .into_iter()
            .collect();
    let path = folder.file("whole");
    let mut out: Vec<(&str, Vec<u8>, Reader)> = Vec::new();
    save_safetensors(&path, &state).unwrap();
    out.push(("safetensors", std::fs::read(&path).unwrap(), |p| load_safetensors(p).map(drop)));
    save_npy(&path, &x).unwrap();
    out.push(("npy", std::fs::read(&path).unwrap(), |p| load_npy(p).map(drop)));
    save_npz(&path, &state).unwrap();
    out.push(("npz", std::fs::read(&path).unwrap(), |p| load_npz(p).map(drop)));
    save(
        &path,
        &Value::dict([("state", Value::from(state)), ("list", Value::List(vec![Value::from(1), Value::from(0.5)]))]),
    )
    .unwrap();
    out.push(("pt", std::fs::read(&path).unwrap(), |p| load(p).map(drop)));
    out.push(("PyTorch's", std::fs::read(from_pytorch("state_dict.pt")).unwrap(), |p| load(p).map(drop)));
    out.push(("PyTorch's protocol 4", std::fs::read(from_pytorch("protocol4.pt")).unwrap(), |p| load(p).map(drop)));
    out
}

#[test]
fn files_that_are_cut_off_are_refused() {
    let folder = Folder::new();
    let path = folder.file("cut");
    for (kind, whole, read) in samples(&folder) {
        std::fs::write(&path, &whole).unwrap();
        read(&path).unwrap();
        for n in 0..whole.len() {
            std::fs::write(&path, &whole[..n]).unwrap();
            let error = read(&path).expect_err(&format!("{n} of {} bytes of {kind}", whole.len())).to_string();
            assert!(error.contains("cut: "), "{n} bytes of {kind}: {error}");
        }
    }
}

#[test]
fn changed_bytes_do_no_harm() {
    let folder = Folder::new();
    let path = folder.file("changed");
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let mut refused = 0;
    for (_, whole, read) in samples(&folder) {
        for _ in 0..1000 {
            let mut bytes = whole.clone();
            for _ in 0..=dice.next(3) {
                let at = dice.next(bytes.len());
                bytes[at] = match dice.next(4) {
                    0 => 0xff,
                    1 => 0,
                    2 => bytes[at] ^ 1 << dice.next(8),
                    _ => dice.next(256) as u8,
                };
            }
            std::fs::write(&path, bytes).unwrap();
            refused += usize::from(read(&path).is_err());
        }
    }
    assert!(refused > 2000, "{refused} of 6000 are refused");
}

/// An archive of these members.
fn archive(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn refused(path: &Path, bytes: &[u8]) -> String {
    std::fs::write(path, bytes).unwrap();
    load(path).map(drop).expect_err("no such file is read").to_string()
}

/// A file of PyTorch with this pickle.
fn with_pickle(pickle: &[u8]) -> Vec<u8> {
    archive(&[("a/data.pkl", pickle), ("a/data/0", &[0; 8])], CompressionMethod::Stored)
}

#[test]
fn pickles_that_would_run_something_are_refused() {
    let folder = Folder::new();
    let path = folder.file("x.pt");
    for (pickle, part) in [
        (&b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R."[..], "names os.system, which is not loaded"),
        (b"\x80\x02cbuiltins\neval\n.", "names builtins.eval"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "names os.system"),
        (b"\x80\x02ctorch._utils\n_rebuild_tensor\n.", "names torch._utils._rebuild_tensor,"),
        (b"\x80\x02ios\nsystem\n.", "instruction 0x69"),
        (b"\x80\x02}\x81.", "instruction 0x81"),
        (b"\x80\x02ccollections\nOrderedDict\n.", "a name of a function or class where a value should be"),
        (b"\x80\x02]K\x01b.", "sets attributes of a list"),
        (b"\x80\x02K\x01)R.", "a call of what is no function"),
        (b"\x80\x09N.", "protocol 9"),
        (b"(lp0\n.", "instruction 0x6c"),
    ] {
        let error = refused(&path, &with_pickle(pickle));
        assert!(error.contains(part), "{part}: {error}");
    }
}

/// A tensor of storage `key`, `len` elements, at `offset`, of this shape and strides; sizes as instructions.
fn tensor(class: &str, key: &str, len: &[u8], offset: &[u8], shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let mut out = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n".to_vec();
    out.extend(class.as_bytes());
    out.extend(b"\nX\x01\x00\x00\x00");
    out.extend(key.as_bytes());
    out.extend(b"X\x03\x00\x00\x00cpu");
    out.extend(len);
    out.extend(b"tQ");
    out.extend(offset);
    out.push(b'(');
    out.extend(shape);
    out.extend(b"t(");
    out.extend(strides);
    out.extend(b"t\x89NtR.");
    out
}

#[test]
fn tensors_outside_of_their_memory_are_refused() {
    let folder = Folder::new();
    let path = folder.file("x.pt");
    let huge = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    let good = tensor("FloatStorage", "0", b"K\x02", b"K\x00", b"K\x02", b"K\x01");
    std::fs::write(&path, with_pickle(&good)).unwrap();
    assert_eq!(load(&path).unwrap().as_tensor().unwrap().to_vec::<f32>(), [0.0, 0.0]);
    for (pickle, part) in [
        (tensor("FloatStorage", "0", b"K\x02", b"K\x01", b"K\x02", b"K\x01"), "does not lie in memory of 2 elements"),
        (tensor("FloatStorage", "0", b"K\x02", b"K\x00", b"K\x02", huge), "does not lie in"),
        (tensor("FloatStorage", "0", b"K\x02", huge, b"K\x01", b"K\x01"), "does not lie in"),
        (tensor("FloatStorage", "0", b"K\x02", b"K\x00", huge, b"K\x00"), "too large"),
        (tensor("FloatStorage", "0", b"K\x02", b"K\x00", &[&huge[..], huge].concat(), b"K\x00K\x00"), "too large"),
        (tensor("FloatStorage", "0", b"K\x02", b"K\x00", b"K\x02", b"J\xff\xff\xff\xff"), "is damaged"),
        (tensor("FloatStorage", "0", b"K\x02", b"K\x00", b"K\x02", b"K\x01K\x01"), "does not lie in"),
        (tensor("FloatStorage", "0", b"K\x03", b"K\x00", b"K\x02", b"K\x01"), "8 bytes are no f32[3]"),
        (tensor("FloatStorage", "0", huge, b"K\x00", b"K\x02", b"K\x01"), "too large"),
        (tensor("FloatStorage", "7", b"K\x02", b"K\x00", b"K\x02", b"K\x01"), "a/data/7"),
        (tensor("ComplexFloatStorage", "0", b"K\x01", b"K\x00", b"K\x01", b"K\x01"), "a storage of ComplexFloat"),
    ] {
        let error = refused(&path, &with_pickle(&pickle));
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn pickles_that_explode_are_refused() {
    let folder = Folder::new();
    let path = folder.file("x.pt");
    // A list that holds itself, by the table of things.
    let itself = b"\x80\x02]q\x00h\x00a.".to_vec();
    // Lists that each hold the one before ten times.
    let mut billion = b"\x80\x02]q\x00".to_vec();
    for i in 0..30u8 {
        billion.extend(b"](");
        (0..10).for_each(|_| billion.extend([b'h', i]));
        billion.extend([b'e', b'q', i + 1]);
    }
    billion.push(b'.');
    let mut wide = b"\x80\x02X\x00\x00\x10\x00".to_vec();
    wide.extend(vec![b'x'; 1 << 20]);
    wide.extend(b"q\x00](");
    (0..100_000).for_each(|_| wide.extend(b"h\x00"));
    wide.extend(b"e.");
    let deep = [b"\x80\x02".to_vec(), b"]".repeat(1_000_000), b"a".repeat(999_999), b".".to_vec()].concat();
    let marks = [b"\x80\x02".to_vec(), b"(".repeat(1_000_000), b".".to_vec()].concat();
    // A dictionary of which many are made.
    let mut copies = b"\x80\x02ccollections\nCounter\nq\x00}q\x01(".to_vec();
    (0..=255u8).for_each(|i| copies.extend([b'K', i, b'N']));
    copies.extend(b"u](");
    (0..100_000).for_each(|_| copies.extend(b"h\x00h\x01\x85R"));
    copies.extend(b"e.");
    for (pickle, part) in [
        (itself, "or hold themselves"),
        (billion, "meant to do harm"),
        (wide, "meant to do harm"),
        (deep, "more than 100 deep"),
        (marks, "its stack is empty"),
        (copies, "so often that it is meant to do harm"),
        (b"\x80\x02X\xff\xff\xff\xff.".to_vec(), "is cut off: 4294967295 bytes should follow"),
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.".to_vec(), "is cut off"),
        (b"\x80\x02\x8a\xff".to_vec(), "is cut off"),
        (b"\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.".to_vec(), "more than 64 bits"),
        (b"\x80\x02h\x05.".to_vec(), "thing 5 is used and was not kept"),
        (b"\x80\x02t.".to_vec(), "a list ends that has not begun"),
        (b"\x80\x02}(K\x01u.".to_vec(), "a key and no value"),
        (b"\x80\x02}(K\x01K\x02K\x01K\x03u.".to_vec(), "the key 1 twice"),
        (b"\x80\x02}NNs.".to_vec(), "None for a key"),
        (b"\x80\x02X\x02\x00\x00\x00\xff\xff.".to_vec(), "not UTF-8"),
        (b"\x80\x02".to_vec(), "is cut off"),
    ] {
        let error = refused(&path, &with_pickle(&pickle));
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn archives_that_explode_are_refused() {
    let folder = Folder::new();
    let path = folder.file("x.pt");
    // 300 MB of zeros in some 300 kB.
    let zeros = vec![0; 300_000_000];
    let error = refused(&path, &archive(&[("a/data.pkl", &zeros)], CompressionMethod::Deflated));
    assert!(error.contains("meant to do harm"), "{error}");
    // A directory in which many members are the same bytes: 1,000 times 4 kB.
    let pickle = b"\x80\x02N.";
    let block = vec![1u8; 1 << 16];
    let whole = archive(&[("a/data.pkl", pickle), ("a/data/0", &block)], CompressionMethod::Stored);
    let at = whole.windows(4).rposition(|w| w == b"PK\x05\x06").unwrap();
    let start = u32::from_le_bytes(whole[at + 16..at + 20].try_into().unwrap()) as usize;
    let entries = &whole[start..at];
    let second = entries.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    let (first, data) = entries.split_at(second);
    let mut bomb = whole[..start].to_vec();
    bomb.extend(first);
    (0..1000).for_each(|_| bomb.extend(data));
    let size = (bomb.len() - start) as u32;
    let mut end = whole[at..].to_vec();
    end[8..10].copy_from_slice(&1001u16.to_le_bytes());
    end[10..12].copy_from_slice(&1001u16.to_le_bytes());
    end[12..16].copy_from_slice(&size.to_le_bytes());
    bomb.extend(end);
    let error = refused(&path, &bomb);
    assert!(error.contains("\"a/data/0\" is there twice"), "{error}");
    // The same under names of their own, as far as an archive may have them.
    let error = refused(&path, &archive(&[("data.pkl", b"\x80\x02N.")], CompressionMethod::Stored));
    assert!(error.contains("no member data.pkl"), "{error}");
    let error = refused(&path, &archive(&[("a/data.pkl", pickle), ("b/data.pkl", pickle)], CompressionMethod::Stored));
    assert!(error.contains("two members data.pkl"), "{error}");
    let error = refused(&path, &archive(&[("a/data.pkl", pickle), ("a/byteorder", b"big")], CompressionMethod::Stored));
    assert!(error.contains("big-endian"), "{error}");
    // Compressed members of a usual size are read.
    std::fs::write(&path, archive(&[("a/data.pkl", pickle)], CompressionMethod::Deflated)).unwrap();
    assert!(matches!(load(&path), Ok(Value::None)));
}

#[cfg(unix)]
#[test]
fn what_has_no_end_is_not_read() {
    for read in
        [|p: &Path| load(p).map(drop), |p: &Path| load_npy(p).map(drop), |p: &Path| load_safetensors(p).map(drop)]
    {
        let error = read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("it is no file"), "{error}");
    }
}
