//! What is counted of beacons, in memory: once for each visitor, page and hour, and not without end for one address.

use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher as _;
use std::net::IpAddr;

use jiff::Timestamp;
use tieup_protocol::access::VisitorToken;
use tieup_protocol::ids::SiteId;
use tieup_protocol::path::SitePath;
use tieup_web::site::{Heard, network_of};

/// How many beacons of one address, or of one IPv6 network of 64 bits, are looked at in an hour: an office of sixty with
/// twenty pages each. Whoever sends more by other names is stopped there.
pub const MOST_OF_ONE_ADDRESS: u32 = 1_200;

/// How many addresses are told apart in an hour. Those that come when there are as many are not counted.
const MOST_ADDRESSES: usize = 1 << 18;

/// How many beacons are remembered in all, each for the hour that it came in: some 16 bytes each.
const MOST_REMEMBERED: usize = 1 << 21;

/// A beacon that is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beacon<'a> {
    /// Whose copy of the page it is.
    pub(super) partner: &'a SiteId,
    /// The page.
    pub(super) page: &'a SitePath,
    /// The hour, by the clocks of the partner's contract.
    pub(super) hour: i64,
    /// Who, for a day.
    pub(super) visitor: VisitorToken,
}

/// What was counted and is not in the database yet: how many of each partner, hour and page.
pub(crate) type Counted = BTreeMap<(SiteId, i64, SitePath), u64>;

/// Beacons of the hours that are not over.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counted: Counted,
    hours: HashMap<SiteId, OpenHour>,
    addresses: Addresses,
    /// How many are remembered in all hours.
    remembered: usize,
    /// What is remembered is told by this, which only this process knows.
    hasher: RandomState,
}

/// The hour of a partner.
#[derive(Debug, Default)]
struct OpenHour {
    hour: i64,
    /// Visitor and page of each beacon.
    seen: HashSet<u64>,
}

/// How many came from each address in an hour.
#[derive(Debug, Default)]
struct Addresses {
    hour: i64,
    came: HashMap<IpAddr, u32>,
}

impl Tally {
    /// Counts a beacon that came from `address` at `time`, unless it did already.
    pub(super) fn count(&mut self, beacon: &Beacon<'_>, address: IpAddr, time: Timestamp) -> Heard {
        if !self.addresses.admit(network_of(address), time.as_second().div_euclid(3600)) {
            return Heard::TooMany;
        }
        let open = self.hours.entry(beacon.partner.clone()).or_default();
        if open.hour != beacon.hour {
            self.remembered -= open.seen.len();
            *open = OpenHour { hour: beacon.hour, seen: HashSet::new() };
        }
        let sign = self.hasher.hash_one((beacon.visitor.0, beacon.page));
        if open.seen.contains(&sign) {
            return Heard::Passed;
        }
        if self.remembered >= MOST_REMEMBERED {
            return Heard::TooMany;
        }
        open.seen.insert(sign);
        self.remembered += 1;
        *self.counted.entry((beacon.partner.clone(), beacon.hour, beacon.page.clone())).or_default() += 1;
        Heard::Counted
    }

    /// Takes what was counted.
    pub(super) fn take(&mut self) -> Counted {
        std::mem::take(&mut self.counted)
    }

    /// Takes back what was taken and could not be kept.
    pub(super) fn put_back(&mut self, counted: Counted) {
        for (of, number) in counted {
            *self.counted.entry(of).or_default() += number;
        }
    }
}

