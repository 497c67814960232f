//! Taxonomies: the pages that terms make of the pages they group. Renders nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use crate::anchors::slug;
use crate::config::{SiteConfig, Taxonomy};
use crate::front_matter::Menus;
use crate::page::{Page, PageKind, Place, Source};
use crate::schedule::Life;
use crate::text::Text;

/// The pages of one taxonomy in one language.
#[derive(Debug)]
pub(crate) struct Grouping {
    /// The page that lists the terms.
    pub(crate) list: Arc<Page>,
    /// The terms, by their names.
    pub(crate) terms: Vec<Term>,
    /// The taxonomy's number in `site.yaml`.
    pub(crate) taxonomy: usize,
}

/// One term of a taxonomy in one language.
#[derive(Debug)]
pub(crate) struct Term {
    /// Its page.
    pub(crate) page: Arc<Page>,
    /// The pages that have it, by their numbers in the list of pages.
    pub(crate) members: Vec<usize>,
}

/// What a derived page has of the taxonomy that it comes from.
struct Origin<'a> {
    lang: &'a str,
    source: &'a Arc<Source>,
    /// What its translations share.
    stem: String,
}

/// Where the list of a taxonomy's terms stands in a language: where main has it, or below the first page of the language.
/// None where the taxonomy's name is too long.
pub(crate) fn list_path(config: &SiteConfig, taxonomy: &str, lang: &str) -> Option<SitePath> {
    let mains = config.mains_lists.get(&(taxonomy.to_owned(), lang.to_owned())).cloned();
    mains.or_else(|| own_list_path(config, taxonomy, lang))
}

/// The same without what main has.
fn own_list_path(config: &SiteConfig, taxonomy: &str, lang: &str) -> Option<SitePath> {
    format!("{}{taxonomy}/", config.home(lang)).parse().ok()
}

/// Where main has the lists of the site's taxonomies among the `inherited` pages, by taxonomy and language. They may stand
/// elsewhere than the site's own would, since its default language may be another than main's.
pub(crate) fn mains_lists(config: &SiteConfig, inherited: &[IndexedPage]) -> BTreeMap<(String, String), SitePath> {
    let mut lists = BTreeMap::new();
    for page in inherited.iter().filter(|page| page.is_derived) {
        let is_list = |taxonomy: &&Taxonomy| {
            let name = &taxonomy.name;
            [format!("/{name}/"), format!("/{}/{name}/", page.lang)].iter().any(|path| path == page.path.as_str())
        };
        if let Some(taxonomy) = config.taxonomies.iter().find(is_list) {
            lists.insert((taxonomy.name.clone(), page.lang.clone()), page.path.clone());
        }
    }
    // Where main's list of one language would stand where the site's own list of another does, each keeps its own place.
    let is_free = |(name, lang): &(String, String), list: &SitePath| {
        let others =
            config.codes().filter(|other| other != lang && !lists.contains_key(&(name.clone(), (*other).to_owned())));
        others.filter_map(|other| own_list_path(config, name, other)).all(|own| own != *list)
    };
    let kept = lists.iter().filter(|(of, list)| is_free(of, list));
    kept.map(|(of, list)| (of.clone(), list.clone())).collect()
}

/// Where the page of the term with this slug stands, below the list of its taxonomy's terms.
pub(crate) fn term_path(list: &SitePath, slug: &str) -> Option<SitePath> {
    format!("{list}{slug}/").parse().ok()
}

/// The pages of the terms that a page has.
pub(crate) fn terms_of(config: &SiteConfig, page: &Page) -> Vec<SitePath> {
    let lang = &page.entry.lang;
    let lists = page.terms.iter().filter_map(|(name, terms)| Some((list_path(config, name, lang)?, terms)));
    lists.flat_map(|(list, terms)| terms.iter().filter_map(move |term| term_path(&list, &slug(term)))).collect()
}

