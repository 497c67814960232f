//! Main's newest list of revoked certificates, kept on disk: a stolen TLS key of main's opens nothing here, also after a
//! restart.
//!
//! A list is good until its `nextUpdate`. Main signs the next one when a third of that time is over, and the daemon asks for
//! it every hour; so one that has run out has been kept from this partner, or main is gone. Then the partner may be called
//! by somebody whose certificate is revoked: offers are refused until a newer list comes, and an alarm is given. What is
//! live is served as before, and what is revoked stays so.
//!
//! It is kept twice, so that damage to one file loses neither the list nor its number: what is older is refused as before.
//! Where both are damaged, that counts as a list which has run out. Nothing is offline for it, and main's next list takes
//! their place: the daemon asks for it at its start, and then every minute.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tieup_store::durable::{self, DiskError};
use tieup_web::revocation::{InvalidList, OlderList, RevocationList, Revocations};

/// The list in the state folder, and the same once more.
const FILES: [&str; 2] = ["revocations.pem", "revocations-copy.pem"];

/// Where the list is kept.
#[derive(Debug)]
pub struct RevocationFile {
    paths: [PathBuf; 2],
    authority: String,
    // Two lists at once are taken one after the other, so that the newer one is on disk at the end.
    taking: Mutex<()>,
    /// When the list that was kept was found to be damaged in both files; none where one was whole, or another has come
    /// since.
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
    /// Both files with the list are damaged, and none has come since.
    #[error("the list of revoked certificates that was kept is damaged: no update is taken before main sends another")]
    Lost,
}

impl RevocationFile {
    /// The files in the state folder of a partner of the main site with this authority (PEM).
    pub fn new(state: &Path, authority: &str) -> Self {
        Self {
            paths: FILES.map(|name| state.join(name)),
            authority: authority.to_owned(),
            taking: Mutex::default(),
            lost: Mutex::default(),
        }
    }

    /// Puts the newest list that was kept in force, if there is one, and mends the file that does not have it. Where neither
    /// can be read, the list has run out at `now`; the files stay as they are until main's next list takes their place.
    pub fn load(&self, revocations: &Revocations, now: Timestamp) {
        let mut is_damaged = false;
        for path in &self.paths {
            if let Err(error) = self.read_into(path, revocations) {
                tracing::error!(error = &error as &dyn std::error::Error, "{} is damaged", path.display());
                is_damaged = true;
            }
        }
        let list = revocations.current();
        if !list.pem().is_empty() {
            self.mend(&list);
        } else if is_damaged {
            tracing::error!("{}", StaleRevocations::Lost);
            *self.lost() = Some(now);
        }
    }

    fn read_into(&self, path: &Path, revocations: &Revocations) -> Result<(), RevocationError> {
        let Some(bytes) = durable::read_file(path)? else { return Ok(()) };
        let list = RevocationList::parse(&String::from_utf8_lossy(&bytes), &self.authority)?;
        // The other file may have a newer one.
        let _ = revocations.replace(list);
        Ok(())
    }

    /// Writes `list` where it is not. It is in force whether or not that can be done.
    fn mend(&self, list: &RevocationList) {
        for path in &self.paths {
            let is_whole = durable::read_file(path).ok().flatten().is_some_and(|bytes| bytes == list.pem().as_bytes());
            if !is_whole && let Err(error) = durable::write_file(path, list.pem().as_bytes()) {
                tracing::error!(error = &error as &dyn std::error::Error, "{} was not mended", path.display());
            }
        }
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

    /// Keeps a list and puts it in force. Returns the number of the list that is in force then.
    ///
    /// Durable on return. Where the copy alone cannot be written, the list is in force, and the error is logged.
    ///
    /// # Errors
    /// When it is not main's, or is older than the one in force.
    pub fn take(&self, list: &str, revocations: &Revocations) -> Result<u64, RevocationError> {
        let list = RevocationList::parse(list, &self.authority)?;
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        revocations.check(&list)?;
        if list.number() > revocations.current().number() {
            let [first, _] = &self.paths;
            durable::write_file(first, list.pem().as_bytes())?;
            self.put_in_force(list, revocations)?;
            // What is revoked is shut out before the copy is written, which may fail and is mended at the next start.
            self.mend(&revocations.current());
        }
        Ok(revocations.current().number())
    }

    fn put_in_force(&self, list: RevocationList, revocations: &Revocations) -> Result<(), OlderList> {
        let number = list.number();
        // Whoever hears of the new list finds none lost.
        let mut found_lost = self.lost();
        revocations.replace(list)?;
        *found_lost = None;
        tracing::info!(number, "main's list of revoked certificates was taken");
        Ok(())
    }

    fn lost(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
