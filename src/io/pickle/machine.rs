//! The machine that reads a pickle: a stack of numbers of things, and a table of those that are used again. It makes at most one
//! thing of each instruction, keeps them in one list, and knows nothing of files and tensors.

use super::globals::{Copies, Global, persistent};
use super::{Id, Node};
use std::collections::HashMap;

/// Things that a pickle may make.
const MOST: usize = 1 << 24;

/// What a pickle has made.
pub(in super::super) struct Pickle {
    pub(super) nodes: Vec<Node>,
    pub(super) root: Id,
    /// Bytes that it was read from.
    pub(super) len: usize,
}

struct Machine<'a> {
    rest: &'a [u8],
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Where the open marks stand in the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    copies: Copies,
}

/// Reads a pickle of protocol 2 to 5.
///
/// # Errors
/// When it is damaged, or holds what is not data.
pub(in super::super) fn run(bytes: &[u8]) -> Result<Pickle, String> {
    let mut m = Machine {
        rest: bytes,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        copies: Copies(bytes.len().saturating_mul(4)),
    };
    loop {
        let at = bytes.len() - m.rest.len();
        if let Some(root) = m.step().map_err(|e| format!("{e} (byte {at} of the pickle)"))? {
            return Ok(Pickle { nodes: m.nodes, root, len: bytes.len() });
        }
    }
}

