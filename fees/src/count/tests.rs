//! Which visits count, as tables and as properties.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tieup_protocol::access::{AccessEntry, Method, Purpose};
use tieup_protocol::contract::MeterClass::Original;

use super::plain::Plain;
use super::*;
use crate::fixture::{
    any_crowded_log, any_disordered_log, any_log, contract, contract_with, count, count_under, november, view,
};

/// A view at so many seconds after noon in Tokyo on 10 November.
fn at(seconds: i64, visitor: u8) -> AccessEntry {
    let mut entry = view("2026-11-10T03:00:00Z", visitor);
    entry.time = Timestamp::from_second(entry.time.as_second() + seconds).unwrap();
    entry
}

fn on(path: &str, mut entry: AccessEntry) -> AccessEntry {
    entry.path = path.parse().unwrap();
    entry
}

fn of(class: MeterClass, entry: AccessEntry) -> AccessEntry {
    AccessEntry { class: Some(class), ..entry }
}

fn views(entries: &[AccessEntry]) -> u64 {
    count(entries).tieup.tally.views
}

#[test]
fn only_documents_that_a_person_got_are_views() {
    let good = || at(0, 1);
    let table: [(AccessEntry, Reason); 9] = [
        (view("2026-10-31T14:59:59.999Z", 1), Reason::OtherMonth),
        (AccessEntry { class: None, ..good() }, Reason::NoPage),
        (AccessEntry { robot: 3, ..good() }, Reason::Robot),
        (AccessEntry { purpose: Purpose::Prefetch, ..good() }, Reason::NotADocument),
        (AccessEntry { purpose: Purpose::Resource, ..good() }, Reason::NotADocument),
        (AccessEntry { method: Method::Head, ..good() }, Reason::NotGet),
        (AccessEntry { method: Method::Other, ..good() }, Reason::NotGet),
        (AccessEntry { status: 206, ..good() }, Reason::OtherStatus),
        (AccessEntry { status: 404, ..good() }, Reason::OtherStatus),
    ];
    for (entry, reason) in table {
        let mut counted = count([&entry]);
        assert_eq!(counted.both, Totals::default(), "{entry:?}");
        assert_eq!((counted.entries, *reason.counter(&mut counted.left_out)), (1, 1), "{entry:?}");
    }
    assert_eq!(views(&[good(), on("/a/", AccessEntry { status: 304, ..good() })]), 2);
}

#[test]
fn an_entry_is_left_out_for_the_first_reason_alone() {
    let entry = AccessEntry { robot: 3, status: 404, method: Method::Head, ..at(0, 1) };
    let expected = LeftOut { robots: 1, ..LeftOut::default() };
    assert_eq!(count([&entry]).left_out, expected);
}

#[test]
fn a_double_click_is_one_view() {
    // (seconds of the clicks of one visitor on one page, views)
    let table: [(&[i64], u64); 6] = [
        (&[0, 30], 1),          // exactly the window
        (&[0, 31], 2),          // beyond it
        (&[0, 25, 50, 75], 1),  // a chain: each click within 30 s of the one before
        (&[0, 25, 56], 2),      // 25 joins 0; 56 is 31 s after 25
        (&[0, 0, 0], 1),        // the same instant
        (&[0, 40, 70, 101], 3), // 0 | 40-70 | 101
    ];
    for (seconds, expected) in table {
        let clicks: Vec<_> = seconds.iter().map(|s| at(*s, 1)).collect();
        let counted = count(&clicks);
        assert_eq!(counted.tieup.tally.views, expected, "{seconds:?}");
        assert_eq!(counted.left_out.double_clicks, seconds.len() as u64 - expected, "{seconds:?}");
    }
}

