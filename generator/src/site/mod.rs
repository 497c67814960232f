//! A main site as it stands on disk, and what is built from it: its own tree, and a release for each partner.

mod kind;
mod own;
mod partners;
mod releases;
mod rereading;
mod revising;
mod stood;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use jiff::{Timestamp, Zoned};
use tieup_protocol::contract::{Contract, Owner, Partnership};
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::ids::SiteId;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;
use tieup_protocol::schedule::Schedule;
use tieup_store::cache::Cache;

use crate::assets::{self, pictures::Pictures};
use crate::besides;
use crate::build::Build;
use crate::components;
use crate::config::SiteConfig;
use crate::content::{Content, Reading};
use crate::data::{Data, Sets};
use crate::dates::History;
use crate::known::{Earlier, Files};
use crate::links::Known;
use crate::originals::read_fills;
use crate::output::{Output, OutputFile};
use crate::overrides::Overrides;
use crate::page::Page;
use crate::progress::Progress;
use crate::sample;
use crate::schedule::Stage;
use crate::search::Search;
use crate::shown::{Future, Shown};
use crate::source::shown;
use crate::spanning::spanning_listed;
use crate::statics;
use crate::theme::Framework;
use crate::view::{Inherited, View};
use crate::workbench::Audience;

pub use releases::{Difference, ReleaseOutput, Releases};

pub(crate) use partners::unknown_slot;
use partners::{Partner, partner_folders};
pub(crate) use releases::is_released;
pub(crate) use stood::Stood;

/// Everything that was read for one main site: parsed, nothing rendered.
#[derive(Clone, Debug)]
pub struct Site {
    config: Arc<SiteConfig>,
    theme: String,
    themes: BTreeMap<String, Arc<Framework>>,
    content: Content,
    data: Data,
    sets: Arc<Sets>,
    statics: Arc<BTreeMap<SitePath, OutputFile>>,
    pictures: Arc<Pictures>,
    partners: BTreeMap<SiteId, Partner>,
    now: Timestamp,
    progress: Arc<Progress>,
    shown: Shown,
}

/// How a site is read.
#[derive(Clone, Debug, Default)]
pub struct Loading {
    /// Pages that visitors do not see, for somebody who works on them.
    pub shown: Shown,
    /// Counters that tell how far reading is and, later, everything that is built from the site.
    pub progress: Arc<Progress>,
    /// Where narrower pictures are kept, so that each is made once.
    pub pictures: Option<Cache>,
}

impl Site {
    /// Reads a main site from the folder `dir` and its themes from the folder `themes`.
    ///
    /// # Errors
    /// Everything that cannot be read or does not fit together, and what is wrong besides with the pages that are made
    /// of the rest. Where all could be read, what only shows when pages are made, such as a link that leads nowhere,
    /// comes from [`Site::build_main`] and [`Site::build_release`].
    pub fn load(dir: &Path, themes: &Path) -> Result<Self, Report> {
        Self::load_as(dir, themes, &Loading::default())
    }

    /// The same, read as `loading` says.
    ///
    /// # Errors
    /// As [`Site::load`].
    pub fn load_as(dir: &Path, themes: &Path, loading: &Loading) -> Result<Self, Report> {
        Self::load_knowing(dir, themes, loading, None)
    }

    /// The same with what an earlier build knew of the main site's Markdown files.
    pub(crate) fn load_knowing(
        dir: &Path,
        themes: &Path,
        loading: &Loading,
        earlier: Option<&Earlier>,
    ) -> Result<Self, Report> {
        let (site, read) = Self::read(dir, themes, loading, earlier)?;
        if read.is_empty() {
            return Ok(site);
        }
        Err(report(besides::join(&read, site.at(Timestamp::MAX).mistakes())))
    }

    /// The same, without a look at the rest where something cannot be read: for somebody who waits for it.
    ///
    /// # Errors
    /// Everything that cannot be read or does not fit together.
    pub(crate) fn load_alone(dir: &Path, themes: &Path, loading: &Loading, earlier: &Earlier) -> Result<Self, Report> {
        let (site, problems) = Self::read(dir, themes, loading, Some(earlier))?;
        Report::check(problems)?;
        Ok(site)
    }

