//! Rows: losses.

use crate::derivative::{Case, Row, case, check_all, row};
use crate::draw::Domain::{self, *};
use crate::draw::Draw;
use allotrope::Tensor;
use allotrope::functional::{self as f, KlReduction, Reduction};

const REDUCTIONS: [Reduction; 3] = [Reduction::Mean, Reduction::Sum, Reduction::None];

/// A loss of an input and a target of the same shape.
fn of_two(
    name: &'static str,
    domains: [Domain; 2],
    f: impl Fn(&Tensor, &Tensor, Reduction) -> Tensor + Copy + 'static,
) -> Row {
    row(name, move |d| {
        let shape = d.shape(0, 4);
        let reduction = d.pick(&REDUCTIONS);
        let x = vec![d.tensor(&shape, domains[0]), d.tensor(&shape, domains[1])];
        case(x, reduction, move |x| vec![f(&x[0], &x[1], reduction)])
    })
}

/// Input `[c]` or `[n, c, ..]`, classes `[]` or `[n, ..]`, and perhaps a weight for each class.
fn of_classes(
    d: &mut Draw,
    domain: Domain,
    f: impl Fn(&Tensor, &Tensor, Option<&Tensor>, Reduction) -> Tensor + 'static,
) -> Case {
    let classes = d.between(2, 4);
    let targets = d.filled_shape(0, 2);
    let reduction = d.pick(&REDUCTIONS);
    let mut shape = targets.clone();
    shape.insert(targets.len().min(1), classes);
    let mut x = vec![d.tensor(&shape, domain), d.index(&targets, classes)];
    if d.once_in(2) {
        // A weight has no gradient in PyTorch.
        x.push(d.tensor(&[classes], Positive).detach());
    }
    case(x, reduction, move |x| vec![f(&x[0], &x[1], x.get(2), reduction)])
}

/// A loss of tensors and signs.
fn ranked(
    name: &'static str,
    shapes: fn(&mut Draw) -> (Vec<usize>, Vec<usize>),
    inputs: usize,
    f: impl Fn(&[Tensor], &Tensor, Reduction) -> Tensor + Copy + 'static,
) -> Row {
    row(name, move |d| {
        let (shape, target) = shapes(d);
        let reduction = d.pick(&REDUCTIONS);
        let domains = [Grid(0.0), Grid(0.13)];
        let mut x: Vec<Tensor> = (0..inputs).map(|i| d.tensor(&shape, domains[i])).collect();
        x.push(d.signs(&target));
        case(x, reduction, move |x| vec![f(&x[..inputs], &x[inputs], reduction)])
    })
}

fn same_shapes(d: &mut Draw) -> (Vec<usize>, Vec<usize>) {
    let shape = d.filled_shape(0, 3);
    (shape.clone(), shape)
}

