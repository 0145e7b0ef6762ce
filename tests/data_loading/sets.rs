//! Data sets, collating, samplers without draws, and what does not fit.

use crate::drawing;
use allotrope::data::*;
use allotrope::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn numbers(n: i64) -> ListDataset<i64> {
    ListDataset((0..n).collect())
}

#[track_caller]
fn fails<T>(result: Result<T, Error>, part: &str) {
    let error = result.err().expect("an error").to_string();
    assert!(error.contains(part), "{error}");
}

#[test]
fn sets_are_made_of_sets() {
    let all = Arc::new(numbers(10));
    let odd = Subset::new(Arc::clone(&all), vec![1, 3, 5]);
    let joined = ConcatDataset::new(vec![odd.clone(), Subset::new(all, vec![]), odd]);
    let got: Vec<i64> = (0..joined.len()).map(|i| joined.get(i).unwrap()).collect();
    assert_eq!(got, [1, 3, 5, 1, 3, 5]);
    fails(joined.get(6), "index 6 is none of a set of 6 items");
    let doubled = joined.map(|x| Ok(2 * x));
    assert_eq!((doubled.len(), doubled.get(4).unwrap()), (6, 6));
    let boxed: Vec<Box<dyn Dataset<Item = i64>>> = vec![Box::new(numbers(2)), Box::new(FnDataset::new(1, |_| Ok(7)))];
    let mixed = ConcatDataset::new(boxed);
    assert_eq!((0..3).map(|i| mixed.get(i).unwrap()).collect::<Vec<_>>(), [0, 1, 7]);
    fails(FnDataset::new(1, |_| Ok(7)).get(1), "index 1 is none of a set of 1 items");
    fails(Subset::try_new(numbers(3), vec![0, 3]), "index 3 is none of a set of 3 items");
    fails(ConcatDataset::<ListDataset<i64>>::try_new(vec![]), "at least one set");
}

#[test]
fn rows_of_tensors_are_items() {
    let (x, y) = (Tensor::arange(6).reshape(&[3, 2]), Tensor::arange(3).to(DType::F32));
    let set = TensorDataset::new((x.clone(), y.clone()));
    let (row, label) = set.get(2).unwrap();
    assert_eq!((row.to_vec::<i64>(), label.shape().to_vec(), label.item::<f32>()), (vec![4, 5], vec![], 2.0));
    assert_eq!(TensorDataset::new(vec![x.clone(), y.clone()]).get(0).unwrap().len(), 2);
    assert_eq!(TensorDataset::new(x.clone()).get(1).unwrap().to_vec::<i64>(), [2, 3]);
    fails(set.get(3), "index 3 is none of a set of 3 items");
    fails(TensorDataset::try_new((x.clone(), Tensor::arange(2))), "equally long, got shapes [[3, 2], [2]]");
    fails(TensorDataset::try_new(Tensor::scalar(1.0f32)), "needs an axis of items");
    fails(TensorDataset::try_new(Vec::<Tensor>::new()), "at least one tensor");
}

