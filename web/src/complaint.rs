//! How a failed command is told to a person: error, causes, hint.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};

use tieup_protocol::wire::Problem;

use crate::client::CallError;
use crate::terminal::printable;

/// With what the text of a diagnostic begins, `error[unknown-key]: ...`, also where it came over a wire or is the
/// whole text of an error of another type.
const DIAGNOSTIC: &str = "error[";

/// The text for an error with its causes:
///
/// ```text
/// error: release 42 was not published to `north`
/// caused by: /about/ is claimed by ...
/// hint: move the page, or ...
/// ```
///
/// A report on files stands as it is, since it has its own form. Control characters are shown, not obeyed.
pub fn render(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    let mut hint = None;
    let mut last = String::new();
    for (number, cause) in causes(error).enumerate() {
        let message = cause.to_string();
        // What the other end said, also where the error around it shows itself as the call that failed.
        if let Some(problem) = cause.downcast_ref::<Box<Problem>>() {
            hint.clone_from(&problem.hint);
            for line in problem.detail.as_deref().unwrap_or_default().lines() {
                let _ = writeln!(text, "caused by: {line}");
            }
        }
        // A library's error often repeats its cause; once is enough.
        if number > 0 && last.contains(&message) {
            continue;
        }
        let lead = match number {
            _ if message.starts_with(DIAGNOSTIC) => "",
            0 => "error: ",
            _ => "caused by: ",
        };
        let _ = writeln!(text, "{lead}{message}");
        if let Some(call) = cause.downcast_ref::<CallError>() {
            hint = call.hint();
        }
        last = message;
    }
    if let Some(hint) = hint {
        let _ = writeln!(text, "hint: {hint}");
    }
    printable(&text)
}

/// An error and its causes in one line, for a log or a status.
pub fn in_one_line(error: &(dyn StdError + 'static)) -> String {
    let mut line = String::new();
    for cause in causes(error) {
        let message = cause.to_string();
        if line.contains(&message) {
            continue;
        }
        let lead = if line.is_empty() { "" } else { ": " };
        let _ = write!(line, "{lead}{message}");
    }
    printable(&line).replace('\n', " ")
}

/// An error made of messages that came over a wire, outermost first.
pub fn chain(causes: Vec<String>) -> Told {
    let mut told = Told { message: String::new(), cause: None };
    for message in causes.into_iter().rev() {
        let cause = Some(told).filter(|told| !told.message.is_empty()).map(Box::new);
        told = Told { message, cause };
    }
    told
}

/// One message of a chain that came over a wire.
#[derive(Debug)]
pub struct Told {
    message: String,
    cause: Option<Box<Told>>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Told {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// An error and what caused it, outermost first.
pub fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tieup_protocol::diagnostic::{Diagnostic, Report};

    use super::*;

    #[test]
    fn errors_are_told_with_their_causes() {
        let error = chain(vec!["outer".to_owned(), "middle".to_owned(), "inner".to_owned()]);
        assert_eq!(render(&error), "error: outer\ncaused by: middle\ncaused by: inner\n");
    }

    #[test]
    fn what_stands_in_its_own_form_is_not_led_in() {
        let report = Report::from(Diagnostic::new("unknown-key", "site.yaml", "unknown key `titel`"));
        let shown = "error[unknown-key]: unknown key `titel`\n --> site.yaml\n\n1 error\n";
        assert_eq!(render(&report), shown);
        assert_eq!(render(&chain(vec![report.to_string()])), shown);
        let wrapped = chain(vec!["the site was not built".to_owned(), report.to_string()]);
        assert_eq!(render(&wrapped), format!("error: the site was not built\n{shown}"));
    }

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Wrapped(CallError);

    #[test]
    fn what_the_other_end_said_is_told_whole_through_an_error_that_shows_itself_as_it() {
        let problem = Problem {
            kind: "tieup:no-space".to_owned(),
            status: 507,
            title: "the partner's disk is full".to_owned(),
            detail: Some("could not write trust.json".to_owned()),
            hint: Some("make room".to_owned()),
            time: Timestamp::UNIX_EPOCH,
        };
        let told = "error: the partner's disk is full\ncaused by: could not write trust.json\nhint: make room\n";
        let call = || CallError::Refused(Box::new(problem.clone()));
        assert_eq!([render(&call()), render(&Wrapped(call()))], [told, told]);
    }

    #[test]
    fn what_came_over_a_wire_cannot_move_the_cursor() {
        let problem = Problem {
            kind: "tieup:x".to_owned(),
            status: 409,
            title: "no\u{1b}[2Jthing".to_owned(),
            detail: Some("first\r\nse\u{202e}cond".to_owned()),
            hint: Some("\u{9b}1A".to_owned()),
            time: Timestamp::UNIX_EPOCH,
        };
        let told = render(&CallError::Refused(Box::new(problem)));
        let shown = "error: no\\u001b[2Jthing\ncaused by: first\ncaused by: se\\u202econd\nhint: \\u009b1A\n";
        assert_eq!(told, shown);
    }
}
