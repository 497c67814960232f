//! Fingerprints: what a thing looked like when it was last used, so that equal things need no work again.

use serde::{Deserialize, Serialize};

/// A fingerprint: the first 128 bits of a BLAKE3 digest. Equal fingerprints mean equal things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Print(u64, u64);

/// Makes the fingerprint of a thing from its parts; each part is told apart from the next.
#[derive(Debug)]
pub(crate) struct Printer(Vec<u8>);

impl Default for Printer {
    /// With room for what most things are made of.
    fn default() -> Self {
        Self(Vec::with_capacity(512))
    }
}

impl Print {
    /// The fingerprint of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let digest = blake3::hash(bytes);
        let half = |at: usize| {
            let mut half = [0; 8];
            half.copy_from_slice(&digest.as_bytes()[at..at + 8]);
            u64::from_le_bytes(half)
        };
        Self(half(0), half(8))
    }

    /// The fingerprint of several in order.
    pub(crate) fn all(prints: impl IntoIterator<Item = Self>) -> Self {
        let mut printer = Printer::default();
        for print in prints {
            printer.print(print);
        }
        printer.finish()
    }
}

impl Printer {
    /// Adds a number.
    pub(crate) fn number(&mut self, number: impl TryInto<u64>) -> &mut Self {
        self.0.extend_from_slice(&number.try_into().unwrap_or(u64::MAX).to_le_bytes());
        self
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.number(text.len());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// Adds a text that may not be there.
    pub(crate) fn option(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.number(1u8).text(text),
            None => self.number(0u8),
        }
    }

    /// Adds a fingerprint.
    pub(crate) fn print(&mut self, print: Print) -> &mut Self {
        self.0.extend_from_slice(&print.0.to_le_bytes());
        self.0.extend_from_slice(&print.1.to_le_bytes());
        self
    }

    /// Adds whatever serde can write as JSON, in the order in which it writes it.
    pub(crate) fn value(&mut self, value: &impl Serialize) -> &mut Self {
        let start = self.0.len();
        serde_json::to_writer(&mut self.0, value).expect("values of a site have text keys and write into memory");
        let length = self.0.len() - start;
        self.number(length)
    }

    /// The fingerprint of everything that was added.
    pub(crate) fn finish(&self) -> Print {
        Print::of(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart() {
        let of = |parts: &[&str]| {
            let mut printer = Printer::default();
            for part in parts {
                printer.text(part);
            }
            printer.finish()
        };
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        let option = |text| Printer::default().option(text).finish();
        assert_ne!(option(None), option(Some("")));
    }
}
