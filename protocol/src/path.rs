//! Paths: where a page stands on the site, and where a source file stands in a bundle.
//!
//! A [`SitePath`] is what visitors ask for; a [`SourcePath`] names a file inside a theme or a content folder. Both
//! are parsed once, at the edge. Neither can leave its root, so nothing downstream checks for `..` again.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest path in bytes, decoded.
pub const MAX_PATH: usize = 1024;

/// An absolute path on a site, percent-decoded: `/`, `/news/opening/`, `/style.css`.
///
/// It begins with `/`, has no empty, `.` or `..` segment and no control character or backslash. A path that ends with
/// `/` is a page's; others name a file.
///
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SitePath(Arc<str>);

/// A relative path with forward slashes inside a bundle of source files: `storefront/templates/base.html`.
///
/// No empty, `.` or `..` segment, no control character, backslash or colon.
///
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePath(Arc<str>);

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// It does not begin with `/` though a site path must, or does though a source path must not.
    #[error("`{0}` must begin with `/`")]
    NotAbsolute(String),
    /// It begins with `/`, or names a drive.
    #[error("`{0}` must be relative")]
    NotRelative(String),
    /// A segment is empty, `.` or `..`.
    #[error("`{0}` has an empty, `.` or `..` segment")]
    BadSegment(String),
    /// A control character, a backslash or bytes that are not UTF-8.
    #[error("`{0}` has a character that paths may not have")]
    BadCharacter(String),
    /// Longer than [`MAX_PATH`].
    #[error("a path of {0} bytes is longer than {MAX_PATH}")]
    TooLong(usize),
}

impl SitePath {
    /// The site's first page, `/`.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Reads the path of a request target: the query is dropped and percent-escapes are decoded once.
    ///
    /// # Errors
    /// A path that would be invalid after decoding, an encoded slash (`%2F`) included.
    pub fn from_request(target: &str) -> Result<Self, InvalidPath> {
        // Most targets are the path as it is. Without a way out in the middle, the compiler looks at many bytes at once.
        if !target.bytes().fold(false, |is_more, byte| is_more | matches!(byte, b'?' | b'#' | b'%')) {
            return target.parse();
        }
        let path = target.split(['?', '#']).next().unwrap_or_default();
        let escaped_slash = path.as_bytes().windows(3).any(|w| w.eq_ignore_ascii_case(b"%2f"));
        if escaped_slash {
            return Err(InvalidPath::BadCharacter(target.to_owned()));
        }
        match percent_decode_str(path).decode_utf8() {
            Ok(decoded) => decoded.parse(),
            Err(_) => Err(InvalidPath::BadCharacter(target.to_owned())),
        }
    }

    /// The path as text, decoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is a page's path, one that ends with `/`.
    pub fn is_page(&self) -> bool {
        self.0.ends_with('/')
    }

    /// The page path that a visitor who left out the last slash meant: `/news` gives `/news/`.
    #[must_use]
    pub fn with_slash(&self) -> Self {
        if self.is_page() { self.clone() } else { Self(format!("{}/", self.0).into()) }
    }

    /// Whether this path is `prefix` or lies below it, segment by segment.
    pub fn is_within(&self, prefix: &Self) -> bool {
        let prefix = prefix.0.trim_end_matches('/');
        self.0.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The other path that a browsable tree keeps in the same file: `/news/` and `/news/index.html`.
    pub fn twin(&self) -> Option<Self> {
        let page = self.0.strip_suffix("index.html").filter(|page| page.ends_with('/'));
        match page {
            Some(page) => Some(Self(page.into())),
            None => self.is_page().then(|| Self(format!("{}index.html", self.0).into())),
        }
    }

    /// The file a browsable tree keeps this path in: a page becomes `index.html` in its folder.
    pub fn to_file(&self) -> SourcePath {
        let relative = self.0.trim_start_matches('/');
        SourcePath(if self.is_page() { format!("{relative}index.html").into() } else { relative.into() })
    }
}

/// Maps by paths can be asked by their text.
impl Borrow<str> for SitePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for SitePath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix('/').ok_or_else(|| InvalidPath::NotAbsolute(text.to_owned()))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if !(rest.is_empty() && text == "/") {
            check_segments(rest, text)?;
        }
        Ok(Self(text.into()))
    }
}

