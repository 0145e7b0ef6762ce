//! What instructions name: buffers, scalars and loops. No addresses: those are a backend's.

use allotrope_ir::{DType, Dim};
use smallvec::SmallVec;

/// A buffer of the schedule, see [`Buffer`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufId(pub u32);

/// A computed value of one element that lies in no memory, see [`crate::schedule::Schedule::scalars`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScalarId(pub u32);

/// A loop of the schedule, see [`crate::schedule::Loop`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoopId(pub u32);

/// Memory that values lie in.
#[derive(Clone, Debug)]
pub struct Buffer {
    pub location: Location,
    pub dtype: DType,
    /// Elements: how many have to be allocated where it is scratch, else how many its value has.
    pub len: Dim,
    /// The innermost loop in whose body it is made. Scratch of that loop holds nothing from one iteration to the next, so
    /// each may use it anew; other scratch keeps its contents until its last use.
    pub owner: Option<LoopId>,
}

/// Where a buffer's memory comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Location {
    /// That of input `i`; an output that updates it is written there too.
    Input(usize),
    /// That of output `j`, which updates no input.
    Output(usize),
    /// Memory for intermediate values. What is in it at the beginning means nothing.
    Scratch,
    /// One element of the first axis of another buffer: it begins `offset + t * stride` elements after the beginning of `of`
    /// (which may itself be an element, or moving), where `t` is the current index of the loop, see
    /// [`Loop`](crate::schedule::Loop). Used inside that loop only.
    Element { of: BufId, offset: Dim, stride: Dim, of_loop: LoopId },
    /// It begins where a loop says, in each iteration anew, see [`Carry`](crate::schedule::Carry): somewhere in one of `into`.
    Moving { into: SmallVec<[BufId; 4]> },
}
