//! The command `tieup` as a person types it: what it says, what it leaves behind, and its exit status.

#![cfg(test)]

mod beginning;
mod building;
mod checking;
mod partners;
mod serving;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder that commands run in.
struct Folder(TempDir);

/// What a command left on the screen, and its exit status.
#[derive(Debug)]
struct Ran {
    status: Option<i32>,
    out: String,
    err: String,
}

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
        Self(tempfile::tempdir().unwrap())
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

    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tieup"));
        let output = command.args(arguments).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn replace(&self, file: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(file)).unwrap();
        assert!(text.contains(old), "{file} does not hold {old:?}");
        self.write(file, &text.replace(old, new));
    }

    /// Every file with its bytes, by path below the folder. SQLite's own files come and go by themselves.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(self.0.path(), self.0.path(), &mut found);
        found.retain(|name, _| !name.contains("hub.sqlite"));
        found
    }

    /// Fails unless the command fails in these words and changes no file.
    #[track_caller]
    fn assert_fails(&self, arguments: &[&str], says: &str) {
        let before = self.files();
        let ran = self.run(arguments);
        assert_eq!((ran.status, ran.err.as_str()), (Some(1), says), "tieup {arguments:?}: {ran:?}");
        assert_eq!(ran.out, "", "tieup {arguments:?} fails and yet says something on standard output");
        assert_eq!(changed(&before, &self.files()), [""; 0], "tieup {arguments:?} failed and changed these files");
    }
}

impl Ran {
    /// Standard output of a command that succeeded.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.status, Some(0), "{self:?}");
        self.out
    }
}

/// The names of files that are otherwise in `after`, or in one of the two alone.
fn changed(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            found.insert(name, fs::read(&path).unwrap());
        }
    }
}

#[test]
fn wrong_usage_is_status_2_and_changes_nothing() {
    let folder = Folder::begun();
    let before = folder.files();
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
    for (arguments, says) in cases {
        let ran = folder.run(arguments);
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "tieup {arguments:?}: {ran:?}");
        assert!(ran.err.contains(says), "tieup {arguments:?} does not say {says:?}:\n{}", ran.err);
    }
    assert_eq!(changed(&before, &folder.files()), [""; 0], "wrong usage changed these files");
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

/// A reader of standard output that has gone away before anything was said, as `head` does.
#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_has_gone_ends_the_command_quietly() {
    let folder = Folder::begun();
    for command in ["status", "check", "build"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut ran = Command::new(env!("CARGO_BIN_EXE_tieup"));
        let output = ran.arg(command).current_dir(folder.0.path()).stdout(writer).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "tieup {command}");
    }
}
