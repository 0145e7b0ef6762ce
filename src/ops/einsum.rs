//! Sums of products in Einstein's notation, with PyTorch's syntax. The operands are taken from left to right: diagonals
//! of repeated letters, sums over letters that no other operand has, then one product for each further operand.

use super::linalg::product;
use super::movement::{permute, permuted};
use super::reduce::{sum_axes, sum_from_zero};
use super::shape::is_one;
use super::twin_fns;
use crate::error::{Error, Result};
use crate::mode::sizes::{demand_equal, numel, specialize};
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::{Axes, DType};

twin_fns! { views:
    /// Sums of products, said by a letter for each axis: letters of the operands, separated by commas, then `->` and the
    /// letters of the result. Letters that the result does not have are summed over; one that an operand has twice means
    /// its diagonal; `...` stands for axes that broadcast. Without `->` the result has `...` and then the letters that
    /// occur once, in the order of the alphabet, capitals first. An axis of size 1 is repeated where another operand has
    /// more.
    ///
    /// ```
    /// use allotrope::prelude::*;
    /// let (a, b) = (randn(&[5, 2, 3]), randn(&[5, 3, 4]));
    /// assert_eq!(einsum("bik,bkj->bij", &[&a, &b]).shape(), [5, 2, 4]);
    /// let x = Tensor::arange(4).reshape(&[2, 2]);
    /// assert_eq!(einsum("ii", &[&x]).to_vec::<i64>(), [3]);
    /// assert_eq!(einsum("...ij->...ji", &[&x]).to_vec::<i64>(), [0, 2, 1, 3]);
    /// ```
    fn einsum / try_einsum(equation: &str, operands: &[&Tensor]) -> Tensor {
        let parsed = Equation::parse(equation, operands)?;
        let result = contract(equation, &parsed, operands)?;
        match operands {
            // Of one operand that nothing is summed over it is a view.
            [x] if result.shares_elements_of(x) => Ok(result),
            _ => Ok(result.unlinked_if_alone()),
        }
    }
}

/// An axis: one of those that `...` stands for, counted from the last, or a letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Label {
    Dots(usize),
    Letter(u8),
}

struct Equation {
    inputs: Vec<Vec<Label>>,
    output: Vec<Label>,
}

fn fail<T>(equation: &str, why: impl std::fmt::Display) -> Result<T> {
    Err(Error::operands("einsum", format!("\"{equation}\": {why}")))
}

/// The letters of one operand, and where `...` stands among them.
fn letters(equation: &str, text: &str) -> Result<(Vec<u8>, Option<usize>)> {
    let (mut out, mut dots) = (Vec::new(), None);
    let mut rest = text;
    while let Some(c) = rest.bytes().next() {
        if let Some(after) = rest.strip_prefix("...") {
            if dots.replace(out.len()).is_some() {
                return fail(equation, format_args!("... stands twice in \"{text}\""));
            }
            rest = after;
            continue;
        }
        if !c.is_ascii_alphabetic() {
            let c = rest.chars().next().unwrap_or(' ');
            return fail(equation, format_args!("'{c}' is neither a letter nor part of \"...\""));
        }
        out.push(c);
        rest = &rest[1..];
    }
    Ok((out, dots))
}

/// The labels of letters with `n` axes for the dots.
fn labels(letters: &[u8], dots: Option<usize>, n: usize) -> Vec<Label> {
    let at = dots.unwrap_or(letters.len());
    let (before, after) = letters.split_at(at);
    let dots = (0..n).rev().map(Label::Dots).filter(|_| dots.is_some());
    before.iter().map(|&c| Label::Letter(c)).chain(dots).chain(after.iter().map(|&c| Label::Letter(c))).collect()
}

