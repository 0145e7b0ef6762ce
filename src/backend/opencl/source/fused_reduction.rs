//! Fused kernels with reductions as launches: short rows in one, long ones in blocks that a second launch combines. The order
//! of the folds is that of [`Fold`].

use crate::backend::opencl::source::body::{Body, Launches, Range, Style, Temporary};
use crate::backend::opencl::source::expr::Values;
use crate::backend::opencl::source::fold::{BLOCK, Fold};
use crate::backend::opencl::source::kernel::{decompose, indices, results, stores};
use crate::backend::opencl::source::number::Number;
use crate::schedule::{ExprId, ExprKind, Kernel, Store, is_zero};

/// Rows of up to so many elements are reduced by one item.
const SHORT: i64 = 4 * BLOCK;
/// Items of a work group.
const GROUP: usize = 256;

/// A reduction of the kernel.
struct Reduction {
    /// Its result.
    expr: ExprId,
    arg: ExprId,
    fold: Fold,
}

struct Rows<'k> {
    k: &'k Kernel,
    reductions: Vec<Reduction>,
    /// How many rows, and elements of each.
    rows: Number,
    length: Number,
    blocks: Number,
}

/// The launches of a kernel with reductions.
pub fn reduction(launches: &mut Launches, k: &Kernel) {
    let reductions = k.exprs.iter().enumerate().filter_map(|(i, e)| match &e.kind {
        ExprKind::Reduce(op, arg) => {
            Some(Reduction { expr: ExprId(i as u32), arg: *arg, fold: Fold { op: *op, dtype: e.dtype } })
        }
        _ => None,
    });
    let length = Number::product(&k.axes[k.kept..]);
    let rows = Rows {
        k,
        reductions: reductions.collect(),
        rows: Number::product(&k.axes[..k.kept]),
        blocks: length.clone().max(1).ceil_div(BLOCK),
        length,
    };
    match launches.style {
        _ if launches.group => rows.short(launches),
        Style::Cpu => launches.choose(rows.length.clone().at_most(SHORT), |l| rows.short(l), |l| rows.long(l)),
        Style::Gpu => rows.long(launches),
    }
}

