//! Where along an axis the largest or the smallest element is: the first of equals, and a NaN is both. Which of two comes
//! first depends on no third, so a line may be searched in parts.

use crate::backend::opencl::source::body::{Body, Launches, Range, Style, Temporary, c_type};
use crate::backend::opencl::source::number::Number;
use crate::backend::opencl::source::operator::indices::{decompose, names, neighbours, without};
use crate::schedule::{View, is_one};
use allotrope_ir::{ArgOp, DType, Dim, Shape};

/// Elements that an item or a work group searches.
const PART: i64 = 1 << 14;
/// Neighbouring lines that an item searches side by side.
const STRIP: i64 = 16;
/// Items of a work group.
const GROUP: usize = 256;
/// Lines of up to so many elements are searched by one item.
const SHORT: i64 = 64;

/// A search whose views have the axes beside the searched one.
struct Search {
    op: ArgOp,
    dtype: DType,
    lines: Shape,
    x: View,
    out: View,
    n: Dim,
    step: Dim,
}

/// The places along `axis` of `x`, which `out` has not.
pub fn arg_reduce(launches: &mut Launches, op: ArgOp, axis: usize, x: &View, out: &View) {
    let mut beside = out.clone();
    beside.shape.insert(axis, x.shape[axis].clone());
    beside.strides.insert(axis, Dim::Fixed(0));
    let (n, step, dtype) = (x.shape[axis].clone(), x.strides[axis].clone(), x.dtype);
    let (lines, [x, out]) = without([x, &beside], axis);
    let search = Search { op, dtype, lines, x, out, n, step };
    let n = Number::from(&search.n);
    match launches.style {
        Style::Gpu if !launches.group => launches.choose(
            n.at_most(SHORT),
            |l| search.items(l, None),
            |l| search.parts(l, |l, parts| search.groups(l, parts)),
        ),
        Style::Gpu | Style::Cpu => {
            let columns = !is_one(&search.step) && search.x.strides.last().is_some_and(is_one);
            match columns {
                true => search.strips(launches),
                false => search.parts(launches, |l, parts| search.items(l, parts)),
            }
        }
    }
}

impl Search {
    /// Whether the element `a` comes before `b`, which stands earlier: a C expression of variables.
    fn better(&self, a: &str, b: &str) -> String {
        let wins = match self.op {
            ArgOp::Max => format!("{a} > {b}"),
            ArgOp::Min => format!("{a} < {b}"),
        };
        if self.dtype.is_float() { format!("({b} == {b}) & (({a} != {a}) | ({wins}))") } else { wins }
    }

    /// The element `i` of a line.
    fn at(&self, body: &mut Body, i: &str) -> String {
        let (x, line) = (body.pointer(&self.x), body.place(&names("line", &self.lines), &self.x.strides));
        format!("{x}[{line} + {i} * {}]", body.number(&self.step))
    }

    /// Where the result of a line goes.
    fn to(&self, body: &mut Body) -> String {
        let (out, line) = (body.pointer(&self.out), body.place(&names("line", &self.lines), &self.out.strides));
        format!("{out}[{line}]")
    }

    fn results(&self) -> Number {
        Number::product(&self.lines)
    }

    fn parts_each(&self) -> Number {
        Number::from(&self.n).ceil_div(PART)
    }

    /// Searches lines as one part, or in several, the best of which is found then.
    fn parts(&self, launches: &mut Launches, search: impl Fn(&mut Launches, Option<&Temporary>)) {
        launches.choose(
            Number::from(&self.n).at_most(PART),
            |l| search(l, None),
            |l| {
                let found = l.temporary("long", self.results().times(self.parts_each()));
                search(l, Some(&found));
                l.launch(Range::Items(self.results()), |body| {
                    let t = c_type(self.dtype);
                    let parts = body.value(&self.parts_each());
                    format!(
                        "__global const long *found = {} + item * {parts};\n{}\
                         long best = found[0];\n{t} b = {};\n\
                         for (long part = 1; part < {parts}; ++part) {{\nconst long i = found[part];\nconst {t} a = {};\n\
                         if ({}) {{ b = a; best = i; }}\n}}\n{} = best;\n",
                        body.temporary(&found),
                        decompose(body, "item", &self.lines, &names("line", &self.lines)),
                        self.at(body, "best"),
                        self.at(body, "i"),
                        self.better("a", "b"),
                        self.to(body),
                    )
                });
            },
        );
    }

    /// Declares the line and the part of it, from `first` to `last`, that the task `number` has.
    fn task(&self, body: &mut Body, parts: Option<&Temporary>, number: &str) -> String {
        let n = body.number(&self.n);
        let which = match parts {
            None => format!("const long line = {number}, first = 0, last = {n};\n"),
            Some(_) => {
                let each = body.value(&self.parts_each());
                format!(
                    "const long line = {number} / {each}, first = ({number} - line * {each}) * {PART}, last = min(first + {PART}, {n});\n"
                )
            }
        };
        which + &decompose(body, "line", &self.lines, &names("line", &self.lines))
    }

    /// Where the place that a task has found goes.
    fn found(&self, body: &mut Body, parts: Option<&Temporary>, number: &str) -> String {
        match parts {
            None => self.to(body),
            Some(parts) => format!("{}[{number}]", body.temporary(parts)),
        }
    }

