//! A graph recorded in two parts is split: the second part is a graph of its own, and what it needs of the first is an
//! input, unless it only rearranges something that is there. The two parts together give what the whole gave.

use allotrope_ir::*;

/// Splits after `mark` nodes; shows the part and what saved it.
fn split(text: &str, mark: usize) -> (Graph, Vec<u32>) {
    let whole: Graph = text.parse().unwrap();
    let outputs: Vec<Value> = whole.outputs().iter().map(|o| o.value).collect();
    let part = partition(&whole, mark, &outputs);
    check(&part.graph).unwrap();
    (part.graph, part.saved.iter().map(|v| v.node.0).collect())
}

fn shows(text: &str, mark: usize, saved: &[u32], part: &str) {
    let (graph, found) = split(text, mark);
    assert_eq!(found, saved);
    assert_eq!(graph.to_string(), part.parse::<Graph>().unwrap().to_string());
}

#[test]
fn values_that_were_computed_are_inputs() {
    shows(
        "graph(%0: f32[s0] \"x\", %1: f32[s0] \"w\") {
            %2: f32[s0] = mul %0, %1
            %3: f32[s0] = tanh %2
            %4: f32[s0] = mul %3, %3
            %5: f32[s0] = mul %4, %1
            return %5
        }",
        4,
        &[1, 3],
        "graph(%0: f32[s0] \"saved0\", %1: f32[s0] \"saved1\") {
            %2: f32[s0] = mul %1, %1
            %3: f32[s0] = mul %2, %0
            return %3
        }",
    );
}

#[test]
fn what_rearranges_is_recomputed() {
    shows(
        "graph(%0: f32[s0, 4] \"x\", %1: f32[4] \"w\") {
            %2: f32[s0, 4] = broadcast %1 shape=[s0, 4]
            %3: f32[4, s0] = permute %0 axes=[1, 0]
            %4: f32[s0, 4] = exp %0
            %5: f32[4, s0] = permute %4 axes=[1, 0]
            %6: f32[4, 4] = matmul %3, %2
            %7: f32[4, 4] = matmul %5, %2
            %8: f32[4, 4] = add %6, %7
            return %8
        }",
        6,
        &[0, 1, 4],
        "graph(%0: f32[s0, 4] \"saved0\", %1: f32[4] \"saved1\", %2: f32[s0, 4] \"saved2\") {
            %3: f32[s0, 4] = broadcast %1 shape=[s0, 4]
            %4: f32[4, s0] = permute %0 axes=[1, 0]
            %5: f32[4, s0] = permute %2 axes=[1, 0]
            %6: f32[4, 4] = matmul %4, %3
            %7: f32[4, 4] = matmul %5, %3
            %8: f32[4, 4] = add %6, %7
            return %8
        }",
    );
}

#[test]
fn of_a_computed_value_only_the_piece_is_kept() {
    let text = "graph(%0: f32[8] \"x\") {
            %1: f32[2] = slice %0 axis=0 start=1 len=2
            %2: f32[8] = exp %0
            %3: f32[2] = slice %2 axis=0 start=1 len=2
            %4: f32[2] = mul %1, %3
            return %4
        }";
    assert_eq!(split(text, 4).1, [0, 3]);
}

#[test]
fn what_was_checked_is_not_checked_again() {
    let text = "graph(%0: i64[3] \"i\", %1: f32[5] \"x\", %2: bool[] \"fine\") {
            %3: i64[3] = check %0, %2 \"no\"
            %4: f32[3] = gather %1, %3 axis=0
            %5: f32[3] = gather %1, %3 axis=0
            %6: f32[3] = exp %5
            return %6
        }";
    let (part, saved) = split(text, 5);
    assert_eq!(saved, [0, 1]);
    assert!(!part.to_string().contains("check"), "{part}");
}

#[test]
fn what_the_second_part_checks_is_checked_in_it() {
    let text = "graph(%0: i64[3] \"i\", %1: f32[5] \"x\", %2: bool[] \"fine\") {
            %3: f32[5] = exp %1
            %4: i64[3] = check %0, %2 \"first\"
            %5: bool[] = not %2
            %6: i64[3] = check %0, %5 \"second\"
            %7: f32[3] = scan %0, %5 carries=0 xs=1 length=3 {
              graph(%0: i64[] \"i\", %1: bool[] \"fine\") {
                %2: f32[] = cast %0 dtype=f32
                %3: f32[] = check %2, %1 \"in a loop\"
                return %3
              }
            }
            %8: f32[5] = neg %3
            return %8
        }";
    let (part, saved) = split(text, 5);
    assert_eq!(saved, [0, 2, 3]);
    let text = part.to_string();
    assert!(!text.contains("first") && text.contains("second") && text.contains("in a loop"), "{text}");
    let text = passes::eliminate_dead_code(&part).to_string();
    assert!(text.contains("second") && text.contains("in a loop"), "{text}");
}

#[test]
fn outputs_may_be_saved_or_the_same() {
    let text = "graph(%0: f32[3] \"x\") {
            %1: f32[3] = exp %0
            %2: f32[3] = neg %1
            return %0, %1, %2, %2
        }";
    let (part, saved) = split(text, 2);
    assert_eq!((saved.as_slice(), part.outputs().len(), part.len()), (&[0, 1][..], 4, 3));
}

#[test]
fn a_prefix_is_the_first_nodes() {
    let whole: Graph = "graph(%0: f32[3] \"x\") {
            %1: f32[3] = exp %0
            %2: f32[3] = neg %1
            return %2
        }"
    .parse()
    .unwrap();
    let mut first = whole.prefix(2);
    first.output(Value { node: NodeId(1), port: 0 });
    assert_eq!(first.to_string(), "graph(%0: f32[3] \"x\") {\n  %1: f32[3] = exp %0\n  return %1\n}\n");
}