impl Rows<'_> {
    /// Stores at every position, rather than one a row.
    fn is_inner(&self, s: &Store) -> bool {
        s.view.strides[self.k.kept..].iter().any(|d| !is_zero(d))
    }

    /// Statements at the position `r` of a row, which set the arguments: `values` gets them.
    fn position(&self, r: &str, values: &mut Values<'_>, body: &mut Body) -> (String, Vec<String>) {
        let names = indices(self.k);
        let mut text = decompose(self.k, self.k.kept..self.k.axes.len(), r, body);
        let args = self.reductions.iter().map(|x| values.value(x.arg, &names, body, &mut text)).collect();
        text.push_str(&stores(self.k.stores.iter().filter(|s| self.is_inner(s)), values, &names, body));
        (text, args)
    }

    /// Statements that fold the elements from `from` to `to` of a row into `vN`, which are lanes.
    fn fold(&self, values: &Values<'_>, body: &mut Body) -> String {
        let mut text = String::new();
        for (i, x) in self.reductions.iter().enumerate() {
            text.push_str(&format!("{} v{i} = {};\n", x.fold.vector(), x.fold.begin()));
        }
        let step = |count: &str, lanes: &str, fill: bool, body: &mut Body| {
            let (inside, args) = self.position("r", &mut values.inner(), body);
            let mut text = String::new();
            for (i, x) in self.reductions.iter().enumerate() {
                text.push_str(&format!("{} x{i}[16];\n", x.fold.c_type()));
                if fill {
                    text.push_str(&format!("vstore16(({})({}), 0, x{i});\n", x.fold.vector(), x.fold.identity()));
                }
            }
            text.push_str("_Pragma(\"clang loop vectorize(assume_safety) unroll(disable)\")\n");
            text.push_str(&format!("for (int l = 0; l < {lanes}; l++) {{\nconst long r = {count} + l;\n{inside}"));
            args.iter().enumerate().for_each(|(i, arg)| text.push_str(&format!("x{i}[l] = {arg};\n")));
            text.push_str("}\n");
            for (i, x) in self.reductions.iter().enumerate() {
                text.push_str(&format!("v{i} = {};\n", x.fold.lanes(&format!("v{i}"), &format!("vload16(0, x{i})"))));
            }
            text
        };
        text.push_str("long at = from;\nfor (; at + 16 <= to; at += 16) {\n");
        text.push_str(&step("at", "16", false, body));
        text.push_str("}\nif (at < to) {\n");
        text.push_str(&step("at", "(int)(to - at)", true, body));
        text.push_str("}\n");
        text
    }

    /// What follows once the results of a row are there.
    fn after(&self, values: &mut Values<'_>, body: &mut Body) -> String {
        let names = indices(self.k);
        let outer = self.k.stores.iter().filter(|s| !self.is_inner(s));
        let mut text = stores(outer, values, &names, body);
        text.push_str(&results(self.k, values, &names, body));
        text
    }

    /// An item some rows.
    fn short(&self, launches: &mut Launches) {
        // Items of one work group share the rows evenly.
        let each = match (launches.group, launches.style) {
            (true, Style::Gpu) => 1.into(),
            (true, Style::Cpu) | (false, _) => Number::from(BLOCK).ceil_div(self.length.clone().max(1)),
        };
        let one_block = self.length.fixed().is_some_and(|n| n <= BLOCK);
        launches.launch(Range::Items(self.rows.clone().ceil_div(each.clone())), |body| {
            let (rows, each, length) = (body.value(&self.rows), body.value(&each), body.value(&self.length));
            let mut text = format!(
                "const long length = {length};\n\
                 for (long row = item * {each}, end = min(row + {each}, {rows}); row < end; row++) {{\n"
            );
            text.push_str(&decompose(self.k, 0..self.k.kept, "row", body));
            let mut values = Values::new(self.k);
            for (i, x) in self.reductions.iter().enumerate() {
                text.push_str(&format!("{} w{i} = {};\n", x.fold.c_type(), x.fold.empty()));
                if one_block {
                    continue;
                }
                if x.fold.in_blocks() {
                    text.push_str(&x.fold.levels(&format!("levels{i}")));
                } else {
                    text.push_str(&format!("{} whole{i} = {};\n", x.fold.vector(), x.fold.begin()));
                }
            }
            if one_block {
                text.push_str("if (length > 0) {\nconst long from = 0, to = length;\n");
                text.push_str(&self.fold(&values, body));
                for (i, x) in self.reductions.iter().enumerate() {
                    text.push_str(&format!("w{i} = {};\n", x.fold.halve(&format!("v{i}"), "length")));
                    values.is(x.expr, format!("w{i}"));
                }
                text.push_str("}\n");
                text.push_str(&self.after(&mut values, body));
                text.push_str("}\n");
                return text;
            }
            text.push_str(&format!(
                "long block = 0;\nfor (long from = 0; from < length; from += {BLOCK}L, block++) {{\n\
                 const long to = min(from + {BLOCK}L, length);\n"
            ));
            text.push_str(&self.fold(&values, body));
            for (i, x) in self.reductions.iter().enumerate() {
                text.push_str(&match x.fold.in_blocks() {
                    true => x.fold.push(&format!("levels{i}"), "block", &x.fold.halve(&format!("v{i}"), "to - from")),
                    false => format!("whole{i} = {};\n", x.fold.lanes(&format!("whole{i}"), &format!("v{i}"))),
                });
            }
            text.push_str("}\nif (length > 0) {\n");
            for (i, x) in self.reductions.iter().enumerate() {
                text.push_str(&match x.fold.in_blocks() {
                    true => format!("w{i} = {};\n", x.fold.finish(&format!("levels{i}"), "block")),
                    false => format!("w{i} = {};\n", x.fold.halve(&format!("whole{i}"), "length")),
                });
                values.is(x.expr, format!("w{i}"));
            }
            text.push_str("}\n");
            text.push_str(&self.after(&mut values, body));
            text.push_str("}\n");
            text
        });
    }

    /// Blocks of rows first, then what they give together.
    fn long(&self, launches: &mut Launches) {
        let blocks = self.rows.clone().times(self.blocks.clone());
        let temporaries: Vec<Temporary> = (self.reductions.iter())
            .map(|x| {
                let each = if x.fold.in_blocks() { 1 } else { 16 };
                launches.temporary(x.fold.c_type(), blocks.clone().times(each))
            })
            .collect();
        match launches.style {
            Style::Cpu => launches.launch(Range::Items(blocks.clone()), |body| self.block(&temporaries, body)),
            Style::Gpu => {
                let groups = blocks.clone().ceil_div(GROUP as i64 / 16);
                launches.launch(Range::Groups { groups, size: GROUP }, |body| self.group(&temporaries, &blocks, body));
            }
        }
        launches.launch(Range::Items(self.rows.clone()), |body| {
            let (count, length) = (body.value(&self.blocks), body.value(&self.length));
            let mut text = format!("const long blocks = {count}, length = {length};\n");
            text.push_str(&decompose(self.k, 0..self.k.kept, "item", body));
            let mut values = Values::new(self.k);
            for (i, (x, t)) in self.reductions.iter().zip(&temporaries).enumerate() {
                let partial = body.temporary(t);
                text.push_str(&format!("{} w{i} = {};\n", x.fold.c_type(), x.fold.empty()));
                if x.fold.in_blocks() {
                    let push = x.fold.push(&format!("levels{i}"), "b", &format!("{partial}[item * blocks + b]"));
                    text.push_str(&x.fold.levels(&format!("levels{i}")));
                    text.push_str(&format!("for (long b = 0; b < blocks; b++) {push}"));
                    let whole = x.fold.finish(&format!("levels{i}"), "blocks");
                    text.push_str(&format!("if (length > 0) w{i} = {whole};\n"));
                } else {
                    let next = format!("vload16(item * blocks + b, {partial})");
                    let folded = x.fold.lanes(&format!("whole{i}"), &next);
                    text.push_str(&format!("{} whole{i} = {};\n", x.fold.vector(), x.fold.begin()));
                    text.push_str(&format!("for (long b = 0; b < blocks; b++) whole{i} = {folded};\n"));
                    text.push_str(&format!("w{i} = {};\n", x.fold.halve(&format!("whole{i}"), "length")));
                }
                values.is(x.expr, format!("w{i}"));
            }
            text.push_str(&self.after(&mut values, body));
            text
        });
    }

    /// An item's block.
    fn block(&self, temporaries: &[Temporary], body: &mut Body) -> String {
        let (count, length) = (body.value(&self.blocks), body.value(&self.length));
        let mut text = format!(
            "const long row = item / {count}, from = item % {count} * {BLOCK}L, to = min(from + {BLOCK}L, {length});\n"
        );
        text.push_str(&decompose(self.k, 0..self.k.kept, "row", body));
        text.push_str(&self.fold(&Values::new(self.k), body));
        for (i, (x, t)) in self.reductions.iter().zip(temporaries).enumerate() {
            let partial = body.temporary(t);
            text.push_str(&match x.fold.in_blocks() {
                true => format!("{partial}[item] = {};\n", x.fold.halve(&format!("v{i}"), "to - from")),
                false => format!("vstore16(v{i}, item, {partial});\n"),
            });
        }
        text
    }

    /// The blocks of a work group, sixteen items each.
    fn group(&self, temporaries: &[Temporary], blocks: &Number, body: &mut Body) -> String {
        let (count, length, blocks) = (body.value(&self.blocks), body.value(&self.length), body.value(blocks));
        let mut text = format!(
            "const long unit = group * {}L + lane / 16;\nconst int l = lane % 16;\n\
             const long row = unit / {count}, from = unit % {count} * {BLOCK}L, to = min(from + {BLOCK}L, {length});\n",
            GROUP / 16
        );
        for (i, x) in self.reductions.iter().enumerate() {
            body.local(x.fold.c_type(), &format!("x{i}"), GROUP);
            text.push_str(&format!(
                "{} v{i} = l == 1 && to - from > 1 ? {} : {};\n",
                x.fold.c_type(),
                x.fold.empty(),
                x.fold.identity()
            ));
        }
        text.push_str(&format!("if (unit < {blocks}) {{\n"));
        text.push_str(&decompose(self.k, 0..self.k.kept, "row", body));
        text.push_str("for (long r = from + l; r < to; r += 16) {\n");
        let (inside, args) = self.position("r", &mut Values::new(self.k), body);
        text.push_str(&inside);
        for (i, x) in self.reductions.iter().enumerate() {
            text.push_str(&format!("v{i} = {};\n", x.fold.two(&format!("v{i}"), &args[i])));
        }
        text.push_str("}\n}\n");
        for (i, (x, t)) in self.reductions.iter().zip(temporaries).enumerate() {
            let partial = body.temporary(t);
            if !x.fold.in_blocks() {
                text.push_str(&format!("if (unit < {blocks}) {partial}[unit * 16 + l] = v{i};\n"));
                continue;
            }
            text.push_str(&format!("x{i}[lane] = v{i};\nbarrier(CLK_LOCAL_MEM_FENCE);\n"));
            for h in [8, 4, 2, 1] {
                let folded = x.fold.two(&format!("x{i}[lane]"), &format!("x{i}[lane + {h}]"));
                text.push_str(&format!("if (l < {h}) x{i}[lane] = {folded};\nbarrier(CLK_LOCAL_MEM_FENCE);\n"));
            }
            text.push_str(&format!("if (l == 0 && unit < {blocks}) {partial}[unit] = x{i}[lane];\n"));
        }
        text
    }
}
