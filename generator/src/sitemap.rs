//! The sitemap (sitemaps.org protocol 0.9) with pictures and languages, made from a page index.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use jiff::civil::Date;
use tieup_protocol::ids::SiteId;
use tieup_protocol::index::{Discovery, IndexedPage};
use tieup_protocol::path::SitePath;

use crate::discovery::pictures;
use crate::url;
use crate::xml::escape;

/// Where it stands.
pub(crate) const PATH: &str = "/sitemap.xml";

/// The most that one file may hold, as the protocol has it.
const LIMITS: Limits = Limits { pages: 50_000, bytes: 50 << 20 };

/// The most pictures that are told of one page.
const MAX_PICTURES: usize = 1_000;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\" \
    xmlns:image=\"http://www.google.com/schemas/sitemap-image/1.1\" \
    xmlns:xhtml=\"http://www.w3.org/1999/xhtml\">\n";
const END: &str = "</urlset>\n";

struct Limits {
    pages: usize,
    bytes: usize,
}

/// A part of a sitemap, not yet closed.
struct Shard {
    text: String,
    pages: usize,
    newest: Option<Date>,
}

/// A page that a sitemap lists.
pub(crate) struct Listed<'a> {
    /// The page.
    pub(crate) entry: &'a IndexedPage,
    /// What search engines are told of it.
    pub(crate) discovery: Cow<'a, Discovery>,
}

impl<'a> From<&'a IndexedPage> for Listed<'a> {
    fn from(entry: &'a IndexedPage) -> Self {
        Self { entry, discovery: Cow::Borrowed(&entry.discovery) }
    }
}

/// The sitemap of `pages`, served below `base_url`, in the order they come in: each file by its path.
///
/// It is `/sitemap.xml` alone; past 50,000 pages or 50 MB that is an index of `/sitemap-1.xml` and so on. `is_taken`
/// says which paths another file has; no part takes such a path. Pages that ask not to be indexed are left out.
///
/// `others` are sitemaps that stand beside it under the same address. Where there are any, `/sitemap.xml` is an index,
/// which names them after its own parts.
pub(crate) fn sitemap<'a>(
    base_url: &str,
    pages: impl Iterator<Item = Listed<'a>>,
    others: &[SitePath],
    is_taken: &dyn Fn(&SitePath) -> bool,
) -> BTreeMap<SitePath, Vec<u8>> {
    limited(base_url, pages, others, is_taken, &LIMITS)
}

fn limited<'a>(
    base_url: &str,
    pages: impl Iterator<Item = Listed<'a>>,
    others: &[SitePath],
    is_taken: &dyn Fn(&SitePath) -> bool,
    limits: &Limits,
) -> BTreeMap<SitePath, Vec<u8>> {
    let mut shards = shards(base_url, pages, limits);
    if shards.len() == 1 && others.is_empty() {
        return shards.drain(..).map(|only| (path(), only.close())).collect();
    }
    let mut index = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    let mut files = BTreeMap::new();
    let free = (1..).map(part).filter(|path| !is_taken(path));
    for (path, shard) in free.zip(shards) {
        let address = escape(&url::absolute(base_url, &path));
        let changed = lastmod(shard.newest);
        let _ = writeln!(index, "<sitemap><loc>{address}</loc>{changed}</sitemap>");
        files.insert(path, shard.close());
    }
    for other in others {
        let _ = writeln!(index, "<sitemap><loc>{}</loc></sitemap>", escape(&url::absolute(base_url, other)));
    }
    index.push_str("</sitemapindex>\n");
    files.insert(path(), index.into_bytes());
    files
}

/// The pages cut into parts that keep to `limits`; at least one part.
fn shards<'a>(base_url: &str, pages: impl Iterator<Item = Listed<'a>>, limits: &Limits) -> Vec<Shard> {
    let pages: Vec<Listed<'_>> = pages.filter(|page| !page.discovery.noindex).collect();
    let listed: HashSet<&SitePath> = pages.iter().map(|page| &page.entry.path).collect();
    let mut shards = Vec::new();
    let mut open = Shard::open();
    for page in &pages {
        let entry = entry(base_url, page, &listed);
        let bytes = open.text.len() + entry.len() + END.len();
        if open.pages > 0 && (open.pages == limits.pages || bytes > limits.bytes) {
            shards.push(std::mem::replace(&mut open, Shard::open()));
        }
        open.text.push_str(&entry);
        open.pages += 1;
        open.newest = open.newest.max(changed(page.entry));
    }
    shards.push(open);
    shards
}

impl Shard {
    fn open() -> Self {
        Self { text: HEAD.to_owned(), pages: 0, newest: None }
    }

    fn close(self) -> Vec<u8> {
        (self.text + END).into_bytes()
    }
}

