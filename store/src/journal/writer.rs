//! Writing a log: append, and sign for what has been appended.

use std::ops::Range;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::bundle::{EntryBatch, EntryCheck, InvalidEntryLength};
use super::checkpoint::{CheckpointError, SignedCheckpoint, verify_cosignature};
use super::entry_file::EntryFile;
use super::files::{CHECKPOINT, COSIGNED, LogFiles, OpenError, WriteError};
use super::key::{CosignerVerifier, LogSigner, LogVerifier};
use super::reader::{JournalReader, ReadError};
use super::tree_files::TreeFiles;
use super::{Origin, cosigned_note};
use crate::durable::{self, DiskError};

/// The one writer of a month's log: both halves of it in one hand.
#[derive(Debug)]
pub struct JournalWriter {
    appender: Appender,
    sealer: Sealer,
}

/// The half of a writer that appends. It neither hashes nor waits for the disk.
#[derive(Debug)]
pub struct Appender(EntryFile);

/// The half of a writer that hashes what has been appended and signs for it, beside whoever appends.
#[derive(Debug)]
pub struct Sealer {
    tree: TreeFiles,
    origin: Origin,
    key: LogSigner,
    signed: Option<SignedCheckpoint>,
}

/// Why entries were not appended. None of them was.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// An entry is empty or too long.
    #[error(transparent)]
    Entry(#[from] InvalidEntryLength),
    /// An earlier write or sync failed, and what the disk holds is not known. The log must be opened anew.
    #[error("an earlier failure left {} unsure: it must be opened anew", .0.display())]
    Unsure(PathBuf),
}

/// Why no checkpoint was signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The key could not sign.
    #[error("the checkpoint could not be signed")]
    Sign(#[from] CheckpointError),
    /// An earlier write or sync failed, and what the disk holds is not known. The log must be opened anew.
    #[error("an earlier failure left {} unsure: it must be opened anew", .0.display())]
    Unsure(PathBuf),
}

/// Why a cosigned checkpoint was not kept.
#[derive(Debug, thiserror::Error)]
pub enum CosignedError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is not ours, or not cosigned by the expected key.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log cannot be read up to there.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It has our signature and another root.
    #[error("the cosigned checkpoint of {size} entries has another root than this log")]
    OtherRoot {
        /// How many entries it covers.
        size: u64,
    },
    /// It covers less than the one that is kept: what main has confirmed already is not forgotten.
    #[error("the cosigned checkpoint covers {size} entries, and the one that is kept {kept}")]
    Older {
        /// How many entries it covers.
        size: u64,
        /// How many the one covers that is kept.
        kept: u64,
    },
}

impl JournalWriter {
    /// Opens the log `origin` in `dir` for appending, or begins it.
    ///
    /// What a crash left is put right: a last entry that is cut off is removed, missing hashes are computed. A log that
    /// holds less than its checkpoint was signed for, or something else, is an error, and no whole entry is touched. One
    /// process opens a log for appending at a time. Hash files hold nothing that the entries do not: where only they are
    /// damaged, removing them mends the log.
    pub fn open(dir: &Path, origin: Origin, key: LogSigner) -> Result<Self, OpenError> {
        Self::open_checked(dir, origin, key, |_| true)
    }

    /// The same, where not all bytes are an entry by `is_entry`.
    ///
    /// After the machine lost power an entry may have its length and zeros: of what is not signed for yet, the log ends
    /// before the first that is no entry. What is hashed and signed nobody can take out again.
    pub fn open_checked(dir: &Path, origin: Origin, key: LogSigner, is_entry: EntryCheck) -> Result<Self, OpenError> {
        let invalid = |source| OpenError::Checkpoint { dir: dir.to_owned(), source };
        let note = durable::read_file(&dir.join(CHECKPOINT))?;
        let signed = note.map(|note| SignedCheckpoint::open(&note, &origin, &key.verifier())).transpose();
        let signed = signed.map_err(invalid)?;
        let LogFiles { entries, tree } = LogFiles::open(dir, signed.as_ref(), is_entry)?;
        Ok(Self { appender: Appender(entries), sealer: Sealer { tree, origin, key, signed } })
    }

    /// How many entries the log has.
    pub fn size(&self) -> u64 {
        self.appender.size()
    }

    /// Appends entries in this order, and gives the numbers they got. See [`Appender::append`].
    pub fn append(&mut self, entries: &[impl AsRef<[u8]>]) -> Result<Range<u64>, AppendError> {
        self.appender.append(&EntryBatch::of(entries)?)
    }

    /// Signs for all entries. See [`Sealer::checkpoint`].
    pub fn checkpoint(&mut self) -> Result<SignedCheckpoint, SignError> {
        self.sealer.checkpoint()
    }

