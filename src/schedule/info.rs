//! What people are told of the kernels of a program: in the order in which they run, each with the loops around it.

use crate::schedule::program::Step;
use allotrope_ir::Dim;

/// One kernel or library call of a compiled function, for people.
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
    /// Whether it runs once for each round of a loop.
    pub in_loop: bool,
    /// The lengths of the loops around it, the outermost first: it runs so often, times each other. Where the rounds
    /// depend on elements, the length is the most there can be, or 0 where nothing bounds them.
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

/// Numbers the kernels of `steps`, loops included, in the order in which they first run, and puts what is known of them
/// into that order.
pub fn in_order(steps: &mut [Step], infos: Vec<KernelInfo>) -> Vec<KernelInfo> {
    let mut all: Vec<Option<KernelInfo>> = infos.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(all.len());
    walk(steps, &mut Vec::new(), &mut |number, loops| {
        let mut info = all[*number].take().expect("each kernel is one step");
        *number = ordered.len();
        info.name = format!("{}{number}", info.name);
        info.loops = loops.to_vec();
        ordered.push(info);
    });
    ordered
}

fn walk(steps: &mut [Step], loops: &mut Vec<Dim>, found: &mut dyn FnMut(&mut usize, &[Dim])) {
    for step in steps {
        if let Step::Scan(s) = step {
            loops.push(s.length.clone());
            walk(&mut s.body, loops, found);
            loops.pop();
        } else if let Some(number) = step.kernel_mut() {
            found(number, loops);
        }
    }
}
