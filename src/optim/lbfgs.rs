//! L-BFGS. It decides on the host after each evaluation of the closure how to go on, so it runs eagerly; the closure may call a
//! traced function.

use super::group::{Cycled, Group, check_lr, check_params, outside_of_a_trace};
use super::host_number::HostNumber;
use super::optimizer::Optimizer;
use super::options::{self, Fields, Options, Range};
use super::strong_wolfe::{Point, strong_wolfe};
use crate::autograd::no_grad;
use crate::device;
use crate::error::{Error, Result, must, raise};
use crate::ops::try_cat;
use crate::state::Value;
use crate::tensor::Tensor;
use allotrope_ir::DType;
use parking_lot::Mutex;
use std::sync::Arc;

/// How [`Lbfgs`] finds the length of a step.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LineSearch {
    /// A step that fulfils the strong Wolfe conditions (Nocedal and Wright, 2006, algorithms 3.5 and 3.6).
    StrongWolfe,
}

/// What [`Lbfgs`] takes beside the learning rate; the defaults are PyTorch's.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct LbfgsOptions {
    /// Iterations in one step.
    pub max_iter: usize,
    /// Evaluations of the closure in one step; none means `max_iter · 5 / 4`.
    pub max_eval: Option<usize>,
    /// Ends where no element of the gradient is larger.
    pub tolerance_grad: f64,
    /// Ends where the loss, or every parameter, changes by less.
    pub tolerance_change: f64,
    /// How many changes are remembered.
    pub history_size: usize,
    /// None takes the learning rate as the length of a step.
    pub line_search_fn: Option<LineSearch>,
    /// Climbs instead of descending.
    pub maximize: bool,
}

impl Default for LbfgsOptions {
    fn default() -> LbfgsOptions {
        LbfgsOptions {
            max_iter: 20,
            max_eval: None,
            tolerance_grad: 1e-7,
            tolerance_change: 1e-9,
            history_size: 100,
            line_search_fn: None,
            maximize: false,
        }
    }
}

/// A whole number as the visitor sees it.
fn whole(f: &mut dyn Fields, name: &'static str, value: &mut usize) -> Result<()> {
    let mut number = *value as f64;
    f.number(name, &mut number, Range::NOT_NEGATIVE)?;
    *value = number as usize;
    Ok(())
}

impl Options for LbfgsOptions {
    fn fields(&mut self, f: &mut dyn Fields) -> Result<()> {
        whole(f, "max_iter", &mut self.max_iter)?;
        let mut most = self.most_evaluations();
        whole(f, "max_eval", &mut most)?;
        if most != self.most_evaluations() {
            self.max_eval = Some(most);
        }
        f.number("tolerance_grad", &mut self.tolerance_grad, Range::NOT_NEGATIVE)?;
        f.number("tolerance_change", &mut self.tolerance_change, Range::NOT_NEGATIVE)?;
        whole(f, "history_size", &mut self.history_size)?;
        f.fixed(
            "line_search_fn",
            match self.line_search_fn {
                Some(LineSearch::StrongWolfe) => Value::from("strong_wolfe"),
                None => Value::None,
            },
        )?;
        f.flag("maximize", &mut self.maximize)
    }
}

impl LbfgsOptions {
    fn most_evaluations(&self) -> usize {
        self.max_eval.unwrap_or(self.max_iter * 5 / 4)
    }
}

/// L-BFGS (Nocedal, 1980), as PyTorch has it. It evaluates the loss several times in a step, so the step takes a closure, which forgets the
/// old gradients, computes the loss and its gradients, and gives the loss.
///
/// ```
/// use allotrope::{optim::{Lbfgs, LbfgsOptions, LineSearch}, prelude::*};
/// let w = Tensor::zeros(&[2], DType::F32).requires_grad();
/// let target = Tensor::from_vec(vec![1.0f32, -2.0], &[2]);
/// let options = LbfgsOptions { line_search_fn: Some(LineSearch::StrongWolfe), ..Default::default() };
/// let opt = Lbfgs::with_options(vec![w.clone()], 1.0, options);
/// opt.step_with(&mut || {
///     opt.zero_grad();
///     let loss = (&w - &target).square().sum();
///     loss.backward();
///     loss
/// });
/// assert!(w.detach().allclose(&target, 1e-5, 1e-5, false));
/// ```
pub struct Lbfgs {
    parameters: Vec<Tensor>,
    groups: [Group; 1],
    options: Mutex<LbfgsOptions>,
    state: Mutex<State>,
}

