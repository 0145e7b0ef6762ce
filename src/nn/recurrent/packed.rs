//! Sequences of different lengths as rows without gaps, PyTorch's `PackedSequence`. Lengths are data of the host here; what is done
//! with a packed sequence afterwards reads nothing, so it can be traced.

use super::padding::PadPackedOptions;
use super::stack::{Given, Stack, mask_of, spread};
use super::step::State;
use crate::device;
use crate::error::{Error, Result, called, must};
use crate::mode::sizes::{at_most, numel};
use crate::ops::{TensorTree, To};
use crate::tensor::{Size, Sizes, Tensor};
use allotrope_ir::DType;
use std::panic::Location;

/// Sequences of different lengths in one batch: the first rows of `data` are the first steps of all of them, the longest first, then
/// come the second steps of those that have one, and so on. Made by [`pack_padded_sequence`] or [`pack_sequence`], taken and given by
/// the `forward_packed` of recurrent layers, and undone by [`pad_packed_sequence`].
///
/// A traced function takes one as its tensors, and then runs the same compiled code for all lengths:
///
/// ```
/// use allotrope::nn::rnn::{PackedSequence, pack_padded_sequence};
/// use allotrope::prelude::*;
/// let gru = nn::Gru::new(2, 4).batch_first(true);
/// let last = trace(|packed: &[Tensor]| {
///     let packed = PackedSequence::from_tensors(packed).expect("the tensors of a packed sequence");
///     gru.forward_packed(&packed, None).1
/// });
/// for lengths in [[3, 1], [2, 2]] {
///     let packed = pack_padded_sequence(&randn(&[2, 3, 2]), &lengths, true, false);
///     assert_eq!(last.call(&packed.tensors())?.shape(), [1, 2, 4]);
/// }
/// # Ok::<(), allotrope::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PackedSequence {
    data: Tensor,
    batch_sizes: Tensor,
    /// Of the sequences as they are sorted: i64 `[batch]`.
    lengths: Tensor,
    /// Where each row lies in `[time, batch]`, counted row by row: i64 `[total]`.
    places: Tensor,
    sorted: Option<Order>,
}

/// Which sequence stands where, and where each stands.
#[derive(Clone, Debug)]
struct Order {
    sorted: Tensor,
    unsorted: Tensor,
}

/// The lengths of sequences: numbers, or a tensor of integers that the host can read.
#[derive(Copy, Clone, Debug)]
pub enum Lengths<'a> {
    Numbers(&'a [usize]),
    Tensor(&'a Tensor),
}

impl<'a> From<&'a [usize]> for Lengths<'a> {
    fn from(lengths: &'a [usize]) -> Lengths<'a> {
        Lengths::Numbers(lengths)
    }
}

impl<'a, const N: usize> From<&'a [usize; N]> for Lengths<'a> {
    fn from(lengths: &'a [usize; N]) -> Lengths<'a> {
        Lengths::Numbers(lengths)
    }
}

impl<'a> From<&'a Vec<usize>> for Lengths<'a> {
    fn from(lengths: &'a Vec<usize>) -> Lengths<'a> {
        Lengths::Numbers(lengths)
    }
}

impl<'a> From<&'a Tensor> for Lengths<'a> {
    fn from(lengths: &'a Tensor) -> Lengths<'a> {
        Lengths::Tensor(lengths)
    }
}

impl Lengths<'_> {
    /// The numbers of `count` sequences, each of 1 to `longest` steps.
    #[track_caller]
    pub(super) fn read(self, op: &'static str, count: usize, longest: usize) -> Result<Vec<usize>> {
        let numbers: Vec<i64> = match self {
            Lengths::Numbers(numbers) => numbers.iter().map(|&n| i64::try_from(n).unwrap_or(i64::MAX)).collect(),
            Lengths::Tensor(t) if t.dim() != 1 || t.dtype().is_float() || t.dtype() == DType::Bool => {
                let (dtype, shape) = (t.dtype(), t.shape_hint());
                return Err(Error::operands(op, format!("the lengths must be integers [batch], got {dtype}{shape:?}")));
            }
            Lengths::Tensor(t) => {
                t.try_to(DType::I64)?.read_elements("the lengths of sequences", Location::caller())?
            }
        };
        if numbers.len() != count {
            return Err(Error::operands(op, format!("{} lengths are given for {count} sequences", numbers.len())));
        }
        let fits = |&n: &i64| usize::try_from(n).ok().filter(|n| (1..=longest).contains(n));
        numbers.iter().map(fits).collect::<Option<Vec<usize>>>().ok_or_else(|| {
            Error::operands(op, format!("each length must be 1 to {longest}, the number of steps, got {numbers:?}"))
        })
    }
}

