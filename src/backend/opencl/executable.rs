//! A schedule compiled for a device: as launches that the host drives, or as one kernel of one work group, whichever is
//! sooner done for the sizes of a call. Each form is built when it is first needed. The bits are those of either.

use crate::backend::opencl::device::Opened;
use crate::backend::opencl::handles::{Kernel, Kind, Program as Built};
use crate::backend::opencl::host_driven::{Place, Run, Timed};
use crate::backend::opencl::memory::block;
use crate::backend::opencl::remarks;
use crate::backend::opencl::source::body::Style;
use crate::backend::opencl::source::launched::{self, Function, Parameter};
use crate::backend::opencl::source::math::Arithmetic;
use crate::backend::opencl::source::program::{Layout, Program};
use crate::backend::opencl::source::{single, text};
use crate::backend::opencl::verdict::What;
use crate::backend::{BufferInfo, CompileOptions, Event, Executable, Input, KernelTime, Memory, Profile, Stop};
use crate::error::{Error, Result};
use crate::schedule::{KernelInfo, MemoryPlan, Schedule, Temporaries};
use smallvec::SmallVec;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Items of the work group of a whole program, where items share the work.
const GROUP: usize = 256;
/// Bytes of arguments that every device takes.
const PARAMETER_BYTES: usize = 1024;

/// Which form of a program runs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each launch by itself.
    Launched,
    /// All in one kernel.
    Single,
}

/// What is not left to be decided by the device and the sizes: for tests, which try all of it on one device.
#[derive(Copy, Clone, Debug, Default)]
pub struct Forced {
    pub style: Option<Style>,
    pub form: Option<Form>,
}

impl Forced {
    /// What `ALLOTROPE_OPENCL_STYLE` (cpu or gpu) and `ALLOTROPE_OPENCL_FORM` (launched or single) say.
    pub fn by_environment() -> Forced {
        let of = |name: &str| std::env::var(name).unwrap_or_default();
        let style = match of("ALLOTROPE_OPENCL_STYLE").as_str() {
            "cpu" => Some(Style::Cpu),
            "gpu" => Some(Style::Gpu),
            _ => None,
        };
        let form = match of("ALLOTROPE_OPENCL_FORM").as_str() {
            "launched" => Some(Form::Launched),
            "single" => Some(Form::Single),
            _ => None,
        };
        Forced { style, form }
    }
}

/// A compiled schedule.
pub struct Code {
    pub(super) opened: Arc<Opened>,
    pub(super) schedule: Schedule,
    pub(super) style: Style,
    launched: OnceLock<Lowered>,
    single: OnceLock<Lowered>,
    /// Always this form.
    forced: Option<Form>,
    /// Compiled to be timed.
    timed: bool,
    /// For each output, its place among those that update no input.
    pub(super) fresh: Vec<Option<usize>>,
    /// The form that ran last, and its launches.
    last: Mutex<Option<(Form, usize)>>,
    buffers: Vec<BufferInfo>,
    phases: Vec<(&'static str, Duration)>,
}

/// One form of a schedule: its steps, its text, and its kernels once they are needed.
pub(super) struct Lowered {
    pub program: Program,
    pub layout: Layout,
    pub functions: Vec<Function>,
    /// The names of its kernel functions.
    names: Vec<String>,
    text: String,
    kernels: OnceLock<Result<Kernels>>,
}

/// The kernels of a form.
pub(super) struct Kernels {
    pub all: Vec<Kernel>,
    /// How long it took to build them.
    took: Duration,
    _program: Built,
}

impl Lowered {
    fn of(schedule: &Schedule, style: Style, form: Form, arithmetic: Arithmetic) -> Lowered {
        let program = Program::of(schedule, style, form == Form::Single);
        let layout = Layout::of(schedule, &program);
        let (functions, names, body) = match form {
            Form::Launched => {
                let (functions, kernels, body) = launched::functions(schedule, &program);
                (functions, (0..kernels).map(launched::name).collect(), body)
            }
            Form::Single => {
                let size = if style == Style::Cpu { 1 } else { GROUP };
                let (function, body) = single::function(schedule, &program, &layout, size);
                (vec![function], vec![single::NAME.to_string()], body)
            }
        };
        Lowered { program, layout, functions, names, text: text::complete(&body, arithmetic), kernels: OnceLock::new() }
    }

