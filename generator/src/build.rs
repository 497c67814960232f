//! One build: pages, a theme and static files become files by path. What is built for whom is decided by the caller.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tieup_protocol::contract::{Contract, Indexing, WebOrigin};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::{SitePath, SourcePath};

use crate::assets::pictures::Pictures;
use crate::assets::{Assets, Others};
use crate::chooser::Chooser;
use crate::components;
use crate::config::{FeedKind, SiteConfig};
use crate::data::Sets;
use crate::feed;
use crate::front_matter::SortBy;
use crate::known::{Files, Records};
use crate::links::{Asked, Checker, Ids, Known, Text, Texts, ids};
use crate::maker::{Maker, Record, Shelf};
use crate::output::{Output, OutputFile, Sink};
use crate::page::{Page, PageKind, Source};
use crate::plan::{Item, Plan, What};
use crate::print::{Print, Printer};
use crate::progress::Progress;
use crate::taxonomy;
use crate::templates::{Globals, Templates};
use crate::theme::Framework;
use crate::view::{Inherited, View};

/// What goes into one build.
#[derive(Clone, Copy)]
pub(crate) struct Build<'a> {
    /// The site.
    pub(crate) config: &'a Arc<SiteConfig>,
    /// The theme.
    pub(crate) framework: &'a Arc<Framework>,
    /// The pages.
    pub(crate) pages: &'a [Arc<Page>],
    /// What came with a release.
    pub(crate) inherited: &'a Inherited<'a>,
    /// Texts that are no pages, whose links are checked too.
    pub(crate) texts: &'a [Text<'a>],
    /// The site's own files.
    pub(crate) statics: &'a BTreeMap<SitePath, OutputFile>,
    /// The pictures among them.
    pub(crate) pictures: &'a Arc<Pictures>,
    /// Everything under `data/`.
    pub(crate) data: &'a Arc<Sets>,
    /// The partner whose release is made.
    pub(crate) partner: Option<&'a Contract>,
    /// What is told how far the build is.
    pub(crate) progress: &'a Progress,
    /// What is known of paths outside this build.
    pub(crate) elsewhere: &'a dyn Fn(&SitePath) -> Known,
}

/// What stood on the site before, so that links which lead there need not be followed again.
pub(crate) struct Before<'a> {
    /// The paths of everything that was made.
    pub(crate) made: &'a Records,
    /// Those among them that no link can lead to.
    pub(crate) besides: &'a HashSet<SitePath>,
    /// The files, with the pages that they became.
    pub(crate) files: &'a Files,
    /// The same now.
    pub(crate) now: &'a Files,
}

impl Before<'_> {
    /// The texts whose links must be followed where everything in `plan` will stand.
    pub(crate) fn texts(&self, plan: &Plan) -> Texts {
        if self.still_stands(plan) { Texts::New } else { Texts::All }
    }

    /// Whether everything is still where it was: a link that was right then is right now.
    fn still_stands(&self, plan: &Plan) -> bool {
        let page = |files: &Files, file: &SourcePath| files.get(file)?.page.as_ref().map(|(path, _)| path.clone());
        self.made.keys().all(|path| plan.has(path) || self.besides.contains(path))
            && self.files.keys().all(|file| page(self.files, file) == page(self.now, file))
    }
}

/// A build before anything is made: who stands where, what will be made, and which anchors are asked for.
pub(crate) struct Prepared {
    /// The pages.
    pub(crate) view: Arc<View>,
    /// What will be made.
    pub(crate) plan: Plan,
    /// The compiled templates; none where they are wrong.
    pub(crate) templates: Option<Templates>,
    /// The links whose anchors are checked against what is made.
    pub(crate) asked: Asked,
    /// Of what every file depends on.
    pub(crate) surroundings: Print,
}

