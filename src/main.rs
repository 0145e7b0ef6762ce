//! The `allotrope` command: it hands over to the command line's module and returns its exit status.

mod cli;

/// An eager step makes and drops hundreds of small tensors; the C library's allocator takes a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
