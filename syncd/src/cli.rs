//! The command line: what an operator types, and what they read.

mod arguments;
mod fees;
mod logs;
mod serving;
mod tie_ups;
mod told;
mod values;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use jiff::Timestamp;
use tieup_protocol::approval::{IllegalStep, ReleaseRecord, ReleaseState};
use tieup_protocol::contract::Contract;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::joining::{Invitation, Range, Reach};
use tieup_protocol::period::Zone;
use tieup_protocol::wire::{PartnerStatus, StatementVerdict};
use tieup_store::audit::AuditTrail;
use tieup_store::durable;
use tieup_web::journal::refusals::{RefusedJournal, Settled, Settlement};
use tieup_web::terminal::counted;
use tieup_web::{complaint, memory, say, starter, terminal};
use tracing_subscriber::filter::LevelFilter;

use self::arguments::{Action, Cli, EmergencyAction, Format, LogAction, PromptArguments};
pub use self::fees::describe;
use self::serving::serve;
use self::tie_ups::{Meant, begin_originals, show_all};
use self::told::{show, show_override};
use self::values::Subject;
pub(crate) use self::values::parse_reason;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{Answer, AskError, Command, ask};
use crate::identity::{Identity, LoadError};
use crate::main_journal::MainJournal;
use crate::mains::Mains;
use crate::prompt::trial;
use crate::publisher::AUDIT;

/// Runs the command line of this process. Exit status 0: done, 1: failed, 2: wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.format == Format::Json && !cli.action.has_document() {
        let words = "this command has no answer for programs: leave out `--format json`";
        Cli::command().error(ErrorKind::ArgumentConflict, words).exit();
    }
    terminal::log(LevelFilter::INFO);
    terminal::conclude(run(&cli))
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    match cli.action {
        Action::Init => return init(&cli.config),
        // Before the configuration is read, which may be a pipe.
        Action::Run => {
            memory::give_back()?;
            memory::dump_no_core()?;
        }
        _ => {}
    }
    let config = match cli.action {
        Action::Run => Config::load_to_run(&cli.config)?,
        _ => Config::load(&cli.config)?,
    };
    match &cli.action {
        Action::Join { .. } | Action::Run if cli.main.is_some() => {
            bail!("--main is for commands about a main site that you have joined: leave it out here")
        }
        Action::Join { token } => return join(&config, token),
        Action::Run => return serve(&config),
        Action::Status if cli.main.is_none() && !config.mains.is_empty() => return show_all(&config, cli.format),
        _ => {}
    }
    about_one(Mains::of(&config)?.meant(cli.main.as_ref())?, cli)
}

