//! Scatter along an axis, in row-major order of the indices: of sources with one destination the last one stays, and additions
//! are one chain. All of them lie on one line along the axis, so lines are independent; where there are many items, a line is
//! sorted by destination, stably, and each destination walks its own sources. An index out of range is left out.

use crate::backend::opencl::source::body::{Body, Launches, Range, Style, c_type};
use crate::backend::opencl::source::fold::Fold;
use crate::backend::opencl::source::number::Number;
use crate::backend::opencl::source::operator::indices::{decompose, names, without};
use crate::backend::opencl::source::operator::sort::{Key, Sort};
use crate::schedule::{View, is_one, is_zero};
use allotrope_ir::{DType, Dim, ReduceOp, ScatterOp, Shape};

/// Neighbouring lines that an item walks side by side.
const STRIP: i64 = 32;
/// Lines of up to so many sources are not worth sorting.
const SHORT: i64 = 64;

/// A scatter whose views have the axes beside the scattered one, merged where all walk them as one.
struct Scatter {
    op: ScatterOp,
    dtype: DType,
    lines: Shape,
    index: View,
    source: View,
    out: View,
    /// Sources of a line, and places in it.
    count: Dim,
    places: Dim,
    /// Strides of index, source and destination along a line.
    steps: [Dim; 3],
}

/// Puts or adds `source[.., i, ..]` at `out[.., index[.., i, ..], ..]`.
pub fn scatter(launches: &mut Launches, op: ScatterOp, axis: usize, index: &View, source: &View, out: &View) {
    let steps = [index, source, out].map(|v| v.strides[axis].clone());
    let (count, places) = (index.shape[axis].clone(), out.shape[axis].clone());
    let dtype = out.dtype;
    let (lines, [index, source, out]) = without([index, source, out], axis);
    let scatter = Scatter { op, dtype, lines, index, source, out, count, places, steps };
    match launches.style {
        Style::Cpu => scatter.strips(launches),
        Style::Gpu if launches.group => scatter.lines(launches),
        Style::Gpu => {
            let short = Number::from(&scatter.count).at_most(SHORT);
            launches.choose(short, |l| scatter.lines(l), |l| scatter.sorted(l));
        }
    }
}

impl Scatter {
    /// Puts or adds a source, both C expressions of elements.
    fn put(&self, to: &str, from: &str) -> String {
        match self.op {
            ScatterOp::Set => format!("{to} = {from};\n"),
            ScatterOp::Add => format!("{to} = {};\n", self.fold().two(to, from)),
        }
    }

    fn fold(&self) -> Fold {
        Fold { op: ReduceOp::Sum, dtype: self.dtype }
    }

    /// Declares `p`, the destination of source `k`; `inside` says whether there is such a place.
    fn find(&self, body: &mut Body, line: &[String]) -> String {
        let (index, at) = (body.pointer(&self.index), body.place(line, &self.index.strides));
        format!(
            "const long p = {index}[{at} + k * {}];\nconst int inside = (ulong)p < (ulong){};\n",
            body.number(&self.steps[0]),
            body.number(&self.places)
        )
    }

    /// The source `k` of a line as a C expression.
    fn from(&self, body: &mut Body, line: &[String]) -> String {
        let (source, at) = (body.pointer(&self.source), body.place(line, &self.source.strides));
        format!("{source}[{at} + k * {}]", body.number(&self.steps[1]))
    }

    /// The place `p` of a line as a C expression.
    fn to(&self, body: &mut Body, line: &[String]) -> String {
        let (out, at) = (body.pointer(&self.out), body.place(line, &self.out.strides));
        format!("{out}[{at} + p * {}]", body.number(&self.steps[2]))
    }

    /// The sources of a line, in order.
    fn line(&self, body: &mut Body, line: &[String]) -> String {
        let (from, to) = (self.from(body, line), self.to(body, line));
        let (count, put) = (body.number(&self.count), self.put(&to, &from));
        format!("for (long k = 0; k < {count}; ++k) {{\n{}if (inside) {put}}}\n", self.find(body, line))
    }

    /// An item a line.
    fn lines(&self, launches: &mut Launches) {
        launches.launch(Range::Items(Number::product(&self.lines)), |body| {
            let names = names("line", &self.lines);
            decompose(body, "item", &self.lines, &names) + &self.line(body, &names)
        });
    }

