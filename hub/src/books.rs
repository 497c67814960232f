//! What main reads to make a partner's statements, by its own record: contracts, logs, strikes, disputes, and what was
//! issued.

mod in_place;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tieup_fees::{
    Basis, BasisError, Counted, Counting, Decided, Issued, JournalHead, Ledger, Made, Maker, Recorded, Versions,
    charged_so_far, closes, corrects, is_disputed, last_charged,
};
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::Decision;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::strike::{Strike, together};
use tieup_protocol::wire::{Cause, Revision, StatementNotice, StatementStatus};
use tieup_store::journal::{CosignerVerifier, JournalReader, Origin, ReadError, SignedText};

use crate::database::PartnerRow;
use crate::partners::{Hub, HubError};
use crate::rollups::verify_cosigned;
use crate::statements::{Standing, StatementFailure};

impl Hub {
    /// What is read to make a partner's statements, by main's own record.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn books<'a>(&'a self, partner: &'a PartnerRow) -> Result<MainBooks<'a>, StatementFailure> {
        let notices = self.database.issued(&partner.id).await?;
        let issued: Issued = notices.iter().map(|notice| (notice.period, Basis::of(notice))).collect();
        let approved = self.approved(partner).await?;
        let record = self.database.record_size(&partner.id).await?;
        let decided = self.decided(partner, &notices).await?;
        let strikes = self.settled_strikes(&partner.id).await?;
        let versions = Versions::new(approved, issued.iter().map(|(period, basis)| (*period, contract_of(basis))));
        Ok(MainBooks { hub: self, partner, versions, record, notices, issued, decided, strikes })
    }

    /// When the disputes that main accepted were decided, and when `notices` were signed.
    async fn decided(&self, partner: &PartnerRow, notices: &[StatementNotice]) -> Result<Decided, StatementFailure> {
        let rulings = self.database.disputes_of(&partner.id).await?.into_iter().filter_map(|dispute| dispute.ruling);
        let accepted = rulings.filter(|ruling| ruling.decision == Decision::Accepted);
        let accepted: BTreeMap<Period, Timestamp> = accepted.map(|ruling| (ruling.period, ruling.decided)).collect();
        let mut signed = BTreeMap::new();
        if let Some((first, _)) = accepted.first_key_value() {
            let key = self.keys.cosigner().map_err(HubError::from)?.verifier();
            // One that cannot be read closes no dispute.
            let later = notices.iter().filter(|notice| notice.period > *first);
            signed.extend(later.filter_map(|notice| Some((notice.period, signed_at(notice, &key)?))));
        }
        Ok(Decided { accepted, signed })
    }
}

/// What main reads to make a partner's statements.
pub(crate) struct MainBooks<'a> {
    hub: &'a Hub,
    partner: &'a PartnerRow,
    versions: Versions,
    /// How many entries the partner's record has.
    pub(crate) record: u64,
    /// What was issued, by period.
    notices: Vec<StatementNotice>,
    /// What that was made from.
    issued: Issued,
    /// When the disputes that main accepted were decided.
    decided: Decided,
    /// The strikes that take effect, in the order of their digests.
    strikes: Vec<Strike>,
}

