//! The feeds of a site, a section or a term: Atom (RFC 4287) and RSS 2.0; JSON Feed has a file of its own.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use jiff::civil::Date;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use crate::config::{FeedKind, SiteConfig};
use crate::json_feed::json_feed;
use crate::page::Page;
use crate::url;
use crate::view::{Node, View};
use crate::xml::escape;

/// Texts of pages into which components of the theme wrote, by path.
pub(crate) type Filled = BTreeMap<SitePath, String>;

/// The most entries a feed has, where `site.yaml` does not say.
pub(crate) const MAX_ENTRIES: usize = 50;

impl FeedKind {
    /// Every format.
    pub(crate) const ALL: [Self; 3] = [Self::Atom, Self::Rss, Self::Json];

    /// Its media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Atom => "application/atom+xml",
            Self::Rss => "application/rss+xml",
            Self::Json => "application/feed+json",
        }
    }
}

/// Where a feed of what stands at `page` stands; none where that path would be too long.
pub(crate) fn path(page: &SitePath, kind: FeedKind) -> Option<SitePath> {
    let name = match kind {
        FeedKind::Atom => "atom.xml",
        FeedKind::Rss => "rss.xml",
        FeedKind::Json => "feed.json",
    };
    format!("{}{name}", page.with_slash()).parse().ok()
}

/// The absolute address of a node's feed, which stands where it does.
fn address(config: &SiteConfig, node: &Node, kind: FeedKind) -> String {
    path(&node.entry().path, kind).map(|path| config.permalink(&path)).unwrap_or_default()
}

/// The feed of what node `at` lists, newest first. Pages without a date have no place in it.
///
/// `filled` are the texts into which components of the theme wrote.
///
/// Its time is the newest date of an entry, never the time of the build, so that equal content makes equal bytes.
pub(crate) fn feed(view: &View, at: usize, kind: FeedKind, filled: &Filled) -> Vec<u8> {
    let newest = view.newest(at, limit(view.config()));
    let (node, entries) = (view.node(at), newest.into_iter().map(|at| view.node(at)).collect::<Vec<_>>());
    let written = match kind {
        FeedKind::Atom => atom(view.config(), node, &entries, filled),
        FeedKind::Rss => rss(view.config(), node, &entries, filled),
        FeedKind::Json => json(view.config(), node, &entries, filled),
    };
    written.into_bytes()
}

/// The most entries that a feed has.
pub(crate) fn limit(config: &SiteConfig) -> usize {
    config.feeds.limit.map_or(MAX_ENTRIES, NonZeroUsize::get)
}

/// What a feed is called: the site's title, with the section's in front where it is of a section.
pub(crate) fn title(config: &SiteConfig, node: &Node) -> String {
    if config.home(&node.entry().lang) == node.entry().path {
        return config.title.clone();
    }
    format!("{} | {}", node.entry().title, config.title)
}

/// The text of a page as a feed carries it: read far from the site, its addresses are whole.
pub(crate) fn content(config: &SiteConfig, page: &Page, filled: &Filled) -> String {
    let body = page.text.body();
    let html = filled.get(&page.entry.path).unwrap_or(&body.html);
    let base = config.base_url.trim_end_matches('/');
    let mut whole = String::with_capacity(html.len());
    let mut done = 0;
    for (at, _) in html.match_indices("=\"/") {
        let value = at + "=\"".len();
        if value < done || !in_tag(&html[..at]) {
            continue;
        }
        whole.push_str(&html[done..value]);
        done = value;
        if [" href", " src", " poster"].iter().any(|name| html[..at].ends_with(name)) {
            whole.push_str(prefix(&html[value..], base));
        } else if html[..at].ends_with(" srcset") {
            let end = html[value..].find('"').map_or(html.len(), |length| value + length);
            let candidates = html[value..end].split(',').map(str::trim);
            let candidates = candidates.map(|candidate| format!("{}{candidate}", prefix(candidate, base)));
            whole.push_str(&candidates.collect::<Vec<_>>().join(", "));
            done = end;
        }
    }
    whole.push_str(&html[done..]);
    whole
}

/// What stands before an address to make it whole: `base`, where it begins at the site's root.
fn prefix<'a>(address: &str, base: &'a str) -> &'a str {
    if address.starts_with('/') && !address.starts_with("//") { base } else { "" }
}

