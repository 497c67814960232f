//! The command line: what an operator types, and what they read.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tieup_protocol::approval::{ReleaseRecord, ReleaseState};
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::joining::Invitation;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{PartnerStatus, StatementVerdict};
use tieup_store::durable;
use tieup_store::journal::{LogSigner, Origin, month_dir, months, verify_log};
use tieup_web::complaint;
use tieup_web::listener::told_to_end;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::control::{Answer, Command, ask};
use crate::daemon::{Daemon, Listeners};
use crate::identity::Identity;

/// The configuration that `syncd init` writes.
const CONFIGURATION: &str = "\
site: .                      # your own site: site.yaml, content/, static/, data/, slots/
state: .syncd                # what the daemon keeps; nobody else writes there
public: 127.0.0.1:8080       # where visitors are served
peer: 127.0.0.1:7450         # where the main site calls; it must be reachable for it
# address: shop.example:7450 # how the main site reaches `peer`, if that differs
";

/// The site that `syncd init` writes. Its pages go below `content/`, in the paths that the contract gives you.
const SITE: &str = "\
title: My shop
base_url: https://www.example.com/
language: en
";

/// The partner's daemon: takes in what the main site publishes, asks you, and serves your site.
#[derive(Parser)]
#[command(
    name = "syncd",
    version,
    arg_required_else_help = true,
    after_help = "\
Begin in an empty folder, with the token that the main site gave you:
  syncd init
  syncd join TOKEN
  syncd run
and when a release is waiting:
  syncd diff
  syncd approve      (or: syncd reject --reason \"the price of the kettle is wrong\")"
)]
struct Cli {
    /// The daemon's configuration.
    #[arg(long, global = true, default_value = "syncd.yaml")]
    config: PathBuf,
    /// How answers are written.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
}

#[derive(Subcommand)]
enum Action {
    /// Write `syncd.yaml` and a `site.yaml` for your own pages, for you to change.
    Init,
    /// Join a main site with the one-time token it gave you.
    Join {
        /// The token; it begins with `tieup1-`.
        token: String,
    },
    /// Run the daemon until Ctrl-C.
    Run,
    /// Show what is live, what waits, and what was decided.
    Status,
    /// Show what a waiting release would change.
    Diff {
        /// The release; the waiting one if left out.
        version: Option<ReleaseVersion>,
    },
    /// Make a waiting release live.
    Approve {
        /// The release; the waiting one if left out.
        version: Option<ReleaseVersion>,
    },
    /// Refuse a waiting release. Your site stays as it is, and the main site reads your reason.
    Reject {
        /// The release; the waiting one if left out.
        version: Option<ReleaseVersion>,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Go back to the release that was live before.
    Rollback {
        /// The release to go back to; the last one if left out.
        version: Option<ReleaseVersion>,
    },
    /// The access log.
    #[command(subcommand)]
    Log(LogAction),
    /// The fee.
    #[command(subcommand)]
    Fee(FeeAction),
}

#[derive(Subcommand)]
enum LogAction {
    /// Hash every entry again and compare with the signed checkpoint.
    Verify(MonthArgument),
}

#[derive(Subcommand)]
enum FeeAction {
    /// Compute a month's statement yourself and compare it, byte for byte, with the one that main sent.
    Verify {
        /// The month, such as 2026-11.
        month: Month,
    },
}

#[derive(Args)]
struct MonthArgument {
    /// The month, such as 2026-11; every month if left out.
    month: Option<Month>,
}

/// Runs the command line of this process. Exit status 0: done, 1: failed, 2: wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{}", complaint::render(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    if let Action::Init = cli.action {
        return init(&cli.config);
    }
    let config = Config::load(&cli.config)?;
    match &cli.action {
        Action::Join { token } => join(&config, token),
        Action::Run => serve(&config),
        Action::Log(LogAction::Verify(argument)) => verify_logs(&config, argument.month),
        other => operate(&config, cli.format, other),
    }
}

fn init(file: &Path) -> anyhow::Result<()> {
    if file.exists() {
        bail!("{} is there already; it is not replaced", file.display());
    }
    durable::write_file(file, CONFIGURATION.as_bytes())?;
    println!("Wrote {}: read it, and put in the address at which the main site reaches you.", file.display());
    let site = file.with_file_name("site.yaml");
    if !site.exists() {
        durable::write_file(&site, SITE.as_bytes())?;
        println!("Wrote {}: put in your site's title and address.", site.display());
    }
    println!("Then: syncd join TOKEN");
    Ok(())
}

fn join(config: &Config, token: &str) -> anyhow::Result<()> {
    let invitation: Invitation = token.parse()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let joined = runtime.block_on(Identity::join(&config.state, &invitation, &config.address))?;
    println!("Joined `{}` as `{}`.", joined.identity.main, joined.identity.partner);
    println!("Compare this code with the main site, by telephone say: {}", joined.compare_code);
    println!("Then start the daemon: syncd run");
    Ok(())
}