    /// Keeps a checkpoint that came back cosigned. See [`Sealer::keep_cosigned`].
    pub fn keep_cosigned(&mut self, note: &str, cosigner: &CosignerVerifier) -> Result<Timestamp, CosignedError> {
        self.sealer.keep_cosigned(note, cosigner)
    }

    /// A reader that sees what this writer appends.
    pub fn reader(&self) -> JournalReader {
        self.sealer.reader()
    }

    /// The two halves, for two threads.
    pub fn into_halves(self) -> (Appender, Sealer) {
        (self.appender, self.sealer)
    }
}

impl Appender {
    /// How many entries the log has.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Appends the entries of `batch`, and gives the numbers they got.
    ///
    /// On return they have been handed to the operating system: the end of this process loses none of them. They are
    /// durable with the next checkpoint. After an error none of them is in the log.
    pub fn append(&mut self, batch: &EntryBatch) -> Result<Range<u64>, AppendError> {
        Ok(self.0.append(batch)?)
    }
}

impl Sealer {
    /// Which log this is.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Hashes what has been appended. Nothing is durable by that; the next checkpoint has less left to do.
    ///
    /// # Errors
    /// When the disk refuses. Where it is then unsure what the disk holds, nothing is appended either until the log was opened
    /// anew.
    pub fn hash_appended(&mut self) -> Result<(), SignError> {
        Ok(self.tree.hash_up_to(self.tree.written())?)
    }

    /// Waits until what has been appended is on the disk, hashes it, waits for the hashes too, and signs for it. Where the last
    /// checkpoint covers everything, gives that one again.
    ///
    /// Durable on return, the entries included; they are too where they could not be hashed or signed for. Entries may be
    /// appended meanwhile; the next checkpoint covers them.
    pub fn checkpoint(&mut self) -> Result<SignedCheckpoint, SignError> {
        let size = self.tree.written();
        if let Some(signed) = self.signed.as_ref().filter(|signed| signed.size() == size) {
            return Ok(signed.clone());
        }
        // Synced before it is signed: what is signed for must not be lost. And before it is hashed: visits are taken, and
        // answered, where there is no room for their hashes.
        self.tree.sync_entries()?;
        self.tree.hash_up_to(size)?;
        self.tree.sync_hashes()?;
        let frontier = self.tree.frontier();
        let signed = SignedCheckpoint::sign(&self.origin, frontier.size(), frontier.root(), &self.key)?;
        durable::write_file(&self.tree.dir().join(CHECKPOINT), signed.note().as_bytes())?;
        Ok(self.signed.insert(signed).clone())
    }

    /// Keeps a checkpoint that came back cosigned, and tells when it was cosigned.
    ///
    /// It must be a checkpoint of this log with this log's root, and no older than the one that is kept. Durable on return.
    pub fn keep_cosigned(&mut self, note: &str, cosigner: &CosignerVerifier) -> Result<Timestamp, CosignedError> {
        keep_cosigned(&self.reader(), note, (&self.origin, &self.key.verifier()), cosigner)
    }

    /// A reader that sees what is appended.
    pub fn reader(&self) -> JournalReader {
        JournalReader::shared(self.tree.dir(), self.tree.extent())
    }
}

/// Keeps a checkpoint that came back cosigned, of a log that is only read here, and tells when it was cosigned.
///
/// It must be a checkpoint of the log `origin` that `key` signed, with the root of what `reader` reads, and no older than the
/// one that is kept. Durable on return.
pub fn keep_cosigned(
    reader: &JournalReader,
    note: &str,
    (origin, key): (&Origin, &LogVerifier),
    cosigner: &CosignerVerifier,
) -> Result<Timestamp, CosignedError> {
    let checkpoint = SignedCheckpoint::open(note.as_bytes(), origin, key)?;
    let time = verify_cosignature(note.as_bytes(), cosigner)?;
    if reader.root_at(checkpoint.size())? != checkpoint.root() {
        return Err(CosignedError::OtherRoot { size: checkpoint.size() });
    }
    // What cannot be read is a receipt for nothing, and gives way.
    let kept = cosigned_note(reader.dir())?.and_then(|kept| SignedCheckpoint::unverified(&kept).ok());
    if let Some(kept) = kept.filter(|kept| kept.size() > checkpoint.size()) {
        return Err(CosignedError::Older { size: checkpoint.size(), kept: kept.size() });
    }
    durable::write_file(&reader.dir().join(COSIGNED), note.as_bytes())?;
    Ok(time)
}

impl From<WriteError> for AppendError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Disk(error) => Self::Disk(error),
            WriteError::Unsure(dir) => Self::Unsure(dir),
        }
    }
}

impl From<WriteError> for SignError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Disk(error) => Self::Disk(error),
            WriteError::Unsure(dir) => Self::Unsure(dir),
        }
    }
}
