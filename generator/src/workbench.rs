//! A main site held in memory for somebody who works on it, page by page as each audience sees it. Holds mistakes
//! beside the last good site, and writes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::{Timestamp, Zoned};
use tieup_protocol::contract::{Contract, Owner, Partnership};
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::ids::SiteId;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;
use tieup_store::cache::Cache;

use crate::known::Earlier;
use crate::output::OutputFile;
use crate::rack::{Extent, Rack};
use crate::sample;
use crate::schedule::Stage;
use crate::shown::Shown;
use crate::site::{Loading, Site};
use crate::slots::fill_and_find;
use crate::source::shown;
use crate::sources::Sources;

/// Whose view of the site is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Audience {
    /// Visitors of the main site.
    Main,
    /// Visitors of a partner's site, with samples in the slots.
    Partner(SiteId),
}

/// What a page is besides being live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A draft.
    Draft,
    /// Visitors see it from this instant on, given in the site's time zone.
    LiveFrom(Zoned),
    /// The partner's own path: a sample stands for what the partner writes there.
    Sample,
}

/// What a refresh changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// What whoever looks at a page must fetch again.
    pub effect: Effect,
    /// How many pages have other bytes, are new or are gone.
    pub pages: usize,
}

/// What whoever looks at a page must fetch again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing, though there may be other mistakes than before.
    Nothing,
    /// Style sheets alone.
    Styles,
    /// The page.
    Page,
}

/// A main site held in memory for somebody who works on it.
pub struct Workbench {
    sources: Sources,
    loading: Loading,
    /// The last site that could be read.
    loaded: Option<Loaded>,
    /// What kept the newest sources from being read.
    unread: Option<Report>,
    racks: BTreeMap<Audience, Rack>,
}

/// What was read from disk.
struct Loaded {
    site: Site,
    /// The samples in each partner's slots.
    fills: BTreeMap<SiteId, BTreeMap<String, Vec<u8>>>,
}

impl Workbench {
    /// Opens the main site in the folder `site`, with its themes in the folder `themes`, as it stands at `now`.
    ///
    /// A site with mistakes is opened too; see [`Workbench::report`].
    pub fn open(site: &Path, themes: &Path, shown: Shown, now: Timestamp) -> Self {
        Self::begin(site, themes, Loading { shown, ..Loading::default() }, now)
    }

    /// The same, with narrower pictures from `pictures` where they have been made before.
    pub fn open_with(pictures: &Cache, site: &Path, themes: &Path, shown: Shown, now: Timestamp) -> Self {
        Self::begin(site, themes, Loading { shown, pictures: Some(pictures.clone()), ..Loading::default() }, now)
    }

    fn begin(site: &Path, themes: &Path, loading: Loading, now: Timestamp) -> Self {
        let (sources, racks) = (Sources::new(site, themes), BTreeMap::new());
        let mut bench = Self { sources, loading, loaded: None, unread: None, racks };
        bench.read(now);
        bench
    }

    /// Takes up what changed on disk: files below the folders that were opened, named as those were. Without a file
    /// it looks at everything.
    ///
    /// Where the new sources cannot be read, the last good site stays.
    pub fn refresh(&mut self, changed: &[PathBuf], now: Timestamp) -> Refreshed {
        let sources: Vec<&PathBuf> = changed.iter().filter(|file| self.sources.has(file)).collect();
        if sources.is_empty() && !changed.is_empty() {
            return Refreshed { effect: Effect::Nothing, pages: 0 };
        }
        let of_styles = |file: &&PathBuf| file.extension().is_some_and(|extension| extension == "css");
        let styles_alone = !sources.is_empty() && sources.iter().all(of_styles);
        let refreshed = self.take_up(&sources, now);
        match refreshed.effect {
            // Every page names its style sheets by their fingerprints; what it says is the same.
            Effect::Page if styles_alone => Refreshed { effect: Effect::Styles, ..refreshed },
            _ => refreshed,
        }
    }

