//! What templates get of a view, as values. Everything here that depends on a page is told by a fingerprint in
//! [`super::prints`] as well.

use std::collections::HashMap;

use tera::{Map, Value};
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use super::{Group, View};
use crate::config::SiteConfig;
use crate::head;
use crate::page::Page;
use crate::taxonomy::Grouping;
use crate::toc;
use crate::uses::Uses;

impl View {
    /// What listings show of page `at`.
    pub(crate) fn summary(&self, at: usize) -> Value {
        let node = &self.nodes[at];
        let make = || {
            let mut map = summary(node.entry(), &self.config);
            if let Some(page) = node.own() {
                map.insert("word_count".into(), Value::from(page.text.facts.length.words()));
                if let Some(summary) = page.text.summary() {
                    map.insert("summary".into(), Value::safe_string(&summary));
                }
                map.insert("taxonomies".into(), self.terms_of(page));
            }
            Value::from(map)
        };
        node.summary.get_or_init(make).clone()
    }

    /// The summary of the page at `path`.
    pub(crate) fn page(&self, path: &str) -> Result<Value, String> {
        self.find(path, "page").map(|at| self.summary(at))
    }

    /// The section at `path`, with its pages.
    pub(crate) fn section(&self, path: &str) -> Result<Value, String> {
        let at = self.find(path, "section")?;
        let listing = self.listing_value(at).filter(|_| self.entry(at).is_section);
        let listing = listing.ok_or_else(|| format!("`{path}` is a page, not a section"))?;
        let summary = self.summary(at);
        let mut map = Map::new();
        for key in ["title", "description", "path", "permalink", "lang"] {
            map.insert(key.into(), summary.get_from_path(key).cloned().unwrap_or_else(Value::none));
        }
        for key in ["pages", "subsections"] {
            map.insert(key.into(), listing.get_from_path(key).cloned().unwrap_or_else(Value::none));
        }
        Ok(Value::from(map))
    }

    /// The number of the page or section at `path`.
    pub(crate) fn find(&self, path: &str, what: &str) -> Result<usize, String> {
        let at = path.parse::<SitePath>().ok().and_then(|path| self.at(&path));
        at.ok_or_else(|| match self.suggest(path) {
            Some(near) => format!("there is no {what} `{path}`; did you mean `{near}`?"),
            None => format!("there is no {what} `{path}`"),
        })
    }

    /// Everything a template can know of page `at` itself, whose text is `content`; of the headings only where it `uses`
    /// them.
    pub(crate) fn page_value(&self, at: usize, content: &str, uses: &Uses) -> Value {
        let own = self.nodes[at].own();
        let mut map = self.summary(at).into_map().unwrap_or_default();
        let parent = self.parents[at].map(|parent| self.entry(parent).path.as_str());
        let [prev, next] = self.neighbours[at].map(|at| at.map_or_else(Value::none, |at| self.step(at)));
        let ancestors: Vec<Value> = self.ancestors(at).into_iter().map(|at| self.step(at)).collect();
        let translations: Vec<Value> = self.translated(at).map(|at| self.translation(at)).collect();
        map.insert("content".into(), Value::safe_string(content));
        let headed = own.filter(|_| uses.field("toc"));
        let toc = headed.map_or_else(|| toc::value(&[]), |page| toc::value(&page.text.body().headings));
        map.insert("toc".into(), toc);
        map.insert("reading_time".into(), Value::from(own.map_or(0, |page| page.text.facts.length.minutes())));
        map.insert("section".into(), text(parent));
        map.insert("ancestors".into(), Value::from(ancestors));
        map.insert("translations".into(), Value::from(translations));
        map.insert("prev".into(), prev);
        map.insert("next".into(), next);
        head::add_values(self, at, &self.entry(at).path, &mut map);
        Value::from(map)
    }