/// Groups `pages` by the taxonomies of the site, each language by itself.
pub(crate) fn group(config: &SiteConfig, pages: &[Arc<Page>], problems: &mut Vec<Diagnostic>) -> Vec<Grouping> {
    if config.taxonomies.is_empty() {
        return Vec::new();
    }
    let source = Arc::new(Source { file: config.file.clone() });
    let mut groupings = Vec::new();
    for (number, taxonomy) in config.taxonomies.iter().enumerate() {
        for lang in config.codes() {
            let terms = members(taxonomy, lang, pages, problems);
            if terms.is_empty() && lang != config.language {
                continue;
            }
            let home = config.home(lang);
            let Some(path) = list_path(config, &taxonomy.name, lang) else {
                let message = format!("the name of the taxonomy `{}` is too long for a path", taxonomy.name);
                problems
                    .push(Diagnostic::new("bad-path", config.file.as_str(), message).help("give it a shorter name"));
                continue;
            };
            let title = capitalised(&taxonomy.name);
            let origin = Origin { lang, source: &source, stem: taxonomy.name.clone() };
            let list = derived(&path, &home, title, PageKind::Taxonomy, &origin);
            let terms = terms.into_iter().filter_map(|(slug, (name, members))| {
                let origin = Origin { lang, source: &source, stem: format!("{}/{slug}", taxonomy.name) };
                let own = term_path(&path, &slug)?;
                let page = derived(&own, &path, name.to_owned(), PageKind::Term, &origin);
                Some(Term { page, members })
            });
            groupings.push(Grouping { list, terms: terms.collect(), taxonomy: number });
        }
    }
    groupings
}

/// The terms of one taxonomy in one language by what they add to a path, and who has them.
fn members<'a>(
    taxonomy: &Taxonomy,
    lang: &str,
    pages: &'a [Arc<Page>],
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, (&'a str, Vec<usize>)> {
    // Each term is made a part of a path once; those of all pages are many.
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut by_slug: HashMap<String, usize> = HashMap::new();
    let mut terms: Vec<(&str, Vec<usize>)> = Vec::new();
    for (at, page) in pages.iter().enumerate().filter(|(_, page)| page.entry.lang == lang) {
        for term in page.terms.get(&taxonomy.name).into_iter().flatten() {
            let number = *numbers.entry(term).or_insert_with(|| *by_slug.entry(slug(term)).or_insert(terms.len()));
            if number == terms.len() {
                terms.push((term, Vec::new()));
            }
            let (name, members) = &mut terms[number];
            if *name != term.as_str() {
                let other = members.first().map_or(page.source.file.as_str(), |at| pages[*at].source.file.as_str());
                problems.push(two_names(page, term, name, other));
            } else if members.last() != Some(&at) {
                members.push(at);
            }
        }
    }
    by_slug.into_iter().map(|(slug, number)| (slug, std::mem::take(&mut terms[number]))).collect()
}

fn two_names(page: &Page, term: &str, name: &str, other: &str) -> Diagnostic {
    let message = format!("the terms `{term}` and `{name}` would have the same path");
    let text = &page.source.text();
    let key = text.find("taxonomies:").unwrap_or(0);
    let problem = Diagnostic::new("duplicate-term", page.source.file.as_str(), message)
        .related(other, Source { file: other.to_owned() }.line_of("taxonomies:", name), format!("says `{name}`"))
        .help("write the term the same way everywhere");
    match text[key..].find(term) {
        Some(at) => problem.at_offset(text, key + at, term.chars().count()),
        None => problem,
    }
}

/// A page made of others, which stands at `path` below `section`.
fn derived(path: &SitePath, section: &SitePath, title: String, kind: PageKind, origin: &Origin<'_>) -> Arc<Page> {
    let Origin { lang, source, stem } = origin;
    let entry = IndexedPage {
        section: Some(section.clone()),
        is_derived: true,
        ..IndexedPage::new(path.clone(), title, (*lang).to_owned())
    };
    Arc::new(Page {
        entry,
        kind,
        place: Place { lang: (*lang).to_owned(), folder: String::new() },
        stem: stem.clone(),
        order: ("site.yaml".parse().expect("a plain name is a path"), 0),
        template: None,
        aliases: Vec::new(),
        terms: BTreeMap::new(),
        menus: Menus::default(),
        life: Life::default(),
        text: Text::default(),
        source: (*source).clone(),
        body_source: (*source).clone(),
    })
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
