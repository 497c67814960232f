//! `site.yaml`: a main site's and a partner's. Reads it and checks it; knows nothing of content.

mod checks;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;

use jiff::tz::TimeZone;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SitePath;
use tieup_protocol::period::Zone;
use tieup_protocol::schedule::{Schedule, WrittenSchedule};
use tieup_protocol::yaml;

use crate::assets::settings::Images;
use crate::dates::{Dates, History, NoHistory};
use crate::markdown::{self, Highlight};
use crate::offer::Currency;
use crate::organization::Organization;
use crate::permalink::Pattern;
use crate::search::{Search, search};
use crate::source::{read_text, scrub, scrub_text, shown};
use crate::taxonomy::MainsLists;
use crate::url;

/// What `site.yaml` says.
#[derive(Clone, Debug)]
pub(crate) struct SiteConfig {
    /// The site's title.
    pub(crate) title: String,
    /// The site's address, ending with `/`.
    pub(crate) base_url: String,
    /// The language of pages whose name says none.
    pub(crate) language: String,
    /// The other languages.
    pub(crate) languages: Vec<Language>,
    /// The ways in which pages are grouped by terms.
    pub(crate) taxonomies: Vec<Taxonomy>,
    /// Main's lists of terms, which a partner's may share. Empty for a main site.
    pub(crate) mains_lists: MainsLists,
    /// Which feeds are made.
    pub(crate) feeds: Feeds,
    /// What is found by the site's search; none where it has none.
    pub(crate) search: Option<Search>,
    /// Where the pages of a folder stand.
    permalinks: Vec<(String, Pattern)>,
    /// Links of menus that are no page's own.
    pub(crate) menus: BTreeMap<String, Vec<MenuLink>>,
    /// The time zone in which days begin.
    pub(crate) zone: TimeZone,
    /// When main pushes to partners whose contracts do not say.
    pub(crate) schedule: Option<Schedule>,
    /// How Markdown is read.
    pub(crate) markdown: markdown::Settings,
    /// When the site's files came to be, where pages may take their days from it.
    pub(crate) history: History,
    /// Who is behind the site.
    pub(crate) organization: Organization,
    /// The currency of prices that name none.
    pub(crate) currency: Option<Currency>,
    /// The picture of pages that have none, where they are shared.
    pub(crate) picture: Option<String>,
    /// Whether pages, style sheets and scripts are made shorter.
    pub(crate) minify: bool,
    /// Which narrower files are made of pictures.
    pub(crate) images: Images,
    /// Free keys.
    pub(crate) extra: Map<String, Value>,
    /// The file, as a person knows it.
    pub(crate) file: String,
    /// Its text.
    pub(crate) text: String,
}

/// A language that a site is written in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Language {
    /// The BCP 47 tag.
    pub(crate) code: String,
    /// Its name in the language itself.
    pub(crate) name: String,
}

/// A taxonomy: a way to group pages by terms.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Taxonomy {
    /// Its name, which is also its path.
    pub(crate) name: String,
    /// How many pages a term shows at once.
    pub(crate) paginate_by: Option<NonZeroUsize>,
    /// Whether each term has feeds.
    #[serde(default)]
    pub(crate) feed: bool,
}

/// A menu's link.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MenuLink {
    /// What it says.
    pub(crate) title: String,
    /// The path of this site that it leads to.
    pub(crate) path: Option<String>,
    /// The address outside the site that it leads to.
    pub(crate) url: Option<String>,
    /// Its place; lower comes first.
    #[serde(default)]
    pub(crate) weight: i64,
    /// The language it is for; every language, where nothing is said.
    pub(crate) lang: Option<String>,
}

/// Which feeds are made. `true` stands for Atom feeds of the sections by date.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feeds {
    /// The feeds of the whole site.
    #[serde(default)]
    pub(crate) site: Vec<FeedKind>,
    /// The feeds of each section by date.
    #[serde(default)]
    pub(crate) sections: Vec<FeedKind>,
    /// The most entries a feed has.
    pub(crate) limit: Option<NonZeroUsize>,
}

