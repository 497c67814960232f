//! The sitemap (sitemaps.org protocol 0.9), made from a page index.

use std::fmt::Write as _;

use tieup_protocol::index::IndexedPage;

use crate::url;
use crate::xml;

/// The sitemap of `pages`, served below `base_url`, in the order they come in.
pub fn sitemap<'a>(base_url: &str, pages: impl Iterator<Item = &'a IndexedPage>) -> Vec<u8> {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for page in pages {
        let address = xml::escape(&url::absolute(base_url, &page.path));
        let changed = page.updated.or(page.date).map(|date| format!("<lastmod>{date}</lastmod>")).unwrap_or_default();
        writeln!(text, "<url><loc>{address}</loc>{changed}</url>").expect("writing into a String cannot fail");
    }
    text.push_str("</urlset>\n");
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_listed_with_its_last_change() {
        let page = |path: &str, date: Option<&str>| IndexedPage {
            path: path.parse().unwrap(),
            title: String::new(),
            description: None,
            lang: "en".to_owned(),
            date: date.map(|date| date.parse().unwrap()),
            updated: None,
            weight: 0,
            section: None,
            is_section: false,
            is_derived: false,
            extra: serde_json::Value::Null,
            data: serde_json::Value::Null,
        };
        let pages = [page("/", None), page("/a&b/会/", Some("2026-11-01"))];
        let text = String::from_utf8(sitemap("https://a.example/", pages.iter())).unwrap();
        assert!(text.contains("<url><loc>https://a.example/</loc></url>\n"));
        assert!(text.contains("<loc>https://a.example/a&amp;b/%E4%BC%9A/</loc><lastmod>2026-11-01</lastmod>"));
    }
}
