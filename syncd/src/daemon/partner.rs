//! What the tasks of one tie-up share: its parts, and how it stands.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

use jiff::Timestamp;
use tieup_protocol::approval::ReleaseRecord;
use tieup_protocol::wire::{ExpiryAlarm, OverdueCertificate, PartnerStatus, REVOCATIONS_ROLE};
use tieup_store::document::DocumentError;
use tieup_store::durable::DiskError;
use tieup_web::journal::Journal;
use tieup_web::site::SitePart;
use tieup_web::tls::{TlsError, TlsIdentity};
use tokio::sync::watch;

use crate::console::Front;
use crate::guard::Guard;
use crate::health::Contact;
use crate::identity::{Identity, JOURNALS};
use crate::intake::{Intake, trust_document};
use crate::placement::PlacedLog;
use crate::prompt::PromptStatus;
use crate::publisher::{PublishError, Publisher};
use crate::record::RecordCopy;
use crate::revocation::{RevocationError, RevocationFile, StaleRevocations};
use crate::trust::{self, TrustState};

/// Everything that the daemon's tasks share.
pub struct Partner {
    pub(super) identity: RwLock<Arc<Identity>>,
    pub(super) tls: TlsIdentity,
    pub(super) revocations: RevocationFile,
    pub(super) state: PathBuf,
    pub(super) publisher: Mutex<Publisher>,
    pub(super) intake: tokio::sync::Mutex<Intake>,
    pub(super) journal: Arc<Journal>,
    pub(super) record: RecordCopy,
    /// The same where visits go.
    pub(super) placed: Arc<PlacedLog>,
    /// Every release, newest first.
    pub(super) releases: watch::Receiver<Vec<ReleaseRecord>>,
    /// How often the originals were looked at since the daemon started.
    pub(super) originals: AtomicU64,
    pub(super) front: Front,
    pub(super) guard: Guard,
    pub(super) contact: Arc<Contact>,
    /// When it began, and what it has answered since.
    pub(super) started: Timestamp,
    pub(super) visits: SitePart,
    /// Why the certificate is not renewed, though that is due.
    pub(super) overdue: Mutex<Option<OverdueCertificate>>,
    /// Taken by whoever reads what is known of statements, strikes and disputes to write it anew.
    pub(super) records: Mutex<()>,
}

