//! What each rule finds, as worked examples, and what must hold of any journal, as properties.

use jiff::SignedDuration;
use proptest::prelude::*;
use tieup_protocol::access::{Purpose, VisitorToken};
use tieup_protocol::contract::MeterClass::{self, Original, Tieup};
use tieup_protocol::period::Zone;
use tieup_protocol::robots;

use super::*;
use crate::fixture::{november, view};

mod pulse;
mod witnessed;

/// The first hour of 1 November in Tokyo. Hours in these tests count from it.
const START: &str = "2026-10-31T15:00:00Z";

fn tokyo() -> Zone {
    "Asia/Tokyo".parse().unwrap()
}

fn terms() -> Terms {
    Terms::new(november(), &tokyo(), robots::list_digest())
}

fn start() -> Timestamp {
    START.parse().unwrap()
}

fn first_hour() -> i64 {
    tokyo().hour_number(start())
}

/// Visitor `visitor` of hour `hour` views `path` so many seconds after it began. No two hours share a visitor.
fn seen(hour: i64, second: i64, visitor: u32, class: MeterClass, path: &str) -> AccessEntry {
    let mut token = [0; 16];
    token[..8].copy_from_slice(&hour.to_be_bytes());
    token[8..12].copy_from_slice(&visitor.to_be_bytes());
    AccessEntry {
        time: start() + SignedDuration::from_secs(hour * 3600 + second),
        visitor: VisitorToken(token),
        class: Some(class),
        path: path.parse().unwrap(),
        ..view(START, 0)
    }
}

/// A style sheet or a picture, asked for with `page`.
fn picture(page: &AccessEntry) -> AccessEntry {
    AccessEntry { purpose: Purpose::Resource, path: "/logo.svg".parse().unwrap(), ..page.clone() }
}

/// One hour of so many visitors, one after the other, each with one view of a page of `class` and a picture.
fn visits(hour: i64, visitors: u32, class: MeterClass) -> Vec<AccessEntry> {
    let page = |visitor| seen(hour, i64::from(visitor) * 3600 / i64::from(visitors), visitor, class, "/a/");
    (0..visitors).map(page).flat_map(|page| [page.clone(), picture(&page)]).collect()
}

/// Entries in the order of their times.
fn sorted(mut entries: Vec<AccessEntry>) -> Vec<AccessEntry> {
    entries.sort_by_key(|entry| entry.time);
    entries
}

fn examined<'a>(entries: impl IntoIterator<Item = &'a AccessEntry>) -> Vec<Finding> {
    let mut examiner = Examiner::new(terms());
    entries.into_iter().for_each(|entry| examiner.observe(entry));
    examiner.finish(&Witness::default()).findings
}

/// The findings as a person reads them, with their hours counted from the first of the month.
fn told(entries: &[AccessEntry]) -> Vec<String> {
    let told = |finding: &Finding| {
        let (first, last) = (finding.first - first_hour(), finding.last - first_hour());
        format!("{first}-{last} {}: {finding}", finding.rule().name())
    };
    examined(entries).iter().map(told).collect()
}

/// Days of 24 hours, each hour with so many visitors of tie-up pages, without those hours that are left out.
fn steady(days: i64, visitors: u32, without: &[i64]) -> Vec<AccessEntry> {
    let hours = (0..days * 24).filter(|hour| !without.contains(hour));
    hours.flat_map(|hour| visits(hour, visitors, Tieup)).collect()
}

#[test]
fn who_asks_for_one_page_again_and_again_is_told() {
    // Every 31 seconds: a view each, 116 in the hour. Every 10 seconds: one view, and 360 requests.
    let every = |seconds: i64, path| (0..3600 / seconds).map(move |n| seen(0, n * seconds, 1, Tieup, path));
    let expected = |again| {
        format!(
            "0-0 reloads/1: One visitor asked {again} times again for the page they had just got, more than the 60 times of \
             once a minute."
        )
    };
    assert_eq!(told(&every(31, "/a/").collect::<Vec<_>>()), [expected(115)]);
    assert_eq!(told(&every(10, "/a/").collect::<Vec<_>>()), [expected(359)]);
    // Once a minute is not more than that; and who reads another page in between reloads nothing.
    assert_eq!(told(&every(60, "/a/").collect::<Vec<_>>()), [""; 0]);
    let by_turns = (0..116).map(|n| seen(0, n * 31, 1, Tieup, if n % 2 == 0 { "/a/" } else { "/b/" }));
    assert_eq!(told(&by_turns.collect::<Vec<_>>()), [""; 0]);
    // What names itself a robot is counted by nobody.
    let robot = every(31, "/a/").map(|entry| AccessEntry { robot: 1, ..entry });
    assert!(told(&robot.collect::<Vec<_>>()).iter().all(|told| !told.contains("reloads")));
}

