//! `cargo demo`: a main site, two partners, and the whole loop between them, on this machine alone.

use std::process::ExitCode;

use clap::Parser;
use tieup_examples::interactive::Counting;
use tieup_examples::{interactive, smoke};
use tieup_web::terminal::{self, Unheard};
use tracing_subscriber::filter::LevelFilter;

/// A main site and two partners on this machine: publish, approve, visit, and see the fee.
#[derive(Parser)]
#[command(name = "cargo demo")]
struct Arguments {
    /// Go through the whole loop unattended, check every step, and exit 0 only if all held.
    #[arg(long)]
    smoke: bool,
    /// Put beacons on the tie-up pages, by which the main site counts visits itself.
    #[arg(long, conflicts_with = "smoke")]
    beacons: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    terminal::log(level(&arguments));
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // Everything has been put away by now.
        Err(error) if matches!(error.downcast_ref(), Some(Unheard::Closed)) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// The smoke run provokes refusals, whose warnings would only clutter its table.
fn level(arguments: &Arguments) -> LevelFilter {
    if arguments.smoke { LevelFilter::ERROR } else { LevelFilter::WARN }
}

fn counting(arguments: &Arguments) -> Counting {
    if arguments.beacons { Counting::Beacons } else { Counting::Journal }
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let folder = tempfile::Builder::new().prefix("tieup-demo-").tempdir()?;
    let runtime = tokio::runtime::Runtime::new()?;
    if arguments.smoke {
        return runtime.block_on(smoke::run(folder.path()));
    }
    let result = runtime.block_on(interactive::run(folder.path(), counting(arguments)));
    // The keyboard is read by a thread that only Enter would wake; it is not waited for.
    runtime.shutdown_background();
    result?;
    folder.close()?;
    terminal::try_say("The demo has ended, and its folder is removed.\n")?;
    Ok(true)
}
