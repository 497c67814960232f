//! Hears the events in which calls of components stand: they count in HTML, and are shown as they are written in code.

use std::ops::Range;

use pulldown_cmark::{CowStr, Event, Tag};

use super::call::{Component, Form};
use super::hole::{Asker, Hole};
use super::reading::Reading;
use super::writer::Piece;

impl<'a> Reading<'a> {
    /// Hears an event in which `calls` stand.
    pub(super) fn hear_calls(&mut self, event: Event<'a>, range: Range<usize>, calls: Range<usize>) {
        let written = &self.text[range.clone()];
        let shown = match event {
            Event::InlineHtml(html) if calls.clone().any(|number| self.calls.is_escaped(number)) => Event::Text(html),
            Event::Html(html) if html.len() == written.len() && !self.in_comment && !html.contains("<!--") => {
                let around = self.containers.len().checked_sub(2).map_or(0, |around| self.containers[around]);
                return self.hear_html(Event::Html, range, calls, around);
            }
            Event::InlineHtml(html) if html.len() == written.len() && !html.starts_with("<!--") => {
                if self.image.is_none() {
                    let around = self.containers.last().copied().unwrap_or_default();
                    self.hear_html(Event::InlineHtml, range, calls, around);
                }
                return;
            }
            Event::Html(_) => Event::Html(written.into()),
            Event::InlineHtml(_) => Event::InlineHtml(written.into()),
            Event::Code(_) => Event::Code(inside_code(written).into()),
            Event::InlineMath(_) => Event::InlineMath(written.trim_matches('$').into()),
            Event::DisplayMath(_) => Event::DisplayMath(written.trim_matches('$').into()),
            Event::Text(text) if text.len() == written.len() => {
                let is_code = self.code.is_some() || self.is_in_code_block();
                return self.hear_shown(Event::Text(written.into()), range, calls.filter(|_| is_code));
            }
            other => return self.hear_plain(other, range),
        };
        self.hear_shown(shown, range, calls);
    }

    /// Hears what shows `calls` and calls nothing.
    fn hear_shown(&mut self, event: Event<'a>, range: Range<usize>, calls: impl Iterator<Item = usize>) {
        for number in calls {
            self.calls.take(number);
        }
        self.hear_plain(event, range);
    }

    fn is_in_code_block(&self) -> bool {
        let begun = self.pieces.iter().rev().find(|piece| !matches!(piece, Piece::Event(Event::Text(_))));
        matches!(begun, Some(Piece::Event(Event::Start(Tag::CodeBlock(_)))))
    }

    /// Hears HTML in which `calls` stand; what is around it is the element `around`.
    fn hear_html(
        &mut self,
        kind: fn(CowStr<'a>) -> Event<'a>,
        range: Range<usize>,
        calls: Range<usize>,
        around: usize,
    ) {
        let (text, mut done) = (self.text, range.start);
        for number in calls {
            let call = self.calls.range(number);
            if call.start >= done {
                self.push(kind(text[done..call.start].into()));
                let form = self.calls.take(number);
                self.call(form, around);
            }
            done = done.max(call.end.min(range.end));
        }
        self.push(kind(text[done..range.end].into()));
    }

    fn call(&mut self, form: Form, around: usize) {
        match form {
            Form::Alone(Component { name, arguments }) => {
                let begin = self.mark();
                let hole = self.holes.add(Hole::new(name.name, arguments, Asker::Call, name.span), begin);
                let end = self.mark();
                self.holes.end(hole, None, end);
            }
            Form::Open(Component { name, arguments }) => {
                let begin = self.mark();
                let hole = Hole::new(name.name.clone(), arguments, Asker::Call, name.span);
                let hole = self.holes.add(hole, begin);
                self.holes.begin_body(hole, begin);
                self.calls.open(name, around, hole);
            }
            Form::Close(name) => {
                if let Some(hole) = self.calls.close(&name, around) {
                    let end = self.mark();
                    self.holes.end(hole, Some(end), end);
                }
            }
            Form::Wrong(mistake) => self.calls.blame(mistake),
            Form::Escaped => {}
        }
    }
}

/// Whether what follows `html` stands in a comment, if `html` says.
pub(super) fn comment_after(html: &str) -> Option<bool> {
    match (html.rfind("<!--"), html.rfind("-->")) {
        (None, None) => None,
        (begin, end) => Some(begin > end),
    }
}

/// What a code span shows, without its backticks (`CommonMark`, section 6.1).
fn inside_code(written: &str) -> String {
    let fence = written.len() - written.trim_start_matches('`').len();
    let inside = written.get(fence..written.len().saturating_sub(fence)).unwrap_or(written).replace('\n', " ");
    let stripped = inside.strip_prefix(' ').and_then(|inside| inside.strip_suffix(' '));
    stripped.filter(|stripped| !stripped.trim().is_empty()).map_or(inside.clone(), str::to_owned)
}
