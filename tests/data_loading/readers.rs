//! IDX, CSV and image files: what is in them, and files that are damaged or lie.

use crate::{Folder, root};
use allotrope::data::*;
use allotrope::prelude::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// An IDX file.
fn idx(kind: u8, shape: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, kind, shape.len() as u8];
    shape.iter().for_each(|n| out.extend(n.to_be_bytes()));
    out.extend(elements);
    out
}

#[track_caller]
fn fails<T>(result: Result<T, Error>, part: &str) {
    let error = result.err().expect("an error").to_string();
    assert!(error.contains(part), "{part}: {error}");
}

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

/// Reads the file cut off at every byte, and with changed bytes; gives how many of those were refused.
fn harmed(path: &Path, whole: &[u8], read: &dyn Fn(&Path) -> Result<(), Error>) -> (usize, usize) {
    let mut dice = Dice(0x9876_5432_1234_5678);
    let cut = (0..whole.len()).filter(|&n| {
        std::fs::write(path, &whole[..n]).unwrap();
        read(path).is_err()
    });
    let cut = cut.count();
    let changed = (0..1000).filter(|_| {
        let mut bytes = whole.to_vec();
        for _ in 0..=dice.next(3) {
            let at = dice.next(bytes.len());
            bytes[at] = if dice.next(3) == 0 { 0xff } else { dice.next(256) as u8 };
        }
        std::fs::write(path, bytes).unwrap();
        read(path).is_err()
    });
    (cut, changed.count())
}

#[test]
fn idx_files_of_every_type_are_read() {
    let folder = Folder::new();
    let read = |bytes: Vec<u8>| read_idx(folder.with("x", bytes)).unwrap();
    let x = read(idx(0x08, &[2, 3], &[0, 1, 2, 253, 254, 255]));
    assert_eq!(
        (x.dtype(), x.shape().to_vec(), x.to_vec::<u8>()),
        (DType::U8, vec![2, 3], vec![0, 1, 2, 253, 254, 255])
    );
    assert_eq!(read(gzip(&idx(0x08, &[3], &[1, 2, 3]))).to_vec::<u8>(), [1, 2, 3]);
    assert_eq!(read(idx(0x09, &[2], &[1, 255])).to_vec::<i32>(), [1, -1]);
    assert_eq!(read(idx(0x0b, &[2], &[1, 0, 255, 255])).to_vec::<i32>(), [256, -1]);
    assert_eq!(read(idx(0x0c, &[1], &[0, 0, 1, 0])).to_vec::<i32>(), [256]);
    assert_eq!(read(idx(0x0d, &[1], &1.5f32.to_be_bytes())).to_vec::<f32>(), [1.5]);
    assert_eq!(read(idx(0x0e, &[1], &0.1f64.to_be_bytes())).to_vec::<f64>(), [0.1]);
    assert_eq!(read(idx(0x08, &[0, 28, 28], &[])).shape().to_vec(), [0, 28, 28]);
}

#[test]
fn idx_files_that_lie_are_refused() {
    let folder = Folder::new();
    let zeros = gzip(&vec![0; 200_000_000]);
    let mut bomb = gzip(&idx(0x08, &[1 << 30, 1 << 30], &[]));
    bomb.extend(&zeros);
    let mut second = gzip(&idx(0x08, &[10], &[]));
    second.extend(&zeros);
    for (bytes, part) in [
        (vec![], "no whole IDX file"),
        (b"\x89PNG".to_vec(), "begins with [89, 50, 4e, 47]"),
        (idx(0x07, &[1], &[0]), "type 0x07"),
        (idx(0x08, &[3], &[0, 0]), "fewer than 3 bytes"),
        (idx(0x08, &[3], &[0; 4]), "more than 3 bytes"),
        (idx(0x08, &[u32::MAX; 3], &[0; 4]), "more than its 20 bytes can hold"),
        (idx(0x0e, &[u32::MAX; 200], &[0; 4]), "can hold"),
        (idx(0x08, &[100_000_000], &[0; 4]), "can hold"),
        (gzip(&idx(0x08, &[60_000_000], &[0; 4])), "fewer than 60000000 bytes"),
        (bomb, "can hold"),
        (second, "more than 10 bytes"),
        (idx(0x08, &[0; 200], &[]), ""),
    ] {
        fails(read_idx(folder.with("x", bytes)), part);
    }
    fails(read_idx(folder.file("nowhere")), "nowhere: cannot be read");
    let whole = gzip(&idx(0x08, &[5, 4], &[7; 20]));
    let (cut, changed) = harmed(&folder.file("y"), &whole, &|path| read_idx(path).map(drop));
    assert_eq!(cut, whole.len());
    assert!(changed > 500, "{changed}");
    let whole = idx(0x0c, &[5, 4], &[7; 80]);
    assert_eq!(harmed(&folder.file("y"), &whole, &|path| read_idx(path).map(drop)).0, whole.len());
}

