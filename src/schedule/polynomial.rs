//! Dimensions made ready to be evaluated on every call: flat, without trees or sharing. Nothing symbolic is done here.

use allotrope_ir::{Dim, Type};
use smallvec::SmallVec;

/// A polynomial over the binding.
#[derive(Clone, Debug)]
pub struct Polynomial {
    /// Factor and symbols of each product.
    terms: SmallVec<[(i64, SmallVec<[u32; 4]>); 1]>,
}

impl Polynomial {
    pub fn of(d: &Dim) -> Polynomial {
        let flat = |(symbols, factor): (Vec<allotrope_ir::Sym>, i64)| (factor, symbols.iter().map(|s| s.0).collect());
        Polynomial { terms: d.terms().into_iter().map(flat).collect() }
    }

    /// Bytes of a value.
    pub fn bytes(ty: &Type) -> Polynomial {
        Polynomial::of(&(&ty.numel() * &Dim::Fixed(ty.dtype.size() as i64)))
    }

    /// What [`Dim::eval`] gives.
    ///
    /// # Panics
    /// When a symbol has no binding.
    pub fn eval(&self, binding: &[usize]) -> usize {
        let term = |(factor, symbols): &(i64, SmallVec<[u32; 4]>)| {
            symbols
                .iter()
                .fold(*factor, |n, s| n.saturating_mul(i64::try_from(binding[*s as usize]).unwrap_or(i64::MAX)))
        };
        usize::try_from(self.terms.iter().map(term).fold(0, i64::saturating_add)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use allotrope_ir::Sym;

    #[test]
    fn sizes_are_what_dimensions_are() {
        let (a, b) = (Dim::sym(Sym(0)), Dim::sym(Sym(1)));
        for d in [Dim::Fixed(0), Dim::Fixed(7), &a * &b, &(&a * &a) + &(&b - &Dim::Fixed(3)), &b - &a] {
            for binding in [[0, 0], [1, 5], [4, 2], [30, 7]] {
                assert_eq!(Polynomial::of(&d).eval(&binding), d.eval(&binding), "{d} under {binding:?}");
            }
        }
    }
}