impl Build<'_> {
    /// Makes everything, and keeps it.
    ///
    /// # Errors
    /// Everything that is wrong with templates, and every link that leads nowhere.
    pub(crate) fn run(&self) -> Result<Output, Vec<Diagnostic>> {
        self.run_in_view().map(|(output, _)| output)
    }

    /// The same, with all pages as templates saw them.
    pub(crate) fn run_in_view(&self) -> Result<(Output, Arc<View>), Vec<Diagnostic>> {
        let (prepared, problems) = self.prepare(|_| Texts::All);
        let output = Output::gather(|sink| {
            prepared.make(self, &Handing(sink), problems)?;
            Ok(prepared.view.index())
        });
        output.map(|output| (output, prepared.view))
    }

    /// Finds out what will be made, and everything that is wrong before a template runs.
    ///
    /// `texts` says of which texts the links must be followed, now that the plan is known.
    pub(crate) fn prepare(&self, texts: impl FnOnce(&Plan) -> Texts) -> (Prepared, Vec<Diagnostic>) {
        let mut problems = Vec::new();
        let groupings = taxonomy::group(self.config, self.pages, &mut problems);
        let view = View::new(self.config, self.pages, self.inherited, &groupings, self.assets());
        let view = Arc::new(view.indexed_as(self.index()).with_beacons(self.beacons().cloned()));
        let globals = Globals::new(self.data, self.partner);
        let templates = Templates::new(self.framework, self.config, globals);
        let templates = templates.map_err(|wrong| problems.extend(wrong)).ok();
        let plan = self.plan(&view, templates.as_ref(), &mut problems);
        let checker = Checker { plan: &plan, view: &view, config: self.config, elsewhere: self.elsewhere };
        let asked = checker.check(self.texts, texts(&plan), &mut problems);
        components::check(view.own().map(|(_, page)| page), templates.as_ref(), &mut problems);
        (Prepared { view, plan, templates, asked, surroundings: self.surroundings() }, problems)
    }

    /// The fingerprint of the engine and of the settings that any page may depend on.
    fn surroundings(&self) -> Print {
        let mut printer = Printer::default();
        printer.text(env!("TIEUP_ENGINE")).text(&self.config.text);
        printer.text(index_word(self.index()));
        printer.option(self.beacons().map(WebOrigin::as_str));
        // A partner's site has a search where the release has one.
        printer.number(u8::from(self.config.search.is_some()));
        printer.finish()
    }

    /// How search engines shall treat the pages. A copy that names its source is the source's own page.
    fn index(&self) -> Indexing {
        self.partner.map_or(Indexing::Canonical, |contract| contract.index)
    }

    /// Where the beacons of the pages go; none where the contract does not ask for any.
    fn beacons(&self) -> Option<&WebOrigin> {
        self.partner?.beacons.as_ref().map(|beacons| &beacons.to)
    }

    fn assets(&self) -> Assets {
        // A page of a release may show what the partner serves, and an original what the release brings.
        let is_whole = self.partner.is_none() && self.inherited.pages.is_empty();
        let others = if is_whole { Others::Refused } else { Others::Perhaps };
        Assets::new(self.config, self.framework.layout(), self.statics, self.pictures, others)
    }

    fn plan(&self, view: &View, templates: Option<&Templates>, problems: &mut Vec<Diagnostic>) -> Plan {
        let mut plan = Plan::with_room(view.own().count());
        let mut chooser = Chooser::new(templates, self.framework);
        for (at, page) in view.own() {
            match chooser.choose(at, page, view) {
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
        let source = Arc::new(Source { file });
        match chooser.usual("404.html") {
            Ok(template) => problems.extend(plan.claim(not_found(), What::NotFound { template }, &source, None).err()),
            Err(problem) => problems.push(problem),
        }
        for (at, page) in view.own() {
            for kind in feeds(self.config, view, at, page) {
                let claimed = match feed::path(&page.entry.path, kind) {
                    Some(path) => plan.claim(path, What::Feed { at, kind }, &page.source, None),
                    None => Err(too_long(page)),
                };
                problems.extend(claimed.err());
            }
        }
        for (path, file) in self.given() {
            problems.extend(plan.give(path, &file.source));
        }
        plan
    }

    /// The files that are there already.
    fn given(&self) -> impl Iterator<Item = (&SitePath, &OutputFile)> {
        self.framework.layout().iter().chain(self.statics)
    }
}

impl Prepared {
    /// Makes everything that is not on the shelf, and hands the given files over too.
    ///
    /// # Errors
    /// `problems`, and everything that shows when templates run and anchors are known.
    pub(crate) fn make(
        &self,
        build: &Build<'_>,
        onto: &dyn Shelf,
        mut problems: Vec<Diagnostic>,
    ) -> Result<(), Vec<Diagnostic>> {
        if let Some(maker) = self.maker(build.progress) {
            let mut items: Vec<(&SitePath, &Item)> = self.plan.items().collect();
            // In the order in which the texts were read, so that those which are let go lie together.
            items.sort_unstable_by_key(|(_, item)| item.what.node());
            let reader = Reader::new(onto, vec![&self.asked]);
            maker.make_all(&items, &reader, &mut problems);
            for (path, file) in build.given() {
                reader.give(path, file);
            }
            self.asked.check(&reader.into_ids(), &mut problems);
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// What makes the files; none where the templates are wrong.
    pub(crate) fn maker<'a>(&'a self, progress: &'a Progress) -> Option<Maker<'a>> {
        let templates = self.templates.as_ref()?;
        Some(Maker { view: &self.view, templates, surroundings: self.surroundings, progress })
    }
}

/// A shelf that hands everything on.
pub(crate) struct Handing<'a>(pub(crate) Sink<'a>);

impl Shelf for Handing<'_> {
    fn put(&self, path: &SitePath, file: OutputFile, _: Record) {
        (self.0)(path.clone(), file);
    }

    fn give(&self, path: &SitePath, file: &OutputFile) {
        (self.0)(path.clone(), file.clone());
    }
}

/// A shelf for what is made, which leaves out what was there already.
pub(crate) struct Taking<'a>(pub(crate) &'a (dyn Fn(&SitePath, OutputFile) + Sync));

