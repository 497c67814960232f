//! A build that stands in memory, and others that differ from it in a few pages: only what those pages touch is made.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::path::SitePath;

use crate::base::{Base, Revised};
use crate::build::{Before, Build, Prepared};
use crate::known::{self, Records};
use crate::links::Texts;
use crate::maker::{Record, Shelf};
use crate::output::OutputFile;
use crate::site::report;
use crate::view::View;

/// Files by the paths that they stand at.
pub(crate) type Files = BTreeMap<SitePath, OutputFile>;

/// A build that stands in memory.
pub(crate) struct Edition {
    base: Base,
    files: Files,
    records: Records,
}

/// What another build has otherwise than an [`Edition`].
pub(crate) struct Changes {
    /// What was made anew; not all of it differs.
    pub(crate) made: Files,
    /// Where nothing stands any more.
    pub(crate) gone: Vec<SitePath>,
    records: Vec<(SitePath, Record)>,
    rest: Rest,
}

/// What else a build came to.
enum Rest {
    /// Other texts stand at the places of some.
    Texts(Box<Revised>),
    /// All was planned anew, with so many pages given.
    All { prepared: Box<Prepared>, given: usize },
}

/// A build with mistakes.
pub(crate) struct Failed {
    /// What could be made.
    pub(crate) made: Files,
    /// The mistakes.
    pub(crate) problems: Vec<Diagnostic>,
}

impl Changes {
    /// The pages.
    pub(crate) fn view(&self) -> &View {
        match &self.rest {
            Rest::Texts(revised) => &revised.view,
            Rest::All { prepared, .. } => &prepared.view,
        }
    }
}

impl Failed {
    /// The mistakes as a report.
    pub(crate) fn report(self) -> Report {
        report(self.problems)
    }
}

impl Edition {
    /// Makes everything.
    ///
    /// # Errors
    /// Everything that is wrong with templates, and every link that leads nowhere.
    pub(crate) fn make(build: &Build<'_>) -> Result<Self, Failed> {
        let bench = Bench::upon(None);
        let (prepared, problems) = build.prepare(|_| Texts::All);
        let done = prepared.make(build, &bench, problems);
        let Benched { made, records, .. } = bench.into_parts();
        if let Err(problems) = done {
            return Err(Failed { made, problems });
        }
        let records = records.into_iter().collect();
        Ok(Self { base: Base::new(prepared, build.pages.len(), &records), files: made, records })
    }

    /// The files.
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// The pages.
    pub(crate) fn view(&self) -> &View {
        self.base.view()
    }

    /// What `build` has otherwise, which differs from this one in its pages alone, and perhaps in its partner.
    ///
    /// # Errors
    /// What is wrong with what is made anew.
    pub(crate) fn vary(&self, build: &Build<'_>) -> Result<Changes, Failed> {
        self.vary_texts(build).unwrap_or_else(|| self.renew(build, None))
    }

    /// What `build` has otherwise, which may differ from this one in everything. `known` is what was known of the
    /// Markdown files when this one was made, and what is known now; without it, every link is followed again.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn renew(&self, build: &Build<'_>, known: Option<[&known::Files; 2]>) -> Result<Changes, Failed> {
        let bench = Bench::upon(Some(self));
        let besides = HashSet::new();
        let before = known.map(|[files, now]| Before { made: &self.records, besides: &besides, files, now });
        let (prepared, problems) = build.prepare(|plan| before.map_or(Texts::All, |before| before.texts(plan)));
        let done = prepared.make(build, &bench, problems);
        let Benched { made, records, kept } = bench.into_parts();
        if let Err(problems) = done {
            return Err(Failed { made, problems });
        }
        let gone = self.files.keys().filter(|path| !kept.contains(*path) && !made.contains_key(*path));
        let gone = gone.cloned().collect();
        let rest = Rest::All { prepared: Box::new(prepared), given: build.pages.len() };
        Ok(Changes { made, gone, records, rest })
    }

    /// The same where the pages differ in what they say alone; none where they do in more.
    fn vary_texts(&self, build: &Build<'_>) -> Option<Result<Changes, Failed>> {
        let bench = Bench::upon(Some(self));
        let revised = self.base.make(build, self.base.revision(build)?, &bench)?;
        let Benched { made, records, .. } = bench.into_parts();
        Some(match revised {
            Ok(revised) => Ok(Changes { made, gone: Vec::new(), records, rest: Rest::Texts(Box::new(revised)) }),
            Err(problems) => Err(Failed { made, problems }),
        })
    }

    /// Becomes the build that has these changes.
    pub(crate) fn apply(&mut self, changes: Changes) {
        let Changes { made, gone, records, rest } = changes;
        for path in gone {
            self.files.remove(&path);
            self.records.remove(&path);
        }
        // A file that was given stands there without one.
        for path in made.keys() {
            self.records.remove(path);
        }
        self.files.extend(made);
        match rest {
            Rest::Texts(revised) => {
                self.base.apply(*revised, &records);
                self.records.extend(records);
            }
            Rest::All { prepared, given } => {
                self.records.extend(records);
                self.base = Base::new(*prepared, given, &self.records);
            }
        }
    }
}

/// What is made beside what stands.
struct Bench<'a> {
    standing: Option<&'a Edition>,
    parts: Mutex<Benched>,
}

#[derive(Default)]
struct Benched {
    made: Files,
    records: Vec<(SitePath, Record)>,
    kept: HashSet<SitePath>,
}

impl<'a> Bench<'a> {
    fn upon(standing: Option<&'a Edition>) -> Self {
        Self { standing, parts: Mutex::default() }
    }

    fn change(&self, change: impl FnOnce(&mut Benched)) {
        change(&mut self.parts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn into_parts(self) -> Benched {
        self.parts.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf for Bench<'_> {
    fn earlier(&self, path: &SitePath) -> Option<Record> {
        self.standing?.records.get(path).cloned()
    }

    fn bytes(&self, path: &SitePath) -> Option<Arc<[u8]>> {
        Some(self.standing?.files.get(path)?.bytes.clone())
    }

    fn keep(&self, path: &SitePath) {
        self.change(|parts| _ = parts.kept.insert(path.clone()));
    }

    fn put(&self, path: &SitePath, file: OutputFile, record: Record) {
        self.change(|parts| {
            parts.made.insert(path.clone(), file);
            parts.records.push((path.clone(), record));
        });
    }

    fn give(&self, path: &SitePath, file: &OutputFile) {
        if self.standing.and_then(|standing| standing.files.get(path)) == Some(file) {
            self.keep(path);
        } else {
            self.change(|parts| drop(parts.made.insert(path.clone(), file.clone())));
        }
    }
}
