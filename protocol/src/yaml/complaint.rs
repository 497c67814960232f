//! What the YAML parser and serde complain about, in the words of somebody who has never heard of either.

use crate::diagnostic::{Diagnostic, nearest};

/// A document, or the part of a file that is one.
pub(super) struct Part<'a> {
    /// The file.
    pub(super) file: &'a str,
    /// The YAML.
    pub(super) yaml: &'a str,
    /// How many lines of the file stand before it.
    pub(super) lines_before: usize,
    /// The whole file.
    pub(super) whole: &'a str,
}

/// A line and a column of the part, both from 1.
type Place = (usize, usize);

/// What is told of a complaint.
#[derive(Default)]
struct Told {
    code: &'static str,
    message: String,
    help: Option<String>,
    /// Where, if not where the parser stopped.
    place: Option<Place>,
    /// The words at that place, or the first such after it.
    word: Option<String>,
    /// The line that says the same first.
    first: Option<usize>,
}

/// With what the parser begins to complain about text that is no YAML, as opposed to values that do not fit.
const SYNTAX: [&str; 11] = [
    "did not find",
    "could not find",
    "found ",
    "mapping values",
    "mapping keys",
    "block sequence entries",
    "control characters",
    "while ",
    "unknown anchor",
    "recursion limit",
    "repetition limit",
];

impl Part<'_> {
    /// The diagnostic for an error.
    pub(super) fn explain(&self, error: &serde_yaml::Error) -> Diagnostic {
        let full = error.to_string();
        let stopped = error.location().map(|at| (at.line(), at.column()));
        let message = match stopped {
            Some((line, column)) => full.replacen(&format!(" at line {line} column {column}"), "", 1),
            None => full,
        };
        let told = self.tell(&message, stopped);
        let mut problem = Diagnostic::new(told.code, self.file, told.message);
        if let Some(line) = told.first {
            problem = problem.related(self.file, Some(line + self.lines_before), "first written here");
        }
        problem.help = told.help;
        match told.place.or(stopped).filter(|_| told.code != "missing-key" || message.contains(": missing")) {
            Some((line, column)) => self.point(problem, line + self.lines_before, column, told.word.as_deref()),
            None => problem,
        }
    }

    /// Points at `word` where it stands at a place of the file or after it, or else at what stands at the place.
    fn point(&self, problem: Diagnostic, line: usize, column: usize, word: Option<&str>) -> Diagnostic {
        let before: usize = self.whole.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let rest = &self.whole[before..];
        let skipped = rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at);
        let found = word.filter(|word| !word.is_empty()).and_then(|word| Some((word, rest[skipped..].find(word)?)));
        match found {
            Some((word, at)) => problem.at_offset(self.whole, before + skipped + at, word.chars().count()),
            None => problem.at_line(self.whole, line, column),
        }
    }

    fn tell(&self, message: &str, stopped: Option<Place>) -> Told {
        let (path, complaint) = split_path(message);
        let named = |marker: &str| complaint.strip_prefix(marker).and_then(|rest| rest.split_once('`'));
        if let Some((key, rest)) = named("unknown field `") {
            return unknown_key(key, &quoted(rest));
        }
        if let Some((key, _)) = named("missing field `") {
            return missing_key(path, key);
        }
        if let Some((value, rest)) = named("unknown variant `") {
            return unknown_word(path, value, &quoted(rest));
        }
        if let Some((key, _)) = named("duplicate field `") {
            return self.duplicate_key(key, stopped.map_or(1, |(line, _)| line));
        }
        let wrong = complaint.strip_prefix("invalid type: ").or_else(|| complaint.strip_prefix("invalid value: "));
        match wrong.and_then(|rest| rest.rsplit_once(", expected ")) {
            Some((found, expected)) => wrong_value(path, found, expected),
            None if SYNTAX.iter().any(|begin| message.starts_with(begin)) => self.syntax(message, stopped),
            None => refused(complaint),
        }
    }

    /// A key that stands twice. Where it does is looked for, since the parser only knows where the mapping begins.
    fn duplicate_key(&self, key: &str, from: usize) -> Told {
        let lines = self.yaml.lines().zip(1..).skip(from - 1);
        let mut places = lines.filter_map(|(line, number)| {
            let text = line.trim_start();
            text.strip_prefix(key).filter(|rest| rest.trim_start().starts_with(':'))?;
            Some((number, line.chars().count() - text.chars().count() + 1))
        });
        let first = places.next();
        let second = first.and_then(|(_, column)| places.find(|place| place.1 == column));
        Told {
            code: "duplicate-key",
            message: format!("the key `{key}` stands twice"),
            help: Some("take one of them away".to_owned()),
            place: second,
            word: Some(key.to_owned()),
            first: second.and(first).map(|(line, _)| line),
        }
    }

    fn syntax(&self, message: &str, stopped: Option<Place>) -> Told {
        let opened = context_place(message);
        let (place, message, help) = if message.contains("while scanning a quoted scalar") {
            (opened, "the quotation mark that opens here is not closed".to_owned(), None)
        } else if message.contains("while parsing a flow sequence") {
            (opened, "the list that opens here lacks its `]`, or a comma".to_owned(), None)
        } else if message.contains("while parsing a flow mapping") {
            (opened, "the mapping that opens here lacks its `}`, or a comma".to_owned(), None)
        } else if message.contains("while scanning a simple key") {
            (opened, "a `:` is missing after this key".to_owned(), None)
        } else if message.starts_with("mapping values are not allowed") {
            (None, "a text with `: ` in it needs quotation marks".to_owned(), self.with_marks(stopped))
        } else if message.contains("cannot start any token") {
            return self.strange_begin(stopped);
        } else if message.starts_with("did not find expected key") {
            let help = "the keys of one mapping begin in the same column".to_owned();
            (None, "a key such as `title:` must stand here".to_owned(), Some(help))
        } else {
            (None, message.to_owned(), None)
        };
        Told { code: "bad-yaml", message, help, place, ..Told::default() }
    }

    /// A character that YAML gives a meaning of its own.
    fn strange_begin(&self, stopped: Option<Place>) -> Told {
        let line = stopped.and_then(|(line, _)| self.yaml.lines().nth(line - 1)).unwrap_or_default();
        let begin = line.chars().nth(stopped.map_or(0, |(_, column)| column - 1)).unwrap_or(' ');
        let (message, help) = match begin {
            '\t' => ("YAML is not indented with tabs".to_owned(), "use blanks instead"),
            other => (format!("a text that begins with `{other}` needs quotation marks"), "write it as \"...\""),
        };
        Told { code: "bad-yaml", message, help: Some(help.to_owned()), ..Told::default() }
    }

    /// The line at `stopped`, with its value in quotation marks.
    fn with_marks(&self, stopped: Option<Place>) -> Option<String> {
        let line = self.yaml.lines().nth(stopped?.0 - 1)?;
        let (key, value) = line.split_once(": ")?;
        (!value.contains(['"', '\\'])).then(|| format!("write `{}: \"{}\"`", key.trim_start(), value.trim()))
    }
}