/// The format of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FeedKind {
    /// Atom, `atom.xml`.
    Atom,
    /// RSS 2.0, `rss.xml`.
    Rss,
    /// JSON Feed 1.1, `feed.json`.
    Json,
}

struct FeedsVisitor;

impl<'de> Visitor<'de> for FeedsVisitor {
    type Value = Feeds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or feeds such as {site: [rss], sections: [atom], limit: 20}")
    }

    fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Feeds, E> {
        Ok(Feeds { sections: if on { vec![FeedKind::Atom] } else { Vec::new() }, ..Feeds::default() })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Feeds, A::Error> {
        Feeds::deserialize(MapAccessDeserializer::new(map))
    }
}

fn feeds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Feeds, D::Error> {
    deserializer.deserialize_any(FeedsVisitor)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    title: String,
    base_url: String,
    #[serde(default = "english")]
    language: String,
    #[serde(default)]
    languages: Vec<Language>,
    theme: Option<String>,
    #[serde(default)]
    taxonomies: Vec<Taxonomy>,
    #[serde(default, deserialize_with = "feeds")]
    feeds: Feeds,
    #[serde(default, deserialize_with = "search")]
    search: Option<Search>,
    #[serde(default)]
    permalinks: BTreeMap<String, String>,
    #[serde(default)]
    menus: BTreeMap<String, Vec<MenuLink>>,
    timezone: Option<String>,
    schedule: Option<WrittenSchedule>,
    #[serde(default)]
    dates: Dates,
    #[serde(default)]
    organization: Organization,
    currency: Option<String>,
    picture: Option<String>,
    #[serde(default)]
    markdown: markdown::Settings,
    #[serde(default)]
    highlight: Highlight,
    #[serde(default)]
    minify: bool,
    #[serde(default)]
    images: Images,
    #[serde(default)]
    extra: Map<String, Value>,
}

fn english() -> String {
    "en".to_owned()
}

impl SiteConfig {
    /// Reads a main site's `site.yaml`, and the name of its theme.
    pub(crate) fn load_main(dir: &Path) -> Result<(Self, String), Diagnostic> {
        let (file, text) = read_document(dir)?;
        let mut document: Document = yaml::parse(&file, &text)?;
        let theme = document.theme.take().ok_or_else(|| {
            Diagnostic::new("missing-key", file.as_str(), "missing key `theme`").help("name a folder of themes/")
        })?;
        let dates = document.dates;
        Ok((Self::new(document, file, text)?.dated(dates, dir)?, theme))
    }

    /// Reads a partner's `site.yaml`, which has no `theme`: the theme comes with the release.
    pub(crate) fn load_partner(dir: &Path) -> Result<Self, Diagnostic> {
        let (file, text) = read_document(dir)?;
        let document: Document = yaml::parse(&file, &text)?;
        let foreign = [
            ("theme", document.theme.is_some(), "the theme comes with the release"),
            ("schedule", document.schedule.is_some(), "main says when it pushes"),
        ];
        if let Some((key, _, help)) = foreign.into_iter().find(|(_, there, _)| *there) {
            let problem = Diagnostic::new("unknown-key", file, format!("unknown key `{key}`"));
            return Err(problem.at_text(&text, key).help(help));
        }
        let dates = document.dates;
        Self::new(document, file, text)?.dated(dates, dir)
    }

    /// The same with the history of the files in `dir`.
    fn dated(mut self, dates: Dates, dir: &Path) -> Result<Self, Diagnostic> {
        let unknown = |why| {
            let (code, message, help) = match why {
                NoHistory::NoProgram(error) => {
                    ("missing-git", format!("the program `git` cannot be run: {error}"), "install git")
                }
                NoHistory::Refused(said) => {
                    ("no-history", format!("git does not tell the history of this folder: {said}"), "commit the site")
                }
                NoHistory::Shallow => (
                    "shallow-history",
                    "the clone lacks older commits, so that every page would seem new".to_owned(),
                    "fetch all of them with `git fetch --unshallow` (a CI's checkout has a setting for it)",
                ),
            };
            let problem = Diagnostic::new(code, self.file.as_str(), message).at_text(&self.text, "dates:");
            problem.help(format!("{help}, or write `dates: file` or `dates: front-matter`"))
        };
        let history = History::read(dates, dir, &self.zone).map_err(unknown)?;
        self.history = history;
        Ok(self)
    }

