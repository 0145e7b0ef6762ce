//! A whole program as one kernel that one work group runs: launches become loops over their items with barriers between
//! them, and loops stay loops. It decides nothing about when that is worth it.

use crate::backend::opencl::source::body::{Body, Launch, Part, Range, Uses, c_type};
use crate::backend::opencl::source::launched::{Function, Parameter};
use crate::backend::opencl::source::program::{Layout, LoopStep, Program, Step, each_launch};
use crate::schedule::{BufId, Iterations, Location, LoopId, Next, Schedule, View, numel};
use std::collections::BTreeSet;

/// The name of the kernel.
pub const NAME: &str = "at_program";

struct Text<'a> {
    schedule: &'a Schedule,
    /// Items of the work group.
    size: usize,
    /// The buffers that something names, and those that these are elements of.
    used: BTreeSet<BufId>,
    text: String,
    uses: Uses,
}

/// The kernel of a program, and its text without what it calls. `size` is that of the work group.
pub fn function(schedule: &Schedule, program: &Program, layout: &Layout, size: usize) -> (Function, String) {
    let used = used(schedule, &program.steps);
    let mut t = Text { schedule, size, used, text: String::new(), uses: Uses::default() };
    t.steps(&program.steps);
    let body = std::mem::take(&mut t.text);
    let (mut parameters, mut declared, mut prologue) = (Vec::new(), Vec::new(), String::new());
    for (i, buffer) in schedule.buffers.iter().enumerate() {
        let (b, ty) = (BufId(i as u32), c_type(buffer.dtype));
        match &buffer.location {
            Location::Input(_) | Location::Output(_) => {
                parameters.push(Parameter::Buffer(b));
                declared.push(format!("__global uchar *m{i}, const long o{i}"));
                prologue.push_str(&format!("__global {ty} *const b{i} = (__global {ty} *)(m{i} + o{i});\n"));
            }
            Location::Scratch => {
                if let Some(offset) = &layout.buffers[i] {
                    let at = offset.text(&mut t.uses.symbols);
                    prologue.push_str(&format!("__global {ty} *const b{i} = (__global {ty} *)(scratch + {at});\n"));
                }
            }
            Location::Moving { .. } => prologue.push_str(&format!("__global {ty} *b{i};\n")),
            Location::Element { .. } => {}
        }
    }
    parameters.push(Parameter::Scratch);
    declared.push("__global uchar *mr, const long om".to_string());
    let (state, temporaries) = (layout.state.text(&mut t.uses.symbols), layout.temporaries.text(&mut t.uses.symbols));
    let scratch = format!(
        "__global uchar *const scratch = mr + om;\n\
         __global uchar *const state = scratch + {state};\n\
         __global uchar *const temporaries = scratch + {temporaries};\n"
    );
    let mut begin = String::new();
    if !schedule.checks.is_empty() {
        begin.push_str("if (get_local_id(0) == 0) *(__global int *)state = 0;\n");
        begin.push_str(t.barrier());
    }
    parameters.extend(t.uses.symbols.iter().map(|s| Parameter::Symbol(*s)));
    declared.extend(t.uses.symbols.iter().map(|s| format!("const long s{s}")));
    let text = format!(
        "__kernel __attribute__((reqd_work_group_size({size}, 1, 1)))\nvoid {NAME}({}) {{\n{scratch}{prologue}{begin}{body}}}\n",
        declared.join(", ")
    );
    (Function { kernel: 0, parameters }, text)
}

fn used(schedule: &Schedule, steps: &[Step]) -> BTreeSet<BufId> {
    let mut found = BTreeSet::new();
    each_launch(steps, &mut |launch| found.extend(&launch.uses.buffers));
    fn carries(steps: &[Step], found: &mut BTreeSet<BufId>) {
        for step in steps {
            if let Step::Loop(l) = step {
                for carry in &l.carries {
                    found.extend(carry.init.buf());
                    if let Next::At(b) = &carry.next {
                        found.insert(*b);
                    }
                }
                match &l.iterations {
                    Iterations::All => {}
                    Iterations::Count(view) | Iterations::While { flag: view, .. } => found.extend(view.buf()),
                }
                carries(&l.body, found);
            }
        }
    }
    carries(steps, &mut found);
    let mut open: Vec<BufId> = found.iter().copied().collect();
    while let Some(b) = open.pop() {
        if let Location::Element { of, .. } = &schedule.buffer(b).location
            && found.insert(*of)
        {
            open.push(*of);
        }
    }
    found
}

/// The variable that is the index of a loop.
fn index(id: LoopId) -> String {
    format!("t{}", id.0)
}

