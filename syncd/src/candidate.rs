//! A candidate: the whole public site that one release would make together with the partner's originals.
//!
//! Building one changes nothing that visitors see. It renders the originals inside the release's framework, decides
//! who serves each path, fills the slots and derives the files that span both.

mod parts;
pub(crate) mod sources;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tieup_generator::{
    Lookalikes, Menus, Search, Surroundings, feeds_with, fill_slots, joint_feed, media_type, site_feeds_with,
    spanning_beside,
};
use tieup_protocol::contract::{Contract, Indexing, MeterClass, Override, Owner};
use tieup_protocol::dense;
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::index::IndexedPage;
use tieup_protocol::manifest::{BlobRef, Entry, EntryKind, Manifest};
use tieup_protocol::merge::{Conflicts, MergePlan, Standing};
use tieup_protocol::path::SitePath;
use tieup_protocol::record::Stock;
use tieup_store::blobs::{BlobBatch, BlobStore, PutBlobError, ReadBlobError};
use tieup_store::cache::Cache;
use tieup_store::durable::DiskError;
use tieup_web::site::{LiveSite, ServedFile};

pub use self::parts::Parts;
use self::parts::{Ingredients, OwnFile, OwnPages};
use crate::shared_site::{Beside, Clashes, LISTED_MENUS, LISTED_PAGES, OtherPages, SearchBeside};
use crate::trust::{Release, Verified};

/// The page for paths where nothing stands. Main's takes its place where the release has one.
const NOT_FOUND: &str = "/404.html";

/// The template it is made from.
const NOT_FOUND_TEMPLATE: &str = "templates/404.html";

/// One path of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergedFile {
    /// The content, slots filled.
    pub blob: BlobRef,
    /// The media type.
    pub media_type: String,
    /// Page, asset or layout.
    pub kind: EntryKind,
    /// Whose it is.
    pub owner: Owner,
}

/// A merged site, its blobs stored durably.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The partner's own address, as its `site.yaml` gives it.
    pub base_url: String,
    /// What would stand at each path.
    #[serde(deserialize_with = "dense::map")]
    pub files: BTreeMap<SitePath, MergedFile>,
    /// The search index, made of the pages in `files`, and of those that were approved of other tie-ups: who approves
    /// them has approved it. For another than the home tie-up, what it tells that one instead: its pages and menus.
    ///
    /// It stands apart, so that a change of words stays one, whatever it changes in the index.
    #[serde(default)]
    pub search: BTreeMap<SitePath, MergedFile>,
    /// Main's content beneath each original that takes its place.
    #[serde(default)]
    pub beneath: BTreeMap<SitePath, BlobRef>,
    /// Where an original would take the place of main's page in an emergency.
    #[serde(default)]
    pub set_aside: BTreeSet<SitePath>,
}

