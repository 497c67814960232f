//! Markdown to HTML, with the links it holds. Pure: where a linked file's page stands comes in as an argument.
//!
//! Raw HTML passes through, since whoever edits a site may write what its pages say.

mod footnotes;
mod image;
mod length;
mod link;
mod math;
mod settings;
mod words;
mod writer;

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{BlockQuoteKind, CowStr, Event, Options, Parser, Tag, TagEnd};
use tieup_protocol::path::SitePath;

use self::footnotes::Footnotes;
use self::image::Image;
pub(crate) use self::length::Length;
pub(crate) use self::link::{Link, LinkKind, Span, Target};
use self::link::{destination_span, resolve};
pub(crate) use self::settings::Settings;
use self::words::Words;
use self::writer::Piece;
use crate::anchors::{Anchors, Heading};
use crate::picture::Picture;
use crate::print::{Print, Printer};
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
    pub(crate) cut: Option<usize>,
    /// The fingerprint of what a page shows of it.
    pub(crate) print: Print,
}

impl Body {
    /// The HTML that stands before `<!-- more -->`, where that is written.
    pub(crate) fn summary(&self) -> Option<Cow<'_, str>> {
        self.cut.map(|cut| footnotes::without_references(&self.html[..cut]))
    }

    fn fingerprint(&self) -> Print {
        let mut printer = Printer::default();
        printer.print(Print::of(self.html.as_bytes())).number(self.length.minutes());
        for heading in &self.headings {
            printer.number(heading.level).text(&heading.id).text(&heading.title);
        }
        printer.finish()
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

/// What ends a summary, as a line of its own.
const MORE: &str = "<!-- more -->";

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
    footnotes: Footnotes<'a>,
    /// The picture whose words are being read.
    image: Option<Image<'a>>,
    /// The mark where the summary ends.
    cut: Option<usize>,
    body: Body,
}

impl<'a> Reading<'a> {
    fn new(text: &'a str, start: usize, base: &'a Base<'a>) -> Self {
        let length = text.len() - start;
        let mut body = Body::default();
        body.html.reserve(length * 3 / 2);
        let (pieces, anchors, footnotes) = (Vec::with_capacity(length / 12), Anchors::default(), Footnotes::default());
        Self { text, base, pieces, marks: 0, depth: 0, anchors, footnotes, image: None, cut: None, body }
    }

