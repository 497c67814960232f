//! The command `tieup` as a person types it: what it says, what it leaves behind, and its exit status.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tieup_generator::{Framework, Site, build_originals};
use tieup_protocol::joining::Invitation;

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

#[test]
fn init_begins_a_site_that_builds_and_does_not_replace_it() {
    let folder = Folder::begun();
    let files = folder.files();
    for file in ["tieup.yaml", "site.yaml", "content/_index.md", "themes/plain/theme.yaml", ".tieup/keys/root.json"] {
        assert!(files.contains_key(file), "{file} was not made: {:?}", files.keys());
    }
    assert!(folder.run(&["check"]).done().starts_with("No mistakes in "));
    folder.assert_fails(&["init", "brand"], "error: tieup.yaml is there already; it is not replaced\n");
    fs::remove_file(folder.path("tieup.yaml")).unwrap();
    folder.assert_fails(&["init", "other"], "error: .tieup/keys already holds keys; they are not replaced\n");
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::begun();
    for entry in fs::read_dir(folder.path(".tieup/keys")).unwrap() {
        let path = entry.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{} is open to others", path.display());
    }
}

#[test]
fn init_leaves_a_site_that_is_there_alone() {
    let folder = Folder::with_site();
    let before = folder.files();
    folder.run(&["init", "lampworks"]).done();
    let after = folder.files();
    for (file, bytes) in before {
        assert_eq!(after.get(&file), Some(&bytes), "{file} was changed");
    }
    let told = folder.run(&["check"]).done();
    assert!(told.starts_with("No mistakes in 2 pages: 2 rendered, 0 cached, ") && told.ends_with(" s\n"), "{told}");
}

#[test]
fn build_writes_a_tree_and_takes_away_what_it_no_longer_makes() {
    let folder = Folder::with_site();
    let told = folder.run(&["build"]).done();
    assert!(told.starts_with("Built 2 pages, 5 files, ") && told.ends_with(" s\n"), "{told}");
    assert!(told.contains(" bytes into public: 2 rendered, 0 cached, "), "{told}");
    let tree = |folder: &Folder| -> Vec<String> {
        folder.files().into_keys().filter_map(|file| Some(file.strip_prefix("public/")?.to_owned())).collect()
    };
    assert_eq!(
        tree(&folder),
        [".tieup-files", "404.html", "about/index.html", "index.html", "robots.txt", "sitemap.xml"]
    );
    let home = fs::read_to_string(folder.path("public/index.html")).unwrap();
    assert_eq!(home, "<h1>Lamps</h1><p>Mended and new.</p>\n");
    folder.write("public/mine.txt", "not made by tieup");
    fs::remove_file(folder.path("content/about.md")).unwrap();
    folder.run(&["build"]).done();
    assert_eq!(tree(&folder), [".tieup-files", "404.html", "index.html", "mine.txt", "robots.txt", "sitemap.xml"]);
    folder.run(&["build", "--site", ".", "--themes", "themes", "--out", "else/where", "--no-cache"]).done();
    let told = folder.run(&["build", "--verify"]).done();
    assert!(told.contains("\nVerified: ") && told.ends_with(" what a fresh build makes.\n"), "{told}");
    assert!(folder.path("else/where/index.html").is_file());
}

#[test]
fn what_partners_share_is_built_once() {
    let folder = Folder::begun();
    for partner in ["east", "north", "west"] {
        folder.run(&["partner", "add", partner]).done();
    }
    folder.write("partners/north/content/_index.md", "---\n---\nHello, north.");
    let told = folder.run(&["build", "--partners"]).done();
    assert!(
        told.starts_with("Built what each partner gets (3) into public-partners: ")
            && told.contains(", 1 of their own, "),
        "{told}"
    );
    let read = |file: &str| fs::read_to_string(folder.path(file)).unwrap();
    assert!(read("public-partners/partners/north/index.html").contains("Hello, north."));
    assert!(!read("public-partners/shared/1/index.html").contains("Hello, north."));
    assert!(!folder.path("public-partners/partners/east").exists());
    let list: serde_json::Value = serde_json::from_str(&read("public-partners/partners.json")).unwrap();
    assert_eq!(list[1], serde_json::json!({"partner": "north", "shared": "shared/1", "own": 1, "gone": []}));
    let told = folder.run(&["build", "--partner", "north"]).done();
    assert!(told.starts_with("Built what north gets, "), "{told}");
    assert_eq!(read("public-north/index.html"), read("public-partners/partners/north/index.html"));
    let ran = folder.run(&["build", "--partner", "nort"]);
    assert!(ran.err.contains("did you mean `north`?"), "{ran:?}");
}

