//! Building a main site again: only what differs from the build before is read, made and written.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use tieup_protocol::diagnostic::Report;
use tieup_protocol::digest::Digest;
use tieup_protocol::path::SitePath;
use tieup_store::cache::Cache;

use crate::build::Before;
use crate::known::{Earlier, Files, Head, Records, Shelves, hash};
use crate::maker::{Record, Shelf};
use crate::output::OutputFile;
use crate::print::{Print, Printer};
use crate::site::{Loading, Site};
use crate::source::{Stat, files_below};

/// The folders and files of a site that its main tree is made from.
const SOURCES: [&str; 6] = ["content", "data", "static", "templates", "partners", "site.yaml"];

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
    /// The state of the sources.
    sources: Option<Print>,
    begun: SystemTime,
    head: Option<Head>,
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
    records: Records,
    /// The files of which something else is known than before, and the paths at which something else was made.
    changed: (Vec<String>, Vec<String>),
    rebuilt: Rebuilt,
    at: Timestamp,
    /// Whether every change shows in the state of the sources; days from commits do not.
    shows: bool,
}

impl Rebuild {
    /// Looks at the state of the site `site` and of its `themes`. `cache` holds what builds before have left for the
    /// tree named `tree`; `begun` is the time now, by the clock of the disk.
    pub fn begin(site: &Path, themes: &Path, cache: Cache, tree: &str, begun: SystemTime) -> Self {
        let shelves = Shelves::new(cache, tree.to_owned());
        let config = std::fs::read(site.join("site.yaml")).unwrap_or_default();
        let surroundings = Printer::default().text(env!("TIEUP_ENGINE")).print(Print::of(&config)).finish();
        let head = shelves.head().filter(|head| head.surroundings == surroundings);
        let sources = look(site, themes, begun);
        Self { site: site.to_owned(), themes: themes.to_owned(), shelves, surroundings, sources, begun, head }
    }

    /// What the build before came to, if nothing has changed since: no source, nothing in the tree, whose state is
    /// `built`, and no page whose time has come.
    pub fn current(&self, built: Option<Digest>, now: Timestamp) -> Option<Rebuilt> {
        let head = self.head.as_ref()?;
        let same = self.sources.is_some() && head.sources == self.sources && built.is_some() && head.built == built;
        let now = now.as_nanosecond();
        let timely = head.at <= now && head.until.is_none_or(|until| now < until);
        let next_change = head.until.and_then(|until| Timestamp::from_nanosecond(until).ok());
        (same && timely).then_some(Rebuilt { pages: head.pages, next_change })
    }

    /// Whether what stands in the tree, whose state is `built`, is what the build before left, so that this one need only
    /// write what differs.
    pub fn goes_on(&self, built: Option<Digest>) -> bool {
        self.head.as_ref().is_some_and(|head| built.is_some() && head.built == built)
    }

    /// Builds into `tree`, whose state before is `built`: what differs, where this build [goes on](Rebuild::goes_on) from
    /// the one before, and everything where not.
    ///
    /// # Errors
    /// Everything that is wrong with the site. The tree may have been told of files by then.
    pub fn run(
        &self,
        tree: &dyn Tree,
        built: Option<Digest>,
        now: Timestamp,
        loading: &Loading,
    ) -> Result<Findings, Report> {
        let files = self.head.as_ref().map(|_| self.shelves.files()).unwrap_or_default();
        let whole = self.goes_on(built);
        let records = if whole { self.shelves.records() } else { Records::default() };
        let earlier = Earlier { files, begun: self.begun };
        let loaded = Site::load_knowing(&self.site, &self.themes, loading, Some(&earlier));
        let site = loaded?.at(now);
        let bench = Bench { tree, records: &records, kept: Mutex::default(), made: Mutex::default() };
        let before = Before { made: &records, files: &earlier.files, now: site.known() };
        let prepared = site.make_main(&bench, whole.then_some(&before))?;
        let (kept, made) = bench.into_parts();
        let rebuilt = Rebuilt { pages: prepared.view.own().count(), next_change: site.next_change() };
        let files = site.known().clone();
        let changed_files = changed_files(&earlier.files, &files);
        let (records, changed_records) = shelve(records, &kept, made, tree);
        let shows = !site.is_dated_by_commits();
        // Giving back the memory of many pages piece by piece takes its time, and the process is about to end.
        std::mem::forget((site, prepared, earlier));
        Ok(Findings { files, records, changed: (changed_files, changed_records), rebuilt, at: now, shows })
    }

