//! Reads a text's events in their order, and puts in place what pages show in another way than pulldown-cmark does.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, LinkType, Tag, TagEnd};
use serde_json::Value;

use super::alt::Alt;
use super::call::Call;
use super::calling::comment_after;
use super::calls::Calls;
use super::code::Code;
use super::footnotes::Footnotes;
use super::hole::{Argument, Asker, Hole};
use super::holes::Holes;
use super::image::{Image, href};
use super::link::{destination_span, resolve};
use super::words::Words;
use super::writer::{self, Piece};
use super::{Base, Body, Highlight, Link, LinkKind, Span, Target, alert, math, task};
use crate::anchors::Anchors;
use crate::highlight::highlight;
use crate::picture::Picture;
use crate::url;
use crate::xml::escape;

/// What ends a summary, as a line of its own.
const MORE: &str = "<!-- more -->";

/// What stands before the address of a link that is paid for.
const SPONSORED: &str = "sponsored:";

/// A text that is being read.
pub(super) struct Reading<'a> {
    pub(super) text: &'a str,
    base: &'a Base<'a>,
    pub(super) pieces: Vec<Piece<'a>>,
    /// The elements that are open, by number, and how many there were.
    pub(super) containers: Vec<usize>,
    started: usize,
    anchors: Anchors,
    alt: Alt,
    footnotes: Footnotes<'a>,
    /// The picture whose words are being read.
    pub(super) image: Option<Image<'a>>,
    /// The code that is being read, where it is not shown as it is.
    pub(super) code: Option<Code<'a>>,
    /// The hole of the link that is being read.
    link: Option<usize>,
    /// Whether the next line of a block of HTML stands in a comment.
    pub(super) in_comment: bool,
    pub(super) calls: Calls,
    pub(super) holes: Holes,
    /// The mark where the summary ends.
    cut: Option<usize>,
    body: Body,
}

/// Where a link or picture leads.
struct Destination<'a> {
    /// As the page spells it.
    address: CowStr<'a>,
    /// Where it stands in the file.
    span: Span,
    picture: Option<Picture>,
    is_external: bool,
    is_sponsored: bool,
}

impl<'a> Reading<'a> {
    /// A reading of the Markdown that begins at byte `start` of `text`, in which `calls` stand.
    pub(super) fn new(text: &'a str, start: usize, base: &'a Base<'a>, calls: Vec<Call>) -> Self {
        let length = text.len() - start;
        let mut body = Body::default();
        body.html.reserve(length * 3 / 2);
        Self {
            text,
            base,
            pieces: Vec::with_capacity(length / 12),
            containers: Vec::new(),
            started: 0,
            anchors: Anchors::default(),
            alt: Alt::default(),
            footnotes: Footnotes::default(),
            image: None,
            code: None,
            link: None,
            in_comment: false,
            calls: Calls::new(calls),
            holes: Holes::default(),
            cut: None,
            body,
        }
    }

    /// Hears the next event; `range` is what it stands for in the text.
    pub(super) fn hear(&mut self, event: Event<'a>, range: Range<usize>) {
        let calls = self.calls.within(&range);
        match &event {
            Event::Start(_) => {
                self.started += 1;
                self.containers.push(self.started);
                self.in_comment = false;
            }
            Event::End(_) => drop(self.containers.pop()),
            // An HTML block is itself an element, so at the top of the text its lines are one deep.
            Event::Html(html) if self.containers.len() == 1 && html.trim() == MORE => {
                let cut = self.mark();
                self.cut.get_or_insert(cut);
                return;
            }
            _ => {}
        }
        let comment = if let Event::Html(html) = &event { comment_after(html) } else { None };
        if calls.is_empty() || matches!(event, Event::Start(_) | Event::End(_)) {
            self.hear_plain(event, range);
        } else {
            self.hear_calls(event, range, calls);
        }
        self.in_comment = comment.unwrap_or(self.in_comment);
    }

    /// Ends the reading.
    pub(super) fn finish(mut self) -> Body {
        let mut body = self.body;
        self.footnotes.finish(&mut self.pieces, Words::of(self.base.lang).back);
        let places = writer::write(&mut body.html, self.pieces, self.holes.marks);
        body.html.shrink_to_fit();
        body.links.shrink_to_fit();
        body.headings = self.anchors.headings;
        body.cut = self.cut.and_then(|mark| places[mark]).map(|place| place.at);
        body.holes = self.holes.finish(&places);
        body.mistakes = self.calls.finish();
        body.print = body.fingerprint();
        body
    }

