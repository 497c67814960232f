//! Answers to strikes that a partner has not got yet are told again by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tieup_protocol::dispute::{Dispute, RULING};
use tieup_protocol::ids::SiteId;
use tieup_protocol::strike::{KeptStrike, Party, STRIKE_ANSWERS, told_again_after};
use tieup_web::complaint;
use tieup_web::listener::Shutdown;

use super::StrikeError;
use crate::database::PartnerRow;
use crate::partners::Hub;

/// How long one partner is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Failures in a row, and when a partner is told again.
type Failed = BTreeMap<SiteId, (u32, Timestamp)>;

/// Tells each partner again what it has not got, ever more seldom while it does not take it, until `shutdown`.
pub(crate) async fn keep_told(hub: Arc<Hub>, shutdown: Shutdown) {
    let mut failed = Failed::new();
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(told_again_after(0)) => {}
        }
        tokio::select! {
            () = shutdown.wait() => return,
            () = tell_all(&hub, &mut failed, Timestamp::now()) => {}
        }
    }
}

/// Tells every partner that is due at `now`, one after the other.
async fn tell_all(hub: &Hub, failed: &mut Failed, now: Timestamp) {
    let partners = hub.database.partners().await.unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the partners cannot be listed");
        Vec::new()
    });
    for partner in partners.into_iter().filter(|partner| partner.revoked.is_none()) {
        let failures = match failed.get(&partner.id) {
            Some((_, due)) if *due > now => continue,
            failed => failed.map_or(0, |(failures, _)| *failures),
        };
        let why = match tokio::time::timeout(PATIENCE, hub.tell_answers(&partner, now)).await {
            Ok(Ok(())) => {
                failed.remove(&partner.id);
                continue;
            }
            Ok(Err(error)) => complaint::render(&error),
            Err(_) => "it took too long".to_owned(),
        };
        let due = now.saturating_add(told_again_after(failures + 1)).unwrap_or(Timestamp::MAX);
        tracing::warn!(partner = %partner.id, "an answer to a strike is told again after {due}\n{why}");
        failed.insert(partner.id, (failures + 1, due));
    }
}

impl Hub {
    /// Tells a partner every answer of main's of which it is not known that the partner has it: a call may have failed, or
    /// the program ended before it. The partner takes one that it has already as nothing new. What was decided with a
    /// dispute is told as that.
    ///
    /// # Errors
    /// The first that the partner did not take; the others are told all the same, unless nobody answers there.
    pub async fn tell_answers(&self, partner: &PartnerRow, now: Timestamp) -> Result<(), StrikeError> {
        let untold =
            self.database.strikes_of(&partner.id).await?.into_iter().filter(|kept| kept.is_untold(Party::Main));
        let untold: Vec<KeptStrike> = untold.collect();
        if untold.is_empty() {
            return Ok(());
        }
        let disputes = self.database.disputes_of(&partner.id).await?;
        let client = self.call(partner).await?;
        let mut told = Ok(());
        for kept in untold {
            let is_claimed = |dispute: &&Dispute| dispute.claim.strike.as_ref() == Some(&kept.strike);
            let ruling = disputes.iter().find(is_claimed).and_then(|dispute| dispute.ruling.as_ref());
            let taken = match ruling {
                Some(ruling) => client.post::<()>(RULING, ruling).await,
                None => client.post::<()>(STRIKE_ANSWERS, &kept.answer).await,
            };
            match taken {
                Ok(()) => told = told.and(self.settle_strike(&partner.id, kept, now).await.map(drop)),
                Err(error) if error.may_pass() => return told.and(Err(StrikeError::Call(error))),
                Err(error) => told = told.and(Err(StrikeError::Call(error))),
            }
        }
        told
    }
}
