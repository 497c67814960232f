//! The lead: of all processes that share a main site's database, one pushes to partners by itself.
//!
//! Two would plan the same pushes, and each believe of the other's that they are new. With PostgreSQL the lead is held by a
//! connection, with SQLite by a locked file of the state folder; either is given back by the death of the process.

use std::time::Duration;

use tieup_store::durable::DiskError;
use tieup_store::lock::StateLock;

use crate::config::Config;
use crate::database::{DatabaseError, Location, ServerLead};

/// The folder of the lock with SQLite, below the state folder.
const LEAD: &str = "lead";

/// How often it is looked whether the lead is still held.
const BEAT: Duration = Duration::from_secs(5);

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

    /// Returns when another process has taken the lead, after the connection to the server was lost. A server that cannot
    /// be reached is no such loss: nothing can be published without it.
    pub async fn lost(mut self) {
        loop {
            tokio::time::sleep(BEAT).await;
            let Held::Server(server) = &mut self.0 else { continue };
            match server.hold().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "whether this hub leads is not known");
                }
            }
        }
    }
}
