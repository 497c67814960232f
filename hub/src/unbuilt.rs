//! That the site cannot be built, for as long as it cannot: kept in the state folder, so that other commands and the admin
//! address tell it, and not the running hub's log alone.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable;
use tieup_web::terminal::counted;

use crate::partners::Hub;

/// A build that failed, after which none has worked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unbuilt {
    /// Since when builds fail.
    pub since: Timestamp,
    /// The first mistake of the last one, with its place.
    pub first: String,
    /// How many mistakes it has.
    pub mistakes: usize,
}

impl Unbuilt {
    /// What somebody should know of it.
    pub fn alarm(&self) -> String {
        let since = self.since.strftime("%Y-%m-%d %H:%M UTC");
        let mistakes = counted(self.mistakes, "mistake", "mistakes");
        format!(
            "the site cannot be built since {since}, and its changes reach nobody: {} ({mistakes}; `tieup check` tells all)",
            self.first
        )
    }
}

impl Hub {
    /// The build of the running hub that failed; none where the last one worked.
    ///
    /// # Errors
    /// When what is kept of it cannot be read.
    pub fn unbuilt(&self) -> Result<Option<Unbuilt>, DocumentError> {
        self.unbuilt_document().read()
    }

    /// Keeps that the site could not be built at `now` for what `report` says, or that it was built where there is none.
    /// Durable on return.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep_build(&self, report: Option<&Report>, now: Timestamp) -> Result<(), DocumentError> {
        let document = self.unbuilt_document();
        let Some(report) = report else {
            // Nothing waits for the disk after a build like the one before.
            return if document.path().exists() { Ok(durable::remove_file(document.path())?) } else { Ok(()) };
        };
        // One that cannot be read is written anew.
        let since = document.read().ok().flatten().map_or(now, |before| before.since);
        let mistakes = report.diagnostics();
        let first = mistakes.first().map(placed).unwrap_or_default();
        document.write(&Unbuilt { since, first, mistakes: mistakes.len() })
    }

    fn unbuilt_document(&self) -> Document<Unbuilt> {
        Document::at(self.config.state.join("unbuilt.json"))
    }
}

/// A mistake in one line, with its place.
fn placed(problem: &Diagnostic) -> String {
    let place = problem.span.as_ref().map(|span| format!(":{}:{}", span.line, span.column)).unwrap_or_default();
    format!("{}{place}: {}", problem.file, problem.message)
}
