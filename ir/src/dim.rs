//! Dimensions: a number, or a polynomial over symbols that a call binds to numbers.
//! Polynomials are kept canonical, so equality of two dimensions is plain comparison; there is no solver here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A symbolic dimension, printed `s0`, `s1`, …
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sym(pub u32);

impl fmt::Display for Sym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// A product of symbols (sorted, repeated for powers); the empty product is 1.
type Monomial = Vec<Sym>;

/// The size of one axis, in elements: fixed, or a polynomial with integer coefficients over symbols. Arithmetic stops at
/// the ends of `i64`; sizes that no memory has are refused where they are bound, by [`crate::Bounds`].
///
/// ```
/// use allotrope_ir::{Dim, Sym};
/// let t = Dim::sym(Sym(0));
/// let n = &(&t * &Dim::fixed(3)) + &Dim::fixed(1);
/// assert_eq!(n.to_string(), "3*s0+1");
/// assert_eq!(n.eval(&[10]), 31);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dim {
    Fixed(i64),
    /// Terms in ascending order of their symbols, at least one with a symbol; no zero coefficient.
    Poly(Arc<[(Monomial, i64)]>),
}

impl Dim {
    /// The number; the largest of `i64` for those above.
    pub fn fixed(n: usize) -> Dim {
        Dim::Fixed(i64::try_from(n).unwrap_or(i64::MAX))
    }

    pub fn sym(s: Sym) -> Dim {
        Dim::Poly(Arc::from([(vec![s], 1)]))
    }

    /// The number, where the dimension is one.
    pub fn as_fixed(&self) -> Option<usize> {
        match self {
            Dim::Fixed(n) => usize::try_from(*n).ok(),
            Dim::Poly(_) => None,
        }
    }

    /// The symbol, where the dimension is exactly one symbol.
    pub fn as_sym(&self) -> Option<Sym> {
        let Dim::Poly(p) = self else { return None };
        match &**p {
            [(m, 1)] if m.len() == 1 => Some(m[0]),
            _ => None,
        }
    }

    /// The terms as (symbols of the product, coefficient); a constant term has no symbols.
    pub fn terms(&self) -> Vec<(Vec<Sym>, i64)> {
        match self {
            Dim::Fixed(0) => Vec::new(),
            Dim::Fixed(n) => vec![(Vec::new(), *n)],
            Dim::Poly(p) => p.to_vec(),
        }
    }

    /// The dimension with these terms, made canonical.
    pub fn from_terms(terms: impl IntoIterator<Item = (Vec<Sym>, i64)>) -> Dim {
        let mut map: BTreeMap<Monomial, i64> = BTreeMap::new();
        for (mut m, c) in terms {
            m.sort();
            let sum = map.entry(m).or_insert(0);
            *sum = sum.saturating_add(c);
        }
        map.retain(|_, c| *c != 0);
        match map.keys().any(|m| !m.is_empty()) {
            true => Dim::Poly(map.into_iter().collect()),
            false => Dim::Fixed(map.into_values().next().unwrap_or(0)),
        }
    }

    /// The size when symbol `i` is `binding[i]`: 0 where the value is below that, and the largest number, which is no
    /// size, where it is beyond all numbers.
    ///
    /// # Panics
    /// When a symbol has no binding.
    pub fn eval(&self, binding: &[usize]) -> usize {
        match self.value(binding) {
            Some(n) if n < 0 => 0,
            n => n.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX),
        }
    }

    /// The value when symbol `i` is `binding[i]`; none where it is beyond all numbers.
    ///
    /// # Panics
    /// When a symbol has no binding.
    pub fn value(&self, binding: &[usize]) -> Option<i128> {
        match self {
            Dim::Fixed(n) => Some(i128::from(*n)),
            Dim::Poly(p) => p.iter().try_fold(0i128, |sum, (m, c)| sum.checked_add(product(m, *c, binding)?)),
        }
    }

    /// The dimension with every symbol replaced.
    pub fn substitute(&self, of: &dyn Fn(Sym) -> Dim) -> Dim {
        match self {
            Dim::Fixed(_) => self.clone(),
            Dim::Poly(p) => p
                .iter()
                .fold(Dim::Fixed(0), |sum, (m, c)| &sum + &m.iter().fold(Dim::Fixed(*c), |prod, s| &prod * &of(*s))),
        }
    }

    /// Every symbol in it, each once.
    pub fn symbols(&self) -> Vec<Sym> {
        let mut out: Vec<Sym> = self.terms().into_iter().flat_map(|(m, _)| m).collect();
        out.sort();
        out.dedup();
        out
    }
}

