//! The paths under which a log's tiles and entry bundles are served: c2sp.org/tlog-tiles, "Merkle Tree".

use std::fmt;
use std::str::FromStr;

/// The highest level that a path may name.
const MAX_LEVEL: u8 = 63;

/// How many hashes a tile, or entries a bundle, has: 1 to 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileWidth(u16);

/// A tile or an entry bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TilePath {
    /// `tile/<L>/<N>[.p/<W>]`: hashes.
    Hashes {
        /// The level: 0 holds the entries' hashes.
        level: u8,
        /// The tile's place in its level.
        index: u64,
        /// How many hashes.
        width: TileWidth,
    },
    /// `tile/entries/<N>[.p/<W>]`: entries.
    Entries {
        /// The bundle's place.
        index: u64,
        /// How many entries.
        width: TileWidth,
    },
}

/// A text that is not the path of a tile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the path of a tile")]
pub struct InvalidTilePath(String);

impl TileWidth {
    /// A full tile.
    pub const FULL: Self = Self(256);

    /// A width from 1 to 256, or `None`.
    pub fn new(width: u64) -> Option<Self> {
        u16::try_from(width).ok().filter(|width| (1..=Self::FULL.0).contains(width)).map(Self)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0.into()
    }
}

impl TilePath {
    /// How many hashes or entries it holds.
    pub fn width(self) -> TileWidth {
        match self {
            Self::Hashes { width, .. } | Self::Entries { width, .. } => width,
        }
    }

    /// The number of the first hash of its level, or of the first entry, that it holds.
    pub fn first(self) -> u64 {
        match self {
            Self::Hashes { index, .. } | Self::Entries { index, .. } => index.saturating_mul(TileWidth::FULL.get()),
        }
    }

    /// The entry bundles that hold the entries `from..to`, in order.
    ///
    /// The last is as wide as a log of `to` entries makes it.
    pub fn bundles(from: u64, to: u64) -> impl Iterator<Item = Self> {
        let full = TileWidth::FULL.get();
        (from / full..to.div_ceil(full)).filter(move |_| from < to).filter_map(move |index| {
            TileWidth::new((to - index * full).min(full)).map(|width| Self::Entries { index, width })
        })
    }
}

impl TilePath {
    /// The tiles and entry bundles that a log of `to` entries has, and that one of `from` entries, fewer, had not: entries
    /// first, then the levels from the lowest on.
    ///
    /// Those at the end of a level are as wide as a log of `to` entries makes them.
    pub fn grown(from: u64, to: u64) -> impl Iterator<Item = Self> {
        Self::bundles(from, to).chain((0..=MAX_LEVEL).flat_map(move |level| Self::level_grown(level, from, to)))
    }

    /// The same of one level of hashes.
    fn level_grown(level: u8, from: u64, to: u64) -> impl Iterator<Item = Self> {
        let (full, shift) = (TileWidth::FULL.get(), u32::from(level) * 8);
        let hashes = |entries: u64| entries.checked_shr(shift).unwrap_or(0);
        let (from, to) = (hashes(from), hashes(to));
        (from / full..to.div_ceil(full)).filter(move |_| from < to).filter_map(move |index| {
            TileWidth::new((to - index * full).min(full)).map(|width| Self::Hashes { level, index, width })
        })
    }
}

impl FromStr for TilePath {
    type Err = InvalidTilePath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text)
            .ok_or_else(|| InvalidTilePath(text.chars().take(100).collect::<String>().escape_debug().to_string()))
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match self {
            Self::Hashes { level, index, width } => {
                write!(f, "tile/{level}")?;
                (*index, *width)
            }
            Self::Entries { index, width } => {
                f.write_str("tile/entries")?;
                (*index, *width)
            }
        };
        write_index(f, index)?;
        if width == TileWidth::FULL { Ok(()) } else { write!(f, ".p/{}", width.0) }
    }
}

/// Groups of three digits; all but the last begin with `x`.
fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    let digits = index.to_string();
    let groups = digits.len().div_ceil(3);
    let padded = format!("{index:0width$}", width = groups * 3);
    for group in 0..groups {
        let mark = if group + 1 < groups { "x" } else { "" };
        write!(f, "/{mark}{}", &padded[group * 3..group * 3 + 3])?;
    }
    Ok(())
}

fn parse(text: &str) -> Option<TilePath> {
    let (kind, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, parse_number(width).filter(|width| *width < TileWidth::FULL.get())?),
        None => (rest, TileWidth::FULL.get()),
    };
    let index = parse_index(index)?;
    let width = TileWidth::new(width)?;
    if kind == "entries" {
        return Some(TilePath::Entries { index, width });
    }
    let level = u8::try_from(parse_number(kind)?).ok().filter(|level| *level <= MAX_LEVEL)?;
    Some(TilePath::Hashes { level, index, width })
}

/// A decimal number in its one spelling.
fn parse_number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

