//! The parameters of one layer in one direction: how they are drawn, what PyTorch calls them. They compute nothing.

use super::step::Kind;
use crate::error::Result;
use crate::nn::init::{bias_bound, uniform_parameter};
use crate::tensor::Tensor;
use allotrope_ir::DType;

/// `[gates, in]`, `[gates, hidden]`, `[gates]` each, and `[projected, hidden]`.
pub(super) struct Weights {
    pub(super) ih: Tensor,
    pub(super) hh: Tensor,
    pub(super) bias: Option<Biases>,
    pub(super) hr: Option<Tensor>,
}

/// PyTorch has one for the input and one for the hidden state.
pub(super) struct Biases {
    pub(super) ih: Tensor,
    pub(super) hh: Tensor,
}

impl Weights {
    /// Drawn as PyTorch draws them: each uniform in ±1/√hidden, in the order of their names.
    pub(super) fn drawn(
        kind: Kind,
        inputs: usize,
        hidden: usize,
        projected: usize,
        bias: bool,
        dtype: DType,
    ) -> Result<Weights> {
        let draw = |shape: &[usize]| uniform_parameter(shape, bias_bound(hidden), dtype);
        let gates = hidden.saturating_mul(kind.gates());
        let given = if projected > 0 { projected } else { hidden };
        Ok(Weights {
            ih: draw(&[gates, inputs])?,
            hh: draw(&[gates, given])?,
            bias: if bias { Some(Biases { ih: draw(&[gates])?, hh: draw(&[gates])? }) } else { None },
            hr: if projected > 0 { Some(draw(&[projected, hidden])?) } else { None },
        })
    }

    /// The parameters with the begin of their names, in order.
    pub(super) fn named(&self) -> Vec<(&'static str, &Tensor)> {
        let mut all = vec![("weight_ih", &self.ih), ("weight_hh", &self.hh)];
        if let Some(bias) = &self.bias {
            all.extend([("bias_ih", &bias.ih), ("bias_hh", &bias.hh)]);
        }
        all.extend(self.hr.iter().map(|hr| ("weight_hr", hr)));
        all
    }

    /// As [`Module::map_tensors`](crate::nn::Module::map_tensors).
    pub(super) fn map(&mut self, f: &mut dyn FnMut(&Tensor) -> Result<Tensor>) -> Result<()> {
        let bias = self.bias.iter_mut().flat_map(|bias| [&mut bias.ih, &mut bias.hh]);
        let mut all = [&mut self.ih, &mut self.hh].into_iter().chain(bias).chain(&mut self.hr);
        all.try_for_each(|tensor| {
            *tensor = f(tensor)?;
            Ok(())
        })
    }
}
