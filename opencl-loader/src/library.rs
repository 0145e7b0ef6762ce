//! The system's library of OpenCL and the addresses of its functions. It calls none of them.

use libloading::Library;
use std::error::Error;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// The variable that names the library to open instead of the system's.
pub const VARIABLE: &str = "ALLOTROPE_OPENCL_LIBRARY";

/// The names that the library has, in the order in which they are tried.
const NAMES: &[&str] = if cfg!(windows) {
    &["OpenCL.dll"]
} else if cfg!(target_os = "macos") {
    &["/System/Library/Frameworks/OpenCL.framework/OpenCL"]
} else {
    &["libOpenCL.so.1", "libOpenCL.so"]
};

/// The name of the library that was opened.
///
/// # Errors
/// Where none can be opened: what the system said of each that was tried.
pub fn library() -> Result<&'static str, &'static str> {
    opened().as_ref().map(|opened| opened.name.as_str()).map_err(String::as_str)
}

struct Opened {
    name: String,
    library: Library,
}

/// The library, opened when it is first asked for. It stays open as long as the program: drivers do not like to be unloaded.
fn opened() -> &'static Result<Opened, String> {
    static OPENED: OnceLock<Result<Opened, String>> = OnceLock::new();
    OPENED.get_or_init(|| {
        let given = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty());
        let names = match &given {
            Some(name) => vec![name.as_str()],
            None => NAMES.to_vec(),
        };
        if given.is_none()
            && let Some(library) = loaded_before()
        {
            return Ok(Opened { name: "that was loaded with the program".to_string(), library });
        }
        let mut refused = Vec::new();
        for name in names {
            // SAFETY: the initialisers of OpenCL's library are made to be run in any program.
            match unsafe { Library::new(name) } {
                Ok(library) => return Ok(Opened { name: name.to_string(), library }),
                Err(error) => refused.push(match error.source() {
                    Some(source) => source.to_string(),
                    None => format!("{name}: {error}"),
                }),
            }
        }
        Err(refused.join("; "))
    })
}

/// A library that has the functions and was loaded with the program, which is how oclgrind puts itself in the place of the
/// system's.
#[cfg(unix)]
fn loaded_before() -> Option<Library> {
    let library = Library::from(libloading::os::unix::Library::this());
    // SAFETY: what is found is only seen as the address that it is; the type of a function is as large.
    let found = *unsafe { library.get::<*const c_void>(b"clGetPlatformIDs\0") }.ok()?;
    // A program that shows its functions to others shows those of this crate too.
    (found != crate::clGetPlatformIDs as *const c_void).then_some(library)
}

#[cfg(not(unix))]
fn loaded_before() -> Option<Library> {
    None
}

/// A function of the library, looked for when it is first called.
pub(crate) struct Function {
    /// Ends with a zero.
    name: &'static str,
    /// None: the library or the function is missing.
    address: OnceLock<Option<Address>>,
}

struct Address(NonNull<c_void>);

// SAFETY: the address of code, which never changes, may be known by every thread.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

impl Function {
    pub(crate) const fn new(name: &'static str) -> Function {
        Function { name, address: OnceLock::new() }
    }

    pub(crate) fn address(&self) -> Option<*mut c_void> {
        let found = self.address.get_or_init(|| {
            let library = &opened().as_ref().ok()?.library;
            // SAFETY: what is found is only seen as the address that it is; the type of a function is as large.
            let symbol = unsafe { library.get::<*mut c_void>(self.name.as_bytes()) }.ok()?;
            NonNull::new(*symbol).map(Address)
        });
        found.as_ref().map(|address| address.0.as_ptr())
    }
}