    /// Reads what can be read, and tells everything that cannot.
    fn read(
        dir: &Path,
        themes: &Path,
        loading: &Loading,
        earlier: Option<&Earlier>,
    ) -> Result<(Self, Vec<Diagnostic>), Diagnostic> {
        let (shown, progress) = (loading.shown, loading.progress.clone());
        let (mut config, theme) = SiteConfig::load_main(dir)?;
        config.markdown.hooks = components::hooks(themes, &dir.join("templates"));
        let mut problems = Vec::new();
        // What partners vary is completed by what is known of main's files.
        let nothing = dir.join("partners").is_dir().then(|| Earlier::new(Files::default(), None, UNIX_EPOCH));
        let earlier = earlier.or(nothing.as_ref());
        let data = Data::load(&dir.join("data"), &mut problems);
        let (config, sets) = (Arc::new(config), Arc::new(data.under(&Data::default())));
        let mut statics = statics::load(&dir.join("static"), &mut problems);
        let pictures = assets::finish(&mut statics, &config, loading.pictures.as_ref(), &mut problems);
        let pictures = Arc::new(pictures);
        let beneath = Content::beneath(&pictures);
        let reading = Reading {
            config: &config,
            data: &data,
            beneath: &beneath,
            drafts: shown.drafts,
            progress: &progress,
            earlier,
        };
        let content = Content::load(&dir.join("content"), &reading, &mut problems);
        statics::check_paths(&content.pages, &statics, &mut problems);
        let (themes_read, now) = (BTreeMap::new(), Timestamp::MIN);
        let partners = BTreeMap::new();
        let mut site = Self {
            config,
            theme,
            themes: themes_read,
            content,
            data,
            sets,
            statics: Arc::new(statics),
            pictures,
            partners,
            now,
            progress,
            shown,
        };
        for id in partner_folders(&dir.join("partners"), &mut problems) {
            match site.read_partner(&dir.join("partners").join(id.as_str()), &id, &mut problems) {
                Ok(partner) => drop(site.partners.insert(id, partner)),
                Err(problem) => problems.push(problem),
            }
        }
        site.check_parties(&mut problems);
        let overrides = Overrides::load(&dir.join("templates"), &mut problems);
        site.read_themes(themes, &overrides, &mut problems);
        site.check_slots(&mut problems);
        site.check_beacons(&mut problems);
        Ok((site, problems))
    }

    /// What is wrong with the main site's own tree; nothing where its theme could not be read.
    fn mistakes(&self) -> Vec<Diagnostic> {
        if !self.themes.contains_key(&self.theme) {
            return Vec::new();
        }
        let built = self.build_main_into(&|_, _| {});
        built.map_or_else(|report| report.diagnostics().to_vec(), |_| Vec::new())
    }

    /// The same site as it stands at `now`: what is not yet published then, or has expired, is left out.
    ///
    /// A site that was told no time stands before all times, so that nothing is published early.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    /// The same site, whose builds are counted by `progress`.
    pub(crate) fn counted_by(self, progress: &Arc<Progress>) -> Self {
        Self { progress: progress.clone(), ..self }
    }

    /// The time is `now`.
    pub(crate) fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The next instant at which a page goes live or expires; what is built holds until then.
    pub fn next_change(&self) -> Option<Timestamp> {
        let variations = self.partners.values().flat_map(|partner| &partner.variations.pages);
        self.content.pages.iter().chain(variations).filter_map(|page| page.life.next(self.now)).min()
    }

    /// The contracts, in order of the partners' names.
    pub fn partners(&self) -> impl Iterator<Item = &Contract> {
        self.partners.values().map(|partner| &partner.contract)
    }

    /// When main pushes to `partner`, by its contract or else by `site.yaml`; none where it does when the site changes.
    pub fn schedule_for(&self, partner: &SiteId) -> Option<&Schedule> {
        let agreed = self.partners.get(partner).and_then(|partner| partner.contract.schedule.as_ref());
        agreed.or(self.config.schedule.as_ref())
    }

