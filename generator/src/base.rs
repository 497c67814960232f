//! A build that was made, wherever its files stand, and what of it comes out otherwise when a few pages say something
//! else: only what those pages touch is planned, checked and made.

use std::collections::HashSet;
use std::sync::Arc;

use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SitePath;

use crate::build::{Build, Prepared, Reader};
use crate::components;
use crate::dependents::{Dependents, Turn};
use crate::known::Records;
use crate::links::{self, Asked, Checker, Ids};
use crate::maker::{Maker, Record, Shelf};
use crate::page::Page;
use crate::plan::{Item, What};
use crate::templates::Globals;
use crate::view::View;

/// A build that was made.
pub(crate) struct Base {
    prepared: Prepared,
    /// How many pages were given; the rest lists them by terms.
    given: usize,
    dependents: Dependents,
}

/// Pages that say something else.
pub(crate) struct Revision {
    /// Those pages.
    pub(crate) pages: Vec<Arc<Page>>,
    /// All pages.
    pub(crate) view: Arc<View>,
}

/// A revision that was made.
pub(crate) struct Revised {
    /// All pages.
    pub(crate) view: Arc<View>,
    /// The files that hold the texts which changed.
    sources: HashSet<String>,
    /// Their links with anchors.
    asked: Asked,
}

impl Base {
    /// Of a build of so many pages, and why each of its files is good.
    pub(crate) fn new(prepared: Prepared, given: usize, records: &Records) -> Self {
        let mut dependents = Dependents::default();
        dependents.add(records);
        Self { prepared, given, dependents }
    }

    /// The pages.
    pub(crate) fn view(&self) -> &Arc<View> {
        &self.prepared.view
    }

    /// How many of its files are pages.
    pub(crate) fn pages(&self) -> usize {
        self.prepared.plan.items().filter(|(_, item)| matches!(item.what, What::Page { .. })).count()
    }

    /// What `build` has otherwise, if that is what pages say, and perhaps its partner; none where it differs in more,
    /// and everything must be planned anew.
    pub(crate) fn revision(&self, build: &Build<'_>) -> Option<Revision> {
        let pages = self.differing(build.pages)?;
        let view = Arc::new(self.view().with(&pages)?);
        Some(Revision { pages, view })
    }

    /// Makes what a revision shows in `build`; none where the templates are wrong. What stands is on the shelf `onto`.
    ///
    /// # Errors
    /// What is wrong with what is made.
    pub(crate) fn make(
        &self,
        build: &Build<'_>,
        revision: Revision,
        onto: &dyn Shelf,
    ) -> Option<Result<Revised, Vec<Diagnostic>>> {
        let Revision { pages, view } = revision;
        let usual = self.prepared.templates.as_ref()?;
        let globals = Globals::new(build.data, build.partner);
        let seeing = (globals != *usual.globals()).then(|| usual.with(globals));
        let templates = seeing.as_ref().unwrap_or(usual);
        let surroundings = self.prepared.surroundings;
        let maker = Maker { view: &view, templates, surroundings, progress: build.progress };
        let fields = |item: &Item| maker.fields(item);
        let turn = Turn { plan: &self.prepared.plan, fields: &fields, old: self.view(), new: &view };
        let affected = self.dependents.of(&turn, &pages);
        let affected = affected.filter(|_| seeing.is_none() || !usual.any_names("partner"));
        let items = self.items(affected.as_ref(), &view);
        let items: Vec<(&SitePath, &Item)> = items.iter().map(|(path, item)| (*path, item)).collect();
        let mut problems = Vec::new();
        let asked = self.check_texts(build, &view, &pages, &mut problems);
        components::check(&pages, Some(templates), &mut problems);
        let reader = Reader::new(onto, vec![&asked, &self.prepared.asked]);
        maker.make_all(&items, &reader, &mut problems);
        let sources = pages.iter().map(|page| page.body_source.file.clone()).collect();
        self.check_anchors(&asked, &sources, reader.into_ids(), onto, &mut problems);
        Some(if problems.is_empty() { Ok(Revised { view, sources, asked }) } else { Err(problems) })
    }

    /// Those of `pages` that stand here otherwise; none where there are more or fewer.
    fn differing(&self, pages: &[Arc<Page>]) -> Option<Vec<Arc<Page>>> {
        let pairs = self.view().own().zip(pages).take(self.given);
        let other = pairs.filter(|((_, old), new)| !Arc::ptr_eq(old, new)).map(|(_, new)| new.clone());
        (pages.len() == self.given).then(|| other.collect())
    }

    /// What is to be made at some paths, or at all, where a view has other pages.
    fn items(&self, paths: Option<&HashSet<SitePath>>, view: &View) -> Vec<(&SitePath, Item)> {
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

    /// Checks the anchors that changed texts ask for, and those that other texts ask of what was made, which has these
    /// `ids`.
    fn check_anchors(
        &self,
        asked: &Asked,
        changed: &HashSet<String>,
        mut ids: Ids,
        onto: &dyn Shelf,
        problems: &mut Vec<Diagnostic>,
    ) {
        let mut all = asked.clone();
        all.take(&self.prepared.asked, |path, source| ids.contains_key(path) && !changed.contains(source));
        for path in asked.paths().filter(|path| !ids.contains_key(*path)).collect::<Vec<_>>() {
            ids.extend(onto.bytes(path).map(|bytes| (path.clone(), links::ids(&bytes))));
        }
        all.check(&ids, problems);
    }

    /// Becomes the build that was revised so, by making these files.
    pub(crate) fn apply(&mut self, revised: Revised, made: &[(SitePath, Record)]) {
        let Revised { view, sources, asked } = revised;
        self.prepared.view = view;
        self.prepared.asked.replace(&sources, asked);
        self.dependents.turn();
        self.dependents.add(made.iter().map(|(path, record)| (path, record)));
    }
}
