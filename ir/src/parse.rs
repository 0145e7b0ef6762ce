//! The text form of a graph, read. The grammar stands in [`crate::text`]; every node goes through
//! [`Graph::add`], so text that breaks a type rule is refused, with its line.

use crate::attributes::{AttributeKind, AttributeValue, Schema, schema};
use crate::lex::{Token, tokens};
use crate::{Axes, DType, Dim, Graph, InputKind, LoopKind, Op, Scalar, Scan, Shape, Sym, Type, Value};
use std::collections::{HashMap, HashSet};
use std::str::FromStr;

/// Where the text stopped making sense, and what would fit there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
}

/// Graphs nested deeper than this are refused, so that no text can exhaust the stack.
const MAX_DEPTH: usize = 64;
/// Axes of one value; no text can make a rule or a loop nest of more.
const MAX_RANK: usize = 64;
/// Products of symbols in the number of elements of one value, multiplied out; sizes beyond it take long to compute.
const MAX_TERMS: usize = 1024;
/// Symbols in one product.
const MAX_DEGREE: usize = 16;
/// Symbols are numbered below this: a call holds a number for each.
const MAX_SYMBOLS: u32 = 1 << 16;
/// Numbers such as axes, steps and counts go up to here, so that sums and products of two need no care.
const MAX_NUMBER: usize = 1 << 31;

/// The graph that `text` prints. Value numbers may be any, as long as each is defined once and before its use.
///
/// # Errors
/// When the text does not follow the grammar or a type rule.
pub fn parse(text: &str) -> Result<Graph, ParseError> {
    let mut p = Parser::new(text)?;
    let graph = p.graph()?;
    p.end()?;
    Ok(graph)
}

impl FromStr for Graph {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Graph, ParseError> {
        parse(text)
    }
}

pub(crate) struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    depth: usize,
}

pub(crate) type Parsed<T> = Result<T, ParseError>;

/// The values defined so far, by their number.
type Scope = HashMap<u64, Value>;

/// What stands behind the operands of a node, by name.
#[derive(Default)]
pub(crate) struct Attributes {
    words: HashMap<&'static str, AttributeValue>,
    kind: Option<LoopKind>,
    body: Option<Graph>,
}

/// What a loop has beside its body and its `kind=`.
const FRAME: Schema = &[
    ("carries", AttributeKind::Number),
    ("xs", AttributeKind::Number),
    ("length", AttributeKind::Dim),
    ("reverse", AttributeKind::Flag),
];

impl Parser {
    pub(crate) fn new(text: &str) -> Parsed<Parser> {
        let tokens = tokens(text).map_err(|(line, message)| ParseError { line, message })?;
        Ok(Parser { tokens, at: 0, depth: 0 })
    }

    pub(crate) fn end(&self) -> Parsed<()> {
        match self.peek() {
            Token::End => Ok(()),
            _ => self.expected("the end of the text"),
        }
    }