    /// The layout of a partner's site, of whatever kind the partnership is.
    pub fn framework_for(&self, partner: &SiteId) -> Option<&Framework> {
        let partner = self.partners.get(partner)?;
        let framework: &Framework = self.framework(self.theme_of(&partner.contract));
        Some(framework)
    }

    /// The text of a partner's contract, byte for byte.
    pub fn contract_text(&self, partner: &SiteId) -> Option<&str> {
        self.partners.get(partner).map(|partner| partner.text.as_str())
    }

    /// The site's title.
    pub fn title(&self) -> &str {
        &self.config.title
    }

    /// Its search, if it has one.
    pub(crate) fn search(&self) -> Option<&Search> {
        self.config.search.as_ref()
    }

    /// The site's address, ending with `/`.
    pub fn base_url(&self) -> &str {
        &self.config.base_url
    }

    /// The files that span all pages of its own tree, which has these pages and `files`.
    pub(crate) fn spanning_own(
        &self,
        view: &View,
        files: &BTreeMap<SitePath, OutputFile>,
    ) -> Vec<(SitePath, OutputFile)> {
        let mut made = spanning_listed(self.base_url(), view.listed(), &[], &|path| files.contains_key(path));
        if let Some(search) = &self.config.search {
            let index = view.index();
            let pages: Vec<&IndexedPage> = index.iter().collect();
            let text = |page: &IndexedPage| files.get(&page.path).map_or_else(Vec::new, |file| file.bytes.to_vec());
            let Ok(found) = search.index(&pages, &|page| Ok::<_, Infallible>(text(page)));
            made.extend(found);
        }
        let file = |(path, bytes)| {
            let file = OutputFile::asset(&path, bytes, &self.config.file);
            (path, file)
        };
        made.into_iter().map(file).filter(|(path, _)| !files.contains_key(path)).collect()
    }

    /// Whether days come from commits, which change without any file.
    pub(crate) fn is_dated_by_commits(&self) -> bool {
        matches!(self.config.history, History::Commits { .. })
    }

    /// What is known of the main site's Markdown files.
    pub(crate) fn known(&self) -> &Files {
        &self.content.known
    }

    /// The same, taken away.
    pub(crate) fn take_known(&mut self) -> Files {
        std::mem::take(&mut self.content.known)
    }

    /// The pages of `content` that are live now.
    fn live(&self, content: &Content) -> Vec<Arc<Page>> {
        let live = content.pages.iter().filter(|page| match page.life.stage(self.now) {
            // A draft is among the pages only where drafts are shown.
            Stage::Live | Stage::Draft => true,
            Stage::Waits(_) => self.shown.future == Future::Shown,
            Stage::Over => false,
        });
        live.cloned().collect()
    }

    /// What is known of a path that no live page has. People link to what expires, and may not be stopped by it.
    fn scheduled(&self, contents: &[&Content], path: &SitePath) -> Known {
        let mut pages = contents.iter().flat_map(|content| &content.pages);
        match pages.find(|page| page.entry.path == *path).map(|page| page.life.stage(self.now)) {
            Some(Stage::Over) => Known::Perhaps,
            Some(Stage::Waits(start)) => Known::From(start),
            Some(Stage::Live | Stage::Draft) | None => Known::No,
        }
    }

    /// The contract with `partner`.
    pub(crate) fn contract(&self, partner: &SiteId) -> Option<&Contract> {
        self.partners.get(partner).map(|partner| &partner.contract)
    }

    /// What the files in `folder` put into the slots of the partner with this contract.
    pub(crate) fn read_fills(
        &self,
        folder: &Path,
        contract: &Contract,
        problems: &mut Vec<Diagnostic>,
    ) -> BTreeMap<String, Vec<u8>> {
        let framework = self.framework(self.theme_of(contract));
        read_fills(folder, framework, &self.content, &self.config, problems)
    }

