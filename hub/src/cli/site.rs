//! What an editor does: set up, check, publish.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::Serialize;
use tieup_generator::{Loading, Site};
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::diagnostic::Report;
use tieup_protocol::ids::SiteId;
use tieup_store::cache::Cache;
use tieup_store::durable;
use tieup_web::terminal::counted;
use tieup_web::{say, terminal};

use super::partners::say_why_none;
use super::progress::Running;
use super::{Format, SiteArguments, with_environment};
use crate::config::Config;
use crate::keys::{KeyError, KeyFolder};
use crate::partners::Hub;
use crate::publish::{Outcome, PublishError, Rejected};
use crate::starter;

/// Where a new hub keeps its state.
pub(super) const STATE: &str = ".tieup";

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
         join: 127.0.0.1:7440      # where the hub listens for partners; 0.0.0.0:7440 for other machines\n\
         # address: hub.example:7440   # how partners reach `join`; it is written into their tokens\n\
         public: 127.0.0.1:8000    # where your own pages are served; 0.0.0.0:80 for other machines\n"
    );
    let config = with_environment(Config::parse(file, &text)?)?;
    let (keys, site) = (config.state.join("keys"), config.site.clone());
    let site_is_new = !site.join("site.yaml").exists();
    if site_is_new {
        starter::write_site(&site, main)?;
    }
    Hub::create(config).await?;
    // Last, so that a folder with this file is complete, and one without it can be begun again.
    durable::write_file(file, text.as_bytes())?;
    if site_is_new {
        say!("Wrote a small site to begin with: site.yaml, content/, themes/plain/.");
    }
    say!("Wrote {}, and keys in {}.", file.display(), keys.display());
    say!(
        "Keep a copy of the keys in a safe place, and show them to nobody: whoever has them can publish in your name."
    );
    say!("Next:");
    say!("  tieup check                every mistake at once");
    say!("  tieup hub                  leave it running: it serves your site, and partners join it");
    say!("  tieup partner add NAME     a contract with your first partner");
    Ok(())
}

/// Says a document on standard output.
pub(super) fn say_json(document: &impl Serialize) {
    let text = serde_json::to_string_pretty(document).expect("texts and numbers are written as JSON without fail");
    say!("{text}");
}

/// The path without links and dots, also where its end is not there yet.
pub(super) fn resolve(path: &Path) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(path).with_context(|| format!("{} is not a path", path.display()))?;
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                resolved.pop();
            }
            part => resolved.push(part),
        }
        resolved = resolved.canonicalize().unwrap_or(resolved);
    }
    Ok(resolved)
}

/// The hub's configuration: the named one where it is for this site, or the one in the site's folder.
pub(super) fn configuration(named: &Path, site: &Path) -> anyhow::Result<Option<Config>> {
    let beside = site.join("tieup.yaml");
    for file in [named, &beside] {
        if file.is_file() {
            let config = Config::load(file)?;
            if resolve(&config.site)? == resolve(site)? {
                return Ok(Some(config));
            }
        }
    }
    Ok(None)
}

pub(super) fn load(arguments: &SiteArguments, running: &Running, state: &Path) -> Result<Site, Report> {
    let loading = loading(running, state);
    Ok(Site::load_as(&arguments.site, &themes(arguments), &loading)?.at(Timestamp::now()))
}

/// How a site is read whose state is kept in `state`.
pub(super) fn loading(running: &Running, state: &Path) -> Loading {
    Loading { progress: running.progress(), pictures: Some(pictures(state)), ..Loading::default() }
}

/// Where narrower pictures are kept below `state`.
pub(super) fn pictures(state: &Path) -> Cache {
    Cache::at(state.join("cache/pictures"))
}

/// Where the state of the site's hub is, or would be.
pub(super) fn state(named: &Path, site: &Path) -> anyhow::Result<PathBuf> {
    Ok(configuration(named, site)?.map_or_else(|| site.join(STATE), |config| config.state))
}

