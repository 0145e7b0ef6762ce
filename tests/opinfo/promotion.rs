//! Result dtypes as PyTorch's own table has them, for every pair of dtypes and for numbers beside tensors. The operators
//! are called through their adapters, so this knows none of them. A dtype that the library has no name for fails.

use crate::adapters;
use crate::corpus::{Data, Given, Host, Operator, Sample, folder};
use crate::quiet::is_crash;
use crate::report::shown;
use crate::run::{Adapter, Run, Stop};
use allotrope::DType;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// A column of the table: the adapter, and an argument after the operands.
type Column = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// Every column there is.
const COLUMNS: [Column; 22] = [
    ("add", "add", None),
    ("mul", "mul", None),
    ("div", "div.no_rounding_mode", None),
    ("true_divide", "div.no_rounding_mode", None),
    ("floor_divide", "div.floor_rounding", Some(("rounding_mode", "floor"))),
    ("pow", "pow", None),
    ("maximum", "maximum", None),
    ("eq", "eq", None),
    ("sum", "sum", None),
    ("prod", "prod", None),
    ("mean", "mean", None),
    ("cumsum", "cumsum", Some(("dim", "0"))),
    ("amax", "amax", None),
    ("var", "var.unbiased", None),
    ("exp", "exp", None),
    ("sqrt", "sqrt", None),
    ("abs", "abs", None),
    ("neg", "neg", None),
    ("sigmoid", "sigmoid", None),
    ("softmax", "softmax", Some(("dim", "0"))),
    ("argmax", "argmax", None),
    ("any", "any", None),
];

#[test]
fn result_dtypes_are_those_of_pytorch() {
    let path = folder().join("promotion.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let table: Value = serde_json::from_str(&text).expect("promotion.json");
    let mut check = Check { adapters: adapters(), passed: [0; 2], failed: [0; 2], wrong: BTreeMap::new() };
    for row in ["binary", "unary"].iter().flat_map(|part| table[*part].as_array().expect("a list of rows")) {
        check.row(row);
    }
    for (column, wrong) in &check.wrong {
        println!("{column}: {} wrong", wrong.len());
        wrong.iter().take(shown(4)).for_each(|w| println!("  {w}"));
    }
    let ([eager, traced], [eager_wrong, traced_wrong]) = (check.passed, check.failed);
    println!("promotion: eager: {eager} passed, {eager_wrong} failed; traced: {traced} passed, {traced_wrong} failed");
    assert!(check.wrong.is_empty(), "result dtypes are not PyTorch's; they are listed above");
}

struct Check {
    adapters: Vec<(&'static str, Adapter)>,
    /// Eager, traced.
    passed: [usize; 2],
    failed: [usize; 2],
    /// By column.
    wrong: BTreeMap<String, Vec<String>>,
}

impl Check {
    fn row(&mut self, row: &Value) {
        let row = row.as_object().expect("a row");
        for (column, want) in row {
            // What `result_type` says is what `add` gives.
            if ["a", "a_ndim", "b", "b_ndim", "scalar", "result_type"].contains(&column.as_str()) {
                continue;
            }
            let want = want.as_str().expect("a dtype or an error");
            let found = self.case(column, &Value::Object(row.clone()), want);
            for (mode, (name, problem)) in [("eager", &found[0]), ("traced", &found[1])].into_iter().enumerate() {
                match problem {
                    None => self.passed[mode] += 1,
                    Some(what) => {
                        self.failed[mode] += 1;
                        let wrong = self.wrong.entry(column.clone()).or_default();
                        wrong.push(format!("{name}: {}: {what}", operands(row)));
                    }
                }
            }
        }
    }

    /// What is wrong in each mode.
    fn case(&self, column: &str, row: &Value, want: &str) -> [Option<String>; 2] {
        let both = |text: String| [Some(text.clone()), Some(text)];
        let Some((_, name, more)) = COLUMNS.iter().find(|(c, ..)| *c == column) else {
            return both("a column that the test does not know".into());
        };
        let Some((_, adapter)) = self.adapters.iter().find(|(n, _)| n == name) else {
            return both(format!("no adapter for {name}"));
        };
        let mut tensors = HashMap::new();
        let mut args = Vec::new();
        for key in ["a", "b"] {
            let Some(dtype) = row[key].as_str() else { continue };
            let Some(dtype) = DType::from_name(dtype) else { return both(format!("no dtype {dtype}")) };
            let ndim = row[format!("{key}_ndim")].as_u64().unwrap_or(1) as usize;
            tensors.insert(key.to_string(), ones(dtype, ndim));
            args.push(Given::Tensor(key.to_string()));
        }
        args.extend(row["scalar"].as_str().map(|kind| match kind {
            "bool" => Given::Bool(true),
            "int" => Given::Int(2),
            _ => Given::Float(2.5),
        }));
        let value = |text: &str| text.parse().map_or_else(|_| Given::Str(text.to_string()), Given::Int);
        let kwargs = more.iter().map(|(name, text)| (name.to_string(), value(text))).collect();
        let sample = Sample::call(name, args, kwargs);
        let op = Operator { samples: Vec::new(), tensors };
        let run = Run { op: &op, sample: &sample, adapter: *adapter };
        [run.eager(false), run.traced(false)].map(|done| match (done, want.strip_prefix("error: ")) {
            (Ok(got), None) if got.outputs[0].dtype.name() == want => None,
            (Ok(got), None) => Some(format!("got {}, wanted {want}", got.outputs[0].dtype)),
            (Ok(got), Some(theirs)) => Some(format!("got {}, PyTorch says: {theirs}", got.outputs[0].dtype)),
            (Err(Stop::Refused(text) | Stop::Panicked(text)), Some(_)) if !is_crash(&text) => None,
            (Err(stop), _) => Some(format!("{}, wanted {want}", stop.text())),
        })
    }
}

fn ones(dtype: DType, ndim: usize) -> Host {
    let shape = vec![2; ndim];
    Host { dtype, data: Data::I64(vec![1; shape.iter().product()]), shape }
}

fn operands(row: &serde_json::Map<String, Value>) -> String {
    let text = |key: &str| row.get(key).map_or_else(String::new, |v| v.as_str().unwrap_or_default().to_string());
    let axes = |key: &str| row.get(key).and_then(Value::as_u64).map_or("", |n| if n == 0 { "[]" } else { "[2]" });
    let other = if row.contains_key("b") { format!(", {}{}", text("b"), axes("b_ndim")) } else { String::new() };
    let scalar = if row.contains_key("scalar") { format!(", a number: {}", text("scalar")) } else { String::new() };
    format!("{}{}{other}{scalar}", text("a"), axes("a_ndim"))
}
