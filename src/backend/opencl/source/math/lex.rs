//! Rust text of the math files as tokens with their lines. Never knows what a token means.

use super::unsupported::Unsupported;

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Word(String),
    Number(String),
    Mark(&'static str),
}

/// A token and the line it stands on.
#[derive(Clone, Debug)]
pub struct Placed {
    pub token: Token,
    pub line: usize,
}

/// Longer marks first, so that `<<` is not read as two.
const MARKS: [&str; 37] = [
    "<<", ">>", "->", "::", "==", "!=", "<=", ">=", "&&", "||", "(", ")", "{", "}", "[", "]", "<", ">", "=", "+", "-",
    "*", "/", "%", "&", "|", "^", "!", ",", ";", ":", ".", "#", "?", "'", "@", "$",
];

/// The tokens of a file. Comments, and attributes (`#[...]`), are left out.
pub fn tokens(file: &str, text: &str) -> Result<Vec<Placed>, Unsupported> {
    let mut found = vec![];
    for (number, line) in text.lines().enumerate() {
        let line = line.split("//").next().expect("split gives one part at least");
        if line.trim_start().starts_with("#[") {
            continue;
        }
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let (token, length) = if first.is_ascii_digit() {
                let length = number_length(rest);
                (Token::Number(rest[..length].to_owned()), length)
            } else if first.is_ascii_alphabetic() || first == '_' {
                let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                (Token::Word(rest[..length].to_owned()), length)
            } else if let Some(mark) = MARKS.into_iter().find(|mark| rest.starts_with(mark)) {
                (Token::Mark(mark), mark.len())
            } else {
                let message = format!("the character `{first}`");
                return Err(Unsupported { file: file.to_owned(), line: number + 1, message });
            };
            found.push(Placed { token, line: number + 1 });
            rest = rest[length..].trim_start();
        }
    }
    Ok(found)
}

/// Of a literal at the start of `text`, with its exponent and suffix. A dot belongs to it where a digit follows, so that
/// a method of a literal is one.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let hexadecimal = text.starts_with("0x");
    let mut at = 0;
    while at < bytes.len() {
        let c = bytes[at];
        let digit_follows = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        let exponent = !hexadecimal && at > 0 && bytes[at - 1] == b'e';
        let part = c.is_ascii_alphanumeric() || c == b'_' || (c == b'.' && digit_follows) || (c == b'-' && exponent);
        if !part {
            break;
        }
        at += 1;
    }
    at
}
