//! Changes in place through views: the gradients that PyTorch has, eagerly, in a trace, and through a traced call; and which
//! changes are refused, because the tape needs what they change, the view came about in a way that leaves open what its
//! history is, or operands share memory.

use allotrope::prelude::*;

fn x() -> Tensor {
    Tensor::from_vec((1..10).map(|i| i as f32).collect(), &[3, 3]).requires_grad()
}

struct Case {
    text: &'static str,
    change: fn(&Tensor, &Tensor),
    gradient: [f32; 9],
}

macro_rules! cases {
    ($($gradient:expr => |$y:ident, $x:ident| $change:expr;)*) => {
        vec![$(Case {
            text: stringify!($change),
            change: |$y, $x| { let _ = $x; $change; },
            gradient: $gradient.map(|g: i32| g as f32),
        }),*]
    };
}

/// The gradient of the sum of squares of `y = 2 x`, changed, for x = 1, 2, ..: numbers of PyTorch's.
fn all() -> Vec<Case> {
    cases! {
        [0, 16, 24, 32, 0, 48, 56, 64, 0] => |y, x| y.diagonal(0, 0, 1).fill_(4);
        [72, 16, 24, 32, 360, 48, 56, 64, 648] => |y, x| y.diagonal(0, 0, 1).mul_(3.0);
        [2, 20, 30, 32, 0, 48, 56, 64, 0] => |y, x| y.diagonal(0, 0, 1).copy_(&x.index(0));
        [8, 144, 24, 32, 40, 432, 56, 64, 72] => |y, x| y.diagonal(1, 0, 1).mul_(3.0);
        [18, 52, 86, 56, 90, 124, 94, 128, 162] => |y, x| y.t().add_(x);
        [0, 0, 0, 32, 40, 48, 56, 64, 72] => |y, x| y.index(0).unfold(0, 2, 1).fill_(3.0);
        [0, 0, 0, 32, 40, 48, 56, 64, 72] => |y, x| y.index(0).unfold(0, 2, 1).zero_();
        [72, 144, 216, 32, 40, 48, 504, 576, 648] => |y, x| y.index(stepped(.., 2)).mul_(3.0);
        [16, 0, 24, 64, 0, 48, 112, 0, 72] => |y, x| y.select(1, 1).copy_(&y.select(1, 0));
        [0, 0, 0, 24, 30, 36, 0, 0, 0] => |y, x| y.copy_(&x.index(1));
        [18, 36, 54, 72, 90, 108, 126, 144, 162] => |y, x| y.copy_(&(x.to(DType::F64) * 3.0));
        [0, 0, 0, 0, 90, 0, 0, 0, 0] => |y, x| y.fill_(&x.index((1, 1)));
        [0; 9] => |y, x| y.zero_();
        [0; 9] => |y, x| y.copy_(&Tensor::ones(&[3], DType::F32));
        [10, 20, 30, 0, 0, 0, 56, 64, 72] => |y, x| y.set(1, &x.index(0));
        [8, 0, 24, 32, 0, 48, 56, 0, 72] => |y, x| y.set((.., 1), 7.0);
        [4, 8, 12, 32, 40, 48, 0, 0, 0] => |y, x| y.set(&(Tensor::arange(2) * 2), &x.index(0));
        [10, 20, 30, 32, 40, 48, 0, 0, 0] => |y, x| y.set(&Tensor::full(&[], 2i64), &x.index(0));
        [4, 16, 0, 32, 40, 48, 56, 64, 72] => |y, x| y.set((0, &(Tensor::arange(2) * 2)), &x.index((0, 0)));
        [288, 900, 1350, 128, 160, 192, 224, 256, 288] => |y, x| {
            let v = y.index(0);
            let w = v.index(1..);
            y.mul_(2.0);
            w.add_(&x.index((0, 1..)));
            v.mul_(3.0);
        };
        [0, 0, 0, 8224, 13000, 48, 56, 4096, 7200] => |y, x| {
            let v = y.view(&[-1]);
            y.set(0, 1.0);
            v.index(4..).mul_(&(v.index(..5) * 1.0));
        };
        [24, 48, 72, 96, 120, 144, 168, 192, 216] => |y, x| y.detach().mul_(3.0);
        [24, 48, 72, 32, 40, 48, 56, 64, 72] => |y, x| {
            let v = y.index(0);
            no_grad(|| v.mul_(3.0));
        };
        [8, 16, 24, 32, 40, 48, 56, 64, 72] => |y, x| {
            let _parts = y.split_with_sizes(&[1, 2], 0);
            y.mul_(1.0);
        };
    }
}

