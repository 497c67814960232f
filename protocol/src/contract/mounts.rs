//! Mounts: which paths belong to the main site and which to the partner.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::path::SitePath;

/// The folder of what programs ask of a host before anything else.
static WELL_KNOWN: LazyLock<SitePath> = LazyLock::new(|| {
    let folder = "/.well-known/".parse();
    folder.expect("it begins with a slash and has one segment")
});

/// One of the two who can own a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// The main site: tie-up pages.
    Main,
    /// The partner: original pages.
    Partner,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Partner => "partner",
        })
    }
}

/// Which paths belong to whom. A mount covers its path and everything below; the longest match wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounts(BTreeMap<SitePath, Owner>);

impl Mounts {
    /// Who owns `path`, and by which mount.
    ///
    /// Every path has an owner, since a contract without the mount `/` is refused. What stands in `/.well-known/` speaks for
    /// the host (RFC 8615, section 1), which is the partner's: a mount that is not of that folder gives none of it to main.
    pub fn owner(&self, path: &SitePath) -> (Owner, &SitePath) {
        let longest =
            self.0.iter().filter(|(mount, _)| path.is_within(mount)).max_by_key(|(mount, _)| mount.as_str().len());
        let (mount, owner) = longest.expect("`Mounts` always holds `/`, which contains every path");
        if path.is_within(&WELL_KNOWN) && !mount.is_within(&WELL_KNOWN) {
            return (Owner::Partner, &WELL_KNOWN);
        }
        (*owner, mount)
    }

    /// The first path that these and `others` both give to main; none where they share nothing.
    pub fn shared_with<'a>(&'a self, others: &'a Self) -> Option<&'a SitePath> {
        // Ownership changes at mounts, and at `/.well-known/` to the partner alone: what main has in both begins at a mount.
        let paths = self.0.iter().chain(&others.0).map(|(mount, _)| mount);
        paths.filter(|path| [self, others].iter().all(|mounts| mounts.owner(path).0 == Owner::Main)).min()
    }

    /// Every mount and its owner, in order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&SitePath, Owner)> {
        self.0.iter().map(|(path, owner)| (path, *owner))
    }
}

impl<'de> Deserialize<'de> for Mounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MountsVisitor)
    }
}

struct MountsVisitor;

impl<'de> Visitor<'de> for MountsVisitor {
    type Value = Mounts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("paths with their owners, such as {\"/\": main, \"/local/**\": partner}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mounts, A::Error> {
        let mut mounts: BTreeMap<SitePath, (String, Owner)> = BTreeMap::new();
        while let Some((written, owner)) = map.next_entry::<String, Owner>()? {
            let path = covered_path("mount", &written).map_err(A::Error::custom)?;
            if let Some((first, first_owner)) = mounts.get(&path) {
                return Err(A::Error::custom(format!(
                    "mounts overlap: `{first}` ({first_owner}) and `{written}` ({owner}) cover the same paths"
                )));
            }
            mounts.insert(path, (written, owner));
        }
        if !mounts.contains_key(&SitePath::root()) {
            return Err(A::Error::custom("mounts lack `/`: say who owns the paths that no other mount covers"));
        }
        Ok(Mounts(mounts.into_iter().map(|(path, (_, owner))| (path, owner)).collect()))
    }
}

/// The path that is covered with all below it by what is written: `/local/**`, `/local/` and `/local` are the same.
/// `what` it is, such as a mount, stands in what a person is told.
pub(super) fn covered_path(what: &str, written: &str) -> Result<SitePath, String> {
    let path = written.strip_suffix("**").unwrap_or(written);
    if path.contains('*') {
        return Err(format!("{what} `{written}`: `*` may stand only as a last `/**`"));
    }
    let path: SitePath = path.parse().map_err(|error| format!("{what}: {error}"))?;
    Ok(path.with_slash())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(text: &str) -> Result<Mounts, String> {
        serde_yaml::from_str(text).map_err(|e| e.to_string())
    }

    fn owner(mounts: &Mounts, path: &str) -> Owner {
        mounts.owner(&path.parse().unwrap()).0
    }

    #[test]
    fn the_longest_mount_wins() {
        let mounts = mounts("{\"/\": main, \"/local/**\": partner, \"/local/brand\": main}").unwrap();
        assert_eq!(owner(&mounts, "/"), Owner::Main);
        assert_eq!(owner(&mounts, "/locality/"), Owner::Main);
        assert_eq!(owner(&mounts, "/local/"), Owner::Partner);
        assert_eq!(owner(&mounts, "/local/map/"), Owner::Partner);
        assert_eq!(owner(&mounts, "/local/brand/x.svg"), Owner::Main);
    }

    #[test]
    fn what_speaks_for_the_host_is_the_partners_unless_a_mount_says_so() {
        let usual = mounts("{\"/\": main, \"/local/**\": partner}").unwrap();
        assert_eq!(owner(&usual, "/.well-known/security.txt"), Owner::Partner);
        assert_eq!(owner(&usual, "/.well-known"), Owner::Partner);
        assert_eq!(owner(&usual, "/.well-known-not/"), Owner::Main);
        let path = "/.well-known/security.txt".parse().unwrap();
        assert_eq!(usual.owner(&path).1.as_str(), "/.well-known/");
        let given = mounts("{\"/\": main, \"/.well-known/security.txt\": main}").unwrap();
        assert_eq!(owner(&given, "/.well-known/security.txt"), Owner::Main);
        assert_eq!(owner(&given, "/.well-known/change-password"), Owner::Partner);
    }

    #[test]
    fn what_two_contracts_give_to_main_is_found_at_a_mount_of_either() {
        let shared = |one: &str, other: &str| {
            let (one, other) = (mounts(one).unwrap(), mounts(other).unwrap());
            let path = one.shared_with(&other).map(ToString::to_string);
            assert_eq!(path, other.shared_with(&one).map(ToString::to_string));
            path
        };
        let north = r#"{"/": partner, "/north/**": main}"#;
        assert_eq!(shared(north, r#"{"/": partner, "/south/**": main}"#), None);
        assert_eq!(shared(north, r#"{"/": main}"#).as_deref(), Some("/north/"));
        assert_eq!(shared(north, r#"{"/": main, "/north/**": partner}"#), None);
        assert_eq!(shared(north, r#"{"/": partner, "/north/shop/**": main}"#).as_deref(), Some("/north/shop/"));
    }

    #[test]
    fn overlapping_mounts_are_refused_with_both_named() {
        let error = mounts("{\"/\": main, \"/local/**\": partner, \"/local/\": main}").unwrap_err();
        assert!(error.contains("`/local/**` (partner) and `/local/` (main)"), "{error}");
    }

    #[test]
    fn every_path_must_have_an_owner() {
        assert!(mounts("{\"/local/**\": partner}").unwrap_err().contains("mounts lack `/`"));
        assert!(mounts("{\"/\": main, \"/*/x\": partner}").unwrap_err().contains("`*` may stand only"));
    }
}
