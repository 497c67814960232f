//! The command line: what an editor and a fee manager type, and what they read.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use tieup_generator::{Site, Watch};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::wire::StatementVerdict;
use tieup_store::durable;
use tieup_store::journal::{LogVerifier, Origin, month_dir, months, verify_log};
use tieup_store::tree;
use tieup_web::complaint;
use tieup_web::listener::told_to_end;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::partners::Hub;
use crate::publish::{Outcome, PublishError, Rejected};
use crate::server::Server;

/// The main site: builds pages, publishes them to partners, collects their logs and computes their fees.
#[derive(Parser)]
#[command(name = "tieup", version, arg_required_else_help = true, after_help = "\
Begin in the folder of your site:
  tieup init nationwide
  tieup hub                       (and leave it running)
  tieup partner invite harbor-shop
  tieup publish
and at the end of the month:
  tieup log fetch
  tieup fee statement harbor-shop 2026-11")]
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
        /// Where to.
        #[arg(long, default_value = "public")]
        out: PathBuf,
        /// Use nothing from an earlier build. (Nothing is cached yet, so this changes nothing.)
        #[arg(long)]
        no_cache: bool,
    },
    /// Look for mistakes in the site and every partner's release, and build nothing.
    Check {
        #[command(flatten)]
        site: SiteArguments,
    },
    /// Run the hub until Ctrl-C: partners join here, and the main site is served.
    Hub,
    /// Build and push to every partner what has changed for it.
    Publish {
        /// Only to these partners.
        partners: Vec<SiteId>,
        /// Send content that an operator rejected once more.
        #[arg(long)]
        again: bool,
        /// Stay, and publish again whenever the site changes.
        #[arg(long)]
        watch: bool,
    },
    /// Show for every partner what is offered, staged, live or refused, and why.
    Status,
    /// Partners.
    #[command(subcommand)]
    Partner(PartnerAction),
    /// The partners' access logs.
    #[command(subcommand)]
    Log(LogAction),
    /// Fees.
    #[command(subcommand)]
    Fee(FeeAction),
}

#[derive(Subcommand)]
enum PartnerAction {
    /// Print a one-time token with which the partner joins.
    Invite {
        /// The partner's name, as in its contract.
        partner: SiteId,
    },
    /// List the partners that have joined, with the code to compare.
    List,
}

#[derive(Subcommand)]
enum LogAction {
    /// Fetch what is new from every partner, verify it and cosign it.
    Fetch,
    /// Hash every fetched entry again and compare with the signed checkpoints.
    Verify,
}

#[derive(Subcommand)]
enum FeeAction {
    /// Compute a month's statement, hand it to the partner and show its verdict.
    Statement {
        /// The partner.
        partner: SiteId,
        /// The month, such as 2026-11.
        month: Month,
    },
}

/// Runs the command line of this process. Exit status 0: done, 1: failed, 2: wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).init();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{}", complaint::render(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    match &cli.action {
        Action::Build { site, out, no_cache: _ } => return build(site, out),
        Action::Check { site } => return check(site),
        _ => {}
    }
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match &cli.action {
            Action::Init { main } => init(&cli.config, main).await,
            Action::Hub => serve(open(cli).await?).await,
            Action::Publish { partners, again, watch } => {
                let rejected = if *again { Rejected::SendAgain } else { Rejected::Skip };
                publish(&open(cli).await?, partners, rejected, *watch).await
            }
            Action::Status => status(&open(cli).await?).await,
            Action::Partner(action) => partner(&open(cli).await?, action).await,
            Action::Log(LogAction::Fetch) => fetch(&open(cli).await?).await,
            Action::Log(LogAction::Verify) => verify(&open(cli).await?).await,
            Action::Fee(FeeAction::Statement { partner, month }) => statement(&open(cli).await?, partner, *month).await,
            Action::Build { .. } | Action::Check { .. } => Ok(()),
        }
    })
}

async fn open(cli: &Cli) -> anyhow::Result<Hub> {
    let config = Config::load(&cli.config)?;
    Ok(Hub::open(config).await?)
}

async fn init(file: &Path, main: &SiteId) -> anyhow::Result<()> {
    if file.exists() {
        bail!("{} is there already; it is not replaced", file.display());
    }
    let text = format!(
        "main: {main}\nsite: .\nthemes: themes\nstate: .tieup\n\
         join: 127.0.0.1:7440      # where partners join; put a public address here\n\
         public: 127.0.0.1:8000    # where your own pages are served\n"
    );
    durable::write_file(file, text.as_bytes())?;
    let config = Config::load(file)?;
    let keys = config.state.join("keys");
    Hub::create(config).await?;
    println!("Wrote {}, and keys in {}.", file.display(), keys.display());
    println!("Keep a copy of that folder in a safe place: whoever has it can publish in your name.");
    Ok(())
}

