//! A value as a pickle of protocol 2, with the instructions that PyTorch's own reader of plain data knows.

use super::DEEPEST;
use super::globals::storage_name;
use crate::state::Value;
use crate::tensor::Tensor;
use allotrope_ir::DType;
use std::collections::HashMap;

/// How a tensor lies in a storage.
pub(in super::super) struct Place {
    pub(in super::super) key: usize,
    pub(in super::super) len: usize,
    pub(in super::super) offset: usize,
    pub(in super::super) shape: Vec<usize>,
    pub(in super::super) strides: Vec<isize>,
    pub(in super::super) dtype: DType,
    pub(in super::super) requires_grad: bool,
}

/// Which tensor one is, and how it lies.
type Placing<'a> = &'a mut dyn FnMut(&Tensor) -> Result<(usize, Place), String>;

/// A pickle that is written; `place` says of each tensor how it lies, and which one it is.
pub(in super::super) struct Writer<'a> {
    out: Vec<u8>,
    /// Names and tensors that were written, and where they are kept.
    kept: HashMap<Kept, u32>,
    place: Placing<'a>,
}

#[derive(PartialEq, Eq, Hash)]
enum Kept {
    Global(&'static str, &'static str),
    Tensor(usize),
}

impl<'a> Writer<'a> {
    /// The pickle of a value.
    ///
    /// # Errors
    /// When it is too deep, or `place` fails.
    pub(in super::super) fn pickle(value: &Value, place: Placing<'a>) -> Result<Vec<u8>, String> {
        let mut w = Writer { out: vec![0x80, 2], kept: HashMap::new(), place };
        w.value(value, 0)?;
        w.out.push(b'.');
        Ok(w.out)
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("lists and dictionaries may be {DEEPEST} deep in each other, and these are deeper"));
        }
        match value {
            Value::None => self.out.push(b'N'),
            Value::Bool(b) => self.bool(*b),
            Value::Int(n) => self.int(*n),
            Value::Float(x) => {
                self.out.push(b'G');
                self.out.extend(x.to_be_bytes());
            }
            Value::Str(text) => self.text(text)?,
            Value::Tensor(t) => self.tensor(t)?,
            Value::List(all) => {
                self.out.extend(b"](");
                all.iter().try_for_each(|v| self.value(v, depth + 1))?;
                self.out.push(b'e');
            }
            Value::Tuple(all) => {
                self.out.push(b'(');
                all.iter().try_for_each(|v| self.value(v, depth + 1))?;
                self.out.push(b't');
            }
            Value::Dict(entries) => {
                self.out.extend(b"}(");
                for (key, value) in entries {
                    if !matches!(key, Value::Str(_) | Value::Int(_)) {
                        return Err("the keys of a dictionary are text or whole numbers".into());
                    }
                    self.value(key, depth + 1)?;
                    self.value(value, depth + 1)?;
                }
                self.out.push(b'u');
            }
        }
        Ok(())
    }

    fn bool(&mut self, b: bool) {
        self.out.push(if b { 0x88 } else { 0x89 });
    }

    fn int(&mut self, n: i64) {
        if let Ok(n) = u8::try_from(n) {
            self.out.extend([b'K', n]);
        } else if let Ok(n) = u16::try_from(n) {
            self.out.push(b'M');
            self.out.extend(n.to_le_bytes());
        } else if let Ok(n) = i32::try_from(n) {
            self.out.push(b'J');
            self.out.extend(n.to_le_bytes());
        } else {
            self.out.extend([0x8a, 8]);
            self.out.extend(n.to_le_bytes());
        }
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        let n = u32::try_from(text.len()).map_err(|_| "a text has more than 4 GiB".to_string())?;
        self.out.push(b'X');
        self.out.extend(n.to_le_bytes());
        self.out.extend(text.as_bytes());
        Ok(())
    }

    /// Keeps what was written last under a number.
    fn keep(&mut self, what: Kept) {
        let i = self.kept.len() as u32;
        self.kept.insert(what, i);
        self.out.push(b'r');
        self.out.extend(i.to_le_bytes());
    }

    /// Whether this was written before, and is written again by its number.
    fn again(&mut self, what: &Kept) -> bool {
        let Some(i) = self.kept.get(what) else { return false };
        self.out.push(b'j');
        self.out.extend(i.to_le_bytes());
        true
    }

    fn global(&mut self, module: &'static str, name: &'static str) {
        let what = Kept::Global(module, name);
        if !self.again(&what) {
            self.out.extend(format!("c{module}\n{name}\n").as_bytes());
            self.keep(what);
        }
    }

    fn sizes(&mut self, all: impl Iterator<Item = i64>) {
        self.out.push(b'(');
        all.for_each(|n| self.int(n));
        self.out.push(b't');
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, OrderedDict())`
    fn tensor(&mut self, t: &Tensor) -> Result<(), String> {
        let (identity, place) = (self.place)(t)?;
        if self.again(&Kept::Tensor(identity)) {
            return Ok(());
        }
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.out.extend(b"((");
        self.text("storage")?;
        self.global("torch", storage_name(place.dtype));
        self.text(&place.key.to_string())?;
        self.text("cpu")?;
        self.int(place.len as i64);
        self.out.extend(b"tQ");
        self.int(place.offset as i64);
        self.sizes(place.shape.iter().map(|&n| n as i64));
        self.sizes(place.strides.iter().map(|&n| n as i64));
        self.bool(place.requires_grad);
        self.global("collections", "OrderedDict");
        self.out.extend(b")RtR");
        self.keep(Kept::Tensor(identity));
        Ok(())
    }
}
