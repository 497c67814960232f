//! Whether visits are logged here: by the contracts that were approved, from the beginning of a month on.
//!
//! Where main alone writes, this end logs nothing of what it serves for it. Where it cannot be read who does, visits are logged.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tieup_protocol::contract::{Contract, Writers};
use tieup_protocol::period::Zone;
use tieup_web::journal::Journal;
use tieup_web::listener::Shutdown;
use tieup_web::site::{AccessLog, Caller, Ticket, Visit};
use tieup_web::visitors::{Remembered, Visitor};

use crate::daemon::Partner;

/// The journal of a tie-up, where visits go while the partner is the one who writes.
pub(crate) struct PlacedLog {
    journal: Arc<Journal>,
    zone: Zone,
    agreed: RwLock<Agreed>,
}

/// The contracts that were approved; while there is none, the one that the partner joined under.
struct Agreed {
    contracts: Arc<[Contract]>,
    writers: Option<Writers>,
}

impl Agreed {
    fn of(contracts: &[Contract], zone: &Zone) -> Self {
        Self { contracts: contracts.into(), writers: Writers::of(contracts, zone) }
    }
}

impl PlacedLog {
    /// The log `journal`, whose months are cut in `zone`, under the contract that was joined under.
    pub(crate) fn new(journal: Arc<Journal>, joined: Contract) -> Self {
        let zone = joined.effective.tz.clone();
        let agreed = RwLock::new(Agreed::of(&[joined], &zone));
        Self { journal, zone, agreed }
    }

    /// The zone in which its months begin.
    pub(crate) fn zone(&self) -> &Zone {
        &self.zone
    }

    /// From here on the contracts in `approved` say who writes, if there is any.
    pub(crate) fn follow(&self, approved: &[Contract]) {
        if !approved.is_empty() {
            *self.agreed.write().unwrap_or_else(PoisonError::into_inner) = Agreed::of(approved, &self.zone);
        }
    }

    /// Every visit is logged from here on, whoever should: what was approved cannot be read at the start, and a visit that
    /// was not logged cannot be counted later.
    pub(crate) fn log_all(&self) {
        self.agreed.write().unwrap_or_else(PoisonError::into_inner).writers = None;
    }

    /// The contracts that say who writes and verifies, and when.
    pub(crate) fn agreed(&self) -> Arc<[Contract]> {
        self.agreed.read().unwrap_or_else(PoisonError::into_inner).contracts.clone()
    }

    /// Whether a visit at `time` is logged here.
    pub(crate) fn writes_at(&self, time: Timestamp) -> bool {
        let agreed = self.agreed.read().unwrap_or_else(PoisonError::into_inner);
        agreed.writers.as_ref().is_none_or(|writers| writers.at(time).is_partner())
    }
}

impl AccessLog for PlacedLog {
    fn recognise(&self, caller: &Caller<'_>, remembered: &mut Remembered) -> Visitor {
        self.journal.recognise(caller, remembered)
    }

    fn record(&self, visit: &Visit<'_>) -> Ticket {
        if self.writes_at(visit.time) { self.journal.record(visit) } else { Ticket::of_no_log() }
    }
}

/// How long after a failure it is looked again what was approved: damage is mended meanwhile.
const RETRY: Duration = Duration::from_mins(1);

/// Follows what is approved, until `shutdown`.
pub(crate) async fn keep_placed(partner: Arc<Partner>, shutdown: Shutdown) {
    let mut releases = partner.publisher().watch();
    loop {
        let approved = tokio::task::block_in_place(|| partner.publisher().approved());
        let is_known = approved.is_ok();
        match approved {
            Ok(approved) => partner.placed().follow(&approved),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "who writes the journal cannot be read; it is as before");
            }
        }
        let again = async { if is_known { std::future::pending().await } else { tokio::time::sleep(RETRY).await } };
        tokio::select! {
            () = shutdown.wait() => return,
            changed = releases.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tieup_store::journal::{Cosigner, LogSigner};
    use tieup_web::journal::JournalSetup;

    use super::*;

    const CONTRACT: &str = include_str!("../../sites/nationwide/partners/harbor-shop/contract.yaml");

    fn contract(writer: &str) -> Contract {
        let text = CONTRACT.replace("writer: partner, verifier: both", writer).replace("tz: Asia/Tokyo", "tz: UTC");
        Contract::parse("contract.yaml", &text.replace("class: original", "class: tieup")).unwrap()
    }

    #[test]
    fn visits_are_logged_where_the_partner_writes_and_where_nobody_knows() {
        let dir = tempfile::tempdir().unwrap();
        let setup = JournalSetup {
            dir: dir.path().to_owned(),
            main: "nationwide".parse().unwrap(),
            site: "harbor-shop".parse().unwrap(),
            zone: Zone::utc(),
            signer: LogSigner::from_seed("harbor-shop", &[1; 32]).unwrap(),
            cosigner: Cosigner::from_seed("nationwide", &[2; 32]).unwrap().verifier(),
        };
        let (journal, thread) = Journal::start(setup).unwrap();
        let log = PlacedLog::new(Arc::new(journal), contract("writer: main, verifier: partner"));
        let now = Timestamp::now();
        assert!(!log.writes_at(now));
        log.log_all();
        assert!(log.writes_at(now), "a visit is lost while nobody knows");
        log.follow(&[contract("writer: main, verifier: both")]);
        assert!(!log.writes_at(now));
        log.follow(&[]);
        assert!(!log.writes_at(now), "that nothing is approved changed something");
        log.follow(&[contract("writer: both, verifier: both")]);
        assert!(log.writes_at(now));
        drop(log);
        thread.join().unwrap();
    }
}
