//! A feed in which several sides have pages: main's feed of the whole site in a language, of a section or of a term, with the
//! partner's own pages in their places; and the feed of the whole site with the pages of further main sites.
//!
//! What its owner wrote stays as it is, texts included; of the others' pages the feed has what their index says. Newest
//! first, and of one day the owner's first. It has as many entries as its owner lets it have; main's word on that travels
//! with a release.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::{SitePath, SourcePath};

use crate::config::FeedKind;
use crate::feed::{self, MAX_ENTRIES};
use crate::json_feed::instant;
use crate::url;

/// The file of a framework that says how long main's feeds are.
const FILE: &str = "feeds.json";

/// An entry as it stands in a feed, with its day.
type Dated<T> = (Date, T);

/// What a release says of main's feeds. What a later version says beyond this is passed over.
#[derive(Default, Serialize, Deserialize)]
struct Carried {
    limit: Option<NonZeroUsize>,
}

/// The pages that go into a feed of somebody else's.
struct Others<'a> {
    base_url: &'a str,
    pages: &'a [&'a IndexedPage],
    /// The most entries that the feed has with them.
    most: usize,
}

/// The file by which a release carries the most entries that main lets its feeds have; none where main does not say.
pub(crate) fn to_file(limit: Option<NonZeroUsize>) -> Option<(SourcePath, Vec<u8>)> {
    let carried = Carried { limit: Some(limit?) };
    let path = FILE.parse().expect("a constant path that a test holds");
    Some((path, serde_json::to_vec(&carried).expect("a number is JSON")))
}

/// The most entries of main's feeds by the files of a release; as many as ours have where these do not say, or say what
/// this version does not know.
pub(crate) fn limit(files: &BTreeMap<SourcePath, Vec<u8>>) -> usize {
    let file = files.iter().find(|(path, _)| path.as_str() == FILE);
    let carried: Carried = file.and_then(|(_, bytes)| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    carried.limit.map_or(MAX_ENTRIES, NonZeroUsize::get)
}

/// Where the feeds of a whole site stand.
pub(crate) fn site_feeds() -> impl Iterator<Item = SitePath> {
    feeds_of(SitePath::root())
}

/// Where feeds of what stands at `page` stand.
fn feeds_of(page: SitePath) -> impl Iterator<Item = SitePath> {
    FeedKind::ALL.into_iter().filter_map(move |kind| feed::path(&page, kind))
}

/// Where the feeds stand in which a partner's own page has a place, if main has them: those of the site in the page's
/// language, of its section, and of its `terms`, which are the paths of their pages. None for a page that no feed has.
pub fn feeds_with(page: &IndexedPage, terms: &[SitePath], lookalikes: &Lookalikes) -> BTreeSet<SitePath> {
    let around = page.section.iter().chain(terms).filter(|_| is_entry(page));
    around.cloned().flat_map(feeds_of).chain(site_feeds_with(page, lookalikes)).collect()
}

/// Where the feeds of a whole site stand in which a page has a place. Only those in its language take it, which may stand
/// in either place. None for a page that no feed has.
pub fn site_feeds_with(page: &IndexedPage, lookalikes: &Lookalikes) -> BTreeSet<SitePath> {
    let home = language_folder(&page.lang).filter(|home| !lookalikes.0.contains(home));
    let homes = [Some(SitePath::root()), home].into_iter().flatten().filter(|_| is_entry(page));
    homes.flat_map(feeds_of).collect()
}

/// The sections that stand where another site would have the first page of their language: that of a site whose default
/// language is English, called `en`. Their feeds are not those of a whole site.
#[derive(Debug, Default)]
pub struct Lookalikes(BTreeSet<SitePath>);

impl Lookalikes {
    /// Those among main's pages and the partner's `own`, whose default language is `language`. Main's is known by its first
    /// page; without that one, by what a section belongs to.
    pub fn among<'a>(mains: &[&'a IndexedPage], own: &[&'a IndexedPage], language: &str) -> Self {
        let first = mains.iter().find(|page| page.path == SitePath::root());
        let is_mains =
            |page: &&&IndexedPage| first.is_some_and(|first| first.lang == page.lang) || page.section.is_some();
        let is_own = |page: &&&IndexedPage| page.lang == language;
        let sections = mains.iter().filter(is_mains).chain(own.iter().filter(is_own));
        let lookalikes = sections.filter(|page| language_folder(&page.lang).as_ref() == Some(&page.path));
        Self(lookalikes.map(|page| page.path.clone()).collect())
    }
}