    /// Shows other pages than before.
    pub fn show(&mut self, shown: Shown, now: Timestamp) -> Refreshed {
        self.loading.shown = shown;
        self.read(now)
    }

    /// What is shown.
    pub fn shown(&self) -> Shown {
        self.loading.shown
    }

    /// The site's title; none as long as the site could never be read.
    pub fn title(&self) -> Option<&str> {
        self.loaded.as_ref().map(|loaded| loaded.site.title())
    }

    /// The main site, then the partners by name.
    pub fn audiences(&self) -> Vec<Audience> {
        let partners = self.loaded.iter().flat_map(|loaded| loaded.site.partners());
        let partners = partners.map(|contract| Audience::Partner(contract.id.partner.clone()));
        std::iter::once(Audience::Main).chain(partners).collect()
    }

    /// What kind of partner this is; none for the main site and for strangers.
    pub fn partnership(&self, audience: &Audience) -> Option<Partnership> {
        let Audience::Partner(id) = audience else { return None };
        Some(self.loaded.as_ref()?.site.contract(id)?.partnership)
    }

    /// The file at `path` for an audience, slots filled; none where nothing stands.
    ///
    /// # Errors
    /// Everything that is wrong now, where a page stands there that could never be made.
    pub fn get(&self, audience: &Audience, path: &SitePath) -> Result<Option<OutputFile>, Report> {
        let Some(loaded) = &self.loaded else { return self.unread.clone().map_or(Ok(None), Err) };
        let Some(rack) = self.racks.get(audience) else { return Ok(None) };
        if let Some(file) = rack.get(&loaded.site, audience, path) {
            return Ok(Some(loaded.filled(audience, file)));
        }
        if let Some(sample) = loaded.sample(audience, path, rack) {
            return Ok(sample?.as_ref().map(|file| loaded.filled(audience, file)));
        }
        match rack.mistakes() {
            Some(mistakes) if loaded.site.page(audience, path).is_some() => Err(mistakes.clone()),
            _ => Ok(None),
        }
    }

    /// What the page at `path` is besides being live.
    pub fn mark(&self, audience: &Audience, path: &SitePath) -> Option<Mark> {
        let loaded = self.loaded.as_ref()?;
        match loaded.site.page(audience, path).map(|page| loaded.site.stage(page)) {
            Some(Stage::Draft) => Some(Mark::Draft),
            Some(Stage::Waits(start)) => Some(Mark::LiveFrom(loaded.site.local(start))),
            Some(Stage::Live | Stage::Over) => None,
            None => loaded.is_sample(audience, path).then_some(Mark::Sample),
        }
    }

    /// The slots that hold a sample for an audience, sorted.
    pub fn filled_slots(&self, audience: &Audience) -> Vec<&str> {
        let Audience::Partner(id) = audience else { return Vec::new() };
        let fills = self.loaded.as_ref().and_then(|loaded| loaded.fills.get(id));
        fills.into_iter().flatten().map(|(slot, _)| slot.as_str()).collect()
    }

