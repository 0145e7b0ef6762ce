//! Charts after each other as a GIF. One frame at a time is in memory as pixels.

use super::chart::Chart;
use super::file::{extension, failed, pixels};
use super::gif::{GifWriter, MOST_COLORS};
use super::quantize::{Counts, Nearest, count, palette};
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Frames that take the palette's colours are drawn twice, so only so many are looked at.
const LOOKED_AT: usize = 12;

/// An animation, which repeats for ever.
///
/// ```no_run
/// use allotrope::plot::{Animation, Chart};
/// let mut film = Animation::new();
/// for step in 1..=20 {
///     film = film.frame(Chart::new(format!("step {step}")).x_range(0.0, 20.0).scatter("here", &[step as f64], &[0.0]));
/// }
/// film.save("steps.gif")?;
/// # Ok::<(), allotrope::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Animation {
    /// Each of charts one above the other.
    frames: Vec<Vec<Chart>>,
    /// Milliseconds.
    frame_time: u32,
    last_frame_time: u32,
}

impl Default for Animation {
    fn default() -> Animation {
        Animation::new()
    }
}

impl Animation {
    /// Frames are shown for 100 ms, the last one for 2.5 s.
    pub fn new() -> Animation {
        Animation { frames: Vec::new(), frame_time: 100, last_frame_time: 2500 }
    }

    /// Adds a frame of one chart.
    #[must_use]
    pub fn frame(self, chart: Chart) -> Animation {
        self.stacked_frame(vec![chart])
    }

    /// Adds a frame of charts one above the other.
    #[must_use]
    pub fn stacked_frame(mut self, charts: Vec<Chart>) -> Animation {
        self.frames.push(charts);
        self
    }

    /// How long each frame is shown, in milliseconds (as whole hundredths of a second), and the last one.
    #[must_use]
    pub fn times(mut self, frame: u32, last: u32) -> Animation {
        (self.frame_time, self.last_frame_time) = (frame, last);
        self
    }

    pub fn len(&self) -> usize {
        self.frames.len()
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Writes the animation to `NAME.gif`.
    ///
    /// # Errors
    /// When there is no frame, one has another size than the first, something in one does not fit, the name ends otherwise, or the
    /// file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if extension(path) != Some("gif") {
            return Err(failed(path, "an animation is written as .gif"));
        }
        // Drawn before the file is there.
        let plan = self.plan()?;
        let file = File::create(path).map_err(|error| failed(path, error))?;
        self.encode(plan, BufWriter::new(file)).map_err(|error| match error {
            Encoding::Plot(error) => error,
            Encoding::Io(error) => failed(path, error),
        })
    }

    /// The size of all frames, and the palette of some of them.
    fn plan(&self) -> Result<Plan> {
        let mut counts = Counts::default();
        let mut size = None;
        let every = self.frames.len().div_ceil(LOOKED_AT).max(1);
        for (i, frame) in self.frames.iter().enumerate() {
            let own = (frame.iter().map(|c| c.size.0).max(), frame.iter().map(|c| c.size.1).sum::<u32>());
            if *size.get_or_insert(own) != own {
                return Err(Error::argument(format!("animation: frame {} has another size than the first", i + 1)));
            }
            if i % every == 0 || i + 1 == self.frames.len() {
                count(&drawn(frame)?.0, &mut counts);
            } else {
                frame.iter().try_for_each(Chart::checked)?;
            }
        }
        match size {
            Some((Some(width), height)) => Ok(((width, height), palette(&counts, MOST_COLORS))),
            Some((None, _)) | None => Err(Error::argument("animation: it has no frame with a chart")),
        }
    }

    fn encode(&self, plan: Plan, out: impl Write) -> std::result::Result<(), Encoding> {
        let ((width, height), palette) = plan;
        let mut gif = GifWriter::new(out, width as u16, height as u16, &palette)?;
        let mut nearest = Nearest::new(palette);
        for (i, frame) in self.frames.iter().enumerate() {
            let time = if i + 1 == self.frames.len() { self.last_frame_time } else { self.frame_time };
            let (pixels, _) = drawn(frame).map_err(Encoding::Plot)?;
            gif.frame(nearest.indices(&pixels), (time / 10).clamp(1, u32::from(u16::MAX)) as u16)?;
        }
        Ok(gif.finish()?)
    }
}

/// Width, height and palette.
type Plan = ((u32, u32), Vec<[u8; 3]>);

enum Encoding {
    Plot(Error),
    Io(std::io::Error),
}

impl From<std::io::Error> for Encoding {
    fn from(error: std::io::Error) -> Encoding {
        Encoding::Io(error)
    }
}

fn drawn(frame: &[Chart]) -> Result<(Vec<u8>, (u32, u32))> {
    pixels(&frame.iter().collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(step: usize) -> Chart {
        Chart::new(format!("step {step}")).size(160, 120).x_range(0.0, 4.0).y_range(0.0, 1.0).scatter(
            "a",
            [step],
            [0.5],
        )
    }

    #[test]
    fn the_file_is_a_gif_of_the_charts_size() {
        let film = (0..4).fold(Animation::new(), |film, i| film.stacked_frame(vec![chart(i), chart(i)]));
        let path = std::env::temp_dir().join(format!("allotrope-animation-{}.gif", std::process::id()));
        film.save(&path).expect("written");
        let bytes = std::fs::read(&path).expect("there");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(&bytes[..6], b"GIF89a");
        assert_eq!([bytes[6], bytes[7], bytes[8], bytes[9]], [160, 0, 240, 0]);
        assert_eq!(bytes.last(), Some(&0x3b));
    }

    #[test]
    fn what_does_not_fit_leaves_no_file() {
        let path = std::env::temp_dir().join(format!("allotrope-no-animation-{}.gif", std::process::id()));
        assert!(Animation::new().save(&path).is_err());
        assert!(Animation::new().frame(chart(1)).frame(chart(2).size(100, 100)).save(&path).is_err());
        assert!(Animation::new().frame(chart(1)).frame(chart(2).line("b", [1.0], [1.0, 2.0])).save(&path).is_err());
        assert!(Animation::new().frame(chart(1)).save("film.mp4").is_err());
        assert!(!path.exists());
    }
}
