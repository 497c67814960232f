//! One build: pages, a theme and static files become files by path. What is built for whom is decided by the caller.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tera::{Context, Value};
use tieup_protocol::contract::Contract;
use tieup_protocol::diagnostic::{Diagnostic, nearest};
use tieup_protocol::index::IndexedPage;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;

use crate::assets::{Assets, Others};
use crate::config::{FeedKind, SiteConfig};
use crate::feed;
use crate::front_matter::SortBy;
use crate::links::{Asked, Checker, Ids, Known, Text, ids};
use crate::output::{Output, OutputFile, Sink, media_type};
use crate::page::{Choice, Page, PageKind, Source};
use crate::parallel;
use crate::plan::{Item, Plan, What};
use crate::progress::{Progress, Step};
use crate::redirect;
use crate::taxonomy;
use crate::templates::{Globals, Templates};
use crate::theme::Framework;
use crate::view::View;

/// What goes into one build.
pub(crate) struct Build<'a> {
    /// The site.
    pub(crate) config: &'a SiteConfig,
    /// The theme.
    pub(crate) framework: &'a Framework,
    /// The pages.
    pub(crate) pages: &'a [Arc<Page>],
    /// Pages that came with a release.
    pub(crate) inherited: &'a [IndexedPage],
    /// Texts that are no pages, whose links are checked too.
    pub(crate) texts: &'a [Text<'a>],
    /// The site's own files.
    pub(crate) statics: &'a BTreeMap<SitePath, OutputFile>,
    /// Everything under `data/`.
    pub(crate) data: Value,
    /// The partner whose release is made.
    pub(crate) partner: Option<&'a Contract>,
    /// What is told how far the build is.
    pub(crate) progress: &'a Progress,
    /// What is known of paths outside this build.
    pub(crate) elsewhere: &'a dyn Fn(&SitePath) -> Known,
}

/// What the threads that make the files share.
struct Work<'a> {
    view: &'a View,
    templates: &'a Templates<'a>,
    asked: &'a Asked<'a>,
    ids: Mutex<Ids>,
    progress: &'a Progress,
    sink: Sink<'a>,
}

impl Build<'_> {
    /// Makes everything, and keeps it.
    ///
    /// # Errors
    /// Everything that is wrong with templates, and every link that leads nowhere.
    pub(crate) fn run(&self) -> Result<Output, Vec<Diagnostic>> {
        Output::gather(|sink| self.run_into(sink))
    }

    /// Makes everything, hands each file to `sink`, and returns the index of the pages.
    ///
    /// # Errors
    /// As [`Build::run`]. What shows before a template runs is found before the first file is handed over.
    pub(crate) fn run_into(&self, sink: Sink<'_>) -> Result<Vec<IndexedPage>, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let groupings = taxonomy::group(self.config, self.pages, &mut problems);
        let view = Arc::new(View::new(self.config, self.pages, self.inherited, &groupings));
        let globals = Globals { data: self.data.clone(), partner: self.partner, assets: Arc::new(self.assets()) };
        let templates = match Templates::new(self.framework, &view, globals) {
            Ok(templates) => Some(templates),
            Err(wrong) => {
                problems.extend(wrong);
                None
            }
        };
        let plan = self.plan(&view, templates.as_ref(), &mut problems);
        let checker = Checker { plan: &plan, view: &view, config: self.config, elsewhere: self.elsewhere };
        let asked = checker.check(self.texts, &mut problems);
        if let Some(templates) = &templates {
            let work =
                Work { view: &view, templates, asked: &asked, ids: Mutex::default(), progress: self.progress, sink };
            work.make_all(&plan, &mut problems);
            for (path, file) in self.framework.layout().iter().chain(self.statics) {
                work.hand_over(path.clone(), file.clone());
            }
            let ids = work.ids.into_inner().unwrap_or_else(PoisonError::into_inner);
            asked.check(&ids, &mut problems);
        }
        if problems.is_empty() { Ok(view.index()) } else { Err(problems) }
    }

    fn assets(&self) -> Assets {
        // A page of a release may show what the partner serves, and an original what the release brings.
        let is_whole = self.partner.is_none() && self.inherited.is_empty();
        let others = if is_whole { Others::Refused } else { Others::Perhaps };
        Assets::new(self.config, self.framework.layout(), self.statics, others)
    }

    fn plan(&self, view: &View, templates: Option<&Templates<'_>>, problems: &mut Vec<Diagnostic>) -> Plan {
        let mut plan = Plan::default();
        for (at, page) in view.own() {
            let template =
                templates.map_or_else(|| Ok(String::new()), |known| template(at, page, view, known, self.framework));
            match template {
                Ok(template) => problems.extend(claim_pages(&mut plan, at, page, &template, view)),
                Err(problem) => problems.push(problem),
            }
        }
        // Pages come first, so that an alias never takes a page's place, whichever file is read first.
        for (_, page) in view.own() {
            for alias in &page.aliases {
                let (to, lang) = (page.entry.path.clone(), page.entry.lang.clone());
                let what = What::Redirect { to, lang };
                problems.extend(plan.claim(alias.clone(), what, &page.source, Some(alias.as_str())).err());
            }
        }
        let file = templates.map_or_else(String::new, |known| known.file("404.html"));
        let source = Source { file };
        let not_found_template =
            templates.map_or_else(|| Ok(String::new()), |known| usual("404.html", known, self.framework));
        match not_found_template {
            Ok(template) => problems.extend(plan.claim(not_found(), What::NotFound { template }, &source, None).err()),
            Err(problem) => problems.push(problem),
        }
        for (at, page) in view.own() {
            for kind in feeds(self.config, view, at, page) {
                let path = feed::path(&page.entry.path, kind);
                problems.extend(plan.claim(path, What::Feed { at, kind }, &page.source, None).err());
            }
        }
        for (path, file) in self.framework.layout().iter().chain(self.statics) {
            plan.give(path, &file.source);
        }
        plan
    }
}

