//! A schedule as steps: what each instruction launches, loops, checks and the guard. The same steps are launched one by one,
//! or become one kernel.

use crate::backend::opencl::source::body::{Launch, Launches, Part, Range, SCALARS, Style};
use crate::backend::opencl::source::number::Number;
use crate::backend::opencl::source::{kernel, operator};
use crate::schedule::{ALIGN, BufId, Temporaries};
use crate::schedule::{Buffer, Carry, Instruction, Iterations, Location, Loop, LoopId, MemoryPlan, Schedule, View};
use allotrope_ir::Dim;

/// What runs, in order.
#[derive(Clone, Debug)]
pub enum Step {
    /// What an instruction launches, and its place in the kernels of the schedule; checks have none.
    Run {
        parts: Vec<Part>,
        number: Option<usize>,
    },
    /// Nothing that follows runs where the status word is not 0.
    Guard,
    Loop(Box<LoopStep>),
}

/// A loop of steps.
#[derive(Clone, Debug)]
pub struct LoopStep {
    pub id: LoopId,
    pub length: Dim,
    pub reverse: bool,
    pub iterations: Iterations,
    pub carries: Vec<Carry>,
    pub body: Vec<Step>,
    pub tails: Vec<View>,
}

/// The steps of a schedule.
pub struct Program {
    pub steps: Vec<Step>,
    /// How many launches there are; each has its number.
    pub launches: usize,
    /// Bytes of temporaries that the hungriest instruction needs.
    pub temporaries: Number,
}

impl Program {
    /// The steps for one style of device. As `group`, all of them are to run in one work group.
    pub fn of(schedule: &Schedule, style: Style, group: bool) -> Program {
        let mut program = Program { steps: Vec::new(), launches: 0, temporaries: 0.into() };
        program.steps = program.lower(&schedule.instructions, style, group);
        program
    }

    fn lower(&mut self, instructions: &[Instruction], style: Style, group: bool) -> Vec<Step> {
        let mut steps = Vec::new();
        for instruction in instructions {
            let mut launches = Launches::new(style, group);
            match instruction {
                Instruction::Kernel(k) => kernel::kernel(&mut launches, k),
                Instruction::Operation(o) => operator::operator(&mut launches, &o.operator),
                Instruction::Check { check, condition } => launches.launch(Range::Items(1.into()), |body| {
                    body.uses.state = true;
                    let holds = body.load(condition, &vec!["0L".to_string(); condition.shape.len()]);
                    format!(
                        "__global int *status = (__global int *)state;\n\
                         if (*status == 0 && !({holds})) *status = {};\n",
                        check + 1
                    )
                }),
                Instruction::Guard => {
                    steps.push(Step::Guard);
                    continue;
                }
                Instruction::Loop(l) => {
                    let body = self.lower(&l.body, style, group);
                    steps.push(Step::Loop(Box::new(LoopStep::of(l, body))));
                    continue;
                }
            }
            self.temporaries = std::mem::replace(&mut self.temporaries, 0.into()).max(launches.bytes().clone());
            let mut parts = launches.parts;
            self.count(&mut parts);
            steps.push(Step::Run { parts, number: instruction.number() });
        }
        steps
    }

    fn count(&mut self, parts: &mut [Part]) {
        for part in parts {
            match part {
                Part::Launch(launch) => {
                    launch.number = self.launches;
                    self.launches += 1;
                }
                Part::Choice { yes, no, .. } => {
                    self.count(yes);
                    self.count(no);
                }
            }
        }
    }
}

impl LoopStep {
    fn of(l: &Loop, body: Vec<Step>) -> LoopStep {
        LoopStep {
            id: l.id,
            length: l.length.clone(),
            reverse: l.reverse,
            iterations: l.iterations.clone(),
            carries: l.carries.clone(),
            body,
            tails: l.tails.clone(),
        }
    }
}

/// Calls `f` for each launch, in order, loops included.
pub fn each_launch<'a>(steps: &'a [Step], f: &mut dyn FnMut(&'a Launch)) {
    fn parts<'a>(all: &'a [Part], f: &mut dyn FnMut(&'a Launch)) {
        for part in all {
            match part {
                Part::Launch(launch) => f(launch),
                Part::Choice { yes, no, .. } => {
                    parts(yes, f);
                    parts(no, f);
                }
            }
        }
    }
    for step in steps {
        match step {
            Step::Run { parts: all, .. } => parts(all, f),
            Step::Guard => {}
            Step::Loop(l) => each_launch(&l.body, f),
        }
    }
}

/// Where everything lies in the scratch memory of a run: the buffers, then the state, then the temporaries.
pub struct Layout {
    /// For each buffer of scratch that is used, where it begins in bytes.
    pub buffers: Vec<Option<Number>>,
    pub state: Number,
    pub temporaries: Number,
    /// Bytes of it all.
    pub bytes: Number,
    pub state_bytes: usize,
}

impl Layout {
    pub fn of(schedule: &Schedule, program: &Program) -> Layout {
        let plan = MemoryPlan::of(schedule, &Temporaries::default());
        let mut offsets: Vec<Option<Number>> = vec![None; plan.slots.len()];
        let mut end = Number::from(0);
        // The slots of fixed size first, so that their places are fixed.
        for fixed in [true, false] {
            for (slot, offset) in plan.slots.iter().zip(&mut offsets) {
                if slot.size.as_fixed().is_some() == fixed {
                    *offset = Some(end.clone());
                    end = end.plus(Number::from(&slot.size).max(0).rounded_up(ALIGN));
                }
            }
        }
        let in_slot = |(b, slot): (&Buffer, &Option<usize>)| match b.location {
            Location::Scratch => slot.and_then(|s| offsets[s].clone()),
            Location::Input(_) | Location::Output(_) | Location::Element { .. } | Location::Moving { .. } => None,
        };
        let buffers = schedule.buffers.iter().zip(&plan.slot).map(in_slot).collect();
        let state_bytes = SCALARS + 8 * schedule.scalars.len();
        let state = end.rounded_up(256);
        let temporaries = state.clone().plus(Number::from(state_bytes as i64).rounded_up(256));
        let bytes = temporaries.clone().plus(program.temporaries.clone());
        Layout { buffers, state, temporaries, bytes, state_bytes }
    }

    /// Where a buffer of scratch begins.
    ///
    /// # Panics
    /// Where it is none, or unused: a bug in this library.
    pub fn buffer(&self, b: BufId) -> &Number {
        self.buffers[b.0 as usize].as_ref().expect("bug in allotrope: a buffer without a place")
    }
}