fn loss(case: &Case, x: &Tensor) -> Tensor {
    let y = x * 2.0;
    (case.change)(&y, x);
    (&y * &y).sum()
}

#[test]
fn gradients_of_changes_through_views() {
    for case in all() {
        let x = x();
        loss(&case, &x).backward();
        assert_eq!(x.grad().unwrap().to_vec::<f32>(), case.gradient, "{}", case.text);
    }
}

#[test]
fn gradients_of_changes_through_views_in_a_trace() {
    for case in all() {
        let inside = trace(|x: &Tensor| grad(&[&loss(&case, x)], &[x], false).unwrap().remove(0).unwrap());
        assert_eq!(inside.call(&x()).unwrap().to_vec::<f32>(), case.gradient, "{}", case.text);
        let around = trace(|x: &Tensor| loss(&case, x));
        let x = x();
        around.call(&x).unwrap().backward();
        assert_eq!(x.grad().unwrap().to_vec::<f32>(), case.gradient, "{}", case.text);
    }
}

/// What a change in place leaves as history.
#[test]
fn the_history_after_a_change() {
    let name = |y: &Tensor| y.grad_fn_name().unwrap_or_default();
    let x = x();
    let y = &x * 2.0;
    let (v, w) = (y.index(0), y.view(&[9]));
    v.mul_(2.0);
    assert_eq!([name(&y), name(&v), name(&w)], ["CopySlices", "AsStridedBackward0", "AsStridedBackward0"]);
    let y = &x * 2.0;
    y.copy_(&Tensor::ones(&[3], DType::F32));
    assert_eq!(name(&y), "CopyBackwards");
    let y = Tensor::zeros(&[3, 3], DType::F32);
    let v = y.index(1);
    v.copy_(&x.index(0));
    assert!(y.is_requires_grad() && v.is_requires_grad() && !v.is_leaf());
    assert_eq!(name(&y), "CopySlices");
    // Whole numbers have none.
    let y = Tensor::zeros(&[3, 3], DType::I64);
    y.copy_(&x);
    assert!(!y.is_requires_grad());
    // Elements that change without one: only views look at it again.
    let y = &x * 2.0;
    let v = y.index(0);
    no_grad(|| y.mul_(2.0));
    assert_eq!([name(&y), name(&v)], ["MulBackward0", "AsStridedBackward0"]);
}

/// Operations that have no derivative leave the history as it is, also that of a leaf.
#[test]
fn what_is_not_differentiable_changes_anything() {
    let change = |y: &Tensor| {
        y.logical_not_();
        y.logical_and_(1.0);
        y.logical_or_(y);
    };
    let x = x();
    change(&x);
    assert!(x.is_leaf() && x.to_vec::<f32>() == [0.0; 9]);
    let v = x.index(0);
    change(&v);
    assert_eq!(v.grad_fn_name().unwrap(), "AsStridedBackward0");
    let y = &x * 2.0;
    change(&y);
    assert_eq!(y.grad_fn_name().unwrap(), "MulBackward0");
    let traced = trace(|x: &Tensor| {
        let y = x * 2.0;
        change(&y);
        assert_eq!(y.grad_fn_name().unwrap(), "MulBackward0");
        y
    });
    assert_eq!(traced.call(&self::x()).unwrap().to_vec::<f32>(), [0.0; 9]);
}

/// A row: what may be done to which tensor.
type Change = fn(&Tensor) -> bool;

