//! A build that stands in memory, and others that differ from it in a few pages: only what those pages touch is made.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::path::SitePath;

use crate::build::{Before, Build, Prepared};
use crate::components;
use crate::dependents::Dependents;
use crate::known::{self, Records};
use crate::links::{Asked, Checker, Ids, ids};
use crate::maker::{Maker, Record, Shelf};
use crate::output::OutputFile;
use crate::page::Page;
use crate::plan::Item;
use crate::progress::Progress;
use crate::site::report;
use crate::templates::Globals;
use crate::uses::Fields;
use crate::view::View;

/// Files by the paths that they stand at.
pub(crate) type Files = BTreeMap<SitePath, OutputFile>;

/// A build that stands in memory.
pub(crate) struct Edition {
    prepared: Prepared,
    /// How many pages were given; the rest lists them by terms.
    given: usize,
    files: Files,
    records: Records,
    dependents: Dependents,
}

/// What another build has otherwise than an [`Edition`].
pub(crate) struct Changes {
    /// What was made anew; not all of it differs.
    pub(crate) made: Files,
    /// Where nothing stands any more.
    pub(crate) gone: Vec<SitePath>,
    /// The pages.
    pub(crate) view: Arc<View>,
    records: Vec<(SitePath, Record)>,
    rest: Rest,
}

