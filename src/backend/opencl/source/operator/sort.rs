//! Stable sorting of lines of keys, and the order that it gives. A key is an unsigned number that stands in the order of the
//! element, and beside it is the place that it comes from: so nothing is equal, and every way of sorting gives the same order.
//! For few threads each sorts a long run by its digits; for work groups runs that fit in local memory; then runs are merged two
//! by two.

use crate::backend::opencl::source::body::{Body, Launches, Range, Style, Temporary, c_type};
use crate::backend::opencl::source::number::Number;
use crate::backend::opencl::source::operator::indices::{decompose, names, without};
use crate::schedule::View;
use allotrope_ir::{DType, Dim};

/// Items of a work group, and the slots that it sorts in.
const GROUP: usize = 256;
const SLOTS: i64 = 1024;
/// Elements that an item of a device of many merges.
const FEW: i64 = 8;
/// Lines of up to so many elements are sorted by one item of a device of few.
const LONG: i64 = 1 << 15;
/// Parts of a longer line, which as many items sort.
const RUNS: i64 = 16;
/// Elements that one of these merges.
const CHUNK: i64 = 4096;
/// Runs of so many elements are not merged any more: no line has more, since places are of eight bytes and a value has at most
/// 2^47 of them.
const MOST: i64 = 1 << 44;

/// Statements, and the key as an expression of type `ulong`.
pub type Key<'a> = dyn Fn(&mut Body, &[String], &str) -> (String, String) + 'a;
/// Statements for an element of the sorted line: the indices of the line, its place there, and the place it comes from.
pub type Write<'a> = dyn Fn(&mut Body, &[String], &str, &str) -> String + 'a;

/// Lines to sort.
pub struct Sort<'a> {
    pub lines: &'a [Dim],
    /// Elements of each line.
    pub n: &'a Dim,
    /// Key and place are two words of eight bytes. Else the key has 32 bits, and `n` is below 2^32.
    pub wide: bool,
    /// The key of an element, from the indices of its line and its place there.
    pub key: &'a Key<'a>,
}

/// Sorted lines in memory.
pub struct Sorted {
    buffers: [Temporary; 2],
    /// The runs that were merged, where it depends on the sizes which buffer is the last.
    runs: Option<i64>,
    wide: bool,
}

impl Sorted {
    /// Declares `sorted`, a pointer to the elements of all lines, and how their keys and places are read.
    pub fn declare(&self, body: &mut Body, n: &Dim) -> String {
        let t = element(self.wide);
        let [a, b] = self.buffers.each_ref().map(|buffer| body.temporary(buffer));
        let Some(runs) = self.runs else { return format!("__global const {t} *sorted = (__global const {t} *){a};\n") };
        format!(
            "int passes = 0;\nfor (long width = {runs}; width < {}; width *= 2) ++passes;\n\
             __global const {t} *sorted = (__global const {t} *)(passes & 1 ? {b} : {a});\n",
            body.number(n)
        )
    }

    /// The key of an element, as `ulong`.
    pub fn key(&self, element: &str) -> String {
        if self.wide { format!("{element}.x") } else { format!("({element} >> 32)") }
    }

    /// The place that an element comes from, as `long`.
    pub fn place(&self, element: &str) -> String {
        place(self.wide, element)
    }
}

/// The C type of an element: its key and its place.
fn element(wide: bool) -> &'static str {
    if wide { "ulong2" } else { "ulong" }
}

fn place(wide: bool, element: &str) -> String {
    if wide { format!("(long){element}.y") } else { format!("(long)({element} & 0xffffffffUL)") }
}

