//! Reading what is written plainly in a page, as almost all is: tags in small letters with quoted values, found without
//! the tokenizer.
//!
//! Only what this reader surely reads as the tokenizer does is read here. Before anything else it stops, and the tokenizer
//! goes on from the last tag behind which the reader rests. What a tag means is told by [`Reading`] in either case.

use memchr::{memchr, memmem};

use super::super::addresses::stays;
use super::{Does, Holds, RAW_TEXT, READ_OTHERWISE, Reading, StartTag};

/// Elements whose text is not read as markup, and which this reader knows the end of.
const KNOWN_RAW: [&str; 3] = ["title", "style", "script"];

/// A start tag that was read, and what of it is to be told.
struct Plain<'a> {
    name: &'a str,
    /// Where its attributes begin, and the place behind it.
    attributes: usize,
    end: usize,
    is_told: bool,
    is_self_closing: bool,
}

impl Reading {
    /// Reads a page from its beginning as far as it is plain. Returns where the tokenizer has to go on: the end, if the
    /// whole page is plain.
    pub(super) fn read_plain(&mut self, html: &str) -> usize {
        let mut at = 0;
        while let Some(next) = memchr(b'<', &html.as_bytes()[at..]) {
            match self.markup(html, at + next) {
                Some(end) => at = end,
                None => return self.rests.last().map_or(0, |rest| *rest as usize),
            }
        }
        html.len()
    }

    /// Reads the markup that begins at `at`. Returns the place behind it; none where it is not plain.
    fn markup(&mut self, html: &str, at: usize) -> Option<usize> {
        let bytes = html.as_bytes();
        match bytes.get(at + 1)? {
            b'/' => {
                let name = name_at(html, at + 2)?;
                let end = at + 2 + name.len();
                (bytes.get(end) == Some(&b'>')).then(|| self.rest(end + 1))?;
                Some(end + 1)
            }
            b'!' => declaration_end(bytes, at),
            _ => {
                let tag = Plain::read(html, at + 1)?;
                self.plain_tag(html, &tag)
            }
        }
    }

    /// Takes a start tag, and the text behind it if that is raw.
    fn plain_tag(&mut self, html: &str, tag: &Plain<'_>) -> Option<usize> {
        if !tag.is_told {
            self.rest(tag.end);
            return Some(tag.end);
        }
        let told = tag.told(html)?;
        if !RAW_TEXT.contains(&tag.name) {
            self.start_tag(&told);
            self.rest(tag.end);
            return Some(tag.end);
        }
        let text = tag.raw_text(html)?;
        self.start_tag(&told);
        if !text.is_empty() {
            self.text(text);
        }
        self.raw = None;
        let end = tag.end + text.len() + "</>".len() + tag.name.len();
        self.rest(end);
        Some(end)
    }
}

impl<'a> Plain<'a> {
    /// Reads the start tag whose name begins at `at`.
    fn read(html: &'a str, at: usize) -> Option<Self> {
        let name = name_at(html, at)?;
        let attributes = at + name.len();
        let mut is_told = is_told(name);
        let end = attributes_from(html, attributes, |key, value| is_told |= matters(name, key, value))?;
        let is_self_closing = html.as_bytes()[end - 2] == b'/';
        Some(Self { name, attributes, end, is_told, is_self_closing })
    }

    /// The tag as the tokenizer would give it; none where references or line ends would have to be read for that.
    fn told(&self, html: &str) -> Option<StartTag> {
        let mut tag = StartTag::default();
        tag.begin(self.name);
        let mut is_plain = true;
        attributes_from(html, self.attributes, |key, value| {
            is_plain &= !value.bytes().any(|byte| matches!(byte, b'&' | b'\r'));
            tag.attribute(key);
            tag.value(value);
        })?;
        is_plain.then_some(tag)
    }

