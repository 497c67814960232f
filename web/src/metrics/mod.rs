//! What a service counts of itself, and how it is told to those who watch over it.

mod exposition;
mod traffic;

pub use exposition::{Exposition, Labels, MEDIA_TYPE, moment, number};
pub use traffic::{METHODS, OpenConnection, Refused, Traffic};