    /// An item some neighbouring lines, which it walks side by side.
    fn strips(&self, launches: &mut Launches) {
        let Some((last, outer)) = self.lines.split_last() else { return self.lines(launches) };
        if !is_one(&self.out.strides[outer.len()]) {
            return self.lines(launches);
        }
        let strips = Number::from(last).ceil_div(STRIP);
        launches.launch(Range::Items(Number::product(outer).times(strips.clone())), |body| {
            let names = names("line", &self.lines);
            let (i, above) = names.split_last().expect("an axis");
            let (n, strips, count) = (body.number(last), body.value(&strips), body.number(&self.count));
            let begin = format!(
                "const long row = item / {strips}, begin = (item - row * {strips}) * {STRIP}, end = min(begin + {STRIP}, {n});\n{}",
                decompose(body, "row", outer, above)
            );
            let put = {
                let (from, to) = (self.from(body, &names), self.to(body, &names));
                self.put(&to, &from)
            };
            let each = format!("for (long {i} = begin; {i} < end; ++{i})");
            let find = self.find(body, &names);
            // Neighbours have places of their own: one index for all of them, or one each.
            let step = match is_zero(&self.index.strides[outer.len()]) {
                true => format!(
                    "{find}if (inside) {{\n_Pragma(\"clang loop vectorize(assume_safety)\")\n{each} {put}}}\n"
                ),
                false => format!("{each} {{\n{find}if (inside) {put}}}\n"),
            };
            format!("{begin}for (long k = 0; k < {count}; ++k) {{\n{step}}}\n")
        });
    }

    /// Sorts each line of indices once, and then an item has a destination in a line.
    fn sorted(&self, launches: &mut Launches) {
        let most = Number::from(&self.places).max(&self.count);
        launches.choose(
            most.at_most(i64::from(u32::MAX) - 1),
            |l| self.sorted_by(l, false),
            |l| self.sorted_by(l, true),
        );
    }

    fn sorted_by(&self, launches: &mut Launches, wide: bool) {
        let names = names("line", &self.lines);
        // Lines that have the same indices are sorted as one; there the index has stride 0.
        let (shared, own): (Vec<usize>, Vec<usize>) =
            (0..self.lines.len()).partition(|axis| is_zero(&self.index.strides[*axis]));
        let sizes = |axes: &[usize]| -> Vec<Dim> { axes.iter().map(|axis| self.lines[*axis].clone()).collect() };
        let (own_sizes, shared_sizes) = (sizes(&own), sizes(&shared));
        let key: &Key = &|body, line, k| {
            let mut all = vec!["0L".to_string(); names.len()];
            own.iter().zip(line).for_each(|(axis, name)| all[*axis] = name.clone());
            let find = format!("const long k = {k};\n{}", self.find(body, &all));
            // Those that have no place come last.
            (find, format!("(ulong)(inside ? p : {})", body.number(&self.places)))
        };
        let sorted = Sort { lines: &own_sizes, n: &self.count, wide, key }.sort(launches);
        let beside = Number::product(&shared_sizes);
        let items = Number::product(&self.lines).times(&self.count);
        launches.launch(Range::Items(items), |body| {
            let (beside, count) = (body.value(&beside), body.number(&self.count));
            let pick = |axes: &[usize]| -> Vec<String> { axes.iter().map(|axis| names[*axis].clone()).collect() };
            let mut text = format!(
                "long entry = item / {beside};\nconst long other = item - entry * {beside}, row = entry / {count};\n\
                 const long rank = entry - row * {count};\n"
            );
            text += &decompose(body, "other", &shared_sizes, &pick(&shared));
            text += &decompose(body, "row", &own_sizes, &pick(&own));
            text += &sorted.declare(body, &self.count);
            let (from, to) = (self.from(body, &names), self.to(body, &names));
            let key = |i: &str| sorted.key(&format!("sorted[row * {count} + {i}]"));
            let place = |i: &str| sorted.place(&format!("sorted[row * {count} + {i}]"));
            let places = body.number(&self.places);
            text += &format!("const ulong mine = {};\nconst long p = (long)mine;\n", key("rank"));
            let t = c_type(self.dtype);
            text + &match self.op {
                ScatterOp::Set => format!(
                    "if (mine < (ulong){places} && (rank + 1 == {count} || {} != mine)) {{\n\
                     const long k = {};\n{to} = {from};\n}}\n",
                    key("rank + 1"),
                    place("rank")
                ),
                ScatterOp::Add => format!(
                    "if (mine < (ulong){places} && (rank == 0 || {} != mine)) {{\n{t} sum = {to};\n\
                     for (long i = rank; i < {count} && {} == mine; ++i) {{\nconst long k = {};\nsum = {};\n}}\n\
                     {to} = sum;\n}}\n",
                    key("rank - 1"),
                    key("i"),
                    place("i"),
                    self.fold().two("sum", &from)
                ),
            }
        });
    }
}
