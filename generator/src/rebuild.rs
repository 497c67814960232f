//! Building a main site again: only what differs from the build before is read, made and written.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::digest::Digest;
use tieup_protocol::path::{SitePath, SourcePath};
use tieup_store::cache::Cache;

use crate::build::Before;
use crate::known::{Earlier, Files, Head, Records, Shelves, Tables, hash};
use crate::maker::{Record, Shelf};
use crate::output::OutputFile;
use crate::parallel;
use crate::print::{Print, Printer};
use crate::site::{Loading, Site};
use crate::source::{Found, Stat, files_below};

/// The folders and files of a site, beside `content/`, that its main tree is made from.
const SOURCES: [&str; 5] = ["data", "static", "templates", "partners", "site.yaml"];

/// Where a tree of files is kept.
pub trait Tree: Sync {
    /// What stands at `path` since the build before.
    fn read(&self, path: &SitePath) -> Option<Vec<u8>>;
    /// Puts `bytes` at `path`.
    fn write(&self, path: &SitePath, bytes: &[u8]);
    /// Takes away what stands at `path` since the build before.
    fn remove(&self, path: &SitePath);
}

/// A main site that is built again and again, each time from what the time before left.
#[derive(Debug)]
pub struct Rebuild {
    site: PathBuf,
    themes: PathBuf,
    shelves: Shelves,
    /// Of the engine and the settings.
    surroundings: Print,
    state: State,
    /// What lies in the content folder, and what is wrong there; none once that was read.
    content: Option<(Vec<Found>, Vec<Diagnostic>)>,
    begun: SystemTime,
    head: Option<Head>,
    recalled: Option<Recalled>,
}

/// What the build before knew.
#[derive(Debug, Default)]
struct Recalled {
    files: Files,
    /// Why what it made is still good; none where something else stands in the tree.
    records: Option<Records>,
    /// Where both are kept.
    tables: Tables,
    /// What it made beside its plan.
    besides: HashSet<SitePath>,
}

/// What a build came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// How many pages there are.
    pub pages: usize,
    /// The next instant at which a page goes live or expires.
    pub next_change: Option<Timestamp>,
}

/// What is known after a build, to be kept once its tree stands.
#[derive(Debug)]
pub struct Findings {
    files: Files,
    made: Made,
    /// Where what was known before is kept.
    tables: Tables,
    rebuilt: Rebuilt,
    at: Timestamp,
    /// Whether every change shows in the state of the sources; days from commits do not.
    shows: bool,
}

/// What was made.
#[derive(Debug)]
struct Made {
    /// Why each file is good.
    records: Records,
    /// The paths at which something else was made.
    changed: Vec<SitePath>,
    /// The Markdown files of which something else is known than before.
    read: Vec<SourcePath>,
    /// What was made beside the plan.
    besides: HashSet<SitePath>,
    /// How many pages there are.
    pages: usize,
}

impl Rebuild {
    /// Looks at the state of the site `site` and of its `themes`. `cache` holds what builds before have left for the
    /// tree named `tree`; `begun` is the time now, by the clock of the disk.
    pub fn begin(site: &Path, themes: &Path, cache: Cache, tree: &str, begun: SystemTime) -> Self {
        let shelves = Shelves::new(cache, tree.to_owned());
        let config = std::fs::read(site.join("site.yaml")).unwrap_or_default();
        let surroundings = Printer::default().text(env!("TIEUP_ENGINE")).print(Print::of(&config)).finish();
        let head = shelves.head().filter(|head| head.surroundings == surroundings);
        let mut problems = Vec::new();
        let found = files_below(&site.join("content"), &mut problems);
        let state = State::of(&found, site, themes, begun);
        let (site, themes, content) = (site.to_owned(), themes.to_owned(), Some((found, problems)));
        Self { site, themes, shelves, surroundings, state, content, begun, head, recalled: None }
    }

    /// What the build before came to, if nothing has changed since: no source, nothing in the tree, whose state is
    /// `built`, and no page whose time has come.
    pub fn current(&self, built: Option<Digest>, now: Timestamp) -> Option<Rebuilt> {
        let head = self.head.as_ref()?;
        let sources = self.state.sources;
        let same = sources.is_some() && head.sources == sources && built.is_some() && head.built == built;
        let next_change = head.until.and_then(|until| Timestamp::from_nanosecond(until).ok());
        (same && head.is_timely(now)).then_some(Rebuilt { pages: head.pages, next_change })
    }

    /// Whether nothing but Markdown files of the content folder differs from what `head` tells of.
    fn frames(&self, head: &Head, now: Timestamp) -> bool {
        self.state.frame.is_some() && head.frame == self.state.frame && head.is_timely(now)
    }

    /// Whether what stands in the tree, whose state is `built`, is what the build before left, so that this one need only
    /// write what differs. Reads what that build knew.
    pub fn goes_on(&mut self, built: Option<Digest>) -> bool {
        if self.recalled.is_none() {
            self.recalled = Some(self.recall(built));
        }
        self.recalled.as_ref().is_some_and(|recalled| recalled.records.is_some())
    }

