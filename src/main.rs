//! The `allotrope` command: it hands over to the command line's module and returns its exit status.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
