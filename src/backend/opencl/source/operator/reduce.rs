//! Sums, maxima and minima of views over any axes, in the order that `allotrope_kernels::reduce` defines: blocks of 16 lanes,
//! halved, and combined pairwise.

use crate::backend::opencl::source::body::{Body, Launches, Range, Style, Temporary};
use crate::backend::opencl::source::fold::{BLOCK, Fold};
use crate::backend::opencl::source::number::Number;
use crate::backend::opencl::source::operator::indices::{advance, decompose, names, neighbours};
use crate::schedule::{View, collapse, is_one};
use allotrope_ir::{Dim, ReduceOp, Shape};

/// Lanes of a block, and neighbouring results that an item folds side by side.
const LANES: usize = 16;
/// Items of a work group: 16 blocks of 16 lanes each.
const GROUP: usize = 256;
/// Blocks of one result that one item combines where there are work groups.
const FEW_BLOCKS: i64 = 32;
/// Before a loop whose arrays shall lie in registers.
const UNROLL: &str = "#pragma unroll\n";
/// What was written to local memory is there for the work group.
const BARRIER: &str = "barrier(CLK_LOCAL_MEM_FENCE);\n";

/// A reduction whose axes are in order: those that are kept, then those that are reduced.
struct Reduce {
    fold: Fold,
    kept: Shape,
    reduced: Shape,
    /// The strides are along all axes.
    x: View,
    /// The strides are along the axes that are kept.
    out: View,
    /// Neighbours in memory are results rather than elements of one.
    columns: bool,
}

/// Reduces `axes` of `x`; the others are those of `out`.
pub fn reduce(launches: &mut Launches, op: ReduceOp, axes: &[usize], x: &View, out: &View) {
    let kept = (0..x.shape.len()).filter(|axis| !axes.contains(axis));
    let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
    let (mut x, mut out) = (x.permute(&order), out.clone());
    let split = out.shape.len();
    out.strides.resize(order.len(), Dim::Fixed(0));
    let mut kept = x.shape.clone();
    let split = collapse(&mut kept, &mut [&mut x.strides, &mut out.strides], split);
    out.strides.truncate(split);
    let reduced: Shape = kept.drain(split..).collect();
    let row = reduced.is_empty() || x.strides.last().is_some_and(is_one);
    let column = split > 0 && is_one(&x.strides[split - 1]) && is_one(&out.strides[split - 1]);
    let fold = Fold { op, dtype: x.dtype };
    Reduce { fold, kept, reduced, x, out, columns: column && !row }.launch(launches);
}

impl Reduce {
    /// One launch where a result is one block; else the blocks of each first, and then what they give together.
    fn launch(&self, launches: &mut Launches) {
        launches.choose(
            self.elements().at_most(BLOCK),
            |l| self.blocks(l, None),
            |l| {
                let each = if self.fold.in_blocks() { 1 } else { LANES as i64 };
                let count = self.results().times(self.blocks_each()).times(each);
                let partials = l.temporary(self.fold.c_type(), count);
                self.blocks(l, Some(&partials));
                let by_items = match l.style {
                    Style::Gpu if !l.group => self.blocks_each().at_most(FEW_BLOCKS),
                    Style::Gpu | Style::Cpu => 1.into(),
                };
                l.choose(by_items, |l| self.combine(l, &partials), |l| self.combine_in_groups(l, &partials));
            },
        );
    }

    fn results(&self) -> Number {
        Number::product(&self.kept)
    }

    /// Elements of one result.
    fn elements(&self) -> Number {
        Number::product(&self.reduced)
    }

    /// Blocks of one result.
    fn blocks_each(&self) -> Number {
        self.elements().ceil_div(BLOCK)
    }

    /// Folds blocks. What is left of each goes to `partials`, where there are: that of lane `l` of block `b` of result `i` of
    /// `n` is element `(b * lanes + l) * n + i`.
    fn blocks(&self, launches: &mut Launches, partials: Option<&Temporary>) {
        match launches.style {
            Style::Gpu if !launches.group => self.groups(launches, partials),
            Style::Gpu | Style::Cpu if self.columns => self.strips(launches, partials),
            Style::Gpu | Style::Cpu => self.rows(launches, partials),
        }
    }

