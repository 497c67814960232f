//! Menus: pages that ask to stand in one, and the links that `site.yaml` adds; and how main's travel with a release, and
//! those of further main sites under the same address beside it, so that they stand on a partner's own pages as well.
//!
//! Templates write them as they like. A partner's menu that is called like a slot is written here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tera::{Map, Value};
use tieup_protocol::path::{SitePath, SourcePath};

use crate::config::{MenuLink, SiteConfig};
use crate::page::Page;
use crate::source::scrub_text;
use crate::url;
use crate::xml::escape;

/// The file of a framework that has the main site's menus.
const FILE: &str = "menus.json";

/// What stands in each menu, by its name, in no order.
pub(crate) type SiteMenus = BTreeMap<String, Vec<MenuLink>>;

/// The menus of a site as one that stands beside it under the same address is told of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Menus(pub(crate) SiteMenus);

impl Menus {
    /// What a site tells of: its `own` lines, and main's after them. Each is for the languages that it was written for, of
    /// which the site that is told may have others than this one.
    pub(crate) fn told(own: &SiteMenus, mains: &SiteMenus) -> Self {
        Self(both(own, mains))
    }

    /// As JSON, in their order: of two lines that lead to the same place the first counts.
    pub fn to_json(&self) -> Vec<u8> {
        to_json(self.0.iter().map(|(name, links)| (name, links.iter().map(CarriedLink::of).collect())))
    }

    /// Reads what [`Menus::to_json`] wrote.
    ///
    /// # Errors
    /// When this version cannot read it.
    pub fn from_json(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        from_json(bytes).map(Self)
    }

    /// Adds those lines of `others` that lead to paths of which `is_served` holds.
    pub fn add(&mut self, mut others: Self, is_served: &dyn Fn(&SitePath) -> bool) {
        let leads_there = |link: &MenuLink| {
            let path = link.path.as_ref().and_then(|path| path.parse().ok());
            path.is_some_and(|path| is_served(&path))
        };
        others.0.retain(|_, links| {
            links.retain(leads_there);
            !links.is_empty()
        });
        self.0 = both(&self.0, &others.0);
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The menus of a site: the links that it adds, and one for each place that one of `pages` asks for.
pub(crate) fn of_site<'a>(config: &SiteConfig, pages: impl IntoIterator<Item = &'a Arc<Page>>) -> SiteMenus {
    let mut menus = config.menus.clone();
    for page in pages {
        for (name, place) in &page.menus.0 {
            let link = MenuLink {
                title: place.title.as_ref().unwrap_or(&page.entry.title).clone(),
                path: Some(page.entry.path.to_string()),
                url: None,
                weight: place.weight.unwrap_or(page.entry.weight),
                lang: Some(page.entry.lang.clone()),
            };
            menus.entry(name.clone()).or_default().push(link);
        }
    }
    menus
}

/// The lines of both sites in each menu.
pub(crate) fn both(one: &SiteMenus, other: &SiteMenus) -> SiteMenus {
    let mut both = one.clone();
    for (name, links) in other {
        both.entry(name.clone()).or_default().extend(links.iter().cloned());
    }
    both
}

/// `own` menus with the lines of main's in them, in each language of `config`. A line that leads where another of the same
/// menu leads in a language is left out in that language: main's lines may be those of several mains.
pub(crate) fn joined(config: &SiteConfig, mut own: SiteMenus, mains: &SiteMenus) -> SiteMenus {
    let codes: Vec<&str> = config.codes().collect();
    for (name, links) in mains {
        let menu = own.entry(name.clone()).or_default();
        for (link, lang) in links.iter().flat_map(|link| codes.iter().map(move |lang| (link, *lang))) {
            let is_there = |other: &MenuLink| other.is_in(lang) && (&other.path, &other.url) == (&link.path, &link.url);
            if link.is_in(lang) && !menu.iter().any(is_there) {
                menu.push(MenuLink { lang: Some(lang.to_owned()), ..link.clone() });
            }
        }
    }
    own
}

/// Every menu by language, as templates see it: lists of `{title, path, url, weight}` in order of weight, then title.
pub(crate) fn values(config: &SiteConfig, menus: &SiteMenus) -> HashMap<String, Value> {
    let in_language = |lang: &str| {
        let lists = menus.keys().map(|name| {
            let lines: Vec<Value> = lines(menus, name, lang).into_iter().map(value).collect();
            (name.clone().into(), Value::from(lines))
        });
        Value::from(lists.collect::<Map>())
    };
    config.codes().map(|lang| (lang.to_owned(), in_language(lang))).collect()
}

/// The menu `name` in the language of the site, as a list of links.
pub(crate) fn list(config: &SiteConfig, menus: &SiteMenus, name: &str) -> String {
    let lines: String = lines(menus, name, &config.language).into_iter().map(line).collect();
    format!("<ul>\n{lines}</ul>\n")
}

/// Whether anything stands in the menu `name` in the language of the site.
pub(crate) fn has(config: &SiteConfig, menus: &SiteMenus, name: &str) -> bool {
    !lines(menus, name, &config.language).is_empty()
}

/// What stands in the menu `name` in the language `lang`, in order of weight, then title.
fn lines<'a>(menus: &'a SiteMenus, name: &str, lang: &str) -> Vec<&'a MenuLink> {
    let all = menus.get(name).into_iter().flatten();
    let mut lines: Vec<_> = all.filter(|link| link.is_in(lang)).collect();
    lines.sort_by_key(|link| (link.weight, &link.title, &link.path));
    lines
}

