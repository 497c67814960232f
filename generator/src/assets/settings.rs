//! `images` of `site.yaml`: how wide the files are that show a picture, and how good.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The widths that a variant can have, in pixels; WebP ends at 16,383.
const WIDTHS: std::ops::RangeInclusive<u32> = 16..=8_000;

/// Which narrower files are made of a site's pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Images {
    /// How wide they are, in pixels, rising; none are made where this is empty.
    pub(crate) widths: Vec<u32>,
    /// From 1 to 100.
    pub(crate) quality: u8,
}

impl Default for Images {
    fn default() -> Self {
        Self { widths: vec![480, 960, 1440], quality: 80 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    widths: Vec<u32>,
    quality: u8,
}

impl Default for Document {
    fn default() -> Self {
        let Images { widths, quality } = Images::default();
        Self { widths, quality }
    }
}

struct ImagesVisitor;

impl<'de> Visitor<'de> for ImagesVisitor {
    type Value = Images;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("none, or images such as {widths: [480, 960, 1440], quality: 80}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Images, E> {
        match text {
            "none" => Ok(Images { widths: Vec::new(), ..Images::default() }),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Images, A::Error> {
        let Document { mut widths, quality } = Document::deserialize(MapAccessDeserializer::new(map))?;
        if let Some(wrong) = widths.iter().find(|width| !WIDTHS.contains(width)) {
            let (least, most) = (WIDTHS.start(), WIDTHS.end());
            return Err(A::Error::custom(format!("`{wrong}` is no width: it is from {least} to {most} pixels")));
        }
        if !(1..=100).contains(&quality) {
            return Err(A::Error::custom(format!("`{quality}` is no quality: it is from 1 to 100")));
        }
        widths.sort_unstable();
        widths.dedup();
        Ok(Images { widths, quality })
    }
}

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ImagesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_none_or_have_widths_and_a_quality() {
        let parse =
            |text: &str| tieup_protocol::yaml::parse::<Images>("site.yaml", text).map_err(|problem| problem.message);
        assert_eq!(parse("none").unwrap().widths, [0; 0]);
        assert_eq!(parse("{widths: [800, 400, 800]}").unwrap(), Images { widths: vec![400, 800], quality: 80 });
        assert_eq!(parse("{quality: 60}").unwrap(), Images { quality: 60, ..Images::default() });
        for (bad, told) in [
            ("{widths: [0]}", "`0` is no width"),
            ("{quality: 0}", "`0` is no quality"),
            ("{width: [480]}", "width"),
            ("some", "images such as"),
        ] {
            let message = parse(bad).unwrap_err();
            assert!(message.contains(told), "{bad}: {message}");
        }
    }
}
