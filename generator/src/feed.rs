//! The Atom feed (RFC 4287) of a section by date.

use std::fmt::Write as _;

use tieup_protocol::path::SitePath;

use crate::config::SiteConfig;
use crate::url;
use crate::view::{Listing, Node, View};
use crate::xml::escape;

/// The most entries a feed has.
const MAX_ENTRIES: usize = 50;

/// Where the feed of the section at `section` stands.
pub(crate) fn path(section: &SitePath) -> SitePath {
    format!("{section}atom.xml").parse().expect("a section's path and one more segment is a path")
}

/// The feed of the section `node`, which lists `listing`. Pages without a date have no place in it.
///
/// `updated` is the newest date of an entry, never the time of the build, so that equal content makes equal bytes.
pub(crate) fn atom(view: &View, node: &Node, listing: &Listing) -> Vec<u8> {
    let config = view.config();
    let entries: Vec<&Node> =
        listing.pages.iter().map(|at| view.node(*at)).filter(|node| node.entry.date.is_some()).collect();
    let newest = entries.iter().filter_map(|node| node.entry.updated.max(node.entry.date)).max();
    let newest = newest.map_or_else(|| "1970-01-01".to_owned(), |date| date.to_string());
    let own = escape(&config.permalink(&path(&node.entry.path)));
    let mut feed = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"{lang}\" xml:base=\"{base}\">\n\
         <title>{title} | {site}</title>\n<id>{own}</id>\n<updated>{newest}T00:00:00Z</updated>\n\
         <author><name>{site}</name></author>\n\
         <link rel=\"self\" type=\"application/atom+xml\" href=\"{own}\"/>\n\
         <link rel=\"alternate\" type=\"text/html\" href=\"{page}\"/>\n",
        lang = escape(&node.entry.lang),
        base = escape(&config.base_url),
        title = escape(&node.entry.title),
        site = escape(&config.title),
        page = escape(&config.permalink(&node.entry.path)),
    );
    for node in entries.into_iter().take(MAX_ENTRIES) {
        write_entry(&mut feed, node, config).expect("writing into a String cannot fail");
    }
    feed.push_str("</feed>\n");
    feed.into_bytes()
}

fn write_entry(feed: &mut String, node: &Node, config: &SiteConfig) -> std::fmt::Result {
    let entry = &node.entry;
    let address = escape(&url::absolute(&config.base_url, &entry.path));
    let Some(published) = entry.date else { return Ok(()) };
    let updated = entry.updated.map_or(published, |updated| updated.max(published));
    writeln!(feed, "<entry>\n<title>{}</title>\n<id>{address}</id>", escape(&entry.title))?;
    writeln!(feed, "<link rel=\"alternate\" type=\"text/html\" href=\"{address}\"/>")?;
    writeln!(feed, "<published>{published}T00:00:00Z</published>\n<updated>{updated}T00:00:00Z</updated>")?;
    if let Some(description) = &entry.description {
        writeln!(feed, "<summary>{}</summary>", escape(description))?;
    }
    if let Some(page) = &node.own {
        writeln!(feed, "<content type=\"html\">{}</content>", escape(&page.body.html))?;
    }
    writeln!(feed, "</entry>")
}
