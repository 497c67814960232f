//! Taxonomies: the pages that terms make of the pages they group. Renders nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tieup_protocol::contract::{Mounts, Owner};
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

/// Main's lists of a partner's taxonomies, by taxonomy and language.
pub(crate) type MainsLists = BTreeMap<(String, String), MainsList>;

/// Main's list of a taxonomy's terms in a language.
#[derive(Clone, Debug)]
pub(crate) struct MainsList {
    path: SitePath,
    /// Whether the partner's list stands there too, and not in its own place.
    is_shared: bool,
}

/// Where the list of a taxonomy's terms stands in a language: where main has it, if the two share it, or below the first
/// page of the language. None where the taxonomy's name is too long.
pub(crate) fn list_path(config: &SiteConfig, taxonomy: &str, lang: &str) -> Option<SitePath> {
    let mains = mains_list(config, taxonomy, lang).filter(|list| list.is_shared).map(|list| list.path.clone());
    mains.or_else(|| own_list_path(config, taxonomy, lang))
}

fn mains_list<'a>(config: &'a SiteConfig, taxonomy: &str, lang: &str) -> Option<&'a MainsList> {
    config.mains_lists.get(&(taxonomy.to_owned(), lang.to_owned()))
}

/// Where a list stands without what main has.
fn own_list_path(config: &SiteConfig, taxonomy: &str, lang: &str) -> Option<SitePath> {
    format!("{}{taxonomy}/", config.home(lang)).parse().ok()
}

/// Main's lists of the site's taxonomies among the `inherited` pages. They may stand elsewhere than the site's own would,
/// since its default language may be another than main's. The two share a list, unless `mounts` give the site's own place
/// to the partner, whose terms are served there.
pub(crate) fn mains_lists(config: &SiteConfig, inherited: &[IndexedPage], mounts: Option<&Mounts>) -> MainsLists {
    let is_partners = |path: &SitePath| mounts.is_some_and(|mounts| mounts.owner(path).0 == Owner::Partner);
    let mut lists = MainsLists::new();
    for (taxonomy, page) in lists_among(&config.taxonomies, inherited) {
        let own = own_list_path(config, &taxonomy.name, &page.lang);
        let is_shared = !own.is_some_and(|own| is_partners(&own));
        lists.insert((taxonomy.name.clone(), page.lang.clone()), MainsList { path: page.path.clone(), is_shared });
    }
    // Where main's list of one language would stand where the site's own list of another does, each keeps its own place.
    let has_own_place = |name: &str, lang: &str| {
        let list = lists.get(&(name.to_owned(), lang.to_owned()));
        list.is_none_or(|list| !list.is_shared)
    };
    let is_taken = |(name, lang): &(String, String), list: &MainsList| {
        let others = config.codes().filter(|other| other != lang && has_own_place(name, other));
        others.filter_map(|other| own_list_path(config, name, other)).any(|own| own == list.path)
    };
    let settled = lists.iter().map(|(of, list)| {
        let is_shared = list.is_shared && !is_taken(of, list);
        (of.clone(), MainsList { path: list.path.clone(), is_shared })
    });
    settled.collect()
}

/// Those of the `inherited` pages that list the terms of one of these taxonomies, each with it. What stands in a derived
/// page is the page of a term.
fn lists_among<'a>(
    taxonomies: &'a [Taxonomy],
    inherited: &'a [IndexedPage],
) -> impl Iterator<Item = (&'a Taxonomy, &'a IndexedPage)> {
    let derived = || inherited.iter().filter(|page| page.is_derived);
    let paths: BTreeSet<&SitePath> = derived().map(|page| &page.path).collect();
    let lists = derived().filter(move |page| page.section.as_ref().is_none_or(|section| !paths.contains(section)));
    lists.filter_map(|page| {
        let is_its_list = |taxonomy: &&Taxonomy| {
            let name = &taxonomy.name;
            [format!("/{name}/"), format!("/{}/{name}/", page.lang)].iter().any(|path| path == page.path.as_str())
        };
        taxonomies.iter().find(is_its_list).map(|taxonomy| (taxonomy, page))
    })
}