#[test]
fn hours_without_any_entry_that_usually_have_many_are_a_gap() {
    // Four days, so each hour of the day has three others: the medians of 20, 20, 20 are 20.
    let log = steady(4, 20, &[30, 31, 40]);
    let expected = [
        "30-31 gap/1: No entry at all in 2 hours, which usually have 20 visitors or more each.",
        "40-40 gap/1: No entry at all in an hour that usually has 20 visitors.",
    ];
    assert_eq!(told(&log), expected);
}

#[test]
fn a_gap_of_hours_that_differ_is_told_with_the_least_that_is_usual() {
    // Hour 6 of a day usually has 30 visitors, hour 7 has 21, hour 8 has 25; on the second day all three are empty.
    let day = |day: i64| {
        let hours = [(5, 2), (6, 30), (7, 21), (8, 25), (9, 2)];
        hours
            .into_iter()
            .filter(move |(hour, _)| day != 1 || *hour == 5 || *hour == 9)
            .flat_map(move |(hour, visitors)| visits(day * 24 + hour, visitors, Tieup))
    };
    let expected = ["30-32 gap/1: No entry at all in 3 hours, which usually have 21 visitors or more each."];
    assert_eq!(told(&(0..4).flat_map(day).collect::<Vec<_>>()), expected);
}

#[test]
fn a_small_site_has_no_gaps_and_a_short_journal_none_either() {
    assert_eq!(told(&steady(4, 19, &[30, 31])), [""; 0], "19 visitors are not many");
    assert_eq!(told(&steady(3, 40, &[30])), [""; 0], "two other days do not say what is usual");
    let without_its_ends: Vec<i64> = (0..10).chain(90..96).collect();
    assert_eq!(told(&steady(4, 40, &without_its_ends)), [""; 0], "before the first entry and after the last is no gap");
}

#[test]
fn what_is_usual_goes_by_the_week_where_there_are_weeks() {
    // 28 days; hour 12 of each Sunday (the first day of this month) is empty but for one visitor, that of other days
    // has 30. On the last Sunday nobody comes: 1, 1, 1 visitors on the three others have the median 1, so it is no gap.
    let sundays = [12, 12 + 168, 12 + 336, 12 + 504];
    let mut log = steady(28, 30, &sundays);
    sundays[..3].iter().for_each(|hour| log.extend(visits(*hour, 1, Tieup)));
    assert_eq!(told(&sorted(log)), [""; 0]);
    // The same hour of the Monday after has 30, 30, 30 on the three others.
    let expected = ["540-540 gap/1: No entry at all in an hour that usually has 30 visitors."];
    assert_eq!(told(&steady(28, 30, &[540])), expected);
}

#[test]
fn views_far_above_what_is_usual_are_a_spike_of_their_class() {
    // Hour 30 (hour 6 of the second day) is compared with hours 6, 54 and 78: 30, 34, 40 views. Their median is 34;
    // they are 4, 0 and 6 from it, so the MAD is 4; the root of 34 is 5 and a bit, so the spread is 5. Far is more than
    // 34 + 10 * 5 = 84, and 4 * 34 = 136 or more, and 100 or more. So 136 are a spike and 135 are none.
    let log = |views| {
        let hours = [(6, 30), (30, views), (54, 34), (78, 40)];
        hours.iter().flat_map(|(hour, views)| visits(*hour, *views, Original)).collect::<Vec<_>>()
    };
    assert_eq!(told(&log(136)), ["30-30 spike/1: 136 views of original pages in an hour that usually has 34."]);
    assert_eq!(told(&log(135)), [""; 0]);
    let found = examined(&log(136));
    let figures: Vec<_> = found[0].figures().iter().map(|(name, figure)| format!("{name} {figure}")).collect();
    assert_eq!(figures, ["views 136", "usual_views 34", "spread 5"]);
}

