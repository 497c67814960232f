//! What a service counts of itself, and how it is told to those who watch over it.

mod traffic;

pub use traffic::{METHODS, OpenConnection, Refused, Traffic};
