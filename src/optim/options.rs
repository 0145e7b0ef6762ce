//! The hyperparameters of a rule, named once for all that is done with them: they are checked, saved and loaded by one
//! visitor. What they mean is the rule's.

use crate::error::{Error, Result};
use crate::state::Value;

/// Numbers that a hyperparameter may be.
#[derive(Copy, Clone)]
pub struct Range {
    holds: fn(f64) -> bool,
    says: &'static str,
}

impl Range {
    /// Finite and at least 0.
    pub const NOT_NEGATIVE: Range =
        Range { holds: |x| x >= 0.0 && x.is_finite(), says: "a finite number of at least 0" };
    /// From 0 on, below 1.
    pub const BELOW_ONE: Range = Range { holds: |x| (0.0..1.0).contains(&x), says: "in [0, 1)" };
    /// From 0 to 1.
    pub const UNIT: Range = Range { holds: |x| (0.0..=1.0).contains(&x), says: "in [0, 1]" };
    /// Between 0 and 1, without both.
    pub const INSIDE_UNIT: Range = Range { holds: |x| x > 0.0 && x < 1.0, says: "in (0, 1)" };
    /// Above 0.
    pub const ABOVE_ZERO: Range = Range { holds: |x| x > 0.0 && x.is_finite(), says: "a finite number above 0" };
    /// Above 1.
    pub const ABOVE_ONE: Range = Range { holds: |x| x > 1.0 && x.is_finite(), says: "a finite number above 1" };
    /// Any number that is one.
    pub const ANY: Range = Range { holds: |x| !x.is_nan(), says: "a number" };

    /// Refuses what is not in it.
    pub fn check(self, of: &str, name: &str, x: f64) -> Result<()> {
        match (self.holds)(x) {
            true => Ok(()),
            false => Err(Error::argument(format!("{of}: {name} must be {}, got {x}", self.says))),
        }
    }
}

/// What is shown each hyperparameter in turn, under PyTorch's name.
pub trait Fields {
    /// A number.
    fn number(&mut self, name: &'static str, value: &mut f64, range: Range) -> Result<()>;
    /// Two numbers that PyTorch has as a tuple, each with what messages call it.
    fn pair(&mut self, name: &'static str, value: &mut (f64, f64), each: [(&'static str, Range); 2]) -> Result<()>;
    /// A switch.
    fn flag(&mut self, name: &'static str, value: &mut bool) -> Result<()>;
    /// What PyTorch has in its state dict and has no meaning here, with the value that says "not used".
    fn fixed(&mut self, name: &'static str, value: Value) -> Result<()>;
}

/// The hyperparameters of a rule, but for the learning rate.
pub trait Options: Clone + PartialEq + Default + std::fmt::Debug + Send + Sync + 'static {
    /// Shows each of them.
    ///
    /// # Errors
    /// Those of `fields`, and where several do not fit together.
    fn fields(&mut self, fields: &mut dyn Fields) -> Result<()>;

    /// What schedulers call the momentum, with its name in the state dict: `momentum`, or the first of the `betas`.
    fn momentum(&mut self) -> Option<(&'static str, &mut f64)> {
        None
    }
}

/// The decays of the first and the second moment.
pub(super) fn betas(fields: &mut dyn Fields, value: &mut (f64, f64)) -> Result<()> {
    fields.pair("betas", value, [("the first beta", Range::BELOW_ONE), ("the second beta", Range::BELOW_ONE)])
}

/// PyTorch's ways to compute the same: which of them is taken has no meaning here.
pub(super) fn ways(fields: &mut dyn Fields, names: &[&'static str]) -> Result<()> {
    names.iter().try_for_each(|name| {
        fields.fixed(name, if matches!(*name, "foreach" | "fused") { Value::None } else { Value::Bool(false) })
    })
}

/// Refuses hyperparameters outside of their ranges.
pub(super) fn check<O: Options>(of: &str, options: &O) -> Result<()> {
    struct Check<'a>(&'a str);
    impl Fields for Check<'_> {
        fn number(&mut self, name: &'static str, value: &mut f64, range: Range) -> Result<()> {
            range.check(self.0, name, *value)
        }
        fn pair(&mut self, _: &'static str, value: &mut (f64, f64), each: [(&'static str, Range); 2]) -> Result<()> {
            each[0].1.check(self.0, each[0].0, value.0)?;
            each[1].1.check(self.0, each[1].0, value.1)
        }
        fn flag(&mut self, _: &'static str, _: &mut bool) -> Result<()> {
            Ok(())
        }
        fn fixed(&mut self, _: &'static str, _: Value) -> Result<()> {
            Ok(())
        }
    }
    options.clone().fields(&mut Check(of))
}

