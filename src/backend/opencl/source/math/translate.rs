//! One function of the math files as OpenCL C: the same operations in the same order, one statement a `let`. Types are
//! inferred as far as the subset needs it; what has no equal in C is an error. Never decides what a function computes.

use super::parse::{Block, Const, Expr, Function, Kind, Module, Pattern, Statement, Type};
use super::unsupported::Unsupported;
use std::collections::{BTreeSet, HashMap};

/// A function's text, and what has to stand before it.
#[derive(Clone, Debug, Default)]
pub struct Translated {
    pub text: String,
    /// Functions that it calls, by their names in C.
    pub calls: BTreeSet<String>,
    /// Tables that it reads, by their names in C.
    pub tables: BTreeSet<String>,
    /// Tuples that it makes or takes apart.
    pub tuples: BTreeSet<Vec<&'static str>>,
    pub double: bool,
}

/// The name in C of a function or table of a module.
pub fn c_name(module: &str, name: &str) -> String {
    format!("at_{module}_{name}")
}

/// The name in C of the type of a tuple.
pub fn tuple_name(parts: &[&'static str]) -> String {
    format!("at_{}", parts.join("_"))
}

/// The types in C that a value consists of.
pub fn parts(ty: &Type) -> Vec<&'static str> {
    match ty {
        Type::Bool => vec!["bool"],
        Type::I32 => vec!["int"],
        Type::I64 => vec!["long"],
        Type::U16 => vec!["ushort"],
        Type::U32 => vec!["uint"],
        Type::U64 | Type::Usize => vec!["ulong"],
        Type::F32 => vec!["float"],
        Type::F64 => vec!["double"],
        Type::Tuple(all) => all.iter().flat_map(parts).collect(),
        Type::Array(..) => vec![],
    }
}

fn is_float(ty: &Type) -> bool {
    matches!(ty, Type::F32 | Type::F64)
}

/// The unsigned type in C in which an integer wraps.
fn unsigned(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::I32 | Type::U32 => Some("uint"),
        Type::I64 | Type::U64 => Some("ulong"),
        Type::Bool | Type::U16 | Type::Usize | Type::F32 | Type::F64 | Type::Tuple(_) | Type::Array(..) => None,
    }
}

/// A float as a hexadecimal literal: exact, whatever the compiler's rounding of decimals.
pub fn float_literal(x: f64, ty: &Type) -> String {
    let suffix = if *ty == Type::F32 { "f" } else { "" };
    let bits = x.to_bits();
    let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i64, bits & 0x000f_ffff_ffff_ffff);
    if exponent == 0x7ff {
        return match (ty, fraction == 0) {
            (Type::F32, true) => format!("as_float({:#x}u)", (x as f32).to_bits()),
            (Type::F32, false) => "as_float(0x7fc00000u)".to_owned(),
            (_, true) => format!("as_double({bits:#x}UL)"),
            (_, false) => "as_double(0x7ff8000000000000UL)".to_owned(),
        };
    }
    if x == 0.0 {
        return format!("0x0p0{suffix}");
    }
    let whole = if exponent == 0 { fraction } else { fraction | 1 << 52 };
    let zeros = whole.trailing_zeros();
    format!("{}{:#x}p{}{suffix}", if x < 0.0 { "-" } else { "" }, whole >> zeros, exponent.max(1) - 1075 + zeros as i64)
}

