//! A hub and any number of partners in one folder, on free loopback ports.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use tieup_generator::{Loading, Site};
use tieup_hub::config::Config as HubConfig;
use tieup_hub::partners::Hub;
use tieup_hub::release::SharedDigests;
use tieup_hub::server::{Server, ShowError};
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::Invitation;
use tieup_store::cache::Cache;
use tieup_syncd::config::Config as PartnerConfig;
use tieup_syncd::daemon::{Besides, Daemon, Listeners};
use tieup_syncd::identity::Identity;
use tokio::net::TcpListener;

use crate::port;

/// A port that the operating system chooses, reachable from this machine alone.
const LOOPBACK: &str = "127.0.0.1:0";

/// A main site with its hub, listening, and the partners that have joined it.
pub struct Deployment {
    /// The folder that everything lies in.
    pub root: PathBuf,
    /// The hub.
    pub hub: Arc<Hub>,
    /// The hub's listeners.
    pub server: Server,
    /// Where the main site's own pages are.
    pub public: SocketAddr,
    /// The partners.
    pub partners: BTreeMap<SiteId, RunningPartner>,
    /// How the operators of partners that join from now on are prompted: the value of `prompts` in their `syncd.yaml`.
    pub prompts: Option<String>,
}

/// A partner whose daemon is running.
pub struct RunningPartner {
    /// The file that `syncd --config` takes.
    pub config_file: PathBuf,
    /// The daemon's configuration.
    pub config: PartnerConfig,
    /// The daemon.
    pub daemon: Daemon,
    /// Where visitors are served.
    pub public: SocketAddr,
    /// Where main calls; none where the daemon dials it.
    pub peer: Option<SocketAddr>,
    /// The code that both ends showed after the join.
    pub compare_code: String,
}

impl Deployment {
    /// Makes the hub of `main` in `root` with copies of `site` and `themes`, and starts it.
    ///
    /// # Errors
    /// When a folder cannot be copied, a key not be made or a port not be bound.
    pub async fn start(root: &Path, main: &SiteId, site: &Path, themes: &Path) -> Result<Self> {
        Self::start_with(root, main, site, themes, "").await
    }

    /// The same with further lines of `tieup.yaml`.
    ///
    /// # Errors
    /// As [`Deployment::start`].
    pub async fn start_with(root: &Path, main: &SiteId, site: &Path, themes: &Path, settings: &str) -> Result<Self> {
        let folder = root.join(main.as_str());
        copy(site, &folder.join("site"))?;
        copy(themes, &folder.join("themes"))?;
        let (join, public) = (listen()?, listen()?);
        let (join_address, public_address) = (join.local_addr()?, public.local_addr()?);
        let file = folder.join("tieup.yaml");
        fs::write(&file, hub_document(main, join_address, public_address) + settings)?;
        let hub = Arc::new(Hub::create(HubConfig::load(&file)?).await?);
        let server = Server::start(&hub, join, public)?;
        Ok(Self {
            root: root.to_owned(),
            hub,
            server,
            public: public_address,
            partners: BTreeMap::new(),
            prompts: None,
        })
    }

    /// Invites `partner`, lets it join with a copy of `site`, and starts its daemon.
    ///
    /// # Errors
    /// When the join is refused or the daemon cannot start.
    pub async fn add_partner(&mut self, partner: &SiteId, site: &Path) -> Result<()> {
        let invitation = self.hub.invite(partner, Timestamp::now()).await?;
        self.join(&invitation, site).await
    }

    /// Lets the invited partner join with a copy of `site`, and starts its daemon.
    ///
    /// # Errors
    /// When the join is refused or the daemon cannot start.
    pub async fn join(&mut self, invitation: &Invitation, site: &Path) -> Result<()> {
        let peer = listen()?;
        self.join_with(invitation, site, Some(peer)).await
    }

    /// Lets the invited partner join with a copy of `site`, and starts its daemon, which opens no port for main but
    /// dials it.
    ///
    /// # Errors
    /// When the join is refused or the daemon cannot start.
    pub async fn join_dialing(&mut self, invitation: &Invitation, site: &Path) -> Result<()> {
        self.join_with(invitation, site, None).await
    }

