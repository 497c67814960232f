//! BLAKE3 digests: the name of every blob, manifest and contract.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The prefix of a digest in text, so that another algorithm can be told apart later.
const PREFIX: &str = "blake3:";

/// How many bytes a digest has in text.
const TEXT: usize = PREFIX.len() + 64;

/// A 256-bit BLAKE3 digest. In text: `blake3:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is not a [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest: expected `blake3:` and 64 lower-case hexadecimal digits")]
pub struct InvalidDigest(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest whose 32 bytes are known, such as the end of an incremental hash.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits alone, as file names and entity tags use them.
    pub fn hex(&self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// Gives `with` the digest in text. A manifest has one for each of its files, so none of them takes memory of its own.
    fn in_text<T>(&self, with: impl FnOnce(&str) -> T) -> T {
        let mut text = [0; TEXT];
        let (prefix, hex) = text.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX.as_bytes());
        hex.copy_from_slice(blake3::Hash::from_bytes(self.0).to_hex().as_bytes());
        with(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// What each hexadecimal digit stands for, and [`NO_DIGIT`] for every other byte.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

/// Stands in [`DIGITS`] for what is no digit. No digit has these bits.
const NO_DIGIT: u8 = 0x80;

/// The 32 bytes that 64 hexadecimal digits stand for.
fn unhex(hex: &[u8]) -> Option<[u8; 32]> {
    let (pairs, []) = hex.as_chunks::<2>() else { return None };
    let pairs: &[[u8; 2]; 32] = pairs.try_into().ok()?;
    let mut seen = 0;
    let bytes = pairs.map(|[high, low]| {
        let (high, low) = (DIGITS[usize::from(high)], DIGITS[usize::from(low)]);
        seen |= high | low;
        (high << 4) | low
    });
    (seen & NO_DIGIT == 0).then_some(bytes)
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.strip_prefix(PREFIX).and_then(|hex| unhex(hex.as_bytes()));
        bytes.map(Self).ok_or_else(|| InvalidDigest(text.to_owned()))
    }
}

/// Reads a digest from where a text is written.
struct Written;

impl Visitor<'_> for Written {
    type Value = Digest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Digest, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.in_text(|text| serializer.serialize_str(text))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_text(|text| f.write_str(text))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_agree() {
        let digest = Digest::of(b"tie-up");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(format!("blake3:{}", digest.hex()), digest.to_string());
    }

    #[test]
    fn other_spellings_are_refused() {
        let text = Digest::of(b"x").to_string();
        let (upper, other) = (text.to_uppercase().replace("BLAKE3", "blake3"), text.replace("blake3", "sha256"));
        let (short, long, foreign) = (text[..70].to_owned(), format!("{text}0"), format!("{}g", &text[..70]));
        for bad in [text.to_uppercase(), upper, other, short, long, foreign, format!("{}é", &text[..69]), String::new()]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
            assert!(serde_json::from_value::<Digest>(bad.into()).is_err());
        }
    }

    #[test]
    fn every_digit_is_read_as_it_is_written() {
        for byte in 0..=u8::MAX {
            let digest = Digest::from_bytes([byte; 32]);
            let text = format!("{PREFIX}{}", format!("{byte:02x}").repeat(32));
            assert_eq!((digest.to_string(), text.parse()), (text.clone(), Ok(digest)));
            let json = serde_json::to_string(&digest).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        }
    }
}
