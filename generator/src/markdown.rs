//! Markdown to HTML, with the links it holds. Pure: where a linked file's page stands comes in as an argument.
//!
//! Raw HTML passes through, since whoever edits a site may write what its pages say.

use std::ops::Range;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, html};
use tieup_protocol::path::SitePath;

use crate::anchors::{Anchors, Heading};
use crate::source::scrub_text;
use crate::url;

/// The body of a page as HTML.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Body {
    /// The HTML.
    pub(crate) html: String,
    /// The links and pictures that stay on the site.
    pub(crate) links: Vec<Link>,
    /// How long it is.
    pub(crate) length: Length,
    /// Its headings.
    pub(crate) headings: Vec<Heading>,
    /// How many bytes of the HTML stand before `<!-- more -->`, where that is written.
    pub(crate) summary: Option<usize>,
}

/// How long a text is. Scripts without spaces between words are counted by characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Length {
    words: usize,
    ideographs: usize,
}

/// A link or picture in Markdown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// What it is.
    pub(crate) kind: LinkKind,
    /// The destination as written, where it leads nowhere.
    pub(crate) written: String,
    /// Where it leads.
    pub(crate) target: Target,
    /// Where the destination stands in the file, in bytes.
    pub(crate) span: Range<usize>,
}

/// What a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkKind {
    /// A link to follow.
    Link,
    /// A picture to show.
    Picture,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To a path of the site.
    Path {
        /// The path.
        path: SitePath,
        /// The anchor on that page.
        fragment: Option<String>,
    },
    /// To a Markdown file that does not exist; its path below `content/`.
    NoFile(String),
    /// To nowhere: it is not a path.
    Invalid,
}

/// What the links of one text are relative to.
pub(crate) struct Base<'a> {
    /// The page the text becomes.
    pub(crate) page: &'a SitePath,
    /// The folder of the file below `content/`, without slashes around it.
    pub(crate) folder: &'a str,
    /// The page that a Markdown file becomes, by its path below `content/`.
    pub(crate) page_of: &'a dyn Fn(&str) -> Option<SitePath>,
}

/// What ends a summary, as a line of its own.
const MORE: &str = "<!-- more -->";

/// Stands for [`MORE`] until the HTML is done. No text holds it: see [`crate::source::is_forbidden`].
const CUT: &str = "\u{4}";

/// Renders the Markdown that begins at byte `start` of `text`.
pub(crate) fn render(text: &str, start: usize, base: &Base<'_>) -> Body {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_GFM;
    let mut body = Body::default();
    let mut anchors = Anchors::default();
    let mut events = Vec::with_capacity((text.len() - start) / 12);
    let (mut depth, mut cut) = (0, false);
    body.html.reserve((text.len() - start) * 3 / 2);
    for (mut event, range) in Parser::new_ext(&text[start..], options).into_offset_iter() {
        let range = range.start + start..range.end + start;
        match &event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            // An HTML block is itself an element, so at the top of the text its lines are one deep.
            Event::Html(html) if depth == 1 && html.trim() == MORE => {
                event = Event::Html(CowStr::Borrowed(CUT));
                cut = true;
            }
            _ => {}
        }
        body.visit(&mut event, text, range, base);
        anchors.visit(&event, events.len());
        events.push(event);
        anchors.settle(&mut events);
    }
    html::push_html(&mut body.html, events.into_iter());
    body.html.shrink_to_fit();
    body.links.shrink_to_fit();
    body.headings = anchors.headings;
    body.summary = if cut { body.html.find(CUT) } else { None };
    scrub_text(&mut body.html);
    body
}

impl Body {
    fn visit(&mut self, event: &mut Event<'_>, text: &str, range: Range<usize>, base: &Base<'_>) {
        let (kind, destination) = match event {
            Event::Start(Tag::Link { dest_url, .. }) => (LinkKind::Link, dest_url),
            Event::Start(Tag::Image { dest_url, .. }) => (LinkKind::Picture, dest_url),
            Event::Text(words) | Event::Code(words) => return self.length.add(words),
            _ => return,
        };
        if url::is_external(destination) {
            return;
        }
        let written = destination.to_string();
        let (target, address) = resolve(&written, base);
        if let Some(address) = address {
            *destination = CowStr::from(address);
        }
        let span = destination_span(text, range, &written);
        // Kept only for the complaint: a large site has many links.
        let written = if target == Target::Invalid { written } else { String::new() };
        self.links.push(Link { kind, written, target, span });
    }
}

