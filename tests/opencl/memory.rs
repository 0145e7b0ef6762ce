//! The pool of a device's memory: places, what is given back, limits, and what is said where there is no more.

use crate::device;
use allotrope::backend::opencl::{self, Arg, Block, Buffer, Limits, Pool, Refused, Usage};
use allotrope::backend::{Backend, DeviceMemory};
use allotrope::ir::DType;
use allotrope::{Device, Error, Tensor};
use std::cell::RefCell;
use std::sync::Arc;
use std::thread;

const MIB: usize = 1 << 20;
const SMALL_SLAB: usize = 4 * MIB;

/// A pool whose slabs are tiny buffers, whatever it asked for: nothing is done with them.
struct Tried {
    pool: Arc<Pool>,
    asked: RefCell<Vec<usize>>,
    /// More than this a slab may not have.
    promised: usize,
}

impl Tried {
    fn new(total: usize, largest: usize, kept: usize, promised: usize) -> Tried {
        let pool = Arc::new(Pool::new(Limits { total, largest, kept, apart: false }));
        Tried { pool, asked: RefCell::default(), promised }
    }

    fn block(&self, bytes: usize) -> Result<Block, Refused<()>> {
        self.pool.block(bytes, |slab| {
            self.asked.borrow_mut().push(slab);
            if slab <= self.promised { Ok(tiny()) } else { Err(()) }
        })
    }
}

fn tiny() -> Buffer {
    opencl::of(0).opened().unwrap().buffer(1).unwrap()
}

#[test]
fn small_blocks_share_a_slab_and_places_are_used_again() {
    let Some(_) = device() else { return };
    let tried = Tried::new(1 << 30, 1 << 30, 0, usize::MAX);
    let sizes = [0, 1, 255, 256, 257, 1000];
    let blocks: Vec<Block> = sizes.iter().map(|n| tried.block(*n).unwrap()).collect();
    let offsets: Vec<usize> = blocks.iter().map(Block::offset).collect();
    assert_eq!(offsets, [0, 256, 512, 768, 1024, 1536]);
    assert_eq!(blocks.iter().map(DeviceMemory::bytes).collect::<Vec<_>>(), sizes);
    assert_eq!(*tried.asked.borrow(), [SMALL_SLAB]);
    assert_eq!(tried.pool.usage(), Usage { used: 2560, held: SMALL_SLAB, unused: 0 });
    // A place between two others is taken before the rest of the slab, and places that touch become one.
    let mut blocks = blocks;
    drop(blocks.remove(2));
    drop(blocks.remove(2));
    let block = tried.block(512).unwrap();
    assert_eq!(block.offset(), 512);
    drop(blocks);
    drop(block);
    assert_eq!(tried.pool.usage(), Usage::default(), "nothing is kept");
}

#[test]
fn large_blocks_have_slabs_of_their_own_which_are_kept() {
    let Some(_) = device() else { return };
    let tried = Tried::new(1 << 30, 1 << 30, 10 * MIB, usize::MAX);
    let (a, b) = (tried.block(5 * MIB).unwrap(), tried.block(8 * MIB).unwrap());
    assert_eq!(*tried.asked.borrow(), [6 * MIB, 8 * MIB]);
    drop(a);
    assert_eq!(tried.pool.usage(), Usage { used: 8 * MIB, held: 14 * MIB, unused: 6 * MIB });
    let c = tried.block(6 * MIB - 255).unwrap();
    assert_eq!(tried.asked.borrow().len(), 2, "a slab that was kept is used again");
    drop(b);
    drop(c);
    // 14 MiB would be kept: the largest slab goes.
    assert_eq!(tried.pool.usage(), Usage { used: 0, held: 6 * MIB, unused: 6 * MIB });
    tried.pool.release();
    assert_eq!(tried.pool.usage(), Usage::default());
}

#[test]
fn a_full_pool_gives_kept_slabs_back_first() {
    let Some(_) = device() else { return };
    let tried = Tried::new(16 * MIB, 12 * MIB, usize::MAX, usize::MAX);
    assert_eq!(tried.block(12 * MIB + 1).err(), Some(Refused::TooLarge { largest: 12 * MIB }));
    assert_eq!(tried.block(usize::MAX).err(), Some(Refused::TooLarge { largest: 12 * MIB }));
    drop(tried.block(8 * MIB).unwrap());
    let a = tried.block(12 * MIB).unwrap();
    assert_eq!(tried.pool.usage(), Usage { used: 12 * MIB, held: 12 * MIB, unused: 0 });
    // There is no room for a slab of 6 MiB, nor for one of 5; 4 are there.
    assert_eq!(tried.block(5 * MIB).err(), Some(Refused::Full { available: 4 * MIB }));
    let b = tried.block(3 * MIB).unwrap();
    assert_eq!(tried.block(1).err(), Some(Refused::Full { available: MIB }), "a slab of 4 MiB has 3 of them only");
    drop(a);
    assert!(tried.block(1).is_ok());
    drop(b);
}

#[test]
fn a_driver_that_promised_too_much() {
    let Some(_) = device() else { return };
    let tried = Tried::new(1 << 40, 1 << 40, usize::MAX, 5 * MIB);
    // A slab as it should be is refused, one that is just large enough is not.
    assert!(tried.block(5 * MIB).is_ok());
    assert_eq!(*tried.asked.borrow(), [6 * MIB, 6 * MIB, 5 * MIB]);
    assert_eq!(tried.block(5 * MIB + 1).err(), Some(Refused::Device(())));
    assert_eq!(tried.pool.usage().used, 0);
}