/// One page. Of its other languages those are named that are `listed` themselves.
fn entry(base_url: &str, page: &Listed<'_>, listed: &HashSet<&SitePath>) -> String {
    let Listed { entry, discovery } = page;
    let address = escape(&url::absolute(base_url, &entry.path));
    let mut text = format!("<url><loc>{address}</loc>{}", lastmod(changed(entry)));
    let others = discovery.alternates.iter().filter(|other| listed.contains(&other.path));
    for other in others {
        let (lang, address) = (escape(&other.lang), escape(&url::absolute(base_url, &other.path)));
        let _ = write!(text, "<xhtml:link rel=\"alternate\" hreflang=\"{lang}\" href=\"{address}\"/>");
    }
    for picture in pictures(base_url, entry, &discovery.pictures).iter().take(MAX_PICTURES) {
        let _ = write!(text, "<image:image><image:loc>{}</image:loc></image:image>", escape(picture));
    }
    text.push_str("</url>\n");
    text
}

/// When a page was last changed, as the editor says; never when it was built.
fn changed(page: &IndexedPage) -> Option<Date> {
    page.updated.or(page.date)
}

fn lastmod(day: Option<Date>) -> String {
    day.map(|day| format!("<lastmod>{day}</lastmod>")).unwrap_or_default()
}

/// Where the sitemap of a site stands beside another site's, told apart by `name`: each file of it that lists pages,
/// which stands among `paths`, with the path that it has there. It is no index, since an index names none.
pub fn sitemap_beside<'a>(name: &SiteId, paths: impl Iterator<Item = &'a SitePath>) -> Vec<(SitePath, SitePath)> {
    let beside = |ending: &str| format!("/sitemap-{name}{ending}.xml").parse().ok();
    let parts = paths.filter_map(|path| Some((path.clone(), beside(&format!("-{}", part_number(path)?))?)));
    let parts: Vec<(SitePath, SitePath)> = parts.collect();
    if parts.is_empty() { beside("").map(|whole| (path(), whole)).into_iter().collect() } else { parts }
}

/// Whether `path` is that of a sitemap or of a part of one.
pub(crate) fn is_sitemap(path: &SitePath) -> bool {
    path.as_str() == PATH || part_number(path).is_some()
}

/// Which part of a sitemap stands at `path`, if one does.
fn part_number(path: &SitePath) -> Option<usize> {
    path.as_str().strip_prefix("/sitemap-")?.strip_suffix(".xml")?.parse().ok()
}

/// Where the sitemap stands.
pub(crate) fn path() -> SitePath {
    PATH.parse().expect("a constant path that a test holds")
}

