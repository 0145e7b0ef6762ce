//! The table of the primitives: the name and the attributes of each, one row a primitive. From it come the text form, the
//! parser, comparison, and every change of dimensions and axes; nobody else lists attributes. A primitive without a row,
//! and a row without one of its attributes, do not compile. What a primitive means is not said here.

use crate::{
    ArgOp, Axes, BinaryOp, CompareOp, DType, Dim, Graph, Op, ReduceOp, Scalar, Scan, ScatterOp, Shape, Sym, UnaryOp,
};
use smallvec::{SmallVec, smallvec};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident($type:ty)),* $(,)?) => {
        /// What an attribute is: it decides how it is printed and read, and what becomes of it when dimensions are
        /// mapped or an axis is put in front.
        #[derive(Copy, Clone, Debug, PartialEq, Eq)]
        pub enum AttributeKind { $($(#[$doc])* $kind),* }

        /// An attribute of a primitive.
        #[derive(Debug)]
        pub enum Attribute<'a, D = Dim> { $($kind(&'a $type)),* }

        /// An attribute, owned.
        #[derive(Clone, Debug)]
        pub enum AttributeValue<D = Dim> { $($kind($type)),* }

        impl<D> Attribute<'_, D> {
            pub fn kind(&self) -> AttributeKind {
                match self { $(Attribute::$kind(_) => AttributeKind::$kind),* }
            }
        }
    };
}

kinds! {
    /// Printed without a name.
    Scalar(Scalar),
    /// A dimension printed without a name.
    Size(D),
    Dim(D),
    /// The shape of the result.
    Shape(Shape<D>),
    /// An axis of an operand.
    Axis(usize),
    /// Axes of an operand, ascending.
    Axes(Axes),
    /// All axes of the operand.
    Permutation(Axes),
    Number(usize),
    Id(u32),
    /// Printed as its name where it is set.
    Flag(bool),
    DType(DType),
    /// Printed without a name.
    Text(Box<str>),
    /// The frame of a loop, and its body.
    Loop(Box<Scan>),
    Body(Box<Graph>),
}

/// The attributes of one primitive with their names, in the order of the text form.
pub type Attributes<'a, D = Dim> = SmallVec<[(&'static str, Attribute<'a, D>); 5]>;

/// The names and kinds of the attributes of one primitive.
pub type Schema = &'static [(&'static str, AttributeKind)];

macro_rules! primitives {
    (
        named { $($one:ident = $name:literal { $($field:tt: $key:ident $kind:ident),* })* }
        families { $($family:ident($op:tt: $ops:ident) { $($ffield:tt: $fkey:ident $fkind:ident),* })* }
    ) => {
        impl<D> Op<D> {
            /// The mnemonic of the text form.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Op::$one { .. } => $name,)*
                    $(Op::$family { $op: op, .. } => op.name(),)*
                }
            }

            /// Its attributes, in the order of the text form.
            pub fn attributes(&self) -> Attributes<'_, D> {
                match self {
                    $(Op::$one { $($field: $key),* } => smallvec![$((stringify!($key), Attribute::$kind($key))),*],)*
                    $(Op::$family { $op: _, $($ffield: $fkey),* } => {
                        smallvec![$((stringify!($fkey), Attribute::$fkind($fkey))),*]
                    })*
                }
            }

            /// The same primitive with other attributes.
            ///
            /// # Panics
            /// When one is not of the kind of that which it replaces.
            pub fn map_attributes<E>(&self, mut f: impl FnMut(Attribute<'_, D>) -> AttributeValue<E>) -> Op<E> {
                // A primitive without attributes asks for none.
                let _ = &mut f;
                match self {
                    $(Op::$one { $($field: $key),* } => Op::$one {
                        $($field: match f(Attribute::$kind($key)) {
                            AttributeValue::$kind(x) => x,
                            other => other.is_no(AttributeKind::$kind),
                        }),*
                    },)*
                    $(Op::$family { $op: op, $($ffield: $fkey),* } => Op::$family {
                        $op: *op,
                        $($ffield: match f(Attribute::$fkind($fkey)) {
                            AttributeValue::$fkind(x) => x,
                            other => other.is_no(AttributeKind::$fkind),
                        }),*
                    },)*
                }
            }

            /// The primitive of that name, with the attributes that `give` has for each name; none where there is none.
            ///
            /// # Errors
            /// That of `give`.
            pub(crate) fn build<E>(
                name: &str,
                mut give: impl FnMut(&'static str, AttributeKind) -> Result<AttributeValue<D>, E>,
            ) -> Result<Option<Op<D>>, E> {
                // A primitive without attributes asks for none.
                let _ = &mut give;
                $(if name == $name {
                    return Ok(Some(Op::$one {
                        $($field: match give(stringify!($key), AttributeKind::$kind)? {
                            AttributeValue::$kind(x) => x,
                            other => other.is_no(AttributeKind::$kind),
                        }),*
                    }));
                })*
                $(if let Some(op) = $ops::ALL.iter().find(|op| op.name() == name) {
                    return Ok(Some(Op::$family {
                        $op: *op,
                        $($ffield: match give(stringify!($fkey), AttributeKind::$fkind)? {
                            AttributeValue::$fkind(x) => x,
                            other => other.is_no(AttributeKind::$fkind),
                        }),*
                    }));
                })*
                Ok(None)
            }
        }

        /// The attributes of the primitive of that name; none where there is none.
        pub fn schema(name: &str) -> Option<Schema> {
            $(if name == $name {
                return Some(&[$((stringify!($key), AttributeKind::$kind)),*]);
            })*
            $(if $ops::ALL.iter().any(|op| op.name() == name) {
                return Some(&[$((stringify!($fkey), AttributeKind::$fkind)),*]);
            })*
            None
        }

        /// The names of all primitives.
        pub fn primitive_names() -> Vec<&'static str> {
            let mut out = vec![$($name),*];
            $(out.extend($ops::ALL.iter().map(|op| op.name()));)*
            out
        }
    };
}

