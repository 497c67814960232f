//! The binary `tieup`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tieup_hub::cli::main()
}
