//! `docs/life-of-a-program.md`: one program after each stage, from Rust to machine code. This test makes the text of every
//! stage and compares it with the page; `ALLOTROPE_UPDATE_DOCS=1 cargo test --release --test life_of_a_program` renews it.
//!
//! A block of the page is what stands between the fences after `<!-- name -->`. Those of [`PER_HOST`] depend on the
//! processor: they are renewed with the others and not compared.

use allotrope::backend::{Compiled, Options};
use allotrope::ir::Graph;
use allotrope::ir::passes::{Passes, optimize_with};
use allotrope::prelude::*;
use allotrope::schedule::{MemoryPlan, Schedule, Temporaries};
use std::fmt::Write;
use std::path::Path;

/// Blocks that are not the same for every processor.
const PER_HOST: &[&str] = &["clif", "size"];

/// The program. What stands between the marks is shown on the page.
fn captured() -> Graph {
    // begin
    let w = Tensor::from_vec(vec![0.5f32, -1.0, 0.25], &[3, 1]).requires_grad();
    let step = trace(|x: &Tensor, y: &Tensor| {
        let loss = mse_loss(&x.matmul(&w).tanh(), y);
        let gradient = grad(&[&loss], &[&w], false).expect("w requires a gradient").remove(0).expect("loss uses w");
        no_grad(|| w.sub_(&(gradient * 0.1)));
        loss.detach()
    });
    // end
    let (x, y) = (Tensor::ones(&[4, 3], DType::F32), Tensor::zeros(&[4, 1], DType::F32));
    step.compile((&x, &y)).expect("it compiles");
    step.explain()[0].captured().clone()
}

/// The lines of this file between the marks, without their indentation.
fn program() -> String {
    let lines = include_str!("life_of_a_program.rs").lines();
    let inside = lines.skip_while(|line| line.trim() != "// begin").skip(1).take_while(|line| line.trim() != "// end");
    inside.map(|line| line.strip_prefix("    ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// What each pass of the pipeline did to the number of nodes.
fn passes(graph: &Graph) -> (String, Graph) {
    let mut text = String::new();
    let mut before = graph.to_string();
    let optimized = optimize_with(graph, &Passes::ALL, &mut |pass, graph, _| {
        let now = graph.to_string();
        let nodes = |n: usize| format!("{n} node{}", if n == 1 { "" } else { "s" });
        let change = if now == before { "unchanged".to_string() } else { nodes(graph.nodes().count()) };
        writeln!(text, "{pass:<34}{change}").expect("a text takes all");
        before = now;
    });
    (text, optimized)
}

fn memory(schedule: &Schedule) -> String {
    let none = Temporaries::default();
    let plan = MemoryPlan::of(schedule, &none);
    let mut text = String::new();
    for buffer in plan.buffers(schedule, &none) {
        let (first, last) = buffer.alive;
        writeln!(text, "slot {}: {} bytes, from k{first} to k{last}", buffer.place, buffer.bytes)
            .expect("a text takes all");
    }
    let rows = |n: usize| plan.bytes(&vec![n; schedule.symbols]);
    write!(text, "bytes in all: {} with 4 rows, {} with 1000", rows(4), rows(1000)).expect("a text takes all");
    text
}

fn blocks() -> Vec<(&'static str, String)> {
    let captured = captured();
    let (passes, optimized) = passes(&captured);
    let schedule = Schedule::of(&optimized).expect("it can be scheduled");
    let options = Options { keep_clif: true, ..Options::default() };
    let compiled = Compiled::of(&schedule, &options).expect("it compiles");
    let clif = compiled.clif().expect("it was kept");
    let size = format!(
        "{} lines of Cranelift IR in {} function{}, {} bytes of machine code for {}",
        clif.lines().count(),
        compiled.function_sizes().len(),
        if compiled.function_sizes().len() == 1 { "" } else { "s" },
        compiled.code_size(),
        std::env::consts::ARCH,
    );
    let kernels: Vec<String> = compiled.kernels().iter().map(ToString::to_string).collect();
    vec![
        ("program", program()),
        ("captured", captured.to_string()),
        ("passes", passes),
        ("optimized", optimized.to_string()),
        ("schedule", schedule.to_string()),
        ("kernels", kernels.join("\n")),
        ("memory", memory(&schedule)),
        ("clif", first_block(clif)),
        ("size", size),
    ]
}

/// The head of the function and its first block.
fn first_block(clif: &str) -> String {
    let lines = clif.lines().skip_while(|line| !line.starts_with("function")).take(60);
    lines.map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// The page with the block of that name replaced, and what it was before.
fn replaced(page: &str, name: &str, text: &str) -> (String, String) {
    let mark = format!("<!-- {name} -->\n```");
    let (before, rest) = page.split_once(&mark).unwrap_or_else(|| panic!("the page has no block `{name}`"));
    let (language, rest) = rest.split_once('\n').expect("the fence is a line");
    let (old, after) = rest.split_once("\n```").expect("the block has an end");
    (format!("{before}{mark}{language}\n{}\n```{after}", text.trim_end()), old.to_string())
}

#[test]
fn the_page_shows_every_stage_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/life-of-a-program.md");
    let mut page = std::fs::read_to_string(&path).expect("the page is there");
    let mut stale = Vec::new();
    for (name, text) in blocks() {
        println!("== {name}\n{text}");
        let (new, old) = replaced(&page, name, &text);
        if old != text.trim_end() && !PER_HOST.contains(&name) {
            stale.push(name);
        }
        page = new;
    }
    if std::env::var_os("ALLOTROPE_UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).expect("the page can be written");
        return;
    }
    assert!(
        stale.is_empty(),
        "docs/life-of-a-program.md shows other text for {stale:?}; ALLOTROPE_UPDATE_DOCS=1 cargo test --release --test \
         life_of_a_program renews it"
    );
}
