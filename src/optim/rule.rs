//! What makes one optimizer another: the names of its state, and how one parameter is changed. Groups, counting, checks and
//! saving are the same for all and are not here.

use super::options::Options;
use crate::ops::{Arg, where_};
use crate::tensor::Tensor;
use allotrope_ir::DType;

/// A tensor that an optimizer keeps for each parameter.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Slot {
    /// Its name in the state dict.
    pub name: &'static str,
    pub kind: SlotKind,
}

/// How a tensor of the state begins.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum SlotKind {
    /// Shape and dtype of the parameter, every element this number.
    Like(f64),
    /// f32 without axes.
    Scalar(f64),
}

impl Slot {
    /// Zeros of the shape of the parameter.
    pub const fn zeros(name: &'static str) -> Slot {
        Slot { name, kind: SlotKind::Like(0.0) }
    }

    /// The tensor at the beginning, with storage of its own.
    pub(super) fn initial(self, parameter: &Tensor) -> Tensor {
        let zeros = || Tensor::zeros(parameter.shape_hint(), parameter.dtype());
        match self.kind {
            SlotKind::Like(0.0) => zeros(),
            SlotKind::Like(x) => {
                let all = zeros();
                all.fill_(x);
                all
            }
            SlotKind::Scalar(x) => Tensor::scalar(x as f32),
        }
    }
}

/// A rule by which an optimizer changes parameters. An optimizer of one's own is a type that has this, in
/// [`ByRule`](super::ByRule).
///
/// ```
/// use allotrope::{optim::{self, Given, Optimizer, Options, Fields, Range, Rule, Slot, Update}, prelude::*};
/// #[derive(Clone, Debug, PartialEq, Default)]
/// struct SignOptions { shrink: f64 }
/// impl Options for SignOptions {
///     fn fields(&mut self, fields: &mut dyn Fields) -> allotrope::Result<()> {
///         fields.number("shrink", &mut self.shrink, Range::NOT_NEGATIVE)
///     }
/// }
/// /// p ← p - lr · sign(g)
/// struct SignRule;
/// impl Rule for SignRule {
///     type Options = SignOptions;
///     type Factors = Tensor;
///     const NAME: &'static str = "SignSgd";
///     const DEFAULT_LR: f64 = 0.01;
///     fn slots(_: &SignOptions, _: bool) -> Vec<Slot> { Vec::new() }
///     fn factors(given: &Given<'_, SignOptions>) -> Tensor { given.cast(given.lr) }
///     fn update(u: &Update<'_, Self>) {
///         u.store(u.parameter, &u.wide(u.parameter) - &(&u.gradient.sign() * u.factors));
///     }
/// }
/// let w = Tensor::ones(&[1], DType::F32).requires_grad();
/// let opt = optim::ByRule::<SignRule>::new(vec![w.clone()], 0.5);
/// (&w * 3.0).sum().backward();
/// opt.step();
/// assert_eq!(w.detach().item::<f32>(), 0.5);
/// ```
pub trait Rule: Sized + 'static {
    type Options: Options;
    /// What is the same for all parameters that have made the same number of steps, computed once for them.
    type Factors;
    /// PyTorch's name of the class.
    const NAME: &'static str;
    /// The learning rate where PyTorch is given none.
    const DEFAULT_LR: f64;
    /// Whether the state dict has the number of steps.
    const SAVES_STEPS: bool = true;

    /// The tensors that are kept for a parameter. `cycled`: a scheduler changes the momentum, which is no constant then.
    fn slots(options: &Self::Options, cycled: bool) -> Vec<Slot>;

    /// Whether the rule needs to know how many steps a parameter has made.
    fn counts_steps(_options: &Self::Options, _cycled: bool) -> bool {
        true
    }

    /// What all parameters share.
    fn factors(given: &Given<'_, Self::Options>) -> Self::Factors;

    /// Changes one parameter and its state.
    fn update(update: &Update<'_, Self>);
}

/// A hyperparameter that may change between steps: a constant of the program, or a tensor without axes (f64).
#[derive(Clone)]
pub enum Coefficient {
    Number(f64),
    Tensor(Tensor),
}

impl Coefficient {
    /// As an operand.
    pub fn arg(&self) -> Arg<'_> {
        match self {
            Coefficient::Number(x) => (*x).into(),
            Coefficient::Tensor(t) => t.into(),
        }
    }

    /// As a tensor without axes.
    pub fn tensor(&self) -> Tensor {
        match self {
            Coefficient::Number(x) => Tensor::scalar(*x),
            Coefficient::Tensor(t) => t.clone(),
        }
    }

    /// 1 less it.
    pub fn one_minus(&self) -> Coefficient {
        match self {
            Coefficient::Number(x) => Coefficient::Number(1.0 - x),
            Coefficient::Tensor(t) => Coefficient::Tensor(1.0 - t),
        }
    }

    /// In the dtype that the elements are computed in.
    pub fn cast(&self, dtype: DType) -> Coefficient {
        match self {
            Coefficient::Number(x) => Coefficient::Number(*x),
            Coefficient::Tensor(t) => Coefficient::Tensor(t.to(dtype)),
        }
    }

    /// Whether it is this constant.
    pub fn is(&self, number: f64) -> bool {
        matches!(self, Coefficient::Number(x) if *x == number)
    }
}

