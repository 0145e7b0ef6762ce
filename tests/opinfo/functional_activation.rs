//! Adapters: the activation functions of torch.nn.functional.

use crate::case::{BY_TYPE, one};
use crate::run::Adapter;
use allotrope::Error;
use allotrope::functional as f;

/// Name in the corpus, and the call it means.
pub fn adapters() -> Vec<(&'static str, Adapter)> {
    table! { c;
        "nn.functional.relu" => one(f::try_relu(c.tensor(0, "input")?)),
        "nn.functional.relu6" => one(f::try_relu6(c.tensor(0, "input")?)),
        "nn.functional.leaky_relu" => {
            one(f::try_leaky_relu(c.tensor(0, "input")?, c.float_or(1, "negative_slope", 0.01)?))
        },
        "nn.functional.elu" => one(f::try_elu(c.tensor(0, "input")?, c.float_or(1, "alpha", 1.0)?)),
        "nn.functional.selu" => one(f::try_selu(c.tensor(0, "input")?)),
        "nn.functional.celu" => one(f::try_celu(c.tensor(0, "input")?, c.float_or(1, "alpha", 1.0)?)),
        "nn.functional.gelu" => {
            let x = c.tensor(0, "input")?;
            one(match c.str_or(1, "approximate", "none")? {
                "tanh" => f::try_gelu_tanh(x),
                "none" => f::try_gelu(x),
                other => Err(Error::Argument(format!("{BY_TYPE}: approximate is {other}"))),
            })
        },
        "nn.functional.silu" => one(f::try_silu(c.tensor(0, "input")?)),
        "nn.functional.mish" => one(f::try_mish(c.tensor(0, "input")?)),
        "nn.functional.hardtanh" => {
            let (min, max) = (c.float_or(1, "min_val", -1.0)?, c.float_or(2, "max_val", 1.0)?);
            one(f::try_hardtanh(c.tensor(0, "input")?, min, max))
        },
        "nn.functional.hardsigmoid" => one(f::try_hardsigmoid(c.tensor(0, "input")?)),
        "nn.functional.hardswish" => one(f::try_hardswish(c.tensor(0, "input")?)),
        "nn.functional.softplus" => {
            let (beta, threshold) = (c.float_or(1, "beta", 1.0)?, c.float_or(2, "threshold", 20.0)?);
            one(f::try_softplus(c.tensor(0, "input")?, beta, threshold))
        },
        "nn.functional.softsign" => one(f::try_softsign(c.tensor(0, "input")?)),
        "nn.functional.logsigmoid" => one(f::try_logsigmoid(c.tensor(0, "input")?)),
        "nn.functional.glu" => one(f::try_glu(c.tensor(0, "input")?, c.int_or(1, "dim", -1)?)),
        "nn.functional.prelu" => one(f::try_prelu(c.tensor(0, "input")?, c.tensor(1, "weight")?)),
        "nn.functional.threshold" => {
            let (threshold, value) = (c.float(1, "threshold")?, c.float(2, "value")?);
            one(f::try_threshold(c.tensor(0, "input")?, threshold, value))
        },
    }
}
