//! The main site's own tree: all of it, what of it is not made yet, or a sample.

use tieup_protocol::diagnostic::Report;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use super::{Site, report};
use crate::build::{Before, Build, Handing, Prepared, Taking};
use crate::links::{Known, Texts};
use crate::maker::Shelf;
use crate::output::{Output, OutputFile, Sink};
use crate::parallel;
use crate::plan::{Item, Plan};
use crate::search::{Gatherer, Gathering};
use crate::spanning::{is_spanning, spanning_listed};
use crate::view::Inherited;
use crate::workbench::Audience;

impl Site {
    /// Builds the main site's own tree, its sitemap included.
    ///
    /// # Errors
    /// Everything that is wrong with templates and links.
    pub fn build_main(&self) -> Result<Output, Report> {
        Output::gather(|sink| self.build_main_into(sink))
    }

    /// Builds the main site's own tree, hands each file to `sink` as it is made, and returns the index of its pages.
    ///
    /// The files come from several threads, in no order, each path once.
    ///
    /// # Errors
    /// As [`Site::build_main`]. When a template is wrong, other files have been handed over already.
    pub fn build_main_into(&self, sink: Sink<'_>) -> Result<Vec<IndexedPage>, Report> {
        let prepared = self.make_main(&Handing(sink), None)?;
        Ok(prepared.view.index())
    }

    /// Makes what of the main site's own tree is not on the shelf, `before` being what was made before.
    pub(crate) fn make_main(&self, onto: &dyn Shelf, before: Option<&Before<'_>>) -> Result<Prepared, Report> {
        self.with_main(|build| {
            let words = Gatherer::new(self.config.search.as_ref(), build.pages);
            let texts = |plan: &Plan| before.map_or(Texts::All, |before| before.texts(plan));
            let (prepared, problems) = build.prepare(texts);
            let is_given = |path: &SitePath| self.statics.contains_key(path);
            let span = || {
                // Nobody but the search asks for the index, which is large.
                let index = self.config.search.as_ref().map_or_else(Vec::new, |_| prepared.view.index());
                (index, spanning_listed(self.base_url(), prepared.view.listed(), &[], &is_given))
            };
            let make = || prepared.make(build, &Gathering { onto, words: &words }, problems);
            let (done, (index, files)) = parallel::join(make, span);
            done?;
            let found = words.files(&index).into_iter().filter(|(path, _)| !is_given(path));
            for (path, bytes) in files.into_iter().chain(found) {
                let file = OutputFile::asset(&path, bytes, &self.config.file);
                onto.give(&path, &file);
            }
            Ok(prepared)
        })
        .map_err(report)
    }

    /// Makes those files of the main site's own tree that `wanted` chooses.
    pub(crate) fn make_sample(
        &self,
        wanted: &dyn Fn(&SitePath) -> bool,
        take: &(dyn Fn(&SitePath, OutputFile) + Sync),
    ) -> Result<(), Report> {
        self.with_main(|build| {
            let (prepared, mut problems) = build.prepare(|_| Texts::All);
            let items: Vec<(&SitePath, &Item)> = prepared.plan.items().filter(|(path, _)| wanted(path)).collect();
            if let Some(maker) = prepared.maker(&self.progress) {
                maker.make_all(&items, &Taking(take), &mut problems);
            }
            if problems.is_empty() { Ok(()) } else { Err(problems) }
        })
        .map_err(report)
    }

    /// Does `work` with the build of what an audience sees; none for a partner that inherits no pages.
    pub(crate) fn with_build<T>(&self, audience: &Audience, work: impl FnOnce(&Build<'_>) -> T) -> Option<T> {
        match audience {
            Audience::Main => Some(self.with_main(work)),
            Audience::Partner(id) => self.with_release(id, work),
        }
    }

    pub(super) fn with_main<T>(&self, work: impl FnOnce(&Build<'_>) -> T) -> T {
        let pages = self.live(&self.content);
        let build = Build {
            config: &self.config,
            framework: self.framework(&self.theme),
            pages: &pages,
            inherited: &Inherited::default(),
            texts: &[],
            statics: &self.statics,
            pictures: &self.pictures,
            data: &self.sets,
            partner: None,
            progress: &self.progress,
            elsewhere: &|path| {
                if is_spanning(path) { Known::Exists } else { self.scheduled(&[&self.content], path) }
            },
        };
        work(&build)
    }
}
