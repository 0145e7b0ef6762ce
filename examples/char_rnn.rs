//! A language model of characters: it reads lines and learns which character comes next, then it writes lines of its own.
//!
//! Lines have any length. Padded to the longest of their batch they would cost as many steps each, and the model would learn
//! the padding; packed (`pack_sequence`, as in `torch.nn.utils.rnn`) a batch holds what was written and nothing else, the recurrent layer
//! drops each line at its end, and the loss counts real characters only. With `--trace` the lengths of a batch are data, so one
//! compilation serves every batch there will ever be.
//!
//! `cargo run --release --example char_rnn`; `-- --trace` compiles the training step, `--cell lstm` takes the other layer, `--text FILE` reads your
//! text, `--sample N --temperature T` writes N characters, soberly (T below 1) or wildly (above); `--help` says the rest. It prints
//!
//! ```text
//! 11 lines of 34 to 359 characters, 27 different ones
//! CharRNN(
//!   (embedding): Embedding(27, 16)
//!   (cell): GRU(16, 64)
//!   (out): Linear(in_features=64, out_features=27, bias=True)
//! )
//! epoch 10: loss 0.98
//! epoch 20: loss 0.23
//! epoch 30: loss 0.10
//! epoch 40: loss 0.04
//!
//! This is the house that Jack built.
//! This is the house that Jack built.
//! This is the rat that ate the malt that lay in the house that Jack built.
//! This is the farmer sowing his corn that kept the cock that crowed in the malt that lay in the house that Jack built.
//! This is the house that Jack built.
//! This
//! ```
//!
//! and draws `loss.png`.

use allotrope::data::{DataLoader, DataLoaderOptions, ListDataset};
use allotrope::nn::rnn::{PackedSequence, try_pack_sequence};
use allotrope::plot::Chart;
use allotrope::prelude::*;
use clap::{Parser, ValueEnum};
use indicatif::ProgressBar;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Learns to write like a text, one character after the other.
#[derive(Parser)]
struct Args {
    /// Compile the training step.
    #[arg(long)]
    trace: bool,
    /// The recurrent layer.
    #[arg(long, value_enum, default_value_t = Kind::Gru)]
    cell: Kind,
    /// A text whose lines are learned; without it a nursery rhyme.
    #[arg(long)]
    text: Option<PathBuf>,
    /// Passes over the text.
    #[arg(long, default_value_t = 40)]
    epochs: usize,
    /// Lines in a batch.
    #[arg(long, default_value_t = 4)]
    batch_size: usize,
    /// Learning rate.
    #[arg(long, default_value_t = 1e-2)]
    lr: f64,
    /// Characters to write when it has learned.
    #[arg(long, default_value_t = 300)]
    sample: usize,
    /// Below 1 likely characters become likelier still, above 1 all become alike.
    #[arg(long, default_value_t = 0.5)]
    temperature: f64,
    /// Of the parameters, the order of the lines, and the sample.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for the plot.
    #[arg(long, default_value = "allotrope-report/char_rnn")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Gru,
    Lstm,
}

enum Cell {
    Gru(nn::Gru),
    Lstm(nn::Lstm),
}

impl Cell {
    /// The states of all rows, each line from zeros on.
    fn forward(&self, x: &PackedSequence) -> PackedSequence {
        match self {
            Cell::Gru(gru) => gru.forward_packed(x, None).0,
            Cell::Lstm(lstm) => lstm.forward_packed(x, None).0,
        }
    }

    /// One step `[1, 1, n]` from the states before; none are zeros.
    fn step(&self, x: &Tensor, states: &[Tensor]) -> (Tensor, Vec<Tensor>) {
        match self {
            Cell::Gru(gru) => {
                let (out, h) = gru.forward(x, states.first());
                (out, vec![h])
            }
            Cell::Lstm(lstm) => {
                let states = if let [h, c] = states { Some((h, c)) } else { None };
                let (out, (h, c)) = lstm.forward(x, states);
                (out, vec![h, c])
            }
        }
    }

    fn module(&self) -> &dyn Module {
        match self {
            Cell::Gru(gru) => gru,
            Cell::Lstm(lstm) => lstm,
        }
    }
}

/// An enum shows what is in it.
impl Module for Cell {
    fn visit(&self, visitor: &mut dyn nn::Visitor) {
        self.module().visit(visitor);
    }
    fn class_name(&self) -> &'static str {
        self.module().class_name()
    }
    fn extra_repr(&self) -> String {
        self.module().extra_repr()
    }
}

#[derive(Module)]
#[module(name = "CharRNN")]
struct CharRnn {
    embedding: nn::Embedding,
    cell: Cell,
    out: nn::Linear,
}

impl CharRnn {
    fn new(characters: usize, kind: Kind) -> CharRnn {
        CharRnn {
            embedding: nn::Embedding::new(characters, 16),
            cell: match kind {
                Kind::Gru => Cell::Gru(nn::Gru::new(16, 64)),
                Kind::Lstm => Cell::Lstm(nn::Lstm::new(16, 64)),
            },
            out: nn::Linear::new(64, characters),
        }
    }