/// Why a candidate could not be built. The public site is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CandidateError {
    /// A path is claimed by both sides.
    #[error("the release and the originals cannot be merged:\n{0}")]
    Conflict(Conflicts),
    /// A path is claimed by two main sites of this partner, or by one and an original beside the other.
    #[error("the release cannot stand beside the partner's other main sites:\n{0}")]
    Taken(Clashes),
    /// The originals have errors.
    #[error("the originals cannot be built:\n{0}")]
    Originals(Report),
    /// The release's framework has errors.
    #[error("the release's theme cannot be used:\n{0}")]
    Framework(Report),
    /// The release's page index is damaged.
    #[error("the release's page index cannot be read")]
    Index(#[source] serde_json::Error),
    /// A blob is missing or damaged.
    #[error("a blob of the release cannot be read")]
    Read(#[from] ReadBlobError),
    /// A blob could not be stored.
    #[error("the merged site cannot be stored")]
    Put(#[from] PutBlobError),
    /// The disk failed.
    #[error("the merged site cannot be stored")]
    Disk(#[from] DiskError),
}

impl CandidateError {
    /// Whether it lies in what release and originals say, so that trying again is no use until one of them changes.
    pub fn is_of_content(&self) -> bool {
        match self {
            Self::Conflict(_) | Self::Originals(_) | Self::Framework(_) | Self::Index(_) => true,
            Self::Taken(clashes) => clashes.is_of_content(),
            Self::Read(_) | Self::Put(_) | Self::Disk(_) => false,
        }
    }
}

/// Where candidates are built.
#[derive(Clone, Copy)]
pub struct Workplace<'a> {
    /// Content.
    pub blobs: &'a BlobStore,
    /// Originals' pictures that were made narrower.
    pub pictures: &'a Cache,
    /// What is known of candidates that were built before.
    pub parts: &'a Parts,
}

impl Candidate {
    /// Builds the site that `release` makes with the originals in `site`. Its sitemap, search, menus and feed tell of what
    /// stands `beside` it too.
    ///
    /// # Errors
    /// See [`CandidateError`].
    pub fn build(
        release: &Verified<Release>,
        site: &Path,
        at: Workplace<'_>,
        standing: Standing,
        beside: Beside,
    ) -> Result<Arc<Self>, CandidateError> {
        let Workplace { blobs, parts, .. } = at;
        let manifest = &release.manifest;
        let inherited = parts.index(&manifest.index, blobs)?;
        let mounts = Some(&release.contract.mounts);
        let among = Surroundings { inherited: &inherited, beside: &beside.menus, mounts };
        let originals = parts.originals(site, manifest, &among, at)?;
        let of = Ingredients { release: release.digest, manifest: manifest.clone(), originals, standing, beside };
        if let Some(known) = parts.candidate(&of, blobs) {
            return Ok(known);
        }
        let made = match parts.model(&of, blobs) {
            Some((model, paths)) => model.revised(&of, &inherited, &paths, blobs)?,
            None => Self::merge(release, &inherited, &of, blobs)?,
        };
        let made = Arc::new(made);
        if of.beside.is_whole() {
            parts.keep(of, made.clone());
        }
        Ok(made)
    }

    /// Merges `release`, whose page index is `inherited`, with the originals in `of`.
    fn merge(
        release: &Verified<Release>,
        inherited: &[IndexedPage],
        of: &Ingredients,
        blobs: &BlobStore,
    ) -> Result<Self, CandidateError> {
        let Ingredients { manifest, originals, standing, beside, .. } = of;
        check_slots(originals, &release.contract)?;
        let plan = plan(release, originals, *standing)?;
        tell_unserved(release, originals);
        let merge = Merge { blobs, batch: blobs.batch(), fills: &originals.slots };
        let mut files = merge.files(&plan, manifest, originals)?;
        let (mains, own) = joined(&files, inherited, &originals.index);
        merge.join_feeds(&mut files, manifest, originals, &placed(&mains, &own, originals, beside))?;
        let pages: Vec<&IndexedPage> = mains.iter().chain(&own).copied().collect();
        let listed = listed(mains, own, release.contract.index);
        let is_taken = |path: &SitePath| files.contains_key(path);
        let spanning = spanning_beside(&originals.base_url, listed, &beside.sitemaps, &is_taken);
        for (path, bytes) in spanning {
            let file = merge.derived(&bytes, media_type(&path))?;
            files.insert(path, file);
        }
        merge.batch.sync()?;
        let search = match &beside.search {
            SearchBeside::Own(others) => search_index(originals.search.as_ref(), &files, &pages, others, blobs)?,
            SearchBeside::Home => told_home(&pages, &originals.menus, blobs)?,
        };
        let beneath = |path: &SitePath| Some((path.clone(), manifest.entries.get(path)?.blob));
        let beneath = plan.overridden().iter().filter_map(beneath).collect();
        Ok(Self { base_url: originals.base_url.clone(), files, search, beneath, set_aside: plan.set_aside().clone() })
    }

    /// The same with other content of main's at `paths`, as `of` has it.
    fn revised(
        &self,
        of: &Ingredients,
        inherited: &[IndexedPage],
        paths: &[SitePath],
        blobs: &BlobStore,
    ) -> Result<Self, CandidateError> {
        let merge = Merge { blobs, batch: blobs.batch(), fills: &of.originals.slots };
        let mut revised = self.clone();
        for (path, entry) in paths.iter().filter_map(|path| Some((path, of.manifest.entries.get(path)?))) {
            if let Some(file) = revised.files.get_mut(path).filter(|file| file.owner == Owner::Main) {
                *file = merge.tieup(entry)?;
            }
            if let Some(beneath) = revised.beneath.get_mut(path) {
                *beneath = entry.blob;
            }
        }
        let (mains, own) = joined(&revised.files, inherited, &of.originals.index);
        let placed = placed(&mains, &own, &of.originals, &of.beside);
        merge.join_feeds(&mut revised.files, &of.manifest, &of.originals, &placed)?;
        merge.batch.sync()?;
        Ok(revised)
    }

    /// How much of it is the partner's own: pages, and the bytes of all files, with those that span both sides' pages.
    pub fn originals(&self) -> Stock {
        let own = || self.files.values().filter(|file| file.owner == Owner::Partner);
        let pages = own().filter(|file| file.kind.is_visited()).count();
        let bytes = own().fold(0_u64, |sum, file| sum.saturating_add(file.blob.length));
        Stock { pages: pages as u64, bytes }
    }

    /// The candidate as the public server takes it.
    pub fn to_live(&self) -> LiveSite {
        let served = |file: &MergedFile| ServedFile {
            blob: file.blob,
            media_type: file.media_type.as_str().into(),
            kind: file.kind,
            class: match file.owner {
                Owner::Main => MeterClass::Tieup,
                Owner::Partner => MeterClass::Original,
            },
        };
        let files = self.search.iter().chain(&self.files);
        let files = files.map(|(path, file)| (path.clone(), served(file))).collect();
        LiveSite { files, ..LiveSite::default() }
    }
}

/// Stores what a merge makes.
struct Merge<'a> {
    blobs: &'a BlobStore,
    batch: BlobBatch<'a>,
    fills: &'a BTreeMap<String, Vec<u8>>,
}

impl Merge<'_> {
    /// What stands at each path of `plan`.
    fn files(
        &self,
        plan: &MergePlan,
        manifest: &Manifest,
        originals: &OwnPages,
    ) -> Result<BTreeMap<SitePath, MergedFile>, CandidateError> {
        let merged = plan.iter().filter_map(|(path, owner)| {
            let merged = match owner {
                Owner::Main => self.tieup(manifest.entries.get(path)?),
                Owner::Partner => Ok(originals.files.get(path)?.file.clone()),
            };
            Some(merged.map(|file| (path.clone(), file)))
        });
        merged.collect()
    }

    fn tieup(&self, entry: &Entry) -> Result<MergedFile, CandidateError> {
        let blob = if entry.slots.iter().any(|slot| self.fills.contains_key(&slot.name)) {
            let page = self.blobs.read(&entry.blob)?;
            self.batch.put(&fill_slots(&page, &entry.slots, self.fills))?
        } else {
            entry.blob
        };
        Ok(MergedFile { blob, media_type: entry.media_type.clone(), kind: entry.kind, owner: Owner::Main })
    }

    /// Puts pages into those feeds in which they have a place: the partner's into main's, those of further main sites into
    /// whosever the feed of the whole site is.
    fn join_feeds(
        &self,
        files: &mut BTreeMap<SitePath, MergedFile>,
        manifest: &Manifest,
        originals: &OwnPages,
        placed: &BTreeMap<SitePath, Placed<'_>>,
    ) -> Result<(), CandidateError> {
        for (path, Placed { own, others }) in placed {
            let Some(file) = files.get_mut(path) else { continue };
            // The partner's own pages stand in its own feed.
            let (feed, pages, most) = match file.owner {
                Owner::Main => {
                    let feed = manifest.entries.get(path).map(|entry| entry.blob);
                    (feed, [own.as_slice(), others.as_slice()].concat(), originals.feed_limits.main)
                }
                Owner::Partner => {
                    let feed = originals.files.get(path).map(|own| own.file.blob);
                    (feed, others.clone(), originals.feed_limits.partner)
                }
            };
            let Some(feed) = feed.filter(|_| !pages.is_empty()) else { continue };
            if let Some(joint) = joint_feed(path, &self.blobs.read(&feed)?, &originals.base_url, &pages, most) {
                file.blob = self.batch.put(&joint)?;
            }
        }
        Ok(())
    }

    fn derived(&self, bytes: &[u8], media_type: &str) -> Result<MergedFile, CandidateError> {
        Ok(MergedFile::derived(self.batch.put(bytes)?, media_type))
    }
}

