//! Addresses: a site's own, and how a path is written inside one.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tieup_protocol::path::SitePath;

/// What may not stand as it is in the path of an address (RFC 3986, section 3.3), `%` included.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// `path` as it stands in a link.
pub(crate) fn encode(path: &SitePath) -> String {
    utf8_percent_encode(path.as_str(), PATH).to_string()
}

/// The absolute address of `path` on the site at `base`.
pub(crate) fn absolute(base: &str, path: &SitePath) -> String {
    format!("{}{}", base.trim_end_matches('/'), encode(path))
}

/// Whether `text` can be a site's address: a scheme, a host, perhaps a folder, and nothing after.
pub(crate) fn is_base(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '?' | '#' | '"' | '<' | '>' | '\\' | '@');
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(bad))
}

/// Whether a link's destination leads off the site: it has a scheme, or names a host.
pub(crate) fn is_external(destination: &str) -> bool {
    if destination.starts_with("//") {
        return true;
    }
    let scheme = destination.split_once(':').map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_links_are_told_from_paths() {
        for external in ["https://a.example/", "mailto:a@b.example", "//cdn.example/x", "tel:+81-3"] {
            assert!(is_external(external), "{external}");
        }
        for internal in ["/news/", "../a.md", "a.md#b:c", "#top", "?q=a:b", ""] {
            assert!(!is_external(internal), "{internal}");
        }
    }
}
