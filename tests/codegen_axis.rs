//! The dtypes and primitives beyond plain arithmetic, compiled: narrow integers and half precision, views that run
//! backwards or overlap, kernels along an axis, and checks. The interpreter says what is right.

mod codegen_support;

use allotrope_ir::passes::{Passes, optimize};
use allotrope_ir::{Array, Data, Graph, run};
use codegen_support::{call, compile, compile_cut, f32s, holds, inputs, try_call};

const EXACT: f64 = 0.0;

#[test]
fn narrow_integers_wrap_and_compare_by_their_signs() {
    for t in ["u8", "i32", "i64"] {
        let mut text = format!("graph(%0: {t}[37] \"a\", %1: {t}[37] \"b\", %2: bool[37] \"c\") {{\n");
        let mut id = 3;
        let mut outputs = Vec::new();
        let mut line = |dtype: &str, what: String, text: &mut String| {
            *text += &format!("  %{id}: {dtype}[37] = {what}\n");
            outputs.push(format!("%{id}"));
            id += 1;
            id - 1
        };
        // Values near the ends of the type.
        let big = line(t, "mul %0, %0".into(), &mut text);
        let big = line(t, format!("mul %{big}, %{big}"), &mut text);
        let big = line(t, format!("mul %{big}, %{big}"), &mut text);
        let big = line(t, format!("mul %{big}, %{big}"), &mut text);
        let big = line(t, format!("mul %{big}, %{big}"), &mut text);
        for op in ["neg", "abs", "not"] {
            line(t, format!("{op} %0"), &mut text);
            line(t, format!("{op} %{big}"), &mut text);
        }
        for op in ["add", "sub", "mul", "maximum", "minimum", "and", "or", "xor", "rem", "quotient", "pow"] {
            line(t, format!("{op} %0, %1"), &mut text);
            line(t, format!("{op} %{big}, %1"), &mut text);
        }
        for op in ["eq", "ne", "lt", "le", "gt", "ge"] {
            line("bool", format!("{op} %0, %1"), &mut text);
            line("bool", format!("{op} %{big}, %1"), &mut text);
        }
        line(t, format!("select %2, %{big}, %1"), &mut text);
        for to in ["bool", "u8", "i32", "i64", "f16", "bf16", "f32", "f64"] {
            line(to, format!("cast %{big} dtype={to}"), &mut text);
        }
        line(t, format!("cast %2 dtype={t}"), &mut text);
        text += &format!("  return {}\n}}", outputs.join(", "));
        holds(&text, &[&[]], EXACT);
    }
}

#[test]
fn floats_round_to_whole_numbers_and_to_integers() {
    for t in ["f32", "f64"] {
        for n in [1, 6, 37] {
            let text = format!(
                r#"graph(%0: {t}[{n}] "x") {{
  %1: {t}[{n}] = floor %0
  %2: {t}[{n}] = ceil %0
  %3: {t}[{n}] = round %0
  %4: {t}[{n}] = trunc %0
  %5: u8[{n}] = cast %0 dtype=u8
  %6: i32[{n}] = cast %0 dtype=i32
  %7: i64[{n}] = cast %0 dtype=i64
  %8: f16[{n}] = cast %0 dtype=f16
  %9: bf16[{n}] = cast %0 dtype=bf16
  return %1, %2, %3, %4, %5, %6, %7, %8, %9
}}"#
            );
            let g: Graph = text.parse().unwrap();
            let special = [
                0.5,
                -0.5,
                1.5,
                2.5,
                -0.0,
                1e10,
                -3e9,
                1e30,
                f64::NAN,
                f64::INFINITY,
                -1e300,
                255.7,
                -1.0,
                65520.0,
                1e-8,
                4294967296.5,
                0.1,
                -2147483649.0,
            ];
            let items = (0..n).map(|i| {
                allotrope_ir::Scalar::from_f64(
                    special[(i * 7) % special.len()],
                    g.ty(g.input_values().next().unwrap()).dtype,
                )
            });
            let x = Array::from_scalars(g.ty(g.input_values().next().unwrap()).dtype, [n], items);
            let want = run(&g, &[], std::slice::from_ref(&x)).unwrap();
            let got = call(&compile(&g), &g, &[], &[x]);
            for (got, want) in got.iter().zip(&want) {
                assert!(got.same_bits(want), "got {got:?}\nwant {want:?}");
            }
        }
    }
}

