//! Main's newest list of revoked certificates, kept on disk: a stolen TLS key of main's opens nothing here, also after a
//! restart.
//!
//! A list is good until its `nextUpdate`. Main signs the next one when a third of that time is over, and the daemon asks for
//! it every hour; so one that has run out has been kept from this partner, or main is gone. Then the partner may be called
//! by somebody whose certificate is revoked: offers are refused until a newer list comes, and an alarm is given. What is
//! live is served as before, and what is revoked stays so.
//!
//! A list whose file is damaged counts as one that has run out, whatever it said. Nothing is offline for it, and main's next
//! list takes its place: the daemon asks for it at its start, and then every minute.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// When the list that was kept was found to be damaged; none where it was whole, or another has come since.
    lost: Mutex<Option<Timestamp>>,
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
}

/// It is not known what main has revoked, so updates are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaleRevocations {
    /// Main's list of revoked certificates has run out.
    #[error("list {number} of revoked certificates was good until {until}: no update is taken before a newer one")]
    RunOut {
        /// The number of the list in force.
        number: u64,
        /// Until when it was good.
        until: Timestamp,
    },
    /// The list that was kept is damaged, and none has come since.
    #[error("the list of revoked certificates that was kept is damaged: no update is taken before main sends another")]
    Lost,
}

impl RevocationFile {
    /// The file in the state folder of a partner of the main site with this authority (PEM).
    pub fn new(state: &Path, authority: &str) -> Self {
        Self {
            path: state.join(FILE),
            authority: authority.to_owned(),
            taking: Mutex::default(),
            lost: Mutex::default(),
        }
    }

    /// Puts the list that was kept in force, if there is one. One that cannot be read has run out at `now`; its file stays
    /// as it is until main's next list takes its place.
    pub fn load(&self, revocations: &Revocations, now: Timestamp) {
        if let Err(error) = self.read_into(revocations) {
            let file = self.path.display();
            tracing::error!(error = &error as &dyn std::error::Error, "{file} is damaged: {}", StaleRevocations::Lost);
            *self.lost() = Some(now);
        }
    }

    fn read_into(&self, revocations: &Revocations) -> Result<(), RevocationError> {
        let Some(bytes) = durable::read_file(&self.path)? else { return Ok(()) };
        let list = RevocationList::parse(&String::from_utf8_lossy(&bytes), &self.authority)?;
        Ok(revocations.replace(list)?)
    }

    /// Fails where at `now` main may have revoked what is not known here.
    ///
    /// # Errors
    /// When the list in force has run out, or was lost.
    pub fn check(&self, revocations: &Revocations, now: Timestamp) -> Result<(), StaleRevocations> {
        let list = revocations.current();
        match list.until().filter(|_| list.has_run_out(now)) {
            _ if self.lost().is_some() => Err(StaleRevocations::Lost),
            Some(until) => Err(StaleRevocations::RunOut { number: list.number(), until }),
            None => Ok(()),
        }
    }

    /// Until when it is known what main has revoked; none where main has never revoked anything.
    pub fn until(&self, revocations: &Revocations) -> Option<Timestamp> {
        self.lost().or_else(|| revocations.current().until())
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
            *self.lost() = None;
        }
        Ok(revocations.current().number())
    }

    fn lost(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
