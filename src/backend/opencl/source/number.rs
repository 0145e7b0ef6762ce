//! Sizes and counts that a launch needs: evaluated on the host under a binding, and written as C expressions of type `long`
//! for kernels that compute with them. It knows no memory and no launch.

use allotrope_ir::Dim;
use std::collections::BTreeSet;

/// A number that is known when the symbols are: a dimension, or arithmetic on such numbers. It is an `i64` on both sides.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    Dim(Dim),
    Add(Box<Number>, Box<Number>),
    Mul(Box<Number>, Box<Number>),
    /// Rounded up. The second is positive.
    CeilDiv(Box<Number>, Box<Number>),
    Min(Box<Number>, Box<Number>),
    Max(Box<Number>, Box<Number>),
    /// 1 where the first is at most the second, else 0.
    AtMost(Box<Number>, Box<Number>),
}

impl From<i64> for Number {
    fn from(n: i64) -> Number {
        Number::Dim(Dim::Fixed(n))
    }
}

impl From<&Dim> for Number {
    fn from(d: &Dim) -> Number {
        Number::Dim(d.clone())
    }
}

impl Number {
    /// The product of dimensions.
    pub fn product(dims: &[Dim]) -> Number {
        Number::Dim(dims.iter().fold(Dim::Fixed(1), |n, d| &n * d))
    }

    /// The number, where it is the same under every binding.
    pub fn fixed(&self) -> Option<i64> {
        match self {
            Number::Dim(Dim::Fixed(n)) => Some(*n),
            _ => None,
        }
    }

    fn combine(a: Number, b: Number, f: fn(i64, i64) -> i64, make: fn(Box<Number>, Box<Number>) -> Number) -> Number {
        match (a.fixed(), b.fixed()) {
            (Some(a), Some(b)) => f(a, b).into(),
            _ => make(Box::new(a), Box::new(b)),
        }
    }

    pub fn plus(self, other: impl Into<Number>) -> Number {
        match (self, other.into()) {
            (Number::Dim(a), Number::Dim(b)) => Number::Dim(&a + &b),
            (a, b) => Number::Add(Box::new(a), Box::new(b)),
        }
    }

    pub fn times(self, other: impl Into<Number>) -> Number {
        match (self, other.into()) {
            (Number::Dim(a), Number::Dim(b)) => Number::Dim(&a * &b),
            (a, b) => Number::Mul(Box::new(a), Box::new(b)),
        }
    }

    pub fn ceil_div(self, by: impl Into<Number>) -> Number {
        let by = by.into();
        if by.fixed() == Some(1) { self } else { Number::combine(self, by, ceil_div, Number::CeilDiv) }
    }

    pub fn min(self, other: impl Into<Number>) -> Number {
        Number::combine(self, other.into(), i64::min, Number::Min)
    }

    pub fn max(self, other: impl Into<Number>) -> Number {
        Number::combine(self, other.into(), i64::max, Number::Max)
    }

    pub fn at_most(self, other: impl Into<Number>) -> Number {
        Number::combine(self, other.into(), |a, b| i64::from(a <= b), Number::AtMost)
    }

    /// The next multiple of a fixed number.
    pub fn rounded_up(self, to: i64) -> Number {
        self.ceil_div(to).times(to)
    }

    /// Its value under a binding. Sizes that no memory has stop at the ends of `i64`.
    pub fn eval(&self, binding: &[usize]) -> i64 {
        let both = |a: &Number, b: &Number| (a.eval(binding), b.eval(binding));
        match self {
            Number::Dim(d) => value(d, binding),
            Number::Add(a, b) => both(a, b).0.saturating_add(b.eval(binding)),
            Number::Mul(a, b) => both(a, b).0.saturating_mul(b.eval(binding)),
            Number::CeilDiv(a, b) => ceil_div(a.eval(binding), b.eval(binding)),
            Number::Min(a, b) => a.eval(binding).min(b.eval(binding)),
            Number::Max(a, b) => a.eval(binding).max(b.eval(binding)),
            Number::AtMost(a, b) => i64::from(a.eval(binding) <= b.eval(binding)),
        }
    }

