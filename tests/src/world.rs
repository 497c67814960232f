//! The world: a deployment in a temporary folder, and what people do in it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tempfile::TempDir;
use tieup_examples::deployment::{Deployment, RunningPartner};
use tieup_examples::smoke::{Cast, Sources, approve_waiting};
use tieup_examples::visitor::{BROWSER, Page, Visitor};
use tieup_generator::Site;
use tieup_hub::collect::{CollectError, Collected};
use tieup_hub::partners::Hub;
use tieup_hub::publish::{Outcome, PublishError, Rejected};
use tieup_hub::statements::Delivered;
use tieup_protocol::approval::{DecidedBy, ReleaseRecord};
use tieup_protocol::change::Change;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::Invitation;
use tieup_protocol::manifest::BlobRef;
use tieup_syncd::config::Config;
use tieup_syncd::daemon::{Besides, Daemon, Listeners, Partner, StartError};
use tieup_syncd::publisher::PublishError as Refusal;
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::sources::{Plan, content_file, page, write};

/// The name of the fixture's main site.
pub const MAIN: &str = "lampworks";

/// The variable by which every world's hub has its database at PostgreSQL, so that the same tests run on both.
pub const DATABASE_VARIABLE: &str = "TIEUP_TEST_DATABASE";

/// How long a port that is in use is waited for.
const LET_GO: Duration = Duration::from_secs(10);

/// A main site and its partners, running.
pub struct World {
    deployment: Deployment,
    browser: Visitor,
    // Last, so that the folder outlives those who write to it.
    folder: TempDir,
}

/// A partner whose daemon is stopped: all that is needed to start it again.
pub struct Halted {
    id: SiteId,
    /// The file that `syncd --config` takes.
    pub config_file: PathBuf,
    /// The daemon's configuration.
    pub config: Config,
    /// Where visitors are served.
    pub public: SocketAddr,
    /// Where main calls, unless the daemon dials main.
    pub peer: Option<SocketAddr>,
    /// The code that both ends showed after the join.
    pub compare_code: String,
}

impl World {
    /// A plan without pages and partners; [`Plan::start`] makes a world of it.
    #[expect(clippy::new_ret_no_self, reason = "a world begins as a plan, and reads best so: World::new()...start()")]
    pub fn new() -> Plan {
        Plan::default()
    }

    /// The main site and the partners of this repository, joined; nothing is published yet.
    pub async fn of_repository() -> Self {
        let (sources, cast) = (Sources::of_repository(), Cast::new().unwrap_or_else(|error| panic!("{error:#}")));
        let folder = new_folder();
        let deployment = Deployment::start(folder.path(), &cast.main, &sources.site(&cast.main), &sources.themes).await;
        let mut world = Self::begin(folder, deployment);
        for partner in [&cast.shop, &cast.region] {
            world.join(partner.as_str(), &sources.site(partner)).await;
        }
        world
    }

    pub(crate) async fn start(plan: Plan) -> Self {
        let folder = new_folder();
        let sources = folder.path().join("sources");
        plan.write(&sources, MAIN);
        let deployment = Deployment::start_with(
            folder.path(),
            &site_id(MAIN),
            &sources.join("main"),
            &sources.join("themes"),
            &plan.hub_settings(),
        )
        .await;
        let mut world = Self::begin(folder, deployment);
        for partner in plan.joining() {
            world.join(partner, &sources.join("partners").join(partner)).await;
        }
        world
    }

    fn begin(folder: TempDir, deployment: anyhow::Result<Deployment>) -> Self {
        let deployment = deployment.unwrap_or_else(|error| panic!("the main site does not start: {error:#}"));
        Self { deployment, browser: Visitor::new(BROWSER), folder }
    }

    /// Lets `partner` join with a copy of the folder `site`, and starts its daemon.
    pub async fn join(&mut self, partner: &str, site: &Path) {
        let added = self.deployment.add_partner(&site_id(partner), site).await;
        added.unwrap_or_else(|error| panic!("`{partner}` does not join: {error:#}"));
    }

    /// Lets `partner` join with a copy of the folder `site`, and starts its daemon, which dials `hub`: the hub itself, or
    /// something between.
    pub async fn join_dialing(&mut self, partner: &str, site: &Path, hub: &str) {
        let invitation = self.hub().invite(&site_id(partner), Timestamp::now()).await;
        let invitation = invitation.unwrap_or_else(|error| panic!("`{partner}` is not invited: {error}"));
        let invitation = Invitation { hub: hub.to_owned(), ..invitation };
        let joined = self.deployment.join_dialing(&invitation, site).await;
        joined.unwrap_or_else(|error| panic!("`{partner}` does not join: {error:#}"));
    }

