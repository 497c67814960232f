//! The pages of a content folder: which file becomes which page. Renders Markdown, but no template.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use tieup_protocol::diagnostic::{Diagnostic, nearest};
use tieup_protocol::index::{Discovery, IndexedPage};
use tieup_protocol::path::{SitePath, SourcePath};

use crate::anchors::slug;
use crate::assets::pictures::Pictures;
use crate::config::SiteConfig;
use crate::data::{Data, DataSet};
use crate::dates::History;
use crate::front_matter::{Cascade, FrontMatter, Menus, Of, PagesFrom, RecordType};
use crate::known::{Earlier, Files, KnownFile};
use crate::offer::{BadOffer, Offer};
use crate::page::{Choice, Page, PageKind, Place, Section, Source};
use crate::parallel;
use crate::permalink::NoPath;
use crate::picture::Picture;
use crate::print::Print;
use crate::progress::{Progress, Step};
use crate::schedule::{Life, Moment};
use crate::shown::Drafts;
use crate::source::{Found, files_below, read_text, shown};
use crate::text::{self, Around, Text};
use crate::variation::{self, Beneath, Order, Origin, Written};

/// The pages of one content folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// The pages, in the order of their files.
    pub(crate) pages: Vec<Arc<Page>>,
    /// Where each folder stands on the site.
    folders: BTreeMap<Place, SitePath>,
    /// What its texts are rendered with; none before that is known.
    around: Option<Arc<Around>>,
    /// What is known of its files, for the next build.
    pub(crate) known: Files,
    /// What each section gives to everything below it.
    cascades: BTreeMap<Place, Arc<Given>>,
    /// The site's pictures.
    pictures: Arc<Pictures>,
    /// The folder.
    folder: Option<PathBuf>,
    /// Pages of the content beneath that are taken away.
    pub(crate) hidden: BTreeSet<Order>,
}

/// What a content folder is read with.
pub(crate) struct Reading<'a> {
    /// The site.
    pub(crate) config: &'a Arc<SiteConfig>,
    /// Its data, of which pages may be made.
    pub(crate) data: &'a Data,
    /// The content that this one lies over, if any: its folders give this one's their paths, and links may lead to its
    /// files.
    pub(crate) beneath: &'a Content,
    /// Whether drafts are left out, or are pages whose life says so.
    pub(crate) drafts: Drafts,
    /// What is told how far it is.
    pub(crate) progress: &'a Progress,
    /// What an earlier build knew of the files; none where nothing is to be known later.
    pub(crate) earlier: Option<&'a Earlier>,
}

/// A section's cascade and the file that says it.
#[derive(Debug)]
struct Given {
    cascade: Cascade,
    source: Arc<Source>,
}

/// A Markdown file whose front matter has been read.
struct Draft<'a> {
    found: &'a Found,
    origin: Origin,
    /// The page from data that it varies.
    record: Option<Arc<Page>>,
    /// What holds its body; none where the file was not read.
    text: Option<String>,
    /// What is known of the file, where that is wanted.
    known: Option<Arc<KnownFile>>,
    front: FrontMatter,
    body_at: usize,
    name: Name,
    template: Option<Choice>,
    /// What the entries are that the section which it varies makes pages of.
    records: Option<RecordType>,
}

/// What a file's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    place: Place,
    /// The last segment; none for a section.
    leaf: Option<String>,
    stem: String,
}

impl Content {
    /// No pages, beneath those that show these pictures.
    pub(crate) fn beneath(pictures: &Arc<Pictures>) -> Self {
        Self { pictures: pictures.clone(), ..Self::default() }
    }

    /// The picture at `path`.
    pub(crate) fn picture_of(&self, path: &SitePath) -> Option<Picture> {
        self.pictures.get(path).cloned()
    }

