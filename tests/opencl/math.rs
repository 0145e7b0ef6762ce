//! Operations on one element on the device and on the CPU: the same bits of the same operands, for every primitive and
//! dtype.

use crate::device;
use allotrope::backend::opencl::source::math::{self, Arithmetic, sweep};
use allotrope::backend::opencl::{Arg, Opened};
use allotrope::ir::{BinaryOp, CompareOp, DType, Scalar, UnaryOp, element};
use allotrope::kernels::{Run, binary_run, unary_run};

/// A generator of 64 bits, the same in every run.
struct Bits(u64);

impl Bits {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Elements of one dtype, as they are in memory.
#[derive(Clone)]
struct Elements {
    dtype: DType,
    bytes: Vec<u8>,
}

impl Elements {
    fn of(dtype: DType, all: impl IntoIterator<Item = Scalar>) -> Elements {
        let bytes = all.into_iter().flat_map(|x| x.bits().to_le_bytes().into_iter().take(dtype.size())).collect();
        Elements { dtype, bytes }
    }

    fn bits(&self) -> Vec<u64> {
        let wide = |b: &[u8]| b.iter().rev().fold(0, |all, b| all << 8 | *b as u64);
        self.bytes.chunks_exact(self.dtype.size()).map(wide).collect()
    }

