//! Patches: one version of a file told as what is taken from another and what is new.
//!
//! A patch is a list of steps over a cursor into the base. Steps that are alike in many files (a line that a new layout
//! puts into every page) have the same bytes in each, so that patches of many files compress to little together. A
//! patch says nothing of what it is good for: whoever applies one checks the digest of what comes out.

/// How many bytes of a file are looked up at once to find where they stand in the base.
const SEED: usize = 16;

/// The largest base in which moved parts are looked for. In a larger one only what is equal at both ends is found.
const MAX_INDEXED: usize = 64 << 20;

/// How many bits of a number say which step it belongs to.
const KIND_BITS: u32 = 2;

/// Takes bytes of the base from the cursor on and moves the cursor behind them; 0 bytes mean all to the end.
const COPY: u64 = 0;
/// Takes bytes that follow in the patch.
const INSERT: u64 = 1;
/// Moves the cursor forward.
const FORWARD: u64 = 2;
/// Moves the cursor back.
const BACK: u64 = 3;

/// Why a patch cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPatch {
    /// The patch ends within a step.
    #[error("the patch is cut off")]
    Cut,
    /// A number is larger than any file.
    #[error("the patch holds a number that is too large")]
    Number,
    /// A step leads outside the base.
    #[error("the patch takes bytes from outside its base")]
    Outside,
    /// The result would be larger than was said.
    #[error("the patch makes more than {0} bytes")]
    TooLong(u64),
}

/// The patch that makes `new` from `base`.
pub fn between(base: &[u8], new: &[u8]) -> Vec<u8> {
    let start = equal_at_start(base, new);
    let end = equal_at_end(&base[start..], &new[start..]);
    let mut writer = Writer { base, patch: Vec::new(), cursor: 0 };
    writer.copy(0, start);
    writer.middle(&new[start..new.len() - end]);
    writer.copy(base.len() - end, end);
    writer.patch
}

/// What `patch` makes from `base`, which is at most `limit` bytes.
///
/// # Errors
/// See [`InvalidPatch`].
pub fn apply(base: &[u8], patch: &[u8], limit: u64) -> Result<Vec<u8>, InvalidPatch> {
    let mut rest = patch;
    let mut cursor = 0_usize;
    let mut made = Vec::new();
    while !rest.is_empty() {
        let step = number(&mut rest)?;
        let length = usize::try_from(step >> KIND_BITS).map_err(|_| InvalidPatch::Number)?;
        match step & ((1 << KIND_BITS) - 1) {
            COPY => {
                let from = base.get(cursor..).ok_or(InvalidPatch::Outside)?;
                let taken = if length == 0 { from } else { from.get(..length).ok_or(InvalidPatch::Outside)? };
                add(&mut made, taken, limit)?;
                cursor += taken.len();
            }
            INSERT => {
                let (inserted, after) = rest.split_at_checked(length).ok_or(InvalidPatch::Cut)?;
                add(&mut made, inserted, limit)?;
                rest = after;
            }
            FORWARD => cursor = cursor.checked_add(length).ok_or(InvalidPatch::Outside)?,
            _ => cursor = cursor.checked_sub(length).ok_or(InvalidPatch::Outside)?,
        }
    }
    Ok(made)
}

fn add(made: &mut Vec<u8>, bytes: &[u8], limit: u64) -> Result<(), InvalidPatch> {
    if (made.len() + bytes.len()) as u64 > limit {
        return Err(InvalidPatch::TooLong(limit));
    }
    made.extend_from_slice(bytes);
    Ok(())
}

/// Reads a number in groups of seven bits, the lowest first.
fn number(rest: &mut &[u8]) -> Result<u64, InvalidPatch> {
    let mut value = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(InvalidPatch::Cut)?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Err(InvalidPatch::Number);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(InvalidPatch::Number)
}

/// A patch that is being written.
struct Writer<'a> {
    base: &'a [u8],
    patch: Vec<u8>,
    cursor: usize,
}

impl Writer<'_> {
    /// Adds `new`, of which parts may stand anywhere in the base.
    fn middle(&mut self, new: &[u8]) {
        let index = Seeds::of(if new.len() < SEED { &[] } else { self.base });
        let mut pending = 0;
        let mut at = 0;
        while let Some(seed) = new.get(at..at + SEED) {
            let Some(found) = index.find(seed) else {
                at += 1;
                continue;
            };
            let before = equal_at_end(&self.base[..found], &new[pending..at]);
            let length = before + SEED + equal_at_start(&self.base[found + SEED..], &new[at + SEED..]);
            self.insert(&new[pending..at - before]);
            self.copy(found - before, length);
            at = at - before + length;
            pending = at;
        }
        self.insert(&new[pending..]);
    }

    fn copy(&mut self, from: usize, length: usize) {
        if length == 0 {
            return;
        }
        if from >= self.cursor {
            self.step(FORWARD, from - self.cursor);
        } else {
            self.step(BACK, self.cursor - from);
        }
        let is_rest = from + length == self.base.len();
        self.number(if is_rest { COPY } else { (length as u64) << KIND_BITS | COPY });
        self.cursor = from + length;
    }

    fn insert(&mut self, bytes: &[u8]) {
        self.step(INSERT, bytes.len());
        self.patch.extend_from_slice(bytes);
    }

    /// A step with its length; nothing where that is 0.
    fn step(&mut self, kind: u64, length: usize) {
        if length > 0 {
            self.number((length as u64) << KIND_BITS | kind);
        }
    }

    fn number(&mut self, mut value: u64) {
        loop {
            let low = value.to_le_bytes()[0] & 0x7f;
            value >>= 7;
            if value == 0 {
                return self.patch.push(low);
            }
            self.patch.push(low | 0x80);
        }
    }
}

