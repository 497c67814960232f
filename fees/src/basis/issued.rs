//! What was issued, period by period: what is charged by it, what is to be corrected of it, and where.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tieup_protocol::digest::Digest;
use tieup_protocol::period::Period;
use tieup_protocol::wire::{Cause, Revision};

use super::Basis;

/// How much of a journal has been charged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent<'a> {
    /// How many entries.
    pub size: u64,
    /// The strikes by which some of them are left out.
    pub strikes: &'a [Digest],
    /// How many entries of main's record were gone by.
    pub record: u64,
}

/// The statements that were issued, by period.
pub type Issued = BTreeMap<Period, Basis>;

/// The last period before `until` whose statement charged for the journal of `period`: its own, or one that corrects it.
pub fn last_charged(issued: &Issued, period: Period, until: Period) -> Option<Period> {
    let corrected = between(issued, period, until).rev().find(|basis| basis.revision(period).is_some());
    corrected.or_else(|| issued.get(&period)).map(|basis| basis.period)
}

/// How much of the journal of `period` has been charged for by statements for periods before `until`; none where its own
/// was not issued.
pub fn charged_so_far(issued: &Issued, period: Period, until: Period) -> Option<Extent<'_>> {
    let &Basis { size, ref strikes, record, .. } = issued.get(&period)?;
    let revised = between(issued, period, until).rev().find_map(|basis| basis.revision(period));
    Some(revised.map_or(Extent { size, strikes, record }, |revision| Extent {
        size: revision.size,
        strikes: &revision.strikes,
        record: revision.record,
    }))
}

/// The statements that were issued for periods after `period` and before `until`, in their order.
pub(super) fn between(issued: &Issued, period: Period, until: Period) -> impl DoubleEndedIterator<Item = &Basis> {
    issued.values().filter(move |basis| basis.period > period && basis.period < until)
}

/// When the disputes that main accepted were decided, and when what was issued was signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// When main accepted that the statement for a period is not right.
    pub accepted: BTreeMap<Period, Timestamp>,
    /// When main signed the statement for a period.
    pub signed: BTreeMap<Period, Timestamp>,
}

/// Whether what was decided of disputed statements is still to be looked at in `period`, by a statement for `until`: of each
/// that main accepted as not right its own period is looked at, and those that it corrects, until a statement that main
/// signed after it had decided so, to the second, says what came of it.
pub fn is_disputed(issued: &Issued, decided: &Decided, period: Period, until: Period) -> bool {
    decided.accepted.iter().any(|(disputed, accepted)| {
        let corrects = || issued.get(disputed).is_some_and(|basis| basis.revision(period).is_some());
        // A signature tells whole seconds.
        let was_signed_since = |basis: &Basis| {
            let signed = decided.signed.get(&basis.period);
            signed.is_some_and(|signed| signed.as_second() >= accepted.as_second())
        };
        let is_decided = |revision: &Revision| revision.cause == Cause::Dispute;
        let mut later = between(issued, *disputed, until).filter(|basis| was_signed_since(basis));
        (*disputed == period || corrects()) && !later.any(|basis| basis.revision(period).is_some_and(is_decided))
    })
}

/// Whether the statement for `within` is the one that corrects `earlier`, where the periods `open` were not issued yet.
///
/// A difference is charged in the next period that is open, and in no other: not while one between the two is, however
/// long that is held back, and not where a later one has charged for it already.
pub fn corrects(issued: &Issued, open: &BTreeSet<Period>, within: Period, earlier: Period) -> bool {
    let is_next = !open.iter().any(|open| *open > earlier && *open < within);
    is_next && corrected_after(issued, within, earlier).is_none()
}

/// The first period after `within` whose statement has corrected `earlier`.
pub fn corrected_after(issued: &Issued, within: Period, earlier: Period) -> Option<Period> {
    let mut later = issued.values().filter(|basis| basis.period > within);
    later.find(|basis| basis.revision(earlier).is_some()).map(|basis| basis.period)
}