    /// What the build before knew, as far as it is not lost.
    fn recall(&self, built: Option<Digest>) -> Recalled {
        let Some(head) = &self.head else { return Recalled::default() };
        let stands = built.is_some() && head.built == built;
        let (files, records) = parallel::join(
            || self.shelves.files(&head.tables),
            || if stands { self.shelves.records(&head.tables) } else { None },
        );
        let Some(files) = files else { return Recalled::default() };
        let tables = if records.is_some() { head.tables.clone() } else { head.tables.of_files() };
        Recalled { files, records, tables, besides: head.besides.clone() }
    }

    /// Builds into `tree`, whose state before is `built`: what differs, where this build [goes on](Rebuild::goes_on) from
    /// the one before, and everything where not.
    ///
    /// # Errors
    /// Everything that is wrong with the site. The tree may have been told of files by then.
    pub fn run(
        &mut self,
        tree: &dyn Tree,
        built: Option<Digest>,
        now: Timestamp,
        loading: &Loading,
    ) -> Result<Findings, Report> {
        let goes_on = self.goes_on(built);
        let Recalled { files, records, tables, besides } = self.recalled.take().unwrap_or_default();
        let records = records.unwrap_or_default();
        let earlier = Earlier::new(files, self.content.take(), self.begun);
        let mut site = Site::load_knowing(&self.site, &self.themes, loading, Some(&earlier))?.at(now);
        let bench = Bench { tree, records: &records, kept: Mutex::default(), made: Mutex::default() };
        let head = self.head.as_ref().filter(|head| goes_on && self.frames(head, now));
        let revised = head.and_then(|head| Some((head.pages, site.revise_main(&bench, &records)?)));
        let made = if let Some((pages, done)) = revised {
            done?;
            let (_, made) = bench.into_parts();
            let (records, changed) = shelve(records, None, made, tree);
            Made { records, changed, read: earlier.read_anew(), besides, pages }
        } else {
            let before = Before { made: &records, besides: &besides, files: &earlier.files, now: site.known() };
            let prepared = site.make_main(&bench, goes_on.then_some(&before))?;
            let (kept, made) = bench.into_parts();
            let (records, changed) = shelve(records, Some(&kept), made, tree);
            let besides = records.keys().filter(|path| !prepared.plan.has(path)).cloned().collect();
            let pages = prepared.view.own().count();
            // Giving back the memory of many pages piece by piece takes its time, and the process is about to end.
            std::mem::forget(prepared);
            Made { records, changed, read: changed_files(&earlier.files, site.known()), besides, pages }
        };
        let rebuilt = Rebuilt { pages: made.pages, next_change: site.next_change() };
        let (files, shows) = (site.take_known(), !site.is_dated_by_commits());
        std::mem::forget((site, earlier));
        Ok(Findings { files, made, tables, rebuilt, at: now, shows })
    }

    /// Keeps what was found out, for the next build; `built` is the state of the tree now.
    pub fn keep(&self, findings: &Findings, built: Option<Digest>) {
        let Findings { files, made, tables, rebuilt, at, shows } = findings;
        let mut tables = tables.clone();
        self.shelves.put_files(files, made.read.iter().map(SourcePath::as_str), &mut tables);
        self.shelves.put_records(&made.records, made.changed.iter().map(SitePath::as_str), &mut tables);
        self.shelves.put_head(&Head {
            surroundings: self.surroundings,
            sources: self.state.sources.filter(|_| *shows),
            frame: self.state.frame,
            built,
            at: at.as_nanosecond(),
            until: rebuilt.next_change.map(Timestamp::as_nanosecond),
            pages: rebuilt.pages,
            besides: made.besides.clone(),
            tables,
        });
    }
}

impl Findings {
    /// What the build came to.
    pub fn rebuilt(&self) -> Rebuilt {
        self.rebuilt
    }
}

/// What a comparison with a fresh build came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many files were made afresh.
    pub compared: usize,
    /// Those that stand in the tree otherwise, in order.
    pub different: Vec<SitePath>,
}

/// How many pages are verified at least, about, if there are so many.
const LEAST: usize = 50;

impl Rebuild {
    /// Makes one in `share` of the main site's files afresh, of a small site more, from the sources alone, and compares
    /// them with the tree. Which ones changes with the time.
    ///
    /// # Errors
    /// Everything that is wrong with the site.
    pub fn verify(&self, tree: &dyn Tree, now: Timestamp, share: usize) -> Result<Verified, Report> {
        let site = Site::load(&self.site, &self.themes)?.at(now);
        let verified = Mutex::new(Verified::default());
        let pages = self.head.as_ref().map_or(0, |head| head.pages);
        let share = share.min(pages / LEAST).max(1) as u64;
        let chosen = |path: &SitePath| hash(&format!("{} {path}", now.as_second())).is_multiple_of(share);
        site.make_sample(&chosen, &|path, file| {
            let same = tree.read(path).is_some_and(|bytes| *bytes == *file.bytes);
            let verified = &mut *verified.lock().unwrap_or_else(PoisonError::into_inner);
            verified.compared += 1;
            verified.different.extend((!same).then(|| path.clone()));
        })?;
        let mut verified = verified.into_inner().unwrap_or_else(PoisonError::into_inner);
        verified.different.sort();
        Ok(verified)
    }
}

