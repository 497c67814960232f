//! Statements: what a partner owes for a month, computed from main's verified copy of its journal.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use tieup_fees::{
    Basis, BasisError, Counted, Counting, Issued, JournalHead, Ledger, Made, Maker, Recorded, StatementError,
    charged_periods, charged_so_far, closes, corrects, is_disputed,
};
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::contract::{Contract, Segment, Side, charged_under, charged_until, segments};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::{Decision, Dispute};
use tieup_protocol::period::{Month, Period};
use tieup_protocol::strike::{Strike, together};
use tieup_protocol::wire::{Cause, Revision, STATEMENT, StatementNotice, StatementStatus, StatementVerdict};
use tieup_store::document::DocumentError;
use tieup_store::durable::DiskError;
use tieup_store::journal::{
    CheckpointError, InvalidKey, JournalReader, LogVerifier, Origin, ReadError, SignedCheckpoint, SignedText,
    SignedTextError, VerifyError, month_dir, months, verify_entries,
};
use tieup_web::client::CallError;

use crate::database::{DatabaseError, PartnerRow, ReleaseRow, StatementRow};
use crate::findings::ExamineError;
use crate::partners::{Hub, HubError};
use crate::reviews::Held;

/// A statement and what the partner says of it.
#[derive(Debug)]
pub struct Delivered {
    /// The statement, as the partner was told it.
    pub notice: StatementNotice,
    /// Whether it was issued, or when it can be.
    pub standing: Standing,
    /// The partner's own result.
    pub verdict: StatementVerdict,
}

/// How far the statement of a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The month, or its days of grace, are not over.
    Open {
        /// When they are.
        closes: Timestamp,
    },
    /// It can be issued.
    Due,
    /// It was issued, and does not change.
    Issued,
}

