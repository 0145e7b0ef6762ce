//! The symbols of one capture: which expression each size stands for, what was found equal, what became a number and
//! why, and the least sizes that the capture holds for. It never decides a shape; it remembers what was decided.

use crate::error::{Error, give_up};
use crate::mode::recorder::sizes::SizeOp;
use crate::tensor::Size;
use crate::tensor::size::Expr;
use allotrope_ir::{Dim, Sym};
use std::collections::HashMap;
use std::panic::Location;

/// The numbers of the symbols in one call.
pub(crate) type Binding = smallvec::SmallVec<[usize; 8]>;

/// A symbol that became a number, and why.
#[derive(Clone, Debug)]
pub struct Specialization {
    /// The number.
    pub value: usize,
    /// What asked for it.
    pub why: String,
    /// Where in the program.
    pub at: &'static Location<'static>,
    sym: Sym,
}

/// A symbol that `a = b` gives a value to: one that stands alone in one term, whose factor divides all others.
fn linear(a: &Dim, b: &Dim) -> Option<(Sym, Dim)> {
    let terms = (a - b).terms();
    terms.iter().enumerate().find_map(|(i, (m, c))| {
        let [s] = m[..] else { return None };
        let rest = || terms.iter().enumerate().filter(move |(j, _)| *j != i).map(|(_, t)| t);
        let solvable = rest().all(|(m, k)| !m.contains(&s) && k % c == 0);
        solvable.then(|| (s, Dim::from_terms(rest().map(|(m, k)| (m.clone(), -k / c)))))
    })
}

#[derive(Clone, Default)]
pub(crate) struct Symbols {
    /// Names the capture, so that sizes of another one are noticed.
    capture: u32,
    /// Expressions that sizes name; the size's number 0 means none, so entry 0 is expression 1.
    table: Vec<Dim>,
    known: HashMap<Dim, u32>,
    /// The number that each symbol had when the capture was made.
    hints: Vec<usize>,
    /// The argument and the axis that each stands for, if it does for one.
    axes: Vec<Option<(usize, usize)>>,
    solved: HashMap<Sym, Dim>,
    /// The symbols that became the numbers which they have in this call, in order.
    pub(crate) numbers: Vec<(Sym, usize)>,
    /// Whether sizes of another recording, which has asked the same, are taken for those of this one.
    pub(crate) replaying: bool,
    pub(crate) least: Vec<(Dim, usize)>,
    pub(crate) specializations: Vec<Specialization>,
    /// The symbols that stand for the capacities of loops.
    pub(crate) capacities: Vec<Sym>,
}

/// That a size of another trace is used.
pub(crate) fn foreign(size: Size) -> Error {
    Error::trace(format!("a size of another trace, {size} there, is used here; take it from a tensor of this one"))
}

/// The capacity of a loop at first, in iterations.
pub(crate) const INITIAL_CAPACITY: usize = 16;

impl Symbols {
    pub(crate) fn new(capture: u32) -> Symbols {
        Symbols { capture, ..Symbols::default() }
    }

    /// A size that another call may have differently: that of an axis of an argument, or of something else.
    pub(crate) fn symbol(&mut self, hint: usize, of: Option<(usize, usize)>) -> Size {
        let sym = Sym(self.hints.len() as u32);
        self.hints.push(hint);
        self.axes.push(of);
        self.size(Dim::sym(sym))
    }

    /// The capacity of what a loop collects, in iterations. No argument says it: calls find it by running.
    pub(crate) fn capacity(&mut self) -> Size {
        self.capacities.push(Sym(self.hints.len() as u32));
        self.symbol(INITIAL_CAPACITY, None)
    }

    /// The size for an expression.
    pub(crate) fn size(&mut self, dim: Dim) -> Size {
        if let Some(n) = dim.as_fixed() {
            return Size::from(n);
        }
        let value = dim.eval(&self.hints);
        let table = &mut self.table;
        let expr = *self.known.entry(dim.clone()).or_insert_with(|| {
            table.push(dim);
            table.len() as u32
        });
        Size::with_expr(value, Expr { number: expr, capture: self.capture })
    }

    /// What the size stands for, as far as is known now.
    pub(crate) fn dim(&self, size: Size) -> Dim {
        let Expr { number, capture } = size.expr();
        match number {
            0 => Dim::fixed(size.hint()),
            _ if capture != self.capture && !self.replaying => give_up(foreign(size)),
            n => self.table[n as usize - 1].clone(),
        }
    }

    pub(crate) fn arith(&mut self, op: SizeOp, a: Size, b: Size) -> Size {
        let (a, b) = (self.dim(a), self.dim(b));
        self.size(match op {
            SizeOp::Add => &a + &b,
            SizeOp::Sub => &a - &b,
            SizeOp::Mul => &a * &b,
        })
    }

