//! `as_strided`: any elements of the memory that a tensor lies in, by strides. Memory is seen as one axis: as the tensor that it
//! was made for, in row-major order, or as what lies around that one. Which elements of it are shown is for `Affine`.

use super::grads1;
use super::memory::{self, NAME};
use super::movement::{permute, put_at, seen, take, unseen, zeros};
use crate::autograd::record::check_integers;
use crate::autograd::{is_grad_enabled, no_grad, tape};
use crate::error::{Error, Result};
use crate::mode;
use crate::mode::sizes::{at_most, numel};
use crate::tensor::affine::Affine;
use crate::tensor::grad_fn::Edge;
use crate::tensor::handle::{Link, ViewOf};
use crate::tensor::size::sizes_of;
use crate::tensor::view::Creation;
use crate::tensor::view_op::ViewOp;
use crate::tensor::{Size, Sizes, Strides, Tensor, eval};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;

/// What is asked for.
struct Wanted<'a> {
    shape: &'a [usize],
    strides: &'a [usize],
    offset: usize,
    /// Behind its last element; 0 where there are none.
    end: usize,
}

impl Wanted<'_> {
    fn error(&self, why: &str) -> Error {
        let Wanted { shape, strides, offset, .. } = self;
        Error::operands("as_strided", format!("{shape:?} with strides {strides:?} from {offset}: {why}"))
    }

    fn outside(&self, n: usize, of: &Tensor) -> Error {
        self.error(&format!("reaches outside the {n} elements of the memory of {:?}", of.shape_hint()))
    }

    /// Eager code may go on where a trace cannot.
    fn refused(&self) -> Error {
        let Wanted { shape, strides, offset, .. } = self;
        Error::trace(format!(
            "as_strided: {shape:?} with strides {strides:?} from {offset}: in a trace, the elements must be those of a tensor that \
             the trace knows from the first one of its memory on"
        ))
    }
}

/// Memory as one axis.
struct Around {
    memory: Tensor,
    /// The place of its first element in the storage.
    begin: usize,
    /// Whether it is the elements of what the tensor is a view of, or itself, in row-major order.
    is_base: bool,
    /// Whether what is seen in it is a view of that.
    is_linked: bool,
}

/// Where a tensor's elements are, for its gradient.
enum Shown {
    /// They are those of a tensor of these sizes, in row-major order, seen so; they may share memory.
    Base {
        own: Sizes,
        path: Option<Arc<Link>>,
        sizes: Sizes,
        is_apart: bool,
    },
    Places(Affine),
}

impl Shown {
    /// The gradient of the tensor, of that of the memory.
    fn gradient(&self, g: Tensor) -> Result<Tensor> {
        let (own, path, sizes, is_apart) = match self {
            Shown::Places(places) => return memory::shares(&g, places),
            Shown::Base { own, path, sizes, is_apart } => (own, path, sizes, *is_apart),
        };
        let mut whole = g.reshape_sizes(own)?;
        let Some(path) = path else { return Ok(whole) };
        if !is_apart {
            let count = no_grad(|| {
                let ones = zeros(&g, sizes)?.try_add(1)?;
                path.steps().iter().rev().try_fold(ones, |g, step| (step.vjp)(&step.op, &step.from, &g))
            })?;
            whole = memory::shared(&whole, &count)?;
        }
        take(&whole, path)
    }
}