/// What is remembered between steps.
#[derive(Clone, Default)]
struct State {
    func_evals: usize,
    n_iter: usize,
    /// The last direction and the length of the step along it.
    direction: Option<Tensor>,
    length: Option<HostNumber>,
    /// Changes of the gradient, of the parameters, and 1 / their product.
    gradients: Vec<Tensor>,
    steps: Vec<Tensor>,
    ro: Vec<Tensor>,
    h_diag: Option<Tensor>,
    prev_gradient: Option<Tensor>,
    prev_loss: f64,
}

struct Plain(Vec<Tensor>);

impl Cycled for Plain {
    fn params(&self) -> &[Tensor] {
        &self.0
    }
    fn momentum_name(&self) -> Option<&'static str> {
        None
    }
    fn momentum(&self) -> Result<Option<f64>> {
        Ok(None)
    }
    fn set_momentum(&self, _: f64) -> Result<()> {
        Err(Error::argument("LBFGS: it has neither a momentum nor betas that could be set"))
    }
}

const NAME: &str = "LBFGS";

impl Lbfgs {
    /// The learning rate that PyTorch's class has where none is given.
    pub const DEFAULT_LR: f64 = 1.0;

    /// With PyTorch's default options.
    ///
    /// # Panics
    /// Where [`Lbfgs::try_with_options`] fails.
    #[track_caller]
    pub fn new(parameters: Vec<Tensor>, lr: f64) -> Lbfgs {
        Lbfgs::with_options(parameters, lr, LbfgsOptions::default())
    }

    /// With other options.
    ///
    /// # Panics
    /// Where [`Lbfgs::try_with_options`] fails.
    #[track_caller]
    pub fn with_options(parameters: Vec<Tensor>, lr: f64, options: LbfgsOptions) -> Lbfgs {
        must(Lbfgs::try_with_options(parameters, lr, options))
    }

    /// As [`Lbfgs::with_options`]. There are no parameter groups, as in PyTorch.
    ///
    /// # Errors
    /// When there is no parameter, one is not a floating-point leaf or is given twice, parameters differ in their dtype, or a number is
    /// out of its range.
    pub fn try_with_options(parameters: Vec<Tensor>, lr: f64, options: LbfgsOptions) -> Result<Lbfgs> {
        check_params(NAME, &parameters, &[])?;
        check_lr(NAME, lr)?;
        options::check(NAME, &options)?;
        if let Some(other) = parameters.iter().find(|p| p.dtype() != parameters[0].dtype()) {
            return Err(Error::argument(format!(
                "{NAME}: the parameters must be of one dtype, got {} and {}",
                parameters[0].dtype(),
                other.dtype()
            )));
        }
        let _entered = device::enter(parameters[0].device());
        let groups = [Group::new(lr, Arc::new(Plain(parameters.clone())))];
        Ok(Lbfgs { parameters, groups, options: Mutex::new(options), state: Mutex::new(State::default()) })
    }

    /// The options in use.
    pub fn options(&self) -> LbfgsOptions {
        *self.options.lock()
    }

    /// As [`Optimizer::step_with`].
    ///
    /// # Errors
    /// Inside a trace, and when the loss is not one number.
    pub fn try_step_with(&self, closure: &mut dyn FnMut() -> Tensor) -> Result<Tensor> {
        outside_of_a_trace("LBFGS's step")?;
        // What a panic in the closure leaves is the state of before.
        let mut state = self.state.lock().clone();
        let _entered = device::enter(self.parameters[0].device());
        let loss = Run { of: self, options: self.options(), lr: self.groups[0].try_lr()? }.step(&mut state, closure)?;
        *self.state.lock() = state;
        Ok(loss)
    }
}

/// One step.
struct Run<'a> {
    of: &'a Lbfgs,
    options: LbfgsOptions,
    lr: f64,
}

/// A number of the host.
fn number(x: &Tensor) -> Result<f64> {
    x.detach().to(DType::F64).try_item()
}

