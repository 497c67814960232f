//! What a merged site says of the other tie-ups that stand under its address: their sitemaps and menus, and pages to be found.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tieup_generator::Menus;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::manifest::{BlobRef, EntryKind};
use tieup_protocol::path::SitePath;
use tieup_store::blobs::BlobStore;

use super::{LISTED_MENUS, LISTED_PAGES, Share};

/// What stands beside a merged site.
#[derive(Default, PartialEq)]
pub struct Beside {
    /// The sitemaps of the others, which this one's names.
    pub sitemaps: Vec<SitePath>,
    /// Lines of the others' menus that lead to their pages.
    pub menus: Menus,
    /// What becomes of its search.
    pub search: SearchBeside,
}

/// Whose search finds the pages of a merged site.
#[derive(PartialEq)]
pub enum SearchBeside {
    /// Its own, and these pages of others with them.
    Own(OtherPages),
    /// That of the home tie-up, which is told of them.
    Home,
}

/// Pages of other tie-ups, as they are public.
#[derive(Default)]
pub struct OtherPages {
    pages: BTreeMap<SitePath, OtherPage>,
    /// Whether one of them could not be read.
    lacks: AtomicBool,
}

struct OtherPage {
    entry: IndexedPage,
    blob: BlobRef,
    blobs: Arc<BlobStore>,
}

/// Of the same content, wherever that lies.
impl PartialEq for OtherPages {
    fn eq(&self, other: &Self) -> bool {
        let is_same = |(one, other): (&OtherPage, &OtherPage)| one.blob == other.blob && one.entry == other.entry;
        self.pages.len() == other.pages.len() && self.pages.values().zip(other.pages.values()).all(is_same)
    }
}

impl Default for SearchBeside {
    fn default() -> Self {
        Self::Own(OtherPages::default())
    }
}

impl Beside {
    /// Whether each page of others that was asked for could be read. What was made without one is not what would be made
    /// once it is mended.
    pub fn is_whole(&self) -> bool {
        match &self.search {
            SearchBeside::Own(others) => !others.lacks.load(Ordering::Relaxed),
            SearchBeside::Home => true,
        }
    }

    /// The pages of others that this one tells of.
    pub fn pages(&self) -> impl Iterator<Item = &IndexedPage> {
        let others = match &self.search {
            SearchBeside::Own(others) => Some(others),
            SearchBeside::Home => None,
        };
        others.into_iter().flat_map(OtherPages::iter)
    }
}

impl OtherPages {
    /// Every page.
    pub fn iter(&self) -> impl Iterator<Item = &IndexedPage> {
        self.pages.values().map(|page| &page.entry)
    }

    /// Adds a page whose HTML is `blob` among `blobs`.
    pub fn add(&mut self, entry: IndexedPage, blob: BlobRef, blobs: Arc<BlobStore>) {
        self.pages.insert(entry.path.clone(), OtherPage { entry, blob, blobs });
    }

    /// The HTML of the page at `path`; nothing where it is damaged, since what another tie-up has lost keeps no page of
    /// this one from being found.
    pub fn read(&self, path: &SitePath) -> Vec<u8> {
        let read = self.pages.get(path).and_then(|page| page.blobs.read(&page.blob).ok());
        read.unwrap_or_else(|| {
            self.lacks.store(true, Ordering::Relaxed);
            Vec::new()
        })
    }
}

impl Share {
    /// What stands beside this tie-up's merged site now.
    pub fn beside(&self) -> Beside {
        if !self.is_home() {
            return Beside { search: SearchBeside::Home, ..Beside::default() };
        }
        let (mut pages, mut menus) = (OtherPages::default(), Menus::default());
        for number in 1..self.site.parts.len() {
            self.add_pages_of(number, &mut pages);
            self.add_menus_of(number, &mut menus);
        }
        Beside { sitemaps: self.sitemaps(), menus, search: SearchBeside::Own(pages) }
    }

    /// Adds the lines of menus that the tie-up `number` has told of and that lead to pages which it serves.
    fn add_menus_of(&self, number: usize, menus: &mut Menus) {
        let listed = self.site.standing()[number].told.menus;
        let (part, live) = (&self.site.parts[number], self.site.live(number));
        let Some(list) = listed.and_then(|list| part.blobs.read(&list).ok()) else { return };
        match Menus::from_json(&list) {
            Ok(others) => menus.add(others, &|path| live.files.contains_key(path)),
            Err(_) => {
                tracing::warn!(file = LISTED_MENUS, main = %part.main, "the menus of another main site cannot be joined");
            }
        }
    }

    /// Adds the pages that the tie-up `number` serves and has told of.
    fn add_pages_of(&self, number: usize, pages: &mut OtherPages) {
        let listed = self.site.standing()[number].told.pages;
        let (part, live) = (&self.site.parts[number], self.site.live(number));
        let Some(list) = listed.and_then(|list| part.blobs.read(&list).ok()) else { return };
        let Ok(entries) = serde_json::from_slice::<Vec<IndexedPage>>(&list) else {
            tracing::warn!(file = LISTED_PAGES, main = %part.main, "the pages of another main site cannot be listed");
            return;
        };
        for entry in entries {
            if let Some(file) = live.files.get(&entry.path).filter(|file| file.kind == EntryKind::Page) {
                pages.add(entry, file.blob, part.blobs.clone());
            }
        }
    }
}