/// Whether the views of `y`, made in the way said, may be changed with, and without, recording, by something that requires a
/// gradient or does not, and used after the tensor was changed.
fn outcomes(make: fn(&Tensor) -> Tensor, requires: bool, under_no_grad: bool) -> [bool; 5] {
    let fresh = || {
        let base = x();
        let y = if requires { &base * 2.0 } else { base.detach() };
        let v = if under_no_grad { no_grad(|| make(&y)) } else { make(&y) };
        (y, v)
    };
    let one = Tensor::ones(&[1], DType::F32).requires_grad();
    let changes: [Change; 2] = [|v| v.try_mul_(2.0).is_ok(), |v| no_grad(|| v.try_mul_(2.0).is_ok())];
    let with_gradient = {
        let (_y, v) = fresh();
        v.try_mul_(&one).is_ok()
    };
    let used = |change: &dyn Fn(&Tensor, &Tensor)| {
        let (y, v) = fresh();
        change(&y, &v);
        v.try_mul(2.0).is_ok()
    };
    [
        changes[0](&fresh().1),
        with_gradient,
        changes[1](&fresh().1),
        used(&|_, v| {
            no_grad(|| v.mul_(2.0));
        }),
        used(&|y, _| {
            y.mul_(2.0);
        }),
    ]
}

