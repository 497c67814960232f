//! Which terms govern a day, and those that a new release brings: other terms than those in force need a higher version, and a
//! version of the contract that would change under which version a statement was issued is not published.

use std::path::Path;

use jiff::Timestamp;
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::contract::{Contract, ContractId, Segment, reaches_back, segments};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::period::{Month, Period, Zone};

use crate::database::{PartnerRow, ReleaseRow};
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// Why a contract is not published.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// Its terms are not those in force, and its version is none that comes after theirs.
    #[error("{0}")]
    SameVersion(Box<Diagnostic>),
    /// It would take effect in a period whose statement was issued.
    #[error(
        "contract {contract} would take effect in {period}, whose statement was issued under an earlier version: let it \
         take effect after {}",
        period.last()
    )]
    ReachesBack {
        /// The contract.
        contract: ContractId,
        /// The first period that it would change.
        period: Period,
    },
    /// Its months are not those of the partner's journal.
    #[error(
        "contract {contract} has the months of {}, and those that the partner agreed on have the months of {}, as its journal \
         has: visits between the two would count in no month, so write `tz: {}` in it",
        .zone.name(), .agreed.name(), .agreed.name()
    )]
    OtherZone {
        /// The contract.
        contract: ContractId,
        /// Its zone.
        zone: Zone,
        /// The one that was agreed on.
        agreed: Zone,
    },
    /// What was issued cannot be read.
    #[error("it cannot be read what was issued to the partner")]
    Statements(#[source] Box<StatementFailure>),
}

impl Hub {
    /// Refuses the contract in `text` where its terms are not those of `rows`, the partner's releases by main's record, and its
    /// version is none that comes after. The partner would refuse it as well, and only after it was sent.
    ///
    /// # Errors
    /// [`TermsError::SameVersion`].
    pub(crate) fn check_version(
        &self,
        partner: &PartnerRow,
        text: &str,
        rows: &[ReleaseRow],
    ) -> Result<(), TermsError> {
        let file = shown(&self.contract_file(&partner.id));
        not_later(&file, text, rows).map_or(Ok(()), |problem| Err(TermsError::SameVersion(Box::new(problem))))
    }

    /// Refuses a contract whose months are those of none that `partner` has agreed on, where there are any.
    ///
    /// # Errors
    /// [`TermsError::OtherZone`], or what was agreed on cannot be read.
    pub(crate) async fn check_zone(&self, partner: &PartnerRow, offered: &Contract) -> Result<(), TermsError> {
        let approved = self.approved(partner).await.map_err(|error| TermsError::Statements(Box::new(error)))?;
        check_zone(offered, &approved)
    }

    /// Refuses the contract in `text` where it would change under which version a statement was issued to `partner`, or where
    /// a month begins, or has other terms than those in force under their version.
    ///
    /// # Errors
    /// See [`TermsError`].
    pub(crate) async fn check_terms(&self, partner: &PartnerRow, text: &str) -> Result<(), TermsError> {
        let rows = self
            .database
            .releases(&partner.id)
            .await
            .map_err(|error| TermsError::Statements(Box::new(error.into())))?;
        self.check_version(partner, text, &rows)?;
        let books = self.books(partner).await.map_err(|error| TermsError::Statements(Box::new(error)))?;
        // A release is built of a contract that was read.
        let Ok(offered) = Contract::parse("contract.yaml", text) else { return Ok(()) };
        let approved = books.versions().approved();
        check_zone(&offered, approved)?;
        match reaches_back(&offered, approved, books.versions().pinned()) {
            Some(period) => Err(TermsError::ReachesBack { contract: offered.id, period }),
            None => Ok(()),
        }
    }
}

/// Refuses a contract whose months are those of none that are `agreed` on, where there are any.
fn check_zone(offered: &Contract, agreed: &[Contract]) -> Result<(), TermsError> {
    let first = agreed.iter().min_by_key(|contract| contract.id.version);
    let is_new = agreed.iter().all(|contract| contract.effective.tz != offered.effective.tz);
    first.filter(|_| is_new).map_or(Ok(()), |first| {
        let (zone, agreed) = (offered.effective.tz.clone(), first.effective.tz.clone());
        Err(TermsError::OtherZone { contract: offered.id.clone(), zone, agreed })
    })
}

/// A file of the site as messages show it.
pub(crate) fn shown(file: &Path) -> String {
    file.strip_prefix(".").unwrap_or(file).display().to_string()
}

