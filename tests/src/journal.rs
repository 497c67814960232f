//! A partner's journal as the partner itself could falsify it: its own key, other entries.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tieup_protocol::period::Month;
use tieup_store::journal::{JournalReader, JournalWriter, LogSigner, LogVerifier, Origin, month_dir};
use tieup_syncd::identity::Identity;

use crate::world::World;

/// One month of a partner's journal on disk, while its daemon is stopped.
pub struct JournalOnDisk {
    /// The month's folder.
    pub dir: PathBuf,
    /// The log's identity.
    pub origin: Origin,
    /// The partner's own key.
    pub signer: LogSigner,
}

impl JournalOnDisk {
    /// The journal of `month` below a partner's state folder.
    pub fn open(state: &Path, month: Month) -> Self {
        let identity = Identity::load(state).unwrap_or_else(|error| panic!("the partner's identity: {error}"));
        let signer = identity.journal_key.parse().unwrap_or_else(|error| panic!("the journal's key: {error}"));
        let origin = Origin::new(&identity.main, &identity.partner, month);
        Self { dir: month_dir(&state.join("journal"), month), origin, signer }
    }

    /// The entries that are there.
    pub fn entries(&self) -> Vec<Vec<u8>> {
        let reader = JournalReader::open(&self.dir).unwrap_or_else(|error| panic!("the journal: {error}"));
        let entries = reader.entries(0..reader.size()).and_then(Iterator::collect);
        entries.unwrap_or_else(|error| panic!("the journal's entries: {error}"))
    }

    /// Replaces the log by one of these entries, signed with `signer`: whole and consistent in itself.
    pub fn replace(&self, entries: &[Vec<u8>], signer: &LogSigner) {
        fs::remove_dir_all(&self.dir).unwrap_or_else(|error| panic!("{}: {error}", self.dir.display()));
        let writer = JournalWriter::open(&self.dir, self.origin.clone(), signer.clone());
        let mut writer = writer.unwrap_or_else(|error| panic!("a new journal: {error}"));
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        writer.append(&entries).unwrap_or_else(|error| panic!("entries of the new journal: {error}"));
        writer.checkpoint().unwrap_or_else(|error| panic!("the new journal's checkpoint: {error}"));
    }
}

impl World {
    /// The month that `partner` logs now.
    pub fn month(&self, partner: &str) -> Month {
        let months = self.daemon(partner).journal().months();
        let months = months.unwrap_or_else(|error| panic!("the journals of `{partner}`: {error}"));
        *months.last().unwrap_or_else(|| panic!("`{partner}` has logged nothing yet"))
    }

    /// The public half of the key that signs `partner`'s journal.
    pub fn journal_key(&self, partner: &str) -> LogVerifier {
        let key = self.daemon(partner).identity().journal_key.parse::<LogSigner>();
        key.unwrap_or_else(|error| panic!("the journal key of `{partner}`: {error}")).verifier()
    }

    /// Main's copies of `partner`'s journals.
    pub fn mirrors(&self, partner: &str) -> PathBuf {
        self.hub().config.state.join("journals").join(partner)
    }

    /// Every file of main's copies of `partner`'s journals, byte for byte.
    pub fn mirror_bytes(&self, partner: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        files_below(&self.mirrors(partner))
    }
}

impl World {
    /// Puts a log of main's own in place of the copy that `partner` holds, with the first entry changed and main's own
    /// signature.
    pub fn fork_mains_log(&self, partner: &str, month: Month) {
        let copy = self.state(partner).join(format!("main-journal/{month}"));
        let reader = JournalReader::open(&copy).unwrap_or_else(|error| panic!("the copy: {error}"));
        let entries = reader.entries(0..reader.size()).and_then(Iterator::collect);
        let mut entries: Vec<Vec<u8>> = entries.unwrap_or_else(|error| panic!("the copy's entries: {error}"));
        entries[0][3] ^= 1;
        let signer = self.hub().keys.journal().unwrap_or_else(|error| panic!("main's journal key: {error}"));
        JournalOnDisk { dir: copy, origin: self.hub().own_origin(month), signer: signer.clone() }
            .replace(&entries, &signer);
    }
}

/// Every file below `folder` with its bytes; none where the folder is missing.
pub fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let found = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
    let files = found.filter(|entry| entry.file_type().is_file());
    files.filter_map(|entry| Some((entry.path().to_owned(), fs::read(entry.path()).ok()?))).collect()
}