    async fn join_with(&mut self, invitation: &Invitation, site: &Path, peer: Option<TcpListener>) -> Result<()> {
        let folder = self.root.join(invitation.partner.as_str());
        copy(site, &folder.join("site"))?;
        let public = listen()?;
        let public_address = public.local_addr()?;
        let peer_address = peer.as_ref().map(TcpListener::local_addr).transpose()?;
        let config_file = folder.join("syncd.yaml");
        fs::write(&config_file, partner_document(public_address, peer_address, self.prompts.as_deref()))?;
        let config = PartnerConfig::load(&config_file)?;
        let joined = Identity::join(&config.state, invitation, &config.address).await?;
        let daemon =
            Daemon::start(&config, Listeners { public, peer, mains: BTreeMap::new(), besides: Besides::default() })?;
        let running = RunningPartner {
            config_file,
            config,
            daemon,
            public: public_address,
            peer: peer_address,
            compare_code: joined.compare_code,
        };
        self.partners.insert(invitation.partner.clone(), running);
        Ok(())
    }

    /// The main site as it stands on disk now.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn site(&self) -> Result<Site> {
        let config = &self.hub.config;
        let pictures = Some(Cache::at(config.state.join("cache/pictures")));
        Ok(Site::load_as(&config.site, &config.themes, &Loading { pictures, ..Loading::default() })?)
    }

    /// Serves `site` as the main site's own pages. Returns how many files are served if that changed anything.
    ///
    /// # Errors
    /// When the site has mistakes, or cannot be stored.
    pub fn show(&self, site: &Site) -> Result<Option<usize>, ShowError> {
        let built = site.build_main().map_err(ShowError::Site)?;
        self.server.show(&built.files, &SharedDigests::default())
    }

    /// Has the contract with `partner` ask for beacons, from where its site is served to where main's is.
    ///
    /// # Errors
    /// When there is no such partner, or its contract cannot be changed.
    pub fn ask_for_beacons(&self, partner: &SiteId) -> Result<()> {
        let (file, from) = (self.hub.contract_file(partner), self.partner(partner)?.public);
        let contract = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let beacons = format!("beacons: {{to: \"http://{}\", from: [\"http://{from}\"]}}\n", self.public);
        Ok(fs::write(&file, contract + &beacons)?)
    }

    /// A partner that has been added.
    ///
    /// # Errors
    /// When it has not.
    pub fn partner(&self, id: &SiteId) -> Result<&RunningPartner> {
        self.partners.get(id).with_context(|| format!("`{id}` is not part of this deployment"))
    }

    /// Stops a partner's daemon and starts it again on the same ports and the same state.
    ///
    /// # Errors
    /// When it cannot start again.
    pub async fn restart(&mut self, id: &SiteId) -> Result<()> {
        let running = self.partners.remove(id).with_context(|| format!("`{id}` is not part of this deployment"))?;
        running.daemon.stop().await;
        let peer = match running.peer {
            Some(peer) => Some(TcpListener::bind(peer).await?),
            None => None,
        };
        let listeners = Listeners {
            public: TcpListener::bind(running.public).await?,
            peer,
            mains: BTreeMap::new(),
            besides: Besides::default(),
        };
        let daemon = Daemon::start(&running.config, listeners)?;
        self.partners.insert(id.clone(), RunningPartner { daemon, ..running });
        Ok(())
    }

    /// Stops everything.
    pub async fn stop(self) {
        for (_, partner) in self.partners {
            partner.daemon.stop().await;
        }
        self.server.stop().await;
    }
}

/// A listener at a port that is free again after a daemon was stopped.
fn listen() -> Result<TcpListener> {
    let listener = port::listen()?;
    listener.set_nonblocking(true)?;
    Ok(TcpListener::from_std(listener)?)
}

fn hub_document(main: &SiteId, join: SocketAddr, public: SocketAddr) -> String {
    format!("main: {main}\nsite: site\nthemes: themes\nstate: state\njoin: {join}\npublic: {public}\n")
}

fn partner_document(public: SocketAddr, peer: Option<SocketAddr>, prompts: Option<&str>) -> String {
    let meeting = peer.map_or("dial: main".to_owned(), |peer| format!("peer: {peer}"));
    let own = format!("console: {LOOPBACK}\npreview: {LOOPBACK}\n");
    let prompts = prompts.map(|prompts| format!("prompts: {prompts}\n")).unwrap_or_default();
    format!("site: site\nstate: state\npublic: {public}\n{meeting}\n{own}{prompts}")
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.with_context(|| format!("{} cannot be read", from.display()))?;
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