fn serve(config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let bind = async |address: &str| {
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
        };
        let listeners = Listeners { public: bind(&config.public).await?, peer: bind(&config.peer).await? };
        let daemon = Daemon::start(config, listeners)?;
        println!("Serving visitors on http://{}/ and waiting for the main site on {}.", config.public, config.peer);
        let mut releases = daemon.watch();
        let mut ended = pin!(told_to_end());
        loop {
            prompt(&releases.borrow_and_update());
            tokio::select! {
                ended = ended.as_mut() => {
                    ended?;
                    break;
                }
                changed = releases.changed() => changed?,
            }
        }
        daemon.stop().await;
        anyhow::Ok(())
    })
}

/// Says what waits for the operator, if anything does.
fn prompt(releases: &[ReleaseRecord]) {
    for release in releases.iter().filter(|release| release.state == ReleaseState::Staged) {
        println!("\n{}.", release.sentence);
        println!("  It waits for you: {}.", release.waits_for.as_deref().unwrap_or("your word"));
        println!("  syncd diff | syncd approve | syncd reject --reason \"...\"");
    }
}

fn verify_logs(config: &Config, only: Option<Month>) -> anyhow::Result<()> {
    let identity = Identity::load(&config.state)?;
    let key = identity.journal_key.parse::<LogSigner>().context("the journal's key cannot be used")?.verifier();
    let journals = config.state.join("journal");
    let months = match only {
        Some(month) => vec![month],
        None => months(&journals)?,
    };
    if months.is_empty() {
        println!("No visit has been logged yet.");
    }
    for month in months {
        let origin = Origin::new(&identity.main, &identity.partner, month);
        let log = verify_log(&month_dir(&journals, month), &origin, &key)
            .with_context(|| format!("the journal of {month} does not verify"))?;
        println!("{month}: {} entries match the signed checkpoint, {} are newer", log.checkpoint.size(), log.unsigned);
    }
    Ok(())
}

/// Commands that the running daemon carries out.
fn operate(config: &Config, format: Format, action: &Action) -> anyhow::Result<()> {
    let command = match action {
        Action::Diff { version } => Command::Diff { version: *version },
        Action::Approve { version } => {
            let release = waiting(config, *version)?;
            println!("{}.", release.sentence);
            Command::Approve { version: release.version, manifest: release.manifest }
        }
        Action::Reject { version, reason } => {
            let release = waiting(config, *version)?;
            Command::Reject { version: release.version, manifest: release.manifest, reason: reason.clone() }
        }
        Action::Rollback { version } => Command::RollBack { version: *version },
        Action::Fee(FeeAction::Verify { month }) => Command::VerifyFee { month: *month },
        _ => Command::Status,
    };
    let answer = answer(config, &command)?;
    match format {
        Format::Json => println!("{}", serde_json::to_string_pretty(&answer)?),
        Format::Text => show(&answer),
    }
    match answer {
        Answer::Fee { verdict: StatementVerdict::Different { .. }, .. } => bail!("the statements differ"),
        _ => Ok(()),
    }
}

fn answer(config: &Config, command: &Command) -> anyhow::Result<Answer> {
    match ask(&config.control_socket(), command)? {
        Answer::Refused { causes } => Err(complaint::chain(causes).into()),
        answer => Ok(answer),
    }
}

/// The release that is meant: the named one, or the one that waits.
fn waiting(config: &Config, version: Option<ReleaseVersion>) -> anyhow::Result<ReleaseRecord> {
    let Answer::Status { status } = answer(config, &Command::Status)? else { bail!("the daemon gave another answer") };
    let meant = |release: &ReleaseRecord| match version {
        Some(version) => release.version == version,
        None => release.state == ReleaseState::Staged,
    };
    let release = status.releases.into_iter().find(meant);
    release.context(match version {
        Some(version) => format!("there is no release {version} here"),
        None => "no release is waiting for a decision".to_owned(),
    })
}

fn show(answer: &Answer) {
    match answer {
        Answer::Status { status } => show_status(status),
        Answer::Diff { text } if text.is_empty() => println!("Visitors would notice nothing."),
        Answer::Diff { text } => print!("{text}"),
        Answer::Release { release } => println!("Release {} is {}.", release.version, release.state.word()),
        Answer::Fee { statement, verdict } => {
            print!("{statement}");
            println!("{}", describe(verdict));
        }
        Answer::Refused { causes } => println!("{}", causes.join("\n")),
    }
}

/// A verdict as people read it.
pub fn describe(verdict: &StatementVerdict) -> String {
    match verdict {
        StatementVerdict::Identical => "identical: main's statement and this partner's are the same bytes".to_owned(),
        StatementVerdict::Different { line, main, partner } => {
            format!("DIFFERENT from line {line} on\n  main:    {main}\n  partner: {partner}")
        }
    }
}

fn show_status(status: &PartnerStatus) {
    if status.releases.is_empty() {
        println!("No release has arrived yet.");
    }
    for release in &status.releases {
        let since = release.since.strftime("%Y-%m-%d %H:%M UTC");
        println!("release {:<4} {:<10} since {since}", release.version, release.state.word());
        println!("    {}", release.sentence);
        if let ReleaseState::Rejected { reason } = &release.state {
            println!("    reason: {reason}");
        }
        if let Some(reason) = &release.waits_for {
            println!("    waits for you: {reason}");
        }
    }
}
