//! A schedule compiled for a device: as launches that the host drives, or as one kernel of one work group, whichever is
//! sooner done for the sizes of a call. Each form is built when it is first needed. The bits are those of either.

use crate::backend::opencl::device::Opened;
use crate::backend::opencl::handles::{Arg, Buffer, Kernel, Kind, Program as Built};
use crate::backend::opencl::host_driven::Run;
use crate::backend::opencl::memory::Block;
use crate::backend::opencl::source::body::Style;
use crate::backend::opencl::source::launched::{self, Function, Parameter};
use crate::backend::opencl::source::number::Number;
use crate::backend::opencl::source::program::{Layout, Program};
use crate::backend::opencl::source::{single, text};
use crate::backend::{CompileOptions, Executable, Input, Memory, Stop};
use crate::error::{Error, Result};
use crate::schedule::{BufId, Iterations, KernelInfo, Location, Schedule};
use allotrope_ir::DType;
use std::sync::{Arc, OnceLock};

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

/// A compiled schedule.
pub struct Code {
    pub(super) opened: Arc<Opened>,
    pub(super) schedule: Schedule,
    pub(super) style: Style,
    launched: Lowered,
    single: Lowered,
    /// Always this form.
    forced: Option<Form>,
    /// For each output, its place among those that update no input.
    pub(super) fresh: Vec<Option<usize>>,
}

/// One form of a schedule: its steps, its text, and its kernels once they are needed.
pub(super) struct Lowered {
    pub program: Program,
    pub layout: Layout,
    pub functions: Vec<Function>,
    text: String,
    kernels: OnceLock<Result<Kernels>>,
}

/// The kernels of a form, by the numbers of its functions.
pub(super) struct Kernels {
    pub all: Vec<Kernel>,
    _program: Built,
}

impl Lowered {
    fn of(schedule: &Schedule, style: Style, form: Form) -> Lowered {
        let program = Program::of(schedule, style, form == Form::Single);
        let layout = Layout::of(schedule, &program);
        let (functions, body) = match form {
            Form::Launched => launched::functions(schedule, &program),
            Form::Single => {
                let size = if style == Style::Cpu { 1 } else { GROUP };
                let (function, body) = single::function(schedule, &program, &layout, size);
                (vec![function], body)
            }
        };
        Lowered { program, layout, functions, text: text::complete(&body), kernels: OnceLock::new() }
    }

    pub(super) fn kernels(&self, opened: &Opened) -> Result<&Kernels> {
        let built = self.kernels.get_or_init(|| {
            let program = opened.build(&self.text)?;
            let all = self.functions.iter().map(|f| opened.kernel(&program, &f.name)).collect::<Result<_>>()?;
            Ok(Kernels { all, _program: program })
        });
        built.as_ref().map_err(Error::clone)
    }
}

/// Bytes that the arguments of a function take, at least.
fn parameter_bytes(f: &Function) -> usize {
    let bytes = |p: &Parameter| match p {
        Parameter::Buffer(_) | Parameter::State | Parameter::Temporaries => 16,
        Parameter::Symbol(_) | Parameter::Items => 8,
    };
    f.parameters.iter().map(bytes).sum()
}

impl Code {
    /// Compiles a schedule. Nothing is built yet.
    pub fn of(opened: Arc<Opened>, schedule: &Schedule, forced: (Option<Style>, Option<Form>)) -> Code {
        let style = forced.0.unwrap_or(match opened.description().kind {
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
            launched: Lowered::of(schedule, style, Form::Launched),
            single: Lowered::of(schedule, style, Form::Single),
            schedule: schedule.clone(),
            opened,
            style,
            forced: forced.1,
            fresh,
        }
    }

    /// Which form is sooner done. A device of few threads runs one kernel on one of them.
    fn form(&self, binding: &[usize]) -> Form {
        if let Some(form) = self.forced {
            return form;
        }
        if self.single.functions.iter().any(|f| parameter_bytes(f) > PARAMETER_BYTES) {
            return Form::Launched;
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
        if seconds + launch < apart { Form::Single } else { Form::Launched }
    }

    pub(super) fn lowered(&self, form: Form) -> &Lowered {
        match form {
            Form::Launched => &self.launched,
            Form::Single => &self.single,
        }
    }

    /// Runs the one kernel of the whole program.
    fn run_single(&self, run: &Run<'_>) -> Result<(), Stop> {
        let lowered = &self.single;
        let kernels = lowered.kernels(&self.opened).map_err(Stop::Device)?;
        let args = run.arguments(&lowered.functions[0], 0);
        let size = if self.style == Style::Cpu { 1 } else { GROUP };
        self.opened.launch(&kernels.all[0], &args, [size, 1, 1], Some([size, 1, 1]), false).map_err(Stop::Device)?;
        run.status().map_err(Stop::Device)?.map_or(Ok(()), |failure| Err(Stop::Failed(failure)))
    }
}

/// The block that a backend's memory is.
fn block(memory: &Memory) -> &Block {
    memory.get::<Block>().expect("bug in allotrope: memory of another backend")
}

impl Executable for Code {
    fn scratch_bytes(&self, binding: &[usize]) -> usize {
        let bytes = |form: &Lowered| usize::try_from(form.layout.bytes.eval(binding)).unwrap_or(0);
        bytes(&self.launched).max(bytes(&self.single))
    }

    fn scratch(&self, bytes: usize) -> Result<Memory> {
        self.opened.allocate(bytes)
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
        let form = self.form(binding);
        let place = |memory: &'_ Memory, at: usize| -> (&'_ Buffer, i64) {
            let block = block(memory);
            // SAFETY-free: the lifetime is that of the call.
            (block.buffer(), (block.offset() + at) as i64)
        };
        let inputs: Vec<_> = inputs
            .iter()
            .map(|input| match input {
                Input::Read(memory, at) => place(memory, at.start),
                Input::Update(memory, at) => place(memory, at.start),
            })
            .collect();
        let outputs: Vec<_> = outputs.iter().map(|memory| place(memory, 0)).collect();
        let run = Run::new(self, self.lowered(form), binding, &inputs, &outputs, place(scratch, 0));
        match form {
            Form::Single => self.run_single(&run)?,
            Form::Launched => run.launch_all()?,
        }
        self.opened.flush().map_err(Stop::Device)
    }

    fn kernels(&self) -> &[KernelInfo] {
        &self.schedule.kernels
    }

    fn text(&self) -> Option<&str> {
        Some(&self.launched.text)
    }
}

