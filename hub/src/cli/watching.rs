//! What stays until it is told to end: `tieup hub` and `tieup publish --watch`. Both read the site again whenever it
//! changes, by a save or because a page's time has come, and hand it to the scheduler.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use tieup_generator::{Change, Patience, Press, Releases, Sources, Watch};
use tieup_protocol::diagnostic::Report;
use tieup_protocol::ids::SiteId;
use tieup_web::listener::{Shutdown, told_to_end};
use tieup_web::service::{GivenSockets, Notice, SocketError};
use tieup_web::{complaint, say, terminal};
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinHandle;

use super::progress::Running;
use super::site::{describe, pictures, publish};
use crate::config::Config;
use crate::counting::keep_counting;
use crate::lead::Lead;
use crate::partners::Hub;
use crate::publish::{Outcome, Rejected};
use crate::release::SharedDigests;
use crate::schedule::{Attempt, Edition, Scheduler, Workshop, wall_clock};
use crate::server::{Server, ShowError, Sockets};
use crate::waking;

/// How often a hub that counts alone looks for work.
const HELPING: Duration = Duration::from_secs(2);

/// Whether a hub pushes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushing {
    /// When it is due.
    Scheduled,
    /// Never.
    No,
}

/// Serves the main site and joins, and pushes when it is due. Where another hub of this database pushes already, takes part
/// in counting alone.
pub(super) async fn serve(hub: Hub, given: GivenSockets, pushing: Pushing) -> anyhow::Result<()> {
    let hub = Arc::new(hub);
    // One future from here to the end, which hears signals from now on: none is lost while the lead is taken over.
    let mut told = pin!(told_to_end());
    tokio::select! {
        biased;
        told = told.as_mut() => return Ok(told?),
        () = std::future::ready(()) => {}
    }
    let mut lead = match pushing {
        Pushing::Scheduled => match await_lead(&hub, told.as_mut()).await? {
            None => return Ok(()),
            lead => lead,
        },
        Pushing::No => None,
    };
    let sockets = listen(&hub.config, given).await?;
    let (joins, shown) = (sockets.join.local_addr()?, sockets.public.local_addr()?);
    let server = Server::start_at(&hub, sockets)?;
    let https = hub.config.https.as_ref().map(|https| format!(" leads to https://{}/", https.listen));
    say!("Serving the main site on http://{shown}/{}; partners join on {joins}.", https.unwrap_or_default());
    let shutdown = Shutdown::new();
    tokio::spawn(Notice.keep_alive(shutdown.clone()));
    Notice.ready("partners join, and the main site is served");
    let desk = (pushing == Pushing::Scheduled).then(|| Desk::open(&hub, &[]));
    let result = attend(&hub, desk, |press, digests| show(&server, press, digests), ended(told, lead.as_mut())).await;
    Notice.stopping();
    server.stop().await;
    shutdown.begin();
    // Until now: pushes that were under way have ended.
    drop(lead);
    result
}

/// The lead, as soon as this hub has it; none where it is `told` to end before, also while the database says nothing.
async fn await_lead(
    hub: &Arc<Hub>,
    mut told: Pin<&mut impl Future<Output = io::Result<()>>>,
) -> anyhow::Result<Option<Lead>> {
    let taken = tokio::select! {
        biased;
        told = told.as_mut() => return Ok(told.map(|()| None)?),
        taken = Lead::take(&hub.config) => taken?,
    };
    match taken {
        None => count_alone(hub, told).await,
        lead => Ok(lead),
    }
}

/// Counts what others have collected, until it is `told` to end, or until the lead is free that was held for a process that is
/// gone: that is given then.
async fn count_alone(
    hub: &Arc<Hub>,
    mut told: Pin<&mut impl Future<Output = io::Result<()>>>,
) -> anyhow::Result<Option<Lead>> {
    say!(
        "Another hub of `{}` pushes already, at {}: this one takes part in counting alone.",
        hub.config.main,
        hub.config.database
    );
    say!("To serve pages and joins beside that one: tieup hub --no-publish");
    let shutdown = Shutdown::new();
    tokio::spawn(Notice.keep_alive(shutdown.clone()));
    Notice.ready("another hub pushes; this one counts");
    let counting = tokio::spawn(keep_counting(hub.clone(), HELPING, shutdown.clone()));
    let lead = tokio::select! {
        ended = told.as_mut() => ended.map(|()| None)?,
        lead = Lead::take_when_free(&hub.config) => match lead? {
            None => told.await.map(|()| None)?,
            lead => lead,
        },
    };
    match &lead {
        Some(_) => say!("The other hub is gone: this one pushes now."),
        None => Notice.stopping(),
    }
    shutdown.begin();
    counting.await?;
    Ok(lead)
}

