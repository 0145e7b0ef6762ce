//! What `torch.nn.functional` holds, as free functions, composed of operations: convolutions, pooling, norms, losses. It
//! never names a primitive unless it must, knows no mode, and holds no parameters: `nn` builds on it.

mod activation;

pub use activation::*;
