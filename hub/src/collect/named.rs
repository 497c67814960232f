//! The months that a partner names: those that it can have a journal of, and the others, of which nothing is taken.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use tieup_protocol::period::Month;
use tieup_store::journal::months;

use super::CollectError;
use crate::database::PartnerRow;
use crate::partners::{Hub, HubError};

/// How many months are told by name.
const TOLD: usize = 3;

/// Months that a partner names and cannot have a journal of: a clock there was wrong, or it was made so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible {
    months: BTreeSet<Month>,
    can_be: RangeInclusive<Month>,
}

/// The months that a partner names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Those that can be, and those that main holds.
    pub(super) taken: BTreeSet<Month>,
    /// The others.
    pub(super) impossible: Option<Impossible>,
}

impl Named {
    /// Of the months that a partner has `named`, where main holds copies of those in `held`, and it can have logs of those in
    /// `can_be` or of any from the oldest held on.
    fn new(named: &[Month], held: BTreeSet<Month>, can_be: RangeInclusive<Month>) -> Self {
        let first = held.first().map_or(*can_be.start(), |oldest| *can_be.start().min(oldest));
        let can_be = first..=*can_be.end();
        let is_taken = |month: &Month| held.contains(month) || can_be.contains(month);
        let (mut taken, months): (BTreeSet<Month>, BTreeSet<Month>) = named.iter().copied().partition(is_taken);
        let impossible = (!months.is_empty()).then_some(Impossible { months, can_be });
        taken.extend(held);
        Self { taken, impossible }
    }
}

impl Impossible {
    /// Whether `month` is one of them.
    pub(super) fn contains(&self, month: Month) -> bool {
        self.months.contains(&month)
    }
}

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { months, can_be } = self;
        let told: Vec<String> = months.iter().take(TOLD).map(Month::to_string).collect();
        write!(f, "it names journals of {}", told.join(", "))?;
        if months.len() > TOLD {
            write!(f, " and {} more months", months.len() - TOLD)?;
        }
        let (first, last) = (can_be.start(), can_be.end());
        write!(
            f,
            ", and can have none but of {first} to {last}: nothing of them is taken; look at the clock there, and move their \
             folders out of its journal"
        )
    }
}

impl Hub {
    /// Those of the months that a partner has `named` of which it can have no journal, where there are any.
    ///
    /// # Errors
    /// When main's copies cannot be listed, or the database fails.
    pub async fn impossible_months(
        &self,
        partner: &PartnerRow,
        named: &[Month],
    ) -> Result<Option<Impossible>, CollectError> {
        Ok(self.named_months(partner, named).await?.impossible)
    }

    /// The months that a partner has `named`, and those that main holds.
    pub(super) async fn named_months(&self, partner: &PartnerRow, named: &[Month]) -> Result<Named, CollectError> {
        let joined = self.database.first_joined(&partner.id).await.map_err(HubError::from)?.unwrap_or(partner.joined);
        let held = months(&self.mirrors(partner))?.into_iter().collect();
        Ok(Named::new(named, held, Month::loggable(joined, Timestamp::now())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    fn all(texts: &[&str]) -> BTreeSet<Month> {
        texts.iter().map(|text| month(text)).collect()
    }

    #[test]
    fn months_are_taken_from_the_join_or_the_oldest_held_to_the_next() {
        let named = ["0001-01", "2026-01", "2026-03", "2026-11", "2026-12", "2027-01", "9999-12"].map(month);
        let can_be = month("2026-03")..=month("2026-12");
        let sorted = Named::new(&named, BTreeSet::new(), can_be.clone());
        assert_eq!(sorted.taken, all(&["2026-03", "2026-11", "2026-12"]));
        let told = sorted.impossible.unwrap().to_string();
        assert!(
            told.starts_with("it names journals of 0001-01, 2026-01, 2027-01 and 1 more months, and can have"),
            "{told}"
        );
        assert!(told.contains("none but of 2026-03 to 2026-12: nothing of them is taken"), "{told}");
        // What main holds is looked at for good, whether it is named or not.
        let sorted = Named::new(&named, all(&["2026-01", "2027-02", "9999-12"]), can_be.clone());
        assert_eq!(sorted.taken, all(&["2026-01", "2026-03", "2026-11", "2026-12", "2027-02", "9999-12"]));
        assert_eq!(sorted.impossible.unwrap().months, all(&["0001-01", "2027-01"]));
        assert_eq!(Named::new(&named[2..5], BTreeSet::new(), can_be).impossible, None);
    }
}