    fn new(document: Document, file: String, text: String) -> Result<Self, Diagnostic> {
        let mut config = Self {
            title: document.title,
            base_url: document.base_url,
            language: document.language,
            languages: document.languages,
            taxonomies: document.taxonomies,
            mains_lists: MainsLists::new(),
            feeds: document.feeds,
            search: document.search,
            permalinks: Vec::new(),
            menus: document.menus,
            zone: TimeZone::UTC,
            schedule: None,
            history: History::Unknown,
            organization: document.organization,
            currency: None,
            picture: document.picture,
            markdown: markdown::Settings { highlight: document.highlight, ..document.markdown },
            minify: document.minify,
            images: document.images,
            extra: document.extra,
            file,
            text,
        };
        let mut problems = Vec::new();
        for (section, pattern) in document.permalinks {
            match Pattern::parse(&pattern) {
                Ok(parsed) => config.permalinks.push((section, parsed)),
                Err(bad) => problems.push(config.bad_pattern(&pattern, &bad)),
            }
        }
        let clock = document.timezone.as_deref().and_then(|name| name.parse().ok()).unwrap_or_else(Zone::utc);
        config.schedule = document.schedule.map(|written| written.within(&clock));
        if let Some(name) = document.timezone {
            match TimeZone::get(&name) {
                Ok(zone) => config.zone = zone,
                Err(_) => problems.push(
                    config
                        .wrong("timezone:", format!("`{name}` is not a time zone"), &name)
                        .help("write it like Asia/Tokyo"),
                ),
            }
        }
        if let Some(code) = document.currency {
            config.currency = Currency::parse(&code);
            if config.currency.is_none() {
                let message = format!("`{code}` is not a currency's three letters such as JPY");
                problems.push(config.wrong("currency:", message, &code));
            }
        }
        config.search = config.search.map(|search| search.priced(config.currency.as_ref()));
        config.check(&mut problems);
        Diagnostic::gather(problems)?;
        Ok(config.completed())
    }

    /// The pattern of the pages in `folder`: that of the nearest folder around it, or the one for `*`.
    pub(crate) fn pattern(&self, folder: &str) -> Option<&Pattern> {
        let named = |name: &str| self.permalinks.iter().find(|(section, _)| section == name).map(|(_, found)| found);
        let mut around = Some(folder);
        while let Some(name) = around.filter(|name| !name.is_empty()) {
            if let Some(pattern) = named(name) {
                return Some(pattern);
            }
            around = name.rsplit_once('/').map(|(around, _)| around);
        }
        named("*")
    }

    fn completed(mut self) -> Self {
        if !self.base_url.ends_with('/') {
            self.base_url.push('/');
        }
        scrub_text(&mut self.title);
        self.menus.values_mut().flatten().for_each(|link| scrub_text(&mut link.title));
        self.extra.values_mut().for_each(scrub);
        self
    }

    /// Every language's tag, the default language first.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.language.as_str()).chain(self.languages.iter().map(|language| language.code.as_str()))
    }

    /// A language's name in the language itself, or its tag where no name is known.
    pub(crate) fn language_name<'a>(&'a self, code: &'a str) -> &'a str {
        let named = self.languages.iter().find(|language| language.code == code);
        named.map_or_else(|| endonym(code), |language| &language.name)
    }

    /// The first page of a language: `/`, or `/ja/` for a language that is not the default.
    pub(crate) fn home(&self, code: &str) -> SitePath {
        if code == self.language {
            return SitePath::root();
        }
        format!("/{code}/").parse().expect("a checked language tag is one segment of letters, digits and hyphens")
    }

    /// The absolute address of `path`.
    pub(crate) fn permalink(&self, path: &SitePath) -> String {
        url::absolute(&self.base_url, path)
    }
}

