//! The lead: of all processes that share a main site's database, one pushes to partners by itself.
//!
//! Two would plan the same pushes, and each believe of the other's that they are new. With PostgreSQL the lead is held by a
//! connection, with SQLite by a locked file of the state folder; either is given back by the death of the process.

use std::time::Duration;

use tieup_store::durable::DiskError;
use tieup_store::lock::StateLock;
use tokio::time::{Instant, timeout_at};

use crate::config::Config;
use crate::database::{DatabaseError, Location, ServerLead};

/// The folder of the lock with SQLite, below the state folder.
const LEAD: &str = "lead";

/// How the lead is watched over. A server frees the lock of a machine that is gone after a minute and a half, and takes no
/// longer to notice than we do.
const PACE: Pace =
    Pace { rest: Duration::from_secs(5), answer: Duration::from_secs(15), unknown: Duration::from_mins(1) };

/// For how long the lead may still be held for a process that is gone, with what the server takes to notice.
const HELD_ON: Duration = Duration::from_mins(2);

/// How often it is looked meanwhile whether it is free.
const LOOK: Duration = Duration::from_secs(2);

/// How long it is waited at most until a server that let nobody in is asked again. It doubles up to that.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How a lead is watched over.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// How often it is looked whether it is still held.
    rest: Duration,
    /// How long the server may take to answer.
    answer: Duration,
    /// For how long it may not be known.
    unknown: Duration,
}

/// The right to push by itself, until it is dropped or the process ends.
pub struct Lead(Held);

/// How it is held.
enum Held {
    File { _lock: StateLock },
    Server(ServerLead),
}

/// Why the lead could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The lock cannot be made.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// How the lead was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Another process has it.
    #[error("another hub pushes now, since the connection to the database was lost")]
    Taken,
    /// Nobody knows who has it.
    #[error("the database has not answered for a minute: another hub may push by now")]
    Unknown,
}

impl Lead {
    /// Takes the lead of the database of `config`; none where another process has it.
    ///
    /// # Errors
    /// When the server cannot be reached, or the lock not be made.
    pub async fn take(config: &Config) -> Result<Option<Self>, LeadError> {
        Ok(match &config.database {
            Location::File(_) => {
                StateLock::try_take(&config.state.join(LEAD))?.map(|lock| Self(Held::File { _lock: lock }))
            }
            Location::Server(_) => ServerLead::take(&config.database).await?.map(|lead| Self(Held::Server(lead))),
        })
    }

    /// Takes the lead of the database of `config` as soon as nobody has it; none where somebody has it for longer than it is
    /// held for a process that is gone. So a hub that is started again after it lost the database, whose lock the server has
    /// not freed yet, pushes again. A server that lets nobody in is asked again, later each time: it has restarted, say, and
    /// whoever had the lead has lost it with that.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub async fn take_when_free(config: &Config) -> Result<Option<Self>, LeadError> {
        let (mut until, mut rest) = (Instant::now() + HELD_ON, LOOK);
        while Instant::now() < until {
            tokio::time::sleep(rest).await;
            match Self::take(config).await {
                Ok(None) => rest = LOOK,
                Err(LeadError::Database(error)) => {
                    rest = (rest * 2).min(LONGEST_WAIT);
                    until = Instant::now() + HELD_ON;
                    let seconds = rest.as_secs();
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "the database did not let this hub in: it is asked again in {seconds} s");
                }
                taken => return taken,
            }
        }
        Ok(None)
    }

    /// Returns when the lead is lost: another process has taken it after the connection to the server was lost, or the
    /// server has not answered for so long that another process may have it.
    pub async fn lost(&mut self) -> Lost {
        self.lost_at(PACE).await
    }

    async fn lost_at(&mut self, pace: Pace) -> Lost {
        let mut known = Instant::now();
        loop {
            tokio::time::sleep(pace.rest).await;
            let Held::Server(server) = &mut self.0 else { continue };
            let asked = Instant::now();
            match timeout_at(known + pace.unknown, server.hold(pace.answer)).await {
                Ok(Ok(true)) => known = asked,
                Ok(Ok(false)) => return Lost::Taken,
                Ok(Err(error)) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "whether this hub leads is not known");
                }
                Err(_) => return Lost::Unknown,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::database::places::asked;

    /// Looks without rest, and as soon as something is not known gives up.
    const HASTY: Pace =
        Pace { rest: Duration::ZERO, answer: Duration::from_millis(20), unknown: Duration::from_millis(200) };

    /// Waits for every answer.
    const PATIENT: Pace =
        Pace { rest: Duration::ZERO, answer: Duration::from_mins(1), unknown: Duration::from_mins(2) };

    /// The process of the server that has the lead.
    const HOLDER: &str = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid::BIGINT = 8386103230513902 & 4294967295 \
                          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

    async fn take(location: &Location) -> Option<Lead> {
        ServerLead::take(location).await.unwrap().map(|lead| Lead(Held::Server(lead)))
    }

    /// Ends the connection that has the lead, and waits until it is gone.
    fn end_holder(sql: &impl Fn(&str) -> String) {
        sql(&format!("SELECT pg_terminate_backend(pid) FROM ({HOLDER}) AS holder"));
        while !sql(HOLDER).is_empty() {}
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lead_whose_connection_was_lost_is_taken_again_unless_another_was_first() {
        let (location, sql) = asked();
        let mut lead = take(&location).await.unwrap();
        assert!(take(&location).await.is_none());
        end_holder(&sql);
        let Held::Server(held) = &mut lead.0 else { unreachable!() };
        assert!(held.hold(PATIENT.answer).await.unwrap(), "a lead that nobody took was not taken again");
        assert!(take(&location).await.is_none());

        end_holder(&sql);
        let other = take(&location).await.unwrap();
        assert_eq!(lead.lost_at(PATIENT).await, Lost::Taken);
        drop(other);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lead_of_which_nothing_is_heard_is_lost() {
        let (location, sql) = asked();
        let mut lead = take(&location).await.unwrap();
        let holder = sql(HOLDER);
        // The line stands, and nobody answers.
        let signal = |name: &str| assert!(Command::new("kill").args(["-s", name, &holder]).status().unwrap().success());
        signal("STOP");
        let lost = lead.lost_at(HASTY).await;
        signal("CONT");
        assert_eq!(lost, Lost::Unknown);
    }
}