#[test]
fn mnist_is_read() {
    let folder = root().join("../shared/data/mnist");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    }
    let Mnist { images, labels } = Mnist::load(&folder, false).unwrap();
    assert_eq!((images.shape().to_vec(), labels.shape().to_vec()), (vec![10_000, 28, 28], vec![10_000]));
    assert_eq!(labels.narrow(0, 0, 10).to_vec::<i64>(), [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    let (least, most) = (images.min().item::<f32>(), images.max().item::<f32>());
    assert_eq!((least, most), (0.0, 1.0));
    // torch: (images.float() / 255).mean() in double.
    let mean = images.to(DType::F64).mean().item::<f64>();
    assert!((mean - 0.132_514_607).abs() < 1e-6, "{mean}");
    fails(Mnist::load(&folder, true), "has no file train-images-idx3-ubyte");
}

#[test]
fn mnist_of_any_name_and_wrong_files() {
    let folder = Folder::new();
    folder.with("train-images.idx3-ubyte", idx(0x08, &[2, 2, 2], &[0, 51, 102, 153, 204, 255, 0, 0]));
    folder.with("train-labels-idx1-ubyte.gz", gzip(&idx(0x08, &[2], &[3, 9])));
    let set = Mnist::load(&folder.0, true).unwrap();
    assert_eq!(set.images.to_vec::<f32>()[..3], [0.0, 0.2, 0.4]);
    assert_eq!(set.labels.to_vec::<i64>(), [3, 9]);
    folder.with("train-labels-idx1-ubyte.gz", idx(0x08, &[3], &[3, 9, 1]));
    fails(Mnist::load(&folder.0, true), "has 3 labels, and there are 2 images");
    folder.with("train-labels-idx1-ubyte.gz", idx(0x08, &[1, 2], &[3, 9]));
    fails(Mnist::load(&folder.0, true), "labels are u8 with 1 axes");
    fails(Mnist::load(&folder.0, false), "has no file t10k-images-idx3-ubyte");
}

#[test]
fn tables_are_read() {
    let folder = Folder::new();
    let text = "\u{feff}a, b ,name,flag\r\n1,2.5,\"x, y\",true\r\n\r\n-3,1e3,z,0\r\n";
    let table = read_csv(folder.with("t.csv", text), CsvOptions::default()).unwrap();
    assert_eq!((table.names(), table.len()), (&["a", "b", "name", "flag"].map(String::from)[..], 2));
    let x = table.tensor(&["b", "a"], DType::F32).unwrap();
    assert_eq!((x.shape().to_vec(), x.to_vec::<f32>()), (vec![2, 2], vec![2.5, 1.0, 1000.0, -3.0]));
    assert_eq!(table.column("a", DType::I64).unwrap().to_vec::<i64>(), [1, -3]);
    assert_eq!(table.column("flag", DType::Bool).unwrap().to_vec::<bool>(), [true, false]);
    assert_eq!(table.text("name").unwrap(), ["x, y", "z"]);
    let (labels, names) = table.classes("name").unwrap();
    assert_eq!((labels.to_vec::<i64>(), names), (vec![0, 1], vec!["x, y".to_string(), "z".into()]));
    fails(table.column("c", DType::F32), "has no column \"c\"; its columns are [\"a\", \"b\", \"name\", \"flag\"]");
    fails(table.column("name", DType::F32), "line 2, column \"name\": \"x, y\" is no number of f32");
    fails(table.column("b", DType::I64), "line 2, column \"b\": \"2.5\" is no number of i64");
    fails(table.column("a", DType::U8), "line 4, column \"a\": \"-3\" is no number of u8");
    fails(table.column("a", DType::F16), "f32, f64, i64");
    let options = CsvOptions { has_header: false, delimiter: b';', comment: Some(b'#'), ..Default::default() };
    let table = read_csv(folder.with("t.csv", "# about\n1;2\n3;4\n"), options).unwrap();
    assert_eq!(table.names(), ["0", "1"]);
    assert_eq!(table.tensor(&["1", "0"], DType::I32).unwrap().to_vec::<i32>(), [2, 1, 4, 3]);
    let empty = read_csv(folder.with("t.csv", "a,b\n"), CsvOptions::default()).unwrap();
    assert_eq!((empty.is_empty(), empty.tensor(&["a"], DType::F32).unwrap().shape().to_vec()), (true, vec![0, 1]));
    assert_eq!(read_csv(folder.with("t.csv", ""), CsvOptions::default()).unwrap().len(), 0);
}

#[test]
fn missing_values_are_errors_or_no_numbers() {
    let folder = Folder::new();
    let path = folder.with("t.csv", "a,b\n1,2\n,NA\n3,nan\n");
    let table = read_csv(&path, CsvOptions::default()).unwrap();
    fails(table.column("a", DType::F32), "t.csv: line 3, column \"a\": there is no value");
    fails(table.tensor(&["b"], DType::F64), "line 3, column \"b\": there is no value");
    fails(table.classes("b"), "line 3, column \"b\": there is no value");
    let table = read_csv(&path, CsvOptions { missing: Missing::NaN, ..Default::default() }).unwrap();
    let x = table.tensor(&["a", "b"], DType::F32).unwrap().to_vec::<f32>();
    assert_eq!(x.iter().map(|x| x.is_nan()).collect::<Vec<_>>(), [false, false, true, true, false, true]);
    fails(table.column("a", DType::I64), "there is no value, and i64 has no NaN");
}

#[test]
fn tables_that_are_damaged_are_refused() {
    let folder = Folder::new();
    for (text, part) in [
        (&b"a,b\n1,2\n3\n"[..], "line 3: has 1 cells, and the lines before have 2"),
        (b"a,b\n1,2,3\n", "line 2: has 3 cells"),
        (b"a,a\n1,2\n", "two columns \"a\""),
        (b"a,b\n1,\xff\n", "line 2: is not UTF-8"),
        (b"a,\xff\n1,2\n", "is not UTF-8"),
    ] {
        fails(read_csv(folder.with("t.csv", text), CsvOptions::default()), part);
    }
    fails(read_csv(&folder.0, CsvOptions::default()), "it is no file");
    let whole = b"a,b,c\n1,2.5,\"x\"\n3,4.5,\"y \"\" z\"\n";
    let read = |path: &Path| {
        let table = read_csv(path, CsvOptions::default())?;
        table.tensor(&["a", "b"], DType::F64)?;
        table.classes("c").map(drop)
    };
    let (cut, changed) = harmed(&folder.file("t.csv"), whole, &read);
    assert!(cut > 10 && changed > 200, "{cut}, {changed}");
}

/// A picture of 3 x 2 pixels.
fn picture(format: image::ImageFormat) -> Vec<u8> {
    let pixels = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0, 0, 0], [255, 255, 255], [10, 20, 30]];
    let mut rgb = image::RgbImage::new(3, 2);
    pixels.iter().enumerate().for_each(|(i, p)| rgb.put_pixel(i as u32 % 3, i as u32 / 3, image::Rgb(*p)));
    let mut out = std::io::Cursor::new(Vec::new());
    rgb.write_to(&mut out, format).unwrap();
    out.into_inner()
}

