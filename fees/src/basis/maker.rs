//! Making a statement from what it is told by, with the corrections of earlier ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tieup_protocol::digest::Digest;
use tieup_protocol::period::Period;
use tieup_protocol::wire::{Cause, Revision};

use super::issued::{Extent, Issued, between, charged_so_far};
use super::{Basis, BasisError, Ledger, Made};
use crate::books::Books;
use crate::money::Money;
use crate::record::Recorded;
use crate::settlement::Correction;
use crate::statement::{Account, Status, statement};

/// A correction, and what is right by it.
type Corrected = (Correction, Arc<Made>);

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
        let (corrections, corrected): (Vec<Correction>, Vec<Arc<Made>>) = self.corrections(basis)?.into_iter().unzip();
        let &Basis { period, size, ref strikes, record, status, .. } = basis;
        let made = self.make_with((period, status), Extent { size, strikes, record }, &corrections)?;
        Ok(Made { corrected, ..made })
    }

    /// The statement for a period of so much, with these corrections of earlier ones.
    fn make_with(
        &self,
        (period, status): (Period, Status),
        Extent { size, strikes, record }: Extent<'_>,
        corrections: &[Correction],
    ) -> Result<Made, BasisError<L::Error>> {
        let month = period.month();
        let contract = self.ledger.contract(period).map_err(BasisError::Ledger)?;
        let journal = self.ledger.head(month, size).map_err(BasisError::Ledger)?;
        let struck = self.ledger.struck(month, strikes).map_err(BasisError::Ledger)?;
        let counted = self.ledger.count(&contract, period, size, &struck).map_err(BasisError::Ledger)?;
        let recorded = self.ledger.recorded(&contract, period, record, status).map_err(BasisError::Ledger)?;
        let Recorded { events, payments, catalogue } = recorded;
        let books = Books { counted: &counted, catalogue: catalogue.as_ref(), events: &events };
        let account = Account { journal: &journal, books, payments: &payments, corrections, status };
        let statement = statement(&contract, month, &account)?;
        Ok(Made { contract, counted, statement, corrected: Vec::new() })
    }

    /// The correction of `revision` in the statement for the period `within`, and what is right; none where it comes to the
    /// same fee, and nobody has disputed it.
    ///
    /// # Errors
    /// See [`BasisError`].
    pub fn correction(
        &mut self,
        within: Period,
        revision: &Revision,
    ) -> Result<Option<Corrected>, BasisError<L::Error>> {
        let &Revision { period, size, record, cause, ref strikes } = revision;
        if period >= within {
            return Err(BasisError::NotEarlier { statement: within, corrected: period });
        }
        let before = charged_so_far(self.issued, period, within).ok_or(BasisError::NotIssued(period))?;
        if size < before.size && !self.is_another_log(period, within)? {
            return Err(BasisError::Shrunk { period, size, before: before.size });
        }
        for left in before.strikes.iter().filter(|strike| !strikes.contains(strike)) {
            if self.ledger.is_of_log(period.month(), left).map_err(BasisError::Ledger)? {
                return Err(BasisError::Unstruck(period));
            }
        }
        if record < before.record {
            return Err(BasisError::ShrunkRecord { period, record, before: before.record });
        }
        let right = Extent { size, strikes, record };
        let (charged, right) = (self.charged(period, within)?, self.counting(period, right)?);
        let Some(correction) = Correction::between(period, charged, &right.statement, cause) else { return Ok(None) };
        let currency = self.ledger.contract(within).map_err(BasisError::Ledger)?.terms.money.currency;
        if correction.amount_in(currency).is_none() && correction.owed.currency() != currency {
            return Err(BasisError::OtherCurrency { statement: within, currency, correction: Box::new(correction) });
        }
        Ok(Some((correction, right)))
    }

    /// Whether the journal that `period` was charged by before `until` is not the one that is here: that one was put aside
    /// since, and has no more to do with it.
    ///
    /// # Errors
    /// When nobody can say.
    pub fn is_another_log(&mut self, period: Period, until: Period) -> Result<bool, BasisError<L::Error>> {
        let issued = self.issued.get(&period).ok_or(BasisError::NotIssued(period))?;
        let begins_with = |size, root| self.ledger.begins_with(period.month(), size, root).map_err(BasisError::Ledger);
        let was_corrected_for = |cause| {
            let mut corrections = between(self.issued, period, until).filter_map(|basis| basis.revision(period));
            corrections.any(|revision| revision.cause == cause)
        };
        // Once it was corrected for another log, the root of the first one says nothing any more.
        let is_replaced = was_corrected_for(Cause::OtherLog);
        let root = issued.charged.as_ref().and_then(|charged| charged.root.as_deref()).filter(|_| !is_replaced);
        let is_first = root.map_or(Ok(true), |root| begins_with(issued.size, Some(root)))?;
        // A dispute is told before all other causes, so that the log may have been replaced when it was decided; it was not
        // where the first one is here.
        if is_replaced || (!is_first && was_corrected_for(Cause::Dispute)) {
            return self.is_other_than_charged(period, until);
        }
        let charged = charged_so_far(self.issued, period, until).map_or(issued.size, |extent| extent.size);
        Ok(!is_first || !begins_with(charged, None)?)
    }

    /// Whether the journal that is here does not give the statement that was right of `period` by the last correction before
    /// `until`, or by its own where there is none: that one has the root hash of its journal in it, and is told by its digest.
    ///
    /// # Errors
    /// When nobody can say.
    pub fn is_other_than_charged(&mut self, period: Period, until: Period) -> Result<bool, BasisError<L::Error>> {
        let (right, _) = self.charged(period, until)?;
        let extent = charged_so_far(self.issued, period, until).ok_or(BasisError::NotIssued(period))?;
        if !self.ledger.begins_with(period.month(), extent.size, None).map_err(BasisError::Ledger)? {
            return Ok(true);
        }
        for strike in extent.strikes {
            if !self.ledger.is_of_log(period.month(), strike).map_err(BasisError::Ledger)? {
                return Ok(true);
            }
        }
        Ok(self.counting(period, extent)?.statement.digest() != right)
    }

    /// What was charged for `period` by statements for periods before `until`, without what was collected with sales, and
    /// which statement is right by the last of them: the sum of what its own charged and of what later ones corrected. It is
    /// read from what main signed, whatever a log comes to by now.
    fn charged(&self, period: Period, until: Period) -> Result<(Digest, Money), BasisError<L::Error>> {
        let issued = self.issued.get(&period).ok_or(BasisError::NotIssued(period))?;
        let said = issued.charged.as_ref().filter(|charged| charged.adds_up()).ok_or(BasisError::Unsaid(period))?;
        let currency = self.ledger.contract(period).map_err(BasisError::Ledger)?.terms.money.currency;
        let (mut right, mut sum) = (said.statement, said.amount(currency).ok_or(BasisError::Unsaid(period))?);
        for basis in between(self.issued, period, until) {
            let unsaid = || BasisError::Unsaid(basis.period);
            let charged = basis.charged.as_ref().filter(|charged| charged.adds_up());
            if basis.revision(period).is_some() && charged.is_none() {
                return Err(unsaid());
            }
            if let Some((so_far, by)) = charged.and_then(|charged| charged.corrected(period, sum)) {
                (right, sum) = (by, so_far.ok_or_else(unsaid)?);
            }
        }
        Ok((right, sum))
    }

    fn corrections(&mut self, basis: &Basis) -> Result<Vec<Corrected>, BasisError<L::Error>> {
        let mut seen = BTreeSet::new();
        let mut corrections = Vec::new();
        for revision in &basis.revisions {
            if !seen.insert(revision.period) {
                return Err(BasisError::Twice(revision.period));
            }
            corrections.extend(self.correction(basis.period, revision)?);
        }
        Ok(corrections)
    }

    /// What was issued for `period`, if it had counted so much. What it corrects is what main signed, whatever that comes to by
    /// now: it is corrected by itself.
    fn counting(&mut self, period: Period, extent: Extent<'_>) -> Result<Arc<Made>, BasisError<L::Error>> {
        let Extent { size, strikes, record } = extent;
        let key = (period, size, strikes.to_vec(), record);
        if let Some(made) = self.made.get(&key) {
            return Ok(made.clone());
        }
        let issued = self.issued.get(&period).ok_or(BasisError::NotIssued(period))?;
        let currency = self.ledger.contract(period).map_err(BasisError::Ledger)?.terms.money.currency;
        let signed = issued.charged.as_ref().and_then(|charged| charged.corrections(currency, &issued.revisions));
        let corrections = signed.ok_or(BasisError::Unsaid(period))?;
        let made = Arc::new(self.make_with((period, issued.status), extent, &corrections)?);
        self.made.insert(key, made.clone());
        Ok(made)
    }
}