#[test]
fn halves_are_moved_chosen_and_cast_through_f32() {
    for t in ["f16", "bf16"] {
        let other = if t == "f16" { "bf16" } else { "f16" };
        holds(
            &format!(
                r#"graph(%0: {t}[6, s0] "x", %1: bool[6, s0] "c", %2: {t}[] "y") {{
  %3: {t}[6, s0] = broadcast %2 shape=[6, s0]
  %4: {t}[6, s0] = select %1, %0, %3
  %5: f32[6, s0] = cast %0 dtype=f32
  %6: f32[6, s0] = mul %5, %5
  %7: {t}[6, s0] = cast %6 dtype={t}
  %8: {other}[6, s0] = cast %7 dtype={other}
  %9: f64[6, s0] = cast %0 dtype=f64
  %10: i64[6, s0] = cast %0 dtype=i64
  %11: u8[6, s0] = cast %0 dtype=u8
  %12: bool[6, s0] = cast %0 dtype=bool
  %13: {t}[6, s0] = cast %9 dtype={t}
  %14: {t}[s0, 6] = permute %0 axes=[1, 0]
  %15: f32[s0, 6] = cast %14 dtype=f32
  %16: {t}[6, s0] = cast %1 dtype={t}
  %17: f32[6] = sum %5 axes=[1]
  %18: {t}[6] = cast %17 dtype={t}
  %19: {t}[12, s0] = concat %0, %4 axis=0
  %20: f32[] = cast %2 dtype=f32
  %21: {t}[] = cast %20 dtype={t}
  return %4, %7, %8, %9, %10, %11, %12, %13, %15, %16, %18, %19, %21, %14
}}"#
            ),
            &[&[1], &[5], &[0], &[700]],
            1e-6,
        );
    }
}

#[test]
fn views_run_backwards_and_overlap() {
    for t in ["f32", "u8", "i32", "f64", "bool"] {
        holds(
            &format!(
                r#"graph(%0: {t}[4, s0, 6] "x") {{
  %1: {t}[4, s0, 6] = flip %0 axes=[0, 1, 2]
  %2: {t}[2, s0, 6] = slice %1 axis=0 start=1 len=2
  %3: {t}[2, 6, s0] = permute %2 axes=[0, 2, 1]
  %4: {t}[2, 6, s0] = flip %3 axes=[1]
  %5: {t}[12, s0] = reshape %4 shape=[12, s0]
  %6: {t}[4, s0, 3, 2] = window %0 axis=2 count=3 size=2 step=2 dilation=1
  %7: {t}[4, s0, 6] = reshape %6 shape=[4, s0, 6]
  %8: {t}[4, s0, 3, 3] = window %1 axis=2 count=3 size=3 step=1 dilation=1
  %9: {t}[4, s0, 3, 3] = flip %8 axes=[2, 3]
  %10: {t}[4, s0, 2, 3] = slice %9 axis=2 start=1 len=2
  %11: {t}[4, s0, 2, 3] = flip %10 axes=[1]
  return %1, %2, %4, %5, %7, %8, %9, %11
}}"#
            ),
            &[&[5], &[1], &[0], &[33]],
            EXACT,
        );
    }
}

