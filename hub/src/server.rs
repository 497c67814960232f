//! The hub's servers: joins, renewals and lines over TLS, the socket for other commands, and the main site's own pages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tieup_generator::OutputFile;
use tieup_protocol::contract::MeterClass;
use tieup_protocol::diagnostic::Report;
use tieup_protocol::path::SitePath;
use tieup_store::blobs::{BlobStore, PutBlobError};
use tieup_store::cache::Cache;
use tieup_store::durable::DiskError;
use tieup_web::admin;
use tieup_web::https::{self, Entrance};
use tieup_web::listener::{Shutdown, bind_socket, serve_socket, serve_tls};
use tieup_web::site::{Files, LiveSite, PublicSite, ServedFile};
use tieup_web::versions::speaking;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::beacons::{Beacons, keep_counted};
use crate::collecting::keep_collected;
use crate::counting::keep_counting;
use crate::disputes;
use crate::health::Health;
use crate::heartbeats;
use crate::joining;
use crate::lines::Lines;
use crate::locating;
use crate::mirror::keep_mirrored;
use crate::own_journal::OwnJournal;
use crate::partners::{Hub, HubError};
use crate::record;
use crate::release::SharedDigests;
use crate::returning;
use crate::trust::keep_fresh;
use crate::witnesses;
use crate::{strikes, telling};

/// How often it is looked whether a process died over what it counted. Whoever collects counts by itself.
const LEFTOVERS: Duration = Duration::from_mins(1);

