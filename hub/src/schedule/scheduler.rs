//! What runs beside the hub's servers: it looks at the queue, pushes to whoever is due, and sleeps until the next one.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use tieup_protocol::ids::SiteId;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::plan::{Given, Plan, plan};
use super::queue::{Coming, Queued};
use super::{Attempt, Clock, Workshop};
use crate::archive::Archive;
use crate::database::{DatabaseError, PartnerRow};
use crate::partners::Hub;
use crate::publish::{Approach, CONCURRENT_PUSHES, Rejected, Unheard};
use crate::waking;

/// The longest sleep. What another process wrote into the queue, and a partner that joined, is not seen later.
const LONGEST_SLEEP: SignedDuration = SignedDuration::from_mins(1);

/// How long pushes that are under way may go on when the process ends.
const GRACE: Duration = Duration::from_secs(10);

/// How long another process is waited for that publishes to a partner; it is tried again a little later.
const MOMENT: Duration = Duration::from_millis(200);

/// A site as it stands since it was handed over, and where its releases are built.
pub struct Edition {
    workshop: Workshop,
    changed: Timestamp,
    stirred: bool,
}

/// Pushes to partners when they are due. One that is slow or dead holds up no other.
pub struct Scheduler {
    hub: Arc<Hub>,
    /// Only these partners; all of them where there are none.
    only: Vec<SiteId>,
    editions: watch::Receiver<Option<Arc<Edition>>>,
    clock: Clock,
    tell: Box<dyn Fn(&Attempt) + Send + Sync>,
    running: JoinSet<Attempt>,
    pushing: HashSet<SiteId>,
    archive: Weak<Archive>,
}

impl Edition {
    /// The site of this `workshop` as it was found when the process began, handed over at `now`.
    ///
    /// The time is rounded up to what the queue keeps: what is pushed twice in one millisecond is found to be the same,
    /// and nothing is taken for pushed that was not.
    pub fn found(workshop: Workshop, now: Timestamp) -> Self {
        let rounding = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil);
        Self { workshop, changed: now.round(rounding).unwrap_or(now), stirred: false }
    }

    /// The site after a change, handed over at `now`.
    pub fn changed(workshop: Workshop, now: Timestamp) -> Self {
        Self { stirred: true, ..Self::found(workshop, now) }
    }
}

impl Scheduler {
    /// A scheduler that pushes the latest of `editions`, and nothing while there is none, which a site with mistakes
    /// means. Each try is told to `tell`.
    pub fn new(
        hub: Arc<Hub>,
        editions: watch::Receiver<Option<Arc<Edition>>>,
        clock: Clock,
        tell: impl Fn(&Attempt) + Send + Sync + 'static,
    ) -> Self {
        let tell = Box::new(tell);
        let (running, pushing, archive) = (JoinSet::new(), HashSet::new(), Weak::new());
        Self { hub, only: Vec::new(), editions, clock, tell, running, pushing, archive }
    }

    /// The same for these partners alone; for all where there are none.
    #[must_use]
    pub fn only(self, only: Vec<SiteId>) -> Self {
        Self { only, ..self }
    }

    /// Runs until the sender of editions is gone. Pushes that are under way then get a moment to end.
    pub async fn run(mut self) {
        loop {
            let hub = self.hub.clone();
            let woken = hub.queue_changed.notified();
            let longest = (self.clock)() + LONGEST_SLEEP;
            let next = match self.round().await {
                Ok(next) => next.map_or(longest, |next| next.min(longest)),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the queue cannot be read");
                    longest
                }
            };
            let clock = self.clock.clone();
            tokio::select! {
                changed = self.editions.changed() => if changed.is_err() { break },
                Some(ended) = self.running.join_next() => self.end(ended),
                () = woken => {}
                () = waking::reached(Some(next), move || clock()) => {}
            }
        }
        let _ = tokio::time::timeout(GRACE, async { while self.running.join_next().await.is_some() {} }).await;
    }

    /// Starts every push that is due, and says when the next one is.
    async fn round(&mut self) -> Result<Option<Timestamp>, DatabaseError> {
        let edition = self.editions.borrow_and_update().clone();
        let Some(edition) = edition else { return Ok(None) };
        let now = (self.clock)();
        let mut next = None;
        for (partner, queued) in self.hub.database.queue().await? {
            let is_meant = self.only.is_empty() || self.only.contains(&partner.id);
            if !is_meant || partner.revoked.is_some() || self.pushing.contains(&partner.id) {
                continue;
            }
            let schedule = edition.workshop.site().schedule_for(&partner.id);
            let given = Given { schedule, joined: partner.joined, changed: edition.changed };
            match plan(&queued, given, now) {
                Plan::Push(_) if self.running.len() < CONCURRENT_PUSHES => self.push(&edition, partner),
                // It begins when another push has ended.
                Plan::Push(_) => {}
                Plan::Wait(coming) => {
                    let is_held = schedule.is_some() && edition.stirred;
                    let changed = Some(edition.changed).filter(|changed| is_held && queued.covered < Some(*changed));
                    self.note(&partner.id, &queued, coming, queued.changed.or(changed)).await?;
                    next = [next, coming.map(|coming| coming.at)].into_iter().flatten().min();
                }
            }
        }
        Ok(next)
    }

    fn push(&mut self, edition: &Arc<Edition>, partner: PartnerRow) {
        let (hub, edition, clock) = (self.hub.clone(), edition.clone(), self.clock.clone());
        let approach =
            Approach { rejected: Rejected::Skip, unheard: Unheard::Leave, emergency: None, patience: MOMENT };
        let archive = self.archive();
        self.pushing.insert(partner.id.clone());
        self.running
            .spawn(async move { hub.attempt(&edition.workshop, archive.as_ref(), &partner, &approach, &clock).await });
    }

    /// What partners were sent before, held by all pushes that are under way and by nobody when there are none, so that
    /// another command can have it.
    fn archive(&mut self) -> Option<Arc<Archive>> {
        if let Some(archive) = self.archive.upgrade() {
            return Some(archive);
        }
        let archive = self.hub.archive()?;
        self.archive = Arc::downgrade(&archive);
        Some(archive)
    }

    fn end(&mut self, ended: Result<Attempt, tokio::task::JoinError>) {
        match ended {
            Ok(attempt) => {
                self.pushing.remove(&attempt.partner);
                (self.tell)(&attempt);
            }
            // Whose push it was is not known. It is not tried again before a restart, rather than over and over.
            Err(error) => tracing::error!(%error, "a push ended by a fault of ours"),
        }
    }

    /// Keeps what comes next, for `tieup status`.
    async fn note(
        &self,
        partner: &SiteId,
        queued: &Queued,
        coming: Option<Coming>,
        changed: Option<Timestamp>,
    ) -> Result<(), DatabaseError> {
        if queued.coming == coming && queued.changed == changed {
            return Ok(());
        }
        self.hub.database.set_coming(partner, coming, changed).await
    }
}
