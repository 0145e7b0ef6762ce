//! placeholder
use std::time::Duration;
use allotrope_ir::Graph;
pub struct Compiled;
#[derive(Default)]
pub struct Options { pub keep_clif: bool, pub other: bool }
pub struct KernelInfo;
impl std::fmt::Display for KernelInfo { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "") } }
pub enum Slot<'a> { In(&'a [u8]), InOut(&'a mut [u8]), Out(&'a mut [u8]) }
impl Compiled {
    pub fn compile(_: &Graph, _: &Options) -> Result<Compiled, crate::Error> { Err(crate::Error::Compile("no".into())) }
    pub fn scratch_bytes(&self, _: &[usize]) -> usize { 0 }
    pub fn call(&self, _: &[usize], _: &mut [Slot<'_>], _: &mut [u8]) {}
    pub fn kernels(&self) -> &[KernelInfo] { &[] }
    pub fn clif(&self) -> Option<&str> { None }
    pub fn code_size(&self) -> usize { 0 }
    pub fn phases(&self) -> &[(&'static str, Duration)] { &[] }
}