impl<'a> Machine<'a> {
    /// Carries out one instruction; gives the result at the last one.
    fn step(&mut self) -> Result<Option<Id>, String> {
        match self.byte()? {
            // PROTO
            0x80 => match self.byte()? {
                2..=5 => {}
                other => return Err(format!("is a pickle of protocol {other}; 2 to 5 are read")),
            },
            // FRAME: only says how long a part is.
            0x95 => drop(self.array::<8>()?),
            // MARK
            b'(' => self.marks.push(self.stack.len()),
            // STOP
            b'.' => return self.pop().map(Some),
            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            // BININT, BININT1, BININT2, LONG1
            b'J' => {
                let n = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(n.into()))?;
            }
            b'K' => {
                let n = self.byte()?;
                self.push(Node::Int(n.into()))?;
            }
            b'M' => {
                let n = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(n.into()))?;
            }
            0x8a => {
                let n = self.byte()?;
                let digits = self.bytes(n.into())?;
                let n = long(digits)?;
                self.push(Node::Int(n))?;
            }
            // BINFLOAT
            b'G' => {
                let x = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(x))?;
            }
            // BINUNICODE, SHORT_BINUNICODE, BINUNICODE8
            b'X' => {
                let n = u32::from_le_bytes(self.array()?);
                self.text(n.into())?;
            }
            0x8c => {
                let n = self.byte()?;
                self.text(n.into())?;
            }
            0x8d => {
                let n = u64::from_le_bytes(self.array()?);
                self.text(n)?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b')' => self.push(Node::Tuple(Vec::new()))?,
            // TUPLE, TUPLE1, TUPLE2, TUPLE3
            b't' => {
                let parts = self.pop_marked()?;
                self.push(Node::Tuple(parts))?;
            }
            n @ 0x85..=0x87 => {
                let parts = self.pop_many(usize::from(n - 0x84))?;
                self.push(Node::Tuple(parts))?;
            }
            // APPEND, APPENDS, SETITEM, SETITEMS
            b'a' => {
                let parts = self.pop_many(1)?;
                self.append(parts)?;
            }
            b'e' => {
                let parts = self.pop_marked()?;
                self.append(parts)?;
            }
            b's' => {
                let parts = self.pop_many(2)?;
                self.set_items(&parts)?;
            }
            b'u' => {
                let parts = self.pop_marked()?;
                self.set_items(&parts)?;
            }
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                let global = Global::of(module, name)?;
                self.global(global)?;
            }
            0x93 => {
                let parts = self.pop_many(2)?;
                let (Node::Str(module), Node::Str(name)) = (&self.nodes[parts[0]], &self.nodes[parts[1]]) else {
                    return Err("is damaged: a name that is no text".into());
                };
                let global = Global::of(module, name)?;
                self.global(global)?;
            }
            // REDUCE
            b'R' => {
                let parts = self.pop_many(2)?;
                let (Node::Global(global), Node::Tuple(args)) = (&self.nodes[parts[0]], &self.nodes[parts[1]]) else {
                    return Err("is damaged: a call of what is no function".into());
                };
                let made = global.called(&self.nodes, args, &mut self.copies)?;
                self.push(made)?;
            }
            // BUILD: the attributes of a module's state dict, which say what version each layer has.
            b'b' => {
                self.pop()?;
                let target = self.top()?;
                if !matches!(self.nodes[target], Node::Dict(_)) {
                    let kind = self.nodes[target].kind();
                    return Err(format!("sets attributes of {kind}; only those of dictionaries are left out"));
                }
            }
            // BINPERSID
            b'Q' => {
                let id = self.pop()?;
                let storage = persistent(&self.nodes, id, &mut self.copies)?;
                self.push(storage)?;
            }
            // BINPUT, LONG_BINPUT, MEMOIZE
            b'q' => {
                let i = self.byte()?;
                self.put(i.into())?;
            }
            b'r' => {
                let i = u32::from_le_bytes(self.array()?);
                self.put(i)?;
            }
            0x94 => {
                let i = u32::try_from(self.memo.len()).map_err(|_| "has too many things".to_string())?;
                self.put(i)?;
            }
            // BINGET, LONG_BINGET
            b'h' => {
                let i = self.byte()?;
                self.get(i.into())?;
            }
            b'j' => {
                let i = u32::from_le_bytes(self.array()?);
                self.get(i)?;
            }
            other => return Err(format!("has the instruction {other:#04x}, which no file of plain data has")),
        }
        Ok(None)
    }

    fn bytes(&mut self, n: u64) -> Result<&'a [u8], String> {
        let cut = || format!("is cut off: {n} bytes should follow, and {} do", self.rest.len());
        let (taken, rest) = usize::try_from(n).ok().and_then(|n| self.rest.split_at_checked(n)).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.bytes(N as u64)?);
        Ok(out)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let n = self.rest.iter().position(|b| *b == b'\n').ok_or("is cut off inside a name")?;
        let line = self.bytes(n as u64 + 1)?;
        std::str::from_utf8(&line[..n]).map_err(|_| "is damaged: a name that is no text".into())
    }

    fn text(&mut self, n: u64) -> Result<(), String> {
        let text = std::str::from_utf8(self.bytes(n)?).map_err(|_| "has text that is not UTF-8".to_string())?;
        self.push(Node::Str(text.to_string()))
    }

    fn push(&mut self, node: Node) -> Result<(), String> {
        if self.nodes.len() == MOST {
            return Err(format!("has more than {MOST} things"));
        }
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    fn global(&mut self, global: Global) -> Result<(), String> {
        self.push(match global {
            Global::Dtype(name) => Node::Str(format!("torch.{name}")),
            other => Node::Global(other),
        })
    }

    /// The lowest place that is above every open mark.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id, String> {
        self.stack[self.floor()..].last().copied().ok_or_else(|| "is damaged: its stack is empty".to_string())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, n: usize) -> Result<Vec<Id>, String> {
        if self.stack.len() - self.floor() < n {
            return Err("is damaged: its stack is empty".into());
        }
        Ok(self.stack.split_off(self.stack.len() - n))
    }

    fn pop_marked(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or("is damaged: a list ends that has not begun")?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, parts: Vec<Id>) -> Result<(), String> {
        let target = self.top()?;
        match &mut self.nodes[target] {
            Node::List(all) => all.extend(parts),
            other => return Err(format!("is damaged: {} takes no elements", other.kind())),
        }
        Ok(())
    }

    fn set_items(&mut self, parts: &[Id]) -> Result<(), String> {
        let target = self.top()?;
        let (pairs, rest) = parts.as_chunks::<2>();
        match &mut self.nodes[target] {
            Node::Dict(all) if rest.is_empty() => all.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            Node::Dict(_) => return Err("is damaged: a dictionary with a key and no value".into()),
            other => return Err(format!("is damaged: {} takes no keys", other.kind())),
        }
        Ok(())
    }

    fn put(&mut self, i: u32) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(i, top);
        Ok(())
    }

    fn get(&mut self, i: u32) -> Result<(), String> {
        let id = *self.memo.get(&i).ok_or_else(|| format!("is damaged: thing {i} is used and was not kept"))?;
        self.stack.push(id);
        Ok(())
    }
}

/// A whole number of any length, little-endian, in two's complement.
fn long(digits: &[u8]) -> Result<i64, String> {
    let sign = if digits.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut out = [sign; 8];
    let fits =
        digits.iter().skip(8).all(|b| *b == sign) && digits.get(7).is_none_or(|b| (b & 0x80 != 0) == (sign != 0));
    if !fits {
        return Err("has a whole number of more than 64 bits".into());
    }
    digits.iter().take(8).zip(&mut out).for_each(|(digit, place)| *place = *digit);
    Ok(i64::from_le_bytes(out))
}
