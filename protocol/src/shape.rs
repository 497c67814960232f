//! The shape of a page: all of it but its words, and what in it an operator wants to know of.
//!
//! Pages are read by the tokenizer rules of the HTML standard. Where a browser might see something else than the
//! tokenizer does, the shape keeps everything, so that such a page is never taken for a change of words.

use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;
use std::ops::Range;
use std::rc::Rc;

use html5gum::emitters::callback::{Callback, CallbackEmitter, CallbackEvent};
use html5gum::{Emitter, ForwardingEmitter, Readable as _, Reader, Span, StringReader, Tokenizer};
use serde_json::Value;

use crate::change::Risks;
use crate::digest::Digest;
use crate::patch::{equal_at_end, equal_at_start};
use crate::redirect;

/// Elements that are marks around words. Without attributes of their own they count as text.
const TEXT_ELEMENTS: [&str; 32] = [
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "em",
    "strong",
    "b",
    "i",
    "code",
    "pre",
    "br",
    "hr",
    "blockquote",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "dl",
    "dt",
    "dd",
    "s",
    "small",
    "sub",
    "sup",
];

/// Elements whose text is not read as markup, or not by every browser.
const RAW_TEXT: [&str; 11] = [
    "title",
    "textarea",
    "script",
    "style",
    "xmp",
    "iframe",
    "noembed",
    "noframes",
    "noframe",
    "noscript",
    "plaintext",
];

/// Elements in which the same characters can be words to one reader and markup to another. The tokenizer takes
/// `noframe` for what `noframes` is; a browser passes over `plaintext` in some places.
const READ_OTHERWISE: [&str; 5] = ["svg", "math", "noframes", "noframe", "plaintext"];

/// How deep texts are read as markup that stand in one another.
const DEEPEST: usize = 4;

/// What stands for the name of a script element that holds JSON-LD, which browsers never run.
const JSON_LD: &str = "script of JSON-LD";

/// The keys of JSON-LD whose texts are words.
const JSON_LD_WORDS: [&str; 3] = ["name", "headline", "description"];

/// Attributes whose address may take a visitor or their data somewhere.
const ADDRESSES: [&str; 7] = ["href", "src", "action", "formaction", "data", "poster", "xlink:href"];

/// Attributes that hold several such addresses, between blanks and commas.
const LISTS: [&str; 3] = ["srcset", "imagesrcset", "ping"];

/// What a page has beside its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageShape {
    /// Scripts, forms and external hosts of the page.
    pub risks: Risks,
    /// Whether browsers may take something in it for words or for markup that our reader does not.
    doubtful: bool,
    /// Behind which tags the reader rests: whatever follows there is read as it would be at the beginning of a page.
    rests: Vec<u32>,
}

/// How a page came of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The page that came. Its risks are those that it has, and may be those that the page before it had.
    pub shape: PageShape,
    /// Whether the two differ in words alone.
    pub in_words_alone: bool,
}

impl PageShape {
    /// Reads the shape of an HTML page.
    pub fn of(html: &str) -> Self {
        let Reading { risks, doubtful, rests, .. } = Reading::without_skeleton(html);
        Self { risks, doubtful, rests }
    }

    /// How `new` came of `old`, whose shape this is. Only what differs is read, from a tag behind which both rest to
    /// the next such tag.
    pub fn step(&self, old: &str, new: &str) -> Step {
        let equal = equal_at_start(old.as_bytes(), new.as_bytes());
        let from = self.rests.partition_point(|rest| *rest as usize <= equal);
        let start = from.checked_sub(1).map_or(0, |last| self.rests[last] as usize);
        let behind = equal_at_end(&old.as_bytes()[equal..], &new.as_bytes()[equal..]);
        let next = self.rests[from..].iter().map(|rest| *rest as usize).find(|rest| rest + behind >= old.len());
        let after = old.len() - next.unwrap_or(old.len());
        let step = self.step_within(old, new, start, after).or_else(|| self.step_within(old, new, start, 0));
        match step {
            // What has become doubtful may be so in what is equal, too.
            Some(step) if step.shape.doubtful && !self.doubtful => Step { shape: Self::of(new), in_words_alone: false },
            Some(step) => step,
            // The shape is not that of `old`.
            None => Self::of(old).step(old, new),
        }
    }

