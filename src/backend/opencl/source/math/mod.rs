//! Operations on one element as OpenCL C: an expression for each primitive and dtype, and the functions that the
//! expressions call. The elementary functions are the text of the kernels' own Rust files, translated, so that they exist
//! once. Never knows of shapes or memory.

mod exact;
mod lex;
mod parse;
mod translate;

use allotrope_ir::{BinaryOp, CompareOp, DType, UnaryOp};
use allotrope_kernels::math::{self, Definition, Operation};
use parse::Module;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::OnceLock;
use translate::{Translated, c_name, tuple_name};

/// Something in a math file that the translation does not have.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsupported {
    pub file: String,
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.rs:{}: not translated to OpenCL C: {}", self.file, self.line, self.message)
    }
}

/// What a device rounds correctly by itself. Where it does not, longer text does.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arithmetic {
    /// `/` of f32.
    pub exact_division: bool,
    /// `sqrt` of f32.
    pub exact_sqrt: bool,
}

impl Arithmetic {
    /// A device that rounds as IEEE 754 says.
    pub const EXACT: Arithmetic = Arithmetic { exact_division: true, exact_sqrt: true };
}

/// The functions that one program needs. Each method gives an expression and remembers what it calls.
#[derive(Clone, Debug)]
pub struct Functions {
    arithmetic: Arithmetic,
    needed: BTreeSet<String>,
}

/// The C type of one element where it is computed with; in memory a bool is a byte and a half-precision float its bits.
pub fn c_type(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool | DType::U8 => "uchar",
        DType::I32 => "int",
        DType::I64 => "long",
        DType::F16 | DType::BF16 => "ushort",
        DType::F32 => "float",
        DType::F64 => "double",
    }
}

/// The C type in which an integer wraps.
fn wrapping(dtype: DType) -> &'static str {
    match dtype {
        DType::I64 => "ulong",
        DType::Bool | DType::U8 | DType::I32 | DType::F16 | DType::BF16 | DType::F32 | DType::F64 => "uint",
    }
}

#[track_caller]
fn undefined(op: &str, dtype: DType) -> ! {
    panic!("bug in this library: {op} of {dtype} has no OpenCL C")
}

impl Functions {
    pub fn new(arithmetic: Arithmetic) -> Functions {
        Functions { arithmetic, needed: BTreeSet::new() }
    }

    fn call(&mut self, name: &str, arguments: &[&str]) -> String {
        self.needed.insert(name.to_owned());
        format!("{name}({})", arguments.join(", "))
    }

    /// `op` of `x`, which is an expression of the dtype's C type, as the result is.
    pub fn unary(&mut self, op: UnaryOp, dtype: DType, x: &str) -> String {
        if dtype.is_half() {
            undefined(op.name(), dtype);
        }
        let (float, c) = (dtype.is_float(), c_type(dtype));
        match op {
            UnaryOp::Neg if float => format!("(-({x}))"),
            UnaryOp::Neg if dtype.is_integer() => format!("(({c})(0 - ({})({x})))", wrapping(dtype)),
            UnaryOp::Abs if float => format!("fabs({x})"),
            UnaryOp::Abs if dtype == DType::U8 => format!("({x})"),
            UnaryOp::Abs if dtype.is_integer() => self.call(&format!("at_abs_{dtype}"), &[x]),
            UnaryOp::Not if dtype == DType::Bool => format!("((uchar)(({x}) ^ 1))"),
            UnaryOp::Not if dtype.is_integer() => format!("(({c})~({x}))"),
            UnaryOp::Sqrt if dtype == DType::F32 && !self.arithmetic.exact_sqrt => self.call("at_sqrt_f32", &[x]),
            UnaryOp::Sqrt if float => format!("sqrt({x})"),
            UnaryOp::Floor if float => format!("floor({x})"),
            UnaryOp::Ceil if float => format!("ceil({x})"),
            UnaryOp::Round if float => format!("rint({x})"),
            UnaryOp::Trunc if float => format!("trunc({x})"),
            UnaryOp::Neg
            | UnaryOp::Abs
            | UnaryOp::Not
            | UnaryOp::Sqrt
            | UnaryOp::Floor
            | UnaryOp::Ceil
            | UnaryOp::Round
            | UnaryOp::Trunc => undefined(op.name(), dtype),
            UnaryOp::Exp
            | UnaryOp::Log
            | UnaryOp::Sin
            | UnaryOp::Cos
            | UnaryOp::Tanh
            | UnaryOp::Exp2
            | UnaryOp::Expm1
            | UnaryOp::Log2
            | UnaryOp::Log10
            | UnaryOp::Log1p
            | UnaryOp::Tan
            | UnaryOp::Asin
            | UnaryOp::Acos
            | UnaryOp::Atan
            | UnaryOp::Sinh
            | UnaryOp::Cosh
            | UnaryOp::Asinh
            | UnaryOp::Acosh
            | UnaryOp::Atanh
            | UnaryOp::Erf
            | UnaryOp::Erfc => self.elementary(Operation::Unary(op), op.name(), dtype, &[x]),
        }
    }