/// Why there is no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementFailure {
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Main's copy of the journal cannot be read.
    #[error("main's copy of the journal cannot be read")]
    Read(#[from] ReadError),
    /// The log here is not what was logged: nothing is counted.
    #[error("the journal {0} does not verify here")]
    Damaged(Origin, #[source] VerifyError),
    /// The log here is not the one that was cosigned: nothing is counted.
    #[error("the first {1} entries of the journal {0} are not those that were cosigned")]
    OtherThanCosigned(Origin, u64),
    /// Main's copies of the journals cannot be listed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Nothing has been collected.
    #[error("no journal of {0} has been collected: run `tieup log fetch` first")]
    NotCollected(Month),
    /// The partner has verified nothing of main's own log, by which it is charged.
    #[error("the partner has not verified your own log of {0} yet: it is charged up to what it has cosigned")]
    NotWitnessed(Month),
    /// What the partner has verified cannot be read.
    #[error(transparent)]
    Receipts(#[from] DocumentError),
    /// The contract cannot be used.
    #[error("the contract cannot be used:\n{0}")]
    Contract(Diagnostic),
    /// Nothing was ever approved, so there is no contract in force.
    #[error("the partner has approved no release yet, so no contract is in force")]
    NoContract,
    /// No version of the contract governs a period, or not by itself.
    #[error("no version of the contract governs {0} by itself")]
    NotGoverned(Period),
    /// Several versions of the contract govern a month, and each has its statement.
    #[error(
        "{month} has a statement for each version of the contract that governs days of it; name one: {}",
        periods.iter().map(|period| period.key()).collect::<Vec<_>>().join(", ")
    )]
    Several {
        /// The month.
        month: Month,
        /// The periods.
        periods: Vec<Period>,
    },
    /// The contract that a statement was issued under is not among those that the partner has approved.
    #[error("the statement for {0} was issued under contract {1}, which no release here has any more")]
    NoVersion(Period, Digest),
    /// It gives a discount by visits that nobody has looked at.
    #[error("the statement for {period} is held back: {held}")]
    Held {
        /// The period.
        period: Period,
        /// What holds it back.
        held: Held,
    },
    /// The journal of a statement that gives a discount cannot be examined.
    #[error("what holds the statement back cannot be examined")]
    Examine(#[source] Box<ExamineError>),
    /// A statement goes by a strike that is not agreed on.
    #[error("strike {0} is not agreed on, or is of another month")]
    NotAgreed(Digest),
    /// A strike is of another log than the one that is here.
    #[error("strike {0} is of a log of this month with other entries than the one that is here")]
    OtherLog(Digest),
    /// The cosigned checkpoint in main's copy is damaged.
    #[error("main's copy of the journal has a damaged checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// The partner's key is damaged in the database.
    #[error("the partner's journal key cannot be used")]
    Key(#[from] InvalidKey),
    /// A final statement does not change.
    #[error("the statement for {0} has been issued and is final; corrections belong in the next one")]
    Issued(Period),
    /// A period whose month is open is not issued.
    #[error("{period} is not closed yet: its statement can be issued from {} on", closes.strftime("%Y-%m-%d %H:%M UTC"))]
    Open {
        /// The period.
        period: Period,
        /// When it is closed.
        closes: Timestamp,
    },
    /// The partner does not take the record that a statement goes by.
    #[error("the partner holds {held} entries of the record, and the statement goes by {until}")]
    RecordNotTaken {
        /// What it holds.
        held: u64,
        /// What it needs.
        until: u64,
    },
    /// Something was noted while the statement was made.
    #[error("something was added to the record while the statement for {0} was made, so it was not issued: try again")]
    RecordGrew(Period),
    /// What was issued does not fit together.
    #[error("the statements that were issued do not fit together: {0}")]
    Basis(String),
    /// The copy of the journal here does not give what was issued any more.
    #[error("main's copy of the journal does not give the statement that was issued for {0}: tieup log verify")]
    Changed(Period),
    /// The statement cannot be signed.
    #[error("the statement cannot be signed")]
    Sign(#[from] SignedTextError),
    /// The fee cannot be computed.
    #[error("the statement cannot be computed")]
    Fees(#[from] StatementError<ReadError>),
    /// The partner could not be told.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Hub {
    /// The statement of a partner for `period`: the one that was issued, else a draft up to the last cosigned checkpoint.
    /// Hands it to the partner and returns its verdict.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn statement(
        &self,
        partner: &PartnerRow,
        period: impl Into<Period>,
        now: Timestamp,
    ) -> Result<Delivered, StatementFailure> {
        let period = period.into();
        self.status(partner).await?;
        self.ask_holdings(partner, period, now).await?;
        let books = self.books(partner).await?;
        if let Some(notice) = books.notice(period) {
            return self.hand_over(partner, notice.clone(), now).await;
        }
        let (basis, made) = books.make(period, StatementStatus::Draft)?;
        let row =
            StatementRow { statement: made.statement.text.clone(), status: StatementStatus::Draft, verdict: None };
        if !self.database.put_statement(&partner.id, period, &row).await? {
            return Err(StatementFailure::Issued(period));
        }
        self.hand_over(partner, notice_of(&basis, &made, None), now).await
    }

    /// Issues the statement of a partner for `period`, whose days of grace are over at `now`: signs it and keeps it for
    /// good, and with it the contract that it is charged under. One that was issued before is the same to the byte. Hands
    /// it to nobody. One that gives a discount by visits which a finding asks about waits until somebody has looked at it.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn issue(
        &self,
        partner: &PartnerRow,
        period: impl Into<Period>,
        now: Timestamp,
    ) -> Result<StatementNotice, StatementFailure> {
        let period = period.into();
        self.ask_holdings(partner, period, now).await?;
        let books = self.books(partner).await?;
        if let Some(notice) = books.notice(period) {
            return Ok(notice.clone());
        }
        if let Standing::Open { closes } = books.standing(period, now)? {
            return Err(StatementFailure::Open { period, closes });
        }
        let (basis, made) = books.make(period, StatementStatus::Final)?;
        if let Some(held) = self.held(partner, &made).await? {
            return Err(StatementFailure::Held { period, held });
        }
        let row =
            StatementRow { statement: made.statement.text.clone(), status: StatementStatus::Final, verdict: None };
        let note = SignedText::sign(&made.statement.text, &self.keys.cosigner().map_err(HubError::from)?, now)?;
        let notice = notice_of(&basis, &made, Some(&note));
        let kept = self.database.put_issued(&partner.id, &notice, books.record).await?;
        let notice = kept.ok_or(StatementFailure::RecordGrew(period))?;
        self.database.put_statement(&partner.id, period, &row).await?;
        Ok(notice)
    }

    /// The periods of which something was fetched from a partner, that are closed at `now` and were not issued.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn due_statements(&self, partner: &PartnerRow, now: Timestamp) -> Result<Vec<Period>, StatementFailure> {
        let books = self.books(partner).await?;
        let mut due = Vec::new();
        let logged: BTreeSet<Month> =
            months(&self.mirrors(partner))?.into_iter().chain(months(&self.own_journals())?).collect();
        for month in logged {
            match books.log(month) {
                Err(StatementFailure::NotCollected(_) | StatementFailure::NotWitnessed(_)) => continue,
                log => drop(log?),
            }
            for period in books.periods(month) {
                if books.standing(period, now)? == Standing::Due {
                    due.push(period);
                }
            }
        }
        Ok(due)
    }

    /// The periods of `month` that have a statement each, issued or not.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn periods(&self, partner: &PartnerRow, month: Month) -> Result<Vec<Period>, StatementFailure> {
        let books = self.books(partner).await?;
        if books.approved.is_empty() { Err(StatementFailure::NoContract) } else { Ok(books.periods(month)) }
    }

    /// Hands a statement to the partner, keeps its verdict and returns it.
    ///
    /// # Errors
    /// When the partner cannot be reached or refuses the statement; what was issued stays issued.
    pub async fn hand_over(
        &self,
        partner: &PartnerRow,
        notice: StatementNotice,
        now: Timestamp,
    ) -> Result<Delivered, StatementFailure> {
        let client = self.call(partner).await?;
        self.tell_record(partner, &client, notice.record_told()).await?;
        let verdict: StatementVerdict = client.post(STATEMENT, &notice).await?;
        let row = StatementRow {
            statement: notice.statement.clone(),
            status: notice.status,
            verdict: serde_json::to_string(&verdict).ok(),
        };
        self.database.put_statement(&partner.id, notice.period, &row).await?;
        let standing = self.books(partner).await?.standing(notice.period, now)?;
        Ok(Delivered { notice, standing, verdict })
    }

    /// The statement for `period` as it was issued, or as a draft, with what it was made from. Nobody is asked, and nothing
    /// is kept.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn made(
        &self,
        partner: &PartnerRow,
        period: impl Into<Period>,
    ) -> Result<(Made, StatementNotice), StatementFailure> {
        let period = period.into();
        let books = self.books(partner).await?;
        let Some(notice) = books.notice(period) else {
            let (basis, made) = books.make(period, StatementStatus::Draft)?;
            let notice = notice_of(&basis, &made, None);
            return Ok((made, notice));
        };
        let made = Maker::new(&books, &books.issued).make(&Basis::of(notice))?;
        if made.statement.text != notice.statement {
            return Err(StatementFailure::Changed(period));
        }
        Ok((made, notice.clone()))
    }

    /// What is read to make a partner's statements, by main's own record.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn books<'a>(&'a self, partner: &'a PartnerRow) -> Result<MainBooks<'a>, StatementFailure> {
        let notices = self.database.issued(&partner.id).await?;
        let issued = notices.iter().map(|notice| (notice.period, Basis::of(notice))).collect();
        let approved = self.approved(partner).await?;
        let record = self.database.record_size(&partner.id).await?;
        let disputes = self.database.disputes_of(&partner.id).await?.into_iter();
        let accepted = |dispute: &Dispute| dispute.ruling.as_ref().is_some_and(|it| it.decision == Decision::Accepted);
        let accepted = disputes.filter(accepted).map(|dispute| dispute.claim.period);
        let accepted = accepted.collect();
        let strikes = self.settled_strikes(&partner.id).await?;
        Ok(MainBooks { hub: self, partner, approved, record, notices, issued, accepted, strikes })
    }

    /// Asks the partner how much its site held when `period` ended, unless its statement was issued. Where it cannot be
    /// asked, what it said last before counts.
    async fn ask_holdings(&self, partner: &PartnerRow, period: Period, now: Timestamp) -> Result<(), StatementFailure> {
        let books = self.books(partner).await?;
        let (None, Ok(contract)) = (books.notice(period), books.contract(period)) else { return Ok(()) };
        if let Err(error) = self.note_holdings(partner, &contract, period, now).await {
            tracing::warn!(error = &error as &dyn std::error::Error, partner = %partner.id, "it is not known anew how much the site holds");
        }
        Ok(())
    }

    /// Main's copy of a journal, whose it is, and how many of its entries main has cosigned.
    ///
    /// # Errors
    /// Nothing was collected or cosigned, or the copy cannot be read.
    pub(crate) fn cosigned_copy(
        &self,
        partner: &PartnerRow,
        month: Month,
    ) -> Result<(JournalReader, Origin, u64), StatementFailure> {
        let mirrors = self.mirrors(partner);
        if !months(&mirrors)?.contains(&month) {
            return Err(StatementFailure::NotCollected(month));
        }
        let reader = JournalReader::open(month_dir(&mirrors, month))?;
        let cosigned = reader.cosigned()?.ok_or(StatementFailure::NotCollected(month))?;
        let origin = Origin::new(&self.config.main, &partner.id, month);
        let checkpoint = SignedCheckpoint::open(cosigned.as_bytes(), &origin, &partner.journal_key.parse()?)?;
        Ok((reader, origin, checkpoint.size()))
    }

    /// The contract that `month` is charged under, of all that the partner has approved by main's own record.
    ///
    /// # Errors
    /// None was approved, or it cannot be read.
    pub(crate) async fn charged_by_record(
        &self,
        partner: &PartnerRow,
        month: Month,
    ) -> Result<Contract, StatementFailure> {
        charged_under(self.approved(partner).await?, month).ok_or(StatementFailure::NoContract)
    }

    /// The contracts that the partner has approved by main's own record, each once.
    async fn approved(&self, partner: &PartnerRow) -> Result<Vec<Contract>, StatementFailure> {
        let was_live =
            |row: &ReleaseRow| [ReleaseState::Live.word(), ReleaseState::Retired.word()].contains(&&*row.state);
        let rows = self.database.releases(&partner.id).await?;
        let texts: BTreeSet<String> = rows.into_iter().filter(was_live).map(|row| row.contract).collect();
        let parse = |text: &String| Contract::parse("contract.yaml", text).map_err(StatementFailure::Contract);
        texts.iter().map(parse).collect()
    }

    /// What is agreed on with a partner by main's own record; by the contract that it is offered, while it has approved none.
    ///
    /// # Errors
    /// When a contract cannot be read.
    pub(crate) async fn agreed(&self, partner: &PartnerRow) -> Result<Vec<Contract>, StatementFailure> {
        let approved = self.approved(partner).await?;
        Ok(if approved.is_empty() { self.contract(&partner.id).into_iter().collect() } else { approved })
    }

    /// The log that a month is charged by, whose it is, and how many of its entries the other side has cosigned: main's copy
    /// of the partner's, or main's own where main alone is the `writer`.
    ///
    /// # Errors
    /// Nothing was collected or cosigned, or the log cannot be read.
    pub(crate) fn charged_log(
        &self,
        partner: &PartnerRow,
        writer: Side,
        month: Month,
    ) -> Result<(JournalReader, Origin, u64), StatementFailure> {
        match writer {
            Side::Main => self.witnessed(partner, month),
            Side::Partner | Side::Both => self.cosigned_copy(partner, month),
        }
    }

    /// Where that log lies, which it is, and the key that signs it.
    fn charged_files(
        &self,
        partner: &PartnerRow,
        writer: Side,
        month: Month,
    ) -> Result<(PathBuf, Origin, LogVerifier), StatementFailure> {
        if writer == Side::Main {
            let key = self.keys.journal().map_err(HubError::from)?.verifier();
            return Ok((month_dir(&self.own_journals(), month), self.own_origin(month), key));
        }
        let origin = Origin::new(&self.config.main, &partner.id, month);
        Ok((month_dir(&self.mirrors(partner), month), origin, partner.journal_key.parse()?))
    }
}

