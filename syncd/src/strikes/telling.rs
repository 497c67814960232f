//! Answers to strikes that main has not got yet are told again by themselves.

use std::sync::Arc;

use jiff::Timestamp;
use tieup_protocol::strike::{Party, told_again_after};
use tieup_web::complaint;
use tieup_web::listener::Shutdown;
use tokio::task::block_in_place;

use super::StrikeError;
use crate::daemon::Partner;

/// Tells main again what it has not got, ever more seldom while it does not take it, until `shutdown`.
pub(crate) async fn keep_told(partner: Arc<Partner>, shutdown: Shutdown) {
    let mut failures = 0;
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(told_again_after(failures)) => {}
        }
        let told = tokio::select! {
            () = shutdown.wait() => return,
            told = partner.tell_answers(Timestamp::now()) => told,
        };
        failures = if told.is_ok() { 0 } else { failures.saturating_add(1) };
        if let Err(error) = told {
            tracing::warn!("an answer to a strike was not taken, and is told again\n{}", complaint::render(&error));
        }
    }
}

impl Partner {
    /// Tells main every answer that stands here and of which it is not known that main has it: the call may have failed, or
    /// the daemon ended before it. Main takes one that it has already as nothing new.
    ///
    /// # Errors
    /// The first that main did not take; the others are told all the same, unless nobody answers there.
    pub async fn tell_answers(&self, now: Timestamp) -> Result<(), StrikeError> {
        let mut told = Ok(());
        for kept in block_in_place(|| self.strikes())?.into_iter().filter(|kept| kept.is_untold(Party::Partner)) {
            match self.tell_answer(kept, now).await {
                Ok(_) => {}
                Err(StrikeError::Call(error)) if error.may_pass() => return told.and(Err(StrikeError::Call(error))),
                Err(error) => told = told.and(Err(error)),
            }
        }
        told
    }
}