fn build(arguments: &SiteArguments, out: &Path) -> anyhow::Result<()> {
    let start = Instant::now();
    let site = load(arguments)?;
    let output = report(site.build_main(), arguments.format)?;
    let bytes = tree::write(out, output.tree())?;
    let (files, seconds) = (output.files.len(), start.elapsed().as_secs_f64());
    println!("Built {} pages, {files} files, {bytes} bytes in {seconds:.2} s into {}", output.index.len(), out.display());
    Ok(())
}

fn check(arguments: &SiteArguments) -> anyhow::Result<()> {
    let site = load(arguments)?;
    let pages = report(site.build_main(), arguments.format)?.index.len();
    for contract in site.partners() {
        let partner = &contract.id.partner;
        let release = report(site.build_release(partner), arguments.format)?;
        println!("{partner}: {} paths under {}", release.output.files.len(), contract.id);
        if !contract.not_acted_on().is_empty() {
            println!("  note: nothing acts on these keys of the contract yet: {}", contract.not_acted_on().join(", "));
        }
    }
    println!("No mistakes in {pages} pages.");
    Ok(())
}

fn load(arguments: &SiteArguments) -> anyhow::Result<Site> {
    let themes = arguments.themes.clone().unwrap_or_else(|| find_themes(&arguments.site));
    report(Site::load(&arguments.site, &themes), arguments.format)
}

/// The nearest folder `themes`: in the site, beside it, or beside the folder it is in.
fn find_themes(site: &Path) -> PathBuf {
    let near = [site.join("themes"), site.join("../themes"), site.join("../../themes")];
    near.iter().find(|folder| folder.is_dir()).unwrap_or(&near[0]).clone()
}

fn report<T>(result: Result<T, tieup_protocol::diagnostic::Report>, format: Format) -> anyhow::Result<T> {
    result.map_err(|report| match format {
        Format::Text => report.into(),
        Format::Json => {
            println!("{}", serde_json::to_string_pretty(&report).unwrap_or_default());
            anyhow::anyhow!("the site has mistakes; they stand on standard output")
        }
    })
}

fn load_site(hub: &Hub) -> anyhow::Result<Site> {
    Ok(Site::load(&hub.config.site, &hub.config.themes)?)
}

/// Watches the site and its themes; a message comes after each change.
fn watch_site(config: &Config) -> anyhow::Result<(Watch, mpsc::Receiver<()>)> {
    let (sender, changes) = mpsc::channel(1);
    let watch = Watch::start(&[&config.site, &config.themes], &config.state, move || {
        // A full channel already holds a message that will cover this change too.
        let _ = sender.try_send(());
    })
    .context("the site cannot be watched")?;
    Ok((watch, changes))
}

async fn serve(hub: Hub) -> anyhow::Result<()> {
    let bind = async |address: &str| TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"));
    let (join, public) = (bind(&hub.config.join).await?, bind(&hub.config.public).await?);
    let hub = Arc::new(hub);
    let server = Server::start(&hub, join, public)?;
    let (_watch, mut changes) = watch_site(&hub.config)?;
    println!("Serving the main site on http://{}/; partners join on {}.", hub.config.public, hub.config.join);
    loop {
        match tokio::task::block_in_place(|| anyhow::Ok(server.show(&load_site(&hub)?)?)) {
            Ok(files) => println!("{files} files are served."),
            Err(error) => eprint!("{}", complaint::render(error.as_ref())),
        }
        tokio::select! {
            ended = told_to_end() => {
                ended?;
                break;
            }
            Some(()) = changes.recv() => {}
        }
    }
    server.stop().await;
    Ok(())
}

async fn publish(hub: &Hub, only: &[SiteId], rejected: Rejected, watch: bool) -> anyhow::Result<()> {
    let (_watch, mut changes) = watch_site(&hub.config)?;
    let mut result = publish_once(hub, only, rejected).await;
    while watch {
        if let Err(error) = &result {
            eprint!("{}", complaint::render(error.as_ref()));
        }
        tokio::select! {
            ended = told_to_end() => {
                ended?;
                return Ok(());
            }
            Some(()) = changes.recv() => result = publish_once(hub, only, rejected).await,
        }
    }
    result
}

