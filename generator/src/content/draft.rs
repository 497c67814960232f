//! A Markdown file on its way to a page.

use std::sync::Arc;

use serde_json::Value;
use tieup_protocol::diagnostic::{Diagnostic, nearest};
use tieup_protocol::index::{Discovery, IndexedPage};
use tieup_protocol::path::SitePath;

use crate::anchors::slug;
use crate::config::SiteConfig;
use crate::dates::History;
use crate::front_matter::{FrontMatter, Of, RecordType};
use crate::known::KnownFile;
use crate::page::{Choice, Page, PageKind, Place, Section};
use crate::parallel;
use crate::progress::Step;
use crate::schedule::{Life, Moment};
use crate::source::{Found, read_text, shown};
use crate::text::{self, Around, Text};
use crate::variation::{self, Origin, Written};

use super::Reading;

/// A Markdown file whose front matter has been read.
pub(super) struct Draft<'a> {
    pub(super) found: &'a Found,
    pub(super) origin: Origin,
    /// The page from data that it varies.
    pub(super) record: Option<Arc<Page>>,
    /// What holds its body; none where the file was not read.
    pub(super) text: Option<String>,
    /// What is known of the file, where that is wanted.
    pub(super) known: Option<Arc<KnownFile>>,
    pub(super) front: FrontMatter,
    pub(super) body_at: usize,
    pub(super) name: Name,
    pub(super) template: Option<Choice>,
    /// What the entries are that the section which it varies makes pages of.
    pub(super) records: Option<RecordType>,
}

/// What a file's name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) place: Place,
    /// The last segment; none for a section.
    pub(super) leaf: Option<String>,
    pub(super) stem: String,
}

impl<'a> Draft<'a> {
    /// Reads every file that was `found`, in their order; what is wrong with others is told.
    #[expect(clippy::vec_box, reason = "drafts are large, and handed on several times")]
    pub(super) fn read_all(
        found: &'a [Found],
        reading: &Reading<'_>,
        problems: &mut Vec<Diagnostic>,
    ) -> Vec<Box<Self>> {
        reading.progress.begin(Step::Reading, found.len());
        // A mistake is large, and there are few.
        let read = parallel::map(found, |found| Self::read(found, reading).map_err(Box::new));
        let mut drafts = Vec::with_capacity(read.len());
        for draft in read {
            match draft {
                Ok(draft) => drafts.push(draft),
                Err(problem) => problems.push(*problem),
            }
        }
        for draft in &mut drafts {
            draft.date(&reading.config.history);
        }
        drafts
    }

    pub(super) fn read(found: &'a Found, reading: &Reading<'_>) -> Result<Box<Self>, Diagnostic> {
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
        Ok(Self::of(found, name, written, known))
    }

    pub(super) fn of(found: &'a Found, name: Name, written: Written, known: Option<Arc<KnownFile>>) -> Box<Self> {
        let Written { front, text, body_at, origin, record, records } = written;
        let named = Choice::new("template", front.template.as_ref(), origin.of("template"));
        let template = named.or_else(|| record.as_ref()?.template.clone());
        Box::new(Self { found, origin, record, text, known, front, body_at, name, template, records })
    }

    /// The page that it becomes at `path`, and what is known of its file, where that is wanted.
    pub(super) fn page(
        mut self: Box<Self>,
        path: SitePath,
        around: &Arc<Around>,
    ) -> (Arc<Page>, Option<Arc<KnownFile>>) {
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
    pub(super) fn text(&mut self, path: &SitePath, around: &Arc<Around>) -> Text {
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
    pub(super) fn date(&mut self, history: &History) {
        let front = &mut self.front;
        if front.date.is_some() && front.updated.is_some() {
            return;
        }
        if let Some(days) = history.days(&self.found.file) {
            front.date.get_or_insert(days.first);
            front.updated = front.updated.or_else(|| Some(days.last).filter(|last| Some(*last) > front.date));
        }
    }

    pub(super) fn life(&self, config: &SiteConfig) -> Life {
        let instant = |moment: Option<Moment>| moment.and_then(|moment| moment.instant(&config.zone));
        let draft = self.front.draft == Some(true);
        Life { draft, publish: instant(self.front.publish), expires: instant(self.front.expires) }
    }

    /// Every taxonomy that is named must be one of the site's, and every term must give a path.
    pub(super) fn check_terms(&self, config: &SiteConfig) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
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
        problems
    }

    pub(super) fn unknown_taxonomy(&self, name: &str, config: &SiteConfig) -> Diagnostic {
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

    pub(super) fn kind(&self) -> PageKind {
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

    pub(super) fn wrong(&self, key: &str, message: String) -> Diagnostic {
        let source = self.origin.of(key);
        let problem = Diagnostic::new("wrong-value", source.file.as_str(), message);
        if key.is_empty() { problem } else { problem.at_text(&source.text(), &format!("{key}:")) }
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
    pub(super) fn parse(path: &str, file: &str, config: &SiteConfig) -> Result<Self, Diagnostic> {
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
