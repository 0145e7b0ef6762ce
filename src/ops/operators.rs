//! Rust's operators on tensors and numbers; they only call the operations of the same name. `%` is Python's (the sign of
//! the divisor); `&`, `|`, `^` and `!` are bitwise, and of bools logical. The assigning forms change the elements in place.

use super::arg::{Arg, Number};
use super::elementwise::{binary, try_bitwise_and, try_bitwise_or, try_bitwise_xor, try_div, try_remainder};
use crate::error::{Result, must};
use crate::tensor::Tensor;
use allotrope_ir::BinaryOp;
use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Sub};
use std::ops::{AddAssign, BitAndAssign, BitOrAssign, BitXorAssign, DivAssign, MulAssign, RemAssign, SubAssign};

fn add(a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    binary("add", BinaryOp::Add, a, b)
}

fn sub(a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    // A number less a tensor is another function of PyTorch's.
    let name = if matches!(a, Arg::Number(_)) { "rsub" } else { "sub" };
    binary(name, BinaryOp::Sub, a, b)
}

fn mul(a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    binary("mul", BinaryOp::Mul, a, b)
}

fn div(a: Arg<'_>, b: Arg<'_>) -> Result<Tensor> {
    match (a, b) {
        // Python's operator, as PyTorch defines it.
        (Arg::Number(a), Arg::Tensor(b)) => b.try_reciprocal()?.try_mul(a),
        _ => try_div(a, b),
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident $call:ident ($($number:ty as $kind:ident),*);)*) => {$(
        impl $trait<&Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                must($call(Arg::Tensor(self), Arg::Tensor(other)))
            }
        }
        impl $trait<Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                (&self).$method(&other)
            }
        }
        impl $trait<&Tensor> for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: &Tensor) -> Tensor {
                (&self).$method(other)
            }
        }
        impl $trait<Tensor> for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: Tensor) -> Tensor {
                self.$method(&other)
            }
        }
        $(
            impl $trait<$number> for &Tensor {
                type Output = Tensor;
                #[track_caller]
                fn $method(self, other: $number) -> Tensor {
                    must($call(Arg::Tensor(self), Arg::Number(Number::$kind(other))))
                }
            }
            impl $trait<$number> for Tensor {
                type Output = Tensor;
                #[track_caller]
                fn $method(self, other: $number) -> Tensor {
                    (&self).$method(other)
                }
            }
            impl $trait<&Tensor> for $number {
                type Output = Tensor;
                #[track_caller]
                fn $method(self, other: &Tensor) -> Tensor {
                    must($call(Arg::Number(Number::$kind(self)), Arg::Tensor(other)))
                }
            }
            impl $trait<Tensor> for $number {
                type Output = Tensor;
                #[track_caller]
                fn $method(self, other: Tensor) -> Tensor {
                    self.$method(&other)
                }
            }
        )*
    )*};
}

operators! {
    Add add add (f64 as Float, i64 as Int);
    Sub sub sub (f64 as Float, i64 as Int);
    Mul mul mul (f64 as Float, i64 as Int);
    Div div div (f64 as Float, i64 as Int);
    Rem rem try_remainder (f64 as Float, i64 as Int);
    BitAnd bitand try_bitwise_and (i64 as Int, bool as Bool);
    BitOr bitor try_bitwise_or (i64 as Int, bool as Bool);
    BitXor bitxor try_bitwise_xor (i64 as Int, bool as Bool);
}

macro_rules! unary {
    ($($trait:ident $method:ident $call:ident;)*) => {$(
        impl $trait for &Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self) -> Tensor {
                must(self.$call())
            }
        }
        impl $trait for Tensor {
            type Output = Tensor;
            #[track_caller]
            fn $method(self) -> Tensor {
                must(self.$call())
            }
        }
    )*};
}

unary! {
    Neg neg try_neg;
    Not not try_bitwise_not;
}

macro_rules! assigning {
    ($($trait:ident $method:ident $call:ident ($($number:ty),*);)*) => {$(
        impl $trait<&Tensor> for Tensor {
            #[track_caller]
            fn $method(&mut self, other: &Tensor) {
                must(self.$call(other).map(|_| ()));
            }
        }
        impl $trait<Tensor> for Tensor {
            #[track_caller]
            fn $method(&mut self, other: Tensor) {
                must(self.$call(&other).map(|_| ()));
            }
        }
        $(
            impl $trait<$number> for Tensor {
                #[track_caller]
                fn $method(&mut self, other: $number) {
                    must(self.$call(other).map(|_| ()));
                }
            }
        )*
    )*};
}

assigning! {
    AddAssign add_assign try_add_ (f64, i64);
    SubAssign sub_assign try_sub_ (f64, i64);
    MulAssign mul_assign try_mul_ (f64, i64);
    DivAssign div_assign try_div_ (f64, i64);
    RemAssign rem_assign try_remainder_ (f64, i64);
    BitAndAssign bitand_assign try_bitwise_and_ (i64, bool);
    BitOrAssign bitor_assign try_bitwise_or_ (i64, bool);
    BitXorAssign bitxor_assign try_bitwise_xor_ (i64, bool);
}