impl Equation {
    fn parse(equation: &str, operands: &[&Tensor]) -> Result<Equation> {
        let text: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if operands.is_empty() || terms.len() != operands.len() {
            return fail(equation, format_args!("is for {} operands, got {}", terms.len(), operands.len()));
        }
        let (mut inputs, mut most) = (Vec::new(), 0);
        for (i, (term, x)) in terms.iter().zip(operands).enumerate() {
            let (letters, dots) = letters(equation, term)?;
            let fits = if dots.is_some() { letters.len() <= x.dim() } else { letters.len() == x.dim() };
            if !fits {
                let shape = x.shape_hint();
                return fail(equation, format_args!("\"{term}\" does not name the axes of operand {i}, {shape:?}"));
            }
            let n = x.dim() - letters.len();
            most = most.max(n);
            inputs.push(labels(&letters, dots, n));
        }
        let output = match right {
            Some(right) => {
                let (letters, dots) = letters(equation, right)?;
                labels(&letters, dots, most)
            }
            None => {
                let all: Vec<u8> = terms.concat().bytes().filter(u8::is_ascii_alphabetic).collect();
                let mut once: Vec<u8> =
                    all.iter().copied().filter(|c| all.iter().filter(|d| *d == c).count() == 1).collect();
                once.sort_unstable();
                labels(&once, Some(0), most)
            }
        };
        for (i, label) in output.iter().enumerate() {
            if let Label::Letter(c) = label
                && output[..i].contains(label)
            {
                return fail(equation, format_args!("the result has {} twice", *c as char));
            }
            if let Label::Letter(c) = label
                && !inputs.iter().any(|t| t.contains(label))
            {
                return fail(equation, format_args!("the result has {}, which no operand has", *c as char));
            }
        }
        Ok(Equation { inputs, output })
    }
}

/// A tensor with the label of each axis.
struct Term {
    x: Tensor,
    labels: Vec<Label>,
}

impl Term {
    fn size(&self, label: Label) -> Option<Size> {
        self.labels.iter().position(|l| *l == label).map(|i| self.x.sizes()[i])
    }

    /// Axes with one label become their diagonal.
    fn without_repeats(mut self, equation: &str) -> Result<Term> {
        while let Some((i, j)) = repeated(&self.labels) {
            let sizes = self.x.sizes();
            if !demand_equal(sizes[i], sizes[j]) {
                return fail(
                    equation,
                    format_args!("one letter has sizes {} and {} in one operand", sizes[i].hint(), sizes[j].hint()),
                );
            }
            self.x = self.x.try_diagonal(0, i as isize, j as isize)?;
            let label = self.labels.remove(j);
            self.labels.remove(i);
            self.labels.push(label);
        }
        Ok(self)
    }

    /// Summed over the labels that are not wanted.
    fn summed(mut self, wanted: impl Fn(Label) -> bool) -> Result<Term> {
        let axes: Axes = (0..self.labels.len()).filter(|&i| !wanted(self.labels[i])).collect();
        if !axes.is_empty() {
            self.x = sum_axes(&self.x, axes)?;
            self.labels.retain(|&l| wanted(l));
        }
        Ok(self)
    }

    /// Without an axis of size 1, which broadcasts.
    fn dropped(mut self, label: Label) -> Result<Term> {
        let i = self.labels.iter().position(|l| *l == label).expect("it has the label");
        let mut sizes = self.x.sizes();
        sizes.remove(i);
        self.labels.remove(i);
        self.x = self.x.reshape_sizes(&sizes)?;
        Ok(self)
    }

    /// The axes in the order of these labels; those that it lacks get size 1.
    fn aligned(&self, order: &[Label]) -> Result<Tensor> {
        let at = |l: &Label| self.labels.iter().position(|m| m == l);
        let x = permute(&self.x, order.iter().filter_map(at).collect())?;
        if self.labels.len() == order.len() {
            return Ok(x);
        }
        let own = self.x.sizes();
        let sizes: Sizes = order.iter().map(|l| at(l).map_or(Size::from(1), |i| own[i])).collect();
        x.reshape_sizes(&sizes)
    }
}

fn repeated(labels: &[Label]) -> Option<(usize, usize)> {
    (0..labels.len()).find_map(|j| labels[..j].iter().position(|l| *l == labels[j]).map(|i| (i, j)))
}

#[track_caller]
fn contract(equation: &str, e: &Equation, operands: &[&Tensor]) -> Result<Tensor> {
    let mut terms = Vec::new();
    for (x, labels) in operands.iter().zip(&e.inputs) {
        terms.push(Term { x: (*x).clone(), labels: labels.clone() }.without_repeats(equation)?);
    }
    let mut terms = terms.into_iter();
    let mut so_far = terms.next().expect("there is an operand");
    for (i, next) in terms.enumerate() {
        let later = |l: Label| e.output.contains(&l) || e.inputs[i + 2..].iter().any(|t| t.contains(&l));
        so_far = multiplied(equation, e, so_far, next, later)?;
    }
    if operands.len() > 1 {
        return so_far.summed(|l| e.output.contains(&l))?.aligned(&e.output);
    }
    let gone: Axes = (0..so_far.labels.len()).filter(|&i| !e.output.contains(&so_far.labels[i])).collect();
    if gone.is_empty() {
        let at = |l: &Label| so_far.labels.iter().position(|m| m == l);
        return permuted(&so_far.x, e.output.iter().filter_map(at).collect());
    }
    so_far.x = sum_from_zero("SumBackward1", &so_far.x, gone)?;
    so_far.labels.retain(|l| e.output.contains(l));
    so_far.aligned(&e.output)
}