/// Returns when the process is `told` to end, or the lead is lost. The caller keeps the lead until pushes have ended.
async fn ended(told: impl Future<Output = io::Result<()>>, lead: Option<&mut Lead>) -> io::Result<()> {
    let Some(lead) = lead else { return told.await };
    tokio::select! {
        told = told => told,
        lost = lead.lost() => Err(io::Error::other(lost)),
    }
}

/// The sockets that `config` asks for: those that were `given`, and the others opened here.
async fn listen(config: &Config, mut given: GivenSockets) -> Result<Sockets, SocketError> {
    let join = given.listen("join", &config.join).await?;
    let public = given.listen("public", &config.public).await?;
    let https = given.listen_if("https", config.https.as_ref().map(|https| https.listen.as_str())).await?;
    let admin = config.admin.map(|admin| admin.0.to_string());
    let admin = given.listen_if("admin", admin.as_deref()).await?;
    given.finish()?;
    Ok(Sockets { join, public, https, admin })
}

/// Publishes now, and then whenever it is due, without serving anything.
pub(super) async fn publish_on_change(hub: Hub, only: &[SiteId], rejected: Rejected) -> anyhow::Result<()> {
    let Some(mut lead) = Lead::take(&hub.config).await? else {
        bail!("another hub of `{}` pushes already: stop it, or publish once with `tieup publish`", hub.config.main)
    };
    if let Err(error) = publish(&hub, only, rejected, None).await {
        terminal::complain(error.as_ref());
    }
    keep_publishing(&Arc::new(hub), only, ended(told_to_end(), Some(&mut lead))).await
}

/// Publishes whenever it is due to the partners in `only`, or to all, until `ended` is.
///
/// # Errors
/// When the site cannot be watched.
pub async fn keep_publishing(
    hub: &Arc<Hub>,
    only: &[SiteId],
    ended: impl Future<Output = io::Result<()>>,
) -> anyhow::Result<()> {
    attend(hub, Some(Desk::open(hub, only)), |_, _| Ok(()), ended).await
}

/// A scheduler at work, and the line on which it hears of the site.
struct Desk {
    editions: channel::Sender<Option<Arc<Edition>>>,
    scheduling: JoinHandle<()>,
}

impl Desk {
    fn open(hub: &Arc<Hub>, only: &[SiteId]) -> Self {
        let (editions, latest) = channel::channel(None);
        let told = Mutex::new(BTreeSet::new());
        let scheduler = Scheduler::new(hub.clone(), latest, wall_clock(), move |attempt| tell(attempt, &told));
        Self { editions, scheduling: tokio::spawn(scheduler.only(only.to_vec()).run()) }
    }

    /// Gives pushes that are under way a moment to end.
    async fn close(self) {
        drop(self.editions);
        // If it panicked, the runtime has said so.
        let _ = self.scheduling.await;
    }

    /// Breaks off what is under way: another hub may be at it.
    async fn abandon(self) {
        self.scheduling.abort();
        // That it was broken off is no news.
        let _ = self.scheduling.await;
    }
}

