//! Slots: the named holes in a page. Finds them in what templates made, and fills them.
//!
//! While a template runs, the `slot` filter wraps what stands in a slot in control characters. No content can hold
//! them: text files with them are refused, values are scrubbed, and escaping drops them.

use std::collections::BTreeMap;

use memchr::{memchr, memchr3};
use tieup_protocol::manifest::SlotRange;

const OPEN: u8 = 1;
const NAMED: u8 = 2;
const CLOSE: u8 = 3;

/// The page `bytes` with each slot that `fills` names holding its fill instead of the default.
///
/// A range outside the page is left alone, so that no manifest can make this panic.
pub fn fill_slots(bytes: &[u8], slots: &[SlotRange], fills: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    fill_and_find(bytes, slots, fills).0
}

/// The same, and where the slots are then.
pub(crate) fn fill_and_find(
    bytes: &[u8],
    slots: &[SlotRange],
    fills: &BTreeMap<String, Vec<u8>>,
) -> (Vec<u8>, Vec<SlotRange>) {
    let mut filled = Vec::with_capacity(bytes.len());
    let mut found = Vec::with_capacity(slots.len());
    let mut done = 0;
    for slot in slots {
        let Some((start, end)) = bounds(slot).filter(|(start, end)| *start >= done && *end <= bytes.len()) else {
            continue;
        };
        filled.extend_from_slice(&bytes[done..start]);
        let fill = fills.get(&slot.name).map_or(&bytes[start..end], Vec::as_slice);
        found.push(SlotRange { name: slot.name.clone(), at: filled.len() as u64, length: fill.len() as u64 });
        filled.extend_from_slice(fill);
        done = end;
    }
    filled.extend_from_slice(&bytes[done..]);
    (filled, found)
}

fn bounds(slot: &SlotRange) -> Option<(usize, usize)> {
    let start = usize::try_from(slot.at).ok()?;
    Some((start, start.checked_add(usize::try_from(slot.length).ok()?)?))
}

/// Marks `body` as what stands in slot `number`; none where it holds a slot already.
pub(crate) fn mark(number: usize, body: &str) -> Option<String> {
    let marked = memchr3(OPEN, NAMED, CLOSE, body.as_bytes()).is_some();
    (!marked).then(|| format!("{}{number}{}{body}{}", char::from(OPEN), char::from(NAMED), char::from(CLOSE)))
}

/// Takes the marks out of a rendered page, and says where the slots are; none where marks do not match, which a
/// template can bring about by cutting or changing what it captured.
pub(crate) fn extract(marked: &mut Vec<u8>, names: &[String]) -> Option<Vec<SlotRange>> {
    if memchr3(OPEN, NAMED, CLOSE, marked).is_none() {
        return Some(Vec::new());
    }
    let mut page = Vec::with_capacity(marked.len());
    let mut slots = Vec::new();
    let mut rest = marked.as_slice();
    while let Some(open) = position(rest, OPEN) {
        let middle = open + position(&rest[open..], NAMED)?;
        let close = middle + position(&rest[middle..], CLOSE)?;
        let number: usize = std::str::from_utf8(&rest[open + 1..middle]).ok()?.parse().ok()?;
        page.extend_from_slice(&rest[..open]);
        let body = &rest[middle + 1..close];
        let name = names.get(number)?.clone();
        slots.push(SlotRange { name, at: page.len() as u64, length: body.len() as u64 });
        page.extend_from_slice(body);
        rest = &rest[close + 1..];
    }
    page.extend_from_slice(rest);
    let clean = memchr3(OPEN, NAMED, CLOSE, &page).is_none();
    *marked = page;
    clean.then_some(slots)
}

fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    memchr(wanted, bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Vec<String> {
        vec!["banner".to_owned(), "nav".to_owned()]
    }

    #[test]
    fn slots_are_found_and_filled() {
        let page = format!("<nav>{}</nav><p>{}</p>", mark(1, "home").unwrap(), mark(0, "").unwrap());
        let mut bytes = page.into_bytes();
        let slots = extract(&mut bytes, &names()).unwrap();
        assert_eq!(bytes, b"<nav>home</nav><p></p>");
        let found: Vec<_> = slots.iter().map(|slot| (slot.name.as_str(), slot.at, slot.length)).collect();
        assert_eq!(found, [("nav", 5, 4), ("banner", 18, 0)]);
        let fills = BTreeMap::from([("nav".to_owned(), b"shop".to_vec()), ("banner".to_owned(), b"sale".to_vec())]);
        assert_eq!(fill_slots(&bytes, &slots, &fills), b"<nav>shop</nav><p>sale</p>");
        let (filled, found) = fill_and_find(&bytes, &slots, &fills);
        let there = |slot: &SlotRange| bounds(slot).map(|(start, end)| &filled[start..end]).unwrap();
        assert_eq!(found.iter().map(there).collect::<Vec<_>>(), [b"shop", b"sale"]);
        assert_eq!(fill_slots(&bytes, &slots, &BTreeMap::new()), bytes);
    }

    #[test]
    fn a_slot_in_a_slot_is_refused() {
        assert_eq!(mark(0, &mark(1, "x").unwrap()), None);
        for broken in
            [&b"a\x010\x02b"[..], b"a\x03", b"\x01x\x02b\x03", b"\x019\x02b\x03", b"\x010\x02a\x010\x02b\x03\x03"]
        {
            assert_eq!(extract(&mut broken.to_vec(), &names()), None, "{broken:?}");
        }
    }

    proptest! {
        #[test]
        fn no_ranges_make_filling_panic(slots in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..4), small in 0..9u64) {
            let mut slots: Vec<SlotRange> =
                slots.into_iter().map(|(at, length)| SlotRange { name: "nav".to_owned(), at, length }).collect();
            slots.push(SlotRange { name: "nav".to_owned(), at: small, length: small });
            fill_slots(b"0123456789", &slots, &BTreeMap::from([("nav".to_owned(), b"x".to_vec())]));
        }
    }
}
