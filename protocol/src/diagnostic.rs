//! What a person is told about a file that is wrong: a stable code, the place, the line underlined, and what to do.

use std::fmt::{self, Write as _};

use serde::Serialize;
use unicode_width::UnicodeWidthChar as _;

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
    /// Other places that take part, such as where a path was claimed first.
    pub related: Vec<Related>,
    /// What to do about it.
    pub help: Option<String>,
    /// What else is wrong in the same document. A [`Report`] tells it beside this one.
    #[serde(skip)]
    pub also: Vec<Diagnostic>,
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
        Self {
            file: file.into(),
            span: None,
            code,
            message: message.into(),
            related: Vec::new(),
            help: None,
            also: Vec::new(),
        }
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

    /// The same, pointing at the first place after `key` where `word` stands by itself, or else as part of another.
    #[must_use]
    pub fn at_word(self, text: &str, key: &str, word: &str) -> Self {
        let start = text.find(key).map_or(0, |at| at + key.len());
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
        let stands_alone = |at: &usize| {
            let (before, after) = (text[..*at].chars().next_back(), text[at + word.len()..].chars().next());
            ![before, after].into_iter().flatten().any(is_part)
        };
        let places = || text[start..].match_indices(word).map(|(at, _)| start + at);
        match places().find(stands_alone).or_else(|| places().next()) {
            Some(at) => self.at_offset(text, at, word.chars().count()),
            None => self,
        }
    }

    /// One diagnostic for all of `problems`: the first, with the others as what is wrong besides.
    ///
    /// # Errors
    /// That diagnostic, when there is at least one.
    pub fn gather(problems: Vec<Self>) -> Result<(), Self> {
        let mut problems = problems.into_iter();
        match problems.next() {
            None => Ok(()),
            Some(mut first) => {
                first.also.extend(problems);
                Err(first)
            }
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with one more place.
    #[must_use]
    pub fn related(mut self, file: impl Into<String>, line: Option<usize>, message: impl Into<String>) -> Self {
        self.related.push(Related { file: file.into(), line, message: message.into() });
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
        let margin = self.span.as_ref().map_or_else(String::new, |span| span.line.to_string());
        let blank = " ".repeat(margin.len().max(1));
        match &self.span {
            Some(span) => {
                let (text, underline) = span.shown();
                writeln!(f, "{blank}--> {}:{}:{}", self.file, span.line, span.column)?;
                writeln!(f, "{}", format!("{margin} | {text}").trim_end())?;
                writeln!(f, "{blank} | {underline}")?;
            }
            None => writeln!(f, "{blank}--> {}", self.file)?,
        }
        for Related { file, line, message } in &self.related {
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            writeln!(f, "{blank} = note: {file}{line}: {message}")?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "{blank} = help: {help}")?;
        }
        self.also.iter().try_for_each(|other| write!(f, "\n{other}"))
    }
}

impl std::error::Error for Diagnostic {}

/// The most columns of a line that are shown. In Markdown a line is often a whole paragraph.
const SHOWN: usize = 100;

/// How many of these columns stand before the underlined word at most.
const BEFORE: usize = 40;

impl Span {
    /// The part of the line around the span, and the line with the underline below it.
    fn shown(&self) -> (String, String) {
        let chars: Vec<char> = self.text.chars().collect();
        let start = (self.column - 1).min(chars.len());
        let first = if width(&chars) <= SHOWN { 0 } else { cut(&chars[..start], BEFORE) };
        let mut columns = 0;
        let fits = |c: &&char| {
            columns += c.width().unwrap_or(1);
            columns <= SHOWN
        };
        let last = first + chars[first..].iter().take_while(fits).count();
        let ellipsis = |hidden: bool| if hidden { "…" } else { "" };
        let text: String = chars[first..last].iter().collect();
        let text = format!("{}{text}{}", ellipsis(first > 0), ellipsis(last < chars.len()));
        // A tab stays a tab, so that the underline stays below its word whatever a tab's width.
        let pad =
            chars[first..start].iter().map(|c| if *c == '\t' { "\t".to_owned() } else { " ".repeat(width(&[*c])) });
        let end = (start + self.length).min(last);
        let underline = "^".repeat(width(&chars[start.min(end)..end]).max(1));
        let lead = if first > 0 { " " } else { "" };
        (text, format!("{lead}{}{underline}", pad.collect::<String>()))
    }
}

/// How many columns a terminal gives these characters.
fn width(chars: &[char]) -> usize {
    chars.iter().map(|c| c.width().unwrap_or(1)).sum()
}

/// How many of `chars` to leave out at the front so that the rest takes at most `columns`.
fn cut(chars: &[char], columns: usize) -> usize {
    let mut left = columns;
    let kept = chars.iter().rev().take_while(|c| {
        let fits = left.checked_sub(c.width().unwrap_or(1));
        left = fits.unwrap_or(left);
        fits.is_some()
    });
    chars.len() - kept.count()
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
    pub fn check(diagnostics: Vec<Diagnostic>) -> Result<(), Self> {
        let mut each = Vec::new();
        for mut diagnostic in diagnostics {
            let also = std::mem::take(&mut diagnostic.also);
            each.push(diagnostic);
            each.extend(also);
        }
        if each.is_empty() {
            return Ok(());
        }
        each.sort();
        each.dedup();
        Err(Self { diagnostics: each })
    }

    /// The diagnostics in the order they are printed.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

impl From<Diagnostic> for Report {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::check(vec![diagnostic]).expect_err("a report on a diagnostic is not empty")
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

/// How many insertions, deletions, replacements and swaps of neighbours turn `a` into `b` (optimal string alignment).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = replaced.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
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
    fn an_underline_stands_below_its_word_in_every_script() {
        let underline = |text: &str, word: &str| {
            let shown = Diagnostic::new("x", "a.md", "m").at_text(text, word).to_string();
            shown.lines().skip(2).map(|line| line[4..].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(underline("会社の[案内](/会/)", "/会/"), ["会社の[案内](/会/)", "             ^^^^"]);
        assert_eq!(underline("\ta: b", "b"), ["\ta: b", "\t   ^"]);
        let long = format!("{}word{}", "x".repeat(300), "y".repeat(300));
        let shown = underline(&long, "word");
        assert_eq!(shown[0], format!("…{}word{}…", "x".repeat(40), "y".repeat(56)));
        assert_eq!(shown[1], format!("{}^^^^", " ".repeat(41)));
    }

    #[test]
    fn a_report_tells_what_else_is_wrong_in_a_document() {
        let mut first = Diagnostic::new("x", "b.md", "second");
        first.also.push(Diagnostic::new("x", "a.md", "first"));
        assert!(first.to_string().contains("\nerror[x]: first\n"));
        assert_eq!(Report::from(first).diagnostics().len(), 2);
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
        assert_eq!(nearest("yne", ["yen"]), Some("yen"));
        assert_eq!(["", "abc", "bac", "xabcx"].map(|word| edit_distance("abc", word)), [3, 0, 1, 2]);
    }
}