fn parse_index(text: &str) -> Option<u64> {
    let (first, last) = match text.rsplit_once('/') {
        Some((first, last)) => (Some(first), last),
        None => (None, text),
    };
    let marked = first.into_iter().flat_map(|first| first.split('/')).map(|group| group.strip_prefix('x'));
    let mut index = 0_u64;
    for (place, group) in marked.chain([Some(last)]).enumerate() {
        let group = group.filter(|group| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit()))?;
        let value: u64 = group.parse().ok()?;
        // A first group of zeros before another would be a second spelling of the same index.
        if place == 0 && value == 0 && first.is_some() {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(value)?;
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hashes(level: u8, index: u64, width: u64) -> TilePath {
        TilePath::Hashes { level, index, width: TileWidth::new(width).unwrap() }
    }

    fn entries(index: u64, width: u64) -> TilePath {
        TilePath::Entries { index, width: TileWidth::new(width).unwrap() }
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        let table = [
            ("tile/0/000", hashes(0, 0, 256)),
            ("tile/0/x001/x234/067", hashes(0, 1_234_067, 256)),
            ("tile/0/x001/x234/067.p/1", hashes(0, 1_234_067, 1)),
            ("tile/63/999.p/255", hashes(63, 999, 255)),
            ("tile/1/x001/000", hashes(1, 1000, 256)),
            ("tile/entries/x018/x446/x744/x073/x709/x551/615", entries(u64::MAX, 256)),
            ("tile/entries/273.p/112", entries(273, 112)),
        ];
        for (text, path) in table {
            assert_eq!(text.parse(), Ok(path), "{text}");
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let bad = [
            "",
            "/",
            "tile",
            "tile/",
            "tile/0",
            "tile/0/",
            "/tile/0/000",
            "tile//000",
            "tile/0/000/",
            "tile/0//000",
            "tile/00/000",
            "tile/01/000",
            "tile/64/000",
            "tile/256/000",
            "tile/-1/000",
            "tile/+1/000",
            "tile/x/000",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/x000",
            "tile/0/x000/000",
            "tile/0/001/000",
            "tile/0/x001",
            "tile/0/x001/x000",
            "tile/0/X001/000",
            "tile/0/xx001/000",
            "tile/0/x01/000",
            "tile/0/+00",
            "tile/0/ 00",
            "tile/0/000.p",
            "tile/0/000.p/",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/+1",
            "tile/0/000.p/1/",
            "tile/0/000.p/1.p/1",
            "tile/0/000.p/99999999999999999999",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/data/000",
            "tile/8/0/000",
            "tile/Entries/000",
            "tile/entries",
            "tile/entries/",
            "tile/entries/0",
            "tile/0/000?x",
            "tile/0/000\n",
            "tile/0/٠٠٠",
            "tile/٠/000",
            "tile/0/../000",
            "tile/0/%30%30%30",
        ];
        for text in bad {
            assert!(text.parse::<TilePath>().is_err(), "{text}");
        }
        assert!("x/".repeat(1 << 20).parse::<TilePath>().unwrap_err().to_string().len() < 300);
    }

    #[test]
    fn bundles_cover_a_range() {
        let listed = |from, to| TilePath::bundles(from, to).map(|path| path.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(0, 0), Vec::<String>::new());
        assert_eq!(listed(300, 300), Vec::<String>::new());
        assert_eq!(listed(0, 256), ["tile/entries/000"]);
        assert_eq!(listed(255, 600), ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"]);
        assert_eq!(listed(256, 257), ["tile/entries/001.p/1"]);
    }

    #[test]
    fn what_a_log_gains_is_listed_level_by_level() {
        let listed = |from, to| TilePath::grown(from, to).map(|path| path.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(0, 0), Vec::<String>::new());
        assert_eq!(listed(9, 9), Vec::<String>::new());
        assert_eq!(listed(0, 3), ["tile/entries/000.p/3", "tile/0/000.p/3"]);
        assert_eq!(
            listed(3, 257),
            ["tile/entries/000", "tile/entries/001.p/1", "tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]
        );
        assert_eq!(listed(257, 258), ["tile/entries/001.p/2", "tile/0/001.p/2"]);
        let many: Vec<String> = listed(65_535, 65_536);
        assert_eq!(many, ["tile/entries/255", "tile/0/255", "tile/1/000", "tile/2/000.p/1"]);
    }

    proptest! {
        #[test]
        fn a_log_that_grows_in_steps_has_every_tile(sizes in proptest::collection::vec(0..200_000_u64, 1..6)) {
            let mut sizes = sizes;
            sizes.sort_unstable();
            let (mut from, mut had) = (0, std::collections::BTreeSet::new());
            for to in &sizes {
                had.extend(TilePath::grown(from, *to).map(|path| path.to_string()));
                from = *to;
            }
            for path in TilePath::grown(0, from) {
                prop_assert!(had.contains(&path.to_string()), "{path} of {sizes:?}");
            }
        }

        #[test]
        fn a_path_survives_its_text(level in 0..=MAX_LEVEL, index in any::<u64>(), width in 1..=256_u64) {
            for path in [hashes(level, index, width), entries(index, width)] {
                prop_assert_eq!(path.to_string().parse(), Ok(path));
            }
        }

        #[test]
        fn a_path_has_one_spelling(text in "tile/(entries|[0-9]{1,3})(/x?[0-9]{2,4}){1,4}(\\.p/[0-9]{1,3})?") {
            if let Ok(path) = text.parse::<TilePath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