#[test]
fn batches_have_the_form_of_the_items() {
    let options = || DataLoaderOptions { batch_size: 2, ..Default::default() };
    let items = ListDataset(vec![(1i64, 0.5f64, true), (2, 1.5, false), (3, 2.5, true)]);
    let batches: Vec<_> = DataLoader::with_options(items, options()).iter().map(Result::unwrap).collect();
    let (a, b, c) = &batches[0];
    assert_eq!((a.dtype(), b.dtype(), c.dtype()), (DType::I64, DType::F64, DType::Bool));
    assert_eq!((batches.len(), batches[1].0.to_vec::<i64>()), (2, vec![3]));
    // Vectors are batches of each place, text stays text, maps have a batch under each key.
    let items = ListDataset(vec![(vec![1.0f32, 2.0], "a".to_string()), (vec![3.0, 4.0], "b".into())]);
    let (places, text) = DataLoader::with_options(items, options()).iter().next().unwrap().unwrap();
    assert_eq!(places.iter().map(|t| t.to_vec::<f32>()).collect::<Vec<_>>(), [[1.0, 3.0], [2.0, 4.0]]);
    assert_eq!(text, ["a", "b"]);
    let map = |n: i64| BTreeMap::from([("x".to_string(), Tensor::full(&[2], n)), ("y".into(), Tensor::scalar(n))]);
    let batch = DataLoader::with_options(ListDataset(vec![map(1), map(2)]), options()).iter().next().unwrap().unwrap();
    assert_eq!((batch["x"].shape().to_vec(), batch["y"].to_vec::<i64>()), (vec![2, 2], vec![1, 2]));
    // A number that is a place is i64, and one of u8 stays that.
    assert_eq!(<(usize, u8)>::collate(vec![(1, 2)]).unwrap().0.dtype(), DType::I64);
    assert_eq!(<[f32; 2]>::collate(vec![[1.0, 2.0]]).unwrap().len(), 2);
    // What does not fit together.
    let ragged = ListDataset(vec![vec![1i64], vec![1, 2]]);
    fails(
        DataLoader::with_options(ragged, options()).iter().next().unwrap(),
        "items [0, 1] cannot be put together: vectors in a batch are equally long, got 1 and 2",
    );
    let shapes = FnDataset::new(2, |i| Ok(Tensor::ones(&[i + 1], DType::F32)));
    fails(
        DataLoader::with_options(shapes, options()).iter().next().unwrap(),
        "items [0, 1] cannot be put together: stack",
    );
    let keys = ListDataset(vec![map(1), BTreeMap::from([("x".to_string(), Tensor::full(&[2], 1i64))])]);
    fails(DataLoader::with_options(keys, options()).iter().next().unwrap(), "no \"y\"");
}

#[test]
fn loaders_take_samplers() {
    let _drawing = drawing();
    let batches = |options| -> Vec<Vec<i64>> {
        DataLoader::with_options(numbers(6), options).iter().map(|b| b.unwrap().to_vec()).collect()
    };
    let sampler = Some(Box::new(IndexSampler(vec![5, 0, 5])) as Box<dyn Sampler>);
    assert_eq!(batches(DataLoaderOptions { batch_size: 2, sampler, ..Default::default() }), [vec![5, 0], vec![5]]);
    let batch_sampler = Some(Box::new(Batched::new(SequentialSampler::new(6), 4, true)) as Box<dyn BatchSampler>);
    assert_eq!(batches(DataLoaderOptions { batch_sampler, num_workers: 2, ..Default::default() }), [[0, 1, 2, 3]]);
    let single = DataLoader::unbatched(numbers(3), DataLoaderOptions::default());
    assert_eq!(single.iter().collect::<Result<Vec<i64>, _>>().unwrap(), [0, 1, 2]);
    assert_eq!(DataLoader::new(numbers(3)).len(), 3);
    let empty = DataLoader::new(numbers(0));
    assert!(empty.is_empty() && empty.iter().next().is_none());
    // A sampler that asks for what is not there.
    let sampler = Some(Box::new(IndexSampler(vec![0, 9])) as Box<dyn Sampler>);
    let loader = DataLoader::with_options(numbers(6), DataLoaderOptions { sampler, ..Default::default() });
    let got: Vec<_> = loader.iter().collect();
    assert!(got[0].is_ok());
    fails(got.into_iter().nth(1).unwrap(), "item 9 of the data set: index 9 is none of a set of 6 items");
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    let sampler = || Some(Box::new(SequentialSampler::new(3)) as Box<dyn Sampler>);
    let batches = || Some(Box::new(Batched::new(SequentialSampler::new(3), 2, false)) as Box<dyn BatchSampler>);
    let default = DataLoaderOptions::default;
    for (options, part) in [
        (DataLoaderOptions { batch_size: 0, ..default() }, "batch_size is at least 1, got 0"),
        (DataLoaderOptions { prefetch_factor: 0, ..default() }, "prefetch_factor is at least 1"),
        (DataLoaderOptions { shuffle: true, sampler: sampler(), ..default() }, "shuffle must be false"),
        (DataLoaderOptions { batch_size: 2, batch_sampler: batches(), ..default() }, "as they are by default"),
        (DataLoaderOptions { drop_last: true, batch_sampler: batches(), ..default() }, "as they are by default"),
        (DataLoaderOptions { sampler: sampler(), batch_sampler: batches(), ..default() }, "no sampler can be given"),
    ] {
        fails(DataLoader::try_with_options(numbers(3), options), part);
    }
    fails(
        DataLoader::try_with_options(numbers(0), DataLoaderOptions { shuffle: true, ..default() }),
        "at least one item",
    );
    fails(
        DataLoader::try_unbatched(numbers(3), DataLoaderOptions { batch_size: 2, ..default() }),
        "single items have no batch_size",
    );
    fails(
        RandomSampler::try_with_options(3, RandomSamplerOptions { num_samples: Some(0), ..Default::default() }),
        "got 0 of 3",
    );
    fails(Batched::try_new(SequentialSampler::new(3), 0, false), "at least 1");
    let weighted = |w: &[f64], n, replacement| WeightedRandomSampler::try_new(w.to_vec(), n, replacement, None);
    fails(weighted(&[1.0, -1.0], 1, true), "got -1 for item 1");
    fails(weighted(&[f64::NAN], 1, true), "got NaN for item 0");
    fails(weighted(&[0.0, 0.0], 1, true), "one of the 2 weights must be above 0");
    fails(weighted(&[1.0, 0.0], 2, false), "2 different items cannot be drawn, 1 have");
    fails(weighted(&[1.0], 0, true), "num_samples 0");
}