#[test]
fn folders_of_images_are_read_in_order() {
    let folder = Folder::new();
    let (png, jpeg) = (picture(image::ImageFormat::Png), picture(image::ImageFormat::Jpeg));
    folder.with("dog/b.png", &png);
    folder.with("dog/a.JPG", &jpeg);
    folder.with("dog/notes.txt", "no image");
    folder.with("cat/inner/z.png", &png);
    folder.with("cat/y.jpeg", &jpeg);
    folder.with("readme.txt", "no class");
    let set = ImageFolder::new(&folder.0).unwrap();
    assert_eq!(set.classes(), ["cat", "dog"]);
    let names: Vec<_> =
        set.images().iter().map(|(p, c)| (p.strip_prefix(&folder.0).unwrap().display().to_string(), *c)).collect();
    let want = [("cat/y.jpeg", 0), ("cat/inner/z.png", 0), ("dog/a.JPG", 1), ("dog/b.png", 1)]
        .map(|(n, c)| (n.to_string(), c));
    assert_eq!(names, want);
    let (image, class) = set.get(3).unwrap();
    assert_eq!((image.dtype(), image.shape().to_vec(), class), (DType::F32, vec![3, 2, 3], 1));
    assert_eq!(image.select(0, 0).to_vec::<f32>(), [1.0, 0.0, 0.0, 0.0, 1.0, 10.0 / 255.0]);
    let bytes = ImageFolderOptions { pixels: Pixels::Byte, grayscale: true };
    let gray = ImageFolder::with_options(&folder.0, bytes).unwrap().get(3).unwrap().0;
    // PIL.Image.convert("L")
    assert_eq!((gray.shape().to_vec(), gray.to_vec::<u8>()), (vec![1, 2, 3], vec![76, 150, 29, 0, 255, 18]));
    let (jpeg, _) = set.get(0).unwrap();
    assert_eq!(jpeg.shape().to_vec(), [3, 2, 3]);
    let loader =
        DataLoader::with_options(set, DataLoaderOptions { batch_size: 4, num_workers: 2, ..Default::default() });
    let (images, classes) = loader.iter().next().unwrap().unwrap();
    assert_eq!((images.shape().to_vec(), classes.to_vec::<i64>()), (vec![4, 3, 2, 3], vec![0, 0, 1, 1]));
}

