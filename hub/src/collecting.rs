//! Journals are collected when their contracts say so, by main itself: a partner that returns its journal in time is not
//! asked, one that does not is, a little later.
//!
//! Each collection is a task of its own: a partner that is slow, or does not answer at all, keeps no other waiting.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tieup_protocol::contract::{Contract, Returned, charged_under};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_web::complaint;
use tieup_web::listener::Shutdown;
use tokio::task::{JoinSet, block_in_place};

use crate::collect::CollectError;
use crate::database::PartnerRow;
use crate::partners::Hub;

/// How long after its time a partner that returns its journal by itself is waited for, at the most.
const LENIENCE: SignedDuration = SignedDuration::from_mins(10);

/// The shortest and the longest rest between two looks: clocks are set, and partners join.
const RESTS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// For how long it is believed when a partner is due: contracts change.
const BELIEVED: SignedDuration = SignedDuration::from_mins(5);

/// How long a collection may take. What was given till then is kept, and the next goes on there.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);

/// From how many partners is collected at once. One that does not answer takes a place until its time is over.
pub(crate) const CONCURRENT_COLLECTIONS: usize = 64;

/// Collects the journal of each partner that has not returned it in time, until `shutdown`.
pub(crate) async fn keep_collected(hub: Arc<Hub>, shutdown: Shutdown) {
    let mut rounds = Rounds::begun(Timestamp::now());
    loop {
        let rest = tokio::select! {
            () = shutdown.wait() => break,
            rest = rounds.go(&hub, Timestamp::now()) => rest,
        };
        tokio::select! {
            () = shutdown.wait() => break,
            () = rounds.collected() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
    // What was fetched is kept; the collections go on there after the next start.
    rounds.running.shutdown().await;
}

/// When main asks its partners by itself, what it knows of them, and the collections that are under way.
pub struct Rounds {
    begun: Timestamp,
    known: HashMap<SiteId, Known>,
    running: JoinSet<()>,
    under_way: HashMap<tokio::task::Id, SiteId>,
}

/// When a partner is due.
#[derive(Clone, Copy, Default)]
struct Known {
    /// When main asked it last by itself.
    tried: Option<Timestamp>,
    due: Option<Timestamp>,
    /// When `due` was found out.
    looked: Option<Timestamp>,
}

impl Known {
    fn is_fresh(&self, now: Timestamp) -> bool {
        let is_old = |looked: Timestamp| now < looked || now.duration_since(looked) >= BELIEVED;
        !self.looked.is_none_or(is_old) && self.due.is_none_or(|due| now < due)
    }
}

impl Rounds {
    /// Rounds that begin at `now`.
    pub fn begun(now: Timestamp) -> Self {
        Self { begun: now, known: HashMap::new(), running: JoinSet::new(), under_way: HashMap::new() }
    }

    /// Begins to collect from those that are due at `now`, and says how long nobody else is.
    pub async fn go(&mut self, hub: &Arc<Hub>, now: Timestamp) -> Duration {
        let partners = hub.database.partners().await.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the partners cannot be listed");
            Vec::new()
        });
        let mut rest = RESTS.1;
        for partner in partners.into_iter().filter(|partner| partner.revoked.is_none()) {
            if self.under_way.values().any(|under_way| *under_way == partner.id) {
                continue;
            }
            match self.due(hub, &partner, now).await {
                Some(due) if due <= now && self.running.len() < CONCURRENT_COLLECTIONS => {
                    self.known.insert(partner.id.clone(), Known { tried: Some(now), ..Known::default() });
                    self.collect(hub.clone(), partner);
                }
                // It begins when another collection has ended.
                Some(due) if due <= now => {}
                Some(due) => rest = rest.min(Duration::try_from(due.duration_since(now)).unwrap_or_default()),
                None => {}
            }
        }
        rest.max(RESTS.0)
    }

    fn collect(&mut self, hub: Arc<Hub>, partner: PartnerRow) {
        let id = partner.id.clone();
        let task = self.running.spawn(async move { collect(&hub, &partner).await });
        self.under_way.insert(task.id(), id);
    }

    /// Waits until one of the collections has ended; for ever where there is none.
    pub async fn collected(&mut self) {
        let ended = match self.running.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => {
                tracing::error!(%error, "a collection ended by a fault of ours");
                error.id()
            }
            None => std::future::pending().await,
        };
        self.under_way.remove(&ended);
    }

    /// From whom is being collected.
    pub fn under_way(&self) -> impl Iterator<Item = &SiteId> {
        self.under_way.values()
    }

    /// When a partner is due. That it is by what was known is looked at again: it may have returned its journal meanwhile.
    async fn due(&mut self, hub: &Hub, partner: &PartnerRow, now: Timestamp) -> Option<Timestamp> {
        let known = self.known.entry(partner.id.clone()).or_default();
        if !known.is_fresh(now) {
            let collected = block_in_place(|| hub.collected_at(partner)).ok().flatten();
            let waited = [collected, known.tried, Some(partner.joined)].into_iter().flatten().max();
            let since = waited.map_or(self.begun, |since| since.max(self.begun));
            known.due = returned(hub, partner, now).await.and_then(|returned| due(&returned, since));
            known.looked = Some(now);
        }
        known.due
    }
}

