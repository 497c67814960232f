//! What a merged site says of the other tie-ups that stand under its address: their sitemaps and menus, and pages to be found.

use std::collections::BTreeMap;
use std::sync::Arc;

use tieup_generator::Menus;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::manifest::{BlobRef, EntryKind};
use tieup_protocol::path::SitePath;
use tieup_store::blobs::BlobStore;

use super::{LISTED_MENUS, LISTED_PAGES, Share};

/// What stands beside a merged site.
#[derive(Default)]
pub struct Beside {
    /// The sitemaps of the others, which this one's names.
    pub sitemaps: Vec<SitePath>,
    /// Lines of the others' menus that lead to their pages.
    pub menus: Menus,
    /// What becomes of its search.
    pub search: SearchBeside,
}

/// Whose search finds the pages of a merged site.
pub enum SearchBeside {
    /// Its own, and these pages of others with them.
    Own(OtherPages),
    /// That of the home tie-up, which is told of them.
    Home,
}

/// Pages of other tie-ups, as they are public.
#[derive(Default)]
pub struct OtherPages(BTreeMap<SitePath, OtherPage>);

struct OtherPage {
    entry: IndexedPage,
    blob: BlobRef,
    blobs: Arc<BlobStore>,
}

impl Default for SearchBeside {
    fn default() -> Self {
        Self::Own(OtherPages::default())
    }
}

impl Beside {
    /// Whether no other tie-up has anything to tell of.
    pub fn is_nothing(&self) -> bool {
        self.pages().next().is_none() && self.sitemaps.is_empty() && self.menus.is_empty()
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
        self.0.values().map(|page| &page.entry)
    }

    /// The HTML of the page at `path`; nothing where it is damaged, since what another tie-up has lost keeps no page of
    /// this one from being found.
    pub fn read(&self, path: &SitePath) -> Vec<u8> {
        let read = self.0.get(path).and_then(|page| page.blobs.read(&page.blob).ok());
        read.unwrap_or_default()
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
                let page = OtherPage { blob: file.blob, blobs: part.blobs.clone(), entry };
                pages.0.insert(page.entry.path.clone(), page);
            }
        }
    }
}
