//! The metadata of releases after The Update Framework: the manifest is the one target, the metadata stays tiny.
//!
//! Targets and snapshot are signed once, by whoever holds release keys. The timestamp says that they are the newest; it
//! has a version of its own, and the hub signs it again as long as nothing newer is published.

use std::collections::HashMap;
use std::num::NonZeroU64;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde_json::Value;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::label::ReleaseLabel;
use tieup_protocol::manifest::{Manifest, TARGET};
use tough::TargetName;
use tough::schema::{Hashes, Metafile, RoleKeys, Root, Signed, Snapshot, Target, Targets, Timestamp as Freshness};

use crate::trust::{RequestError, Role, SigningKey, SigningRequest, signers};

/// The version of the TUF specification that the metadata follows.
const SPECIFICATION: &str = "1.0.0";

/// How long the root holds.
const ROOT_DAYS: i64 = 365 * 10;

/// How long a release's signatures hold.
const RELEASE_DAYS: i64 = 365;

/// How long the statement that a release is current holds.
pub const FRESHNESS_DAYS: i64 = 30;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// Why metadata could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The library failed.
    #[error("the release could not be signed")]
    Tuf(#[from] Box<tough::error::Error>),
    /// Metadata cannot be written.
    #[error("the release could not be signed")]
    Metadata(#[from] Box<tough::schema::Error>),
    /// The root metadata is damaged.
    #[error("the root metadata cannot be read")]
    Root(#[source] serde_json::Error),
    /// The targets name no release.
    #[error("the metadata names no release that can be read")]
    Label(#[source] serde_json::Error),
    /// A date outside the calendar.
    #[error("the expiry date cannot be computed")]
    Date(#[from] jiff::Error),
    /// A key is not here.
    #[error(
        "the {role} cannot be signed here: {given} of {needed} signatures can be given with the keys of this folder"
    )]
    MissingKeys {
        /// Whose keys.
        role: Role,
        /// How many of them are here.
        given: usize,
        /// How many are needed.
        needed: u64,
    },
    /// What is to be signed cannot be made.
    #[error(transparent)]
    Request(#[from] Box<RequestError>),
}

impl From<tough::error::Error> for SigningError {
    fn from(error: tough::error::Error) -> Self {
        Self::Tuf(Box::new(error))
    }
}

/// The TUF metadata of one release.
#[derive(Clone, Debug)]
pub struct Signatures {
    /// `timestamp.json`.
    pub timestamp: String,
    /// `snapshot.json`.
    pub snapshot: String,
    /// `targets.json`.
    pub targets: String,
}

/// Signs with the keys that are on this machine.
pub struct ReleaseSigner {
    root: String,
    keys: Vec<SigningKey>,
}

impl ReleaseSigner {
    /// A signer under the root metadata `root`, with `keys` of any role.
    pub fn new(root: String, keys: Vec<SigningKey>) -> Self {
        Self { root, keys }
    }

    /// What has to be signed for `manifest`, whose bytes are `text`, signed by every key that is here.
    ///
    /// # Errors
    /// When the root metadata is damaged.
    pub fn propose(&self, manifest: &Manifest, text: &[u8], now: Timestamp) -> Result<SigningRequest, RequestError> {
        let mut request = SigningRequest::new(manifest, text, &self.root, now)?;
        self.add_to(&mut request)?;
        Ok(request)
    }

    /// Adds the signatures that can be given here.
    ///
    /// # Errors
    /// When the metadata cannot be written.
    pub fn add_to(&self, request: &mut SigningRequest) -> Result<(), RequestError> {
        self.keys
            .iter()
            .filter(|key| request.may_sign(key.public()))
            .collect::<Vec<_>>()
            .into_iter()
            .try_for_each(|key| request.sign(key))
    }

    /// Signs `manifest`, whose version becomes that of targets and snapshot, with `freshness` as the timestamp's.
    ///
    /// # Errors
    /// When the keys that are here are too few.
    pub fn sign(&self, manifest: &Manifest, freshness: NonZeroU64, now: Timestamp) -> Result<Signatures, SigningError> {
        let request = self.propose(manifest, &manifest.to_bytes(), now).map_err(Box::new)?;
        if let Some(missing) = request.tallies().into_iter().find(|tally| !tally.is_met()) {
            let (given, needed) = (missing.given.len(), missing.needed);
            return Err(SigningError::MissingKeys { role: Role::Release, given, needed });
        }
        let (targets, snapshot) = request.documents();
        let timestamp = self.sign_timestamp(&snapshot, manifest.version, freshness, now)?;
        Ok(Signatures { timestamp, snapshot, targets })
    }

    /// Signs the statement that `snapshot`, of the release `version`, is the newest.
    ///
    /// # Errors
    /// When the freshness key is not here.
    pub fn sign_timestamp(
        &self,
        snapshot: &str,
        version: ReleaseVersion,
        freshness: NonZeroU64,
        now: Timestamp,
    ) -> Result<String, SigningError> {
        let root: Signed<Root> = serde_json::from_str(&self.root).map_err(SigningError::Root)?;
        let mut signed = Freshness::new(SPECIFICATION.to_owned(), freshness, in_days(now, FRESHNESS_DAYS)?);
        signed.meta.insert("snapshot.json".to_owned(), metafile(snapshot, version.non_zero()));
        let message = tough::schema::Role::canonical_form(&signed).map_err(Box::new)?;
        let keys = root.signed.roles.get(&tough::schema::RoleType::Timestamp);
        let named = |key: &&SigningKey| keys.is_some_and(|keys| keys.keyids.contains(&key.public().id()));
        let signatures = self.keys.iter().filter(named).map(|key| key.sign(&message)).collect();
        let document = Signed { signed, signatures };
        let tally = signers(&root.signed, &document);
        if !tally.is_met() {
            let (given, needed) = (tally.given.len(), tally.needed);
            return Err(SigningError::MissingKeys { role: Role::Freshness, given, needed });
        }
        Ok(text(&document))
    }
}

/// Makes and signs the first root metadata: one key a role, the release key for targets and snapshot.
///
/// # Errors
/// When the expiry date lies outside the calendar.
pub fn sign_root(
    root: &SigningKey,
    release: &SigningKey,
    freshness: &SigningKey,
    now: Timestamp,
) -> Result<String, SigningError> {
    let (mut keys, mut roles) = (HashMap::new(), HashMap::new());
    for (role, key) in [(Role::Root, root), (Role::Release, release), (Role::Freshness, freshness)] {
        let id = key.public().id();
        keys.insert(id.clone(), key.public().to_tuf());
        for kind in role.types() {
            let keyids = vec![id.clone()];
            roles.insert(*kind, RoleKeys { keyids, threshold: NonZeroU64::MIN, _extra: HashMap::new() });
        }
    }
    let signed = Root {
        spec_version: SPECIFICATION.to_owned(),
        consistent_snapshot: false,
        version: NonZeroU64::MIN,
        expires: root_expiry(now)?,
        keys,
        roles,
        _extra: HashMap::new(),
    };
    let message = tough::schema::Role::canonical_form(&signed).map_err(Box::new)?;
    Ok(text(&Signed { signed, signatures: vec![root.sign(&message)] }))
}

/// The targets of the release with `manifest`, whose bytes are `text`: its digest, its length and its label.
///
/// # Errors
/// When a date lies outside the calendar.
pub fn propose_targets(manifest: &Manifest, text: &[u8], now: Timestamp) -> Result<Targets, SigningError> {
    let version = manifest.version.non_zero();
    let label = ReleaseLabel::of(manifest, Digest::of(text));
    let custom = match serde_json::to_value(label).map_err(SigningError::Label)? {
        Value::Object(fields) => fields.into_iter().collect(),
        _ => HashMap::new(),
    };
    let target = Target { length: text.len() as u64, hashes: hashes(text), custom, _extra: HashMap::new() };
    let mut targets = Targets::new(SPECIFICATION.to_owned(), version, in_days(now, RELEASE_DAYS)?);
    targets.delegations = None;
    targets.add_target(TargetName::new(TARGET)?, target);
    Ok(targets)
}

/// The snapshot that names the targets of the release `version`.
///
/// It names them by their version alone ("MAY also list their lengths and file hashes"), since their bytes grow with
/// every signature, and people sign both documents at one sitting.
///
/// # Errors
/// When a date lies outside the calendar.
pub fn propose_snapshot(version: ReleaseVersion, now: Timestamp) -> Result<Snapshot, SigningError> {
    let mut snapshot = Snapshot::new(SPECIFICATION.to_owned(), version.non_zero(), in_days(now, RELEASE_DAYS)?);
    let targets = Metafile { length: None, hashes: None, version: version.non_zero(), _extra: HashMap::new() };
    snapshot.meta.insert("targets.json".to_owned(), targets);
    Ok(snapshot)
}

/// The label of the release that `targets` name.
///
/// # Errors
/// When they name none.
pub fn label_of(targets: &Targets) -> Result<ReleaseLabel, SigningError> {
    let custom = targets.targets.get(&TargetName::new(TARGET)?).map(|target| target.custom.clone());
    let fields = custom.unwrap_or_default().into_iter().collect();
    serde_json::from_value(Value::Object(fields)).map_err(SigningError::Label)
}

/// When root metadata that is made `now` expires.
///
/// # Errors
/// When that lies outside the calendar.
pub fn root_expiry(now: Timestamp) -> Result<Timestamp, jiff::Error> {
    in_days(now, ROOT_DAYS)
}

fn hashes(bytes: &[u8]) -> Hashes {
    Hashes { sha256: digest(&SHA256, bytes).as_ref().to_vec().into(), _extra: HashMap::new() }
}

fn metafile(document: &str, version: NonZeroU64) -> Metafile {
    let bytes = document.as_bytes();
    Metafile { length: Some(bytes.len() as u64), hashes: Some(hashes(bytes)), version, _extra: HashMap::new() }
}

fn text<T: tough::schema::Role>(document: &Signed<T>) -> String {
    let text = serde_json::to_string_pretty(document).expect("metadata has text keys and no float");
    text + "\n"
}

/// `days` after `now`, in whole seconds, as TUF writes dates.
fn in_days(now: Timestamp, days: i64) -> Result<Timestamp, jiff::Error> {
    Timestamp::from_second(now.as_second().saturating_add(days * DAY))
}
