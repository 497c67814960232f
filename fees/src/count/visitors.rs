//! The visitors of whom anything is remembered: their open chains, the hours that are remembered, and the days.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashMapExt as _};
use tieup_protocol::access::VisitorToken;
use tieup_protocol::contract::MeterClass;

use super::Click;
use super::hours::{Hour, HourPlace};
use super::pages::PageNumber;
use super::seen::{Classes, Day, First};
use super::visitor::{ANY_PAGE, Chain, Visitor};

/// Which visitor, for as long as anything but the day is remembered of it.
pub(super) type VisitorNumber = u32;

/// Who is remembered, and of what.
///
/// A click looks its visitor up once; all else about it stands in the visitor's record. What a record has no room for
/// lies in maps that all visitors share, so that nobody's visits cost more than others', however many they are.
#[derive(Clone, Debug)]
pub(super) struct Visitors {
    numbers: HashMap<VisitorToken, VisitorNumber>,
    records: Vec<Visitor>,
    /// The numbers of records that nobody has.
    free: Vec<VisitorNumber>,
    /// The open chains that have no room in their visitors' records.
    more_chains: HashMap<(VisitorNumber, PageNumber), Click>,
    hours: BTreeMap<i64, OpenHour>,
    days: BTreeMap<i64, Day>,
    /// How many days were forgotten.
    forgotten: u32,
    /// The hour of the last view.
    last: Option<i64>,
}

/// What must be remembered of an hour to know what is new in it, but for what stands with the visitors.
///
/// The visitors of an hour are among those of its day: a day is forgotten only after all of its hours were.
#[derive(Clone, Debug)]
struct OpenHour {
    place: HourPlace,
    /// Those that have a session in it, each once.
    visitors: Vec<VisitorNumber>,
    /// The pages that have no room in their visitors' records.
    more: HashMap<(VisitorNumber, PageNumber), Classes>,
}

/// What a view is the first of, as rules 5 and 6 have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct New {
    /// Of this page, in a session.
    pub(super) page: bool,
    /// Of the session.
    pub(super) session: First,
    /// Of the visitor, on the day.
    pub(super) visitor: First,
}

/// What is remembered of an hour: who saw which page, and who has a session, as pages of which classes.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered {
    pub(super) pages: Vec<(VisitorToken, PageNumber, Classes)>,
    pub(super) visitors: Vec<(VisitorToken, Classes)>,
}

impl Default for Visitors {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            records: Vec::new(),
            free: Vec::new(),
            more_chains: HashMap::new(),
            hours: BTreeMap::new(),
            days: BTreeMap::new(),
            forgotten: 0,
            last: None,
        }
    }
}

impl Visitors {
    /// The number of the visitor with this token, a new one if need be. Whoever is given one must be given a chain or a page.
    pub(super) fn number(&mut self, token: VisitorToken) -> VisitorNumber {
        let Self { numbers, records, free, .. } = self;
        *numbers.entry(token).or_insert_with(|| {
            if let Some(number) = free.pop() {
                records[number as usize] = Visitor::new(token);
                return number;
            }
            records.push(Visitor::new(token));
            (records.len() - 1).try_into().expect("memory ends before four thousand million visitors")
        })
    }

    /// Has the chains of these visitors fetched from memory, if they are known.
    pub(super) fn touch_chains(&self, visitors: impl Iterator<Item = VisitorToken>) {
        let touch = |token| self.numbers.get(&token).map_or(0, |number| self.records[*number as usize].touch_chains());
        std::hint::black_box(visitors.map(touch).fold(0, u32::wrapping_add));
    }

    /// Has the chains and pages of these visitors fetched from memory.
    pub(super) fn touch_pages(&self, visitors: impl Iterator<Item = VisitorNumber>) {
        let touch = |number: VisitorNumber| self.records[number as usize].touch_pages();
        std::hint::black_box(visitors.map(touch).fold(0, u32::wrapping_add));
    }

    /// The last click of the open chain of `visitor` on `page`.
    pub(super) fn chain(&mut self, visitor: VisitorNumber, page: PageNumber) -> Option<&mut Click> {
        let record = &mut self.records[visitor as usize];
        if record.more_chains == 0 {
            return record.chain(page);
        }
        record.chain(page).or_else(|| self.more_chains.get_mut(&(visitor, page)))
    }

    /// Opens a chain of `visitor`, who has none on its page.
    pub(super) fn open_chain(&mut self, visitor: VisitorNumber, page: PageNumber, click: Click) {
        let record = &mut self.records[visitor as usize];
        if !record.open_chain(Chain { page, click }) {
            record.more_chains += 1;
            self.more_chains.insert((visitor, page), click);
        }
    }

    /// Ends the open chain of `visitor` on `page`. Its last click must have been seen, since it may be all there is.
    pub(super) fn end_chain(&mut self, visitor: VisitorNumber, page: PageNumber) {
        let record = &mut self.records[visitor as usize];
        if !record.end_chain(page) && self.more_chains.remove(&(visitor, page)).is_some() {
            record.more_chains -= 1;
        }
    }

    /// Notes that `visitor`, who is remembered, saw `page`, of `class`, in `hour`; what is new.
    ///
    /// Hours and days that a view in `hour` ends are forgotten first.
    pub(super) fn see(&mut self, visitor: VisitorNumber, page: PageNumber, class: MeterClass, hour: Hour) -> New {
        self.forget_before(hour.number);
        let page = self.seen_in(hour, visitor, page).see(class).of_class;
        // Who saw this page in this hour has a session in it, and who has a session is a visitor of the day.
        if !page {
            return New::default();
        }
        let session = self.seen_in(hour, visitor, ANY_PAGE).see(class);
        let visitor = if session.of_class { self.see_on(hour.day(), visitor, class) } else { session };
        New { page, session, visitor }
    }