#[test]
fn views_feed_arithmetic_products_and_reductions() {
    holds(
        r#"graph(%0: f32[s0, 6] "x", %1: f32[6, 8] "w", %2: f32[6] "b") {
  %3: f32[s0, 6] = flip %0 axes=[1]
  %4: f32[6] = flip %2 axes=[0]
  %5: f32[s0, 6] = broadcast %4 shape=[s0, 6]
  %6: f32[s0, 6] = add %3, %5
  %7: f32[s0, 6] = tanh %3
  %8: f32[6, 8] = flip %1 axes=[0, 1]
  %9: f32[s0, 8] = matmul %3, %8
  %10: f32[8, 6] = permute %8 axes=[1, 0]
  %11: f32[s0, 6] = flip %0 axes=[0]
  %12: f32[6, s0] = permute %11 axes=[1, 0]
  %13: f32[8, s0] = matmul %10, %12
  %14: f32[s0] = sum %3 axes=[1]
  %15: f32[6] = sum %11 axes=[0]
  %16: f32[6] = amax %11 axes=[0]
  %17: f32[s0, 4, 3] = window %0 axis=1 count=4 size=3 step=1 dilation=1
  %18: f32[s0, 4] = sum %17 axes=[2]
  %19: f32[s0, 3] = sum %17 axes=[1]
  %20: f32[4, 3] = amin %17 axes=[0]
  %21: f32[s0, 3, 4] = permute %17 axes=[0, 2, 1]
  %22: f32[s0, 4, 4] = matmul %17, %21
  %23: f32[s0, 4] = exp %18
  return %6, %7, %9, %13, %14, %15, %18, %19, %22, %23
}"#,
        &[&[5], &[1], &[0], &[40]],
        1e-5,
    );
    // Every product of a row and of a matrix, with either operand backwards.
    for (m, n) in [(1, 1), (1, 9), (7, 1), (3, 20), (40, 70)] {
        for axes in ["0", "1", "0, 1"] {
            holds(
                &format!(
                    r#"graph(%0: f32[{m}, 30] "x", %1: f32[30, {n}] "w", %2: f32[{m}, {n}] "c") {{
  %3: f32[{m}, 30] = flip %0 axes=[{axes}]
  %4: f32[30, {n}] = flip %1 axes=[{axes}]
  %5: f32[{m}, {n}] = matmul %3, %1
  %6: f32[{m}, {n}] = matmul %0, %4
  %7: f32[{m}, {n}] = matmul %3, %4
  %8: f32[{m}, {n}] = flip %2 axes=[{axes}]
  %9: f32[{m}, {n}] = addmatmul %8, %3, %4
  return %5, %6, %7, %9
}}"#
                ),
                &[&[]],
                EXACT,
            );
        }
    }
}

#[test]
fn iotas_and_constants_run_backwards_too() {
    holds(
        r#"graph(%0: i64[s0] "x") {
  %1: i64[s0] = iota s0
  %2: i64[s0] = flip %1 axes=[0]
  %3: i64[s0] = add %0, %2
  %4: i64[7] = iota 7
  %5: i64[3, 3] = window %4 axis=0 count=3 size=3 step=2 dilation=1
  %6: i64[3, 3] = flip %5 axes=[1]
  %7: f32[] = const 2.5
  %8: f32[4] = broadcast %7 shape=[4]
  %9: f32[4] = flip %8 axes=[0]
  %10: f32[2, 3] = window %9 axis=0 count=2 size=3 step=1 dilation=1
  %11: i64[s0] = gather %2, %1 axis=0
  return %3, %6, %10, %2, %11
}"#,
        &[&[5], &[1], &[0], &[9]],
        EXACT,
    );
}

#[test]
fn a_state_is_written_after_its_views_are_read() {
    for t in ["f32", "i32", "u8"] {
        holds(
            &format!(
                r#"graph(%0: {t}[s0] state "x", %1: {t}[6, 6] state "y", %2: {t}[8] state "z", %3: {t}[5] state "u") {{
  %4: {t}[s0] = flip %0 axes=[0]
  %5: {t}[s0] = add %4, %0
  %6: {t}[6, 6] = flip %1 axes=[0]
  %7: {t}[6, 3, 4] = window %1 axis=1 count=3 size=4 step=1 dilation=1
  %8: {t}[6, 3] = sum %7 axes=[2]
  %9: {t}[6, 6] = concat %8, %8 axis=1
  %10: {t}[6, 6] = add %9, %6
  %11: {t}[8] = flip %2 axes=[0]
  %12: {t}[5] = neg %3
  %13: {t}[5] = flip %12 axes=[0]
  %14: {t}[2, 3] = window %3 axis=0 count=2 size=3 step=1 dilation=1
  return %5 -> %0, %10 -> %1, %11 -> %2, %13 -> %3, %14, %12
}}"#
            ),
            &[&[5], &[1], &[0], &[33]],
            1e-5,
        );
    }
}

