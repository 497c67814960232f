//! Who was seen, on pages of which class.

use foldhash::{HashMap, HashMapExt as _};
use tieup_protocol::access::VisitorToken;
use tieup_protocol::contract::MeterClass;

use super::pages::PageNumber;

/// A set of classes of pages, of which at least one is in it where anything was seen at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Classes(u8);

/// What a view is the first of, in an hour or a day: of its class, and of any class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct First {
    /// The first on a page of its class.
    pub(super) of_class: bool,
    /// The first of all.
    pub(super) of_all: bool,
}

/// The visitors that were seen.
#[derive(Clone, Debug)]
pub(super) struct Visitors(pub(super) HashMap<VisitorToken, Classes>);

/// What must be remembered of an hour to know what is new in it.
///
/// Whoever saw a page is among the visitors. The visitors of an hour are among those of its day: a day is forgotten only
/// after all of its hours were.
#[derive(Clone, Debug)]
pub(super) struct OpenHour {
    /// The pages that a visitor saw.
    pub(super) pages: HashMap<(VisitorToken, PageNumber), Classes>,
    /// The visitors.
    pub(super) visitors: Visitors,
}

impl Classes {
    /// The set that these bits mean, unless none is in it or one that there is not.
    pub(super) fn from_bits(bits: u8) -> Option<Self> {
        (1..=3).contains(&bits).then_some(Self(bits))
    }

    /// 1 for tie-up pages, 2 for original pages.
    pub(super) fn bits(self) -> u8 {
        self.0
    }

    /// Adds `class`; what is new.
    fn see(&mut self, class: MeterClass) -> First {
        let bit = match class {
            MeterClass::Tieup => 1,
            MeterClass::Original => 2,
        };
        let first = First { of_class: self.0 & bit == 0, of_all: self.0 == 0 };
        self.0 |= bit;
        first
    }
}

impl First {
    /// First in both respects in which `other` is, too.
    pub(super) fn and(self, other: Self) -> Self {
        Self { of_class: self.of_class && other.of_class, of_all: self.of_all && other.of_all }
    }
}

impl Default for Visitors {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl Visitors {
    /// Notes that `visitor` was seen on a page of `class`; what is new.
    pub(super) fn see(&mut self, visitor: VisitorToken, class: MeterClass) -> First {
        self.0.entry(visitor).or_default().see(class)
    }

    /// What would be new if `visitor` were seen on a page of `class`.
    pub(super) fn would_see(&self, visitor: VisitorToken, class: MeterClass) -> First {
        self.0.get(&visitor).copied().unwrap_or_default().see(class)
    }
}

impl Default for OpenHour {
    fn default() -> Self {
        Self { pages: HashMap::new(), visitors: Visitors::default() }
    }
}

impl OpenHour {
    /// Notes that `visitor` saw `page`, of `class`; whether that was the first time.
    pub(super) fn see_page(&mut self, visitor: VisitorToken, page: PageNumber, class: MeterClass) -> bool {
        self.pages.entry((visitor, page)).or_default().see(class).of_class
    }
}
