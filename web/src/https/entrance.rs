//! The entrance of a public site: its ports, with whatever keeps the certificate that is shown there.

use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::net::TcpListener;

use super::acme::{Challenges, Keeper, KeeperError, Tries};
use super::files::{EVERY, FilesError, Follower};
use super::pair::Pair;
use super::reception::Reception;
use super::settings::{Https, Source};
use super::shown::PublicTls;
use crate::complaint;
use crate::listener::Shutdown;
use crate::metrics::Traffic;
use crate::site::{Admission, Crowd, Door, PublicSite};
use crate::visitors::SystemRandomness;

/// The ports of a public site, bound before it is served.
#[derive(Debug)]
pub struct Sockets {
    /// For plain HTTP.
    pub plain: TcpListener,
    /// For HTTPS, where there is to be any.
    pub https: Option<TcpListener>,
}

/// The entrance of a public site.
pub struct Entrance {
    secure: Option<Secure>,
    admission: Admission,
    traffic: Arc<Traffic>,
}

/// What an entrance with HTTPS has besides.
struct Secure {
    settings: Https,
    tls: PublicTls,
    challenges: Challenges,
    upkeep: Upkeep,
}

/// The port of HTTPS.
struct SecureDoor {
    listener: TcpListener,
    port: u16,
}

/// Who sees to it that the certificate is replaced in time.
enum Upkeep {
    /// Somebody else; the files are followed.
    Files(Box<Follower>),
    /// This program.
    Acme(Box<Keeper>),
}

/// Why a site cannot be served by HTTPS.
#[derive(Debug, thiserror::Error)]
pub enum EntranceError {
    /// The files of the certificate cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The certificate that is asked for cannot be kept.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// There is no port for it.
    #[error("HTTPS is configured, and no port is open for it")]
    NoPort,
    /// The port is none.
    #[error("the port for HTTPS cannot be used")]
    Port(#[source] io::Error),
}

impl Entrance {
    /// The entrance that `https` describes, or one of plain HTTP alone. What is kept of a certificate that is asked for
    /// stands in the folder `state`.
    ///
    /// # Errors
    /// When the files of the certificate cannot be used, or the folder cannot be made.
    pub fn open(https: Option<&Https>, state: &Path) -> Result<Self, EntranceError> {
        let secure = https.map(|https| Secure::open(https.clone(), state)).transpose()?;
        Ok(Self { secure, admission: Admission::default(), traffic: Arc::default() })
    }

    /// The same for as many visitors as `admission` says.
    #[must_use]
    pub fn admitting(self, admission: Admission) -> Self {
        Self { admission, ..self }
    }

    /// TLS for visitors, where there is HTTPS.
    pub fn tls(&self) -> Option<PublicTls> {
        self.secure.as_ref().map(|secure| secure.tls.clone())
    }

    /// What is counted of its visitors.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }

    /// Makes a task of serving `site` at `sockets` until `shutdown`.
    ///
    /// # Errors
    /// When there is HTTPS and no port for it.
    pub fn serve(
        self,
        site: Arc<PublicSite>,
        sockets: Sockets,
        shutdown: Shutdown,
    ) -> Result<impl Future<Output = ()> + Send, EntranceError> {
        let secure = match (self.secure, sockets.https) {
            (Some(secure), Some(listener)) => {
                let port = listener.local_addr().map_err(EntranceError::Port)?.port();
                Some((secure, SecureDoor { listener, port }))
            }
            (Some(_), None) => return Err(EntranceError::NoPort),
            (None, _) => None,
        };
        let (plain, crowd) = (sockets.plain, Crowd::new(self.admission, self.traffic));
        Ok(async move {
            match secure {
                None => site.serve(Door::plain(plain), &crowd, shutdown).await,
                Some((secure, door)) => secure.serve(site, &crowd, plain, door, shutdown).await,
            }
        })
    }
}

impl Secure {
    fn open(settings: Https, state: &Path) -> Result<Self, EntranceError> {
        let challenges = Challenges::default();
        let (upkeep, tls) = match &settings.source {
            Source::Files(files) => {
                let (follower, tls) = Follower::open(files.clone())?;
                (Upkeep::Files(Box::new(follower)), tls)
            }
            Source::Acme(acme) => {
                let kept = Keeper::open(acme.clone(), state, challenges.clone(), &SystemRandomness)?;
                (Upkeep::Acme(Box::new(kept.0)), kept.1)
            }
        };
        Ok(Self { settings, tls, challenges, upkeep })
    }

    async fn serve(
        self,
        site: Arc<PublicSite>,
        crowd: &Crowd,
        plain: TcpListener,
        SecureDoor { listener, port }: SecureDoor,
        shutdown: Shutdown,
    ) {
        let Self { settings, tls, challenges, upkeep } = self;
        let door = Door { listener, tls: Some(tls.config()), hsts: Some(settings.hsts.header()) };
        let secure = site.clone().serve(door, crowd, shutdown.clone());
        let reception = Reception { site, tls, challenges, port, traffic: crowd.traffic().clone() };
        let upkept = async {
            match upkeep {
                Upkeep::Files(follower) => follower.follow(EVERY, shutdown.clone()).await,
                Upkeep::Acme(keeper) => keeper.keep(SystemRandomness, shutdown.clone()).await,
            }
        };
        tokio::join!(reception.serve(plain, crowd, shutdown.clone()), secure, upkept);
    }
}

impl Https {
    /// What a person should know of the certificate at `now`, read from where it is kept: whether it can be used, how long
    /// it holds, and why no newer one was had. The state folder is `state`.
    pub fn warnings(&self, state: &Path, now: Timestamp) -> Vec<String> {
        let mut warnings = Vec::new();
        let files = self.files(state);
        let is_first = matches!(self.source, Source::Acme(_)) && !files.certificate.exists();
        match Pair::read(&files) {
            Ok(pair) => warnings.extend(pair.about.warning(now)),
            Err(_) if is_first => {
                warnings.push("there is no certificate for visitors yet: they are served plainly".to_owned());
            }
            Err(error) => {
                let words = complaint::in_one_line(&error);
                warnings.push(format!("the certificate for visitors cannot be used, one read before stays: {words}"));
            }
        }
        if let Source::Acme(_) = self.source {
            let tries = Tries::read(&state.join(super::acme::FOLDER));
            let last = tries.failed.last().zip(tries.trouble);
            warnings.extend(last.map(|(when, why)| {
                let when = when.strftime("%Y-%m-%d %H:%M UTC");
                format!("no new certificate for visitors was had on {when}: {why}")
            }));
        }
        warnings
    }
}
