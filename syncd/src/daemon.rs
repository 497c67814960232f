//! The daemon: its parts put together, its listeners, its tasks.

mod tie_up;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::Duration;

use jiff::Timestamp;
use tieup_protocol::approval::ReleaseRecord;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::ids::SiteId;
use tieup_protocol::wire::{ExpiryAlarm, ExpiryState, OverdueCertificate, PartnerStatus, REVOCATIONS_ROLE};
use tieup_store::cache::Cache;
use tieup_store::document::DocumentError;
use tieup_store::durable::DiskError;
use tieup_store::journal::InvalidKey;
use tieup_store::lock::LockError;
use tieup_web::admin;
use tieup_web::https::{Entrance, EntranceError, Sockets};
use tieup_web::listener::Shutdown;
use tieup_web::service::{GivenSockets, SocketError};
use tieup_web::site::SitePart;
use tieup_web::tls::{TlsError, TlsIdentity};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::console::Front;
use crate::guard::Guard;
use crate::health::{Contact, Health};
use crate::identity::{Identity, JOURNALS, LoadError};
use crate::intake::{Intake, trust_document};
use crate::placement::PlacedLog;
use crate::prompt::PromptStatus;
use crate::publisher::{PublishError, Publisher};
use crate::record::RecordCopy;
use crate::revocation::{RevocationError, RevocationFile, StaleRevocations};
use crate::shared_site::Share;
use crate::trust::{self, TrustState};
use tieup_web::journal::Journal;

use self::tie_up::{Opening, TieUp};

/// How often the daemon looks whether metadata has expired.
const TRUST_CHECK: Duration = Duration::from_hours(1);

/// Everything that the daemon's tasks share.
pub struct Partner {
    identity: RwLock<Arc<Identity>>,
    tls: TlsIdentity,
    revocations: RevocationFile,
    state: PathBuf,
    publisher: Mutex<Publisher>,
    intake: tokio::sync::Mutex<Intake>,
    journal: Arc<Journal>,
    record: RecordCopy,
    /// The same where visits go.
    placed: Arc<PlacedLog>,
    /// Every release, newest first.
    releases: watch::Receiver<Vec<ReleaseRecord>>,
    /// How often the originals were looked at since the daemon started.
    originals: AtomicU64,
    front: Front,
    guard: Guard,
    contact: Arc<Contact>,
    /// When it began, and what it has answered since.
    started: Timestamp,
    visits: SitePart,
    /// Why the certificate is not renewed, though that is due.
    overdue: Mutex<Option<OverdueCertificate>>,
    /// Taken by whoever reads what is known of statements, strikes and disputes to write it anew.
    records: Mutex<()>,
}

/// A daemon that is running.
pub struct Daemon {
    home: TieUp,
    further: Vec<TieUp>,
    public: JoinHandle<()>,
    admin: Option<JoinHandle<()>>,
    shutdown: Shutdown,
}

/// The sockets a daemon answers on, bound before it starts.
pub struct Listeners {
    /// For visitors.
    pub public: TcpListener,
    /// For main; none where the daemon dials it.
    pub peer: Option<TcpListener>,
    /// For further main sites; none for those that the daemon dials.
    pub mains: BTreeMap<SiteId, TcpListener>,
    /// What not every daemon has.
    pub besides: Besides,
}

/// The sockets that not every daemon has.
#[derive(Debug, Default)]
pub struct Besides {
    /// For visitors who come by HTTPS.
    pub https: Option<TcpListener>,
    /// For those who watch over the daemon.
    pub admin: Option<TcpListener>,
    /// What a service manager opened and is still to be taken: the operator's own addresses.
    pub given: GivenSockets,
}

