//! Reductions as C: the order of `allotrope_kernels::reduce`, with its sixteen lanes as a vector, its halving, and its pairwise
//! combination of blocks. Where the elements come from is the caller's matter.

use crate::backend::opencl::source::body::{c_type, literal};
use allotrope_ir::{DType, ReduceOp, Scalar};
use half::{bf16, f16};

/// Elements of a block of a sum, and of what one item folds of a maximum.
pub const BLOCK: i64 = 4096;
/// Levels of the pairwise combination: more blocks than that no memory has.
const LEVELS: usize = 48;

/// A reduction of one dtype, whose C functions have names of their own.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fold {
    pub op: ReduceOp,
    pub dtype: DType,
}

impl Fold {
    /// What is in the names of its functions.
    fn suffix(self) -> String {
        format!("{}_{}", self.op.name(), self.dtype)
    }

    /// What is in every text that calls one of its functions.
    pub fn marker(self) -> String {
        format!("_{}(", self.suffix())
    }

    /// Whether blocks are folded apart and then combined pairwise; else all elements are one block, of which parts may be
    /// folded lane by lane.
    pub fn in_blocks(self) -> bool {
        match self.op {
            ReduceOp::Sum => true,
            ReduceOp::Max | ReduceOp::Min => false,
        }
    }

    pub fn c_type(self) -> &'static str {
        c_type(self.dtype)
    }

    /// What changes nothing.
    pub fn identity(self) -> String {
        let of = |x: f64, least: i64, most: i64, bool: bool| match self.dtype {
            DType::F32 => Scalar::F32(x as f32),
            DType::F64 => Scalar::F64(x),
            DType::F16 => Scalar::F16(f16::from_f64(x)),
            DType::BF16 => Scalar::BF16(bf16::from_f64(x)),
            DType::I64 => Scalar::I64(if x < 0.0 { least } else { most }),
            DType::I32 => Scalar::I32(if x < 0.0 { i32::MIN } else { i32::MAX }),
            DType::U8 => Scalar::U8(if x < 0.0 { u8::MIN } else { u8::MAX }),
            DType::Bool => Scalar::Bool(bool),
        };
        literal(match self.op {
            ReduceOp::Max => of(f64::NEG_INFINITY, i64::MIN, i64::MAX, false),
            ReduceOp::Min => of(f64::INFINITY, i64::MIN, i64::MAX, true),
            ReduceOp::Sum if self.dtype.is_float() => of(-0.0, 0, 0, false),
            ReduceOp::Sum => self.zero(),
        })
        .to_string()
    }

    /// The result of no elements.
    pub fn empty(self) -> String {
        match self.op {
            ReduceOp::Sum => literal(self.zero()),
            ReduceOp::Max | ReduceOp::Min => self.identity(),
        }
    }

    /// One fold of two elements.
    pub fn two(self, a: &str, b: &str) -> String {
        format!("at_fold_{}({a}, {b})", self.suffix())
    }

    /// The same of two vectors of sixteen.
    pub fn lanes(self, a: &str, b: &str) -> String {
        format!("at_fold16_{}({a}, {b})", self.suffix())
    }

    /// Sixteen lanes, before the first element of a block.
    pub fn begin(self) -> String {
        format!("at_lanes_{}()", self.suffix())
    }

    /// The result of lanes that have folded so many elements, at least one.
    pub fn halve(self, lanes: &str, elements: &str) -> String {
        format!("at_halve_{}({lanes}, {elements})", self.suffix())
    }

    /// The vector type of its lanes.
    pub fn vector(self) -> String {
        format!("{}16", self.c_type())
    }

    /// Declares the levels of a pairwise combination.
    pub fn levels(self, name: &str) -> String {
        format!("{} {name}[{LEVELS}];\n", self.c_type())
    }

    /// Takes the result of block number `block`.
    pub fn push(self, levels: &str, block: &str, value: &str) -> String {
        format!("at_push_{}({levels}, {block}, {value});\n", self.suffix())
    }

    /// The combination of so many blocks, at least one.
    pub fn finish(self, levels: &str, blocks: &str) -> String {
        format!("at_finish_{}({levels}, {blocks})", self.suffix())
    }

    /// Its functions.
    pub fn functions(self) -> String {
        let (t, s) = (self.c_type(), self.suffix());
        let (identity, empty) = (self.identity(), self.empty());
        let float = self.dtype.is_float();
        let unsigned = match self.dtype {
            DType::I64 => "ulong",
            DType::I32 => "uint",
            DType::U8 | DType::Bool => "uchar",
            DType::F16 | DType::BF16 => "ushort",
            DType::F32 => "float",
            DType::F64 => "double",
        };
        let (one, many) = match (self.op, float) {
            (ReduceOp::Sum, true) => ("a + b".to_string(), "a + b".to_string()),
            // Unsigned numbers wrap.
            (ReduceOp::Sum, false) => (
                format!("({t})(({unsigned})a + ({unsigned})b)"),
                format!("as_{t}16(as_{unsigned}16(a) + as_{unsigned}16(b))"),
            ),
            (ReduceOp::Max, true) => ("b > a || b != b ? b : a".into(), "(b > a) | (b != b) ? b : a".into()),
            (ReduceOp::Min, true) => ("b < a || b != b ? b : a".into(), "(b < a) | (b != b) ? b : a".into()),
            (ReduceOp::Max, false) => ("b > a ? b : a".into(), "b > a ? b : a".into()),
            (ReduceOp::Min, false) => ("b < a ? b : a".into(), "b < a ? b : a".into()),
        };
        let fold = |a: &str, b: &str| format!("at_fold_{s}({a}, {b})");
        let mut halve = String::new();
        let mut width = 8;
        while width >= 1 {
            halve.push_str(&format!(
                "for (int l = 0; l < {width}; l++) x[l] = {};\n",
                fold("x[l]", &format!("x[l + {width}]"))
            ));
            width /= 2;
        }
        let mut text = format!(
            "{t} at_fold_{s}({t} a, {t} b) {{ return {one}; }}\n\
             {t}16 at_fold16_{s}({t}16 a, {t}16 b) {{ return {many}; }}\n\
             {t}16 at_lanes_{s}(void) {{ {t}16 v = ({t}16)({identity}); v.s1 = {empty}; return v; }}\n\
             {t} at_halve_{s}({t}16 v, long elements) {{\nif (elements < 2) v.s1 = {identity};\n\
             {t} x[16]; vstore16(v, 0, x);\n{halve}return x[0];\n}}\n"
        );
        if self.in_blocks() {
            text.push_str(&format!(
                "void at_push_{s}({t} *levels, long block, {t} value) {{\nint level = 0;\n\
                 for (; block & 1; block >>= 1, level++) value = {};\nlevels[level] = value;\n}}\n\
                 {t} at_finish_{s}({t} *levels, long blocks) {{\nint level = 0;\n\
                 for (; !(blocks & 1); blocks >>= 1) level++;\n{t} value = levels[level];\n\
                 for (blocks >>= 1, level++; blocks; blocks >>= 1, level++) if (blocks & 1) value = {};\nreturn value;\n}}\n",
                fold("levels[level]", "value"),
                fold("levels[level]", "value"),
            ));
        }
        text
    }

    fn zero(self) -> Scalar {
        Scalar::from_f64(0.0, self.dtype)
    }
}
