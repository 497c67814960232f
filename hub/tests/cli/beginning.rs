//! `tieup init`: what a site begins with.

use std::fs;

use crate::Folder;

#[test]
fn init_begins_a_site_that_builds_and_does_not_replace_it() {
    let folder = Folder::begun();
    let files = folder.files();
    for file in ["tieup.yaml", "site.yaml", "content/_index.md", "themes/plain/theme.yaml", ".tieup/keys/root.json"] {
        assert!(files.contains_key(file), "{file} was not made: {:?}", files.keys());
    }
    let told = folder.run(&["check"]).done();
    assert!(told.starts_with("No mistakes in "), "{told}");
    assert!(told.ends_with("which sitemap and feeds name: put in your own address\n"), "{told}");
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
