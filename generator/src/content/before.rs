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
            let is_page = old.page.is_some() || new.page.is_some();
            if is_page && (old.digest != new.digest || old.page != new.page) {
                let found = &found[found.binary_search_by(|found| found.path.cmp(&path)).ok()?];
                before.push(self.page_before(found, old, new, config)?);
            }
        }
        Some(before)
    }

    /// The page of a file as it stood when `old` was known of it; none where others would stand otherwise then too.
    fn page_before(
        &self,
        found: &Found,
        old: &Arc<KnownFile>,
        new: &KnownFile,
        config: &SiteConfig,
    ) -> Option<Arc<Page>> {
        let name = Name::parse(found.path.as_str(), &shown(&found.file), config).ok()?;
        let mut draft = Draft::of(found, name, old.recall(found)?, Some(old.clone()));
        let is_alone = draft.name.leaf.is_some() && draft.front.pages_from.is_none();
        if !is_alone && !old.has_front_of(new) {
            return None;
        }
        self.inherit(&mut draft);
        let path = self.path(&draft, config).ok()?;
        let (before, _) = draft.page(path, self.around.as_ref()?);
        let order = (found.path.clone(), 0);
        let now = &self.pages[self.pages.binary_search_by(|page| page.order.cmp(&order)).ok()?];
        (before.text.is_known() && before.life == now.life).then_some(before)
    }
}
