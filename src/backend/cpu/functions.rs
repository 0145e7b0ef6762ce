//! Cuts a large schedule into functions of bounded size, because register allocation takes more than linear time in the
//! size of a function. What runs, and in which order, stays the same.

use crate::backend::cpu::block_plan::BlockPlans;
use crate::schedule::{ExprKind, Instruction, Kernel, Loop};

/// What the body of a function, or of a loop that was cut, consists of.
pub enum Unit<'a> {
    One(&'a Instruction),
    /// A loop that is too large for one function: it stays, and its body is cut.
    Loop(&'a Loop, Vec<Unit<'a>>),
    /// A call of the function with this number.
    Call(usize),
}

/// The instructions of a schedule by function.
pub struct Functions<'a> {
    /// The one that is entered.
    pub entry: Vec<Unit<'a>>,
    /// Those that it calls, by number.
    pub called: Vec<Vec<&'a Instruction>>,
}

impl<'a> Functions<'a> {
    /// Makes functions of no more than about `most` machine instructions each, unless one instruction has more.
    pub fn of(instructions: &'a [Instruction], plans: &'a BlockPlans, most: usize) -> Functions<'a> {
        let mut cut = Cut { most, plans, called: Vec::new() };
        let whole = instructions.iter().map(|i| cut.weight(i)).sum::<usize>() <= most;
        let entry = if whole { instructions.iter().map(Unit::One).collect() } else { cut.instructions(instructions) };
        Functions { entry, called: cut.called }
    }
}

struct Cut<'a> {
    most: usize,
    plans: &'a BlockPlans,
    called: Vec<Vec<&'a Instruction>>,
}

impl<'a> Cut<'a> {
    /// The instructions, with runs of them replaced by calls.
    fn instructions(&mut self, instructions: &'a [Instruction]) -> Vec<Unit<'a>> {
        let (mut out, mut run, mut size) = (Vec::new(), Vec::new(), 0);
        for instruction in instructions {
            let weight = self.weight(instruction);
            // A guard returns from the whole.
            let stays = match instruction {
                Instruction::Guard => true,
                Instruction::Loop(_) => weight > self.most,
                Instruction::Kernel(_) | Instruction::Operation(_) | Instruction::Check { .. } => false,
            };
            if stays || size + weight > self.most {
                self.close(&mut run, &mut out);
                size = 0;
            }
            match instruction {
                Instruction::Loop(l) if stays => {
                    let body = self.instructions(&l.body);
                    out.push(Unit::Loop(l, body));
                }
                instruction if stays => out.push(Unit::One(instruction)),
                instruction => {
                    run.push(instruction);
                    size += weight;
                }
            }
        }
        self.close(&mut run, &mut out);
        out
    }

    fn close(&mut self, run: &mut Vec<&'a Instruction>, out: &mut Vec<Unit<'a>>) {
        if !run.is_empty() {
            out.push(Unit::Call(self.called.len()));
            self.called.push(std::mem::take(run));
        }
    }

    /// About how many machine instructions an instruction is.
    fn weight(&self, instruction: &Instruction) -> usize {
        match instruction {
            Instruction::Kernel(k) => self.kernel(k),
            Instruction::Operation(_) => 30,
            Instruction::Loop(l) => 20 + 10 * l.carries.len() + l.body.iter().map(|i| self.weight(i)).sum::<usize>(),
            Instruction::Check { .. } | Instruction::Guard => 10,
        }
    }

    /// Every element is computed in a loop of vectors, perhaps unrolled, and in one for what these leave.
    fn kernel(&self, k: &Kernel) -> usize {
        let expr = |kind: &ExprKind| if let ExprKind::Leaf(_) = kind { 20 } else { 8 };
        let exprs: usize = k.exprs.iter().map(|e| expr(&e.kind)).sum();
        let passes = self.plans.of_kernel(k).passes.len();
        20 + exprs + 20 * k.stores.len() + 40 * passes + 10 * k.axes.len()
    }
}
