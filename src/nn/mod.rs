//! What models are built of. Layers are written with tensor operations: they know nothing of modes, graphs or code.

mod activation;
mod attention;
mod field;
mod forward;
pub mod init;
mod linear;
mod loading;
mod loss;
mod module;
mod recurrent;
mod repr;

pub use crate::functional::{mse_loss, try_mse_loss};
pub use activation::{
    Approximate, Celu, Elu, Gelu, Glu, Hardshrink, Hardsigmoid, Hardswish, Hardtanh, LeakyRelu, LogSigmoid, LogSoftmax,
    Mish, PRelu, PReluOptions, RRelu, Relu, Relu6, Selu, Sigmoid, Silu, Softmax, Softmax2d, Softmin, Softplus,
    Softshrink, Softsign, Tanh, Tanhshrink, Threshold,
};
pub use allotrope_derive::Module;
pub use attention::{
    DecoderMasks, EncoderMasks, MultiheadAttention, MultiheadForwardOptions, MultiheadOptions,
    NonDynamicallyQuantizableLinear, Transformer, TransformerActivation, TransformerDecoder, TransformerDecoderLayer,
    TransformerEncoder, TransformerEncoderLayer, TransformerLayerOptions, TransformerMasks, TransformerOptions,
};
pub use field::Field;
pub use forward::{Forward, ModuleDict, ModuleList, Sequential};
pub use linear::Linear;
pub use loss::{
    BceLoss, BceWithLogitsLoss, CosineEmbeddingLoss, CosineSimilarity, CrossEntropyLoss, CtcLoss, GaussianNllLoss,
    HingeEmbeddingLoss, HuberLoss, KlDivLoss, L1Loss, MarginRankingLoss, MseLoss, MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss, MultiMarginLoss, NllLoss, PairwiseDistance, PoissonNllLoss, SmoothL1Loss, SoftMarginLoss,
    TripletMarginLoss, TripletMarginWithDistanceLoss,
};
pub use module::{IncompatibleKeys, Module, Visitor};
pub use recurrent::{
    CellOptions, Gru, GruCell, GruOptions, Lstm, LstmCell, LstmOptions, Nonlinearity, Rnn, RnnCell, RnnCellOptions,
    RnnOptions,
};

/// Sequences of different lengths in one batch, `torch.nn.utils.rnn`.
pub mod rnn {
    pub use super::recurrent::{
        Lengths, PackedSequence, PadPackedOptions, PadSequenceOptions, PaddingSide, pack_padded_sequence,
        pack_sequence, pad_packed_sequence, pad_sequence, try_pack_padded_sequence, try_pack_sequence,
        try_pad_packed_sequence, try_pad_sequence, try_unpad_sequence, unpad_sequence,
    };
}
