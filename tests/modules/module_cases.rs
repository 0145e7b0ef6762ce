//! Runs the cases of one module class: construction, printing, state dict, and the call with its gradients eagerly and traced. It knows
//! no class.

use crate::case::Case;
use crate::compare::{self, GRADIENTS};
use crate::corpus::{Host, Sample};
use crate::module_file::{ModuleCase, ModuleFile};
use crate::quiet::quietly;
use crate::subject::Subject;
use crate::{Outcome, attention, layers, losses, recurrent};
use allotrope::ops::grad;
use allotrope::prelude::{manual_seed, trace};
use allotrope::state::StateDict;
use allotrope::{Result, Tensor};
use std::cell::RefCell;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Results and gradients, none where nothing flows.
type Found = (Vec<Tensor>, Vec<Option<Tensor>>);

/// The default generator, which is one for the process, belongs to one test at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Arguments of layers that PyTorch's database leaves out; `tests/data/layer_variants.py` writes the file.
#[test]
fn arguments_that_the_corpus_leaves_out() {
    let _alone = alone();
    let outcome = run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data"), "layer_variants");
    assert!(outcome.failed.is_empty(), "{}", outcome.failed.join("\n"));
    assert!(outcome.passed > 500, "{} cases", outcome.passed);
}

/// All cases of a class, or of all classes in one file.
pub fn run(folder: &Path, class: &str) -> Outcome {
    let file = ModuleFile::read(folder, class);
    let (mut passed, mut failed) = (0, Vec::new());
    for case in &file.cases {
        let run = Run { file: &file, case };
        match quietly(|| run.all()).unwrap_or_else(|text| Err(format!("panic: {text}"))) {
            Ok(()) => passed += 1,
            Err(what) => failed.push(format!("{}: {what}", case.id)),
        }
    }
    Outcome { class: class.to_string(), passed, failed }
}

/// What a call gave and left.
struct Done {
    outputs: Vec<Host>,
    /// Those of `input_grads`, then those of `parameter_grads`.
    grads: Vec<Option<Host>>,
    /// Parameters and buffers after the call.
    state: Vec<(String, Host)>,
}

/// Where the backward pass of a traced call is.
#[derive(Clone, Copy, PartialEq)]
enum Backward {
    AfterTheCall,
    InTheTrace,
}

#[derive(Clone, Copy)]
struct Run<'a> {
    file: &'a ModuleFile,
    case: &'a ModuleCase,
}

impl<'a> Run<'a> {
    /// # Errors
    /// What is not as it should be.
    fn all(self) -> Result<(), String> {
        let eager = self.eager().map_err(|e| format!("eager: {e}"))?;
        self.as_pytorch(&eager).map_err(|e| format!("eager: {e}"))?;
        for (mode, backward) in
            [("traced", Backward::AfterTheCall), ("traced with its backward pass", Backward::InTheTrace)]
        {
            let traced = quietly(|| self.traced(backward)).unwrap_or_else(|text| Err(format!("panic: {text}")));
            let [first, second] = traced.map_err(|e| format!("{mode}: {e}"))?;
            same(&first, &eager).map_err(|e| format!("{mode}, beside eager: {e}"))?;
            same(&second, &first).map_err(|e| format!("{mode}, second call beside the first: {e}"))?;
        }
        Ok(())
    }

    /// A new module, after the check that it is as PyTorch's.
    fn module(self) -> Result<Box<dyn Subject>, String> {
        let case = self.case;
        manual_seed(case.seed);
        let arguments = self.arguments(&case.constructor, &self.tensors(&case.constructor));
        let families = [layers::build, losses::build, recurrent::build, attention::build];
        let built = families.iter().find_map(|build| build(&case.constructor.op, &arguments));
        let subject = built.ok_or("no family builds the class")?.map_err(|e| format!("constructor: {e}"))?;
        used(&arguments).map_err(|e| format!("constructor: {e}"))?;
        let module = subject.module();
        if module.repr() != case.repr {
            return Err(format!("printed as {:?}, wanted {:?}", module.repr(), case.repr));
        }
        let state = state_of(&module.state_dict());
        let names = |list: Vec<&String>| list.into_iter().cloned().collect::<Vec<_>>();
        let (got, want) =
            (names(state.iter().map(|s| &s.0).collect()), names(case.state.iter().map(|s| &s.0).collect()));
        if got != want {
            return Err(format!("state dict has {got:?}, wanted {want:?}"));
        }
        for ((name, got), (_, key)) in state.iter().zip(&case.state) {
            self.close(got, key, compare::for_outputs("")).map_err(|e| format!("new {name}: {e}"))?;
        }
        module.train(case.training);
        Ok(subject)
    }

