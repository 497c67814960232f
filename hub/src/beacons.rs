//! Beacons: visits to partners' tie-up pages that main counts by itself, to compare them with the partners' journals.
//!
//! They are counted in memory and added to the database every few seconds, by hour and by page. No fee is computed from
//! them and nobody else verifies them, so they need no signed log: what a crash loses is seconds, and beacons that are
//! missing only make a comparison milder. Of who sent them nothing is kept but for the hour, and that in memory alone.

mod roster;
mod tally;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tieup_protocol::contract::WebOrigin;
use tieup_protocol::path::SitePath;
use tieup_web::listener::Shutdown;
use tieup_web::site::{BeaconDesk, Caller, Heard};
use tieup_web::visitors::{Remembered, SystemRandomness, VisitorKey, Wish};

use self::roster::Roster;
use self::tally::{Beacon, Tally};
use crate::database::{Database, DatabaseError};

pub(crate) use self::tally::Counted;
pub use self::tally::MOST_OF_ONE_ADDRESS;

/// How often what was counted is added to the database, and it is looked whether partners have other pages.
const EVERY: Duration = Duration::from_secs(5);

/// For how long counts are kept: longer than somebody looks back for.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(400 * 24);

/// Counts beacons while the hub runs.
pub struct Beacons {
    roster: RwLock<Arc<Roster>>,
    tally: Mutex<Tally>,
    key: VisitorKey,
    /// How many there were, by [`Heard::ALL`].
    heard: [AtomicU64; Heard::ALL.len()],
}

impl Beacons {
    /// A desk that knows of no partner yet.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            roster: RwLock::default(),
            tally: Mutex::default(),
            key: VisitorKey::new(now.as_second(), &SystemRandomness),
            heard: [const { AtomicU64::new(0) }; Heard::ALL.len()],
        }
    }

    /// How many beacons came to what, since the hub was started.
    pub(crate) fn heard(&self) -> impl Iterator<Item = (Heard, u64)> {
        Heard::ALL.into_iter().zip(&self.heard).map(|(heard, count)| (heard, count.load(Ordering::Relaxed)))
    }

    /// Takes up whose pages have beacons, and adds what was counted to the database, durably. What could not be added is
    /// added the next time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settle(&self, database: &Database) -> Result<(), DatabaseError> {
        self.add_counted(database).await?;
        let known = self.roster();
        if let Some(next) = known.refreshed(database).await? {
            *self.roster.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        }
        Ok(())
    }

    async fn add_counted(&self, database: &Database) -> Result<(), DatabaseError> {
        let counted = self.tally().take();
        if counted.is_empty() {
            return Ok(());
        }
        let added = database.add_beacons(&counted).await;
        added.inspect_err(|_| self.tally().put_back(counted))
    }

    fn judge(&self, origin: &WebOrigin, page: &SitePath, caller: &Caller<'_>) -> Heard {
        let roster = self.roster();
        let Some(listed) = roster.find(origin, page) else { return Heard::Unknown };
        let visitor = self.key.recognise(caller, &mut Remembered::default(), &SystemRandomness);
        if visitor.robot != 0 || visitor.wish == Wish::Prefetch {
            return Heard::Passed;
        }
        let hour = listed.zone.hour_number(caller.time);
        let beacon = Beacon { partner: &listed.partner, page, hour, visitor: visitor.token };
        self.tally().count(&beacon, caller.address, caller.time)
    }

    fn roster(&self) -> Arc<Roster> {
        self.roster.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BeaconDesk for Beacons {
    fn hear(&self, origin: &WebOrigin, page: &SitePath, caller: &Caller<'_>) -> Heard {
        let heard = self.judge(origin, page, caller);
        self.heard[heard as usize].fetch_add(1, Ordering::Relaxed);
        heard
    }
}

/// Settles every few seconds until `shutdown`, and a last time then.
pub(crate) async fn keep_counted(beacons: Arc<Beacons>, database: Database, shutdown: Shutdown) {
    let mut swept = None;
    loop {
        settle(&beacons, &database).await;
        let now = Timestamp::now();
        beacons.key.turn(now.as_second(), &SystemRandomness);
        let today = now.as_second().div_euclid(86_400);
        if swept.replace(today) != Some(today)
            && let Err(error) = forget(&database, now - KEPT_FOR).await
        {
            tracing::error!(error = &error as &dyn std::error::Error, "old counts and heartbeats were not removed");
        }
        tokio::select! {
            () = shutdown.wait() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    settle(&beacons, &database).await;
}

/// Forgets what main counted, and what partners' daemons told, before `time`.
async fn forget(database: &Database, time: Timestamp) -> Result<(), DatabaseError> {
    database.forget_beacons_before(time).await?;
    database.forget_heartbeats_before(time).await
}

async fn settle(beacons: &Beacons, database: &Database) {
    if let Err(error) = beacons.settle(database).await {
        tracing::error!(error = &error as &dyn std::error::Error, "beacons are not counted as they should be");
    }
}
