//! Menus: pages that ask to stand in one, and the links that `site.yaml` adds; and how main's travel with a release, so that
//! they stand on a partner's own pages as well.
//!
//! Templates write them as they like. A partner's menu that is called like a slot is written here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

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

/// `own` menus with the lines of main's in them. A line that leads where one of the same menu's own leads is left out.
pub(crate) fn joined(mut own: SiteMenus, mains: &SiteMenus) -> SiteMenus {
    for (name, links) in mains {
        let menu = own.entry(name.clone()).or_default();
        let is_new = |link: &&MenuLink| !menu.iter().any(|other| other.leads_like(link));
        let links: Vec<MenuLink> = links.iter().filter(is_new).cloned().collect();
        menu.extend(links);
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
    let mut lines: Vec<_> = all.filter(|link| link.lang.as_deref().is_none_or(|only| only == lang)).collect();
    lines.sort_by_key(|link| (link.weight, &link.title, &link.path));
    lines
}

/// The file by which a release carries main's menus; none where there are none.
pub(crate) fn to_file(menus: &SiteMenus) -> Option<(SourcePath, Vec<u8>)> {
    if menus.is_empty() {
        return None;
    }
    let path = FILE.parse().expect("a constant path that a test holds");
    Some((path, serde_json::to_vec(menus).expect("texts and numbers are JSON")))
}

/// The menus that the files of a release carry, scrubbed as the partner's own are; none where this version cannot read
/// them.
pub(crate) fn from_files(files: &BTreeMap<SourcePath, Vec<u8>>) -> SiteMenus {
    let file = files.iter().find(|(path, _)| path.as_str() == FILE);
    let mut menus: SiteMenus = file.and_then(|(_, bytes)| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    menus.values_mut().flatten().for_each(|link| scrub_text(&mut link.title));
    menus
}

/// The paths that links of menus lead to, each with the text that names it.
pub(crate) fn paths(config: &SiteConfig) -> impl Iterator<Item = (&str, SitePath)> {
    let links = config.menus.values().flatten();
    links.filter_map(|link| Some((link.path.as_deref()?, link.path.as_deref()?.parse().ok()?)))
}

impl MenuLink {
    fn leads_like(&self, other: &Self) -> bool {
        let language = self.lang.is_none() || other.lang.is_none() || self.lang == other.lang;
        language && (&self.path, &self.url) == (&other.path, &other.url)
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
        assert_eq!(from_files(&to_file(&told).into_iter().collect()), told);
        assert_eq!(to_file(&SiteMenus::new()), None);
        let unknown = BTreeMap::from([(FILE.parse().unwrap(), br#"{"nav": [{"icon": "x"}]}"#.to_vec())]);
        assert_eq!(from_files(&unknown), SiteMenus::new(), "a version from later says more");
    }

    #[test]
    fn a_line_of_mains_that_leads_where_an_own_one_does_is_left_out() {
        let own = menus(vec![link("Ours", "/a/", Some("en"))]);
        let mains = menus(vec![link("A", "/a/", None), link("家", "/a/", Some("ja")), link("B", "/b/", Some("en"))]);
        let joined = joined(own, &mains);
        assert_eq!(lines(&joined, "nav", "en"), [&link("B", "/b/", Some("en")), &link("Ours", "/a/", Some("en"))]);
        assert_eq!(lines(&joined, "nav", "ja"), [&link("家", "/a/", Some("ja"))]);
    }
}
