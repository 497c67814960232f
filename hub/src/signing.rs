//! Signing releases after The Update Framework: the manifest is the one target, the metadata stays tiny.

use std::collections::HashMap;
use std::num::NonZeroU64;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;
use tieup_protocol::manifest::{Manifest, TARGET};
use tough::editor::signed::SignedRole;
use tough::key_source::KeySource;
use tough::schema::{
    Hashes, KeyHolder, Metafile, Role, RoleKeys, RoleType, Root, Signed, Snapshot, Target, Targets,
    Timestamp as Freshness,
};
use tough::sign::{Sign, parse_keypair};
use tough::{TargetName, async_trait};

/// The version of the TUF specification that the metadata follows.
const SPECIFICATION: &str = "1.0.0";

/// How long the root holds.
const ROOT_DAYS: i64 = 365 * 10;

/// How long a release's signatures hold.
const RELEASE_DAYS: i64 = 365;

/// How long the statement that a release is current holds.
const FRESHNESS_DAYS: i64 = 30;

/// Why metadata could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// A key is no Ed25519 key, or the library failed.
    #[error("the release could not be signed")]
    Tuf(#[from] Box<tough::error::Error>),
    /// A key has no identifier.
    #[error("the release could not be signed")]
    Key(#[from] Box<tough::schema::Error>),
    /// The root metadata is damaged.
    #[error("the root metadata cannot be read")]
    Root(#[source] serde_json::Error),
    /// A date outside the calendar.
    #[error("the expiry date cannot be computed")]
    Date(#[from] jiff::Error),
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

/// Signs releases with the release key and the freshness key.
pub struct ReleaseSigner {
    root: KeyHolder,
    keys: Vec<Box<dyn KeySource>>,
}

impl ReleaseSigner {
    /// A signer under the root metadata `root`, with keys in PKCS #8 DER.
    ///
    /// # Errors
    /// When the root metadata is damaged.
    pub fn new(root: &str, release: Vec<u8>, freshness: Vec<u8>) -> Result<Self, SigningError> {
        let root: Signed<Root> = serde_json::from_str(root).map_err(SigningError::Root)?;
        let keys: Vec<Box<dyn KeySource>> = vec![Box::new(KeyInMemory(release)), Box::new(KeyInMemory(freshness))];
        Ok(Self { root: KeyHolder::Root(root.signed), keys })
    }

    /// Signs `manifest`, whose version becomes that of all three roles.
    ///
    /// # Errors
    /// When a key is not the one that the root names.
    pub async fn sign(&self, manifest: &Manifest, now: Timestamp) -> Result<Signatures, SigningError> {
        let version = manifest.version.non_zero();
        let bytes = manifest.to_bytes();
        let mut targets = Targets::new(SPECIFICATION.to_owned(), version, in_days(now, RELEASE_DAYS)?);
        targets.add_target(TargetName::new(TARGET)?, target(&bytes));
        let targets = self.role(targets).await?;
        let mut snapshot = Snapshot::new(SPECIFICATION.to_owned(), version, in_days(now, RELEASE_DAYS)?);
        snapshot.meta.insert("targets.json".to_owned(), metafile(&targets, version));
        let snapshot = self.role(snapshot).await?;
        let mut timestamp = Freshness::new(SPECIFICATION.to_owned(), version, in_days(now, FRESHNESS_DAYS)?);
        timestamp.meta.insert("snapshot.json".to_owned(), metafile(&snapshot, version));
        let timestamp = self.role(timestamp).await?;
        Ok(Signatures { timestamp: text(&timestamp), snapshot: text(&snapshot), targets: text(&targets) })
    }

    async fn role<T: Role + Serialize>(&self, role: T) -> Result<SignedRole<T>, SigningError> {
        Ok(SignedRole::new(role, &self.root, &self.keys, &SystemRandom::new()).await?)
    }
}

/// Makes and signs the first root metadata: one key a role, the release key for targets and snapshot.
///
/// # Errors
/// When a key is no Ed25519 key in PKCS #8 DER.
pub async fn sign_root(root: &[u8], release: &[u8], freshness: &[u8]) -> Result<String, SigningError> {
    let assigned = [
        (RoleType::Root, root),
        (RoleType::Targets, release),
        (RoleType::Snapshot, release),
        (RoleType::Timestamp, freshness),
    ];
    let mut keys = HashMap::new();
    let mut roles = HashMap::new();
    for (role, key) in assigned {
        let key = parse_keypair(key)?.tuf_key();
        let id = key.key_id().map_err(Box::new)?;
        keys.insert(id.clone(), key);
        roles.insert(role, RoleKeys { keyids: vec![id], threshold: NonZeroU64::MIN, _extra: HashMap::new() });
    }
    let metadata = Root {
        spec_version: SPECIFICATION.to_owned(),
        consistent_snapshot: false,
        version: NonZeroU64::MIN,
        expires: in_days(Timestamp::now(), ROOT_DAYS)?,
        keys,
        roles,
        _extra: HashMap::new(),
    };
    let holder = KeyHolder::Root(metadata.clone());
    let sources: Vec<Box<dyn KeySource>> = vec![Box::new(KeyInMemory(root.to_vec()))];
    let signed = SignedRole::new(metadata, &holder, &sources, &SystemRandom::new()).await?;
    Ok(text(&signed))
}

fn target(bytes: &[u8]) -> Target {
    let sha256 = digest(&SHA256, bytes).as_ref().to_vec().into();
    let hashes = Hashes { sha256, _extra: HashMap::new() };
    Target { length: bytes.len() as u64, hashes, custom: HashMap::new(), _extra: HashMap::new() }
}

fn metafile<T: Role + Serialize>(role: &SignedRole<T>, version: NonZeroU64) -> Metafile {
    let hashes = Hashes { sha256: role.sha256().to_vec().into(), _extra: HashMap::new() };
    Metafile { length: Some(*role.length()), hashes: Some(hashes), version, _extra: HashMap::new() }
}

fn text<T: Role + Serialize>(role: &SignedRole<T>) -> String {
    String::from_utf8_lossy(role.buffer()).into_owned()
}

fn in_days(now: Timestamp, days: i64) -> Result<Timestamp, jiff::Error> {
    now.checked_add((days * 24).hours())
}

/// A key that is in memory already.
struct KeyInMemory(Vec<u8>);

impl std::fmt::Debug for KeyInMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyInMemory(..)")
    }
}

/// What the library wants of a key source.
type KeyFault = Box<dyn std::error::Error + Send + Sync + 'static>;

#[async_trait]
impl KeySource for KeyInMemory {
    async fn as_sign(&self) -> Result<Box<dyn Sign>, KeyFault> {
        Ok(Box::new(parse_keypair(&self.0)?))
    }

    async fn write(&self, _value: &str, _key_id_hex: &str) -> Result<(), KeyFault> {
        Err("keys are not written back".into())
    }
}
