//! What each partner gets: a release of its own, made from what partners share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tieup_protocol::contract::{Contract, Owner, Partnership};
use tieup_protocol::diagnostic::{Diagnostic, Report, nearest};
use tieup_protocol::ids::SiteId;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;

use crate::build::Build;
use crate::content::Content;
use crate::edition::Changes;
use crate::links::Known;
use crate::menu::{self, SiteMenus};
use crate::output::{Output, OutputFile};
use crate::page::Page;
use crate::parallel;
use crate::spanning::is_spanning;
use crate::theme::Framework;
use crate::variation::overlay;
use crate::view::Inherited;

use super::kind::Kind;
use super::partners::Partner;
use super::stood::Stood;
use super::{Site, report};

/// What a partner gets at one version, before it is numbered and signed.
#[derive(Clone, Debug)]
pub struct ReleaseOutput {
    /// What the partner serves.
    pub output: Output,
    /// The theme's name.
    pub theme: String,
    /// The theme's source files, from which the partner renders its originals; empty for a mere link.
    pub framework: Framework,
}

/// The releases of one site: what several partners share is made once, when it is first needed.
pub struct Releases {
    site: Arc<Site>,
    kinds: Mutex<Vec<Arc<Kind>>>,
    /// Those of the site that has come in the place of this one's.
    next: OnceLock<Arc<Self>>,
}

/// A partner's release as it differs from what it shares with others.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The number of the kind of partners that share the rest, from 0; none for a partner that shares nothing.
    pub kind: Option<usize>,
    /// The files that only this partner has so.
    pub own: Vec<(SitePath, OutputFile)>,
    /// Where others have a file and this partner has none.
    pub gone: Vec<SitePath>,
}

