//! What a partner pays for a month, and why: from journal entries to the statement, to the last digit.
//!
//! The way is [`Counter`] -> [`Counted`] -> [`Account`] -> [`statement()`]; [`compute()`] goes all of it for visits
//! alone. `docs/fees.md` says every rule in full. The crate is pure: no files,
//! no sockets, no clock, no randomness and no floating point, so that the main site and the partner compute the same
//! bytes from the same journal and contract.

pub mod basis;
pub mod books;
pub mod charged;
pub mod closing;
pub mod compute;
pub mod count;
pub mod counting;
pub mod findings;
pub mod location;
pub mod money;
pub mod record;
pub mod rollup;
pub mod settlement;
pub mod simulation;
pub mod statement;
pub mod survey;
pub mod tariff;
mod text;

#[cfg(test)]
mod fixture;

pub use basis::{
    Basis, BasisError, Decided, Extent, Issued, Ledger, Made, Maker, Ungoverned, Versions, charged_so_far,
    corrected_after, corrects, is_disputed, last_charged,
};
pub use books::{Books, Catalogue, Event, Stock, sales_digest};
pub use charged::Charged;
pub use closing::{closes, corrected_in, status_at};
pub use compute::{StatementError, compute, compute_segments, count_without};
pub use count::{Counted, Counter};
pub use counting::Counting;
pub use findings::{Examiner, Finding, Findings, examine};
pub use money::{Exact, Money};
pub use record::{Gathering, Recorded};
pub use rollup::{Rollup, RollupError};
pub use settlement::{Cause, Correction, Payment, Settlement};
pub use statement::{Account, Difference, FeeError, JournalHead, Statement, Status, first_difference, statement};
pub use survey::Survey;
pub use tariff::{Line, Priced, PricingError, Why, price};
