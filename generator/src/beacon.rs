//! The beacon of a tie-up page: a picture that is none, of which main's own server counts that it was asked for.
//!
//! It is part of the page that main signs, and the same at every partner: it names main and the page, and browsers say
//! from which site they ask (`crossorigin`), without a cookie and without the page's address (`referrerpolicy`). The
//! answer has no picture, so nothing shows.

use tieup_protocol::contract::{BEACON, WebOrigin};
use tieup_protocol::manifest::SlotRange;
use tieup_protocol::path::SitePath;

use crate::url;
use crate::xml::escape;

/// What a beacon is put before, the first that the page has.
const ENDS: [&[u8]; 2] = [b"</body>", b"</html>"];

/// Puts the beacon of the page at `path`, which asks `to`, at the end of the page; `slots` stay where they are in it.
pub(crate) fn add(page: &mut Vec<u8>, slots: &mut [SlotRange], to: &WebOrigin, path: &SitePath) {
    let beacon = format!(
        "<img src=\"{to}{BEACON}{}\" alt=\"\" width=\"1\" height=\"1\" hidden crossorigin=\"anonymous\" \
         referrerpolicy=\"no-referrer\">",
        escape(&url::encode(path))
    );
    let at = place(page, slots);
    page.splice(at..at, beacon.bytes());
    for slot in slots.iter_mut().filter(|slot| slot.at >= at as u64) {
        slot.at += beacon.len() as u64;
    }
}

/// Where the page's body ends; the end of the page where that lies in a slot, which a partner fills.
fn place(page: &[u8], slots: &[SlotRange]) -> usize {
    let last = |end: &[u8]| page.windows(end.len()).rposition(|bytes| bytes.eq_ignore_ascii_case(end));
    let is_in = |slot: &SlotRange, at: u64| slot.at < at && at < slot.at.saturating_add(slot.length);
    let found = ENDS.into_iter().find_map(last);
    found.filter(|at| !slots.iter().any(|slot| is_in(slot, *at as u64))).unwrap_or(page.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEACON_OF_NEWS: &str = "<img src=\"https://main.example/tieup-beacon/n%20ews/\" alt=\"\" width=\"1\" height=\"1\" \
                                  hidden crossorigin=\"anonymous\" referrerpolicy=\"no-referrer\">";

    fn slot(at: u64, length: u64) -> SlotRange {
        SlotRange { name: "nav".to_owned(), at, length }
    }

    fn with_beacon(page: &str, slots: &mut [SlotRange]) -> String {
        let mut bytes = page.as_bytes().to_vec();
        add(&mut bytes, slots, &"https://main.example".parse().unwrap(), &"/n ews/".parse().unwrap());
        String::from_utf8(bytes).unwrap().replace(BEACON_OF_NEWS, "@")
    }

    #[test]
    fn it_stands_at_the_end_of_the_body() {
        for (page, expected) in [
            ("<html><body><p>a</p></body></html>", "<html><body><p>a</p>@</body></html>"),
            ("<p>a</p>\n</BODY >x</BODY>\n", "<p>a</p>\n</BODY >x@</BODY>\n"),
            ("<!doctype html><p>a</p>\n</html>\n", "<!doctype html><p>a</p>\n@</html>\n"),
            ("<!doctype html><p>a", "<!doctype html><p>a@"),
            ("<code>&lt;/body></code></body>", "<code>&lt;/body></code>@</body>"),
        ] {
            assert_eq!(with_beacon(page, &mut []), expected);
        }
    }

    #[test]
    fn slots_stay_where_they_are() {
        // `<p>ab</body>cd`: one slot holds `ab`, which ends where the beacon comes to stand, and one holds `cd`.
        let mut slots = [slot(3, 2), slot(12, 2)];
        assert_eq!(with_beacon("<p>ab</body>cd", &mut slots), "<p>ab@</body>cd");
        assert_eq!(slots, [slot(3, 2), slot(12 + BEACON_OF_NEWS.len() as u64, 2)]);
        let mut slots = [slot(3, 11)];
        assert_eq!(with_beacon("<p>ab</body>cd", &mut slots), "<p>ab</body>cd@", "nobody may fill it away");
        assert_eq!(slots, [slot(3, 11)]);
    }
}