    /// `op` of `a` and `b`, as [`Functions::unary`].
    pub fn binary(&mut self, op: BinaryOp, dtype: DType, a: &str, b: &str) -> String {
        if dtype.is_half() {
            undefined(op.name(), dtype);
        }
        let (float, integer, bool, c) = (dtype.is_float(), dtype.is_integer(), dtype == DType::Bool, c_type(dtype));
        let u = wrapping(dtype);
        match op {
            BinaryOp::Add if float => format!("(({a}) + ({b}))"),
            BinaryOp::Sub if float => format!("(({a}) - ({b}))"),
            BinaryOp::Mul if float => format!("(({a}) * ({b}))"),
            BinaryOp::Add if integer => format!("(({c})(({u})({a}) + ({u})({b})))"),
            BinaryOp::Sub if integer => format!("(({c})(({u})({a}) - ({u})({b})))"),
            BinaryOp::Mul if integer => format!("(({c})(({u})({a}) * ({u})({b})))"),
            BinaryOp::Div if dtype == DType::F32 && !self.arithmetic.exact_division => self.call("at_div_f32", &[a, b]),
            BinaryOp::Div if float => format!("(({a}) / ({b}))"),
            BinaryOp::Maximum | BinaryOp::Minimum if float => self.call(&format!("at_{}_{dtype}", op.name()), &[a, b]),
            BinaryOp::Maximum if integer => format!("max(({c})({a}), ({c})({b}))"),
            BinaryOp::Minimum if integer => format!("min(({c})({a}), ({c})({b}))"),
            BinaryOp::Maximum | BinaryOp::Or if bool => format!("((uchar)(({a}) | ({b})))"),
            BinaryOp::Minimum | BinaryOp::And if bool => format!("((uchar)(({a}) & ({b})))"),
            BinaryOp::Xor if bool => format!("((uchar)(({a}) ^ ({b})))"),
            BinaryOp::And if integer => format!("(({c})(({a}) & ({b})))"),
            BinaryOp::Or if integer => format!("(({c})(({a}) | ({b})))"),
            BinaryOp::Xor if integer => format!("(({c})(({a}) ^ ({b})))"),
            BinaryOp::Pow | BinaryOp::Rem | BinaryOp::Quotient if integer => {
                self.call(&format!("at_{}_{dtype}", op.name()), &[a, b])
            }
            BinaryOp::Pow | BinaryOp::Atan2 | BinaryOp::Rem if float => {
                self.elementary(Operation::Binary(op), op.name(), dtype, &[a, b])
            }
            BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Maximum
            | BinaryOp::Minimum
            | BinaryOp::Pow
            | BinaryOp::And
            | BinaryOp::Or
            | BinaryOp::Xor
            | BinaryOp::Atan2
            | BinaryOp::Rem
            | BinaryOp::Quotient => undefined(op.name(), dtype),
        }
    }

    /// A bool: `a op b`.
    pub fn compare(&mut self, op: CompareOp, dtype: DType, a: &str, b: &str) -> String {
        if dtype.is_half() {
            undefined(op.name(), dtype);
        }
        let mark = match op {
            CompareOp::Eq => "==",
            CompareOp::Ne => "!=",
            CompareOp::Lt => "<",
            CompareOp::Le => "<=",
            CompareOp::Gt => ">",
            CompareOp::Ge => ">=",
        };
        format!("((uchar)(({a}) {mark} ({b})))")
    }

    /// `a` where the bool is true, else `b`; both of one dtype, whichever.
    pub fn select(&mut self, condition: &str, a: &str, b: &str) -> String {
        format!("(({condition}) ? ({a}) : ({b}))")
    }

    /// `x` as another dtype.
    pub fn cast(&mut self, from: DType, to: DType, x: &str) -> String {
        let c = c_type(to);
        match (from, to) {
            _ if from == to => format!("({x})"),
            (DType::F16 | DType::BF16, _) => {
                let wide = self.call(&format!("at_f32_of_{from}"), &[x]);
                self.cast(DType::F32, to, &wide)
            }
            (_, DType::F16 | DType::BF16) => {
                let narrow = self.cast(from, DType::F32, x);
                self.call(&format!("at_{to}_of_f32"), &[&narrow])
            }
            (_, DType::Bool) => format!("((uchar)(({x}) != 0))"),
            (DType::F32 | DType::F64, DType::U8 | DType::I32 | DType::I64) => {
                let whole = self.call(&format!("at_i64_of_{from}"), &[x]);
                format!("(({c}){whole})")
            }
            (DType::F32 | DType::F64, DType::F32 | DType::F64)
            | (DType::Bool | DType::U8 | DType::I32 | DType::I64, _) => format!("(({c})({x}))"),
        }
    }

    /// A call of a function of the math files.
    fn elementary(&mut self, operation: Operation, name: &str, dtype: DType, arguments: &[&str]) -> String {
        if definition(operation, dtype).is_none() {
            undefined(name, dtype);
        }
        self.call(&format!("at_{name}_{dtype}"), arguments)
    }

