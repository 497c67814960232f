//! The lines of a statement, each with where its amount comes from.

use tieup_protocol::contract::{Partnership, PerEvent};
use tieup_protocol::decimal::{Decimal, Percent};

use crate::books::Event;
use crate::money::{Exact, Money};

/// One line of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name of the charge or discount; `cap`, `maximum` or `minimum`.
    pub id: String,
    /// Inputs and band.
    pub why: Why,
    /// The exact amount in major units; below 0 for what is taken off.
    pub exact: Exact,
    /// The rounded amount; none where the contract rounds the total alone.
    pub rounded: Option<Money>,
}

/// Where a line's amount comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The kind of partnership.
    Partnership {
        /// The kind.
        kind: Partnership,
        /// What it costs.
        fee: Monthly,
    },
    /// The services that are rendered.
    Services(Vec<(String, Monthly)>),
    /// Units of a meter, each at the price of its tier.
    Graduated {
        /// The meter.
        meter: String,
        /// What it read.
        units: Exact,
        /// The tiers that hold some of the units.
        tiers: Vec<TierPart>,
    },
    /// Units of a meter, all at the price of the tier that they reach.
    Volume {
        /// The meter.
        meter: String,
        /// What it read.
        units: Exact,
        /// All units at the price of the tier they reach.
        reached: TierPart,
        /// An earlier tier whose own units come to more, which is then what is charged.
        held: Option<TierPart>,
    },
    /// An amount for the band that a meter is in.
    Flat {
        /// The meter.
        meter: String,
        /// The band.
        band: Band<Monthly>,
    },
    /// Units of a meter by the package.
    Package {
        /// The meter.
        meter: String,
        /// What it read.
        units: Exact,
        /// How many units a package holds.
        size: Decimal,
        /// How many packages were begun.
        packages: Exact,
        /// The price of one.
        price: Decimal,
    },
    /// A fee on each event.
    PerEvent(EventFees),
    /// A percentage by band.
    Discount {
        /// What must be so for it to be given.
        when: Option<Condition>,
        /// The meter.
        meter: String,
        /// The band that it is in; none where a ratio does not exist.
        band: Option<Band<Percent>>,
        /// What is taken off, by charge.
        on: Vec<Share>,
    },
    /// What percentages beyond the cap are given back.
    Cap {
        /// The highest percentage on any charge.
        cap: Percent,
        /// What is given back, by charge; only charges that were beyond the cap.
        on: Vec<Share>,
    },
    /// What was beyond the maximum.
    Maximum {
        /// The maximum.
        most: Monthly,
        /// The sum of the lines before it.
        before: Exact,
    },
    /// What was short of the minimum.
    Minimum {
        /// The minimum.
        least: Monthly,
        /// The sum of the lines before it.
        before: Exact,
    },
}

impl Why {
    /// Whether the line is a charge, and no adjustment.
    pub fn is_charge(&self) -> bool {
        !matches!(self, Self::Discount { .. } | Self::Cap { .. } | Self::Maximum { .. } | Self::Minimum { .. })
    }
}

/// An amount for a month, and what of it is for the period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monthly {
    /// The amount for a whole month, in major units.
    pub whole: Decimal,
    /// What part of it is charged: 1, or the period's share of the month's days.
    pub part: Exact,
}

impl Monthly {
    /// What is for the period.
    pub fn exact(&self) -> Exact {
        Exact::from(self.whole) * &self.part
    }
}

/// The units in one tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierPart {
    /// The tier holds what is above this.
    pub above: Exact,
    /// The tier holds what is up to this, and this; none for the last tier.
    pub up_to: Option<Exact>,
    /// How many of the meter's units are charged at its price.
    pub units: Exact,
    /// The price of one.
    pub price: Decimal,
    /// Units times price.
    pub exact: Exact,
}

/// The fees on events of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFees {
    /// The terms.
    pub terms: PerEvent,
    /// The rate that held.
    pub rate: Percent,
    /// The band that chose it, and the meter, where one did.
    pub band: Option<(String, Band<Percent>)>,
    /// How many events.
    pub events: u64,
    /// The sum of their amounts, in major units.
    pub amount: Exact,
    /// How many paid the least fee because the rate gave less.
    pub at_min: u64,
    /// How many paid the highest fee because the rate gave more.
    pub at_max: u64,
}

impl EventFees {
    /// What is charged for `event`, exact; none where it is not meant.
    pub fn of(&self, event: &Event) -> Option<Exact> {
        event.is_of(&self.terms.of).then(|| self.limited(self.by_rate(event)))
    }

    /// What the rate alone gives.
    pub(super) fn by_rate(&self, event: &Event) -> Exact {
        Exact::from(self.rate) * &event.amount.exact()
    }

    /// That, not below the least fee and not above the highest.
    pub(super) fn limited(&self, by_rate: Exact) -> Exact {
        by_rate.max(Exact::from(self.terms.min)).min(Exact::from(self.terms.max))
    }
}

/// The band that a value lies in: from its threshold up to, and without, the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band<T> {
    /// The value.
    pub value: Exact,
    /// The lowest value in the band.
    pub from: Exact,
    /// The lowest value that is beyond it; none for the last band.
    pub until: Option<Exact>,
    /// What holds in it.
    pub holds: T,
}

/// Whether a discount is given at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The meter.
    pub meter: String,
    /// What it read; none where a ratio does not exist.
    pub value: Option<Exact>,
    /// The least that it must read.
    pub from: Exact,
}

impl Condition {
    /// Whether it is met.
    pub fn is_met(&self) -> bool {
        self.value.as_ref().is_some_and(|value| *value >= self.from)
    }
}

/// A percentage of one charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The charge.
    pub charge: String,
    /// The undiscounted, exact amount of the charge.
    pub of: Exact,
    /// The share, 0.05 for 5%.
    pub share: Exact,
    /// Share times amount.
    pub exact: Exact,
}
