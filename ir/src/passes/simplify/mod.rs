//! Local identities that keep the bits, as a table: the equation, the dtypes that it holds for, what it relies on, and
//! the function that knows it. What is wrong for some float is not here: `x * 0` (NaN, infinity, the sign), `x - x`,
//! `x + 0.0` (-0.0 becomes 0.0), and nothing here assumes more of exp, log, sin, cos, tanh and pow than that equal
//! operands give equal results. `ir/tests/rules.rs` tries every row on every dtype.

mod elementwise;
mod rule;
mod shapes;

pub use rule::{DTypes, Rule};

use crate::DType::{Bool, F32, F64, I32, I64, U8};
use crate::Graph;
use elementwise as e;
use rule::rule;

const BOOL: DTypes = DTypes::of(&[Bool]);
const FLOATS: DTypes = DTypes::of(&[F32, F64]);
/// What has a sign: the negative of u8 is another positive number.
const SIGNED: DTypes = DTypes::of(&[I32, I64]).or(FLOATS);
const INTEGERS: DTypes = DTypes::of(&[U8, I32, I64]);
/// What there is arithmetic for: the half-precision floats are only moved, chosen and converted.
const NUMBERS: DTypes = INTEGERS.or(FLOATS);
/// What has bits that logic is done on.
const BITS: DTypes = BOOL.or(INTEGERS);
const ANY: DTypes = DTypes::ALL;

const RULES: &[Rule] = &[
    rule("x + -0.0 => x", NUMBERS, "-0.0 is the exact identity of IEEE addition; 0 for integers", e::add_zero),
    rule("x - 0.0 => x", NUMBERS, "x - 0.0 is x + -0.0", e::sub_zero),
    rule("x * 1 => x", NUMBERS, "exact", e::mul_one),
    rule("x / 1 => x", FLOATS, "exact", e::div_one),
    rule(
        "x * -1 => -x",
        NUMBERS,
        "changes the sign only; modulo 2^n for integers, -1 of u8 being 255",
        e::mul_minus_one,
    ),
    rule(
        "x / 2^k => x * 2^-k",
        FLOATS,
        "both round the same real number; 2^-k must be a normal number",
        e::div_power_of_two,
    ),
    rule("x + -y => x - y", NUMBERS, "IEEE subtraction is addition of the negated; integers wrap", e::add_neg),
    rule("x - -y => x + y", NUMBERS, "IEEE subtraction is addition of the negated; integers wrap", e::sub_neg),
    rule("-x * -y => x * y", NUMBERS, "the signs cancel, modulo 2^n too; also in a division", e::mul_negs),
    rule("--x => x", BITS.or(NUMBERS), "exact; also not not x", e::involution),
    rule("abs(-x) => abs(x)", SIGNED, "the sign is dropped; the least integer is its own negative", e::abs_of_neg),
    rule("abs(abs(x)) => abs(x)", NUMBERS, "nothing is left to drop; the least integer stays", e::abs_of_abs),
    rule(
        "x and true => x",
        BITS,
        "also or false, xor false; an integer all of whose bits are set, or none",
        e::logic_identity,
    ),
    rule(
        "x and false => false",
        BITS,
        "also or true; an integer none of whose bits is set, or all",
        e::logic_absorbing,
    ),
    rule("maximum(x, x) => x", BITS.or(NUMBERS), "NaN gives itself; also minimum, and, or", e::idempotent),
    rule("select(true, x, y) => x", ANY, "also select(false, x, y) => y", e::select_known),
    rule("select(c, x, x) => x", ANY, "both arms are one value", e::select_equal),
    rule("select(not c, x, y) => select(c, y, x)", ANY, "by definition", e::select_not),
    rule("cast(x) to its own dtype => x", ANY, "exact", e::cast_same),
    rule(
        "cast(cast(x)) => cast(x)",
        ANY,
        "where the inner cast loses nothing: from bool, or from f32 to f64",
        e::cast_cast,
    ),
    rule("broadcast to the same shape => x", ANY, "moves nothing", shapes::broadcast_same),
    rule(
        "broadcast(broadcast(x)) => broadcast(x)",
        ANY,
        "right-aligned expansion composes",
        shapes::broadcast_broadcast,
    ),
    rule("reshape to the same shape => x", ANY, "moves nothing", shapes::reshape_same),
    rule("reshape(reshape(x)) => reshape(x)", ANY, "row-major order is kept by both", shapes::reshape_reshape),
    rule("permute of axes in their order => x", ANY, "moves nothing", shapes::permute_identity),
    rule("permute(permute(x)) => permute(x)", ANY, "permutations compose", shapes::permute_permute),
    rule("permute of axes of size 1 => reshape", ANY, "row-major order is kept", shapes::permute_ones),
    rule("move of one element => broadcast", ANY, "reshape, permute of a broadcast scalar", shapes::move_scalar),
    rule("slice of everything => x", ANY, "moves nothing", shapes::slice_all),
    rule("slice(slice(x)) => slice(x)", ANY, "of one axis: starts add up", shapes::slice_slice),
    rule("slice(concat(x, y)) => x", ANY, "where it is exactly one operand", shapes::slice_concat),
    rule("concat(x) => x", ANY, "moves nothing", shapes::concat_one),
    rule(
        "reduce over no axes => x",
        NUMBERS,
        "a sum of one element is that element: lanes begin at -0.0",
        shapes::reduce_none,
    ),
    rule("reduce over axes of size 1 => reshape", NUMBERS, "each element is reduced alone", shapes::reduce_ones),
    rule(
        "reduce of all of reshape(x) => reduce of all of x",
        NUMBERS,
        "same elements, same order",
        shapes::reduce_reshape,
    ),
    rule(
        "reduce with axes of size 1 behind => reshape(reduce of the last axes)",
        NUMBERS,
        "same elements, same order",
        shapes::reduce_last,
    ),
    rule(
        "f(broadcast(x), broadcast(y)) => broadcast(f(x, y))",
        ANY,
        "f is elementwise; x, y of one smaller shape or scalars",
        shapes::lift_broadcast,
    ),
    rule(
        "f(reshape(x), reshape(y)) => reshape(f(x, y))",
        ANY,
        "f is elementwise; x, y of one shape or scalars",
        shapes::lift_reshape,
    ),
];

/// The rules, in the order in which they are tried.
pub fn simplify_rules() -> &'static [Rule] {
    RULES
}

/// The graph with every rule applied wherever it fits.
pub fn simplify(graph: &Graph) -> Graph {
    rule::apply(RULES, graph)
}
