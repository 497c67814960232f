//! A certificate that is asked for and renewed by ACME (RFC 8555), proven by HTTP-01.
//!
//! What is kept stands in the folder `acme` of the state folder, mode 0600: the account's key, the certificate with its
//! key in one file, and when an authority was last asked in vain.

mod challenges;
mod client;
mod keeper;
mod kept;
mod plan;

pub use challenges::{Challenge, Challenges};
pub use client::AcmeError;

pub use keeper::{Keeper, KeeperError};
pub use kept::{FOLDER, KeepError, Tries, files};
