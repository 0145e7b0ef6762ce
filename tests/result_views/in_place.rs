//! What a tensor computes with itself in place: only what it was itself is kept for the backward pass, so where it stands in another
//! place of the operation, too, a gradient that needs it is refused, as in PyTorch. In every mode.

use allotrope::Result;
use allotrope::prelude::*;

type Change = fn(&Tensor, &Tensor) -> Result<()>;

/// Gradients of `l` and `o` of the sum of x = 2l, changed in place beside y = 3o; none where `backward` is refused.
fn gradients(change: Change, of: [bool; 2], l: &Tensor, o: &Tensor) -> Result<Option<Vec<Option<Tensor>>>> {
    let (l, o) = (l.detach(), o.detach());
    l.set_requires_grad(of[0]);
    o.set_requires_grad(of[1]);
    let (x, y) = (&l * 2.0, &o * 3.0);
    change(&x, &y)?;
    Ok(x.sum().try_backward().ok().map(|()| vec![l.grad(), o.grad()]))
}

fn given() -> [Tensor; 2] {
    [vec![1.5f32, 2.5, 0.5], vec![0.25, 0.75, 0.5]].map(|v| Tensor::from_vec(v, &[3]))
}

/// Whether `backward` goes through, in every mode.
fn passes(change: Change, of: [bool; 2]) -> bool {
    let [l, o] = given();
    let eager = gradients(change, of, &l, &o).expect("fits");
    let numbers = |g: &[Option<Tensor>]| -> Vec<Option<Vec<f32>>> {
        g.iter().map(|g| g.as_ref().map(Tensor::to_vec::<f32>)).collect()
    };
    let nothing = |g: Option<Tensor>| g.unwrap_or_else(|| Tensor::zeros(&[3], DType::F32));
    let traced = trace(|l: &Tensor, o: &Tensor| -> Vec<Tensor> {
        let found = gradients(change, of, l, o).expect("fits").unwrap_or_default();
        found.into_iter().map(nothing).collect()
    });
    let found = traced.call((&l, &o)).expect("as eagerly");
    let zero = |g: &Option<Vec<f32>>| g.clone().unwrap_or_else(|| vec![0.0; 3]);
    assert_eq!(
        eager.as_deref().map_or(Vec::new(), |all| numbers(all).iter().map(zero).collect()),
        found.iter().map(Tensor::to_vec::<f32>).collect::<Vec<_>>()
    );
    eager.is_some()
}

/// Of (x, y), where x, or y, or both require gradients: whether PyTorch's `backward` goes through.
#[test]
fn an_operand_that_is_the_tensor_itself_is_not_kept_as_it_was() {
    let both = [[true, true], [true, false], [false, true]];
    let table: [(&str, Change, [Option<bool>; 3]); 17] = [
        ("add_ x", |x, _| x.try_add_(x).map(drop), [Some(true), Some(true), None]),
        ("mul_ x", |x, _| x.try_mul_(x).map(drop), [Some(false), Some(false), None]),
        ("div_ x", |x, _| x.try_div_(x).map(drop), [Some(false), Some(false), None]),
        ("fmod_ x", |x, _| x.try_fmod_(x).map(drop), [Some(false), Some(false), None]),
        ("remainder_ x", |x, _| x.try_remainder_(x).map(drop), [Some(false), Some(false), None]),
        ("pow_ x", |x, _| x.try_pow_(x).map(drop), [Some(false), Some(false), None]),
        ("mul_ y", |x, y| x.try_mul_(y).map(drop), [Some(true); 3]),
        ("pow_ y", |x, y| x.try_pow_(y).map(drop), [Some(true); 3]),
        ("addcmul_ x y", |x, y| x.try_addcmul_(x, y, 1).map(drop), [Some(false), Some(true), Some(false)]),
        ("addcmul_ y x", |x, y| x.try_addcmul_(y, x, 1).map(drop), [Some(false), Some(true), Some(false)]),
        ("addcmul_ x x", |x, _| x.try_addcmul_(x, x, 1).map(drop), [Some(false), Some(false), None]),
        ("addcdiv_ x y", |x, y| x.try_addcdiv_(x, y, 1).map(drop), [Some(false), Some(true), Some(false)]),
        ("addcdiv_ y x", |x, y| x.try_addcdiv_(y, x, 1).map(drop), [Some(false); 3]),
        ("lerp_ x y", |x, y| x.try_lerp_(x, y).map(drop), [Some(false), Some(true), Some(false)]),
        ("lerp_ y x", |x, y| x.try_lerp_(y, x).map(drop), [Some(false); 3]),
        ("clamp_ x y", |x, y| x.try_clamp_(x, y).map(drop), [Some(false); 3]),
        ("clamp_min_ x", |x, _| x.try_clamp_min_(x).map(drop), [Some(false), Some(false), None]),
    ];
    let mut wrong = Vec::new();
    for (name, change, wanted) in table {
        for (of, wanted) in both.into_iter().zip(wanted) {
            if let Some(wanted) = wanted
                && passes(change, of) != wanted
            {
                wrong.push(format!("{name} {of:?}: wanted {wanted}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_result_in_place_is_watched() {
    let all = [true, true];
    assert!(passes(|x, _| x.try_cumprod_(0).map(drop), all));
    assert!(!passes(|x, _| x.try_cumprod_(0)?.try_mul_(2).map(drop), all));
    assert!(!passes(|x, _| x.try_cumprod_(0)?.try_zero_().map(drop), all));
    assert!(passes(|x, _| x.try_cumsum_(0)?.try_mul_(2).map(drop), all));
}
