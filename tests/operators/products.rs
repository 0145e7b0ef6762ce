//! Rows: products of matrices and vectors.

use crate::derivative::{Row, case, check_all, row};
use crate::draw::Domain::*;
use crate::draw::Draw;
use allotrope::Tensor;
use allotrope::ops::einsum;

/// A product of tensors whose shapes are made of up to four sizes.
fn product(
    name: &'static str,
    shapes: fn([usize; 4]) -> Vec<Vec<usize>>,
    f: impl Fn(&[Tensor]) -> Tensor + Copy + 'static,
) -> Row {
    row(name, move |d| {
        let sizes = std::array::from_fn(|_| d.pick(&[2, 3, 1, 0]));
        let x = shapes(sizes).iter().map(|s| d.tensor(s, Any)).collect();
        case(x, (), move |x| vec![f(x)])
    })
}

/// `beta input + alpha product`, where the input broadcasts.
fn added(
    name: &'static str,
    shapes: fn([usize; 4]) -> [Vec<usize>; 3],
    f: impl Fn(&[Tensor], f64, f64) -> Tensor + Copy + 'static,
) -> Row {
    row(name, move |d| {
        let [out, a, b] = shapes(std::array::from_fn(|_| d.pick(&[2, 3, 1, 0])));
        let own = d.partner(&out);
        let (beta, alpha) = (d.pick(&[1.0, 0.5, 0.0]), d.pick(&[1.0, -0.7]));
        let x = vec![d.tensor(&own, Any), d.tensor(&a, Any), d.tensor(&b, Any)];
        case(x, (beta, alpha), move |x| vec![f(x, beta, alpha)])
    })
}

/// Shapes of operands from the sizes of four letters.
type Shapes = fn([usize; 4]) -> Vec<Vec<usize>>;

/// Equations with shapes made of the sizes i, j, k, b.
const EQUATIONS: [(&str, Shapes); 9] = [
    ("ij,jk->ik", |[i, j, k, _]| vec![vec![i, j], vec![j, k]]),
    ("ij,jk", |[i, j, k, _]| vec![vec![i, j], vec![j, k]]),
    ("bij,bjk->bik", |[i, j, k, b]| vec![vec![b, i, j], vec![b, j, k]]),
    ("ii->i", |[i, ..]| vec![vec![i, i]]),
    ("ii", |[i, ..]| vec![vec![i, i]]),
    ("ij->ji", |[i, j, ..]| vec![vec![i, j]]),
    ("i,j,k->kji", |[i, j, k, _]| vec![vec![i], vec![j], vec![k]]),
    ("...ij,jk->...k", |[i, j, k, b]| vec![vec![b, i, j], vec![j, k]]),
    ("ij,ij->", |[i, j, ..]| vec![vec![i, j], vec![i, j]]),
];

pub fn rows() -> Vec<Row> {
    vec![
        row("matmul", |d| {
            let (m, k, n) = (d.between(0, 3), d.between(0, 3), d.between(0, 3));
            let batch = d.shape(0, 2);
            let lead = |d: &mut Draw, last: &[usize]| {
                let batch = d.partner(&batch.iter().map(|&b| b.min(2)).collect::<Vec<_>>());
                batch.into_iter().chain(last.iter().copied()).collect::<Vec<_>>()
            };
            let (a, b) = match d.below(4) {
                0 => (lead(d, &[m, k]), lead(d, &[k, n])),
                1 => (vec![k], vec![k]),
                2 => (lead(d, &[m, k]), vec![k]),
                _ => (vec![k], lead(d, &[k, n])),
            };
            case(vec![d.tensor(&a, Any), d.tensor(&b, Any)], (), |x| vec![x[0].matmul(&x[1])])
        }),
        product("mm", |[m, k, n, _]| vec![vec![m, k], vec![k, n]], |x| x[0].mm(&x[1])),
        product("bmm", |[m, k, n, b]| vec![vec![b, m, k], vec![b, k, n]], |x| x[0].bmm(&x[1])),
        product("mv", |[m, k, ..]| vec![vec![m, k], vec![k]], |x| x[0].mv(&x[1])),
        product("dot", |[k, ..]| vec![vec![k], vec![k]], |x| x[0].dot(&x[1])),
        product("outer", |[m, n, ..]| vec![vec![m], vec![n]], |x| x[0].outer(&x[1])),
        product(
            "tensordot",
            |[a, b, c, n]| vec![vec![a, b, c], vec![c, a, n]],
            |x| x[0].tensordot(&x[1], &[2, 0], &[0, 1]),
        ),
        product("cross", |[a, b, ..]| vec![vec![a, 3, b], vec![a, 3, b]], |x| x[0].cross(&x[1], 1)),
        added(
            "addmm",
            |[m, k, n, _]| [vec![m, n], vec![m, k], vec![k, n]],
            |x, beta, alpha| x[0].addmm(&x[1], &x[2], beta, alpha),
        ),
        added(
            "baddbmm",
            |[m, k, n, b]| [vec![b, m, n], vec![b, m, k], vec![b, k, n]],
            |x, beta, alpha| x[0].baddbmm(&x[1], &x[2], beta, alpha),
        ),
        added(
            "addmv",
            |[m, k, ..]| [vec![m], vec![m, k], vec![k]],
            |x, beta, alpha| x[0].addmv(&x[1], &x[2], beta, alpha),
        ),
        added(
            "addr",
            |[m, n, ..]| [vec![m, n], vec![m], vec![n]],
            |x, beta, alpha| x[0].addr(&x[1], &x[2], beta, alpha),
        ),
        row("einsum", |d: &mut Draw| {
            let (equation, shapes) = d.pick(&EQUATIONS);
            let sizes = std::array::from_fn(|_| d.pick(&[2, 3, 1, 0]));
            let x = shapes(sizes).iter().map(|s| d.tensor(s, Any)).collect();
            case(x, equation, move |x| vec![einsum(equation, &x.iter().collect::<Vec<_>>())])
        }),
    ]
}

#[test]
fn products() {
    check_all(rows());
}
