//! Tokens of the text form, each with its line. No grammar here: that is the parser's.

/// A part of the text that means something by itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// `graph`, `f32`, `s0`, `axes`, …
    Word(String),
    /// Digits, perhaps with a fraction and an exponent, or `0x…`.
    Number(String),
    /// `%7`.
    Value(u64),
    /// A string without its quotes and escapes.
    Text(String),
    /// `( ) { } [ ] , : = + - *` and `->`.
    Mark(&'static str),
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Word(w) | Token::Number(w) => write!(f, "`{w}`"),
            Token::Value(n) => write!(f, "`%{n}`"),
            Token::Text(t) => write!(f, "{t:?}"),
            Token::Mark(m) => write!(f, "`{m}`"),
            Token::End => f.write_str("the end of the text"),
        }
    }
}

const MARKS: [&str; 13] = ["->", "(", ")", "{", "}", "[", "]", ",", ":", "=", "+", "-", "*"];

/// The tokens with their lines, counted from 1, the last one `End`.
///
/// # Errors
/// The line and what is wrong in it.
pub(crate) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, (usize, String)> {
    let mut out = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\n' => {
                line += 1;
                1
            }
            c if c.is_whitespace() => c.len_utf8(),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' => {
                let (text, length) = string(rest).map_err(|m| (line, m))?;
                out.push((line, Token::Text(text)));
                length
            }
            '%' => {
                let n = prefix(&rest[1..], |c| c.is_ascii_digit());
                let Ok(value) = n.parse() else { return Err((line, "expected a number after `%`".to_string())) };
                out.push((line, Token::Value(value)));
                1 + n.len()
            }
            c if c.is_ascii_digit() => {
                let n = number(rest);
                out.push((line, Token::Number(n.to_string())));
                n.len()
            }
            c if c.is_ascii_alphabetic() => {
                let word = prefix(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                out.push((line, Token::Word(word.to_string())));
                word.len()
            }
            c => match MARKS.into_iter().find(|m| rest.starts_with(m)) {
                Some(m) => {
                    out.push((line, Token::Mark(m)));
                    m.len()
                }
                None => return Err((line, format!("unexpected character {c:?}"))),
            },
        };
        rest = &rest[length..];
    }
    out.push((line, Token::End));
    Ok(out)
}

fn prefix(text: &str, fits: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !fits(c)).unwrap_or(text.len());
    &text[..end]
}

/// `12`, `1.5`, `1e-7`, `0x7fc00000`.
fn number(text: &str) -> &str {
    if let Some(digits) = text.strip_prefix("0x") {
        return &text[..2 + prefix(digits, |c| c.is_ascii_hexdigit()).len()];
    }
    let mut end = prefix(text, |c| c.is_ascii_digit()).len();
    if text[end..].starts_with('.') {
        end += 1 + prefix(&text[end + 1..], |c| c.is_ascii_digit()).len();
    }
    if text[end..].starts_with('e') {
        let sign = usize::from(text[end + 1..].starts_with(['-', '+']));
        end += 1 + sign + prefix(&text[end + 1 + sign..], |c| c.is_ascii_digit()).len();
    }
    &text[..end]
}

/// The string at the start of `text` and its length in bytes, quotes included. Escapes are Rust's.
fn string(text: &str) -> Result<(String, usize), String> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, at + 1)),
            '\n' => break,
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('r') => out.push('\r'),
                Some('0') => out.push('\0'),
                Some(c @ ('"' | '\'' | '\\')) => out.push(c),
                Some('u') => {
                    let hex: String =
                        chars.by_ref().map(|(_, c)| c).skip(1).take_while(|c| *c != '}').take(8).collect();
                    let code = u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32);
                    out.push(code.ok_or_else(|| format!("`\\u{{{hex}}}` is no character"))?);
                }
                _ => return Err("unknown escape in a string".to_string()),
            },
            c => out.push(c),
        }
    }
    Err("a string does not end in its line".to_string())
}