primitives! {
    named {
        Input = "input" {}
        Const = "const" { 0: value Scalar }
        Extent = "extent" { 0: size Size }
        Iota = "iota" { 0: size Size }
        Select = "select" {}
        Cast = "cast" { 0: dtype DType }
        Broadcast = "broadcast" { 0: shape Shape }
        Reshape = "reshape" { 0: shape Shape }
        Permute = "permute" { 0: axes Permutation }
        Slice = "slice" { axis: axis Axis, start: start Dim, len: len Dim }
        Flip = "flip" { 0: axes Axes }
        Window = "window" { axis: axis Axis, count: count Dim, size: size Dim, step: step Number, dilation: dilation Number }
        OverlapAdd = "overlap_add" { axis: axis Axis, len: len Dim, step: step Number, dilation: dilation Number }
        Gather = "gather" { axis: axis Axis }
        ArgSort = "argsort" { axis: axis Axis, descending: descending Flag }
        Recurrence = "recurrence" { axis: axis Axis, reverse: reverse Flag }
        Check = "check" { 0: message Text }
        Barrier = "barrier" { 0: number Id }
        Concat = "concat" { axis: axis Axis }
        Matmul = "matmul" {}
        AddMatmul = "addmatmul" {}
        Scan = "scan" { 0: scan Loop }
        Fusion = "fusion" { 0: body Body }
    }
    families {
        Unary(0: UnaryOp) {}
        Binary(0: BinaryOp) {}
        Compare(0: CompareOp) {}
        Reduce(op: ReduceOp) { axes: axes Axes }
        Scatter(op: ScatterOp) { axis: axis Axis }
        ArgReduce(op: ArgOp) { axis: axis Axis }
    }
}

impl<D> AttributeValue<D> {
    fn is_no<T>(&self, kind: AttributeKind) -> T {
        panic!("bug in this library: an attribute is no {kind:?}")
    }
}