/// Indices along an axis of `n` elements, from any input `x` of that shape.
fn index(id: usize, x: &str, shape: &str, n: &str) -> String {
    format!(
        r#"  %{id}: i64[] = {n}
  %{}: i64[{shape}] = broadcast %{id} shape=[{shape}]
  %{}: i64[{shape}] = mul {x}, {x}
  %{}: i64[{shape}] = rem %{}, %{}
"#,
        id + 1,
        id + 2,
        id + 3,
        id + 2,
        id + 1
    )
}

#[test]
fn elements_are_gathered_and_scattered() {
    for t in ["f32", "f64", "i64", "u8", "i32", "bool", "f16", "bf16"] {
        let (a, b) = (index(10, "%1", "s0, 3, 2", "const 4"), index(20, "%2", "s0, 4, 5", "const 2"));
        let add = if matches!(t, "bool" | "f16" | "bf16") { "scatter" } else { "scatter_add" };
        holds(
            &format!(
                r#"graph(%0: {t}[s0, 4, 2] "x", %1: i64[s0, 3, 2] "i", %2: i64[s0, 4, 5] "j", %3: {t}[s0, 3, 2] "y") {{
{a}{b}
  %30: {t}[s0, 3, 2] = gather %0, %13 axis=1
  %31: {t}[s0, 4, 5] = gather %0, %23 axis=2
  %32: {t}[s0, 4, 2] = flip %0 axes=[0, 1]
  %33: {t}[s0, 3, 2] = gather %32, %13 axis=1
  %34: i64[s0, 3, 2] = flip %13 axes=[2]
  %35: {t}[s0, 3, 2] = gather %0, %34 axis=1
  %36: {t}[s0, 4, 2] = scatter %0, %13, %3 axis=1
  %37: {t}[s0, 4, 2] = {add} %32, %34, %30 axis=1
  %38: {t}[s0, 4, 2] = {add} %36, %13, %33 axis=1
  %39: i64[] = const 1
  %40: i64[s0, 1, 2] = broadcast %39 shape=[s0, 1, 2]
  %41: {t}[s0, 1, 2] = gather %0, %40 axis=1
  return %30, %31, %33, %35, %36, %37, %38, %41
}}"#
            ),
            &[&[5], &[1], &[0], &[33]],
            EXACT,
        );
    }
}

#[test]
fn rows_are_looked_up_by_repeated_indices() {
    // As an embedding: the index of a row, repeated along the features, and its gradient.
    holds(
        &format!(
            r#"graph(%0: f32[7, 5] state "w", %1: i64[s0] "i", %2: f32[s0, 5] "g") {{
{}
  %14: i64[s0, 1] = reshape %13 shape=[s0, 1]
  %15: i64[s0, 5] = broadcast %14 shape=[s0, 5]
  %16: f32[s0, 5] = gather %0, %15 axis=0
  %17: f32[] = const 0.0
  %18: f32[7, 5] = broadcast %17 shape=[7, 5]
  %19: f32[s0, 5] = mul %16, %2
  %20: f32[7, 5] = scatter_add %18, %15, %19 axis=0
  %21: f32[7, 5] = sub %0, %20
  return %16, %20, %21 -> %0
}}"#,
            index(10, "%1", "s0", "const 7")
        ),
        &[&[5], &[1], &[0], &[100]],
        EXACT,
    );
}

#[test]
fn a_state_is_scattered_into_where_it_is() {
    let g: Graph = format!(
        r#"graph(%0: f32[7, 5] state "w", %1: i64[3, 5] "i", %2: f32[3, 5] "g") {{
{}
  %14: f32[7, 5] = scatter %0, %13, %2 axis=0
  return %14 -> %0
}}"#,
        index(10, "%1", "3, 5", "const 7")
    )
    .parse()
    .unwrap();
    let copies = compile(&g).kernels().iter().filter(|k| k.ops == "copy").count();
    assert_eq!(copies, 0);
    codegen_support::holds_graph(&g, &[&[]], EXACT);
    // What is read from the state itself is read first.
    holds(
        &format!(
            r#"graph(%0: f32[3, 5] state "w", %1: i64[3, 5] "i") {{
{}
  %14: f32[3, 5] = flip %0 axes=[0]
  %15: f32[3, 5] = scatter_add %0, %13, %14 axis=0
  return %15 -> %0
}}"#,
            index(10, "%1", "3, 5", "const 3")
        ),
        &[&[]],
        EXACT,
    );
}

