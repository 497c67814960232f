//! Making what differs from the build before, where a few pages say something else and that is all.

use std::sync::Arc;

use tieup_protocol::diagnostic::Report;
use tieup_protocol::index::IndexedPage;

use crate::base::Base;
use crate::build::Build;
use crate::discovery;
use crate::known::Records;
use crate::links::Texts;
use crate::maker::Shelf;
use crate::page::Page;
use crate::view::View;

use super::{Site, report};

impl Site {
    /// Makes what of the main site's own tree comes out otherwise than in the build before, which left `records`, and
    /// whose files are on the shelf; none where more may differ than what a few texts show.
    ///
    /// # Errors
    /// What is wrong with what is made.
    pub(crate) fn revise_main(&self, onto: &dyn Shelf, records: &Records) -> Option<Result<(), Report>> {
        // The search index needs the words of all pages.
        let before = self.content.before.as_ref().filter(|_| self.config.search.is_none())?;
        self.with_main(|build| {
            let pages = standing(build.pages, before);
            let (prepared, problems) = Build { pages: &pages, ..*build }.prepare(|_| Texts::New);
            if !problems.is_empty() {
                return None;
            }
            let base = Base::new(prepared, pages.len(), records);
            let revision = base.revision(build)?;
            let alike = |page: &Arc<Page>| spans_alike(base.view(), &revision.view, page);
            if !revision.pages.iter().all(alike) {
                return None;
            }
            let revised = base.make(build, revision, onto)?;
            self.progress.add_cached(base.pages().saturating_sub(self.progress.rendered() + self.progress.cached()));
            // Giving back the memory of many pages piece by piece takes its time.
            std::mem::forget(base);
            Some(revised.map(drop).map_err(report))
        })
    }
}

/// `pages` with those of `before` in their places.
fn standing(pages: &[Arc<Page>], before: &[Arc<Page>]) -> Vec<Arc<Page>> {
    let mut pages = pages.to_vec();
    for page in before {
        if let Ok(at) = pages.binary_search_by(|other| other.order.cmp(&page.order)) {
            pages[at] = page.clone();
        }
    }
    pages
}

/// Whether files that span all pages are the same, whichever of both views has `page`.
fn spans_alike(old: &View, new: &View, page: &Page) -> bool {
    let Some(at) = new.at(&page.entry.path) else { return false };
    let told = |view| IndexedPage { title: String::new(), description: None, ..discovery::indexed(view, at) };
    let order = |view: &View| view.parent(at).and_then(|parent| Some(view.listing(parent)?.pages.clone()));
    told(old) == told(new) && order(old) == order(new)
}