#[test]
fn the_window_is_exact_to_the_millisecond() {
    let later = |millisecond: i64| {
        let mut entry = at(30, 1);
        entry.time = Timestamp::from_millisecond(entry.time.as_millisecond() + millisecond).unwrap();
        entry
    };
    assert_eq!(views(&[at(0, 1), later(0)]), 1);
    assert_eq!(views(&[at(0, 1), later(1)]), 2);
}

#[test]
fn other_pages_and_other_visitors_are_no_double_click() {
    assert_eq!(views(&[at(0, 1), on("/a/", at(1, 1)), at(2, 2)]), 3);
}

#[test]
fn what_is_left_out_neither_begins_nor_prolongs_a_chain() {
    let robot = AccessEntry { robot: 1, ..at(20, 1) };
    assert_eq!(views(&[at(0, 1), robot, at(40, 1)]), 2);
}

#[test]
fn row_003_47_the_window_is_the_contracts() {
    let patient = contract_with(&[("double_click: 30s", "double_click: 2m")]);
    let clicks = [at(0, 1), at(100, 1)];
    assert_eq!(count_under(&patient, &clicks).tieup.tally.views, 1);
    assert_eq!(count_under(&contract(), &clicks).tieup.tally.views, 2);
}

#[test]
fn a_chain_counts_where_its_last_click_stands() {
    // 12:59:50 and 13:00:10 in Tokyo: one chain, counted in the hour from 13:00.
    let counted = count(&[at(3_590, 1), at(3_610, 1)]);
    let noon = contract().effective.tz.hour_number(at(0, 1).time);
    assert_eq!(counted.hours[&(noon + 1)].tieup.tally.views, 1);
    assert_eq!((counted.tieup.tally.views, counted.tieup.sessions), (1, 1));
    // Bytes were sent in both hours.
    assert_eq!((counted.hours[&noon].tieup.tally.bytes, counted.hours[&noon].tieup.tally.views), (1_000, 0));
    assert_eq!(counted.tieup.tally.bytes, 2_000);
}

#[test]
fn unique_views_sessions_and_visitors() {
    let clicks = [
        at(0, 1),
        on("/a/", at(10, 1)),
        of(Original, on("/local/", at(20, 1))),
        at(20, 2),
        at(600, 1),   // visitor 1 again on `/` in the same hour: a view, not a unique one
        at(3_600, 1), // the next hour: a new session, the same visitor
    ];
    let counted = count(&clicks);
    let totals = |views, unique_views, bytes, sessions, visitors| Totals {
        tally: Tally { views, unique_views, bytes },
        sessions,
        visitors,
    };
    // Tie-up: `/` by 1 (three times) and 2, `/a/` by 1. Sessions: 1 at noon, 2 at noon, 1 at one o'clock.
    assert_eq!(counted.tieup, totals(5, 4, 5_000, 3, 2));
    assert_eq!(counted.original, totals(1, 1, 1_000, 1, 1));
    // The session of visitor 1 at noon saw both classes and is one session here.
    assert_eq!(counted.both, totals(6, 5, 6_000, 3, 2));
    let page = |path: &str| counted.pages[path];
    assert_eq!(page("/").tieup, Tally { views: 4, unique_views: 3, bytes: 4_000 });
    assert_eq!(page("/local/").original, Tally { views: 1, unique_views: 1, bytes: 1_000 });
    assert_eq!(counted.hours.len(), 2);
}

#[test]
fn a_visitor_stays_one_over_midnight() {
    // Midnight in Tokyo is 15:00 UTC: 23:50 and 00:10 are two days and two sessions, but one visitor.
    let late = view("2026-11-10T14:50:00Z", 1);
    let early = view("2026-11-10T15:10:00Z", 1);
    let counted = count([&late, &early]);
    assert_eq!((counted.tieup.sessions, counted.tieup.visitors), (2, 1));
    // A token that comes back after a day without it is new (rule 6).
    let two_days_on = view("2026-11-12T14:50:00Z", 1);
    assert_eq!(count([&late, &two_days_on]).both.visitors, 2);
}

