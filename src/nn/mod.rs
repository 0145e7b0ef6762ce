//! What models are built of. Layers are written with tensor operations: they know nothing of modes, graphs or code.

mod activation;
mod attention;
mod constructors;
mod conv;
mod conv_transpose;
mod distance;
mod dropout;
mod embedding;
mod embedding_bag;
mod field;
mod forward;
pub mod init;
mod linear;
mod loading;
mod loss;
mod module;
mod norm;
mod pad;
mod per_axis;
mod pool;
mod recurrent;
mod repr;
mod shape;
mod upsample;

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
pub use loss::{
    AdaptiveLogSoftmaxOptions, AdaptiveLogSoftmaxWithLoss, BceLoss, BceWithLogitsLoss, CosineEmbeddingLoss,
    CrossEntropyLoss, CtcLoss, GaussianNllLoss, HingeEmbeddingLoss, HuberLoss, KlDivLoss, L1Loss,
    LinearCrossEntropyLoss, LinearCrossEntropyOptions, MarginRankingLoss, MseLoss, MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss, MultiMarginLoss, NllLoss, PoissonNllLoss, SmoothL1Loss, SoftMarginLoss,
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
pub use conv::{Conv1d, Conv1dOptions, Conv2d, Conv2dOptions, Conv3d, Conv3dOptions, ConvLayerOptions, PaddingMode};
pub use conv_transpose::{
    ConvTranspose1d, ConvTranspose1dOptions, ConvTranspose2d, ConvTranspose2dOptions, ConvTranspose3d,
    ConvTranspose3dOptions, ConvTransposeLayerOptions,
};
pub use distance::{CosineSimilarity, PairwiseDistance};
pub use dropout::{AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d, FeatureAlphaDropout};
pub use embedding::{Embedding, EmbeddingOptions};
pub use embedding_bag::{EmbeddingBag, EmbeddingBagOptions};
pub use linear::{Bilinear, Identity, Linear, LinearOptions};
pub use norm::{
    BatchNorm1d, BatchNorm2d, BatchNorm3d, BatchNormOptions, GroupNorm, GroupNormOptions, InstanceNorm1d,
    InstanceNorm2d, InstanceNorm3d, InstanceNormOptions, LayerNorm, LayerNormOptions, LocalResponseNorm,
    LocalResponseNormOptions, RmsNorm, RmsNormOptions,
};
pub use pad::{
    CircularPad1d, CircularPad2d, CircularPad3d, ConstantPad1d, ConstantPad2d, ConstantPad3d, ReflectionPad1d,
    ReflectionPad2d, ReflectionPad3d, ReplicationPad1d, ReplicationPad2d, ReplicationPad3d, ZeroPad1d, ZeroPad2d,
    ZeroPad3d,
};
pub use per_axis::{PerAxis, Sides};
pub use pool::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d,
    AvgPool1d, AvgPool1dOptions, AvgPool2d, AvgPool2dOptions, AvgPool3d, AvgPool3dOptions, AvgPoolOptions,
    FractionalMaxPool2d, FractionalMaxPool3d, LpPool1d, LpPool2d, LpPool3d, LpPoolOptions, MaxPool1d, MaxPool1dOptions,
    MaxPool2d, MaxPool2dOptions, MaxPool3d, MaxPool3dOptions, MaxPoolOptions, MaxUnpool1d, MaxUnpool2d, MaxUnpool3d,
    UnpoolOptions,
};
pub use shape::{ChannelShuffle, Flatten, Fold, FoldOptions, PixelShuffle, PixelUnshuffle, Unflatten, Unfold};
pub use upsample::{Upsample, UpsamplingBilinear2d, UpsamplingNearest2d};
