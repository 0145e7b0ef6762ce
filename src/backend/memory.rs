//! A block of bytes of a device. What is in it can be reached by its backend only: the rest of the library moves it
//! about, and asks the backend for copies.

use crate::backend::cpu::memory::Block;
use std::any::Any;

/// A block of memory of a device, which a tensor and its views share.
///
/// Nobody but the backend that made it can look inside: [`Backend::download`](crate::backend::Backend::download) gives
/// copies of its bytes.
pub struct Memory(pub(in crate::backend) Kind);

/// The block of this processor needs no further allocation, which small tensors would feel.
pub(in crate::backend) enum Kind {
    Cpu(Block),
    Other(Box<dyn DeviceMemory>),
}

/// Memory of a backend's own.
pub trait DeviceMemory: Any + Send + Sync {
    /// Bytes in it.
    fn bytes(&self) -> usize;
}

impl Memory {
    /// Memory of a backend's own.
    pub fn new(memory: impl DeviceMemory) -> Memory {
        Memory(Kind::Other(Box::new(memory)))
    }

    /// The memory as its backend made it; none where it is of another type.
    pub fn get<T: DeviceMemory>(&self) -> Option<&T> {
        match &self.0 {
            Kind::Cpu(_) => None,
            Kind::Other(memory) => (&**memory as &dyn Any).downcast_ref(),
        }
    }

    /// As [`Memory::get`], to be changed.
    pub fn get_mut<T: DeviceMemory>(&mut self) -> Option<&mut T> {
        match &mut self.0 {
            Kind::Cpu(_) => None,
            Kind::Other(memory) => (&mut **memory as &mut dyn Any).downcast_mut(),
        }
    }

    /// Bytes in it.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Kind::Cpu(block) => block.len(),
            Kind::Other(memory) => memory.bytes(),
        }
    }
}