impl Sort<'_> {
    /// Sorts; where no line is long, hands each element to `write`, and else does so once all are sorted.
    pub fn write(&self, launches: &mut Launches, write: &Write) {
        let short = match launches.style {
            Style::Gpu if !launches.group => SLOTS,
            Style::Gpu | Style::Cpu => LONG,
        };
        launches.choose(
            Number::from(self.n).at_most(short),
            |l| match l.style {
                Style::Gpu if !l.group => self.local(l, None, write),
                Style::Gpu | Style::Cpu => {
                    let buffers = self.buffers(l);
                    self.digits(l, &buffers, self.n.into(), Some(write));
                }
            },
            |l| {
                let sorted = self.sort(l);
                let total = Number::product(self.lines).times(self.n);
                let each = if l.style == Style::Cpu { CHUNK } else { 1 };
                l.launch(Range::Items(total.clone().ceil_div(each)), |body| {
                    let names = names("line", self.lines);
                    let n = body.number(self.n);
                    let text = format!(
                        "const {} entry = sorted[at];\nlong line = at / {n};\nconst long rank = at - line * {n};\n{}{}",
                        element(self.wide),
                        decompose(body, "line", self.lines, &names),
                        write(body, &names, "rank", &sorted.place("entry"))
                    );
                    let (declare, total) = (sorted.declare(body, self.n), body.value(&total));
                    format!(
                        "{declare}for (long at = item * {each}, end = min(at + {each}, {total}); at < end; ++at) {{\n{text}}}\n"
                    )
                });
            },
        );
    }

    /// Sorts into memory.
    pub fn sort(&self, launches: &mut Launches) -> Sorted {
        let buffers = self.buffers(launches);
        let nothing: &Write = &|_, _, _, _| String::new();
        let runs = match launches.style {
            Style::Gpu if !launches.group => {
                self.local(launches, Some(&buffers[0]), nothing);
                let mut width = SLOTS;
                let mut from = 0;
                let most = self.n.as_fixed().map_or(MOST, |n| n as i64);
                while width < most {
                    self.merge(launches, [&buffers[from], &buffers[1 - from]], width.into(), FEW);
                    (width, from) = (width * 2, 1 - from);
                }
                Some(SLOTS)
            }
            Style::Gpu | Style::Cpu => {
                // Whole chunks, so that none has elements of two pairs of runs.
                let mut width = Number::from(self.n).ceil_div(RUNS).rounded_up(CHUNK);
                self.digits(launches, &buffers, width.clone(), None);
                let (mut runs, mut from) = (RUNS, 0);
                while runs > 1 {
                    self.merge(launches, [&buffers[from], &buffers[1 - from]], width.clone(), CHUNK);
                    (width, runs, from) = (width.times(2), runs / 2, 1 - from);
                }
                None
            }
        };
        Sorted { buffers, runs, wide: self.wide }
    }

    fn buffers(&self, launches: &mut Launches) -> [Temporary; 2] {
        let elements = Number::product(self.lines).times(self.n).times(if self.wide { 2 } else { 1 });
        [(); 2].map(|()| launches.temporary("ulong", elements.clone()))
    }

    /// The element at a place of a line.
    fn element(&self, body: &mut Body, line: &[String], i: &str) -> (String, String) {
        let (statements, key) = (self.key)(body, line, i);
        let value = match self.wide {
            true => format!("(ulong2)({key}, (ulong){i})"),
            false => format!("({key} << 32 | (ulong){i})"),
        };
        (statements, value)
    }

    /// An item sorts a run of `width` elements by its digits, eight bits at a time, and few elements by insertion.
    fn digits(&self, launches: &mut Launches, buffers: &[Temporary; 2], width: Number, write: Option<&Write>) {
        let runs = Number::from(self.n).ceil_div(width.clone().max(1));
        let lines = Number::product(self.lines);
        let t = element(self.wide);
        launches.launch(Range::Items(lines.times(runs.clone())), |body| {
            let names = names("line", self.lines);
            let (runs, width, n) = (body.value(&runs), body.value(&width), body.number(self.n));
            let [a, b] = buffers.each_ref().map(|buffer| body.temporary(buffer));
            let indices = decompose(body, "line", self.lines, &names);
            let (statements, value) = self.element(body, &names, "i");
            let (key, first) = if self.wide { (".x", 0) } else { ("", 32) };
            let less = format!("entry{key} < a[at - 1]{key}");
            let out = match write {
                None => String::new(),
                Some(write) => format!(
                    "for (long rank = 0; rank < count; ++rank) {{\nconst {t} entry = a[rank];\n{}}}\n",
                    write(body, &names, "rank", &place(self.wide, "entry"))
                ),
            };
            format!(
                "long line = item / {runs};\nconst long run = item - line * {runs}, first = run * {width};\n\
                 const long count = min((long){width}, {n} - first);\n\
                 __global {t} *a = (__global {t} *){a} + (line * {n} + first);\n\
                 __global {t} *b = (__global {t} *){b} + (line * {n} + first);\n{indices}\
                 if (count <= 48) {{\n\
                 for (long j = 0; j < count; ++j) {{\nconst long i = first + j;\n{statements}const {t} entry = {value};\n\
                 long at = j;\nfor (; at > 0 && {less}; --at) a[at] = a[at - 1];\na[at] = entry;\n}}\n\
                 }} else {{\n\
                 for (long j = 0; j < count; ++j) {{\nconst long i = first + j;\n{statements}a[j] = {value};\n}}\n\
                 for (int shift = {first}; shift < 64; shift += 8) {{\n\
                 long counts[256];\nfor (int d = 0; d < 256; ++d) counts[d] = 0;\n\
                 for (long j = 0; j < count; ++j) ++counts[a[j]{key} >> shift & 255];\n\
                 if (counts[a[0]{key} >> shift & 255] != count) {{\n\
                 long before = 0;\n\
                 for (int d = 0; d < 256; ++d) {{ const long some = counts[d]; counts[d] = before; before += some; }}\n\
                 for (long j = 0; j < count; ++j) {{ const {t} entry = a[j]; b[counts[entry{key} >> shift & 255]++] = entry; }}\n\
                 __global {t} *c = a; a = b; b = c;\n}}\n}}\n{}}}\n{out}",
                match write {
                    Some(_) => String::new(),
                    // Later launches look for it in the first buffer.
                    None => format!(
                        "__global {t} *to = (__global {t} *){a} + (item / {runs} * {n} + first);\n\
                         if (a != to) for (long j = 0; j < count; ++j) to[j] = a[j];\n"
                    ),
                }
            )
        });
    }

    /// A work group sorts runs of up to 1024 elements in local memory: one, or several short lines.
    fn local(&self, launches: &mut Launches, to: Option<&Temporary>, write: &Write) {
        let n = Number::from(self.n);
        let runs = n.clone().ceil_div(SLOTS);
        // Lines of up to 32 and of up to 256 elements: how many there are in a group.
        let together = Number::from(1).plus(n.clone().at_most(256).times(3)).plus(n.at_most(32).times(SLOTS / 32 - 4));
        let blocks = Number::product(self.lines).times(runs.clone());
        let t = element(self.wide);
        let groups = blocks.clone().ceil_div(together.clone());
        launches.launch(Range::Groups { groups, size: GROUP }, |body| {
            let names = names("line", self.lines);
            body.local(t, "slots", SLOTS as usize);
            let (n, runs) = (body.number(self.n), body.value(&runs));
            let (blocks, together) = (body.value(&blocks), body.value(&together));
            let indices = decompose(body, "line", self.lines, &names);
            let (statements, value) = self.element(body, &names, "i");
            let (last, less) = match self.wide {
                true => ("(ulong2)(ULONG_MAX, ULONG_MAX)", "b.x < a.x || (b.x == a.x && b.y < a.y)"),
                false => ("ULONG_MAX", "b < a"),
            };
            let result = match to {
                Some(to) => format!("((__global {t} *){})[number * {n} + i] = slots[s];\n", body.temporary(to)),
                None => {
                    let write = write(body, &names, "i", &place(self.wide, "entry"));
                    format!("const {t} entry = slots[s];\n{write}")
                }
            };
            // Slot `s` is element `i` of a line, if there is one.
            let each = |inside: &str| {
                format!(
                    "for (int s = lane; s < {SLOTS}; s += {GROUP}) {{\n\
                     const long block = group * {together} + s / size;\nlong line = block / {runs};\n\
                     const long number = line, i = (block - line * {runs}) * {SLOTS} + s % size;\n{inside}}}\n"
                )
            };
            format!(
                "const int size = (int)({SLOTS} / {together});\n{}barrier(CLK_LOCAL_MEM_FENCE);\n\
                 for (int k = 2; k <= size; k *= 2) {{\nfor (int j = k / 2; j > 0; j /= 2) {{\n\
                 for (int s = lane; s < {SLOTS} / 2; s += {GROUP}) {{\n\
                 const int p = 2 * s - (s & (j - 1));\nconst {t} a = slots[p], b = slots[p + j];\n\
                 if (({less}) == (k == size || (p & k) == 0)) {{ slots[p] = b; slots[p + j] = a; }}\n}}\n\
                 barrier(CLK_LOCAL_MEM_FENCE);\n}}\n}}\n{}",
                each(&format!(
                    "{t} value = {last};\nif (block < {blocks} && i < {n}) {{\n{indices}{statements}value = {value};\n}}\n\
                     slots[s] = value;\n"
                )),
                each(&format!("if (block < {blocks} && i < {n}) {{\n{indices}{result}}}\n")),
            )
        });
    }

    /// Merges runs of `width` two by two, where there is more than one; an item has `chunk` elements of the result.
    fn merge(&self, launches: &mut Launches, [from, to]: [&Temporary; 2], width: Number, chunk: i64) {
        let chunks = Number::from(self.n).ceil_div(chunk);
        let more = width.clone().plus(1).at_most(self.n);
        let more = if chunk == CHUNK { 1.into() } else { more };
        let items = Number::product(self.lines).times(chunks.clone()).times(more);
        let t = element(self.wide);
        let key = if self.wide { ".x" } else { "" };
        launches.launch(Range::Items(items), |body| {
            let (n, chunks, width) = (body.number(self.n), body.value(&chunks), body.argument(&width));
            let [from, to] = [from, to].map(|buffer| body.temporary(buffer));
            format!(
                "const long width = {width}, line = item / {chunks}, first = (item - line * {chunks}) * {chunk};\n\
                 const long last = min(first + {chunk}, {n}), begin = first / (2 * width) * (2 * width);\n\
                 const long left = min(width, {n} - begin), right = min(width, max({n} - begin - width, 0L));\n\
                 __global const {t} *a = (__global const {t} *){from} + (line * {n} + begin), *b = a + left;\n\
                 __global {t} *to = (__global {t} *){to} + line * {n};\n\
                 long i = max(0L, first - begin - right), most = min(first - begin, left);\n\
                 while (i < most) {{\nconst long middle = (i + most) / 2;\n\
                 if (a[middle]{key} <= b[first - begin - 1 - middle]{key}) i = middle + 1; else most = middle;\n}}\n\
                 long j = first - begin - i, at = first;\n\
                 while (at < last && i < left && j < right) {{\nconst {t} x = a[i], y = b[j];\n\
                 const int one = x{key} <= y{key};\nto[at++] = one ? x : y;\ni += one;\nj += 1 - one;\n}}\n\
                 for (; at < last && i < left; ++at, ++i) to[at] = a[i];\n\
                 for (; at < last; ++at, ++j) to[at] = b[j];\n"
            )
        });
    }
}

