//! Verifying a log on disk from its first byte to its last.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use tlog_tiles::{HASH_SIZE, Hash};

use super::Origin;
use super::bundle::{EntryBatch, EntryStream, Found};
use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::files::{CHECKPOINT, entries_path};
use super::key::LogVerifier;
use super::tree::{Frontier, HashFiles, TILE};
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
    let mut tile = EntryBatch::default();
    while comparison.frontier.size() < checkpoint.size() {
        let left = usize::try_from(checkpoint.size() - comparison.frontier.size()).unwrap_or(usize::MAX);
        let (count, path) = (left.min(TILE), &path);
        tile.clear();
        durable::step(Step::Read, path, || entries.read_batch(&mut tile, count))?;
        comparison.take(&tile)?;
        tile.entries().for_each(&mut each);
        if tile.len() < count {
            return Err(comparison.ended_early(checkpoint.size()));
        }
    }
    comparison.judge(checkpoint.root())?;
    let (mut unsigned, mut entry) = (0, Vec::new());
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
    fn take(&mut self, tile: &EntryBatch) -> Result<(), DiskError> {
        let Self { stored, frontier, first } = self;
        let mut failed = Ok(());
        frontier.extend(&tile.leaves(), |level, hashes| match stored.compare(level, hashes) {
            Ok(Some(number)) if first.is_none_or(|(lowest, _)| level < lowest) => *first = Some((level, number)),
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
    /// What was read last, for its memory to be used again.
    read: Vec<u8>,
}

impl StoredHashes {
    fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), levels: Vec::new() }
    }

    /// Compares the next hashes of a level: the number of the first that is another, or is not there.
    fn compare(&mut self, level: usize, hashes: &[Hash]) -> Result<Option<u64>, DiskError> {
        if self.levels.len() == level {
            self.levels.push(StoredLevel::open(HashFiles(&self.dir).path(level))?);
        }
        self.levels[level].compare(hashes)
    }
}

impl StoredLevel {
    fn open(path: PathBuf) -> Result<Self, DiskError> {
        let file = path.exists().then(|| durable::step(Step::Read, &path, || File::open(&path))).transpose()?;
        Ok(Self { path, file: file.map(BufReader::new), next: 0, read: Vec::new() })
    }

    fn compare(&mut self, hashes: &[Hash]) -> Result<Option<u64>, DiskError> {
        let Self { path, file, next, read } = self;
        read.clear();
        if let Some(file) = file {
            let length = (hashes.len() * HASH_SIZE) as u64;
            durable::step(Step::Read, path, || file.take(length).read_to_end(read))?;
        }
        let same = hashes.iter().zip(read.as_chunks().0).take_while(|(hash, stored)| hash.0 == **stored).count();
        let first = *next;
        *next += hashes.len() as u64;
        Ok((same < hashes.len()).then_some(first + same as u64))
    }
}
