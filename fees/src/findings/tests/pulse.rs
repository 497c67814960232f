//! What is found where a journal is held against the heartbeats of the daemon that writes it.

use tieup_protocol::wire::Answered;

use super::*;

fn at(hour: i64, second: i64) -> Timestamp {
    start() + SignedDuration::from_secs(hour * 3600 + second)
}

/// A heartbeat of the process that began with `started`: so many answers for tie-up and for original pages.
fn beat(started: Timestamp, at: Timestamp, tieup: u64, original: u64) -> Heartbeat {
    Heartbeat { started, at, answered: Answered { tieup, original, nothing: 0 } }
}

fn told_by(entries: &[AccessEntry], pulse: Pulse) -> Vec<String> {
    let mut examiner = Examiner::new(terms());
    for entry in entries {
        examiner.observe(entry);
    }
    let found = examiner.finish(&Witness { pulse, ..Witness::default() }).findings;
    let told = |finding: &Finding| {
        let (first, last) = (finding.first - first_hour(), finding.last - first_hour());
        format!("{first}-{last} {}: {finding}", finding.rule().name())
    };
    found.iter().map(told).collect()
}

fn told(entries: &[AccessEntry], heartbeats: &[Heartbeat]) -> Vec<String> {
    told_by(entries, Pulse { heartbeats: heartbeats.to_vec(), told: None })
}

/// Visits of an hour to tie-up pages, one in each of so many minutes, without pictures.
fn minutes(hour: i64, minutes: i64) -> Vec<AccessEntry> {
    (0..minutes).map(|minute| seen(hour, minute * 60 + 30, 1, Tieup, &format!("/{minute}/"))).collect()
}

#[test]
fn fewer_entries_than_answers_are_told() {
    // The process starts with hour 3 and has answered 10 by 03:09:59, when a heartbeat tells so; one at 03:19:59 tells of
    // 25. The journal has an entry in each of the minutes 0 to 19: 10 up to the first, and after it 12, since what was
    // begun up to 60 seconds before it, at 03:08:59, and all of that minute counts too. 15 were answered, so 3 lack.
    let (log, started) = (minutes(3, 20), at(3, 0));
    let first = beat(started, at(3, 599), 10, 0);
    assert_eq!(told(&log, &[first, beat(started, at(3, 1199), 22, 0)]), [""; 0], "12 answers, and 12 entries");
    let expected =
        ["3-3 counters/1: The partner's daemon told of 15 answers, and the journal has no entry of 3 of them."];
    assert_eq!(told(&log, &[first, beat(started, at(3, 1199), 25, 0)]), expected);
    // From its start to its first heartbeat, too.
    let expected =
        ["3-3 counters/1: The partner's daemon told of 12 answers, and the journal has no entry of 2 of them."];
    assert_eq!(told(&log, &[beat(started, at(3, 599), 12, 0)]), expected);
}

#[test]
fn entries_of_one_class_do_not_stand_for_answers_of_another() {
    let log: Vec<_> = minutes(3, 20).into_iter().map(|entry| AccessEntry { class: Some(Original), ..entry }).collect();
    let expected =
        ["3-3 counters/1: The partner's daemon told of 10 answers, and the journal has no entry of 10 of them."];
    assert_eq!(told(&log, &[beat(at(3, 0), at(3, 1199), 10, 0)]), expected);
    assert_eq!(told(&log, &[beat(at(3, 0), at(3, 1199), 0, 10)]), [""; 0]);
}

#[test]
fn times_one_after_another_are_one_finding_and_a_new_process_counts_anew() {
    let started = at(3, 0);
    let beats = [beat(started, at(3, 600), 5, 0), beat(started, at(4, 0), 12, 0), beat(started, at(5, 0), 12, 0)];
    let expected =
        ["3-4 counters/1: The partner's daemon told of 12 answers, and the journal has no entry of 12 of them."];
    assert_eq!(told(&[], &beats), expected);
    let again = at(5, 600);
    let anew = [beats.as_slice(), &[beat(again, at(5, 1200), 3, 0)]].concat();
    let more = "5-5 counters/1: The partner's daemon told of 3 answers, and the journal has no entry of 3 of them.";
    assert_eq!(told(&[], &anew), [expected[0], more]);
}

