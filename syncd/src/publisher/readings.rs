//! Releases as they were read back, kept in memory for as long as their files are those that were read.
//!
//! A manifest is read, hashed and parsed once, and not again for each question about its release. Before each answer the
//! files are looked at from outside: one that was written to since is read anew, and found out if it is damaged.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// How many paths those have at most, but for the last two: what is live and what is compared with it. A path takes most of
/// a kilobyte; who has so many of them reads the older releases again where they are asked for.
const PATHS_KEPT: usize = 100_000;

/// Releases that were read back, those last asked for at the end.
#[derive(Debug, Default)]
pub(super) struct Readings(Mutex<VecDeque<Reading>>);

/// One release that was read back.
#[derive(Debug)]
struct Reading {
    version: ReleaseVersion,
    files: Files,
    release: Arc<Verified<Release>>,
}

/// What the files looked like that a release was read from: manifest and contract.
type Files = [Look; 2];

impl Readings {
    fn get(&self, version: ReleaseVersion, files: Files, verified: Digest) -> Option<Arc<Verified<Release>>> {
        let mut kept = self.kept();
        let at = kept.iter().position(|reading| reading.version == version && reading.files == files)?;
        let reading = kept.remove(at).filter(|reading| reading.release.digest == verified)?;
        let release = reading.release.clone();
        kept.push_back(reading);
        Some(release)
    }

    fn keep(&self, version: ReleaseVersion, files: Files, release: Arc<Verified<Release>>) {
        let mut kept = self.kept();
        kept.retain(|reading| reading.version != version);
        kept.push_back(Reading { version, files, release });
        let paths = |kept: &VecDeque<Reading>| -> usize {
            kept.iter().map(|reading| reading.release.manifest.entries.len()).sum()
        };
        while kept.len() > KEPT || kept.len() > 2 && paths(&kept) > PATHS_KEPT {
            kept.pop_front();
        }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Reading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