impl Shelf for Taking<'_> {
    fn put(&self, path: &SitePath, file: OutputFile, _: Record) {
        (self.0)(path, file);
    }

    fn give(&self, _: &SitePath, _: &OutputFile) {}
}

/// Reads the ids of the pages that links with anchors lead to, on their way to a shelf.
pub(crate) struct Reader<'a> {
    onto: &'a dyn Shelf,
    asked: Vec<&'a Asked>,
    ids: Mutex<Ids>,
}

impl<'a> Reader<'a> {
    /// One that reads what any of `asked` asks for.
    pub(crate) fn new(onto: &'a dyn Shelf, asked: Vec<&'a Asked>) -> Self {
        Self { onto, asked, ids: Mutex::default() }
    }

    /// What was read.
    pub(crate) fn into_ids(self) -> Ids {
        self.ids.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn asks(&self, path: &SitePath) -> bool {
        self.asked.iter().any(|asked| asked.about(path))
    }

    fn read(&self, path: &SitePath, bytes: &[u8]) {
        let found = ids(bytes);
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone(), found);
    }
}

impl Shelf for Reader<'_> {
    fn earlier(&self, path: &SitePath) -> Option<Record> {
        self.onto.earlier(path)
    }

    fn keep(&self, path: &SitePath) {
        if let Some(bytes) = self.asks(path).then(|| self.onto.bytes(path)).flatten() {
            self.read(path, &bytes);
        }
        self.onto.keep(path);
    }

    fn is_last(&self) -> bool {
        self.onto.is_last()
    }

    fn put(&self, path: &SitePath, file: OutputFile, record: Record) {
        if self.asks(path) {
            self.read(path, &file.bytes);
        }
        self.onto.put(path, file, record);
    }

    fn give(&self, path: &SitePath, file: &OutputFile) {
        if self.asks(path) {
            self.read(path, &file.bytes);
        }
        self.onto.give(path, file);
    }
}

/// Claims the path of a page, and those of the later pages of its listing.
fn claim_pages(plan: &mut Plan, at: usize, page: &Page, template: &Arc<str>, view: &View) -> Option<Diagnostic> {
    let what = |number| What::Page { at, number, template: template.clone() };
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

fn too_long(page: &Page) -> Diagnostic {
    let message = format!("the path `{}` is too long for a feed below it", page.entry.path);
    Diagnostic::new("bad-path", page.source.file.as_str(), message).help("give it a shorter `slug` or `path`")
}

fn index_word(index: Indexing) -> &'static str {
    match index {
        Indexing::Canonical => "canonical",
        Indexing::Noindex => "noindex",
        Indexing::Unique => "unique",
    }
}

/// The feeds of what node `at`, `page`, lists.
pub(crate) fn feeds(config: &SiteConfig, view: &View, at: usize, page: &Page) -> Vec<FeedKind> {
    let lists = view.listing(at).is_some();
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

/// Where the pages of node `at` stand: its own, the later ones of its listing, and those that lead to it.
pub(crate) fn page_paths(view: &View, at: usize) -> Vec<SitePath> {
    let pager = view.pager(at);
    let later = pager.iter().flat_map(|pager| (1..=pager.total()).filter_map(|number| pager.numbered(number)));
    let aliases = view.node(at).own().map_or(&[][..], |page| &page.aliases);
    [view.entry(at).path.clone()].into_iter().chain(later).chain(aliases.iter().cloned()).collect()
}

/// Where the feeds of node `at` stand.
pub(crate) fn feed_paths(view: &View, at: usize) -> Vec<SitePath> {
    let kinds = view.node(at).own().map_or_else(Vec::new, |page| feeds(view.config(), view, at, page));
    kinds.into_iter().filter_map(|kind| feed::path(&view.entry(at).path, kind)).collect()
}

/// Where everything stands that is made from other pages alone: lists of terms, their pages and feeds.
pub(crate) fn derived_paths(view: &View) -> BTreeSet<SitePath> {
    let derived = view.own().filter(|(_, page)| page.entry.is_derived);
    derived.flat_map(|(at, _)| page_paths(view, at).into_iter().chain(feed_paths(view, at))).collect()
}

/// The path of the page that is shown where there is none.
pub(crate) fn not_found() -> SitePath {
    "/404.html".parse().expect("a constant path that a test holds")
}