fn read_document(dir: &Path) -> Result<(String, String), Diagnostic> {
    let path = dir.join("site.yaml");
    let text = read_text(&path).map_err(|problem| match problem.code {
        "missing-file" => problem.help("a site's folder holds site.yaml with at least title and base_url"),
        _ => problem,
    })?;
    Ok((shown(&path), text))
}

/// The names of languages that sites often have as their default, which `languages` does not list.
fn endonym(code: &str) -> &str {
    match code {
        "de" => "Deutsch",
        "en" => "English",
        "es" => "Español",
        "fr" => "Français",
        "it" => "Italiano",
        "ja" => "日本語",
        "ko" => "한국어",
        "pt" => "Português",
        "th" => "ไทย",
        "vi" => "Tiếng Việt",
        "zh" => "中文",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<SiteConfig, Diagnostic> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("site.yaml"), text).unwrap();
        SiteConfig::load_partner(dir.path())
    }

    #[test]
    fn addresses_end_with_a_slash_and_languages_have_homes() {
        let config = load("title: A\nbase_url: https://a.example\nlanguages: [{code: ja, name: 日本語}]\n").unwrap();
        assert_eq!(config.base_url, "https://a.example/");
        assert_eq!(config.home("ja").as_str(), "/ja/");
        assert_eq!(config.home("en").as_str(), "/");
        assert_eq!(config.permalink(&"/会社/".parse().unwrap()), "https://a.example/%E4%BC%9A%E7%A4%BE/");
        assert_eq!((config.language_name("en"), config.language_name("ja")), ("English", "日本語"));
    }

    #[test]
    fn what_is_not_an_address_or_a_language_is_refused() {
        for bad in ["a.example", "ftp://a.example/", "https://", "https://a.example/?x", "'https://a b/'"] {
            let problem = load(&format!("title: A\nbase_url: {bad}\n")).unwrap_err();
            assert_eq!(problem.code, "wrong-value", "{bad}");
        }
        let problem = load("title: A\nbase_url: https://a.example\nlanguage: ../x\n").unwrap_err();
        assert_eq!(problem.span.map(|span| span.line), Some(3));
        assert_eq!(load("title: A\nbase_url: https://a.example\ntheme: x\n").unwrap_err().code, "unknown-key");
        let error = load("title: A\nbase_url: https://a.example\nschedule: {push: 0 6 * * *}\n").unwrap_err();
        assert_eq!((error.code, error.help.as_deref()), ("unknown-key", Some("main says when it pushes")));
    }

    #[test]
    fn row_003_14_a_main_site_says_when_it_pushes_in_its_own_zone() {
        let dir = tempfile::tempdir().unwrap();
        let begin = "title: A\nbase_url: https://a.example/\ntheme: x\ntimezone: Asia/Tokyo\n";
        let load = |schedule: &str| {
            std::fs::write(dir.path().join("site.yaml"), format!("{begin}schedule: {schedule}\n")).unwrap();
            SiteConfig::load_main(dir.path()).map(|(config, _)| config.schedule.unwrap())
        };
        let from = "2026-11-01T00:00:00Z".parse().unwrap();
        let next = |schedule: Schedule| schedule.next(from).unwrap().to_string();
        assert_eq!(next(load("{push: 0 6 * * *}").unwrap()), "2026-11-01T21:00:00Z");
        assert_eq!(next(load("{push: 0 6 * * *, tz: Europe/Berlin}").unwrap()), "2026-11-01T05:00:00Z");
        let error = load("{push: 0 25 * * *}").unwrap_err();
        assert_eq!((error.code, error.span.map(|span| span.line)), ("wrong-value", Some(5)));
    }
}
