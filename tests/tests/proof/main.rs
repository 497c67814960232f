//! Proof that a push survives whatever happens on its way: processes that are killed, disks that fill up, lines that
//! are cut, stalled and bent.
//!
//! docs/durability.md says what each part runs and what was found.

#![cfg(test)]

mod counting;
mod disk;
mod kills;
mod kills_beside;
mod network;
mod partition;
mod silence;
mod visitors;
#[cfg(debug_assertions)]
mod visits;
#[cfg(debug_assertions)]
mod writes;

/// A number from the environment, for a longer run than the usual one.
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