/// A number of the host that is rounded as the tensor that it is of.
fn element(x: &Tensor) -> Result<HostNumber> {
    Ok(HostNumber::element(number(x)?, x.dtype()))
}

/// Σ a · b.
fn dot(a: &Tensor, b: &Tensor) -> Tensor {
    (a * b).sum()
}

fn largest(x: &Tensor) -> Result<HostNumber> {
    element(&x.norm_dim(f64::INFINITY, &[], false))
}

impl Run<'_> {
    fn sign(&self) -> f64 {
        if self.options.maximize { -1.0 } else { 1.0 }
    }

    /// All gradients in one row.
    fn gradient(&self) -> Result<Tensor> {
        no_grad(|| {
            let flat = |p: &Tensor| p.grad().unwrap_or_else(|| p.detach().zeros_like()).detach().reshape(&[-1]);
            let rows: Vec<Tensor> = self.of.parameters.iter().map(flat).collect();
            let all = try_cat(&rows.iter().collect::<Vec<_>>(), 0)?;
            Ok(if self.options.maximize { -&all } else { all })
        })
    }

    /// Moves the parameters along a direction.
    fn moved(&self, by: f64, direction: &Tensor) {
        no_grad(|| {
            let mut begin = 0;
            for p in &self.of.parameters {
                let n = p.numel();
                let part = direction
                    .narrow(0, begin as isize, n)
                    .reshape(&p.shape().iter().map(|&n| n as isize).collect::<Vec<isize>>());
                p.add_alpha_(&part, by);
                begin += n;
            }
        });
    }

    fn step(&self, state: &mut State, closure: &mut dyn FnMut() -> Tensor) -> Result<Tensor> {
        let LbfgsOptions { max_iter, history_size, line_search_fn, tolerance_change, .. } = self.options;
        let tolerance_grad = HostNumber::float(self.options.tolerance_grad);
        let most = self.options.most_evaluations();
        let first_loss = closure();
        let mut loss = self.sign() * number(&first_loss)?;
        let mut evaluations = 1;
        state.func_evals += 1;
        let mut gradient = self.gradient()?;
        let mut is_done = largest(&gradient)? <= tolerance_grad;
        if is_done {
            return Ok(first_loss);
        }
        let mut n_iter = 0;
        while n_iter < max_iter {
            n_iter += 1;
            state.n_iter += 1;
            let direction = no_grad(|| direction(state, &gradient, history_size))?;
            state.prev_gradient = Some(gradient.copy());
            state.prev_loss = loss;
            let lr = HostNumber::float(self.lr);
            let length = match state.n_iter {
                1 => {
                    let one = HostNumber::float(1.0);
                    one.min(one / element(&gradient.abs().sum())?) * lr
                }
                _ => lr,
            };
            state.length = Some(length);
            state.direction = Some(direction.clone());
            // The derivative along the direction.
            let slope = element(&dot(&gradient, &direction))?;
            if slope > HostNumber::float(-tolerance_change) {
                break;
            }
            let mut now = 0;
            match line_search_fn {
                Some(LineSearch::StrongWolfe) => {
                    let at: Vec<Tensor> = self.of.parameters.iter().map(|p| p.detach().copy()).collect();
                    let mut evaluate = |length: HostNumber| {
                        self.moved(length.value(), &direction);
                        let loss = self.sign() * number(&closure())?;
                        let gradient = self.gradient()?;
                        no_grad(|| self.of.parameters.iter().zip(&at).for_each(|(p, at)| _ = p.copy_(at)));
                        let slope = element(&dot(&gradient, &direction))?;
                        Ok(Point { length, loss, gradient, slope })
                    };
                    let begin = Point { length: HostNumber::float(0.0), loss, gradient: gradient.clone(), slope };
                    let most_now = most.saturating_sub(evaluations);
                    let size = largest(&direction)?;
                    let found = strong_wolfe(&mut evaluate, begin, length, size, most_now)?;
                    (loss, gradient, now) = (found.0.loss, found.0.gradient, found.1);
                    state.length = Some(found.0.length);
                    self.moved(found.0.length.value(), &direction);
                    is_done = largest(&gradient)? <= tolerance_grad;
                }
                None => {
                    self.moved(length.value(), &direction);
                    if n_iter != max_iter {
                        loss = self.sign() * number(&closure())?;
                        gradient = self.gradient()?;
                        is_done = largest(&gradient)? <= tolerance_grad;
                        now = 1;
                    }
                }
            }
            evaluations += now;
            state.func_evals += now;
            if n_iter == max_iter || evaluations >= most || is_done {
                break;
            }
            let length = state.length.map_or(0.0, HostNumber::value);
            if largest(&(&direction * length))? <= HostNumber::float(tolerance_change)
                || (loss - state.prev_loss).abs() < tolerance_change
            {
                break;
            }
        }
        Ok(first_loss)
    }
}

