//! `docs/errors.md` lists every code that the sources give, and no other; and the form that programs read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tieup_generator::Site;

use crate::small::Small;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The text of every source below `folder`, without its tests.
fn sources(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(path).unwrap();
            texts.push(text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned());
        }
    }
    texts
}

/// The words in quotation marks that follow `before`, whatever white space stands between.
fn words_after<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
}

#[test]
fn every_code_is_listed_with_what_it_means() {
    let document = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let rows = document.split("## Codes").nth(1).unwrap().lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: Vec<&str> = rows.map(|row| row.split('`').next().unwrap()).collect();
    assert!(listed.is_sorted(), "the codes do not stand in order");

    let mut given = BTreeSet::new();
    let mut written = String::new();
    for folder in ["generator/src", "protocol/src/contract", "protocol/src/yaml", "hub/src", "syncd/src"] {
        for text in sources(&root().join(folder)) {
            for call in ["Diagnostic::new(", "problem(", "code:"] {
                given.extend(words_after(&text, call).map(str::to_owned));
            }
            // Elsewhere a code is the first of several values, and has a hyphen, as other words there have not.
            if !folder.starts_with("hub") && !folder.starts_with("syncd") {
                let is_code = |word: &&str| {
                    word.contains('-') && word.len() > 1 && word.chars().all(|c| c == '-' || c.is_ascii_lowercase())
                };
                given.extend(words_after(&text, "(").filter(is_code).map(str::to_owned));
            }
            written.push_str(&text);
        }
    }
    let unlisted: Vec<&String> = given.iter().filter(|code| !listed.contains(&code.as_str())).collect();
    assert!(unlisted.is_empty(), "docs/errors.md does not list {unlisted:?}");
    let gone: Vec<&&str> = listed.iter().filter(|code| !written.contains(&format!("\"{code}\""))).collect();
    assert!(gone.is_empty(), "docs/errors.md lists what nothing gives: {gone:?}");
}

#[test]
fn programs_read_a_stable_form() {
    let small = Small::new();
    small
        .write("site/content/a.md", "---\ntitle: A\ntitle: B\n---\n")
        .write("site/content/b.md", "---\ntitle: B\npath: /c/\n---\n")
        .write("site/content/c.md", "---\ntitle: C\n---\n")
        .write("site/content/d.jpg", "x");
    let report = Site::load(&small.path("site"), &small.path("themes")).unwrap_err();
    let json = serde_json::to_string_pretty(&report).unwrap();
    let root = format!("{}/", small.path("").display()).replace("//", "/");
    insta::assert_snapshot!(json.replace(&root, ""));
}
