//! The command line: what an editor and a fee manager type, and what they read.

mod agreed;
mod build;
mod check;
mod count;
mod database;
mod fees;
mod findings;
mod key;
mod logs;
mod partners;
mod preview;
mod progress;
mod proving;
mod releases;
mod report;
mod revoke;
mod rollups;
mod sales;
mod simulate;
mod site;
mod status;
mod strikes;
mod verifying;
mod watching;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::ids::SiteId;
use tieup_protocol::manifest::MAX_EMERGENCY;
use tieup_web::service::GivenSockets;
use tieup_web::{memory, terminal};
use tracing_subscriber::filter::LevelFilter;

use self::logs::LogAction;
pub use self::site::describe;
use self::status::Shown;
use self::watching::Pushing;
pub use self::watching::keep_publishing;
use crate::config::{Config, DATABASE_VARIABLE};
use crate::partners::Hub;
use crate::publish::Rejected;

/// The main site: builds pages, publishes them to partners, collects their logs and computes their fees.
#[derive(Parser)]
#[command(
    name = "tieup",
    version,
    arg_required_else_help = true,
    after_help = "\
Begin in the folder of your site:
  tieup init nationwide
  tieup partner add harbor-shop   (and read the contract it writes)
  tieup hub                       (and leave it running)
  tieup partner invite harbor-shop
  tieup publish
