//! The rules: what of a journal's hours is worth a question. Each is a function of the hours alone.

use num_rational::Ratio;
use tieup_protocol::contract::MeterClass;

use super::finding::{Figure, Finding, Seen};
use super::hour::{FEW, Hour};
use super::usual::{Timeline, Usual};

/// How many visitors an hour usually has if it is odd that it has no entry: 20. Were visitors independent of each
/// other, one such hour in 500 million would be empty. Part of `gap/1`.
pub const MANY: u64 = 20;

/// How many views or documents make an hour worth looking at: 100. Part of `spike/1`, `one-sided/1`, `robots/1`.
pub const BUSY: u64 = 100;

/// How many times the usual views are far above them: 4. Part of `spike/1`.
pub const TIMES: u64 = 4;

/// How many times the usual spread views are above what is usual if they are far above: 10. Part of `spike/1`.
pub const SPREADS: u64 = 10;

/// What is found in the hours of a month by themselves.
pub(super) fn apply(hours: &Timeline) -> Vec<Finding> {
    let rules = [gaps, spikes, rates, reloads, one_sided, backwards, robots];
    rules.into_iter().flat_map(|rule| rule(hours)).collect()
}

/// `gap/1`: hours without any entry that usually have [`MANY`] visitors or more, between two that have entries.
/// Such hours one after another are one gap; what is usual is then the least of theirs.
fn gaps(timeline: &Timeline) -> Vec<Finding> {
    let mut gaps = Vec::new();
    let mut open: Option<Finding> = None;
    for (number, hour) in timeline.hours() {
        let usual = timeline.usual(number, |hour| hour.visitors).map(|usual| usual.median);
        match usual.filter(|usual| hour.entries == 0 && *usual >= Ratio::from_integer(MANY)) {
            Some(usual) => open = Some(lengthened(open.as_ref(), number, usual)),
            None => gaps.extend(open.take()),
        }
    }
    gaps.extend(open);
    gaps
}

/// A gap that has one hour more, or that begins with it.
fn lengthened(open: Option<&Finding>, number: i64, usual: Ratio<u64>) -> Finding {
    match open {
        Some(&Finding { first, seen: Seen::Gap { hours, usual: Figure(least) }, .. }) => {
            let seen = Seen::Gap { hours: hours + 1, usual: Figure(least.min(usual)) };
            Finding { first, last: number, seen }
        }
        _ => Finding::at(number, Seen::Gap { hours: 1, usual: Figure(usual) }),
    }
}

/// `spike/1`: views of a class in an hour that are [`BUSY`] or more, [`TIMES`] the median or more, and more than
/// [`SPREADS`] spreads above it. The spread is the MAD, and no less than the whole part of the median's square root,
/// which is how far visits by chance alone spread, and no less than 1.
fn spikes(timeline: &Timeline) -> Vec<Finding> {
    let classes = [MeterClass::Tieup, MeterClass::Original];
    let of_class = |class: MeterClass| {
        timeline.hours().filter_map(move |(number, hour)| {
            let views = hour.views_of(class);
            let usual = if views < BUSY { None } else { timeline.usual(number, |hour| hour.views_of(class)) }?;
            let spread = spread(&usual);
            let far = Ratio::from_integer(views) > usual.median + spread * SPREADS
                && Ratio::from_integer(views) >= usual.median * TIMES;
            let seen = Seen::Spike { class, views, usual: Figure(usual.median), spread: Figure(spread) };
            far.then(|| Finding::at(number, seen))
        })
    };
    classes.into_iter().flat_map(of_class).collect()
}

fn spread(usual: &Usual) -> Ratio<u64> {
    usual.spread.max(Ratio::from_integer(usual.median.to_integer().isqrt().max(1)))
}

/// `rate/1`: visitors with more views in an hour than [`RATE`](super::RATE).
fn rates(timeline: &Timeline) -> Vec<Finding> {
    let rate = |(number, hour): (i64, &Hour)| {
        let Hour { hasty: visitors, hasty_views: views, hasty_most: most, .. } = *hour;
        (visitors > 0).then(|| Finding::at(number, Seen::Rate { visitors, views, most, of: hour.views() }))
    };
    timeline.hours().filter_map(rate).collect()
}

/// `reloads/1`: visitors who ask again for the page they have just got more often than [`RELOADS`](super::RELOADS) in an hour,
/// at once or later.
fn reloads(timeline: &Timeline) -> Vec<Finding> {
    let storm = |(number, hour): (i64, &Hour)| {
        let Hour { reloading: visitors, reloads, reloads_most: most, .. } = *hour;
        (visitors > 0).then(|| Finding::at(number, Seen::Reloads { visitors, reloads, most }))
    };
    timeline.hours().filter_map(storm).collect()
}

/// `one-sided/1`, of hours with [`BUSY`] views of original pages or more: more than half of them by [`FEW`] visitors;
/// or nine in ten or more by visitors who ask for nothing else, neither a tie-up page nor a picture nor anything, where
/// that is less than half in all other hours together, which have [`BUSY`] such views or more.
fn one_sided(timeline: &Timeline) -> Vec<Finding> {
    let sum = |number: fn(&Hour) -> u64| timeline.hours().map(|(_, hour)| number(hour)).sum::<u64>();
    let (all, all_alone) = (sum(|hour| hour.original), sum(|hour| hour.alone));
    let judge = |(number, hour): (i64, &Hour)| {
        let (views, few, alone) = (hour.original, hour.few, hour.alone);
        let (elsewhere, elsewhere_alone) = (all - views, all_alone - alone);
        let by_few = (few * 2 > views).then_some(Seen::FewVisitors { views, few, visitors: FEW as u64 });
        let unusual = elsewhere >= BUSY && elsewhere_alone * 2 < elsewhere;
        let by_others = (alone * 10 >= views * 9 && unusual).then_some(Seen::NothingElse {
            views,
            alone,
            elsewhere,
            elsewhere_alone,
        });
        let seen = [by_few, by_others].into_iter().flatten().filter(move |_| views >= BUSY);
        seen.map(move |seen| Finding::at(number, seen))
    };
    timeline.hours().flat_map(judge).collect()
}

/// `backwards/1`: times that step back by more than counting allows, told of the hour that they step back to.
fn backwards(timeline: &Timeline) -> Vec<Finding> {
    let step = |(number, hour): (i64, &Hour)| {
        let seen = Seen::Backwards { steps: hour.steps, seconds: hour.furthest.div_ceil(1000) };
        (hour.steps > 0).then(|| Finding::at(number, seen))
    };
    timeline.hours().filter_map(step).collect()
}

/// `robots/1`: hours with [`BUSY`] documents or more, more than half of which robots got. Such hours one after another
/// are one finding.
fn robots(timeline: &Timeline) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut adjacent = false;
    for (number, hour) in timeline.hours() {
        let documents = hour.robots + hour.views();
        let most = documents >= BUSY && hour.robots * 2 > documents;
        if most {
            let before = if adjacent { found.pop() } else { None };
            found.push(joined(before.as_ref(), number, hour.robots, documents));
        }
        adjacent = most;
    }
    found
}

/// Hours of robots with one hour more, or that begin with it.
fn joined(before: Option<&Finding>, number: i64, robots: u64, documents: u64) -> Finding {
    match before {
        Some(&Finding { first, seen: Seen::Robots { robots: earlier, documents: all }, .. }) => {
            let seen = Seen::Robots { robots: earlier + robots, documents: all + documents };
            Finding { first, last: number, seen }
        }
        _ => Finding::at(number, Seen::Robots { robots, documents }),
    }
}