/// Commands about the tie-up that `config` describes.
fn about_one(config: &Config, cli: &Cli) -> anyhow::Result<()> {
    match &cli.action {
        Action::Prompt(PromptArguments { test: true }) => trial::run(config),
        Action::Prompt(PromptArguments { test: false }) => {
            trial::show(config);
            Ok(())
        }
        Action::Log(LogAction::Verify(argument)) => logs::verify(config, argument.month),
        Action::Log(LogAction::Settle { month, reason, put_aside }) => {
            let copy = if *put_aside { Settlement::PutAside } else { Settlement::Kept };
            logs::settle(config, *month, Settled { at: Timestamp::now(), reason: reason.clone(), copy })
        }
        Action::Log(LogAction::Export { month, layout }) => logs::export(config, *month, (*layout).into()),
        Action::Audit => show_trail(config, cli.format),
        Action::Overrides => show_overrides(config, cli.format),
        other => operate(config, cli.format, other, &Meant(cli.main.clone())),
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
    let seat = Mains::of(config)?.seat(&invitation.main)?;
    check_reached(&seat.address, &invitation)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let joined = runtime.block_on(Identity::join(&seat.state, &invitation, &seat.address))?;
    say!("Joined `{}` as `{}`.", joined.identity.main, joined.identity.partner);
    say!("Compare this code with the main site, by telephone say: {}", joined.compare_code);
    if seat.state != config.state {
        begin_originals(config, seat)?;
    }
    if std::os::unix::net::UnixStream::connect(config.control_socket()).is_ok() {
        say!("A daemon is running: end it, and start it again, so that it goes by this.");
    } else {
        say!("Then start the daemon: syncd run");
    }
    Ok(())
}

/// Turns away an address that leads main to itself, and says so of one that does where main is on another machine.
fn check_reached(reach: &Reach, invitation: &Invitation) -> anyhow::Result<()> {
    let Reach::Address(address) = reach else { return Ok(()) };
    match Range::of(address) {
        Range::Nobody => bail!(
            "`peer` listens at every address ({address}): say in `address:` how the main site reaches it, such as \
             `address: shop.example:7450`"
        ),
        Range::ThisMachine if Range::of(&invitation.hub) == Range::Others => say!(
            "Note: the main site is told to call at {address}, which leads it to its own machine. Write in `address:` \
             where it reaches you and join again, or write `dial: main` instead of `peer`."
        ),
        _ => {}
    }
    Ok(())
}

fn show_trail(config: &Config, format: Format) -> anyhow::Result<()> {
    let entries = AuditTrail::at(config.state.join(AUDIT)).entries()?;
    if format == Format::Json {
        say!("{}", serde_json::to_string_pretty(&entries)?);
        return Ok(());
    }
    for entry in &entries {
        say!("{entry}");
    }
    say!("{}.", counted(entries.len(), "entry", "entries; each continues the one before it"));
    Ok(())
}

/// Commands that the running daemon carries out.
fn operate(config: &Config, format: Format, action: &Action, meant: &Meant) -> anyhow::Result<()> {
    let (about, command) = command(config, action).map_err(|error| with_way_back(error, meant))?;
    // Nothing is said before the daemon has done it.
    let answer = answer(config, &command)?;
    match format {
        Format::Json => say!("{}", serde_json::to_string_pretty(&answer)?),
        Format::Text => show(about.as_ref(), &answer, meant, &Clock::in_state(&config.state)),
    }
    match answer {
        Answer::Fee { verdict: StatementVerdict::Different { .. }, .. } => bail!("the statements differ"),
        Answer::Guard { report } if report.drift.is_some() => bail!("files are lacking; the main site is told"),
        _ => Ok(()),
    }
}

/// A refusal to decide on a release that was live before, with the command that makes it live again.
fn with_way_back(error: anyhow::Error, meant: &Meant) -> anyhow::Error {
    match error.downcast_ref::<IllegalStep>() {
        Some(IllegalStep::NotStaged(version, word)) if *word == ReleaseState::Retired.word() => {
            anyhow::anyhow!("{error}; to go back to it: syncd{meant} rollback {version}")
        }
        _ => error,
    }
}

/// What to ask of the daemon, and the release that it is about.
fn command(config: &Config, action: &Action) -> anyhow::Result<(Option<ReleaseRecord>, Command)> {
    let now = Timestamp::now();
    Ok(match action {
        Action::Diff { what: Some(Subject::Originals) } => (None, Command::DiffOriginals),
        Action::Diff { what } => {
            let version = what.and_then(Subject::release);
            let about = known(config, version)?;
            let version = about.as_ref().map(|release| release.version).or(version);
            (about, Command::Diff { version })
        }
        Action::Approve { what: Subject::Originals, at: Some(_) } => bail!("your own pages are approved for now alone"),
        Action::Approve { what: Subject::Originals, at: None } => {
            let waiting = status(config)?.originals.context("no changed pages of your own are waiting")?;
            (None, Command::ApproveOriginals { digest: waiting.digest })
        }
        Action::Approve { what: Subject::Release(version), at } => {
            let release = waiting(config, *version)?;
            let (version, manifest) = (release.version, release.manifest);
            let at = at.map(|at| at.instant(&zone(config)?, now)).transpose()?;
            let command = match at {
                Some(at) => Command::Schedule { version, manifest, at },
                None => Command::Approve { version, manifest },
            };
            (Some(release), command)
        }
        Action::Hold { version, reason } => {
            let release = waiting(config, *version)?;
            let (version, manifest) = (release.version, release.manifest);
            (None, Command::Hold { version, manifest, reason: reason.clone() })
        }
        Action::Release { version } => {
            let release = waiting(config, *version)?;
            (None, Command::Release { version: release.version, manifest: release.manifest })
        }
        Action::Reject { version, reason } => {
            let release = waiting(config, *version)?;
            let (version, manifest) = (release.version, release.manifest);
            (None, Command::Reject { version, manifest, reason: reason.clone() })
        }
        Action::Console => (None, Command::SignIn),
        Action::Rollback { version } => (None, Command::RollBack { version: *version }),
        Action::Export { release, to } => (None, Command::Export { version: *release, to: std::path::absolute(to)? }),
        Action::Guard => (None, Command::Guard),
        Action::Emergency(EmergencyAction::Begin { reason }) => {
            (None, Command::BeginEmergency { reason: reason.clone() })
        }
        Action::Emergency(EmergencyAction::End) => (None, Command::EndEmergency),
        Action::Log(LogAction::Push { month }) => (None, Command::ReturnJournal { month: *month }),
        Action::Log(LogAction::Fetch) => (None, Command::VerifyMainJournal),
        Action::Fee(action) => (None, action.command()),
        _ => (None, Command::Status),
    })
}

/// The contract's time zone, in which an operator names times.
fn zone(config: &Config) -> anyhow::Result<Zone> {
    let contract = Contract::parse("contract.yaml", &Identity::load(&config.state)?.contract)?;
    Ok(contract.effective.tz)
}

fn status(config: &Config) -> anyhow::Result<PartnerStatus> {
    match answer(config, &Command::Status)? {
        Answer::Status { status, .. } => Ok(*status),
        _ => bail!("the daemon gave another answer"),
    }
}

fn answer(config: &Config, command: &Command) -> anyhow::Result<Answer> {
    match ask_daemon(config, command)? {
        Answer::Refused { causes } => Err(complaint::chain(causes).into()),
        answer => Ok(with_warnings(config, answer)),
    }
}

/// The running daemon's answer. Where there is none because nothing was joined, that is said.
fn ask_daemon(config: &Config, command: &Command) -> anyhow::Result<Answer> {
    let answer = ask(&config.control_socket(), command);
    match (answer, Identity::load(&config.state)) {
        (Err(AskError::NotRunning(..)), Err(not_joined @ LoadError::NotJoined)) => Err(not_joined.into()),
        (answer, _) => Ok(answer?),
    }
}

/// The answer with what is to be known of the certificate for visitors, and of the main site's own log, where it is one on
/// how things stand.
fn with_warnings(config: &Config, mut answer: Answer) -> Answer {
    if let Answer::Status { https, main_log, .. } = &mut answer {
        if let Some(settings) = &config.https {
            *https = settings.warnings(&config.state, Timestamp::now());
        }
        *main_log = match MainJournal::in_state(&config.state).refusals().standing() {
            Ok(refused) => refused.iter().map(RefusedJournal::sentence).collect(),
            Err(error) => vec![complaint::in_one_line(&error)],
        };
    }
    answer
}

/// The named release as it stands; the one that waits, if any, where none is named.
fn known(config: &Config, version: Option<ReleaseVersion>) -> anyhow::Result<Option<ReleaseRecord>> {
    let status = status(config)?;
    let meant = |release: &ReleaseRecord| match version {
        Some(version) => release.version == version,
        None => release.state.is_open(),
    };
    Ok(status.releases.into_iter().find(meant))
}

/// The named release, which must be open for a decision.
fn waiting(config: &Config, version: ReleaseVersion) -> anyhow::Result<ReleaseRecord> {
    let release = known(config, Some(version))?.with_context(|| format!("there is no release {version} here"))?;
    if !release.state.is_open() {
        return Err(IllegalStep::NotStaged(version, release.state.word()).into());
    }
    Ok(release)
}

fn show_overrides(config: &Config, format: Format) -> anyhow::Result<()> {
    let overrides = status(config)?.overrides;
    if format == Format::Json {
        say!("{}", serde_json::to_string_pretty(&overrides)?);
        return Ok(());
    }
    if overrides.is_empty() {
        say!("No page of your own stands where the main site has one.");
    }
    overrides.iter().for_each(show_override);
    Ok(())
}