    /// Blocks of all results.
    fn tasks(&self, partials: Option<&Temporary>) -> Number {
        if partials.is_some() { self.results().times(self.blocks_each()) } else { self.results() }
    }

    /// Declares the result and the block that the task of this number folds.
    fn task(&self, body: &mut Body, partials: Option<&Temporary>, number: &str) -> String {
        let which = match partials {
            None => format!("const long result = {number};\n"),
            Some(_) => {
                let n = body.value(&self.results());
                format!("const long block = {number} / {n}, result = {number} - block * {n};\n")
            }
        };
        which + &decompose(body, "result", &self.kept, &names("o", &self.kept)) + &self.bounds(body, partials)
    }

    /// Declares the first element of a block and how many it has.
    fn bounds(&self, body: &mut Body, partials: Option<&Temporary>) -> String {
        let n = body.value(&self.elements());
        match partials {
            None => format!("const long first = 0, count = {n};\n"),
            Some(_) => format!("const long first = block * {BLOCK}, count = min({BLOCK}L, {n} - first);\n"),
        }
    }

    /// Declares the indices of a block's first element.
    fn first(&self, body: &mut Body, partials: Option<&Temporary>) -> String {
        let names = names("r", &self.reduced);
        match partials {
            // Nothing is divided by a size that may be 0.
            None => names.iter().map(|r| format!("long {r} = 0;\n")).collect(),
            Some(_) => decompose(body, "first", &self.reduced, &names),
        }
    }

    /// Goes on by so many elements.
    fn advance(&self, body: &mut Body, by: &str) -> String {
        advance(body, &self.reduced, &names("r", &self.reduced), by)
    }

    /// The element that the indices name, or `n` neighbours of it along an axis.
    fn load(&self, body: &mut Body, along: usize, n: usize) -> String {
        let indices = [names("o", &self.kept), names("r", &self.reduced)].concat();
        let from = format!("{} + {}", body.pointer(&self.x), body.place(&indices, &self.x.strides));
        match self.x.strides.get(along) {
            Some(stride) if n > 1 => neighbours(body, self.x.dtype, &from, stride, n),
            Some(_) | None => format!("*({from})"),
        }
    }

    /// Where a result goes.
    fn to(&self, body: &mut Body) -> String {
        format!("{} + {}", body.pointer(&self.out), body.place(&names("o", &self.kept), &self.out.strides))
    }

    /// What lane 1 begins with, where that is not the identity of all.
    fn empty(&self) -> Option<String> {
        Some(self.fold.empty()).filter(|empty| *empty != self.fold.identity())
    }

    /// An item folds a block of one result.
    fn rows(&self, launches: &mut Launches, partials: Option<&Temporary>) {
        launches.launch(Range::Items(self.tasks(partials)), |body| {
            self.task(body, partials, "item") + &self.row(body, partials)
        });
    }

