//! What is found where a journal is held against main's beacons.

use tieup_protocol::path::SitePath;

use super::*;

/// What main counted by hour, each hour's of the page `/a/`; everything is compared.
fn counted(hours: &[(i64, u64)], tolerance: Option<&str>) -> Witness {
    let (mut by_hour, mut pages) = (BTreeMap::new(), BTreeMap::new());
    for (hour, number) in hours {
        let hour = first_hour() + hour;
        by_hour.insert(hour, *number);
        *pages.entry((hour.div_euclid(24), page("/a/"))).or_default() += number;
    }
    let tolerance = tolerance.map(|percent| percent.parse().unwrap());
    let beacons = Beacons { hours: by_hour, pages, until: i64::MAX / 2, tolerance };
    Witness { beacons, ..Witness::default() }
}

fn page(path: &str) -> SitePath {
    path.parse().unwrap()
}

fn compared<'a>(entries: impl IntoIterator<Item = &'a AccessEntry>, witness: &Witness) -> Vec<Finding> {
    let mut examiner = Examiner::new(terms());
    entries.into_iter().for_each(|entry| examiner.observe(entry));
    examiner.finish(witness).findings
}

fn told_with(entries: &[AccessEntry], witness: &Witness) -> Vec<String> {
    let told = |finding: &Finding| {
        let (first, last) = (finding.first - first_hour(), finding.last - first_hour());
        format!("{first}-{last} {}: {finding}", finding.rule().name())
    };
    compared(entries, witness).iter().map(told).collect()
}

#[test]
fn fewer_pages_served_than_beacons_came_are_told_beyond_tolerance_and_chance() {
    // 1,000 beacons of which 2% may lack an entry: 20 do, and that number spreads by its root, 4.47. Four roots above
    // are 37.9: (38 - 20)^2 = 324 is more than 16 * 20 = 320, and (37 - 20)^2 = 289 is not. So 962 are few and 963 not.
    let log = |served: u32| [visits(3, 500, Tieup), visits(4, served - 500, Tieup)].concat();
    let witness = counted(&[(3, 500), (4, 500)], Some("2%"));
    let expected = [
        "3-4 beacons/1: Main counted 1000 beacons of tie-up pages, and by the journal 962 were served: 38 fewer, where \
         2% may differ.",
    ];
    assert_eq!(told_with(&log(962), &witness), expected);
    assert_eq!(told_with(&log(963), &witness), [""; 0]);
    assert_eq!(told_with(&log(962), &counted(&[(3, 500), (4, 500)], None)), [""; 0], "nothing says how far is too far");
    let figures: Vec<_> =
        compared(&log(962), &witness)[0].figures().iter().map(|(name, figure)| format!("{name} {figure}")).collect();
    assert_eq!(figures, ["beacons 1000", "served 962"]);
}

#[test]
fn in_a_large_month_the_tolerance_is_what_counts() {
    // Of 100,000 beacons 2,000 may lack an entry; four times the root of 2,000 are 178.9. (2,179 - 2,000)^2 = 32,041 is
    // more than 16 * 2,000 = 32,000, and 178^2 = 31,684 is not.
    let tolerance = "2%".parse().unwrap();
    let is_told = |served: u64| {
        let timeline =
            |served| BTreeMap::from([(first_hour() + 3, Hour { entries: served, served, ..Hour::default() })]);
        let timeline = Timeline::new(&terms(), timeline(served));
        let hours = BTreeMap::from([(first_hour() + 3, 100_000)]);
        let beacons = Beacons { hours, until: i64::MAX / 2, tolerance: Some(tolerance), ..Beacons::default() };
        !crate::findings::witnessed::apply(&timeline, &BTreeSet::new(), &Witness { beacons, ..Witness::default() })
            .is_empty()
    };
    assert!(is_told(100_000 - 2_179));
    assert!(!is_told(100_000 - 2_178));
}