impl SourcePath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This path below `folder`.
    ///
    /// # Errors
    /// When the two together are longer than [`MAX_PATH`].
    pub fn within(&self, folder: &Self) -> Result<Self, InvalidPath> {
        let whole = format!("{}/{}", folder.0, self.0);
        if whole.len() > MAX_PATH { Err(InvalidPath::TooLong(whole.len())) } else { Ok(Self(whole.into())) }
    }
}

impl FromStr for SourcePath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') || text.contains(':') {
            return Err(InvalidPath::NotRelative(text.to_owned()));
        }
        check_segments(text, text)?;
        Ok(Self(text.into()))
    }
}

fn check_segments(path: &str, whole: &str) -> Result<(), InvalidPath> {
    if whole.len() > MAX_PATH {
        return Err(InvalidPath::TooLong(whole.len()));
    }
    if is_plain(path) {
        return Ok(());
    }
    if !path.bytes().all(is_usual) && path.chars().any(is_forbidden) {
        return Err(InvalidPath::BadCharacter(whole.escape_debug().to_string()));
    }
    if path.split('/').any(|s| s.is_empty() || s == "." || s == "..") {
        return Err(InvalidPath::BadSegment(whole.to_owned()));
    }
    Ok(())
}

/// Whether `path` has usual characters alone and no segment that is empty or begins with a dot, as most paths. Without a way
/// out in the middle, the compiler looks at many bytes at once.
fn is_plain(path: &str) -> bool {
    let (Some((first, rest)), true) = (path.as_bytes().split_first(), !path.ends_with('/')) else { return false };
    let begins_well = |before: u8, byte: u8| before != b'/' || !matches!(byte, b'/' | b'.');
    let pairs = path.as_bytes().iter().zip(rest);
    pairs.fold(is_usual(*first) & begins_well(b'/', *first), |is_plain, (before, byte)| {
        is_plain & is_usual(*byte) & begins_well(*before, *byte)
    })
}

/// A character of ASCII that may stand in a path.
fn is_usual(byte: u8) -> bool {
    matches!(byte, b' '..=b'[' | b']'..=b'~')
}

fn is_forbidden(c: char) -> bool {
    c.is_control() || c == '\\'
}

/// Reads a path from where a text is written.
struct Written<P>(PhantomData<P>);

impl<P: FromStr<Err = InvalidPath>> Visitor<'_> for Written<P> {
    type Value = P;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<P, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! text_of_path {
    ($path:ident) => {
        impl<'de> Deserialize<'de> for $path {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Written(PhantomData))
            }
        }

        impl Serialize for $path {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $path {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

impl Borrow<str> for SourcePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

text_of_path!(SitePath);
text_of_path!(SourcePath);

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> SitePath {
        text.parse().unwrap()
    }

    #[test]
    fn good_paths_survive() {
        for good in ["/", "/a/", "/a/b.css", "/ja/会社/"] {
            assert_eq!(site(good).as_str(), good);
        }
    }

    #[test]
    fn a_path_cannot_leave_the_site() {
        for bad in ["", "a/", "//", "/a//b", "/../x", "/a/..", "/a/./b", "/a\\b", "/a\0", "/a\nb"] {
            assert!(bad.parse::<SitePath>().is_err(), "{bad:?}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "C:/x", "a\\b", "a/"] {
            assert!(bad.parse::<SourcePath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn requests_are_decoded_once_and_lose_their_query() {
        assert_eq!(SitePath::from_request("/a%20b/?x=../y"), Ok(site("/a b/")));
        assert_eq!(SitePath::from_request("/%252e%252e/"), Ok(site("/%2e%2e/")));
        for bad in ["/%2e%2e/x", "/a%2fb", "/a%00", "/%ff", "*", "http://other/"] {
            assert!(SitePath::from_request(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn within_goes_by_segments() {
        assert!(site("/local/map/").is_within(&site("/local/")));
        assert!(site("/local/").is_within(&site("/local/")));
        assert!(!site("/locality/").is_within(&site("/local/")));
        assert!(site("/anything").is_within(&SitePath::root()));
    }

    #[test]
    fn pages_are_kept_in_index_files() {
        assert_eq!(SitePath::root().to_file().as_str(), "index.html");
        assert_eq!(site("/news/").to_file().as_str(), "news/index.html");
        assert_eq!(site("/style.css").to_file().as_str(), "style.css");
    }
}