    pub(super) fn kernels(&self, opened: &Opened) -> Result<&Kernels> {
        let built = self.kernels.get_or_init(|| {
            let begin = Instant::now();
            if text::has_double(&self.text) && !opened.description().has_double {
                return Err(opened.refuse("it does not compute in f64, which this needs"));
            }
            let program = opened.build(&self.text)?;
            let all = self.names.iter().map(|name| opened.kernel(&program, name)).collect::<Result<_>>()?;
            Ok(Kernels { all, took: begin.elapsed(), _program: program })
        });
        built.as_ref().map_err(Error::clone)
    }
}

/// Bytes that the arguments of a function take, at least.
fn parameter_bytes(f: &Function) -> usize {
    let bytes = |p: &Parameter| match p {
        Parameter::Buffer(_) | Parameter::Scratch | Parameter::State | Parameter::Temporaries => 16,
        Parameter::Symbol(_) | Parameter::Number(_) | Parameter::Items => 8,
    };
    f.parameters.iter().map(bytes).sum()
}

impl Code {
    /// Compiles a schedule. Nothing is built yet.
    pub fn of(opened: Arc<Opened>, schedule: &Schedule, options: &CompileOptions, forced: Forced) -> Code {
        let begin = Instant::now();
        let plan = MemoryPlan::of(schedule, &Temporaries::default());
        let style = forced.style.unwrap_or(match opened.description().kind {
            Kind::Cpu => Style::Cpu,
            Kind::Gpu | Kind::Other => Style::Gpu,
        });
        let mut count = 0;
        let mut next = || {
            count += 1;
            count - 1
        };
        let fresh = schedule.outputs.iter().map(|o| o.update.is_none().then(&mut next)).collect();
        Code {
            launched: OnceLock::new(),
            single: OnceLock::new(),
            schedule: schedule.clone(),
            opened,
            style,
            // A whole program has one time.
            forced: if options.profile { Some(Form::Launched) } else { forced.form },
            timed: options.profile,
            fresh,
            last: Mutex::new(None),
            buffers: plan.buffers(schedule, &Temporaries::default()),
            phases: vec![("OpenCL C", begin.elapsed())],
        }
    }

    /// What the device rounds correctly by itself, by its probe.
    fn arithmetic(&self) -> Arithmetic {
        let single = &self.opened.verdict().single;
        Arithmetic { exact_division: single.is_equal(What::Division), exact_sqrt: single.is_equal(What::SquareRoot) }
    }

    /// Which form is sooner done. A device of few threads runs one kernel on one of them.
    fn form(&self, binding: &[usize]) -> Form {
        if let Some(form) = self.forced {
            return form;
        }
        let (mut launches, mut seconds) = (0.0, 0.0);
        for kernel in &self.schedule.kernels {
            let times: f64 = kernel.loops.iter().map(|n| n.eval(binding) as f64).product();
            launches += times;
            seconds += times * (kernel.flops.eval(binding) as f64 / 8e9 + kernel.bytes.eval(binding) as f64 / 1e10);
        }
        if self.schedule.kernels.len() < 2 && launches < 2.0 {
            return Form::Launched;
        }
        let units = self.opened.description().compute_units.max(1) as f64;
        let launch = self.opened.launch_seconds();
        let apart = launches * launch + seconds / units;
        let fits = || self.lowered(Form::Single).functions.iter().all(|f| parameter_bytes(f) <= PARAMETER_BYTES);
        if seconds + launch < apart && fits() { Form::Single } else { Form::Launched }
    }

    /// How many kernels of a form were built, and in which time.
    pub(super) fn built(&self, form: Form) -> Option<(usize, Duration)> {
        let lowered = match form {
            Form::Launched => self.launched.get(),
            Form::Single => self.single.get(),
        };
        let kernels = lowered?.kernels.get()?.as_ref().ok()?;
        Some((kernels.all.len(), kernels.took))
    }

    /// The form that ran last, and its launches.
    pub(super) fn last(&self) -> Option<(Form, usize)> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lowered(&self, form: Form) -> &Lowered {
        let lowered = match form {
            Form::Launched => &self.launched,
            Form::Single => &self.single,
        };
        lowered.get_or_init(|| Lowered::of(&self.schedule, self.style, form, self.arithmetic()))
    }