    /// The same, where the pages are equal before `start` and in their last `after` bytes. None where they do not rest
    /// at both places.
    fn step_within(&self, old: &str, new: &str, start: usize, after: usize) -> Option<Step> {
        let (old_end, new_end) = (old.len().checked_sub(after)?, new.len().checked_sub(after)?);
        let before = Reading::within(self, old.get(start..old_end)?);
        let now = Reading::within(self, new.get(start..new_end)?);
        if after > 0 && !(before.is_at_rest() && now.is_at_rest()) {
            return None;
        }
        // Where the same characters can be words or markup, nothing is said of the page.
        let doubtful = self.doubtful || now.doubtful;
        let in_words_alone = !doubtful && before.skeleton == now.skeleton;
        let moved = |rest: u32| u32::try_from(rest as usize + new_end - old_end).ok();
        let kept = self.rests.iter().copied();
        let first = kept.clone().take_while(|rest| *rest as usize <= start);
        let read = now.rests.iter().filter_map(|rest| u32::try_from(start + *rest as usize).ok());
        let last = kept.filter(|rest| *rest as usize > old_end).filter_map(moved);
        let mut risks = self.risks.clone();
        risks.extend(now.risks);
        let shape = Self { risks, doubtful, rests: first.chain(read).chain(last).collect() };
        Some(Step { shape, in_words_alone })
    }
}

/// A page, or a part of one, as it is read.
#[derive(Default)]
struct Reading {
    /// What is no words so far, if it is wanted: pieces, each with its kind and length before it.
    skeleton: Option<Vec<u8>>,
    risks: Risks,
    /// The element that is open and whose text is not read as markup.
    raw: Option<&'static str>,
    doubtful: bool,
    rests: Vec<u32>,
    /// How many bytes there are.
    length: usize,
    /// In how many texts that are not read as markup it stands.
    depth: usize,
    /// The start tag that is being read.
    tag: Option<StartTag>,
    /// Room for the next one.
    spare: StartTag,
}

/// Hears what the tokenizer finds.
struct Listener<'a> {
    reading: &'a mut Reading,
    taken: Rc<Cell<usize>>,
}

impl Callback<Infallible, ()> for Listener<'_> {
    fn handle_event(&mut self, event: CallbackEvent<'_>, _: Span<()>) -> Option<Infallible> {
        self.reading.take(event, self.taken.get());
        None
    }
}

/// Does not have the tokenizer look for errors.
struct Quiet<E>(E);

impl<E: Emitter<Token = Infallible>> ForwardingEmitter for Quiet<E> {
    type Token = Infallible;

    fn inner(&mut self) -> &mut impl Emitter<Token = Infallible> {
        &mut self.0
    }

    fn should_emit_errors(&mut self) -> bool {
        false
    }
}

/// Gives a text to the tokenizer and counts how much of it was taken.
struct Counted<'a> {
    text: StringReader<'a>,
    taken: Rc<Cell<usize>>,
}

impl Counted<'_> {
    fn count(&self, bytes: usize) {
        self.taken.set(self.taken.get() + bytes);
    }
}

impl Reader for Counted<'_> {
    type Error = Infallible;

    fn read_byte(&mut self) -> Result<Option<u8>, Infallible> {
        let byte = self.text.read_byte()?;
        self.count(usize::from(byte.is_some()));
        Ok(byte)
    }

    fn try_read_string(&mut self, text: &[u8], case_sensitive: bool) -> Result<bool, Infallible> {
        let is_next = self.text.try_read_string(text, case_sensitive)?;
        self.count(if is_next { text.len() } else { 0 });
        Ok(is_next)
    }

    fn read_until<'b>(&'b mut self, needle: &[u8], room: &'b mut [u8; 4]) -> Result<Option<&'b [u8]>, Infallible> {
        let read = self.text.read_until(needle, room)?;
        self.taken.set(self.taken.get() + read.map_or(0, <[u8]>::len));
        Ok(read)
    }
}

/// What a piece of the skeleton is.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Piece {
    Start,
    Attribute,
    Value,
    End,
    Raw,
    Comment,
    Other,
}

