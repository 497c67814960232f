//! The files of a manifest in one order: what is served by path, then the framework, then the page index.

use std::collections::BTreeMap;

use super::{About, Place};
use crate::manifest::{BlobRef, Entry, EntryKind, Manifest};
use crate::path::{InvalidPath, SitePath, SourcePath};

/// One file of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct File {
    /// Where it goes.
    pub place: Place,
    /// What is said of it. For what is not served this is an asset without a media type.
    pub entry: Entry,
}

/// Every file of a manifest.
pub(super) fn files(manifest: &Manifest) -> impl Iterator<Item = File> {
    let served = manifest.entries.iter().map(|(path, entry)| (Place::Entry(path.to_string()), entry.clone()));
    let framework = manifest.framework.iter().map(|(path, blob)| (Place::Framework(path.to_string()), unserved(*blob)));
    let index = (Place::Index, unserved(manifest.index));
    served.chain(framework).chain([index]).map(|(place, entry)| File { place, entry })
}

fn unserved(blob: BlobRef) -> Entry {
    Entry { blob, kind: EntryKind::Asset, media_type: String::new(), slots: Vec::new() }
}

/// The manifest without its files.
pub(super) fn frame(manifest: &Manifest) -> Manifest {
    let index = BlobRef::of(b"");
    Manifest { entries: BTreeMap::new(), framework: BTreeMap::new(), index, ..manifest.clone() }
}

/// Puts a file into a manifest.
pub(super) fn put(manifest: &mut Manifest, file: File) -> Result<(), InvalidPath> {
    match file.place {
        Place::Entry(path) => {
            manifest.entries.insert(path.parse::<SitePath>()?, file.entry);
        }
        Place::Framework(path) => {
            manifest.framework.insert(path.parse::<SourcePath>()?, file.entry.blob);
        }
        Place::Index => manifest.index = file.entry.blob,
    }
    Ok(())
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
