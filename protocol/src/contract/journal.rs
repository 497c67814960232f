//! Who writes the access log, who verifies it, and when it is returned: the key `journal` (REQUIREMENTS 003-33, 48 to 51).
//!
//! Each end writes a log of the pages that it serves itself, and no other. A log is worth something to the end that did not
//! write it only once that end has verified it, so a contract in which nobody else verifies a log is refused.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::meters::{Classes, Meter, Meters};
use super::place::TermProblem;
use super::terms::Span;
use super::{Contract, Effective, Owner, charged_under};
use crate::access::AccessEntry;
use crate::period::{Month, Zone};
use crate::schedule::{CronTime, Schedule, times};

/// How often a log is returned where the contract does not say.
const USUAL: SignedDuration = SignedDuration::from_hours(1);

/// The longest time between two returns, in seconds: what is lost with a disk is what was not returned.
const LONGEST: u32 = 31 * 86_400;

/// Who does something with the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The main site.
    Main,
    /// The partner.
    Partner,
    /// Each for itself.
    Both,
}

impl Side {
    /// Whether the main site is meant.
    pub fn is_main(self) -> bool {
        matches!(self, Self::Main | Self::Both)
    }

    /// Whether the partner is meant.
    pub fn is_partner(self) -> bool {
        matches!(self, Self::Partner | Self::Both)
    }
}

/// Who writes and who verifies the access log, and when it is returned.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalTerms {
    /// Who writes a log of the pages that it serves. Where main alone does, its log is the one that is charged by; else the
    /// partner's is.
    pub writer: Side,
    /// Who verifies: each end the other's log, and its own where it is named beside the other.
    pub verifier: Side,
    /// When what is new is returned and verified.
    pub returned: Returned,
}

impl JournalTerms {
    /// Whether the partner fetches main's own log and verifies it.
    pub fn partner_verifies_main(&self) -> bool {
        self.writer.is_main() && self.verifier.is_partner()
    }

    /// Whether the partner hashes its own log again before it is returned.
    pub fn partner_verifies_itself(&self) -> bool {
        self.writer.is_partner() && self.verifier.is_partner()
    }

    /// Whether main hashes its own log again before the partner is given it.
    pub fn main_verifies_itself(&self) -> bool {
        self.writer.is_main() && self.verifier.is_main()
    }
}

/// When a log is returned.
#[derive(Clone, Debug, PartialEq)]
pub enum Returned {
    /// So often.
    Every(SignedDuration),
    /// At these times.
    At(Schedule),
}

impl Returned {
    /// The first time to return after `after`, which is when it was returned last or begun; none where the calendar ends
    /// before.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(length) => after.checked_add(*length).ok(),
            Self::At(schedule) => schedule.next(after),
        }
    }
}

/// The key as it stands in the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenJournal {
    writer: Side,
    verifier: Side,
    every: Option<Span>,
    #[serde(default, deserialize_with = "some_times")]
    at: Option<Vec<CronTime>>,
}

fn some_times<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<CronTime>>, D::Error> {
    times(deserializer).map(Some)
}

impl WrittenJournal {
    /// The terms, where they can be kept under a contract with these days and meters.
    pub(super) fn agreed(self, effective: &Effective, meters: &Meters) -> Result<JournalTerms, TermProblem> {
        self.check_verified()?;
        if self.writer == Side::Main {
            check_counted_by_main(effective, meters)?;
        }
        let (writer, verifier) = (self.writer, self.verifier);
        Ok(JournalTerms { writer, verifier, returned: self.returned(&effective.tz)? })
    }

    /// Each log is verified by the end that does not write it.
    fn check_verified(&self) -> Result<(), TermProblem> {
        let (lacks_main, lacks_partner) = (
            self.writer.is_partner() && !self.verifier.is_main(),
            self.writer.is_main() && !self.verifier.is_partner(),
        );
        let (whose, write) = match (lacks_main, lacks_partner) {
            (false, false) => return Ok(()),
            (true, _) if self.writer == Side::Partner => ("the partner's log", "main or both"),
            (true, _) => ("the partner's log", "both"),
            (_, true) if self.writer == Side::Main => ("main's log", "partner or both"),
            _ => ("main's log", "both"),
        };
        let message = format!("nobody but its writer would verify {whose}");
        let help = format!("write `verifier: {write}`: a log is verified by the end that does not write it");
        Err(TermProblem::at(&["journal", "verifier"], "unverified-journal", message).help(help))
    }

    fn returned(self, zone: &Zone) -> Result<Returned, TermProblem> {
        match (self.every, self.at) {
            (None, None) => Ok(Returned::Every(USUAL)),
            (None, Some(times)) => Ok(Returned::At(Schedule::of(times, zone.clone()))),
            (Some(every), None) if (1..=LONGEST).contains(&every.seconds()) => {
                Ok(Returned::Every(SignedDuration::from_secs(every.seconds().into())))
            }
            (Some(_), None) => {
                let message = "a log is returned after a second at the soonest, and after 31 days at the latest";
                Err(TermProblem::at(&["journal", "every"], "bad-span", message).help("write `every: 1h`"))
            }
            (Some(_), Some(_)) => {
                let message = "`every` and `at` both say when the log is returned";
                Err(TermProblem::at(&["journal", "every"], "two-schedules", message).help("leave one of them out"))
            }
        }
    }
}

