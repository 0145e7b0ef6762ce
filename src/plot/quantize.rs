//! At most 255 colours for many: median cut (Heckbert, 1982). It knows colours and how often each occurs.

use rustc_hash::FxHashMap;

/// How often each colour occurs.
pub(super) type Counts = FxHashMap<[u8; 3], u64>;

/// Counts the colours of RGB pixels.
pub(super) fn count(pixels: &[u8], counts: &mut Counts) {
    for pixel in pixels.as_chunks::<3>().0 {
        *counts.entry(*pixel).or_default() += 1;
    }
}

/// At most `most` colours that stand for all of them.
pub(super) fn palette(counts: &Counts, most: usize) -> Vec<[u8; 3]> {
    let mut all: Vec<([u8; 3], u64)> = counts.iter().map(|(color, n)| (*color, *n)).collect();
    all.sort_unstable();
    if all.len() <= most {
        return all.into_iter().map(|(color, _)| color).collect();
    }
    let mut boxes = vec![all];
    while boxes.len() < most {
        // The box with the longest side is cut; seldom colours count, so that thin lines keep theirs.
        let widest = (0..boxes.len()).max_by_key(|&i| longest_side(&boxes[i]).1);
        let Some(widest) = widest.filter(|&i| boxes[i].len() > 1) else { break };
        let mut colors = boxes.swap_remove(widest);
        let (side, _) = longest_side(&colors);
        colors.sort_unstable_by_key(|(color, _)| (color[side], *color));
        let weight = |n: u64| (n as f64).sqrt();
        let half = colors.iter().map(|(_, n)| weight(*n)).sum::<f64>() / 2.0;
        let mut sum = 0.0;
        let middle = colors.iter().position(|(_, n)| {
            sum += weight(*n);
            sum >= half
        });
        let middle = middle.map_or(1, |i| i + 1).clamp(1, colors.len() - 1);
        let upper = colors.split_off(middle);
        boxes.extend([colors, upper]);
    }
    let mut colors: Vec<[u8; 3]> = boxes.iter().map(|colors| representative(colors)).collect();
    colors.sort_unstable();
    colors.dedup();
    colors
}

/// The channel in which the colours are farthest apart, and how far.
fn longest_side(colors: &[([u8; 3], u64)]) -> (usize, u8) {
    let extent = |channel: usize| {
        let values = colors.iter().map(|(color, _)| color[channel]);
        values.clone().max().unwrap_or(0) - values.min().unwrap_or(0)
    };
    (0..3).map(|channel| (channel, extent(channel))).max_by_key(|(_, extent)| *extent).unwrap_or((0, 0))
}

/// The most frequent colour, so that grounds and inks stay exactly what they are.
fn representative(colors: &[([u8; 3], u64)]) -> [u8; 3] {
    colors.iter().max_by_key(|(_, n)| *n).map_or([0; 3], |(color, _)| *color)
}

/// Finds the nearest entry of a palette, and remembers.
pub(super) struct Nearest {
    palette: Vec<[u8; 3]>,
    known: FxHashMap<[u8; 3], u8>,
}

impl Nearest {
    pub(super) fn new(palette: Vec<[u8; 3]>) -> Nearest {
        Nearest { palette, known: FxHashMap::default() }
    }

    /// The places in the palette of RGB pixels.
    pub(super) fn indices(&mut self, pixels: &[u8]) -> Vec<u8> {
        pixels.as_chunks::<3>().0.iter().map(|pixel| self.index(*pixel)).collect()
    }

    fn index(&mut self, color: [u8; 3]) -> u8 {
        let palette = &self.palette;
        *self.known.entry(color).or_insert_with(|| {
            let distance = |other: &[u8; 3]| -> u32 {
                let parts = other.iter().zip(color);
                parts.map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
            };
            let nearest = palette.iter().enumerate().min_by_key(|(_, other)| distance(other));
            nearest.map_or(0, |(index, _)| index as u8)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_colours_stay_and_many_become_few() {
        let mut counts = Counts::default();
        count(&[1, 2, 3, 1, 2, 3, 9, 9, 9], &mut counts);
        assert_eq!(palette(&counts, 255), [[1, 2, 3], [9, 9, 9]]);
        let many: Vec<u8> =
            (0..3000u32).flat_map(|i| [(i % 256) as u8, (i / 7 % 256) as u8, (i * 13 % 256) as u8]).collect();
        let mut counts = Counts::default();
        count(&many, &mut counts);
        count(&[255; 300], &mut counts);
        let few = palette(&counts, 16);
        assert!(few.len() <= 16 && few.len() > 12, "{}", few.len());
        assert!(few.contains(&[255; 3]), "the ground stays what it is");
        let mut nearest = Nearest::new(few.clone());
        let place = nearest.indices(&[255, 255, 255])[0];
        assert_eq!(few[usize::from(place)], [255; 3]);
    }
}
