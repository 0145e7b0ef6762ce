//! Cuts a large program into functions of bounded size, because register allocation takes more than linear time in the
//! size of a function. What runs, and in which order, stays the same.

use crate::schedule::program::{ExprKind, Kernel, Program, ScanStep, Step};

/// Moves steps into `parts`, where the program has more than about `most` instructions; then no function has more,
/// unless one step has.
pub fn split(program: &mut Program, most: usize) {
    if program.steps.iter().map(weight).sum::<usize>() > most {
        let steps = std::mem::take(&mut program.steps);
        program.steps = Cut { most, parts: &mut program.parts }.steps(steps);
    }
}

struct Cut<'a> {
    most: usize,
    parts: &'a mut Vec<Vec<Step>>,
}

impl Cut<'_> {
    /// The steps, with runs of them replaced by parts. A loop too large for one part stays, and its body is cut.
    fn steps(&mut self, steps: Vec<Step>) -> Vec<Step> {
        let (mut out, mut run, mut size) = (Vec::new(), Vec::new(), 0);
        for step in steps {
            let weight = weight(&step);
            // A guard returns from the whole.
            let stays = matches!(step, Step::Guard) || matches!(step, Step::Scan(_)) && weight > self.most;
            if stays || size + weight > self.most {
                self.close(&mut run, &mut out);
                size = 0;
            }
            match step {
                Step::Scan(s) if stays => {
                    let body = self.steps(s.body);
                    out.push(Step::Scan(ScanStep { body, ..s }));
                }
                step if stays => out.push(step),
                step => {
                    run.push(step);
                    size += weight;
                }
            }
        }
        self.close(&mut run, &mut out);
        out
    }

    fn close(&mut self, run: &mut Vec<Step>, out: &mut Vec<Step>) {
        if !run.is_empty() {
            out.push(Step::Part(self.parts.len()));
            self.parts.push(std::mem::take(run));
        }
    }
}

/// About how many instructions a step is.
fn weight(step: &Step) -> usize {
    match step {
        Step::Kernel(k) => kernel(k),
        Step::Matmul(_) | Step::Reduce(_) | Step::Library(_) => 30,
        Step::Scan(s) => 20 + 10 * s.carries.len() + s.body.iter().map(weight).sum::<usize>(),
        Step::Check { .. } | Step::Guard | Step::Part(_) => 10,
    }
}

/// Every element is computed in a loop of vectors, perhaps unrolled, and in one for what these leave.
fn kernel(k: &Kernel) -> usize {
    let expr = |kind: &ExprKind| if let ExprKind::Leaf(_) = kind { 20 } else { 8 };
    let exprs: usize = k.exprs.iter().map(|e| expr(&e.kind)).sum();
    20 + exprs + 20 * k.stores.len() + 40 * k.stages.len() + 10 * k.axes.len()
}