/// A start tag with its attributes, in the order in which they stand.
#[derive(Default)]
struct StartTag {
    text: String,
    name: Range<usize>,
    attributes: Vec<(Range<usize>, Range<usize>)>,
}

impl Reading {
    /// Reads a part of a page that had `shape`.
    fn within(shape: &PageShape, html: &str) -> Self {
        let doubtful = shape.doubtful;
        let mut reading = Self { length: html.len(), skeleton: Some(Vec::new()), doubtful, ..Self::default() };
        reading.read(html, |emitter| emitter);
        reading
    }

    /// Reads what a shape is made of, which is quicker.
    fn without_skeleton(html: &str) -> Self {
        let mut reading = Self { length: html.len(), ..Self::default() };
        reading.read(html, Quiet);
        reading
    }

    fn read<'a, E: Emitter<Token = Infallible>>(
        &'a mut self,
        html: &str,
        wrap: impl FnOnce(CallbackEmitter<Listener<'a>>) -> E,
    ) {
        if html.contains(['\0', char::REPLACEMENT_CHARACTER]) {
            // A browser may take it for another encoding, in which it says something else.
            self.doubtful = true;
            self.risks.scripts.insert("text that is not UTF-8".to_owned());
        }
        let taken = Rc::new(Cell::new(0));
        let mut emitter = CallbackEmitter::new(Listener { reading: self, taken: taken.clone() });
        emitter.naively_switch_states(true);
        let Ok(()) = Tokenizer::new_with_emitter(Counted { text: html.to_reader(), taken }, wrap(emitter)).finish();
    }

    /// Whether it ended behind a tag, so that whatever follows is read as at the beginning.
    fn is_at_rest(&self) -> bool {
        self.rests.last().map_or(0, |rest| *rest as usize) == self.length
    }

    /// Notes that everything before `place` is told, and nothing is open.
    fn rest(&mut self, place: usize) {
        self.rests.extend(u32::try_from(place));
    }

