//! Without the library every function says so, and nothing else happens. The tests run this program once more, with the
//! variable set: it is read once in a process.

use allotrope_opencl_loader::{MISSING, VARIABLE, clCreateContext, clGetPlatformIDs, library};
use std::process::Command;
use std::ptr::{null, null_mut};

/// Runs the test of this name alone, with another library.
fn again(test: &str, library: &str) -> bool {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let run = command.args([test, "--exact", "--ignored", "--test-threads=1"]).env(VARIABLE, library);
    run.status().expect("this program runs").success()
}

#[test]
fn a_library_that_is_not_there() {
    assert!(again("without_a_library", "/nowhere/libOpenCL.so.1"));
}

#[test]
fn a_library_without_the_functions() {
    if cfg!(target_os = "linux") {
        assert!(again("without_the_functions", "libc.so.6"));
    }
}

#[test]
#[ignore = "run by a_library_that_is_not_there"]
fn without_a_library() {
    let said = library().expect_err("there is none");
    assert!(said.contains("/nowhere/libOpenCL.so.1"), "{said}");
    fails();
}

#[test]
#[ignore = "run by a_library_without_the_functions"]
fn without_the_functions() {
    assert_eq!(library(), Ok("libc.so.6"));
    fails();
}

fn fails() {
    let mut number = 7;
    // SAFETY: the arguments are those of the specification.
    assert_eq!(unsafe { clGetPlatformIDs(0, null_mut(), &mut number) }, MISSING);
    assert_eq!(number, 7);
    let mut status = 0;
    // SAFETY: as above; nothing is called that would read them.
    let context = unsafe { clCreateContext(null(), 0, null(), null(), null_mut(), &mut status) };
    assert!(context.is_null());
    assert_eq!(status, MISSING);
    // SAFETY: as above, without a place for the status.
    assert!(unsafe { clCreateContext(null(), 0, null(), null(), null_mut(), null_mut()) }.is_null());
}