    /// The same for a later page of a listing, which has an address of its own.
    pub(crate) fn paged_value(&self, at: usize, content: &str, uses: &Uses, path: &SitePath) -> Value {
        let mut map = self.page_value(at, content, uses).into_map().unwrap_or_default();
        map.insert("path".into(), Value::from(path.as_str()));
        map.insert("permalink".into(), Value::from(self.config.permalink(path)));
        head::add_values(self, at, path, &mut map);
        Value::from(map)
    }

    /// What page `number` of the listing of node `at` shows.
    pub(crate) fn paginator_value(&self, at: usize, number: usize) -> Value {
        let Some(pager) = self.pager(at) else { return Value::none() };
        pager.value(number, |page| self.summary(page))
    }

    /// The menus in the language `lang`.
    pub(crate) fn menus(&self, lang: &str) -> Value {
        self.menus.get(lang).cloned().unwrap_or_else(|| Value::from(Map::new()))
    }

    /// What a section's template knows of its pages.
    pub(crate) fn listing_value(&self, at: usize) -> Option<Value> {
        let listing = self.listing(at)?;
        let make = || {
            let mut map = Map::new();
            for (key, list) in [("pages", &listing.pages), ("subsections", &listing.subsections)] {
                let summaries: Vec<Value> = list.iter().map(|at| self.summary(*at)).collect();
                map.insert(key.into(), Value::from(summaries));
            }
            Value::from(map)
        };
        Some(listing.value.get_or_init(make).clone())
    }

    /// What the template of a term sees as `term` and `taxonomy`.
    pub(crate) fn term_value(&self, at: usize) -> [Value; 2] {
        let Some(group) = self.group(at) else { return [Value::none(), Value::none()] };
        let mut map = self.counted(at).into_map().unwrap_or_default();
        let pages = self.listing_value(at).and_then(|listing| listing.get_from_path("pages").cloned());
        map.insert("pages".into(), pages.unwrap_or_else(Value::none));
        [Value::from(map), self.taxonomy_head(group)]
    }

    /// What the template of a taxonomy's list sees as `taxonomy`.
    pub(crate) fn taxonomy_value(&self, at: usize) -> Value {
        let Some(group) = self.groups.iter().find(|group| group.list == at) else { return Value::none() };
        let mut map = self.taxonomy_head(group).into_map().unwrap_or_default();
        let mut terms: Vec<usize> = group.terms.clone().collect();
        terms.sort_by_cached_key(|term| {
            let title = &self.entry(*term).title;
            (title.to_lowercase(), title.clone())
        });
        map.insert("terms".into(), Value::from(terms.into_iter().map(|at| self.counted(at)).collect::<Vec<_>>()));
        Value::from(map)
    }

    /// The page that is shown where there is none.
    pub(crate) fn not_found_value(&self) -> Value {
        let mut map = Map::new();
        let none =
            ["description", "permalink", "canonical", "date", "updated", "data", "section", "prev", "next", "summary"];
        for key in none {
            map.insert(key.into(), Value::none());
        }
        map.insert("noindex".into(), Value::from(true));
        for key in ["ancestors", "translations", "toc", "alternates"] {
            map.insert(key.into(), Value::from(Vec::<Value>::new()));
        }
        for key in ["weight", "word_count", "reading_time"] {
            map.insert(key.into(), Value::from(0));
        }
        map.insert("title".into(), Value::from("Not found"));
        map.insert("path".into(), Value::from("/404.html"));
        map.insert("lang".into(), Value::from(self.config.language.as_str()));
        map.insert("extra".into(), Value::from(Map::new()));
        map.insert("taxonomies".into(), Value::from(Map::new()));
        map.insert("content".into(), Value::safe_string(""));
        Value::from(map)
    }

    fn taxonomy_head(&self, group: &Group) -> Value {
        let entry = self.entry(group.list);
        let mut map = Map::new();
        map.insert("name".into(), Value::from(self.config.taxonomies[group.taxonomy].name.as_str()));
        map.insert("path".into(), Value::from(entry.path.as_str()));
        map.insert("permalink".into(), Value::from(self.config.permalink(&entry.path)));
        Value::from(map)
    }

