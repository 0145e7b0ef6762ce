//! Programs built from their text, and what went wrong shown in it. It knows nothing of what a program computes.

use super::device::Opened;
use super::handles::{BUILD_FAILURE, Failed, Kind, Program};
use crate::error::{Error, Result};
use std::fmt::Write;

/// What every program is built with, without warnings. Nothing that lets a compiler change bits may be among it.
pub const OPTIONS: &str = "-cl-std=CL1.2 -w";

/// Lines of the text that are shown before and after one with an error.
const AROUND: usize = 3;
/// Errors that are shown.
const SHOWN: usize = 5;

impl Opened {
    /// The program of this text: a kept one, or a new one.
    ///
    /// # Errors
    /// Where the device's compiler refuses it: [`Error::Build`], with the lines that it names.
    pub fn build(&self, source: &str) -> Result<Program> {
        self.usable()?;
        let key = format!("{}\0{OPTIONS}\0{source}", self.key);
        // What the driver does not take any more is built again.
        let kept = self.cache.get(&key).and_then(|binary| {
            let program = self.context.program_of_binary(self.unit, &binary).ok()?;
            program.build(self.unit, OPTIONS).ok().map(|()| program)
        });
        if let Some(program) = kept {
            return Ok(program);
        }
        let program = self.compile(source)?;
        self.keep(&program, &key);
        Ok(program)
    }

    /// The program of this text, which is not kept.
    ///
    /// # Errors
    /// As [`Opened::build`].
    pub(super) fn compile(&self, source: &str) -> Result<Program> {
        let program = self.context.program(source).map_err(|failed| self.error(failed))?;
        match program.build(self.unit, OPTIONS) {
            Ok(()) => Ok(program),
            Err(Failed { code: BUILD_FAILURE, .. }) => {
                Err(Error::build(self.device, shown(source, &program.log(self.unit))))
            }
            Err(failed) => Err(self.error(failed)),
        }
    }

    /// Keeps a program for other processes. PoCL compiles all of it once more to give a binary, which takes as long as the first
    /// time, so there only what a second process needs is kept. Drivers of GPUs have the binary at hand.
    fn keep(&self, program: &Program, key: &str) {
        if self.cache.folder().is_none() {
            return;
        }
        let asked = format!("asked for once\0{key}");
        if self.description.kind == Kind::Cpu && self.cache.get(&asked).is_none() {
            return self.cache.put(&asked, &[]);
        }
        if let Ok(binary) = program.binary()
            && !binary.is_empty()
        {
            self.cache.put(key, &binary);
        }
    }
}

/// The words of a compiler, each error with the lines of the text that it is about.
pub(super) fn shown(source: &str, log: &str) -> String {
    let lines: Vec<&str> = source.lines().collect();
    let mut text = String::new();
    let mut errors = 0;
    for said in log.lines() {
        if said.trim().is_empty() {
            continue;
        }
        _ = write!(text, "\n{}", said.trim_end());
        let Some(line) = line_of(said).filter(|line| (1..=lines.len()).contains(line)) else { continue };
        errors += 1;
        if errors > SHOWN {
            text.push_str("\n...");
            break;
        }
        for at in line.saturating_sub(AROUND).max(1)..=(line + AROUND).min(lines.len()) {
            let mark = if at == line { '>' } else { ' ' };
            _ = write!(text, "\n{mark}{at:>5} | {}", lines[at - 1]);
        }
    }
    if text.is_empty() { "the compiler gives no reason".to_string() } else { text }
}

/// The line that a compiler's words name. All drivers write `FILE:LINE:COLUMN: error: ...`, or the word before the place.
fn line_of(said: &str) -> Option<usize> {
    if !said.contains("error") {
        return None;
    }
    let parts: Vec<&str> = said.split(':').collect();
    parts.windows(2).find_map(|two| {
        two[1].trim().parse::<usize>().ok()?;
        two[0].trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::{line_of, shown};

    #[test]
    fn lines_are_found_in_the_words_of_all_compilers() {
        assert_eq!(line_of("error: /tmp/x/tempfile_aB.cl:3:7: use of undeclared identifier 'x'"), Some(3));
        assert_eq!(line_of("<kernel>:12:1: error: expected ';'"), Some(12));
        assert_eq!(line_of("1:4:9: error: no"), Some(1));
        assert_eq!(line_of("C:\\t.cl:5:2: error: no"), Some(5));
        assert_eq!(line_of("2 warnings and 1 error generated"), None);
        assert_eq!(line_of("<kernel>:12:1: warning: unused"), None);
    }

    #[test]
    fn errors_are_shown_in_the_source() {
        let text = shown("a\nb\nc\nd\ne\nf\n", "<kernel>:2:1: error: no b\n\n1 error\n");
        assert_eq!(
            text,
            "\n<kernel>:2:1: error: no b\n     1 | a\n>    2 | b\n     3 | c\n     4 | d\n     5 | e\n1 error"
        );
        assert_eq!(shown("a", " \n"), "the compiler gives no reason");
    }
}
