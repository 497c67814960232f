//! One write after another that fails below a folder, in turns of how, until none is left to fail.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tieup_store::durable::Step as Write;
use tieup_store::failing::{FailingWrites, How};
use tieup_tests::told;

use super::places::{assert_kinds, kind};
use super::{MOST, WAYS};

/// Lets one write after another fail below a folder, and keeps which did.
pub(super) struct Failures {
    context: &'static str,
    /// Which write fails next.
    pub(super) at: usize,
    all: Vec<(Write, PathBuf)>,
    kinds: BTreeSet<String>,
}

impl Failures {
    /// None yet, of what `context` names.
    pub(super) fn of(context: &'static str) -> Self {
        Self { context, at: 0, all: Vec::new(), kinds: BTreeSet::new() }
    }

    /// Lets the next write below `folder` fail that has not yet.
    pub(super) fn lay(&self, folder: &Path) -> FailingWrites {
        self.lay_sparing(folder, &folder.join("nothing"))
    }

    /// The same, but for what lies below `spared`.
    pub(super) fn lay_sparing(&self, folder: &Path, spared: &Path) -> FailingWrites {
        assert!(self.at < MOST, "{}: there is no end of writes", self.context);
        FailingWrites::lay(folder, spared, self.at, self.how())
    }

    fn how(&self) -> How {
        WAYS[self.at % WAYS.len()]
    }

    /// Takes up what failed; whether anything did.
    pub(super) fn take(&mut self, state: &Path, laid: FailingWrites) -> bool {
        let failed = laid.failures();
        drop(laid);
        self.at += 1;
        self.kinds.extend(failed.iter().filter_map(|failure| kind(state, failure)));
        let has_failed = !failed.is_empty();
        self.all.extend(failed);
        has_failed
    }

    /// What to say where something is wrong.
    pub(super) fn said(&self, laid: &FailingWrites) -> String {
        format!("{}, write {} of {:?} {:?}", self.context, self.at, laid.failures(), self.how())
    }

    /// Says how many there were, and fails unless each of the `expected` kinds of files was among them.
    pub(super) fn end(&self, expected: &[&str]) {
        println!("{}: {} writes failed", self.context, self.at - 1);
        assert_kinds(self.context, &self.kinds, expected);
    }
}

/// Whether `told` names the file at `path`, or, where that is what a file is called until it is whole, one in its folder.
pub(super) fn names(told: &str, path: &Path) -> bool {
    let is_unfinished = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp-"));
    let beside = path.parent().filter(|_| is_unfinished).map(|folder| format!("{}/", folder.display()));
    let is_in_it = |rest: &str| {
        let name = rest.split(|end: char| end.is_whitespace() || end == ':').next().unwrap_or_default();
        !name.is_empty() && !name.contains('/')
    };
    told.contains(&path.display().to_string()) || beside.is_some_and(|beside| told.split(&beside).skip(1).any(is_in_it))
}

/// Fails unless an error names one of the files with which something failed.
pub(super) fn assert_named(error: &(dyn std::error::Error + 'static), laid: &FailingWrites, said: &str) {
    let told = told(error);
    let is_named = laid.failed().iter().any(|path| names(&told, path));
    assert!(is_named, "{said}: the file is not named: {told}");
}