impl PackedSequence {
    /// The rows: `[total, ..]`.
    pub fn data(&self) -> &Tensor {
        &self.data
    }

    /// How many sequences have each step: i64 `[time]`.
    pub fn batch_sizes(&self) -> &Tensor {
        &self.batch_sizes
    }

    /// Which of the given sequences stands at each place, unless they were sorted already: i64 `[batch]`.
    pub fn sorted_indices(&self) -> Option<&Tensor> {
        self.sorted.as_ref().map(|order| &order.sorted)
    }

    /// At which place each of the given sequences stands, unless they were sorted already: i64 `[batch]`.
    pub fn unsorted_indices(&self) -> Option<&Tensor> {
        self.sorted.as_ref().map(|order| &order.unsorted)
    }

    /// The same sequences with another row for each row, as an embedding makes of numbers.
    ///
    /// ```
    /// use allotrope::nn::rnn::pack_padded_sequence;
    /// use allotrope::prelude::*;
    /// let packed = pack_padded_sequence(&randn(&[3, 2, 4]), &[3, 2], false, true);
    /// let rows = nn::Linear::new(4, 5).forward(packed.data());
    /// assert_eq!(packed.with_data(rows).data().shape(), [5, 5]);
    /// ```
    ///
    /// # Panics
    /// Where [`PackedSequence::try_with_data`] fails.
    #[track_caller]
    pub fn with_data(&self, data: Tensor) -> PackedSequence {
        must(self.try_with_data(data))
    }

    /// As [`PackedSequence::with_data`].
    ///
    /// # Errors
    /// When there are not as many rows.
    #[track_caller]
    pub fn try_with_data(&self, data: Tensor) -> Result<PackedSequence> {
        if data.dim() == 0 || !data.has_size(0, self.places.sizes()[0]) {
            return called(Err(Error::argument(format!(
                "PackedSequence: data of shape {:?} where {} rows would fit",
                data.shape_hint(),
                self.places.shape_hint()[0]
            ))));
        }
        Ok(PackedSequence { data, ..self.clone() })
    }

    /// On another device, or with data of another dtype.
    ///
    /// # Panics
    /// Where [`PackedSequence::try_to`] fails.
    #[track_caller]
    pub fn to(&self, target: impl Into<To>) -> PackedSequence {
        must(self.try_to(target))
    }

    /// As [`PackedSequence::to`].
    ///
    /// # Errors
    /// When the device cannot be had.
    #[track_caller]
    pub fn try_to(&self, target: impl Into<To>) -> Result<PackedSequence> {
        let target: To = target.into();
        let order = target.device_only();
        let moved = || -> Result<PackedSequence> {
            let sorted = match &self.sorted {
                Some(own) => Some(Order { sorted: own.sorted.try_to(order)?, unsorted: own.unsorted.try_to(order)? }),
                None => None,
            };
            Ok(PackedSequence {
                data: self.data.try_to(target)?,
                batch_sizes: self.batch_sizes.try_to(order)?,
                lengths: self.lengths.try_to(order)?,
                places: self.places.try_to(order)?,
                sorted,
            })
        };
        called(moved())
    }

    /// The tensors that it is made of, to be given to a traced function.
    pub fn tensors(&self) -> Vec<Tensor> {
        let mut out = Vec::new();
        self.flatten(&mut out);
        out
    }

