//! Code that tells the times of its kernels: the same bits, and every run of every kernel counted.

use super::codegen_support::{self, inputs};
use super::rnn;
use allotrope::backend::cpu::{Compiled, Event, Options, Profile};
use allotrope_ir::passes::{Passes, optimize};
use allotrope_ir::*;
use std::time::Duration;

fn compile(g: &Graph) -> Compiled {
    Compiled::compile(g, &Options { profile: true, ..Options::default() }).unwrap()
}

/// Memory whose elements lie at multiples of 64 bytes.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line(#[allow(dead_code, reason = "seen as bytes only")] [u8; 64]);

fn bytes(lines: &mut [Line], len: usize) -> &mut [u8] {
    &mut lines.as_flattened_mut()[..len]
}

trait Flat {
    fn as_flattened_mut(&mut self) -> &mut [u8];
}

impl Flat for [Line] {
    fn as_flattened_mut(&mut self) -> &mut [u8] {
        // SAFETY: lines are plain bytes without gaps.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), 64 * self.len()) }
    }
}

fn lines(len: usize) -> Vec<Line> {
    vec![Line([0; 64]); len.div_ceil(64).max(1)]
}

/// Runs a graph none of whose outputs updates an input; gives the outputs' bytes.
fn profiled(
    c: &Compiled,
    g: &Graph,
    binding: &[usize],
    x: &[Array],
    most: usize,
) -> (Result<Vec<Vec<u8>>, String>, Profile) {
    let mut ins: Vec<(Vec<Line>, usize)> = (x.iter())
        .map(|a| {
            let content: Vec<u8> = a.scalars().flat_map(codegen_support::scalar_bytes).collect();
            let mut memory = lines(content.len());
            bytes(&mut memory, content.len()).copy_from_slice(&content);
            (memory, content.len())
        })
        .collect();
    let mut outs: Vec<(Vec<Line>, usize)> = (g.outputs().iter())
        .map(|o| {
            let ty = g.ty(o.value);
            let len = ty.numel().eval(binding) * ty.dtype.size();
            (lines(len), len)
        })
        .collect();
    let needed = c.scratch_bytes(binding);
    let mut scratch = lines(needed);
    let mut call = c.call(binding);
    ins.iter_mut().for_each(|(m, len)| call.input(bytes(m, *len)));
    outs.iter_mut().for_each(|(m, len)| call.output(bytes(m, *len)));
    let (done, profile) = call.run_profiled(bytes(&mut scratch, needed), most);
    let done = done.map_err(ToString::to_string);
    (done.map(|()| outs.into_iter().map(|(mut m, len)| bytes(&mut m, len).to_vec()).collect()), profile)
}

const LOOPS: &str = r#"graph(%0: f32[s0, 3, 8] "x", %1: f32[8] "h", %2: f32[8, 8] "w") {
  %3: f32[8], %4: f32[s0, 8] = scan %1, %0, %2 carries=1 xs=1 length=s0 {
    graph(%0: f32[8] "h", %1: f32[3, 8] "x", %2: f32[8, 8] "w") {
      %3: f32[8], %4: f32[3, 8] = scan %0, %1, %2 carries=1 xs=1 length=3 {
        graph(%0: f32[8] "h", %1: f32[8] "x", %2: f32[8, 8] "w") {
          %3: f32[1, 8] = reshape %0 shape=[1, 8]
          %4: f32[1, 8] = matmul %3, %2
          %5: f32[8] = reshape %4 shape=[8]
          %6: f32[8] = add %5, %1
          %7: f32[8] = tanh %6
          return %7, %7
        }
      }
      %5: f32[8] = sum %4 axes=[0]
      return %3, %5
    }
  }
  %5: f32[s0, 8] = exp %4
  return %3, %5
}"#;

