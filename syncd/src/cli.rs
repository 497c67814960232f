//! The command line: what an operator types, and what they read.

mod fees;
mod logs;
mod serving;
mod tie_ups;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::{DateTime, Time};
use tieup_protocol::approval::{DecidedBy, IllegalStep, ReleaseRecord, ReleaseState};
use tieup_protocol::contract::Contract;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::joining::Invitation;
use tieup_protocol::period::{Month, Zone};
use tieup_protocol::wire::{OverriddenPage, OverrideState, PartnerStatus, StatementVerdict};
use tieup_store::audit::AuditTrail;
use tieup_store::durable;
use tieup_web::journal::export::Layout;
use tieup_web::journal::refusals::{RefusedJournal, Settled, Settlement};
use tieup_web::{complaint, say, starter, terminal};
use tokio::sync::watch;
use tracing_subscriber::filter::LevelFilter;

pub use self::fees::describe;
use crate::config::Config;
use crate::control::{Answer, Command, ask};
use crate::identity::Identity;
use crate::main_journal::MainJournal;
use crate::mains::Mains;
use crate::prompt::{PromptStatus, trial};
use crate::publisher::AUDIT;

use self::serving::serve;
use self::tie_ups::{Meant, begin_originals, show_all};

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
  syncd approve 5      (or: syncd reject 5 --reason \"the price of the kettle is wrong\", or syncd hold 5)
where 5 is the release that you have read about;
or decide in a browser, with the link that this gives you:
  syncd console"
)]
struct Cli {
    /// The daemon's configuration.
    #[arg(long, global = true, default_value = "syncd.yaml")]
    config: PathBuf,
    /// How answers are written.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The main site whose tie-up is meant, where you have several.
    #[arg(long, global = true, value_name = "ID")]
    main: Option<SiteId>,
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
    /// Show what a waiting release would change, or your own changed pages.
    Diff {
        /// The release, or `originals`; the waiting release if left out.
        #[arg(value_name = "VERSION")]
        what: Option<Subject>,
    },
    /// Make a waiting release live, now or at a time; or your own changed pages, where they wait.
    Approve {
        /// The release that you have read about, such as 5, or `originals`.
        #[arg(value_name = "VERSION")]
        what: Subject,
        /// When it goes live: `18:30`, the next time it is that in the contract's time zone; `2026-12-01 09:00`
        /// there; or an instant such as 2026-12-01T09:00:00+09:00. Until then `hold` and `reject` cancel it.
        #[arg(long, value_name = "TIME")]
        at: Option<GoesLive>,
    },
    /// Put a waiting release aside: you are not asked again, and no rule approves it, until you release or approve it.
    Hold {
        /// The release that you have read about, such as 5.
        version: ReleaseVersion,
        /// Why, in at most 500 characters.
        #[arg(long, value_parser = parse_reason)]
        reason: Option<String>,
    },
    /// Let go of a held release: it is decided on as if it came now.
    Release {
        /// The release, such as 5.
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
    /// Write a release into a folder, with its signatures and every file, for others to verify.
    Export {
        /// The release; the live one if left out.
        #[arg(long)]
        release: Option<ReleaseVersion>,
        /// The folder; it must not be there yet.
        #[arg(long)]
        to: PathBuf,
    },
    /// Declare an emergency, in which your own pages take the place of the main site's, or end it. The main site is told.
    #[command(subcommand)]
    Emergency(EmergencyAction),
    /// List the main site's pages that your own take the place of, and which of them it has changed since.
    Overrides,
    /// Read everything that is stored, restore what is damaged, and say what is lacking.
    Guard,
    /// Show who decided what and when, and verify that nothing of it was changed.
    Audit,
    /// Get a link that signs you in to the console, once, in the browser that opens it.
    Console,
    /// Show how you are told that a release waits.
    Prompt(PromptArguments),
    /// The access log.
    #[command(subcommand)]
    Log(LogAction),
    /// The fee.
    #[command(subcommand)]
    Fee(fees::FeeAction),
}

#[derive(Subcommand)]
enum EmergencyAction {
    /// From now on your own pages stand where the main site has pages at the same addresses.
    Begin {
        /// Why, in at most 500 characters.
        #[arg(long, value_parser = parse_reason)]
        reason: String,
    },
    /// The main site's pages come back.
    End,
}

#[derive(Subcommand)]
enum LogAction {
    /// Hash every entry again and compare with the signed checkpoint.
    Verify(MonthArgument),
    /// Return what is new to the main site now, which verifies and cosigns it. The daemon does so when the contract says.
    Push {
        /// Only this month, such as 2026-11.
        #[arg(long)]
        month: Option<Month>,
    },
    /// Fetch the main site's own log now, verify it and cosign it, where the contract lets the main site write. The daemon
    /// does so when the contract says.
    Fetch,
    /// Settle that the main site's own log was refused for good, for a reason that is kept with the evidence.
    Settle {
        /// The month, such as 2026-11.
        month: Month,
        /// Why, in at most 500 characters.
        #[arg(long, value_parser = parse_reason)]
        reason: String,
        /// Put your copy aside, and take the main site's log from its beginning. Else it must continue your copy.
        #[arg(long)]
        put_aside: bool,
    },
    /// Write out the visits of a month.
    Export {
        /// The month, such as 2026-11.
        month: Month,
        /// How.
        #[arg(long = "as", value_enum, default_value_t = Layout::Ndjson)]
        layout: Layout,
    },
}

#[derive(Args)]
struct PromptArguments {
    /// Send a test by every way, and say what came of each.
    #[arg(long)]
    test: bool,
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
    let runtime = tokio::runtime::Runtime::new()?;
    let joined = runtime.block_on(Identity::join(&seat.state, &invitation, &seat.address))?;
    say!("Joined `{}` as `{}`.", joined.identity.main, joined.identity.partner);
    say!("Compare this code with the main site, by telephone say: {}", joined.compare_code);
    if seat.state != config.state {
        begin_originals(config, seat)?;
    }
    say!("Then start the daemon: syncd run");
    Ok(())
}

/// Says what there is to say of `releases`, until the daemon ends.
async fn tell(mut releases: watch::Receiver<Vec<ReleaseRecord>>, meant: Meant) {
    let mut told = None;
    loop {
        let news = releases.borrow_and_update().clone();
        if told.as_ref() != Some(&news) {
            prompt(&news, &meant);
            told = Some(news);
        }
        if releases.changed().await.is_err() {
            return;
        }
    }
}

/// Says what waits for the operator, if anything does, and what went live without their word.
fn prompt(releases: &[ReleaseRecord], meant: &Meant) {
    for release in releases {
        match &release.state {
            ReleaseState::Staged => {
                say!("\n{}.", release.sentence);
                say!("  It waits for you: {}.", release.waits_for.as_deref().unwrap_or("your word"));
                say!("  {}", choices(release.version, meant));
            }
            ReleaseState::Approved { at } => {
                say!("\n{}.", release.sentence);
                say!("  It goes live at {}: {}", minute(*at), ways_out(release.version, meant));
            }
            ReleaseState::Live if release.by == Some(DecidedBy::Emergency) => {
                say!("\n{}.", release.sentence);
                say!("  It is live, as the contract lets an emergency be. To undo it: syncd{meant} rollback");
            }
            _ => {}
        }
    }
}

/// What the operator can do about a release that waits.
fn choices(version: ReleaseVersion, meant: &Meant) -> String {
    let syncd = format!("syncd{meant}");
    format!("{syncd} diff {version} | {syncd} approve {version} | {syncd} hold {version} | {}", refusal(version, meant))
}

/// What the operator can do about a release that goes live by itself.
fn ways_out(version: ReleaseVersion, meant: &Meant) -> String {
    let syncd = format!("syncd{meant}");
    format!("{syncd} approve {version} (now) | {syncd} hold {version} | {}", refusal(version, meant))
}

fn refusal(version: ReleaseVersion, meant: &Meant) -> String {
    format!("syncd{meant} reject {version} --reason \"...\"")
}

fn minute(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// What a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Release(ReleaseVersion),
    Originals,
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "originals" {
            return Ok(Self::Originals);
        }
        let version = text.parse().map_err(|_| format!("`{text}` is neither a release, such as 5, nor `originals`"))?;
        Ok(Self::Release(version))
    }
}