/// The hyperparameters as the state dict has them.
pub(super) fn save<O: Options>(options: &O) -> Result<Vec<(&'static str, Value)>> {
    struct Save(Vec<(&'static str, Value)>);
    impl Fields for Save {
        fn number(&mut self, name: &'static str, value: &mut f64, _: Range) -> Result<()> {
            self.0.push((name, Value::Float(*value)));
            Ok(())
        }
        fn pair(&mut self, name: &'static str, value: &mut (f64, f64), _: [(&'static str, Range); 2]) -> Result<()> {
            self.0.push((name, Value::Tuple(vec![Value::Float(value.0), Value::Float(value.1)])));
            Ok(())
        }
        fn flag(&mut self, name: &'static str, value: &mut bool) -> Result<()> {
            self.0.push((name, Value::Bool(*value)));
            Ok(())
        }
        fn fixed(&mut self, name: &'static str, value: Value) -> Result<()> {
            self.0.push((name, value));
            Ok(())
        }
    }
    let mut all = Save(Vec::new());
    options.clone().fields(&mut all)?;
    Ok(all.0)
}

/// The hyperparameters that a group of a state dict has. One that an older state dict does not have stays as it is. `known` gets
/// the names of all of them.
pub(super) fn load<O: Options>(of: &str, options: &O, group: &Value, known: &mut Vec<&'static str>) -> Result<O> {
    struct Load<'a> {
        of: &'a str,
        group: &'a Value,
        known: &'a mut Vec<&'static str>,
    }
    impl Load<'_> {
        fn find(&mut self, name: &'static str) -> Option<&Value> {
            self.known.push(name);
            self.group.get(name)
        }
        fn refuse(&self, name: &str, wanted: &str) -> Error {
            Error::argument(format!("{}: the state dict has {name} that is not {wanted}", self.of))
        }
    }
    impl Fields for Load<'_> {
        fn number(&mut self, name: &'static str, value: &mut f64, range: Range) -> Result<()> {
            let Some(found) = self.find(name) else { return Ok(()) };
            *value = number(found).ok_or_else(|| self.refuse(name, "a number"))?;
            range.check(self.of, name, *value)
        }
        fn pair(&mut self, name: &'static str, value: &mut (f64, f64), each: [(&'static str, Range); 2]) -> Result<()> {
            let Some(found) = self.find(name) else { return Ok(()) };
            let two = found.as_list().and_then(|list| match list {
                [a, b] => Some((number(a)?, number(b)?)),
                _ => None,
            });
            *value = two.ok_or_else(|| self.refuse(name, "two numbers"))?;
            each[0].1.check(self.of, each[0].0, value.0)?;
            each[1].1.check(self.of, each[1].0, value.1)
        }
        fn flag(&mut self, name: &'static str, value: &mut bool) -> Result<()> {
            let Some(found) = self.find(name) else { return Ok(()) };
            *value = found.as_bool().ok_or_else(|| self.refuse(name, "a bool"))?;
            Ok(())
        }
        fn fixed(&mut self, name: &'static str, _: Value) -> Result<()> {
            self.find(name);
            Ok(())
        }
    }
    let mut loaded = options.clone();
    loaded.fields(&mut Load { of, group, known })?;
    Ok(loaded)
}

/// A number of a state dict, which PyTorch may have as a tensor of one element.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Tensor(t) if t.shape_hint().iter().product::<usize>() == 1 => {
            t.detach().to(allotrope_ir::DType::F64).try_item().ok()
        }
        Value::Bool(_) => None,
        other => other.as_float(),
    }
}
