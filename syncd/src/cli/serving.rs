//! `syncd run`: the daemon's sockets, what the person who starts it reads, and what a service manager is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::bail;
use tieup_protocol::approval::{ReleaseRecord, ReleaseState};
use tieup_store::lock::{LockError, StateLock};
use tieup_web::listener::{Shutdown, told_to_end};
use tieup_web::say;
use tieup_web::service::{GivenSockets, Notice, SocketError};
use tieup_web::starter::told_of_sample;
use tokio::sync::watch;

use super::tie_ups::Meant;
use super::told::tell;
use crate::clock::Clock;
use crate::config::Config;
use crate::daemon::{Besides, Daemon, Listeners, Partner};
use crate::identity::Identity;

/// Runs the daemon until it is told to end.
pub(super) fn serve(config: &Config) -> anyhow::Result<()> {
    // Before there are threads, whose environment this changes.
    let given = GivenSockets::take_over()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let held = hold(config)?;
        let listeners = listen(config, given).await?;
        // The daemon takes it for itself.
        drop(held);
        let daemon = Daemon::start(config, listeners)?;
        greet(config, &daemon);
        let shutdown = Shutdown::new();
        tokio::spawn(Notice.keep_alive(shutdown.clone()));
        Notice.ready(&sentence(&daemon.partner().releases()));
        tokio::spawn(keep_told(daemon.watch(), daemon.partner().clone()));
        told_to_end().await?;
        Notice.stopping();
        daemon.stop().await;
        shutdown.begin();
        anyhow::Ok(())
    })
}

/// The state folder, held while ports are opened, so that a second daemon is told of the first and not of a port that is
/// taken; none before the partner has joined.
fn hold(config: &Config) -> anyhow::Result<Option<StateLock>> {
    if Identity::load(&config.state).is_err() {
        return Ok(None);
    }
    match StateLock::take(&config.state) {
        Err(LockError::Taken(folder)) => {
            bail!("a daemon runs here already, with {}: `syncd status` says how it stands", folder.display())
        }
        held => Ok(Some(held?)),
    }
}

/// The sockets that `config` asks for: those that were `given`, and the others opened here.
async fn listen(config: &Config, mut given: GivenSockets) -> Result<Listeners, SocketError> {
    let public = given.listen("public", &config.public).await?;
    let https = given.listen_if("https", config.https.as_ref().map(|https| https.listen.as_str())).await?;
    let peer = given.listen_if("peer", config.peer.as_deref()).await?;
    let admin = config.admin.map(|admin| admin.0.to_string());
    let admin = given.listen_if("admin", admin.as_deref()).await?;
    let mut mains = BTreeMap::new();
    for (main, further) in &config.mains {
        let listener = given.listen_if(&format!("peer-{main}"), further.peer.as_deref()).await?;
        mains.extend(listener.map(|listener| (main.clone(), listener)));
    }
    Ok(Listeners { public, peer, mains, besides: Besides { https, admin, given } })
}

/// Says where the daemon is reached.
fn greet(config: &Config, daemon: &Daemon) {
    let visitors = config.https.as_ref().map_or(format!("http://{}/", config.public), |https| {
        format!("https://{}/ (http://{}/ leads there)", https.listen, config.public)
    });
    say!("Serving visitors on {visitors} and {}.", meeting(config, "the main site"));
    if let Some(note) = sample_address(config) {
        say!("Note: {note}.");
    }
    for (main, further) in &config.mains {
        let joined = daemon.partners().any(|partner| partner.identity().main == *main);
        let meeting = if joined { meeting(further, main.as_str()) } else { format!("not yet joined with {main}") };
        say!("Also {meeting}.");
    }
    for partner in daemon.partners() {
        let meant = Meant::of(config, &partner.identity().main);
        if let Some(console) = partner.front().console() {
            say!("Your console is {console}: sign in with `syncd{meant} console`.");
        }
        let clock = Clock::of(&partner.identity());
        tokio::spawn(tell(partner.publisher().watch(), meant, clock));
    }
}

/// What is to be said where the site's address is still that of `syncd init`. What else is wrong with `site.yaml` is told
/// where it is read.
fn sample_address(config: &Config) -> Option<String> {
    let text = std::fs::read_to_string(config.site.join("site.yaml")).ok()?;
    let address = text.lines().find_map(|line| line.strip_prefix("base_url:"))?;
    told_of_sample(address.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']))
}

/// How the daemon and `main` meet.
fn meeting(config: &Config, main: &str) -> String {
    match &config.peer {
        Some(peer) => format!("waiting for {main} on {peer}"),
        None => format!("keeping a line to {main}"),
    }
}

/// Tells the service manager how the releases stand, whenever that changes.
async fn keep_told(mut releases: watch::Receiver<Vec<ReleaseRecord>>, partner: Arc<Partner>) {
    while releases.changed().await.is_ok() {
        Notice.status(&sentence(&partner.releases()));
    }
}

/// How the releases stand, in a sentence.
fn sentence(releases: &[ReleaseRecord]) -> String {
    let live = releases.iter().find(|release| release.state == ReleaseState::Live);
    let live = live.map_or("no release is live yet".to_owned(), |live| format!("release {} is live", live.version));
    match releases.iter().filter(|release| release.state.is_open()).count() {
        0 => live,
        1 => format!("{live}; one waits for the operator or its time"),
        more => format!("{live}; {more} wait for the operator or their time"),
    }
}
