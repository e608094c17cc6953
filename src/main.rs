//! The binary: parse, run, end with the right status.

use std::process::ExitCode;

fn main() -> ExitCode {
    hallpass::commands::main()
}
