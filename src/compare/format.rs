//! Numbers as people read them: seconds with a fitting unit, ratios, plain-text tables.

/// Three significant digits and a unit, from nanoseconds to seconds: `2.91 µs`, `21.4 ms`, `3.60 s`.
pub fn seconds(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_string();
    }
    let (scaled, unit) = match value.abs() {
        v if v < 0.999_5e-6 => (value * 1e9, "ns"),
        v if v < 0.999_5e-3 => (value * 1e6, "µs"),
        v if v < 0.999_5 => (value * 1e3, "ms"),
        _ => (value, "s"),
    };
    format!("{} {unit}", three_digits(scaled))
}

/// `3.21`, `32.1`, `321`, `3214`; `0` stays `0`.
pub fn three_digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_string(),
        v if v < 9.995 => format!("{value:.2}"),
        v if v < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// `12.3×`, or `-` where there is nothing to divide.
pub fn times(ratio: f64) -> String {
    if ratio.is_finite() { format!("{}×", three_digits(ratio)) } else { "-".to_string() }
}

/// Lines of aligned columns: a header, a rule, the rows. The first `left` columns are text and stand to the
/// left, the others are figures and stand to the right.
pub fn table(header: &[&str], rows: &[Vec<String>], left: usize) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if column < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
    };
    let mut text = line(header.to_vec());
    let rule = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
    text += &("─".repeat(rule) + "\n");
    for row in rows {
        text += &line(row.iter().map(String::as_str).collect());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_take_the_unit_that_fits() {
        let shown = [0.0, 2.914e-6, 0.02141, 3.6, 999.6e-6, f64::NAN].map(seconds);
        assert_eq!(shown, ["0 ns", "2.91 µs", "21.4 ms", "3.60 s", "1.00 ms", "-"]);
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_string(), "1".to_string()], vec!["bcd".to_string(), "22".to_string()]];
        let text = table(&["name", "n"], &rows, 1);
        assert_eq!(text, "name   n\n────────\na      1\nbcd   22\n");
    }
}
