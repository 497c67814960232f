//! Colours for what is complained about: red for what is wrong, blue for the margin, bold for what is read first.
//!
//! It goes by the form of the lines alone, after control characters have been made visible, so that no text of a file
//! or a peer can paint.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Effects, Style};

const WRONG: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);
const MARGIN: Style = AnsiColor::Blue.on_default().effects(Effects::BOLD);
const FIRST: Style = Style::new().effects(Effects::BOLD);

/// `text`, in the form that errors and reports have, with colours as ANSI escapes.
pub(crate) fn paint(text: &str) -> String {
    let mut painted = String::with_capacity(text.len() + text.len() / 4);
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        paint_line(line, &mut painted).expect("writing into a String cannot fail");
        painted.push_str(end);
    }
    painted
}

fn paint_line(line: &str, painted: &mut String) -> fmt::Result {
    let indented = line.trim_start();
    let indent = &line[..line.len() - indented.len()];
    if let Some((head, message)) = line.split_once(": ").filter(|(head, _)| *head == "error" || is_code(head)) {
        return write!(painted, "{WRONG}{head}{WRONG:#}{FIRST}: {message}{FIRST:#}");
    }
    for lead in ["caused by:", "hint:"] {
        if let Some(rest) = line.strip_prefix(lead) {
            return write!(painted, "{FIRST}{lead}{FIRST:#}{rest}");
        }
    }
    if let Some(place) = indented.strip_prefix("--> ") {
        return write!(painted, "{indent}{MARGIN}-->{MARGIN:#} {place}");
    }
    if let Some(advice) = indented.strip_prefix("= ").filter(|_| !indent.is_empty()) {
        let (word, rest) = advice.split_once(':').unwrap_or((advice, ""));
        return write!(painted, "{indent}{MARGIN}={MARGIN:#} {FIRST}{word}:{FIRST:#}{rest}");
    }
    match margin(line) {
        Some((margin, underline)) if margin.trim() == "|" => {
            write!(painted, "{MARGIN}{margin}{MARGIN:#}{WRONG}{underline}{WRONG:#}")
        }
        Some((margin, source)) => write!(painted, "{MARGIN}{margin}{MARGIN:#}{source}"),
        None => painted.write_str(line),
    }
}

/// Whether `head` is `error[some-code]`.
fn is_code(head: &str) -> bool {
    head.strip_prefix("error[").is_some_and(|code| code.ends_with(']'))
}

/// Splits `12 | text` and `   |  ^^` behind the bar.
fn margin(line: &str) -> Option<(&str, &str)> {
    let bar = line.find(" |")? + 2;
    let (margin, rest) = line.split_at(bar);
    margin[..bar - 2].chars().all(|c| c.is_ascii_digit() || c == ' ').then_some((margin, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "error[unknown-key]: unknown key `titel`: no
 --> site.yaml:2:1
2 | titel: Shop | error: x
  | ^^^^^
  = note: a.md:1: first written here
  = help: did you mean `title`?

1 error
error: it was not built
caused by: the disk | is full
";

    #[test]
    fn colours_change_no_text() {
        let painted = paint(REPORT);
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), REPORT);
        for part in [
            "\u{1b}[1m\u{1b}[31merror[unknown-key]\u{1b}[0m",
            "\u{1b}[1m\u{1b}[34m2 |\u{1b}[0m titel: Shop | error: x\n",
            "\u{1b}[1m\u{1b}[34m  |\u{1b}[0m\u{1b}[1m\u{1b}[31m ^^^^^\u{1b}[0m\n",
            "caused by:\u{1b}[0m the disk | is full\n",
        ] {
            assert!(painted.contains(part), "{part:?} is missing in {painted:?}");
        }
    }
}
