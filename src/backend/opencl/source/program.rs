//! A schedule as steps: what each instruction launches, loops, checks and the guard. The same steps are launched one by one,
//! or become one kernel.

use crate::backend::opencl::source::body::{Body, Launch, Launches, Part, Range, SCALARS, Style};
use crate::backend::opencl::source::number::Number;
use crate::backend::opencl::source::{kernel, operator};
use crate::schedule::{
    ALIGN, BufId, Buffer, Carry, Instruction, Iterations, Location, Loop, LoopId, MemoryPlan, Next, Schedule,
    Temporaries, View,
};
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
    /// Says before each round whether there is one, where rounds are launched before that is known.
    pub head: Option<Launch>,
    pub body: Vec<Step>,
    pub tails: Vec<View>,
    /// Where a branch was launched that is not taken: what it would have left behind is what was there before.
    pub untaken: Vec<Launch>,
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
        program.steps = program.lower(schedule, &schedule.instructions, style, group, None);
        program
    }

    fn lower(
        &mut self,
        schedule: &Schedule,
        instructions: &[Instruction],
        style: Style,
        group: bool,
        live: Option<LoopId>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        for instruction in instructions {
            let mut launches = Launches::new(style, group);
            match instruction {
                Instruction::Kernel(k) => kernel::kernel(&mut launches, k),
                Instruction::Operation(o) => {
                    // Inside of one work group there are no others to share with.
                    launches.style = if group { Style::Cpu } else { style };
                    operator::operator(&mut launches, &o.operator);
                }
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
                    let ahead = !group && runs_ahead(schedule, l);
                    let head = ahead.then(|| self.numbered(head(schedule, l)));
                    let live = if ahead { Some(l.id) } else { live };
                    let body = self.lower(schedule, &l.body, style, group, live);
                    let untaken = match l.iterations {
                        Iterations::Count(_) if ahead => untaken(schedule, l),
                        Iterations::All | Iterations::Count(_) | Iterations::While { .. } => Vec::new(),
                    };
                    let untaken = untaken.into_iter().map(|launch| self.numbered(launch)).collect();
                    steps.push(Step::Loop(Box::new(LoopStep::of(l, head, body, untaken))));
                    continue;
                }
            }
            self.temporaries = std::mem::replace(&mut self.temporaries, 0.into()).max(launches.bytes().clone());
            let mut parts = launches.parts;
            self.count(&mut parts, live);
            steps.push(Step::Run { parts, number: instruction.number() });
        }
        steps
    }

    fn numbered(&mut self, mut launch: Launch) -> Launch {
        launch.number = self.launches;
        self.launches += 1;
        launch
    }

    fn count(&mut self, parts: &mut [Part], live: Option<LoopId>) {
        for part in parts {
            match part {
                Part::Launch(launch) => {
                    launch.number = self.launches;
                    launch.live = live;
                    launch.uses.state |= live.is_some();
                    self.launches += 1;
                }
                Part::Choice { yes, no, .. } => {
                    self.count(yes, live);
                    self.count(no, live);
                }
            }
        }
    }
}

impl LoopStep {
    fn of(l: &Loop, head: Option<Launch>, body: Vec<Step>, untaken: Vec<Launch>) -> LoopStep {
        LoopStep {
            id: l.id,
            length: l.length.clone(),
            reverse: l.reverse,
            iterations: l.iterations.clone(),
            carries: l.carries.clone(),
            head,
            body,
            tails: l.tails.clone(),
            untaken,
        }
    }
}

/// Where in the state it is said whether a loop goes on, an `int`, and 8 bytes on how many rounds it had, a `long`.
pub fn live(schedule: &Schedule, l: LoopId) -> usize {
    SCALARS + 8 * schedule.scalars.len() + 16 * l.0 as usize
}

/// Whether the host launches rounds of a loop before it knows whether they are wanted: what decides is on the device, and
/// nothing in the rounds has to be known by the host.
fn runs_ahead(schedule: &Schedule, l: &Loop) -> bool {
    fn asks(instructions: &[Instruction]) -> bool {
        instructions.iter().any(|i| match i {
            Instruction::Loop(l) => !matches!(l.iterations, Iterations::All) || asks(&l.body),
            Instruction::Kernel(_) | Instruction::Operation(_) | Instruction::Check { .. } | Instruction::Guard => {
                false
            }
        })
    }
    let decides = match &l.iterations {
        Iterations::All => false,
        Iterations::While { .. } => true,
        // A branch whose results have places of their own, so that they can be there whether it is taken or not.
        Iterations::Count(_) => l.length == Dim::Fixed(1) && own_places(schedule, l),
    };
    decides && !asks(&l.body)
}

