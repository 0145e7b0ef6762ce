//! Machine code in executable memory: the instruction set of this machine, and the ownership of what was compiled.
//! It knows nothing of schedules; it is given functions to fill in.

use crate::backend::cpu::calls;
use crate::backend::cpu::options::CompileError;
use cranelift::codegen::isa::OwnedTargetIsa;
use cranelift::prelude::*;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module};
use parking_lot::Mutex;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Compiled code; its memory is freed with it.
pub struct Code {
    /// Only for its memory. The lock is never contended: it makes the type `Sync`.
    _module: Mutex<Owned>,
    pub entry: Entry,
    /// Bytes of each function.
    pub sizes: Vec<usize>,
    pub clif: Option<String>,
}

/// Binding, inputs, outputs, scratch; gives the number of the first check that failed, or 0.
pub type Entry = unsafe extern "C" fn(*const usize, *const *const u8, *const *mut u8, *mut u8) -> usize;

/// A module whose memory goes with it, whether or not it was finished: by itself it would stay for good.
struct Owned(Option<JITModule>);

impl Owned {
    fn module(&mut self) -> &mut JITModule {
        self.0.as_mut().expect("there until it is dropped")
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(module) = self.0.take() {
            // SAFETY: the code is only called through `&Code`, which owns this, so no call can be running, or come, once
            // it is dropped; before there is a `Code`, nobody has its address.
            unsafe { module.free_memory() }
        }
    }
}

/// The host's instruction set, made once: generated code may use all of it, as no instruction used changes a rounding.
fn isa() -> Result<OwnedTargetIsa, CompileError> {
    static ISA: OnceLock<Result<OwnedTargetIsa, String>> = OnceLock::new();
    ISA.get_or_init(|| isa_with(true)).clone().map_err(CompileError::Host)
}

/// The host's instruction set, or only what every processor of its kind has.
fn isa_with(extensions: bool) -> Result<OwnedTargetIsa, String> {
    let mut flags = settings::builder();
    let settings = [
        ("opt_level", "speed"),
        ("is_pic", "false"),
        ("use_colocated_libcalls", "false"),
        ("unwind_info", "false"),
        ("enable_probestack", "false"),
        ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
    ];
    for (name, value) in settings {
        flags.set(name, value).map_err(|e| format!("{name}: {e}"))?;
    }
    let isa = cranelift_native::builder_with_options(extensions)?.finish(settings::Flags::new(flags));
    isa.map_err(|e| e.to_string())
}

/// Writes the body of a function and names the library functions that it calls.
pub type Fill<'a> = &'a mut dyn FnMut(
    &mut dyn Module,
    &mut codegen::ir::Function,
    &mut FunctionBuilderContext,
) -> Vec<(FuncId, String)>;

/// The functions of a schedule, compiled one by one.
pub struct Builder {
    module: Owned,
    context: codegen::Context,
    frontend: FunctionBuilderContext,
    sizes: Vec<usize>,
    clif: Option<String>,
    emit: Duration,
    cranelift: Duration,
}

impl Builder {
    /// # Errors
    /// When this processor is not supported.
    pub fn new(keep_clif: bool) -> Result<Builder, CompileError> {
        Ok(Builder::with_isa(isa()?, keep_clif))
    }

    fn with_isa(isa: OwnedTargetIsa, keep_clif: bool) -> Builder {
        let mut builder = JITBuilder::with_isa(isa, calls::libcall_names());
        builder.symbol_lookup_fn(Box::new(calls::address));
        let module = Owned(Some(JITModule::new(builder)));
        Builder {
            module,
            context: codegen::Context::new(),
            frontend: FunctionBuilderContext::new(),
            sizes: Vec::new(),
            clif: keep_clif.then(String::new),
            emit: Duration::ZERO,
            cranelift: Duration::ZERO,
        }
    }

    /// Compiles a function of `words` words that gives one back where `returns`.
    ///
    /// # Errors
    /// When Cranelift refuses what `fill` wrote.
    pub fn function(
        &mut self,
        name: &str,
        words: usize,
        returns: bool,
        fill: Fill<'_>,
    ) -> Result<FuncId, CompileError> {
        let clock = Instant::now();
        let module = self.module.module();
        let mut signature = module.make_signature();
        signature.params.extend((0..words).map(|_| AbiParam::new(types::I64)));
        signature.returns.extend(returns.then(|| AbiParam::new(types::I64)));
        let failed = |e: cranelift_module::ModuleError| CompileError::Cranelift(format!("{e:?}"));
        let id = module.declare_function(name, Linkage::Export, &signature).map_err(failed)?;
        self.context.func.signature = signature;
        self.context.func.name = codegen::ir::UserFuncName::user(0, id.as_u32());
        let called = fill(module, &mut self.context.func, &mut self.frontend);
        if let Some(clif) = &mut self.clif {
            called.iter().for_each(|(id, name)| *clif += &format!("; u0:{} is {name}\n", id.as_u32()));
            *clif += &format!("{}\n", self.context.func.display());
        }
        self.emit += clock.elapsed();
        let clock = Instant::now();
        module.define_function(id, &mut self.context).map_err(failed)?;
        self.sizes.push(self.context.compiled_code().map_or(0, |c| c.code_buffer().len()));
        module.clear_context(&mut self.context);
        self.cranelift += clock.elapsed();
        Ok(id)
    }

