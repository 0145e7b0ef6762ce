//! The text of launches in the making: what a generator writes a kernel's statements with. It keeps which buffers, symbols,
//! local arrays and temporaries the text names; how they get there is the launcher's matter.

use crate::backend::opencl::source::number::{self, Number};
use crate::schedule::{Base, BufId, LoopId, ScalarId, View, is_one, is_zero};
use allotrope_ir::{DType, Dim, Scalar};
use std::collections::BTreeSet;

/// For which kind of device a kernel is written. The bits are the same.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// Few threads with wide vectors: an item has a block of elements, and no item waits for another.
    Cpu,
    /// Thousands of items: an item has an element, work groups share local memory.
    Gpu,
}

/// How many run the text of a launch.
#[derive(Clone, Debug, PartialEq)]
pub enum Range {
    /// Items in any order, each with its number in `long item`.
    Items(Number),
    /// Work groups of `size` items, a group's number in `long group` and an item's place in it in `int lane`.
    Groups { groups: Number, size: usize },
}

/// One launch: statements that items run.
#[derive(Clone, Debug)]
pub struct Launch {
    pub range: Range,
    pub text: String,
    pub uses: Uses,
    /// Its place among the launches of the program.
    pub number: usize,
    /// The loop in whose rounds it runs, where these are launched before it is known whether they are wanted.
    pub live: Option<LoopId>,
}

/// What the text of a launch names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Uses {
    /// Buffers `bN`, typed pointers to their first element.
    pub buffers: BTreeSet<BufId>,
    /// Symbols `sN`.
    pub symbols: BTreeSet<u32>,
    /// Numbers `qN` that launches of the same text may differ in, `long` each.
    pub arguments: Vec<Number>,
    /// The memory of single elements, `state`.
    pub state: bool,
    /// The memory of temporaries, `temporaries`.
    pub temporaries: bool,
    /// Local arrays, as declarations.
    pub local: Vec<String>,
}

impl Uses {
    /// Adds what another text names, but for its arguments and local arrays, which are its own.
    pub fn extend(&mut self, other: &Uses) {
        self.buffers.extend(&other.buffers);
        self.symbols.extend(&other.symbols);
        self.state |= other.state;
        self.temporaries |= other.temporaries;
    }
}

/// What one instruction became: launches, one after the other, some of which depend on sizes.
#[derive(Clone, Debug)]
pub enum Part {
    Launch(Launch),
    /// The first parts where the number is not 0, else the second.
    Choice {
        condition: Number,
        yes: Vec<Part>,
        no: Vec<Part>,
    },
}

/// The launches of one instruction in the making.
pub struct Launches {
    pub style: Style,
    /// All launches run in one work group, one after the other: ranges of items only.
    pub group: bool,
    pub parts: Vec<Part>,
    /// Bytes of its temporaries.
    bytes: Number,
}

/// A piece of memory that an instruction needs beside its operands.
#[derive(Clone, Debug)]
pub struct Temporary {
    dtype: &'static str,
    offset: Number,
}

impl Launches {
    pub fn new(style: Style, group: bool) -> Launches {
        Launches { style, group, parts: Vec::new(), bytes: 0.into() }
    }

    /// Memory for so many elements of this C type, for this instruction alone.
    pub fn temporary(&mut self, c_type: &'static str, elements: Number) -> Temporary {
        let bytes = elements.times(c_size(c_type)).rounded_up(ALIGN);
        let offset = self.bytes.clone();
        self.bytes = offset.clone().plus(bytes);
        Temporary { dtype: c_type, offset }
    }

    /// Bytes of all temporaries.
    pub fn bytes(&self) -> &Number {
        &self.bytes
    }

    /// Appends a launch, whose text `write` gives.
    pub fn launch(&mut self, range: Range, write: impl FnOnce(&mut Body) -> String) {
        let mut body = Body::default();
        let text = write(&mut body);
        if range != Range::Items(0.into()) {
            self.parts.push(Part::Launch(Launch { range, text, uses: body.uses, number: 0, live: None }));
        }
    }

    /// Appends what `yes` appends where the number is not 0, and else what `no` does.
    pub fn choose(&mut self, condition: Number, yes: impl FnOnce(&mut Launches), no: impl FnOnce(&mut Launches)) {
        match condition.fixed() {
            Some(0) => return no(self),
            Some(_) => return yes(self),
            None => {}
        }
        let before = std::mem::take(&mut self.parts);
        yes(self);
        let yes = std::mem::take(&mut self.parts);
        no(self);
        let no = std::mem::replace(&mut self.parts, before);
        self.parts.push(Part::Choice { condition, yes, no });
    }
}

/// The text of one launch in the making.
#[derive(Default)]
pub struct Body {
    pub uses: Uses,
}

/// Temporaries begin at multiples of so many bytes.
const ALIGN: i64 = 256;

