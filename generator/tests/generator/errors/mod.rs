//! What people are told about a site that is wrong, word for word: a table of mistakes for each subject, and a
//! snapshot that shows every mistake with the report it gets.
//!
//! A snapshot is a text to be read: an editor must know from it what to do. After a change, look at each difference,
//! then run the tests once with `INSTA_UPDATE=always`.

use std::fmt::Write as _;

use crate::small::Small;

/// Compares the reports on a table of mistakes with their snapshot.
macro_rules! assert_told {
    ($mistakes:expr) => {{
        let table = $crate::errors::told($mistakes);
        insta::assert_snapshot!(table);
    }};
}

mod codes;
mod contract;
mod files;
mod front_matter;
mod links;
mod once;
mod site;
mod templates;

/// A mistake: what it is, and the files that hold it, in a site that is right without them.
type Mistake<'a> = (&'a str, &'a [(&'a str, &'a str)]);

/// Every mistake with its report, which is that of the main site, of the partner's release and of its originals.
fn told(mistakes: &[Mistake<'_>]) -> String {
    let mut table = String::new();
    for (name, files) in mistakes {
        let small = Small::new();
        for (path, text) in *files {
            small.write(path, text);
        }
        let report = report(&small).unwrap_or_else(|| panic!("nothing is told of: {name}"));
        let _ = writeln!(table, "## {name}\n\n{report}\n");
    }
    table
}

fn report(small: &Small) -> Option<String> {
    if small.path("partner").exists() {
        return small.originals(&[]).err();
    }
    small.main().err().or_else(|| small.path("site/partners").exists().then(|| small.release().err()).flatten())
}

/// A page with this front matter.
fn front(lines: &str) -> String {
    format!("---\n{lines}\n---\n")
}
