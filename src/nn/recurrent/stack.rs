//! The layers and directions of a recurrent network over whole sequences: what `Rnn`, `Lstm` and `Gru` have in common. It knows which
//! steps of which sequence there are, and nothing of the formula of a step.

use super::step::{Kind, State};
use super::weights::Weights;
use crate::backend::cpu::host::affords;
use crate::error::{Error, Result, must};
use crate::functional::try_dropout;
use crate::mode::sizes::numel;
use crate::nn::Visitor;
use crate::nn::init::demand_float;
use crate::ops::{TensorTree, try_cat, try_scan, try_scan_reverse, try_stack};
use crate::tensor::{Flag, Size, Sizes, Tensor};
use allotrope_ir::DType;

/// What the layers are made with.
#[derive(Copy, Clone)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    /// The type, for messages.
    pub(super) name: &'static str,
    pub(super) input_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_layers: usize,
    pub(super) bias: bool,
    pub(super) batch_first: bool,
    pub(super) dropout: f64,
    pub(super) bidirectional: bool,
    pub(super) proj_size: usize,
    pub(super) dtype: DType,
}

/// The layers with their parameters.
pub(super) struct Stack {
    pub(super) plan: Plan,
    /// Layer by layer, of each the direction forward before the one backward.
    weights: Vec<Weights>,
    training: Flag,
}

/// The states that a caller gives.
#[derive(Copy, Clone)]
pub(super) struct Given<'a> {
    pub(super) h: &'a Tensor,
    pub(super) c: Option<&'a Tensor>,
}

/// Which steps of which sequence there are.
pub(super) enum Steps<'a> {
    /// All of `[time, batch, ..]`.
    All,
    /// Those of `[time, batch, ..]` where this is true: bool `[time, batch, 1]`.
    Masked(Tensor),
    /// The rows of `[total, ..]`, each of which has a place in `[time, batch]`, counted row by row.
    Packed { places: &'a Tensor, mask: Tensor },
}

impl Steps<'_> {
    fn mask(&self) -> Option<&Tensor> {
        match self {
            Steps::All => None,
            Steps::Masked(mask) | Steps::Packed { mask, .. } => Some(mask),
        }
    }

    /// `[time, batch, ..]` of what there is for each step; zeros where there is none.
    fn spread(&self, rows: Tensor) -> Result<Tensor> {
        match self {
            Steps::All | Steps::Masked(_) => Ok(rows),
            Steps::Packed { places, mask } => spread(&rows, places, &mask.sizes()[..2], 0.0),
        }
    }

    /// What there is for each step, of `[time, batch, ..]`.
    fn gathered(&self, padded: Tensor) -> Result<Tensor> {
        match self {
            Steps::All | Steps::Masked(_) => Ok(padded),
            Steps::Packed { places, .. } => {
                let sizes = padded.sizes();
                let flat: Sizes = [numel(&sizes[..2])].into_iter().chain(sizes[2..].iter().copied()).collect();
                padded.reshape_sizes(&flat)?.try_index_select(0, places)
            }
        }
    }
}

/// `[total, ..]` at its places in `[time, batch, ..]`, a number elsewhere.
pub(super) fn spread(rows: &Tensor, places: &Tensor, leading: &[Size], padding: f64) -> Result<Tensor> {
    let own = rows.sizes();
    let flat: Sizes = [numel(leading)].into_iter().chain(own[1..].iter().copied()).collect();
    let whole: Sizes = leading.iter().chain(&own[1..]).copied().collect();
    let gaps = rows.try_new_full(&whole, padding)?.reshape_sizes(&flat)?;
    gaps.try_index_copy(0, places, rows)?.reshape_sizes(&whole)
}

/// Bool `[time, batch, 1]`: whether a sequence has this step, of lengths `[batch]`.
pub(super) fn mask_of(lengths: &Tensor, time: Size) -> Result<Tensor> {
    let _entered = crate::device::enter(lengths.device());
    let (one, batch) = (Size::from(1), lengths.sizes()[0]);
    let steps = Tensor::try_arange(time)?.reshape_sizes(&[time, one, one])?;
    steps.try_lt(&lengths.reshape_sizes(&[batch, one])?)
}

/// Bytes that a layer takes, about, beside the numbers of its parameters.
const LAYER_BYTES: usize = 2048;