#[test]
fn some_beacons_always_lack_an_entry() {
    // Nine of twenty are not told even where nothing may differ; ten are.
    let witness = counted(&[(3, 20)], Some("0%"));
    assert_eq!(told_with(&visits(3, 11, Tieup), &witness), [""; 0]);
    let expected = [
        "3-3 beacons/1: Main counted 20 beacons of tie-up pages, and by the journal 10 were served: 10 fewer, where 0% \
         may differ.",
    ];
    assert_eq!(told_with(&visits(3, 10, Tieup), &witness), expected);
}

#[test]
fn more_pages_served_than_beacons_came_are_ordinary() {
    // Many visitors let no beacon through.
    assert_eq!(told_with(&visits(3, 500, Tieup), &counted(&[(3, 100)], Some("0%"))), [""; 0]);
}

#[test]
fn hours_with_beacons_in_which_no_tieup_page_was_served_are_told() {
    let log = sorted([visits(2, 50, Tieup), visits(3, 50, Original), visits(5, 9, Tieup)].concat());
    let witness = counted(&[(2, 40), (3, 10), (4, 12), (5, 9), (6, 9), (7, 11)], None);
    // Hour 3 has entries of originals alone, hour 4 none at all, hours 5 and 6 too few beacons to say anything.
    let expected = [
        "3-4 unlogged/1: Main counted 22 beacons of tie-up pages in 2 hours in which the journal has served none.",
        "7-7 unlogged/1: Main counted 11 beacons of tie-up pages in an hour in which the journal has served none.",
    ];
    assert_eq!(told_with(&log, &witness), expected);
}

#[test]
fn pages_with_beacons_that_were_never_served_are_told_together() {
    let mut witness = counted(&[(3, 100)], None);
    let day = first_hour().div_euclid(24);
    let pages = [(0, "/b/", 12), (1, "/b/", 1), (0, "/c/", 10), (0, "/d/", 9), (2, "/e/", 50)];
    witness.beacons.pages.extend(pages.map(|(later, path, number)| ((day + later, page(path)), number)));
    let log = visits(3, 100, Tieup);
    // `/d/` has 9 beacons, and `/e/` all of its own on a day that is not over.
    witness.beacons.until = (day + 2) * 24;
    let expected = [
        "0-47 unlogged/1: Main counted 23 beacons of 2 tie-up pages of which the journal has no entry in this month, most \
         of /b/.",
    ];
    assert_eq!(told_with(&log, &witness), expected);
    witness.beacons.pages.retain(|(_, path), _| path.as_str() != "/c/");
    let one = "0-47 unlogged/1: Main counted 13 beacons of /b/, of which the journal has no entry in this month.";
    assert_eq!(told_with(&log, &witness), [one]);
    // Where nothing was served at all, the hours tell it.
    let hours =
        "3-3 unlogged/1: Main counted 100 beacons of tie-up pages in an hour in which the journal has served none.";
    assert_eq!(told_with(&[], &witness), [hours]);
}

#[test]
fn what_main_does_not_hold_yet_is_not_compared() {
    let mut witness = counted(&[(3, 100), (4, 100), (5, 100)], Some("2%"));
    witness.beacons.until = first_hour() + 4;
    assert_eq!(told_with(&visits(3, 100, Tieup), &witness), [""; 0]);
    witness.beacons.until = first_hour() + 5;
    assert_eq!(compared(&visits(3, 100, Tieup), &witness).len(), 2, "hour 4 and the sum of both");
    assert_eq!(told_with(&visits(3, 100, Tieup), &Witness::default()), [""; 0]);
}

