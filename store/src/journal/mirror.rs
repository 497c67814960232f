//! A copy of a partner's log that main keeps, and main's receipts for it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Origin;
use super::bundle::{EntryBatch, InvalidEntryLength};
use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::files::{CHECKPOINT, COSIGNED, LogFiles, OpenError, WriteError};
use super::key::{Cosigner, LogVerifier};
use super::reader::JournalReader;
use crate::durable::{self, DiskError};

/// A verified copy of one month's log, in the same files, without its key.
///
/// What it has confirmed is what the log's key has signed for, and hashes to the root that was signed. Entries are taken
/// in before that, bundle by bundle, and wait; a copy that was cut off goes on where it was.
#[derive(Debug)]
pub struct Mirror {
    log: LogFiles,
    checkpoint: Option<SignedCheckpoint>,
}

/// What an accepted checkpoint added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extended {
    /// How many entries were new.
    pub added: u64,
    /// How many entries the copy has now.
    pub size: u64,
}

/// Why a copy was not extended or cosigned. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// An earlier write or sync failed, and what the disk holds is not known. The copy must be opened anew.
    #[error("an earlier failure left {} unsure: it must be opened anew", .0.display())]
    Unsure(PathBuf),
    /// The checkpoint is malformed, of another log, or not signed by the log's key.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An entry is empty or too long.
    #[error(transparent)]
    Entry(#[from] InvalidEntryLength),
    /// The log has become shorter.
    #[error("the log shrank: {held} entries were cosigned, and the checkpoint covers {signed}")]
    Shrunk {
        /// How many entries are held.
        held: u64,
        /// How many the checkpoint covers.
        signed: u64,
    },
    /// Entries are lacking.
    #[error("the log is short: the checkpoint covers {signed} entries, and {given} were given")]
    Short {
        /// How many the checkpoint covers.
        signed: u64,
        /// How many there are, those held and those received together.
        given: u64,
    },
    /// More entries than have been signed for.
    #[error("the checkpoint covers {signed} entries, and {given} were given")]
    Unsigned {
        /// How many the checkpoint covers.
        signed: u64,
        /// How many there are, those held and those received together.
        given: u64,
    },
    /// Two checkpoints of one size: both are signed, and they contradict each other.
    #[error("the log forked: two checkpoints of {size} entries have different roots")]
    Forked {
        /// How many entries both cover.
        size: u64,
    },
    /// The entries held and those received together do not give the root that was signed.
    #[error(
        "the log was rewritten: the {held} entries held and those received do not give the root signed for {signed}"
    )]
    Rewritten {
        /// How many entries are held.
        held: u64,
        /// How many the checkpoint covers.
        signed: u64,
    },
    /// There is no checkpoint to cosign.
    #[error("{} has no checkpoint yet", .0.display())]
    NoCheckpoint(PathBuf),
}

impl MirrorError {
    /// Whether what the log's key signed contradicts what it signed before, or what it hands out.
    pub fn is_contradiction(&self) -> bool {
        match self {
            Self::Shrunk { .. } | Self::Short { .. } | Self::Forked { .. } | Self::Rewritten { .. } => true,
            Self::Disk(_)
            | Self::Unsure(_)
            | Self::Checkpoint(_)
            | Self::Entry(_)
            | Self::Unsigned { .. }
            | Self::NoCheckpoint(_) => false,
        }
    }
}

