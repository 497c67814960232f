//! A copy of a partner's log that main keeps, and main's receipts for it.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Origin;
use super::bundle::InvalidEntryLength;
use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::files::{Addition, CHECKPOINT, COSIGNED, LogFiles, OpenError, Tail, WriteError};
use super::key::{Cosigner, LogVerifier};
use super::reader::JournalReader;
use crate::durable::{self, DiskError};

/// A verified copy of one month's log, in the same files, without its key.
///
/// It holds what the log's key has signed for and nothing else: entries come in only with a checkpoint whose root they
/// give.
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

impl Mirror {
    /// Opens the copy in `dir`, or begins it.
    ///
    /// What a crash left of entries without their checkpoint is removed.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let invalid = |source| OpenError::Checkpoint { dir: dir.to_owned(), source };
        let note = durable::read_file(&dir.join(CHECKPOINT))?;
        let checkpoint = note.map(|note| SignedCheckpoint::unverified(&note)).transpose().map_err(invalid)?;
        let log = LogFiles::open(dir, Tail::Drop, checkpoint.as_ref())?;
        Ok(Self { log, checkpoint })
    }

    /// How many entries the copy has; those to ask for next begin there.
    pub fn size(&self) -> u64 {
        self.log.frontier().size()
    }

    /// The checkpoint that the copy stands at.
    pub fn checkpoint(&self) -> Option<&SignedCheckpoint> {
        self.checkpoint.as_ref()
    }

    /// Takes in the entries from [`Mirror::size`] on, up to those that the checkpoint `note` covers.
    ///
    /// Nothing is written unless the note is a checkpoint of the log `origin` signed by `key`, is no older than the copy,
    /// and has the root that the entries held and those given hash to. Durable on return. After a disk error ask for
    /// [`Mirror::size`] again: the entries may be in while their checkpoint is not.
    pub fn extend(
        &mut self,
        entries: &[impl AsRef<[u8]>],
        note: &[u8],
        origin: &Origin,
        key: &LogVerifier,
    ) -> Result<Extended, MirrorError> {
        let checkpoint = SignedCheckpoint::open(note, origin, key)?;
        let held = self.size();
        check_length(held, entries.len() as u64, checkpoint.size())?;
        let addition = self.log.prepare(entries)?;
        check_root(held, &addition, &checkpoint)?;
        self.log.commit(addition)?;
        self.log.sync()?;
        if self.checkpoint.as_ref() != Some(&checkpoint) {
            durable::write_file(&self.log.dir().join(CHECKPOINT), checkpoint.note().as_bytes())?;
            self.checkpoint = Some(checkpoint);
        }
        Ok(Extended { added: self.size() - held, size: self.size() })
    }

    /// Cosigns the checkpoint that the copy stands at: main's receipt for the log up to there.
    ///
    /// Gives the note with the cosignature after the signatures already on it, and keeps it. Durable on return.
    pub fn cosign(&mut self, cosigner: &Cosigner, now: Timestamp) -> Result<String, MirrorError> {
        let dir = self.log.dir();
        let checkpoint = self.checkpoint.as_ref().ok_or_else(|| MirrorError::NoCheckpoint(dir.to_owned()))?;
        let note = checkpoint.cosign(cosigner, now)?;
        durable::write_file(&dir.join(COSIGNED), note.as_bytes())?;
        Ok(note)
    }

    /// A reader that sees what this copy takes in.
    pub fn reader(&self) -> JournalReader {
        JournalReader::shared(self.log.dir(), self.log.extent())
    }
}

fn check_length(held: u64, received: u64, signed: u64) -> Result<(), MirrorError> {
    let given = held + received;
    if signed < held {
        Err(MirrorError::Shrunk { held, signed })
    } else if signed > given {
        Err(MirrorError::Short { signed, given })
    } else if signed < given {
        Err(MirrorError::Unsigned { signed, given })
    } else {
        Ok(())
    }
}

fn check_root(held: u64, addition: &Addition, checkpoint: &SignedCheckpoint) -> Result<(), MirrorError> {
    if addition.frontier.root() == checkpoint.root() {
        Ok(())
    } else if held == checkpoint.size() {
        Err(MirrorError::Forked { size: held })
    } else {
        Err(MirrorError::Rewritten { held, signed: checkpoint.size() })
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
