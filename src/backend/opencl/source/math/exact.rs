//! Helpers in OpenCL C for what has one correct result but no operator in C: casts that saturate, integers that divide
//! by 0, maxima that keep a NaN, and division and square root for devices that do not round them correctly.
//! Nothing here is approximated.

use super::arithmetic::Arithmetic;

/// The text of the helper of that name.
pub fn helper(name: &str, arithmetic: Arithmetic) -> Option<String> {
    match name {
        "at_div_f32" if arithmetic.exact_division => Some(PLAIN_DIVISION.to_owned()),
        "at_div_f32" => Some(DIVISION.to_owned()),
        "at_sqrt_f32" if arithmetic.exact_sqrt => Some(PLAIN_SQUARE_ROOT.to_owned()),
        "at_sqrt_f32" => Some(SQUARE_ROOT.to_owned()),
        "at_f32_of_f16" => Some(WIDEN_F16.to_owned()),
        "at_f16_of_f32" => Some(NARROW_F16.to_owned()),
        "at_f32_of_bf16" => Some(WIDEN_BF16.to_owned()),
        "at_bf16_of_f32" => Some(NARROW_BF16.to_owned()),
        "at_i64_of_f32" => Some(saturating("float", name, "f")),
        "at_i64_of_f64" => Some(saturating("double", name, "")),
        _ => {
            let (op, dtype) = name.strip_prefix("at_")?.rsplit_once('_')?;
            match dtype {
                "f32" => extreme(op, "float", name),
                "f64" => extreme(op, "double", name),
                "u8" => integer(op, "uchar", "uint", false, name),
                "i32" => integer(op, "int", "uint", true, name),
                "i64" => integer(op, "long", "ulong", true, name),
                _ => None,
            }
        }
    }
}

/// What the kernels define for integers where C leaves it open or has no operator.
fn integer(op: &str, c: &str, unsigned: &str, signed: bool, name: &str) -> Option<String> {
    let negative = format!("({c})(0 - ({unsigned})a)");
    // The smallest number divided by -1 would be undefined in C.
    let minus_one = |then: &str| if signed { format!("b == -1 ? {then} : ") } else { String::new() };
    let body = match op {
        "abs" if signed => {
            return Some(format!("static inline {c} {name}({c} a) {{\n    return a < 0 ? {negative} : a;\n}}\n"));
        }
        "rem" => format!("    return b == 0 ? 0 : {}a % b;\n", minus_one("0")),
        "quotient" => format!("    return b == 0 ? 0 : {}a / b;\n", minus_one(&negative)),
        "pow" => {
            let reciprocal = "    if (b < 0) return a == 1 || (a == -1 && (b & 1) == 0) ? 1 : (a == -1 ? a : 0);\n";
            format!(
                "{}    {unsigned} base = a, left = b, power = 1;\n    while (left > 0) {{\n\
                 \x20       if (left & 1) power *= base;\n        base *= base;\n        left >>= 1;\n    }}\n\
                 \x20   return ({c})power;\n",
                if signed { reciprocal } else { "" }
            )
        }
        _ => return None,
    };
    Some(format!("static inline {c} {name}({c} a, {c} b) {{\n{body}}}\n"))
}

/// Maximum and minimum of floats: a NaN wins, and of equals the first.
fn extreme(op: &str, c: &str, name: &str) -> Option<String> {
    let mark = match op {
        "maximum" => ">",
        "minimum" => "<",
        _ => return None,
    };
    Some(format!("static inline {c} {name}({c} a, {c} b) {{\n    return b {mark} a || isnan(b) ? b : a;\n}}\n"))
}

fn saturating(c: &str, name: &str, suffix: &str) -> String {
    format!(
        "static inline long {name}({c} x) {{\n    if (isnan(x)) return 0;\n    if (x >= 0x1p63{suffix}) return LONG_MAX;\n\
         \x20   if (x <= -0x1p63{suffix}) return LONG_MIN;\n    return (long)x;\n}}\n"
    )
}

/// A half of a subnormal number is a whole number of 2^-24; others move their exponent by 112.
const WIDEN_F16: &str = "static inline float at_f32_of_f16(ushort h) {
    uint sign = ((uint)h & 0x8000u) << 16, magnitude = (uint)h & 0x7fffu;
    if (magnitude < 0x400u) return as_float(as_uint((float)magnitude * 0x1p-24f) | sign);
    return as_float(((magnitude << 13) + (magnitude < 0x7c00u ? 0x38000000u : 0x70000000u)) | sign);
}
";