/// Where a site has its first page in a language that is not its default.
fn language_folder(lang: &str) -> Option<SitePath> {
    format!("/{lang}/").parse().ok()
}

/// The feed at `path` with those of the pages `others`, served below `base_url`, that have a day and the feed's language:
/// `most` entries, or as many as it has alone. None where there are no such pages, or `feed` is not one of ours.
pub fn joint_feed(
    path: &SitePath,
    feed: &[u8],
    base_url: &str,
    others: &[&IndexedPage],
    most: usize,
) -> Option<Vec<u8>> {
    let (folder, _) = path.as_str().rsplit_once('/')?;
    let page = format!("{folder}/").parse().ok()?;
    let is_here = |kind: &FeedKind| feed::path(&page, *kind).as_ref() == Some(path);
    let text = std::str::from_utf8(feed).ok()?;
    let others = Others { base_url, pages: others, most };
    let joint = match FeedKind::ALL.into_iter().find(is_here)? {
        FeedKind::Atom => others.atom(text),
        FeedKind::Rss => others.rss(text),
        FeedKind::Json => others.json(text),
    };
    joint.map(String::into_bytes)
}

/// Whether a page is one that feeds tell of.
fn is_entry(page: &IndexedPage) -> bool {
    page.date.is_some() && !page.is_section && !page.is_derived
}

impl Others<'_> {
    /// The pages that a feed in `lang` can have, each with its day; none where there is none.
    fn dated(&self, lang: &str) -> Option<Vec<Dated<&IndexedPage>>> {
        let fits = |page: &&&IndexedPage| page.lang == lang && is_entry(page);
        let pages: Vec<_> =
            self.pages.iter().filter(fits).filter_map(|page| page.date.map(|date| (date, *page))).collect();
        (!pages.is_empty()).then_some(pages)
    }

    fn atom(&self, text: &str) -> Option<String> {
        let feed = Written::read(text, "<entry>\n", "</entry>\n", "</feed>\n")?;
        let others = self.dated(between(feed.head, " xml:lang=\"", "\"")?)?;
        let owners = feed.dated(|entry| between(entry, "<published>", "T")?.parse().ok())?;
        let entries = self.merged(owners, others);
        let updated = between(feed.head, "<updated>", "T")?;
        let latest = entries.iter().filter_map(Entry::updated).max().max(updated.parse().ok())?;
        let head = feed.head.replacen(&format!("<updated>{updated}T"), &format!("<updated>{latest}T"), 1);
        let written = entries.into_iter().map(|entry| match entry {
            Entry::Owners(text) => text,
            Entry::Other(page, _) => feed::atom_entry(page, self.base_url, None),
        });
        Some(head + &written.collect::<String>() + feed.end)
    }

    fn rss(&self, text: &str) -> Option<String> {
        let feed = Written::read(text, "<item>", "</item>\n", "</channel></rss>\n")?;
        let others = self.dated(between(feed.head, "<language>", "</language>")?)?;
        let day = |entry: &str| Date::strptime("%a, %d %b %Y", between(entry, "<pubDate>", " 00:00:00")?).ok();
        let owners = feed.dated(day)?;
        let items = self.merged(owners, others).into_iter().map(|entry| match entry {
            Entry::Owners(text) => text,
            Entry::Other(page, _) => {
                feed::rss_item(page, self.base_url, page.description.as_deref().unwrap_or_default())
            }
        });
        Some(feed.head.to_owned() + &items.collect::<String>() + feed.end)
    }

    fn json(&self, text: &str) -> Option<String> {
        let mut feed: Map<String, Value> = serde_json::from_str(text).ok()?;
        let others = self.dated(feed.get("language")?.as_str()?)?;
        let day = |item: &Value| item["date_published"].as_str()?.split('T').next()?.parse().ok();
        let items = feed.get("items")?.as_array()?.iter();
        let owners: Option<Vec<Dated<Value>>> = items.map(|item| Some((day(item)?, item.clone()))).collect();
        let items = self.merged(owners?, others).into_iter().map(|entry| match entry {
            Entry::Owners(item) => item,
            Entry::Other(page, date) => self.json_item(page, date),
        });
        let items = items.collect();
        feed.insert("items".to_owned(), Value::Array(items));
        Some(format!("{:#}\n", Value::Object(feed)))
    }

    fn json_item(&self, page: &IndexedPage, date: Date) -> Value {
        let address = url::absolute(self.base_url, &page.path);
        let mut item = Map::new();
        item.insert("id".into(), json!(address));
        item.insert("url".into(), json!(address));
        item.insert("title".into(), json!(page.title));
        item.insert("content_text".into(), json!(page.description.as_deref().unwrap_or(&page.title)));
        item.extend(page.description.as_ref().map(|text| ("summary".to_owned(), json!(text))));
        item.insert("date_published".into(), json!(instant(date)));
        let updated = page.updated.filter(|updated| *updated > date);
        item.extend(updated.map(|day| ("date_modified".to_owned(), json!(instant(day)))));
        item.insert("language".into(), json!(page.lang));
        Value::Object(item)
    }

    /// Both, newest first; no more than the feed may have, unless `owners` are.
    fn merged<'a, T>(&self, owners: Vec<Dated<T>>, others: Vec<Dated<&'a IndexedPage>>) -> Vec<Entry<'a, T>> {
        let most = owners.len().max(self.most);
        let owners = owners.into_iter().map(|(date, entry)| (date, Entry::Owners(entry)));
        let others = others.into_iter().map(|(date, page)| (date, Entry::Other(page, date)));
        let mut all: Vec<Dated<Entry<'a, T>>> = owners.chain(others).collect();
        // The sort keeps the order of what is equal.
        all.sort_by_key(|(date, _)| std::cmp::Reverse(*date));
        all.into_iter().take(most).map(|(_, entry)| entry).collect()
    }
}

