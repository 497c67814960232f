//! A hub's scheduler whose clock the test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tieup_hub::partners::Hub;
use tieup_hub::publish::Outcome;
use tieup_hub::schedule::queue::Queued;
use tieup_hub::schedule::{Edition, Scheduler, Workshop};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::told;
use crate::world::{World, site_id};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_mins(2);

/// A scheduler at work.
pub struct Desk {
    hub: Arc<Hub>,
    clock: Arc<AtomicI64>,
    editions: watch::Sender<Option<Arc<Edition>>>,
    attempts: mpsc::UnboundedReceiver<Tried>,
    scheduling: JoinHandle<()>,
}

/// A try to publish: to whom, and what came of it, or what is told of the failure.
pub type Tried = (String, Result<Outcome, String>);

impl Desk {
    /// Opens the desk of the world's hub at the instant `now`, at which all partners have just joined, with no site yet.
    pub async fn open(world: &World, now: &str) -> Self {
        let hub = world.hub();
        for mut partner in hub.database.partners().await.unwrap_or_else(|error| panic!("the partners: {error}")) {
            partner.joined = instant(now);
            hub.database.put_partner(&partner).await.unwrap_or_else(|error| panic!("`{}`: {error}", partner.id));
        }
        Self::of(hub.clone(), now)
    }

    /// Opens the desk of `hub` at the instant `now`, with no site yet.
    pub fn of(hub: Arc<Hub>, now: &str) -> Self {
        let (editions, latest) = watch::channel(None);
        let (sender, attempts) = mpsc::unbounded_channel();
        let clock = Arc::new(AtomicI64::new(instant(now).as_millisecond()));
        let read = clock.clone();
        let read = Arc::new(move || {
            Timestamp::from_millisecond(read.load(Ordering::SeqCst)).unwrap_or_else(|error| panic!("{error}"))
        });
        let scheduler = Scheduler::new(hub.clone(), latest, read, move |attempt| {
            let outcome = attempt.outcome.as_ref().map(Clone::clone).map_err(|error| told(error));
            // A test that has seen enough does not listen any more.
            let _ = sender.send((attempt.partner.to_string(), outcome));
        });
        Self { hub, clock, editions, attempts, scheduling: tokio::spawn(scheduler.run()) }
    }

    /// Hands over the site as it is found.
    pub fn find(&self, world: &World) {
        self.editions.send_replace(Some(Arc::new(Edition::found(workshop(world), self.now()))));
    }

    /// Hands over the site after a change, a moment later.
    pub fn save(&self, world: &World) {
        self.clock.fetch_add(10, Ordering::SeqCst);
        self.editions.send_replace(Some(Arc::new(Edition::changed(workshop(world), self.now()))));
    }

    /// Sets the clock.
    pub fn set(&self, now: &str) {
        self.clock.store(instant(now).as_millisecond(), Ordering::SeqCst);
        self.hub.queue_changed.notify_one();
    }

    /// Sets the clock forward.
    pub fn pass(&self, time: SignedDuration) {
        let later = self.now() + time;
        self.clock.store(later.as_millisecond(), Ordering::SeqCst);
        self.hub.queue_changed.notify_one();
    }

    /// The next try that ends.
    pub async fn tried(&mut self) -> Tried {
        let next = tokio::time::timeout(PATIENCE, self.attempts.recv()).await;
        next.ok().flatten().unwrap_or_else(|| panic!("nothing is tried"))
    }

    /// The next tries that end, by partner.
    pub async fn tries(&mut self, count: usize) -> Vec<Tried> {
        let mut tries = Vec::new();
        for _ in 0..count {
            tries.push(self.tried().await);
        }
        tries.sort_by(|(a, _), (b, _)| a.cmp(b));
        tries
    }

    /// Fails if a try has ended that nobody has asked for.
    pub fn assert_idle(&mut self) {
        let tried = self.attempts.try_recv();
        assert!(tried.is_err(), "tried without need: {tried:?}");
    }

    /// The partner's row in the queue, once `is_meant` says so.
    pub async fn row(&self, partner: &str, is_meant: impl Fn(&Queued) -> bool) -> Queued {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let row = self.hub.database.queued(&site_id(partner)).await;
            let row = row.unwrap_or_else(|error| panic!("the queue: {error}"));
            if is_meant(&row) {
                return row;
            }
            assert!(Instant::now() < deadline, "the row of `{partner}` stays {row:?}");
            tokio::task::yield_now().await;
        }
    }

    /// Ends the scheduler, as the end of the process would.
    pub async fn close(self) {
        drop(self.editions);
        self.scheduling.await.unwrap_or_else(|error| panic!("the scheduler failed: {error}"));
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.clock.load(Ordering::SeqCst)).unwrap_or_else(|error| panic!("{error}"))
    }
}

fn workshop(world: &World) -> Workshop {
    Workshop::open(Arc::new(world.site().releases()), Arc::default())
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}
