//! What a person is told about a file that is wrong: a stable code, the place, the line underlined, and what to do.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// One thing that is wrong in one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// The file, as the person named it.
    pub file: String,
    /// Where in the file, where that is known.
    pub span: Option<Span>,
    /// A stable name for this kind of mistake, such as `unknown-key`.
    pub code: &'static str,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// The other place that takes part, such as where a path was claimed first.
    pub related: Option<Related>,
    /// What to do about it.
    pub help: Option<String>,
}

/// A stretch of one line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Span {
    /// The line, counted from 1.
    pub line: usize,
    /// The first column, in characters, counted from 1.
    pub column: usize,
    /// How many characters are meant, at least 1.
    pub length: usize,
    /// The text of the line.
    pub text: String,
}

/// A second place that explains the first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Related {
    /// The file.
    pub file: String,
    /// The line, counted from 1, where that is known.
    pub line: Option<usize>,
    /// What is there, such as `first defined here`.
    pub message: String,
}

impl Diagnostic {
    /// A diagnostic about the whole of `file`.
    pub fn new(code: &'static str, file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: file.into(), span: None, code, message: message.into(), related: None, help: None }
    }

    /// The same, pointing at `length` characters of `text` from a byte offset.
    #[must_use]
    pub fn at_offset(mut self, text: &str, offset: usize, length: usize) -> Self {
        self.span = Some(Span::at_offset(text, offset, length));
        self
    }

    /// The same, pointing at a line and column (both from 1) of `text`.
    #[must_use]
    pub fn at_line(mut self, text: &str, line: usize, column: usize) -> Self {
        let line_text = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let word = line_text.chars().skip(column.saturating_sub(1));
        let length = word.take_while(|c| !c.is_whitespace() && *c != ':').count().max(1);
        self.span = Some(Span { line, column: column.max(1), length, text: line_text.to_owned() });
        self
    }

    /// The same, pointing at the first place where `needle` stands in `text`, if it does.
    #[must_use]
    pub fn at_text(self, text: &str, needle: &str) -> Self {
        match text.find(needle) {
            Some(offset) => self.at_offset(text, offset, needle.chars().count()),
            None => self,
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with a second place.
    #[must_use]
    pub fn related(mut self, file: impl Into<String>, line: Option<usize>, message: impl Into<String>) -> Self {
        self.related = Some(Related { file: file.into(), line, message: message.into() });
        self
    }
}

impl Span {
    fn at_offset(text: &str, offset: usize, length: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_text = text[start..].lines().next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            length: length.max(1),
            text: line_text.to_owned(),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error[{}]: {}", self.code, self.message)?;
        match &self.span {
            Some(span) => {
                let margin = span.line.to_string();
                let blank = " ".repeat(margin.len());
                writeln!(f, "{blank}--> {}:{}:{}", self.file, span.line, span.column)?;
                writeln!(f, "{margin} | {}", span.text)?;
                let pad = padding(&span.text, span.column);
                writeln!(f, "{blank} | {pad}{}", "^".repeat(span.length))?;
            }
            None => writeln!(f, " --> {}", self.file)?,
        }
        if let Some(related) = &self.related {
            let line = related.line.map(|line| format!(":{line}")).unwrap_or_default();
            writeln!(f, "  = note: {}{line}: {}", related.file, related.message)?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "  = help: {help}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// Blanks up to `column`, keeping tabs so that the underline stays below its word.
fn padding(text: &str, column: usize) -> String {
    text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
}

/// Everything that is wrong, sorted by file and line; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Sorts `diagnostics` into a report, or gives `Ok(())` where there is nothing to report.
    ///
    /// # Errors
    /// The report, when there is at least one diagnostic.
    pub fn check(mut diagnostics: Vec<Diagnostic>) -> Result<(), Self> {
        if diagnostics.is_empty() {
            return Ok(());
        }
        diagnostics.sort();
        diagnostics.dedup();
        Err(Self { diagnostics })
    }

    /// The diagnostics in the order they are printed.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl From<Diagnostic> for Report {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { diagnostics: vec![diagnostic] }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            writeln!(text, "{diagnostic}")?;
        }
        let count = self.diagnostics.len();
        write!(f, "{text}{count} error{}", if count == 1 { "" } else { "s" })
    }
}

impl std::error::Error for Report {}

/// The candidate that `word` was probably meant to be, if one is near enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = word.chars().count().div_ceil(3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many insertions, deletions and replacements of characters turn `a` into `b` (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_underlines_its_word() {
        let text = "title: Shop\ntheem: storefront\n";
        let shown = Diagnostic::new("unknown-key", "site.yaml", "unknown key `theem`")
            .at_text(text, "theem")
            .help("did you mean `theme`?")
            .to_string();
        assert_eq!(
            shown,
            "error[unknown-key]: unknown key `theem`\n --> site.yaml:2:1\n2 | theem: storefront\n  | ^^^^^\n  = help: did you mean `theme`?\n"
        );
    }

    #[test]
    fn a_report_is_sorted_and_counts() {
        let later = Diagnostic::new("x", "b.md", "second");
        let earlier = Diagnostic::new("x", "a.md", "first");
        let report = Report::check(vec![later, earlier]).unwrap_err();
        assert!(report.to_string().find("first") < report.to_string().find("second"));
        assert!(report.to_string().ends_with("2 errors"));
        assert_eq!(Report::check(Vec::new()), Ok(()));
    }

    #[test]
    fn the_nearest_word_is_suggested_only_when_near() {
        assert_eq!(nearest("tilte", ["title", "date"]), Some("title"));
        assert_eq!(nearest("zebra", ["title", "date"]), None);
    }
}