/// When the contract that holds at `now` lets a partner's journal be returned.
async fn returned(hub: &Hub, partner: &PartnerRow, now: Timestamp) -> Option<Returned> {
    let agreed = hub.agreed(partner).await.inspect_err(|error| {
        tracing::warn!(partner = %partner.id, "when its journal is returned cannot be read\n{}", complaint::render(error));
    });
    in_force(agreed.ok()?, now).map(|contract| contract.journal.returned)
}

/// The contract by which what is logged at `now` is charged.
fn in_force(agreed: Vec<Contract>, now: Timestamp) -> Option<Contract> {
    let month = Month::of(now, &agreed.first()?.effective.tz);
    charged_under(agreed, month)
}

/// When main asks by itself, if nothing has come since `since`.
fn due(returned: &Returned, since: Timestamp) -> Option<Timestamp> {
    let first = returned.next(since)?;
    let lenience = returned.next(first).map_or(LENIENCE, |second| second.duration_since(first).min(LENIENCE));
    first.checked_add(lenience).ok()
}

async fn collect(hub: &Hub, partner: &PartnerRow) {
    hub.follow_audit(partner).await;
    match tokio::time::timeout(PATIENCE, hub.collect(partner)).await {
        Ok(Ok(months)) => {
            let added: u64 = months.iter().map(|month| month.added).sum();
            tracing::info!(partner = %partner.id, added, "its journal was collected");
        }
        // It is returning it at this moment.
        Ok(Err(CollectError::Busy(..) | CollectError::UnderWay(_))) => {}
        Ok(Err(error)) => {
            tracing::warn!(partner = %partner.id, "its journal was not collected\n{}", complaint::render(&error));
        }
        Err(_) => {
            tracing::warn!(partner = %partner.id, "its journal was not collected in time; it goes on there later");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = include_str!("../../sites/nationwide/partners/harbor-shop/contract.yaml");

    fn returned(more: &str) -> Returned {
        let text = CONTRACT.replace("verifier: both}", &format!("verifier: both{more}}}"));
        Contract::parse("contract.yaml", &text).unwrap().journal.returned
    }

    #[test]
    fn row_003_33_main_asks_a_little_after_the_time_at_which_the_partner_should_have() {
        let since = "2026-11-02T03:20:00Z".parse().unwrap();
        let due = |more: &str| due(&returned(more), since).unwrap().to_string();
        assert_eq!(due(""), "2026-11-02T04:30:00Z");
        assert_eq!(due(", every: 1m"), "2026-11-02T03:22:00Z");
        // Six o'clock in Tokyo.
        assert_eq!(due(", at: \"0 6 * * *\""), "2026-11-02T21:10:00Z");
    }

    #[test]
    fn the_contract_of_the_month_says_when() {
        let contract = |version: &str, from: &str, more: &str| {
            let text = CONTRACT.replace("harbor-shop@3", version).replace("from: 2026-11-01", from);
            let text = text.replace("verifier: both}", &format!("verifier: both{more}}}"));
            Contract::parse("contract.yaml", &text).unwrap()
        };
        let agreed = vec![
            contract("harbor-shop@1", "from: 2026-01-01", ""),
            contract("harbor-shop@2", "from: 2026-12-01", ", every: 5m"),
        ];
        let every = |now: &str| in_force(agreed.clone(), now.parse().unwrap()).unwrap().journal.returned;
        assert_eq!(every("2026-11-30T14:59:59Z"), Returned::Every(SignedDuration::from_hours(1)));
        assert_eq!(every("2026-11-30T15:00:00Z"), Returned::Every(SignedDuration::from_mins(5)));
        assert!(in_force(Vec::new(), Timestamp::now()).is_none());
    }
}
