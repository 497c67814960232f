//! What partners share whose pages come out alike, made once for all of them, and from what it was when the site changes.

use std::sync::{Arc, PoisonError, RwLock};

use tieup_protocol::diagnostic::Report;

use crate::build::Build;
use crate::edition::{Changes, Edition, Failed};
use crate::page::Page;

use super::Site;
use super::partners::Partner;
use super::releases::Variations;
use super::stood::Stood;

/// Partners whose pages come out alike, but for what each varies.
pub(super) struct Kind {
    /// The first of them.
    pub(super) partner: Partner,
    /// How many kinds came before.
    pub(super) number: usize,
    /// Main's pages for them.
    mains: Vec<Arc<Page>>,
    /// What none of them varies.
    standing: RwLock<Standing>,
}

/// What the partners of a kind share.
enum Standing {
    /// It is made when it is first needed.
    Unmade(Option<Box<Stood>>),
    /// It was made.
    Made(Box<Edition>),
    /// It has mistakes. What stood before is there for the next site.
    Wrong(Option<Box<Stood>>),
}

impl Kind {
    /// Of partners of `site` that are like `first`, which shared before what `stood`.
    pub(super) fn new(site: &Site, first: &Partner, number: usize, stood: Option<Box<Stood>>) -> Self {
        let mains = site.mains(&site.content, &first.contract);
        Self { partner: first.clone(), number, mains, standing: RwLock::new(Standing::Unmade(stood)) }
    }

    /// Whether `partner` is one of them.
    pub(super) fn is_of(&self, partner: &Partner) -> bool {
        partner.is_inherited() && self.partner.is_like(partner)
    }

    /// Does `work` with what they share of `site`; none where that has mistakes.
    pub(super) fn with_edition<T>(&self, site: &Site, work: impl FnOnce(&Edition) -> T) -> Option<T> {
        loop {
            match &*self.standing.read().unwrap_or_else(PoisonError::into_inner) {
                Standing::Made(edition) => return Some(work(edition)),
                Standing::Wrong(..) => return None,
                Standing::Unmade(_) => {}
            }
            self.make(site);
        }
    }

    /// Does `work` with what they share, if it was made.
    pub(super) fn with_made(&self, work: impl FnOnce(&Edition)) {
        if let Standing::Made(edition) = &*self.standing.read().unwrap_or_else(PoisonError::into_inner) {
            work(edition);
        }
    }

    /// What `partner`, which is one of them, has otherwise.
    ///
    /// # Errors
    /// What is wrong with that.
    pub(super) fn vary(&self, site: &Site, edition: &Edition, partner: &Partner) -> Result<Changes, Report> {
        let vary = |build: &Build<'_>| edition.vary(build);
        site.with_partner(partner, self.mains.clone(), Variations::All, vary).map_err(Failed::report)
    }

    /// Takes away what they share of `site`, or else what stood before, for the site that comes in its place.
    pub(super) fn take(&self, site: &Arc<Site>) -> Option<Box<Stood>> {
        let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *standing, Standing::Unmade(None)) {
            Standing::Made(edition) => Some(Stood::new(edition, site, Some(&self.partner.contract))),
            Standing::Unmade(stood) | Standing::Wrong(stood) => stood.map(Stood::left_behind),
        }
    }

    fn make(&self, site: &Site) {
        let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have made it meanwhile.
        let Standing::Unmade(stood) = &mut *standing else { return };
        let stood = stood.take();
        let share = |build: &Build<'_>| match stood {
            Some(stood) => stood.into_edition(site, build).map_err(|(_, stood)| Some(stood)),
            None => Edition::make(build).map(Box::new).map_err(|_| None),
        };
        let made = site.with_partner(&self.partner, self.mains.clone(), Variations::None, share);
        *standing = made.map_or_else(Standing::Wrong, Standing::Made);
    }
}
