//! JSON Feed 1.1 (jsonfeed.org): the same entries as the other feeds, as JSON.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::config::SiteConfig;
use crate::discovery;
use crate::feed::{self, Filled};
use crate::view::Node;

/// The feed at `own` of what `node` lists, `entries`; `filled` are the texts into which components wrote.
pub(crate) fn json_feed(config: &SiteConfig, node: &Node, entries: &[&Node], own: &str, filled: &Filled) -> String {
    let mut feed = Map::new();
    feed.insert("version".into(), json!("https://jsonfeed.org/version/1.1"));
    feed.insert("title".into(), json!(feed::title(config, node)));
    feed.insert("home_page_url".into(), json!(config.permalink(&node.entry().path)));
    feed.insert("feed_url".into(), json!(own));
    feed.extend(node.entry().description.as_ref().map(|text| ("description".to_owned(), json!(text))));
    feed.insert("language".into(), json!(node.entry().lang));
    feed.insert("authors".into(), json!([{"name": config.title, "url": config.base_url}]));
    feed.insert("items".into(), entries.iter().map(|entry| item(config, entry, filled)).collect());
    format!("{:#}\n", Value::Object(feed))
}

fn item(config: &SiteConfig, node: &Node, filled: &Filled) -> Value {
    let entry = node.entry();
    let address = config.permalink(&entry.path);
    let mut item = Map::new();
    item.insert("id".into(), json!(address));
    item.insert("url".into(), json!(address));
    item.insert("title".into(), json!(entry.title));
    let content = node.own().map(|page| feed::content(config, page, filled)).filter(|html| !html.is_empty());
    match content {
        Some(html) => item.insert("content_html".into(), json!(html)),
        // An item has content of one kind or the other.
        None => item.insert("content_text".into(), json!(entry.description.as_deref().unwrap_or(&entry.title))),
    };
    item.extend(entry.description.as_ref().map(|text| ("summary".to_owned(), json!(text))));
    let in_text = node.own().map(|page| page.text.facts.pictures.clone()).unwrap_or_default();
    let picture = discovery::pictures(&config.base_url, entry, &in_text).into_iter().next();
    item.extend(picture.map(|address| ("image".to_owned(), json!(address))));
    item.extend(entry.date.map(|day| ("date_published".to_owned(), json!(instant(day)))));
    let updated = entry.updated.filter(|updated| Some(*updated) > entry.date);
    item.extend(updated.map(|day| ("date_modified".to_owned(), json!(instant(day)))));
    let tags: Vec<&String> = node.own().into_iter().flat_map(|page| page.terms.values().flatten()).collect();
    if !tags.is_empty() {
        item.insert("tags".into(), json!(tags));
    }
    item.insert("language".into(), json!(entry.lang));
    Value::Object(item)
}

/// The beginning of a day as RFC 3339 writes it.
pub(crate) fn instant(day: Date) -> String {
    format!("{day}T00:00:00Z")
}