#[test]
fn streams_come_in_batches() {
    let lines = || (0..5i64).map(|i| if i == 3 { Err(Error::Argument("line 3 is bad".into())) } else { Ok(i) });
    let loader = IterableLoader::new(lines, 2, false);
    let got: Vec<_> = loader.iter().map(|b| b.map(|t| t.to_vec::<i64>())).collect();
    assert_eq!(got[0].as_deref(), Ok(&[0, 1][..]));
    assert!(got[1].as_ref().unwrap_err().to_string().contains("line 3 is bad"));
    assert_eq!(got[2].as_deref(), Ok(&[4][..]));
    let dropped = IterableLoader::new(|| (0..5i64).map(Ok), 2, true);
    assert_eq!((dropped.iter().count(), dropped.iter().count()), (2, 2), "each pass begins anew");
    fails(IterableLoader::try_new(lines, 0, false), "at least 1");
}

#[test]
fn a_trace_has_no_batches_built_in() {
    let _drawing = drawing();
    manual_seed(3);
    let before = allotrope::tensor::random::get_rng_state();
    let loader = DataLoader::new(TensorDataset::new(Tensor::ones(&[4, 2], DType::F32)));
    let traced = trace(|x: &Tensor| x + loader.iter().next().unwrap().unwrap());
    let error = traced.call(&Tensor::ones(&[1, 2], DType::F32)).unwrap_err().to_string();
    assert!(error.contains("a batch of a DataLoader"), "{error}");
    let mut begun = loader.iter();
    let error =
        trace(|x: &Tensor| x + begun_next(&loader)).call(&Tensor::ones(&[1, 2], DType::F32)).unwrap_err().to_string();
    assert!(error.contains("DataLoader"), "{error}");
    assert!(begun.next().unwrap().is_ok());
    let shuffled = DataLoaderOptions { shuffle: true, ..Default::default() };
    let shuffled = DataLoader::with_options(numbers(4), shuffled);
    manual_seed(3);
    let traced = trace(|x: &Tensor| x + shuffled.iter().next().unwrap().unwrap());
    traced.call(&Tensor::ones(&[1], DType::F32)).unwrap_err();
    assert_eq!(allotrope::tensor::random::get_rng_state(), before, "a call that fails draws nothing");
}

fn begun_next<D: Dataset + 'static>(loader: &DataLoader<D, Tensor>) -> Tensor {
    loader.iter().next().unwrap().unwrap()
}
