//! The text form of a saved function, read. The grammar stands at the head of `text.rs`; what it means together is
//! judged by [`super::check()`].

use super::{
    Argument, Distribution, Draw, FollowRule, Followed, Follows, Generator, Guard, HistoryAfter, LaidOut, LaidOutAs,
    Layout, Lies, Order, OrderOf, OrderStep, Place, Program, Returned, Source, Target, Tensor, VERSION, Variant,
};
use crate::lex::Token;
use crate::parse::{Parsed, Parser};
use crate::{Class, DType, ParseError, Scalar};
use std::collections::HashMap;

/// Loops of draws nested deeper than this are refused.
const MAX_DEPTH: usize = 64;

/// The saved function that `text` prints.
///
/// # Errors
/// When the version is newer than this library, or the text does not follow the grammar or a type rule, with its line.
pub fn parse(text: &str) -> Result<Program, ParseError> {
    // The version comes first: a newer text may have tokens of its own.
    let first = text.lines().map(|l| l.split('#').next().unwrap_or("").trim()).enumerate().find(|(_, l)| !l.is_empty());
    let (line, header) = first.map_or((1, ""), |(i, l)| (i + 1, l));
    let fail = |message: String| Err(ParseError { line, message });
    let version = match header.strip_prefix("allotrope").map(|v| v.trim().parse::<u32>()) {
        Some(Ok(version)) => version,
        _ => return fail("a saved graph begins with `allotrope` and the version of its text form".to_string()),
    };
    if version == 0 || version > VERSION {
        return fail(format!(
            "this is version {version} of the text form, written by a newer allotrope; this one reads versions 1 to {VERSION}"
        ));
    }
    let mut r = Reader { p: Parser::new(text)?, program: Program::default(), names: HashMap::new(), grads: Vec::new() };
    r.p.word("allotrope")?;
    r.p.number()?;
    r.program()?;
    r.p.end()?;
    r.grads()?;
    Ok(r.program)
}

struct Reader {
    p: Parser,
    program: Program,
    /// Places of the tensors by name.
    names: HashMap<String, usize>,
    /// Tensor, name of its gradient and line: a gradient may stand below.
    grads: Vec<(usize, String, usize)>,
}

impl Reader {
    fn program(&mut self) -> Parsed<()> {
        loop {
            let Token::Word(word) = self.p.peek().clone() else { return Ok(()) };
            self.p.next();
            match word.as_str() {
                "tensor" => self.tensor()?,
                "generator" => {
                    let name = self.text()?;
                    self.program.generators.push(name);
                }
                "flag" => {
                    let flag = (self.text()?, self.truth()?);
                    self.program.flags.push(flag);
                }
                "variant" => {
                    // Variants name tensors, which all stand above.
                    let v = self.variant()?;
                    self.program.variants.push(v);
                }
                _ => return self.p.expected_before("`tensor`, `generator`, `flag` or `variant`"),
            }
        }
    }

    fn grads(&mut self) -> Parsed<()> {
        for (of, name, line) in std::mem::take(&mut self.grads) {
            match self.names.get(&name) {
                Some(&grad) => self.program.tensors[of].grad = Some(grad),
                None => return Err(ParseError { line, message: format!("there is no tensor {name:?}") }),
            }
        }
        Ok(())
    }

    fn tensor(&mut self) -> Parsed<()> {
        let name = self.text()?;
        self.p.mark(":")?;
        let ty = self.p.ty()?;
        let Some(shape) = ty.shape.iter().map(|d| d.as_fixed()).collect() else {
            return self.p.fail(format!("tensor {name:?} has the type {ty}; its sizes must be numbers"));
        };
        let i = self.program.tensors.len();
        if self.names.insert(name.clone(), i).is_some() {
            return self.p.fail(format!("there are two tensors {name:?}"));
        }
        let requires_grad = self.has("requires_grad");
        let history = self.has("history");
        if self.has("grad") {
            let grad = self.text()?;
            self.grads.push((i, grad, self.p.line()));
        }
        let layout = if self.has("strides") { Some(self.layout()?) } else { None };
        self.program.tensors.push(Tensor { name, dtype: ty.dtype, shape, requires_grad, history, grad: None, layout });
        Ok(())
    }

    fn layout(&mut self) -> Parsed<Layout> {
        let strides = self.strides()?;
        let shared = if self.has("in") {
            let memory = self.text()?;
            self.p.word("offset")?;
            Some((memory, self.whole()?))
        } else {
            None
        };
        Ok(Layout { strides, shared })
    }

    fn strides(&mut self) -> Parsed<Vec<isize>> {
        self.p.mark("[")?;
        let mut strides = Vec::new();
        while !self.p.take("]") {
            if !strides.is_empty() {
                self.p.mark(",")?;
            }
            strides.push(self.integer()? as isize);
        }
        Ok(strides)
    }