impl Stack {
    pub(super) fn new(plan: Plan) -> Result<Stack> {
        let Plan { kind, name, input_size, hidden_size, num_layers, proj_size, .. } = plan;
        if num_layers == 0 || hidden_size == 0 {
            return Err(Error::argument(format!(
                "{name}: needs at least one layer and one hidden unit, got {num_layers} and {hidden_size}"
            )));
        }
        if input_size == 0 {
            return Err(Error::argument(format!("{name}: needs at least one number for each step, got input_size 0")));
        }
        if !(0.0..=1.0).contains(&plan.dropout) {
            return Err(Error::argument(format!(
                "{name}: the probability dropout must be 0 to 1, got {}",
                plan.dropout
            )));
        }
        if proj_size >= hidden_size {
            return Err(Error::argument(format!(
                "{name}: proj_size must be smaller than hidden_size (0: no projection), got {proj_size} and {hidden_size}"
            )));
        }
        demand_float(name, plan.dtype)?;
        let directions = plan.directions();
        let mut weights = Vec::new();
        for layer in 0..num_layers {
            if layer == 1 {
                // The first layer is made, so these are numbers.
                let row = (directions + 1) * plan.given() + 2;
                let numbers = (kind.gates() * hidden_size).saturating_mul(row);
                let bytes = numbers.saturating_mul(plan.dtype.size()).saturating_add(LAYER_BYTES);
                let bytes = bytes.saturating_mul(directions).saturating_mul(num_layers - 1);
                affords(bytes, || format!("{} layers more", num_layers - 1))?;
            }
            let inputs = if layer == 0 { input_size } else { directions * plan.given() };
            for _ in 0..directions {
                weights.push(Weights::drawn(kind, inputs, hidden_size, proj_size, plan.bias, plan.dtype)?);
            }
        }
        Ok(Stack { plan, weights, training: Flag::new(true) })
    }

    /// A whole sequence, with a batch axis or without.
    pub(super) fn forward(&self, x: &Tensor, given: Option<Given<'_>>) -> Result<(Tensor, State)> {
        let batched = match x.dim() {
            3 => true,
            2 => false,
            _ => return Err(self.wrong_input(x)),
        };
        self.check_input(x, x.dim() - 1)?;
        let batch_axis = usize::from(!self.plan.batch_first);
        if !batched {
            let state = self.start(x, None, given)?.map(|t| t.try_unsqueeze(1))?;
            let (out, end) = self.sequence(&x.try_unsqueeze(batch_axis as isize)?, &state, &Steps::All)?;
            return Ok((out.try_squeeze(batch_axis as isize)?, end.map(|t| t.try_squeeze(1))?));
        }
        let state = self.start(x, Some(x.sizes()[batch_axis]), given)?;
        self.sequence(x, &state, &Steps::All)
    }

    /// Sequences of different lengths `[batch]`, each in the first steps of its part of `x`.
    pub(super) fn forward_padded(
        &self,
        x: &Tensor,
        lengths: &Tensor,
        given: Option<Given<'_>>,
    ) -> Result<(Tensor, State)> {
        if x.dim() != 3 {
            return Err(self.wrong_input(x));
        }
        self.check_input(x, 2)?;
        let (time_axis, batch_axis) = if self.plan.batch_first { (1, 0) } else { (0, 1) };
        let (time, batch) = (x.sizes()[time_axis], x.sizes()[batch_axis]);
        if lengths.dim() != 1 || lengths.dtype() != DType::I64 || !lengths.has_size(0, batch) {
            return Err(self.fails(format!(
                "the lengths must be i64 [batch] = [{batch}], got {}{:?}",
                lengths.dtype(),
                lengths.shape_hint()
            )));
        }
        let state = self.start(x, Some(batch), given)?;
        let lengths = checked_lengths(self.plan.kind.op(), lengths, time)?;
        let mask = mask_of(&lengths, time)?;
        let own = if self.plan.batch_first { mask.try_transpose(0, 1)? } else { mask.clone() };
        // Whatever stands behind the end of a sequence, a NaN too, is as if it were not there.
        let x = x.try_where_self(&own, 0.0)?;
        let (out, end) = self.sequence(&x, &state, &Steps::Masked(mask))?;
        Ok((out.try_where_self(&own, 0.0)?, end))
    }

    /// Packed rows `[total, in]`, of sequences in the order of the rows.
    pub(super) fn forward_rows(
        &self,
        rows: &Tensor,
        places: &Tensor,
        mask: Tensor,
        state: &State,
    ) -> Result<(Tensor, State)> {
        self.run(rows.clone(), state, &Steps::Packed { places, mask })
    }

