//! One Rust file as this test sees it: its tokens without comments, strings and `#[cfg(test)]` items, and from these its
//! imports, the paths that it names in place, and whether it says `unsafe`. It knows no other file.

/// A token; everything that no path is made of is a character.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Ident(String),
    PathSep,
    Char(char),
}

/// A path as written: `crate::a::b`, `super::c`, `a::b`.
pub type Path = Vec<String>;

/// One leaf of a `use` declaration.
#[derive(Clone, Debug)]
pub struct Import {
    /// The inline modules of the file around it, outermost first.
    pub scope: Path,
    pub path: Path,
    /// The name in this module; `None` for `*`.
    pub alias: Option<String>,
    /// `pub use` in any visibility: a façade for others.
    pub public: bool,
}

/// A path that code names in place.
#[derive(Clone, Debug)]
pub struct Mention {
    pub scope: Path,
    pub path: Path,
}

#[derive(Clone, Debug, Default)]
pub struct Source {
    pub imports: Vec<Import>,
    pub mentions: Vec<Mention>,
    /// Inline modules, each with its path within the file.
    pub modules: Vec<Path>,
    /// Files that are declared for tests only.
    pub test_modules: Vec<Path>,
    pub has_unsafe: bool,
    pub begins_with_doc: bool,
    pub lines: usize,
    /// Lines with code on them: neither blank nor comment only.
    pub code_lines: usize,
}

impl Source {
    pub fn read(text: &str) -> Source {
        let (tokens, code_lines) = tokenize(text);
        let mut source = Source {
            begins_with_doc: text.starts_with("//!"),
            lines: text.lines().count(),
            code_lines,
            has_unsafe: tokens.iter().any(|t| is(t, "unsafe")),
            ..Source::default()
        };
        Reader { tokens: &tokens, at: 0, source: &mut source }.items(&[]);
        source
    }
}

fn is(token: &Token, word: &str) -> bool {
    matches!(token, Token::Ident(name) if name == word)
}

