//! Blocks of code.

use pulldown_cmark::{CodeBlockKind, CowStr};

use super::Span;

/// A block of code whose lines are still being read.
pub(super) struct Code<'a> {
    /// What the fence says, and the kind of the block.
    pub(super) kind: CodeBlockKind<'a>,
    /// The lines so far.
    pub(super) text: String,
    /// Where it stands in the file.
    pub(super) span: Span,
}

impl<'a> Code<'a> {
    /// A block whose lines are still to come.
    pub(super) fn new(kind: CodeBlockKind<'a>, span: Span) -> Self {
        Self { kind, text: String::new(), span }
    }

    /// The language that the fence names; empty where it names none.
    pub(super) fn lang(&self) -> CowStr<'_> {
        match &self.kind {
            CodeBlockKind::Fenced(info) => info.split([' ', ',']).next().unwrap_or_default().into(),
            CodeBlockKind::Indented => "".into(),
        }
    }
}
