//! Where the addresses in a page may take a visitor, and texts of a page in a sentence.

use std::collections::BTreeSet;

/// A text out of a page as it may stand in a sentence: nothing in it moves a terminal's cursor.
pub(crate) fn visible(text: &str) -> String {
    text.escape_debug().to_string()
}

/// A style sheet with a blank in the place of each comment.
fn without_comments(css: &str) -> String {
    let mut parts = css.split("/*");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| kept + " " + part.split_once("*/").map_or("", |(_, after)| after))
}

/// The hosts that a style sheet names, in `url(...)` and `@import`.
pub fn hosts_in_css(css: &str) -> impl Iterator<Item = String> {
    let address = |part: &str| {
        let rest = part.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}', '"', '\'', '(']);
        external_host(rest.split(['"', '\'', ')', ';', ' ']).next().unwrap_or_default())
    };
    let css = css.to_ascii_lowercase();
    // What looks like a comment may stand in a string, and hides nothing then.
    let readings = [without_comments(&css), css];
    let parts = readings.iter().flat_map(|css| css.split("url(").skip(1).chain(css.split("@import").skip(1)));
    parts.filter_map(address).collect::<BTreeSet<_>>().into_iter()
}

/// The host of an address that leaves the site; `javascript:` and other schemes count as hosts of their own.
pub(super) fn external_host(address: &str) -> Option<String> {
    if stays(address) {
        return None;
    }
    // Browsers drop tabs and line ends inside an address, and blanks around it.
    let address: String = address.trim().chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    let address = address.replace('\\', "/");
    if let Some(rest) = address.strip_prefix("//") {
        return Some(visible(rest.split(['/', '?', '#']).next().unwrap_or_default()));
    }
    let (scheme, rest) = address.split_once(':')?;
    let is_scheme = !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    match rest.strip_prefix("//") {
        _ if !is_scheme => None,
        Some(rest) => Some(visible(rest.split(['/', '?', '#']).next().unwrap_or_default())),
        None => Some(format!("{}:", scheme.to_ascii_lowercase())),
    }
}

/// Whether an address stays on the site at first sight: a path, the first page, or a place of the page itself. That holds
/// whatever references stand behind its first two characters.
pub(super) fn stays(address: &str) -> bool {
    is_plainly_local(address) || address == "/" || address.starts_with('#')
}

/// Whether an address is a path of the site itself at first sight, as most are.
pub(super) fn is_plainly_local(address: &str) -> bool {
    matches!(address.as_bytes(), [b'/', next, ..] if next.is_ascii_alphanumeric())
}