    /// The size divided by a number that divides each of its terms.
    pub(crate) fn divided(&mut self, size: Size, by: usize) -> Option<Size> {
        let (by, terms) = (by as i64, self.dim(size).terms());
        let exact = by > 0 && terms.iter().all(|(_, c)| c % by == 0);
        exact.then(|| self.size(Dim::from_terms(terms.into_iter().map(|(m, c)| (m, c / by)))))
    }

    pub(crate) fn resolve(&self, dim: &Dim) -> Dim {
        match dim {
            Dim::Fixed(_) => dim.clone(),
            Dim::Poly(_) => dim.substitute(&|s| self.solved.get(&s).cloned().unwrap_or_else(|| Dim::sym(s))),
        }
    }

    /// Makes two sizes the same from here on. True when something was solved, so that graphs must be rewritten.
    pub(crate) fn unify(&mut self, a: Size, b: Size, at: &'static Location<'static>) -> bool {
        let (a, b) = (self.dim(a), self.dim(b));
        if a == b {
            return false;
        }
        for (one, other) in [(&a, &b), (&b, &a)] {
            if let Some(s) = one.as_sym()
                && !other.symbols().contains(&s)
            {
                self.solve(s, other.clone());
                return true;
            }
        }
        if let Some((s, value)) = linear(&a, &b) {
            self.solve(s, value);
            return true;
        }
        // No general solution is looked for: the sizes of this call are kept.
        let mut symbols: Vec<Sym> = a.symbols().into_iter().chain(b.symbols()).collect();
        symbols.sort();
        symbols.dedup();
        for s in symbols {
            let value = self.hints[s.0 as usize];
            let why = format!("{a} and {b} must be equal");
            self.specializations.push(Specialization { value, why, at, sym: s });
            self.number(s);
        }
        true
    }

    pub(crate) fn specialize(&mut self, size: Size, why: &str, at: &'static Location<'static>) -> bool {
        self.specialize_all(self.dim(size).symbols(), why, at)
    }

    /// As [`Symbols::specialize`], for every size of an argument.
    pub(crate) fn specialize_arguments(&mut self, why: &str, at: &'static Location<'static>) -> bool {
        let of_arguments = |s: &Sym| self.axes[s.0 as usize].is_some() && !self.solved.contains_key(s);
        let symbols = (0..self.axes.len() as u32).map(Sym).filter(of_arguments).collect();
        self.specialize_all(symbols, why, at)
    }

    fn specialize_all(&mut self, symbols: Vec<Sym>, why: &str, at: &'static Location<'static>) -> bool {
        for &s in &symbols {
            let value = self.hints[s.0 as usize];
            self.specializations.push(Specialization { value, why: why.to_string(), at, sym: s });
            self.number(s);
        }
        !symbols.is_empty()
    }

    /// What made a number of an axis of an argument, if anything did.
    pub(crate) fn reason_of(&self, arg: usize, axis: usize) -> Option<&Specialization> {
        self.specializations.iter().find(|s| self.axes[s.sym.0 as usize] == Some((arg, axis)))
    }

    pub(crate) fn at_least(&mut self, size: Size, least: usize) {
        let bound = (self.dim(size), least);
        if !self.least.contains(&bound) {
            self.least.push(bound);
        }
    }

    /// The symbol becomes the number that it has in this call.
    fn number(&mut self, s: Sym) {
        let value = self.hints[s.0 as usize];
        self.numbers.push((s, value));
        self.solve(s, Dim::fixed(value));
    }

    /// The numbers that the symbols have in this call.
    pub(crate) fn hints(&self) -> &[usize] {
        &self.hints
    }

    /// The expressions that sizes have named so far, from number `from` on, as far as they are solved.
    pub(crate) fn expressions(&self, from: usize) -> &[Dim] {
        &self.table[from..]
    }

    /// The symbols that have a value here and had none in `before`, with their values.
    pub(crate) fn solved_besides(&self, before: &Symbols) -> impl Iterator<Item = (Sym, Dim)> {
        self.solved.iter().filter(|(s, _)| !before.solved.contains_key(s)).map(|(s, dim)| (*s, dim.clone()))
    }

    fn solve(&mut self, s: Sym, as_dim: Dim) {
        if self.solved.contains_key(&s) {
            return;
        }
        let one = |t: Sym| if t == s { as_dim.clone() } else { Dim::sym(t) };
        for dim in self.solved.values_mut() {
            *dim = dim.substitute(&one);
        }
        for dim in &mut self.table {
            *dim = dim.substitute(&one);
        }
        for (dim, _) in &mut self.least {
            *dim = dim.substitute(&one);
        }
        self.known = self.table.iter().enumerate().map(|(i, d)| (d.clone(), i as u32 + 1)).collect();
        self.solved.insert(s, as_dim);
    }
}
