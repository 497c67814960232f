//! What stays until it is told to end: `tieup hub` and `tieup publish --watch`. Both read the site again whenever it
//! changes, by a save or because a page's time has come, and hand it to the scheduler.

use std::collections::BTreeSet;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use jiff::Timestamp;
use tieup_generator::{Site, Watch};
use tieup_protocol::ids::SiteId;
use tieup_web::listener::told_to_end;
use tieup_web::{complaint, say, terminal};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::progress::Running;
use super::site::{describe, load_site, publish};
use crate::config::Config;
use crate::partners::Hub;
use crate::publish::{Outcome, Rejected};
use crate::schedule::{Attempt, Edition, Scheduler, wall_clock};
use crate::server::Server;
use crate::waking;

/// Whether a hub pushes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushing {
    /// When it is due.
    Scheduled,
    /// Never.
    No,
}

/// Serves the main site and joins, and pushes when it is due.
pub(super) async fn serve(hub: Hub, pushing: Pushing) -> anyhow::Result<()> {
    let bind =
        async |address: &str| TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"));
    let (join, public) = (bind(&hub.config.join).await?, bind(&hub.config.public).await?);
    let (joins, shown) = (join.local_addr()?, public.local_addr()?);
    let hub = Arc::new(hub);
    let server = Server::start(&hub, join, public)?;
    say!("Serving the main site on http://{shown}/; partners join on {joins}.");
    let desk = (pushing == Pushing::Scheduled).then(|| Desk::open(&hub, &[]));
    let result = attend(&hub, desk, |site, running| show(&server, site, running), told_to_end()).await;
    server.stop().await;
    result
}

/// Publishes now, and then whenever it is due, without serving anything.
pub(super) async fn publish_on_change(hub: Hub, only: &[SiteId], rejected: Rejected) -> anyhow::Result<()> {
    if let Err(error) = publish(&hub, only, rejected, None).await {
        terminal::complain(error.as_ref());
    }
    keep_publishing(&Arc::new(hub), only, told_to_end()).await
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
    attend(hub, Some(Desk::open(hub, only)), |_, _| {}, ended).await
}

/// A scheduler at work, and the line on which it hears of the site.
struct Desk {
    editions: watch::Sender<Option<Arc<Edition>>>,
    scheduling: JoinHandle<()>,
}

impl Desk {
    fn open(hub: &Arc<Hub>, only: &[SiteId]) -> Self {
        let (editions, latest) = watch::channel(None);
        let told = Mutex::new(BTreeSet::new());
        let scheduler = Scheduler::new(hub.clone(), latest, wall_clock(), move |attempt| tell(attempt, &told));
        Self { editions, scheduling: tokio::spawn(scheduler.only(only.to_vec()).run()) }
    }

    async fn close(self) {
        drop(self.editions);
        // If it panicked, the runtime has said so.
        let _ = self.scheduling.await;
    }
}

/// Reads the site now and after each change, until `ended` is.
async fn attend(
    hub: &Hub,
    desk: Option<Desk>,
    show: impl Fn(&Site, Running),
    ended: impl Future<Output = io::Result<()>>,
) -> anyhow::Result<()> {
    let (_watch, mut changes) = watch_site(&hub.config)?;
    // One future for all rounds: a signal that comes while pages are built is not lost.
    let mut ended = pin!(ended);
    let mut edition: fn(Arc<Site>, Timestamp) -> Edition = Edition::found;
    let result = loop {
        let site = tokio::task::block_in_place(|| read(hub, &show));
        let next_change = site.as_ref().and_then(|site| site.next_change());
        if let Some(desk) = &desk {
            desk.editions.send_replace(site.map(|site| Arc::new(edition(site, Timestamp::now()))));
        }
        tokio::select! {
            ended = ended.as_mut() => break ended,
            Some(()) = changes.recv() => {}
            () = waking::reached(next_change, Timestamp::now) => {}
        }
        edition = Edition::changed;
    };
    if let Some(desk) = desk {
        desk.close().await;
    }
    Ok(result?)
}

/// The site as it stands now, shown; none where it has mistakes, which are told.
fn read(hub: &Hub, show: &impl Fn(&Site, Running)) -> Option<Arc<Site>> {
    let running = Running::begin();
    let site = load_site(hub, &running).inspect_err(|error| terminal::complain(error.as_ref())).ok()?;
    show(&site, running);
    Some(Arc::new(site))
}

/// Serves the site as it stands now, and tells how it went.
fn show(server: &Server, site: &Site, running: Running) {
    match server.show(site) {
        Ok(Some(files)) => say!("{}; {files} files are served.", running.end(files).work()),
        Ok(None) => {}
        Err(error) => terminal::complain(&error),
    }
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
                terminal::complain(error);
                if let Some(retry) = attempt.retry {
                    let retry = retry.strftime("%Y-%m-%d %H:%M:%S UTC");
                    say!("{partner}: trying again from {retry} on; `tieup status` says how it stands.");
                }
            }
        }
    }
}
