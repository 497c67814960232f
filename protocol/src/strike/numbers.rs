//! Which entries of a log are meant: their numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most ranges of numbers of a strike.
pub const MAX_RANGES: usize = 1_000;

/// The most entries of a strike.
pub const MAX_ENTRIES: u64 = 1_000_000;

/// Numbers of entries, counted from 0, each once: `3,7-9`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Numbers {
    /// First and last, in their order, with a gap between each and the next.
    ranges: Vec<(u64, u64)>,
}

/// Why a text has no numbers of entries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumbers {
    /// It is written otherwise.
    #[error("`{0}` names no entries: write their numbers like 3,7-9, rising and none twice")]
    Spelling(String),
    /// There are too many.
    #[error("one strike names at most {MAX_ENTRIES} entries in {MAX_RANGES} ranges: make several of it")]
    TooMany,
}

impl Numbers {
    /// The last number.
    pub fn last(&self) -> u64 {
        self.ranges.last().map_or(0, |(_, last)| *last)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }
}

impl FromStr for Numbers {
    type Err = InvalidNumbers;

    fn from_str(text: &str) -> Result<Self, InvalidNumbers> {
        let invalid = || InvalidNumbers::Spelling(text.chars().take(80).collect());
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (number(first).ok_or_else(invalid)?, number(last).ok_or_else(invalid)?);
            let follows = ranges.last().is_none_or(|(_, before)| *before < first);
            if !follows || last < first {
                return Err(invalid());
            }
            match ranges.last_mut() {
                Some((_, before)) if *before + 1 == first => *before = last,
                _ => ranges.push((first, last)),
            }
            if ranges.len() > MAX_RANGES || ranges.iter().any(|(first, last)| last - first >= MAX_ENTRIES) {
                return Err(InvalidNumbers::TooMany);
            }
        }
        let numbers = Self { ranges };
        if numbers.count() > MAX_ENTRIES { Err(InvalidNumbers::TooMany) } else { Ok(numbers) }
    }
}

fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    // One more than any must still be a number.
    text.parse().ok().filter(|number| is_plain && *number < u64::MAX)
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

impl TryFrom<String> for Numbers {
    type Error = InvalidNumbers;

    fn try_from(text: String) -> Result<Self, InvalidNumbers> {
        text.parse()
    }
}

impl From<Numbers> for String {
    fn from(numbers: Numbers) -> Self {
        numbers.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_their_order_and_none_twice() {
        let numbers: Numbers = "3,7-9,10,12".parse().unwrap();
        assert_eq!((numbers.to_string().as_str(), numbers.count(), numbers.last()), ("3,7-10,12", 6, 12));
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [3, 7, 8, 9, 10, 12]);
        for bad in ["", "3,", "9-7", "7,3", "3,3", "3-5,5", "-3", "+3", " 3", "3;4", "18446744073709551615"] {
            assert!(matches!(bad.parse::<Numbers>(), Err(InvalidNumbers::Spelling(_))), "{bad}");
        }
        let ranges = (0..=MAX_RANGES).map(|n| (n * 2).to_string()).collect::<Vec<_>>().join(",");
        for many in [ranges.as_str(), "0-1000000", "0-18446744073709551614", "0-700000,800000-1200000"] {
            assert_eq!(many.parse::<Numbers>(), Err(InvalidNumbers::TooMany));
        }
    }
}
