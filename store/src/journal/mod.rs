//! Journals: append-only C2SP tlog-tiles logs, one for each partner and month.
//!
//! A month's folder:
//! ```text
//! 2026-11/entries      u16 big-endian length and bytes, entry after entry
//! 2026-11/hashes-0     the entries' hashes, 32 bytes each
//! 2026-11/hashes-1     the root of each 256 entries; hashes-2 of each 65,536, and so on
//! 2026-11/checkpoint   the last checkpoint that the log's key signed
//! 2026-11/cosigned     the last checkpoint with main's cosignature
//! ```
//! `entries` and `hashes-*` grow and are never rewritten, so each tile and each entry bundle of the specification is a
//! slice of one of them. `checkpoint` and `cosigned` are replaced whole.
//!
//! Specifications: c2sp.org/tlog-tiles, c2sp.org/tlog-checkpoint, c2sp.org/signed-note, c2sp.org/tlog-cosignature.

mod bundle;
mod checkpoint;
mod entry_file;
mod files;
mod key;
mod mirror;
mod proof;
mod reader;
mod receipt;
#[cfg(test)]
mod tests;
mod tile_path;
mod tree;
mod tree_files;
mod verify;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};

use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
pub use tlog_tiles::Hash;

pub use self::bundle::{EntryBatch, EntryCheck, InvalidBundle, InvalidEntryLength, MAX_ENTRY, split_bundle};
pub use self::checkpoint::{CheckpointError, SignedCheckpoint, signing_key, verify_cosignature};
pub use self::files::OpenError;
pub use self::key::{Cosigner, CosignerVerifier, InvalidKey, LogSigner, LogVerifier, PrivateKey, PublicKey};
pub use self::mirror::{Extended, Mirror, MirrorError};
pub use self::proof::{InclusionProof, InvalidProof, ProofError, ProofKeys, ProveError, Proven};
pub use self::reader::{Entries, JournalReader, ReadError, stored_root};
pub use self::receipt::{SignedText, SignedTextError};
pub use self::tile_path::{InvalidTilePath, TilePath, TileWidth};
pub use self::verify::{VerifiedLog, VerifyError, verify_entries, verify_log};
pub use self::writer::{AppendError, Appender, CosignedError, JournalWriter, Sealer, SignError, keep_cosigned};

use crate::durable::{self, DiskError};

/// The identity of one log: the first line of its checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

impl Origin {
    /// The log of the visits to `partner` in `month`: `nationwide/harbor-shop/2026-11`.
    pub fn new(main: &SiteId, partner: &SiteId, month: Month) -> Self {
        Self(format!("{main}/{partner}/{month}"))
    }

    /// The line as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The folder of one month's log among the journals in `journals`.
pub fn month_dir(journals: &Path, month: Month) -> PathBuf {
    journals.join(month.to_string())
}

/// The note of the last checkpoint that main cosigned, in the month's folder `dir`; none before the first.
///
/// # Errors
/// When it cannot be read.
pub fn cosigned_note(dir: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    durable::read_file(&dir.join(files::COSIGNED))
}

/// The checkpoint that the log in `dir` stands at, as its key signed it.
pub fn checkpoint_note(dir: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    durable::read_file(&dir.join(files::CHECKPOINT))
}

/// The months of which `journals` holds a log, oldest first; none where the folder is missing.
pub fn months(journals: &Path) -> Result<Vec<Month>, DiskError> {
    if !journals.is_dir() {
        return Ok(Vec::new());
    }
    let names = durable::list_dir(journals)?;
    Ok(names.iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect())
}