#[test]
fn every_run_of_every_kernel_is_counted() {
    let g: Graph = LOOPS.parse().unwrap();
    let g = optimize(&g, &Passes::ALL);
    for cut in [false, true] {
        let function_size = if cut { 1 } else { Options::default().function_size };
        let c = Compiled::compile(&g, &Options { profile: true, function_size, ..Options::default() }).unwrap();
        let x = inputs(&g, &[5], 1);
        let (results, profile) = profiled(&c, &g, &[5], &x, 1000);
        let want = codegen_support::call(&codegen_support::compile(&g), &g, &[5], &x);
        for (got, want) in results.unwrap().iter().zip(&want) {
            let want: Vec<u8> = want.scalars().flat_map(codegen_support::scalar_bytes).collect();
            assert_eq!(*got, want);
        }
        assert_eq!(profile.kernels.len(), c.kernels().len());
        for (k, time) in c.kernels().iter().zip(&profile.kernels) {
            let runs: usize = k.loops.iter().map(|n| n.eval(&[5])).product();
            assert_eq!(time.count, runs, "{k}");
            assert_eq!(k.in_loop, !k.loops.is_empty(), "{k}");
        }
        assert!(c.kernels().iter().any(|k| k.loops.len() == 2 && k.ops == "matmul"));
        // Kernels are numbered in the order in which they run, and run one after the other.
        let firsts: Vec<usize> = (0..c.kernels().len())
            .map(|k| profile.events.iter().position(|e| e.kernel == k).expect("each kernel runs"))
            .collect();
        assert!(firsts.is_sorted(), "{firsts:?}");
        assert_eq!(profile.events.len(), profile.kernels.iter().map(|k| k.count).sum::<usize>());
        assert!(profile.events.iter().all(|e| e.start <= e.end && e.end <= profile.total));
        assert!(profile.events.windows(2).all(|e| e[0].end <= e[1].start));
        for (k, time) in profile.kernels.iter().enumerate() {
            let of_kernel = profile.events.iter().filter(|e| e.kernel == k);
            assert_eq!(time.total, of_kernel.map(|e: &Event| e.end - e.start).sum::<Duration>());
        }
    }
}

#[test]
fn a_list_of_events_has_an_end() {
    let g: Graph = LOOPS.parse().unwrap();
    let c = compile(&g);
    let x = inputs(&g, &[7], 2);
    let (_, all) = profiled(&c, &g, &[7], &x, usize::MAX);
    let (_, some) = profiled(&c, &g, &[7], &x, 4);
    assert_eq!((all.dropped, some.events.len()), (0, 4));
    assert_eq!(some.dropped, all.events.len() - 4);
    let counts = |p: &Profile| p.kernels.iter().map(|k| k.count).collect::<Vec<_>>();
    assert_eq!(counts(&all), counts(&some));
}

#[test]
fn a_check_that_fails_ends_the_list() {
    let g: Graph = r#"graph(%0: i64[] "n", %1: f32[4] "x") {
  %2: i64[] = const 0
  %3: bool[] = ge %0, %2
  %4: f32[4] = tanh %1
  %5: f32[4] = check %4, %3 "negative"
  %6: f32[4] = exp %5
  return %6
}"#
    .parse()
    .unwrap();
    let c = compile(&g);
    let x = |n: i64| [Array::new([], Data::I64(vec![n])), codegen_support::f32s(&[4], &[1.0; 4])];
    let (good, bad) = (profiled(&c, &g, &[], &x(1), 100), profiled(&c, &g, &[], &x(-1), 100));
    assert!(good.0.is_ok());
    assert_eq!(bad.0.unwrap_err(), "negative");
    assert!(bad.1.events.len() < good.1.events.len());
    // Nothing is kept of the last run.
    assert_eq!(profiled(&c, &g, &[], &x(1), 100).1.events.len(), good.1.events.len());
}

/// Code that tells times may also be run without anyone listening, and by several threads at the same time.
#[test]
fn the_whole_step_gives_its_bits() {
    let g = optimize(&rnn::step(Dim::sym(Sym(0)), Dim::fixed(1)), &Passes::ALL);
    let (plain, timed) = (codegen_support::compile(&g), compile(&g));
    let x = rnn::plausible(&g, &[9]);
    let want = codegen_support::call(&plain, &g, &[9], &x);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let got = codegen_support::call(&timed, &g, &[9], &x);
                    assert!(got.iter().zip(&want).all(|(a, b)| a.same_bits(b)));
                }
            });
        }
    });
}

#[test]
fn threads_are_timed_apart() {
    let g: Graph = LOOPS.parse().unwrap();
    let c = compile(&g);
    std::thread::scope(|scope| {
        for n in 1..5usize {
            let (c, g) = (&c, &g);
            scope.spawn(move || {
                let x = inputs(g, &[n], n as u64);
                for _ in 0..20 {
                    let (_, profile) = profiled(c, g, &[n], &x, 0);
                    for (k, time) in c.kernels().iter().zip(&profile.kernels) {
                        assert_eq!(time.count, k.loops.iter().map(|d| d.eval(&[n])).product::<usize>());
                    }
                }
            });
        }
    });
}
