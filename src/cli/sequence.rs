//! What each program is trained on: the windows of the sine wave and the cosine that it should predict.
//!
//! Plain arithmetic on `Vec<f32>`; it never sees a tensor, so both modes are given the same numbers.

use super::python_random::PythonRandom;
use std::f64::consts::PI;

/// Points of one half-turn in `rnn_fixed` and `rnn_dynamic`, both ends included.
pub const POINTS_PER_HALF_TURN: usize = 10;
/// The longest window of `rnn_var_200`, in points.
pub const LONGEST_VARIABLE: usize = 200;
/// How many steps `rnn_var_200` makes for each step of the other two programs.
pub const VARIABLE_STEPS_FACTOR: usize = 10;
/// Points of a whole turn in `rnn_var_200`.
const POINTS_PER_TURN: usize = 20;

/// The three programs that `compare` trains; one model and one training step, three diets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Windows of one half-turn, 10 points each.
    Fixed,
    /// Windows of a random whole number of half-turns.
    Dynamic,
    /// Windows of 1 to 200 points, drawn anew for every step.
    Variable,
}

impl Program {
    pub const ALL: [Self; 3] = [Self::Fixed, Self::Dynamic, Self::Variable];

    pub fn name(self) -> &'static str {
        match self {
            Self::Fixed => "rnn_fixed",
            Self::Dynamic => "rnn_dynamic",
            Self::Variable => "rnn_var_200",
        }
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.name() == name)
    }

    /// The names of all programs, for messages.
    pub fn known() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// What the report says of it.
    pub fn description(self, half_turns: HalfTurns) -> String {
        match self {
            Self::Fixed => format!("Windows of one half-turn, {POINTS_PER_HALF_TURN} points."),
            Self::Dynamic => format!(
                "Windows of {} to {} half-turns, drawn anew for each step: the length changes while it trains.",
                half_turns.least, half_turns.most
            ),
            Self::Variable => format!("Windows of 1 to {LONGEST_VARIABLE} points, drawn anew for each step."),
        }
    }

    /// Whether the report shows this program's prediction over its target.
    pub fn shows_fit(self) -> bool {
        self != Self::Variable
    }
}

/// The number of half-turns that a step of `rnn_dynamic` may cover, both bounds included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfTurns {
    pub least: usize,
    pub most: usize,
}

/// The span of one training step: where it begins and how many points it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Half-turns before this window (`Fixed`, `Dynamic`), or points before it (`Variable`).
    pub start: usize,
    /// Half-turns that it covers (`Fixed`, `Dynamic`), or its points (`Variable`).
    pub extent: usize,
    /// Its points.
    pub points: usize,
}

/// One window: `batch` rows of `points` values, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    pub points: usize,
    /// Time of each point in half-turns.
    pub time: Vec<f32>,
    /// sin, `[batch, points]`.
    pub input: Vec<f32>,
    /// cos, `[batch, points]`.
    pub target: Vec<f32>,
}

/// How many steps a program makes when the command line says `steps`.
pub fn steps(program: Program, steps: usize) -> usize {
    match program {
        Program::Variable => steps * VARIABLE_STEPS_FACTOR,
        Program::Fixed | Program::Dynamic => steps,
    }
}

/// The spans of all steps. `steps` is that of the command line: `Variable` makes ten times as many.
pub fn spans(program: Program, steps: usize, half_turns: HalfTurns, seed: u64) -> Vec<Span> {
    let mut random = PythonRandom::new(seed);
    let mut start = 0;
    (0..self::steps(program, steps))
        .map(|_| {
            let (extent, points) = match program {
                Program::Fixed => (1, POINTS_PER_HALF_TURN),
                Program::Dynamic => {
                    let (least, most) = (half_turns.least as u32, half_turns.most as u32);
                    let turns = random.randint(least, most) as usize;
                    (turns, turns * POINTS_PER_HALF_TURN)
                }
                Program::Variable => {
                    let points = random.randint(1, LONGEST_VARIABLE as u32) as usize;
                    (points, points)
                }
            };
            let span = Span { start, extent, points };
            start += extent;
            span
        })
        .collect()
}

