//! TEMPORARY
use crate::backend::opencl::device::Opened;
use crate::backend::opencl::executable::{Code, Form};
use crate::backend::opencl::memory::Block;
use crate::backend::opencl::source::body::Style;
use crate::backend::{
    Array, ArrayMut, Backend, CompileOptions, Executable, Memory, Operand, ThroughSchedules,
};
use crate::error::Result;
use crate::schedule::Schedule;
use allotrope_ir::{DType, Op, Scalar};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

pub struct OpenCl {
    number: u8,
    opened: OnceLock<Result<Arc<Opened>>>,
    eager: ThroughSchedules,
}

pub fn of(number: u8) -> &'static OpenCl {
    static ALL: [OnceLock<OpenCl>; 256] = [const { OnceLock::new() }; 256];
    ALL[usize::from(number)].get_or_init(|| OpenCl { number, opened: OnceLock::new(), eager: ThroughSchedules::new() })
}

impl OpenCl {
    fn opened(&self) -> Result<&Arc<Opened>> {
        self.opened.get_or_init(|| Opened::new(self.number).map(Arc::new)).as_ref().map_err(Clone::clone)
    }
}

fn forced() -> (Option<Style>, Option<Form>) {
    let style = match std::env::var("ALLOTROPE_OPENCL_STYLE").as_deref() {
        Ok("cpu") => Some(Style::Cpu),
        Ok("gpu") => Some(Style::Gpu),
        _ => None,
    };
    let form = match std::env::var("ALLOTROPE_OPENCL_FORM").as_deref() {
        Ok("single") => Some(Form::Single),
        Ok("launched") => Some(Form::Launched),
        _ => None,
    };
    (style, form)
}

impl Backend for OpenCl {
    fn allocate(&self, dtype: DType, n: usize) -> Result<Memory> {
        self.opened()?.allocate(n * dtype.size())
    }

    fn upload(&self, _: DType, bytes: &[u8]) -> Result<Memory> {
        let opened = self.opened()?;
        let memory = opened.allocate(bytes.len())?;
        let block = memory.get::<Block>().expect("made above");
        if !bytes.is_empty() {
            opened.write(block.buffer(), block.offset(), bytes)?;
        }
        Ok(memory)
    }

    fn download<'a>(&self, memory: &'a Memory, at: Range<usize>) -> Result<Cow<'a, [u8]>> {
        let block = memory.get::<Block>().expect("of this backend");
        let mut bytes = vec![0; at.len()];
        if !bytes.is_empty() {
            self.opened()?.read(block.buffer(), block.offset() + at.start, &mut bytes)?;
        }
        Ok(Cow::Owned(bytes))
    }

    fn full(&self, value: Scalar, n: usize) -> Result<Memory> {
        self.eager.full(self, value, n)
    }

    fn copy(&self, from: Array<'_>, to: ArrayMut<'_>) -> Result<()> {
        self.eager.copy(self, from, to)
    }

    fn compute(&self, op: &Op<usize>, operands: &[Operand<'_>], dtype: DType, shape: &[usize]) -> Result<Memory> {
        self.eager.compute(self, op, operands, dtype, shape)
    }

    fn compile(&self, schedule: &Schedule, _: &CompileOptions) -> Result<Box<dyn Executable>> {
        Ok(Box::new(Code::of(Arc::clone(self.opened()?), schedule, forced())))
    }
}
