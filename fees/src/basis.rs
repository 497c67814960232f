//! What an issued statement is made from, told in a few words, so that the other side makes it from its own journal.
//!
//! Main decides which months a statement corrects and up to which entry each journal counts; that alone is told. Both
//! sides go the same way from there, so that the partner takes no amount of main's on trust.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tieup_protocol::contract::{Contract, Segment};
use tieup_protocol::digest::Digest;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::wire::{Cause, Revision, StatementNotice};

use crate::books::Books;
use crate::charged::Charged;
use crate::count::Counted;
use crate::money::Money;
use crate::record::Recorded;
use crate::settlement::Correction;
use crate::statement::{Account, FeeError, JournalHead, Statement, Status, statement};

/// What a statement is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The period.
    pub period: Period,
    /// How many entries of its month's journal count.
    pub size: u64,
    /// The strikes by which entries of it are left out.
    pub strikes: Vec<Digest>,
    /// How many entries of main's record count.
    pub record: u64,
    /// Draft or final.
    pub status: Status,
    /// What of earlier periods is corrected.
    pub revisions: Vec<Revision>,
    /// What was charged, where it was issued.
    pub charged: Option<Charged>,
}

/// Where contracts and journals are read.
pub trait Ledger {
    /// Why they cannot be read.
    type Error;

    /// The contract that `period` is charged under: where its statement was issued, the one that it was issued under,
    /// whatever was agreed on since.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    fn contract(&self, period: Period) -> Result<Contract, Self::Error>;

    /// The head of the first `size` entries of the journal of `month`.
    ///
    /// # Errors
    /// When the journal is shorter, or cannot be read.
    fn head(&self, month: Month, size: u64) -> Result<JournalHead, Self::Error>;

    /// The numbers of the entries that `strikes` leave out of the journal of `month`.
    ///
    /// # Errors
    /// When one of them is not agreed on, or is of another month.
    fn struck(&self, month: Month, strikes: &[Digest]) -> Result<BTreeSet<u64>, Self::Error>;

    /// What those entries of the journal of its month come to in `period` by the rules of `contract`, without those that
    /// are `struck` out.
    ///
    /// # Errors
    /// When the journal is shorter, or cannot be read.
    fn count(
        &self,
        contract: &Contract,
        period: Period,
        size: u64,
        struck: &BTreeSet<u64>,
    ) -> Result<Counted, Self::Error>;

    /// What main's record says of the period that `basis` is for, as far as it counts there.
    ///
    /// # Errors
    /// When the record is shorter, or cannot be read or charged under `contract`.
    fn recorded(&self, contract: &Contract, basis: &Basis) -> Result<Recorded, Self::Error>;
}

/// A statement with what it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The contract.
    pub contract: Contract,
    /// The journal, counted.
    pub counted: Counted,
    /// The statement.
    pub statement: Statement,
    /// What is right of the earlier periods that it corrects.
    pub corrected: Vec<Arc<Made>>,
}

/// Why no statement can be made; `E` is what reading a ledger can fail with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BasisError<E> {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(E),
    /// There is no statement for what was counted.
    #[error(transparent)]
    Fee(#[from] FeeError),
    /// A period is corrected in its own statement, or in an earlier one.
    #[error("the statement for {statement} cannot correct {corrected}")]
    NotEarlier {
        /// The period of the statement.
        statement: Period,
        /// The period that would be corrected.
        corrected: Period,
    },
    /// A period is corrected twice in one statement.
    #[error("{0} is corrected twice in one statement")]
    Twice(Period),
    /// No statement was issued for a period, so there is nothing to correct.
    #[error("{0} is corrected, and no statement was issued for it")]
    NotIssued(Period),
    /// A correction counts less of a journal than was counted before.
    #[error("the correction of {period} counts {size} entries, and {before} were counted before")]
    Shrunk {
        /// The period.
        period: Period,
        /// What it counts.
        size: u64,
        /// What was counted before.
        before: u64,
    },
    /// What was charged for a period cannot be read from the statement that was issued.
    #[error("the statement that was issued for {0} does not say what it charged")]
    Unsaid(Period),
    /// A correction takes back a strike.
    #[error("the correction of {0} counts entries again that were struck out")]
    Unstruck(Period),
    /// A correction goes by less of main's record than was gone by before.
    #[error("the correction of {period} goes by {record} entries of main's record, and by {before} it went before")]
    ShrunkRecord {
        /// The period.
        period: Period,
        /// What it goes by.
        record: u64,
        /// What was gone by before.
        before: u64,
    },
}