/// Splits serde's path, such as `languages[0].code`, from what it complains about.
fn split_path(message: &str) -> (&str, &str) {
    let is_path = |path: &str| {
        !path.is_empty() && path.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']' | '*'))
    };
    message.split_once(": ").filter(|(path, _)| is_path(path)).unwrap_or(("", message))
}

/// The words in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn unknown_key(key: &str, known: &[&str]) -> Told {
    let help = match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "there are no keys here".to_owned(),
        None => format!("known keys: {}", known.join(", ")),
    };
    let message = format!("unknown key `{key}`");
    Told { code: "unknown-key", message, help: Some(help), word: Some(key.to_owned()), ..Told::default() }
}

fn missing_key(path: &str, key: &str) -> Told {
    let message = match path {
        "" => format!("missing key `{key}`"),
        path => format!("`{path}` lacks the key `{key}`"),
    };
    Told { code: "missing-key", message, help: Some(format!("write `{key}: ...`")), ..Told::default() }
}

fn unknown_word(path: &str, value: &str, known: &[&str]) -> Told {
    // `{writer: partner verifier: both}` is read as far as the second colon before anything is found to be wrong.
    let cut = value.split_once(char::is_whitespace).filter(|(first, _)| known.contains(first));
    let help = match cut {
        Some((first, _)) => Some(format!("is a comma missing after `{first}`?")),
        None => nearest(value, known.iter().copied()).map(|near| format!("did you mean `{near}`?")),
    };
    let message = format!("{} is `{value}`, and must be one of: {}", shown(path), known.join(", "));
    Told { code: "wrong-value", message, help, word: Some(value.to_owned()), ..Told::default() }
}

fn wrong_value(path: &str, found: &str, expected: &str) -> Told {
    let text = found.strip_prefix("string \"").and_then(|rest| rest.strip_suffix('"'));
    let scalar = found.split('`').nth(1);
    let is = match (text, scalar, found) {
        (Some(text), ..) => format!("the text `{text}`"),
        (None, Some(scalar), _) => format!("`{scalar}`"),
        (None, None, "sequence") => "a list".to_owned(),
        (None, None, "map") => "a mapping".to_owned(),
        (None, None, "unit value" | "null") => "empty".to_owned(),
        (None, None, other) => other.to_owned(),
    };
    let must_be = match expected {
        "i64" | "i32" | "i16" | "i8" | "isize" | "u64" | "u32" | "u16" | "u8" | "usize" => "a whole number",
        "a string" | "string" => "a text",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "a boolean" => "`true` or `false`",
        "f64" | "f32" => "a number",
        other if other.starts_with("a nonzero") => "a whole number above 0",
        other if other.starts_with("struct ") => "a mapping",
        other => other,
    };
    let help = match (must_be, text, scalar) {
        ("a list", Some(text), _) => Some(format!("write `[{text}]`")),
        ("a text", None, Some(scalar)) => Some(format!("write `\"{scalar}\"`")),
        _ => None,
    };
    let message = format!("{} is {is}, and must be {must_be}", shown(path));
    let word = text.or(scalar).map(str::to_owned);
    Told { code: "wrong-value", message, help, word, ..Told::default() }
}

fn shown(path: &str) -> String {
    if path.is_empty() { "this".to_owned() } else { format!("`{path}`") }
}

/// What one of our own types refuses: "`x` is not a y: write it like z".
fn refused(complaint: &str) -> Told {
    let advice = [": write ", ": use "].into_iter().find_map(|lead| Some((complaint.split_once(lead)?, lead)));
    let (message, help) = match advice {
        Some(((message, advice), lead)) => (message, Some(format!("{}{advice}", lead.trim_start_matches(": ")))),
        None => (complaint, None),
    };
    let word = quoted(complaint).first().map(|word| (*word).to_owned());
    Told { code: "wrong-value", message: message.to_owned(), help, word, ..Told::default() }
}

/// The place that the parser names besides the one where it stopped: where what it was reading began.
fn context_place(message: &str) -> Option<Place> {
    let (_, rest) = message.rsplit_once(" at line ")?;
    let (line, column) = rest.split_once(" column ")?;
    Some((line.parse().ok()?, column.parse().ok()?))
}