impl MainBooks<'_> {
    /// What was issued for `period`.
    pub(crate) fn notice(&self, period: Period) -> Option<&StatementNotice> {
        self.notices.iter().find(|notice| notice.period == period)
    }

    /// Every version of the contract that the partner has approved, and which of them was issued under.
    pub(crate) fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The periods of `month` that have a statement each.
    pub(crate) fn periods(&self, month: Month) -> Vec<Period> {
        self.versions.periods(month)
    }

    /// Who writes the log that `month` is charged by.
    pub(crate) fn writer(&self, month: Month) -> Result<Side, StatementFailure> {
        Ok(self.versions.writer(month)?)
    }

    /// How far the statement of `period` is at `now`.
    pub(crate) fn standing(&self, period: Period, now: Timestamp) -> Result<Standing, StatementFailure> {
        if self.notice(period).is_some() {
            return Ok(Standing::Issued);
        }
        let closes = closes(&self.contract(period)?, period.month());
        Ok(if now < closes { Standing::Open { closes } } else { Standing::Due })
    }

    /// The statement of `period` up to the last cosigned checkpoint.
    pub(crate) fn make(&self, period: Period, status: StatementStatus) -> Result<(Basis, Made), StatementFailure> {
        let record = self.record_gone_by(&self.contract(period)?);
        let (_, _, size) = self.log(period.month())?;
        let mut maker = Maker::new(self, &self.issued);
        let revisions = self.revisions(period, &mut maker)?;
        let strikes = self.strikes(period.month())?.into_iter().map(Strike::digest).collect();
        let basis = Basis { period, size, strikes, record, status, revisions, charged: None };
        let made = maker.make(&basis)?;
        Ok((basis, made))
    }

    /// The statement that was issued with `notice`, made anew.
    pub(crate) fn remake(&self, notice: &StatementNotice) -> Result<Made, StatementFailure> {
        Ok(Maker::new(self, &self.issued).make(&Basis::of(notice))?)
    }

    /// The log that `month` is charged by.
    pub(crate) fn log(&self, month: Month) -> Result<(JournalReader, Origin, u64), StatementFailure> {
        self.hub.charged_log(self.partner, self.writer(month)?, month)
    }

    /// The earlier periods whose fee is another by now than what was charged for them, and which no other statement corrects.
    fn revisions(&self, period: Period, maker: &mut Maker<'_, Self>) -> Result<Vec<Revision>, StatementFailure> {
        let (mut revisions, open) = (Vec::new(), self.open_until(period)?);
        let earlier = self.issued.keys().copied().take_while(|earlier| *earlier < period);
        for earlier in earlier.filter(|earlier| corrects(&self.issued, &open, period, *earlier)) {
            match self.corrected(earlier, period, maker) {
                // Nothing but what is corrected of `earlier` depends on what that one says.
                Err(BasisError::Unsaid(unsaid)) => tracing::warn!(
                    partner = %self.partner.id,
                    "nothing of {earlier} is corrected: the statement that was issued for {unsaid} does not say what it \
                     charged, or its words and amounts differ; put it back from a backup of the database, or agree with the \
                     partner on what is still due of {earlier}"
                ),
                Err(BasisError::Ledger(
                    error @ (StatementFailure::NotCollected(_) | StatementFailure::NotWitnessed(_)),
                )) => tracing::warn!(
                    partner = %self.partner.id,
                    "nothing of {earlier} is corrected: there is no copy of its log: {error}"
                ),
                Err(error @ BasisError::OtherCurrency { .. }) => tracing::warn!(
                    partner = %self.partner.id,
                    "nothing of {earlier} is corrected: {error}; agree with the partner on how the difference is paid, or let a \
                     later version of the contract charge in that currency again, and the next statement under it corrects it"
                ),
                found => revisions.extend(found?),
            }
        }
        Ok(revisions)
    }

    /// What the statement for `within` corrects of `earlier`; none where it comes to what was charged.
    fn corrected(
        &self,
        earlier: Period,
        within: Period,
        maker: &mut Maker<'_, Self>,
    ) -> Result<Option<Revision>, BasisError<StatementFailure>> {
        let charged = self.issued.get(&earlier).and_then(|basis| basis.charged.as_ref());
        charged.filter(|charged| charged.adds_up()).ok_or(BasisError::Unsaid(earlier))?;
        let Some(revision) = self.revision(earlier, within, maker).map_err(BasisError::Ledger)? else {
            return Ok(None);
        };
        Ok(maker.correction(within, &revision)?.map(|_| revision))
    }

    /// The periods before `until` of which there is a log, and that were not issued, after the first that was.
    fn open_until(&self, until: Period) -> Result<BTreeSet<Period>, StatementFailure> {
        let mut open = BTreeSet::new();
        let first = self.issued.keys().next().map_or(until.month(), |first| first.month());
        let months = std::iter::successors(Some(first), |month| Some(month.next()));
        for month in months.take_while(|month| *month <= until.month()) {
            match self.log(month) {
                Err(StatementFailure::NotCollected(_) | StatementFailure::NotWitnessed(_)) => continue,
                log => drop(log?),
            }
            open.extend(self.periods(month).into_iter().filter(|period| self.notice(*period).is_none()));
        }
        Ok(open)
    }

    /// What may have changed of `earlier` since statements for periods before `until` charged for it.
    fn revision(
        &self,
        earlier: Period,
        until: Period,
        maker: &mut Maker<'_, Self>,
    ) -> Result<Option<Revision>, StatementFailure> {
        let Some(before) = charged_so_far(&self.issued, earlier, until) else { return Ok(None) };
        let (_, _, size) = self.log(earlier.month())?;
        let is_another = self.is_another_log(earlier, until, maker)?;
        let strikes = self.strikes(earlier.month())?;
        let is_disputed = is_disputed(&self.issued, &self.decided, earlier, until);
        if is_disputed && self.writer(earlier.month())? != Side::Main {
            // Else what main is still to mend of its copy would be taken for what was decided.
            let (contract, struck) = (self.contract(earlier)?, together(strikes.iter().copied()));
            self.hub.count_anew(self.partner, &contract, earlier, &struck)?;
        }
        let strikes: Vec<Digest> = strikes.into_iter().map(Strike::digest).collect();
        let (record, noted) = self.record_since(earlier, before.record)?;
        let late = (size > before.size).then_some(Cause::LateEntries);
        let dispute = is_disputed.then_some(Cause::Dispute);
        let replaced = is_another.then_some(Cause::OtherLog);
        let changed = changed_strikes(before.strikes, &strikes);
        let Some(cause) = dispute.or(replaced).or(changed).or(noted).or(late) else { return Ok(None) };
        if size < before.size && !is_another {
            let what = shorter(self.writer(earlier.month())?);
            tracing::warn!(month = %earlier.month(), size, charged = before.size, "{what}");
            return Ok(None);
        }
        Ok(Some(Revision { period: earlier, size, strikes, record, cause }))
    }

    /// Whether the log of `earlier` is another one than it was last charged by, in a statement for a period before `until`: it
    /// was put aside since then. What was charged since goes by the log that is here, and nothing of an old copy is read for
    /// it.
    fn is_another_log(
        &self,
        earlier: Period,
        until: Period,
        maker: &mut Maker<'_, Self>,
    ) -> Result<bool, StatementFailure> {
        let Some(aside) = self.put_aside_at(earlier.month())? else { return Ok(false) };
        let charged = last_charged(&self.issued, earlier, until);
        let signed = charged.map(|period| self.signed(period)).transpose()?.flatten();
        // A signature tells whole seconds.
        match signed.map(|signed| aside.as_second().cmp(&signed.as_second())) {
            Some(Ordering::Less) => Ok(false),
            // Which of the two was first in that second nobody can say, so that the log itself is looked at.
            Some(Ordering::Equal) if charged != Some(earlier) => Ok(maker.is_other_than_charged(earlier, until)?),
            // What a correction was charged by is not told by its root, so that it is looked at whatever log is here.
            _ => Ok(charged != Some(earlier) || maker.is_another_log(earlier, until)?),
        }
    }

    /// When main signed the statement for `period`; none where that cannot be read.
    fn signed(&self, period: Period) -> Result<Option<Timestamp>, StatementFailure> {
        let key = self.hub.keys.cosigner().map_err(HubError::from)?.verifier();
        Ok(self.notice(period).and_then(|notice| signed_at(notice, &key)))
    }

    /// What all of the record says of `period` under `contract`.
    pub(crate) fn all_recorded(&self, contract: &Contract, period: Period) -> Result<Recorded, StatementFailure> {
        self.hub.recorded(self.partner, contract, period, self.record)
    }

    /// How many entries of the record a period under `contract` goes by.
    fn record_gone_by(&self, contract: &Contract) -> u64 {
        if contract.terms.go_by_record() { self.record } else { 0 }
    }

    /// How many entries of the record `period` goes by now, and what they say otherwise of it than the first `before` do.
    fn record_since(&self, period: Period, before: u64) -> Result<(u64, Option<Cause>), StatementFailure> {
        if self.record <= before {
            return Ok((before, None));
        }
        let contract = self.contract(period)?;
        let until = self.record_gone_by(&contract).max(before);
        if until == before {
            return Ok((before, None));
        }
        let of = |until| self.hub.recorded(self.partner, &contract, period, until);
        let (then, now) = (of(before)?, of(until)?);
        let cause = if then.events != now.events || then.payments != now.payments {
            Some(Cause::ChangedSales)
        } else {
            (then.catalogue != now.catalogue).then_some(Cause::ChangedCatalogue)
        };
        Ok((until, cause))
    }
}

