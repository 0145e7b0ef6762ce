//! Programs, kernels and bytes of buffers, as the executable uses them; and what is said where they cannot be had.

use crate::device;
use allotrope::Error;
use allotrope::backend::opencl::{self, Arg, Buffer, Kernel, Opened, Program};
use std::thread;

const SOURCE: &str = "#pragma OPENCL FP_CONTRACT OFF
__kernel void at_add(__global long *x, long offset, long n, int times) {
    long i = get_global_id(0) + get_global_size(0) * (get_global_id(1) + get_global_size(1) * get_global_id(2));
    if (i < n) x[offset + i] += times;
}
__kernel void at_sum(__global const long *x, __global long *y, __local long *lanes) {
    int lane = get_local_id(0);
    lanes[lane] = x[get_global_id(0)];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane == 0) {
        long sum = 0;
        for (int i = 0; i < get_local_size(0); i++) sum += lanes[i];
        y[get_group_id(0)] = sum;
    }
}
__kernel void step(__global long *x) { x[0] = 1; }
";

struct Built {
    opened: &'static Opened,
    program: Program,
}

impl Built {
    fn kernel(&self, name: &str) -> Kernel {
        self.opened.kernel(&self.program, name).unwrap()
    }
}

fn built() -> Option<Built> {
    let opened = device()?;
    Some(Built { opened, program: opened.build(SOURCE).unwrap() })
}

fn longs(opened: &Opened, buffer: &Buffer, n: usize) -> Vec<i64> {
    let mut bytes = vec![0; n * 8];
    opened.read(buffer, 0, &mut bytes).unwrap();
    bytes.chunks_exact(8).map(|b| i64::from_ne_bytes(b.try_into().unwrap())).collect()
}

fn bytes(longs: impl IntoIterator<Item = i64>) -> Vec<u8> {
    longs.into_iter().flat_map(i64::to_ne_bytes).collect()
}

#[test]
fn commands_run_in_order() {
    let Some(built) = built() else { return };
    let (opened, add) = (built.opened, built.kernel("at_add"));
    let (x, y) = (opened.buffer(64).unwrap(), opened.buffer(64).unwrap());
    opened.write(&x, 0, &bytes(0..8)).unwrap();
    opened.launch(&add, &[Arg::Buffer(&x), Arg::Long(2), Arg::Long(3), Arg::Int(10)], [4, 1, 1], None, false).unwrap();
    opened.copy(&x, 16..48, &y, 32).unwrap();
    opened.fill(&y, 0..32, &7i64.to_ne_bytes()).unwrap();
    opened.fill(&y, 8..16, &[1]).unwrap();
    opened.copy(&y, 0..8, &y, 24).unwrap();
    opened.flush().unwrap();
    opened.finish().unwrap();
    assert_eq!(longs(opened, &x, 8), [0, 1, 12, 13, 14, 5, 6, 7]);
    assert_eq!(longs(opened, &y, 8), [7, 0x0101_0101_0101_0101, 7, 7, 12, 13, 14, 5]);
}

#[test]
fn sizes_of_zero_do_nothing() {
    let Some(built) = built() else { return };
    let (opened, add) = (built.opened, built.kernel("at_add"));
    let x = opened.buffer(8).unwrap();
    opened.write(&x, 0, &bytes([5])).unwrap();
    let args = [Arg::Buffer(&x), Arg::Long(0), Arg::Long(1), Arg::Int(1)];
    for global in [[0, 1, 1], [1, 0, 1], [1, 1, 0]] {
        for local in [None, Some([1, 1, 1])] {
            assert!(opened.launch(&add, &args, global, local, true).unwrap().is_none());
        }
    }
    opened.write(&x, 0, &[]).unwrap();
    opened.read(&x, 8, &mut []).unwrap();
    opened.copy(&x, 3..3, &x, 3).unwrap();
    opened.fill(&x, 0..0, &[1, 2]).unwrap();
    assert_eq!(longs(opened, &x, 1), [5]);
}

#[test]
fn groups_have_local_memory_and_dimensions() {
    let Some(built) = built() else { return };
    let opened = built.opened;
    let (x, y) = (opened.buffer(128 * 8).unwrap(), opened.buffer(8 * 8).unwrap());
    opened.write(&x, 0, &bytes(0..128)).unwrap();
    let sum = built.kernel("at_sum");
    assert!(opened.largest_group(&sum).unwrap() >= 16);
    opened
        .launch(&sum, &[Arg::Buffer(&x), Arg::Buffer(&y), Arg::Local(128)], [128, 1, 1], Some([16, 1, 1]), false)
        .unwrap();
    assert_eq!(longs(opened, &y, 8), [120, 376, 632, 888, 1144, 1400, 1656, 1912]);
    let add = built.kernel("at_add");
    let args = [Arg::Buffer(&x), Arg::Long(0), Arg::Long(128), Arg::Int(1)];
    opened.launch(&add, &args, [4, 4, 8], None, false).unwrap();
    opened.launch(&add, &args, [16, 8, 1], Some([2, 4, 1]), false).unwrap();
    assert_eq!(longs(opened, &x, 128), (2..130).collect::<Vec<_>>());
}

