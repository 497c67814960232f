//! Programs of others in Python, for what is to be looked at from outside.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What scripts need besides Python itself.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    /// Its name, where it must be made because the machine's own Python lacks something.
    name: &'static str,
    /// The modules that must be there, as `import` takes them.
    modules: &'static str,
    /// The list of packages that have them, below `tests/outside`.
    requirements: &'static str,
}

/// What verifies releases, journals and metrics.
pub const VERIFYING: Environment = Environment {
    name: "verifying-venv",
    modules: "tuf.ngclient, blake3, cryptography, prometheus_client.openmetrics.parser",
    requirements: "requirements.txt",
};

/// What looks at the public server.
pub const SERVING: Environment = Environment {
    name: "serving-venv",
    modules: "h2, hpack, httplint, hyperframe, sslyze",
    requirements: "serving/requirements.txt",
};

/// A server of buckets.
pub const BUCKETS: Environment =
    Environment { name: "s3-venv", modules: "boto3, flask, moto.server", requirements: "s3/requirements.txt" };

/// A Python with what is wanted: the machine's own, or one made in `folder`. One test at a time makes it, and no other runs
/// it before it is whole.
///
/// Where it cannot be had, that is said and none is given, but in CI it fails.
pub fn with(wanted: Environment, folder: impl AsRef<Path>) -> Option<String> {
    let folder = folder.as_ref();
    let lock = File::create(folder.join(format!("{}.lock", wanted.name))).unwrap();
    lock.lock().unwrap();
    let environment = folder.join(wanted.name);
    let own = environment.join("bin/python").display().to_string();
    if let Some(python) = ["python3", &own].into_iter().find(|python| has(python, wanted.modules)) {
        return Some(python.to_owned());
    }
    // What was left by half is in the way of what is made.
    let _ = fs::remove_dir_all(&environment);
    let made = Command::new("python3").arg("-m").arg("venv").arg(&environment).output();
    let pip = Command::new(&own).args(["-m", "pip", "install", "-q", "-r"]).arg(outside(wanted.requirements)).output();
    if has(&own, wanted.modules) {
        return Some(own);
    }
    let why = format!("{} cannot be had: {made:?} {pip:?}", wanted.modules);
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("NOT checked from outside: {why}");
    None
}

/// A file below `tests/outside`, where what looks from outside is.
pub fn outside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("outside").join(path)
}

fn has(python: &str, modules: &str) -> bool {
    let ran = Command::new(python).args(["-c", &format!("import {modules}")]).output();
    ran.is_ok_and(|ran| ran.status.success())
}
