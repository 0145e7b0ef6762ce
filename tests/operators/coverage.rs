//! No operator is forgotten: each that has gradients in the corpus of PyTorch's cases has a row, and no name is there twice.

use crate::derivative::Row;
use std::path::Path;

fn rows() -> Vec<Row> {
    use crate::{activations, elementwise, indices, layers, losses, products, reductions, shapes};
    let tables = [
        activations::rows(),
        elementwise::rows(),
        indices::rows(),
        layers::rows(),
        losses::rows(),
        products::rows(),
        reductions::rows(),
        shapes::rows(),
    ];
    tables.into_iter().flatten().collect()
}

/// The operators of the corpus that have gradients in some case.
fn differentiable() -> Vec<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/opinfo");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).expect("the corpus is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "json") || !path.with_extension("safetensors").is_file() {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a file of cases");
        let cases: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a list of cases");
        let has_grads = |c: &serde_json::Value| c["input_grads"].as_object().is_some_and(|grads| !grads.is_empty());
        if cases.iter().any(has_grads) {
            names.push(path.file_stem().expect("a name").to_string_lossy().into_owned());
        }
    }
    names.sort();
    names
}

#[test]
fn every_differentiable_operator_has_a_row() {
    let rows = rows();
    let names = differentiable();
    assert!(names.len() > 150, "the corpus has {} operators with gradients", names.len());
    let missing: Vec<&String> = names.iter().filter(|name| rows.iter().all(|row| row.name != **name)).collect();
    assert!(missing.is_empty(), "no row for {missing:?}");
    let twice: Vec<&str> = (rows.iter().enumerate())
        .filter(|(i, row)| rows[..*i].iter().any(|r| r.name == row.name))
        .map(|(_, row)| row.name)
        .collect();
    assert!(twice.is_empty(), "two rows for {twice:?}");
}