    /// Where main calls `partner`.
    pub fn peer(&self, partner: &str) -> SocketAddr {
        self.partner(partner).peer.unwrap_or_else(|| panic!("`{partner}` dials main, and has no port for it"))
    }

    /// The temporary folder that everything lies in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The main site's hub.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.deployment.hub
    }

    /// Where the main site's own pages are served.
    pub fn main_public(&self) -> SocketAddr {
        self.deployment.public
    }

    /// A partner that has joined.
    pub fn partner(&self, partner: &str) -> &RunningPartner {
        self.deployment.partner(&site_id(partner)).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// The parts of a partner's running daemon.
    pub fn daemon(&self, partner: &str) -> &Arc<Partner> {
        self.partner(partner).daemon.partner()
    }

    /// A partner's state folder.
    pub fn state(&self, partner: &str) -> PathBuf {
        self.partner(partner).config.state.clone()
    }

    /// The main site as it stands on disk now.
    pub fn site(&self) -> Site {
        self.deployment.site().unwrap_or_else(|error| panic!("the main site cannot be read:\n{error:#}"))
    }

    /// Lets main take up whose pages have beacons, and keep what it counted of them; it does so by itself every few
    /// seconds.
    pub async fn settle_beacons(&self) {
        let settled = self.deployment.server.beacons().settle(&self.hub().database).await;
        settled.unwrap_or_else(|error| panic!("beacons are not counted: {}", crate::told(&error)));
    }

    /// Stops everything, in order.
    pub async fn stop(self) {
        self.deployment.stop().await;
    }
}

/// What an editor of the main site does.
impl World {
    /// Replaces the words of a page of the main site, or adds the page.
    pub fn edit(&self, path: &str, words: &str) {
        self.write_main(&content_file(path), &page(path, words));
    }

    /// Writes a file below the main site's folder.
    pub fn write_main(&self, file: &str, text: &str) {
        write(&self.hub().config.site.join(file), text);
    }

    /// Writes a file below the folder of themes.
    pub fn write_theme(&self, file: &str, text: &str) {
        write(&self.hub().config.themes.join(file), text);
    }

    /// Replaces `old` by `new` in a file below the folder of themes.
    pub fn restyle(&self, file: &str, old: &str, new: &str) {
        let path = self.hub().config.themes.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.contains(old), "{} does not hold {old:?}:\n{text}", path.display());
        write(&path, &text.replace(old, new));
    }

    /// Replaces what the main site itself serves by the site as it stands.
    pub fn show_main(&self) {
        let shown = self.deployment.show(&self.site());
        shown.unwrap_or_else(|error| panic!("the main site is not served:\n{}", crate::told(&error)));
    }

    /// Publishes the main site as it stands to one partner, which takes the release in.
    pub async fn publish(&self, partner: &str) -> ReleaseRecord {
        match self.try_publish(partner).await {
            Ok(Outcome::Delivered { release, .. }) => release,
            Ok(other) => panic!("nothing was delivered to `{partner}`: {other:?}"),
            Err(error) => panic!("publishing to `{partner}`:\n{}", crate::told(&error)),
        }
    }

    /// Publishes the main site as it stands to one partner.
    pub async fn try_publish(&self, partner: &str) -> Result<Outcome, PublishError> {
        self.publish_with(partner, Rejected::Skip).await
    }

    /// Publishes to one partner, with a word on content that was rejected before.
    pub async fn publish_with(&self, partner: &str, rejected: Rejected) -> Result<Outcome, PublishError> {
        let outcomes = self.hub().publish(&self.site(), &[site_id(partner)], rejected).await;
        let outcomes = outcomes.unwrap_or_else(|error| panic!("publishing to `{partner}`:\n{}", crate::told(&error)));
        let (_, outcome) = outcomes.into_iter().next().unwrap_or_else(|| panic!("`{partner}` was left out"));
        outcome
    }

    /// Publishes the main site as it stands to every partner, which all take their releases in.
    pub async fn publish_to_all(&self) {
        let outcomes = self.hub().publish(&self.site(), &[], Rejected::Skip).await;
        for (partner, outcome) in outcomes.unwrap_or_else(|error| panic!("publishing:\n{}", crate::told(&error))) {
            outcome.unwrap_or_else(|error| panic!("publishing to `{partner}`:\n{}", crate::told(&error)));
        }
    }

    /// Fetches, verifies and cosigns what `partner` has logged.
    pub async fn collect(&self, partner: &str) -> Vec<Collected> {
        let collected = self.try_collect(partner).await;
        collected.unwrap_or_else(|error| panic!("collecting from `{partner}`:\n{}", crate::told(&error)))
    }

    /// Fetches, verifies and cosigns what `partner` has logged.
    pub async fn try_collect(&self, partner: &str) -> Result<Vec<Collected>, CollectError> {
        let row = self.hub().partner(&site_id(partner)).await;
        self.hub().collect(&row.unwrap_or_else(|error| panic!("`{partner}` at the hub: {error}"))).await
    }

    /// Makes the statement of the month that `partner` logs now, and hands it over.
    pub async fn statement(&self, partner: &str) -> Delivered {
        let row = self.hub().partner(&site_id(partner)).await;
        let row = row.unwrap_or_else(|error| panic!("`{partner}` at the hub: {error}"));
        let delivered = self.hub().statement(&row, self.month(partner), Timestamp::now()).await;
        delivered.unwrap_or_else(|error| panic!("the statement of `{partner}`:\n{}", crate::told(&error)))
    }
}

