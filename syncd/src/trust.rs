//! Whether an offered release is what main's keys say it is (The Update Framework).
//!
//! Everything that only trust can decide is decided here, before any content moves: signatures and thresholds,
//! expiry, rollback, that the manifest is the signed one, and that it is meant for this partner under this contract.

mod expiry;
mod refusal;
mod transport;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tieup_protocol::contract::Contract;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::SiteId;
use tieup_protocol::label::{Mislabelled, ReleaseLabel, STREAM};
use tieup_protocol::manifest::{MAX_MANIFEST, MAX_RELEASE, Manifest, TARGET};
use tieup_protocol::path::SourcePath;
use tieup_protocol::wire::{MAX_METADATA, MAX_ROOTS, Metadata};
use tieup_store::durable;
use tieup_store::releases::{CONTRACT, MANIFEST};
use tough::schema::Root;
use tough::{Limits, Repository, RepositoryLoader, TargetName};
use url::Url;

pub use self::expiry::{alarm_of_revocations, alarms, ends};
pub use self::refusal::OfferRefused;
use self::transport::OfferedFiles;

/// A base for the names of metadata files. Nothing is fetched from it: the files come with the offer.
const BASE: &str = "offer:///";

/// Where the TUF client keeps the latest moment that it has seen.
const CLOCK: &str = "latest_known_time.json";

/// Where the client keeps the root that it has arrived at. It never looks there for one: it begins with what it is given.
const ROOT: &str = "root.json";

/// What the TUF client takes, beside what `check_lengths` holds it to.
const LIMITS: Limits = Limits {
    max_root_size: MAX_METADATA,
    max_targets_size: MAX_METADATA,
    max_timestamp_size: MAX_METADATA,
    max_snapshot_size: MAX_METADATA,
    max_root_updates: MAX_ROOTS as u64 + 1,
};

/// What the partner trusts: the root it pinned when joining or was led to since, and the newest metadata it has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustState {
    /// The root metadata that the next offer is verified against.
    pub root: String,
    /// The files of the TUF client's datastore, by name.
    pub seen: BTreeMap<String, String>,
}

impl TrustState {
    /// What a partner trusts that has pinned `root` and has seen no release yet.
    pub fn pinned(root: String) -> Self {
        Self { root, seen: BTreeMap::new() }
    }

    /// Until when the newest release that was seen is taken for main's newest; none before the first.
    pub fn fresh_until(&self) -> Option<Timestamp> {
        expiry::expires(self.seen.get("timestamp.json")?)
    }
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
    pub manifest: Arc<Manifest>,
    /// The digest of the manifest's bytes: what approval names.
    pub digest: Digest,
    /// The contract it was made under.
    pub contract: Contract,
    /// Manifest, contract and metadata as they came, to be kept with the release.
    pub files: BTreeMap<SourcePath, Vec<u8>>,
}

impl Verified<Release> {
    /// The same without its files.
    #[must_use]
    pub fn without_files(&self) -> Self {
        let Release { manifest, digest, contract, files: _ } = &self.0;
        let (manifest, contract) = (manifest.clone(), contract.clone());
        Self(Release { manifest, digest: *digest, contract, files: BTreeMap::new() })
    }
}

