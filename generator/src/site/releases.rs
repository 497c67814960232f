//! What each partner gets: a release of its own, made from what partners share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tieup_protocol::contract::{Contract, Owner, Partnership};
use tieup_protocol::diagnostic::{Diagnostic, Report, nearest};
use tieup_protocol::ids::SiteId;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;

use crate::build::Build;
use crate::content::Content;
use crate::edition::{Changes, Edition, Failed};
use crate::links::Known;
use crate::output::{Output, OutputFile};
use crate::page::Page;
use crate::parallel;
use crate::spanning::is_spanning;
use crate::theme::Framework;
use crate::variation::overlay;

use super::partners::Partner;
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
pub struct Releases<'a> {
    site: &'a Site,
    shared: Mutex<Vec<Arc<Kind<'a>>>>,
}

/// Partners whose pages come out alike, but for what each varies.
struct Kind<'a> {
    /// The first of them.
    partner: &'a Partner,
    /// How many kinds came before.
    number: usize,
    /// Main's pages for them.
    mains: Vec<Arc<Page>>,
    /// What none of them varies; the mistakes in it.
    edition: OnceLock<Result<Edition, Report>>,
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
                let output = self.with_partner(partner, mains, Variations::All, |build| build.run().map_err(report));
                Ok(self.inherited(partner, output?))
            }
            Partnership::Framework => Ok(self.framework_alone(partner)),
            Partnership::Link => Ok(self.link_alone(partner)),
        }
    }

    /// The releases of this site's partners.
    pub fn releases(&self) -> Releases<'_> {
        Releases { site: self, shared: Mutex::default() }
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
    fn mains(&self, content: &Content, contract: &Contract) -> Vec<Arc<Page>> {
        let mut pages = self.live(content);
        pages.retain(|page| contract.mounts.owner(&page.entry.path).0 == Owner::Main);
        pages
    }

    /// Does `work` with the build of what `partner` gets, with all or none of its variations; `mains` are main's pages
    /// for it.
    fn with_partner<T>(
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
        let mut statics = self.statics.clone();
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
            inherited: &[],
            texts: &[],
            statics: &statics,
            pictures: &self.pictures,
            data: &self.sets,
            partner: Some(&partner.contract),
            progress: &self.progress,
            elsewhere: &elsewhere,
        })
    }

    /// A release of what was built for a partner: what is the partner's own, or is made where all pages are joined, is
    /// left out.
    fn inherited(&self, partner: &Partner, mut output: Output) -> ReleaseOutput {
        let mains = |path: &SitePath| partner.contract.mounts.owner(path).0 == Owner::Main;
        output.files.retain(|path, file| is_released(path, file, &partner.contract));
        output.index.retain(|page| mains(&page.path));
        let theme = self.theme_of(&partner.contract);
        let framework = self.framework(theme).with_data(&self.data).with_search(self.config.search.as_ref());
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
enum Variations {
    All,
    None,
}

impl<'a> Releases<'a> {
    /// Builds what `partner` gets under its contract.
    ///
    /// # Errors
    /// A partner without a contract, and everything that is wrong with templates and links.
    pub fn build(&self, partner: &SiteId) -> Result<ReleaseOutput, Report> {
        let known = self.site.partner(partner)?;
        if known.contract.partnership != Partnership::Inherited {
            return self.site.build_release(partner);
        }
        let kind = self.kind(known);
        let Ok(edition) = self.edition(&kind) else { return self.site.build_release(partner) };
        let changes = self.vary(&kind, edition, known)?;
        let index = changes.view().index();
        let Changes { made, gone, .. } = changes;
        let mut files = edition.files().clone();
        files.retain(|path, _| !gone.contains(path));
        files.extend(made);
        Ok(self.site.inherited(known, Output { files, index }))
    }

    /// What `partner` has otherwise than others of its kind.
    ///
    /// # Errors
    /// As [`Releases::build`], and what is wrong with what all of them share.
    pub fn difference(&self, partner: &SiteId) -> Result<Difference, Report> {
        let known = self.site.partner(partner)?;
        if known.contract.partnership != Partnership::Inherited {
            let own = self.site.build_release(partner)?.output.files.into_iter().collect();
            return Ok(Difference { kind: None, own, gone: Vec::new() });
        }
        let kind = self.kind(known);
        let Ok(edition) = self.edition(&kind) else {
            // What is wrong with what all share may be right where this partner varies it.
            let own = self.site.build_release(partner)?.output.files.into_iter().collect();
            return Ok(Difference { kind: None, own, gone: Vec::new() });
        };
        let Changes { made, mut gone, .. } = self.vary(&kind, edition, known)?;
        let differs = |(path, file): &(SitePath, OutputFile)| {
            is_released(path, file, &known.contract) && edition.files().get(path) != Some(file)
        };
        let own = made.into_iter().filter(differs).collect();
        gone.retain(|path| edition.files().get(path).is_some_and(|file| is_released(path, file, &known.contract)));
        Ok(Difference { kind: Some(kind.number), own, gone })
    }

    /// Hands over what each partner has otherwise, from several threads, in no order.
    ///
    /// # Errors
    /// All that is wrong with any of them, after the others were handed over.
    pub fn differences(&self, take: &(dyn Fn(&SiteId, Difference) + Sync)) -> Result<(), Report> {
        let partners: Vec<&SiteId> = self.site.partners.keys().collect();
        // The kinds are numbered before threads could take turns at it.
        for partner in self.site.partners.values().filter(|partner| is_inherited(partner)) {
            self.kind(partner);
        }
        let make = |partner: &&SiteId| self.difference(partner).map(|difference| take(partner, difference));
        let failed = parallel::map_few(&partners, make).into_iter().filter_map(Result::err);
        Report::check(failed.flat_map(|report| report.diagnostics().to_vec()).collect())
    }

    /// Hands over what the partners of each kind share, with the kind's number, as far as it was needed; from several
    /// threads, in no order.
    pub fn shared(&self, take: &(dyn Fn(usize, &SitePath, &OutputFile) + Sync)) {
        for kind in self.shared.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let edition = kind.edition.get().and_then(|edition| edition.as_ref().ok());
            let files: Vec<(&SitePath, &OutputFile)> = edition.into_iter().flat_map(Edition::files).collect();
            let hand = |(path, file): &(&SitePath, &OutputFile), (): &mut ()| {
                if is_released(path, file, &kind.partner.contract) {
                    take(kind.number, path, file);
                }
            };
            parallel::each(&files, || (), hand);
        }
    }

    fn vary(&self, kind: &Kind<'_>, edition: &Edition, partner: &Partner) -> Result<Changes, Report> {
        let vary = |build: &Build<'_>| edition.vary(build);
        self.site.with_partner(partner, kind.mains.clone(), Variations::All, vary).map_err(Failed::report)
    }

    fn kind(&self, partner: &'a Partner) -> Arc<Kind<'a>> {
        let mut kinds = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kinds.iter().find(|kind| is_alike(&kind.partner.contract, &partner.contract)) {
            return known.clone();
        }
        // By name, whoever is asked for first, so that equal sites make equal files.
        let alike = |other: &&Partner| is_inherited(other) && is_alike(&other.contract, &partner.contract);
        let first = self.site.partners.values().find(alike).unwrap_or(partner);
        let (number, edition) = (kinds.len(), OnceLock::new());
        let mains = self.site.mains(&self.site.content, &first.contract);
        kinds.push(Arc::new(Kind { partner: first, number, mains, edition }));
        kinds[number].clone()
    }

    fn edition<'k>(&self, kind: &'k Kind<'a>) -> Result<&'k Edition, Report> {
        let make = |build: &Build<'_>| Edition::make(build).map_err(Failed::report);
        let with = || self.site.with_partner(kind.partner, kind.mains.clone(), Variations::None, make);
        let edition = kind.edition.get_or_init(with);
        edition.as_ref().map_err(Report::clone)
    }
}

fn is_inherited(partner: &Partner) -> bool {
    partner.contract.partnership == Partnership::Inherited
}

/// Whether what two partners get can only differ by what each varies.
fn is_alike(one: &Contract, other: &Contract) -> bool {
    one.theme == other.theme && one.index == other.index && one.mounts == other.mounts
}
