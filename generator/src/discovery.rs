//! What search engines are told of a page: its pictures, and the same page in other languages.

use serde_json::Value;
use tieup_protocol::contract::Indexing;
use tieup_protocol::index::{Alternate, Discovery, IndexedPage};
use tieup_protocol::path::SitePath;

use crate::markdown::{Body, LinkKind, Target};
use crate::url;
use crate::view::View;

/// The language tag that stands for readers of none of a site's languages.
pub(crate) const X_DEFAULT: &str = "x-default";

/// Page `at` as it stands in the index.
pub(crate) fn indexed(view: &View, at: usize) -> IndexedPage {
    let section = view.parent(at).map(|parent| view.entry(parent).path.clone());
    IndexedPage { section, discovery: told(view, at), ..view.entry(at).clone() }
}

/// What search engines are told of page `at`.
pub(crate) fn told(view: &View, at: usize) -> Discovery {
    let pictures = view.node(at).own().map(|page| page.text.facts.pictures.clone()).unwrap_or_default();
    Discovery { noindex: is_hidden(view, at), pictures, alternates: alternates(view, at) }
}

/// Whether page `at` asks search engines to leave it out: by itself, or since the contract says so of every copy.
pub(crate) fn is_hidden(view: &View, at: usize) -> bool {
    view.entry(at).discovery.noindex || view.indexing() == Indexing::Noindex
}

/// Page `at` in each of its languages, its own first, and which of them is for everybody else.
///
/// Empty where there is one language alone.
pub(crate) fn alternates(view: &View, at: usize) -> Vec<Alternate> {
    let others: Vec<usize> = view.translated(at).collect();
    if others.is_empty() {
        return Vec::new();
    }
    let entries = || std::iter::once(at).chain(others.iter().copied()).map(|at| view.entry(at));
    let alternate = |lang: &str, entry: &IndexedPage| Alternate { lang: lang.to_owned(), path: entry.path.clone() };
    let mut alternates: Vec<Alternate> = entries().map(|entry| alternate(&entry.lang, entry)).collect();
    let default = entries().find(|entry| entry.lang == view.config().language);
    alternates.extend(default.map(|entry| alternate(X_DEFAULT, entry)));
    alternates
}

/// The absolute addresses of a page's pictures, each once: those that its `extra` or its record names `picture`, the
/// outermost first, then those of its text.
pub(crate) fn pictures(base_url: &str, entry: &IndexedPage, in_text: &[SitePath]) -> Vec<String> {
    let mut named = Vec::new();
    collect(&entry.extra, &mut named);
    collect(&entry.data, &mut named);
    let named = named.into_iter().filter_map(|written| address(base_url, written));
    let mut pictures: Vec<String> = Vec::new();
    for picture in named.chain(in_text.iter().map(|path| url::absolute(base_url, path))) {
        if !pictures.contains(&picture) {
            pictures.push(picture);
        }
    }
    pictures
}

/// The absolute address of what is `written` as a path from the site's root or as an address; none for anything else.
pub(crate) fn address(base_url: &str, written: &str) -> Option<String> {
    if written.starts_with("https://") || written.starts_with("http://") {
        return Some(written.to_owned());
    }
    let path = written.starts_with('/').then(|| SitePath::from_request(written).ok())??;
    Some(url::absolute(base_url, &path))
}

/// The pictures of a text that stay on the site, each once.
pub(crate) fn in_text(body: &Body) -> Vec<SitePath> {
    let mut pictures: Vec<SitePath> = Vec::new();
    for link in body.links.iter().filter(|link| link.kind == LinkKind::Picture) {
        if let Target::Path { path, .. } = &link.target
            && !pictures.contains(path)
        {
            pictures.push(path.clone());
        }
    }
    pictures
}

/// Every text under a key `picture`, a level's own before those below it.
fn collect<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("picture").and_then(Value::as_str));
            map.values().for_each(|value| collect(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}
