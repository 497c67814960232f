//! Maps read from where their entries are written in order, as ours are: without room in them that stays empty.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Reads a map, and fills it at once. Entry by entry in order would leave half of its nodes empty.
///
/// # Errors
/// Where no map of this kind is written.
pub fn map<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(Written(PhantomData))
}

/// Reads a map from where it is written.
struct Written<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for Written<K, V> {
    type Value = BTreeMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut written: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = written.next_entry()? {
            entries.push(entry);
        }
        Ok(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_the_one_that_is_written_in_whatever_order() {
        for text in ["{}", r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1,"b":3}"#, r#"{"a":"x"}"#, "[]"] {
            let read = map::<_, String, u8>(&mut serde_json::Deserializer::from_str(text));
            let usual = serde_json::from_str::<BTreeMap<String, u8>>(text);
            assert_eq!(read.ok(), usual.ok(), "{text}");
        }
    }
}
