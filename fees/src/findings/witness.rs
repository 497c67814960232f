//! What main knows of a month by itself, without the partner's journal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tieup_protocol::decimal::Percent;
use tieup_protocol::path::SitePath;
use tieup_protocol::wire::Answered;

/// What main knows of a month besides the journal. Of a month of which it knows nothing, nothing is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// What it counted of beacons.
    pub beacons: Beacons,
    /// What the partner's daemon told of itself.
    pub pulse: Pulse,
}

/// What main counted of beacons, each once for a visitor, page and hour. Hours are those of the clocks in the contract's
/// zone, numbered as [`Zone::hour_number`](tieup_protocol::period::Zone::hour_number) does; a day is an hour's number
/// divided by 24.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beacons {
    /// By hour.
    pub hours: BTreeMap<i64, u64>,
    /// By day and page.
    pub pages: BTreeMap<(i64, SitePath), u64>,
    /// The first hour of which main does not hold all entries yet: nothing is compared from there on.
    pub until: i64,
    /// How far the contract lets beacons and journal differ; where it says nothing, the month's sums are not compared.
    pub tolerance: Option<Percent>,
}

/// What the partner's daemon told of itself, as far as main holds all entries of that time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Its heartbeats, in the order in which they came.
    pub heartbeats: Vec<Heartbeat>,
    /// The most entries that it said the month's journal has, and when.
    pub told: Option<(Timestamp, u64)>,
}

/// A heartbeat: what one process has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// When the process began.
    pub started: Timestamp,
    /// When it told this, by the same clock.
    pub at: Timestamp,
    /// What it had answered and logged by then.
    pub answered: Answered,
}

impl Beacons {
    /// Those of each hour that can be compared.
    pub(super) fn comparable_hours(&self) -> impl Iterator<Item = (i64, u64)> {
        self.hours.range(..self.until).map(|(hour, beacons)| (*hour, *beacons))
    }

    /// Those of each page, on days that can be compared as a whole.
    pub(super) fn comparable_pages(&self) -> BTreeMap<&SitePath, u64> {
        let mut pages = BTreeMap::new();
        for ((day, page), beacons) in &self.pages {
            if (day + 1) * 24 <= self.until {
                *pages.entry(page).or_default() += beacons;
            }
        }
        pages
    }
}