and at the end of the month:
  tieup log fetch
  tieup log findings harbor-shop
  tieup fee statement harbor-shop 2026-11"
)]
struct Cli {
    /// The hub's configuration.
    #[arg(long, global = true, default_value = "tieup.yaml")]
    config: PathBuf,
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

#[derive(Args)]
struct SiteArguments {
    /// The folder with `site.yaml`.
    #[arg(long, default_value = ".")]
    site: PathBuf,
    /// The folder with the themes; looked for beside the site and above it if left out.
    #[arg(long)]
    themes: Option<PathBuf>,
    /// How errors are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Subcommand)]
enum Action {
    /// Make `tieup.yaml`, the keys and the database of a new main site.
    Init {
        /// The main site's name: lower-case letters, digits and hyphens.
        main: SiteId,
    },
    /// Build the main site into a folder.
    Build {
        #[command(flatten)]
        site: SiteArguments,
        /// Where to; else `public`, and for partners a folder beside it.
        #[arg(long)]
        out: Option<PathBuf>,
        /// Make everything anew, and leave nothing for the next build.
        #[arg(long)]
        no_cache: bool,
        /// Afterwards make a sample of the files afresh, and compare them with what was built.
        #[arg(long, conflicts_with_all = ["partner", "partners"])]
        verify: bool,
        /// Build what this partner gets instead, without what it fills in itself.
        #[arg(long, value_name = "ID")]
        partner: Option<SiteId>,
        /// Build what every partner gets instead: what they share once, and what each has of its own.
        #[arg(long, conflicts_with = "partner")]
        partners: bool,
    },
    /// Show the site in the browser as you write it, as visitors and each partner's visitors see it, until Ctrl-C.
    Preview(preview::Arguments),
    /// Look for mistakes in the site and every partner's release, and build nothing.
    Check {
        #[command(flatten)]
        site: SiteArguments,
    },
    /// Run the hub until Ctrl-C: partners join here, the main site is served, and partners are pushed to when it is due:
    /// at the times of their contracts, or else when the site changes.
    Hub {
        /// Push to nobody; only `tieup publish` does.
        #[arg(long)]
        no_publish: bool,
    },
    /// Build and push to every partner what has changed for it, at once, whatever was scheduled.
    Publish {
        /// Only to these partners.
        partners: Vec<SiteId>,
        /// Send content that an operator rejected once more.
        #[arg(long)]
        again: bool,
        /// Mark the release as an emergency, for this reason: where the contract says so it goes live at once, and the
        /// operator is told; elsewhere it waits as any release does.
        #[arg(long, value_name = "REASON", conflicts_with = "watch", value_parser = parse_emergency)]
        emergency: Option<String>,
        /// Stay, and go on as `tieup hub` does: at prescribed times, or else when the site changes, and again after a
        /// failure.
        #[arg(long)]
        watch: bool,
    },
    /// Show how every partner stands: what is offered, staged, live or refused, since when, why, and what comes next.
    Status {
        /// Only these partners, with their newest releases.
        partners: Vec<SiteId>,
        /// Show every release.
        #[arg(long)]
        all: bool,
        /// How it is written.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Fetch and show who decided what at a partner and when, and verify that nothing of it was changed.
    Audit {
        /// The partner; your own trail, of disputes and your answers, if left out.
        partner: Option<SiteId>,
        /// Settle that the partner's trail is refused, such as after it lost its machine: your copy is put aside and kept,
        /// and its trail is taken from its beginning.
        #[arg(long, requires_all = ["partner", "reason"])]
        settle: bool,
        /// Why it is settled, for your own trail, in at most 500 characters.
        #[arg(long, requires = "settle", value_parser = logs::parse_reason)]
        reason: Option<String>,
    },
    /// Partners.
    #[command(subcommand)]
    Partner(PartnerAction),
    /// The keys that sign releases, who must sign, and what to do when one is stolen.
    #[command(subcommand)]
    Key(key::KeyAction),
    /// The hub's database.
    #[command(subcommand)]
    Database(database::DatabaseAction),
    /// The partners' access logs.
    #[command(subcommand)]
    Log(LogAction),
    /// Fees.
    #[command(subcommand)]
    Fee(fees::FeeAction),
    /// Sales that fees go by.
    #[command(subcommand)]
    Sales(sales::SalesAction),
}

#[derive(Subcommand)]
enum PartnerAction {
    /// Write a contract with a new partner, for you to read and change.
    Add {
        /// The partner's name: lower-case letters, digits and hyphens.
        partner: SiteId,
    },
    /// Print a one-time token with which the partner joins.
    Invite {
        /// The partner's name, as in its contract.
        partner: SiteId,
    },
    /// Write the folder that a partner's operator begins with: configuration, samples, and a manual of the contract.
    Kit {
        /// The partner's name, as in its contract.
        partner: SiteId,
        /// Where to; by default a folder of the partner's name with `-kit` after it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// List the partners that have joined, with the code to compare.
    List,
    /// Refuse a partner from now on: its certificates are accepted no more, and nothing is sent to it.
    Revoke {
        /// The partner's name.
        partner: SiteId,
        /// Why, for your own status, in at most 500 characters.
        #[arg(long, value_parser = revoke::parse_reason)]
        reason: Option<String>,
    },
}

/// Why a release is an emergency: something to read, and not too much of it.
fn parse_emergency(text: &str) -> Result<String, String> {
    let reason = text.trim();
    match reason.chars().count() {
        0 => Err("say why: the partners' operators read it".to_owned()),
        1..=MAX_EMERGENCY => Ok(reason.to_owned()),
        more => Err(format!("it has {more} characters, and may have {MAX_EMERGENCY}")),
    }
}

/// Runs the command line of this process. Exit status 0: done, 1: failed, 2: wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    terminal::log(LevelFilter::INFO);
    terminal::conclude(run(&cli))
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    match &cli.action {
        Action::Build { site: arguments, out, partner: Some(partner), .. } => {
            let usual = || format!("public-{partner}").into();
            return releases::build_one(&cli.config, arguments, &out.clone().unwrap_or_else(usual), partner);
        }
        Action::Build { site: arguments, out, partners: true, .. } => {
            let usual = || "public-partners".into();
            return releases::build_all(&cli.config, arguments, &out.clone().unwrap_or_else(usual));
        }
        Action::Build { site: arguments, out, no_cache, verify, .. } => {
            let caching = if *no_cache { build::Caching::Off } else { build::Caching::On };
            let out = out.clone().unwrap_or_else(|| "public".into());
            build::build(&cli.config, arguments, &out, caching)?;
            return if *verify { build::verify(&cli.config, arguments, &out) } else { Ok(()) };
        }
        Action::Check { site: arguments } => return check::check(&cli.config, arguments),
        Action::Log(LogAction::VerifyProof(arguments)) => return proving::verify_proof(arguments),
        Action::Key(key::KeyAction::Create { out }) => return key::create(out),
        Action::Key(key::KeyAction::Sign { file, key }) => return key::sign(file, key),
        _ => {}
    }
    let given = given(&cli.action)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match &cli.action {
            Action::Preview(arguments) => preview::preview(&cli.config, arguments).await,
            Action::Init { main } => site::init(&cli.config, main).await,
            Action::Hub { no_publish } => {
                let pushing = if *no_publish { Pushing::No } else { Pushing::Scheduled };
                watching::serve(open(cli).await?, given, pushing).await
            }
            Action::Publish { partners, again, emergency, watch } => {
                let rejected = if *again { Rejected::SendAgain } else { Rejected::Skip };
                let hub = open(cli).await?;
                if *watch {
                    watching::publish_on_change(hub, partners, rejected).await
                } else {
                    site::publish(&hub, partners, rejected, emergency.as_deref()).await
                }
            }
            Action::Status { partners, all, format } => {
                let shown = match (all, partners.is_empty()) {
                    (true, _) => Shown::All,
                    (false, true) => Shown::None,
                    (false, false) => Shown::Newest,
                };
                status::status(&open(cli).await?, partners, shown, *format).await
            }
            Action::Audit { partner, reason, .. } => {
                partners::trail(&open(cli).await?, partner.as_ref(), reason.as_deref()).await
            }
            Action::Partner(action) => partners::partner(&open(cli).await?, action).await,
            Action::Key(action) => key::key(&open(cli).await?, action).await,
            Action::Database(action) => database::database(&cli.config, action).await,
            Action::Log(action) => logs::log(&Arc::new(open(cli).await?), action).await,
            Action::Fee(action) => fees::fee(&open(cli).await?, action).await,
            Action::Sales(action) => sales::sales(&open(cli).await?, action).await,
            Action::Build { .. } | Action::Check { .. } => Ok(()),
        }
    })
}

/// The sockets that a service manager hands over to the hub; before there are threads, whose environment this changes.
fn given(action: &Action) -> anyhow::Result<GivenSockets> {
    if !matches!(action, Action::Hub { .. }) {
        return Ok(GivenSockets::none());
    }
    memory::give_back()?;
    memory::dump_no_core()?;
    Ok(GivenSockets::take_over()?)
}

/// The configuration with what the environment says of the database.
fn with_environment(config: Config) -> Result<Config, Diagnostic> {
    config.with_database(std::env::var_os(DATABASE_VARIABLE))
}

async fn open(cli: &Cli) -> anyhow::Result<Hub> {
    let config = with_environment(Config::load(&cli.config)?)?;
    Ok(Hub::open(config).await?)
}