/// Where a carry is after the first round.
fn after_one(carry: &Carry) -> BufId {
    match &carry.next {
        Next::At(b) => *b,
        Next::PingPong { buffers, .. } => buffers[0],
    }
}

/// Whether each carry is written by the first round to memory that nothing else is in.
fn own_places(schedule: &Schedule, l: &Loop) -> bool {
    l.carries.iter().enumerate().all(|(i, carry)| {
        let place = after_one(carry);
        let written = match schedule.buffer(place).location {
            Location::Scratch | Location::Output(_) => true,
            Location::Input(_) | Location::Element { .. } | Location::Moving { .. } => false,
        };
        written
            && l.carries
                .iter()
                .enumerate()
                .all(|(j, other)| (i == j || after_one(other) != place) && other.init.buf() != Some(place))
    })
}

/// The launches that make the results of a branch what was there before, where it is not taken.
fn untaken(schedule: &Schedule, l: &Loop) -> Vec<Launch> {
    let mut launches = Launches::new(Style::Gpu, false);
    let state = |body: &mut Body| {
        body.uses.state = true;
        format!("if (*(__global const int *)(state + {})) return;\n", live(schedule, l.id))
    };
    for carry in &l.carries {
        launches.launch(Range::Items(Number::product(&carry.init.shape)), |body| {
            let (state, from, to) = (state(body), body.pointer(&carry.init), body.buffer(after_one(carry)));
            format!("{state}{to}[item] = {from}[item];\n")
        });
    }
    for tail in &l.tails {
        launches.launch(Range::Items(Number::product(&tail.shape)), |body| {
            format!("{}{}[item] = 0;\n", state(body), body.pointer(tail))
        });
    }
    let launch = |part| match part {
        Part::Launch(launch) => launch,
        Part::Choice { .. } => unreachable!("bug in allotrope: no choice was made"),
    };
    launches.parts.into_iter().map(launch).collect()
}

/// The launch that says whether a loop has one more round.
fn head(schedule: &Schedule, l: &Loop) -> Launch {
    let mut launches = Launches::new(Style::Cpu, false);
    launches.launch(Range::Items(1.into()), |body| {
        body.uses.state = true;
        let first = |body: &mut Body, view: &View| body.load(view, &vec!["0L".to_string(); view.shape.len()]);
        let at = live(schedule, l.id);
        let mut text = format!(
            "__global int *live = (__global int *)(state + {at});\n\
             __global long *count = (__global long *)(state + {at} + 8);\nif (!*live) return;\n"
        );
        let length = body.number(&l.length);
        match &l.iterations {
            Iterations::All => {}
            Iterations::Count(n) => {
                let n = first(body, n);
                text.push_str(&format!("if (*count >= {n} || *count >= {length}) {{ *live = 0; return; }}\n"));
            }
            Iterations::While { flag, limit } => {
                let flag = first(body, flag);
                text.push_str("__global int *status = (__global int *)state;\n");
                let failed = if schedule.checks.is_empty() { "" } else { "*status || " };
                text.push_str(&format!("if ({failed}!({flag})) {{ *live = 0; return; }}\n"));
                if let Some(check) = limit {
                    text.push_str(&format!(
                        "if (*count >= {length}) {{ *status = {}; *live = 0; return; }}\n",
                        check + 1
                    ));
                }
            }
        }
        text + "*count += 1;\n"
    });
    match launches.parts.pop() {
        Some(Part::Launch(launch)) => launch,
        _ => unreachable!("bug in allotrope: one launch was made"),
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
            Step::Loop(l) => {
                l.head.iter().for_each(&mut *f);
                each_launch(&l.body, f);
                l.untaken.iter().for_each(&mut *f);
            }
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
        let state_bytes = live(schedule, LoopId(schedule.loops.len() as u32));
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