pub fn rows() -> Vec<Row> {
    vec![
        of_two("nn.functional.mse_loss", [Any, Any], f::mse_loss_with),
        of_two("nn.functional.l1_loss", [Grid(0.0), Grid(0.1)], f::l1_loss),
        of_two("nn.functional.smooth_l1_loss", [Grid(0.0), Grid(0.1)], |x, y, r| f::smooth_l1_loss(x, y, 0.95, r)),
        of_two("nn.functional.huber_loss", [Grid(0.0), Grid(0.1)], |x, y, r| f::huber_loss(x, y, 0.95, r)),
        of_two("nn.functional.binary_cross_entropy", [Unit, Unit], |x, y, r| f::binary_cross_entropy(x, y, None, r)),
        row("nn.functional.binary_cross_entropy with weights", |d| {
            let shape = d.shape(0, 3);
            let reduction = d.pick(&REDUCTIONS);
            let x = vec![d.tensor(&shape, Unit), d.tensor(&shape, Unit), d.tensor(&shape, Positive).detach()];
            case(x, reduction, move |x| vec![f::binary_cross_entropy(&x[0], &x[1], Some(&x[2]), reduction)])
        }),
        of_two("nn.functional.binary_cross_entropy_with_logits", [Zeros, Unit], |x, y, r| {
            f::binary_cross_entropy_with_logits(x, y, None, None, r)
        }),
        row("nn.functional.binary_cross_entropy_with_logits with weights", |d| {
            let shape = d.shape(0, 3);
            let reduction = d.pick(&REDUCTIONS);
            let weight = d.partner(&shape);
            let mut x = vec![d.tensor(&shape, Zeros), d.tensor(&shape, Unit), d.tensor(&weight, Positive).detach()];
            x.push(d.tensor(&weight, Positive).detach());
            case(x, reduction, move |x| {
                vec![f::binary_cross_entropy_with_logits(&x[0], &x[1], Some(&x[2]), Some(&x[3]), reduction)]
            })
        }),
        row("nn.functional.kl_div", |d| {
            let shape = d.shape(1, 3);
            let log_target = d.once_in(2);
            let all = [KlReduction::Mean, KlReduction::BatchMean, KlReduction::Sum, KlReduction::None];
            let reduction = d.pick(&all);
            let x = vec![d.tensor(&shape, Any), d.tensor(&shape, if log_target { Any } else { Unit })];
            case(x, (log_target, reduction), move |x| vec![f::kl_div(&x[0], &x[1], log_target, reduction)])
        }),
        row("nn.functional.nll_loss", |d| {
            let ignore_index = d.pick(&[-100, 0]);
            // The mean of nothing is NaN: only where the first class counts.
            of_classes(d, Any, move |x, y, weight, reduction| {
                let reduction =
                    if ignore_index == 0 && reduction == Reduction::Mean { Reduction::Sum } else { reduction };
                f::nll_loss(x, y, f::NllLossOptions { weight, ignore_index, reduction })
            })
        }),
        row("nn.functional.cross_entropy", |d| {
            let (ignore_index, label_smoothing) = (d.pick(&[-100, 0]), d.pick(&[0.0, 0.3]));
            of_classes(d, Any, move |x, y, weight, reduction| {
                let reduction =
                    if ignore_index == 0 && reduction == Reduction::Mean { Reduction::Sum } else { reduction };
                f::cross_entropy(x, y, f::CrossEntropyOptions { weight, ignore_index, reduction, label_smoothing })
            })
        }),
        row("nn.functional.cross_entropy of probabilities", |d| {
            let shape = d.filled_shape(1, 3);
            let (reduction, label_smoothing) = (d.pick(&REDUCTIONS), d.pick(&[0.0, 0.3]));
            let x = vec![d.tensor(&shape, Any), d.tensor(&shape, Unit)];
            case(x, (reduction, label_smoothing), move |x| {
                let options = f::CrossEntropyOptions { reduction, label_smoothing, ..Default::default() };
                vec![f::cross_entropy(&x[0], &x[1], options)]
            })
        }),
        row("nn.functional.gaussian_nll_loss", |d| {
            let shape = d.filled_shape(1, 3);
            let (full, reduction) = (d.once_in(2), d.pick(&REDUCTIONS));
            let x = vec![d.tensor(&shape, Any), d.tensor(&shape, Any), d.tensor(&shape, Positive)];
            case(x, (full, reduction), move |x| vec![f::gaussian_nll_loss(&x[0], &x[1], &x[2], full, 1e-6, reduction)])
        }),
        row("nn.functional.poisson_nll_loss", |d| {
            let shape = d.shape(0, 3);
            let (log_input, full, reduction) = (d.once_in(2), d.once_in(2), d.pick(&REDUCTIONS));
            // Stirling's terms begin where the target is above 1.
            let x = vec![d.tensor(&shape, Positive), d.tensor(&shape, OverOne)];
            case(x, (log_input, full, reduction), move |x| {
                vec![f::poisson_nll_loss(&x[0], &x[1], log_input, full, 1e-8, reduction)]
            })
        }),
        ranked("nn.functional.hinge_embedding_loss", same_shapes, 1, |x, y, r| {
            f::hinge_embedding_loss(&x[0], y, 1.0, r)
        }),
        ranked("nn.functional.margin_ranking_loss", same_shapes, 2, |x, y, r| {
            f::margin_ranking_loss(&x[0], &x[1], y, 0.45, r)
        }),
        ranked("nn.functional.soft_margin_loss", same_shapes, 1, |x, y, r| f::soft_margin_loss(&x[0], y, r)),
        ranked(
            "nn.functional.cosine_embedding_loss",
            |d| {
                let shape = d.filled_shape(1, 2);
                (shape.clone(), shape[..shape.len() - 1].to_vec())
            },
            2,
            |x, y, r| f::cosine_embedding_loss(&(&x[0] + 0.05), &x[1], y, -2.0, r),
        ),
        row("nn.functional.triplet_margin_loss", |d| {
            let shape = d.filled_shape(1, 2);
            let (swap, reduction) = (d.once_in(2), d.pick(&REDUCTIONS));
            let x = vec![d.tensor(&shape, Grid(0.0)), d.tensor(&shape, Grid(0.1)), d.tensor(&shape, Grid(0.17))];
            case(x, (swap, reduction), move |x| {
                let options = f::TripletMarginOptions { margin: 20.0, swap, reduction, ..Default::default() };
                vec![f::triplet_margin_loss(&x[0], &x[1], &x[2], options)]
            })
        }),
        row("nn.functional.multi_margin_loss", |d| {
            let (p, classes) = (d.pick(&[1, 2]), d.between(2, 4));
            let targets = if d.once_in(3) { vec![] } else { vec![d.between(1, 3)] };
            let reduction = d.pick(&REDUCTIONS);
            let shape: Vec<usize> = targets.iter().copied().chain([classes]).collect();
            let x = vec![d.tensor(&shape, Grid(0.0)), d.index(&targets, classes)];
            case(x, (p, reduction), move |x| vec![f::multi_margin_loss(&x[0], &x[1], p, 1.05, None, reduction)])
        }),
        row("nn.functional.multilabel_soft_margin_loss", |d| {
            let shape = d.filled_shape(1, 3);
            let reduction = d.pick(&REDUCTIONS);
            let x = vec![d.tensor(&shape, Zeros), d.tensor(&shape, Unit)];
            case(x, reduction, move |x| vec![f::multilabel_soft_margin_loss(&x[0], &x[1], None, reduction)])
        }),
    ]
}

#[test]
fn losses() {
    check_all(rows());
}