impl Text<'_> {
    /// What makes the writes of all items seen by all.
    fn barrier(&self) -> &'static str {
        if self.size > 1 { "barrier(CLK_GLOBAL_MEM_FENCE);\n" } else { "" }
    }

    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Run { parts, .. } => self.parts(parts, &[]),
                Step::Guard => self.text.push_str("if (*(__global const int *)state) return;\n"),
                Step::Loop(l) => self.repeat(l),
            }
        }
    }

    /// Launches, of which those that a condition keeps out have no items. No barrier stands inside of an `if`: there PoCL 3.1
    /// lets every item run the first round of a loop that follows, whatever its bound, where that loop has one of its own inside.
    fn parts(&mut self, parts: &[Part], conditions: &[String]) {
        for part in parts {
            match part {
                Part::Launch(launch) => self.launch(launch, conditions),
                Part::Choice { condition, yes, no } => {
                    let condition = format!("({})", condition.text(&mut self.uses.symbols));
                    self.parts(yes, &[conditions, std::slice::from_ref(&condition)].concat());
                    self.parts(no, &[conditions, &[format!("!{condition}")]].concat());
                }
            }
        }
    }

    fn launch(&mut self, launch: &Launch, conditions: &[String]) {
        let Range::Items(items) = &launch.range else { panic!("bug in allotrope: work groups inside of one") };
        self.uses.extend(&launch.uses);
        let first = if self.size > 1 { "get_local_id(0)" } else { "0" };
        let head = match items.fixed() {
            Some(1) if self.size == 1 && conditions.is_empty() => "{\nconst long item = 0;\n".to_string(),
            _ => {
                let items = items.text(&mut self.uses.symbols);
                let items = match conditions {
                    [] => items,
                    _ => format!("({} ? {items} : 0)", conditions.join(" && ")),
                };
                format!("for (long item = {first}; item < {items}; item += {}) {{\n", self.size)
            }
        };
        let barrier = self.barrier();
        self.text.push_str(&head);
        for (i, number) in launch.uses.arguments.iter().enumerate() {
            let number = number.text(&mut self.uses.symbols);
            self.text.push_str(&format!("const long q{i} = {number};\n"));
        }
        self.text.push_str(&launch.text);
        self.text.push_str("}\n");
        self.text.push_str(barrier);
    }

    /// What a generator writes with, at the level of the whole group.
    fn with<T>(&mut self, f: impl FnOnce(&mut Body) -> T) -> T {
        let mut body = Body { uses: std::mem::take(&mut self.uses) };
        let result = f(&mut body);
        self.uses = body.uses;
        result
    }

    fn first(&mut self, view: &View) -> String {
        let indices = vec!["0L".to_string(); view.shape.len()];
        self.with(|body| body.load(view, &indices))
    }

    fn repeat(&mut self, l: &LoopStep) {
        let (t, id) = (index(l.id), l.id.0);
        let length = self.with(|body| body.number(&l.length));
        let iterations = match &l.iterations {
            Iterations::Count(n) => format!("min(max({}, 0L), {length})", self.first(n)),
            Iterations::All | Iterations::While { .. } => length,
        };
        self.text.push_str(&format!("{{\nconst long n{id} = {iterations};\n"));
        for carry in &l.carries {
            let init = self.with(|body| body.pointer(&carry.init));
            self.text.push_str(&format!("b{} = {init};\n", carry.current.0));
            if let Next::PingPong { target, buffers } = &carry.next {
                self.text.push_str(&format!("b{} = b{};\n", target.0, buffers[0].0));
            }
        }
        // All items have read what they decide by before any of them goes on.
        let barrier = self.barrier();
        self.text.push_str(barrier);
        self.text.push_str(&format!("long r{id} = 0;\nfor (;; r{id}++) {{\n"));
        match &l.iterations {
            Iterations::All | Iterations::Count(_) => self.text.push_str(&format!("if (r{id} >= n{id}) break;\n")),
            Iterations::While { flag, limit } => {
                let failed = match self.schedule.checks.is_empty() {
                    true => "",
                    false => "*(__global const int *)state || ",
                };
                let flag = self.first(flag);
                self.text.push_str(&format!("if ({failed}!({flag})) break;\n"));
                self.text.push_str(barrier);
                if let Some(check) = limit {
                    let first = if self.size > 1 { " && get_local_id(0) == 0" } else { "" };
                    let over = format!("r{id} >= n{id}");
                    self.text.push_str(&format!(
                        "if ({over}{first}) *(__global int *)state = {};\nif ({over}) break;\n",
                        check + 1
                    ));
                }
            }
        }
        let now = if l.reverse { format!("n{id} - 1 - r{id}") } else { format!("r{id}") };
        self.text.push_str(&format!("const long {t} = {now};\n"));
        self.elements(l.id);
        self.steps(&l.body);
        for carry in &l.carries {
            match &carry.next {
                Next::At(b) => self.text.push_str(&format!("b{} = b{};\n", carry.current.0, b.0)),
                Next::PingPong { target, buffers: [a, b] } => self.text.push_str(&format!(
                    "b{} = b{target};\nb{target} = b{target} == b{} ? b{} : b{};\n",
                    carry.current.0,
                    a.0,
                    b.0,
                    a.0,
                    target = target.0
                )),
            }
        }
        self.text.push_str("}\n");
        if let Iterations::While { limit: Some(_), .. } = &l.iterations {
            // The status is there before anything reads it.
            self.text.push_str(barrier);
        }
        for tail in &l.tails {
            let one = numel(&tail.shape[1..]);
            let (base, one) = self.with(|body| (body.pointer(tail), body.number(&one)));
            let length = self.with(|body| body.number(&l.length));
            let first = if self.size > 1 { "get_local_id(0)" } else { "0" };
            self.text.push_str(&format!(
                "for (long i = r{id} * {one} + {first}; i < {length} * {one}; i += {}) {base}[i] = 0;\n{barrier}",
                self.size
            ));
        }
        self.text.push_str("}\n");
    }

    /// Where the elements of this iteration are.
    fn elements(&mut self, id: LoopId) {
        for (i, buffer) in self.schedule.buffers.iter().enumerate() {
            let Location::Element { of, offset, stride, of_loop } = &buffer.location else { continue };
            if *of_loop != id || !self.used.contains(&BufId(i as u32)) {
                continue;
            }
            let ty = c_type(buffer.dtype);
            let (offset, stride) = self.with(|body| (body.number(offset), body.number(stride)));
            self.text.push_str(&format!(
                "__global {ty} *const b{i} = b{} + ({offset} + {}*{stride});\n",
                of.0,
                index(id)
            ));
        }
    }
}