pub(super) fn as_strided(x: &Tensor, shape: &[usize], strides: &[usize], offset: usize) -> Result<Tensor> {
    let is_empty = shape.contains(&0);
    let far = |at: usize, (&n, &s): (&usize, &usize)| at.checked_add(n.saturating_sub(1).checked_mul(s)?);
    let last = shape.iter().zip(strides).try_fold(offset, far);
    let end = if is_empty { Some(0) } else { last.and_then(|last| last.checked_add(1)) };
    let wanted = Wanted { shape, strides, offset, end: end.unwrap_or(0) };
    if shape.len() != strides.len() {
        return Err(wanted.error("there must be one stride for each axis"));
    }
    if !end.is_some_and(|end| isize::try_from(end).is_ok()) {
        return Err(wanted.error("no memory is as large"));
    }
    let base = x.view_of().map_or_else(|| x.clone(), |v| v.base.clone());
    let around = no_grad(|| around(&base, x, &wanted))?;
    let signed: Strides = strides.iter().map(|&s| s as isize).collect();
    let sizes = sizes_of(shape);
    let affine = Affine {
        count: numel(&sizes),
        sizes,
        steps: SmallVec::from_slice(strides),
        offset: offset.saturating_sub(around.begin),
        is_apart: eval::check_apart(shape, &signed).is_ok(),
    };
    let len = around.memory.sizes()[0];
    let mut result = no_grad(|| seen(&around.memory, ViewOp::Affine(affine.clone()), NAME))?;
    let creation = match is_grad_enabled() {
        true => x.view_of().map(ViewOf::creation).unwrap_or_default(),
        false => Creation::NoGrad,
    };
    match around.is_linked {
        true => result.set_creation(creation),
        false => {
            let places = memory::places(&base, around.begin)?;
            let own = base.sizes();
            let first = Link::after(None, ViewOp::Memory { len, places }, own, NAME, unseen);
            let path = Link::after(Some(first), ViewOp::Affine(affine.clone()), smallvec![len], NAME, unseen);
            result.link_view_of(&base, path, creation);
        }
    }
    if x.is_off_tape() {
        return Ok(result);
    }
    check_integers(x)?;
    let shown = match around.is_base {
        true => Shown::Base {
            own: base.sizes(),
            path: x.view_of().map(|v| Arc::clone(&v.path)),
            sizes: x.sizes(),
            is_apart: eval::check_apart(x.shape_hint(), x.laid_out()).is_ok(),
        },
        false => Shown::Places(memory::places(x, around.begin)?),
    };
    let own = x.sizes();
    let node = tape::node(NAME, smallvec![tape::operand_edge(x)?], false, move |c, grads| {
        let Some(g) = grads[0].as_ref().filter(|_| c.wants(0)) else { return Ok(smallvec![None]) };
        if is_empty {
            return grads1(zeros(g, &own)?);
        }
        grads1(shown.gradient(put_at(&affine, &zeros(g, &[len])?, g)?)?)
    });
    result.set_grad_fn(Some(Edge::new(node, 0)));
    Ok(result)
}

/// The memory of `base`, which is no view, as far as it, `x`, which is or shows it, and what is wanted reach.
fn around(base: &Tensor, x: &Tensor, wanted: &Wanted<'_>) -> Result<Around> {
    if base.strided().is_some() {
        return around_stored(base, x, wanted);
    }
    let root = mode::state::root_of(base)?;
    if root.strided().is_some() {
        let Around { memory, begin, .. } = around_stored(&root, x, wanted)?;
        return Ok(Around { memory, begin, is_base: false, is_linked: false });
    }
    let is_whole = base.traced().is_some_and(|t| t.path.is_none());
    let root = if is_whole { base } else { &root };
    let n = numel(&root.sizes());
    let (memory, is_base) = if mode::state::begins_memory(root) {
        (root.reshape_sizes(&[n])?, is_whole)
    } else if let Some(axes) = mode::state::order_in_memory(root) {
        (permute(root, axes)?.reshape_sizes(&[n])?, false)
    } else {
        mode::state::memory_wanted(root, wanted.end);
        return Err(wanted.refused());
    };
    if !at_most(Size::from(wanted.end), n) {
        return Err(match mode::state::memory_wanted(root, wanted.end) {
            true => wanted.refused(),
            false => wanted.outside(n.hint(), base),
        });
    }
    Ok(Around { memory, begin: 0, is_base, is_linked: is_whole })
}

/// As [`around`], of what has storage.
fn around_stored(base: &Tensor, x: &Tensor, wanted: &Wanted<'_>) -> Result<Around> {
    let (elements, first) = eval::place_in_storage(base)?;
    if wanted.end > elements {
        return Err(wanted.outside(elements, base));
    }
    let own: usize = base.shape_hint().iter().product();
    let is_inside = wanted.end == 0 || (wanted.offset >= first && wanted.end <= first + own);
    if base.is_contiguous() && is_inside {
        let memory = base.reshape_sizes(&[Size::from(own)])?;
        return Ok(Around { memory, begin: first, is_base: true, is_linked: true });
    }
    let places = memory::places(base, 0)?;
    let mut range = if wanted.end == 0 { first..first } else { wanted.offset..wanted.end };
    for places in [&places, &memory::places(x, 0)?] {
        if let Some(last) = last_of(places) {
            range = range.start.min(places.offset)..range.end.max(last + 1);
        }
    }
    let begin = range.start.min(first);
    let places = Affine { offset: first - begin, ..places };
    let memory = memory::seen_around(base, Size::from(range.end.max(first) - begin), places)?;
    Ok(Around { memory, begin, is_base: false, is_linked: true })
}

/// The place of the last element, if there is one.
fn last_of(places: &Affine) -> Option<usize> {
    let far = |at: usize, (n, &step): (&Size, &usize)| Some(at + n.hint().checked_sub(1)? * step);
    places.sizes.iter().zip(&places.steps).try_fold(places.offset, far)
}