    /// Reads a content folder.
    pub(crate) fn load(folder: &Path, reading: &Reading<'_>, problems: &mut Vec<Diagnostic>) -> Self {
        let Reading { config, data, beneath, drafts: drafts_shown, progress, .. } = *reading;
        let found = match reading.earlier {
            Some(Earlier { content: Some((found, wrong)), .. }) => {
                problems.extend(wrong.iter().cloned());
                Cow::Borrowed(found)
            }
            _ => Cow::Owned(files_below(folder, problems)),
        };
        progress.begin(Step::Reading, found.len());
        let read = parallel::map(&found, |found| Draft::read(found, reading));
        let mut drafts = Vec::new();
        for draft in read {
            match draft {
                Ok(draft) => drafts.push(draft),
                Err(problem) => problems.push(problem),
            }
        }
        for draft in &mut drafts {
            draft.date(&config.history);
        }
        let (folders, cascades) = (beneath.folders.clone(), beneath.cascades.clone());
        let pictures = beneath.pictures.clone();
        let mut content = Self { folders, cascades, pictures, folder: Some(folder.to_owned()), ..Self::default() };
        content.cascade(&mut drafts);
        if drafts_shown == Drafts::LeftOut {
            content.hide(&drafts, beneath);
            drafts.retain(|draft| draft.front.draft != Some(true));
        }
        for draft in &drafts {
            draft.check_terms(config, problems);
        }
        let mut files = HashMap::with_capacity(drafts.len());
        let placed = content.place(drafts, &mut files, config, problems);
        let settings = Print::of(format!("{:?}", config.markdown).as_bytes());
        let around = Arc::new(Around {
            settings,
            config: config.clone(),
            files,
            pictures: beneath.pictures.clone(),
            beneath: beneath.around.clone(),
        });
        let mut records = Vec::new();
        for (draft, path) in &placed {
            records.extend(draft.records(path, data, config, problems).into_iter().map(Arc::new));
        }
        // Each draft is given away as it becomes a page, so that texts do not pile up beside what is made of them.
        let made = parallel::map_owned(placed, |(draft, path)| {
            progress.advance(1);
            draft.page(path, &around)
        });
        content.around = Some(around);
        let (mut pages, mut known) = (Vec::with_capacity(made.len() + records.len()), Vec::with_capacity(made.len()));
        for (page, found_out) in made {
            known.extend(found_out.map(|known| (page.order.0.to_string(), known)));
            pages.push(page);
        }
        content.known = known.into_iter().collect();
        pages.extend(records);
        pages.sort_by(|a, b| a.order.cmp(&b.order));
        content.pages = pages;
        content
    }

    /// Reads one file again; false where more than the page that it became may come out otherwise, and everything must
    /// be read.
    ///
    /// # Errors
    /// What is wrong with it. Everything is as it was then.
    pub(crate) fn reread(&mut self, found: &Found, reading: &Reading<'_>) -> Result<bool, Vec<Diagnostic>> {
        let file = shown(&found.file);
        let mut made = self.pages.iter().enumerate().filter(|(_, page)| page.source.file == file).map(|(at, _)| at);
        let (Some(at), None, Some(around)) = (made.next(), made.next(), &self.around) else { return Ok(false) };
        let mut draft = Draft::read(found, reading).map_err(|problem| vec![problem])?;
        draft.date(&reading.config.history);
        self.inherit(&mut draft);
        let leaves_out = reading.drafts == Drafts::LeftOut && draft.front.draft == Some(true);
        if draft.name.leaf.is_none() || leaves_out || draft.front.pages_from.is_some() {
            return Ok(false);
        }
        let mut problems = Vec::new();
        draft.check_terms(reading.config, &mut problems);
        let path = self.path(&draft, reading.config).map_err(|problem| vec![problem])?;
        if !problems.is_empty() {
            return Err(problems);
        }
        if path != self.pages[at].entry.path {
            return Ok(false);
        }
        self.pages[at] = draft.page(path, around).0;
        Ok(true)
    }

    /// Whether the file `path` of this content is a page.
    pub(crate) fn has_file(&self, path: &SourcePath) -> bool {
        self.pages.iter().any(|page| page.order.0 == *path)
    }

