use std::convert::Infallible;

use tieup_protocol::wire::Cause;

use super::*;
use crate::fixture;

/// A ledger in which every month has one view of a tie-up page for each entry, but that those which are `lost` are a
/// robot's. Those strikes that are of entries `aside` are of a log that was put aside; the one in its place has so many
/// entries.
struct Simulated {
    lost: &'static [u64],
    aside: &'static [u64],
    entries: u64,
    /// What the roots of the journals begin with.
    root: &'static str,
}

const WHOLE: Simulated = Simulated { lost: &[], aside: &[], entries: u64::MAX, root: "root" };

impl Simulated {
    fn is_aside(&self, strike: &Digest) -> bool {
        self.aside.iter().any(|number| Digest::of(&number.to_be_bytes()) == *strike)
    }
}

impl Ledger for Simulated {
    type Error = Infallible;

    fn contract(&self, of: Period) -> Result<Contract, Infallible> {
        // 50 yen a view, and nothing else; in 2027-06 as many euros.
        let currency = if of == period("2027-06") { "EUR" } else { "JPY" };
        Ok(fixture::contract_with(&[
            ("JPY", currency),
            ("  - {minimum: 10000}\n", ""),
            ("inherited: 50000", "inherited: 0"),
            ("[0, \"0.50\"], [100000, \"0.30\"]", "[0, \"50\"]"),
        ]))
    }

    fn head(&self, month: Month, size: u64) -> Result<JournalHead, Infallible> {
        Ok(JournalHead {
            origin: format!("nationwide/harbor-shop/{month}"),
            size,
            root: format!("{}{size}", self.root),
        })
    }

    /// A strike strikes out the entry whose number it is the digest of.
    fn struck(&self, _: Month, strikes: &[Digest]) -> Result<BTreeSet<u64>, Infallible> {
        let is_struck = |number: &u64| strikes.contains(&Digest::of(&number.to_be_bytes()));
        assert!(strikes.iter().all(|strike| !self.is_aside(strike)), "what was struck out of another log is asked for");
        Ok((0..100).filter(is_struck).collect())
    }

    fn is_of_log(&self, _: Month, strike: &Digest) -> Result<bool, Infallible> {
        Ok(!self.is_aside(strike))
    }

    fn begins_with(&self, _: Month, size: u64, root: Option<&str>) -> Result<bool, Infallible> {
        Ok(size <= self.entries && root.is_none_or(|root| root == format!("{}{size}", self.root)))
    }

    fn count(
        &self,
        contract: &Contract,
        period: Period,
        size: u64,
        struck: &BTreeSet<u64>,
    ) -> Result<Counted, Infallible> {
        let (terms, zone) = (&contract.terms.count, &contract.effective.tz);
        let mut counter = crate::count::Counter::of_period(terms, zone, period);
        let noon = period.start(zone) + jiff::SignedDuration::from_hours(12);
        for number in 0..size {
            let time = noon + jiff::SignedDuration::from_mins(i64::try_from(number).unwrap());
            if struck.contains(&number) {
                counter.strike();
                continue;
            }
            let robot = u16::from(self.lost.contains(&number));
            let view = fixture::view("2026-11-01T00:00:00Z", 1);
            counter.observe(&tieup_protocol::access::AccessEntry { time, robot, ..view });
        }
        Ok(counter.finish())
    }

    /// Entry `n` of the record is an order of `n` times 1,000 yen.
    fn recorded(&self, _: &Contract, _: Period, record: u64, _: Status) -> Result<Recorded, Infallible> {
        let order = |number: u64| fixture::order(&format!("order-{number}"), i128::from(number) * 1_000);
        Ok(Recorded { events: (1..=record).map(order).collect(), ..Recorded::default() })
    }
}

fn period(text: &str) -> Period {
    text.parse().unwrap()
}

fn revision(of: &str, size: u64, record: u64, cause: Cause) -> Revision {
    Revision { period: period(of), size, strikes: Vec::new(), record, cause }
}