/// The file by which a release carries main's menus, the same for the same menus; none where there are none.
pub(crate) fn to_file(menus: &SiteMenus) -> Option<(SourcePath, Vec<u8>)> {
    if menus.is_empty() {
        return None;
    }
    let path = FILE.parse().expect("a constant path that a test holds");
    let sorted = menus.iter().map(|(name, links)| {
        let mut lines: Vec<CarriedLink> = links.iter().map(CarriedLink::of).collect();
        lines.sort();
        (name, lines)
    });
    Some((path, to_json(sorted)))
}

fn to_json<'a>(menus: impl Iterator<Item = (&'a String, Vec<CarriedLink>)>) -> Vec<u8> {
    let carried: BTreeMap<_, _> = menus.collect();
    serde_json::to_vec(&carried).expect("texts and numbers are JSON")
}

/// The menus that the files of a release carry, scrubbed as the partner's own are; none where they carry none. Lines that
/// lead nowhere on a site are left out.
///
/// # Errors
/// When what they carry is not read by this version.
pub(crate) fn from_files(files: &BTreeMap<SourcePath, Vec<u8>>) -> Result<SiteMenus, serde_json::Error> {
    let file = files.iter().find(|(path, _)| path.as_str() == FILE);
    file.map_or_else(|| Ok(SiteMenus::new()), |(_, bytes)| from_json(bytes))
}

fn from_json(bytes: &[u8]) -> Result<SiteMenus, serde_json::Error> {
    let carried: BTreeMap<String, Vec<CarriedLink>> = serde_json::from_slice(bytes)?;
    let menus = carried.into_iter().map(|(mut name, lines)| {
        scrub_text(&mut name);
        (name, lines.into_iter().filter_map(CarriedLink::into_link).collect())
    });
    Ok(menus.collect())
}

/// The paths that links of menus lead to, each with the text that names it.
pub(crate) fn paths(config: &SiteConfig) -> impl Iterator<Item = (&str, SitePath)> {
    let links = config.menus.values().flatten();
    links.filter_map(|link| Some((link.path.as_deref()?, link.path.as_deref()?.parse().ok()?)))
}

impl MenuLink {
    /// Whether it stands in menus in the language `lang`.
    fn is_in(&self, lang: &str) -> bool {
        self.lang.as_deref().is_none_or(|only| only == lang)
    }
}

/// A menu's link as a release carries it. What a later version says beyond this is passed over.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct CarriedLink {
    #[serde(default)]
    weight: i64,
    title: String,
    path: Option<String>,
    url: Option<String>,
    lang: Option<String>,
}

impl CarriedLink {
    fn of(link: &MenuLink) -> Self {
        let MenuLink { title, path, url, weight, lang } = link.clone();
        Self { weight, title, path, url, lang }
    }

    /// The link, scrubbed; none where `site.yaml` could not say it either.
    fn into_link(self) -> Option<MenuLink> {
        let Self { weight, mut title, path, mut url, mut lang } = self;
        [Some(&mut title), url.as_mut(), lang.as_mut()].into_iter().flatten().for_each(scrub_text);
        let path = path.map(|path| path.parse::<SitePath>()).transpose().ok()?;
        let path = path.map(|path| path.to_string());
        (path.is_some() != url.is_some()).then_some(MenuLink { title, path, url, weight, lang })
    }
}

/// As a line of a list.
fn line(link: &MenuLink) -> String {
    let encoded = |path: &str| path.parse().map_or_else(|_| path.to_owned(), |path| url::encode(&path));
    let path = link.path.as_deref().map(encoded);
    let to = path.as_deref().or(link.url.as_deref()).unwrap_or_default();
    format!("<li><a href=\"{}\">{}</a></li>\n", escape(to), escape(&link.title))
}