/// When a release goes live, as an operator writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GoesLive {
    At(Timestamp),
    OnDay(DateTime),
    NextTime(Time),
}

impl FromStr for GoesLive {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let instant = text.parse().ok().map(Self::At);
        let on_day = || DateTime::strptime("%Y-%m-%d %H:%M", text).ok().map(Self::OnDay);
        let next = || Time::strptime("%H:%M", text).ok().map(Self::NextTime);
        let found = instant.or_else(on_day).or_else(next);
        found.ok_or_else(|| format!("`{text}` is no time: write 18:30, 2026-12-01 09:00 or 2026-12-01T09:00:00+09:00"))
    }
}

impl GoesLive {
    /// The instant that is meant at `now` where clocks show the time of `zone`.
    fn instant(self, zone: &Zone, now: Timestamp) -> anyhow::Result<Timestamp> {
        let local = match self {
            Self::At(instant) => return Ok(instant),
            Self::OnDay(local) => local,
            Self::NextTime(time) => {
                let today = zone.local(now);
                let day = if today.time() < time { today.date() } else { today.date().tomorrow()? };
                day.to_datetime(time)
            }
        };
        Ok(zone.instant(local))
    }
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
    say!("{} entries; each continues the one before it.", entries.len());
    Ok(())
}

/// Commands that the running daemon carries out.
fn operate(config: &Config, format: Format, action: &Action, meant: &Meant) -> anyhow::Result<()> {
    let (about, command) = command(config, action)?;
    // Nothing is said before the daemon has done it.
    let answer = answer(config, &command)?;
    match format {
        Format::Json => say!("{}", serde_json::to_string_pretty(&answer)?),
        Format::Text => show(about.as_ref(), &answer, meant),
    }
    match answer {
        Answer::Fee { verdict: StatementVerdict::Different { .. }, .. } => bail!("the statements differ"),
        Answer::Guard { report } if report.drift.is_some() => bail!("files are lacking; the main site is told"),
        _ => Ok(()),
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

impl Subject {
    fn release(self) -> Option<ReleaseVersion> {
        match self {
            Self::Release(version) => Some(version),
            Self::Originals => None,
        }
    }
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
    match ask(&config.control_socket(), command)? {
        Answer::Refused { causes } => Err(complaint::chain(causes).into()),
        answer => Ok(with_warnings(config, answer)),
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

/// An operator's reason: something to read, and not too much of it.
pub(crate) fn parse_reason(text: &str) -> Result<String, String> {
    let reason = text.trim();
    match reason.chars().count() {
        0 => Err("say why: the main site reads it".to_owned()),
        1..=MAX_REASON => Ok(reason.to_owned()),
        more => Err(format!("it has {more} characters, and may have {MAX_REASON}")),
    }
}

/// Shows an answer, after the sentence of the release that it is about.
fn show(about: Option<&ReleaseRecord>, answer: &Answer, meant: &Meant) {
    if let Some(release) = about {
        say!("{}.", release.sentence);
    }
    match answer {
        Answer::Status { status, prompts, https, main_log } => {
            for warning in https {
                say!("ALARM: {warning}.");
            }
            for refused in main_log {
                say!("ALARM: the main site's own log: {refused}. When it is settled: syncd{meant} log settle MONTH");
            }
            show_status(status, meant);
            for PromptStatus { way, stand } in prompts {
                say!("prompt by {way}: {stand}");
            }
        }
        Answer::SignIn { link, minutes } => {
            say!("Open this link in your browser. It works once, within {minutes} minutes:\n{link}");
        }
        Answer::Diff { difference } => {
            let nothing = || "Visitors would notice nothing.\n".to_owned();
            terminal::say(&if difference.is_empty() { nothing() } else { difference.to_string() });
            if let Some(release) = about.filter(|release| release.state.is_open()) {
                say!("{}", choices(release.version, meant));
            }
        }
        Answer::Exported { version, to, blobs } => {
            say!("Wrote release {version} into {}: manifest, metadata and {blobs} blobs.", to.display());
        }
        Answer::Release { release } => say!("{}", describe_state(release)),
        Answer::Originals { paths } => say!("Your own pages are live as they are now; {paths} paths changed."),
        Answer::Returned { months } => logs::show_returned(months),
        Answer::MainVerified { months } => logs::show_verified(months),
        Answer::Fee { .. } | Answer::Disputed { .. } | Answer::Strikes { .. } | Answer::Sales { .. } => {
            fees::show(answer);
        }
        Answer::Guard { report } => say!("{report}"),
        Answer::Refused { causes } => say!("{}", causes.join("\n")),
    }
}

fn describe_state(release: &ReleaseRecord) -> String {
    let version = release.version;
    match &release.state {
        ReleaseState::Approved { at } => format!("Release {version} is approved and goes live at {}.", minute(*at)),
        ReleaseState::Staged => format!("Release {version} waits for you: {}.", reason_or(release, "your word")),
        state => format!("Release {version} is {}.", state.word()),
    }
}

fn reason_or<'a>(release: &'a ReleaseRecord, otherwise: &'a str) -> &'a str {
    release.waits_for.as_deref().unwrap_or(otherwise)
}

fn show_status(status: &PartnerStatus, meant: &Meant) {
    for alarm in &status.alarms {
        say!("ALARM: {alarm}.");
    }
    if let Some(overdue) = &status.certificate {
        say!("ALARM: {overdue}.");
    }
    for clash in &status.clashes {
        say!("CONFLICT: {clash}.");
    }
    if status.releases.is_empty() {
        say!("No release has arrived yet.");
    }
    status.releases.iter().for_each(|release| show_release(release, meant));
    if let Some(emergency) = &status.emergency {
        say!("EMERGENCY declared since {}: {}", minute(emergency.since), emergency.reason);
        say!("    your own pages take the place of the main site's; to end it: syncd{meant} emergency end");
    }
    status.overrides.iter().filter(|page| page.state == OverrideState::Changed).for_each(show_override);
    if !status.guard.is_quiet() {
        say!("{}", status.guard);
    }
    if let Some(waiting) = &status.originals {
        say!("{}", waiting.sentence);
        say!("    they wait for you: syncd{meant} diff originals | syncd{meant} approve originals");
    }
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

fn show_override(page: &OverriddenPage) {
    match page.state {
        OverrideState::Current => say!("{}: yours stands; the main site's beneath it is as it was", page.path),
        OverrideState::Changed => say!("{}: yours stands; the main site has CHANGED its page since", page.path),
        OverrideState::SetAside => say!("{}: the main site's stands; yours would in an emergency", page.path),
    }
}

fn show_release(release: &ReleaseRecord, meant: &Meant) {
    say!("release {:<4} {:<10} since {}", release.version, release.state.word(), minute(release.since));
    say!("    {}", release.sentence);
    match &release.state {
        ReleaseState::Rejected { reason } | ReleaseState::Held { reason: Some(reason) } => say!("    reason: {reason}"),
        ReleaseState::Approved { at } => say!("    goes live at {}: {}", minute(*at), ways_out(release.version, meant)),
        _ => {}
    }
    if let Some(reason) = &release.waits_for {
        say!("    waits for you: {reason}");
        say!("    {}", choices(release.version, meant));
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
        let expected = "syncd diff 5 | syncd approve 5 | syncd hold 5 | syncd reject 5 --reason \"...\"";
        assert_eq!(choices(version, &Meant::default()), expected);
        let south = choices(version, &Meant("southern".parse().ok()));
        assert!(south.starts_with("syncd --main southern diff 5 | syncd --main southern approve 5 | "), "{south}");
    }

    #[test]
    fn a_time_is_an_instant_a_day_with_a_time_or_the_next_time() {
        let now = "2026-11-07T03:00:00Z".parse().unwrap();
        let tokyo = "Asia/Tokyo".parse().unwrap();
        let instant = |text: &str| text.parse::<GoesLive>().unwrap().instant(&tokyo, now).unwrap().to_string();
        assert_eq!(instant("2026-12-01T09:00:00+09:00"), "2026-12-01T00:00:00Z");
        assert_eq!(instant("2026-12-01 09:00"), "2026-12-01T00:00:00Z");
        // It is noon in Tokyo.
        assert_eq!(instant("18:30"), "2026-11-07T09:30:00Z");
        assert_eq!(instant("12:00"), "2026-11-08T03:00:00Z");
        for wrong in ["", "tomorrow", "25:00", "2026-12-01"] {
            assert!(wrong.parse::<GoesLive>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_approved_is_a_release_or_the_originals() {
        assert_eq!("originals".parse(), Ok(Subject::Originals));
        assert_eq!("5".parse(), Ok(Subject::Release("5".parse().unwrap())));
        assert!("five".parse::<Subject>().is_err());
    }
}