/// What is said of a log of `writer` that is shorter than what was charged for.
fn shorter(writer: Side) -> &'static str {
    match writer {
        Side::Main => {
            "the partner has cosigned less of your own log than was charged: nothing of it is corrected; put your log and its \
             receipts back from a backup, or let the partner verify it again (`syncd log fetch`)"
        }
        Side::Partner | Side::Both => {
            "the copy of the log is shorter than what was charged: nothing of it is corrected; put it back from a backup, or \
             fetch it again"
        }
    }
}

/// When `notice` was signed with `key`; none where it was not, or cannot be read.
fn signed_at(notice: &StatementNotice, key: &CosignerVerifier) -> Option<Timestamp> {
    Some(SignedText::open(notice.note.as_ref()?, key).ok()?.signed())
}

/// The contract that an issued statement names.
fn contract_of(basis: &Basis) -> Option<Digest> {
    basis.charged.as_ref().map(|charged| charged.contract)
}

/// Why what the strikes `now` leave out is not what those `before` did, if it is not. What takes effect stays so, unless its
/// log is not the one that is here any more.
fn changed_strikes(before: &[Digest], now: &[Digest]) -> Option<Cause> {
    if before.iter().any(|strike| !now.contains(strike)) {
        return Some(Cause::OtherLog);
    }
    (before.len() < now.len()).then_some(Cause::StruckEntries)
}

