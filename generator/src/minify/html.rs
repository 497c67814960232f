//! Pages. The tokenizer says what is markup; markup stays byte for byte, and white space and comments that no browser
//! shows go.
//!
//! The marks around slots count as words, so that no white space goes that a slot's fill could stand beside.

use std::convert::Infallible;
use std::mem;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};
use memchr::memchr3;

/// Elements whose text stays as it is.
const KEPT: [&[u8]; 10] =
    [b"iframe", b"listing", b"noscript", b"plaintext", b"pre", b"script", b"style", b"textarea", b"title", b"xmp"];

/// The page without what no browser shows.
pub(crate) fn html(page: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(page);
    let mut emitter = CallbackEmitter::<_, Infallible, usize>::new(|event: CallbackEvent<'_>, span: Span<usize>| {
        writer.see(&event, span);
        None
    });
    emitter.naively_switch_states(true);
    let tokenizer = Tokenizer::new_with_emitter(page, emitter);
    let Ok(()) = tokenizer.finish();
    writer.finish()
}

/// What has been written, and what stands before it.
struct Writer<'a> {
    page: &'a [u8],
    out: Vec<u8>,
    /// Up to where the page has been dealt with.
    done: usize,
    /// Whether white space was read that is not yet written: its first byte.
    space: Option<u8>,
    edge: Edge,
    in_head: bool,
    /// The element whose text stays as it is, and how deep it stands in itself.
    kept: Option<(Vec<u8>, usize)>,
    /// The name of the start tag that is being read.
    name: Vec<u8>,
    /// Where the tag that is being read begins.
    tag: usize,
}

/// What the last thing written was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// The tag of a block, after which white space shows nothing.
    Block,
    /// Anything else.
    Inline,
}

impl<'a> Writer<'a> {
    fn new(page: &'a [u8]) -> Self {
        let (out, name) = (Vec::with_capacity(page.len()), Vec::new());
        Self { page, out, done: 0, space: None, edge: Edge::Block, in_head: false, kept: None, name, tag: 0 }
    }

    fn see(&mut self, event: &CallbackEvent<'_>, span: Span<usize>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag = span.start;
                self.name.clear();
                self.name.extend_from_slice(name);
            }
            CallbackEvent::CloseStartTag { .. } => self.start_tag(span.end),
            CallbackEvent::EndTag { name } => self.end_tag(name, span),
            CallbackEvent::Doctype { .. } => self.markup(span.start, span.end, Edge::Block),
            CallbackEvent::Comment { .. } => self.comment(span),
            _ => {}
        }
    }

    fn start_tag(&mut self, end: usize) {
        let name = mem::take(&mut self.name);
        if name == b"head" || name == b"body" {
            self.in_head = name == b"head";
        }
        self.markup(self.tag, end, self.edge_of(&name));
        match &mut self.kept {
            Some((kept, depth)) => *depth += usize::from(*kept == name),
            None if KEPT.contains(&name.as_slice()) => self.kept = Some((name.clone(), 1)),
            None => {}
        }
        self.name = name;
    }

    fn end_tag(&mut self, name: &[u8], span: Span<usize>) {
        let edge = self.edge_of(name);
        self.markup(span.start, span.end, edge);
        if name == b"head" {
            self.in_head = false;
        }
        if let Some((kept, depth)) = &mut self.kept {
            *depth -= usize::from(kept == name);
            if *depth == 0 {
                self.kept = None;
            }
        }
    }

    /// In the head nothing is shown.
    fn edge_of(&self, name: &[u8]) -> Edge {
        if self.in_head || is_block(name) { Edge::Block } else { Edge::Inline }
    }

    /// Comments go, unless something reads them (old browsers, servers, whoever fills a slot in them), or what stands
    /// around them would become one word: `<<!-- -->b` is no tag.
    fn comment(&mut self, span: Span<usize>) {
        let comment = &self.page[span.start..span.end];
        let is_plain = comment.starts_with(b"<!--") && !matches!(comment.get(4), Some(b'[' | b'#' | b'!'));
        let is_read = self.kept.is_some() || !is_plain || memchr3(1, 2, 3, comment).is_some();
        self.text(span.start);
        if is_read || self.joins(span.end) {
            self.markup(span.start, span.end, Edge::Inline);
        }
        self.done = span.end;
    }

    /// Whether the last word written and what begins at `next` would become one.
    fn joins(&self, next: usize) -> bool {
        let ends = self.space.is_some() || self.out.last().is_none_or(|last| *last == b'>');
        let begins = self.page.get(next).is_none_or(|next| next.is_ascii_whitespace() || *next == b'<');
        !ends && !begins
    }

    /// Writes markup as it is, after the text before it.
    fn markup(&mut self, start: usize, end: usize, edge: Edge) {
        self.text(start);
        if edge == Edge::Block {
            self.space = None;
        }
        self.write_space();
        self.out.extend_from_slice(&self.page[self.done..end]);
        self.done = end;
        self.edge = edge;
    }

    /// Writes the text that ends before `end`; white space at its end waits for what follows.
    fn text(&mut self, end: usize) {
        let mut text = &self.page[self.done..end];
        self.done = end;
        if self.kept.is_some() {
            self.write_space();
            self.out.extend_from_slice(text);
            return;
        }
        while let Some(first) = text.first() {
            if first.is_ascii_whitespace() {
                self.space = self.space.or(Some(*first));
                text = text.trim_ascii_start();
            } else {
                self.write_space();
                self.edge = Edge::Inline;
                let word = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
                self.out.extend_from_slice(&text[..word]);
                text = &text[word..];
            }
        }
    }

    fn write_space(&mut self) {
        if let Some(space) = self.space.take().filter(|_| self.edge == Edge::Inline) {
            self.out.push(space);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.text(self.page.len());
        self.write_space();
        self.out
    }
}