#[test]
fn rows_have_places_orders_and_recurrences() {
    for t in ["f32", "f64", "i64", "u8", "i32"] {
        holds(
            &format!(
                r#"graph(%0: {t}[s0, 4, 3] "x", %1: {t}[s0, 4, 3] "y") {{
  %2: i64[s0, 3] = argmax %0 axis=1
  %3: i64[s0, 4] = argmin %0 axis=2
  %4: i64[s0, 4, 3] = argsort %0 axis=1
  %5: i64[s0, 4, 3] = argsort %0 axis=2 descending
  %6: {t}[s0, 4, 3] = flip %0 axes=[1, 2]
  %7: i64[s0, 3] = argmax %6 axis=1
  %8: i64[s0, 4, 3] = argsort %6 axis=0
  %9: {t}[s0, 4, 3] = recurrence %0, %1 axis=1
  %10: {t}[s0, 4, 3] = recurrence %6, %1 axis=0 reverse
  %11: {t}[] = const 1
  %12: {t}[s0, 4, 3] = broadcast %11 shape=[s0, 4, 3]
  %13: {t}[s0, 4, 3] = recurrence %12, %0 axis=0
  %14: {t}[s0, 6] = overlap_add %0 axis=1 len=6 step=1 dilation=1
  %15: {t}[s0, 12] = overlap_add %6 axis=1 len=12 step=2 dilation=2
  return %2, %3, %4, %5, %7, %8, %9, %10, %13, %14, %15
}}"#
            ),
            &[&[5], &[1], &[33]],
            EXACT,
        );
    }
}

#[test]
fn windows_of_symbolic_count_have_a_transpose() {
    holds(
        r#"graph(%0: f32[2, s0] "x", %1: f32[s0-2] "w") {
  %2: f32[2, s0-2, 3] = window %0 axis=1 count=s0-2 size=3 step=1 dilation=1
  %3: f32[2, s0] = overlap_add %2 axis=1 len=s0 step=1 dilation=1
  %4: f32[2, s0-2, 3] = flip %2 axes=[1]
  %5: f32[2, s0-2] = sum %4 axes=[2]
  %6: f32[2, s0-2] = slice %0 axis=1 start=2 len=s0-2
  %7: f32[2, s0-2] = flip %6 axes=[1]
  %8: f32[2, s0-2] = add %5, %7
  return %2, %3, %8
}"#,
        &[&[5], &[3], &[2], &[40]],
        1e-6,
    );
}

/// Inputs `x` and `n`: the first check wants no negative `n`, the second one below 5.
const CHECKED: &str = r#"graph(%0: f32[s0] state "x", %1: i64[] "n", %2: f32[s0] state "y") {
  %3: i64[] = const 0
  %4: bool[] = ge %1, %3
  %5: f32[s0] = neg %0
  %6: f32[s0] = check %5, %4 "first: negative"
  %7: i64[] = const 5
  %8: bool[] = lt %1, %7
  %9: i64[] = check %1, %8 "second: too large"
  %10: f32[] = cast %9 dtype=f32
  %11: f32[s0] = broadcast %10 shape=[s0]
  %12: f32[s0] = add %2, %11
  return %6 -> %0, %12 -> %2, %5, %9
}"#;

fn int(n: i64) -> Array {
    Array::new([], Data::I64(vec![n]))
}

#[test]
fn the_first_check_that_fails_is_named_and_nothing_changes() {
    let g: Graph = CHECKED.parse().unwrap();
    let want = run(&g, &[3], &[f32s(&[3], &[1., 2., 3.]), int(4), f32s(&[3], &[0.; 3])]).unwrap();
    for c in [compile(&g), compile_cut(&g)] {
        assert!(c.has_checks());
        let call = |n: i64| try_call(&c, &g, &[3], &[f32s(&[3], &[1., 2., 3.]), int(n), f32s(&[3], &[0.; 3])]);
        assert!(call(4).unwrap().iter().zip(&want).all(|(a, b)| a.same_bits(b)));
        assert_eq!(call(-1).unwrap_err(), "first: negative");
        assert_eq!(call(5).unwrap_err(), "second: too large");
        // It can be called again.
        assert!(call(0).is_ok());
    }
    assert!(!compile(&"graph(%0: f32[3] \"x\") { return %0 }".parse().unwrap()).has_checks());
}