/// Why the main site's pages could not be put before the public. What was there before is still served.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// The site has errors.
    #[error("{0}")]
    Site(Report),
    /// A page could not be stored.
    #[error("the pages cannot be stored")]
    Put(#[from] PutBlobError),
    /// The disk failed.
    #[error("the pages cannot be stored")]
    Disk(#[from] DiskError),
}

/// The sockets that a hub answers on, bound before it starts.
pub struct Sockets {
    /// Where partners join.
    pub join: TcpListener,
    /// For visitors.
    pub public: TcpListener,
    /// For visitors who come by HTTPS, where there is any.
    pub https: Option<TcpListener>,
    /// For those who watch over the hub, if there are any.
    pub admin: Option<TcpListener>,
}

/// A hub that is listening.
pub struct Server {
    public: Arc<PublicSite>,
    blobs: Arc<BlobStore>,
    journal: OwnJournal,
    beacons: Arc<Beacons>,
    tasks: Vec<JoinHandle<()>>,
    shutdown: Shutdown,
}

impl Server {
    /// Begins to answer joins on `join` and visitors on `public`, with no pages yet.
    ///
    /// # Errors
    /// When the TLS identity, the socket, the folder of blobs or main's own journal cannot be used.
    pub fn start(hub: &Arc<Hub>, join: TcpListener, public: TcpListener) -> Result<Self, HubError> {
        Self::start_at(hub, Sockets { join, public, https: None, admin: None })
    }

    /// Begins to answer at all of `sockets`, with no pages yet.
    ///
    /// # Errors
    /// When the TLS identity, the certificate for visitors, the socket, the folder of blobs or main's own journal cannot be
    /// used.
    pub fn start_at(hub: &Arc<Hub>, sockets: Sockets) -> Result<Self, HubError> {
        let shutdown = Shutdown::new();
        let blobs = Arc::new(BlobStore::open(hub.config.state.join("blobs"))?);
        let journal = OwnJournal::start(hub)?;
        let coded = Cache::at(hub.config.state.join("cache/coded"));
        let beacons = Arc::new(Beacons::new(Timestamp::now()));
        let site = PublicSite::new(blobs.clone(), journal.log(), coded).counting_beacons(beacons.clone());
        let site = Arc::new(site);
        let config = hub.tls().server_for_anyone()?;
        let lines = Lines::new(hub.clone());
        let router = joining::router(hub.clone()).merge(lines.joining_router()).merge(returning::router(hub.clone()));
        let router = router.merge(witnesses::router(hub.clone(), journal.log()));
        let router = router.merge(heartbeats::router(hub.clone()));
        let router = router.merge(locating::router(hub.clone())).merge(disputes::router(hub.clone()));
        let router = router.merge(strikes::router(hub.clone())).merge(record::router(hub.clone()));
        let router = speaking(router, concat!("tieup ", env!("CARGO_PKG_VERSION")));
        let path = hub.socket();
        let socket = bind_socket(&path).map_err(|error| HubError::Socket(path, error))?;
        let revocations = hub.tls().revocations().clone();
        let entrance = Entrance::open(hub.config.https.as_ref(), &hub.config.state)?.admitting(hub.config.visitors);
        let (tls, traffic) = (entrance.tls(), entrance.traffic());
        let ports = https::Sockets { plain: sockets.public, https: sockets.https };
        let public = tokio::spawn(entrance.serve(site.clone(), ports, shutdown.clone())?);
        let (log, public_task) = (journal.log(), public.abort_handle());
        let health = Health {
            hub: hub.clone(),
            site: site.clone(),
            journal: log,
            beacons: beacons.clone(),
            tls,
            traffic,
            public: public_task,
        };
        let admin = sockets.admin.map(|listener| tokio::spawn(admin::serve(listener, health, shutdown.clone())));
        let mut tasks = vec![
            tokio::spawn(serve_tls(sockets.join, config, revocations, router, shutdown.clone())),
            tokio::spawn(serve_socket(socket, lines.socket_router(), shutdown.clone())),
            tokio::spawn(lines.keep(shutdown.clone())),
            public,
            tokio::spawn(keep_fresh(hub.clone(), shutdown.clone())),
            tokio::spawn(keep_collected(hub.clone(), shutdown.clone())),
            tokio::spawn(keep_counting(hub.clone(), LEFTOVERS, shutdown.clone())),
            tokio::spawn(telling::keep_told(hub.clone(), shutdown.clone())),
            tokio::spawn(keep_mirrored(hub.clone(), shutdown.clone())),
            tokio::spawn(keep_counted(beacons.clone(), hub.database.clone(), shutdown.clone())),
        ];
        tasks.extend(admin);
        Ok(Self { public: site, blobs, journal, beacons, tasks, shutdown })
    }

    /// Serves `files` in place of what was served before; the bytes that `digests` knows are not hashed again. Returns how
    /// many files are served if that changed anything.
    ///
    /// # Errors
    /// See [`ShowError`].
    pub fn show(
        &self,
        files: &BTreeMap<SitePath, OutputFile>,
        digests: &SharedDigests,
    ) -> Result<Option<usize>, ShowError> {
        let live = store(files, digests, &self.blobs)?;
        if *self.public.live() == live {
            return Ok(None);
        }
        let count = live.files.len();
        self.public.switch(live);
        Ok(Some(count))
    }

    /// Who counts the beacons of partners' pages.
    pub fn beacons(&self) -> &Arc<Beacons> {
        &self.beacons
    }

    /// Stops listening and waits until what was begun is done.
    pub async fn stop(self) {
        self.shutdown.begin();
        for task in self.tasks {
            // A task that panicked has been reported by the runtime; there is nothing left to stop.
            let _ = task.await;
        }
        self.journal.close().await;
    }
}

/// Stores what is not stored already, durably.
fn store(
    given: &BTreeMap<SitePath, OutputFile>,
    digests: &SharedDigests,
    blobs: &BlobStore,
) -> Result<LiveSite, ShowError> {
    let batch = blobs.batch();
    let mut files = Files::default();
    files.reserve(given.len());
    for (path, file) in given {
        let blob = digests.of(&file.bytes);
        if !blobs.contains(&blob) {
            batch.put(&file.bytes)?;
        }
        let media_type = file.media_type.into();
        files.insert(path.clone(), ServedFile { blob, media_type, kind: file.kind, class: MeterClass::Tieup });
    }
    batch.sync()?;
    Ok(LiveSite { files, ..LiveSite::default() })
}
