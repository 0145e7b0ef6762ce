//! Runs compiled graphs on the interpreter's arrays, with fences around every buffer.
#![allow(dead_code)]

use allotrope::backend::cpu::{Compiled, Options};
use allotrope_ir::{Array, DType, Data, Dim, Graph, Scalar, run};

pub fn scalar_bytes(s: Scalar) -> Vec<u8> {
    s.bits().to_le_bytes()[..s.dtype().size()].to_vec()
}

fn bytes_of(a: &Array) -> Vec<u8> {
    a.scalars().flat_map(scalar_bytes).collect()
}

fn array_of(dtype: DType, shape: Vec<usize>, bytes: &[u8]) -> Array {
    let items = bytes.chunks_exact(dtype.size()).map(|c| {
        let mut w = [0u8; 8];
        w[..c.len()].copy_from_slice(c);
        let w = u64::from_le_bytes(w);
        match dtype {
            DType::Bool => {
                assert!(w < 2, "a bool is 0 or 1, found {w}");
                Scalar::Bool(w != 0)
            }
            DType::U8 => Scalar::U8(w as u8),
            DType::I32 => Scalar::I32(w as i32),
            DType::I64 => Scalar::I64(w as i64),
            DType::F16 => Scalar::F16(half::f16::from_bits(w as u16)),
            DType::BF16 => Scalar::BF16(half::bf16::from_bits(w as u16)),
            DType::F32 => Scalar::F32(f32::from_bits(w as u32)),
            DType::F64 => Scalar::F64(f64::from_bits(w)),
        }
    });
    Array::from_scalars(dtype, shape, items)
}

/// Memory with a fence on both sides, 64-byte aligned, or off by one element from that.
pub struct Fenced {
    words: Vec<u64>,
    start: usize,
    len: usize,
}

const FENCE: u8 = 0xA5;

impl Fenced {
    pub fn new(content: &[u8], skew: usize) -> Fenced {
        let mut words = vec![u64::from_le_bytes([FENCE; 8]); content.len() / 8 + 40];
        let base = words.as_mut_ptr() as usize;
        let start = (base + 64).next_multiple_of(64) - base + skew;
        let mut f = Fenced { words, start, len: content.len() };
        f.bytes_mut()[start..start + content.len()].copy_from_slice(content);
        f
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: words are plain bytes, and u8 has no alignment.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), self.words.len() * 8) }
    }

    pub fn ptr(&mut self) -> *mut u8 {
        let start = self.start;
        self.bytes_mut()[start..].as_mut_ptr()
    }

    pub fn content(&mut self) -> Vec<u8> {
        let (start, end) = (self.start, self.start + self.len);
        let all = self.bytes_mut();
        assert!(all[..start].iter().chain(&all[end..]).all(|b| *b == FENCE), "written beyond a buffer");
        all[start..end].to_vec()
    }
}

fn sizes(shape: &[Dim], binding: &[usize]) -> Vec<usize> {
    shape.iter().map(|d| d.eval(binding)).collect()
}

/// Runs a compiled graph, none of whose checks fails; gives its outputs in order, updates included.
pub fn call(c: &Compiled, g: &Graph, binding: &[usize], inputs: &[Array]) -> Vec<Array> {
    try_call(c, g, binding, inputs).unwrap_or_else(|message| panic!("{message}\n{g}"))
}

/// Runs a compiled graph; gives its outputs, or the message of the check that failed, and then no input was changed.
pub fn try_call(c: &Compiled, g: &Graph, binding: &[usize], inputs: &[Array]) -> Result<Vec<Array>, String> {
    let mut ins: Vec<Fenced> =
        inputs.iter().map(|a| Fenced::new(&bytes_of(a), a.dtype().size() * (a.len() % 2))).collect();
    let types: Vec<_> = g.outputs().iter().map(|o| g.ty(o.value).clone()).collect();
    let mut outs: Vec<Fenced> = (g.outputs().iter().zip(&types))
        .map(|(o, ty)| {
            let n: usize = sizes(&ty.shape, binding).iter().product();
            let n = if o.update.is_some() { 0 } else { n * ty.dtype.size() };
            Fenced::new(&vec![0xEE; n], ty.dtype.size())
        })
        .collect();
    let mut scratch = Fenced::new(&vec![0xFF; c.scratch_bytes(binding)], 0);
    let in_ptrs: Vec<*const u8> = ins.iter_mut().map(|f| f.ptr() as *const u8).collect();
    let out_ptrs: Vec<*mut u8> = (g.outputs().iter().zip(&mut outs))
        .map(|(o, f)| match o.update {
            Some(i) => in_ptrs[i] as *mut u8,
            None => f.ptr(),
        })
        .collect();
    // SAFETY: the buffers are as long as the types say, and the fences around them are checked below.
    let done = unsafe { c.run(binding, &in_ptrs, &out_ptrs, scratch.ptr()) };
    scratch.content();
    let updated: Vec<usize> = g.outputs().iter().filter_map(|o| o.update).collect();
    for (i, (f, a)) in ins.iter_mut().zip(inputs).enumerate() {
        let content = f.content();
        assert!((done.is_ok() && updated.contains(&i)) || content == bytes_of(a), "input {i} was changed");
    }
    let results = (g.outputs().iter().zip(&types).zip(&mut outs)).map(|((o, ty), f)| {
        let content = match o.update {
            Some(i) => ins[i].content(),
            None => f.content(),
        };
        (ty.dtype, sizes(&ty.shape, binding), content)
    });
    // The fences hold whatever the checks say; what failed leaves anything in its outputs.
    let results: Vec<_> = results.collect();
    done.map_err(ToString::to_string)?;
    Ok(results.into_iter().map(|(dtype, shape, content)| array_of(dtype, shape, &content)).collect())
}

