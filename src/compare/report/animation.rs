//! `fit.gif`: predictions finding their targets while the programs train. It chooses the frames; they are the charts of the page.

use super::figures;
use crate::compare::comparison::Comparison;
use crate::compare::run::frame_steps;
use crate::error::Result;
use crate::plot::Animation;
use std::path::Path;

/// Pixels of one program's part.
const SIZE: (u32, u32) = (560, 230);

/// Writes the animation of all programs that kept a fit, one above the other; `false` and nothing written when
/// there is none.
pub(super) fn write(pairs: &[Comparison], path: &Path) -> Result<bool> {
    let shown: Vec<&Comparison> = pairs.iter().filter(|p| !p.reference().fits.is_empty()).collect();
    let Some(most) = shown.iter().map(|pair| pair.reference().steps()).max() else {
        return Ok(false);
    };
    let mut film = Animation::new();
    for step in frame_steps(most) {
        let chart = |pair: &&Comparison| {
            let step = step.min(pair.reference().steps().saturating_sub(1));
            figures::fit(pair, step).size(SIZE.0, SIZE.1)
        };
        film = film.stacked_frame(shown.iter().map(chart).collect());
    }
    film.save(path)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::run::Contract;
    use crate::compare::synthetic::{self, Program};

    fn path(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("allotrope-fit-{name}-{}.gif", std::process::id()))
    }

    #[test]
    fn the_animation_is_a_small_gif() {
        let path = path("small");
        assert!(write(&synthetic::comparisons(), &path).expect("drawn"));
        let bytes = std::fs::read(&path).expect("there");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(&bytes[..6], b"GIF89a");
        assert_eq!(u16::from_le_bytes([bytes[6], bytes[7]]), SIZE.0 as u16);
        assert!(bytes.len() < 1_000_000, "{} bytes", bytes.len());
    }

    #[test]
    fn a_device_is_in_it_and_without_a_fit_nothing_is_written() {
        let path = path("device");
        assert!(write(&[synthetic::on_a_device(Program::Fixed, Contract::EqualBits)], &path).expect("drawn"));
        std::fs::remove_file(&path).expect("removed");
        let mut pairs = synthetic::comparisons();
        pairs.retain(|pair| pair.reference().fits.is_empty());
        assert!(!write(&pairs, &path).expect("nothing to draw"));
        assert!(!path.exists());
    }
}
