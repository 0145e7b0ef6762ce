//! The syntax of the math files: a small subset of Rust, by recursive descent. What is outside of it is an error that
//! names the line. Never knows of types beyond their names.

use super::lex::{Placed, Token, tokens};
use super::unsupported::Unsupported;

#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    Bool,
    I32,
    I64,
    U16,
    U32,
    U64,
    Usize,
    F32,
    F64,
    Tuple(Vec<Type>),
    /// Elements of one type, as many as the number says.
    Array(Box<Type>, usize),
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: Kind,
    pub line: usize,
}

#[derive(Clone, Debug)]
pub enum Kind {
    /// As it stands in the source, with its suffix.
    Number(String),
    Bool(bool),
    Path(Vec<String>),
    Negative(Box<Expr>),
    Not(Box<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Cast(Box<Expr>, Type),
    Call(Vec<String>, Vec<Expr>),
    Method(Box<Expr>, String, Vec<Expr>),
    Index(Box<Expr>, Box<Expr>),
    If(Box<Expr>, Block, Block),
    Tuple(Vec<Expr>),
    Array(Vec<Expr>),
}

#[derive(Clone, Debug)]
pub enum Pattern {
    Name(String),
    Tuple(Vec<Pattern>),
}

#[derive(Clone, Debug)]
pub enum Statement {
    Let { pattern: Pattern, ty: Option<Type>, value: Expr },
    Const(Const),
    Assign { name: String, value: Expr, line: usize },
    While { condition: Expr, body: Block },
    If { condition: Expr, then: Block, otherwise: Option<Block> },
}

/// Statements, and the value that the block has, where it has one.
#[derive(Clone, Debug)]
pub struct Block {
    pub statements: Vec<Statement>,
    pub value: Option<Box<Expr>>,
}

#[derive(Clone, Debug)]
pub struct Const {
    pub name: String,
    pub ty: Type,
    pub value: Expr,
}

#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub parameters: Vec<(String, Type)>,
    pub result: Type,
    pub body: Block,
    pub line: usize,
}

/// A name that the file uses, and where it is from: `use super::wide` is `wide`, of the path `wide`.
#[derive(Clone, Debug)]
pub struct Import {
    pub name: String,
    pub path: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Module {
    pub name: String,
    pub imports: Vec<Import>,
    pub consts: Vec<Const>,
    pub functions: Vec<Function>,
}

/// Reads a file.
pub fn module(name: &str, text: &str) -> Result<Module, Unsupported> {
    let mut parser = Parser { file: name, tokens: tokens(name, text)?, at: 0 };
    let mut module = Module { name: name.to_owned(), ..Module::default() };
    while parser.at < parser.tokens.len() {
        parser.item(&mut module)?;
    }
    Ok(module)
}

/// From what binds least. Comparisons stand alone in Rust; here they are only ever written so.
const LEVELS: [&[&str]; 9] = [
    &["||"],
    &["&&"],
    &["==", "!=", "<", ">", "<=", ">="],
    &["|"],
    &["^"],
    &["&"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "%"],
];

struct Parser<'a> {
    file: &'a str,
    tokens: Vec<Placed>,
    at: usize,
}