/// What is charged by main's own log must be in it: its months are cut in UTC, and it holds no visit to the partner's pages.
fn check_counted_by_main(effective: &Effective, meters: &Meters) -> Result<(), TermProblem> {
    if effective.tz != Zone::utc() {
        let message = format!("main's own log has months of UTC, and this contract those of {}", effective.tz.name());
        let help = "let the partner write, by `writer: partner` or `both`; `tz: UTC` is for a contract that nobody has joined \
                    under yet, since the months of a journal stay those of its first";
        return Err(TermProblem::at(&["effective", "tz"], "other-months", message).help(help));
    }
    let is_of_originals =
        |meter: &Meter| matches!(meter, Meter::Counted { class: Classes::Original | Classes::Both, .. });
    match meters.iter().find(|(_, meter)| is_of_originals(meter)) {
        None => Ok(()),
        Some((name, _)) => {
            let message =
                format!("meter `{name}` counts visits to the partner's own pages, and main alone writes a log");
            let help = "leave the meter out, or let the partner write: `writer: partner` or `both`";
            Err(TermProblem::at(&["meters", name], "nothing-counted", message).help(help))
        }
    }
}

impl Contract {
    /// An entry of the log that `writer` writes, as it counts under this contract: in main's own log, a visit to a page that
    /// the contract does not give to main is one to no page of it. What is no entry stays what it is.
    pub fn as_counted(&self, writer: Side, entry: Vec<u8>) -> Vec<u8> {
        if writer == Side::Main { self.of_mains_log(entry) } else { entry }
    }

    fn of_mains_log(&self, entry: Vec<u8>) -> Vec<u8> {
        let Ok(decoded) = AccessEntry::decode(&entry) else { return entry };
        if decoded.class.is_none() || self.mounts.owner(&decoded.path).0 == Owner::Main {
            return entry;
        }
        AccessEntry { class: None, ..decoded }.encode()
    }
}

/// Who writes from when on, by the contracts that were ever in force.
///
/// Who writes changes where a month begins, as what is charged does, so that each month is in one log whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writers(Vec<(Timestamp, Side)>);

impl Writers {
    /// By `contracts`, with months of `zone`; none where there is no contract.
    pub fn of(contracts: &[Contract], zone: &Zone) -> Option<Self> {
        let mut months: Vec<Month> = contracts.iter().map(|contract| first_whole(contract.effective.from)).collect();
        months.sort_unstable();
        months.dedup();
        let before = months.first()?.start(zone);
        let writer = |month| charged_under(contracts.iter().cloned(), month).map(|contract| contract.journal.writer);
        let mut spans: Vec<_> =
            months.into_iter().filter_map(|month| Some((month.start(zone), writer(month)?))).collect();
        // Before any was effective, the lowest version holds.
        let lowest = contracts.iter().min_by_key(|contract| contract.id.version)?;
        if before > Timestamp::MIN {
            spans.insert(0, (Timestamp::MIN, lowest.journal.writer));
        }
        Some(Self(spans))
    }

    /// Who writes at `time`.
    pub fn at(&self, time: Timestamp) -> Side {
        let begun = self.0.partition_point(|(from, _)| *from <= time);
        self.0[begun.saturating_sub(1)].1
    }
}

