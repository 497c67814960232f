//! Counting, shared: what journals come to is counted day by day, each day by whichever process claims it first.
//!
//! What is to be counted stands in the database, one row for a day of a partner's journal in the period that it is charged
//! for. Days of one journal are counted in their order, since each goes on from what the one before it left (chains of
//! clicks and sessions cross midnight); journals are counted side by side. Results are the rollups beside the journals.
//!
//! A process that dies loses the day that it was at: its claim is free with its death, and whoever claims the day next goes
//! on from the day before. Where a day was counted and not noted, its counts are found, and nothing is counted twice.

mod days;

use std::collections::BTreeSet;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tieup_fees::{Ledger as _, Rollup, Ungoverned};
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::{Month, Period};
use tieup_web::complaint;
use tieup_web::listener::Shutdown;
use tokio::task::block_in_place;

use self::days::days;
use crate::books::MainBooks;
use crate::database::{ClaimError, Counting, CountingDay, DatabaseError, PartnerRow, Planned};
use crate::partners::Hub;
use crate::rollups::{Copy, Place};
use crate::statements::StatementFailure;

/// The folder of the locks by which days are claimed with SQLite, below the state folder.
const LOCKS: &str = "counting";

/// After how many entries it is told how far counting is.
const STRIDE: u64 = 1 << 12;

/// Which journals are meant.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Only this partner's.
    pub partner: Option<SiteId>,
    /// Only those of this month.
    pub month: Option<Month>,
}

/// How far this process has come with what it counts, for whoever watches it.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// So many entries are going to be counted, as what is returned is told.
    pub(crate) fn strides(&self, entries: u64) -> Strides<'_> {
        self.total.fetch_add(entries, Ordering::Relaxed);
        Strides { progress: self, left: entries, taken: 0 }
    }

    /// How many entries were counted, and of how many.
    pub fn stand(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}

/// One count that is under way: its entries are told many at a time. Those that were not reached are told when it is over.
#[derive(Debug)]
pub(crate) struct Strides<'a> {
    progress: &'a Progress,
    left: u64,
    /// How many were counted since it was told last.
    taken: u64,
}

impl Strides<'_> {
    /// One more was counted.
    pub(crate) fn step(&mut self) {
        self.taken += 1;
        if self.taken == STRIDE {
            self.tell(STRIDE);
        }
    }

    fn tell(&mut self, entries: u64) {
        self.progress.done.fetch_add(entries, Ordering::Relaxed);
        (self.left, self.taken) = (self.left - entries, 0);
    }
}

impl Drop for Strides<'_> {
    fn drop(&mut self) {
        self.tell(self.left);
    }
}

/// A day that was counted by this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Which.
    pub day: CountingDay,
    /// How many entries of it were counted here; none where somebody had counted them, and died before it was noted.
    pub entries: u64,
}

/// What is left when nothing more can be claimed.
#[derive(Debug, Default)]
pub struct Left {
    /// How many journals others are counting at this moment.
    pub with_others: usize,
    /// The days that cannot be counted here, with the reason.
    pub failed: Vec<(CountingDay, StatementFailure)>,
}

impl Scope {
    fn holds(&self, day: &CountingDay) -> bool {
        self.partner.as_ref().is_none_or(|only| *only == day.partner)
            && self.month.is_none_or(|only| only == day.period.month())
    }
}

/// What came of trying to count a journal.
enum Came {
    /// One day of it, or more, was counted.
    Counted,
    /// Somebody else is at it.
    Taken,
}

impl Hub {
    /// Plans to count what was collected of a month of a partner, and is not planned yet.
    ///
    /// # Errors
    /// Nothing was collected or cosigned, no contract is in force, or the copy cannot be read.
    pub async fn plan_counting(&self, partner: &PartnerRow, month: Month) -> Result<(), StatementFailure> {
        let books = self.books(partner).await?;
        let charged = charged_periods(&books, month)?;
        if charged.is_empty() {
            return Ok(());
        }
        let (planned, copy) = self.planned_still(partner, month, &charged, &books.struck_now(month)?).await?;
        for (contract, period) in &charged {
            let from = planned.iter().find(|planned| planned.period == *period).map_or(0, |planned| planned.entries);
            if from < copy.head.size {
                let of = (&contract.effective.tz, *period);
                let days = block_in_place(|| days(copy.reader()?, of, from, copy.head.size))?;
                self.counting.plan_counting(&partner.id, *period, &days).await?;
            }
        }
        Ok(())
    }

