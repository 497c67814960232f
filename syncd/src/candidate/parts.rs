//! What candidates are made of, and those that were made, kept in memory: what is the same as before is neither read nor
//! made again.
//!
//! Everything is known by the digests of what it was made from. Nothing here changes what comes out.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tieup_generator::{Framework, Originals, build_originals_with};
use tieup_protocol::digest::Digest;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::manifest::{BlobRef, Manifest};
use tieup_protocol::merge::Standing;
use tieup_protocol::path::SourcePath;
use tieup_store::blobs::BlobStore;
use tieup_store::cache::Cache;

use super::{Candidate, CandidateError, sources};

/// How many builds of originals and how many candidates are kept: of the live release and of one that waits.
const KEPT: usize = 2;

/// Parts of candidates, and candidates.
#[derive(Default)]
pub struct Parts(Mutex<Known>);

/// What is kept, each with what it was made from; what was used last stands at the end.
#[derive(Default)]
struct Known {
    index: Option<(BlobRef, Arc<Vec<IndexedPage>>)>,
    framework: Option<(FrameworkFiles, Arc<Framework>)>,
    originals: VecDeque<(OriginalsFiles, Arc<Originals>)>,
    candidates: VecDeque<(Ingredients, Arc<Candidate>)>,
}

/// What a framework is made from.
#[derive(Clone, PartialEq, Eq)]
struct FrameworkFiles {
    theme: String,
    files: BTreeMap<SourcePath, BlobRef>,
}

/// What originals are made from.
#[derive(PartialEq, Eq)]
struct OriginalsFiles {
    /// Where they lie, which stands in messages.
    site: PathBuf,
    /// What lies there.
    sources: Digest,
    framework: FrameworkFiles,
    index: BlobRef,
}

/// What a candidate is made from, if nothing stands beside it.
pub(super) struct Ingredients {
    /// The digest of the release's manifest, which names its contract's.
    pub release: Digest,
    /// The originals, as they were made for it.
    pub originals: Arc<Originals>,
    /// Whether an emergency is declared.
    pub standing: Standing,
}

impl PartialEq for Ingredients {
    fn eq(&self, other: &Self) -> bool {
        let originals = Arc::ptr_eq(&self.originals, &other.originals);
        originals && (self.release, self.standing) == (other.release, other.standing)
    }
}

impl Parts {
    /// The page index of a release.
    pub(super) fn index(&self, index: &BlobRef, blobs: &BlobStore) -> Result<Arc<Vec<IndexedPage>>, CandidateError> {
        if let Some((_, pages)) = self.known().index.as_ref().filter(|(known, _)| known == index) {
            return Ok(pages.clone());
        }
        let pages = serde_json::from_slice(&blobs.read(index)?).map_err(CandidateError::Index)?;
        let pages: Arc<Vec<IndexedPage>> = Arc::new(pages);
        self.known().index = Some((*index, pages.clone()));
        Ok(pages)
    }

    /// The framework of a release.
    fn framework(&self, from: &FrameworkFiles, blobs: &BlobStore) -> Result<Arc<Framework>, CandidateError> {
        if let Some((_, framework)) = self.known().framework.as_ref().filter(|(known, _)| known == from) {
            return Ok(framework.clone());
        }
        let mut files = BTreeMap::new();
        for (path, blob) in &from.files {
            files.insert(path.clone(), blobs.read(blob)?);
        }
        let framework = Framework::from_files(&from.theme, files).map_err(CandidateError::Framework)?;
        let framework = Arc::new(framework);
        self.known().framework = Some((from.clone(), framework.clone()));
        Ok(framework)
    }

    /// The originals in the folder `site`, in the framework of the release with `manifest`, whose page index is
    /// `inherited`.
    pub(super) fn originals(
        &self,
        site: &Path,
        manifest: &Manifest,
        inherited: &[IndexedPage],
        blobs: &BlobStore,
        pictures: &Cache,
    ) -> Result<Arc<Originals>, CandidateError> {
        let from = FrameworkFiles { theme: manifest.theme.clone(), files: manifest.framework.clone() };
        let framework = self.framework(&from, blobs)?;
        let sources = sources::digest(site);
        let made_from = |sources| {
            let site = site.to_owned();
            OriginalsFiles { site, sources, framework: from, index: manifest.index }
        };
        let made_from = sources.map(made_from);
        if let Some(known) = made_from.as_ref().and_then(|from| take(&mut self.known().originals, from)) {
            return Ok(known);
        }
        let originals = build_originals_with(pictures, site, &framework, inherited);
        let originals = Arc::new(originals.map_err(CandidateError::Originals)?);
        // If they changed meanwhile, nobody knows what these were made from.
        let is_known = originals.is_of_files_alone && sources::digest(site) == sources;
        if let Some(from) = made_from.filter(|_| is_known) {
            keep(&mut self.known().originals, from, originals.clone());
        }
        Ok(originals)
    }

    /// The candidate that was made of these, if all its content is still here.
    pub(super) fn candidate(&self, of: &Ingredients, blobs: &BlobStore) -> Option<Arc<Candidate>> {
        let candidate = take(&mut self.known().candidates, of)?;
        let is_here = candidate.files.values().chain(candidate.search.values()).all(|file| blobs.contains(&file.blob));
        is_here.then_some(candidate)
    }

    /// Keeps a candidate.
    pub(super) fn keep(&self, of: Ingredients, candidate: Arc<Candidate>) {
        keep(&mut self.known().candidates, of, candidate);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was made `from` this, which is the last used from then on.
fn take<K: PartialEq, V>(known: &mut VecDeque<(K, Arc<V>)>, from: &K) -> Option<Arc<V>> {
    let at = known.iter().position(|(key, _)| key == from)?;
    let (key, value) = known.remove(at)?;
    known.push_back((key, value.clone()));
    Some(value)
}

/// Keeps what was made `from` this, and lets go of what was not used for longest.
fn keep<K: PartialEq, V>(known: &mut VecDeque<(K, Arc<V>)>, from: K, value: Arc<V>) {
    known.retain(|(key, _)| *key != from);
    known.push_back((from, value));
    while known.len() > KEPT {
        known.pop_front();
    }
}