    fn variant(&mut self) -> Parsed<Variant> {
        self.p.mark("{")?;
        let mut v = Variant::default();
        loop {
            let Token::Word(word) = self.p.peek().clone() else {
                return self.p.expected("a line of the variant, or its `graph`");
            };
            if word == "graph" {
                break;
            }
            self.p.next();
            match word.as_str() {
                "argument" => {
                    let ty = self.p.ty()?;
                    let requires_grad = self.has("requires_grad");
                    let contiguous = match () {
                        () if self.has("contiguous") => Some(true),
                        () if self.has("strided") => Some(false),
                        () => None,
                    };
                    let lies = contiguous == Some(false) && *self.p.peek() == Token::Mark("[");
                    let strides = if lies { Some(self.strides()?) } else { None };
                    let same_as = if self.has("same_as") { Some(self.p.number()?) } else { None };
                    v.arguments.push(Argument { ty, requires_grad, contiguous, strides, same_as });
                }
                "when" => v.guards.push(self.guard()?),
                "draw" | "seed" | "loop" => v.draws.push(self.draw(&word, 0)?),
                "order" => v.orders.push(self.order()?),
                "follows" => v.follows.push(self.follows()?),
                "lies" => {
                    let (output, axes) = (self.p.number()?, self.axes()?);
                    let strides = match self.has("strides") {
                        true => LaidOutAs::Strides(self.strides()?),
                        false => {
                            let (from, steps) = self.memory()?;
                            LaidOutAs::Memory(from, steps)
                        }
                    };
                    v.laid_out.push(LaidOut { output, axes, strides });
                }
                "input" => {
                    let source = match () {
                        () if self.has("draw") => Source::Draw,
                        () if self.has("grad") => Source::Grad(self.place()?),
                        () => Source::Elements(self.place()?),
                    };
                    v.inputs.push(source);
                }
                "output" => {
                    let target = match () {
                        () if self.has("result") => Target::Result(self.p.number()?),
                        () if self.has("grad") => Target::Grad(self.place()?),
                        () if self.has("grad_elements") => Target::GradElements(self.place()?),
                        () => Target::Elements(self.place()?),
                    };
                    v.outputs.push(target);
                }
                "set" => {
                    let flag = self.flag()?;
                    v.set.push((flag, self.truth()?));
                }
                "clear" => v.cleared.push(self.place()?),
                "leaf" => {
                    let of = self.place()?;
                    v.histories.push((of, HistoryAfter::Leaf(self.truth()?)));
                }
                "history" => v.histories.push((self.place()?, HistoryAfter::Result)),
                "result" if matches!(self.p.peek(), Token::Word(_)) => {
                    v.results.push(v.returned.len());
                    let returned = self.returned()?;
                    v.returned.push(returned);
                }
                "result" => v.results.push(self.p.number()?),
                "base" => {
                    let returned = self.returned()?;
                    v.returned.push(returned);
                }
                "grad" if !matches!(self.p.peek(), Token::Word(_)) => {
                    let of = self.p.number()?;
                    v.own_grads.push((of, self.p.number()?));
                }
                "grad" => {
                    let of = self.place()?;
                    v.grads.push((of, self.p.number()?));
                }
                _ => {
                    return self.p.expected_before(
                        "`argument`, `when`, `draw`, `seed`, `loop`, `order`, `follows`, `lies`, `input`, `output`, `clear`, `set`, `result`, `base`, `grad` or `graph`",
                    );
                }
            }
        }
        v.graph = self.p.graph()?;
        self.p.mark("}")?;
        Ok(v)
    }

    fn guard(&mut self) -> Parsed<Guard> {
        let Token::Word(word) = self.p.next() else { return self.p.expected_before("what must hold") };
        Ok(match word.as_str() {
            "grad_enabled" => Guard::GradEnabled(self.truth()?),
            "requires_grad" => Guard::RequiresGrad(self.tensor_name()?, self.truth()?),
            "grad" => Guard::HasGrad(self.place()?, self.truth()?),
            "flag" => {
                let flag = self.flag()?;
                Guard::Flag(flag, self.truth()?)
            }
            "same" => Guard::Same(self.p.number()?, self.place()?, self.truth()?),
            "size" => {
                let dim = self.p.dim()?;
                self.p.word("least")?;
                Guard::Least(dim, self.p.number()?)
            }
            "memory" => {
                let (from, steps) = self.memory()?;
                let answer = match () {
                    () if self.has("shared") => Lies::Shared(self.truth()?),
                    () if self.has("begins") => Lies::Begins(self.truth()?),
                    () if self.has("contiguous") => Lies::Contiguous(self.truth()?),
                    () if self.has("order") => Lies::Order(self.axes()?),
                    () => {
                        self.p.word("strides")?;
                        Lies::Strides(self.strides()?)
                    }
                };
                Guard::Lies { from, steps, answer }
            }
            _ => {
                return self
                    .p
                    .expected_before("`grad_enabled`, `requires_grad`, `grad`, `same`, `flag`, `size` or `memory`");
            }
        })
    }

