//! Files that are truncated, damaged, mixed up or written by somebody else: each is refused with words, or runs; none
//! panics, hangs or asks for memory that is not there.

use crate::{Folder, drawing, edit, refused, seed, text};
use allotrope::prelude::*;
use allotrope::trace::{Names, Program};
use proptest::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::{Path, PathBuf};

/// A saved function with something of everything: state, a gradient, loops, draws, checks, shared memory, a switch.
fn sample(folder: &Folder) -> PathBuf {
    let path = folder.file("sample");
    manual_seed(1);
    let w = Tensor::from_vec(vec![0.5f32, -1.0, 2.0], &[3]).requires_grad();
    let mask = Tensor::from_vec(vec![true, false, true], &[3]);
    let all = Tensor::arange(6).to(DType::F32);
    let (left, right) = (all.narrow(0, 0, 4).detach(), all.narrow(0, 2, 4).detach());
    let own = Generator::new(7);
    let flag = allotrope::tensor::Flag::new(true);
    let f = trace(|xs: &Tensor, i: &Tensor| {
        let (last, ys) = scan(Tensor::zeros(&[3], DType::F32), xs.clone(), |carry, x| {
            let y = (&carry + &x).tanh() * own.rand(&[3], DType::F32);
            (y.clone(), y)
        });
        let picked = w.index_select(0, i);
        let loss = (last * &w).sum() + ys.where_self(&mask, &ys.zeros_like()).sum() + picked.sum();
        w.set_grad(None);
        loss.backward();
        no_grad(|| w.sub_(&(w.grad().unwrap() * 0.1)));
        let shared = &left + &right;
        let more = if flag.get() { rand_like(xs) } else { xs.clone() };
        (loss.detach(), shared, more)
    });
    f.call((&xs(2), &index())).unwrap();
    f.save_with_names(&path, &Names::new().tensor("w", &w).flag("flag", &flag)).unwrap();
    path
}

fn xs(n: usize) -> Tensor {
    Generator::new(2).randn(&[n, 3], DType::F32)
}

fn index() -> Tensor {
    Tensor::from_vec(vec![0i64, 2], &[2])
}

/// The file of elements without the sums that tell damage, so that what comes after them is met.
fn without_sums(path: &Path) {
    let path = path.with_extension("safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let bare = safetensors::serialize(file.iter(), None).unwrap();
    std::fs::write(&path, bare).unwrap();
}

#[test]
fn the_sample_runs() {
    let _drawing = drawing();
    let folder = Folder::new();
    let path = sample(&folder);
    Program::load(&path).unwrap().call(&[&xs(4), &index()]).unwrap();
    without_sums(&path);
    Program::load(&path).unwrap().call(&[&xs(1), &index()]).unwrap();
}

#[test]
fn every_truncation_is_refused() {
    let _drawing = drawing();
    let folder = Folder::new();
    let path = sample(&folder);
    for ending in ["graph", "safetensors"] {
        let file = path.with_extension(ending);
        let whole = std::fs::read(&file).unwrap();
        // The last character of the text is a line end.
        for n in (0..whole.len() - 1).step_by(1 + whole.len() / 300) {
            std::fs::write(&file, &whole[..n]).unwrap();
            let error = refused(&path);
            assert!(error.contains("sample."), "{n} bytes of {ending}: {error}");
        }
        std::fs::write(&file, whole).unwrap();
    }
    Program::load(&path).unwrap();
}

#[test]
fn every_changed_byte_of_the_elements_is_noticed() {
    let _drawing = drawing();
    let folder = Folder::new();
    let path = sample(&folder);
    let file = path.with_extension("safetensors");
    let whole = std::fs::read(&file).unwrap();
    for i in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[i] ^= 1 << (i % 8);
        std::fs::write(&file, &bytes).unwrap();
        let error = refused(&path);
        assert!(error.contains("sample.safetensors"), "byte {i}: {error}");
    }
}