    fn hear(&mut self, mut event: Event<'a>, range: Range<usize>) {
        match &event {
            Event::Start(_) => self.depth += 1,
            Event::End(_) => self.depth -= 1,
            // An HTML block is itself an element, so at the top of the text its lines are one deep.
            Event::Html(html) if self.depth == 1 && html.trim() == MORE => {
                let cut = self.mark();
                self.cut.get_or_insert(cut);
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
            (event, _) => self.take(event),
        }
    }

    /// Takes what pulldown-cmark would show in another way than pages do.
    fn take(&mut self, event: Event<'a>) {
        match event {
            Event::FootnoteReference(name) => {
                let reference = self.footnotes.reference(name);
                self.push(reference);
            }
            Event::Start(Tag::FootnoteDefinition(name)) => self.footnotes.begin(name, &mut self.pieces),
            Event::End(TagEnd::FootnoteDefinition) => self.footnotes.end(&mut self.pieces),
            Event::Start(Tag::BlockQuote(Some(kind))) => {
                let title = Words::of(self.base.lang).alert(kind);
                self.push(Event::Html(alert(kind, title).into()));
            }
            Event::End(TagEnd::BlockQuote(Some(_))) => self.push(Event::Html("</div>\n".into())),
            Event::InlineMath(tex) => self.push(math::inline(&tex)),
            Event::DisplayMath(tex) => self.push(math::display(&tex)),
            event if math::settle(&event, &mut self.pieces) => {}
            event => self.push(event),
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

    fn finish(mut self) -> Body {
        let mut body = self.body;
        self.footnotes.finish(&mut self.pieces, Words::of(self.base.lang).back);
        let mut places = vec![0; self.marks];
        writer::write(&mut body.html, self.pieces, &mut places);
        body.html.shrink_to_fit();
        body.links.shrink_to_fit();
        body.headings = self.anchors.headings;
        body.cut = self.cut.map(|mark| places[mark]);
        body.print = body.fingerprint();
        body
    }
}

/// What begins an alert, as GitHub writes it.
fn alert(kind: BlockQuoteKind, title: &str) -> String {
    let class = match kind {
        BlockQuoteKind::Note => "note",
        BlockQuoteKind::Tip => "tip",
        BlockQuoteKind::Important => "important",
        BlockQuoteKind::Warning => "warning",
        BlockQuoteKind::Caution => "caution",
    };
    let classes = format!("markdown-alert markdown-alert-{class}");
    format!("<div class=\"{classes}\">\n<p class=\"markdown-alert-title\">{title}</p>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Variant;

    pub(super) fn body(text: &str) -> Body {
        body_with(text, &Settings::default())
    }

    pub(super) fn body_with(text: &str, settings: &Settings) -> Body {
        let page: SitePath = "/help/ordering/".parse().unwrap();
        let page_of = |file: &str| (file == "help/delivery.md").then(|| "/help/post/".parse().unwrap());
        let picture_of = |path: &SitePath| {
            let variant = |path: &str, width| Variant { path: path.parse().unwrap(), width };
            let variants = vec![variant("/器-450.webp", 450), variant("/cup-900.webp", 900)];
            (path.as_str() == "/cup.jpg").then_some(Picture { width: 900, height: 600, variants })
        };
        let (folder, lang) = ("help", "en");
        render(text, 0, &Base { page: &page, lang, settings, folder, page_of: &page_of, picture_of: &picture_of })
    }

    #[test]
    fn what_goes_beyond_plain_markdown_is_understood() {
        let table = [
            ("- [x] a\n- [ ] b\n", "type=\"checkbox\" checked=\"\""),
            ("a ~~b~~", "<del>b</del>"),
            ("|a|b|\n|-|-:|\n|1|2|\n", "<td style=\"text-align: right\">2</td>"),
            (
                "Cup\n: To drink *from*.\n: Of tin.\n",
                "<dl>\n<dt>Cup</dt>\n<dd>To drink <em>from</em>.</dd>\n<dd>Of tin.</dd>\n</dl>",
            ),
            ("## Cups {#cups .wide data-n=1}\n", "<h2 id=\"cups\" class=\"wide\" data-n=\"1\">Cups</h2>"),
            (
                "> [!WARNING]\n> Hot.\n",
                "<div class=\"markdown-alert markdown-alert-warning\">\n\
                 <p class=\"markdown-alert-title\">Warning</p>\n<p>Hot.</p>\n</div>\n",
            ),
            ("> Said.\n", "<blockquote>\n<p>Said.</p>\n</blockquote>"),
        ];
        for (text, html) in table {
            assert!(body(text).html.contains(html), "{text}\n{}", body(text).html);
        }
    }

    #[test]
    fn a_summary_ends_at_its_line_and_nowhere_else() {
        let cut = body("One *two*&#4;.\n\n<!-- more -->\n\nThree.\n\n<!-- more -->\n");
        assert_eq!(cut.summary().as_deref(), Some("<p>One <em>two</em>.</p>\n"));
        assert!(!cut.html.contains("more"));
        for other in ["> <!-- more -->\n", "    <!-- more -->\n", "a `<!-- more -->`", "a\n"] {
            assert_eq!(body(other).summary(), None, "{other}");
        }
    }

    #[test]
    fn no_control_character_survives() {
        assert_eq!(body("a&#1;b&#x2;c").html, "<p>abc</p>\n");
    }

    proptest::proptest! {
        #[test]
        fn any_text_renders(text in "[\\[\\]()#./a会 \n!<>&\"^:$*|{}%-]{0,60}") {
            let body = body(&text);
            for link in &body.links {
                proptest::prop_assert!(text.get(link.span.range()).is_some());
            }
        }
    }
}