/// To nearest even: among the subnormal ones by adding 1/2, whose last place is 2^-24, else on the bits.
const NARROW_F16: &str = "static inline ushort at_f16_of_f32(float x) {
    uint bits = as_uint(x), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return (ushort)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) return (ushort)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) return (ushort)(sign | (as_uint(as_float(magnitude) + 0.5f) - 0x3f000000u));
    return (ushort)(sign | ((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13));
}
";

const WIDEN_BF16: &str = "static inline float at_f32_of_bf16(ushort h) {
    return as_float((uint)h << 16);
}
";

/// To nearest even on the bits.
const NARROW_BF16: &str = "static inline ushort at_bf16_of_f32(float x) {
    uint bits = as_uint(x);
    if (isnan(x)) return (ushort)((bits >> 16) | 0x40u);
    return (ushort)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
";

const PLAIN_DIVISION: &str = "static inline float at_div_f32(float a, float b) {
    return a / b;
}
";

const PLAIN_SQUARE_ROOT: &str = "static inline float at_sqrt_f32(float x) {
    return sqrt(x);
}
";

/// The device's quotient, which may be a few units off, is brought to within one by a step of Newton's; then what is
/// left is exact, and it or its neighbour is the nearest, whichever leaves less. That needs a residual that neither
/// overflows nor loses bits, so for exponents far from 0 it is a division of whole numbers with what is left as a sticky
/// bit.
const DIVISION: &str = "static inline float at_div_f32(float a, float b) {
    uint x = as_uint(a) & 0x7fffffffu, y = as_uint(b) & 0x7fffffffu;
    int i = (int)(x >> 23), j = (int)(y >> 23);
    if (i >= 97 && i < 157 && j >= 97 && j < 157) {
        float q = a / b;
        q = fma(fma(-q, b, a), 1.0f / b, q);
        float r = fma(-q, b, a);
        bool away = ((as_int(r) ^ as_int(a)) >= 0);
        float other = as_float(away ? as_uint(q) + 1u : as_uint(q) - 1u);
        float s = fma(-other, b, a);
        return fabs(s) < fabs(r) ? other : q;
    }
    if (x == 0 || y == 0 || i == 255 || j == 255) return a / b;
    uint sign = (as_uint(a) ^ as_uint(b)) & 0x80000000u;
    uint m = x & 0x7fffffu, n = y & 0x7fffffu;
    if (i == 0) { int s = (int)clz(m) - 8; m <<= s; i = 1 - s; } else { m |= 0x800000u; }
    if (j == 0) { int s = (int)clz(n) - 8; n <<= s; j = 1 - s; } else { n |= 0x800000u; }
    ulong whole = (ulong)m << 34;
    ulong q = whole / n;
    if (whole % n != 0) q |= 1;
    int e = i - j, shift = 11;
    if (q < (1UL << 34)) { e -= 1; shift = 10; }
    if (e > 127) return as_float(sign | 0x7f800000u);
    bool subnormal = e < -126;
    if (subnormal) { shift += -126 - e; shift = shift > 63 ? 63 : shift; }
    uint kept = (uint)(q >> shift);
    ulong rest = q & ((1UL << shift) - 1), tie = 1UL << (shift - 1);
    uint up = rest > tie || (rest == tie && (kept & 1u)) ? 1u : 0u;
    return as_float(sign | ((subnormal ? 0u : (uint)(e + 126) << 23) + kept + up));
}
";

/// As the division: a step of Newton's, then the exact residual against the half-way point. Powers of 4 keep it exact.
const SQUARE_ROOT: &str = "static inline float at_sqrt_f32(float x) {
    if (!(x > 0.0f) || x == as_float(0x7f800000u)) return x == 0.0f || x > 0.0f ? x : as_float(0x7fc00000u);
    float scale = 1.0f, back = 1.0f;
    if (x < 0x1p-60f) { scale = 0x1p96f; back = 0x1p-48f; }
    if (x > 0x1p60f) { scale = 0x1p-64f; back = 0x1p32f; }
    float z = x * scale;
    float s = sqrt(z);
    s = fma(fma(-s, s, z), 0.5f / s, s);
    float r = fma(-s, s, z);
    float other = as_float(r > 0.0f ? as_uint(s) + 1u : as_uint(s) - 1u);
    float edge = s * fabs(s - other);
    bool take = r > 0.0f ? r > edge : -r >= edge;
    return (r != 0.0f && take ? other : s) * back;
}
";