#[test]
fn files_of_two_saves_are_not_mixed() {
    let _drawing = drawing();
    let folder = Folder::new();
    let path = sample(&folder);
    edit(&path, |text| text.replace("tanh", "sin"));
    let error = refused(&path);
    assert!(error.contains("sample.safetensors: holds the elements of another graph"), "{error}");
    without_sums(&path);
    Program::load(&path).unwrap();
    // Line ends and comments of another system are no other graph.
    let path = sample(&folder);
    edit(&path, |text| text.replace('\n', "\r\n"));
    Program::load(&path).unwrap();
}

/// What a wrong line of the text is answered with.
#[test]
fn wrong_lines_are_named() {
    let _drawing = drawing();
    let folder = Folder::new();
    let path = sample(&folder);
    without_sums(&path);
    let good = text(&path);
    for (from, to, part) in [
        ("allotrope 4", "allotrope 5", "line 1: this is version 5 of the text form, written by a newer allotrope"),
        ("allotrope 4", "", "begins with `allotrope`"),
        ("= tanh ", "= tanhh ", "there is no operation `tanhh`"),
        ("tensor \"w\": f32[3]", "tensor \"w\": f32[4]", "w"),
        ("tensor \"w\": f32[3] requires_grad", "tensor \"w\": f64[3] requires_grad", "w"),
        (" grad \"w.grad\"", " grad \"nothing\"", "there is no tensor \"nothing\""),
        ("argument f32[s0, 3]", "argument f32[s0, 3, 1]", "input"),
        ("argument f32[s0, 3]", "argument f32[7, 3]", "s0"),
        ("output grad tensor \"w\"", "output grad argument 1", "gradient"),
        ("input tensor \"w\"", "input tensor \"nobody\"", "there is no tensor \"nobody\""),
        ("input argument 0", "input argument 9", "does not exist"),
        ("input draw", "input argument 0", "input"),
        ("offset 2", "offset 3", "does not lie in"),
        ("offset 2", "offset 99999999999999", "does not lie in"),
        ("strides [1] in", "strides [4611686018427387904] in", "does not lie in"),
        ("variant {", "variant {\n when size s0-9 least 99999999999999999999", "line"),
        ("flag \"flag\" true", "flag \"w\" true", "flag"),
        ("tensor \"state0\": bool[3]", "tensor \"generator0\": bool[3]", "state0"),
        ("flag \"flag\" true", "flag \"flag\" maybe", "a constant of bool"),
        ("result computed", "result computed requires_grad requires_grad", "line"),
        ("result computed", "result view 0 {\n}", "a view of what is not above it"),
        ("result computed", "result computed\n  result 9", "does not exist"),
        ("result computed", "result computed\n  grad argument 0 0", "cannot be the gradient"),
        ("result computed", "result computed\n  base view 0 {\n permute axes=[0, 1]\n}", "permute"),
        ("result computed", "result computed\n  base grad tensor \"flags\"", "there is no tensor"),
        ("loop s0", "loop s0+1", "lengths of its loops"),
        ("loop s0", "loop s9", "s9"),
    ] {
        assert!(good.contains(from), "{from} in\n{good}");
        edit(&path, |_| good.replacen(from, to, 1));
        let error = refused(&path);
        assert!(error.contains(part), "{from} => {to}: {error}");
    }
    edit(&path, |_| good.clone());
    Program::load(&path).unwrap();
}

/// Elements of a file: dtype, shape, bytes.
type Entry = (Dtype, Vec<usize>, Vec<u8>);

