//! Who was seen, on pages of which class.

use foldhash::{HashMap, HashMapExt as _};
use tieup_protocol::access::VisitorToken;
use tieup_protocol::contract::MeterClass;

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

/// The visitors of a day.
#[derive(Clone, Debug)]
pub(super) struct Day(HashMap<VisitorToken, Classes>);

impl Classes {
    /// The set that these bits mean, unless none is in it or one that there is not.
    pub(super) fn from_bits(bits: u8) -> Option<Self> {
        (1..=3).contains(&bits).then_some(Self(bits))
    }

    /// 1 for tie-up pages, 2 for original pages.
    pub(super) fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `others` are in it.
    pub(super) fn holds(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Adds `class`; what is new.
    pub(super) fn see(&mut self, class: MeterClass) -> First {
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

impl Default for Day {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl Day {
    /// Notes that `visitor` was seen on a page of `class`; what is new.
    pub(super) fn see(&mut self, visitor: VisitorToken, class: MeterClass) -> First {
        self.0.entry(visitor).or_default().see(class)
    }

    /// What would be new if `visitor` were seen on a page of `class`.
    pub(super) fn would_see(&self, visitor: VisitorToken, class: MeterClass) -> First {
        self.0.get(&visitor).copied().unwrap_or_default().see(class)
    }

    /// Who was seen, on pages of which classes, in no order.
    pub(super) fn visitors(&self) -> impl Iterator<Item = (VisitorToken, Classes)> {
        self.0.iter().map(|(visitor, classes)| (*visitor, *classes))
    }
}

impl FromIterator<(VisitorToken, Classes)> for Day {
    fn from_iter<I: IntoIterator<Item = (VisitorToken, Classes)>>(visitors: I) -> Self {
        Self(visitors.into_iter().collect())
    }
}
