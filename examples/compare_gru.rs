//! Both modes compared on a model of one's own: a gated recurrent unit written by hand, which learns the running maximum of sequences of
//! every length. What `allotrope compare` does for its programs, `compare::Experiment` does for any: it trains the model eagerly
//! and traced from the same seed, compares losses and parameters bit by bit, and makes a report.
//!
//! `cargo run --release --example compare_gru` prints
//!
//! ```text
//! pass 1: mean loss of every length 0.3655
//! pass 2: mean loss of every length 0.1184
//! pass 3: mean loss of every length 0.0439
//! pass 4: mean loss of every length 0.0343
//! pass 5: mean loss of every length 0.0224
//! eager  200 steps, last loss 0.015210, compilations 0
//! traced 200 steps, last loss 0.015210, compilations 1
//! losses and parameters equal to the bit: true
//! ```
//!
//! and, on standard error, the table with the times. The report is in the folder of `--out`: `index.html` with plots, and `results.json`.
//! `--longest N` takes sequences of 1 to N steps.

use allotrope::compare::{Batch, Experiment, Report, ReportFolder, StepResult, Subject};
use allotrope::prelude::*;
use clap::Parser;
use std::path::PathBuf;
use std::rc::Rc;

const HIDDEN: usize = 24;
const BATCH: usize = 16;

#[derive(Parser)]
struct Args {
    /// The most steps that a sequence has.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=1000))]
    longest: u16,
    /// How often each length is trained.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    passes: u16,
    /// Folder for the report.
    #[arg(long, default_value = "allotrope-report/compare_gru")]
    out: PathBuf,
}

/// A gated recurrent unit; of each linear layer one third is for the reset gate, one for the update gate, one for the new state.
#[derive(Module)]
struct Gru {
    input: nn::Linear,
    hidden: nn::Linear,
    out: nn::Linear,
}

impl Gru {
    fn new(inputs: usize, hidden: usize) -> Gru {
        Gru {
            input: nn::Linear::new(inputs, 3 * hidden),
            hidden: nn::Linear::new(hidden, 3 * hidden),
            out: nn::Linear::new(hidden, 1),
        }
    }

    /// One step, from the input and the state before: `[batch, inputs]`, `[batch, hidden]` to `[batch, hidden]`.
    fn cell(&self, x: &Tensor, h: &Tensor) -> Tensor {
        let from_x = self.input.forward(x).chunk(3, 1);
        let from_h = self.hidden.forward(h).chunk(3, 1);
        let reset = (&from_x[0] + &from_h[0]).sigmoid();
        let update = (&from_x[1] + &from_h[1]).sigmoid();
        let new = (&from_x[2] + reset * &from_h[2]).tanh();
        (1.0 - &update) * new + update * h
    }

    /// `[time, batch, inputs]` to `[time, batch, 1]`. The loop is a `scan`, so one compilation serves every length.
    fn forward(&self, xs: &Tensor) -> Tensor {
        let h = xs.new_zeros(&[xs.sizes()[1], HIDDEN.into()]);
        let (_last, states) = scan(h, xs.clone(), |h, x| {
            let h = self.cell(&x, &h);
            (h.clone(), h)
        });
        self.out.forward(&states)
    }
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let (longest, passes) = (usize::from(args.longest), usize::from(args.passes));
    // Tried before anything is trained.
    let folder = ReportFolder::check(&args.out)?;

    let comparison = Experiment::new("gru", subject, move || (0..passes).flat_map(move |_| every_length(longest)))
        .description(format!("The running maximum of sequences of 1 to {longest} steps, each length {passes} times."))
        .steps(longest * passes)
        .seed(1)
        .run()?;

    let reference = comparison.reference();
    for (pass, losses) in reference.losses.chunks(longest).enumerate() {
        println!("pass {}: mean loss of every length {:.4}", pass + 1, losses.iter().sum::<f64>() / longest as f64);
    }
    for run in &comparison.runs {
        let (label, steps, loss) = (run.column.label(), run.steps(), run.final_loss());
        println!("{label:<6} {steps} steps, last loss {loss:.6}, compilations {}", run.compilations);
    }
    println!("losses and parameters equal to the bit: {}", comparison.agrees());

    let report = Report::new("A gated recurrent unit of one's own")
        .intro(format!(
            "Gru(1, {HIDDEN}) written by hand as a scan over Linear layers; batch {BATCH}, Adam at 0.01, seed 1."
        ))
        .command(format!("cargo run --release --example compare_gru -- --longest {longest} --passes {passes}"))
        .setting("longest", longest)
        .setting("passes", passes)
        .with(comparison);
    eprintln!("\n{}", report.table());
    report.write_into(&folder)?;
    report.verdict()
}

/// The model with its training step, made anew for each run.
fn subject() -> Subject {
    let model = Rc::new(Gru::new(1, HIDDEN));
    let optimizer = optim::Adam::new(model.parameters(), 0.01);
    let trained = model.clone();
    Subject::new(&model, move |batch, _carried| {
        let loss = mse_loss(&trained.forward(&batch[0]), &batch[1]);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
        StepResult::of(loss)
    })
}

/// A batch of each length from 1 on, in an order that the generator draws.
fn every_length(longest: usize) -> impl Iterator<Item = Batch> {
    let lengths = randperm(longest).to_vec::<i64>();
    lengths.into_iter().map(|n| {
        let length = n as usize + 1;
        let x = randn(&[length, BATCH, 1]);
        let (maximum, _at) = x.cummax(0);
        Batch::new([x, maximum]).length(length)
    })
}
