//! The program of the probe as OpenCL C: a kernel for each dtype and width of vectors. It knows nothing of results.

use super::rows::Float;
use std::fmt::Write;

/// Numbers that a kernel computes with at a time.
pub const WIDTHS: [usize; 2] = [1, 16];
pub const NOTHING: &str = "at_probe_nothing";
pub const LOAD_HALF: &str = "at_probe_load_half";
pub const STORE_HALF: &str = "at_probe_store_half";

/// The name of the kernel for this dtype and width.
pub fn name<T: Float>(width: usize) -> String {
    format!("at_probe_{}_{width}", T::NAME)
}

/// The program, with the kernels for f64 or without.
pub fn program(with_double: bool) -> String {
    let mut text = String::from("#pragma OPENCL FP_CONTRACT OFF\n");
    for width in WIDTHS {
        kernel::<f32>(&mut text, width);
        if with_double {
            kernel::<f64>(&mut text, width);
        }
    }
    _ = write!(
        text,
        "__kernel void {LOAD_HALF}(__global const half *x, __global float *y, long n) {{
    long i = get_global_id(0);
    if (i < n) y[i] = vload_half(i, x);
}}
__kernel void {STORE_HALF}(__global const float *x, __global half *y, long n) {{
    long i = get_global_id(0);
    if (i < n) vstore_half_rte(x[i], i, y);
}}
__kernel void {NOTHING}(__global int *x) {{
}}
"
    );
    text
}

fn kernel<T: Float>(text: &mut String, width: usize) {
    let (number, name) = (T::NAME, name::<T>(width));
    let of_width = |name: &str| if width == 1 { name.to_string() } else { format!("{name}{width}") };
    let load = |k: usize| match width {
        1 => format!("x[{k} * n + i]"),
        _ => format!("vload{width}(i, x + {k} * n)"),
    };
    let float = of_width(number);
    _ = write!(
        text,
        "__kernel void {name}(__global const {number} *x, __global {number} *y, long n) {{
    long i = get_global_id(0);
    {float} a = {}, b = {}, c = {}, r;\n",
        load(0),
        load(1),
        load(2)
    );
    for (k, row) in T::rows().iter().enumerate() {
        if width > row.widest {
            continue;
        }
        let statement = row.text.replace("{F}", &float).replace("{I}", &of_width(T::INTEGER));
        let statement = statement.replace("{L}", &of_width("long")).replace("{S}", &of_width("float"));
        _ = match width {
            1 => writeln!(text, "    {{ {statement} y[{k} * n + i] = r; }}"),
            _ => writeln!(text, "    {{ {statement} vstore{width}(r, i, y + {k} * n); }}"),
        };
    }
    text.push_str("}\n");
}