/// Whether keys of a dtype have 32 bits at most.
fn narrow(dtype: DType) -> bool {
    match dtype {
        DType::Bool | DType::U8 | DType::I32 | DType::F32 => true,
        DType::I64 | DType::F64 => false,
        DType::F16 | DType::BF16 => panic!("bug in allotrope: {dtype} has no order"),
    }
}

/// The key of the variable `x`: zeros are equal, NaN is the largest.
fn key(dtype: DType) -> (&'static str, &'static str) {
    match dtype {
        DType::Bool | DType::U8 => ("", "(ulong)x"),
        DType::I32 => ("", "(ulong)(as_uint(x) ^ 0x80000000u)"),
        DType::I64 => ("", "(as_ulong(x) ^ 0x8000000000000000UL)"),
        DType::F32 => (
            "uint bits = as_uint(x);\n\
             bits = (bits & 0x7fffffffu) > 0x7f800000u ? 0xffffffffu : bits == 0x80000000u ? 0x80000000u \
             : bits >> 31 ? ~bits : bits | 0x80000000u;\n",
            "(ulong)bits",
        ),
        DType::F64 => (
            "ulong bits = as_ulong(x);\n\
             bits = (bits & 0x7fffffffffffffffUL) > 0x7ff0000000000000UL ? ULONG_MAX \
             : bits == 0x8000000000000000UL ? 0x8000000000000000UL : bits >> 63 ? ~bits : bits | 0x8000000000000000UL;\n",
            "bits",
        ),
        DType::F16 | DType::BF16 => panic!("bug in allotrope: {dtype} has no order"),
    }
}