/// What a partner's operator does.
impl World {
    /// Every release at `partner`, newest first.
    pub fn releases(&self, partner: &str) -> Vec<ReleaseRecord> {
        let releases = self.daemon(partner).publisher().releases();
        releases.unwrap_or_else(|error| panic!("the releases of `{partner}`: {error}"))
    }

    /// Approves the release that waits.
    pub fn approve(&self, partner: &str) -> ReleaseRecord {
        approve_waiting(self.partner(partner)).unwrap_or_else(|error| panic!("approving at `{partner}`: {error:#}"))
    }

    /// Approves the release that is open, also where it is held or approved for later.
    pub fn approve_open(&self, partner: &str) -> ReleaseRecord {
        let mut publisher = self.daemon(partner).publisher();
        let open = publisher.waiting().unwrap_or_else(|error| panic!("approving at `{partner}`: {error}"));
        let live = publisher.approve(open.version, open.manifest, DecidedBy::Operator, Timestamp::now());
        live.unwrap_or_else(|error| panic!("approving at `{partner}`: {error}"))
    }

    /// Refuses the release that waits.
    pub fn reject(&self, partner: &str, reason: &str) -> ReleaseRecord {
        let mut publisher = self.daemon(partner).publisher();
        let waiting = publisher.staged().unwrap_or_else(|error| panic!("rejecting at `{partner}`: {error}"));
        let rejected = publisher.reject(waiting.version, waiting.manifest, reason.to_owned(), Timestamp::now());
        rejected.unwrap_or_else(|error| panic!("rejecting at `{partner}`: {error}"))
    }

    /// Publishes to `partner` and approves there.
    pub async fn go_live(&self, partner: &str) -> ReleaseRecord {
        self.publish(partner).await;
        self.approve(partner)
    }

    /// Goes back to the release that was live before.
    pub fn roll_back(&self, partner: &str) -> ReleaseRecord {
        let restored = self.daemon(partner).publisher().roll_back(None, Timestamp::now());
        restored.unwrap_or_else(|error| panic!("rolling back at `{partner}`: {error}"))
    }

    /// Replaces the words of an original, or adds it, and merges; the daemon would do so by itself a moment later.
    pub fn edit_original(&self, partner: &str, path: &str, words: &str) -> Result<Change, Refusal> {
        write(&self.partner(partner).config.site.join(content_file(path)), &page(path, words));
        self.daemon(partner).publisher().refresh_originals()
    }

    /// Stops a daemon and starts it again.
    pub async fn restart(&mut self, partner: &str) {
        self.restart_after(partner, |_| {}).await;
    }

    /// Stops a daemon, lets `meanwhile` at its state folder, and starts it again on the same ports.
    pub async fn restart_after(&mut self, partner: &str, meanwhile: impl FnOnce(&Path)) {
        let halted = self.halt(partner).await;
        meanwhile(&halted.config.state);
        self.resume(halted).await;
    }

    /// Stops a daemon, adds `lines` to its `syncd.yaml`, and starts it again.
    pub async fn reconfigure(&mut self, partner: &str, lines: &str) {
        let mut halted = self.halt(partner).await;
        let text = fs::read_to_string(&halted.config_file).unwrap_or_else(|error| panic!("syncd.yaml: {error}"));
        write(&halted.config_file, &(text + lines));
        halted.config = Config::load(&halted.config_file).unwrap_or_else(|error| panic!("{error}"));
        self.resume(halted).await;
    }

    /// Stops a daemon. It is no partner of this world until [`World::resume`].
    pub async fn halt(&mut self, partner: &str) -> Halted {
        let running = self.deployment.partners.remove(&site_id(partner));
        let RunningPartner { config_file, config, daemon, public, peer, compare_code } =
            running.unwrap_or_else(|| panic!("`{partner}` is not running"));
        daemon.stop().await;
        Halted { id: site_id(partner), config_file, config, public, peer, compare_code }
    }