/// The value of a constant of Rust's library.
fn standard(path: &[String]) -> Option<(f64, Type)> {
    use std::{f32, f64};
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let wide = |x: f64| Some((x, Type::F64));
    let narrow = |x: f32| Some((x as f64, Type::F32));
    match path.as_slice() {
        ["f32", "INFINITY"] => narrow(f32::INFINITY),
        ["f32", "NEG_INFINITY"] => narrow(f32::NEG_INFINITY),
        ["f32", "NAN"] => narrow(f32::NAN),
        ["f32", "MIN_POSITIVE"] => narrow(f32::MIN_POSITIVE),
        ["f64", "INFINITY"] => wide(f64::INFINITY),
        ["f64", "NEG_INFINITY"] => wide(f64::NEG_INFINITY),
        ["f64", "NAN"] => wide(f64::NAN),
        ["f64", "MIN_POSITIVE"] => wide(f64::MIN_POSITIVE),
        ["std", "f32", "consts", "LN_2"] => narrow(f32::consts::LN_2),
        ["std", "f32", "consts", "LOG2_E"] => narrow(f32::consts::LOG2_E),
        ["std", "f64", "consts", "LN_2"] => wide(f64::consts::LN_2),
        ["std", "f64", "consts", "LN_10"] => wide(f64::consts::LN_10),
        ["std", "f64", "consts", "FRAC_2_SQRT_PI"] => wide(f64::consts::FRAC_2_SQRT_PI),
        ["std", "f64", "consts", "LOG2_E"] => wide(f64::consts::LOG2_E),
        ["std", "f64", "consts", "LOG10_E"] => wide(f64::consts::LOG10_E),
        ["std", "f64", "consts", "LOG10_2"] => wide(f64::consts::LOG10_2),
        ["std", "f64", "consts", "PI"] => wide(f64::consts::PI),
        ["std", "f64", "consts", "FRAC_PI_2"] => wide(f64::consts::FRAC_PI_2),
        ["std", "f64", "consts", "FRAC_PI_4"] => wide(f64::consts::FRAC_PI_4),
        ["std", "f64", "consts", "FRAC_2_PI"] => wide(f64::consts::FRAC_2_PI),
        _ => None,
    }
}

/// A value in C: one expression for each of its parts.
struct Value {
    parts: Vec<String>,
    ty: Type,
}

impl Value {
    fn one(text: String, ty: Type) -> Value {
        Value { parts: vec![text], ty }
    }
}

enum Bound {
    Variable { parts: Vec<String>, ty: Type },
    Const(Const),
}

struct Translator<'a> {
    modules: &'a [Module],
    module: &'a Module,
    scopes: Vec<HashMap<String, Bound>>,
    lines: Vec<String>,
    depth: usize,
    names: usize,
    out: Translated,
}

type Result<T> = std::result::Result<T, Unsupported>;

/// The function's text.
pub fn translate(modules: &[Module], module: &Module, f: &Function) -> Result<Translated> {
    let mut t = Translator::new(modules, module);
    let mut parameters = vec![];
    for (name, ty) in &f.parameters {
        let names = t.declare(name, ty);
        t.note(ty);
        parameters.extend(parts(ty).into_iter().zip(names).map(|(ty, name)| format!("{ty} {name}")));
    }
    t.note(&f.result);
    let value = t.block(&f.body, Some(&f.result))?;
    if value.ty != f.result {
        return t.error(f.line, format!("{} gives {:?}", f.name, value.ty));
    }
    let result = t.result(&value.ty);
    let value = match value.parts.as_slice() {
        [one] => one.clone(),
        all => format!("({result}){{{}}}", all.join(", ")),
    };
    t.line(format!("return {value};"));
    let head = format!("{result} {}({})", c_name(&module.name, &f.name), parameters.join(", "));
    t.out.text = format!("static inline {head} {{\n{}}}\n", t.lines.concat());
    Ok(t.out)
}

/// A table's text.
pub fn table(modules: &[Module], module: &Module, found: &Const) -> Result<String> {
    let mut t = Translator::new(modules, module);
    let (Type::Array(element, length), Kind::Array(values)) = (&found.ty, &found.value.kind) else {
        return t.error(found.value.line, format!("{} is no table", found.name));
    };
    if values.len() != *length {
        return t.error(found.value.line, format!("{} has {} elements", found.name, values.len()));
    }
    let values: Vec<String> =
        values.iter().map(|x| t.expr(x, Some(element)).map(|v| v.parts.concat())).collect::<Result<_>>()?;
    let ty = parts(element).concat();
    Ok(format!("__constant {ty} {}[{length}] = {{{}}};\n", c_name(&module.name, &found.name), values.join(", ")))
}