/// Whether browsers begin the element on a line of its own: white space beside its tags shows nothing.
#[rustfmt::skip]
fn is_block(name: &[u8]) -> bool {
    matches!(
        name,
        b"address" | b"article" | b"aside" | b"blockquote" | b"body" | b"caption" | b"center" | b"col" | b"colgroup"
            | b"dd" | b"details" | b"dialog" | b"dir" | b"div" | b"dl" | b"dt" | b"fieldset" | b"figcaption"
            | b"figure" | b"footer" | b"form" | b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" | b"head" | b"header"
            | b"hgroup" | b"hr" | b"html" | b"legend" | b"li" | b"main" | b"menu" | b"nav" | b"ol" | b"optgroup"
            | b"option" | b"p" | b"pre" | b"search" | b"section" | b"summary" | b"table" | b"tbody" | b"td" | b"tfoot"
            | b"th" | b"thead" | b"tr" | b"ul"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use html5gum::Token;
    use proptest::prelude::*;

    use super::*;
    use crate::slots;

    fn minified(page: &str) -> String {
        String::from_utf8(html(page.as_bytes())).unwrap()
    }

    #[test]
    fn white_space_goes_where_no_browser_shows_it() {
        let table = [
            (
                "<!doctype html>\n<html>\n<head>\n  <meta charset=utf-8>\n  <link rel=icon href=/a>\n</head>\n<body class=\"a\">\n\n<p>\n a  b\n</p>\n",
                "<!doctype html><html><head><meta charset=utf-8><link rel=icon href=/a></head><body class=\"a\"><p>a b</p>",
            ),
            (
                "<p>one <em>two</em> <b>three</b>\n\n<i> four</i>five </p>",
                "<p>one <em>two</em> <b>three</b>\n<i> four</i>five</p>",
            ),
            (
                "<p>a <!-- no --> b<!-- no --> c<!-- yes -->d &am<!-- yes -->p; <!--[if IE]> x <![endif]--></p>",
                "<p>a b c<!-- yes -->d &am<!-- yes -->p; <!--[if IE]> x <![endif]--></p>",
            ),
            ("<div><pre>\n a\n  <b> b</b>\n</pre>  <p>c</div>", "<div><pre>\n a\n  <b> b</b>\n</pre><p>c</div>"),
            (
                "<p><textarea>\n a  b </textarea>  x  <script> let a =  1; // <p>  b\n</script>  y</p>",
                "<p><textarea>\n a  b </textarea> x <script> let a =  1; // <p>  b\n</script> y</p>",
            ),
            (
                "<script type=application/ld+json>\n{\"a\":  \"<b>  </b>\"}\n</script>",
                "<script type=application/ld+json>\n{\"a\":  \"<b>  </b>\"}\n</script>",
            ),
            (
                "<img  alt=\"a  >  b\"   src='x'>  <a\nhref=y >z</a >",
                "<img  alt=\"a  >  b\"   src='x'> <a\nhref=y >z</a >",
            ),
            ("<p>a&nbsp; \u{a0} b &lt;  c</p>", "<p>a&nbsp; \u{a0} b &lt; c</p>"),
            (
                "<svg><title>a  b</title> <text>c  d</text><![CDATA[ x  y ]]></svg>",
                "<svg><title>a  b</title> <text>c d</text><![CDATA[ x  y ]]></svg>",
            ),
            ("a\r\n\r\n会  社<br>  b", "a\r会 社<br> b"),
        ];
        for (page, known) in table {
            assert_eq!(minified(page), known, "{page}");
            assert_eq!(minified(known), known, "once is enough");
        }
    }

    /// What a browser reads: tags with their attributes, and the words between them; text that is kept as it is.
    fn read(page: &str) -> Vec<String> {
        let (mut read, mut text, mut kept) = (Vec::new(), String::new(), 0_usize);
        let mut emitter = html5gum::DefaultEmitter::<()>::default();
        emitter.naively_switch_states(true);
        for token in Tokenizer::new_with_emitter(page, emitter) {
            let Ok(token) = token;
            match token {
                Token::String(more) => text.push_str(str::from_utf8(&more).unwrap()),
                Token::Comment(_) | Token::Error(_) => {}
                token => {
                    read.extend(words(&mem::take(&mut text), kept));
                    read.push(format!("{token:?}"));
                    match token {
                        Token::StartTag(tag) => kept += usize::from(KEPT.contains(&&tag.name[..])),
                        Token::EndTag(tag) => kept = kept.saturating_sub(usize::from(KEPT.contains(&&tag.name[..]))),
                        _ => {}
                    }
                }
            }
        }
        read.extend(words(&text, kept));
        read
    }

    fn words(text: &str, kept: usize) -> Vec<String> {
        match kept {
            0 => text.split_ascii_whitespace().map(str::to_owned).collect(),
            _ => vec![text.to_owned()],
        }
    }

    const PIECES: [&str; 30] = [
        "<p>",
        "</p>",
        "<em>",
        "</em>",
        "<div class=\"a  b\">",
        "</div>",
        "<pre>",
        "</pre>",
        "<textarea>",
        "</textarea>",
        "<script>",
        "</script>",
        "<head>",
        "</head>",
        "<br/>",
        "<!-- a -->",
        "<!doctype html>",
        " ",
        "\n\n",
        "\r\n",
        "word",
        "会社",
        "&amp;",
        "&#32;",
        "<",
        ">",
        "</",
        "<svg>",
        "\t",
        "<title>",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_minified_page_reads_the_same(pieces in proptest::collection::vec(0..PIECES.len(), 0..24)) {
            let page: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
            let minified = minified(&page);
            prop_assert!(minified.len() <= page.len());
            prop_assert_eq!(read(&minified), read(&page), "{} became {}", page, minified);
        }

        #[test]
        fn no_bytes_make_it_panic(page in "[<>!/a-c =\"'&;\\-\\[\\]\n\r\u{1}会\u{0}]{0,60}") {
            html(page.as_bytes());
        }

        #[test]
        fn a_slot_is_filled_as_if_the_page_had_been_written_so(
            before in proptest::collection::vec(0..8_usize, 0..6), after in proptest::collection::vec(0..8_usize, 0..6),
            default in "[a ]{0,5}(<p> b</p>)?[ c]{0,3}", fill in "( ?<b>[x ]{0,4}</b> ?)?",
        ) {
            const AROUND: [&str; 8] = ["<div>", "</div>", "<p>", "<em>", "</em>", "  ", "word", "<!-- a -->"];
            let around = |pieces: &[usize]| pieces.iter().map(|piece| AROUND[*piece]).collect::<String>();
            let page = |slot: &str| {
                let page = [around(&before), slots::mark(0, slot).unwrap(), around(&after)].concat();
                let mut page = html(page.as_bytes());
                let slots = slots::extract(&mut page, &["nav".to_owned()]).unwrap();
                (page, slots)
            };
            let (with_default, slots) = page(&default);
            let fills = BTreeMap::from([("nav".to_owned(), fill.clone().into_bytes())]);
            let (written, places) = page(&fill);
            let as_written = String::from_utf8(slots::fill_slots(&with_default, &slots, &fills)).unwrap();
            let unfilled = BTreeMap::from([("nav".to_owned(), fill.into_bytes())]);
            // Inside the slot the fill is left as it came.
            prop_assert_eq!(as_written.into_bytes(), slots::fill_slots(&written, &places, &unfilled));
        }
    }
}
