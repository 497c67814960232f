//! The command `tieup` as a person types it: what it says, what it leaves behind, and its exit status.

#![cfg(test)]

mod beginning;
mod building;
mod checking;
mod partners;
mod serving;
mod strikes;
#[allow(unreachable_pub, reason = "the tests of the other command take it in as well")]
#[path = "../../../tests/src/typed.rs"]
mod typed;

use std::fs;

use self::typed::Folder;

/// A main site of one page, in a theme of one template.
const SITE: [(&str, &str); 6] = [
    ("site.yaml", "title: Lampworks\nbase_url: https://lampworks.example/\ntheme: plain\n"),
    ("content/_index.md", "---\ntitle: Lamps\n---\nMended and new.\n"),
    ("content/about.md", "---\ntitle: About\n---\nSee the [lamps](/).\n"),
    ("themes/plain/theme.yaml", "name: plain\napi: 1\nslots: [nav]\n"),
    ("themes/plain/templates/index.html", "<h1>{{ page.title }}</h1>{{ page.content | safe }}"),
    ("themes/plain/templates/page.html", "{% extends \"index.html\" %}"),
];

impl Folder {
    fn empty() -> Self {
        Self::of(env!("CARGO_BIN_EXE_tieup"))
    }

    /// A folder with a main site that builds.
    fn with_site() -> Self {
        let folder = Self::empty();
        for (file, text) in SITE {
            folder.write(file, text);
        }
        for template in ["section", "404"] {
            folder.write(&format!("themes/plain/templates/{template}.html"), "{% extends \"index.html\" %}");
        }
        folder
    }

    /// A folder in which `tieup init brand` has run.
    fn begun() -> Self {
        let folder = Self::empty();
        folder.run(&["init", "brand"]).done();
        folder
    }

    fn replace(&self, file: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(old), "{file} does not hold {old:?}");
        self.write(file, &text.replace(old, new));
    }
}

#[test]
fn wrong_usage_is_status_2_and_changes_nothing() {
    let folder = Folder::begun();
    let cases: [(&[&str], &str); 9] = [
        (&[], "Usage: tieup"),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (&["biuld"], "a similar subcommand exists: 'build'"),
        (&["build", "--fast"], "unexpected argument '--fast'"),
        (&["build", "--format", "xml"], "[possible values: text, json]"),
        (&["init"], "<MAIN>"),
        (&["init", "Lamp Works"], "`Lamp Works` is not a site name: use 1 to 40 lower-case letters"),
        (&["partner", "invite", "../north"], "`../north` is not a site name"),
        (&["fee", "statement", "north", "2026-13"], "`2026-13` is no month, and no days of one: write it like 2026-11"),
    ];
    folder.assert_wrong(&cases);
}

#[test]
fn help_teaches() {
    let folder = Folder::empty();
    let help = folder.run(&["--help"]).done();
    for line in ["tieup init nationwide", "tieup partner invite harbor-shop", "tieup fee statement harbor-shop 2026-11"]
    {
        assert!(help.contains(line), "{line:?} is not taught:\n{help}");
    }
    for command in ["init", "build", "check", "hub", "publish", "status", "partner", "log", "fee"] {
        let help = folder.run(&[command, "--help"]).done();
        assert!(help.contains("Usage: tieup"), "{help}");
    }
    assert!(folder.run(&["--version"]).done().starts_with("tieup "));
}

#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_has_gone_ends_the_command_quietly() {
    let folder = Folder::begun();
    for command in ["status", "check", "build"] {
        folder.assert_quiet_without_reader(&[command]);
    }
}
