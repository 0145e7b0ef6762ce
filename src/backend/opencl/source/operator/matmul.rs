//! Matrix products as launches: what both styles of device share, which is the definition of `allotrope_kernels::matmul` and
//! how operands are walked. How elements are shared among items is the matter of [`cpu`] and [`gpu`].

mod cpu;
mod gpu;

use crate::backend::opencl::source::body::{Body, Launches, Range, Style, Temporary};
use crate::backend::opencl::source::number::Number;
use crate::schedule::{Axes, Factor, Product, View, is_one};
use allotrope_ir::{DType, Dim};
use std::collections::BTreeSet;

/// Steps of a chain.
const CHAIN: i64 = 256;

/// The functions that a text calls.
pub fn functions(text: &str) -> String {
    let names = names(text);
    let mut found = String::new();
    for element in [DType::F32, DType::F64, DType::I64, DType::I32, DType::U8].map(Element::of) {
        if !names.iter().any(|name| name.ends_with(&format!("_{}", element.dtype))) {
            continue;
        }
        if !element.float && !found.contains("#define") {
            found.insert_str(0, "#define AT_MATMUL_MAD(a, b, c) ((a) * (b) + (c))\n");
        }
        found.push_str(&cpu::functions(&element, &names));
        found.push_str(&gpu::functions(&element, &names));
    }
    found
}

/// The names of functions for products in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let end = |at: usize| text[at..].find('(').map(|n| &text[at..at + n]);
    text.match_indices("at_matmul_").filter_map(|(at, _)| end(at)).collect()
}

/// The launches of a product.
pub fn matmul(launches: &mut Launches, a: &Factor, b: &Factor, out: &View, accumulate: bool) {
    let p = Task {
        views: [&a.view, &b.view, out],
        element: Element::of(out.dtype),
        accumulate,
        of: Product::of(a, b, out),
    };
    match (launches.style, launches.group) {
        // Functions that copy parts of factors need more memory of their own than items of one group have.
        (Style::Cpu, true) if p.is_of_axes() => gpu::elements(launches, &p),
        (Style::Cpu, _) => cpu::product(launches, &p),
        (Style::Gpu, true) => gpu::elements(launches, &p),
        (Style::Gpu, false) => gpu::product(launches, &p),
    }
}

/// How the elements of a dtype are computed in C.
struct Element {
    dtype: DType,
    /// Unsigned where they wrap.
    c_type: &'static str,
    /// Elements of a vector.
    width: i64,
    float: bool,
}

impl Element {
    /// # Panics
    /// For dtypes without products: a bug in this library.
    fn of(dtype: DType) -> Element {
        let (c_type, width) = match dtype {
            DType::F32 => ("float", 16),
            DType::F64 => ("double", 8),
            DType::I64 => ("ulong", 8),
            DType::I32 => ("uint", 16),
            DType::U8 => ("uchar", 16),
            DType::Bool | DType::F16 | DType::BF16 => {
                panic!("bug in allotrope: kernel matmul is not defined for {dtype}")
            }
        };
        Element { dtype, c_type, width, float: dtype.is_float() }
    }

    /// The name of one of the functions for this dtype.
    fn call(&self, name: &str) -> String {
        format!("at_matmul_{name}_{}", self.dtype)
    }

    fn multiply_add(&self) -> &'static str {
        if self.float { "fma" } else { "AT_MATMUL_MAD" }
    }

    /// A template for this dtype.
    fn fill(&self, template: &str) -> String {
        let (t, w) = (self.c_type, self.width);
        template
            .replace("$FMA", self.multiply_add())
            .replace("$W", &w.to_string())
            .replace("$L4", &format!("__local {t}4"))
            .replace("$T4", &format!("{t}4"))
            .replace("$C", &format!("__global const {t}"))
            .replace("$G", &format!("__global {t}"))
            .replace("$L", &format!("__local {t}"))
            .replace("$V", &format!("{t}{w}"))
            .replace("$T", t)
            .replace("$S", &self.dtype.to_string())
    }
}

/// Those of a template's functions that have these names or are called by them. They are apart by empty lines and call only
/// functions before them.
fn called(template: &str, wanted: &BTreeSet<&str>) -> String {
    let functions: Vec<&str> = template.split("\n\n").skip(1).collect();
    let mut found = Vec::new();
    let mut wanted = wanted.clone();
    for function in functions.into_iter().rev() {
        let used = names(function);
        let name = function.split("void ").nth(1).and_then(|f| f.split('(').next());
        if wanted.contains(name.expect("bug in allotrope: a template of no function")) {
            found.push(function.trim_end());
            wanted.extend(used);
        }
    }
    found.iter().rev().map(|f| format!("{f}\n\n")).collect()
}

/// A product to be computed.
struct Task<'v> {
    /// `a`, `b` and `out`.
    views: [&'v View; 3],
    element: Element,
    accumulate: bool,
    of: Product,
}

/// Where results go.
enum Target<'t> {
    Out,
    /// Memory of their own, densely; which of the matrices there is this expression.
    Memory(&'t Temporary, &'static str),
}

