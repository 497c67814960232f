//! Verifying a log on disk from its first byte to its last.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use tlog_tiles::{HASH_SIZE, Hash, record_hash};

use super::Origin;
use super::bundle::{EntryStream, Found};
use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::files::{CHECKPOINT, entries_path};
use super::key::LogVerifier;
use super::tree::{Frontier, HashFiles};
use crate::durable::{self, DiskError, Step};

/// A log that is what its checkpoint was signed for.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedLog {
    /// The checkpoint.
    pub checkpoint: SignedCheckpoint,
    /// How many whole entries follow it, not signed for yet.
    pub unsigned: u64,
}

/// Why a log is not what was signed for. Entries and hashes are counted from 0.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Nothing has been signed for.
    #[error("{} has no checkpoint", .0.display())]
    NoCheckpoint(PathBuf),
    /// The checkpoint is malformed, of another log, or not signed by the log's key.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Entries are lacking at the end.
    #[error("the checkpoint covers {signed} entries, and {found} are there")]
    Short {
        /// How many the checkpoint covers.
        signed: u64,
        /// How many are there.
        found: u64,
    },
    /// An entry is not the one that was hashed: it or one before it was changed, removed, inserted or moved.
    #[error("entry {number} is not the one that was logged")]
    Entry {
        /// The first such entry.
        number: u64,
    },
    /// The entries are those that were signed for; a stored hash is damaged.
    #[error("all entries are those that were logged, but hash {number} in hashes-{level} is damaged")]
    StoredHash {
        /// The tile level.
        level: usize,
        /// The first damaged hash of that level.
        number: u64,
    },
    /// Entries and stored hashes agree with each other and not with the checkpoint.
    #[error(
        "entries and hashes agree, but not with the checkpoint: both were rewritten, or the checkpoint is of a fork"
    )]
    Root,
}

/// Reads the log `origin` in `dir` whole, hashes every entry again, and compares with the stored hashes and with the
/// checkpoint that `key` signed.
///
/// Changes nothing, and may run while the log is being appended to.
pub fn verify_log(dir: &Path, origin: &Origin, key: &LogVerifier) -> Result<VerifiedLog, VerifyError> {
    verify_entries(dir, origin, key, |_| ())
}

/// The same, and gives each entry that the checkpoint covers to `each` from the buffer that it was hashed in, so that a log
/// is verified and counted in one pass.
///
/// What `each` made of the entries is worth nothing unless the log verifies in the end.
pub fn verify_entries(
    dir: &Path,
    origin: &Origin,
    key: &LogVerifier,
    mut each: impl FnMut(&[u8]),
) -> Result<VerifiedLog, VerifyError> {
    let note = durable::read_file(&dir.join(CHECKPOINT))?;
    let note = note.ok_or_else(|| VerifyError::NoCheckpoint(dir.to_owned()))?;
    let checkpoint = SignedCheckpoint::open(&note, origin, key)?;
    let path = entries_path(dir);
    let mut entries = durable::step(Step::Read, &path, || Ok(EntryStream::new(File::open(&path)?, 0)))?;
    let mut comparison = Comparison { stored: StoredHashes::new(dir), frontier: Frontier::default(), first: None };
    let mut entry = Vec::new();
    while comparison.frontier.size() < checkpoint.size() {
        if durable::step(Step::Read, &path, || entries.read(&mut entry))? != Found::Entry {
            return Err(comparison.ended_early(checkpoint.size()));
        }
        comparison.take(&entry)?;
        each(&entry);
    }
    comparison.judge(checkpoint.root())?;
    let mut unsigned = 0;
    while durable::step(Step::Read, &path, || entries.read(&mut entry))? == Found::Entry {
        unsigned += 1;
    }
    Ok(VerifiedLog { checkpoint, unsigned })
}

/// The entries' tree beside the stored hashes.
struct Comparison {
    stored: StoredHashes,
    frontier: Frontier,
    /// The first hash of the lowest level on which one differs: level and number.
    first: Option<(usize, u64)>,
}

impl Comparison {
    fn take(&mut self, entry: &[u8]) -> Result<(), DiskError> {
        let Self { stored, frontier, first } = self;
        let mut failed = Ok(());
        frontier.push(record_hash(entry), |level, hash| match stored.next(level) {
            Ok((_, Some(stored))) if stored == hash => {}
            Ok((number, _)) if first.is_none_or(|(lowest, _)| level < lowest) => *first = Some((level, number)),
            Ok(_) => {}
            Err(error) => failed = Err(error),
        });
        failed
    }

    fn ended_early(&self, signed: u64) -> VerifyError {
        match self.first {
            Some((0, number)) => VerifyError::Entry { number },
            _ => VerifyError::Short { signed, found: self.frontier.size() },
        }
    }

    fn judge(&self, signed: Hash) -> Result<(), VerifyError> {
        match self.first {
            None if self.frontier.root() == signed => Ok(()),
            Some((level, number)) if self.frontier.root() == signed => Err(VerifyError::StoredHash { level, number }),
            Some((0, number)) => Err(VerifyError::Entry { number }),
            _ => Err(VerifyError::Root),
        }
    }
}

/// The stored hashes of each tile level, one after the other.
struct StoredHashes {
    dir: PathBuf,
    levels: Vec<StoredLevel>,
}

struct StoredLevel {
    path: PathBuf,
    /// None where the file is missing.
    file: Option<BufReader<File>>,
    next: u64,
}

impl StoredHashes {
    fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), levels: Vec::new() }
    }

    /// The number of the next hash of a level, and the hash, or `None` where the file ends before it.
    fn next(&mut self, level: usize) -> Result<(u64, Option<Hash>), DiskError> {
        if self.levels.len() == level {
            self.levels.push(StoredLevel::open(HashFiles(&self.dir).path(level))?);
        }
        self.levels[level].next()
    }
}

impl StoredLevel {
    fn open(path: PathBuf) -> Result<Self, DiskError> {
        let file = path.exists().then(|| durable::step(Step::Read, &path, || File::open(&path))).transpose()?;
        Ok(Self { path, file: file.map(BufReader::new), next: 0 })
    }

    fn next(&mut self) -> Result<(u64, Option<Hash>), DiskError> {
        let number = self.next;
        self.next += 1;
        let Some(file) = &mut self.file else { return Ok((number, None)) };
        let mut hash = [0; HASH_SIZE];
        match file.read_exact(&mut hash) {
            Ok(()) => Ok((number, Some(Hash(hash)))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok((number, None)),
            Err(source) => Err(DiskError { step: Step::Read, path: self.path.clone(), source }),
        }
    }
}