/// Why a new certificate could not be kept or shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The certificate is unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why the daemon cannot say how it stands.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The releases cannot be read.
    #[error("the releases cannot be read")]
    Releases(#[from] PublishError),
    /// The journals cannot be listed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// What is trusted cannot be read.
    #[error("the state of trust cannot be read")]
    Trust(#[from] DocumentError),
}

impl Partner {
    /// The releases and the public site. Methods of it block on the disk.
    pub fn publisher(&self) -> MutexGuard<'_, Publisher> {
        self.publisher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, unless a release is being worked on just now.
    pub fn idle_publisher(&self) -> Option<MutexGuard<'_, Publisher>> {
        match self.publisher.try_lock() {
            Ok(publisher) => Some(publisher),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Every release, newest first, without waiting for the one that is being worked on.
    pub fn releases(&self) -> Vec<ReleaseRecord> {
        self.releases.borrow().clone()
    }

    /// The intake of releases, one at a time.
    pub async fn intake(&self) -> tokio::sync::MutexGuard<'_, Intake> {
        self.intake.lock().await
    }

    /// The intake, waited for by blocking the thread.
    pub fn intake_blocking(&self) -> tokio::sync::MutexGuard<'_, Intake> {
        self.intake.blocking_lock()
    }

    /// The journal.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// The copy of main's record.
    pub(crate) fn record(&self) -> &RecordCopy {
        &self.record
    }

    /// Where visits go: to the journal, while the partner is the one who writes.
    pub(crate) fn placed(&self) -> &PlacedLog {
        &self.placed
    }

    /// Who watches over what is stored.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// When the process began to serve.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// Its part of the public site, which counts what it answers.
    pub fn visits(&self) -> &SitePart {
        &self.visits
    }

    /// When main was heard of.
    pub fn contact(&self) -> &Arc<Contact> {
        &self.contact
    }

    /// The state folder.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// The folder of the journal.
    pub(crate) fn journals(&self) -> PathBuf {
        self.state.join(JOURNALS)
    }

    /// Who this partner is, with its newest certificate.
    pub fn identity(&self) -> Arc<Identity> {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its identity in TLS, which follows the newest certificate.
    pub fn tls(&self) -> &TlsIdentity {
        &self.tls
    }

    /// Takes a certificate that was granted: keeps it, and shows it from the next handshake on.
    pub(crate) fn show(&self, renewed: Identity) -> Result<(), ShowError> {
        renewed.save(&self.state)?;
        self.tls.replace(&renewed.pair())?;
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(renewed);
        Ok(())
    }

    /// Takes main's list of revoked certificates, keeps it and puts it in force. Returns the number of the list that is
    /// in force then. Durable on return. Blocks on the disk.
    ///
    /// # Errors
    /// When it is not main's, or is older than the one in force.
    pub fn take_revocations(&self, list: &str) -> Result<u64, RevocationError> {
        let before = self.revoked();
        let number = self.revocations.take(list, self.tls.revocations())?;
        if let Some(revoked) = self.revoked().filter(|_| before.is_none()) {
            tracing::error!("{revoked}");
        }
        Ok(number)
    }

    /// What is to be said where main has revoked the certificate that this partner shows.
    pub fn revoked(&self) -> Option<String> {
        let main = &self.identity().main;
        self.tls.revocations().has(&self.tls.certificate().serial).then(|| {
            format!(
                "{main} has revoked this partner, or it has joined again elsewhere with other keys: nothing arrives any more; \
                 your site stays as it is. Ask them for a new token, and join again."
            )
        })
    }

    /// Refuses updates at `now` where main has not said for so long what it has revoked that whoever calls may hold a
    /// certificate that is. What is live is served as before.
    ///
    /// # Errors
    /// When main's list of revoked certificates has run out, or is damaged.
    pub fn check_revocations(&self, now: Timestamp) -> Result<(), StaleRevocations> {
        self.revocations.check(self.tls.revocations(), now)
    }

    /// How often the originals were looked at since the daemon started: what was made of them before may be old.
    pub fn originals(&self) -> u64 {
        self.originals.load(Ordering::Acquire)
    }

    /// Where the operator's own addresses are.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// Keeps others from changing what is known of statements, strikes and disputes, until it is dropped.
    pub(crate) fn records(&self) -> MutexGuard<'_, ()> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why the certificate is not renewed, though that is due.
    pub fn overdue(&self) -> MutexGuard<'_, Option<OverdueCertificate>> {
        self.overdue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the operator was told of what waits, way by way.
    pub fn prompts(&self) -> Vec<PromptStatus> {
        self.front.board.all()
    }

    /// What the daemon tells of itself.
    ///
    /// # Errors
    /// When the state folder cannot be read.
    pub fn status(&self) -> Result<PartnerStatus, StatusError> {
        let publisher = self.publisher();
        let (releases, originals) = (publisher.releases()?, publisher.waiting_originals().cloned());
        let (emergency, overrides) = (publisher.emergency().cloned(), publisher.overrides());
        let clashes = publisher.lasting_clashes().map(|clashes| clashes.to_string());
        let clashes = clashes.iter().flat_map(|clashes| clashes.lines()).map(str::to_owned).collect();
        drop(publisher);
        let (certificate, alarms) = (self.overdue().clone(), self.alarms(Timestamp::now())?);
        let guard = self.guard.report();
        let (partner, journals) = (self.identity().partner.clone(), self.journal.months()?);
        Ok(PartnerStatus {
            partner,
            releases,
            journals,
            alarms,
            certificate,
            clashes,
            originals,
            emergency,
            overrides,
            guard,
        })
    }

    /// What has expired at `now` of the metadata that this partner trusts and of what it knows to be revoked, or will
    /// soon.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn alarms(&self, now: Timestamp) -> Result<Vec<ExpiryAlarm>, DocumentError> {
        let revocations = self.revocations.until(self.tls.revocations());
        let alarm = revocations.and_then(|until| trust::alarm_of_revocations(until, now));
        Ok(trust::alarms(&self.trusted()?, now).into_iter().chain(alarm).collect())
    }

    /// Until when the metadata of each role is trusted, and main's list of revoked certificates, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn trust_ends(&self) -> Result<Vec<(&'static str, Timestamp)>, DocumentError> {
        let revocations = self.revocations.until(self.tls.revocations()).map(|until| (REVOCATIONS_ROLE, until));
        Ok(trust::ends(&self.trusted()?).into_iter().chain(revocations).collect())
    }

    fn trusted(&self) -> Result<TrustState, DocumentError> {
        let seen = trust_document(&self.state).read()?;
        Ok(seen.unwrap_or_else(|| TrustState::pinned(self.identity().root.clone())))
    }
}
