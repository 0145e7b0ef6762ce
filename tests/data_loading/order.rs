//! The orders of samplers, loaders and splits are PyTorch's, and so is what the default generator draws afterwards.

use crate::{after, drawing, golden, list, root};
use allotrope::data::*;
use allotrope::prelude::*;
use serde_json::Value;

fn cases(kind: &str) -> Vec<Value> {
    let text = std::fs::read(root().join("tests/data/loading.json")).unwrap();
    let all: Value = serde_json::from_slice(&text).unwrap();
    all[kind].as_array().unwrap().clone()
}

fn indices(v: &Value) -> Vec<usize> {
    list(v).into_iter().map(|n| n as usize).collect()
}

fn own(case: &Value) -> Option<Generator> {
    case["own"].as_u64().map(Generator::new)
}

#[track_caller]
fn assert_passes(case: &Value, sampler: &dyn Sampler) {
    for pass in case["passes"].as_array().unwrap() {
        assert_eq!(sampler.iter().unwrap().collect::<Vec<_>>(), indices(pass), "{case}");
        assert_eq!(sampler.len(), indices(pass).len());
    }
    assert_eq!(after(), indices(&case["after"]).iter().map(|&n| n as i64).collect::<Vec<_>>(), "{case}");
}

#[test]
fn samplers_have_the_orders_of_pytorch() {
    let _drawing = drawing();
    let all = cases("samplers");
    assert!(all.len() > 50);
    for case in &all {
        manual_seed(case["seed"].as_u64().unwrap());
        if case["kind"] == "subset" {
            assert_passes(case, &SubsetRandomSampler::new(indices(&case["indices"]), own(case)));
        } else {
            let options = RandomSamplerOptions {
                replacement: case["replacement"].as_bool().unwrap(),
                num_samples: case["count"].as_u64().map(|n| n as usize),
                generator: own(case),
            };
            assert_passes(case, &RandomSampler::with_options(case["n"].as_u64().unwrap() as usize, options));
        }
    }
}

#[test]
fn weighted_samplers_draw_what_pytorch_draws() {
    let _drawing = drawing();
    for case in &cases("weighted") {
        manual_seed(case["seed"].as_u64().unwrap());
        let count = case["count"].as_u64().unwrap() as usize;
        let sampler = WeightedRandomSampler::new(
            list(&case["weights"]),
            count,
            case["replacement"].as_bool().unwrap(),
            own(case),
        );
        assert_passes(case, &sampler);
    }
}

#[test]
fn splits_are_those_of_pytorch() {
    let _drawing = drawing();
    for case in &cases("splits") {
        manual_seed(case["seed"].as_u64().unwrap());
        let set = ListDataset((0..case["n"].as_i64().unwrap()).collect());
        let (lengths, generator) = (&case["lengths"], own(case));
        let parts = if lengths[0].is_f64() {
            random_split(set, &list(lengths)[..], generator.as_ref())
        } else {
            random_split(set, &indices(lengths)[..], generator.as_ref())
        };
        let got: Vec<Vec<usize>> = parts.iter().map(|p| p.indices().to_vec()).collect();
        let want: Vec<Vec<usize>> = case["parts"].as_array().unwrap().iter().map(indices).collect();
        assert_eq!(got, want, "{case}");
        assert_eq!(after(), list(&case["after"]).iter().map(|&n| n as i64).collect::<Vec<_>>(), "{case}");
    }
}

#[test]
fn loaders_have_the_batches_of_pytorch() {
    let _drawing = drawing();
    let all = cases("loaders");
    assert!(all.len() >= 40);
    for case in &all {
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let is = |key: &str| case[key].as_bool().unwrap();
        // PyTorch draws at the beginning of a pass with workers, and at its first batch without, so each has cases of its own.
        let options = DataLoaderOptions {
            batch_size: number("batch"),
            shuffle: is("shuffle"),
            drop_last: is("drop"),
            num_workers: number("workers"),
            generator: own(case),
            ..Default::default()
        };
        manual_seed(number("seed") as u64);
        let loader = DataLoader::with_options(ListDataset((0..number("n") as i64).collect::<Vec<_>>()), options);
        let as_numbers = |v: &Value| list(v).into_iter().map(|n| n as i64).collect::<Vec<_>>();
        for (pass, between) in case["passes"].as_array().unwrap().iter().zip(case["between"].as_array().unwrap()) {
            let batches = loader.iter();
            assert_eq!(after(), as_numbers(between), "when a pass has begun: {case}");
            let got: Vec<Vec<i64>> = batches.map(|b| b.unwrap().to_vec()).collect();
            let want: Vec<Vec<i64>> = pass.as_array().unwrap().iter().map(as_numbers).collect();
            assert_eq!(got, want, "{case}");
            assert_eq!(loader.len(), got.len());
        }
        assert_eq!(after(), as_numbers(&case["after"]), "{case}");
    }
}

#[test]
fn the_golden_loader_has_these_batches() {
    let _drawing = drawing();
    for (path, golden) in golden("dataloader") {
        for num_workers in [0, 1, 3] {
            manual_seed(golden["seed"].as_u64().unwrap());
            let (x, y) = (Tensor::linspace(1.0, 10.0, 10), Tensor::linspace(10.0, 1.0, 10));
            let batch_size = golden["inputs"]["batch_size"].as_u64().unwrap() as usize;
            let options = DataLoaderOptions { batch_size, shuffle: true, num_workers, ..Default::default() };
            let loader = DataLoader::with_options(TensorDataset::new((x, y)), options);
            let mut got: Vec<[Vec<f32>; 2]> = Vec::new();
            for _ in 0..golden["inputs"]["epochs"].as_u64().unwrap() {
                for batch in &loader {
                    let (x, y) = batch.unwrap();
                    got.push([x.to_vec(), y.to_vec()]);
                }
            }
            let want = golden["batches"].as_array().unwrap();
            assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(want) {
                for (got, want) in got.iter().zip(want.as_array().unwrap()) {
                    let got: Vec<f64> = got.iter().map(|&x| x.into()).collect();
                    assert_eq!(got, list(want), "{}, {num_workers} workers", path.display());
                }
            }
            println!("{}, {num_workers} workers: {} batches are equal", path.display(), got.len());
        }
    }
}

#[test]
fn a_failed_split_draws_nothing() {
    let _drawing = drawing();
    manual_seed(3);
    let before = allotrope::tensor::random::get_rng_state();
    let set = || ListDataset(vec![0i64; 10]);
    for (error, part) in [
        (try_random_split(set(), &[3usize, 8], None).err(), "[3, 8] do not add up to the 10 items"),
        (try_random_split(set(), &[usize::MAX, 11], None).err(), "do not add up"),
        (try_random_split(set(), &[0.5, 0.6], None).err(), "add up to 1"),
        (try_random_split(set(), &[1.5, -0.5], None).err(), "in [0, 1]"),
        (try_random_split(set(), &[f64::NAN], None).err(), "add up to 1"),
    ] {
        let error = error.unwrap().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(allotrope::tensor::random::get_rng_state(), before);
}
