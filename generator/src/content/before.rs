//! The pages of a content folder as they stood in the build before.

use std::sync::Arc;

use crate::config::SiteConfig;
use crate::dates::History;
use crate::known::{Earlier, KnownFile};
use crate::page::Page;
use crate::source::{Found, shown};

use super::Content;
use super::draft::{Draft, Name};

impl Content {
    /// The pages that say something else than `earlier`, as they stood then; none where more differs than that.
    pub(super) fn before(&self, earlier: &Earlier, found: &[Found], config: &SiteConfig) -> Option<Vec<Arc<Page>>> {
        if earlier.files.len() != found.len() || !matches!(config.history, History::Unknown) {
            return None;
        }
        let mut before = Vec::new();
        for path in earlier.read_anew() {
            let (old, new) = (earlier.files.get(&path)?, self.known.get(&path)?);
            if old.digest == new.digest && old.page == new.page {
                continue;
            }
            let found = &found[found.binary_search_by(|found| found.path.cmp(&path)).ok()?];
            let name = Name::parse(found.path.as_str(), &shown(&found.file), config).ok()?;
            if name.leaf.is_none() && !old.has_front_of(new) {
                // A section gives to those below it, even one that is a draft itself.
                return None;
            }
            if old.page.is_some() || new.page.is_some() {
                before.push(self.page_before(found, name, old, config)?);
            }
        }
        Some(before)
    }

    /// The page of a file as it stood when `old` was known of it; none where it stood elsewhere, or not at all.
    fn page_before(&self, found: &Found, name: Name, old: &Arc<KnownFile>, config: &SiteConfig) -> Option<Arc<Page>> {
        let mut draft = Draft::of(found, name, old.recall(found)?, Some(old.clone()));
        self.inherit(&mut draft);
        let path = self.path(&draft, config).ok()?;
        old.page.as_ref().filter(|(known, _)| *known == path)?;
        let (before, _) = draft.page(path, self.around.as_ref()?);
        let order = (found.path.clone(), 0);
        let now = &self.pages[self.pages.binary_search_by(|page| page.order.cmp(&order)).ok()?];
        let same = before.text.is_known() && before.life == now.life;
        let text = before.text.gone();
        same.then(|| Arc::new(Page { text, ..Arc::unwrap_or_clone(before) }))
    }
}
