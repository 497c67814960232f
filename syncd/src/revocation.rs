//! Main's newest list of revoked certificates, kept on disk: a stolen TLS key of main's opens nothing here, also after a
//! restart.
//!
//! A list is good until its `nextUpdate`. Main signs the next one when a third of that time is over, and the daemon asks for
//! it every hour; so one that has run out has been kept from this partner, or main is gone. Then the partner may be called
//! by somebody whose certificate is revoked: offers are refused until a newer list comes, and an alarm is given. What is
//! live is served as before, and what is revoked stays so.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tieup_store::durable::{self, DiskError};
use tieup_web::revocation::{InvalidList, OlderList, RevocationList, Revocations};

/// The file in the state folder.
const FILE: &str = "revocations.pem";

/// Where the list is kept.
#[derive(Debug)]
pub struct RevocationFile {
    path: PathBuf,
    authority: String,
    // Two lists at once are taken one after the other, so that the newer one is on disk at the end.
    taking: Mutex<()>,
}

/// Why a list of revoked certificates was not taken. The one before is in force.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// It is not main's.
    #[error(transparent)]
    Invalid(#[from] InvalidList),
    /// It is older than the one in force.
    #[error(transparent)]
    Older(#[from] OlderList),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The list that was kept is damaged.
    #[error("{} is damaged: take it away, and the daemon fetches it anew from the main site", .0.display())]
    Damaged(PathBuf, #[source] InvalidList),
}

/// Main's list of revoked certificates has run out, so updates are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("list {number} of revoked certificates was good until {until}: no update is taken before a newer one")]
pub struct StaleRevocations {
    /// The number of the list in force.
    pub number: u64,
    /// Until when it was good.
    pub until: Timestamp,
}

impl RevocationFile {
    /// The file in the state folder of a partner of the main site with this authority (PEM).
    pub fn new(state: &Path, authority: &str) -> Self {
        Self { path: state.join(FILE), authority: authority.to_owned(), taking: Mutex::new(()) }
    }

    /// Puts the list that was kept in force, if there is one.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub fn load(&self, revocations: &Revocations) -> Result<(), RevocationError> {
        let Some(bytes) = durable::read_file(&self.path)? else { return Ok(()) };
        let list = RevocationList::parse(&String::from_utf8_lossy(&bytes), &self.authority);
        let list = list.map_err(|error| RevocationError::Damaged(self.path.clone(), error))?;
        Ok(revocations.replace(list)?)
    }

    /// Keeps a list and puts it in force. Returns the number of the list that is in force then. Durable on return.
    ///
    /// # Errors
    /// When it is not main's, or is older than the one in force.
    pub fn take(&self, list: &str, revocations: &Revocations) -> Result<u64, RevocationError> {
        let list = RevocationList::parse(list, &self.authority)?;
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        revocations.check(&list)?;
        if list.number() > revocations.current().number() {
            durable::write_file(&self.path, list.pem().as_bytes())?;
            tracing::info!(number = list.number(), "main's list of revoked certificates was taken");
            revocations.replace(list)?;
        }
        Ok(revocations.current().number())
    }
}
