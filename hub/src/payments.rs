//! What partners pay in advance: noted in the audit trail, then in the record that statements go by.

use jiff::Timestamp;
use tieup_fees::{Basis, Issued, Money, charged_periods};
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::contract::{Contract, segments};
use tieup_protocol::decimal::Decimal;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Period;
use tieup_protocol::record::{Entry, Payment, Word};

use crate::database::{AddedToRecord, DatabaseError, Existing, PartnerRow, Tally};
use crate::partners::Hub;
use crate::statements::StatementFailure;
use crate::trail::TrailError;

/// What is said of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The period that it is for.
    pub period: Period,
    /// Its name, by which none counts twice.
    pub reference: Word,
    /// How much, in major units.
    pub amount: Decimal,
}

/// Why a payment was not noted.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// The contract cannot be read.
    #[error(transparent)]
    Contract(#[from] StatementFailure),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The trail could not be continued.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The contract has nothing paid in advance.
    #[error("contract {0} has no charge that is paid in advance: name one in its `pay.advance`")]
    NotInAdvance(String),
    /// What is paid after the issue is no payment in advance.
    #[error("the statement for {0} has been issued: what is paid now is paid for what is due by it")]
    Issued(Period),
    /// It counts in what was issued already.
    #[error(
        "`{reference}` counts in the statement for {period}, which has been issued: \
         give what was paid besides another reference"
    )]
    Counted {
        /// The payment.
        reference: Word,
        /// Where it counts.
        period: Period,
    },
    /// No statement is for the period, so the payment would count nowhere.
    #[error(
        "no statement is for {asked} as a whole; those of the month are for: {}",
        periods.iter().map(|period| period.key()).collect::<Vec<_>>().join(", ")
    )]
    NotOne {
        /// What was said.
        asked: Period,
        /// The periods of its month that have a statement each.
        periods: Vec<Period>,
    },
    /// The amount cannot be paid.
    #[error("{amount} {currency} cannot be paid: give an amount of whole minor units, or 0 to take a payment back")]
    Amount {
        /// The amount.
        amount: Decimal,
        /// The contract's currency.
        currency: &'static str,
    },
    /// The reference stands for another amount.
    #[error("`{0}` stands in the record with another amount: give another reference, or say --correct")]
    Differs(Word),
    /// The record is full.
    #[error("the record of `{0}` has as many entries as a record may have")]
    Full(SiteId),
}

impl Hub {
    /// Notes a payment in advance. The same one again changes nothing. Durable on return.
    ///
    /// # Errors
    /// See [`PaymentError`].
    pub async fn note_payment(
        &self,
        partner: &PartnerRow,
        paid: Paid,
        existing: Existing,
        now: Timestamp,
    ) -> Result<Tally, PaymentError> {
        let issued: Issued =
            self.database.issued(&partner.id).await?.iter().map(|it| (it.period, Basis::of(it))).collect();
        let contract = payable(self.agreed(partner).await?, &issued, &paid)?;
        let Paid { period, reference, amount } = paid;
        let entry = Entry::Payment(Payment { day: period.first(), reference: reference.clone(), amount });
        let before = self.database.newest_recorded(&partner.id, &entry).await?;
        if before.as_ref() == Some(&entry) {
            return Ok(Tally { unchanged: 1, ..Tally::default() });
        }
        if before.is_some() && existing == Existing::Refuse {
            return Err(PaymentError::Differs(reference));
        }
        if let Some(period) = before.and_then(|before| counted_in(&before, &issued)) {
            return Err(PaymentError::Counted { reference, period });
        }
        let currency = contract.terms.money.currency.code();
        let sentence = format!("{} {period}: {amount} {currency} paid in advance, {reference}", partner.id);
        let happening =
            Happening { who: Actor::Main, what: Event::PaymentNoted, release: None, reason: Some(sentence) };
        self.write_down(&happening, now)?;
        match self.database.add_to_record(&[(partner.id.clone(), entry)], existing, now).await? {
            AddedToRecord::Added(tally) => Ok(tally),
            AddedToRecord::Differing(_) => Err(PaymentError::Differs(reference)),
            AddedToRecord::Full(partner) => Err(PaymentError::Full(partner)),
        }
    }
}