    pub(crate) fn graph(&mut self) -> Parsed<Graph> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail(format!("graphs are nested deeper than {MAX_DEPTH}"));
        }
        let mut g = Graph::new();
        let mut scope = Scope::new();
        self.word("graph")?;
        self.mark("(")?;
        while !self.take(")") {
            if !g.is_empty() {
                self.mark(",")?;
            }
            let n = self.value_number("an input such as `%0: f32[2] \"x\"`")?;
            self.mark(":")?;
            let ty = self.ty()?;
            let (kind, name) = self.input()?;
            let value = g.input(ty, kind, name);
            self.define(&mut scope, n, value)?;
        }
        self.mark("{")?;
        while *self.peek() != Token::Word("return".to_string()) {
            self.node(&mut g, &mut scope)?;
        }
        self.word("return")?;
        while !self.take("}") {
            if !g.outputs().is_empty() {
                self.mark(",")?;
            }
            let value = self.operand(&scope)?;
            if !self.take("->") {
                g.output(value);
                continue;
            }
            let target = self.operand(&scope)?;
            match g.inputs().iter().position(|i| i.node == target.node) {
                Some(input) => g.update(input, value),
                None => return self.fail("the target of `->` must be an input".to_string()),
            }
        }
        self.depth -= 1;
        Ok(g)
    }

    /// One line: definitions, mnemonic, operands, attributes, body.
    fn node(&mut self, g: &mut Graph, scope: &mut Scope) -> Parsed<()> {
        let mut defs: Vec<(u64, Type)> = Vec::new();
        while matches!(self.peek(), Token::Value(_)) {
            let n = self.value_number("a value")?;
            self.mark(":")?;
            defs.push((n, self.ty()?));
            if !self.take(",") {
                self.mark("=")?;
                break;
            }
        }
        let Token::Word(name) = self.next() else { return self.expected_before("an operation or `return`") };
        let line = self.line();
        if name == "input" {
            let (kind, text) = self.input()?;
            let [(n, ty)] = defs.as_slice() else { return self.fail("an input defines one value".to_string()) };
            let value = g.input(ty.clone(), kind, text);
            return self.define(scope, *n, value);
        }
        let (op, operands) = self.operation(&name, &defs, scope)?;
        if let Op::Concat { .. } = op {
            let dims = operands.iter().flat_map(|v| &g.ty(*v).shape);
            let distinct: HashSet<Vec<Sym>> = dims.flat_map(|d| d.terms()).map(|(symbols, _)| symbols).collect();
            if distinct.len() > MAX_TERMS {
                return self.fail(format!("the sizes joined have more than {MAX_TERMS} terms"));
            }
        }
        let node = g.add(op, &operands).map_err(|e| ParseError { line, message: e.to_string() })?;
        let results = g.node(node).types.clone();
        if results.len() != defs.len() {
            return self.fail(format!("{name} has {} results, {} are defined", results.len(), defs.len()));
        }
        for (port, (found, (n, stated))) in results.iter().zip(defs).enumerate() {
            if *found != stated {
                return Err(ParseError {
                    line,
                    message: format!("%{n} is stated as {stated}, but {name} gives {found}"),
                });
            }
            self.define(scope, n, Value { node, port: port as u32 })?;
        }
        Ok(())
    }

    fn operation(&mut self, name: &str, defs: &[(u64, Type)], scope: &Scope) -> Parsed<(Op, Vec<Value>)> {
        let mut operands = Vec::new();
        while matches!(self.peek(), Token::Value(_)) {
            operands.push(self.operand(scope)?);
            if !self.take(",") {
                break;
            }
        }
        let dtype = if let [(_, ty)] = defs { Some(ty.dtype) } else { None };
        Ok((self.op_with_attributes(name, dtype)?, operands))
    }

    /// The operation of that name with what stands behind its operands; `dtype` is that of its one result.
    pub(crate) fn op_with_attributes(&mut self, name: &str, dtype: Option<DType>) -> Parsed<Op> {
        let Some(schema) = schema(name) else { return self.fail(format!("there is no operation `{name}`")) };
        let mut a = self.attributes(name, schema, dtype)?;
        let built = Op::build(name, |key, kind| match kind {
            AttributeKind::Flag => Ok(AttributeValue::Flag(a.words.remove(key).is_some())),
            AttributeKind::Loop => self.scan(&mut a).map(|s| AttributeValue::Loop(Box::new(s))),
            AttributeKind::Body => match a.body.take() {
                Some(body) => Ok(AttributeValue::Body(Box::new(body))),
                None => self.fail(format!("{name} needs a body")),
            },
            _ => match a.words.remove(key) {
                Some(value) => Ok(value),
                None => self.fail(format!("{name} needs {key}=")),
            },
        })?;
        match built {
            Some(_) if a.body.is_some() => self.fail(format!("{name} has no body")),
            Some(op) => Ok(op),
            None => self.fail(format!("there is no operation `{name}`")),
        }
    }

    fn scan(&self, a: &mut Attributes) -> Parsed<Scan> {
        macro_rules! word {
            ($key:literal, $kind:ident) => {
                match a.words.remove($key) {
                    Some(AttributeValue::$kind(x)) => x,
                    _ => return self.fail(format!("scan needs {}=", $key)),
                }
            };
        }
        let (carries, xs, length) = (word!("carries", Number), word!("xs", Number), word!("length", Dim));
        let reverse = a.words.remove("reverse").is_some();
        let Some(body) = a.body.take() else { return self.fail("scan needs a body".to_string()) };
        Ok(Scan { body, carries, xs, length, reverse, kind: a.kind.take().unwrap_or(LoopKind::All) })
    }

    fn attributes(&mut self, name: &str, schema: Schema, dtype: Option<DType>) -> Parsed<Attributes> {
        let mut out = Attributes::default();
        let is_loop = schema.iter().any(|(_, kind)| *kind == AttributeKind::Loop);
        let schema = if is_loop { FRAME } else { schema };
        for (key, kind) in schema {
            match kind {
                AttributeKind::Scalar => {
                    let Some(dtype) = dtype else { return self.fail(format!("{name} defines one value")) };
                    out.words.insert(key, AttributeValue::Scalar(self.literal(dtype)?));
                }
                AttributeKind::Size => _ = out.words.insert(key, AttributeValue::Size(self.dim()?)),
                AttributeKind::Text => {
                    let Token::Text(text) = self.next() else { return self.fail(format!("{name} needs {key}=")) };
                    out.words.insert(key, AttributeValue::Text(text.into()));
                }
                // Named, in any order.
                AttributeKind::Dim | AttributeKind::Shape | AttributeKind::Axis | AttributeKind::Axes => {}
                AttributeKind::Permutation | AttributeKind::Number | AttributeKind::Id | AttributeKind::Flag => {}
                AttributeKind::DType | AttributeKind::Loop | AttributeKind::Body => {}
            }
        }
        loop {
            if self.take("{") {
                out.body = Some(self.graph()?);
                self.mark("}")?;
                return Ok(out);
            }
            // A word that another token than `=` follows begins the next line, except for the flags.
            let Token::Word(word) = self.peek().clone() else { return Ok(out) };
            let known = schema.iter().find(|(key, _)| *key == word);
            if let Some((key, AttributeKind::Flag)) = known {
                self.next();
                out.words.insert(key, AttributeValue::Flag(true));
                continue;
            }
            if self.tokens.get(self.at + 1).map(|t| &t.1) != Some(&Token::Mark("=")) {
                return Ok(out);
            }
            self.next();
            self.mark("=")?;
            // Version 1 of the saved form wrote `trip=`.
            if is_loop && (word == "kind" || word == "trip") {
                out.kind = Some(self.kind()?);
                continue;
            }
            let Some((key, kind)) = known else { return self.fail(format!("{name} has no attribute {word}")) };
            let value = match kind {
                AttributeKind::Dim => AttributeValue::Dim(self.dim()?),
                AttributeKind::Shape => AttributeValue::Shape(self.dims()?),
                AttributeKind::Axis => AttributeValue::Axis(self.number()?),
                AttributeKind::Axes => AttributeValue::Axes(self.numbers()?),
                AttributeKind::Permutation => AttributeValue::Permutation(self.numbers()?),
                AttributeKind::Number => AttributeValue::Number(self.number()?),
                AttributeKind::Id => match u32::try_from(self.number()?) {
                    Ok(n) => AttributeValue::Id(n),
                    Err(_) => return self.fail(format!("{key} must fit into 32 bits")),
                },
                AttributeKind::DType => AttributeValue::DType(self.dtype()?),
                AttributeKind::Scalar | AttributeKind::Size | AttributeKind::Text | AttributeKind::Flag => {
                    return self.fail(format!("{name} has no attribute {word}="));
                }
                AttributeKind::Loop | AttributeKind::Body => {
                    return self.fail(format!("{name} has no attribute {word}="));
                }
            };
            out.words.insert(key, value);
        }
    }

    fn kind(&mut self) -> Parsed<LoopKind> {
        let word = self.next();
        match LoopKind::ALL.iter().find(|t| word == Token::Word(t.name().to_string())) {
            Some(kind) => Ok(*kind),
            None => self.expected_before("all, count, while or within"),
        }
    }

    fn input(&mut self) -> Parsed<(InputKind, String)> {
        let state = *self.peek() == Token::Word("state".to_string());
        if state {
            self.next();
        }
        match self.next() {
            Token::Text(name) => Ok((if state { InputKind::State } else { InputKind::Arg }, name)),
            _ => self.expected_before("`state` or the input's name in quotes"),
        }
    }

    pub(crate) fn ty(&mut self) -> Parsed<Type> {
        Ok(Type { dtype: self.dtype()?, shape: self.dims()? })
    }

    pub(crate) fn dtype(&mut self) -> Parsed<DType> {
        let word = self.next();
        let dtype = if let Token::Word(w) = &word { DType::from_name(w) } else { None };
        match dtype {
            Some(d) => Ok(d),
            None => self.expected_before("a dtype such as bool, i64 or f32"),
        }
    }

    pub(crate) fn dims(&mut self) -> Parsed<Shape> {
        self.mark("[")?;
        let mut out = Shape::new();
        while !self.take("]") {
            if !out.is_empty() {
                self.mark(",")?;
            }
            out.push(self.dim()?);
        }
        if out.len() > MAX_RANK {
            return self.fail(format!("a value has {} axes, at most {MAX_RANK} can be read", out.len()));
        }
        let terms = out.iter().map(|d| d.terms().len().max(1)).fold(1usize, usize::saturating_mul);
        match terms > MAX_TERMS {
            true => self.fail(format!("these sizes multiply out to {terms} terms, at most {MAX_TERMS} can be read")),
            false => Ok(out),
        }
    }

    pub(crate) fn dim(&mut self) -> Parsed<Dim> {
        let mut terms = Vec::new();
        let mut sign = if self.take("-") { -1 } else { 1 };
        loop {
            let (mut symbols, mut factor) = (Vec::new(), sign);
            loop {
                match self.next() {
                    Token::Number(n) => match n.parse::<i64>().ok().and_then(|n| n.checked_mul(factor)) {
                        Some(n) => factor = n,
                        None => return self.expected_before("a whole number that fits 64 bits"),
                    },
                    Token::Word(w) => match w.strip_prefix('s').and_then(|n| n.parse().ok()) {
                        Some(n) if n >= MAX_SYMBOLS || symbols.len() == MAX_DEGREE => {
                            return self.fail(format!(
                                "symbols are numbered below {MAX_SYMBOLS}, and at most {MAX_DEGREE} stand in one product"
                            ));
                        }
                        Some(n) => symbols.push(Sym(n)),
                        None => return self.expected_before("a symbol such as `s0`"),
                    },
                    _ => return self.expected_before("a dimension such as `3` or `2*s0+1`"),
                }
                if !self.take("*") {
                    break;
                }
            }
            terms.push((symbols, factor));
            if terms.len() > MAX_TERMS {
                return self.fail(format!("a size has more than {MAX_TERMS} terms"));
            }
            sign = match self.peek() {
                Token::Mark("+") => 1,
                Token::Mark("-") => -1,
                _ => return Ok(Dim::from_terms(terms)),
            };
            self.next();
        }
    }

    fn numbers(&mut self) -> Parsed<Axes> {
        self.mark("[")?;
        let mut out = Axes::new();
        while !self.take("]") {
            if !out.is_empty() {
                self.mark(",")?;
            }
            out.push(self.number()?);
        }
        Ok(out)
    }

    pub(crate) fn number(&mut self) -> Parsed<usize> {
        let token = self.next();
        let number = if let Token::Number(n) = &token { n.parse().ok() } else { None };
        match number.filter(|n| *n <= MAX_NUMBER) {
            Some(n) => Ok(n),
            None => self.expected_before(&format!("a number up to {MAX_NUMBER}")),
        }
    }

    pub(crate) fn literal(&mut self, dtype: DType) -> Parsed<Scalar> {
        let sign = if self.take("-") { "-" } else { "" };
        let token = self.next();
        let word = match &token {
            Token::Word(w) if w == "nan" && sign.is_empty() => return self.nan(dtype),
            Token::Word(w) | Token::Number(w) => format!("{sign}{w}"),
            _ => String::new(),
        };
        let parsed = match dtype {
            DType::Bool => word.parse().ok().map(Scalar::Bool),
            DType::U8 => word.parse().ok().map(Scalar::U8),
            DType::I32 => word.parse().ok().map(Scalar::I32),
            DType::I64 => word.parse().ok().map(Scalar::I64),
            DType::F16 => word.parse().ok().map(|x| Scalar::F16(half::f16::from_f32(x))),
            DType::BF16 => word.parse().ok().map(|x| Scalar::BF16(half::bf16::from_f32(x))),
            DType::F32 => word.parse().ok().map(Scalar::F32),
            DType::F64 => word.parse().ok().map(Scalar::F64),
        };
        match parsed {
            Some(s) => Ok(s),
            None => self.expected_before(&format!("a constant of {dtype}")),
        }
    }

    /// The bits of a NaN, after the word `nan`.
    fn nan(&mut self, dtype: DType) -> Parsed<Scalar> {
        self.mark("(")?;
        let token = self.next();
        let digits = if let Token::Number(n) = &token { n.strip_prefix("0x") } else { None };
        let Some(bits) = digits.and_then(|d| u64::from_str_radix(d, 16).ok()) else {
            return self.expected_before("the bits of a NaN, such as 0x7fc00000");
        };
        let scalar = match dtype {
            DType::F32 => u32::try_from(bits).ok().map(f32::from_bits).filter(|x| x.is_nan()).map(Scalar::F32),
            DType::F64 => Some(f64::from_bits(bits)).filter(|x| x.is_nan()).map(Scalar::F64),
            DType::F16 => u16::try_from(bits).ok().map(half::f16::from_bits).filter(|x| x.is_nan()).map(Scalar::F16),
            DType::BF16 => u16::try_from(bits).ok().map(half::bf16::from_bits).filter(|x| x.is_nan()).map(Scalar::BF16),
            DType::Bool | DType::U8 | DType::I32 | DType::I64 => None,
        };
        let Some(scalar) = scalar else { return self.fail(format!("{bits:#x} is not a NaN of {dtype}")) };
        self.mark(")")?;
        Ok(scalar)
    }

    fn operand(&mut self, scope: &Scope) -> Parsed<Value> {
        let n = self.value_number("a value such as `%0`")?;
        match scope.get(&n) {
            Some(v) => Ok(*v),
            None => self.fail(format!("%{n} is not defined above")),
        }
    }

    fn define(&self, scope: &mut Scope, n: u64, value: Value) -> Parsed<()> {
        match scope.insert(n, value) {
            None => Ok(()),
            Some(_) => self.fail(format!("%{n} is defined twice")),
        }
    }

    fn value_number(&mut self, what: &str) -> Parsed<u64> {
        match self.next() {
            Token::Value(n) => Ok(n),
            _ => self.expected_before(what),
        }
    }

    pub(crate) fn word(&mut self, word: &str) -> Parsed<()> {
        if self.next() == Token::Word(word.to_string()) { Ok(()) } else { self.expected_before(&format!("`{word}`")) }
    }

    pub(crate) fn mark(&mut self, mark: &str) -> Parsed<()> {
        if self.take(mark) { Ok(()) } else { self.expected(&format!("`{mark}`")) }
    }

    pub(crate) fn take(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Token::Mark(m) if *m == mark);
        self.at += found as usize;
        found
    }

    pub(crate) fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)].1
    }

    pub(crate) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    /// The line of the token that was taken last.
    pub(crate) fn line(&self) -> usize {
        self.tokens[self.at.saturating_sub(1).min(self.tokens.len() - 1)].0
    }

    pub(crate) fn fail<T>(&self, message: String) -> Parsed<T> {
        Err(ParseError { line: self.line(), message })
    }

    /// The next token is not what fits.
    pub(crate) fn expected<T>(&self, what: &str) -> Parsed<T> {
        let (line, token) = &self.tokens[self.at.min(self.tokens.len() - 1)];
        Err(ParseError { line: *line, message: format!("expected {what}, found {token}") })
    }

    /// The token just taken is not what fits.
    pub(crate) fn expected_before<T>(&mut self, what: &str) -> Parsed<T> {
        self.at = self.at.saturating_sub(1);
        self.expected(what)
    }
}