    /// The packed sequence of its tensors, as [`PackedSequence::tensors`] gives them.
    ///
    /// # Errors
    /// When they are not those of a packed sequence.
    #[track_caller]
    pub fn from_tensors(tensors: &[Tensor]) -> Result<PackedSequence> {
        let fits = |index: &[&Tensor]| index.iter().all(|t| t.dim() == 1 && t.dtype() == DType::I64);
        let (head, sorted) = match tensors {
            [data, batch_sizes, lengths, places] => ([data, batch_sizes, lengths, places], None),
            [data, batch_sizes, lengths, places, sorted, unsorted] => {
                let order = Order { sorted: sorted.clone(), unsorted: unsorted.clone() };
                ([data, batch_sizes, lengths, places], Some(order))
            }
            _ => {
                let count = tensors.len();
                return called(Err(Error::argument(format!("PackedSequence: it has 4 or 6 tensors, got {count}"))));
            }
        };
        let [data, batch_sizes, lengths, places] = head;
        let order_fits = sorted.as_ref().is_none_or(|o| {
            fits(&[&o.sorted, &o.unsorted])
                && [&o.sorted, &o.unsorted].iter().all(|t| t.has_size(0, lengths.sizes()[0]))
        });
        if data.dim() == 0
            || !fits(&[batch_sizes, lengths, places])
            || !places.has_size(0, data.sizes()[0])
            || !order_fits
        {
            let shapes: Vec<String> = tensors.iter().map(|t| format!("{}{:?}", t.dtype(), t.shape_hint())).collect();
            return called(Err(Error::argument(format!(
                "PackedSequence: {} are not the tensors of a packed sequence; they come from tensors()",
                shapes.join(", ")
            ))));
        }
        Ok(PackedSequence {
            data: data.clone(),
            batch_sizes: batch_sizes.clone(),
            lengths: lengths.clone(),
            places: places.clone(),
            sorted,
        })
    }

    /// What recurrent layers make of it.
    pub(super) fn through(&self, stack: &Stack, given: Option<Given<'_>>) -> Result<(PackedSequence, State)> {
        if self.data.dim() != 2 || !self.data.has_size(1, Size::from(stack.plan.input_size)) {
            let (wanted, got) = (stack.plan.input_size, self.data.shape_hint());
            return Err(stack.fails(format!("packed data must be [total, in] with in = {wanted}, got {got:?}")));
        }
        stack.check_dtype("packed data", &self.data)?;
        let state = stack.start(&self.data, Some(self.lengths.sizes()[0]), given)?;
        let ordered = |state: &State, order: Option<&Tensor>| match order {
            Some(order) => state.map(|t| t.try_index_select(1, order)),
            None => Ok(state.clone()),
        };
        // Zeros are in any order.
        let state = ordered(&state, given.and(self.sorted_indices()))?;
        let mask = mask_of(&self.lengths, self.batch_sizes.sizes()[0])?;
        let (rows, end) = stack.forward_rows(&self.data, &self.places, mask, &state)?;
        Ok((PackedSequence { data: rows, ..self.clone() }, ordered(&end, self.unsorted_indices())?))
    }
}

/// Loops carry it, and traced functions return it.
impl TensorTree for PackedSequence {
    fn flatten(&self, out: &mut Vec<Tensor>) {
        out.extend([&self.data, &self.batch_sizes, &self.lengths, &self.places].map(Tensor::clone));
        out.extend(self.sorted.iter().flat_map(|order| [order.sorted.clone(), order.unsorted.clone()]));
    }
    fn unflatten(&self, from: &mut dyn Iterator<Item = Tensor>) -> PackedSequence {
        let mut next = || from.next().expect("as many tensors as the structure holds");
        PackedSequence {
            data: next(),
            batch_sizes: next(),
            lengths: next(),
            places: next(),
            sorted: self.sorted.as_ref().map(|_| Order { sorted: next(), unsorted: next() }),
        }
    }
}

