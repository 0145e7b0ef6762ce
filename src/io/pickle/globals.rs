//! The names that a pickle may have, and what each is made into. Nothing is imported: a name that is not here is refused.

use super::{Id, Node, Storage, TensorNode};
use allotrope_ir::DType;

/// A name that means data.
#[derive(Copy, Clone, PartialEq)]
pub(in super::super) enum Global {
    /// `collections.OrderedDict` and `collections.Counter`: dictionaries.
    Dict,
    /// `torch.Size`: a tuple.
    Size,
    /// `torch.device`: its name.
    Device,
    /// `torch.float32` and the like: its name.
    Dtype(&'static str),
    /// The class of a storage.
    StorageOf(DType),
    Tensor,
    Parameter,
}

/// The storage class of each dtype.
const STORAGES: [(&str, DType); 8] = [
    ("BoolStorage", DType::Bool),
    ("ByteStorage", DType::U8),
    ("IntStorage", DType::I32),
    ("LongStorage", DType::I64),
    ("HalfStorage", DType::F16),
    ("BFloat16Storage", DType::BF16),
    ("FloatStorage", DType::F32),
    ("DoubleStorage", DType::F64),
];

const DTYPES: [&str; 14] = [
    "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64", "half", "float",
    "double", "long",
];

/// The class of a storage of this dtype.
pub(super) fn storage_name(dtype: DType) -> &'static str {
    STORAGES.iter().find(|(_, known)| *known == dtype).expect("every dtype has a storage").0
}

impl Global {
    /// # Errors
    /// For a name that is not in the list.
    pub(super) fn of(module: &str, name: &str) -> Result<Global, String> {
        let storage = STORAGES.iter().find(|(known, _)| *known == name).map(|(_, dtype)| Global::StorageOf(*dtype));
        let dtype = DTYPES.iter().find(|known| **known == name).map(|known| Global::Dtype(known));
        let known = match (module, name) {
            ("collections", "OrderedDict" | "Counter") => Some(Global::Dict),
            ("torch", "Size") => Some(Global::Size),
            ("torch", "device") => Some(Global::Device),
            ("torch", _) => storage.or(dtype),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Global::Tensor),
            ("torch._utils", "_rebuild_parameter") => Some(Global::Parameter),
            _ => None,
        };
        if let ("torch", None, Some(kind)) = (module, known, name.strip_suffix("Storage")) {
            let all: Vec<&str> = STORAGES.iter().filter_map(|(known, _)| known.strip_suffix("Storage")).collect();
            return Err(format!(
                "holds a storage of {kind}, which no dtype here fits; those that do are {}",
                all.join(", ")
            ));
        }
        known.ok_or_else(|| {
            format!(
                "names {module}.{name}, which is not loaded: only tensors, numbers, text, lists, tuples and dictionaries are. Save \
                 the state_dict() of a module or an optimizer instead of the object"
            )
        })
    }

    /// What it makes of its arguments.
    ///
    /// # Errors
    /// When they are none of its.
    pub(super) fn called(self, nodes: &[Node], args: &[Id], copies: &mut Copies) -> Result<Node, String> {
        let arg = |i: usize| args.get(i).map(|&id| &nodes[id]);
        let none = |what: &str| {
            let given: Vec<&str> = args.iter().map(|&id| nodes[id].kind()).collect();
            Err(format!("is damaged: {what} of ({})", given.join(", ")))
        };
        match self {
            Global::Dict => match (arg(0), args.len()) {
                (None, 0) => Ok(Node::Dict(Vec::new())),
                (Some(Node::Dict(entries)), 1) => Ok(Node::Dict(copies.of(entries)?)),
                _ => none("a dictionary"),
            },
            Global::Size => match (arg(0), args.len()) {
                (Some(Node::Tuple(sizes) | Node::List(sizes)), 1) => Ok(Node::Tuple(copies.of(sizes)?)),
                _ => none("a size"),
            },
            Global::Device => match (arg(0), arg(1), args.len()) {
                (Some(Node::Str(name)), None, 1) => Ok(Node::Str(copies.text(name)?)),
                (Some(Node::Str(name)), Some(Node::Int(n)), 2) => Ok(Node::Str(format!("{}:{n}", copies.text(name)?))),
                _ => none("a device"),
            },
            Global::Tensor => match (arg(0), arg(1), arg(2), arg(3), arg(4), args.len()) {
                (
                    Some(Node::Storage(_)),
                    Some(Node::Int(offset)),
                    Some(Node::Tuple(shape)),
                    Some(Node::Tuple(strides)),
                    Some(Node::Bool(requires_grad)),
                    6 | 7,
                ) => {
                    copies.count(shape.len() + strides.len())?;
                    let sizes = |all: &[Id]| all.iter().map(|&id| size(&nodes[id])).collect::<Option<Vec<usize>>>();
                    let (Some(offset), Some(shape), Some(strides)) =
                        (usize::try_from(*offset).ok(), sizes(shape), sizes(strides))
                    else {
                        return none("a tensor with such sizes");
                    };
                    // Each is below 2^63.
                    let strides = strides.into_iter().map(|s| s as isize).collect();
                    Ok(Node::Tensor(TensorNode {
                        storage: args[0],
                        offset,
                        shape,
                        strides,
                        requires_grad: *requires_grad,
                    }))
                }
                _ => none("a tensor"),
            },
            Global::Parameter => match (arg(0), arg(1), args.len()) {
                (Some(Node::Tensor(t)), Some(Node::Bool(requires_grad)), 3) => {
                    copies.count(t.shape.len() + t.strides.len())?;
                    Ok(Node::Tensor(TensorNode { requires_grad: *requires_grad, ..t.clone() }))
                }
                _ => none("a parameter"),
            },
            Global::Dtype(_) | Global::StorageOf(_) => none("a call of what cannot be called,"),
        }
    }
}

/// How much of what a pickle has made it may still copy: a long thing that is used again and again would be more than any memory.
pub(super) struct Copies(pub(super) usize);

impl Copies {
    fn count(&mut self, n: usize) -> Result<(), String> {
        self.0 = self.0.checked_sub(n).ok_or("uses the same things so often that it is meant to do harm")?;
        Ok(())
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> Result<Vec<T>, String> {
        self.count(all.len()).map(|()| all.to_vec())
    }

    fn text(&mut self, text: &str) -> Result<String, String> {
        self.count(text.len()).map(|()| text.to_string())
    }
}

fn size(node: &Node) -> Option<usize> {
    if let Node::Int(n) = node { usize::try_from(*n).ok() } else { None }
}

/// What PyTorch writes in place of a storage: `("storage", class, key, location, length)`.
///
/// # Errors
/// When it is something else.
pub(super) fn persistent(nodes: &[Node], id: Id, copies: &mut Copies) -> Result<Node, String> {
    if let Node::Tuple(parts) = &nodes[id]
        && let [what, class, key, _, len] = parts[..]
        && let (Node::Str(what), Node::Global(Global::StorageOf(dtype)), Node::Str(key)) =
            (&nodes[what], &nodes[class], &nodes[key])
        && what == "storage"
        && let Some(len) = size(&nodes[len])
    {
        return Ok(Node::Storage(Storage { key: copies.text(key)?, dtype: *dtype, len }));
    }
    Err("is damaged: what stands for a storage is none".to_string())
}
