//! The calls of components that stand in one text: which of them were met where a component can stand.

use std::ops::Range;

use super::Span;
use super::call::{Call, Form, Name};
use super::hole::Mistake;

/// How deep bodies may lie in each other.
const MAX_DEPTH: usize = 16;

/// The calls of a text, in its order.
pub(super) struct Calls {
    written: Vec<Call>,
    open: Vec<Opened>,
    mistakes: Vec<Mistake>,
}

/// A component whose body is being read.
struct Opened {
    name: Name,
    /// The paragraph, list or the like that it stands in.
    container: usize,
    /// Its hole.
    hole: usize,
}

impl Calls {
    /// The calls that a text holds.
    pub(super) fn new(written: Vec<Call>) -> Self {
        Self { written, open: Vec::new(), mistakes: Vec::new() }
    }

    /// The numbers of those that stand in `range`, wholly or in part.
    pub(super) fn within(&self, range: &Range<usize>) -> Range<usize> {
        let first = self.written.partition_point(|call| call.range.end <= range.start);
        let last = self.written.partition_point(|call| call.range.start < range.end);
        first..last.max(first)
    }

    /// Takes call `number`, which stands where it means something, or where it is only shown.
    pub(super) fn take(&mut self, number: usize) -> Form {
        std::mem::replace(&mut self.written[number].form, Form::Escaped)
    }

    /// Where call `number` stands.
    pub(super) fn range(&self, number: usize) -> Range<usize> {
        self.written[number].range.clone()
    }

    /// Whether call `number` is only shown.
    pub(super) fn is_escaped(&self, number: usize) -> bool {
        matches!(self.written[number].form, Form::Escaped)
    }

    /// Notes what is wrong.
    pub(super) fn blame(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// A body begins, in `container`.
    pub(super) fn open(&mut self, name: Name, container: usize, hole: usize) {
        if self.open.len() == MAX_DEPTH {
            self.mistakes.push(unclosed(format!("bodies lie more than {MAX_DEPTH} deep in each other"), &name));
        }
        self.open.push(Opened { name, container, hole });
    }

    /// A body ends, in `container`; the answer is the hole, unless something is wrong.
    pub(super) fn close(&mut self, name: &Name, container: usize) -> Option<usize> {
        let Some(opened) = self.open.pop() else {
            self.mistakes.push(unclosed(format!("`{}` ends here and did not begin", name.name), name));
            return None;
        };
        let message = if opened.name.name != name.name {
            format!("`{}` ends here, and `{}` is still open", name.name, opened.name.name)
        } else if opened.container != container {
            format!("`{}` ends here, and began in another paragraph, list or quote", name.name)
        } else {
            return Some(opened.hole);
        };
        let mut mistake = unclosed(message, name);
        mistake.help = Some("put the beginning and the end on lines of their own, equally far to the right".to_owned());
        self.mistakes.push(mistake);
        None
    }

    /// What is wrong with the calls of the text.
    pub(super) fn finish(mut self) -> Vec<Mistake> {
        for opened in self.open {
            let message = format!("`{}` has no end", opened.name.name);
            let mut mistake = unclosed(message, &opened.name);
            mistake.help = Some(format!("write {{% </{}> %}} after its body", opened.name.name));
            self.mistakes.push(mistake);
        }
        for call in self.written {
            match call.form {
                Form::Escaped => {}
                _ => self.mistakes.push(Mistake {
                    code: "misplaced-component",
                    message: "a component cannot be called here".to_owned(),
                    help: Some(
                        "call it in a paragraph or on a line of its own, without an empty line inside".to_owned(),
                    ),
                    span: Span::new(call.range),
                }),
            }
        }
        self.mistakes.sort_by_key(|mistake| mistake.span.range().start);
        self.mistakes
    }
}

fn unclosed(message: String, name: &Name) -> Mistake {
    Mistake { code: "unclosed-component", message, help: None, span: name.span }
}
