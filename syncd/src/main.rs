//! The binary `syncd`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tieup_syncd::cli::main()
}
