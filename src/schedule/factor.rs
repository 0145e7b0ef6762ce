//! A factor of a matrix product: a view whose axes are put together to rows, columns and batch axes, so that what would
//! be a copy for any other reader, as the windows of a convolution as a matrix, is read where it lies.

use crate::schedule::view::{View, is_one, is_zero};
use allotrope_ir::{Dim, Shape};
use smallvec::SmallVec;

const ONE: Dim = Dim::Fixed(1);

/// Axis `i` of the factor is the next `groups[i]` axes of the view, at least one, counted through with the last the fastest.
/// The last two axes are rows and columns; those before them are one axis of the view each.
#[derive(Clone, Debug, PartialEq)]
pub struct Factor {
    pub view: View,
    pub groups: SmallVec<[usize; 4]>,
}

impl Factor {
    /// A view as it is.
    pub fn of(view: View) -> Factor {
        Factor { groups: smallvec::smallvec![1; view.shape.len()], view }
    }

    /// Whether each axis is one axis of the view.
    pub fn is_view(&self) -> bool {
        self.groups.iter().all(|n| *n == 1)
    }

    /// Whether it is of a form that a product takes: no batch axis is several axes of the view.
    pub(in crate::schedule) fn is_of_matrices(&self) -> bool {
        let rank = self.groups.len();
        rank >= 2 && self.groups[..rank - 2].iter().all(|n| *n == 1)
    }

    /// The sizes of its axes.
    pub fn shape(&self) -> Shape {
        (0..self.groups.len()).map(|i| self.axes(i).0.iter().fold(ONE, |n, d| &n * d)).collect()
    }

    /// The sizes and strides of the axes of the view that axis `i` is.
    pub fn axes(&self, i: usize) -> (&[Dim], &[Dim]) {
        let from: usize = self.groups[..i].iter().sum();
        let range = from..from + self.groups[i];
        (&self.view.shape[range.clone()], &self.view.strides[range])
    }

    pub(in crate::schedule) fn permute(&self, axes: &[usize]) -> Factor {
        let begin = |i: usize| self.groups[..i].iter().sum::<usize>();
        let order: SmallVec<[usize; 6]> = axes.iter().flat_map(|&a| begin(a)..begin(a) + self.groups[a]).collect();
        Factor { view: self.view.permute(&order), groups: axes.iter().map(|&a| self.groups[a]).collect() }
    }

    /// The same elements, in row-major order, under another shape, where each of its axes is some of the view's; an axis of
    /// fixed size may be divided for that.
    pub(in crate::schedule) fn reshape(&self, shape: &[Dim]) -> Option<Factor> {
        let axes = self.view.shape.iter().cloned().zip(self.view.strides.iter().cloned());
        let mut rest: SmallVec<[(Dim, Dim); 6]> = axes.filter(|(n, _)| !is_one(n)).rev().collect();
        let (mut sizes, mut strides) = (Shape::new(), Shape::new());
        let mut groups = SmallVec::new();
        for size in shape {
            if is_zero(size) {
                return None;
            }
            let begin = sizes.len();
            let mut product = ONE;
            while product != *size {
                let (mut n, mut stride) = rest.pop()?;
                if let (Some(size), Some(product), Some(have)) = (size.as_fixed(), product.as_fixed(), n.as_fixed()) {
                    let need = if size % product == 0 { size / product } else { return None };
                    if need % have != 0 {
                        if have % need != 0 {
                            return None;
                        }
                        let inner = Dim::fixed(have / need);
                        (n, stride) = {
                            rest.push((inner.clone(), stride.clone()));
                            (Dim::fixed(need), &stride * &inner)
                        };
                    }
                }
                product = &product * &n;
                // One stride walks both.
                match (sizes.len() > begin).then(|| (sizes.last_mut(), strides.last_mut())) {
                    Some((Some(above), Some(step))) if *step == &stride * &n => {
                        *above = &*above * &n;
                        *step = stride;
                    }
                    _ => {
                        sizes.push(n);
                        strides.push(stride);
                    }
                }
            }
            if sizes.len() == begin {
                sizes.push(ONE);
                strides.push(Dim::Fixed(0));
            }
            groups.push(sizes.len() - begin);
        }
        rest.is_empty().then(|| Factor { view: View { shape: sizes, strides, ..self.view.clone() }, groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::buffer::BufId;
    use crate::schedule::view::Base;
    use allotrope_ir::{DType, Sym};

    fn view(shape: &[Dim], strides: &[i64]) -> View {
        let strides = strides.iter().map(|&s| Dim::Fixed(s)).collect();
        let shape = shape.iter().cloned().collect();
        View { base: Base::Buf(BufId(0)), dtype: DType::F32, offset: Dim::Fixed(0), shape, strides }
    }

    fn fixed(sizes: &[i64]) -> Vec<Dim> {
        sizes.iter().map(|&n| Dim::Fixed(n)).collect()
    }

    fn axes(f: &Factor, i: usize) -> (Vec<Dim>, Vec<Dim>) {
        let (sizes, strides) = f.axes(i);
        (sizes.to_vec(), strides.to_vec())
    }

    #[test]
    fn windows_are_a_matrix_of_several_axes() {
        // [c, kh, kw, n, oh, ow] of [n, c, h, w], the number of samples a symbol.
        let n = Dim::sym(Sym(0));
        let mut shape = fixed(&[3, 5, 5, 0, 28, 28]);
        shape[3] = n.clone();
        let x = Factor::of(view(&shape, &[1024, 32, 1, 3072, 32, 1]));
        let places = &n * &Dim::Fixed(784);
        let f = x.reshape(&[Dim::Fixed(1), Dim::Fixed(75), places.clone()]).unwrap();
        assert_eq!(f.groups[..], [1, 3, 3]);
        assert!(f.is_of_matrices() && !f.is_view());
        assert_eq!(f.shape()[..], [Dim::Fixed(1), Dim::Fixed(75), places.clone()]);
        assert_eq!(axes(&f, 2), (vec![n, Dim::Fixed(28), Dim::Fixed(28)], fixed(&[3072, 32, 1])));
        let f = f.reshape(&[Dim::Fixed(75), places.clone()]).unwrap().permute(&[1, 0]);
        assert_eq!(f.shape()[..], [places, Dim::Fixed(75)]);
        assert_eq!(axes(&f, 1), (fixed(&[3, 5, 5]), fixed(&[1024, 32, 1])));
    }

    #[test]
    fn axes_are_divided_and_put_together_where_one_stride_walks_them() {
        let x = Factor::of(view(&fixed(&[6, 4, 3, 7]), &[100, 1, 7, 1]));
        let f = x.reshape(&fixed(&[2, 12, 21])).unwrap();
        assert_eq!(axes(&f, 0), (fixed(&[2]), fixed(&[300])));
        assert_eq!(axes(&f, 1), (fixed(&[3, 4]), fixed(&[100, 1])));
        assert_eq!(axes(&f, 2), (fixed(&[21]), fixed(&[1])));
        for shape in [&[5, 5][..], &[24, 20], &[9, 56], &[0, 24, 21], &[504, 2]] {
            assert!(x.reshape(&fixed(shape)).is_none(), "{shape:?}");
        }
        // A batch of several axes is not one that products have.
        assert!(!x.reshape(&fixed(&[24, 3, 7])).unwrap().is_of_matrices());
    }
}