/// Whether what follows `html` stands inside a tag. Text never holds a bare `<`.
fn in_tag(html: &str) -> bool {
    html.rfind(['<', '>']).is_some_and(|last| html[last..].starts_with('<'))
}

fn json(config: &SiteConfig, node: &Node, entries: &[&Node], filled: &Filled) -> String {
    let own = address(config, node, FeedKind::Json);
    json_feed(config, node, entries, &own, filled)
}

fn rss(config: &SiteConfig, node: &Node, entries: &[&Node], filled: &Filled) -> String {
    let own = escape(&address(config, node, FeedKind::Rss));
    let description = node.entry().description.as_deref().unwrap_or(&config.title);
    let mut feed = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\"><channel>\n\
         <title>{title}</title>\n<link>{page}</link>\n<description>{description}</description>\n\
         <language>{lang}</language>\n<atom:link rel=\"self\" type=\"application/rss+xml\" href=\"{own}\"/>\n",
        title = escape(&title(config, node)),
        page = escape(&config.permalink(&node.entry().path)),
        description = escape(description),
        lang = escape(&node.entry().lang),
    );
    for node in entries {
        let content = node.own().map(|page| content(config, page, filled));
        let content = content.or_else(|| node.entry().description.clone()).unwrap_or_default();
        feed.push_str(&rss_item(node.entry(), &config.base_url, &content));
    }
    feed.push_str("</channel></rss>\n");
    feed
}

fn atom(config: &SiteConfig, node: &Node, entries: &[&Node], filled: &Filled) -> String {
    let newest = entries.iter().filter_map(|node| node.entry().updated.max(node.entry().date)).max();
    let newest = newest.map_or_else(|| "1970-01-01".to_owned(), |date| date.to_string());
    let own = escape(&address(config, node, FeedKind::Atom));
    let mut feed = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"{lang}\" xml:base=\"{base}\">\n\
         <title>{title}</title>\n<id>{own}</id>\n<updated>{newest}T00:00:00Z</updated>\n\
         <author><name>{site}</name></author>\n\
         <link rel=\"self\" type=\"application/atom+xml\" href=\"{own}\"/>\n\
         <link rel=\"alternate\" type=\"text/html\" href=\"{page}\"/>\n",
        lang = escape(&node.entry().lang),
        base = escape(&config.base_url),
        title = escape(&title(config, node)),
        site = escape(&config.title),
        page = escape(&config.permalink(&node.entry().path)),
    );
    for node in entries {
        let content = node.own().map(|page| content(config, page, filled));
        feed.push_str(&atom_entry(node.entry(), &config.base_url, content.as_deref()));
    }
    feed.push_str("</feed>\n");
    feed
}

/// An item of an RSS feed; `description` is its text.
pub(crate) fn rss_item(entry: &IndexedPage, base_url: &str, description: &str) -> String {
    let address = escape(&url::absolute(base_url, &entry.path));
    let published = entry.date.unwrap_or(Date::ZERO).strftime("%a, %d %b %Y 00:00:00 +0000");
    let (title, description) = (escape(&entry.title), escape(description));
    format!(
        "<item><title>{title}</title><link>{address}</link><guid>{address}</guid>\n\
         <pubDate>{published}</pubDate><description>{description}</description></item>\n"
    )
}

/// An entry of an Atom feed; nothing for a page without a day.
pub(crate) fn atom_entry(entry: &IndexedPage, base_url: &str, content: Option<&str>) -> String {
    let Some(published) = entry.date else { return String::new() };
    let address = escape(&url::absolute(base_url, &entry.path));
    let updated = entry.updated.map_or(published, |updated| updated.max(published));
    let summary = entry.description.as_deref().map(|text| format!("<summary>{}</summary>\n", escape(text)));
    let content = content.map(|html| format!("<content type=\"html\">{}</content>\n", escape(html)));
    format!(
        "<entry>\n<title>{title}</title>\n<id>{address}</id>\n\
         <link rel=\"alternate\" type=\"text/html\" href=\"{address}\"/>\n\
         <published>{published}T00:00:00Z</published>\n<updated>{updated}T00:00:00Z</updated>\n{summary}{content}</entry>\n",
        title = escape(&entry.title),
        summary = summary.unwrap_or_default(),
        content = content.unwrap_or_default(),
    )
}