/// Why a daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another daemon works in the state folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The partner has not joined.
    #[error(transparent)]
    Identity(#[from] LoadError),
    /// The TLS identity is unusable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A key is damaged.
    #[error("a key in the identity cannot be used")]
    Key(#[from] InvalidKey),
    /// The contract is unusable.
    #[error("the contract cannot be used:\n{0}")]
    Contract(Diagnostic),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The releases are unusable.
    #[error("the releases cannot be read")]
    Publisher(#[from] Box<PublishError>),
    /// The originals cannot be watched.
    #[error("the folder {0} cannot be watched")]
    Watch(PathBuf, #[source] notify::Error),
    /// HTTPS for visitors cannot be set up.
    #[error(transparent)]
    Entrance(#[from] EntranceError),
    /// A socket of the service manager's is nobody's.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A port for the operator is taken.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// What the operator was told of cannot be read.
    #[error("what the operator was told of cannot be read")]
    Prompts(#[from] DocumentError),
    /// A further main site is the home one as well.
    #[error("`{0}` is the main site that this partner joined first, so it cannot stand under `mains` too")]
    Twice(SiteId),
    /// The state folder of a further main site belongs to another one.
    #[error("{0} belongs to main site `{1}`")]
    OtherMain(PathBuf, SiteId),
    /// The tie-up with a further main site could not be started.
    #[error("the tie-up with `{0}` could not be started")]
    Further(SiteId, #[source] Box<StartError>),
    /// The control socket cannot be made.
    #[error("the control socket {0} cannot be made")]
    Control(PathBuf, #[source] std::io::Error),
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
        self.revocations.take(list, self.tls.revocations())
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

impl Daemon {
    /// Starts the daemon of a partner that has joined. It serves what was live when it stopped. Further main sites of
    /// the configuration that the partner has not joined are left out.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: &Config, mut listeners: Listeners) -> Result<Self, StartError> {
        let home = Opening::of(config)?;
        let entrance = Entrance::open(config.https.as_ref(), &config.state)?.admitting(config.visitors);
        let Besides { https, admin, mut given } = listeners.besides;
        let mut openings = vec![(config, home, listeners.peer)];
        for (main, further) in &config.mains {
            let peer = listeners.mains.remove(main);
            let opening = Opening::further(main, further, &openings[0].1);
            let opening = opening.map_err(|error| StartError::Further(main.clone(), Box::new(error)))?;
            openings.extend(opening.map(|opening| (further, opening, peer)));
        }
        let others = openings.iter().skip(1).map(|(_, opening, _)| opening.tie_up()).collect();
        let coded = Cache::at(config.state.join("cache/coded"));
        let (public, shares) = Share::open(openings[0].1.tie_up(), others, coded);
        let mut shown = Vec::new();
        for ((config, opening, peer), share) in openings.into_iter().zip(shares) {
            shown.push((config, opening.show(config, share, &mut given)?, peer));
        }
        given.finish()?;
        for (_, shown, _) in &shown {
            shown.tell_clashes();
        }
        // Only now that all of it is public does anything change: each looks at what the others serve.
        let shutdown = Shutdown::new();
        let mut tie_ups = Vec::new();
        for (config, shown, peer) in shown {
            tie_ups.push(shown.start(config, peer, &shutdown)?);
        }
        let (tls, traffic) = (entrance.tls(), entrance.traffic());
        let sockets = Sockets { plain: listeners.public, https };
        let public = tokio::spawn(entrance.serve(public, sockets, shutdown.clone())?);
        let partners = tie_ups.iter().map(|tie_up| tie_up.partner().clone()).collect();
        let health = Health { partners, tls, traffic, public: public.abort_handle() };
        let admin = admin.map(|listener| tokio::spawn(admin::serve(listener, health, shutdown.clone())));
        let further = tie_ups.split_off(1);
        // One was opened for the home main site, so there is one.
        let home = tie_ups.remove(0);
        Ok(Self { home, further, public, admin, shutdown })
    }

    /// The running daemon's parts, those of the home tie-up.
    pub fn partner(&self) -> &Arc<Partner> {
        self.home.partner()
    }

    /// The parts of every tie-up, the home one's first.
    pub fn partners(&self) -> impl Iterator<Item = &Arc<Partner>> {
        std::iter::once(&self.home).chain(&self.further).map(TieUp::partner)
    }

    /// Every release of the home tie-up, newest first, and each change to that list.
    pub fn watch(&self) -> watch::Receiver<Vec<ReleaseRecord>> {
        self.partner().publisher().watch()
    }

    /// Stops listening, finishes what was begun, and signs the journals a last time.
    pub async fn stop(self) {
        self.shutdown.begin();
        let mut closing = Vec::new();
        for tie_up in std::iter::once(self.home).chain(self.further) {
            closing.push(tie_up.finish().await);
        }
        // A task that panicked has been reported by the runtime; there is nothing left to stop.
        let _ = self.public.await;
        if let Some(admin) = self.admin {
            let _ = admin.await;
        }
        for tie_up in closing {
            tie_up.close().await;
        }
    }
}

/// The longest wait for a release's time, so that a clock which was set, or a machine that slept, is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long after a failure the switch is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Makes approved releases live when their time comes, or has come while no daemon ran.
async fn keep_times(partner: Arc<Partner>, shutdown: Shutdown) {
    let mut releases = partner.publisher().watch();
    loop {
        let wait = tokio::task::block_in_place(|| keep_time(&partner, Timestamp::now()));
        let time = async {
            match wait {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.wait() => return,
            changed = releases.changed() => if changed.is_err() { return },
            () = time => {}
        }
    }
}

/// Makes the release live that is due at `now`, and says how long to wait for the next one, if one is approved.
fn keep_time(partner: &Partner, now: Timestamp) -> Option<Duration> {
    let mut publisher = partner.publisher();
    match publisher.switch_due(now) {
        Ok(None) => {}
        Ok(Some(release)) => tracing::info!(release = %release.version, "its time came: {}", release.state.word()),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an approved release could not go live");
            return Some(RETRY);
        }
    }
    let next = publisher.next_due().ok().flatten()?;
    let wait = Duration::try_from(next.duration_since(now)).unwrap_or_default();
    Some(wait.min(LONGEST_WAIT))
}

/// Merges the originals again after each change to them, and after one to what the merged site says of other tie-ups.
async fn follow_originals(partner: Arc<Partner>, mut changes: mpsc::Receiver<()>, shutdown: Shutdown) {
    let share = partner.publisher().share().clone();
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            change = changes.recv() => if change.is_none() { return },
            // Its sitemap and search tell of the other tie-ups.
            () = share.others_changed() => {}
        }
        partner.originals.fetch_add(1, Ordering::AcqRel);
        tokio::task::block_in_place(|| refresh_originals(&mut partner.publisher()));
    }
}

fn refresh_originals(publisher: &mut Publisher) {
    match publisher.refresh_originals() {
        Ok(change) if change.is_empty() => {}
        Ok(change) => {
            let waiting = publisher.waiting_originals().map(|waiting| waiting.sentence.as_str());
            let state = waiting.map_or("the site is live anew", |_| "they wait for you: syncd approve originals");
            tracing::info!(paths = change.paths.len(), "originals changed; {state}");
        }
        Err(error) => tracing::warn!("the originals were not published; the site stays as it is\n{error}"),
    }
}

/// Says in the log, at start and then every hour, what has expired of the metadata or will soon.
async fn watch_trust(partner: Arc<Partner>, shutdown: Shutdown) {
    let mut hours = tokio::time::interval(TRUST_CHECK);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = hours.tick() => {}
        }
        match tokio::task::block_in_place(|| partner.alarms(Timestamp::now())) {
            Ok(alarms) => alarms.iter().for_each(log_alarm),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "trust cannot be checked"),
        }
    }
}

fn log_alarm(alarm: &ExpiryAlarm) {
    match alarm.state {
        ExpiryState::Soon => tracing::warn!("{alarm}"),
        ExpiryState::Expired => tracing::error!("{alarm}"),
    }
}
