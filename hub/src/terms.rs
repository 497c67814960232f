//! Which terms govern a day, and those that a new release brings: a version of the contract that would change under which
//! version a statement was issued is not published.

use jiff::Timestamp;
use tieup_protocol::contract::{Contract, ContractId, Segment, reaches_back, segments};
use tieup_protocol::period::{Month, Period, Zone};

use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// Why a contract is not published.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
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
    /// Refuses the contract in `text` where it would change under which version a statement was issued to `partner`, or where
    /// a month begins.
    ///
    /// # Errors
    /// See [`TermsError`].
    pub(crate) async fn check_terms(&self, partner: &PartnerRow, text: &str) -> Result<(), TermsError> {
        let books = self.books(partner).await.map_err(|error| TermsError::Statements(Box::new(error)))?;
        // A release is built of a contract that was read.
        let Ok(offered) = Contract::parse("contract.yaml", text) else { return Ok(()) };
        let approved = books.versions().approved();
        let is_new = approved.iter().all(|agreed| agreed.effective.tz != offered.effective.tz);
        if let Some(agreed) = approved.first().filter(|_| is_new) {
            let (zone, agreed) = (offered.effective.tz, agreed.effective.tz.clone());
            return Err(TermsError::OtherZone { contract: offered.id, zone, agreed });
        }
        match reaches_back(&offered, approved, books.versions().pinned()) {
            Some(period) => Err(TermsError::ReachesBack { contract: offered.id, period }),
            None => Ok(()),
        }
    }
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
    use tieup_protocol::robots;

    use super::*;

    /// A version with `main/north` that takes effect on the day `from`, with these charges besides, and what is paid how.
    pub(crate) fn version(number: u32, from: &str, charges: &str, pay: &str) -> Contract {
        let robots = robots::list_digest();
        let text = format!(
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
        );
        Contract::parse("contract.yaml", &text).unwrap_or_else(|error| panic!("{error}"))
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
