//! The harness of every end-to-end test: a [`World`] is a main site and its partners in a temporary folder, each with
//! its own keys, state and loopback ports, speaking real mutual TLS.
//!
//! It plays the people (editor, operators, visitors) and, with [`parcel`] and [`stranger`], those who mean harm. What
//! should work and does not is a failed test, so the methods here panic and say what they were doing; those whose
//! name begins with `try_` give the error instead. Tests need the runtime of several threads:
//! `#[tokio::test(flavor = "multi_thread")]`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a world that cannot be set up is a failed test")]

pub mod child;
pub mod contract;
pub mod cutter;
pub mod desk;
pub mod face;
pub mod forge;
pub mod hearing;
pub mod hook;
pub mod issuing;
pub mod journal;
pub mod keep_alive;
pub mod mailbox;
pub mod marked;
pub mod muffler;
pub mod mute;
pub mod neighbour;
pub mod operator;
pub mod parcel;
pub mod postgres;
pub mod proxy;
pub mod python;
pub mod raw;
pub mod secure;
pub mod stranger;
pub mod world;

mod sources;

pub use contract::Contract;
pub use desk::Desk;
pub use face::{Face, Kept};
pub use neighbour::Neighbour;
pub use sources::Plan;
pub use world::World;

/// An error as the person at the terminal reads it: with its causes and its hint.
pub fn told(error: &(dyn std::error::Error + 'static)) -> String {
    tieup_web::complaint::render(error)
}

/// Fails unless `text` holds each of `parts`, and shows the whole text.
#[track_caller]
pub fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not said here:\n{text}");
    }
}