/// What [`Rule::factors`] is computed from.
pub struct Given<'a, O> {
    pub options: &'a O,
    /// f64 without axes.
    pub lr: &'a Tensor,
    /// The momentum or the first beta, in f64; 0 where the rule has neither.
    pub momentum: &'a Coefficient,
    /// How many steps the parameters have made with this one, f64 without axes; none where they are not counted.
    pub(super) steps: Option<Tensor>,
    /// What the elements are computed in: f32 for halves, else the dtype of the parameters.
    pub dtype: DType,
}

impl<O> Given<'_, O> {
    /// How many steps the parameters have made with this one, f64 without axes.
    ///
    /// # Panics
    /// Where the rule does not count them.
    pub fn steps(&self) -> &Tensor {
        self.steps.as_ref().expect("bug in the rule: it asks for steps that it does not count")
    }

    /// A number without axes in the dtype that the elements are computed in.
    pub fn cast(&self, x: &Tensor) -> Tensor {
        x.to(self.dtype)
    }

    /// 1 - βᵗ, in f64 as PyTorch's host arithmetic.
    pub fn correction(&self, beta: &Coefficient) -> Tensor {
        1.0 - beta.tensor().pow(self.steps())
    }
}

/// What an update of one parameter is given.
pub struct Update<'a, R: Rule> {
    pub options: &'a R::Options,
    pub factors: &'a R::Factors,
    /// As in [`Given`].
    pub lr: &'a Tensor,
    pub parameter: &'a Tensor,
    /// In the dtype that the elements are computed in.
    pub gradient: Tensor,
    /// As the rule's slots.
    pub state: &'a [Tensor],
    pub(super) steps: Option<&'a Tensor>,
    /// As in [`Given`].
    pub momentum: &'a Coefficient,
}

impl<R: Rule> Update<'_, R> {
    /// As [`Given::steps`].
    ///
    /// # Panics
    /// Where the rule does not count them.
    pub fn steps(&self) -> &Tensor {
        self.steps.expect("bug in the rule: it asks for steps that it does not count")
    }

    /// The dtype that the elements are computed in.
    pub fn dtype(&self) -> DType {
        working(self.parameter.dtype())
    }

    /// A tensor of the parameter's dtype as elements to compute with: halves in f32.
    pub fn wide(&self, x: &Tensor) -> Tensor {
        x.to(self.dtype())
    }

    /// What PyTorch has after one operation: rounded to the parameter's dtype.
    pub fn round(&self, x: Tensor) -> Tensor {
        match self.parameter.dtype().is_half() {
            true => x.to(self.parameter.dtype()).to(DType::F32),
            false => x,
        }
    }

    /// Writes what was computed, and gives what is there now, to compute with.
    pub fn store(&self, target: &Tensor, value: Tensor) -> Tensor {
        target.copy_(&value.to(target.dtype()));
        self.wide(target)
    }

    /// The gradient with the sign of `maximize` and the L2 penalty of `weight_decay`.
    pub fn penalised(&self, maximize: bool, weight_decay: f64) -> Tensor {
        let g = if maximize { -&self.gradient } else { self.gradient.clone() };
        match weight_decay {
            0.0 => g,
            by => self.round(&g + &self.wide(self.parameter) * by),
        }
    }

    /// x + weight · (end - x), from the nearer end, as PyTorch's `lerp`.
    pub fn lerp(&self, x: &Tensor, end: &Tensor, weight: &Coefficient) -> Tensor {
        let near = |w: Arg<'_>| x + &(end - x).mul(w);
        let far = |rest: Arg<'_>| end - &(end - x).mul(rest);
        self.round(match weight {
            Coefficient::Number(w) if w.abs() < 0.5 => near(weight.arg()),
            Coefficient::Number(w) => far((1.0 - w).into()),
            Coefficient::Tensor(w) => where_(&w.abs().lt(0.5), &near(w.into()), &far((&(1.0 - w)).into())),
        })
    }

    /// The decayed average of squares, x · decay + (1 - decay) · g · g, in PyTorch's order.
    pub fn squares(&self, x: &Tensor, g: &Tensor, decay: f64) -> Tensor {
        self.round(&self.round(x * decay) + &(&(g * (1.0 - decay)) * g))
    }
}

/// What elements of a dtype are computed in.
pub(super) fn working(dtype: DType) -> DType {
    if dtype.is_half() { DType::F32 } else { dtype }
}