/// How much of a journal has been charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent<'a> {
    /// How many entries.
    pub size: u64,
    /// The strikes by which some of them are left out.
    pub strikes: &'a [Digest],
    /// How many entries of main's record were gone by.
    pub record: u64,
}

/// The statements that were issued, by period.
pub type Issued = BTreeMap<Period, Basis>;

impl Basis {
    /// What the statement of `notice` is made from, as main says.
    pub fn of(notice: &StatementNotice) -> Self {
        let StatementNotice { period, size, record, status, ref strikes, ref revisions, ref statement, .. } = *notice;
        let charged = if status == Status::Final { Charged::read(statement) } else { None };
        Self { period, size, strikes: strikes.clone(), record, status, revisions: revisions.clone(), charged }
    }

    /// What it corrects of `period`.
    fn revision(&self, period: Period) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.period == period)
    }
}

/// The periods of `month` that have a statement each: those that were issued, as they were, and of the versions that
/// govern the month now, in `segments`, those whose days are in no issued one.
pub fn charged_periods(issued: &Issued, segments: &[Segment], month: Month) -> Vec<Period> {
    let mut periods: Vec<Period> = issued.keys().copied().filter(|period| period.month() == month).collect();
    let governed = segments.iter().map(|segment| segment.period);
    let open: Vec<Period> = governed.filter(|open| periods.iter().all(|issued| !issued.overlaps(*open))).collect();
    periods.extend(open);
    periods.sort_unstable();
    periods
}

/// How much of the journal of `period` has been charged for by statements for periods before `until`; none where its own
/// was not issued.
pub fn charged_so_far(issued: &Issued, period: Period, until: Period) -> Option<Extent<'_>> {
    let &Basis { size, ref strikes, record, .. } = issued.get(&period)?;
    let revised = between(issued, period, until).rev().find_map(|basis| basis.revision(period));
    Some(revised.map_or(Extent { size, strikes, record }, |revision| Extent {
        size: revision.size,
        strikes: &revision.strikes,
        record: revision.record,
    }))
}

/// The statements that were issued for periods after `period` and before `until`, in their order.
fn between(issued: &Issued, period: Period, until: Period) -> impl DoubleEndedIterator<Item = &Basis> {
    issued.values().filter(move |basis| basis.period > period && basis.period < until)
}

/// Whether what was decided of disputed statements is still to be looked at in `period`, by a statement for `until`, where
/// main accepted that those for the periods `accepted` are not right: of each its own period is looked at, and those that it
/// corrects, until a later statement corrects them for that reason.
pub fn is_disputed(issued: &Issued, accepted: &BTreeSet<Period>, period: Period, until: Period) -> bool {
    accepted.iter().any(|disputed| {
        let corrects = || issued.get(disputed).is_some_and(|basis| basis.revision(period).is_some());
        let is_decided = |revision: &Revision| revision.cause == Cause::Dispute;
        let mut since = between(issued, *disputed, until);
        (*disputed == period || corrects()) && !since.any(|basis| basis.revision(period).is_some_and(is_decided))
    })
}

/// Whether the statement for `within` is the one that corrects `earlier`, where the periods `open` were not issued yet.
///
/// A difference is charged in the next period that is open, and in no other: not while one between the two is, however
/// long that is held back, and not where a later one has charged for it already.
pub fn corrects(issued: &Issued, open: &BTreeSet<Period>, within: Period, earlier: Period) -> bool {
    let is_next = !open.iter().any(|open| *open > earlier && *open < within);
    is_next && corrected_after(issued, within, earlier).is_none()
}

/// The first period after `within` whose statement has corrected `earlier`.
pub fn corrected_after(issued: &Issued, within: Period, earlier: Period) -> Option<Period> {
    let mut later = issued.values().filter(|basis| basis.period > within);
    later.find(|basis| basis.revision(earlier).is_some()).map(|basis| basis.period)
}

/// Makes statements from a ledger; what was made once is not made again.
pub struct Maker<'a, L> {
    ledger: &'a L,
    issued: &'a Issued,
    /// By period and how much was charged for, with the revisions that were issued for the period.
    made: BTreeMap<(Period, u64, Vec<Digest>, u64), Arc<Made>>,
}