#[test]
fn where_hours_differ_much_a_spike_is_further_above() {
    // 40, 60 and 140 views have the median 60 and are 20, 0 and 80 from it: the MAD, 20, is more than the root, 7.
    // Far is more than 60 + 10 * 20 = 260, which is more than 4 * 60 = 240.
    let log = |views| {
        let hours = [(6, 40), (30, views), (54, 60), (78, 140)];
        hours.iter().flat_map(|(hour, views)| visits(*hour, *views, Original)).collect::<Vec<_>>()
    };
    assert_eq!(told(&log(261)), ["30-30 spike/1: 261 views of original pages in an hour that usually has 60."]);
    assert_eq!(told(&log(260)), [""; 0]);
}

#[test]
fn a_spike_on_a_quiet_site_has_a_hundred_views_and_medians_may_be_halves() {
    // Five days. Hour 5 of the second is compared with 0, 0, 1, 1 views: the median is 1/2, four times that is 2.
    let log = |views| {
        let hours = [(4, 1), (29, views), (77, 1), (101, 1), (102, 1)];
        hours.iter().flat_map(|(hour, views)| visits(*hour, *views, Tieup)).collect::<Vec<_>>()
    };
    assert_eq!(told(&log(100)), ["29-29 spike/1: 100 views of tie-up pages in an hour that usually has 0.5."]);
    assert_eq!(told(&log(99)), [""; 0]);
    assert_eq!(examined(&log(100))[0].figures()[1].1.to_string(), "1/2");
}

/// One visitor views so many pages in the hour, each `apart` seconds, going round ten of them.
fn hasty(hour: i64, views: i64, apart: i64, class: MeterClass) -> Vec<AccessEntry> {
    let view = |number: i64| seen(hour, number * apart, 9_000, class, &format!("/local/{}/", number % 10));
    (0..views).map(view).collect()
}

#[test]
fn more_views_than_a_person_can_are_told_with_their_share_of_the_hour() {
    let mut log = hasty(3, 241, 10, Tieup);
    log.extend(visits(3, 60, Tieup));
    let expected =
        ["3-3 rate/1: One visitor viewed 241 pages, more than the 240 a person can in an hour: 241 of the hour's 301 \
         views."];
    assert_eq!(told(&sorted(log)), expected);
    assert_eq!(told(&hasty(3, 240, 10, Tieup)), [""; 0], "a page each 15 seconds for an hour");
}

#[test]
fn repeats_of_one_page_are_no_views() {
    // 1,000 requests for one page, 3 seconds apart: each is within 30 seconds of the one before.
    let reloading: Vec<_> = (0..1000).map(|number| seen(3, number * 3, 1, Original, "/local/")).collect();
    let again = |times: u64| {
        format!(
            "3-3 reloads/1: One visitor asked {times} times again for the page they had just got, more than the 60 times of \
             once a minute."
        )
    };
    assert_eq!(told(&reloading), [again(999)]);
    // 31 seconds apart they are views, of which an hour has room for 117 by one visitor: that one has most originals.
    let views: Vec<_> = (0..116).map(|number| seen(3, number * 31, 1, Original, "/local/")).collect();
    let one_sided = "3-3 one-sided/1: 116 of the hour's 116 views of original pages are from 3 visitors or fewer.";
    assert_eq!(told(&views), [again(115), one_sided.to_owned()]);
}

#[test]
fn original_pages_that_few_visitors_view_are_one_sided() {
    // Three visitors with 20 views each, which are 60, and 59 others with one: 60 of 119 are more than half.
    let log = |others| {
        let few = (0..3_u32).flat_map(|visitor| {
            (0..20_i64).map(move |view| seen(3, view * 40, 8_000 + visitor, Original, &format!("/local/{view}/")))
        });
        sorted(few.chain(visits(3, others, Original)).collect())
    };
    let expected = ["3-3 one-sided/1: 60 of the hour's 119 views of original pages are from 3 visitors or fewer."];
    assert_eq!(told(&log(59)), expected);
    assert_eq!(told(&log(60)), [""; 0], "60 of 120 are half");
    assert_eq!(told(&log(39)), [""; 0], "99 views are not enough to say anything");
}

