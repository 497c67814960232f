//! What main knows of a month by itself, without the partner's journal.

use std::collections::BTreeMap;

use tieup_protocol::decimal::Percent;
use tieup_protocol::path::SitePath;

/// What main knows of a month besides the journal. Of a month of which it knows nothing, nothing is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// What it counted of beacons.
    pub beacons: Beacons,
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
