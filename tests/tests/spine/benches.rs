//! The benches' own crates, which are no part of the workspace and are not built with it.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_lock_file_of_each_bench_is_of_what_it_depends_on_now() {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench");
    let folders = std::fs::read_dir(benches).unwrap().map(|entry| entry.unwrap().path());
    let manifests: Vec<PathBuf> =
        folders.map(|folder| folder.join("Cargo.toml")).filter(|file| file.is_file()).collect();
    assert!(!manifests.is_empty(), "no bench has a crate of its own");
    for manifest in manifests {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        // Crates are looked up for this machine alone: what others need was not fetched.
        command.args(["tree", "--quiet", "--depth", "0", "--all-features", "--locked", "--offline", "--manifest-path"]);
        let output = command.arg(&manifest).output().expect("cargo runs, since it runs this test");
        assert!(output.status.success(), "{}: {}", manifest.display(), String::from_utf8_lossy(&output.stderr));
    }
}