/// The direction to go: minus the gradient times an approximation of the inverse of the second derivative.
fn direction(state: &mut State, gradient: &Tensor, history_size: usize) -> Result<Tensor> {
    let (Some(before), Some(last), Some(length)) = (&state.prev_gradient, &state.direction, state.length) else {
        (state.gradients, state.steps, state.ro) = (Vec::new(), Vec::new(), Vec::new());
        state.h_diag = None;
        return Ok(-gradient);
    };
    let change = gradient - before;
    let step = last * length.value();
    let product = dot(&change, &step);
    if element(&product)? > HostNumber::float(1e-10) {
        if state.gradients.len() == history_size && history_size > 0 {
            state.gradients.remove(0);
            state.steps.remove(0);
            state.ro.remove(0);
        }
        state.h_diag = Some(&product / dot(&change, &change));
        state.ro.push(1.0 / &product);
        state.gradients.push(change);
        state.steps.push(step);
    }
    let mut q = -gradient;
    let mut weights = Vec::new();
    for i in (0..state.gradients.len()).rev() {
        let weight = dot(&state.steps[i], &q) * &state.ro[i];
        q = &q - &state.gradients[i] * &weight;
        weights.push(weight);
    }
    let mut r = match &state.h_diag {
        Some(h) => q * h,
        None => q,
    };
    for (i, weight) in weights.iter().rev().enumerate() {
        let back = dot(&state.gradients[i], &r) * &state.ro[i];
        r = &r + &state.steps[i] * &(weight - back);
    }
    Ok(r)
}

impl Optimizer for Lbfgs {
    fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// # Panics
    /// Always: the step needs a closure; see [`Optimizer::step_with`].
    #[track_caller]
    fn step(&self) {
        raise(Error::argument(
            "LBFGS: a step evaluates the loss several times; use step_with(&mut || ..) with a closure that computes it",
        ));
    }

    #[track_caller]
    fn step_with(&self, closure: &mut dyn FnMut() -> Tensor) -> Tensor {
        must(self.try_step_with(closure))
    }

    fn try_state_dict(&self) -> Result<Value> {
        outside_of_a_trace("state_dict")?;
        let state = self.state.lock();
        let list = |all: &[Tensor]| Value::List(all.iter().cloned().map(Value::Tensor).collect());
        let some = |t: &Option<Tensor>| t.clone().map_or(Value::None, Value::Tensor);
        let mut entries = Vec::new();
        if state.func_evals > 0 {
            let own = Value::dict([
                ("func_evals", Value::Int(state.func_evals as i64)),
                ("n_iter", Value::Int(state.n_iter as i64)),
                ("d", some(&state.direction)),
                ("t", state.length.map_or(Value::None, |t| Value::Float(t.value()))),
                ("old_dirs", list(&state.gradients)),
                ("old_stps", list(&state.steps)),
                ("ro", list(&state.ro)),
                ("H_diag", state.h_diag.clone().map_or(Value::Int(1), Value::Tensor)),
                ("prev_flat_grad", some(&state.prev_gradient)),
                ("prev_loss", Value::Float(state.prev_loss)),
            ]);
            entries.push((Value::Int(0), own));
        }
        let mut group = vec![("lr".to_string(), Value::Float(self.groups[0].try_lr()?))];
        let whole = ["max_iter", "max_eval", "history_size"];
        group.extend(options::save(&self.options())?.into_iter().map(|(name, value)| {
            let value = match value {
                Value::Float(x) if whole.contains(&name) => Value::Int(x as i64),
                other => other,
            };
            (name.to_string(), value)
        }));
        group.extend(self.groups[0].extras());
        let params = (0..self.parameters.len() as i64).map(Value::Int).collect();
        group.push(("params".to_string(), Value::List(params)));
        Ok(Value::dict([("state", Value::Dict(entries)), ("param_groups", Value::List(vec![Value::dict(group)]))]))
    }

