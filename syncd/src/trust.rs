//! Whether an offered release is what main's keys say it is (The Update Framework).
//!
//! Everything that only trust can decide is decided here, before any content moves: signatures and thresholds,
//! expiry, rollback, that the manifest is the signed one, and that it is meant for this partner under this contract.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tieup_protocol::contract::{Contract, ContractId};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::{InvalidManifest, MAX_MANIFEST, Manifest, TARGET};
use tieup_protocol::path::SourcePath;
use tieup_protocol::wire::Offer;
use tieup_store::releases::{CONTRACT, MANIFEST};
use tough::schema::RoleType;
use tough::{
    Bytes, Repository, RepositoryLoader, TargetName, Transport, TransportError, TransportErrorKind, TransportStream,
    async_trait,
};
use url::Url;

/// A base for the names of metadata files. Nothing is fetched from it: the files come with the offer.
const BASE: &str = "offer:///";

/// What the partner trusts: the root it pinned when joining or was led to since, and the newest metadata it has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustState {
    /// The root metadata that the next offer is verified against.
    pub root: String,
    /// The files of the TUF client's datastore, by name.
    pub seen: BTreeMap<String, String>,
}

/// Something that has passed [`verify_metadata`] and [`Signed::manifest`]. Only this module makes one.
#[derive(Clone, Debug)]
pub struct Verified<T>(T);

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A release on offer, after verification.
#[derive(Clone, Debug)]
pub struct Release {
    /// The manifest.
    pub manifest: Manifest,
    /// The digest of the manifest's bytes: what approval names.
    pub digest: Digest,
    /// The contract it was made under.
    pub contract: Contract,
    /// Manifest, contract and metadata as they came, to be kept with the release.
    pub files: BTreeMap<SourcePath, Vec<u8>>,
}