fn basis(of: &str, size: u64, revisions: &[(&str, u64)]) -> Basis {
    let revision = |(of, size): &(&str, u64)| revision(of, *size, 0, Cause::LateEntries);
    let revisions = revisions.iter().map(revision).collect();
    let (strikes, status) = (Vec::new(), Status::Final);
    Basis { period: period(of), size, strikes, record: 0, status, revisions, charged: None }
}

/// What was issued from `bases`, one after the other.
fn issued(bases: &[Basis]) -> Issued {
    let mut issued = Issued::new();
    for basis in bases {
        issue(&mut issued, &WHOLE, basis.clone());
    }
    issued
}

/// Issues the statement that `ledger` gives for `basis`. Returns its text.
fn issue(issued: &mut Issued, ledger: &Simulated, basis: Basis) -> String {
    let made = Maker::new(ledger, issued).make(&basis).unwrap_or_else(|error| panic!("{error}"));
    let charged = basis.charged.clone().or_else(|| Charged::read(&made.statement.text));
    issued.insert(basis.period, Basis { charged, ..basis });
    made.statement.text
}

#[test]
fn what_came_late_is_charged_once_in_the_statements_after() {
    // November was issued with 10 views (500 yen). December corrects it to 12 (+100), January to 15 (+150): of the
    // second correction, 12 views are charged already.
    let issued = issued(&[basis("2026-11", 10, &[]), basis("2026-12", 4, &[("2026-11", 12)])]);
    let mut maker = Maker::new(&WHOLE, &issued);
    let december = maker.make(&issued[&period("2026-12")]).unwrap().statement;
    assert_eq!((december.total.minor(), december.settlement.due.minor()), (200, 300), "{}", december.text);
    let january = maker.make(&basis("2027-01", 1, &[("2026-11", 15)])).unwrap().statement;
    assert_eq!((january.total.minor(), january.settlement.due.minor()), (50, 200), "{}", january.text);
    assert!(january.text.contains("entries came late: 600 was charged, 750 is right"), "{}", january.text);
    // The correction names the statements by digest: that which counted 12 entries, and that which counts 15.
    let right = maker.make(&basis("2026-11", 15, &[])).unwrap().statement.digest();
    assert!(january.text.contains(&format!("is  {right}")), "{}", january.text);
}

#[test]
fn a_correction_goes_by_what_was_charged_whatever_the_journal_comes_to_by_now() {
    // 10 views come to 500; 900 was charged.
    let mut wrong = basis("2026-11", 10, &[]);
    let right = Maker::new(&WHOLE, &Issued::new()).make(&wrong).unwrap().statement;
    let text = right.text.replace("total:           500 JPY", "total:           900 JPY");
    assert_ne!(text, right.text);
    wrong.charged = Charged::read(&text);
    let issued = issued(&[wrong]);
    let mut maker = Maker::new(&WHOLE, &issued);
    let december = maker.make(&basis("2026-12", 1, &[("2026-11", 10)])).unwrap().statement;
    assert_eq!((december.total.minor(), december.settlement.due.minor()), (50, -350), "{}", december.text);
    assert!(december.text.contains("900 was charged, 500 is right"), "{}", december.text);
    assert!(december.text.contains(&format!("was {}", Digest::of(text.as_bytes()))), "{}", december.text);
}

