//! Axes of a plot: the range, linear or logarithmic, and where its ticks stand.
//!
//! It knows numbers and labels only, never pixels or colours.

/// What the numbers of an axis are, for their labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Plain,
    Seconds,
}

#[derive(Clone, Debug)]
pub struct Axis {
    pub label: String,
    low: f64,
    high: f64,
    logarithmic: bool,
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// A linear axis over exactly `low..=high` with about `count` ticks.
    pub fn linear(label: &str, low: f64, high: f64, count: usize) -> Self {
        let (low, high) = if low < high { (low, high) } else { (low - 0.5, low + 0.5) };
        let step = nice_step((high - low) / count as f64);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        let tick = |i: i64| (i as f64 * step, minus(&format!("{:.decimals$}", i as f64 * step)));
        let ticks = (first..=last).map(tick).collect();
        Self { label: label.to_string(), low, high, logarithmic: false, ticks }
    }

    /// A logarithmic axis that holds all positive finite `values`, with a margin; ticks at powers of ten,
    /// and at 2 and 5 between them when it spans few.
    pub fn logarithmic(label: &str, values: impl Iterator<Item = f64>, unit: Unit) -> Self {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|v| v.is_finite() && *v > 0.0) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.1, 1.0);
        }
        let margin = ((high / low).log10() * 0.06).max(0.04);
        let (low, high) = (low / 10f64.powf(margin), high * 10f64.powf(margin));
        let decades = (high / low).log10();
        let (steps, stride): (&[f64], i32) = match decades {
            d if d < 2.2 => (&[1.0, 2.0, 5.0], 1),
            d if d < 7.0 => (&[1.0], 1),
            d => (&[1.0], (d / 6.0).ceil() as i32),
        };
        let powers = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
        let ticks = powers
            .filter(|power| power.rem_euclid(stride) == 0)
            .flat_map(|power| steps.iter().map(move |step| (*step, power)))
            .map(|(step, power)| (step * 10f64.powi(power), label_of(step, power, unit)))
            .filter(|(value, _)| (low..=high).contains(value))
            .collect();
        Self { label: label.to_string(), low, high, logarithmic: true, ticks }
    }

    /// Where a value stands between the ends: 0 at the low one, 1 at the high one; `None` where it has no place.
    pub fn place(&self, value: f64) -> Option<f64> {
        let part = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        part.is_finite().then_some(part)
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `rough`.
fn nice_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(10.0 * power)
}

fn label_of(step: f64, power: i32, unit: Unit) -> String {
    match unit {
        Unit::Seconds => {
            let unit = power.div_euclid(3).clamp(-3, 0);
            let name = ["ns", "µs", "ms", "s"][(unit + 3) as usize];
            format!("{} {name}", decimal(step, power - 3 * unit))
        }
        Unit::Plain if (-4..=5).contains(&power) => decimal(step, power),
        Unit::Plain => format!("{step}e{}", minus(&power.to_string())),
    }
}

fn decimal(step: f64, power: i32) -> String {
    let decimals = (-power).max(0) as usize;
    format!("{:.decimals$}", step * 10f64.powi(power))
}

/// A true minus sign is as wide as a plus; the hyphen is not.
fn minus(number: &str) -> String {
    number.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        assert_eq!(labels(&Axis::linear("", 0.0, 60.0, 6)), ["0", "10", "20", "30", "40", "50", "60"]);
        assert_eq!(labels(&Axis::linear("", -1.0, 1.0, 4)), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert!(!labels(&Axis::linear("", 3.0, 3.0, 5)).is_empty(), "one point is still an axis");
    }

    #[test]
    fn seconds_carry_their_unit() {
        let axis = Axis::logarithmic("", [2e-6, 3e-2].into_iter(), Unit::Seconds);
        assert_eq!(labels(&axis), ["10 µs", "100 µs", "1 ms", "10 ms"]);
    }

    #[test]
    fn few_decades_get_ticks_between() {
        let axis = Axis::logarithmic("", [0.015, 0.9].into_iter(), Unit::Plain);
        assert_eq!(labels(&axis), ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]);
    }

    #[test]
    fn odd_values_have_no_place_and_break_nothing() {
        let axis = Axis::logarithmic("", [f64::NAN, -1.0, f64::INFINITY].into_iter(), Unit::Plain);
        assert_eq!(axis.place(f64::NAN), None);
        assert_eq!(axis.place(0.0), None);
        assert!(Axis::linear("", 0.0, 1.0, 4).place(0.5) == Some(0.5));
    }
}