/// Claims the path of a page, and those of the later pages of its listing.
fn claim_pages(plan: &mut Plan, at: usize, page: &Page, template: &str, view: &View) -> Option<Diagnostic> {
    let what = |number| What::Page { at, number, template: template.to_owned() };
    let first = plan.claim(page.entry.path.clone(), what(1), &page.source, None);
    let pager = view.pager(at);
    let later =
        pager.iter().flat_map(|pager| (2..=pager.total()).filter_map(|number| Some((pager.path(number)?, number))));
    let later = later.map(|(path, number)| (path, what(number)));
    let again = pager
        .and_then(|pager| pager.numbered(1))
        .map(|path| (path, What::Redirect { to: page.entry.path.clone(), lang: page.entry.lang.clone() }));
    let rest = later.chain(again).map(|(path, what)| plan.claim(path, what, &page.source, Some("paginate_by")));
    // One clash of a listing tells it all.
    first.err().or_else(|| rest.fold(None, |told, claimed| told.or(claimed.err())))
}

fn feeds(config: &SiteConfig, view: &View, at: usize, page: &Page) -> Vec<FeedKind> {
    let lists = view.node(at).listing.is_some();
    match &page.kind {
        PageKind::Home(section) => {
            let mut kinds = config.feeds.site.clone();
            let by_date = section.sort_by == SortBy::Date;
            kinds.extend(config.feeds.sections.iter().filter(|kind| by_date && !config.feeds.site.contains(kind)));
            kinds
        }
        PageKind::Section(section) if lists && section.sort_by == SortBy::Date => config.feeds.sections.clone(),
        PageKind::Term if view.has_feed(at) => match config.feeds.sections.as_slice() {
            [] => vec![FeedKind::Atom],
            kinds => kinds.to_vec(),
        },
        _ => Vec::new(),
    }
}

