//! Which strikes are of the log that their month is charged by, and not of one that was put aside for it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use tieup_protocol::contract::Side;
use tieup_protocol::digest::Digest;
use tieup_protocol::period::Month;
use tieup_protocol::strike::{Checkpoint, KeptStrike, Party, Strike, Waiting, together};
use tieup_store::journal::{Origin, ReadError, stored_root};

use super::MainBooks;
use crate::rollups::begins_with_cosigned;
use crate::statements::StatementFailure;

impl MainBooks<'_> {
    /// The strikes of the log of `month` that take effect. Those of a log that was put aside have no effect on the one that
    /// came in its place.
    pub(super) fn strikes(&self, month: Month) -> Result<Vec<&Strike>, StatementFailure> {
        let mut strikes: Vec<&Strike> = self.strikes.iter().filter(|strike| strike.month == month).collect();
        let others = self.not_in_place(month, &strikes)?;
        strikes.retain(|strike| !others.contains(strike));
        Ok(strikes)
    }

    /// Those of `strikes` that are of another log than the one that `month` is charged by: that one was put aside for it. The
    /// log is looked at once for all of them.
    ///
    /// # Errors
    /// When nobody can say: the log cannot be read, or is not what was cosigned.
    pub(super) fn not_in_place<'s>(
        &self,
        month: Month,
        strikes: &[&'s Strike],
    ) -> Result<Vec<&'s Strike>, StatementFailure> {
        let others = self.of_other_entries(month, strikes)?;
        if !others.is_empty() {
            self.check_cosigned(month, &others)?;
        }
        Ok(others)
    }

    /// Those of `strikes` with whose entries the log that `month` is charged by does not begin: it is another, or damaged, or
    /// its end is not here.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn of_other_entries<'s>(
        &self,
        month: Month,
        strikes: &[&'s Strike],
    ) -> Result<Vec<&'s Strike>, StatementFailure> {
        if strikes.iter().all(|strike| strike.checkpoint.is_none()) {
            // Those from before checkpoints were told are of whatever log has their name.
            return Ok(Vec::new());
        }
        let here = self.here(month)?;
        let mut others = Vec::new();
        for strike in strikes {
            if let Some(Checkpoint { size, root }) = &strike.checkpoint
                && !here.begins_with(*size, Some(root))?
            {
                others.push(*strike);
            }
        }
        Ok(others)
    }

    /// Fails where the log that `month` is charged by is not what was cosigned, or its end is not here, so that `others` need
    /// not be of another one.
    pub(crate) fn check_cosigned(&self, month: Month, others: &[&Strike]) -> Result<(), StatementFailure> {
        let sizes = others.iter().filter_map(|strike| strike.checkpoint.as_ref()).map(|checkpoint| checkpoint.size);
        self.check_here(month, &self.here(month)?, sizes.max().unwrap_or(0))
    }

    /// The log that `month` is charged by, as it was cosigned.
    pub(super) fn here(&self, month: Month) -> Result<Cosigned, StatementFailure> {
        let writer = self.writer(month)?;
        let (dir, origin, _) = self.hub.charged_files(self.partner, writer, month)?;
        let (size, root) = self.hub.charged_head(self.partner, writer, month)?;
        Ok(Cosigned { dir, origin, size, root })
    }

    /// Fails unless the log of `month` that is `here` is another one where it does not begin with `asked` entries as they were
    /// signed.
    pub(super) fn check_here(&self, month: Month, here: &Cosigned, asked: u64) -> Result<(), StatementFailure> {
        let Cosigned { dir, origin, size, root } = here;
        if asked > *size && self.put_aside_at(month)?.is_none() {
            // It came back from an older backup, or another hub has the rest.
            let (dir, size, asked) = (dir.clone(), *size, format!("the entries 0 to {asked}"));
            return Err(ReadError::Beyond { dir, size, asked }.into());
        }
        // A copy that was damaged is not another log.
        begins_with_cosigned(dir, origin, *size, (*size, root))
    }

    /// When the log that `month` is charged by was last put aside for another. Main's own never is, whatever was settled of a
    /// journal of the partner.
    pub(super) fn put_aside_at(&self, month: Month) -> Result<Option<Timestamp>, StatementFailure> {
        match self.writer(month)? {
            Side::Main => Ok(None),
            Side::Partner | Side::Both => Ok(self.hub.refusals(&self.partner.id).put_aside_at(month)?),
        }
    }

    /// Of the strikes that are `known`, what the side `by` has proposed and the other has not answered.
    pub(crate) fn waiting<'k>(&self, known: &'k [KeptStrike], by: Party) -> Waiting<'k> {
        Waiting::of(known, by, |month, strikes| self.not_in_place(month, strikes))
    }

    /// The strike of `month` with that digest, which must take effect.
    pub(super) fn agreed_strike(&self, month: Month, digest: Digest) -> Result<&Strike, StatementFailure> {
        let found = self.strikes.iter().find(|strike| strike.month == month && strike.digest() == digest);
        found.ok_or(StatementFailure::NotAgreed(digest))
    }

    /// The numbers of the entries that are struck out of the log of `month` now.
    ///
    /// # Errors
    /// When something is struck out, and the log cannot be read.
    pub(crate) fn struck_now(&self, month: Month) -> Result<BTreeSet<u64>, StatementFailure> {
        Ok(together(self.strikes(month)?))
    }
}

/// A log as far as the other side has cosigned it.
pub(super) struct Cosigned {
    dir: PathBuf,
    origin: Origin,
    size: u64,
    root: String,
}

impl Cosigned {
    /// Whether it begins with so many entries, of this root hash where one is named, by the hashes that are stored.
    pub(super) fn begins_with(&self, size: u64, root: Option<&str>) -> Result<bool, StatementFailure> {
        let is_root = |root| Ok::<_, StatementFailure>(stored_root(&self.dir, size)?.to_string() == root);
        Ok(size <= self.size && root.map_or(Ok(true), is_root)?)
    }
}