pub fn compile(g: &Graph) -> Compiled {
    compile_as(g, &Options { keep_clif: true, ..Options::default() })
}

/// Compiles as a program is that is too large for one function: each step is one of its own.
pub fn compile_cut(g: &Graph) -> Compiled {
    compile_as(g, &Options { keep_clif: true, function_size: 1, ..Options::default() })
}

fn compile_as(g: &Graph, options: &Options) -> Compiled {
    Compiled::compile(g, options).unwrap_or_else(|e| panic!("{e}\n{g}"))
}

/// Whether two results agree: to the bit where `tolerance` is 0, else relative to their size.
pub fn agree(a: &Array, b: &Array, tolerance: f64) -> bool {
    if tolerance == 0.0 || !a.dtype().is_float() {
        return a.same_bits(b);
    }
    let f = |s: Scalar| match s {
        Scalar::F32(x) => x as f64,
        Scalar::F64(x) => x,
        _ => 0.0,
    };
    let scale = b.scalars().map(f).filter(|x| x.is_finite()).fold(1.0, |m: f64, x| m.max(x.abs()));
    a.shape == b.shape
        && a.scalars().zip(b.scalars()).all(|(x, y)| {
            let (x, y) = (f(x), f(y));
            x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= tolerance * scale
        })
}

/// Deterministic inputs of the graph's input types.
pub fn inputs(g: &Graph, binding: &[usize], seed: u64) -> Vec<Array> {
    let mut state = seed.wrapping_mul(0x9E3779B97F4A7C15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    g.input_values()
        .map(|v| {
            let ty = g.ty(v);
            let shape = sizes(&ty.shape, binding);
            let n: usize = shape.iter().product();
            let items: Vec<Scalar> = (0..n)
                .map(|_| {
                    let r = next();
                    let x = ((r >> 40) as f64 / (1u64 << 24) as f64 - 0.5) * 4.0;
                    match ty.dtype {
                        DType::Bool => Scalar::Bool(r & 4096 != 0),
                        DType::I64 => Scalar::I64((r >> 33) as i64 % 9 - 4),
                        dtype => Scalar::from_f64(x, dtype),
                    }
                })
                .collect();
            Array::from_scalars(ty.dtype, shape, items)
        })
        .collect()
}

/// Compiles once and holds it against the interpreter under every binding.
pub fn holds(text: &str, bindings: &[&[usize]], tolerance: f64) {
    let g: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    holds_graph(&g, bindings, tolerance);
}

pub fn holds_graph(g: &Graph, bindings: &[&[usize]], tolerance: f64) {
    let (c, cut) = (compile(g), compile_cut(g));
    for (seed, binding) in bindings.iter().enumerate() {
        let ins = inputs(g, binding, seed as u64 + 1);
        let want = run(g, binding, &ins).unwrap_or_else(|e| panic!("{e}\n{g}"));
        let got = call(&c, g, binding, &ins);
        for (j, (got, want)) in got.iter().zip(&want).enumerate() {
            assert!(
                agree(got, want, tolerance),
                "output {j} under {binding:?}:\n got {got:?}\nwant {want:?}\n{g}\n{}",
                c.clif().unwrap_or("")
            );
        }
        let again = call(&cut, g, binding, &ins);
        for (j, (a, b)) in again.iter().zip(&got).enumerate() {
            assert!(
                a.same_bits(b),
                "output {j} under {binding:?}, cut:\n{a:?}\n{b:?}\n{g}\n{}",
                cut.clif().unwrap_or("")
            );
        }
    }
}

pub fn f32s(shape: &[usize], x: &[f32]) -> Array {
    Array::new(shape, Data::F32(x.to_vec()))
}