/// Packs `[time, batch, ..]`, or `[batch, time, ..]` with `batch_first`, of which each sequence has its first `lengths[i]` steps,
/// `torch.nn.utils.rnn.pack_padded_sequence`. With `enforce_sorted` the lengths must not increase; without, sequences are sorted, and layers
/// and [`pad_packed_sequence`] give their results in the given order.
///
/// The lengths are read on the host. In a trace pack outside of it, see [`PackedSequence`], or use the `forward_padded` of a layer with
/// lengths as an argument.
///
/// # Panics
/// Where [`try_pack_padded_sequence`] fails.
#[track_caller]
pub fn pack_padded_sequence<'a>(
    x: &Tensor,
    lengths: impl Into<Lengths<'a>>,
    batch_first: bool,
    enforce_sorted: bool,
) -> PackedSequence {
    must(try_pack_padded_sequence(x, lengths, batch_first, enforce_sorted))
}

/// As [`pack_padded_sequence`].
///
/// # Errors
/// When there are fewer than two axes, not as many lengths as sequences, a length is 0 or more than there are steps, or the lengths
/// increase with `enforce_sorted`.
#[track_caller]
pub fn try_pack_padded_sequence<'a>(
    x: &Tensor,
    lengths: impl Into<Lengths<'a>>,
    batch_first: bool,
    enforce_sorted: bool,
) -> Result<PackedSequence> {
    called(pack(x, lengths.into(), batch_first, enforce_sorted))
}

#[track_caller]
fn pack(x: &Tensor, lengths: Lengths<'_>, batch_first: bool, enforce_sorted: bool) -> Result<PackedSequence> {
    let op = "pack_padded_sequence";
    let axes = if batch_first { "[batch, time, ..]" } else { "[time, batch, ..]" };
    if x.dim() < 2 {
        return Err(Error::operands(op, format!("the sequences must be {axes}, got {:?}", x.shape_hint())));
    }
    let (time_axis, batch_axis) = if batch_first { (1, 0) } else { (0, 1) };
    let (steps, batch) = (x.shape()[time_axis], x.shape()[batch_axis]);
    if batch == 0 || steps == 0 {
        return Err(Error::operands(op, format!("there is nothing to pack in {:?}, which is {axes}", x.shape_hint())));
    }
    let lengths = lengths.read(op, batch, steps)?;
    if enforce_sorted && !lengths.is_sorted_by(|a, b| a >= b) {
        return Err(Error::operands(
            op,
            format!(
                "with enforce_sorted the lengths must not increase, got {lengths:?}; without, they may have any order"
            ),
        ));
    }
    let mut order: Vec<usize> = (0..batch).collect();
    if !enforce_sorted {
        order.sort_by_key(|&i| std::cmp::Reverse(lengths[i]));
    }
    let longest = lengths[order[0]];
    let total = lengths.iter().sum();
    let (mut sizes, mut places, mut sources) =
        (Vec::with_capacity(longest), Vec::with_capacity(total), Vec::with_capacity(total));
    for t in 0..longest {
        let count = order.iter().take_while(|&&i| lengths[i] > t).count();
        sizes.push(count as i64);
        for (b, &i) in order.iter().take(count).enumerate() {
            places.push((t * batch + b) as i64);
            sources.push(if batch_first { i * steps + t } else { t * batch + i } as i64);
        }
    }
    let _entered = device::enter(x.device());
    let index = |numbers: Vec<i64>| {
        let n = numbers.len();
        Tensor::try_from_vec(numbers, &[n])
    };
    let own = x.sizes();
    let flat: Sizes = [numel(&own[..2])].into_iter().chain(own[2..].iter().copied()).collect();
    let data = x.reshape_sizes(&flat)?.try_index_select(0, &index(sources)?)?;
    let sorted = if enforce_sorted {
        None
    } else {
        let mut back = vec![0; batch];
        order.iter().enumerate().for_each(|(place, &i)| back[i] = place as i64);
        Some(Order { sorted: index(order.iter().map(|&i| i as i64).collect())?, unsorted: index(back)? })
    };
    Ok(PackedSequence {
        data,
        batch_sizes: index(sizes)?,
        lengths: index(order.iter().map(|&i| lengths[i] as i64).collect())?,
        places: index(places)?,
        sorted,
    })
}