    /// Makes the functions executable; `entry` is the one of type [`Entry`], four words and a result.
    ///
    /// # Errors
    /// When the memory cannot be made executable.
    pub fn finish(mut self, entry: FuncId, phases: &mut Vec<(&'static str, Duration)>) -> Result<Code, CompileError> {
        let clock = Instant::now();
        let module = self.module.module();
        module.finalize_definitions().map_err(|e| CompileError::Cranelift(format!("{e:?}")))?;
        let address = module.get_finalized_function(entry);
        // SAFETY: the function was declared with four word parameters, a word as its result and the platform's C
        // convention, and its memory lives as long as the module, which the result owns.
        let entry = unsafe { std::mem::transmute::<*const u8, Entry>(address) };
        phases.push(("emit", self.emit));
        phases.push(("cranelift", self.cranelift + clock.elapsed()));
        Ok(Code { _module: Mutex::new(self.module), entry, sizes: self.sizes, clif: self.clif })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processors without SSE4.1 have no instruction for it: the functions that are called instead must be found.
    #[test]
    fn rounding_works_on_every_processor() {
        for extensions in [false, true] {
            let four = types::F32.by(4).unwrap();
            let mut fill =
                |module: &mut dyn Module, func: &mut codegen::ir::Function, context: &mut FunctionBuilderContext| {
                    let config = module.target_config();
                    let mut b = FunctionBuilder::new(func, context);
                    let entry = b.create_block();
                    b.append_block_params_for_function_params(entry);
                    b.switch_to_block(entry);
                    let (binding, scratch) = (b.block_params(entry)[0], b.block_params(entry)[3]);
                    let mem = MemFlagsData::new().with_notrap();
                    for (ty, at) in [(four, 0), (types::F32, 64), (types::F64, 128)] {
                        let x = b.ins().load(ty, mem, binding, at);
                        let all = [b.ins().nearest(x), b.ins().floor(x), b.ins().ceil(x), b.ins().trunc(x)];
                        for (i, y) in all.into_iter().enumerate() {
                            b.ins().store(mem, y, scratch, at + 16 * i as i32);
                        }
                    }
                    let zero = b.ins().iconst(types::I64, 0);
                    b.ins().return_(&[zero]);
                    b.seal_all_blocks();
                    b.finalize(config);
                    Vec::new()
                };
            let mut builder = Builder::with_isa(isa_with(extensions).unwrap(), false);
            let entry = builder.function("step", 4, true, &mut fill).unwrap();
            let code = builder.finish(entry, &mut Vec::new()).unwrap();
            let (mut from, mut to) = ([0u64; 24], [0u64; 24]);
            let pair = |a: f32, b: f32| a.to_bits() as u64 | (b.to_bits() as u64) << 32;
            (from[0], from[1]) = (pair(2.5, -2.5), pair(-0.5, 3.7));
            (from[8], from[16]) = (pair(-1.5, 0.0), 3.5f64.to_bits());
            // SAFETY: the function reads the words of `from` and writes those of `to` at fixed places inside them.
            unsafe {
                (code.entry)(from.as_ptr().cast(), std::ptr::null(), std::ptr::null(), to.as_mut_ptr().cast());
            }
            let want = [
                [pair(2.0, -2.0), pair(-0.0, 4.0)],
                [pair(2.0, -3.0), pair(-1.0, 3.0)],
                [pair(3.0, -2.0), pair(-0.0, 4.0)],
                [pair(2.0, -2.0), pair(-0.0, 3.0)],
            ];
            for (i, want) in want.iter().enumerate() {
                assert_eq!(&to[2 * i..2 * i + 2], want, "{extensions} {i}");
            }
            assert_eq!([8, 10, 12, 14].map(|i| f32::from_bits(to[i] as u32)), [-2.0, -2.0, -1.0, -1.0]);
            assert_eq!([16, 18, 20, 22].map(|i| f64::from_bits(to[i])), [4.0, 3.0, 4.0, 3.0]);
        }
    }
}
