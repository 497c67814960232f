//! `tieup build`.

use std::fs;

use crate::Folder;

#[test]
fn build_writes_a_tree_and_takes_away_what_it_no_longer_makes() {
    let folder = Folder::with_site();
    let told = folder.run(&["build"]).done();
    let made = " s\nMade .tieup for the next build to go on from; --no-cache leaves nothing.\n";
    assert!(told.starts_with("Built 2 pages, 5 files, ") && told.ends_with(made), "{told}");
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
    assert!(!folder.run(&["build"]).done().contains("Made .tieup"));
    assert_eq!(tree(&folder), [".tieup-files", "404.html", "index.html", "mine.txt", "robots.txt", "sitemap.xml"]);
    folder.run(&["build", "--site", ".", "--themes", "themes", "--out", "else/where", "--no-cache"]).done();
    let told = folder.run(&["build", "--verify"]).done();
    assert!(told.contains("\nVerified: ") && told.ends_with(" what a fresh build makes.\n"), "{told}");
    assert!(folder.path("else/where/index.html").is_file());
}

#[test]
fn a_build_without_a_cache_leaves_nothing_beside_the_tree() {
    let folder = Folder::with_site();
    let told = folder.run(&["build", "--no-cache"]).done();
    assert!(told.ends_with(" s\n") && !folder.path(".tieup").exists(), "{told}");
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
