//! What statements say, in full and in each part, and what they refuse.

use std::collections::BTreeSet;
use std::convert::Infallible;

use proptest::prelude::*;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::contract::Currency;
use tieup_protocol::robots;

use super::*;
use crate::books::{Event, sales_digest};
use crate::count::Totals;
use crate::fixture::{any_log, contract, contract_with, count, count_under, counted, head, november, order, view};
use crate::rollup::Rollup;

/// The statement for November of `counted` and `events`, or why there is none.
fn try_state(
    contract: &Contract,
    head: &JournalHead,
    counted: &Counted,
    events: &[Event],
    status: Status,
) -> Result<Statement, FeeError> {
    let account =
        Account { books: Books { counted, catalogue: None, events }, ..Account::of_visits(head, counted, status) };
    statement(contract, november(), &account)
}

fn state(contract: &Contract, counted: &Counted, events: &[Event]) -> Statement {
    try_state(contract, &head(counted), counted, events, Status::Draft).unwrap()
}

/// A month with something in every line of the statement.
fn busy_month(contract: &Contract) -> Counted {
    let mut counted = counted(contract, 250_000, 100_000);
    let fill = |totals: &mut Totals, unique_views, sessions, visitors, bytes| {
        totals.tally.unique_views = unique_views;
        totals.tally.bytes = bytes;
        totals.sessions = sessions;
        totals.visitors = visitors;
    };
    fill(&mut counted.tieup, 210_000, 60_000, 48_000, 1_536_000_000);
    fill(&mut counted.original, 90_000, 30_000, 26_000, 409_600_000);
    fill(&mut counted.both, 300_000, 75_000, 58_000, 1_945_600_000);
    counted.left_out.robots = 9_120;
    counted.left_out.double_clicks = 3_004;
    counted.entries += 9_120 + 3_004;
    counted
}

fn orders(amounts: &[i128]) -> Vec<Event> {
    amounts.iter().zip(1..).map(|(minor, number)| order(&format!("order-{number}"), *minor)).collect()
}

/// The text without the two digests that change whenever a word of the fixtures does.
fn without_digests(contract: &Contract, text: &str) -> String {
    text.replace(&contract.digest().to_string(), "CONTRACT").replace(&robots::list_digest().to_string(), "ROBOTS")
}

#[test]
fn the_text_is_as_a_fee_manager_reads_it() {
    // access: 100,000 x 0.50 + 150,000 x 0.30 = 50,000 + 45,000 = 95,000
    // orders: 3.5% of 500 is 17.5, at least 30; of 20,000 is 700; of 200,000 is 7,000, at most 5,000: 5,730
    // incentive: 5% of 50,000 + 5% of 95,000 = 2,500 + 4,750 = 7,250
    // total: 95,000 + 50,000 + 5,730 - 7,250 = 143,480
    let contract = contract();
    let stated = state(&contract, &busy_month(&contract), &orders(&[500, 20_000, 200_000]));
    assert_eq!(stated.total, Money::new(Currency::Jpy, 143_480));
    let expected = include_str!("../../fixtures/harbor-shop-2026-11.txt");
    let sales = sales_digest(&orders(&[500, 20_000, 200_000])).to_string();
    let text = without_digests(&contract, &stated.text).replace(&sales, "SALES");
    assert_eq!(first_difference(expected, &text), None, "{text}");
}

#[test]
fn the_total_alone_is_rounded_where_the_contract_says_so() {
    let contract = contract_with(&[("at: line", "at: total"), ("currency: JPY", "currency: EUR")]);
    let stated = state(&contract, &counted(&contract, 3, 0), &[]);
    let text = &stated.text;
    assert!(text.contains(&format!("\nsum{:>62}\n", "50001.5")), "{text}");
    assert!(text.ends_with("\ntotal:           50001.50 EUR\n"), "{text}");
}

