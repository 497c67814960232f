//! A main site held in memory for somebody who publishes it: after a change, what that touches is made and no more.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tieup_protocol::diagnostic::Report;
use tieup_protocol::path::SitePath;
use tieup_store::cache::Cache;

use crate::build::Build;
use crate::edition::{Edition, Failed};
use crate::known::Earlier;
use crate::output::OutputFile;
use crate::progress::Progress;
use crate::site::{Loading, Releases, Site, Stood};
use crate::sources::Sources;
use crate::workbench::Audience;

/// A main site held in memory for somebody who publishes it.
pub struct Press {
    sources: Sources,
    pictures: Cache,
    /// Of the last site that could be read.
    releases: Option<Arc<Releases>>,
    /// Whether that is the site as it was found last.
    is_newest: bool,
    /// The main site's own tree as it was made last.
    own: Option<Box<Stood>>,
}

impl Press {
    /// The main site of these `sources`, with narrower pictures from `pictures`. Nothing is read yet.
    pub fn new(sources: Sources, pictures: Cache) -> Self {
        Self { sources, pictures, releases: None, is_newest: false, own: None }
    }

    /// Takes up what `changed` on disk, files named as the folders are; without a file it looks at everything. Gives the
    /// releases of the site as it stands at `now`; what is made is counted by `progress`.
    ///
    /// # Errors
    /// As [`Site::load`]. What was good last stays, to go on from.
    pub fn refresh(
        &mut self,
        changed: &[PathBuf],
        progress: &Arc<Progress>,
        now: Timestamp,
    ) -> Result<Arc<Releases>, Report> {
        let reread = self.reread(changed);
        self.is_newest = false;
        let site = match reread {
            Some(site) => site.counted_by(progress),
            None => self.read(progress, now)?,
        };
        let (site, before) = (Arc::new(site.at(now)), self.releases.take());
        let passed = |stood: &Stood| !before.as_ref().is_some_and(|before| stood.is_of(before.site()));
        self.own = self.own.take().map(|stood| if passed(&stood) { stood.left_behind() } else { stood });
        let next = Arc::new(match &before {
            Some(before) => before.of_next(site),
            None => Releases::of(site),
        });
        if let Some(before) = before {
            before.overtaken_by(&next);
        }
        (self.releases, self.is_newest) = (Some(next.clone()), true);
        Ok(next)
    }

    /// The files of the main site's own tree as it stands now, its sitemap included; none where no site could be read
    /// yet. What is made is counted by `progress`.
    ///
    /// # Errors
    /// As [`Site::build_main`].
    pub fn own(&mut self, progress: &Progress) -> Result<BTreeMap<SitePath, OutputFile>, Report> {
        let Some(site) = self.releases.as_ref().map(|releases| releases.site().clone()) else {
            return Ok(BTreeMap::new());
        };
        let stood = self.own.take();
        let made = site.with_build(&Audience::Main, |build| {
            let build = Build { progress, ..*build };
            match stood {
                Some(stood) => stood.into_edition(&site, &build).map_err(|(failed, stood)| (failed, Some(stood))),
                None => Edition::make(&build).map(Box::new).map_err(|failed| (failed, None)),
            }
        });
        match made {
            None => Ok(BTreeMap::new()),
            Some(Err((failed, stood))) => {
                self.own = stood;
                Err(Failed::report(failed))
            }
            Some(Ok(edition)) => {
                let mut files = edition.files().clone();
                files.extend(site.spanning_own(edition.view(), &files));
                self.own = Some(Stood::new(edition, &site, None));
                Ok(files)
            }
        }
    }

    /// The site of which only these files were read again; none where that is not enough, or not good.
    fn reread(&self, changed: &[PathBuf]) -> Option<Site> {
        let sources: Vec<&PathBuf> = changed.iter().filter(|file| self.sources.has(file)).collect();
        let site = self.releases.as_ref().filter(|_| self.is_newest && !sources.is_empty())?.site();
        if site.is_dated_by_commits() {
            // A commit gives other days to files that did not change.
            return None;
        }
        let mut site = Site::clone(site);
        (site.reread(&self.sources.site, &sources) == Ok(true)).then_some(site)
    }

    fn read(&self, progress: &Arc<Progress>, now: Timestamp) -> Result<Site, Report> {
        let known = self.releases.as_ref().map(|releases| releases.site().known().clone()).unwrap_or_default();
        let earlier = Earlier::new(known, None, now.into());
        let pictures = Some(self.pictures.clone());
        let loading = Loading { progress: progress.clone(), pictures, ..Loading::default() };
        Site::load_knowing(&self.sources.site, &self.sources.themes, &loading, Some(&earlier))
    }
}
