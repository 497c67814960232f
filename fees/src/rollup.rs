//! Rollups: counts by hour of a journal's beginning, put away with what they cover, and gone on with as it grows.
//!
//! A journal is read once, however often it is asked what it comes to. A rollup says which entries it is of (the origin of
//! the log, how many entries, their root hash), which of them were struck out, and by which rules, in which zone and for
//! which days it counted; it is used for nothing else. It can be made again from the journal at any time, byte for byte.
//!
//! Its form is the line `tieup-rollup/1`, the BLAKE3 of what follows, and that in postcard's encoding. It is no part of
//! what both sides agree on: whoever cannot read one counts anew.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tieup_protocol::access::InvalidEntry;
use tieup_protocol::contract::{Contract, RuleSet, Session};
use tieup_protocol::digest::Digest;
use tieup_protocol::period::Period;

use crate::compute::StatementError;
use crate::count::{Counted, Counter, Kept};
use crate::statement::JournalHead;

/// The first line: the form and its version.
const FORM: &[u8] = b"tieup-rollup/1\n";

/// How many bytes a digest has.
const DIGEST: usize = 32;

/// What the first entries of a journal come to.
#[derive(Clone, Debug)]
pub struct Rollup {
    terms: String,
    covers: JournalHead,
    /// The numbers of entries that were passed over.
    struck: BTreeSet<u64>,
    counter: Counter,
}

/// Why bytes are no rollup that can be used. It is made again from the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollupError {
    /// Another form, or a later version of it.
    #[error("the rollup is of another form than this version reads")]
    Form,
    /// It is not what was written.
    #[error("the rollup is damaged")]
    Damaged,
    /// It was counted by other rules, in another zone or for other days.
    #[error("the rollup was counted by other rules, or for other days")]
    OtherTerms,
}

/// A rollup as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    terms: String,
    origin: String,
    size: u64,
    root: String,
    struck: Vec<u64>,
    counter: Kept,
}

impl Rollup {
    /// The rollup of no entries yet of the log `origin`, by the rules of `contract` for the days of `period`.
    pub fn begin(contract: &Contract, period: Period, origin: &str) -> Self {
        Self {
            terms: terms(contract, period),
            covers: JournalHead { origin: origin.to_owned(), size: 0, root: String::new() },
            struck: BTreeSet::new(),
            counter: Counter::of_period(&contract.terms.count, &contract.effective.tz, period),
        }
    }

    /// Which entries it is of.
    pub fn covers(&self) -> &JournalHead {
        &self.covers
    }

    /// Whether it passed over exactly those of its entries that are `struck` out.
    pub fn agrees_on(&self, struck: &BTreeSet<u64>) -> bool {
        self.struck.iter().eq(struck.range(..self.covers.size))
    }

    /// Takes the entry that follows, which is passed over where it is `struck` out. The rollup is of no use until
    /// [`Rollup::reach`] says which entries it has.
    ///
    /// # Errors
    /// It cannot be decoded. The rollup is of no use then.
    pub fn take(&mut self, entry: &[u8], struck: &BTreeSet<u64>) -> Result<(), InvalidEntry> {
        let number = self.covers.size;
        if struck.contains(&number) {
            self.counter.strike();
            self.struck.insert(number);
        } else {
            self.counter.observe_encoded(entry)?;
        }
        self.covers.size += 1;
        Ok(())
    }

    /// Says that the entries that were taken are those of `head`.
    ///
    /// # Errors
    /// They are not as many. The rollup is of no use then.
    pub fn reach<E>(&mut self, head: JournalHead) -> Result<(), StatementError<E>> {
        let (taken, size) = (self.covers.size, head.size);
        if taken != size {
            return Err(StatementError::OtherSize { taken, size });
        }
        self.counter.settle();
        self.covers = head;
        Ok(())
    }

    /// What its entries come to.
    pub fn counted(self) -> Counted {
        self.counter.finish()
    }

    /// Its bytes. Rollups of the same entries by the same rules have the same, however they came about.
    ///
    /// # Panics
    /// Never: what is written are numbers and texts.
    pub fn encode(&self) -> Vec<u8> {
        let written = Written {
            terms: self.terms.clone(),
            origin: self.covers.origin.clone(),
            size: self.covers.size,
            root: self.covers.root.clone(),
            struck: self.struck.iter().copied().collect(),
            counter: self.counter.keep(),
        };
        let body = postcard::to_allocvec(&written).expect("numbers and texts have an encoding");
        [FORM, Digest::of(&body).as_bytes().as_slice(), &body].concat()
    }

    /// Reads a rollup by the rules of `contract` for the days of `period`.
    ///
    /// # Errors
    /// See [`RollupError`]. Bytes of any kind are an error at worst.
    pub fn decode(bytes: &[u8], contract: &Contract, period: Period) -> Result<Self, RollupError> {
        let rest = bytes.strip_prefix(FORM).ok_or(RollupError::Form)?;
        let (digest, body) = rest.split_at_checked(DIGEST).ok_or(RollupError::Damaged)?;
        if Digest::of(body).as_bytes().as_slice() != digest {
            return Err(RollupError::Damaged);
        }
        let (written, after): (Written, _) = postcard::take_from_bytes(body).map_err(|_| RollupError::Damaged)?;
        if written.terms != terms(contract, period) {
            return Err(RollupError::OtherTerms);
        }
        let (rules, zone) = (&contract.terms.count, &contract.effective.tz);
        let counter = Counter::resume(rules, zone, period, &written.counter, written.size);
        let counter = counter.filter(|_| after.is_empty()).ok_or(RollupError::Damaged)?;
        Ok(Self {
            terms: written.terms,
            covers: JournalHead { origin: written.origin, size: written.size, root: written.root },
            struck: written.struck.into_iter().collect(),
            counter,
        })
    }
}

/// The rules, zone and days that counts go by, as a line.
fn terms(contract: &Contract, period: Period) -> String {
    let (count, zone) = (&contract.terms.count, contract.effective.tz.name());
    let rules = match count.rules {
        RuleSet::PageView1 => "page-view/1",
    };
    let session = match count.session {
        Session::Hour => "hour",
    };
    let (robots, window) = (count.robots, count.double_click.seconds());
    format!("{rules} {robots} {window}s {session} {zone} {} {}", period.first(), period.last())
}

#[cfg(test)]
mod tests;