/// Packs sequences `[time, ..]` of different lengths, `torch.nn.utils.rnn.pack_sequence`.
///
/// ```
/// use allotrope::nn::rnn::pack_sequence;
/// use allotrope::prelude::*;
/// let packed = pack_sequence(&[Tensor::arange(2), Tensor::arange(5..8)], false);
/// assert_eq!(packed.data().to_vec::<i64>(), [5, 0, 6, 1, 7]);
/// assert_eq!(packed.batch_sizes().to_vec::<i64>(), [2, 2, 1]);
/// ```
///
/// # Panics
/// Where [`try_pack_sequence`] fails.
#[track_caller]
pub fn pack_sequence(sequences: &[Tensor], enforce_sorted: bool) -> PackedSequence {
    must(try_pack_sequence(sequences, enforce_sorted))
}

/// As [`pack_sequence`].
///
/// # Errors
/// When there is none, one is empty, they differ in the axes behind the first or in their dtypes, or the lengths increase with `enforce_sorted`.
#[track_caller]
pub fn try_pack_sequence(sequences: &[Tensor], enforce_sorted: bool) -> Result<PackedSequence> {
    let packed = || {
        let padded = super::padding::padded("pack_sequence", sequences, Default::default())?;
        let lengths: Vec<usize> = sequences.iter().map(|s| s.shape()[0]).collect();
        pack(&padded, Lengths::Numbers(&lengths), false, enforce_sorted)
    };
    called(packed())
}

/// `[time, batch, ..]`, or `[batch, time, ..]`, of packed sequences, and their lengths (i64 `[batch]`), in the order in which they were given:
/// `torch.nn.utils.rnn.pad_packed_sequence`. In a trace `time` is symbolic where no `total_length` is given.
///
/// ```
/// use allotrope::nn::rnn::{pack_padded_sequence, pad_packed_sequence};
/// use allotrope::prelude::*;
/// let x = Tensor::arange(1..7).reshape(&[3, 2]);
/// let (y, lengths) = pad_packed_sequence(&pack_padded_sequence(&x, &[1, 3], false, false), Default::default());
/// assert_eq!(y.to_vec::<i64>(), [1, 2, 0, 4, 0, 6]);
/// assert_eq!(lengths.to_vec::<i64>(), [1, 3]);
/// ```
///
/// # Panics
/// Where [`try_pad_packed_sequence`] fails.
#[track_caller]
pub fn pad_packed_sequence(packed: &PackedSequence, options: PadPackedOptions) -> (Tensor, Tensor) {
    must(try_pad_packed_sequence(packed, options))
}

/// As [`pad_packed_sequence`].
///
/// # Errors
/// When `total_length` is less than the longest sequence has, or there is no memory.
#[track_caller]
pub fn try_pad_packed_sequence(packed: &PackedSequence, options: PadPackedOptions) -> Result<(Tensor, Tensor)> {
    called(padded_again(packed, options))
}

fn padded_again(packed: &PackedSequence, options: PadPackedOptions) -> Result<(Tensor, Tensor)> {
    let longest = packed.batch_sizes.sizes()[0];
    let time = options.total_length.map_or(longest, Size::from);
    if !at_most(longest, time) {
        return Err(Error::operands(
            "pad_packed_sequence",
            format!("total_length must be at least the steps of the longest sequence, {longest}, got {time}"),
        ));
    }
    let batch = packed.lengths.sizes()[0];
    let _entered = device::enter(packed.data.device());
    let mut padded = spread(&packed.data, &packed.places, &[time, batch], options.padding_value)?;
    let mut lengths = packed.lengths.clone();
    if let Some(order) = &packed.sorted {
        padded = padded.try_index_select(1, &order.unsorted)?;
        lengths = lengths.try_index_select(0, &order.unsorted)?;
    }
    Ok((if options.batch_first { padded.try_transpose(0, 1)? } else { padded }, lengths))
}