impl Site {
    /// Builds what `partner` gets under its contract, by itself. For several partners see [`Site::releases`].
    ///
    /// # Errors
    /// A partner without a contract, and everything that is wrong with templates and links.
    pub fn build_release(&self, partner: &SiteId) -> Result<ReleaseOutput, Report> {
        let partner = self.partner(partner)?;
        match partner.contract.partnership {
            Partnership::Inherited => {
                let mains = self.mains(&self.content, &partner.contract);
                let run = |build: &Build<'_>| {
                    let output = build.run().map_err(report);
                    output.map(|output| (output, menu::of_site(build.config, build.pages)))
                };
                let (output, menus) = self.with_partner(partner, mains, Variations::All, run)?;
                Ok(self.inherited(partner, output, &menus))
            }
            Partnership::Framework => Ok(self.framework_alone(partner)),
            Partnership::Link => Ok(self.link_alone(partner)),
        }
    }

    /// The releases of this site's partners.
    pub fn releases(&self) -> Releases {
        Releases::of(Arc::new(self.clone()))
    }

    fn partner(&self, partner: &SiteId) -> Result<&Partner, Report> {
        self.partners.get(partner).ok_or_else(|| {
            let message = format!("there is no partner `{partner}`");
            let problem = Diagnostic::new("unknown-partner", self.config.file.as_str(), message);
            let near = nearest(partner.as_str(), self.partners.keys().map(SiteId::as_str));
            let problem = match near {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!("write partners/{partner}/contract.yaml")),
            };
            problem.into()
        })
    }

    /// The live pages of `content` that a contract leaves to main.
    pub(super) fn mains(&self, content: &Content, contract: &Contract) -> Vec<Arc<Page>> {
        let mut pages = self.live(content);
        pages.retain(|page| contract.mounts.owner(&page.entry.path).0 == Owner::Main);
        pages
    }

    /// Does `work` with the build of what `partner` gets, with all or none of its variations; `mains` are main's pages
    /// for it.
    pub(super) fn with_partner<T>(
        &self,
        partner: &Partner,
        mains: Vec<Arc<Page>>,
        variations: Variations,
        work: impl FnOnce(&Build<'_>) -> T,
    ) -> T {
        let is_mains = |path: &SitePath| partner.contract.mounts.owner(path).0 == Owner::Main;
        let (pages, contents): (Vec<Arc<Page>>, &[&Content]) = match variations {
            Variations::All => {
                let own = self.live(&partner.variations);
                let mut pages = overlay(mains, &own, &partner.variations.hidden);
                if own.iter().any(|page| !is_mains(&page.entry.path)) {
                    pages.retain(|page| is_mains(&page.entry.path));
                }
                (pages, &[&partner.variations, &self.content])
            }
            Variations::None => (mains, &[&self.content]),
        };
        let mut statics = BTreeMap::clone(&self.statics);
        statics.retain(|path, _| is_mains(path));
        let elsewhere = |path: &SitePath| match path {
            path if !is_mains(path) => Known::Perhaps,
            path if is_spanning(path) => Known::Exists,
            _ => self.scheduled(contents, path),
        };
        work(&Build {
            config: &self.config,
            framework: self.framework(self.theme_of(&partner.contract)),
            pages: &pages,
            inherited: &Inherited::default(),
            texts: &[],
            statics: &statics,
            pictures: &self.pictures,
            data: &self.sets,
            partner: Some(&partner.contract),
            progress: &self.progress,
            elsewhere: &elsewhere,
        })
    }

    /// A release of what was built for a partner, with main's `menus`: what is the partner's own, or is made where all pages
    /// are joined, is left out.
    fn inherited(&self, partner: &Partner, mut output: Output, menus: &SiteMenus) -> ReleaseOutput {
        let mains = |path: &SitePath| partner.contract.mounts.owner(path).0 == Owner::Main;
        output.files.retain(|path, file| is_released(path, file, &partner.contract));
        output.index.retain(|page| mains(&page.path));
        let theme = self.theme_of(&partner.contract);
        let framework = self.framework(theme).with_data(&self.data);
        let framework = framework.with_search(self.config.search.as_ref()).with_menus(menus);
        let framework = framework.with_feed_limit(self.config.feeds.limit);
        ReleaseOutput { output, theme: theme.to_owned(), framework }
    }

    fn framework_alone(&self, partner: &Partner) -> ReleaseOutput {
        let theme = self.theme_of(&partner.contract);
        let framework = Framework::clone(self.framework(theme));
        let output = Output { files: framework.layout().clone(), index: Vec::new() };
        ReleaseOutput { output, theme: theme.to_owned(), framework }
    }

    fn link_alone(&self, partner: &Partner) -> ReleaseOutput {
        let theme = self.theme_of(&partner.contract);
        ReleaseOutput { output: Output::default(), theme: theme.to_owned(), framework: Framework::none(theme) }
    }

    /// Does `work` with the build of what a partner gets; none for one that inherits no pages.
    pub(super) fn with_release<T>(&self, partner: &SiteId, work: impl FnOnce(&Build<'_>) -> T) -> Option<T> {
        let partner = self.partners.get(partner)?;
        (partner.contract.partnership == Partnership::Inherited)
            .then(|| self.with_partner(partner, self.mains(&self.content, &partner.contract), Variations::All, work))
    }
}

/// Whether a file that is made for a partner is part of its release.
pub(crate) fn is_released(path: &SitePath, file: &OutputFile, contract: &Contract) -> bool {
    let is_mains = || contract.mounts.owner(path).0 == Owner::Main;
    !is_spanning(path) && (file.kind == EntryKind::Layout || is_mains())
}

/// Which of a partner's variations are built.
#[derive(Clone, Copy)]
pub(super) enum Variations {
    All,
    None,
}

impl Releases {
    /// Those of `site`.
    pub(crate) fn of(site: Arc<Site>) -> Self {
        Self { site, kinds: Mutex::default(), next: OnceLock::new() }
    }

    /// Those of `site`, which has come in the place of this one's: what partners share is made from what they shared
    /// before. Whoever still asks this one gets the same as before, made from the ground up.
    pub(crate) fn of_next(&self, site: Arc<Site>) -> Self {
        let next = Self::of(site);
        for kind in self.kinds().iter() {
            if let Some(partner) = next.site.partners.values().find(|partner| kind.is_of(partner)) {
                next.kind_after(partner, || kind.take(&self.site));
            }
        }
        next
    }

    /// These are of a site that has passed; `next` are those of the one in its place.
    pub(crate) fn overtaken_by(&self, next: &Arc<Self>) {
        // A site has one that comes after it.
        let _ = self.next.set(next.clone());
    }

    /// The newest that have come in the place of these.
    pub fn newest(self: &Arc<Self>) -> &Arc<Self> {
        let mut newest = self;
        while let Some(next) = newest.next.get() {
            newest = next;
        }
        newest
    }

    /// The site.
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// Builds what `partner` gets under its contract.
    ///
    /// # Errors
    /// A partner without a contract, and everything that is wrong with templates and links.
    pub fn build(&self, partner: &SiteId) -> Result<ReleaseOutput, Report> {
        let known = self.site.partner(partner)?;
        if !known.is_inherited() {
            return self.site.build_release(partner);
        }
        let kind = self.kind(known);
        let built = kind.with_edition(&self.site, |edition| {
            let changes = kind.vary(&self.site, edition, known)?;
            let (mut files, index) = parallel::join(|| edition.files().clone(), || changes.view().index());
            let menus = menu::of_site(&self.site.config, changes.view().own().map(|(_, page)| page));
            let Changes { made, gone, .. } = changes;
            files.retain(|path, _| !gone.contains(path));
            files.extend(made);
            Ok(self.site.inherited(known, Output { files, index }, &menus))
        });
        built.unwrap_or_else(|| self.site.build_release(partner))
    }

    /// What `partner` has otherwise than others of its kind.
    ///
    /// # Errors
    /// As [`Releases::build`], and what is wrong with what all of them share.
    pub fn difference(&self, partner: &SiteId) -> Result<Difference, Report> {
        let known = self.site.partner(partner)?;
        if !known.is_inherited() {
            return self.alone(partner);
        }
        let kind = self.kind(known);
        let difference = kind.with_edition(&self.site, |edition| {
            let Changes { made, mut gone, .. } = kind.vary(&self.site, edition, known)?;
            let differs = |(path, file): &(SitePath, OutputFile)| {
                is_released(path, file, &known.contract) && edition.files().get(path) != Some(file)
            };
            let own = made.into_iter().filter(differs).collect();
            gone.retain(|path| edition.files().get(path).is_some_and(|file| is_released(path, file, &known.contract)));
            Ok(Difference { kind: Some(kind.number), own, gone })
        });
        // What is wrong with what all share may be right where this partner varies it.
        difference.unwrap_or_else(|| self.alone(partner))
    }

    /// Hands over what each partner has otherwise, from several threads, in no order.
    ///
    /// # Errors
    /// All that is wrong with any of them, after the others were handed over.
    pub fn differences(&self, take: &(dyn Fn(&SiteId, Difference) + Sync)) -> Result<(), Report> {
        let partners: Vec<&SiteId> = self.site.partners.keys().collect();
        // The kinds are numbered before threads could take turns at it.
        for partner in self.site.partners.values().filter(|partner| partner.is_inherited()) {
            self.kind(partner);
        }
        let make = |partner: &&SiteId| self.difference(partner).map(|difference| take(partner, difference));
        let failed = parallel::map_few(&partners, make).into_iter().filter_map(Result::err);
        Report::check(failed.flat_map(|report| report.diagnostics().to_vec()).collect())
    }

    /// Hands over what the partners of each kind share, with the kind's number, as far as it was needed; from several
    /// threads, in no order.
    pub fn shared(&self, take: &(dyn Fn(usize, &SitePath, &OutputFile) + Sync)) {
        for kind in self.kinds().iter() {
            kind.with_made(|edition| {
                let files: Vec<(&SitePath, &OutputFile)> = edition.files().iter().collect();
                let hand = |(path, file): &(&SitePath, &OutputFile), (): &mut ()| {
                    if is_released(path, file, &kind.partner.contract) {
                        take(kind.number, path, file);
                    }
                };
                parallel::each(&files, || (), hand);
            });
        }
    }

    /// What a partner gets that shares nothing.
    fn alone(&self, partner: &SiteId) -> Result<Difference, Report> {
        let own = self.site.build_release(partner)?.output.files.into_iter().collect();
        Ok(Difference { kind: None, own, gone: Vec::new() })
    }

    fn kinds(&self) -> MutexGuard<'_, Vec<Arc<Kind>>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kind(&self, partner: &Partner) -> Arc<Kind> {
        self.kind_after(partner, || None)
    }

    /// The kind of `partner`; a new one is made from what `stood` before.
    fn kind_after(&self, partner: &Partner, stood: impl FnOnce() -> Option<Box<Stood>>) -> Arc<Kind> {
        let mut kinds = self.kinds();
        if let Some(known) = kinds.iter().find(|kind| kind.is_of(partner)) {
            return known.clone();
        }
        // By name, whoever is asked for first, so that equal sites make equal files.
        let alike = |other: &&Partner| other.is_inherited() && other.is_like(partner);
        let first = self.site.partners.values().find(alike).unwrap_or(partner);
        let kind = Arc::new(Kind::new(&self.site, first, kinds.len(), stood()));
        kinds.push(kind.clone());
        kind
    }
}
