//! Reads a graph from standard input and prints it after the passes: `cargo run -p allotrope-ir --example passes < graph.txt`.

use allotrope_ir::passes::{Passes, optimize_with};
use allotrope_ir::{Graph, check};
use std::io::Read;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let graph: Graph = text.parse()?;
    check(&graph)?;
    let after = optimize_with(&graph, &Passes::ALL, &mut |pass, after, time| {
        eprintln!("{pass}: {} nodes, {time:?}", after.len());
    });
    print!("{after}");
    Ok(())
}
