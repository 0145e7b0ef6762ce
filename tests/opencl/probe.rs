//! What the probe finds of a device, and what is kept on disk.

use crate::device;
use allotrope::backend::opencl::{Agreement, Arg, Cache, Verdict, What};
use std::path::PathBuf;
use std::{env, fs, process};

/// A folder of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = env::temp_dir().join(format!("allotrope-{}-{name}", process::id()));
    _ = fs::remove_dir_all(&folder);
    folder
}

#[test]
fn every_class_was_tried() {
    let Some(opened) = device() else { return };
    let verdict = opened.verdict();
    println!("{verdict:#?}");
    for what in What::ALL {
        assert_ne!(verdict.single.of(what).agreement, Agreement::Absent, "{what}");
        let is_absent = verdict.double.of(what).agreement == Agreement::Absent;
        assert!(opened.description().has_double || is_absent, "{what}");
        let finding = verdict.single.of(what);
        assert_eq!(finding.example.is_none(), finding.agreement == Agreement::Equal, "{finding:?}");
    }
    assert_ne!(verdict.half.agreement, Agreement::Absent);
    assert!(verdict.times.launch > 0.0 && verdict.times.wait > 0.0);
    assert!(verdict.times.upload > 0.0 && verdict.times.download > 0.0);
}

#[test]
fn pocl_has_equal_bits() {
    let Some(opened) = device() else { return };
    if opened.description().platform != "Portable Computing Language" {
        return;
    }
    let verdict = opened.verdict();
    for what in What::ALL {
        assert!(verdict.single.is_equal(what), "{what}: {:?}", verdict.single.of(what));
        assert!(verdict.double.is_equal(what), "{what} of f64: {:?}", verdict.double.of(what));
    }
    assert_eq!(verdict.half.agreement, Agreement::Equal);
    assert!(verdict.equal_bits());
}

#[test]
fn a_verdict_is_kept_as_text() {
    let Some(opened) = device() else { return };
    let text = serde_json::to_string(opened.verdict()).unwrap();
    let again: Verdict = serde_json::from_str(&text).unwrap();
    assert_eq!(again.single, opened.verdict().single);
    assert_eq!(again.double, opened.verdict().double);
}

#[test]
fn what_is_kept_is_found_again() {
    let folder = folder("kept");
    let cache = Cache::at(&folder, 1 << 20);
    assert_eq!(cache.get("a"), None);
    cache.put("a", b"one");
    cache.put("b", b"");
    assert_eq!(cache.get("a").as_deref(), Some(&b"one"[..]));
    assert_eq!(cache.get("b").as_deref(), Some(&b""[..]));
    cache.put("a", b"two");
    assert_eq!(Cache::at(&folder, 1 << 20).get("a").as_deref(), Some(&b"two"[..]));
    assert_eq!(cache.get("c"), None);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn damage_is_as_good_as_nothing() {
    let folder = folder("damage");
    let cache = Cache::at(&folder, 1 << 20);
    cache.put("key", b"some bytes");
    let path = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert_eq!(cache.get("key"), None, "{length} bytes");
        assert!(!path.exists(), "it is removed");
    }
    for at in 0..whole.len() {
        let mut other = whole.clone();
        other[at] ^= 1;
        fs::write(&path, other).unwrap();
        assert_eq!(cache.get("key"), None, "byte {at}");
    }
    fs::write(&path, &whole).unwrap();
    assert!(cache.get("key").is_some());
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_was_not_used_for_long_is_removed() {
    let folder = folder("limit");
    let cache = Cache::at(&folder, 3500);
    let wait = || std::thread::sleep(std::time::Duration::from_millis(20));
    for key in ["a", "b", "c"] {
        cache.put(key, &[1; 1000]);
        wait();
    }
    assert!(cache.get("a").is_some());
    wait();
    cache.put("d", &[1; 1000]);
    assert!(cache.get("b").is_none());
    assert!(["a", "c", "d"].into_iter().all(|key| cache.get(key).is_some()));
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_folder_that_cannot_be_is_no_cache() {
    let path = folder("no-folder");
    fs::write(&path, "a file").unwrap();
    let cache = Cache::at(&path, 100);
    cache.put("a", b"one");
    assert_eq!(cache.get("a"), None);
    fs::remove_file(&path).unwrap();
}

/// Runs the ignored test below with programs kept in this folder.
fn builds(folder: &std::path::Path) {
    let mut command = process::Command::new(env::current_exe().unwrap());
    let name = "probe::a_program_is_built_and_runs";
    let run = command.args([name, "--exact", "--ignored", "--test-threads=1"]).env("ALLOTROPE_OPENCL_CACHE", folder);
    let output = run.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "run by programs_are_kept"]
fn a_program_is_built_and_runs() {
    let opened = device().unwrap();
    let source = "__kernel void at_kept(__global int *x) { x[get_global_id(0)] = 7 * (int)get_global_id(0) + 1; }";
    let program = opened.build(source).unwrap();
    let kernel = opened.kernel(&program, "at_kept").unwrap();
    let x = opened.buffer(64).unwrap();
    opened.launch(&kernel, &[Arg::Buffer(&x)], [16, 1, 1], None, false).unwrap();
    let mut bytes = [0; 64];
    opened.read(&x, 0, &mut bytes).unwrap();
    let seen: Vec<i32> = bytes.as_chunks().0.iter().map(|b| i32::from_ne_bytes(*b)).collect();
    assert_eq!(seen, (0..16).map(|i| 7 * i + 1).collect::<Vec<_>>());
}

#[test]
fn programs_are_kept() {
    let Some(_) = device() else { return };
    let folder = folder("programs");
    let files = || -> Vec<PathBuf> { fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect() };
    builds(&folder);
    builds(&folder);
    let number = files().len();
    assert!((2..=3).contains(&number), "the verdict, the program, and that it was asked for: {:?}", files());
    builds(&folder);
    assert_eq!(files().len(), number);
    // Bytes that are no program, in a file that is whole.
    for path in files() {
        let file = fs::read(&path).unwrap();
        let length = 28 + u64::from_le_bytes(file[20..28].try_into().unwrap()) as usize;
        let key = String::from_utf8(file[28..length].to_vec()).unwrap();
        Cache::at(&folder, u64::MAX).put(&key, b"no program, and no verdict");
    }
    builds(&folder);
    // No file is whole.
    for path in files() {
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    }
    builds(&folder);
    fs::remove_dir_all(&folder).unwrap();
}