    /// This content as one that variations lie over.
    fn as_beneath(&self) -> Option<Beneath<'_>> {
        Some(Beneath { folder: self.folder.as_deref()?, pages: &self.pages })
    }

    /// Takes away the pages beneath whose place a draft has, and those from data that are made anew.
    fn hide(&mut self, drafts: &[Box<Draft<'_>>], beneath: &Self) {
        let gone = drafts.iter().filter(|draft| draft.front.draft == Some(true) || draft.front.pages_from.is_some());
        for draft in gone.filter(|_| beneath.folder.is_some()) {
            self.hidden.extend(variation::hide(&draft.found.path, draft.record.as_deref(), &beneath.pages));
        }
    }

    /// Gives each file what the sections around it say, the nearest first.
    fn cascade(&mut self, drafts: &mut [Box<Draft<'_>>]) {
        for draft in drafts.iter().filter(|draft| draft.name.leaf.is_none()) {
            if let Some(cascade) = &draft.front.cascade {
                let given = Given { cascade: cascade.clone(), source: draft.origin.of("cascade").clone() };
                self.cascades.insert(draft.name.place.clone(), Arc::new(given));
            }
        }
        if self.cascades.is_empty() {
            return;
        }
        for draft in drafts {
            self.inherit(draft);
        }
    }

    /// Gives a file what the sections around it say.
    fn inherit(&self, draft: &mut Draft<'_>) {
        let place = &draft.name.place;
        let mut around = match &draft.name.leaf {
            Some(_) => Some(place.clone()),
            None => place.parent().map(|(parent, _)| parent),
        };
        while let Some(place) = around {
            if let Some(given) = self.cascades.get(&place) {
                draft.front.inherit(&given.cascade);
                let choice = || Choice::new("template", given.cascade.template.as_ref(), &given.source);
                draft.template = draft.template.take().or_else(choice);
            }
            around = place.parent().map(|(parent, _)| parent);
        }
    }

    /// Gives each file its path, sections before what lies in them.
    fn place<'a>(
        &mut self,
        mut drafts: Vec<Box<Draft<'a>>>,
        files: &mut HashMap<String, SitePath>,
        config: &SiteConfig,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<(Box<Draft<'a>>, SitePath)> {
        drafts.sort_by_key(|draft| (draft.name.leaf.is_some(), draft.name.place.depth()));
        let mut placed = Vec::with_capacity(drafts.len());
        for draft in drafts {
            match self.path(&draft, config) {
                Err(problem) => problems.push(problem),
                Ok(path) => {
                    if draft.name.leaf.is_none() {
                        self.folders.insert(draft.name.place.clone(), path.clone());
                    }
                    files.insert(draft.found.path.to_string(), path.clone());
                    placed.push((draft, path));
                }
            }
        }
        placed
    }

    fn path(&self, draft: &Draft<'_>, config: &SiteConfig) -> Result<SitePath, Diagnostic> {
        let Name { place, leaf, .. } = &draft.name;
        let front = &draft.front;
        let moved = ["path", "slug"].into_iter().zip([front.path.is_some(), front.slug.is_some()]).find(|key| key.1);
        let (parent, segment) = match (leaf, place.parent()) {
            (Some(leaf), _) => (self.folder(place, config), leaf.as_str()),
            (None, Some((parent, segment))) => (self.folder(&parent, config), segment),
            (None, None) => {
                return match moved {
                    None => Ok(config.home(&place.lang)),
                    Some((key, _)) => Err(draft.wrong(key, format!("the first page cannot have a `{key}`"))),
                };
            }
        };
        if let Some(path) = &front.path {
            return Ok(path.clone());
        }
        let segment = front.slug.as_deref().unwrap_or(segment);
        if let Some(pattern) = leaf.as_ref().and_then(|_| config.pattern(&place.folder)) {
            let path = pattern.path(&config.home(&place.lang), &place.folder, segment, front.date);
            return path.map_err(|no_path| match no_path {
                NoPath::NoDate => Diagnostic::new(
                    "missing-key",
                    draft.origin.own.file.as_str(),
                    "the page has no `date`, which its path is made of",
                )
                .related(config.file.as_str(), None, "`permalinks` asks for it")
                .help("write a `date`, or a `path` of its own"),
                NoPath::Invalid => draft.wrong("slug", format!("`{segment}` cannot be part of a path")),
            });
        }
        let path: Result<SitePath, _> = parent.and_then(|parent| format!("{parent}{segment}/").parse());
        path.ok().filter(|_| !segment.contains('/')).ok_or_else(|| {
            let key = moved.map_or("", |moved| moved.0);
            draft.wrong(key, format!("`{segment}` cannot be the last segment of a path"))
        })
    }

    /// Where a folder stands: as its section says, or by its name below the folder around it.
    fn folder(&self, place: &Place, config: &SiteConfig) -> Result<SitePath, tieup_protocol::path::InvalidPath> {
        match (self.folders.get(place), place.parent()) {
            (Some(path), _) => Ok(path.clone()),
            (None, None) => Ok(config.home(&place.lang)),
            (None, Some((parent, segment))) => {
                self.folder(&parent, config).and_then(|parent| format!("{parent}{segment}/").parse())
            }
        }
    }

    /// Where the Markdown file `file`, a path below `content/`, stands on the site.
    pub(crate) fn page_of(&self, file: &str) -> Option<SitePath> {
        self.around.as_ref()?.page_of(file)
    }
}

impl<'a> Draft<'a> {
    fn read(found: &'a Found, reading: &Reading<'_>) -> Result<Box<Self>, Diagnostic> {
        let file = shown(&found.file);
        let name = Name::parse(found.path.as_str(), &file, reading.config)?;
        let of = if name.leaf.is_none() { Of::Section } else { Of::Page };
        let (written, known) = match reading.earlier {
            Some(earlier) => {
                let (written, known) = earlier.read(found, of)?;
                (written, Some(known))
            }
            None => (variation::read(found, of, (&name.place.lang, &name.stem), reading.beneath.as_beneath())?, None),
        };
        let Written { front, text, body_at, origin, record, records } = written;
        let named = Choice::new("template", front.template.as_ref(), origin.of("template"));
        let template = named.or_else(|| record.as_ref()?.template.clone());
        Ok(Box::new(Self { found, origin, record, text, known, front, body_at, name, template, records }))
    }

    /// The page that it becomes at `path`, and what is known of its file, where that is wanted.
    fn page(mut self: Box<Self>, path: SitePath, around: &Arc<Around>) -> (Arc<Page>, Option<Arc<KnownFile>>) {
        let text = self.text(&path, around);
        let known = self.known.take().map(|known| known.with(&path, &text.facts));
        let (kind, life) = (self.kind(), self.life(&around.config));
        let (origin, mut front) = (self.origin, self.front);
        let page = Page {
            entry: entry(path, &self.name, self.record.as_deref(), &mut front),
            kind,
            place: self.name.place,
            stem: self.name.stem,
            order: self.record.map_or_else(|| (self.found.path.clone(), 0), |record| record.order.clone()),
            template: self.template,
            aliases: front.aliases.into_iter().map(|alias| alias.0).collect(),
            terms: front.taxonomies,
            menus: front.menus,
            life,
            text,
            source: origin.own,
            body_source: origin.body,
        };
        (Arc::new(page), known)
    }

    /// The text: what an earlier build knew of it, or what it is now.
    fn text(&mut self, path: &SitePath, around: &Arc<Around>) -> Text {
        let folder = self.found.path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
        let place = text::Place {
            file: self.found.file.clone(),
            body_at: self.body_at,
            path: path.clone(),
            lang: self.name.place.lang.clone(),
            folder: folder.to_owned(),
        };
        let known = self.known.as_ref().and_then(|known| known.page.as_ref()).filter(|(known, _)| known == path);
        let known = known.and_then(|(_, facts)| Text::known(facts, &place, around));
        known.unwrap_or_else(|| {
            let read = || read_text(&self.found.file).unwrap_or_default();
            Text::render(&self.text.take().unwrap_or_else(read), place, around)
        })
    }

    /// Takes the days that the front matter does not name from the history of the file.
    fn date(&mut self, history: &History) {
        let front = &mut self.front;
        if front.date.is_some() && front.updated.is_some() {
            return;
        }
        if let Some(days) = history.days(&self.found.file) {
            front.date.get_or_insert(days.first);
            front.updated = front.updated.or_else(|| Some(days.last).filter(|last| Some(*last) > front.date));
        }
    }

    fn life(&self, config: &SiteConfig) -> Life {
        let instant = |moment: Option<Moment>| moment.and_then(|moment| moment.instant(&config.zone));
        let draft = self.front.draft == Some(true);
        Life { draft, publish: instant(self.front.publish), expires: instant(self.front.expires) }
    }

    /// Every taxonomy that is named must be one of the site's, and every term must give a path.
    fn check_terms(&self, config: &SiteConfig, problems: &mut Vec<Diagnostic>) {
        let cascade = self.front.cascade.iter().flat_map(|cascade| &cascade.taxonomies);
        for (name, terms) in self.front.taxonomies.iter().chain(cascade) {
            if config.taxonomies.iter().all(|taxonomy| taxonomy.name != *name) {
                problems.push(self.unknown_taxonomy(name, config));
            }
            for term in terms.iter().filter(|term| slug(term).is_empty()) {
                let message = format!("the term `{term}` has no letter or digit to make a path of");
                problems.push(self.wrong("taxonomies", message));
            }
        }
    }

    fn unknown_taxonomy(&self, name: &str, config: &SiteConfig) -> Diagnostic {
        let message = format!("`{name}` is not a taxonomy of this site");
        let source = self.origin.of("taxonomies");
        let problem = Diagnostic::new("unknown-taxonomy", source.file.as_str(), message);
        let text = &source.text();
        let key = text.find("taxonomies:").unwrap_or(0);
        let problem = match text[key..].find(&format!("{name}:")) {
            Some(at) => problem.at_offset(text, key + at, name.chars().count()),
            None => problem,
        };
        let known: Vec<&str> = config.taxonomies.iter().map(|taxonomy| taxonomy.name.as_str()).collect();
        match nearest(name, known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => problem.help(format!("write `taxonomies: [{{name: {name}}}]` in site.yaml")),
            None => problem.help(format!("site.yaml has these taxonomies: {}", known.join(", "))),
        }
    }

    fn kind(&self) -> PageKind {
        if self.name.leaf.is_some() {
            return PageKind::Single;
        }
        let section = Section {
            sort_by: self.front.sort_by.unwrap_or_default(),
            paginate_by: self.front.paginate_by,
            records: self.front.pages_from.as_ref().and_then(|from| from.kind).or(self.records),
            page_template: Choice::new(
                "page_template",
                self.front.page_template.as_ref(),
                self.origin.of("page_template"),
            ),
        };
        if self.name.place.folder.is_empty() { PageKind::Home(section) } else { PageKind::Section(section) }
    }

    fn wrong(&self, key: &str, message: String) -> Diagnostic {
        let source = self.origin.of(key);
        let problem = Diagnostic::new("wrong-value", source.file.as_str(), message);
        if key.is_empty() { problem } else { problem.at_text(&source.text(), &format!("{key}:")) }
    }

    /// The pages that the section makes from data.
    fn records(&self, path: &SitePath, data: &Data, config: &SiteConfig, problems: &mut Vec<Diagnostic>) -> Vec<Page> {
        let Some(from) = &self.front.pages_from else { return Vec::new() };
        let list = data.get(&from.data).map(|set| (set, set.value.as_array()));
        let Some((set, Some(list))) = list else {
            problems.push(self.no_list(from, data));
            return Vec::new();
        };
        let choice = Choice::new("pages_from", from.template.as_ref(), &self.origin.own);
        let mut pages = Vec::with_capacity(list.len());
        for (number, entry) in list.iter().enumerate() {
            match self.record(path, number, entry, choice.clone()) {
                Ok(page) => {
                    let checked = Offer::read(entry, config.currency.as_ref());
                    problems.extend(checked.err().map(|bad| self.bad_offer(&bad, number, &page, set)));
                    pages.push(Page { life: self.life(config), ..page });
                }
                Err(message) => problems.push(self.bad_entry(set, number, &message)),
            }
        }
        pages
    }

    fn bad_offer(&self, bad: &BadOffer, number: usize, page: &Page, set: &DataSet) -> Diagnostic {
        let id = page.entry.data.get("id").and_then(Value::as_str).unwrap_or_default();
        let (code, help) = match bad {
            BadOffer::NoCurrency => {
                ("price-without-currency", "write `currency: JPY` beside it, or in site.yaml for all")
            }
            BadOffer::Price(_) | BadOffer::Currency(_) => {
                ("wrong-value", "write it like `price: 1280` and `currency: JPY`")
            }
        };
        let problem = Diagnostic::new(code, set.file.as_str(), format!("entry {} (`{id}`) {bad}", number + 1));
        let text = Source { file: set.file.clone() }.text();
        let written = [format!("id: {id}"), format!("\"id\": \"{id}\""), format!("id: \"{id}\"")];
        let place = written.iter().find(|written| text.contains(*written));
        let problem = match place {
            Some(written) => problem.at_text(&text, written),
            None => problem,
        };
        problem.related(self.origin.own.file.as_str(), None, "makes a page of each entry").help(help)
    }

    fn bad_entry(&self, set: &DataSet, number: usize, message: &str) -> Diagnostic {
        let problem = Diagnostic::new("bad-entry", set.file.as_str(), format!("entry {} {message}", number + 1))
            .related(self.origin.own.file.as_str(), None, "makes a page of each entry")
            .help("give every entry an `id`, which becomes the path, and a `name`, which becomes the title");
        set.at_entry(problem, number)
    }

    fn no_list(&self, from: &PagesFrom, data: &Data) -> Diagnostic {
        let message = format!("there is no list `data.{}`", from.data);
        let problem = Diagnostic::new("missing-data", self.origin.own.file.as_str(), message).at_word(
            &self.origin.own.text(),
            "pages_from:",
            &from.data,
        );
        match nearest(&from.data, data.names()) {
            Some(near) if near != from.data => problem.help(format!("did you mean `{near}`?")),
            _ => problem.help(format!("write data/{}.yaml as a list", from.data)),
        }
    }

    fn record(&self, section: &SitePath, number: usize, entry: &Value, choice: Option<Choice>) -> Result<Page, String> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let id = text("id").ok_or("has no `id`")?;
        let title = text("name").ok_or_else(|| format!("(`{id}`) has no `name`"))?;
        let path = format!("{section}{id}/").parse().ok().filter(|_| !id.contains('/'));
        let path: SitePath = path.ok_or_else(|| format!("has the id `{id}`, which cannot be part of a path"))?;
        let place = self.name.place.clone();
        let stem = if place.folder.is_empty() { id.to_owned() } else { format!("{}/{id}", place.folder) };
        let entry = IndexedPage {
            path,
            title: title.to_owned(),
            description: text("description").map(str::to_owned),
            lang: place.lang.clone(),
            date: None,
            updated: None,
            weight: 0,
            section: None,
            is_section: false,
            is_derived: false,
            extra: Value::Null,
            data: entry.clone(),
            discovery: Discovery { noindex: self.front.noindex == Some(true), ..Discovery::default() },
        };
        let order = (self.found.path.clone(), number + 1);
        let (kind, template, source) = (PageKind::Single, choice, self.origin.own.clone());
        Ok(Page {
            entry,
            kind,
            place,
            stem,
            order,
            template,
            aliases: Vec::new(),
            terms: BTreeMap::new(),
            menus: Menus::default(),
            life: Life::default(),
            text: Text::default(),
            body_source: source.clone(),
            source,
        })
    }
}