pub(super) fn themes(arguments: &SiteArguments) -> PathBuf {
    arguments.themes.clone().unwrap_or_else(|| find_themes(&arguments.site))
}

/// The nearest folder `themes`: in the site, beside it, or beside the folder it is in.
pub(super) fn find_themes(site: &Path) -> PathBuf {
    let near = [site.join("themes"), site.join("../themes"), site.join("../../themes")];
    near.iter().find(|folder| folder.is_dir()).unwrap_or(&near[0]).clone()
}

pub(super) fn report<T>(result: Result<T, Report>, format: Format) -> anyhow::Result<T> {
    result.map_err(|report| match format {
        Format::Text => report.into(),
        Format::Json => {
            say_json(&report);
            anyhow::anyhow!("the site has mistakes; they stand on standard output")
        }
    })
}

pub(super) fn load_site(hub: &Hub, running: &Running) -> anyhow::Result<Site> {
    let (config, loading) = (&hub.config, loading(running, &hub.config.state));
    Ok(Site::load_as(&config.site, &config.themes, &loading)?.at(Timestamp::now()))
}

/// Publishes to the partners in `only`, or to all; as an emergency where there is a reason for one.
pub(super) async fn publish(
    hub: &Hub,
    only: &[SiteId],
    rejected: Rejected,
    emergency: Option<&str>,
) -> anyhow::Result<()> {
    let running = Running::begin();
    let site = tokio::task::block_in_place(|| load_site(hub, &running))?;
    let outcomes = match emergency {
        Some(reason) => hub.publish_emergency(&site, only, rejected, reason).await?,
        None => hub.publish(&site, only, rejected).await?,
    };
    if outcomes.is_empty() {
        drop(running);
        return say_why_none(hub).await;
    }
    let failed = tell_round(running, outcomes)?;
    if failed > 0 {
        bail!("{failed} of the partners did not get the release; their sites are as they were");
    }
    Ok(())
}

/// Says how publishing went, partner by partner, and gives how many did not get it.
fn tell_round(running: Running, outcomes: Vec<(SiteId, Result<Outcome, PublishError>)>) -> anyhow::Result<usize> {
    let work = running.end(0).work();
    let (partners, mut failed) = (outcomes.len(), 0);
    for (partner, outcome) in outcomes {
        match outcome {
            Ok(outcome) => say!("{partner}: {}", describe(&outcome)),
            Err(PublishError::Site(report)) => return Err(report.into()),
            Err(error) => {
                terminal::complain(&error);
                failed += 1;
            }
        }
    }
    say!("{}: {work}", counted(partners, "partner", "partners"));
    Ok(failed)
}

/// An outcome as people read it.
pub fn describe(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Unchanged(version) => format!("nothing to do; release {version} has this content"),
        Outcome::Delivered { release, blobs, sent } => {
            let waits = release.waits_for.as_ref().map(|reason| format!(", waits for the operator: {reason}"));
            let waits = match &release.state {
                ReleaseState::Approved { at } => Some(format!(", goes live at {}", at.strftime("%Y-%m-%d %H:%M UTC"))),
                _ => waits,
            };
            format!(
                "release {} is {}{} ({}, {sent} bytes sent)",
                release.version,
                release.state.word(),
                waits.unwrap_or_default(),
                counted(*blobs, "blob", "blobs")
            )
        }
        Outcome::AwaitingSignatures { version, file, given, needed } => {
            format!(
                "release {version} waits for signatures, {given} of {needed} are there; sign {} with \
                 `tieup key sign`, bring it back with `tieup key install`",
                file.display()
            )
        }
        Outcome::LinkAlone(None) => "nothing to publish; the contract is for a link alone".to_owned(),
        Outcome::LinkAlone(Some(version)) => {
            format!("nothing to publish; the contract is for a link alone, and release {version} is still live there")
        }
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