/// The places of the elements along an axis in stable order.
pub fn argsort(launches: &mut Launches, axis: usize, descending: bool, x: &View, out: &View) {
    let n = x.shape[axis].clone();
    let (step, to_step) = (&x.strides[axis], &out.strides[axis]);
    let (lines, [x, out]) = without([x, out], axis);
    let narrow = narrow(x.dtype);
    // Keys turned over run downwards, while the places beside them keep equal ones in order.
    let flip = match (descending, narrow) {
        (false, _) => "",
        (true, true) => " ^ 0xffffffffUL",
        (true, false) => " ^ ULONG_MAX",
    };
    let read: &Key = &|body, line, i| {
        let (statements, key) = key(x.dtype);
        let (from, at, step) = (body.pointer(&x), body.place(line, &x.strides), body.number(step));
        let load = format!("const {} x = {from}[{at} + {i} * {step}];\n", c_type(x.dtype));
        (load + statements, format!("({key}{flip})"))
    };
    let write: &Write = &|body, line, rank, place| {
        let (to, at, step) = (body.pointer(&out), body.place(line, &out.strides), body.number(to_step));
        format!("{to}[{at} + {rank} * {step}] = {place};\n")
    };
    let sort = |wide: bool| Sort { lines: &lines, n: &n, wide, key: read };
    match narrow {
        false => sort(true).write(launches, write),
        true => launches.choose(
            Number::from(&n).at_most(i64::from(u32::MAX)),
            |l| sort(false).write(l, write),
            |l| sort(true).write(l, write),
        ),
    }
}