#[test]
fn checks_in_loops_fail_for_the_first_round_that_does() {
    let g: Graph = r#"graph(%0: i64[s0] "x", %1: i64[] state "sum", %2: i64[] state "other") {
  %3: i64[], %4: i64[s0] = scan %1, %0 carries=1 xs=1 length=s0 {
    graph(%0: i64[] "sum", %1: i64[] "x") {
      %2: i64[] = const 0
      %3: bool[] = ge %1, %2
      %4: i64[] = check %0, %3 "loop: negative"
      %5: i64[] = const 9
      %6: bool[] = lt %1, %5
      %7: i64[] = check %1, %6 "loop: too large"
      %8: i64[] = add %4, %7
      return %8, %7
    }
  }
  %5: i64[] = add %2, %3
  return %3 -> %1, %5 -> %2, %4
}"#
    .parse()
    .unwrap();
    for c in [compile(&g), compile_cut(&g)] {
        let call =
            |x: &[i64]| try_call(&c, &g, &[x.len()], &[Array::new([x.len()], Data::I64(x.to_vec())), int(100), int(1)]);
        let out = call(&[1, 2, 3]).unwrap();
        assert!(out[0].same_bits(&int(106)) && out[1].same_bits(&int(107)));
        assert!(call(&[]).unwrap()[0].same_bits(&int(100)));
        assert_eq!(call(&[1, 10, -1]).unwrap_err(), "loop: too large");
        assert_eq!(call(&[1, -1, 10]).unwrap_err(), "loop: negative");
    }
}

#[test]
fn what_needs_no_check_is_still_written_in_place() {
    // The state's update does not wait in other memory: the checks are asked before it.
    let g: Graph = r#"graph(%0: f32[64, 64] state "w", %1: i64[s0] "i") {
  %2: i64[] = amin %1 axes=[0]
  %3: i64[] = const 0
  %4: bool[] = ge %2, %3
  %5: i64[s0] = check %1, %4 "take: negative"
  %6: i64[] = sum %5 axes=[0]
  %7: f32[] = cast %6 dtype=f32
  %8: f32[64, 64] = broadcast %7 shape=[64, 64]
  %9: f32[64, 64] = sub %0, %8
  return %9 -> %0
}"#
    .parse()
    .unwrap();
    let c = compile(&g);
    assert!(c.scratch_bytes(&[3]) < 4096 && c.kernels().iter().all(|k| k.ops != "copy"), "{:?}", c.kernels());
    codegen_support::holds_graph(&g, &[&[0]], EXACT);
    let x = inputs(&g, &[3], 1);
    let bad = Array::new([3], Data::I64(vec![1, -1, 2]));
    assert_eq!(try_call(&c, &g, &[3], &[x[0].clone(), bad]).unwrap_err(), "take: negative");
}

#[test]
fn indices_out_of_range_touch_no_other_memory() {
    let g: Graph = r#"graph(%0: f32[4, 3] state "x", %1: i64[5, 3] "i") {
  %2: f32[5, 3] = gather %0, %1 axis=0
  %3: f32[4, 3] = scatter_add %0, %1, %2 axis=0
  %4: bool[] = const false
  %5: f32[4, 3] = check %3, %4 "gather: index"
  return %5 -> %0, %2
}"#
    .parse()
    .unwrap();
    let x = inputs(&g, &[], 1);
    let i = (0..15).map(|i| if i % 2 == 0 { i64::MAX - i } else { -i * 1000 }).collect();
    let bad = Array::new([5, 3], Data::I64(i));
    assert_eq!(try_call(&compile(&g), &g, &[], &[x[0].clone(), bad]).unwrap_err(), "gather: index");
}

