//! Menus: pages that ask to stand in one, and the links that `site.yaml` adds.
//!
//! Templates write them as they like. A partner's menu that is called like a slot is written here.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tera::{Map, Value};
use tieup_protocol::path::SitePath;

use crate::config::SiteConfig;
use crate::page::Page;
use crate::url;
use crate::xml::escape;

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
    let menus = items(config, pages, lang)
        .into_iter()
        .map(|(name, items)| (name.to_owned().into(), Value::from(items.iter().map(Item::value).collect::<Vec<_>>())));
    Value::from(menus.collect::<Map>())
}

/// The menu `name` in the language of the site, as a list of links; none where nothing stands in it.
pub(crate) fn list(config: &SiteConfig, pages: &[Arc<Page>], name: &str) -> Option<String> {
    let menus = items(config, pages, &config.language);
    let items = menus.get(name).filter(|items| !items.is_empty())?;
    let lines: String = items.iter().map(Item::line).collect();
    Some(format!("<ul>\n{lines}</ul>\n"))
}

/// What stands in each menu in the language `lang`, in order of weight, then title.
fn items<'a>(config: &'a SiteConfig, pages: &'a [Arc<Page>], lang: &str) -> BTreeMap<&'a str, Vec<Item<'a>>> {
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
    for items in menus.values_mut() {
        items.sort_by_key(|item| (item.weight, item.title, item.path));
    }
    menus
}

/// The paths that links of menus lead to, each with the text that names it.
pub(crate) fn paths(config: &SiteConfig) -> impl Iterator<Item = (&str, SitePath)> {
    let links = config.menus.values().flatten();
    links.filter_map(|link| Some((link.path.as_deref()?, link.path.as_deref()?.parse().ok()?)))
}

impl Item<'_> {
    /// As a line of a list.
    fn line(&self) -> String {
        let path = self.path.map(|path| path.parse().map_or_else(|_| path.to_owned(), |path| url::encode(&path)));
        let to = path.as_deref().or(self.url).unwrap_or_default();
        format!("<li><a href=\"{}\">{}</a></li>\n", escape(to), escape(self.title))
    }

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
