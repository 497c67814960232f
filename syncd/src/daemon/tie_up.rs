//! One tie-up of the daemon: all that belongs to one main site, with keys, state, journal and tasks of its own.
//!
//! Tie-ups share the public address and nothing else, so that what one main site does touches no other's.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use std::thread;

use jiff::Timestamp;
use tieup_generator::{Patience, Watch};
use tieup_protocol::contract::Contract;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::main_tls_name;
use tieup_store::blobs::BlobStore;
use tieup_store::durable::{self, DiskError};
use tieup_store::lock::StateLock;
use tieup_web::listener::{Shutdown, bind_socket, serve_tls};
use tieup_web::service::GivenSockets;
use tieup_web::tls::{ServerConfig, TlsIdentity};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::tasks::{follow_originals, keep_times, watch_trust};
use super::{Partner, StartError};
use crate::config::Config;
use crate::console::{Console, Front};
use crate::control;
use crate::door::{Door, Host, Opened};
use crate::flow::Limits;
use crate::guard::{self, Guard, QUARANTINE};
use crate::heartbeat;
use crate::identity::{Identity, JOURNALS, LoadError};
use crate::intake::Intake;
use crate::line;
use crate::peer;
use crate::placement::{PlacedLog, keep_placed};
use crate::preview::Preview;
use crate::prompt::{Others, Prompter, Retries};
use crate::publisher::{Places, Publisher, is_original};
use crate::record::RecordCopy;
use crate::renewal;
use crate::returning;
use crate::revocation::RevocationFile;
use crate::shared_site::{self, Share};
use crate::statement::STATEMENTS;
use crate::strikes;
use tieup_web::journal::{Journal, JournalSetup};

/// A tie-up that has been opened, before anything of it is shown.
pub(super) struct Opening {
    identity: Identity,
    lock: StateLock,
    tls: TlsIdentity,
    revocations: RevocationFile,
    server: ServerConfig,
    journal: Arc<Journal>,
    placed: Arc<PlacedLog>,
    journal_thread: thread::JoinHandle<()>,
    blobs: Arc<BlobStore>,
}

/// A tie-up whose live site is public, and whose tasks do not run yet.
pub(super) struct Shown {
    partner: Arc<Partner>,
    server: ServerConfig,
    console: Option<Opened>,
    preview: Option<Opened>,
    prompter: Prompter,
    journal_thread: thread::JoinHandle<()>,
    lock: StateLock,
}

/// A tie-up that is running.
pub(super) struct TieUp {
    partner: Arc<Partner>,
    tasks: Vec<JoinHandle<()>>,
    journal_thread: thread::JoinHandle<()>,
    lock: StateLock,
    _watch: Watch,
}

/// A tie-up whose tasks have ended. Its journal still takes visits.
pub(super) struct Finished {
    partner: Arc<Partner>,
    journal_thread: thread::JoinHandle<()>,
    _lock: StateLock,
}

impl Opening {
    /// Opens the tie-up that `config` describes.
    ///
    /// # Errors
    /// See [`StartError`].
    pub(super) fn of(config: &Config) -> Result<Self, StartError> {
        let identity = Identity::load(&config.state)?;
        let lock = StateLock::take(&config.state)?;
        settle(&config.state)?;
        let tls = identity.tls()?;
        let revocations = RevocationFile::new(&config.state, &identity.authority);
        revocations.load(tls.revocations(), Timestamp::now());
        let server = tls.server_for(&main_tls_name(&identity.main))?;
        let joined = Contract::parse("contract.yaml", &identity.contract).map_err(StartError::Contract)?;
        let (journal, journal_thread) = Journal::start(journal_setup(config, &identity, &joined)?)?;
        let (journal, blobs) = (Arc::new(journal), Arc::new(BlobStore::open(config.state.join("blobs"))?));
        let placed = Arc::new(PlacedLog::new(journal.clone(), joined));
        Ok(Self { identity, lock, tls, revocations, server, journal, placed, journal_thread, blobs })
    }

