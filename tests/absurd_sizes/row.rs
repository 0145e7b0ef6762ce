//! What a line of the tables is: a call with a hole for the size, the sizes that go there, and when success is right. It
//! calls nothing.

use allotrope::prelude::*;
use allotrope::{Error, Result};

/// The tensors that the calls are made on; in a trace they are its arguments.
pub struct Tensors<'a> {
    /// f32 `[2, 3]`.
    pub x: &'a Tensor,
    /// i64 `[2]`: 0 and 1.
    pub i: &'a Tensor,
    /// f32 `[1, 2, 6]`.
    pub line: &'a Tensor,
    /// f32 `[1, 2, 4, 4]`.
    pub image: &'a Tensor,
    /// f32 `[1, 2, 3, 4, 4]`.
    pub volume: &'a Tensor,
    /// Weights `[2, 2, 3]`, `[2, 2, 3, 3]`, `[2, 2, 2, 2, 2]`.
    pub w1: &'a Tensor,
    pub w2: &'a Tensor,
    pub w3: &'a Tensor,
    /// i64 without axes: 1.
    pub one: &'a Tensor,
    /// f32 `[3]`.
    pub v: &'a Tensor,
}

impl<'a> Tensors<'a> {
    pub fn all() -> Vec<Tensor> {
        let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32);
        vec![
            ones(&[2, 3]),
            Tensor::arange(2),
            ones(&[1, 2, 6]),
            ones(&[1, 2, 4, 4]),
            ones(&[1, 2, 3, 4, 4]),
            ones(&[2, 2, 3]),
            ones(&[2, 2, 3, 3]),
            ones(&[2, 2, 2, 2, 2]),
            Tensor::scalar(1i64),
            ones(&[3]),
        ]
    }

    pub fn of(all: &'a [Tensor]) -> Tensors<'a> {
        let [x, i, line, image, volume, w1, w2, w3, one, v] = all else { panic!("as many tensors") };
        Tensors { x, i, line, image, volume, w1, w2, w3, one, v }
    }
}

/// What a call gave: by a function that returns errors, or by one that panics.
pub enum Given {
    Tried(Result<Vec<Tensor>>),
    Plain(Vec<Tensor>),
}

/// What functions return, as tensors.
pub trait Out {
    fn tensors(self) -> Vec<Tensor>;
}

impl Out for Tensor {
    fn tensors(self) -> Vec<Tensor> {
        vec![self]
    }
}

impl Out for &Tensor {
    fn tensors(self) -> Vec<Tensor> {
        vec![self.clone()]
    }
}

impl Out for Vec<Tensor> {
    fn tensors(self) -> Vec<Tensor> {
        self
    }
}

impl Out for (Tensor, Tensor) {
    fn tensors(self) -> Vec<Tensor> {
        vec![self.0, self.1]
    }
}

impl Out for (Tensor, Tensor, Tensor) {
    fn tensors(self) -> Vec<Tensor> {
        vec![self.0, self.1, self.2]
    }
}

impl Out for () {
    fn tensors(self) -> Vec<Tensor> {
        vec![]
    }
}

/// Where a row's call goes into [`Given`]; one trait for both, because a `Result` is no tensor.
pub trait Gives {
    fn given(self) -> Given;
}

impl<T: Out> Gives for Result<T, Error> {
    fn given(self) -> Given {
        Given::Tried(self.map(Out::tensors))
    }
}

/// A function that panics only.
pub struct Plain<T>(pub T);

impl<T: Out> Gives for Plain<T> {
    fn given(self) -> Given {
        Given::Plain(self.0.tensors())
    }
}

#[derive(Clone, Copy)]
pub enum Call {
    Unsigned(fn(&Tensors<'_>, usize) -> Given),
    Signed(fn(&Tensors<'_>, isize) -> Given),
}

/// How a call is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    Eager,
    Traced,
    Dynamic,
}

const FORMS: [Form; 3] = [Form::Eager, Form::Traced, Form::Dynamic];

const UNSIGNED: [usize; 9] =
    [usize::MAX, usize::MAX - 1, usize::MAX / 2 + 1, isize::MAX as usize, (1 << 62) + 2, 1 << 62, 1 << 61, 1 << 40, 0];
const SIGNED: [isize; 9] = [isize::MAX, isize::MIN, isize::MIN + 1, (1 << 62) + 2, 1 << 62, -(1 << 62), 1 << 40, 0, -1];

pub struct Row {
    /// The functions that it calls, as `file::function`, and the fields of options, as `Options.field`.
    pub of: &'static str,
    /// The call as it is written.
    pub text: &'static str,
    pub call: Call,
    /// The sizes for which success is right, other than 0 and -1: a view of so many elements, an edge that is cut off.
    pub right: fn(i128) -> bool,
    /// Whether an error must name the size.
    pub named: bool,
}

impl Row {
    pub fn name(&self) -> String {
        format!("{} {}", self.of, self.text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn sizes(&self) -> usize {
        match self.call {
            Call::Unsigned(_) => UNSIGNED.len(),
            Call::Signed(_) => SIGNED.len(),
        }
    }

    pub fn cases(&self) -> usize {
        self.sizes() * FORMS.len()
    }

    pub fn form(&self, case: usize) -> Form {
        FORMS[case / self.sizes()]
    }

    pub fn size(&self, case: usize) -> i128 {
        match self.call {
            Call::Unsigned(_) => UNSIGNED[case % self.sizes()] as i128,
            Call::Signed(_) => SIGNED[case % self.sizes()] as i128,
        }
    }

    pub fn case_name(&self, case: usize) -> String {
        format!("{} [n = {}, {:?}]", self.name(), self.size(case), self.form(case))
    }
}

/// Rows whose errors need not name the number.
pub fn unnamed(rows: Vec<Row>) -> Vec<Row> {
    rows.into_iter().map(|row| Row { named: false, ..row }).collect()
}

/// No size is right.
pub fn never(_: i128) -> bool {
    false
}

/// Rows of one table: `name: call;`, or `name: call, right if |n| ..;`.
macro_rules! table {
    ($kind:ident $n:ident: $ty:ty, $t:ident; $($of:literal: $e:expr $(, right if $right:expr)?;)*) => {
        vec![$($crate::row::Row {
            of: $of,
            text: stringify!($e),
            call: $crate::row::Call::$kind({
                #[allow(unused_variables)]
                fn call($t: &$crate::row::Tensors<'_>, $n: $ty) -> $crate::row::Given {
                    $crate::row::Gives::given($e)
                }
                call
            }),
            right: {
                #[allow(unused_mut, unused_assignments)]
                let mut right: fn(i128) -> bool = $crate::row::never;
                $(right = $right;)?
                right
            },
            named: true,
        }),*]
    };
}
pub(crate) use table;