    fn draw(&mut self, word: &str, depth: usize) -> Parsed<Draw> {
        if depth > MAX_DEPTH {
            return self.p.fail(format!("loops of draws are nested deeper than {MAX_DEPTH}"));
        }
        match word {
            "draw" => {
                let input = self.p.number()?;
                let kind = self.distribution()?;
                Ok(Draw::Draw { input, kind, generator: self.generator()? })
            }
            "seed" => {
                let token = self.p.next();
                let Some(seed) = (if let Token::Number(n) = &token { n.parse().ok() } else { None }) else {
                    return self.p.expected_before("a seed");
                };
                Ok(Draw::Seed { seed, generator: self.generator()? })
            }
            _ => {
                let length = self.p.dim()?;
                let reverse = self.has("reverse");
                self.p.mark("{")?;
                let mut items = Vec::new();
                while !self.p.take("}") {
                    match self.p.next() {
                        Token::Word(w) if matches!(w.as_str(), "draw" | "seed" | "loop") => {
                            items.push(self.draw(&w, depth + 1)?);
                        }
                        _ => return self.p.expected_before("`draw`, `seed`, `loop` or `}`"),
                    }
                }
                Ok(Draw::Loop { length, reverse, items })
            }
        }
    }

    fn distribution(&mut self) -> Parsed<Distribution> {
        let Token::Word(word) = self.p.next() else { return self.p.expected_before("a distribution") };
        Ok(match word.as_str() {
            "uniform" => Distribution::Uniform { low: self.float()?, high: self.float()? },
            "normal" => Distribution::Normal { mean: self.float()?, std: self.float()? },
            "normal_serial" => Distribution::NormalSerial { mean: self.float()?, std: self.float()? },
            "normal_halves" => Distribution::NormalHalves { mean: self.float()?, std: self.float()? },
            "exponential" => Distribution::Exponential { rate: self.float()? },
            "integers" => Distribution::Integers { low: self.integer()?, high: self.integer()? },
            "permutation" => Distribution::Permutation,
            "bernoulli" => Distribution::Bernoulli { p: self.float()? },
            "whole" => Distribution::Whole { of: self.p.dtype()? },
            _ => return self.p.fail(format!("there is no distribution `{word}`")),
        })
    }

    fn generator(&mut self) -> Parsed<Generator> {
        if !self.has("from") {
            return Ok(None);
        }
        let name = self.text()?;
        match self.program.generators.iter().position(|g| *g == name) {
            Some(i) => Ok(Some(i)),
            None => self.p.fail(format!("there is no generator {name:?} above")),
        }
    }

    fn axes(&mut self) -> Parsed<Vec<usize>> {
        match self.strides()?.into_iter().map(usize::try_from).collect() {
            Ok(axes) => Ok(axes),
            Err(_) => self.p.fail("an axis must not be negative".to_string()),
        }
    }

    fn follows(&mut self) -> Parsed<Follows> {
        let rule = match () {
            () if self.has("elementwise") => FollowRule::Elementwise,
            () if self.has("preserved") => FollowRule::Preserved,
            () if self.has("contiguous") => FollowRule::Contiguous,
            () => {
                self.p.word("gradient")?;
                FollowRule::Gradient
            }
        };
        let mut operands = Vec::new();
        while !self.has("end") {
            operands.push(match self.has("number") {
                true => Followed::Number,
                false => {
                    let (from, steps) = self.memory()?;
                    Followed::Memory(from, steps)
                }
            });
        }
        Ok(Follows { rule, operands })
    }

    fn order(&mut self) -> Parsed<Order> {
        let what = self.text()?;
        let whole = self.has("whole");
        let (from, steps) = self.memory()?;
        Ok(Order { what, whole, from, steps })
    }

    fn memory(&mut self) -> Parsed<(OrderOf, Vec<OrderStep>)> {
        let from = match () {
            () if self.has("fresh") => OrderOf::Fresh(self.p.dims()?),
            () if self.has("input") => OrderOf::Input(self.p.number()?),
            () if self.has("follows") => OrderOf::Follows(self.p.number()?),
            () => {
                self.p.word("tensor")?;
                OrderOf::Tensor(self.tensor_name()?)
            }
        };
        self.p.mark("{")?;
        let mut steps = Vec::new();
        while !self.p.take("}") {
            let Token::Word(name) = self.p.next() else { return self.p.expected_before("a step, or `}`") };
            if name == "element" {
                steps.push(OrderStep::Element);
                continue;
            }
            steps.push(self.step(&name)?);
        }
        Ok((from, steps))
    }

