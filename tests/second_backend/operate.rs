//! The operators of the library: their operands are gathered in row-major order, the kernel of that name is called, and its
//! result is written back.

use crate::interpret::Run;
use crate::memory::{typed, untyped, with_type};
use allotrope::backend::FromElement;
use allotrope::ir::{BinaryOp, Dim, Scalar};
use allotrope::kernels::{self, View as KernelView};
use allotrope::schedule::{Factor, Operator, View};

/// The elements of a view, contiguous, with its shape.
struct Whole<T> {
    elements: Vec<T>,
    shape: Vec<usize>,
    strides: Vec<isize>,
}

impl<T: FromElement> Whole<T> {
    fn of(run: &Run<'_>, view: &View) -> Whole<T> {
        Whole::shaped(run, view, &view.shape)
    }

    /// A product's factor: the elements of its view, in order, under its own shape.
    fn of_factor(run: &Run<'_>, x: &Factor) -> Whole<T> {
        Whole::shaped(run, &x.view, &x.shape())
    }

    fn shaped(run: &Run<'_>, view: &View, shape: &[Dim]) -> Whole<T> {
        let shape: Vec<usize> = run.numbers(shape).into_iter().map(|n| n as usize).collect();
        let strides = (0..shape.len()).map(|i| shape[i + 1..].iter().product::<usize>().max(1) as isize).collect();
        Whole { elements: typed(&run.loads(view)), shape, strides }
    }

    fn view(&self) -> KernelView<'_, T> {
        KernelView::new(&self.elements, 0, &self.shape, &self.strides).unwrap()
    }
}

pub fn operate(run: &mut Run<'_>, operator: &Operator) {
    let out = operator.out();
    let shape: Vec<usize> = run.numbers(&out.shape).into_iter().map(|n| n as usize).collect();
    let n: usize = shape.iter().product();
    fn fresh<T: FromElement>(n: usize) -> Vec<T> {
        vec![T::default(); n]
    }
    let result: Vec<Scalar> = match operator {
        Operator::Matmul { a, b, accumulate, .. } => with_type!(out.dtype, T => {
            let mut product = fresh::<T>(n);
            kernels::matmul(Whole::of_factor(run, a).view(), Whole::of_factor(run, b).view(), &mut product);
            if *accumulate {
                let held = Whole::<T>::of(run, out);
                let (whole, mut sum) = (Whole { elements: product, shape: held.shape.clone(), strides: held.strides.clone() }, fresh::<T>(n));
                kernels::binary(BinaryOp::Add, held.view(), whole.view(), &mut sum);
                product = sum;
            }
            untyped(&product)
        }),
        Operator::Reduce { op, axes, x, .. } => with_type!(out.dtype, T => {
            let mut result = fresh::<T>(n);
            kernels::reduce(*op, Whole::of(run, x).view(), axes, &mut result);
            untyped(&result)
        }),
        Operator::Gather { axis, x, index, .. } => with_type!(out.dtype, T => {
            let mut result = fresh::<T>(n);
            kernels::gather(Whole::<T>::of(run, x).view(), Whole::<i64>::of(run, index).view(), *axis, &mut result);
            untyped(&result)
        }),
        Operator::Scatter { op, axis, index, source, .. } => with_type!(out.dtype, T => {
            let mut result = Whole::<T>::of(run, out).elements;
            let (index, source) = (Whole::<i64>::of(run, index), Whole::<T>::of(run, source));
            kernels::scatter(*op, index.view(), source.view(), *axis, &mut result, &shape);
            untyped(&result)
        }),
        Operator::ArgReduce { op, axis, x, .. } => with_type!(x.dtype, T => {
            let mut result = fresh::<i64>(n);
            kernels::arg_reduce(*op, Whole::<T>::of(run, x).view(), *axis, &mut result);
            untyped(&result)
        }),
        Operator::ArgSort { axis, descending, x, .. } => with_type!(x.dtype, T => {
            let mut result = fresh::<i64>(n);
            kernels::argsort(Whole::<T>::of(run, x).view(), *axis, *descending, &mut result);
            untyped(&result)
        }),
        Operator::Recurrence { axis, reverse, a, b, .. } => with_type!(out.dtype, T => {
            let mut result = fresh::<T>(n);
            kernels::recurrence(Whole::of(run, a).view(), Whole::of(run, b).view(), *axis, *reverse, &mut result);
            untyped(&result)
        }),
        Operator::OverlapAdd { axis, len, step, dilation, x, .. } => with_type!(out.dtype, T => {
            let mut result = fresh::<T>(n);
            let len = run.number(len) as usize;
            kernels::overlap_add(Whole::of(run, x).view(), *axis, len, *step, *dilation, &mut result);
            untyped(&result)
        }),
    };
    run.stores(out, &result);
}