#[test]
fn a_second_correction_goes_by_what_the_first_one_charged() {
    // 50 yen a view. Entry 3 is damaged in main's copy while November is issued with 10: 9 views, 450 yen. Two entries
    // come late, and December charges 11 views of 12 instead, 550 yen: 100 more. November is disputed, main accepts
    // it and mends the copy: 12 views are 600 yen, of which 550 are charged. January charges 50 more, and not 0, which
    // would be 600 less what a mended copy gives for the 12 entries of December.
    let damaged = Simulated { lost: &[3], ..WHOLE };
    let mut so_far = Issued::new();
    issue(&mut so_far, &damaged, basis("2026-11", 10, &[]));
    let december = issue(&mut so_far, &damaged, basis("2026-12", 4, &[("2026-11", 12)]));
    assert!(december.contains("entries came late: 450 was charged, 550 is right"), "{december}");
    let right = revision("2026-11", 12, 0, Cause::Dispute);
    let january = Basis { revisions: vec![right], ..basis("2027-01", 1, &[]) };
    let text = issue(&mut so_far, &WHOLE, january.clone());
    assert!(text.contains("a dispute was decided: 550 was charged, 600 is right"), "{text}");
    // 50 for its own view, and 50 more for November's.
    assert!(text.contains("due:             100 JPY"), "{text}");
    // The other side, whose log was whole all the time, comes to the same.
    assert_eq!(Maker::new(&WHOLE, &so_far).make(&january).unwrap().statement.text, text);
    // What says that something else was charged than the sum of what was signed is not gone by, nor what does not add up.
    for words in ["460 was charged, 560 is right", "450 was charged, 600 is right"] {
        let mut other = so_far.clone();
        let text = december.replace("450 was charged, 550 is right", words);
        other.get_mut(&period("2026-12")).unwrap().charged = Charged::read(&text);
        let unsaid = Maker::new(&WHOLE, &other).make(&january).unwrap_err();
        assert_eq!(unsaid, BasisError::Unsaid(period("2026-12")), "{words}");
    }
    // What does not say what it charged cannot be corrected.
    so_far.get_mut(&period("2026-11")).unwrap().charged = None;
    let unsaid = Maker::new(&WHOLE, &so_far).make(&basis("2026-12", 4, &[("2026-11", 12)])).unwrap_err();
    assert_eq!(unsaid, BasisError::Unsaid(period("2026-11")));
}

/// What corrects the ten entries of `corrected` again, for `cause`.
fn correcting(of: &str, corrected: &str, cause: Cause) -> Basis {
    Basis { revisions: vec![revision(corrected, 10, 0, cause)], ..basis(of, 1, &[]) }
}

/// Whether `of` is to be looked at after all of `issued`, of which each statement was signed on the second of the month after
/// its own, and that for `disputed` accepted as not right half a second after `accepted` began.
fn awaits(issued: &[Basis], (disputed, accepted): (&str, &str), of: &str) -> bool {
    let time = |day: String| day.parse::<jiff::Timestamp>().unwrap();
    let signed = issued.iter().map(|it| (it.period, time(format!("{}-02T00:00:00Z", it.period.month().next()))));
    let accepted = [(period(disputed), time(format!("{accepted}T00:00:00.5Z")))].into();
    let decided = Decided { accepted, signed: signed.collect() };
    let issued = issued.iter().map(|basis| (basis.period, basis.clone())).collect();
    is_disputed(&issued, &decided, period(of), period("2027-06"))
}

#[test]
fn an_accepted_dispute_is_looked_at_until_a_statement_corrects_for_it() {
    // November was corrected for another reason before, in December.
    let late = vec![basis("2026-11", 10, &[]), correcting("2026-12", "2026-11", Cause::LateEntries)];
    assert!(awaits(&late, ("2026-11", "2027-01-10"), "2026-11"));
    assert!(!awaits(&late, ("2026-10", "2027-01-10"), "2026-11"), "another statement is disputed");
    // Who disputes December disputes what it corrects of November, too.
    assert!(awaits(&late, ("2026-12", "2027-01-10"), "2026-11"));
    // January's statement is signed on the second of February.
    let decided = [late, vec![correcting("2027-01", "2026-11", Cause::Dispute)]].concat();
    assert!(!awaits(&decided, ("2026-11", "2027-02-01"), "2026-11"));
    assert!(!awaits(&decided, ("2026-12", "2027-02-01"), "2026-11"));
    assert!(!awaits(&decided, ("2026-11", "2027-02-02"), "2026-11"), "it was accepted within the second");
    assert!(awaits(&decided, ("2026-12", "2027-02-01"), "2026-12"), "nothing of December was corrected");
    assert!(awaits(&decided, ("2027-01", "2027-02-10"), "2026-11"), "the later statement is disputed in its turn");
}

