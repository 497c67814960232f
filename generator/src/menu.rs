//! Menus: pages that ask to stand in one, and the links that `site.yaml` adds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tera::{Map, Value};
use tieup_protocol::path::SitePath;

use crate::config::SiteConfig;
use crate::page::Page;

/// One line of a menu.
struct Item<'a> {
    weight: i64,
    title: &'a str,
    /// A path of the site, or an address outside it.
    path: Option<&'a str>,
    url: Option<&'a str>,
}

/// Every menu, by language: lists of `{title, path, url, weight}` in order of weight, then title.
pub(crate) fn all(config: &SiteConfig, pages: &[Arc<Page>]) -> HashMap<String, Value> {
    config.codes().map(|lang| (lang.to_owned(), in_language(config, pages, lang))).collect()
}

fn in_language(config: &SiteConfig, pages: &[Arc<Page>], lang: &str) -> Value {
    let mut menus: BTreeMap<&str, Vec<Item<'_>>> = BTreeMap::new();
    for (name, links) in &config.menus {
        let links = links.iter().filter(|link| link.lang.as_deref().is_none_or(|only| only == lang));
        let items = links.map(|link| Item {
            weight: link.weight,
            title: &link.title,
            path: link.path.as_deref(),
            url: link.url.as_deref(),
        });
        menus.entry(name).or_default().extend(items);
    }
    for page in pages {
        for (name, place) in &page.menus.0 {
            let menu = menus.entry(name).or_default();
            if page.entry.lang == lang {
                menu.push(Item {
                    weight: place.weight.unwrap_or(page.entry.weight),
                    title: place.title.as_deref().unwrap_or(&page.entry.title),
                    path: Some(page.entry.path.as_str()),
                    url: None,
                });
            }
        }
    }
    let menus = menus.into_iter().map(|(name, mut items)| {
        items.sort_by_key(|item| (item.weight, item.title, item.path));
        (name.to_owned().into(), Value::from(items.iter().map(Item::value).collect::<Vec<_>>()))
    });
    Value::from(menus.collect::<Map>())
}

/// The paths that links of menus lead to, each with the text that names it.
pub(crate) fn paths(config: &SiteConfig) -> impl Iterator<Item = (&str, SitePath)> {
    let links = config.menus.values().flatten();
    links.filter_map(|link| Some((link.path.as_deref()?, link.path.as_deref()?.parse().ok()?)))
}

impl Item<'_> {
    fn value(&self) -> Value {
        let text = |text: Option<&str>| text.map_or_else(Value::none, Value::from);
        let mut map = Map::new();
        map.insert("title".into(), Value::from(self.title));
        map.insert("path".into(), text(self.path));
        map.insert("url".into(), text(self.url));
        map.insert("weight".into(), Value::from(self.weight));
        Value::from(map)
    }
}