/// What stands in a joint feed: an entry that its owner wrote, or a page of somebody else's with its day, to be written.
enum Entry<'a, T> {
    Owners(T),
    Other(&'a IndexedPage, Date),
}

impl<T> Entry<'_, T> {
    /// When somebody else's page changed last.
    fn updated(&self) -> Option<Date> {
        match self {
            Self::Owners(_) => None,
            Self::Other(page, date) => Some(page.updated.unwrap_or(*date).max(*date)),
        }
    }
}

/// A feed of ours as text: what stands before its entries, they themselves, and its end.
struct Written<'a> {
    head: &'a str,
    entries: Vec<&'a str>,
    end: &'a str,
}

impl<'a> Written<'a> {
    /// Takes a text apart; none where it is not as ours are. Inside of an entry all text is escaped.
    fn read(text: &'a str, open: &str, close: &str, end: &'a str) -> Option<Self> {
        let whole = text.strip_suffix(end)?;
        let first = whole.find(open).unwrap_or(whole.len());
        let entries: Vec<&str> = whole[first..].split_inclusive(close).collect();
        let is_ours = entries.iter().all(|entry| entry.starts_with(open) && entry.ends_with(close));
        is_ours.then_some(Self { head: &whole[..first], entries, end })
    }

    /// The entries with their days; none where one has none.
    fn dated(&self, day: impl Fn(&str) -> Option<Date>) -> Option<Vec<Dated<String>>> {
        self.entries.iter().map(|entry| Some((day(entry)?, (*entry).to_owned()))).collect()
    }
}

