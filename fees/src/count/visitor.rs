//! What is remembered of one visitor: four lines of the processor's cache, and nothing elsewhere for nearly all.

use tieup_protocol::access::VisitorToken;
use tieup_protocol::contract::MeterClass;

use super::Click;
use super::hours::HourPlace;
use super::pages::PageNumber;
use super::seen::Classes;

/// How many open chains a visitor's record has room for.
pub(super) const CHAINS: usize = 8;

/// How many pages by hour it has room for, each hour's [`ANY_PAGE`] among them.
pub(super) const SEEN: usize = 16;

/// Stands for all pages of an hour together: who saw it has a session. No page has this number.
pub(super) const ANY_PAGE: PageNumber = PageNumber::MAX;

/// An open chain: the page, and the last click on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    pub(super) page: PageNumber,
    pub(super) click: Click,
}

/// A page that was seen in an hour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) page: PageNumber,
    pub(super) hour: HourPlace,
    pub(super) classes: Classes,
}

/// The record of a visitor. What has no room in it lies in maps that all visitors share.
///
/// A click looks at the first half, a view at both; each half is two lines of the cache.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Visitor {
    token: VisitorToken,
    /// How many open chains have no room here.
    pub(super) more_chains: u32,
    /// How many days had been forgotten when what is known of the day was noted.
    forgotten: u32,
    /// The day, of which the last bits tell the days of a period apart.
    day: u16,
    /// In how many open hours the visitor has a session.
    pub(super) sessions: u16,
    /// As pages of which classes the visitor is known to have been noted in the day.
    day_classes: Classes,
    chain_count: u8,
    seen_count: u8,
    chains: [Chain; CHAINS],
    seen: [Seen; SEEN],
}

const _: () = assert!(size_of::<Visitor>() == 256, "a visitor's record is four lines of the cache");

impl Visitor {
    /// A visitor of whom nothing is remembered.
    pub(super) fn new(token: VisitorToken) -> Self {
        let click = Click { time: 0, class: MeterClass::Tieup };
        Self {
            token,
            more_chains: 0,
            forgotten: 0,
            day: 0,
            sessions: 0,
            day_classes: Classes::default(),
            chain_count: 0,
            seen_count: 0,
            chains: [Chain { page: 0, click }; CHAINS],
            seen: [Seen { page: 0, hour: 0, classes: Classes::default() }; SEEN],
        }
    }

    /// Who it is.
    pub(super) fn token(&self) -> VisitorToken {
        self.token
    }

    /// Reads of each line with chains, so that it is fetched from memory. The number means nothing.
    pub(super) fn touch_chains(&self) -> u32 {
        self.more_chains ^ self.chains[CHAINS - 1].page
    }

    /// The same of the lines with pages, too.
    pub(super) fn touch_pages(&self) -> u32 {
        self.touch_chains() ^ self.seen[0].page ^ self.seen[SEEN - 1].page
    }

    /// Whether nothing is remembered any more.
    pub(super) fn is_gone(&self) -> bool {
        self.chain_count == 0 && self.more_chains == 0 && self.sessions == 0
    }

    /// The chains that have room here.
    pub(super) fn chains(&self) -> &[Chain] {
        &self.chains[..self.chain_count.into()]
    }

    /// The last click of the chain on `page`, if it lies here.
    pub(super) fn chain(&mut self, page: PageNumber) -> Option<&mut Click> {
        let chains = &mut self.chains[..self.chain_count.into()];
        chains.iter_mut().find(|chain| chain.page == page).map(|chain| &mut chain.click)
    }

    /// Opens a chain; whether there was room.
    pub(super) fn open_chain(&mut self, chain: Chain) -> bool {
        let Some(free) = self.chains.get_mut(usize::from(self.chain_count)) else { return false };
        *free = chain;
        self.chain_count += 1;
        true
    }

    /// Ends the chain on `page`; whether it lay here.
    pub(super) fn end_chain(&mut self, page: PageNumber) -> bool {
        let Some(at) = self.chains().iter().position(|chain| chain.page == page) else { return false };
        self.chain_count -= 1;
        self.chains[at] = self.chains[usize::from(self.chain_count)];
        true
    }

    /// The pages that have room here.
    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen[..self.seen_count.into()]
    }

    /// Where it stands as pages of which classes `page` was seen in `hour`.
    pub(super) fn place_of(&self, page: PageNumber, hour: HourPlace) -> Option<usize> {
        self.seen().iter().position(|seen| seen.page == page && seen.hour == hour)
    }

    /// As pages of which classes the page at `place` was seen.
    pub(super) fn classes_at(&mut self, place: usize) -> &mut Classes {
        &mut self.seen[place].classes
    }

    /// Makes room for `page` in `hour`, where there is any.
    pub(super) fn add_page(&mut self, page: PageNumber, hour: HourPlace) -> Option<usize> {
        let place = usize::from(self.seen_count);
        *self.seen.get_mut(place)? = Seen { page, hour, classes: Classes::default() };
        self.seen_count += 1;
        Some(place)
    }

    /// Forgets the pages of an hour in which the visitor has a session.
    pub(super) fn forget(&mut self, hour: HourPlace) {
        let mut kept = 0;
        for place in 0..usize::from(self.seen_count) {
            if self.seen[place].hour != hour {
                self.seen[usize::from(kept)] = self.seen[place];
                kept += 1;
            }
        }
        self.seen_count = kept;
        self.sessions -= 1;
    }

    /// As pages of which classes the visitor is known to have been noted in `day`, for what is noted to be added; nothing is
    /// known any more once another day was forgotten since.
    pub(super) fn known_in(&mut self, day: i64, forgotten: u32) -> &mut Classes {
        let day = u16::try_from(day.rem_euclid(1 << 16)).unwrap_or_default();
        if (self.day, self.forgotten) != (day, forgotten) {
            (self.day, self.forgotten, self.day_classes) = (day, forgotten, Classes::default());
        }
        &mut self.day_classes
    }
}
