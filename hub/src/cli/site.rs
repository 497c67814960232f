//! What an editor does: set up, build, check, serve, publish.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail};
use tieup_generator::{Site, Watch};
use tieup_protocol::diagnostic::Report;
use tieup_protocol::ids::SiteId;
use tieup_store::{durable, tree};
use tieup_web::complaint;
use tieup_web::listener::told_to_end;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{Format, SiteArguments};
use crate::config::Config;
use crate::keys::{KeyError, KeyFolder};
use crate::partners::Hub;
use crate::publish::{Outcome, PublishError, Rejected};
use crate::server::Server;
use crate::starter;

/// Where a new hub keeps its state.
const STATE: &str = ".tieup";

pub(super) async fn init(file: &Path, main: &SiteId) -> anyhow::Result<()> {
    if file.exists() {
        bail!("{} is there already; it is not replaced", file.display());
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    let keys = KeyFolder::new(&folder.join(STATE), main);
    if keys.exists() {
        return Err(KeyError::Exists(folder.join(STATE).join("keys")).into());
    }
    let text = format!(
        "main: {main}\nsite: .\nthemes: themes\nstate: {STATE}\n\
         join: 127.0.0.1:7440      # where partners join; put a public address here\n\
         public: 127.0.0.1:8000    # where your own pages are served\n"
    );
    durable::write_file(file, text.as_bytes())?;
    let config = Config::load(file)?;
    let (keys, site) = (config.state.join("keys"), config.site.clone());
    Hub::create(config).await?;
    if !site.join("site.yaml").exists() {
        starter::write_site(&site, main)?;
        println!("Wrote a small site to begin with: site.yaml, content/, themes/plain/.");
    }
    println!("Wrote {}, and keys in {}.", file.display(), keys.display());
    println!(
        "Keep a copy of the keys in a safe place, and show them to nobody: whoever has them can publish in your name."
    );
    Ok(())
}

pub(super) fn build(arguments: &SiteArguments, out: &Path) -> anyhow::Result<()> {
    let start = Instant::now();
    let site = load(arguments)?;
    let output = report(site.build_main(), arguments.format)?;
    let bytes = tree::write(out, output.tree())?;
    let (pages, files, seconds) = (output.index.len(), output.files.len(), start.elapsed().as_secs_f64());
    println!("Built {pages} pages, {files} files, {bytes} bytes in {seconds:.2} s into {}", out.display());
    Ok(())
}

pub(super) fn check(arguments: &SiteArguments) -> anyhow::Result<()> {
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

fn report<T>(result: Result<T, Report>, format: Format) -> anyhow::Result<T> {
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

pub(super) async fn serve(hub: Hub) -> anyhow::Result<()> {
    let bind =
        async |address: &str| TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"));
    let (join, public) = (bind(&hub.config.join).await?, bind(&hub.config.public).await?);
    let hub = Arc::new(hub);
    let server = Server::start(&hub, join, public)?;
    let (_watch, mut changes) = watch_site(&hub.config)?;
    println!("Serving the main site on http://{}/; partners join on {}.", hub.config.public, hub.config.join);
    // One future for all rounds: a signal that comes while pages are built is not lost.
    let mut ended = pin!(told_to_end());
    loop {
        match tokio::task::block_in_place(|| anyhow::Ok(server.show(&load_site(&hub)?)?)) {
            Ok(Some(files)) => println!("{files} files are served."),
            Ok(None) => {}
            Err(error) => eprint!("{}", complaint::render(error.as_ref())),
        }
        tokio::select! {
            ended = ended.as_mut() => {
                ended?;
                break;
            }
            Some(()) = changes.recv() => {}
        }
    }
    server.stop().await;
    Ok(())
}

/// Publishes now, and again after each change, until the process is told to end.
pub(super) async fn publish_on_change(hub: &Hub, only: &[SiteId], rejected: Rejected) -> anyhow::Result<()> {
    let (_watch, mut changes) = watch_site(&hub.config)?;
    let mut ended = pin!(told_to_end());
    loop {
        if let Err(error) = publish(hub, only, rejected).await {
            eprint!("{}", complaint::render(error.as_ref()));
        }
        tokio::select! {
            ended = ended.as_mut() => return Ok(ended?),
            Some(()) = changes.recv() => {}
        }
    }
}

/// Publishes to the partners in `only`, or to all.
pub(super) async fn publish(hub: &Hub, only: &[SiteId], rejected: Rejected) -> anyhow::Result<()> {
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
        Outcome::LinkAlone => "nothing to publish; the contract is for a link alone".to_owned(),
        Outcome::RolledBack(version) => {
            format!(
                "not sent: the operator rolled back from this content, release {version}; change it, or use --again"
            )
        }
        Outcome::RejectedBefore { version, reason } => {
            format!(
                "not sent: the operator rejected this content as release {version} (\"{reason}\"); change it, or use --again"
            )
        }
    }
}
