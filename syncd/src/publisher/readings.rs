//! Releases as they were read back, kept in memory for as long as their files are those that were read.
//!
//! A manifest is read, hashed and parsed once, and not again for each question about its release. Before each answer the
//! files are looked at from outside: one that was written to since is read anew, and found out if it is damaged.
//!
//! Of some releases the manifest is let go of, which is large; the contract, which is asked for more often, stays of each until it
//! is swept.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tieup_protocol::contract::Contract;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::manifest::Manifest;
use tieup_store::look::Look;
use tieup_store::releases::{CONTRACT, MANIFEST};

use super::holdings::RETIRED_KEPT;
use super::{PublishError, Publisher, path_of};
use crate::trust::{self, Release, Verified};

/// How many are kept: as many as releases can be needed at a time.
const KEPT: usize = RETIRED_KEPT + 3;

/// How many paths those have at most, but for the last two: what is live and what is compared with it. A path takes a few
/// hundred bytes; who has so many of them reads the older releases again where they are asked for.
const PATHS_KEPT: usize = 100_000;

/// What was read back.
#[derive(Debug, Default)]
pub(super) struct Readings(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Releases, those last asked for at the end.
    releases: VecDeque<Reading>,
    /// Under which contract each release was made, whether or not it is still among the `releases`.
    terms: HashMap<ReleaseVersion, Terms>,
}

/// One release that was read back.
#[derive(Debug)]
struct Reading {
    version: ReleaseVersion,
    files: Files,
    release: Arc<Verified<Release>>,
}

/// The contract of one release.
#[derive(Debug)]
struct Terms {
    files: Files,
    /// The digest of the manifest, which names the contract's.
    manifest: Digest,
    /// One and the same for all releases that were made under it.
    contract: Arc<Contract>,
}

/// What the files looked like that a release was read from: manifest and contract.
type Files = [Look; 2];

impl Readings {
    fn get(&self, version: ReleaseVersion, files: Files, verified: Digest) -> Option<Arc<Verified<Release>>> {
        let releases = &mut self.kept().releases;
        let at = releases.iter().position(|reading| reading.version == version && reading.files == files)?;
        let reading = releases.remove(at).filter(|reading| reading.release.digest == verified)?;
        let release = reading.release.clone();
        releases.push_back(reading);
        Some(release)
    }

    /// Forgets all that was read of a release.
    pub(super) fn forget(&self, version: ReleaseVersion) {
        let mut kept = self.kept();
        kept.terms.remove(&version);
        kept.releases.retain(|reading| reading.version != version);
    }

    fn terms(&self, version: ReleaseVersion, files: Files, verified: Digest) -> Option<Arc<Contract>> {
        let mut kept = self.kept();
        // Whose terms are asked for is needed, such as the live one.
        if let Some(at) = kept.releases.iter().position(|reading| reading.version == version) {
            let reading = kept.releases.remove(at);
            kept.releases.extend(reading);
        }
        let terms = kept.terms.get(&version).filter(|terms| terms.files == files && terms.manifest == verified);
        terms.map(|terms| terms.contract.clone())
    }