#[test]
fn people_see_the_kernels_along_an_axis() {
    let g: Graph = r#"graph(%0: f32[s0, 8] "x", %1: i64[s0, 2] "i") {
  %2: f32[s0, 2] = gather %0, %1 axis=1
  %3: f32[s0, 2] = recurrence %2, %2 axis=0
  %4: i64[s0] = argmax %3 axis=1
  return %4
}"#
    .parse()
    .unwrap();
    let c = compile(&g);
    let ops: Vec<&str> = c.kernels().iter().map(|k| k.ops.as_str()).collect();
    assert_eq!(ops, ["gather", "recurrence", "argmax"]);
    assert_eq!(c.kernels()[0].bytes.eval(&[10]), 10 * 2 * (8 + 4 + 4));
    assert_eq!(c.kernels()[1].flops.eval(&[10]), 10 * 2 * 2);
    assert_eq!(c.kernels()[2].bytes.eval(&[10]), 10 * 2 * 4 + 10 * 8);
}

/// Two loops that need room: the run ends with the first that has none, no state changed, and the second is told apart by
/// its symbol. A check that fails before ends the loop, which would not end by itself.
#[test]
fn a_loop_without_room_fails_before_states_are_written() {
    let g: Graph = r#"graph(%0: i64[] "n", %1: i64[] state "sum", %2: bool[] "fine") {
  %3: i64[] = const 0
  %4: bool[] = gt %0, %3
  %5: i64[] = check %0, %2 "loop: not now"
  %6: bool[], %7: i64[], %8: i64[s0] = scan %4, %5, %3 carries=2 xs=0 length=s0 kind=within {
    graph(%0: bool[] "go", %1: i64[] "n", %2: i64[] "zero") {
      %3: i64[] = const 1
      %4: i64[] = sub %1, %3
      %5: bool[] = ne %4, %2
      return %5, %4, %1
    }
  }
  %9: i64[] = sum %8 axes=[0]
  %10: i64[] = add %9, %1
  %11: bool[], %12: i64[] = scan %4, %0, %3 carries=2 xs=0 length=s1 kind=within {
    graph(%0: bool[] "go", %1: i64[] "n", %2: i64[] "zero") {
      %3: i64[] = const 2
      %4: i64[] = sub %1, %3
      %5: bool[] = gt %4, %2
      return %5, %4
    }
  }
  return %10 -> %1, %8, %12
}"#
    .parse()
    .unwrap();
    for g in [g.clone(), optimize(&g, &Passes::ALL)] {
        let c = compile(&g);
        let call = |n: i64, fine: bool, room: [usize; 2]| {
            try_call(&c, &g, &room, &[int(n), int(100), Array::new([], Data::Bool(vec![fine]))])
        };
        let out = call(3, true, [5, 2]).unwrap();
        assert!(out[0].same_bits(&int(106)) && out[2].same_bits(&int(-1)));
        assert!(out[1].same_bits(&Array::new([5], Data::I64(vec![3, 2, 1, 0, 0]))));
        assert!(call(0, true, [0, 0]).unwrap()[0].same_bits(&int(100)));
        assert!(call(3, true, [3, 2]).is_ok());
        let full = |s: &str| format!("the loop goes on after {s} iterations, the capacity of its results");
        assert_eq!(call(3, true, [2, 2]).unwrap_err(), full("s0"));
        assert_eq!(call(3, true, [3, 1]).unwrap_err(), full("s1"));
        assert_eq!(call(3, false, [9, 9]).unwrap_err(), "loop: not now");
    }
}

/// Whether or not the loop is in one machine function with the whole.
#[test]
fn a_check_that_fails_ends_a_loop_that_would_not_end() {
    let g: Graph = r#"graph(%0: i64[] "n") {
  %1: bool[] = const true
  %2: i64[] = const 0
  %3: bool[], %4: i64[] = scan %1, %2, %0 carries=2 xs=0 length=0 kind=while {
    graph(%0: bool[] "go", %1: i64[] "i", %2: i64[] "n") {
      %3: i64[] = const 1
      %4: i64[] = add %1, %3
      %5: bool[] = lt %4, %2
      %6: i64[] = check %4, %5 "too far"
      return %0, %6
    }
  }
  return %4
}"#
    .parse()
    .unwrap();
    for c in [compile(&g), compile_cut(&g)] {
        assert_eq!(try_call(&c, &g, &[], &[int(5)]).unwrap_err(), "too far");
    }
}