    /// Keeps what was found out, for the next build; `built` is the state of the tree now.
    pub fn keep(&self, findings: &Findings, built: Option<Digest>) {
        let Findings { files, records, changed, rebuilt, at, shows } = findings;
        self.shelves.put_files(files, changed.0.iter().map(String::as_str));
        self.shelves.put_records(records, changed.1.iter().map(String::as_str));
        self.shelves.put_head(&Head {
            surroundings: self.surroundings,
            sources: self.sources.filter(|_| *shows),
            built,
            at: at.as_nanosecond(),
            until: rebuilt.next_change.map(Timestamp::as_nanosecond),
            pages: rebuilt.pages,
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

impl Rebuild {
    /// Makes one in `share` of the main site's files afresh, from the sources alone, and compares them with the tree.
    ///
    /// # Errors
    /// Everything that is wrong with the site.
    pub fn verify(&self, tree: &dyn Tree, now: Timestamp, share: usize) -> Result<Verified, Report> {
        let site = Site::load(&self.site, &self.themes)?.at(now);
        let verified = Mutex::new(Verified::default());
        site.make_sample(&|path| hash(path.as_str()).is_multiple_of(share.max(1) as u64), &|path, file| {
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

/// The state of every source; none where one changed so shortly before that a later change may not show.
fn look(site: &Path, themes: &Path, begun: SystemTime) -> Option<Print> {
    let mut printer = Printer::default();
    let mut settled = true;
    let mut add = |name: &str, stat: Stat| {
        let print = stat.settled(begun);
        settled &= print.is_some();
        printer.text(name).print(print.unwrap_or_default());
    };
    for source in SOURCES.map(|source| site.join(source)).iter().map(PathBuf::as_path).chain([themes]) {
        match std::fs::metadata(source) {
            Ok(state) if state.is_file() => add(&source.to_string_lossy(), Stat::of(&state)),
            Ok(_) => {
                // What is wrong with a file is told when it is read.
                let found = files_below(source, &mut Vec::new());
                for found in found {
                    add(&found.file.to_string_lossy(), found.stat);
                }
            }
            Err(_) => {}
        }
    }
    settled.then(|| printer.finish())
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
fn changed_files(before: &Files, after: &Files) -> Vec<String> {
    let same = |file: &String, known| before.get(file).is_some_and(|old| Arc::ptr_eq(old, known));
    let changed = after.iter().filter(|(file, known)| !same(file, known)).map(|(file, _)| file);
    let gone = before.keys().filter(|file| !after.contains_key(*file));
    changed.chain(gone).cloned().collect()
}

/// The records after a build, and where they differ from those before. What is no longer made is taken away.
fn shelve(
    mut records: Records,
    kept: &[SitePath],
    made: Vec<(SitePath, Record)>,
    tree: &dyn Tree,
) -> (Records, Vec<String>) {
    let mut changed = Vec::new();
    if kept.len() < records.len() {
        let stays: HashSet<&SitePath> = kept.iter().chain(made.iter().map(|(path, _)| path)).collect();
        let gone: Vec<SitePath> = records.keys().filter(|path| !stays.contains(path)).cloned().collect();
        for path in gone {
            tree.remove(&path);
            records.remove(&path);
            changed.push(path.to_string());
        }
    }
    for (path, record) in made {
        changed.push(path.to_string());
        records.insert(path, record);
    }
    (records, changed)
}