/// What else a build came to.
enum Rest {
    /// Other texts stand at the places of some: the files that hold them, and their links with anchors.
    Texts { sources: HashSet<String>, asked: Asked },
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
        let (prepared, problems) = build.prepare(None);
        let done = prepared.make(build, &bench, problems);
        let Benched { made, records, .. } = bench.into_parts();
        if let Err(problems) = done {
            return Err(Failed { made, problems });
        }
        let (given, records) = (build.pages.len(), records.into_iter().collect());
        let dependents = dependents(&prepared, &records);
        Ok(Self { prepared, given, files: made, records, dependents })
    }

    /// The files.
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// The pages.
    pub(crate) fn view(&self) -> &View {
        &self.prepared.view
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
        let (prepared, problems) = build.prepare(before.as_ref());
        let done = prepared.make(build, &bench, problems);
        let Benched { made, records, kept } = bench.into_parts();
        if let Err(problems) = done {
            return Err(Failed { made, problems });
        }
        let gone = self.files.keys().filter(|path| !kept.contains(*path) && !made.contains_key(*path));
        let (gone, view) = (gone.cloned().collect(), prepared.view.clone());
        let rest = Rest::All { prepared: Box::new(prepared), given: build.pages.len() };
        Ok(Changes { made, gone, view, records, rest })
    }

    /// The same where the pages differ in what they say alone; none where they do in more.
    fn vary_texts(&self, build: &Build<'_>) -> Option<Result<Changes, Failed>> {
        let pages = self.differing(build.pages)?;
        let view = Arc::new(self.prepared.view.with(&pages)?);
        let usual = self.prepared.templates.as_ref()?;
        let globals = Globals::new(build.data, build.partner);
        let seeing = (globals != *usual.globals()).then(|| usual.with(globals));
        let templates = seeing.as_ref().unwrap_or(usual);
        let affected = self.dependents.of(&self.prepared.view, &view, &pages);
        let affected = affected.filter(|_| seeing.is_none() || !usual.any_names("partner"));
        let items = self.items(affected.as_ref(), &view);
        let items: Vec<(&SitePath, &Item)> = items.iter().map(|(path, item)| (*path, item)).collect();
        let (mut problems, bench) = (Vec::new(), Bench::upon(Some(self)));
        let asked = self.check_texts(build, &view, &pages, &mut problems);
        components::check(&pages, Some(templates), &mut problems);
        let surroundings = self.prepared.surroundings;
        let maker = Maker { view: &view, templates, surroundings, progress: build.progress };
        maker.make_all(&items, &bench, &mut problems);
        let Benched { made, records, .. } = bench.into_parts();
        let sources = pages.iter().map(|page| page.body_source.file.clone()).collect();
        self.check_anchors(&asked, &sources, &made, &mut problems);
        if !problems.is_empty() {
            return Some(Err(Failed { made, problems }));
        }
        Some(Ok(Changes { made, gone: Vec::new(), view, records, rest: Rest::Texts { sources, asked } }))
    }

    /// Those of `pages` that stand here otherwise; none where there are more or fewer.
    fn differing(&self, pages: &[Arc<Page>]) -> Option<Vec<Arc<Page>>> {
        let pairs = self.prepared.view.own().zip(pages).take(self.given);
        let other = pairs.filter(|((_, old), new)| !Arc::ptr_eq(old, new)).map(|(_, new)| new.clone());
        (pages.len() == self.given).then(|| other.collect())
    }

    /// What is to be made at some paths, or at all, where a view has other pages.
    fn items(&self, paths: Option<&HashSet<&SitePath>>, view: &View) -> Vec<(&SitePath, Item)> {
        let all = self.prepared.plan.items();
        let chosen: Vec<(&SitePath, &Item)> = match paths {
            None => all.collect(),
            Some(paths) => paths.iter().filter_map(|path| self.prepared.plan.entry(path)).collect(),
        };
        chosen.into_iter().map(|(path, item)| (path, item.upon(view))).collect()
    }

    /// Checks where the links of some pages lead; their anchors are left for later.
    fn check_texts(
        &self,
        build: &Build<'_>,
        view: &View,
        pages: &[Arc<Page>],
        problems: &mut Vec<Diagnostic>,
    ) -> Asked {
        let plan = &self.prepared.plan;
        let checker = Checker { plan, view, config: build.config, elsewhere: build.elsewhere };
        let mut asked = Asked::default();
        for page in pages {
            checker.check_text((&page.text.body().links, &page.body_source), &mut asked, problems);
        }
        asked
    }

    /// Checks the anchors that are asked for by changed texts, and those that other texts ask of what was `made`.
    fn check_anchors(&self, asked: &Asked, changed: &HashSet<String>, made: &Files, problems: &mut Vec<Diagnostic>) {
        let mut all = asked.clone();
        all.take(&self.prepared.asked, |path, source| made.contains_key(path) && !changed.contains(source));
        let file = |path: &SitePath| made.get(path).or_else(|| self.files.get(path));
        let ids = all.paths().filter_map(|path| Some((path.clone(), ids(&file(path)?.bytes))));
        all.check(&ids.collect::<Ids>(), problems);
    }

    /// Becomes the build that has these changes.
    pub(crate) fn apply(&mut self, changes: Changes) {
        let Changes { made, gone, view, records, rest } = changes;
        for path in gone {
            self.files.remove(&path);
            self.records.remove(&path);
        }
        self.files.extend(made);
        match rest {
            Rest::Texts { sources, asked } => {
                self.prepared.view = view;
                self.prepared.asked.replace(&sources, asked);
                self.dependents.add(records.iter().map(|(path, record)| (path, record)));
                // A text may call components now that it did not call before.
                let progress = Progress::default();
                let maker = self.prepared.maker(&progress);
                for (path, _) in &records {
                    let item = self.prepared.plan.entry(path).map(|(_, item)| item);
                    if let Some((maker, item)) = maker.as_ref().zip(item) {
                        self.dependents.shows(path, maker.fields(item));
                    }
                }
                self.records.extend(records);
            }
            Rest::All { prepared, given } => {
                self.prepared = *prepared;
                self.given = given;
                self.records.extend(records);
                self.dependents = dependents(&self.prepared, &self.records);
            }
        }
    }
}

fn dependents(prepared: &Prepared, records: &Records) -> Dependents {
    let progress = Progress::default();
    let maker = prepared.maker(&progress);
    let fields = |item: &Item| maker.as_ref().map_or(Fields::ALL, |maker| maker.fields(item));
    Dependents::new(&prepared.plan, &prepared.view, &fields, records)
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
