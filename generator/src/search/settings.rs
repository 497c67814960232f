//! What a site says of its search: the key `search` of `site.yaml`, and how it travels with a release.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use tieup_protocol::contract::PathGlob;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SourcePath;

use crate::offer::Currency;

/// The file of a framework that says that the main site has a search.
const FILE: &str = "search.json";

/// A site's search.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Pages that are not to be found.
    #[serde(default)]
    leave_out: Vec<PathGlob>,
    /// The currency of prices that name none: a key of the site, not of its search.
    #[serde(skip)]
    pub(super) currency: Option<Currency>,
}

/// As a release carries it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Carried {
    leave_out: Vec<PathGlob>,
    currency: Option<String>,
}

impl Search {
    /// Whether the page belongs into the index. Pages made from others alone do not.
    pub(super) fn wants(&self, entry: &IndexedPage) -> bool {
        !entry.is_derived && !self.leave_out.iter().any(|glob| glob.matches(&entry.path))
    }

    /// The same for a site whose prices are in `currency` where they name none.
    pub(crate) fn priced(self, currency: Option<&Currency>) -> Self {
        Self { currency: currency.cloned(), ..self }
    }

    /// What both sites leave out, where either has a search. The release's currency comes first: most products are
    /// main's.
    pub(crate) fn joined(own: Option<&Self>, inherited: Option<&Self>) -> Option<Self> {
        let both: Vec<&Self> = inherited.into_iter().chain(own).collect();
        let leave_out = both.iter().flat_map(|search| search.leave_out.clone()).collect();
        let currency = both.iter().find_map(|search| search.currency.clone());
        (!both.is_empty()).then_some(Self { leave_out, currency })
    }

    /// The file by which a release carries it.
    pub(crate) fn to_file(&self) -> (SourcePath, Vec<u8>) {
        let globs: Vec<String> = self.leave_out.iter().map(ToString::to_string).collect();
        let text = serde_json::json!({ "leave_out": globs, "currency": self.currency.as_ref().map(Currency::code) })
            .to_string();
        (FILE.parse().expect("a constant path that a test holds"), text.into_bytes())
    }

    /// What the files of a release say; one that says what this version does not know has a search all the same.
    pub(crate) fn from_files(files: &BTreeMap<SourcePath, Vec<u8>>) -> Option<Self> {
        let file = files.iter().find(|(path, _)| path.as_str() == FILE);
        file.map(|(_, bytes)| {
            let Carried { leave_out, currency } = serde_json::from_slice(bytes).unwrap_or_default();
            Self { leave_out, currency: currency.as_deref().and_then(Currency::parse) }
        })
    }
}

struct SearchVisitor;

impl<'de> Visitor<'de> for SearchVisitor {
    type Value = Option<Search>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or what is not to be found, such as {leave_out: [\"/legal/**\"]}")
    }

    fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<Self::Value, E> {
        Ok(on.then(Search::default))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Search::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }
}

/// Reads the key `search` of `site.yaml`.
pub(crate) fn search<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Search>, D::Error> {
    deserializer.deserialize_any(SearchVisitor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_carries_the_search() {
        let search: Search = serde_json::from_str("{\"leave_out\": [\"/legal/**\"]}").unwrap();
        let search = search.priced(Currency::parse("JPY").as_ref());
        let files = BTreeMap::from([search.to_file()]);
        assert_eq!(Search::from_files(&files), Some(search.clone()));
        assert_eq!(Search::from_files(&BTreeMap::new()), None);
        assert_eq!(Search::joined(None, Some(&search)), Some(search.clone()));
        assert_eq!(Search::joined(None, None), None);
    }
}