#[test]
fn what_was_corrected_for_a_dispute_before_does_not_close_one_that_is_accepted_later() {
    // January corrected November for December's dispute, which was accepted; then November's own is accepted, or it was
    // for November's own, and then December's is.
    let issued = [
        basis("2026-11", 10, &[]),
        correcting("2026-12", "2026-11", Cause::LateEntries),
        correcting("2027-01", "2026-11", Cause::Dispute),
    ];
    assert!(awaits(&issued, ("2026-11", "2027-02-03"), "2026-11"));
    assert!(awaits(&issued, ("2026-12", "2027-02-03"), "2026-11"));
    // February's statement corrects for it, and is signed after that.
    let issued = [&issued[..], &[correcting("2027-02", "2026-11", Cause::Dispute)]].concat();
    assert!(!awaits(&issued, ("2026-11", "2027-02-03"), "2026-11"));
}

#[test]
fn what_is_struck_out_after_the_issue_is_given_back_once_and_does_not_come_back() {
    // November was issued with 10 views (500 yen), of which one is struck out in December and another in January.
    let strike = |number: u64| Digest::of(&number.to_be_bytes());
    let corrected = |strikes: &[Digest]| Revision {
        period: period("2026-11"),
        size: 10,
        strikes: strikes.to_vec(),
        record: 0,
        cause: Cause::StruckEntries,
    };
    let december = Basis { revisions: vec![corrected(&[strike(3)])], ..basis("2026-12", 4, &[]) };
    let issued = issued(&[basis("2026-11", 10, &[]), december.clone()]);
    let mut maker = Maker::new(&WHOLE, &issued);
    let stated = maker.make(&december).unwrap().statement;
    assert_eq!((stated.total.minor(), stated.settlement.due.minor()), (200, 150), "{}", stated.text);
    assert!(stated.text.contains("entries were struck out: 500 was charged, 450 is right"), "{}", stated.text);
    let january = |strikes: &[Digest]| Basis { revisions: vec![corrected(strikes)], ..basis("2027-01", 1, &[]) };
    let stated = maker.make(&january(&[strike(3), strike(5)])).unwrap().statement;
    assert_eq!((stated.total.minor(), stated.settlement.due.minor()), (50, 0), "{}", stated.text);
    let taken_back = maker.make(&january(&[strike(5)])).unwrap_err();
    assert_eq!(taken_back, BasisError::Unstruck(period("2026-11")));
    // Unless it is of a log that was put aside: the one in its place has 9 views that count.
    let replaced = Simulated { aside: &[3], ..WHOLE };
    let stated = Maker::new(&replaced, &issued).make(&january(&[strike(5)])).unwrap().statement;
    assert!(!stated.text.contains("is right"), "{}", stated.text);
    let other = Simulated { aside: &[3, 5], ..WHOLE };
    let stated = Maker::new(&other, &issued).make(&january(&[])).unwrap().statement;
    assert!(stated.text.contains("450 was charged, 500 is right"), "{}", stated.text);
    // A statement that is issued with a strike counts it as such.
    let stated = maker.make(&Basis { strikes: vec![strike(0)], ..basis("2027-02", 2, &[]) }).unwrap();
    assert_eq!((stated.statement.total.minor(), stated.counted.left_out.struck), (50, 1));
}