#[test]
fn pages_are_served_once_for_a_visitor_also_in_case_somebody_asks_for_them() {
    // The same page again, after minutes, is served once, as its beacons are counted once. One that was fetched ahead is
    // served: what a browser shows of it later asks for a beacon and not for the page. Robots and pictures are nothing.
    let again = (0..20).map(|number| seen(3, number * 100, 1, Tieup, "/a/"));
    let ahead = (0..20_u32)
        .map(|visitor| AccessEntry { purpose: Purpose::Prefetch, ..seen(3, 0, 100 + visitor, Tieup, "/a/") });
    let robots = (0..20_u32).map(|visitor| AccessEntry { robot: 1, ..seen(3, 0, 200 + visitor, Tieup, "/a/") });
    let pictures = (0..20_u32).map(|visitor| picture(&seen(3, 0, 300 + visitor, Tieup, "/a/")));
    let missing = (0..20_u32).map(|visitor| AccessEntry { status: 404, ..seen(3, 0, 400 + visitor, Tieup, "/a/") });
    let log = sorted(again.chain(ahead).chain(robots).chain(pictures).chain(missing).collect());
    let found = compared(&log, &counted(&[(3, 31)], Some("0%")));
    let served = found.iter().find_map(|finding| match finding.seen {
        Seen::FewerServed { served, .. } => Some(served),
        _ => None,
    });
    assert_eq!(served, Some(21));
}

/// The beacons of the visitors in `log` who let them through: all whose number `divides` does not divide.
fn beacons_of(log: &[AccessEntry], divides: u8) -> Witness {
    let mut witness = counted(&[], Some("2%"));
    let mut known = BTreeSet::new();
    for entry in log.iter().filter(|entry| entry.class == Some(Tieup) && entry.purpose == Purpose::Document) {
        let hour = tokyo().hour_number(entry.time);
        if entry.visitor.0[11] % divides != 0 && known.insert((hour, entry.visitor, entry.path.clone())) {
            *witness.beacons.hours.entry(hour).or_default() += 1;
            *witness.beacons.pages.entry((hour.div_euclid(24), entry.path.clone())).or_default() += 1;
        }
    }
    witness
}

fn is_witnessed(finding: &Finding) -> bool {
    matches!(finding.rule(), Rule::Beacons | Rule::Unlogged)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn an_honest_journal_agrees_with_its_beacons(site in honest(), days in 1..10_i64, divides in 2..5_u8) {
        let log = honest_log(&site, days);
        let witness = beacons_of(&log, divides);
        prop_assert_eq!(told_with(&log, &witness), [""; 0]);
    }

    #[test]
    fn half_of_all_visitors_left_out_is_found(site in honest(), half in 0..2_u8) {
        let log = honest_log(&site, 10);
        let witness = beacons_of(&log, 5);
        let kept: Vec<_> = log.into_iter().filter(|entry| entry.visitor.0[11] % 2 == half).collect();
        let counted: u64 = witness.beacons.hours.values().sum();
        prop_assume!(counted >= 200);
        prop_assert!(compared(&kept, &witness).iter().any(|finding| finding.rule() == Rule::Beacons));
    }

    #[test]
    fn tieup_pages_served_besides_bring_no_such_finding_and_originals_change_none(
        site in honest(), left_out in 2..6_u8, hour in 0..100_i64,
    ) {
        let log = honest_log(&site, 5);
        let witness = beacons_of(&log, 4);
        let kept: Vec<_> = log.into_iter().filter(|entry| entry.visitor.0[11] % left_out == 0).collect();
        let of = |entries: &[AccessEntry]| -> Vec<Finding> {
            compared(entries, &witness).into_iter().filter(is_witnessed).collect()
        };
        let before = of(&kept);
        let more = |class| sorted([kept.clone(), visits(hour, 30, class)].concat());
        prop_assert_eq!(&of(&more(Original)), &before);
        let after = of(&more(Tieup));
        for finding in &after {
            // What is left of an hour's or a month's finding may be told in fewer hours, or with another number.
            let within = |other: &&Finding| other.first <= finding.first && finding.last <= other.last;
            prop_assert!(before.iter().any(|other| within(&other) && other.rule() == finding.rule()), "{} is new", finding);
        }
    }
}
