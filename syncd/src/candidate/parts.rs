//! What candidates are made of, and those that were made, kept in memory: what is the same as before is neither read nor
//! made again.
//!
//! Everything is known by the digests of what it was made from. Nothing here changes what comes out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tieup_generator::{
    FeedLimits, Framework, Menus, Originals, Search, Surroundings, build_originals_with, fill_slots,
};
use tieup_protocol::contract::{Mounts, Owner};
use tieup_protocol::digest::Digest;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::manifest::{BlobRef, Manifest};
use tieup_protocol::merge::Standing;
use tieup_protocol::path::{SitePath, SourcePath};
use tieup_store::blobs::BlobStore;

use super::{Candidate, CandidateError, MergedFile, Workplace, sources};
use crate::shared_site::{Beside, SearchBeside};

/// How many builds of originals and how many candidates are kept: of the live release and of one that waits.
const KEPT: usize = 2;

/// Parts of candidates, and candidates.
#[derive(Default)]
pub struct Parts(Mutex<Known>);

/// What is kept, each with what it was made from; what was used last stands at the end.
#[derive(Default)]
struct Known {
    index: Option<(BlobRef, Arc<[IndexedPage]>)>,
    framework: Option<(FrameworkFiles, Arc<Framework>)>,
    originals: VecDeque<(OriginalsFiles, Arc<OwnPages>)>,
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
    /// The menus that stand beside.
    beside: Menus,
    /// Which paths are whose.
    mounts: Option<Mounts>,
}

/// Originals that were built, with their content among the blobs.
pub(super) struct OwnPages {
    /// What stands at each path, slots filled.
    pub files: BTreeMap<SitePath, OwnFile>,
    /// The pages of its terms that each page would stand on.
    pub terms: BTreeMap<SitePath, Vec<SitePath>>,
    /// The paths of what is made from other pages alone.
    pub derived: BTreeSet<SitePath>,
    /// What fills each slot.
    pub slots: BTreeMap<String, Vec<u8>>,
    /// The menus, main's lines with them, each in the languages that it was written for.
    pub menus: Menus,
    /// The index of the pages.
    pub index: Vec<IndexedPage>,
    /// The address of the partner's site.
    pub base_url: String,
    /// The default language of the partner's site.
    pub language: String,
    /// What is found by the site's search, if it has one.
    pub search: Option<Search>,
    /// How long feeds are.
    pub feed_limits: FeedLimits,
}

/// One file of the originals.
pub(super) struct OwnFile {
    /// As it would be served.
    pub file: MergedFile,
    /// The file that it was made from, as messages name it.
    pub source: String,
}

impl OwnPages {
    /// Stores the content of `originals`, durably on return.
    fn store(originals: Originals, blobs: &BlobStore) -> Result<Self, CandidateError> {
        let Originals { output, terms, derived, slots, menus, base_url, language, search, feed_limits, .. } = originals;
        let batch = blobs.batch();
        let mut files = BTreeMap::new();
        for (path, made) in output.files {
            let blob = batch.put(&fill_slots(&made.bytes, &made.slots, &slots))?;
            let media_type = made.media_type.to_owned();
            let file = MergedFile { blob, media_type, kind: made.kind, owner: Owner::Partner };
            files.insert(path, OwnFile { file, source: made.source });
        }
        batch.sync()?;
        let index = output.index;
        Ok(Self { files, terms, derived, slots, menus, index, base_url, language, search, feed_limits })
    }

    fn is_here(&self, blobs: &BlobStore) -> bool {
        self.files.values().all(|own| blobs.contains(&own.file.blob))
    }
}

/// What a candidate is made from.
pub(super) struct Ingredients {
    /// The digest of the release's manifest, which names its contract's.
    pub release: Digest,
    /// The manifest.
    pub manifest: Arc<Manifest>,
    /// The originals, as they were made for it.
    pub originals: Arc<OwnPages>,
    /// Whether an emergency is declared.
    pub standing: Standing,
    /// What of other tie-ups stands beside it.
    pub beside: Beside,
}

