//! Data files: `data/<name>.yaml` or `.json`, seen by templates as `data.<name>`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SourcePath;
use tieup_protocol::yaml;

use crate::print::Print;
use crate::source::{self, files_below, read_bytes, scrub, shown};
use crate::unique::Unique;

/// The data of a site, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Data {
    sets: BTreeMap<String, DataSet>,
}

/// One data file.
#[derive(Clone, Debug)]
pub(crate) struct DataSet {
    /// The file, as a person knows it.
    pub(crate) file: String,
    /// Its place below `data/`.
    path: SourcePath,
    /// Its bytes.
    bytes: Vec<u8>,
    /// What it holds.
    pub(crate) value: Value,
}

impl DataSet {
    /// Points `problem` at entry `number`, counted from 0, of a list whose entries each begin a line with `- `.
    pub(crate) fn at_entry(&self, problem: Diagnostic, number: usize) -> Diagnostic {
        let text = String::from_utf8_lossy(&self.bytes);
        let begins: Vec<usize> =
            text.lines().zip(1..).filter(|(line, _)| line.starts_with("- ")).map(|at| at.1).collect();
        let entries = self.value.as_array().map_or(0, Vec::len);
        match begins.get(number).filter(|_| begins.len() == entries) {
            Some(line) => problem.at_line(&text, *line, 3),
            None => problem,
        }
    }
}

impl Data {
    /// Reads every data file in `folder`.
    pub(crate) fn load(folder: &Path, problems: &mut Vec<Diagnostic>) -> Self {
        let mut data = Self::default();
        for found in files_below(folder, problems) {
            let file = shown(&found.file);
            let read = read_bytes(&found.file).and_then(|bytes| data.add(file, found.path, bytes));
            problems.extend(read.err());
        }
        data
    }

    /// The data that came with a release: the files below `data/` of a framework.
    pub(crate) fn from_files<'a>(
        files: impl Iterator<Item = (&'a SourcePath, &'a Vec<u8>)>,
        problems: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut data = Self::default();
        for (path, bytes) in files {
            let Some(below) = path.as_str().strip_prefix("data/").and_then(|below| below.parse().ok()) else {
                continue;
            };
            problems.extend(data.add(path.to_string(), below, bytes.clone()).err());
        }
        data
    }

    fn add(&mut self, file: String, path: SourcePath, bytes: Vec<u8>) -> Result<(), Diagnostic> {
        let (name, value) = read_set(&file, &path, &bytes)?;
        if let Some(first) = self.sets.get(&name) {
            return Err(Diagnostic::new("duplicate-data", file, format!("`data.{name}` is read from two files"))
                .related(first.file.clone(), None, "the other file"));
        }
        self.sets.insert(name, DataSet { file, path, bytes, value });
        Ok(())
    }

    /// The set `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&DataSet> {
        self.sets.get(name)
    }

    /// The names of all sets.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.sets.keys().map(String::as_str)
    }

    /// The files as they travel in a framework, below `data/`.
    pub(crate) fn files(&self) -> impl Iterator<Item = (SourcePath, Vec<u8>)> {
        self.sets.values().filter_map(|set| {
            let path = format!("data/{}", set.path).parse().ok()?;
            Some((path, set.bytes.clone()))
        })
    }

    /// Everything, as templates see it; a set in `over` hides the one of the same name.
    pub(crate) fn under(&self, over: &Self) -> Sets {
        let sets: BTreeMap<&str, &DataSet> =
            self.sets.iter().chain(&over.sets).map(|(name, set)| (name.as_str(), set)).collect();
        let values: BTreeMap<&str, &Value> = sets.iter().map(|(name, set)| (*name, &set.value)).collect();
        let prints = sets.iter().map(|(name, set)| ((*name).to_owned(), Print::of(&set.bytes)));
        Sets { value: tera::Value::from_serializable(&values), prints: prints.collect() }
    }
}

/// The data of a site as templates see it.
#[derive(Debug)]
pub(crate) struct Sets {
    value: tera::Value,
    prints: Vec<(String, Print)>,
}

impl Sets {
    /// Every set by its name.
    pub(crate) fn value(&self) -> tera::Value {
        self.value.clone()
    }

    /// The fingerprint of each set.
    pub(crate) fn prints(&self) -> impl Iterator<Item = (&str, Print)> {
        self.prints.iter().map(|(name, print)| (name.as_str(), *print))
    }
}

fn read_set(file: &str, path: &SourcePath, bytes: &[u8]) -> Result<(String, Value), Diagnostic> {
    let text = source::text(file, bytes.to_vec())?;
    let (name, extension) = path.as_str().rsplit_once('.').unwrap_or((path.as_str(), ""));
    let mut value = match extension {
        "yaml" | "yml" => yaml::parse::<Unique>(file, &text)?.0,
        "json" => serde_json::from_str::<Unique>(&text).map_err(|error| bad_json(file, &text, &error))?.0,
        _ => return Err(misplaced(file)),
    };
    if name.contains('/') {
        return Err(misplaced(file));
    }
    scrub(&mut value);
    Ok((name.to_owned(), value))
}

fn bad_json(file: &str, text: &str, error: &serde_json::Error) -> Diagnostic {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let problem = match message.strip_prefix("duplicate field ") {
        Some(key) => Diagnostic::new("duplicate-key", file, format!("the key {key} stands twice")),
        None if text.trim().is_empty() => return Diagnostic::new("bad-json", file, "the file is empty"),
        None => Diagnostic::new("bad-json", file, message),
    };
    problem.at_line(text, error.line().max(1), error.column().max(1))
}

fn misplaced(file: &str) -> Diagnostic {
    Diagnostic::new("misplaced-file", file, "only data/<name>.yaml and data/<name>.json are read")
        .help("move it, or give it one of these names")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(files: &[(&str, &str)]) -> (Data, Vec<Diagnostic>) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let mut problems = Vec::new();
        (Data::load(dir.path(), &mut problems), problems)
    }

    #[test]
    fn yaml_and_json_are_read_in_their_own_order() {
        let (data, problems) = load(&[("a.yaml", "[{z: 1, a: 2}]"), ("b.json", "{\"y\": 1, \"b\": 2}")]);
        assert_eq!(problems, []);
        let text = data.under(&Data::default()).value().to_string();
        assert!(text.find('z') < text.rfind('a') && text.find('y') < text.rfind('b'), "{text}");
    }

    #[test]
    fn bad_data_is_named() {
        let (_, problems) = load(&[
            ("a.json", "{\n  \"x\": }"),
            ("b.yaml", "x: [1"),
            ("c.txt", ""),
            ("d/e.yaml", "1"),
            ("f.json", "1"),
            ("f.yaml", "1"),
        ]);
        let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["bad-json", "bad-yaml", "misplaced-file", "misplaced-file", "duplicate-data"]);
        assert_eq!(problems[0].span.as_ref().map(|span| span.line), Some(2));
    }
}
