//! What a partner pays for a month, and why: from journal entries to the statement, to the last digit.
//!
//! The way is [`Counter`] -> [`Counted`] -> [`statement()`]; [`compute()`] goes all of it. The crate is pure: no files,
//! no sockets, no clock, no randomness and no floating point, so that the main site and the partner compute the same
//! bytes from the same journal and contract.

pub mod compute;
pub mod count;
pub mod findings;
pub mod money;
pub mod statement;
pub mod tariff;
mod text;

#[cfg(test)]
mod fixture;

pub use compute::{StatementError, compute};
pub use count::{Counted, Counter};
pub use findings::{Examiner, Finding, Findings, examine};
pub use money::{Exact, Money};
pub use statement::{Difference, FeeError, JournalHead, Statement, Status, first_difference, statement};
pub use tariff::{Event, Line, Priced, PricingError, Why, price};
