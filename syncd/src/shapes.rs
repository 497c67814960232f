//! The shapes of the pages that are served or wait, so that of a page that comes only what is new is read.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::BlobRef;
use tieup_protocol::shape::PageShape;

use crate::candidate::Candidate;

/// Shapes of pages by their content. Kept in memory alone: what is missing is read again.
#[derive(Debug, Default)]
pub struct Shapes(RwLock<HashMap<Digest, Arc<PageShape>>>);

impl Shapes {
    /// The shape of a page, if it is known.
    pub fn get(&self, page: &BlobRef) -> Option<Arc<PageShape>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&page.digest).cloned()
    }

    /// The shape of a page whose text this is.
    pub fn of(&self, page: &BlobRef, text: &str) -> Arc<PageShape> {
        self.get(page).unwrap_or_else(|| self.note(page, PageShape::of(text)))
    }

    /// Notes the shape of a page.
    pub fn note(&self, page: &BlobRef, shape: PageShape) -> Arc<PageShape> {
        let shape = Arc::new(shape);
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(page.digest, shape.clone());
        shape
    }

    /// Forgets all pages but those of `sites`, once more pages are known than these have files.
    pub fn keep(&self, sites: [&Candidate; 2]) {
        let mut shapes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if shapes.len() <= sites.iter().map(|site| site.files.len()).sum::<usize>() {
            return;
        }
        let files = sites.into_iter().flat_map(|site| site.files.values());
        let kept: HashSet<Digest> = files.map(|file| file.blob.digest).collect();
        shapes.retain(|digest, _| kept.contains(digest));
    }
}
