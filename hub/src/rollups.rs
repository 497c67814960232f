//! Rollups: what partners' journals come to by the hour, kept as they grow, so that closing a month reads no journal.
//!
//! They lie in files in the state folder, as the copies do that they are made from, and not in the database: they hold
//! nothing of their own, are replaced whole, and whoever loses or damages one loses nothing but time. One that is missing,
//! damaged, or not of the entries that main has cosigned is made anew from the copy.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tieup_fees::{Counted, JournalHead, Ledger as _, Rollup, StatementError};
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::period::{Month, Period};
use tieup_store::durable::{self, DiskError};
use tieup_store::journal::{JournalReader, LogVerifier, Origin, ReadError, stored_root, verify_entries};
use tokio::task::block_in_place;

use crate::counting::{Progress, Strides};
use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// The folder of rollups, below the state folder.
const ROLLUPS: &str = "rollups";

/// How a rollup on the disk compares with the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is, byte for byte, what counting so many entries anew gives.
    Agrees(u64),
    /// There is none that can be used.
    Missing,
    /// It is of the journal's entries, and counting them anew gives something else. Somebody changed it, or this program
    /// counts otherwise than the one that made it.
    Differs(u64),
}

/// Main's copy of a journal, up to what main has cosigned.
#[derive(Debug)]
pub(crate) struct Copy {
    dir: PathBuf,
    /// The log that it is of, and the key that signs that.
    log: (Origin, LogVerifier),
    pub(crate) head: JournalHead,
    /// The numbers of the entries that are struck out.
    struck: BTreeSet<u64>,
    /// The copy, once somebody reads entries.
    opened: OnceLock<JournalReader>,
    progress: Arc<Progress>,
}

/// Where the rollup for the days that `contract` governs is kept.
pub(crate) struct Place<'a> {
    path: PathBuf,
    contract: &'a Contract,
    period: Period,
}

impl Hub {
    /// What a partner's journal comes to in the days of `period` by the rules of `contract`, without what is `struck` out
    /// now, and the head up to which it was counted: the last that main cosigned.
    ///
    /// Reads the entries that no rollup covers yet, and keeps a rollup that does.
    ///
    /// # Errors
    /// Nothing was collected or cosigned, or the copy cannot be read.
    pub(crate) fn counted(
        &self,
        partner: &PartnerRow,
        contract: &Contract,
        period: Period,
        struck: &BTreeSet<u64>,
    ) -> Result<(Counted, JournalHead), StatementFailure> {
        let copy = self.copy_of(partner, period.month(), struck)?;
        let rollup = block_in_place(|| self.place_of(partner, contract, period).bring_up(&copy))?;
        Ok((rollup.counted(), copy.head))
    }

    /// Counts a period anew, from a copy that is verified in the same pass, and compares with what is kept; what differs is
    /// kept in its place.
    ///
    /// # Errors
    /// Nothing was collected or cosigned, there is no contract, or the copy cannot be read or is not what was signed for.
    /// Nothing is replaced then.
    pub async fn verify_rollup(
        &self,
        partner: &PartnerRow,
        period: impl Into<Period>,
    ) -> Result<Standing, StatementFailure> {
        let period = period.into();
        let books = self.books(partner).await?;
        let contract = books.contract(period)?;
        self.count_anew(partner, &contract, period, &books.struck_now(period.month())?)
    }

    /// The same under `contract`, without what is `struck` out.
    ///
    /// # Errors
    /// See [`Self::verify_rollup`].
    pub(crate) fn count_anew(
        &self,
        partner: &PartnerRow,
        contract: &Contract,
        period: Period,
        struck: &BTreeSet<u64>,
    ) -> Result<Standing, StatementFailure> {
        let copy = self.copy_of(partner, period.month(), struck)?;
        block_in_place(|| self.place_of(partner, contract, period).verify(&copy))
    }

    /// Main's copy of the journal of a month, without what is `struck` out.
    pub(crate) fn copy_of(
        &self,
        partner: &PartnerRow,
        month: Month,
        struck: &BTreeSet<u64>,
    ) -> Result<Copy, StatementFailure> {
        let (dir, origin, key) = self.charged_files(partner, Side::Partner, month)?;
        let (size, root) = self.charged_head(partner, Side::Partner, month)?;
        let (head, struck) = (JournalHead { origin: origin.to_string(), size, root }, struck.clone());
        let (opened, progress) = (OnceLock::new(), self.counted.clone());
        Ok(Copy { dir, log: (origin, key), head, struck, opened, progress })
    }