    fn sequence(&self, x: &Tensor, state: &State, steps: &Steps<'_>) -> Result<(Tensor, State)> {
        let first = |t: &Tensor| if self.plan.batch_first { t.try_transpose(0, 1) } else { Ok(t.clone()) };
        let (out, end) = self.run(first(x)?, state, steps)?;
        Ok((first(&out)?, end))
    }

    fn run(&self, x: Tensor, state: &State, steps: &Steps<'_>) -> Result<(Tensor, State)> {
        let directions = self.plan.directions();
        let mut sequence = x;
        let mut ends: Vec<State> = Vec::with_capacity(self.weights.len());
        for (layer, weights) in self.weights.chunks(directions).enumerate() {
            if layer > 0 && self.plan.dropout > 0.0 && self.training.get() {
                sequence = try_dropout(&sequence, self.plan.dropout, true)?;
            }
            let mut outputs = Vec::with_capacity(directions);
            for (direction, weights) in weights.iter().enumerate() {
                let start = || state.map(|t| t.try_select(0, (layer * directions + direction) as isize));
                let (out, end) = self.direction(weights, &sequence, start, steps, direction == 1)?;
                outputs.push(out);
                ends.push(end);
            }
            sequence = match outputs.as_slice() {
                [one] => one.clone(),
                both => try_cat(&both.iter().collect::<Vec<_>>(), -1)?,
            };
        }
        let stacked = |ends: Vec<&Tensor>| match ends[..] {
            [one] => one.try_unsqueeze(0),
            _ => try_stack(&ends, 0),
        };
        let h = stacked(ends.iter().map(|end| &end.h).collect())?;
        let cells: Vec<&Tensor> = ends.iter().filter_map(|end| end.c.as_ref()).collect();
        let c = if cells.is_empty() { None } else { Some(stacked(cells)?) };
        Ok((sequence, State { h, c }))
    }

    /// One layer in one direction.
    fn direction(
        &self,
        weights: &Weights,
        x: &Tensor,
        start: impl FnOnce() -> Result<State>,
        steps: &Steps<'_>,
        reverse: bool,
    ) -> Result<(Tensor, State)> {
        let kind = self.plan.kind;
        // What comes from the inputs is the same whatever the hidden state: one product for the whole sequence.
        let inputs = steps.spread(kind.inputs(weights, x)?)?;
        let start = start()?;
        let (end, states) = match steps.mask() {
            None => over_time(start, inputs, reverse, |state, x| must(kind.step(weights, &x, &state))),
            Some(mask) => over_time(start, (inputs, mask.clone()), reverse, |state, (x, exists)| {
                // Before the begin and behind the end of a sequence its state stays what it is.
                must(kind.step(weights, &x, &state).and_then(|next| next.chosen(&exists, &state)))
            }),
        }?;
        Ok((steps.gathered(states)?, end))
    }

    /// The states to begin with: those that are given, or zeros. Without `batch` they have no batch axis.
    pub(super) fn start(&self, x: &Tensor, batch: Option<Size>, given: Option<Given<'_>>) -> Result<State> {
        let Plan { hidden_size, kind, .. } = self.plan;
        let wanted = |units: usize| -> Sizes {
            [Size::from(self.weights.len())].into_iter().chain(batch).chain([Size::from(units)]).collect()
        };
        let (h, c) = (wanted(self.plan.given()), wanted(hidden_size));
        let Some(given) = given else {
            let c = if kind == Kind::Lstm { Some(x.try_new_zeros(&c)?) } else { None };
            return Ok(State { h: x.try_new_zeros(&h)?, c });
        };
        let check = |what: &str, state: &Tensor, sizes: &Sizes| {
            if state.dim() != sizes.len() || !state.has_sizes(sizes) {
                let axes = if batch.is_some() { "[layers, batch, hidden]" } else { "[layers, hidden]" };
                let wanted: Vec<String> = sizes.iter().map(Size::to_string).collect();
                let of = match batch {
                    Some(_) => String::new(),
                    None => format!(
                        "the input {:?} has no batch axis ({} with in = {} has one); ",
                        x.shape_hint(),
                        self.layout(),
                        self.plan.input_size
                    ),
                };
                let (wanted, got) = (wanted.join(", "), state.shape_hint());
                return Err(self.fails(format!("{of}the {what} state must be {axes} = [{wanted}], got {got:?}")));
            }
            self.check_dtype(&format!("{what} state"), state)
        };
        check("hidden", given.h, &h)?;
        given.c.map_or(Ok(()), |cell| check("cell", cell, &c))?;
        Ok(State { h: given.h.clone(), c: given.c.cloned() })
    }

