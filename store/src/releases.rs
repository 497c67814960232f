//! The releases that a partner holds.
//!
//! ```text
//! releases/42/record.json     where release 42 stands
//! releases/42/manifest.json   and the other files it was staged with
//! ```
//!
//! A release's folder appears whole or not at all. Which release is live is not
//! decided here: that is the daemon's one document `live.json`.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tieup_protocol::approval::ReleaseRecord;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::path::SourcePath;

use crate::document::{Document, DocumentError, encode};
use crate::durable::{self, DiskError, Step};
use crate::look::Look;

/// The release's manifest among its files.
pub const MANIFEST: &str = "manifest.json";
/// The contract it was made under.
pub const CONTRACT: &str = "contract.yaml";

const RECORD: &str = "record.json";

/// A folder of releases.
///
/// One process opens it at a time; within it, any number of threads use it.
#[derive(Debug)]
pub struct Releases {
    dir: PathBuf,
    /// Held for writing while a folder is replaced, since for a moment neither is there.
    staging: RwLock<()>,
    /// Records that were read, each with what its file looked like before.
    known: Mutex<HashMap<ReleaseVersion, (Look, ReleaseRecord)>>,
}

/// A record, or why it cannot be read.
type Read = Result<ReleaseRecord, ReleasesError>;

/// Why the releases could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ReleasesError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A record cannot be read or written.
    #[error(transparent)]
    Record(#[from] DocumentError),
    /// There is no such release.
    #[error("release {0} is not here")]
    Missing(ReleaseVersion),
    /// A file of a release has the name that its record has.
    #[error("a release may not bring a file named `{RECORD}`")]
    ReservedName,
}

