//! The walls of the house: which crate may use which, and what a crate may not do itself.
//!
//! `cargo metadata` and the source text are read; the rules stand in tables here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each may depend on, development dependencies aside.
const MAY_USE: [(&str, &[&str]); 9] = [
    ("protocol", &[]),
    ("fees", &["protocol"]),
    ("store", &["protocol"]),
    ("web", &["protocol", "store"]),
    ("generator", &["protocol", "store"]),
    ("syncd", &["protocol", "fees", "store", "web", "generator"]),
    ("hub", &["protocol", "fees", "store", "web", "generator"]),
    ("examples", &["protocol", "fees", "store", "web", "generator", "syncd", "hub"]),
    ("tests", &["protocol", "fees", "store", "web", "generator", "syncd", "hub", "examples"]),
];

/// The pure crates, and words whose presence means that they no longer are.
const PURE: [&str; 2] = ["protocol", "fees"];
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "tokio",
];

/// The crates that may not write files themselves, since `store` does, and the words for writing.
const NO_WRITING: [&str; 6] = ["protocol", "fees", "web", "generator", "hub", "syncd"];
const WRITING: [&str; 12] = [
    "fs::write",
    "fs::rename",
    "fs::copy",
    "fs::create_dir",
    "fs::remove_dir",
    "fs::remove_file",
    "fs::hard_link",
    "fs::OpenOptions",
    "File::create",
    "File::options",
    "OpenOptions::new",
    "symlink(",
];

/// Files that write all the same: the word, and why.
const EXCUSED: [(&str, &str, &str); 2] = [
    (
        "syncd/src/trust.rs",
        "fs::write",
        "gives the TUF client its datastore, a temporary folder that lives for one check",
    ),
    ("web/src/listener.rs", "fs::remove_file", "takes away the socket of a process that died, which is no file"),
];

/// Words with which a statement of SQL begins, in the source of Rust.
const SQL: [&str; 6] = ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE ", "\"CREATE ", "sqlx::query"];

/// Where SQL may stand: a module with those below it.
const SQL_FILE: &str = "hub/src/database.rs";

/// The folder of the modules below it.
const SQL_FOLDER: &str = "hub/src/database/";

/// Which of our crates a crate depends on.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// What breaks the rules in `graph`, a line for each.
fn breaches(graph: &Graph) -> Vec<String> {
    let rules: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    let mut found = Vec::new();
    for (name, uses) in graph {
        let Some(may) = rules.get(name.as_str()) else {
            found.push(format!("`{name}` has no rule: add one here, and the crate to ARCHITECTURE.md"));
            continue;
        };
        let wrong = uses.iter().filter(|used| !may.contains(&used.as_str()));
        found.extend(wrong.map(|used| format!("`{name}` may not use `{used}`")));
    }
    let missing = MAY_USE.iter().filter(|(name, _)| !graph.contains_key(*name));
    found.extend(missing.map(|(name, _)| format!("`{name}` has a rule and is not in the workspace")));
    found
}

/// The workspace as `cargo metadata` describes it.
fn workspace() -> Graph {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(root());
    let output = command.output().expect("cargo runs, since it runs this test");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = document["packages"].as_array().unwrap();
    packages.iter().map(|package| (short(&package["name"]).unwrap(), normal_dependencies(package))).collect()
}

fn normal_dependencies(package: &Value) -> BTreeSet<String> {
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|dependency| dependency["kind"] != "dev").filter_map(|dependency| short(&dependency["name"])).collect()
}

/// `tieup-hub` is `hub`; crates of others are none.
fn short(name: &Value) -> Option<String> {
    name.as_str()?.strip_prefix("tieup-").map(str::to_owned)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the workspace").to_owned()
}

/// The product source of a crate, by path below the repository: each file up to its tests, without comments.
fn sources(name: &str) -> Vec<(String, String)> {
    let folder = root().join(name).join("src");
    let found = walkdir::WalkDir::new(&folder).into_iter().map(|entry| entry.unwrap().into_path());
    let rust = found.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let product = rust.filter(|path| !path.ends_with("tests.rs"));
    let files: Vec<_> = product.map(|path| (shown(&path), product_code(&fs::read_to_string(&path).unwrap()))).collect();
    assert!(!files.is_empty(), "there is no source in {}", folder.display());
    files
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn product_code(text: &str) -> String {
    let is_tests = |at: &usize| text[*at..].lines().nth(1).is_some_and(|line| line.ends_with("mod tests {"));
    let tests = text.match_indices("#[cfg(test)]\n").map(|(at, _)| at).find(is_tests);
    let code = text[..tests.unwrap_or(text.len())].lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| [line, "\n"]).collect()
}

