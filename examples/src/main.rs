//! `cargo demo`: a main site, two partners, and the whole loop between them, on this machine alone.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser;
use tieup_examples::{interactive, smoke};
use tieup_web::complaint;

/// A main site and two partners on this machine: publish, approve, visit, and see the fee.
#[derive(Parser)]
#[command(name = "cargo demo")]
struct Arguments {
    /// Go through the whole loop unattended, check every step, and exit 0 only if all held.
    #[arg(long)]
    smoke: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_max_level(level(&arguments))
        .init();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprint!("{}", complaint::render(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// The smoke run provokes refusals, whose warnings would only clutter its table.
fn level(arguments: &Arguments) -> tracing_subscriber::filter::LevelFilter {
    use tracing_subscriber::filter::LevelFilter;
    if arguments.smoke { LevelFilter::ERROR } else { LevelFilter::WARN }
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let folder = tempfile::Builder::new().prefix("tieup-demo-").tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    if arguments.smoke {
        runtime.block_on(smoke::run(folder.path()))
    } else {
        runtime.block_on(interactive::run(folder.path()))?;
        Ok(true)
    }
}
