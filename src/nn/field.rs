//! What the fields of a struct with `#[derive(Module)]` may be, and what each shows to a visitor.

use super::module::{Module, Visitor};
use super::repr;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::tensor::{Flag, Tensor};
use allotrope_ir::DType;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

/// What tensors are replaced by.
type Replace<'a> = &'a mut dyn FnMut(&Tensor) -> Result<Tensor>;

/// A field of a module: a module is a child, a tensor a parameter, a [`Flag`] a flag; options, vectors, arrays and maps are
/// those in them; plain numbers and text are nothing. Vectors and maps are printed as PyTorch's `ModuleList` and `ModuleDict`.
pub trait Field {
    /// Shows the field to the visitor.
    fn visit_as(&self, name: &str, visitor: &mut dyn Visitor);

    /// As [`Module::map_tensors`].
    ///
    /// # Errors
    /// As there.
    fn map_field(&mut self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()>;
}

impl<M: Module> Field for M {
    fn visit_as(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.child(name, self);
    }
    fn map_field(&mut self, f: Replace<'_>) -> Result<()> {
        Module::map_tensors(self, f)
    }
}

impl Field for Tensor {
    fn visit_as(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.parameter(name, self);
    }
    fn map_field(&mut self, f: Replace<'_>) -> Result<()> {
        *self = f(self)?;
        Ok(())
    }
}

impl Field for Flag {
    fn visit_as(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.flag(name, self);
    }
    fn map_field(&mut self, _: Replace<'_>) -> Result<()> {
        Ok(())
    }
}

impl<T: Field> Field for Option<T> {
    fn visit_as(&self, name: &str, visitor: &mut dyn Visitor) {
        if let Some(field) = self {
            field.visit_as(name, visitor);
        }
    }
    fn map_field(&mut self, f: Replace<'_>) -> Result<()> {
        self.iter_mut().try_for_each(|field| field.map_field(f))
    }
}

/// A module that several own; it is replaced only while it has one owner.
macro_rules! shared {
    ($($pointer:ident)*) => {$(
        impl<M: Module + ?Sized> Module for $pointer<M> {
            fn visit(&self, visitor: &mut dyn Visitor) {
                (**self).visit(visitor);
            }
            fn map_tensors(&mut self, f: Replace<'_>) -> Result<()> {
                let class = self.class_name();
                match $pointer::get_mut(self) {
                    Some(module) => module.map_tensors(f),
                    None => Err(Error::argument(format!(
                        "{class} has several owners, so its tensors cannot be replaced; do that before it is shared"
                    ))),
                }
            }
            fn class_name(&self) -> &'static str {
                (**self).class_name()
            }
            fn extra_repr(&self) -> String {
                (**self).extra_repr()
            }
            fn repr(&self) -> String {
                (**self).repr()
            }
        }
    )*};
}
shared!(Rc Arc);

/// Fields in a row, seen as a module.
struct Items<'a, T>(&'a [T]);

impl<T: Field> Module for Items<'_, T> {
    fn visit(&self, visitor: &mut dyn Visitor) {
        self.0.iter().enumerate().for_each(|(i, item)| item.visit_as(&i.to_string(), visitor));
    }
    fn class_name(&self) -> &'static str {
        "ModuleList"
    }
    fn repr(&self) -> String {
        list_repr(self.class_name(), |visitor| self.visit(visitor))
    }
}

/// A list of what is shown as children, as PyTorch prints it.
pub(super) fn list_repr(class: &str, visit: impl FnOnce(&mut dyn Visitor)) -> String {
    struct Texts(Vec<String>);
    impl Visitor for Texts {
        fn child(&mut self, _: &str, module: &dyn Module) {
            self.0.push(module.repr());
        }
    }
    let mut texts = Texts(Vec::new());
    visit(&mut texts);
    repr::list(class, &texts.0)
}

impl<T: Field> Field for Vec<T> {
    fn visit_as(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.child(name, &Items(self));
    }
    fn map_field(&mut self, f: Replace<'_>) -> Result<()> {
        self.iter_mut().try_for_each(|item| item.map_field(f))
    }
}

impl<T: Field, const N: usize> Field for [T; N] {
    fn visit_as(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.child(name, &Items(self));
    }
    fn map_field(&mut self, f: Replace<'_>) -> Result<()> {
        self.iter_mut().try_for_each(|item| item.map_field(f))
    }
}

/// Fields by name, seen as a module.
struct Entries<'a, T>(Vec<(&'a String, &'a T)>);

impl<T: Field> Module for Entries<'_, T> {
    fn visit(&self, visitor: &mut dyn Visitor) {
        self.0.iter().for_each(|(name, item)| item.visit_as(name, visitor));
    }
    fn class_name(&self) -> &'static str {
        "ModuleDict"
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    fn visit_as(&self, name: &str, visitor: &mut dyn Visitor) {
        visitor.child(name, &Entries(self.iter().collect()));
    }
    fn map_field(&mut self, f: Replace<'_>) -> Result<()> {
        self.values_mut().try_for_each(|item| item.map_field(f))
    }
}

/// In order of the names, since a hash map has none.
impl<T: Field, S> Field for HashMap<String, T, S> {
    fn visit_as(&self, name: &str, visitor: &mut dyn Visitor) {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_by_key(|(name, _)| *name);
        visitor.child(name, &Entries(entries));
    }
    fn map_field(&mut self, f: Replace<'_>) -> Result<()> {
        self.values_mut().try_for_each(|item| item.map_field(f))
    }
}

macro_rules! plain {
    ($($ty:ty)*) => {$(
        impl Field for $ty {
            fn visit_as(&self, _: &str, _: &mut dyn Visitor) {}
            fn map_field(&mut self, _: Replace<'_>) -> Result<()> {
                Ok(())
            }
        }
    )*};
}
plain!(bool u8 u16 u32 u64 usize i8 i16 i32 i64 isize f32 f64 char String &'static str DType Device);
