//! What a staged release would change for visitors, and the sentence that says so.
//!
//! Both sides of the comparison are merged sites as visitors would get them, originals and slots included; so a
//! layout release to a partner that inherits the framework alone shows up on the partner's own pages, where it acts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{Token, Tokenizer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::ids::{ReleaseVersion, SiteId};
use crate::path::SitePath;

/// How far a path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nature {
    /// The path is new.
    New,
    /// Words alone, and the marks around words.
    Text,
    /// More than words: layout, links out, scripts, forms, pictures; or a file that is no page.
    Content,
    /// The path is gone.
    Removed,
}

impl fmt::Display for Nature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Text => "text changed",
            Self::Content => "more than text changed",
            Self::Removed => "removed",
        })
    }
}

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedPath {
    /// How far.
    pub nature: Nature,
    /// The size after the change; 0 for a removed path.
    pub bytes: u64,
}

/// The difference between the live site and the one a release would make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whether nothing from this main site is live yet.
    pub first: bool,
    /// The contract's versions before and after, where they differ.
    pub contract: Option<(u32, u32)>,
    /// Why main calls the release an emergency; none where it does not.
    #[serde(default)]
    pub emergency: Option<String>,
    /// How many pages have an edit in common that is more than words: a change of layout.
    #[serde(default)]
    pub layout: usize,
    /// Every path that differs.
    pub paths: BTreeMap<SitePath, ChangedPath>,
    /// Scripts, forms and external hosts that the live pages do not have.
    pub new_risks: Risks,
}

/// What a page brings that an operator wants to know of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Risks {
    /// Scripts: by address, or `inline`.
    pub scripts: BTreeSet<String>,
    /// Where forms are sent.
    pub forms: BTreeSet<String>,
    /// Hosts that pages load from, send to or link to.
    pub hosts: BTreeSet<String>,
}

/// A page without its words: what must be equal for two pages to differ in text alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageShape {
    skeleton: Vec<String>,
    /// Scripts, forms and external hosts of the page.
    pub risks: Risks,
    /// The element that is open and whose text is not read as markup.
    raw: Option<String>,
    /// Whether there is SVG or MathML in the page.
    foreign: bool,
}

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
const RAW_TEXT: [&str; 9] =
    ["title", "textarea", "script", "style", "xmp", "iframe", "noembed", "noframes", "noscript"];

/// What stands for the name of a script element that holds JSON-LD, which browsers never run.
const JSON_LD: &str = "script of JSON-LD";

/// The keys of JSON-LD whose texts are words.
const JSON_LD_WORDS: [&str; 3] = ["name", "headline", "description"];

/// Attributes whose address may take a visitor or their data somewhere.
const ADDRESSES: [&str; 8] = ["href", "src", "srcset", "action", "formaction", "data", "poster", "ping"];

impl Change {
    /// Every differing path with its nature and size.
    pub fn paths(&self) -> impl Iterator<Item = (&SitePath, Nature, u64)> {
        self.paths.iter().map(|(path, changed)| (path, changed.nature, changed.bytes))
    }

    /// Whether visitors would notice nothing.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.contract.is_none()
    }

    /// The sentence an operator reads before deciding.
    pub fn sentence(&self, main: &SiteId, version: ReleaseVersion) -> String {
        let mut text = format!("Release {version} from {main}: ");
        if let Some(reason) = &self.emergency {
            let _ = write!(text, "EMERGENCY ({}); ", visible(reason));
        }
        text.push_str(&self.counts());
        if self.layout > 0 {
            let _ = write!(text, "; layout change on {} pages", self.layout);
        }
        if let Some((from, to)) = self.contract {
            let _ = write!(text, "; the contract changes from version {from} to {to}");
        }
        let only_text = !self.paths.is_empty() && self.paths.values().all(|p| p.nature == Nature::Text);
        if only_text {
            text.push_str("; text only");
        }
        let _ = write!(text, "; {}; signature valid", self.new_risks);
        text
    }

    /// The sentence about changed originals, which no main site signs.
    pub fn originals_sentence(&self) -> String {
        format!("Your own pages: {}; {}", self.counts(), self.new_risks)
    }

    fn counts(&self) -> String {
        let count = |wanted: &[Nature]| self.paths.values().filter(|p| wanted.contains(&p.nature)).count();
        let parts = [
            (count(&[Nature::Text, Nature::Content]), "changed"),
            (count(&[Nature::New]), "new"),
            (count(&[Nature::Removed]), "removed"),
        ];
        let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if said.is_empty() { "nothing that visitors would notice".to_owned() } else { said.join(", ") }
    }
}