    /// Where the elements of a strided view are.
    fn distances(&mut self) -> Parsed<(crate::Shape, Vec<usize>, usize)> {
        let sizes = self.p.dims()?;
        self.p.word("steps")?;
        let steps = self.strides()?;
        let Ok(steps) = steps.into_iter().map(usize::try_from).collect() else {
            return self.p.fail("a step must not be negative".to_string());
        };
        self.p.word("offset")?;
        Ok((sizes, steps, self.whole()?))
    }

    /// The view of that name.
    fn step(&mut self, name: &str) -> Parsed<OrderStep> {
        if name == "strided" {
            let (sizes, steps, offset) = self.distances()?;
            return Ok(OrderStep::Strided { sizes, steps, offset });
        }
        if name == "memory" {
            let len = match &self.p.dims()?[..] {
                [len] => len.clone(),
                _ => return self.p.fail("memory has one axis".to_string()),
            };
            self.p.word("of")?;
            let (sizes, steps, offset) = self.distances()?;
            return Ok(OrderStep::Memory { len, sizes, steps, offset });
        }
        if name == "select" {
            let axis = self.p.number()?;
            self.p.word("at")?;
            return Ok(OrderStep::Select { axis, at: self.p.number()? });
        }
        let op = self.p.op_with_attributes(name, None)?;
        match op.class() {
            Class::View(view) if view.is_strided() => Ok(OrderStep::View(op)),
            _ => self.p.fail(format!("{} is no view", op.name())),
        }
    }

    fn returned(&mut self) -> Parsed<Returned> {
        if self.has("computed") {
            let (requires_grad, leaf) = self.leads();
            return Ok(Returned::Computed { requires_grad, leaf });
        }
        if self.has("grad") {
            return Ok(Returned::Grad(self.place()?));
        }
        if !self.has("view") {
            return Ok(Returned::Same(self.place()?));
        }
        let of = self.p.number()?;
        let differentiable = !self.has("detached");
        let (requires_grad, leaf) = self.leads();
        self.p.mark("{")?;
        let mut steps = Vec::new();
        while !self.p.take("}") {
            let Token::Word(name) = self.p.next() else { return self.p.expected_before("a view, or `}`") };
            steps.push(self.step(&name)?);
        }
        Ok(Returned::View { of, steps, differentiable, requires_grad, leaf })
    }

    /// Whether a tensor requires a gradient, and whether it is a leaf.
    fn leads(&mut self) -> (bool, bool) {
        let requires_grad = self.has("requires_grad");
        (requires_grad, requires_grad && self.has("leaf"))
    }

    fn place(&mut self) -> Parsed<Place> {
        if self.has("argument") {
            return Ok(Place::Argument(self.p.number()?));
        }
        if self.has("tensor") {
            return Ok(Place::Tensor(self.tensor_name()?));
        }
        self.p.expected("`argument` or `tensor`")
    }

    fn tensor_name(&mut self) -> Parsed<usize> {
        let name = self.text()?;
        match self.names.get(&name) {
            Some(&i) => Ok(i),
            None => self.p.fail(format!("there is no tensor {name:?} above")),
        }
    }

    fn flag(&mut self) -> Parsed<usize> {
        let name = self.text()?;
        match self.program.flags.iter().position(|(n, _)| *n == name) {
            Some(i) => Ok(i),
            None => self.p.fail(format!("there is no flag {name:?} above")),
        }
    }

    fn text(&mut self) -> Parsed<String> {
        match self.p.next() {
            Token::Text(text) => Ok(text),
            _ => self.p.expected_before("a name in quotes"),
        }
    }

    fn truth(&mut self) -> Parsed<bool> {
        match self.p.literal(DType::Bool)? {
            Scalar::Bool(on) => Ok(on),
            _ => self.p.fail("neither true nor false".to_string()),
        }
    }

    fn float(&mut self) -> Parsed<f64> {
        match self.p.literal(DType::F64)? {
            Scalar::F64(x) => Ok(x),
            _ => self.p.fail("not a float".to_string()),
        }
    }

    fn integer(&mut self) -> Parsed<i64> {
        match self.p.literal(DType::I64)? {
            Scalar::I64(x) => Ok(x),
            _ => self.p.fail("not an integer".to_string()),
        }
    }

    /// A place in memory.
    fn whole(&mut self) -> Parsed<usize> {
        match usize::try_from(self.integer()?) {
            Ok(n) => Ok(n),
            Err(_) => self.p.fail("a place must not be negative".to_string()),
        }
    }

    /// Takes the word where it is the next one.
    fn has(&mut self, word: &str) -> bool {
        let found = matches!(self.p.peek(), Token::Word(w) if w == word);
        if found {
            self.p.next();
        }
        found
    }
}
