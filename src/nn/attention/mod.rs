//! Attention with its projections, and the layers of transformers that are built of it.

mod decoder;
mod encoder;
mod masks;
mod multihead;
mod options;
mod parts;
mod transformer;

pub use decoder::{TransformerDecoder, TransformerDecoderLayer};
pub use encoder::{TransformerEncoder, TransformerEncoderLayer};
pub use multihead::{MultiheadAttention, MultiheadForwardOptions, MultiheadOptions, NonDynamicallyQuantizableLinear};
pub use options::{
    DecoderMasks, EncoderMasks, TransformerActivation, TransformerLayerOptions, TransformerMasks, TransformerOptions,
};
pub use transformer::Transformer;