    /// New tensors of the arguments; leaves where their gradient is known.
    fn tensors(self, sample: &'a Sample) -> Vec<(&'a str, Tensor)> {
        let leaf = |key: &str| self.case.input_grads.iter().any(|(k, _)| k == key);
        let tensor = |key: &'a str| {
            let t = self.file.tensors[key].tensor();
            (key, if leaf(key) { t.requires_grad() } else { t })
        };
        sample.inputs().into_iter().map(tensor).collect()
    }

    fn arguments(self, sample: &'a Sample, tensors: &[(&'a str, Tensor)]) -> Case<'a> {
        Case::new(sample, tensors.to_vec())
    }

    /// The gradients to send back.
    fn grad_outputs(self) -> Vec<Option<Tensor>> {
        let tensor = |key: &Option<String>| key.as_ref().map(|key| self.file.tensors[key].tensor());
        self.case.outputs.iter().map(|(_, g)| tensor(g)).collect()
    }

    /// What gradients are asked for: the inputs and the parameters that the case names.
    fn sources(self, subject: &dyn Subject, tensors: &[(&str, Tensor)]) -> Result<Vec<Tensor>, String> {
        let parameters = subject.module().named_parameters();
        let own: Vec<&String> = parameters.iter().map(|(name, _)| name).collect();
        if own.len() != self.case.parameter_grads.len() {
            return Err(format!("parameters {own:?}, wanted {}", self.case.parameter_grads.len()));
        }
        let input = |key: &String| tensors.iter().find(|(k, _)| k == key).map(|(_, t)| t.clone()).ok_or(key.clone());
        let parameter = |name: &String| {
            parameters.iter().find(|(n, _)| n == name).map(|(_, t)| t.clone()).ok_or(format!("no parameter {name}"))
        };
        let inputs = self.case.input_grads.iter().map(|(key, _)| input(key));
        inputs.chain(self.case.parameter_grads.iter().map(|(name, _)| parameter(name))).collect()
    }

    fn call(self, subject: &dyn Subject, tensors: &[(&'a str, Tensor)]) -> Result<Vec<Tensor>, String> {
        let arguments = self.arguments(&self.case.call, tensors);
        let outputs = subject.call(&arguments).map_err(|e| e.to_string())?;
        used(&arguments)?;
        if outputs.len() != self.case.outputs.len() {
            return Err(format!("{} results, wanted {}", outputs.len(), self.case.outputs.len()));
        }
        Ok(outputs)
    }

    fn done(self, subject: &dyn Subject, (outputs, grads): &Found) -> Done {
        let grads = grads.iter().map(|g| g.as_ref().map(Host::of)).collect();
        Done { outputs: outputs.iter().map(Host::of).collect(), grads, state: state_of(&subject.module().state_dict()) }
    }

    fn eager(self) -> Result<Done, String> {
        let subject = self.module()?;
        let tensors = self.tensors(&self.case.call);
        let sources = self.sources(&*subject, &tensors)?;
        manual_seed(self.case.seed + 1);
        let outputs = self.call(&*subject, &tensors)?;
        for (key, t) in &tensors {
            let before = Host::of(&self.file.tensors[*key].tensor());
            compare::same_bits(&Host::of(t), &before).map_err(|e| format!("the call changed {key}: {e}"))?;
        }
        let grads = gradients(&outputs, &self.grad_outputs(), &sources)?;
        Ok(self.done(&*subject, &(outputs, grads)))
    }

    /// Two calls of one compiled function, both from the same state.
    fn traced(self, backward: Backward) -> Result<[Done; 2], String> {
        let subject = self.module()?;
        let tensors = self.tensors(&self.case.call);
        let grad_outputs = self.grad_outputs();
        let keys: Vec<&str> = tensors.iter().map(|(key, _)| *key).collect();
        let mut values: Vec<Tensor> = tensors.iter().map(|(_, t)| t.clone()).collect();
        if backward == Backward::InTheTrace {
            values.extend(grad_outputs.iter().flatten().cloned());
        }
        // The closure gives tensors only, so an error of the program waits here.
        let refused = RefCell::new(None);
        let stop = |e: String| -> Found {
            *refused.borrow_mut() = Some(e.clone());
            std::panic::resume_unwind(Box::new(e))
        };
        let traced = trace(|xs: &[Tensor]| -> Found {
            let (xs, gs) = xs.split_at(keys.len());
            let tensors: Vec<(&str, Tensor)> = keys.iter().copied().zip(xs.iter().cloned()).collect();
            let program = || {
                let outputs = self.call(&*subject, &tensors)?;
                let grads = match backward {
                    Backward::AfterTheCall => Vec::new(),
                    Backward::InTheTrace => {
                        let mut gs = gs.iter().cloned();
                        let back: Vec<_> = grad_outputs.iter().map(|g| g.as_ref().and_then(|_| gs.next())).collect();
                        gradients(&outputs, &back, &self.sources(&*subject, &tensors)?)?
                    }
                };
                Ok((outputs, grads))
            };
            program().unwrap_or_else(stop)
        });
        let before = subject.module().state_dict().copy();
        let run = || {
            subject.module().load_state_dict(&before).map_err(|e| e.to_string())?;
            manual_seed(self.case.seed + 1);
            let found = traced.call(&values).map_err(|e| refused.take().unwrap_or_else(|| e.to_string()))?;
            let (outputs, mut grads) = found;
            if backward == Backward::AfterTheCall {
                grads = gradients(&outputs, &grad_outputs, &self.sources(&*subject, &tensors)?)?;
            }
            Ok::<Done, String>(self.done(&*subject, &(outputs, grads)))
        };
        Ok([run()?, run()?])
    }

    fn close(self, got: &Host, key: &str, tolerance: compare::Tolerance) -> Result<(), String> {
        compare::close(got, self.file.tensors.get(key).ok_or(format!("no tensor {key}"))?, tolerance)
    }

    /// # Errors
    /// What PyTorch has otherwise.
    fn as_pytorch(self, done: &Done) -> Result<(), String> {
        let case = self.case;
        let outputs = compare::for_outputs("");
        for (i, (got, (key, _))) in done.outputs.iter().zip(&case.outputs).enumerate() {
            self.close(got, key, outputs).map_err(|e| format!("result {i}: {e}"))?;
        }
        let wanted = case.input_grads.iter().chain(&case.parameter_grads);
        for (got, (name, key)) in done.grads.iter().zip(wanted) {
            let what = match (got, key) {
                (Some(got), Some(key)) => self.close(got, key, GRADIENTS),
                (None, None) => Ok(()),
                (Some(_), None) => Err("there is one, and PyTorch has none".to_string()),
                (None, Some(_)) => Err("there is none".to_string()),
            };
            what.map_err(|e| format!("gradient of {name}: {e}"))?;
        }
        for (name, key) in &case.buffers_after {
            let (_, got) = done.state.iter().find(|(n, _)| n == name).ok_or(format!("no buffer {name}"))?;
            self.close(got, key, outputs).map_err(|e| format!("{name} after the call: {e}"))?;
        }
        Ok(())
    }
}

fn state_of(state: &StateDict) -> Vec<(String, Host)> {
    state.iter().map(|(name, t)| (name.to_string(), Host::of(t))).collect()
}

/// # Errors
/// An argument that nobody asked for.
fn used(arguments: &Case<'_>) -> Result<(), String> {
    match &arguments.unused()[..] {
        [] => Ok(()),
        unused => Err(format!("arguments that nobody reads: {}", unused.join(", "))),
    }
}

/// Gradients of the sum of the results times these.
fn gradients(
    outputs: &[Tensor],
    grad_outputs: &[Option<Tensor>],
    sources: &[Tensor],
) -> Result<Vec<Option<Tensor>>, String> {
    let terms = outputs.iter().zip(grad_outputs).filter_map(|(y, g)| Some((y, g.as_ref()?)));
    let terms = terms.map(|(y, g)| y.try_mul(g)?.try_sum()).collect::<Result<Vec<_>>>().map_err(|e| e.to_string())?;
    if terms.is_empty() || sources.is_empty() {
        return Ok(vec![None; sources.len()]);
    }
    let (terms, sources): (Vec<_>, Vec<_>) = (terms.iter().collect(), sources.iter().collect());
    grad(&terms, &sources, false).map_err(|e| format!("backward: {e}"))
}

/// # Errors
/// Where two calls differ in a bit.
fn same(got: &Done, want: &Done) -> Result<(), String> {
    for (i, (a, b)) in got.outputs.iter().zip(&want.outputs).enumerate() {
        compare::same_bits(a, b).map_err(|e| format!("result {i}: {e}"))?;
    }
    for (i, pair) in got.grads.iter().zip(&want.grads).enumerate() {
        match pair {
            (Some(a), Some(b)) => compare::same_bits(a, b).map_err(|e| format!("gradient {i}: {e}"))?,
            (None, None) => {}
            (a, _) => return Err(format!("gradient {i} is {}", if a.is_some() { "there" } else { "not there" })),
        }
    }
    for ((name, a), (_, b)) in got.state.iter().zip(&want.state) {
        compare::same_bits(a, b).map_err(|e| format!("{name} after the call: {e}"))?;
    }
    Ok(())
}