/// As a template sees it.
fn value(link: &MenuLink) -> Value {
    let text = |text: Option<&str>| text.map_or_else(Value::none, Value::from);
    let mut map = Map::new();
    map.insert("title".into(), Value::from(link.title.as_str()));
    map.insert("path".into(), text(link.path.as_deref()));
    map.insert("url".into(), text(link.url.as_deref()));
    map.insert("weight".into(), Value::from(link.weight));
    Value::from(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(title: &str, path: &str, lang: Option<&str>) -> MenuLink {
        let (title, path, lang) = (title.to_owned(), Some(path.to_owned()), lang.map(str::to_owned));
        MenuLink { title, path, url: None, weight: 0, lang }
    }

    fn menus(links: Vec<MenuLink>) -> SiteMenus {
        SiteMenus::from([("nav".to_owned(), links)])
    }

    #[test]
    fn a_release_carries_menus_and_nothing_where_there_are_none() {
        let told = menus(vec![link("About", "/about/", Some("en")), link("店", "/ja/", None)]);
        assert_eq!(from_files(&to_file(&told).into_iter().collect()).unwrap(), told);
        assert_eq!(to_file(&SiteMenus::new()), None);
        assert_eq!(from_files(&BTreeMap::new()).unwrap(), SiteMenus::new());
        let turned = menus(vec![link("店", "/ja/", None), link("About", "/about/", Some("en"))]);
        assert_eq!(to_file(&turned), to_file(&told), "no order of theirs is told");
    }

    fn carried(json: &str) -> Result<SiteMenus, serde_json::Error> {
        from_files(&BTreeMap::from([(FILE.parse().unwrap(), json.as_bytes().to_vec())]))
    }

    #[test]
    fn what_a_later_version_says_of_a_line_is_passed_over() {
        let later = carried(r#"{"nav": [{"icon": "x", "title": "A", "path": "/a/"}]}"#).unwrap();
        assert_eq!(later, menus(vec![link("A", "/a/", None)]));
        assert!(carried(r#"{"nav": [{"icon": "x"}]}"#).is_err(), "it is to be told");
    }

    #[test]
    fn what_a_hostile_release_carries_is_scrubbed_and_leads_somewhere() {
        let lines = r#"[{"title": "A\u0001", "url": "https://a.example/\u0001", "lang": "e\u0001n"},
            {"title": "B", "path": "//evil.example/"}, {"title": "C", "path": "/c/\u0001"}, {"title": "D"},
            {"title": "E", "path": "/e/", "url": "https://e.example/"}]"#;
        let url = Some("https://a.example/".to_owned());
        let whole = MenuLink { path: None, url, ..link("A", "", Some("en")) };
        assert_eq!(carried(&format!("{{\"na\\u0001v\": {lines}}}")).unwrap(), menus(vec![whole]));
    }

    #[test]
    fn of_the_menus_of_a_site_beside_those_lines_are_taken_that_lead_to_what_is_served() {
        let address = MenuLink { path: None, url: Some("https://a.example/".to_owned()), ..link("Address", "", None) };
        let told = Menus(menus(vec![link("A", "/a/", None), link("B", "/b/", None), address]));
        let told = Menus::from_json(&told.to_json()).unwrap();
        let mut joined = Menus(menus(vec![link("C", "/c/", None)]));
        joined.add(told.clone(), &|path| path.as_str() == "/a/");
        assert_eq!(joined, Menus(menus(vec![link("C", "/c/", None), link("A", "/a/", None)])));
        let mut none = Menus::default();
        none.add(told, &|_| false);
        assert!(none.is_empty(), "{none:?}");
    }

    /// The settings of a partner in English and Japanese.
    fn config() -> SiteConfig {
        let yaml = "title: a\nbase_url: https://a.example/\nlanguages: [{code: ja, name: 日本語}]\n";
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("site.yaml"), yaml).unwrap();
        SiteConfig::load_partner(folder.path()).unwrap()
    }

    fn titles<'a>(menus: &'a SiteMenus, lang: &str) -> Vec<&'a str> {
        lines(menus, "nav", lang).into_iter().map(|link| &*link.title).collect()
    }

    #[test]
    fn what_is_told_of_menus_stands_in_each_language_of_who_is_told_the_own_lines_first() {
        let own = menus(vec![link("Ours", "/a/", Some("en"))]);
        let mains = menus(vec![link("A", "/a/", None), link("B", "/b/", None), link("家", "/h/", Some("ja"))]);
        let told = Menus::from_json(&Menus::told(&own, &mains).to_json()).unwrap();
        let joined = joined(&config(), SiteMenus::new(), &told.0);
        assert_eq!(titles(&joined, "en"), ["B", "Ours"]);
        assert_eq!(titles(&joined, "ja"), ["A", "B", "家"]);
    }

    #[test]
    fn a_line_of_mains_that_leads_where_an_own_one_does_is_left_out_in_that_language() {
        let own = menus(vec![link("Ours", "/a/", Some("en"))]);
        let mains = menus(vec![link("A", "/a/", None), link("家", "/h/", Some("ja")), link("B", "/b/", Some("en"))]);
        // Of two mains both may have a line that leads there.
        let mains = both(&mains, &menus(vec![link("B of another", "/b/", None)]));
        let joined = joined(&config(), own, &mains);
        assert_eq!(titles(&joined, "en"), ["B", "Ours"]);
        assert_eq!(titles(&joined, "ja"), ["A", "B of another", "家"]);
    }
}
