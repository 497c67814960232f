//! How long a text is, in words and in minutes of reading.

use serde::{Deserialize, Serialize};

/// How long a text is. Scripts without spaces between words are counted by characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Length {
    words: usize,
    ideographs: usize,
}

impl Length {
    /// Counts `words` too.
    pub(super) fn add(&mut self, words: &str) {
        if words.is_ascii() {
            return self.add_ascii(words.as_bytes());
        }
        let mut inside = false;
        for c in words.chars() {
            if is_ideograph(c) {
                self.ideographs += 1;
                inside = false;
            } else if c.is_alphanumeric() {
                self.words += usize::from(!inside);
                inside = true;
            } else if c.is_whitespace() {
                inside = false;
            }
        }
    }

    fn add_ascii(&mut self, words: &[u8]) {
        let mut inside = 0;
        for byte in words {
            let class = CLASSES[usize::from(*byte)];
            let letter = class >> 1;
            self.words += usize::from(letter & (inside ^ 1));
            inside = letter | (inside & (class ^ SPACE));
        }
    }

    /// Words, each ideograph counted as one.
    pub(crate) fn words(self) -> usize {
        self.words + self.ideographs
    }

    /// Minutes of reading, at 220 words or 500 ideographs a minute; at least 1.
    pub(crate) fn minutes(self) -> usize {
        (self.words * 500 + self.ideographs * 220).div_ceil(220 * 500).max(1)
    }
}

const LETTER: u8 = 2;
const SPACE: u8 = 1;

/// What each ASCII byte is to the counting of words, as bits, so that counting needs no branches.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b if b.is_ascii_alphanumeric() => LETTER,
            b if b.is_ascii_whitespace() => SPACE,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Whether `c` is of a script that is written without spaces: kana and Han.
fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_in_both_kinds_of_script() {
        let mut length = Length::default();
        for part in ["It's a ", "well-made", " cup, 12 cm.", "使いやすい器 abc"] {
            length.add(part);
        }
        assert_eq!((length.words(), length.minutes()), (7 + 6, 1));
        assert_eq!(Length { words: 440, ideographs: 501 }.minutes(), 4);
    }
}
