//! The command line: what an operator types, and what they read.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use tieup_protocol::approval::{IllegalStep, ReleaseRecord, ReleaseState};
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::joining::Invitation;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{PartnerStatus, StatementVerdict};
use tieup_store::durable;
use tieup_store::journal::{LogSigner, Origin, month_dir, months, verify_log};
use tieup_web::listener::told_to_end;
use tieup_web::{complaint, say, starter, terminal};
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;

use crate::config::Config;
use crate::control::{Answer, Command, ask};
use crate::daemon::{Daemon, Listeners};
use crate::identity::Identity;

/// The most characters of a reason; it is shown in a line of main's status.
const MAX_REASON: usize = 500;

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
  syncd approve 5      (or: syncd reject 5 --reason \"the price of the kettle is wrong\")
where 5 is the release that you have read about"
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
        /// The release that you have read about, such as 5.
        version: ReleaseVersion,
    },
    /// Refuse a waiting release. Your site stays as it is, and the main site reads your reason.
    Reject {
        /// The release that you have read about, such as 5.
        version: ReleaseVersion,
        /// Why, in at most 500 characters.
        #[arg(long, value_parser = parse_reason)]
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
    terminal::log(LevelFilter::INFO);
    terminal::conclude(run(&cli))
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
    durable::write_file(file, starter::CONFIGURATION.as_bytes())?;
    let site = file.with_file_name("site.yaml");
    let site_is_new = !site.exists();
    if site_is_new {
        durable::write_file(&site, starter::site("My shop").as_bytes())?;
    }
    say!("Wrote {}: read it, and put in the address at which the main site reaches you.", file.display());
    if site_is_new {
        say!("Wrote {}: put in your site's title and address.", site.display());
    }
    say!("Then: syncd join TOKEN");
    Ok(())
}

fn join(config: &Config, token: &str) -> anyhow::Result<()> {
    let invitation: Invitation = token.parse()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let joined = runtime.block_on(Identity::join(&config.state, &invitation, &config.address))?;
    say!("Joined `{}` as `{}`.", joined.identity.main, joined.identity.partner);
    say!("Compare this code with the main site, by telephone say: {}", joined.compare_code);
    say!("Then start the daemon: syncd run");
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
        say!("Serving visitors on http://{}/ and waiting for the main site on {}.", config.public, config.peer);
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
        say!("\n{}.", release.sentence);
        say!("  It waits for you: {}.", release.waits_for.as_deref().unwrap_or("your word"));
        say!("  {}", choices(release.version));
    }
}

/// What the operator can do about a release that waits.
fn choices(version: ReleaseVersion) -> String {
    format!("syncd diff {version} | syncd approve {version} | syncd reject {version} --reason \"...\"")
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
        say!("No visit has been logged yet.");
    }
    for month in months {
        let origin = Origin::new(&identity.main, &identity.partner, month);
        let log = verify_log(&month_dir(&journals, month), &origin, &key)
            .with_context(|| format!("the journal of {month} does not verify"))?;
        say!("{month}: {} entries match the signed checkpoint, {} are newer", log.checkpoint.size(), log.unsigned);
    }
    Ok(())
}

/// Commands that the running daemon carries out.
fn operate(config: &Config, format: Format, action: &Action) -> anyhow::Result<()> {
    let mut about = None;
    let command = match action {
        Action::Diff { version } => {
            about = known(config, *version)?;
            Command::Diff { version: about.as_ref().map(|release| release.version).or(*version) }
        }
        Action::Approve { version } => {
            let release = waiting(config, *version)?;
            let command = Command::Approve { version: release.version, manifest: release.manifest };
            about = Some(release);
            command
        }
        Action::Reject { version, reason } => {
            let release = waiting(config, *version)?;
            Command::Reject { version: release.version, manifest: release.manifest, reason: reason.clone() }
        }
        Action::Rollback { version } => Command::RollBack { version: *version },
        Action::Fee(FeeAction::Verify { month }) => Command::VerifyFee { month: *month },
        _ => Command::Status,
    };
    // Nothing is said before the daemon has done it.
    let answer = answer(config, &command)?;
    match format {
        Format::Json => say!("{}", serde_json::to_string_pretty(&answer)?),
        Format::Text => show(about.as_ref(), &answer),
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

/// The named release as it stands; the one that waits, if any, where none is named.
fn known(config: &Config, version: Option<ReleaseVersion>) -> anyhow::Result<Option<ReleaseRecord>> {
    let Answer::Status { status } = answer(config, &Command::Status)? else { bail!("the daemon gave another answer") };
    let meant = |release: &ReleaseRecord| match version {
        Some(version) => release.version == version,
        None => release.state == ReleaseState::Staged,
    };
    Ok(status.releases.into_iter().find(meant))
}

/// The named release, which must be waiting for a decision.
fn waiting(config: &Config, version: ReleaseVersion) -> anyhow::Result<ReleaseRecord> {
    let release = known(config, Some(version))?.with_context(|| format!("there is no release {version} here"))?;
    if release.state != ReleaseState::Staged {
        return Err(IllegalStep::NotStaged(version, release.state.word()).into());
    }
    Ok(release)
}

/// An operator's reason: something to read, and not too much of it.
fn parse_reason(text: &str) -> Result<String, String> {
    let reason = text.trim();
    match reason.chars().count() {
        0 => Err("say why: the main site reads it".to_owned()),
        1..=MAX_REASON => Ok(reason.to_owned()),
        more => Err(format!("it has {more} characters, and may have {MAX_REASON}")),
    }
}

/// Shows an answer, after the sentence of the release that it is about.
fn show(about: Option<&ReleaseRecord>, answer: &Answer) {
    if let Some(release) = about {
        say!("{}.", release.sentence);
    }
    match answer {
        Answer::Status { status } => show_status(status),
        Answer::Diff { text } => {
            terminal::say(if text.is_empty() { "Visitors would notice nothing.\n" } else { text });
            if let Some(release) = about.filter(|release| release.state == ReleaseState::Staged) {
                say!("{}", choices(release.version));
            }
        }
        Answer::Release { release } => say!("Release {} is {}.", release.version, release.state.word()),
        Answer::Fee { statement, verdict } => {
            terminal::say(statement);
            say!("{}", describe(verdict));
        }
        Answer::Refused { causes } => say!("{}", causes.join("\n")),
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
        say!("No release has arrived yet.");
    }
    for release in &status.releases {
        let since = release.since.strftime("%Y-%m-%d %H:%M UTC");
        say!("release {:<4} {:<10} since {since}", release.version, release.state.word());
        say!("    {}", release.sentence);
        if let ReleaseState::Rejected { reason } = &release.state {
            say!("    reason: {reason}");
        }
        if let Some(reason) = &release.waits_for {
            say!("    waits for you: {reason}");
            say!("    {}", choices(release.version));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_and_not_too_much() {
        assert_eq!(parse_reason(" the price is wrong "), Ok("the price is wrong".to_owned()));
        let longest = "値".repeat(MAX_REASON);
        assert_eq!(parse_reason(&longest), Ok(longest.clone()));
        for wrong in ["", " \t\n", &format!("{longest}。")] {
            assert!(parse_reason(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn choices_name_the_release() {
        let version = "5".parse().unwrap();
        assert_eq!(choices(version), "syncd diff 5 | syncd approve 5 | syncd reject 5 --reason \"...\"");
    }
}