impl Mirror {
    /// Opens the copy in `dir`, or begins it. Entries that wait for a checkpoint are kept.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let invalid = |source| OpenError::Checkpoint { dir: dir.to_owned(), source };
        let note = durable::read_file(&dir.join(CHECKPOINT))?;
        let checkpoint = note.map(|note| SignedCheckpoint::unverified(&note)).transpose().map_err(invalid)?;
        // Whether those that wait are entries shows when they are confirmed; what is none is fetched again.
        let log = LogFiles::open(dir, checkpoint.as_ref(), |_| true)?;
        Ok(Self { log, checkpoint })
    }

    /// The cosigned checkpoint of the copy in `dir`, where the copy stands at `shown` and main cosigned that.
    ///
    /// Reads the two notes and nothing else of the copy.
    ///
    /// # Errors
    /// When a note cannot be read.
    pub fn receipt(dir: &Path, shown: &SignedCheckpoint) -> Result<Option<String>, OpenError> {
        let invalid = |source| OpenError::Checkpoint { dir: dir.to_owned(), source };
        let alike = |kept: &SignedCheckpoint| (kept.size(), kept.root()) == (shown.size(), shown.root());
        let kept = |name| -> Result<Option<SignedCheckpoint>, OpenError> {
            let note = durable::read_file(&dir.join(name))?;
            Ok(note.map(|note| SignedCheckpoint::unverified(&note)).transpose().map_err(invalid)?.filter(alike))
        };
        let stands = kept(CHECKPOINT)?.is_some();
        Ok(kept(COSIGNED)?.filter(|_| stands).map(|cosigned| cosigned.note().to_owned()))
    }

    /// How many bytes may still be written to the disk that the copy is on.
    ///
    /// # Errors
    /// When the disk does not say.
    pub fn free_space(&self) -> Result<u64, DiskError> {
        durable::free_space(self.log.tree.dir())
    }

    /// How many entries the copy has, those that wait included; those to ask for next begin there.
    pub fn size(&self) -> u64 {
        self.log.tree.frontier().size()
    }

    /// How many entries are confirmed: the checkpoint that the copy stands at covers them.
    pub fn confirmed(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, SignedCheckpoint::size)
    }

    /// The checkpoint that the copy stands at.
    pub fn checkpoint(&self) -> Option<&SignedCheckpoint> {
        self.checkpoint.as_ref()
    }

    /// Takes in the entries from [`Mirror::size`] on, which wait to be confirmed.
    ///
    /// The operating system has them on return. After an error none of them is in the copy.
    pub fn take(&mut self, entries: &[impl AsRef<[u8]>]) -> Result<(), MirrorError> {
        Ok(self.log.append(&EntryBatch::of(entries)?)?)
    }

    /// Confirms all entries that wait.
    ///
    /// The note must be a checkpoint of the log `origin` signed by `key`, no older than the copy, and have the root that
    /// the entries held hash to: all that were confirmed before and all that wait. Durable on return. After an error
    /// nothing more is confirmed than before; after a disk error the copy must be opened anew.
    pub fn confirm(&mut self, note: &[u8], origin: &Origin, key: &LogVerifier) -> Result<Extended, MirrorError> {
        let checkpoint = SignedCheckpoint::open(note, origin, key)?;
        let (confirmed, size) = (self.confirmed(), self.size());
        check_length(confirmed, size, checkpoint.size())?;
        if self.log.tree.frontier().root() != checkpoint.root() {
            return Err(contradiction(confirmed, checkpoint.size()));
        }
        self.log.tree.sync_entries()?;
        self.log.tree.sync_hashes()?;
        if self.checkpoint.as_ref() != Some(&checkpoint) {
            let path = self.log.tree.dir().join(CHECKPOINT);
            // Where it cannot be told whether it was written, no entry that it covers may be dropped.
            durable::write_file(&path, checkpoint.note().as_bytes()).inspect_err(|_| self.log.tree.give_up())?;
            self.checkpoint = Some(checkpoint);
        }
        Ok(Extended { added: size - confirmed, size })
    }

    /// Drops the entries that wait.
    pub fn drop_waiting(&mut self) -> Result<(), MirrorError> {
        let confirmed = self.confirmed();
        let bytes = self.log.entries.end_of(confirmed)?;
        Ok(self.log.cut_to(confirmed, bytes)?)
    }

    /// Cosigns the checkpoint that the copy stands at: main's receipt for the log up to there.
    ///
    /// Gives the note with the cosignature after the signatures already on it, and keeps it. Durable on return.
    pub fn cosign(&mut self, cosigner: &Cosigner, now: Timestamp) -> Result<String, MirrorError> {
        let dir = self.log.tree.dir();
        let checkpoint = self.checkpoint.as_ref().ok_or_else(|| MirrorError::NoCheckpoint(dir.to_owned()))?;
        let note = checkpoint.cosign(cosigner, now)?;
        durable::write_file(&dir.join(COSIGNED), note.as_bytes())?;
        Ok(note)
    }

    /// A reader that sees what this copy takes in.
    pub fn reader(&self) -> JournalReader {
        JournalReader::shared(self.log.tree.dir(), self.log.tree.extent())
    }
}

fn check_length(confirmed: u64, given: u64, signed: u64) -> Result<(), MirrorError> {
    if signed < confirmed {
        Err(MirrorError::Shrunk { held: confirmed, signed })
    } else if signed > given {
        Err(MirrorError::Short { signed, given })
    } else if signed < given {
        Err(MirrorError::Unsigned { signed, given })
    } else {
        Ok(())
    }
}

/// What it means that the entries held do not give the root that was signed.
fn contradiction(confirmed: u64, signed: u64) -> MirrorError {
    if confirmed == signed {
        MirrorError::Forked { size: signed }
    } else {
        MirrorError::Rewritten { held: confirmed, signed }
    }
}

impl From<WriteError> for MirrorError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Disk(error) => Self::Disk(error),
            WriteError::Unsure(dir) => Self::Unsure(dir),
        }
    }
}