/// The state of what a site is made from; none where something changed so shortly before that a later change may not
/// show.
#[derive(Debug)]
struct State {
    /// Of every source.
    sources: Option<Print>,
    /// Of those that are not below the content folder.
    frame: Option<Print>,
}

impl State {
    /// Looks at the sources, `content` being what lies in the content folder.
    fn of(content: &[Found], site: &Path, themes: &Path, begun: SystemTime) -> Self {
        let mut frame = Prints::new(begun);
        for source in SOURCES.map(|source| site.join(source)).iter().map(PathBuf::as_path).chain([themes]) {
            match std::fs::metadata(source) {
                Ok(state) if state.is_file() => frame.add(source, Stat::of(&state)),
                // What is wrong with a file is told when it is read.
                Ok(_) => {
                    for found in files_below(source, &mut Vec::new()) {
                        frame.add(&found.file, found.stat);
                    }
                }
                Err(_) => {}
            }
        }
        let mut texts = Prints::new(begun);
        for found in content {
            texts.add(&found.file, found.stat);
        }
        let (frame, texts) = (frame.finish(), texts.finish());
        Self { sources: frame.zip(texts).map(|(frame, texts)| Print::all([frame, texts])), frame }
    }
}

/// The states of some files, taken together.
struct Prints {
    printer: Printer,
    settled: bool,
    begun: SystemTime,
}

impl Prints {
    fn new(begun: SystemTime) -> Self {
        Self { printer: Printer::default(), settled: true, begun }
    }

    fn add(&mut self, file: &Path, stat: Stat) {
        let print = stat.settled(self.begun);
        self.settled &= print.is_some();
        self.printer.text(&file.to_string_lossy()).print(print.unwrap_or_default());
    }

    fn finish(self) -> Option<Print> {
        self.settled.then(|| self.printer.finish())
    }
}

/// What is made, on its way into a tree.
struct Bench<'a> {
    tree: &'a dyn Tree,
    records: &'a Records,
    kept: Mutex<Vec<SitePath>>,
    made: Mutex<Vec<(SitePath, Record)>>,
}

impl Bench<'_> {
    fn into_parts(self) -> (Vec<SitePath>, Vec<(SitePath, Record)>) {
        let kept = self.kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        (kept, self.made.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelf for Bench<'_> {
    fn earlier(&self, path: &SitePath) -> Option<Record> {
        self.records.get(path).cloned()
    }

    fn bytes(&self, path: &SitePath) -> Option<Arc<[u8]>> {
        self.tree.read(path).map(Into::into)
    }

    fn keep(&self, path: &SitePath) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
    }

    fn is_last(&self) -> bool {
        true
    }

    fn put(&self, path: &SitePath, file: OutputFile, record: Record) {
        self.tree.write(path, &file.bytes);
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push((path.clone(), record));
    }

    fn give(&self, path: &SitePath, file: &OutputFile) {
        let record = Record { print: Print::of(&file.bytes), asked: Vec::new(), answers: Print::default() };
        if self.records.get(path) == Some(&record) {
            self.keep(path);
        } else {
            self.put(path, file.clone(), record);
        }
    }
}

/// The files of which something else is known than before.
fn changed_files(before: &Files, after: &Files) -> Vec<SourcePath> {
    let same = |file: &SourcePath, known| before.get(file).is_some_and(|old| Arc::ptr_eq(old, known));
    let changed = after.iter().filter(|(file, known)| !same(file, known)).map(|(file, _)| file);
    let gone = before.keys().filter(|file| !after.contains_key(*file));
    changed.chain(gone).cloned().collect()
}

/// The records after a build, and where they differ from those before. What is neither `kept` nor made is taken away;
/// nothing is where that is not told.
fn shelve(
    mut records: Records,
    kept: Option<&[SitePath]>,
    made: Vec<(SitePath, Record)>,
    tree: &dyn Tree,
) -> (Records, Vec<SitePath>) {
    let mut changed = Vec::new();
    if let Some(kept) = kept.filter(|kept| kept.len() < records.len()) {
        let stays: HashSet<&SitePath> = kept.iter().chain(made.iter().map(|(path, _)| path)).collect();
        let gone: Vec<SitePath> = records.keys().filter(|path| !stays.contains(path)).cloned().collect();
        for path in gone {
            tree.remove(&path);
            records.remove(&path);
            changed.push(path.clone());
        }
    }
    for (path, record) in made {
        changed.push(path.clone());
        records.insert(path, record);
    }
    (records, changed)
}
