//! Training that is killed (SIGKILL) at any moment and started again from its last checkpoint ends on the bits of a training that nobody
//! disturbed: parameters, buffers, the optimizer's and the scheduler's state, generators. Eagerly and traced.
//!
//! The training is a process of its own: this executable, told by a variable to run `training.rs`.

mod training;

use allotrope::io;
use allotrope::prelude::*;
use allotrope::state::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// The folder of the training and its mode, for the process that trains.
const FOLDER: &str = "ALLOTROPE_RESUME_FOLDER";
const TRACED: &str = "ALLOTROPE_RESUME_TRACED";
/// Steps that the training may be ahead of what has been read of it, so that it cannot end before it is killed.
const AHEAD: usize = 3;
const KILLS: usize = 8;

#[test]
fn a_killed_training_ends_on_the_same_bits_eagerly() {
    killed_and_undisturbed("eager", false);
}

#[test]
fn a_killed_training_ends_on_the_same_bits_traced() {
    killed_and_undisturbed("traced", true);
}

/// What the other process runs; nothing in this one.
#[test]
fn trains() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut permits = std::io::stdin().lines();
    let mut steps = 0;
    let told = |line: String| {
        eprintln!("{line}");
        steps += usize::from(line.starts_with("step"));
        if line.starts_with("step") && steps > AHEAD {
            permits.next();
        }
    };
    training::train(Path::new(&folder), std::env::var_os(TRACED).is_some(), told).expect("the training runs");
}

fn killed_and_undisturbed(name: &str, traced: bool) {
    let folder = Folder::new(name);
    let whole = folder.inner("whole");
    let mut losses = BTreeMap::new();
    // Both modes are held against the eager one.
    Training::start(&whole, false).run_to_the_end(&mut losses);
    assert_eq!(losses.len(), training::STEPS);

    let often = folder.inner("often");
    let last = training::STEPS - 4 * AHEAD;
    let mut moments = Generator::new(11).randint(1, last as i64, &[KILLS]).to_vec::<i64>();
    moments.sort();
    let mut seen = BTreeMap::new();
    let mut killed_while_saving = 0;
    for (kill, moment) in moments.into_iter().enumerate() {
        let drafts = drafts(&often);
        let training = Training::start(&often, traced);
        if kill % 2 == 0 {
            training.kill_behind(moment as usize, &mut seen);
        } else {
            training.kill_while_saving(moment as usize, &often, &mut seen);
        }
        // Who writes a file removes the draft whatever happens, unless nothing of it runs any more.
        killed_while_saving += usize::from(self::drafts(&often) > drafts);
    }
    assert!(killed_while_saving > 0, "no kill of {KILLS} came while a checkpoint was written");
    Training::start(&often, traced).run_to_the_end(&mut seen);

    for (step, loss) in seen {
        assert_eq!(loss, losses[&step], "loss of step {step}");
    }
    let [end, wanted] = [&often, &whole].map(|folder| {
        let mut all = Vec::new();
        flatten("", &io::load(folder.join("end.pt")).expect("the end was saved"), &mut all);
        all
    });
    assert_eq!(end.len(), wanted.len());
    for ((name, bits), (_, wanted)) in end.iter().zip(&wanted) {
        assert!(bits == wanted, "{name} differs from that of the undisturbed training");
    }
}

/// Every number of a checkpoint by name, as bits.
fn flatten(name: &str, value: &Value, all: &mut Vec<(String, Vec<u64>)>) {
    let mut leaf = |bits: Vec<u64>| all.push((name.to_string(), bits));
    match value {
        // Exact for every dtype here.
        Value::Tensor(t) => leaf(t.detach().to(DType::F64).to_vec::<f64>().into_iter().map(f64::to_bits).collect()),
        Value::Float(x) => leaf(vec![x.to_bits()]),
        Value::Int(n) => leaf(vec![*n as u64]),
        Value::Bool(b) => leaf(vec![u64::from(*b)]),
        Value::Str(text) => leaf(text.bytes().map(u64::from).collect()),
        Value::None => leaf(Vec::new()),
        Value::List(values) | Value::Tuple(values) => {
            values.iter().enumerate().for_each(|(i, v)| flatten(&format!("{name}.{i}"), v, all));
        }
        Value::Dict(entries) => entries.iter().for_each(|(key, v)| {
            let key = key.as_str().map_or_else(|| format!("{:?}", key.as_int()), str::to_string);
            flatten(&format!("{name}.{key}"), v, all);
        }),
    }
}