/// What others see of the page at `path`.
fn entry(path: SitePath, name: &Name, record: Option<&Page>, front: &mut FrontMatter) -> IndexedPage {
    let extra = std::mem::take(&mut front.extra);
    IndexedPage {
        path,
        title: std::mem::take(&mut front.title),
        description: front.description.take(),
        lang: name.place.lang.clone(),
        date: front.date,
        updated: front.updated,
        weight: front.weight.unwrap_or_default(),
        section: None,
        is_section: name.leaf.is_none(),
        is_derived: false,
        extra: if extra.is_empty() { Value::Null } else { Value::Object(extra) },
        data: record.map_or(Value::Null, |record| record.entry.data.clone()),
        discovery: Discovery { noindex: front.noindex == Some(true), ..Discovery::default() },
    }
}

impl Name {
    /// Reads the path of a file below `content/`.
    fn parse(path: &str, file: &str, config: &SiteConfig) -> Result<Self, Diagnostic> {
        let Some(name) = path.strip_suffix(".md") else {
            return Err(misplaced(path, file));
        };
        let (folder, base) = name.rsplit_once('/').unwrap_or(("", name));
        let (leaf, lang) = match base.rsplit_once('.') {
            None => (base, config.language.as_str()),
            Some((leaf, lang)) if config.codes().any(|code| code == lang) => (leaf, lang),
            Some((_, lang)) => {
                let known: Vec<&str> = config.codes().collect();
                return Err(Diagnostic::new(
                    "unknown-language",
                    file,
                    format!("`{lang}` is not a language of this site"),
                )
                .help(format!("site.yaml has these languages: {}", known.join(", "))));
            }
        };
        let place = Place { lang: lang.to_owned(), folder: folder.to_owned() };
        let stem = if folder.is_empty() { leaf.to_owned() } else { format!("{folder}/{leaf}") };
        let leaf = (leaf != "_index").then(|| leaf.to_owned());
        Ok(Self { place, leaf, stem })
    }
}

fn misplaced(path: &str, file: &str) -> Diagnostic {
    let problem = Diagnostic::new("misplaced-file", file, "only Markdown files (.md) stand in a content folder");
    let name = path.rsplit('/').next().unwrap_or_default();
    match name.rsplit_once('.').map(|(stem, extension)| (stem, extension.to_ascii_lowercase())) {
        Some((stem, end)) if ["md", "markdown", "mdown", "mkd"].contains(&end.as_str()) => {
            problem.help(format!("name it `{stem}.md`"))
        }
        _ => problem.help("pictures and other files go into static/"),
    }
}
