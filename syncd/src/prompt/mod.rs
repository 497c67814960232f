//! Prompts: the operator is told once of each release that waits for their word, by every way they have set.
//!
//! A prompt only tells. It holds no power: links in it show a page, and deciding needs the console or the machine.

pub mod command;
mod ledger;
pub mod mail;
pub mod notice;
pub mod prompter;
pub mod settings;
pub mod trial;
mod trust;
pub mod webhook;

pub use notice::{Notice, Others, Subject};
pub use prompter::{Board, PromptStatus, Prompter, Retries, Stand};
pub use settings::{Way, Ways};
