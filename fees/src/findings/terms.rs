//! By which clocks and by which list of robots a month is looked at: by those of the version of the contract that governs the
//! day.

use std::ops::Range;

use jiff::Timestamp;
use tieup_protocol::digest::Digest;
use tieup_protocol::period::{Month, Period, Zone};
use tieup_protocol::robots;

/// The terms of a month that findings depend on.
#[derive(Clone, Debug)]
pub struct Terms {
    month: Month,
    span: Range<Timestamp>,
    /// Those of days that no version governs.
    usual: Lens,
    parts: Vec<(Range<Timestamp>, Lens)>,
}

/// Those of one version.
#[derive(Clone, Debug)]
pub(super) struct Lens {
    zone: Zone,
    /// The last robot rule that counts; later ones match nobody.
    last_robot: u16,
}

impl Terms {
    /// A month by the clocks of `zone`, and by the list `robots` that the contract pins: what it does not know is counted as a
    /// visit, and is looked at as one.
    pub fn new(month: Month, zone: &Zone, robots: Digest) -> Self {
        let span = month.start(zone)..month.next().start(zone);
        Self { month, span, usual: Lens::new(zone, robots), parts: Vec::new() }
    }

    /// The same where another version governs the `period` of it. The month begins and ends with those of its first and last
    /// day.
    #[must_use]
    pub fn with(mut self, period: Period, zone: &Zone, robots: Digest) -> Self {
        let (span, month) = (period.start(zone)..period.end(zone), Period::whole(self.month));
        if period.first() == month.first() {
            self.span.start = span.start;
        }
        if period.last() == month.last() {
            self.span.end = span.end;
        }
        self.parts.push((span, Lens::new(zone, robots)));
        self
    }

    /// From when until when the month is.
    pub fn span(&self) -> Range<Timestamp> {
        self.span.clone()
    }

    /// The day and hour that the clocks show at `time`, as [`Zone::hour_number`] has them.
    pub fn hour_number(&self, time: Timestamp) -> i64 {
        self.at(time).hour_number(time)
    }

    /// The zones of the month, each once, in the order of its days.
    pub fn zones(&self) -> Vec<&Zone> {
        let mut zones: Vec<&Zone> = self.parts.iter().map(|(_, lens)| &lens.zone).collect();
        zones.dedup();
        if zones.is_empty() { vec![&self.usual.zone] } else { zones }
    }

    /// By what an entry of `time` is looked at; none where that is not within the month.
    pub(super) fn within(&self, time: Timestamp) -> Option<&Lens> {
        self.span.contains(&time).then(|| self.at(time))
    }

    fn at(&self, time: Timestamp) -> &Lens {
        let part = self.parts.iter().find(|(span, _)| span.contains(&time));
        part.map_or(&self.usual, |(_, lens)| lens)
    }
}

impl Lens {
    fn new(zone: &Zone, robots: Digest) -> Self {
        Self { zone: zone.clone(), last_robot: robots::words_of(robots).unwrap_or(u16::MAX) }
    }

    pub(super) fn hour_number(&self, time: Timestamp) -> i64 {
        self.zone.hour_number(time)
    }

    /// Whether the list has the robot rule, so that it counts.
    pub(super) fn has(&self, robot: u16) -> bool {
        robot <= self.last_robot
    }
}
