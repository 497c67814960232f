//! The only code that writes files.
//!
//! Everything here is synchronous: callers on an async runtime wrap it in a blocking task. A function that says
//! "durable on return" has synced the bytes and the folder that names them; after a crash at any step the old state or
//! the new one is there, never a mixture. The crate reads no clock and makes no keys: both come in as arguments.

pub mod audit;
pub mod blobs;
pub mod cache;
pub mod document;
pub mod durable;
#[cfg(all(feature = "failing-writes", debug_assertions))]
pub mod failing;
#[cfg(test)]
mod fault;
pub mod journal;
pub mod lines;
pub mod lock;
pub mod look;
pub mod quarantine;
pub mod releases;
pub mod tree;