impl<'a> Translator<'a> {
    fn new(modules: &'a [Module], module: &'a Module) -> Self {
        let (scopes, out) = (vec![HashMap::new()], Translated::default());
        Translator { modules, module, scopes, lines: vec![], depth: 1, names: 0, out }
    }

    fn error<T>(&self, line: usize, message: String) -> Result<T> {
        Err(Unsupported { file: self.module.name.clone(), line, message })
    }

    fn note(&mut self, ty: &Type) {
        self.out.double |= parts(ty).contains(&"double");
        if matches!(ty, Type::Tuple(_)) {
            self.out.tuples.insert(parts(ty));
        }
    }

    fn result(&self, ty: &Type) -> String {
        let parts = parts(ty);
        if matches!(ty, Type::Tuple(_)) { tuple_name(&parts) } else { parts.concat() }
    }

    fn line(&mut self, text: String) {
        self.lines.push(format!("{}{text}\n", "    ".repeat(self.depth)));
    }

    fn fresh(&mut self, name: &str) -> String {
        self.names += 1;
        // The number keeps a name apart from C's keywords (`half`) and functions (`log`).
        format!("{name}_{}", self.names)
    }

    fn declare(&mut self, name: &str, ty: &Type) -> Vec<String> {
        let names: Vec<String> = parts(ty).iter().map(|_| self.fresh(name)).collect();
        let bound = Bound::Variable { parts: names.clone(), ty: ty.clone() };
        self.scopes.last_mut().expect("a scope is open").insert(name.to_owned(), bound);
        names
    }