/// Losses by step, as they were told.
type Losses = BTreeMap<usize, String>;

/// The process that trains, and what it tells.
struct Training {
    child: Child,
    told: BufReader<ChildStderr>,
    permits: ChildStdin,
    /// What it told besides: why it failed, where it does.
    rest: String,
}

enum Told {
    Step(usize, String),
    Saving(usize),
    End,
}

impl Training {
    fn start(folder: &Path, traced: bool) -> Training {
        let this = std::env::current_exe().expect("this executable has a path");
        let mut command = Command::new(this);
        command.args(["trains", "--exact", "--nocapture"]).env(FOLDER, folder);
        if traced {
            command.env(TRACED, "1");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("this executable runs");
        let told = BufReader::new(child.stderr.take().expect("it is piped"));
        let permits = child.stdin.take().expect("it is piped");
        Training { child, told, permits, rest: String::new() }
    }

    /// What happens next; a step is permitted to be followed by others.
    fn next(&mut self) -> Told {
        loop {
            let mut line = String::new();
            self.told.read_line(&mut line).expect("the training is heard");
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["step", number, loss] => {
                    // It may have ended meanwhile.
                    let _ = self.permits.write_all(b"\n");
                    return Told::Step(number.parse().expect("a number"), loss.to_string());
                }
                ["saving", number] => return Told::Saving(number.parse().expect("a number")),
                _ if line.is_empty() => return Told::End,
                _ => self.rest.push_str(&line),
            }
        }
    }

    fn run_to_the_end(mut self, losses: &mut Losses) {
        loop {
            match self.next() {
                Told::Step(number, loss) => _ = losses.insert(number, loss),
                Told::Saving(_) => {}
                Told::End => break,
            }
        }
        let status = self.child.wait().expect("it has ended");
        assert!(status.success(), "the training failed: {}", self.rest);
    }

    /// Kills it when this step has been told: it is some steps further then, or in the middle of one.
    fn kill_behind(mut self, step: usize, losses: &mut Losses) {
        self.until(losses, |told| matches!(told, Told::Step(number, _) if *number >= step));
        self.kill();
    }

    /// Kills it when a part of the first checkpoint behind this step is in the folder.
    fn kill_while_saving(mut self, step: usize, folder: &Path, losses: &mut Losses) {
        let drafts = drafts(folder);
        self.until(losses, |told| matches!(told, Told::Saving(number) if *number >= step));
        // Where the checkpoint is whole before it is seen, the wait ends all the same.
        let began = Instant::now();
        while self::drafts(folder) == drafts && began.elapsed() < Duration::from_secs(1) {}
        self.kill();
    }

    fn until(&mut self, losses: &mut Losses, is_it: impl Fn(&Told) -> bool) {
        loop {
            let told = self.next();
            let found = is_it(&told);
            match told {
                Told::Step(number, loss) => _ = losses.insert(number, loss),
                Told::Saving(_) => {}
                Told::End => panic!("the training ended before it was killed: {}", self.rest),
            }
            if found {
                return;
            }
        }
    }

    fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        let status = self.child.wait().expect("it has ended");
        assert!(!status.success(), "it is killed before it can end");
    }
}

/// How many files there are that were to become a checkpoint.
fn drafts(folder: &Path) -> usize {
    let files = fs::read_dir(folder).expect("the folder is there").flatten();
    files.filter(|file| file.path().extension().is_some_and(|end| end == "tmp")).count()
}

/// A folder of its own for each test, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        Folder(std::env::temp_dir().join(format!("allotrope-resume-{name}-{}", std::process::id())))
    }

    fn inner(&self, name: &str) -> PathBuf {
        let inner = self.0.join(name);
        fs::create_dir_all(&inner).expect("a folder for temporary files");
        inner
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