#[test]
fn original_pages_from_visitors_who_ask_for_nothing_else_are_one_sided_where_that_is_not_usual() {
    // Hour 3: 90 visitors ask for the page alone, 10 for a picture too: 90 of 100 are nine in ten. Elsewhere it is none
    // of 120. Where elsewhere 60 of 120 are so as well, the site is one on which that is usual.
    let alone = |hour, visitors| visits(hour, visitors, Original).into_iter().step_by(2).collect::<Vec<_>>();
    let log = |usually: u32| {
        let mut log = alone(3, 90);
        log.extend(visits(3, 10, Original).into_iter().map(|entry| {
            let mut other = entry;
            other.visitor.0[15] = 1;
            other
        }));
        log.extend(visits(5, 120 - usually, Original));
        log.extend(alone(6, usually));
        sorted(log)
    };
    let expected = [
        "3-3 one-sided/1: 90 of the hour's 100 views of original pages are from visitors who asked for nothing else; \
         in all other hours it is 0 of 120.",
    ];
    assert_eq!(told(&log(0)), expected);
    assert_eq!(told(&log(60)), [""; 0]);
}

#[test]
fn times_that_step_back_by_more_than_ten_minutes_are_told_once_a_step() {
    let at = |second| seen(3, second, 1, Tieup, "/a/");
    // 600 s back is allowed; 601 s is a step, to 1,400 s; from there on 1,500 s is ahead, and 1,000 s is allowed again.
    assert_eq!(told(&[at(2000), at(1400)]), [""; 0]);
    let expected = ["3-3 backwards/1: Times step back to this hour, by 601 seconds; counting allows for 600."];
    assert_eq!(told(&[at(2001), at(1400), at(1500), at(1000)]), expected);
    let twice = [at(3000), at(100), at(3500), at(101)];
    let expected =
        ["3-3 backwards/1: Times step back to this hour 2 times, by up to 3399 seconds; counting allows for 600."];
    assert_eq!(told(&twice), expected);
}

#[test]
fn hours_in_which_robots_get_most_documents_are_told_for_information() {
    let robots = |hour, number: u32| {
        visits(hour, number, Tieup).into_iter().map(|entry| AccessEntry { robot: 4, ..entry }).collect::<Vec<_>>()
    };
    let mut log = [robots(3, 51), robots(4, 100), robots(6, 50)].concat();
    for (hour, people) in [(3, 49), (6, 50)] {
        log.extend(visits(hour, people, Tieup).into_iter().map(|mut entry| {
            entry.visitor.0[15] = 1;
            entry
        }));
    }
    // 51 of 100 and 100 of 100, one after the other; 50 of 100 are half.
    let expected = ["3-4 robots/1: Robots got 151 of 200 documents; they are not counted."];
    assert_eq!(told(&sorted(log)), expected);
}

#[test]
fn entries_of_another_month_are_passed_over_and_counted() {
    let mut examiner = Examiner::new(terms());
    let before = AccessEntry { time: start() - SignedDuration::from_secs(1), ..seen(0, 0, 1, Tieup, "/") };
    examiner.observe(&before);
    examiner.observe(&seen(0, 0, 1, Tieup, "/"));
    let found = examiner.finish(&Witness::default());
    assert_eq!((found.entries, found.other_month, found.findings), (2, 1, Vec::new()));
}

#[test]
fn an_hour_that_is_begun_anew_is_added_to() {
    // Hours 3 and 4 and 5 come in turns, so that each is closed and begun anew; what is counted is 150 robots in each.
    let robots = |hour, second| AccessEntry { robot: 4, ..seen(hour, second, 1, Tieup, &format!("/{second}/")) };
    let log: Vec<_> = (0..150).flat_map(|second| [robots(3, second), robots(4, second), robots(5, second)]).collect();
    let told = told(&log);
    assert!(
        told.contains(&"3-5 robots/1: Robots got 450 of 450 documents; they are not counted.".to_owned()),
        "{told:?}"
    );
}