#[test]
fn a_log_that_is_another_once_more_is_told_by_what_was_right_of_the_one_before_it() {
    let mut issued = issued(&[basis("2026-11", 10, &[])]);
    let replaced =
        |of: &str, size| Basis { revisions: vec![revision("2026-11", size, 0, Cause::OtherLog)], ..basis(of, 1, &[]) };
    let second = Simulated { root: "second", ..WHOLE };
    issue(&mut issued, &second, replaced("2026-12", 8));
    // Nothing but that it has other entries tells the third from the second: it is as long by now.
    let (third, january) = (Simulated { root: "third", ..WHOLE }, replaced("2027-01", 7));
    let stated = Maker::new(&third, &issued).make(&january).unwrap().statement;
    assert!(
        stated.text.contains("the log was put aside for another: 400 was charged, 350 is right"),
        "{}",
        stated.text
    );
    // Of the same log as before, less cannot be right.
    let shrunk = BasisError::Shrunk { period: period("2026-11"), size: 7, before: 8 };
    assert_eq!(Maker::new(&second, &issued).make(&january).unwrap_err(), shrunk);
}

#[test]
fn what_was_struck_out_of_a_log_that_was_put_aside_tells_it_from_the_one_in_its_place() {
    // Entry 3 of the second log was struck out when December corrected November by it. Nothing but that strike tells the
    // third, of 7 entries, from it.
    let mut issued = issued(&[basis("2026-11", 10, &[])]);
    let struck =
        Revision { strikes: vec![Digest::of(&3_u64.to_be_bytes())], ..revision("2026-11", 8, 0, Cause::OtherLog) };
    let second = Simulated { root: "second", ..WHOLE };
    let december = Basis { revisions: vec![struck.clone()], ..basis("2026-12", 1, &[]) };
    let text = issue(&mut issued, &second, december);
    assert!(text.contains("500 was charged, 350 is right"), "{text}");
    let january = |strikes: &[Digest]| {
        let seven = Revision { size: 7, strikes: strikes.to_vec(), ..struck.clone() };
        Basis { revisions: vec![seven], ..basis("2027-01", 1, &[]) }
    };
    let shrunk = BasisError::Shrunk { period: period("2026-11"), size: 7, before: 8 };
    assert_eq!(Maker::new(&second, &issued).make(&january(&struck.strikes)).unwrap_err(), shrunk);
    let third = Simulated { aside: &[3], ..second };
    let text = Maker::new(&third, &issued).make(&january(&[])).unwrap().statement.text;
    assert!(text.contains("the log was put aside for another: 350 was charged, 350 is right"), "{text}");
}

#[test]
fn a_log_that_was_replaced_before_a_dispute_was_decided_is_told_by_what_was_right_by_that() {
    // December corrects November by a second log of 8 entries; a dispute was decided meanwhile, and is told.
    let replaced = correction_of_november("2026-12", 8, Cause::Dispute);
    let mut issued = issued(&[basis("2026-11", 10, &[])]);
    let second = Simulated { root: "second", ..WHOLE };
    let text = issue(&mut issued, &second, replaced);
    assert!(text.contains("a dispute was decided: 500 was charged, 400 is right"), "{text}");
    // Of the same log less cannot be right; of a third one it is.
    let shrunk = BasisError::Shrunk { period: period("2026-11"), size: 7, before: 8 };
    let january = correction_of_november("2027-01", 7, Cause::OtherLog);
    assert_eq!(Maker::new(&second, &issued).make(&january).unwrap_err(), shrunk);
    let (third, shorter) = (Simulated { root: "third", ..WHOLE }, Simulated { entries: 7, ..second });
    for another in [third, shorter] {
        let text = Maker::new(&another, &issued).make(&january).unwrap().statement.text;
        assert!(text.contains("the log was put aside for another: 400 was charged, 350 is right"), "{text}");
    }
}

#[test]
fn a_dispute_that_main_decided_otherwise_than_the_partners_log_has_it_does_not_make_that_another_log() {
    // Main decided by a copy in which entry 3 is a robot's. The partner's log is the one that November was issued by.
    let mut issued = issued(&[basis("2026-11", 10, &[])]);
    let damaged = Simulated { lost: &[3], ..WHOLE };
    let text = issue(&mut issued, &damaged, correction_of_november("2026-12", 10, Cause::Dispute));
    assert!(text.contains("a dispute was decided: 500 was charged, 450 is right"), "{text}");
    let shrunk = BasisError::Shrunk { period: period("2026-11"), size: 9, before: 10 };
    let january = correction_of_november("2027-01", 9, Cause::OtherLog);
    assert_eq!(Maker::new(&WHOLE, &issued).make(&january).unwrap_err(), shrunk);
    // Where it is replaced after that, it is another.
    let second = Simulated { root: "second", ..WHOLE };
    let text = Maker::new(&second, &issued).make(&january).unwrap().statement.text;
    assert!(text.contains("the log was put aside for another: 450 was charged, 450 is right"), "{text}");
}