impl Risks {
    /// What is here and not in `known`.
    #[must_use]
    pub fn beyond(&self, known: &Self) -> Self {
        let new = |here: &BTreeSet<String>, there: &BTreeSet<String>| here.difference(there).cloned().collect();
        Self {
            scripts: new(&self.scripts, &known.scripts),
            forms: new(&self.forms, &known.forms),
            hosts: new(&self.hosts, &known.hosts),
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty() && self.forms.is_empty() && self.hosts.is_empty()
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Self) {
        self.scripts.extend(other.scripts);
        self.forms.extend(other.forms);
        self.hosts.extend(other.hosts);
    }
}

impl fmt::Display for Risks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [("script", &self.scripts), ("form", &self.forms), ("external host", &self.hosts)];
        if self.is_empty() {
            return f.write_str("no new scripts, forms or external hosts");
        }
        let named: Vec<String> = kinds
            .iter()
            .filter(|(_, found)| !found.is_empty())
            .map(|(kind, found)| {
                format!("NEW {kind}: {}", found.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            })
            .collect();
        f.write_str(&named.join("; "))
    }
}

impl PageShape {
    /// Reads the shape of an HTML page by the tokenizer rules of the HTML standard.
    ///
    /// Where a browser might see something else than the tokenizer does, the shape keeps everything, so that such a
    /// page is never taken for a change of words.
    pub fn of(html: &str) -> Self {
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        let mut shape = Self { skeleton: Vec::new(), risks: Risks::default(), raw: None, foreign: false };
        for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
            shape.take(token);
        }
        shape
    }

    /// Whether a page of this shape differs from one of `other` in words alone.
    pub fn differs_in_text_alone(&self, other: &Self) -> bool {
        // Within SVG and MathML the same characters can be words or markup, so nothing is said of such pages.
        !self.foreign && !other.foreign && self.skeleton == other.skeleton
    }

    fn take(&mut self, token: Token) {
        match token {
            Token::StartTag(tag) => {
                let attributes: Vec<(String, String)> =
                    tag.attributes.iter().map(|(key, value)| (lossy(key), lossy(value))).collect();
                self.start_tag(&lossy(&tag.name), &attributes);
            }
            Token::EndTag(tag) => {
                self.raw = None;
                let name = lossy(&tag.name);
                if !is_text_element(&name) {
                    self.skeleton.push(format!("/{name}"));
                }
            }
            Token::String(text) => self.text(&lossy(&text)),
            Token::Comment(text) => self.skeleton.push(format!("!{}", lossy(&text))),
            Token::Doctype(doctype) => self.skeleton.push(format!("{doctype:?}")),
            Token::Error(error) => self.skeleton.push(format!("{error:?}")),
        }
    }

    /// Words count for nothing, but within elements whose text is not read as markup it is kept; of these a title's
    /// is free as long as no browser could take it for markup.
    fn text(&mut self, text: &str) {
        match self.raw.as_deref() {
            None => {}
            Some("title") if !text.contains('<') => {}
            Some(JSON_LD) if let Some(data) = json_ld_without_words(text) => self.skeleton.push(data),
            Some(name) => {
                if name == "script" || name == JSON_LD {
                    let digest = Digest::of(text.as_bytes()).hex();
                    self.risks.scripts.insert(format!("inline ({})", &digest[..8]));
                }
                if name == "style" {
                    self.risks.hosts.extend(hosts_in_css(text));
                }
                self.skeleton.push(text.to_owned());
            }
        }
    }

    fn start_tag(&mut self, name: &str, attributes: &[(String, String)]) {
        self.note_risks(name, attributes);
        let raw = if is_json_ld(name, attributes) { JSON_LD } else { name };
        self.raw = RAW_TEXT.contains(&name).then(|| raw.to_owned());
        self.foreign |= matches!(name, "svg" | "math");
        let described = name == "meta" && is_description(attributes);
        let kept: Vec<String> = attributes
            .iter()
            .filter(|(key, _)| !(described && key == "content" || is_heading(name) && key == "id"))
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        if !(is_text_element(name) && kept.is_empty()) {
            self.skeleton.push(format!("{name} {}", kept.join(" ")));
        }
    }

    fn note_risks(&mut self, name: &str, attributes: &[(String, String)]) {
        let attribute =
            |wanted: &str| attributes.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
        match name {
            "script" => {
                self.risks.scripts.extend(attribute("src").map(visible));
            }
            "form" => {
                self.risks.forms.insert(attribute("action").map_or_else(|| "the page itself".to_owned(), visible));
            }
            "iframe" | "object" | "embed" => {
                self.risks.scripts.insert(format!("<{name}>"));
            }
            _ => {}
        }
        for (key, value) in attributes {
            if key.starts_with("on") {
                let digest = Digest::of(value.as_bytes()).hex();
                self.risks.scripts.insert(format!("{} on <{}> ({})", visible(key), visible(name), &digest[..8]));
            }
            if ADDRESSES.contains(&key.as_str()) {
                self.risks.hosts.extend(external_host(value));
            }
            if key == "style" {
                self.risks.hosts.extend(hosts_in_css(value));
            }
        }
        if name == "meta" && attribute("http-equiv").is_some_and(|v| v.eq_ignore_ascii_case("refresh")) {
            let to = attribute("content").map(visible).unwrap_or_default();
            self.risks.scripts.insert(format!("meta refresh to {to}"));
        }
    }
}

