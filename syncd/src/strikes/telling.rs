//! Answers to strikes that main has not got yet are told again by themselves.

use std::sync::Arc;

use jiff::Timestamp;
use tieup_protocol::strike::{KeptStrike, Party, TELLING, Untaken};
use tieup_web::complaint;
use tieup_web::listener::Shutdown;
use tokio::task::block_in_place;

use super::StrikeError;
use crate::daemon::Partner;

/// Tells main again what it has not got, each answer ever more seldom while main does not take it, until `shutdown`.
pub(crate) async fn keep_told(partner: Arc<Partner>, shutdown: Shutdown) {
    let mut untaken = Untaken::default();
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(TELLING) => {}
        }
        let told = tokio::select! {
            () = shutdown.wait() => return,
            told = partner.tell_answers(&mut untaken, Timestamp::now()) => told,
        };
        if let Err(error) = told {
            tracing::warn!("an answer to a strike was not taken\n{}", complaint::render(&error));
        }
    }
}

impl Partner {
    /// Tells main every answer that stands here and of which it is not known that main has it: the call may have failed, or
    /// the daemon ended before it. Main takes one that it has already as nothing new. Those that were `untaken` wait until
    /// they are due.
    ///
    /// # Errors
    /// The first that main did not take; the others are told all the same, unless nobody answers there.
    pub async fn tell_answers(&self, untaken: &mut Untaken, now: Timestamp) -> Result<(), StrikeError> {
        let known = block_in_place(|| self.strikes())?.into_iter();
        let is_due = |kept: &KeptStrike| untaken.is_due(kept.strike.digest(), now);
        let due: Vec<KeptStrike> = known.filter(|kept| kept.is_untold(Party::Partner) && is_due(kept)).collect();
        // Where nobody answers, that is so of all.
        for kept in &due {
            untaken.told(kept.strike.digest(), now);
        }
        let mut told = Ok(());
        for kept in due {
            let strike = kept.strike.digest();
            match self.tell_answer(kept, now).await {
                Ok(_) => untaken.taken(strike),
                Err(StrikeError::Call(error)) if error.may_pass() => return told.and(Err(StrikeError::Call(error))),
                Err(error @ StrikeError::Withdrawn(_)) => {
                    untaken.taken(strike);
                    tracing::warn!("{error}");
                }
                Err(error) => told = told.and(Err(error)),
            }
        }
        told
    }
}
