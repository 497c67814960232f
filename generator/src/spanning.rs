//! The files that span all pages of a site, made from its page index: the sitemap and `robots.txt`.
//!
//! The main site makes them from its own index, a partner from the release's index joined with that of its originals.

use std::collections::BTreeMap;

use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use crate::sitemap::{self, Listed, sitemap};

const ROBOTS: &str = "/robots.txt";

/// The files that span `pages`, served below `base_url`, by path; none of them where `is_taken` says that the site
/// has a file of its own.
pub fn spanning<'a>(
    base_url: &str,
    pages: impl Iterator<Item = &'a IndexedPage>,
    is_taken: &dyn Fn(&SitePath) -> bool,
) -> BTreeMap<SitePath, Vec<u8>> {
    spanning_listed(base_url, pages.map(Listed::from), is_taken)
}

/// The same of pages that are in no index.
pub(crate) fn spanning_listed<'a>(
    base_url: &str,
    pages: impl Iterator<Item = Listed<'a>>,
    is_taken: &dyn Fn(&SitePath) -> bool,
) -> BTreeMap<SitePath, Vec<u8>> {
    let mut files = BTreeMap::new();
    if !is_taken(&sitemap::path()) {
        files = sitemap(base_url, pages, is_taken);
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
    fn a_file_of_the_site_itself_is_never_replaced() {
        assert_eq!(made(&[]), ["/robots.txt", "/sitemap.xml"]);
        assert_eq!(made(&["/sitemap.xml"]), ["/robots.txt"]);
        assert_eq!(made(&["/robots.txt"]), ["/sitemap.xml"]);
        assert!(
            String::from_utf8_lossy(&robots("https://a.example/")).contains("Sitemap: https://a.example/sitemap.xml\n")
        );
    }
}
