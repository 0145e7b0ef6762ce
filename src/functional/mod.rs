//! What `torch.nn.functional` holds, as free functions, composed of operations: convolutions, pooling, norms, losses. It
//! never names a primitive unless it must, knows no mode, and holds no parameters: `nn` builds on it.
//!
//! Arguments that PyTorch has defaults for are written out where they are few, and fields of an options struct with a
//! `Default` where they are three or more: `conv2d(&x, &w, Some(&b), ConvOptions { stride: [2, 2], ..Default::default() })`.

mod activation;
mod adaptive;
mod attention;
mod classification;
mod common;
mod conv;
mod conv_transpose;
mod ctc;
mod distance;
mod dropout;
mod embedding;
mod embedding_bag;
mod fold;
mod fractional_pool;
mod interpolate;
mod linear;
mod loss;
mod lp_pool;
mod margin;
mod norm;
mod pad;
mod pool;
mod shuffle;
mod unpool;

pub use activation::*;
pub use adaptive::*;
pub use attention::*;
pub use classification::*;
pub use common::Reduction;
pub use conv::*;
pub use conv_transpose::*;
pub use ctc::*;
pub use distance::*;
pub use dropout::*;
pub use embedding::{
    EmbeddingOptions, embedding, embedding_with, one_hot, try_embedding, try_embedding_with, try_one_hot,
};
pub use embedding_bag::*;
pub use fold::*;
pub use fractional_pool::*;
pub use interpolate::*;
pub use linear::*;
pub use loss::*;
pub use lp_pool::*;
pub use margin::*;
pub use norm::*;
pub use pad::*;
pub use pool::*;
pub use shuffle::*;
pub use unpool::*;
