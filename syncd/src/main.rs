//! The binary `syncd`.

use std::process::ExitCode;

/// A push makes and drops tens of thousands of small things, one for each file of a release.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tieup_syncd::cli::main()
}