    /// Starts a daemon again on the same ports.
    pub async fn resume(&mut self, halted: Halted) {
        if let Err((error, halted)) = self.try_resume(halted).await {
            panic!("`{}` does not start again:\n{}", halted.id, crate::told(&error));
        }
    }

    /// Starts a daemon again on the same ports, if its state lets it.
    pub async fn try_resume(&mut self, halted: Halted) -> Result<(), (StartError, Halted)> {
        let peer = match halted.peer {
            Some(peer) => Some(bind(peer).await),
            None => None,
        };
        // Where the system was to choose a port, this is the one that it chose.
        let bound = peer.as_ref().and_then(|listener| listener.local_addr().ok());
        let mut mains = BTreeMap::new();
        for (main, further) in &halted.config.mains {
            if let Some(peer) = &further.peer {
                let peer: SocketAddr = peer.parse().unwrap_or_else(|error| panic!("the port for `{main}`: {error}"));
                mains.insert(main.clone(), bind(peer).await);
            }
        }
        let besides = besides(&halted.config).await;
        let listeners = Listeners { public: bind(halted.public).await, peer, mains, besides };
        match Daemon::start(&halted.config, listeners) {
            Err(error) => Err((error, halted)),
            Ok(daemon) => {
                let Halted { id, config_file, config, public, peer: _, compare_code } = halted;
                let running = RunningPartner { config_file, config, daemon, public, peer: bound, compare_code };
                self.deployment.partners.insert(id, running);
                Ok(())
            }
        }
    }
}

/// What disks do.
impl World {
    /// The blob that visitors of `partner` get at `path`, by its live document.
    pub fn served(&self, partner: &str, path: &str) -> BlobRef {
        let file = self.state(partner).join("live.json");
        let text = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let live: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let blob = serde_json::from_value(live["site"]["files"][path]["blob"].clone());
        blob.unwrap_or_else(|error| panic!("`{partner}` serves nothing at {path}: {error}"))
    }

    /// Changes a byte of `blob` as it lies on the partner's disk.
    pub fn damage(&self, partner: &str, blob: &BlobRef) {
        let folder = self.state(partner).join("blobs");
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for path in files.flatten().map(|file| file.path()) {
            let mut bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let digest = blob.digest.as_bytes();
            if let Some(header) = bytes.windows(digest.len()).position(|window| window == digest) {
                // Behind the header, which is shorter, and before the end of any page.
                bytes[header + 120] ^= 1;
                return fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        }
        panic!("`{partner}` has no blob {}", blob.digest);
    }
}

/// What visitors do.
impl World {
    /// Asks `partner` for a page as a desktop browser.
    pub async fn get(&self, partner: &str, path: &str) -> Page {
        self.visit(partner, path, &self.browser).await
    }

    /// Asks `partner` for a page as `visitor`.
    pub async fn visit(&self, partner: &str, path: &str, visitor: &Visitor) -> Page {
        let page = visitor.get(self.partner(partner).public, path).await;
        page.unwrap_or_else(|error| panic!("GET {path} at `{partner}`: {error:#}"))
    }

    /// Asks the main site itself for a page as a desktop browser.
    pub async fn get_main(&self, path: &str) -> Page {
        let page = self.browser.get(self.deployment.public, path).await;
        page.unwrap_or_else(|error| panic!("GET {path} at the main site: {error:#}"))
    }

    /// Fails unless the page at `path` is there and says `words`.
    pub async fn assert_shows(&self, partner: &str, path: &str, words: &str) {
        let page = self.get(partner, path).await;
        assert!(
            page.status == 200 && page.text.contains(words),
            "{path} at `{partner}` does not say {words:?} but {}: {}",
            page.status,
            page.text
        );
    }
}

/// The name as the product's type.
pub fn site_id(name: &str) -> SiteId {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// Listens where a daemon listened before. A process that is being started has a copy of what its parent listens with until
/// its program runs: that is waited for.
async fn bind(address: impl ToSocketAddrs + Display) -> TcpListener {
    let begun = Instant::now();
    loop {
        match TcpListener::bind(&address).await {
            Ok(listener) => return listener,
            Err(error) if error.kind() == ErrorKind::AddrInUse && begun.elapsed() < LET_GO => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("the port of {address} is not free again: {error}"),
        }
    }
}

/// The sockets that `config` asks for besides those that every daemon has.
async fn besides(config: &Config) -> Besides {
    let https = match &config.https {
        Some(https) => Some(bind(&https.listen).await),
        None => None,
    };
    let admin = match config.admin {
        Some(admin) => Some(bind(admin.0).await),
        None => None,
    };
    Besides { https, admin, ..Besides::default() }
}

fn new_folder() -> TempDir {
    tempfile::Builder::new().prefix("tieup-test-").tempdir().unwrap_or_else(|error| panic!("no folder: {error}"))
}