async fn publish_once(hub: &Hub, only: &[SiteId], rejected: Rejected) -> anyhow::Result<()> {
    let site = tokio::task::block_in_place(|| load_site(hub))?;
    let outcomes = hub.publish(&site, only, rejected).await?;
    if outcomes.is_empty() {
        println!("No partner has joined yet: invite one with `tieup partner invite NAME`.");
    }
    let mut failed = 0;
    for (partner, outcome) in outcomes {
        match outcome {
            Ok(outcome) => println!("{partner}: {}", describe(&outcome)),
            Err(PublishError::Site(report)) => return Err(report.into()),
            Err(error) => {
                failed += 1;
                eprint!("{}", complaint::render(&error));
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of the partners did not get the release; their sites are as they were");
    }
    Ok(())
}

/// An outcome as people read it.
pub fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Unchanged(version) => format!("nothing to do; release {version} has this content"),
        Outcome::Delivered { release, blobs, sent } => {
            let waits = release.waits_for.as_ref().map(|reason| format!(", waits for the operator: {reason}"));
            format!(
                "release {} is {}{} ({blobs} blobs, {sent} bytes sent)",
                release.version,
                release.state.word(),
                waits.unwrap_or_default()
            )
        }
        Outcome::RejectedBefore { version, reason } => {
            format!("not sent: the operator rejected this content as release {version} (\"{reason}\"); change it, or use --again")
        }
    }
}

async fn status(hub: &Hub) -> anyhow::Result<()> {
    let partners = hub.database.partners().await?;
    if partners.is_empty() {
        println!("No partner has joined yet: invite one with `tieup partner invite NAME`.");
    }
    for partner in partners {
        let answer = hub.status(&partner).await;
        let reached = if answer.is_ok() { "reached now" } else { "NOT reached" };
        println!("{} at {} ({reached})", partner.id, partner.address);
        for release in hub.database.releases(&partner.id).await? {
            let since = release.since.strftime("%Y-%m-%d %H:%M UTC");
            let detail = if release.detail.is_empty() { String::new() } else { format!(": {}", release.detail) };
            println!("  release {:<4} {:<11} since {since}{detail}", release.version, release.state);
        }
        if let Err(error) = answer {
            print!("{}", complaint::render(&error));
        }
    }
    Ok(())
}

async fn partner(hub: &Hub, action: &PartnerAction) -> anyhow::Result<()> {
    match action {
        PartnerAction::Invite { partner } => {
            let token = hub.invite(partner, Timestamp::now()).await?;
            eprintln!("Give this token to `{partner}`. It is good once, within a week, while `tieup hub` is running:");
            println!("{token}");
        }
        PartnerAction::List => {
            for partner in hub.database.partners().await? {
                let joined = partner.joined.strftime("%Y-%m-%d");
                println!("{}  {}  joined {joined}  compare code {}", partner.id, partner.address, partner.compare_code);
            }
        }
    }
    Ok(())
}

async fn fetch(hub: &Hub) -> anyhow::Result<()> {
    let mut failed = 0;
    for partner in hub.database.partners().await? {
        match hub.collect(&partner).await {
            Ok(months) => {
                for month in months {
                    println!("{} {}: {} new entries, {} in all, cosigned", partner.id, month.month, month.added, month.size);
                }
            }
            Err(error) => {
                failed += 1;
                eprintln!("{}:", partner.id);
                eprint!("{}", complaint::render(&error));
            }
        }
    }
    if failed > 0 {
        bail!("the journals of {failed} partners were not taken");
    }
    Ok(())
}

async fn verify(hub: &Hub) -> anyhow::Result<()> {
    for partner in hub.database.partners().await? {
        let key: LogVerifier = partner.journal_key.parse().context("a partner's journal key cannot be used")?;
        let folder = hub.mirrors(&partner);
        for month in months(&folder)? {
            let origin = Origin::new(&hub.config.main, &partner.id, month);
            let log = verify_log(&month_dir(&folder, month), &origin, &key)
                .with_context(|| format!("the journal {origin} does not verify"))?;
            println!("{origin}: {} entries match the signed checkpoint", log.checkpoint.size());
        }
    }
    Ok(())
}

async fn statement(hub: &Hub, partner: &SiteId, month: Month) -> anyhow::Result<()> {
    let partner = hub.partner(partner).await?;
    let delivered = hub.statement(&partner, month, Timestamp::now()).await?;
    print!("{}", delivered.statement.text);
    match delivered.verdict {
        StatementVerdict::Identical => println!("{}: identical", partner.id),
        StatementVerdict::Different { line, main, partner: theirs } => {
            bail!("`{}` computes another statement: line {line} is {main:?} here and {theirs:?} there", partner.id)
        }
    }
    Ok(())
}