impl Body {
    /// A C expression of type `__global T *`: where a view of memory has its element at position 0.
    ///
    /// # Panics
    /// Where the view is not of memory: a bug in this library.
    pub fn pointer(&mut self, v: &View) -> String {
        match &v.base {
            Base::Buf(b) => {
                let base = self.buffer(*b);
                if is_zero(&v.offset) { base } else { format!("({base} + {})", self.number(&v.offset)) }
            }
            Base::Scalar(s) => format!("({} *)({})", global(v.dtype), self.scalar(*s)),
            Base::Const(_) | Base::Extent(_) | Base::Index => panic!("bug in allotrope: {:?} has no memory", v.base),
        }
    }

    /// The pointer to a buffer's first element.
    pub fn buffer(&mut self, b: BufId) -> String {
        self.uses.buffers.insert(b);
        format!("b{}", b.0)
    }

    /// A byte pointer to the place of a computed value of one element.
    pub fn scalar(&mut self, s: ScalarId) -> String {
        self.uses.state = true;
        format!("state + {}", SCALARS + 8 * s.0 as usize)
    }

    /// A C expression of type `long`.
    pub fn number(&mut self, d: &Dim) -> String {
        number::dim(d, &mut self.uses.symbols)
    }

    /// A C expression of type `long`.
    pub fn value(&mut self, n: &Number) -> String {
        n.text(&mut self.uses.symbols)
    }

    /// The same as the name of an argument, so that launches that differ in this number only share a kernel.
    pub fn argument(&mut self, n: &Number) -> String {
        let at = self.uses.arguments.iter().position(|m| m == n).unwrap_or_else(|| {
            self.uses.arguments.push(n.clone());
            self.uses.arguments.len() - 1
        });
        format!("q{at}")
    }

    /// The pointer to a temporary.
    pub fn temporary(&mut self, t: &Temporary) -> String {
        self.uses.temporaries = true;
        format!("((__global {} *)(temporaries + {}))", t.dtype, self.argument(&t.offset))
    }

    /// Declares a local array of a work group. Launches of [`Range::Groups`] only.
    pub fn local(&mut self, c_type: &str, name: &str, elements: usize) {
        self.uses.local.push(format!("__local {c_type} {name}[{elements}];"));
    }

    /// Where an element is, as a C expression of type `long`: the sum of indices times strides, in elements.
    pub fn place(&mut self, indices: &[String], strides: &[Dim]) -> String {
        let mut terms = Vec::new();
        for (index, stride) in indices.iter().zip(strides) {
            if is_one(stride) {
                terms.push(index.clone());
            } else if !is_zero(stride) {
                terms.push(format!("{index}*{}", self.number(stride)));
            }
        }
        if terms.is_empty() { "0L".to_string() } else { terms.join(" + ") }
    }

    /// The value of a view at a position, as a C expression of the dtype's type.
    pub fn load(&mut self, v: &View, indices: &[String]) -> String {
        match &v.base {
            Base::Buf(_) => {
                let (base, place) = (self.pointer(v), self.place(indices, &v.strides));
                format!("{base}[{place}]")
            }
            Base::Scalar(_) => format!("*{}", self.pointer(v)),
            Base::Const(s) => literal(*s),
            Base::Extent(d) => self.number(d),
            Base::Index => {
                let (offset, place) = (self.number(&v.offset), self.place(indices, &v.strides));
                format!("({offset} + {place})")
            }
        }
    }
}

/// Bytes of the state before the scalars: the status word.
pub const SCALARS: usize = 64;

/// The C type of a dtype's elements in memory. Half-precision floats are their bits.
pub fn c_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "float",
        DType::F64 => "double",
        DType::I64 => "long",
        DType::I32 => "int",
        DType::U8 | DType::Bool => "uchar",
        DType::F16 | DType::BF16 => "ushort",
    }
}

fn global(dtype: DType) -> String {
    format!("__global {}", c_type(dtype))
}

/// Bytes of a C type that temporaries have.
fn c_size(c_type: &str) -> i64 {
    match c_type {
        "double" | "long" | "ulong" => 8,
        "float" | "int" | "uint" => 4,
        "ushort" | "short" => 2,
        "uchar" | "char" => 1,
        other => panic!("bug in allotrope: a temporary of {other}"),
    }
}

/// A number as a C expression with the same bits.
pub fn literal(s: Scalar) -> String {
    match s {
        Scalar::F32(x) => format!("as_float(0x{:08x}u)", x.to_bits()),
        Scalar::F64(x) => format!("as_double(0x{:016x}ul)", x.to_bits()),
        Scalar::F16(x) => format!("(ushort)0x{:04x}", x.to_bits()),
        Scalar::BF16(x) => format!("(ushort)0x{:04x}", x.to_bits()),
        Scalar::I64(x) => number::long(x),
        Scalar::I32(x) => format!("(int){}", number::long(x.into())),
        Scalar::U8(x) => format!("(uchar){x}"),
        Scalar::Bool(x) => format!("(uchar){}", u8::from(x)),
    }
}