#[test]
fn a_day_that_was_forgotten_begins_anew_for_those_who_are_still_there() {
    let later = 2 * 86_400;
    let mut clicks = vec![
        at(0, 1),
        at(later, 2),      // ends the chain of visitor 1: a view on the first day
        at(later + 5, 1),  // opens another, by which visitor 1 is still there
        at(later + 60, 2), // makes a view of the click two days later: the first day is forgotten
    ];
    assert_eq!(count(&clicks).both.visitors, 3);
    clicks.extend([on("/a/", at(10, 1)), on("/b/", at(later + 120, 2))]);
    assert_eq!(count(&clicks).both.visitors, 4);
}

#[test]
fn the_month_is_cut_at_midnight_in_tokyo() {
    // Midnight in Tokyo is 15:00 UTC of the day before.
    let table = [
        ("2026-10-31T14:59:59.999Z", 0),
        ("2026-10-31T15:00:00Z", 1),
        ("2026-11-30T14:59:59.999Z", 1),
        ("2026-11-30T15:00:00Z", 0),
    ];
    for (time, expected) in table {
        assert_eq!(views(&[view(time, 1)]), expected, "{time}");
    }
    let utc = contract_with(&[("Asia/Tokyo", "UTC")]);
    assert_eq!(count_under(&utc, &[view("2026-10-31T15:00:00Z", 1)]).tieup.tally.views, 0);
}

#[test]
fn clicks_a_little_out_of_order_are_still_repeats() {
    // Visitor 2 moves time on by 9 minutes; the late click at 20 s is still within 30 s of the chain's 0 s.
    assert_eq!(views(&[at(0, 1), at(540, 2), at(20, 1)]), 2);
    // After more than 10 minutes and the window, the chain has ended and the late click is a view of its own.
    assert_eq!(views(&[at(0, 1), at(631, 2), at(20, 1)]), 3);
    assert_eq!(views(&[at(0, 1), at(630, 2), at(20, 1)]), 2);
    // Earlier than the chain by more than the window: a view, and the chain goes on.
    assert_eq!(views(&[at(100, 1), at(0, 1), at(110, 1)]), 2);
}

#[test]
fn one_entry_with_a_wrong_clock_does_not_end_recognition() {
    // An entry from the end of the month between ordinary ones: later double clicks are found all the same.
    let ahead = view("2026-11-30T14:00:00Z", 9);
    assert_eq!(views(&[ahead, at(0, 1), at(10, 1), at(3_000, 2), at(3_010, 2)]), 3);
}

#[test]
fn chains_cross_hours_and_files_alike() {
    // 12:59:50, 13:00:10 and 13:00:35: one chain over the end of an hour, in whatever files its entries lie.
    let clicks = [at(3_590, 1), at(3_610, 1), at(3_635, 1)];
    let whole = count(&clicks);
    assert_eq!((whole.tieup.tally.views, whole.left_out.double_clicks), (1, 2));
    let encoded = |clicks: &[AccessEntry]| clicks.iter().map(|click| Ok::<_, ()>(click.encode())).collect::<Vec<_>>();
    let files = encoded(&clicks[..1]).into_iter().chain(encoded(&clicks[1..2])).chain(encoded(&clicks[2..]));
    assert_eq!(crate::compute::count(&contract(), november(), files), Ok(whole));
}

#[test]
fn what_both_sides_struck_out_is_counted_as_struck_out_alone() {
    let clicks = [at(0, 1), at(10, 1), at(100, 2)];
    let entries = clicks.iter().map(|click| Ok::<_, ()>(click.encode()));
    let (contract, struck) = (contract(), BTreeSet::from([1, 2, 7]));
    let counted = crate::count_without(&contract, contract.period(november()), entries, &struck).unwrap();
    assert_eq!((counted.entries, counted.left_out.struck, counted.tieup.tally.views), (3, 2, 1));
    // The struck click at 10 s prolonged nothing.
    assert_eq!((counted.left_out.double_clicks, counted.tieup.tally.bytes), (0, 1_000));
}