/// The pages that have a place in one feed.
#[derive(Default)]
struct Placed<'a> {
    /// The partner's own.
    own: Vec<&'a IndexedPage>,
    /// Those of further main sites.
    others: Vec<&'a IndexedPage>,
}

/// The pages that have a place in a feed, by its path.
fn placed<'a>(
    mains: &[&IndexedPage],
    own: &[&'a IndexedPage],
    originals: &OwnPages,
    beside: &'a Beside,
) -> BTreeMap<SitePath, Placed<'a>> {
    let lookalikes = Lookalikes::among(mains, own, &originals.language);
    let mut feeds: BTreeMap<SitePath, Placed<'a>> = BTreeMap::new();
    for page in own {
        let terms = originals.terms.get(&page.path).map_or(&[][..], Vec::as_slice);
        for feed in feeds_with(page, terms, &lookalikes) {
            feeds.entry(feed).or_default().own.push(*page);
        }
    }
    for page in beside.pages() {
        for feed in site_feeds_with(page, &lookalikes) {
            feeds.entry(feed).or_default().others.push(page);
        }
    }
    feeds
}

/// The theme may have more slots than the contract gives to the partner.
fn check_slots(originals: &OwnPages, contract: &Contract) -> Result<(), CandidateError> {
    let foreign = originals.slots.keys().filter(|slot| !contract.slots.contains(slot));
    let problems = foreign.map(|slot| {
        let message = format!("the contract {} does not give you the slot `{slot}`", contract.id);
        let problem = Diagnostic::new("slot-not-given", format!("slots/{slot}"), message);
        match contract.slots.as_slice() {
            [] => problem.help("it gives you none: remove the file, or the menu of that name"),
            given => {
                let yours = given.join(", ");
                problem.help(format!("remove the file, or the menu of that name; these are yours: {yours}"))
            }
        }
    });
    Report::check(problems.collect()).map_err(CandidateError::Originals)
}

