//! Heartbeats: every few minutes the daemon tells main that it serves, and how much it has answered since it was
//! started. Main holds the journal against it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tieup_protocol::joining::main_tls_name;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{HEARTBEAT, Heartbeat};
use tieup_web::client::PeerClient;
use tieup_web::complaint;
use tieup_web::listener::Shutdown;

use crate::daemon::Partner;
use crate::returning::ReturnError;

/// How long after its start a daemon sends the first: the site is public first.
const FIRST: Duration = Duration::from_mins(1);

/// How often it sends one.
const EVERY: Duration = Duration::from_mins(20);

/// Of how many months, the newest that have begun, the sizes of the journals are told: visits of no others are logged.
const MONTHS: usize = 2;

impl Partner {
    /// What there is to tell of now.
    ///
    /// Answers are counted once their entries are written, and the journals' sizes are taken after that: so these are
    /// never less than what was answered.
    ///
    /// # Errors
    /// When a journal cannot be signed.
    pub async fn heartbeat(&self) -> Result<Heartbeat, ReturnError> {
        let (answered, at) = (self.visits().answered(), Timestamp::now());
        let mut journals = BTreeMap::new();
        let months = self.journal().months().map_err(tieup_web::journal::JournalError::from)?;
        for month in newest(months, at) {
            let note = self.journal().checkpoint(month).await?;
            journals.extend(note.lines().nth(1).and_then(|size| Some((month, size.parse().ok()?))));
        }
        Ok(Heartbeat { started: self.started(), at, answered, journals })
    }

    /// Tells main.
    ///
    /// # Errors
    /// When it cannot be reached, or does not take it.
    pub async fn beat(&self, heartbeat: &Heartbeat) -> Result<(), ReturnError> {
        let identity = self.identity();
        let hub = identity.hub.as_deref().ok_or(ReturnError::NoHub)?;
        let client = PeerClient::new(self.tls().client()?, main_tls_name(&identity.main), hub).await?;
        Ok(client.post(HEARTBEAT, heartbeat).await?)
    }
}

/// The newest of `months`, oldest first, that have begun somewhere at `now`: one that a wrong clock made is none of them.
fn newest(mut months: Vec<Month>, now: Timestamp) -> impl Iterator<Item = Month> {
    months.retain(|month| *month <= Month::latest(now));
    months.into_iter().rev().take(MONTHS)
}

/// Sends heartbeats until `shutdown`. One that main does not get is not sent again: the next tells more.
pub(crate) async fn keep_beating(partner: Arc<Partner>, shutdown: Shutdown) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = EVERY;
        let told = async {
            let heartbeat = partner.heartbeat().await?;
            partner.beat(&heartbeat).await
        };
        let told = tokio::select! {
            () = shutdown.wait() => return,
            told = told => told,
        };
        if let Err(error) = told {
            // A main site from before heartbeats has no such call; whether main is reached, others say.
            tracing::debug!("no heartbeat was taken\n{}", complaint::render(&error));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_that_a_wrong_clock_made_are_not_told_of() {
        let months = ["2026-09", "2026-10", "2026-11", "2099-01", "9999-12"].map(|month| month.parse().unwrap());
        let told = newest(months.to_vec(), "2026-11-29T12:00:00Z".parse().unwrap());
        assert_eq!(told.map(|month| month.to_string()).collect::<Vec<_>>(), ["2026-11", "2026-10"]);
    }
}
