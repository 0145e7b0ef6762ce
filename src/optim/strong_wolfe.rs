//! A line search for the strong Wolfe conditions (Nocedal and Wright, 2006, algorithms 3.5 and 3.6), with the constants, the order of
//! evaluations and the roundings of PyTorch's. It knows the loss along the line only.

use super::host_number::HostNumber;
use crate::error::Result;
use crate::tensor::Tensor;

/// The loss at one place of the line.
#[derive(Clone)]
pub(super) struct Point {
    /// How far along the direction.
    pub(super) length: HostNumber,
    pub(super) loss: f64,
    pub(super) gradient: Tensor,
    /// The derivative along the direction.
    pub(super) slope: HostNumber,
}

/// How much of the slope the loss must fall, and to what share of it the slope must flatten.
const FALL: f64 = 1e-4;
const FLATTEN: f64 = 0.9;
/// An interval that moves parameters by less than this ends the search.
const TOLERANCE: f64 = 1e-9;

fn float(x: f64) -> HostNumber {
    HostNumber::float(x)
}

/// The place to stop at, and how many evaluations it took. `length` is the first try, `size` the largest element of the
/// direction.
pub(super) fn strong_wolfe(
    evaluate: &mut dyn FnMut(HostNumber) -> Result<Point>,
    begin: Point,
    length: HostNumber,
    size: HostNumber,
    most: usize,
) -> Result<(Point, usize)> {
    let mut new = evaluate(length)?;
    let mut evaluations = 1;
    let mut before = begin.clone();
    let rises = |p: &Point| float(p.loss) > float(begin.loss) + float(FALL) * p.length * begin.slope;
    let is_flat = |p: &Point| p.slope.abs() <= float(-FLATTEN) * begin.slope;
    // First an interval that has such a place in it.
    let mut tries = 0;
    let mut bracket = None;
    while tries < most {
        if rises(&new) || (tries > 1 && new.loss >= before.loss) {
            bracket = Some([before.clone(), new.clone()]);
            break;
        }
        if is_flat(&new) {
            return Ok((new, evaluations));
        }
        if new.slope >= float(0.0) {
            bracket = Some([before.clone(), new.clone()]);
            break;
        }
        let bounds = (new.length + float(0.01) * (new.length - before.length), new.length * float(10.0));
        let next = cubic_interpolate(&before, &new, bounds);
        before = std::mem::replace(&mut new, evaluate(next)?);
        evaluations += 1;
        tries += 1;
    }
    let mut bracket = bracket.unwrap_or_else(|| [begin.clone(), new.clone()]);
    // Then a place in the interval.
    let lowest = |b: &[Point; 2]| if b[0].loss <= b[1].loss { (0, 1) } else { (1, 0) };
    let (mut low, mut high) = lowest(&bracket);
    let mut stays = false;
    while tries < most {
        let [a, b] = [&bracket[0], &bracket[1]];
        if (b.length - a.length).abs() * size < float(TOLERANCE) {
            break;
        }
        let (left, right) = (a.length.min(b.length), a.length.max(b.length));
        let bounds = if a.length <= b.length { (a.length, b.length) } else { (b.length, a.length) };
        let mut next = cubic_interpolate(a, b, bounds);
        // A try that is too near to an end twice is moved away from it.
        let margin = float(0.1) * (right - left);
        if (right - next).min(next - left) < margin {
            if stays || next >= right || next <= left {
                next = if (next - right).abs() < (next - left).abs() { right - margin } else { left + margin };
                stays = false;
            } else {
                stays = true;
            }
        } else {
            stays = false;
        }
        let new = evaluate(next)?;
        evaluations += 1;
        tries += 1;
        if rises(&new) || new.loss >= bracket[low].loss {
            bracket[high] = new;
            (low, high) = lowest(&bracket);
            continue;
        }
        let done = is_flat(&new);
        if !done && new.slope * (bracket[high].length - bracket[low].length) >= float(0.0) {
            bracket[high] = bracket[low].clone();
        }
        bracket[low] = new;
        if done {
            break;
        }
    }
    let [a, b] = bracket;
    Ok((if low == 0 { a } else { b }, evaluations))
}

/// Where the cubic through two places with their slopes is least, within bounds; in the middle of them where it is nowhere.
fn cubic_interpolate(a: &Point, b: &Point, (least, most): (HostNumber, HostNumber)) -> HostNumber {
    let (x1, f1, g1, x2, f2, g2) = (a.length, float(a.loss), a.slope, b.length, float(b.loss), b.slope);
    let d1 = g1 + g2 - float(3.0) * (f1 - f2) / (x1 - x2);
    let square = d1 * d1 - g1 * g2;
    if square >= float(0.0) {
        let d2 = square.sqrt();
        let place = match x1 <= x2 {
            true => x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + float(2.0) * d2)),
            false => x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + float(2.0) * d2)),
        };
        place.max(least).min(most)
    } else {
        (least + most) / float(2.0)
    }
}