/// The contract under which something can be paid in advance so: the version that governs the period.
fn payable(agreed: Vec<Contract>, issued: &Issued, paid: &Paid) -> Result<Contract, PaymentError> {
    let asked = paid.period;
    if agreed.is_empty() {
        return Err(StatementFailure::NoContract.into());
    }
    if issued.contains_key(&asked) {
        return Err(PaymentError::Issued(asked));
    }
    let segments = segments(agreed, asked.month());
    let periods = charged_periods(issued, &segments, asked.month());
    let governing = segments.into_iter().find(|segment| segment.period == asked && periods.contains(&asked));
    let Some(contract) = governing.map(|segment| segment.contract) else {
        return Err(PaymentError::NotOne { asked, periods });
    };
    if contract.terms.pay.advance.is_empty() {
        return Err(PaymentError::NotInAdvance(contract.id.to_string()));
    }
    let currency = contract.terms.money.currency;
    if paid.amount.is_negative() || Money::of_major(currency, paid.amount).is_none() {
        return Err(PaymentError::Amount { amount: paid.amount, currency: currency.code() });
    }
    Ok(contract)
}

/// The issued period whose statement took a payment off. One that was taken back before counts nowhere.
fn counted_in(before: &Entry, issued: &Issued) -> Option<Period> {
    let Entry::Payment(Payment { day, amount, .. }) = before else { return None };
    let mut holding = issued.keys().copied().filter(|period| (period.first()..=period.last()).contains(day));
    if amount.parts().0 == 0 { None } else { holding.next() }
}

#[cfg(test)]
mod tests {
    use tieup_protocol::period::Month;
    use tieup_protocol::robots;
    use tieup_protocol::wire::StatementStatus;

    use super::*;

    fn contract(version: u32, from: &str, pay: &str) -> Contract {
        let robots = robots::list_digest();
        let text = format!(
            r#"contract: main/shop@{version}
effective: {{from: {from}, tz: Asia/Tokyo}}
partnership: inherited
mounts: {{"/": main}}
approval: {{policy: ask}}
journal: {{writer: partner, verifier: both}}
count: {{rules: page-view/1, robots: "{robots}", double_click: 30s, session: hour}}
money: {{currency: JPY, round: half_up, at: line, prorate: days}}
meters: {{tie: {{views: {{class: tieup}}}}}}
charges: {{base: {{by: partnership, link: 0, framework: 20000, inherited: 50000}}}}
pay: {{{pay}}}
close: {{grace: 5d, late: next_period_correction}}
"#
        );
        Contract::parse("contract.yaml", &text).unwrap_or_else(|error| panic!("{error}"))
    }

    fn november(first: i8, last: i8) -> Period {
        let month: Month = "2026-11".parse().unwrap();
        let day = |day| jiff::civil::date(2026, 11, day);
        Period::whole(month).within(day(first), day(last)).unwrap()
    }

    fn paid(period: Period) -> Paid {
        Paid { period, reference: "BANK-7".parse().unwrap(), amount: "400".parse().unwrap() }
    }

    fn issued(period: Period) -> Issued {
        let basis = Basis {
            period,
            size: 0,
            strikes: Vec::new(),
            record: 0,
            status: StatementStatus::Final,
            revisions: Vec::new(),
            charged: None,
        };
        Issued::from([(period, basis)])
    }

    #[test]
    fn what_is_paid_is_for_exactly_one_statement_and_goes_by_the_version_that_governs_it() {
        let versions = || vec![contract(1, "2026-11-10", "advance: [base]"), contract(2, "2026-11-20", "")];
        let none = Issued::new();
        for period in [november(1, 30), november(10, 30), november(1, 9)] {
            let error = payable(versions(), &none, &paid(period)).unwrap_err().to_string();
            assert!(error.contains("2026-11-10_2026-11-19, 2026-11-20_2026-11-30"), "{error}");
        }
        assert_eq!(payable(versions(), &none, &paid(november(10, 19))).unwrap().id.version, 1);
        let error = payable(versions(), &none, &paid(november(20, 30))).unwrap_err();
        assert!(matches!(error, PaymentError::NotInAdvance(id) if id.ends_with("@2")));
        let error = payable(versions(), &issued(november(10, 19)), &paid(november(10, 19))).unwrap_err();
        assert!(matches!(error, PaymentError::Issued(_)), "{error}");
    }

    #[test]
    fn what_a_statement_took_off_is_not_moved_into_another() {
        let entry = |amount: &str| {
            let day = november(10, 19).first();
            Entry::Payment(Payment { day, reference: "BANK-7".parse().unwrap(), amount: amount.parse().unwrap() })
        };
        assert_eq!(counted_in(&entry("400"), &issued(november(10, 19))), Some(november(10, 19)));
        assert_eq!(counted_in(&entry("400"), &issued(november(20, 30))), None);
        assert_eq!(counted_in(&entry("0"), &issued(november(10, 19))), None, "it was taken back before");
    }
}