    fn load_state_dict(&self, value: &Value) -> Result<()> {
        outside_of_a_trace("load_state_dict")?;
        let refuse = |message: String| Error::argument(format!("{NAME}: {message}; nothing was changed"));
        let groups = value.get("param_groups").and_then(Value::as_list).unwrap_or_default();
        let [group] = groups else {
            return Err(refuse(format!("the state dict has {} parameter groups, wanted one", groups.len())));
        };
        let count = group.get("params").and_then(Value::as_list).map_or(0, <[Value]>::len);
        if count != self.parameters.len() {
            return Err(refuse(format!(
                "the state dict has {count} parameters, and the optimizer {}",
                self.parameters.len()
            )));
        }
        let lr = group.get("lr").and_then(options::number).filter(|lr| lr.is_finite());
        let lr = lr.ok_or_else(|| refuse("the state dict has no learning rate lr".into()))?;
        let mut known = vec!["lr", "params"];
        let mut options = options::load(NAME, &self.options(), group, &mut known)?;
        options.line_search_fn = match group.get("line_search_fn") {
            None => options.line_search_fn,
            Some(Value::None) => None,
            Some(Value::Str(name)) if name == "strong_wolfe" => Some(LineSearch::StrongWolfe),
            Some(_) => return Err(refuse("line_search_fn is neither None nor strong_wolfe".into())),
        };
        let first = group.get("params").and_then(Value::as_list).and_then(|ids| ids.first()).and_then(Value::as_int);
        let entry = value.get("state").and_then(|s| s.at(first.unwrap_or(0)));
        let state = match entry {
            None => State::default(),
            Some(entry) => self.loaded(entry).map_err(|e| refuse(e.to_string()))?,
        };
        let extras = group.as_dict().unwrap_or_default().iter();
        let extras = extras.filter_map(|(name, v)| {
            let name = name.as_str()?;
            (!known.contains(&name)).then(|| (name.to_string(), v.copy()))
        });
        self.groups[0].set_extras(extras.collect());
        self.groups[0].fill_lr(lr);
        *self.options.lock() = options;
        *self.state.lock() = state;
        Ok(())
    }
}

impl Lbfgs {
    fn loaded(&self, entry: &Value) -> Result<State> {
        let total: usize = self.parameters.iter().map(Tensor::numel).sum();
        let (dtype, device) = (self.parameters[0].dtype(), self.parameters[0].device());
        let tensor = |name: &str, value: &Value, shape: &[usize]| {
            let t = value.as_tensor().filter(|t| t.shape_hint() == shape);
            let t = t.ok_or_else(|| Error::argument(format!("{name} is no tensor of shape {shape:?}")))?;
            Ok(t.detach().try_to((dtype, device))?.copy())
        };
        let optional = |name: &str, shape: &[usize]| match entry.get(name) {
            None | Some(Value::None | Value::Int(_) | Value::Float(_)) => Ok(None),
            Some(value) => tensor(name, value, shape).map(Some),
        };
        let list = |name: &str, shape: &[usize]| {
            let all = entry.get(name).and_then(Value::as_list).unwrap_or_default();
            all.iter().map(|value| tensor(name, value, shape)).collect::<Result<Vec<Tensor>>>()
        };
        let count = |name: &str| entry.get(name).and_then(Value::as_int).and_then(|n| usize::try_from(n).ok());
        let (gradients, steps, ro) = (list("old_dirs", &[total])?, list("old_stps", &[total])?, list("ro", &[])?);
        if gradients.len() != steps.len() || steps.len() != ro.len() {
            return Err(Error::argument("old_dirs, old_stps and ro are not of one length"));
        }
        Ok(State {
            func_evals: count("func_evals").unwrap_or(0),
            n_iter: count("n_iter").unwrap_or(0),
            direction: optional("d", &[total])?,
            length: entry.get("t").and_then(options::number).map(HostNumber::float),
            gradients,
            steps,
            ro,
            h_diag: optional("H_diag", &[])?,
            prev_gradient: optional("prev_flat_grad", &[total])?,
            prev_loss: entry.get("prev_loss").and_then(options::number).unwrap_or(0.0),
        })
    }
}