/// Why an offer is refused. Nothing has changed when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum OfferRefused {
    /// Signed by the wrong keys, by too few, or inconsistent.
    #[error("the release's signatures do not verify against the pinned root of `{main}`")]
    Signature {
        /// The main site.
        main: SiteId,
        /// What the TUF client found.
        #[source]
        source: Box<tough::error::Error>,
    },
    /// Older than what was seen before.
    #[error("release {offered} is older than release {known}, which this partner already has")]
    Older {
        /// The version on offer.
        offered: u64,
        /// The newest version known here.
        known: u64,
    },
    /// Out of date.
    #[error("the release's {role} metadata has expired: main must publish again")]
    Expired {
        /// Which metadata.
        role: String,
    },
    /// The manifest is not the one that was signed.
    #[error("the manifest is not the one that main signed")]
    Manifest,
    /// Nothing is signed that a release could be.
    #[error("the metadata names no manifest")]
    NoManifest,
    /// The signed manifest is not acceptable.
    #[error("the manifest is not acceptable")]
    InvalidManifest(#[from] InvalidManifest),
    /// Meant for somebody else.
    #[error("the release is from `{main}` for `{partner}`, not for this partner")]
    Misdirected {
        /// Who published it.
        main: SiteId,
        /// For whom.
        partner: SiteId,
    },
    /// The contract's text is unusable.
    #[error("the contract that came with the release cannot be used:\n{0}")]
    Contract(Diagnostic),
    /// The contract's text is another than the manifest names.
    #[error("the release names contract {0}, but another document came with it")]
    OtherContract(ContractId),
    /// What lies on the disk is not what was verified.
    #[error("the manifest on disk is not the one that was verified")]
    Altered,
    /// The number in the manifest is not the signed one.
    #[error("the manifest says release {manifest}, the signatures say {signed}")]
    OtherVersion {
        /// What the manifest says.
        manifest: u64,
        /// What was signed.
        signed: u64,
    },
    /// The TUF client could not keep its files.
    #[error("the metadata could not be checked")]
    Io(#[from] io::Error),
    /// The TUF client's own names could not be made.
    #[error("the metadata could not be checked")]
    Internal(#[source] Box<tough::error::Error>),
}

impl Release {
    /// The contract, word for word.
    pub fn contract_text(&self) -> &str {
        let text = CONTRACT.parse::<SourcePath>().ok().and_then(|name| self.files.get(&name));
        text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl OfferRefused {
    /// A stable name for this kind of refusal.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Signature { .. } => "bad-signature",
            Self::Older { .. } => "older-release",
            Self::Expired { .. } => "expired-metadata",
            Self::Manifest | Self::Altered | Self::OtherVersion { .. } => "altered-manifest",
            Self::InvalidManifest(_) | Self::NoManifest => "invalid-manifest",
            Self::Misdirected { .. } => "misdirected-release",
            Self::Contract(_) | Self::OtherContract(_) => "unusable-contract",
            Self::Io(_) | Self::Internal(_) => "not-checked",
        }
    }
}

/// What main's keys say of a release, before its manifest has been looked at. Only [`verify_metadata`] makes one.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The number of the release.
    pub version: ReleaseVersion,
    /// The length of the manifest in bytes.
    pub length: u64,
    /// SHA-256 of the manifest.
    pub sha256: Vec<u8>,
    /// What else was signed about the manifest.
    pub custom: HashMap<String, Value>,
    main: SiteId,
    partner: SiteId,
    metadata: BTreeMap<SourcePath, Vec<u8>>,
}

/// Verifies the metadata of an offer from `main` to `partner` against `state`, and nothing else of the offer.
///
/// Returns what is signed and the state to keep. Keep it before acting on the release: it is what makes a later
/// rollback attempt visible.
///
/// # Errors
/// See [`OfferRefused`].
pub async fn verify_metadata(
    offer: &Offer,
    main: &SiteId,
    partner: &SiteId,
    state: &TrustState,
) -> Result<(Signed, TrustState), OfferRefused> {
    let datastore = tempfile::tempdir()?;
    restore(datastore.path(), &state.seen)?;
    let base = Url::parse(BASE).map_err(io::Error::other)?;
    let repository = RepositoryLoader::new(&state.root, base.clone(), base)
        .transport(OfferedFiles::new(offer))
        .datastore(datastore.path())
        .load()
        .await
        .map_err(|error| refused(error, main))?;
    let root = serde_json::to_string(repository.root()).map_err(io::Error::other)?;
    let state = TrustState { root, seen: collect(datastore.path())? };
    Ok((Signed::read(&repository, offer, main, partner)?, state))
}

impl Signed {
    fn read(repository: &Repository, offer: &Offer, main: &SiteId, partner: &SiteId) -> Result<Self, OfferRefused> {
        let name = TargetName::new(TARGET).map_err(|error| OfferRefused::Internal(Box::new(error)))?;
        let targets = &repository.targets().signed;
        let target = targets.targets.get(&name).ok_or(OfferRefused::NoManifest)?;
        Ok(Self {
            version: ReleaseVersion::new(targets.version.get()).unwrap_or(ReleaseVersion::FIRST),
            length: target.length,
            sha256: target.hashes.sha256.to_vec(),
            custom: target.custom.clone(),
            main: main.clone(),
            partner: partner.clone(),
            metadata: metadata_files(offer),
        })
    }

    /// Checks that `bytes` are the manifest that was signed, and that it was made for this partner under `contract`,
    /// the contract's text.
    ///
    /// # Errors
    /// See [`OfferRefused`].
    pub fn manifest(&self, bytes: Vec<u8>, contract: String) -> Result<Verified<Release>, OfferRefused> {
        if bytes.len() as u64 != self.length || sha256(&bytes) != self.sha256 {
            return Err(OfferRefused::Manifest);
        }
        let manifest = Manifest::parse(&bytes)?;
        let under = check_meant_for(&manifest, &contract, &self.main, &self.partner)?;
        if manifest.version != self.version {
            let (manifest, signed) = (manifest.version.get(), self.version.get());
            return Err(OfferRefused::OtherVersion { manifest, signed });
        }
        let digest = Digest::of(&bytes);
        let mut files = self.metadata.clone();
        files.extend(named([(MANIFEST, bytes), (CONTRACT, contract.into_bytes())]));
        Ok(Verified(Release { manifest, digest, contract: under, files }))
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// Reads a release that was verified when it was staged and has been in the partner's own store since.
///
/// `verified` is the digest of the manifest that was verified then.
///
/// # Errors
/// When the kept files are damaged or are not those that were verified.
pub fn reread(manifest: &[u8], contract: &str, verified: Digest) -> Result<Verified<Release>, OfferRefused> {
    let digest = Digest::of(manifest);
    if digest != verified {
        return Err(OfferRefused::Altered);
    }
    let manifest = Manifest::parse(manifest)?;
    let contract = Contract::parse(CONTRACT, contract).map_err(OfferRefused::Contract)?;
    if contract.digest() != manifest.contract.digest {
        return Err(OfferRefused::OtherContract(manifest.contract.id));
    }
    Ok(Verified(Release { manifest, digest, contract, files: BTreeMap::new() }))
}

fn metadata_files(offer: &Offer) -> BTreeMap<SourcePath, Vec<u8>> {
    let files = [
        ("metadata/timestamp.json", &offer.timestamp),
        ("metadata/snapshot.json", &offer.snapshot),
        ("metadata/targets.json", &offer.targets),
    ];
    named(files.map(|(name, text)| (name, text.clone().into_bytes()))).collect()
}

fn named<const N: usize>(files: [(&str, Vec<u8>); N]) -> impl Iterator<Item = (SourcePath, Vec<u8>)> {
    files.into_iter().filter_map(|(name, bytes)| Some((name.parse().ok()?, bytes)))
}

fn check_meant_for(
    manifest: &Manifest,
    contract: &str,
    main: &SiteId,
    partner: &SiteId,
) -> Result<Contract, OfferRefused> {
    if manifest.main != *main || manifest.partner != *partner {
        return Err(OfferRefused::Misdirected { main: manifest.main.clone(), partner: manifest.partner.clone() });
    }
    let contract = Contract::parse(CONTRACT, contract).map_err(OfferRefused::Contract)?;
    let named = &manifest.contract;
    let same_parties = contract.id.main == *main && contract.id.partner == *partner;
    if contract.digest() != named.digest || contract.id != named.id || !same_parties {
        return Err(OfferRefused::OtherContract(named.id.clone()));
    }
    Ok(contract)
}

fn refused(error: tough::error::Error, main: &SiteId) -> OfferRefused {
    match error {
        tough::error::Error::OlderMetadata { current_version, new_version, .. } => {
            OfferRefused::Older { offered: new_version, known: current_version }
        }
        tough::error::Error::ExpiredMetadata { role, .. } => OfferRefused::Expired { role: role_name(role) },
        source => OfferRefused::Signature { main: main.clone(), source: Box::new(source) },
    }
}

fn role_name(role: RoleType) -> String {
    format!("{role:?}").to_lowercase()
}

fn restore(folder: &Path, seen: &BTreeMap<String, String>) -> io::Result<()> {
    seen.iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
}

fn collect(folder: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut seen = BTreeMap::new();
    for file in std::fs::read_dir(folder)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        seen.insert(name, std::fs::read_to_string(file.path())?);
    }
    Ok(seen)
}

/// The metadata files of one offer, as a TUF client asks for them.
#[derive(Clone, Debug)]
struct OfferedFiles(Arc<BTreeMap<String, Bytes>>);

impl OfferedFiles {
    fn new(offer: &Offer) -> Self {
        let mut files = BTreeMap::from([
            ("timestamp.json".to_owned(), Bytes::from(offer.timestamp.clone())),
            ("snapshot.json".to_owned(), Bytes::from(offer.snapshot.clone())),
            ("targets.json".to_owned(), Bytes::from(offer.targets.clone())),
        ]);
        for (version, root) in (2_u64..).zip(&offer.roots) {
            files.insert(format!("{version}.root.json"), Bytes::from(root.clone()));
        }
        Self(Arc::new(files))
    }
}

#[async_trait]
impl Transport for OfferedFiles {
    async fn fetch(&self, url: Url) -> Result<TransportStream, TransportError> {
        match self.0.get(url.path().trim_start_matches('/')) {
            Some(bytes) if bytes.len() as u64 <= MAX_MANIFEST => Ok(Box::pin(stream::iter([Ok(bytes.clone())]))),
            Some(_) => Err(TransportError::new(TransportErrorKind::Other, url)),
            None => Err(TransportError::new(TransportErrorKind::FileNotFound, url)),
        }
    }
}