#[test]
fn views_that_may_be_changed() {
    type Way = (&'static str, fn(&Tensor) -> Tensor, bool);
    let ways: [Way; 7] = [
        ("unbind", |y| y.unbind(0).remove(0), true),
        ("split", |y| y.split(2, 0).remove(0), true),
        ("chunk", |y| y.chunk(2, 0).remove(0), true),
        ("split_with_sizes", |y| y.split_with_sizes(&[1, 2], 0).remove(0), true),
        ("a view of one of several", |y| y.unbind(0).remove(0).view(&[3]), true),
        ("tensor_split", |y| y.tensor_split(2, 0).remove(0), false),
        ("select", |y| y.select(0, 0), false),
    ];
    let all = || {
        for (name, make, several) in ways {
            assert_eq!(outcomes(make, true, false), [!several, !several, true, !several, !several], "{name}");
            assert_eq!(outcomes(make, true, true), [false, false, true, false, false], "{name}, no_grad");
            assert_eq!(outcomes(make, false, false), [true, !several, true, true, true], "{name}, no gradient");
            assert_eq!(outcomes(make, false, true), [true, false, true, true, true], "{name}, neither");
        }
    };
    all();
}

#[test]
fn leaves_and_what_shows_them() {
    let x = x();
    assert!(x.try_mul_(2.0).is_err() && x.index(0).try_mul_(2.0).is_err());
    // A view of a leaf that requires a gradient itself.
    let z = Tensor::zeros(&[3], DType::F32);
    let v = z.index(..2);
    v.requires_grad_(true);
    assert!(v.try_mul_(2.0).is_err() && v.index(..1).try_mul_(2.0).is_err());
    assert!(!z.mul_(2.0).is_requires_grad() && v.is_requires_grad());
    no_grad(|| v.mul_(2.0));
    // The whole gets a history, and so do the parts.
    z.mul_(&Tensor::ones(&[3], DType::F32).requires_grad());
    assert!(!v.is_leaf());
}

/// A view that was taken where nothing is recorded requires a gradient where what it shows does, and passes none on.
#[test]
fn views_without_history() {
    let x = x();
    let v = no_grad(|| x.view(&[9]));
    assert!(v.is_requires_grad() && v.is_leaf());
    let s = (&v * 2.0).sum();
    assert!(s.is_requires_grad());
    s.backward();
    assert!(v.grad().is_none() && x.grad().is_none());
    (&v * 2.0 + x.view(&[9])).sum().backward();
    assert_eq!(x.grad().unwrap().to_vec::<f32>(), [1.0; 9]);
    v.requires_grad_(true);
    (&v * 2.0).sum().backward();
    assert_eq!(v.grad().unwrap().to_vec::<f32>(), [2.0; 9]);
    // Whether elements were changed in between decides whether a view has a history that what it shows got later.
    let z = Tensor::zeros(&[3], DType::F32);
    let v = z.index(..2);
    z.requires_grad_(true);
    assert!(v.is_requires_grad() && v.is_leaf());
    let z = Tensor::zeros(&[3], DType::F32);
    let v = z.index(..2);
    z.add_(1.0);
    z.requires_grad_(true);
    assert!(v.is_requires_grad() && !v.is_leaf());
}

/// The same in a trace, of an argument.
#[test]
fn views_without_history_in_a_trace() {
    let step = trace(|x: &Tensor| {
        let v = no_grad(|| x.view(&[9]));
        assert!(v.is_requires_grad() && v.try_mul_(2.0).is_err());
        let u = x.unbind(0);
        assert!(u[0].try_mul_(2.0).is_err());
        (&v * 2.0 + x.view(&[9]), v)
    });
    let x = x();
    let (y, v) = step.call(&x).unwrap();
    y.sum().backward();
    assert_eq!(x.grad().unwrap().to_vec::<f32>(), [1.0; 9]);
    assert!(v.is_requires_grad() && v.is_leaf() && v.try_mul_(2.0).is_err());
}

/// Elements that are read while they are changed.
#[test]
fn operands_that_share_memory() {
    let ok = |f: &dyn Fn(&Tensor) -> bool| f(&x().detach());
    let refused: [fn(&Tensor) -> bool; 18] = [
        |b| b.index(1..).try_copy_(&b.index(..-1)).is_ok(),
        |b| b.index(1..).try_add_(&b.index(..-1)).is_ok(),
        |b| b.try_copy_(&b.t()).is_ok(),
        |b| b.try_add_(&b.t()).is_ok(),
        |b| b.try_copy_(&b.index(0)).is_ok(),
        |b| b.try_mul_(&b.index((0, 0))).is_ok(),
        |b| b.try_addcmul_(&b.t(), b, 1.0).is_ok(),
        |b| b.try_lerp_(&b.t(), 0.5).is_ok(),
        |b| b.try_clamp_(&b.t(), 9.0).is_ok(),
        |b| b.try_logical_and_(&b.t()).is_ok(),
        |b| b.try_scatter_(0, &Tensor::zeros(&[3, 3], DType::I64), &b.t()).is_ok(),
        |b| b.try_scatter_add_(0, &Tensor::zeros(&[3, 3], DType::I64), b).is_ok(),
        |b| b.try_index_add_(0, &Tensor::arange(3), &b.t(), 1.0).is_ok(),
        |b| b.try_index_copy_(0, &Tensor::arange(3), &b.t()).is_ok(),
        |b| b.try_index_put_(&Tensor::arange(3), &b.t(), false).is_ok(),
        |b| b.try_set(&Tensor::arange(3), &b.t()).is_ok(),
        |b| b.try_set(1.., &b.index(..-1)).is_ok(),
        |_| Tensor::arange(3).view(&[3]).with(|i| i.try_index_fill_(0, i, 7).is_ok()),
    ];
    for (i, f) in refused.iter().enumerate() {
        assert!(!ok(f), "{i}");
        let traced = trace(|x: &Tensor| {
            let b = x * 1.0;
            assert!(!f(&b), "{i}");
            b
        });
        traced.call(&x()).unwrap();
    }
    let allowed: [fn(&Tensor) -> bool; 8] = [
        |b| b.try_copy_(b).is_ok(),
        |b| b.try_add_(b).is_ok(),
        |b| b.index(0).try_copy_(&b.index(1)).is_ok(),
        |b| b.try_set(0, &b.index(1)).is_ok(),
        |b| b.try_fill_(&b.index((0, 0))).is_ok(),
        |b| b.try_masked_fill_(&b.gt(1.0), &b.index((0, 0))).is_ok(),
        |b| b.index(0).expand(&[2, 3]).try_fill_(1.0).is_ok(),
        |b| b.index(0).expand(&[2, 3]).try_zero_().is_ok(),
    ];
    for (i, f) in allowed.iter().enumerate() {
        assert!(ok(f), "{i}");
    }
    // Elements that share memory themselves.
    assert!(!ok(&|b| b.index(0).expand(&[2, 3]).try_mul_(2.0).is_ok()));
}

trait With {
    fn with<T>(self, f: impl FnOnce(&Tensor) -> T) -> T;
}

impl With for Tensor {
    fn with<T>(self, f: impl FnOnce(&Tensor) -> T) -> T {
        f(&self)
    }
}

#[test]
fn other_refusals() {
    // A view is not taken out of the graph of what it shows.
    for v in [(&x() * 2.0).index(0), x().detach().index(0)] {
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| v.detach_().dim())).is_err();
        assert!(refused);
    }
    assert!((&x() * 2.0).detach_().is_leaf());
    // Values of other dtypes.
    let y = Tensor::zeros(&[3], DType::F32);
    let whole = Tensor::ones(&[1], DType::I64);
    assert!(y.try_set(&Tensor::arange(1), &whole).is_err());
    assert!(y.try_set(&Tensor::ones(&[3], DType::Bool), &whole).is_ok());
    assert!(y.try_set(0, &whole.index(0)).is_ok());
    assert!(y.try_set(&Tensor::zeros(&[], DType::I64), &whole.index(0)).is_ok());
    let mask = Tensor::ones(&[3], DType::Bool);
    assert!(mask.try_cumsum_(0).is_err() && mask.try_cumprod_(0).is_err());
    let bytes = Tensor::full(&[4], 100u8);
    assert_eq!(bytes.cumsum_(0).to_vec::<u8>(), [100, 200, 44, 144]);
    // A source with more elements than the index has no gradient.
    let (x, index) = (x(), Tensor::zeros(&[2, 2], DType::I64));
    let source = Tensor::ones(&[4, 4], DType::F32).requires_grad();
    for y in [x.scatter(0, &index, &source), x.scatter_add(0, &index, &source)] {
        assert!(y.sum().try_backward().is_err());
    }
    x.scatter(0, &index, &source.detach()).sum().backward();
    assert!(x.grad().is_some());
}