    fn scalars(&self) -> Vec<Scalar> {
        self.bits().into_iter().map(|b| scalar(self.dtype, b)).collect()
    }
}

fn scalar(dtype: DType, bits: u64) -> Scalar {
    match dtype {
        DType::Bool => Scalar::Bool(bits & 1 == 1),
        DType::U8 => Scalar::U8(bits as u8),
        DType::I32 => Scalar::I32(bits as i32),
        DType::I64 => Scalar::I64(bits as i64),
        DType::F16 => Scalar::F16(half::f16::from_bits(bits as u16)),
        DType::BF16 => Scalar::BF16(half::bf16::from_bits(bits as u16)),
        DType::F32 => Scalar::F32(f32::from_bits(bits as u32)),
        DType::F64 => Scalar::F64(f64::from_bits(bits)),
    }
}

/// What is odd in a dtype, with its neighbours.
fn special(dtype: DType) -> Vec<Scalar> {
    let floats = [
        0.0,
        5e-324,
        1e-310,
        2.2250738585072014e-308,
        1e-45,
        1e-40,
        1.1754943508222875e-38,
        6e-8,
        6.1e-5,
        1e-3,
        0.25,
        0.5,
        0.75,
        1.0,
        1.5,
        2.0,
        2.5,
        3.0,
        10.0,
        22.0,
        88.7,
        104.0,
        127.5,
        255.0,
        256.0,
        709.7,
        745.2,
        65504.0,
        65520.0,
        8388609.0,
        1073741824.0,
        2147483648.0,
        1e10,
        4503599627370497.0,
        9007199254740992.0,
        9223372036854775808.0,
        1e22,
        1e30,
        3.4028234663852886e38,
        1e39,
        1e200,
        1.7976931348623157e308,
        f64::INFINITY,
        f64::NAN,
    ];
    let integers = [0, 1, 2, 3, 7, 31, 32, 63, 64, 127, 128, 255, 256, i32::MAX as i64, i32::MAX as i64 + 1, i64::MAX];
    match dtype {
        DType::Bool => vec![Scalar::Bool(false), Scalar::Bool(true)],
        DType::U8 | DType::I32 | DType::I64 => {
            integers.into_iter().flat_map(|x| [x, -x, !x]).map(|x| element::cast(Scalar::I64(x), dtype)).collect()
        }
        DType::F16 | DType::BF16 | DType::F32 | DType::F64 => {
            floats.into_iter().flat_map(|x| [x, -x]).map(|x| element::cast(Scalar::F64(x), dtype)).collect()
        }
    }
}

/// Every pair of odd operands, then pairs of ordinary ones and of any bits.
fn pairs(dtype: DType, n: usize) -> (Elements, Elements) {
    let (odd, mut g) = (special(dtype), Bits(0x9e37_79b9_7f4a_7c15));
    let (mut a, mut b) = (vec![], vec![]);
    for x in &odd {
        for y in &odd {
            a.push(*x);
            b.push(*y);
        }
    }
    let one = |g: &mut Bits, kind: usize| {
        let bits = g.next();
        let unit = (g.next() >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0;
        match kind {
            0 => scalar(dtype, bits),
            1 => element::cast(Scalar::F64(unit * 1000.0), dtype),
            _ => element::cast(Scalar::F64(unit * 4.0), dtype),
        }
    };
    for i in 0..n {
        a.push(one(&mut g, i % 3));
        b.push(one(&mut g, i / 3 % 3));
    }
    (Elements::of(dtype, a), Elements::of(dtype, b))
}

/// What the CPU gives for elements of two operands.
type Answer = Box<dyn Fn(&Elements, &Elements) -> Elements>;

/// One expression on operands `a`, `b` and the bool `c`, and what it should give.
struct Case {
    name: String,
    operand: DType,
    result: DType,
    expression: String,
    want: Answer,
}

fn same(dtype: DType, got: u64, want: u64) -> bool {
    element::same(scalar(dtype, got), scalar(dtype, want))
}

/// Runs the cases on the device as one program; false where there is none.
fn check(cases: &[Case], arithmetic: Arithmetic, n: usize) {
    let Some(opened) = device() else { return };
    let mut kernels = String::new();
    for (i, case) in cases.iter().enumerate() {
        let (t, r) = (c_type(case.operand), c_type(case.result));
        let expression = &case.expression;
        kernels.push_str(&format!(
            "__kernel void at_case{i}(__global const {t} *x, __global const {t} *y, __global {r} *out) {{\n\
             \x20   size_t i = get_global_id(0);\n    {t} a = x[i], b = y[i];\n    uchar c = i & 1;\n    out[i] = {expression};\n}}\n"
        ));
    }
    let library = math::library(&kernels, arithmetic);
    let source =
        format!("#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n#pragma OPENCL FP_CONTRACT OFF\n{library}{kernels}");
    let program = opened.build(&source).unwrap_or_else(|e| panic!("{e}"));
    for (i, case) in cases.iter().enumerate() {
        let (a, b) = pairs(case.operand, n);
        let items = a.bytes.len() / case.operand.size();
        let got = run(opened, &program, &format!("at_case{i}"), &[&a.bytes, &b.bytes], items, case.result);
        let want = (case.want)(&a, &b);
        let operands = a.bits().into_iter().zip(b.bits());
        for ((got, want), (a, b)) in got.bits().into_iter().zip(want.bits()).zip(operands) {
            let (x, y) = (scalar(case.operand, a), scalar(case.operand, b));
            assert!(
                same(case.result, got, want),
                "{} of {x:?}, {y:?} ({a:#x}, {b:#x}) is {:?} on the device, {:?} on the CPU",
                case.name,
                scalar(case.result, got),
                scalar(case.result, want),
            );
        }
    }
}

fn run(
    opened: &Opened,
    program: &allotrope::backend::opencl::Program,
    kernel: &str,
    inputs: &[&[u8]],
    items: usize,
    result: DType,
) -> Elements {
    let kernel = opened.kernel(program, kernel).unwrap();
    let buffers: Vec<_> = inputs
        .iter()
        .map(|bytes| {
            let buffer = opened.buffer(bytes.len()).unwrap();
            opened.write(&buffer, 0, bytes).unwrap();
            buffer
        })
        .collect();
    let out = opened.buffer(items * result.size()).unwrap();
    let args: Vec<Arg<'_>> = buffers.iter().chain([&out]).map(Arg::Buffer).collect();
    opened.launch(&kernel, &args, [items, 1, 1], None, false).unwrap();
    let mut bytes = vec![0; items * result.size()];
    opened.read(&out, 0, &mut bytes).unwrap();
    Elements { dtype: result, bytes }
}

fn c_type(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool | DType::U8 => "uchar",
        DType::I32 => "int",
        DType::I64 => "long",
        DType::F16 | DType::BF16 => "ushort",
        DType::F32 => "float",
        DType::F64 => "double",
    }
}

fn is_number(dtype: DType) -> bool {
    !dtype.is_half() && dtype != DType::Bool
}

fn has_unary(op: UnaryOp, dtype: DType) -> bool {
    match op {
        UnaryOp::Not => !dtype.is_float(),
        UnaryOp::Neg | UnaryOp::Abs => is_number(dtype),
        _ => matches!(dtype, DType::F32 | DType::F64),
    }
}

fn has_binary(op: BinaryOp, dtype: DType) -> bool {
    match op {
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor => !dtype.is_float(),
        BinaryOp::Div | BinaryOp::Atan2 => matches!(dtype, DType::F32 | DType::F64),
        BinaryOp::Quotient => dtype.is_integer(),
        _ => is_number(dtype),
    }
}

/// The kernels' answer where more than one is right, else the definition's.
fn unary_on_the_cpu(op: UnaryOp, a: &Elements) -> Elements {
    macro_rules! kernel {
        ($t:ident, $scalar:ident) => {{
            let x: Vec<$t> = a.bits().into_iter().map(|b| $t::from_bits(b as _)).collect();
            let mut out = vec![0.0; x.len()];
            unary_run(op, Run::Elements(&x), &mut out);
            Elements::of(a.dtype, out.into_iter().map(Scalar::$scalar))
        }};
    }
    match a.dtype {
        DType::F32 => kernel!(f32, F32),
        DType::F64 => kernel!(f64, F64),
        _ => Elements::of(a.dtype, a.scalars().into_iter().map(|x| element::unary(op, x))),
    }
}

fn binary_on_the_cpu(op: BinaryOp, a: &Elements, b: &Elements) -> Elements {
    macro_rules! kernel {
        ($t:ident, $scalar:ident) => {{
            let x: Vec<$t> = a.bits().into_iter().map(|b| $t::from_bits(b as _)).collect();
            let y: Vec<$t> = b.bits().into_iter().map(|b| $t::from_bits(b as _)).collect();
            let mut out = vec![0.0; x.len()];
            binary_run(op, Run::Elements(&x), Run::Elements(&y), &mut out);
            Elements::of(a.dtype, out.into_iter().map(Scalar::$scalar))
        }};
    }
    match a.dtype {
        DType::F32 => kernel!(f32, F32),
        DType::F64 => kernel!(f64, F64),
        _ => {
            let both = a.scalars().into_iter().zip(b.scalars());
            Elements::of(a.dtype, both.map(|(a, b)| element::binary(op, a, b)))
        }
    }
}

#[test]
fn every_function_of_the_math_files_has_a_translation() {
    if let Err(unsupported) = math::check() {
        panic!("{unsupported}");
    }
}

#[test]
fn functions_of_one_element_have_the_bits_of_the_cpu() {
    let mut cases = vec![];
    for op in UnaryOp::ALL.iter().copied() {
        for dtype in DType::ALL.into_iter().filter(|dtype| has_unary(op, *dtype)) {
            let expression = math::unary(op, dtype, "a");
            let want = Box::new(move |a: &Elements, _: &Elements| unary_on_the_cpu(op, a));
            let name = format!("{} {dtype}", op.name());
            cases.push(Case { name, operand: dtype, result: dtype, expression, want });
        }
    }
    check(&cases, Arithmetic::EXACT, 60_000);
}

#[test]
fn functions_of_two_elements_have_the_bits_of_the_cpu() {
    let mut cases = vec![];
    for op in BinaryOp::ALL.iter().copied() {
        for dtype in DType::ALL.into_iter().filter(|dtype| has_binary(op, *dtype)) {
            let expression = math::binary(op, dtype, "a", "b");
            let want = Box::new(move |a: &Elements, b: &Elements| binary_on_the_cpu(op, a, b));
            let name = format!("{} {dtype}", op.name());
            cases.push(Case { name, operand: dtype, result: dtype, expression, want });
        }
    }
    check(&cases, Arithmetic::EXACT, 60_000);
}

#[test]
fn comparisons_choices_and_casts_have_the_bits_of_the_cpu() {
    let mut cases = vec![];
    for dtype in DType::ALL {
        for op in CompareOp::ALL.iter().copied().filter(|_| !dtype.is_half()) {
            let expression = math::compare(op, dtype, "a", "b");
            let want = Box::new(move |a: &Elements, b: &Elements| {
                let both = a.scalars().into_iter().zip(b.scalars());
                Elements::of(DType::Bool, both.map(|(a, b)| Scalar::Bool(element::compare(op, a, b))))
            });
            let name = format!("{} {dtype}", op.name());
            cases.push(Case { name, operand: dtype, result: DType::Bool, expression, want });
        }
        let expression = math::select(dtype, "c", "a", "b");
        let want = Box::new(move |a: &Elements, b: &Elements| {
            let both = a.scalars().into_iter().zip(b.scalars()).enumerate();
            Elements::of(dtype, both.map(|(i, (a, b))| element::select(Scalar::Bool(i & 1 == 1), a, b)))
        });
        cases.push(Case { name: format!("select {dtype}"), operand: dtype, result: dtype, expression, want });
        for to in DType::ALL {
            let expression = math::cast(dtype, to, "a");
            let want = Box::new(move |a: &Elements, _: &Elements| {
                Elements::of(to, a.scalars().into_iter().map(|x| element::cast(x, to)))
            });
            cases.push(Case { name: format!("{dtype} as {to}"), operand: dtype, result: to, expression, want });
        }
    }
    check(&cases, Arithmetic::EXACT, 20_000);
}

#[test]
fn division_and_square_root_are_rounded_correctly_where_the_device_does_not() {
    let dtype = DType::F32;
    let mut cases = vec![];
    for (name, expression) in
        [("div", math::binary(BinaryOp::Div, dtype, "a", "b")), ("tanh", math::unary(UnaryOp::Tanh, dtype, "a"))]
    {
        let want = Box::new(move |a: &Elements, b: &Elements| match name {
            "div" => binary_on_the_cpu(BinaryOp::Div, a, b),
            _ => unary_on_the_cpu(UnaryOp::Tanh, a),
        });
        cases.push(Case { name: name.to_owned(), operand: dtype, result: dtype, expression, want });
    }
    let expression = math::unary(UnaryOp::Sqrt, dtype, "a");
    let want = Box::new(move |a: &Elements, _: &Elements| unary_on_the_cpu(UnaryOp::Sqrt, a));
    cases.push(Case { name: "sqrt".to_owned(), operand: dtype, result: dtype, expression, want });
    check(&cases, Arithmetic { exact_division: false, exact_sqrt: false }, 200_000);
}

#[test]
fn sweeps_agree_at_a_sample_of_the_patterns() {
    let Some(opened) = device() else { return };
    let items = 4096;
    for op in sweep::operations() {
        let program = opened.build(&sweep::source(op, Arithmetic::EXACT)).unwrap_or_else(|e| panic!("{e}"));
        let kernel = opened.kernel(&program, sweep::KERNEL).unwrap();
        let out = opened.buffer(items * 4).unwrap();
        let (mut bytes, mut want) = (vec![0; items * 4], vec![0f32; items]);
        for begin in (0..=u32::MAX).step_by(1 << 25) {
            let args = [Arg::Buffer(&out), Arg::Int(begin as i32), Arg::Int(1)];
            opened.launch(&kernel, &args, [items, 1, 1], None, false).unwrap();
            opened.read(&out, 0, &mut bytes).unwrap();
            sweep::cpu(op, begin, 1, &mut want);
            for (i, (got, want)) in bytes.chunks_exact(4).zip(&want).enumerate() {
                let got = f32::from_le_bytes(got.try_into().unwrap());
                let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
                assert!(same, "{} of {:#x} is {got:e}, on the CPU {want:e}", op.name(), begin + i as u32);
            }
        }
    }
}
