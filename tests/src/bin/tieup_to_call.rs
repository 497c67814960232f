//! The command `tieup`, built beside the tests, which run it as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    tieup_hub::cli::main()
}