    /// Opens the tie-up with the further main site `main`; none where the partner has not joined it.
    ///
    /// # Errors
    /// See [`StartError`].
    pub(super) fn further(main: &SiteId, config: &Config, home: &Self) -> Result<Option<Self>, StartError> {
        if home.identity.main == *main {
            return Err(StartError::Twice(main.clone()));
        }
        match Identity::load(&config.state) {
            Ok(identity) if identity.main == *main => Self::of(config).map(Some),
            Ok(identity) => Err(StartError::OtherMain(config.state.clone(), identity.main)),
            Err(LoadError::NotJoined) => {
                tracing::warn!(
                    "main site `{main}` has not been joined yet: ask it for a token, then `syncd join TOKEN`"
                );
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What its share in the public site is made of.
    pub(super) fn tie_up(&self) -> shared_site::TieUp {
        shared_site::TieUp { main: self.identity.main.clone(), blobs: self.blobs.clone(), log: self.placed.clone() }
    }

    /// Puts what is live of it before the public, and opens its doors.
    ///
    /// # Errors
    /// See [`StartError`].
    pub(super) fn show(self, config: &Config, share: Share, given: &mut GivenSockets) -> Result<Shown, StartError> {
        let Self { identity, lock, tls, revocations, server, journal, placed, journal_thread, blobs } = self;
        let console = opened("console", config.console.as_ref(), Host::Name, given)?;
        let preview = opened("preview", config.preview.as_ref(), Host::Number, given)?;
        let others = if share.is_alone() { Others::None } else { Others::Some };
        let prompter = prompter(config, &identity, console.as_ref())?.beside(others);
        let (title, command) = (title(&identity, &share), sign_in_command(config, &identity, &share));
        let front = Front::new((&title, &command), console.as_ref(), preview.as_ref(), prompter.board());
        let known = Known { identity, tls, revocations };
        let logs = Logs { journal, placed };
        let partner = Arc::new(open(config, known, logs, blobs, share, front)?);
        Ok(Shown { partner, server, console, preview, prompter, journal_thread, lock })
    }
}

impl Shown {
    /// Says in the log what of its live site clashes with another tie-up's, and has the guard try again what could not be
    /// made whole just now.
    pub(super) fn tell_clashes(&self) {
        let publisher = self.partner.publisher();
        publisher.tell_clashes();
        if publisher.share().is_unread() || publisher.lacks_records() {
            self.partner.guard().call();
        }
    }

    /// Starts its tasks, which end after `shutdown`. Main calls at `peer`, or is dialed where there is none.
    ///
    /// # Errors
    /// See [`StartError`].
    pub(super) fn start(
        self,
        config: &Config,
        peer: Option<TcpListener>,
        shutdown: &Shutdown,
    ) -> Result<TieUp, StartError> {
        let (watch, changes) = watch_originals(config)?;
        let socket = config.control_socket();
        let control = bind_socket(&socket).map_err(|error| StartError::Control(socket, error))?;
        let Self { partner, server, console, preview, prompter, journal_thread, lock } = self;
        let mut tasks = vec![
            tokio::spawn(renewal::keep_renewed(partner.clone(), shutdown.clone())),
            tokio::spawn(returning::keep_returned(partner.clone(), shutdown.clone())),
            tokio::spawn(keep_placed(partner.clone(), shutdown.clone())),
            tokio::spawn(heartbeat::keep_beating(partner.clone(), shutdown.clone())),
            tokio::spawn(strikes::keep_told(partner.clone(), shutdown.clone())),
            tokio::spawn(control::serve(control, partner.clone(), shutdown.clone())),
            tokio::spawn(follow_originals(partner.clone(), changes, shutdown.clone())),
            tokio::spawn(watch_trust(partner.clone(), shutdown.clone())),
            tokio::spawn(keep_times(partner.clone(), shutdown.clone())),
            tokio::spawn(guard::keep_watch(partner.clone(), shutdown.clone())),
            tokio::spawn(guard::run_cycle(partner.clone(), config.guard, shutdown.clone())),
        ];
        tasks.extend(meet_main(&partner, config.transfer, peer, server, shutdown));
        tasks.extend(meet_operator(&partner, console, preview, shutdown));
        tasks.extend(prompter.start(&partner.publisher().watch(), shutdown));
        Ok(TieUp { partner, tasks, journal_thread, lock, _watch: watch })
    }
}

impl TieUp {
    /// What its tasks share.
    pub(super) fn partner(&self) -> &Arc<Partner> {
        &self.partner
    }

    /// Waits until its tasks have finished what they began, after the shutdown has.
    pub(super) async fn finish(self) -> Finished {
        for task in self.tasks {
            // A task that panicked has been reported by the runtime; there is nothing left to stop.
            let _ = task.await;
        }
        Finished { partner: self.partner, journal_thread: self.journal_thread, _lock: self.lock }
    }
}

impl Finished {
    /// Signs its journal a last time.
    pub(super) async fn close(self) {
        self.partner.journal.close();
        let _ = tokio::task::spawn_blocking(move || self.journal_thread.join()).await;
    }
}

/// Puts right what a crash left half written in the state folder itself and in the folders of which nobody else does: the
/// copy of approved originals gets its name back before it is looked for, and what was begun goes.
fn settle(state: &Path) -> Result<(), DiskError> {
    let folders = ["", STATEMENTS, QUARANTINE].map(|folder| state.join(folder));
    folders.iter().filter(|folder| folder.is_dir()).try_for_each(|folder| durable::settle(folder))
}

/// Whose console it is, as its pages say: the partner's, and beside which main site where there are several.
fn title(identity: &Identity, share: &Share) -> String {
    if share.is_alone() {
        return identity.partner.to_string();
    }
    format!("{}, with {}", identity.partner, identity.main)
}

/// The command that gives a link to the console. It names the main site where a command has to.
fn sign_in_command(config: &Config, identity: &Identity, share: &Share) -> String {
    if share.is_alone() && config.mains.is_empty() {
        return "syncd console".to_owned();
    }
    format!("syncd --main {} console", identity.main)
}

/// Opens a door, if there is to be one.
fn opened(name: &str, door: Option<&Door>, host: Host, given: &mut GivenSockets) -> Result<Option<Opened>, StartError> {
    let mut open = |door: &Door| {
        let listener = given.take(name, &door.listen.to_string());
        let opened = listener.map_or_else(|| door.open(host), |listener| door.open_at(listener, host));
        opened.map_err(|error| StartError::Listen(door.listen, error))
    };
    door.map(&mut open).transpose()
}

fn prompter(config: &Config, identity: &Identity, console: Option<&Opened>) -> Result<Prompter, StartError> {
    let parties = (identity.main.clone(), identity.partner.clone());
    let console = console.map(|console| console.url.clone());
    Ok(Prompter::open(parties, console, &config.prompts, &config.state, Retries::usual())?)
}

/// Watches the originals: the watch, which lasts as long as it is kept, and what it notices.
fn watch_originals(config: &Config) -> Result<(Watch, mpsc::Receiver<()>), StartError> {
    let (sender, changes) = mpsc::channel(1);
    // What was edited while no daemon ran is a change too.
    let _ = sender.try_send(());
    let site = config.site.clone();
    let watch = Watch::start(
        &[&config.site],
        move |file| is_original(&site, file),
        Patience::Whole,
        move |_| {
            // A full channel already holds a message that will cover this change too.
            let _ = sender.try_send(());
        },
    );
    let watch = watch.map_err(|error| StartError::Watch(config.site.clone(), error))?;
    Ok((watch.without(&config.state), changes))
}

/// The tasks of the doors for the operator that are open.
fn meet_operator(
    partner: &Arc<Partner>,
    console: Option<Opened>,
    preview: Option<Opened>,
    shutdown: &Shutdown,
) -> Vec<JoinHandle<()>> {
    let console = console.map(|door| tokio::spawn(Console::serve(partner.clone(), door.listener, shutdown.clone())));
    let preview = preview.map(|door| {
        let preview = Preview::new(partner.clone(), door.names.clone());
        tokio::spawn(preview.serve(door, shutdown.clone()))
    });
    console.into_iter().chain(preview).collect()
}

/// The tasks by which main reaches the daemon: they answer it at a port, or keep lines to it open.
fn meet_main(
    partner: &Arc<Partner>,
    limits: Limits,
    peer: Option<TcpListener>,
    server: ServerConfig,
    shutdown: &Shutdown,
) -> Vec<JoinHandle<()>> {
    let router = partner.contact.noting(peer::router(partner.clone(), limits));
    let Some(listener) = peer else {
        let keep = |number| tokio::spawn(line::keep(number, partner.clone(), router.clone(), shutdown.clone()));
        return (0..line::LINES).map(keep).collect();
    };
    let revocations = partner.tls.revocations().clone();
    vec![tokio::spawn(serve_tls(listener, server, revocations, router, shutdown.clone()))]
}

/// Who the partner is, and whom it no longer believes.
struct Known {
    identity: Identity,
    tls: TlsIdentity,
    revocations: RevocationFile,
}

/// The journal, and where visits go.
struct Logs {
    journal: Arc<Journal>,
    placed: Arc<PlacedLog>,
}

fn journal_setup(config: &Config, identity: &Identity, joined: &Contract) -> Result<JournalSetup, StartError> {
    Ok(JournalSetup {
        dir: config.state.join(JOURNALS),
        main: identity.main.clone(),
        site: identity.partner.clone(),
        zone: joined.effective.tz.clone(),
        signer: identity.journal_key.parse()?,
        cosigner: identity.cosigner_key.parse()?,
    })
}

fn open(
    config: &Config,
    known: Known,
    logs: Logs,
    blobs: Arc<BlobStore>,
    share: Share,
    front: Front,
) -> Result<Partner, StartError> {
    let Known { identity, tls, revocations } = known;
    let (main, partner) = (identity.main.clone(), identity.partner.clone());
    let intake = Intake::new(main.clone(), partner, &config.state, identity.root.clone(), blobs.clone());
    let guard = Guard::new(&config.state, blobs.clone());
    let (visits, started) = (share.part().clone(), Timestamp::now());
    let (site, originals, state) = (config.site.clone(), config.originals, config.state.clone());
    let zone = logs.placed.zone().clone();
    let places = Places { main, site, originals, state, blobs, share, zone };
    let publisher = Publisher::open(places).map_err(Box::new)?;
    // What is damaged of it is mended while the daemon runs.
    publisher.approved().map_or_else(|_| logs.placed.log_all(), |approved| logs.placed.follow(&approved));
    Ok(Partner {
        identity: RwLock::new(Arc::new(identity)),
        tls,
        revocations,
        state: config.state.clone(),
        releases: publisher.watch(),
        publisher: Mutex::new(publisher),
        intake: tokio::sync::Mutex::new(intake),
        journal: logs.journal,
        record: RecordCopy::in_state(&config.state),
        placed: logs.placed,
        originals: AtomicU64::new(0),
        front,
        guard,
        contact: Arc::default(),
        started,
        visits,
        overdue: Mutex::default(),
        records: Mutex::default(),
    })
}