/// The first month that lies wholly at or after `day`.
fn first_whole(day: jiff::civil::Date) -> Month {
    let month = Month::of_day(day);
    if month.first_day() == day { month } else { month.next() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostic;

    const CONTRACT: &str = include_str!("../../../sites/nationwide/partners/harbor-shop/contract.yaml");
    const JOURNAL: &str = "journal: {writer: partner, verifier: both}";

    fn with(journal: &str) -> Result<Contract, Diagnostic> {
        assert!(CONTRACT.contains(JOURNAL), "{CONTRACT}");
        Contract::parse("contract.yaml", &CONTRACT.replace(JOURNAL, &format!("journal: {journal}")))
    }

    /// A contract under which main alone writes.
    fn by_main() -> String {
        let text = CONTRACT.replace(JOURNAL, "journal: {writer: main, verifier: partner}");
        text.replace("tz: Asia/Tokyo", "tz: UTC").replace("class: original", "class: tieup")
    }

    fn line_of(text: &str, part: &str) -> usize {
        text.lines().position(|line| line.contains(part)).unwrap() + 1
    }

    #[test]
    fn row_003_49_to_51_each_log_is_verified_by_the_end_that_does_not_write_it() {
        for (writer, verifiers) in [("partner", ["main", "both"].as_slice()), ("both", &["both"])] {
            for verifier in ["main", "partner", "both"] {
                let read = with(&format!("{{writer: {writer}, verifier: {verifier}}}"));
                assert_eq!(read.is_ok(), verifiers.contains(&verifier), "{writer}, {verifier}: {read:?}");
                let Err(error) = read else { continue };
                assert_eq!(error.code, "unverified-journal", "{error}");
                assert_eq!(error.span.map(|span| span.line), Some(line_of(CONTRACT, JOURNAL)));
                assert!(error.help.is_some_and(|help| help.starts_with("write `verifier: ")));
            }
        }
        for (verifier, is_kept) in [("main", false), ("partner", true), ("both", true)] {
            let text = by_main().replace("verifier: partner", &format!("verifier: {verifier}"));
            assert_eq!(Contract::parse("contract.yaml", &text).is_ok(), is_kept, "{verifier}");
        }
    }

    #[test]
    fn row_003_50_what_mains_log_cannot_count_is_pointed_at() {
        let good = Contract::parse("contract.yaml", &by_main()).unwrap();
        assert_eq!((good.journal.writer, good.not_acted_on().contains(&"journal")), (Side::Main, false));
        for (good, bad, code) in [
            ("tz: UTC", "tz: Asia/Tokyo", "other-months"),
            ("own: {views: {class: tieup}}", "own: {views: {class: original}}", "nothing-counted"),
        ] {
            let text = by_main().replacen(good, bad, 1);
            let error = Contract::parse("contract.yaml", &text).unwrap_err();
            assert_eq!((error.code, error.span.map(|span| span.line)), (code, Some(line_of(&text, bad))));
        }
    }

    #[test]
    fn row_003_33_when_a_log_is_returned_is_said_once() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let next = |journal: &str| {
            let terms = with(&format!("{{writer: partner, verifier: main{journal}}}")).unwrap().journal;
            terms.returned.next(at("2026-11-02T03:20:00Z")).unwrap().to_string()
        };
        assert_eq!(next(""), "2026-11-02T04:20:00Z");
        assert_eq!(next(", every: 15m"), "2026-11-02T03:35:00Z");
        assert_eq!(next(", at: \"0 6 * * *\""), "2026-11-02T21:00:00Z");
        assert_eq!(next(", at: [\"0 6 * * *\", \"30 12 * * *\"]"), "2026-11-02T03:30:00Z");
        for (bad, code) in [
            (", every: 0s", "bad-span"),
            (", every: 32d", "bad-span"),
            (", every: 1h, at: \"0 6 * * *\"", "two-schedules"),
            (", at: \"61 * * * *\"", "wrong-value"),
            (", often: 1h", "unknown-key"),
        ] {
            let error = with(&format!("{{writer: partner, verifier: main{bad}}}")).unwrap_err();
            assert_eq!(error.code, code, "{bad}: {error}");
            assert_eq!(error.span.map(|span| span.line), Some(line_of(CONTRACT, JOURNAL)), "{bad}");
        }
    }

    #[test]
    fn a_comma_or_a_unit_that_is_missing_is_asked_for() {
        for (journal, help) in [
            ("{writer: partner verifier: main}", "is a comma missing after `partner`?"),
            ("{writer: partner, verifier: main, every: 15}", "write `15m` for minutes, or 30s, 12h or 5d"),
            ("{writer: partner, verifier: main, every: soon}", "write it like 30s, 5m, 12h or 5d"),
        ] {
            let error = with(journal).unwrap_err();
            assert_eq!((error.code, error.help.as_deref()), ("wrong-value", Some(help)), "{error}");
        }
    }

    #[test]
    fn who_writes_changes_where_a_month_begins() {
        let contract = |version: u32, from: &str, writer: &str| {
            let text = if writer == "main" { by_main() } else { CONTRACT.replace("tz: Asia/Tokyo", "tz: UTC") };
            let text = text.replace("harbor-shop@3", &format!("harbor-shop@{version}"));
            let begin = text.find("from: ").unwrap() + 6;
            let text = format!("{}{from}{}", &text[..begin], &text[begin + 10..]);
            Contract::parse("contract.yaml", &text).unwrap()
        };
        let utc = Zone::utc();
        assert_eq!(Writers::of(&[], &utc), None);
        let first = contract(1, "2026-03-10", "partner");
        let all = [contract(2, "2026-05-01", "main"), first.clone(), contract(3, "2026-06-15", "partner")];
        let writers = Writers::of(&all, &utc).unwrap();
        for (time, writer) in [
            ("2020-01-01T00:00:00Z", Side::Partner),
            ("2026-04-30T23:59:59Z", Side::Partner),
            ("2026-05-01T00:00:00Z", Side::Main),
            ("2026-06-30T23:59:59Z", Side::Main),
            ("2026-07-01T00:00:00Z", Side::Partner),
        ] {
            assert_eq!(writers.at(time.parse().unwrap()), writer, "{time}");
        }
        assert_eq!(Writers::of(&[first], &utc).unwrap().at(Timestamp::MAX), Side::Partner);
    }
}
