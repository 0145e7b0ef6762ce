//! Every public function that takes a size, with absurd sizes, eagerly and traced, in a process of its own each: no
//! signal, no abort, no hang, and an error that names the size. Nothing here asserts what an operation computes.
//!
//! A process runs one line of the tables with all sizes, says on its output which case it begins and how it ended, and
//! has little address space; one that dies or hangs names its case, and another one goes on behind it.

#![allow(clippy::unit_arg, reason = "the rows of the tables are calls of any kind")]

mod child;
mod coverage;
mod functions;
mod layers;
mod row;
mod special;
mod statistics;
mod tensors;

use row::Row;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How long one case may take; a debug build on a busy machine takes far less.
const CASE: Duration = Duration::from_secs(20);
/// Address space of a process in KiB: nothing here needs it, and no absurd size fits.
const ADDRESS_SPACE: &str = "6291456";

/// All tables.
fn rows() -> Vec<Row> {
    [tensors::rows(), statistics::rows(), functions::rows(), layers::rows(), special::rows()]
        .into_iter()
        .flatten()
        .collect()
}

/// What a process says on its output.
enum Said {
    Begins(usize),
    Fails(String),
    Ends,
}

/// Starts a process for one row, from its case `from` on.
fn start(row: usize, from: usize) -> Child {
    let exe = std::env::current_exe().expect("the path of this test");
    let mut command = match cfg!(target_os = "linux") {
        true => {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("ulimit -v {ADDRESS_SPACE}; exec \"$0\" \"$@\"")).arg(exe);
            shell
        }
        false => Command::new(exe),
    };
    command
        .args(["child::runs_the_cases_of_one_row", "--exact", "--nocapture", "--test-threads=1"])
        .env(child::ROW, row.to_string())
        .env(child::FROM, from.to_string())
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test, once more")
}

fn listen(process: &mut Child) -> Receiver<Said> {
    let (send, said) = channel();
    let out = BufReader::new(process.stdout.take().expect("its output"));
    thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let Some((_, line)) = line.split_once("@ ") else { continue };
            let said = match line.split_once(' ') {
                Some(("begins", number)) => Said::Begins(number.parse().expect("a number")),
                Some(("fails", text)) => Said::Fails(text.to_string()),
                _ => Said::Ends,
            };
            if send.send(said).is_err() {
                return;
            }
        }
    });
    said
}

/// The last words of a process that died.
fn last_words(process: &mut Child) -> String {
    let mut text = String::new();
    let _ = process.stderr.take().map(|mut e| e.read_to_string(&mut text));
    text.lines().rev().find(|l| !l.is_empty()).unwrap_or("").to_string()
}

/// Runs all cases of a row, and says what went wrong.
fn run(number: usize, row: &Row) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut from = 0;
    while from < row.cases() {
        let mut process = start(number, from);
        let said = listen(&mut process);
        // What comes before the first case is the start of the process.
        let mut at = from;
        loop {
            match said.recv_timeout(CASE) {
                Ok(Said::Begins(case)) => at = case,
                Ok(Said::Fails(text)) => wrong.push(format!("{}: {text}", row.case_name(at))),
                Ok(Said::Ends) => {
                    at = row.cases();
                    break;
                }
                Err(RecvTimeoutError::Timeout) => {
                    wrong.push(format!("{}: no end after {CASE:?}", row.case_name(at)));
                    let _ = process.kill();
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = process.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                    wrong.push(format!("{}: {status}: {}", row.case_name(at), last_words(&mut process)));
                    break;
                }
            }
        }
        let _ = process.kill();
        let _ = process.wait();
        from = at + 1;
    }
    wrong
}

#[test]
fn absurd_sizes_are_errors_that_name_them() {
    if std::env::var_os(child::ROW).is_some() {
        return;
    }
    let (rows, next, wrong) = (rows(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let only = std::env::var("ALLOTROPE_ABSURD").unwrap_or_default();
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|s| {
        for _ in 0..workers {
            s.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if row.name().contains(&only) {
                        let number = rows.iter().position(|r| std::ptr::eq(r, row)).expect("it is one of them");
                        let found = run(number, row);
                        found.iter().for_each(|text| eprintln!("{text}"));
                        wrong.lock().unwrap().extend(found);
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}