    /// Folds a block of one result, 16 elements at a time.
    fn row(&self, body: &mut Body, partials: Option<&Temporary>) -> String {
        let (fold, t) = (self.fold, self.fold.c_type());
        let wide = format!(
            "lanes = {};\n{}left -= {LANES};\n",
            fold.lanes("lanes", &self.load(body, (self.kept.len() + self.reduced.len()).saturating_sub(1), LANES)),
            self.advance(body, "16"),
        );
        // Lanes without an element fold the identity, which changes nothing.
        let rest = format!(
            "{t} part[{LANES}];\nfor (int k = 0; k < {LANES}; ++k) part[k] = {};\n\
             for (int k = 0; k < {LANES} && left > 0; ++k, --left) {{\npart[k] = {};\n{}}}\nlanes = {};\n",
            fold.identity(),
            self.load(body, 0, 1),
            self.advance(body, "1"),
            fold.lanes("lanes", &format!("vload{LANES}(0, part)")),
        );
        let walk = match self.reduced.last() {
            None => rest,
            Some(n) if self.reduced.len() == 1 => {
                let wide = format!("while (left >= {LANES}) {{\n{wide}}}\n");
                let rest = format!("if (left > 0) {{\n{rest}}}\n");
                match n.as_fixed() {
                    Some(n) if n % LANES == 0 => wide,
                    Some(n) if n < LANES => rest,
                    Some(_) | None => wide + &rest,
                }
            }
            Some(n) if n.as_fixed().is_some_and(|n| n < LANES) => format!("while (left > 0) {{\n{rest}}}\n"),
            Some(n) => {
                let (r, n) = (format!("r{}", self.reduced.len() - 1), body.number(n));
                format!(
                    "while (left > 0) {{\nif (left >= {LANES} && {r} + {LANES} <= {n}) {{\n{wide}}} else {{\n{rest}}}\n}}\n"
                )
            }
        };
        let begin = format!("{} lanes = {};\nlong left = count;\n", fold.vector(), fold.begin());
        let end = match partials {
            Some(p) if !fold.in_blocks() => {
                let (p, n) = (body.temporary(p), body.value(&self.results()));
                format!(
                    "{t} each[{LANES}];\nvstore{LANES}(lanes, 0, each);\n\
                     for (int k = 0; k < {LANES}; ++k) {p}[(block * {LANES} + k) * {n} + result] = each[k];\n"
                )
            }
            Some(p) => {
                let (p, n) = (body.temporary(p), body.value(&self.results()));
                format!("{p}[block * {n} + result] = {};\n", fold.halve("lanes", "count"))
            }
            None => {
                format!("*({}) = count > 0 ? {} : {};\n", self.to(body), fold.halve("lanes", "count"), fold.empty())
            }
        };
        self.first(body, partials) + &begin + &walk + &end
    }

    /// An item folds a block of 16 neighbouring results, side by side.
    fn strips(&self, launches: &mut Launches, partials: Option<&Temporary>) {
        let (columns, outer) = self.kept.split_last().expect("bug in allotrope: columns without an axis that is kept");
        let strips = Number::from(columns).ceil_div(LANES as i64);
        let blocks = if partials.is_some() { self.blocks_each() } else { 1.into() };
        let tasks = Number::product(outer).times(strips.clone()).times(blocks);
        launches.launch(Range::Items(tasks), |body| {
            let (n, strips, lines) = (body.number(columns), body.value(&strips), body.value(&Number::product(outer)));
            let names = names("o", &self.kept);
            let (column, outer_names) = names.split_last().expect("an axis");
            let mut text = format!(
                "long {column} = item % {strips} * {LANES}, line = item / {strips};\n\
                 const long block = line / {lines};\nline -= block * {lines};\nlong result = line * {n} + {column};\n"
            );
            text += &decompose(body, "line", outer, outer_names);
            text += &self.bounds(body, partials);
            let strip = |body: &mut Body| self.strip(body, partials, LANES);
            match columns.as_fixed() {
                Some(n) if n % LANES == 0 => text + &strip(body),
                Some(n) if n < LANES => text + &self.strip(body, partials, n),
                Some(_) | None => {
                    let (strip, row) = (strip(body), self.row(body, partials));
                    text + &format!(
                        "if ({column} + {LANES} <= {n}) {{\n{strip}}} else {{\n\
                         for (; {column} < {n}; ++{column}, ++result) {{\n{row}}}\n}}\n"
                    )
                }
            }
        });
    }