fn part(number: usize) -> SitePath {
    format!("/sitemap-{number}.xml").parse().expect("a number between constant parts is a path")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tieup_protocol::index::Alternate;

    fn page(path: &str, date: Option<&str>) -> IndexedPage {
        IndexedPage {
            date: date.map(|date| date.parse().unwrap()),
            ..IndexedPage::new(path.parse().unwrap(), String::new(), "en".to_owned())
        }
    }

    fn made(pages: &[IndexedPage], limits: &Limits, taken: &str) -> Vec<(String, String)> {
        let files =
            limited("https://a.example/", pages.iter().map(Listed::from), &[], &|path| path.as_str() == taken, limits);
        files.into_iter().map(|(path, text)| (path.to_string(), String::from_utf8(text).unwrap())).collect()
    }

    fn whole(pages: &[IndexedPage]) -> String {
        let mut files = made(pages, &LIMITS, "");
        assert_eq!((files.len(), files[0].0.as_str()), (1, "/sitemap.xml"));
        files.remove(0).1
    }

    #[test]
    fn every_page_is_listed_with_its_last_change() {
        let changed = IndexedPage { updated: "2026-12-01".parse().ok(), ..page("/c/", Some("2026-11-01")) };
        let text = whole(&[page("/", None), page("/a&b/会/", Some("2026-11-01")), changed]);
        assert!(text.contains("<url><loc>https://a.example/</loc></url>\n"));
        assert!(text.contains("<loc>https://a.example/a&amp;b/%E4%BC%9A/</loc><lastmod>2026-11-01</lastmod>"));
        assert!(text.contains("<loc>https://a.example/c/</loc><lastmod>2026-12-01</lastmod>"));
    }

    #[test]
    fn pictures_come_from_extra_record_and_text_once_each() {
        let mut shown = page("/", None);
        shown.extra =
            json!({"hero": {"picture": "/h.svg"}, "picture": "https://cdn.example/a?b&c", "other": "/no.svg"});
        shown.data = json!({"picture": "/p 1.svg", "parts": [{"picture": "relative.svg"}, {"picture": "/h.svg"}]});
        shown.discovery.pictures = vec!["/t.svg".parse().unwrap(), "/h.svg".parse().unwrap()];
        let text = whole(&[shown]);
        let pictures: Vec<&str> =
            text.split("<image:loc>").skip(1).map(|rest| rest.split("</image:loc>").next().unwrap()).collect();
        let site = "https://a.example";
        let expected =
            ["https://cdn.example/a?b&amp;c".to_owned(), format!("{site}/h.svg"), format!("{site}/p%201.svg")];
        assert_eq!(pictures[..3], expected);
        assert_eq!(pictures[3..], [format!("{site}/t.svg")]);
    }

    #[test]
    fn languages_name_each_other_where_both_are_listed_and_noindex_is_left_out() {
        let alternates = |paths: &[(&str, &str)]| -> Vec<Alternate> {
            let each = paths.iter();
            each.map(|(lang, path)| Alternate { lang: (*lang).to_owned(), path: path.parse().unwrap() }).collect()
        };
        let all = alternates(&[("en", "/"), ("ja", "/ja/"), ("fr", "/fr/"), ("x-default", "/")]);
        let mut pages = [page("/", None), page("/ja/", None), page("/fr/", None)];
        for page in &mut pages {
            page.discovery.alternates.clone_from(&all);
        }
        pages[2].discovery.noindex = true;
        let text = whole(&pages);
        assert!(!text.contains("/fr/"), "{text}");
        let link = |lang: &str, to: &str| format!("<xhtml:link rel=\"alternate\" hreflang=\"{lang}\" href=\"{to}\"/>");
        let links = [
            link("en", "https://a.example/"),
            link("ja", "https://a.example/ja/"),
            link("x-default", "https://a.example/"),
        ];
        assert_eq!(text.matches(&links.concat()).count(), 2, "{text}");
    }

    #[test]
    fn more_than_a_file_may_hold_becomes_an_index_of_parts() {
        let pages: Vec<_> = (0..LIMITS.pages).map(|number| page(&format!("/{number}/"), Some("2026-11-01"))).collect();
        assert_eq!(made(&pages, &LIMITS, "").len(), 1);
        let one_more = [pages, vec![page("/last/", Some("2026-11-02"))]].concat();
        let files = made(&one_more, &LIMITS, "/sitemap-1.xml");
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["/sitemap-2.xml", "/sitemap-3.xml", "/sitemap.xml"]);
        let parts = ["2.xml</loc><lastmod>2026-11-01</lastmod>", "3.xml</loc><lastmod>2026-11-02</lastmod>"];
        assert!(parts.iter().all(|part| files[2].1.contains(&format!("<loc>https://a.example/sitemap-{part}"))));
        assert_eq!((files[0].1.matches("<url>").count(), files[1].1.matches("<url>").count()), (50_000, 1));
    }

    #[test]
    fn beside_others_it_is_an_index_that_names_them() {
        let (others, page) = (["/sitemap-south.xml".parse().unwrap()], page("/", None));
        let files = sitemap("https://a.example/", [Listed::from(&page)].into_iter(), &others, &|_| false);
        assert_eq!(files.keys().map(SitePath::as_str).collect::<Vec<_>>(), ["/sitemap-1.xml", "/sitemap.xml"]);
        let index = String::from_utf8_lossy(&files[&path()]).into_owned();
        for part in ["1", "south"] {
            assert!(index.contains(&format!("<sitemap><loc>https://a.example/sitemap-{part}.xml</loc>")), "{index}");
        }
    }

    #[test]
    fn beside_another_it_has_a_name_and_is_no_index() {
        let beside = |paths: &[&str]| -> Vec<(String, String)> {
            let paths: Vec<SitePath> = paths.iter().map(|path| path.parse().unwrap()).collect();
            let found = sitemap_beside(&"south".parse().unwrap(), paths.iter());
            found.into_iter().map(|(from, to)| (from.to_string(), to.to_string())).collect()
        };
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(beside(&["/", "/sitemap.xml"]), [pair("/sitemap.xml", "/sitemap-south.xml")]);
        let parts = [("1", "south-1"), ("2", "south-2")];
        let parts = parts.map(|(from, to)| pair(&format!("/sitemap-{from}.xml"), &format!("/sitemap-{to}.xml")));
        assert_eq!(beside(&["/sitemap-1.xml", "/sitemap-2.xml", "/sitemap.xml"]), parts);
    }

    #[test]
    fn no_part_is_longer_than_it_may_be() {
        let pages: Vec<_> = (0..20).map(|number| page(&format!("/{number:02}/"), None)).collect();
        let limits = Limits { pages: 100, bytes: HEAD.len() + END.len() + 3 * entry_length(&pages[0]) };
        let files = made(&pages, &limits, "");
        assert_eq!(files.len(), 8);
        assert!(files[..7].iter().all(|(_, text)| text.len() <= limits.bytes));
        assert_eq!(files[..7].iter().map(|(_, text)| text.matches("<url>").count()).sum::<usize>(), 20);
    }

    fn entry_length(page: &IndexedPage) -> usize {
        entry("https://a.example/", &page.into(), &HashSet::new()).len()
    }
}