    /// What is planned of a month, after what does not hold any more was forgotten: periods that are not charged, days that
    /// were counted and whose counts are gone, and days that the journal does not have, since another took its place.
    async fn planned_still(
        &self,
        partner: &PartnerRow,
        month: Month,
        charged: &[(Contract, Period)],
        struck: &BTreeSet<u64>,
    ) -> Result<(Vec<Planned>, Copy), StatementFailure> {
        let mut turn = self.counting.begin_planning(&partner.id).await?;
        let planned = turn.planned(month).await?;
        // Files are looked at after the rows: what is planned was collected before, and what is noted was written before.
        let copy = self.copy_of(partner, month, struck)?;
        for Planned { period, entries, counted } in planned {
            let Some((contract, _)) = charged.iter().find(|(_, charged)| *charged == period) else {
                turn.forget(period).await?;
                continue;
            };
            if let Some(counted) = counted
                && !self.place_of(partner, contract, period).is_there()
            {
                turn.forget_counted(period, counted).await?;
            }
            if entries > copy.head.size {
                turn.forget_beyond(period, copy.head.size).await?;
            }
        }
        let planned = turn.planned(month).await?;
        turn.commit().await?;
        Ok((planned, copy))
    }

    /// The first day that is still to be counted of each period of each partner, claimed or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_counting(&self) -> Result<Vec<CountingDay>, DatabaseError> {
        self.counting.due_counting().await
    }

    /// Counts what is due of `scope` and claimed by nobody, and tells each day, until nothing more can be claimed. After
    /// `shutdown` no further day is claimed.
    ///
    /// Durable on return, and for each day as soon as it is told.
    ///
    /// # Errors
    /// When the database fails. What fails of one journal holds up no other.
    pub async fn share_counting(
        &self,
        scope: &Scope,
        shutdown: &Shutdown,
        tell: &mut (dyn FnMut(Counted) + Send),
    ) -> Result<Left, StatementFailure> {
        let mut left = Left::default();
        let mut gone_wrong = BTreeSet::new();
        loop {
            let name = |day: &CountingDay| (day.partner.clone(), day.period.first());
            let due = self.counting.due_counting().await?;
            let due: Vec<_> =
                due.into_iter().filter(|day| scope.holds(day) && !gone_wrong.contains(&name(day))).collect();
            let (mut others, mut counted) = (0, false);
            for day in due {
                match self.count_journal(&day, shutdown, tell).await {
                    Ok(Came::Counted) => counted = true,
                    Ok(Came::Taken) => others += 1,
                    Err(StatementFailure::Database(error)) => return Err(error.into()),
                    Err(error) => {
                        gone_wrong.insert(name(&day));
                        left.failed.push((day, error));
                    }
                }
            }
            if !counted {
                left.with_others = others;
                return Ok(left);
            }
        }
    }

    /// Counts the journal of `first` from that day on, as long as its days are due and nobody else claims one.
    async fn count_journal(
        &self,
        first: &CountingDay,
        shutdown: &Shutdown,
        tell: &mut (dyn FnMut(Counted) + Send),
    ) -> Result<Came, StatementFailure> {
        // The turns are never closed.
        let _turn = self.counters.acquire().await.ok();
        let locks = self.config.state.join(LOCKS);
        let (mut day, mut found) = (first.clone(), None);
        let mut came = Came::Taken;
        while !shutdown.is_on()
            && let Some(mut claim) = self.counting.claim(&day, &locks).await?
        {
            let (journal, rollup) = match found.take() {
                Some(found) => found,
                None => self.journal_of(&day).await?,
            };
            let begun = rollup.covers().size;
            let place = journal.place(self);
            let rollup = block_in_place(|| journal.copy.count_until(rollup, day.entries))?;
            // Whoever has lost the claim writes nothing: another may have come further by now.
            claim.confirm().await?;
            if rollup.covers().size > begun {
                block_in_place(|| place.write(&rollup))?;
            }
            let entries = rollup.covers().size - begun;
            claim.finish(&Counting { begun, counter: name(), at: Timestamp::now() }).await?;
            tell(Counted { day: day.clone(), entries });
            (came, found) = (Came::Counted, Some((journal, rollup)));
            let due = self.counting.due_counting().await?;
            let next = due.into_iter().find(|next| (&next.partner, next.period) == (&day.partner, day.period));
            let Some(next) = next else { break };
            day = next;
        }
        Ok(came)
    }

    /// The journal that `day` is of, and what is kept of its counts.
    async fn journal_of(&self, day: &CountingDay) -> Result<(Journal, Rollup), StatementFailure> {
        let partner = self.partner(&day.partner).await?;
        let month = day.period.month();
        let books = self.books(&partner).await?;
        let charged = charged_periods(&books, month)?.into_iter().find(|(_, period)| *period == day.period);
        let (contract, _) = charged.ok_or(Ungoverned::NoContract)?;
        let copy = self.copy_of(&partner, month, &books.struck_now(month)?)?;
        drop(books);
        if copy.head.size < day.entries {
            return Err(StatementFailure::NotCollected(day.period.month()));
        }
        let journal = Journal { partner, contract, period: day.period, copy };
        let rollup = block_in_place(|| journal.place(self).found(&journal.copy))?;
        Ok((journal, rollup))
    }

    /// Counts what was collected of a month. That it cannot be done is told, and holds up nothing; what somebody else counts
    /// is left to them.
    pub(crate) async fn roll_up(&self, partner: &PartnerRow, month: Month) {
        match self.try_roll_up(partner, month).await {
            Ok(()) | Err(StatementFailure::Ungoverned(Ungoverned::NoContract)) => {}
            Err(error) => {
                tracing::warn!(partner = %partner.id, %month, "no counts were kept\n{}", complaint::render(&error));
            }
        }
    }

    async fn try_roll_up(&self, partner: &PartnerRow, month: Month) -> Result<(), StatementFailure> {
        self.plan_counting(partner, month).await?;
        let scope = Scope { partner: Some(partner.id.clone()), month: Some(month) };
        let left = self.share_counting(&scope, &Shutdown::new(), &mut |_| {}).await?;
        left.failed.into_iter().next().map_or(Ok(()), |(_, error)| Err(error))
    }
}