    /// Folds a block of `width` neighbouring results, at most 16. The lanes are at constant places, so they lie in registers.
    fn strip(&self, body: &mut Body, partials: Option<&Temporary>, width: usize) -> String {
        let (fold, t, wide) = (self.fold, self.fold.c_type(), self.fold.vector());
        let each = format!("{UNROLL}for (int k = 0; k < {LANES}; ++k)");
        let mut text = self.first(body, partials);
        text += &format!("{wide} lanes[{LANES}];\n{each} lanes[k] = ({wide})({});\n", fold.identity());
        if let Some(empty) = self.empty() {
            text += &format!("if (count != 1) lanes[1] = ({wide})({empty});\n");
        }
        let next = self.load(body, self.kept.len() - 1, width);
        let step = format!("lanes[k] = {};\n{}", fold.lanes("lanes[k]", &next), self.advance(body, "1"));
        text += &format!(
            "long left = count;\nfor (; left >= {LANES}; left -= {LANES}) {{\n{each} {{\n{step}}}\n}}\n\
             {each} if (k < left) {{\n{step}}}\n"
        );
        let store = |value: &str, to: &str| match width {
            LANES => format!("vstore{LANES}({value}, 0, {to});\n"),
            _ => format!(
                "{{\n{t} each[{LANES}];\nvstore{LANES}({value}, 0, each);\n\
                 for (int i = 0; i < {width}; ++i) ({to})[i] = each[i];\n}}\n"
            ),
        };
        if let (Some(p), false) = (partials, fold.in_blocks()) {
            let (p, n) = (body.temporary(p), body.value(&self.results()));
            let to = format!("{p} + (block * {LANES} + k) * {n} + result");
            return text + &format!("{each} {{\n{}}}\n", store("lanes[k]", &to));
        }
        let mut h = LANES / 2;
        while h > 0 {
            for k in 0..h {
                let (a, b) = (format!("lanes[{k}]"), format!("lanes[{}]", k + h));
                text += &format!("{a} = {};\n", fold.lanes(&a, &b));
            }
            h /= 2;
        }
        let to = match partials {
            Some(p) => format!("{} + block * {} + result", body.temporary(p), body.value(&self.results())),
            None => self.to(body),
        };
        text + &store("lanes[0]", &to)
    }

    /// A work group folds 16 blocks, each in 16 lanes; neighbours in memory are read by neighbours in the group.
    fn groups(&self, launches: &mut Launches, partials: Option<&Temporary>) {
        let (fold, t) = (self.fold, self.fold.c_type());
        let tasks = self.tasks(partials);
        let groups = tasks.clone().ceil_div((GROUP / LANES) as i64);
        launches.launch(Range::Groups { groups, size: GROUP }, |body| {
            let n = body.value(&tasks);
            let [of_task, of_lane, lane_of] = match self.columns {
                false => ["lane / 16", "lane % 16", "lane * 16 + k"],
                true => ["lane % 16", "lane / 16", "k * 16 + lane"],
            };
            let task = self.task(body, partials, "task");
            body.local(t, "shared", GROUP);
            let mut text = format!(
                "{t} value = {};\n{{\nconst long task = group * {LANES} + {of_task}, place = {of_lane};\n\
                 if (task < {n}) {{\n{task}",
                fold.identity()
            );
            if let Some(empty) = self.empty() {
                text += &format!("if (place == 1 && count != 1) value = {empty};\n");
            }
            text += &format!(
                "if (place < count) {{\n{}{}for (long left = count - place; left > 0; left -= {LANES}) {{\n\
                 value = {};\n{}}}\n}}\n",
                self.first(body, partials),
                self.advance(body, "place"),
                fold.two("value", &self.load(body, 0, 1)),
                self.advance(body, "16"),
            );
            if let (Some(p), false) = (partials, fold.in_blocks()) {
                let (p, n) = (body.temporary(p), body.value(&self.results()));
                return text + &format!("{p}[(block * {LANES} + place) * {n} + result] = value;\n}}\n}}\n");
            }
            let to = match partials {
                Some(p) => format!("{} + block * {} + result", body.temporary(p), body.value(&self.results())),
                None => self.to(body),
            };
            text + &format!(
                "}}\n}}\nshared[lane] = value;\n{BARRIER}if (lane < {LANES}) {{\nconst long task = group * {LANES} + lane;\n\
                 if (task < {n}) {{\n{task}{t} each[{LANES}];\n\
                 {UNROLL}for (int k = 0; k < {LANES}; ++k) each[k] = shared[{lane_of}];\n{}*({to}) = each[0];\n}}\n}}\n",
                self.halve("each")
            )
        });
    }

    /// Folds 16 elements of an array into its first one.
    fn halve(&self, lanes: &str) -> String {
        let mut text = String::new();
        for h in [8, 4, 2, 1] {
            let fold = self.fold.two(&format!("{lanes}[k]"), &format!("{lanes}[k + {h}]"));
            text += &format!("{UNROLL}for (int k = 0; k < {h}; ++k) {lanes}[k] = {fold};\n");
        }
        text
    }

