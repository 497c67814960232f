//! Makes the files of a plan, one by one: a function of the view, the templates and the item alone. What an earlier
//! build made of the same things is not made again.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tera::{Context, Value};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;

use crate::asking::{self, Question};
use crate::beacon;
use crate::components;
use crate::feed::{self, Filled};
use crate::markdown::Body;
use crate::output::{OutputFile, media_type};
use crate::page::PageKind;
use crate::parallel;
use crate::plan::{Item, What};
use crate::print::{Print, Printer};
use crate::progress::{Progress, Step};
use crate::redirect;
use crate::templates::Templates;
use crate::uses::{Fields, Uses};
use crate::view::View;

/// Why a file that was made is still good: as long as its print and the answers to what was asked stay the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Of everything that it was made from, but for the answers.
    pub(crate) print: Print,
    /// What its templates asked.
    pub(crate) asked: Vec<Question>,
    /// Of the answers.
    pub(crate) answers: Print,
}

/// Takes what is made, from several threads, in no order, and knows what was made before.
pub(crate) trait Shelf: Sync {
    /// The record of what stands at `path` since an earlier build, if it is at hand.
    fn earlier(&self, _: &SitePath) -> Option<Record> {
        None
    }

    /// The bytes of what stands at `path` since an earlier build.
    fn bytes(&self, _: &SitePath) -> Option<Arc<[u8]>> {
        None
    }

    /// What an earlier build made is still good.
    fn keep(&self, _: &SitePath) {}

    /// Whether nothing else will be made of the texts, so that they can be let go.
    fn is_last(&self) -> bool {
        false
    }

    /// A file was made.
    fn put(&self, path: &SitePath, file: OutputFile, record: Record);

    /// A file was there already.
    fn give(&self, path: &SitePath, file: &OutputFile);
}

/// What one thread works with.
#[derive(Default)]
struct Hand<'a> {
    /// The page that is made.
    page: Vec<u8>,
    shared: Shared<'a>,
}

/// The fingerprints of what templates see whatever the page, by template and language; there are few.
type Shared<'a> = Vec<(&'a Uses, &'a str, Print)>;

/// Makes files for one view.
pub(crate) struct Maker<'a> {
    /// The pages.
    pub(crate) view: &'a Arc<View>,
    /// What they are made with.
    pub(crate) templates: &'a Templates,
    /// Of the engine, the site's configuration and everything else that every file depends on.
    pub(crate) surroundings: Print,
    /// What is told how far the build is.
    pub(crate) progress: &'a Progress,
}

