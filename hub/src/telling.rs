//! Answers to strikes and disputes that a partner has not got yet are told again by themselves.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::Dispute;
use tieup_protocol::strike::{KeptStrike, Party, TELLING, Untaken};
use tieup_web::client::{CallError, PeerClient};
use tieup_web::complaint;
use tieup_web::listener::Shutdown;

use crate::database::PartnerRow;
use crate::disputes::DisputeError;
use crate::partners::Hub;
use crate::strikes::StrikeError;

/// How long one partner is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Tells each partner again what it has not got, each answer ever more seldom while it is not taken, until `shutdown`.
pub(crate) async fn keep_told(hub: Arc<Hub>, shutdown: Shutdown) {
    let mut untaken = Untaken::default();
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(TELLING) => {}
        }
        tokio::select! {
            () = shutdown.wait() => return,
            () = tell_all(&hub, &mut untaken, Timestamp::now()) => {}
        }
    }
}

/// Tells every partner what is due at `now`, one after the other.
async fn tell_all(hub: &Hub, untaken: &mut Untaken, now: Timestamp) {
    let partners = hub.database.partners().await.unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "the partners cannot be listed");
        Vec::new()
    });
    for partner in partners.into_iter().filter(|partner| partner.revoked.is_none()) {
        let why = match tokio::time::timeout(PATIENCE, hub.tell_answers(&partner, untaken, now)).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => complaint::render(&error),
            Err(_) => "it took too long".to_owned(),
        };
        tracing::warn!(partner = %partner.id, "an answer was not taken, and is told again\n{why}");
    }
}

impl Hub {
    /// Tells a partner every answer of main's of which it is not known that the partner has it: a call may have failed, or
    /// the program ended before it. The partner takes one that it has already as nothing new. A strike that was decided with
    /// a dispute is told as that. Those that were `untaken` wait until they are due.
    ///
    /// # Errors
    /// The first that the partner did not take; the others are told all the same, unless nobody answers there.
    pub async fn tell_answers(
        &self,
        partner: &PartnerRow,
        untaken: &mut Untaken,
        now: Timestamp,
    ) -> Result<(), DisputeError> {
        let disputes = self.database.disputes_of(&partner.id).await?;
        let is_ruled = |kept: &KeptStrike| {
            let of = |dispute: &Dispute| dispute.claim.strike.as_ref() == Some(&kept.strike);
            disputes.iter().any(|dispute| dispute.ruling.is_some() && of(dispute))
        };
        let strikes = self.database.strikes_of(&partner.id).await?;
        let strikes = strikes.iter().filter(|kept| kept.is_untold(Party::Main) && !is_ruled(kept)).map(Answer::Strike);
        let rulings = disputes.iter().filter(|dispute| dispute.untold().is_some()).map(Answer::Ruling);
        let due: Vec<Answer<'_>> = rulings.chain(strikes).filter(|answer| untaken.is_due(answer.of(), now)).collect();
        if due.is_empty() {
            return Ok(());
        }
        // Where nobody answers, that is so of all.
        for answer in &due {
            untaken.told(answer.of(), now);
        }
        let client = self.call(partner).await?;
        let mut told = Ok(());
        for answer in due {
            let of = answer.of();
            match self.tell(partner, &client, answer, now).await {
                Ok(()) => untaken.taken(of),
                Err(error) if may_pass(&error) => return told.and(Err(error)),
                Err(error) => told = told.and(Err(error)),
            }
        }
        told
    }

    /// Tells a partner one answer, unless the partner knows nothing any more of what it answers.
    async fn tell(
        &self,
        partner: &PartnerRow,
        client: &PeerClient,
        answer: Answer<'_>,
        now: Timestamp,
    ) -> Result<(), DisputeError> {
        match answer {
            Answer::Ruling(dispute) => match self.tell_ruling(&partner.id, client, dispute, now).await {
                Err(error @ DisputeError::Lost { .. }) => tracing::warn!("{error}"),
                told => told?,
            },
            Answer::Strike(kept) => match self.tell_answer(&partner.id, client, kept.clone(), now).await {
                Err(error @ StrikeError::Withdrawn { .. }) => tracing::warn!("{error}"),
                told => drop(told.map_err(Box::new)?),
            },
        }
        Ok(())
    }
}

/// What a partner has not got.
#[derive(Clone, Copy)]
enum Answer<'a> {
    /// How main has decided a dispute.
    Ruling(&'a Dispute),
    /// What main says of a strike.
    Strike(&'a KeptStrike),
}

impl Answer<'_> {
    /// The digest of what it answers.
    fn of(self) -> Digest {
        match self {
            Self::Ruling(dispute) => dispute.claim.statement,
            Self::Strike(kept) => kept.strike.digest(),
        }
    }
}

/// Whether nobody answers at the partner, so that what else is told would not arrive either.
fn may_pass(error: &DisputeError) -> bool {
    let call = match error {
        DisputeError::Call(error) => Some(error),
        DisputeError::Strike(error) => match &**error {
            StrikeError::Call(error) => Some(error),
            _ => None,
        },
        _ => None,
    };
    call.is_some_and(CallError::may_pass)
}
