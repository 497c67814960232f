//! A build that was made of an earlier site, and becomes that of a later one.

use std::sync::Arc;

use tieup_protocol::contract::Contract;

use crate::build::Build;
use crate::edition::{Changes, Edition, Failed};

use super::Site;

/// A build of an earlier site.
pub(crate) struct Stood {
    edition: Box<Edition>,
    site: Arc<Site>,
    contract: Option<Contract>,
    /// Whether the site that comes now was read in the place of this very one.
    is_newest: bool,
}

impl Stood {
    /// The build `edition` of `site`, for the partner with this contract or for main itself.
    pub(crate) fn new(edition: Box<Edition>, site: &Arc<Site>, contract: Option<&Contract>) -> Box<Self> {
        Box::new(Self { edition, site: site.clone(), contract: contract.cloned(), is_newest: true })
    }

    /// The same, since a site has come and gone of which it was not made.
    pub(crate) fn left_behind(mut self: Box<Self>) -> Box<Self> {
        self.is_newest = false;
        self
    }

    /// Whether it was made of `site`.
    pub(crate) fn is_of(&self, site: &Arc<Site>) -> bool {
        Arc::ptr_eq(&self.site, site)
    }

    /// Becomes `build` of `site`: what differs is made.
    ///
    /// # Errors
    /// What is wrong with that, and this build as it was.
    pub(crate) fn into_edition(
        mut self: Box<Self>,
        site: &Site,
        build: &Build<'_>,
    ) -> Result<Box<Edition>, (Failed, Box<Self>)> {
        match self.changes(site, build) {
            Ok(changes) => {
                self.edition.apply(changes);
                Ok(self.edition)
            }
            Err(failed) => Err((failed, self)),
        }
    }

    fn changes(&self, site: &Site, build: &Build<'_>) -> Result<Changes, Failed> {
        if site.is_reread_of(&self.site) && build.partner == self.contract.as_ref() {
            return self.edition.vary(build);
        }
        // That a text was read again says something of its links only where it was read in the place of this site's.
        self.edition.renew(build, self.is_newest.then(|| [self.site.known(), site.known()]))
    }
}
