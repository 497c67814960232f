//! The main site's side: it builds, signs and publishes releases, lets partners join, collects their journals and
//! computes statements. It never decides for a partner.

pub mod archive;
pub mod audit;
pub mod beacons;
pub mod cli;
pub mod collect;
pub mod config;
pub mod database;
pub mod findings;
pub mod health;
mod heartbeats;
pub mod joining;
pub mod keys;
pub mod kit;
mod lines;
mod manifests;
mod own_journal;
pub mod partners;
pub mod preview;
pub mod publish;
pub mod refusals;
pub mod release;
pub mod renewal;
pub mod restore;
mod returning;
pub mod revocation;
pub mod schedule;
pub mod server;
pub mod signing;
pub mod space;
pub mod starter;
pub mod statements;
mod stream;
mod transfer;
pub mod trust;
pub mod waking;
