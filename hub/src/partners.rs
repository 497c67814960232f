//! The hub as a whole, opened from its configuration, and its line to each partner.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jiff::{SignedDuration, Timestamp};
use tieup_protocol::contract::Contract;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::{Invitation, Range, Reach, Secret, partner_tls_name};
use tieup_store::durable::{self, DiskError};
use tieup_store::lock::LockError;
use tieup_web::client::{CallError, PeerClient, SILENCE};
use tieup_web::https::EntranceError;
use tieup_web::tls::{TlsError, TlsIdentity};
use tokio::sync::{Mutex, Notify, Semaphore};

use crate::archive::Remembered;
use crate::collect::Turns;
use crate::config::Config;
use crate::counting::Progress;
use crate::database::{CountingTable, Database, DatabaseError, Location, PartnerRow, RevokedRow};
use crate::folder::folder_name;
use crate::health::Tally;
use crate::keys::{KeyError, KeyFolder};
use crate::manifests::Manifests;

/// How long an invitation is good.
const INVITATION_LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 7);

/// How many journals are counted at once by one process.
const COUNTERS: usize = 2;

/// A main site's hub.
pub struct Hub {
    /// Its configuration.
    pub config: Config,
    /// Its database.
    pub database: Database,
    /// Its keys.
    pub keys: KeyFolder,
    /// What came of its pushes since it was opened.
    pub tally: Tally,
    /// What is to be counted in its state folder.
    pub(crate) counting: CountingTable,
    /// How far it has come with what it counts.
    pub counted: Arc<Progress>,
    /// Told when the queue may hold something that is due: a partner joined, or somebody wants to be sure.
    pub queue_changed: Notify,
    /// Told when something was collected.
    pub(crate) collected: Notify,
    /// The turns to count: each holds a connection to the database, of which there are few.
    pub(crate) counters: Semaphore,
    /// The manifests that were used last.
    pub(crate) manifests: Manifests,
    /// What partners were sent, as it was known last.
    pub(crate) archived: Remembered,
    /// The partners whose journals are being collected at this moment.
    pub(crate) collecting: Turns,
    /// Held by whoever renews main's certificate or its list of revoked ones, so that each is made once.
    pub(crate) renewing: Mutex<()>,
    tls: TlsIdentity,
    /// How long a partner is waited for that lets nothing move.
    silence: Duration,
}

/// Why the hub could not be opened or a partner not be invited or called.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Keys.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Another process writes what this one would.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A call.
    #[error(transparent)]
    Call(#[from] CallError),
    /// No such partner.
    #[error("`{0}` has not joined")]
    NotJoined(SiteId),
    /// The partner is revoked.
    #[error("`{partner}` is revoked since {}{}: nothing is sent to it until it joins again", row.day(), row.because())]
    Revoked {
        /// The partner.
        partner: SiteId,
        /// Since when and why.
        row: RevokedRow,
    },
    /// HTTPS for visitors cannot be set up.
    #[error(transparent)]
    Entrance(#[from] EntranceError),
    /// The socket of the running hub cannot be made.
    #[error("the socket {} cannot be made", .0.display())]
    Socket(PathBuf, #[source] std::io::Error),
    /// No contract for it.
    #[error("there is no contract with `{partner}`: `tieup partner add {partner}` writes {}", file.display())]
    NoContract {
        /// The partner.
        partner: SiteId,
        /// Where the contract should be.
        file: PathBuf,
    },
    /// A token would lead nowhere.
    #[error(
        "`{0}` says to listen at every address, and a token has to say how a partner reaches this machine: \
         write `address: hub.example:7440` in tieup.yaml"
    )]
    NoAddress(String),
    /// The database is of another main site.
    #[error(
        "{location} belongs to the main site `{theirs}`, and this is `{ours}`: give each main site a database of its own"
    )]
    OtherMain {
        /// Which.
        location: Location,
        /// Whose it is.
        theirs: String,
        /// Who this is.
        ours: SiteId,
    },
    /// The database is of a main site of this name with other keys.
    #[error(
        "{location} belongs to a main site `{main}` with other keys than those in {}: copy the keys of the hub that \
         used it first, or name another database", keys.display()
    )]
    OtherKeys {
        /// Which.
        location: Location,
        /// The main site.
        main: SiteId,
        /// The folder of keys.
        keys: PathBuf,
    },
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Randomness,
}

impl Hub {
    /// Makes the keys and the database of a new hub. Durable on return.
    ///
    /// # Errors
    /// When there are keys already, or the disk fails.
    pub async fn create(config: Config) -> Result<Self, HubError> {
        KeyFolder::new(&config.state, &config.main).create()?;
        Self::open(config).await
    }

    /// Opens a hub that was made before.
    ///
    /// # Errors
    /// When its keys or its database cannot be read.
    pub async fn open(config: Config) -> Result<Self, HubError> {
        let now = Timestamp::now();
        let keys = KeyFolder::new(&config.state, &config.main);
        let pair = keys.issue_tls(now.into())?;
        let tls = TlsIdentity::from_pem(&pair, keys.authority()?.certificate())?;
        durable::create_dir_all(&config.state)?;
        let database = Database::open(&config.database).await?;
        bind(&config, &database, &keys).await?;
        let counting = database.counting(folder_name(&config.state)?);
        let hub = Self {
            config,
            database,
            keys,
            tally: Tally::default(),
            counting,
            counted: Arc::default(),
            queue_changed: Notify::new(),
            collected: Notify::new(),
            counters: Semaphore::new(COUNTERS),
            manifests: Manifests::default(),
            archived: Remembered::default(),
            collecting: Turns::default(),
            renewing: Mutex::default(),
            tls,
            silence: SILENCE,
        };
        hub.keep_own(&pair, now).await?;
        hub.refresh_tls(now).await?;
        Ok(hub)
    }