/// The product of two terms, summed over the labels that are not wanted later. Its axes come in the order that PyTorch's have
/// in memory: those of both terms, of the first, of the second, each as in the result.
#[track_caller]
fn multiplied(equation: &str, e: &Equation, mut a: Term, mut b: Term, later: impl Fn(Label) -> bool) -> Result<Term> {
    for label in a.labels.clone() {
        let (Some(m), Some(n)) = (a.size(label), b.size(label)) else { continue };
        if demand_equal(m, n) {
            // An axis of one element is none to sum over: what it has is multiplied.
            if !later(label) && is_one(m) {
                (a, b) = (a.dropped(label)?, b.dropped(label)?);
            }
            continue;
        }
        if m.hint() == 1 {
            specialize(&[m], "an axis of size 1 is repeated by einsum");
            a = a.dropped(label)?;
        } else if n.hint() == 1 {
            specialize(&[n], "an axis of size 1 is repeated by einsum");
            b = b.dropped(label)?;
        } else {
            return fail(equation, format_args!("an axis of two operands has sizes {} and {}", m.hint(), n.hint()));
        }
    }
    let other = b.labels.clone();
    let a = a.summed(|l| later(l) || other.contains(&l))?;
    let own = a.labels.clone();
    let b = b.summed(|l| later(l) || own.contains(&l))?;
    let (shared, mine): (Vec<Label>, Vec<Label>) = a.labels.iter().partition(|l| b.labels.contains(l));
    let (batch, over): (Vec<Label>, Vec<Label>) = shared.into_iter().partition(|l| later(*l));
    let theirs: Vec<Label> = b.labels.iter().copied().filter(|l| !a.labels.contains(l)).collect();
    let place = |l: &Label| e.output.iter().position(|o| o == l).unwrap_or(e.output.len());
    let in_order = |mut labels: Vec<Label>| {
        labels.sort_by_key(place);
        labels
    };
    let (batch, mine, theirs) = (in_order(batch), in_order(mine), in_order(theirs));
    // The second operand's come first where the result has them so; each product of two numbers is the same.
    let turned =
        e.inputs.len() == 2 && matches!((theirs.last(), mine.first()), (Some(t), Some(m)) if place(t) < place(m));
    let (a, b, mine, theirs) = if turned { (b, a, theirs, mine) } else { (a, b, mine, theirs) };
    let labels: Vec<Label> = batch.iter().chain(&mine).chain(&theirs).copied().collect();
    if over.is_empty() {
        let labels = in_order(labels);
        let (a, b) = if turned { (b, a) } else { (a, b) };
        let x = a.aligned(&labels)?.try_mul(&b.aligned(&labels)?)?;
        return Ok(Term { x, labels });
    }
    if a.x.dtype() != b.x.dtype() || a.x.dtype() == DType::Bool {
        let (one, two) = (a.x.dtype(), b.x.dtype());
        return fail(equation, format_args!("products that are summed need one numeric dtype, got {one} and {two}"));
    }
    let sizes = |t: &Term, labels: &[Label]| -> Sizes {
        labels.iter().map(|&l| t.size(l).expect("it has the label")).collect()
    };
    let count = |t: &Term, labels: &[Label]| numel(&sizes(t, labels));
    let order = |parts: [&[Label]; 3]| parts.concat();
    let x = a.aligned(&order([&batch, &mine, &over]))?;
    let y = b.aligned(&order([&batch, &over, &theirs]))?;
    let (n, m, k, p) = (count(&a, &batch), count(&a, &mine), count(&a, &over), count(&b, &theirs));
    let full = match batch.is_empty() {
        true => product(&x.reshape_sizes(&[m, k])?, &y.reshape_sizes(&[k, p])?)?,
        false => product(&x.reshape_sizes(&[n, m, k])?, &y.reshape_sizes(&[n, k, p])?)?,
    };
    let mut out = sizes(&a, &batch);
    out.extend(sizes(&a, &mine));
    out.extend(sizes(&b, &theirs));
    Ok(Term { x: full.reshape_sizes(&out)?, labels })
}
