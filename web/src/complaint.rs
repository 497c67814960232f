//! How a failed command is told to a person: error, causes, hint.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};

use tieup_protocol::diagnostic::{Diagnostic, Report};

use crate::client::CallError;

/// The text for an error with its causes:
///
/// ```text
/// error: release 42 was not published to `north`
/// caused by: /about/ is claimed by ...
/// hint: move the page, or ...
/// ```
///
/// A report on files stands as it is, since it has its own form.
pub fn render(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    let mut hint = None;
    let mut last = String::new();
    for (number, cause) in causes(error).enumerate() {
        let message = cause.to_string();
        // A library's error often repeats its cause; once is enough.
        if number > 0 && last.contains(&message) {
            continue;
        }
        let lead = match number {
            0 if cause.is::<Report>() || cause.is::<Diagnostic>() => "",
            0 => "error: ",
            _ => "caused by: ",
        };
        let _ = writeln!(text, "{lead}{message}");
        if let Some(problem) = cause.downcast_ref::<CallError>().and_then(CallError::problem) {
            for line in problem.detail.iter().flat_map(|detail| detail.lines()) {
                let _ = writeln!(text, "caused by: {line}");
            }
            hint.clone_from(&problem.hint);
        }
        last = message;
    }
    if let Some(hint) = hint {
        let _ = writeln!(text, "hint: {hint}");
    }
    text
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

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_with_their_causes() {
        let error = chain(vec!["outer".to_owned(), "middle".to_owned(), "inner".to_owned()]);
        assert_eq!(render(&error), "error: outer\ncaused by: middle\ncaused by: inner\n");
    }
}