/// Where the page of the term with this slug stands, below the list of its taxonomy's terms.
pub(crate) fn term_path(list: &SitePath, slug: &str) -> Option<SitePath> {
    format!("{list}{slug}/").parse().ok()
}

/// The pages of the terms that a page has: those that it is listed on, and main's of the same terms.
pub(crate) fn terms_of(config: &SiteConfig, page: &Page) -> Vec<SitePath> {
    let lang = &page.entry.lang;
    let lists = |name: &str| {
        let mains = mains_list(config, name, lang).filter(|list| !list.is_shared).map(|list| list.path.clone());
        list_path(config, name, lang).into_iter().chain(mains)
    };
    let lists = page.terms.iter().flat_map(|(name, terms)| lists(name).map(move |list| (list, terms)));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A partner in Japanese and English, whose pages are grouped by topics.
    fn config() -> SiteConfig {
        let folder = tempfile::tempdir().unwrap();
        let yaml = "title: a\nbase_url: https://a.example/\nlanguage: ja\nlanguages: [{code: en, name: English}]\n\
            taxonomies: [{name: topics}]\n";
        std::fs::write(folder.path().join("site.yaml"), yaml).unwrap();
        SiteConfig::load_partner(folder.path()).unwrap()
    }

    fn derived_page(path: &str, lang: &str, section: &str) -> IndexedPage {
        let section = Some(section.parse().unwrap());
        let page = IndexedPage::new(path.parse().unwrap(), "Topics".to_owned(), lang.to_owned());
        IndexedPage { is_derived: true, section, ..page }
    }

    /// Where the lists of English and of Japanese topics stand where main has these and the partner owns those.
    fn lists(mains: &[IndexedPage], partners: &[&str]) -> [String; 2] {
        let partners = partners.iter().map(|path| format!(", \"{path}**\": \"partner\""));
        let mounts = format!("{{\"/\": \"main\"{}}}", partners.collect::<String>());
        let mut config = config();
        config.mains_lists = mains_lists(&config, mains, Some(&serde_json::from_str(&mounts).unwrap()));
        ["en", "ja"].map(|lang| list_path(&config, "topics", lang).unwrap().to_string())
    }

    #[test]
    fn lists_stand_where_main_has_them_but_for_places_that_are_the_partners() {
        let mains = [derived_page("/topics/", "en", "/"), derived_page("/ja/topics/", "ja", "/ja/")];
        assert_eq!(lists(&[], &[]), ["/en/topics/", "/topics/"]);
        assert_eq!(lists(&mains, &[]), ["/topics/", "/ja/topics/"]);
        assert_eq!(lists(&mains, &["/en/"]), ["/en/topics/", "/ja/topics/"]);
        assert_eq!(lists(&mains, &["/en/topics/lamps/"]), ["/topics/", "/ja/topics/"], "the list is main's");
        assert_eq!(lists(&mains[1..], &["/topics/"]), ["/en/topics/", "/topics/"]);
    }

    #[test]
    fn no_two_languages_have_their_list_at_one_path() {
        let mains = [derived_page("/topics/", "en", "/"), derived_page("/ja/topics/", "ja", "/ja/")];
        assert_eq!(lists(&mains[..1], &[]), ["/en/topics/", "/topics/"], "main has English alone");
        assert_eq!(lists(&mains, &["/topics/"]), ["/en/topics/", "/topics/"], "Japanese stays, and English with it");
    }

    #[test]
    fn the_page_of_a_term_is_no_list() {
        let term = [derived_page("/en/", "en", "/"), derived_page("/en/topics/", "en", "/en/")];
        assert_eq!(lists_among(&config().taxonomies, &term).count(), 0, "it is main's page on topics among its en");
    }
}
