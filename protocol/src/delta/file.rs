//! The files of a manifest in one order: what is served by path, then the framework, then the page index.

use std::borrow::Cow;
use std::collections::{BTreeMap, btree_map};

use super::{About, Place};
use crate::manifest::{BlobRef, Entry, EntryKind, Manifest};
use crate::path::{SitePath, SourcePath};

/// One file of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File<'a> {
    /// Where it is.
    pub at: At<'a>,
    /// What is said of it. For what is not served this is an asset without a media type.
    pub entry: Cow<'a, Entry>,
}

/// Where a file of a manifest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum At<'a> {
    /// At a path that is served.
    Entry(&'a SitePath),
    /// In the framework.
    Framework(&'a SourcePath),
    /// It is the page index.
    Index,
}

/// Every file of a manifest, in order.
#[derive(Clone, Debug)]
pub(super) struct Files<'a> {
    entries: btree_map::Iter<'a, SitePath, Entry>,
    framework: btree_map::Iter<'a, SourcePath, BlobRef>,
    index: Option<BlobRef>,
}

impl<'a> Files<'a> {
    /// Those of `manifest`.
    pub(super) fn of(manifest: &'a Manifest) -> Self {
        let (entries, framework) = (manifest.entries.iter(), manifest.framework.iter());
        Self { entries, framework, index: Some(manifest.index) }
    }
}

impl<'a> Iterator for Files<'a> {
    type Item = File<'a>;

    fn next(&mut self) -> Option<File<'a>> {
        if let Some((path, entry)) = self.entries.next() {
            return Some(File { at: At::Entry(path), entry: Cow::Borrowed(entry) });
        }
        if let Some((path, blob)) = self.framework.next() {
            return Some(File { at: At::Framework(path), entry: Cow::Owned(unserved(*blob)) });
        }
        self.index.take().map(|blob| File { at: At::Index, entry: Cow::Owned(unserved(blob)) })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.entries.len() + self.framework.len() + usize::from(self.index.is_some());
        (left, Some(left))
    }
}

impl ExactSizeIterator for Files<'_> {}

fn unserved(blob: BlobRef) -> Entry {
    Entry { blob, kind: EntryKind::Asset, media_type: String::new(), slots: Vec::new() }
}

/// The manifest without its files.
pub(super) fn frame(manifest: &Manifest) -> Manifest {
    let Manifest { format, main, partner, version, contract, theme, entries: _, framework: _, index: _, emergency } =
        manifest;
    Manifest {
        format: *format,
        main: main.clone(),
        partner: partner.clone(),
        version: *version,
        contract: contract.clone(),
        theme: theme.clone(),
        entries: BTreeMap::new(),
        framework: BTreeMap::new(),
        index: BlobRef::of(b""),
        emergency: emergency.clone(),
    }
}

impl From<At<'_>> for Place {
    fn from(at: At<'_>) -> Self {
        match at {
            At::Entry(path) => Self::Entry(path.to_string()),
            At::Framework(path) => Self::Framework(path.to_string()),
            At::Index => Self::Index,
        }
    }
}

impl Place {
    /// How many bytes the path has.
    pub(super) fn length(&self) -> usize {
        match self {
            Self::Entry(path) | Self::Framework(path) => path.len(),
            Self::Index => 0,
        }
    }
}

impl About {
    /// What is said of a file beside its content.
    pub(super) fn of(entry: &Entry) -> Self {
        Self { kind: entry.kind, media_type: entry.media_type.clone() }
    }
}
