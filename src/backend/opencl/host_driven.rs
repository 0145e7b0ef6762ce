//! One run of a compiled schedule: where everything lies, and the launches that the host gives one after the other, with its
//! loops. It builds nothing.

use crate::backend::Stop;
use crate::backend::opencl::executable::{Code, Kernels, Lowered};
use crate::backend::opencl::handles::{Arg, Buffer, Event};
use crate::backend::opencl::source::body::{Launch, Part, Range, Style};
use crate::backend::opencl::source::launched::{Function, Parameter};
use crate::backend::opencl::source::number::value;
use crate::backend::opencl::source::program::{LoopStep, Step, live};
use crate::error::Result;
use crate::schedule::{Base, BufId, Failure, Iterations, Location, Next, View, numel};
use allotrope_ir::{Dim, Scalar};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Memory, and a byte in it.
pub type Place<'a> = (&'a Buffer, i64);

/// Items of a work group where a launch does not say.
const ITEMS: usize = 64;

/// Rounds of a loop that are launched at a time before it is asked whether it has ended.
const MOST_AHEAD: usize = 64;

/// A launch of which the time is taken.
pub struct Timed {
    /// Its place in the kernels of the schedule, some of which are several launches.
    pub kernel: usize,
    /// Whether a run of that kernel begins with it.
    pub begins: bool,
    pub event: Event,
}

