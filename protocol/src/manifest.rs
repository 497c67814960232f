//! The release manifest: every path of one release, bound to digest, length and kind.
//!
//! The manifest is the target that TUF signs. It is the order of truth: what a partner serves is looked up here.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};

use crate::contract::ContractId;
use crate::dense;
use crate::digest::Digest;
use crate::ids::{ReleaseVersion, SiteId};
use crate::path::{SitePath, SourcePath};
use crate::portable::{self, UnportablePath};
use crate::record::Stock;

/// The version of the manifest's own format.
pub const FORMAT: u32 = 1;

/// The name of the manifest as a TUF target.
pub const TARGET: &str = "manifest.json";

/// The largest manifest a partner accepts, in bytes.
pub const MAX_MANIFEST: u64 = 64 << 20;

/// The largest single file of a release, in bytes.
pub const MAX_BLOB: u64 = 64 << 20;

/// The largest release, in bytes of distinct content.
pub const MAX_RELEASE: u64 = 8 << 30;

/// The most files of a release.
pub const MAX_FILES: u64 = 1_000_000;

/// About how many bytes an entry has when it is written, so that there is room for all of them from the beginning.
const USUAL_ENTRY: usize = 256;

/// A blob by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobRef {
    /// BLAKE3 of the bytes.
    pub digest: Digest,
    /// How many bytes.
    pub length: u64,
}

impl BlobRef {
    /// The reference to `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { digest: Digest::of(bytes), length: bytes.len() as u64 }
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A page that people read.
    Page,
    /// A file of the site's own: a picture, a feed.
    Asset,
    /// A file of the theme. It may stand in either party's mounts, since the layout is main's everywhere.
    Layout,
    /// A page that sends people on to another one ([`crate::redirect`]).
    Redirect,
}

impl EntryKind {
    /// Whether it stands where people go, and not only what pages load.
    pub fn is_visited(self) -> bool {
        matches!(self, Self::Page | Self::Redirect)
    }
}

/// A named hole in a page: the bytes `at .. at + length` are the default that the partner's fill replaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlotRange {
    /// The slot's name.
    pub name: String,
    /// Where the default begins, in bytes.
    pub at: u64,
    /// How long the default is, in bytes; may be 0.
    pub length: u64,
}

/// One path of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The content.
    pub blob: BlobRef,
    /// What it is.
    pub kind: EntryKind,
    /// The media type, with charset where it is text.
    pub media_type: String,
    /// The slots in it, in order of position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<SlotRange>,
}

/// The contract a release was made under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractRef {
    /// Parties and version.
    pub id: ContractId,
    /// The digest of the document.
    pub digest: Digest,
}

/// One release to one partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Who publishes.
    pub main: SiteId,
    /// For whom.
    pub partner: SiteId,
    /// Which release.
    pub version: ReleaseVersion,
    /// Under which contract.
    pub contract: ContractRef,
    /// The theme's name.
    pub theme: String,
    /// What the partner serves, by path.
    #[serde(deserialize_with = "dense::map")]
    pub entries: BTreeMap<SitePath, Entry>,
    /// The theme's source files (and data they read), from which the partner renders its originals. Not served.
    pub framework: BTreeMap<SourcePath, BlobRef>,
    /// The page index (`crate::index`), a JSON blob. Not served.
    pub index: BlobRef,
    /// Why the main site calls this an emergency; none where it is a release like any other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<String>,
}

/// The most characters of an emergency's reason.
pub const MAX_EMERGENCY: usize = 500;