/// What main reads to make a partner's statements.
pub(crate) struct MainBooks<'a> {
    hub: &'a Hub,
    partner: &'a PartnerRow,
    approved: Vec<Contract>,
    /// How many entries the partner's record has.
    record: u64,
    /// What was issued, by period.
    notices: Vec<StatementNotice>,
    /// What that was made from.
    issued: Issued,
    /// The periods whose statement was disputed, and main accepted it.
    accepted: BTreeSet<Period>,
    /// The strikes that take effect, in the order of their digests.
    strikes: Vec<Strike>,
}

impl MainBooks<'_> {
    /// What was issued for `period`.
    pub(crate) fn notice(&self, period: Period) -> Option<&StatementNotice> {
        self.notices.iter().find(|notice| notice.period == period)
    }

    /// What was issued, with the contract that it was charged under.
    pub(crate) fn pinned(&self) -> impl Iterator<Item = (Period, Digest)> {
        self.issued.iter().filter_map(|(period, basis)| Some((*period, basis.charged.as_ref()?.contract)))
    }

    /// Every version of the contract that the partner has approved.
    pub(crate) fn versions(&self) -> &[Contract] {
        &self.approved
    }

    /// The periods of `month` that have a statement each.
    pub(crate) fn periods(&self, month: Month) -> Vec<Period> {
        charged_periods(&self.issued, &segments(self.approved.iter().cloned(), month), month)
    }

    /// Who writes the log that `month` is charged by. It changes where a month begins alone.
    pub(crate) fn writer(&self, month: Month) -> Result<Side, StatementFailure> {
        let pinned =
            self.pinned().filter(|(period, _)| period.month() == month).map(|(_, contract)| contract).collect();
        let contract = charged_until(self.approved.clone(), month, &pinned).ok_or(StatementFailure::NoContract)?;
        Ok(contract.journal.writer)
    }

    /// How far the statement of `period` is at `now`.
    fn standing(&self, period: Period, now: Timestamp) -> Result<Standing, StatementFailure> {
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

    /// The strikes of the log of `month` that take effect. Those of a log that was put aside have no effect on the one that
    /// came in its place.
    fn strikes(&self, month: Month) -> Result<Vec<&Strike>, StatementFailure> {
        let mut strikes = Vec::new();
        for strike in self.strikes.iter().filter(|strike| strike.month == month) {
            if self.is_of_log(strike)? {
                strikes.push(strike);
            }
        }
        Ok(strikes)
    }

    fn is_of_log(&self, strike: &Strike) -> Result<bool, StatementFailure> {
        let (reader, _, signed) = self.log(strike.month)?;
        strike.is_of(|size| (size <= signed).then(|| Ok(reader.root_at(size)?.to_string())).transpose())
    }

    /// The numbers of the entries that are struck out of the log of `month` now.
    ///
    /// # Errors
    /// When something is struck out, and the log cannot be read.
    pub(crate) fn struck_now(&self, month: Month) -> Result<BTreeSet<u64>, StatementFailure> {
        Ok(together(self.strikes(month)?))
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
            if let Some(revision) = self.revision(earlier, period)?
                && maker.correction(period, &revision)?.is_some()
            {
                revisions.push(revision);
            }
        }
        Ok(revisions)
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
    fn revision(&self, earlier: Period, until: Period) -> Result<Option<Revision>, StatementFailure> {
        let Some(before) = charged_so_far(&self.issued, earlier, until) else { return Ok(None) };
        let (_, _, size) = self.log(earlier.month())?;
        let strikes: Vec<Digest> = self.strikes(earlier.month())?.into_iter().map(Strike::digest).collect();
        let is_disputed = is_disputed(&self.issued, &self.accepted, earlier, until);
        let has_struck = strikes != before.strikes;
        let (record, has_sold) = self.record_since(earlier, before.record)?;
        if size <= before.size && !has_struck && !is_disputed && !has_sold {
            return Ok(None);
        }
        let cause = match (is_disputed, has_struck) {
            (true, _) => Cause::Dispute,
            (false, true) => Cause::StruckEntries,
            (false, false) if has_sold => Cause::ChangedSales,
            (false, false) => Cause::LateEntries,
        };
        Ok(Some(Revision { period: earlier, size: size.max(before.size), strikes, record, cause }))
    }

    /// What all of the record says of `period` under `contract`.
    pub(crate) fn all_recorded(&self, contract: &Contract, period: Period) -> Result<Recorded, StatementFailure> {
        self.hub.recorded(self.partner, contract, period, self.record)
    }

    /// How many entries of the record a period under `contract` goes by.
    fn record_gone_by(&self, contract: &Contract) -> u64 {
        if contract.terms.go_by_record() { self.record } else { 0 }
    }

    /// How many entries of the record `period` goes by now, and whether they say anything else of it than the first
    /// `before` do.
    fn record_since(&self, period: Period, before: u64) -> Result<(u64, bool), StatementFailure> {
        if self.record <= before {
            return Ok((before, false));
        }
        let contract = self.contract(period)?;
        let now = self.record_gone_by(&contract).max(before);
        let of = |until| self.hub.recorded(self.partner, &contract, period, until);
        Ok((now, now > before && of(before)? != of(now)?))
    }

    /// Why `period` has no contract.
    fn not_governed(&self, period: Period) -> StatementFailure {
        let (month, periods) = (period.month(), self.periods(period.month()));
        match periods.len() {
            _ if self.approved.is_empty() => StatementFailure::NoContract,
            0 => StatementFailure::NotGoverned(period),
            _ if period.is_whole() => StatementFailure::Several { month, periods },
            _ => StatementFailure::NotGoverned(period),
        }
    }
}