impl<'a, L: Ledger> Maker<'a, L> {
    /// One that reads `ledger`, where `issued` has been issued.
    pub fn new(ledger: &'a L, issued: &'a Issued) -> Self {
        Self { ledger, issued, made: BTreeMap::new() }
    }

    /// The statement that `basis` tells of.
    ///
    /// # Errors
    /// See [`BasisError`].
    pub fn make(&mut self, basis: &Basis) -> Result<Made, BasisError<L::Error>> {
        let (corrections, corrected) = self.corrections(basis)?;
        let month = basis.period.month();
        let contract = self.ledger.contract(basis.period).map_err(BasisError::Ledger)?;
        let journal = self.ledger.head(month, basis.size).map_err(BasisError::Ledger)?;
        let struck = self.ledger.struck(month, &basis.strikes).map_err(BasisError::Ledger)?;
        let counted = self.ledger.count(&contract, basis.period, basis.size, &struck).map_err(BasisError::Ledger)?;
        let Recorded { events, payments, catalogue } =
            self.ledger.recorded(&contract, basis).map_err(BasisError::Ledger)?;
        let books = Books { counted: &counted, catalogue: catalogue.as_ref(), events: &events };
        let account =
            Account { journal: &journal, books, payments: &payments, corrections: &corrections, status: basis.status };
        let statement = statement(&contract, month, &account)?;
        Ok(Made { contract, counted, statement, corrected })
    }

    /// The correction of `revision` in the statement for the period `within`, and what is right; none where it comes to the
    /// same fee.
    ///
    /// # Errors
    /// See [`BasisError`].
    pub fn correction(
        &mut self,
        within: Period,
        revision: &Revision,
    ) -> Result<Option<(Correction, Arc<Made>)>, BasisError<L::Error>> {
        let &Revision { period, size, record, cause, ref strikes } = revision;
        if period >= within {
            return Err(BasisError::NotEarlier { statement: within, corrected: period });
        }
        let before = charged_so_far(self.issued, period, within).ok_or(BasisError::NotIssued(period))?;
        if size < before.size {
            return Err(BasisError::Shrunk { period, size, before: before.size });
        }
        if before.strikes.iter().any(|strike| !strikes.contains(strike)) {
            return Err(BasisError::Unstruck(period));
        }
        if record < before.record {
            return Err(BasisError::ShrunkRecord { period, record, before: before.record });
        }
        let right = Extent { size, strikes, record };
        let (charged, right) = (self.charged(period, within)?, self.counting(period, right)?);
        Ok(Correction::between(period, charged, &right.statement, cause).map(|correction| (correction, right)))
    }

    /// What was charged for `period` by statements for periods before `until`, without what was collected with sales, and
    /// by which statement: what the last of them that corrects it says is right, or as it was issued. It is read from what
    /// main signed, whatever a log comes to by now.
    fn charged(&self, period: Period, until: Period) -> Result<(Digest, Money), BasisError<L::Error>> {
        let issued = self.issued.get(&period).ok_or(BasisError::NotIssued(period))?;
        let currency = self.ledger.contract(period).map_err(BasisError::Ledger)?.terms.money.currency;
        let mut later = between(self.issued, period, until).rev().filter_map(|basis| basis.charged.as_ref());
        if let Some(right) = later.find_map(|charged| charged.right(period, currency)) {
            return Ok(right);
        }
        let as_issued = issued.charged.as_ref().and_then(|it| Some((it.statement, it.amount(currency)?)));
        as_issued.ok_or(BasisError::Unsaid(period))
    }

    fn corrections(&mut self, basis: &Basis) -> Result<(Vec<Correction>, Vec<Arc<Made>>), BasisError<L::Error>> {
        let mut seen = BTreeSet::new();
        let mut corrections = Vec::new();
        for revision in &basis.revisions {
            if !seen.insert(revision.period) {
                return Err(BasisError::Twice(revision.period));
            }
            corrections.extend(self.correction(basis.period, revision)?);
        }
        Ok(corrections.into_iter().unzip())
    }