    /// Packed characters to scores `[total, characters]` of what follows each.
    fn forward(&self, x: &PackedSequence) -> Tensor {
        let rows = x.with_data(self.embedding.forward(x.data()));
        self.out.forward(self.cell.forward(&rows).data())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    if !(1e-3..=1e3).contains(&args.temperature) {
        return Err(format!("--temperature must be between 0.001 and 1000, got {}", args.temperature).into());
    }
    std::fs::create_dir_all(&args.out).map_err(|error| format!("{}: {error}", args.out.display()))?;
    let text = match &args.text {
        Some(path) => std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?,
        None => rhyme(),
    };
    // A line break begins each line and ends it.
    let lines: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(|line| format!("\n{line}\n")).collect();
    if lines.is_empty() {
        return Err("the text has no line with a character in it".into());
    }
    let characters: Vec<char> =
        lines.iter().flat_map(|line| line.chars()).collect::<BTreeSet<_>>().into_iter().collect();
    let lengths = || lines.iter().map(|line| line.chars().count() - 2);
    let (least, most) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
    println!("{} lines of {least} to {most} characters, {} different ones", lines.len(), characters.len());

    manual_seed(args.seed);
    let net = CharRnn::new(characters.len(), args.cell);
    println!("{net}");
    let opt = optim::Adam::try_with_options(net.parameters(), args.lr, Default::default())?;
    let step = trace(|batch: &[Tensor]| {
        let [packed @ .., target] = batch else { unreachable!("the loader makes them") };
        let x = PackedSequence::from_tensors(packed).expect("the loader makes them");
        let loss = cross_entropy(&net.forward(&x), target, CrossEntropyOptions::default());
        opt.zero_grad();
        loss.backward();
        optim::clip_grad_norm_(&net.parameters(), 1.0, 2.0, false);
        opt.step();
        loss.detach()
    });
    let step = step.disabled(!args.trace);

    let number = |c: char| characters.binary_search(&c).expect("it is in the text") as i64;
    let coded = |line: &String| Tensor::from_vec(line.chars().map(number).collect(), &[line.chars().count()]);
    let options = DataLoaderOptions { batch_size: args.batch_size, shuffle: true, ..Default::default() };
    let lines = ListDataset(lines.iter().map(coded).collect::<Vec<_>>());
    let loader = DataLoader::try_with_collate(lines, options, |lines: Vec<Tensor>| {
        // Each character is to tell the next one, so a line is an input without its last and a target without its first.
        let part = |from: isize| lines.iter().map(|line| line.narrow(0, from, line.shape()[0] - 1)).collect::<Vec<_>>();
        let (input, target) = (try_pack_sequence(&part(0), false)?, try_pack_sequence(&part(1), false)?);
        Ok([input.tensors(), vec![target.data().clone()]].concat())
    })?;

    let bar = ProgressBar::new(args.epochs as u64);
    let mut losses = Vec::new();
    for epoch in 1..=args.epochs {
        let mut total = 0.0;
        for batch in &loader {
            total += step.call(&batch?)?.item::<f32>();
        }
        losses.push(total / loader.len() as f32);
        if epoch % 10 == 0 || epoch == args.epochs {
            bar.suspend(|| println!("epoch {epoch}: loss {:.2}", losses[epoch - 1]));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Chart::new("A line of the text, character by character")
        .x("epoch")
        .y("cross-entropy")
        .line("", 1..args.epochs + 1, losses)
        .save(args.out.join("loss.png"))?;

    println!("\n{}", sample(&net, &characters, args.sample, args.temperature)?.trim_end());
    Ok(())
}

/// So many characters, each drawn from what the model expects after those before; a line break begins a new line from zeros.
fn sample(net: &CharRnn, characters: &[char], n: usize, temperature: f64) -> Result<String, Error> {
    let (mut text, mut states, mut last) = (String::new(), Vec::new(), 0);
    for _ in 0..n {
        let x = net.embedding.forward(&Tensor::full(&[1, 1], last));
        let (out, after) = no_grad(|| net.cell.step(&x, &states));
        let scores = no_grad(|| net.out.forward(&out.reshape(&[1, -1])));
        last = multinomial(&(scores / temperature).softmax(1), 1, false).item::<i64>();
        // The line break is the first of the characters.
        states = if last == 0 { Vec::new() } else { after };
        text.push(characters[last as usize]);
    }
    Ok(text)
}

/// "The House That Jack Built", each verse a line, the shortest of 34 characters and the longest of 340.
fn rhyme() -> String {
    let told = [
        "the house that Jack built.",
        "the malt that lay in ",
        "the rat that ate ",
        "the cat that killed ",
        "the dog that worried ",
        "the cow with the crumpled horn that tossed ",
        "the maiden all forlorn that milked ",
        "the man all tattered and torn that kissed ",
        "the priest all shaven and shorn that married ",
        "the cock that crowed in the morn that waked ",
        "the farmer sowing his corn that kept ",
    ];
    let verse = |i: usize| format!("This is {}\n", told[..=i].iter().rev().copied().collect::<String>());
    (0..told.len()).map(verse).collect()
}