    fn keep(&self, version: ReleaseVersion, files: Files, release: Arc<Verified<Release>>) {
        let mut kept = self.kept();
        let contract = kept.contract_of(&release);
        kept.terms.insert(version, Terms { files, manifest: release.digest, contract });
        kept.releases.retain(|reading| reading.version != version);
        kept.releases.push_back(Reading { version, files, release });
        while kept.releases.len() > KEPT || kept.releases.len() > 2 && kept.paths() > PATHS_KEPT {
            kept.releases.pop_front();
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The contract of `release`, as another release under it has it, if one is known.
    fn contract_of(&self, release: &Release) -> Arc<Contract> {
        let known = self.terms.values().find(|terms| terms.contract.digest() == release.contract.digest());
        known.map_or_else(|| Arc::new(release.contract.clone()), |terms| terms.contract.clone())
    }

    fn paths(&self) -> usize {
        self.releases.iter().map(|reading| reading.release.manifest.entries.len()).sum()
    }
}

impl Publisher {
    /// A release that was verified when it was staged, read back.
    ///
    /// # Errors
    /// When it is not here, was swept, or its files are not those that were verified.
    pub(super) fn reread(&self, version: ReleaseVersion) -> Result<Arc<Verified<Release>>, PublishError> {
        if self.is_swept(version) {
            return Err(PublishError::Swept(version));
        }
        let verified = self.record(version)?.manifest;
        // Looked at before they are read: what is written in between is read again the next time.
        let files = self.files_of(version)?;
        if let Some(known) = files.and_then(|files| self.readings.get(version, files, verified)) {
            return Ok(known);
        }
        let (manifest, contract) = (self.kept(version, MANIFEST)?, self.kept(version, CONTRACT)?);
        let release = trust::reread(&manifest, &String::from_utf8_lossy(&contract), verified);
        let release = Arc::new(release.map_err(|refused| PublishError::Damaged(version, Box::new(refused)))?);
        if let Some(files) = files {
            self.readings.keep(version, files, release.clone());
        }
        Ok(release)
    }

    /// The contract of a release that was verified when it was staged. Its manifest is not read again for that.
    ///
    /// # Errors
    /// As [`Publisher::reread`].
    pub(super) fn contract_of(&self, version: ReleaseVersion) -> Result<Arc<Contract>, PublishError> {
        let verified = self.record(version)?.manifest;
        let files = self.files_of(version)?;
        match files.and_then(|files| self.readings.terms(version, files, verified)) {
            Some(known) => Ok(known),
            None => Ok(Arc::new(self.reread(version)?.contract.clone())),
        }
    }

    /// Remembers a release that was staged just now, as if it had been read back.
    pub(super) fn remember(&self, release: &Verified<Release>) {
        let version = release.manifest.version;
        if let Ok(Some(files)) = self.files_of(version) {
            self.readings.keep(version, files, Arc::new(release.without_files()));
        }
    }

    /// The manifest of a release that is here and undamaged.
    pub(crate) fn manifest_of(&self, version: ReleaseVersion) -> Result<Option<Arc<Manifest>>, PublishError> {
        match self.reread(version) {
            Ok(release) => Ok(Some(release.manifest.clone())),
            Err(PublishError::Damaged(..) | PublishError::Unknown(_) | PublishError::Swept(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the files of a release look like; none where one of them is missing.
    fn files_of(&self, version: ReleaseVersion) -> Result<Option<Files>, PublishError> {
        let look = |file| self.releases.look(version, &path_of(file));
        Ok(look(MANIFEST)?.zip(look(CONTRACT)?).map(|(manifest, contract)| [manifest, contract]))
    }
}

#[cfg(test)]
mod tests {
    use tieup_protocol::ids::ReleaseVersion;
    use tieup_protocol::manifest::{BlobRef, ContractRef, FORMAT};

    use super::*;

    const CONTRACT: &str = include_str!("../../../sites/nationwide/partners/harbor-shop/contract.yaml");

    /// A release without any page.
    fn release(version: ReleaseVersion) -> Arc<Verified<Release>> {
        let contract = Contract::parse("contract.yaml", CONTRACT).unwrap();
        let manifest = Manifest {
            format: FORMAT,
            main: contract.id.main.clone(),
            partner: contract.id.partner.clone(),
            version,
            contract: ContractRef { id: contract.id.clone(), digest: contract.digest() },
            theme: "storefront".to_owned(),
            entries: std::collections::BTreeMap::new(),
            framework: std::collections::BTreeMap::new(),
            index: BlobRef::of(b"[]"),
            emergency: None,
        };
        let bytes = manifest.to_bytes();
        Arc::new(trust::reread(&bytes, CONTRACT, Digest::of(&bytes)).unwrap())
    }

    /// What files look like that have these contents.
    fn files(contents: &str) -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, contents).unwrap();
        let look = Look::at(&file).unwrap();
        (folder, [look, look])
    }

    #[test]
    fn the_contract_stays_of_a_release_whose_manifest_is_let_go_of() {
        let (readings, (_folder, files)) = (Readings::default(), files("as verified"));
        let releases: Vec<_> = (1..=KEPT + 1)
            .map(|number| release(ReleaseVersion::new(number as u64).unwrap()))
            .inspect(|release| readings.keep(release.manifest.version, files, release.clone()))
            .collect();
        let (first, second) = (&releases[0], &releases[1]);
        let is_kept = |release: &Release| readings.get(release.manifest.version, files, release.digest).is_some();
        assert!(!is_kept(first) && is_kept(second));
        let terms = |release: &Release| readings.terms(release.manifest.version, files, release.digest).unwrap();
        assert_eq!(*terms(first), first.contract);
        assert!(Arc::ptr_eq(&terms(first), &terms(second)), "it is the same one");
        // Whose terms were asked for last stays longest.
        readings.keep(first.manifest.version, files, first.clone());
        let is_there = |release: &Release| {
            readings.kept().releases.iter().any(|reading| reading.version == release.manifest.version)
        };
        assert!(is_there(second) && !is_there(&releases[2]));
        readings.forget(second.manifest.version);
        assert!(!is_there(second) && readings.terms(second.manifest.version, files, second.digest).is_none());
    }

    #[test]
    fn what_was_written_to_or_is_another_release_is_not_known() {
        let (readings, (_folder, files)) = (Readings::default(), files("as verified"));
        let (_other_folder, written) = self::files("written since");
        let release = release(ReleaseVersion::FIRST);
        readings.keep(release.manifest.version, files, release.clone());
        let known = |files, manifest| readings.terms(ReleaseVersion::FIRST, files, manifest).is_some();
        assert!(known(files, release.digest));
        assert!(!known(written, release.digest) && !known(files, Digest::of(b"another")));
    }
}
