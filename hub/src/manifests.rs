//! The manifests of releases that were made: in the database as they were signed, and those that were used last in
//! memory too, since a manifest is large and the next release is always told against one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::Manifest;

use crate::partners::{Hub, HubError};

/// How many of a partner's newest releases a next one may be told against.
pub(crate) const BASES: u32 = 4;

/// How many files the manifests in memory have in all, about: a file takes some 300 bytes.
const MOST_FILES: usize = 250_000;

/// A manifest, and the digest of its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The digest.
    pub digest: Digest,
    /// The manifest.
    pub manifest: Manifest,
}

/// The manifests that were used last, the latest at the end.
#[derive(Debug, Default)]
pub(crate) struct Manifests(Mutex<VecDeque<Arc<Known>>>);

impl Manifests {
    /// The manifest that `is_meant` means.
    fn find(&self, is_meant: impl Fn(&Known) -> bool) -> Option<Arc<Known>> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|known| is_meant(known))?;
        let known = recent.remove(at)?;
        recent.push_back(known.clone());
        Some(known)
    }

    /// Keeps a manifest; those that nobody asked for in a long time go.
    pub(crate) fn add(&self, known: Arc<Known>) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|other| other.digest != known.digest);
        recent.push_back(known);
        let files =
            |recent: &VecDeque<Arc<Known>>| recent.iter().map(|known| known.manifest.entries.len()).sum::<usize>();
        while recent.len() > 1 && files(&recent) > MOST_FILES {
            recent.pop_front();
        }
    }

    /// Reads a manifest as it was signed, and keeps it; none where it is damaged, or was forgotten.
    fn read(&self, text: &str) -> Option<Arc<Known>> {
        let manifest = Manifest::parse(text.as_bytes()).ok()?;
        let known = Arc::new(Known { digest: Digest::of(text.as_bytes()), manifest });
        self.add(known.clone());
        Some(known)
    }
}

impl Hub {
    /// The manifest of a release to `partner`; none where there is none that can be read any more.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn manifest(
        &self,
        partner: &SiteId,
        version: ReleaseVersion,
    ) -> Result<Option<Arc<Known>>, HubError> {
        let is_meant = |known: &Known| known.manifest.partner == *partner && known.manifest.version == version;
        if let Some(known) = self.manifests.find(is_meant) {
            return Ok(Some(known));
        }
        let text = self.database.manifest(partner, version).await?;
        Ok(text.and_then(|text| tokio::task::block_in_place(|| self.manifests.read(&text))))
    }

    /// Of the releases with these digests, the first that is among the newest to `partner` before `version`.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn base_among(
        &self,
        partner: &SiteId,
        version: ReleaseVersion,
        digests: &[Digest],
    ) -> Result<Option<Arc<Known>>, HubError> {
        let Some(first) = digests.first() else { return Ok(None) };
        let is_meant = |known: &Known| known.digest == *first && known.manifest.partner == *partner;
        if let Some(known) = self.manifests.find(is_meant) {
            return Ok(Some(known));
        }
        let texts = self.database.manifests_before(partner, version, BASES).await?;
        Ok(tokio::task::block_in_place(|| {
            let known: Vec<Digest> = texts.iter().map(|text| Digest::of(text.as_bytes())).collect();
            let at = digests.iter().find_map(|digest| known.iter().position(|known| known == digest))?;
            self.manifests.read(&texts[at])
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tieup_protocol::manifest::{BlobRef, ContractRef, Entry, EntryKind, FORMAT};
    use tieup_protocol::path::SitePath;

    use super::*;

    /// The first release to partner `number`, with so many files.
    fn known(number: usize, files: usize) -> Arc<Known> {
        let entry = Entry {
            blob: BlobRef::of(b"page"),
            kind: EntryKind::Page,
            media_type: "text/html".to_owned(),
            slots: Vec::new(),
        };
        let path = |file| -> SitePath { format!("/{file}/").parse().unwrap() };
        let partner: SiteId = format!("partner-{number}").parse().unwrap();
        let manifest = Manifest {
            format: FORMAT,
            main: "main".parse().unwrap(),
            contract: ContractRef { id: format!("main/{partner}@1").parse().unwrap(), digest: Digest::of(b"") },
            partner,
            version: ReleaseVersion::FIRST,
            theme: "plain".to_owned(),
            entries: (0..files).map(|file| (path(file), entry.clone())).collect(),
            framework: BTreeMap::new(),
            index: BlobRef::of(b"[]"),
            emergency: None,
        };
        Arc::new(Known { digest: Digest::of(&manifest.to_bytes()), manifest })
    }

    #[test]
    fn what_was_used_last_stays() {
        let manifests = Manifests::default();
        let half = MOST_FILES / 2;
        let [first, second, third, large] = [(1, half), (2, half), (3, half), (4, 3 * half)].map(|(n, f)| known(n, f));
        let has = |known: &Arc<Known>| manifests.find(|other| other.digest == known.digest).is_some();
        manifests.add(first.clone());
        manifests.add(second.clone());
        assert!(has(&second) && has(&first));
        manifests.add(third.clone());
        assert!(has(&first) && has(&third) && !has(&second));
        manifests.add(large.clone());
        assert!(has(&large) && !has(&first), "one stays, however large it is");
    }
}
