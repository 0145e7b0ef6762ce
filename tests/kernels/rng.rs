//! The random streams against PyTorch's.
