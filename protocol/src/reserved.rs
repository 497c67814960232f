//! Paths that a public server answers by itself, so that no page and no file can stand there.

use crate::contract::BEACON;
use crate::path::SitePath;

/// The folder in which a certificate authority asks for proof of a name (RFC 8555, section 8.3).
pub const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// What a public server keeps a folder for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Main's own counts of visits to tie-up pages.
    Beacons,
    /// Proofs by which a certificate is had.
    Challenges,
}

impl Reserved {
    /// What the folder that `path` lies in is kept for; none where anything may stand there.
    pub fn of(path: &SitePath) -> Option<Self> {
        let is_below = |folder: &str| path.as_str().strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        if is_below(BEACON) {
            Some(Self::Beacons)
        } else if is_below(CHALLENGES.trim_end_matches('/')) {
            Some(Self::Challenges)
        } else {
            None
        }
    }

    /// The folder, with the slash at its end.
    pub fn folder(self) -> String {
        match self {
            Self::Beacons => format!("{BEACON}/"),
            Self::Challenges => CHALLENGES.to_owned(),
        }
    }

    /// What it is kept for, in words.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Beacons => "the beacons by which visits to tie-up pages are counted",
            Self::Challenges => "the questions of a certificate authority",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_answers_by_itself_is_reserved_and_nothing_beside_it() {
        for (path, reserved) in [
            ("/tieup-beacon/", Some(Reserved::Beacons)),
            ("/tieup-beacon/news/", Some(Reserved::Beacons)),
            ("/tieup-beacon", None),
            ("/tieup-beacons/", None),
            ("/news/tieup-beacon/", None),
            ("/.well-known/acme-challenge/token", Some(Reserved::Challenges)),
            ("/.well-known/acme-challenge/", Some(Reserved::Challenges)),
            ("/.well-known/security.txt", None),
        ] {
            assert_eq!(Reserved::of(&path.parse().unwrap()), reserved, "{path}");
        }
    }
}
