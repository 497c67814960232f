//! YAML into types, with the parser's complaint turned into a [`Diagnostic`].

use serde::de::DeserializeOwned;

use crate::diagnostic::{Diagnostic, nearest};

/// Reads `text`, the content of `file`, as a `T`.
///
/// # Errors
/// The first thing that does not fit, with its line: `bad-yaml`, `unknown-key`, `missing-key` or `wrong-value`.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Diagnostic> {
    parse_part(file, text, 0, text)
}

/// Reads `part`, which begins after `lines_before` lines of `whole`: front matter inside a Markdown file.
///
/// # Errors
/// As [`parse`], with lines counted in `whole`.
pub fn parse_part<T: DeserializeOwned>(
    file: &str,
    part: &str,
    lines_before: usize,
    whole: &str,
) -> Result<T, Diagnostic> {
    // An empty document is an empty mapping, so that the complaint is about the keys it lacks.
    let text = if part.trim().is_empty() { "{}" } else { part };
    serde_yaml::from_str(text).map_err(|error| diagnose(file, whole, lines_before, &error))
}

fn diagnose(file: &str, whole: &str, lines_before: usize, error: &serde_yaml::Error) -> Diagnostic {
    let full = error.to_string();
    let message = match error.location() {
        Some(at) => full.replace(&format!(" at line {} column {}", at.line(), at.column()), ""),
        None => full,
    };
    let (code, message, help) = classify(&message);
    let mut diagnostic = Diagnostic::new(code, file, message);
    if let Some(at) = error.location() {
        diagnostic = diagnostic.at_line(whole, at.line() + lines_before, at.column());
    }
    diagnostic.help = help;
    diagnostic
}

fn classify(message: &str) -> (&'static str, String, Option<String>) {
    if let Some((unknown, known)) = unknown_field(message) {
        let help = match nearest(&unknown, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys: {}", known.join(", ")),
        };
        return ("unknown-key", format!("unknown key `{unknown}`"), Some(help));
    }
    if message.contains("missing field") {
        return ("missing-key", message.replace("missing field", "missing key"), None);
    }
    let wrong = ["invalid type", "invalid value", "unknown variant", "invalid length", "duplicate"];
    let code = if wrong.iter().any(|w| message.contains(w)) { "wrong-value" } else { "bad-yaml" };
    (code, message.to_owned(), None)
}

/// Splits serde's "unknown field `x`, expected one of `a`, `b`" into the unknown and the known names.
fn unknown_field(message: &str) -> Option<(String, Vec<String>)> {
    let (_, tail) = message.split_once("unknown field `")?;
    let (unknown, tail) = tail.split_once('`')?;
    let known = tail.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((unknown.to_owned(), known))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Site {
        #[allow(dead_code)]
        title: String,
        #[allow(dead_code)]
        #[serde(default)]
        pages: u32,
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_a_suggestion() {
        let error = parse::<Site>("site.yaml", "title: A\ntitel: B\n").unwrap_err();
        assert_eq!(error.code, "unknown-key");
        assert_eq!(error.span.map(|s| (s.line, s.column, s.length)), Some((2, 1, 5)));
        assert_eq!(error.help.as_deref(), Some("did you mean `title`?"));
    }

    #[test]
    fn front_matter_lines_are_counted_in_the_whole_file() {
        let whole = "---\ntitle: A\npages: many\n---\nBody\n";
        let error = parse_part::<Site>("a.md", "title: A\npages: many\n", 1, whole).unwrap_err();
        assert_eq!(error.span.map(|s| s.line), Some(3));
        assert_eq!(error.code, "wrong-value");
    }

    #[test]
    fn missing_keys_and_broken_yaml_are_told_apart() {
        assert_eq!(parse::<Site>("s", "").unwrap_err().code, "missing-key");
        assert_eq!(parse::<Site>("s", "title: \"A").unwrap_err().code, "bad-yaml");
    }
}
