//! Markdown to HTML, with the links it holds. Pure: where a linked file's page stands comes in as an argument.
//!
//! Raw HTML passes through, since whoever edits a site may write what its pages say.

mod alert;
mod alt;
mod call;
mod calling;
mod calls;
mod code;
mod footnotes;
mod hole;
mod holes;
mod image;
mod length;
mod link;
mod math;
mod reading;
mod settings;
mod task;
mod words;
mod writer;

use std::borrow::Cow;

use pulldown_cmark::{Options, Parser};
use tieup_protocol::path::SitePath;

pub(crate) use self::hole::{Argument, Asker, Fill, Hole, Mistake};
pub(crate) use self::length::Length;
pub(crate) use self::link::{Link, LinkKind, Span, Target};
use self::reading::Reading;
pub(crate) use self::settings::{Highlight, Hooks, Settings};
use crate::anchors::Heading;
use crate::picture::Picture;
use crate::print::{Print, Printer};

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
    pub(crate) cut: Option<usize>,
    /// What components of the theme fill, in the order of the HTML.
    pub(crate) holes: Vec<Hole>,
    /// What is wrong with the calls of components.
    pub(crate) mistakes: Vec<Mistake>,
    /// The fingerprint of what a page shows of it.
    pub(crate) print: Print,
}

impl Body {
    /// The fingerprint of what a page shows of it.
    fn fingerprint(&self) -> Print {
        let mut printer = Printer::default();
        printer.print(Print::of(self.html.as_bytes())).number(self.length.minutes());
        for heading in &self.headings {
            printer.number(heading.level).text(&heading.id).text(&heading.title);
        }
        for hole in &self.holes {
            hole.add_to(&mut printer);
        }
        printer.finish()
    }

    /// The HTML that stands before `<!-- more -->`, where that is written. Lists show it without what components
    /// would put into it.
    pub(crate) fn summary(&self) -> Option<Cow<'_, str>> {
        self.cut.map(|cut| footnotes::without_references(&self.html[..cut]))
    }
}

/// What the links of one text are relative to.
pub(crate) struct Base<'a> {
    /// The page the text becomes.
    pub(crate) page: &'a SitePath,
    /// The language of the text.
    pub(crate) lang: &'a str,
    /// What the site says about Markdown.
    pub(crate) settings: &'a Settings,
    /// The folder of the file below `content/`, without slashes around it.
    pub(crate) folder: &'a str,
    /// The page that a Markdown file becomes, by its path below `content/`.
    pub(crate) page_of: &'a dyn Fn(&str) -> Option<SitePath>,
    /// The raster picture that stands at a path, where its size is known.
    pub(crate) picture_of: &'a dyn Fn(&SitePath) -> Option<Picture>,
}

/// What of Markdown is understood everywhere: that of GitHub, and definition lists and attributes of headings.
const ALWAYS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_HEADING_ATTRIBUTES)
    .union(Options::ENABLE_DEFINITION_LIST)
    .union(Options::ENABLE_GFM);

/// Renders the Markdown that begins at byte `start` of `text`.
pub(crate) fn render(text: &str, start: usize, base: &Base<'_>) -> Body {
    let options = if base.settings.math { ALWAYS | Options::ENABLE_MATH } else { ALWAYS };
    let calls = call::find(text, start);
    let shown = if calls.is_empty() { Cow::Borrowed(&text[start..]) } else { call::hidden(text, start, &calls).into() };
    let mut reading = Reading::new(text, start, base, calls);
    for (event, range) in Parser::new_ext(&shown, options).into_offset_iter() {
        reading.hear(event, range.start + start..range.end + start);
    }
    reading.finish()
}

#[cfg(test)]
mod tests;