impl Ledger for MainBooks<'_> {
    type Error = StatementFailure;

    fn contract(&self, period: Period) -> Result<Contract, StatementFailure> {
        if let Some(charged) = self.issued.get(&period).and_then(|basis| basis.charged.as_ref()) {
            let pinned = self.approved.iter().find(|contract| contract.digest() == charged.contract);
            return pinned.cloned().ok_or(StatementFailure::NoVersion(period, charged.contract));
        }
        let is_open = self.issued.keys().all(|issued| !issued.overlaps(period));
        let segments = segments(self.approved.iter().cloned(), period.month()).into_iter();
        let found = segments.filter(|_| is_open).find(|Segment { period: of, .. }| *of == period);
        found.map(|Segment { contract, .. }| contract).ok_or_else(|| self.not_governed(period))
    }

    fn head(&self, month: Month, size: u64) -> Result<JournalHead, StatementFailure> {
        let (reader, origin, _) = self.log(month)?;
        Ok(JournalHead { origin: origin.to_string(), size, root: reader.root_at(size)?.to_string() })
    }

    /// From the counts that are kept with each collection, where they are of so many entries; else the log is verified and
    /// counted in one pass. None are kept of main's own log: which of its entries count depends on the contract's mounts.
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
        let verified = verify_entries(&dir, &origin, &key, |entry| counting.take(entry));
        let signed = verified.map_err(|source| StatementFailure::Damaged(origin, source))?.checkpoint.size();
        if signed < size {
            return Err(ReadError::Beyond { dir, size: signed, asked: format!("the entries 0 to {size}") }.into());
        }
        Ok(counting.finish()?)
    }

    fn struck(&self, month: Month, strikes: &[Digest]) -> Result<BTreeSet<u64>, StatementFailure> {
        let find = |digest: &Digest| {
            let found = self.strikes.iter().find(|strike| strike.month == month && strike.digest() == *digest);
            let strike = found.ok_or(StatementFailure::NotAgreed(*digest))?;
            if self.is_of_log(strike)? { Ok(strike) } else { Err(StatementFailure::OtherLog(*digest)) }
        };
        Ok(together(strikes.iter().map(find).collect::<Result<Vec<_>, _>>()?))
    }

    fn recorded(&self, contract: &Contract, basis: &Basis) -> Result<Recorded, StatementFailure> {
        self.hub.recorded(self.partner, contract, basis.period, basis.record)
    }
}

fn notice_of(basis: &Basis, made: &Made, note: Option<&SignedText>) -> StatementNotice {
    StatementNotice {
        period: basis.period,
        size: basis.size,
        strikes: basis.strikes.clone(),
        record: basis.record,
        status: basis.status,
        statement: made.statement.text.clone(),
        revisions: basis.revisions.clone(),
        note: note.map(|note| note.note().to_owned()),
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