    /// The text of all functions that were called, each after those that it calls itself.
    pub fn text(&self) -> String {
        let mut program = Program::default();
        for name in &self.needed {
            program.add(name, self.arithmetic).unwrap_or_else(|e| panic!("bug in this library: {e}"));
        }
        program.text()
    }

    /// Whether any of them computes in f64, which some devices do not have.
    pub fn needs_f64(&self) -> bool {
        let mut program = Program::default();
        for name in &self.needed {
            program.add(name, self.arithmetic).unwrap_or_else(|e| panic!("bug in this library: {e}"));
        }
        program.double
    }
}

fn definition(operation: Operation, dtype: DType) -> Option<&'static Definition> {
    math::definitions().find(|d| d.operation == operation && d.dtype == dtype)
}

fn modules() -> Result<&'static [Module], Unsupported> {
    static MODULES: OnceLock<Result<Vec<Module>, Unsupported>> = OnceLock::new();
    let all = MODULES.get_or_init(|| math::SOURCES.iter().map(|(name, text)| parse::module(name, text)).collect());
    all.as_deref().map_err(Clone::clone)
}

/// Translates every function of the math files.
///
/// # Errors
/// A construct that has no translation.
pub fn check() -> Result<(), Unsupported> {
    let mut program = Program::default();
    for module in modules()? {
        for f in &module.functions {
            program.add(&c_name(&module.name, &f.name), Arithmetic::EXACT)?;
        }
    }
    Ok(())
}

/// Texts in the order in which they have to stand.
#[derive(Default)]
struct Program {
    tuples: BTreeMap<String, String>,
    tables: BTreeMap<String, String>,
    functions: Vec<(String, String)>,
    double: bool,
}

impl Program {
    fn add(&mut self, name: &str, arithmetic: Arithmetic) -> Result<(), Unsupported> {
        if self.functions.iter().any(|(known, _)| known == name) {
            return Ok(());
        }
        let modules = modules()?;
        let whole = math::definitions().find(|d| name == format!("at_{}_{}", d.operation.name(), d.dtype));
        if let Some((text, calls)) = exact::helper(name) {
            for call in calls {
                self.add(call, arithmetic)?;
            }
            self.double |= text.contains("double");
            self.functions.push((name.to_owned(), text));
        } else if let Some(definition) = whole {
            let (text, calls) = entry(name, definition);
            for call in calls {
                self.add(&call, arithmetic)?;
            }
            self.double |= definition.dtype == DType::F64;
            self.functions.push((name.to_owned(), text));
        } else {
            let unknown = || Unsupported { file: "?".to_owned(), line: 0, message: format!("no function {name}") };
            let found = modules.iter().find_map(|m| {
                let f = m.functions.iter().find(|f| c_name(&m.name, &f.name) == name)?;
                Some((m, f))
            });
            let (module, f) = found.ok_or_else(unknown)?;
            let Translated { text, calls, tables, tuples, double } = translate::translate(modules, module, f, arithmetic)?;
            for call in calls {
                self.add(&call, arithmetic)?;
            }
            for parts in tuples {
                let fields: Vec<String> = parts.iter().enumerate().map(|(i, c)| format!("{c} v{i};")).collect();
                let name = tuple_name(&parts);
                let text = format!("typedef struct {{ {} }} {name};\n", fields.join(" "));
                self.tuples.insert(name, text);
            }
            for name in tables {
                let found = modules.iter().find_map(|m| {
                    let c = m.consts.iter().find(|c| c_name(&m.name, &c.name) == name)?;
                    Some((m, c))
                });
                let (module, c) = found.ok_or_else(unknown)?;
                self.tables.insert(name, translate::table(modules, module, c, arithmetic)?);
            }
            self.double |= double;
            self.functions.push((name.to_owned(), text));
        }
        Ok(())
    }

    fn text(&self) -> String {
        let functions = self.functions.iter().map(|(_, text)| text);
        self.tuples.values().chain(self.tables.values()).chain(functions).map(String::as_str).collect()
    }
}

/// The function of a definition for all operands, and what it calls: the common one where that holds, else the other.
fn entry(name: &str, definition: &Definition) -> (String, Vec<String>) {
    let c_path = |path: &str| {
        let (module, item) = path.rsplit_once("::").expect("a definition names module and function");
        c_name(module.trim(), item.trim())
    };
    let c = c_type(definition.dtype);
    let (parameters, arguments) = match definition.operation {
        Operation::Unary(_) => (format!("{c} x"), "x"),
        Operation::Binary(_) => (format!("{c} x, {c} y"), "x, y"),
    };
    let of = c_path(definition.function);
    let (body, calls) = match &definition.partial {
        None => (format!("{of}({arguments})"), vec![of]),
        Some(partial) => {
            let (covers, otherwise) = (c_path(partial.covers), c_path(partial.otherwise));
            let text = format!("{covers}({arguments}) ? {of}({arguments}) : {otherwise}({arguments})");
            (text, vec![of, covers, otherwise])
        }
    };
    (format!("static inline {c} {name}({parameters}) {{\n    return {body};\n}}\n"), calls)
}