/// What is wrong with the contract in `text`, the content of `file`, where it has other terms than the release of `rows` that is
/// live, newest first, and its version is not higher. As the partner does it, by the bytes of the document.
pub(crate) fn not_later(file: &str, text: &str, rows: &[ReleaseRow]) -> Option<Diagnostic> {
    let live = rows.iter().find(|row| row.state == ReleaseState::Live.word())?;
    // A release is built of a contract that was read, and so was the one that is live.
    let (offered, agreed) = (Contract::parse(file, text).ok()?, Contract::parse(file, &live.contract).ok()?);
    if offered.digest() == agreed.digest() || offered.id.version > agreed.id.version {
        return None;
    }
    let (ContractId { main, partner, .. }, agreed) = (&offered.id, agreed.id.version);
    let message = format!(
        "these are not the terms that `{partner}` agreed on as version {agreed}, and changed terms need a higher version"
    );
    let help = format!(
        "write `{main}/{partner}@{}`, or take back what was changed: the partner's operator is asked about a new version",
        agreed.saturating_add(1)
    );
    Some(Diagnostic::new("same-version", file, message).at_text(text, &offered.id.to_string()).help(help))
}

/// The version that governs the day of `time`, of all that are agreed on, and the days of the month that it governs with
/// that; none where none does.
pub(crate) fn governing(contracts: &[Contract], time: Timestamp) -> Option<Segment> {
    let day = contracts.first()?.effective.tz.local(time).date();
    let mut segments = segments(contracts.iter().cloned(), Month::of_day(day)).into_iter();
    segments.find(|segment| (segment.period.first()..=segment.period.last()).contains(&day))
}

#[cfg(test)]
pub(crate) mod tests {
    use tieup_protocol::ids::ReleaseVersion;
    use tieup_protocol::robots;

    use super::*;

    /// A version with `main/north` that takes effect on the day `from`, with these charges besides, and what is paid how.
    pub(crate) fn version(number: u32, from: &str, charges: &str, pay: &str) -> Contract {
        Contract::parse("contract.yaml", &text(number, from, charges, pay)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same as it is written.
    fn text(number: u32, from: &str, charges: &str, pay: &str) -> String {
        let robots = robots::list_digest();
        format!(
            r#"contract: main/north@{number}
effective: {{from: {from}, tz: Asia/Tokyo}}
partnership: inherited
mounts: {{"/": main}}
approval: {{policy: ask}}
journal: {{writer: partner, verifier: both}}
count: {{rules: page-view/1, robots: "{robots}", double_click: 30s, session: hour}}
money: {{currency: JPY, round: half_up, at: line, prorate: days}}
meters: {{tie: {{views: {{class: tieup}}}}}}
charges: {{base: {{by: partnership, link: 0, framework: 20000, inherited: 50000}}{charges}}}
pay: {{{pay}}}
close: {{grace: 5d, late: next_period_correction}}
"#
        )
    }

    #[test]
    fn other_terms_than_those_in_force_need_a_higher_version() {
        let row = |number: u64, state: &str, contract: String| ReleaseRow {
            version: ReleaseVersion::new(number).unwrap(),
            contract,
            state: state.to_owned(),
            detail: String::new(),
            since: Timestamp::UNIX_EPOCH,
        };
        let (from, other) = ("2026-11-10", "2026-11-20");
        let rows = [
            row(4, "staged", text(4, other, "", "")),
            row(3, "live", text(3, from, "", "")),
            row(2, "retired", text(2, other, "", "")),
        ];
        let problem = |number: u32, from: &str| not_later("contract.yaml", &text(number, from, "", ""), &rows);
        for (number, from) in [(3, from), (4, from), (4, other), (9, other)] {
            assert_eq!(problem(number, from), None, "version {number} from {from}");
        }
        for number in [1, 2, 3] {
            let problem = problem(number, other).unwrap();
            assert_eq!(problem.span.as_ref().map(|span| (span.line, span.column)), Some((1, 11)));
            assert!(problem.message.contains("`north` agreed on as version 3"), "{problem}");
            assert!(problem.help.as_deref().unwrap().starts_with("write `main/north@4`, or"), "{problem}");
        }
        assert_eq!(not_later("contract.yaml", &text(3, other, "", ""), &rows[..1]), None, "nothing is agreed on");
    }

    #[test]
    fn a_day_in_the_zone_of_the_contract_is_governed_by_one_version_or_none() {
        let versions = [version(1, "2026-11-10", "", ""), version(2, "2026-11-20", "", "")];
        let governing = |time: &str| {
            let segment = governing(&versions, time.parse().unwrap())?;
            Some((segment.contract.id.version, segment.period.key()))
        };
        // The tenth begins at 15:00 UTC of the ninth in Tokyo.
        assert_eq!(governing("2026-11-09T14:59:59Z"), None);
        let first = Some((1, "2026-11-10_2026-11-19".to_owned()));
        assert_eq!((governing("2026-11-09T15:00:00Z"), governing("2026-11-19T14:59:59Z")), (first.clone(), first));
        assert_eq!(governing("2026-11-19T15:00:00Z"), Some((2, "2026-11-20_2026-11-30".to_owned())));
    }
}