impl Addresses {
    /// Whether one more of `network` is looked at in `hour`.
    fn admit(&mut self, network: IpAddr, hour: i64) -> bool {
        if self.hour != hour {
            *self = Self { hour, came: HashMap::new() };
        }
        let is_full = self.came.len() >= MOST_ADDRESSES;
        match self.came.entry(network) {
            Entry::Vacant(_) if is_full => false,
            entry => {
                let came = entry.or_default();
                *came = came.saturating_add(1);
                *came <= MOST_OF_ONE_ADDRESS
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tally, and beacons that come to it one after the other.
    struct Desk {
        tally: Tally,
        partners: [SiteId; 2],
    }

    impl Desk {
        fn new() -> Self {
            Self { tally: Tally::default(), partners: ["north", "south"].map(|name| name.parse().unwrap()) }
        }

        /// Visitor `visitor` sees `page` at partner number `partner`, in this hour, from this address.
        fn hear(&mut self, partner: usize, hour: i64, page: &str, visitor: u8, address: &str) -> Heard {
            let page = page.parse().unwrap();
            let visitor = VisitorToken([visitor; 16]);
            let beacon = Beacon { partner: &self.partners[partner], page: &page, hour, visitor };
            self.tally.count(&beacon, address.parse().unwrap(), Timestamp::from_second(hour * 3600).unwrap())
        }

        fn counted(&mut self) -> Vec<(String, i64, String, u64)> {
            let told = |((partner, hour, page), number): ((SiteId, i64, SitePath), u64)| {
                (partner.to_string(), hour, page.to_string(), number)
            };
            self.tally.take().into_iter().map(told).collect()
        }
    }

    const HERE: &str = "192.0.2.1";

    #[test]
    fn a_page_counts_once_for_a_visitor_and_hour() {
        let mut desk = Desk::new();
        for (partner, hour, page, visitor, heard) in [
            (0, 5, "/", 1, Heard::Counted),
            (0, 5, "/", 1, Heard::Passed),
            (0, 5, "/", 2, Heard::Counted),
            (0, 5, "/news/", 1, Heard::Counted),
            (1, 5, "/", 1, Heard::Counted),
            (0, 5, "/", 1, Heard::Passed),
            (0, 6, "/", 1, Heard::Counted),
        ] {
            assert_eq!(desk.hear(partner, hour, page, visitor, HERE), heard, "{partner} {hour} {page} {visitor}");
        }
        let told = |partner: &str, hour, page: &str, number| (partner.to_owned(), hour, page.to_owned(), number);
        let expected = [
            told("north", 5, "/", 2),
            told("north", 5, "/news/", 1),
            told("north", 6, "/", 1),
            told("south", 5, "/", 1),
        ];
        assert_eq!(desk.counted(), expected);
        assert_eq!(desk.counted(), [], "what was taken is not there any more");
        assert_eq!(desk.hear(0, 6, "/", 1, HERE), Heard::Passed, "and is remembered");
        assert_eq!(desk.tally.remembered, desk.tally.hours.values().map(|open| open.seen.len()).sum::<usize>());
    }

    #[test]
    fn what_could_not_be_kept_is_not_lost() {
        let mut desk = Desk::new();
        desk.hear(0, 5, "/", 1, HERE);
        let taken = desk.tally.take();
        desk.hear(0, 5, "/", 2, HERE);
        desk.tally.put_back(taken);
        assert_eq!(desk.counted(), [("north".to_owned(), 5, "/".to_owned(), 2)]);
    }

    #[test]
    fn one_address_has_an_end_and_others_go_on() {
        let mut desk = Desk::new();
        for number in 0..MOST_OF_ONE_ADDRESS {
            assert_eq!(desk.hear(0, 5, &format!("/{number}/"), 1, "2001:db8::1"), Heard::Counted);
        }
        assert_eq!(desk.hear(0, 5, "/more/", 1, "2001:db8::2"), Heard::TooMany, "the same network by another name");
        assert_eq!(desk.hear(1, 5, "/more/", 1, "2001:db8::2"), Heard::TooMany, "at another partner too");
        assert_eq!(desk.hear(0, 5, "/more/", 1, HERE), Heard::Counted);
        assert_eq!(desk.hear(0, 6, "/more/", 1, "2001:db8::1"), Heard::Counted, "in the next hour");
    }
}