/// A text out of a page as it may stand in a sentence: nothing in it moves a terminal's cursor.
fn visible(text: &str) -> String {
    text.escape_debug().to_string()
}

/// The hosts that a style sheet names, in `url(...)` and `@import`.
pub fn hosts_in_css(css: &str) -> impl Iterator<Item = String> {
    let address = |part: &str| {
        let rest = part.trim_start_matches([' ', '"', '\'', '(']);
        external_host(rest.split(['"', '\'', ')', ';', ' ']).next().unwrap_or_default())
    };
    let css = css.to_ascii_lowercase();
    let parts = css.split("url(").skip(1).chain(css.split("@import").skip(1));
    parts.filter_map(address).collect::<Vec<_>>().into_iter()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a `meta` holds words alone: a description, or a title that other sites show.
fn is_description(attributes: &[(String, String)]) -> bool {
    let named = |(key, value): &(String, String)| match key.as_str() {
        "name" => value == "description",
        "property" => value == "og:title" || value == "og:description",
        _ => false,
    };
    attributes.iter().any(named) && attributes.iter().all(|(key, _)| key != "http-equiv")
}

fn is_json_ld(name: &str, attributes: &[(String, String)]) -> bool {
    name == "script" && matches!(attributes, [(key, value)] if key == "type" && value == "application/ld+json")
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

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<html><body class=\"x\"><h1 id=\"a\">A</h1><p>One <a href=\"/b/\">b</a></p></body></html>";

    fn text_only(old: &str, new: &str) -> bool {
        PageShape::of(old).differs_in_text_alone(&PageShape::of(new))
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
    fn risks_are_named() {
        let risks = PageShape::of(concat!(
            "<script src=\"https://cdn.example/x.js\"></script><form action=\"/pay\"></form>",
            "<a href=\"java\tscript:x()\">x</a><a href=\"/ok/\">y</a><img src=\"\\\\evil.example/x\">"
        ))
        .risks;
        assert_eq!(risks.scripts, BTreeSet::from(["https://cdn.example/x.js".to_owned()]));
        assert_eq!(risks.forms, BTreeSet::from(["/pay".to_owned()]));
        let hosts = ["cdn.example", "evil.example", "javascript:"].map(str::to_owned);
        assert_eq!(risks.hosts, BTreeSet::from(hosts));
    }

    #[test]
    fn the_sentence_counts_and_names() {
        let changed = |nature| ChangedPath { nature, bytes: 1 };
        let mut change = Change {
            paths: BTreeMap::from([
                ("/a/".parse().unwrap(), changed(Nature::Content)),
                ("/b/".parse().unwrap(), changed(Nature::New)),
            ]),
            ..Change::default()
        };
        let sentence = |change: &Change| change.sentence(&"nationwide".parse().unwrap(), ReleaseVersion::FIRST);
        assert_eq!(
            sentence(&change),
            "Release 1 from nationwide: 1 changed, 1 new; no new scripts, forms or external hosts; signature valid"
        );
        change.new_risks.hosts.insert("evil.example".to_owned());
        assert!(sentence(&change).contains("NEW external host: evil.example"));
        change.layout = 340;
        change.emergency = Some("the pan \u{1b}[2K burns".to_owned());
        let says = "Release 1 from nationwide: EMERGENCY (the pan \\u{1b}[2K burns); 1 changed, 1 new; \
                    layout change on 340 pages; NEW";
        assert!(sentence(&change).starts_with(says), "{}", sentence(&change));
    }
}