#[test]
fn a_robot_that_the_pinned_list_does_not_know_is_looked_at_as_the_visitor_that_it_is_charged_as() {
    let log = |robot: u16| -> Vec<AccessEntry> {
        let visit = |second: i64| seen(3, second * 10, 1, Tieup, &format!("/{second}/"));
        (0..300).map(|second| AccessEntry { robot, ..visit(second) }).collect()
    };
    let found = |log: &[AccessEntry]| {
        let entries = log.iter().map(|entry| Ok::<_, &str>(entry.encode()));
        let found = examine(terms(), entries, &Witness::default()).unwrap();
        found.findings.iter().map(|finding| finding.rule().name()).collect::<Vec<_>>()
    };
    let last = robots::words_of(robots::list_digest()).unwrap();
    assert!(found(&log(last)).contains(&"robots/1") && !found(&log(last)).contains(&"rate/1"));
    assert!(found(&log(last + 1)).contains(&"rate/1") && !found(&log(last + 1)).contains(&"robots/1"));
}

#[test]
fn each_day_is_looked_at_by_the_clocks_and_the_robots_of_the_version_that_governs_it() {
    let old = "blake3:e104e885ce23e0ff78e43c5a5cf705dd325dfc95b1878f166b54919a3b3f959a".parse().unwrap();
    let period = |days: &str| days.parse().unwrap();
    let first = Terms::new(november(), &tokyo(), old).with(period("2026-11-01_2026-11-15"), &tokyo(), old);
    let terms = first.with(period("2026-11-16_2026-11-30"), &Zone::utc(), robots::list_digest());
    let robot = robots::words_of(old).unwrap() + 1;
    // A robot that the second list alone knows, at 03:00 in Tokyo of the 3rd and at 03:00 UTC of the 20th.
    let hours = ["2026-11-02T18:00:00Z", "2026-11-20T03:00:00Z"].map(|time| time.parse::<Timestamp>().unwrap());
    let of_hour = |begin: Timestamp| {
        let visit = move |second: i64| {
            let page = seen(3, 0, 1, Tieup, &format!("/{second}/"));
            AccessEntry { time: begin + SignedDuration::from_secs(second * 10), robot, ..page }
        };
        (0..300).map(visit)
    };
    let mut log: Vec<AccessEntry> = hours.into_iter().flat_map(of_hour).collect();
    // The month ends with that of its last day: in Tokyo it is December.
    log.push(AccessEntry { time: "2026-11-30T23:59:59Z".parse().unwrap(), ..seen(0, 0, 1, Tieup, "/") });
    let entries = log.iter().map(|entry| Ok::<_, &str>(entry.encode()));
    let found = examine(terms, entries, &Witness::default()).unwrap();
    let told = found.findings.iter().map(|finding| (finding.from().to_string(), finding.rule().name()));
    let expected = [("2026-11-03T03:00:00", "rate/1"), ("2026-11-20T03:00:00", "robots/1")];
    let of_robots = told.filter(|(_, rule)| ["rate/1", "robots/1"].contains(rule)).collect::<Vec<_>>();
    assert_eq!(of_robots, expected.map(|(from, rule)| (from.to_owned(), rule)));
    assert_eq!((found.entries, found.other_month), (601, 0));
}

#[test]
fn an_unreadable_entry_is_named_by_its_number() {
    let good = || Ok(seen(0, 0, 1, Tieup, "/").encode());
    let entries: [Result<Vec<u8>, &str>; 3] = [good(), good(), Err("disk")];
    let error = examine(terms(), entries, &Witness::default()).unwrap_err();
    assert_eq!(error, StatementError::Read { number: 2, source: "disk" });
}

/// For each hour of the day of an honest site: how many visitors it usually has, and how many pages each views at most.
type Honest = Vec<(u32, u32)>;

