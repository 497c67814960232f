//! Reading a page, or a part of one: what is no words, what an operator wants to know of, and where the reader rests.

mod plain;

use std::borrow::Cow;
use std::cell::Cell;
use std::convert::Infallible;
use std::ops::Range;
use std::rc::Rc;

use html5gum::emitters::callback::{Callback, CallbackEmitter, CallbackEvent};
use html5gum::{Emitter, ForwardingEmitter, Readable as _, Reader, Span, StringReader, Tokenizer};
use memchr::{memchr, memmem};
use serde_json::Value;

use super::PageShape;
use super::addresses::{external_host, hosts_in_css, is_plainly_local, visible};
use crate::change::Risks;
use crate::digest::Digest;
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

/// What stands for characters that were none.
const REPLACEMENT: &str = "\u{fffd}";

/// What an attribute holds that an operator wants to know of.
enum Holds {
    /// An address that may take a visitor or their data somewhere.
    Address,
    /// Several of them, between blanks and commas.
    Addresses,
    /// A style.
    Style,
    /// A script.
    Script,
    Nothing,
}

impl Holds {
    fn of(key: &str) -> Self {
        match key {
            "href" | "src" | "action" | "formaction" | "data" | "poster" | "xlink:href" => Self::Address,
            "srcset" | "imagesrcset" | "ping" => Self::Addresses,
            "style" => Self::Style,
            _ if key.starts_with("on") => Self::Script,
            _ => Self::Nothing,
        }
    }
}

/// What an element does that an operator wants to know of, whatever attributes it has.
enum Does {
    /// It runs a script.
    Runs,
    /// It sends what visitors enter.
    Sends,
    /// It shows what comes from elsewhere, which may run scripts.
    Embeds,
    Nothing,
}

impl Does {
    fn of(name: &str) -> Self {
        match name {
            "script" => Self::Runs,
            "form" => Self::Sends,
            "iframe" | "object" | "embed" => Self::Embeds,
            _ => Self::Nothing,
        }
    }
}

/// A page, or a part of one, as it is read.
#[derive(Default)]
pub(super) struct Reading {
    /// What is no words so far, if it is wanted: pieces, each with its kind and length before it.
    pub(super) skeleton: Option<Vec<u8>>,
    pub(super) risks: Risks,
    /// The element that is open and whose text is not read as markup.
    raw: Option<&'static str>,
    pub(super) doubtful: bool,
    pub(super) rests: Vec<u32>,
    /// How many bytes there are.
    length: usize,
    /// Where what the tokenizer reads begins.
    from: usize,
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
        self.reading.take(event, self.reading.from + self.taken.get());
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
    pub(super) fn within(shape: &PageShape, html: &str) -> Self {
        let doubtful = shape.doubtful;
        let mut reading = Self { length: html.len(), skeleton: Some(Vec::new()), doubtful, ..Self::default() };
        reading.check_encoding(html);
        reading.tokenize(html, |emitter| emitter);
        reading
    }

    /// Reads what a shape is made of, which is quicker.
    pub(super) fn without_skeleton(html: &str) -> Self {
        let mut reading = Self { length: html.len(), ..Self::default() };
        reading.check_encoding(html);
        if !reading.doubtful {
            reading.from = reading.read_plain(html);
        }
        if reading.from < html.len() {
            reading.tokenize(&html[reading.from..], Quiet);
        }
        reading
    }

    fn check_encoding(&mut self, html: &str) {
        let bytes = html.as_bytes();
        if memchr(0, bytes).is_some() || memmem::find(bytes, REPLACEMENT.as_bytes()).is_some() {
            // A browser may take it for another encoding, in which it says something else.
            self.doubtful = true;
            self.risks.scripts.insert("text that is not UTF-8".to_owned());
        }
    }

    fn tokenize<'a, E: Emitter<Token = Infallible>>(
        &'a mut self,
        html: &str,
        wrap: impl FnOnce(CallbackEmitter<Listener<'a>>) -> E,
    ) {
        let taken = Rc::new(Cell::new(0));
        let mut emitter = CallbackEmitter::new(Listener { reading: self, taken: taken.clone() });
        emitter.naively_switch_states(true);
        let Ok(()) = Tokenizer::new_with_emitter(Counted { text: html.to_reader(), taken }, wrap(emitter)).finish();
    }

    /// Whether it ended behind a tag, so that whatever follows is read as at the beginning.
    pub(super) fn is_at_rest(&self) -> bool {
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
        within.check_encoding(text);
        within.tokenize(text, Quiet);
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
        match Does::of(name) {
            Does::Runs => self.risks.scripts.extend(tag.get("src").map(visible)),
            Does::Sends => {
                self.risks.forms.insert(tag.get("action").map_or_else(|| "the page itself".to_owned(), visible));
            }
            Does::Embeds => {
                self.risks.scripts.insert(format!("<{name}>"));
            }
            Does::Nothing => {}
        }
        for (key, value) in tag.attributes() {
            match Holds::of(key) {
                Holds::Address => self.risks.hosts.extend(external_host(value)),
                Holds::Addresses => {
                    self.risks.hosts.extend(value.split([',', ' ', '\t', '\n', '\r']).filter_map(external_host));
                }
                Holds::Style => self.risks.hosts.extend(hosts_in_css(value)),
                Holds::Script => {
                    let digest = Digest::of(value.as_bytes()).hex();
                    self.risks.scripts.insert(format!("{} on <{}> ({})", visible(key), visible(name), &digest[..8]));
                }
                Holds::Nothing => {}
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
