//! Markdown to HTML, with the links it holds. Pure: where a linked file's page stands comes in as an argument.
//!
//! Raw HTML passes through, since whoever edits a site may write what its pages say.

mod image;
mod length;
mod link;
mod writer;

use std::ops::Range;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag};
use tieup_protocol::path::SitePath;

use self::image::Image;
pub(crate) use self::length::Length;
pub(crate) use self::link::{Link, LinkKind, Target};
use self::link::{destination_span, resolve};
use self::writer::Piece;
use crate::anchors::{Anchors, Heading};
use crate::picture::Picture;
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

/// What the links of one text are relative to.
pub(crate) struct Base<'a> {
    /// The page the text becomes.
    pub(crate) page: &'a SitePath,
    /// The folder of the file below `content/`, without slashes around it.
    pub(crate) folder: &'a str,
    /// The page that a Markdown file becomes, by its path below `content/`.
    pub(crate) page_of: &'a dyn Fn(&str) -> Option<SitePath>,
    /// The raster picture that stands at a path, where its size is known.
    pub(crate) picture_of: &'a dyn Fn(&SitePath) -> Option<Picture>,
}

/// What ends a summary, as a line of its own.
const MORE: &str = "<!-- more -->";

/// Renders the Markdown that begins at byte `start` of `text`.
pub(crate) fn render(text: &str, start: usize, base: &Base<'_>) -> Body {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_GFM;
    let mut reading = Reading::new(text, start, base);
    for (event, range) in Parser::new_ext(&text[start..], options).into_offset_iter() {
        reading.hear(event, range.start + start..range.end + start);
    }
    reading.finish()
}

/// A text that is being read.
struct Reading<'a> {
    text: &'a str,
    base: &'a Base<'a>,
    pieces: Vec<Piece<'a>>,
    marks: usize,
    depth: usize,
    anchors: Anchors,
    /// The picture whose words are being read.
    image: Option<Image<'a>>,
    summary: Option<usize>,
    body: Body,
}

impl<'a> Reading<'a> {
    fn new(text: &'a str, start: usize, base: &'a Base<'a>) -> Self {
        let length = text.len() - start;
        let mut body = Body::default();
        body.html.reserve(length * 3 / 2);
        let (pieces, anchors) = (Vec::with_capacity(length / 12), Anchors::default());
        Self { text, base, pieces, marks: 0, depth: 0, anchors, image: None, summary: None, body }
    }

    fn hear(&mut self, mut event: Event<'a>, range: Range<usize>) {
        match &event {
            Event::Start(_) => self.depth += 1,
            Event::End(_) => self.depth -= 1,
            // An HTML block is itself an element, so at the top of the text its lines are one deep.
            Event::Html(html) if self.depth == 1 && html.trim() == MORE => {
                let cut = self.mark();
                self.summary.get_or_insert(cut);
                return;
            }
            _ => {}
        }
        let picture = self.visit(&mut event, range);
        self.anchors.visit(&event, self.pieces.len());
        if let Some(image) = &mut self.image {
            if !image.hear(&event) {
                let html = image.html();
                self.image = None;
                self.push(Event::InlineHtml(html.into()));
            }
            return;
        }
        match (event, picture) {
            (Event::Start(Tag::Image { dest_url, title, .. }), Some(picture)) => {
                self.image = Some(Image::new(dest_url, title, picture));
            }
            (event, _) => self.push(event),
        }
    }

    fn push(&mut self, event: Event<'a>) {
        self.pieces.push(Piece::Event(event));
        if let Some((at, new)) = self.anchors.settle()
            && let Piece::Event(Event::Start(Tag::Heading { id, .. })) = &mut self.pieces[at]
        {
            *id = Some(CowStr::from(new));
        }
    }

    /// Asks where in the HTML the next piece will stand. The answer comes when the HTML is written.
    fn mark(&mut self) -> usize {
        self.pieces.push(Piece::Mark(self.marks));
        self.marks += 1;
        self.marks - 1
    }

    /// Counts words, and notes where links lead; the answer is the picture that the event begins, if it is known.
    fn visit(&mut self, event: &mut Event<'_>, range: Range<usize>) -> Option<Picture> {
        let (kind, destination) = match event {
            Event::Start(Tag::Link { dest_url, .. }) => (LinkKind::Link, dest_url),
            Event::Start(Tag::Image { dest_url, .. }) => (LinkKind::Picture, dest_url),
            Event::Text(words) | Event::Code(words) => {
                self.body.length.add(words);
                return None;
            }
            _ => return None,
        };
        if url::is_external(destination) {
            return None;
        }
        let (target, address) = resolve(destination, self.base);
        let span = destination_span(self.text, range, destination);
        if let Some(address) = address {
            *destination = CowStr::from(address);
        }
        let picture = match &target {
            Target::Path { path, .. } if kind == LinkKind::Picture => (self.base.picture_of)(path),
            _ => None,
        };
        self.body.links.push(Link { kind, target, span });
        picture
    }

    fn finish(self) -> Body {
        let mut body = self.body;
        let mut places = vec![0; self.marks];
        writer::write(&mut body.html, self.pieces, &mut places);
        body.html.shrink_to_fit();
        body.links.shrink_to_fit();
        body.headings = self.anchors.headings;
        body.summary = self.summary.map(|mark| places[mark]);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Variant;

    pub(super) fn body(text: &str) -> Body {
        let page: SitePath = "/help/ordering/".parse().unwrap();
        let page_of = |file: &str| (file == "help/delivery.md").then(|| "/help/post/".parse().unwrap());
        let picture_of = |path: &SitePath| {
            let variant = |path: &str, width| Variant { path: path.parse().unwrap(), width };
            let variants = vec![variant("/器-450.webp", 450), variant("/cup-900.webp", 900)];
            (path.as_str() == "/cup.jpg").then_some(Picture { width: 900, height: 600, variants })
        };
        render(text, 0, &Base { page: &page, folder: "help", page_of: &page_of, picture_of: &picture_of })
    }

    #[test]
    fn a_summary_ends_at_its_line_and_nowhere_else() {
        let cut = body("One *two*&#4;.\n\n<!-- more -->\n\nThree.\n\n<!-- more -->\n");
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
                proptest::prop_assert!(text.get(link.span.range()).is_some());
            }
        }
    }
}
