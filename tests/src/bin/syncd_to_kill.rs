//! The command `syncd`, built beside the tests, which run it as a process of its own and kill it.

use std::process::ExitCode;

fn main() -> ExitCode {
    tieup_syncd::cli::main()
}