    fn check_input(&self, x: &Tensor, axis: usize) -> Result<()> {
        if !x.has_size(axis, Size::from(self.plan.input_size)) {
            return Err(self.wrong_input(x));
        }
        self.check_dtype("input", x)?;
        let time = if self.plan.batch_first { x.dim() - 2 } else { 0 };
        if x.sizes()[time].equals(0) {
            let layout = if x.dim() == 2 { "[time, in]" } else { self.layout() };
            return Err(self.fails(format!(
                "the sequence is empty: the input {:?} is {layout}; it needs at least one step",
                x.shape_hint()
            )));
        }
        Ok(())
    }

    pub(super) fn check_dtype(&self, what: &str, x: &Tensor) -> Result<()> {
        let own = self.weights[0].ih.dtype();
        match x.dtype() == own {
            true => Ok(()),
            false => Err(self.fails(format!("the {what} must be {own} as the weights, got {}", x.dtype()))),
        }
    }

    fn wrong_input(&self, x: &Tensor) -> Error {
        self.fails(format!(
            "the input must be {} with in = {}, or [time, in], got {:?}",
            self.layout(),
            self.plan.input_size,
            x.shape_hint()
        ))
    }

    fn layout(&self) -> &'static str {
        if self.plan.batch_first { "[batch, time, in]" } else { "[time, batch, in]" }
    }

    pub(super) fn fails(&self, message: String) -> Error {
        Error::operands(self.plan.kind.op(), message)
    }

    /// Shows the parameters under PyTorch's names.
    pub(super) fn visit(&self, visitor: &mut dyn Visitor) {
        let directions = self.plan.directions();
        for (i, weights) in self.weights.iter().enumerate() {
            let direction = if i % directions == 1 { "_reverse" } else { "" };
            for (name, tensor) in weights.named() {
                visitor.parameter(&format!("{name}_l{}{direction}", i / directions), tensor);
            }
        }
        visitor.flag("training", &self.training);
    }

    pub(super) fn map_tensors(&mut self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
        self.weights.iter_mut().try_for_each(|weights| weights.map(f))
    }
}

impl Plan {
    pub(super) fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    /// Numbers in the hidden state, which are the output of a step.
    pub(super) fn given(&self) -> usize {
        if self.proj_size > 0 { self.proj_size } else { self.hidden_size }
    }

    /// What PyTorch prints between the parentheses.
    pub(super) fn extra_repr(&self) -> String {
        let mut text = format!("{}, {}", self.input_size, self.hidden_size);
        if self.proj_size != 0 {
            text += &format!(", proj_size={}", self.proj_size);
        }
        if self.num_layers != 1 {
            text += &format!(", num_layers={}", self.num_layers);
        }
        if !self.bias {
            text += ", bias=False";
        }
        if self.batch_first {
            text += ", batch_first=True";
        }
        if self.dropout != 0.0 {
            text += &format!(", dropout={}", crate::nn::repr::python_float(self.dropout));
        }
        if self.bidirectional {
            text += ", bidirectional=True";
        }
        text
    }
}

/// A loop over the first axis of `xs`, which stacks the hidden states.
fn over_time<X: TensorTree>(
    start: State,
    xs: X,
    reverse: bool,
    mut step: impl FnMut(State, X) -> State,
) -> Result<(State, Tensor)> {
    let body = |state: State, x: X| {
        let next = step(state, x);
        (next.clone(), next.h)
    };
    if reverse { try_scan_reverse(start, xs, body) } else { try_scan(start, xs, body) }
}

/// The lengths, once it is known that each is 1 to `time`; a compiled call fails where one is not.
fn checked_lengths(op: &'static str, lengths: &Tensor, time: Size) -> Result<Tensor> {
    use crate::ops::gather::{all_true, checked};
    let longest = crate::ops::reduce::size_tensor(time, DType::I64)?;
    let fits = lengths.try_ge(1)?.try_logical_and(&lengths.try_le(&longest)?)?;
    checked(
        lengths,
        &all_true(&fits)?,
        &format!("{op}: each length must be at least 1 and at most the number of steps"),
    )
}