#[test]
fn a_robot_counts_by_the_list_that_the_contract_pins() {
    // Rule 42 is the last of the first version, 43 the first that the second added.
    let first = "blake3:e104e885ce23e0ff78e43c5a5cf705dd325dfc95b1878f166b54919a3b3f959a";
    let pin = |digest: &str| format!("robots: \"{digest}\"");
    let earlier = contract_with(&[(&pin(&robots::list_digest().to_string()), &pin(first))]);
    let visits = [42, 43].map(|robot| AccessEntry { robot, ..at(i64::from(robot) * 100, 1) });
    assert_eq!(count_under(&contract(), &visits).left_out.robots, 2);
    let counted = count_under(&earlier, &visits);
    assert_eq!((counted.left_out.robots, counted.tieup.tally.views), (1, 1));
}

#[test]
fn counts_are_kept_by_hour_and_day() {
    // 23:50 and 00:10 in Tokyo, by one visitor; and another after midnight.
    let visits = [view("2026-11-10T14:50:00Z", 1), view("2026-11-10T15:10:00Z", 1), view("2026-11-10T15:20:00Z", 2)];
    let counted = count(&visits);
    let days: Vec<_> =
        counted.days().into_values().map(|d| (d.both.tally.views, d.both.sessions, d.both.visitors)).collect();
    assert_eq!(days, [(1, 1, 1), (2, 2, 1)]);
    let hours: Vec<_> = counted.hours.values().map(|h| (h.tieup.tally.views, h.tieup.sessions)).collect();
    assert_eq!(hours, [(1, 1), (2, 2)]);
}

#[test]
fn a_part_of_a_month_counts_its_own_days() {
    let contract = contract_with(&[("from: 2026-11-01", "from: 2026-11-16"), ("at: line", "at: line, prorate: days")]);
    // Midnight in Tokyo is 15:00 UTC of the day before.
    for (time, expected) in [("2026-11-15T14:59:59.999Z", 0), ("2026-11-15T15:00:00Z", 1)] {
        let counted = count_under(&contract, &[view(time, 1)]);
        assert_eq!((counted.tieup.tally.views, counted.left_out.other_month), (expected, 1 - expected), "{time}");
    }
}

#[test]
fn memory_does_not_grow_with_the_journal() {
    let contract = contract();
    let mut counter = Counter::new(&contract.terms.count, &contract.effective.tz, november());
    for second in 0..200_000 {
        let visitor = VisitorToken(u128::try_from(second).unwrap().to_be_bytes());
        counter.observe(&AccessEntry { visitor, ..at(second, 0) });
    }
    // One click a second: those of the last 630 seconds, and of the last two hours.
    let (visitors, more_chains, hours, days) = counter.visitors.sizes();
    assert!(counter.by_time.len() <= 631, "{}", counter.by_time.len());
    assert!(visitors <= 2 * 3_600 + 631 && hours <= 2 && days <= 2, "{visitors} {hours} {days}");
    assert_eq!(more_chains, 0, "each visitor has one");
    assert_eq!(counter.finish().tieup.visitors, 200_000);
}

#[test]
fn hostile_sizes_do_not_overflow() {
    let huge = |seconds| AccessEntry { bytes: u64::MAX, ..at(seconds, 1) };
    assert_eq!(count(&[huge(0), huge(60)]).tieup.tally.bytes, 2 * u128::from(u64::MAX));
}

