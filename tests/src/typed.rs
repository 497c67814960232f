//! A command as a person types it, in a folder of its own: what it says, what it leaves behind, and its exit status. The tests
//! that stand beside the commands take it in by its path, since they depend on no crate of ours besides their own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder that commands run in.
pub struct Folder {
    dir: TempDir,
    program: &'static str,
}

/// What a command left on the screen, and its exit status.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Folder {
    /// An empty folder in which the `program` with this path is run.
    pub fn of(program: &'static str) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), program }
    }

    /// The program with these arguments, in this folder, before it is run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(arguments).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Every file with its bytes, by path below the folder. SQLite's own files come and go by themselves.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        collect(self.dir.path(), self.dir.path(), &mut found);
        found.retain(|name, _| !name.contains("hub.sqlite"));
        found
    }

    /// Fails unless the command fails in these words and changes no file.
    #[track_caller]
    pub fn assert_fails(&self, arguments: &[&str], says: &str) {
        let before = self.files();
        let ran = self.run(arguments);
        assert_eq!((ran.status, ran.err.as_str()), (Some(1), says), "{arguments:?}: {ran:?}");
        assert_eq!(ran.out, "", "{arguments:?} fails and yet says something on standard output");
        assert_eq!(changed(&before, &self.files()), [""; 0], "{arguments:?} failed and changed these files");
    }

    /// Fails unless each of these commands is wrong usage, says this about it, and changes no file.
    #[track_caller]
    pub fn assert_wrong(&self, cases: &[(&[&str], &str)]) {
        let before = self.files();
        for (arguments, says) in cases {
            let ran = self.run(arguments);
            assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
            assert!(ran.err.contains(says), "{arguments:?} does not say {says:?}:\n{}", ran.err);
        }
        assert_eq!(changed(&before, &self.files()), [""; 0], "wrong usage changed these files");
    }

    /// Fails unless the command ends quietly where whoever reads its standard output has gone away before anything was said,
    /// as `head` does.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub fn assert_quiet_without_reader(&self, arguments: &[&str]) {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = self.command(arguments).stdout(writer).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

impl Ran {
    /// Standard output of a command that succeeded.
    #[track_caller]
    pub fn done(self) -> String {
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