impl MergedFile {
    fn derived(blob: BlobRef, media_type: &str) -> Self {
        Self { blob, media_type: media_type.to_owned(), kind: EntryKind::Asset, owner: Owner::Partner }
    }
}

/// The index of `pages` as they will be served and of those of `others`, stored durably; empty where neither side has a
/// search.
fn search_index(
    search: Option<&Search>,
    files: &BTreeMap<SitePath, MergedFile>,
    pages: &[&IndexedPage],
    others: &OtherPages,
    blobs: &BlobStore,
) -> Result<BTreeMap<SitePath, MergedFile>, CandidateError> {
    let Some(search) = search else { return Ok(BTreeMap::new()) };
    let all: Vec<&IndexedPage> = pages.iter().copied().chain(others.iter()).collect();
    let read = |page: &IndexedPage| {
        let file = files.get(&page.path).filter(|file| file.kind == EntryKind::Page);
        file.map_or_else(|| Ok(others.read(&page.path)), |file| blobs.read(&file.blob))
    };
    let batch = blobs.batch();
    let mut index = BTreeMap::new();
    for (path, bytes) in search.index(&all, &read)? {
        let file = MergedFile::derived(batch.put(&bytes)?, media_type(&path));
        index.insert(path, file);
    }
    batch.sync()?;
    Ok(index)
}