impl PartialEq for Ingredients {
    fn eq(&self, other: &Self) -> bool {
        let originals = Arc::ptr_eq(&self.originals, &other.originals);
        originals && (self.release, self.standing, &self.beside) == (other.release, other.standing, &other.beside)
    }
}

impl Ingredients {
    /// The paths at which these have other content than `other`; none where they differ in more.
    fn differing(&self, other: &Self) -> Option<Vec<SitePath>> {
        let (old, new) = (&self.manifest, &other.manifest);
        // The same originals were made in the same framework, beside the same index.
        let originals = Arc::ptr_eq(&self.originals, &other.originals);
        let alike = originals && (self.standing, &self.beside) == (other.standing, &other.beside);
        if !alike || old.contract != new.contract || old.entries.len() != new.entries.len() {
            return None;
        }
        let mut differing = Vec::new();
        for ((path, before), (same, after)) in old.entries.iter().zip(&new.entries) {
            if path != same || before.kind != after.kind {
                return None;
            }
            if before != after {
                differing.push(path.clone());
            }
        }
        Some(differing)
    }
}

impl Parts {
    /// The page index of a release.
    pub(super) fn index(&self, index: &BlobRef, blobs: &BlobStore) -> Result<Arc<[IndexedPage]>, CandidateError> {
        if let Some((_, pages)) = self.known().index.as_ref().filter(|(known, _)| known == index) {
            return Ok(pages.clone());
        }
        let pages: Arc<[IndexedPage]> =
            serde_json::from_slice::<Vec<_>>(&blobs.read(index)?).map_err(CandidateError::Index)?.into();
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
        if let Some(error) = framework.unread_menus() {
            tracing::warn!(%error, "main's menus cannot be read by this version, and are left aside");
        }
        let framework = Arc::new(framework);
        self.known().framework = Some((from.clone(), framework.clone()));
        Ok(framework)
    }

    /// The originals in the folder `site`, in the framework of the release with `manifest`, `among` its pages.
    pub(super) fn originals(
        &self,
        site: &Path,
        manifest: &Manifest,
        among: &Surroundings<'_>,
        at: Workplace<'_>,
    ) -> Result<Arc<OwnPages>, CandidateError> {
        let Workplace { blobs, pictures, .. } = at;
        let from = FrameworkFiles { theme: manifest.theme.clone(), files: manifest.framework.clone() };
        let framework = self.framework(&from, blobs)?;
        let sources = sources::digest(site);
        let made_from = |sources| {
            let (site, beside, mounts) = (site.to_owned(), among.beside.clone(), among.mounts.cloned());
            OriginalsFiles { site, sources, framework: from, index: manifest.index, beside, mounts }
        };
        let made_from = sources.map(made_from);
        let known = made_from.as_ref().and_then(|from| take(&mut self.known().originals, from));
        if let Some(known) = known.filter(|known| known.is_here(blobs)) {
            return Ok(known);
        }
        let originals = build_originals_with(pictures, site, &framework, among);
        let originals = originals.map_err(CandidateError::Originals)?;
        // If they changed meanwhile, nobody knows what these were made from.
        let is_known = originals.is_of_files_alone && sources::digest(site) == sources;
        let originals = Arc::new(OwnPages::store(originals, blobs)?);
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

    /// A candidate that differs from the one made of these in nothing but the content at some of main's paths, and those
    /// paths. Who serves which path and what spans all pages is the same then. All its other content is still here.
    pub(super) fn model(&self, of: &Ingredients, blobs: &BlobStore) -> Option<(Arc<Candidate>, Vec<SitePath>)> {
        let known = self.known();
        let mut models = known.candidates.iter().rev();
        let (candidate, paths) = models.find_map(|(model, made)| Some((made.clone(), model.differing(of)?)))?;
        drop(known);
        let is_here = |(path, file): (&SitePath, &MergedFile)| blobs.contains(&file.blob) || paths.contains(path);
        // A search has words of main's pages; what the home tie-up is told instead has none.
        let says_same = candidate.search.is_empty() || matches!(of.beside.search, SearchBeside::Home);
        let is_whole = says_same && candidate.files.iter().chain(&candidate.search).all(is_here);
        is_whole.then_some((candidate, paths))
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
