//! YAML into types, with the parser's complaints turned into [`Diagnostic`]s: all those of a document at once.

mod complaint;

use serde::de::DeserializeOwned;

use self::complaint::Part;
use crate::diagnostic::{Diagnostic, nearest};

/// The most mistakes that are told of one document.
const MOST: usize = 20;

/// Reads `text`, the content of `file`, as a `T`.
///
/// # Errors
/// The first thing that does not fit, with its line: `bad-yaml`, `unknown-key`, `missing-key`, `duplicate-key` or
/// `wrong-value`. What else does not fit is in [`Diagnostic::also`].
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
    let document = Part { file, yaml: part, lines_before, whole };
    read::<T>(part).map_err(|error| {
        let first = document.explain(&error);
        let also = others::<T>(&document, &first);
        Diagnostic { also, ..first }
    })
}

fn read<T: DeserializeOwned>(part: &str) -> Result<T, serde_yaml::Error> {
    // An empty document is an empty mapping, so that the complaint is about the keys it lacks.
    serde_yaml::from_str(if part.trim().is_empty() { "{}" } else { part })
}

/// What is wrong beyond the first mistake. The key that holds a mistake is blanked out, and the rest is read again.
fn others<T: DeserializeOwned>(document: &Part<'_>, first: &Diagnostic) -> Vec<Diagnostic> {
    let mut lines: Vec<&str> = document.yaml.split_inclusive('\n').collect();
    let (mut found, mut blanked) = (Vec::<Diagnostic>::new(), Vec::new());
    while found.len() + 1 < MOST {
        let last = found.last().unwrap_or(first);
        let line = last.span.as_ref().and_then(|span| span.line.checked_sub(document.lines_before + 1));
        // What is no YAML cannot be cut by keys, and a missing key has nothing to cut.
        let Some(key) = line.filter(|_| last.code != "bad-yaml").and_then(|line| blank(&mut lines, line)) else {
            break;
        };
        blanked.push(key);
        let Err(error) = read::<T>(&lines.concat()) else { break };
        let problem = document.explain(&error);
        if problem.code == "missing-key" {
            // A key that was blanked out is missing only by that; so is the one that a misspelt key was meant to be.
            let missing = problem.message.split('`').nth(1).unwrap_or_default();
            let follows = blanked.contains(&missing) || nearest(missing, blanked.iter().copied()).is_some();
            found.extend(Some(problem).filter(|_| !follows));
            break;
        }
        found.push(problem);
    }
    found
}

/// Blanks out the top-level key around the line `at`, counted from 0, with all that belongs to it. Gives the key.
fn blank<'a>(lines: &mut [&'a str], at: usize) -> Option<&'a str> {
    let is_key = |line: &str| line.contains(':') && !line.starts_with([' ', '\t', '#', '-', '{', '[', '\r', '\n']);
    let start = (0..=at.min(lines.len().checked_sub(1)?)).rev().find(|line| is_key(lines[*line]))?;
    let key = lines[start].split(':').next()?.trim();
    let after = lines[start + 1..].iter().take_while(|line| !is_key(line)).count();
    lines[start..=start + after].fill("\n");
    Some(key)
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

    #[test]
    fn every_key_that_is_wrong_is_told_and_nothing_that_only_follows() {
        let told = |text: &str| {
            let first = parse::<Site>("s", text).unwrap_err();
            let all = std::iter::once(&first).chain(&first.also);
            all.map(|problem| (problem.code, problem.span.as_ref().map_or(0, |span| span.line))).collect::<Vec<_>>()
        };
        let text = "titel: A\npages:\n- 1\ncolour:\n  is: red\n# shown\nsize: 2\n";
        assert_eq!(told(text), [("unknown-key", 1), ("wrong-value", 3), ("unknown-key", 4), ("unknown-key", 7)]);
        assert_eq!(told("colour: red\n"), [("unknown-key", 1), ("missing-key", 0)]);
        assert_eq!(told("{a: 1}"), [("unknown-key", 1)]);
        assert_eq!(told("title: \"A\nb: 1\n"), [("bad-yaml", 1)]);
        let many: Vec<String> = (0..50).map(|n| format!("k{n}: 1\n")).collect();
        assert_eq!(told(&many.concat()).len(), MOST);
    }
}