/// Why bytes are not an acceptable manifest.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// Not JSON of this shape.
    #[error("the manifest does not parse")]
    Json(#[from] serde_json::Error),
    /// A later format.
    #[error("the manifest has format {0}; this version reads format {FORMAT}")]
    Format(u32),
    /// A slot outside its page or overlapping another.
    #[error("{path}: slot `{slot}` lies outside its page or overlaps another")]
    Slot {
        /// The page.
        path: SitePath,
        /// The slot.
        slot: String,
    },
    /// A theme file that browsers would show as a page.
    #[error("{0}: a theme's file may not be a page ({1})")]
    LayoutPage(SitePath, String),
    /// A file or the whole is too large.
    #[error("the release has a file of {0} bytes, or {1} bytes in all; the limits are {MAX_BLOB} and {MAX_RELEASE}")]
    TooLarge(u64, u64),
    /// An emergency without a reason, or with a long one.
    #[error("an emergency has a reason of at most {MAX_EMERGENCY} characters")]
    Emergency,
    /// A directory path with an entry that is no page.
    #[error("{0}: only a page may stand at a path that ends with `/`")]
    NotAPage(SitePath),
    /// A path that not every system can keep, or that is like another one.
    #[error(transparent)]
    Path(#[from] UnportablePath),
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// See [`InvalidManifest`].
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidManifest> {
        let manifest: Self = serde_json::from_slice(bytes)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Checks a manifest that was not read from its bytes but put together: what [`Manifest::parse`] would say of
    /// [`Manifest::to_bytes`].
    ///
    /// # Errors
    /// See [`InvalidManifest`].
    pub fn check(&self) -> Result<(), InvalidManifest> {
        if self.format != FORMAT {
            return Err(InvalidManifest::Format(self.format));
        }
        if self.emergency.as_deref().is_some_and(|reason| !is_reason(reason)) {
            return Err(InvalidManifest::Emergency);
        }
        for (path, entry) in &self.entries {
            if path.is_page() && !entry.kind.is_visited() {
                return Err(InvalidManifest::NotAPage(path.clone()));
            }
            if entry.kind == EntryKind::Layout && is_shown_as_page(&entry.media_type) {
                return Err(InvalidManifest::LayoutPage(path.clone(), entry.media_type.clone()));
            }
            entry.check_slots(path)?;
        }
        self.check_paths()?;
        let largest = self.all_blobs().map(|blob| blob.length).max().unwrap_or(0);
        let total = self.size();
        if largest > MAX_BLOB || total > MAX_RELEASE {
            return Err(InvalidManifest::TooLarge(largest, total));
        }
        Ok(())
    }

    fn check_paths(&self) -> Result<(), UnportablePath> {
        let is_served = |path: &str| path.parse::<SitePath>().is_ok_and(|path| self.entries.contains_key(&path));
        portable::check(self.entries.keys().map(SitePath::as_str), is_served)?;
        portable::check(self.framework.keys().map(SourcePath::as_str), |path| self.framework.contains_key(path))
    }

    /// The bytes that are signed: JSON with paths in order, so that equal manifests have equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity((self.entries.len() + self.framework.len()) * USUAL_ENTRY);
        serde_json::to_writer(&mut bytes, self)
            .expect("a manifest has text keys and no float, so it always serializes");
        bytes
    }

    /// Every blob that the release needs, each once.
    pub fn blobs(&self) -> BTreeSet<BlobRef> {
        self.all_blobs().collect()
    }

    /// Every blob that the release needs, each once, in the order of the files: what is alike stands together.
    pub fn blobs_in_order(&self) -> Vec<BlobRef> {
        let mut known = HashSet::with_capacity(self.entries.len());
        self.all_blobs().filter(|blob| known.insert(*blob)).collect()
    }

    /// How many bytes of distinct content the release has.
    pub fn size(&self) -> u64 {
        let mut known = HashSet::with_capacity(self.entries.len());
        self.all_blobs().filter(|blob| known.insert(*blob)).fold(0, |total, blob| total.saturating_add(blob.length))
    }

    /// How much the partner serves of the release: its pages, and the bytes of all files, as main made them.
    pub fn stock(&self) -> Stock {
        let pages = self.entries.values().filter(|entry| entry.kind.is_visited()).count();
        let bytes = self.entries.values().fold(0_u64, |sum, entry| sum.saturating_add(entry.blob.length));
        Stock { pages: pages as u64, bytes }
    }

    /// The blob of every file, one that several have as often as they are.
    pub fn all_blobs(&self) -> impl Iterator<Item = BlobRef> {
        let served = self.entries.values().map(|entry| entry.blob);
        served.chain(self.framework.values().copied()).chain([self.index])
    }

    /// Whether this manifest publishes the same as `other`, leaving versions and emergencies aside.
    pub fn same_content(&self, other: &Self) -> bool {
        let Self { format, main, partner, version: _, contract, theme, entries, framework, index, emergency: _ } = self;
        (format, main, partner, contract, theme, index)
            == (&other.format, &other.main, &other.partner, &other.contract, &other.theme, &other.index)
            && framework == &other.framework
            && entries == &other.entries
    }
}

/// Whether `text` says something, and not too much of it.
fn is_reason(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= MAX_EMERGENCY
}

/// Whether browsers show a file of this media type as a document of its own that can hold scripts.
fn is_shown_as_page(media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    media_type.contains("html") || (media_type.contains("xml") && !media_type.starts_with("image/svg"))
}

impl Entry {
    fn check_slots(&self, path: &SitePath) -> Result<(), InvalidManifest> {
        let mut free_from = 0;
        for slot in &self.slots {
            let end = slot.at.checked_add(slot.length);
            if slot.at < free_from || end.is_none_or(|end| end > self.blob.length) {
                return Err(InvalidManifest::Slot { path: path.clone(), slot: slot.name.clone() });
            }
            free_from = slot.at + slot.length;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn example() -> Manifest {
        let page = Entry {
            blob: BlobRef::of(b"<p>hello</p>"),
            kind: EntryKind::Page,
            media_type: "text/html; charset=utf-8".to_owned(),
            slots: vec![SlotRange { name: "nav".to_owned(), at: 3, length: 5 }],
        };
        Manifest {
            format: FORMAT,
            main: "nationwide".parse().unwrap(),
            partner: "harbor-shop".parse().unwrap(),
            version: ReleaseVersion::FIRST,
            contract: ContractRef { id: "nationwide/harbor-shop@3".parse().unwrap(), digest: Digest::of(b"contract") },
            theme: "storefront".to_owned(),
            entries: BTreeMap::from([(SitePath::root(), page)]),
            framework: BTreeMap::new(),
            index: BlobRef::of(b"[]"),
            emergency: None,
        }
    }

    #[test]
    fn a_manifest_survives_its_bytes() {
        let manifest = example();
        assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
    }

    #[test]
    fn hostile_manifests_are_refused() {
        let edit = |from: &str, to: &str| {
            let text = String::from_utf8(example().to_bytes()).unwrap();
            assert!(text.contains(from), "{text}");
            Manifest::parse(text.replace(from, to).as_bytes())
        };
        assert!(matches!(edit("\"format\":1", "\"format\":2"), Err(InvalidManifest::Format(2))));
        assert!(matches!(edit("\"at\":3", "\"at\":9"), Err(InvalidManifest::Slot { .. })));
        assert!(matches!(edit("\"at\":3", "\"at\":18446744073709551615"), Err(InvalidManifest::Slot { .. })));
        assert!(matches!(edit("\"kind\":\"page\"", "\"kind\":\"asset\""), Err(InvalidManifest::NotAPage(_))));
        assert!(matches!(edit("\"/\":{", "\"/../etc/\":{"), Err(InvalidManifest::Json(_))));
        assert!(matches!(edit("\"/\":{", "\"/aux/\":{"), Err(InvalidManifest::Path(UnportablePath::Name(..)))));
        assert!(matches!(edit("\"version\":1", "\"version\":0"), Err(InvalidManifest::Json(_))));
    }

    #[test]
    fn content_is_compared_without_versions() {
        let first = example();
        let again = Manifest { version: first.version.next(), ..first.clone() };
        assert!(again.same_content(&first));
        let other = Manifest { theme: "region".to_owned(), ..first.clone() };
        assert!(!other.same_content(&first));
    }
}