    /// A C expression of type `long`, in which symbol `i` is the variable `si`; the symbols in it are added to `symbols`.
    pub fn text(&self, symbols: &mut BTreeSet<u32>) -> String {
        let mut call = |name: &str, a: &Number, b: &Number| {
            let (a, b) = (a.text(symbols), b.text(symbols));
            match name {
                "+" | "*" => format!("({a} {name} {b})"),
                "/" => format!("(({a} + {b} - 1) / {b})"),
                "<=" => format!("(long)({a} <= {b})"),
                name => format!("{name}({a}, {b})"),
            }
        };
        match self {
            Number::Dim(d) => dim(d, symbols),
            Number::Add(a, b) => call("+", a, b),
            Number::Mul(a, b) => call("*", a, b),
            Number::CeilDiv(a, b) => call("/", a, b),
            Number::Min(a, b) => call("min", a, b),
            Number::Max(a, b) => call("max", a, b),
            Number::AtMost(a, b) => call("<=", a, b),
        }
    }
}

fn ceil_div(a: i64, b: i64) -> i64 {
    a / b + i64::from(a % b > 0)
}

/// The value of a dimension or a stride, which may be negative.
pub fn value(d: &Dim, binding: &[usize]) -> i64 {
    let clamp = |n: i128| n.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    d.value(binding).map_or(i64::MAX, clamp)
}

/// A dimension as a C expression of type `long`.
pub fn dim(d: &Dim, symbols: &mut BTreeSet<u32>) -> String {
    let mut term = |(of, factor): (Vec<allotrope_ir::Sym>, i64)| {
        let mut factors: Vec<String> = of.iter().map(|s| format!("s{}", s.0)).collect();
        symbols.extend(of.iter().map(|s| s.0));
        if factor != 1 || factors.is_empty() {
            factors.insert(0, long(factor));
        }
        factors.join("*")
    };
    let terms: Vec<String> = d.terms().into_iter().map(&mut term).collect();
    match &terms[..] {
        [] => "0L".to_string(),
        // As an operand of `%` and `/` a product is one number.
        [one] if one.contains('*') => format!("({one})"),
        [one] => one.clone(),
        several => format!("({})", several.join(" + ")),
    }
}

/// A literal of type `long`. The smallest one has no literal of its own.
pub fn long(n: i64) -> String {
    match n {
        i64::MIN => "(-9223372036854775807L - 1)".to_string(),
        n if n < 0 => format!("({n}L)"),
        n => format!("{n}L"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use allotrope_ir::Sym;

    #[test]
    fn host_and_text_agree_on_fixed_numbers() {
        let n = Number::from(17).ceil_div(16).times(5).plus(1).max(3).min(100);
        assert_eq!((n.fixed(), n.eval(&[])), (Some(11), 11));
        assert_eq!(n.text(&mut BTreeSet::new()), "11L");
        assert_eq!(Number::from(0).ceil_div(16).fixed(), Some(0));
    }

    #[test]
    fn a_product_is_one_operand() {
        let (a, b) = (Dim::sym(Sym(0)), Dim::sym(Sym(1)));
        assert_eq!(dim(&(&a * &b), &mut BTreeSet::new()), "(s0*s1)");
        assert_eq!(dim(&(&a * &Dim::Fixed(-2)), &mut BTreeSet::new()), "((-2L)*s0)");
    }

    #[test]
    fn symbols_are_variables() {
        let t = Dim::sym(Sym(2));
        let n = Number::from(&(&(&t * &t) - &Dim::Fixed(3))).ceil_div(4096);
        let mut symbols = BTreeSet::new();
        assert_eq!(n.text(&mut symbols), "((((-3L) + s2*s2) + 4096L - 1) / 4096L)");
        assert_eq!(symbols.into_iter().collect::<Vec<_>>(), [2]);
        assert_eq!(n.eval(&[0, 0, 100]), 3);
    }
}