#[test]
fn events_have_times_and_keep_the_order() {
    let Some(built) = built() else { return };
    let (opened, add) = (built.opened, built.kernel("at_add"));
    let x = opened.buffer(8 * 4096).unwrap();
    opened.fill(&x, 0..8 * 4096, &[0]).unwrap();
    let mut last = 0;
    for round in 0..6 {
        let args = [Arg::Buffer(&x), Arg::Long(0), Arg::Long(4096), Arg::Int(round)];
        let event = opened.launch(&add, &args, [4096, 1, 1], None, round % 3 != 1).unwrap();
        assert_eq!(event.is_some(), round % 3 != 1);
        if let Some(event) = event {
            let times = opened.times(&event).unwrap();
            assert!(times.start <= times.end && times.start >= last);
            last = times.end;
        }
    }
    assert_eq!(longs(opened, &x, 4096), [15; 4096]);
}

#[test]
fn what_is_written_may_change_at_once() {
    let Some(opened) = device() else { return };
    // Some are copied by the host, and some are waited for.
    for n in [1, 100, 8192, 8193, 50_000] {
        let buffers: Vec<Buffer> = (0..20).map(|_| opened.buffer(n * 8).unwrap()).collect();
        let mut words = bytes(std::iter::repeat_n(0, n));
        for (i, buffer) in buffers.iter().enumerate() {
            words.fill(i as u8);
            opened.write(buffer, 0, &words).unwrap();
        }
        words.fill(255);
        for (i, buffer) in buffers.iter().enumerate() {
            assert_eq!(longs(opened, buffer, n), vec![i64::from_ne_bytes([i as u8; 8]); n]);
        }
    }
}

#[test]
fn threads_share_a_kernel() {
    let Some(built) = built() else { return };
    let (opened, add) = (built.opened, built.kernel("at_add"));
    thread::scope(|scope| {
        for number in 0..4 {
            let add = &add;
            scope.spawn(move || {
                let x = opened.buffer(8 * 100).unwrap();
                for round in 0..200 {
                    opened.fill(&x, 0..800, &0i64.to_ne_bytes()).unwrap();
                    let n = 1 + (round * 7 + number * 31) % 100;
                    let args = [Arg::Buffer(&x), Arg::Long(0), Arg::Long(n), Arg::Int(number as i32 + 1)];
                    opened.launch(add, &args, [100, 1, 1], None, false).unwrap();
                    let seen = longs(opened, &x, 100);
                    let expected = |i: i64| if i < n { number + 1 } else { 0 };
                    assert!(
                        (0..100).all(|i| seen[i as usize] == expected(i)),
                        "thread {number}, round {round}: {seen:?}"
                    );
                }
            });
        }
    });
}

#[test]
fn a_program_that_is_refused_is_shown() {
    let Some(opened) = device() else { return };
    let error =
        opened.build("__kernel void at_x(__global int *x) {\n    int a = 1;\n    x[0] = a + b;\n}\n").err().unwrap();
    assert!(matches!(error, Error::Build { device, .. } if device.to_string() == "opencl:0"), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(">    3 |     x[0] = a + b;") && text.contains("     2 |     int a = 1;"), "{text}");
    // The device works as before.
    assert!(opened.build(SOURCE).is_ok());
}

#[test]
fn a_kernel_that_is_not_there() {
    let Some(built) = built() else { return };
    let error = built.opened.kernel(&built.program, "at_other").err().unwrap();
    assert!(matches!(error, Error::Device { .. }), "{error:?}");
    assert!(error.to_string().contains("at_other") && error.to_string().contains("CL_INVALID_KERNEL_NAME"), "{error}");
}

#[test]
fn arguments_that_do_not_fit() {
    let Some(built) = built() else { return };
    let (opened, add) = (built.opened, built.kernel("at_add"));
    let x = opened.buffer(8).unwrap();
    let args = [Arg::Buffer(&x), Arg::Int(0), Arg::Long(1), Arg::Int(1)];
    let error = opened.launch(&add, &args, [1, 1, 1], None, false).err().unwrap();
    assert!(error.to_string().contains("CL_INVALID_ARG_SIZE"), "{error}");
    let args = [Arg::Buffer(&x)];
    let fresh = built.kernel("at_add");
    let error = opened.launch(&fresh, &args, [1, 1, 1], None, false).err().unwrap();
    assert!(error.to_string().contains("CL_INVALID_KERNEL_ARGS"), "{error}");
    opened.usable().unwrap();
}

#[test]
fn a_device_that_is_not_there() {
    let Some(_) = device() else { return };
    let error = opencl::of(200).opened().err().unwrap();
    assert!(matches!(error, Error::DeviceMissing { .. }), "{error:?}");
    assert!(
        error.to_string().starts_with("device opencl:200: there is no device of this number: opencl:0 is "),
        "{error}"
    );
}