    /// Runs one form; gives its launches to be timed, where that is asked for.
    fn run_as(
        &self,
        form: Form,
        binding: &[usize],
        inputs: &[Input<'_>],
        outputs: &[&mut Memory],
        scratch: &Memory,
        timed: bool,
    ) -> Result<Vec<Timed>, Stop> {
        let inputs: SmallVec<[Place<'_>; 16]> = inputs
            .iter()
            .map(|input| match input {
                Input::Read(memory, at) => place(memory, at.start),
                Input::Update(memory, at) => place(memory, at.start),
            })
            .collect();
        let outputs: SmallVec<[Place<'_>; 4]> = outputs.iter().map(|memory| place(memory, 0)).collect();
        let mut run = Run::new(self, self.lowered(form), binding, &inputs, &outputs, place(scratch, 0));
        run.events = timed.then(Vec::new);
        match form {
            Form::Single => self.run_single(&run)?,
            Form::Launched => run.launch_all()?,
        }
        let launches = if form == Form::Single { 1 } else { run.launches };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((form, launches));
        self.opened.flush().map_err(Stop::Device)?;
        Ok(run.events.unwrap_or_default())
    }

    /// Runs the one kernel of the whole program.
    fn run_single(&self, run: &Run<'_>) -> Result<(), Stop> {
        let lowered = self.lowered(Form::Single);
        let kernels = lowered.kernels(&self.opened).map_err(Stop::Device)?;
        let args = run.arguments(&lowered.functions[0], 0);
        let size = if self.style == Style::Cpu { 1 } else { GROUP };
        self.opened.launch(&kernels.all[0], &args, [size, 1, 1], Some([size, 1, 1]), false).map_err(Stop::Device)?;
        run.status().map_err(Stop::Device)?.map_or(Ok(()), |failure| Err(Stop::Failed(failure)))
    }
}

/// Where a byte of a backend's memory is.
fn place(memory: &Memory, at: usize) -> Place<'_> {
    let block = block(memory);
    (block.buffer(), (block.offset() + at) as i64)
}

impl Executable for Code {
    fn scratch_bytes(&self, binding: &[usize]) -> usize {
        let lowered = self.lowered(self.form(binding));
        usize::try_from(lowered.layout.bytes.eval(binding)).unwrap_or(0)
    }

    fn scratch(&self, bytes: usize) -> Result<Memory> {
        Ok(Memory::new(self.opened.allocate(bytes)?))
    }

    fn has_checks(&self) -> bool {
        !self.schedule.checks.is_empty()
    }

    fn run(
        &self,
        binding: &[usize],
        inputs: &mut [Input<'_>],
        outputs: &mut [&mut Memory],
        scratch: &mut Memory,
    ) -> Result<(), Stop> {
        self.run_as(self.form(binding), binding, inputs, outputs, scratch, false).map(drop)
    }

    fn run_profiled(
        &self,
        binding: &[usize],
        inputs: &mut [Input<'_>],
        outputs: &mut [&mut Memory],
        scratch: &mut Memory,
        most: usize,
    ) -> Result<Profile, Stop> {
        let begin = Instant::now();
        if !self.timed {
            return Err(Stop::Device(Error::argument("this code was not compiled to be timed")));
        }
        let events = self.run_as(Form::Launched, binding, inputs, outputs, scratch, true)?;
        let mut profile =
            Profile { kernels: vec![KernelTime::default(); self.schedule.kernels.len()], ..Profile::default() };
        let mut first = None;
        for Timed { kernel, begins, event } in &events {
            let times = self.opened.times(event).map_err(Stop::Device)?;
            let since = *first.get_or_insert(times.start);
            let at = |t: u64| Duration::from_nanos(t.saturating_sub(since));
            let (start, end) = (at(times.start), at(times.end));
            let time = &mut profile.kernels[*kernel];
            time.count += usize::from(*begins);
            time.total += end - start;
            if profile.events.len() < most {
                profile.events.push(Event { kernel: *kernel, start, end });
            } else {
                profile.dropped += 1;
            }
        }
        profile.total = begin.elapsed();
        Ok(profile)
    }

    fn buffers(&self) -> &[BufferInfo] {
        &self.buffers
    }

    fn phases(&self) -> &[(&'static str, Duration)] {
        &self.phases
    }

    fn kernels(&self) -> &[KernelInfo] {
        &self.schedule.kernels
    }

    fn remarks(&self) -> Vec<String> {
        remarks::of(self)
    }

    fn text(&self) -> Option<&str> {
        Some(&self.lowered(self.forced.unwrap_or(Form::Launched)).text)
    }
}