/// Where in the file a destination stands; the whole link where it is written elsewhere, as in a reference.
fn destination_span(text: &str, range: Range<usize>, written: &str) -> Range<usize> {
    let whole = &text[range.clone()];
    match whole.rfind(written).filter(|_| !written.is_empty()) {
        Some(at) => range.start + at..range.start + at + written.len(),
        None => range.start..range.start + whole.lines().next().map_or(0, str::len),
    }
}

/// Where `written` leads, and how the page spells it if not as written.
fn resolve(written: &str, base: &Base<'_>) -> (Target, Option<String>) {
    let (rest, fragment) = match written.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (written, None),
    };
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    let path = if place.is_empty() {
        Ok(base.page.clone())
    } else if is_markdown(place) && !place.starts_with('/') {
        let file = join(base.folder, place).map(|file| decoded(&file));
        let page = file.as_deref().and_then(base.page_of);
        page.ok_or_else(|| Target::NoFile(file.unwrap_or_else(|| place.to_owned())))
    } else if place.starts_with('/') {
        SitePath::from_request(place).map_err(|_| Target::Invalid)
    } else {
        let folder = base.page.as_str().rsplit_once('/').map_or("", |(folder, _)| folder);
        let joined = join(folder.trim_matches('/'), place).map(|joined| format!("/{joined}"));
        joined.and_then(|joined| SitePath::from_request(&joined).ok()).ok_or(Target::Invalid)
    };
    match path {
        Err(target) => (target, None),
        Ok(path) => {
            let address = (!place.is_empty() && !place.starts_with('/')).then(|| {
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
                format!("{}{query}{fragment}", url::encode(&path))
            });
            let fragment = fragment.filter(|fragment| !fragment.is_empty()).map(decoded);
            (Target::Path { path, fragment }, address)
        }
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn is_markdown(place: &str) -> bool {
    place.len() > 3 && place.get(place.len() - 3..).is_some_and(|end| end.eq_ignore_ascii_case(".md"))
}

/// `relative` seen from `folder`, without `.` and `..`; none where it climbs out of the root.
fn join(folder: &str, relative: &str) -> Option<String> {
    let mut segments: Vec<&str> = folder.split('/').filter(|segment| !segment.is_empty()).collect();
    let mut last = "";
    for segment in relative.split('/') {
        last = segment;
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()?),
            segment => segments.push(segment),
        }
    }
    let slash = if matches!(last, "" | "." | "..") && !segments.is_empty() { "/" } else { "" };
    Some(format!("{}{slash}", segments.join("/")))
}

impl Length {
    fn add(&mut self, words: &str) {
        if words.is_ascii() {
            return self.add_ascii(words.as_bytes());
        }
        let mut inside = false;
        for c in words.chars() {
            if is_ideograph(c) {
                self.ideographs += 1;
                inside = false;
            } else if c.is_alphanumeric() {
                self.words += usize::from(!inside);
                inside = true;
            } else if c.is_whitespace() {
                inside = false;
            }
        }
    }

    fn add_ascii(&mut self, words: &[u8]) {
        let mut inside = 0;
        for byte in words {
            let class = CLASSES[usize::from(*byte)];
            let letter = class >> 1;
            self.words += usize::from(letter & (inside ^ 1));
            inside = letter | (inside & (class ^ SPACE));
        }
    }

    /// Words, each ideograph counted as one.
    pub(crate) fn words(self) -> usize {
        self.words + self.ideographs
    }

    /// Minutes of reading, at 220 words or 500 ideographs a minute; at least 1.
    pub(crate) fn minutes(self) -> usize {
        (self.words * 500 + self.ideographs * 220).div_ceil(220 * 500).max(1)
    }
}