impl Release {
    /// The contract, word for word.
    pub fn contract_text(&self) -> &str {
        let text = CONTRACT.parse::<SourcePath>().ok().and_then(|name| self.files.get(&name));
        text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

/// What main's keys say of a release, before its manifest has been looked at. Only [`verify_metadata`] makes one.
#[derive(Clone, Debug)]
pub struct Signed {
    /// What is signed about the release: whose, for whom, which, how large.
    pub label: ReleaseLabel,
    /// The length of the manifest in bytes.
    pub length: u64,
    /// SHA-256 of the manifest.
    pub sha256: Vec<u8>,
    files: BTreeMap<SourcePath, Vec<u8>>,
}

/// Verifies the metadata of a release from `main` to `partner` against `state`, as a TUF client does ("5. Detailed
/// client workflow" of the specification).
///
/// The client works in the folder `datastore`, which is made where it is missing. What lies there counts for nothing.
///
/// Returns what is signed and the state to keep. Keep it before acting on the release: it is what makes a later
/// rollback attempt visible. Where the keys of timestamp or snapshot have changed, the client forgets what it has seen
/// of them (5.3.11), so that a release with an enormous number, signed by a thief, does not stand in the way for ever.
///
/// # Errors
/// See [`OfferRefused`].
pub async fn verify_metadata(
    metadata: &Metadata,
    main: &SiteId,
    partner: &SiteId,
    state: &TrustState,
    datastore: &Path,
) -> Result<(Signed, TrustState), OfferRefused> {
    check_lengths(metadata)?;
    restore(datastore, &state.seen)?;
    let base = Url::parse(BASE).map_err(io::Error::other)?;
    let repository = RepositoryLoader::new(&state.root, base.clone(), base)
        .transport(OfferedFiles::new(metadata))
        .datastore(datastore)
        .limits(LIMITS)
        .load()
        .await
        .map_err(|error| OfferRefused::by_tuf(error, main))?;
    let signed = Signed::read(&repository, metadata, main, partner)?;
    let time = fs::read_to_string(datastore.join(CLOCK))?;
    Ok((signed, TrustState { root: newest_root(&repository, metadata, state), seen: seen(metadata, time) }))
}

/// An endless data attack ends here: "up to some X number of bytes (because the size is unknown)" (5.3.3, 5.4.1).
fn check_lengths(metadata: &Metadata) -> Result<(), OfferRefused> {
    if metadata.roots.len() > MAX_ROOTS {
        return Err(OfferRefused::TooManyRoots(metadata.roots.len()));
    }
    let named = [("timestamp", &metadata.timestamp), ("snapshot", &metadata.snapshot), ("targets", &metadata.targets)];
    let roots = metadata.roots.iter().map(|root| ("root", root));
    match roots.chain(named).find(|(_, text)| text.len() as u64 > MAX_METADATA) {
        Some((role, text)) => Err(OfferRefused::Endless { role: role.to_owned(), length: text.len() as u64 }),
        None => Ok(()),
    }
}

/// The text of the root that the client has arrived at: the last of the chain, or the one it began with.
fn newest_root(repository: &Repository, metadata: &Metadata, before: &TrustState) -> String {
    let version = repository.root().signed.version.get();
    let began = serde_json::from_str::<tough::schema::Signed<Root>>(&before.root).map(|root| root.signed.version.get());
    let offered = usize::try_from(version.saturating_sub(2)).ok().and_then(|at| metadata.roots.get(at));
    match offered {
        Some(root) if began.is_ok_and(|began| began < version) => root.clone(),
        _ => before.root.clone(),
    }
}

/// What a later check compares with: the documents as they came, and the clock.
fn seen(metadata: &Metadata, time: String) -> BTreeMap<String, String> {
    let documents = [
        ("timestamp.json", metadata.timestamp.clone()),
        ("snapshot.json", metadata.snapshot.clone()),
        ("targets.json", metadata.targets.clone()),
        (CLOCK, time),
    ];
    documents.map(|(name, text)| (name.to_owned(), text)).into()
}

impl Signed {
    fn read(
        repository: &Repository,
        metadata: &Metadata,
        main: &SiteId,
        partner: &SiteId,
    ) -> Result<Self, OfferRefused> {
        let name = TargetName::new(TARGET).map_err(|error| OfferRefused::Internal(Box::new(error)))?;
        let targets = &repository.targets().signed;
        let target = targets.targets.get(&name).ok_or(OfferRefused::NoManifest)?;
        let custom = target.custom.clone().into_iter().collect();
        let label: ReleaseLabel = serde_json::from_value(Value::Object(custom)).map_err(OfferRefused::Label)?;
        let version = targets.version.get();
        if label.version.get() != version {
            let (label, found) = (label.version.to_string(), version.to_string());
            return Err(Mislabelled { field: "version", label, found }.into());
        }
        let signed = Self {
            label,
            length: target.length,
            sha256: target.hashes.sha256.to_vec(),
            files: metadata_files(metadata),
        };
        signed.judge(main, partner)?;
        Ok(signed)
    }

    /// What can be said of a release by its label alone.
    fn judge(&self, main: &SiteId, partner: &SiteId) -> Result<(), OfferRefused> {
        let label = &self.label;
        if label.main != *main || label.partner != *partner {
            return Err(OfferRefused::Misdirected { main: label.main.clone(), partner: label.partner.clone() });
        }
        if label.stream != STREAM {
            return Err(OfferRefused::OtherStream(label.stream.clone()));
        }
        if label.contract.id.main != *main || label.contract.id.partner != *partner {
            return Err(OfferRefused::OtherContract(label.contract.id.clone()));
        }
        if self.length > MAX_MANIFEST || label.bytes > MAX_RELEASE {
            return Err(OfferRefused::TooLarge { manifest: self.length, bytes: label.bytes });
        }
        Ok(())
    }

    /// Checks that `manifest`, which was put together here, is the one that was signed, to the byte, and that it was
    /// made under `contract`, the contract's text.
    ///
    /// # Errors
    /// See [`OfferRefused`].
    pub fn manifest(&self, manifest: Manifest, contract: String) -> Result<Verified<Release>, OfferRefused> {
        let bytes = manifest.to_bytes();
        // 5.7.2: "verify the desired target against its targets metadata".
        if bytes.len() as u64 != self.length || sha256(&bytes) != self.sha256 {
            return Err(OfferRefused::Manifest);
        }
        let digest = Digest::of(&bytes);
        manifest.check()?;
        self.label.check(&manifest, digest)?;
        let under = Contract::parse(CONTRACT, &contract).map_err(OfferRefused::Contract)?;
        if under.digest() != manifest.contract.digest || under.id != manifest.contract.id {
            return Err(OfferRefused::OtherContract(manifest.contract.id));
        }
        let mut files = self.files.clone();
        files.extend(named([(MANIFEST.to_owned(), bytes), (CONTRACT.to_owned(), contract.into_bytes())]));
        Ok(Verified(Release { manifest: Arc::new(manifest), digest, contract: under, files }))
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
    Ok(Verified(Release { manifest: Arc::new(manifest), digest, contract, files: BTreeMap::new() }))
}

fn metadata_files(metadata: &Metadata) -> BTreeMap<SourcePath, Vec<u8>> {
    let documents = [
        ("metadata/timestamp.json", &metadata.timestamp),
        ("metadata/snapshot.json", &metadata.snapshot),
        ("metadata/targets.json", &metadata.targets),
    ];
    let roots = (2_u64..).zip(&metadata.roots).map(|(version, root)| (format!("metadata/{version}.root.json"), root));
    let documents = documents.into_iter().map(|(name, text)| (name.to_owned(), text)).chain(roots);
    named(documents.map(|(name, text)| (name, text.clone().into_bytes()))).collect()
}

fn named(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> impl Iterator<Item = (SourcePath, Vec<u8>)> {
    files.into_iter().filter_map(|(name, bytes)| Some((name.parse().ok()?, bytes)))
}

/// Puts what was `seen` into `folder`, and nothing else that the client reads. What lies there already is not written again:
/// files that come and go by the thousand are what file systems are slow at.
///
/// It is scratch, so nothing of it is synced: whatever a crash leaves there is compared with what was seen, which is
/// durable elsewhere, and put right before the client reads it.
fn restore(folder: &Path, seen: &BTreeMap<String, String>) -> io::Result<()> {
    durable::create_dir_all(folder).map_err(|error| error.source)?;
    for file in durable::list_dir(folder).map_err(|error| error.source)? {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name != ROOT && !seen.contains_key(name) {
            durable::remove_file(&file).map_err(|error| error.source)?;
        }
    }
    for (name, text) in seen {
        let file = folder.join(name);
        if !fs::read(&file).is_ok_and(|found| found == text.as_bytes()) {
            fs::write(file, text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_folder_holds_what_was_seen_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let datastore = folder.path().join("cache/metadata");
        let seen = |files: &[(&str, &str)]| -> BTreeMap<String, String> {
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let states = [
            seen(&[]),
            seen(&[("timestamp.json", "1"), (CLOCK, "noon")]),
            seen(&[("timestamp.json", "2"), ("snapshot.json", "2")]),
            seen(&[]),
        ];
        for state in states {
            restore(&datastore, &state).unwrap();
            let files = fs::read_dir(&datastore).unwrap().map(|entry| entry.unwrap());
            let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
            let found = files.map(|entry| (name(&entry), fs::read_to_string(entry.path()).unwrap())).collect();
            assert_eq!(state, found);
            // What a client leaves that was stopped in the middle.
            fs::write(datastore.join("timestamp.json"), "of an offer that was refused").unwrap();
            fs::write(datastore.join("torn"), "").unwrap();
        }
    }
}
