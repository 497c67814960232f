//! When the hub pushes by itself: at prescribed times, when the site changes, and again after a failure.
//!
//! What to do next is decided by pure functions ([`plan`], [`backoff`], [`queue`], [`standing`]) over the rows of the
//! table `queue`, which survive a restart; [`Scheduler`] executes. It never decides what a release holds.

pub mod backoff;
pub mod plan;
pub mod queue;
pub mod standing;

mod attempt;
mod scheduler;
mod workshop;

use std::sync::Arc;

use jiff::Timestamp;

pub use attempt::Attempt;
pub use scheduler::{Edition, Scheduler};
pub use workshop::Workshop;

/// Where the time is read.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of this machine.
pub fn wall_clock() -> Clock {
    Arc::new(Timestamp::now)
}
