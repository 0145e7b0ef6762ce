//! What models are built of. Layers are written with tensor operations: they know nothing of modes, graphs or code.

mod activation;
mod field;
mod forward;
pub mod init;
mod linear;
mod loading;
mod loss;
mod module;
mod repr;
mod rnn;

pub use crate::functional::{mse_loss, try_mse_loss};
pub use activation::{
    Approximate, Celu, Elu, Gelu, Glu, Hardshrink, Hardsigmoid, Hardswish, Hardtanh, LeakyRelu, LogSigmoid, LogSoftmax,
    Mish, PRelu, PReluOptions, RRelu, Relu, Relu6, Selu, Sigmoid, Silu, Softmax, Softmax2d, Softmin, Softplus,
    Softshrink, Softsign, Tanh, Tanhshrink, Threshold,
};
pub use allotrope_derive::Module;
pub use field::Field;
pub use forward::{Forward, ModuleDict, ModuleList, Sequential};
pub use linear::Linear;
pub use loss::{
    AdaptiveLogSoftmaxOptions, AdaptiveLogSoftmaxWithLoss, BceLoss, BceWithLogitsLoss, CosineEmbeddingLoss,
    CosineSimilarity, CrossEntropyLoss, CtcLoss, GaussianNllLoss, HingeEmbeddingLoss, HuberLoss, KlDivLoss, L1Loss,
    MarginRankingLoss, MseLoss, MultiLabelMarginLoss, MultiLabelSoftMarginLoss, MultiMarginLoss, NllLoss,
    PairwiseDistance, PoissonNllLoss, SmoothL1Loss, SoftMarginLoss, TripletMarginLoss, TripletMarginWithDistanceLoss,
};
pub use module::{IncompatibleKeys, Module, Visitor};
pub use rnn::{Nonlinearity, Rnn};
