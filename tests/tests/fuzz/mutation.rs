//! Changes to a message: those that find most in practice.

use fastrand::Rng;

/// The most changes to one input.
const CHANGES: usize = 6;

/// The longest piece that is copied, removed or repeated.
const PIECE: usize = 64;

/// The longest input.
const LONGEST: usize = 1 << 20;

/// Texts and numbers at the edges of what formats allow.
const EDGES: [&[u8]; 16] = [
    b"\0",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x80",
    b"18446744073709551615",
    b"-1",
    b"1e999",
    b"null",
    b"[[[[[[[[[[[[[[[[",
    b"{\"\":",
    b"\\u0000",
    b"\\ud800",
    b"/../",
    b"\xe2\x80\xae",
    b"&a *a",
];

/// One of `seeds`, changed in a few places.
pub(crate) fn mutated(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let seed = |rng: &mut Rng| rng.choice(seeds).map_or(&[][..], Vec::as_slice);
    let mut bytes = seed(rng).to_vec();
    for _ in 0..rng.usize(1..=CHANGES) {
        let other = seed(rng);
        change(&mut bytes, other, rng);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn change(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.usize(0..=bytes.len());
    let end = (at + rng.usize(1..=PIECE)).min(bytes.len());
    match rng.u8(0..9) {
        0 => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << rng.u8(0..8)),
        1 => bytes.get_mut(at).into_iter().for_each(|byte| *byte = rng.u8(..)),
        2 => bytes.get_mut(at).into_iter().for_each(|byte| *byte = byte.wrapping_add(rng.u8(0..3)).wrapping_sub(1)),
        3 => drop(bytes.drain(at..end)),
        4 => bytes.insert(at, rng.u8(..)),
        5 => {
            let piece = bytes[at..end].to_vec().repeat(rng.usize(1..=8));
            bytes.splice(at..at, piece);
        }
        6 => {
            let edge = rng.choice(EDGES).unwrap_or_default();
            bytes.splice(at..(at + rng.usize(0..=edge.len())).min(bytes.len()), edge.iter().copied());
        }
        7 => {
            let from = rng.usize(0..=other.len());
            let piece = &other[from..(from + rng.usize(1..=PIECE)).min(other.len())];
            bytes.splice(at..end, piece.iter().copied());
        }
        _ => bytes.truncate(at),
    }
}