/// The tokens of a file, and on how many lines they stand.
fn tokenize(text: &str) -> (Vec<Token>, usize) {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 0);
    let mut lines_with_code = std::collections::BTreeSet::new();
    let peek = |at: usize| chars.get(at).copied().unwrap_or('\0');
    while at < chars.len() {
        let c = chars[at];
        let start = at;
        if c == '/' && peek(at + 1) == '/' {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
            continue;
        }
        if c == '/' && peek(at + 1) == '*' {
            let mut depth = 0;
            while at < chars.len() {
                match (chars[at], peek(at + 1)) {
                    ('/', '*') => (depth, at) = (depth + 1, at + 2),
                    ('*', '/') => (depth, at) = (depth - 1, at + 2),
                    _ => at += 1,
                }
                if depth == 0 {
                    break;
                }
            }
            line += chars[start..at].iter().filter(|c| **c == '\n').count();
            continue;
        }
        if c.is_whitespace() {
            line += usize::from(c == '\n');
            at += 1;
            continue;
        }
        lines_with_code.insert(line);
        let prefix = chars[at..].iter().take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
        let hashes = chars[at + prefix..].iter().take_while(|c| **c == '#').count();
        let raw = prefix > 0 && chars[at + prefix - 1] == 'r' && peek(at + prefix + hashes) == '"';
        if raw {
            let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let end: Vec<char> = end.chars().collect();
            at += prefix + hashes + 1;
            while at < chars.len() && !chars[at..].starts_with(&end) {
                at += 1;
            }
            at += end.len();
        } else if c == '"' || (prefix == 1 && hashes == 0 && peek(at + 1) == '"') {
            at += prefix + 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c == '\'' {
            if peek(at + 1) == '\\' {
                at += 3;
                while at < chars.len() && chars[at] != '\'' {
                    at += 1;
                }
                at += 1;
            } else if peek(at + 2) == '\'' {
                at += 3;
            } else {
                at += 1; // a lifetime: its name follows as an identifier
            }
            tokens.push(Token::Char('\''));
        } else if c.is_alphanumeric() || c == '_' {
            while at < chars.len() && (chars[at].is_alphanumeric() || chars[at] == '_') {
                at += 1;
            }
            tokens.push(Token::Ident(chars[start..at].iter().collect()));
        } else if c == ':' && peek(at + 1) == ':' {
            at += 2;
            tokens.push(Token::PathSep);
        } else {
            at += 1;
            tokens.push(Token::Char(c));
        }
        let at = at.min(chars.len());
        for c in &chars[start..at] {
            if *c == '\n' {
                line += 1;
                lines_with_code.insert(line);
            }
        }
    }
    (tokens, lines_with_code.len())
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    source: &'a mut Source,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    fn at_char(&self, c: char) -> bool {
        self.peek(0) == Some(&Token::Char(c))
    }

    fn ident(&self, ahead: usize) -> Option<&str> {
        match self.peek(ahead) {
            Some(Token::Ident(name)) => Some(name),
            _ => None,
        }
    }

    /// Reads up to the brace that closes this module, or to the end of the file.
    fn items(&mut self, scope: &[String]) {
        let mut depth = 0;
        let mut public = false;
        while let Some(token) = self.peek(0).cloned() {
            match token {
                Token::Char('#') if self.is_test_attribute() => self.skip_test_item(scope),
                Token::Char('{') => (depth, self.at) = (depth + 1, self.at + 1),
                Token::Char('}') => {
                    self.at += 1;
                    if depth == 0 {
                        return;
                    }
                    depth -= 1;
                }
                Token::Ident(word) if word == "pub" => {
                    public = true;
                    self.at += 1;
                    if self.at_char('(') {
                        self.skip_group('(', ')');
                    }
                    continue;
                }
                Token::Ident(word) if word == "use" && !self.follows_a_generic_bound() => {
                    self.at += 1;
                    self.use_tree(scope, &[], public);
                }
                Token::Ident(word) if word == "mod" && self.ident(1).is_some() => {
                    let inner: Path = [scope, &[self.ident(1).unwrap_or_default().to_string()]].concat();
                    self.at += 2;
                    if self.at_char('{') {
                        self.at += 1;
                        self.source.modules.push(inner.clone());
                        self.items(&inner);
                    }
                }
                Token::Ident(_) => self.mention(scope),
                Token::PathSep | Token::Char(_) => self.at += 1,
            }
            public = false;
        }
    }

    /// `impl Trait + use<'a>` is a bound, no import.
    fn follows_a_generic_bound(&self) -> bool {
        self.peek(1) == Some(&Token::Char('<'))
    }

    /// At `#[cfg(test)]`.
    fn is_test_attribute(&self) -> bool {
        let wanted = ["[", "cfg", "(", "test", ")", "]"];
        wanted.iter().enumerate().all(|(i, want)| match self.peek(i + 1) {
            Some(Token::Ident(name)) => name == want,
            Some(Token::Char(c)) => want.chars().eq([*c]),
            _ => false,
        })
    }

    fn skip_test_item(&mut self, scope: &[String]) {
        while self.at_char('#') {
            self.at += 1;
            self.skip_group('[', ']');
        }
        if self.ident(0) == Some("mod")
            && let Some(name) = self.ident(1)
        {
            let name = name.to_string();
            self.source.test_modules.push([scope, &[name]].concat());
        }
        let is_use = self.ident(0) == Some("use");
        while let Some(token) = self.peek(0) {
            if *token == Token::Char(';') {
                self.at += 1;
                return;
            }
            if *token == Token::Char('{') && !is_use {
                self.skip_group('{', '}');
                return;
            }
            self.at += 1;
        }
    }

    fn skip_group(&mut self, open: char, close: char) {
        let mut depth = 0;
        while let Some(token) = self.peek(0) {
            if *token == Token::Char(open) {
                depth += 1;
            } else if *token == Token::Char(close) {
                depth -= 1;
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }

    /// A use tree behind `prefix`; stops after its last token.
    fn use_tree(&mut self, scope: &[String], prefix: &[String], public: bool) {
        let mut path = prefix.to_vec();
        loop {
            if self.at_char('{') {
                self.at += 1;
                while !self.at_char('}') && self.peek(0).is_some() {
                    self.use_tree(scope, &path, public);
                    if self.at_char(',') {
                        self.at += 1;
                    }
                }
                self.at += 1;
                return;
            }
            if self.at_char('*') {
                self.at += 1;
                self.source.imports.push(Import { scope: scope.to_vec(), path, alias: None, public });
                return;
            }
            let Some(name) = self.ident(0).map(String::from) else {
                self.at += 1; // a leading `::`
                if self.peek(0).is_none() {
                    return;
                }
                continue;
            };
            self.at += 1;
            if name != "self" || path.is_empty() {
                path.push(name);
            }
            if self.peek(0) == Some(&Token::PathSep) {
                self.at += 1;
                continue;
            }
            let mut alias = path.last().cloned();
            if self.ident(0) == Some("as") {
                alias = self.ident(1).map(String::from);
                self.at += 2;
            }
            self.source.imports.push(Import { scope: scope.to_vec(), path, alias, public });
            return;
        }
    }

    /// A path of two names or more, anywhere in code.
    fn mention(&mut self, scope: &[String]) {
        let behind = self.at.checked_sub(1).map(|i| &self.tokens[i]);
        let is_method = behind == Some(&Token::Char('.'));
        let is_global = behind == Some(&Token::PathSep);
        let mut path = Path::new();
        while let Some(name) = self.ident(0) {
            path.push(name.to_string());
            self.at += 1;
            if self.peek(0) != Some(&Token::PathSep) || self.ident(1).is_none() {
                break;
            }
            self.at += 1;
        }
        if path.len() > 1 && !is_method && !is_global {
            self.source.mentions.push(Mention { scope: scope.to_vec(), path });
        }
    }
}