/// What stands in `text` between the first `before` and the next `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(path: &str, title: &str, date: &str) -> IndexedPage {
        let page = IndexedPage::new(path.parse().unwrap(), title.to_owned(), "en".to_owned());
        IndexedPage { date: date.parse().ok(), ..page }
    }

    fn joint(path: &str, feed: &str, own: &[&IndexedPage]) -> Option<String> {
        joint_of(MAX_ENTRIES, path, feed, own)
    }

    fn joint_of(most: usize, path: &str, feed: &str, own: &[&IndexedPage]) -> Option<String> {
        let joint = joint_feed(&path.parse().unwrap(), feed.as_bytes(), "https://north.example/", own, most)?;
        Some(String::from_utf8(joint).unwrap())
    }

    const ATOM: &str = "<feed xml:lang=\"en\">\n<title>Minutes of 2026-03-05</title>\n<updated>2026-03-05T00:00:00Z</updated>\n\
        <entry>\n<id>b</id><published>2026-03-05T00:00:00Z</published></entry>\n\
        <entry>\n<id>a</id><published>2026-03-01T00:00:00Z</published></entry>\n</feed>\n";

    #[test]
    fn own_pages_stand_among_mains_by_their_days() {
        let (new, middle) = (page("/new/", "New & own", "2026-03-09"), page("/middle/", "Middle", "2026-03-05"));
        let feed = joint("/atom.xml", ATOM, &[&middle, &new]).unwrap();
        let ids: Vec<&str> = feed.split("<id>").skip(1).filter_map(|rest| rest.split('<').next()).collect();
        assert_eq!(ids, ["https://north.example/new/", "b", "https://north.example/middle/", "a"]);
        assert!(feed.contains("<updated>2026-03-09T00:00:00Z</updated>\n<entry>"), "{feed}");
        assert!(feed.contains("<title>Minutes of 2026-03-05</title>"), "{feed}");
        assert!(feed.contains("New &amp; own") && feed.ends_with("</entry>\n</feed>\n"), "{feed}");
    }

    #[test]
    fn rss_and_json_are_joined_alike() {
        let own = page("/own/", "Own", "2026-03-05");
        let rss = "<rss><channel><language>en</language>\n\
            <item><guid>b</guid>\n<pubDate>Fri, 06 Mar 2026 00:00:00 +0000</pubDate></item>\n\
            <item><guid>a</guid>\n<pubDate>Sun, 01 Mar 2026 00:00:00 +0000</pubDate></item>\n</channel></rss>\n";
        let joined = joint("/rss.xml", rss, &[&own]).unwrap();
        let places = ["<guid>b", "<guid>https://north.example/own/", "<guid>a"].map(|part| joined.find(part).unwrap());
        assert!(places.is_sorted(), "{joined}");
        let json = r#"{"language": "en", "items": [{"id": "b", "date_published": "2026-03-06T00:00:00Z"}]}"#;
        let joined: Value = serde_json::from_str(&joint("/feed.json", json, &[&own]).unwrap()).unwrap();
        assert_eq!(
            (&joined["items"][0]["id"], &joined["items"][1]["url"]),
            (&json!("b"), &json!("https://north.example/own/"))
        );
    }

    #[test]
    fn a_feed_without_entries_takes_own_pages_and_a_foreign_one_stays() {
        let own = page("/own/", "Own", "2026-03-05");
        let empty = "<feed xml:lang=\"en\">\n<updated>1970-01-01T00:00:00Z</updated>\n</feed>\n";
        assert!(joint("/atom.xml", empty, &[&own]).unwrap().contains("/own/</id>"));
        let foreign = ["<feed/>", "", "<feed xml:lang=\"en\"><entry id=\"1\"></entry>\n</feed>\n"];
        for feed in foreign {
            assert_eq!(joint("/atom.xml", feed, &[&own]), None, "{feed}");
        }
        let japanese = IndexedPage { lang: "ja".to_owned(), ..own.clone() };
        let undated = IndexedPage { date: None, ..own.clone() };
        let section = IndexedPage { is_section: true, ..own.clone() };
        for other in [japanese, undated, section] {
            assert_eq!(joint("/atom.xml", ATOM, &[&other]), None, "{other:?}");
        }
    }

    #[test]
    fn a_page_has_a_place_in_the_feeds_of_its_language_section_and_terms() {
        let own = IndexedPage { section: Some("/news/".parse().unwrap()), ..page("/news/own/", "Own", "2026-03-05") };
        let term = ["/topics/lamps/".parse().unwrap()];
        let none = Lookalikes::default();
        let feeds = feeds_with(&own, &term, &none);
        let atom: Vec<&str> = feeds.iter().map(SitePath::as_str).filter(|path| path.ends_with("/atom.xml")).collect();
        assert_eq!(atom, ["/atom.xml", "/en/atom.xml", "/news/atom.xml", "/topics/lamps/atom.xml"]);
        assert_eq!(feeds.len(), 4 * FeedKind::ALL.len());
        assert_eq!(site_feeds_with(&own, &none).len(), 2 * FeedKind::ALL.len());
        assert!(joint("/topics/lamps/atom.xml", ATOM, &[&own]).unwrap().contains("/news/own/</id>"));
        assert_eq!(joint("/topics/lamps.xml", ATOM, &[&own]), None, "no feed of ours stands there");
        for other in [IndexedPage { is_section: true, ..own.clone() }, IndexedPage { date: None, ..own.clone() }] {
            assert_eq!(feeds_with(&other, &term, &none), BTreeSet::new(), "{other:?}");
        }
    }

    #[test]
    fn a_section_called_like_a_language_has_no_feed_of_the_site() {
        let of = |path: &str, lang: &str, section: Option<&str>| {
            let section = section.map(|section| section.parse().unwrap());
            IndexedPage { lang: lang.to_owned(), is_section: true, section, ..page(path, "Section", "") }
        };
        let (home, within) = (of("/", "en", None), of("/en/", "en", Some("/")));
        let (alone, home_ja) = (of("/en/", "en", None), of("/ja/", "ja", None));
        let own = page("/news/own/", "Own", "2026-03-05");
        let own_ja = IndexedPage { lang: "ja".to_owned(), ..own.clone() };
        let is_joined = |page: &IndexedPage, mains: &[&IndexedPage], owns: &[&IndexedPage], language: &str| {
            let folder = language_folder(&page.lang).and_then(|home| feed::path(&home, FeedKind::Atom)).unwrap();
            site_feeds_with(page, &Lookalikes::among(mains, owns, language)).contains(&folder)
        };
        for mains in [&[&home, &alone][..], &[&home, &within], &[&within]] {
            assert!(!is_joined(&own, mains, &[], "ja"), "{mains:?}");
        }
        assert!(!is_joined(&own, &[], &[&alone], "en"), "the partner's language is known");
        assert!(is_joined(&own, &[], &[&alone], "ja"), "it is the first page in English");
        assert!(is_joined(&own_ja, &[&home, &alone, &home_ja], &[], "ja"), "main has it in Japanese");
    }

    #[test]
    fn a_feed_grows_no_longer_than_main_lets_it() {
        let own: Vec<IndexedPage> = (0..80).map(|n| page(&format!("/p{n}/"), "Own", "2026-03-09")).collect();
        let own: Vec<&IndexedPage> = own.iter().collect();
        let entries = |most| joint_of(most, "/atom.xml", ATOM, &own).unwrap().matches("<entry>").count();
        assert_eq!([1, 2, 3, 60].map(entries), [2, 2, 3, 60], "it is as long as main's alone");
    }

    #[test]
    fn a_release_carries_how_long_feeds_are_where_main_says() {
        let carried = |most| limit(&to_file(NonZeroUsize::new(most)).into_iter().collect());
        assert_eq!([0, 7, 60].map(carried), [MAX_ENTRIES, 7, 60]);
        let of = |json: &str| limit(&BTreeMap::from([(FILE.parse().unwrap(), json.as_bytes().to_vec())]));
        let told = [r#"{"limit": 7, "order": "x"}"#, r#"{"limit": 0}"#, r#"{"limit": -1}"#, "{}", ""];
        assert_eq!(told.map(of), [7, MAX_ENTRIES, MAX_ENTRIES, MAX_ENTRIES, MAX_ENTRIES]);
    }
}
