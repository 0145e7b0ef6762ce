//! Structures of tensors: carries of loops, results of branches, arguments and results of traced functions. It computes
//! nothing.

use crate::tensor::Tensor;

/// Tensors in a structure of tuples, arrays and vectors: what loops carry and traced functions take and give.
pub trait TensorTree: Sized {
    /// Appends the tensors in order.
    fn flatten(&self, out: &mut Vec<Tensor>);
    /// The same structure with other tensors, taken in order.
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> Self;
}

impl TensorTree for Tensor {
    fn flatten(&self, out: &mut Vec<Tensor>) {
        out.push(self.clone());
    }
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> Tensor {
        from.next().expect("as many tensors as the structure holds")
    }
}

impl<T: TensorTree> TensorTree for Vec<T> {
    fn flatten(&self, out: &mut Vec<Tensor>) {
        self.iter().for_each(|t| t.flatten(out));
    }
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> Vec<T> {
        self.iter().map(|t| t.unflatten(from)).collect()
    }
}

impl<T: TensorTree, const N: usize> TensorTree for [T; N] {
    fn flatten(&self, out: &mut Vec<Tensor>) {
        self.iter().for_each(|t| t.flatten(out));
    }
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> [T; N] {
        std::array::from_fn(|i| self[i].unflatten(from))
    }
}

impl<T: TensorTree> TensorTree for Option<T> {
    fn flatten(&self, out: &mut Vec<Tensor>) {
        self.iter().for_each(|t| t.flatten(out));
    }
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> Option<T> {
        self.as_ref().map(|t| t.unflatten(from))
    }
}

impl TensorTree for () {
    fn flatten(&self, _: &mut Vec<Tensor>) {}
    fn unflatten(&self, _: &mut dyn Iterator<Item = Tensor>) {}
}

macro_rules! tuples {
    ($(($($t:ident $i:tt),*))*) => {$(
        impl<$($t: TensorTree),*> TensorTree for ($($t,)*) {
            fn flatten(&self, out: &mut Vec<Tensor>) {
                $(self.$i.flatten(out);)*
            }
            fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> Self {
                ($(self.$i.unflatten(from),)*)
            }
        }
    )*};
}
tuples! { (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) (A 0, B 1, C 2, D 3, E 4, F 5) }

/// The tensors of a structure, in order.
pub(super) fn flat(tree: &impl TensorTree) -> Vec<Tensor> {
    let mut out = Vec::new();
    tree.flatten(&mut out);
    out
}