    fn counted(&self, at: usize) -> Value {
        let count = self.listing(at).map_or(0, |listing| listing.pages.len());
        term_value(&self.config, self.entry(at), count)
    }

    /// The terms of a page by taxonomy; every taxonomy of the site is there, so that templates need not ask.
    fn terms_of(&self, page: &Page) -> Value {
        let mut map = Map::new();
        for (number, taxonomy) in self.config.taxonomies.iter().enumerate() {
            let known = self.groups.iter().find(|group| group.taxonomy == number && group.lang == page.entry.lang);
            let named = page.terms.get(&taxonomy.name).into_iter().flatten();
            let values: Vec<Value> =
                named.filter_map(|name| known?.by_name.get(name.as_str()).map(|(_, value)| value.clone())).collect();
            map.insert(taxonomy.name.clone().into(), Value::from(values));
        }
        Value::from(map)
    }

    fn translation(&self, at: usize) -> Value {
        let entry = self.entry(at);
        let mut map = Map::new();
        map.insert("lang".into(), Value::from(entry.lang.as_str()));
        map.insert("name".into(), Value::from(self.config.language_name(&entry.lang)));
        map.insert("path".into(), Value::from(entry.path.as_str()));
        map.insert("permalink".into(), Value::from(self.config.permalink(&entry.path)));
        Value::from(map)
    }

    fn step(&self, at: usize) -> Value {
        let entry = self.entry(at);
        let mut map = Map::new();
        map.insert("title".into(), Value::from(entry.title.as_str()));
        map.insert("path".into(), Value::from(entry.path.as_str()));
        Value::from(map)
    }
}

/// The terms of one taxonomy in one language as templates see them, by name.
pub(super) fn terms(config: &SiteConfig, grouping: &Grouping, first: usize) -> HashMap<String, (usize, Value)> {
    let terms = (first..).zip(&grouping.terms);
    let values = terms.map(|(at, term)| {
        let entry = &term.page.entry;
        (entry.title.clone(), (at, term_value(config, entry, term.members.len())))
    });
    values.collect()
}

fn term_value(config: &SiteConfig, entry: &IndexedPage, count: usize) -> Value {
    let mut map = Map::new();
    map.insert("name".into(), Value::from(entry.title.as_str()));
    map.insert("path".into(), Value::from(entry.path.as_str()));
    map.insert("permalink".into(), Value::from(config.permalink(&entry.path)));
    map.insert("count".into(), Value::from(count));
    Value::from(map)
}

/// What listings show of a page, before what only an own page has.
fn summary(entry: &IndexedPage, config: &SiteConfig) -> Map {
    let extra = if entry.extra.is_null() { Value::from(Map::new()) } else { Value::from_serializable(&entry.extra) };
    let mut map = Map::new();
    map.reserve(24);
    map.insert("title".into(), Value::from(entry.title.as_str()));
    map.insert("description".into(), text(entry.description.as_deref()));
    map.insert("path".into(), Value::from(entry.path.as_str()));
    map.insert("permalink".into(), Value::from(config.permalink(&entry.path)));
    map.insert("lang".into(), Value::from(entry.lang.as_str()));
    map.insert("date".into(), text(entry.date.map(|date| date.to_string())));
    map.insert("updated".into(), text(entry.updated.map(|date| date.to_string())));
    map.insert("weight".into(), Value::from(entry.weight));
    map.insert("extra".into(), extra);
    map.insert("data".into(), if entry.data.is_null() { Value::none() } else { Value::from_serializable(&entry.data) });
    map.insert("word_count".into(), Value::none());
    map.insert("summary".into(), Value::none());
    map.insert("taxonomies".into(), Value::from(Map::new()));
    map
}

fn text(text: Option<impl Into<Value>>) -> Value {
    text.map_or_else(Value::none, Into::into)
}