#[test]
fn the_text_is_canonical() {
    let contract = contract();
    let counted = busy_month(&contract);
    let text = state(&contract, &counted, &orders(&[500])).text;
    assert_eq!(text, state(&contract, &counted, &orders(&[500])).text);
    assert!(text.starts_with("tieup-statement/2\n") && text.ends_with(" JPY\n"));
    assert!(text.is_ascii() && !text.contains(['\r', '\t']));
    assert!(text.lines().all(|line| line == line.trim_end() && line.len() <= 88), "{text}");
}

#[test]
fn draft_and_final_differ_in_one_line() {
    let contract = contract();
    let counted = busy_month(&contract);
    let draft = state(&contract, &counted, &[]).text;
    let closed = try_state(&contract, &head(&counted), &counted, &[], Status::Final).unwrap().text;
    let difference = first_difference(&draft, &closed).unwrap();
    assert_eq!(difference.left.as_deref(), Some("status:          draft"));
    assert_eq!(difference.right.as_deref(), Some("status:          final"));
    assert_eq!(draft.replacen("draft", "final", 1), closed);
}

#[test]
fn the_first_difference_is_found() {
    let differ = |line, left: Option<&str>, right: Option<&str>| {
        Some(Difference { line, left: left.map(str::to_owned), right: right.map(str::to_owned) })
    };
    let table = [
        ("a\nb\n", "a\nb\n", None),
        ("a\nb\n", "a\nc\n", differ(2, Some("b"), Some("c"))),
        ("a\nb\n", "a\nb", differ(3, Some(""), None)),
        ("a\n", "a\r\n", differ(1, Some("a"), Some("a\r"))),
        ("", "a", differ(1, Some(""), Some("a"))),
        ("a", "a\nb", differ(2, None, Some("b"))),
    ];
    for (left, right, expected) in table {
        assert_eq!(first_difference(left, right), expected, "{left:?} {right:?}");
    }
}

#[test]
fn counts_of_another_month_journal_or_contract_are_refused() {
    let contract = contract();
    let counted = counted(&contract, 5, 0);
    let good = head(&counted);
    let refusal = |contract: &Contract, month, journal: &JournalHead| {
        let account = Account::of_visits(journal, &counted, Status::Final);
        statement(contract, month, &account).map(|s| s.total).unwrap_err()
    };
    let december = november().next();
    let other_month = FeeError::OtherMonth { asked: december, counted: november() };
    assert_eq!(refusal(&contract, december, &good), other_month);
    for changed in [("double_click: 30s", "double_click: 31s"), ("Asia/Tokyo", "Asia/Seoul")] {
        let error = refusal(&contract_with(&[changed]), november(), &good);
        assert_eq!(error, FeeError::OtherRules("nationwide/harbor-shop@3".to_owned()));
    }
    let longer = JournalHead { size: 6, ..good.clone() };
    assert_eq!(refusal(&contract, november(), &longer), FeeError::OtherSize { head: 6, counted: 5 });
}

#[test]
fn a_journals_name_cannot_forge_a_line() {
    let contract = contract();
    let counted = counted(&contract, 0, 0);
    for bad in ["", "a b", "log\ntotal:           0 JPY", "log\u{202e}", "l\u{f6}g"] {
        let origin = JournalHead { origin: bad.to_owned(), ..head(&counted) };
        let root = JournalHead { root: bad.to_owned(), ..head(&counted) };
        for journal in [origin, root] {
            let error = try_state(&contract, &journal, &counted, &[], Status::Draft).unwrap_err();
            assert!(matches!(error, FeeError::JournalText(_)), "{bad:?}");
        }
    }
}