/// The third of three sections after a change of it.
fn stale(x: &Tensor) -> Tensor {
    let y = (x * 2.0).split_with_sizes(&[1, 1, 1], 0).remove(2);
    no_grad(|| y.add_(1.0).detach());
    y
}

/// What asks for a history that is not known is an error that says so, as are changes of a history that is another tensor's.
#[test]
fn histories_that_are_not_known() {
    let asked: [(&str, fn(&Tensor) -> allotrope::Result<()>); 4] = [
        ("is_leaf", |y| y.try_is_leaf().map(|_| ())),
        ("grad_fn_name", |y| y.try_grad_fn_name().map(|_| ())),
        ("retain_grad", |y| y.try_retain_grad()),
        ("requires_grad_", |y| y.try_requires_grad_(false).map(|_| ())),
    ];
    for (name, ask) in asked {
        let x = x();
        assert!(ask(&stale(&x)).unwrap_err().to_string().contains("several results"), "{name}");
        let error = trace(|x: &Tensor| ask(&stale(x)).map(|()| x * 1.0).unwrap()).call(&x).unwrap_err();
        assert!(error.to_string().contains("several results"), "{name} in a trace: {error}");
    }
}

/// Results that PyTorch makes as views of something that nobody has can't be detached in place.
#[test]
fn views_of_something_that_nobody_has() {
    use allotrope::functional::avg_pool1d;
    use allotrope::ops::einsum;
    let results: [(&str, fn(&Tensor) -> Tensor); 3] = [
        ("einsum", |x| einsum("ij,kj->ki", &[x, x])),
        ("tensordot", |x| x.tensordot(x, &[1], &[0])),
        ("avg_pool1d", |x| avg_pool1d(x, [2], Default::default())),
    ];
    for (name, f) in results {
        assert!(f(&x()).try_detach_().is_err(), "{name}");
    }
    assert!((x() * 2.0).try_detach_().is_ok() && x().matmul(&x()).try_detach_().is_ok());
}