/// Reads the site now, and what changed of it after each change, until `ended` is. What is wrong with it is kept for as long as
/// it is looked at.
async fn attend(
    hub: &Hub,
    desk: Option<Desk>,
    show: impl Fn(&mut Press, &SharedDigests) -> Result<(), Report>,
    ended: impl Future<Output = io::Result<()>>,
) -> anyhow::Result<()> {
    let sources = Sources::new(&hub.config.site, &hub.config.themes);
    let (_watch, mut coming) = watch(&hub.config, sources.clone())?;
    let mut press = Press::new(sources, pictures(&hub.config.state));
    let (digests, mut changed) = (Arc::<SharedDigests>::default(), Vec::new());
    // One future for all rounds: a signal that comes while pages are built is not lost.
    let mut ended = pin!(ended);
    let mut edition: fn(Workshop, Timestamp) -> Edition = Edition::found;
    let result = loop {
        let releases = tokio::task::block_in_place(|| read(&mut press, &changed));
        let next_change = releases.as_ref().ok().and_then(|releases| releases.site().next_change());
        let mut built = releases.as_ref().map(drop).map_err(Report::clone);
        if let Some(desk) = &desk {
            let open = |releases| edition(Workshop::open(releases, digests.clone()), Timestamp::now());
            desk.editions.send_replace(releases.ok().map(|releases| Arc::new(open(releases))));
        }
        // While partners are pushed to, who are waited for by others.
        if built.is_ok() {
            built = tokio::task::block_in_place(|| show(&mut press, &digests));
            digests.sweep();
        }
        keep(hub, built.err().as_ref());
        changed = tokio::select! {
            ended = ended.as_mut() => break ended,
            Some(change) = coming.recv() => all_of(change, &mut coming),
            () = waking::reached(next_change, Timestamp::now) => Vec::new(),
        };
        edition = Edition::changed;
    };
    // From here on nobody looks whether it can be built.
    keep(hub, None);
    match (desk, &result) {
        (Some(desk), Ok(())) => desk.close().await,
        (Some(desk), Err(_)) => desk.abandon().await,
        (None, _) => {}
    }
    Ok(result?)
}

/// Keeps what is wrong with the site, or that nothing is.
fn keep(hub: &Hub, wrong: Option<&Report>) {
    if let Err(error) = tokio::task::block_in_place(|| hub.keep_build(wrong, Timestamp::now())) {
        tracing::error!(error = &error as &dyn std::error::Error, "how the site was built cannot be kept");
    }
}

/// The releases of the site as it stands now, of which these files have `changed`.
///
/// # Errors
/// Its mistakes, which were told.
fn read(press: &mut Press, changed: &[PathBuf]) -> Result<Arc<Releases>, Report> {
    let running = Running::begin();
    let read = press.refresh(changed, &running.progress(), Timestamp::now());
    drop(running);
    read.inspect_err(|report| terminal::complain(report))
}

/// Serves the site as it stands now, and tells how it went.
///
/// # Errors
/// What is wrong with the site, which was told.
fn show(server: &Server, press: &mut Press, digests: &SharedDigests) -> Result<(), Report> {
    let running = Running::begin();
    let shown = press.own(&running.progress()).map_err(ShowError::Site).and_then(|files| server.show(&files, digests));
    match shown {
        Ok(Some(files)) => say!("{}; {files} files are served.", running.end(files).work()),
        Ok(None) => {}
        Err(error) => {
            terminal::complain(&error);
            if let ShowError::Site(report) = error {
                return Err(report);
            }
        }
    }
    Ok(())
}

/// Watches the site and its themes; a message comes after each change.
fn watch(config: &Config, sources: Sources) -> anyhow::Result<(Watch, mpsc::UnboundedReceiver<Change>)> {
    let (sender, changes) = mpsc::unbounded_channel();
    let folders = [config.site.as_path(), &config.themes];
    let watch = Watch::start(
        &folders,
        move |file| sources.has(file),
        Patience::Whole,
        move |change| {
            // Whoever listens ends together with this watch.
            let _ = sender.send(change);
        },
    )
    .context("the site cannot be watched")?;
    Ok((watch.without(&config.state), changes))
}

/// The files of `change` and of all that came after it; none where nobody knows what changed.
fn all_of(mut change: Change, changes: &mut mpsc::UnboundedReceiver<Change>) -> Vec<PathBuf> {
    while let Ok(other) = changes.try_recv() {
        change = change.and(other);
    }
    change.files
}

/// Tells what came of a push: what is new, and of a failure the first time.
fn tell(attempt: &Attempt, told: &Mutex<BTreeSet<String>>) {
    let partner = &attempt.partner;
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    match &attempt.outcome {
        Ok(outcome) => {
            told.clear();
            if !matches!(outcome, Outcome::Unchanged(_) | Outcome::LinkAlone(_)) {
                say!("{partner}: {}", describe(outcome));
            }
        }
        Err(error) => {
            // Mistakes of the site are the same for all partners.
            let words = complaint::render(error);
            if attempt.failures <= 1 && told.insert(words) {
                match attempt.unanswered() {
                    Some(call) => say!("{partner}: {call}; is `syncd run` running there?"),
                    None => terminal::complain(error),
                }
                if let Some(retry) = attempt.retry {
                    let retry = retry.strftime("%Y-%m-%d %H:%M:%S UTC");
                    say!("{partner}: trying again from {retry} on; `tieup status` says how it stands.");
                }
            }
        }
    }
}
