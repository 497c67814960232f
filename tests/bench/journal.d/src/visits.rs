//! Visits that are made up, one after the other: a month of a site that is visited 40 times a second.

use jiff::Timestamp;
use tieup_protocol::access::{AccessEntry, AgentClass, Method, Purpose, ReferrerClass, VisitorToken};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::path::SitePath;

/// How many visitors are on the site at a time. Each leaves after 20 requests or so.
const PRESENT: usize = 20_000;

/// The pages of the site; every fourth is the partner's own.
const PAGES: usize = 1_000;

/// The mean time between two entries of 100 million in a month, in milliseconds.
pub const STEP: u64 = 25;

/// Five entries of six are views by people, the rest robots, parts of pages, errors and repeats. Times are up to 0.2 s out
/// of order, as answers end.
pub struct Visits {
    random: fastrand::Rng,
    paths: Vec<SitePath>,
    present: Vec<VisitorToken>,
    last: AccessEntry,
    clock: i64,
    step: u64,
}

impl Visits {
    /// The visits from `begin` on, one each `step` milliseconds.
    pub fn new(begin: Timestamp, step: u64, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let path = |page: usize| match page % 4 {
            0 => format!("/local/page-{page}/"),
            _ => format!("/products/page-{page}/"),
        };
        let present = if step > STEP { PRESENT / 100 } else { PRESENT };
        Self {
            paths: (0..PAGES).map(|page| path(page).parse().unwrap()).collect(),
            present: (0..present).map(|_| token(&mut random)).collect(),
            last: view(),
            clock: begin.as_millisecond(),
            step,
            random,
        }
    }

    /// The next visit.
    pub fn next(&mut self) -> &AccessEntry {
        self.clock += i64::try_from(self.random.u64(0..=2 * self.step)).unwrap();
        let roll = self.random.u8(0..100);
        // Three of a hundred are the last one once more.
        if roll >= 3 {
            self.last = AccessEntry { bytes: self.random.u64(500..20_000), ..view() };
            self.last.visitor = self.visitor();
            // Some pages are visited far more than others.
            let page = self.random.usize(0..PAGES) * self.random.usize(0..PAGES) / PAGES;
            self.last.class = Some(if page.is_multiple_of(4) { MeterClass::Original } else { MeterClass::Tieup });
            self.last.path = self.paths[page].clone();
        }
        self.last.time = Timestamp::from_millisecond(self.clock - self.random.i64(0..200)).unwrap();
        match roll {
            95.. => self.last.robot = 3,
            87..95 => self.last.purpose = Purpose::Resource,
            85..87 => (self.last.status, self.last.class) = (404, None),
            84 => self.last.method = Method::Head,
            _ => {}
        }
        &self.last
    }

    fn visitor(&mut self) -> VisitorToken {
        let place = self.random.usize(0..self.present.len());
        if self.random.u8(0..20) == 0 {
            self.present[place] = token(&mut self.random);
        }
        self.present[place]
    }
}

fn token(random: &mut fastrand::Rng) -> VisitorToken {
    VisitorToken(random.u128(..).to_be_bytes())
}

fn view() -> AccessEntry {
    AccessEntry {
        time: Timestamp::UNIX_EPOCH,
        class: Some(MeterClass::Tieup),
        method: Method::Get,
        status: 200,
        bytes: 0,
        purpose: Purpose::Document,
        visitor: VisitorToken([0; 16]),
        agent: AgentClass::Desktop,
        robot: 0,
        referrer: ReferrerClass::Same,
        path: SitePath::root(),
    }
}