    /// The same, which waits no longer than `silence` for a partner that lets nothing move.
    #[must_use]
    pub fn patient_for(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// Invites a partner, for which there must be a contract: a token that is good once within a week.
    ///
    /// # Errors
    /// When there is no contract for it, or the configuration does not say how partners reach the hub.
    pub async fn invite(&self, partner: &SiteId, now: Timestamp) -> Result<Invitation, HubError> {
        let file = self.contract_file(partner);
        if !file.is_file() {
            return Err(HubError::NoContract { partner: partner.clone(), file });
        }
        if Range::of(&self.config.address) == Range::Nobody {
            return Err(HubError::NoAddress(self.config.address.clone()));
        }
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret).map_err(|_| HubError::Randomness)?;
        let secret = Secret(secret);
        self.database.add_invitation(partner, secret.fingerprint(), now + INVITATION_LIFETIME).await?;
        Ok(Invitation {
            hub: self.config.address.clone(),
            main: self.config.main.clone(),
            partner: partner.clone(),
            authority: self.keys.authority()?.digest().map_err(KeyError::from)?,
            secret,
        })
    }

    /// A partner's contract, where there is one that can be read.
    pub fn contract(&self, partner: &SiteId) -> Option<Contract> {
        let file = self.contract_file(partner);
        let text = std::fs::read_to_string(&file).ok()?;
        Contract::parse(&file.display().to_string(), &text).ok()
    }

    /// The file with a partner's contract.
    pub fn contract_file(&self, partner: &SiteId) -> PathBuf {
        self.config.site.join("partners").join(partner.as_str()).join("contract.yaml")
    }

    /// The hub's identity in TLS.
    pub fn tls(&self) -> &TlsIdentity {
        &self.tls
    }

    /// A partner that has joined.
    ///
    /// # Errors
    /// When it has not.
    pub async fn partner(&self, id: &SiteId) -> Result<PartnerRow, HubError> {
        self.database.partner(id).await?.ok_or_else(|| HubError::NotJoined(id.clone()))
    }

    /// A line to a partner's daemon, authenticated at both ends. The partner knows what is revoked before anything else
    /// is said.
    ///
    /// # Errors
    /// When the partner is revoked, or its address does not resolve.
    pub async fn call(&self, partner: &PartnerRow) -> Result<PeerClient, HubError> {
        self.check_unrevoked(partner)?;
        self.refresh_tls(Timestamp::now()).await?;
        let client = self.line_to(partner).await?;
        if let Err(error) = self.tell_revocations(partner, &client).await {
            // Where it cannot be reached, the call itself says so.
            tracing::debug!(%error, partner = %partner.id, "the partner was not told what is revoked");
        }
        Ok(client)
    }

    /// Refuses to have to do with a partner that is revoked.
    ///
    /// # Errors
    /// When it is.
    pub fn check_unrevoked(&self, partner: &PartnerRow) -> Result<(), HubError> {
        let revoked = |row: &RevokedRow| Err(HubError::Revoked { partner: partner.id.clone(), row: row.clone() });
        partner.revoked.as_ref().map_or(Ok(()), revoked)
    }

    pub(crate) async fn line_to(&self, partner: &PartnerRow) -> Result<PeerClient, HubError> {
        let name = partner_tls_name(&self.config.main, &partner.id);
        let client = match &partner.address {
            Reach::Address(address) => PeerClient::new(self.tls.client()?, name, address).await?,
            Reach::Line => PeerClient::through(self.socket(), name),
        };
        Ok(client.patient_for(self.silence))
    }

    /// The socket by which other commands reach the lines that the running hub holds.
    pub fn socket(&self) -> PathBuf {
        self.config.state.join("hub.sock")
    }
}

/// Binds the database to this main site at its first use.
///
/// # Errors
/// When it is another's.
async fn bind(config: &Config, database: &Database, keys: &KeyFolder) -> Result<(), HubError> {
    let authority = keys.authority()?.digest().map_err(KeyError::from)?.to_string();
    let bound = database.bind(config.main.as_str(), &authority).await?;
    compare(config, keys, &authority, bound)
}

/// Makes sure that the database is this main site's, or nobody's yet, and writes nothing.
///
/// # Errors
/// When it is another's.
pub(crate) async fn check_owner(config: &Config, database: &Database, keys: &KeyFolder) -> Result<(), HubError> {
    let authority = keys.authority()?.digest().map_err(KeyError::from)?.to_string();
    let bound = database.bound().await?;
    bound.map_or(Ok(()), |bound| compare(config, keys, &authority, bound))
}

/// Compares what a database is bound to with this main site.
fn compare(
    config: &Config,
    keys: &KeyFolder,
    authority: &str,
    (theirs, bound): (String, String),
) -> Result<(), HubError> {
    let location = config.database.clone();
    if theirs != config.main.as_str() {
        return Err(HubError::OtherMain { location, theirs, ours: config.main.clone() });
    }
    if bound != authority {
        return Err(HubError::OtherKeys { location, main: config.main.clone(), keys: keys.dir().to_owned() });
    }
    Ok(())
}