/// A run of a schedule.
pub struct Run<'a> {
    code: &'a Code,
    lowered: &'a Lowered,
    binding: &'a [usize],
    inputs: &'a [Place<'a>],
    outputs: &'a [Place<'a>],
    scratch: Place<'a>,
    /// The index of each loop that is running.
    index: FxHashMap<u32, i64>,
    /// Where each moving buffer is.
    moving: FxHashMap<u32, Place<'a>>,
    /// The launches, where times are taken.
    pub events: Option<Vec<Timed>>,
    /// Whether the next launch is the first one of its kernel's run.
    begins: bool,
    /// How many launches there were.
    pub launches: usize,
    kernels: Option<&'a Kernels>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        code: &'a Code,
        lowered: &'a Lowered,
        binding: &'a [usize],
        inputs: &'a [Place<'a>],
        outputs: &'a [Place<'a>],
        scratch: Place<'a>,
    ) -> Run<'a> {
        Run {
            code,
            lowered,
            binding,
            inputs,
            outputs,
            scratch,
            index: FxHashMap::default(),
            moving: FxHashMap::default(),
            events: None,
            begins: false,
            launches: 0,
            kernels: None,
        }
    }

    /// The number of a dimension or stride.
    fn number(&self, d: &Dim) -> i64 {
        value(d, self.binding)
    }

    fn in_scratch(&self, at: i64) -> Place<'a> {
        (self.scratch.0, self.scratch.1 + at)
    }

    fn state(&self) -> Place<'a> {
        self.in_scratch(self.lowered.layout.state.eval(self.binding))
    }

    /// Where a buffer begins.
    fn place(&self, b: BufId) -> Place<'a> {
        let buffer = self.code.schedule.buffer(b);
        match &buffer.location {
            Location::Input(i) => self.inputs[*i],
            Location::Output(j) => self.outputs[self.code.fresh[*j].expect("bug in allotrope: no output of its own")],
            Location::Scratch => self.in_scratch(self.lowered.layout.buffer(b).eval(self.binding)),
            Location::Element { of, offset, stride, of_loop } => {
                let (memory, at) = self.place(*of);
                let elements = self.number(offset) + self.index[&of_loop.0] * self.number(stride);
                (memory, at + elements * buffer.dtype.size() as i64)
            }
            Location::Moving { .. } => self.moving[&b.0],
        }
    }

    /// Where a view of memory has its element at position 0.
    fn first(&self, view: &View) -> Place<'a> {
        let (memory, at) = self.place(view.buf().expect("bug in allotrope: a view of no memory"));
        (memory, at + self.number(&view.offset) * view.dtype.size() as i64)
    }

    /// The arguments of a function.
    pub fn arguments(&self, function: &Function, items: i64) -> Vec<Arg<'a>> {
        let mut args = Vec::with_capacity(2 * function.parameters.len());
        let place = |args: &mut Vec<Arg<'a>>, (memory, at): Place<'a>| {
            args.extend([Arg::Buffer(memory), Arg::Long(at)]);
        };
        for parameter in &function.parameters {
            match parameter {
                Parameter::Buffer(b) => place(&mut args, self.place(*b)),
                Parameter::Scratch => place(&mut args, self.scratch),
                Parameter::State => place(&mut args, self.state()),
                Parameter::Temporaries => {
                    place(&mut args, self.in_scratch(self.lowered.layout.temporaries.eval(self.binding)))
                }
                Parameter::Symbol(s) => args.push(Arg::Long(self.binding[*s as usize] as i64)),
                Parameter::Number(n) => args.push(Arg::Long(n.eval(self.binding))),
                Parameter::Items => args.push(Arg::Long(items)),
            }
        }
        args
    }

    /// The check that has failed, once all that was launched is done; none where the schedule has no checks.
    ///
    /// # Errors
    /// When the device fails.
    pub fn status(&self) -> Result<Option<Failure>> {
        if self.code.schedule.checks.is_empty() {
            return Ok(None);
        }
        let mut word = [0; 4];
        self.read(self.state(), &mut word)?;
        let word = i32::from_ne_bytes(word);
        Ok(usize::try_from(word - 1).ok().map(|check| self.code.schedule.checks[check].clone()))
    }

    fn read(&self, (memory, at): Place<'_>, to: &mut [u8]) -> Result<()> {
        self.code.opened.read(memory, at as usize, to)
    }

    /// Runs all steps.
    ///
    /// # Errors
    /// The check that failed, or the device.
    pub fn launch_all(&mut self) -> Result<(), Stop> {
        self.kernels = Some(self.lowered.kernels(&self.code.opened).map_err(Stop::Device)?);
        if !self.code.schedule.checks.is_empty() {
            let (memory, at) = self.state();
            let at = at as usize;
            self.code.opened.fill(memory, at..at + 4, &[0; 4]).map_err(Stop::Device)?;
        }
        let lowered = self.lowered;
        self.steps(&lowered.program.steps)
    }

    fn steps(&mut self, steps: &'a [Step]) -> Result<(), Stop> {
        for step in steps {
            match step {
                Step::Run { parts, number } => {
                    self.begins = true;
                    self.parts(parts, *number).map_err(Stop::Device)?;
                }
                Step::Guard => {
                    if let Some(failure) = self.status().map_err(Stop::Device)? {
                        return Err(Stop::Failed(failure));
                    }
                }
                Step::Loop(l) => self.repeat(l)?,
            }
        }
        Ok(())
    }

    fn parts(&mut self, parts: &'a [Part], number: Option<usize>) -> Result<()> {
        for part in parts {
            match part {
                Part::Launch(launch) => self.launch(launch, number)?,
                Part::Choice { condition, yes, no } => {
                    let taken = if condition.eval(self.binding) != 0 { yes } else { no };
                    self.parts(taken, number)?;
                }
            }
        }
        Ok(())
    }

    fn launch(&mut self, launch: &Launch, number: Option<usize>) -> Result<()> {
        let function = &self.lowered.functions[launch.number];
        let (items, global, local) = match &launch.range {
            Range::Items(n) => {
                let n = n.eval(self.binding);
                // A device of few threads takes items one by one where each has a block to work on.
                let size = match self.code.style {
                    Style::Cpu if n <= 1024 => 1,
                    Style::Cpu | Style::Gpu => ITEMS,
                };
                (n, (n.max(0) as usize).next_multiple_of(size), size)
            }
            Range::Groups { groups, size } => {
                let n = groups.eval(self.binding);
                (n, n.max(0) as usize * size, *size)
            }
        };
        if items <= 0 {
            return Ok(());
        }
        let args = self.arguments(function, items);
        let kernel = &self.kernels.expect("set before").all[function.kernel];
        self.launches += 1;
        let timed = self.events.is_some();
        let event = self.code.opened.launch(kernel, &args, [global, 1, 1], Some([local, 1, 1]), timed)?;
        if let (Some(events), Some(event), Some(number)) = (&mut self.events, event, number) {
            events.push(Timed { kernel: number, begins: std::mem::take(&mut self.begins), event });
        }
        Ok(())
    }

    /// The one element of a view that is read on the host.
    fn element(&self, view: &View) -> Result<i64> {
        match &view.base {
            Base::Const(Scalar::I64(n)) => Ok(*n),
            Base::Const(Scalar::Bool(b)) => Ok((*b).into()),
            Base::Const(other) => unreachable!("bug in allotrope: {other:?} decides about a loop"),
            Base::Extent(d) => Ok(self.number(d)),
            Base::Index => Ok(self.number(&view.offset)),
            Base::Scalar(s) => {
                let (memory, at) = self.state();
                let at = at + (crate::backend::opencl::source::body::SCALARS + 8 * s.0 as usize) as i64;
                self.number_at((memory, at), view.dtype.size())
            }
            Base::Buf(_) => self.number_at(self.first(view), view.dtype.size()),
        }
    }

    /// A bool, or a number of eight bytes.
    fn number_at(&self, place: Place<'_>, size: usize) -> Result<i64> {
        let mut bytes = [0; 8];
        self.read(place, &mut bytes[..size])?;
        Ok(i64::from_le_bytes(bytes))
    }

    fn repeat(&mut self, l: &'a LoopStep) -> Result<(), Stop> {
        let length = self.number(&l.length);
        let known = match &l.iterations {
            Iterations::All => Some(length),
            Iterations::Count(_) if l.head.is_some() => None,
            Iterations::Count(n) => Some(self.element(n).map_err(Stop::Device)?.clamp(0, length)),
            Iterations::While { .. } => None,
        };
        for carry in &l.carries {
            let init = self.first(&carry.init);
            self.moving.insert(carry.current.0, init);
        }
        let done = match &l.head {
            Some(head) => self.rounds_ahead(l, head).map_err(Stop::Device)?,
            None => self.rounds(l, length, known)?,
        };
        for tail in &l.tails {
            self.clear(tail, done, length).map_err(Stop::Device)?;
        }
        Ok(())
    }

    /// One round of a loop.
    fn round(&mut self, l: &'a LoopStep, done: i64, index: i64) -> Result<(), Stop> {
        self.index.insert(l.id.0, index);
        for carry in &l.carries {
            if let Next::PingPong { target, buffers } = &carry.next {
                let place = self.place(buffers[(done % 2) as usize]);
                self.moving.insert(target.0, place);
            }
        }
        self.steps(&l.body)?;
        for carry in &l.carries {
            let next = match &carry.next {
                Next::At(b) => self.place(*b),
                Next::PingPong { target, .. } => self.place(*target),
            };
            self.moving.insert(carry.current.0, next);
        }
        Ok(())
    }

    /// Launches rounds, each of which does nothing where the loop has ended, and then asks how many there were: after one,
    /// two more, four more, and so on.
    fn rounds_ahead(&mut self, l: &'a LoopStep, head: &'a Launch) -> Result<i64> {
        let (memory, state) = self.state();
        let at = state as usize + live(&self.code.schedule, l.id);
        let mut words = [0; 16];
        words[0] = 1;
        self.code.opened.write(memory, at, &words)?;
        let (mut launched, mut batch) = (0, 1);
        // A branch that leaves nothing to be asked for.
        let once = matches!(l.iterations, Iterations::Count(_));
        loop {
            let mut carried = Vec::with_capacity(batch + 1);
            for _ in 0..batch {
                carried.push(self.carried(l));
                self.launch(head, None)?;
                self.round(l, launched, launched).map_err(|stop| match stop {
                    Stop::Device(e) => e,
                    Stop::Failed(failure) => unreachable!("bug in allotrope: a guard in a loop: {failure}"),
                })?;
                launched += 1;
            }
            if once {
                return Ok(1);
            }
            self.read((memory, at as i64), &mut words)?;
            let count = i64::from_le_bytes(*words.last_chunk().expect("it is longer"));
            if words[0] == 0 {
                // The carries are where the last round that ran has put them.
                carried.push(self.carried(l));
                let first = launched - batch as i64;
                for (carry, place) in l.carries.iter().zip(&carried[(count - first) as usize]) {
                    self.moving.insert(carry.current.0, *place);
                }
                return Ok(count);
            }
            batch = (2 * batch).min(MOST_AHEAD);
        }
    }

    /// Where the carries of a loop are.
    fn carried(&self, l: &LoopStep) -> SmallVec<[Place<'a>; 4]> {
        l.carries.iter().map(|c| self.moving[&c.current.0]).collect()
    }

    /// Rounds of which each is known before it is launched; gives their number.
    fn rounds(&mut self, l: &'a LoopStep, length: i64, known: Option<i64>) -> Result<i64, Stop> {
        let mut done = 0;
        loop {
            match (&l.iterations, known) {
                (Iterations::While { flag, limit }, _) => {
                    let failed = self.status().map_err(Stop::Device)?.is_some();
                    if failed || self.element(flag).map_err(Stop::Device)? == 0 {
                        break;
                    }
                    if let (Some(check), true) = (limit, done >= length) {
                        let (memory, at) = self.state();
                        let word = (*check as i32 + 1).to_ne_bytes();
                        self.code.opened.write(memory, at as usize, &word).map_err(Stop::Device)?;
                        break;
                    }
                }
                (Iterations::All | Iterations::Count(_), known) => {
                    if Some(done) >= known {
                        break;
                    }
                }
            }
            let index = match known {
                Some(n) if l.reverse => n - 1 - done,
                _ => done,
            };
            self.round(l, done, index)?;
            done += 1;
        }
        Ok(done)
    }

    /// Sets the elements of the first axis from `begin` on to 0.
    fn clear(&self, tail: &View, begin: i64, length: i64) -> Result<()> {
        let one = self.number(&numel(&tail.shape[1..])) * tail.dtype.size() as i64;
        let (memory, at) = self.first(tail);
        let bytes = (length - begin).max(0) * one;
        if bytes == 0 {
            return Ok(());
        }
        let from = (at + begin * one) as usize;
        self.code.opened.fill(memory, from..from + bytes as usize, &[0])
    }
}
