//! The partner's daemon.
//!
//! It joins a main site, takes in releases that main pushes, asks the operator, merges approved releases with the
//! partner's own originals, serves the result and logs the visits. It never speaks to another partner, and nothing
//! that main sends becomes public before it is verified and approved.

pub mod candidate;
pub mod cli;
mod clock;
pub mod comparison;
pub mod config;
pub mod console;
pub mod control;
pub mod daemon;
pub mod dispute;
pub mod door;
pub mod edits;
pub mod export;
pub mod extents;
pub mod flow;
pub mod guard;
pub mod health;
mod heartbeat;
pub mod identity;
pub mod intake;
pub mod line;
pub mod location;
pub mod main_journal;
pub mod mains;
pub mod peer;
pub mod pins;
mod placement;
pub mod preview;
pub mod prompt;
pub mod publisher;
pub mod record;
pub mod renewal;
pub mod returning;
pub mod revocation;
pub mod shapes;
pub mod shared_site;
pub mod statement;
pub mod strikes;
mod trail_signature;
pub mod trust;
