//! Which buffers may share elements. Buffers of their own memory never do; elements of others and moving ones may.

use crate::schedule::buffer::{BufId, Buffer, Location};
use smallvec::SmallVec;

/// Appends the buffers of their own memory that `b` may point into.
pub fn roots(buffers: &[Buffer], b: BufId, out: &mut SmallVec<[BufId; 4]>) {
    match &buffers[b.0 as usize].location {
        Location::Element { of, .. } => roots(buffers, *of, out),
        Location::Moving { into } => into.iter().for_each(|&b| roots(buffers, b, out)),
        Location::Input(_) | Location::Output(_) | Location::Scratch => out.push(b),
    }
}

/// Whether what is written to one of the buffers may be seen in the other.
pub fn may_alias(buffers: &[Buffer], a: BufId, b: BufId) -> bool {
    if a == b {
        return true;
    }
    let (mut x, mut y) = (SmallVec::new(), SmallVec::new());
    roots(buffers, a, &mut x);
    roots(buffers, b, &mut y);
    x.iter().any(|r| y.contains(r))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::buffer::LoopId;
    use allotrope_ir::{DType, Dim};

    #[test]
    fn elements_and_moving_buffers_alias_what_they_point_into() {
        let buffer = |location| Buffer { location, dtype: DType::F32, len: Dim::Fixed(4), owner: None };
        let element =
            |of| Location::Element { of: BufId(of), offset: Dim::Fixed(0), stride: Dim::Fixed(4), of_loop: LoopId(0) };
        let moving = |into: &[u32]| Location::Moving { into: into.iter().map(|&b| BufId(b)).collect() };
        let buffers: Vec<Buffer> = [
            Location::Input(0),
            Location::Scratch,
            Location::Scratch,
            element(0),
            moving(&[1, 3]),
            moving(&[2]),
            element(4),
        ]
        .map(buffer)
        .into();
        let aliases = |a, b| may_alias(&buffers, BufId(a), BufId(b));
        for (a, b) in [(0, 3), (0, 4), (1, 4), (3, 4), (2, 5), (0, 6), (1, 6), (4, 6), (1, 1)] {
            assert!(aliases(a, b) && aliases(b, a), "{a} {b}");
        }
        for (a, b) in [(0, 1), (1, 2), (1, 3), (2, 4), (4, 5), (2, 6), (3, 5), (5, 6)] {
            assert!(!aliases(a, b) && !aliases(b, a), "{a} {b}");
        }
    }
}
