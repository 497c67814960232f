//! Names the engine by what it is made from, so that nothing is taken from a cache that another engine filled.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let mut files = Vec::new();
    for root in ["src", "../protocol/src", "../Cargo.lock"] {
        println!("cargo::rerun-if-changed={root}");
        find(Path::new(root), &mut files);
    }
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(&fs::read(&file).unwrap_or_default());
    }
    println!("cargo::rustc-env=TIEUP_ENGINE={}", hasher.finalize().to_hex());
}

fn find(path: &Path, files: &mut Vec<PathBuf>) {
    match fs::read_dir(path) {
        Ok(entries) => entries.flatten().for_each(|entry| find(&entry.path(), files)),
        Err(_) => files.push(path.to_owned()),
    }
}