    /// Takes what the tokenizer found before `place`.
    fn take(&mut self, event: CallbackEvent<'_>, place: usize) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                let mut tag = std::mem::take(&mut self.spare);
                tag.begin(&lossy(name));
                self.tag = Some(tag);
            }
            CallbackEvent::AttributeName { name } => match &mut self.tag {
                Some(tag) => tag.attribute(&lossy(name)),
                None => self.note(Piece::Other, name),
            },
            CallbackEvent::AttributeValue { value } => match &mut self.tag {
                Some(tag) => tag.value(&lossy(value)),
                None => self.note(Piece::Other, value),
            },
            CallbackEvent::CloseStartTag { .. } => {
                if let Some(tag) = self.tag.take() {
                    self.start_tag(&tag);
                    if self.raw.is_none() {
                        self.rest(place);
                    }
                    self.spare = tag;
                }
            }
            CallbackEvent::EndTag { name } => {
                self.raw = None;
                self.rest(place);
                if !is_text_element(&lossy(name)) {
                    self.note(Piece::End, name);
                }
            }
            CallbackEvent::String { value } => self.text(&lossy(value)),
            CallbackEvent::Comment { value } => self.note(Piece::Comment, value),
            other @ (CallbackEvent::Doctype { .. } | CallbackEvent::Error(_)) => {
                self.note(Piece::Other, format!("{other:?}").as_bytes());
            }
        }
    }

    fn note(&mut self, piece: Piece, bytes: &[u8]) {
        let Some(skeleton) = &mut self.skeleton else { return };
        skeleton.push(piece as u8);
        skeleton.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        skeleton.extend_from_slice(bytes);
    }

    /// Words count for nothing, but within elements whose text is not read as markup it is kept; of these a title's
    /// is free as long as no browser could take it for markup.
    fn text(&mut self, text: &str) {
        let Some(name) = self.raw else { return };
        if name == "title" && !text.contains('<') {
            return;
        }
        if name == JSON_LD
            && let Some(data) = json_ld_without_words(text)
        {
            return self.note(Piece::Raw, data.as_bytes());
        }
        match name {
            "script" | JSON_LD => {
                let digest = Digest::of(text.as_bytes()).hex();
                self.risks.scripts.insert(format!("inline ({})", &digest[..8]));
            }
            "style" => self.risks.hosts.extend(hosts_in_css(text)),
            _ => {}
        }
        if self.doubtful || !matches!(name, "script" | "style" | JSON_LD) {
            self.read_as_markup(text);
        }
        self.note(Piece::Raw, text.as_bytes());
    }

    /// Takes the risks of what some browser, or one without scripts, may read as markup.
    fn read_as_markup(&mut self, text: &str) {
        if !text.contains('<') {
            return;
        }
        if self.depth == DEEPEST {
            self.risks.scripts.insert("markup within unread markup".to_owned());
            return;
        }
        let mut within = Self { depth: self.depth + 1, doubtful: self.doubtful, ..Self::default() };
        within.read(text, Quiet);
        self.risks.extend(within.risks);
    }

    fn start_tag(&mut self, tag: &StartTag) {
        self.note_risks(tag);
        let name = tag.name();
        let raw = RAW_TEXT.into_iter().find(|raw| *raw == name);
        self.raw = if tag.is_json_ld() { Some(JSON_LD) } else { raw };
        self.doubtful |= READ_OTHERWISE.contains(&name);
        let described = name == "meta" && tag.is_description();
        let is_words = |key: &str| (described && key == "content") || (is_heading(name) && key == "id");
        let mut kept = tag.attributes().filter(|(key, _)| !is_words(key)).peekable();
        if is_text_element(name) && kept.peek().is_none() {
            return;
        }
        self.note(Piece::Start, name.as_bytes());
        for (key, value) in kept {
            self.note(Piece::Attribute, key.as_bytes());
            self.note(Piece::Value, value.as_bytes());
        }
    }

    fn note_risks(&mut self, tag: &StartTag) {
        let name = tag.name();
        match name {
            "script" => {
                self.risks.scripts.extend(tag.get("src").map(visible));
            }
            "form" => {
                self.risks.forms.insert(tag.get("action").map_or_else(|| "the page itself".to_owned(), visible));
            }
            "iframe" | "object" | "embed" => {
                self.risks.scripts.insert(format!("<{name}>"));
            }
            _ => {}
        }
        for (key, value) in tag.attributes() {
            if key.starts_with("on") {
                let digest = Digest::of(value.as_bytes()).hex();
                self.risks.scripts.insert(format!("{} on <{}> ({})", visible(key), visible(name), &digest[..8]));
            }
            if ADDRESSES.contains(&key) {
                self.risks.hosts.extend(external_host(value));
            }
            if LISTS.contains(&key) {
                self.risks.hosts.extend(value.split([',', ' ', '\t', '\n', '\r']).filter_map(external_host));
            }
            if key == "style" {
                self.risks.hosts.extend(hosts_in_css(value));
            }
        }
        if name == "meta" && tag.get("http-equiv").is_some_and(|v| v.eq_ignore_ascii_case("refresh")) {
            let to = tag.get("content").unwrap_or_default();
            if !redirect::address(to).is_some_and(is_plainly_local) {
                self.risks.scripts.insert(format!("meta refresh to {}", visible(to)));
            }
        }
    }
}

impl StartTag {
    fn begin(&mut self, name: &str) {
        self.text.clear();
        self.attributes.clear();
        self.name = self.add(name);
    }

    fn attribute(&mut self, name: &str) {
        let name = self.add(name);
        self.attributes.push((name, 0..0));
    }

    fn value(&mut self, value: &str) {
        let value = self.add(value);
        if let Some((_, empty)) = self.attributes.last_mut() {
            *empty = value;
        }
    }

    fn add(&mut self, text: &str) -> Range<usize> {
        let from = self.text.len();
        self.text.push_str(text);
        from..self.text.len()
    }

    fn name(&self) -> &str {
        &self.text[self.name.clone()]
    }

    fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (&self.text[name.clone()], &self.text[value.clone()]))
    }

    /// The value of the attribute `wanted`; of several of one name the first counts, as it does for browsers.
    fn get(&self, wanted: &str) -> Option<&str> {
        self.attributes().find(|(name, _)| *name == wanted).map(|(_, value)| value)
    }

    /// Whether a `meta` holds words alone: a description, or a title that other sites show.
    fn is_description(&self) -> bool {
        let named = (self.get("name"), self.get("property"));
        let described = matches!(named, (Some("description"), None) | (None, Some("og:title" | "og:description")));
        described && self.get("http-equiv").is_none()
    }

    fn is_json_ld(&self) -> bool {
        self.name() == "script" && self.attributes().eq([("type", "application/ld+json")])
    }
}

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
    let css = without_comments(&css.to_ascii_lowercase());
    let parts = css.split("url(").skip(1).chain(css.split("@import").skip(1));
    parts.filter_map(address).collect::<Vec<_>>().into_iter()
}

/// What the tokenizer gives of a text, which is text but for what it made of damaged references.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    // Checked first, since that is several times as quick where there is nothing to mend.
    str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// JSON-LD with its words taken out; none where it is not JSON, or might be read as markup.
fn json_ld_without_words(text: &str) -> Option<String> {
    let mut data: Value = serde_json::from_str(text).ok().filter(|_| !text.contains('<'))?;
    take_words(&mut data);
    Some(data.to_string())
}