    pub(super) fn hear_plain(&mut self, mut event: Event<'a>, range: Range<usize>) {
        if let Some(wordless) = self.alt.hear(&mut event, &range) {
            let (kind, target) = (LinkKind::Picture, Target::Wordless);
            self.body.links.push(Link { kind, target, span: Span::new(wordless) });
        }
        self.anchors.visit(&event, self.pieces.len());
        if let Event::Text(words) | Event::Code(words) = &event {
            self.body.length.add(words);
        }
        if self.image.is_some() {
            return self.hear_image(event, range);
        }
        if self.code.is_some() {
            return self.hear_code(&event);
        }
        match event {
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let to = self.destination(LinkKind::Link, link_type, dest_url, range);
                self.begin_link(to, link_type, title, id);
            }
            Event::End(TagEnd::Link) => self.end_link(),
            Event::Start(Tag::Image { link_type, dest_url, title, .. }) => {
                let to = self.destination(LinkKind::Picture, link_type, dest_url, range);
                self.image = Some(Image::new(to.address, title, to.picture, to.span));
            }
            Event::Start(Tag::CodeBlock(kind)) if self.is_code_read(&kind) => {
                self.code = Some(Code::new(kind, Span::new(range)));
            }
            event => self.take(event),
        }
    }

    /// Takes what is shown in another way than pulldown-cmark does, whatever stands around it.
    fn take(&mut self, event: Event<'a>) {
        match event {
            Event::FootnoteReference(name) => {
                let reference = self.footnotes.reference(name);
                self.push(reference);
            }
            Event::Start(Tag::FootnoteDefinition(name)) => self.footnotes.begin(name, &mut self.pieces),
            Event::End(TagEnd::FootnoteDefinition) => self.footnotes.end(&mut self.pieces),
            Event::Start(Tag::BlockQuote(Some(kind))) => self.push(alert::begin(kind, self.base.lang)),
            Event::End(TagEnd::BlockQuote(Some(_))) => self.push(alert::end()),
            Event::TaskListMarker(is_done) => self.push(task::marker(is_done, self.base.lang)),
            Event::InlineMath(tex) => self.push(math::inline(&tex)),
            Event::DisplayMath(tex) => self.push(math::display(&tex)),
            Event::End(TagEnd::Paragraph) => {
                if !math::settle(&mut self.pieces) {
                    self.end_paragraph();
                }
            }
            event => self.push(event),
        }
    }

    pub(super) fn push(&mut self, event: Event<'a>) {
        self.pieces.push(Piece::Event(event));
        if let Some((at, new)) = self.anchors.settle()
            && let Piece::Event(Event::Start(Tag::Heading { id, .. })) = &mut self.pieces[at]
        {
            *id = Some(CowStr::from(new));
        }
    }

    /// Asks where in the HTML the next piece will stand. The answer comes when the HTML is written.
    pub(super) fn mark(&mut self) -> usize {
        let mark = self.holes.mark();
        self.pieces.push(Piece::Mark(mark));
        mark
    }

    /// Finds out where a link or picture leads, and notes it if that is on the site.
    fn destination(
        &mut self,
        kind: LinkKind,
        link_type: LinkType,
        written: CowStr<'a>,
        range: Range<usize>,
    ) -> Destination<'a> {
        let settings = self.base.settings;
        let paid = written.strip_prefix(SPONSORED).map(|address| CowStr::from(address.to_owned()));
        let (is_paid, written) = (paid.is_some(), paid.unwrap_or(written));
        let is_external = link_type == LinkType::Email || url::is_external(&written);
        let is_sponsored = is_paid || (is_external && settings.is_sponsored(&written));
        let shows_span = !is_external || settings.hooks.link || settings.hooks.image;
        let span = if shows_span { destination_span(self.text, range, &written) } else { Span::default() };
        if is_external {
            let mail = (link_type == LinkType::Email).then(|| CowStr::from(format!("mailto:{written}")));
            return Destination { address: mail.unwrap_or(written), span, picture: None, is_external, is_sponsored };
        }
        let (target, address) = resolve(&written, self.base);
        let picture = match &target {
            Target::Path { path, .. } if kind == LinkKind::Picture => (self.base.picture_of)(path),
            _ => None,
        };
        self.body.links.push(Link { kind, target, span });
        let address = address.map_or(written, CowStr::from);
        Destination { address, span, picture, is_external, is_sponsored }
    }

    fn begin_link(&mut self, to: Destination<'a>, link_type: LinkType, title: CowStr<'a>, id: CowStr<'a>) {
        let hole = self.base.settings.hooks.link.then(|| {
            let arguments = vec![
                argument("url", to.address.as_ref()),
                argument("title", title.as_ref()),
                argument("external", to.is_external),
                argument("sponsored", to.is_sponsored),
            ];
            let begin = self.mark();
            self.holes.add(Hole::new("render_link", arguments, Asker::Hook, to.span), begin)
        });
        self.push(if to.is_sponsored {
            let title = if title.is_empty() { String::new() } else { format!(" title=\"{}\"", escape(&title)) };
            Event::InlineHtml(format!("<a href=\"{}\"{title} rel=\"sponsored\">", href(&to.address)).into())
        } else {
            // The address of a mail has its `mailto:` already.
            let link_type = if link_type == LinkType::Email { LinkType::Autolink } else { link_type };
            Event::Start(Tag::Link { link_type, dest_url: to.address, title, id })
        });
        if let Some(hole) = hole {
            let begin = self.mark();
            self.holes.begin_body(hole, begin);
        }
        self.link = hole;
    }

    fn end_link(&mut self) {
        let Some(hole) = self.link.take() else { return self.push(Event::End(TagEnd::Link)) };
        let body_end = self.mark();
        self.push(Event::End(TagEnd::Link));
        let end = self.mark();
        self.holes.end(hole, Some(body_end), end);
    }

    fn hear_image(&mut self, event: Event<'a>, range: Range<usize>) {
        let goes_on = self.image.as_mut().is_some_and(|image| image.hear(&event));
        match event {
            Event::Start(Tag::Link { link_type, dest_url, .. }) => {
                self.destination(LinkKind::Link, link_type, dest_url, range);
            }
            Event::Start(Tag::Image { link_type, dest_url, .. }) => {
                self.destination(LinkKind::Picture, link_type, dest_url, range);
            }
            _ => {}
        }
        if let Some(image) = self.image.take_if(|_| !goes_on) {
            self.end_image(&image);
        }
    }

    fn end_image(&mut self, image: &Image<'a>) {
        let html = Event::InlineHtml(image.html().into());
        if !self.base.settings.hooks.image {
            return self.push(html);
        }
        let (width, height) = image.picture.as_ref().map_or((0, 0), |picture| (picture.width, picture.height));
        let arguments = vec![
            argument("url", image.address.as_ref()),
            argument("alt", image.alt.as_str()),
            argument("title", image.title.as_ref()),
            argument("width", width),
            argument("height", height),
            argument("srcset", image.srcset()),
            argument("alone", false),
        ];
        let begin = self.mark();
        let hole = self.holes.add(Hole::new("render_image", arguments, Asker::Hook, image.span), begin);
        self.holes.begin_body(hole, begin);
        self.push(html);
        let end = self.mark();
        self.holes.end(hole, Some(end), end);
    }

    /// Ends a paragraph. A picture that is all there is in it takes its place, where the theme shows pictures.
    fn end_paragraph(&mut self) {
        let end = Event::End(TagEnd::Paragraph);
        let alone = match &self.pieces[..] {
            [
                ..,
                Piece::Event(Event::Start(Tag::Paragraph)),
                Piece::Mark(first),
                Piece::Event(_),
                Piece::Mark(last),
            ] => self.holes.image_between(*first, *last),
            _ => None,
        };
        let Some(hole) = alone else { return self.push(end) };
        let begin = self.holes.mark();
        self.pieces.insert(self.pieces.len() - 4, Piece::Mark(begin));
        self.push(end);
        let end = self.mark();
        self.holes.stand_alone(hole, begin, end);
    }

    fn hear_code(&mut self, event: &Event<'a>) {
        if let (Event::Text(lines), Some(code)) = (event, &mut self.code) {
            code.text.push_str(lines);
        }
        if *event == Event::End(TagEnd::CodeBlock)
            && let Some(code) = self.code.take()
        {
            self.end_code(code);
        }
    }

    /// Whether code is shown in another way than as it is.
    fn is_code_read(&self, kind: &CodeBlockKind<'_>) -> bool {
        let is_named = matches!(kind, CodeBlockKind::Fenced(info) if !info.is_empty());
        self.base.settings.hooks.code || (is_named && self.base.settings.highlight == Highlight::Classes)
    }

    fn end_code(&mut self, code: Code<'a>) {
        let settings = self.base.settings;
        let shown = match settings.highlight {
            Highlight::Classes => highlight(&code.text, &code.lang()),
            Highlight::None => None,
        };
        let hole = settings.hooks.code.then(|| {
            let arguments = vec![argument("lang", code.lang().as_ref()), argument("code", code.text.as_str())];
            let begin = self.mark();
            self.holes.add(Hole::new("render_code", arguments, Asker::Hook, code.span), begin)
        });
        self.push(Event::Start(Tag::CodeBlock(code.kind)));
        if let Some(hole) = hole {
            let begin = self.mark();
            self.holes.begin_body(hole, begin);
        }
        self.push(match shown {
            Some(html) => Event::InlineHtml(CowStr::Boxed(html.as_ref().into())),
            None => Event::Text(code.text.into()),
        });
        let body_end = hole.map(|_| self.mark());
        self.push(Event::End(TagEnd::CodeBlock));
        if let Some(hole) = hole {
            let end = self.mark();
            self.holes.end(hole, body_end, end);
        }
    }
}

fn argument(name: &'static str, value: impl Into<Value>) -> Argument {
    Argument { name: name.into(), value: value.into(), span: Span::default() }
}