impl Parser<'_> {
    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0, |t| t.line)
    }

    fn error<T>(&self, what: &str) -> Result<T, Unsupported> {
        let found = self.tokens.get(self.at).map_or("the end".to_owned(), |t| format!("{:?}", t.token));
        Err(Unsupported { file: self.file.to_owned(), line: self.line(), message: format!("{what}, at {found}") })
    }

    fn peek(&self, mark: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Placed { token: Token::Mark(m), .. }) if *m == mark)
    }

    fn peek_word(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.at), Some(Placed { token: Token::Word(w), .. }) if w == word)
    }

    fn take(&mut self, mark: &str) -> bool {
        let found = self.peek(mark);
        self.at += found as usize;
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek_word(word);
        self.at += found as usize;
        found
    }

    fn expect(&mut self, mark: &str) -> Result<(), Unsupported> {
        if self.take(mark) { Ok(()) } else { self.error(&format!("`{mark}` expected")) }
    }

    fn word(&mut self) -> Result<String, Unsupported> {
        match self.tokens.get(self.at) {
            Some(Placed { token: Token::Word(word), .. }) => {
                let word = word.clone();
                self.at += 1;
                Ok(word)
            }
            _ => self.error("a name expected"),
        }
    }

    /// What `one` reads, separated by commas, until `end`.
    fn list<T>(&mut self, end: &str, one: impl Fn(&mut Self) -> Result<T, Unsupported>) -> Result<Vec<T>, Unsupported> {
        let mut all = vec![];
        while !self.take(end) {
            all.push(one(self)?);
            if !self.take(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(all)
    }

    fn item(&mut self, module: &mut Module) -> Result<(), Unsupported> {
        if self.take_word("pub") && self.take("(") {
            self.word()?;
            self.expect(")")?;
        }
        if self.take_word("use") {
            let mut path = vec![];
            self.import(&mut path, &mut module.imports)?;
            return self.expect(";");
        }
        if self.take_word("const") {
            let found = self.constant()?;
            module.consts.push(found);
            return Ok(());
        }
        if !self.peek_word("fn") {
            return self.error("`use`, `const` or `fn` expected");
        }
        let line = self.line();
        self.at += 1;
        let name = self.word()?;
        self.expect("(")?;
        let parameters = self.list(")", |p| {
            let name = p.word()?;
            p.expect(":")?;
            Ok((name, p.ty()?))
        })?;
        self.expect("->")?;
        let result = self.ty()?;
        let body = self.block()?;
        module.functions.push(Function { name, parameters, result, body, line });
        Ok(())
    }

    fn import(&mut self, path: &mut Vec<String>, found: &mut Vec<Import>) -> Result<(), Unsupported> {
        if self.take("{") {
            while !self.take("}") {
                self.import(&mut path.clone(), found)?;
                self.take(",");
            }
            return Ok(());
        }
        let name = self.word()?;
        if name != "super" {
            path.push(name.clone());
        }
        if self.take("::") {
            return self.import(path, found);
        }
        if name == "self" {
            path.pop();
        }
        let name = path.last().cloned().unwrap_or_default();
        found.push(Import { name, path: path.clone() });
        Ok(())
    }

    fn constant(&mut self) -> Result<Const, Unsupported> {
        let name = self.word()?;
        self.expect(":")?;
        let ty = self.ty()?;
        self.expect("=")?;
        let value = self.expr()?;
        self.expect(";")?;
        Ok(Const { name, ty, value })
    }

    fn ty(&mut self) -> Result<Type, Unsupported> {
        if self.take("(") {
            return Ok(Type::Tuple(self.list(")", Self::ty)?));
        }
        if self.take("[") {
            let element = self.ty()?;
            self.expect(";")?;
            let Some(Placed { token: Token::Number(n), .. }) = self.tokens.get(self.at) else {
                return self.error("a length expected");
            };
            let Ok(n) = n.parse() else { return self.error("a length expected") };
            self.at += 1;
            self.expect("]")?;
            return Ok(Type::Array(Box::new(element), n));
        }
        let name = self.word()?;
        Ok(match name.as_str() {
            "bool" => Type::Bool,
            "i32" => Type::I32,
            "i64" => Type::I64,
            "u16" => Type::U16,
            "u32" => Type::U32,
            "u64" => Type::U64,
            "usize" => Type::Usize,
            "f32" => Type::F32,
            "f64" => Type::F64,
            _ => return self.error(&format!("the type `{name}`")),
        })
    }

    fn pattern(&mut self) -> Result<Pattern, Unsupported> {
        if self.take("(") {
            return Ok(Pattern::Tuple(self.list(")", Self::pattern)?));
        }
        self.take_word("mut");
        Ok(Pattern::Name(self.word()?))
    }

    fn block(&mut self) -> Result<Block, Unsupported> {
        self.expect("{")?;
        let mut statements = vec![];
        loop {
            if self.take("}") {
                return Ok(Block { statements, value: None });
            }
            if self.take_word("const") {
                statements.push(Statement::Const(self.constant()?));
                continue;
            }
            if self.take_word("let") {
                let pattern = self.pattern()?;
                let ty = if self.take(":") { Some(self.ty()?) } else { None };
                self.expect("=")?;
                let value = self.expr()?;
                self.expect(";")?;
                statements.push(Statement::Let { pattern, ty, value });
                continue;
            }
            if self.take_word("while") {
                let condition = self.expr()?;
                let body = self.block()?;
                statements.push(Statement::While { condition, body });
                continue;
            }
            let line = self.line();
            let value = self.expr()?;
            if self.take("=") {
                let Kind::Path(path) = value.kind else { return self.error("only a variable is assigned to") };
                let [name] = path.as_slice() else { return self.error("only a variable is assigned to") };
                let value = self.expr()?;
                self.expect(";")?;
                statements.push(Statement::Assign { name: name.clone(), value, line });
                continue;
            }
            if self.take("}") {
                return Ok(Block { statements, value: Some(Box::new(value)) });
            }
            match value.kind {
                Kind::If(condition, then, otherwise) if then.value.is_none() => {
                    let otherwise = (!otherwise.statements.is_empty()).then_some(otherwise);
                    statements.push(Statement::If { condition: *condition, then, otherwise });
                }
                _ => return self.error("a value that nothing takes"),
            }
        }
    }

    fn expr(&mut self) -> Result<Expr, Unsupported> {
        self.level(0)
    }

    fn level(&mut self, level: usize) -> Result<Expr, Unsupported> {
        let Some(marks) = LEVELS.get(level) else { return self.cast() };
        let mut left = self.level(level + 1)?;
        while let Some(mark) = marks.iter().copied().find(|mark| self.peek(mark)) {
            let line = self.line();
            self.at += 1;
            let right = self.level(level + 1)?;
            left = Expr { kind: Kind::Binary(mark, Box::new(left), Box::new(right)), line };
        }
        Ok(left)
    }

    fn cast(&mut self) -> Result<Expr, Unsupported> {
        let mut value = self.unary()?;
        while self.peek_word("as") {
            let line = self.line();
            self.at += 1;
            let ty = self.ty()?;
            value = Expr { kind: Kind::Cast(Box::new(value), ty), line };
        }
        Ok(value)
    }

    fn unary(&mut self) -> Result<Expr, Unsupported> {
        let line = self.line();
        if self.take("-") {
            return Ok(Expr { kind: Kind::Negative(Box::new(self.unary()?)), line });
        }
        if self.take("!") {
            return Ok(Expr { kind: Kind::Not(Box::new(self.unary()?)), line });
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Result<Expr, Unsupported> {
        let mut value = self.primary()?;
        loop {
            let line = self.line();
            if self.take(".") {
                let name = self.word()?;
                self.expect("(")?;
                let arguments = self.list(")", Self::expr)?;
                value = Expr { kind: Kind::Method(Box::new(value), name, arguments), line };
            } else if self.take("[") {
                let index = self.expr()?;
                self.expect("]")?;
                value = Expr { kind: Kind::Index(Box::new(value), Box::new(index)), line };
            } else {
                return Ok(value);
            }
        }
    }

    fn primary(&mut self) -> Result<Expr, Unsupported> {
        let line = self.line();
        let kind = if self.take("(") {
            let mut all = self.list(")", Self::expr)?;
            // `(x)` is x, and the subset has no tuple of one.
            if all.len() == 1 {
                return Ok(all.remove(0));
            }
            Kind::Tuple(all)
        } else if self.take("[") {
            Kind::Array(self.list("]", Self::expr)?)
        } else if self.take_word("if") {
            let condition = self.expr()?;
            let then = self.block()?;
            let otherwise = if !self.take_word("else") {
                Block { statements: vec![], value: None }
            } else if self.peek_word("if") {
                Block { statements: vec![], value: Some(Box::new(self.primary()?)) }
            } else {
                self.block()?
            };
            Kind::If(Box::new(condition), then, otherwise)
        } else if self.take_word("true") {
            Kind::Bool(true)
        } else if self.take_word("false") {
            Kind::Bool(false)
        } else if let Some(Placed { token: Token::Number(number), .. }) = self.tokens.get(self.at) {
            let number = number.clone();
            self.at += 1;
            Kind::Number(number)
        } else {
            let mut path = vec![self.word()?];
            while self.take("::") {
                path.push(self.word()?);
            }
            if self.take("(") { Kind::Call(path, self.list(")", Self::expr)?) } else { Kind::Path(path) }
        };
        Ok(Expr { kind, line })
    }
}
