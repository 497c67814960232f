//! What one audience sees of a site that somebody works on: a build that keeps up with the sources, and where these have
//! mistakes, what can be made over what stood before.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::OnceLock;

use tieup_protocol::contract::{Contract, Owner};
use tieup_protocol::diagnostic::Report;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;

use crate::build::Build;
use crate::edition::{Changes, Edition, Failed, Files};
use crate::known;
use crate::menu;
use crate::output::OutputFile;
use crate::search;
use crate::site::{Site, is_released, report};
use crate::spanning::{is_spanning, spanning};
use crate::view::Inherited;
use crate::workbench::Audience;

/// The files of one audience, made when one is first asked for.
#[derive(Default)]
pub(crate) struct Rack(OnceLock<Made>);

/// What differs between what is to be made and what was.
#[derive(Clone, Copy)]
pub(crate) enum Extent<'a> {
    /// The texts of some pages.
    Texts,
    /// Perhaps everything. This was known of the Markdown files before.
    All(&'a known::Files),
}

/// What was made.
#[derive(Default)]
struct Made {
    /// The last build without mistakes.
    edition: Option<Edition>,
    /// Whether more than the texts of pages has changed since then.
    is_outdated: bool,
    /// What could be made since then; all of it for a partner that inherits no pages.
    files: Files,
    mistakes: Option<Report>,
    index: OnceLock<Vec<IndexedPage>>,
    /// The files that span all pages, made when one is asked for.
    spanning: OnceLock<Files>,
    search: OnceLock<Files>,
}

impl Rack {
    /// The file at `path`.
    pub(crate) fn get(&self, site: &Site, audience: &Audience, path: &SitePath) -> Option<&OutputFile> {
        let made = self.made(site, audience);
        let contract = contract(site, audience);
        let is_there = |file: &&OutputFile| contract.is_none_or(|contract| is_released(path, file, contract));
        if let Some(file) = made.shown(path).filter(is_there) {
            return Some(file);
        }
        if audience == &Audience::Main && is_spanning(path) {
            return made.spanning.get_or_init(|| made.span(site)).get(path);
        }
        search::is_index(path).then(|| made.search.get_or_init(|| made.find(site, audience)).get(path))?
    }

    /// What a partner's own pages have of the site.
    pub(crate) fn inherited(&self, site: &Site, audience: &Audience) -> Inherited<'_> {
        let made = self.made(site, audience);
        let view = made.edition.as_ref().map(Edition::view);
        let menus = view.map(|view| menu::of_site(view.config(), view.own().map(|(_, page)| page)));
        Inherited { pages: made.index(contract(site, audience)), menus: menus.unwrap_or_default() }
    }

    /// What is wrong with the newest sources, as far as that is known.
    pub(crate) fn mistakes(&self) -> Option<&Report> {
        self.0.get()?.mistakes.as_ref()
    }

    /// Makes anew what had been made before, and the main site in any case. Returns what is shown otherwise than before.
    pub(crate) fn renew(&mut self, site: &Site, audience: &Audience, extent: Extent<'_>) -> Vec<(SitePath, EntryKind)> {
        let Some(mut made) = self.0.take().or_else(|| (*audience == Audience::Main).then(Made::default)) else {
            return Vec::new();
        };
        let changed = made.renew(site, audience, extent);
        self.0 = OnceLock::from(made);
        changed
    }

    fn made(&self, site: &Site, audience: &Audience) -> &Made {
        self.0.get_or_init(|| {
            let mut made = Made::default();
            made.renew(site, audience, Extent::Texts);
            made
        })
    }
}

/// A build without mistakes.
enum Sound {
    First(Box<Edition>),
    Next(Changes),
}

impl Made {
    /// What stands at `path`.
    fn shown(&self, path: &SitePath) -> Option<&OutputFile> {
        self.files.get(path).or_else(|| self.edition.as_ref()?.files().get(path))
    }

    fn renew(&mut self, site: &Site, audience: &Audience, extent: Extent<'_>) -> Vec<(SitePath, EntryKind)> {
        (self.index, self.spanning, self.search) = <_>::default();
        let sound = site.with_build(audience, |build| self.build(build, site.known(), extent));
        match sound {
            Some(Ok(sound)) => self.take(sound),
            Some(Err(failed)) => self.take_failed(failed, extent),
            None => self.take_plain(site, audience),
        }
    }

    fn build(&self, build: &Build<'_>, now: &known::Files, extent: Extent<'_>) -> Result<Sound, Failed> {
        let Some(edition) = &self.edition else { return Edition::make(build).map(|made| Sound::First(Box::new(made))) };
        let changes = match extent {
            Extent::Texts if !self.is_outdated => edition.vary(build),
            // Where there were mistakes, that a text was read says nothing of its links.
            Extent::All(known) if self.mistakes.is_none() => edition.renew(build, Some([known, now])),
            Extent::Texts | Extent::All(_) => edition.renew(build, None),
        };
        changes.map(Sound::Next)
    }