impl Releases {
    /// Opens the releases in `dir`, which is made if it is missing, and settles what a crash left half done.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, ReleasesError> {
        let dir = dir.into();
        durable::create_dir_all(&dir)?;
        durable::settle(&dir)?;
        for release in durable::list_dir(&dir)?.iter().filter(|path| version_of(path).is_some() && path.is_dir()) {
            durable::settle(release)?;
        }
        Ok(Self { dir, staging: RwLock::new(()), known: Mutex::default() })
    }

    /// Keeps the release with its files and its record, in place of the same version staged before.
    ///
    /// Durable on return. After an error the release is wholly the one before or wholly the new one.
    pub fn stage(&self, record: &ReleaseRecord, files: &BTreeMap<SourcePath, Vec<u8>>) -> Result<(), ReleasesError> {
        let name = record_name();
        if files.contains_key(&name) {
            return Err(ReleasesError::ReservedName);
        }
        let bytes = encode(record).map_err(|source| self.invalid_record(record.version, source))?;
        let files = files.iter().map(|(name, bytes)| (name, bytes.as_slice())).chain([(&name, bytes.as_slice())]);
        let _guard = self.write();
        Ok(durable::replace_dir_by(&self.folder(record.version), files)?)
    }

    /// The release's record, or `None` where it is not here.
    pub fn record(&self, version: ReleaseVersion) -> Result<Option<ReleaseRecord>, ReleasesError> {
        let _guard = self.read();
        self.read_record(version)
    }

    /// Replaces the record of a release that is here.
    ///
    /// Durable on return.
    pub fn set_record(&self, record: &ReleaseRecord) -> Result<(), ReleasesError> {
        let _guard = self.write();
        self.check_present(record.version)?;
        Ok(self.document(record.version).write(record)?)
    }

    /// One file of a release, or `None` where the release or the file is not here.
    pub fn file(&self, version: ReleaseVersion, name: &SourcePath) -> Result<Option<Vec<u8>>, ReleasesError> {
        let _guard = self.read();
        Ok(durable::read_file(&self.folder(version).join(name.as_str()))?)
    }

    /// What one file of a release looks like from outside, or `None` where the release or the file is not here.
    pub fn look(&self, version: ReleaseVersion, name: &SourcePath) -> Result<Option<Look>, ReleasesError> {
        let _guard = self.read();
        Ok(look_at(&self.folder(version).join(name.as_str()))?)
    }

    /// Whether a release has the file.
    pub fn has_file(&self, version: ReleaseVersion, name: &SourcePath) -> bool {
        let _guard = self.read();
        self.folder(version).join(name.as_str()).is_file()
    }

    /// Puts one file of a release right that was damaged or is gone.
    ///
    /// Durable on return.
    pub fn restore_file(&self, version: ReleaseVersion, name: &SourcePath, bytes: &[u8]) -> Result<(), ReleasesError> {
        let _guard = self.write();
        let path = self.folder(version).join(name.as_str());
        durable::create_dir_all(durable::parent(&path))?;
        Ok(durable::write_file(&path, bytes)?)
    }

    /// Puts the record of a release right that was damaged or is gone.
    ///
    /// Durable on return.
    pub fn restore_record(&self, record: &ReleaseRecord) -> Result<(), ReleasesError> {
        let bytes = encode(record).map_err(|source| self.invalid_record(record.version, source))?;
        self.restore_file(record.version, &record_name(), &bytes)
    }

    /// The bytes of a release's record as they lie on the disk.
    pub fn record_bytes(&self, version: ReleaseVersion) -> Result<Option<Vec<u8>>, ReleasesError> {
        self.file(version, &record_name())
    }

    /// The records of all releases that are here, newest first. One that is damaged or gone is left out and left alone;
    /// see [`Releases::damaged`].
    pub fn list(&self) -> Result<Vec<ReleaseRecord>, ReleasesError> {
        self.read_all()?.into_iter().map(|(_, record)| record).filter(|record| !is_lost(record)).collect()
    }

    /// What is wrong with each record that [`Releases::list`] leaves out.
    pub fn damaged(&self) -> Result<Vec<ReleasesError>, ReleasesError> {
        Ok(self.read_all()?.into_iter().filter_map(|(_, record)| record.err()).collect())
    }

    /// The releases whose records are damaged or gone, newest first.
    pub fn unrecorded(&self) -> Result<Vec<ReleaseVersion>, ReleasesError> {
        let lost = self.read_all()?.into_iter().filter(|(_, record)| is_lost(record));
        Ok(lost.map(|(version, _)| version).collect())
    }

    fn read_all(&self) -> Result<Vec<(ReleaseVersion, Read)>, ReleasesError> {
        let _guard = self.read();
        let mut versions: Vec<ReleaseVersion> =
            durable::list_dir(&self.dir)?.iter().filter_map(|path| version_of(path)).collect();
        versions.sort_unstable_by(|a, b| b.cmp(a));
        let record = |version| self.read_record(version)?.ok_or(ReleasesError::Missing(version));
        Ok(versions.into_iter().map(|version| (version, record(version))).collect())
    }

    /// The release's record, read only if its file looks otherwise than when it was read before.
    fn read_record(&self, version: ReleaseVersion) -> Result<Option<ReleaseRecord>, ReleasesError> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let document = self.document(version);
        let Some(look) = look_at(document.path())? else { return Ok(None) };
        if let Some((_, record)) = known().get(&version).filter(|(seen, _)| *seen == look) {
            return Ok(Some(record.clone()));
        }
        let record = document.read()?;
        if let Some(record) = &record {
            known().insert(version, (look, record.clone()));
        }
        Ok(record)
    }

    fn check_present(&self, version: ReleaseVersion) -> Result<(), ReleasesError> {
        let present = self.folder(version).join(RECORD).is_file();
        if present { Ok(()) } else { Err(ReleasesError::Missing(version)) }
    }

    fn document(&self, version: ReleaseVersion) -> Document<ReleaseRecord> {
        Document::at(self.folder(version).join(RECORD))
    }

    fn invalid_record(&self, version: ReleaseVersion, source: serde_json::Error) -> ReleasesError {
        DocumentError::Json { path: self.folder(version).join(RECORD), source }.into()
    }

    fn folder(&self, version: ReleaseVersion) -> PathBuf {
        self.dir.join(version.to_string())
    }

    fn read(&self) -> RwLockReadGuard<'_, ()> {
        self.staging.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, ()> {
        self.staging.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look_at(path: &Path) -> Result<Option<Look>, DiskError> {
    durable::step(Step::Read, path, || match fs::metadata(path) {
        Ok(about) => Ok(Some(Look::of(&about))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    })
}

/// Whether a record is not to be had from the disk, though that works.
fn is_lost(record: &Read) -> bool {
    matches!(record, Err(ReleasesError::Record(DocumentError::Json { .. }) | ReleasesError::Missing(_)))
}

fn record_name() -> SourcePath {
    RECORD.parse().expect("`record.json` is a relative path")
}

/// The version whose folder this is, if it is one.
fn version_of(path: &Path) -> Option<ReleaseVersion> {
    let name = path.file_name()?.to_str()?;
    let version: ReleaseVersion = name.parse().ok()?;
    (version.to_string() == name).then_some(version)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;
    use tempfile::{TempDir, tempdir};
    use tieup_protocol::approval::ReleaseState;
    use tieup_protocol::digest::Digest;

    use super::*;
    use crate::fault::at_every_step;

    fn releases(dir: &TempDir) -> Releases {
        Releases::open(dir.path().join("releases")).unwrap()
    }

    fn version(number: u64) -> ReleaseVersion {
        ReleaseVersion::new(number).unwrap()
    }

    fn record(number: u64, sentence: &str) -> ReleaseRecord {
        ReleaseRecord {
            version: version(number),
            manifest: Digest::of(sentence.as_bytes()),
            state: ReleaseState::Staged,
            since: Timestamp::UNIX_EPOCH,
            by: None,
            sentence: sentence.to_owned(),
            waits_for: None,
            held: None,
        }
    }

    fn name(text: &str) -> SourcePath {
        text.parse().unwrap()
    }

    fn files(text: &str) -> BTreeMap<SourcePath, Vec<u8>> {
        let names = [MANIFEST, CONTRACT, "metadata/1.root.json"];
        names.map(|file| (name(file), text.as_bytes().to_vec())).into()
    }

    #[test]
    fn a_release_is_kept_with_its_files() {
        let dir = tempdir().unwrap();
        let releases = releases(&dir);
        assert_eq!(releases.record(version(2)).unwrap(), None);
        releases.stage(&record(2, "first"), &files("first")).unwrap();
        assert_eq!(releases.record(version(2)).unwrap(), Some(record(2, "first")));
        let root = releases.file(version(2), &name("metadata/1.root.json")).unwrap();
        assert_eq!(root.as_deref(), Some(b"first".as_slice()));
        assert_eq!(releases.file(version(2), &name("metadata/2.root.json")).unwrap(), None);
        let fewer = BTreeMap::from([(name(MANIFEST), b"anew".to_vec())]);
        releases.stage(&record(2, "anew"), &fewer).unwrap();
        assert_eq!(releases.file(version(2), &name(MANIFEST)).unwrap().as_deref(), Some(b"anew".as_slice()));
        assert_eq!(releases.file(version(2), &name(CONTRACT)).unwrap(), None);
    }

    #[test]
    fn a_file_looks_otherwise_once_it_was_written_to() {
        let dir = tempdir().unwrap();
        let (releases, manifest) = (releases(&dir), name(MANIFEST));
        assert_eq!(releases.look(version(1), &manifest).unwrap(), None);
        releases.stage(&record(1, "x"), &files("one")).unwrap();
        let look = releases.look(version(1), &manifest).unwrap();
        assert!(look.is_some());
        assert_eq!(releases.look(version(1), &manifest).unwrap(), look);
        releases.set_record(&record(1, "y")).unwrap();
        assert_eq!(releases.look(version(1), &manifest).unwrap(), look, "another file was written");
        releases.restore_file(version(1), &manifest, b"two").unwrap();
        assert_ne!(releases.look(version(1), &manifest).unwrap(), look);
    }

    #[test]
    fn a_record_that_somebody_else_wrote_is_read_anew() {
        let dir = tempdir().unwrap();
        let releases = releases(&dir);
        releases.stage(&record(1, "one"), &files("x")).unwrap();
        for sentence in ["two", "other"] {
            assert_eq!(releases.list().unwrap(), releases.list().unwrap());
            let file = dir.path().join("releases/1/record.json");
            durable::write_file(&file, &encode(&record(1, sentence)).unwrap()).unwrap();
            assert_eq!(releases.record(version(1)).unwrap().unwrap().sentence, sentence);
            assert_eq!(releases.list().unwrap()[0].sentence, sentence);
            fs::write(&file, "{").unwrap();
            assert!(releases.record(version(1)).is_err());
            assert_eq!((releases.list().unwrap().len(), releases.damaged().unwrap().len()), (0, 1));
            assert_eq!(releases.unrecorded().unwrap(), [version(1)]);
        }
        fs::remove_file(dir.path().join("releases/1/record.json")).unwrap();
        assert_eq!((releases.list().unwrap(), releases.unrecorded().unwrap()), (vec![], vec![version(1)]));
    }

    #[test]
    fn releases_are_listed_newest_first() {
        let dir = tempdir().unwrap();
        let releases = releases(&dir);
        for number in [2, 10, 9] {
            releases.stage(&record(number, "x"), &files("x")).unwrap();
        }
        fs::create_dir(dir.path().join("releases/007")).unwrap();
        let listed: Vec<u64> = releases.list().unwrap().iter().map(|record| record.version.get()).collect();
        assert_eq!(listed, [10, 9, 2]);
    }

    #[test]
    fn what_is_not_here_is_not_changed() {
        let dir = tempdir().unwrap();
        let releases = releases(&dir);
        assert!(matches!(releases.set_record(&record(1, "x")), Err(ReleasesError::Missing(_))));
        let reserved = BTreeMap::from([(name(RECORD), Vec::new())]);
        assert!(matches!(releases.stage(&record(1, "x"), &reserved), Err(ReleasesError::ReservedName)));
    }

    #[test]
    fn a_staged_release_is_wholly_the_old_or_the_new_whatever_fails() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let first = releases(&dir);
            first.stage(&record(1, "old"), &files("old")).unwrap();
            let result = fault.during(|| first.stage(&record(1, "new"), &files("new")));
            let again = releases(&dir);
            let sentence = again.record(version(1)).unwrap().unwrap().sentence;
            assert!(sentence == "new" || (sentence == "old" && result.is_err()), "{fault:?}");
            for file in files("").keys() {
                let found = again.file(version(1), file).unwrap().unwrap();
                assert_eq!(String::from_utf8(found).unwrap(), sentence, "{fault:?} {file}");
            }
            assert_eq!(again.list().unwrap().len(), 1);
        });
    }

    #[test]
    fn a_record_is_the_old_or_the_new_whatever_fails() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let first = releases(&dir);
            first.stage(&record(1, "old"), &files("one")).unwrap();
            let result = fault.during(|| first.set_record(&record(1, "new")));
            let found = releases(&dir).record(version(1)).unwrap().unwrap();
            assert!(found == record(1, "new") || (found == record(1, "old") && result.is_err()), "{fault:?}");
        });
    }
}