    /// As pages of which classes `visitor` saw `page` in `hour`; at [`ANY_PAGE`], of which classes the session is.
    fn seen_in(&mut self, hour: Hour, visitor: VisitorNumber, page: PageNumber) -> &mut Classes {
        let record = &mut self.records[visitor as usize];
        if let Some(place) = record.place_of(page, hour.place) {
            return record.classes_at(place);
        }
        let open = self.hours.entry(hour.number).or_insert_with(|| OpenHour::new(hour.place));
        if !open.more.is_empty() && open.more.contains_key(&(visitor, page)) {
            return open.more.entry((visitor, page)).or_default();
        }
        if page == ANY_PAGE {
            open.visitors.push(visitor);
            record.sessions += 1;
        }
        match record.add_page(page, hour.place) {
            Some(place) => record.classes_at(place),
            None => open.more.entry((visitor, page)).or_default(),
        }
    }

    /// Notes a visitor of `day`; what was seen neither on this day nor on the one before.
    fn see_on(&mut self, day: i64, visitor: VisitorNumber, class: MeterClass) -> First {
        let record = &mut self.records[visitor as usize];
        if !record.known_in(day, self.forgotten).see(class).of_class {
            return First::default();
        }
        let token = record.token();
        let yesterday = self.days.get(&(day - 1)).map(|before| before.would_see(token, class));
        let today = self.days.entry(day).or_default().see(token, class);
        yesterday.map_or(today, |yesterday| today.and(yesterday))
    }

    /// Forgets the hours and days that a view in the hour `number` ends.
    fn forget_before(&mut self, number: i64) {
        // After one view of an hour there is nothing more that another ends.
        if self.last == Some(number) {
            return;
        }
        self.last = Some(number);
        while self.hours.first_key_value().is_some_and(|(hour, _)| *hour < number - 1) {
            let Some((_, ended)) = self.hours.pop_first() else { break };
            self.leave(&ended);
        }
        while self.days.first_key_value().is_some_and(|(day, _)| *day < number.div_euclid(24) - 1) {
            self.days.pop_first();
            self.forgotten = self.forgotten.wrapping_add(1);
        }
    }

    /// Forgets an hour with those of whom nothing else is remembered.
    fn leave(&mut self, ended: &OpenHour) {
        for visitor in &ended.visitors {
            let record = &mut self.records[*visitor as usize];
            record.forget(ended.place);
            if record.is_gone() {
                self.numbers.remove(&record.token());
                self.free.push(*visitor);
            }
        }
    }

    /// How many records there are, used or not, how many chains beside them, and how many hours and days are remembered.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize, usize, usize) {
        (self.records.len(), self.more_chains.len(), self.hours.len(), self.days.len())
    }

    /// The visitor whose number it is.
    fn token(&self, visitor: VisitorNumber) -> VisitorToken {
        self.records[visitor as usize].token()
    }

    /// All open chains, in no order.
    pub(super) fn chains(&self) -> impl Iterator<Item = (VisitorToken, PageNumber, Click)> {
        let own = self
            .records
            .iter()
            .flat_map(|record| record.chains().iter().map(move |chain| (record.token(), chain.page, chain.click)));
        let more = self.more_chains.iter().map(|((visitor, page), click)| (self.token(*visitor), *page, *click));
        own.chain(more)
    }

    /// What is remembered of each hour, the pages and visitors in no order.
    pub(super) fn hours(&self) -> BTreeMap<i64, Remembered> {
        let mut hours = BTreeMap::new();
        for (number, open) in &self.hours {
            let hour: &mut Remembered = hours.entry(*number).or_default();
            for visitor in &open.visitors {
                let record = &self.records[*visitor as usize];
                for seen in record.seen().iter().filter(|seen| seen.hour == open.place) {
                    hour.add(record.token(), seen.page, seen.classes);
                }
            }
            for ((visitor, page), classes) in &open.more {
                hour.add(self.token(*visitor), *page, *classes);
            }
        }
        hours
    }

    /// The visitors of each day.
    pub(super) fn days(&self) -> &BTreeMap<i64, Day> {
        &self.days
    }

    /// Remembers `hour` as it was. None where that cannot be what was remembered.
    pub(super) fn resume_hour(&mut self, hour: Hour, remembered: &Remembered) -> Option<()> {
        let sessions = remembered.visitors.iter().map(|(token, classes)| (*token, ANY_PAGE, *classes));
        for (token, page, classes) in sessions.chain(remembered.pages.iter().copied()) {
            let visitor = self.number(token);
            let seen = self.seen_in(hour, visitor, page);
            if *seen != Classes::default() {
                return None;
            }
            *seen = classes;
            // Nobody saw a page without a session.
            if page != ANY_PAGE && !self.seen_in(hour, visitor, ANY_PAGE).holds(classes) {
                return None;
            }
        }
        Some(())
    }

    /// Remembers the visitors of a day.
    pub(super) fn resume_day(&mut self, number: i64, day: Day) {
        self.days.insert(number, day);
    }
}

impl OpenHour {
    fn new(place: HourPlace) -> Self {
        Self { place, visitors: Vec::new(), more: HashMap::new() }
    }
}

impl Remembered {
    fn add(&mut self, visitor: VisitorToken, page: PageNumber, classes: Classes) {
        if page == ANY_PAGE {
            self.visitors.push((visitor, classes));
        } else {
            self.pages.push((visitor, page, classes));
        }
    }
}
