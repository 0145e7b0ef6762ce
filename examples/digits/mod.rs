//! Pictures of digits for the examples: MNIST from a folder, or, where there is none, digits drawn from a small font, each pushed
//! about and spotted at random.

use allotrope::data::Mnist;
use allotrope::prelude::*;
use std::path::Path;

/// Pictures `[n, 28, 28]` of numbers in [0, 1] with their labels `[n]`, for training and for testing.
pub struct Digits {
    pub train: (Tensor, Tensor),
    pub test: (Tensor, Tensor),
}

impl Digits {
    /// MNIST in the folder, or drawn digits where none is named. A folder with the 10,000 test images only gives the first 8,000 for
    /// training and the last 2,000 for testing.
    pub fn load(folder: Option<&Path>) -> Result<Digits, Error> {
        let Some(folder) = folder else {
            return Ok(Digits { train: drawn(800, 1)?, test: drawn(200, 2)? });
        };
        let test = Mnist::load(folder, false)?;
        // A file that is there and damaged is an error, one that is not there is not.
        if has_training_images(folder) {
            let train = Mnist::load(folder, true)?;
            return Ok(Digits { train: (train.images, train.labels), test: (test.images, test.labels) });
        }
        let n = test.labels.shape()[0];
        let part = |from: usize, to: usize| {
            let rows = |t: &Tensor| t.narrow(0, from as isize, to - from);
            (rows(&test.images), rows(&test.labels))
        };
        Ok(Digits { train: part(0, n * 4 / 5), test: part(n * 4 / 5, n) })
    }
}

fn has_training_images(folder: &Path) -> bool {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.map(|file| file.file_name()).any(|name| name.to_string_lossy().starts_with("train-images"))
}

/// Five columns and seven rows for each digit.
const FONT: [[&str; 7]; 10] = [
    [".###.", "#...#", "#..##", "#.#.#", "##..#", "#...#", ".###."],
    ["..#..", ".##..", "..#..", "..#..", "..#..", "..#..", ".###."],
    [".###.", "#...#", "....#", "..##.", ".#...", "#....", "#####"],
    [".###.", "#...#", "....#", "..##.", "....#", "#...#", ".###."],
    ["...#.", "..##.", ".#.#.", "#..#.", "#####", "...#.", "...#."],
    ["#####", "#....", "####.", "....#", "....#", "#...#", ".###."],
    ["..##.", ".#...", "#....", "####.", "#...#", "#...#", ".###."],
    ["#####", "....#", "...#.", "..#..", ".#...", ".#...", ".#..."],
    [".###.", "#...#", "#...#", ".###.", "#...#", "#...#", ".###."],
    [".###.", "#...#", "#...#", ".####", "....#", "...#.", ".##.."],
];

/// `n` digits, each turned, stretched, shifted and spotted as the seed says, which leaves the default generator alone.
fn drawn(n: usize, seed: u64) -> Result<(Tensor, Tensor), Error> {
    let generator = Generator::new(seed);
    let labels = generator.randint(0, 10, &[n]);
    let changes = generator.uniform(&[n, 6], DType::F32, -1.0, 1.0).try_to_vec::<f32>()?;
    let mut pixels = Vec::with_capacity(n * 28 * 28);
    for (label, change) in labels.try_to_vec::<i64>()?.into_iter().zip(changes.chunks(6)) {
        let &[right, down, wide, high, slant, turn] = change else { continue };
        for (y, x) in (0..28).flat_map(|y| (0..28).map(move |x| (y as f32, x as f32))) {
            let (x, y) = (x - 13.5 - 1.5 * right, y - 13.5 - 1.5 * down);
            let column = (x + 0.2 * slant * y) / (3.0 + 0.5 * wide) + 2.0;
            let row = (y + 0.2 * turn * x) / (2.8 + 0.3 * high) + 3.0;
            pixels.push(ink(&FONT[label as usize], column, row));
        }
    }
    let spots = generator.randn(&[n, 28, 28], DType::F32) * 0.15;
    Ok(((Tensor::from_vec(pixels, &[n, 28, 28]) + spots).clamp(0.0, 1.0), labels))
}

/// How dark the glyph is at a place between its dots, by linear interpolation.
fn ink(glyph: &[&str; 7], column: f32, row: f32) -> f32 {
    let dot = |column: f32, row: f32| {
        let inside = (0.0..5.0).contains(&column) && (0.0..7.0).contains(&row);
        f32::from(inside && glyph[row as usize].as_bytes()[column as usize] == b'#')
    };
    let (left, top) = (column.floor(), row.floor());
    let (right, down) = (column - left, row - top);
    let line = |row: f32| dot(left, row) * (1.0 - right) + dot(left + 1.0, row) * right;
    line(top) * (1.0 - down) + line(top + 1.0) * down
}