impl Ledger for MainBooks<'_> {
    type Error = StatementFailure;

    fn contract(&self, period: Period) -> Result<Contract, StatementFailure> {
        Ok(self.versions.contract(period)?)
    }

    fn head(&self, month: Month, size: u64) -> Result<JournalHead, StatementFailure> {
        let (reader, origin, _) = self.log(month)?;
        Ok(JournalHead { origin: origin.to_string(), size, root: reader.root_at(size)?.to_string() })
    }

    /// From the counts that are kept with each collection, where they are of so many entries; else the log is verified and
    /// counted in one pass, and must begin with what the other side cosigned. None are kept of main's own log: which of its
    /// entries count depends on the contract's mounts.
    fn count(
        &self,
        contract: &Contract,
        period: Period,
        size: u64,
        struck: &BTreeSet<u64>,
    ) -> Result<Counted, StatementFailure> {
        let month = period.month();
        let writer = self.writer(month)?;
        if writer != Side::Main && *struck == self.struck_now(month)? {
            let (counted, head) = self.hub.counted(self.partner, contract, period, struck)?;
            if head.size == size {
                return Ok(counted);
            }
        }
        let mut counting = Counting::of((contract, writer), period, size, struck);
        if size == 0 {
            return Ok(counting.finish()?);
        }
        let (dir, origin, key) = self.hub.charged_files(self.partner, writer, month)?;
        let (cosigned, root) = self.hub.charged_head(self.partner, writer, month)?;
        verify_cosigned(&dir, (&origin, &key), (cosigned, &root), |entry| counting.take(entry))?;
        if cosigned < size {
            return Err(ReadError::Beyond { dir, size: cosigned, asked: format!("the entries 0 to {size}") }.into());
        }
        Ok(counting.finish()?)
    }

    fn struck(&self, month: Month, strikes: &[Digest]) -> Result<BTreeSet<u64>, StatementFailure> {
        let strikes = strikes.iter().map(|digest| self.agreed_strike(month, *digest));
        let strikes = strikes.collect::<Result<Vec<_>, _>>()?;
        match self.not_in_place(month, &strikes)?.first() {
            Some(strike) => Err(StatementFailure::OtherLog(strike.digest())),
            None => Ok(together(strikes)),
        }
    }

    fn is_of_log(&self, month: Month, strike: &Digest) -> Result<bool, StatementFailure> {
        Ok(self.not_in_place(month, &[self.agreed_strike(month, *strike)?])?.is_empty())
    }

    fn begins_with(&self, month: Month, size: u64, root: Option<&str>) -> Result<bool, StatementFailure> {
        let here = self.here(month)?;
        let begins = here.begins_with(size, root)?;
        if !begins {
            self.check_here(month, &here, size)?;
        }
        Ok(begins)
    }

    fn recorded(
        &self,
        contract: &Contract,
        period: Period,
        record: u64,
        _: StatementStatus,
    ) -> Result<Recorded, StatementFailure> {
        self.hub.recorded(self.partner, contract, period, record)
    }
}

/// A failure of main's own books is told as what it is.
impl From<BasisError<Self>> for StatementFailure {
    fn from(error: BasisError<Self>) -> Self {
        match error {
            BasisError::Ledger(failure) => failure,
            BasisError::Fee(error) => Self::Fees(error.into()),
            other => Self::Basis(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_about_a_log_that_is_too_short_depends_on_whose_it_is() {
        for (writer, what) in [
            (Side::Main, "put your log and its receipts back from a backup"),
            (Side::Partner, "put it back from a backup, or fetch it again"),
            (Side::Both, "put it back from a backup, or fetch it again"),
        ] {
            assert!(shorter(writer).contains(what), "{writer:?}");
            assert_eq!(shorter(writer).contains("your own log"), writer == Side::Main, "{writer:?}");
        }
    }
}
