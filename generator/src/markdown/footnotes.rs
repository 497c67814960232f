//! Footnotes: numbered by where they are first referred to, and shown in that order at the end of the text.
//!
//! A note that nothing refers to is not shown.

use std::borrow::Cow;
use std::collections::HashMap;

use pulldown_cmark::{CowStr, Event, TagEnd};

use super::writer::Piece;

/// What begins a reference in the HTML.
const REFERENCE: &str = "<sup class=\"footnote-ref\">";

/// The footnotes of one text.
#[derive(Default)]
pub(super) struct Footnotes<'a> {
    /// The names of those that were referred to, in order, and how often.
    numbers: Vec<(CowStr<'a>, usize)>,
    notes: HashMap<CowStr<'a>, Vec<Piece<'a>>>,
    /// The notes that are being read, one inside the other, and what stands before each.
    open: Vec<(CowStr<'a>, Vec<Piece<'a>>)>,
}

impl<'a> Footnotes<'a> {
    /// The HTML of a reference to the note `name`.
    pub(super) fn reference(&mut self, name: CowStr<'a>) -> Event<'a> {
        let known = self.numbers.iter().position(|(known, _)| *known == name);
        let at = known.unwrap_or_else(|| {
            self.numbers.push((name, 0));
            self.numbers.len() - 1
        });
        self.numbers[at].1 += 1;
        let (number, id) = (at + 1, reference_id(at + 1, self.numbers[at].1));
        let link = format!("<a href=\"#fn-{number}\" id=\"{id}\" role=\"doc-noteref\">{number}</a>");
        Event::InlineHtml(format!("{REFERENCE}{link}</sup>").into())
    }

    /// Begins the note `name`: what is put into `pieces` until it ends belongs to it.
    pub(super) fn begin(&mut self, name: CowStr<'a>, pieces: &mut Vec<Piece<'a>>) {
        self.open.push((name, std::mem::take(pieces)));
    }

    /// Ends the note that is open. Of two notes with one name the first counts.
    pub(super) fn end(&mut self, pieces: &mut Vec<Piece<'a>>) {
        if let Some((name, text)) = self.open.pop() {
            let note = std::mem::replace(pieces, text);
            self.notes.entry(name).or_insert(note);
        }
    }

    /// Puts the notes at the end of the text; `back` is what the links to their references are called.
    pub(super) fn finish(mut self, pieces: &mut Vec<Piece<'a>>, back: &str) {
        if self.numbers.is_empty() {
            return;
        }
        let html = |html: String| Piece::Event(Event::Html(html.into()));
        pieces.push(html("<div class=\"footnotes\" role=\"doc-endnotes\">\n<ol>\n".to_owned()));
        for (at, (name, times)) in self.numbers.iter().enumerate() {
            pieces.push(html(format!("<li id=\"fn-{}\">\n", at + 1)));
            pieces.extend(self.notes.remove(name).unwrap_or_default());
            let end = matches!(pieces.last(), Some(Piece::Event(Event::End(TagEnd::Paragraph)))).then(|| pieces.pop());
            pieces.extend((1..=*times).map(|time| {
                let id = reference_id(at + 1, time);
                let link = "class=\"footnote-backref\" role=\"doc-backlink\"";
                let link = format!(" <a href=\"#{id}\" {link} aria-label=\"{back}\">↩</a>");
                Piece::Event(Event::InlineHtml(link.into()))
            }));
            pieces.extend(end.flatten());
            pieces.push(html("</li>\n".to_owned()));
        }
        pieces.push(html("</ol>\n</div>\n".to_owned()));
    }
}

/// The id of the reference to a note; the first has the plain one.
fn reference_id(number: usize, time: usize) -> String {
    if time == 1 { format!("fnref-{number}") } else { format!("fnref-{number}-{time}") }
}

/// `html` without references, which lead to notes that do not come along.
pub(super) fn without_references(html: &str) -> Cow<'_, str> {
    if !html.contains(REFERENCE) {
        return Cow::Borrowed(html);
    }
    let mut parts = html.split(REFERENCE);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str(part.split_once("</sup>").map_or(part, |(_, rest)| rest));
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::super::tests::body;

    #[test]
    fn notes_stand_at_the_end_in_the_order_of_their_references() {
        let text = "One[^b] two[^a] three[^b].\n\n[^a]: Second.\n[^c]: Nobody asks.\n[^b]: First.\n\n    More *words*.\n\nEnd.\n";
        let back = "class=\"footnote-backref\" role=\"doc-backlink\" aria-label=\"Back to the text\">↩</a>";
        let reference = |number: usize, id: &str| {
            format!(
                "<sup class=\"footnote-ref\"><a href=\"#fn-{number}\" id=\"{id}\" role=\"doc-noteref\">{number}</a></sup>"
            )
        };
        assert_eq!(
            body(text).html,
            format!(
                "<p>One{} two{} three{}.</p>\n<p>End.</p>\n\
                 <div class=\"footnotes\" role=\"doc-endnotes\">\n<ol>\n\
                 <li id=\"fn-1\">\n<p>First.</p>\n<p>More <em>words</em>. <a href=\"#fnref-1\" {back} \
                 <a href=\"#fnref-1-2\" {back}</p>\n</li>\n\
                 <li id=\"fn-2\">\n<p>Second. <a href=\"#fnref-2\" {back}</p>\n</li>\n</ol>\n</div>\n",
                reference(1, "fnref-1"),
                reference(2, "fnref-2"),
                reference(1, "fnref-1-2"),
            )
        );
    }

    #[test]
    fn a_note_may_hold_headings_and_links_and_a_missing_one_is_text() {
        let body = body("A[^1] b[^2].\n\n[^1]: # Why\n\n    [So](/news/)\n");
        assert_eq!((body.headings[0].id.as_str(), body.links.len()), ("why", 1));
        assert!(body.html.contains("<h1 id=\"why\">Why</h1>\n<p><a href=\"/news/\">So</a> <a href"), "{}", body.html);
        assert!(body.html.contains("b[^2]."));
    }

    #[test]
    fn a_summary_has_no_references() {
        let body = body("One[^1] two.\n\n<!-- more -->\n\n[^1]: Note.\n");
        assert_eq!(body.summary().as_deref(), Some("<p>One two.</p>\n"));
    }
}