fn take_words(data: &mut Value) {
    match data {
        Value::Object(map) => {
            for (key, value) in map {
                if value.is_string() && JSON_LD_WORDS.contains(&key.as_str()) {
                    *value = Value::Null;
                }
                take_words(value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(take_words),
        _ => {}
    }
}

fn is_text_element(name: &str) -> bool {
    TEXT_ELEMENTS.contains(&name)
}

fn is_heading(name: &str) -> bool {
    matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

/// The host of an address that leaves the site; `javascript:` and other schemes count as hosts of their own.
fn external_host(address: &str) -> Option<String> {
    if is_plainly_local(address) {
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

/// Whether an address is a path of the site itself at first sight, as most are.
fn is_plainly_local(address: &str) -> bool {
    matches!(address.as_bytes(), [b'/', next, ..] if next.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const PAGE: &str = "<html><body class=\"x\"><h1 id=\"a\">A</h1><p>One <a href=\"/b/\">b</a></p></body></html>";

    fn text_only(old: &str, new: &str) -> bool {
        PageShape::of(old).step(old, new).in_words_alone
    }

    #[test]
    fn words_and_marks_around_words_are_text() {
        assert!(text_only(PAGE, &PAGE.replace("One", "<em>Two</em>")));
        assert!(text_only(PAGE, &PAGE.replace("</body>", "<p>Another paragraph</p></body>")));
        assert!(text_only("<meta name=description content=a>", "<meta name=description content=b>"));
    }

    #[test]
    fn everything_else_is_more_than_text() {
        for (from, to) in [
            ("/b/", "/c/"),
            ("class=\"x\"", "class=\"y\""),
            ("One", "<script>alert(1)</script>"),
            ("<p>", "<p onclick=\"x()\">"),
            ("One", "<img src=\"/x.png\">"),
            ("One", "<a href=\"//evil.example/\">One</a>"),
            ("One", "<style>body{display:none}</style>"),
        ] {
            assert!(!text_only(PAGE, &PAGE.replace(from, to)), "{from} -> {to}");
        }
        assert!(!text_only("<script>a</script>", "<script>b</script>"));
        assert!(!text_only("<style>a</style>", "<style>b</style>"));
    }

    #[test]
    fn words_in_metadata_are_text_and_what_they_are_about_is_not() {
        let page = |graph: &str| format!("<script type=\"application/ld+json\">{graph}</script>");
        let product = r#"{"@type":"Product","name":"Pan","offers":{"price":"5280","url":"/pan/"}}"#;
        let changed = |from: &str, to: &str| text_only(&page(product), &page(&product.replace(from, to)));
        assert!(changed("Pan", "Pot") && !changed("5280", "1") && !changed("/pan/", "//evil.example/"));
        assert!(!changed("\"Pan\"", "{\"@id\": 1}") && !changed("Pan", "<!--<script>") && !changed("}}", "}"));
        assert!(PageShape::of(&page(product)).risks.is_empty() && !PageShape::of(&page("steal()")).risks.is_empty());
        let scripted = page(product).replace("ld+json\"", "ld+json\" src=\"//evil.example/x.js\"");
        assert!(!PageShape::of(&scripted).risks.is_empty());
        let shared = "<meta property=\"og:title\" content=\"Pan\"><meta property=\"og:url\" content=\"/pan/\">";
        assert!(text_only(shared, &shared.replace("Pan", "Pot")));
        assert!(!text_only(shared, &shared.replace("/pan/", "/pot/")));
        let refresh = "<meta http-equiv=refresh name=description content=\"0;url=/a/\">";
        assert!(!text_only(refresh, &refresh.replace("/a/", "//evil.example/")));
    }

    #[test]
    fn markup_hidden_from_one_reader_is_never_text() {
        let meta = "<meta http-equiv=refresh content=\"0;url=https://evil.example\">";
        for (old, new) in [
            ("<title>about</title>", format!("<title><!--</title>{meta}-->about</title>")),
            ("<title>about</title>", format!("<title>x</p a=\"</title>{meta}\"></title>")),
            ("<p>a</p>", "<p>a<!-- b --></p>".to_owned()),
            ("<p>a</p>", "<p>a</p b=\"c\">".to_owned()),
            ("<script>a='<p>one</p>'</script>", "<script>a='<p>one</p>'; steal()</script>".to_owned()),
            ("<textarea>a</textarea>", "<textarea>b</textarea>".to_owned()),
            ("<noscript>a</noscript>", "<noscript>b</noscript>".to_owned()),
            ("<svg><title>a</title></svg>", "<svg><title>b</title></svg>".to_owned()),
        ] {
            assert!(!text_only(old, &new), "{old} -> {new}");
        }
        assert!(text_only("<title>a</title>", "<title>b</title>"));
    }

    #[test]
    fn inline_scripts_are_told_apart_and_addresses_cannot_move_the_cursor() {
        let scripts = |html: &str| PageShape::of(html).risks.scripts;
        assert_ne!(scripts("<script>a()</script>"), scripts("<script>steal()</script>"));
        assert!(!scripts("<script>a()</script>").is_empty());
        let forged = scripts("<script src=\"x\r\n\u{1b}[2K\"></script>");
        assert!(forged.iter().all(|script| !script.contains(char::is_control)), "{forged:?}");
        let hosts = PageShape::of("<style>a{background:url( 'https://evil.example/x')}</style>").risks.hosts;
        assert_eq!(hosts, BTreeSet::from(["evil.example".to_owned()]));
    }

    #[test]
    fn a_page_that_leads_to_another_of_the_site_is_no_risk() {
        let scripts =
            |to: &str| PageShape::of(&format!("<meta http-equiv=refresh content='0; url={to}'>")).risks.scripts;
        assert!(scripts("/pans/").is_empty());
        for to in ["//evil.example/", "https://evil.example/", "/\t/evil.example/", "pans/"] {
            assert!(!scripts(to).is_empty(), "{to}");
        }
        for content in ["0;URL=//evil.example/?url=/ok", "0;//evil.example/?url=/ok", "0; URL=/ok"] {
            let page = PageShape::of(&format!("<meta http-equiv=refresh content='{content}'>"));
            assert!(!page.risks.is_empty(), "{content}");
        }
    }

    #[test]
    fn what_another_reader_takes_for_markup_is_never_words_and_its_risks_are_named() {
        let script = "<script src=/x.js></script><a href=//evil.example/>a</a>";
        for (old, new) in [
            ("<noframe>hi</noframe>", format!("<noframe>{script}</noframe>")),
            ("<noframes><h1 id=a>", format!("<noframes><h1 id=\"</noframes>{script}\">")),
            ("<select><plaintext></select>a", format!("<select><plaintext></select>{script}")),
            ("<svg><style>a</style>", format!("<svg><style>{script}</style>")),
            ("<svg><title>a</title>", format!("<svg><title>{script}</title>")),
            ("<noscript>a</noscript>", format!("<noscript>{script}</noscript>")),
            ("<noscript>a</noscript>", format!("<noscript><xmp><noembed>{script}</noembed></xmp></noscript>")),
            ("<p>a</p>", "<p>\0s\0c\0</p>".to_owned()),
            ("<p>a</p>", "<p>\u{fffd}a</p>".to_owned()),
        ] {
            assert!(!text_only(old, &new), "{old} -> {new}");
            let known = PageShape::of(old).step(old, &new).shape;
            for shape in [PageShape::of(&new), known] {
                let named = shape.risks.scripts.contains("/x.js") && shape.risks.hosts.contains("evil.example");
                let is_attribute = new.contains("id=\"</noframes>");
                assert!(named || is_attribute || !new.contains("x.js") && !shape.risks.is_empty(), "{new}: {shape:?}");
            }
        }
        assert!(!PageShape::of(&"<noscript>".repeat(100_000)).risks.is_empty(), "it ends, and says so");
        let referrer = "<meta name=referrer property=og:title content=origin>";
        assert!(!text_only(referrer, &referrer.replace("origin", "unsafe-url")));
        for css in ["@import/**/\"//evil.example/\"", "@import\n'//evil.example/'"] {
            assert_eq!(hosts_in_css(css).collect::<Vec<_>>(), ["evil.example"], "{css}");
        }
    }

    #[test]
    fn risks_are_named() {
        let risks = PageShape::of(concat!(
            "<script src=\"https://cdn.example/x.js\"></script><form action=\"/pay\"></form>",
            "<a href=\"java\tscript:x()\">x</a><a href=\"/ok/\">y</a><img src=\"\\\\evil.example/x\">",
            "<img srcset=\"/a.png 1x,//two.example/b.png 2x\"><a href=\"/\t/b\" ping=\"/p https://ping.example/\">z</a>"
        ))
        .risks;
        assert_eq!(risks.scripts, BTreeSet::from(["https://cdn.example/x.js".to_owned()]));
        assert_eq!(risks.forms, BTreeSet::from(["/pay".to_owned()]));
        let hosts =
            ["cdn.example", "evil.example", "javascript:", "ping.example", "two.example", "b"].map(str::to_owned);
        assert_eq!(risks.hosts, BTreeSet::from(hosts));
    }

    /// Pieces of pages, some of which leave the reader within something.
    const PIECES: [&str; 25] = [
        "<p>",
        "</p>",
        "words ",
        "é\r\n",
        "<a href=\"/b/\">",
        "</a>",
        "<a href='//evil.example/'>",
        "<script>",
        "</script>",
        "x='<p>'",
        "<title>",
        "</title>",
        "<!--",
        "-->",
        "<svg>",
        "<plaintext>",
        "<img src=\"",
        "\">",
        "&lt;&notin",
        "<",
        "</p b=\"c\">",
        "<noframes>",
        "<noframe>",
        "<noscript>",
        "</noscript>",
    ];

    fn page() -> impl Strategy<Value = Vec<&'static str>> {
        vec(select(&PIECES[..]), 0..24)
    }

    proptest! {
        #[test]
        fn a_part_is_read_as_the_whole_page_is(
            (old, new, third) in (page(), page(), page(), page(), page()).prop_map(|(start, a, b, c, end)| {
                let whole = |middle: &[&str]| [&start[..], middle, &end[..]].concat().concat();
                (whole(&a), whole(&b), whole(&c))
            })
        ) {
            let (before, after) = (Reading::within(&PageShape::default(), &old), Reading::within(&PageShape::default(), &new));
            let alone = !before.doubtful && !after.doubtful && before.skeleton == after.skeleton;
            let shape = PageShape::of(&old);
            prop_assert_eq!(&shape.rests, &before.rests);
            prop_assert_eq!(&shape.risks, &before.risks);
            let step = shape.step(&old, &new);
            prop_assert_eq!(step.in_words_alone, alone, "{} -> {}", old, new);
            prop_assert_eq!(&step.shape.rests, &after.rests, "{} -> {}", old, new);
            prop_assert!(after.risks.beyond(&step.shape.risks).is_empty());
            let mut both = shape.risks.clone();
            both.extend(after.risks.clone());
            prop_assert!(step.shape.doubtful || step.shape.risks.beyond(&both).is_empty());
            // What was found part by part serves for the next step.
            let last = step.shape.step(&new, &third);
            let read = Reading::within(&PageShape::default(), &third);
            prop_assert_eq!(&last.shape.rests, &read.rests);
            prop_assert!(last.shape.doubtful || !read.doubtful);
        }
    }
}
