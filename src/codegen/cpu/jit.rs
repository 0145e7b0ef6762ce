//! Machine code in executable memory: the instruction set of this machine, and the ownership of what was compiled.
//! It knows nothing of programs; it is given a function to fill in.

use super::{CompileError, calls};
use cranelift::codegen::isa::OwnedTargetIsa;
use cranelift::prelude::*;
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, default_libcall_names};
use parking_lot::Mutex;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A compiled function; its memory is freed with it.
pub struct Code {
    /// Only for its memory. The lock is never contended: it makes the type `Sync`.
    module: Mutex<Option<JITModule>>,
    pub entry: Entry,
    pub size: usize,
    pub clif: Option<String>,
}

/// Binding, inputs, outputs, scratch; gives the number of the first check that failed, or 0.
pub type Entry = unsafe extern "C" fn(*const usize, *const *const u8, *const *mut u8, *mut u8) -> usize;

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.module.get_mut().take() {
            // SAFETY: `entry` is only called through `&Code`, so no call can be running, or come, once it is dropped.
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

/// Compiles one function of type [`Entry`]. `fill` writes its body and names what it calls.
pub fn compile(
    keep_clif: bool,
    phases: &mut Vec<(&'static str, Duration)>,
    fill: impl FnOnce(&mut dyn Module, &mut codegen::ir::Function, &mut FunctionBuilderContext) -> Vec<(FuncId, String)>,
) -> Result<Code, CompileError> {
    compile_for(isa()?, keep_clif, phases, fill)
}

fn compile_for(
    isa: OwnedTargetIsa,
    keep_clif: bool,
    phases: &mut Vec<(&'static str, Duration)>,
    fill: impl FnOnce(&mut dyn Module, &mut codegen::ir::Function, &mut FunctionBuilderContext) -> Vec<(FuncId, String)>,
) -> Result<Code, CompileError> {
    let clock = Instant::now();
    let mut builder = JITBuilder::with_isa(isa, default_libcall_names());
    builder.symbol_lookup_fn(Box::new(calls::address));
    let mut module = JITModule::new(builder);
    let mut context = module.make_context();
    for _ in 0..4 {
        context.func.signature.params.push(AbiParam::new(types::I64));
    }
    context.func.signature.returns.push(AbiParam::new(types::I64));
    let called = fill(&mut module, &mut context.func, &mut FunctionBuilderContext::new());
    let clif = keep_clif.then(|| {
        let names: String = called.iter().map(|(id, name)| format!("; u0:{} is {name}\n", id.as_u32())).collect();
        format!("{names}{}", context.func.display())
    });
    phases.push(("emit", clock.elapsed()));
    let clock = Instant::now();
    let failed = |e: cranelift_module::ModuleError| CompileError::Cranelift(format!("{e:?}"));
    let id = module.declare_function("step", Linkage::Export, &context.func.signature).map_err(failed)?;
    module.define_function(id, &mut context).map_err(failed)?;
    let size = context.compiled_code().map_or(0, |c| c.code_buffer().len());
    module.finalize_definitions().map_err(failed)?;
    let address = module.get_finalized_function(id);
    // SAFETY: the function was declared with four word parameters, a word as its result and the platform's C convention, and its
    // memory lives as long as `module`, which the result owns.
    let entry = unsafe { std::mem::transmute::<*const u8, Entry>(address) };
    phases.push(("cranelift", clock.elapsed()));
    Ok(Code { module: Mutex::new(Some(module)), entry, size, clif })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processors without SSE4.1 have no instruction for it: the functions that are called instead must be found.
    #[test]
    fn rounding_works_on_every_processor() {
        for extensions in [false, true] {
            let four = types::F32.by(4).unwrap();
            let fill =
                |module: &mut dyn Module, func: &mut codegen::ir::Function, context: &mut FunctionBuilderContext| {
                    let config = module.target_config();
                    let mut b = FunctionBuilder::new(func, context);
                    let entry = b.create_block();
                    b.append_block_params_for_function_params(entry);
                    b.switch_to_block(entry);
                    let (binding, scratch) = (b.block_params(entry)[0], b.block_params(entry)[3]);
                    let mem = super::super::emit::mem();
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
            let code = compile_for(isa_with(extensions).unwrap(), false, &mut Vec::new(), fill).unwrap();
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