/// What corrects November to `size` entries for `cause`.
fn correction_of_november(of: &str, size: u64, cause: Cause) -> Basis {
    Basis { revisions: vec![revision("2026-11", size, 0, cause)], ..basis(of, 1, &[]) }
}

#[test]
fn sales_that_came_late_are_charged_and_what_was_collected_with_them_is_not_charged_again() {
    // November was issued with one order of 1,000 yen, at 3.5% 35 yen, and at least 30. Two more come: 2,000 and 3,000
    // yen, 70 and 105 yen.
    let november = Basis { record: 1, ..basis("2026-11", 0, &[]) };
    let december = |record| Basis {
        revisions: vec![revision("2026-11", 0, record, Cause::ChangedSales)],
        ..basis("2026-12", 0, &[])
    };
    let issued = issued(&[november]);
    let mut maker = Maker::new(&WHOLE, &issued);
    let made = maker.make(&december(3)).unwrap().statement;
    assert!(made.text.contains("sales changed: 35 was charged, 210 is right"), "{}", made.text);
    assert_eq!(made.settlement.corrections.minor(), 175);
    let shrunk = BasisError::ShrunkRecord { period: period("2026-11"), record: 0, before: 1 };
    assert_eq!(maker.make(&december(0)).unwrap_err(), shrunk);
}

#[test]
fn a_difference_is_charged_in_the_next_open_period_and_in_no_other() {
    let open = |of: &[&str]| of.iter().map(|of| period(of)).collect::<BTreeSet<_>>();
    let of = |issued: &Issued, still: &[&str], within: &str| {
        corrects(issued, &open(still), period(within), period("2026-11"))
    };
    // December is held back while January is issued: what came late of November waits for December.
    let november = issued(&[basis("2026-11", 10, &[])]);
    assert!(of(&november, &["2026-12", "2027-01"], "2026-12") && !of(&november, &["2026-12", "2027-01"], "2027-01"));
    assert!(of(&november, &["2026-10", "2027-01"], "2027-01"), "an earlier one corrects nothing of it");
    // January has corrected it, before anything was known of December.
    let corrected = issued(&[basis("2026-11", 10, &[]), basis("2027-01", 1, &[("2026-11", 12)])]);
    assert!(!of(&corrected, &["2026-12"], "2026-12") && of(&corrected, &[], "2027-02"));
    assert_eq!(corrected_after(&corrected, period("2026-12"), period("2026-11")), Some(period("2027-01")));
}

#[test]
fn what_was_charged_in_another_currency_is_corrected_by_the_next_statement_in_that_one() {
    let issued = issued(&[basis("2027-05", 10, &[])]);
    let refused = Maker::new(&WHOLE, &issued).make(&basis("2027-06", 4, &[("2027-05", 12)])).unwrap_err();
    let told = "500 JPY was charged for 2027-05 where 600 JPY is right by now, and the statement for 2027-06 is in EUR";
    assert_eq!(refused.to_string(), told);
    // One that comes to the same is no correction in any currency.
    let made = Maker::new(&WHOLE, &issued).make(&basis("2027-06", 4, &[("2027-05", 10)])).unwrap();
    assert_eq!(made.statement.settlement.due.to_string(), "200.00 EUR");
    // What is in euros between the two changes nothing.
    let mut issued = issued;
    issue(&mut issued, &WHOLE, basis("2027-06", 4, &[]));
    let made = Maker::new(&WHOLE, &issued).make(&basis("2027-07", 4, &[("2027-05", 12)])).unwrap();
    assert_eq!(made.statement.settlement.due.to_string(), "300 JPY");
}