    fn find(&self, name: &str) -> Option<&Bound> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name))
    }

    /// The module and item that a path names from here.
    fn resolve(&self, path: &[String]) -> (&'a Module, String) {
        let module = |name: &str| self.modules.iter().find(|m| m.name == name);
        let import = |name: &str| self.module.imports.iter().find(|i| i.name == name);
        match path {
            [name] => match import(name).map(|i| i.path.as_slice()) {
                Some([of, item]) => (module(of).unwrap_or(self.module), item.clone()),
                _ => (self.module, name.clone()),
            },
            [of, item] => {
                let of = import(of).and_then(|i| i.path.last()).unwrap_or(of);
                (module(of).unwrap_or(self.module), item.clone())
            }
            _ => (self.module, path.join("::")),
        }
    }

    /// Statements, then the value.
    fn block(&mut self, block: &Block, expected: Option<&Type>) -> Result<Value> {
        self.statements(block)?;
        match &block.value {
            Some(value) => self.expr(value, expected),
            None => self.error(0, "a block without a value".to_owned()),
        }
    }

    fn statements(&mut self, block: &Block) -> Result<()> {
        for statement in &block.statements {
            match statement {
                Statement::Const(found) => {
                    let bound = Bound::Const(found.clone());
                    self.scopes.last_mut().expect("a scope is open").insert(found.name.clone(), bound);
                }
                Statement::Let { pattern, ty, value } => {
                    let line = value.line;
                    let value = self.expr(value, ty.as_ref())?;
                    self.bind(pattern, &value.ty, &value.parts, line)?;
                }
                Statement::Assign { name, value, line } => {
                    let Some(Bound::Variable { parts, ty }) = self.find(name) else {
                        return self.error(*line, format!("an unknown variable `{name}`"));
                    };
                    let (parts, ty) = (parts.clone(), ty.clone());
                    let value = self.expr(value, Some(&ty))?;
                    for (to, from) in parts.iter().zip(value.parts) {
                        self.line(format!("{to} = {from};"));
                    }
                }
                Statement::While { condition, body } => {
                    let before = self.lines.len();
                    let test = self.expr(condition, Some(&Type::Bool))?.parts.concat();
                    if self.lines.len() != before {
                        return self.error(condition.line, "a condition that needs statements".to_owned());
                    }
                    self.line(format!("while ({test}) {{"));
                    self.nested(body)?;
                    self.line("}".to_owned());
                }
                Statement::If { condition, then, otherwise } => {
                    let test = self.expr(condition, Some(&Type::Bool))?.parts.concat();
                    self.line(format!("if ({test}) {{"));
                    self.nested(then)?;
                    if let Some(otherwise) = otherwise {
                        self.line("} else {".to_owned());
                        self.nested(otherwise)?;
                    }
                    self.line("}".to_owned());
                }
            }
        }
        Ok(())
    }

    fn nested(&mut self, block: &Block) -> Result<()> {
        self.scopes.push(HashMap::new());
        self.depth += 1;
        self.statements(block)?;
        self.depth -= 1;
        self.scopes.pop();
        Ok(())
    }

    fn bind(&mut self, pattern: &Pattern, ty: &Type, values: &[String], line: usize) -> Result<()> {
        match (pattern, ty) {
            (Pattern::Name(name), _) => {
                // The value is written before the name is bound: `let x = x + 1.0` means the older one.
                let names = self.declare(name, ty);
                self.note(ty);
                for ((name, ty), value) in names.iter().zip(parts(ty)).zip(values) {
                    self.line(format!("{ty} {name} = {value};"));
                }
                Ok(())
            }
            (Pattern::Tuple(patterns), Type::Tuple(types)) if patterns.len() == types.len() => {
                let mut rest = values;
                for (pattern, ty) in patterns.iter().zip(types) {
                    let (of, left) = rest.split_at(parts(ty).len());
                    self.bind(pattern, ty, of, line)?;
                    rest = left;
                }
                Ok(())
            }
            _ => self.error(line, format!("a pattern that does not fit {ty:?}")),
        }
    }

    fn expr(&mut self, e: &Expr, expected: Option<&Type>) -> Result<Value> {
        match &e.kind {
            Kind::Number(text) => self.number(text, expected, e.line),
            Kind::Bool(b) => Ok(Value::one(b.to_string(), Type::Bool)),
            Kind::Path(path) => self.path(path, e.line),
            Kind::Negative(x) => {
                let x = self.expr(x, expected)?;
                let text = x.parts.concat();
                match unsigned(&x.ty) {
                    _ if is_float(&x.ty) => Ok(Value::one(format!("(-{text})"), x.ty)),
                    // A literal; a computed one is written `wrapping_neg`.
                    Some(_) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                        Ok(Value::one(format!("(-{text})"), x.ty))
                    }
                    _ => self.error(e.line, format!("the negative of {:?}", x.ty)),
                }
            }
            Kind::Not(x) => {
                let x = self.expr(x, expected)?;
                let mark = if x.ty == Type::Bool { "!" } else { "~" };
                Ok(Value::one(format!("({mark}{})", x.parts.concat()), x.ty))
            }
            Kind::Binary(mark, a, b) => self.binary(mark, a, b, expected, e.line),
            Kind::Cast(x, to) => self.cast(x, to, e.line),
            Kind::Call(path, arguments) => self.call(path, arguments, e.line),
            Kind::Method(x, name, arguments) => self.method(x, name, arguments, expected, e.line),
            Kind::Index(table, at) => {
                let Kind::Path(path) = &table.kind else {
                    return self.error(e.line, "an index of no table".to_owned());
                };
                let (module, name) = self.resolve(path);
                let Some(found) = module.consts.iter().find(|c| c.name == name) else {
                    return self.error(e.line, format!("an unknown table `{name}`"));
                };
                let Type::Array(element, _) = &found.ty else {
                    return self.error(e.line, format!("`{name}` is no table"));
                };
                let at = self.expr(at, Some(&Type::Usize))?.parts.concat();
                let name = c_name(&module.name, &name);
                let text = format!("{name}[{at}]");
                self.out.tables.insert(name);
                Ok(Value::one(text, (**element).clone()))
            }
            Kind::If(condition, then, otherwise) => self.choice(condition, then, otherwise, expected),
            Kind::Tuple(all) => {
                let expected = match expected {
                    Some(Type::Tuple(types)) if types.len() == all.len() => types.iter().map(Some).collect(),
                    _ => vec![None; all.len()],
                };
                let mut value = Value { parts: vec![], ty: Type::Bool };
                let mut types = vec![];
                for (x, expected) in all.iter().zip(expected) {
                    let x = self.expr(x, expected)?;
                    value.parts.extend(x.parts);
                    types.push(x.ty);
                }
                value.ty = Type::Tuple(types);
                Ok(value)
            }
            Kind::Array(_) => self.error(e.line, "an array that is no constant".to_owned()),
        }
    }

    fn number(&self, text: &str, expected: Option<&Type>, line: usize) -> Result<Value> {
        let plain = text.replace('_', "");
        let suffixes = [
            ("i32", Type::I32),
            ("i64", Type::I64),
            ("u32", Type::U32),
            ("u64", Type::U64),
            ("f32", Type::F32),
            ("f64", Type::F64),
        ];
        let suffix = suffixes.into_iter().find(|(s, _)| plain.ends_with(s) && !plain.starts_with("0x"));
        let digits = suffix.as_ref().map_or(plain.as_str(), |(s, _)| plain.trim_end_matches(s));
        let Some(ty) = suffix.as_ref().map(|(_, ty)| ty).or(expected) else {
            return self.error(line, format!("the type of `{text}` is not told here"));
        };
        let c = match ty {
            Type::F32 => digits.parse::<f32>().ok().map(|x| float_literal(x as f64, ty)),
            Type::F64 => digits.parse::<f64>().ok().map(|x| float_literal(x, ty)),
            Type::I32 => Some(digits.to_owned()),
            Type::I64 => Some(format!("{digits}L")),
            Type::U16 | Type::U32 => Some(format!("{digits}u")),
            Type::U64 | Type::Usize => Some(format!("{digits}UL")),
            Type::Bool | Type::Tuple(_) | Type::Array(..) => None,
        };
        match c {
            Some(c) => Ok(Value::one(c, ty.clone())),
            None => self.error(line, format!("`{text}` as {ty:?}")),
        }
    }

    fn path(&mut self, path: &[String], line: usize) -> Result<Value> {
        if let [name] = path {
            match self.find(name) {
                Some(Bound::Variable { parts, ty }) => return Ok(Value { parts: parts.clone(), ty: ty.clone() }),
                Some(Bound::Const(found)) => {
                    let found = found.clone();
                    return self.expr(&found.value, Some(&found.ty));
                }
                None => {}
            }
            if let Some(import) = self.module.imports.iter().find(|i| i.name == *name)
                && let Some((x, ty)) = standard(&import.path)
            {
                return Ok(Value::one(float_literal(x, &ty), ty));
            }
        }
        if let Some((x, ty)) = standard(path) {
            return Ok(Value::one(float_literal(x, &ty), ty));
        }
        let (module, name) = self.resolve(path);
        let Some(found) = module.consts.iter().find(|c| c.name == name) else {
            return self.error(line, format!("an unknown name `{}`", path.join("::")));
        };
        let here = std::mem::replace(&mut self.module, module);
        let value = self.expr(&found.value, Some(&found.ty));
        self.module = here;
        value
    }

    /// Whether its type has to come from what stands beside it.
    fn is_untyped(e: &Expr) -> bool {
        match &e.kind {
            Kind::Number(text) => {
                text.starts_with("0x") || !["i32", "i64", "u32", "u64", "f32", "f64"].iter().any(|s| text.ends_with(s))
            }
            Kind::Negative(x) => Self::is_untyped(x),
            _ => false,
        }
    }

    /// Both operands of an operation on one type.
    fn pair(&mut self, a: &Expr, b: &Expr, expected: Option<&Type>) -> Result<(Value, Value)> {
        if Self::is_untyped(a) && expected.is_none() {
            let b = self.expr(b, None)?;
            return Ok((self.expr(a, Some(&b.ty))?, b));
        }
        let a = self.expr(a, expected)?;
        let b = self.expr(b, Some(&a.ty))?;
        Ok((a, b))
    }

    fn binary(
        &mut self,
        mark: &'static str,
        a: &Expr,
        b: &Expr,
        expected: Option<&Type>,
        line: usize,
    ) -> Result<Value> {
        let comparison = matches!(mark, "==" | "!=" | "<" | ">" | "<=" | ">=");
        if matches!(mark, "<<" | ">>") {
            let a = self.expr(a, expected)?;
            let b = self.expr(b, Some(&Type::I32))?;
            let (x, n) = (a.parts.concat(), b.parts.concat());
            let ty = parts(&a.ty).concat();
            return match (unsigned(&a.ty), mark) {
                (Some(unsigned), "<<") if ty == unsigned => Ok(Value::one(format!("({x} << {n})"), a.ty)),
                (Some(unsigned), "<<") => Ok(Value::one(format!("(({ty})(({unsigned}){x} << {n}))"), a.ty)),
                (Some(_), _) => Ok(Value::one(format!("({x} >> {n})"), a.ty)),
                (None, _) => self.error(line, format!("`{mark}` of {:?}", a.ty)),
            };
        }
        let (a, b) = if matches!(mark, "&&" | "||") {
            let a = self.expr(a, Some(&Type::Bool))?;
            let before = self.lines.len();
            let b = self.expr(b, Some(&Type::Bool))?;
            if before != self.lines.len() {
                return self.error(line, format!("what stands behind `{mark}` needs statements"));
            }
            (a, b)
        } else {
            self.pair(a, b, if comparison { None } else { expected })?
        };
        if a.ty != b.ty {
            return self.error(line, format!("`{mark}` of {:?} and {:?}", a.ty, b.ty));
        }
        let (x, y) = (a.parts.concat(), b.parts.concat());
        if comparison {
            return Ok(Value::one(format!("({x} {mark} {y})"), Type::Bool));
        }
        let (float, bool) = (is_float(&a.ty), a.ty == Type::Bool);
        let text = match mark {
            // Devices need not round it correctly.
            "/" if a.ty == Type::F32 => {
                self.out.calls.insert("at_div_f32".to_owned());
                format!("at_div_f32({x}, {y})")
            }
            "+" | "-" | "*" | "/" if float => format!("({x} {mark} {y})"),
            "/" | "%" if matches!(a.ty, Type::U32 | Type::U64) => format!("({x} {mark} {y})"),
            "&" | "|" | "^" if !float => format!("({x} {mark} {y})"),
            "&&" | "||" if bool => format!("({x} {mark} {y})"),
            // In Rust it ends the program where it overflows: the wrapping methods say what is meant.
            _ => return self.error(line, format!("`{mark}` of {:?}", a.ty)),
        };
        Ok(Value::one(text, a.ty))
    }

    fn cast(&mut self, x: &Expr, to: &Type, line: usize) -> Result<Value> {
        let x = self.expr(x, Self::is_untyped(x).then_some(to))?;
        let text = x.parts.concat();
        if x.ty == *to {
            return Ok(x);
        }
        self.note(to);
        let c = match (&x.ty, to) {
            (Type::F32, Type::I64) => self.helper("at_i64_of_f32", &text),
            (Type::F64, Type::I64) => self.helper("at_i64_of_f64", &text),
            (from, Type::Bool) => return self.error(line, format!("{from:?} as a bool")),
            (from, to) if is_float(from) && !is_float(to) => {
                return self.error(line, format!("{from:?} as {to:?}: only a cast to i64 saturates alike"));
            }
            (Type::Tuple(_) | Type::Array(..), _) | (_, Type::Tuple(_) | Type::Array(..)) => {
                return self.error(line, format!("{:?} as {to:?}", x.ty));
            }
            (_, to) => format!("(({}){text})", parts(to).concat()),
        };
        Ok(Value::one(c, to.clone()))
    }

    fn helper(&mut self, name: &str, argument: &str) -> String {
        self.out.calls.insert(name.to_owned());
        format!("{name}({argument})")
    }

    fn call(&mut self, path: &[String], arguments: &[Expr], line: usize) -> Result<Value> {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        if let [of @ ("f32" | "f64"), "from_bits"] = names.as_slice() {
            let (bits, ty, c) =
                if *of == "f32" { (Type::U32, Type::F32, "as_float") } else { (Type::U64, Type::F64, "as_double") };
            let [x] = arguments else { return self.error(line, "from_bits takes one".to_owned()) };
            let x = self.expr(x, Some(&bits))?;
            if x.ty != bits {
                return self.error(line, format!("from_bits of {:?}", x.ty));
            }
            self.note(&ty);
            return Ok(Value::one(format!("{c}({})", x.parts.concat()), ty));
        }
        let (module, name) = self.resolve(path);
        let Some(f) = module.functions.iter().find(|f| f.name == name) else {
            return self.error(line, format!("an unknown function `{}`", path.join("::")));
        };
        if f.parameters.len() != arguments.len() {
            return self.error(line, format!("`{name}` takes {} arguments", f.parameters.len()));
        }
        let mut given = vec![];
        for ((_, ty), x) in f.parameters.iter().zip(arguments) {
            let x = self.expr(x, Some(ty))?;
            if x.ty != *ty {
                return self.error(line, format!("`{name}` of {:?}", x.ty));
            }
            given.extend(x.parts);
        }
        let name = c_name(&module.name, &name);
        let text = format!("{name}({})", given.join(", "));
        self.out.calls.insert(name);
        self.note(&f.result);
        if !matches!(f.result, Type::Tuple(_)) {
            return Ok(Value::one(text, f.result.clone()));
        }
        let variable = self.fresh("t");
        self.line(format!("{} {variable} = {text};", self.result(&f.result)));
        let parts = (0..parts(&f.result).len()).map(|i| format!("{variable}.v{i}")).collect();
        Ok(Value { parts, ty: f.result.clone() })
    }

    fn method(
        &mut self,
        x: &Expr,
        name: &str,
        arguments: &[Expr],
        expected: Option<&Type>,
        line: usize,
    ) -> Result<Value> {
        // What a method takes besides its receiver is of the receiver's type, in all that the subset has.
        let hint =
            if matches!(name, "to_bits" | "is_nan" | "is_sign_negative" | "leading_zeros") { None } else { expected };
        let x = self.expr(x, hint)?;
        let (text, ty) = (x.parts.concat(), x.ty);
        let c = parts(&ty).concat();
        let mut given = vec![];
        for argument in arguments {
            let argument = self.expr(argument, Some(&ty))?;
            if argument.ty != ty {
                return self.error(line, format!("`{name}` of {ty:?} and {:?}", argument.ty));
            }
            given.push(argument.parts.concat());
        }
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let float = is_float(&ty);
        let same = |text: String| Ok(Value::one(text, ty.clone()));
        match (name, given.as_slice()) {
            ("mul_add", [b, c]) if float => same(format!("fma({text}, {b}, {c})")),
            ("abs", []) if float => same(format!("fabs({text})")),
            ("copysign", [b]) if float => same(format!("copysign({text}, {b})")),
            ("floor" | "ceil" | "trunc", []) if float => same(format!("{name}({text})")),
            ("round_ties_even", []) if float => same(format!("rint({text})")),
            ("sqrt", []) if ty == Type::F32 => {
                let text = self.helper("at_sqrt_f32", &text);
                Ok(Value::one(text, ty))
            }
            ("sqrt", []) if float => same(format!("sqrt({text})")),
            ("to_bits", []) if ty == Type::F32 => Ok(Value::one(format!("as_uint({text})"), Type::U32)),
            ("to_bits", []) if ty == Type::F64 => Ok(Value::one(format!("as_ulong({text})"), Type::U64)),
            ("is_nan", []) if float => Ok(Value::one(format!("(isnan({text}) != 0)"), Type::Bool)),
            ("is_sign_negative", []) if ty == Type::F32 => Ok(Value::one(format!("(as_int({text}) < 0)"), Type::Bool)),
            ("is_sign_negative", []) if ty == Type::F64 => Ok(Value::one(format!("(as_long({text}) < 0)"), Type::Bool)),
            ("leading_zeros", []) if unsigned(&ty).is_some() => {
                Ok(Value::one(format!("((uint)clz({text}))"), Type::U32))
            }
            ("wrapping_add" | "wrapping_sub" | "wrapping_mul", [b]) if unsigned(&ty).is_some() => {
                let mark = match name {
                    "wrapping_add" => "+",
                    "wrapping_sub" => "-",
                    _ => "*",
                };
                let unsigned = unsigned(&ty).expect("it is an integer");
                same(if c == unsigned {
                    format!("({text} {mark} {b})")
                } else {
                    format!("(({c})(({unsigned}){text} {mark} ({unsigned}){b}))")
                })
            }
            _ => self.error(line, format!("the method `{name}` of {ty:?}")),
        }
    }

    /// A conditional expression; statements where a branch needs some, so that only the chosen one runs.
    fn choice(&mut self, condition: &Expr, then: &Block, otherwise: &Block, expected: Option<&Type>) -> Result<Value> {
        let test = self.expr(condition, Some(&Type::Bool))?.parts.concat();
        let untyped = |block: &Block| block.value.as_ref().is_some_and(|v| Self::is_untyped(v));
        let start = self.lines.len();
        // The branch whose type is known tells that of the other.
        let (first, second, swapped) =
            if untyped(then) && expected.is_none() { (otherwise, then, true) } else { (then, otherwise, false) };
        let a = self.branch(first, expected)?;
        let lines_a = self.lines.split_off(start);
        let ty = a.ty.clone();
        let b = self.branch(second, Some(&ty))?;
        let lines_b = self.lines.split_off(start);
        if b.ty != ty {
            return self.error(condition.line, format!("branches of {ty:?} and {:?}", b.ty));
        }
        let ((a, lines_a), (b, lines_b)) =
            if swapped { ((b, lines_b), (a, lines_a)) } else { ((a, lines_a), (b, lines_b)) };
        if lines_a.is_empty() && lines_b.is_empty() {
            let test = if a.parts.len() == 1 {
                test
            } else {
                let name = self.fresh("c");
                self.line(format!("bool {name} = {test};"));
                name
            };
            let parts = a.parts.iter().zip(&b.parts).map(|(a, b)| format!("({test} ? {a} : {b})")).collect();
            return Ok(Value { parts, ty });
        }
        let names: Vec<String> = parts(&ty).iter().map(|_| self.fresh("r")).collect();
        for (name, c) in names.iter().zip(parts(&ty)) {
            self.line(format!("{c} {name};"));
        }
        self.line(format!("if ({test}) {{"));
        for (lines, value, end) in [(lines_a, a, "} else {"), (lines_b, b, "}")] {
            self.lines.extend(lines);
            self.depth += 1;
            for (name, part) in names.iter().zip(value.parts) {
                self.line(format!("{name} = {part};"));
            }
            self.depth -= 1;
            self.line(end.to_owned());
        }
        Ok(Value { parts: names, ty })
    }

    fn branch(&mut self, block: &Block, expected: Option<&Type>) -> Result<Value> {
        self.scopes.push(HashMap::new());
        self.depth += 1;
        let value = self.block(block, expected);
        self.depth -= 1;
        self.scopes.pop();
        value
    }
}