impl Task<'_> {
    fn m(&self) -> Number {
        Number::from(&self.of.m)
    }

    fn n(&self) -> Number {
        Number::from(&self.of.n)
    }

    fn k(&self) -> Number {
        Number::from(&self.of.k)
    }

    fn batches(&self) -> Number {
        Number::product(&self.of.batch)
    }

    /// Elements of one product.
    fn elements(&self) -> Number {
        self.m().times(self.n())
    }

    fn chains(&self) -> Number {
        self.k().ceil_div(CHAIN).max(1)
    }

    /// Whether rows, columns or steps of a factor are several axes.
    fn is_of_axes(&self) -> bool {
        self.of.strides().is_none()
    }

    /// Statements that declare sizes, strides where indices have one, the batch's number `batch` from `rest` and pointers `a`,
    /// `b`, `c` to its matrices.
    fn begin(&self, target: &Target, body: &mut Body) -> String {
        let p = &self.of;
        let t = self.element.c_type;
        let sizes = [("m", &p.m), ("n", &p.n), ("k", &p.k)];
        let strides = p.strides().into_iter().flat_map(|strides| ["ars", "acs", "brs", "bcs"].into_iter().zip(strides));
        let mut text = String::from("const long batch = rest;\n");
        for (name, dim) in sizes.into_iter().chain(strides) {
            text.push_str(&format!("const long {name} = {};\n", body.number(dim)));
        }
        let indices: Vec<String> = (0..p.batch.len()).map(|i| format!("x{i}")).collect();
        for (i, (index, n)) in indices.iter().zip(&p.batch).enumerate().rev() {
            let n = body.number(n);
            match i {
                0 => text.push_str(&format!("const long {index} = rest;\n")),
                _ => text.push_str(&format!("const long {index} = rest % {n}; rest /= {n};\n")),
            }
        }
        for (i, name) in ["a", "b"].into_iter().enumerate() {
            let (base, place) = (body.pointer(self.views[i]), body.place(&indices, &p.batch_strides[i]));
            text.push_str(&format!("__global const {t} *{name} = (__global const {t} *)({base}) + ({place});\n"));
        }
        match target {
            Target::Out => {
                let (base, place) = (body.pointer(self.views[2]), body.place(&indices, &p.batch_strides[2]));
                text.push_str(&format!("const long crs = {};\n", body.number(&p.out)));
                text.push_str(&format!("__global {t} *c = (__global {t} *)({base}) + ({place});\n"));
            }
            Target::Memory(memory, place) => {
                let memory = body.temporary(memory);
                text.push_str(&format!("const long crs = n;\n__global {t} *c = {memory} + {place}*m*n;\n"));
            }
        }
        text
    }

    /// Adds results that lie in memory, `chains` of each product one after the other, in order, and puts them to `out`.
    fn sum(&self, launches: &mut Launches, memory: &Temporary, chains: Number) {
        const ITEM: i64 = 256;
        let blocks = self.elements().ceil_div(ITEM);
        launches.launch(Range::Items(self.batches().times(blocks.clone())), |body| {
            let (blocks, chains) = (body.value(&blocks), body.value(&chains));
            let t = self.element.c_type;
            let mut text =
                format!("long rest = item; const long from = rest % {blocks} * {ITEM}L; rest /= {blocks};\n");
            text.push_str(&self.begin(&Target::Out, body));
            let (memory, add) = (body.temporary(memory), if self.accumulate { "*at + " } else { "" });
            text.push_str(&format!(
                "const int count = min({ITEM}L, m*n - from);\n\
                 __global const {t} *one = {memory} + batch*{chains}*m*n + from;\n\
                 {t} sum[{ITEM}];\n\
                 for (int e = 0; e < count; e++) sum[e] = one[e];\n\
                 for (long chain = 1; chain < {chains}; chain++) {{\none += m*n;\n\
                 for (int e = 0; e < count; e++) sum[e] += one[e];\n}}\n\
                 for (int e = 0; e < count; e++) {{\n\
                 __global {t} *at = c + (from + e) / n * crs + (from + e) % n;\n*at = {add}sum[e];\n}}\n"
            ));
            text
        });
    }

    /// Whether columns of `b` are neighbours under every binding.
    fn dense_columns(&self) -> bool {
        self.of.b[1].stride().is_some_and(is_one)
    }
}

/// Where an index of a factor lies, in elements from index 0, as a C expression. The index is one of type long, in brackets.
fn place(axes: &Axes, index: &str, body: &mut Body) -> String {
    let mut below = Dim::Fixed(1);
    let mut indices: Vec<String> = Vec::new();
    for (i, n) in axes.sizes.iter().enumerate().rev() {
        let above = if is_one(&below) { index.to_string() } else { format!("{index} / ({})", body.number(&below)) };
        indices.push(match i {
            0 => format!("({above})"),
            _ => format!("({above} % {})", body.number(n)),
        });
        below = &below * n;
    }
    indices.reverse();
    body.place(&indices, &axes.strides)
}

/// A statement that writes the places of `count` indices of a factor, from `from` on, into an array.
fn places(array: &str, axes: &Axes, from: &str, count: &str, body: &mut Body) -> String {
    let place = place(axes, &format!("({from} + e)"), body);
    format!("for (int e = 0; e < {count}; e++) {array}[e] = {place};\n")
}

/// A number that is 1 where all of these are, else 0.
fn all(conditions: impl IntoIterator<Item = Number>) -> Number {
    conditions.into_iter().fold(Number::from(1), |all, c| match (all.fixed(), c.fixed()) {
        (Some(0), _) | (_, Some(0)) => 0.into(),
        (Some(_), _) => c,
        (_, Some(_)) => all,
        _ => all.times(c),
    })
}