#[test]
fn a_decided_dispute_that_changes_no_amount_is_told_in_a_statement_of_whatever_currency() {
    // 10 views at 50 yen, which are right; then June charges in euros.
    let mut issued = issued(&[basis("2027-05", 10, &[])]);
    let june = correcting("2027-06", "2027-05", Cause::Dispute);
    let text = issue(&mut issued, &WHOLE, june.clone());
    assert!(text.contains("    a dispute was decided: 500 JPY was charged, 500 JPY is right\n"), "{text}");
    let row = text.lines().find(|line| line.starts_with("  2027-05 ")).unwrap();
    assert!(row.ends_with(" 0.00") && text.contains("due:             50.00 EUR"), "{text}");
    let charged = issued[&period("2027-06")].charged.clone().unwrap();
    assert!(charged.adds_up());
    for (right, wrong) in
        [(" 500 JPY is", " 600 JPY is"), ("500 JPY", "500 EUR"), (": 500 JPY", ": 500"), (" 0.00\n", " 1.00\n")]
    {
        assert!(!Charged::read(&text.replace(right, wrong)).unwrap().adds_up(), "{wrong:?}");
    }
    // It is closed by that, and what comes late is charged in yen from what was right by it.
    let signed = [("2027-05", "2027-06-02"), ("2027-06", "2027-07-02")];
    let time = |day: &str| format!("{day}T00:00:00Z").parse::<jiff::Timestamp>().unwrap();
    let signed = signed.into_iter().map(|(of, day)| (period(of), time(day))).collect();
    let decided = Decided { accepted: [(period("2027-05"), time("2027-06-20"))].into(), signed };
    assert!(is_disputed(&issued, &decided, period("2027-05"), period("2027-06")));
    assert!(!is_disputed(&issued, &decided, period("2027-05"), period("2027-07")));
    let july = issue(&mut issued, &WHOLE, basis("2027-07", 4, &[("2027-05", 12), ("2027-06", 1)]));
    assert!(july.contains("entries came late: 500 was charged, 600 is right"), "{july}");
    assert!(july.contains(&format!("was {}", made_right(&text))), "{july}");
    // Where June is looked at again it says the same of May.
    let again = Maker::new(&WHOLE, &issued).make(&june).unwrap().statement;
    assert_eq!(again.text, text);
}

/// The digest of the statement that is right by the first correction in `text`.
fn made_right(text: &str) -> &str {
    text.lines().find_map(|line| line.strip_prefix("    is  ")).unwrap()
}

#[test]
fn a_correction_that_makes_no_sense_is_refused() {
    let issued = issued(&[basis("2026-11", 10, &[])]);
    let refused =
        |of: &str, revisions: &[(&str, u64)]| Maker::new(&WHOLE, &issued).make(&basis(of, 1, revisions)).unwrap_err();
    let shrunk = BasisError::Shrunk { period: period("2026-11"), size: 9, before: 10 };
    assert_eq!(refused("2026-12", &[("2026-11", 9)]), shrunk);
    // Unless the log was put aside for one with fewer entries: 10 x 50 = 500 was charged, and 9 x 50 = 450 is right.
    let shorter = Simulated { entries: 9, ..WHOLE };
    let stated = Maker::new(&shorter, &issued).make(&basis("2026-12", 1, &[("2026-11", 9)])).unwrap().statement;
    assert!(stated.text.contains(": 500 was charged, 450 is right"), "{}", stated.text);
    assert_eq!(refused("2026-12", &[("2026-10", 9)]), BasisError::NotIssued(period("2026-10")));
    assert_eq!(refused("2026-12", &[("2026-11", 11), ("2026-11", 12)]), BasisError::Twice(period("2026-11")));
    let own = BasisError::NotEarlier { statement: period("2026-11"), corrected: period("2026-11") };
    assert_eq!(refused("2026-11", &[("2026-11", 11)]), own);
}
