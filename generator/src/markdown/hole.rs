//! Places in a text's HTML that components of the theme fill when its page is made.
//!
//! A text is rendered once, whatever themes its page is made with. So a hole keeps what stands there without the
//! component; where nothing is filled, the HTML is what Markdown makes by itself.

use std::borrow::Cow;

use serde_json::Value;
use tieup_protocol::diagnostic::Diagnostic;

use super::{Body, Span};
use crate::print::Printer;

/// A place that a component of the theme fills.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Hole {
    /// The component.
    pub(crate) name: Cow<'static, str>,
    /// What it is given.
    pub(crate) arguments: Vec<Argument>,
    /// Who asks for it.
    pub(crate) asker: Asker,
    /// Where its name, or the link it shows, stands in the file.
    pub(crate) span: Span,
    /// What it takes the place of in the HTML.
    pub(super) whole: Span,
    /// What of that is its body; none for a call without one.
    pub(super) body: Option<Span>,
    /// How many of the holes that follow lie in its body.
    pub(super) inside: usize,
}

/// Who asks for a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The text calls it by name: it must exist.
    Call,
    /// The text has what a theme may show in its own way: without such a component all stays as it is.
    Hook,
}

/// What a component is given under one name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Argument {
    /// The name.
    pub(crate) name: Cow<'static, str>,
    /// The value.
    pub(crate) value: Value,
    /// Where the name stands in the file.
    pub(crate) span: Span,
}

/// Something that is wrong in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// A stable name for the kind of mistake.
    pub(crate) code: &'static str,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
    /// Where it stands in the file.
    pub(crate) span: Span,
}

impl Hole {
    /// A hole whose place is not known yet.
    pub(super) fn new(name: impl Into<Cow<'static, str>>, arguments: Vec<Argument>, asker: Asker, span: Span) -> Self {
        let (name, whole) = (name.into(), Span::default());
        Self { name, arguments, asker, span, whole, body: None, inside: 0 }
    }
}

impl Hole {
    /// Adds what fills it to a fingerprint.
    pub(super) fn add_to(&self, printer: &mut Printer) {
        printer.text(&self.name).number(self.arguments.len()).number(self.inside);
        for argument in &self.arguments {
            printer.text(&argument.name).value(&argument.value);
        }
        for span in [Some(self.whole), self.body] {
            let range = span.map_or(usize::MAX..usize::MAX, Span::range);
            printer.number(range.start).number(range.end);
        }
    }
}

/// Fills a hole, given its body as HTML; none where the theme leaves it as it is.
pub(crate) type Fill<'a> = dyn Fn(&Hole, Option<&str>) -> Result<Option<String>, Diagnostic> + 'a;

impl Body {
    /// The HTML with its holes filled.
    ///
    /// # Errors
    /// What `fill` says.
    pub(crate) fn filled(&self, fill: &Fill<'_>) -> Result<Cow<'_, str>, Diagnostic> {
        if self.holes.is_empty() {
            return Ok(Cow::Borrowed(&self.html));
        }
        let all = Span::new(0..self.html.len());
        self.filled_part(all, &self.holes, fill).map(Cow::Owned)
    }

    fn filled_part(&self, part: Span, holes: &[Hole], fill: &Fill<'_>) -> Result<String, Diagnostic> {
        let mut html = String::with_capacity(part.range().len() * 2);
        let (mut done, mut holes) = (part.range().start, holes);
        while let [hole, rest @ ..] = holes {
            let (inside, after) = rest.split_at(hole.inside);
            let whole = hole.whole.range();
            html.push_str(&self.html[done..whole.start]);
            let body = hole.body.map(|body| self.filled_part(body, inside, fill)).transpose()?;
            match (fill(hole, body.as_deref())?, hole.body) {
                (Some(filled), _) => html.push_str(&filled),
                (None, Some(place)) => {
                    html.push_str(&self.html[whole.start..place.range().start]);
                    html.push_str(&body.unwrap_or_default());
                    html.push_str(&self.html[place.range().end..whole.end]);
                }
                (None, None) => html.push_str(&self.html[whole.clone()]),
            }
            (done, holes) = (whole.end, after);
        }
        html.push_str(&self.html[done..part.range().end]);
        Ok(html)
    }
}