    fn tasks(&self, parts: Option<&Temporary>) -> Number {
        if parts.is_some() { self.results().times(self.parts_each()) } else { self.results() }
    }

    /// An item searches a part of a line.
    fn items(&self, launches: &mut Launches, parts: Option<&Temporary>) {
        let t = c_type(self.dtype);
        launches.launch(Range::Items(self.tasks(parts)), |body| {
            let mut text = self.task(body, parts, "item");
            let found = self.found(body, parts, "item");
            text +=
                &format!("long best = 0;\nif (first < last) {{\nbest = first;\n{t} b = {};\n", self.at(body, "first"));
            text += "long i = first + 1;\n";
            let each = format!(
                "const {t} a = {};\nif ({}) {{ b = a; best = i; }}\n",
                self.at(body, "i"),
                self.better("a", "b")
            );
            if is_one(&self.step) {
                // Sixteen are looked at together before it is asked which of them is better.
                let from = format!("&{}", self.at(body, "i"));
                let next = neighbours(body, self.dtype, &from, &self.step, 16);
                text += &format!(
                    "for (; i + 16 <= last; i += 16) {{\nconst {t}16 group = {next}, most = ({t}16)(b);\n\
                     if (any({})) {{\nfor (const long end = i + 16; i < end; ++i) {{\n{each}}}\ni -= 16;\n}}\n}}\n",
                    self.better("group", "most")
                );
            }
            text + &format!("for (; i < last; ++i) {{\n{each}}}\n}}\n{found} = best;\n")
        });
    }

    /// An item searches neighbouring lines side by side.
    fn strips(&self, launches: &mut Launches) {
        let (last, outer) = self.lines.split_last().expect("bug in allotrope: columns without an axis");
        let t = c_type(self.dtype);
        let strips = Number::from(last).ceil_div(STRIP);
        launches.launch(Range::Items(Number::product(outer).times(strips.clone())), |body| {
            let names = names("line", &self.lines);
            let (column, above) = names.split_last().expect("an axis");
            let (count, strips, n) = (body.number(last), body.value(&strips), body.number(&self.n));
            let mut text = format!(
                "const long row = item / {strips}, begin = (item - row * {strips}) * {STRIP};\n\
                 const int some = (int)min((long){STRIP}, {count} - begin);\n"
            );
            text += &decompose(body, "row", outer, above);
            let side = |inside: &str, more: bool| {
                let bound = if more { STRIP.to_string() } else { "some".to_string() };
                format!("for (int k = 0; k < {bound}; ++k) {{\nconst long {column} = begin + k;\n{inside}}}\n")
            };
            let first = format!("best[k] = {}; place[k] = 0;\n", self.at(body, "0L"));
            let each = format!(
                "const {t} a = {}, b = best[k];\nconst int found = {};\nbest[k] = found ? a : b;\n\
                 place[k] = found ? i : place[k];\n",
                self.at(body, "i"),
                self.better("a", "b")
            );
            let to = format!("{} = place[k];\n", self.to(body));
            text + &format!(
                "{t} best[{STRIP}];\nlong place[{STRIP}];\n\
                 if ({n} == 0) {{\nfor (int k = 0; k < some; ++k) place[k] = 0;\n}} else if (some == {STRIP}) {{\n{}\
                 for (long i = 1; i < {n}; ++i) {{\n#pragma unroll\n{}}}\n}} else {{\n{}\
                 for (long i = 1; i < {n}; ++i) {{\n{}}}\n}}\n{}",
                side(&first, true),
                side(&each, true),
                side(&first, false),
                side(&each, false),
                side(&to, false),
            )
        });
    }

    /// A work group searches a part of a line: neighbours look at neighbours, and of equals the first place wins.
    fn groups(&self, launches: &mut Launches, parts: Option<&Temporary>) {
        let t = c_type(self.dtype);
        launches.launch(Range::Groups { groups: self.tasks(parts), size: GROUP }, |body| {
            body.local(t, "values", GROUP);
            body.local("long", "places", GROUP);
            let mut text = self.task(body, parts, "group");
            let found = self.found(body, parts, "group");
            // Equal ones, or both no numbers.
            let same = if self.dtype.is_float() { "(a == b || (a != a && b != b))" } else { "a == b" };
            let better = self.better("a", "b");
            let at = self.at(body, "i");
            text += &format!(
                "long i = first + lane;\nif (i < last) {{\nlong best = i;\n{t} b = {at};\n\
                 for (i += {GROUP}; i < last; i += {GROUP}) {{\nconst {t} a = {at};\nif ({better}) {{ b = a; best = i; }}\n}}\n\
                 values[lane] = b;\nplaces[lane] = best;\n}}\nbarrier(CLK_LOCAL_MEM_FENCE);\n\
                 const int some = (int)min((long){GROUP}, last - first);\n\
                 for (int h = {GROUP} / 2; h > 0; h /= 2) {{\nif (lane < h && lane + h < some) {{\n\
                 const {t} a = values[lane + h], b = values[lane];\nconst long later = places[lane + h], now = places[lane];\n\
                 if (({better}) || ({same} && later < now)) {{ values[lane] = a; places[lane] = later; }}\n}}\n\
                 barrier(CLK_LOCAL_MEM_FENCE);\n}}\nif (lane == 0) {found} = places[0];\n"
            );
            text
        });
    }
}
