//! All programs of a file on a few threads, and the classes of what differs: how many, and one short example of each.

use crate::compare::{self, Category, Difference};
use crate::program::{Program, Step};
use crate::quiet::quietly;
use crate::replay::Calls;
use crate::{source, traced};
use allotrope::prelude::{Device, manual_seed, with_device};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One class: programs whose first difference is of this operator and kind.
pub struct Class {
    pub count: usize,
    /// Size and source of each.
    pub examples: Vec<(usize, String)>,
    pub texts: Vec<String>,
}

/// How a file went.
#[derive(Default)]
pub struct Survey {
    /// How many examples of a class are shown.
    pub shown: usize,
    pub programs: usize,
    pub without: usize,
    pub rounding: usize,
    pub nearer: usize,
    /// Of what a trace says that it cannot have, in how many programs such steps were left out.
    pub limits: BTreeMap<&'static str, usize>,
    pub classes: BTreeMap<(Category, String), Class>,
}

/// Draws come from one generator of the process.
static GENERATOR: Mutex<()> = Mutex::new(());

/// What to run of each program.
#[derive(Clone)]
pub struct Modes {
    /// Categories that do not end the comparison of a program.
    pub passed: Vec<Category>,
    pub traced: bool,
    pub dynamic: bool,
    /// Held against the CPU, instead of that against PyTorch.
    pub device: Option<Device>,
}

/// Runs programs, a line each.
pub fn run(lines: &[String], threads: usize, modes: &Modes, shown: usize) -> Survey {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Survey { shown, ..Survey::default() }));
    let calls = Calls::all();
    let work = || {
        while let Some(line) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
            let program = Program::read(line);
            let found = quietly(|| one(&calls, &program, modes));
            all.lock().expect("no panic").add(&program, found);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    all.into_inner().expect("no panic")
}

struct One {
    differences: Vec<Difference>,
    rounding: bool,
    nearer: bool,
    limits: BTreeSet<&'static str>,
}

fn one(calls: &Calls, program: &Program, modes: &Modes) -> One {
    let draws = program.steps.iter().any(|s| matches!(s, Step::Call(c) if c.draws()));
    let _only = draws.then(|| GENERATOR.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let seed = || {
        if draws {
            manual_seed(program.seed);
        }
    };
    let mut limits = BTreeSet::new();
    if let Some(device) = modes.device {
        let mut differences: Vec<Difference> = traced::on_a_device(calls, program, &seed, device).into_iter().collect();
        if modes.traced {
            let compiled = || traced::difference(calls, program, &seed, modes.dynamic, &mut limits);
            differences.extend(with_device(device, compiled));
        }
        return One { differences, rounding: false, nearer: false, limits };
    }
    seed();
    let found = compare::eager(calls, program, &modes.passed);
    let mut differences: Vec<Difference> = found.difference.into_iter().chain(found.beside).collect();
    if modes.traced {
        differences.extend(traced::difference(calls, program, &seed, modes.dynamic, &mut limits));
    }
    One { differences, rounding: found.rounding, nearer: found.nearer, limits }
}

impl Survey {
    fn add(&mut self, program: &Program, found: Result<One, String>) {
        self.programs += 1;
        let found = found.unwrap_or_else(|text| {
            let panic = Difference { at: 0, op: "test".into(), category: Category::Panic, text };
            One { differences: vec![panic], rounding: false, nearer: false, limits: BTreeSet::new() }
        });
        self.rounding += usize::from(found.rounding);
        self.nearer += usize::from(found.nearer);
        for text in found.limits {
            *self.limits.entry(text).or_default() += 1;
        }
        self.without +=
            usize::from(found.differences.iter().all(|d| matches!(d.category, Category::GradFn | Category::Zero)));
        for d in found.differences {
            let steps = source::slice(program, d.at);
            let text = format!("{}\n    -> {} (program {})", source::source(program, &steps), d.text, program.seed);
            let class = self.classes.entry((d.category, d.op)).or_insert_with(|| Class {
                count: 0,
                examples: Vec::new(),
                texts: Vec::new(),
            });
            class.count += 1;
            let size = steps.len() * 1000 + text.len();
            class.examples.push((size, text));
            if class.texts.len() < 200 {
                class.texts.push(d.text);
            }
        }
    }
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut classes: Vec<_> = self.classes.iter().collect();
        classes.sort_by_key(|(key, c)| (std::cmp::Reverse(c.count), key.1.clone()));
        writeln!(
            f,
            "{} programs: {} without a difference (names of nodes and signs of zeros aside), {} of them not compared to the end for rounding, {} with a value that PyTorch gives in double precision only",
            self.programs, self.without, self.rounding, self.nearer
        )?;
        let mut totals: BTreeMap<Category, usize> = BTreeMap::new();
        for ((category, _), c) in &classes {
            *totals.entry(*category).or_default() += c.count;
        }
        for (category, n) in &totals {
            writeln!(f, "{n:6}  {category}")?;
        }
        for (text, n) in &self.limits {
            writeln!(f, "{n:6}  traced without a step: {text}")?;
        }
        writeln!(f, "\nclasses:")?;
        for ((category, op), c) in &classes {
            writeln!(f, "{:6}  {op}: {category}", c.count)?;
        }
        for ((category, op), c) in &classes {
            writeln!(f, "\n{op}: {category} ({})", c.count)?;
            let mut examples: Vec<_> = c.examples.iter().collect();
            examples.sort();
            for line in examples.into_iter().take(self.shown).flat_map(|(_, text)| text.lines()) {
                writeln!(f, "    {line}")?;
            }
            let mut more: Vec<&String> = c.texts.iter().collect();
            more.sort();
            more.dedup();
            for text in more.into_iter().take(4) {
                writeln!(f, "      also: {}", text.lines().next().unwrap_or_default())?;
            }
        }
        Ok(())
    }
}
