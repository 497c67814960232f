//! The daemon: its parts put together, its listeners, its tasks.

mod partner;
mod tasks;
mod tie_up;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tieup_protocol::approval::ReleaseRecord;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::ids::SiteId;
use tieup_store::cache::Cache;
use tieup_store::document::DocumentError;
use tieup_store::durable::DiskError;
use tieup_store::journal::InvalidKey;
use tieup_store::lock::LockError;
use tieup_web::admin;
use tieup_web::https::{Entrance, EntranceError, Sockets};
use tieup_web::listener::Shutdown;
use tieup_web::service::{GivenSockets, SocketError};
use tieup_web::tls::TlsError;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use self::partner::{Partner, ShowError, StatusError};
use self::tie_up::{Opening, TieUp};
use crate::config::Config;
use crate::health::Health;
use crate::identity::LoadError;
use crate::publisher::PublishError;
use crate::shared_site::Share;

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
