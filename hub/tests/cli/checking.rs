//! Mistakes of a site, as `tieup check` and whatever reads the site tells them.

use std::fs;

use crate::Folder;

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
fn an_address_that_no_hub_can_listen_at_is_a_mistake_of_its_file() {
    let folder = Folder::begun();
    folder.replace("tieup.yaml", "join: 127.0.0.1:7440      #", "join: 127.0.0.1:99999 #");
    let says = "error[wrong-value]: `127.0.0.1:99999` is not an address to listen at
 --> tieup.yaml:5:7
5 | join: 127.0.0.1:99999 # where the hub listens for partners; 0.0.0.0:7440 for other machines
  |       ^^^^^^^^^^^^^^^
  = help: write it like 127.0.0.1:8080

";
    for command in ["check", "hub", "status"] {
        folder.assert_fails(&[command], says);
    }
}

#[test]
fn fee_terms_of_no_effect_are_told_at_their_place() {
    let folder = Folder::begun();
    folder.run(&["partner", "add", "north"]).done();
    folder.replace("partners/north/contract.yaml", "[100000, \"0.30\"]", "[100000, \"0.50\"]");
    let says = "error[same-tier]: the tier from 100000 changes nothing: 0.50 holds before it, too
  --> partners/north/contract.yaml:35:50
35 |   access: {graduated: tie, tiers: [[0, \"0.50\"], [100000, \"0.50\"]]}
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
 --> tieup.yaml:7:1
7 | pubic: 127.0.0.1:8000    # where your own pages are served; 0.0.0.0:80 for other machines
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