    /// The raw text of the element up to its end tag; none where it may end elsewhere, or read otherwise.
    fn raw_text(&self, html: &'a str) -> Option<&'a str> {
        if self.is_self_closing || !KNOWN_RAW.contains(&self.name) {
            return None;
        }
        let behind = html.get(self.end..)?;
        let (text, end) = behind.split_at(memchr(b'<', behind.as_bytes())?);
        let closes = end.strip_prefix("</")?.strip_prefix(self.name)?.starts_with('>');
        let is_reference = |byte| byte == b'&' && self.name == "title";
        let is_plain = !text.bytes().any(|byte| byte == b'\r' || is_reference(byte));
        (closes && is_plain).then_some(text)
    }
}

/// Whether an operator may be told of an element whatever attributes it has.
fn is_told(name: &str) -> bool {
    RAW_TEXT.contains(&name) || READ_OTHERWISE.contains(&name) || !matches!(Does::of(name), Does::Nothing)
}

/// Whether an operator may be told of an attribute.
fn matters(name: &str, key: &str, value: &str) -> bool {
    match Holds::of(key) {
        Holds::Address => !stays(value),
        Holds::Addresses | Holds::Style | Holds::Script => true,
        Holds::Nothing => name == "meta" && key == "http-equiv",
    }
}

/// The name in small letters that begins at `at`.
fn name_at(html: &str, at: usize) -> Option<&str> {
    let rest = html.get(at..)?;
    let is_name = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    let length = rest.bytes().take_while(is_name).count();
    rest.starts_with(|first: char| first.is_ascii_lowercase()).then(|| &rest[..length])
}

/// Gives each attribute with its value, as they are written, to `each`. Returns the place behind the tag; none where it is
/// not plain.
fn attributes_from<'a>(html: &'a str, mut at: usize, mut each: impl FnMut(&'a str, &'a str)) -> Option<usize> {
    let bytes = html.as_bytes();
    loop {
        let from = at;
        at = run(bytes, at, |byte| matches!(byte, b' ' | b'\n' | b'\t'));
        match bytes.get(at)? {
            b'>' => return Some(at + 1),
            b'/' if bytes.get(at + 1) == Some(&b'>') => return Some(at + 2),
            b'a'..=b'z' if at > from => {}
            _ => return None,
        }
        let key_end = run(bytes, at, |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b':' | b'_'));
        let key = &html[at..key_end];
        at = key_end;
        let mut value = "";
        if bytes.get(at) == Some(&b'=') {
            (value, at) = value_at(html, at + 1)?;
        }
        each(key, value);
    }
}

/// The value that begins at `at`, and the place behind it.
fn value_at(html: &str, at: usize) -> Option<(&str, usize)> {
    let bytes = html.as_bytes();
    if let quote @ (b'"' | b'\'') = *bytes.get(at)? {
        let from = at + 1;
        let end = from + memchr(quote, &bytes[from..])?;
        return Some((&html[from..end], end + 1));
    }
    let is_plain = |byte| byte > b' ' && !matches!(byte, b'"' | b'\'' | b'<' | b'=' | b'`' | b'>');
    let end = run(bytes, at, is_plain);
    (end > at).then(|| (&html[at..end], end))
}

/// The end of what begins with `<!` at `at`: the usual declaration of a page, or a comment.
fn declaration_end(bytes: &[u8], at: usize) -> Option<usize> {
    const DOCTYPE: &[u8] = b"<!doctype html>";
    let rest = &bytes[at..];
    if rest.get(..DOCTYPE.len()).is_some_and(|first| first.eq_ignore_ascii_case(DOCTYPE)) {
        return Some(at + DOCTYPE.len());
    }
    let comment = rest.strip_prefix(b"<!--")?;
    let length = memmem::find(comment, b"-->")?;
    let is_plain = !comment.starts_with(b">") && !comment.starts_with(b"->");
    let ends_before = memmem::find(&comment[..length], b"--!>").is_some();
    (is_plain && !ends_before).then_some(at + "<!--".len() + length + "-->".len())
}