const LETTER: u8 = 2;
const SPACE: u8 = 1;

/// What each ASCII byte is to the counting of words, as bits, so that counting needs no branches.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b if b.is_ascii_alphanumeric() => LETTER,
            b if b.is_ascii_whitespace() => SPACE,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Whether `c` is of a script that is written without spaces: kana and Han.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Body {
        let page: SitePath = "/help/ordering/".parse().unwrap();
        let page_of = |file: &str| (file == "help/delivery.md").then(|| "/help/post/".parse().unwrap());
        render(text, 0, &Base { page: &page, folder: "help", page_of: &page_of })
    }

    fn leads(text: &str) -> (Target, String) {
        let body = body(text);
        let address = body.html.split('"').nth(1).unwrap_or_default().to_owned();
        (body.links[0].target.clone(), address)
    }

    fn to(path: &str, fragment: Option<&str>) -> Target {
        Target::Path { path: path.parse().unwrap(), fragment: fragment.map(str::to_owned) }
    }

    #[test]
    fn links_lead_where_a_reader_would_expect() {
        let table = [
            ("[a](/news/)", to("/news/", None), "/news/"),
            ("[a](/news/?q=1#top)", to("/news/", Some("top")), "/news/?q=1#top"),
            ("[a](delivery.md)", to("/help/post/", None), "/help/post/"),
            ("[a](../help/delivery.md#cost)", to("/help/post/", Some("cost")), "/help/post/#cost"),
            ("[a](#cost)", to("/help/ordering/", Some("cost")), "#cost"),
            ("[a](../returns/)", to("/help/returns/", None), "/help/returns/"),
            ("[a](/%E4%BC%9A/)", to("/会/", None), "/%E4%BC%9A/"),
        ];
        for (text, target, address) in table {
            assert_eq!(leads(text), (target, address.to_owned()), "{text}");
        }
        assert_eq!(leads("[a](nowhere.md)").0, Target::NoFile("help/nowhere.md".to_owned()));
        assert_eq!(leads("[a](../../../x/)").0, Target::Invalid);
        assert_eq!(leads("[a](/a//b)").0, Target::Invalid);
        assert!(body("[a](https://b.example/) [c](mailto:d@e.example)").links.is_empty());
    }

    #[test]
    fn a_link_knows_where_it_stands() {
        let text = "Words.\n\nSee [the](/the/) and ![a cup](/cup.png).\n";
        let links = body(text).links;
        assert_eq!(&text[links[0].span.clone()], "/the/");
        assert_eq!((links[1].kind, &text[links[1].span.clone()]), (LinkKind::Picture, "/cup.png"));
        let text = "See [the one][x].\n\n[x]: /the/\n";
        assert_eq!(&text[body(text).links[0].span.clone()], "[the one][x]");
    }

    #[test]
    fn words_are_counted_in_both_kinds_of_script() {
        let length = body("It's a *well-made* cup, 12 cm.\n\n使いやすい器 abc").length;
        assert_eq!((length.words(), length.minutes()), (7 + 6, 1));
        assert_eq!(Length { words: 440, ideographs: 501 }.minutes(), 4);
    }

    #[test]
    fn a_summary_ends_at_its_line_and_nowhere_else() {
        let cut = body("One *two*.\n\n<!-- more -->\n\nThree.\n");
        assert_eq!(&cut.html[..cut.summary.unwrap()], "<p>One <em>two</em>.</p>\n");
        assert!(!cut.html.contains("more"));
        for other in ["> <!-- more -->\n", "    <!-- more -->\n", "a `<!-- more -->`", "a\n"] {
            assert_eq!(body(other).summary, None, "{other}");
        }
    }

    #[test]
    fn no_control_character_survives() {
        assert_eq!(body("a&#1;b&#x2;c").html, "<p>abc</p>\n");
    }

    proptest::proptest! {
        #[test]
        fn any_text_renders(text in "[\\[\\]()#./a会 \n!<>&\"-]{0,60}") {
            let body = body(&text);
            for link in &body.links {
                proptest::prop_assert!(text.get(link.span.clone()).is_some());
            }
        }
    }
}