    pub(crate) fn place_of<'a>(&self, partner: &PartnerRow, contract: &'a Contract, period: Period) -> Place<'a> {
        let folder = self.config.state.join(ROLLUPS).join(partner.id.as_str());
        Place { path: folder.join(format!("{}_{}", period.first(), period.last())), contract, period }
    }
}

impl Copy {
    /// Whether `rollup` is of the beginning of this journal.
    fn begins_with(&self, rollup: &Rollup) -> Result<bool, ReadError> {
        let covers = rollup.covers();
        if *covers == self.head || covers.origin != self.head.origin || covers.size >= self.head.size {
            return Ok(*covers == self.head && rollup.agrees_on(&self.struck));
        }
        let root = self.reader()?.root_at(covers.size)?;
        Ok(root.to_string() == covers.root && rollup.agrees_on(&self.struck))
    }

    /// The copy, which is opened once: that reads all of it.
    pub(crate) fn reader(&self) -> Result<&JournalReader, ReadError> {
        if let Some(reader) = self.opened.get() {
            return Ok(reader);
        }
        let reader = JournalReader::open(&self.dir)?;
        Ok(self.opened.get_or_init(|| reader))
    }

    /// Takes `rollup` on to the end of this journal. Where it is there already the journal is not even opened.
    fn count_on(&self, rollup: Rollup) -> Result<Rollup, StatementFailure> {
        self.count_to(rollup, self.head.clone())
    }

    /// Takes `rollup` on to `size` entries of this journal, unless it has come as far already.
    pub(crate) fn count_until(&self, rollup: Rollup, size: u64) -> Result<Rollup, StatementFailure> {
        if rollup.covers().size >= size {
            return Ok(rollup);
        }
        if size == self.head.size {
            return self.count_on(rollup);
        }
        let root = self.reader()?.root_at(size)?.to_string();
        self.count_to(rollup, JournalHead { origin: self.head.origin.clone(), size, root })
    }

    /// Takes `rollup` on to the entries of `head`, and hashes those that follow in the same pass: where they do not give the
    /// root of `head` together with the stored hashes of those before, nothing was counted.
    fn count_to(&self, rollup: Rollup, head: JournalHead) -> Result<Rollup, StatementFailure> {
        let from = rollup.covers().size;
        if *rollup.covers() == head {
            return Ok(rollup);
        }
        let mut taking = self.taking(rollup, head.size - from);
        let root = self.reader()?.hash_entries(from..head.size, |entry| taking.take(entry))?;
        if root.to_string() != head.root {
            return Err(StatementFailure::OtherThanCosigned(self.log.0.clone(), head.size));
        }
        taking.reach(head)
    }

    /// Takes `rollup`, which has no entries yet, to the end of this journal, and hashes every entry again in the same pass:
    /// what was damaged here is told, and not counted.
    fn count_verified(&self, rollup: Rollup) -> Result<Rollup, StatementFailure> {
        let (size, (origin, key)) = (self.head.size, &self.log);
        let mut taking = self.taking(rollup, size);
        verify_cosigned(&self.dir, (origin, key), (size, &self.head.root), |entry| taking.take(entry))?;
        taking.reach(self.head.clone())
    }

    /// `rollup`, which is to be handed the `left` entries that follow.
    fn taking(&self, rollup: Rollup, left: u64) -> Taking<'_> {
        Taking { rollup, left, struck: &self.struck, strides: self.progress.strides(left), invalid: None }
    }
}

/// A rollup that goes on while entries are handed over, which are known to be the right ones only in the end.
struct Taking<'a> {
    rollup: Rollup,
    /// How many entries are still to be taken; what is handed over beyond them is left aside.
    left: u64,
    struck: &'a BTreeSet<u64>,
    strides: Strides<'a>,
    /// The first entry that cannot be decoded.
    invalid: Option<StatementError<ReadError>>,
}

impl Taking<'_> {
    fn take(&mut self, entry: &[u8]) {
        if self.left == 0 || self.invalid.is_some() {
            return;
        }
        self.left -= 1;
        self.strides.step();
        let number = self.rollup.covers().size;
        let taken = self.rollup.take(entry, self.struck);
        self.invalid = taken.err().map(|source| StatementError::Entry { number, source });
    }

    /// The rollup of the entries of `head`, if it has taken as many.
    fn reach(mut self, head: JournalHead) -> Result<Rollup, StatementFailure> {
        if let Some(invalid) = self.invalid {
            return Err(invalid.into());
        }
        self.rollup.reach(head)?;
        Ok(self.rollup)
    }
}

