//! The text form: what is printed reads back to an equal graph, and text that makes no sense is refused by line.

use allotrope_ir::{Graph, check, dot, parse, print};

const STEP: &str = r#"graph(%0: f32[1, s0, 32] "x", %1: f32[32, 32] state "rnn.weight", %2: f32[1, 32] "h") {
  %3: f32[s0, 1, 32] = permute %0 axes=[1, 0, 2]
  %4: f32[1, 32], %5: f32[s0, 1, 32] = scan %2, %3, %1 carries=1 xs=1 length=s0 {
    graph(%0: f32[1, 32] "h", %1: f32[1, 32] "x", %2: f32[32, 32] "w") {
      %3: f32[1, 32] = addmatmul %1, %0, %2
      %4: f32[1, 32] = fusion %3 {
        graph(%0: f32[1, 32] "a") {
          %1: f32[1, 32] = tanh %0
          return %1
        }
      }
      return %4, %4
    }
  }
  %6: i64[] = extent s0
  %7: f32[] = const 0.1
  %8: f32[] = cast %6 dtype=f32
  %9: f32[32, 32] = broadcast %7 shape=[32, 32]
  %10: f32[32, 32] = mul %1, %9
  return %5, %4, %8, %10 -> %1
}
"#;

#[test]
fn a_whole_step_reads_back() {
    let g: Graph = STEP.parse().unwrap();
    check(&g).unwrap();
    assert_eq!(print(&g), STEP);
    assert_eq!(parse(&print(&g)).unwrap(), g);
}

#[test]
fn constants_keep_their_bits() {
    for (dtype, literal) in [
        ("f32", "0.1"),
        ("f32", "-0.0"),
        ("f32", "1e-45"),
        ("f32", "3.4028235e38"),
        ("f32", "inf"),
        ("f32", "-inf"),
        ("f32", "nan(0x7fc00001)"),
        ("f32", "nan(0xffc00000)"),
        ("f64", "nan(0x7ff8000000000000)"),
        ("f64", "5e-324"),
        ("i64", "-9223372036854775808"),
        ("bool", "true"),
    ] {
        let text = format!("graph() {{\n  %0: {dtype}[] = const {literal}\n  return %0\n}}\n");
        assert_eq!(print(&parse(&text).unwrap()), text);
    }
}

#[test]
fn inputs_after_other_nodes_and_nodes_without_results_keep_their_place() {
    let text = r#"graph(%0: f32[-s1*s1+2*s0*s1+3, s0-1] state "a \"quoted\"\n\u{301} name") {
  scan carries=0 xs=0 length=s0 reverse {
    graph() {
      return
    }
  }
  %1: f32[] = input state "late"
  return
}
"#;
    let g = parse(text).unwrap();
    assert_eq!(parse(&print(&g)).unwrap(), g);
    assert_eq!(print(&g), text);
}

#[test]
fn wrong_text_is_refused_with_its_line() {
    let refused = |body: &str, message: &str| {
        let e = parse(&format!("graph(%0: f32[2] \"x\") {{\n{body}\n}}")).unwrap_err();
        assert_eq!(e.to_string(), message);
    };
    refused("return %1", "line 2: %1 is not defined above");
    refused("%1: f32[2] = sinus %0 return %1", "line 2: there is no operation `sinus`");
    refused("%1: f32[3] = sin %0 return %1", "line 2: %1 is stated as f32[3], but sin gives f32[2]");
    refused("%0: f32[2] = sin %0 return %0", "line 2: %0 is defined twice");
    refused("%1: f32[2] = add %0 return %1", "line 2: add: takes 2 operands, got 1");
    refused("%1: f32[] = sum %0 return %1", "line 2: sum needs axes=");
    refused("%1: f32[] = sum %0 axes=[0] axis=1 return %1", "line 2: sum has no attribute axis");
    refused("%1: f8[] = sin %0", "line 2: expected a dtype such as bool, i64 or f32, found `f8`");
    refused("%1: i64[] = const 1.5 return", "line 2: expected a constant of i64, found `1.5`");
    refused("%1: f32[] = const nan(0x1) return", "line 2: 0x1 is not a NaN of f32");
    refused("return %0 $", "line 2: unexpected character '$'");
    refused("", "line 3: expected an operation or `return`, found `}`");
    let nested = "%1: f32[] = fusion { graph() { ".repeat(100_000);
    refused(&nested, "line 2: graphs are nested deeper than 64");
}

#[test]
fn loops_say_how_often_they_run() {
    let looped = |operands: &str, attributes: &str, y: &str| {
        let ys = if y.is_empty() { "" } else { ", %4: bool[s0]" };
        parse(&format!(
            "graph(%0: bool[] \"go\", %1: i64[] \"n\", %2: bool[s0] \"x\") {{
  %3: bool[]{ys} = scan {operands} carries=1 length=s0 {attributes} {{ graph(%0: bool[] \"go\") {{ return %0{y} }} }}
  return %3
}}"
        ))
    };
    for (operands, attributes, y) in [
        ("%0", "xs=0 kind=while", ""),
        ("%0", "xs=0 kind=within", ", %0"),
        ("%0, %1", "xs=0 kind=count reverse", ", %0"),
        ("%0", "xs=0 kind=all", ", %0"),
    ] {
        let g = looped(operands, attributes, y).unwrap();
        assert_eq!(parse(&print(&g)).unwrap(), g, "{attributes}");
        assert!(dot(&g).contains("scan length=s0"));
        // What version 1 of the saved form wrote is read as well.
        assert_eq!(looped(operands, &attributes.replace("kind=", "trip="), y).unwrap(), g, "{attributes}");
    }
    let refused = |operands: &str, attributes: &str, y: &str, message: &str| {
        let text = looped(operands, attributes, y).unwrap_err().to_string();
        assert!(text.contains(message), "{text}");
    };
    refused("%0", "xs=0 kind=sometimes", "", "expected all, count, while or within");
    refused("%0", "xs=0 kind=while", ", %0", "a loop without a bound has no ys");
    refused("%0, %2", "xs=1 kind=within", "", "has no xs and no reverse");
    refused("%0", "xs=0 kind=while reverse", "", "has no xs and no reverse");
    refused("%1", "xs=0 kind=while", "", "must be bool[]");
    refused("%0, %0", "xs=0 kind=count", "", "the number of iterations must be i64[], got bool[]");
}