impl<D> Attribute<'_, D> {
    /// The dimensions in it.
    fn dims(&self) -> &[D] {
        match self {
            Attribute::Size(d) | Attribute::Dim(d) => std::slice::from_ref(*d),
            Attribute::Shape(s) => s,
            // A loop's length is always a `Dim`, see `Op::visit_dims`.
            Attribute::Loop(_) | Attribute::Body(_) => &[],
            Attribute::Axis(_) | Attribute::Axes(_) | Attribute::Permutation(_) => &[],
            Attribute::Scalar(_) | Attribute::Number(_) | Attribute::Id(_) | Attribute::Flag(_) => &[],
            Attribute::DType(_) | Attribute::Text(_) => &[],
        }
    }

    /// The attribute with its dimensions mapped.
    pub fn map_dims<E>(&self, f: &mut dyn FnMut(&D) -> E) -> AttributeValue<E> {
        match *self {
            Attribute::Scalar(x) => AttributeValue::Scalar(*x),
            Attribute::Size(d) => AttributeValue::Size(f(d)),
            Attribute::Dim(d) => AttributeValue::Dim(f(d)),
            Attribute::Shape(s) => AttributeValue::Shape(s.iter().map(f).collect()),
            Attribute::Axis(a) => AttributeValue::Axis(*a),
            Attribute::Axes(a) => AttributeValue::Axes(a.clone()),
            Attribute::Permutation(a) => AttributeValue::Permutation(a.clone()),
            Attribute::Number(n) => AttributeValue::Number(*n),
            Attribute::Id(n) => AttributeValue::Id(*n),
            Attribute::Flag(on) => AttributeValue::Flag(*on),
            Attribute::DType(t) => AttributeValue::DType(*t),
            Attribute::Text(text) => AttributeValue::Text(text.clone()),
            Attribute::Loop(s) => AttributeValue::Loop(s.clone()),
            Attribute::Body(g) => AttributeValue::Body(g.clone()),
        }
    }

    /// The same where every operand, and the result, has one more axis in front, of that length.
    fn behind_axis(&self, length: &D) -> AttributeValue<D>
    where
        D: Clone,
    {
        fn behind(axes: &Axes) -> impl Iterator<Item = usize> + '_ {
            axes.iter().map(|a| a + 1)
        }
        match self {
            Attribute::Shape(s) => {
                AttributeValue::Shape(std::iter::once(length.clone()).chain(s.iter().cloned()).collect())
            }
            Attribute::Axis(a) => AttributeValue::Axis(**a + 1),
            Attribute::Axes(axes) => AttributeValue::Axes(behind(axes).collect()),
            Attribute::Permutation(axes) => {
                AttributeValue::Permutation(std::iter::once(0).chain(behind(axes)).collect())
            }
            Attribute::Scalar(_) | Attribute::Size(_) | Attribute::Dim(_) | Attribute::Number(_) | Attribute::Id(_) => {
                self.map_dims(&mut D::clone)
            }
            Attribute::Flag(_) | Attribute::DType(_) | Attribute::Text(_) | Attribute::Loop(_) | Attribute::Body(_) => {
                self.map_dims(&mut D::clone)
            }
        }
    }

    fn equal_by(&self, other: &Attribute<'_, D>, same: impl Fn(&D, &D) -> bool) -> bool {
        match (self, other) {
            (Attribute::Scalar(a), Attribute::Scalar(b)) => a == b,
            (Attribute::Axis(a), Attribute::Axis(b)) | (Attribute::Number(a), Attribute::Number(b)) => a == b,
            (Attribute::Axes(a), Attribute::Axes(b)) | (Attribute::Permutation(a), Attribute::Permutation(b)) => a == b,
            (Attribute::Id(a), Attribute::Id(b)) => a == b,
            (Attribute::Flag(a), Attribute::Flag(b)) => a == b,
            (Attribute::DType(a), Attribute::DType(b)) => a == b,
            (Attribute::Text(a), Attribute::Text(b)) => a == b,
            (Attribute::Loop(a), Attribute::Loop(b)) => a == b,
            (Attribute::Body(a), Attribute::Body(b)) => a == b,
            // Dimensions; and kinds that differ, which have none or another number of them.
            (a, b) => {
                let (x, y) = (a.dims(), b.dims());
                a.kind() == b.kind() && x.len() == y.len() && x.iter().zip(y).all(|(a, b)| same(a, b))
            }
        }
    }
}

impl<D> Op<D> {
    /// Whether both are the same primitive with the same attributes, where dimensions are compared by `same`.
    pub fn equal_by(&self, other: &Op<D>, same: impl Fn(&D, &D) -> bool) -> bool {
        self.name() == other.name()
            && (self.attributes().iter().zip(&other.attributes())).all(|((_, a), (_, b))| a.equal_by(b, &same))
    }

    /// The same primitive with its dimensions mapped; those of bodies and loops stay.
    pub fn map_dims<E>(&self, f: &mut dyn FnMut(&D) -> E) -> Op<E> {
        self.map_attributes(|a| a.map_dims(f))
    }

    /// The primitive on operands that have one more axis in front, of that length, as the result has.
    pub(crate) fn behind_axis(&self, length: &D) -> Op<D>
    where
        D: Clone,
    {
        self.map_attributes(|a| a.behind_axis(length))
    }
}

impl Op {
    /// Every dimension that it holds, bodies and types in them included.
    pub fn visit_dims(&self, f: &mut dyn FnMut(&Dim)) {
        for (_, attribute) in self.attributes() {
            attribute.dims().iter().for_each(&mut *f);
        }
        if let Op::Scan(s) = self {
            f(&s.length);
        }
        if let Some(body) = self.body() {
            body.visit_dims(f);
        }
    }

    /// Replaces every dimension that [`Op::visit_dims`] shows.
    pub(crate) fn resolve_dims(&mut self, of: &dyn Fn(&Dim) -> Dim) {
        if self.attributes().iter().any(|(_, a)| !a.dims().is_empty()) {
            *self = self.map_dims(&mut |d| of(d));
        }
        if let Op::Scan(s) = self {
            s.length = of(&s.length);
        }
        if let Some(body) = self.body_mut() {
            body.resolve(of);
        }
    }

    /// Every symbol that it names, each once, ascending.
    pub fn symbols(&self) -> Vec<Sym> {
        let mut out = Vec::new();
        self.visit_dims(&mut |d| out.extend(d.symbols()));
        out.sort_unstable();
        out.dedup();
        out
    }
}
