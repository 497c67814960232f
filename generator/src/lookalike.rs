//! Paths that differ by capitals or by Unicode form alone: some file systems hold one of them, and people see one.

use std::collections::BTreeMap;

use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SitePath;
use unicode_normalization::UnicodeNormalization as _;

use crate::statics::{Claim, find};

/// Names every path of `claimed`, which is in order, that looks like another one there.
pub(crate) fn check(claimed: &[Claim<'_>], problems: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<String, (&SitePath, &str)> = BTreeMap::new();
    for (path, file, _) in claimed.iter().filter(|(path, ..)| may_change(path.as_str())) {
        let plain = plain(path.as_str());
        let same = plain.parse::<SitePath>().ok().filter(|same| same != *path);
        let other = same.and_then(|same| find(claimed, &same)).map(|(path, file, _)| (*path, *file));
        match other.or_else(|| seen.get(&plain).copied()) {
            Some((other, other_file)) => problems.push(alike((path, file), (other, other_file))),
            None => drop(seen.insert(plain, (path, file))),
        }
    }
}

fn alike((path, file): (&SitePath, &str), (other, other_file): (&SitePath, &str)) -> Diagnostic {
    let by_case = path.as_str().to_lowercase() == other.as_str().to_lowercase();
    let how = if by_case { "capitals" } else { "the way in which Unicode writes an accent" };
    Diagnostic::new("similar-path", file, format!("`{path}` and `{other}` differ by {how} alone"))
        .related(other_file, None, format!("claims `{other}`"))
        .help("give one of them another name: on many machines both are one file")
}

fn may_change(path: &str) -> bool {
    path.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii())
}

fn plain(path: &str) -> String {
    path.nfc().flat_map(char::to_lowercase).nfc().collect()
}