/// Which of `words` stand in the product source of `name`: file and word.
fn words_in<'a>(name: &str, words: &'a [&'a str]) -> Vec<(String, &'a str)> {
    let files = sources(name);
    let pairs = files.iter().flat_map(|(file, text)| words.iter().map(move |word| (file, text, *word)));
    pairs.filter(|(_, text, word)| text.contains(word)).map(|(file, _, word)| (file.clone(), word)).collect()
}

#[test]
fn crates_use_only_those_that_they_may() {
    let graph = workspace();
    assert!(graph["hub"].contains("protocol"), "the graph was not read: {graph:?}");
    assert_eq!(breaches(&graph), [""; 0]);
}

#[test]
fn the_check_of_imports_can_fail() {
    let mut graph: Graph = MAY_USE.iter().map(|(name, _)| ((*name).to_owned(), BTreeSet::new())).collect();
    assert_eq!(breaches(&graph), [""; 0]);
    graph.get_mut("hub").unwrap().insert("syncd".to_owned());
    graph.get_mut("fees").unwrap().insert("store".to_owned());
    graph.get_mut("web").unwrap().insert("protocol".to_owned());
    assert_eq!(breaches(&graph), ["`fees` may not use `store`", "`hub` may not use `syncd`"]);
    graph.remove("fees");
    graph.insert("helpers".to_owned(), BTreeSet::new());
    let found = breaches(&graph);
    assert!(found[0].starts_with("`helpers` has no rule"), "{found:?}");
    assert!(found.iter().any(|breach| breach.starts_with("`fees` has a rule and is not")), "{found:?}");
    let package = serde_json::json!({"dependencies": [
        {"name": "tieup-store", "kind": null}, {"name": "tieup-hub", "kind": "dev"}, {"name": "tieup-web", "kind": "build"},
        {"name": "serde", "kind": null},
    ]});
    assert_eq!(normal_dependencies(&package), BTreeSet::from(["store".to_owned(), "web".to_owned()]));
}

#[test]
fn protocol_and_fees_do_no_io() {
    for name in PURE {
        assert_eq!(words_in(name, &IMPURE), [], "`{name}` is pure: time, randomness and files come in as arguments");
    }
    assert!(!words_in("syncd", &IMPURE).is_empty(), "the words were not looked for");
}

#[test]
fn only_store_writes_files() {
    let mut written: Vec<_> = NO_WRITING.iter().flat_map(|name| words_in(name, &WRITING)).collect();
    let excused = |(file, word): &(String, &str)| EXCUSED.iter().any(|(f, w, _)| f == file && w == word);
    for (file, word, why) in EXCUSED {
        assert!(written.contains(&(file.to_owned(), word)), "{file} no longer needs its excuse for {word}: {why}");
    }
    written.retain(|found| !excused(found));
    assert_eq!(written, [], "write through `store`, which makes it durable, or be excused here");
    assert!(!words_in("store", &WRITING).is_empty(), "the words were not looked for");
}

#[test]
fn sql_stands_in_one_module() {
    for (name, _) in MAY_USE.iter().filter(|(name, _)| *name != "tests") {
        let elsewhere =
            words_in(name, &SQL).into_iter().filter(|(file, _)| file != SQL_FILE && !file.starts_with(SQL_FOLDER));
        assert_eq!(elsewhere.collect::<Vec<_>>(), [], "SQL belongs into {SQL_FILE} and schema.sql");
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        assert!(*name == "hub" || !manifest.contains("sqlx"), "`{name}` depends on a database");
    }
    assert!(words_in("hub", &SQL).iter().any(|(file, _)| file == SQL_FILE), "the words were not looked for");
}

#[test]
fn code_is_told_from_tests_and_comments() {
    let text = "use std::x;\n// std::fs\n    /// tokio\nlet a = 1;\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
    assert_eq!(product_code(text), "use std::x;\nlet a = 1;\n");
    assert_eq!(product_code(&text.replace("mod tests", "pub(super) mod tests")), "use std::x;\nlet a = 1;\n");
}