/// The numbers of one step. Row `b` of a batch runs `b / batch` of a turn ahead of row 0.
pub fn window(program: Program, span: Span, batch: usize) -> Window {
    let mut window = Window {
        points: span.points,
        time: Vec::with_capacity(span.points),
        input: Vec::with_capacity(batch * span.points),
        target: Vec::with_capacity(batch * span.points),
    };
    for row in 0..batch {
        let ahead = 2.0 * PI * row as f64 / batch as f64;
        for i in 0..span.points {
            let angle = angle(program, span, i);
            if row == 0 {
                window.time.push((angle / PI) as f32);
            }
            let phase = match program {
                // The seed programs take the sine of an angle that is already rounded to f32.
                Program::Fixed | Program::Dynamic => f64::from(angle as f32),
                // Far out an f32 angle is coarse; a whole turn is 20 points, so the phase stays exact.
                Program::Variable => {
                    let point = (span.start + i) % POINTS_PER_TURN;
                    2.0 * PI * point as f64 / POINTS_PER_TURN as f64
                }
            } + ahead;
            window.input.push(libm::sin(phase) as f32);
            window.target.push(libm::cos(phase) as f32);
        }
    }
    window
}

/// The angle of point `i`, in radians: `numpy.linspace(start, stop, points)` with both ends for the half-turn
/// programs (so a window begins where the last one ended), and evenly onward for the variable one.
fn angle(program: Program, span: Span, i: usize) -> f64 {
    match program {
        Program::Fixed | Program::Dynamic => {
            let start = span.start as f64 * PI;
            let stop = (span.start + span.extent) as f64 * PI;
            if i + 1 == span.points {
                return stop;
            }
            let step = (stop - start) / (span.points - 1) as f64;
            i as f64 * step + start
        }
        Program::Variable => 2.0 * PI * (span.start + i) as f64 / POINTS_PER_TURN as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_TURNS: HalfTurns = HalfTurns { least: 1, most: 3 };

    #[test]
    fn fixed_windows_follow_each_other() {
        let spans = spans(Program::Fixed, 3, HALF_TURNS, 1);
        assert_eq!(spans.iter().map(|s| s.start).collect::<Vec<_>>(), [0, 1, 2]);
        let first = window(Program::Fixed, spans[0], 1);
        let second = window(Program::Fixed, spans[1], 1);
        assert_eq!(first.input.len(), 10);
        assert_eq!(first.input[9].to_bits(), second.input[0].to_bits());
        assert_eq!(first.target[0], 1.0);
    }

    #[test]
    fn dynamic_spans_are_those_of_the_golden_file() {
        // random.Random(1): the spans that PyTorch was run with for seed 1.
        let spans = spans(Program::Dynamic, 10, HALF_TURNS, 1);
        let extents: Vec<_> = spans.iter().map(|s| s.extent).collect();
        assert_eq!(extents, [1, 3, 1, 2, 1, 2, 2, 2, 3, 2]);
        assert!(spans.iter().all(|s| s.points == 10 * s.extent));
    }

    #[test]
    fn variable_lengths_stay_in_range_and_the_wave_does_not_drift() {
        let spans = spans(Program::Variable, 60, HALF_TURNS, 1);
        assert_eq!(spans.len(), 600);
        assert!(spans.iter().all(|s| (1..=200).contains(&s.points)));
        let last = *spans.last().expect("600 spans");
        let values = window(Program::Variable, last, 1);
        let phase = (last.start % 20) as f64 * PI / 10.0;
        assert_eq!(values.input[0], libm::sin(phase) as f32);
    }

    #[test]
    fn batch_rows_are_spread_over_one_turn() {
        let span = Span { start: 0, extent: 1, points: 10 };
        let window = window(Program::Fixed, span, 4);
        assert_eq!((window.input.len(), window.time.len()), (40, 10));
        assert!((window.input[10] - 1.0).abs() < 1e-6, "row 1 runs a quarter turn ahead");
    }
}