    /// What was issued for `period`, if it had counted so much.
    fn counting(&mut self, period: Period, extent: Extent<'_>) -> Result<Arc<Made>, BasisError<L::Error>> {
        let Extent { size, strikes, record } = extent;
        let key = (period, size, strikes.to_vec(), record);
        if let Some(made) = self.made.get(&key) {
            return Ok(made.clone());
        }
        let issued = self.issued.get(&period).ok_or(BasisError::NotIssued(period))?;
        let made = Arc::new(self.make(&Basis { size, strikes: strikes.to_vec(), record, ..issued.clone() })?);
        self.made.insert(key, made.clone());
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::fixture;

    /// A ledger in which every month has one view of a tie-up page for each entry, but that those which are `lost` are a
    /// robot's.
    struct Simulated {
        lost: &'static [u64],
    }

    const WHOLE: Simulated = Simulated { lost: &[] };

    impl Ledger for Simulated {
        type Error = Infallible;

        fn contract(&self, _: Period) -> Result<Contract, Infallible> {
            // 50 yen a view, and nothing else.
            Ok(fixture::contract_with(&[
                ("  - {minimum: 10000}\n", ""),
                ("inherited: 50000", "inherited: 0"),
                ("[0, \"0.50\"], [100000, \"0.30\"]", "[0, \"50\"]"),
            ]))
        }

        fn head(&self, month: Month, size: u64) -> Result<JournalHead, Infallible> {
            Ok(JournalHead { origin: format!("nationwide/harbor-shop/{month}"), size, root: format!("root{size}") })
        }

        /// A strike strikes out the entry whose number it is the digest of.
        fn struck(&self, _: Month, strikes: &[Digest]) -> Result<BTreeSet<u64>, Infallible> {
            let is_struck = |number: &u64| strikes.contains(&Digest::of(&number.to_be_bytes()));
            Ok((0..100).filter(is_struck).collect())
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
        fn recorded(&self, _: &Contract, basis: &Basis) -> Result<Recorded, Infallible> {
            let order = |number: u64| fixture::order(&format!("order-{number}"), i128::from(number) * 1_000);
            Ok(Recorded { events: (1..=basis.record).map(order).collect(), ..Recorded::default() })
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
        let damaged = Simulated { lost: &[3] };
        let mut so_far = Issued::new();
        issue(&mut so_far, &damaged, basis("2026-11", 10, &[]));
        let december = issue(&mut so_far, &damaged, basis("2026-12", 4, &[("2026-11", 12)]));
        assert!(december.contains("entries came late: 450 was charged, 550 is right"), "{december}");
        let right = Revision { cause: Cause::Dispute, ..revision("2026-11", 12, 0, Cause::Dispute) };
        let january = Basis { revisions: vec![right], ..basis("2027-01", 1, &[]) };
        let text = issue(&mut so_far, &WHOLE, january.clone());
        assert!(text.contains("a dispute was decided: 550 was charged, 600 is right"), "{text}");
        // 50 for its own view, and 50 more for November's.
        assert!(text.contains("due:             100 JPY"), "{text}");
        // The other side, whose log was whole all the time, comes to the same.
        assert_eq!(Maker::new(&WHOLE, &so_far).make(&january).unwrap().statement.text, text);
        // What does not say what it charged cannot be corrected.
        so_far.get_mut(&period("2026-11")).unwrap().charged = None;
        let unsaid = Maker::new(&WHOLE, &so_far).make(&basis("2026-12", 4, &[("2026-11", 12)])).unwrap_err();
        assert_eq!(unsaid, BasisError::Unsaid(period("2026-11")));
    }

    #[test]
    fn an_accepted_dispute_is_looked_at_until_a_statement_corrects_for_it() {
        let accepted = |of: &[&str]| of.iter().map(|of| period(of)).collect::<BTreeSet<_>>();
        let by = |of: &str, corrected: &str, cause| Basis {
            revisions: vec![revision(corrected, 10, 0, cause)],
            ..basis(of, 1, &[])
        };
        let bases = |bases: Vec<Basis>| -> Issued { bases.into_iter().map(|basis| (basis.period, basis)).collect() };
        let is_open = |issued: &Issued, disputed: &str, of: &str| {
            is_disputed(issued, &accepted(&[disputed]), period(of), period("2027-06"))
        };
        // November was corrected for another reason before, in December.
        let late = vec![basis("2026-11", 10, &[]), by("2026-12", "2026-11", Cause::LateEntries)];
        assert!(is_open(&bases(late.clone()), "2026-11", "2026-11"));
        assert!(!is_open(&bases(late.clone()), "2026-10", "2026-11"), "another statement is disputed");
        // Who disputes December disputes what it corrects of November, too.
        assert!(is_open(&bases(late.clone()), "2026-12", "2026-11"));
        let decided = bases([late, vec![by("2027-01", "2026-11", Cause::Dispute)]].concat());
        assert!(!is_open(&decided, "2026-11", "2026-11") && !is_open(&decided, "2026-12", "2026-11"));
        assert!(is_open(&decided, "2026-12", "2026-12"), "nothing of December was corrected");
        assert!(is_open(&decided, "2027-01", "2026-11"), "the later statement is disputed in its turn");
        assert!(is_disputed(&decided, &accepted(&["2026-11"]), period("2026-11"), period("2027-01")));
    }

    #[test]
    fn a_month_has_a_statement_for_each_version_and_what_was_issued_stays() {
        let version = |number: u32, from: &str| {
            let (id, from) = (format!("harbor-shop@{number}"), format!("from: {from}"));
            fixture::contract_with(&[
                ("harbor-shop@3", &id),
                ("from: 2026-11-01", &from),
                ("at: line", "at: line, prorate: days"),
            ])
        };
        let two = [version(3, "2026-11-01"), version(4, "2026-11-16")];
        let segments = |of: &[Contract]| tieup_protocol::contract::segments(of.to_vec(), fixture::november());
        let periods = |issued: &Issued, of: &[Contract]| {
            let periods = charged_periods(issued, &segments(of), fixture::november());
            periods.into_iter().map(Period::key).collect::<Vec<_>>()
        };
        let (first, second) = ("2026-11-01_2026-11-15", "2026-11-16_2026-11-30");
        assert_eq!(periods(&Issued::new(), &two), [first, second]);
        // A third version that reaches into what was issued changes nothing of it.
        let three = [&two[..], &[version(5, "2026-11-11")]].concat();
        assert_eq!(periods(&Issued::new(), &three), ["2026-11-01_2026-11-10", "2026-11-11_2026-11-30"]);
        let bases = |of: &[&str]| of.iter().map(|of| (period(of), basis(of, 1, &[]))).collect::<Issued>();
        assert_eq!(periods(&bases(&[second]), &three), ["2026-11-01_2026-11-10", second]);
        assert_eq!(periods(&bases(&[first, second]), &three), [first, second]);
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
        // A statement that is issued with a strike counts it as such.
        let stated = maker.make(&Basis { strikes: vec![strike(0)], ..basis("2027-02", 2, &[]) }).unwrap();
        assert_eq!((stated.statement.total.minor(), stated.counted.left_out.struck), (50, 1));
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
        assert!(
            of(&november, &["2026-12", "2027-01"], "2026-12") && !of(&november, &["2026-12", "2027-01"], "2027-01")
        );
        assert!(of(&november, &["2026-10", "2027-01"], "2027-01"), "an earlier one corrects nothing of it");
        // January has corrected it, before anything was known of December.
        let corrected = issued(&[basis("2026-11", 10, &[]), basis("2027-01", 1, &[("2026-11", 12)])]);
        assert!(!of(&corrected, &["2026-12"], "2026-12") && of(&corrected, &[], "2027-02"));
        assert_eq!(corrected_after(&corrected, period("2026-12"), period("2026-11")), Some(period("2027-01")));
    }

    #[test]
    fn a_correction_that_makes_no_sense_is_refused() {
        let issued = issued(&[basis("2026-11", 10, &[])]);
        let refused = |of: &str, revisions: &[(&str, u64)]| {
            Maker::new(&WHOLE, &issued).make(&basis(of, 1, revisions)).unwrap_err()
        };
        let shrunk = BasisError::Shrunk { period: period("2026-11"), size: 9, before: 10 };
        assert_eq!(refused("2026-12", &[("2026-11", 9)]), shrunk);
        assert_eq!(refused("2026-12", &[("2026-10", 9)]), BasisError::NotIssued(period("2026-10")));
        assert_eq!(refused("2026-12", &[("2026-11", 11), ("2026-11", 12)]), BasisError::Twice(period("2026-11")));
        let own = BasisError::NotEarlier { statement: period("2026-11"), corrected: period("2026-11") };
        assert_eq!(refused("2026-11", &[("2026-11", 11)]), own);
    }
}