#[test]
fn folders_and_images_that_do_not_fit_are_refused() {
    let folder = Folder::new();
    fails(ImageFolder::new(folder.file("nowhere")), "nowhere: cannot be read");
    fails(ImageFolder::new(&folder.0), "has no folders");
    folder.with("a/x.txt", "");
    fails(ImageFolder::new(&folder.0), "a: has no images; those are files ending in png, jpg, jpeg");
    let path = folder.with("a/x.png", "no image");
    let set = ImageFolder::new(&folder.0).unwrap();
    fails(set.get(0), "x.png: is no whole image");
    fails(set.get(1), "index 1 is none of a set of 1 items");
    let read = |_: &Path| set.get(0).map(drop);
    for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg] {
        let whole = picture(format);
        let (cut, changed) = harmed(&path, &whole, &read);
        assert!(cut > whole.len() / 2 && changed > 50, "{format:?}: {cut} of {}, {changed}", whole.len());
    }
    // A header that says 60,000 x 60,000 pixels.
    let mut png = picture(image::ImageFormat::Png);
    png[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    png[20..24].copy_from_slice(&60_000u32.to_be_bytes());
    std::fs::write(&path, png).unwrap();
    fails(set.get(0), "x.png: is no whole image");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&folder.0, folder.file("a/around")).unwrap();
        fails(ImageFolder::new(&folder.0), "is a link to a folder that it is in");
    }
}