#[test]
fn a_contract_that_has_not_begun_charges_nobody() {
    let later = contract_with(&[("from: 2026-11-01", "from: 2026-12-01")]);
    let counted = counted(&later, 5, 0);
    let refused = try_state(&later, &head(&counted), &counted, &[], Status::Final).unwrap_err();
    assert_eq!(refused.to_string(), "contract nationwide/harbor-shop@3 is not in effect in 2026-11");
    let simulated = state(&later, &counted, &[]).text;
    assert!(simulated.contains("\nnote:            the contract is not in effect in this month;"), "{simulated}");
    // One that begins on the last day is in effect.
    let begun = contract_with(&[("from: 2026-11-01", "from: 2026-11-30")]);
    assert!(try_state(&begun, &head(&counted), &counted, &[], Status::Final).is_ok());
}

#[test]
fn row_003_61_protected_counts_of_visitors_accesses_and_purchases_give_the_fee() {
    // Two visitors; of five entries one is a robot's and one a repeat: 3 x 0.50 = 1.5, on its line rounded to 2.
    // One order of 20,000: 3.5% = 700. With the base of 50,000: 50,702.
    let contract = contract();
    let journal = [
        view("2026-11-10T03:00:00Z", 1),
        view("2026-11-10T03:00:20Z", 1),
        view("2026-11-10T03:00:30Z", 2),
        view("2026-11-10T05:00:00Z", 1),
        AccessEntry { robot: 1, ..view("2026-11-10T05:00:00Z", 3) },
    ];
    let main = count(&journal);
    let at_main = state(&contract, &main, &orders(&[20_000]));
    assert_eq!((main.tieup.tally.views, main.tieup.visitors), (3, 2));
    assert_eq!(at_main.total, Money::new(Currency::Jpy, 50_702));
    // The statement names the journal by its root, so counts that are not the protected ones do not pass.
    assert!(at_main.text.contains(&head(&main).root));
    let at_partner = state(&contract, &count(&journal), &orders(&[20_000]));
    assert_eq!(first_difference(&at_main.text, &at_partner.text), None);
    let one_hidden = count(&journal[1..]);
    let shorter = try_state(&contract, &head(&main), &one_hidden, &[], Status::Draft);
    assert_eq!(shorter, Err(FeeError::OtherSize { head: 5, counted: 4 }));
}

proptest! {
    #[test]
    fn splitting_the_journal_changes_nothing(log in any_log(), cuts: [prop::sample::Index; 3]) {
        let contract = contract();
        let (period, whole) = (contract.period(november()), count(&log));
        let JournalHead { origin, .. } = head(&whole);
        let mut rollup = Rollup::begin(&contract, period, &origin);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(log.len() + 1)).chain([log.len()]).collect();
        ends.sort_unstable();
        let mut taken = 0;
        // What was counted is put away, and read back by whoever counts the next part.
        for end in ends {
            for entry in &log[taken..end] {
                rollup.take(&entry.encode(), &BTreeSet::new()).unwrap();
            }
            let read = JournalHead { size: end as u64, ..head(&whole) };
            rollup.reach::<Infallible>(read).unwrap();
            rollup = Rollup::decode(&rollup.encode(), &contract, period).unwrap();
            taken = end;
        }
        let parts = rollup.counted();
        prop_assert_eq!(state(&contract, &whole, &[]).text, state(&contract, &parts, &[]).text);
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn the_order_of_entries_at_one_instant_changes_nothing(log in any_log(), keys: [u64; 32]) {
        let contract = contract();
        let mut keyed: Vec<_> = log.iter().zip(keys.into_iter().cycle()).collect();
        keyed.sort_by_key(|(entry, key)| (entry.time, *key));
        let (whole, other) = (count(&log), count(keyed.iter().map(|(entry, _)| *entry)));
        prop_assert_eq!(state(&contract, &whole, &[]).text, state(&contract, &other, &[]).text);
        prop_assert_eq!(whole, other);
    }

    #[test]
    fn robots_never_change_what_is_owed(log in any_log()) {
        let contract = contract();
        let people: Vec<_> = log.iter().filter(|entry| entry.robot == 0).collect();
        let owed = |counted: Counted| state(&contract, &counted, &[]).total;
        prop_assert_eq!(owed(count(&log)), owed(count_under(&contract, people)));
    }
}