/// What the home tie-up is told: the list of `pages` for its search and its feeds, and `menus` for its own. Stored durably.
fn told_home(
    pages: &[&IndexedPage],
    menus: &Menus,
    blobs: &BlobStore,
) -> Result<BTreeMap<SitePath, MergedFile>, CandidateError> {
    let pages = serde_json::to_vec(pages).map_err(CandidateError::Index)?;
    let batch = blobs.batch();
    let mut told = BTreeMap::new();
    for (path, list) in [(LISTED_PAGES, pages), (LISTED_MENUS, menus.to_json())] {
        let file = MergedFile::derived(batch.put(&list)?, "application/json");
        told.extend(static_path(path).map(|path| (path, file)));
    }
    batch.sync()?;
    Ok(told)
}

/// Whether the partner's file at `path` is left out for main's: the page that the theme makes for paths where nothing
/// stands, and what is made from the partner's other pages alone, where main publishes something or owns the path. So
/// nothing that main takes away brings a file of the partner's to light that then stands in the way of a release.
/// Where the partner may override anything, what is made of its pages stands unless main has the same. What the partner
/// wrote itself stays, and conflicts as any page would.
fn is_left_out(path: &SitePath, file: &OwnFile, originals: &OwnPages, release: &Release) -> bool {
    let contract = &release.contract;
    let is_derived = originals.derived.contains(path);
    let is_mains = || contract.mounts.owner(path).0 == Owner::Main || release.manifest.entries.contains_key(path);
    if is_derived && contract.rights.replace == Override::Always {
        return release.manifest.entries.contains_key(path);
    }
    (is_derived || (path.as_str() == NOT_FOUND && file.source.ends_with(NOT_FOUND_TEMPLATE))) && is_mains()
}

/// Tells the operator which lists of terms, their pages and feeds of theirs stand nowhere: they would in main's mounts,
/// and main has none there.
fn tell_unserved(release: &Release, originals: &OwnPages) {
    let is_unserved = |path: &&SitePath| {
        let file = originals.files.get(*path);
        let is_mains = release.manifest.entries.contains_key(*path);
        !is_mains && file.is_some_and(|file| is_left_out(path, file, originals, release))
    };
    let unserved: Vec<&str> = originals.derived.iter().filter(is_unserved).map(SitePath::as_str).collect();
    if let Some(first) = unserved.first() {
        let (release, count) = (release.manifest.version, unserved.len());
        tracing::warn!(
            "{count} paths that your terms and feeds would make, such as {first}, are main's by the contract, and \
             release {release} has nothing there: they are left out. Use a term of main's, or ask for the mount"
        );
    }
}

fn plan(release: &Release, originals: &OwnPages, standing: Standing) -> Result<MergePlan, CandidateError> {
    let files = originals.files.iter().filter(|(path, file)| !is_left_out(path, file, originals, release));
    let sources = files.map(|(path, file)| (path.clone(), file.source.clone())).collect();
    let plan = MergePlan::new(&release.manifest, &sources, &release.contract, standing);
    plan.map_err(|conflicts| CandidateError::Conflict(Conflicts(conflicts)))
}

/// The pages of both indexes that are served, main's and the partner's, originals in place of what they override.
fn joined<'a>(
    files: &BTreeMap<SitePath, MergedFile>,
    inherited: &'a [IndexedPage],
    originals: &'a [IndexedPage],
) -> (Vec<&'a IndexedPage>, Vec<&'a IndexedPage>) {
    let owned = |owner| move |page: &&IndexedPage| files.get(&page.path).is_some_and(|file| file.owner == owner);
    (inherited.iter().filter(owned(Owner::Main)).collect(), originals.iter().filter(owned(Owner::Partner)).collect())
}

/// Those of the served pages that search engines find here.
///
/// A copy that names main's page as the canonical one is not among them: a sitemap has canonical addresses alone.
fn listed<'a>(
    mains: Vec<&'a IndexedPage>,
    own: Vec<&'a IndexedPage>,
    indexing: Indexing,
) -> impl Iterator<Item = &'a IndexedPage> {
    let mains = if indexing == Indexing::Canonical { Vec::new() } else { mains };
    mains.into_iter().chain(own)
}

fn static_path(path: &str) -> Option<SitePath> {
    path.parse().ok()
}
