//! Threads: the same batches for any number of workers, errors and panics that say which item it was, and an end.

use crate::drawing;
use allotrope::data::*;
use allotrope::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn options(batch_size: usize, num_workers: usize) -> DataLoaderOptions {
    DataLoaderOptions { batch_size, num_workers, ..Default::default() }
}

#[test]
fn any_number_of_workers_gives_the_same_batches() {
    let _drawing = drawing();
    let run = |num_workers, prefetch_factor| -> Vec<Vec<f32>> {
        manual_seed(7);
        // Later items are ready sooner, and what is drawn belongs to the item.
        let set = FnDataset::new(23, |i| {
            sleep(Duration::from_micros(((23 - i) % 5 * 200) as u64));
            let noise = item_generator().rand(&[2], DType::F32);
            Ok(noise + i as f64)
        });
        let options = DataLoaderOptions { shuffle: true, prefetch_factor, ..options(4, num_workers) };
        let loader = DataLoader::with_options(set, options);
        (0..2).flat_map(|_| loader.iter().map(|b| b.unwrap().to_vec()).collect::<Vec<_>>()).collect()
    };
    let want = run(0, 2);
    assert_eq!(want.len(), 12);
    assert_ne!(want[..6], want[6..], "each pass has an order and noise of its own");
    for (num_workers, prefetch_factor) in [(1, 1), (2, 2), (3, 1), (8, 5)] {
        assert_eq!(run(num_workers, prefetch_factor), want, "{num_workers} workers, {prefetch_factor} ahead");
    }
}

#[test]
fn an_error_says_which_item_it_was() {
    let _drawing = drawing();
    for num_workers in [0, 2] {
        let set = FnDataset::new(8, |i| match i {
            3 => Err(Error::Argument("the file is gone".into())),
            6 => panic!("item number {i} is odd"),
            i => Ok(i as i64),
        });
        let loader = DataLoader::with_options(set, options(2, num_workers));
        let got: Vec<_> = loader.iter().map(|b| b.map(|t| t.to_vec::<i64>())).collect();
        assert_eq!(got.len(), 4, "a pass goes on after an error");
        assert_eq!((got[0].as_deref(), got[2].as_deref()), (Ok(&[0, 1][..]), Ok(&[4, 5][..])));
        let Err(Error::Data { index, message }) = &got[1] else { panic!("{:?}", got[1]) };
        assert_eq!((*index, message.as_str()), (3, "the file is gone"));
        let error = got[3].as_ref().unwrap_err().to_string();
        assert_eq!(error, "item 6 of the data set: panicked: item number 6 is odd");
        let loader =
            DataLoader::with_collate(ListDataset(vec![1, 2, 3]), options(2, num_workers), |items| match items[..] {
                [3] => panic!("three"),
                _ => Ok(items),
            });
        let got: Vec<_> = loader.iter().collect();
        assert_eq!(got[0], Ok(vec![1, 2]));
        assert_eq!(
            got[1].as_ref().unwrap_err().to_string(),
            "DataLoader: items [2] cannot be put together: panicked: three"
        );
    }
}

/// Counts those that are alive.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Alive {
        count.fetch_add(1, Ordering::SeqCst);
        Alive(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn dropping_a_pass_ends_its_threads() {
    let _drawing = drawing();
    let (asked, alive) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&asked), Arc::clone(&alive));
    let set = FnDataset::new(10_000, move |i| {
        counts.0.fetch_add(1, Ordering::SeqCst);
        let _here = Alive::new(&counts.1);
        sleep(Duration::from_millis(1));
        Ok(i as i64)
    });
    let loader = DataLoader::with_options(set, options(100, 4));
    let begin = Instant::now();
    let mut pass = loader.iter();
    pass.next().unwrap().unwrap();
    drop(pass);
    // No item is being made, none will be, and nobody waited for the other batches that were asked for.
    assert_eq!(alive.load(Ordering::SeqCst), 0);
    let so_far = asked.load(Ordering::SeqCst);
    assert!((100..2000).contains(&so_far), "{so_far} items");
    sleep(Duration::from_millis(20));
    assert_eq!(asked.load(Ordering::SeqCst), so_far);
    assert!(begin.elapsed() < Duration::from_secs(20));
    // A pass of which nothing is asked, and several at a time.
    drop(loader.iter());
    let (mut a, mut b) = (loader.iter(), loader.iter());
    assert_eq!(a.next().unwrap().unwrap().to_vec::<i64>(), b.next().unwrap().unwrap().to_vec::<i64>());
}

#[test]
fn workers_make_no_more_ahead_than_they_may() {
    let _drawing = drawing();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let set = FnDataset::new(1000, move |i| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(i as i64)
    });
    let loader = DataLoader::with_options(set, DataLoaderOptions { prefetch_factor: 3, ..options(1, 2) });
    let mut pass = loader.iter();
    pass.next().unwrap().unwrap();
    sleep(Duration::from_millis(50));
    assert_eq!(asked.load(Ordering::SeqCst), 7, "one was given, and twice three are ahead");
}

#[test]
fn workers_know_who_they_are() {
    let _drawing = drawing();
    let who = |num_workers| -> Vec<Option<WorkerInfo>> {
        manual_seed(1);
        let set = FnDataset::new(4, |_| Ok(worker_info()));
        let loader = DataLoader::unbatched(set, DataLoaderOptions { num_workers, ..Default::default() });
        loader.iter().collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(who(0), [None; 4]);
    let got: Vec<WorkerInfo> = who(2).into_iter().flatten().collect();
    assert_eq!(got.iter().map(|w| w.id).collect::<Vec<_>>(), [0, 1, 0, 1], "in turn, as in PyTorch");
    // torch.manual_seed(1); torch.empty((), dtype=torch.int64).random_().item()
    assert!(got.iter().all(|w| w.num_workers == 2 && w.seed == 7_692_698_082_559_361_259 + w.id as u64), "{got:?}");
    assert_eq!(worker_info(), None);
}

#[test]
fn workers_compute_whatever_the_caller_records() {
    let _drawing = drawing();
    // A pass is begun; while a trace is recorded on this thread, its workers go on eagerly.
    let set = FnDataset::new(64, |i| {
        let x = Tensor::full(&[3], i as f32);
        sleep(Duration::from_millis(1));
        Ok((x * 2.0).sum())
    });
    let loader = DataLoader::with_options(set, options(4, 2));
    let pass = loader.iter();
    let traced = trace(|x: &Tensor| {
        sleep(Duration::from_millis(10));
        x.sin().sum()
    });
    let mut sum = 0.0;
    for batch in pass {
        let batch = batch.unwrap();
        traced.call(&batch).unwrap();
        sum += batch.sum().item::<f32>();
    }
    assert_eq!(sum, (0..64).map(|i| 6.0 * i as f32).sum::<f32>());
    // Tensors that require gradients are as on one thread.
    let x = Tensor::ones(&[4, 2], DType::F32).requires_grad();
    let loader = DataLoader::with_options(TensorDataset::new(x.clone()), options(2, 2));
    loader.iter().for_each(|batch| batch.unwrap().sum().backward());
    assert_eq!(x.grad().unwrap().to_vec::<f32>(), [1.0; 8]);
}