impl Maker<'_> {
    /// Makes those of `items` that are not on the shelf already.
    pub(crate) fn make_all(&self, items: &[(&SitePath, &Item)], onto: &dyn Shelf, problems: &mut Vec<Diagnostic>) {
        let failed = Mutex::new(BTreeMap::new());
        self.progress.begin(Step::Pages, items.len());
        parallel::each(items, Hand::default, |(path, item), hand| {
            hand.page.clear();
            self.progress.advance(1);
            if let Err(problem) = self.make(path, item, hand, onto) {
                let failed = &mut *failed.lock().unwrap_or_else(PoisonError::into_inner);
                note_failure(failed, problem, self.shown_by(item));
            }
        });
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        problems.extend(failed.into_iter().map(|(problem, first)| match first {
            Some((file, path, template)) => {
                self.templates.trace(template, problem).related(file, None, format!("while making {path}"))
            }
            None => problem,
        }));
    }

    /// The page that `item` is, by which a mistake of its templates shows.
    fn shown_by<'b>(&self, item: &'b Item) -> Option<First<'b>> {
        let What::Page { at, template, .. } = &item.what else { return None };
        let page = self.view.node(*at).own()?;
        Some((page.source.file.clone(), page.entry.path.clone(), template))
    }

    fn make<'b>(
        &'b self,
        path: &SitePath,
        item: &Item,
        hand: &mut Hand<'b>,
        onto: &dyn Shelf,
    ) -> Result<(), Diagnostic> {
        if matches!(item.what, What::Given) {
            return Ok(());
        }
        let print = self.print(item, &mut hand.shared);
        let earlier = onto.earlier(path).filter(|earlier| earlier.print == print);
        if earlier.is_some_and(|earlier| self.answers(item, &earlier.asked) == earlier.answers) {
            onto.keep(path);
            self.progress.add_cached(usize::from(matches!(item.what, What::Page { .. })));
            return Ok(());
        }
        let (made, asked) = asking::noted(self.view, || self.render(path, item, &mut hand.page));
        let file = made?;
        let answers = self.answers(item, &asked);
        onto.put(path, file, Record { print, asked, answers });
        if let What::Page { at, .. } = item.what
            && onto.is_last()
        {
            self.let_go(at);
        }
        Ok(())
    }

    /// Lets the text of page `at` go, unless others show it too, or a later page of its listing.
    fn let_go(&self, at: usize) {
        let page = self.view.node(at).own().filter(|page| page.text.facts.summary.is_none());
        if let Some(page) = page.filter(|_| self.view.pager(at).is_none()) {
            page.text.let_go();
        }
    }

    /// Makes one file, whatever was made before.
    ///
    /// # Errors
    /// What is wrong with its template.
    pub(crate) fn render(&self, path: &SitePath, item: &Item, page: &mut Vec<u8>) -> Result<OutputFile, Diagnostic> {
        let (kind, slots) = match &item.what {
            What::Given => (EntryKind::Asset, Vec::new()),
            What::Page { at, number, template } => {
                self.progress.add_rendered();
                let context = self.context(*at, *number, path, template)?;
                let mut slots = self.templates.render(template, &context, page)?;
                if let Some(to) = self.view.beacons() {
                    beacon::add(page, &mut slots, to, path);
                }
                (EntryKind::Page, slots)
            }
            What::NotFound { template } => {
                let lang = &self.view.config().language;
                let mut context = self.shared(lang);
                context.insert_value("page", self.view.not_found_value());
                (EntryKind::Page, self.templates.render(template, &context, page)?)
            }
            What::Redirect { to, lang } => {
                *page = redirect::page(lang, to, &self.view.config().permalink(to));
                (EntryKind::Redirect, Vec::new())
            }
            What::Feed { at, kind } => {
                *page = feed::feed(self.view, *at, *kind, &self.filled_entries(*at)?);
                (EntryKind::Asset, Vec::new())
            }
        };
        let media_type = match &item.what {
            What::Feed { kind, .. } => kind.media_type(),
            _ => media_type(path),
        };
        Ok(OutputFile { bytes: page.as_slice().into(), kind, media_type, slots, source: item.source.file.clone() })
    }

    /// The fingerprint of everything that a file is made from, but for what its templates ask.
    fn print<'b>(&'b self, item: &Item, shared: &mut Shared<'b>) -> Print {
        let mut printer = Printer::default();
        printer.print(self.surroundings).text(&item.source.file);
        match &item.what {
            What::Given => {}
            What::Page { at, number, template } => self.add_page(*at, *number, template, &mut printer, shared),
            What::NotFound { template } => {
                let lang = &self.view.config().language;
                printer.number(2u8).print(self.shared_print(self.templates.uses(template), lang, shared));
            }
            What::Redirect { to, lang } => drop(printer.number(3u8).text(to.as_str()).text(lang)),
            What::Feed { at, kind } => {
                let limit = feed::limit(self.view.config());
                printer.number(4u8).number(*kind as u8).print(self.view.print_feed(*at, limit));
                if self.entries_with_holes(*at).next().is_some() {
                    let uses = self.templates.uses_components();
                    printer.print(self.shared_print(uses, &self.view.entry(*at).lang, shared));
                }
            }
        }
        printer.finish()
    }

    fn add_page<'b>(
        &'b self,
        at: usize,
        number: usize,
        template: &str,
        printer: &mut Printer,
        shared: &mut Shared<'b>,
    ) {
        let uses = self.uses(at, template);
        let view = self.view;
        let around = self.shared_print(uses, &view.entry(at).lang, shared);
        printer.number(1u8).number(number).print(around).print(view.print_page(at, uses));
        let fields = uses.fields();
        match view.node(at).own().map(|page| &page.kind) {
            Some(PageKind::Term) => {
                if uses.names("term") {
                    printer.print(view.print_listing(at, fields));
                }
            }
            Some(PageKind::Taxonomy) => drop(printer.print(view.print_taxonomy(at))),
            _ => {
                if uses.names("section") {
                    printer.print(view.print_listing(at, fields));
                }
            }
        }
        if uses.names("paginator") {
            printer.print(view.print_paginator(at, number, fields));
        }
    }

    /// The fingerprint of what a template sees whatever the page.
    fn shared_print<'b>(&'b self, uses: &'b Uses, lang: &'b str, shared: &mut Shared<'b>) -> Print {
        let known = shared.iter().find(|(known, of, _)| std::ptr::eq(*known, uses) && *of == lang);
        if let Some((.., print)) = known {
            return *print;
        }
        let mut printer = Printer::default();
        printer.print(uses.print).text(lang).print(self.templates.globals().print(uses));
        if uses.names("menus") {
            printer.print(self.view.print_menus(lang));
        }
        let print = printer.finish();
        shared.push((uses, lang, print));
        print
    }

    fn answers(&self, item: &Item, asked: &[Question]) -> Print {
        if asked.is_empty() {
            return Print::default();
        }
        let fields = self.fields(item);
        Print::all(asked.iter().map(|question| question.print(self.view, fields)))
    }

    /// The fields of pages that what is made can show.
    pub(crate) fn fields(&self, item: &Item) -> Fields {
        match &item.what {
            What::Page { at, template, .. } => self.uses(*at, template).fields(),
            What::NotFound { template } => self.templates.uses(template).fields(),
            What::Feed { .. } => self.templates.uses_components().fields(),
            What::Redirect { .. } | What::Given => Fields::default(),
        }
    }

    fn shared(&self, lang: &str) -> Context {
        let mut context = Context::new();
        context.insert_value("lang", Value::from(lang));
        context.insert_value("menus", self.view.menus(lang));
        context
    }

    /// What page `at` can depend on, the components that its text asks for included.
    fn uses(&self, at: usize, template: &str) -> &Uses {
        let has_holes = self.view.node(at).own().is_some_and(|page| page.text.facts.has_holes);
        if has_holes { self.templates.uses_filled(template) } else { self.templates.uses(template) }
    }

    fn body(&self, at: usize) -> Arc<Body> {
        self.view.node(at).own().map(|page| page.text.body()).unwrap_or_default()
    }

    /// The text of page `at`, which is `body`, with what the theme's components write into it.
    fn content<'b>(&self, at: usize, body: &'b Body) -> Result<Cow<'b, str>, Diagnostic> {
        let with_holes = self.view.node(at).own().filter(|page| page.text.facts.has_holes);
        let Some(page) = with_holes else { return Ok(body.html.as_str().into()) };
        let mut implicits = Context::new();
        implicits.insert_value("lang", Value::from(page.entry.lang.as_str()));
        implicits.insert_value("page", self.view.summary(at));
        components::content(body, &page.source, self.templates, &implicits)
    }

    /// The entries of the feed of node `at` whose texts ask for components.
    fn entries_with_holes(&self, at: usize) -> impl Iterator<Item = usize> {
        let newest = self.view.newest(at, feed::limit(self.view.config()));
        let has_holes = |at: &usize| self.view.node(*at).own().is_some_and(|page| page.text.facts.has_holes);
        newest.into_iter().filter(has_holes)
    }

    fn filled_entries(&self, at: usize) -> Result<Filled, Diagnostic> {
        let entries = self.entries_with_holes(at);
        let filled = |at| Ok((self.view.entry(at).path.clone(), self.content(at, &self.body(at))?.into_owned()));
        entries.map(filled).collect()
    }

    fn context(&self, at: usize, number: usize, path: &SitePath, template: &str) -> Result<Context, Diagnostic> {
        let view = self.view;
        let mut context = self.shared(&view.entry(at).lang);
        let body = self.body(at);
        let text = self.content(at, &body)?;
        let uses = self.uses(at, template);
        let page = match number {
            1 => view.page_value(at, &text, uses),
            _ => view.paged_value(at, &text, uses, path),
        };
        context.insert_value("page", page);
        // Lists are long, and few templates look at all of them; but each has its name.
        match view.node(at).own().map(|page| &page.kind) {
            Some(PageKind::Term) => {
                let seen = uses.names("term") || uses.names("taxonomy");
                let [term, taxonomy] = if seen { view.term_value(at) } else { [Value::none(), Value::none()] };
                context.insert_value("term", term);
                context.insert_value("taxonomy", taxonomy);
            }
            Some(PageKind::Taxonomy) => context.insert_value("taxonomy", view.taxonomy_value(at)),
            _ if view.listing(at).is_some() => {
                let section = if uses.names("section") { view.listing_value(at) } else { None };
                context.insert_value("section", section.unwrap_or_else(Value::none));
            }
            _ => {}
        }
        if view.listing(at).is_some() {
            context.insert_value("paginator", view.paginator_value(at, number));
        }
        Ok(context)
    }
}

/// The first page, in the order of the files, that shows a mistake: its file, its path and its template.
type First<'a> = (String, SitePath, &'a str);

/// One template's mistake is told once, with the first page that shows it, however many pages it spoils.
fn note_failure<'a>(
    failed: &mut BTreeMap<Diagnostic, Option<First<'a>>>,
    problem: Diagnostic,
    page: Option<First<'a>>,
) {
    let first = page.filter(|_| problem.related.is_empty());
    let told = failed.entry(problem).or_default();
    if first.is_some() && (told.is_none() || first < *told) {
        *told = first;
    }
}