    /// Shows a build. Returns what differs from what was shown.
    fn take(&mut self, sound: Sound) -> Vec<(SitePath, EntryKind)> {
        let partial = std::mem::take(&mut self.files);
        (self.mistakes, self.is_outdated) = (None, false);
        match (sound, &mut self.edition) {
            (Sound::Next(changes), Some(edition)) => {
                let paths = partial.keys().chain(changes.made.keys().filter(|path| !partial.contains_key(*path)));
                let differing = paths.chain(&changes.gone).filter_map(|path| {
                    let stood = edition.files().get(path);
                    let stands = changes.made.get(path).or(stood.filter(|_| !changes.gone.contains(path)));
                    differs(path, partial.get(path).or(stood), stands)
                });
                let differing = differing.collect();
                edition.apply(changes);
                differing
            }
            (Sound::First(edition), standing) => {
                let differing = differing(&partial, edition.files());
                *standing = Some(*edition);
                differing
            }
            (Sound::Next(_), None) => Vec::new(),
        }
    }

    /// Shows what could be made in spite of mistakes, over what stood before.
    fn take_failed(&mut self, failed: Failed, extent: Extent<'_>) -> Vec<(SitePath, EntryKind)> {
        let Failed { made, problems } = failed;
        let differing = made.iter().filter_map(|(path, file)| differs(path, self.shown(path), Some(file))).collect();
        self.files.extend(made);
        self.mistakes = Some(report(problems));
        self.is_outdated |= matches!(extent, Extent::All(_));
        differing
    }

    /// Shows what a partner gets that inherits no pages.
    fn take_plain(&mut self, site: &Site, audience: &Audience) -> Vec<(SitePath, EntryKind)> {
        let Audience::Partner(id) = audience else { return Vec::new() };
        let before = self.edition.take().map_or_else(|| std::mem::take(&mut self.files), |made| made.files().clone());
        let release = site.build_release(id);
        self.mistakes = release.as_ref().err().cloned();
        self.files = release.map_or_else(|_| before.clone(), |release| release.output.files);
        differing(&before, &self.files)
    }

    fn index(&self, contract: Option<&Contract>) -> &[IndexedPage] {
        let is_mains =
            |page: &IndexedPage| contract.is_none_or(|contract| contract.mounts.owner(&page.path).0 == Owner::Main);
        self.index.get_or_init(|| {
            let pages = self.edition.iter().flat_map(|edition| edition.view().index());
            pages.filter(is_mains).collect()
        })
    }

    /// The sitemap and `robots.txt`.
    fn span(&self, site: &Site) -> Files {
        let has = |path: &SitePath| self.shown(path).is_some();
        as_files(spanning(site.base_url(), self.index(None).iter(), &has))
    }

    /// The index of the search: for a partner that of one without originals.
    fn find(&self, site: &Site, audience: &Audience) -> Files {
        let Some(search) = site.search() else { return Files::new() };
        let pages: Vec<&IndexedPage> = self.index(contract(site, audience)).iter().collect();
        let read = |page: &IndexedPage| {
            Ok::<_, Infallible>(self.shown(&page.path).map_or_else(Vec::new, |file| file.bytes.to_vec()))
        };
        let Ok(files) = search.index(&pages, &read);
        as_files(files)
    }
}

fn contract<'a>(site: &'a Site, audience: &Audience) -> Option<&'a Contract> {
    match audience {
        Audience::Main => None,
        Audience::Partner(id) => site.contract(id),
    }
}

fn as_files(files: BTreeMap<SitePath, Vec<u8>>) -> Files {
    let file = |(path, bytes)| {
        let file = OutputFile::asset(&path, bytes, "");
        (path, file)
    };
    files.into_iter().map(file).collect()
}

/// What stands otherwise in one than in the other, each path once.
fn differing(before: &Files, after: &Files) -> Vec<(SitePath, EntryKind)> {
    let paths = before.keys().chain(after.keys().filter(|path| !before.contains_key(*path)));
    paths.filter_map(|path| differs(path, before.get(path), after.get(path))).collect()
}

fn differs(path: &SitePath, before: Option<&OutputFile>, after: Option<&OutputFile>) -> Option<(SitePath, EntryKind)> {
    let same = before.map(|file| &file.bytes) == after.map(|file| &file.bytes);
    after.or(before).filter(|_| !same).map(|file| (path.clone(), file.kind))
}
