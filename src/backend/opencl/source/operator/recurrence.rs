//! First-order recurrences along an axis: chains, each step a product and a sum rounded one after the other, those of `f32`
//! carried in `f64`. A chain is one item's, or one of 16 neighbours in a vector.

use crate::backend::opencl::source::body::{Body, Launches, Range, Style, c_type};
use crate::backend::opencl::source::number::Number;
use crate::backend::opencl::source::operator::indices::{decompose, names, neighbours, without};
use crate::schedule::{View, is_one, is_zero};
use allotrope_ir::{DType, Dim, Shape};

/// Neighbouring chains in a vector.
const LANES: usize = 16;

/// Chains whose views have the axes beside the one that they run along.
struct Chains {
    lines: Shape,
    views: [View; 3],
    n: Dim,
    steps: [Dim; 3],
    reverse: bool,
}

/// `out[i] = a[i] * out[i - 1] + b[i]`, beginning with `b[0]`, from the other end where `reverse`.
pub fn recurrence(launches: &mut Launches, axis: usize, reverse: bool, a: &View, b: &View, out: &View) {
    let (n, steps) = (a.shape[axis].clone(), [a, b, out].map(|v| v.strides[axis].clone()));
    let (lines, views) = without([a, b, out], axis);
    let chains = Chains { lines, views, n, steps, reverse };
    let vector = chains.views.iter().all(|v| v.strides.last().is_some_and(|s| is_one(s) || is_zero(s)))
        && chains.views[2].strides.last().is_some_and(is_one)
        && chains.dtype().is_float();
    match launches.style {
        Style::Cpu if vector => chains.strips(launches),
        Style::Cpu | Style::Gpu => chains.items(launches),
    }
}

impl Chains {
    fn dtype(&self) -> DType {
        self.views[2].dtype
    }

    /// Declares pointers to the first elements of a chain, and steps to the next ones.
    fn begin(&self, body: &mut Body) -> String {
        let names = names("line", &self.lines);
        let mut text = String::new();
        for ((view, step), name) in self.views.iter().zip(&self.steps).zip(["a", "b", "to"]) {
            let (base, at, step) = (body.pointer(view), body.place(&names, &view.strides), body.number(step));
            let (first, sign) = match self.reverse {
                true => (format!("({} - 1) * {step}", body.number(&self.n)), "-"),
                false => ("0L".to_string(), ""),
            };
            let t = c_type(view.dtype);
            text +=
                &format!("__global {t} *{name} = {base} + ({at} + {first});\nconst long {name}_step = {sign}{step};\n");
        }
        text
    }

    /// One chain, of at least one element.
    fn chain(&self, body: &mut Body) -> String {
        let t = c_type(self.dtype());
        // Products and sums of unsigned numbers wrap.
        let (wide, unsigned) = match self.dtype() {
            DType::F32 | DType::F64 => ("double", None),
            DType::I64 => ("long", Some("ulong")),
            DType::I32 => ("int", Some("uint")),
            DType::U8 => ("uchar", Some("uint")),
            DType::Bool | DType::F16 | DType::BF16 => panic!("bug in allotrope: a recurrence of {}", self.dtype()),
        };
        let step = match unsigned {
            None => format!("const double product = (double)*a * r;\nr = product + (double)*b;\n*to = ({t})r;\n"),
            Some(u) => format!("r = ({wide})(({u})*a * ({u})r + ({u})*b);\n*to = r;\n"),
        };
        format!(
            "{}{wide} r = *b;\n*to = *b;\nfor (long i = 1; i < {}; ++i) {{\na += a_step; b += b_step; to += to_step;\n{step}}}\n",
            self.begin(body),
            body.number(&self.n),
        )
    }

    /// An item a chain.
    fn items(&self, launches: &mut Launches) {
        let items = Number::product(&self.lines).times(Number::from(&self.n).min(1));
        launches.launch(Range::Items(items), |body| {
            decompose(body, "item", &self.lines, &names("line", &self.lines)) + &self.chain(body)
        });
    }

    /// An item 16 neighbouring chains.
    fn strips(&self, launches: &mut Launches) {
        let (last, outer) = self.lines.split_last().expect("bug in allotrope: a vector of no axis");
        let t = c_type(self.dtype());
        let strips = Number::from(last).ceil_div(LANES as i64);
        let items = Number::product(outer).times(strips.clone()).times(Number::from(&self.n).min(1));
        launches.launch(Range::Items(items), |body| {
            let names = names("line", &self.lines);
            let (column, above) = names.split_last().expect("an axis");
            let (count, strips, n) = (body.number(last), body.value(&strips), body.number(&self.n));
            let begin = self.begin(body);
            let load = |body: &mut Body, view: &View, name: &str| {
                let stride = &view.strides[outer.len()];
                format!("convert_double16({})", neighbours(body, self.dtype(), name, stride, LANES))
            };
            let (a, b) = (load(body, &self.views[0], "a"), load(body, &self.views[1], "b"));
            format!(
                "const long row = item / {strips};\nlong {column} = (item - row * {strips}) * {LANES};\n{}\
                 if ({column} + {LANES} <= {count}) {{\n{begin}\
                 double16 r = {b};\nvstore16(convert_{t}16(r), 0, to);\n\
                 for (long i = 1; i < {n}; ++i) {{\na += a_step; b += b_step; to += to_step;\n\
                 const double16 product = {a} * r;\nr = product + {b};\nvstore16(convert_{t}16(r), 0, to);\n}}\n\
                 }} else {{\nfor (; {column} < {count}; ++{column}) {{\n{}}}\n}}\n",
                decompose(body, "row", outer, above),
                self.chain(body),
            )
        });
    }
}