/// The periods of a month that are charged by a partner's journal, each with the contract that governs it. There is
/// none where main writes the log: which of its entries count depends on the contract's mounts, so no counts are kept.
fn charged_periods(books: &MainBooks<'_>, month: Month) -> Result<Vec<(Contract, Period)>, StatementFailure> {
    if books.writer(month)? == Side::Main {
        return Ok(Vec::new());
    }
    books.periods(month).into_iter().map(|period| Ok((books.contract(period)?, period))).collect()
}

/// A partner's journal of a month, as it is counted.
struct Journal {
    partner: PartnerRow,
    contract: Contract,
    period: Period,
    copy: Copy,
}

impl Journal {
    fn place(&self, hub: &Hub) -> Place<'_> {
        hub.place_of(&self.partner, &self.contract, self.period)
    }
}

/// Counts what is left of days that were planned, whoever planned them, until `shutdown`; looks again after each `rest`.
pub(crate) async fn keep_counting(hub: Arc<Hub>, rest: Duration, shutdown: Shutdown) {
    // What cannot be counted is told once, not every few seconds.
    let mut told = BTreeSet::new();
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(rest) => {}
        }
        let tell = &mut |counted: Counted| {
            let CountingDay { partner, day, .. } = &counted.day;
            tracing::info!(%partner, %day, entries = counted.entries, "a day was counted");
        };
        match hub.share_counting(&Scope::default(), &shutdown, tell).await {
            Ok(left) => {
                for (day, error) in left.failed {
                    if told.insert((day.partner.clone(), day.day)) {
                        let words = complaint::render(&error);
                        tracing::warn!(partner = %day.partner, day = %day.day, "a day is not counted here\n{words}");
                    }
                }
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "what is to be counted cannot be read");
            }
        }
    }
}

/// What this process is called in the record of who counted what.
fn name() -> String {
    format!("process {}", process::id())
}

impl From<ClaimError> for StatementFailure {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Database(error) => error.into(),
            ClaimError::Disk(error) => error.into(),
        }
    }
}