/// A site that has its busy and its quiet hours, alike on each day but for chance: each hour has between
/// the usual number of visitors and half as many more, each of whom views one to five pages, tie-up and original. The number is what chance begins with.
fn honest() -> impl Strategy<Value = (Honest, u64)> {
    let hour = (1..40_u32, 1..6_u32);
    (proptest::collection::vec(hour, 24), any::<u64>())
}

/// The entries of an honest site for so many days, in the order of time.
fn honest_log((day, seed): &(Honest, u64), days: i64) -> Vec<AccessEntry> {
    let mut chance = *seed;
    let mut next = |below: u32| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((chance >> 33) % u64::from(below)).unwrap()
    };
    let mut log = Vec::new();
    for hour in 0..days * 24 {
        let (visitors, pages) = day[usize::try_from(hour % 24).unwrap()];
        for visitor in 0..visitors + next(visitors / 2 + 1) {
            let arrives = next(3000);
            for page in 0..=next(pages) {
                let class = if next(3) == 0 { Original } else { Tieup };
                let second = i64::from(arrives + page * 60);
                let view = seen(hour, second, visitor, class, &format!("/{page}/"));
                log.extend([view.clone(), picture(&view)]);
            }
        }
    }
    sorted(log)
}

/// What an inventor, a robot, a broken clock or an outage does in hour `hour` of an honest log.
fn disturbed(mut log: Vec<AccessEntry>, hour: i64, what: usize) -> Vec<AccessEntry> {
    let number = first_hour() + hour;
    match what {
        0 => log.retain(|entry| tokyo().hour_number(entry.time) != number),
        1 => log.extend((0..400_u32).map(|n| seen(hour, i64::from(n) * 9, 50_000 + n, Original, "/local/"))),
        2 => log.extend(hasty(hour, 300, 10, Original)),
        _ => log.extend(hasty(hour, 900, 4, Tieup).into_iter().map(|entry| AccessEntry { robot: 1, ..entry })),
    }
    sorted(log)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn honest_steady_traffic_gives_no_finding(site in honest(), days in 1..22_i64) {
        prop_assert_eq!(told(&honest_log(&site, days)), [""; 0]);
    }

    #[test]
    fn moving_everything_by_weeks_moves_the_findings(site in honest(), hour in 30..300_i64, what in 0..4_usize, weeks in 1..3_i64) {
        let log = disturbed(honest_log(&site, 13), hour, what);
        let later = |entry: &AccessEntry| {
            AccessEntry { time: entry.time + SignedDuration::from_hours(weeks * 168), ..entry.clone() }
        };
        let moved: Vec<_> = log.iter().map(later).collect();
        let (mut before, after) = (examined(&log), examined(&moved));
        prop_assert!(what == 0 || !before.is_empty());
        for finding in &mut before {
            finding.first += weeks * 168;
            finding.last += weeks * 168;
        }
        prop_assert_eq!(before, after);
    }

    #[test]
    fn entries_of_an_ordinary_visitor_twice_remove_no_finding(
        site in honest(), hour in 30..200_i64, what in 0..4_usize, visitor in any::<prop::sample::Index>(),
    ) {
        let honest = honest_log(&site, 10);
        let ordinary = honest[visitor.index(honest.len())].visitor;
        let log = disturbed(honest, hour, what);
        let twice = |entry: &AccessEntry| vec![entry.clone(); if entry.visitor == ordinary { 2 } else { 1 }];
        let doubled: Vec<_> = log.iter().flat_map(twice).collect();
        let after = examined(&doubled);
        for finding in examined(&log) {
            prop_assert!(after.contains(&finding), "{} is gone", finding);
        }
    }

    #[test]
    fn memory_is_that_of_the_visitors_of_two_hours(
        entries in proptest::collection::vec((0..48_i64, 0..3_600_i64, 0..5_u32), 1..3_000),
    ) {
        let mut examiner = Examiner::new(terms());
        for (hour, second, visitor) in entries {
            examiner.observe(&seen(hour, second, visitor, Tieup, "/"));
            let remembered: usize = examiner.open.iter().map(|(_, hour)| hour.remembered()).sum();
            // No hour has more visitors than five.
            prop_assert!(remembered <= OPEN_HOURS * 5);
        }
        prop_assert!(examiner.hours.len() <= 48);
    }
}
