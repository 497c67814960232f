//! Entries of a record that follow one another, as audit trails name them: so that what was noted and told is the same
//! ever after.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// Entries that follow one another. In text: `entries 3 to 7 of the record, blake3:...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// The digest of their lines, each with its end.
    pub digest: Digest,
}

/// A text names no entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no entries of a record are named")]
pub struct InvalidSpan;

impl Span {
    /// That of `lines`, the first of which has the number `first`; none of no lines.
    pub fn of<T: AsRef<str>>(first: u64, lines: &[T]) -> Option<Self> {
        let last = first + (lines.len() as u64).checked_sub(1)?;
        let text: String = lines.iter().flat_map(|line| [line.as_ref(), "\n"]).collect();
        Some(Self { first, last, digest: Digest::of(text.as_bytes()) })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entries {} to {} of the record, {}", self.first, self.last, self.digest)
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let read = || {
            let (numbers, digest) = text.strip_prefix("entries ")?.split_once(" of the record, ")?;
            let (first, last) = numbers.split_once(" to ")?;
            Some(Self { first: first.parse().ok()?, last: last.parse().ok()?, digest: digest.parse().ok()? })
        };
        read().filter(|span| span.first <= span.last).ok_or(InvalidSpan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trail_says_of_entries_is_read_back_and_holds_for_no_others() {
        let span = Span::of(3, &["a", "b"]).unwrap();
        assert_eq!((span.first, span.last), (3, 4));
        assert_eq!(span.to_string().parse(), Ok(span));
        assert_eq!(Span::of::<&str>(3, &[]), None);
        for other in [&["b", "a"][..], &["a"], &["ab", ""], &["a\nb", ""]] {
            assert_ne!(Span::of(3, other).map(|other| other.digest), Some(span.digest), "{other:?}");
        }
        let text = span.to_string();
        for hostile in ["", "entries 3 to 4", &text.replace("3 to 4", "4 to 3"), &text[..60], &text.replace('3', "-3")]
        {
            assert_eq!(hostile.parse::<Span>(), Err(InvalidSpan), "{hostile}");
        }
    }
}
