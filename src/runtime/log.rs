//! What the environment asks to see while functions are traced: `ALLOTROPE_LOG`, a list of words. It prints to standard
//! error and changes nothing.

use crate::device::Device;
use crate::runtime::variant::Variant;
use std::sync::OnceLock;

/// The variable.
const VARIABLE: &str = "ALLOTROPE_LOG";

/// Each word, and what it shows.
const WORDS: [(&str, &str); 6] = [
    ("graph", "each graph as captured"),
    ("optimized", "each graph after the passes"),
    ("kernels", "the kernels that were made of it"),
    ("code", "the code of these: Cranelift's text form, or OpenCL C"),
    ("timings", "how long each phase of a compilation took"),
    ("recapture", "why a function is captured, and for what calls"),
];

fn asked(word: &str) -> bool {
    static ASKED: OnceLock<Vec<&'static str>> = OnceLock::new();
    let asked = ASKED.get_or_init(|| {
        let (known, unknown) = read(&std::env::var(VARIABLE).unwrap_or_default());
        if !unknown.is_empty() {
            let words = WORDS.map(|(word, what)| format!("  {word}: {what}")).join("\n");
            eprintln!(
                "allotrope: {VARIABLE} does not know {}; it knows, separated by commas\n{words}",
                unknown.join(", ")
            );
        }
        known
    });
    asked.contains(&word)
}

/// The words that are known, and those that are not.
fn read(text: &str) -> (Vec<&'static str>, Vec<String>) {
    let words = text.split([',', ' ']).map(str::trim).filter(|w| !w.is_empty());
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for word in words {
        match WORDS.iter().find(|(w, _)| *w == word) {
            Some((w, _)) => known.push(*w),
            None if word == "all" => known.extend(WORDS.map(|(w, _)| w)),
            None => unknown.push(format!("`{word}`")),
        }
    }
    (known, unknown)
}

/// Shows what is asked for of a variant that was just compiled.
pub(crate) fn compiled(variant: &Variant) {
    let mut text = String::new();
    // The usual one goes without saying.
    let device = if variant.device() == Device::Cpu { String::new() } else { format!(" for {}", variant.device()) };
    let mut add = |word: &str, part: &dyn Fn() -> String| {
        if asked(word) {
            text += &format!("allotrope: {word}{device}\n{}\n", part().trim_end());
        }
    };
    add("recapture", &|| format!("captured because: {}\n{}", variant.reason, variant.guards));
    add("graph", &|| variant.captured().to_string());
    add("optimized", &|| variant.optimized().to_string());
    add("kernels", &|| variant.kernels().iter().map(|k| format!("{k}\n")).collect());
    add("code", &|| variant.code().unwrap_or_else(|e| e.to_string()));
    add("timings", &|| {
        let each = variant.phases().iter().map(|(phase, t)| format!("{phase}: {:.3} ms\n", t.as_secs_f64() * 1e3));
        each.chain([format!("in all: {:.3} ms", variant.compile_time().as_secs_f64() * 1e3)]).collect()
    });
    if !text.is_empty() {
        eprint!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn words_are_told_apart() {
        assert_eq!(read("graph, kernels"), (vec!["graph", "kernels"], vec![]));
        assert_eq!(read("graph,,nothing timings"), (vec!["graph", "timings"], vec!["`nothing`".to_string()]));
        assert_eq!(read("").0.len(), 0);
        assert_eq!(read("all").0.len(), super::WORDS.len());
    }
}