/// `c` times the numbers of the symbols.
fn product(m: &Monomial, c: i64, binding: &[usize]) -> Option<i128> {
    m.iter().try_fold(i128::from(c), |n, s| n.checked_mul(binding[s.0 as usize] as i128))
}

impl std::ops::Mul for &Dim {
    type Output = Dim;
    fn mul(self, rhs: &Dim) -> Dim {
        if let (Dim::Fixed(a), Dim::Fixed(b)) = (self, rhs) {
            return Dim::Fixed(a.saturating_mul(*b));
        }
        let right = rhs.terms();
        Dim::from_terms(self.terms().into_iter().flat_map(|(m, c)| {
            right
                .iter()
                .map(move |(n, d)| ([m.as_slice(), n.as_slice()].concat(), c.saturating_mul(*d)))
                .collect::<Vec<_>>()
        }))
    }
}

impl std::ops::Add for &Dim {
    type Output = Dim;
    fn add(self, rhs: &Dim) -> Dim {
        if let (Dim::Fixed(a), Dim::Fixed(b)) = (self, rhs) {
            return Dim::Fixed(a.saturating_add(*b));
        }
        Dim::from_terms(self.terms().into_iter().chain(rhs.terms()))
    }
}

impl std::ops::Sub for &Dim {
    type Output = Dim;
    fn sub(self, rhs: &Dim) -> Dim {
        self + &(&Dim::Fixed(-1) * rhs)
    }
}

impl From<usize> for Dim {
    fn from(n: usize) -> Dim {
        Dim::fixed(n)
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dim::Poly(p) = self else {
            let Dim::Fixed(n) = self else { unreachable!() };
            return write!(f, "{n}");
        };
        // Highest products first, the constant last: 3*s0*s1+s0+1.
        for (i, (m, c)) in p.iter().rev().enumerate() {
            let sign = if *c < 0 {
                "-"
            } else if i > 0 {
                "+"
            } else {
                ""
            };
            let mut factors: Vec<String> = m.iter().map(Sym::to_string).collect();
            if c.unsigned_abs() != 1 || m.is_empty() {
                factors.insert(0, c.unsigned_abs().to_string());
            }
            write!(f, "{sign}{}", factors.join("*"))?;
        }
        Ok(())
    }
}

/// What the shape rules need of a dimension, so that the one set of rules serves the graph ([`Dim`]), the eager
/// mode (`usize`) and a capture (a number together with its symbol).
pub trait Extent: Clone + fmt::Display {
    fn of(n: usize) -> Self;
    /// The number, where it is one whatever the symbols are bound to.
    fn fixed(&self) -> Option<usize>;
    fn times(&self, other: &Self) -> Self;
    fn plus(&self, other: &Self) -> Self;
    /// Whether the two are the same for every binding.
    fn same(&self, other: &Self) -> bool;
}

impl Extent for Dim {
    fn of(n: usize) -> Dim {
        Dim::fixed(n)
    }
    fn fixed(&self) -> Option<usize> {
        self.as_fixed()
    }
    fn times(&self, other: &Dim) -> Dim {
        self * other
    }
    fn plus(&self, other: &Dim) -> Dim {
        self + other
    }
    fn same(&self, other: &Dim) -> bool {
        self == other
    }
}

impl Extent for usize {
    fn of(n: usize) -> usize {
        n
    }
    fn fixed(&self) -> Option<usize> {
        Some(*self)
    }
    // What goes beyond all numbers stays there, and is refused as a size.
    fn times(&self, other: &usize) -> usize {
        self.saturating_mul(*other)
    }
    fn plus(&self, other: &usize) -> usize {
        self.saturating_add(*other)
    }
    fn same(&self, other: &usize) -> bool {
        self == other
    }
}