#[test]
fn blocks_of_any_history_never_overlap() {
    let Some(_) = device() else { return };
    let tried = Tried::new(64 * MIB, 64 * MIB, 8 * MIB, usize::MAX);
    let mut state = 12345u64;
    let mut random = move |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut blocks: Vec<Block> = Vec::new();
    for _ in 0..4000 {
        if random(5) < 3 {
            let bytes = match random(4) {
                0 => random(3 << 20),
                _ => random(5000),
            };
            blocks.extend(tried.block(bytes as usize).ok());
        } else if !blocks.is_empty() {
            let at = random(blocks.len() as u64) as usize;
            drop(blocks.swap_remove(at));
        }
        let mut places: Vec<(*const Buffer, usize, usize)> =
            blocks.iter().map(|b| (&raw const *b.buffer(), b.offset(), b.bytes().max(1))).collect();
        places.sort_unstable();
        assert!(places.windows(2).all(|two| two[0].0 != two[1].0 || two[0].1 + two[0].2 <= two[1].1));
        let usage = tried.pool.usage();
        let used: usize = blocks.iter().map(|b| b.bytes().max(1).next_multiple_of(256)).sum();
        assert!(usage.used == used && usage.held <= 64 * MIB && usage.unused <= 8 * MIB, "{usage:?}");
    }
    drop(blocks);
    tried.pool.release();
    assert_eq!(tried.pool.usage(), Usage::default());
}

#[test]
fn bytes_go_there_and_back() {
    let Some(_) = device() else { return };
    let backend = opencl::of(0);
    for n in [0, 1, 7, 8, 4097, 300_000] {
        let bytes: Vec<u8> = (0..n).map(|i| (i * 7 + i / 251) as u8).collect();
        let memory = backend.upload(DType::U8, &bytes).unwrap();
        assert_eq!(memory.bytes(), n);
        assert_eq!(*backend.download(&memory, 0..n).unwrap(), bytes);
        assert_eq!(*backend.download(&memory, n / 3..n / 2).unwrap(), bytes[n / 3..n / 2]);
    }
    let bools = backend.allocate(DType::Bool, 5000).unwrap();
    assert!(backend.download(&bools, 0..5000).unwrap().iter().all(|b| *b < 2));
    let tensor = Tensor::from_vec(vec![1.5f32, -0.0, f32::NAN, 4.0], &[2, 2]);
    let there = tensor.to(Device::OpenCl(0));
    assert_eq!(there.device().to_string(), "opencl:0");
    assert_eq!(there.to(Device::Cpu).to_string(), tensor.to_string());
}

#[test]
fn a_freed_place_may_be_used_while_the_device_still_reads_it() {
    let Some(opened) = device() else { return };
    let source = "__kernel void at_spin(__global const int *x, __global int *y, long from, long to) {
        int a = x[from / 4];
        for (int i = 0; i < 20000000; i++) a = a * 3 + 1;
        y[to / 4] = a;
    }";
    let program = opened.build(source).unwrap();
    let spin = opened.kernel(&program, "at_spin").unwrap();
    let result = opened.allocate(4).unwrap();
    let mut seen = [0; 4];
    let mut run = |free: bool| {
        let x = opened.allocate(4).unwrap();
        opened.write(x.buffer(), x.offset(), &5i32.to_ne_bytes()).unwrap();
        let at = [Arg::Long(x.offset() as i64), Arg::Long(result.offset() as i64)];
        let args = [Arg::Buffer(x.buffer()), Arg::Buffer(result.buffer()), at[0], at[1]];
        opened.launch(&spin, &args, [1, 1, 1], None, false).unwrap();
        let kept = if free { None } else { Some(x) };
        let other = opened.allocate(4).unwrap();
        opened.write(other.buffer(), other.offset(), &77i32.to_ne_bytes()).unwrap();
        drop(kept);
        opened.read(result.buffer(), result.offset(), &mut seen).unwrap();
        i32::from_ne_bytes(seen)
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn threads_share_the_pool() {
    let Some(_) = device() else { return };
    let backend = opencl::of(0);
    thread::scope(|scope| {
        for number in 0..4u8 {
            scope.spawn(move || {
                for round in 0..200usize {
                    let bytes = vec![number ^ round as u8; 1 + round * 37 % 3000];
                    let memory = backend.upload(DType::U8, &bytes).unwrap();
                    assert_eq!(*backend.download(&memory, 0..bytes.len()).unwrap(), bytes);
                }
            });
        }
    });
}

#[test]
fn more_than_there_is() {
    let Some(opened) = device() else { return };
    let backend = opencl::of(0);
    let largest = opened.description().largest_buffer;
    let error = backend.allocate(DType::F32, largest / 4 + 1).err().unwrap();
    let asked = (largest / 4 + 1) * 4;
    assert!(matches!(error, Error::OutOfDeviceMemory { asked: a, .. } if a == asked), "{error:?}");
    let text = format!("out of memory on device opencl:0: {asked} bytes for one buffer were asked for, and ");
    assert!(error.to_string().starts_with(&text), "{error}");
    assert!(backend.allocate(DType::F32, usize::MAX).is_err());
    // As many of the largest as there should be room for, and some more: it ends with an error, and not with the process.
    let mut all = Vec::new();
    let error = loop {
        match backend.allocate(DType::U8, largest) {
            Ok(memory) => all.push(memory),
            Err(error) => break error,
        }
        assert!(all.len() <= 1 + opened.description().global_bytes / largest, "more than the device has");
    };
    assert!(matches!(error, Error::OutOfDeviceMemory { .. }), "{error:?}");
    drop(all);
    assert!(backend.upload(DType::U8, &[1, 2, 3]).is_ok());
    opened.usable().unwrap();
}