#[test]
fn what_is_not_all_within_the_month_is_not_compared() {
    let before = start() - SignedDuration::from_secs(600);
    assert_eq!(told(&[], &[beat(before, at(0, 600), 9, 0)]), [""; 0]);
    let from_then_on = [beat(before, at(0, 600), 9, 0), beat(before, at(0, 1200), 10, 0)];
    assert_eq!(told(&[], &from_then_on).len(), 1, "the answer between the two is");
}

#[test]
fn a_journal_that_is_shorter_than_was_told_is_told() {
    let shorter = |told| told_by(&minutes(3, 20), Pulse { heartbeats: Vec::new(), told: Some((at(4, 0), told)) });
    assert_eq!(shorter(20), [""; 0]);
    assert_eq!(shorter(21), ["4-4 counters/1: The partner's daemon told of 21 entries, and main holds 20."]);
}

#[test]
fn hours_without_a_heartbeat_are_told_with_their_entries() {
    let beats = |hours: &[i64]| hours.iter().map(|hour| beat(at(0, 0), at(*hour, 600), 0, 0)).collect::<Vec<_>>();
    let log = [minutes(3, 7), minutes(4, 2), minutes(7, 5)].concat();
    assert_eq!(told(&log, &beats(&[1, 2, 3, 4, 5])), [""; 0], "before the first and after the last is no silence");
    let expected = [
        "3-4 silence/1: No heartbeat of the partner's daemon in 2 hours, which have 9 entries.",
        "6-6 silence/1: No heartbeat of the partner's daemon in an hour that has 0 entries.",
    ];
    assert_eq!(told(&log, &beats(&[2, 5, 7])), expected);
}

#[test]
fn many_starts_are_told_for_information() {
    let starts = |times: i64| {
        let beats = (0..times).map(|time| beat(at(3, time * 60), at(3, time * 60 + 30), 0, 0));
        told(&[], &beats.collect::<Vec<_>>())
    };
    assert_eq!(starts(9), [""; 0]);
    let expected = [
        "3-3 restarts/1: The partner's daemon was started 10 times; a visitor of before a start is another one after it.",
    ];
    assert_eq!(starts(10), expected);
}

/// Heartbeats of an honest daemon that began with the month and tells each 20 minutes of every entry so far.
fn honest_pulse(log: &[AccessEntry]) -> Vec<Heartbeat> {
    let last = log.last().map_or(start(), |entry| entry.time);
    let times = (1..).map(|number| start() + SignedDuration::from_mins(number * 20)).take_while(|time| *time <= last);
    let answered = |time: Timestamp, class| {
        log.iter().filter(|entry| entry.time <= time && entry.class == Some(class)).count() as u64
    };
    times.map(|time| beat(start(), time, answered(time, Tieup), answered(time, Original))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn an_honest_journal_agrees_with_its_heartbeats(site in honest(), days in 1..3_i64) {
        let log = honest_log(&site, days);
        prop_assert_eq!(told(&log, &honest_pulse(&log)), [""; 0]);
    }

    #[test]
    fn an_hour_left_out_is_found(site in honest(), hour in 1..40_i64) {
        let log = honest_log(&site, 2);
        let pulse = honest_pulse(&log);
        let number = first_hour() + hour;
        let kept: Vec<_> = log.iter().filter(|entry| tokyo().hour_number(entry.time) != number).cloned().collect();
        let found = told(&kept, &pulse);
        // What was left out in the hour's first minute may be taken for the entries of the minute before.
        let left_out = log.len() - kept.len();
        prop_assert!(left_out < 20 || found.iter().any(|told| told.contains("counters/1")), "{left_out}: {found:?}");
    }
}
