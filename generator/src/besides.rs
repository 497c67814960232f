//! What is told of a site that could not be read whole: everything else that is wrong, and nothing that only follows
//! from what is missing.

use std::collections::BTreeSet;
use std::fs;

use tieup_protocol::diagnostic::Diagnostic;

/// The codes after which a file's content is not among what was read.
const LOSING: [&str; 13] = [
    "bad-character",
    "bad-json",
    "bad-yaml",
    "duplicate-key",
    "misplaced-file",
    "missing-front-matter",
    "missing-key",
    "not-utf-8",
    "too-large",
    "unknown-key",
    "unknown-language",
    "unreadable-file",
    "wrong-value",
];

/// A file whose content is not among what was read.
struct Lost {
    /// Its name without extension and language.
    stem: String,
    is_data: bool,
    /// What can be read of it.
    text: String,
}

/// `read`, what is wrong with the sources, and of `built`, what is wrong with what is made of the rest, that which does
/// not follow from it.
pub(crate) fn join(read: &[Diagnostic], built: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let files: BTreeSet<&str> =
        read.iter().filter(|problem| LOSING.contains(&problem.code)).map(|problem| problem.file.as_str()).collect();
    let lost: Vec<Lost> = files.into_iter().map(Lost::new).collect();
    let clashes: BTreeSet<String> =
        read.iter().filter(|problem| problem.code == "duplicate-path").map(|problem| problem.file.clone()).collect();
    let built =
        built.into_iter().filter(|problem| problem.code != "duplicate-path" || !clashes.contains(&problem.file));
    let all: Vec<Diagnostic> = read.iter().cloned().chain(built).collect();
    all.into_iter().filter(|problem| !lost.iter().any(|lost| lost.explains(problem))).collect()
}

impl Lost {
    fn new(file: &str) -> Self {
        let name = file.rsplit('/').next().unwrap_or(file);
        let stem = match name.split('.').next().unwrap_or(name) {
            "_index" => file.rsplit('/').nth(1).unwrap_or_default(),
            stem => stem,
        };
        let text = fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        Self { stem: stem.to_owned(), is_data: file.contains("/data/") || file.starts_with("data/"), text }
    }

    /// Whether `problem` may be there only because this file is lost.
    fn explains(&self, problem: &Diagnostic) -> bool {
        let what = problem.message.split('`').nth(1).unwrap_or_default();
        match problem.code {
            "missing-data" => what.strip_prefix("data.").is_some_and(|name| self.is_data && name == self.stem),
            // A template that reads data or pages stumbles over what is not there in more ways than can be told apart.
            "template-render" | "undefined-field" | "undefined-variable" => {
                self.is_data
                    || problem.message.starts_with("there is no page")
                    || problem.message.starts_with("there is no section")
            }
            "broken-link" | "broken-anchor" | "missing-image" => self.may_be_at(what),
            _ => false,
        }
    }

    /// Whether this file may be what stands at `path`, by its name or by what it says of its path.
    fn may_be_at(&self, path: &str) -> bool {
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let name = last.split('.').next().unwrap_or(last);
        name == self.stem || (!name.is_empty() && self.text.contains(name))
    }
}