    /// The next instant at which a page goes live or expires.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.loaded.as_ref()?.site.next_change()
    }

    /// Everything that is known to be wrong now.
    pub fn report(&self) -> Option<Report> {
        if let Some(unread) = &self.unread {
            return Some(unread.clone());
        }
        let mistakes = self.racks.values().filter_map(Rack::mistakes);
        Report::check(mistakes.flat_map(Report::diagnostics).cloned().collect()).err()
    }

    /// Reads `sources` again where that is enough, and everything where not.
    fn take_up(&mut self, sources: &[&PathBuf], now: Timestamp) -> Refreshed {
        let (dir, fresh) = (&self.sources.site, self.unread.is_none() && !sources.is_empty());
        let Some(loaded) = self.loaded.as_mut().filter(|_| fresh) else { return self.read(now) };
        if loaded.site.reread(dir, sources) != Ok(true) {
            return self.read(now);
        }
        loaded.site.set_now(now);
        self.replace(Extent::Texts)
    }

    fn read(&mut self, now: Timestamp) -> Refreshed {
        let files = self.loaded.as_ref().map(|loaded| loaded.site.known().clone()).unwrap_or_default();
        let earlier = Earlier::new(files, None, now.into());
        match Loaded::read(&self.sources, &self.loading, &earlier, now) {
            Err(report) => {
                self.unread = Some(report);
                Refreshed { effect: Effect::Nothing, pages: 0 }
            }
            Ok(loaded) => {
                self.unread = None;
                self.loaded = Some(loaded);
                self.replace(Extent::All(&earlier.files))
            }
        }
    }

    /// Makes anew what had been made before, and the main site in any case.
    fn replace(&mut self, extent: Extent<'_>) -> Refreshed {
        let audiences = self.audiences();
        let mut before = std::mem::take(&mut self.racks);
        let mut changed = BTreeMap::new();
        for audience in audiences {
            let mut rack = before.remove(&audience).unwrap_or_default();
            if let Some(loaded) = &self.loaded {
                changed.extend(rack.renew(&loaded.site, &audience, extent));
            }
            self.racks.insert(audience, rack);
        }
        let pages = changed.values().filter(|kind| **kind == EntryKind::Page).count();
        let effect = if changed.is_empty() { Effect::Nothing } else { Effect::Page };
        Refreshed { effect, pages }
    }
}

impl Loaded {
    fn read(folders: &Sources, loading: &Loading, earlier: &Earlier, now: Timestamp) -> Result<Self, Report> {
        let Sources { site: dir, themes } = folders;
        let site = Site::load_alone(dir, themes, loading, earlier)?.at(now);
        let mut problems = Vec::new();
        let mut fills = BTreeMap::new();
        for contract in site.partners() {
            let id = &contract.id.partner;
            let folder = dir.join("partners").join(id.as_str()).join("slots");
            let samples = site.read_fills(&folder, contract, &mut problems);
            let foreign = samples.keys().filter(|slot| !contract.slots.contains(slot));
            problems.extend(foreign.map(|slot| not_given(&folder, contract, slot)));
            fills.insert(id.clone(), samples);
        }
        Report::check(problems)?;
        Ok(Self { site, fills })
    }

    fn filled(&self, audience: &Audience, file: &OutputFile) -> OutputFile {
        let Audience::Partner(id) = audience else { return file.clone() };
        let Some(fills) = self.fills.get(id).filter(|_| !file.slots.is_empty()) else { return file.clone() };
        let (bytes, slots) = fill_and_find(&file.bytes, &file.slots, fills);
        OutputFile { bytes: bytes.into(), slots, ..file.clone() }
    }

    /// Whether a sample stands at `path` for what the partner writes there.
    fn is_sample(&self, audience: &Audience, path: &SitePath) -> bool {
        let Audience::Partner(id) = audience else { return false };
        let contract = self.site.contract(id).filter(|contract| contract.partnership != Partnership::Link);
        let owner = contract.map(|contract| contract.mounts.owner(path).0);
        owner == Some(Owner::Partner) && (path.is_page() || path.as_str() == sample::NOT_FOUND)
    }

    fn sample(&self, audience: &Audience, path: &SitePath, rack: &Rack) -> Option<Result<Option<OutputFile>, Report>> {
        let Audience::Partner(id) = audience else { return None };
        let contract = self.site.contract(id).filter(|_| self.is_sample(audience, path))?;
        let page = if path.is_page() { path } else { &SitePath::root() };
        let made = self.site.build_sample(contract, page, &rack.inherited(&self.site, audience));
        Some(made.map(|mut output| output.files.remove(path)))
    }
}

/// A sample in a slot of the theme that the contract does not give.
fn not_given(folder: &Path, contract: &Contract, slot: &str) -> Diagnostic {
    let message = format!("the contract {} does not give the partner the slot `{slot}`", contract.id);
    let problem = Diagnostic::new("slot-not-given", shown(&folder.join(slot)), message);
    match contract.slots.as_slice() {
        [] => problem.help("it gives none: remove the sample"),
        given => problem.help(format!("remove the sample; these are given: {}", given.join(", "))),
    }
}
