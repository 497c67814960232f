//! Attacks of several steps, each a test of its own: what is laid down below `tests/fixtures/hostile/` names one that there is.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tieup_protocol::yaml;

/// Fewer cases than this, and some were lost.
const CASES: usize = 8;

/// One attack.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    attack: String,
    scene: String,
}

/// Every folder of an attack, with its case as text.
fn folders() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hostile");
    let folders = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    folders.map(|path| (path.clone(), fs::read_to_string(path.join("case.yaml")).unwrap())).collect()
}

#[test]
fn every_attack_that_is_played_out_has_its_test() {
    let scenes: Vec<_> = folders().into_iter().filter(|(_, text)| text.contains("\nscene: ")).collect();
    for (folder, text) in &scenes {
        let case: Case = yaml::parse(&folder.display().to_string(), text).unwrap_or_else(|error| panic!("{error}"));
        let (modules, name) = case.scene.rsplit_once("::").unwrap();
        let file = format!("tests/spine/{}.rs", modules.replace("::", "/"));
        let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file)).unwrap();
        assert!(source.contains(&format!("async fn {name}()")), "{}: {file} has no test {name}", case.attack);
    }
    assert!(scenes.len() >= CASES, "there are {} cases", scenes.len());
}

#[test]
fn every_folder_holds_a_case_of_a_kind_that_is_tried() {
    let kinds = ["\noffer:\n", "\ntransfer:\n", "\nscene: "];
    for (folder, text) in folders() {
        let kind = kinds.iter().filter(|kind| text.contains(**kind)).count();
        assert_eq!(kind, 1, "{} is of no kind, or of several", folder.display());
    }
}
