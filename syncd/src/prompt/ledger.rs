//! Of which release the operator was told by which way, kept across restarts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tieup_protocol::digest::Digest;
use tieup_store::document::{Document, DocumentError};

/// The file in the state folder.
const FILE: &str = "prompts.json";

/// By way, the manifest that was told of last.
pub(super) struct Ledger {
    document: Document<BTreeMap<String, Digest>>,
    told: Mutex<BTreeMap<String, Digest>>,
}

impl Ledger {
    /// The ledger in a state folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn open(state: &Path) -> Result<Self, DocumentError> {
        let document = Document::at(state.join(FILE));
        let told = Mutex::new(document.read()?.unwrap_or_default());
        Ok(Self { document, told })
    }

    /// Whether `manifest` was told of by `way`.
    pub(super) fn has(&self, way: &str, manifest: Digest) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(way) == Some(&manifest)
    }

    /// Notes that `manifest` was told of by `way`. Durable on return.
    ///
    /// It comes after the telling: a crash between them tells twice rather than never.
    ///
    /// # Errors
    /// When the disk refuses. It is remembered until the daemon ends all the same.
    pub(super) fn note(&self, way: &str, manifest: Digest) -> Result<(), DocumentError> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(way.to_owned(), manifest);
        self.document.write(&told)
    }
}