#[test]
fn a_build_does_not_go_into_what_it_is_made_from() {
    let folder = Folder::begun();
    fs::create_dir_all(folder.path("data")).unwrap();
    for out in ["content", "data", "static/built", "themes/plain", "partners", ".tieup", "public/../content/news"] {
        let before = folder.files();
        let ran = folder.run(&["build", "--out", out]);
        assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""), "{out}: {ran:?}");
        assert!(ran.err.contains("name another folder with --out"), "{out}: {}", ran.err);
        assert!(folder.files() == before, "{out} was written to");
    }
    let says = "error: . is the site itself: name a folder of its own with --out, such as --out public\n";
    folder.assert_fails(&["build", "--out", "."], says);
}

#[test]
fn a_contract_of_another_main_site_is_told() {
    let folder = Folder::begun();
    folder.run(&["partner", "add", "north"]).done();
    let checked = folder.run(&["check"]).done();
    assert!(!checked.contains("left out"), "{checked}");
    folder.write("content/local/map.md", "---\ntitle: Map\n---\n");
    let checked = folder.run(&["check"]).done();
    assert!(
        checked.contains("  note: 1 page of main is left out, since its path is the partner's: /local/map/\n"),
        "{checked}"
    );
    folder.replace("partners/north/contract.yaml", "partnership: inherited", "partnership: link");
    assert!(folder.run(&["check"]).done().contains("  note: `partnership: link` publishes nothing"));
    folder.replace("partners/north/contract.yaml", "contract: brand/north@1", "contract: brant/north@1");
    let says = "error[other-main]: the contract is made by `brant`, and tieup.yaml says that this is `brand`
 --> partners/north/contract.yaml:2:11
2 | contract: brant/north@1
  |           ^^^^^^^^^^^^^
  = help: write `brand/north@1`, or `main: brant` in tieup.yaml

1 error
";
    folder.assert_fails(&["check"], says);
}