    /// What the blocks of each result give, by one item.
    fn combine(&self, launches: &mut Launches, partials: &Temporary) {
        let (fold, t) = (self.fold, self.fold.c_type());
        launches.launch(Range::Items(self.results()), |body| {
            let (n, blocks) = (body.value(&self.results()), body.value(&self.blocks_each()));
            let mut text = format!(
                "__global const {t} *from = {} + item;\nconst long result = item, blocks = {blocks};\n",
                body.temporary(partials)
            );
            text += &decompose(body, "result", &self.kept, &names("o", &self.kept));
            let to = self.to(body);
            text + &match fold.in_blocks() {
                true => format!(
                    "{}for (long block = 0; block < blocks; ++block) {{\n{}}}\n*({to}) = {};\n",
                    fold.levels("levels"),
                    fold.push("levels", "block", &format!("from[block * {n}]")),
                    fold.finish("levels", "blocks"),
                ),
                false => format!(
                    "{t} each[{LANES}];\n{UNROLL}for (int k = 0; k < {LANES}; ++k) each[k] = {};\n\
                     for (long block = 0; block < blocks; ++block) {{\n\
                     {UNROLL}for (int k = 0; k < {LANES}; ++k) each[k] = {};\n}}\n{}*({to}) = each[0];\n",
                    fold.identity(),
                    fold.two("each[k]", &format!("from[(block * {LANES} + k) * {n}]")),
                    self.halve("each"),
                ),
            }
        });
    }

    /// What the blocks of each result give, by a work group.
    fn combine_in_groups(&self, launches: &mut Launches, partials: &Temporary) {
        let (fold, t) = (self.fold, self.fold.c_type());
        launches.launch(Range::Groups { groups: self.results(), size: GROUP }, |body| {
            let (n, blocks) = (body.value(&self.results()), body.value(&self.blocks_each()));
            body.local(t, "shared", GROUP);
            let mut text = format!(
                "__global const {t} *from = {} + group;\nconst long result = group, blocks = {blocks};\n",
                body.temporary(partials)
            );
            text += &decompose(body, "result", &self.kept, &names("o", &self.kept));
            let to = self.to(body);
            text + &match fold.in_blocks() {
                // 256 blocks at a time as a tree, in which an end without a partner goes up as it is; so each tree is what
                // the pairwise combination has of 256 blocks.
                true => format!(
                    "{}for (long begin = 0; begin < blocks; begin += {GROUP}) {{\n\
                     const int some = (int)min((long){GROUP}, blocks - begin);\n\
                     if (lane < some) shared[lane] = from[(begin + lane) * {n}];\n{BARRIER}\
                     for (int h = 1; h < {GROUP}; h *= 2) {{\n\
                     if (lane % (2 * h) == 0 && lane + h < some) shared[lane] = {};\n{BARRIER}}}\n\
                     if (lane == 0) {}{BARRIER}}}\n\
                     if (lane == 0) *({to}) = {};\n",
                    fold.levels("levels"),
                    fold.two("shared[lane]", "shared[lane + h]"),
                    fold.push("levels", &format!("begin / {GROUP}"), "shared[0]"),
                    fold.finish("levels", &format!("(blocks + {GROUP} - 1) / {GROUP}")),
                ),
                // Each lane in 16 parts of the blocks, and these in order.
                false => format!(
                    "{t} value = {};\nconst long some = (blocks + {LANES} - 1) / {LANES}, begin = lane / {LANES} * some;\n\
                     for (long block = begin; block < min(blocks, begin + some); ++block) value = {};\n\
                     shared[lane] = value;\n{BARRIER}\
                     if (lane < {LANES}) for (int k = {LANES}; k < {GROUP}; k += {LANES}) shared[lane] = {};\n{BARRIER}\
                     if (lane == 0) {{\n{t} each[{LANES}];\n\
                     {UNROLL}for (int k = 0; k < {LANES}; ++k) each[k] = shared[k];\n{}*({to}) = each[0];\n}}\n",
                    fold.identity(),
                    fold.two("value", &format!("from[(block * {LANES} + lane % {LANES}) * {n}]")),
                    fold.two("shared[lane]", "shared[lane + k]"),
                    self.halve("each"),
                ),
            }
        });
    }
}