/// The first place from `at` on where `is_of` does not hold; the end, where it holds to there.
fn run(bytes: &[u8], at: usize, is_of: impl Fn(u8) -> bool) -> usize {
    bytes[at..].iter().position(|byte| !is_of(*byte)).map_or(bytes.len(), |length| at + length)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::Quiet;
    use super::*;

    /// What pages are made of, in pieces that make almost anything together.
    const PIECES: [&str; 66] = [
        "<",
        "</",
        ">",
        "/>",
        "/",
        " ",
        "\n",
        "\r",
        "\t",
        "=",
        "\"",
        "'",
        "`",
        "-",
        "!",
        "?",
        "<!--",
        "-->",
        "--!>",
        "--",
        "<!doctype html>",
        "<!DOCTYPE html>",
        "<![CDATA[",
        "]]>",
        "a",
        "p",
        "br",
        "meta",
        "form",
        "svg",
        "iframe",
        "object",
        "embed",
        "base",
        "script",
        "style",
        "title",
        "textarea",
        "noscript",
        "plaintext",
        "x-y",
        "A",
        "href",
        "src",
        "srcset",
        "onclick",
        "style=",
        "type",
        "http-equiv",
        "content",
        "refresh",
        "application/ld+json",
        "{\"name\":\"a\"}",
        "/b/",
        "#c",
        "//evil.example/",
        "https://evil.example/",
        "javascript:x()",
        "0; url=//e.example/",
        "url(//e.example/)",
        "&amp;",
        "&lt;",
        "&#47;",
        "é",
        "\u{feff}",
        "word",
    ];

    /// A page with most of what pages have, all of it plain.
    const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=utf-8><title>A &ampersand</title>\n\
        <meta name=\"description\" content=\"a &amp; b\"><link rel=stylesheet href=/style.css>\
        <style>a{background:url(//css.example/)}</style><script src='/x.js' defer></script>\
        <script type=\"application/ld+json\">{\"name\":\"a\",\"url\":\"/b/\"}</script></head>\
        <!-- words --><body class=\"x\"><a href=\"/a/?b&amp;c\">a</a><a href='//evil.example/'>b</a><img src=/a.png alt>\
        <form action=\"/pay\"><input disabled/></form><p onclick=\"x()\">c &lt; d</p></body></html>";

    /// The page as the tokenizer alone reads it.
    fn tokenized(html: &str) -> Reading {
        let mut reading = Reading { length: html.len(), ..Reading::default() };
        reading.check_encoding(html);
        reading.tokenize(html, Quiet);
        reading
    }

    fn check(html: &str) -> Result<(), TestCaseError> {
        let (read, alone) = (Reading::without_skeleton(html), tokenized(html));
        prop_assert_eq!(&read.rests, &alone.rests, "{}", html);
        prop_assert_eq!(&read.risks, &alone.risks, "{}", html);
        prop_assert_eq!(read.doubtful, alone.doubtful, "{}", html);
        Ok(())
    }

    #[test]
    fn a_usual_page_is_plain_to_its_end() {
        let page = PAGE.replace("&ampersand", "ampersand");
        assert_eq!(Reading::default().read_plain(&page), page.len());
        assert_eq!(Reading::default().read_plain(PAGE), PAGE.find("<title>").unwrap(), "a reference may be a tag");
        check(&page).unwrap();
        check(PAGE).unwrap();
    }

    #[test]
    fn every_element_whose_text_is_raw_or_doubtful_is_told() {
        for name in RAW_TEXT.iter().chain(&READ_OTHERWISE) {
            let page = format!("<{name}><a href=//evil.example/>a</a></{name}><p>b</p>");
            check(&page).unwrap();
            assert!(is_told(name), "{name}");
        }
    }

    #[test]
    fn every_element_that_does_something_by_itself_is_told() {
        for name in ["script", "form", "iframe", "object", "embed"] {
            let page = format!("<{name} src=/a></{name}><p>b</p>");
            check(&format!("<{name}></{name}>")).unwrap();
            check(&page).unwrap();
            assert!(!Reading::without_skeleton(&page).risks.is_empty(), "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn what_is_plain_is_read_as_the_tokenizer_reads_it(pieces in vec(select(&PIECES[..]), 0..40)) {
            check(&pieces.concat())?;
        }

        #[test]
        fn so_is_a_page_in_which_anything_stands_anywhere(
            at in 0..PAGE.len(), gone in 0_usize..12, pieces in vec(select(&PIECES[..]), 0..6)
        ) {
            let page = PAGE.replace("&ampersand", "ampersand");
            let end = (at + gone).min(page.len());
            let (at, end) = (at.min(page.len()), end);
            check(&[&page[..at], &pieces.concat(), &page[end..]].concat())?;
        }
    }
}
