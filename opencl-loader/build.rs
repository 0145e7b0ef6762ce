//! Puts an empty library of the name `OpenCL` where the linker looks first. `cl-sys` asks for that name; the functions
//! themselves are those of this crate.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    // An archive without members is nothing but its first line. The second name is for Microsoft's linker.
    for name in ["libOpenCL.a", "OpenCL.lib"] {
        fs::write(folder.join(name), "!<arch>\n").expect("a writable OUT_DIR");
    }
    println!("cargo::rustc-link-search=native={}", folder.display());
}
