//! The files that span all pages of a site, made from its page index: the sitemap and `robots.txt`.
//!
//! The main site makes them from its own index, a partner from the release's index joined with that of its originals.

use std::collections::BTreeMap;

use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use crate::joint_feed::site_feeds;
use crate::search::is_index;
use crate::sitemap::{self, Listed, sitemap};

const ROBOTS: &str = "/robots.txt";

/// The pages for where nothing stands, or does no more.
const NOTHING: [&str; 2] = ["/404.html", "/410.html"];

/// The files that span `pages`, served below `base_url`, by path; none of them where `is_taken` says that the site
/// has a file of its own.
pub fn spanning<'a>(
    base_url: &str,
    pages: impl Iterator<Item = &'a IndexedPage>,
    is_taken: &dyn Fn(&SitePath) -> bool,
) -> BTreeMap<SitePath, Vec<u8>> {
    spanning_listed(base_url, pages.map(Listed::from), &[], is_taken)
}

/// The same beside other sitemaps that stand under the same address, which the sitemap then names.
pub fn spanning_beside<'a>(
    base_url: &str,
    pages: impl Iterator<Item = &'a IndexedPage>,
    others: &[SitePath],
    is_taken: &dyn Fn(&SitePath) -> bool,
) -> BTreeMap<SitePath, Vec<u8>> {
    spanning_listed(base_url, pages.map(Listed::from), others, is_taken)
}

/// Whether a file at `path` speaks for a whole site, so that of several sites under one address only one can have it:
/// its sitemap, `robots.txt`, a feed of all its pages, the search index, and the pages for where nothing stands.
pub fn speaks_for_site(path: &SitePath) -> bool {
    site_feeds().any(|feed| feed == *path)
        || is_spanning(path)
        || sitemap::is_sitemap(path)
        || is_index(path)
        || NOTHING.contains(&path.as_str())
}

/// The same of pages that are in no index.
pub(crate) fn spanning_listed<'a>(
    base_url: &str,
    pages: impl Iterator<Item = Listed<'a>>,
    others: &[SitePath],
    is_taken: &dyn Fn(&SitePath) -> bool,
) -> BTreeMap<SitePath, Vec<u8>> {
    let mut files = BTreeMap::new();
    if !is_taken(&sitemap::path()) {
        files = sitemap(base_url, pages, others, is_taken);
    }
    if !is_taken(&robots_path()) {
        files.insert(robots_path(), robots(base_url));
    }
    files
}

/// Whether `path` is that of a file which spans all pages.
pub(crate) fn is_spanning(path: &SitePath) -> bool {
    [sitemap::PATH, ROBOTS].contains(&path.as_str())
}

/// `robots.txt` (RFC 9309): every robot may read everything, and finds the sitemap.
///
/// What is not to be indexed is open too: a page that robots may not read cannot ask them to leave it out.
fn robots(base_url: &str) -> Vec<u8> {
    format!("User-agent: *\nAllow: /\n\nSitemap: {}/sitemap.xml\n", base_url.trim_end_matches('/')).into_bytes()
}

fn robots_path() -> SitePath {
    ROBOTS.parse().expect("a constant path that a test holds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(taken: &[&str]) -> Vec<String> {
        let is_taken = |path: &SitePath| taken.contains(&path.as_str());
        spanning("https://a.example/", std::iter::empty(), &is_taken).keys().map(ToString::to_string).collect()
    }

    #[test]
    fn what_speaks_for_a_site_is_known_by_its_path() {
        let speaks = |path: &str| speaks_for_site(&path.parse().unwrap());
        for path in
            ["/robots.txt", "/sitemap.xml", "/sitemap-2.xml", "/atom.xml", "/feed.json", "/404.html", "/search/en.json"]
        {
            assert!(speaks(path), "{path}");
        }
        for path in ["/", "/news/atom.xml", "/sitemap-south.xml", "/search/", "/local/robots.txt"] {
            assert!(!speaks(path), "{path}");
        }
    }

    #[test]
    fn a_file_of_the_site_itself_is_never_replaced() {
        assert_eq!(made(&[]), ["/robots.txt", "/sitemap.xml"]);
        assert_eq!(made(&["/sitemap.xml"]), ["/robots.txt"]);
        assert_eq!(made(&["/robots.txt"]), ["/sitemap.xml"]);
        assert!(
            String::from_utf8_lossy(&robots("https://a.example/")).contains("Sitemap: https://a.example/sitemap.xml\n")
        );
    }
}
