//! The shapes of the pages that are served or were compared with those lately, so that of a page that comes only what is new is
//! read.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tieup_protocol::change::Risks;
use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::BlobRef;
use tieup_protocol::shape::PageShape;

use crate::candidate::Candidate;

/// Of so many pages more than sites have, one in this number, the shapes are kept until there are more.
const SPARE: usize = 8;

/// Shapes of pages by their content. Kept in memory alone: what is missing is read again.
#[derive(Debug, Default)]
pub struct Shapes(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    pages: HashMap<Digest, Arc<PageShape>>,
    /// What pages bring, each once: it is the same for most pages of a site.
    risks: HashSet<Arc<Risks>>,
}

impl Shapes {
    /// The shape of a page, if it is known.
    pub fn get(&self, page: &BlobRef) -> Option<Arc<PageShape>> {
        self.known().pages.get(&page.digest).cloned()
    }

    /// The shape of a page whose text this is.
    pub fn of(&self, page: &BlobRef, text: &str) -> Arc<PageShape> {
        self.get(page).unwrap_or_else(|| self.note(page, PageShape::of(text)))
    }

    /// Notes the shape of a page.
    pub fn note(&self, page: &BlobRef, mut shape: PageShape) -> Arc<PageShape> {
        let mut known = self.known_mut();
        shape.risks = known.shared(shape.risks);
        let shape = Arc::new(shape);
        known.pages.insert(page.digest, shape.clone());
        shape
    }

    /// Forgets all pages but those of `sites`, once clearly more pages are known than these have files.
    pub fn keep(&self, sites: &[&Candidate]) {
        let mut known = self.known_mut();
        let files: usize = sites.iter().map(|site| site.files.len()).sum();
        if known.pages.len() <= files + files / SPARE {
            return;
        }
        let files = sites.iter().flat_map(|site| site.files.values());
        let kept: HashSet<Digest> = files.map(|file| file.blob.digest).collect();
        known.pages.retain(|digest, _| kept.contains(digest));
        known.pages.shrink_to_fit();
        known.risks.retain(|risks| Arc::strong_count(risks) > 1);
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The same, as the pages have them that bring the same.
    fn shared(&mut self, risks: Arc<Risks>) -> Arc<Risks> {
        if let Some(known) = self.risks.get(&risks) {
            return known.clone();
        }
        self.risks.insert(risks.clone());
        risks
    }
}

#[cfg(test)]
mod tests {
    use tieup_protocol::contract::Owner;
    use tieup_protocol::manifest::EntryKind;

    use super::*;
    use crate::candidate::MergedFile;

    /// A site of so many pages that say this.
    fn site(pages: usize, says: &str) -> (Candidate, Vec<(BlobRef, String)>) {
        let texts = (0..pages).map(|number| format!("<script src=/a.js></script><p>{says} {number}</p>"));
        let pages: Vec<_> = texts.map(|text| (BlobRef::of(text.as_bytes()), text)).collect();
        let file =
            |blob| MergedFile { blob, media_type: "text/html".into(), kind: EntryKind::Page, owner: Owner::Main };
        let files = pages.iter().enumerate();
        let files = files.map(|(number, (blob, _))| (format!("/{number}/").parse().unwrap(), file(*blob))).collect();
        (Candidate { files, ..Candidate::default() }, pages)
    }

    #[test]
    fn pages_that_bring_the_same_share_it_and_those_of_no_site_are_forgotten() {
        let (shapes, count) = (Shapes::default(), 3 * SPARE);
        let (before, old) = site(count, "old");
        let (now, new) = site(count, "new");
        let read = |pages: &[(BlobRef, String)]| -> Vec<_> {
            pages.iter().map(|(blob, text)| shapes.of(blob, text)).collect()
        };
        let all = [read(&old), read(&new)].concat();
        assert!(all.iter().all(|shape| Arc::ptr_eq(&shape.risks, &all[0].risks)));
        drop(all);
        let known = |pages: &[(BlobRef, String)]| pages.iter().filter(|(blob, _)| shapes.get(blob).is_some()).count();
        shapes.keep(&[&before, &now]);
        assert_eq!((known(&old), known(&new)), (count, count));
        let (_, more) = site(SPARE - 3, "more");
        drop(read(&more));
        shapes.keep(&[&before, &now]);
        assert_eq!((known(&old), known(&more)), (count, more.len()), "for a few more nothing is looked through");
        shapes.keep(&[&now]);
        assert_eq!((known(&old), known(&new)), (0, count));
        shapes.keep(&[&Candidate::default()]);
        assert_eq!((known(&new), shapes.known().risks.len()), (0, 0));
    }
}
