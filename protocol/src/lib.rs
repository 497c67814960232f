//! What a main site and its partners agree on, and nothing else.
//!
//! Every name, file format and message that crosses from one machine to another is defined here once. The crate is
//! pure: it opens no file and no socket, reads no clock and draws no random number. Whoever calls it brings those in
//! as arguments.

pub mod access;
pub mod access_export;
pub mod approval;
pub mod audit;
pub mod change;
pub mod contract;
pub mod decimal;
pub mod delta;
pub mod dense;
pub mod diagnostic;
pub mod difference;
pub mod digest;
pub mod dispute;
pub mod drift;
pub mod ids;
pub mod index;
pub mod joining;
pub mod label;
pub mod location;
pub mod manifest;
pub mod merge;
pub mod patch;
pub mod path;
pub mod period;
pub mod portable;
pub mod record;
pub mod redirect;
pub mod reserved;
pub mod robots;
pub mod schedule;
pub mod shape;
pub mod strike;
pub mod version;
pub mod wire;
pub mod yaml;