#[test]
fn wrong_elements_are_named() {
    let _drawing = drawing();
    let folder = Folder::new();
    let path = sample(&folder);
    without_sums(&path);
    let file = path.with_extension("safetensors");
    let good = std::fs::read(&file).unwrap();
    let with = |change: &dyn Fn(&str, TensorView<'_>) -> Option<Entry>| {
        let read = SafeTensors::deserialize(&good).unwrap();
        let mut entries = Vec::new();
        for (name, view) in read.iter() {
            let kept = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            entries.push((name.to_string(), change(name, view).unwrap_or(kept)));
        }
        let views = entries.iter().filter(|(_, e)| !e.1.is_empty() || !e.2.is_empty());
        let views = views.map(|(n, (d, s, b))| (n.as_str(), TensorView::new(*d, s.clone(), b).unwrap()));
        std::fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
        refused(&path)
    };
    let only = |wanted: &'static str, e: Entry| with(&move |name, _| (name == wanted).then(|| e.clone()));
    let error = only("w", (Dtype::F64, vec![3], vec![0; 24]));
    assert!(error.contains("sample.safetensors: tensor \"w\": is f64[3], the graph says f32[3]"), "{error}");
    let error = only("w", (Dtype::F32, vec![2], vec![0; 8]));
    assert!(error.contains("tensor \"w\": is f32[2]"), "{error}");
    let error = only("w", (Dtype::U16, vec![3], vec![0; 6]));
    assert!(error.contains("has dtype U16"), "{error}");
    let error = only("w", (Dtype::F32, vec![], vec![]));
    assert!(error.contains("tensor \"w\": is in the graph, and not in this file"), "{error}");
    let mask = text(&path).lines().find(|l| l.contains("bool[3]")).unwrap().split('"').nth(1).unwrap().to_string();
    let error = with(&move |name, _| (name == mask).then(|| (Dtype::BOOL, vec![3], vec![0, 1, 2])));
    assert!(error.contains("element 2 is 2, which is no bool"), "{error}");
    let error = only("generator0", (Dtype::U8, vec![9], vec![1; 9]));
    assert!(error.contains("tensor \"generator0\": set_state"), "{error}");
    std::fs::write(&file, &good).unwrap();
    edit(&path, |text| text.replacen("tensor \"w.grad\": f32[3]\n", "", 1).replace(" grad \"w.grad\"", ""));
    let error = refused(&path);
    assert!(error.contains("\"w.grad\": is in this file, and not in the graph"), "{error}");
}

/// One change of a text.
#[derive(Clone, Debug)]
enum Change {
    Byte(usize, u8),
    Delete(usize, usize),
    Copy(usize, usize, usize),
    Line(usize, usize),
    DropLine(usize),
    Number(usize, String),
    Word(usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let at = any::<usize>;
    let number = prop_oneof![
        (0..9u64).prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        Just("-1".to_string()),
        Just("9223372036854775807".to_string()),
        Just("4294967296".to_string()),
        Just("s0*s0*s0*s0".to_string()),
        Just("s1-9".to_string()),
    ];
    let change = prop_oneof![
        (at(), b' '..b'~').prop_map(|(i, b)| Change::Byte(i, b)),
        (at(), 1..30usize).prop_map(|(i, n)| Change::Delete(i, n)),
        (at(), at(), 1..60usize).prop_map(|(i, j, n)| Change::Copy(i, j, n)),
        (at(), at()).prop_map(|(i, j)| Change::Line(i, j)),
        at().prop_map(Change::DropLine),
        (at(), number).prop_map(|(i, n)| Change::Number(i, n)),
        (at(), at()).prop_map(|(i, j)| Change::Word(i, j)),
    ];
    prop::collection::vec(change, 1..3)
}

/// Where the parts are that `part` accepts.
fn runs(text: &str, part: fn(char) -> bool) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    for (i, _) in text.char_indices().filter(|(_, c)| part(*c)) {
        match out.last_mut() {
            Some(last) if last.1 == i => last.1 += 1,
            _ => out.push((i, i + 1)),
        }
    }
    out
}

