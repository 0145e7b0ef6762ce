//! The part of Python's pickle that PyTorch's files of plain data use (<https://docs.python.org/3/library/pickletools.html>). Reading
//! makes data of bytes and nothing else: no name in a pickle is looked up or called, those that mean data are in a list.

mod convert;
mod globals;
mod machine;
mod write;

pub(super) use convert::converted;
pub(super) use machine::{Pickle, run};
pub(super) use write::{Place, Writer};

/// How deep lists and dictionaries may be in each other, in files and in what is written to them.
const DEEPEST: usize = 100;

/// One thing in a pickle, by its number in the order of making.
type Id = usize;

/// What the things of a pickle are.
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A name that is in the list.
    Global(globals::Global),
    Storage(Storage),
    Tensor(TensorNode),
}

impl Node {
    /// For messages.
    fn kind(&self) -> &'static str {
        match self {
            Node::None => "None",
            Node::Bool(_) => "a bool",
            Node::Int(_) => "an int",
            Node::Float(_) => "a float",
            Node::Str(_) => "a str",
            Node::Tuple(_) => "a tuple",
            Node::List(_) => "a list",
            Node::Dict(_) => "a dict",
            Node::Global(_) => "a name of a function or class",
            Node::Storage(_) => "a storage",
            Node::Tensor(_) => "a tensor",
        }
    }
}

/// Memory that is a member of the archive.
#[derive(Clone)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) dtype: allotrope_ir::DType,
    pub(super) len: usize,
}

/// A tensor over such memory.
#[derive(Clone)]
pub(super) struct TensorNode {
    pub(super) storage: Id,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<isize>,
    pub(super) requires_grad: bool,
}
