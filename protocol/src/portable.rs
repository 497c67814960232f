//! Paths that mean the same on every system: a release's files can be kept as files anywhere, and no two of them look
//! like one another to a file system, or to whoever reads an address.

use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization as _;

/// The longest segment in bytes that every file system takes.
const MAX_SEGMENT: usize = 255;

/// What Windows keeps for devices, whatever ending follows.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Devices that have a number.
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];

/// Why a release may not have a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnportablePath {
    /// Windows could not keep the file.
    #[error("`{0}` cannot be a file on every system: {1}")]
    Name(String, &'static str),
    /// A character that nobody sees, or that turns the direction of what follows.
    #[error("`{}` has an invisible character", .0.escape_unicode())]
    Invisible(String),
    /// A word that is not what it looks like.
    #[error("`{0}` has a word of Latin and Cyrillic letters, which look alike")]
    MixedScripts(String),
    /// Two paths that some systems, or people, cannot tell apart.
    #[error("`{0}` and `{1}` differ in case or in how they are written alone")]
    Clash(String, String),
}

/// Checks every one of `paths`, and that no two of them are alike.
///
/// `is_there` says whether a path is one of them.
///
/// # Errors
/// See [`UnportablePath`].
pub fn check<'a>(paths: impl Iterator<Item = &'a str>, is_there: impl Fn(&str) -> bool) -> Result<(), UnportablePath> {
    let mut folded: HashMap<String, &str> = HashMap::new();
    for path in paths {
        path.split('/').try_for_each(|segment| check_segment(segment, path))?;
        if !path.is_ascii() {
            check_characters(path)?;
        }
        // Two paths that are both written plainly differ in what they say.
        let Some(plain) = plain_form(path) else { continue };
        if is_there(&plain) {
            return Err(UnportablePath::Clash(plain, path.to_owned()));
        }
        if let Some(other) = folded.insert(plain, path) {
            return Err(UnportablePath::Clash(other.to_owned(), path.to_owned()));
        }
    }
    Ok(())
}

fn check_segment(segment: &str, path: &str) -> Result<(), UnportablePath> {
    let why = if segment.len() > MAX_SEGMENT {
        "a segment is longer than 255 bytes"
    } else if segment.ends_with(['.', ' ']) || segment.starts_with(' ') {
        "a segment begins or ends with a blank, or ends with a dot"
    } else if segment.bytes().any(|byte| matches!(byte, b'<' | b'>' | b':' | b'"' | b'|' | b'?' | b'*')) {
        "it has one of the characters < > : \" | ? *"
    } else if is_device(segment) {
        "Windows keeps the name for a device"
    } else {
        return Ok(());
    };
    Err(UnportablePath::Name(path.to_owned(), why))
}

fn is_device(segment: &str) -> bool {
    let name = segment.split('.').next().unwrap_or_default();
    let is = |device: &&str| name.eq_ignore_ascii_case(device);
    let is_numbered = |device: &&str| {
        let rest =
            name.get(..device.len()).filter(|start| start.eq_ignore_ascii_case(device)).map(|_| &name[device.len()..]);
        rest.is_some_and(|rest| matches!(rest, "¹" | "²" | "³") || matches!(rest.as_bytes(), [b'1'..=b'9']))
    };
    DEVICES.iter().any(is) || NUMBERED_DEVICES.iter().any(is_numbered)
}

/// Checks the characters of a path that has others than ASCII.
fn check_characters(path: &str) -> Result<(), UnportablePath> {
    if path.chars().any(is_invisible) {
        return Err(UnportablePath::Invisible(path.to_owned()));
    }
    let mixed = |word: &str| word.chars().any(|c| c.is_ascii_alphabetic()) && word.chars().any(is_cyrillic);
    let is_mixed = path.split(|c: char| !c.is_alphabetic()).any(mixed);
    if is_mixed { Err(UnportablePath::MixedScripts(path.to_owned())) } else { Ok(()) }
}

/// Characters without a shape of their own. Joiners, which some scripts need, are not among them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_cyrillic(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{52f}')
}

/// The path in lower case, in the form in which what is equal is written equally and without joiners; none where it is
/// written so.
fn plain_form(path: &str) -> Option<String> {
    if path.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return None;
    }
    let visible = path.nfkc().filter(|c| !matches!(c, '\u{200c}' | '\u{200d}'));
    // Lower case can take a letter apart, and what then stands together is composed once more.
    let plain: String = visible.collect::<String>().to_lowercase().nfkc().collect();
    (plain != path).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(paths: &[&str]) -> Result<(), UnportablePath> {
        check(paths.iter().copied(), |path| paths.contains(&path))
    }

    #[test]
    fn what_sites_have_is_let_through() {
        let paths = ["/", "/.well-known/security.txt", "/News/", "/ja/会社/", "/обзор-iphone/", "/a b/", "/console/"];
        assert_eq!(checked(&paths), Ok(()));
        assert_eq!(checked(&["/com/", "/com10/", "/компания/", "/é/", "/می\u{200c}خواهم/"]), Ok(()));
    }

    #[test]
    fn names_that_some_systems_cannot_keep_are_refused() {
        let long = format!("/{}/", "a".repeat(256));
        for bad in ["/con/", "/a/NUL.txt", "/Com1/", "/lpt³.html", "/a./", "/a /", "/ a/", "/a:b/", "/a?/", "/*", &long]
        {
            assert!(matches!(checked(&[bad]), Err(UnportablePath::Name(..))), "{bad}");
        }
    }

    #[test]
    fn paths_that_look_alike_are_refused() {
        for (a, b) in
            [("/about/", "/About/"), ("/ABOUT/", "/About/"), ("/é/", "/e\u{301}/"), ("/a/", "/ａ/"), ("/ﬁx/", "/fix/")]
        {
            assert!(matches!(checked(&[a, b]), Err(UnportablePath::Clash(..))), "{a} {b}");
            assert!(matches!(checked(&[b, a]), Err(UnportablePath::Clash(..))), "{b} {a}");
        }
        assert!(matches!(checked(&["/\u{430}bout/"]), Err(UnportablePath::MixedScripts(_))));
        assert!(matches!(checked(&["/about\u{200b}/"]), Err(UnportablePath::Invisible(_))));
        assert!(matches!(checked(&["/a\u{202e}txt/"]), Err(UnportablePath::Invisible(_))));
    }
}