fn apply(text: &str, change: &Change) -> String {
    let mut out = text.to_string();
    let n = text.len().max(1);
    match change {
        Change::Byte(i, b) => out.replace_range(i % n..i % n + 1, &char::from(*b).to_string()),
        Change::Delete(i, k) => out.replace_range(i % n..(i % n + k).min(n), ""),
        Change::Copy(i, j, k) => out.insert_str(j % n, &text[i % n..(i % n + k).min(n)]),
        Change::Line(i, j) | Change::Word(i, j) => {
            let part: fn(char) -> bool = if matches!(change, Change::Line(..)) {
                |c| c != '\n'
            } else {
                |c| c.is_ascii_alphanumeric() || c == '_'
            };
            let all = runs(text, part);
            let (from, to) = (all[i % all.len()], all[j % all.len()]);
            out.replace_range(to.0..to.1, &text[from.0..from.1]);
        }
        Change::DropLine(i) => {
            let all = runs(text, |c| c != '\n');
            let (a, b) = all[i % all.len()];
            out.replace_range(a..b, "");
        }
        Change::Number(i, number) => {
            let all = runs(text, |c| c.is_ascii_digit());
            let (a, b) = all[i % all.len()];
            out.replace_range(a..b, number);
        }
    }
    out
}

/// Whether a call is a matter of moments: no number in it makes a large value or a long loop.
fn is_small(text: &str) -> bool {
    let numbers = runs(text, |c| c.is_ascii_digit());
    numbers.into_iter().all(|(a, b)| b - a < 5) && !text.contains("s0*s0*s0*s0")
}

proptest! {
    #![proptest_config(seed::config(400))]

    #[test]
    fn no_text_does_harm(changes in changes()) {
        thread_local!(static SAMPLE: (Folder, PathBuf, String) = {
            let folder = Folder::new();
            let _drawing = drawing();
            let path = sample(&folder);
            without_sums(&path);
            let text = text(&path);
            (folder, path, text)
        });
        SAMPLE.with(|(_, path, good)| {
            let changed = changes.iter().fold(good.clone(), |text, change| apply(&text, change));
            edit(path, |_| changed.clone());
            if let Ok(program) = Program::load(path)
                && is_small(&changed)
            {
                let _drawing = drawing();
                for n in [0, 1, 5] {
                    let _ = program.call(&[&xs(n), &index()]);
                }
            }
        });
    }

    #[test]
    fn no_elements_do_harm(at in prop::collection::vec((any::<usize>(), any::<u8>()), 1..4), cut in any::<usize>()) {
        thread_local!(static SAMPLE: (Folder, PathBuf, Vec<u8>) = {
            let folder = Folder::new();
            let _drawing = drawing();
            let path = sample(&folder);
            without_sums(&path);
            let bytes = std::fs::read(path.with_extension("safetensors")).unwrap();
            (folder, path, bytes)
        });
        SAMPLE.with(|(_, path, good)| {
            let mut bytes = good.clone();
            // The header is where most of the meaning is.
            let n = if cut % 2 == 0 { bytes.len() } else { 600.min(bytes.len()) };
            at.iter().for_each(|(i, b)| bytes[i % n] = *b);
            if cut % 5 == 0 {
                bytes.truncate(cut % good.len());
            }
            std::fs::write(path.with_extension("safetensors"), bytes).unwrap();
            if let Ok(program) = Program::load(path) {
                let _drawing = drawing();
                let _ = program.call(&[&xs(3), &index()]);
            }
        });
    }
}

#[test]
fn deep_nesting_and_wide_shapes_are_refused() {
    let _drawing = drawing();
    let folder = Folder::new();
    let path = sample(&folder);
    without_sums(&path);
    let deep = "graph() { %0: f32[] = fusion {".repeat(10_000);
    let loops = "loop s0 {".repeat(10_000);
    let axes = vec!["2"; 100].join(", ");
    let sums = (0..2000).map(|i| format!("s{i}")).collect::<Vec<_>>().join("+");
    for variant in [
        format!("variant {{ {deep}"),
        format!("variant {{ argument f32[s0] {loops}"),
        format!("variant {{ argument f32[{axes}]"),
        format!("variant {{ argument f32[{sums}]"),
        "variant { argument f32[s4000000000]".to_string(),
        format!("variant {{ argument f32[{}]", ["s0"; 64].join("*")),
    ] {
        edit(&path, |_| format!("allotrope 2\n{variant}"));
        let error = refused(&path);
        assert!(error.contains("line 2"), "{error}");
    }
}
