//! What people are told of the kernels of a program: in the order in which they run, each with the loops around it.

use super::KernelInfo;
use super::program::Step;
use allotrope_ir::Dim;

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
