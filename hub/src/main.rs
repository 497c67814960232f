//! The binary `tieup`.

use std::process::ExitCode;

/// A build makes and drops many small things on every thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tieup_hub::cli::main()
}
