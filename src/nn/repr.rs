//! How PyTorch prints a module: `Module.__repr__` and that of its lists. It knows text only.

/// A class with its extra text, and its children by name.
pub(super) fn module(class: &str, extra: &str, children: &[(String, String)]) -> String {
    let extra: Vec<&str> = if extra.is_empty() { Vec::new() } else { extra.split('\n').collect() };
    if children.is_empty() && extra.len() < 2 {
        return format!("{class}({})", extra.concat());
    }
    let children = children.iter().map(|(name, text)| format!("({name}): {}", indented(text)));
    let lines: Vec<String> = extra.into_iter().map(str::to_string).chain(children).collect();
    format!("{class}(\n  {}\n)", lines.join("\n  "))
}

/// A list, in which equal neighbours are printed once: `(0-1): 2 x Linear(...)`.
pub(super) fn list(class: &str, items: &[String]) -> String {
    if items.is_empty() {
        return format!("{class}()");
    }
    let mut text = format!("{class}(");
    let mut first = 0;
    for block in items.chunk_by(|a, b| a == b) {
        let last = first + block.len() - 1;
        let (item, n) = (indented(&block[0]), block.len());
        text += &if n == 1 { format!("\n  ({first}): {item}") } else { format!("\n  ({first}-{last}): {n} x {item}") };
        first = last + 1;
    }
    text + "\n)"
}

/// All lines but the first, two columns to the right.
fn indented(text: &str) -> String {
    text.replace('\n', "\n  ")
}

/// A Rust flag as Python prints it.
pub(super) fn python_bool(on: bool) -> &'static str {
    if on { "True" } else { "False" }
}

/// A number as Python's `repr` of a float: the shortest digits that read back, with `.0` where whole.
pub(super) fn python_float(x: f64) -> String {
    if x.is_nan() {
        return "nan".to_string();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.to_string();
    }
    // `{:e}` has the shortest digits; Python shows an exponent below 1e-4 and from 1e16 on.
    let scientific = format!("{x:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if x != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.unsigned_abs());
    }
    let plain = format!("{x}");
    if plain.contains('.') { plain } else { plain + ".0" }
}

/// Numbers as Python prints a tuple: `(1,)`, `(2, 3)`.
pub(super) fn python_tuple(items: &[usize]) -> String {
    match items {
        [one] => format!("({one},)"),
        items => format!("({})", items.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_as_python_prints_them() {
        for (x, text) in [
            (0.1, "0.1"),
            (1.0, "1.0"),
            (1e-5, "1e-05"),
            (0.0001, "0.0001"),
            (1e16, "1e+16"),
            (1.5e-7, "1.5e-07"),
            (0.0, "0.0"),
        ] {
            assert_eq!(python_float(x), text);
        }
    }

    #[test]
    fn equal_neighbours_are_one_line() {
        let text = list("ModuleList", &["ReLU()".into(), "ReLU()".into(), "Tanh()".into()]);
        assert_eq!(text, "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n)");
    }
}