impl Work<'_> {
    fn make_all(&self, plan: &Plan, problems: &mut Vec<Diagnostic>) {
        let items: Vec<(&SitePath, &Item)> = plan.items().collect();
        let failed = Mutex::new(BTreeMap::new());
        self.progress.begin(Step::Pages, items.len());
        parallel::each(&items, Vec::new, |(path, item), page: &mut Vec<u8>| {
            page.clear();
            self.progress.advance(1);
            if let Err(problem) = self.make(path, item, page) {
                let at = if let What::Page { at, .. } = item.what { Some(at) } else { None };
                let failed = &mut *failed.lock().unwrap_or_else(PoisonError::into_inner);
                note_failure(failed, problem, at.and_then(|at| self.view.node(at).own.as_deref()));
            }
        });
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        problems.extend(failed.into_iter().map(|(problem, first)| match first {
            Some((_, path, file)) => problem.related(file, None, format!("while making {path}")),
            None => problem,
        }));
    }

    /// Makes one file: a function of the templates, the item and the view alone.
    fn make(&self, path: &SitePath, item: &Item, page: &mut Vec<u8>) -> Result<(), Diagnostic> {
        let (kind, slots) = match &item.what {
            What::Given => return Ok(()),
            What::Page { at, number, template } => {
                self.progress.add_rendered();
                (EntryKind::Page, self.templates.render(template, &self.context(*at, *number, path), page)?)
            }
            What::NotFound { template } => {
                let lang = &self.view.config().language;
                let mut context = self.shared(lang);
                context.insert_value("page", self.view.not_found_value());
                (EntryKind::Page, self.templates.render(template, &context, page)?)
            }
            What::Redirect { to, lang } => {
                *page = redirect::page(lang, to, &self.view.config().permalink(to));
                (EntryKind::Page, Vec::new())
            }
            What::Feed { at, kind } => {
                *page = feed::feed(self.view, *at, *kind);
                (EntryKind::Asset, Vec::new())
            }
        };
        let media_type = match &item.what {
            What::Feed { kind, .. } => kind.media_type(),
            _ => media_type(path),
        };
        let file = OutputFile { bytes: page.as_slice().into(), kind, media_type, slots, source: item.source.clone() };
        self.hand_over(path.clone(), file);
        Ok(())
    }

    fn hand_over(&self, path: SitePath, file: OutputFile) {
        if self.asked.about(&path) {
            let found = ids(&file.bytes);
            self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone(), found);
        }
        (self.sink)(path, file);
    }

    fn shared(&self, lang: &str) -> Context {
        let mut context = Context::new();
        context.insert_value("lang", Value::from(lang));
        context.insert_value("menus", self.view.menus(lang));
        context
    }

    fn context(&self, at: usize, number: usize, path: &SitePath) -> Context {
        let view = self.view;
        let node = view.node(at);
        let mut context = self.shared(&node.entry.lang);
        let page = if number == 1 { view.page_value(at) } else { view.paged_value(at, path) };
        context.insert_value("page", page);
        match node.own.as_ref().map(|page| &page.kind) {
            Some(PageKind::Term) => {
                let [term, taxonomy] = view.term_value(at);
                context.insert_value("term", term);
                context.insert_value("taxonomy", taxonomy);
            }
            Some(PageKind::Taxonomy) => context.insert_value("taxonomy", view.taxonomy_value(at)),
            _ => {
                if let Some(section) = view.listing_value(at) {
                    context.insert_value("section", section);
                }
            }
        }
        if node.listing.is_some() {
            context.insert_value("paginator", view.paginator_value(at, number));
        }
        context
    }
}

/// The first page, in the order of the files, that shows a mistake: its order, its path and its file.
type First = (String, SitePath, String);

/// One template's mistake is told once, with the first page that shows it, however many pages it spoils.
fn note_failure(failed: &mut BTreeMap<Diagnostic, Option<First>>, problem: Diagnostic, page: Option<&Page>) {
    let related = problem.related.is_none();
    let first = page.filter(|_| related).map(|page| {
        let file = page.source.file.clone();
        (file.clone(), page.entry.path.clone(), file)
    });
    let told = failed.entry(problem).or_default();
    if first.is_some() && (told.is_none() || first < *told) {
        *told = first;
    }
}

fn template(
    at: usize,
    page: &Page,
    view: &View,
    templates: &Templates<'_>,
    framework: &Framework,
) -> Result<String, Diagnostic> {
    let parent = view.node(at).parent.and_then(|parent| view.node(parent).own.as_ref());
    let of_section = || match page.kind {
        PageKind::Single => parent?.kind.section()?.page_template.as_ref(),
        _ => None,
    };
    match (page.template.as_ref().or_else(of_section), &page.kind) {
        (Some(choice), _) if templates.has(&choice.template) => Ok(choice.template.clone()),
        (Some(choice), _) => Err(no_template(choice, templates, framework)),
        (None, PageKind::Home(_)) => usual("index.html", templates, framework),
        (None, PageKind::Section(_)) => usual("section.html", templates, framework),
        (None, PageKind::Single) => usual("page.html", templates, framework),
        (None, PageKind::Taxonomy) => usual("taxonomy.html", templates, framework),
        (None, PageKind::Term) => usual("term.html", templates, framework),
    }
}

fn usual(template: &str, templates: &Templates<'_>, framework: &Framework) -> Result<String, Diagnostic> {
    if templates.has(template) {
        return Ok(template.to_owned());
    }
    let message = format!("theme `{}` has no template `{template}`", framework.name());
    Err(Diagnostic::new("missing-template", framework.document_file(), message)
        .help(format!("write templates/{template} in the theme or in one that it extends")))
}

fn no_template(choice: &Choice, templates: &Templates<'_>, framework: &Framework) -> Diagnostic {
    let source = &choice.source;
    let message = format!("theme `{}` has no template `{}`", framework.name(), choice.template);
    let text = &source.text();
    let key = text.find(&format!("{}:", choice.key)).unwrap_or(0);
    let at = text[key..].find(&choice.template).map(|at| key + at);
    let problem = Diagnostic::new("missing-template", source.file.as_str(), message);
    let problem = match at {
        Some(at) => problem.at_offset(text, at, choice.template.chars().count()),
        None => problem,
    };
    match nearest(&choice.template, templates.names()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

/// The path of the page that is shown where there is none.
fn not_found() -> SitePath {
    "/404.html".parse().expect("a constant path that a test holds")
}