#[test]
fn fee_terms_of_no_effect_are_told_at_their_place() {
    let folder = Folder::begun();
    folder.run(&["partner", "add", "north"]).done();
    folder.replace("partners/north/contract.yaml", "[100000, \"0.30\"]", "[100000, \"0.50\"]");
    let says = "error[same-tier]: the tier from 100000 changes nothing: 0.50 holds before it, too
  --> partners/north/contract.yaml:34:50
34 |   access: {graduated: tie, tiers: [[0, \"0.50\"], [100000, \"0.50\"]]}
   |                                                  ^^^^^^

1 error
";
    folder.assert_fails(&["check"], says);
}

#[test]
fn a_path_that_partners_refuse_is_told_once() {
    let folder = Folder::begun();
    for partner in ["north", "south"] {
        folder.run(&["partner", "add", partner]).done();
    }
    folder.write("content/aux.md", "---\ntitle: Auxiliary\n---\n");
    let says = "error[unportable-path]: `/aux/` cannot be a file on every system: Windows keeps the name for a device
 --> partners/north/contract.yaml
  = help: give the page or file another path: `north` refuses a release with this one

1 error
";
    folder.assert_fails(&["check"], says);
    fs::remove_file(folder.path("content/aux.md")).unwrap();
    folder.run(&["check"]).done();
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

#[test]
fn an_init_that_failed_can_be_run_again() {
    let folder = Folder::empty();
    // A file where the folder of keys should be.
    folder.write(".tieup/keys", "");
    assert_eq!(folder.run(&["init", "brand"]).status, Some(1));
    assert!(!folder.path("tieup.yaml").exists());
    fs::remove_file(folder.path(".tieup/keys")).unwrap();
    let told = folder.run(&["init", "brand"]).done();
    for next in ["tieup check", "tieup hub", "tieup partner add NAME"] {
        assert!(told.contains(next), "{next:?} is not told:\n{told}");
    }
    folder.run(&["check"]).done();
}

#[test]
fn a_mistake_stops_the_build_before_anything_is_written() {
    let folder = Folder::with_site();
    folder.run(&["build"]).done();
    folder.write("content/news.md", "---\ntitle: News\n---\nSee [there](/abuot/).\n");
    let says = "error[broken-link]: nothing stands at `/abuot/`
 --> content/news.md:4:13
4 | See [there](/abuot/).
  |             ^^^^^^^
  = help: did you mean `/about/`?

1 error
";
    folder.assert_fails(&["build"], says);
    folder.assert_fails(&["check"], says);
}

/// A file, what is wrong in it, and what a person is told.
struct Mistake {
    file: &'static str,
    text: &'static str,
    says: &'static str,
}

const UNKNOWN_KEYS: [Mistake; 5] = [
    Mistake {
        file: "site.yaml",
        text: "title: Lampworks\nbase_ulr: https://lampworks.example/\ntheme: plain\n",
        says: "error[unknown-key]: unknown key `base_ulr`
 --> site.yaml:2:1
2 | base_ulr: https://lampworks.example/
  | ^^^^^^^^
  = help: did you mean `base_url`?

1 error
",
    },
    Mistake {
        file: "content/about.md",
        text: "---\ntitle: About\ndescripton: Us\n---\n",
        says: "error[unknown-key]: unknown key `descripton`
 --> content/about.md:3:1
3 | descripton: Us
  | ^^^^^^^^^^
  = help: did you mean `description`?

1 error
",
    },
    Mistake {
        file: "content/goods/_index.md",
        text: "---\ntitle: Goods\npages_from: {date: goods}\n---\n",
        says: "error[unknown-key]: unknown key `date`
 --> content/goods/_index.md:3:14
3 | pages_from: {date: goods}
  |              ^^^^
  = help: did you mean `data`?

1 error
",
    },
    Mistake {
        file: "themes/plain/theme.yaml",
        text: "name: plain\napi: 1\nslot: [nav]\n",
        says: "error[unknown-key]: unknown key `slot`
 --> themes/plain/theme.yaml:3:1
3 | slot: [nav]
  | ^^^^
  = help: did you mean `slots`?

1 error
",
    },
    Mistake {
        file: "partners/north/contract.yaml",
        text: "contract: lampworks/north@1\npartnershp: inherited\n",
        says: "error[missing-key]: missing key `effective`
 --> partners/north/contract.yaml
  = help: write `effective: ...`

error[unknown-key]: unknown key `partnershp`
 --> partners/north/contract.yaml:2:1
2 | partnershp: inherited
  | ^^^^^^^^^^
  = help: did you mean `partnership`?

2 errors
",
    },
];

#[test]
fn unknown_keys_are_named_with_file_line_and_a_suggestion() {
    for Mistake { file, text, says } in UNKNOWN_KEYS {
        let folder = Folder::with_site();
        folder.write(file, text);
        folder.assert_fails(&["check"], says);
        folder.assert_fails(&["build"], says);
    }
}

#[test]
fn an_unknown_key_in_tieup_yaml_stops_every_command_that_reads_it() {
    let folder = Folder::begun();
    folder.replace("tieup.yaml", "public:", "pubic:");
    let says = "error[unknown-key]: unknown key `pubic`
 --> tieup.yaml:6:1
6 | pubic: 127.0.0.1:8000    # where your own pages are served
  | ^^^^^
  = help: did you mean `public`?

";
    let commands: [&[&str]; 5] = [&["status"], &["publish"], &["hub"], &["partner", "list"], &["log", "fetch"]];
    for command in commands {
        folder.assert_fails(command, says);
    }
}

#[test]
fn pages_from_data_that_is_not_there_are_told_at_the_section() {
    let folder = Folder::with_site();
    folder.write("data/goods.yaml", "- {id: lamp, name: Lamp}\n- {id: wick}\n");
    folder.write("content/goods/_index.md", "---\ntitle: Goods\npages_from: {data: godos}\n---\n");
    let says = "error[missing-data]: there is no list `data.godos`
 --> content/goods/_index.md:3:20
3 | pages_from: {data: godos}
  |                    ^^^^^
  = help: did you mean `goods`?

1 error
";
    folder.assert_fails(&["check"], says);
    folder.replace("content/goods/_index.md", "godos", "goods");
    let says = "error[bad-entry]: entry 2 (`wick`) has no `name`
 --> data/goods.yaml:2:3
2 | - {id: wick}
  |   ^^^
  = note: content/goods/_index.md: makes a page of each entry
  = help: give every entry an `id`, which becomes the path, and a `name`, which becomes the title

1 error
";
    folder.assert_fails(&["check"], says);
    folder.replace("data/goods.yaml", "{id: wick}", "{id: wick, name: Wick}");
    assert!(folder.run(&["check"]).done().starts_with("No mistakes in 5 pages: "));
}

#[test]
fn a_missing_theme_is_told_where_it_is_asked_for() {
    let folder = Folder::with_site();
    folder.replace("site.yaml", "theme: plain", "theme: plian");
    let says = "error[missing-theme]: there is no theme `plian` in themes
 --> site.yaml:3:8
3 | theme: plian
  |        ^^^^^
  = help: did you mean `plain`?

1 error
";
    folder.assert_fails(&["build"], says);
}

#[test]
fn mounts_that_overlap_are_told_at_their_line() {
    let folder = Folder::begun();
    folder.run(&["partner", "add", "north"]).done();
    let contract = fs::read_to_string(folder.path("partners/north/contract.yaml")).unwrap();
    let line = contract.lines().position(|line| line.starts_with("mounts:")).unwrap();
    let mut lines: Vec<&str> = contract.lines().collect();
    lines[line] = r#"mounts: {"/": main, "/local/**": partner, "/local/": main}"#;
    folder.write("partners/north/contract.yaml", &lines.join("\n"));
    let ran = folder.run(&["check"]);
    assert_eq!((ran.status, ran.out.as_str()), (Some(1), ""), "{ran:?}");
    for says in [
        "mounts overlap: `/local/**` (partner) and `/local/` (main) cover the same paths",
        &format!("--> partners/north/contract.yaml:{}:", line + 1),
        "\"/local/**\": partner, \"/local/\": main}",
    ] {
        assert!(ran.err.contains(says), "{says:?} is not said:\n{}", ran.err);
    }
}

#[test]
fn mistakes_come_as_json_for_programs() {
    let folder = Folder::with_site();
    folder.write("content/about.md", "---\ntitle: About\nwieght: 3\n---\n");
    for command in ["check", "build"] {
        let ran = folder.run(&[command, "--format", "json"]);
        assert_eq!(ran.status, Some(1), "{ran:?}");
        let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let mistake = &report["diagnostics"][0];
        assert_eq!(mistake["code"], "unknown-key");
        assert_eq!(mistake["file"], "content/about.md");
        assert_eq!((&mistake["span"]["line"], &mistake["span"]["column"]), (&3.into(), &1.into()));
        assert_eq!(mistake["help"], "did you mean `weight`?");
        assert_eq!(ran.err, "error: the site has mistakes; they stand on standard output\n");
    }
}

#[test]
fn without_a_hub_the_next_step_is_told() {
    let folder = Folder::with_site();
    let says = "error[unreadable]: the configuration cannot be read: No such file or directory (os error 2)
 --> tieup.yaml
  = help: make one with `tieup init`, or name it with --config

";
    folder.assert_fails(&["status"], says);
    let folder = Folder::begun();
    fs::rename(folder.path(".tieup"), folder.path("elsewhere")).unwrap();
    let says = "error: .tieup/keys holds no keys: make them with `tieup init`, or put back your copy of them\n";
    folder.assert_fails(&["publish"], says);
}

#[test]
fn without_partners_every_command_says_so() {
    let folder = Folder::begun();
    let commands: [&[&str]; 5] =
        [&["status"], &["publish"], &["partner", "list"], &["log", "fetch"], &["log", "verify"]];
    for command in commands {
        let told = folder.run(command).done();
        let expected = "No partner has joined yet: invite one with `tieup partner invite NAME`.\n";
        assert_eq!(told, expected, "tieup {command:?}");
    }
    folder.assert_fails(&["publish", "north"], "error: `north` has not joined\n");
    folder.assert_fails(&["fee", "statement", "north", "2026-11"], "error: `north` has not joined\n");
}

#[test]
fn a_partner_is_added_then_invited() {
    let folder = Folder::begun();
    let no_contract =
        "error: there is no contract with `north`: `tieup partner add north` writes ./partners/north/contract.yaml\n";
    folder.assert_fails(&["partner", "invite", "north"], no_contract);
    folder.run(&["partner", "add", "north"]).done();
    let again = "error: ./partners/north/contract.yaml is there already; it is not replaced\n";
    folder.assert_fails(&["partner", "add", "north"], again);
    let checked = folder.run(&["check"]).done();
    assert!(checked.starts_with("north: ") && checked.contains(" paths under brand/north@1\n"), "{checked}");
    let ran = folder.run(&["partner", "invite", "north"]);
    assert!(ran.err.contains("It is good once, within a week"), "{ran:?}");
    let token: Invitation = ran.done().trim_end().parse().expect("standard output holds the token and nothing else");
    assert_eq!((token.main.as_str(), token.partner.as_str()), ("brand", "north"));
    assert_eq!(token.hub, "127.0.0.1:7440");
}

#[test]
fn what_is_revoked_is_said() {
    let folder = Folder::begun();
    folder.assert_fails(&["partner", "revoke", "north"], "error: `north` has not joined\n");
    let said = "Revoked every TLS certificate that this main site has used so far; a new one is in use.\n";
    for _ in 0..2 {
        assert_eq!(folder.run(&["key", "revoke-tls"]).done(), said);
    }
    let ran = folder.run(&["partner", "revoke", "north", "--reason", &"x".repeat(501)]);
    assert_eq!(ran.status, Some(2), "{ran:?}");
}

#[test]
fn a_kit_is_written_once_and_its_originals_build() {
    let folder = Folder::begun();
    let no_contract =
        "error: there is no contract with `north`: `tieup partner add north` writes ./partners/north/contract.yaml\n";
    folder.assert_fails(&["partner", "kit", "north"], no_contract);
    folder.run(&["partner", "add", "north"]).done();
    let told = folder.run(&["partner", "kit", "north"]).done();
    assert_eq!(told, "Wrote north-kit: 8 files. Give the folder to `north`; its README.md says how to go on.\n");
    folder.assert_fails(&["partner", "kit", "north"], "error: north-kit is there already; it is not replaced\n");
    folder.run(&["partner", "kit", "north", "--out", "kits/north"]).done();
    let site = Site::load(&folder.path("."), &folder.path("themes")).unwrap();
    let release = site.build_release(&"north".parse().unwrap()).unwrap();
    let framework = Framework::from_files(&release.theme, release.framework.files().clone()).unwrap();
    let originals = build_originals(&folder.path("kits/north"), &framework, &release.output.index);
    let originals = originals.unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(originals.slots.keys().collect::<Vec<_>>(), ["address", "nav", "notices"]);
    assert!(originals.output.files.contains_key(&"/local/".parse().unwrap()));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = Folder::begun();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    folder.replace("tieup.yaml", "127.0.0.1:7440", "127.0.0.1:0");
    folder.replace("tieup.yaml", "127.0.0.1:8000", &address);
    let ran = folder.run(&["hub"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.starts_with(&format!("error: cannot listen on {address}\ncaused by: ")), "{}", ran.err);
}

/// Waits until the process has handlers for SIGINT and SIGTERM. It has them a moment after it said that it serves.
#[cfg(target_os = "linux")]
fn wait_until_signals_are_heard(id: u32) {
    const WANTED: u64 = 1 << (2 - 1) | 1 << (15 - 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    };
    while caught() & WANTED != WANTED {
        assert!(Instant::now() < deadline, "the hub hears no signal: {:x}", caught());
        std::thread::yield_now();
    }
}

/// A process that does not outlive its test.
#[cfg(target_os = "linux")]
struct Running(std::process::Child);

#[cfg(target_os = "linux")]
impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.0.kill();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_hub_serves_until_it_is_told_to_end() {
    let folder = Folder::begun();
    folder.replace("tieup.yaml", "127.0.0.1:7440", "127.0.0.1:0");
    folder.replace("tieup.yaml", "127.0.0.1:8000", "127.0.0.1:0");
    for signal in ["INT", "TERM"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tieup"));
        command.arg("hub").current_dir(folder.0.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut hub = Running(command.spawn().unwrap());
        let mut lines = BufReader::new(hub.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with(" files are served.")), "the hub ended before it served anything");
        wait_until_signals_are_heard(hub.0.id());
        Command::new("kill").args(["-s", signal, &hub.0.id().to_string()]).status().unwrap();
        assert_eq!(hub.0.wait().unwrap().code(), Some(0), "after {signal}");
    }
}

/// The status of the page at `path`.
#[cfg(target_os = "linux")]
fn status(address: &str, path: &str) -> u16 {
    use std::io::{Read as _, Write as _};
    let mut line = std::net::TcpStream::connect(address).unwrap();
    write!(line, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_hub_shows_a_page_when_its_time_comes_and_takes_it_away_when_it_ends() {
    let folder = Folder::begun();
    folder.replace("tieup.yaml", "127.0.0.1:7440", "127.0.0.1:0");
    folder.replace("tieup.yaml", "127.0.0.1:8000", "127.0.0.1:0");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    folder.write("content/next.md", &format!("---\ntitle: Next\npublish: {soon}\n---\n"));
    folder.write("content/last.md", &format!("---\ntitle: Last\nexpires: {soon}\n---\n"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieup"));
    command.arg("hub").current_dir(folder.0.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut hub = Running(command.spawn().unwrap());
    let mut lines = BufReader::new(hub.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.next().unwrap();
    let address = told.split('/').nth(2).unwrap_or_else(|| panic!("no address is told: {told}"));
    assert!(lines.any(|line| line.ends_with(" files are served.")), "the hub ended before it served anything");
    let deadline = Instant::now() + Duration::from_secs(30);
    while (status(address, "/next/"), status(address, "/last/")) != (200, 404) {
        assert!(Instant::now() < deadline, "the pages' time has come, and nothing changed");
        std::thread::yield_now();
    }
}