/// Verifies the log in `dir`, of that origin and signed with that key, and hands each entry to `each` in the same pass: what
/// that makes of them is worth nothing where this fails. It must begin with the entries that were `cosigned`: so many, with
/// this root hash.
///
/// # Errors
/// When it cannot be read, or is not what was signed for or cosigned.
pub(crate) fn verify_cosigned(
    dir: &Path,
    (origin, key): (&Origin, &LogVerifier),
    cosigned: (u64, &str),
    each: impl FnMut(&[u8]),
) -> Result<(), StatementFailure> {
    let verified = verify_entries(dir, origin, key, each);
    let verified = verified.map_err(|source| StatementFailure::Damaged(origin.clone(), source))?;
    begins_with_cosigned(dir, origin, verified.checkpoint.size(), cosigned)
}

/// Fails unless the log in `dir`, which was verified as far as it was `signed` for, begins with the entries that were
/// `cosigned`: so many, with this root hash.
pub(crate) fn begins_with_cosigned(
    dir: &Path,
    origin: &Origin,
    signed: u64,
    (size, root): (u64, &str),
) -> Result<(), StatementFailure> {
    if signed < size {
        let asked = format!("the {size} entries that were cosigned");
        return Err(ReadError::Beyond { dir: dir.to_owned(), size: signed, asked }.into());
    }
    if stored_root(dir, size)?.to_string() == root {
        Ok(())
    } else {
        Err(StatementFailure::OtherThanCosigned(origin.clone(), size))
    }
}

impl Place<'_> {
    /// The rollup that covers all of `copy`, from what is kept and what followed; it is kept in its place.
    fn bring_up(&self, copy: &Copy) -> Result<Rollup, StatementFailure> {
        let kept = self.read(copy)?;
        let is_new = kept.as_ref().is_none_or(|kept| *kept.covers() != copy.head);
        let rollup = copy.count_on(kept.unwrap_or_else(|| self.begin(copy)))?;
        if is_new {
            self.put(&rollup);
        }
        Ok(rollup)
    }

    /// The rollup that is kept of the beginning of `copy`, or one of no entries yet.
    pub(crate) fn found(&self, copy: &Copy) -> Result<Rollup, StatementFailure> {
        Ok(self.read(copy)?.unwrap_or_else(|| self.begin(copy)))
    }

    /// Whether something is kept, of whatever use it is.
    pub(crate) fn is_there(&self) -> bool {
        self.path.is_file()
    }

    fn verify(&self, copy: &Copy) -> Result<Standing, StatementFailure> {
        let kept = self.read(copy)?;
        let anew = copy.count_verified(self.begin(copy))?;
        let standing = match kept {
            None => Standing::Missing,
            Some(kept) => {
                let size = kept.covers().size;
                let on = copy.count_on(kept)?;
                if on.encode() == anew.encode() { Standing::Agrees(size) } else { Standing::Differs(size) }
            }
        };
        self.put(&anew);
        Ok(standing)
    }

    fn begin(&self, copy: &Copy) -> Rollup {
        Rollup::begin(self.contract, self.period, &copy.head.origin)
    }

    /// The rollup that is kept, if it is of the beginning of `copy` and by the rules that count.
    fn read(&self, copy: &Copy) -> Result<Option<Rollup>, StatementFailure> {
        let Some(bytes) = durable::read_file(&self.path)? else { return Ok(None) };
        match Rollup::decode(&bytes, self.contract, self.period) {
            Ok(rollup) => Ok(copy.begins_with(&rollup)?.then_some(rollup)),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "a rollup is made anew");
                Ok(None)
            }
        }
    }

    /// Keeps a rollup. It has tokens of visitors in it, as the journal has, so nobody else may read it. Durable on return.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn write(&self, rollup: &Rollup) -> Result<(), DiskError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        durable::create_dir_all(folder)?;
        durable::write_private_file(&self.path, &rollup.encode())
    }

    /// The same, where a disk that refuses is told of and holds up nothing: the counts are known.
    fn put(&self, rollup: &Rollup) {
        if let Err(error) = self.write(rollup) {
            tracing::warn!(error = &error as &dyn std::error::Error, "a rollup was not kept");
        }
    }
}

#[cfg(test)]
mod tests;
