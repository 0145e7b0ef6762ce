//! The same cases on an OpenCL device, eagerly and traced, held to the bits of the CPU. Cases that the CPU refuses are left
//! out: they are refused before a device is asked.
//!
//! `ALLOTROPE_OPINFO_DEVICE=all` runs every case in every mode, forward alone and with gradients, which takes long where a
//! device's compiler does; else an operator's first case with gradients runs, or its first one. `ALLOTROPE_OPINFO_ONLY` holds here too.

use crate::adapters::adapters;
use crate::corpus::{self, Operator, Sample};
use crate::report::{in_parallel, only, shown};
use crate::run::{Adapter, Run, Stop, differ};
use allotrope::backend::opencl;
use allotrope::prelude::{Device, with_device};

/// Where the device and the CPU differ in one case.
fn differences(run: Run<'_>, all: bool, traced: bool) -> Vec<String> {
    let mut found = Vec::new();
    let forms: &[bool] = match (all, run.sample.has_grads()) {
        (_, false) => &[false],
        (false, true) => &[true],
        (true, true) => &[false, true],
    };
    for &grads in forms {
        let expected = run.eager(grads);
        if expected.is_err() {
            continue;
        }
        let on_device = |f: &dyn Fn() -> Result<crate::run::Outcome, Stop>| with_device(Device::OpenCl(0), f);
        let modes = [("eager", on_device(&|| run.eager(grads)))];
        let compiled = traced.then(|| ("traced", on_device(&|| run.traced(grads))));
        for (mode, done) in modes.into_iter().chain(compiled) {
            let what = match &done {
                Ok(_) => differ(&expected, &done),
                Err(stop) if stop.text().contains(crate::run::BY_SHAPE) => None,
                Err(stop) => Some(stop.text()),
            };
            found.extend(what.map(|what| format!("{}, {mode}, gradients {grads}: {what}", run.sample.id)));
        }
    }
    found
}

/// The cases of an operator that run.
fn chosen(op: &Operator, all: bool) -> Vec<&Sample> {
    let fit = || op.samples.iter().filter(|s| s.error.is_none());
    match all {
        true => fit().collect(),
        false => fit().find(|s| s.has_grads()).or_else(|| fit().next()).into_iter().collect(),
    }
}

#[test]
fn every_operator_on_a_device() {
    if let Err(missing) = opencl::of(0).opened() {
        eprintln!("skipped, there is no OpenCL device: {missing}");
        return;
    }
    let all = std::env::var("ALLOTROPE_OPINFO_DEVICE").is_ok_and(|v| v == "all");
    let folder = corpus::folder();
    let adapters = adapters();
    let adapter = |name: &str| -> Option<Adapter> { adapters.iter().find(|(n, _)| *n == name).map(|(_, a)| *a) };
    let wanted = only();
    let names: Vec<String> = corpus::operators(&folder)
        .into_iter()
        .enumerate()
        .filter(|(_, name)| wanted.as_ref().is_none_or(|only| only.contains(name)))
        .map(|(_, name)| name)
        .collect();
    let found = in_parallel(&names, |name| {
        let Some(adapter) = adapter(name) else { return (0, Vec::new()) };
        let op = Operator::read(&folder, name);
        // A compiled program costs more than an operation: every eighth operator has one.
        let traced = all || names.iter().position(|n| n == name).is_some_and(|i| i % 8 == 0);
        let cases = chosen(&op, all);
        let differ = cases.iter().flat_map(|sample| differences(Run { op: &op, sample, adapter }, all, traced));
        (cases.len(), differ.collect::<Vec<_>>())
    });
    let cases: usize = found.iter().map(|(_, (n, _))| n).sum();
    let mut bad = 0;
    for (name, (_, differences)) in found.iter().filter(|(_, (_, d))| !d.is_empty()) {
        bad += 1;
        println!("{name}: {} differ", differences.len());
        differences.iter().take(shown(3)).for_each(|d| println!("    {d}"));
    }
    println!("{cases} cases of {} operators on {}", found.len(), Device::OpenCl(0));
    assert_eq!(bad, 0, "operators differ on the device; they are listed above");
}