/// Views, unique views and sessions of both classes by the plainest means: all clicks at hand, nothing forgotten.
fn plainly(log: &[AccessEntry]) -> (u64, u64, u64) {
    let zone = contract().effective.tz;
    let mut clicks: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.robot == 0 && entry.status == 200) {
        clicks.entry((entry.visitor, &entry.path)).or_default().push((entry.time, entry.class));
    }
    let (mut views, mut uniques, mut sessions) = (0, BTreeSet::new(), BTreeSet::new());
    for ((visitor, path), mut clicks) in clicks {
        clicks.sort();
        for (number, (time, class)) in clicks.iter().enumerate() {
            let next = clicks.get(number + 1);
            if next.is_some_and(|(next, _)| next.as_second() - time.as_second() <= 30) {
                continue;
            }
            let hour = zone.hour_number(*time);
            views += 1;
            uniques.insert((visitor, path, *class, hour));
            sessions.insert((visitor, hour));
        }
    }
    (views, uniques.len() as u64, sessions.len() as u64)
}

fn plainly_counted(log: &[AccessEntry]) -> Counted {
    let contract = contract();
    let (rules, zone) = (&contract.terms.count, &contract.effective.tz);
    let mut plain = Plain::of_period(rules, zone, Period::whole(november()));
    for (number, entry) in log.iter().enumerate() {
        if number % 17 == 3 { plain.strike() } else { plain.observe(entry) }
    }
    plain.finish()
}

/// Counts a log with a counter that is put away after its first `cut` entries, and goes on from there.
fn counted_in_parts(log: &[AccessEntry], cut: usize) -> Counted {
    let contract = contract();
    let (rules, zone) = (&contract.terms.count, &contract.effective.tz);
    let mut counter = Counter::new(rules, zone, november());
    for (number, entry) in log.iter().enumerate() {
        if number == cut {
            counter.settle();
            let (kept, entries) = (counter.keep(), counter.counted.entries);
            counter = Counter::resume(rules, zone, Period::whole(november()), &kept, entries).unwrap();
            assert_eq!(format!("{:?}", counter.keep()), format!("{kept:?}"));
        }
        if number % 17 == 3 { counter.strike() } else { counter.observe_encoded(&entry.encode()).unwrap() }
    }
    counter.finish()
}

proptest! {
    #[test]
    fn streaming_agrees_with_counting_plainly(log in any_log()) {
        let in_month: Vec<_> = log.into_iter().filter(|e| e.time < "2026-11-30T15:00:00Z".parse().unwrap()).collect();
        let counted = count(&in_month);
        let both = &counted.both;
        prop_assert_eq!((both.tally.views, both.tally.unique_views, both.sessions), plainly(&in_month));
    }

    #[test]
    fn the_counter_agrees_with_the_plain_one(log in any_disordered_log()) {
        prop_assert_eq!(counted_in_parts(&log, log.len()), plainly_counted(&log));
    }

    #[test]
    fn many_visitors_and_many_pages_of_one_are_counted_as_plainly(
        log in any_crowded_log(),
        cut in any::<prop::sample::Index>(),
    ) {
        let plain = plainly_counted(&log);
        prop_assert_eq!(&counted_in_parts(&log, log.len()), &plain);
        prop_assert_eq!(&counted_in_parts(&log, cut.index(log.len() + 1)), &plain);
    }

    #[test]
    fn parts_add_up_to_the_whole(log in any_log()) {
        let counted = count(&log);
        let left = counted.left_out;
        let left_out = left.struck + left.other_month + left.no_page + left.robots + left.not_documents + left.not_get
            + left.other_status + left.double_clicks;
        prop_assert_eq!(counted.both.tally.views + left_out, counted.entries);
        let mut pages = Tally::default();
        for page in counted.pages.values() {
            pages.add(&page.tieup);
            pages.add(&page.original);
        }
        prop_assert_eq!(pages, counted.both.tally);
        let whole = ByScope { tieup: counted.tieup, original: counted.original, both: counted.both };
        for parts in [counted.hours.clone(), counted.days()] {
            let mut sum = ByScope::default();
            for part in parts.values() {
                sum.add(part);
            }
            prop_assert_eq!(sum, whole);
        }
    }
}
