//! What people are told of a schedule: its kernels in the order in which they run, each with the loops around it, and the
//! buffers that were planned. Nothing is decided here.

use crate::schedule::instruction::Instruction;
use allotrope_ir::Dim;

/// One kernel or operation of the library, for people.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    pub name: String,
    /// The operations in it, in order: `mul add tanh`.
    pub ops: String,
    /// The sizes of the space it walks; a matrix product's is m, n, k after the batch axes.
    pub space: Vec<Dim>,
    /// Arithmetic operations in one run of it.
    pub flops: Dim,
    /// Bytes read and written in one run of it: each operand once, elements that are repeated along an axis once.
    pub bytes: Dim,
    /// Whether it runs once for each iteration of a loop.
    pub in_loop: bool,
    /// The lengths of the loops around it, the outermost first: it runs so often, times each other. Where the number of
    /// iterations depends on elements, the length is the most there can be, or 0 where nothing bounds it.
    pub loops: Vec<Dim>,
}

impl std::fmt::Display for KernelInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let space: Vec<String> = self.space.iter().map(Dim::to_string).collect();
        let place = if self.in_loop { " in a loop" } else { "" };
        write!(
            f,
            "{} [{}]{place}: {} ({} flop, {} bytes)",
            self.name,
            space.join(", "),
            self.ops,
            self.flops,
            self.bytes
        )
    }
}

/// A part of the scratch memory, for one value or for blocks of one that are computed in passes.
#[derive(Clone, Debug)]
pub struct BufferInfo {
    pub bytes: Dim,
    /// The first and the last kernel while it holds something, as places in the kernels of the schedule.
    pub alive: (usize, usize),
    /// Buffers of one place share their memory: they are alive at different times.
    pub place: usize,
}

/// Numbers the kernels of `instructions`, loops included, in the order in which they first run, and puts what is known of
/// them into that order.
pub(in crate::schedule) fn in_order(instructions: &mut [Instruction], infos: Vec<KernelInfo>) -> Vec<KernelInfo> {
    let mut all: Vec<Option<KernelInfo>> = infos.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(all.len());
    walk(instructions, &mut Vec::new(), &mut |number, loops| {
        let mut info = all[*number].take().expect("each kernel is one instruction");
        *number = ordered.len();
        info.name = format!("{}{number}", info.name);
        info.loops = loops.to_vec();
        ordered.push(info);
    });
    ordered
}

fn walk(instructions: &mut [Instruction], loops: &mut Vec<Dim>, found: &mut dyn FnMut(&mut usize, &[Dim])) {
    for instruction in instructions {
        if let Instruction::Loop(l) = instruction {
            loops.push(l.length.clone());
            walk(&mut l.body, loops, found);
            loops.pop();
        } else if let Some(number) = instruction.number_mut() {
            found(number, loops);
        }
    }
}