    /// The page of main's that stands at `path` for `audience`, whether it is live or not.
    pub(crate) fn page(&self, audience: &Audience, path: &SitePath) -> Option<&Page> {
        let variations = match audience {
            Audience::Main => None,
            Audience::Partner(id) => Some(self.partners.get(id)?),
        };
        if variations.is_some_and(|partner| partner.contract.mounts.owner(path).0 != Owner::Main) {
            return None;
        }
        let pages = variations.into_iter().flat_map(|partner| &partner.variations.pages).chain(&self.content.pages);
        pages.map(|page| &**page).find(|page| page.entry.path == *path)
    }

    /// How a page stands now.
    pub(crate) fn stage(&self, page: &Page) -> Stage {
        page.life.stage(self.now)
    }

    /// An instant in the site's time zone.
    pub(crate) fn local(&self, instant: Timestamp) -> Zoned {
        instant.to_zoned(self.config.zone.clone())
    }

    /// A made-up page of a partner's own at `path`, in the frame that it inherits, beside what is `inherited`.
    ///
    /// # Errors
    /// Everything that is wrong with the theme's templates.
    pub(crate) fn build_sample(
        &self,
        contract: &Contract,
        path: &SitePath,
        inherited: &Inherited<'_>,
    ) -> Result<Output, Report> {
        let config = Arc::new(sample::config(&self.config, &contract.id.partner));
        let data = match contract.partnership {
            Partnership::Inherited => self.sets.clone(),
            Partnership::Framework | Partnership::Link => Arc::new(Data::default().under(&Data::default())),
        };
        let build = Build {
            config: &config,
            framework: self.framework(self.theme_of(contract)),
            pages: &[sample::page(&config, path)],
            inherited,
            texts: &[],
            statics: &BTreeMap::new(),
            pictures: &Arc::default(),
            data: &data,
            partner: None,
            elsewhere: &|_| Known::Perhaps,
            progress: &self.progress,
        };
        build.run().map_err(report)
    }

    fn theme_of<'a>(&'a self, contract: &'a Contract) -> &'a str {
        contract.theme.as_deref().unwrap_or(&self.theme)
    }

    fn framework(&self, theme: &str) -> &Arc<Framework> {
        self.themes.get(theme).expect("`load` reads the theme of the site and of every contract, or fails")
    }

    fn read_themes(&mut self, themes: &Path, overrides: &Overrides, problems: &mut Vec<Diagnostic>) {
        let named = self.partners.values().filter_map(|partner| {
            let theme = partner.contract.theme.as_deref()?;
            Some((theme, partner.file.as_str(), partner.text.as_str()))
        });
        let mut asked = BTreeSet::new();
        let mut read = BTreeMap::new();
        for (theme, file, text) in
            [(self.theme.as_str(), self.config.file.as_str(), self.config.text.as_str())].into_iter().chain(named)
        {
            if !asked.insert(theme) {
                continue;
            }
            match Framework::load(themes, theme) {
                Ok(framework) => {
                    let framework = framework.with_site_templates(&self.theme, overrides);
                    let framework = if self.config.minify { framework.minified(problems) } else { framework };
                    read.insert(theme.to_owned(), Arc::new(framework));
                }
                Err(report) => problems.extend(report.diagnostics().iter().map(|problem| {
                    let of_the_site = problem.code == "missing-theme" && problem.file == shown(themes);
                    if of_the_site { asked_for(problem, file, text, theme) } else { problem.clone() }
                })),
            }
        }
        self.themes = read;
    }
}

/// The same complaint about a missing theme, at the place where somebody asks for it.
fn asked_for(problem: &Diagnostic, file: &str, text: &str, theme: &str) -> Diagnostic {
    let mut problem = problem.clone();
    file.clone_into(&mut problem.file);
    problem.at_word(text, "theme:", theme)
}

/// The problems of a build as a report; a build that fails names at least one.
pub(crate) fn report(problems: Vec<Diagnostic>) -> Report {
    Report::check(problems).expect_err("a build fails only with a problem to name")
}