/// Where each piece of [`SEED`] bytes of a base stands; of equal pieces the first.
struct Seeds<'a> {
    base: &'a [u8],
    /// By hash: the place of a piece and 1, or 0.
    table: Vec<u32>,
}

impl<'a> Seeds<'a> {
    fn of(base: &'a [u8]) -> Self {
        let pieces = if base.len() > MAX_INDEXED { 0 } else { base.len() / SEED };
        let mut table = vec![0; (pieces * 2).next_power_of_two()];
        for piece in (0..pieces).rev() {
            let place = piece * SEED;
            let slot = slot(&base[place..place + SEED], table.len());
            table[slot] = u32::try_from(place + 1).unwrap_or(0);
        }
        Self { base, table }
    }

    fn find(&self, seed: &[u8]) -> Option<usize> {
        let place = *self.table.get(slot(seed, self.table.len()))? as usize;
        let place = place.checked_sub(1)?;
        (self.base.get(place..place + SEED) == Some(seed)).then_some(place)
    }
}

/// The place of a piece in a table, whose size is a power of two.
fn slot(piece: &[u8], size: usize) -> usize {
    let half = |at: usize| piece[at..at + 8].iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let mixed = (half(0) ^ half(8).rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize & (size - 1)
}

/// How many bytes are equal from the start on.
pub(crate) fn equal_at_start(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 32;
    let whole = a.chunks_exact(STEP).zip(b.chunks_exact(STEP)).take_while(|(a, b)| a == b).count() * STEP;
    whole + a[whole..].iter().zip(&b[whole..]).take_while(|(a, b)| a == b).count()
}

/// How many bytes are equal before the end.
pub(crate) fn equal_at_end(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 32;
    let whole = a.rchunks_exact(STEP).zip(b.rchunks_exact(STEP)).take_while(|(a, b)| a == b).count() * STEP;
    let (a, b) = (&a[..a.len() - whole], &b[..b.len() - whole]);
    whole + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str =
        "<html><head><title>Kettle</title></head><body><h1>Kettle</h1><p>Boils a litre.</p></body></html>";

    fn there_and_back(base: &[u8], new: &[u8]) -> usize {
        let patch = between(base, new);
        assert_eq!(apply(base, &patch, new.len() as u64).unwrap(), new);
        patch.len()
    }

    #[test]
    fn a_small_edit_is_a_small_patch() {
        assert!(there_and_back(PAGE.as_bytes(), PAGE.replace("a litre", "two litres").as_bytes()) < 20);
        let both_ends = PAGE.replace("<head>", "<head><meta>").replace("</body>", "<hr></body>");
        assert!(there_and_back(PAGE.as_bytes(), both_ends.as_bytes()) < 30);
        assert!(there_and_back(PAGE.as_bytes(), PAGE.as_bytes()) <= 1);
        there_and_back(b"", PAGE.as_bytes());
        there_and_back(PAGE.as_bytes(), b"");
    }

    #[test]
    fn the_same_line_in_every_page_has_the_same_bytes_but_for_where_it_stands() {
        let patch = |title: &str| {
            let base = PAGE.replace("Kettle", title);
            between(base.as_bytes(), base.replace("</head>", "<link rel=icon></head>").as_bytes())
        };
        let (a, b) = (patch("Kettle"), patch("Toaster"));
        assert_eq!(a.len(), b.len());
        assert_eq!(a.iter().zip(&b).filter(|(a, b)| a != b).count(), 1);
    }

    #[test]
    fn a_part_that_moved_is_copied() {
        let (one, two) = ("a sentence of some length. ".repeat(4), "quite another one, as long. ".repeat(4));
        assert!(there_and_back(format!("{one}{two}").as_bytes(), format!("{two}{one}").as_bytes()) < 20);
    }

    #[test]
    fn wrong_patches_are_refused() {
        let refused = |patch: &[u8]| apply(b"0123456789", patch, 12).unwrap_err();
        assert_eq!(refused(&[0x80]), InvalidPatch::Cut);
        assert_eq!(refused(&[2 << 2 | 1, b'x']), InvalidPatch::Cut);
        assert_eq!(refused(&[11 << 2]), InvalidPatch::Outside);
        assert_eq!(refused(&[11 << 2 | 2, 0]), InvalidPatch::Outside);
        assert_eq!(refused(&[1 << 2 | 3]), InvalidPatch::Outside);
        assert_eq!(refused(&[0, 10 << 2 | 3, 0]), InvalidPatch::TooLong(12));
        assert_eq!(refused(&[0xff; 12]), InvalidPatch::Number);
    }

    proptest! {
        #[test]
        fn any_two_files(base in vec(0_u8..4, 0..200), new in vec(0_u8..4, 0..200)) {
            there_and_back(&base, &new);
        }

        #[test]
        fn any_edit(mut new in vec(any::<u8>(), 64..600), cuts in vec((0_usize..600, 0_usize..40, vec(any::<u8>(), 0..9)), 0..4)) {
            let base = new.clone();
            for (at, length, with) in cuts {
                let at = at.min(new.len());
                let end = (at + length).min(new.len());
                new.splice(at..end, with);
            }
            there_and_back(&base, &new);
        }

        #[test]
        fn any_patch_is_applied_or_refused(base in vec(any::<u8>(), 0..50), patch in vec(any::<u8>(), 0..50)) {
            if let Ok(made) = apply(&base, &patch, 1000) {
                prop_assert!(made.len() <= 1000);
            }
        }
    }
}
